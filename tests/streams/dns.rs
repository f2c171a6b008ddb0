use gwlb_geneve::engine::{Engine, Settings};
use gwlb_geneve::inspect::*;
use gwlb_geneve::stream::defrag::DefragLimits;

use crate::common::*;
use crate::support::traffic::*;

/// A query for a name (RFC 1035 §4.1).
pub(crate) fn query(name: &str) -> Vec<u8> {
    let mut bytes = vec![0x12, 0x34, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0];
    for label in name.split('.') {
        bytes.push(label.len() as u8);
        bytes.extend(label.bytes());
    }
    bytes.extend([0, 0, 1, 0, 1]);
    bytes
}

pub(crate) const BLOCKED: Reason = Reason::new("blocked-name");

pub(crate) fn guarded(policy: ExceptionPolicy) -> Engine<impl Inspector> {
    guarded_with(Settings { policy, ..settings() })
}

fn guarded_with(settings: Settings) -> Engine<impl Inspector> {
    let make = || {
        dns_fn("blocked", |message, _| {
            let mut names = message.questions().map(|question| question.name.to_string());
            if names.any(|name| name == "evil.example") {
                return Verdict::drop(BLOCKED);
            }
            Verdict::PASS
        })
    };
    Engine::new(settings, make).unwrap()
}

#[test]
fn a_query_over_udp() {
    let mut engine = guarded(ExceptionPolicy::AVAILABLE);
    let (client, server) = sides("10.1.0.10:40000", "10.2.0.20:53");
    send(&mut engine, at(0), &client, &client.udp(&query("good.example"))).assert_forwarded();
    send(&mut engine, at(0), &server, &server.udp(&query("good.example"))).assert_forwarded();
    let sent = send(&mut engine, at(1), &client, &client.udp(&query("Evil.Example")));
    sent.assert_refused(BLOCKED.name());
    let sent = send(&mut engine, at(2), &client, &client.udp(&query("good.example")));
    sent.assert_refused(BLOCKED.name());
    // On another port it may be anything.
    let (client, _) = sides("10.1.0.10:40000", "10.2.0.20:5300");
    send(&mut engine, at(0), &client, &client.udp(&query("evil.example"))).assert_forwarded();
}

#[test]
fn what_is_no_dns_on_its_port_is_an_exception() {
    for (policy, is_passed) in
        [(ExceptionPolicy::AVAILABLE, true), (ExceptionPolicy::STRICT, false)]
    {
        let mut engine = guarded(policy);
        let (client, _) = sides("10.1.0.10:40000", "10.2.0.20:53");
        let sent = send(&mut engine, at(0), &client, &client.udp(b"no DNS at all"));
        assert_eq!(sent.outcome.exception, Some(Exception::ProtocolUnparsable));
        assert_eq!(sent.is_forwarded(), is_passed);
        let sent = send(&mut engine, at(1), &client, &client.udp(&query("evil.example")));
        assert!(!sent.is_forwarded());
    }
}

/// Without room to put it together it cannot be read, and does not hide what comes after it.
#[test]
fn a_fragment_without_room_is_an_exception_and_the_next_query_is_read() {
    let (client, _) = sides("10.1.0.10:40000", "10.2.0.20:53");
    let parts = fragments(&client.udp(&query("a-long-name-to-be-cut.example")), 7, 24);
    let other = fragments(&client.udp(&query("good.example")), 6, 24);
    let class = Exception::FragmentMemoryFull;
    let lenient = ExceptionPolicy::AVAILABLE.with(class, Treatment::Pass).unwrap();
    for (policy, is_passed) in [(lenient, true), (ExceptionPolicy::AVAILABLE, false)] {
        let defrag = DefragLimits { datagrams_per_endpoint: 1, ..DefragLimits::default() };
        let mut engine = guarded_with(Settings { policy, defrag, ..settings() });
        send(&mut engine, at(0), &client, &other[0]).assert_forwarded();
        let sent = send(&mut engine, at(0), &client, &parts[0]);
        assert_eq!(sent.outcome.exception, Some(class));
        assert_eq!(sent.is_forwarded(), is_passed);
        let sent = send(&mut engine, at(1), &client, &client.udp(&query("evil.example")));
        sent.assert_refused(BLOCKED.name());
    }
}

#[test]
fn a_query_over_tcp_cut_in_two() {
    let mut talk = Talk::between(
        guarded(ExceptionPolicy::AVAILABLE),
        sides("10.1.0.10:40000", "10.2.0.20:53"),
    );
    for (name, is_passed) in [("good.example", true), ("evil.example", false)] {
        let message = query(name);
        let framed = [&(message.len() as u16).to_be_bytes()[..], &message].concat();
        let (start, rest) = framed.split_at(7);
        talk.ask(start).assert_forwarded();
        assert_eq!(talk.ask(rest).is_forwarded(), is_passed);
    }
}
