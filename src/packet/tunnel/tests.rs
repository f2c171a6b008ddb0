//! Each kind of tunnel and each way to get one wrong; `tests/tunnel.rs` has the plain reader beside them.

use super::*;
use crate::packet::tests::build::{fragment_header, ipv4, ipv4_fragment, ipv6, tcp, udp};
use crate::packet::{ChecksumStatus, CraftError, Layer};

fn gre(flags: [u8; 2], ether_type: u16, rest: &[u8]) -> Vec<u8> {
    [&flags, &ether_type.to_be_bytes(), rest].concat()
}

fn frame(tags: &[u8], ether_type: u16, payload: &[u8]) -> Vec<u8> {
    [&[2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 2][..], tags, &ether_type.to_be_bytes(), payload].concat()
}

fn vxlan(flags: u8, frame: &[u8]) -> Vec<u8> {
    let mut datagram = udp(&[&[flags, 0, 0, 0, 0, 1, 2, 0], frame].concat());
    datagram[2..4].copy_from_slice(&4789_u16.to_be_bytes());
    datagram
}

fn inner() -> Vec<u8> {
    ipv4(6, &[], &tcp(&[], b"data"))
}

fn look(bytes: &[u8]) -> Tunneled<'_> {
    Tunneled::look_through(&IpPacket::parse(bytes).unwrap()).unwrap()
}

fn refused(bytes: &[u8]) -> ParseError {
    Tunneled::look_through(&IpPacket::parse(bytes).unwrap()).unwrap_err()
}

/// Why an outermost packet is not looked through.
fn hidden(bytes: &[u8]) -> Option<Opaque> {
    let found = look(bytes);
    assert_eq!((found.depth(), found.offset()), (0, 0));
    assert_eq!(found.innermost().bytes(), bytes);
    found.opaque()
}

#[test]
fn gre_with_every_field() {
    let fields = [0xaa, 0xbb, 0, 0, 0, 0, 0, 7, 0, 0, 0, 9];
    let bytes = ipv4(47, &[1; 4], &gre([0xb0, 0], 0x0800, &[&fields, &inner()[..]].concat()));
    let found = look(&bytes);
    assert_eq!((found.offset(), found.innermost().bytes()), (40, &inner()[..]));
    let tunnel = found.tunnels().next().unwrap();
    let kind = TunnelKind::Gre { key: Some(7), sequence_number: Some(9), checksum: Some(0xaabb) };
    assert_eq!((tunnel.kind(), tunnel.header().len()), (kind, 16));
    assert_eq!(tunnel.verify_checksum(), ChecksumStatus::Invalid);
    assert!(tunnel.frame().is_none());
    assert_eq!(found.outermost().bytes(), bytes);
}

#[test]
fn what_reserved_bits_say_is_read_all_the_same() {
    // Strict source route and recursion control of RFC 1701, without its routing.
    let bytes = ipv4(47, &[], &gre([0x0f, 0xf8], 0x0800, &inner()));
    assert_eq!(look(&bytes).depth(), 1);
    let bytes = ipv4(17, &[], &vxlan(0xff, &frame(&[], 0x0800, &inner())));
    assert_eq!(look(&bytes).depth(), 1);
}

#[test]
fn ip_in_ip_of_both_versions() {
    let four = inner();
    let six = ipv6(6, &tcp(&[], b"data"));
    for (bytes, offset) in [
        (ipv4(4, &[], &four), 20),
        (ipv4(41, &[], &six), 20),
        (ipv6(4, &four), 40),
        (ipv6(41, &six), 40),
        (ipv6(60, &[&[41, 0, 1, 4, 0, 0, 0, 0], &six[..]].concat()), 48),
    ] {
        let found = look(&bytes);
        assert_eq!((found.depth(), found.offset(), found.opaque()), (1, offset, None));
        assert_eq!(found.tunnels().next().unwrap().kind(), TunnelKind::IpInIp);
        assert_eq!(found.innermost().five_tuple().unwrap().ports.unwrap().source, 4660);
    }
    let error = refused(&ipv4(41, &[], &four));
    assert_eq!(error, ParseError::Version { layer: Layer::Ipv6, offset: 20, found: 4 });
}

