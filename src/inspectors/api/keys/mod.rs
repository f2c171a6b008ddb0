//! Public keys that verify RS256 and ES256 (RFC 7518 §3).

mod json;
mod jwk;
mod pem;
#[cfg(test)]
pub(super) mod tests;
mod verified;

use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;
use core::fmt;

use ring::agreement::{ECDH_P256, EphemeralPrivateKey, agree_ephemeral};
use ring::rand::SystemRandom;
use ring::signature::{
    ECDSA_P256_SHA256_FIXED, RSA_PKCS1_2048_8192_SHA256, RsaPublicKeyComponents, UnparsedPublicKey,
};
use ring::{agreement, error};
use sha2::{Digest as _, Sha256};
use thiserror::Error;

pub(super) use self::verified::Verified;
use super::TokenError;
use super::token::Signed;

/// Public keys of whoever issues tokens: RSA keys for RS256, and points of P-256 for ES256.
///
/// What a key is fixes the algorithm that it verifies, whatever a token says.
///
/// ```
/// use gwlb_geneve::inspectors::api::{PublicKeys, TokenRule};
///
/// let keys = PublicKeys::parse(
///     br#"{ "keys": [
///         { "kty": "EC", "crv": "P-256", "kid": "2026-01", "use": "sig",
///           "x": "f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU",
///           "y": "x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0" },
///         { "kty": "OKP", "crv": "Ed25519", "x": "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo" }] }"#,
/// )?;
/// assert_eq!(keys.len(), 1);
/// assert_eq!(
///     keys.skipped().told()[0].to_string(),
///     "key 2: expected `kty` `RSA` or `EC`, found `OKP`"
/// );
/// let rule = TokenRule::new().issuer("https://login.example").public_keys(keys)?;
/// # let _ = rule;
/// # Ok::<(), gwlb_geneve::inspectors::api::PublicKeysError>(())
/// ```
#[derive(Clone)]
pub struct PublicKeys {
    /// At least one.
    keys: Vec<PublicKey>,
    skipped: PublicKeyProblems,
    /// Of all keys: what is said of a token holds for these.
    digest: Sha256,
}

#[derive(Clone)]
struct PublicKey {
    id: Option<String>,
    kind: Kind,
}

#[derive(Clone)]
enum Kind {
    /// Modulus and exponent without leading zeros, the highest byte first.
    Rsa { modulus: Vec<u8>, exponent: Vec<u8> },
    /// A point of P-256, uncompressed.
    P256([u8; 65]),
}

impl PublicKeys {
    /// Keys that there may be for a [`TokenRule`](super::TokenRule).
    pub const MOST: usize = 32;

    /// Keys that are tried for a token: the first ones of its kind, and of its ID before those without one. So many keys of a kind may be
    /// without an ID, as those in PEM are.
    pub const TRIED: usize = 8;

    /// Bits of an RSA key: fewer are weak (RFC 7518 §3.3), and verifying by more costs more than a packet should.
    pub const RSA_BITS: core::ops::RangeInclusive<usize> = 2_048..=4_096;

    /// Reads public keys: PEM (RFC 7468), one key or several, each as `SubjectPublicKeyInfo`; or a JWK Set (RFC 7517), as issuers
    /// publish it.
    ///
    /// Keys of a JWK Set that are for something else are [skipped](Self::skipped), as RFC 7517 §5 has it. In PEM they are
    /// mistakes: somebody chose them.
    ///
    /// # Errors
    ///
    /// [`PublicKeysError`]; also where there is no key left.
    pub fn parse(text: &[u8]) -> Result<Self, PublicKeysError> {
        let (keys, skipped) = match text.trim_ascii_start().first() {
            Some(b'{') => jwk::parse(text)?,
            _ => (pem::parse(text)?, PublicKeyProblems::default()),
        };
        if keys.is_empty() {
            return Err(PublicKeysError::NoneFit(skipped));
        }
        Self::of(keys, skipped)
    }

