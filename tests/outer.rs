//! The outer IPv4 and UDP headers: what of them is read, and which are refused.

mod support;

use std::net::Ipv4Addr;

use gwlb_geneve::gwlb::{Outer, OuterError};
use gwlb_geneve::packet::IpProtocol;
use proptest::prelude::*;
use support::{check, generate, oracle, sample};

fn received() -> Outer {
    let (gateway, appliance) = (Ipv4Addr::new(10, 0, 10, 74), Ipv4Addr::new(10, 0, 8, 64));
    Outer::new((gateway, 60_276), (appliance, 6081))
}

fn parse(bytes: &[u8]) -> Result<(Outer, &[u8]), OuterError> {
    check::outer(bytes);
    Outer::parse(bytes)
}

/// A packet whose byte at `at` is another, with its IPv4 header checksum put right again.
fn changed(packet: &[u8], at: usize, value: u8) -> Vec<u8> {
    let mut bytes = packet.to_vec();
    bytes[at] = value;
    bytes[10..12].fill(0);
    let sum = oracle::checksum(&bytes[..20]).to_be_bytes();
    bytes[10..12].copy_from_slice(&sum);
    bytes
}

#[test]
fn r3_a_wrong_checksum_is_refused_and_none_is_not() {
    let payload = sample::ipv4_tcp();
    let right = sample::outer(&received(), &payload, true);
    let (outer, inside) = parse(&right).unwrap();
    assert_eq!(inside, payload);
    assert_ne!(outer.udp_checksum, 0);
    assert_eq!(Outer { udp_checksum: 0, ..outer }, received());

    let none = sample::outer(&received(), &payload, false);
    assert_eq!(parse(&none).unwrap(), (received(), &payload[..]));

    for at in 20..right.len() {
        let mut wrong = right.clone();
        wrong[at] ^= 0x10;
        let refused = parse(&wrong).unwrap_err();
        // A changed UDP length may not fit the packet; everything else is a wrong sum.
        assert!(matches!(refused, OuterError::Checksum { .. } | OuterError::Packet(_)), "{at}");
        assert!(matches!(refused, OuterError::Checksum { .. }) || (24..26).contains(&at), "{at}");
    }
}

#[test]
fn a_wrong_header_checksum_is_refused_before_anything_is_believed() {
    let right = sample::outer(&received(), &sample::ipv4_tcp(), false);
    // Not the header length and the total length, which say what there is to sum.
    for at in [1].into_iter().chain(4..20) {
        let mut wrong = right.clone();
        wrong[at] ^= 0x10;
        let refused = parse(&wrong).unwrap_err();
        assert_eq!(refused.reason(), "outer-header-checksum", "{at}");
    }
    // Options are part of the header.
    let mut longer = [&right[..20], &[1; 4], &right[20..]].concat();
    longer[0] += 1;
    longer[3] += 4;
    longer[10..12].fill(0);
    let without_options = oracle::checksum(&longer[..20]).to_be_bytes();
    let whole = oracle::checksum(&longer[..24]).to_be_bytes();
    longer[10..12].copy_from_slice(&without_options);
    assert_eq!(parse(&longer).unwrap_err().reason(), "outer-header-checksum");
    longer[10..12].copy_from_slice(&whole);
    assert!(parse(&longer).is_ok());
    // A sum over IPv4 is never optional: zero stands for itself.
    longer[10..12].fill(0);
    assert_eq!(parse(&longer).unwrap_err().reason(), "outer-header-checksum");
}

#[test]
fn every_field_comes_from_its_place() {
    let outer = Outer {
        source: Ipv4Addr::new(1, 2, 3, 4),
        destination: Ipv4Addr::new(5, 6, 7, 8),
        source_port: 0x090a,
        destination_port: 0x0b0c,
        tos: 0x0d,
        ttl: 0x0e,
        udp_checksum: 0,
    };
    let bytes = sample::outer(&outer, b"payload", false);
    assert_eq!(parse(&bytes), Ok((outer, &b"payload"[..])));
}

#[test]
fn options_and_padding_are_no_payload() {
    let plain = sample::outer(&received(), b"payload", true);
    for words in 1..=10_u8 {
        let options = vec![1; 4 * usize::from(words)];
        let mut bytes = [&plain[..20], &options, &plain[20..]].concat();
        bytes[0] += words;
        bytes[3] += 4 * words;
        bytes[10..12].fill(0);
        let sum = oracle::checksum(&bytes[..20 + options.len()]).to_be_bytes();
        bytes[10..12].copy_from_slice(&sum);
        bytes.extend(b"padding");
        let (outer, payload) = parse(&bytes).unwrap();
        assert_eq!((outer.source_port, payload), (60_276, &b"payload"[..]), "{words} words");
    }
}

