//! Reads what is recorded: `[eve]`.

use alloc::boxed::Box;
use alloc::string::String;
use alloc::vec::Vec;
use core::time::Duration;
use std::io::{self, Write};

use toml::de::{DeTable, DeValue};

use super::operation::Fields;
use crate::observe::eve::{Enveloped, EveSettings, EveTypes, FileSink, Loss, Rotation, Sink};
#[cfg(unix)]
use crate::observe::eve::{SocketKind, SocketSink};
use crate::toml_text::{ConfigProblem, Reader, Value};

/// Where EVE records are written, and which: the keys of `[eve]`.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct EveFile {
    /// The file, which is added to, or the socket; `-` is standard output.
    pub file: String,
    /// What `file` is.
    pub kind: EveKind,
    /// When the file is put aside, and another one begins.
    pub rotation: Rotation,
    /// The envelope that each record is in, if it is in one.
    pub envelope: Option<EveEnvelope>,
    /// What is recorded.
    pub settings: EveSettings,
    /// How often there is a record of counters. By default every 8 s, as Suricata has it.
    pub stats: Duration,
}

impl EveFile {
    /// Everything, into this file.
    pub fn new(file: impl Into<String>) -> Self {
        Self {
            file: file.into(),
            kind: EveKind::default(),
            rotation: Rotation::default(),
            envelope: None,
            settings: EveSettings::default(),
            stats: Duration::from_secs(8),
        }
    }

    /// Opens what records are written to. A socket may be there only later.
    ///
    /// # Errors
    ///
    /// Where there can be no such file, or no sockets.
    pub fn sink(&self) -> io::Result<Box<dyn Sink>> {
        let sink: Box<dyn Sink> = match self.kind {
            EveKind::File if self.file == "-" => Box::new(Standard(io::stdout())),
            EveKind::File => Box::new(FileSink::open(&self.file, self.rotation)?),
            #[cfg(unix)]
            EveKind::UnixStream => Box::new(SocketSink::new(&self.file, SocketKind::Stream)),
            #[cfg(unix)]
            EveKind::UnixDatagram => Box::new(SocketSink::new(&self.file, SocketKind::Datagram)),
            #[cfg(not(unix))]
            _ => return Err(io::ErrorKind::Unsupported.into()),
        };
        Ok(match &self.envelope {
            Some(EveEnvelope { firewall_name, availability_zone }) => {
                Box::new(Enveloped::new(sink, firewall_name, availability_zone))
            }
            None => sink,
        })
    }
}

/// Standard output: whoever reads it may come again, as behind a pipe of a shell nobody does.
struct Standard(io::Stdout);

impl Sink for Standard {
    fn take(&mut self, lines: &[u8]) -> Result<(), Loss> {
        let written = self.0.write_all(lines).and_then(|()| self.0.flush());
        written.map_err(|error| Loss::of(lines, error))
    }
}

/// What records are written to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum EveKind {
    /// A file, or standard output.
    #[default]
    File,
    /// A Unix socket that somebody listens at: one record a line.
    UnixStream,
    /// A Unix socket for datagrams: a record in each.
    UnixDatagram,
}

impl EveKind {
    /// Each with its name.
    pub const NAMES: [(&'static str, Self); 3] = [
        ("file", Self::File),
        ("unix-stream", Self::UnixStream),
        ("unix-datagram", Self::UnixDatagram),
    ];
}

/// What the envelope says that AWS Network Firewall has around the records in its logs: see [`Enveloped`].
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct EveEnvelope {
    /// `firewall_name`.
    pub firewall_name: String,
    /// `availability_zone`.
    pub availability_zone: String,
}

const KEYS: [&str; 12] = [
    "file",
    "kind",
    "rotate-bytes",
    "rotate-seconds",
    "keep",
    "envelope",
    "types",
    "ja3",
    "ja4",
    "community-id",
    "queue",
    "stats",
];
const ENVELOPE_KEYS: [&str; 2] = ["firewall-name", "availability-zone"];

pub(super) fn eve(reader: &mut Reader<'_>, table: &DeTable<'_>, at: usize) -> Option<EveFile> {
    reader.keys(table, &KEYS);
    let mut eve = EveFile::new("");
    let EveFile { file, kind, rotation, envelope, settings, stats } = &mut eve;
    let mut fields = Fields { reader, table };
    fields.parsed("file", "a file", file);
    fields.word("kind", EveKind::NAMES, kind);
    fields.number("rotate-bytes", 4_096..=1 << 48, |bytes| rotation.bytes = Some(bytes));
    fields.number("rotate-seconds", 1..=366 * 86_400, |seconds| {
        rotation.age = Some(Duration::from_secs(seconds));
    });
    fields.number("keep", 0..=10_000, |files| {
        rotation.keep = u32::try_from(files).unwrap_or(rotation.keep);
    });
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
    if let Some(value) = table.get("envelope") {
        *envelope = read_envelope(reader, value);
    }
    if file.is_empty() {
        let at = table.get("file").map_or(at, |value| value.span().start);
        reader.unexpected(at, "`file` to name a file, or `-` for standard output", "none");
        return None;
    }
    Some(eve)
}

fn read_envelope(reader: &mut Reader<'_>, value: &Value<'_>) -> Option<EveEnvelope> {
    let Some(table) = value.get_ref().as_table() else {
        reader.wrong_type(value, "a table");
        return None;
    };
    reader.keys(table, &ENVELOPE_KEYS);
    let mut envelope = EveEnvelope::default();
    let fields = [&mut envelope.firewall_name, &mut envelope.availability_zone];
    for (key, field) in ENVELOPE_KEYS.into_iter().zip(fields) {
        if !table.contains_key(key) {
            reader.report(value.span().start, ConfigProblem::Missing { key });
        }
        Fields { reader: &mut *reader, table }.parsed(key, "a string", field);
    }
    Some(envelope)
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
             community-id = false\nqueue = 1_000_000\nstats = 2.5\nkind = \"unix-stream\"\nrotate-bytes = 4096\n\
             rotate-seconds = 3600\nkeep = 3\n\
             envelope = { firewall-name = \"fw\", availability-zone = \"eu-central-1a\" }",
        );
        let eve = config.unwrap().eve().cloned().unwrap();
        assert_eq!(
            (eve.file.as_str(), eve.stats),
            ("/var/log/eve.json", Duration::from_millis(2_500))
        );
        let age = Some(Duration::from_secs(3_600));
        assert_eq!(eve.rotation, Rotation { bytes: Some(4_096), age, keep: 3 });
        assert_eq!(eve.kind, EveKind::UnixStream);
        let envelope = eve.envelope.unwrap();
        assert_eq!(
            (envelope.firewall_name.as_str(), envelope.availability_zone.as_str()),
            ("fw", "eu-central-1a")
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
        assert_eq!(
            error("[eve]\nfile = \"-\"\nenvelope = { firewall-name = \"fw\" }"),
            "line 3, column 12: expected `availability-zone` here, found none",
        );
        let told = error("[eve]\nfile = \"-\"\ntypes = 1");
        assert!(told.starts_with("line 3, column 9: expected a string or a list"), "{told}");
    }
}
