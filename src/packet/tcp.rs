use core::fmt;
use core::ops::BitOr;

use super::{Layer, ParseError, Ports, TcpOptions};

/// A TCP segment (RFC 9293 §3.1).
#[derive(Clone, Copy, Debug)]
pub struct TcpSegment<'a> {
    fixed: &'a [u8; 20],
    bytes: &'a [u8],
    offset: usize,
}

impl<'a> TcpSegment<'a> {
    /// The length of a header without options.
    pub const MIN_HEADER_LEN: usize = 20;
    /// The length of the longest header.
    pub const MAX_HEADER_LEN: usize = 60;

    /// Checks the data offset against `bytes`, the payload of an IP packet.
    ///
    /// # Errors
    ///
    /// [`Truncated`](ParseError::Truncated) or [`HeaderLength`](ParseError::HeaderLength) of [`Layer::Tcp`].
    pub fn parse(bytes: &'a [u8]) -> Result<Self, ParseError> {
        Self::parse_at(bytes, 0)
    }

    /// A segment whose data offset was checked, at an `offset` into the packet.
    #[cfg(feature = "alloc")]
    #[inline(always)]
    pub(super) fn straight(bytes: &'a [u8], offset: usize) -> Option<Self> {
        Some(Self { fixed: bytes.first_chunk()?, bytes, offset })
    }

    /// Whether there are no options, or the timestamps that most segments have, which are known to be in order.
    #[cfg(feature = "alloc")]
    #[inline(always)]
    pub(super) fn has_usual_options(&self) -> bool {
        const TIMESTAMPS: [u8; 4] = [1, 1, 8, 10];

        match self.header_len() {
            Self::MIN_HEADER_LEN => true,
            32 => {
                matches!(self.bytes.get(Self::MIN_HEADER_LEN..24), Some(start) if *start == TIMESTAMPS)
            }
            _ => false,
        }
    }

    /// As [`parse`](Self::parse) at an `offset` into the packet.
    pub(super) fn parse_at(bytes: &'a [u8], offset: usize) -> Result<Self, ParseError> {
        let layer = Layer::Tcp;
        let truncated =
            |expected| ParseError::Truncated { layer, offset, expected, found: bytes.len() };
        let minimum = Self::MIN_HEADER_LEN;
        let fixed = bytes.first_chunk().ok_or(truncated(minimum))?;
        let segment = Self { fixed, bytes, offset };
        let header_len = segment.header_len();
        if header_len < minimum {
            let offset = offset.saturating_add(12);
            return Err(ParseError::HeaderLength { layer, offset, found: header_len, minimum });
        }
        if header_len > bytes.len() {
            return Err(truncated(header_len));
        }
        Ok(segment)
    }

    /// Source port.
    pub const fn source_port(&self) -> u16 {
        u16::from_be_bytes([self.fixed[0], self.fixed[1]])
    }

    /// Destination port.
    pub const fn destination_port(&self) -> u16 {
        u16::from_be_bytes([self.fixed[2], self.fixed[3]])
    }

    /// Both ports.
    pub const fn ports(&self) -> Ports {
        Ports { source: self.source_port(), destination: self.destination_port() }
    }

    /// Sequence number of the first data byte; of the SYN itself where that is set.
    pub const fn sequence_number(&self) -> u32 {
        u32::from_be_bytes([self.fixed[4], self.fixed[5], self.fixed[6], self.fixed[7]])
    }

    /// The sequence number expected next from the other side. It means something with [`TcpFlags::ACK`] only.
    pub const fn acknowledgment_number(&self) -> u32 {
        u32::from_be_bytes([self.fixed[8], self.fixed[9], self.fixed[10], self.fixed[11]])
    }

    /// The length of the header with its options, in bytes: four times the data offset field.
    pub const fn header_len(&self) -> usize {
        ((self.fixed[12] >> 4) << 2) as usize
    }

    /// The control bits.
    pub const fn flags(&self) -> TcpFlags {
        TcpFlags(u16::from_be_bytes([self.fixed[12], self.fixed[13]]) & 0x01ff)
    }

    /// The word of the header with the data offset and the control bits, in network byte order.
    #[cfg(feature = "alloc")]
    #[inline(always)]
    pub(crate) const fn offset_and_flags(&self) -> u16 {
        u16::from_ne_bytes([self.fixed[12], self.fixed[13]])
    }

    /// The receive window as it stands in the header, not scaled.
    pub const fn window(&self) -> u16 {
        u16::from_be_bytes([self.fixed[14], self.fixed[15]])
    }

    /// The checksum as received.
    pub const fn checksum(&self) -> u16 {
        u16::from_be_bytes([self.fixed[16], self.fixed[17]])
    }

    /// The urgent pointer. It means something with [`TcpFlags::URG`] only.
    pub const fn urgent_pointer(&self) -> u16 {
        u16::from_be_bytes([self.fixed[18], self.fixed[19]])
    }

