//! Crafted packets against the RFCs' rules and a reader of their own.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use proptest::collection::vec;
use proptest::prelude::*;

use super::*;
use crate::packet::tests::build;
use crate::packet::{
    Addresses, ChecksumStatus, IcmpMessage, IpPacket, IpProtocol, Ports, TcpFlags, Transport,
};

const SYN: u8 = 0x02;
const FIN: u8 = 0x01;
const RST: u8 = 0x04;
const ACK: u8 = 0x10;

fn tcp(flags: u8, sequence: u32, acknowledgment: u32, data: &[u8]) -> Vec<u8> {
    let mut segment = build::tcp(&[1, 1, 1, 0], data);
    segment[4..8].copy_from_slice(&sequence.to_be_bytes());
    segment[8..12].copy_from_slice(&acknowledgment.to_be_bytes());
    segment[13] = flags;
    segment
}

fn both(protocol: u8, upper: &[u8]) -> [Vec<u8>; 2] {
    [build::ipv4(protocol, &[], upper), build::ipv6(protocol, upper)]
}

fn parse(bytes: &[u8]) -> IpPacket<'_> {
    IpPacket::parse(bytes).unwrap()
}

fn written(reset: &Reset) -> Vec<u8> {
    let mut buffer = [0xee; 80];
    let length = reset.write_to(&mut buffer).unwrap();
    assert_eq!(length, reset.len());
    assert!(buffer[length..].iter().all(|&byte| byte == 0xee));
    buffer[..length].to_vec()
}

fn told(error: &Prohibited<'_>) -> Vec<u8> {
    let mut buffer = [0xee; 1300];
    let length = error.write_to(&mut buffer).unwrap();
    assert_eq!(length, error.len());
    assert!(buffer[length..].iter().all(|&byte| byte == 0xee));
    buffer[..length].to_vec()
}

fn icmp(message: &[u8]) -> [Vec<u8>; 2] {
    [build::ipv4(1, &[], message), build::ipv6(58, message)]
}

#[test]
fn a_reset_byte_by_byte() {
    let bytes = build::ipv4(6, &[], &tcp(ACK, 1000, 0x0102_0304, b"data"));
    let reset = Reset::to_sender(&parse(&bytes)).unwrap();
    #[rustfmt::skip]
    let expected = [
        0x45, 0, 0, 40, 0, 0, 0x40, 0, 64, 6, 0x4e, 0x99, 198, 51, 100, 2, 192, 0, 2, 1,
        0x01, 0xbb, 0x12, 0x34, 1, 2, 3, 4, 0, 0, 0, 0, 0x50, RST, 0, 0, 0xab, 0xb4, 0, 0,
    ];
    assert_eq!(written(&reset), expected);
    let bytes = build::ipv6(6, &tcp(ACK, 1000, 0x0102_0304, b"data"));
    let reset = written(&Reset::to_sender(&parse(&bytes)).unwrap());
    assert_eq!(reset[..8], [0x60, 0, 0, 0, 0, 20, 6, 64]);
    assert_eq!((&reset[8..24], &reset[24..40]), (&bytes[24..40], &bytes[8..24]));
    assert_eq!((&reset[40..56], &reset[58..]), (&expected[20..36], &[0, 0][..]));
}

#[test]
fn the_sender_gets_what_a_closed_port_answers() {
    for (flags, data, sequence, acknowledgment) in [
        (ACK, &b"data"[..], 77, None),
        (SYN | ACK, b"", 77, None),
        (SYN, b"", 0, Some(0)),
        (SYN, b"data", 0, Some(4)),
        (SYN | FIN, b"data", 0, Some(5)),
        (FIN, b"", 0, Some(0)),
        (0, b"", 0, Some(u32::MAX)),
    ] {
        for bytes in both(6, &tcp(flags, u32::MAX, 77, data)) {
            let packet = parse(&bytes);
            let reset = Reset::to_sender(&packet).unwrap();
            assert_eq!(reset.sequence_number, sequence, "{flags:#x}");
            assert_eq!(reset.acknowledgment_number, acknowledgment, "{flags:#x}");
            assert_eq!(reset.addresses, packet.addresses().reversed());
            assert_eq!(reset.ports, Ports { source: 443, destination: 0x1234 });
        }
    }
}

