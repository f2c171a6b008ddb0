//! The issuer of the tokens, with a key of its own: HS256 (RFC 7515, RFC 7518 §3.2).

use std::time::Duration;

use gwlb_geneve::Timestamp;
use hmac::{Hmac, Mac};
use serde_json::{Value, json};
use sha2::Sha256;

/// Known to the issuer and to the appliance. In base64url it stands in the policy.
const SECRET: &[u8] = b"the demonstration's own, no secret";

/// Who may write, and for how long.
pub(super) struct Claims<'a> {
    pub(super) audience: &'a str,
    pub(super) expires: Timestamp,
}

/// A token for these claims.
pub(super) fn issue(claims: &Claims<'_>) -> String {
    let seconds = Duration::from_nanos(claims.expires.as_nanos()).as_secs();
    let header = json!({ "alg": "HS256", "typ": "JWT" });
    let claims = json!({
        "iss": "https://issuer.example", "aud": claims.audience, "sub": "gateway", "exp": seconds });
    let part = |value: &Value| base64url(value.to_string().as_bytes());
    let signed = format!("{}.{}", part(&header), part(&claims));
    // Keys of any length are taken.
    let mut mac = Hmac::<Sha256>::new_from_slice(SECRET).expect("a key of any length");
    mac.update(signed.as_bytes());
    format!("{signed}.{}", base64url(&mac.finalize().into_bytes()))
}

/// The secret as a policy has it.
pub(super) fn secret() -> String {
    base64url(SECRET)
}

/// Base 64 with the alphabet of URLs and without padding (RFC 4648 §5).
fn base64url(bytes: &[u8]) -> String {
    const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

    let mut text = String::with_capacity(bytes.len().div_ceil(3) * 4);
    for chunk in bytes.chunks(3) {
        let word = chunk.iter().fold(0_u32, |word, byte| word << 8 | u32::from(*byte))
            << (8 * (3 - chunk.len()));
        for digit in 0..=chunk.len() {
            text.push(char::from(ALPHABET[(word >> (18 - 6 * digit) & 63) as usize]));
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Those of RFC 4648 §10, without padding.
    #[test]
    fn base64url_is_that_of_the_rfc() {
        for (plain, coded) in [
            ("", ""),
            ("f", "Zg"),
            ("fo", "Zm8"),
            ("foo", "Zm9v"),
            ("foob", "Zm9vYg"),
            ("foobar", "Zm9vYmFy"),
        ] {
            assert_eq!(base64url(plain.as_bytes()), coded);
        }
        assert_eq!(base64url(&[0xfb, 0xff]), "-_8");
    }
}
