//! What headers show.

use core::net::IpAddr;

use super::{AnomalyRules, Event};
use crate::flow::Relation;
use crate::inspect::Packet;
use crate::packet::{
    FiveTuple, Fragment, IpPacket, IpProtocol, Ipv4Packet, Ipv6Packet, TcpSegment, Transport,
};

/// What is remembered of the headers of a flow.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Seen {
    /// TTL or hop limit of the first packet of each direction, the opener's first; 0 before there was one.
    hops: [u8; 2],
    /// Whether there was a first fragment.
    has_fragment: bool,
    /// Which datagram the latest one was of.
    datagram: u32,
}

/// What holds for every packet of a flow, found at its first.
pub(super) fn of_flow(tuple: &FiveTuple) -> u64 {
    let (source, destination) = (tuple.source(), tuple.destination());
    let is_port = |test: fn(u16) -> bool| {
        tuple.ports.is_some_and(|ports| test(ports.source) || test(ports.destination))
    };
    let is_same_port = tuple.ports.is_none_or(|ports| ports.source == ports.destination);
    let is_broadcast = matches!(source, IpAddr::V4(address) if address.is_broadcast());
    let is_nowhere = |address: IpAddr| address.is_loopback() || address.is_unspecified();
    bit(Event::Land, source == destination && is_same_port)
        | bit(Event::SourceInvalid, source.is_multicast() || is_broadcast || is_nowhere(source))
        | bit(Event::DestinationInvalid, is_nowhere(destination))
        | bit(Event::PortZero, is_port(|port| port == 0))
}

/// What is odd about the headers of a packet. A packet of the usual kind is through with some twenty comparisons.
#[inline]
pub(super) fn of_packet(rules: &AnomalyRules, seen: &mut Seen, packet: &Packet<'_>) -> u64 {
    if packet.relation() != Relation::Own {
        // An error comes from a router on the way.
        return of_ip(seen, packet);
    }
    let hops = packet.ip().hop_limit();
    let [first, second] = &mut seen.hops;
    let before = if packet.is_from_opener() { first } else { second };
    let mut found = bit(Event::TtlLow, hops <= rules.low_ttl);
    if *before == 0 {
        *before = hops;
    }
    found |= bit(Event::TtlChanged, hops.abs_diff(*before) > rules.ttl_tolerance);
    if let Transport::Tcp(segment) = packet.transport() {
        found |= of_tcp(segment);
    }
    let is_plain = match packet.ip() {
        IpPacket::V4(ip) => is_plain_v4(ip),
        IpPacket::V6(ip) => ip.header_len() == Ipv6Packet::HEADER_LEN,
    };
    if is_plain { found } else { found | of_ip(seen, packet) }
}

#[inline]
fn bit(event: Event, is_so: bool) -> u64 {
    if is_so { event.bit() } else { 0 }
}

#[inline]
fn of_tcp(segment: &TcpSegment<'_>) -> u64 {
    const FIN: usize = 1;
    const SYN: usize = 2;
    const RST: usize = 4;
    const PSH: usize = 8;
    const ACK: usize = 16;
    const URG: usize = 32;
    /// Which mixes of flags are odd, and how.
    const MIXES: [u64; 64] = {
        let mut mixes = [0; 64];
        let mut rest: &mut [u64] = &mut mixes;
        let mut flags = 0;
        while let [mix, others @ ..] = rest {
            *mix = match flags {
                0 => Event::TcpNull.bit(),
                63 => Event::TcpXmas.bit(),
                _ if flags & (FIN | PSH | URG | ACK | SYN | RST) == FIN | PSH | URG => {
                    Event::TcpXmas.bit()
                }
                _ if flags & SYN != 0 && flags & FIN != 0 => Event::TcpSynFin.bit(),
                _ if flags & SYN != 0 && flags & RST != 0 => Event::TcpSynRst.bit(),
                _ if flags & RST != 0 && flags & FIN != 0 => Event::TcpRstFin.bit(),
                _ if flags & (FIN | ACK) == FIN => Event::TcpFinWithoutAck.bit(),
                _ if flags & (ACK | SYN | RST) == 0 => Event::TcpWithoutAck.bit(),
                _ => 0,
            };
            rest = others;
            flags += 1;
        }
        mixes
    };
    let [first, second] = match segment.bytes() {
        [_, _, _, _, _, _, _, _, _, _, _, _, first, second, ..] => [*first, *second],
        _ => return 0,
    };
    let mix = MIXES.get(usize::from(second & 0x3f)).copied().unwrap_or_default();
    let has_urgent = usize::from(second) & URG != 0;
    // The last of the reserved bits is AE now (RFC 9768).
    mix | bit(Event::TcpReservedBits, first & 0x0e != 0)
        | bit(Event::TcpUrgentPointer, !has_urgent && segment.urgent_pointer() != 0)
}

#[inline]
fn is_plain_v4(ip: &Ipv4Packet<'_>) -> bool {
    let is_whole = match ip.header() {
        [_, _, _, _, _, _, flags, offset, ..] => flags & 0xbf == 0 && *offset == 0,
        _ => false,
    };
    is_whole && ip.header_len() == Ipv4Packet::MIN_HEADER_LEN
}

