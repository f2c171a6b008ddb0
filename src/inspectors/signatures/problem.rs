use alloc::borrow::Cow;
use alloc::string::String;
use alloc::sync::Arc;
use core::fmt;

use thiserror::Error;

use super::{ExpressionError, PcreError, RuleId, VariableError};

/// Where something is in a file of rules.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Place {
    /// The file's name; empty where the text is from elsewhere.
    pub file: Arc<str>,
    /// The line, counted from 1.
    pub line: usize,
    /// The character in the line, counted from 1.
    pub column: usize,
}

impl fmt::Display for Place {
    /// `local.rules:3:17`, or `line 3, column 17` without a file.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &*self.file {
            "" => write!(f, "line {}, column {}", self.line, self.column),
            file => write!(f, "{file}:{}:{}", self.line, self.column),
        }
    }
}

/// A rule that was not loaded, and why.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("{place}: {}{}{problem}", Sid(*.sid), Keyword(.keyword))]
#[non_exhaustive]
pub struct RuleError {
    /// Where it stopped.
    pub place: Place,
    /// The rule's `sid`, where there is one to be found.
    pub sid: Option<u32>,
    /// The keyword, or the header's protocol, that stopped it; empty where that is neither.
    pub keyword: String,
    /// What is wrong.
    #[source]
    pub problem: RuleProblem,
}

struct Sid(Option<u32>);

impl fmt::Display for Sid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.map_or(Ok(()), |sid| write!(f, "sid {sid}: "))
    }
}

struct Keyword<'a>(&'a str);

impl fmt::Display for Keyword<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            "" => Ok(()),
            keyword => write!(f, "{keyword}: "),
        }
    }
}

/// What is wrong with a rule.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum RuleProblem {
    /// Something else than what has to stand here.
    #[error("expected {expected}, found {found}")]
    Expected {
        /// What may stand here.
        expected: Cow<'static, str>,
        /// What does, with quotes around; or `nothing`.
        found: String,
    },
    /// A keyword that the language does not have.
    #[error("expected a keyword of Suricata's language, found `{found}`")]
    Unknown {
        /// The word.
        found: String,
    },
    /// A keyword, or a value of one, that the language has and this crate does not.
    #[error("expected what is supported here, found `{found}`{}", Instead(*.instead))]
    Unsupported {
        /// What is not supported.
        found: String,
        /// What may be written instead.
        instead: Option<&'static str>,
    },
    /// Things that are right each, but not together.
    #[error("{0}")]
    Together(Cow<'static, str>),
    /// Something without which there is no rule.
    #[error("expected `{what}` in each rule, found none")]
    Missing {
        /// What.
        what: &'static str,
    },
    /// Addresses or ports.
    #[error(transparent)]
    Expression(#[from] ExpressionError),
    /// A variable.
    #[error(transparent)]
    Variable(#[from] VariableError),
    /// A regular expression.
    #[error(transparent)]
    Pcre(#[from] PcreError),
    /// A file that is no text.
    #[error("expected rules as text, found {found}")]
    NoText {
        /// What it seems to be.
        found: &'static str,
    },
    /// Longer than a rule may be.
    #[error("expected at most {most} bytes, found {found}")]
    Long {
        /// How many there may be.
        most: usize,
        /// How many there are.
        found: usize,
    },
    /// There is a rule of this number with a higher revision, or with the same and before this one.
    #[error("expected each sid once, found revision {} beside {kept}", .id.rev)]
    Duplicate {
        /// The rule that is left out.
        id: RuleId,
        /// The revision that is kept.
        kept: u32,
    },
}

struct Instead(Option<&'static str>);

impl fmt::Display for Instead {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.map_or(Ok(()), |instead| write!(f, "; write `{instead}`"))
    }
}
