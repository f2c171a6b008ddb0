//! Edits against packets that are built from scratch, a byte at a time.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::Index;

use super::*;
use crate::packet::tests::build;
use crate::packet::{ChecksumStatus, Layer};

/// Everything that a packet says, apart from what follows from it: lengths and checksums.
#[derive(Clone, Debug)]
struct Model {
    is_ipv4: bool,
    source: [u8; 16],
    destination: [u8; 16],
    traffic_class: u8,
    hop_limit: u8,
    extra: Extra,
    protocol: u8,
    ports: [u16; 2],
    rest: Rest,
    payload: Vec<u8>,
    /// Bytes of the IP packet behind the UDP datagram.
    surplus: Vec<u8>,
}

/// What is between the fixed IP header and the upper layer.
#[derive(Clone, Debug)]
enum Extra {
    Nothing,
    /// IPv4 options, whole words.
    Options(Vec<u8>),
    DestinationOptions,
    AtomicFragment,
    /// A routing header with one stop left, and the final destination.
    Routing([u8; 16]),
}

#[derive(Clone, Debug)]
enum Rest {
    Tcp { flags: u8, options: Vec<u8> },
    Udp { summed: bool },
    Icmp { kind: u8, identifier: u16 },
    Gre,
}

impl Model {
    /// The upper layer with a right checksum, two bytes at a time (RFC 1071).
    fn upper(&self) -> Vec<u8> {
        let mut bytes = Vec::new();
        let udp_len = 8 + self.payload.len() as u16;
        let checksum_at = match &self.rest {
            Rest::Tcp { flags, options } => {
                bytes.extend(self.ports.map(u16::to_be_bytes).concat());
                bytes.extend([1, 2, 3, 4, 5, 6, 7, 8]);
                bytes.extend([(5 + options.len() as u8 / 4) << 4, *flags, 9, 9, 0, 0, 7, 7]);
                bytes.extend(options);
                Some(16)
            }
            Rest::Udp { summed } => {
                bytes.extend(self.ports.map(u16::to_be_bytes).concat());
                bytes.extend(udp_len.to_be_bytes());
                bytes.extend([0, 0]);
                summed.then_some(6)
            }
            Rest::Icmp { kind, identifier } => {
                bytes.extend([*kind, 0, 0, 0]);
                bytes.extend(identifier.to_be_bytes());
                bytes.extend([0, 0]);
                Some(2)
            }
            Rest::Gre => {
                bytes.extend([0, 0, 8, 0]);
                None
            }
        };
        bytes.extend(&self.payload);
        if let Some(at) = checksum_at {
            let mut covered = Vec::new();
            if self.protocol != 1 {
                let destination = match &self.extra {
                    Extra::Routing(last) => last,
                    _ => &self.destination,
                };
                let length = if self.is_ipv4 { 4 } else { 16 };
                covered.extend(&self.source[..length]);
                covered.extend(&destination[..length]);
                covered.extend((bytes.len() as u32).to_be_bytes());
                covered.extend([0, self.protocol]);
            }
            covered.extend(&bytes);
            let sum = match naive_checksum(&covered) {
                0 if self.protocol == 17 => 0xffff,
                sum => sum,
            };
            bytes[at..at + 2].copy_from_slice(&sum.to_be_bytes());
        }
        bytes.extend(&self.surplus);
        bytes
    }

    fn packet(&self) -> Vec<u8> {
        self.around(&self.upper(), None)
    }

