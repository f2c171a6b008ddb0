//! What is looked for is found however it is cut, and memory stays bounded.

use std::sync::Arc;

use gwlb_geneve::inspectors::signatures::{RuleSet, SignatureSettings, Signatures, Variables};

use crate::common::Talk;
use crate::{NONE, engine, engine_of, told};

/// What the client says, whole and cut into pieces of each size: which rules are told of each time.
#[track_caller]
fn check(rules: &str, said: &[u8], expected: &[u32]) {
    for size in (1..=said.len()).rev() {
        let mut talk = Talk::new(engine(rules));
        let mut found: Vec<u32> =
            said.chunks(size).flat_map(|piece| told(&talk.ask(piece))).collect();
        found.sort_unstable();
        assert_eq!(found, expected, "pieces of {size}: {}", said.escape_ascii());
    }
}

#[test]
fn a_pattern_over_segments_is_found() {
    check("alert tcp any any -> any any (content:\"needle\"; sid:1;)", b"hay hay needle hay", &[1]);
    check(
        "alert tcp any any -> any any (content:\"needle\"; content:\"thread\"; distance:1; within:7; sid:1;)",
        b"needle thread",
        &[1],
    );
    check(
        "alert tcp any any -> any any (content:\"needle\"; offset:4; depth:6; sid:1;)",
        b"hay needle needle",
        &[1],
    );
}

#[test]
fn what_a_rule_held_for_does_not_count_again() {
    check("alert tcp any any -> any any (flow:only_stream; content:\"ab\"; sid:1;)", b"ab", &[1]);
    let mut talk = Talk::new(engine("alert tcp any any -> any any (content:\"ab\"; sid:1;)"));
    assert_eq!(told(&talk.ask(b"ab")), [1]);
    assert_eq!(told(&talk.ask(b"..")), NONE);
    assert_eq!(told(&talk.ask(b"ab")), [1]);
}

#[test]
fn requests_are_found_however_they_are_cut() {
    let rules = r#"
        alert http any any -> any any (http.method; content:"POST"; http.uri; content:"/up"; startswith; http.request_body; content:"evil"; sid:1;)
        alert http any any -> any any (http.request_body; content:"evil"; endswith; sid:2;)
        alert http any any -> any any (http.request_body; content:!"good"; http.uri; content:"/up"; sid:3;)
        alert http any any -> any any (http.request_body; bsize:9; sid:4;)
        alert http any any -> any any (http.request_body; content:"evils"; sid:5;)
        alert http any any -> any any (http.uri; content:"/down"; http.request_body; content:"evil"; sid:6;)
        alert http any any -> any any (http.request_body; content:"is"; content:"evil"; distance:1; within:4; file.data; content:"that"; sid:7;)
    "#;
    check(
        rules,
        b"POST /up HTTP/1.1\r\nHost: h\r\nContent-Length: 12\r\n\r\nthat is evil",
        &[1, 2, 3, 7],
    );
    check(
        rules,
        b"POST /up HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nthat\r\n5\r\n evil\r\n0\r\n\r\n",
        &[1, 2, 3, 4],
    );
}

#[test]
fn a_drop_keeps_the_last_byte_from_its_receiver() {
    let rules = r#"drop tcp any any -> any any (content:"needle"; sid:1;)"#;
    for size in 1..=6 {
        let mut talk = Talk::new(engine(rules));
        let sent: Vec<_> = b"needle".chunks(size).map(|piece| talk.ask(piece)).collect();
        let (last, before) = sent.split_last().unwrap();
        assert!(before.iter().all(|sent| sent.is_forwarded()), "{size}");
        last.assert_refused("signatures");
        // The flow is dead.
        talk.ask(b"more").assert_refused("signatures");
    }
}

#[test]
fn looking_back_is_bounded() {
    let signatures = RuleSet::parse(
        b"alert tcp any any -> any any (flow:only_stream; content:\"needle\"; content:\"thread\"; sid:1;)",
        &Variables::default(),
    );
    let mut settings = SignatureSettings::default();
    settings.limits.stream_window = 100;
    let set = Arc::new(Signatures::new(signatures.rules(), &settings));
    for (between, is_found) in [(50, true), (93, true), (94, true), (95, false), (500, false)] {
        let mut talk = Talk::new(engine_of(&set));
        talk.ask(b"needle");
        talk.ask(&vec![b'.'; between]);
        assert_eq!(told(&talk.ask(b"thread")) == [1], is_found, "{between}");
    }
}

#[test]
fn bytes_that_no_pattern_can_follow_are_not_kept() {
    for (place, is_kept) in [("", true), ("depth:8;", false), ("offset:90; depth:30;", true)] {
        let rule = format!(
            "alert tcp any any -> any any (flow:only_stream; content:\"needle\"; {place} sid:1;)"
        );
        let rules = RuleSet::parse(rule.as_bytes(), &Variables::default());
        let mut settings = SignatureSettings::default();
        settings.limits.bytes = 50;
        let set = Arc::new(Signatures::new(rules.rules(), &settings));
        let mut talk = Talk::new(engine_of(&set));
        talk.ask(&[b'.'; 100]);
        assert_eq!(set.counters().no_room > 0, is_kept, "{place}");
    }
}

#[test]
fn steps_are_bounded_and_counted() {
    // Each `a` leads to each `b` behind it.
    let signatures = RuleSet::parse(
        b"alert udp any any -> any any (content:\"a\"; content:\"a\"; distance:0; content:\"a\"; distance:0; content:\"a\"; distance:0; content:\"x\"; distance:0; sid:1;)",
        &Variables::default(),
    );
    let set = Arc::new(Signatures::new(signatures.rules(), &SignatureSettings::default()));
    let mut engine = engine_of(&set);
    let (client, _) = crate::support::traffic::pair();
    let payload = [&b"x"[..], &[b'a'; 1_300]].concat();
    let sent = crate::support::traffic::send(
        &mut engine,
        crate::support::traffic::at(1),
        &client,
        &client.udp(&payload),
    );
    assert!(sent.is_forwarded() && told(&sent).is_empty());
    assert_eq!(set.counters().budget_used_up, 1);
}
