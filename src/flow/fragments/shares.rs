use alloc::collections::TryReserveError;
use alloc::vec::Vec;

use crate::flow::FlowSeed;
use crate::flow::index::Index;
use crate::gwlb::EndpointId;

/// How many datagrams each endpoint has in the map, so that none has more than its share.
pub(super) struct Shares {
    /// Those with a count of zero are vacant.
    shares: Vec<Share>,
    /// The first vacant one, the others behind it by `next`.
    vacant: Option<u32>,
    index: Index,
    per_endpoint: u32,
}

struct Share {
    endpoint: EndpointId,
    datagrams: u32,
    next: Option<u32>,
}

impl Shares {
    /// Of a map for so many datagrams, which can be of as many endpoints.
    pub(super) fn new(limit: usize, per_endpoint: usize) -> Result<Self, TryReserveError> {
        let mut shares = Vec::new();
        shares.try_reserve_exact(limit)?;
        let per_endpoint = u32::try_from(per_endpoint).unwrap_or(u32::MAX);
        Ok(Self { shares, vacant: None, index: Index::new(limit)?, per_endpoint })
    }

    pub(super) const fn bytes(limit: usize) -> usize {
        limit.saturating_mul(size_of::<Share>()).saturating_add(Index::bytes(limit))
    }

    /// Counts one more, or tells that the endpoint has its share. Only where there is room for one more datagram.
    pub(super) fn take(&mut self, seed: &FlowSeed, endpoint: EndpointId) -> bool {
        let per_endpoint = self.per_endpoint;
        if let Some(share) = self.find(seed, endpoint).and_then(|number| self.get_mut(number)) {
            let has_room = share.datagrams < per_endpoint;
            share.datagrams = share.datagrams.saturating_add(u32::from(has_room));
            return has_room;
        }
        let number = match self.vacant {
            Some(vacant) => vacant,
            None => u32::try_from(self.shares.len()).unwrap_or(u32::MAX),
        };
        if !self.index.insert(Self::hash(seed, endpoint), number) {
            return false;
        }
        let new = Share { endpoint, datagrams: 1, next: None };
        match self.get_mut(number) {
            Some(place) => {
                let next_vacant = place.next;
                *place = new;
                self.vacant = next_vacant;
            }
            None => self.shares.push(new),
        }
        true
    }

    /// Counts one less.
    pub(super) fn give_back(&mut self, seed: &FlowSeed, endpoint: EndpointId) {
        let Some(number) = self.find(seed, endpoint) else { return };
        let vacant = self.vacant;
        let Some(share) = self.get_mut(number) else { return };
        share.datagrams = share.datagrams.saturating_sub(1);
        if share.datagrams == 0 {
            share.next = vacant;
            self.vacant = Some(number);
            self.index.remove(Self::hash(seed, endpoint), number);
        }
    }

    fn find(&self, seed: &FlowSeed, endpoint: EndpointId) -> Option<u32> {
        self.index.find(Self::hash(seed, endpoint), |number| {
            self.get(number).is_some_and(|share| share.endpoint == endpoint)
        })
    }

    fn get(&self, number: u32) -> Option<&Share> {
        self.shares.get(usize::try_from(number).ok()?)
    }

    fn get_mut(&mut self, number: u32) -> Option<&mut Share> {
        self.shares.get_mut(usize::try_from(number).ok()?)
    }

    fn hash(seed: &FlowSeed, endpoint: EndpointId) -> u32 {
        Index::short(seed.hash_number(endpoint.0))
    }
}
