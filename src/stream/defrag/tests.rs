use alloc::vec::Vec;

use super::*;

const SECOND: u64 = 1_000_000_000;

fn at(seconds: u64) -> Timestamp {
    Timestamp::from_nanos(seconds * SECOND)
}

/// An IPv4 fragment of UDP.
fn fragment(identification: u16, offset: u16, more: bool, data: &[u8]) -> Vec<u8> {
    let mut bytes = alloc::vec![0x45, 0, 0, 0, 0, 0, 0, 0, 64, 17, 0, 0, 10, 0, 0, 1, 10, 0, 0, 2];
    let len = u16::try_from(20 + data.len()).unwrap();
    bytes[2..4].copy_from_slice(&len.to_be_bytes());
    bytes[4..6].copy_from_slice(&identification.to_be_bytes());
    let place = (offset / 8) | if more { 0x2000 } else { 0 };
    bytes[6..8].copy_from_slice(&place.to_be_bytes());
    bytes.extend(data);
    bytes
}

/// A first one, with as many bytes.
fn first(identification: u16, len: u16) -> Vec<u8> {
    let mut data = alloc::vec![7; usize::from(len)];
    data[..8].copy_from_slice(&[0, 53, 0, 53, 0x7f, 0xff, 0, 0]);
    fragment(identification, 0, true, &data)
}

fn pass(to: &mut Defragmenter, endpoint: u64, bytes: &[u8], now: Timestamp) -> Arrival {
    let packet = IpPacket::parse(bytes).unwrap();
    let arrival = to.consider(endpoint, &packet, now);
    match &arrival {
        Arrival::Accept(piece) => assert!(to.commit(piece, &packet, now)),
        Arrival::Refuse(_) => assert!(to.refuse(endpoint, &packet, now)),
        _ => {}
    }
    arrival
}

fn is_accepted(arrival: Arrival) -> bool {
    matches!(arrival, Arrival::Accept(_))
}

fn small() -> DefragLimits {
    DefragLimits {
        bytes: 16 << 10,
        bytes_per_endpoint: 8 << 10,
        datagrams: 8,
        datagrams_per_endpoint: 4,
        ..DefragLimits::default()
    }
}

/// Would catch: a cap that is not held, memory or shares that are not given back.
#[test]
fn a_flood_takes_its_share_and_gives_it_back() {
    let mut it = Defragmenter::new(small()).unwrap();
    for round in 0..3 {
        let now = at(round * 100);
        let passed = (0..100).filter(|n| is_accepted(pass(&mut it, 1, &first(*n, 8), now))).count();
        assert_eq!(passed, 4);
        // Its memory is counted apart, so long fragments take it all before there are four datagrams.
        let long = (0..100).filter(|n| is_accepted(pass(&mut it, 2, &first(*n, 2_400), now)));
        assert_eq!(long.count(), 2);
        assert!(it.used() <= it.limits().bytes, "{}", it.used());
        // A third one finds room.
        assert!(is_accepted(pass(&mut it, 3, &first(0, 800), now)));
        assert!(!is_accepted(pass(&mut it, 1, &first(200, 8), now)));
    }
    it.expire(at(10_000));
    assert_eq!((it.used(), it.datagrams()), (0, 0));
}

#[test]
fn what_is_whole_gives_its_memory_back_and_keeps_its_name() {
    let mut it = Defragmenter::new(small()).unwrap();
    let (start, end) = (first(1, 800), fragment(1, 800, false, b"end"));
    assert!(is_accepted(pass(&mut it, 1, &end, at(0))));
    let Arrival::Accept(piece) = pass(&mut it, 1, &start, at(1)) else { panic!() };
    assert!(piece.completes());
    assert_eq!((it.used(), it.datagrams()), (0, 1));
    // A receiver that has lost the end keeps the start for as long.
    assert_eq!(pass(&mut it, 1, &end, at(60)), Arrival::Refuse(Refusal::Over));
    assert_eq!(pass(&mut it, 1, &end, at(119)), Arrival::Refuse(Refusal::Refused));
    assert!(is_accepted(pass(&mut it, 1, &end, at(179))));
}

/// Would catch: a start that is forgotten here before it is forgotten by receivers.
#[test]
fn every_fragment_lets_the_others_be_remembered() {
    let mut it = Defragmenter::new(small()).unwrap();
    assert!(is_accepted(pass(&mut it, 1, &first(1, 800), at(0))));
    assert!(is_accepted(pass(&mut it, 1, &fragment(1, 808, false, b"end"), at(59))));
    let Arrival::Accept(piece) = pass(&mut it, 1, &fragment(1, 800, true, &[0; 8]), at(118)) else {
        panic!()
    };
    assert!(piece.completes());
}

#[test]
fn a_clock_that_is_set_back_does_not_keep_what_is_old() {
    let mut it = Defragmenter::new(small()).unwrap();
    assert!(is_accepted(pass(&mut it, 1, &first(1, 800), at(1_000))));
    it.expire(at(950));
    assert_eq!(it.datagrams(), 1);
    it.expire(at(1));
    assert_eq!(it.datagrams(), 0);
}

#[test]
fn more_fragments_than_anybody_needs_are_refused() {
    let mut it = Defragmenter::new(DefragLimits::default()).unwrap();
    for n in 0..MAX_FRAGMENTS {
        let piece = fragment(1, u16::try_from(n * 16).unwrap(), true, &[0, 53, 0, 53, 0, 9, 0, 0]);
        assert!(is_accepted(pass(&mut it, 1, &piece, at(0))), "{n}");
    }
    let arrival = pass(&mut it, 1, &fragment(1, 8, true, &[0; 8]), at(0));
    assert_eq!(arrival, Arrival::Refuse(Refusal::TooMany));
    assert_eq!(it.used(), 0);
}

#[test]
fn limits_that_cannot_be_meant_are_refused() {
    for limits in [
        DefragLimits { bytes: 0, ..small() },
        DefragLimits { bytes_per_endpoint: 0, ..small() },
        DefragLimits { datagrams: 0, ..small() },
        DefragLimits { datagrams: (1 << 16) + 1, ..small() },
        DefragLimits { datagrams_per_endpoint: 0, ..small() },
    ] {
        assert!(matches!(Defragmenter::new(limits), Err(DefragError::Limit { .. })));
    }
}
