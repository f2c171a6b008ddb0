//! The same verdict however the request is disguised on its way, under both policies; or what disguises it is dropped, and the
//! reason says why.

use gwlb_geneve::engine::{Disposition, Engine, Settings};
use gwlb_geneve::gwlb::{Envelope, Profile};
use gwlb_geneve::inspect::{Context, Exception, ExceptionPolicy, Inspector, Packet, Rewriter};
use gwlb_geneve::inspectors::anomaly::{AnomalyInspector, AnomalyRules};
use gwlb_geneve::packet::{EditError, PacketMut};

use crate::common::*;
use crate::support::traffic::*;

const BAD: &[u8] = b"GET /admin/users HTTP/1.1\r\nHost: example.com\r\n\r\n";
const HARMLESS: &[u8] = b"GET /other/users HTTP/1.1\r\nHost: example.com\r\n\r\n";

const POLICIES: [ExceptionPolicy; 2] = [ExceptionPolicy::STRICT, ExceptionPolicy::AVAILABLE];

fn guarded_by(policy: ExceptionPolicy) -> Engine<impl Inspector> {
    Engine::new(Settings { policy, ..settings() }, no_admin).unwrap()
}

fn payload(sent: &Sent) -> Vec<u8> {
    let envelope = Envelope::parse(&sent.payload, &Profile::AWS).unwrap();
    segment(envelope.inner()).payload().to_vec()
}

/// Other bytes for a place that was forwarded: the receiver gets the first again, whichever it believes.
#[test]
fn a_retransmission_of_other_bytes_is_written_over() {
    for policy in POLICIES {
        let mut talk = Talk::new(guarded_by(policy));
        talk.ask(&HARMLESS[..20]).assert_forwarded();
        let sent = talk.ask_at(1_000, &BAD[..20]);
        assert_eq!(sent.outcome.disposition, Disposition::ForwardEdited);
        assert_eq!(payload(&sent), &HARMLESS[..20]);
        assert_eq!(talk.engine.counters().edited, 1);
        // Cut elsewhere, with new bytes behind.
        let sent = talk.ask_at(1_003, &BAD[3..30]);
        assert_eq!(payload(&sent)[..17], HARMLESS[3..20]);
        assert_eq!(payload(&sent)[17..], BAD[20..30]);
        talk.next[0] = 1_030;
        talk.ask(&HARMLESS[30..]).assert_forwarded();
        assert_eq!(talk.engine.counters().dropped(), 0);
    }
}

/// Fails when it is to edit.
struct Clumsy;

impl Rewriter for Clumsy {
    type Plan = bool;

    fn plan(&mut self, packet: &Packet<'_>, _cx: &mut Context<'_>) -> Option<bool> {
        match packet.payload() {
            [] => None,
            payload => Some(payload.ends_with(b"boom")),
        }
    }

    fn rewrite(&mut self, panics: bool, packet: &mut PacketMut<'_>) -> Result<(), EditError> {
        if panics {
            std::panic::resume_unwind(Box::new("as the test wants it"));
        }
        packet.set_udp_payload(b"").map(drop)
    }
}

/// Bytes that were written over stay so when a rewriter fails on them, and the outcome says so.
#[test]
fn a_rewriter_that_fails_does_not_bring_other_bytes_back() {
    let mut engine = Engine::new(settings(), no_admin).unwrap().with_rewriter(Clumsy);
    let (client, server) = pair();
    handshake(&mut engine, at(0), &(client, server));
    let first = client.tcp(ACK, 1_000, 5_000, b"GET /other");
    send(&mut engine, at(1), &client, &first).assert_refused("rewrite-failed");
    let other = client.tcp(ACK, 1_000, 5_000, b"GET /aboom");
    let sent = send(&mut engine, at(2), &client, &other);
    assert_eq!(sent.outcome.exception, Some(Exception::InspectorPanic));
    assert_eq!(sent.outcome.disposition, Disposition::ForwardEdited, "{}", sent.outcome);
    assert_eq!(payload(&sent), b"GET /other");
}

/// The other way round: the forbidden bytes came first, and harmless ones do not hide them.
#[test]
fn harmless_bytes_do_not_hide_what_came_first() {
    for policy in POLICIES {
        let mut talk = Talk::new(guarded_by(policy));
        talk.ask(&BAD[..20]).assert_forwarded();
        let sent = talk.ask_at(1_000, &HARMLESS[..20]);
        assert_eq!(payload(&sent), &BAD[..20]);
        talk.ask(&BAD[20..]).assert_refused(FORBIDDEN.name());
    }
}

