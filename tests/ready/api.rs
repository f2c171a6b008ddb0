use gwlb_geneve::engine::Disposition;
use gwlb_geneve::inspect::ExceptionPolicy;

use crate::common::Talk;
use crate::support::tls::{self, Hello};
use crate::support::traffic::*;
use crate::{PROFILES, alerts, engine};

/// Everyone may GET; only requests with a token may PUT, and only from the API gateway's subnets.
const RULE: &str = r#"
[api]
rule = [
    { methods = "GET" },
    { methods = "PUT", token = true, from = ["10.0.64.0/24", "10.0.65.0/24"] }]
"#;

/// Of nobody in particular: `{"alg":"RS256"}`, `{"exp":1800000000}`.
const TOKEN: &str = "eyJhbGciOiJSUzI1NiJ9.eyJleHAiOjE4MDAwMDAwMDB9.c2lnbmF0dXJl";
/// The same, but it expired in 2020.
const EXPIRED: &str = "eyJhbGciOiJSUzI1NiJ9.eyJleHAiOjE2MDAwMDAwMDB9.c2lnbmF0dXJl";
/// `{"alg":"none"}`
const NONE: &str = "eyJhbGciOiJub25lIn0.eyJleHAiOjE4MDAwMDAwMDB9.c2lnbmF0dXJl";

const GATEWAY: &str = "10.0.65.9:40000";
const OTHER: &str = "10.0.66.9:40000";

fn request(method: &str, more: &str) -> String {
    format!("{method} /orders/7 HTTP/1.1\r\nHost: api.example\r\n{more}\r\n")
}

fn put(token: &str) -> String {
    request("PUT", &format!("Authorization: Bearer {token}\r\nContent-Length: 0\r\n"))
}

/// What a client says first, whole, and cut into pieces, under each profile.
#[track_caller]
fn check(config: &str, client: &str, said: impl AsRef<[u8]>, is_passed: bool) {
    let said = said.as_ref();
    for policy in PROFILES {
        for size in [said.len(), 1, 11] {
            let sides = sides(client, "10.2.0.20:80");
            let mut talk = Talk::between(engine(config, policy), sides);
            let all_passed = said.chunks(size).all(|piece| talk.ask(piece).is_forwarded());
            assert_eq!(all_passed, is_passed, "{policy:?} {size} {}", said.escape_ascii());
        }
    }
}

#[test]
fn everyone_may_get_and_only_the_gateway_may_put_with_a_token() {
    check(RULE, OTHER, request("GET", ""), true);
    check(RULE, GATEWAY, request("GET", ""), true);
    check(RULE, GATEWAY, put(TOKEN), true);
    check(RULE, GATEWAY, put(TOKEN).replace("Bearer", "bearer"), true);
    check(RULE, OTHER, put(TOKEN), false);
    for wrong in [
        request("PUT", "Content-Length: 0\r\n"),
        put(EXPIRED),
        put(NONE),
        put("opaque"),
        put(TOKEN).replace("Bearer", "Basic"),
        put(&format!("{TOKEN}\r\nAuthorization: Bearer {TOKEN}")),
        request("POST", ""),
        request("get", ""),
        request("DELETE", ""),
        request("HEAD", ""),
    ] {
        check(RULE, GATEWAY, wrong, false);
    }
}

/// Of an identity provider: `{"iss":"https://login.example","aud":"orders","exp":1800000000}`.
const SIGNED_CLAIMS: &str =
    "eyJpc3MiOiJodHRwczovL2xvZ2luLmV4YW1wbGUiLCJhdWQiOiJvcmRlcnMiLCJleHAiOjE4MDAwMDAwMDB9";