    fn of(keys: Vec<PublicKey>, skipped: PublicKeyProblems) -> Result<Self, PublicKeysError> {
        if keys.len() > Self::MOST {
            return Err(PublicKeysError::TooMany);
        }
        for algorithm in ["RS256", "ES256"] {
            let is_unnamed =
                |key: &&PublicKey| key.id.is_none() && key.kind.algorithm() == algorithm;
            let found = keys.iter().filter(is_unnamed).count();
            if found > Self::TRIED {
                return Err(PublicKeysError::TooManyUnnamed { algorithm, found });
            }
        }
        let all = keys.iter().fold(Sha256::new(), |all, key| all.chain_update(key.digest()));
        Ok(Self { keys, skipped, digest: Sha256::new().chain_update(all.finalize()) })
    }

    /// These and others.
    pub(super) fn and(mut self, others: Self) -> Result<Self, PublicKeysError> {
        self.keys.extend(others.keys);
        self.skipped.extend(others.skipped);
        Self::of(self.keys, self.skipped)
    }

    /// Says of what was left out that it is in this file.
    #[cfg(feature = "config")]
    pub(super) fn of_file(mut self, file: &str) -> Self {
        for problem in &mut self.skipped.told {
            problem.file = Some(file.into());
        }
        self
    }

    /// How many there are: one at least.
    #[expect(clippy::len_without_is_empty, reason = "it never is")]
    pub fn len(&self) -> usize {
        self.keys.len()
    }

    /// What was left out, and why.
    pub fn skipped(&self) -> &PublicKeyProblems {
        &self.skipped
    }

    /// Whether the signature of a token is that of one of the keys, by the algorithm and with the key ID of its header.
    ///
    /// A key without an ID may be any that a token names. Where there are more than [`TRIED`](Self::TRIED), the rest are not tried.
    pub(super) fn verify(
        &self,
        token: &Signed<'_>,
        verified: &mut Verified,
    ) -> Result<(), TokenError> {
        let mut fitting =
            self.keys.iter().filter(|key| key.kind.algorithm() == token.algorithm).peekable();
        fitting.peek().ok_or(TokenError::Algorithm)?;
        let is_named =
            |key: &&PublicKey| token.key_id.is_none() || key.id.as_deref() == token.key_id;
        let is_unnamed = |key: &&PublicKey| token.key_id.is_some() && key.id.is_none();
        let named = fitting.clone().filter(is_named);
        let mut tried = named.chain(fitting.filter(is_unnamed)).take(Self::TRIED).peekable();
        tried.peek().ok_or(TokenError::Key)?;
        let digest = self.digest.clone().chain_update(token.whole).finalize().into();
        match verified.ask(digest, || tried.any(|key| key.kind.verifies(token))) {
            true => Ok(()),
            false => Err(TokenError::Signature),
        }
    }
}

impl PublicKey {
    fn digest(&self) -> [u8; 32] {
        let mut digest = Sha256::new();
        let mut add = |part: &[u8]| {
            digest.update(u64::try_from(part.len()).unwrap_or(u64::MAX).to_be_bytes());
            digest.update(part);
        };
        add(&[self.id.is_some().into()]);
        add(self.id.as_deref().unwrap_or_default().as_bytes());
        match &self.kind {
            Kind::Rsa { modulus, exponent } => [modulus.as_slice(), exponent].map(add),
            Kind::P256(point) => [&[][..], point].map(add),
        };
        digest.finalize().into()
    }
}

