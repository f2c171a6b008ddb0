//! Packets inside packets: GRE, IP in IP and VXLAN are looked through, so that what is judged is what the ends of
//! a flow say to each other.
//!
//! ```
//! use gwlb_geneve::packet::{IpPacket, TunnelKind, Tunneled};
//!
//! # #[rustfmt::skip]
//! let bytes = [
//!     0x45, 0, 0, 60, 0, 0, 0, 0, 64, 47, 0, 0, 10, 0, 0, 1, 10, 0, 0, 2, // IPv4
//!     0x20, 0, 0x08, 0x00, 0, 0, 0, 42, // GRE with a key
//!     0x45, 0, 0, 32, 0, 0, 0, 0, 64, 17, 0, 0, 192, 0, 2, 1, 198, 51, 100, 2, // IPv4
//!     0x30, 0x39, 0, 53, 0, 12, 0, 0, // UDP
//!     b'p', b'i', b'n', b'g',
//! ];
//! let tunneled = Tunneled::look_through(&IpPacket::parse(&bytes)?)?;
//! assert_eq!(tunneled.offset(), 28);
//! assert_eq!(
//!     tunneled.innermost().five_tuple()?.to_string(),
//!     "UDP 192.0.2.1:12345 -> 198.51.100.2:53"
//! );
//! let tunnel = tunneled.tunnels().next().expect("one tunnel");
//! assert!(matches!(tunnel.kind(), TunnelKind::Gre { key: Some(42), .. }));
//! assert_eq!(tunnel.carrier().source().to_string(), "10.0.0.1");
//! # Ok::<(), gwlb_geneve::packet::ParseError>(())
//! ```

mod find;
mod layer;
mod wrap;

use find::Finding;
pub use layer::{Tunnel, TunnelKind};
pub use wrap::Toward;

use super::{IpPacket, IpProtocol, ParseError};

const MAX_DEPTH: usize = 2;

/// The innermost packet and the tunnels around it.
///
/// A packet that is no tunnel is its own innermost packet, with a [`depth`](Self::depth) of zero.
#[derive(Clone, Copy, Debug)]
pub struct Tunneled<'a> {
    innermost: IpPacket<'a>,
    /// From the outside in; no `Some` stands behind a `None`.
    tunnels: [Option<Tunnel<'a>>; MAX_DEPTH],
    opaque: Option<Opaque>,
}

/// Why a packet hides another, or may hide one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Opaque {
    /// One more tunnel than [`MAX_DEPTH`](Tunneled::MAX_DEPTH). What is in it has not been looked at.
    TooDeep,
    /// An Encapsulating Security Payload (RFC 4303).
    Encrypted,
    /// A fragment of GRE or of IP in IP, or a first fragment that may be VXLAN: the packet inside begins or goes on
    /// in others. Later fragments of UDP do not show their port and are not told from any UDP.
    Fragment,
    /// GRE of another version than 0, with RFC 1701 routing, with a header that is cut off or with a payload that
    /// is neither IP nor Ethernet; an Authentication Header over IPv4, which is a payload there.
    Unknown,
}

impl<'a> Tunneled<'a> {
    /// How many tunnels are looked through.
    pub const MAX_DEPTH: usize = MAX_DEPTH;

