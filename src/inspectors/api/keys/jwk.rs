use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;

use serde_json::Value;

use super::{KeyProblem, Kind, PublicKey, PublicKeysError, Unfit};
use crate::inspectors::api::base64url;

/// The keys of a JWK Set (RFC 7517 §5), and why others are none.
pub(super) fn parse(text: &[u8]) -> Result<(Vec<PublicKey>, Vec<KeyProblem>), PublicKeysError> {
    let set: Value = serde_json::from_slice(text)
        .map_err(|error| PublicKeysError::Json { line: error.line(), column: error.column() })?;
    let all = set.get("keys").and_then(Value::as_array).ok_or(PublicKeysError::NoSet)?;
    let (mut keys, mut problems) = (Vec::new(), Vec::new());
    for (place, jwk) in all.iter().enumerate() {
        let id = jwk.get("kid").and_then(Value::as_str).map(String::from);
        match kind(jwk) {
            Ok(kind) => keys.push(PublicKey { id, kind }),
            Err(unfit) => problems.push(unfit.at(place.saturating_add(1), id)),
        }
    }
    Ok((keys, problems))
}

fn kind(jwk: &Value) -> Result<Kind, Unfit> {
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
        let is_verify = |operation: &Value| operation.as_str() == Some("verify");
        if !operations.as_array().is_some_and(|all| all.iter().any(is_verify)) {
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

fn text<'v>(jwk: &'v Value, name: &str) -> Result<Option<&'v str>, Unfit> {
    match jwk.get(name) {
        None => Ok(None),
        Some(Value::String(text)) => Ok(Some(text)),
        Some(_) => Err(Unfit::new(format!("a text as `{name}`"), "something else")),
    }
}

fn bytes(jwk: &Value, name: &str) -> Result<Vec<u8>, Unfit> {
    let expected = || format!("`{name}` in base64url");
    let text = text(jwk, name)?.ok_or_else(|| Unfit::new(expected(), "none"))?;
    base64url::decode(text.as_bytes()).ok_or_else(|| Unfit::new(expected(), "something else"))
}

fn other(expected: impl ToString, found: Option<&str>) -> Unfit {
    /// Characters: it may be anything.
    const MOST: usize = 32;

    let quote = |text: &str| {
        let shown: String = text.chars().take(MOST).flat_map(char::escape_debug).collect();
        format!("`{shown}`")
    };
    Unfit::new(expected.to_string(), found.map_or("none".into(), quote))
}
