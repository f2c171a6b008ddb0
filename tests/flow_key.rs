//! Keys of flows: which packets belong together.

mod support;

use std::net::{IpAddr, Ipv4Addr};

use gwlb_geneve::flow::*;
use gwlb_geneve::gwlb::EndpointId;
use gwlb_geneve::packet::*;
use proptest::prelude::*;
use support::sample;

const ENDPOINT: EndpointId = EndpointId(7);

fn of(bytes: &[u8]) -> PacketFlow {
    PacketFlow::of(ENDPOINT, &IpPacket::parse(bytes).unwrap()).unwrap()
}

/// The same packet on its way back: addresses and, in TCP and UDP, ports swapped.
fn answer(bytes: &[u8]) -> Vec<u8> {
    let mut back = bytes.to_vec();
    let (addresses, len, ports) = if bytes[0] >> 4 == 4 { (12, 4, 20) } else { (8, 16, 40) };
    let (source, destination) = back[addresses..addresses + 2 * len].split_at_mut(len);
    source.swap_with_slice(destination);
    if matches!(bytes[if len == 4 { 9 } else { 6 }], 6 | 17) {
        let (source, destination) = back[ports..ports + 4].split_at_mut(2);
        source.swap_with_slice(destination);
    }
    back
}

fn echo(message_type: u8, identifier: u16) -> [u8; 8] {
    let [a, b] = identifier.to_be_bytes();
    [message_type, 0, 0, 0, a, b, 0, 1]
}

/// An ICMP error around the first bytes of a packet, back to its sender from a router.
fn error_v4(quoted: &[u8]) -> Vec<u8> {
    let mut bytes = sample::ipv4(1, &[&[3, 4, 0, 0, 0, 0, 5, 0], quoted].concat());
    bytes[12..16].copy_from_slice(&[192, 0, 2, 254]);
    bytes[16..20].copy_from_slice(&quoted[12..16]);
    bytes
}

fn tuple_v4() -> impl Strategy<Value = FiveTuple> {
    // Few addresses and ports, so that ends are often equal in one of the two.
    (0..3_u32, 0..3_u32, prop_oneof![Just(6_u8), Just(17), Just(47)], 0..3_u16, 0..3_u16).prop_map(
        |(a, b, protocol, from, to)| FiveTuple {
            addresses: Addresses::V4 { source: a.into(), destination: b.into() },
            protocol: IpProtocol(protocol),
            ports: (protocol != 47).then_some(Ports { source: from, destination: to }),
        },
    )
}

fn tuple() -> impl Strategy<Value = FiveTuple> {
    let v6 = |address: IpAddr, other: u64| match address {
        IpAddr::V4(address) => (u128::from(u32::from(address)) << 64 | u128::from(other)).into(),
        IpAddr::V6(address) => address,
    };
    (tuple_v4(), any::<Option<(bool, bool)>>()).prop_map(move |(tuple, lower)| match lower {
        None => tuple,
        Some((a, b)) => FiveTuple {
            addresses: Addresses::V6 {
                source: v6(tuple.source(), a.into()),
                destination: v6(tuple.destination(), b.into()),
            },
            ..tuple
        },
    })
}

#[test]
fn a_key_has_48_bytes() {
    assert_eq!(size_of::<FlowKey>(), 48);
    assert_eq!(size_of::<Option<Direction>>(), 1);
}

#[test]
fn both_directions_are_one_flow() {
    for there in [
        sample::ipv4(6, &sample::tcp(b"x")),
        sample::ipv4(17, &sample::udp(b"x")),
        sample::ipv6(6, &sample::tcp(b"x")),
        sample::ipv6(17, &sample::udp(b"x")),
        sample::ipv4(47, b"gre"),
    ] {
        let (there, back) = (of(&there), of(&answer(&there)));
        assert_eq!(there.key, back.key);
        assert_eq!(there.direction, back.direction.reversed());
        assert_eq!((there.relation, there.part), (Relation::Own, Part::Whole));
    }
}

#[test]
fn endpoints_with_the_same_addresses_are_apart() {
    let bytes = sample::ipv4(6, &sample::tcp(b""));
    let packet = IpPacket::parse(&bytes).unwrap();
    let [one, other] = [1, 2].map(|n| PacketFlow::of(EndpointId(n), &packet).unwrap());
    assert_ne!(one.key, other.key);
    assert_eq!(one.direction, other.direction);
}

#[test]
fn an_ipv4_address_is_not_its_ipv6_number() {
    let v4 = FiveTuple {
        addresses: Addresses::V4 { source: 0.into(), destination: 0.into() },
        protocol: IpProtocol::TCP,
        ports: Some(Ports { source: 1, destination: 2 }),
    };
    let v6 =
        FiveTuple { addresses: Addresses::V6 { source: 0.into(), destination: 0.into() }, ..v4 };
    let bare = FiveTuple { ports: None, ..v4 };
    let zero = FiveTuple { ports: Some(Ports { source: 0, destination: 0 }), ..v4 };
    let keys = [v4, v6, bare, zero].map(|tuple| FlowKey::new(ENDPOINT, &tuple).0);
    for (n, key) in keys.iter().enumerate() {
        assert!(!keys[..n].contains(key), "{key}");
    }
}