impl Kind {
    /// From numbers with their highest byte first.
    fn rsa(modulus: &[u8], exponent: &[u8]) -> Result<Self, Unfit> {
        let (modulus, exponent) = (without_zeros(modulus), without_zeros(exponent));
        let first = modulus.first().map_or(0, |first| first.leading_zeros());
        let bits = modulus.len().saturating_mul(8);
        let bits = bits.saturating_sub(usize::try_from(first).unwrap_or(0));
        let (least, most) = (*PublicKeys::RSA_BITS.start(), *PublicKeys::RSA_BITS.end());
        if !PublicKeys::RSA_BITS.contains(&bits) {
            let expected = format!("an RSA key of {least} to {most} bits");
            return Err(Unfit::new(expected, format!("one of {bits}")));
        }
        let is_odd = |number: &[u8]| number.last().is_some_and(|last| last & 1 == 1);
        if !is_odd(modulus) {
            return Err(Unfit::new("an RSA modulus", "an even number"));
        }
        // What `ring` takes.
        let is_small = exponent.len() < 5 || exponent.len() == 5 && exponent.first() == Some(&1);
        if !is_odd(exponent) || exponent == [1] || !is_small {
            let expected = "an odd RSA exponent from 3 to 8589934591";
            return Err(Unfit::new(expected, "another number"));
        }
        Ok(Self::Rsa { modulus: modulus.into(), exponent: exponent.into() })
    }

    /// From a point as SEC 1 §2.3.3 writes it.
    fn p256(point: &[u8]) -> Result<Self, Unfit> {
        let expected = "an uncompressed point of P-256";
        let found = match point.first() {
            Some(2 | 3) => "a compressed one",
            Some(4) if point.len() == 65 => "numbers that are none",
            _ => "something else",
        };
        let unfit = || Unfit::new(expected, found);
        let point: [u8; 65] = point.try_into().map_err(|_| unfit())?;
        if !is_of_p256(&point).map_err(|_| Unfit::new("random numbers", "none"))? {
            return Err(unfit());
        }
        Ok(Self::P256(point))
    }

    const fn algorithm(&self) -> &'static str {
        match self {
            Self::Rsa { .. } => "RS256",
            Self::P256(_) => "ES256",
        }
    }

    fn verifies(&self, token: &Signed<'_>) -> bool {
        match self {
            Self::Rsa { modulus: n, exponent: e } => RsaPublicKeyComponents { n, e }
                .verify(&RSA_PKCS1_2048_8192_SHA256, token.signed, token.signature)
                .is_ok(),
            // r and s, 32 bytes each (RFC 7518 §3.4), not ASN.1.
            Self::P256(point) => UnparsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, point)
                .verify(token.signed, token.signature)
                .is_ok(),
        }
    }
}

/// Whether a point is on the curve: `ring` says so of those with which it agrees on a secret, and of others only that they verify
/// nothing.
fn is_of_p256(point: &[u8; 65]) -> Result<bool, error::Unspecified> {
    let ours = EphemeralPrivateKey::generate(&ECDH_P256, &SystemRandom::new())?;
    let theirs = agreement::UnparsedPublicKey::new(&ECDH_P256, point);
    Ok(agree_ephemeral(ours, &theirs, |_| ()).is_ok())
}

fn without_zeros(number: &[u8]) -> &[u8] {
    let zeros = number.iter().take_while(|byte| **byte == 0).count();
    number.get(zeros..).unwrap_or_default()
}

impl fmt::Debug for PublicKeys {
    /// By their IDs and algorithms.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let named = |key: &PublicKey| (key.id.as_deref().map(start), key.kind.algorithm());
        f.debug_list().entries(self.keys.iter().map(named)).finish()
    }
}

