use alloc::format;
use alloc::vec::Vec;

use super::{Kind, PublicKey, PublicKeys, PublicKeysError, Unfit};
use crate::inspectors::api::base64url;

const BEGIN: &str = "-----BEGIN ";
const DASHES: &str = "-----";

/// The keys in PEM (RFC 7468): each a `SubjectPublicKeyInfo` (§13).
pub(super) fn parse(text: &[u8]) -> Result<Vec<PublicKey>, PublicKeysError> {
    let text = core::str::from_utf8(text).map_err(|_| PublicKeysError::Form)?;
    let mut keys = Vec::new();
    for (place, block) in text.split(BEGIN).skip(1).enumerate() {
        let kind = kind(block).map_err(|unfit| unfit.at(place.saturating_add(1), None))?;
        keys.push(PublicKey { id: None, kind });
        // The rest does not matter any more.
        if keys.len() > PublicKeys::MOST {
            break;
        }
    }
    if keys.is_empty() {
        return Err(PublicKeysError::Form);
    }
    Ok(keys)
}

/// Of what follows [`BEGIN`].
fn kind(block: &str) -> Result<Kind, Unfit> {
    let (label, rest) = block.split_once(DASHES).unwrap_or_default();
    if label != "PUBLIC KEY" {
        // Nothing else of it: it may be a secret.
        let label = ["RSA PUBLIC KEY", "CERTIFICATE", "PRIVATE KEY"]
            .into_iter()
            .find(|known| label.ends_with(known))
            .map_or("another label".into(), |known| format!("`{known}`"));
        return Err(Unfit::new("`PUBLIC KEY` in PEM", label));
    }
    let (base64, _) = rest
        .split_once("-----END PUBLIC KEY-----")
        .ok_or_else(|| Unfit::new("`-----END PUBLIC KEY-----`", "none"))?;
    let url = |byte: u8| match byte {
        b'+' => b'-',
        b'/' => b'_',
        // These are no base64.
        b'-' | b'_' => b'+',
        byte => byte,
    };
    let text = base64.bytes().filter(|byte| !byte.is_ascii_whitespace()).map(url);
    let text: Vec<u8> = text.collect();
    let padding = text.iter().rev().take_while(|byte| **byte == b'=').count();
    let text = text.get(..text.len().saturating_sub(padding)).unwrap_or_default();
    let der = base64url::decode(text).filter(|_| padding < 3);
    let der = der.ok_or_else(|| Unfit::new("base64 between the labels", "something else"))?;
    public_key_info(&der).unwrap_or_else(|| {
        Err(Unfit::new("a SubjectPublicKeyInfo between the labels", "something else"))
    })
}

const SEQUENCE: u8 = 0x30;
const INTEGER: u8 = 0x02;
const BIT_STRING: u8 = 0x03;
const NULL: u8 = 0x05;
const OBJECT_IDENTIFIER: u8 = 0x06;

const RSA: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 1, 1];
const EC: &[u8] = &[0x2a, 0x86, 0x48, 0xce, 0x3d, 2, 1];
const P256: &[u8] = &[0x2a, 0x86, 0x48, 0xce, 0x3d, 3, 1, 7];

/// A `SubjectPublicKeyInfo` (RFC 5280 §4.1, RFC 3279 §2.3, RFC 5480 §2): `None` where it is none.
fn public_key_info(mut der: &[u8]) -> Option<Result<Kind, Unfit>> {
    let mut info = only(&mut der, SEQUENCE)?;
    let mut algorithm = value(&mut info, SEQUENCE)?;
    let key = only(&mut info, BIT_STRING)?;
    // How many bits of the last byte stand for nothing.
    let (0, mut key) = key.split_first().map(|(unused, key)| (*unused, key))? else { return None };
    let name = value(&mut algorithm, OBJECT_IDENTIFIER)?;
    if name == RSA {
        only(&mut algorithm, NULL).filter(|null| null.is_empty())?;
        let mut numbers = only(&mut key, SEQUENCE)?;
        let modulus = positive(value(&mut numbers, INTEGER)?)?;
        let exponent = positive(only(&mut numbers, INTEGER)?)?;
        return Some(Kind::rsa(modulus, exponent));
    }
    if name != EC {
        let found = match name {
            [0x2b, 0x65, 0x70] => "an Ed25519 key",
            [0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 1, 10] => "one for RSASSA-PSS alone",
            _ => "one of another kind",
        };
        return Some(Err(Unfit::new("an RSA key or a point of P-256", found)));
    }
    let curve = only(&mut algorithm, OBJECT_IDENTIFIER)?;
    if curve != P256 {
        let found = match curve {
            [0x2b, 0x81, 0x04, 0, 34] => "one of P-384",
            [0x2b, 0x81, 0x04, 0, 35] => "one of P-521",
            [0x2b, 0x81, 0x04, 0, 10] => "one of secp256k1",
            _ => "one of another curve",
        };
        return Some(Err(Unfit::new("a point of P-256", found)));
    }
    Some(Kind::p256(key))
}

/// The contents of a value in DER, and nothing after it.
fn only<'a>(der: &mut &'a [u8], tag: u8) -> Option<&'a [u8]> {
    value(der, tag).filter(|_| der.is_empty())
}

/// The contents of a value in DER, which is taken off.
fn value<'a>(der: &mut &'a [u8], tag: u8) -> Option<&'a [u8]> {
    let (found, rest) = der.split_first()?;
    let (first, rest) = rest.split_first()?;
    let (len, rest) = match (*first, rest) {
        (len @ ..=0x7f, rest) => (usize::from(len), rest),
        (0x81, [len, rest @ ..]) if *len > 0x7f => (usize::from(*len), rest),
        (0x82, [high, low, rest @ ..]) if *high > 0 => {
            (usize::from(u16::from_be_bytes([*high, *low])), rest)
        }
        _ => return None,
    };
    let (contents, rest) = rest.split_at_checked(len)?;
    *der = rest;
    (*found == tag).then_some(contents)
}

/// The bytes of an INTEGER that is not negative, and has no zeros that it could do without.
fn positive(integer: &[u8]) -> Option<&[u8]> {
    match integer {
        [0, number @ ..] => number.first().is_some_and(|first| *first >= 0x80).then_some(number),
        number => number.first().is_some_and(|first| *first < 0x80).then_some(number),
    }
}
