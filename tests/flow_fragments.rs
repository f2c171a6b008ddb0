//! Fragments find the flow of their first.
#![cfg(feature = "alloc")]

use gwlb_geneve::Timestamp;
use gwlb_geneve::flow::*;
use gwlb_geneve::gwlb::EndpointId;
use gwlb_geneve::packet::*;
use proptest::prelude::*;

fn at(seconds: u64) -> Timestamp {
    Timestamp::from_nanos(1_700_000_000_000_000_000 + seconds * 1_000_000_000)
}

fn map(limit: usize) -> FragmentMap {
    FragmentMap::new(limit, FlowSeed::from_bytes([5; 32])).unwrap()
}

fn packet(identification: u16, offset: u16, more: bool, v6: bool, back: bool) -> PacketFlow {
    let udp = [0, 7, 0, 9, 0, 200, 0, 0];
    let data: &[u8] = if offset == 0 { &udp } else { b"12345678" };
    let mut ends = [1_u8, 2];
    if back {
        ends.swap(0, 1);
    }
    let mut bytes = if v6 {
        let mut bytes = vec![0x60, 0, 0, 0, 0, 16, 44, 64];
        for end in ends {
            bytes.extend([0x20, 1, 0xd, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, end]);
        }
        let [a, b] = (offset << 3 | u16::from(more)).to_be_bytes();
        let [c, d] = identification.to_be_bytes();
        bytes.extend([17, 0, a, b, 0, 0, c, d]);
        bytes
    } else {
        let [a, b] = (offset | u16::from(more) << 13).to_be_bytes();
        let [c, d] = identification.to_be_bytes();
        vec![0x45, 0, 0, 28, c, d, a, b, 64, 17, 0, 0, 10, 0, 0, ends[0], 10, 0, 0, ends[1]]
    };
    bytes.extend_from_slice(data);
    PacketFlow::of(EndpointId(1), &IpPacket::parse(&bytes).unwrap()).unwrap()
}

fn first(identification: u16) -> PacketFlow {
    packet(identification, 0, true, false, false)
}

fn later(identification: u16) -> PacketFlow {
    packet(identification, 1, false, false, false)
}

#[test]
fn later_fragments_follow_their_first() {
    for v6 in [false, true] {
        let mut map = map(10);
        let first = packet(7, 0, true, v6, true);
        let later = packet(7, 1, true, v6, true);
        assert_eq!(map.resolve(later, at(0)), Resolved::Unknown(later));
        assert_eq!(map.resolve(first, at(0)), Resolved::Flow(first));
        let Resolved::Flow(found) = map.resolve(later, at(59)) else { panic!() };
        assert_eq!((found.key, found.direction), (first.key, first.direction));
        assert!(found.key.five_tuple(Direction::Forward).ports.is_some());
        for other in [packet(8, 1, true, v6, true), packet(7, 1, true, v6, false)] {
            assert_eq!(map.resolve(other, at(59)), Resolved::Unknown(other));
        }
        assert_eq!(map.resolve(later, at(60)), Resolved::Unknown(later), "60 seconds are over");
    }
}

#[test]
fn endpoints_are_apart() {
    let mut map = map(10);
    map.resolve(first(7), at(0));
    let Part::Later(mut name) = later(7).part else { panic!() };
    name.endpoint = EndpointId(2);
    let other = PacketFlow { part: Part::Later(name), ..later(7) };
    assert_eq!(map.resolve(other, at(0)), Resolved::Unknown(other));
}

#[test]
fn an_error_about_a_fragment_goes_against_it() {
    let mut map = map(10);
    let error = PacketFlow { relation: Relation::IcmpError, ..first(7) };
    assert_eq!(map.resolve(error, at(0)), Resolved::Flow(error));
    assert_eq!(map.resolve(later(7), at(0)), Resolved::Unknown(later(7)), "errors teach nothing");
    map.resolve(first(7), at(0));
    let error = PacketFlow { relation: Relation::IcmpError, ..later(7) };
    let Resolved::Flow(found) = map.resolve(error, at(0)) else { panic!() };
    assert_eq!((found.key, found.direction), (first(7).key, first(7).direction.reversed()));
}

