use alloc::string::String;
use alloc::vec::Vec;
use core::fmt;

use thiserror::Error;

/// All that is wrong with a configuration in TOML: one error at least, in the order of their places.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConfigErrors {
    pub(super) errors: Vec<ConfigError>,
}

impl ConfigErrors {
    /// Each error.
    pub fn errors(&self) -> &[ConfigError] {
        &self.errors
    }
}

impl fmt::Display for ConfigErrors {
    /// One error a line.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.errors.iter().enumerate().try_for_each(|(number, error)| {
            let separator = if number == 0 { "" } else { "\n" };
            write!(f, "{separator}{error}")
        })
    }
}

impl core::error::Error for ConfigErrors {}

/// One thing that is wrong with a configuration in TOML, and where.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("line {line}, column {column}: {problem}")]
pub struct ConfigError {
    /// The line, counted from 1.
    pub line: usize,
    /// The character in the line, counted from 1.
    pub column: usize,
    /// What is wrong.
    #[source]
    pub problem: ConfigProblem,
}

/// What is wrong with a place in a configuration in TOML.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum ConfigProblem {
    /// The text is not TOML.
    #[error("expected TOML: {0}")]
    Syntax(String),
    /// A key that there is none of.
    #[error("expected one of {expected}, found `{found}`{}", Suggestion(.suggestion))]
    Key {
        /// The keys that there are.
        expected: String,
        /// The key.
        found: String,
        /// The key that may be meant.
        suggestion: Option<&'static str>,
    },
    /// A key is not there that must be.
    #[error("expected `{key}` here, found none")]
    Missing {
        /// The key.
        key: &'static str,
    },
    /// A table is not there that was asked for.
    #[error("expected a table `{path}`, found none")]
    NoTable {
        /// The keys that lead to it.
        path: String,
    },
    /// A value of another type.
    #[error("expected {expected}, found {found}")]
    Type {
        /// What the value may be.
        expected: &'static str,
        /// Its type.
        found: &'static str,
    },
    /// A text or a number that means nothing here.
    #[error("expected {expected}, found `{found}`{}", Suggestion(.suggestion))]
    Word {
        /// What may stand here.
        expected: String,
        /// The text.
        found: String,
        /// The word that may be meant.
        suggestion: Option<String>,
    },
    /// A file that is named here is not as it has to be.
    #[error("{file}: {problem}")]
    File {
        /// The file.
        file: String,
        /// What is wrong with it.
        problem: String,
    },
    /// A list without a value, which might be meant to take nothing as well as everything.
    #[error("expected at least one value, found none: leave `{key}` out to take everything")]
    Empty {
        /// The key of the list.
        key: &'static str,
    },
    /// Values that are right each, but not together.
    #[error("{0}")]
    Together(String),
}

struct Suggestion<'a, T>(&'a Option<T>);

impl<T: fmt::Display> fmt::Display for Suggestion<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Some(word) => write!(f, "; did you mean `{word}`?"),
            None => Ok(()),
        }
    }
}
