//! The datagram that goes back to the load balancer, byte by byte.

mod support;

use std::net::Ipv4Addr;

use gwlb_geneve::gwlb::*;
use gwlb_geneve::packet::{ChecksumStatus, IpPacket, Transport};
use support::generate::{datagram, option};
use support::{generate, oracle, sample};

const GATEWAY: Ipv4Addr = Ipv4Addr::new(10, 0, 10, 74);
const APPLIANCE: Ipv4Addr = Ipv4Addr::new(10, 0, 8, 64);

fn received() -> Outer {
    Outer { tos: 0, ttl: 255, ..Outer::new((GATEWAY, 60_276), (APPLIANCE, 6081)) }
}

fn written(reply: &Reply<'_>) -> Vec<u8> {
    let mut bytes = vec![0xee; reply.len()];
    assert_eq!(reply.write_to(&mut bytes), Ok(reply.len()));
    assert_eq!(bytes, reply.parts().concat());
    bytes
}

#[test]
fn the_default_reply_byte_by_byte() {
    let payload = sample::ipv4_udp();
    let envelope = Envelope::parse(&payload, &Profile::AWS).unwrap();
    let outer = Outer { tos: 0x02, ..received() };
    let reply = envelope.reply(&outer, &ReplyPolicy::default()).unwrap();
    let bytes = written(&reply);
    let [l0, l1] = (28 + payload.len() as u16).to_be_bytes();
    let [u0, u1] = (8 + payload.len() as u16).to_be_bytes();
    assert_eq!(bytes[..10], [0x45, 0x02, l0, l1, 0, 0, 0x40, 0, 64, 17]);
    assert_eq!(oracle::checksum(&bytes[..20]), 0, "right IPv4 header checksum");
    assert_eq!(bytes[12..16], APPLIANCE.octets(), "addresses are swapped");
    assert_eq!(bytes[16..20], GATEWAY.octets());
    assert_eq!(bytes[20..24], [0xeb, 0x74, 0x17, 0xc1], "ports are not swapped");
    assert_eq!(bytes[24..28], [u0, u1, 0, 0], "no UDP checksum, and not what lay on the stack");
    assert_eq!(bytes[28..], payload);
}

#[test]
fn r1_r2_ports_go_back_as_they_came() {
    let payload = sample::ipv4_tcp();
    let envelope = Envelope::parse(&payload, &Profile::AWS).unwrap();
    // All 16 bits of the source port are a flow's entropy, small ports and 6081 included; the other one is
    // whatever was configured.
    for (source_port, destination_port) in [(0, 6081), (1, 1), (6081, 6081), (65_535, 26_081)] {
        let outer = Outer { source_port, destination_port, ..received() };
        let reply = envelope.reply(&outer, &ReplyPolicy::default()).unwrap();
        let bytes = written(&reply);
        assert_eq!(bytes[20..22], source_port.to_be_bytes());
        assert_eq!(bytes[22..24], destination_port.to_be_bytes());
    }
}

#[test]
fn r14_options_and_reserved_bits_come_back_untouched() {
    let mut options = vec![option(0xff00, 0x42, &[7; 12])];
    let aws = generate::aws_options(&[1; 8], &[2; 8], &[3; 4]);
    options.extend(aws.iter().rev());
    options.push(option(0x0108, 0x7f, &[]));
    let mut payload = datagram(gwlb_geneve::EtherType::IPV4, &options, &sample::ipv4(253, &[]));
    payload[1] |= 0x3f;
    payload[7] = 0xa5;
    payload[11] |= 0xe0;
    let envelope = Envelope::parse(&payload, &Profile::AWS).unwrap();
    let unknown =
        envelope.geneve().options().filter(|option| option.class() != Profile::AWS.class());
    assert_eq!(unknown.count(), 1);
    let reply = envelope.reply(&received(), &ReplyPolicy::default()).unwrap();
    assert_eq!(written(&reply)[28..], payload);
}

#[test]
fn r15_the_outer_ecn_field_is_echoed_and_the_inner_packet_left_alone() {
    // Each outer and inner ECN value: Not-ECT, ECT(1), ECT(0), CE.
    for outer_ecn in 0..4 {
        for inner_ecn in 0..4 {
            let mut inner = sample::ipv4(6, &sample::tcp(b""));
            inner[1] = inner_ecn;
            let payload = generate::aws_datagram(&inner);
            let envelope = Envelope::parse(&payload, &Profile::AWS).unwrap();
            let outer = Outer { tos: 0xb8 | outer_ecn, ..received() };
            let bytes = written(&envelope.reply(&outer, &ReplyPolicy::default()).unwrap());
            assert_eq!(bytes[1], 0xb8 | outer_ecn);
            assert_eq!(bytes[28 + 40..], inner);
        }
    }
}

