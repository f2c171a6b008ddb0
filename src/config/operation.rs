//! Reads what concerns the operation of an appliance: `[run]`, `[limits]` and `[timeouts]`.

use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;
use core::num::NonZeroUsize;
use core::ops::RangeInclusive;
use core::time::Duration;

use toml::de::{DeTable, DeValue};

use super::run::{LogFormat, RELOADS, Run, TransportKind, Way};
use super::{ConfigProblem, Token, TokenError};
use crate::engine::Settings;
use crate::inspectors::access::IpNetwork;
use crate::inspectors::access::config::network;
use crate::toml_text::{Reader, Value};

const RUN_KEYS: [&str; 18] = [
    "transport",
    "way",
    "bind",
    "port",
    "workers",
    "pin",
    "allow-origin",
    "receive-buffer",
    "busy-poll",
    "health",
    "manage",
    "manage-token",
    "manage-token-file",
    "manage-hosts",
    "drain",
    "log",
    "shadow",
    "reload",
];

/// More are of no use to any machine that there is.
const MOST_WORKERS: u64 = 1_024;
/// Seconds: a week.
const LONGEST: f64 = 604_800.0;

pub(super) fn run(reader: &mut Reader<'_>, table: &DeTable<'_>) -> Run {
    reader.keys(table, &RUN_KEYS);
    let mut run = Run::default();
    let mut fields = Fields { reader, table };
    fields.word("transport", TransportKind::NAMES, &mut run.transport);
    fields.word("way", Way::NAMES, &mut run.way);
    fields.word("log", LogFormat::NAMES, &mut run.log);
    fields.parsed("bind", "an IPv4 address", &mut run.bind);
    fields.number("port", 1..=u16::MAX.into(), |port| {
        run.port = u16::try_from(port).unwrap_or(run.port);
    });
    fields.number("workers", 1..=MOST_WORKERS, |workers| {
        run.workers = usize::try_from(workers).ok().and_then(NonZeroUsize::new);
    });
    fields.truth("pin", &mut run.pin);
    fields.number("receive-buffer", 4_096..=1 << 30, |bytes| {
        run.receive_buffer = usize::try_from(bytes).ok();
    });
    fields.number("busy-poll", 0..=1_000_000, |micros| {
        run.busy_poll = Some(Duration::from_micros(micros));
    });
    fields.seconds("drain", &mut run.drain);
    fields.listener("health", &mut run.health);
    fields.listener("manage", &mut run.manage);
    fields.word("reload", RELOADS, &mut run.reload);
    let mut shadow = String::new();
    fields.parsed("shadow", "a file", &mut shadow);
    run.shadow = Some(shadow).filter(|file| !file.is_empty());
    fields.token("manage-token", &mut run.manage_token);
    let mut file = String::new();
    fields.parsed("manage-token-file", "a file", &mut file);
    run.manage_token_file = Some(file).filter(|file| !file.is_empty());
    if let (Some(_), Some(second)) = (&run.manage_token, table.get("manage-token-file")) {
        let expected = "`manage-token` or `manage-token-file`".into();
        fields.unlike(second, expected, "both".into());
    }
    if let Some(value) = table.get("manage-hosts") {
        run.manage_hosts = fields.hosts(value);
    }
    if let Some(value) = table.get("allow-origin") {
        run.allow_origin = fields.networks(value);
    }
    run
}

