use core::fmt;
use core::str::FromStr;

use thiserror::Error;

/// A Gateway Load Balancer endpoint: the 64-bit number of a VPC endpoint (option type 1).
///
/// Written as AWS writes it, `vpce-` and 17 hexadecimal digits. Numbers of 32 bits are IDs of the
/// older form and are written with 8 digits; both forms are read.
///
/// ```
/// use gwlb_geneve::gwlb::EndpointId;
///
/// let id = EndpointId(0x31e1_29cd_c0cd_8633);
/// assert_eq!(id.to_string(), "vpce-031e129cdc0cd8633");
/// assert_eq!("vpce-031e129cdc0cd8633".parse(), Ok(id));
/// assert_eq!("vpce-1a2b3c4d".parse::<EndpointId>()?.to_string(), "vpce-1a2b3c4d");
/// # Ok::<(), gwlb_geneve::gwlb::ParseIdError>(())
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct EndpointId(pub u64);

/// A transit gateway attachment as the load balancer numbers it (option type 2); often 0.
///
/// Written as `0x` and 16 hexadecimal digits, read with any number of them up to 16.
///
/// ```
/// use gwlb_geneve::gwlb::AttachmentId;
///
/// assert_eq!(AttachmentId(0x2a).to_string(), "0x000000000000002a");
/// assert_eq!("0x2a".parse(), Ok(AttachmentId(0x2a)));
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct AttachmentId(pub u64);

/// The load balancer's own mark of a flow (option type 3).
///
/// Not a key: a 5-tuple that is used again may come with another cookie, so answer each packet with
/// its own (wire.md §1). Written as `0x` and 8 hexadecimal digits, read with any number of them up to 8.
///
/// ```
/// use gwlb_geneve::gwlb::FlowCookie;
///
/// assert_eq!(FlowCookie(0x3dc9_56ac).to_string(), "0x3dc956ac");
/// assert_eq!("0x3dc956ac".parse(), Ok(FlowCookie(0x3dc9_56ac)));
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct FlowCookie(pub u32);

/// Why a text is not an endpoint, attachment or cookie.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum ParseIdError {
    /// Does not begin as such a text does.
    #[error("expected `{expected}` at the start")]
    Prefix {
        /// `vpce-` or `0x`.
        expected: &'static str,
    },
    /// Another number of digits.
    #[error("expected {expected} hexadecimal digits, found {found} characters")]
    Length {
        /// Which numbers of digits there are.
        expected: &'static str,
        /// How many characters follow the prefix.
        found: usize,
    },
    /// A character that is no hexadecimal digit.
    #[error("expected a hexadecimal digit at character {position}")]
    Digit {
        /// Where, counted from 0 at the start of the text.
        position: usize,
    },
    /// 17 digits whose first is not 0.
    #[error("expected a number of 64 bits: the first of 17 digits must be 0")]
    Range,
}

impl fmt::Display for EndpointId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0 >> 32 == 0 {
            write!(f, "vpce-{:08x}", self.0)
        } else {
            write!(f, "vpce-{:017x}", self.0)
        }
    }
}

impl fmt::Display for AttachmentId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:#018x}", self.0)
    }
}

impl fmt::Display for FlowCookie {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:#010x}", self.0)
    }
}

impl FromStr for EndpointId {
    type Err = ParseIdError;

    fn from_str(text: &str) -> Result<Self, ParseIdError> {
        const PREFIX: &str = "vpce-";
        let digits = text.strip_prefix(PREFIX).ok_or(ParseIdError::Prefix { expected: PREFIX })?;
        if !matches!(digits.len(), 8 | 17) {
            return Err(ParseIdError::Length {
                expected: "8 or 17",
                found: digits.chars().count(),
            });
        }
        parse_hex(digits, PREFIX.len()).map(Self)
    }
}

impl FromStr for AttachmentId {
    type Err = ParseIdError;

    fn from_str(text: &str) -> Result<Self, ParseIdError> {
        parse_number(text, 16, "1 to 16").map(Self)
    }
}