#[test]
fn the_receiver_gets_the_next_byte_in_order() {
    for bytes in both(6, &tcp(ACK, 1000, 77, b"data")) {
        let packet = parse(&bytes);
        let reset = Reset::to_receiver(&packet, 990).unwrap();
        assert_eq!((reset.sequence_number, reset.acknowledgment_number), (990, None));
        assert_eq!(reset.addresses, packet.addresses());
        assert_eq!(reset.ports, Ports { source: 0x1234, destination: 443 });
    }
    for bytes in both(6, &tcp(SYN | ACK, 1000, 77, b"")) {
        let reset = Reset::to_receiver(&parse(&bytes), 1000).unwrap();
        assert_eq!((reset.sequence_number, reset.acknowledgment_number), (1000, Some(77)));
    }
    for bytes in both(6, &tcp(SYN, 1000, 0, b"")) {
        assert_eq!(Reset::to_receiver(&parse(&bytes), 1000), None);
    }
}

#[test]
fn some_segments_are_not_answered() {
    let good = build::ipv4(6, &[], &tcp(ACK, 1, 2, b"12345678"));
    assert!(Reset::to_sender(&parse(&good)).is_some());
    let with = |range: core::ops::Range<usize>, octets: [u8; 4]| {
        let mut bytes = good.clone();
        bytes[range].copy_from_slice(&octets);
        bytes
    };
    let mut multicast = build::ipv6(6, &tcp(ACK, 1, 2, b""));
    multicast[24] = 0xff;
    let mut refused = vec![
        build::ipv4_fragment(good.clone(), 64, false),
        build::ipv4(17, &[], &build::udp(b"")),
        build::ipv4(6, &[], &[0; 12]),
        with(12..16, [224, 0, 0, 1]),
        with(12..16, [0, 0, 0, 0]),
        with(16..20, [255, 255, 255, 255]),
        multicast,
    ];
    for flags in [RST, RST | ACK, RST | SYN] {
        refused.extend(both(6, &tcp(flags, 1, 2, b"")));
    }
    for bytes in refused {
        assert_eq!(Reset::to_sender(&parse(&bytes)), None, "{bytes:x?}");
        assert_eq!(Reset::to_receiver(&parse(&bytes), 1), None, "{bytes:x?}");
    }
}

#[test]
fn a_short_buffer_is_refused_and_left_alone() {
    let bytes = build::ipv6(6, &tcp(ACK, 1, 2, b""));
    let mut buffer = [7; 59];
    let error = Err(CraftError::NoRoom { expected: 60, found: 59 });
    assert_eq!(Reset::to_sender(&parse(&bytes)).unwrap().write_to(&mut buffer), error);
    let expected = 40 + 8 + bytes.len();
    let error = Err(CraftError::NoRoom { expected, found: 59 });
    assert_eq!(Prohibited::about(&parse(&bytes)).unwrap().write_to(&mut buffer), error);
    assert_eq!(buffer, [7; 59]);
}

#[test]
fn an_error_quotes_as_much_as_it_may() {
    for (data, v4, v6) in [(0, 56, 96), (520, 576, 616), (521, 576, 617), (1500, 576, 1280)] {
        for (mut bytes, expected) in
            both(17, &build::udp(&vec![0x5a; data])).into_iter().zip([v4, v6])
        {
            bytes.extend([0xee; 9]);
            let packet = parse(&bytes);
            let error = told(&Prohibited::about(&packet).unwrap());
            assert_eq!(error.len(), expected);
            let answer = parse(&error);
            assert_eq!(answer.addresses(), packet.addresses().reversed());
            assert_eq!(answer.verify_transport_checksum(), ChecksumStatus::Valid);
            let Ok(Transport::Icmp(message) | Transport::Icmpv6(message)) = answer.transport()
            else {
                panic!("no ICMP")
            };
            let kind = (message.message_type(), message.code(), message.rest_of_header());
            let is_ipv4 = matches!(packet, IpPacket::V4(_));
            assert_eq!(kind, (if is_ipv4 { (3, 13, [0; 4]) } else { (1, 1, [0; 4]) }));
            assert_eq!(message.body(), &packet.bytes()[..message.body().len()]);
            let quoted = message.quoted().unwrap().unwrap();
            assert_eq!(quoted.five_tuple(), packet.five_tuple());
        }
    }
}

