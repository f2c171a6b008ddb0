//! TCP streams as a receiver gets them.

#![cfg(feature = "alloc")]

#[path = "stream/by_hand.rs"]
mod by_hand;
mod support;

use gwlb_geneve::Side;
use gwlb_geneve::packet::TcpFlags;
use gwlb_geneve::stream::{Arrival, Connection, Discard, StreamLimits};
use proptest::collection::vec;
use proptest::prelude::*;
use support::streams::{Kind, Receiver, Segment, Watched, check, content};

proptest! {
    #![proptest_config(ProptestConfig {
        failure_persistence: None,
        max_shrink_iters: 20_000,
        ..ProptestConfig::with_cases(3_000)
    })]

    /// Would catch: a byte that reaches a receiver unjudged, by any overlap, at any edge of a window, of any kind of
    /// receiver; an edit too many or too few; memory that is not given back.
    #[test]
    fn nobody_fools_a_receiver(setup in any::<[u8; 4]>(), script in vec(any::<[u8; 5]>(), 0..120)) {
        let opening = [[0, 0, 0, 1, 1], [2, 0, 0, 0, 1]];
        let script: Vec<u8> = opening.into_iter().chain(script).flatten().collect();
        check(&[&setup[..], &script].concat());
    }

    /// The same without a handshake in good order before.
    #[test]
    fn nobody_fools_a_receiver_from_the_start(
        setup in any::<[u8; 4]>(),
        script in vec((0_u8..6, any::<[u8; 4]>()), 0..60),
    ) {
        let script = script.into_iter().flat_map(|(what, [a, b, c, d])| [what, a, b, c, d]);
        check(&setup.into_iter().chain(script).collect::<Vec<_>>());
    }
}

/// Three SYNs with numbers of their own.
#[test]
fn syns_are_told_apart() {
    check(&[
        34, 246, 0, 4, 1, 9, 36, 9, 40, 0, 102, 0, 0, 1, 1, 0, 246, 0, 4, 1, 9, 36, 9, 40, 0, 36,
        0, 0, 59, 34, 40, 17, 1, 2, 0, 96, 13, 35, 1, 0, 12, 5,
    ]);
}

/// A SYN with data, and another SYN whose number is that of the first one behind its data: one answer serves both.
#[test]
fn a_second_syn_does_not_hide_the_data_of_the_first() {
    check(&[
        117, 212, 53, 40, 0, 19, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255,
        255, 255, 255, 33, 1, 1, 2, 0, 0, 160, 62, 220, 106, 0, 1, 2, 1, 0, 1, 251, 254, 7, 16, 64,
        35, 255, 217, 5, 2, 255, 255, 255, 251, 71, 187, 187, 187, 187, 187, 187, 187, 187, 187,
        64, 5, 7, 1, 251, 247, 255, 159, 12, 1, 0, 5,
    ]);
}

/// Would catch: an honest connection that comes to a halt, for a window that is closed, a probe of it, a segment that
/// was lost before or behind the appliance, came twice, out of order or cut anew; numbers that wrap.
fn honest(seed: u64, len: usize, window: u16) {
    let mut dice = seed;
    let mut roll = |most: u32| {
        dice = dice.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        ((dice >> 33) as u32) % most
    };
    let limits = StreamLimits { bytes: 1 << 20, window: 1 << 16, ..StreamLimits::default() };
    let mut watched = Watched::new(Connection::new(), limits);
    let mut receiver = Receiver::new(Kind::of(roll(64) as u8), window, roll(u32::MAX));
    let isn = 0_u32.wrapping_sub(roll(2 * len as u32 + 2));
    let bytes = content(0, len, 0);
    let ack = receiver.isn.wrapping_add(1);
    let mut stamp = 1;
    let mut known = None;
    let mut late: Vec<Segment> = Vec::new();
    for _ in 0..200 * (len + 20) {
        if receiver.has_ended && known == Some(len as u32 + 1) {
            break;
        }
        stamp += 1;
        let at = |from: u32, len: usize, flags| Segment {
            flags,
            sequence_number: isn.wrapping_add(1).wrapping_add(from),
            acknowledgment_number: ack,
            window: 1000,
            stamp: Some(stamp),
            payload: bytes[from as usize..][..len].to_vec(),
            ..Segment::default()
        };
        let segment = match known {
            None => Segment {
                flags: TcpFlags::SYN,
                sequence_number: isn,
                window: 1000,
                stamp: Some(stamp),
                ..Segment::default()
            },
            Some(acked) if acked as usize > len => at(len as u32, 0, TcpFlags::ACK),
            Some(acked) => {
                // A probe of one byte goes beyond the window.
                let offered = u32::from(window).max(1);
                let from = acked + roll(offered.min(len as u32 + 1 - acked));
                let left = (len as u32 - from).min(acked + offered - from);
                let size = roll(left + 1).max(u32::from(left > 0));
                let ends = from as usize + size as usize == len;
                let flags = TcpFlags(TcpFlags::ACK.0 | u16::from(ends && roll(2) == 0));
                at(from, size as usize, flags)
            }
        };
        late.push(segment);
        let turn = roll(late.len() as u32) as usize;
        let segment = if roll(4) == 0 { late[turn].clone() } else { late.swap_remove(turn) };
        late.truncate(8);
        if roll(5) == 0 {
            continue;
        }
        let forwarded = match watched.pass(Side::Client, &segment) {
            Ok((accepted, forwarded)) => {
                assert!(!accepted.is_edited() && !accepted.reopens() && !accepted.resets());
                forwarded
            }
            // What was overtaken on the way may be.
            Err(Arrival::Discard(Discard::OldTimestamp | Discard::OutOfWindow)) => continue,
            Err(refused) => panic!("{refused:?} of {segment:?}"),
        };
        if roll(5) == 0 {
            continue;
        }
        receiver.take(&Segment { payload: forwarded, ..segment });
        if !receiver.is_open {
            continue;
        }
        let answer = if known.is_none() { receiver.syn_ack(stamp) } else { receiver.ack(stamp) };
        watched.pass(Side::Server, &answer).expect("an honest answer");
        watched.acknowledged(Side::Client, receiver.delivered.len() as u64);
        if roll(5) != 0 {
            let acked = receiver.next_sequence_number().wrapping_sub(isn.wrapping_add(1));
            known = Some(acked.max(known.unwrap_or(0)));
        }
    }
    assert_eq!(receiver.delivered, bytes, "seed {seed}");
    assert!(receiver.has_ended && watched.ended[0], "seed {seed}");
    assert_eq!(watched.told[0], bytes);
    watched.close();
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(150) })]

    #[test]
    fn an_honest_connection_comes_to_its_end(
        seed in any::<u64>(),
        len in 0_usize..1_500,
        window in prop_oneof![10_u16..50, 50_u16..3_000],
    ) {
        honest(seed, len, window);
    }
}