    /// Finds the innermost packet of
    ///
    /// * GRE version 0 (RFC 2784, RFC 2890) with IPv4, IPv6, or an Ethernet frame that holds one of them;
    /// * IPv4 and IPv6 in IPv4 and IPv6 (RFC 2003, RFC 4213, RFC 2473);
    /// * VXLAN (RFC 7348): UDP to port 4789 with the I flag, and an Ethernet frame that holds IPv4 or IPv6.
    ///
    /// VLAN tags are skipped. Reserved bits are ignored, in GRE those too for which RFC 2784 §2.3 asks to discard:
    /// common receivers ignore them, and what such a receiver reads must not go unseen. Checksums are not looked at:
    /// see [`Tunnel::verify_checksum`].
    ///
    /// Everything else is its own innermost packet: UDP to port 4789 that is no VXLAN, a frame with ARP, and what is
    /// [`opaque`](Self::opaque). TCP, ICMP and other UDP leave after a look at protocol and port.
    ///
    /// # Errors
    ///
    /// Those of [`IpPacket::parse`] and [`EthernetFrame::parse`](super::EthernetFrame::parse) for what is inside a
    /// tunnel. Offsets count from the start of the outermost packet. A frame in VXLAN that is too short for its
    /// header is no error but the sign of another use of the port.
    #[inline]
    pub fn look_through(packet: &IpPacket<'a>) -> Result<Self, ParseError> {
        if is_plain(packet) { Ok(Self::untunneled(*packet)) } else { Self::walk(packet) }
    }

    /// The packet that is not looked through any further.
    #[inline]
    pub const fn innermost(&self) -> &IpPacket<'a> {
        &self.innermost
    }

    /// The packet that was looked through.
    pub fn outermost(&self) -> &IpPacket<'a> {
        match &self.tunnels {
            [Some(tunnel), ..] => tunnel.carrier(),
            _ => &self.innermost,
        }
    }

    /// Where the innermost packet starts in the outermost one, in bytes.
    pub fn offset(&self) -> usize {
        self.tunnels().map(|tunnel| tunnel.headers_len()).fold(0, usize::saturating_add)
    }

    /// The tunnels that have been looked through, the outermost first.
    pub fn tunnels(&self) -> impl DoubleEndedIterator<Item = Tunnel<'a>> + use<'a> {
        IntoIterator::into_iter(self.tunnels).flatten()
    }

    /// How many tunnels have been looked through.
    pub fn depth(&self) -> usize {
        self.tunnels.iter().flatten().count()
    }

    /// Why the innermost packet has to be taken as a whole, if it hides another or may do so.
    #[inline]
    pub const fn opaque(&self) -> Option<Opaque> {
        self.opaque
    }

    #[inline]
    const fn untunneled(packet: IpPacket<'a>) -> Self {
        Self { innermost: packet, tunnels: [None; MAX_DEPTH], opaque: None }
    }

    #[cold]
    #[inline(never)]
    fn walk(packet: &IpPacket<'a>) -> Result<Self, ParseError> {
        let mut found = Self::untunneled(*packet);
        let mut offset = 0_usize;
        for place in &mut found.tunnels {
            let carrier = found.innermost;
            match Finding::of(&carrier).map_err(|error| error.shifted(offset))? {
                Finding::Nothing => return Ok(found),
                Finding::Opaque(opaque) => {
                    found.opaque = Some(opaque);
                    return Ok(found);
                }
                Finding::Tunnel(tunnel, version) => {
                    *place = Some(tunnel);
                    offset = offset.saturating_add(tunnel.headers_len());
                    let inside = tunnel.inside(version);
                    found.innermost = inside.map_err(|error| error.shifted(offset))?;
                }
            }
        }
        found.opaque = match Finding::of(&found.innermost) {
            Ok(Finding::Nothing) => None,
            Ok(Finding::Opaque(opaque)) => Some(opaque),
            Ok(Finding::Tunnel(..)) | Err(_) => Some(Opaque::TooDeep),
        };
        Ok(found)
    }
}

/// Whether a packet is certainly no tunnel, for those that make up nearly all traffic.
#[inline]
fn is_plain(packet: &IpPacket<'_>) -> bool {
    const VXLAN_PORT: [u8; 2] = find::VXLAN_PORT.to_be_bytes();

    match packet.protocol() {
        IpProtocol::TCP | IpProtocol::ICMP | IpProtocol::ICMPV6 => true,
        IpProtocol::UDP => !matches!(*packet.payload(), [_, _, a, b, ..] if [a, b] == VXLAN_PORT),
        _ => false,
    }
}

#[cfg(test)]
mod tests;
