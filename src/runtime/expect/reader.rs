use alloc::string::{String, ToString};
use alloc::vec::Vec;
use core::net::{IpAddr, SocketAddr};
use core::ops::RangeInclusive;

use toml::de::{DeTable, DeValue};

use super::{Count, End, Expectations, ExpectedAlert, ExpectedFlow, ExpectedPackets, Table};
use crate::config::{ConfigErrors, ConfigProblem};
use crate::engine::Disposition;
use crate::inspect::{Action, Exception, Severity};
use crate::packet::IpProtocol;
use crate::toml_text::{Reader, Value, alternatives, suggestion};

const KEYS: [&str; 9] =
    ["capture", "config", "ports", "counts", "dropped", "exceptions", "packet", "flow", "alert"];
const PACKET_KEYS: [&str; 6] = ["number", "verdict", "reason", "exception", "would", "alerts"];
const FLOW_KEYS: [&str; 8] =
    ["from", "to", "endpoint", "protocol", "verdict", "reason", "packets", "forwarded"];
const ALERT_KEYS: [&str; 5] = ["name", "message", "severity", "packet", "count"];
/// TOML has no larger integers.
const MOST: RangeInclusive<u64> = 0..=i64::MAX as u64;

/// Reads on after a mistake, so that all of them are found at once.
pub(super) fn read(text: &str) -> Result<Expectations, ConfigErrors> {
    let mut reader = Reader::new(text);
    let Some(document) = reader.document() else { return Err(reader.finish()) };
    reader.keys(&document, &KEYS);
    let expectations = Expectations {
        capture: string(&mut reader, &document, "capture"),
        config: string(&mut reader, &document, "config"),
        ports: ports(&mut reader, &document),
        counts: counts(&mut reader, &document),
        dropped: rows(&mut reader, &document, "dropped", None),
        exceptions: rows(
            &mut reader,
            &document,
            "exceptions",
            Some(&Exception::ALL.map(Exception::name)),
        ),
        packets: tables(&mut reader, &document, "packet", packets),
        flows: tables(&mut reader, &document, "flow", flow),
        alerts: tables(&mut reader, &document, "alert", alert),
    };
    if reader.errors() == 0 && expectations.is_empty() {
        // It could not fail.
        let expected = "one of `counts`, `dropped`, `exceptions`, `packet`, `flow` or `alert`";
        reader.unexpected(0, expected, "nothing that is expected");
    }
    if reader.errors() > 0 { Err(reader.finish()) } else { Ok(expectations) }
}

impl Expectations {
    fn is_empty(&self) -> bool {
        self.counts.is_empty()
            && self.dropped.is_none()
            && self.exceptions.is_none()
            && self.packets.is_empty()
            && self.flows.is_empty()
            && self.alerts.is_empty()
    }
}

fn line(reader: &Reader<'_>, at: usize) -> usize {
    reader.places().find(at).0
}

fn string(reader: &mut Reader<'_>, table: &DeTable<'_>, key: &str) -> Option<String> {
    let value = table.get(key)?;
    let text = value.get_ref().as_str();
    if text.is_none() {
        reader.wrong_type(value, "a string");
    }
    text.map(String::from)
}

fn values<'t, 'a>(value: &'t Value<'a>) -> Vec<&'t Value<'a>> {
    match value.get_ref() {
        DeValue::Array(values) => values.iter().collect(),
        _ => Vec::from([value]),
    }
}

fn ports(reader: &mut Reader<'_>, document: &DeTable<'_>) -> Vec<u16> {
    let Some(value) = document.get("ports") else { return Vec::new() };
    let values = values(value);
    if values.is_empty() {
        reader.report(value.span().start, ConfigProblem::Empty { key: "ports" });
    }
    let mut ports = Vec::new();
    for value in values {
        let found = integer(reader, value, "a port or a list of ports", 1..=65_535);
        ports.extend(found.and_then(|port| u16::try_from(port).ok()));
    }
    ports
}

fn integer(
    reader: &mut Reader<'_>,
    value: &Value<'_>,
    expected: &'static str,
    range: RangeInclusive<u64>,
) -> Option<u64> {
    let DeValue::Integer(number) = value.get_ref() else {
        reader.wrong_type(value, expected);
        return None;
    };
    let parsed = u64::from_str_radix(number.as_str(), number.radix()).ok();
    let parsed = parsed.filter(|number| range.contains(number));
    if parsed.is_none() {
        let expected = alloc::format!("a number from {} to {}", range.start(), range.end());
        reader.unexpected(value.span().start, expected, &number.to_string());
    }
    parsed
}

