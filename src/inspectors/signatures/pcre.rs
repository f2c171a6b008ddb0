mod translate;

use alloc::borrow::ToOwned;
use alloc::string::{String, ToString};
use alloc::sync::Arc;
use core::fmt;

use regex::bytes::{Regex, RegexBuilder};
use thiserror::Error;

/// `pcre`: a regular expression in Perl's language.
///
/// Two are equal where they are written alike.
///
/// ```
/// use gwlb_geneve::inspectors::signatures::{Pcre, PcreError, PcreFlags};
///
/// let some = Pcre::new("^id=[0-9]+\\x3b", PcreFlags::default())?;
/// assert!(some.regex().is_match(b"id=17;"));
/// let error = Pcre::new("a(?=b)", PcreFlags::default()).unwrap_err();
/// assert_eq!(error, PcreError::Unsupported { what: "look-ahead", at: 1 });
/// # Ok::<(), PcreError>(())
/// ```
#[derive(Clone)]
#[non_exhaustive]
pub struct Pcre {
    pub(super) expression: Arc<str>,
    pub(super) flags: PcreFlags,
    /// `R`: it is looked for from the last match's end on. It is not anchored there.
    pub is_relative: bool,
    /// `!`: it finds nothing.
    pub is_negated: bool,
    regex: Arc<Regex>,
}

/// The letters behind a regular expression that change what it means.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct PcreFlags {
    /// `i`: letters in either case.
    pub ignores_case: bool,
    /// `s`: a dot also takes a line's end.
    pub dot_takes_all: bool,
    /// `m`: `^` and `$` also at lines' begins and ends.
    pub is_multi_line: bool,
    /// `x`: spaces do not count.
    pub is_spaced: bool,
    /// `A`: it begins where the search begins.
    pub is_anchored: bool,
    /// `E`: `$` is the end, and not also before a line's end that ends all.
    pub dollar_is_end: bool,
    /// `G`: what repeats takes as little as it can unless a `?` says otherwise.
    pub is_lazy: bool,
}

/// Bytes that a compiled expression may take, and again what it may take while it runs. A few expressions of public rules take more than
/// a quarter of this.
const MEMORY: usize = 1 << 20;

impl Pcre {
    /// What stands between the slashes, and the letters behind them. It is neither relative nor negated.
    ///
    /// # Errors
    ///
    /// [`PcreError`]: what the language has and cannot be done in a time that is bounded by the number of bytes, and what it does not have.
    pub fn new(expression: &str, flags: PcreFlags) -> Result<Self, PcreError> {
        let translated = translate::translate(expression, flags)?;
        let regex = RegexBuilder::new(&translated)
            .unicode(false)
            .case_insensitive(flags.ignores_case)
            .dot_matches_new_line(flags.dot_takes_all)
            .multi_line(flags.is_multi_line)
            .swap_greed(flags.is_lazy)
            .size_limit(MEMORY)
            .dfa_size_limit(MEMORY)
            .build()
            .map_err(|error| match error {
                regex::Error::CompiledTooBig(_) => PcreError::Size { most: MEMORY },
                error => PcreError::Syntax {
                    // The last line says what; the others draw where.
                    what: error.to_string().lines().last().unwrap_or_default().to_owned(),
                },
            })?;
        Ok(Self {
            expression: expression.into(),
            flags,
            is_relative: false,
            is_negated: false,
            regex: Arc::new(regex),
        })
    }

    /// What stands between the slashes.
    pub fn expression(&self) -> &str {
        &self.expression
    }

    /// The letters behind them.
    pub const fn flags(&self) -> PcreFlags {
        self.flags
    }

    /// The regular expression as this crate runs it, over the bytes from where the search begins. Time grows with their number alone, and
    /// memory is bounded.
    pub fn regex(&self) -> &Regex {
        &self.regex
    }
}

impl PartialEq for Pcre {
    fn eq(&self, other: &Self) -> bool {
        self.expression == other.expression
            && self.flags == other.flags
            && self.is_relative == other.is_relative
            && self.is_negated == other.is_negated
    }
}

impl Eq for Pcre {}

impl fmt::Debug for Pcre {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Pcre")
            .field("expression", &self.expression)
            .field("flags", &self.flags)
            .field("is_relative", &self.is_relative)
            .field("is_negated", &self.is_negated)
            .finish_non_exhaustive()
    }
}

/// Why an expression cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum PcreError {
    /// Something that takes a time that nothing bounds, or that regular languages do not have.
    #[error("expected an expression without {what}, found one at byte {at}")]
    Unsupported {
        /// `look-ahead`, `back-reference`, …
        what: &'static str,
        /// The byte of the expression, counted from 0.
        at: usize,
    },
    /// Something that Perl's language does not have.
    #[error("expected {expected} at byte {at}, found {}", Found(*.found))]
    Unexpected {
        /// What may stand there.
        expected: &'static str,
        /// What does; `None` at the end.
        found: Option<char>,
        /// The byte of the expression, counted from 0.
        at: usize,
    },
    /// It would take more memory than it may.
    #[error("expected an expression that fits into {most} bytes, found a larger one")]
    Size {
        /// How many bytes it may take.
        most: usize,
    },
    /// Something else is wrong with it.
    #[error("expected a regular expression: {what}")]
    Syntax {
        /// What.
        what: String,
    },
}

struct Found(Option<char>);

impl fmt::Display for Found {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Some(found) => write!(f, "`{}`", found.escape_debug()),
            None => f.write_str("its end"),
        }
    }
}