    /// The IP packet around an upper layer, or around a part of it: its offset, and whether more follow.
    fn around(&self, upper: &[u8], fragment: Option<(usize, bool)>) -> Vec<u8> {
        let mut packet;
        if self.is_ipv4 {
            let options = match &self.extra {
                Extra::Options(options) => options.clone(),
                _ => Vec::new(),
            };
            let header_len = 20 + options.len();
            packet = vec![0x40 | (header_len / 4) as u8, self.traffic_class];
            packet.extend(((header_len + upper.len()) as u16).to_be_bytes());
            packet.extend([0x12, 0x34]);
            let (offset, more) = fragment.unwrap_or_default();
            packet.extend((offset as u16 / 8 + if more { 0x2000 } else { 0 }).to_be_bytes());
            packet.extend([self.hop_limit, self.protocol, 0, 0]);
            packet.extend(&self.source[..4]);
            packet.extend(&self.destination[..4]);
            packet.extend(options);
            let sum = naive_checksum(&packet);
            packet[10..12].copy_from_slice(&sum.to_be_bytes());
        } else {
            let mut headers = Vec::new();
            let mut next = self.protocol;
            match &self.extra {
                Extra::DestinationOptions => {
                    headers.extend([next, 0, 1, 4, 0, 0, 0, 0]);
                    next = 60;
                }
                Extra::AtomicFragment => {
                    headers.extend([next, 0, 0, 0, 1, 2, 3, 4]);
                    next = 44;
                }
                Extra::Routing(last) => {
                    headers.extend([next, 2, 0, 1, 0, 0, 0, 0]);
                    headers.extend(last);
                    next = 43;
                }
                Extra::Nothing | Extra::Options(_) => {}
            }
            if let Some((offset, more)) = fragment {
                headers.splice(0..0, build::fragment_header(next, offset as u16, more));
                next = 44;
            }
            packet = vec![0x60 | (self.traffic_class >> 4), (self.traffic_class << 4) | 0xa, 1, 2];
            packet.extend(((headers.len() + upper.len()) as u16).to_be_bytes());
            packet.extend([next, self.hop_limit]);
            packet.extend(self.source);
            packet.extend(self.destination);
            packet.extend(headers);
        }
        packet.extend(upper);
        packet
    }

    fn address(&self, octets: [u8; 16]) -> IpAddr {
        if self.is_ipv4 {
            let [a, b, c, d, ..] = octets;
            Ipv4Addr::new(a, b, c, d).into()
        } else {
            Ipv6Addr::from(octets).into()
        }
    }

    /// Makes one edit on model and packet.
    fn edit(&mut self, edit: &Edit, packet: &mut PacketMut<'_>) {
        let has_ports = matches!(self.rest, Rest::Tcp { .. } | Rest::Udp { .. });
        match edit {
            Edit::Source(octets) => {
                self.source = *octets;
                packet.set_source(self.address(*octets)).unwrap();
            }
            Edit::Destination(octets) => {
                self.destination = *octets;
                packet.set_destination(self.address(*octets)).unwrap();
            }
            Edit::Port(side, port) => {
                let set = match side {
                    0 => packet.set_source_port(*port),
                    _ => packet.set_destination_port(*port),
                };
                assert_eq!(set.is_ok(), has_ports);
                self.ports[*side] = *port;
            }
            Edit::HopLimit(hop_limit) => {
                self.hop_limit = *hop_limit;
                packet.set_hop_limit(*hop_limit);
            }
            Edit::Dscp(dscp) => {
                self.traffic_class = (dscp << 2) | (self.traffic_class & 3);
                packet.set_dscp(*dscp).unwrap();
            }
            Edit::Xor(mask) => {
                self.payload.iter_mut().for_each(|byte| *byte ^= mask);
                let header = if matches!(self.rest, Rest::Gre) { 4 } else { 0 };
                let length = packet
                    .payload_mut(|bytes| {
                        bytes[header..].iter_mut().for_each(|byte| *byte ^= mask);
                        bytes.len()
                    })
                    .unwrap();
                assert_eq!(length, self.payload.len() + header);
            }
            Edit::Replace(start, bytes) => {
                let header = if matches!(self.rest, Rest::Gre) { 4 } else { 0 };
                let start = start.index(self.payload.len() + 1);
                let end = (start + bytes.len()).min(self.payload.len());
                let bytes = &bytes[..end - start];
                self.payload[start..end].copy_from_slice(bytes);
                packet.replace(header + start..header + end, bytes).unwrap();
            }
            Edit::ClampMss(max) => {
                let mut clamped = false;
                if let Rest::Tcp { flags, options } = &mut self.rest {
                    if *flags & 2 != 0 {
                        for at in mss_values(options) {
                            let value = u16::from_be_bytes([options[at], options[at + 1]]);
                            clamped |= value > *max;
                            options[at..at + 2].copy_from_slice(&value.min(*max).to_be_bytes());
                        }
                    }
                }
                assert_eq!(packet.clamp_mss(*max), clamped);
            }
            Edit::UdpPayload(payload) => {
                let result = packet.set_udp_payload(payload);
                if matches!(self.rest, Rest::Udp { .. }) {
                    self.payload = payload.clone();
                    self.surplus.clear();
                    assert_eq!(result, Ok(self.packet().len()));
                } else {
                    assert!(matches!(result, Err(EditError::NotUdp { .. })));
                }
            }
        }
    }

