use alloc::collections::TryReserveError;
use alloc::vec::Vec;
use core::net::Ipv4Addr;

use crate::flow::FlowSeed;
use crate::flow::index::Index;
use crate::gwlb::{Envelope, Outer};

/// What the envelopes of many flows have in common, kept once for all of them.
///
/// There is one for each endpoint, attachment, IP version and address of a load balancer, so that a flow has a
/// number of 4 bytes in place of 46.
pub(super) struct Paths {
    paths: Vec<Counted>,
    vacant: Vec<u32>,
    index: Index,
    /// The one that was entered last: mostly the next one too.
    recent: u32,
    seed: FlowSeed,
    limit: usize,
}

struct Counted {
    path: Path,
    /// Directions of flows whose latest packet came this way.
    users: u64,
}

/// The way that packets come: between whom, and in a GENEVE header of 40 bytes that differ in the last four only.
///
/// 48 bytes that are compared and hashed as they are: the header's first 32 bytes; four more and the destination
/// port; source and destination address.
#[derive(Clone, Copy)]
pub(super) struct Path {
    words: [u64; 6],
}

impl Path {
    /// The way of a packet and the last word of its header, where that is of 40 bytes.
    #[inline]
    pub(super) fn of(outer: &Outer, envelope: &Envelope<'_>) -> Option<(Self, u32)> {
        let header: &[u8; 40] = envelope.header().try_into().ok()?;
        let (a, rest) = header.split_first_chunk()?;
        let (b, rest) = rest.split_first_chunk()?;
        let (c, rest) = rest.split_first_chunk()?;
        let (d, rest) = rest.split_first_chunk()?;
        let (last, rest) = rest.split_first_chunk()?;
        let [a, b, c, d] = [a, b, c, d].map(|word| u64::from_ne_bytes(*word));
        let last = u64::from(u32::from_ne_bytes(*last));
        let [source, destination] = [outer.source, outer.destination]
            .map(|address| u64::from(u32::from_ne_bytes(address.octets())));
        let port = u64::from(outer.destination_port);
        let words = [a, b, c, d, last << 32 | port, destination << 32 | source];
        Some((Self { words }, u32::from_be_bytes(*rest.first_chunk()?)))
    }

    /// The header that a packet with this cookie came in.
    pub(super) fn header(&self, cookie: u32) -> [u8; 40] {
        let [a, b, c, d, last, _] = self.words;
        let [e, f, g, h] = ((last >> 32) as u32).to_ne_bytes();
        let [i, j, k, l] = cookie.to_be_bytes();
        let words =
            [a, b, c, d].map(u64::to_ne_bytes).into_iter().chain([[e, f, g, h, i, j, k, l]]);
        let mut header = [0; 40];
        for (into, word) in header.chunks_exact_mut(8).zip(words) {
            into.copy_from_slice(&word);
        }
        header
    }

    /// The outer header, as far as all packets share it.
    pub(super) fn outer(&self) -> Outer {
        let [.., last, addresses] = self.words;
        let source = Ipv4Addr::from(((addresses & 0xffff_ffff) as u32).to_ne_bytes());
        let destination = Ipv4Addr::from(((addresses >> 32) as u32).to_ne_bytes());
        Outer::new((source, 0), (destination, (last & 0xffff) as u16))
    }

    fn hash(&self, seed: &FlowSeed) -> u32 {
        let words = self.words.iter();
        Index::short(words.fold(0, |hash, word| seed.hash_number(hash ^ word)))
    }
}

impl PartialEq for Path {
    /// Without a branch and in place, like that of flow keys.
    #[inline]
    fn eq(&self, other: &Self) -> bool {
        let words = self.words.iter().zip(&other.words);
        words.fold(0, |different, (a, b)| different | (a ^ b)) == 0
    }
}

impl Paths {
    pub(super) fn new(limit: usize, seed: FlowSeed) -> Result<Self, TryReserveError> {
        let (mut paths, mut vacant) = (Vec::new(), Vec::new());
        paths.try_reserve_exact(limit)?;
        vacant.try_reserve_exact(limit)?;
        Ok(Self { paths, vacant, index: Index::new(limit)?, recent: 0, seed, limit })
    }

    pub(super) const fn bytes(limit: usize) -> usize {
        limit
            .saturating_mul(size_of::<Counted>().saturating_add(size_of::<u32>()))
            .saturating_add(Index::bytes(limit))
    }

    #[inline]
    pub(super) fn get(&self, number: u32) -> Option<&Path> {
        self.paths.get(usize::try_from(number).ok()?).map(|counted| &counted.path)
    }

    /// The number of the path that was entered last, with one user more; `None` where `path` is another one.
    #[inline]
    pub(super) fn enter_recent(&mut self, path: &Path) -> Option<u32> {
        let recent = self.paths.get_mut(usize::try_from(self.recent).ok()?)?;
        if recent.path != *path || recent.users == 0 {
            return None;
        }
        recent.users = recent.users.wrapping_add(1);
        Some(self.recent)
    }

    /// A path's number, with one user more; `None` where it is not known.
    pub(super) fn enter_known(&mut self, path: &Path) -> Option<u32> {
        if let Some(recent) = self.enter_recent(path) {
            return Some(recent);
        }
        let hash = path.hash(&self.seed);
        self.recent = self.index.find(hash, |number| self.get(number) == Some(path))?;
        self.enter(self.recent)
    }

    /// The same of one that is not known; `None` where there is no room for it.
    pub(super) fn enter_new(&mut self, path: &Path) -> Option<u32> {
        self.recent = self.open(path.hash(&self.seed), *path)?;
        self.enter(self.recent)
    }

    fn enter(&mut self, number: u32) -> Option<u32> {
        let counted = self.paths.get_mut(usize::try_from(number).ok()?)?;
        counted.users = counted.users.saturating_add(1);
        Some(number)
    }

    fn open(&mut self, hash: u32, path: Path) -> Option<u32> {
        let number = match self.vacant.last() {
            Some(number) => *number,
            None if self.paths.len() < self.limit => u32::try_from(self.paths.len()).ok()?,
            None => return None,
        };
        if !self.index.insert(hash, number) {
            return None;
        }
        let new = Counted { path, users: 0 };
        match usize::try_from(number).ok().and_then(|number| self.paths.get_mut(number)) {
            Some(vacant) => {
                *vacant = new;
                self.vacant.pop();
            }
            None => self.paths.push(new),
        }
        Some(number)
    }

    /// Takes back that a path was entered.
    #[inline]
    pub(super) fn leave(&mut self, number: u32) {
        let counted = usize::try_from(number).ok().and_then(|number| self.paths.get_mut(number));
        let Some(counted) = counted else { return };
        counted.users = counted.users.saturating_sub(1);
        if counted.users == 0 {
            self.index.remove(counted.path.hash(&self.seed), number);
            self.vacant.push(number);
        }
    }
}