impl FromStr for FlowCookie {
    type Err = ParseIdError;

    fn from_str(text: &str) -> Result<Self, ParseIdError> {
        let value = parse_number(text, 8, "1 to 8")?;
        u32::try_from(value).map(Self).map_err(|_| ParseIdError::Range)
    }
}

fn parse_number(text: &str, most: usize, expected: &'static str) -> Result<u64, ParseIdError> {
    const PREFIX: &str = "0x";
    let digits = text.strip_prefix(PREFIX).ok_or(ParseIdError::Prefix { expected: PREFIX })?;
    if !(1..=most).contains(&digits.len()) {
        return Err(ParseIdError::Length { expected, found: digits.chars().count() });
    }
    parse_hex(digits, PREFIX.len())
}

/// `from_str_radix` would take a sign too.
fn parse_hex(digits: &str, prefix_len: usize) -> Result<u64, ParseIdError> {
    digits.chars().enumerate().try_fold(0_u64, |value, (at, character)| {
        let digit = character
            .to_digit(16)
            .ok_or(ParseIdError::Digit { position: prefix_len.saturating_add(at) })?;
        if value >> 60 != 0 {
            return Err(ParseIdError::Range);
        }
        Ok(value << 4 | u64::from(digit))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::string::ToString;

    #[test]
    fn endpoint_of_the_real_capture() {
        assert_eq!(EndpointId(0x31e1_29cd_c0cd_8633).to_string(), "vpce-031e129cdc0cd8633");
    }

    #[test]
    fn both_lengths_are_read() {
        assert_eq!("vpce-1a2b3c4d".parse(), Ok(EndpointId(0x1a2b_3c4d)));
        assert_eq!("vpce-0000000001a2b3c4d".parse(), Ok(EndpointId(0x1a2b_3c4d)));
        assert_eq!("vpce-0FFFFFFFFFFFFFFFF".parse(), Ok(EndpointId(u64::MAX)));
    }

    #[test]
    fn bad_texts_say_what_was_expected() {
        let endpoint = |text: &str| text.parse::<EndpointId>().unwrap_err();
        assert_eq!(endpoint("eni-1a2b3c4d"), ParseIdError::Prefix { expected: "vpce-" });
        assert_eq!(endpoint("vpce-123"), ParseIdError::Length { expected: "8 or 17", found: 3 });
        assert_eq!(endpoint("vpce-1a2b3c4g"), ParseIdError::Digit { position: 12 });
        assert_eq!(endpoint("vpce-+a2b3c4d"), ParseIdError::Digit { position: 5 });
        assert_eq!(endpoint("vpce-131e129cdc0cd8633"), ParseIdError::Range);
        assert!(matches!(
            endpoint("vpce-ééé1234"),
            ParseIdError::Length { .. } | ParseIdError::Digit { .. }
        ));
        let cookie = |text: &str| text.parse::<FlowCookie>().unwrap_err();
        assert_eq!(cookie("3dc956ac"), ParseIdError::Prefix { expected: "0x" });
        assert_eq!(cookie("0x"), ParseIdError::Length { expected: "1 to 8", found: 0 });
        assert_eq!(cookie("0x123456789"), ParseIdError::Length { expected: "1 to 8", found: 9 });
        assert!("0x12345678901234567".parse::<AttachmentId>().is_err());
    }

    proptest! {
        #[test]
        fn every_value_survives_its_text(value: u64, small: u32) {
            for value in [value, u64::from(small)] {
                prop_assert_eq!(EndpointId(value).to_string().parse(), Ok(EndpointId(value)));
                prop_assert_eq!(AttachmentId(value).to_string().parse(), Ok(AttachmentId(value)));
            }
            prop_assert_eq!(FlowCookie(small).to_string().parse(), Ok(FlowCookie(small)));
        }

        #[test]
        fn no_text_panics(text: String) {
            let _ = (text.parse::<EndpointId>(), text.parse::<AttachmentId>(), text.parse::<FlowCookie>());
            let _ = std::format!("vpce-{text}").parse::<EndpointId>();
        }
    }
}