    /// Where the checksum of the upper layer is.
    fn checksum_at(&self) -> Option<usize> {
        let upper = self.packet().len() - self.upper().len();
        match self.rest {
            Rest::Tcp { .. } => Some(upper + 16),
            Rest::Udp { summed } => summed.then_some(upper + 6),
            Rest::Icmp { .. } => Some(upper + 2),
            Rest::Gre => None,
        }
    }
}

#[derive(Clone, Debug)]
enum Edit {
    Source([u8; 16]),
    Destination([u8; 16]),
    Port(usize, u16),
    HopLimit(u8),
    Dscp(u8),
    Xor(u8),
    Replace(Index, Vec<u8>),
    ClampMss(u16),
    UdpPayload(Vec<u8>),
}

/// RFC 1071, two bytes at a time, the carry added as it comes.
fn naive_checksum(bytes: &[u8]) -> u16 {
    let mut sum = 0_u16;
    for pair in bytes.chunks(2) {
        let word = pair[0] as u16 * 256 + pair.get(1).copied().unwrap_or(0) as u16;
        let (next, carry) = sum.overflowing_add(word);
        sum = next + u16::from(carry);
    }
    !sum
}

/// Where the values of the MSS options are in the options of a segment.
fn mss_values(options: &[u8]) -> Vec<usize> {
    let (mut at, mut found) = (0, Vec::new());
    while at < options.len() && options[at] != 0 {
        if options[at] == 1 {
            at += 1;
            continue;
        }
        if options[at] == 2 {
            found.push(at + 2);
        }
        at += options[at + 1] as usize;
    }
    found
}

fn tcp_options() -> impl Strategy<Value = Vec<u8>> {
    let option = prop_oneof![
        Just(vec![1]),
        Just(vec![3, 3, 7]),
        Just(vec![4, 2]),
        any::<u16>().prop_map(|mss| [&[2, 4][..], &mss.to_be_bytes()].concat()),
        any::<[u8; 3]>().prop_map(|data| [&[254, 5][..], &data].concat()),
    ];
    vec(option, 0..8).prop_map(|options| {
        let mut bytes = options.concat();
        bytes.resize(bytes.len().next_multiple_of(4), 0);
        bytes
    })
}

fn models() -> impl Strategy<Value = Model> {
    // Zeros and ones make sums that are zero.
    let address = || prop_oneof![4 => any::<[u8; 16]>(), 1 => Just([0; 16]), 1 => Just([0xff; 16])];
    let data = || prop_oneof![3 => vec(any::<u8>(), 0..40), 1 => vec(Just(0), 0..9), 1 => vec(Just(0xff), 0..9)];
    let rest = prop_oneof![
        4 => (any::<u8>(), tcp_options()).prop_map(|(flags, options)| Rest::Tcp { flags, options }),
        4 => prop::bool::weighted(0.8).prop_map(|summed| Rest::Udp { summed }),
        2 => (any::<bool>(), 0_u16..3)
            .prop_map(|(reply, identifier)| Rest::Icmp { kind: u8::from(!reply) * 8, identifier }),
        1 => Just(Rest::Gre),
    ];
    let extra = (0..5, vec(any::<u8>(), 0..10), address());
    let ip = (any::<bool>(), address(), address(), any::<u8>(), any::<u8>(), extra);
    (ip, any::<[u16; 2]>(), rest, data(), vec(any::<u8>(), 0..4)).prop_map(
        |(ip, ports, mut rest, payload, mut surplus)| {
            let (is_ipv4, source, destination, traffic_class, hop_limit, extra) = ip;
            let (shape, options, last) = extra;
            let extra = match (is_ipv4, shape) {
                (true, 0 | 1) => Extra::Options(options.repeat(4)),
                (false, 0) => Extra::DestinationOptions,
                (false, 1) => Extra::AtomicFragment,
                (false, 2) => Extra::Routing(last),
                _ => Extra::Nothing,
            };
            let protocol = match &mut rest {
                Rest::Tcp { .. } => 6,
                Rest::Udp { .. } => 17,
                Rest::Icmp { .. } if is_ipv4 => 1,
                Rest::Icmp { kind, .. } => {
                    *kind |= 128;
                    58
                }
                Rest::Gre => 47,
            };
            if protocol != 17 {
                surplus.clear();
            }
            Model {
                is_ipv4,
                source,
                destination,
                traffic_class,
                hop_limit,
                extra,
                protocol,
                ports,
                rest,
                payload,
                surplus,
            }
        },
    )
}