#[test]
fn echo_flows_have_their_identifier() {
    for (protocol, request, reply, wrap) in [
        (IpProtocol::ICMP, 8, 0, sample::ipv4 as fn(u8, &[u8]) -> Vec<u8>),
        (IpProtocol::ICMPV6, 128, 129, sample::ipv6),
    ] {
        let there = of(&wrap(protocol.0, &echo(request, 77)));
        let back = of(&answer(&wrap(protocol.0, &echo(reply, 77))));
        assert_eq!(there.key, back.key);
        assert_ne!(there.direction, back.direction);
        assert_eq!(there.key.echo_identifier(), Some(77));
        assert_eq!(there.key.five_tuple(there.direction).ports, None);
        assert_ne!(of(&wrap(protocol.0, &echo(request, 78))).key, there.key);
        let timestamp = of(&wrap(protocol.0, &[13_u8 | request & 0x80, 0, 0, 0, 0, 77, 0, 0]));
        assert_eq!(timestamp.key.echo_identifier(), None);
        assert_ne!(timestamp.key, there.key);
    }
}

#[test]
fn an_icmp_error_belongs_to_the_flow_that_it_quotes() {
    for quoted in [
        sample::ipv4(6, &sample::tcp(b"")),
        sample::ipv4(17, &sample::udp(b"")),
        sample::ipv4(1, &echo(8, 9)),
        sample::ipv4(47, b"12345678"),
    ] {
        let about = of(&quoted);
        // Cut to what RFC 792 asks for.
        let error = of(&error_v4(&quoted[..28]));
        assert_eq!(error.key, about.key);
        assert_eq!(
            error.direction,
            about.direction.reversed(),
            "sent to the quoted packet's sender"
        );
        assert_eq!(error.relation, Relation::IcmpError);
    }
    let quoted = sample::ipv6(6, &sample::tcp(b""));
    let mut error = sample::ipv6(58, &[&[2, 0, 0, 0, 0, 0, 5, 0], &quoted[..]].concat());
    let elsewhere = of(&error);
    error.copy_within(48 + 8..48 + 24, 24);
    let (error, about) = (of(&error), of(&quoted));
    assert_eq!((error.key, error.direction), (about.key, about.direction.reversed()));
    assert_eq!(elsewhere.relation, Relation::Own, "it does not go to the quoted packet's sender");
    assert_ne!(elsewhere.key, about.key);
}

#[test]
fn an_icmp_error_that_quotes_nothing_is_a_flow_of_its_own_addresses() {
    let mut error = error_v4(&sample::ipv4(6, &sample::tcp(b"")));
    error[28] = 0x15; // the quoted version
    let found = of(&error);
    assert_eq!(found.relation, Relation::Own);
    assert_eq!(found.key.protocol(), IpProtocol::ICMP);
    assert_eq!(found.key.five_tuple(found.direction).source(), Ipv4Addr::new(192, 0, 2, 254));
}

#[test]
fn fragments_name_their_datagram() {
    let mut first = sample::ipv4(17, &sample::udp(&[0; 8]));
    first[6] = 0x20; // more fragments
    let mut later = sample::ipv4(17, b"the rest");
    (later[6], later[7]) = (0, 2);
    let (Part::First(a), Part::Later(b)) = (of(&first).part, of(&later).part) else {
        panic!("{:?} {:?}", of(&first), of(&later));
    };
    assert_eq!(a, b);
    assert_eq!(of(&later).key.five_tuple(Direction::Forward).ports, None);

    let fragment = |next: u8, offset: u16, data: &[u8]| {
        let [a, b] = offset.to_be_bytes();
        sample::ipv6(44, &[&[next, 0, a, b, 1, 2, 3, 4][..], data].concat())
    };
    let first = of(&fragment(17, 1, &sample::udp(&[0; 8])));
    let later = of(&fragment(60, 16, b"12345678"));
    let (Part::First(a), Part::Later(b)) = (first.part, later.part) else { panic!() };
    assert_eq!(a, b, "the protocol of a later fragment may be another (RFC 8200)");
    let atomic = of(&fragment(17, 0, &sample::udp(b"")));
    assert_eq!(atomic.part, Part::Whole);
}

#[test]
fn keys_are_readable() {
    let key = of(&sample::ipv6(6, &sample::tcp(b""))).key;
    assert_eq!(key.to_string(), "vpce-00000007 TCP [2001:db8::1]:40000 <-> [2001:db8::2]:443");
    let key = of(&sample::ipv4(1, &echo(8, 9))).key;
    assert_eq!(format!("{key:?}"), "FlowKey(vpce-00000007 ICMP 10.1.2.3 <-> 10.9.8.7 id 9)");
}

