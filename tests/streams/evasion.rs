//! The same verdict however the request is disguised on its way.

use gwlb_geneve::engine::{Disposition, Engine};
use gwlb_geneve::gwlb::{Envelope, Profile};
use gwlb_geneve::inspect::{Context, Exception, Packet, Rewriter};
use gwlb_geneve::packet::{EditError, PacketMut};

use crate::common::*;
use crate::support::traffic::*;

const BAD: &[u8] = b"GET /admin/users HTTP/1.1\r\nHost: example.com\r\n\r\n";
const HARMLESS: &[u8] = b"GET /other/users HTTP/1.1\r\nHost: example.com\r\n\r\n";

fn payload(sent: &Sent) -> Vec<u8> {
    let envelope = Envelope::parse(&sent.payload, &Profile::AWS).unwrap();
    segment(envelope.inner()).payload().to_vec()
}

/// Other bytes for a place that was forwarded: the receiver gets the first again, whichever it believes.
#[test]
fn a_retransmission_of_other_bytes_is_written_over() {
    let mut talk = Talk::new(guarded());
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
    let mut talk = Talk::new(guarded());
    talk.ask(&BAD[..20]).assert_forwarded();
    let sent = talk.ask_at(1_000, &HARMLESS[..20]);
    assert_eq!(payload(&sent), &BAD[..20]);
    talk.ask(&BAD[20..]).assert_refused(FORBIDDEN.name());
}

/// Both orders, where the bytes in question wait for others before them.
#[test]
fn what_waits_is_not_replaced() {
    for (first, second, is_refused) in [(BAD, HARMLESS, true), (HARMLESS, BAD, false)] {
        let mut talk = Talk::new(guarded());
        talk.ask_at(1_004, &first[4..]).assert_forwarded();
        let sent = talk.ask_at(1_004, &second[4..]);
        assert_eq!(payload(&sent), &first[4..]);
        let sent = talk.ask(&BAD[..4]);
        assert_eq!(!sent.is_forwarded(), is_refused, "{}", sent.outcome);
    }
}

#[test]
fn a_retransmission_after_the_drop_is_dropped_however_it_is_cut() {
    let mut talk = Talk::new(guarded());
    talk.ask(&BAD[..30]).assert_forwarded();
    talk.ask(&BAD[30..]).assert_refused(FORBIDDEN.name());
    for cut in 1..18 {
        talk.ask_at(1_030 - cut, &BAD[30 - cut as usize..]).assert_refused(FORBIDDEN.name());
        talk.ask_at(1_030 + cut, &BAD[30 + cut as usize..]).assert_refused(FORBIDDEN.name());
    }
}

/// A reset that the receiver does not believe, and a SYN that it answers with a challenge, end nothing here.
#[test]
fn a_made_up_reset_or_syn_does_not_end_the_inspection() {
    for stray in [RST, SYN] {
        let mut talk = Talk::new(guarded());
        let strayed = talk.client.tcp(stray, 1_500, 5_000, &[]);
        talk.send(true, &strayed);
        talk.ask(BAD).assert_refused(FORBIDDEN.name());
    }
}

/// A segment that is discarded, or damaged, is not forwarded, so its bytes are not believed.
#[test]
fn bytes_that_the_receiver_discards_are_not_believed() {
    let mut talk = Talk::new(guarded());
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

/// Sequence numbers go round in the middle of the request.
#[test]
fn the_wrap_of_the_sequence_number_hides_nothing() {
    let mut engine = guarded();
    let (client, server) = pair();
    let start = 0_u32.wrapping_sub(10);
    let first = start.wrapping_sub(1);
    send(&mut engine, at(0), &client, &client.tcp(SYN, first, 0, &[])).assert_forwarded();
    send(&mut engine, at(0), &server, &server.tcp(SYN | ACK, 4_999, start, &[])).assert_forwarded();
    send(&mut engine, at(0), &client, &client.tcp(ACK, start, 5_000, &BAD[..20]))
        .assert_forwarded();
    let rest = client.tcp(ACK, start.wrapping_add(20), 5_000, &BAD[20..]);
    send(&mut engine, at(0), &client, &rest).assert_refused(FORBIDDEN.name());
}

/// Data on the SYN (RFC 7413) is part of the stream.
#[test]
fn data_on_the_syn_is_judged() {
    let mut engine = guarded();
    let (client, _) = pair();
    let sent = send(&mut engine, at(0), &client, &client.tcp(SYN, 999, 0, BAD));
    assert!(!sent.is_forwarded(), "{}", sent.outcome);
}

/// A connection that was under way before is followed from the first segment that is seen.
#[test]
fn a_request_in_a_connection_first_seen_in_its_middle() {
    let mut engine = guarded();
    let (client, _) = pair();
    let sent = send(&mut engine, at(0), &client, &client.tcp(ACK, 7_000, 9_000, BAD));
    sent.assert_refused(FORBIDDEN.name());
}
