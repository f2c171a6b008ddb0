use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;

use toml::de::{DeTable, DeValue};

use super::{ConfigErrors, ConfigProblem};
use crate::gwlb::ParseIdError;
use crate::inspectors::access::{
    AccessList, Action, Direction, IpNetwork, NetworkError, PortRange, Rule, RuleIndex,
};
use crate::packet::IpProtocol;
use crate::toml_text::{Reader, suggestion};

const LIST_KEYS: [&str; 2] = ["default", "rule"];
const RULE_KEYS: [&str; 10] = [
    "name",
    "action",
    "log",
    "direction",
    "endpoint",
    "from",
    "to",
    "ports",
    "source-ports",
    "protocol",
];
/// Those of them that say which flows a rule takes.
#[cfg(feature = "config")]
pub(crate) const FLOW_KEYS: [&str; 8] =
    ["name", "direction", "endpoint", "from", "to", "ports", "source-ports", "protocol"];

pub(super) fn read(mut reader: Reader<'_>, path: Option<&str>) -> Result<AccessList, ConfigErrors> {
    let Some(document) = reader.document() else { return Err(reader.finish()) };
    let list = match table(&mut reader, &document, path) {
        Some((table, at)) => access_list(&mut reader, table, at),
        None => None,
    };
    list.ok_or_else(|| reader.finish())
}

/// The list in a table that begins at `at`, `None` where there is a mistake in it.
pub(crate) fn access_list(
    reader: &mut Reader<'_>,
    table: &DeTable<'_>,
    at: usize,
) -> Option<AccessList> {
    let errors_before = reader.errors();
    let (default, rules) = list(reader, table, at);
    if reader.errors() > errors_before {
        return None;
    }
    let mut places = reader.places();
    let (rules, lines): (Vec<_>, _) =
        rules.into_iter().map(|(at, rule)| (rule, places.find(at).0)).unzip();
    match AccessList::new(default, rules) {
        Ok(list) => Some(AccessList { lines, ..list }),
        Err(error) => {
            reader.report(at, ConfigProblem::Together(error.to_string()));
            None
        }
    }
}

/// The table that a path leads to, and its place.
pub(crate) fn table<'t, 'a>(
    reader: &mut Reader<'_>,
    document: &'t DeTable<'a>,
    path: Option<&str>,
) -> Option<(&'t DeTable<'a>, usize)> {
    let (mut table, mut at) = (document, 0);
    for key in path.iter().flat_map(|path| path.split('.')) {
        let Some(value) = table.get(key) else {
            let path = path.unwrap_or_default().into();
            reader.report(at, ConfigProblem::NoTable { path });
            return None;
        };
        let Some(inner) = value.get_ref().as_table() else {
            reader.wrong_type(value, "a table");
            return None;
        };
        (table, at) = (inner, value.span().start);
    }
    Some((table, at))
}

/// The default, and the rules with their places.
fn list(reader: &mut Reader<'_>, table: &DeTable<'_>, at: usize) -> (Action, Vec<(usize, Rule)>) {
    reader.keys(table, &LIST_KEYS);
    let default = action(reader, table, "default", at);
    let mut rules = Vec::new();
    if let Some(value) = table.get("rule") {
        let Some(array) = value.get_ref().as_array() else {
            reader.wrong_type(value, "`[[rule]]` tables");
            return (default, rules);
        };
        for (number, value) in (0..u32::MAX).zip(array.iter()) {
            let Some(table) = value.get_ref().as_table() else {
                reader.wrong_type(value, "a table");
                continue;
            };
            let at = value.span().start;
            rules.push((at, rule(reader, table, at, RuleIndex(number))));
        }
    }
    (default, rules)
}

fn rule(reader: &mut Reader<'_>, table: &DeTable<'_>, at: usize, index: RuleIndex) -> Rule {
    let errors_before = reader.errors();
    reader.keys(table, &RULE_KEYS);
    let action = action(reader, table, "action", at);
    let mut rule = flows(reader, table, Rule::new(action));
    if let Some(value) = table.get("log") {
        match value.get_ref().as_bool() {
            Some(log) => rule.log = log,
            None => reader.wrong_type(value, "`true` or `false`"),
        }
    }
    if reader.errors() == errors_before {
        if let Err(error) = rule.check(index) {
            reader.report(at, ConfigProblem::Together(error.to_string()));
        }
    }
    rule
}

