use alloc::string::ToString;
use alloc::vec::Vec;

use toml::de::{DeTable, DeValue};

use super::document::{Places, Reader};
use super::suggestion::suggestion;
use super::{ConfigErrors, ConfigProblem};
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

impl<'a> Reader<'a> {
    pub(super) fn read(mut self, path: Option<&str>) -> Result<AccessList, ConfigErrors> {
        let Some(document) = self.document() else { return Err(self.finish()) };
        let list = match self.table(&document, path) {
            Some((table, at)) => self.access_list(table, at),
            None => None,
        };
        list.ok_or_else(|| self.finish())
    }

    /// The list in a table that begins at `at`, `None` where there is a mistake in it.
    pub(crate) fn access_list(&mut self, table: &DeTable<'_>, at: usize) -> Option<AccessList> {
        let errors_before = self.errors.len();
        let (default, rules) = self.list(table, at);
        if self.errors.len() > errors_before {
            return None;
        }
        let mut places = Places::of(self.text);
        let (rules, lines): (Vec<_>, _) =
            rules.into_iter().map(|(at, rule)| (rule, places.find(at).0)).unzip();
        match AccessList::new(default, rules) {
            Ok(list) => Some(AccessList { lines, ..list }),
            Err(error) => {
                self.report(at, error.into());
                None
            }
        }
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
