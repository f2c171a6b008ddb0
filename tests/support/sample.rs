//! Single packets, in order, to start from.

use gwlb_geneve::EtherType;
use gwlb_geneve::gwlb::Outer;
use gwlb_geneve::packet::{Checksum, IpProtocol};

use super::generate::{aws_datagram, aws_options, datagram, option};

/// An IPv4 packet of a protocol: 10.1.2.3 to 10.9.8.7, right header checksum.
pub fn ipv4(protocol: u8, transport: &[u8]) -> Vec<u8> {
    let [l0, l1] = (20 + transport.len() as u16).to_be_bytes();
    let mut bytes = vec![0x45, 0, l0, l1, 0x12, 0x34, 0x40, 0, 63, protocol, 0, 0];
    bytes.extend([10, 1, 2, 3, 10, 9, 8, 7]);
    let sum = Checksum::of(&bytes);
    bytes[10..12].copy_from_slice(&sum.to_be_bytes());
    bytes.extend_from_slice(transport);
    bytes
}

/// An IPv6 packet whose first header after the fixed one is `next_header`: `2001:db8::1` to `2001:db8::2`.
pub fn ipv6(next_header: u8, rest: &[u8]) -> Vec<u8> {
    let [l0, l1] = (rest.len() as u16).to_be_bytes();
    let mut bytes = vec![0x60, 0, 0, 0, l0, l1, next_header, 63];
    for last in [1, 2] {
        bytes.extend([0x20, 0x01, 0x0d, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, last]);
    }
    bytes.extend_from_slice(rest);
    bytes
}

/// A TCP segment from port 40000 to 443, ACK, its checksum zero.
pub fn tcp(data: &[u8]) -> Vec<u8> {
    let mut bytes =
        vec![0x9c, 0x40, 0x01, 0xbb, 0, 0, 0, 1, 0, 0, 0, 1, 0x50, 0x10, 0xff, 0xff, 0, 0, 0, 0];
    bytes.extend_from_slice(data);
    bytes
}

/// A UDP datagram from port 40000 to 53, without a checksum.
pub fn udp(data: &[u8]) -> Vec<u8> {
    let [l0, l1] = (8 + data.len() as u16).to_be_bytes();
    let mut bytes = vec![0x9c, 0x40, 0, 53, l0, l1, 0, 0];
    bytes.extend_from_slice(data);
    bytes
}

/// As AWS sends it, with IPv4 and TCP inside.
pub fn ipv4_tcp() -> Vec<u8> {
    aws_datagram(&ipv4(6, &tcp(b"hello")))
}

/// As AWS sends it, with IPv4 and UDP inside.
pub fn ipv4_udp() -> Vec<u8> {
    aws_datagram(&ipv4(17, &udp(b"hello")))
}

/// As AWS sends it, with IPv6 and TCP inside.
pub fn ipv6_tcp() -> Vec<u8> {
    aws_datagram(&ipv6(6, &tcp(b"hello")))
}

/// AWS's options in the opposite order.
pub fn reversed() -> Vec<u8> {
    let mut options = aws_options(&[1; 8], &[0; 8], &[2; 4]);
    options.reverse();
    datagram(EtherType::IPV4, &options, &ipv4(6, &tcp(b"hello")))
}

/// 252 bytes of options: 30 of someone else's, then AWS's.
pub fn many_options() -> Vec<u8> {
    let mut options: Vec<_> =
        (0..30).map(|n| option(0xff00, n, if n < 25 { &[0; 4] } else { &[] })).collect();
    options.extend(aws_options(&[1; 8], &[0; 8], &[2; 4]));
    let bytes = datagram(EtherType::IPV4, &options, &ipv4(6, &tcp(b"hello")));
    assert_eq!(bytes[0], 63, "252 bytes of options");
    bytes
}

/// The outer IPv4 packet that `outer` and `payload` come in, with a right UDP checksum where `sum` says so.
pub fn outer(outer: &Outer, payload: &[u8], sum: bool) -> Vec<u8> {
    let udp_len = (8 + payload.len()) as u16;
    let [l0, l1] = (20 + udp_len).to_be_bytes();
    let mut bytes = vec![0x45, outer.tos, l0, l1, 0, 0, 0, 0, outer.ttl, 17, 0, 0];
    bytes.extend(outer.source.octets());
    bytes.extend(outer.destination.octets());
    let check = Checksum::of(&bytes);
    bytes[10..12].copy_from_slice(&check.to_be_bytes());
    for field in [outer.source_port, outer.destination_port, udp_len, 0] {
        bytes.extend(field.to_be_bytes());
    }
    bytes.extend_from_slice(payload);
    if sum {
        let mut check = Checksum::new();
        check.add_pseudo_header_v4(outer.source, outer.destination, IpProtocol::UDP, udp_len);
        check.add(&bytes[20..]);
        bytes[26..28].copy_from_slice(&check.finish().to_be_bytes());
    }
    bytes
}