/// By RS256 and `rsa-1` of `tests/keys`.
const RS256: (&str, &str) = (
    "eyJhbGciOiJSUzI1NiIsImtpZCI6InJzYS0xIn0",
    "kUa-hcHUHkehQUH8SBQhkpoKSPvFnAVR3MCOh95ak0ahPzeRhHYCZExiHnaUh3Nn8rU3odlsuel8qJOMmSOOCKru1-fkdXtswp9cyLEUWR0CInkhK1GFLWiNTWaicsALbPL5S3wjodagXlyu2MKahFrmzsDlt0_9H-07hCdB42Ti4oUQGj4OeUDS4oeDv3jV_mIKkNwM8fhIoSEc0lt7Xd7YCv0gpIVrIZOwSB3s4arnTe-x2FgtzdXP3_4DkwsrLSm6y8YIU_yE3jl5hWBc8AsDnSZxfGJg2q4ZO5eQdEhFLc0l8miUV5tRytWjjbgqCz8uUMx3XWrYmK14SgT14w",
);
/// By ES256 and `ec-1`.
const ES256: (&str, &str) = (
    "eyJhbGciOiJFUzI1NiIsImtpZCI6ImVjLTEifQ",
    "Paeujv4WZsUsr1g8oQ3ljb4IVpaHbIqF-5M6L3uaodYPGLotHxj8WeNR9pKYukxj_pXgXqpIqpBPZpNTAD1LxQ",
);
/// By the same key, that calls itself `ec-2`.
const OTHER_KEY: (&str, &str) = (
    "eyJhbGciOiJFUzI1NiIsImtpZCI6ImVjLTIifQ",
    "g35VOI9GIDrtoTDZePtDfYm2Sg1jyKXTCio6RL9oZnwqK1REyx9Xlojl4_D3J9QpI8Ya8vuGwrXEERoI20_UjQ",
);
/// By `ec-1`, and expired in 2020.
const SIGNED_EXPIRED: &str = "eyJhbGciOiJFUzI1NiIsImtpZCI6ImVjLTEifQ.eyJpc3MiOiJodHRwczovL2xvZ2luLmV4YW1wbGUiLCJhdWQiOiJvcmRlcnMiLCJleHAiOjE2MDAwMDAwMDB9.RfVDknSeKHujnYPVW5_xBVRYSZGBx1PK-zv9wLcB4dSq91I1DGjT4acCtIcOlh1gmDT136OpMhrpSlMr44GGKg";

fn token((header, signature): (&str, &str)) -> String {
    format!("{header}.{SIGNED_CLAIMS}.{signature}")
}

#[test]
fn tokens_of_identity_providers_are_verified_by_public_keys() {
    let config = |keys: &str| {
        format!(
            "[[api.rule]]\nmethods = \"PUT\"\n\
             token = {{ issuer = \"https://login.example\", audience = \"orders\", public-keys = {keys} }}"
        )
    };
    let set = config("\"tests/keys/jwks.json\"");
    let pem = config("[\"tests/keys/rsa.pem\", \"tests/keys/ec.pem\"]");
    let rsa = config("\"tests/keys/rsa.pem\"");
    for (said, by_set, by_pem, by_rsa) in [
        (put(&token(RS256)), true, true, true),
        (put(&token(ES256)), true, true, false),
        // Keys in PEM have no IDs.
        (put(&token(OTHER_KEY)), false, true, false),
        (put(SIGNED_EXPIRED), false, false, false),
        (put(&token(ES256)).replace(".Paeuj", ".Qaeuj"), false, false, false),
        (put(&token((RS256.0, ES256.1))), false, false, false),
        (put(&token((ES256.0, RS256.1))), false, false, false),
        (put(TOKEN), false, false, false),
        (put(NONE), false, false, false),
        // Each request of a connection.
        ([put(&token(RS256)), put(&token(RS256)), put(&token(RS256))].concat(), true, true, true),
        ([put(&token(RS256)), put(&token(ES256)), put(&token(RS256))].concat(), true, true, false),
        (
            [put(&token(RS256)), put(&token(RS256)).replace(".kUa", ".lUa")].concat(),
            false,
            false,
            false,
        ),
    ] {
        check(&set, GATEWAY, &said, by_set);
        check(&pem, GATEWAY, &said, by_pem);
        check(&rsa, GATEWAY, &said, by_rsa);
    }
    let mut talk =
        Talk::between(engine(&set, ExceptionPolicy::STRICT), sides(GATEWAY, "10.2.0.20:80"));
    let sent = talk.ask(put(&token(OTHER_KEY)).as_bytes());
    assert!(alerts(&sent)[0].contains("a token signed with a key that is not known"));
}

/// So many pipelined GETs, each with another token of which the signature is wrong.
fn wrong_tokens(tokens: std::ops::Range<u8>) -> String {
    let wrong = |number: u8| {
        let digits = char::from(b'A' + number / 26).to_string()
            + &char::from(b'a' + number % 26).to_string();
        let signature = RS256.1.replacen("kUa", &format!("k{digits}"), 1);
        request("GET", &format!("Authorization: Bearer {}\r\n", token((RS256.0, &signature))))
    };
    tokens.map(wrong).collect()
}

