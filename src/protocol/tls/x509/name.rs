use core::fmt::{self, Write};

use super::super::cursor::Cursor;
use super::super::{ParseError, Part};
use super::der::{self, element, expect};

/// A distinguished name (RFC 5280 §4.1.2.4); in text such as `C=DE, O=Example, CN=www.example.com`.
///
/// The attributes come in the certificate's order, most significant first, as other monitors log them; RFC 4514, which
/// the escapes are from, would turn them round.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Name<'a> {
    rest: &'a [u8],
}

impl<'a> Name<'a> {
    pub(super) fn read(cursor: &mut Cursor<'a>, field: &'static str) -> Result<Self, ParseError> {
        let contents = expect(cursor, der::SEQUENCE, field)?;
        let mut sets = cursor.within(contents);
        while !sets.is_empty() {
            let set = expect(&mut sets, der::SET, field)?;
            let mut attributes = sets.within(set);
            while !attributes.is_empty() {
                attribute(&mut attributes)?;
            }
        }
        Ok(Self { rest: contents })
    }

    /// The value of the last common name (CN), where it is in ASCII or UTF-8.
    pub fn common_name(&self) -> Option<&'a str> {
        let mut found = None;
        self.each(|_, attribute| {
            if attribute.id == COMMON_NAME && matches!(attribute.tag, UTF8 | PRINTABLE | IA5) {
                found = core::str::from_utf8(attribute.value).ok();
            }
            Ok(())
        })
        .ok()?;
        found
    }

    /// Each attribute with what stands before it. What `read` has seen cannot be malformed.
    fn each(
        &self,
        mut give: impl FnMut(&'static str, Attribute<'a>) -> fmt::Result,
    ) -> fmt::Result {
        let mut separator = "";
        let mut sets = Cursor::new(Part::Certificate, self.rest);
        while let Ok(set) = expect(&mut sets, der::SET, "name") {
            let mut attributes = sets.within(set);
            while let Ok(attribute) = attribute(&mut attributes) {
                give(separator, attribute)?;
                separator = "+";
            }
            separator = ", ";
        }
        Ok(())
    }
}

impl fmt::Display for Name<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.each(|separator, attribute| {
            f.write_str(separator)?;
            match KEYWORDS.iter().find(|(id, _)| *id == attribute.id) {
                Some((_, keyword)) => f.write_str(keyword)?,
                None => write_identifier(f, attribute.id)?,
            }
            f.write_char('=')?;
            write_value(f, attribute.tag, attribute.value)
        })
    }
}

impl fmt::Debug for Name<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Name({self})")
    }
}

struct Attribute<'a> {
    id: &'a [u8],
    tag: u8,
    value: &'a [u8],
}

fn attribute<'a>(cursor: &mut Cursor<'a>) -> Result<Attribute<'a>, ParseError> {
    let contents = expect(cursor, der::SEQUENCE, "AttributeTypeAndValue")?;
    let mut inside = cursor.within(contents);
    let id = expect(&mut inside, der::OBJECT_IDENTIFIER, "attribute type")?;
    let (tag, value) = element(&mut inside, "attribute value")?;
    Ok(Attribute { id, tag, value })
}

const COMMON_NAME: &[u8] = &[0x55, 4, 3];

/// Keywords of RFC 4514 §3, and those that are in use beside them.
const KEYWORDS: &[(&[u8], &str)] = &[
    (COMMON_NAME, "CN"),
    (&[0x55, 4, 4], "SN"),
    (&[0x55, 4, 5], "serialNumber"),
    (&[0x55, 4, 6], "C"),
    (&[0x55, 4, 7], "L"),
    (&[0x55, 4, 8], "ST"),
    (&[0x55, 4, 9], "STREET"),
    (&[0x55, 4, 10], "O"),
    (&[0x55, 4, 11], "OU"),
    (&[0x55, 4, 12], "title"),
    (&[0x55, 4, 15], "businessCategory"),
    (&[0x55, 4, 17], "postalCode"),
    (&[0x55, 4, 42], "GN"),
    (&[0x09, 0x92, 0x26, 0x89, 0x93, 0xf2, 0x2c, 0x64, 1, 1], "UID"),
    (&[0x09, 0x92, 0x26, 0x89, 0x93, 0xf2, 0x2c, 0x64, 1, 25], "DC"),
    (&[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 9, 1], "emailAddress"),
];

const UTF8: u8 = 0x0c;
const PRINTABLE: u8 = 0x13;
const TELETEX: u8 = 0x14;
const IA5: u8 = 0x16;
const BMP: u8 = 0x1e;

/// Dotted decimal (RFC 4514 §2.3): the first number holds two (X.690 §8.19.4).
fn write_identifier(f: &mut fmt::Formatter<'_>, id: &[u8]) -> fmt::Result {
    let mut number = 0_u64;
    let mut is_first = true;
    for byte in id {
        number = number << 7 | u64::from(byte & 0x7f);
        if byte & 0x80 != 0 {
            continue;
        }
        if is_first {
            let root = (number / 40).min(2);
            write!(f, "{root}.{}", number.saturating_sub(root.saturating_mul(40)))?;
        } else {
            write!(f, ".{number}")?;
        }
        is_first = false;
        number = 0;
    }
    Ok(())
}