/// Both orders, where the bytes in question wait for others before them.
#[test]
fn what_waits_is_not_replaced() {
    for policy in POLICIES {
        for (first, second, is_refused) in [(BAD, HARMLESS, true), (HARMLESS, BAD, false)] {
            let mut talk = Talk::new(guarded_by(policy));
            talk.ask_at(1_004, &first[4..]).assert_forwarded();
            let sent = talk.ask_at(1_004, &second[4..]);
            assert_eq!(payload(&sent), &first[4..]);
            let sent = talk.ask(&BAD[..4]);
            assert_eq!(!sent.is_forwarded(), is_refused, "{}", sent.outcome);
        }
    }
}

#[test]
fn a_retransmission_after_the_drop_is_dropped_however_it_is_cut() {
    for policy in POLICIES {
        let mut talk = Talk::new(guarded_by(policy));
        talk.ask(&BAD[..30]).assert_forwarded();
        talk.ask(&BAD[30..]).assert_refused(FORBIDDEN.name());
        for cut in 1..18 {
            talk.ask_at(1_030 - cut, &BAD[30 - cut as usize..]).assert_refused(FORBIDDEN.name());
            talk.ask_at(1_030 + cut, &BAD[30 + cut as usize..]).assert_refused(FORBIDDEN.name());
        }
    }
}

/// A reset that the receiver does not believe, and a SYN that it answers with a challenge, end nothing here.
#[test]
fn a_made_up_reset_or_syn_does_not_end_the_inspection() {
    for policy in POLICIES {
        for stray in [RST, SYN] {
            let mut talk = Talk::new(guarded_by(policy));
            let strayed = talk.client.tcp(stray, 1_500, 5_000, &[]);
            talk.send(true, &strayed);
            talk.ask(BAD).assert_refused(FORBIDDEN.name());
        }
    }
}

/// A segment that is discarded, or damaged, is not forwarded, so its bytes are not believed.
#[test]
fn bytes_that_the_receiver_discards_are_not_believed() {
    for policy in POLICIES {
        let mut talk = Talk::new(guarded_by(policy));
        talk.ask(&BAD[..8]).assert_forwarded();
        let beyond = talk.client.tcp(ACK, 1_008_u32.wrapping_add(0x6000_0000), 5_000, b"harmless");
        assert!(!talk.send(true, &beyond).is_forwarded());
        let mut damaged = talk.client.tcp(ACK, 1_008, 5_000, &HARMLESS[8..]);
        *damaged.last_mut().unwrap() ^= 1;
        talk.send(true, &damaged).assert_refused("tcp-checksum");
        let unacknowledged = talk.client.tcp(ACK, 1_008, 5_000_000, &HARMLESS[8..]);
        assert!(!talk.send(true, &unacknowledged).is_forwarded());
        talk.ask(&BAD[8..]).assert_refused(FORBIDDEN.name());
    }
}

/// Sequence numbers go round in the middle of the request.
#[test]
fn the_wrap_of_the_sequence_number_hides_nothing() {
    for policy in POLICIES {
        let mut engine = guarded_by(policy);
        let (client, server) = pair();
        let start = 0_u32.wrapping_sub(10);
        let first = start.wrapping_sub(1);
        send(&mut engine, at(0), &client, &client.tcp(SYN, first, 0, &[])).assert_forwarded();
        send(&mut engine, at(0), &server, &server.tcp(SYN | ACK, 4_999, start, &[]))
            .assert_forwarded();
        send(&mut engine, at(0), &client, &client.tcp(ACK, start, 5_000, &BAD[..20]))
            .assert_forwarded();
        let rest = client.tcp(ACK, start.wrapping_add(20), 5_000, &BAD[20..]);
        send(&mut engine, at(0), &client, &rest).assert_refused(FORBIDDEN.name());
    }
}

/// Data on the SYN (RFC 7413) is part of the stream.
#[test]
fn data_on_the_syn_is_judged() {
    for policy in POLICIES {
        let mut engine = guarded_by(policy);
        let (client, _) = pair();
        let sent = send(&mut engine, at(0), &client, &client.tcp(SYN, 999, 0, BAD));
        assert!(!sent.is_forwarded(), "{}", sent.outcome);
    }
}

/// A connection that was under way before is followed from the first segment that is seen, where it is let in.
#[test]
fn a_request_in_a_connection_first_seen_in_its_middle() {
    for (policy, reason) in POLICIES.into_iter().zip(["midstream", FORBIDDEN.name()]) {
        let (client, _) = pair();
        let request = client.tcp(ACK, 7_000, 9_000, BAD);
        send(&mut guarded_by(policy), at(0), &client, &request).assert_refused(reason);
    }
}

