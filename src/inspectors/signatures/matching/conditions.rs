use super::super::buffers::Spoken;
use super::super::{Condition, Fragments, TcpFlagsMode};
use crate::inspect::Packet;
use crate::packet::{IcmpMessage, IpPacket, TcpSegment, Transport};

/// Whether what is spoken is what a condition wants, if it is about that. Nothing that is not known yet is.
pub(in super::super) fn is_spoken_as(condition: &Condition, spoken: Spoken) -> bool {
    let Condition::Application { protocol: wanted, is_negated } = *condition else { return true };
    match spoken {
        Spoken::Unclear => false,
        Spoken::Other => wanted.is_none() != is_negated,
        Spoken::Is(found) => (wanted == Some(found)) != is_negated,
    }
}

/// Whether a packet is as a condition has it, but for [what is spoken](is_spoken_as).
pub(in super::super) fn holds(condition: &Condition, packet: &Packet<'_>) -> bool {
    let (ip, transport) = (packet.ip(), packet.transport());
    match *condition {
        Condition::PayloadSize(size) => {
            let len = u16::try_from(packet.payload().len()).unwrap_or(u16::MAX);
            size.holds(len)
        }
        Condition::IcmpType(wanted) => {
            icmp(transport).is_some_and(|it| wanted.holds(it.message_type()))
        }
        Condition::IcmpCode(wanted) => icmp(transport).is_some_and(|it| wanted.holds(it.code())),
        Condition::IcmpId(wanted) => {
            icmp(transport).and_then(IcmpMessage::echo).is_some_and(|it| it.identifier == wanted)
        }
        Condition::IcmpSequence(wanted) => {
            icmp(transport).and_then(IcmpMessage::echo).is_some_and(|it| it.sequence == wanted)
        }
        Condition::TcpFlags(wanted) => tcp(transport).is_some_and(|it| wanted.holds(flags(it))),
        Condition::TcpSequence(wanted) => {
            tcp(transport).is_some_and(|it| it.sequence_number() == wanted)
        }
        Condition::TcpAcknowledgement(wanted) => {
            tcp(transport).is_some_and(|it| it.acknowledgment_number() == wanted)
        }
        Condition::TcpWindow { window, is_negated } => {
            tcp(transport).is_some_and(|it| (it.window() == window) != is_negated)
        }
        Condition::TimeToLive(wanted) => wanted.holds(ip.hop_limit()),
        Condition::TypeOfService { octet, is_negated } => {
            (ip.traffic_class() == octet) != is_negated
        }
        Condition::IpId(wanted) => match ip {
            IpPacket::V4(ip) => ip.identification() == wanted,
            IpPacket::V6(_) => false,
        },
        Condition::IpProtocol(wanted) => wanted.holds(ip.protocol().0),
        Condition::SameAddress => ip.source() == ip.destination(),
        Condition::Fragments(wanted) => match ip {
            IpPacket::V4(ip) => fragments(&wanted, ip.more_fragments(), ip.dont_fragment()),
            IpPacket::V6(_) => false,
        },
        Condition::FragmentOffset(wanted) => {
            wanted.holds(ip.fragment().map_or(0, |fragment| fragment.offset / 8))
        }
        Condition::Application { .. } => true,
    }
}

fn icmp<'a>(transport: &'a Transport<'a>) -> Option<&'a IcmpMessage<'a>> {
    match transport {
        Transport::Icmp(message) | Transport::Icmpv6(message) => Some(message),
        _ => None,
    }
}

fn tcp<'a>(transport: &'a Transport<'a>) -> Option<&'a TcpSegment<'a>> {
    match transport {
        Transport::Tcp(segment) => Some(segment),
        _ => None,
    }
}

fn flags(segment: &TcpSegment<'_>) -> u8 {
    segment.header().get(13).copied().unwrap_or(0)
}

fn fragments(wanted: &Fragments, more: bool, dont: bool) -> bool {
    // The reserved bit of a packet that is forwarded is 0, or nobody looks at it.
    let bits = |more: bool, dont: bool, reserved: bool| {
        u8::from(more) | u8::from(dont) << 1 | u8::from(reserved) << 2
    };
    let found = bits(more, dont, false);
    let wanted_bits = bits(wanted.more, wanted.dont, wanted.reserved);
    match wanted.mode {
        TcpFlagsMode::Exactly => found == wanted_bits,
        TcpFlagsMode::All => found & wanted_bits == wanted_bits,
        TcpFlagsMode::Any => found & wanted_bits != 0,
        TcpFlagsMode::None => found & wanted_bits == 0,
    }
}
