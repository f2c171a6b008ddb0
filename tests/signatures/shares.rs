//! What the flows of an endpoint hold and have remembered takes nothing away from those of others.

use gwlb_geneve::engine::Engine;
use gwlb_geneve::inspect::Inspector;

use crate::common::Talk;
use crate::support::traffic::*;
use crate::{NONE, engine_of, set_with, told};

/// The ends of the `n`th connection through an endpoint.
fn ends(endpoint: u64, n: u16) -> (Side, Side) {
    let (client, server) = pair();
    let client = client.through(endpoint).with_port(10_000 + n);
    (client, Side { endpoint, to: client.from, ..server })
}

/// Somebody begins many bodies and ends none.
fn fill<I: Inspector>(mut engine: Engine<I>, endpoint: u64, head: &str) -> Engine<I> {
    // Until nothing at all is left.
    for n in 0..80 {
        let len = [1_000, 100, 10, 1][usize::from(n / 20)];
        let mut talk = Talk::between(engine, ends(endpoint, n));
        talk.ask(&[head.as_bytes(), &vec![b'x'; len]].concat()).assert_forwarded();
        engine = talk.engine;
    }
    engine
}

/// Whether what is forbidden is found in a connection where it comes in two parts.
fn is_found<I: Inspector>(engine: Engine<I>, endpoint: u64, head: &str) -> (bool, Engine<I>) {
    let mut talk = Talk::between(engine, ends(endpoint, 1_000));
    talk.ask(&[head.as_bytes(), b"..nee"].concat()).assert_forwarded();
    let sent = talk.ask(b"dle..");
    (!sent.is_forwarded(), talk.engine)
}

const BODY: &str = r#"drop http any any -> any any (http.request_body; content:"needle"; sid:1;)"#;
const STREAM: &str = r#"drop tcp any any -> any any (content:"needle"; sid:1;)"#;

#[test]
fn an_endpoint_that_fills_its_share_keeps_no_other_from_being_searched() {
    let post = "POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 4000\r\n\r\n";
    for (rule, head) in [(BODY, post), (STREAM, "")] {
        for (share, is_shared) in [(16 << 10, false), (12 << 10, true)] {
            let set = set_with(rule, |settings| {
                settings.limits.bytes = 16 << 10;
                settings.limits.bytes_per_endpoint = share;
                settings.limits.request_body = 2 << 10;
                settings.limits.stream_window = 1_000;
            });
            let engine = fill(engine_of(&set), 1, head);
            let (own, engine) = is_found(engine, 1, head);
            assert!(!own, "the endpoint has room left, and this shows nothing");
            assert!(set.counters().no_share > 0);
            let (other, _) = is_found(engine, 2, head);
            assert_eq!((other, set.counters().no_room == 0), (is_shared, is_shared), "{rule}");
        }
    }
}

/// What flows held is there again for those that follow.
#[test]
fn a_share_comes_back_when_flows_end() {
    let set = set_with(BODY, |settings| {
        settings.limits.bytes_per_endpoint = 6;
        settings.limits.request_body = 6;
    });
    let head = "POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 6\r\n\r\n";
    let mut engine = engine_of(&set);
    for n in 0..20 {
        let mut talk = Talk::between(engine, ends(1, n));
        talk.ask(&[head.as_bytes(), b"need"].concat());
        talk.ask(b"le").assert_refused("signatures");
        engine = talk.engine;
    }
    assert_eq!(set.counters().no_share, 0);
}

const REMEMBERED: &str = r#"
    drop udp any any -> any any (content:"again"; detection_filter:track by_src, count 2, seconds 60; sid:1;)
    alert udp any any -> any any (content:"knock"; xbits:set,knocked,track ip_src,expire 60; noalert; sid:2;)
    alert udp any any -> any any (content:"enter"; xbits:isset,knocked,track ip_src; sid:3;)
    alert udp any any -> any any (content:"often"; threshold:type limit, track by_src, count 1, seconds 60; sid:4;)
"#;

#[test]
fn a_flood_of_sources_at_one_endpoint_makes_nothing_forgotten_of_another() {
    let set = set_with(REMEMBERED, |settings| {
        settings.limits.remembered = 64;
        settings.limits.remembered_per_endpoint = 48;
    });
    let mut engine = engine_of(&set);
    let mut ask = |endpoint, source: &str, what: &[u8]| {
        let (client, _) = sides(source, "10.2.0.20:443");
        let client = client.through(endpoint);
        let sent = send(&mut engine, at(1), &client, &client.udp(what));
        (sent.is_forwarded(), told(&sent))
    };
    const HONEST: &str = "10.1.0.1:1000";
    assert_eq!(ask(2, HONEST, b"again").1, NONE);
    assert_eq!(ask(2, HONEST, b"again").1, NONE);
    assert_eq!(ask(2, HONEST, b"knock").1, NONE);
    assert_eq!(ask(2, HONEST, b"often").1, [4]);
    assert_eq!(set.counters().forgotten, 0);
    for n in 0..1_000 {
        let source = format!("10.3.{}.{}:1000", n / 250, n % 250);
        for what in [&b"again"[..], b"knock", b"often"] {
            ask(1, &source, what);
        }
    }
    // One that was there at the first endpoint before is forgotten, or this shows nothing.
    assert_eq!(ask(1, "10.3.0.0:1000", b"enter").1, NONE);
    assert!(set.counters().forgotten > 1_000);
    assert_eq!(ask(2, HONEST, b"again"), (false, vec![1]));
    assert_eq!(ask(2, HONEST, b"enter").1, [3]);
    assert_eq!(ask(2, HONEST, b"often").1, NONE);
}

/// A rule that refuses is not passed over in silence where there is no room for what it looks at.
#[test]
fn what_is_not_kept_is_not_answered() {
    let post = "POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 4000\r\n\r\n";
    let gzip = post.replace("\r\n\r\n", "\r\nContent-Encoding: gzip\r\n\r\n");
    let mixed = r#"drop http any any -> any any (http.uri; content:"/x"; http.request_body; content:"needle"; sid:1;)"#;
    for (rule, head) in [(BODY, post), (BODY, &gzip), (STREAM, ""), (mixed, post)] {
        for (action, drops) in
            [("drop", true), ("drop", false), ("alert", true), ("reject", true), ("pass", true)]
        {
            let rule = rule.replacen("drop", action, 1);
            let set = set_with(&rule, |settings| {
                settings.limits.bytes_per_endpoint = 3;
                settings.limits.refuses_unanswered = drops;
            });
            let is_open = !["alert", "pass"].contains(&action);
            let mut talk = Talk::between(engine_of(&set), ends(1, 1));
            let sent = talk.ask(&[head.as_bytes(), b"..some bytes.."].concat());
            assert!(set.counters().no_share > 0, "{rule} {head}");
            assert_eq!(set.counters().unanswered > 0, is_open, "{rule} {head}");
            match is_open && drops {
                true => sent.assert_refused("signatures-unanswered"),
                false => sent.assert_forwarded(),
            }
        }
    }
}
