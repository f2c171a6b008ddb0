use super::find::Version;
use crate::packet::{
    Checksum, ChecksumStatus, EthernetFrame, IpPacket, Ipv4Packet, Ipv6Packet, ParseError,
};

/// One tunnel: an IP packet, and the headers between its own and the packet inside.
#[derive(Clone, Copy, Debug)]
pub struct Tunnel<'a> {
    pub(super) kind: TunnelKind,
    pub(super) carrier: IpPacket<'a>,
    /// What follows the carrier's IP header; of a UDP datagram no more than its length says.
    pub(super) bytes: &'a [u8],
    /// Where the tunnel's own header ends in them.
    pub(super) frame_at: usize,
    /// Where the packet inside starts in them: behind an Ethernet header, if there is one.
    pub(super) packet_at: usize,
}

/// How a packet is packed into another.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum TunnelKind {
    /// Generic Routing Encapsulation, version 0 (RFC 2784, RFC 2890).
    #[non_exhaustive]
    Gre {
        /// What tells apart the tunnels between two ends.
        key: Option<u32>,
        /// Counts the packets of the tunnel.
        sequence_number: Option<u32>,
        /// The checksum as received, over header and payload.
        checksum: Option<u16>,
    },
    /// An IP packet of either version directly behind the header of another.
    IpInIp,
    /// VXLAN (RFC 7348): an Ethernet frame in UDP.
    #[non_exhaustive]
    Vxlan {
        /// VXLAN network identifier, 24 bits.
        vni: u32,
        /// The UDP checksum as received; zero means none.
        checksum: u16,
    },
}

impl<'a> Tunnel<'a> {
    /// What the tunnel is.
    pub const fn kind(&self) -> TunnelKind {
        self.kind
    }

    /// The IP packet that carries it: its addresses are the tunnel's ends.
    pub const fn carrier(&self) -> &IpPacket<'a> {
        &self.carrier
    }

    /// What stands between the carrier's IP header and the packet inside: nothing for IP in IP, the GRE header, or
    /// UDP and VXLAN header; then the Ethernet header with its tags where there is one.
    pub fn header(&self) -> &'a [u8] {
        self.bytes.get(..self.packet_at).unwrap_or_default()
    }

    /// The Ethernet frame that the packet inside is in: always in VXLAN, never in IP in IP.
    pub fn frame(&self) -> Option<EthernetFrame<'a>> {
        if self.frame_at == self.packet_at {
            return None;
        }
        EthernetFrame::parse(self.bytes.get(self.frame_at..)?).ok()
    }

    /// Compares the checksum of GRE, or that of the UDP datagram around VXLAN, with what it covers: all that is in
    /// the tunnel, so all of it is read. The end of the tunnel discards what is wrong (RFC 2784 §2.3).
    ///
    /// [`Absent`](ChecksumStatus::Absent) for IP in IP, for GRE without the C flag, and for a UDP checksum of zero,
    /// over IPv6 too (RFC 6935 §5).
    pub fn verify_checksum(&self) -> ChecksumStatus {
        match self.kind {
            TunnelKind::Gre { checksum: Some(_), .. } => match Checksum::of(self.bytes) {
                0 => ChecksumStatus::Valid,
                _ => ChecksumStatus::Invalid,
            },
            TunnelKind::Vxlan { checksum: 1.., .. } => self.carrier.verify_transport_checksum(),
            TunnelKind::Gre { .. } | TunnelKind::Vxlan { .. } | TunnelKind::IpInIp => {
                ChecksumStatus::Absent
            }
        }
    }

    /// The carrier's IP header and what stands between it and the packet inside, in bytes.
    pub(super) fn headers_len(&self) -> usize {
        self.carrier.header_len().saturating_add(self.packet_at)
    }

    /// The packet inside; offsets in errors count from its start.
    pub(super) fn inside(&self, version: Version) -> Result<IpPacket<'a>, ParseError> {
        let bytes = self.bytes.get(self.packet_at..).unwrap_or_default();
        match version {
            Version::Four => Ipv4Packet::parse(bytes).map(IpPacket::V4),
            Version::Six => Ipv6Packet::parse(bytes).map(IpPacket::V6),
        }
    }
}
