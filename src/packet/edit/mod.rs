//! Changing a packet where it lies; lengths and checksums are right afterwards.
//!
//! ```
//! use gwlb_geneve::packet::{ChecksumStatus, IpPacket, PacketMut};
//!
//! # #[rustfmt::skip]
//! let mut bytes = [
//!     0x45, 0, 0, 32, 0, 0, 0, 0, 64, 17, 0x46, 0x97, 10, 0, 0, 1, 198, 51, 100, 2, // IPv4
//!     0x30, 0x39, 0, 53, 0, 12, 0xbc, 0x60, // UDP
//!     b'p', b'i', b'n', b'g',
//! ];
//! let mut packet = PacketMut::parse(&mut bytes)?;
//! packet.set_source("192.0.2.1".parse()?)?;
//! packet.set_destination_port(5353)?;
//! packet.replace(1..2, b"o")?; // ping, pong
//!
//! let packet = IpPacket::parse(&bytes)?;
//! assert_eq!(packet.five_tuple()?.to_string(), "UDP 192.0.2.1:12345 -> 198.51.100.2:5353");
//! assert_eq!(packet.verify_transport_checksum(), ChecksumStatus::Valid);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod error;
mod length;
mod mss;
mod upper;

use core::net::IpAddr;
use core::ops::Range;

pub use error::EditError;
use upper::{Kind, Upper};

use super::{Checksum, IpPacket, IpProtocol, ParseError};

/// An IP packet that can be changed in place.
///
/// Checksums are updated by the difference that an edit makes (RFC 1624 §3, equation 3), never computed anew: a
/// packet whose checksum was wrong is as wrong afterwards, so an edit hides no damage, and a first fragment,
/// whose checksum covers bytes that are elsewhere, can be edited like any other packet. A UDP checksum of zero,
/// which means none, stays zero.
///
/// A fragment after the first has neither ports nor a checksum: an edit of its addresses changes the IP header
/// alone, and the datagram is right again when all its fragments have been edited alike. What an ICMP error quotes is
/// not edited.
///
/// The addresses of an IPv6 packet whose routing header has stops left are edited as they stand; its checksum
/// is that of its final destination, and is left alone where that does not change.
#[derive(Debug)]
pub struct PacketMut<'a> {
    slice: &'a mut [u8],
    is_ipv4: bool,
    end: usize,
    upper: Upper,
    is_fragment: bool,
    is_source_routed: bool,
    is_authenticated: bool,
}

impl<'a> PacketMut<'a> {
    /// Checks a packet and its transport header. What the slice holds beyond the packet's length is room for
    /// [`set_udp_payload`](Self::set_udp_payload).
    ///
    /// # Errors
    ///
    /// Those of [`IpPacket::parse`] and [`IpPacket::transport`].
    pub fn parse(slice: &'a mut [u8]) -> Result<Self, ParseError> {
        let packet = IpPacket::parse(slice)?;
        let upper = Upper::of(&packet)?;
        let mut is_source_routed = false;
        let mut is_authenticated = packet.protocol() == IpProtocol::AH;
        if let IpPacket::V6(packet) = packet {
            for header in packet.extension_headers() {
                is_authenticated |= header.kind() == IpProtocol::AH;
                is_source_routed |= header.kind() == IpProtocol::ROUTING
                    && header.bytes().get(3).is_some_and(|&left| left != 0);
            }
        }
        Ok(Self {
            is_ipv4: matches!(packet, IpPacket::V4(_)),
            end: packet.total_len(),
            upper,
            is_fragment: packet.is_fragment(),
            is_source_routed,
            is_authenticated,
            slice,
        })
    }

    /// The packet as it is now, without a trailer.
    pub fn bytes(&self) -> &[u8] {
        self.slice.get(..self.end).unwrap_or_default()
    }

    /// What the transport carries: for TCP, UDP and ICMP what follows their header, for everything else all of it.
    pub fn payload(&self) -> &[u8] {
        let (start, end) = self.upper.payload;
        self.slice.get(start..end).unwrap_or_default()
    }

    /// Sets the source address.
    ///
    /// # Errors
    ///
    /// [`Version`](EditError::Version), [`Authenticated`](EditError::Authenticated).
    pub fn set_source(&mut self, address: IpAddr) -> Result<(), EditError> {
        let at = if self.is_ipv4 { 12 } else { 8 };
        self.set_address(at, address, true)
    }

    /// Sets the destination address as it stands in the header.
    ///
    /// # Errors
    ///
    /// [`Version`](EditError::Version), [`Authenticated`](EditError::Authenticated).
    pub fn set_destination(&mut self, address: IpAddr) -> Result<(), EditError> {
        let at = if self.is_ipv4 { 16 } else { 24 };
        self.set_address(at, address, !self.is_source_routed)
    }

