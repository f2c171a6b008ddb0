use core::net::IpAddr;

use super::{
    Addresses, FiveTuple, Fragment, IcmpVersion, IpPacket, IpProtocol, Ipv4Packet, Ipv6Packet,
    Layer, ParseError, Ports,
};

/// The packet that an ICMP error quotes: its IP header and the first bytes after it, at least 8 by RFC 792.
///
/// The end of the packet is usually missing, so a length field that says more than there is is no error here.
#[derive(Clone, Copy, Debug)]
pub struct QuotedPacket<'a> {
    packet: IpPacket<'a>,
    offset: usize,
}

impl<'a> QuotedPacket<'a> {
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
