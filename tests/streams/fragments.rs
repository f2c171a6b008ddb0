//! What is forbidden is stopped, however its datagrams are cut.

use gwlb_geneve::engine::{Engine, Settings};
use gwlb_geneve::inspect::*;
use gwlb_geneve::stream::defrag::DefragLimits;

use crate::common::*;
use crate::dns::{BLOCKED, query};
use crate::support::traffic::*;

const BAD: &[u8] = b"GET /admin/users HTTP/1.1\r\nHost: example.com\r\n\r\n";
const HARMLESS: &[u8] = b"GET /other/users HTTP/1.1\r\nHost: example.com\r\n\r\n";
const ORDERS: [[usize; 3]; 6] = [[0, 1, 2], [0, 2, 1], [1, 0, 2], [1, 2, 0], [2, 0, 1], [2, 1, 0]];

/// The fragments of a packet of either version.
fn cut(packet: &[u8], identification: u16, size: usize) -> Vec<Vec<u8>> {
    if packet[0] >> 4 == 4 {
        return fragments(packet, identification, size);
    }
    let chunks: Vec<&[u8]> = packet[40..].chunks(size).collect();
    let last = chunks.len() - 1;
    let fragment = |(n, chunk): (usize, &&[u8])| {
        let mut bytes = packet[..40].to_vec();
        bytes[4..6].copy_from_slice(&(8 + chunk.len() as u16).to_be_bytes());
        bytes[6] = 44;
        bytes.extend([packet[6], 0]);
        bytes.extend(((n * size) as u16 | u16::from(n < last)).to_be_bytes());
        bytes.extend(u32::from(identification).to_be_bytes());
        bytes.extend(*chunk);
        bytes
    };
    chunks.iter().enumerate().map(fragment).collect()
}

/// In three parts.
fn thirds(packet: &[u8], identification: u16) -> Vec<Vec<u8>> {
    let data = packet.len() - if packet[0] >> 4 == 4 { 20 } else { 40 };
    let parts = cut(packet, identification, data.div_ceil(3).next_multiple_of(8));
    assert_eq!(parts.len(), 3);
    parts
}

fn assert_untouched(sent: &Sent, packet: &[u8]) {
    sent.assert_forwarded();
    assert_eq!(sent.inner(), packet);
}

fn guarded_dns() -> Engine<impl Inspector> {
    crate::dns::guarded(ExceptionPolicy::STRICT)
}

#[test]
fn a_forbidden_request_in_fragments_is_stopped_by_the_last_one() {
    for (ends, order) in
        [pair(), pair_v6()].into_iter().flat_map(|ends| ORDERS.map(|order| (ends, order)))
    {
        let mut talk = Talk::between(guarded(), ends);
        let parts = thirds(&talk.client.tcp(ACK, 1_000, 5_000, BAD), 7);
        for n in &order[..2] {
            let sent = talk.send(true, &parts[*n]);
            assert_untouched(&sent, &parts[*n]);
        }
        talk.send(true, &parts[order[2]]).assert_refused(FORBIDDEN.name());
        assert!(!talk.send(true, &parts[order[2]]).is_forwarded());
        // Dead for good.
        talk.ask(HARMLESS).assert_refused(FORBIDDEN.name());
    }
}

#[test]
fn an_innocent_request_in_fragments_passes_and_the_stream_goes_on() {
    for (ends, order) in
        [pair(), pair_v6()].into_iter().flat_map(|ends| ORDERS.map(|order| (ends, order)))
    {
        let mut talk = Talk::between(guarded(), ends);
        let parts = thirds(&talk.client.tcp(ACK, 1_000, 5_000, HARMLESS), 7);
        for n in order {
            let sent = talk.send(true, &parts[n]);
            assert_untouched(&sent, &parts[n]);
        }
        assert_eq!(talk.engine.streams().fragment_bytes, 0);
        talk.next[0] += HARMLESS.len() as u32;
        talk.ask(HARMLESS).assert_forwarded();
        talk.ask(BAD).assert_refused(FORBIDDEN.name());
    }
}

/// Would catch: bytes of fragments that are told twice, in a wrong place or not at all.
#[test]
fn the_stream_is_that_of_whole_packets() {
    let (engine, client, _) = recording(settings());
    let mut talk = Talk::new(engine);
    let said: Vec<u8> = (0..2_000_u32).map(|n| n as u8).collect();
    for (n, chunk) in said.chunks(200).enumerate() {
        let packet = talk.client.tcp(ACK, talk.next[0], talk.next[1], chunk);
        talk.next[0] += chunk.len() as u32;
        for part in cut(&packet, n as u16, 48).iter().rev() {
            talk.send(true, part).assert_forwarded();
        }
    }
    assert_eq!(*client.lock().unwrap(), said);
}

