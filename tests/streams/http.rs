use gwlb_geneve::engine::{Disposition, Engine, Settings};
use gwlb_geneve::inspect::*;
use gwlb_geneve::packet::TcpFlags;

use crate::common::*;
use crate::support::traffic::*;

const GOOD: &[u8] = b"GET /index.html HTTP/1.1\r\nHost: example.com\r\n\r\n";
const BAD: &[u8] = b"GET /admin/users HTTP/1.1\r\nHost: example.com\r\n\r\n";
const REPLY: &[u8] = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";

/// The packet that completes it is dropped, both ends are reset, and nothing of the flow is forwarded any more.
fn assert_dead<I: Inspector>(talk: &mut Talk<I>, last: &Sent) {
    last.assert_refused(FORBIDDEN.name());
    assert_eq!(last.outcome.disposition, Disposition::Reject);
    let resets: Vec<_> = last.injected.iter().map(|(_, _, packet)| segment(packet)).collect();
    assert_eq!(resets.len(), 2);
    assert!(resets.iter().all(|reset| reset.flags().intersects(TcpFlags::RST)));
    let to_server = resets.iter().find(|reset| reset.destination_port() == 443).unwrap();
    assert_eq!(to_server.sequence_number(), talk.next[0], "where the server expects it");
    let again = talk.ask_at(talk.next[0], BAD);
    again.assert_refused(FORBIDDEN.name());
    talk.ask(GOOD).assert_refused(FORBIDDEN.name());
    talk.answer(REPLY).assert_refused(FORBIDDEN.name());
    assert_eq!(talk.engine.streams().connections, 0, "nothing is held for it");
}

#[test]
fn a_forbidden_request_in_one_segment() {
    let mut talk = Talk::new(guarded());
    let last = talk.ask(BAD);
    assert_dead(&mut talk, &last);
}

#[test]
fn a_forbidden_request_in_segments_of_one_byte() {
    let mut talk = Talk::new(guarded());
    let (last, before) = BAD.split_last().unwrap();
    for byte in before {
        talk.ask(&[*byte]).assert_forwarded();
    }
    let last = talk.ask(&[*last]);
    assert_dead(&mut talk, &last);
}

#[test]
fn a_forbidden_request_out_of_order() {
    let mut talk = Talk::new(guarded());
    let (start, rest) = BAD.split_at(10);
    talk.ask_at(1_010, rest).assert_forwarded();
    let last = talk.ask(start);
    assert_dead(&mut talk, &last);
}

#[test]
fn a_forbidden_request_behind_an_allowed_one() {
    let mut talk = Talk::new(guarded());
    let last = talk.ask(&[GOOD, BAD].concat());
    assert_dead(&mut talk, &last);
}

#[test]
fn what_is_allowed_goes_on_untouched() {
    let mut talk = Talk::new(guarded());
    for _ in 0..20 {
        let before = talk.ask(GOOD);
        before.assert_forwarded();
        talk.answer(REPLY).assert_forwarded();
        // A keep-alive: a byte that was acknowledged long ago (RFC 1122 §4.2.3.6).
        talk.ask_at(talk.next[0] - 1, b"x").assert_forwarded();
    }
    assert_eq!(talk.engine.counters().dropped(), 0);
    assert_eq!(talk.engine.counters().edited, 0);
}

/// A monitor says what it would have done, and the requests behind it are seen, too.
#[test]
fn a_monitor_lets_everything_pass() {
    let settings = Settings { monitor: true, ..settings() };
    let mut talk = Talk::new(Engine::new(settings, no_admin).unwrap());
    talk.ask(GOOD).assert_forwarded();
    let sent = talk.ask(BAD);
    assert_eq!(sent.outcome.would, Some(Action::Reject));
    assert!(sent.is_forwarded() && sent.injected.is_empty());
    assert!(talk.answer(REPLY).is_forwarded());
}

#[test]
fn a_protocol_that_is_not_asked_for_is_told_once_and_not_followed() {
    let make = || {
        struct First(u64);
        impl Inspector for First {
            type Flow = u64;
            const INTEREST: Interest = Interest::HTTP;
            fn name(&self) -> &str {
                "first"
            }
            fn open(&mut self, _: &Packet<'_>, _: &mut Context<'_>) -> Option<u64> {
                Some(self.0)
            }
            fn message(
                &mut self,
                told: &mut u64,
                message: &Message<'_>,
                cx: &mut Context<'_>,
            ) -> Verdict {
                *told += 1;
                let (name, severity) = ("told".into(), Severity::Info);
                cx.alert(Alert {
                    name,
                    message: message.what.to_string().into(),
                    severity,
                    rule: None,
                });
                Verdict::PASS
            }
        }
        First(0)
    };
    let mut talk = Talk::new(Engine::new(settings(), make).unwrap());
    assert_eq!(talk.engine.streams().connections, 1);
    let sent = talk.answer(b"SSH-2.0-OpenSSH_9.6\r\n");
    sent.assert_forwarded();
    let sent = talk.ask(b"SSH-2.0-OpenSSH_9.6\r\n");
    sent.assert_forwarded();
    assert_eq!(sent.events.len(), 1, "{:?}", sent.events);
    for _ in 0..3 {
        assert!(talk.ask(b"something else").events.is_empty());
    }
    assert_eq!(talk.engine.streams(), Default::default(), "nobody wants more of it");
}
