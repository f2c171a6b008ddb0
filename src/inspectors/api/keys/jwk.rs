use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;

use super::json::Json;
use super::{Kind, PublicKey, PublicKeyProblems, PublicKeys, PublicKeysError, Unfit, start};
use crate::inspectors::api::base64url;

/// The keys of a JWK Set (RFC 7517 §5), and why others are none. At most one more than there may be.
pub(super) fn parse(text: &[u8]) -> Result<(Vec<PublicKey>, PublicKeyProblems), PublicKeysError> {
    let set: Json = serde_json::from_slice(text)
        .map_err(|error| PublicKeysError::Json { line: error.line(), column: error.column() })?;
    let Some(Json::List(all)) = set.get("keys") else { return Err(PublicKeysError::NoSet) };
    let (mut keys, mut problems) = (Vec::new(), PublicKeyProblems::default());
    for (place, jwk) in all.iter().enumerate() {
        let id = jwk.get("kid").and_then(Json::text);
        match kind(jwk) {
            Ok(kind) => keys.push(PublicKey { id: id.map(String::from), kind }),
            Err(unfit) => problems.push(|| unfit.at(place.saturating_add(1), id)),
        }
        // The rest does not matter any more.
        if keys.len() > PublicKeys::MOST {
            break;
        }
    }
    Ok((keys, problems))
}

fn kind(jwk: &Json) -> Result<Kind, Unfit> {
    // RFC 7517 §4: readers differ in which one they take.
    if let twice @ Some(_) = jwk.twice() {
        let Unfit { expected, found } = other("each member once", twice);
        return Err(Unfit::new(expected, format!("{found} twice")));
    }
    let kind = match text(jwk, "kty")? {
        Some("RSA") => "RS256",
        Some("EC") => "ES256",
        found => return Err(other("`kty` `RSA` or `EC`", found)),
    };
    text(jwk, "kid")?;
    if jwk.get("d").is_some() {
        return Err(Unfit::new("a public key", "a private one"));
    }
    for (name, meant) in [("use", "sig"), ("alg", kind)] {
        if let found @ Some(word) = text(jwk, name)? {
            if word != meant {
                return Err(other(format!("`{name}` `{meant}`"), found));
            }
        }
    }
    if let Some(operations) = jwk.get("key_ops") {
        let is_verify = |operation: &Json| operation.text() == Some("verify");
        if !matches!(operations, Json::List(all) if all.iter().any(is_verify)) {
            return Err(Unfit::new("`key_ops` with `verify`", "others"));
        }
    }
    if kind == "RS256" {
        return Kind::rsa(&bytes(jwk, "n")?, &bytes(jwk, "e")?);
    }
    match text(jwk, "crv")? {
        Some("P-256") => {}
        found => return Err(other("`crv` `P-256`", found)),
    }
    let (x, y) = (bytes(jwk, "x")?, bytes(jwk, "y")?);
    // RFC 7518 §6.2.1.2: with the zeros that it begins with.
    if let Some(odd) = [&x, &y].into_iter().find(|it| it.len() != 32) {
        return Err(Unfit::new("`x` and `y` of 32 bytes", format!("{} bytes", odd.len())));
    }
    Kind::p256(&[&[4][..], &x, &y].concat())
}

fn text<'v>(jwk: &'v Json, name: &str) -> Result<Option<&'v str>, Unfit> {
    match jwk.get(name) {
        None => Ok(None),
        Some(Json::Text(text)) => Ok(Some(text)),
        Some(_) => Err(Unfit::new(format!("a text as `{name}`"), "something else")),
    }
}

fn bytes(jwk: &Json, name: &str) -> Result<Vec<u8>, Unfit> {
    let expected = || format!("`{name}` in base64url");
    let text = text(jwk, name)?.ok_or_else(|| Unfit::new(expected(), "none"))?;
    base64url::decode(text.as_bytes()).ok_or_else(|| Unfit::new(expected(), "something else"))
}

fn other(expected: impl ToString, found: Option<&str>) -> Unfit {
    let quote = |text: &str| format!("`{}`", start(text).escape_debug());
    Unfit::new(expected.to_string(), found.map_or("none".into(), quote))
}