#[test]
fn vxlan_with_tags() {
    let bytes = ipv4(17, &[], &vxlan(8, &frame(&[0x81, 0, 0, 42], 0x0800, &inner())));
    let found = look(&bytes);
    let tunnel = found.tunnels().next().unwrap();
    assert_eq!(tunnel.kind(), TunnelKind::Vxlan { vni: 0x0102, checksum: 0 });
    assert_eq!(tunnel.verify_checksum(), ChecksumStatus::Absent);
    assert_eq!(tunnel.frame().unwrap().vlan_tags().next().unwrap().id(), 42);
    assert_eq!((found.offset(), found.innermost().bytes()), (54, &inner()[..]));
}

#[test]
fn what_is_no_vxlan_is_udp() {
    let whole = vxlan(8, &frame(&[], 0x0800, &inner()));
    let mut answer = whole.clone();
    answer[..4].copy_from_slice(&[0x12, 0xb5, 0x12, 0x34]);
    for datagram in [
        answer,
        vxlan(0xf7, &frame(&[], 0x0800, &inner())),
        vxlan(8, &frame(&[], 0x0806, &inner())),
        vxlan(8, &frame(&[], 0x0800, &[])[..13]),
        vxlan(8, &frame(&[0x81, 0, 0, 1], 0x0800, &[])[..17]),
        udp(&[8; 4]),
    ] {
        assert_eq!(hidden(&ipv4(17, &[], &datagram)), None);
    }
    // UDP ends before the packet does.
    let mut short = whole;
    short[4..6].copy_from_slice(&20_u16.to_be_bytes());
    assert_eq!(hidden(&ipv4(17, &[], &short)), None);
}

#[test]
fn too_many_tags_hide_nothing() {
    let frame = frame(&[0x81, 0, 0, 1].repeat(5), 0x0800, &inner());
    let maximum = 4;
    let error = refused(&ipv4(17, &[], &vxlan(8, &frame)));
    assert_eq!(error, ParseError::TooManyVlanTags { offset: 20 + 16 + 28, maximum });
    let error = refused(&ipv4(47, &[], &gre([0, 0], 0x6558, &frame)));
    assert_eq!(error, ParseError::TooManyVlanTags { offset: 20 + 4 + 28, maximum });
}

#[test]
fn offsets_of_errors_count_from_the_outermost_packet() {
    let mut bad = inner();
    bad[3] = 200;
    let maximum = bad.len();
    let twice = ipv6(47, &gre([0x20, 0], 0x0800, &[&[0; 4], &ipv4(4, &[], &bad)[..]].concat()));
    let error = refused(&twice);
    let layer = Layer::Ipv4;
    let offset = 40 + 8 + 20 + 2;
    assert_eq!(error, ParseError::Length { layer, offset, found: 200, minimum: 20, maximum });
    let error = refused(&ipv4(47, &[], &gre([0, 0], 0x6558, &[0; 13])));
    assert_eq!((error.reason(), error.offset()), ("ethernet-truncated", 24));
}

#[test]
fn what_may_hide_a_packet_is_said() {
    for (upper, opaque) in [
        (gre([0x20, 1], 0x880b, &[0; 8]), Some(Opaque::Unknown)),
        (gre([0x40, 0], 0x0800, &[0; 40]), Some(Opaque::Unknown)),
        (gre([0xb0, 0], 0x0800, &[0; 11]), Some(Opaque::Unknown)),
        (gre([0, 0], 0x8847, &inner()), Some(Opaque::Unknown)),
        (vec![0, 0, 8], Some(Opaque::Unknown)),
        (gre([0, 0], 0x6558, &frame(&[], 0x0806, &[0; 28])), None),
        (gre([0, 0], 0x6558, &frame(&[], 38, &[0; 38])), None),
    ] {
        assert_eq!(hidden(&ipv4(47, &[], &upper)), opaque, "{upper:?}");
    }
    assert_eq!(hidden(&ipv4(50, &[], &[0; 8])), Some(Opaque::Encrypted));
    assert_eq!(hidden(&ipv6(50, &[0; 8])), Some(Opaque::Encrypted));
    assert_eq!(hidden(&ipv4(51, &[], &[4; 24])), Some(Opaque::Unknown));
    assert_eq!(hidden(&ipv4(132, &[], &[0; 12])), None);
}