fn counts(reader: &mut Reader<'_>, document: &DeTable<'_>) -> Vec<(usize, Count, u64)> {
    let names = Count::ALL.map(|(name, _)| name);
    let rows = rows(reader, document, "counts", Some(&names)).map(|table| table.rows);
    let count = |(line, name, number): (usize, String, u64)| {
        let (_, count) = *Count::ALL.iter().find(|(known, _)| *known == name)?;
        Some((line, count, number))
    };
    rows.unwrap_or_default().into_iter().filter_map(count).collect()
}

/// A table of counts, whose keys are `names` or anything.
fn rows(
    reader: &mut Reader<'_>,
    document: &DeTable<'_>,
    key: &str,
    names: Option<&[&'static str]>,
) -> Option<Table> {
    let value = document.get(key)?;
    let Some(table) = value.get_ref().as_table() else {
        reader.wrong_type(value, "a table");
        return None;
    };
    if let Some(names) = names {
        reader.keys(table, names);
    }
    let mut rows = Vec::new();
    for (name, value) in table {
        let at = line(reader, name.span().start);
        if let Some(count) = integer(reader, value, "an integer", MOST) {
            rows.push((at, name.get_ref().to_string(), count));
        }
    }
    Some(Table { line: line(reader, value.span().start), rows })
}

/// Every table of an array.
fn tables<T>(
    reader: &mut Reader<'_>,
    document: &DeTable<'_>,
    key: &str,
    read: impl Fn(&mut Reader<'_>, &DeTable<'_>, usize) -> Option<T>,
) -> Vec<T> {
    let Some(value) = document.get(key) else { return Vec::new() };
    let Some(array) = value.get_ref().as_array() else {
        reader.wrong_type(value, "an array of tables");
        return Vec::new();
    };
    let mut found = Vec::new();
    for value in array.iter() {
        match value.get_ref().as_table() {
            Some(table) => found.extend(read(reader, table, value.span().start)),
            None => reader.wrong_type(value, "a table"),
        }
    }
    found
}

/// A table in which nothing but `known` stands expects nothing.
fn expects_something(
    reader: &mut Reader<'_>,
    table: &DeTable<'_>,
    at: usize,
    keys: &[&str],
    known: &[&str],
) {
    let is_expectation = |key: &&str| !known.contains(key);
    if !keys.iter().filter(|key| is_expectation(key)).any(|key| table.contains_key(*key)) {
        let keys: Vec<_> = keys.iter().copied().filter(|key| is_expectation(key)).collect();
        let expected = alloc::format!("one of {} here, found none", alternatives(&keys));
        reader.report(at, ConfigProblem::Together(alloc::format!("expected {expected}")));
    }
}

fn packets(reader: &mut Reader<'_>, table: &DeTable<'_>, at: usize) -> Option<ExpectedPackets> {
    reader.keys(table, &PACKET_KEYS);
    expects_something(reader, table, at, &PACKET_KEYS, &["number"]);
    let Some(value) = table.get("number") else {
        reader.report(at, ConfigProblem::Missing { key: "number" });
        return None;
    };
    let values = values(value);
    if values.is_empty() {
        reader.unexpected(value.span().start, "the number of a packet at least", "an empty list");
    }
    let mut numbers = Vec::new();
    for value in values {
        numbers.extend(match value.get_ref() {
            DeValue::String(text) => range(reader, value, text),
            _ => integer(reader, value, "a number, a range or a list of them", 1..=*MOST.end())
                .map(|number| number..=number),
        });
    }
    Some(ExpectedPackets {
        line: line(reader, at),
        numbers,
        verdict: verdict(reader, table),
        reason: string(reader, table, "reason"),
        exception: exception(reader, table),
        would: table.get("would").and_then(|value| {
            reader.word(value, [("drop", Action::Drop), ("reject", Action::Reject)])
        }),
        alerts: table.get("alerts").map(|value| names(reader, value)),
    })
}

fn range(reader: &mut Reader<'_>, value: &Value<'_>, text: &str) -> Option<RangeInclusive<u64>> {
    let ends = text.split_once('-').and_then(|(first, last)| {
        Some((first.trim().parse::<u64>().ok()?, last.trim().parse::<u64>().ok()?))
    });
    match ends {
        Some((first, last)) if first > 0 && first <= last => Some(first..=last),
        _ => {
            reader.unexpected(value.span().start, "a range of numbers, as `13-20`", text);
            None
        }
    }
}

fn names(reader: &mut Reader<'_>, value: &Value<'_>) -> Vec<String> {
    let mut names = Vec::new();
    for value in values(value) {
        match value.get_ref().as_str() {
            Some(name) => names.push(name.into()),
            None => reader.wrong_type(value, "a string or a list of strings"),
        }
    }
    names
}

fn verdict(reader: &mut Reader<'_>, table: &DeTable<'_>) -> Option<Disposition> {
    use Disposition::{Drop, Forward, ForwardEdited, Reject};
    let words = [Forward, ForwardEdited, Drop, Reject].map(|it| (it.name(), it));
    reader.word(table.get("verdict")?, words)
}

fn exception(reader: &mut Reader<'_>, table: &DeTable<'_>) -> Option<Option<Exception>> {
    let value = table.get("exception")?;
    let Some(found) = value.get_ref().as_str() else {
        reader.wrong_type(value, "a string");
        return None;
    };
    let class = Exception::from_name(found);
    if class.is_none() && !found.is_empty() {
        let names = Exception::ALL.map(Exception::name);
        let suggestion = suggestion(found, names).map(String::from);
        let (expected, found) = (alternatives(&names), found.into());
        reader.report(value.span().start, ConfigProblem::Word { expected, found, suggestion });
    }
    Some(class)
}

fn flow(reader: &mut Reader<'_>, table: &DeTable<'_>, at: usize) -> Option<ExpectedFlow> {
    reader.keys(table, &FLOW_KEYS);
    expects_something(reader, table, at, &FLOW_KEYS, &["from", "to", "endpoint", "protocol"]);
    let (from, to) = (end(reader, table, at, "from"), end(reader, table, at, "to"));
    let endpoint = string(reader, table, "endpoint").and_then(|text| match text.parse() {
        Ok(endpoint) => Some(endpoint),
        Err(error) => {
            let at = table.get("endpoint").map_or(at, |value| value.span().start);
            let expected = crate::inspectors::access::config::expected_endpoint(error);
            reader.unexpected(at, expected, &text);
            None
        }
    });
    let flow = ExpectedFlow {
        line: line(reader, at),
        from: from?,
        to: to?,
        endpoint,
        protocol: table.get("protocol").and_then(|value| protocol(reader, value)),
        verdict: verdict(reader, table),
        reason: string(reader, table, "reason"),
        packets: reader.number(table, "packets", MOST),
        forwarded: reader.number(table, "forwarded", MOST),
    };
    Some(flow)
}

fn end(reader: &mut Reader<'_>, table: &DeTable<'_>, at: usize, key: &'static str) -> Option<End> {
    let Some(value) = table.get(key) else {
        reader.report(at, ConfigProblem::Missing { key });
        return None;
    };
    let text = string(reader, table, key)?;
    if let Ok(address) = text.parse::<IpAddr>() {
        return Some(End { address, port: None });
    }
    match text.parse::<SocketAddr>() {
        Ok(end) => Some(End { address: end.ip(), port: Some(end.port()) }),
        Err(_) => {
            let expected = "an address, as `10.0.0.1`, `10.0.0.1:80` or `[2001:db8::1]:80`";
            reader.unexpected(value.span().start, expected, &text);
            None
        }
    }
}

fn protocol(reader: &mut Reader<'_>, value: &Value<'_>) -> Option<IpProtocol> {
    if let DeValue::Integer(_) = value.get_ref() {
        let number = integer(reader, value, "an integer", 0..=255)?;
        return u8::try_from(number).ok().map(IpProtocol);
    }
    let words = [
        ("tcp", IpProtocol::TCP),
        ("udp", IpProtocol::UDP),
        ("icmp", IpProtocol::ICMP),
        ("icmpv6", IpProtocol::ICMPV6),
        ("gre", IpProtocol::GRE),
        ("esp", IpProtocol::ESP),
    ];
    reader.word(value, words)
}

fn alert(reader: &mut Reader<'_>, table: &DeTable<'_>, at: usize) -> Option<ExpectedAlert> {
    reader.keys(table, &ALERT_KEYS);
    expects_something(reader, table, at, &ALERT_KEYS, &["count"]);
    let severities = [
        ("info", Severity::Info),
        ("notice", Severity::Notice),
        ("warning", Severity::Warning),
        ("critical", Severity::Critical),
    ];
    Some(ExpectedAlert {
        line: line(reader, at),
        name: string(reader, table, "name"),
        message: string(reader, table, "message"),
        severity: table.get("severity").and_then(|value| reader.word(value, severities)),
        packet: table.get("packet").and_then(|value| packet(reader, value)),
        count: reader.number(table, "count", MOST),
    })
}

/// The number of a packet, or that there is none.
fn packet(reader: &mut Reader<'_>, value: &Value<'_>) -> Option<Option<u64>> {
    match value.get_ref().as_str() {
        Some("none") => Some(None),
        Some(found) => {
            reader.unexpected(value.span().start, "the number of a packet or `none`", found);
            None
        }
        None => integer(reader, value, "a number or `none`", 1..=*MOST.end()).map(Some),
    }
}
