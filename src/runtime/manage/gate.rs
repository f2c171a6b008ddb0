//! Who may come in at the management port.

use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;
use core::net::{IpAddr, Ipv6Addr, SocketAddr};
use core::time::Duration;
use std::sync::{Mutex, PoisonError};
use std::time::Instant;

use hyper::header::{AUTHORIZATION, HOST, HeaderMap, HeaderValue, WWW_AUTHENTICATE};
use hyper::{Request, StatusCode};

use super::answer::{Answer, text};
use crate::token::Token;

/// Knows the token, and the names by which this machine may be called. What it says to somebody is the answer to who is refused.
pub(super) struct Gate {
    token: Option<Token>,
    hosts: Vec<String>,
    refused: Mutex<Refused>,
}

/// Wrong tokens, told of once in a while.
#[derive(Default)]
struct Refused {
    told: Option<Instant>,
    since: u64,
}

/// No more often than so is anybody told that tokens were wrong.
const PAUSE: Duration = Duration::from_secs(1);

impl Gate {
    pub(super) fn new(token: Option<Token>, hosts: Vec<String>) -> Self {
        Self { token, hosts, refused: Mutex::default() }
    }

    pub(super) const fn has_token(&self) -> bool {
        self.token.is_some()
    }

    /// Refuses who was sent here under a name that is not ours: a browser, by a page elsewhere whose name leads here for that
    /// purpose, and which could then read what is said. An address is no such name.
    pub(super) fn stranger<B>(&self, request: &Request<B>) -> Option<Answer> {
        let named = request.headers().get_all(HOST).iter().map(HeaderValue::as_bytes);
        let target = request.uri().authority().map(|authority| authority.as_str().as_bytes());
        let other = named.chain(target).find(|host| !self.is_ours(host))?;
        let found = other.escape_ascii();
        Some(text(
            StatusCode::MISDIRECTED_REQUEST,
            format!(
                "Host: expected an address, localhost, or a name of `manage-hosts`, found {found}\n"
            ),
        ))
    }

    fn is_ours(&self, authority: &[u8]) -> bool {
        let Ok(authority) = core::str::from_utf8(authority) else { return false };
        if let Some((address, _)) = authority.strip_prefix('[').and_then(|it| it.split_once(']')) {
            return address.parse::<Ipv6Addr>().is_ok();
        }
        let host = authority.split_once(':').map_or(authority, |(host, _)| host);
        let host = host.strip_suffix('.').unwrap_or(host);
        let is_name = |name: &str| name.eq_ignore_ascii_case(host);
        host.parse::<IpAddr>().is_ok()
            || is_name("localhost")
            || self.hosts.iter().any(|name| is_name(name))
    }

    /// Refuses who does not know the token, where there is one.
    pub(super) fn may_look(&self, headers: &HeaderMap, from: SocketAddr) -> Option<Answer> {
        self.token.as_ref().and_then(|token| self.check(token, headers, from))
    }

    /// Refuses who does not know the token, and everybody where there is none: what is to be told takes one.
    pub(super) fn may_order(&self, headers: &HeaderMap, from: SocketAddr) -> Option<Answer> {
        match &self.token {
            None => Some(text(
                StatusCode::FORBIDDEN,
                "expected a token to be set (`manage-token`), found none: nobody can tell the appliance what to do over HTTP\n",
            )),
            Some(token) => self.check(token, headers, from),
        }
    }

    fn check(&self, token: &Token, headers: &HeaderMap, from: SocketAddr) -> Option<Answer> {
        let found = headers.get(AUTHORIZATION).map(HeaderValue::as_bytes);
        if found.and_then(bearer).is_some_and(|found| token.is(found)) {
            return None;
        }
        if found.is_some() {
            self.tell(from);
        }
        let mut answer =
            text(StatusCode::UNAUTHORIZED, "expected the token: Authorization: Bearer TOKEN\n");
        answer.headers_mut().insert(WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        Some(answer)
    }

    fn tell(&self, from: SocketAddr) {
        let mut refused = self.refused.lock().unwrap_or_else(PoisonError::into_inner);
        refused.since = refused.since.saturating_add(1);
        if refused.told.is_none_or(|told| told.elapsed() >= PAUSE) {
            let times = core::mem::take(&mut refused.since);
            refused.told = Some(Instant::now());
            tracing::warn!(target: "audit", %from, times, "wrong token");
        }
    }
}

/// The credentials of RFC 6750 §2.1; the scheme's case is of no account (RFC 9110 §11.1).
fn bearer(header: &[u8]) -> Option<&[u8]> {
    let (scheme, token) = header.split_at_checked(7)?;
    scheme.eq_ignore_ascii_case(b"bearer ").then_some(token.trim_ascii())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn gate(token: Option<&str>) -> Gate {
        Gate::new(token.map(|token| token.parse().unwrap()), vec!["gate.example".into()])
    }

    fn status(refusal: Option<Answer>) -> u16 {
        refusal.map_or(200, |answer| answer.status().as_u16())
    }

    #[test]
    fn names_of_others_are_refused() {
        let gate = gate(None);
        let ask = |uri: &str, host: Option<&str>| {
            let mut request = Request::builder().uri(uri);
            if let Some(host) = host {
                request = request.header(HOST, host);
            }
            status(gate.stranger(&request.body(()).unwrap()))
        };
        for ours in ["127.0.0.1", "10.0.0.1:9090", "[::1]:9090", "[2001:db8::1]", "localhost:1"] {
            assert_eq!(ask("/", Some(ours)), 200, "{ours}");
        }
        for ours in ["LOCALHOST", "Gate.Example:80", "gate.example."] {
            assert_eq!(ask("/", Some(ours)), 200, "{ours}");
        }
        for others in ["evil.example", "127.0.0.1.evil.example", "localhost.evil", "[evil]", ""] {
            assert_eq!(ask("/", Some(others)), 421, "{others}");
        }
        assert_eq!(ask("/", None), 200);
        assert_eq!(ask("http://127.0.0.1/", Some("127.0.0.1")), 200);
        assert_eq!(ask("http://evil.example/", Some("127.0.0.1")), 421);
        let twice = Request::builder().header(HOST, "127.0.0.1").header(HOST, "evil.example");
        assert_eq!(status(gate.stranger(&twice.body(()).unwrap())), 421);
    }

    #[test]
    fn the_token_opens_and_nothing_else() {
        let from = ([127, 0, 0, 1], 1).into();
        let with = |value: &str| {
            HeaderMap::from_iter([(AUTHORIZATION, HeaderValue::from_str(value).unwrap())])
        };
        let gate = gate(Some("0123456789abcdef"));
        for right in ["Bearer 0123456789abcdef", "bearer  0123456789abcdef "] {
            assert_eq!(status(gate.may_look(&with(right), from)), 200);
            assert_eq!(status(gate.may_order(&with(right), from)), 200);
        }
        for wrong in ["", "Bearer", "Bearer ", "Basic 0123456789abcdef", "Bearer 0123456789abcdeg"]
        {
            assert_eq!(status(gate.may_look(&with(wrong), from)), 401, "{wrong}");
            assert_eq!(status(gate.may_order(&with(wrong), from)), 401, "{wrong}");
        }
        assert_eq!(status(gate.may_look(&HeaderMap::new(), from)), 401);
        let open = self::gate(None);
        assert_eq!(status(open.may_look(&HeaderMap::new(), from)), 200);
        assert_eq!(status(open.may_order(&with("Bearer 0123456789abcdef"), from)), 403);
    }
}
