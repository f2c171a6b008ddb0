use alloc::borrow::Cow;
use alloc::vec::Vec;

use md5::{Digest, Md5};
use sha1::Sha1;
use sha2::Sha256;

use super::super::Transform;

/// What transforms make of bytes, one after another.
pub(in super::super) fn transform<'a>(bytes: &'a [u8], transforms: &[Transform]) -> Cow<'a, [u8]> {
    transforms.iter().fold(Cow::Borrowed(bytes), |bytes, transform| {
        match apply(&bytes, transform) {
            Some(changed) => Cow::Owned(changed),
            None => bytes,
        }
    })
}

fn apply(bytes: &[u8], transform: &Transform) -> Option<Vec<u8>> {
    Some(match transform {
        Transform::DotPrefix => {
            let mut dotted = Vec::with_capacity(bytes.len().saturating_add(1));
            dotted.push(b'.');
            dotted.extend_from_slice(bytes);
            dotted
        }
        Transform::ToLowercase => bytes.to_ascii_lowercase(),
        Transform::ToUppercase => bytes.to_ascii_uppercase(),
        Transform::StripWhitespace => together(bytes, bytes.split(|byte| is_space(*byte))),
        Transform::CompressWhitespace => {
            // A part ends with the only space that is left of a row.
            let parts = bytes.split_inclusive(|byte| is_space(*byte));
            let mut was_space = false;
            together(
                bytes,
                parts.filter(|part| {
                    let is_more =
                        was_space && part.len() == 1 && part.iter().all(|it| is_space(*it));
                    was_space = part.last().is_some_and(|byte| is_space(*byte));
                    !is_more
                }),
            )
        }
        Transform::UrlDecode => url_decoded(bytes),
        Transform::ToMd5 => Md5::digest(bytes).to_vec(),
        Transform::ToSha1 => Sha1::digest(bytes).to_vec(),
        Transform::ToSha256 => Sha256::digest(bytes).to_vec(),
        Transform::Xor(key) => xored(bytes, key),
        Transform::HeaderLowercase => header_lowercase(bytes),
        Transform::StripPseudoHeaders => {
            let lines = bytes.split_inclusive(|byte| *byte == b'\n');
            together(bytes, lines.filter(|line| !line.starts_with(b":")))
        }
    })
}

/// Parts of bytes, one after another.
fn together<'a>(bytes: &[u8], parts: impl Iterator<Item = &'a [u8]>) -> Vec<u8> {
    let mut made = Vec::with_capacity(bytes.len());
    parts.for_each(|part| made.extend_from_slice(part));
    made
}

const fn is_space(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t' | b'\r' | b'\n' | 0x0b | 0x0c)
}

/// In blocks of many keys, which the compiler makes wide instructions of (`benches/README.md`, "Signatures").
fn xored(bytes: &[u8], key: &[u8]) -> Vec<u8> {
    let Some(times) = BLOCK.checked_div(key.len()) else { return bytes.to_vec() };
    let block = key.repeat(times.max(1));
    let mut made = Vec::with_capacity(bytes.len());
    for part in bytes.chunks(block.len()) {
        made.extend(part.iter().zip(&block).map(|(byte, key)| byte ^ key));
    }
    made
}

/// Bytes at a time.
const BLOCK: usize = 256;

fn url_decoded(bytes: &[u8]) -> Vec<u8> {
    let mut decoded = Vec::with_capacity(bytes.len());
    let mut rest = bytes;
    while let Some((first, after)) = rest.split_first() {
        rest = after;
        let byte = match (first, after) {
            (b'+', _) => b' ',
            (b'%', [high, low, behind @ ..]) => match (digit(*high), digit(*low)) {
                (Some(high), Some(low)) => {
                    rest = behind;
                    high.wrapping_shl(4) | low
                }
                _ => b'%',
            },
            (other, _) => *other,
        };
        decoded.push(byte);
    }
    decoded
}

fn digit(byte: u8) -> Option<u8> {
    char::from(byte).to_digit(16).and_then(|digit| u8::try_from(digit).ok())
}

fn header_lowercase(bytes: &[u8]) -> Vec<u8> {
    let mut is_name = true;
    let lower = |byte: &u8| {
        match byte {
            b':' => is_name = false,
            b'\n' => is_name = true,
            _ => {}
        }
        if is_name { byte.to_ascii_lowercase() } else { *byte }
    };
    bytes.iter().map(lower).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_changes_what_it_says() {
        use Transform as T;
        for (made, bytes, expected) in [
            (vec![], "aB", "aB"),
            (vec![T::DotPrefix], "a.b", ".a.b"),
            (vec![T::ToLowercase, T::DotPrefix], "A", ".a"),
            (vec![T::ToUppercase], "a1b", "A1B"),
            (vec![T::StripWhitespace], " a\tb\r\n\x0b\x0cc ", "abc"),
            (vec![T::CompressWhitespace], "a \t b\n\nc", "a b\nc"),
            (vec![T::UrlDecode], "%41+%4%zz%2B", "A %4%zz+"),
            (vec![T::Xor(vec![1, 2])], "aaa", "`c`"),
            (vec![T::Xor(vec![1; 300])], "a", "`"),
            (vec![T::Xor(Vec::new())], "a", "a"),
            (
                vec![T::HeaderLowercase],
                "Name: Value: X\r\nOther: Y\r\n",
                "name: Value: X\r\nother: Y\r\n",
            ),
            (vec![T::StripPseudoHeaders], ":method: GET\r\nA: b\r\n:x", "A: b\r\n"),
        ] {
            let found = transform(bytes.as_bytes(), &made);
            assert_eq!(String::from_utf8_lossy(&found), expected, "{made:?}");
        }
        assert_eq!(transform(b"  a  b  ", &[T::CompressWhitespace])[..], *b" a b ");
        assert_eq!(transform(b"abc", &[T::ToMd5])[..4], [0x90, 0x01, 0x50, 0x98]);
        assert_eq!(transform(b"abc", &[T::ToSha1])[..4], [0xa9, 0x99, 0x3e, 0x36]);
        assert_eq!(transform(b"abc", &[T::ToSha256])[..4], [0xba, 0x78, 0x16, 0xbf]);
    }
    proptest::proptest! {
        #[test]
        fn places_are_kept_by_those_that_say_so(bytes: Vec<u8>, len in 0..50_usize) {
            use Transform as T;
            let all = [T::DotPrefix, T::ToLowercase, T::ToUppercase, T::Xor(vec![1, 2, 3]), T::HeaderLowercase];
            for one in all {
                proptest::prop_assert!(one.keeps_places());
                let first = bytes.get(..len).unwrap_or(&bytes);
                let (made, all) = (apply(first, &one), apply(&bytes, &one));
                let (made, all) = (made.unwrap(), all.unwrap());
                proptest::prop_assert!(made.len() >= first.len() && all.starts_with(&made));
            }
        }
    }
}
