//! What of a tunnel there is in one packet.

use super::{Opaque, Tunnel, TunnelKind};
use crate::EtherType;
use crate::packet::{EthernetFrame, IpPacket, IpProtocol, ParseError, Transport, UdpDatagram};

/// The destination port of VXLAN (RFC 7348 §5).
pub(super) const VXLAN_PORT: u16 = 4789;

pub(super) enum Finding<'a> {
    /// No tunnel, or none that carries IP.
    Nothing,
    Opaque(Opaque),
    /// A tunnel, and the version of the IP packet that it says is inside.
    Tunnel(Tunnel<'a>, Version),
}

/// An IP version as the header before a packet tells it.
#[derive(Clone, Copy)]
pub(super) enum Version {
    Four,
    Six,
}

impl<'a> Finding<'a> {
    /// Looks at the headers behind the IP header of a packet, not yet at the packet inside.
    ///
    /// # Errors
    ///
    /// An Ethernet header that does not parse; its offset counts from the start of the packet.
    pub(super) fn of(packet: &IpPacket<'a>) -> Result<Self, ParseError> {
        let ip_in_ip = |version| {
            let bytes = packet.payload();
            let kind = TunnelKind::IpInIp;
            let tunnel = Tunnel { kind, carrier: *packet, bytes, frame_at: 0, packet_at: 0 };
            Ok(Self::Tunnel(tunnel, version))
        };
        match (packet.protocol(), packet) {
            (IpProtocol::ESP, _) => Ok(Self::Opaque(Opaque::Encrypted)),
            (IpProtocol::AH, IpPacket::V4(_)) => Ok(Self::Opaque(Opaque::Unknown)),
            (IpProtocol::GRE | IpProtocol::IPV4 | IpProtocol::IPV6, _) if packet.is_fragment() => {
                Ok(Self::Opaque(Opaque::Fragment))
            }
            (IpProtocol::GRE, _) => Self::gre(packet),
            (IpProtocol::IPV4, _) => ip_in_ip(Version::Four),
            (IpProtocol::IPV6, _) => ip_in_ip(Version::Six),
            (IpProtocol::UDP, _) => match packet.transport() {
                Ok(Transport::Udp(datagram)) if datagram.destination_port() == VXLAN_PORT => {
                    Self::vxlan(packet, &datagram)
                }
                _ => Ok(Self::Nothing),
            },
            _ => Ok(Self::Nothing),
        }
    }

    fn gre(packet: &IpPacket<'a>) -> Result<Self, ParseError> {
        const CHECKSUM: u8 = 0x80;
        const ROUTING: u8 = 0x40;
        const KEY: u8 = 0x20;
        const SEQUENCE_NUMBER: u8 = 0x10;
        const VERSION: u8 = 0x07;

        let unknown = Ok(Self::Opaque(Opaque::Unknown));
        let bytes = packet.payload();
        let Some((&[flags, version, t0, t1], mut rest)) = bytes.split_first_chunk() else {
            return unknown;
        };
        if version & VERSION != 0 || flags & ROUTING != 0 {
            return unknown;
        }
        let mut fields = [None; 3];
        for (field, flag) in fields.iter_mut().zip([CHECKSUM, KEY, SEQUENCE_NUMBER]) {
            if flags & flag != 0 {
                let Some((&word, after)) = rest.split_first_chunk::<4>() else { return unknown };
                (*field, rest) = (Some(u32::from_be_bytes(word)), after);
            }
        }
        let [checksum, key, sequence_number] = fields;
        let checksum = checksum.map(|word| {
            // Its lower half is reserved, or an offset that only RFC 1701 routing needs.
            let [a, b, ..] = word.to_be_bytes();
            u16::from_be_bytes([a, b])
        });
        let at = bytes.len().saturating_sub(rest.len());
        let kind = TunnelKind::Gre { key, sequence_number, checksum };
        let tunnel = Tunnel { kind, carrier: *packet, bytes, frame_at: at, packet_at: at };
        match EtherType(u16::from_be_bytes([t0, t1])) {
            EtherType::IPV4 => Ok(Self::Tunnel(tunnel, Version::Four)),
            EtherType::IPV6 => Ok(Self::Tunnel(tunnel, Version::Six)),
            EtherType::ETHERNET => {
                let offset = packet.header_len().saturating_add(at);
                let frame = EthernetFrame::parse(rest).map_err(|error| error.shifted(offset))?;
                Ok(Self::framed(tunnel, &frame))
            }
            _ => unknown,
        }
    }

    fn vxlan(packet: &IpPacket<'a>, datagram: &UdpDatagram<'a>) -> Result<Self, ParseError> {
        const HEADER_LEN: usize = 8;
        const VNI_FLAG: u8 = 0x08;

        let is_flagged = |flags: &u8| flags & VNI_FLAG != 0;
        if packet.is_fragment() {
            let may_be = datagram.payload().first().is_none_or(is_flagged);
            return Ok(if may_be { Self::Opaque(Opaque::Fragment) } else { Self::Nothing });
        }
        let Some((&[flags, _, _, _, v0, v1, v2, _], frame)) =
            datagram.payload().split_first_chunk::<HEADER_LEN>()
        else {
            return Ok(Self::Nothing);
        };
        if !is_flagged(&flags) {
            return Ok(Self::Nothing);
        }
        let frame_at = UdpDatagram::HEADER_LEN.saturating_add(HEADER_LEN);
        let frame = match EthernetFrame::parse(frame) {
            Ok(frame) => frame,
            // Many programs send from a port that is this one by chance, and get answers there.
            Err(ParseError::Truncated { .. }) => return Ok(Self::Nothing),
            Err(error) => return Err(error.shifted(packet.header_len().saturating_add(frame_at))),
        };
        let vni = u32::from_be_bytes([0, v0, v1, v2]);
        let kind = TunnelKind::Vxlan { vni, checksum: datagram.checksum() };
        let bytes = datagram.bytes();
        let tunnel = Tunnel { kind, carrier: *packet, bytes, frame_at, packet_at: frame_at };
        Ok(Self::framed(tunnel, &frame))
    }

    /// A tunnel whose packet is in this frame, if there is one in it.
    fn framed(tunnel: Tunnel<'a>, frame: &EthernetFrame<'a>) -> Self {
        let version = match frame.ether_type() {
            Some(EtherType::IPV4) => Version::Four,
            Some(EtherType::IPV6) => Version::Six,
            _ => return Self::Nothing,
        };
        let packet_at = tunnel.frame_at.saturating_add(frame.header_len());
        Self::Tunnel(Tunnel { packet_at, ..tunnel }, version)
    }
}