#[test]
fn what_was_refused_stays_refused() {
    let mut map = map(10);
    let Part::First(name) = first(7).part else { panic!() };
    map.resolve(first(7), at(0));
    map.poison(&name, at(30));
    for packet in [first(7), later(7)] {
        assert_eq!(map.resolve(packet, at(89)), Resolved::Poisoned);
    }
    assert_eq!(map.resolve(first(7), at(90)), Resolved::Flow(first(7)));
    assert_eq!(map.counters().poisoned, 1);
}

/// The same packet of another endpoint.
fn of(endpoint: u64, flow: PacketFlow) -> PacketFlow {
    let named = |mut name: FragmentKey| {
        name.endpoint = EndpointId(endpoint);
        name
    };
    let part = match flow.part {
        Part::Whole => Part::Whole,
        Part::First(name) => Part::First(named(name)),
        Part::Later(name) => Part::Later(named(name)),
    };
    PacketFlow { part, ..flow }
}

fn name(flow: PacketFlow) -> FragmentKey {
    match flow.part {
        Part::First(name) | Part::Later(name) => name,
        Part::Whole => panic!("{flow:?} is whole"),
    }
}

#[test]
fn a_flood_displaces_nothing_and_takes_no_memory() {
    let mut map = map(100);
    for n in 0..100 {
        assert_eq!(map.resolve(first(n), at(0)), Resolved::Flow(first(n)));
    }
    assert!(map.poison(&name(first(0)), at(59)));
    for n in 100..60_000 {
        assert_eq!(map.resolve(first(n), at(59)), Resolved::NoRoom(first(n)));
        assert_eq!(map.resolve(later(n), at(59)), Resolved::Unknown(later(n)));
        assert!(!map.poison(&name(later(n)), at(59)));
    }
    assert_eq!(map.counters().no_room, 2 * 59_900);
    assert_eq!((map.counters().first, map.counters().poisoned), (100, 1));
    for n in 1..100 {
        assert!(matches!(map.resolve(later(n), at(59)), Resolved::Flow(_)), "{n}");
    }
    // In the middle of the flood each of them can still be refused, and is until its time is over.
    for n in 1..100 {
        assert!(map.poison(&name(later(n)), at(59)));
    }
    for n in 0..100 {
        assert_eq!(map.resolve(first(n), at(118)), Resolved::Poisoned);
    }
    for n in 0..100 {
        assert_eq!(map.resolve(first(n), at(119)), Resolved::Flow(first(n)));
    }
    assert!(FragmentMap::bytes(100) < 100 * 200 + 4_096, "{}", FragmentMap::bytes(100));
}

#[test]
fn room_does_not_run_out_where_the_same_comes_again() {
    let mut map = map(2);
    map.resolve(first(1), at(0));
    for n in 0..10_000 {
        assert_eq!(map.resolve(first(2), at(n / 1_000)), Resolved::Flow(first(2)));
    }
    assert_eq!(map.resolve(first(3), at(59)), Resolved::NoRoom(first(3)));
    assert_eq!(map.resolve(first(3), at(60)), Resolved::Flow(first(3)), "the place of the first");
}

