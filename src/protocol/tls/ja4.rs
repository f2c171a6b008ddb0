use core::fmt;

use sha2::{Digest, Sha256};
use smallvec::SmallVec;

use super::list::extension_type as kind;
use super::{ClientHello, Version, is_grease};

/// A JA4 fingerprint of a TLS client over TCP: 36 characters such as `t13d1516h2_8daaf6152771_e5627efa2ab1`, which say
/// version, server name, number of cipher suites and extensions and application protocol in clear, and the rest in
/// hashes (<https://github.com/FoxIO-LLC/ja4>; this one of the family is free to use, under a BSD licence).
///
/// Unlike JA3 it does not depend on the order of extensions, which browsers shuffle.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Ja4([u8; 36]);

impl Ja4 {
    pub(super) fn of(hello: &ClientHello<'_>) -> Self {
        let mut ciphers: List = hello.cipher_suites().without_grease().collect();
        let extensions = hello.extensions().map(|extension| extension.extension_type);
        let mut extensions: List = extensions.filter(|code| !is_grease(*code)).collect();
        let [extensions_tens, extensions_ones] = two_digits(extensions.len());
        let [ciphers_tens, ciphers_ones] = two_digits(ciphers.len());
        extensions.retain(|code| !matches!(*code, kind::SERVER_NAME | kind::ALPN));
        ciphers.sort_unstable();
        extensions.sort_unstable();

        let [major, minor] = version(hello.version());
        let name = if hello.server_names().is_some() { b'd' } else { b'i' };
        let [first, last] = alpn(hello.alpn().next().unwrap_or_default());
        let cipher_hash = hash(&ciphers, hello.cipher_suites().take(0));
        let extension_hash = hash(&extensions, hello.signature_algorithms().without_grease());

        let parts: [&[u8]; 5] = [
            &[b't', major, minor, name, ciphers_tens, ciphers_ones],
            &[extensions_tens, extensions_ones, first, last, b'_'],
            &cipher_hash,
            b"_",
            &extension_hash,
        ];
        let mut text = [0; 36];
        for (to, from) in text.iter_mut().zip(parts.iter().copied().flatten()) {
            *to = *from;
        }
        Self(text)
    }

    /// The text.
    pub fn as_str(&self) -> &str {
        core::str::from_utf8(&self.0).unwrap_or_default()
    }
}

impl fmt::Display for Ja4 {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl fmt::Debug for Ja4 {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Ja4({self})")
    }
}

/// More than browsers send, so that nothing is allocated for them.
type List = SmallVec<[u16; 64]>;

const fn version(version: Version) -> [u8; 2] {
    match version.0 {
        0x0304 => *b"13",
        0x0303 => *b"12",
        0x0302 => *b"11",
        0x0301 => *b"10",
        0x0300 => *b"s3",
        0x0002 => *b"s2",
        _ => *b"00",
    }
}

/// A number up to 99, which stands for all above it too.
fn two_digits(number: usize) -> [u8; 2] {
    let number = u8::try_from(number).unwrap_or(99).min(99);
    [b'0'.wrapping_add(number / 10), b'0'.wrapping_add(number % 10)]
}

/// First and last character of a protocol's name, or of its hexadecimal form where one of them is neither letter
/// nor digit.
fn alpn(name: &[u8]) -> [u8; 2] {
    let (Some(&first), Some(&last)) = (name.first(), name.last()) else { return *b"00" };
    if first.is_ascii_alphanumeric() && last.is_ascii_alphanumeric() {
        return [first, last];
    }
    [hex_digit(first >> 4), hex_digit(last)]
}

/// The first 12 digits of the SHA-256 hash of codes in hexadecimal, and behind `_` those that are not sorted.
fn hash(sorted: &[u16], unsorted: impl Iterator<Item = u16>) -> [u8; 12] {
    if sorted.is_empty() {
        return [b'0'; 12];
    }
    // Hashed at once rather than in pieces of five bytes.
    let mut text = SmallVec::<[u8; 512]>::new();
    let mut write = |separator: Option<u8>, code: u16| {
        let [high, low] = code.to_be_bytes();
        text.extend(separator);
        text.extend_from_slice(&[high >> 4, high, low >> 4, low].map(hex_digit));
    };
    for (position, code) in sorted.iter().enumerate() {
        write((position > 0).then_some(b','), *code);
    }
    for (position, code) in unsorted.enumerate() {
        write(Some(if position == 0 { b'_' } else { b',' }), code);
    }
    let mut digits = [0; 12];
    for (pair, byte) in digits.chunks_exact_mut(2).zip(Sha256::digest(&text)) {
        pair.copy_from_slice(&[hex_digit(byte >> 4), hex_digit(byte)]);
    }
    digits
}

/// The digit of the lower four bits.
const fn hex_digit(nibble: u8) -> u8 {
    match nibble & 15 {
        digit @ 0..=9 => digit.wrapping_add(b'0'),
        letter => letter.wrapping_sub(10).wrapping_add(b'a'),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn protocol_names_of_the_specification() {
        for (name, expected) in [
            (&b"h2"[..], b"h2"),
            (b"http/1.1", b"h1"),
            (b"", b"00"),
            (b"a", b"aa"),
            (&[0xab], b"ab"),
            (&[0xab, 0xcd], b"ad"),
            (&[0x30, 0xab], b"3b"),
            (&[0x30, 0x31, 0xab, 0xcd], b"3d"),
            (&[0x30, 0xab, 0xcd, 0x31], b"01"),
        ] {
            assert_eq!(alpn(name), *expected, "{name:x?}");
        }
    }

    #[test]
    fn hashes_of_the_specification() {
        let ciphers = [
            0x002f, 0x0035, 0x009c, 0x009d, 0x1301, 0x1302, 0x1303, 0xc013, 0xc014, 0xc02b, 0xc02c,
            0xc02f, 0xc030, 0xcca8, 0xcca9,
        ];
        assert_eq!(hash(&ciphers, [].into_iter()), *b"8daaf6152771");
        let extensions = [
            0x0005, 0x000a, 0x000b, 0x000d, 0x0012, 0x0015, 0x0017, 0x001b, 0x0023, 0x002b, 0x002d,
            0x0033, 0x4469, 0xff01,
        ];
        let algorithms = [0x0403, 0x0804, 0x0401, 0x0503, 0x0805, 0x0501, 0x0806, 0x0601];
        assert_eq!(hash(&extensions, algorithms.into_iter()), *b"e5627efa2ab1");
        assert_eq!(hash(&extensions, [].into_iter()), *b"6d807ffa2a79");
        assert_eq!(hash(&[], algorithms.into_iter()), *b"000000000000");
    }

    #[test]
    fn counts_end_at_99() {
        assert_eq!([0, 6, 15, 99, 100, 300, 70_000].map(two_digits), {
            [*b"00", *b"06", *b"15", *b"99", *b"99", *b"99", *b"99"]
        });
    }
}