/// Edits that every fragment can have, and with `inside` those of the payload too.
fn edits(inside: bool) -> impl Strategy<Value = Vec<Edit>> {
    let address = || prop_oneof![3 => any::<[u8; 16]>(), 1 => Just([0; 16]), 1 => Just([0xff; 16])];
    let outside = prop_oneof![
        address().prop_map(Edit::Source),
        address().prop_map(Edit::Destination),
        any::<u8>().prop_map(Edit::HopLimit),
        (0_u8..64).prop_map(Edit::Dscp),
    ];
    let within = prop_oneof![
        (0_usize..2, any::<u16>()).prop_map(|(side, port)| Edit::Port(side, port)),
        any::<u8>().prop_map(Edit::Xor),
        (any::<Index>(), vec(any::<u8>(), 0..9)).prop_map(|(at, bytes)| Edit::Replace(at, bytes)),
        (any::<Index>(), vec(Just(0), 0..50)).prop_map(|(at, bytes)| Edit::Replace(at, bytes)),
        any::<u16>().prop_map(Edit::ClampMss),
        vec(any::<u8>(), 0..60).prop_map(Edit::UdpPayload),
    ];
    let edit = if inside { prop_oneof![outside, within].boxed() } else { outside.boxed() };
    vec(edit, 0..8)
}

/// Room for what an edit adds.
const ROOM: usize = 80;

