use alloc::string::{String, ToString};
use alloc::vec::Vec;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::suggestion::{alternatives, suggestion};
use super::{ConfigError, ConfigErrors, ConfigProblem};
use crate::inspectors::access::{
    AccessList, Action, Direction, IpNetwork, PortRange, Rule, RuleIndex,
};
use crate::packet::IpProtocol;

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

/// Reads on after an error, so that all of them are found at once.
pub(super) struct Reader<'a> {
    text: &'a str,
    errors: Vec<(usize, ConfigProblem)>,
}

type Value<'a> = Spanned<DeValue<'a>>;

impl<'a> Reader<'a> {
    pub(super) fn new(text: &'a str) -> Self {
        Self { text, errors: Vec::new() }
    }

    pub(super) fn read(mut self, path: Option<&str>) -> Result<AccessList, ConfigErrors> {
        let (document, syntax) = DeTable::parse_recoverable(self.text);
        for error in &syntax {
            let at = error.span().map_or(0, |span| span.start);
            self.report(at, ConfigProblem::Syntax(error.message().into()));
        }
        if !syntax.is_empty() {
            // What follows a mistake may be taken for something else than it is.
            return Err(self.finish());
        }
        let Some((table, at)) = self.table(document.get_ref(), path) else {
            return Err(self.finish());
        };
        let (default, rules) = self.list(table, at);
        if !self.errors.is_empty() {
            return Err(self.finish());
        }
        let mut places = Places::of(self.text);
        let (rules, lines): (Vec<_>, _) =
            rules.into_iter().map(|(at, rule)| (rule, places.find(at).0)).unzip();
        let list = AccessList::new(default, rules).map_err(|error| {
            self.report(at, error.into());
            self.finish()
        })?;
        Ok(AccessList { lines, ..list })
    }