/// The sum of a packet on a source route is for the address where the route ends: it says nothing here.
#[test]
fn the_checksum_of_a_source_routed_packet_is_not_looked_at() {
    let mut packet = vec![0_u8; 74];
    packet[..2].copy_from_slice(&[0x4f, 0]);
    packet[3] = 72;
    packet[9..12].copy_from_slice(&[17, 0xa6, 0x04]);
    // An option of 31 bytes, and a loose source route with a stop left.
    packet[20..22].copy_from_slice(&[2, 31]);
    packet[51..53].copy_from_slice(&[131, 8]);
    packet[60..].copy_from_slice(&[0, 0, 0, 0, 0, 12, 0xda, 0x54, 0x99, 7, 0xc2, 0x83, 0xee, 0xee]);
    let (outer, payload) = parse(&packet).unwrap();
    assert_eq!((outer.udp_checksum, payload), (0xda54, &[0x99, 7, 0xc2, 0x83][..]));
    // Without the route it is wrong.
    packet[51..53].copy_from_slice(&[0; 2]);
    packet[10..12].copy_from_slice(&[0xae, 0x87]);
    assert_eq!(parse(&packet).unwrap_err().reason(), "outer-checksum");
}

#[test]
fn fragments_are_refused_and_df_is_not() {
    let whole = sample::outer(&received(), &[0x5a; 16], true);
    for (at, value, refused) in
        [(6, 0x40, false), (6, 0x80, false), (6, 0x20, true), (6, 0x10, true), (7, 0x01, true)]
    {
        let parsed = parse(&changed(&whole, at, value)).map(drop);
        let expected = if refused { Err(OuterError::Fragment) } else { Ok(()) };
        assert_eq!(parsed, expected, "{value:#04x} at {at}");
    }
}

#[test]
fn only_udp_over_ipv4_is_taken() {
    let udp = sample::outer(&received(), b"payload", true);
    for protocol in [0, 4, 6, 41, 136, 255] {
        let refused = OuterError::NotUdp { found: IpProtocol(protocol) };
        assert_eq!(parse(&changed(&udp, 9, protocol)), Err(refused));
    }
    let ipv6 = sample::ipv6(17, &sample::udp(b"payload"));
    assert_eq!(parse(&ipv6), Err(OuterError::NotIpv4));
    assert_eq!(parse(&ipv6[..39]).unwrap_err().reason(), "outer-malformed");
}

#[test]
fn lengths_that_do_not_fit_are_refused() {
    let whole = sample::outer(&received(), b"payload", false);
    for len in 0..whole.len() {
        assert!(matches!(parse(&whole[..len]), Err(OuterError::Packet(_))), "{len} bytes");
    }
    // 15 bytes of UDP: less is a shorter datagram with padding behind it, down to the bare header.
    for udp_len in 0..=255 {
        let payload = parse(&changed(&whole, 25, udp_len)).map(|(_, payload)| payload.len());
        match udp_len {
            8..=15 => assert_eq!(payload, Ok(usize::from(udp_len) - 8)),
            _ => assert!(matches!(payload, Err(OuterError::Packet(_))), "{udp_len}"),
        }
    }
    // 35 bytes in all: the UDP length must fit the total length, whatever lies behind that.
    let longer = [&whole[..], &[0; 300]].concat();
    for total in 0..=255 {
        assert_eq!(parse(&changed(&longer, 3, total)).is_ok(), total >= 35, "{total}");
    }
}

#[test]
fn generated_packets_reach_every_reason() {
    let counts = generate::census(&generate::outer(), 4_000, |bytes| match oracle::outer(&bytes) {
        Ok(outer) if outer.udp_checksum == 0 => "no checksum",
        Ok(_) => "right checksum",
        Err(reason) => reason,
    });
    assert!(counts["no checksum"] > 500 && counts["right checksum"] > 1_000, "{counts:?}");
    for reason in
        ["outer-malformed", "outer-not-ipv4", "outer-fragment", "outer-not-udp", "outer-checksum"]
    {
        assert!(counts[reason] > 20, "{reason}: {counts:?}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    #[test]
    fn any_bytes(bytes: Vec<u8>) {
        check::outer(&bytes);
        check::outer(&[&[0x45], &bytes[..]].concat());
    }

    #[test]
    fn packets_bent_and_straight(bytes in generate::outer()) {
        check::outer(&bytes);
    }
}
