use alloc::string::String;
use alloc::vec::Vec;
use core::fmt;
use core::str::FromStr;

use thiserror::Error;

/// Which paths are meant: `/v1/items` that one; `/v1/*/items` with one segment, whatever it is, at each `*`; `/public/**` all that
/// begin with `/public/`.
///
/// A path is compared without its query, decoded once and without `.` and `..`; case matters. A slash at the end makes another path.
///
/// ```
/// use gwlb_geneve::inspectors::api::PathPattern;
///
/// let items: PathPattern = "/v1/*/items/**".parse()?;
/// assert!(items.matches(b"/v1/shop/items/7") && items.matches(b"/v1/shop/items/"));
/// assert!(!items.matches(b"/v1/items/7") && !items.matches(b"/v1/shop/items"));
/// # Ok::<(), gwlb_geneve::inspectors::api::PathError>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct PathPattern {
    /// `None` for a `*`.
    segments: Vec<Option<String>>,
    is_prefix: bool,
}

impl PathPattern {
    /// Whether it takes a path.
    pub fn matches(&self, path: &[u8]) -> bool {
        let Some(path) = path.strip_prefix(b"/") else { return false };
        let mut found = path.split(|byte| *byte == b'/');
        let is_alike = self.segments.iter().all(|expected| {
            let found = found.next();
            match expected {
                Some(expected) => found == Some(expected.as_bytes()),
                None => found.is_some_and(|found| !found.is_empty()),
            }
        });
        is_alike && found.next().is_some() == self.is_prefix
    }
}

impl FromStr for PathPattern {
    type Err = PathError;

    fn from_str(text: &str) -> Result<Self, PathError> {
        let Some(rest) = text.strip_prefix('/') else { return Err(PathError::Slash) };
        let (rest, is_prefix) = match rest.strip_suffix("**") {
            Some(rest) if rest.is_empty() || rest.ends_with('/') => (rest, true),
            _ => (rest, false),
        };
        if let Some(found) = rest.chars().find(|c| matches!(c, '?' | '#' | '%' | '\\')) {
            return Err(PathError::Character { found });
        }
        if is_prefix && rest.is_empty() {
            return Ok(Self { segments: Vec::new(), is_prefix });
        }
        // What comes after the last slash stands for what follows.
        let rest = if is_prefix { rest.strip_suffix('/').unwrap_or(rest) } else { rest };
        let mut segments = Vec::new();
        for segment in rest.split('/') {
            segments.push(match segment {
                "*" => None,
                "." | ".." => return Err(PathError::Dots),
                _ if segment.contains('*') => return Err(PathError::Wildcard),
                _ => Some(segment.into()),
            });
        }
        Ok(Self { segments, is_prefix })
    }
}

impl fmt::Display for PathPattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for segment in &self.segments {
            write!(f, "/{}", segment.as_deref().unwrap_or("*"))?;
        }
        if self.is_prefix { f.write_str("/**") } else { Ok(()) }
    }
}

/// Why a text is no [`PathPattern`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum PathError {
    /// It does not begin with a slash.
    #[error("expected a path that begins with `/`")]
    Slash,
    /// A `*` that is neither a segment of its own nor one of two at the end.
    #[error("expected `*` as a whole segment, or `/**` at the end")]
    Wildcard,
    /// A segment that no path has once it is resolved.
    #[error("expected a path without `.` and `..`")]
    Dots,
    /// A character that no path has once it is decoded, or that begins another part of a URL.
    #[error("expected a path as it is once it is decoded, without query, found {found:?}")]
    Character {
        /// The character.
        found: char,
    },
}

#[cfg(test)]
mod tests {
    use alloc::string::ToString;

    use proptest::collection::vec;
    use proptest::prelude::*;

    use super::*;

    /// Letter by letter, with a choice at each `*`.
    fn naive(pattern: &[u8], path: &[u8]) -> bool {
        match pattern {
            b"/**" => path.first() == Some(&b'/'),
            [b'/', b'*', rest @ ..] if rest.first() != Some(&b'*') => {
                let Some(path) = path.strip_prefix(b"/") else { return false };
                (1..=path.len())
                    .any(|end| !path[..end].contains(&b'/') && naive(rest, &path[end..]))
            }
            [first, rest @ ..] => path.first() == Some(first) && naive(rest, &path[1..]),
            [] => path.is_empty(),
        }
    }

    proptest! {
        /// Empty segments, slashes at the end, `*` for nothing or for two.
        #[test]
        fn as_letter_by_letter(
            segments in vec(prop_oneof!["\\*", "a", "b", "", "ab"], 1..5),
            is_prefix: bool,
            paths in vec(vec(prop_oneof!["a", "b", "", "ab", "\\*"], 0..6), 1..20),
        ) {
            let end = if is_prefix { "/**" } else { "" };
            let text = ["/", &segments.join("/"), end].concat();
            let pattern: PathPattern = text.parse().unwrap();
            prop_assert_eq!(pattern.to_string(), text.clone());
            for path in paths {
                let path = ["/", &path.join("/")].concat();
                prop_assert_eq!(pattern.matches(path.as_bytes()), naive(text.as_bytes(), path.as_bytes()), "{} {}", text, path);
            }
        }
    }

    #[test]
    fn the_root_and_all_paths() {
        let pattern = |text: &str| text.parse::<PathPattern>().unwrap();
        assert!(pattern("/").matches(b"/") && !pattern("/").matches(b"/a"));
        assert!(pattern("/**").matches(b"/") && pattern("/**").matches(b"/a/b"));
        assert!(!pattern("/**").matches(b"*") && !pattern("/**").matches(b""));
        assert!(!pattern("/*").matches(b"/"));
    }

    #[test]
    fn what_is_no_path() {
        for (text, expected) in [
            ("", PathError::Slash),
            ("a", PathError::Slash),
            ("/a*", PathError::Wildcard),
            ("/**/a", PathError::Wildcard),
            ("/a**", PathError::Wildcard),
            ("/a/../b", PathError::Dots),
            ("/a?b", PathError::Character { found: '?' }),
            ("/%41", PathError::Character { found: '%' }),
        ] {
            assert_eq!(text.parse::<PathPattern>(), Err(expected), "{text}");
        }
    }
}
