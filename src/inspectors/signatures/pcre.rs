use alloc::string::String;
use alloc::sync::Arc;
use core::fmt;

use regex::bytes::Regex;

/// `pcre`: a regular expression in Perl's language.
///
/// Two are equal where they are written alike.
#[derive(Clone)]
#[non_exhaustive]
pub struct Pcre {
    /// What stands between the slashes.
    pub expression: String,
    /// The letters behind them that change what it means.
    pub flags: PcreFlags,
    /// `R`: it is looked for from the last match's end on. It is not anchored there.
    pub is_relative: bool,
    /// `!`: it finds nothing.
    pub is_negated: bool,
    regex: Arc<Regex>,
}

/// The letters behind a regular expression that change what it means.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
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

impl Pcre {
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
            .finish()
    }
}
