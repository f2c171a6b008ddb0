use core::net::Ipv4Addr;

use super::{Checksum, Fragment, IpProtocol, Layer, ParseError};

/// An IPv4 packet (RFC 791 §3.1).
///
/// The slice may be longer than the packet: what is beyond the total length, such as the padding of a short
/// Ethernet frame, is the [`trailer`](Self::trailer).
#[derive(Clone, Copy, Debug)]
pub struct Ipv4Packet<'a> {
    fixed: &'a [u8; 20],
    slice: &'a [u8],
    header_len: usize,
    end: usize,
}

impl<'a> Ipv4Packet<'a> {
    /// The length of a header without options.
    pub const MIN_HEADER_LEN: usize = 20;
    /// The length of the longest header.
    pub const MAX_HEADER_LEN: usize = 60;

    /// Checks version, header length, total length against the slice, and the reach of a fragment.
    ///
    /// The header checksum is not looked at: see [`verify_checksum`](Self::verify_checksum).
    ///
    /// # Errors
    ///
    /// [`Truncated`](ParseError::Truncated), [`Version`](ParseError::Version),
    /// [`HeaderLength`](ParseError::HeaderLength), [`Length`](ParseError::Length),
    /// [`FragmentEnd`](ParseError::FragmentEnd) or [`FragmentLength`](ParseError::FragmentLength), all of
    /// [`Layer::Ipv4`].
    pub fn parse(slice: &'a [u8]) -> Result<Self, ParseError> {
        let mut packet = Self::parse_quoted(slice)?;
        let total_len = usize::from(packet.total_len());
        let Some(data_len) = total_len.checked_sub(packet.header_len) else {
            return Err(packet.length_error(slice.len()));
        };
        if let Some(fragment) = packet.fragment() {
            // Later fragments repeat at most the options of the first, so its header is no shorter than this.
            fragment.check(Layer::Ipv4, 6, packet.header_len, data_len)?;
        }
        if total_len > slice.len() {
            return Err(packet.length_error(slice.len()));
        }
        packet.end = total_len;
        Ok(packet)
    }

    /// A packet that is known to have no options, and whose length was checked, and its payload.
    #[cfg(feature = "alloc")]
    #[inline(always)]
    pub(super) fn straight(slice: &'a [u8]) -> Option<(Self, &'a [u8])> {
        let fixed = slice.first_chunk()?;
        let end = usize::from(u16::from_be_bytes([fixed[2], fixed[3]]));
        let payload = slice.get(Self::MIN_HEADER_LEN..end)?;
        Some((Self { fixed, slice, header_len: Self::MIN_HEADER_LEN, end }, payload))
    }

    /// As [`parse`](Self::parse), of a packet whose end may be missing: it ends where the slice ends, whatever its
    /// total length and its fragment fields say.
    pub(super) fn parse_quoted(slice: &'a [u8]) -> Result<Self, ParseError> {
        let layer = Layer::Ipv4;
        let truncated =
            |expected| ParseError::Truncated { layer, offset: 0, expected, found: slice.len() };
        if let Some(version) = slice.first().map(|byte| byte >> 4) {
            if version != 4 {
                return Err(ParseError::Version { layer, offset: 0, found: version });
            }
        }
        let fixed = slice.first_chunk().ok_or(truncated(Self::MIN_HEADER_LEN))?;
        let header_len = usize::from(fixed[0] & 0x0f) << 2;
        if header_len < Self::MIN_HEADER_LEN {
            let minimum = Self::MIN_HEADER_LEN;
            return Err(ParseError::HeaderLength { layer, offset: 0, found: header_len, minimum });
        }
        if header_len > slice.len() {
            return Err(truncated(header_len));
        }
        Ok(Self { fixed, slice, header_len, end: slice.len() })
    }

    fn length_error(&self, maximum: usize) -> ParseError {
        ParseError::Length {
            layer: Layer::Ipv4,
            offset: 2,
            found: usize::from(self.total_len()),
            minimum: self.header_len,
            maximum,
        }
    }

    /// Type of service: DSCP and ECN in one byte.
    pub const fn tos(&self) -> u8 {
        self.fixed[1]
    }

    /// Differentiated services code point, 6 bits (RFC 2474 §3).
    pub const fn dscp(&self) -> u8 {
        self.tos() >> 2
    }

    /// Explicit congestion notification, 2 bits (RFC 3168 §5).
    pub const fn ecn(&self) -> u8 {
        self.tos() & 3
    }

    /// Header and payload together, in bytes.
    pub const fn total_len(&self) -> u16 {
        u16::from_be_bytes([self.fixed[2], self.fixed[3]])
    }

    /// Names the datagram that fragments belong to.
    pub const fn identification(&self) -> u16 {
        u16::from_be_bytes([self.fixed[4], self.fixed[5]])
    }

    /// The DF flag.
    pub const fn dont_fragment(&self) -> bool {
        self.fixed[6] & 0x40 != 0
    }

    /// The MF flag.
    pub const fn more_fragments(&self) -> bool {
        self.fixed[6] & 0x20 != 0
    }

