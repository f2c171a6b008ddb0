//! Tag, length, value (X.690 §8.1).

use super::super::cursor::Cursor;
use super::super::{ParseError, Part};

pub(super) const BOOLEAN: u8 = 0x01;
pub(super) const INTEGER: u8 = 0x02;
pub(super) const OCTET_STRING: u8 = 0x04;
pub(super) const OBJECT_IDENTIFIER: u8 = 0x06;
pub(super) const UTC_TIME: u8 = 0x17;
pub(super) const GENERALIZED_TIME: u8 = 0x18;
pub(super) const SEQUENCE: u8 = 0x30;
pub(super) const SET: u8 = 0x31;
/// `[0] EXPLICIT` and the like.
pub(super) const fn explicit(number: u8) -> u8 {
    0xa0 | number
}

/// The next element: its tag and its contents.
///
/// Lengths need not be the shortest ones: what some client takes is not refused here. An indefinite length is.
pub(super) fn element<'a>(
    cursor: &mut Cursor<'a>,
    field: &'static str,
) -> Result<(u8, &'a [u8]), ParseError> {
    let tag = cursor.u8(field)?;
    let offset = cursor.offset();
    let len = match cursor.u8(field)? {
        short @ 0..=0x7f => usize::from(short),
        long @ 0x81..=0x84 => {
            let bytes = cursor.take(usize::from(long & 0x7f), field)?;
            let len = bytes.iter().fold(0_u32, |len, byte| len << 8 | u32::from(*byte));
            usize::try_from(len).unwrap_or(usize::MAX)
        }
        other => {
            return Err(ParseError::Value {
                part: Part::Certificate,
                offset,
                expected: "a length of at most 4 bytes",
                found: u32::from(other),
            });
        }
    };
    Ok((tag, cursor.take(len, field)?))
}

/// The next element, whose tag is known.
pub(super) fn expect<'a>(
    cursor: &mut Cursor<'a>,
    tag: u8,
    field: &'static str,
) -> Result<&'a [u8], ParseError> {
    let offset = cursor.offset();
    match element(cursor, field)? {
        (found, contents) if found == tag => Ok(contents),
        (found, _) => Err(ParseError::Value {
            part: Part::Certificate,
            offset,
            expected: field,
            found: u32::from(found),
        }),
    }
}

/// The next element, if it has this tag.
pub(super) fn optional<'a>(
    cursor: &mut Cursor<'a>,
    tag: u8,
    field: &'static str,
) -> Result<Option<&'a [u8]>, ParseError> {
    if cursor.rest().first() != Some(&tag) {
        return Ok(None);
    }
    expect(cursor, tag, field).map(Some)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(bytes: &[u8]) -> Result<(u8, &[u8]), usize> {
        let mut cursor = Cursor::new(Part::Certificate, bytes);
        element(&mut cursor, "element").map_err(|error| error.offset())
    }

    #[test]
    fn lengths() {
        let long = [&[4, 0x82, 1, 0][..], &[7; 256]].concat();
        assert_eq!(read(&long), Ok((4, &[7; 256][..])));
        assert_eq!(read(&[4, 1, 9, 8]), Ok((4, &[9][..])));
        assert_eq!(read(&[4, 0x81, 1, 9]), Ok((4, &[9][..])));
        assert_eq!(read(&[4, 0x80, 9, 0, 0]), Err(1)); // indefinite
        assert_eq!(read(&[4, 0x85, 0, 0, 0, 0, 1, 9]), Err(1));
        assert_eq!(read(&[4, 0x84, 0xff, 0xff, 0xff, 0xff, 1]), Err(6));
        assert_eq!(read(&[4, 2, 9]), Err(2));
        assert_eq!(read(&[4]), Err(1));
        assert_eq!(read(&[]), Err(0));
    }
}
