use core::net::IpAddr;

use super::{
    Addresses, FiveTuple, Fragment, IpProtocol, Ipv4Packet, Ipv6Packet, Layer, ParseError,
    Transport,
};

/// An IP packet of either version.
#[derive(Clone, Copy, Debug)]
pub enum IpPacket<'a> {
    /// Version 4.
    V4(Ipv4Packet<'a>),
    /// Version 6.
    V6(Ipv6Packet<'a>),
}

impl<'a> IpPacket<'a> {
    /// Checks a packet of the version that its first four bits name.
    ///
    /// # Errors
    ///
    /// Those of [`Ipv4Packet::parse`] and [`Ipv6Packet::parse`]; [`Version`](ParseError::Version) of [`Layer::Ip`]
    /// where the version is neither 4 nor 6, [`Truncated`](ParseError::Truncated) where there is not one byte.
    pub fn parse(slice: &'a [u8]) -> Result<Self, ParseError> {
        let layer = Layer::Ip;
        match slice.first().map(|byte| byte >> 4) {
            Some(4) => Ipv4Packet::parse(slice).map(Self::V4),
            Some(6) => Ipv6Packet::parse(slice).map(Self::V6),
            Some(found) => Err(ParseError::Version { layer, offset: 0, found }),
            None => {
                let expected = Ipv4Packet::MIN_HEADER_LEN;
                Err(ParseError::Truncated { layer, offset: 0, expected, found: 0 })
            }
        }
    }

    /// Looks at all that other methods look at on demand only: the transport header, TCP options, and the packet that
    /// an ICMP error quotes; and at what a receiver discards a packet for: IPv4 options, IPv6 hop-by-hop and
    /// destination options, and routing headers. What passes has no part that a receiver would read differently for
    /// want of bytes.
    ///
    /// # Errors
    ///
    /// The first of theirs; [`OptionLength`](ParseError::OptionLength) of an IP option,
    /// [`UnknownOption`](ParseError::UnknownOption) that its receiver is to discard the packet for,
    /// [`Jumbogram`](ParseError::Jumbogram) for a jumbo payload option beside a payload length,
    /// [`SourceRoute`](ParseError::SourceRoute) for a routing header of type 0 with segments left.
    pub fn check_whole(&self) -> Result<(), ParseError> {
        self.check_options()?;
        match self.transport()? {
            Transport::Tcp(segment) => segment.options().try_for_each(|option| option.map(drop)),
            Transport::Icmp(message) | Transport::Icmpv6(message) => match message.quoted() {
                Some(quoted) => quoted?.five_tuple().map(drop),
                None => Ok(()),
            },
            _ => Ok(()),
        }
    }

    /// Length of the packet by its header, in bytes: without a [`trailer`](Self::trailer).
    pub fn total_len(&self) -> usize {
        match self {
            Self::V4(packet) => usize::from(packet.total_len()),
            Self::V6(packet) => {
                usize::from(packet.payload_len()).saturating_add(Ipv6Packet::HEADER_LEN)
            }
        }
    }

    /// Source address.
    pub const fn source(&self) -> IpAddr {
        match self {
            Self::V4(packet) => IpAddr::V4(packet.source()),
            Self::V6(packet) => IpAddr::V6(packet.source()),
        }
    }

    /// Destination address as it stands in the header.
    pub const fn destination(&self) -> IpAddr {
        match self {
            Self::V4(packet) => IpAddr::V4(packet.destination()),
            Self::V6(packet) => IpAddr::V6(packet.destination()),
        }
    }

    /// Both addresses.
    pub const fn addresses(&self) -> Addresses {
        match self {
            Self::V4(packet) => {
                Addresses::V4 { source: packet.source(), destination: packet.destination() }
            }
            Self::V6(packet) => {
                Addresses::V6 { source: packet.source(), destination: packet.destination() }
            }
        }
    }

    /// The upper-layer protocol; see [`Ipv6Packet::protocol`] for what a later fragment tells of it.
    pub const fn protocol(&self) -> IpProtocol {
        match self {
            Self::V4(packet) => packet.protocol(),
            Self::V6(packet) => packet.protocol(),
        }
    }

    /// TTL or hop limit.
    pub const fn hop_limit(&self) -> u8 {
        match self {
            Self::V4(packet) => packet.ttl(),
            Self::V6(packet) => packet.hop_limit(),
        }
    }

    /// TOS or traffic class: DSCP and ECN in one byte.
    pub const fn traffic_class(&self) -> u8 {
        match self {
            Self::V4(packet) => packet.tos(),
            Self::V6(packet) => packet.traffic_class(),
        }
    }

    /// Which part of a datagram this is. `Some` for an IPv6 [atomic fragment](Fragment::is_atomic), which is a
    /// whole datagram: see [`is_fragment`](Self::is_fragment).
    pub fn fragment(&self) -> Option<Fragment> {
        match self {
            Self::V4(packet) => packet.fragment(),
            Self::V6(packet) => packet.fragment(),
        }
    }

    /// Whether there is more of the datagram in other packets.
    pub fn is_fragment(&self) -> bool {
        self.fragment().is_some_and(|fragment| !fragment.is_atomic())
    }

    /// The length of the header with IPv4 options or IPv6 extension headers, in bytes.
    pub const fn header_len(&self) -> usize {
        match self {
            Self::V4(packet) => packet.header_len(),
            Self::V6(packet) => packet.header_len(),
        }
    }

    /// The upper layer, without headers and trailer.
    pub fn payload(&self) -> &'a [u8] {
        match self {
            Self::V4(packet) => packet.payload(),
            Self::V6(packet) => packet.payload(),
        }
    }

    /// The packet without its trailer.
    pub fn bytes(&self) -> &'a [u8] {
        match self {
            Self::V4(packet) => packet.bytes(),
            Self::V6(packet) => packet.bytes(),
        }
    }

    /// What the slice holds beyond the packet's own length: legal, for example as the padding of a short
    /// Ethernet frame, and no part of the packet.
    pub fn trailer(&self) -> &'a [u8] {
        match self {
            Self::V4(packet) => packet.trailer(),
            Self::V6(packet) => packet.trailer(),
        }
    }

    /// Checks the upper layer and gives a view of it.
    ///
    /// # Errors
    ///
    /// Those of [`TcpSegment::parse`](super::TcpSegment::parse), [`UdpDatagram::parse`](super::UdpDatagram::parse)
    /// and [`IcmpMessage::parse`](super::IcmpMessage::parse), and [`Truncated`](ParseError::Truncated) for the
    /// headers of SCTP, DCCP and UDP-Lite. A first fragment must hold the whole transport header (RFC 7112 asks
    /// for it in IPv6; in IPv4 a smaller one hides its ports on purpose, RFC 1858).
    pub fn transport(&self) -> Result<Transport<'a>, ParseError> {
        Transport::of(self)
    }

    /// The addresses, the protocol, and the ports if the protocol has any.
    ///
    /// # Errors
    ///
    /// Those of [`transport`](Self::transport).
    pub fn five_tuple(&self) -> Result<FiveTuple, ParseError> {
        Ok(FiveTuple {
            addresses: self.addresses(),
            protocol: self.protocol(),
            ports: self.transport()?.ports(),
        })
    }
}
