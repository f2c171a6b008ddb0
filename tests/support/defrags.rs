//! Fragments by hand, and an oracle that remembers every byte in a map.

use std::collections::BTreeMap;

use gwlb_geneve::Timestamp;
use gwlb_geneve::packet::{Checksum, IpPacket};
use gwlb_geneve::stream::defrag::{Arrival, DefragLimits, Defragmenter, MAX_FRAGMENTS, Refusal};

const UDP: u8 = 17;

/// A packet of either version, or a fragment of one: `(identification, offset, more)`.
pub fn packet(is_v6: bool, fragment: Option<(u16, usize, bool)>, data: &[u8]) -> Vec<u8> {
    let place = fragment.map(|(_, offset, _)| u16::try_from(offset).unwrap());
    if is_v6 {
        // A hop-by-hop header of padding goes before that of the fragment.
        let mut headers = vec![UDP, 0, 1, 4, 0, 0, 0, 0];
        if let (Some((identification, _, more)), Some(place)) = (fragment, place) {
            headers[0] = 44;
            headers.extend([UDP, 0]);
            headers.extend((place | u16::from(more)).to_be_bytes());
            headers.extend([0, 0]);
            headers.extend(identification.to_be_bytes());
        }
        let len = u16::try_from(headers.len() + data.len()).unwrap();
        let mut bytes = vec![0x60, 0, 0, 0];
        bytes.extend(len.to_be_bytes());
        bytes.extend([0, 64]);
        bytes.extend([0x20, 1, 0xd, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1]);
        bytes.extend([0x20, 1, 0xd, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 2]);
        bytes.extend(headers);
        bytes.extend(data);
        return bytes;
    }
    let mut bytes = vec![0x46, 0, 0, 0, 0, 0, 0, 0, 64, UDP, 0, 0];
    bytes.extend([10, 0, 0, 1, 10, 0, 0, 2, 1, 1, 1, 0]);
    let len = u16::try_from(bytes.len() + data.len()).unwrap();
    bytes[2..4].copy_from_slice(&len.to_be_bytes());
    if let (Some((identification, _, more)), Some(place)) = (fragment, place) {
        bytes[4..6].copy_from_slice(&identification.to_be_bytes());
        let place = (place / 8) | if more { 0x2000 } else { 0 };
        bytes[6..8].copy_from_slice(&place.to_be_bytes());
    }
    let checksum = Checksum::of(&bytes[..24]);
    bytes[10..12].copy_from_slice(&checksum.to_be_bytes());
    bytes.into_iter().chain(data.iter().copied()).collect()
}

/// A datagram as the oracle knows it.
#[derive(Default)]
struct Known {
    bytes: BTreeMap<usize, u8>,
    /// Where fragments begin and end, and whether there is more.
    fragments: Vec<(usize, usize, bool)>,
    is_over: bool,
    is_refused: bool,
}

impl Known {
    fn is_last_at(&self, end: usize) -> bool {
        self.fragments.iter().any(|&(_, at, more)| at == end && !more)
    }

    /// What is to become of a fragment; `Some(true)` for the last one that was missing.
    fn judge(&self, (start, end, more): (usize, usize, bool), data: &[u8]) -> Result<bool, ()> {
        let is_known = self.fragments.contains(&(start, end, more))
            && (start..end).all(|at| self.bytes.get(&at) == Some(&data[at - start]));
        if is_known && !self.is_over && !self.is_refused {
            return Ok(false);
        }
        let last = self.fragments.iter().find(|fragment| !fragment.2).map(|fragment| fragment.1);
        let is_beyond = last.is_some_and(|last| !more || end >= last)
            || !more && self.bytes.keys().any(|at| *at >= end);
        if self.is_over
            || self.is_refused
            || data.is_empty()
            || start == 0 && data.len() < 8
            || (start..end).any(|at| self.bytes.contains_key(&at))
            || is_beyond
            || self.fragments.len() >= MAX_FRAGMENTS
        {
            return Err(());
        }
        let all = if more { last } else { Some(end) };
        let is_there = |at| self.bytes.contains_key(&at) || (start..end).contains(&at);
        Ok(all.is_some_and(|all| (0..all).all(is_there)))
    }
}