    /// Where the payload belongs in its datagram, in bytes (the field counts units of 8).
    pub const fn fragment_offset(&self) -> u16 {
        u16::from_be_bytes([self.fixed[6], self.fixed[7]]) << 3
    }

    /// Which part of a datagram this is; `None` where it is all of it.
    pub const fn fragment(&self) -> Option<Fragment> {
        let fragment = Fragment {
            identification: self.identification() as u32,
            offset: self.fragment_offset(),
            more: self.more_fragments(),
        };
        if fragment.is_atomic() { None } else { Some(fragment) }
    }

    /// Time to live.
    pub const fn ttl(&self) -> u8 {
        self.fixed[8]
    }

    /// What the payload is. An Authentication Header is such a payload in IPv4, and is not looked through.
    pub const fn protocol(&self) -> IpProtocol {
        IpProtocol(self.fixed[9])
    }

    /// The header checksum as received.
    pub const fn header_checksum(&self) -> u16 {
        u16::from_be_bytes([self.fixed[10], self.fixed[11]])
    }

    /// Source address.
    pub const fn source(&self) -> Ipv4Addr {
        let [.., a, b, c, d, _, _, _, _] = *self.fixed;
        Ipv4Addr::new(a, b, c, d)
    }

    /// Destination address.
    pub const fn destination(&self) -> Ipv4Addr {
        let [.., a, b, c, d] = *self.fixed;
        Ipv4Addr::new(a, b, c, d)
    }

    /// The length of the header with its options, in bytes.
    pub const fn header_len(&self) -> usize {
        self.header_len
    }

    /// The header with its options.
    pub fn header(&self) -> &'a [u8] {
        self.slice.get(..self.header_len).unwrap_or_default()
    }

    /// The options with their padding, empty where the IHL is 5.
    pub fn options(&self) -> &'a [u8] {
        self.slice.get(Self::MIN_HEADER_LEN..self.header_len).unwrap_or_default()
    }

    /// What follows the header, up to the total length.
    #[inline]
    pub fn payload(&self) -> &'a [u8] {
        self.slice.get(self.header_len..self.end).unwrap_or_default()
    }

    /// Header and payload.
    pub fn bytes(&self) -> &'a [u8] {
        self.slice.get(..self.end).unwrap_or_default()
    }

    /// What the slice holds beyond the total length.
    pub fn trailer(&self) -> &'a [u8] {
        self.slice.get(self.end..).unwrap_or_default()
    }

    /// Source and destination address.
    #[cfg(feature = "alloc")]
    #[inline]
    pub(super) fn address_bytes(&self) -> &'a [u8; 8] {
        self.fixed.last_chunk().unwrap_or(&[0; 8])
    }

    /// Whether the header checksum is right.
    #[inline]
    pub fn verify_checksum(&self) -> bool {
        match self.header_len {
            Self::MIN_HEADER_LEN => Checksum::is_right_of_header(self.fixed),
            _ => Checksum::of(self.header()) == 0,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A header in which every field has another value.
    const HEADER: [u8; 24] = [
        0x46, 0xb9, 0x00, 0x18, 0x12, 0x34, 0x40, 0x00, 0x3f, 0x3b, 0xbd, 0x5d, 10, 1, 2, 3, 10, 4,
        5, 6, 1, 1, 1, 0,
    ];

    #[test]
    fn fields() {
        let packet = Ipv4Packet::parse(&HEADER).unwrap();
        assert_eq!((packet.tos(), packet.dscp(), packet.ecn()), (0xb9, 46, 1));
        assert_eq!((packet.total_len(), packet.identification()), (24, 0x1234));
        assert_eq!((packet.dont_fragment(), packet.more_fragments()), (true, false));
        assert_eq!((packet.ttl(), packet.protocol()), (63, IpProtocol::NO_NEXT));
        assert_eq!(packet.source(), Ipv4Addr::new(10, 1, 2, 3));
        assert_eq!(packet.destination(), Ipv4Addr::new(10, 4, 5, 6));
        assert_eq!((packet.options(), packet.payload()), (&[1, 1, 1, 0][..], &[][..]));
    }

    #[test]
    fn the_header_checksum_covers_the_options() {
        let mut bytes = HEADER;
        bytes[10..12].fill(0);
        let sum = Checksum::of(&bytes);
        bytes[10..12].copy_from_slice(&sum.to_be_bytes());
        assert!(Ipv4Packet::parse(&bytes).unwrap().verify_checksum());
        bytes[22] ^= 1;
        assert!(!Ipv4Packet::parse(&bytes).unwrap().verify_checksum());
    }

    #[test]
    fn a_fragment_offset_counts_bytes_and_ignores_flags() {
        let mut bytes = HEADER;
        bytes[6..8].copy_from_slice(&[0xe0, 0x05]);
        let fragment = Ipv4Packet::parse(&bytes).unwrap().fragment();
        assert_eq!(fragment, Some(Fragment { identification: 0x1234, offset: 40, more: true }));
    }
}
