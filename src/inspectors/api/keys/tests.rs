use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;
use core::time::Duration;

use ring::rand::SystemRandom;
use ring::signature::{
    ECDSA_P256_SHA256_ASN1_SIGNING, ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair,
    EcdsaSigningAlgorithm,
};

use super::*;
use crate::Timestamp;
use crate::inspectors::api::TokenRule;
use crate::inspectors::api::base64url;
use crate::inspectors::api::base64url::tests::encode;
use crate::inspectors::api::hmac::tests::tag;

/// RFC 7515 §A.2: the public part of the key, and the token.
const RSA: &str = r#""kty":"RSA","e":"AQAB","n":"ofgWCuLjybRlzo0tZWJjNiuSfb4p4fAkd_wWJcyQoTbji9k0l8W26mPddxHmfHQp-Vaw-4qPCJrcS2mJPMEzP1Pt0Bm4d4QlL-yRT-SFd2lZS-pCgNMsD1W_YpRPEwOWvG6b32690r2jZ47soMZo9wGzjb_7OMg0LOL-bSf63kpaSHSXndS5z5rexMdbBYUsLA9e-KXBdQOS-UTo7WTBEMa2R2CapHg665xsmtdVMTBQY4uDZlxvb3qCo5ZwKh9kG4LT6_I5IhlJH7aGhyxXFvUK-DWNmoudF8NAco9_h9iaGNj8q2ethFkMLs91kzk2PAcDTW9gb54h4FRWyuXpoQ""#;
const RSA_TOKEN: &str = "eyJhbGciOiJSUzI1NiJ9\
    .eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLmNvbS9pc19yb290Ijp0cnVlfQ\
    .cC4hiUPoj9Eetdgtv3hF80EGrhuB__dzERat0XF9g2VtQgr9PJbu3XOiZj5RZmh7AAuHIm4Bh-0Qc_lF5YKt_O8W2Fp5jujGbds9uJdbF9CUAr7t1dnZcAcQjbKBYNX4BAynRFdiuB--f_nZLgrnbyTyWzO75vRK5h6xBArLIARNPvkSjtQBMHlb1L07Qe7K0GarZRmB_eSN9383LcOLn6_dO--xi12jzDwusC-eOkHWEsqtFZESc6BfI7noOPqvhJ1phCnvWh6IeYI2w9QOYEUipUTI8np6LbgGY9Fs98rqVt5AXLIhWkWywlVmtVrBp0igcN_IoypGlUPQGe77Rw";

/// RFC 7515 §A.3: the public part of the key, the private one, and the token.
const EC: &str = r#""kty":"EC","crv":"P-256","x":"f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU","y":"x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0""#;
const EC_PRIVATE: &str = "jpsQnnGQmL-YBIffH1136cspYG6-0iY7X1fCE9-E9LI";
const EC_TOKEN: &str = "eyJhbGciOiJFUzI1NiJ9\
    .eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLmNvbS9pc19yb290Ijp0cnVlfQ\
    .DtEhU3ljbEg8L38VWAfUAqOyKAM6-Xx-F4GawxaepmXFCgfTjDxw5djxLa8ISlSApmWQxfKTUJqPP3-Kg6NU1Q";

/// When these tokens expire.
const EXPIRES: u64 = 1_300_819_380;

/// Another point of P-256.
const OTHER_EC: &str = r#""kty":"EC","crv":"P-256","x":"rQVOWeuSEaDdHtKP3lgJ66KHzIfiAXQXlvyz12wIvXU","y":"JCEz5pgBXDR4E886O5rg4apc912yjRILI820t_rCgBY""#;

fn keys(members: &[&str]) -> PublicKeys {
    PublicKeys::parse(set(members).as_bytes()).unwrap()
}

fn set(members: &[&str]) -> String {
    let keys: Vec<_> = members.iter().map(|members| format!("{{{members}}}")).collect();
    format!("{{\"keys\":[{}]}}", keys.join(","))
}

fn rule(members: &[&str]) -> TokenRule {
    TokenRule::new().leeway(Duration::ZERO).public_keys(keys(members)).unwrap()
}

fn at(seconds: u64) -> Timestamp {
    Timestamp::from_unix(Duration::from_secs(seconds))
}

fn check(rule: &TokenRule, token: &str) -> Result<(), TokenError> {
    rule.check(token.as_bytes(), at(EXPIRES - 1))
}