/// The server opens with a SYN of its own instead of a SYN-ACK, and with an ACK before it: a handshake in four steps, or in
/// five.
#[test]
fn a_split_handshake() {
    for policy in POLICIES {
        for has_ack in [false, true] {
            let mut engine = guarded_by(policy);
            let (client, server) = pair();
            send(&mut engine, at(0), &client, &client.tcp(SYN, 999, 0, b"")).assert_forwarded();
            if has_ack {
                send(&mut engine, at(0), &server, &server.tcp(ACK, 4_999, 1_000, b""));
            }
            let own = server.tcp(SYN, 4_999, 0, b"");
            send(&mut engine, at(0), &server, &own).assert_forwarded();
            let answer = client.tcp(SYN | ACK, 999, 5_000, b"");
            send(&mut engine, at(0), &client, &answer).assert_forwarded();
            let last = server.tcp(ACK, 5_000, 1_000, b"");
            send(&mut engine, at(0), &server, &last).assert_forwarded();
            let first = client.tcp(ACK, 1_000, 5_000, &BAD[..20]);
            send(&mut engine, at(0), &client, &first).assert_forwarded();
            let rest = client.tcp(ACK, 1_020, 5_000, &BAD[20..]);
            send(&mut engine, at(0), &client, &rest).assert_refused(FORBIDDEN.name());
        }
    }
}

fn stamped(side: &Side, flags: u16, numbers: [u32; 2], stamp: u32, data: &[u8]) -> Vec<u8> {
    let [a, b, c, d] = stamp.to_be_bytes();
    side.tcp_with(flags, numbers[0], numbers[1], &[1, 1, 8, 10, a, b, c, d, 0, 0, 0, 0], data)
}

/// Harmless bytes with a time stamp that the receiver discards, and without one where both ends agreed upon them.
#[test]
fn old_time_stamps() {
    for policy in POLICIES {
        let mut engine = guarded_by(policy);
        let (client, server) = pair();
        for (side, packet) in [
            (&client, stamped(&client, SYN, [999, 0], 5_000, b"")),
            (&server, stamped(&server, SYN | ACK, [4_999, 1_000], 70, b"")),
            (&client, stamped(&client, ACK, [1_000, 5_000], 5_001, &BAD[..8])),
        ] {
            send(&mut engine, at(0), side, &packet).assert_forwarded();
        }
        let old = stamped(&client, ACK, [1_008, 5_000], 4_000, &HARMLESS[8..]);
        send(&mut engine, at(1), &client, &old).assert_refused("old-timestamp");
        let none = client.tcp(ACK, 1_008, 5_000, &HARMLESS[8..]);
        send(&mut engine, at(1), &client, &none).assert_refused("no-timestamp");
        let rest = stamped(&client, ACK, [1_008, 5_000], 5_002, &BAD[8..]);
        send(&mut engine, at(1), &client, &rest).assert_refused(FORBIDDEN.name());
    }
}

/// Harmless bytes that die before the receiver, and then others for their place: the first are remembered, so these are written
/// over, and the receiver never has what was not judged. Who looks for anomalies has the first dropped, and judges the second.
#[test]
fn a_time_to_live_that_ends_before_the_receiver() {
    let dying = |side: &Side, data: &[u8]| {
        let mut packet = side.tcp(ACK, 1_000, 5_000, data);
        packet[8] = 2;
        packet[10..12].fill(0);
        let sum = gwlb_geneve::packet::Checksum::of(&packet[..20]);
        packet[10..12].copy_from_slice(&sum.to_be_bytes());
        packet
    };
    for policy in POLICIES {
        let mut talk = Talk::new(guarded_by(policy));
        let decoy = dying(&talk.client, HARMLESS);
        talk.send(true, &decoy).assert_forwarded();
        assert_eq!(payload(&talk.ask_at(1_000, BAD)), HARMLESS);

        let rules = || AnomalyRules::from_toml("ttl-low = \"drop\"").unwrap();
        let make = move || (AnomalyInspector::new(rules()), no_admin());
        let mut talk = Talk::new(Engine::new(Settings { policy, ..settings() }, make).unwrap());
        let decoy = dying(&talk.client, HARMLESS);
        assert!(!talk.send(true, &decoy).is_forwarded());
        let refused = talk.ask_at(1_000, BAD);
        assert!(!refused.is_forwarded(), "{}", refused.outcome);
    }
}