/// The same rule, for the flows that the table says.
pub(crate) fn flows(reader: &mut Reader<'_>, table: &DeTable<'_>, mut rule: Rule) -> Rule {
    if let Some(value) = table.get("name") {
        match value.get_ref().as_str() {
            Some(name) => rule.name = Some(name.into()),
            None => reader.wrong_type(value, "a string"),
        }
    }
    if let Some(value) = table.get("direction") {
        let words = [("to-server", Direction::ToServer), ("both", Direction::Both)];
        rule.direction = reader.word(value, words).unwrap_or_default();
    }
    rule.endpoints = many(reader, table, "endpoint", |text| {
        let problem = |error| unexpected(expected_endpoint(error), text);
        Ok(Vec::from([text.parse().map_err(problem)?]))
    });
    rule.from = many(reader, table, "from", networks);
    rule.to = many(reader, table, "to", networks);
    rule.ports = many(reader, table, "ports", ports);
    rule.source_ports = many(reader, table, "source-ports", ports);
    rule.protocols = many(reader, table, "protocol", protocol);
    rule
}

/// Whatever the action is, if it is wrong: no list is made then.
fn action(reader: &mut Reader<'_>, table: &DeTable<'_>, key: &'static str, at: usize) -> Action {
    let words = [("allow", Action::Allow), ("drop", Action::Drop), ("reject", Action::Reject)];
    match table.get(key) {
        Some(value) => reader.word(value, words).unwrap_or(Action::Drop),
        None => {
            reader.report(at, ConfigProblem::Missing { key });
            Action::Drop
        }
    }
}

/// One value or a list of them, each of which may mean several things.
pub(crate) fn many<T>(
    reader: &mut Reader<'_>,
    table: &DeTable<'_>,
    key: &'static str,
    mut parse: impl FnMut(&str) -> Result<Vec<T>, ConfigProblem>,
) -> Vec<T> {
    let Some(value) = table.get(key) else { return Vec::new() };
    let values = match value.get_ref() {
        DeValue::Array(values) if values.is_empty() => {
            reader.report(value.span().start, ConfigProblem::Empty { key });
            return Vec::new();
        }
        DeValue::Array(values) => values.iter().collect(),
        _ => Vec::from([value]),
    };
    let numbers = matches!(key, "ports" | "source-ports" | "protocol");
    let mut all = Vec::new();
    for value in values {
        let parsed = match value.get_ref() {
            DeValue::String(text) => parse(text),
            DeValue::Integer(number) if numbers && number.radix() == 10 => parse(number.as_str()),
            _ if numbers => {
                reader.wrong_type(value, "a string, a decimal number, or a list of them");
                continue;
            }
            _ => {
                reader.wrong_type(value, "a string or a list of strings");
                continue;
            }
        };
        match parsed {
            Ok(parsed) => all.extend(parsed),
            Err(problem) => reader.report(value.span().start, problem),
        }
    }
    all
}

pub(crate) fn networks(text: &str) -> Result<Vec<IpNetwork>, ConfigProblem> {
    Ok(Vec::from([network(text)?]))
}

pub(crate) fn network(text: &str) -> Result<IpNetwork, ConfigProblem> {
    let problem = |error| match error {
        NetworkError::PrefixLength { longest, .. } => {
            unexpected(format!("a prefix length of at most {longest}"), text)
        }
        error => unexpected(told(error), text),
    };
    text.parse().map_err(problem)
}

pub(crate) fn ports(text: &str) -> Result<Vec<PortRange>, ConfigProblem> {
    text.split(',')
        .map(|range| {
            let range = range.trim();
            range.parse().map_err(|error| unexpected(told(error), range))
        })
        .collect()
}

fn protocol(text: &str) -> Result<Vec<IpProtocol>, ConfigProblem> {
    let named = || (0..=u8::MAX).map(IpProtocol);
    let same = |protocol: &IpProtocol| protocol.to_string().eq_ignore_ascii_case(text);
    if let Some(protocol) = named().find(same) {
        return Ok(Vec::from([protocol]));
    }
    if let Ok(number) = text.parse() {
        return Ok(Vec::from([IpProtocol(number)]));
    }
    let names = named().map(|protocol| protocol.to_string().to_lowercase());
    let names = names.filter(|name| name.starts_with(|first: char| first.is_alphabetic()));
    Err(ConfigProblem::Word {
        expected: "a protocol's name or its number from 0 to 255".into(),
        found: text.into(),
        suggestion: suggestion(text, names),
    })
}

/// What an endpoint is written like, where a text is not.
pub(crate) fn expected_endpoint(error: ParseIdError) -> String {
    match error {
        ParseIdError::Prefix { expected } => format!("`{expected}` at the start"),
        ParseIdError::Length { expected, .. } => {
            format!("{expected} hexadecimal digits after `vpce-`")
        }
        error => told(error),
    }
}

/// What an error says that was expected.
fn told(error: impl core::fmt::Display) -> String {
    let text = error.to_string();
    text.strip_prefix("expected ").map_or(text.clone(), String::from)
}

fn unexpected(expected: String, found: &str) -> ConfigProblem {
    ConfigProblem::Word { expected, found: found.into(), suggestion: None }
}
