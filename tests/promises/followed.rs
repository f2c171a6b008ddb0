//! Promises 4 and 8 where bytes are put in order: no flood takes away the places and the memory that connections need, and no
//! endpoint those of another.

use gwlb_geneve::engine::{Engine, Settings};
use gwlb_geneve::inspect::{ExceptionPolicy, Inspector, Reason, Verdict, stream_fn};
use gwlb_geneve::stream::StreamLimits;

use crate::common::{POLICIES, with_policy};
use crate::support::traffic::*;

const PLACES: usize = 64;
const SHARE: usize = 48;
const WORD: &[u8] = b"forbidden";

/// Rejects a word, however it is cut.
fn guard() -> impl Inspector {
    let mut seen: std::collections::HashMap<_, Vec<u8>> = std::collections::HashMap::new();
    stream_fn("guard", move |chunk, _| {
        let seen = seen.entry((*chunk.packet.flow(), chunk.side)).or_default();
        seen.truncate(chunk.offset as usize);
        seen.resize(chunk.offset as usize, 0);
        seen.extend(chunk.data);
        match seen.windows(WORD.len()).any(|found| found == WORD) {
            true => Verdict::reject(Reason::new("word")),
            false => Verdict::PASS,
        }
    })
}

fn guarded(policy: ExceptionPolicy) -> Engine<impl Inspector> {
    let streams = StreamLimits {
        connections: PLACES,
        connections_per_endpoint: SHARE,
        bytes: 256 << 10,
        bytes_per_endpoint: 128 << 10,
        ..StreamLimits::default()
    };
    Engine::new(Settings { streams, ..with_policy(policy) }, guard).unwrap()
}

/// What comes in masses, each from an address of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Syns,
    /// With data (RFC 7413).
    SynsThatSpeak,
    /// A server is there that answers them.
    AnsweredSyns,
    /// And an ACK comes that has nothing to do with the answer.
    WrongHandshakes,
    /// In the middle of something.
    Segments,
    /// Opened and reset again.
    Resets,
}

const KINDS: [Kind; 6] = [
    Kind::Syns,
    Kind::SynsThatSpeak,
    Kind::AnsweredSyns,
    Kind::WrongHandshakes,
    Kind::Segments,
    Kind::Resets,
];

fn flood<I: Inspector>(engine: &mut Engine<I>, kind: Kind, endpoint: u64, from: &mut u32) {
    for n in *from..*from + 3 * PLACES as u32 {
        let [a, b, c, _] = n.to_le_bytes();
        let (client, server) =
            sides(&format!("10.66.{b}.{a}:{}", 1_024 + u16::from(c)), "10.9.0.2:443");
        let (client, server) = (client.through(endpoint), server.through(endpoint));
        let mut pass = |side: &Side, segment: Vec<u8>| {
            send(engine, at(1), side, &segment);
        };
        match kind {
            Kind::Segments => pass(&client, client.tcp(ACK, 77, 88, &[b'x'; 1_000])),
            Kind::SynsThatSpeak => pass(&client, client.tcp(SYN, 999, 0, &[b'x'; 1_000])),
            _ => pass(&client, client.tcp(SYN, 999, 0, b"")),
        }
        if matches!(kind, Kind::AnsweredSyns | Kind::WrongHandshakes) {
            pass(&server, server.tcp(SYN | ACK, 4_999, 1_000, b""));
        }
        match kind {
            Kind::WrongHandshakes => pass(&client, client.tcp(ACK, 1_000, 777, b"")),
            Kind::Resets => pass(&client, client.tcp(RST, 1_000, 0, b"")),
            _ => {}
        }
    }
    *from += 3 * PLACES as u32;
}

/// The `n`th connection of honest people through an endpoint.
fn honest(endpoint: u64, n: u16) -> (Side, Side) {
    let (client, server) = sides(&format!("10.1.0.1:{}", 50_000 + n), "10.9.0.2:443");
    (client.through(endpoint), server.through(endpoint))
}

fn say<I: Inspector>(
    engine: &mut Engine<I>,
    (client, _): &(Side, Side),
    from: usize,
    to: usize,
) -> Sent {
    let number = 1_000 + from as u32;
    send(engine, at(2), client, &client.tcp(ACK, number, 5_000, &WORD[from..to]))
}

