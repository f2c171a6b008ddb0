use core::net::Ipv6Addr;

use super::ipv6_extension::{Chain, ExtensionHeaders};
use super::{Fragment, IpProtocol, Layer, ParseError};

/// An IPv6 packet (RFC 8200 §3) whose chain of extension headers has been walked.
///
/// The slice may be longer than the packet: what is beyond the payload length is the
/// [`trailer`](Self::trailer).
#[derive(Clone, Copy, Debug)]
pub struct Ipv6Packet<'a> {
    fixed: &'a [u8; 40],
    slice: &'a [u8],
    end: usize,
    chain: Chain,
}

impl<'a> Ipv6Packet<'a> {
    /// The length of the fixed header.
    pub const HEADER_LEN: usize = 40;

    /// A packet that is known to have no extension headers, and whose length was checked, and its payload.
    #[cfg(feature = "alloc")]
    #[inline(always)]
    pub(super) fn straight(slice: &'a [u8]) -> Option<(Self, &'a [u8])> {
        let fixed = slice.first_chunk()?;
        let end =
            usize::from(u16::from_be_bytes([fixed[4], fixed[5]])).wrapping_add(Self::HEADER_LEN);
        let payload = slice.get(Self::HEADER_LEN..end)?;
        Some((Self { fixed, slice, end, chain: Chain::new(IpProtocol(fixed[6])) }, payload))
    }

    /// Checks version, payload length against the slice, every extension header, and the reach of a fragment.
    ///
    /// A payload length of zero is legal where nothing follows the header. With a jumbo payload option
    /// (RFC 2675) it is refused: no load balancer has an MTU for jumbograms.
    ///
    /// # Errors
    ///
    /// [`Truncated`](ParseError::Truncated), [`Version`](ParseError::Version) or [`Length`](ParseError::Length) of
    /// [`Layer::Ipv6`]; [`Truncated`](ParseError::Truncated), [`HeaderLength`](ParseError::HeaderLength),
    /// [`Jumbogram`](ParseError::Jumbogram), [`TooManyExtensionHeaders`](ParseError::TooManyExtensionHeaders),
    /// [`HopByHopNotFirst`](ParseError::HopByHopNotFirst) or
    /// [`RepeatedFragmentHeader`](ParseError::RepeatedFragmentHeader) of [`Layer::Ipv6Extension`];
    /// [`FragmentEnd`](ParseError::FragmentEnd) or [`FragmentLength`](ParseError::FragmentLength).
    pub fn parse(slice: &'a [u8]) -> Result<Self, ParseError> {
        let mut packet = Self::fixed_header(slice)?;
        let declared = packet.declared_len();
        if declared > slice.len() {
            return Err(ParseError::Length {
                layer: Layer::Ipv6,
                offset: 4,
                found: usize::from(packet.payload_len()),
                minimum: 0,
                maximum: slice.len().saturating_sub(Self::HEADER_LEN),
            });
        }
        if packet.payload_len() == 0 && packet.next_header() == IpProtocol::HOP_BY_HOP {
            Chain::refuse_jumbogram(slice)?;
        }
        packet.end = declared;
        packet.chain = Chain::walk(packet.bytes(), packet.next_header())?;
        if let Some(fragment) = packet.fragment() {
            let header = usize::from(packet.chain.fragment_at);
            let data_len = declared.saturating_sub(header.saturating_add(8));
            let before = header.saturating_sub(Self::HEADER_LEN);
            fragment.check(Layer::Ipv6, header.saturating_add(2), before, data_len)?;
        }
        Ok(packet)
    }

