use crate::packet::{IpPacket, IpProtocol, ParseError, Transport};

/// What an edit has to know of the upper layer.
#[derive(Clone, Copy, Debug)]
pub(super) struct Upper {
    pub(super) kind: Kind,
    pub(super) protocol: IpProtocol,
    /// Where it starts in the packet: even, as every header before it is made of 4-byte words.
    pub(super) at: usize,
    /// Where its payload starts and ends in the packet.
    pub(super) payload: (usize, usize),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Tcp,
    Udp,
    UdpLite,
    Dccp,
    Sctp,
    /// Over IPv4: without pseudo header.
    Icmp {
        error: bool,
    },
    Icmpv6 {
        error: bool,
    },
    /// IP in IP, GRE without a checksum: nothing covers the payload.
    Tunnel,
    LaterFragment,
    Other,
}

impl Upper {
    pub(super) fn of(packet: &IpPacket<'_>) -> Result<Self, ParseError> {
        let transport = packet.transport()?;
        let protocol = packet.protocol();
        let at = packet.header_len();
        let (kind, header_len) = match transport {
            Transport::Tcp(segment) => (Kind::Tcp, segment.header_len()),
            Transport::Udp(_) => (Kind::Udp, 8),
            Transport::Icmp(message) => (Kind::Icmp { error: message.is_error() }, 8),
            Transport::Icmpv6(message) => (Kind::Icmpv6 { error: message.is_error() }, 8),
            Transport::Other { payload, .. } => (Kind::of_other(protocol, payload), 0),
            Transport::LaterFragment { .. } => (Kind::LaterFragment, 0),
        };
        let start = at.saturating_add(header_len);
        let end = start.saturating_add(transport.payload().len());
        Ok(Self { kind, protocol, at, payload: (start, end) })
    }

    /// Where the Internet checksum is, if there is one.
    pub(super) const fn checksum_at(&self) -> Option<usize> {
        let offset = match self.kind {
            Kind::Tcp => 16,
            Kind::Udp | Kind::UdpLite | Kind::Dccp => 6,
            Kind::Icmp { .. } | Kind::Icmpv6 { .. } => 2,
            Kind::Sctp | Kind::Tunnel | Kind::LaterFragment | Kind::Other => return None,
        };
        Some(self.at.saturating_add(offset))
    }
}

impl Kind {
    fn of_other(protocol: IpProtocol, payload: &[u8]) -> Self {
        const GRE_CHECKSUM_PRESENT: u8 = 0x80;

        match protocol {
            IpProtocol::UDP_LITE => Self::UdpLite,
            IpProtocol::DCCP => Self::Dccp,
            IpProtocol::SCTP => Self::Sctp,
            IpProtocol::IPV4 | IpProtocol::IPV6 => Self::Tunnel,
            IpProtocol::GRE if payload.first().is_some_and(|b| b & GRE_CHECKSUM_PRESENT == 0) => {
                Self::Tunnel
            }
            _ => Self::Other,
        }
    }

    /// Whether the checksum covers the addresses.
    pub(super) const fn has_pseudo_header(self) -> bool {
        matches!(self, Self::Tcp | Self::Udp | Self::UdpLite | Self::Dccp | Self::Icmpv6 { .. })
    }

    /// Whether a computed checksum of zero is sent as its other form, `0xffff` (RFC 768, RFC 3828 §3.1).
    pub(super) const fn never_sends_zero(self) -> bool {
        matches!(self, Self::Udp | Self::UdpLite)
    }
}
