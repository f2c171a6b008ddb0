use alloc::vec::Vec;
use core::fmt::{self, Display, Write};
use core::net::IpAddr;

use super::figures;

/// Writes JSON to the end of a buffer. Each value has a comma behind it, which the end of what it is in takes back.
pub(super) struct Json<'a> {
    out: &'a mut Vec<u8>,
}

impl<'a> Json<'a> {
    pub(super) fn new(out: &'a mut Vec<u8>) -> Self {
        Self { out }
    }

    /// What is written to, for what is quicker written by hand. Behind each value there is a comma.
    pub(super) fn out(&mut self) -> &mut Vec<u8> {
        self.out
    }

    #[inline(always)]
    pub(super) fn begin(&mut self) {
        self.out.push(b'{');
    }

    /// An object as the value of a key.
    #[inline(always)]
    pub(super) fn object(&mut self, key: &str) {
        self.key(key);
        self.out.push(b'{');
    }

    pub(super) fn end_object(&mut self) {
        self.end(b"},");
    }

    /// An array as the value of a key.
    #[inline(always)]
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

    #[inline(always)]
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

    #[inline(always)]
    pub(super) fn number(&mut self, key: &str, number: u64) {
        self.key(key);
        figures::decimal(number, self.out);
        self.out.push(b',');
    }

    #[inline(always)]
    pub(super) fn truth(&mut self, key: &str, truth: bool) {
        self.key(key);
        self.out.extend_from_slice(if truth { b"true," } else { b"false," });
    }

    pub(super) fn address(&mut self, key: &str, address: IpAddr) {
        self.write(key, |out| figures::address(address, out));
    }

    /// A text of ours, which needs no escapes.
    #[inline(always)]
    pub(super) fn word(&mut self, key: &str, word: &str) {
        self.key(key);
        self.out.push(b'"');
        self.out.extend_from_slice(word.as_bytes());
        self.out.extend_from_slice(b"\",");
    }

    /// A text that `write` writes, and that needs no escapes.
    #[inline(always)]
    pub(super) fn write(&mut self, key: &str, write: impl FnOnce(&mut Vec<u8>)) {
        self.key(key);
        self.out.push(b'"');
        write(self.out);
        self.out.extend_from_slice(b"\",");
    }

    /// The same, unless `write` says that it cannot: then it is as if nothing had been written.
    #[inline]
    pub(super) fn write_if(&mut self, key: &str, write: impl FnOnce(&mut Vec<u8>) -> bool) -> bool {
        let before = self.out.len();
        let mut is_written = false;
        self.write(key, |out| is_written = write(out));
        if !is_written {
            self.out.truncate(before);
        }
        is_written
    }

    #[inline(always)]
    fn key(&mut self, key: &str) {
        self.out.push(b'"');
        self.out.extend_from_slice(key.as_bytes());
        self.out.extend_from_slice(b"\":");
    }
}

/// Text inside quotes (RFC 8259 §7). UTF-8 stays as it is; in what is not, each byte beyond ASCII becomes the four
/// characters `\xNN`.
fn escape(text: &[u8], out: &mut Vec<u8>) {
    if is_plain(text) {
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

/// Whether text needs no escapes, eight bytes at a time.
#[inline]
pub(super) fn is_plain(text: &[u8]) -> bool {
    if let Some(last) = text.last_chunk::<8>() {
        let mut rest = text;
        let mut odd = odd_ones(*last);
        while let Some((eight, after)) = rest.split_first_chunk::<8>() {
            odd |= odd_ones(*eight);
            rest = after;
        }
        return odd == 0;
    }
    text.iter().all(|byte| matches!(byte, 0x20 | 0x21 | 0x23..=0x5b | 0x5d..=0x7e))
}

/// Not zero where one of eight bytes is a control character, a quotation mark, a backslash or beyond ASCII.
#[inline(always)]
const fn odd_ones(bytes: [u8; 8]) -> u64 {
    const ONES: u64 = 0x0101_0101_0101_0101;
    const HIGH: u64 = ONES << 7;

    let word = u64::from_le_bytes(bytes);
    let below = word.wrapping_sub(ONES.wrapping_mul(0x20));
    // What is zero here borrows from its high bit; a borrow that goes further began with one.
    let quote = (word ^ ONES.wrapping_mul(b'"' as u64)).wrapping_sub(ONES);
    let backslash = (word ^ ONES.wrapping_mul(b'\\' as u64)).wrapping_sub(ONES);
    let delete = (word ^ ONES.wrapping_mul(0x7f)).wrapping_sub(ONES);
    (word | below | quote | backslash | delete) & HIGH
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
        fn what_needs_no_escapes_is_told(start in "[ !#-Z^-~]{0,20}", odd: u8, end in "[ !#-Z^-~]{0,20}") {
            let text = [start.as_bytes(), &[odd], end.as_bytes()].concat();
            let plain = matches!(odd, 0x20 | 0x21 | 0x23..=0x5b | 0x5d..=0x7e);
            prop_assert_eq!(is_plain(&text), plain);
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