/// A token signed with the key of RFC 7515 §A.3.
fn signed(header: &str, claims: &str, algorithm: &'static EcdsaSigningAlgorithm) -> String {
    let decode = |name: &str| {
        let (_, value) = EC.split_once(&format!("\"{name}\":\"")).unwrap();
        base64url::decode(value.split('"').next().unwrap().as_bytes()).unwrap()
    };
    let random = SystemRandom::new();
    let key = EcdsaKeyPair::from_private_key_and_public_key(
        algorithm,
        &base64url::decode(EC_PRIVATE.as_bytes()).unwrap(),
        &[&[4][..], &decode("x"), &decode("y")].concat(),
        &random,
    )
    .unwrap();
    let signed = format!("{}.{}", encode(header.as_bytes()), encode(claims.as_bytes()));
    let signature = key.sign(&random, signed.as_bytes()).unwrap();
    format!("{signed}.{}", encode(signature.as_ref()))
}

fn es256(header: &str) -> String {
    let claims = format!("{{\"exp\":{EXPIRES}}}");
    signed(header, &claims, &ECDSA_P256_SHA256_FIXED_SIGNING)
}

#[test]
fn examples_of_the_standard() {
    for (key, token) in [(RSA, RSA_TOKEN), (EC, EC_TOKEN)] {
        for members in [&[key][..], &[RSA, EC]] {
            let rule = rule(members).issuer("joe");
            assert_eq!(check(&rule, token), Ok(()));
            assert_eq!(rule.check(token.as_bytes(), at(EXPIRES)), Err(TokenError::Expired));
        }
    }
}