pub(super) fn limits(reader: &mut Reader<'_>, table: &DeTable<'_>, settings: &mut Settings) {
    let Settings { flows, streams, defrag, messages, .. } = settings;
    let counts: [(&str, &mut usize); 17] = [
        ("flows", &mut flows.flows),
        ("flow-bytes", &mut flows.bytes),
        ("flows-per-endpoint", &mut flows.flows_per_endpoint),
        ("endpoints", &mut flows.endpoints),
        ("header-bytes", &mut flows.header_bytes),
        ("fragments", &mut settings.fragments),
        ("fragments-per-endpoint", &mut settings.fragments_per_endpoint),
        ("streams", &mut streams.connections),
        ("streams-per-endpoint", &mut streams.connections_per_endpoint),
        ("stream-bytes", &mut streams.bytes),
        ("stream-bytes-per-endpoint", &mut streams.bytes_per_endpoint),
        ("message-bytes", &mut settings.message_bytes),
        ("message-bytes-per-endpoint", &mut settings.message_bytes_per_endpoint),
        ("defrag-datagrams", &mut defrag.datagrams),
        ("defrag-datagrams-per-endpoint", &mut defrag.datagrams_per_endpoint),
        ("defrag-bytes", &mut defrag.bytes),
        ("defrag-bytes-per-endpoint", &mut defrag.bytes_per_endpoint),
    ];
    let sizes: [(&str, &mut u32, u64); 4] = [
        ("stream-window", &mut streams.window, 1 << 30),
        ("message-size", &mut messages.message, 1 << 24),
        ("answers-per-second", &mut settings.answers_per_second, u32::MAX.into()),
        ("icmp-errors-per-second", &mut settings.icmp_errors_per_second, u32::MAX.into()),
    ];
    let names = counts.iter().map(|(key, _)| *key).chain(sizes.iter().map(|(key, ..)| *key));
    let keys: Vec<_> = names.chain(["unhealthy-after"]).collect();
    reader.keys(table, &keys);
    let mut fields = Fields { reader, table };
    for (key, field) in counts {
        // A table without room for bytes of unusual headers is one.
        let least = u64::from(key != "header-bytes");
        let most = match key {
            "flows" => 1 << 28,
            "endpoints" => 1 << 26,
            "fragments" => 1 << 24,
            "streams" => 1 << 28,
            "defrag-datagrams" | "defrag-datagrams-per-endpoint" => 1 << 16,
            _ => MOST,
        };
        fields.number(key, least..=most, |count| {
            *field = usize::try_from(count).unwrap_or(usize::MAX);
        });
    }
    for (key, field, most) in sizes {
        let least = u64::from(!key.ends_with("per-second"));
        fields.number(key, least..=most, |size| {
            *field = u32::try_from(size).unwrap_or(*field);
        });
    }
    fields.number("unhealthy-after", 1..=MOST, |count| settings.unhealthy_after = count);
    share_out(table, settings);
}

/// What is not said of each endpoint follows from what is said of all.
fn share_out(table: &DeTable<'_>, settings: &mut Settings) {
    let Settings { streams, defrag, .. } = settings;
    // With how many quarters of all, and the least that it can be.
    let shares = [
        ("fragments", settings.fragments, &mut settings.fragments_per_endpoint, 2, 1),
        ("streams", streams.connections, &mut streams.connections_per_endpoint, 3, 1),
        ("stream-bytes", streams.bytes, &mut streams.bytes_per_endpoint, 3, 1),
        ("message-bytes", settings.message_bytes, &mut settings.message_bytes_per_endpoint, 3, 1),
        ("defrag-datagrams", defrag.datagrams, &mut defrag.datagrams_per_endpoint, 2, 1),
        ("defrag-bytes", defrag.bytes, &mut defrag.bytes_per_endpoint, 2, 8 << 10),
    ];
    for (key, all, share, quarters, least) in shares {
        if table.get(key).is_some() && table.get(&*format!("{key}-per-endpoint")).is_none() {
            *share = all.div_ceil(4).saturating_mul(quarters).min(all).max(least);
        }
    }
}

/// Beyond what any machine has bytes of.
const MOST: u64 = 1 << 48;

pub(super) fn timeouts(reader: &mut Reader<'_>, table: &DeTable<'_>, settings: &mut Settings) {
    let Settings { timeouts, defrag, .. } = settings;
    let fields_of = [
        ("tcp", &mut timeouts.tcp_established),
        ("half-open", &mut timeouts.tcp_half_open),
        ("closing", &mut timeouts.tcp_closing),
        ("closed", &mut timeouts.tcp_closed),
        ("udp", &mut timeouts.udp),
        ("icmp", &mut timeouts.icmp),
        ("other", &mut timeouts.other),
        ("unanswered", &mut timeouts.unanswered),
        ("defrag", &mut defrag.lifetime),
    ];
    let keys = fields_of.each_ref().map(|(key, _)| *key);
    reader.keys(table, &keys);
    let mut fields = Fields { reader, table };
    for (key, field) in fields_of {
        fields.seconds(key, field);
    }
}

/// Reads the values of a table into the fields that they are meant for. What is not there changes nothing.
pub(super) struct Fields<'r, 'e, 't, 'a> {
    pub(super) reader: &'r mut Reader<'e>,
    pub(super) table: &'t DeTable<'a>,
}

impl Fields<'_, '_, '_, '_> {
    pub(super) fn word<T, const N: usize>(
        &mut self,
        key: &str,
        words: [(&str, T); N],
        field: &mut T,
    ) {
        if let Some(meant) = self.table.get(key).and_then(|value| self.reader.word(value, words)) {
            *field = meant;
        }
    }

    pub(super) fn truth(&mut self, key: &str, field: &mut bool) {
        let Some(value) = self.table.get(key) else { return };
        match value.get_ref().as_bool() {
            Some(truth) => *field = truth,
            None => self.reader.wrong_type(value, "`true` or `false`"),
        }
    }

