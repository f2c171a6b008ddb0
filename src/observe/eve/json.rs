use alloc::vec::Vec;
use core::fmt::{self, Display, Write};
use core::net::IpAddr;

/// Writes JSON to the end of a buffer. Each value has a comma behind it, which the end of what it is in takes back.
pub(super) struct Json<'a> {
    out: &'a mut Vec<u8>,
}

impl<'a> Json<'a> {
    pub(super) fn new(out: &'a mut Vec<u8>) -> Self {
        Self { out }
    }

    pub(super) fn begin(&mut self) {
        self.out.push(b'{');
    }

    /// An object as the value of a key.
    pub(super) fn object(&mut self, key: &str) {
        self.key(key);
        self.out.push(b'{');
    }

    pub(super) fn end_object(&mut self) {
        self.end(b"},");
    }

    /// An array as the value of a key.
    pub(super) fn array(&mut self, key: &str) {
        self.key(key);
        self.out.push(b'[');
    }

    pub(super) fn end_array(&mut self) {
        self.end(b"],");
    }

    /// The end of the record, and of the line.
    pub(super) fn end_record(&mut self) {
        self.end(b"}\n");
    }

    fn end(&mut self, with: &[u8]) {
        if self.out.last() == Some(&b',') {
            self.out.pop();
        }
        self.out.extend_from_slice(with);
    }

    /// What was written as members of an object before.
    pub(super) fn members(&mut self, members: &[u8]) {
        self.out.extend_from_slice(members);
    }

    pub(super) fn text(&mut self, key: &str, text: impl AsRef<[u8]>) {
        self.key(key);
        self.item(text);
    }

    /// An item of an array.
    pub(super) fn item(&mut self, text: impl AsRef<[u8]>) {
        self.out.push(b'"');
        escape(text.as_ref(), self.out);
        self.out.extend_from_slice(b"\",");
    }

    pub(super) fn display(&mut self, key: &str, value: impl Display) {
        self.key(key);
        self.out.push(b'"');
        // Writing to memory does not fail.
        let _ = write!(Escaping(self.out), "{value}");
        self.out.extend_from_slice(b"\",");
    }

    pub(super) fn number(&mut self, key: &str, number: u64) {
        self.key(key);
        decimal(number, self.out);
        self.out.push(b',');
    }

    pub(super) fn truth(&mut self, key: &str, truth: bool) {
        self.key(key);
        self.out.extend_from_slice(if truth { b"true," } else { b"false," });
    }

    pub(super) fn address(&mut self, key: &str, address: IpAddr) {
        let IpAddr::V4(address) = address else { return self.display(key, address) };
        self.key(key);
        self.out.push(b'"');
        for (place, octet) in address.octets().into_iter().enumerate() {
            if place > 0 {
                self.out.push(b'.');
            }
            decimal(octet.into(), self.out);
        }
        self.out.extend_from_slice(b"\",");
    }

    /// A text that `write` writes, and that needs no escapes.
    pub(super) fn write(&mut self, key: &str, write: impl FnOnce(&mut Vec<u8>)) {
        self.key(key);
        self.out.push(b'"');
        write(self.out);
        self.out.extend_from_slice(b"\",");
    }

    fn key(&mut self, key: &str) {
        self.out.push(b'"');
        self.out.extend_from_slice(key.as_bytes());
        self.out.extend_from_slice(b"\":");
    }
}

/// Digits of a number.
pub(super) fn decimal(number: u64, out: &mut Vec<u8>) {
    let mut digits = [b'0'; 20];
    let mut rest = number;
    let mut len = 0_usize;
    for digit in digits.iter_mut().rev() {
        *digit = b'0'.wrapping_add(u8::try_from(rest % 10).unwrap_or(0));
        rest /= 10;
        len = len.saturating_add(1);
        if rest == 0 {
            break;
        }
    }
    out.extend_from_slice(digits.get(digits.len().saturating_sub(len)..).unwrap_or_default());
}

