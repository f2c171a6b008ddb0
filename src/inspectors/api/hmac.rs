use sha2::{Digest, Sha256};

/// The bytes of a block of SHA-256.
const BLOCK: usize = 64;

/// HMAC-SHA-256 (RFC 2104), with the key already worked in.
#[derive(Clone)]
pub(super) struct Hmac {
    inner: Sha256,
    outer: Sha256,
}

impl Hmac {
    pub(super) fn new(key: &[u8]) -> Self {
        let mut block = [0; BLOCK];
        let hashed;
        let key = if key.len() > BLOCK {
            hashed = Sha256::digest(key);
            hashed.as_slice()
        } else {
            key
        };
        for (place, byte) in block.iter_mut().zip(key) {
            *place = *byte;
        }
        let padded = |pad: u8| Sha256::new().chain_update(block.map(|byte| byte ^ pad));
        Self { inner: padded(0x36), outer: padded(0x5c) }
    }

    /// Whether a tag is that of a message. How long it takes does not depend on where they differ.
    pub(super) fn verifies(&self, message: &[u8], tag: &[u8]) -> bool {
        let expected = self.tag(message);
        let differ = expected.iter().zip(tag).fold(0, |differ, (a, b)| differ | (a ^ b));
        tag.len() == expected.len() && core::hint::black_box(differ) == 0
    }

    fn tag(&self, message: &[u8]) -> [u8; 32] {
        let inner = self.inner.clone().chain_update(message).finalize();
        self.outer.clone().chain_update(inner).finalize().into()
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    pub(crate) fn tag(key: &[u8], message: &[u8]) -> [u8; 32] {
        Hmac::new(key).tag(message)
    }

    fn hex(bytes: &[u8]) -> alloc::string::String {
        bytes.iter().map(|byte| alloc::format!("{byte:02x}")).collect()
    }

    /// RFC 4231 §4.2, §4.3, §4.7: a short key, a shorter one, one longer than a block.
    #[test]
    fn examples_of_the_standard() {
        for (key, message, expected) in [
            (
                &[0x0b; 20][..],
                &b"Hi There"[..],
                "b0344c61d8db38535ca8afceaf0bf12b881dc200c9833da726e9376c2e32cff7",
            ),
            (
                b"Jefe",
                b"what do ya want for nothing?",
                "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843",
            ),
            (
                &[0xaa; 131],
                b"Test Using Larger Than Block-Size Key - Hash Key First",
                "60e431591ee0b67f0d8a26aacbf5b77f8e0bc6213728c5140546040f0ee37f54",
            ),
        ] {
            assert_eq!(hex(&tag(key, message)), expected);
            let right = tag(key, message);
            assert!(Hmac::new(key).verifies(message, &right));
            for bit in 0..256 {
                let mut wrong = right;
                wrong[bit / 8] ^= 1 << (bit % 8);
                assert!(!Hmac::new(key).verifies(message, &wrong));
            }
            assert!(!Hmac::new(key).verifies(message, &right[..31]));
            assert!(!Hmac::new(key).verifies(message, &[]));
        }
    }
}
