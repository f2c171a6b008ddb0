use core::mem;

use super::CraftError;
use crate::packet::{Addresses, Checksum, IpProtocol, Ipv4Packet, Ipv6Packet};

/// TTL and hop limit of every packet made here.
const HOP_LIMIT: u8 = 64;

/// The IP header of a packet made here: nothing but the fixed part. IPv4 with DF, which makes it an atomic
/// datagram whose identification of zero means nothing (RFC 6864 §4.1).
pub(in crate::packet) struct IpHeader {
    bytes: [u8; Ipv6Packet::HEADER_LEN],
    length: usize,
}

impl IpHeader {
    pub(in crate::packet) fn new(
        addresses: Addresses,
        protocol: IpProtocol,
        payload_len: u16,
    ) -> Self {
        const DONT_FRAGMENT: u8 = 0x40;

        let mut bytes = [0; Ipv6Packet::HEADER_LEN];
        let length = header_len(addresses);
        let [l0, l1] = payload_len.to_be_bytes();
        match addresses {
            Addresses::V4 { source, destination } => {
                let [l0, l1] = payload_len.saturating_add(20).to_be_bytes();
                let fixed = [0x45, 0, l0, l1, 0, 0, DONT_FRAGMENT, 0, HOP_LIMIT, protocol.0, 0, 0];
                let ends = [source.octets(), destination.octets()];
                let mut sum = Checksum::new();
                sum.add(&fixed);
                sum.add(ends.as_flattened());
                let [fixed @ .., _, _] = fixed;
                let checksum = sum.finish().to_be_bytes();
                copy(&mut bytes, &[&fixed, &checksum, ends.as_flattened()]);
            }
            Addresses::V6 { source, destination } => {
                let fixed = [0x60, 0, 0, 0, l0, l1, protocol.0, HOP_LIMIT];
                copy(&mut bytes, &[&fixed, &source.octets(), &destination.octets()]);
            }
        }
        Self { bytes, length }
    }

    pub(in crate::packet) fn bytes(&self) -> &[u8] {
        self.bytes.get(..self.length).unwrap_or_default()
    }
}

/// The length of an IP header between these addresses.
pub(in crate::packet) const fn header_len(addresses: Addresses) -> usize {
    match addresses {
        Addresses::V4 { .. } => Ipv4Packet::MIN_HEADER_LEN,
        Addresses::V6 { .. } => Ipv6Packet::HEADER_LEN,
    }
}

/// A sum that starts with the pseudo header.
pub(in crate::packet) fn pseudo_header(
    addresses: Addresses,
    protocol: IpProtocol,
    length: u16,
) -> Checksum {
    let mut sum = Checksum::new();
    match addresses {
        Addresses::V4 { source, destination } => {
            sum.add_pseudo_header_v4(source, destination, protocol, length);
        }
        Addresses::V6 { source, destination } => {
            sum.add_pseudo_header_v6(source, destination, protocol, u32::from(length));
        }
    }
    sum
}

/// Writes a packet's parts into the front of `buffer` and returns their length.
pub(super) fn write(buffer: &mut [u8], parts: &[&[u8]]) -> Result<usize, CraftError> {
    let expected = parts.iter().map(|part| part.len()).fold(0, usize::saturating_add);
    let found = buffer.len();
    let place = buffer.get_mut(..expected).ok_or(CraftError::NoRoom { expected, found })?;
    copy(place, parts);
    Ok(expected)
}

/// Copies parts one behind the other, as far as there is room.
fn copy(mut place: &mut [u8], parts: &[&[u8]]) {
    for part in parts {
        let Some((head, rest)) = mem::take(&mut place).split_at_mut_checked(part.len()) else {
            return;
        };
        head.copy_from_slice(part);
        place = rest;
    }
}
