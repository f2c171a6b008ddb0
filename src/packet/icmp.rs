use super::{Layer, ParseError, QuotedPacket};

/// Which ICMP: the messages look alike, their types do not.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum IcmpVersion {
    /// ICMP for IPv4 (RFC 792).
    V4,
    /// ICMP for IPv6 (RFC 4443).
    V6,
}

/// An ICMP message over IPv4 or IPv6.
#[derive(Clone, Copy, Debug)]
pub struct IcmpMessage<'a> {
    fixed: &'a [u8; 8],
    bytes: &'a [u8],
    offset: usize,
    version: IcmpVersion,
}

impl<'a> IcmpMessage<'a> {
    /// The length of type, code, checksum and the four bytes that every message has after them.
    pub const HEADER_LEN: usize = 8;

    /// Checks that `bytes`, the payload of an IP packet, hold a message's first 8 bytes.
    ///
    /// # Errors
    ///
    /// [`Truncated`](ParseError::Truncated) of [`Layer::Icmp`] or [`Layer::Icmpv6`].
    pub fn parse(version: IcmpVersion, bytes: &'a [u8]) -> Result<Self, ParseError> {
        Self::parse_at(version, bytes, 0)
    }

    /// As [`parse`](Self::parse) at an `offset` into the packet.
    pub(super) fn parse_at(
        version: IcmpVersion,
        bytes: &'a [u8],
        offset: usize,
    ) -> Result<Self, ParseError> {
        let fixed = bytes.first_chunk().ok_or(ParseError::Truncated {
            layer: match version {
                IcmpVersion::V4 => Layer::Icmp,
                IcmpVersion::V6 => Layer::Icmpv6,
            },
            offset,
            expected: Self::HEADER_LEN,
            found: bytes.len(),
        })?;
        Ok(Self { fixed, bytes, offset, version })
    }

    /// Which ICMP this is.
    pub const fn version(&self) -> IcmpVersion {
        self.version
    }

    /// The message's type, such as, for "destination unreachable", 3 in IPv4 and 1 in IPv6.
    pub const fn message_type(&self) -> u8 {
        self.fixed[0]
    }

    /// The code, which refines the type.
    pub const fn code(&self) -> u8 {
        self.fixed[1]
    }

    /// The checksum as received.
    pub const fn checksum(&self) -> u16 {
        u16::from_be_bytes([self.fixed[2], self.fixed[3]])
    }

    /// The four bytes after the checksum: identifier and sequence, MTU, pointer, by type.
    pub const fn rest_of_header(&self) -> [u8; 4] {
        let [_, _, _, _, rest @ ..] = *self.fixed;
        rest
    }

    /// What follows the first 8 bytes.
    pub fn body(&self) -> &'a [u8] {
        self.bytes.get(Self::HEADER_LEN..).unwrap_or_default()
    }

    /// The whole message.
    pub const fn bytes(&self) -> &'a [u8] {
        self.bytes
    }

    /// Identifier and sequence of an echo request or reply.
    pub const fn echo(&self) -> Option<Echo> {
        let reply = match (self.version, self.message_type()) {
            (IcmpVersion::V4, 8) | (IcmpVersion::V6, 128) => false,
            (IcmpVersion::V4, 0) | (IcmpVersion::V6, 129) => true,
            _ => return None,
        };
        let [a, b, c, d] = self.rest_of_header();
        Some(Echo {
            identifier: u16::from_be_bytes([a, b]),
            sequence: u16::from_be_bytes([c, d]),
            reply,
        })
    }

    /// Whether this message is about another packet, which it quotes.
    ///
    /// In IPv4: destination unreachable, source quench, redirect, time exceeded, parameter problem. In IPv6: every
    /// type below 128 (RFC 4443 §2.1).
    pub const fn is_error(&self) -> bool {
        match self.version {
            IcmpVersion::V4 => matches!(self.message_type(), 3 | 4 | 5 | 11 | 12),
            IcmpVersion::V6 => self.message_type() < 128,
        }
    }

    /// The packet that an error is about: `None` where this is no error, an error of its own where the quote is
    /// no packet. A flow is found by the quote, not by the error's own addresses.
    pub fn quoted(&self) -> Option<Result<QuotedPacket<'a>, ParseError>> {
        if !self.is_error() {
            return None;
        }
        let body = self.body();
        let quote = self.quote_len().and_then(|length| body.get(..length)).unwrap_or(body);
        Some(QuotedPacket::parse_at(
            self.version,
            quote,
            self.offset.saturating_add(Self::HEADER_LEN),
        ))
    }

    /// How much of the body is quote where ICMP extensions follow it (RFC 4884 §3): at least 128 bytes, so that
    /// anything less is an old sender's unused field.
    fn quote_len(&self) -> Option<usize> {
        let [first, second, _, _] = self.rest_of_header();
        let length = match (self.version, self.message_type()) {
            (IcmpVersion::V4, 3 | 11 | 12) => usize::from(second) << 2,
            (IcmpVersion::V6, 1 | 3) => usize::from(first) << 3,
            _ => return None,
        };
        (length >= 128).then_some(length)
    }
}

/// What ties echo requests to their replies.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Echo {
    /// Chosen by the sender of the requests, the same in all of them.
    pub identifier: u16,
    /// Counts the requests.
    pub sequence: u16,
    /// Whether this is the reply.
    pub reply: bool,
}
