use alloc::boxed::Box;
use core::fmt;
use core::str::FromStr;

use thiserror::Error;

/// A secret word: who knows it may look after an appliance.
///
/// It has 16 to 256 visible ASCII characters. Its [`Debug`](fmt::Debug) does not tell it.
///
/// ```
/// # #[cfg(feature = "manage")] {
/// use gwlb_geneve::runtime::Token;
///
/// let token: Token = "correct-horse-battery".parse()?;
/// assert!(token.is(b"correct-horse-battery") && !token.is(b"correct-horse-batterie"));
/// assert_eq!(format!("{token:?}"), "Token(..)");
/// # }
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, PartialEq, Eq)]
pub struct Token(Box<str>);

impl Token {
    /// What one must be like.
    pub const FORM: &str = "16 to 256 visible ASCII characters without spaces";

    /// Whether this is it. How long the answer takes depends on the length of what was found alone, so that nobody can guess
    /// his way forward.
    pub fn is(&self, found: &[u8]) -> bool {
        let expected = self.0.as_bytes();
        let mut differs = u8::from(expected.len() != found.len());
        for (found, expected) in found.iter().zip(expected.iter().cycle()) {
            differs = core::hint::black_box(differs | (found ^ expected));
        }
        differs == 0
    }
}

impl FromStr for Token {
    type Err = TokenError;

    fn from_str(text: &str) -> Result<Self, TokenError> {
        let length = text.chars().count();
        let is_visible = text.bytes().all(|byte| byte.is_ascii_graphic());
        if !(16..=256).contains(&length) {
            return Err(TokenError::Length { found: length });
        }
        if is_visible { Ok(Self(text.into())) } else { Err(TokenError::Characters) }
    }
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Token(..)")
    }
}

/// Why a text is no [`Token`]. It does not tell the text.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum TokenError {
    /// It is too short or too long.
    #[error("expected {}, found {found} characters", Token::FORM)]
    Length {
        /// How many characters it has.
        found: usize,
    },
    /// It has spaces, control characters, or others than ASCII.
    #[error("expected {}, found other characters", Token::FORM)]
    Characters,
}

#[cfg(test)]
mod tests {
    use super::*;

    const TOKEN: &str = "0123456789abcdef";

    #[test]
    fn nothing_else_is_it() {
        let token: Token = TOKEN.parse().unwrap();
        assert!(token.is(TOKEN.as_bytes()));
        let twice = TOKEN.repeat(2);
        for wrong in ["", "0", "0123456789abcdeF", "0123456789abcde", &twice] {
            assert!(!token.is(wrong.as_bytes()), "{wrong}");
        }
    }

    #[test]
    fn what_is_no_token_is_told_without_telling_it() {
        for bad in ["", "short", "with spaces in it all", "ein-schönes-Kennwort", &"x".repeat(257)]
        {
            let error = bad.parse::<Token>().unwrap_err().to_string();
            assert!(error.starts_with("expected 16 to 256 visible ASCII characters"), "{error}");
            assert!(bad.is_empty() || !error.contains(bad), "{error}");
        }
    }
}