/// Four datagrams of each version, fragments of which come as the script says: five bytes for each.
///
/// Would catch: a datagram told to be whole that is not, or not told; bytes in a wrong place; an overlap that passes; a
/// fragment that is refused for nothing; memory that is not given back; anything that changes by being considered.
pub fn check(script: &[u8]) {
    let mut it = Defragmenter::new(DefragLimits::default()).unwrap();
    let mut oracle: BTreeMap<(bool, u16), Known> = BTreeMap::new();
    let mut buffer = Vec::new();
    let now = Timestamp::EPOCH;
    for step in script.chunks_exact(5) {
        let [which, place, units, fill, how] = *step else { unreachable!() };
        let (is_v6, identification) = (which & 1 != 0, u16::from((which >> 1) & 3));
        let more = how & 1 == 0;
        let start = usize::from(place & 31) * 8;
        let odd = if more { 0 } else { usize::from(how >> 5) };
        let mut data = vec![fill & 1; usize::from(units & 15) * 8 + odd];
        if start == 0 {
            // The header of a datagram so long that any cut of it passes.
            for (byte, value) in data.iter_mut().zip([0, 53, 0, 53, 0, 8, 0, 0]) {
                *byte = value;
            }
        }
        let part = (start, start + data.len(), more);
        if start == 0 && !more {
            continue;
        }
        let bytes = packet(is_v6, Some((identification, start, more)), &data);
        let fragment = IpPacket::parse(&bytes).unwrap();
        let known = oracle.entry((is_v6, identification)).or_default();
        let arrival = it.consider(7, &fragment, now);
        assert_eq!(it.consider(7, &fragment, now), arrival);
        match (known.judge(part, &data), arrival) {
            (Ok(is_whole), Arrival::Accept(piece)) => {
                assert_eq!(piece.completes(), is_whole);
                let is_forwarded = how & 6 != 6;
                let whole = it.assemble(&piece, &fragment, &mut buffer);
                if is_forwarded || is_whole {
                    known.bytes.extend((part.0..).zip(data.iter().copied()));
                }
                let content: Vec<u8> = known.bytes.values().copied().collect();
                let expected = is_whole.then(|| whole_of(is_v6, identification, &content));
                assert_eq!(whole, expected.as_deref());
                if !is_forwarded {
                    if is_whole {
                        assert!(it.refuse(7, &fragment, now));
                        known.is_refused = true;
                    }
                    continue;
                }
                assert!(it.commit(&piece, &fragment, now));
                known.is_over = is_whole;
                if !piece.is_duplicate() {
                    known.fragments.push(part);
                }
            }
            (Err(()), Arrival::Refuse(why)) => {
                assert_eq!(why == Refusal::Over, known.is_over && !known.is_refused);
                assert!(it.refuse(7, &fragment, now));
                known.is_refused = true;
            }
            (expected, found) => panic!("expected {expected:?}, found {found:?} of {step:?}"),
        }
    }
    it.expire(now.saturating_add(it.limits().lifetime));
    assert_eq!((it.used(), it.datagrams()), (0, 0));
}

/// The packet as it would have come without fragmentation; its identification, in IPv4, is kept.
pub fn whole_of(is_v6: bool, identification: u16, data: &[u8]) -> Vec<u8> {
    let mut bytes = packet(is_v6, None, data);
    if !is_v6 {
        bytes[4..6].copy_from_slice(&identification.to_be_bytes());
        bytes[10..12].fill(0);
        let checksum = Checksum::of(&bytes[..24]);
        bytes[10..12].copy_from_slice(&checksum.to_be_bytes());
    }
    bytes
}
