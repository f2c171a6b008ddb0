use super::{Layer, ParseError};

/// Which part of a fragmented datagram an IP packet carries (RFC 791 §3.2, RFC 8200 §4.5).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Fragment {
    /// Names the datagram, together with its addresses (and protocol, in IPv4). 16 bits in IPv4.
    pub identification: u32,
    /// Where this part's data belong in the datagram, in bytes: a multiple of 8.
    pub offset: u16,
    /// More fragments follow this one.
    pub more: bool,
}

impl Fragment {
    /// Whether this is the first fragment, the one with the ports.
    pub const fn is_first(&self) -> bool {
        self.offset == 0
    }

    /// Whether this "fragment" is the whole datagram: an IPv6 atomic fragment (RFC 6946), which is never
    /// reassembled with others and counts as not fragmented.
    pub const fn is_atomic(&self) -> bool {
        self.offset == 0 && !self.more
    }

    /// Checks `length` bytes of data behind `before` bytes that count towards the datagram's length. The field
    /// is at `at`.
    pub(super) const fn check(
        &self,
        layer: Layer,
        at: usize,
        before: usize,
        length: usize,
    ) -> Result<(), ParseError> {
        if self.more && length & 7 != 0 {
            return Err(ParseError::FragmentLength { layer, offset: at, found: length });
        }
        let end = before.saturating_add(self.offset as usize).saturating_add(length);
        if end > 65_535 {
            return Err(ParseError::FragmentEnd { layer, offset: at, found: end });
        }
        Ok(())
    }
}