    /// Sets the source port of TCP, UDP, UDP-Lite or DCCP.
    ///
    /// # Errors
    ///
    /// [`NoPorts`](EditError::NoPorts), [`LaterFragment`](EditError::LaterFragment),
    /// [`Authenticated`](EditError::Authenticated); [`Unsupported`](EditError::Unsupported) for SCTP, whose CRC
    /// covers its ports.
    pub fn set_source_port(&mut self, port: u16) -> Result<(), EditError> {
        self.set_port(0, port)
    }

    /// Sets the destination port of TCP, UDP, UDP-Lite or DCCP.
    ///
    /// # Errors
    ///
    /// Those of [`set_source_port`](Self::set_source_port).
    pub fn set_destination_port(&mut self, port: u16) -> Result<(), EditError> {
        self.set_port(2, port)
    }

    /// Sets TTL or hop limit.
    pub fn set_hop_limit(&mut self, hop_limit: u8) {
        if self.is_ipv4 {
            self.set_ip(8, &[hop_limit]);
        } else {
            self.set_ip(7, &[hop_limit]);
        }
    }

    /// Sets the differentiated services code point, 6 bits; ECN stays (RFC 2474 §3).
    ///
    /// # Errors
    ///
    /// [`Dscp`](EditError::Dscp).
    pub fn set_dscp(&mut self, dscp: u8) -> Result<(), EditError> {
        if dscp > 0x3f {
            return Err(EditError::Dscp { found: dscp });
        }
        let &[first, second, ..] = &*self.slice else { return Ok(()) };
        if self.is_ipv4 {
            self.set_ip(1, &[(dscp << 2) | (second & 0x03)]);
        } else {
            self.set_ip(0, &[(first & 0xf0) | (dscp >> 2), (dscp << 6) | (second & 0x3f)]);
        }
        Ok(())
    }

    /// Lets `edit` change the bytes of the [`payload`](Self::payload), and returns what it returns.
    ///
    /// Reads the payload twice: [`replace`](Self::replace) costs less where the place of the change is known.
    ///
    /// # Errors
    ///
    /// [`LaterFragment`](EditError::LaterFragment), [`Quote`](EditError::Quote),
    /// [`Authenticated`](EditError::Authenticated); [`Unsupported`](EditError::Unsupported) for all but TCP, UDP,
    /// ICMP, IP in IP, and GRE without a checksum. `edit` is then not called.
    pub fn payload_mut<R>(&mut self, edit: impl FnOnce(&mut [u8]) -> R) -> Result<R, EditError> {
        self.check_payload()?;
        let (start, end) = self.upper.payload;
        let payload = self.slice.get_mut(start..end).unwrap_or_default();
        let before = sum_at(start, payload);
        let result = edit(payload);
        let after = sum_at(start, payload);
        self.update_upper(before, after);
        Ok(result)
    }

    /// Replaces a range of the [`payload`](Self::payload) by bytes of the same length.
    ///
    /// # Errors
    ///
    /// Those of [`payload_mut`](Self::payload_mut), [`Range`](EditError::Range), [`Length`](EditError::Length).
    pub fn replace(&mut self, range: Range<usize>, bytes: &[u8]) -> Result<(), EditError> {
        self.check_payload()?;
        let (start, end) = (range.start, range.end);
        let maximum = self.payload().len();
        if start > end || end > maximum {
            return Err(EditError::Range { maximum, start, end });
        }
        if range.len() != bytes.len() {
            return Err(EditError::Length { start, expected: range.len(), found: bytes.len() });
        }
        let (before, after) = self.put(self.upper.payload.0.saturating_add(start), bytes);
        self.update_upper(before, after);
        Ok(())
    }

    fn set_address(
        &mut self,
        at: usize,
        address: IpAddr,
        in_pseudo_header: bool,
    ) -> Result<(), EditError> {
        self.check_not_authenticated()?;
        let (before, after) = match address {
            IpAddr::V4(address) if self.is_ipv4 => self.set_ip(at, &address.octets()),
            IpAddr::V6(address) if !self.is_ipv4 => self.set_ip(at, &address.octets()),
            IpAddr::V4(_) => return Err(EditError::Version { expected: 6, found: 4 }),
            IpAddr::V6(_) => return Err(EditError::Version { expected: 4, found: 6 }),
        };
        if in_pseudo_header && self.upper.kind.has_pseudo_header() {
            self.update_upper(before, after);
        }
        Ok(())
    }