#[test]
fn errors_are_sent_about_nothing_that_may_be_one() {
    let refused = |bytes: &[u8]| Prohibited::about(&parse(bytes)).is_none();
    let message = |kind| [kind, 0, 0, 0, 0, 0, 0, 0];
    for (kind, v4, v6) in
        [(0, false, true), (3, true, true), (5, true, true), (8, false, true), (11, true, true)]
    {
        let [four, six] = icmp(&message(kind));
        assert_eq!((refused(&four), refused(&six)), (v4, v6), "{kind}");
    }
    for (kind, is_refused) in [(127, true), (128, false), (129, false), (137, true)] {
        assert_eq!(refused(&build::ipv6(58, &message(kind))), is_refused, "{kind}");
    }
    let [four, six] = icmp(&[8, 0, 0]);
    assert!(refused(&four) && refused(&six), "cut off");
    let udp = build::udp(b"12345678");
    assert!(refused(&build::ipv4_fragment(build::ipv4(17, &[], &udp), 8, false)));
    assert!(!refused(&build::ipv4_fragment(build::ipv4(17, &[], &udp), 0, true)));
    let later = [&build::fragment_header(17, 8, false)[..], &udp].concat();
    assert!(refused(&build::ipv6(44, &later)));
    assert!(!refused(&build::ipv4(6, &[], &[0; 8])), "a broken segment is no error");
}

#[test]
fn errors_go_to_single_hosts_about_single_hosts() {
    let v4 = |at: usize, octets: [u8; 4]| {
        let mut bytes = build::ipv4(17, &[], &build::udp(b""));
        bytes[at..at + 4].copy_from_slice(&octets);
        Prohibited::about(&parse(&bytes)).is_some()
    };
    let [source, destination] = [12, 16];
    for octets in
        [[0, 0, 0, 0], [0, 1, 2, 3], [127, 0, 0, 1], [224, 0, 0, 5], [240, 0, 0, 1], [255; 4]]
    {
        assert!(!v4(source, octets), "{octets:?}");
    }
    assert!(v4(source, [223, 255, 255, 254]) && v4(source, [1, 0, 0, 1]));
    for octets in [[0; 4], [239, 1, 1, 1], [255; 4]] {
        assert!(!v4(destination, octets), "{octets:?}");
    }
    let v6 = |at: usize, address: &str| {
        let mut bytes = build::ipv6(17, &build::udp(b""));
        bytes[at..at + 16].copy_from_slice(&address.parse::<Ipv6Addr>().unwrap().octets());
        Prohibited::about(&parse(&bytes)).is_some()
    };
    for (at, address, is_told) in [
        (8, "::", false),
        (8, "::1", false),
        (8, "ff02::1", false),
        (8, "fe80::1", true),
        (24, "ff02::1", false),
        (24, "2001:db8::7", true),
    ] {
        assert_eq!(v6(at, address), is_told, "{at} {address}");
    }
}