#[test]
fn what_was_tampered_with_is_refused() {
    for (key, token) in [(RSA, RSA_TOKEN), (EC, EC_TOKEN)] {
        let rule = rule(&[key]);
        let parts: Vec<&str> = token.split('.').collect();
        let [header, claims, signature] = parts.try_into().unwrap();
        let algorithm = if key == RSA { "RS256" } else { "ES256" };
        let other = encode(format!("{{\"alg\":\"{algorithm}\" }}").as_bytes());
        assert_eq!(
            check(&rule, &format!("{other}.{claims}.{signature}")),
            Err(TokenError::Signature)
        );
        let other = encode(br#"{"iss":"joe","exp":2300819380}"#);
        assert_eq!(
            check(&rule, &format!("{header}.{other}.{signature}")),
            Err(TokenError::Signature)
        );
        let right = base64url::decode(signature.as_bytes()).unwrap();
        for bit in (0..right.len() * 8).step_by(7) {
            let mut wrong = right.clone();
            wrong[bit / 8] ^= 1 << (bit % 8);
            let token = format!("{header}.{claims}.{}", encode(&wrong));
            assert_eq!(check(&rule, &token), Err(TokenError::Signature), "bit {bit}");
        }
        for wrong in
            [&right[1..], &right[..right.len() - 1], &[&[0], &right[..]].concat(), &[0; 64]]
        {
            let token = format!("{header}.{claims}.{}", encode(wrong));
            assert_eq!(check(&rule, &token), Err(TokenError::Signature));
        }
    }
}

/// JWS has r and s, not ASN.1 (RFC 7518 §3.4).
#[test]
fn a_signature_in_der_is_refused() {
    let claims = format!("{{\"exp\":{EXPIRES}}}");
    let der = signed(r#"{"alg":"ES256"}"#, &claims, &ECDSA_P256_SHA256_ASN1_SIGNING);
    assert_eq!(check(&rule(&[EC]), &der), Err(TokenError::Signature));
    assert_eq!(check(&rule(&[EC]), &es256(r#"{"alg":"ES256"}"#)), Ok(()));
}

/// A key says by which algorithm, a token only which of the keys.
#[test]
fn no_algorithm_is_taken_for_another() {
    let with_header = |header: &str, token: &str| {
        let (_, rest) = token.split_once('.').unwrap();
        format!("{}.{rest}", encode(header.as_bytes()))
    };
    let claims = encode(format!("{{\"exp\":{EXPIRES}}}").as_bytes());
    for (key, token, other) in [(RSA, RSA_TOKEN, "ES256"), (EC, EC_TOKEN, "RS256")] {
        let rule = rule(&[key]);
        let algorithms = ["HS256", "PS256", "RS384", "ES384", "EdDSA", "rs256", "", other];
        for algorithm in algorithms.into_iter().filter(|it| !it.is_empty()) {
            let token = with_header(&format!("{{\"alg\":\"{algorithm}\"}}"), token);
            assert_eq!(check(&rule, &token), Err(TokenError::Algorithm), "{algorithm}");
        }
        let none = with_header(r#"{"alg":"none"}"#, token);
        assert_eq!(check(&rule, &none), Err(TokenError::Unsigned));

        // HMAC with whatever may be taken for the key's bytes.
        let header = encode(br#"{"alg":"HS256"}"#);
        let texts = [set(&[key]), key.into()];
        let numbers = key.split('"').map(|part| base64url::decode(part.as_bytes()));
        for secret in texts.map(String::into_bytes).into_iter().chain(numbers.flatten()) {
            let signed = format!("{header}.{claims}");
            let token = format!("{signed}.{}", encode(&tag(&secret, signed.as_bytes())));
            assert_eq!(check(&rule, &token), Err(TokenError::Algorithm));
            // Nor where there is a secret besides.
            let both = rule.clone().secret(&[7; 32]).unwrap();
            assert_eq!(check(&both, &token), Err(TokenError::Signature));
        }
    }
}

#[test]
fn a_secret_and_public_keys_stand_beside_each_other() {
    let secret = [7; 32];
    let rule = rule(&[RSA]).public_keys(keys(&[EC])).unwrap().secret(&secret).unwrap();
    let signed = format!(
        "{}.{}",
        encode(br#"{"alg":"HS256"}"#),
        encode(format!("{{\"exp\":{EXPIRES}}}").as_bytes())
    );
    let token = format!("{signed}.{}", encode(&tag(&secret, signed.as_bytes())));
    for token in [&token, RSA_TOKEN, EC_TOKEN] {
        assert_eq!(check(&rule, token), Ok(()));
    }
    let secret_alone = TokenRule::new().secret(&secret).unwrap();
    assert_eq!(check(&secret_alone, EC_TOKEN), Err(TokenError::Algorithm));
}

#[test]
fn keys_are_found_by_their_ids() {
    let other = r#""kty":"EC","crv":"P-256","kid":"b","x":"rQVOWeuSEaDdHtKP3lgJ66KHzIfiAXQXlvyz12wIvXU","y":"JCEz5pgBXDR4E886O5rg4apc912yjRILI820t_rCgBY""#;
    let named = format!("\"kid\":\"a\",{EC}");
    let [a, b, none, number] = [
        r#"{"alg":"ES256","kid":"a"}"#,
        r#"{"alg":"ES256","kid":"b"}"#,
        r#"{"alg":"ES256"}"#,
        r#"{"alg":"ES256","kid":1}"#,
    ]
    .map(es256);
    for (members, expected) in [
        (&[&named, other][..], [Ok(()), Err(TokenError::Signature), Ok(())]),
        (&[other], [Err(TokenError::Key), Err(TokenError::Signature), Err(TokenError::Signature)]),
        (&[&named, RSA], [Ok(()), Err(TokenError::Key), Ok(())]),
        // One that has no ID may be any.
        (&[other, EC], [Ok(()), Ok(()), Ok(())]),
    ] {
        let rule = rule(members);
        assert_eq!([&a, &b, &none].map(|token| check(&rule, token)), expected, "{rule:?}");
        assert_eq!(check(&rule, &number), Err(TokenError::Form));
    }
}

/// Of a token only its signature is remembered, and for these keys alone.
#[test]
fn what_is_remembered_of_a_token() {
    let (right, mut verified) = (rule(&[EC]), Verified::default());
    let mut check = |rule: &TokenRule, token: &str, seconds| {
        rule.check_again(token.as_bytes(), at(seconds), &mut verified)
    };
    for _ in 0..2 {
        assert_eq!(check(&right, EC_TOKEN, EXPIRES - 1), Ok(()));
        assert_eq!(check(&right, EC_TOKEN, EXPIRES), Err(TokenError::Expired));
        let other = right.clone().issuer("jane");
        assert_eq!(check(&other, EC_TOKEN, EXPIRES - 1), Err(TokenError::Issuer));
        let tampered = EC_TOKEN.replace(".DtEhU", ".DtEhV");
        assert_eq!(check(&right, &tampered, EXPIRES - 1), Err(TokenError::Signature));
        let others = rule(&[OTHER_EC]);
        assert_eq!(check(&others, EC_TOKEN, EXPIRES - 1), Err(TokenError::Signature));
        assert_eq!(check(&others, &tampered, EXPIRES - 1), Err(TokenError::Signature));
    }
}

#[test]
fn keys_for_something_else_are_skipped_by_name() {
    let rsa = |n: &[u8], e: &str| format!("\"kty\":\"RSA\",\"n\":\"{}\",\"e\":\"{e}\"", encode(n));
    let of_bits = |bits: usize| {
        let mut number = alloc::vec![0xff; bits.div_ceil(8)];
        number[0] >>= number.len() * 8 - bits;
        number
    };
    let more = |member: &str, key: &str| format!("{member},{key}");
    for (members, expected) in [
        (r#""kid":"x\ny""#.into(), "key 1 (`x\\ny`): expected `kty` `RSA` or `EC`, found none"),
        (
            r#""kty":"oct","k":"c2VjcmV0""#.into(),
            "key 1: expected `kty` `RSA` or `EC`, found `oct`",
        ),
        (
            r#""kty":"OKP","crv":"Ed25519","x":"AA""#.into(),
            "key 1: expected `kty` `RSA` or `EC`, found `OKP`",
        ),
        (r#""kty":7"#.into(), "key 1: expected a text as `kty`, found something else"),
        (EC.replace("P-256", "P-384"), "key 1: expected `crv` `P-256`, found `P-384`"),
        (more(r#""kid":7"#, EC), "key 1: expected a text as `kid`, found something else"),
        (more(r#""use":"enc""#, RSA), "key 1: expected `use` `sig`, found `enc`"),
        (more(r#""alg":"PS256""#, RSA), "key 1: expected `alg` `RS256`, found `PS256`"),
        (more(r#""alg":"RS256""#, EC), "key 1: expected `alg` `ES256`, found `RS256`"),
        (more(r#""alg":"HS256""#, EC), "key 1: expected `alg` `ES256`, found `HS256`"),
        (
            more(r#""key_ops":["sign"]"#, EC),
            "key 1: expected `key_ops` with `verify`, found others",
        ),
        (more(r#""d":"AA""#, EC), "key 1: expected a public key, found a private one"),
        (
            EC.replace("f83O", "e83O"),
            "key 1: expected an uncompressed point of P-256, found numbers that are none",
        ),
        (EC.replace("f83O", ""), "key 1: expected `x` and `y` of 32 bytes, found 29 bytes"),
        (EC.replace("f83O", "f83+"), "key 1: expected `x` in base64url, found something else"),
        (
            r#""kty":"EC","crv":"P-256","x":"AA""#.into(),
            "key 1: expected `y` in base64url, found none",
        ),
        (
            rsa(&of_bits(2_047), "AQAB"),
            "key 1: expected an RSA key of 2048 to 4096 bits, found one of 2047",
        ),
        (
            rsa(&of_bits(4_097), "AQAB"),
            "key 1: expected an RSA key of 2048 to 4096 bits, found one of 4097",
        ),
        (rsa(&[], "AQAB"), "key 1: expected an RSA key of 2048 to 4096 bits, found one of 0"),
        (rsa(&[0xfe; 256], "AQAB"), "key 1: expected an RSA modulus, found an even number"),
        (
            rsa(&[0xff; 256], "AQ"),
            "key 1: expected an odd RSA exponent from 3 to 8589934591, found another number",
        ),
        (
            rsa(&[0xff; 256], "AgAAAAE"),
            "key 1: expected an odd RSA exponent from 3 to 8589934591, found another number",
        ),
    ] {
        let error = PublicKeys::parse(set(&[&members]).as_bytes()).unwrap_err().to_string();
        let expected = format!("expected a key for RS256 or ES256, found none: {expected}");
        assert_eq!(error, expected, "{members}");
        let mixed = keys(&[&members, EC]);
        assert_eq!((mixed.len(), mixed.skipped().count()), (1, 1), "{members}");
    }
    // At the ends.
    for members in [
        rsa(&of_bits(2_048), "Aw"),
        rsa(&of_bits(4_096), "Af____8"),
        rsa(&[&[0], &of_bits(2_048)[..]].concat(), "AAEAAQ"),
        more(r#""use":"sig","alg":"RS256","key_ops":["verify"],"x5t":"AA""#, RSA),
    ] {
        assert_eq!(keys(&[&members]).len(), 1, "{members}");
    }
}

#[test]
fn what_is_no_jwk_set_is_told() {
    for (text, expected) in [
        ("{", "expected JSON, found something else at line 1, column 1 of it".into()),
        ("{\n \"keys\": x}", "expected JSON, found something else at line 2, column 10 of it".into()),
        ("{\"keys\":1}", "expected a JWK Set, found JSON without one list `keys`".into()),
        (&format!("{{{EC}}}"), "expected a JWK Set, found JSON without one list `keys`".into()),
        ("{\"keys\":[]}", "expected a key for RS256 or ES256, found none".into()),
        ("{\"keys\":[7]}", "expected a key for RS256 or ES256, found none: key 1: expected `kty` `RSA` or `EC`, found none".to_string()),
        ("[]", "expected `-----BEGIN PUBLIC KEY-----` or a JWK Set, found neither".into()),
        ("", "expected `-----BEGIN PUBLIC KEY-----` or a JWK Set, found neither".into()),
        ("{\"keys\":[],\"keys\":[]}", "expected a JWK Set, found JSON without one list `keys`".into()),
        (&named(33), "expected at most 32 keys, found more".into()),
        (&set(&[EC; 9]), "expected at most 8 keys for ES256 without an ID, found 9".into()),
    ] {
        assert_eq!(PublicKeys::parse(text.as_bytes()).unwrap_err().to_string(), expected);
    }
    let most = PublicKeys::parse(named(32).as_bytes()).unwrap();
    let rule = TokenRule::new().public_keys(most).unwrap();
    assert_eq!(rule.public_keys(keys(&[RSA])).unwrap_err(), PublicKeysError::TooMany);
    // Each kind by itself.
    let rule = TokenRule::new().public_keys(keys(&[[RSA; 8], [EC; 8]].concat())).unwrap();
    assert_eq!(
        rule.public_keys(keys(&[RSA])).unwrap_err().to_string(),
        "expected at most 8 keys for RS256 without an ID, found 9"
    );
}

/// So many keys, each with an ID.
fn named(count: usize) -> String {
    let named: Vec<_> = (0..count).map(|number| format!("\"kid\":\"{number}\",{EC}")).collect();
    set(&named.iter().map(String::as_str).collect::<Vec<_>>())
}

/// Thousands of keys and kilobytes of an ID are read, but neither tried nor told.
#[test]
fn what_is_loaded_and_told_is_bounded() {
    // What follows the 33rd is not looked at.
    let keys = named(33).replace("]}", ",{\"kid\":\"off\",\"kty\":\"oct\"}]}");
    assert_eq!(PublicKeys::parse(keys.as_bytes()).unwrap_err(), PublicKeysError::TooMany);
    let (some, problems) = jwk::parse(named(1_000).as_bytes()).unwrap();
    assert_eq!((some.len(), problems.count()), (33, 0));
    let pem = [ec_pem().repeat(33), "-----BEGIN PRIVATE KEY-----".into()].concat();
    assert_eq!(PublicKeys::parse(pem.as_bytes()).unwrap_err(), PublicKeysError::TooMany);

    let long = format!("\"kty\":\"oct\",\"kid\":\"{}\"", "\u{e4}".repeat(5_000));
    let odd = PublicKeys::parse(set(&alloc::vec![long.as_str(); 1_000]).as_bytes()).unwrap_err();
    let told = odd.to_string();
    let id = "\u{e4}".repeat(32);
    assert!(told.contains(&format!("key 8 (`{id}…`): expected")), "{told}");
    assert!(told.ends_with("; and 992 more") && told.chars().count() < 1_000, "{told}");

    let few = PublicKeys::parse(set(&[&[EC][..], &[&*long; 9]].concat()).as_bytes()).unwrap();
    assert_eq!((few.skipped().told().len(), few.skipped().count()), (8, 9));
    let both = few.clone().and(few).unwrap();
    assert_eq!((both.skipped().told().len(), both.skipped().count()), (8, 18));
    let named =
        PublicKeys::parse(set(&[&format!("\"kid\":\"{}\",{EC}", "x".repeat(99))]).as_bytes());
    assert_eq!(format!("{named:?}").matches('x').count(), 32, "{named:?}");
}

#[test]
fn a_member_that_stands_there_twice_makes_a_key_none() {
    for (members, name) in [
        (format!("\"kid\":\"a\",\"kid\":\"a\",{EC}"), "kid"),
        (format!("{RSA},\"n\":\"AA\""), "n"),
        (format!("\"n\":\"AA\",{RSA}"), "n"),
        (format!("\"use\":\"enc\",{EC},\"use\":\"sig\""), "use"),
        (format!("\"more\":1,{EC},\"more\":1"), "more"),
    ] {
        assert_eq!(
            PublicKeys::parse(set(&[&members]).as_bytes()).unwrap_err().to_string(),
            format!(
                "expected a key for RS256 or ES256, found none: \
                 key 1: expected each member once, found `{name}` twice"
            )
        );
    }
}

/// Keys of the wrong ones' kind, each with an ID, and then the right one.
#[test]
fn a_token_is_tried_by_few_keys() {
    let others: Vec<_> = (0..8).map(|id| format!("\"kid\":\"{id}\",{OTHER_EC}")).collect();
    let others: Vec<_> = others.iter().map(String::as_str).collect();
    let right = format!("\"kid\":\"right\",{EC}");
    let (unnamed, named) = (es256(r#"{"alg":"ES256"}"#), es256(r#"{"alg":"ES256","kid":"right"}"#));
    for (members, of_unnamed, of_named) in [
        ([&others[..7], &[&right]].concat(), Ok(()), Ok(())),
        ([&others[..], &[&right]].concat(), Err(TokenError::Signature), Ok(())),
        // The one of its ID before those without.
        ([&[OTHER_EC; 8][..], &[&right]].concat(), Err(TokenError::Signature), Ok(())),
    ] {
        let rule = rule(&members);
        assert_eq!((check(&rule, &unnamed), check(&rule, &named)), (of_unnamed, of_named));
    }
}

/// Two issuers, each with a rule: tokens of the second are wrong for the first.
#[test]
fn tokens_of_another_issuer_are_not_in_vain() {
    let (first, second) = (rule(&[OTHER_EC]), rule(&[EC]));
    let mut verified = Verified::default();
    for number in 0..10 {
        let claims = format!("{{\"exp\":{EXPIRES},\"n\":{number}}}");
        let right = signed(r#"{"alg":"ES256"}"#, &claims, &ECDSA_P256_SHA256_FIXED_SIGNING);
        let wrong = es256(&format!("{{\"alg\":\"ES256\",\"n\":{number}}}"));
        let (header_and_claims, signature) = wrong.rsplit_once('.').unwrap();
        let mut signature = base64url::decode(signature.as_bytes()).unwrap();
        signature[40] ^= 1;
        let wrong = format!("{header_and_claims}.{}", encode(&signature));
        for (token, is_right) in [(&right, true), (&wrong, false)] {
            for is_first in [true, false] {
                let mut check = |rule: &TokenRule| {
                    rule.check_again(token.as_bytes(), at(EXPIRES - 1), &mut verified)
                };
                assert_eq!(check(&first), Err(TokenError::Signature));
                assert_eq!(check(&second).is_ok(), is_right);
                assert_eq!(verified.was_in_vain(), is_first && !is_right);
            }
        }
    }
}

fn pem(base64: &str) -> String {
    format!("-----BEGIN PUBLIC KEY-----\n{base64}\n-----END PUBLIC KEY-----\n")
}

/// That of RFC 7515 §A.3, as OpenSSL writes it; its first line ends in the middle of `x`.
fn ec_pem() -> String {
    pem(
        "MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAEf83OJ3D2xF1Bg8vub9tLe1gHMzV7\r\n6e8Tus9uPHvRVEXH8UTNG72bfocs3+257rn0s2ldbqkLJK2KRiMohYjlrQ==",
    )
}

#[test]
fn keys_in_pem() {
    let rsa = "MIIBIjANBgkqhkiG9w0BAQEFAAOCAQ8AMIIBCgKCAQEAofgWCuLjybRlzo0tZWJjNiuSfb4p4fAkd/wWJcyQoTbji9k0l8W26mPddxHmfHQp+Vaw+4qPCJrcS2mJPMEzP1Pt0Bm4d4QlL+yRT+SFd2lZS+pCgNMsD1W/YpRPEwOWvG6b32690r2jZ47soMZo9wGzjb/7OMg0LOL+bSf63kpaSHSXndS5z5rexMdbBYUsLA9e+KXBdQOS+UTo7WTBEMa2R2CapHg665xsmtdVMTBQY4uDZlxvb3qCo5ZwKh9kG4LT6/I5IhlJH7aGhyxXFvUK+DWNmoudF8NAco9/h9iaGNj8q2ethFkMLs91kzk2PAcDTW9gb54h4FRWyuXpoQIDAQAB";
    let both = format!("Two keys:\n{}and\n{}", pem(rsa), ec_pem());
    let keys = PublicKeys::parse(both.as_bytes()).unwrap();
    assert_eq!(keys.len(), 2);
    let rule = TokenRule::new().public_keys(keys).unwrap();
    for token in [RSA_TOKEN, EC_TOKEN, &es256(r#"{"alg":"ES256","kid":"any"}"#)] {
        assert_eq!(check(&rule, token), Ok(()));
    }
}

#[test]
fn what_is_no_public_key_in_pem_is_told() {
    let text = ec_pem();
    let labelled = |label: &str| text.replace("PUBLIC KEY", label);
    let (kind, key) = ("`PUBLIC KEY` in PEM", "a SubjectPublicKeyInfo between the labels");
    for (text, expected, found) in [
        (labelled("RSA PUBLIC KEY"), kind, "`RSA PUBLIC KEY`"),
        (labelled("EC PRIVATE KEY"), kind, "`PRIVATE KEY`"),
        (labelled("CERTIFICATE"), kind, "`CERTIFICATE`"),
        (labelled("SECRET"), kind, "another label"),
        (text.replace("END", "and"), "`-----END PUBLIC KEY-----`", "none"),
        (text.replace("MFkw", "M-kw"), "base64 between the labels", "something else"),
        (text.replace("MFkw", "MFgw"), key, "something else"),
        (text.replace("MFkw", "MFkx"), key, "something else"),
        (pem(""), key, "something else"),
        (text.replace("f83O", "e83O"), "an uncompressed point of P-256", "numbers that are none"),
        (
            pem("MDkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDIgACrQVOWeuSEaDdHtKP3lgJ66KHzIfiAXQXlvyz12wIvXU="),
            "an uncompressed point of P-256",
            "a compressed one",
        ),
        (
            pem(
                "MHYwEAYHKoZIzj0CAQYFK4EEACIDYgAE1E2b3zCfSdP1Z73S+VVM5q+Dk74w+6L7FAaFjR98+j7YCMeU2UdsRDqrCkzr1VeW40pb52Bfr6uUdkubutofKIEnrLqw8zjyNh1Bt3nvsHrbHkew8YRbLgG/FcdnG2Ar",
            ),
            "a point of P-256",
            "one of P-384",
        ),
        (
            pem("MCowBQYDK2VwAyEAgT8zTgVGfxHiqHDadXdbrG1fH38u6Wts2yVhg1s+sBs="),
            "an RSA key or a point of P-256",
            "an Ed25519 key",
        ),
        (
            pem(
                "MIGfMA0GCSqGSIb3DQEBAQUAA4GNADCBiQKBgQC/TQ6LlTnb2rCjJpcY5qYdrdR5MMsgK6KUARW+9Fl1RReAfQq3hLk4LWAgiLWOgJ1Xwc/HrydhrADRbLuOaVnoA5kliClWF4UvbOCS6G3suZHjvML6UjdEeegAm8nro23+Va7vvaZsBGdEtWb8x2lT8UVuuKe7im1qMnntb+LQBQIDAQAB",
            ),
            "an RSA key of 2048 to 4096 bits",
            "one of 1024",
        ),
    ] {
        // After one that is right.
        let error = PublicKeys::parse([ec_pem(), text.clone()].concat().as_bytes()).unwrap_err();
        assert_eq!(
            error.to_string(),
            format!("key 2: expected {expected}, found {found}"),
            "{text}"
        );
    }
}

proptest::proptest! {
    /// What was cut, or has another byte somewhere, is a key or is told; nothing panics.
    #[test]
    fn anything_in_pem(at in 0_usize..91, with: u8, cut in 0_usize..=91) {
        let text = ec_pem().replace("\r\n", "").replace('+', "-").replace('/', "_");
        let base64 = text.lines().nth(1).unwrap().trim_end_matches('=').as_bytes().to_vec();
        let mut der = base64url::decode(&base64).unwrap();
        der[at] = with;
        der.truncate(cut);
        let text = encode(&der).replace('-', "+").replace('_', "/");
        let _ = PublicKeys::parse(pem(&text).as_bytes());
    }
}
