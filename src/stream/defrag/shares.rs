use alloc::collections::TryReserveError;
use alloc::vec::Vec;

use super::DefragLimits;
use super::memory::Memory;

/// What each endpoint has, so that none has more than its share.
///
/// In the order of their numbers: there are few endpoints, and no two numbers can be made to collide.
pub(super) struct Shares {
    shares: Vec<Share>,
    datagrams: usize,
    blocks: usize,
}

struct Share {
    endpoint: u64,
    datagrams: usize,
    blocks: usize,
}

impl Shares {
    pub(super) fn new(limits: &DefragLimits) -> Result<Self, TryReserveError> {
        let mut shares = Vec::new();
        shares.try_reserve_exact(limits.datagrams)?;
        let blocks = Memory::blocks_in(limits.bytes_per_endpoint);
        Ok(Self { shares, datagrams: limits.datagrams_per_endpoint, blocks })
    }

    pub(super) const fn bytes(datagrams: usize) -> usize {
        datagrams.saturating_mul(size_of::<Share>())
    }

    /// Whether an endpoint may have so many more blocks, and one more datagram.
    pub(super) fn have_room(&self, endpoint: u64, one_more: bool, blocks: usize) -> bool {
        let share = self.find(endpoint).ok().and_then(|at| self.shares.get(at));
        let (datagrams, taken) = share.map_or((0, 0), |share| (share.datagrams, share.blocks));
        (!one_more || datagrams < self.datagrams) && taken.saturating_add(blocks) <= self.blocks
    }

    /// Counts one more datagram, or tells that the endpoint has its share.
    pub(super) fn take(&mut self, endpoint: u64) -> bool {
        if !self.have_room(endpoint, true, 0) {
            return false;
        }
        match self.find(endpoint) {
            Ok(at) => {
                if let Some(share) = self.shares.get_mut(at) {
                    share.datagrams = share.datagrams.saturating_add(1);
                }
            }
            Err(at) => self.shares.insert(at, Share { endpoint, datagrams: 1, blocks: 0 }),
        }
        true
    }

    /// Counts so many blocks more of an endpoint that has a datagram.
    pub(super) fn take_blocks(&mut self, endpoint: u64, blocks: usize) -> bool {
        let has_room = self.have_room(endpoint, false, blocks);
        let Some(share) = self.get_mut(endpoint).filter(|_| has_room) else { return false };
        share.blocks = share.blocks.saturating_add(blocks);
        true
    }

    pub(super) fn give_blocks(&mut self, endpoint: u64, blocks: usize) {
        if let Some(share) = self.get_mut(endpoint) {
            share.blocks = share.blocks.saturating_sub(blocks);
        }
    }

    /// Counts one datagram less, which has no blocks any more.
    pub(super) fn give_back(&mut self, endpoint: u64) {
        let Ok(at) = self.find(endpoint) else { return };
        let Some(share) = self.shares.get_mut(at) else { return };
        share.datagrams = share.datagrams.saturating_sub(1);
        if share.datagrams == 0 {
            self.shares.remove(at);
        }
    }

    fn get_mut(&mut self, endpoint: u64) -> Option<&mut Share> {
        let at = self.find(endpoint).ok()?;
        self.shares.get_mut(at)
    }

    fn find(&self, endpoint: u64) -> Result<usize, usize> {
        self.shares.binary_search_by_key(&endpoint, |share| share.endpoint)
    }
}
