use alloc::string::String;
use alloc::vec::Vec;
use core::fmt;
use core::time::Duration;

use serde::de::IgnoredAny;
use serde::{Deserialize, Deserializer};
use thiserror::Error;

use super::hmac::Hmac;
#[cfg(feature = "jwt-keys")]
use super::keys::{PublicKeys, PublicKeysError};
use super::{Verified, base64url};
use crate::Timestamp;

/// What a bearer token has to be like (RFC 6750): a JSON Web Token (RFC 7519) in the compact form, three parts in base64url, with an
/// algorithm other than `none`, that has not expired.
///
/// Without a key its signature is not looked at: anybody can make such a token, and the server has to verify it. Keys say by
/// which algorithms it may be signed, and no others are taken: a [secret](Self::secret) HS256, public ones RS256 or ES256 (feature
/// `jwt-keys`, `TokenRule::public_keys`).
///
/// ```
/// use core::time::Duration;
///
/// use gwlb_geneve::inspectors::api::TokenRule;
///
/// let rule = TokenRule::new().issuer("https://login.example").audience("orders");
/// assert!(rule.leeway(Duration::from_secs(30)).secret(b"shorter than RFC 7518 has it").is_err());
/// ```
#[derive(Clone)]
pub struct TokenRule {
    issuers: Vec<String>,
    audiences: Vec<String>,
    leeway: Duration,
    secret: Option<Hmac>,
    #[cfg(feature = "jwt-keys")]
    public_keys: Option<PublicKeys>,
}

impl TokenRule {
    /// Bytes that a secret for HS256 has at least (RFC 7518 §3.2).
    pub const SECRET_LEN: usize = 32;

    /// Any token that has not expired.
    pub const fn new() -> Self {
        Self {
            issuers: Vec::new(),
            audiences: Vec::new(),
            leeway: Duration::from_secs(60),
            secret: None,
            #[cfg(feature = "jwt-keys")]
            public_keys: None,
        }
    }

    /// Issued by this one, or by another that is named (`iss`).
    #[must_use]
    pub fn issuer(mut self, issuer: impl Into<String>) -> Self {
        self.issuers.push(issuer.into());
        self
    }

    /// Meant for this one, or for another that is named (`aud`).
    #[must_use]
    pub fn audience(mut self, audience: impl Into<String>) -> Self {
        self.audiences.push(audience.into());
        self
    }

    /// How far clocks may differ (`exp`, `nbf`). By default a minute.
    #[must_use]
    pub fn leeway(self, leeway: Duration) -> Self {
        Self { leeway, ..self }
    }

    /// Signed with this secret, which is shared with the issuer, by HS256.
    ///
    /// # Errors
    ///
    /// [`SecretError`], where the secret is too short.
    pub fn secret(self, secret: &[u8]) -> Result<Self, SecretError> {
        if secret.len() < Self::SECRET_LEN {
            return Err(SecretError { found: secret.len() });
        }
        Ok(Self { secret: Some(Hmac::new(secret)), ..self })
    }

    /// Signed with one of these keys, or with another that is named, by RS256 or ES256: that which is for a key of its kind.
    ///
    /// Where a token names its key (`kid`), this one is tried, and those that have no ID; else all of its kind are. After
    /// [`PublicKeys::TRIED`] keys its signature is wrong.
    ///
    /// # Errors
    ///
    /// [`PublicKeysError::TooMany`] and [`PublicKeysError::TooManyUnnamed`], with those that are there already.
    #[cfg(feature = "jwt-keys")]
    pub fn public_keys(mut self, keys: PublicKeys) -> Result<Self, PublicKeysError> {
        self.public_keys = Some(match self.public_keys.take() {
            Some(others) => others.and(keys)?,
            None => keys,
        });
        Ok(self)
    }

    #[cfg(feature = "jwt-keys")]
    pub(super) const fn verified_by(&self) -> Option<&PublicKeys> {
        self.public_keys.as_ref()
    }

    /// Compares a token with the rule at a moment.
    ///
    /// # Errors
    ///
    /// [`TokenError`] says in what it differs.
    pub fn check(&self, token: &[u8], now: Timestamp) -> Result<(), TokenError> {
        self.check_again(token, now, &mut Verified::default())
    }

