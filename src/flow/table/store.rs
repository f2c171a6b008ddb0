use alloc::collections::TryReserveError;
use alloc::vec::Vec;
#[cfg(feature = "live")]
use core::ops::Range;

use super::accounts::Accounts;
use super::entry::Entry;
use super::phase::Evictable;
use super::ring::{BUCKETS, Node, Rings};
use crate::flow::ahead::fetch;
use crate::flow::clock::Tick;

/// Entries in slots, and the rings in which they wait for their end.
///
/// A flow that may not be evicted stands in the wheel, in a bucket no later than its deadline. A packet only moves
/// the deadline: the flow stays where it is until its bucket's time comes, and is then put to where it belongs. So
/// packets of established flows touch no memory but their own, and each flow is moved about once per time-out.
///
/// A flow that may be evicted stands in its endpoint's list of its kind, the least recently used one first. All of
/// a list have the same time-out, so the first is the first to expire too, and one place in the wheel stands for
/// the whole list. It moves to the end when a packet comes, once in a tick at most.
pub(super) struct Store<S> {
    slots: Vec<Slot<S>>,
    limit: usize,
    vacant: Option<u32>,
    used: usize,
    pub(super) accounts: Accounts,
    pub(super) rings: Rings,
    /// All buckets before this tick's are done.
    pub(super) swept: Tick,
}

enum Slot<S> {
    Used(Entry<S>),
    Vacant { next: Option<u32>, generation: u32 },
}

impl<S> Store<S> {
    pub(super) fn new(limit: usize, endpoints: usize) -> Result<Self, TryReserveError> {
        let mut slots = Vec::new();
        slots.try_reserve_exact(limit)?;
        Ok(Self {
            slots,
            limit,
            vacant: None,
            used: 0,
            accounts: Accounts::new(endpoints)?,
            rings: Rings::new(limit, endpoints)?,
            swept: 0,
        })
    }

    pub(super) const fn bytes(limit: usize, endpoints: usize) -> usize {
        limit
            .saturating_mul(size_of::<Slot<S>>())
            .saturating_add(Accounts::bytes(endpoints))
            .saturating_add(Rings::bytes(limit, endpoints))
    }

    /// Where the entries are, and will be.
    #[cfg(feature = "live")]
    pub(super) fn memory(&self) -> Range<*const u8> {
        let start = self.slots.as_ptr();
        start.cast()..start.wrapping_add(self.slots.capacity()).cast()
    }

    pub(super) const fn len(&self) -> usize {
        self.used
    }

    pub(super) const fn is_full(&self) -> bool {
        self.used >= self.limit
    }

    /// Has a slot's memory fetched.
    #[inline]
    pub(super) fn fetch(&self, slot: u32) {
        if let Some(slot) = usize::try_from(slot).ok().and_then(|slot| self.slots.get(slot)) {
            fetch(slot, |slot| match slot {
                Slot::Used(entry) => {
                    u64::from(entry.generation) ^ entry.last_seen.tick() ^ entry.phase as u64
                }
                Slot::Vacant { .. } => 0,
            });
        }
    }

    #[inline]
    pub(super) fn get(&self, slot: u32) -> Option<&Entry<S>> {
        match self.slots.get(usize::try_from(slot).ok()?)? {
            Slot::Used(entry) => Some(entry),
            Slot::Vacant { .. } => None,
        }
    }

    #[inline]
    pub(super) fn get_mut(&mut self, slot: u32) -> Option<&mut Entry<S>> {
        match self.slots.get_mut(usize::try_from(slot).ok()?)? {
            Slot::Used(entry) => Some(entry),
            Slot::Vacant { .. } => None,
        }
    }

    /// Behind the last slot that was ever in use.
    pub(super) fn end(&self) -> u32 {
        u32::try_from(self.slots.len()).unwrap_or(u32::MAX)
    }

    /// Any slot in use, from `from` on.
    pub(super) fn used_from(&self, from: u32) -> Option<u32> {
        (from..self.end()).find(|slot| self.get(*slot).is_some())
    }

    /// Sets a slot apart for the next entry, and says of which generation that is.
    #[inline]
    pub(super) fn reserve(&mut self) -> Option<(u32, u32)> {
        let Some(slot) = self.vacant else { return self.grow() };
        match self.slots.get(usize::try_from(slot).ok()?)? {
            Slot::Vacant { next, generation } => {
                self.vacant = *next;
                self.used = self.used.wrapping_add(1);
                Some((slot, *generation))
            }
            Slot::Used(_) => None,
        }
    }

    #[inline(never)]
    fn grow(&mut self) -> Option<(u32, u32)> {
        let slot = u32::try_from(self.slots.len()).ok()?;
        if self.slots.len() >= self.limit {
            return None;
        }
        self.slots.push(Slot::Vacant { next: None, generation: 0 });
        self.rings.grow();
        self.used = self.used.wrapping_add(1);
        Some((slot, 0))
    }