    pub(super) fn number(&mut self, key: &str, range: RangeInclusive<u64>, set: impl FnOnce(u64)) {
        let Some(value) = self.table.get(key) else { return };
        let DeValue::Integer(number) = value.get_ref() else {
            return self.reader.wrong_type(value, "an integer");
        };
        match u64::from_str_radix(number.as_str(), number.radix()) {
            Ok(number) if range.contains(&number) => set(number),
            _ => {
                let expected = format!("a number from {} to {}", range.start(), range.end());
                self.unlike(value, expected, number.to_string());
            }
        }
    }

    /// Seconds, which may have a fraction.
    pub(super) fn seconds(&mut self, key: &str, field: &mut Duration) {
        let Some(value) = self.table.get(key) else { return };
        let (number, found) = match value.get_ref() {
            DeValue::Integer(number) if number.radix() == 10 => {
                (number.as_str().parse::<f64>(), number.to_string())
            }
            DeValue::Float(number) => (number.as_str().parse(), number.to_string()),
            _ => return self.reader.wrong_type(value, "a number of seconds"),
        };
        let in_range = number.ok().filter(|number| (0.0..=LONGEST).contains(number));
        match in_range.and_then(|number| Duration::try_from_secs_f64(number).ok()) {
            Some(duration) => *field = duration,
            None => self.unlike(value, format!("0 to {LONGEST} seconds"), found),
        }
    }

    pub(super) fn parsed<T: core::str::FromStr>(
        &mut self,
        key: &str,
        expected: &str,
        field: &mut T,
    ) {
        let Some(value) = self.table.get(key) else { return };
        let Some(text) = value.get_ref().as_str() else {
            return self.reader.wrong_type(value, "a string");
        };
        match text.parse() {
            Ok(parsed) => *field = parsed,
            Err(_) => self.unlike(value, expected.into(), text.into()),
        }
    }

    /// A token. What is none may be almost one, and is not told.
    fn token(&mut self, key: &str, field: &mut Option<Token>) {
        let Some(value) = self.table.get(key) else { return };
        let Some(text) = value.get_ref().as_str() else {
            return self.reader.wrong_type(value, "a string");
        };
        match text.parse() {
            Ok(token) => *field = Some(token),
            Err(TokenError::Length { found }) => {
                self.unlike(value, Token::FORM.into(), format!("{found} characters"));
            }
            Err(_) => self.unlike(value, Token::FORM.into(), "other characters".into()),
        }
    }

    /// One name of a machine or a list of them.
    fn hosts(&mut self, value: &Value<'_>) -> Vec<String> {
        let values = match value.get_ref() {
            DeValue::Array(values) => values.iter().collect(),
            _ => Vec::from([value]),
        };
        let is_sign = |byte: u8| byte.is_ascii_alphanumeric() || b"-._".contains(&byte);
        let mut hosts = Vec::new();
        for value in values {
            match value.get_ref().as_str() {
                Some(host) if !host.is_empty() && host.bytes().all(is_sign) => {
                    hosts.push(host.to_string());
                }
                Some(other) => {
                    let expected = "a name without port, as `appliance.example.com`".into();
                    self.unlike(value, expected, other.into());
                }
                None => self.reader.wrong_type(value, "a string or a list of strings"),
            }
        }
        hosts
    }

    /// An address with a port, or none.
    fn listener(&mut self, key: &str, field: &mut Option<core::net::SocketAddr>) {
        let Some(value) = self.table.get(key) else { return };
        if value.get_ref().as_str() == Some("off") {
            *field = None;
            return;
        }
        let mut address = core::net::SocketAddr::from(([0, 0, 0, 0], 0));
        let errors_before = self.reader.errors();
        self.parsed(key, "an address with a port, as `127.0.0.1:9090`, or `off`", &mut address);
        if self.reader.errors() == errors_before {
            *field = Some(address);
        }
    }

    /// One network or a list of them.
    fn networks(&mut self, value: &Value<'_>) -> Vec<IpNetwork> {
        let values = match value.get_ref() {
            DeValue::Array(values) => values.iter().collect(),
            _ => Vec::from([value]),
        };
        let mut networks = Vec::new();
        for value in values {
            let Some(text) = value.get_ref().as_str() else {
                self.reader.wrong_type(value, "a string or a list of strings");
                continue;
            };
            match network(text) {
                Ok(network) if network.address().is_ipv4() => networks.push(network),
                // What carries GENEVE here is IPv4 (wire.md §1).
                Ok(_) => self.unlike(value, "an IPv4 network".into(), text.into()),
                Err(problem) => self.reader.report(value.span().start, problem),
            }
        }
        networks
    }

    fn unlike(&mut self, value: &Value<'_>, expected: String, found: String) {
        let problem = ConfigProblem::Word { expected, found, suggestion: None };
        self.reader.report(value.span().start, problem);
    }
}
