use super::Findings;
use crate::config::{Config, EveKind};
use crate::observe::eve::EveTypes;

/// Kinds of records without a source.
pub(super) fn look(config: &Config, findings: &mut Findings<'_, '_>) {
    let Some(eve) = &config.eve else { return };
    let settings = &eve.settings;
    let is_file = eve.kind == EveKind::File && eve.file != "-";
    let rotates = eve.rotation.bytes.is_some() || eve.rotation.age.is_some();
    for key in ["rotate-bytes", "rotate-seconds", "keep"] {
        if !is_file {
            findings.warn_at(&["eve", key], "of no use: only files are put aside");
        } else if key == "keep" && !rotates {
            findings.warn_at(&["eve", key], "of no use: the file is never put aside");
        }
    }
    if settings.types == EveTypes::NONE {
        findings.warn_at(&["eve", "types"], "the list is empty: nothing is recorded");
        return;
    }
    for (key, is_wanted) in [("ja3", settings.ja3), ("ja4", settings.ja4)] {
        if is_wanted && !settings.types.contains(EveTypes::TLS) {
            findings.warn_at(&["eve", key], "of no use: `types` is without `tls`");
        }
    }
    if !settings.types.contains(EveTypes::STATS) {
        findings.warn_at(&["eve", "stats"], "of no use: `types` is without `stats`");
    }
    let only_alerts = settings.types == EveTypes::ALERT;
    if only_alerts && !config.alerts() {
        findings.warn_at(&["eve", "types"], "nothing is recorded: there is nothing that alerts");
    }
}