/// RFC 4514 §2.4. A kind of string that is not known is written in hexadecimal.
fn write_value(f: &mut fmt::Formatter<'_>, tag: u8, value: &[u8]) -> fmt::Result {
    match tag {
        UTF8 | PRINTABLE | IA5 | 0x12 | 0x1a => {
            let mut escape = Escape::new(f);
            for chunk in value.utf8_chunks() {
                chunk.valid().chars().try_for_each(|one| escape.char(one))?;
                chunk.invalid().iter().try_for_each(|byte| escape.byte(*byte))?;
            }
            escape.finish()
        }
        // Latin-1 is what is meant in practice.
        TELETEX => {
            let mut escape = Escape::new(f);
            value.iter().try_for_each(|byte| escape.char(char::from(*byte)))?;
            escape.finish()
        }
        BMP => {
            let mut escape = Escape::new(f);
            let units = value.chunks_exact(2).map(|unit| match *unit {
                [high, low] => u16::from_be_bytes([high, low]),
                _ => 0xfffd,
            });
            for one in char::decode_utf16(units) {
                escape.char(one.unwrap_or(char::REPLACEMENT_CHARACTER))?;
            }
            escape.finish()
        }
        _ => {
            write!(f, "#{tag:02x}")?;
            value.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
        }
    }
}

/// A value on its way into a text: spaces are held back, since the last one is to be escaped.
struct Escape<'a, 'f> {
    f: &'a mut fmt::Formatter<'f>,
    is_first: bool,
    has_space: bool,
}

impl<'a, 'f> Escape<'a, 'f> {
    fn new(f: &'a mut fmt::Formatter<'f>) -> Self {
        Self { f, is_first: true, has_space: false }
    }

    fn char(&mut self, one: char) -> fmt::Result {
        self.space(false)?;
        match one {
            ' ' if !self.is_first => self.has_space = true,
            ' ' | '"' | '+' | ',' | ';' | '<' | '>' | '\\' => write!(self.f, "\\{one}")?,
            '#' if self.is_first => self.f.write_str("\\#")?,
            // Nothing in a log may look like the end of a line.
            one if one.is_control() => {
                let mut bytes = [0; 4];
                let bytes = one.encode_utf8(&mut bytes).as_bytes();
                bytes.iter().try_for_each(|byte| write!(self.f, "\\{byte:02X}"))?;
            }
            one => self.f.write_char(one)?,
        }
        self.is_first = false;
        Ok(())
    }

    fn byte(&mut self, byte: u8) -> fmt::Result {
        self.space(false)?;
        self.is_first = false;
        write!(self.f, "\\{byte:02X}")
    }

    fn finish(mut self) -> fmt::Result {
        self.space(true)
    }

    fn space(&mut self, is_last: bool) -> fmt::Result {
        match core::mem::take(&mut self.has_space) {
            true => self.f.write_str(if is_last { "\\ " } else { " " }),
            false => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tlv(tag: u8, parts: &[&[u8]]) -> Vec<u8> {
        let contents = parts.concat();
        [&[tag, contents.len() as u8], &contents[..]].concat()
    }

    fn attribute(id: &[u8], tag: u8, value: &[u8]) -> Vec<u8> {
        tlv(0x30, &[&tlv(6, &[id]), &tlv(tag, &[value])])
    }

    fn text(sets: &[Vec<u8>]) -> String {
        let bytes = tlv(0x30, &sets.iter().map(|set| &set[..]).collect::<Vec<_>>());
        Name::read(&mut Cursor::new(Part::Certificate, &bytes), "name").unwrap().to_string()
    }

    fn value(tag: u8, value: &[u8]) -> String {
        text(&[tlv(0x31, &[&attribute(COMMON_NAME, tag, value)])])
    }

    #[test]
    fn attributes_in_their_order() {
        let country = tlv(0x31, &[&attribute(&[0x55, 4, 6], PRINTABLE, b"DE")]);
        let both = tlv(
            0x31,
            &[
                &attribute(&[0x55, 4, 10], UTF8, b"One"),
                &attribute(COMMON_NAME, UTF8, b"a.example"),
            ],
        );
        let own = tlv(0x31, &[&attribute(&[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 5], UTF8, b"x")]);
        let early = tlv(0x31, &[&attribute(&[0x88, 0x37], UTF8, b"y")]);
        assert_eq!(
            text(&[country, both, own, early]),
            "C=DE, O=One+CN=a.example, 1.2.840.113549.5=x, 2.999=y"
        );
        assert_eq!(text(&[]), "");
    }

    #[test]
    fn values_are_escaped() {
        for (tag, bytes, expected) in [
            (UTF8, &b"a, b"[..], "CN=a\\, b"),
            (UTF8, b" a  b ", "CN=\\ a  b\\ "),
            (UTF8, b" ", "CN=\\ "),
            (UTF8, b"#a#", "CN=\\#a#"),
            (UTF8, b"a\0b\n", "CN=a\\00b\\0A"),
            (UTF8, b"b\xc3\xbccher\xff", "CN=b\u{fc}cher\\FF"),
            (TELETEX, b"b\xfccher", "CN=b\u{fc}cher"),
            (BMP, b"\0b\0\xfc", "CN=b\u{fc}"),
            (PRINTABLE, b"a+b=\"c\"<d>;\\", "CN=a\\+b=\\\"c\\\"\\<d\\>\\;\\\\"),
            (3, b"\x00\x01", "CN=#030001"),
        ] {
            assert_eq!(value(tag, bytes), expected);
        }
    }

    #[test]
    fn the_last_common_name() {
        let one = tlv(0x31, &[&attribute(COMMON_NAME, UTF8, b"one")]);
        let two = tlv(0x31, &[&attribute(COMMON_NAME, PRINTABLE, b"two")]);
        let bytes = tlv(0x30, &[&one, &two]);
        let name = Name::read(&mut Cursor::new(Part::Certificate, &bytes), "name").unwrap();
        assert_eq!(name.common_name(), Some("two"));
    }
}
