use super::{
    IcmpMessage, IcmpVersion, IpPacket, IpProtocol, Layer, ParseError, Ports, TcpSegment,
    UdpDatagram,
};

/// What an IP packet carries.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub enum Transport<'a> {
    /// A TCP segment.
    Tcp(TcpSegment<'a>),
    /// A UDP datagram; in a first fragment the beginning of one.
    Udp(UdpDatagram<'a>),
    /// An ICMP message in IPv4.
    Icmp(IcmpMessage<'a>),
    /// An ICMP message in IPv6.
    Icmpv6(IcmpMessage<'a>),
    /// Another protocol.
    Other {
        /// Which one.
        protocol: IpProtocol,
        /// All of it.
        payload: &'a [u8],
    },
    /// A fragment that is not the first: the middle or the end of something. No port is ever read from it.
    LaterFragment {
        /// What the datagram carries (IPv4), or what the fragment header names (IPv6).
        protocol: IpProtocol,
        /// The fragment's data.
        payload: &'a [u8],
    },
}

impl<'a> Transport<'a> {
    pub(super) fn of(packet: &IpPacket<'a>) -> Result<Self, ParseError> {
        let protocol = packet.protocol();
        let payload = packet.payload();
        let offset = packet.header_len();
        let fragment = packet.fragment();
        if fragment.is_some_and(|fragment| !fragment.is_first()) {
            return Ok(Self::LaterFragment { protocol, payload });
        }
        match (protocol, packet) {
            (IpProtocol::TCP, _) => TcpSegment::parse_at(payload, offset).map(Self::Tcp),
            (IpProtocol::UDP, _) => {
                let cut = fragment.is_some_and(|fragment| fragment.more);
                UdpDatagram::parse_at(payload, offset, cut).map(Self::Udp)
            }
            (IpProtocol::ICMP, IpPacket::V4(_)) => {
                IcmpMessage::parse_at(IcmpVersion::V4, payload, offset).map(Self::Icmp)
            }
            (IpProtocol::ICMPV6, IpPacket::V6(_)) => {
                IcmpMessage::parse_at(IcmpVersion::V6, payload, offset).map(Self::Icmpv6)
            }
            _ => {
                let (layer, expected) = header_of(protocol);
                let found = payload.len();
                if found < expected {
                    return Err(ParseError::Truncated { layer, offset, expected, found });
                }
                Ok(Self::Other { protocol, payload })
            }
        }
    }

    /// The ports, if the protocol [has any](IpProtocol::has_ports) and this packet shows them.
    pub fn ports(&self) -> Option<Ports> {
        match self {
            Self::Tcp(segment) => Some(segment.ports()),
            Self::Udp(datagram) => Some(datagram.ports()),
            Self::Other { protocol, payload } if protocol.has_ports() => Ports::first_of(payload),
            Self::Icmp(_) | Self::Icmpv6(_) | Self::Other { .. } | Self::LaterFragment { .. } => {
                None
            }
        }
    }

    /// What the transport carries: for TCP and UDP their payload, for ICMP what follows its first 8 bytes, for
    /// everything else all of it.
    pub fn payload(&self) -> &'a [u8] {
        match self {
            Self::Tcp(segment) => segment.payload(),
            Self::Udp(datagram) => datagram.payload(),
            Self::Icmp(message) | Self::Icmpv6(message) => message.body(),
            Self::Other { payload, .. } | Self::LaterFragment { payload, .. } => payload,
        }
    }
}

/// The shortest header of a protocol that has ports but no view here.
const fn header_of(protocol: IpProtocol) -> (Layer, usize) {
    match protocol {
        IpProtocol::SCTP => (Layer::Sctp, 12),
        IpProtocol::DCCP => (Layer::Dccp, 12),
        IpProtocol::UDP_LITE => (Layer::UdpLite, 8),
        _ => (Layer::Ip, 0),
    }
}
