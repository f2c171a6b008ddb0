//! Mistakes that other parsers and handlers made, each with a test. Those of the header and its options are
//! beside the rule that they break:
//!
//! | mistake | test |
//! |---|---|
//! | option walk without a bound for each option | `tests/geneve.rs`, `r11_options_that_overrun_or_fall_short_are_refused`; here for a stale buffer |
//! | "seen" flags that start as set | `tests/gwlb.rs`, `missing_options_are_refused_by_name`; here from packet to packet |
//! | option length of 4 bits in place of 5 | `tests/geneve.rs`, `all_32_option_lengths_fit_their_five_bits` |
//! | offset in a `u8` that wraps at 260, or panics from 62 words on | `tests/geneve.rs`, `r5_header_lengths_reach_from_8_to_260_bytes` |
//! | a version test that cannot fail | `tests/geneve.rs`, `r4_other_versions_are_refused` |
//! | truncated options turned into payload | `tests/geneve.rs`, `truncated_options_never_become_payload` |
//! | ports at offset 20 whatever the IHL, ports of later fragments, extension headers not walked | here |
//! | inner total length never compared with the datagram | here |
//! | an inner packet of exactly 20 bytes refused | here |
//! | ICMP errors known by their own addresses | here |
//! | the reply's UDP checksum never written | here |
//! | flow key without the endpoint | here, as far as a packet goes: both tenants' values stay apart |
//! | one malformed packet that ends the process | here, every capture; `tests/inner.rs` and `fuzz/` for any bytes |
//!
//! What needs a flow table or an appliance (colliding flow hashes, fragments tied to their flow, a table that dies
//! at its 1025th flow, a health check that always answers 200) is tested where those are.

mod support;

use std::net::Ipv4Addr;

use gwlb_geneve::EtherType;
use gwlb_geneve::geneve::{self, Packet};
use gwlb_geneve::gwlb::{Envelope, EnvelopeError, Outer, Profile, ReplyPolicy, UdpChecksum};
use gwlb_geneve::packet::{FiveTuple, IpPacket, ParseError, Ports, Transport};
use support::generate::{aws_datagram, aws_options, datagram};
use support::{check, oracle, sample};

const TCP_PORTS: Ports = Ports { source: 40_000, destination: 443 };
const UDP_PORTS: Ports = Ports { source: 40_000, destination: 53 };

fn ports(inner: &[u8]) -> Result<Option<Ports>, ParseError> {
    check::inner(inner);
    FiveTuple::parse(inner).map(|tuple| tuple.ports)
}

#[test]
fn an_option_walk_never_reads_a_stale_buffer() {
    // A receive buffer that still holds the options of a longer packet behind a shorter one.
    let mut buffer = sample::many_options();
    let short = datagram(EtherType::IPV4, &aws_options(&[1; 8], &[0; 8], &[2; 4])[..2], &[]);
    buffer[..short.len()].copy_from_slice(&short);
    let received = &mut buffer[..short.len()];
    received[23] = 3;
    assert_eq!(
        Packet::parse(received),
        Err(geneve::ParseError::OptionOverrun { offset: 20, expected: 16, found: 12 })
    );
}

#[test]
fn seen_flags_do_not_outlive_a_packet() {
    let whole = sample::ipv4_tcp();
    let bare = datagram(EtherType::IPV4, &[], &sample::ipv4(6, &sample::tcp(b"")));
    for payload in [&whole, &bare, &whole, &bare] {
        let parsed = Envelope::parse(payload, &Profile::AWS);
        assert_eq!(parsed.is_ok(), payload == &whole);
        if let Err(error) = parsed {
            assert!(matches!(error, EnvelopeError::OptionMissing { .. }), "{error}");
        }
    }
}

#[test]
fn ports_are_read_behind_ipv4_options() {
    for words in 0..=10_usize {
        let mut inner = sample::ipv4(6, &[vec![1; 4 * words], sample::tcp(b"data")].concat());
        inner[0] += words as u8;
        assert_eq!(ports(&inner), Ok(Some(TCP_PORTS)), "IHL {}", 5 + words);
    }
}