#[test]
fn a_flood_disturbs_no_connection_and_hides_no_new_one() {
    for policy in POLICIES {
        for kind in KINDS {
            let what = format!("{kind:?} under {policy:?}");
            let mut engine = guarded(policy);
            let mut n = 0;
            let known: Vec<_> = (0..20).map(|n| honest(1, n)).collect();
            for ends in &known {
                handshake(&mut engine, at(0), ends);
                say(&mut engine, ends, 0, 4).assert_forwarded();
            }
            flood(&mut engine, kind, 1, &mut n);
            // Somebody comes in the middle of it, through the same endpoint and through another one.
            for endpoint in [1, 2] {
                let ends @ (client, server) = &honest(endpoint, 900);
                let handshake = [
                    (client, client.tcp(SYN, 999, 0, b"")),
                    (server, server.tcp(SYN | ACK, 4_999, 1_000, b"")),
                    (client, client.tcp(ACK, 1_000, 5_000, b"")),
                ];
                for (side, segment) in &handshake {
                    let sent = send(&mut engine, at(1), side, segment);
                    assert!(sent.is_forwarded(), "{what}: {}", sent.outcome);
                    assert_eq!(sent.outcome.exception, None, "{what}");
                    flood(&mut engine, kind, 1, &mut n);
                }
                say(&mut engine, ends, 0, 4).assert_forwarded();
                flood(&mut engine, kind, 1, &mut n);
                let sent = say(&mut engine, ends, 4, 9);
                assert_eq!(sent.outcome.reason.name(), "word", "{what}: {}", sent.outcome);
            }
            for ends in &known {
                let sent = say(&mut engine, ends, 4, 9);
                assert_eq!(sent.outcome.reason.name(), "word", "{what}: {}", sent.outcome);
            }
            let is_one_sided = kind == Kind::Segments && policy == ExceptionPolicy::STRICT;
            assert_eq!(engine.counters().places_given_up > 0, !is_one_sided, "{what}");
            assert!(engine.streams().connections <= PLACES);
        }
    }
}

/// Of what an endpoint has under way it keeps no more than its share, and others find theirs.
#[test]
fn an_endpoint_has_no_more_places_than_its_share() {
    for policy in POLICIES {
        let mut engine = guarded(policy);
        for n in 0..SHARE as u16 {
            handshake(&mut engine, at(0), &honest(1, n));
        }
        let (client, _) = honest(1, 999);
        let sent = send(&mut engine, at(1), &client, &client.tcp(SYN, 999, 0, b""));
        assert_eq!(sent.outcome.exception, Some(gwlb_geneve::inspect::Exception::StreamMemoryFull));
        assert_eq!(sent.is_forwarded(), policy == ExceptionPolicy::AVAILABLE);
        for n in 0..(PLACES - SHARE) as u16 {
            let ends = honest(2, n);
            handshake(&mut engine, at(1), &ends);
            say(&mut engine, &ends, 0, 4).assert_forwarded();
            say(&mut engine, &ends, 4, 9).assert_refused("word");
        }
        assert_eq!(engine.counters().places_given_up, 0);
    }
}

/// An endpoint whose peers acknowledge nothing has no more of the memory than its share: others are followed on.
#[test]
fn an_endpoint_has_no_more_memory_than_its_share() {
    for policy in POLICIES {
        let mut engine = guarded(policy);
        let mut is_full = false;
        for n in 0..SHARE as u16 {
            let ends = honest(1, n);
            handshake(&mut engine, at(0), &ends);
            for part in 0..4 {
                let segment = ends.0.tcp(ACK, 1_000 + part * 1_400, 5_000, &[b'x'; 1_400]);
                let sent = send(&mut engine, at(1), &ends.0, &segment);
                is_full |= sent.outcome.exception.is_some();
            }
        }
        assert!(is_full, "else this shows nothing");
        assert!(engine.streams().bytes <= 128 << 10);
        let ends = honest(2, 0);
        handshake(&mut engine, at(1), &ends);
        say(&mut engine, &ends, 0, 4).assert_forwarded();
        say(&mut engine, &ends, 4, 9).assert_refused("word");
    }
}
