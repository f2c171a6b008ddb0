use super::{Layer, ParseError, Ports};

/// A UDP datagram (RFC 768).
#[derive(Clone, Copy, Debug)]
pub struct UdpDatagram<'a> {
    fixed: &'a [u8; 8],
    bytes: &'a [u8],
}

impl<'a> UdpDatagram<'a> {
    /// The length of the header.
    pub const HEADER_LEN: usize = 8;

    /// Checks the length field against `bytes`, the payload of an IP packet that is not fragmented.
    ///
    /// Bytes beyond the UDP length are no part of the datagram. A length of zero (a UDP jumbogram, RFC 2675 §4)
    /// is refused.
    ///
    /// # Errors
    ///
    /// [`Truncated`](ParseError::Truncated) or [`Length`](ParseError::Length) of [`Layer::Udp`].
    pub fn parse(bytes: &'a [u8]) -> Result<Self, ParseError> {
        Self::parse_at(bytes, 0, false)
    }

    /// As [`parse`](Self::parse) at an `offset` into the packet; `cut` where the rest is in later fragments.
    pub(super) fn parse_at(bytes: &'a [u8], offset: usize, cut: bool) -> Result<Self, ParseError> {
        let layer = Layer::Udp;
        let (minimum, found) = (Self::HEADER_LEN, bytes.len());
        let fixed = bytes.first_chunk().ok_or(ParseError::Truncated {
            layer,
            offset,
            expected: minimum,
            found,
        })?;
        let length = usize::from(u16::from_be_bytes([fixed[4], fixed[5]]));
        if length < minimum || (length > bytes.len() && !cut) {
            return Err(ParseError::Length {
                layer,
                offset: offset.saturating_add(4),
                found: length,
                minimum,
                maximum: if cut { usize::from(u16::MAX) } else { bytes.len() },
            });
        }
        Ok(Self { fixed, bytes: bytes.get(..length).unwrap_or(bytes) })
    }

    /// A datagram whose length was checked.
    #[cfg(feature = "alloc")]
    #[inline(always)]
    pub(super) fn straight(bytes: &'a [u8]) -> Option<Self> {
        let fixed: &[u8; 8] = bytes.first_chunk()?;
        let length = usize::from(u16::from_be_bytes([fixed[4], fixed[5]]));
        Some(Self { fixed, bytes: bytes.get(..length)? })
    }

    /// Source port; zero where no answer is expected.
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

    /// Header and payload together, in bytes, as the length field has it: at least 8, and more than
    /// [`bytes`](Self::bytes) holds only where the rest is in later fragments.
    pub const fn length(&self) -> u16 {
        u16::from_be_bytes([self.fixed[4], self.fixed[5]])
    }

    /// The checksum as received; zero over IPv4 means none.
    pub const fn checksum(&self) -> u16 {
        u16::from_be_bytes([self.fixed[6], self.fixed[7]])
    }

    /// The data, up to the UDP length.
    pub fn payload(&self) -> &'a [u8] {
        self.bytes.get(Self::HEADER_LEN..).unwrap_or_default()
    }

    /// Header and data.
    pub const fn bytes(&self) -> &'a [u8] {
        self.bytes
    }
}
