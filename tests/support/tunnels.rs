//! Tunnels: packed by hand, walked by a plain reader, and what must hold of the library for any bytes.

use gwlb_geneve::packet::{
    ChecksumStatus, CraftError, IpPacket, Opaque, Toward, Tunnel, TunnelKind, Tunneled,
};

use super::oracle::{self, Refusal, number};

/// A packet found by the plain reader: where it starts and what carries it there.
#[derive(Debug, PartialEq, Eq)]
pub struct Layer {
    pub at: usize,
    /// Protocol, key or VNI, and the sequence number.
    pub by: (&'static str, Option<u32>, Option<u32>),
}

/// The packets inside and why there may be more; `bytes` are an IP packet.
pub fn walk(bytes: &[u8]) -> Result<(Vec<Layer>, Option<Opaque>), Refusal> {
    let mut layers: Vec<Layer> = Vec::new();
    let mut at = 0;
    let mut packet = oracle::ip(bytes)?;
    loop {
        let found = step(&bytes[at..], &packet);
        let (inside, version, by) = match found {
            Err(_) | Ok(Step::Inside(..)) if layers.len() == 2 => {
                return Ok((layers, Some(Opaque::TooDeep)));
            }
            Err((reason, offset)) => return Err((reason, at + offset)),
            Ok(Step::Nothing) => return Ok((layers, None)),
            Ok(Step::Opaque(opaque)) => return Ok((layers, Some(opaque))),
            Ok(Step::Inside(inside, version, by)) => (inside, version, by),
        };
        let end = at + packet.end_of_tunnel(&bytes[at..]);
        at += inside;
        let inner = &bytes[at..end];
        let parsed =
            if version == 4 { oracle::ipv4(inner, false) } else { oracle::ipv6(inner, false) };
        packet = parsed.map_err(|(reason, offset)| (reason, at + offset))?;
        layers.push(Layer { at, by });
    }
}

enum Step {
    Nothing,
    Opaque(Opaque),
    /// Where the packet inside starts, its version, and what carries it.
    Inside(usize, u8, (&'static str, Option<u32>, Option<u32>)),
}

fn step(bytes: &[u8], ip: &oracle::Ip) -> Result<Step, Refusal> {
    let (at, end) = (ip.upper, ip.end);
    match ip.protocol {
        50 => Ok(Step::Opaque(Opaque::Encrypted)),
        51 if ip.source.len() == 4 => Ok(Step::Opaque(Opaque::Unknown)),
        4 | 41 | 47 if ip.is_part() => Ok(Step::Opaque(Opaque::Fragment)),
        4 => Ok(Step::Inside(at, 4, ("ip", None, None))),
        41 => Ok(Step::Inside(at, 6, ("ip", None, None))),
        47 => gre(bytes, at, end),
        17 if !ip.is_later_fragment() && oracle::upper(bytes, ip).is_ok() => {
            let end = ip.end_of_tunnel(bytes);
            if number(bytes, at + 2, 2) != 4789 {
                return Ok(Step::Nothing);
            }
            let flagged = end > at + 8 && bytes[at + 8] & 8 != 0;
            if ip.is_part() {
                let may_be = flagged || end == at + 8;
                return Ok(if may_be { Step::Opaque(Opaque::Fragment) } else { Step::Nothing });
            }
            if !flagged || end < at + 16 {
                return Ok(Step::Nothing);
            }
            let by = ("vxlan", Some(number(bytes, at + 12, 3) as u32), None);
            match ethernet(bytes, at + 16, end) {
                Ok(found) => {
                    Ok(found.map_or(Step::Nothing, |(at, version)| Step::Inside(at, version, by)))
                }
                Err(("ethernet-truncated", _)) => Ok(Step::Nothing),
                Err(refusal) => Err(refusal),
            }
        }
        _ => Ok(Step::Nothing),
    }
}

fn gre(bytes: &[u8], mut at: usize, end: usize) -> Result<Step, Refusal> {
    let unknown = Ok(Step::Opaque(Opaque::Unknown));
    if end < at + 4 {
        return unknown;
    }
    let (flags, version, kind) = (bytes[at], bytes[at + 1] % 8, number(bytes, at + 2, 2));
    at += 4;
    let mut words = [None; 8];
    for bit in [0, 2, 3] {
        if flags & (0x80 >> bit) != 0 {
            if end < at + 4 {
                return unknown;
            }
            words[bit] = Some(number(bytes, at, 4) as u32);
            at += 4;
        }
    }
    let by = ("gre", words[2], words[3]);
    if version != 0 || flags & 0x40 != 0 {
        return unknown;
    }
    match kind {
        0x0800 => Ok(Step::Inside(at, 4, by)),
        0x86dd => Ok(Step::Inside(at, 6, by)),
        0x6558 => Ok(ethernet(bytes, at, end)?
            .map_or(Step::Nothing, |(at, version)| Step::Inside(at, version, by))),
        _ => unknown,
    }
}

/// Where the IP packet in a frame starts, and its version by the frame's type.
fn ethernet(bytes: &[u8], frame: usize, end: usize) -> Result<Option<(usize, u8)>, Refusal> {
    let mut at = frame + 14;
    for tags in 0.. {
        if at > end {
            return Err(("ethernet-truncated", frame));
        }
        match number(bytes, at - 2, 2) {
            0x8100 | 0x88a8 | 0x9100 if tags == 4 => return Err(("vlan-tag-count", at - 2)),
            0x8100 | 0x88a8 | 0x9100 => at += 4,
            0x0800 => return Ok(Some((at, 4))),
            0x86dd => return Ok(Some((at, 6))),
            _ => break,
        }
    }
    Ok(None)
}

impl oracle::Ip {
    /// Where what a tunnel carries ends: with UDP where that says.
    fn end_of_tunnel(&self, bytes: &[u8]) -> usize {
        match self.protocol {
            17 => self.end.min(self.upper + number(bytes, self.upper + 4, 2)),
            _ => self.end,
        }
    }
}

/// How many ways there are to [`pack`].
pub const PACKINGS: usize = 10;

/// An IP packet in one of several tunnels, all lengths and checksums right.
pub fn pack(how: usize, inner: &[u8]) -> Vec<u8> {
    let is_v6 = inner.first().is_some_and(|byte| byte / 16 == 6);
    let (protocol, ether_type) = if is_v6 { (41, [0x86, 0xdd]) } else { (4, [0x08, 0x00]) };
    let mac = [2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 2];
    let vlan = [0x81, 0x00, 0x20, 0x2a];
    let (vxlan, vni) = ([8, 0, 0, 0], [0x12, 0x34, 0x56, 0]);
    let frame = [&mac[..], &ether_type, inner].concat();
    let tagged = [&mac[..], &vlan, &ether_type, inner].concat();
    match how % PACKINGS {
        0 => ip(4, protocol, inner),
        1 => ip(6, protocol, inner),
        2 => ip(4, 47, &[&[0, 0], &ether_type[..], inner].concat()),
        3 => {
            let mut gre = [&[0xa0, 0], &ether_type[..], &[0, 0, 0, 0, 0, 0, 0, 7], inner].concat();
            let sum = oracle::checksum(&gre);
            gre[4..6].copy_from_slice(&sum.to_be_bytes());
            ip(6, 47, &gre)
        }
        4 => ip(4, 47, &[&[0x20, 0, 0x65, 0x58, 0, 0, 0, 7][..], &tagged].concat()),
        5 => ip(4, 17, &udp(&[&vxlan[..], &vni, &frame].concat())),
        6 => ip(6, 17, &udp(&[&vxlan[..], &vni, &tagged].concat())),
        7 => {
            let mut packet = ip(4, 17, &udp(&[&vxlan[..], &vni, &frame].concat()));
            packet[26..28].fill(0);
            packet
        }
        8 => ip(4, 47, &[&[0x30, 0], &ether_type[..], &[0, 0, 0, 7, 0, 0, 0, 9], inner].concat()),
        _ => ip(6, 60, &[&[protocol, 0, 4, 1, 4, 1, 1, 0], inner].concat()),
    }
}

fn udp(data: &[u8]) -> Vec<u8> {
    let length = (8 + data.len() as u16).to_be_bytes();
    [&[0xc0, 0x01, 0x12, 0xb5, length[0], length[1], 0, 0], data].concat()
}

/// A packet of either version around an upper layer; UDP gets its checksum.
fn ip(version: u8, protocol: u8, upper: &[u8]) -> Vec<u8> {
    let mut packet = match version {
        4 => {
            let [a, b] = (20 + upper.len() as u16).to_be_bytes();
            let mut header = vec![0x45, 0, a, b, 0, 9, 0, 0, 61, protocol, 0, 0, 10, 0, 0, 1];
            header.extend([10, 0, 0, 2]);
            let sum = oracle::checksum(&header).to_be_bytes();
            header[10..12].copy_from_slice(&sum);
            header
        }
        _ => {
            let [a, b] = (upper.len() as u16).to_be_bytes();
            let mut header = vec![0x60, 0, 0, 0, a, b, protocol, 61];
            for last in [1, 2] {
                header.extend([0x20, 1, 0xd, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, last]);
            }
            header
        }
    };
    let at = packet.len();
    packet.extend(upper);
    if protocol == 17 {
        let ends = if version == 4 { 12..20 } else { 8..40 };
        let pseudo = [&packet[ends], &[0, 17], &upper[4..6], upper].concat();
        let sum = match oracle::checksum(&pseudo) {
            0 => 0xffff,
            sum => sum,
        };
        packet[at + 6..at + 8].copy_from_slice(&sum.to_be_bytes());
    }
    packet
}

fn by(tunnel: &Tunnel<'_>) -> (&'static str, Option<u32>, Option<u32>) {
    match tunnel.kind() {
        TunnelKind::Gre { key, sequence_number, .. } => ("gre", key, sequence_number),
        TunnelKind::IpInIp => ("ip", None, None),
        TunnelKind::Vxlan { vni, .. } => ("vxlan", Some(vni), None),
        kind => panic!("{kind:?} is new"),
    }
}

/// Library and plain reader see the same packets in one another; what was unwrapped can be wrapped again.
pub fn check(bytes: &[u8]) {
    let Ok(packet) = IpPacket::parse(bytes) else { return };
    match (Tunneled::look_through(&packet), walk(bytes)) {
        (Ok(found), Ok((layers, opaque))) => {
            assert_eq!((found.depth(), found.opaque()), (layers.len(), opaque));
            assert_eq!(found.offset(), layers.last().map_or(0, |layer| layer.at));
            assert_eq!(found.outermost().bytes(), packet.bytes());
            let inner = found.innermost().bytes();
            assert_eq!(inner, &bytes[found.offset()..][..inner.len()]);
            let mut at = 0;
            for (tunnel, layer) in found.tunnels().zip(&layers) {
                assert_eq!(by(&tunnel), layer.by);
                let carrier = tunnel.carrier().bytes();
                assert_eq!(carrier, &bytes[at..][..carrier.len()]);
                assert_eq!(tunnel.header(), &carrier[tunnel.carrier().header_len()..layer.at - at]);
                if let Some(frame) = tunnel.frame() {
                    assert!(tunnel.header().ends_with(&frame_header(&frame)));
                }
                at = layer.at;
            }
            for toward in [Toward::Receiver, Toward::Sender] {
                wrap(&found, toward);
            }
        }
        (Err(error), Err(expected)) => {
            assert_eq!((error.reason(), error.offset()), expected, "{error}");
        }
        (found, expected) => panic!("library: {found:?}, plain reader: {expected:?}"),
    }
}

fn frame_header(frame: &gwlb_geneve::packet::EthernetFrame<'_>) -> Vec<u8> {
    let mut header = [frame.destination(), frame.source()].concat();
    for tag in frame.vlan_tags() {
        header.extend(tag.protocol.0.to_be_bytes());
        header.extend(tag.control.to_be_bytes());
    }
    header.extend(frame.ether_type().expect("IP").0.to_be_bytes());
    header
}

/// Wraps the innermost packet again, and unwraps it.
fn wrap(found: &Tunneled<'_>, toward: Toward) {
    let inner = found.innermost().bytes();
    let length = found.wrapped_len(toward, inner.len());
    let mut buffer = vec![0xee; length + 3];
    let mut short = vec![0xee; length.saturating_sub(1)];
    let wrapped = match found.wrap(toward, inner, &mut buffer) {
        Ok(written) => {
            assert_eq!(written, length);
            assert_eq!(buffer[length..], [0xee; 3]);
            let no_room = CraftError::NoRoom { expected: length, found: length - 1 };
            assert_eq!(found.wrap(toward, inner, &mut short), Err(no_room));
            &buffer[..length]
        }
        Err(error) => {
            assert!(buffer.iter().all(|byte| *byte == 0xee), "{error}");
            assert!(found.tunnels().any(|tunnel| refuses(&tunnel, toward, error)), "{error}");
            return;
        }
    };
    assert!(short.iter().all(|byte| *byte == 0xee));
    let packet = IpPacket::parse(wrapped).expect("what was wrapped parses");
    assert!(packet.trailer().is_empty());
    let again = Tunneled::look_through(&packet).expect("what was wrapped can be unwrapped");
    assert_eq!(again.innermost().bytes(), inner);
    assert_eq!((again.depth(), again.opaque()), (found.depth(), found.opaque()));
    for (now, was) in again.tunnels().zip(found.tunnels()) {
        assert_eq!(by(&now), by(&was));
        let (to, from) = (now.carrier().destination(), now.carrier().source());
        let ends = (was.carrier().source(), was.carrier().destination());
        if toward == Toward::Sender {
            assert_eq!((to, from, now.carrier().hop_limit()), (ends.0, ends.1, 64));
        } else {
            assert_eq!((from, to), ends);
            assert_eq!(now.carrier().hop_limit(), was.carrier().hop_limit());
        }
        if let (Some(now), Some(was)) = (now.frame(), was.frame()) {
            let mut ends = [was.source(), was.destination()];
            if toward == Toward::Sender {
                ends.reverse();
            }
            assert_eq!([now.source(), now.destination()], ends);
        }
        right_checksums(&now);
        let absent = was.verify_checksum() == ChecksumStatus::Absent;
        assert_eq!(now.verify_checksum() == ChecksumStatus::Absent, absent);
    }
    // Nothing is changed that need not be.
    let exact = found
        .tunnels()
        .all(|tunnel| is_exact(&tunnel) && tunnel.verify_checksum() != ChecksumStatus::Invalid);
    if toward == Toward::Receiver && exact && ends_together(found) {
        let mut expected = found.outermost().bytes().to_vec();
        // 0 and 0xffff say the same in a GRE checksum.
        let mut wrapped = wrapped.to_vec();
        for (at, tunnel) in starts(found) {
            if let TunnelKind::Gre { checksum: Some(0 | 0xffff), .. } = tunnel.kind() {
                let at = at + tunnel.carrier().header_len() + 4;
                expected[at..at + 2].fill(0);
                wrapped[at..at + 2].fill(0);
            }
        }
        assert_eq!(wrapped, expected);
    }
}

fn starts<'a>(found: &Tunneled<'a>) -> Vec<(usize, Tunnel<'a>)> {
    let mut at = 0;
    let with_start = |tunnel: Tunnel<'a>| {
        let start = at;
        at += tunnel.carrier().header_len() + tunnel.header().len();
        (start, tunnel)
    };
    found.tunnels().map(with_start).collect()
}

/// Checksums of the IP header and of the tunnel.
pub fn right_checksums(tunnel: &Tunnel<'_>) {
    if let IpPacket::V4(carrier) = tunnel.carrier() {
        assert!(carrier.verify_checksum());
    }
    let status = tunnel.verify_checksum();
    assert!(matches!(status, ChecksumStatus::Valid | ChecksumStatus::Absent), "{status:?}");
}

fn is_exact(tunnel: &Tunnel<'_>) -> bool {
    match tunnel.carrier() {
        IpPacket::V4(carrier) => carrier.verify_checksum() && carrier.header_checksum() != 0xffff,
        IpPacket::V6(_) => true,
    }
}

/// Whether no packet is followed by bytes that do not belong to the one inside it.
fn ends_together(found: &Tunneled<'_>) -> bool {
    let end = found.outermost().bytes().as_ptr_range().end;
    let carriers = found.tunnels().map(|tunnel| tunnel.carrier().bytes());
    carriers.chain([found.innermost().bytes()]).all(|bytes| bytes.as_ptr_range().end == end)
}

/// Whether this is the tunnel for which wrapping was refused so.
fn refuses(tunnel: &Tunnel<'_>, toward: Toward, error: CraftError) -> bool {
    let carrier = tunnel.carrier();
    let is_group = |address: std::net::IpAddr| {
        let broadcast = std::net::Ipv4Addr::BROADCAST;
        address.is_multicast() || address.is_unspecified() || address == broadcast
    };
    match error {
        CraftError::Sequenced => by(tunnel).0 == "gre" && by(tunnel).2.is_some(),
        CraftError::Authenticated => {
            let ip = oracle::ip(carrier.bytes()).expect("it has been parsed");
            ip.extensions.iter().any(|(kind, _)| *kind == 51)
        }
        CraftError::NoSingleEnd => {
            carrier.is_source_routed()
                || toward == Toward::Sender
                    && (is_group(carrier.source()) || is_group(carrier.destination()))
        }
        _ => false,
    }
}
