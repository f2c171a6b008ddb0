//! Mistakes that other handlers have made, one test each, and the edges of what is legal.

use super::build::{fragment_header, ipv4, ipv4_fragment, ipv6, tcp, udp};
use crate::packet::*;

fn ports(packet: &[u8]) -> Option<(u16, u16)> {
    let ports = FiveTuple::parse(packet).unwrap().ports;
    ports.map(|ports| (ports.source, ports.destination))
}

fn reason(packet: &[u8]) -> &'static str {
    FiveTuple::parse(packet).unwrap_err().reason()
}

#[test]
fn views_are_a_few_words() {
    let word = size_of::<usize>();
    assert!(size_of::<Ipv4Packet<'_>>() <= 5 * word);
    assert!(size_of::<Ipv6Packet<'_>>() <= 5 * word);
    assert!(size_of::<IpPacket<'_>>() <= 6 * word);
    assert!(size_of::<TcpSegment<'_>>() <= 4 * word);
    assert!(size_of::<UdpDatagram<'_>>() <= 3 * word);
    assert!(size_of::<Transport<'_>>() <= 6 * word);
    assert!(size_of::<FiveTuple>() <= 40);
}

#[test]
fn ports_are_behind_ipv4_options() {
    let options = [7, 7, 4, 0, 0xaa, 0xaa, 0xaa, 0];
    assert_eq!(ports(&ipv4(6, &options, &tcp(&[], b"x"))), Some((4660, 443)));
    assert_eq!(ports(&ipv4(17, &options, &udp(b"a longer datagram"))), Some((4660, 53)));
}

#[test]
fn later_fragments_have_no_ports() {
    let looks_like_tcp = tcp(&[], &[0; 4]);
    let packet = ipv4_fragment(ipv4(6, &[], &looks_like_tcp), 1480, true);
    assert_eq!(ports(&packet), None);
    let ip = IpPacket::parse(&packet).unwrap();
    assert!(matches!(
        ip.transport(),
        Ok(Transport::LaterFragment { protocol: IpProtocol::TCP, .. })
    ));

    let later = [fragment_header(6, 1480, false), looks_like_tcp].concat();
    assert_eq!(ports(&ipv6(44, &later)), None);
}

#[test]
fn first_fragments_have_ports_and_may_hold_less_than_the_udp_length() {
    let datagram = udp(&[0; 1000]);
    let packet = ipv4_fragment(ipv4(17, &[], &datagram[..64]), 0, true);
    assert_eq!(ports(&packet), Some((4660, 53)));
    let whole = ipv4(17, &[], &datagram[..64]);
    assert_eq!(reason(&whole), "udp-length");
}

#[test]
fn an_atomic_fragment_is_a_whole_packet() {
    let mut payload = fragment_header(17, 0, false);
    payload.extend_from_slice(&udp(b"whole"));
    let packet = ipv6(44, &payload);
    let ip = IpPacket::parse(&packet).unwrap();
    assert!(ip.fragment().unwrap().is_atomic() && !ip.is_fragment());
    assert_eq!(ports(&packet), Some((4660, 53)));
    // So its UDP length is held against the packet.
    payload[8 + 5] += 1;
    assert_eq!(reason(&ipv6(44, &payload)), "udp-length");
}

#[test]
fn what_a_later_fragment_calls_an_extension_header_is_not_walked() {
    let packet = ipv6(44, &[fragment_header(60, 8, false), vec![0xff; 16]].concat());
    let ip = IpPacket::parse(&packet).unwrap();
    assert_eq!((ip.protocol(), ip.header_len()), (IpProtocol::DESTINATION_OPTIONS, 48));
}

#[test]
fn ipv6_extension_headers_are_walked() {
    let chain = [
        &[43, 0, 1, 4, 0, 0, 0, 0][..], // hop-by-hop
        &[60, 2, 0, 0, 0, 0, 0, 0],     // routing, 24 bytes
        &[0; 16],
        &[51, 0, 1, 4, 0, 0, 0, 0], // destination options
        &[6, 4, 0, 0, 0, 0, 0, 0],  // authentication, 24 bytes
        &[0; 16],
        &tcp(&[], b"data"),
    ]
    .concat();
    let packet = ipv6(0, &chain);
    assert_eq!(ports(&packet), Some((4660, 443)));
    let IpPacket::V6(ip) = IpPacket::parse(&packet).unwrap() else { panic!() };
    let kinds: Vec<(u8, usize)> =
        ip.extension_headers().map(|header| (header.kind().0, header.bytes().len())).collect();
    assert_eq!(kinds, [(0, 8), (43, 24), (60, 8), (51, 24)]);
    assert_eq!(ip.payload().len(), 24);
}

#[test]
fn esp_and_no_next_header_end_the_chain() {
    for end in [50, 59] {
        let packet = ipv6(60, &[&[end, 0, 1, 4, 0, 0, 0, 0], &[0xff; 30][..]].concat());
        let tuple = FiveTuple::parse(&packet).unwrap();
        assert_eq!((tuple.protocol.0, tuple.ports), (end, None));
    }
}

#[test]
fn extension_headers_are_bounded() {
    let chain = |count: usize| {
        let mut bytes = [60, 0, 1, 4, 0, 0, 0, 0].repeat(count);
        bytes[8 * (count - 1)] = 59;
        ipv6(60, &bytes)
    };
    assert!(FiveTuple::parse(&chain(MAX_EXTENSION_HEADERS)).is_ok());
    let error = FiveTuple::parse(&chain(MAX_EXTENSION_HEADERS + 1)).unwrap_err();
    assert_eq!(error, ParseError::TooManyExtensionHeaders { offset: 40 + 64, maximum: 8 });
}

#[test]
fn an_extension_header_ends_within_the_payload_length() {
    let mut packet = ipv6(60, &[59, 1, 1, 4, 0, 0, 0, 0]);
    packet.extend_from_slice(&[0; 8]); // a trailer is no room for it
    let layer = Layer::Ipv6Extension;
    let error = ParseError::Truncated { layer, offset: 40, expected: 16, found: 8 };
    assert_eq!(FiveTuple::parse(&packet), Err(error));
}

#[test]
fn hop_by_hop_is_first_and_the_fragment_header_is_one() {
    let packet = ipv6(60, &[0, 0, 1, 4, 0, 0, 0, 0, 59, 0, 1, 4, 0, 0, 0, 0]);
    assert_eq!(reason(&packet), "ipv6-hop-by-hop-not-first");
    let twice = [fragment_header(44, 0, true), fragment_header(17, 8, false)].concat();
    assert_eq!(reason(&ipv6(44, &twice)), "ipv6-fragment-repeated");
}

#[test]
fn total_length_is_held_against_the_slice() {
    let packet = ipv4(17, &[], &udp(&[0; 40]));
    let cut = &packet[..packet.len() - 1];
    let error = FiveTuple::parse(cut).unwrap_err();
    assert_eq!(error.to_string(), "IPv4 length at offset 2: expected 20 to 67, found 68");
    assert_eq!(
        (error.reason(), error.layer(), error.offset()),
        ("ipv4-total-length", Layer::Ipv4, 2)
    );

    let packet = ipv6(17, &udp(&[0; 40]));
    assert_eq!(reason(&packet[..packet.len() - 1]), "ipv6-payload-length");
}

#[test]
fn a_total_length_below_the_header_is_refused() {
    let mut packet = ipv4(59, &[0; 8], b"");
    packet[3] = 27;
    assert_eq!(reason(&packet), "ipv4-total-length");
}

#[test]
fn a_packet_of_exactly_20_bytes_is_accepted() {
    let packet = ipv4(59, &[], b"");
    assert_eq!(packet.len(), 20);
    assert_eq!(ports(&packet), None);
    assert_eq!(reason(&packet[..19]), "ipv4-truncated");
}

#[test]
fn an_ipv6_packet_of_exactly_40_bytes_is_accepted() {
    let packet = ipv6(59, b"");
    assert_eq!(ports(&packet), None);
    assert_eq!(reason(&packet[..39]), "ipv6-truncated");
}

#[test]
fn jumbograms_are_refused_by_name() {
    let mut packet = ipv6(0, &[]);
    packet.extend_from_slice(&[6, 0, 0xc2, 4, 0, 1, 0, 0]);
    packet.extend_from_slice(&tcp(&[], b""));
    assert_eq!(FiveTuple::parse(&packet), Err(ParseError::Jumbogram { offset: 42 }));
}

#[test]
fn bytes_beyond_the_total_length_are_a_trailer() {
    let mut packet = ipv4(17, &[], &udp(b"hi"));
    packet.resize(46, 0);
    let ip = IpPacket::parse(&packet).unwrap();
    assert_eq!((ip.bytes().len(), ip.trailer().len()), (30, 16));
    // The padding is no room for a length field that claims it.
    packet[25] = 11;
    assert_eq!(reason(&packet), "udp-length");
}

#[test]
fn udp_length_bounds_the_payload() {
    let mut datagram = udp(b"payload");
    datagram.extend_from_slice(b"surplus");
    assert_eq!(UdpDatagram::parse(&datagram).unwrap().payload(), b"payload");
    for length in [0, 7] {
        datagram[5] = length;
        assert_eq!(UdpDatagram::parse(&datagram).unwrap_err().offset(), 4);
    }
}

#[test]
fn a_fragment_ends_within_65535_bytes() {
    let data = [0; 32];
    let last = |offset| ipv4_fragment(ipv4(17, &[], &data), offset, false);
    assert!(FiveTuple::parse(&last(65_480)).is_ok());
    assert_eq!(reason(&last(65_488)), "ipv4-fragment-end");
    // Options count too: the first fragment's header is no shorter.
    let with_options = ipv4_fragment(ipv4(17, &[1; 40], &data), 65_480, false);
    assert_eq!(reason(&with_options), "ipv4-fragment-end");
    let last = |offset| ipv6(44, &[fragment_header(17, offset, false), data.to_vec()].concat());
    assert!(FiveTuple::parse(&last(65_496)).is_ok());
    assert_eq!(reason(&last(65_504)), "ipv6-fragment-end");
}

#[test]
fn a_fragment_before_the_last_holds_a_multiple_of_8_bytes() {
    assert_eq!(reason(&ipv4_fragment(ipv4(17, &[], &[0; 30]), 8, true)), "ipv4-fragment-length");
    let packet = ipv6(44, &[fragment_header(17, 8, true), vec![0; 30]].concat());
    assert_eq!(reason(&packet), "ipv6-fragment-length");
}

#[test]
fn tcp_data_offset_is_checked() {
    let mut packet = ipv4(6, &[], &tcp(&[1; 4], b""));
    packet[32] = 0x40;
    assert_eq!(reason(&packet), "tcp-data-offset");
    packet[32] = 0x70;
    let error = FiveTuple::parse(&packet).unwrap_err();
    let layer = Layer::Tcp;
    assert_eq!(error, ParseError::Truncated { layer, offset: 20, expected: 28, found: 24 });
}

#[test]
fn an_icmp_error_is_about_the_packet_that_it_quotes() {
    let quoted = ipv4(6, &[1; 4], &tcp(&[], &[0; 1000]));
    let error = ipv4(1, &[], &[&[3, 4, 0, 0, 0, 0, 5, 220][..], &quoted[..32]].concat());
    assert_eq!(FiveTuple::parse(&error).unwrap().ports, None);
    let Ok(Transport::Icmp(message)) = IpPacket::parse(&error).unwrap().transport() else {
        panic!()
    };
    let quote = message.quoted().unwrap().unwrap();
    assert_eq!(quote.five_tuple(), FiveTuple::parse(&quoted));
    // Three bytes hold no ports.
    let error = ipv4(1, &[], &[&[3, 4, 0, 0, 0, 0, 5, 220][..], &quoted[..27]].concat());
    let Ok(Transport::Icmp(message)) = IpPacket::parse(&error).unwrap().transport() else {
        panic!()
    };
    let error = message.quoted().unwrap().unwrap().five_tuple().unwrap_err();
    assert_eq!((error.layer(), error.offset()), (Layer::Tcp, 20 + 8 + 24));
}

#[test]
fn an_icmpv6_error_quotes_through_extension_headers() {
    let quoted = ipv6(44, &[fragment_header(17, 0, true), udp(&[0; 1000])].concat());
    let error = ipv6(58, &[&[2, 0, 0, 0, 0, 0, 5, 0], &quoted[..40 + 8 + 8]].concat());
    let Ok(Transport::Icmpv6(message)) = IpPacket::parse(&error).unwrap().transport() else {
        panic!()
    };
    let tuple = message.quoted().unwrap().unwrap().five_tuple().unwrap();
    assert_eq!(tuple.to_string(), "UDP [2001:db8::1]:4660 -> [2001:db8::2]:53");
}

#[test]
fn a_quote_of_a_later_fragment_has_no_ports() {
    let quoted = ipv4_fragment(ipv4(17, &[], &[0xff; 64]), 64, false);
    let error = ipv4(1, &[], &[&[11, 0, 0, 0, 0, 0, 0, 0], &quoted[..28]].concat());
    let Ok(Transport::Icmp(message)) = IpPacket::parse(&error).unwrap().transport() else {
        panic!()
    };
    assert_eq!(message.quoted().unwrap().unwrap().five_tuple().unwrap().ports, None);
}

#[test]
fn echo_is_no_error() {
    let request = [8, 0, 0, 0, 0x12, 0x34, 0, 9, 0x45, 0, 0, 20];
    let message = IcmpMessage::parse(IcmpVersion::V4, &request).unwrap();
    assert_eq!(message.echo(), Some(Echo { identifier: 0x1234, sequence: 9, reply: false }));
    assert!(message.quoted().is_none());
}

#[test]
fn extensions_behind_a_quote_are_no_part_of_it() {
    let quoted = ipv4(17, &[], &udp(&[0xaa; 500]));
    let mut message = [&[11, 0, 0, 0, 0, 32, 0, 0], &quoted[..128]].concat();
    message.extend_from_slice(&[0x20, 0, 0, 0, 0, 8, 1, 1, 0, 0, 0, 1]);
    let message = IcmpMessage::parse(IcmpVersion::V4, &message).unwrap();
    assert_eq!(message.quoted().unwrap().unwrap().bytes(), &quoted[..128]);
}

#[test]
fn fragments_and_source_routed_packets_are_not_checkable() {
    let packet = ipv4_fragment(ipv4(6, &[], &tcp(&[], &[0; 4])), 0, true);
    let status = |packet: &[u8]| IpPacket::parse(packet).unwrap().verify_transport_checksum();
    assert_eq!(status(&packet), ChecksumStatus::NotCheckable);
    let routed = [&[6, 0, 4, 1, 0, 0, 0, 0][..], &tcp(&[], b"")].concat();
    assert_eq!(status(&ipv6(43, &routed)), ChecksumStatus::NotCheckable);
    assert_eq!(status(&ipv4(17, &[], &udp(b""))), ChecksumStatus::Absent);
    assert_eq!(status(&ipv6(17, &udp(b""))), ChecksumStatus::Invalid);
}

#[test]
fn protocols_with_ports_show_them_and_need_their_header() {
    for (protocol, length) in [(132, 12), (33, 12), (136, 8)] {
        let header = [0x12, 0x34, 0, 80, 0, 0, 0, 0, 0, 0, 0, 0];
        assert_eq!(ports(&ipv4(protocol, &[], &header[..length])), Some((4660, 80)));
        assert!(FiveTuple::parse(&ipv4(protocol, &[], &header[..length - 1])).is_err());
    }
}

#[test]
fn icmp_of_the_other_version_is_just_a_payload() {
    let packet = ipv4(58, &[], &[1, 0, 0]);
    let ip = IpPacket::parse(&packet).unwrap();
    assert!(matches!(ip.transport(), Ok(Transport::Other { protocol: IpProtocol::ICMPV6, .. })));
}

#[test]
fn only_versions_4_and_6_are_ip() {
    for mut packet in [ipv4(6, &[], &tcp(&[], &[0; 40])), ipv6(6, &tcp(&[], b""))] {
        let right = packet[0] >> 4;
        for version in (0..16).filter(|&version| version != 4 && version != 6) {
            packet[0] = (version << 4) | 5;
            let layer = Layer::Ip;
            let error = ParseError::Version { layer, offset: 0, found: version };
            assert_eq!(FiveTuple::parse(&packet), Err(error), "was {right}");
        }
    }
    assert_eq!(reason(&[]), "ip-truncated");
}

#[test]
fn a_udp_length_below_8_is_refused_on_either_way() {
    for data in [&[0; 4][..], &[0; 40]] {
        let mut datagram = udp(data);
        for length in 0..8 {
            datagram[4..6].copy_from_slice(&[0, length]);
            assert_eq!(reason(&ipv4(17, &[], &datagram)), "udp-length");
            assert_eq!(reason(&ipv6(17, &datagram)), "udp-length");
        }
    }
}

#[test]
fn an_authentication_header_has_12_bytes_at_least() {
    let packet = ipv6(51, &[&[59, 0][..], &[0; 30]].concat());
    assert_eq!(reason(&packet), "ipv6-extension-length");
    assert_eq!(FiveTuple::parse(&packet).unwrap_err().offset(), 41);
}

#[test]
fn unknown_icmpv6_errors_quote_a_packet_too() {
    let quoted = ipv6(17, &udp(b""));
    for (kind, is_error) in [(1, true), (100, true), (127, true), (128, false), (137, false)] {
        let bytes = [&[kind, 0, 0, 0, 0, 0, 0, 0], &quoted[..]].concat();
        let message = IcmpMessage::parse(IcmpVersion::V6, &bytes).unwrap();
        assert_eq!(message.quoted().is_some(), is_error, "type {kind}");
    }
}

/// What an ICMP error that quotes these bytes is about.
fn quoted_ports(quote: &[u8]) -> Option<(u16, u16)> {
    let (version, kind) =
        if quote[0] >> 4 == 4 { (IcmpVersion::V4, 3) } else { (IcmpVersion::V6, 1) };
    let bytes = [&[kind, 4, 0, 0, 0, 0, 0, 0], quote].concat();
    let message = IcmpMessage::parse(version, &bytes).unwrap();
    let quoted = message.quoted().unwrap().unwrap();
    assert_eq!(quoted.bytes(), quote);
    let ports = quoted.five_tuple().unwrap().ports;
    ports.map(|ports| (ports.source, ports.destination))
}

#[test]
fn a_quoted_length_does_not_hide_the_ports() {
    let mut quote = ipv4(6, &[], &tcp(&[], b"data"));
    for total_len in [0, 5, 19, 20, 23, 1500, 65_535_u16] {
        quote[2..4].copy_from_slice(&total_len.to_be_bytes());
        assert_eq!(quoted_ports(&quote), Some((4660, 443)), "total length {total_len}");
    }
    let mut quote = ipv6(60, &[&[17, 0, 1, 4, 0, 0, 0, 0][..], &udp(b"data")].concat());
    for payload_len in [0, 3, 8, 11, 1500, 65_535_u16] {
        quote[4..6].copy_from_slice(&payload_len.to_be_bytes());
        assert_eq!(quoted_ports(&quote), Some((4660, 53)), "payload length {payload_len}");
    }
    let jumbogram = [&[17, 0, 0xc2, 4, 0, 1, 0, 0][..], &udp(b"data")].concat();
    let mut quote = ipv6(0, &jumbogram);
    quote[4..6].fill(0);
    assert_eq!(quoted_ports(&quote), Some((4660, 53)));
}

#[test]
fn a_quoted_fragment_may_be_an_impossible_one() {
    let data = udp(&[0; 9]);
    assert_eq!(data.len(), 17);
    assert_eq!(quoted_ports(&ipv4_fragment(ipv4(17, &[], &data), 0, true)), Some((4660, 53)));
    for more in [false, true] {
        let mut quote = ipv4_fragment(ipv4(17, &[], &data), 8 * 8191, more);
        assert_eq!(quoted_ports(&quote), None);
        quote[2..4].fill(0);
        assert_eq!(quoted_ports(&quote), None);
        let later = [&fragment_header(17, 8 * 8191, more)[..], &data].concat();
        assert_eq!(quoted_ports(&ipv6(44, &later)), None);
    }
    let first = [&fragment_header(17, 0, true)[..], &data].concat();
    assert_eq!(quoted_ports(&ipv6(44, &first)), Some((4660, 53)));
}
