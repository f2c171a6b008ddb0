use core::fmt;

use super::super::cursor::Cursor;
use super::super::{ParseError, Part};
use super::der::{self, element};

/// A point in time as certificates have it, in UTC; in text such as `2026-01-31T23:59:59`.
///
/// Times order as they should. The fields are as they stand in the certificate: a month may be 13.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct CertificateTime {
    /// 0 to 9999.
    pub year: u16,
    /// From 1.
    pub month: u8,
    /// From 1.
    pub day: u8,
    /// From 0.
    pub hour: u8,
    /// From 0.
    pub minute: u8,
    /// From 0.
    pub second: u8,
}

impl CertificateTime {
    pub(super) fn read(cursor: &mut Cursor<'_>, field: &'static str) -> Result<Self, ParseError> {
        let offset = cursor.offset();
        let (tag, text) = element(cursor, field)?;
        let is_digits = |text: &[u8]| text.iter().all(u8::is_ascii_digit);
        let found = match (tag, text) {
            // RFC 5280 §4.1.2.5.1: the years 1950 to 2049.
            (der::UTC_TIME, [digits @ .., b'Z']) if digits.len() == 12 && is_digits(digits) => {
                let [year, rest @ ..] = pairs::<6>(digits);
                Self::new(if year < 50 { 20 } else { 19 }, year, rest)
            }
            (der::GENERALIZED_TIME, [digits @ .., b'Z'])
                if digits.len() == 14 && is_digits(digits) =>
            {
                let [century, year, rest @ ..] = pairs::<7>(digits);
                Self::new(century, year, rest)
            }
            _ => {
                return Err(ParseError::Value {
                    part: Part::Certificate,
                    offset,
                    expected: "a time with seconds in UTC",
                    found: u32::from(tag),
                });
            }
        };
        Ok(found)
    }

    fn new(century: u8, year: u8, [month, day, hour, minute, second]: [u8; 5]) -> Self {
        let year = u16::from(century).wrapping_mul(100).wrapping_add(u16::from(year));
        Self { year, month, day, hour, minute, second }
    }
}

impl fmt::Display for CertificateTime {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { year, month, day, hour, minute, second } = self;
        write!(f, "{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}")
    }
}

/// Digits in pairs as numbers.
fn pairs<const N: usize>(digits: &[u8]) -> [u8; N] {
    let mut numbers = [0; N];
    for (number, pair) in numbers.iter_mut().zip(digits.chunks_exact(2)) {
        *number = pair.iter().fold(0_u8, |number, digit| {
            number.wrapping_mul(10).wrapping_add(digit.wrapping_sub(b'0'))
        });
    }
    numbers
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(tag: u8, text: &str) -> Option<String> {
        let bytes = [&[tag, text.len() as u8], text.as_bytes()].concat();
        let time = CertificateTime::read(&mut Cursor::new(Part::Certificate, &bytes), "time");
        time.ok().map(|time| time.to_string())
    }

    #[test]
    fn both_forms() {
        assert_eq!(read(0x17, "260131235958Z").as_deref(), Some("2026-01-31T23:59:58"));
        assert_eq!(read(0x17, "500101000000Z").as_deref(), Some("1950-01-01T00:00:00"));
        assert_eq!(read(0x17, "491231235959Z").as_deref(), Some("2049-12-31T23:59:59"));
        assert_eq!(read(0x18, "99991231235959Z").as_deref(), Some("9999-12-31T23:59:59"));
        for (tag, text) in [
            (0x17, "2601312359Z"),
            (0x17, "260131235959+0100"),
            (0x17, "26013123595aZ"),
            (0x18, "260131235959Z"),
            (0x18, "20260131235959"),
            (0x0c, "260131235959Z"),
        ] {
            assert_eq!(read(tag, text), None, "{text}");
        }
    }
}
