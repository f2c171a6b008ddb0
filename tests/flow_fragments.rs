//! Fragments find the flow of their first.
#![cfg(feature = "alloc")]

use std::collections::VecDeque;

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

#[test]
fn a_flood_displaces_the_oldest_and_takes_no_memory() {
    let mut map = map(100);
    for n in 0..60_000 {
        map.resolve(first(n), at(0));
    }
    assert_eq!(map.resolve(later(59_899), at(0)), Resolved::Unknown(later(59_899)));
    assert!(matches!(map.resolve(later(59_900), at(0)), Resolved::Flow(_)));
    assert_eq!(map.counters().displaced, 59_900);
    assert!(FragmentMap::bytes(100) < 100 * 160 + 4_096, "{}", FragmentMap::bytes(100));
    assert!(FragmentMap::new(0, FlowSeed::from_bytes([0; 32])).is_err());
}

proptest! {
    /// Against a list of what was remembered, in order.
    #[test]
    fn the_map_does_what_a_list_does(
        limit in 1..8_usize,
        steps in prop::collection::vec((0..6_u16, 0..4_u8, prop_oneof![3 => 0..5_u64, 1 => 0..70_u64]), 1..150),
    ) {
        let mut map = map(limit);
        // Places in order of age; one that was overtaken by a newer of the same name is empty.
        let mut model: VecDeque<(u64, Option<(u16, bool)>)> = VecDeque::new();
        let mut now = 0;
        for (id, what, time) in steps {
            now += time;
            while model.front().is_some_and(|(since, entry)| entry.is_none() || now - since >= 60) {
                model.pop_front();
            }
            let known = model.iter().find_map(|(_, entry)| entry.filter(|entry| entry.0 == id));
            let mut remember = |poisoned| {
                for (_, entry) in &mut model {
                    if entry.is_some_and(|entry| entry.0 == id) {
                        *entry = None;
                    }
                }
                if model.len() == limit {
                    model.pop_front();
                }
                model.push_back((now, Some((id, poisoned))));
            };
            match what {
                0 => {
                    let Part::First(name) = first(id).part else { panic!() };
                    map.poison(&name, at(now));
                    remember(true);
                }
                1 => {
                    let found = map.resolve(first(id), at(now));
                    if known.is_some_and(|(_, poisoned)| poisoned) {
                        prop_assert_eq!(found, Resolved::Poisoned);
                    } else {
                        prop_assert_eq!(found, Resolved::Flow(first(id)));
                        remember(false);
                    }
                }
                _ => match (map.resolve(later(id), at(now)), known) {
                    (Resolved::Flow(found), Some((_, false))) => prop_assert_eq!(found.key, first(id).key),
                    (Resolved::Poisoned, Some((_, true))) | (Resolved::Unknown(_), None) => {}
                    (found, known) => prop_assert!(false, "{:?} where {:?}", found, known),
                },
            }
        }
    }
}