    fn set_port(&mut self, offset: usize, port: u16) -> Result<(), EditError> {
        let at = self.upper.at;
        match self.upper.kind {
            Kind::LaterFragment => return Err(EditError::LaterFragment { offset: at }),
            Kind::Tcp | Kind::Udp | Kind::UdpLite | Kind::Dccp => {}
            Kind::Sctp => {
                return Err(EditError::Unsupported { offset: at, found: self.upper.protocol });
            }
            _ => return Err(EditError::NoPorts { offset: at, found: self.upper.protocol }),
        }
        self.check_not_authenticated()?;
        let (before, after) = self.put(at.saturating_add(offset), &port.to_be_bytes());
        self.update_upper(before, after);
        Ok(())
    }

    fn check_payload(&self) -> Result<(), EditError> {
        let offset = self.upper.at;
        match self.upper.kind {
            Kind::LaterFragment => Err(EditError::LaterFragment { offset }),
            Kind::Icmp { error: true } | Kind::Icmpv6 { error: true } => {
                Err(EditError::Quote { offset })
            }
            Kind::Tcp | Kind::Udp | Kind::Icmp { .. } | Kind::Icmpv6 { .. } | Kind::Tunnel => {
                self.check_not_authenticated()
            }
            Kind::UdpLite | Kind::Dccp | Kind::Sctp | Kind::Other => {
                self.check_not_authenticated()?;
                Err(EditError::Unsupported { offset, found: self.upper.protocol })
            }
        }
    }

    const fn check_not_authenticated(&self) -> Result<(), EditError> {
        if self.is_authenticated { Err(EditError::Authenticated) } else { Ok(()) }
    }

    /// Writes a field of the IP header and keeps the IPv4 header checksum up with it. Returns the sums of the
    /// field before and after.
    fn set_ip(&mut self, at: usize, field: &[u8]) -> (u16, u16) {
        let (before, after) = self.put(at, field);
        if self.is_ipv4 {
            if let Some(checksum) = self.word(10) {
                self.put(10, &updated(checksum, before, after).to_be_bytes());
            }
        }
        (before, after)
    }

    /// Keeps the upper layer's checksum up with a change of what it covers.
    fn update_upper(&mut self, before: u16, after: u16) {
        let Some(at) = self.upper.checksum_at() else { return };
        let Some(checksum) = self.word(at) else { return };
        // None was computed. Over IPv6 that is for tunnels only (RFC 6935), but no other reading of it is left.
        if checksum == 0 && self.upper.kind == Kind::Udp {
            return;
        }
        let mut checksum = updated(checksum, before, after);
        if checksum == 0 && (self.upper.kind.never_sends_zero() || self.is_all_zero(at)) {
            checksum = 0xffff;
        }
        self.put(at, &checksum.to_be_bytes());
    }

    /// Whether the upper layer is all zero but for the checksum at `at`: nothing adds up to zero but zeros, whose
    /// checksum is then not zero. Only an ICMP message over IPv4, which has no pseudo header, can be that.
    fn is_all_zero(&self, at: usize) -> bool {
        matches!(self.upper.kind, Kind::Icmp { .. })
            && !self.is_fragment
            && self.bytes().iter().enumerate().skip(self.upper.at).all(|(position, &byte)| {
                byte == 0 || position == at || position == at.saturating_add(1)
            })
    }

    fn word(&self, at: usize) -> Option<u16> {
        self.slice.get(at..)?.first_chunk().map(|&word| u16::from_be_bytes(word))
    }

    /// Writes bytes and returns their sums before and after.
    fn put(&mut self, at: usize, bytes: &[u8]) -> (u16, u16) {
        let Some(place) = self.slice.get_mut(at..).and_then(|rest| rest.get_mut(..bytes.len()))
        else {
            return (0, 0);
        };
        let before = sum_at(at, place);
        place.copy_from_slice(bytes);
        (before, sum_at(at, place))
    }
}

/// What bytes at an offset into the packet add to a checksum over it.
fn sum_at(offset: usize, bytes: &[u8]) -> u16 {
    let mut sum = Checksum::new();
    if offset & 1 == 1 {
        sum.add(&[0]);
    }
    sum.add(bytes);
    !sum.finish()
}

/// RFC 1624 §3, equation 3: HC' = ~(~HC + ~m + m').
fn updated(checksum: u16, before: u16, after: u16) -> u16 {
    let mut sum = Checksum::new();
    for word in [!checksum, !before, after] {
        sum.add_u16(word);
    }
    sum.finish()
}

#[cfg(test)]
mod tests;
