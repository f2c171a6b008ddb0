use alloc::borrow::ToOwned;
use alloc::string::String;
use core::fmt;
use core::str::FromStr;

use thiserror::Error;

/// Which names are meant: one, `www.example.org`; all below one at any depth, `*.example.org`; or all, `*`.
///
/// `*.example.org` does not take `example.org` itself. Case and a dot at the end do not matter. What is not ASCII is
/// written in its A-labels (RFC 5890 §2.3.2.1), as it stands on the wire.
///
/// ```
/// use gwlb_geneve::inspectors::domains::DomainPattern;
///
/// let below: DomainPattern = "*.Example.org.".parse()?;
/// assert_eq!(below.to_string(), "*.example.org");
/// assert!(below.matches("a.b.EXAMPLE.org") && !below.matches("example.org"));
///
/// let error = "bücher.example".parse::<DomainPattern>().unwrap_err();
/// assert!(error.to_string().contains("A-label"));
/// # Ok::<(), gwlb_geneve::inspectors::domains::PatternError>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct DomainPattern {
    /// In lower case, without a dot at its end; empty where all names are meant.
    name: String,
    is_below: bool,
}

impl DomainPattern {
    /// Whether it takes a name, in whatever case, with or without a dot at its end.
    pub fn matches(&self, name: &str) -> bool {
        let name = name.strip_suffix('.').unwrap_or(name);
        if !self.is_below {
            return name.eq_ignore_ascii_case(&self.name);
        }
        if self.name.is_empty() {
            return true;
        }
        let split =
            name.len().checked_sub(self.name.len()).and_then(|at| name.split_at_checked(at));
        split.is_some_and(|(above, end)| {
            end.eq_ignore_ascii_case(&self.name) && above.len() > 1 && above.ends_with('.')
        })
    }

    /// The name, without `*.`; empty for `*`.
    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    pub(crate) const fn is_below(&self) -> bool {
        self.is_below
    }
}

impl FromStr for DomainPattern {
    type Err = PatternError;

    fn from_str(text: &str) -> Result<Self, PatternError> {
        if text == "*" {
            return Ok(Self { name: String::new(), is_below: true });
        }
        let (rest, is_below) = match text.strip_prefix("*.") {
            Some(rest) => (rest, true),
            None => (text, false),
        };
        let rest = rest.strip_suffix('.').unwrap_or(rest);
        if rest.is_empty() {
            return Err(PatternError::Empty);
        }
        if rest.len() > 253 {
            return Err(PatternError::Long { found: rest.len() });
        }
        for label in rest.split('.') {
            if label.is_empty() {
                let meant = rest.trim_matches('.').to_owned();
                return Err(PatternError::EmptyLabel { meant });
            }
            if label.len() > 63 {
                return Err(PatternError::LongLabel { found: label.len() });
            }
            match label.chars().find(|c| !c.is_ascii_alphanumeric() && !"-_".contains(*c)) {
                Some('*') => return Err(PatternError::Wildcard),
                Some(c) if !c.is_ascii() => return Err(PatternError::NotAscii { found: c }),
                Some(found) => return Err(PatternError::Character { found }),
                None => {}
            }
        }
        Ok(Self { name: rest.to_ascii_lowercase(), is_below })
    }
}

impl fmt::Display for DomainPattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.is_below, self.name.as_str()) {
            (true, "") => f.write_str("*"),
            (true, name) => write!(f, "*.{name}"),
            (false, name) => f.write_str(name),
        }
    }
}

