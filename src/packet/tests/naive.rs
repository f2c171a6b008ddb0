//! The same answers found one byte at a time, with nothing shared with the code under test.

use std::net::{Ipv4Addr, Ipv6Addr};

use crate::packet::{Addresses, FiveTuple, IpProtocol, Ports};

/// The 5-tuple of a packet, `None` for a packet that must be refused.
pub(super) fn five_tuple(ip: &[u8]) -> Option<FiveTuple> {
    let byte = |at: usize| ip.get(at).copied();
    let word = |at: usize| Some(byte(at)? as usize * 256 + byte(at + 1)? as usize);
    match byte(0)? >> 4 {
        4 => {
            let header = (byte(0)? & 15) as usize * 4;
            let total = word(2)?;
            if header < 20 || ip.len() < 20 || total < header || total > ip.len() {
                return None;
            }
            let more = byte(6)? & 0x20 != 0;
            let offset = (word(6)? & 0x1fff) * 8;
            if offset + total > 65535 && (more || offset != 0) || more && (total - header) % 8 != 0
            {
                return None;
            }
            let address = |at: usize| Ipv4Addr::new(ip[at], ip[at + 1], ip[at + 2], ip[at + 3]);
            let ports = transport(byte(9)?, true, &ip[header..total], offset, more)?;
            Some(FiveTuple {
                addresses: Addresses::V4 { source: address(12), destination: address(16) },
                protocol: IpProtocol(byte(9)?),
                ports,
            })
        }
        6 => {
            let end = 40 + word(4)?;
            if end > ip.len() {
                return None;
            }
            let (mut next, mut at, mut headers) = (byte(6)?, 40, 0);
            let (mut offset, mut more, mut fragments) = (0, false, 0);
            while offset == 0 && [0, 43, 44, 51, 60, 135, 139, 140].contains(&next) {
                if headers == 8 || (next == 0 && headers != 0) || at + 8 > end {
                    return None;
                }
                let mut length = (ip[at + 1] as usize + 1) * 8;
                if next == 51 {
                    length = (ip[at + 1] as usize + 2) * 4;
                    if length < 12 {
                        return None;
                    }
                }
                if next == 44 {
                    length = 8;
                    fragments += 1;
                    offset = word(at + 2)? / 8 * 8;
                    more = ip[at + 3] & 1 != 0;
                    let data = end - at - 8;
                    if fragments > 1 || more && data % 8 != 0 || at - 40 + offset + data > 65535 {
                        return None;
                    }
                }
                next = ip[at];
                at += length;
                headers += 1;
                if at > end {
                    return None;
                }
            }
            let address =
                |at: usize| Ipv6Addr::from(<[u8; 16]>::try_from(&ip[at..at + 16]).unwrap());
            let ports = transport(next, false, &ip[at..end], offset, more)?;
            Some(FiveTuple {
                addresses: Addresses::V6 { source: address(8), destination: address(24) },
                protocol: IpProtocol(next),
                ports,
            })
        }
        _ => None,
    }
}

fn transport(
    protocol: u8,
    is_ipv4: bool,
    bytes: &[u8],
    offset: usize,
    more: bool,
) -> Option<Option<Ports>> {
    if offset != 0 {
        return Some(None);
    }
    let right = match protocol {
        6 => {
            bytes.len() >= 20 && bytes[12] >> 4 >= 5 && (bytes[12] >> 4) as usize * 4 <= bytes.len()
        }
        17 => {
            bytes.len() >= 8 && {
                let length = bytes[4] as usize * 256 + bytes[5] as usize;
                length >= 8 && (more || length <= bytes.len())
            }
        }
        1 if is_ipv4 => bytes.len() >= 8,
        58 if !is_ipv4 => bytes.len() >= 8,
        136 => bytes.len() >= 8,
        33 | 132 => bytes.len() >= 12,
        _ => true,
    };
    let ports = [6, 17, 33, 132, 136].contains(&protocol);
    right.then(|| {
        ports.then(|| Ports {
            source: bytes[0] as u16 * 256 + bytes[1] as u16,
            destination: bytes[2] as u16 * 256 + bytes[3] as u16,
        })
    })
}

/// RFC 1071, two bytes at a time, the carry added as it comes.
pub(super) fn checksum(bytes: &[u8]) -> u16 {
    let mut sum = 0_u16;
    for pair in bytes.chunks(2) {
        let word = pair[0] as u16 * 256 + pair.get(1).copied().unwrap_or(0) as u16;
        let (next, carry) = sum.overflowing_add(word);
        sum = next + u16::from(carry);
    }
    !sum
}