    /// The options, each checked as it is reached.
    pub fn options(&self) -> TcpOptions<'a> {
        let offset = self.offset.saturating_add(Self::MIN_HEADER_LEN);
        TcpOptions::new(self.option_bytes(), offset)
    }

    /// The bytes of the options with their padding, empty where the data offset is 5.
    pub fn option_bytes(&self) -> &'a [u8] {
        self.bytes.get(Self::MIN_HEADER_LEN..self.header_len()).unwrap_or_default()
    }

    /// The header with its options.
    pub fn header(&self) -> &'a [u8] {
        self.bytes.get(..self.header_len()).unwrap_or_default()
    }

    /// The data.
    #[inline]
    pub fn payload(&self) -> &'a [u8] {
        #[cold]
        #[inline(never)]
        fn none<'a>() -> &'a [u8] {
            &[]
        }

        // The offset was checked: a branch that is never taken costs less than a choice.
        match self.bytes.split_at_checked(self.header_len()) {
            Some((_, payload)) => payload,
            None => none(),
        }
    }

    /// Header and data.
    pub const fn bytes(&self) -> &'a [u8] {
        self.bytes
    }
}

/// The control bits of a TCP segment (RFC 9293 §3.1, RFC 9768 for AE).
///
/// ```
/// use gwlb_geneve::packet::TcpFlags;
///
/// let flags = TcpFlags::SYN | TcpFlags::ACK;
/// assert!(flags.contains(TcpFlags::SYN));
/// assert!(!flags.contains(TcpFlags::SYN | TcpFlags::RST));
/// assert_eq!(flags.to_string(), "SYN,ACK");
/// ```
#[derive(Clone, Copy, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct TcpFlags(pub u16);

impl TcpFlags {
    /// No more data from the sender.
    pub const FIN: Self = Self(0x001);
    /// Synchronize sequence numbers.
    pub const SYN: Self = Self(0x002);
    /// Reset the connection.
    pub const RST: Self = Self(0x004);
    /// Push.
    pub const PSH: Self = Self(0x008);
    /// The acknowledgment number means something.
    pub const ACK: Self = Self(0x010);
    /// The urgent pointer means something.
    pub const URG: Self = Self(0x020);
    /// ECN echo (RFC 3168).
    pub const ECE: Self = Self(0x040);
    /// Congestion window reduced (RFC 3168).
    pub const CWR: Self = Self(0x080);
    /// Accurate ECN (RFC 9768), once the nonce sum.
    pub const AE: Self = Self(0x100);

    /// Whether all bits of `other` are set.
    pub const fn contains(self, other: Self) -> bool {
        self.0 & other.0 == other.0
    }

    /// Whether any bit of `other` is set.
    pub const fn intersects(self, other: Self) -> bool {
        self.0 & other.0 != 0
    }
}

impl BitOr for TcpFlags {
    type Output = Self;

    fn bitor(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }
}

impl fmt::Display for TcpFlags {
    /// The names of the bits set, joined by commas: `SYN,ACK`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const NAMES: [(TcpFlags, &str); 9] = [
            (TcpFlags::FIN, "FIN"),
            (TcpFlags::SYN, "SYN"),
            (TcpFlags::RST, "RST"),
            (TcpFlags::PSH, "PSH"),
            (TcpFlags::ACK, "ACK"),
            (TcpFlags::URG, "URG"),
            (TcpFlags::ECE, "ECE"),
            (TcpFlags::CWR, "CWR"),
            (TcpFlags::AE, "AE"),
        ];
        let mut separator = "";
        for (flag, name) in NAMES {
            if self.contains(flag) {
                write!(f, "{separator}{name}")?;
                separator = ",";
            }
        }
        Ok(())
    }
}

impl fmt::Debug for TcpFlags {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "TcpFlags({self})")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields() {
        let bytes = [
            0x12, 0x34, 0x01, 0xbb, 1, 2, 3, 4, 5, 6, 7, 8, 0x6f, 0x52, 9, 10, 11, 12, 13,
            14, // fixed
            1, 1, 1, 0, b'x',
        ];
        let segment = TcpSegment::parse(&bytes).unwrap();
        assert_eq!(segment.ports(), Ports { source: 0x1234, destination: 443 });
        assert_eq!(segment.sequence_number(), 0x0102_0304);
        assert_eq!(segment.acknowledgment_number(), 0x0506_0708);
        // The reserved bits are no flags.
        let flags = TcpFlags::AE | TcpFlags::ECE | TcpFlags::ACK | TcpFlags::SYN;
        assert_eq!(segment.flags(), flags);
        assert_eq!(segment.window(), 0x090a);
        assert_eq!((segment.checksum(), segment.urgent_pointer()), (0x0b0c, 0x0d0e));
        assert_eq!((segment.header_len(), segment.payload()), (24, &b"x"[..]));
    }
}