#[test]
fn fragments_of_tunnels_hide_what_they_carry() {
    let vxlan = |flags| vxlan(flags, &frame(&[], 0x0800, &inner())[..24]);
    let first = |protocol, upper: &[u8]| ipv4_fragment(ipv4(protocol, &[], upper), 0, true);
    let fragment = Some(Opaque::Fragment);
    assert_eq!(hidden(&first(47, &gre([0, 0], 0x0800, &[0; 4]))), fragment);
    assert_eq!(hidden(&ipv4_fragment(ipv4(4, &[], &inner()), 8, false)), fragment);
    assert_eq!(hidden(&first(17, &vxlan(8))), fragment);
    assert_eq!(hidden(&first(17, &vxlan(0))), None);
    assert_eq!(hidden(&first(17, &vxlan(8)[..8])), fragment, "its flags are in the next one");
    assert_eq!(hidden(&ipv4_fragment(ipv4(17, &[], &vxlan(8)), 8, false)), None);
    let six = ipv6(44, &[fragment_header(41, 8, false), vec![0; 8]].concat());
    assert_eq!(hidden(&six), fragment);
    // What is inside may be in fragments: those are inspectors' own.
    let found = ipv4(4, &[], &ipv4_fragment(ipv4(6, &[], &[0; 8]), 8, true));
    assert_eq!((look(&found).depth(), look(&found).opaque()), (1, None));
    let atomic = ipv6(44, &[fragment_header(4, 0, false), inner()].concat());
    assert_eq!(look(&atomic).depth(), 1);
}

#[test]
fn a_third_tunnel_is_too_deep_whatever_is_in_it() {
    let twice = |inner: &[u8]| ipv4(4, &[], &ipv4(47, &[], &gre([0, 0], 0x0800, inner)));
    for (third, opaque) in [
        (ipv4(4, &[], &inner()), Some(Opaque::TooDeep)),
        (ipv4(4, &[], b"nonsense"), Some(Opaque::TooDeep)),
        (ipv4(47, &[], &gre([0, 0], 0x6558, &[0; 5])), Some(Opaque::TooDeep)),
        (ipv4(17, &[], &vxlan(8, &frame(&[], 0x0800, &[]))), Some(Opaque::TooDeep)),
        (ipv4(50, &[], &[0; 8]), Some(Opaque::Encrypted)),
        (ipv4(17, &[], &vxlan(0, &[])), None),
        (inner(), None),
    ] {
        let bytes = twice(&third);
        let found = look(&bytes);
        assert_eq!((found.depth(), found.opaque()), (2, opaque));
        assert_eq!(found.innermost().bytes(), third);
    }
}

#[test]
fn an_answer_through_vxlan_byte_by_byte() {
    let mut datagram = vxlan(8, &frame(&[], 0x0800, &inner()));
    datagram[6..8].copy_from_slice(&[0x12, 0x34]);
    let bytes = ipv4(17, &[1; 4], &datagram);
    let mut buffer = [0xee; 120];
    let answer = [0x45, 1, 2];
    let length = look(&bytes).wrap(Toward::Sender, &answer, &mut buffer).unwrap();
    #[rustfmt::skip]
    let expected = [
        0x45, 0, 0, 53, 0, 0, 0x40, 0, 64, 17, 0x4e, 0x81, 198, 51, 100, 2, 192, 0, 2, 1,
        0x12, 0x34, 0x12, 0xb5, 0, 33, 0, 0, 8, 0, 0, 0, 0, 1, 2, 0,
        2, 0, 0, 0, 0, 2, 2, 0, 0, 0, 0, 1, 8, 0, 0x45, 1, 2,
    ];
    let mut wrapped = buffer[..length].to_vec();
    assert_eq!(
        IpPacket::parse(&wrapped).unwrap().verify_transport_checksum(),
        ChecksumStatus::Valid
    );
    wrapped[26..28].fill(0);
    assert_eq!(wrapped, expected);
    assert!(buffer[length..].iter().all(|byte| *byte == 0xee));
}