#[test]
fn later_fragments_have_no_ports() {
    let mut inner = sample::ipv4(6, &sample::tcp(b"data"));
    for offset in [1_u16, 2, 185, 0x1f00] {
        inner[6..8].copy_from_slice(&offset.to_be_bytes());
        assert_eq!(ports(&inner), Ok(None), "offset {}", offset * 8);
        let packet = IpPacket::parse(&inner).unwrap();
        assert!(matches!(packet.transport(), Ok(Transport::LaterFragment { .. })));
    }
    let fragment = [&[6, 0, 0, 8, 0, 0, 0, 1][..], &sample::tcp(b"data")].concat();
    assert_eq!(ports(&sample::ipv6(44, &fragment)), Ok(None));
    // The first one has them, whether or not more follow.
    let first = [&[6, 0, 0, 1, 0, 0, 0, 1][..], &sample::tcp(b"data")].concat();
    assert_eq!(ports(&sample::ipv6(44, &first)), Ok(Some(TCP_PORTS)));
}

#[test]
fn ports_are_read_behind_ipv6_extension_headers() {
    let udp = sample::udp(b"data");
    let plain = |next| vec![next, 0, 1, 4, 0, 0, 0, 0];
    let long = [vec![17, 2], vec![0; 22]].concat();
    let authentication = [vec![17, 4], vec![0; 22]].concat();
    for (first, chain) in [
        (17, vec![]),
        (0, plain(17)),
        (43, long),
        (51, authentication),
        (44, vec![17, 0, 0, 0, 0, 0, 0, 1]),
        (0, [plain(60), plain(43), plain(60), plain(17)].concat()),
    ] {
        let inner = sample::ipv6(first, &[&chain[..], &udp].concat());
        assert_eq!(ports(&inner), Ok(Some(UDP_PORTS)), "{first}: {chain:?}");
    }
}

#[test]
fn the_inner_total_length_is_compared_with_the_datagram() {
    let inner = sample::ipv4(17, &sample::udp(b"data"));
    for (bytes, right) in [(inner.len() - 1, false), (inner.len(), true), (inner.len() + 1, true)] {
        let mut received = inner.clone();
        received.resize(bytes, 0xee);
        assert_eq!(ports(&received).is_ok(), right, "{bytes} of {} bytes", inner.len());
    }
    let ipv6 = sample::ipv6(17, &sample::udp(b"data"));
    assert!(ports(&ipv6).is_ok() && ports(&ipv6[..ipv6.len() - 1]).is_err());
    // What follows the packet is no part of it.
    let padded = [&inner[..], b"padding"].concat();
    let packet = IpPacket::parse(&padded).unwrap();
    assert_eq!((packet.bytes(), packet.trailer()), (&inner[..], &b"padding"[..]));
}

#[test]
fn an_inner_packet_of_exactly_20_bytes_passes() {
    let inner = sample::ipv4(253, &[]);
    assert_eq!(inner.len(), 20);
    let payload = aws_datagram(&inner);
    check::envelope(&payload);
    let envelope = Envelope::parse(&payload, &Profile::AWS).unwrap();
    assert_eq!(ports(envelope.inner()), Ok(None));
    assert!(ports(&inner[..19]).is_err());
}

#[test]
fn icmp_errors_are_known_by_what_they_quote() {
    let quoted = sample::ipv4(17, &sample::udp(b"data"));
    let expected = FiveTuple::parse(&quoted).unwrap();
    // From a router that is no end of the flow; 8 bytes behind the quoted header are what RFC 792 grants.
    let mut error = sample::ipv4(1, &[&[11, 0, 0, 0, 0, 0, 0, 0], &quoted[..28]].concat());
    error[12..16].copy_from_slice(&[198, 51, 100, 1]);
    check::inner(&error);
    let packet = IpPacket::parse(&error).unwrap();
    assert_eq!(packet.five_tuple().unwrap().ports, None, "its own ports are none");
    let Ok(Transport::Icmp(message)) = packet.transport() else { panic!("not ICMP") };
    assert_eq!(message.quoted().unwrap().unwrap().five_tuple(), Ok(expected));

    let quoted = sample::ipv6(6, &sample::tcp(b"data"));
    let expected = FiveTuple::parse(&quoted).unwrap();
    let error = sample::ipv6(58, &[&[2, 0, 0, 0, 0, 0, 5, 0], &quoted[..48]].concat());
    check::inner(&error);
    let packet = IpPacket::parse(&error).unwrap();
    let Ok(Transport::Icmpv6(message)) = packet.transport() else { panic!("not ICMPv6") };
    assert_eq!(message.quoted().unwrap().unwrap().five_tuple(), Ok(expected));
}

