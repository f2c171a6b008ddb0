use core::net::IpAddr;

use super::{
    Addresses, FiveTuple, Fragment, IcmpVersion, IpPacket, IpProtocol, Ipv4Packet, Ipv6Packet,
    Layer, ParseError, Ports,
};

/// A packet whose end is missing: one that an ICMP error quotes, its IP header and the first bytes after it, at
/// least 8 by RFC 792; or one that was captured with a snap length.
///
/// What the header says of the packet's length and of its place in a datagram is not held against the bytes:
/// the packet is all of them. A host finds the socket of an ICMP error by the quoted addresses, protocol and ports
/// alone, and so must whoever wants to see the same flow.
#[derive(Clone, Copy, Debug)]
pub struct QuotedPacket<'a> {
    packet: IpPacket<'a>,
    offset: usize,
}

impl<'a> QuotedPacket<'a> {
    /// Checks the headers that are there, of the version that the first four bits name.
    ///
    /// # Errors
    ///
    /// Those of [`IpPacket::parse`], but for those of the total or payload length (a
    /// [`Jumbogram`](ParseError::Jumbogram) among them) and those of fragments.
    pub fn parse(bytes: &'a [u8]) -> Result<Self, ParseError> {
        match bytes.first().map(|byte| byte >> 4) {
            Some(4) => Self::parse_at(IcmpVersion::V4, bytes, 0),
            Some(6) => Self::parse_at(IcmpVersion::V6, bytes, 0),
            _ => IpPacket::parse(bytes).map(|packet| Self { packet, offset: 0 }),
        }
    }

    /// `bytes` start at `offset` of the packet that carries the quote.
    pub(super) fn parse_at(
        version: IcmpVersion,
        bytes: &'a [u8],
        offset: usize,
    ) -> Result<Self, ParseError> {
        let packet = match version {
            IcmpVersion::V4 => Ipv4Packet::parse_quoted(bytes).map(IpPacket::V4),
            IcmpVersion::V6 => Ipv6Packet::parse_quoted(bytes).map(IpPacket::V6),
        };
        match packet {
            Ok(packet) => Ok(Self { packet, offset }),
            Err(error) => Err(error.shifted(offset)),
        }
    }

    /// Length of the whole packet by its header, in bytes: not checked, perhaps less than that of the header.
    pub fn total_len(&self) -> usize {
        self.packet.total_len()
    }

    /// Source address: as a rule the one that the error was sent to.
    pub const fn source(&self) -> IpAddr {
        self.packet.source()
    }

    /// Destination address.
    pub const fn destination(&self) -> IpAddr {
        self.packet.destination()
    }

    /// Both addresses.
    pub const fn addresses(&self) -> Addresses {
        self.packet.addresses()
    }

    /// The upper-layer protocol.
    pub const fn protocol(&self) -> IpProtocol {
        self.packet.protocol()
    }

    /// Which part of a datagram the quoted packet is.
    pub fn fragment(&self) -> Option<Fragment> {
        self.packet.fragment()
    }

    /// As much of the upper layer as is quoted.
    pub fn payload(&self) -> &'a [u8] {
        self.packet.payload()
    }

    /// As much of the packet as is quoted.
    pub fn bytes(&self) -> &'a [u8] {
        self.packet.bytes()
    }

    /// Addresses, protocol and ports of the quoted packet, in its own direction: the flow's other direction than
    /// that of the error, as a rule.
    ///
    /// # Errors
    ///
    /// [`Truncated`](ParseError::Truncated) where the protocol has ports and they are not in the quote.
    pub fn five_tuple(&self) -> Result<FiveTuple, ParseError> {
        let protocol = self.protocol();
        let later = self.fragment().is_some_and(|fragment| !fragment.is_first());
        let ports = match layer_of(protocol) {
            Some(layer) if !later => {
                Some(Ports::first_of(self.payload()).ok_or(ParseError::Truncated {
                    layer,
                    offset: self.offset.saturating_add(self.packet.header_len()),
                    expected: 4,
                    found: self.payload().len(),
                })?)
            }
            _ => None,
        };
        Ok(FiveTuple { addresses: self.addresses(), protocol, ports })
    }
}

/// The layer of a protocol that has ports.
const fn layer_of(protocol: IpProtocol) -> Option<Layer> {
    Some(match protocol {
        IpProtocol::TCP => Layer::Tcp,
        IpProtocol::UDP => Layer::Udp,
        IpProtocol::UDP_LITE => Layer::UdpLite,
        IpProtocol::SCTP => Layer::Sctp,
        IpProtocol::DCCP => Layer::Dccp,
        _ => return None,
    })
}
