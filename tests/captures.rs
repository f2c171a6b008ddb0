//! The captures of this repository: each is what the code makes of it, and each of its packets has the
//! fate that is written beside it.
#![cfg(feature = "capture")]

mod support;

use std::fs;
use std::path::{Path, PathBuf};

use gwlb_geneve::EtherType;
use gwlb_geneve::capture::{Packet, Reader};
use gwlb_geneve::geneve::{self, UDP_PORT};
use gwlb_geneve::gwlb::{Envelope, Outer, Profile};
use gwlb_geneve::packet::{
    ChecksumStatus, EthernetFrame, FiveTuple, IpPacket, ParseError, Transport,
};
use support::check;
use support::fixtures::{self, Capture, Fate};

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/captures")
}

#[test]
fn files_are_what_the_code_makes() {
    let regenerate = std::env::var_os("REGENERATE").is_some();
    let mut files: Vec<_> =
        fixtures::captures().iter().map(|capture| (capture.file, capture.bytes())).collect();
    files.push(("README.md", fixtures::table().into_bytes()));
    for (name, bytes) in &files {
        let path = folder().join(name);
        if regenerate {
            fs::write(&path, bytes).unwrap();
        }
        let found = fs::read(&path).unwrap_or_default();
        assert!(found == *bytes, "{name} differs: REGENERATE=1 writes it again");
    }
    for entry in fs::read_dir(folder()).unwrap() {
        let name = entry.unwrap().file_name();
        assert!(files.iter().any(|(known, _)| name == *known), "{name:?} is made by nothing");
    }
}

#[test]
fn every_packet_has_its_fate() {
    for capture in fixtures::captures() {
        each_packet(&capture, |packet, frame| {
            let found = fate(packet);
            let comment = frame.comment.as_deref().unwrap_or_default();
            assert_eq!(found, frame.fate, "{} {}: {comment}", capture.file, packet.number);
        });
    }
}

#[test]
fn library_and_oracles_agree_on_every_packet() {
    for capture in fixtures::captures() {
        check::capture(&capture.bytes());
        each_packet(&capture, |packet, _| {
            let Ok((_, payload)) = Outer::parse(packet.network().unwrap().payload) else { return };
            check::header(payload);
            check::envelope(payload);
            if let Ok(geneve) = geneve::Packet::parse(payload) {
                check::inner(geneve.payload());
            }
        });
    }
}

#[test]
fn packets_in_order_have_right_checksums_and_headers() {
    for capture in fixtures::captures() {
        each_packet(&capture, |packet, frame| {
            if frame.fate != Fate::Forward {
                return;
            }
            let bytes = packet.network().unwrap().payload;
            let IpPacket::V4(outer) = IpPacket::parse(bytes).unwrap() else { panic!("not IPv4") };
            assert!(outer.verify_checksum());
            assert_eq!((outer.ttl(), outer.tos(), outer.identification()), (255, 0, 0));
            assert!(!outer.dont_fragment() && outer.options().is_empty());
            let (_, payload) = Outer::parse(bytes).unwrap();
            let inner = Envelope::parse(payload, &Profile::AWS).unwrap().inner();
            let inner = IpPacket::parse(inner).unwrap();
            if let IpPacket::V4(ipv4) = inner {
                assert!(ipv4.verify_checksum());
            }
            let sum = inner.verify_transport_checksum();
            let unsummed =
                inner.is_fragment() || matches!(inner.transport(), Ok(Transport::Other { .. }));
            let expected =
                if unsummed { ChecksumStatus::NotCheckable } else { ChecksumStatus::Valid };
            assert_eq!(sum, expected, "{} {}", capture.file, packet.number);
        });
    }
}

/// Both directions of a flow have one source port and one cookie.
#[test]
fn flows_keep_their_outer_port_and_cookie() {
    use std::collections::HashMap;
    let first = &fixtures::captures()[0];
    assert_eq!(first.file, fixtures::FIRST);
    let mut flows: HashMap<_, (u16, u32)> = HashMap::new();
    let mut reasons = Vec::new();
    each_packet(first, |packet, frame| {
        reasons.extend(frame.fate.reason());
        if frame.fate == Fate::Forward {
            let (outer, payload) = Outer::parse(packet.network().unwrap().payload).unwrap();
            let envelope = Envelope::parse(payload, &Profile::AWS).unwrap();
            let tuple = FiveTuple::parse(envelope.inner()).unwrap();
            let values = (outer.source_port, envelope.cookie().0);
            for tuple in [tuple, tuple.reversed()] {
                let known = *flows.entry((envelope.endpoint(), tuple)).or_insert(values);
                assert_eq!(known, values, "{tuple}");
            }
        }
    });
    assert!((30..=60).contains(&first.frames.len()), "{} packets", first.frames.len());
    assert_eq!(flows.len() / 2, 7);
    reasons.dedup();
    assert_eq!(reasons.len(), 3, "three different reasons");
}