proptest! {
    #![proptest_config(ProptestConfig::with_cases(3000))]

    #[test]
    fn an_edited_packet_is_the_packet_built_so(mut model in models(), edits in edits(true)) {
        let mut bytes = model.packet();
        bytes.resize(bytes.len() + ROOM, 0xee);
        let mut packet = PacketMut::parse(&mut bytes).unwrap();
        for edit in &edits {
            model.edit(edit, &mut packet);
            prop_assert_eq!(packet.bytes(), &model.packet()[..], "{:?}", edit);
        }
        let packet = IpPacket::parse(&bytes).unwrap();
        if let IpPacket::V4(packet) = packet {
            prop_assert!(packet.verify_checksum());
        }
        let expected = match (&model.extra, &model.rest) {
            (Extra::Routing(_), _) | (_, Rest::Gre) => ChecksumStatus::NotCheckable,
            // Random options may be a source route.
            _ if packet.is_source_routed() => ChecksumStatus::NotCheckable,
            (_, Rest::Udp { summed: false }) if model.is_ipv4 => ChecksumStatus::Absent,
            (_, Rest::Udp { summed: false }) => ChecksumStatus::Invalid,
            _ => ChecksumStatus::Valid,
        };
        prop_assert_eq!(packet.verify_transport_checksum(), expected);
    }

    #[test]
    fn a_wrong_checksum_stays_as_wrong(
        mut model in models(),
        edits in edits(true),
        by in 1_u16..0xffff,
        header in any::<bool>(),
    ) {
        let mut bytes = model.packet();
        let wrong_at = |model: &Model| if header && model.is_ipv4 { Some(10) } else { model.checksum_at() };
        let Some(at) = wrong_at(&model) else { return Ok(()) };
        let right = u16::from_be_bytes([bytes[at], bytes[at + 1]]);
        let wrong = ((u32::from(right) + u32::from(by)) % 0xffff) as u16;
        // Zero in UDP is no wrong checksum but none.
        prop_assume!(wrong != 0);
        bytes[at..at + 2].copy_from_slice(&wrong.to_be_bytes());
        bytes.resize(bytes.len() + ROOM, 0xee);
        let mut packet = PacketMut::parse(&mut bytes).unwrap();
        for edit in &edits {
            model.edit(edit, &mut packet);
        }
        let (expected, mut found) = (model.packet(), packet.bytes().to_vec());
        let word = |bytes: &[u8]| u32::from(u16::from_be_bytes([bytes[at], bytes[at + 1]]));
        prop_assert_eq!((word(&expected) + u32::from(by)) % 0xffff, word(&found) % 0xffff);
        found[at..at + 2].copy_from_slice(&expected[at..at + 2]);
        prop_assert_eq!(found, expected);
    }

    #[test]
    fn fragments_edited_alike_are_the_fragments_built_so(
        mut model in models(),
        edits in edits(false),
        port in any::<u16>(),
        more in vec(any::<u8>(), 16..60),
    ) {
        if matches!(model.extra, Extra::AtomicFragment) {
            model.extra = Extra::Nothing;
        }
        model.surplus.clear();
        model.payload.extend(more);
        let upper = model.upper();
        // The transport header is in the first.
        let cut = (upper.len() - model.payload.len()).next_multiple_of(8);
        let parts = |model: &Model| {
            let upper = model.upper();
            [model.around(&upper[..cut], Some((0, true))), model.around(&upper[cut..], Some((cut, false)))]
        };
        let [mut first, mut second] = parts(&model);
        let mut edited = model.clone();
        {
            let mut packet = PacketMut::parse(&mut first).unwrap();
            for edit in &edits {
                edited.edit(edit, &mut packet);
            }
            edited.edit(&Edit::Port(1, port), &mut packet);
        }
        let mut packet = PacketMut::parse(&mut second).unwrap();
        for edit in &edits {
            model.edit(edit, &mut packet);
        }
        let offset = packet.upper.at;
        prop_assert_eq!(packet.set_source_port(1), Err(EditError::LaterFragment { offset }));
        prop_assert_eq!(packet.payload_mut(|_| ()), Err(EditError::LaterFragment { offset }));
        prop_assert!(!packet.clamp_mss(0));
        prop_assert_eq!(parts(&edited), [first, second]);
    }

    #[test]
    fn nothing_panics_and_refusals_change_nothing(
        mut bytes in prop_oneof![
            vec(any::<u8>(), 0..100),
            (prop::sample::select(vec![1_u8, 6, 17, 33, 47, 50, 51, 132, 136]), vec(any::<u8>(), 0..90))
                .prop_map(|(protocol, upper)| build::ipv4(protocol, &[], &upper)),
            (any::<u8>(), vec(any::<u8>(), 0..90)).prop_map(|(next, upper)| build::ipv6(next, &upper)),
            vec(any::<u8>(), 0..40).prop_map(|options| build::ipv4(6, &[], &build::tcp(&options.repeat(4)[..40.min(options.len() * 4)], &[]))),
        ],
        change in any::<(u8, u16)>(),
        range in any::<(u8, u8)>(),
        data in vec(any::<u8>(), 0..30),
    ) {
        let before = bytes.clone();
        let length = bytes.len();
        let Ok(mut packet) = PacketMut::parse(&mut bytes) else { return Ok(()) };
        let end = packet.end;
        let (octet, word) = change;
        let range = usize::from(range.0)..usize::from(range.1);
        let wrong = if packet.is_ipv4 { IpAddr::V6(Ipv6Addr::LOCALHOST) } else { IpAddr::V4(Ipv4Addr::LOCALHOST) };
        let mut refused = packet.set_source(wrong).is_err() && packet.set_destination(wrong).is_err();
        prop_assert!(refused);
        refused &= packet.replace(range, &data).is_err();
        refused &= packet.set_source_port(word).is_err();
        refused &= packet.set_destination_port(word).is_err();
        refused &= packet.payload_mut(|bytes| bytes.fill(octet)).is_err();
        refused &= packet.set_udp_payload(&data).is_err();
        refused &= !packet.clamp_mss(word);
        refused &= packet.set_dscp(octet | 0x40).is_err();
        if refused {
            prop_assert_eq!(packet.bytes(), &before[..packet.end]);
        }
        packet.set_hop_limit(octet);
        packet.set_dscp(octet >> 2).unwrap();
        prop_assert_eq!(packet.slice.len(), length);
        // Where a payload has become shorter, its former end is behind the packet now.
        let behind = packet.end.max(end);
        prop_assert_eq!(&packet.slice[behind..], &before[behind..]);
    }
}

