use alloc::vec::Vec;

/// Decodes base64url without padding (RFC 4648 §5, RFC 7515 §2). `None` where it is anything else, also where bits are set that
/// stand for nothing: one text for one meaning.
pub(super) fn decode(text: &[u8]) -> Option<Vec<u8>> {
    let mut bytes = Vec::with_capacity(text.len().div_ceil(4).saturating_mul(3));
    for group in text.chunks(4) {
        let mut bits = 0_u32;
        for byte in group {
            bits = bits.wrapping_shl(6) | value(*byte)?;
        }
        let [_, first, second, third] = match group.len() {
            4 => bits,
            3 if bits & 0b11 == 0 => bits.wrapping_shl(6),
            2 if bits & 0b1111 == 0 => bits.wrapping_shl(12),
            _ => return None,
        }
        .to_be_bytes();
        bytes.extend([first, second, third].into_iter().take(group.len().saturating_sub(1)));
    }
    Some(bytes)
}

fn value(byte: u8) -> Option<u32> {
    let value = match byte {
        b'A'..=b'Z' => byte.wrapping_sub(b'A'),
        b'a'..=b'z' => byte.wrapping_sub(b'a').wrapping_add(26),
        b'0'..=b'9' => byte.wrapping_sub(b'0').wrapping_add(52),
        b'-' => 62,
        b'_' => 63,
        _ => return None,
    };
    Some(value.into())
}

#[cfg(test)]
pub(super) mod tests {
    use alloc::string::String;

    use proptest::prelude::*;

    use super::*;

    /// Bit by bit.
    pub(crate) fn encode(bytes: &[u8]) -> String {
        let alphabet: Vec<char> =
            ('A'..='Z').chain('a'..='z').chain('0'..='9').chain(['-', '_']).collect();
        let bits: Vec<u8> =
            bytes.iter().flat_map(|byte| (0..8).rev().map(move |bit| byte >> bit & 1)).collect();
        let number = |bits: &[u8]| (0..6).fold(0, |n, at| n << 1 | bits.get(at).unwrap_or(&0));
        bits.chunks(6).map(|bits| alphabet[usize::from(number(bits))]).collect()
    }

    proptest! {
        #[test]
        fn what_was_encoded_is_decoded(bytes: Vec<u8>) {
            prop_assert_eq!(decode(encode(&bytes).as_bytes()), Some(bytes));
        }

        /// What decodes is what its bytes are encoded as, and nothing else is.
        #[test]
        fn one_text_for_one_meaning(text in "[A-Za-c0-1_=+/-]{0,9}") {
            if let Some(bytes) = decode(text.as_bytes()) {
                prop_assert_eq!(encode(&bytes), text);
            }
        }
    }

    /// RFC 4648 §10, without padding.
    #[test]
    fn examples_of_the_standard() {
        for (text, bytes) in
            [("", ""), ("Zg", "f"), ("Zm8", "fo"), ("Zm9v", "foo"), ("Zm9vYg", "foob")]
        {
            assert_eq!(decode(text.as_bytes()).as_deref(), Some(bytes.as_bytes()));
        }
        for text in ["Z", "Zh", "Zm9", "Zg==", "Zm+v", "Zm 9v"] {
            assert_eq!(decode(text.as_bytes()), None, "{text}");
        }
    }
}