proptest! {
    /// Against the plain definition: an endpoint and a set of two ends.
    #[test]
    fn keys_are_equal_just_where_the_flows_are(
        a in tuple(), b in tuple(), endpoint in 0..2_u64, other in 0..2_u64,
    ) {
        let ends = |tuple: &FiveTuple| {
            let ports = tuple.ports.map(|ports| (ports.source, ports.destination));
            let mut ends = [
                (tuple.source(), ports.map(|ports| ports.0)),
                (tuple.destination(), ports.map(|ports| ports.1)),
            ];
            ends.sort();
            (tuple.protocol, ends)
        };
        let keys = (FlowKey::new(EndpointId(endpoint), &a).0, FlowKey::new(EndpointId(other), &b).0);
        prop_assert_eq!(keys.0 == keys.1, (endpoint, ends(&a)) == (other, ends(&b)));
    }

    #[test]
    fn a_key_gives_its_packets_back(tuple in tuple(), endpoint: u64) {
        let (key, direction) = FlowKey::new(EndpointId(endpoint), &tuple);
        prop_assert_eq!(key.five_tuple(direction), tuple);
        prop_assert_eq!(key.five_tuple(direction.reversed()), tuple.reversed());
        prop_assert_eq!(key.endpoint(), EndpointId(endpoint));
        prop_assert_eq!(key.protocol(), tuple.protocol);
        let (back, other) = FlowKey::new(EndpointId(endpoint), &tuple.reversed());
        prop_assert_eq!(back, key);
        // Only a packet from an end to itself goes the same way in both directions.
        prop_assert_eq!(other == direction, tuple == tuple.reversed());
    }

    /// The fast way and the whole one agree.
    #[test]
    fn five_tuples_and_packets_agree(data in proptest::collection::vec(any::<u8>(), 0..40), v6: bool, udp: bool) {
        let transport = if udp { sample::udp(&data) } else { sample::tcp(&data) };
        let protocol = if udp { 17 } else { 6 };
        let bytes = if v6 { sample::ipv6(protocol, &transport) } else { sample::ipv4(protocol, &transport) };
        prop_assert_eq!(PacketFlow::own(ENDPOINT, &FiveTuple::parse(&bytes).unwrap()), of(&bytes));
    }

    #[test]
    fn no_packet_panics(bytes in proptest::collection::vec(any::<u8>(), 0..120), first in prop_oneof![Just(0x45_u8), Just(0x60)], protocol in prop_oneof![Just(1_u8), Just(58), Just(44)]) {
        let mut bytes = bytes;
        if let Some(byte) = bytes.first_mut() { *byte = first; }
        if let Some(byte) = bytes.get_mut(if first == 0x45 { 9 } else { 6 }) { *byte = protocol; }
        if first == 0x60 && bytes.len() >= 40 {
            let [a, b] = (bytes.len() as u16 - 40).to_be_bytes();
            (bytes[4], bytes[5]) = (a, b);
        } else if bytes.len() >= 20 {
            let [a, b] = (bytes.len() as u16).to_be_bytes();
            (bytes[2], bytes[3]) = (a, b);
        }
        if let Ok(packet) = IpPacket::parse(&bytes) {
            let _ = PacketFlow::of(ENDPOINT, &packet);
        }
    }
}

proptest! {
    #[test]
    fn the_short_way_to_a_key_is_the_long_way(bytes in support::generate::inner()) {
        let long = IpPacket::parse(&bytes).and_then(|packet| PacketFlow::of(ENDPOINT, &packet));
        let short = FlowKey::parse(ENDPOINT, &bytes);
        match (short, long) {
            (Ok((key, direction)), Ok(flow)) => {
                prop_assert_eq!((key, direction), (flow.key, flow.direction));
            }
            (Err(short), Err(long)) => prop_assert_eq!(short, long),
            (short, long) => prop_assert!(false, "{short:?}, {long:?}"),
        }
    }

    /// Both ends alike but for their ports, or not even that, and addresses that differ late.
    #[test]
    fn the_short_way_orders_ends_as_the_long_way_does(
        v6: bool, tcp: bool, low in 0..3_u8, high in 0..3_u8, ports in any::<[bool; 2]>(),
    ) {
        let protocol = if tcp { 6 } else { 17 };
        let mut upper = if tcp { sample::tcp(b"") } else { sample::udp(&[0; 12]) };
        upper[..4].copy_from_slice(&[0, ports[0].into(), 0, ports[1].into()]);
        let mut bytes = if v6 { sample::ipv6(protocol, &upper) } else { sample::ipv4(protocol, &upper) };
        let (source, destination) = if v6 { (8..24, 24..40) } else { (12..16, 16..20) };
        bytes[source.clone()].fill(9);
        bytes[destination.clone()].fill(9);
        bytes[source.start + 1] = low;
        bytes[destination.start + 1] = high;
        bytes[destination.end - 1] = 8 + low;
        let flow = of(&bytes);
        prop_assert_eq!(FlowKey::parse(ENDPOINT, &bytes).unwrap(), (flow.key, flow.direction));
    }
}