    /// As [`check`](Self::check), without the same signature verified twice.
    pub(super) fn check_again(
        &self,
        token: &[u8],
        now: Timestamp,
        verified: &mut Verified,
    ) -> Result<(), TokenError> {
        let mut parts = token.split(|byte| *byte == b'.');
        let (Some(header), Some(claims), Some(signature), None) =
            (parts.next(), parts.next(), parts.next(), parts.next())
        else {
            return Err(TokenError::Form);
        };
        let signed = token.get(..token.len().saturating_sub(signature.len()).saturating_sub(1));
        let signed = signed.ok_or(TokenError::Form)?;
        let decode = |part| base64url::decode(part).ok_or(TokenError::Form);
        let (header, claims, signature) = (decode(header)?, decode(claims)?, decode(signature)?);
        let header: Header = object(&header)?;
        if header.alg.is_empty() || header.alg.eq_ignore_ascii_case("none") || signature.is_empty()
        {
            return Err(TokenError::Unsigned);
        }
        if header.has_critical {
            return Err(TokenError::Critical);
        }
        // Nothing that is said in it is believed before this.
        let token = Signed {
            whole: token,
            signed,
            signature: &signature,
            algorithm: &header.alg,
            key_id: header.kid.as_deref(),
        };
        self.check_signature(&token, verified)?;
        let claims: Claims = object(&claims)?;
        self.check_claims(&claims, now)
    }

    fn check_signature(
        &self,
        token: &Signed<'_>,
        verified: &mut Verified,
    ) -> Result<(), TokenError> {
        match &self.secret {
            Some(secret) if token.algorithm == "HS256" => {
                let is_signed = secret.verifies(token.signed, token.signature);
                return is_signed.then_some(()).ok_or(TokenError::Signature);
            }
            _ => {}
        }
        #[cfg(feature = "jwt-keys")]
        if let Some(keys) = &self.public_keys {
            return keys.verify(token, verified);
        }
        #[cfg(not(feature = "jwt-keys"))]
        let _ = (token.whole, token.key_id, verified);
        if self.secret.is_some() { Err(TokenError::Algorithm) } else { Ok(()) }
    }

    fn check_claims(&self, claims: &Claims, now: Timestamp) -> Result<(), TokenError> {
        let (now, leeway) = (now.since_unix().as_secs_f64(), self.leeway.as_secs_f64());
        let expires = claims.exp.ok_or(TokenError::NoExpiry)?;
        // RFC 7519 §4.1.4: on or after.
        if now >= expires + leeway {
            return Err(TokenError::Expired);
        }
        if claims.nbf.is_some_and(|not_before| now + leeway < not_before) {
            return Err(TokenError::NotYet);
        }
        let is_issuer = |issuer: &String| self.issuers.contains(issuer);
        if !self.issuers.is_empty() && !claims.iss.as_ref().is_some_and(is_issuer) {
            return Err(TokenError::Issuer);
        }
        let is_audience = |audience: &String| self.audiences.contains(audience);
        let is_meant = match &claims.aud {
            None => false,
            Some(Audience::One(audience)) => is_audience(audience),
            Some(Audience::Many(audiences)) => audiences.iter().any(is_audience),
        };
        if !self.audiences.is_empty() && !is_meant {
            return Err(TokenError::Audience);
        }
        Ok(())
    }
}

impl Default for TokenRule {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for TokenRule {
    /// Without the secret.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut debug = f.debug_struct("TokenRule");
        debug
            .field("issuers", &self.issuers)
            .field("audiences", &self.audiences)
            .field("leeway", &self.leeway)
            .field("has_secret", &self.secret.is_some());
        #[cfg(feature = "jwt-keys")]
        debug.field("public_keys", &self.public_keys);
        debug.finish()
    }
}

/// What of a token bears on its signature.
pub(super) struct Signed<'a> {
    pub(super) whole: &'a [u8],
    /// What is signed of it.
    pub(super) signed: &'a [u8],
    pub(super) signature: &'a [u8],
    pub(super) algorithm: &'a str,
    pub(super) key_id: Option<&'a str>,
}

/// From an object: `serde` takes an array, too, as the members in their order.
fn object<'de, T: Deserialize<'de>>(json: &'de [u8]) -> Result<T, TokenError> {
    let is_object = json.trim_ascii_start().starts_with(b"{");
    let object = is_object.then(|| serde_json::from_slice(json).ok()).flatten();
    object.ok_or(TokenError::Form)
}

/// A member that stands there twice makes it unreadable (RFC 7519 §4), since readers differ in which one they take.
#[derive(Deserialize)]
struct Header {
    alg: String,
    kid: Option<String>,
    #[serde(rename = "crit", default, deserialize_with = "present")]
    has_critical: bool,
}

/// Whatever the value, `null` too.
fn present<'de, D: Deserializer<'de>>(value: D) -> Result<bool, D::Error> {
    IgnoredAny::deserialize(value).map(|_| true)
}