/// Bytes that were forwarded stay comparable until the receiver has them: acknowledgments that cannot be the receiver's free
/// nothing, whoever made them up.
#[test]
fn made_up_acknowledgments_make_nothing_forgotten() {
    for policy in POLICIES {
        let mut talk = Talk::new(guarded_by(policy));
        let (client, server) = (talk.client, talk.server);
        talk.ask(&HARMLESS[..20]).assert_forwarded();
        // Of more than was sent; at a place where the server is not; from the wrong side; damaged; too old; with no ACK at all.
        let mut damaged = server.tcp(ACK, 5_000, 1_020, b"");
        damaged[36] ^= 1;
        for (is_client, made_up) in [
            (false, server.tcp(ACK, 5_000, 1_021, b"")),
            (false, server.tcp(ACK, 5_000, 1_020 + (1 << 24), b"")),
            (false, server.tcp(ACK, 5_000_u32.wrapping_add(1 << 29), 1_020, b"")),
            (false, server.tcp(ACK, 5_000_u32.wrapping_sub(1 << 29), 1_020, b"")),
            (false, server.tcp(ACK, 4_998, 1_020, b"")),
            (true, client.tcp(ACK, 1_020, 1_020, b"")),
            (true, client.tcp(ACK, 1_020, 5_000, b"")),
            (false, damaged),
            (false, server.tcp(0, 5_000, 1_020, b"")),
            (false, server.tcp(RST, 5_001, 1_020, b"")),
            (false, server.tcp(SYN, 5_000, 1_020, b"")),
        ] {
            talk.send(is_client, &made_up);
            let sent = talk.ask_at(1_000, &BAD[..20]);
            assert_eq!(payload(&sent), &HARMLESS[..20], "{made_up:x?}");
        }
        // The receiver's own does, and what comes then for that place, the receiver has already.
        let own = server.tcp(ACK, 5_000, 1_020, b"");
        talk.send(false, &own).assert_forwarded();
        assert_eq!(payload(&talk.ask_at(1_000, &BAD[..20])), &BAD[..20]);
    }
}

/// The same in a connection that was not seen from its start, whose windows are not known.
#[test]
fn made_up_acknowledgments_in_a_connection_first_seen_in_its_middle() {
    let mut engine = guarded_by(ExceptionPolicy::AVAILABLE);
    let (client, server) = pair();
    let first = client.tcp(ACK, 1_000, 5_000, &HARMLESS[..20]);
    send(&mut engine, at(0), &client, &first).assert_forwarded();
    let answer = server.tcp(ACK, 5_000, 1_000, b"");
    send(&mut engine, at(0), &server, &answer).assert_forwarded();
    for far in [1 << 22, 1 << 29] {
        for acknowledged in [1_020, 1_500] {
            let made_up = server.tcp(ACK, 5_000 + far, acknowledged, b"");
            send(&mut engine, at(0), &server, &made_up);
            let other = client.tcp(ACK, 1_000, 5_000, &BAD[..20]);
            let sent = send(&mut engine, at(0), &client, &other);
            assert_eq!(payload(&sent), &HARMLESS[..20]);
        }
    }
}

/// A head that never ends, and one of 1 MiB: more than is gathered of a message.
#[test]
fn a_header_of_a_megabyte() {
    for policy in POLICIES {
        let mut talk = Talk::new(guarded_by(policy));
        let head = [b"GET /other HTTP/1.1\r\nCookie: ", vec![b'x'; 1 << 20].as_slice()].concat();
        let mut judged = None;
        for piece in head.chunks(1_400) {
            let sent = talk.ask(piece);
            if sent.outcome.exception.is_some() {
                judged = Some(sent);
                break;
            }
            talk.answer(b"");
        }
        let judged = judged.expect("it is more than a message may have");
        assert_eq!(judged.outcome.exception, Some(Exception::ProtocolUnparsable));
        assert_eq!(judged.is_forwarded(), policy == ExceptionPolicy::AVAILABLE);
        assert!(talk.engine.streams().message_bytes <= 128 << 10);
    }
}

/// Sizes that wrap in some receivers, so that a request hides in the body.
#[test]
fn chunks_of_two_to_the_64th() {
    for policy in POLICIES {
        for size in ["10000000000000000", "ffffffffffffffffff", "-1", "0x4", "4 4"] {
            let mut talk = Talk::new(guarded_by(policy));
            let head = "POST /upload HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n";
            talk.ask(head.as_bytes()).assert_forwarded();
            let sent = talk.ask(format!("{size}\r\nabcd\r\n0\r\n\r\n").as_bytes());
            assert_eq!(sent.outcome.exception, Some(Exception::ProtocolUnparsable), "{size}");
            assert_eq!(sent.is_forwarded(), policy == ExceptionPolicy::AVAILABLE, "{size}");
        }
    }
}

/// Behind requests that are allowed, in one segment with them and cut.
#[test]
fn the_forbidden_request_behind_others() {
    for policy in POLICIES {
        for size in [1, 7, 1_000] {
            let mut talk = Talk::new(guarded_by(policy));
            let all = [HARMLESS, HARMLESS, BAD, HARMLESS].concat();
            let refused =
                all.chunks(size).map(|piece| talk.ask(piece)).find(|it| !it.is_forwarded());
            refused.expect("it is forbidden").assert_refused(FORBIDDEN.name());
        }
    }
}