/// Of a packet with options or extension headers, or in fragments.
#[cold]
fn of_ip(seen: &mut Seen, packet: &Packet<'_>) -> u64 {
    let mut found = match packet.ip() {
        IpPacket::V4(ip) => {
            let is_reserved =
                matches!(ip.header(), [_, _, _, _, _, _, flags, ..] if flags & 0x80 != 0);
            let is_cut = ip.dont_fragment() && ip.fragment().is_some();
            bit(Event::IpReservedBit, is_reserved)
                | bit(Event::FragmentDontFragment, is_cut)
                | of_options(ip.options())
        }
        IpPacket::V6(ip) => ip.extension_headers().fold(0, |found, header| {
            found
                | match header.kind() {
                    IpProtocol::ROUTING => Event::SourceRoute.bit(),
                    IpProtocol::HOP_BY_HOP | IpProtocol::DESTINATION_OPTIONS => {
                        Event::IpOptions.bit()
                    }
                    _ => 0,
                }
        }),
    };
    if let Some(fragment) = packet.ip().fragment() {
        found |= of_fragment(seen, packet.ip(), fragment);
    }
    found
}

fn of_fragment(seen: &mut Seen, ip: &IpPacket<'_>, fragment: Fragment) -> u64 {
    const TINY: usize = 256;

    if fragment.is_atomic() {
        return Event::FragmentAtomic.bit();
    }
    let header = match ip.protocol() {
        IpProtocol::TCP => 24,
        IpProtocol::UDP => 8,
        _ => 0,
    };
    let mut found = bit(Event::FragmentTiny, fragment.more && ip.payload().len() < TINY)
        | bit(Event::FragmentOverHeader, (1..header).contains(&fragment.offset));
    if fragment.is_first() {
        let is_same = seen.has_fragment && seen.datagram == fragment.identification;
        found |= bit(Event::FragmentFirstTwice, is_same);
        (seen.has_fragment, seen.datagram) = (true, fragment.identification);
    }
    found
}

/// The kinds of options of IPv4; their lengths were checked.
fn of_options(mut options: &[u8]) -> u64 {
    let mut found = 0;
    while let [kind, rest @ ..] = options {
        options = match (*kind, rest) {
            (0, _) => break,
            (1, rest) => rest,
            (_, [length, ..]) => options.get(usize::from((*length).max(2))..).unwrap_or_default(),
            (_, []) => &[],
        };
        found |= match kind {
            1 => 0,
            131 | 137 => Event::SourceRoute.bit(),
            7 | 68 | 82 => Event::RecordRoute.bit(),
            _ => Event::IpOptions.bit(),
        };
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kinds_of_options() {
        assert_eq!(of_options(&[1, 1, 1, 0, 7, 3, 4]), 0);
        assert_eq!(
            of_options(&[1, 131, 3, 4, 7, 3, 4, 0]),
            Event::SourceRoute.bit() | Event::RecordRoute.bit()
        );
        assert_eq!(of_options(&[148, 4, 0, 0]), Event::IpOptions.bit());
        assert_eq!(of_options(&[148]), Event::IpOptions.bit());
        assert_eq!(of_options(&[148, 0, 137]), Event::IpOptions.bit() | Event::SourceRoute.bit());
    }

    /// The mixes against what RFC 9293 has segments for.
    #[test]
    fn usual_mixes_are_not_odd() {
        let usual = [
            2, 0x12, 0x10, 0x18, 0x30, 0x38, 0x11, 0x19, 0x39, 0x31, 4, 0x14, 0xc2, 0x52, 0x90,
            0x1c,
        ];
        for flags in 0..=u8::MAX {
            let mut bytes = [0; 20];
            (bytes[12], bytes[13]) = (0x50, flags);
            let found = of_tcp(&TcpSegment::parse(&bytes).unwrap());
            if usual.contains(&flags) {
                assert_eq!(found, 0, "{flags:#x}");
            }
            let odd = flags & 0x3f == 0
                || flags & 3 == 3
                || flags & 6 == 6
                || flags & 5 == 5
                || flags & 0x11 == 1
                || flags & 0x16 == 0;
            assert_eq!(found != 0, odd, "{flags:#x}");
        }
    }

    #[test]
    fn reserved_bits_and_urgent_pointers() {
        let mut bytes = [0; 20];
        (bytes[12], bytes[13]) = (0x51, 0x10);
        assert_eq!(of_tcp(&TcpSegment::parse(&bytes).unwrap()), 0, "accurate ECN");
        bytes[12] = 0x52;
        bytes[19] = 1;
        let both = Event::TcpReservedBits.bit() | Event::TcpUrgentPointer.bit();
        assert_eq!(of_tcp(&TcpSegment::parse(&bytes).unwrap()), both);
        bytes[13] |= 0x20;
        assert_eq!(of_tcp(&TcpSegment::parse(&bytes).unwrap()), Event::TcpReservedBits.bit());
    }
}