#[test]
fn a_udp_checksum_that_comes_out_as_zero_is_not_sent_as_none() {
    let mut datagram = vxlan(8, &frame(&[], 0x0800, &inner()));
    datagram[6] = 1;
    let bytes = ipv4(17, &[], &datagram);
    let found = look(&bytes);
    let mut buffer = [0; 60];
    let sums = (0..=u16::MAX).map(|number| {
        let [a, b] = number.to_be_bytes();
        found.wrap(Toward::Receiver, &[0x45, 0, a, b], &mut buffer).unwrap();
        [buffer[26], buffer[27]]
    });
    let sums: Vec<_> = sums.collect();
    assert!(sums.contains(&[0xff; 2]) && !sums.contains(&[0; 2]));
}

#[test]
fn what_cannot_be_wrapped_is_refused() {
    let mut buffer = [0; 200];
    let mut wrap = |bytes: &[u8], toward| look(bytes).wrap(toward, &inner(), &mut buffer);
    let both = [Toward::Sender, Toward::Receiver];
    let sequenced = ipv4(47, &[], &gre([0x10, 0], 0x0800, &[&[0; 4], &inner()[..]].concat()));
    let authenticated = ipv6(51, &[&[4, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0], &inner()[..]].concat());
    let routed = ipv4(4, &[131, 7, 4, 10, 0, 0, 1, 0], &inner());
    for toward in both {
        assert_eq!(wrap(&sequenced, toward), Err(CraftError::Sequenced));
        assert_eq!(wrap(&authenticated, toward), Err(CraftError::Authenticated));
        assert_eq!(wrap(&routed, toward), Err(CraftError::NoSingleEnd));
    }
    let mut group = ipv4(4, &[], &inner());
    group[16] = 224;
    assert_eq!(wrap(&group, Toward::Sender), Err(CraftError::NoSingleEnd));
    assert_eq!(wrap(&group, Toward::Receiver), Ok(64));

    let bytes = ipv4(4, &[], &inner());
    let found = look(&bytes);
    let error = found.wrap(Toward::Sender, &ipv6(59, &[]), &mut [0; 100]).unwrap_err();
    assert_eq!(error, CraftError::Version { expected: 4, found: 6 });
    let error = found.wrap(Toward::Sender, &[], &mut [0; 100]).unwrap_err();
    assert_eq!(error, CraftError::Version { expected: 4, found: 0 });
    let long = vec![0x45; 65_516];
    let mut buffer = vec![0; 70_000];
    let error = found.wrap(Toward::Receiver, &long, &mut buffer).unwrap_err();
    assert_eq!(error, CraftError::TooLong { maximum: 65_535, found: 65_536 });
    assert_eq!(found.wrap(Toward::Receiver, &long[1..], &mut buffer), Ok(65_535));
    let six = ipv6(4, &inner());
    assert_eq!(look(&six).wrap(Toward::Receiver, &vec![0x45; 65_535], &mut buffer), Ok(65_575));
    assert!(look(&six).wrap(Toward::Receiver, &vec![0x45; 65_536], &mut buffer).is_err());
}

#[test]
fn without_tunnels_wrapping_is_copying() {
    let bytes = inner();
    let found = look(&bytes);
    let mut buffer = [0xee; 5];
    assert_eq!(found.wrap(Toward::Sender, b"any", &mut buffer), Ok(3));
    assert_eq!((&buffer, found.wrapped_len(Toward::Sender, 3)), (b"any\xee\xee", 3));
}
