use super::{Direction, FlowKey};
use crate::gwlb::EndpointId;
use crate::packet::{
    Addresses, FiveTuple, Fragment, IcmpMessage, IpPacket, IpProtocol, ParseError, Transport,
};

/// Which flow a packet belongs to, which way it goes, and in which capacity it belongs there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PacketFlow {
    /// The flow.
    pub key: FlowKey,
    /// The packet's direction. An ICMP error goes against the packet that it quotes, since it is sent to that
    /// packet's sender.
    pub direction: Direction,
    /// The flow's own packet, or an ICMP error about one.
    pub relation: Relation,
    /// The part that a fragment plays. `Later` means that `key` has no ports yet; a `FragmentMap` knows them.
    pub part: Part,
}

/// How a packet belongs to its flow.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Relation {
    /// It is one of the flow's packets.
    Own,
    /// It is an ICMP error that quotes one of them. It says nothing about whether the flow's ends are alive.
    IcmpError,
}

/// Whether a packet, or the packet that an ICMP error quotes, is a whole datagram.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Part {
    /// Yes.
    Whole,
    /// The first fragment: it has the ports.
    First(FragmentKey),
    /// One of the others: it has none.
    Later(FragmentKey),
}

/// Names a datagram that came in fragments.
///
/// Addresses, identification and, in IPv4, the protocol (RFC 791 §3.2); in IPv6 the protocol is no part of it, as
/// fragments of one datagram may name different ones (RFC 8200 §4.5). The endpoint, since tenants' addresses
/// overlap.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct FragmentKey {
    /// The endpoint, or what stands for its group.
    pub endpoint: EndpointId,
    /// Source and destination: fragments have a direction.
    pub addresses: Addresses,
    /// The identification field.
    pub identification: u32,
    /// The protocol in IPv4, 0 in IPv6.
    pub protocol: IpProtocol,
}

impl PacketFlow {
    /// The flow of a packet that came through `endpoint` (or what stands for the endpoint's group).
    ///
    /// * ICMP echo belongs to a flow with its identifier, other ICMP queries to one of the two addresses;
    /// * an ICMP error belongs to the flow of the packet that it quotes, as far as that is quoted; where no packet
    ///   can be made out, to one of the error's own addresses;
    /// * a later fragment belongs to one of the two addresses and its protocol, until its first is asked for.
    ///
    /// # Errors
    ///
    /// Those of [`IpPacket::transport`]: a packet whose ports cannot be read is in no flow.
    pub fn of(endpoint: EndpointId, packet: &IpPacket<'_>) -> Result<Self, ParseError> {
        let transport = packet.transport()?;
        if let Transport::Icmp(message) | Transport::Icmpv6(message) = transport {
            return Ok(Self::of_icmp(endpoint, packet, &message));
        }
        let tuple = FiveTuple {
            addresses: packet.addresses(),
            protocol: packet.protocol(),
            ports: transport.ports(),
        };
        Ok(Self {
            part: Part::of(endpoint, &tuple, packet.fragment()),
            ..Self::own(endpoint, &tuple)
        })
    }

    /// The flow of a packet that is neither ICMP nor a fragment, from its 5-tuple alone.
    #[inline]
    pub fn own(endpoint: EndpointId, tuple: &FiveTuple) -> Self {
        let (key, direction) = FlowKey::new(endpoint, tuple);
        Self { key, direction, relation: Relation::Own, part: Part::Whole }
    }

    fn of_icmp(endpoint: EndpointId, packet: &IpPacket<'_>, message: &IcmpMessage<'_>) -> Self {
        // An error goes to who sent what it quotes; one that goes elsewhere is about nothing.
        let quoted = message.quoted().and_then(Result::ok);
        if let Some(quoted) = quoted.filter(|quoted| quoted.source() == packet.destination()) {
            let bare = FiveTuple {
                addresses: quoted.addresses(),
                protocol: quoted.protocol(),
                ports: None,
            };
            // A quote too short for the ports still tells whom it is about.
            let tuple = quoted.five_tuple().unwrap_or(bare);
            let part = Part::of(endpoint, &tuple, quoted.fragment());
            let echo = quoted_echo(tuple.protocol, quoted.payload());
            let (key, direction) = match (echo, part) {
                (Some(identifier), Part::Whole | Part::First(_)) => {
                    FlowKey::echo(endpoint, tuple.addresses, tuple.protocol, identifier)
                }
                _ => FlowKey::new(endpoint, &tuple),
            };
            let direction = direction.reversed();
            return Self { key, direction, relation: Relation::IcmpError, part };
        }
        let tuple =
            FiveTuple { addresses: packet.addresses(), protocol: packet.protocol(), ports: None };
        let part = Part::of(endpoint, &tuple, packet.fragment());
        let (key, direction) = match message.echo() {
            Some(echo) => FlowKey::echo(endpoint, tuple.addresses, tuple.protocol, echo.identifier),
            None => FlowKey::new(endpoint, &tuple),
        };
        Self { key, direction, relation: Relation::Own, part }
    }
}

impl Part {
    fn of(endpoint: EndpointId, tuple: &FiveTuple, fragment: Option<Fragment>) -> Self {
        let Some(fragment) = fragment.filter(|fragment| !fragment.is_atomic()) else {
            return Self::Whole;
        };
        let key = FragmentKey {
            endpoint,
            addresses: tuple.addresses,
            identification: fragment.identification,
            protocol: match tuple.addresses {
                Addresses::V4 { .. } => tuple.protocol,
                Addresses::V6 { .. } => IpProtocol(0),
            },
        };
        if fragment.is_first() { Self::First(key) } else { Self::Later(key) }
    }
}

/// The identifier in the first bytes of a quoted echo request or reply.
fn quoted_echo(protocol: IpProtocol, quoted: &[u8]) -> Option<u16> {
    let &[message_type, _, _, _, a, b] = quoted.first_chunk()?;
    let echo = match protocol {
        IpProtocol::ICMP => matches!(message_type, 0 | 8),
        IpProtocol::ICMPV6 => matches!(message_type, 128 | 129),
        _ => false,
    };
    echo.then(|| u16::from_be_bytes([a, b]))
}