#[test]
fn the_udp_checksum_of_a_reply_is_always_written() {
    let address = |last| Ipv4Addr::new(10, 0, 1, last);
    let payload = sample::ipv4_tcp();
    let mut outer = Outer::new((address(10), 60_001), (address(20), 6081));
    let datagram = [
        &[60_001_u16, 6081, 8 + payload.len() as u16].map(u16::to_be_bytes).concat()[..],
        &[0, 0],
        &payload,
    ]
    .concat();
    let pseudo = [&[10, 0, 1, 10, 10, 0, 1, 20, 0, 17][..], &datagram[4..6]].concat();
    let right = oracle::checksum(&[&pseudo[..], &datagram].concat());
    outer.udp_checksum = right;
    let envelope = Envelope::parse(&payload, &Profile::AWS).unwrap();
    for (checksum, expected) in
        [(UdpChecksum::Zero, 0), (UdpChecksum::Computed, right), (UdpChecksum::Received, right)]
    {
        let policy = ReplyPolicy { checksum, ..ReplyPolicy::default() };
        let reply = envelope.reply(&outer, &policy).unwrap();
        let mut buffer = [0xee; 256];
        let len = reply.write_to(&mut buffer).unwrap();
        assert_eq!(buffer[26..28], expected.to_be_bytes(), "{checksum:?}");
        let (parsed, inside) = Outer::parse(&buffer[..len]).unwrap();
        assert_eq!((parsed.udp_checksum, inside), (expected, &payload[..]));
        assert_eq!(oracle::checksum(&buffer[..20]), 0, "the IPv4 header's own");
    }
}

#[test]
fn a_computed_checksum_is_right_for_any_inner_packet() {
    // Odd lengths, and a sum that comes out as zero, which is sent as 0xffff (RFC 768).
    let policy = ReplyPolicy { checksum: UdpChecksum::Computed, ..ReplyPolicy::default() };
    let outer = Outer::new(([10, 0, 1, 10].into(), 60_001), ([10, 0, 1, 20].into(), 6081));
    let payload = sample::ipv4_tcp();
    let envelope = Envelope::parse(&payload, &Profile::AWS).unwrap();
    let mut seen_ffff = false;
    for word in 0..=u16::MAX {
        let inner = [&word.to_be_bytes()[..], &[0x45; 3][..usize::from(word & 1)]].concat();
        let reply = envelope.reply_with(&inner, &outer, &policy).unwrap();
        assert_ne!(reply.outer().udp_checksum, 0);
        seen_ffff |= reply.outer().udp_checksum == 0xffff;
        let mut buffer = [0; 96];
        let len = reply.write_to(&mut buffer).unwrap();
        assert!(Outer::parse(&buffer[..len]).is_ok());
    }
    assert!(seen_ffff);
}

#[test]
fn tenants_with_the_same_addresses_stay_apart() {
    let inner = sample::ipv4(6, &sample::tcp(b""));
    let [a, b] = [[1; 8], [2; 8]].map(|endpoint: [u8; 8]| {
        datagram(EtherType::IPV4, &aws_options(&endpoint, &[0; 8], &[7; 4]), &inner)
    });
    let parse = |payload| {
        let envelope = Envelope::parse(payload, &Profile::AWS).unwrap();
        (envelope.endpoint(), FiveTuple::parse(envelope.inner()).unwrap())
    };
    let (a, b) = (parse(&a[..]), parse(&b[..]));
    assert_eq!(a.1, b.1);
    assert_ne!(a.0, b.0);
}

/// Not one packet of the captures, cut at any length, ends the process.
#[cfg(feature = "capture")]
#[test]
fn no_malformed_packet_ends_the_process() {
    for frame in support::fixtures::captures().into_iter().flat_map(|capture| capture.frames) {
        for len in (0..frame.data.len()).step_by(if frame.data.len() > 256 { 13 } else { 1 }) {
            let Some(ip) = frame.data[..len].get(14..) else { continue };
            check::outer(ip);
            check::inner(ip);
            let payload = ip.get(28..).unwrap_or_default();
            check::header(payload);
            check::envelope(payload);
            check::inner(payload.get(40..).unwrap_or_default());
        }
    }
}