    /// Puts an entry into the slot that was set apart for it.
    #[inline(always)]
    pub(super) fn fill(&mut self, slot: u32, entry: Entry<S>) -> Option<&mut Entry<S>> {
        let place = self.slots.get_mut(usize::try_from(slot).ok()?)?;
        *place = Slot::Used(entry);
        match place {
            Slot::Used(entry) => Some(entry),
            Slot::Vacant { .. } => None,
        }
    }

    /// Takes back that a slot was set apart.
    #[cold]
    pub(super) fn release(&mut self, slot: u32) {
        let place = usize::try_from(slot).ok().and_then(|slot| self.slots.get_mut(slot));
        if let Some(Slot::Vacant { next, .. }) = place {
            *next = self.vacant;
            self.vacant = Some(slot);
            self.used = self.used.wrapping_sub(1);
        }
    }

    /// Takes out an entry that stands in no ring any more.
    #[inline(always)]
    pub(super) fn take(&mut self, slot: u32) -> Option<Entry<S>> {
        let place = self.slots.get_mut(usize::try_from(slot).ok()?)?;
        let Slot::Used(Entry { generation, .. }) = place else { return None };
        let vacant = Slot::Vacant { next: self.vacant, generation: generation.wrapping_add(1) };
        let Slot::Used(entry) = core::mem::replace(place, vacant) else { return None };
        self.vacant = Some(slot);
        self.used = self.used.wrapping_sub(1);
        Some(entry)
    }

    /// Lets a flow that is in no ring wait for its end: in the wheel, or, evictable, in its endpoint's list.
    #[inline(always)]
    pub(super) fn wait(
        &mut self,
        slot: u32,
        account: u32,
        kind: Option<Evictable>,
        deadline: Tick,
    ) {
        let flow = self.rings.flow(slot);
        let Some(kind) = kind else { return self.schedule(flow, deadline) };
        let is_first = self.rings.push(Node::idle(account, kind), flow);
        let timer = Node::timer(account, kind);
        if self.rings.is_alone(timer) {
            self.schedule(timer, deadline);
        }
        let donor = Node::donor(account);
        if is_first && self.rings.is_alone(donor) {
            self.rings.push(Node::DONORS, donor);
        }
    }

    /// Takes a flow out of the ring that it waits in. The list's timer stays: it will find out.
    #[inline]
    pub(super) fn leave(&mut self, slot: u32, account: u32, kind: Option<Evictable>) {
        self.rings.unlink(self.rings.flow(slot));
        let Some(kind) = kind else { return };
        let is_empty = |kind| self.rings.is_alone(Node::idle(account, kind));
        if is_empty(kind) && Evictable::ALL.into_iter().all(is_empty) {
            self.rings.unlink(Node::donor(account));
        }
    }

    /// Puts a node that is alone into the bucket of a tick, or the last one of the wheel where that is later.
    #[inline]
    pub(super) fn schedule(&mut self, node: Node, deadline: Tick) {
        let horizon = self.swept.saturating_add(u64::from(BUCKETS).saturating_sub(1));
        let tick = deadline.clamp(self.swept, horizon);
        self.rings.push(bucket_of(tick), node);
    }

    /// The next node in the wheel whose tick has come, which is then alone.
    pub(super) fn due(&mut self, now: Tick) -> Option<Node> {
        // Once around is enough, however long nobody has looked.
        let once_around = now.saturating_add(1).saturating_sub(u64::from(BUCKETS));
        self.swept = self.swept.max(once_around);
        while self.swept <= now {
            if let Some(node) = self.rings.first(bucket_of(self.swept)) {
                self.rings.unlink(node);
                return Some(node);
            }
            self.swept = self.swept.saturating_add(1);
        }
        None
    }

    /// Leaves out all buckets until `now`, as nothing is in the wheel.
    pub(super) fn skip(&mut self, now: Tick) {
        self.swept = self.swept.max(now.saturating_add(1));
    }

    /// The tick of the first bucket that is not empty.
    pub(super) fn next_tick(&self) -> Option<Tick> {
        let ticks = (0..u64::from(BUCKETS)).map(|ahead| self.swept.saturating_add(ahead));
        ticks.into_iter().find(|tick| !self.rings.is_alone(bucket_of(*tick)))
    }

    /// The flow of an endpoint that should make room first: the least recently used one that is evictable.
    pub(super) fn victim_of(&self, account: u32) -> Option<u32> {
        let heads = Evictable::ALL.iter().filter_map(|kind| self.first_idle(account, *kind));
        heads.min_by_key(|slot| self.get(*slot).map(|entry| entry.last_seen.tick()))
    }

    /// The same of the endpoint whose turn it is.
    pub(super) fn victim_of_others(&mut self) -> Option<u32> {
        let donor = self.rings.first(Node::DONORS)?;
        self.rings.unlink(donor);
        self.rings.push(Node::DONORS, donor);
        self.victim_of(donor.account())
    }

    #[inline]
    pub(super) fn first_idle(&self, account: u32, kind: Evictable) -> Option<u32> {
        self.rings.slot(self.rings.first(Node::idle(account, kind))?)
    }
}

#[inline]
fn bucket_of(tick: Tick) -> Node {
    let [a, b, ..] = tick.to_le_bytes();
    Node::bucket(u32::from(u16::from_le_bytes([a, b])))
}
