use alloc::string::{String, ToString};
use alloc::vec::Vec;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::suggestion::{alternatives, suggestion};
use super::{ConfigError, ConfigErrors, ConfigProblem};

/// Reads on after an error, so that all of them are found at once.
pub(crate) struct Reader<'a> {
    pub(super) text: &'a str,
    pub(super) errors: Vec<(usize, ConfigProblem)>,
}

pub(crate) type Value<'a> = Spanned<DeValue<'a>>;

impl<'a> Reader<'a> {
    pub(crate) fn new(text: &'a str) -> Self {
        Self { text, errors: Vec::new() }
    }

    /// The document, `None` where it is no TOML.
    pub(crate) fn document(&mut self) -> Option<DeTable<'a>> {
        let (document, syntax) = DeTable::parse_recoverable(self.text);
        for error in &syntax {
            let at = error.span().map_or(0, |span| span.start);
            self.report(at, ConfigProblem::Syntax(error.message().into()));
        }
        // What follows a mistake may be taken for something else than it is.
        syntax.is_empty().then(|| document.into_inner())
    }

    pub(crate) fn keys(&mut self, table: &DeTable<'_>, keys: &[&'static str]) {
        for key in table.keys().filter(|key| !keys.contains(&key.get_ref().as_ref())) {
            let found = key.get_ref().to_string();
            let suggestion = suggestion(&found, keys.iter().copied());
            let expected = alternatives(keys);
            self.report(key.span().start, ConfigProblem::Key { expected, found, suggestion });
        }
    }

    pub(crate) fn word<T, const N: usize>(
        &mut self,
        value: &Value<'_>,
        words: [(&str, T); N],
    ) -> Option<T> {
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

    pub(crate) fn wrong_type(&mut self, value: &Value<'_>, expected: &'static str) {
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

    pub(crate) fn report(&mut self, at: usize, problem: ConfigProblem) {
        self.errors.push((at, problem));
    }

    /// How many mistakes were found so far.
    pub(crate) fn errors(&self) -> usize {
        self.errors.len()
    }

    pub(crate) fn has_errors(&self) -> bool {
        !self.errors.is_empty()
    }

    pub(crate) fn finish(mut self) -> ConfigErrors {
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
pub(super) struct Places<'a> {
    line: usize,
    line_at: usize,
    rest: &'a str,
}

impl<'a> Places<'a> {
    pub(super) fn of(text: &'a str) -> Self {
        Self { line: 1, line_at: 0, rest: text }
    }

    /// Line and column, both counted from 1.
    pub(super) fn find(&mut self, at: usize) -> (usize, usize) {
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
