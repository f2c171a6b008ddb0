//! Reads what is kept as evidence: `[tap]`.

use alloc::string::String;
use alloc::sync::Arc;

use toml::de::DeTable;

use super::operation::Fields;
use super::{Config, ConfigProblem};
use crate::inspect::Severity;
use crate::inspectors::tap::config::tap_rules;
use crate::observe::evidence::EvidenceSettings;
use crate::toml_text::Reader;

const KEYS: [&str; 6] = ["directory", "file-size", "files", "queue", "alerts", "rule"];

pub(super) fn tap(
    reader: &mut Reader<'_>,
    table: &DeTable<'_>,
    at: usize,
    config: &mut Config,
) -> Option<EvidenceSettings> {
    reader.keys(table, &KEYS);
    let mut evidence = EvidenceSettings::new("");
    let mut directory = String::new();
    let mut alerts = Some(Severity::Info);
    let mut fields = Fields { reader, table };
    fields.parsed("directory", "a directory", &mut directory);
    fields.number("file-size", EvidenceSettings::LEAST_FILE_SIZE..=1 << 40, |bytes| {
        evidence.file_size = bytes;
    });
    fields.number("files", 1..=1_000_000, |files| {
        evidence.files = usize::try_from(files).unwrap_or(evidence.files);
    });
    fields.number("queue", 256 << 10..=1 << 30, |bytes| {
        evidence.queue = usize::try_from(bytes).unwrap_or(evidence.queue);
    });
    let severities = [
        ("none", None),
        ("info", Some(Severity::Info)),
        ("notice", Some(Severity::Notice)),
        ("warning", Some(Severity::Warning)),
        ("critical", Some(Severity::Critical)),
    ];
    fields.word("alerts", severities, &mut alerts);
    let rules = tap_rules(reader, table)?;
    let has_rules = !rules.rules().is_empty();
    config.settings.capture_alerts = alerts;
    config.tap = has_rules.then(|| Arc::new(rules));
    if alerts.is_none() && !has_rules {
        let nothing = "expected `alerts` or a `[[tap.rule]]`, found neither: nothing would be kept";
        reader.report(at, ConfigProblem::Together(nothing.into()));
    }
    if directory.is_empty() {
        let at = table.get("directory").map_or(at, |value| value.span().start);
        reader.unexpected(at, "`directory` to name a directory", "none");
    }
    evidence.directory = directory.into();
    Some(evidence)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn error(text: &str) -> String {
        alloc::string::ToString::to_string(&Config::parse(text).unwrap_err())
    }

    #[test]
    fn all_keys() {
        let config = Config::parse(
            "[tap]\ndirectory = \"/var/lib/evidence\"\nfile-size = 1_000_000\nfiles = 3\nqueue = 300_000\n\
             alerts = \"warning\"\n[[tap.rule]]\nname = \"till\"\nto = \"10.1.7.0/24\"\nports = 8443\nprotocol = \"tcp\"",
        )
        .unwrap();
        let expected = EvidenceSettings {
            directory: "/var/lib/evidence".into(),
            file_size: 1_000_000,
            files: 3,
            queue: 300_000,
            is_lossless: false,
        };
        assert_eq!(config.evidence(), Some(&expected));
        assert_eq!(config.settings().capture_alerts, Some(Severity::Warning));
        assert_eq!(config.tap_rules().unwrap().rules()[0].name.as_deref(), Some("till"));
    }

    #[test]
    fn all_alerts_and_no_rules_where_nothing_is_said() {
        let config = Config::parse("[tap]\ndirectory = \"/tmp\"").unwrap();
        assert_eq!(config.settings().capture_alerts, Some(Severity::Info));
        assert!(config.tap_rules().is_none());
        assert_eq!(Config::parse("").unwrap().settings().capture_alerts, None);
    }

    #[test]
    fn mistakes() {
        assert_eq!(
            error("[tap]\nfiles = 3"),
            "line 1, column 1: expected `directory` to name a directory, found `none`",
        );
        let told = error("[tap]\ndirectory = \"/tmp\"\nalerts = \"warnings\"");
        assert!(told.ends_with("found `warnings`; did you mean `warning`?"), "{told}");
        let told = error("[tap]\ndirectory = \"/tmp\"\nfile-size = 1000");
        assert!(told.starts_with("line 3, column 13: expected a number from 262144"), "{told}");
        let told = error("[tap]\ndirectory = \"/tmp\"\nalerts = \"none\"");
        assert!(told.ends_with("found neither: nothing would be kept"), "{told}");
        let told = error("[tap]\ndirectory = \"/tmp\"\n[[tap.rule]]\naction = \"drop\"\nport = 1");
        assert!(
            told.contains("line 4, column 1: ") && told.contains("line 5, column 1: "),
            "{told}"
        );
    }
}
