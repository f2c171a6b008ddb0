//! Any edits of any packet: nothing but what was asked for changes, and checksums stay as right or wrong as they
//! were.

use std::net::IpAddr;
use std::ops::Range;

use gwlb_geneve::packet::{ChecksumStatus, EditError, IpPacket, PacketMut, ParseError};

use super::oracle;

/// One edit in 8 bytes: what, and seven bytes of what to.
pub type Edit = [u8; 8];

/// A number of edits, the edits, and the packet that they are made to.
pub fn check(bytes: &[u8]) {
    let Some((&count, rest)) = bytes.split_first() else { return };
    let count = usize::from(count % 8).min(rest.len() / 8);
    let (edits, packet) = rest.split_at(8 * count);
    let edits: Vec<Edit> = edits.chunks_exact(8).filter_map(|edit| edit.try_into().ok()).collect();
    if PacketMut::parse(&mut packet.to_vec()).is_err() {
        return;
    }
    // Once with a view that is made anew each time, once with one that stays.
    let mut stepwise = packet.to_vec();
    for edit in &edits {
        stepwise = step(&stepwise, edit);
    }
    let mut at_once = packet.to_vec();
    let mut view = PacketMut::parse(&mut at_once).expect("it has been parsed");
    for edit in &edits {
        let _refused = apply(&mut view, edit);
    }
    // The payload of GRE is all of it: an edit may set its checksum flag, which a view looks for when it is made.
    if oracle::ip(packet).is_ok_and(|ip| ip.protocol != 47) {
        assert_eq!(at_once, stepwise);
    }
}

/// Makes one edit and compares before and after.
fn step(before: &[u8], edit: &Edit) -> Vec<u8> {
    let mut after = before.to_vec();
    let mut view = PacketMut::parse(&mut after).expect("an edited packet parses");
    let result = apply(&mut view, edit);
    if result.is_err() {
        assert_eq!(after, before, "{result:?}");
        return after;
    }
    let allowed = touched(before, &after, edit);
    for (at, (old, new)) in before.iter().zip(&after).enumerate() {
        assert!(old == new || allowed.iter().any(|range| range.contains(&at)), "byte {at}");
    }
    let [was, is] = [sums(before), sums(&after)];
    assert!(was == is || was.0 == is.0 && is_all_zero(before), "{edit:?}: {was:?}, {is:?}");
    took(&after, edit);
    after
}

/// Whether the IPv4 header checksum is right, and what is said of the transport's.
fn sums(bytes: &[u8]) -> (bool, ChecksumStatus) {
    let packet = IpPacket::parse(bytes).expect("an edited packet parses");
    packet.transport().expect("its transport too");
    let header = match packet {
        IpPacket::V4(packet) => packet.verify_checksum(),
        IpPacket::V6(_) => true,
    };
    (header, packet.verify_transport_checksum())
}

/// ICMP that is all zero has a wrong checksum, since a right one is then not zero; but its sum is off by nothing,
/// and that is what an edit keeps.
fn is_all_zero(bytes: &[u8]) -> bool {
    let ip = oracle::ip(bytes).expect("it has been parsed");
    ip.protocol == 1 && bytes[ip.upper..ip.end].iter().all(|byte| *byte == 0)
}

fn apply(packet: &mut PacketMut<'_>, edit: &Edit) -> Result<(), EditError> {
    let [what, data @ ..] = edit;
    let [a, b, rest @ ..] = *data;
    let number = u16::from_be_bytes([a, b]);
    let length = packet.payload().len();
    let at = usize::from(number) % (length + 1);
    match what % 11 {
        0 => packet.set_source(address(edit)),
        1 => packet.set_destination(address(edit)),
        2 => packet.set_source_port(number),
        3 => packet.set_destination_port(number),
        4 => {
            packet.set_hop_limit(a);
            Ok(())
        }
        5 => packet.set_dscp(a),
        6 => packet.payload_mut(|payload| {
            for (byte, new) in payload[at..].iter_mut().zip(rest) {
                *byte ^= new;
            }
        }),
        7 => packet.replace(at..length.min(at + 5), &rest[..(length - at).min(5)]),
        8 => packet.set_udp_payload(&data[..usize::from(a % 8)]).map(drop),
        9 => packet.set_udp_payload(&vec![b; usize::from(a) * 8]).map(drop),
        _ => {
            packet.clamp_mss(number);
            Ok(())
        }
    }
}

/// The address that an edit sets, of either version.
fn address(edit: &Edit) -> IpAddr {
    let [_, kind, a, b, c, d, e, _] = *edit;
    if kind % 2 == 0 {
        IpAddr::from([a, b, c, d])
    } else {
        IpAddr::from([a, b, c, d, e, 0, 0, 0, 0, 0, 0, 0, a, b, c, d])
    }
}

/// The fields that an edit may change, and the checksums over them.
fn touched(before: &[u8], after: &[u8], edit: &Edit) -> Vec<Range<usize>> {
    let ip = oracle::ip(before).expect("it has been parsed");
    let is_v4 = ip.source.len() == 4;
    let at = ip.upper;
    let header_sum = if is_v4 { 10..12 } else { 0..0 };
    let upper_sum = match (ip.protocol, is_v4) {
        _ if ip.is_later_fragment() => 0..0,
        (6, _) => at + 16..at + 18,
        (17 | 33 | 136, _) => at + 6..at + 8,
        (1, true) | (58, false) => at + 2..at + 4,
        _ => 0..0,
    };
    let upper = oracle::upper(before, &ip).expect("it has been parsed");
    match edit[0] % 11 {
        0 if is_v4 => vec![12..16, header_sum, upper_sum],
        0 => vec![8..24, upper_sum],
        1 if is_v4 => vec![16..20, header_sum, upper_sum],
        1 => vec![24..40, upper_sum],
        2 => vec![at..at + 2, upper_sum],
        3 => vec![at + 2..at + 4, upper_sum],
        4 if is_v4 => vec![8..9, header_sum],
        4 => vec![7..8, 0..0],
        5 if is_v4 => vec![1..2, header_sum],
        5 => vec![0..2, 0..0],
        6 | 7 => vec![upper.data..upper.end, upper_sum],
        8 | 9 => {
            let end = oracle::ip(after).expect("an edited packet parses").end;
            let length = if is_v4 { 2..4 } else { 4..6 };
            vec![upper.data..end, length, at + 4..at + 6, header_sum, upper_sum]
        }
        _ => vec![at + 20..upper.data, upper_sum],
    }
}

/// The edit can be read again.
fn took(after: &[u8], edit: &Edit) {
    let packet = IpPacket::parse(after).expect("an edited packet parses");
    let transport: Result<_, ParseError> = packet.transport();
    let transport = transport.expect("its transport too");
    let number = u16::from_be_bytes([edit[1], edit[2]]);
    match edit[0] % 11 {
        0 => assert_eq!(packet.source(), address(edit)),
        1 => assert_eq!(packet.destination(), address(edit)),
        2 => assert_eq!(transport.ports().map(|ports| ports.source), Some(number)),
        3 => assert_eq!(transport.ports().map(|ports| ports.destination), Some(number)),
        4 => assert_eq!(packet.hop_limit(), edit[1]),
        5 => assert_eq!(packet.traffic_class() >> 2, edit[1]),
        8 => assert_eq!(transport.payload(), &edit[1..][..usize::from(edit[1] % 8)]),
        9 => assert_eq!(transport.payload(), vec![edit[2]; usize::from(edit[1]) * 8]),
        _ => {}
    }
}
