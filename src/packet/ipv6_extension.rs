use super::{Fragment, IpProtocol, Ipv6Packet, Layer, ParseError};

/// How many extension headers a packet may have. RFC 8200 §4.1 knows seven places for them; a chain that is
/// longer has been built to cost time.
pub const MAX_EXTENSION_HEADERS: usize = 8;

/// One IPv6 extension header (RFC 8200 §4).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ExtensionHeader<'a> {
    kind: IpProtocol,
    bytes: &'a [u8],
}

impl<'a> ExtensionHeader<'a> {
    /// Which extension header this is, such as [`IpProtocol::ROUTING`].
    pub const fn kind(&self) -> IpProtocol {
        self.kind
    }

    /// What follows it.
    pub fn next_header(&self) -> IpProtocol {
        self.bytes.first().map_or(IpProtocol::NO_NEXT, |&next| IpProtocol(next))
    }

    /// The whole header, from its next header field; at least 8 bytes.
    pub const fn bytes(&self) -> &'a [u8] {
        self.bytes
    }

    /// Cuts the header off the front of `bytes`, which start at `offset`.
    fn split(
        kind: IpProtocol,
        bytes: &'a [u8],
        offset: usize,
    ) -> Result<(Self, &'a [u8]), ParseError> {
        let layer = Layer::Ipv6Extension;
        let truncated =
            |expected| ParseError::Truncated { layer, offset, expected, found: bytes.len() };
        let &[_, units, ..] = bytes.first_chunk::<8>().ok_or(truncated(8))?;
        let units = usize::from(units);
        let length = match kind {
            IpProtocol::FRAGMENT => 8,
            IpProtocol::AH => units.wrapping_add(2) << 2,
            _ => units.wrapping_add(1) << 3,
        };
        if kind == IpProtocol::AH && length < 12 {
            let offset = offset.saturating_add(1);
            return Err(ParseError::HeaderLength { layer, offset, found: length, minimum: 12 });
        }
        let (bytes, rest) = bytes.split_at_checked(length).ok_or(truncated(length))?;
        Ok((Self { kind, bytes }, rest))
    }
}

/// The extension headers of an [`Ipv6Packet`], in their order.
#[derive(Clone, Debug)]
pub struct ExtensionHeaders<'a> {
    rest: &'a [u8],
    next: IpProtocol,
}

impl<'a> ExtensionHeaders<'a> {
    /// Over `rest`, which holds whole headers and nothing else.
    pub(super) const fn new(rest: &'a [u8], next: IpProtocol) -> Self {
        Self { rest, next }
    }
}

impl<'a> Iterator for ExtensionHeaders<'a> {
    type Item = ExtensionHeader<'a>;

    fn next(&mut self) -> Option<Self::Item> {
        let (header, rest) = ExtensionHeader::split(self.next, self.rest, 0).ok()?;
        self.rest = rest;
        self.next = header.next_header();
        Some(header)
    }
}

impl core::iter::FusedIterator for ExtensionHeaders<'_> {}

/// What a walk along the chain of extension headers has found.
#[derive(Clone, Copy, Debug)]
pub(super) struct Chain {
    /// Where the upper layer starts; the bound on the number of headers keeps it below 17,000.
    pub(super) upper_at: u16,
    /// Where the fragment header starts, zero if there is none.
    pub(super) fragment_at: u16,
    /// What stands at `upper_at`.
    pub(super) protocol: IpProtocol,
}

impl Chain {
    /// The chain of a packet without extension headers.
    pub(super) const fn new(protocol: IpProtocol) -> Self {
        Self { upper_at: 40, fragment_at: 0, protocol }
    }

    /// Walks along `packet`, whose fixed header names `first`.
    pub(super) fn walk(packet: &[u8], first: IpProtocol) -> Result<Self, ParseError> {
        let mut chain = Self::new(first);
        let mut rest = packet.get(Ipv6Packet::HEADER_LEN..).unwrap_or_default();
        let mut count = 0_usize;
        while chain.protocol.is_extension_header() {
            let kind = chain.protocol;
            let offset = usize::from(chain.upper_at);
            if count == MAX_EXTENSION_HEADERS {
                let maximum = MAX_EXTENSION_HEADERS;
                return Err(ParseError::TooManyExtensionHeaders { offset, maximum });
            }
            if kind == IpProtocol::HOP_BY_HOP && count != 0 {
                return Err(ParseError::HopByHopNotFirst { offset });
            }
            if kind == IpProtocol::FRAGMENT {
                if chain.fragment_at != 0 {
                    return Err(ParseError::RepeatedFragmentHeader { offset });
                }
                chain.fragment_at = chain.upper_at;
            }
            let (header, after) = ExtensionHeader::split(kind, rest, offset)?;
            let length = u16::try_from(header.bytes.len()).unwrap_or(u16::MAX);
            chain.upper_at = chain.upper_at.saturating_add(length);
            chain.protocol = header.next_header();
            rest = after;
            count = count.saturating_add(1);
            // What stands in a later fragment is the middle of something.
            if kind == IpProtocol::FRAGMENT && fragment(header.bytes).is_some_and(|f| !f.is_first())
            {
                break;
            }
        }
        Ok(chain)
    }

    /// What the fragment header of `packet` says.
    pub(super) fn fragment(&self, packet: &[u8]) -> Option<Fragment> {
        if self.fragment_at == 0 {
            return None;
        }
        fragment(packet.get(usize::from(self.fragment_at)..)?)
    }

    /// Looks for a jumbo payload option in the hop-by-hop header of a packet with a payload length of zero
    /// (RFC 2675 §2), whose bytes are then all beyond that length.
    pub(super) fn refuse_jumbogram(packet: &[u8]) -> Result<(), ParseError> {
        const PAD1: u8 = 0;
        const JUMBO_PAYLOAD: u8 = 0xc2;

        let rest = packet.get(Ipv6Packet::HEADER_LEN..).unwrap_or_default();
        let Ok((header, _)) = ExtensionHeader::split(IpProtocol::HOP_BY_HOP, rest, 0) else {
            return Ok(());
        };
        let mut options = header.bytes.get(2..).unwrap_or_default();
        let mut offset = Ipv6Packet::HEADER_LEN.saturating_add(2);
        loop {
            let length = match *options {
                [PAD1, ..] => 1,
                [JUMBO_PAYLOAD, ..] => return Err(ParseError::Jumbogram { offset }),
                [_, length, ..] => usize::from(length).saturating_add(2),
                _ => return Ok(()),
            };
            let Some(after) = options.get(length..) else { return Ok(()) };
            options = after;
            offset = offset.saturating_add(length);
        }
    }
}

/// Reads a fragment header (RFC 8200 §4.5).
fn fragment(header: &[u8]) -> Option<Fragment> {
    let &[_, _, high, low, a, b, c, d] = header.first_chunk()?;
    Some(Fragment {
        identification: u32::from_be_bytes([a, b, c, d]),
        offset: u16::from_be_bytes([high, low & 0xf8]),
        more: low & 1 != 0,
    })
}