/// Each costs verifying, though a later rule takes the request.
#[test]
fn a_flow_that_brings_many_wrong_tokens_is_refused() {
    let config = "[[api.rule]]\ntoken = { public-keys = \"tests/keys/jwks.json\" }\n[[api.rule]]\nmethods = \"GET\"";
    check(config, OTHER, wrong_tokens(0..3), true);
    check(config, OTHER, wrong_tokens(0..4), false);
    check(config, OTHER, wrong_tokens(0..50), false);
    // What is remembered costs nothing.
    check(config, OTHER, wrong_tokens(0..1).repeat(20), true);
    // Keys that a token cannot be signed by are not tried.
    let rest = request("GET", &format!("Authorization: Bearer {}\r\n", token(OTHER_KEY)));
    check(config, OTHER, [wrong_tokens(0..3), rest.repeat(20)].concat(), true);

    for (config, disposition) in [
        (config.into(), Disposition::Reject),
        (format!("api.default = \"drop\"\n{config}"), Disposition::Drop),
    ] {
        let sides = sides(OTHER, "10.2.0.20:80");
        let mut talk = Talk::between(engine(&config, ExceptionPolicy::AVAILABLE), sides);
        talk.ask(wrong_tokens(0..3).as_bytes()).assert_forwarded();
        talk.ask(request("GET", "").as_bytes()).assert_forwarded();
        let sent = talk.ask(wrong_tokens(3..4).as_bytes());
        sent.assert_refused("too-many-wrong-tokens");
        assert_eq!(sent.outcome.disposition, disposition);
        assert_eq!(
            alerts(&sent),
            ["too-many-wrong-tokens: refused HTTP GET api.example/orders/7: 4 tokens with wrong \
              signatures: vpce-00000001 TCP 10.0.66.9:40000 -> 10.2.0.20:80"]
        );
        talk.ask(request("GET", "").as_bytes()).assert_refused("too-many-wrong-tokens");
    }
}

/// The second of two in a row, and in another segment.
#[test]
fn each_request_is_judged() {
    check(RULE, OTHER, [request("GET", ""), put(TOKEN)].concat(), false);
    check(RULE, OTHER, [request("GET", ""), request("GET", "")].concat(), true);
    check(RULE, GATEWAY, [put(TOKEN), put(EXPIRED)].concat(), false);
}

