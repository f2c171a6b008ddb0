use alloc::collections::TryReserveError;
use alloc::vec::Vec;

use super::shares::Shares;
use crate::flow::clock::Moment;
use crate::flow::index::Index;
use crate::flow::{Direction, FlowKey, FlowSeed, FragmentKey};
use crate::packet::FiveTuple;

/// The datagrams that are known, by name and in the order of their age.
///
/// The order is a ring of slots that know their neighbours, so that a datagram can become the newest where it
/// stands: it needs no second slot and leaves no hole.
pub(super) struct Store {
    /// The first one is no datagram but closes the ring.
    slots: Vec<Slot>,
    limit: usize,
    /// The first of the slots that have been given back, which are chained by `after`; `RING` for none.
    vacant: u32,
    index: Index,
    shares: Shares,
    seed: FlowSeed,
}

#[derive(Clone, Copy)]
pub(super) struct Datagram {
    pub(super) name: FragmentKey,
    pub(super) since: Moment,
    /// `None` where it was refused.
    pub(super) flow: Option<(FlowKey, Direction)>,
}

struct Slot {
    datagram: Option<Datagram>,
    before: u32,
    after: u32,
}

const RING: u32 = 0;

impl Store {
    pub(super) fn new(
        limit: usize,
        per_endpoint: usize,
        seed: FlowSeed,
    ) -> Result<Self, TryReserveError> {
        let mut slots = Vec::new();
        slots.try_reserve_exact(limit.saturating_add(1))?;
        slots.push(Slot { datagram: None, before: RING, after: RING });
        Ok(Self {
            slots,
            limit,
            vacant: RING,
            index: Index::new(limit)?,
            shares: Shares::new(limit, per_endpoint)?,
            seed,
        })
    }

    /// The memory that a store for so many datagrams takes, without its own size.
    pub(super) const fn bytes(limit: usize) -> usize {
        limit
            .saturating_add(1)
            .saturating_mul(size_of::<Slot>())
            .saturating_add(Index::bytes(limit))
            .saturating_add(Shares::bytes(limit))
    }

    pub(super) const fn limit(&self) -> usize {
        self.limit
    }

    /// Where a datagram is, and what is known of it.
    pub(super) fn find(&self, name: &FragmentKey) -> Option<(u32, &Datagram)> {
        let is = |slot| self.get(slot).is_some_and(|datagram| datagram.name == *name);
        let slot = self.index.find(self.hash(name), is)?;
        Some((slot, self.get(slot)?))
    }

    pub(super) fn oldest(&self) -> Option<&Datagram> {
        self.get(self.slot(RING)?.after)
    }

    /// Adds a datagram that is not known as the newest, or tells that there is no room for it.
    pub(super) fn insert(&mut self, datagram: Datagram) -> bool {
        let used = self.slots.len().saturating_sub(1);
        let slot = match self.vacant {
            RING if used >= self.limit => return false,
            RING => self.slots.len().try_into().unwrap_or(u32::MAX),
            vacant => vacant,
        };
        let (hash, endpoint) = (self.hash(&datagram.name), datagram.name.endpoint);
        if !self.shares.take(&self.seed, endpoint) {
            return false;
        }
        if !self.index.insert(hash, slot) {
            self.shares.give_back(&self.seed, endpoint);
            return false;
        }
        let new = Slot { datagram: Some(datagram), before: slot, after: slot };
        match self.slot_mut(slot) {
            Some(place) => {
                let next_vacant = place.after;
                *place = new;
                self.vacant = next_vacant;
            }
            None => self.slots.push(new),
        }
        self.link_newest(slot);
        true
    }

    /// Makes the datagram in a slot the newest, and changes what is known of it.
    pub(super) fn renew(&mut self, slot: u32, since: Moment, flow: Option<(FlowKey, Direction)>) {
        if let Some(datagram) = self.slot_mut(slot).and_then(|slot| slot.datagram.as_mut()) {
            (datagram.since, datagram.flow) = (since, flow);
            self.unlink(slot);
            self.link_newest(slot);
        }
    }

    pub(super) fn forget_oldest(&mut self) {
        let Some(slot) = self.slot(RING).map(|ring| ring.after) else { return };
        let Some(datagram) = self.slot_mut(slot).and_then(|slot| slot.datagram.take()) else {
            return;
        };
        self.index.remove(self.hash(&datagram.name), slot);
        self.shares.give_back(&self.seed, datagram.name.endpoint);
        self.unlink(slot);
        let vacant = self.vacant;
        if let Some(slot) = self.slot_mut(slot) {
            slot.after = vacant;
        }
        self.vacant = slot;
    }

    fn unlink(&mut self, slot: u32) {
        let Some(&Slot { before, after, .. }) = self.slot(slot) else { return };
        if let Some(before) = self.slot_mut(before) {
            before.after = after;
        }
        if let Some(after) = self.slot_mut(after) {
            after.before = before;
        }
    }

    /// Puts a slot that is in no order yet before the one that closes the ring.
    fn link_newest(&mut self, slot: u32) {
        let newest = self.slot(RING).map_or(RING, |ring| ring.before);
        if let Some(slot) = self.slot_mut(slot) {
            (slot.before, slot.after) = (newest, RING);
        }
        if let Some(newest) = self.slot_mut(newest) {
            newest.after = slot;
        }
        if let Some(ring) = self.slot_mut(RING) {
            ring.before = slot;
        }
    }

    fn get(&self, slot: u32) -> Option<&Datagram> {
        self.slot(slot)?.datagram.as_ref()
    }

    fn slot(&self, slot: u32) -> Option<&Slot> {
        self.slots.get(usize::try_from(slot).ok()?)
    }

    fn slot_mut(&mut self, slot: u32) -> Option<&mut Slot> {
        self.slots.get_mut(usize::try_from(slot).ok()?)
    }

    fn hash(&self, name: &FragmentKey) -> u32 {
        let tuple = FiveTuple { addresses: name.addresses, protocol: name.protocol, ports: None };
        let (ends, _) = FlowKey::new(name.endpoint, &tuple);
        let hash = self.seed.hash(&ends) ^ u64::from(name.identification);
        Index::short(self.seed.hash_number(hash))
    }
}