#[test]
fn another_host_may_say_it() {
    let [four, six] = both(17, &build::udp(b"?"));
    let router = IpAddr::V4(Ipv4Addr::new(10, 0, 0, 1));
    let error = Prohibited::about(&parse(&four)).unwrap().with_source(router).unwrap();
    let bytes = told(&error);
    assert_eq!((parse(&bytes).source(), parse(&bytes).addresses()), (router, error.addresses()));
    assert_eq!(parse(&bytes).destination(), parse(&four).source());
    let refused = Prohibited::about(&parse(&six)).unwrap().with_source(router).unwrap_err();
    assert_eq!(refused, CraftError::Version { expected: 6, found: 4 });

    let router = IpAddr::V6("2001:db8::ffff".parse().unwrap());
    let error = Prohibited::about(&parse(&six)).unwrap().with_source(router).unwrap();
    let bytes = told(&error);
    assert_eq!(parse(&bytes).source(), router);
    assert_eq!(parse(&bytes).verify_transport_checksum(), ChecksumStatus::Valid);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn a_reset_reads_back(
        (is_ipv4, source, destination) in any::<(bool, u128, u128)>(),
        ports in any::<(u16, u16)>(),
        sequence_number in any::<u32>(),
        acknowledgment_number in any::<Option<u32>>(),
    ) {
        let addresses = if is_ipv4 {
            let [source, destination] = [source, destination].map(|bits| Ipv4Addr::from_bits(bits as u32));
            Addresses::V4 { source, destination }
        } else {
            let [source, destination] = [source, destination].map(Ipv6Addr::from_bits);
            Addresses::V6 { source, destination }
        };
        let ports = Ports { source: ports.0, destination: ports.1 };
        let bytes = written(&Reset { addresses, ports, sequence_number, acknowledgment_number });
        let packet = parse(&bytes);
        prop_assert_eq!(packet.verify_transport_checksum(), ChecksumStatus::Valid);
        if let IpPacket::V4(packet) = packet {
            prop_assert!(packet.verify_checksum() && packet.dont_fragment());
        }
        prop_assert_eq!((packet.addresses(), packet.hop_limit()), (addresses, 64));
        prop_assert_eq!((packet.protocol(), bytes.len()), (IpProtocol::TCP, if is_ipv4 { 40 } else { 60 }));
        let Ok(Transport::Tcp(segment)) = packet.transport() else { panic!("no TCP") };
        prop_assert_eq!((segment.ports(), segment.sequence_number()), (ports, sequence_number));
        prop_assert_eq!(segment.acknowledgment_number(), acknowledgment_number.unwrap_or(0));
        prop_assert_eq!(segment.flags().contains(TcpFlags::ACK), acknowledgment_number.is_some());
        prop_assert!(segment.flags().contains(TcpFlags::RST));
        prop_assert_eq!((segment.window(), segment.bytes().len()), (0, 20));
        // Nothing crafted is ever answered.
        prop_assert_eq!(Reset::to_sender(&packet), None);
    }

    #[test]
    fn whatever_is_answered_is_answered_right(
        bytes in prop_oneof![
            vec(any::<u8>(), 0..120),
            (any::<u8>(), vec(any::<u8>(), 0..120)).prop_map(|(p, upper)| build::ipv4(p, &[], &upper)),
            (any::<u8>(), vec(any::<u8>(), 0..120)).prop_map(|(p, upper)| build::ipv6(p, &upper)),
            (any::<u8>(), any::<u32>(), vec(any::<u8>(), 0..1500))
                .prop_map(|(flags, number, data)| build::ipv4(6, &[], &tcp(flags, number, !number, &data))),
            (any::<u8>(), any::<u32>(), vec(any::<u8>(), 0..1500))
                .prop_map(|(flags, number, data)| build::ipv6(6, &tcp(flags, number, !number, &data))),
        ],
        next in any::<u32>(),
    ) {
        let Ok(packet) = IpPacket::parse(&bytes) else { return Ok(()) };
        let (source, destination) = (packet.source(), packet.destination());
        if let Some(reset) = Reset::to_sender(&packet) {
            let bytes = written(&reset);
            let answer = parse(&bytes);
            prop_assert_eq!((answer.source(), answer.destination()), (destination, source));
            prop_assert_eq!(answer.five_tuple().unwrap(), packet.five_tuple().unwrap().reversed());
            prop_assert_eq!(answer.verify_transport_checksum(), ChecksumStatus::Valid);
        }
        if let Some(reset) = Reset::to_receiver(&packet, next) {
            let bytes = written(&reset);
            prop_assert_eq!(parse(&bytes).five_tuple(), packet.five_tuple());
            prop_assert_eq!(parse(&bytes).verify_transport_checksum(), ChecksumStatus::Valid);
        }
        if let Some(error) = Prohibited::about(&packet) {
            let bytes = told(&error);
            let answer = parse(&bytes);
            if let IpPacket::V4(answer) = answer {
                prop_assert!(answer.verify_checksum());
            }
            prop_assert_eq!((answer.source(), answer.destination()), (destination, source));
            prop_assert_eq!(answer.verify_transport_checksum(), ChecksumStatus::Valid);
            let Ok(Transport::Icmp(message) | Transport::Icmpv6(message)) = answer.transport()
            else { panic!("no ICMP") };
            let message: IcmpMessage<'_> = message;
            prop_assert!(packet.bytes().starts_with(message.body()));
            // Nothing crafted is ever answered.
            prop_assert!(Prohibited::about(&answer).is_none());
        }
    }
}