#[test]
fn both_ends_are_told_and_the_alert_says_why() {
    let sides = sides(GATEWAY, "10.2.0.20:80");
    let mut talk = Talk::between(engine(RULE, ExceptionPolicy::AVAILABLE), sides);
    talk.ask(request("GET", "").as_bytes()).assert_forwarded();
    talk.answer(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n").assert_forwarded();
    let sent = talk.ask(put(EXPIRED).as_bytes());
    sent.assert_refused("api");
    assert_eq!((sent.outcome.disposition, sent.injected.len()), (Disposition::Reject, 2));
    assert_eq!(
        alerts(&sent),
        ["api: refused HTTP PUT api.example/orders/7: an expired token: \
          vpce-00000001 TCP 10.0.65.9:40000 -> 10.2.0.20:80"]
    );
    talk.ask(request("GET", "").as_bytes()).assert_refused("api");
}

#[test]
fn what_two_servers_may_take_for_different_things_is_refused() {
    let get = |target: &str, more: &str| {
        format!("GET {target} HTTP/1.1\r\nHost: api.example\r\n{more}\r\n")
    };
    for odd in [
        get("/a/../b", ""),
        get("/a%2fb", ""),
        get("/%2561", ""),
        get("//a", ""),
        get("/", "Host: other.example\r\n"),
        get("/", "Content-Length: 3\r\nContent-Length: 4\r\n"),
        get("/", "Content-Length: 3\r\nTransfer-Encoding: chunked\r\n"),
        get("/", "X : y\r\n"),
        get("/", "X: y\n"),
        "GET /\r\n\r\n".into(),
    ] {
        check(RULE, OTHER, odd, false);
    }
    // Judged by what is understood, if one wants that; where a message ends must be clear all the same.
    let judged = RULE.replacen("[api]", "[api]\nmisleading = \"judge\"", 1);
    check(&judged, OTHER, get("/a/../b", ""), true);
    check(&judged, OTHER, get("/", "Content-Length: 3\r\nContent-Length: 4\r\n"), false);
    let body = "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n";
    let all = "api.rule = [{}]";
    check(all, OTHER, [body, "3\r\nabc\r\n0\r\n\r\n"].concat(), true);
    check(all, OTHER, [body, "fffffffffffffffff\r\nabc"].concat(), false);
}

#[test]
fn what_is_no_http_is_refused() {
    let hello = tls::record(22, &Hello::browser("api.example").message());
    for said in [
        &hello[..],
        b"SSH-2.0-OpenSSH_9.6\r\n",
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
        b"CONNECT api.example:443 HTTP/1.1\r\nHost: api.example\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: a\r\nConnection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AA\r\n\r\n",
    ] {
        check("api.rule = [{}]", OTHER, said, false);
    }
    // The server first; a head without end.
    for policy in PROFILES {
        for said in [&b"220 mail.example ESMTP\r\n"[..], b"HTTP/1.1 200 OK\r\n\r\n"] {
            let mut talk = Talk::new(engine("api.rule = [{}]", policy));
            assert!(!talk.answer(said).is_forwarded());
        }
        let mut talk = Talk::new(engine("api.rule = [{}]", policy));
        talk.ask(b"GET / HTTP/1.1\r\nX: ").assert_forwarded();
        let forwarded = (0..1_000).filter(|_| talk.ask(&[b'x'; 1_000]).is_forwarded()).count();
        assert!((10..100).contains(&forwarded), "{forwarded}");
    }
}

#[test]
fn other_flows_are_left_alone() {
    let config = RULE.replacen("[api]", "[api]\nports = 80\nto = \"10.2.0.0/24\"", 1);
    let ssh = b"SSH-2.0-OpenSSH_9.6\r\n";
    for (server, is_passed) in
        [("10.2.0.20:80", false), ("10.2.0.20:22", true), ("10.2.1.20:80", true)]
    {
        let engine = engine(&config, ExceptionPolicy::STRICT);
        let mut talk = Talk::between(engine, sides("10.1.0.10:80", server));
        assert_eq!(talk.ask(ssh).is_forwarded(), is_passed, "{server}");
    }
}

#[test]
fn hosts_paths_and_headers() {
    let config = r#"
        [api]
        default = "drop"
        [[api.rule]]
        action = "reject"
        paths = "/v1/*/secret"
        [[api.rule]]
        hosts = ["*.example", "other.test"]
        paths = ["/v1/**", "/health"]
        headers = { X-Tenant = "blue", X-Debug = false, Accept = true }
    "#;
    let get = |host: &str, path: &str, more: &str| {
        format!("GET {path} HTTP/1.1\r\nHost: {host}\r\n{more}\r\n")
    };
    let right = "x-tenant: blue\r\naccept: */*\r\n";
    for (host, path, more, is_passed) in [
        ("a.example", "/v1/items?x=/..", right, true),
        ("A.EXAMPLE:80", "/health", right, true),
        ("other.test.", "/v1/", right, true),
        ("example", "/v1/items", right, false),
        ("a.example", "/v2/items", right, false),
        ("a.example", "/v1", right, false),
        ("a.example", "/v1/a/secret", right, false),
        ("a.example", "/v1/a/s%65cret", right, false),
        ("a.example", "/v1/a/b/secret", right, true),
        ("a.example", "/health", "x-tenant: Blue\r\naccept: */*\r\n", false),
        ("a.example", "/health", "x-tenant: blue\r\n", false),
        ("a.example", "/health", "x-tenant: blue\r\nx-tenant: red\r\naccept: a\r\n", false),
        ("a.example", "/health", "x-tenant: blue\r\nx-debug:\r\naccept: a\r\n", false),
    ] {
        check(config, OTHER, get(host, path, more), is_passed);
    }
}

/// A path that is another one once it is decoded again: refused, as two servers may disagree; and where such requests are
/// judged all the same, by what it is decoded once.
#[test]
fn a_path_that_is_encoded_twice() {
    let rule = "rule = [{ action = \"reject\", paths = \"/admin/**\" }, { paths = \"/**\" }]";
    let strict = format!("[api]\n{rule}");
    let lenient = format!("[api]\nmisleading = \"judge\"\n{rule}");
    for (path, is_judged_passed) in [
        ("/%2561dmin/users", true),
        ("/%25%36%31dmin/users", true),
        ("/x/%252e%252e/admin/users", true),
        ("/x/..%252fadmin/users", true),
        ("/%61dmin/users", false),
        ("/x/%2e%2e/admin/users", false),
    ] {
        let request = format!("GET {path} HTTP/1.1\r\nHost: api.example\r\n\r\n");
        check(&strict, OTHER, &request, false);
        check(&lenient, OTHER, &request, is_judged_passed);
    }
    check(&strict, OTHER, "GET /100%25/x HTTP/1.1\r\nHost: a\r\n\r\n", true);
}
