//! Which rules count first, whom a reject tells, and what is held back.

use gwlb_geneve::engine::Disposition;

use crate::common::Talk;
use crate::support::traffic::*;
use crate::{engine, told};

#[test]
fn passes_go_before_drops_and_drops_before_alerts() {
    let rules = r#"
        alert tcp any any -> any any (content:"x"; sid:1;)
        reject tcp any any -> any any (content:"reject"; sid:2;)
        drop tcp any any -> any any (content:"drop"; sid:3;)
        pass tcp any any -> any any (content:"pass"; sid:4;)
    "#;
    let mut talk = Talk::new(engine(rules));
    let sent = talk.ask(b"x drop pass");
    assert!(sent.is_forwarded() && told(&sent).is_empty());
    // What passed in a stream passes for good.
    let sent = talk.ask(b"x drop");
    assert!(sent.is_forwarded() && told(&sent).is_empty());

    let sent = Talk::new(engine(rules)).ask(b"x reject drop");
    assert_eq!((sent.outcome.disposition, told(&sent)), (Disposition::Drop, vec![3, 2, 1]));
    let sent = Talk::new(engine(rules)).ask(b"x reject");
    assert_eq!((sent.outcome.disposition, told(&sent)), (Disposition::Reject, vec![2, 1]));
}

#[test]
fn a_reject_tells_the_sender_alone() {
    for (action, to_client, to_server) in [
        ("reject", true, false),
        ("rejectsrc", true, false),
        ("rejectdst", false, true),
        ("rejectboth", true, true),
    ] {
        let rule = format!("{action} tcp any any -> any any (content:\"x\"; sid:1;)");
        let mut talk = Talk::new(engine(&rule));
        let sent = talk.ask(b"x");
        assert_eq!(sent.outcome.disposition, Disposition::Reject, "{action}");
        let ports: Vec<u16> =
            sent.injected.iter().map(|injected| segment(&injected.2).destination_port()).collect();
        let client = ports.contains(&talk.client.from.port());
        let server = ports.contains(&talk.server.from.port());
        assert_eq!((client, server), (to_client, to_server), "{action}");
        // Later packets of who is not told are not answered.
        let sent = talk.answer(b"y");
        assert_eq!(!sent.injected.is_empty(), to_server, "{action}");
        let sent = talk.ask_at(1_001, b"y");
        assert_eq!(!sent.injected.is_empty(), to_client, "{action}");
    }
}

#[test]
fn a_threshold_holds_back_alerts_and_not_drops() {
    let rule = "drop udp any any -> any any (content:\"x\"; threshold:type limit, track by_src, count 2, seconds 60; sid:1;)";
    let mut engine = engine(rule);
    let (client, _) = pair();
    for (seconds, is_told) in
        [(1, true), (2, true), (3, false), (60, false), (61, true), (62, true), (63, false)]
    {
        let sent = send(&mut engine, at(seconds), &client, &client.udp(b"x"));
        sent.assert_refused("signatures");
        assert_eq!(told(&sent) == [1], is_told, "second {seconds}");
    }
}

#[test]
fn each_kind_of_threshold() {
    for (kind, expected) in [
        ("limit", [1, 1, 0, 0, 0, 0, 0]),
        ("threshold", [0, 1, 0, 1, 0, 1, 0]),
        ("both", [0, 1, 0, 0, 0, 0, 0]),
    ] {
        let rule = format!(
            "alert udp any any -> any any (content:\"x\"; threshold:type {kind}, track by_dst, count 2, seconds 60; sid:1;)"
        );
        let mut engine = engine(&rule);
        let (client, _) = pair();
        let found = [1, 2, 3, 4, 5, 6, 7]
            .map(|second| told(&send(&mut engine, at(second), &client, &client.udp(b"x"))).len());
        assert_eq!(found, expected, "{kind}");
    }
}

#[test]
fn a_detection_filter_holds_back_drops_too() {
    let rule = "drop udp any any -> any any (content:\"x\"; detection_filter:track by_src, count 2, seconds 60; sid:1;)";
    let mut engine = engine(rule);
    let (client, _) = pair();
    for (second, is_dropped) in
        [(1, false), (2, false), (3, true), (4, true), (61, false), (62, false), (63, true)]
    {
        let sent = send(&mut engine, at(second), &client, &client.udp(b"x"));
        assert_eq!(!sent.is_forwarded(), is_dropped, "second {second}");
        assert_eq!(told(&sent) == [1], is_dropped, "second {second}");
    }
}

#[test]
fn silent_rules_act_and_say_nothing() {
    let mut engine = engine("drop udp any any -> any any (content:\"x\"; noalert; sid:1;)");
    let (client, _) = pair();
    let sent = send(&mut engine, at(1), &client, &client.udp(b"x"));
    sent.assert_refused("signatures");
    assert!(told(&sent).is_empty());
}

#[test]
fn a_dropped_packet_leaves_its_flow_alone() {
    let mut engine = engine("drop udp any any -> any any (content:\"x\"; sid:1;)");
    let (client, _) = pair();
    send(&mut engine, at(1), &client, &client.udp(b"x")).assert_refused("signatures");
    send(&mut engine, at(2), &client, &client.udp(b"y")).assert_forwarded();
}