#[derive(Deserialize)]
struct Claims {
    exp: Option<f64>,
    nbf: Option<f64>,
    iss: Option<String>,
    aud: Option<Audience>,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Audience {
    One(String),
    Many(Vec<String>),
}

/// Why a token is not what a [`TokenRule`] asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum TokenError {
    /// There is no `Authorization: Bearer`, or more than one Authorization.
    #[error("no bearer token")]
    Missing,
    /// It is not three parts in base64url, of which two are JSON as it should be.
    #[error("no JSON Web Token")]
    Form,
    /// The algorithm is `none`, or there is no signature.
    #[error("a token without signature")]
    Unsigned,
    /// It has extensions that must be understood (RFC 7515 §4.1.11).
    #[error("a token with critical extensions")]
    Critical,
    /// An algorithm that there is no key for.
    #[error("a token signed by an algorithm that no key is for")]
    Algorithm,
    /// It names a key (`kid`) that there is not.
    #[error("a token signed with a key that is not known")]
    Key,
    /// The signature is not that of the key.
    #[error("a token with a wrong signature")]
    Signature,
    /// It does not say when it expires.
    #[error("a token that never expires")]
    NoExpiry,
    /// It has expired.
    #[error("an expired token")]
    Expired,
    /// It is not valid yet.
    #[error("a token for later")]
    NotYet,
    /// Another issuer, or none.
    #[error("a token of another issuer")]
    Issuer,
    /// Other audiences, or none.
    #[error("a token for another audience")]
    Audience,
}

/// A secret that is too short.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("expected a secret of at least {} bytes, found {found}", TokenRule::SECRET_LEN)]
#[non_exhaustive]
pub struct SecretError {
    /// How many bytes it has.
    pub found: usize,
}

#[cfg(test)]
mod tests {
    use alloc::format;

    use super::*;
    use crate::inspectors::api::base64url::tests::encode;
    use crate::inspectors::api::hmac::tests::tag;

    const KEY: &[u8] = b"a key for tests, of more than 32 bytes";
    const NOW: u64 = 1_700_000_000;

    fn token(header: &str, claims: &str, key: &[u8]) -> String {
        let signed = format!("{}.{}", encode(header.as_bytes()), encode(claims.as_bytes()));
        format!("{signed}.{}", encode(&tag(key, signed.as_bytes())))
    }

    fn check(rule: &TokenRule, token: &str) -> Result<(), TokenError> {
        rule.check(token.as_bytes(), Timestamp::from_unix(Duration::from_secs(NOW)))
    }

    const HS256: &str = r#"{"alg":"HS256","typ":"JWT"}"#;

