//! Ethernet frames, as they stand in captures and inside GENEVE with protocol type 0x6558.

use super::{IpPacket, Ipv4Packet, Ipv6Packet, Layer, ParseError};
use crate::EtherType;

/// How many VLAN tags a frame may have. Two are in use (802.1ad); more are made by mistake or by design.
pub const MAX_VLAN_TAGS: usize = 4;

/// An Ethernet frame without its preamble and check sequence (IEEE 802.3, 802.1Q, 802.1ad).
///
/// ```
/// use gwlb_geneve::{EtherType, packet::EthernetFrame};
///
/// # #[rustfmt::skip]
/// let bytes = [
///     2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 2, // destination, source
///     0x81, 0x00, 0x20, 0x2a, // 802.1Q, priority 1, VLAN 42
///     0x08, 0x06, // ARP
///     0, 1,
/// ];
/// let frame = EthernetFrame::parse(&bytes)?;
/// assert_eq!(frame.vlan_tags().next().map(|tag| tag.id()), Some(42));
/// assert_eq!(frame.ether_type(), Some(EtherType::ARP));
/// assert_eq!(frame.payload(), [0, 1]);
/// # Ok::<(), gwlb_geneve::packet::ParseError>(())
/// ```
#[derive(Clone, Copy, Debug)]
pub struct EthernetFrame<'a> {
    fixed: &'a [u8; 14],
    bytes: &'a [u8],
    header_len: usize,
    type_or_length: u16,
}

impl<'a> EthernetFrame<'a> {
    /// The length of a header without tags.
    pub const HEADER_LEN: usize = 14;
    const TYPE_AT: usize = 12;
    /// Lower values of the type field are an 802.3 length.
    const FIRST_TYPE: u16 = 0x600;

    /// Checks that addresses, tags and type are there.
    ///
    /// # Errors
    ///
    /// [`Truncated`](ParseError::Truncated) or [`TooManyVlanTags`](ParseError::TooManyVlanTags). Offsets count from
    /// the start of the frame.
    pub fn parse(bytes: &'a [u8]) -> Result<Self, ParseError> {
        let truncated = |expected| ParseError::Truncated {
            layer: Layer::Ethernet,
            offset: 0,
            expected,
            found: bytes.len(),
        };
        let fixed = bytes.first_chunk().ok_or(truncated(Self::HEADER_LEN))?;
        let mut header_len = Self::HEADER_LEN;
        let mut type_or_length = u16::from_be_bytes([fixed[12], fixed[13]]);
        let mut count = 0_usize;
        while VlanTag::is_next(EtherType(type_or_length)) {
            if count == MAX_VLAN_TAGS {
                return Err(ParseError::TooManyVlanTags {
                    offset: header_len.saturating_sub(2),
                    maximum: MAX_VLAN_TAGS,
                });
            }
            let expected = header_len.saturating_add(VlanTag::LEN);
            let tag = bytes.get(header_len..).and_then(<[u8]>::first_chunk);
            let &[_, _, high, low] = tag.ok_or(truncated(expected))?;
            type_or_length = u16::from_be_bytes([high, low]);
            header_len = expected;
            count = count.saturating_add(1);
        }
        Ok(Self { fixed, bytes, header_len, type_or_length })
    }

    /// The receiver's address.
    pub const fn destination(&self) -> [u8; 6] {
        let [a, b, c, d, e, f, ..] = *self.fixed;
        [a, b, c, d, e, f]
    }

    /// The sender's address.
    pub const fn source(&self) -> [u8; 6] {
        let [_, _, _, _, _, _, a, b, c, d, e, f, _, _] = *self.fixed;
        [a, b, c, d, e, f]
    }

    /// The VLAN tags, the outermost first.
    pub fn vlan_tags(&self) -> VlanTags<'a> {
        let end = self.header_len.saturating_sub(2);
        VlanTags { rest: self.bytes.get(Self::TYPE_AT..end).unwrap_or_default() }
    }

    /// What the payload is, behind all tags. `None` for an 802.3 frame, which has a length there and an LLC header
    /// next: such a frame carries no IP packet.
    pub fn ether_type(&self) -> Option<EtherType> {
        (self.type_or_length >= Self::FIRST_TYPE).then_some(EtherType(self.type_or_length))
    }

    /// The length of the header with all tags, in bytes.
    pub const fn header_len(&self) -> usize {
        self.header_len
    }

    /// What follows the header, padding included.
    pub fn payload(&self) -> &'a [u8] {
        self.bytes.get(self.header_len..).unwrap_or_default()
    }

    /// The IP packet inside, `None` where the type says that there is none. Offsets in its errors count from the
    /// start of the IP packet.
    pub fn ip(&self) -> Option<Result<IpPacket<'a>, ParseError>> {
        match self.ether_type()? {
            EtherType::IPV4 => Some(Ipv4Packet::parse(self.payload()).map(IpPacket::V4)),
            EtherType::IPV6 => Some(Ipv6Packet::parse(self.payload()).map(IpPacket::V6)),
            _ => None,
        }
    }
}

