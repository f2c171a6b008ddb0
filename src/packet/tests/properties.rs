//! What must hold for any bytes at all.

use proptest::collection::vec;
use proptest::prelude::*;

use super::build::{fragment_header, ipv4, ipv4_fragment, ipv6, tcp, udp};
use super::naive;
use crate::packet::{
    Checksum, ChecksumStatus, EthernetFrame, FiveTuple, IcmpMessage, IpPacket, Ipv4Packet,
    Ipv6Packet, QuotedPacket, TcpSegment, Transport, UdpDatagram,
};

fn transport() -> impl Strategy<Value = (u8, Vec<u8>)> {
    let words = vec(any::<u8>(), 0..10).prop_map(|bytes| bytes.repeat(4));
    prop_oneof![
        (words, vec(any::<u8>(), 0..40)).prop_map(|(options, data)| (6, tcp(&options, &data))),
        vec(any::<u8>(), 0..40).prop_map(|data| (17, udp(&data))),
        (prop::sample::select(vec![1_u8, 58, 33, 132, 136, 50, 59]), vec(any::<u8>(), 0..90)),
    ]
}

/// Extension headers in front of a transport header; some of them wrong.
fn extended() -> impl Strategy<Value = (u8, Vec<u8>)> {
    let kinds = prop::sample::select(vec![0_u8, 43, 44, 51, 60, 135, 139, 140]);
    (transport(), vec((kinds, 0_u8..3, any::<bool>()), 0..10)).prop_map(|(upper, headers)| {
        headers.into_iter().fold(upper, |(next, rest), (kind, units, flag)| {
            let mut header = match kind {
                44 => fragment_header(next, u16::from(units) & 1, flag),
                51 => vec![units + 1; 12 + 4 * usize::from(units)],
                _ => vec![units; 8 + 8 * usize::from(units)],
            };
            header[0] = next;
            header.extend_from_slice(&rest);
            (kind, header)
        })
    })
}

/// Right packets, packets with a few bytes changed, cut off or too long, and noise.
fn packets() -> impl Strategy<Value = Vec<u8>> {
    let options = vec(any::<u8>(), 0..8).prop_map(|bytes| bytes.repeat(4));
    let ip = prop_oneof![
        3 => (transport(), options).prop_map(|((p, data), options)| ipv4(p, &options, &data)),
        3 => transport().prop_map(|(p, data)| ipv4(p, &[], &data)),
        2 => (transport(), 0..3_u16, any::<bool>()).prop_map(|((p, data), offset, more)| {
            ipv4_fragment(ipv4(p, &[], &data), offset * 8, more)
        }),
        3 => transport().prop_map(|(p, data)| ipv6(p, &data)),
        4 => extended().prop_map(|(p, data)| ipv6(p, &data)),
        1 => vec(any::<u8>(), 0..120),
    ];
    let changes = prop_oneof![
        Just(Vec::new()),
        vec((0_usize..80, any::<u8>()), 0..3),
        vec((0_usize..64, prop::sample::select(vec![0_u8, 1, 4, 5, 0x45, 0x4f, 0x60, 0xff])), 0..4),
    ];
    (ip, changes, prop_oneof![3 => Just(0_isize), 2 => -30_isize..30]).prop_map(
        |(mut packet, changes, longer)| {
            for (at, value) in changes {
                if let Some(byte) = packet.get_mut(at) {
                    *byte = value;
                }
            }
            packet.resize(packet.len().saturating_add_signed(longer), 0xee);
            packet
        },
    )
}