/// Why a text has no public keys to verify tokens by.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum PublicKeysError {
    /// It is neither PEM nor JSON.
    #[error("expected `-----BEGIN PUBLIC KEY-----` or a JWK Set, found neither")]
    Form,
    /// It begins as JSON does.
    #[error("expected JSON, found something else at line {line}, column {column} of it")]
    Json {
        /// The line, counted from 1.
        line: usize,
        /// The column, counted from 1.
        column: usize,
    },
    /// It is JSON without the keys of a JWK Set.
    #[error("expected a JWK Set, found JSON without one list `keys`")]
    NoSet,
    /// A key in PEM cannot be taken.
    #[error(transparent)]
    Key(#[from] PublicKeyProblem),
    /// No key of a JWK Set can be taken.
    #[error("expected a key for RS256 or ES256, found none{}{}", if .0.count() > 0 { ": " } else { "" }, .0)]
    NoneFit(PublicKeyProblems),
    /// There are more than [`PublicKeys::MOST`].
    #[error("expected at most {} keys, found more", PublicKeys::MOST)]
    TooMany,
    /// There are more than [`PublicKeys::TRIED`] that no token can name: some would never be tried.
    #[error(
        "expected at most {} keys for {algorithm} without an ID, found {found}",
        PublicKeys::TRIED
    )]
    TooManyUnnamed {
        /// By which algorithm they verify.
        algorithm: &'static str,
        /// How many there are.
        found: usize,
    },
}

/// Why keys cannot be taken: of the first ones, and of how many.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PublicKeyProblems {
    told: Vec<PublicKeyProblem>,
    more: usize,
}

impl PublicKeyProblems {
    /// Of so many keys it is told why.
    pub const MOST: usize = 8;

    /// The first ones: at most [`MOST`](Self::MOST).
    pub fn told(&self) -> &[PublicKeyProblem] {
        &self.told
    }

    /// How many keys there are that cannot be taken, with those that are not told.
    pub fn count(&self) -> usize {
        self.told.len().saturating_add(self.more)
    }

    /// It is made only where it is told.
    fn push(&mut self, problem: impl FnOnce() -> PublicKeyProblem) {
        match self.told.len() < Self::MOST {
            true => self.told.push(problem()),
            false => self.more = self.more.saturating_add(1),
        }
    }

    fn extend(&mut self, others: Self) {
        others.told.into_iter().for_each(|problem| self.push(|| problem));
        self.more = self.more.saturating_add(others.more);
    }
}

impl fmt::Display for PublicKeyProblems {
    /// One after the other, with semicolons between them.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (number, problem) in self.told.iter().enumerate() {
            write!(f, "{}{problem}", if number == 0 { "" } else { "; " })?;
        }
        if self.more == 0 { Ok(()) } else { write!(f, "; and {} more", self.more) }
    }
}

/// Why a key cannot be taken.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error(
    "{}key {number}{}: expected {expected}, found {found}",
    InFile(.file.as_deref()),
    Id(.id.as_deref())
)]
#[non_exhaustive]
pub struct PublicKeyProblem {
    /// The file that it is in, where a configuration names it.
    pub file: Option<String>,
    /// Which of the keys in its file, counted from 1.
    pub number: usize,
    /// The start of its ID, if it has one.
    pub id: Option<String>,
    /// What it may be.
    pub expected: String,
    /// What it is.
    pub found: String,
}

struct InFile<'a>(Option<&'a str>);

impl fmt::Display for InFile<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.map_or(Ok(()), |file| write!(f, "{file}: "))
    }
}

struct Id<'a>(Option<&'a str>);

impl fmt::Display for Id<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.map_or(Ok(()), |id| write!(f, " (`{}`)", id.escape_debug()))
    }
}

/// The start of a text that may be of any length, to be told.
fn start(text: &str) -> String {
    const MOST: usize = 32;

    match text.char_indices().nth(MOST).and_then(|(end, _)| text.get(..end)) {
        Some(start) => format!("{start}…"),
        None => text.into(),
    }
}

/// A [`PublicKeyProblem`] of which the place is not known yet.
struct Unfit {
    expected: String,
    found: String,
}

impl Unfit {
    fn new(expected: impl Into<String>, found: impl Into<String>) -> Self {
        Self { expected: expected.into(), found: found.into() }
    }

    fn at(self, number: usize, id: Option<&str>) -> PublicKeyProblem {
        let id = id.map(start);
        PublicKeyProblem { file: None, number, id, expected: self.expected, found: self.found }
    }
}