/// A VLAN tag.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct VlanTag {
    /// [`EtherType::VLAN`], [`EtherType::SERVICE_VLAN`] or 0x9100.
    pub protocol: EtherType,
    /// Priority (3 bits), drop eligible (1 bit) and VLAN identifier (12 bits).
    pub control: u16,
}

impl VlanTag {
    /// The length of a tag.
    pub const LEN: usize = 4;

    /// VLAN identifier, 12 bits; 0 where the tag carries a priority only.
    pub const fn id(self) -> u16 {
        self.control & 0x0fff
    }

    /// Priority code point, 0–7.
    pub const fn priority(self) -> u8 {
        let [high, _] = self.control.to_be_bytes();
        high >> 5
    }

    /// Whether the frame may be dropped first.
    pub const fn drop_eligible(self) -> bool {
        self.control & 0x1000 != 0
    }

    /// Whether a tag follows. 0x9100 is what older switches wrote for the outer of two.
    pub(crate) const fn is_next(ether_type: EtherType) -> bool {
        matches!(ether_type, EtherType::VLAN | EtherType::SERVICE_VLAN | EtherType(0x9100))
    }
}

/// The VLAN tags of a frame, the outermost first.
#[derive(Clone, Debug)]
pub struct VlanTags<'a> {
    rest: &'a [u8],
}

impl Iterator for VlanTags<'_> {
    type Item = VlanTag;

    fn next(&mut self) -> Option<VlanTag> {
        let (&[a, b, c, d], rest) = self.rest.split_first_chunk()?;
        self.rest = rest;
        Some(VlanTag {
            protocol: EtherType(u16::from_be_bytes([a, b])),
            control: u16::from_be_bytes([c, d]),
        })
    }
}

impl core::iter::FusedIterator for VlanTags<'_> {}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::packet::tests::build::ipv4;

    fn frame(tags: &[u8], ether_type: u16, payload: &[u8]) -> Vec<u8> {
        [&[2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 2][..], tags, &ether_type.to_be_bytes(), payload]
            .concat()
    }

    #[test]
    fn an_ip_packet_is_found_behind_two_tags() {
        let bytes = frame(&[0x88, 0xa8, 0, 7, 0x81, 0, 0xf0, 9], 0x0800, &ipv4(59, &[], b""));
        let frame = EthernetFrame::parse(&bytes).unwrap();
        let tags: Vec<_> = frame.vlan_tags().map(|tag| (tag.protocol, tag.id())).collect();
        assert_eq!(tags, [(EtherType::SERVICE_VLAN, 7), (EtherType::VLAN, 9)]);
        let inner = frame.vlan_tags().nth(1).unwrap();
        assert_eq!((inner.priority(), inner.drop_eligible()), (7, true));
        assert_eq!((frame.destination()[5], frame.source()[5]), (1, 2));
        assert!(frame.ip().unwrap().is_ok());
    }

    #[test]
    fn an_802_3_frame_carries_no_ip() {
        let bytes = frame(&[], 0x05ff, &ipv4(59, &[], b""));
        let frame = EthernetFrame::parse(&bytes).unwrap();
        assert!(frame.ether_type().is_none() && frame.ip().is_none());
    }

    #[test]
    fn the_type_and_the_version_must_agree() {
        let bytes = frame(&[], 0x86dd, &ipv4(59, &[], b""));
        let error = EthernetFrame::parse(&bytes).unwrap().ip().unwrap().unwrap_err();
        assert_eq!(error, ParseError::Version { layer: Layer::Ipv6, offset: 0, found: 4 });
    }

    #[test]
    fn tags_are_bounded_and_whole() {
        let tags = [0x81, 0, 0, 1].repeat(5);
        assert!(EthernetFrame::parse(&frame(&tags[..16], 0x0800, b"")).is_ok());
        let error = EthernetFrame::parse(&frame(&tags, 0x0800, b"")).unwrap_err();
        assert_eq!(error, ParseError::TooManyVlanTags { offset: 28, maximum: MAX_VLAN_TAGS });
        let cut = frame(&[0x81, 0, 0, 1], 0x0800, b"");
        let error = EthernetFrame::parse(&cut[..17]).unwrap_err();
        assert_eq!((error.reason(), error.layer()), ("ethernet-truncated", Layer::Ethernet));
    }
}