#[test]
fn ethernet_inside_is_read_where_it_is_expected() {
    let captures = fixtures::captures();
    let capture = captures.iter().find(|capture| capture.file == "ethernet-inside.pcapng").unwrap();
    let mut seen = Vec::new();
    each_packet(capture, |packet, _| {
        let (_, payload) = Outer::parse(packet.network().unwrap().payload).unwrap();
        let geneve = geneve::Packet::parse(payload).unwrap();
        assert_eq!(geneve.protocol_type(), EtherType::ETHERNET);
        let frame = EthernetFrame::parse(geneve.payload()).unwrap();
        let vlans: Vec<_> = frame.vlan_tags().map(|tag| tag.id()).collect();
        let tuple = frame.ip().map(|ip| ip.unwrap().five_tuple().unwrap().to_string());
        seen.push((vlans, tuple.unwrap_or_default()));
    });
    let ipv4 = "UDP 10.20.0.5:40001 -> 192.0.2.80:5000".to_owned();
    let ipv6 = "UDP [2001:db8::5]:40002 -> [2001:db8::80]:5000".to_owned();
    let expected = [
        (vec![], ipv4.clone()),
        (vec![42], ipv4.clone()),
        (vec![7, 9], ipv6),
        (vec![], String::new()),
        (vec![], ipv4),
    ];
    assert_eq!(seen, expected);
}

/// Every reason that can be given is given in `malformed.pcapng`.
#[test]
fn malformed_packets_are_complete() {
    let captures = fixtures::captures();
    let malformed = captures.iter().find(|capture| capture.file == "malformed.pcapng").unwrap();
    let mut reasons: Vec<_> =
        malformed.frames.iter().map(|frame| frame.fate.reason().unwrap()).collect();
    reasons.sort_unstable();
    reasons.dedup();
    #[rustfmt::skip]
    let expected = [
        "dccp-truncated", "geneve-control-packet", "geneve-header-truncated", "geneve-option-overrun",
        "geneve-options-truncated", "geneve-protocol-type", "geneve-unknown-critical-option",
        "geneve-version", "gwlb-option-doubled", "gwlb-option-length", "gwlb-option-missing",
        "icmp-truncated", "icmpv6-truncated", "inner-version", "ipv4-fragment-end",
        "ipv4-fragment-length", "ipv4-header-length", "ipv4-total-length", "ipv4-truncated",
        "ipv4-version", "ipv6-extension-count", "ipv6-extension-length", "ipv6-extension-truncated",
        "ipv6-fragment-end", "ipv6-fragment-length", "ipv6-fragment-repeated",
        "ipv6-hop-by-hop-not-first", "ipv6-jumbogram", "ipv6-payload-length", "ipv6-truncated",
        "ipv6-version", "outer-checksum", "outer-fragment", "outer-malformed", "outer-not-ipv4",
        "outer-not-udp", "sctp-truncated", "tcp-data-offset", "tcp-option-length", "tcp-truncated",
        "udp-length", "udp-lite-truncated", "udp-truncated",
    ];
    assert_eq!(reasons, expected);
    for frame in &malformed.frames {
        let comment = frame.comment.as_deref().unwrap();
        assert!(comment.ends_with(frame.fate.reason().unwrap()), "{comment}");
    }
}

/// Reads a capture as a file and shows each packet beside what it was made from.
fn each_packet(capture: &Capture, mut show: impl FnMut(&Packet<'_>, &fixtures::Frame)) {
    let file = capture.bytes();
    let mut reader = Reader::new(file.as_slice()).unwrap();
    for frame in &capture.frames {
        let packet = reader.next_packet().unwrap().unwrap();
        assert_eq!((packet.data, packet.link_type), (&frame.data[..], frame.link_type));
        assert_eq!(packet.timestamp.as_nanos(), frame.micros * 1_000);
        show(&packet, frame);
    }
    assert!(reader.next_packet().is_none());
}

/// Judges a packet as an appliance does, from the outside in.
fn fate(packet: &Packet<'_>) -> Fate {
    let network = packet.network().unwrap();
    if !matches!(network.ether_type, EtherType::IPV4 | EtherType::IPV6) {
        return Fate::Foreign;
    }
    let (outer, payload) = match Outer::parse(network.payload) {
        Ok(parsed) => parsed,
        Err(error) => return Fate::Outer(error.reason()),
    };
    if outer.destination_port != UDP_PORT {
        return Fate::Foreign;
    }
    match Envelope::parse(payload, &Profile::AWS) {
        Err(error) => Fate::Envelope(error.reason()),
        Ok(envelope) => match inner(envelope.inner()) {
            Err(error) => Fate::Inner(error.reason()),
            Ok(()) => Fate::Forward,
        },
    }
}

fn inner(bytes: &[u8]) -> Result<(), ParseError> {
    IpPacket::parse(bytes)?.check_whole()
}