/// Text inside quotes (RFC 8259 §7). UTF-8 stays as it is; in what is not, each byte beyond ASCII becomes the four
/// characters `\xNN`.
fn escape(text: &[u8], out: &mut Vec<u8>) {
    let is_plain = |byte: &u8| matches!(byte, 0x20 | 0x21 | 0x23..=0x5b | 0x5d..=0x7e);
    if text.iter().all(is_plain) {
        return out.extend_from_slice(text);
    }
    let is_utf8 = core::str::from_utf8(text).is_ok();
    for byte in text {
        match *byte {
            b'"' => out.extend_from_slice(b"\\\""),
            b'\\' => out.extend_from_slice(b"\\\\"),
            b'\n' => out.extend_from_slice(b"\\n"),
            b'\r' => out.extend_from_slice(b"\\r"),
            b'\t' => out.extend_from_slice(b"\\t"),
            0x00..=0x1f | 0x7f => {
                out.extend_from_slice(b"\\u00");
                hex(*byte, out);
            }
            0x80.. if !is_utf8 => {
                out.extend_from_slice(b"\\\\x");
                hex(*byte, out);
            }
            byte => out.push(byte),
        }
    }
}

fn hex(byte: u8, out: &mut Vec<u8>) {
    for nibble in [byte >> 4, byte & 15] {
        out.push(match nibble {
            0..=9 => nibble.wrapping_add(b'0'),
            _ => nibble.wrapping_add(b'a'.wrapping_sub(10)),
        });
    }
}

struct Escaping<'a>(&'a mut Vec<u8>);

impl Write for Escaping<'_> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        escape(text.as_bytes(), self.0);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn commas_stand_between_values_only() {
        let mut out = Vec::new();
        let mut json = Json::new(&mut out);
        json.begin();
        json.number("a", 0);
        json.object("b");
        json.end_object();
        json.array("c");
        json.item("x");
        json.item("y");
        json.end_array();
        json.truth("d", false);
        json.end_record();
        assert_eq!(out, b"{\"a\":0,\"b\":{},\"c\":[\"x\",\"y\"],\"d\":false}\n");
    }

    #[test]
    fn bytes_that_are_no_text_are_shown() {
        let mut out = Vec::new();
        escape(b"caf\xe9\"\\\x01", &mut out);
        assert_eq!(out, br#"caf\\xe9\"\\\u0001"#);
    }

    proptest! {
        #[test]
        fn numbers_are_written_as_display_writes_them(number: u64) {
            let mut out = Vec::new();
            decimal(number, &mut out);
            prop_assert_eq!(out, number.to_string().into_bytes());
        }

        #[test]
        fn a_reader_of_json_has_the_text_back(text: String, address: IpAddr) {
            let mut out = Vec::new();
            let mut json = Json::new(&mut out);
            json.begin();
            json.text("text", &text);
            json.display("same", &text);
            json.address("address", address);
            json.end_record();
            // TOML's basic strings know other escapes; what was written is taken back by hand.
            let written = core::str::from_utf8(&out).unwrap();
            let end = format!("\"address\":\"{address}\"}}\n");
            prop_assert!(written.ends_with(&end));
            let first = written.strip_prefix("{\"text\":\"").unwrap();
            let (first, rest) = first.split_once("\",\"same\":\"").unwrap();
            prop_assert!(rest.starts_with(first));
            prop_assert_eq!(unescape(first), text);
        }

        #[test]
        fn any_bytes_are_utf8_in_one_line(bytes: Vec<u8>) {
            let mut out = Vec::new();
            escape(&bytes, &mut out);
            let text = core::str::from_utf8(&out).unwrap();
            prop_assert!(!text.chars().any(char::is_control) || core::str::from_utf8(&bytes).is_ok());
            prop_assert!(!text.contains('\n'));
        }
    }

    fn unescape(text: &str) -> String {
        let mut characters = text.chars();
        let mut plain = String::new();
        while let Some(character) = characters.next() {
            plain.push(match character {
                '\\' => match characters.next().unwrap() {
                    'n' => '\n',
                    'r' => '\r',
                    't' => '\t',
                    'u' => {
                        let digits: String = characters.by_ref().take(4).collect();
                        char::from_u32(u32::from_str_radix(&digits, 16).unwrap()).unwrap()
                    }
                    other => other,
                },
                other => other,
            });
        }
        plain
    }
}