#[test]
fn an_endpoint_has_its_share_and_no_more() {
    let seed = FlowSeed::from_bytes([5; 32]);
    let mut map = FragmentMap::with_quota(10, 4, seed).unwrap();
    for n in 0..100 {
        let expected = if n < 4 { Resolved::Flow } else { Resolved::NoRoom };
        let packet = of(1, first(n));
        assert_eq!(map.resolve(packet, at(0)), expected(packet));
    }
    assert!(!map.poison(&name(of(1, first(9))), at(0)));
    assert!(map.poison(&name(of(1, first(2))), at(0)), "what is known can be refused");
    for n in 0..4 {
        let packet = of(2, first(n));
        assert_eq!(map.resolve(packet, at(30)), Resolved::Flow(packet));
    }
    // Of a third there is room for two, until the first one's are over.
    for (n, seconds, is_room) in [(0, 30, true), (1, 30, true), (2, 30, false), (2, 60, true)] {
        let expected = if is_room { Resolved::Flow } else { Resolved::NoRoom };
        let packet = of(3, first(n));
        assert_eq!(map.resolve(packet, at(seconds)), expected(packet));
    }
    assert!(matches!(map.resolve(of(1, first(50)), at(60)), Resolved::Flow(_)));
}

#[test]
fn limits_that_make_no_sense_are_refused() {
    let seed = FlowSeed::from_bytes([0; 32]);
    for (limit, per_endpoint) in [(0, 0), (1 << 25, 1), (10, 0), (10, 11)] {
        let error = FragmentMap::with_quota(limit, per_endpoint, seed.clone()).unwrap_err();
        assert!(error.to_string().starts_with("fragment map: expected"), "{error}");
    }
}

/// What the map should know of a datagram.
struct Known {
    endpoint: u64,
    id: u16,
    since: u64,
    is_refused: bool,
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1_000))]

    /// Against a list that is searched from end to end.
    #[test]
    fn the_map_does_what_a_list_does(
        limit in 1..8_usize,
        share in 1..8_usize,
        steps in prop::collection::vec(
            (0..4_u16, 1..4_u64, 0..4_u8, prop_oneof![3 => 0..5_u64, 1 => 0..70_u64]),
            1..150,
        ),
    ) {
        let share = share.min(limit);
        let seed = FlowSeed::from_bytes([5; 32]);
        let mut map = FragmentMap::with_quota(limit, share, seed).unwrap();
        let mut model: Vec<Known> = Vec::new();
        let mut now = 0;
        for (id, endpoint, what, time) in steps {
            now += time;
            model.retain(|known| now - known.since < 60);
            let of_endpoint = model.iter().filter(|known| known.endpoint == endpoint).count();
            let is_room = model.len() < limit && of_endpoint < share;
            let known = model.iter_mut().find(|known| (known.endpoint, known.id) == (endpoint, id));
            let new = |is_refused| Known { endpoint, id, since: now, is_refused };
            let (first, later) = (of(endpoint, first(id)), of(endpoint, later(id)));
            match (what, known) {
                (0, Some(known)) => {
                    prop_assert!(map.poison(&name(first), at(now)));
                    *known = new(true);
                }
                (0, None) => {
                    prop_assert_eq!(map.poison(&name(first), at(now)), is_room);
                    model.extend(is_room.then(|| new(true)));
                }
                (1, Some(known)) if known.is_refused => {
                    prop_assert_eq!(map.resolve(first, at(now)), Resolved::Poisoned);
                }
                (1, Some(known)) => {
                    prop_assert_eq!(map.resolve(first, at(now)), Resolved::Flow(first));
                    *known = new(false);
                }
                (1, None) => {
                    let expected = if is_room { Resolved::Flow } else { Resolved::NoRoom };
                    prop_assert_eq!(map.resolve(first, at(now)), expected(first));
                    model.extend(is_room.then(|| new(false)));
                }
                (_, Some(Known { is_refused: true, .. })) => {
                    prop_assert_eq!(map.resolve(later, at(now)), Resolved::Poisoned);
                }
                (_, Some(_)) => {
                    let Resolved::Flow(found) = map.resolve(later, at(now)) else { panic!("{later:?}") };
                    prop_assert_eq!((found.key, found.direction), (first.key, first.direction));
                }
                (_, None) => {
                    prop_assert_eq!(map.resolve(later, at(now)), Resolved::Unknown(later));
                }
            }
        }
    }
}
