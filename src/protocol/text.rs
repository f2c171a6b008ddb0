use alloc::borrow::Cow;
use alloc::vec::Vec;
use core::fmt::{self, Write};

/// Bytes that are meant to be text and may be anything.
///
/// Compares with strings; [`Display`](fmt::Display) shows what is not printable ASCII as `\xNN`, so that a log line stays
/// one line.
///
/// ```
/// use gwlb_geneve::protocol::Text;
///
/// let text = Text::from(&b"caf\xe9\r\n"[..]);
/// assert_eq!(text.to_string(), r"caf\xe9\r\n");
/// assert!(text.starts_with(b"caf"));
/// assert_eq!(text.to_str(), None);
/// assert_eq!(Text::from(&b"GET"[..]), "GET");
/// ```
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Text<'a>(Cow<'a, [u8]>);

impl<'a> Text<'a> {
    pub(super) const fn borrowed(bytes: &'a [u8]) -> Self {
        Self(Cow::Borrowed(bytes))
    }

    #[cfg_attr(not(feature = "http"), allow(dead_code))]
    pub(super) const fn owned(bytes: Vec<u8>) -> Self {
        Self(Cow::Owned(bytes))
    }

    /// The bytes themselves.
    #[inline]
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    /// As a string, where it is UTF-8.
    pub fn to_str(&self) -> Option<&str> {
        core::str::from_utf8(&self.0).ok()
    }

    /// Whether it is the same but for the case of ASCII letters.
    #[inline]
    pub fn eq_ignore_ascii_case(&self, other: &str) -> bool {
        self.0.eq_ignore_ascii_case(other.as_bytes())
    }

    /// The bytes, borrowed from what was parsed unless they had to be made.
    pub fn into_bytes(self) -> Cow<'a, [u8]> {
        self.0
    }
}

impl core::ops::Deref for Text<'_> {
    type Target = [u8];

    #[inline]
    fn deref(&self) -> &[u8] {
        &self.0
    }
}

impl<'a> From<&'a [u8]> for Text<'a> {
    fn from(bytes: &'a [u8]) -> Self {
        Self::borrowed(bytes)
    }
}

impl<'a> From<&'a str> for Text<'a> {
    fn from(text: &'a str) -> Self {
        Self::borrowed(text.as_bytes())
    }
}

impl PartialEq<str> for Text<'_> {
    fn eq(&self, other: &str) -> bool {
        *self.0 == *other.as_bytes()
    }
}

impl PartialEq<&str> for Text<'_> {
    fn eq(&self, other: &&str) -> bool {
        *self.0 == *other.as_bytes()
    }
}

impl fmt::Display for Text<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for byte in self.0.iter() {
            match byte {
                // Quotes are fine in a line.
                b'"' | b'\'' => f.write_char(char::from(*byte))?,
                _ => write!(f, "{}", byte.escape_ascii())?,
            }
        }
        Ok(())
    }
}

impl fmt::Debug for Text<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "\"{}\"", self.0.escape_ascii())
    }
}
