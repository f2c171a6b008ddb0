//! Reads what is recorded: `[eve]`.

use alloc::string::String;
use alloc::vec::Vec;
use core::time::Duration;

use toml::de::{DeTable, DeValue};

use super::operation::Fields;
use crate::observe::eve::{EveSettings, EveTypes};
use crate::toml_text::{Reader, Value};

/// Where EVE records are written, and which: the keys of `[eve]`.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct EveFile {
    /// The file, which is added to; `-` is standard output.
    pub file: String,
    /// What is recorded.
    pub settings: EveSettings,
    /// How often there is a record of counters. By default every 8 s, as Suricata has it.
    pub stats: Duration,
}

impl EveFile {
    /// Everything, into this file.
    pub fn new(file: impl Into<String>) -> Self {
        let settings = EveSettings::default();
        Self { file: file.into(), settings, stats: Duration::from_secs(8) }
    }
}

const KEYS: [&str; 7] = ["file", "types", "ja3", "ja4", "community-id", "queue", "stats"];

pub(super) fn eve(reader: &mut Reader<'_>, table: &DeTable<'_>, at: usize) -> Option<EveFile> {
    reader.keys(table, &KEYS);
    let mut eve = EveFile::new("");
    let EveFile { file, settings, stats } = &mut eve;
    let mut fields = Fields { reader, table };
    fields.parsed("file", "a file", file);
    fields.truth("ja3", &mut settings.ja3);
    fields.truth("ja4", &mut settings.ja4);
    fields.truth("community-id", &mut settings.community_id);
    fields.number("queue", 64 << 10..=1 << 30, |bytes| {
        settings.queue = usize::try_from(bytes).unwrap_or(settings.queue);
    });
    fields.seconds("stats", stats);
    if let Some(value) = table.get("types") {
        settings.types = types(reader, value);
    }
    if file.is_empty() {
        let at = table.get("file").map_or(at, |value| value.span().start);
        reader.unexpected(at, "`file` to name a file, or `-` for standard output", "none");
        return None;
    }
    Some(eve)
}

fn types(reader: &mut Reader<'_>, value: &Value<'_>) -> EveTypes {
    let values: Vec<_> = match value.get_ref() {
        DeValue::Array(values) => values.iter().collect(),
        _ => Vec::from([value]),
    };
    let mut types = EveTypes::NONE;
    for value in values {
        match value.get_ref() {
            DeValue::String(_) => {
                types = types.and(reader.word(value, EveTypes::NAMES).unwrap_or(EveTypes::NONE));
            }
            _ => reader.wrong_type(value, "a string or a list of strings"),
        }
    }
    types
}

#[cfg(test)]
mod tests {
    use super::super::Config;
    use super::*;

    fn error(text: &str) -> String {
        Config::parse(text).unwrap_err().to_string()
    }

    #[test]
    fn all_keys() {
        let config = Config::parse(
            "[eve]\nfile = \"/var/log/eve.json\"\ntypes = [\"http\", \"dns\"]\nja3 = true\nja4 = true\n\
             community-id = false\nqueue = 1_000_000\nstats = 2.5",
        );
        let eve = config.unwrap().eve().cloned().unwrap();
        assert_eq!(
            (eve.file.as_str(), eve.stats),
            ("/var/log/eve.json", Duration::from_millis(2_500))
        );
        let expected = EveSettings {
            types: EveTypes::HTTP.and(EveTypes::DNS),
            ja3: true,
            ja4: true,
            community_id: false,
            queue: 1_000_000,
            is_lossless: false,
        };
        assert_eq!(eve.settings, expected);
    }

    #[test]
    fn mistakes() {
        assert_eq!(
            error("[eve]\nja3 = true"),
            "line 1, column 1: expected `file` to name a file, or `-` for standard output, found `none`",
        );
        let told = error("[eve]\nfile = \"-\"\ntypes = [\"http\", \"alerts\"]");
        assert!(told.starts_with("line 3, column 18: "), "{told}");
        assert!(told.ends_with("found `alerts`; did you mean `alert`?"), "{told}");
        let told = error("[eve]\nfile = \"-\"\ntypes = 1");
        assert!(told.starts_with("line 3, column 9: expected a string or a list"), "{told}");
    }
}