    /// Source and destination address.
    #[cfg(feature = "alloc")]
    #[inline]
    pub(super) fn address_bytes(&self) -> &'a [u8; 32] {
        self.fixed.last_chunk().unwrap_or(&[0; 32])
    }

    /// As [`parse`](Self::parse), of a packet whose end may be missing: it ends where the slice ends, whatever its
    /// payload length and its fragment header say.
    pub(super) fn parse_quoted(slice: &'a [u8]) -> Result<Self, ParseError> {
        let mut packet = Self::fixed_header(slice)?;
        packet.chain = Chain::walk(slice, packet.next_header())?;
        Ok(packet)
    }

    fn fixed_header(slice: &'a [u8]) -> Result<Self, ParseError> {
        let layer = Layer::Ipv6;
        if let Some(version) = slice.first().map(|byte| byte >> 4) {
            if version != 6 {
                return Err(ParseError::Version { layer, offset: 0, found: version });
            }
        }
        let fixed = slice.first_chunk().ok_or(ParseError::Truncated {
            layer,
            offset: 0,
            expected: Self::HEADER_LEN,
            found: slice.len(),
        })?;
        Ok(Self { fixed, slice, end: slice.len(), chain: Chain::new(IpProtocol(fixed[6])) })
    }

    fn declared_len(&self) -> usize {
        usize::from(self.payload_len()).saturating_add(Self::HEADER_LEN)
    }

    /// Traffic class: DSCP and ECN in one byte.
    pub const fn traffic_class(&self) -> u8 {
        (self.fixed[0] << 4) | (self.fixed[1] >> 4)
    }

    /// Differentiated services code point, 6 bits (RFC 2474 §3).
    pub const fn dscp(&self) -> u8 {
        self.traffic_class() >> 2
    }

    /// Explicit congestion notification, 2 bits (RFC 3168 §5).
    pub const fn ecn(&self) -> u8 {
        self.traffic_class() & 3
    }

    /// Flow label, 20 bits (RFC 6437).
    pub const fn flow_label(&self) -> u32 {
        u32::from_be_bytes([0, self.fixed[1] & 0x0f, self.fixed[2], self.fixed[3]])
    }

    /// Everything after the fixed header, extension headers included, in bytes.
    pub const fn payload_len(&self) -> u16 {
        u16::from_be_bytes([self.fixed[4], self.fixed[5]])
    }

    /// What follows the fixed header directly: an extension header or the upper layer.
    pub const fn next_header(&self) -> IpProtocol {
        IpProtocol(self.fixed[6])
    }

    /// Hop limit.
    pub const fn hop_limit(&self) -> u8 {
        self.fixed[7]
    }

    /// Source address.
    pub const fn source(&self) -> Ipv6Addr {
        Ipv6Addr::from_bits(u128::from_be_bytes(self.octets_at::<8>()))
    }

    /// Destination address as it stands in the header; with a routing header perhaps a stop on the way.
    pub const fn destination(&self) -> Ipv6Addr {
        Ipv6Addr::from_bits(u128::from_be_bytes(self.octets_at::<24>()))
    }

    /// The upper-layer protocol: what stands behind the last extension header.
    ///
    /// For a fragment after the first it is what the fragment header names, which may be another extension
    /// header: the rest of the chain is in the first fragment.
    pub const fn protocol(&self) -> IpProtocol {
        self.chain.protocol
    }

    /// What the fragment header says, if there is one; it may be [atomic](Fragment::is_atomic).
    pub fn fragment(&self) -> Option<Fragment> {
        self.chain.fragment(self.slice)
    }

    /// The extension headers in their order.
    pub fn extension_headers(&self) -> ExtensionHeaders<'a> {
        let bytes = self.slice.get(Self::HEADER_LEN..self.header_len()).unwrap_or_default();
        ExtensionHeaders::new(bytes, self.next_header())
    }

    /// The length of the fixed header and all extension headers, in bytes.
    pub const fn header_len(&self) -> usize {
        self.chain.upper_at as usize
    }

    /// The fixed header and all extension headers.
    pub fn header(&self) -> &'a [u8] {
        self.slice.get(..self.header_len()).unwrap_or_default()
    }

    /// The upper layer: what follows the last extension header, up to the payload length.
    pub fn payload(&self) -> &'a [u8] {
        self.slice.get(self.header_len()..self.end).unwrap_or_default()
    }

    /// Headers and payload.
    pub fn bytes(&self) -> &'a [u8] {
        self.slice.get(..self.end).unwrap_or_default()
    }

    /// What the slice holds beyond the payload length.
    pub fn trailer(&self) -> &'a [u8] {
        self.slice.get(self.end..).unwrap_or_default()
    }

    const fn octets_at<const AT: usize>(&self) -> [u8; 16] {
        match self.fixed.split_at(AT).1.first_chunk() {
            Some(octets) => *octets,
            None => [0; 16],
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::packet::tests::build::{fragment_header, ipv6};

    #[test]
    fn fields() {
        let mut bytes = ipv6(59, b"data");
        bytes[..4].copy_from_slice(&[0x6b, 0x9a, 0xbc, 0xde]);
        let packet = Ipv6Packet::parse(&bytes).unwrap();
        assert_eq!((packet.traffic_class(), packet.dscp(), packet.ecn()), (0xb9, 46, 1));
        assert_eq!((packet.flow_label(), packet.payload_len()), (0xabcde, 4));
        assert_eq!((packet.next_header(), packet.hop_limit()), (IpProtocol::NO_NEXT, 64));
        assert_eq!(packet.source().to_string(), "2001:db8::1");
        assert_eq!(packet.destination().to_string(), "2001:db8::2");
        assert_eq!((packet.header().len(), packet.payload()), (40, &b"data"[..]));
    }

    #[test]
    fn a_fragment_offset_counts_bytes_and_ignores_reserved_bits() {
        let mut payload = fragment_header(59, 40, true);
        payload[3] |= 6;
        let bytes = ipv6(44, &payload);
        let fragment = Ipv6Packet::parse(&bytes).unwrap().fragment();
        assert_eq!(fragment, Some(Fragment { identification: 7, offset: 40, more: true }));
    }
}