    #[test]
    fn claims() {
        let rule = TokenRule::new().issuer("i").audience("a").audience("b");
        for (claims, expected) in [
            (format!(r#"{{"exp":{},"iss":"i","aud":"a"}}"#, NOW + 1), Ok(())),
            (format!(r#"{{"exp":{},"iss":"i","aud":["x","b"],"more":[{{}}]}}"#, NOW - 59), Ok(())),
            (format!(r#"{{"exp":{}.5,"iss":"i","aud":"a"}}"#, NOW - 60), Ok(())),
            (format!(r#"{{"exp":{},"iss":"i","aud":"a"}}"#, NOW - 60), Err(TokenError::Expired)),
            (format!(r#"{{"exp":{},"nbf":{},"iss":"i","aud":"a"}}"#, NOW + 99, NOW + 60), Ok(())),
            (
                format!(r#"{{"exp":{},"nbf":{},"iss":"i","aud":"a"}}"#, NOW + 99, NOW + 61),
                Err(TokenError::NotYet),
            ),
            (r#"{"iss":"i","aud":"a"}"#.into(), Err(TokenError::NoExpiry)),
            (r#"{"exp":null,"iss":"i","aud":"a"}"#.into(), Err(TokenError::NoExpiry)),
            (format!(r#"{{"exp":{},"iss":"j","aud":"a"}}"#, NOW), Err(TokenError::Issuer)),
            (format!(r#"{{"exp":{},"aud":"a"}}"#, NOW), Err(TokenError::Issuer)),
            (format!(r#"{{"exp":{},"iss":"i","aud":["A"]}}"#, NOW), Err(TokenError::Audience)),
            (format!(r#"{{"exp":{},"iss":"i","aud":[]}}"#, NOW), Err(TokenError::Audience)),
            (format!(r#"{{"exp":{},"iss":"i"}}"#, NOW), Err(TokenError::Audience)),
            // Twice, text instead of a number, no object, more than a number holds.
            (format!(r#"{{"exp":1,"exp":{},"iss":"i","aud":"a"}}"#, NOW), Err(TokenError::Form)),
            (format!(r#"{{"exp":"{}","iss":"i","aud":"a"}}"#, NOW), Err(TokenError::Form)),
            ("[]".into(), Err(TokenError::Form)),
            (format!(r#"[{},null,"i","a"]"#, NOW + 1), Err(TokenError::Form)),
            (format!(r#" {{"exp":{},"iss":"i","aud":"a"}}"#, NOW + 1), Ok(())),
            (r#"{"exp":1e999}"#.into(), Err(TokenError::Form)),
            ("[".repeat(100_000), Err(TokenError::Form)),
            (format!(r#"{{"aud":{}"#, "[".repeat(100_000)), Err(TokenError::Form)),
            (format!(r#"{{"x":{}"#, "[".repeat(100_000)), Err(TokenError::Form)),
        ] {
            let result = check(&rule, &token(HS256, &claims, KEY));
            assert_eq!(result, expected, "{}", &claims[..claims.len().min(60)]);
        }
    }

    #[test]
    fn headers_and_signatures() {
        let (shape, keyed) = (TokenRule::new(), TokenRule::new().secret(KEY).unwrap());
        let claims = format!(r#"{{"exp":{NOW}}}"#);
        for (header, of_shape, of_key) in [
            (HS256, Ok(()), Ok(())),
            (r#"{"alg":"RS256"}"#, Ok(()), Err(TokenError::Algorithm)),
            (r#"{"alg":"none"}"#, Err(TokenError::Unsigned), Err(TokenError::Unsigned)),
            (r#"{"alg":"nOnE"}"#, Err(TokenError::Unsigned), Err(TokenError::Unsigned)),
            (r#"{"alg":"HS256","alg":"none"}"#, Err(TokenError::Form), Err(TokenError::Form)),
            (
                r#"{"alg":"HS256","crit":["b64"],"b64":false}"#,
                Err(TokenError::Critical),
                Err(TokenError::Critical),
            ),
            (
                r#"{"alg":"HS256","crit":null}"#,
                Err(TokenError::Critical),
                Err(TokenError::Critical),
            ),
            ("{}", Err(TokenError::Form), Err(TokenError::Form)),
            (r#"["HS256",null]"#, Err(TokenError::Form), Err(TokenError::Form)),
            (r#"["HS256",null,null]"#, Err(TokenError::Form), Err(TokenError::Form)),
        ] {
            let token = token(header, &claims, KEY);
            assert_eq!(
                (check(&shape, &token), check(&keyed, &token)),
                (of_shape, of_key),
                "{header}"
            );
        }
        let other = token(HS256, &claims, b"another key of at least 32 bytes !");
        assert_eq!(check(&shape, &other), Ok(()));
        assert_eq!(check(&keyed, &other), Err(TokenError::Signature));
        let right = token(HS256, &claims, KEY);
        let (signed, _) = right.rsplit_once('.').unwrap();
        for (token, expected) in [
            (format!("{signed}."), TokenError::Unsigned),
            (signed.into(), TokenError::Form),
            (format!("{right}.x"), TokenError::Form),
            (format!("{right}="), TokenError::Form),
            (String::new(), TokenError::Form),
            ("..".into(), TokenError::Form),
        ] {
            assert_eq!(check(&keyed, &token), Err(expected), "{token}");
        }
    }

    /// RFC 7515 §A.1, which expired in 2011.
    #[test]
    fn the_example_of_the_standard() {
        let key = "AyM1SysPpbyDfgZld3umj1qzKObwVMkoqQ-EstJQLr_T-1qS0gZH75aKtMN3Yj0iPS4hcgUuTwjAzZr1Z9CAow";
        let token = "eyJ0eXAiOiJKV1QiLA0KICJhbGciOiJIUzI1NiJ9\
            .eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLmNvbS9pc19yb290Ijp0cnVlfQ\
            .dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk";
        let key = base64url::decode(key.as_bytes()).unwrap();
        let rule = TokenRule::new().issuer("joe").secret(&key).unwrap().leeway(Duration::ZERO);
        let at = |seconds| {
            rule.check(token.as_bytes(), Timestamp::from_unix(Duration::from_secs(seconds)))
        };
        assert_eq!((at(1_300_819_379), at(1_300_819_380)), (Ok(()), Err(TokenError::Expired)));
    }
}