    /// The table that a path leads to, and its place.
    fn table<'t>(
        &mut self,
        document: &'t DeTable<'a>,
        path: Option<&str>,
    ) -> Option<(&'t DeTable<'a>, usize)> {
        let (mut table, mut at) = (document, 0);
        for key in path.iter().flat_map(|path| path.split('.')) {
            let Some(value) = table.get(key) else {
                let path = path.unwrap_or_default().into();
                self.report(at, ConfigProblem::NoTable { path });
                return None;
            };
            let Some(inner) = value.get_ref().as_table() else {
                self.wrong_type(value, "a table");
                return None;
            };
            (table, at) = (inner, value.span().start);
        }
        Some((table, at))
    }

    /// The default, and the rules with their places.
    fn list(&mut self, table: &DeTable<'_>, at: usize) -> (Action, Vec<(usize, Rule)>) {
        self.keys(table, &LIST_KEYS);
        let default = self.action(table, "default", at);
        let mut rules = Vec::new();
        if let Some(value) = table.get("rule") {
            let Some(array) = value.get_ref().as_array() else {
                self.wrong_type(value, "`[[rule]]` tables");
                return (default, rules);
            };
            for (number, value) in (0..u32::MAX).zip(array.iter()) {
                let Some(table) = value.get_ref().as_table() else {
                    self.wrong_type(value, "a table");
                    continue;
                };
                let at = value.span().start;
                rules.push((at, self.rule(table, at, RuleIndex(number))));
            }
        }
        (default, rules)
    }

    fn rule(&mut self, table: &DeTable<'_>, at: usize, index: RuleIndex) -> Rule {
        let errors_before = self.errors.len();
        self.keys(table, &RULE_KEYS);
        let mut rule = Rule::new(self.action(table, "action", at));
        if let Some(value) = table.get("name") {
            match value.get_ref().as_str() {
                Some(name) => rule.name = Some(name.into()),
                None => self.wrong_type(value, "a string"),
            }
        }
        if let Some(value) = table.get("log") {
            match value.get_ref().as_bool() {
                Some(log) => rule.log = log,
                None => self.wrong_type(value, "`true` or `false`"),
            }
        }
        if let Some(value) = table.get("direction") {
            let words = [("to-server", Direction::ToServer), ("both", Direction::Both)];
            rule.direction = self.word(value, words).unwrap_or_default();
        }
        rule.endpoints = self.many(table, "endpoint", |text| {
            let problem = |error| ConfigProblem::Endpoint { found: text.into(), error };
            Ok(Vec::from([text.parse().map_err(problem)?]))
        });
        rule.from = self.many(table, "from", network);
        rule.to = self.many(table, "to", network);
        rule.ports = self.many(table, "ports", ports);
        rule.source_ports = self.many(table, "source-ports", ports);
        rule.protocols = self.many(table, "protocol", protocol);
        if self.errors.len() == errors_before {
            if let Err(error) = rule.check(index) {
                self.report(at, error.into());
            }
        }
        rule
    }

    /// Whatever the action is, if it is wrong: no list is made then.
    fn action(&mut self, table: &DeTable<'_>, key: &'static str, at: usize) -> Action {
        let words = [("allow", Action::Allow), ("drop", Action::Drop), ("reject", Action::Reject)];
        match table.get(key) {
            Some(value) => self.word(value, words).unwrap_or(Action::Drop),
            None => {
                self.report(at, ConfigProblem::Missing { key });
                Action::Drop
            }
        }
    }

    fn keys(&mut self, table: &DeTable<'_>, keys: &[&'static str]) {
        for key in table.keys().filter(|key| !keys.contains(&key.get_ref().as_ref())) {
            let found = key.get_ref().to_string();
            let suggestion = suggestion(&found, keys.iter().copied());
            let expected = alternatives(keys);
            self.report(key.span().start, ConfigProblem::Key { expected, found, suggestion });
        }
    }

    fn word<T, const N: usize>(&mut self, value: &Value<'_>, words: [(&str, T); N]) -> Option<T> {
        let names = words.each_ref().map(|(name, _)| *name);
        let Some(found) = value.get_ref().as_str() else {
            self.wrong_type(value, "a string");
            return None;
        };
        let meant = words.into_iter().find(|(name, _)| *name == found);
        if meant.is_none() {
            let suggestion = suggestion(found, names).map(String::from);
            let (expected, found) = (alternatives(&names), found.into());
            self.report(value.span().start, ConfigProblem::Word { expected, found, suggestion });
        }
        meant.map(|(_, meaning)| meaning)
    }

    /// One value or a list of them, each of which may mean several things.
    fn many<T>(
        &mut self,
        table: &DeTable<'_>,
        key: &'static str,
        parse: impl Fn(&str) -> Result<Vec<T>, ConfigProblem>,
    ) -> Vec<T> {
        let Some(value) = table.get(key) else { return Vec::new() };
        let values = match value.get_ref() {
            DeValue::Array(values) if values.is_empty() => {
                self.report(value.span().start, ConfigProblem::Empty { key });
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
                DeValue::Integer(number) if numbers && number.radix() == 10 => {
                    parse(number.as_str())
                }
                _ if numbers => {
                    self.wrong_type(value, "a string, a decimal number, or a list of them");
                    continue;
                }
                _ => {
                    self.wrong_type(value, "a string or a list of strings");
                    continue;
                }
            };
            match parsed {
                Ok(parsed) => all.extend(parsed),
                Err(problem) => self.report(value.span().start, problem),
            }
        }
        all
    }

    fn wrong_type(&mut self, value: &Value<'_>, expected: &'static str) {
        let found = match value.get_ref() {
            DeValue::String(_) => "a string",
            DeValue::Integer(_) => "an integer",
            DeValue::Float(_) => "a float",
            DeValue::Boolean(_) => "a boolean",
            DeValue::Datetime(_) => "a date or time",
            DeValue::Array(_) => "an array",
            DeValue::Table(_) => "a table",
        };
        self.report(value.span().start, ConfigProblem::Type { expected, found });
    }

    fn report(&mut self, at: usize, problem: ConfigProblem) {
        self.errors.push((at, problem));
    }

    fn finish(mut self) -> ConfigErrors {
        self.errors.sort_by_key(|(at, _)| *at);
        let mut places = Places::of(self.text);
        let errors = self.errors.into_iter().map(|(at, problem)| {
            let (line, column) = places.find(at);
            ConfigError { line, column, problem }
        });
        ConfigErrors { errors: errors.collect() }
    }
}

/// Turns offsets, of which none is lower than those before it, into lines and columns.
struct Places<'a> {
    line: usize,
    line_at: usize,
    rest: &'a str,
}

impl<'a> Places<'a> {
    fn of(text: &'a str) -> Self {
        Self { line: 1, line_at: 0, rest: text }
    }

    /// Line and column, both counted from 1.
    fn find(&mut self, at: usize) -> (usize, usize) {
        while let Some((before, after)) = self.rest.split_once('\n') {
            let next = self.line_at.saturating_add(before.len()).saturating_add(1);
            if at < next {
                break;
            }
            (self.line, self.line_at, self.rest) = (self.line.saturating_add(1), next, after);
        }
        let before = self.rest.get(..at.saturating_sub(self.line_at)).unwrap_or(self.rest);
        (self.line, before.chars().count().saturating_add(1))
    }
}

fn network(text: &str) -> Result<Vec<IpNetwork>, ConfigProblem> {
    let problem = |error| ConfigProblem::Network { found: text.into(), error };
    Ok(Vec::from([text.parse().map_err(problem)?]))
}

fn ports(text: &str) -> Result<Vec<PortRange>, ConfigProblem> {
    text.split(',')
        .map(|range| {
            let range = range.trim();
            range.parse().map_err(|error| ConfigProblem::Ports { found: range.into(), error })
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