#[test]
fn a_query_in_fragments() {
    let (v4, _) = sides("10.1.0.10:40000", "10.2.0.20:53");
    let (v6, _) = sides("[2001:db8::1]:40000", "[2001:db8::2]:53");
    for (client, order) in
        [v4, v6].into_iter().flat_map(|client| ORDERS.map(|order| (client, order)))
    {
        let mut engine = guarded_dns();
        for (identification, name, is_passed) in
            [(7, "good.example", true), (8, "evil.example", false)]
        {
            let parts = thirds(&client.udp(&query(name)), identification);
            for n in &order[..2] {
                let sent = send(&mut engine, at(0), &client, &parts[*n]);
                assert_untouched(&sent, &parts[*n]);
            }
            let sent = send(&mut engine, at(0), &client, &parts[order[2]]);
            match is_passed {
                true => assert_untouched(&sent, &parts[order[2]]),
                false => sent.assert_refused(BLOCKED.name()),
            }
        }
    }
}

/// A receiver may have the end of the first one still, and put the second beginning before it.
#[test]
fn a_new_first_fragment_against_an_old_end() {
    let mut talk = Talk::new(guarded());
    let good = cut(&talk.client.tcp(ACK, 1_000, 5_000, HARMLESS), 7, 48);
    let bad = cut(&talk.client.tcp(ACK, 1_000, 5_000, BAD), 7, 48);
    // While it is under way.
    talk.send(true, &good[0]).assert_forwarded();
    talk.send(true, &bad[0]).assert_refused("fragment-overlap");
    assert!(!talk.send(true, &good[1]).is_forwarded());
    // When it was whole.
    let mut talk = Talk::new(guarded());
    talk.send(true, &good[0]).assert_forwarded();
    talk.send(true, &good[1]).assert_forwarded();
    talk.send(true, &bad[0]).assert_refused("fragment-of-whole");
    // When only the end has come.
    let mut talk = Talk::new(guarded());
    talk.send(true, &good[1]).assert_forwarded();
    talk.send(true, &bad[0]).assert_refused(FORBIDDEN.name());
}

/// The same where the old end belongs to a flow that nobody looks at.
#[test]
fn an_old_end_of_another_flow() {
    let mut engine = guarded_dns();
    let (other, _) = sides("10.1.0.10:40000", "10.2.0.20:5300");
    let (client, _) = sides("10.1.0.10:40000", "10.2.0.20:53");
    for part in cut(&other.udp(&query("evil.example")), 7, 16) {
        send(&mut engine, at(0), &other, &part).assert_forwarded();
    }
    assert_eq!(engine.streams().fragment_bytes, 0);
    let parts = cut(&client.udp(&query("good.example")), 7, 16);
    send(&mut engine, at(1), &client, &parts[0]).assert_refused("fragment-of-other");
    assert!(!send(&mut engine, at(1), &client, &parts[1]).is_forwarded());
}

#[test]
fn overlapping_and_tiny_fragments() {
    for (client, _) in [pair(), pair_v6()] {
        let mut talk = Talk::between(guarded(), (client, client.back()));
        let packet = talk.client.tcp(ACK, 1_000, 5_000, HARMLESS);
        let (wide, narrow) = (cut(&packet, 7, 48), cut(&packet, 7, 32));
        talk.send(true, &wide[0]).assert_forwarded();
        // The same again is none.
        talk.send(true, &wide[0]).assert_forwarded();
        talk.send(true, &narrow[1]).assert_refused("fragment-overlap");
        assert!(!talk.send(true, &wide[1]).is_forwarded());
        let tiny = cut(&packet, 8, 16);
        assert!(!talk.send(true, &tiny[0]).is_forwarded());
        // None of it hurts the flow.
        talk.ask(HARMLESS).assert_forwarded();
    }
}

/// Its receiver discards it when it is whole, so nobody may be shown it.
#[test]
fn the_checksum_of_the_whole_is_verified() {
    let mut talk = Talk::new(guarded());
    let mut packet = talk.client.tcp(ACK, 1_000, 5_000, HARMLESS);
    *packet.last_mut().unwrap() ^= 1;
    let parts = thirds(&packet, 7);
    talk.send(true, &parts[0]).assert_forwarded();
    talk.send(true, &parts[1]).assert_forwarded();
    talk.send(true, &parts[2]).assert_refused("tcp-checksum");
    talk.ask(BAD).assert_refused(FORBIDDEN.name());
}

/// Without room, nothing passes that could be made whole unseen.
#[test]
fn without_room_fragments_are_dropped() {
    let defrag =
        DefragLimits { datagrams: 4, datagrams_per_endpoint: 2, ..DefragLimits::default() };
    let mut talk = Talk::new(Engine::new(Settings { defrag, ..settings() }, no_admin).unwrap());
    let packet = talk.client.tcp(ACK, 1_000, 5_000, HARMLESS);
    for (n, is_passed) in [(1, true), (2, true), (3, false)] {
        let sent = talk.send(true, &cut(&packet, n, 48)[usize::from(n != 1)]);
        assert_eq!(sent.is_forwarded(), is_passed);
        let class = match n {
            1 => None,
            2 => Some(Exception::FragmentBeforeFirst),
            _ => Some(Exception::FragmentMemoryFull),
        };
        assert_eq!(sent.outcome.exception, class);
    }
    talk.ask(HARMLESS).assert_forwarded();
}
