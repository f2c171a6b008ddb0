use alloc::boxed::Box;
use core::fmt;

use memchr::memmem::Finder;
use memchr::{memchr, memchr2};

/// A pattern that is looked for in many places.
pub(in super::super) enum Needle {
    /// As it is written.
    Exact(Box<Finder<'static>>),
    /// In either case of letters.
    AnyCase {
        /// In lower case.
        pattern: Box<[u8]>,
        /// Which of its bytes is looked for first.
        rarest: usize,
    },
}

impl Needle {
    pub(in super::super) fn new(pattern: &[u8], ignores_case: bool) -> Self {
        if !ignores_case || !pattern.iter().any(u8::is_ascii_alphabetic) {
            return Self::Exact(Box::new(Finder::new(pattern).into_owned()));
        }
        let pattern: Box<[u8]> = pattern.to_ascii_lowercase().into();
        let rarest = (0..pattern.len()).min_by_key(|at| pattern.get(*at).map(|it| commonness(*it)));
        Self::AnyCase { rarest: rarest.unwrap_or(0), pattern }
    }

    pub(in super::super) fn len(&self) -> usize {
        match self {
            Self::Exact(finder) => finder.needle().len(),
            Self::AnyCase { pattern, .. } => pattern.len(),
        }
    }

    /// Where it begins first.
    pub(in super::super) fn find(&self, bytes: &[u8]) -> Option<usize> {
        match self {
            Self::Exact(finder) => finder.find(bytes),
            Self::AnyCase { pattern, rarest } => {
                let wanted = *pattern.get(*rarest)?;
                let behind = pattern.len().checked_sub(*rarest)?;
                // Up to where that byte may be.
                let last = bytes.len().checked_sub(behind)?.checked_add(1)?;
                let mut at = *rarest;
                loop {
                    let rest = bytes.get(at..last)?;
                    let found = match wanted.is_ascii_lowercase() {
                        true => memchr2(wanted, wanted.to_ascii_uppercase(), rest),
                        false => memchr(wanted, rest),
                    };
                    let found = at.checked_add(found?)?;
                    let start = found.checked_sub(*rarest)?;
                    let candidate = bytes.get(start..start.checked_add(pattern.len())?)?;
                    if candidate.eq_ignore_ascii_case(pattern) {
                        return Some(start);
                    }
                    at = found.checked_add(1)?;
                }
            }
        }
    }
}

impl fmt::Debug for Needle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let pattern = match self {
            Self::Exact(finder) => finder.needle(),
            Self::AnyCase { pattern, .. } => pattern,
        };
        write!(f, "\"{}\"", pattern.escape_ascii())
    }
}

/// How common a byte is in what is looked at, more or less: letters of texts most of all.
pub(in super::super) const fn commonness(byte: u8) -> u8 {
    match byte.to_ascii_lowercase() {
        b'e' | b't' | b'a' | b'o' | b'i' | b'n' | b' ' | 0 => 9,
        b's' | b'r' | b'l' | b'c' | b'd' | b'p' | b'm' | b'h' | b'/' | b'.' | b'\r' | b'\n' => 8,
        b'u' | b'g' | b'w' | b'f' | b'=' | b'-' | b':' | b'1' | b'0' | b'2' | 0xff => 6,
        b'a'..=b'z' | b'0'..=b'9' | b'?' | b'&' | b'"' | b',' | b';' => 4,
        0x21..=0x7e => 2,
        _ => 1,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn either_case_is_found_where_it_is_first() {
        for (pattern, bytes, found) in [
            ("abc", "xxABCabc", Some(2)),
            ("a", "A", Some(0)),
            ("SELECT", "seLecsElEct", Some(5)),
            ("q1", "Q2q1", Some(2)),
            ("abc", "ab", None),
            ("zz", "zaZzZ", Some(2)),
            ("abc", "", None),
            ("-a", "--A", Some(1)),
        ] {
            let needle = Needle::new(pattern.as_bytes(), true);
            assert_eq!(needle.find(bytes.as_bytes()), found, "{pattern} in {bytes}");
        }
    }
}