/// A UDP packet of 4 bytes of data.
fn udp() -> Vec<u8> {
    build::ipv4(17, &[], &build::udp(b"data"))
}

#[test]
fn a_udp_checksum_of_zero_stays_zero() {
    for mut bytes in [udp(), build::ipv6(17, &build::udp(b"data"))] {
        let at = bytes.len() - 6;
        let mut packet = PacketMut::parse(&mut bytes).unwrap();
        packet.set_destination_port(5353).unwrap();
        packet.replace(0..4, b"DATA").unwrap();
        packet.set_udp_payload(b"").unwrap();
        assert_eq!(bytes[at..at + 2], [0, 0]);
    }
}

#[test]
fn a_udp_checksum_that_comes_out_as_zero_is_sent_as_ones() {
    let mut bytes = udp();
    bytes[26..28].copy_from_slice(&0x0001_u16.to_be_bytes());
    let mut packet = PacketMut::parse(&mut bytes).unwrap();
    packet.set_destination_port(54).unwrap();
    assert_eq!(bytes[26..28], [0xff, 0xff]);
    // And back: 0xffff is zero.
    PacketMut::parse(&mut bytes).unwrap().set_destination_port(53).unwrap();
    assert_eq!(bytes[26..28], [0x00, 0x01]);
}

#[test]
fn icmp_that_becomes_all_zero_has_a_checksum_of_ones() {
    let mut bytes = build::ipv4(1, &[], &[0, 0, 0xff, 0xfe, 0, 0, 0, 0, 0, 1]);
    PacketMut::parse(&mut bytes).unwrap().replace(1..2, &[0]).unwrap();
    let packet = IpPacket::parse(&bytes).unwrap();
    assert_eq!(packet.verify_transport_checksum(), ChecksumStatus::Valid);
    assert_eq!(bytes[22..24], [0xff, 0xff]);
}

#[test]
fn a_payload_grows_as_far_as_there_is_room_and_numbers() {
    let mut bytes = udp();
    let mut packet = PacketMut::parse(&mut bytes).unwrap();
    let error = EditError::NoRoom { expected: 33, found: 32 };
    assert_eq!(packet.set_udp_payload(b"data!"), Err(error));
    assert_eq!(packet.bytes(), udp());

    for (bytes, longest) in
        [(udp(), 65_535 - 28), (build::ipv6(17, &build::udp(b"data")), 65_535 - 8)]
    {
        let mut room = bytes;
        room.resize(70_000, 0);
        let mut packet = PacketMut::parse(&mut room).unwrap();
        let error = EditError::TooLong { maximum: longest, found: longest + 1 };
        assert_eq!(packet.set_udp_payload(&vec![1; longest + 1]), Err(error));
        let total = packet.set_udp_payload(&vec![1; longest]).unwrap();
        assert_eq!(IpPacket::parse(&room).unwrap().total_len(), total);
    }
}

#[test]
fn the_length_of_a_first_fragment_stays() {
    let mut bytes = build::ipv4_fragment(udp(), 0, true);
    bytes[3] = 36;
    bytes.extend([0; 4]);
    let mut packet = PacketMut::parse(&mut bytes).unwrap();
    assert_eq!(packet.set_udp_payload(b""), Err(EditError::Fragment { offset: 20 }));
}