#[test]
fn every_field_that_a_policy_decides() {
    let payload = sample::ipv6_tcp();
    let packet = sample::outer(&Outer { tos: 0x28, ttl: 17, ..received() }, &payload, true);
    let (outer, payload) = Outer::parse(&packet).unwrap();
    let envelope = Envelope::parse(payload, &Profile::AWS).unwrap();
    for checksum in [UdpChecksum::Zero, UdpChecksum::Computed, UdpChecksum::Received] {
        let policy = ReplyPolicy {
            ttl: Ttl::Received,
            tos: Tos::Fixed(0x03),
            dont_fragment: false,
            identification: 0x1234,
            checksum,
        };
        let reply = envelope.reply(&outer, &policy).unwrap();
        let bytes = written(&reply);
        assert_eq!((bytes[1], bytes[8]), (0x03, 17));
        assert_eq!(bytes[4..8], [0x12, 0x34, 0, 0]);
        let IpPacket::V4(ipv4) = IpPacket::parse(&bytes).unwrap() else { panic!("IPv4 outside") };
        assert!(ipv4.verify_checksum());
        let expected = match checksum {
            UdpChecksum::Zero => ChecksumStatus::Absent,
            _ => ChecksumStatus::Valid,
        };
        assert_eq!(IpPacket::V4(ipv4).verify_transport_checksum(), expected, "{checksum:?}");
        let Ok(Transport::Udp(udp)) = IpPacket::V4(ipv4).transport() else { panic!("UDP outside") };
        assert_eq!(reply.outer().udp_checksum, udp.checksum());
    }
}

#[test]
fn another_inner_packet_never_goes_out_under_the_received_checksum() {
    let packet = sample::outer(&received(), &sample::ipv4_tcp(), true);
    let (outer, payload) = Outer::parse(&packet).unwrap();
    let envelope = Envelope::parse(payload, &Profile::AWS).unwrap();
    let kept = ReplyPolicy { checksum: UdpChecksum::Received, ..ReplyPolicy::default() };
    let edited = sample::ipv4(6, &sample::tcp(b"something else"));
    let bytes = written(&envelope.reply_with(&edited, &outer, &kept).unwrap());
    let (reply, inside) = Outer::parse(&bytes).expect("a right checksum");
    assert_ne!(reply.udp_checksum, outer.udp_checksum);
    assert_eq!(inside[40..], edited);
    // A sender without a checksum is answered without one.
    let none = Outer { udp_checksum: 0, ..outer };
    let bytes = written(&envelope.reply_with(&edited, &none, &kept).unwrap());
    assert_eq!(bytes[26..28], [0, 0]);
}

#[test]
fn a_computed_checksum_is_never_zero() {
    // Search for a cookie that makes the sum come out as zero, which must be sent as all ones (RFC 768).
    let computed = ReplyPolicy { checksum: UdpChecksum::Computed, ..ReplyPolicy::default() };
    let inner = sample::ipv4(253, &[]);
    let found = (0..=0xffff_u32).find(|cookie| {
        let cookie = cookie.to_be_bytes();
        let options = generate::aws_options(&[0; 8], &[0; 8], &cookie);
        let payload = datagram(gwlb_geneve::EtherType::IPV4, &options, &inner);
        let envelope = Envelope::parse(&payload, &Profile::AWS).unwrap();
        let bytes = written(&envelope.reply(&received(), &computed).unwrap());
        assert_ne!(bytes[26..28], [0, 0]);
        bytes[26..28] == [0xff, 0xff]
    });
    assert!(found.is_some(), "one of 65,536 cookies does it");
}

#[test]
fn what_does_not_fit_is_refused() {
    let policy = ReplyPolicy::default();
    let payload = sample::ipv4_tcp();
    let envelope = Envelope::parse(&payload, &Profile::AWS).unwrap();
    let inner = vec![0x45; 65_535 - 28 - 40];
    let largest = envelope.reply_with(&inner, &received(), &policy).unwrap();
    assert_eq!(largest.len(), 65_535);
    assert_eq!(written(&largest)[2..4], [0xff, 0xff]);
    let longer = [&inner[..], &[0]].concat();
    let refused = envelope.reply_with(&longer, &received(), &policy).unwrap_err();
    assert_eq!(refused, ReplyError::TooLong { found: 65_536 });
    let mut small = [0xee; 99];
    let reply = envelope.reply_with(&inner[..32], &received(), &policy).unwrap();
    assert_eq!(
        reply.write_to(&mut small),
        Err(ReplyError::BufferTooSmall { expected: 100, found: 99 })
    );
    assert_eq!(small, [0xee; 99], "untouched");
}
