use core::cmp::Ordering;

use super::limits::MAX_HEADER_LEN;
use super::memory::Memory;
use super::{MAX_PACKET_LEN, Refusal};
use crate::packet::{Addresses, Checksum, IpPacket, IpProtocol, Ipv6Packet};

/// Names a datagram.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Name {
    pub(super) endpoint: u64,
    addresses: Addresses,
    identification: u32,
    /// 0 in IPv6, where fragments of one datagram may name different ones (RFC 8200 §4.5).
    protocol: IpProtocol,
}

impl Name {
    /// In an order that means nothing.
    pub(super) fn order(&self, other: &Self) -> Ordering {
        self.sortable().cmp(&other.sortable())
    }

    const fn sortable(&self) -> (u32, u64, u8, bool, [u128; 2]) {
        let is_v4 = matches!(self.addresses, Addresses::V4 { .. });
        let ends = match self.addresses {
            Addresses::V4 { source, destination } => {
                [source.to_bits() as u128, (destination.to_bits() as u128) << 64]
            }
            Addresses::V6 { source, destination } => [source.to_bits(), destination.to_bits()],
        };
        (self.identification, self.endpoint, self.protocol.0, is_v4, ends)
    }
}

/// A fragment taken apart.
#[derive(Clone, Copy)]
pub(super) struct Part<'a> {
    pub(super) name: Name,
    /// Where its data begin in the datagram, in bytes.
    pub(super) start: usize,
    pub(super) end: usize,
    pub(super) more: bool,
    pub(super) data: &'a [u8],
    /// What every fragment begins with: the IPv4 header, or the IPv6 headers before that of the fragment.
    pub(super) header: &'a [u8],
    /// Where in an IPv6 header the next one is named, and which one it is behind that of the fragment.
    next: Option<(usize, IpProtocol)>,
}

impl<'a> Part<'a> {
    /// `None` for what is no fragment.
    pub(super) fn of(endpoint: u64, packet: &IpPacket<'a>) -> Option<Self> {
        let fragment = packet.fragment().filter(|fragment| !fragment.is_atomic())?;
        let (header, next, data) = match packet {
            IpPacket::V4(packet) => (packet.header(), None, packet.payload()),
            IpPacket::V6(packet) => split(packet)?,
        };
        let start = usize::from(fragment.offset);
        let protocol = match packet {
            IpPacket::V4(packet) => packet.protocol(),
            IpPacket::V6(_) => IpProtocol(0),
        };
        let (addresses, identification) = (packet.addresses(), fragment.identification);
        Some(Self {
            name: Name { endpoint, addresses, identification, protocol },
            start,
            end: start.saturating_add(data.len()),
            more: fragment.more,
            data,
            header,
            next,
        })
    }

    /// Whether it can be part of any datagram.
    pub(super) fn check(&self, packet: &IpPacket<'_>) -> Result<(), Refusal> {
        if self.data.is_empty() {
            return Err(Refusal::Empty);
        }
        if self.more && self.data.len() & 7 != 0 {
            return Err(Refusal::Uneven);
        }
        if self.end > usize::from(u16::MAX) {
            return Err(Refusal::TooLong);
        }
        if self.start == 0 && packet.transport().is_err() {
            return Err(Refusal::TinyFirst);
        }
        if self.start == 0 && self.header.len() > MAX_HEADER_LEN {
            return Err(Refusal::HeaderTooLong);
        }
        Ok(())
    }

    /// How many bytes of its header count towards the length of the datagram.
    pub(super) fn counted_header(&self) -> usize {
        let uncounted = if self.next.is_some() { Ipv6Packet::HEADER_LEN } else { 0 };
        self.header.len().saturating_sub(uncounted)
    }

    /// How many blocks it takes to remember it.
    pub(super) fn blocks(&self) -> usize {
        self.data.len().div_ceil(Memory::BLOCK).saturating_add(usize::from(self.start == 0))
    }

    /// Names in the header, which stands in front of `bytes`, what is behind that of the fragment: it goes.
    pub(super) fn name_next(&self, bytes: &mut [u8]) {
        if let Some((at, next)) = self.next {
            if let Some(byte) = bytes.get_mut(at) {
                *byte = next.0;
            }
        }
    }
}

/// The header, what is next, and the data.
type Split<'a> = (&'a [u8], Option<(usize, IpProtocol)>, &'a [u8]);

fn split<'a>(packet: &Ipv6Packet<'a>) -> Option<Split<'a>> {
    const NEXT_HEADER: usize = 6;

    let mut named_at = NEXT_HEADER;
    let mut at = Ipv6Packet::HEADER_LEN;
    for header in packet.extension_headers() {
        let end = at.saturating_add(header.bytes().len());
        if header.kind() == IpProtocol::FRAGMENT {
            let (before, data) = (packet.bytes().get(..at)?, packet.bytes().get(end..)?);
            return Some((before, Some((named_at, header.next_header())), data));
        }
        (named_at, at) = (at, end);
    }
    None
}

/// Writes into a packet without fragmentation what depends on its length.
pub(super) fn finish(packet: &mut [u8], header_len: usize) -> Option<()> {
    let len = packet.len();
    debug_assert!(len <= MAX_PACKET_LEN, "{len}");
    if packet.first()? >> 4 == 4 {
        let len = u16::try_from(len).ok()?;
        let header = packet.get_mut(..header_len)?;
        header.get_mut(2..4)?.copy_from_slice(&len.to_be_bytes());
        header.get_mut(6..8)?.fill(0);
        header.get_mut(10..12)?.fill(0);
        let checksum = Checksum::of(header);
        header.get_mut(10..12)?.copy_from_slice(&checksum.to_be_bytes());
    } else {
        let len = u16::try_from(len.checked_sub(Ipv6Packet::HEADER_LEN)?).ok()?;
        packet.get_mut(4..6)?.copy_from_slice(&len.to_be_bytes());
    }
    Some(())
}
