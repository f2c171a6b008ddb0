use core::net::{IpAddr, Ipv4Addr};

use super::CraftError;
use super::header::{IpHeader, header_len, pseudo_header, write};
use crate::packet::{Addresses, Checksum, IcmpMessage, IpPacket, IpProtocol, Transport};

/// An ICMP error that says "communication administratively prohibited" to the sender of a packet: type 3 code 13
/// over IPv4 (RFC 1812 §5.2.7.1), type 1 code 1 over IPv6 (RFC 4443 §3.1).
///
/// It quotes as much of the packet as fits into 576 bytes (IPv4, RFC 1812 §4.3.2.3) or 1,280 bytes (IPv6, RFC 4443
/// §3.1).
#[derive(Clone, Copy, Debug)]
pub struct Prohibited<'a> {
    addresses: Addresses,
    quote: &'a [u8],
}

impl<'a> Prohibited<'a> {
    /// The longest packet over IPv4, in bytes.
    pub const MAX_LEN_V4: usize = 576;
    /// The longest packet over IPv6, in bytes.
    pub const MAX_LEN_V6: usize = 1280;

    /// About a packet, in the name of its destination.
    ///
    /// `None` where there must be no error (RFC 1122 §3.2.2, RFC 4443 §2.4): about an ICMP error or an ICMPv6
    /// redirect, about ICMP that does not parse and may be one, about a fragment after the first, about a packet
    /// to a multicast, broadcast or unspecified address, and to a source that is no single host (unspecified, loopback,
    /// multicast, broadcast, reserved). Which addresses are a subnet's broadcast cannot be told here.
    pub fn about(packet: &IpPacket<'a>) -> Option<Self> {
        let addresses = packet.addresses();
        if !may_be_told(packet) || !is_one_host(packet.source()) || is_no_host(packet.destination())
        {
            return None;
        }
        let room = match addresses {
            Addresses::V4 { .. } => Self::MAX_LEN_V4,
            Addresses::V6 { .. } => Self::MAX_LEN_V6,
        };
        let room = room.saturating_sub(headers_len(addresses));
        let bytes = packet.bytes();
        let quote = bytes.get(..room).unwrap_or(bytes);
        Some(Self { addresses: addresses.reversed(), quote })
    }

    /// In the name of another host than the packet's destination.
    ///
    /// # Errors
    ///
    /// [`Version`](CraftError::Version).
    pub fn with_source(mut self, address: IpAddr) -> Result<Self, CraftError> {
        match (&mut self.addresses, address) {
            (Addresses::V4 { source, .. }, IpAddr::V4(address)) => *source = address,
            (Addresses::V6 { source, .. }, IpAddr::V6(address)) => *source = address,
            (Addresses::V4 { .. }, IpAddr::V6(_)) => {
                return Err(CraftError::Version { expected: 4, found: 6 });
            }
            (Addresses::V6 { .. }, IpAddr::V4(_)) => {
                return Err(CraftError::Version { expected: 6, found: 4 });
            }
        }
        Ok(self)
    }

    /// Both addresses of the error itself.
    pub const fn addresses(&self) -> Addresses {
        self.addresses
    }

    /// The length of the packet in bytes.
    #[expect(clippy::len_without_is_empty, reason = "no packet is empty")]
    pub const fn len(&self) -> usize {
        headers_len(self.addresses).saturating_add(self.quote.len())
    }

    /// Writes the whole IP packet into the front of `buffer` and returns its [length](Self::len). TTL or hop limit
    /// is 64, over IPv4 DF is set.
    ///
    /// # Errors
    ///
    /// [`NoRoom`](CraftError::NoRoom).
    pub fn write_to(&self, buffer: &mut [u8]) -> Result<usize, CraftError> {
        let length = self.quote.len().saturating_add(IcmpMessage::HEADER_LEN);
        // At most 1,240: `about` has cut the quote.
        let length = u16::try_from(length).unwrap_or(u16::MAX);
        let (protocol, kind, mut sum) = match self.addresses {
            Addresses::V4 { .. } => (IpProtocol::ICMP, [3, 13], Checksum::new()),
            Addresses::V6 { .. } => (
                IpProtocol::ICMPV6,
                [1, 1],
                pseudo_header(self.addresses, IpProtocol::ICMPV6, length),
            ),
        };
        sum.add(&kind);
        sum.add(self.quote);
        let header = IpHeader::new(self.addresses, protocol, length);
        let checksum = sum.finish().to_be_bytes();
        write(buffer, &[header.bytes(), &kind, &checksum, &[0; 4], self.quote])
    }
}

const fn headers_len(addresses: Addresses) -> usize {
    header_len(addresses).saturating_add(IcmpMessage::HEADER_LEN)
}

/// Whether what the packet carries may be answered with an error.
fn may_be_told(packet: &IpPacket<'_>) -> bool {
    const REDIRECT: u8 = 137;

    match packet.transport() {
        Ok(Transport::LaterFragment { .. }) => false,
        Ok(Transport::Icmp(message)) => !message.is_error(),
        Ok(Transport::Icmpv6(message)) => !message.is_error() && message.message_type() != REDIRECT,
        Ok(_) => true,
        Err(_) => !matches!(packet.protocol(), IpProtocol::ICMP | IpProtocol::ICMPV6),
    }
}

fn is_one_host(source: IpAddr) -> bool {
    // 0.0.0.0/8 and 240.0.0.0/4 (RFC 6890 §2.2.2), with the limited broadcast address in it.
    let is_reserved = |address: Ipv4Addr| matches!(address.octets(), [0 | 240..=255, ..]);
    match source {
        IpAddr::V4(source) if is_reserved(source) => false,
        source => !(source.is_unspecified() || source.is_loopback() || source.is_multicast()),
    }
}

fn is_no_host(destination: IpAddr) -> bool {
    destination.is_multicast()
        || destination.is_unspecified()
        || matches!(destination, IpAddr::V4(destination) if destination.is_broadcast())
}