/// Why a text is no [`DomainPattern`].
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum PatternError {
    /// There is no name in it.
    #[error("expected a domain name, found none")]
    Empty,
    /// Longer than a name can be (RFC 1035 §2.3.4).
    #[error("expected at most 253 characters, found {found}")]
    Long {
        /// How many there are.
        found: usize,
    },
    /// Two dots without anything between, or a dot at the beginning.
    #[error("expected a label before each dot, found none")]
    EmptyLabel {
        /// The name without dots around it.
        meant: String,
    },
    /// A label longer than it can be (RFC 1035 §2.3.4).
    #[error("expected labels of at most 63 characters, found one of {found}")]
    LongLabel {
        /// How many characters it has.
        found: usize,
    },
    /// A `*` elsewhere than alone or as the first label.
    #[error("expected `*` alone or as the first label, as in `*.example.org`, found it elsewhere")]
    Wildcard,
    /// A name that is not written as it stands on the wire.
    #[error("expected ASCII: write the A-label, which begins with `xn--`; found {found:?}")]
    NotAscii {
        /// The first character that is not ASCII.
        found: char,
    },
    /// A character that no host name has.
    #[error("expected letters, digits, hyphens and underscores between dots, found {found:?}")]
    Character {
        /// The character.
        found: char,
    },
}

#[cfg(feature = "config")]
impl PatternError {
    /// What was expected, without what was found.
    pub(crate) fn expected(&self) -> String {
        let told = alloc::string::ToString::to_string(self);
        let told = told.strip_prefix("expected ").unwrap_or(&told);
        let expected = [", found", "; found"].into_iter().find_map(|found| told.split_once(found));
        expected.map_or(told, |(expected, _)| expected).into()
    }

    /// What may be meant by `text`.
    pub(crate) fn suggestion(&self, text: &str) -> Option<String> {
        let meant = match self {
            // `.example.org` is how others write it.
            Self::EmptyLabel { meant } if text.starts_with('.') => alloc::format!("*.{meant}"),
            Self::Character { .. } => {
                let after = text.split_once("://").map_or(text, |(_, after)| after);
                let end = after.find(['/', ':', '?', '#']).unwrap_or(after.len());
                after.get(..end)?.to_owned()
            }
            _ => return None,
        };
        meant.parse::<DomainPattern>().ok().map(|_| meant)
    }
}

#[cfg(test)]
mod tests {
    use alloc::string::ToString;

    use super::*;

    #[test]
    fn what_is_no_pattern() {
        let long = ["a"; 64].concat();
        let longer = ["abc"; 64].join(".");
        for (text, expected) in [
            ("", PatternError::Empty),
            ("*.", PatternError::Empty),
            (".", PatternError::Empty),
            (longer.as_str(), PatternError::Long { found: 255 }),
            (".example.org", PatternError::EmptyLabel { meant: "example.org".into() }),
            ("a..b", PatternError::EmptyLabel { meant: "a..b".into() }),
            (long.as_str(), PatternError::LongLabel { found: 64 }),
            ("**", PatternError::Wildcard),
            ("a.*.b", PatternError::Wildcard),
            ("*a.b", PatternError::Wildcard),
            ("é.example", PatternError::NotAscii { found: 'é' }),
            ("a b", PatternError::Character { found: ' ' }),
            ("http://a.b", PatternError::Character { found: ':' }),
        ] {
            assert_eq!(text.parse::<DomainPattern>(), Err(expected), "{text}");
        }
    }

    #[test]
    #[cfg(feature = "config")]
    fn what_may_be_meant() {
        let suggested = |text: &str| text.parse::<DomainPattern>().unwrap_err().suggestion(text);
        assert_eq!(suggested(".example.org").as_deref(), Some("*.example.org"));
        assert_eq!(suggested("https://a.example/x").as_deref(), Some("a.example"));
        assert_eq!(suggested("a..b"), None);
    }

    #[test]
    fn case_and_the_last_dot_do_not_matter() {
        let name: DomainPattern = "WWW.Example.org.".parse().unwrap();
        assert!(name.matches("www.example.ORG") && name.matches("www.example.org."));
        assert!(!name.matches("x.www.example.org") && !name.matches("example.org"));
        let below: DomainPattern = "*.example.org".parse().unwrap();
        assert!(below.matches("a.example.org.") && !below.matches("aexample.org"));
        assert!(!below.matches(".example.org"));
        let all: DomainPattern = "*".parse().unwrap();
        assert!(all.matches("x") && all.to_string() == "*");
    }
}
