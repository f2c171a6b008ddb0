//! What is right in a configuration and yet cannot be meant: what never comes to its turn, what makes something else moot, and
//! files that cannot be opened here and now.

#[cfg(feature = "eve")]
mod eve;
mod files;
mod limits;
mod operation;
mod rules;
#[cfg(test)]
mod tests;

use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;
use core::fmt;

use toml::de::{DeTable, DeValue};

use super::Config;
use crate::toml_text::{Reader, Value};

/// Something in a configuration that is no mistake for a reader of TOML, but most likely for whoever wrote it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConfigWarning {
    /// The line, counted from 1.
    pub line: usize,
    /// The character in the line, counted from 1.
    pub column: usize,
    /// What never happens, or cannot be opened, and why.
    pub text: String,
}

impl fmt::Display for ConfigWarning {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { line, column, text } = self;
        write!(f, "line {line}, column {column}: {text}")
    }
}

/// The warnings about a configuration that was read from this text, in the order of their places.
pub(super) fn warnings(text: &str, config: &Config) -> Vec<ConfigWarning> {
    let mut reader = Reader::new(text);
    let Some(document) = reader.document() else { return Vec::new() };
    let mut findings = Findings { document: &document, found: Vec::new() };
    operation::look(config, &mut findings);
    limits::look(config, &mut findings);
    rules::look(config, &mut findings);
    #[cfg(feature = "eve")]
    eve::look(config, &mut findings);
    files::look(config, &mut findings);
    let Findings { mut found, .. } = findings;
    found.sort_by_key(|(at, _)| *at);
    let mut places = reader.places();
    let warning = |(at, text)| {
        let (line, column) = places.find(at);
        ConfigWarning { line, column, text }
    };
    found.into_iter().map(warning).collect()
}

/// What was found so far.
struct Findings<'t, 'a> {
    document: &'t DeTable<'a>,
    found: Vec<(usize, String)>,
}

impl<'t, 'a> Findings<'t, 'a> {
    fn warn(&mut self, at: usize, text: impl Into<String>) {
        self.found.push((at, text.into()));
    }

    /// The value that keys lead to.
    fn value(&self, path: &[&str]) -> Option<&'t Value<'a>> {
        let (last, tables) = path.split_last()?;
        let mut table = self.document;
        for key in tables {
            table = table.get(*key)?.get_ref().as_table()?;
        }
        table.get(*last)
    }

    /// The tables of a list, such as rules.
    fn tables(&self, path: &[&str]) -> Vec<(usize, &'t DeTable<'a>)> {
        let Some(DeValue::Array(values)) = self.value(path).map(|value| value.get_ref()) else {
            return Vec::new();
        };
        let table = |value: &'t Value<'a>| Some((value.span().start, value.get_ref().as_table()?));
        values.iter().filter_map(table).collect()
    }

    /// Warns at the value of some keys, if it is there.
    fn warn_at(&mut self, path: &[&str], text: impl Into<String>) {
        if let Some(value) = self.value(path) {
            self.warn(value.span().start, text);
        }
    }
}

/// `rule 3`, with its name if it has one.
fn rule_name(index: usize, name: Option<&str>) -> String {
    let number = index.saturating_add(1);
    match name.filter(|name| !name.is_empty()) {
        Some(name) => format!("rule {number} (`{name}`)"),
        None => format!("rule {number}"),
    }
}