#[test]
fn mss_is_lowered_in_a_syn_only() {
    let options = [1, 2, 4, 0x05, 0xb4, 3, 3, 7];
    let mut bytes = build::ipv4(6, &[], &build::tcp(&options, b""));
    assert!(!PacketMut::parse(&mut bytes).unwrap().clamp_mss(536), "no SYN");
    bytes[33] = 0x12;
    assert!(!PacketMut::parse(&mut bytes).unwrap().clamp_mss(1460), "low enough");
    assert!(PacketMut::parse(&mut bytes).unwrap().clamp_mss(1459));
    assert_eq!(bytes[43..45], 1459_u16.to_be_bytes());
    let mut bare = build::ipv4(6, &[], &build::tcp(&[], b""));
    bare[33] = 0x02;
    assert!(!PacketMut::parse(&mut bare).unwrap().clamp_mss(0), "no option");
}

#[test]
fn quotes_are_not_edited() {
    let quote = build::ipv4(6, &[], &build::tcp(&[], b""));
    let mut error = build::ipv4(1, &[], &[&[3, 13, 0, 0, 0, 0, 0, 0][..], &quote].concat());
    let mut packet = PacketMut::parse(&mut error).unwrap();
    assert_eq!(packet.payload_mut(|_| ()), Err(EditError::Quote { offset: 20 }));
    packet.set_source(IpAddr::from([10, 9, 8, 7])).unwrap();
    assert_eq!(error[28..], quote);
}

#[test]
fn what_cannot_be_kept_right_is_refused() {
    let unsupported = |protocol| EditError::Unsupported { offset: 20, found: IpProtocol(protocol) };
    let edit = |protocol, upper: &[u8]| {
        let mut bytes = build::ipv4(protocol, &[], upper);
        let mut packet = PacketMut::parse(&mut bytes).unwrap();
        (
            packet.set_source(IpAddr::from([1, 1, 1, 1])).err(),
            packet.set_source_port(1).err(),
            packet.payload_mut(|_| ()).err(),
        )
    };
    let no_ports = |protocol| EditError::NoPorts { offset: 20, found: IpProtocol(protocol) };
    let sctp = unsupported(132);
    assert_eq!(edit(132, &[0; 12]), (None, Some(sctp), Some(sctp)));
    assert_eq!(edit(136, &[0; 8]), (None, None, Some(unsupported(136))));
    assert_eq!(edit(50, &[0; 8]), (None, Some(no_ports(50)), Some(unsupported(50))));
    assert_eq!(edit(47, &[0x80; 8]), (None, Some(no_ports(47)), Some(unsupported(47))));
    let authenticated = Some(EditError::Authenticated);
    assert_eq!(edit(51, &[0; 12]), (authenticated, Some(no_ports(51)), authenticated));

    let header = [6, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];
    let mut bytes = build::ipv6(51, &[&header[..], &build::tcp(&[2, 4, 5, 5], b"")].concat());
    bytes[40 + 12 + 13] = 2;
    let mut packet = PacketMut::parse(&mut bytes).unwrap();
    assert_eq!(packet.set_destination(Ipv6Addr::LOCALHOST.into()).err(), authenticated);
    assert_eq!(packet.set_source_port(1).err(), authenticated);
    assert!(!packet.clamp_mss(0));
}

#[test]
fn ranges_and_lengths_are_checked() {
    let mut bytes = udp();
    let mut packet = PacketMut::parse(&mut bytes).unwrap();
    let error = EditError::Range { maximum: 4, start: 3, end: 5 };
    assert_eq!(packet.replace(3..5, b"xx"), Err(error));
    assert_eq!(error.to_string(), "payload: a range within 0 to 4 expected, 3 to 5 found");
    #[expect(clippy::reversed_empty_ranges)]
    let reversed = packet.replace(2..1, b"");
    assert_eq!(reversed, Err(EditError::Range { maximum: 4, start: 2, end: 1 }));
    let error = EditError::Length { start: 1, expected: 2, found: 3 };
    assert_eq!(packet.replace(1..3, b"xxx"), Err(error));
    assert_eq!(packet.set_dscp(64), Err(EditError::Dscp { found: 64 }));
    assert_eq!(bytes, udp());
}

#[test]
fn a_transport_header_that_does_not_parse_is_refused() {
    let mut bytes = build::ipv4(6, &[], &[0; 19]);
    let error = PacketMut::parse(&mut bytes).unwrap_err();
    assert_eq!(error.layer(), Layer::Tcp);
}