/// An ICMP error that quotes a packet.
fn errors() -> impl Strategy<Value = Vec<u8>> {
    (packets(), any::<bool>(), 0_u8..13, any::<[u8; 7]>()).prop_map(|(quote, v4, kind, rest)| {
        let message = [&[kind][..], &rest, &quote].concat();
        if v4 { ipv4(1, &[], &message) } else { ipv6(58, &message) }
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(4000))]

    #[test]
    fn straight_way_long_way_and_oracle_agree(packet in packets()) {
        let straight = FiveTuple::parse(&packet);
        prop_assert_eq!(straight, FiveTuple::parse_any(&packet));
        prop_assert_eq!(straight.ok(), naive::five_tuple(&packet));
    }

    #[test]
    fn reversed_twice_is_the_same(packet in packets()) {
        if let Ok(tuple) = FiveTuple::parse(&packet) {
            prop_assert_eq!(tuple.reversed().reversed(), tuple);
            prop_assert_eq!(tuple.reversed().source(), tuple.destination());
        }
    }

    #[test]
    fn no_accessor_panics(packet in prop_oneof![packets(), errors()]) {
        ip(&packet);
        ethernet(&packet);
        let _ = Ipv4Packet::parse(&packet);
        let _ = Ipv6Packet::parse(&packet);
        if let Ok(segment) = TcpSegment::parse(&packet) { tcp_segment(&segment) }
        if let Ok(datagram) = UdpDatagram::parse(&packet) { udp_datagram(&datagram) }
    }

    #[test]
    fn header_payload_and_trailer_are_the_slice(packet in packets()) {
        if let Ok(ip) = IpPacket::parse(&packet) {
            prop_assert_eq!([ip.bytes(), ip.trailer()].concat(), &packet[..]);
            prop_assert_eq!(&ip.bytes()[ip.header_len()..], ip.payload());
            if let IpPacket::V6(ip) = ip {
                let headers: Vec<u8> = ip.extension_headers().flat_map(|h| h.bytes().to_vec()).collect();
                prop_assert_eq!(&packet[40..ip.header_len()], &headers[..]);
            }
        }
    }

    #[test]
    fn errors_point_into_the_slice_or_to_its_end(packet in prop_oneof![packets(), errors()]) {
        let mut found = vec![IpPacket::parse(&packet).err()];
        if let Ok(ip) = IpPacket::parse(&packet) {
            found.push(ip.transport().err());
            if let Ok(Transport::Icmp(message) | Transport::Icmpv6(message)) = ip.transport() {
                let start = ip.header_len() + 8;
                let error = message.quoted().and_then(|quoted| quoted.and_then(|q| q.five_tuple()).err());
                prop_assert!(error.is_none_or(|error| error.offset() >= start));
                found.push(error);
            }
        }
        for error in found.into_iter().flatten() {
            prop_assert!(error.offset() <= packet.len(), "{}", error);
            prop_assert!(!error.reason().is_empty());
        }
    }

    #[test]
    fn checksum_is_that_of_two_bytes_at_a_time(bytes in vec(any::<u8>(), 0..200), cuts in vec(0_usize..200, 0..5)) {
        let mut cuts: Vec<usize> = cuts.into_iter().map(|cut| cut.min(bytes.len())).collect();
        cuts.extend([0, bytes.len()]);
        cuts.sort_unstable();
        let mut sum = Checksum::new();
        for part in cuts.windows(2) {
            sum.add(&bytes[part[0]..part[1]]);
        }
        prop_assert_eq!(sum.finish(), naive::checksum(&bytes));
    }

    #[test]
    fn a_checksum_filled_in_verifies_and_a_flipped_bit_does_not(
        (protocol, data) in transport(),
        four in any::<bool>(),
        bit in any::<prop::sample::Index>(),
    ) {
        let field = match (protocol, four) { (6, _) => 16, (17, _) => 6, (1, true) | (58, false) => 2, _ => return Ok(()) };
        prop_assume!(data.len() >= 8);
        let mut packet = if four { ipv4(protocol, &[], &data) } else { ipv6(protocol, &data) };
        let upper = packet.len() - data.len();
        packet[upper + field..upper + field + 2].fill(0);
        let mut covered = packet[upper..].to_vec();
        if protocol != 1 {
            let addresses = if four { 12..20 } else { 8..40 };
            covered.resize(covered.len() + covered.len() % 2, 0);
            covered.extend_from_slice(&packet[addresses]);
            covered.extend_from_slice(&(data.len() as u32).to_be_bytes());
            covered.extend_from_slice(&[0, protocol]);
        }
        let sum = match naive::checksum(&covered) { 0 if protocol == 17 => 0xffff, sum => sum };
        packet[upper + field..upper + field + 2].copy_from_slice(&sum.to_be_bytes());
        prop_assert_eq!(IpPacket::parse(&packet).unwrap().verify_transport_checksum(), ChecksumStatus::Valid);
        let at = upper + bit.index(data.len());
        packet[at] ^= 0x08;
        prop_assert_ne!(IpPacket::parse(&packet).unwrap().verify_transport_checksum(), ChecksumStatus::Valid);
    }
}

/// Calls everything that there is to call.
fn ip(bytes: &[u8]) {
    let Ok(packet) = IpPacket::parse(bytes) else { return };
    let _ = (packet.addresses(), packet.hop_limit(), packet.traffic_class(), packet.is_fragment());
    let _ = (packet.bytes(), packet.trailer(), packet.payload(), packet.five_tuple());
    let _ = (packet.verify_transport_checksum(), format!("{packet:?}"));
    match packet {
        IpPacket::V4(packet) => {
            let _ = (packet.dscp(), packet.ecn(), packet.identification(), packet.dont_fragment());
            let _ = (packet.header_checksum(), packet.header(), packet.options());
            let _ = packet.verify_checksum();
        }
        IpPacket::V6(packet) => {
            let _ = (packet.dscp(), packet.ecn(), packet.flow_label(), packet.header());
            assert!(packet.extension_headers().count() <= 8);
        }
    }
    match packet.transport() {
        Ok(Transport::Tcp(segment)) => tcp_segment(&segment),
        Ok(Transport::Udp(datagram)) => udp_datagram(&datagram),
        Ok(Transport::Icmp(message) | Transport::Icmpv6(message)) => icmp(&message),
        Ok(other) => {
            let _ = (other.ports(), other.payload());
        }
        Err(error) => {
            let _ = (error.layer().to_string(), error.to_string());
        }
    }
}

fn tcp_segment(segment: &TcpSegment<'_>) {
    let _ = (segment.ports(), segment.sequence_number(), segment.acknowledgment_number());
    let _ = (segment.flags().to_string(), segment.window(), segment.urgent_pointer());
    let _ = (segment.header(), segment.payload(), segment.checksum());
    assert!(segment.options().count() <= 40);
}

fn udp_datagram(datagram: &UdpDatagram<'_>) {
    let _ = (datagram.ports(), datagram.length(), datagram.checksum());
    assert_eq!(datagram.payload().len() + 8, datagram.bytes().len());
}

fn icmp(message: &IcmpMessage<'_>) {
    let _ = (message.code(), message.checksum(), message.echo(), message.body());
    if let Some(Ok(quoted)) = message.quoted() {
        let quoted: QuotedPacket<'_> = quoted;
        let _ = (quoted.source(), quoted.destination(), quoted.fragment(), quoted.five_tuple());
        let _ = (quoted.payload(), quoted.bytes());
    }
}

fn ethernet(bytes: &[u8]) {
    let Ok(frame) = EthernetFrame::parse(bytes) else { return };
    let _ = (frame.destination(), frame.source(), frame.ip().is_some(), frame.payload());
    assert_eq!(frame.vlan_tags().count() * 4 + 14, frame.header_len());
}
