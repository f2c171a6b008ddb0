use alloc::collections::TryReserveError;
use alloc::vec::Vec;

use super::memory::{Memory, NONE};
use super::part::{Name, Part};
use super::{MAX_FRAGMENTS, Refusal};
use crate::Timestamp;

/// The datagrams that are known, by name and in the order of their age.
///
/// The names are kept sorted: to find one takes no secret that hashes would need, and nobody can make it slow.
pub(super) struct Store {
    /// The first one is no datagram but closes the ring of ages.
    slots: Vec<Slot>,
    /// Slots in use, by name.
    names: Vec<u32>,
    limit: usize,
    /// The first of the slots that were given back, which are chained by `after`; `RING` for none.
    vacant: u32,
}

struct Slot {
    datagram: Option<Datagram>,
    before: u32,
    after: u32,
}

const RING: u32 = 0;

/// What is known of a datagram.
pub(super) struct Datagram {
    pub(super) name: Name,
    /// When its latest fragment came.
    pub(super) since: Timestamp,
    pub(super) fate: Fate,
    /// The blocks of its fragments, in no order.
    pub(super) first: u32,
    /// The block of its header.
    pub(super) header: u32,
    /// Bytes of the header that count towards the length.
    counted_header: usize,
    fragments: usize,
    /// Bytes of data that have come.
    held: usize,
    /// Where the data that have come end.
    furthest: usize,
    /// Where all data end, once the last fragment has come.
    pub(super) total: Option<usize>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fate {
    UnderWay,
    /// It was whole, and forwarded.
    Over,
    Refused,
}

impl Datagram {
    pub(super) const fn new(name: Name, since: Timestamp) -> Self {
        Self {
            name,
            since,
            fate: Fate::UnderWay,
            first: NONE,
            header: NONE,
            counted_header: 0,
            fragments: 0,
            held: 0,
            furthest: 0,
            total: None,
        }
    }

    /// Whether there may be a fragment that overlaps with no other.
    pub(super) fn admits(&self, part: &Part<'_>) -> Result<(), Refusal> {
        let is_beyond = match self.total {
            Some(total) => part.end > total || !part.more || part.end == total,
            None => !part.more && part.end < self.furthest,
        };
        if is_beyond {
            return Err(Refusal::End);
        }
        if self.fragments >= MAX_FRAGMENTS {
            return Err(Refusal::TooMany);
        }
        let header = if part.start == 0 { part.counted_header() } else { self.counted_header };
        if header.saturating_add(self.furthest.max(part.end)) > usize::from(u16::MAX) {
            return Err(Refusal::TooLong);
        }
        Ok(())
    }

    /// Whether nothing is missing any more with a fragment that is admitted.
    pub(super) fn is_whole_with(&self, part: &Part<'_>) -> bool {
        let total = if part.more { self.total } else { Some(part.end) };
        total == Some(self.held.saturating_add(part.data.len()))
    }

    /// Adds a fragment that is admitted and for which there is room.
    pub(super) fn add(&mut self, part: &Part<'_>, memory: &mut Memory) {
        if part.start == 0 {
            self.header = memory.put_header(part).unwrap_or(NONE);
            self.counted_header = part.counted_header();
        }
        self.first = memory.put(part, self.first);
        self.fragments = self.fragments.saturating_add(1);
        self.held = self.held.saturating_add(part.data.len());
        self.furthest = self.furthest.max(part.end);
        if !part.more {
            self.total = Some(part.end);
        }
    }
}

impl Store {
    pub(super) fn new(limit: usize) -> Result<Self, TryReserveError> {
        let (mut slots, mut names) = (Vec::new(), Vec::new());
        slots.try_reserve_exact(limit.saturating_add(1))?;
        names.try_reserve_exact(limit)?;
        slots.push(Slot { datagram: None, before: RING, after: RING });
        Ok(Self { slots, names, limit, vacant: RING })
    }

    /// The memory that a store for so many datagrams takes, without its own size.
    pub(super) const fn bytes(limit: usize) -> usize {
        let slots = limit.saturating_add(1).saturating_mul(size_of::<Slot>());
        slots.saturating_add(limit.saturating_mul(size_of::<u32>()))
    }

    pub(super) fn len(&self) -> usize {
        self.names.len()
    }

    pub(super) fn is_full(&self) -> bool {
        self.names.len() >= self.limit
    }

    pub(super) fn find(&self, name: &Name) -> Option<u32> {
        self.names.get(self.place(name).ok()?).copied()
    }

    pub(super) fn get(&self, slot: u32) -> Option<&Datagram> {
        self.slots.get(slot as usize)?.datagram.as_ref()
    }

    pub(super) fn get_mut(&mut self, slot: u32) -> Option<&mut Datagram> {
        self.slots.get_mut(slot as usize)?.datagram.as_mut()
    }

    pub(super) fn oldest(&self) -> Option<(u32, &Datagram)> {
        let slot = self.slots.first()?.after;
        Some((slot, self.get(slot)?))
    }

    /// Adds a datagram that is not known as the newest, if there is room for it.
    pub(super) fn insert(&mut self, datagram: Datagram) -> Option<u32> {
        if self.is_full() {
            return None;
        }
        let place = self.place(&datagram.name).err()?;
        let slot = match self.vacant {
            RING => u32::try_from(self.slots.len()).ok()?,
            vacant => vacant,
        };
        let new = Slot { datagram: Some(datagram), before: slot, after: slot };
        match self.slots.get_mut(slot as usize) {
            Some(vacant) => self.vacant = core::mem::replace(vacant, new).after,
            None => self.slots.push(new),
        }
        self.names.insert(place, slot);
        self.link_newest(slot);
        Some(slot)
    }

    /// Makes a datagram the newest.
    pub(super) fn renew(&mut self, slot: u32, since: Timestamp) {
        if let Some(datagram) = self.get_mut(slot) {
            datagram.since = since;
            self.unlink(slot);
            self.link_newest(slot);
        }
    }

    pub(super) fn remove(&mut self, slot: u32) -> Option<Name> {
        let name = self.slots.get_mut(slot as usize)?.datagram.as_ref()?.name;
        if let Ok(place) = self.place(&name) {
            self.names.remove(place);
        }
        self.unlink(slot);
        let vacant = core::mem::replace(&mut self.vacant, slot);
        let place = self.slots.get_mut(slot as usize)?;
        (place.datagram, place.after) = (None, vacant);
        Some(name)
    }

    fn place(&self, name: &Name) -> Result<usize, usize> {
        self.names.binary_search_by(|slot| match self.get(*slot) {
            Some(datagram) => datagram.name.order(name),
            None => core::cmp::Ordering::Less,
        })
    }

    fn unlink(&mut self, slot: u32) {
        let Some(&Slot { before, after, .. }) = self.slots.get(slot as usize) else { return };
        if let Some(before) = self.slots.get_mut(before as usize) {
            before.after = after;
        }
        if let Some(after) = self.slots.get_mut(after as usize) {
            after.before = before;
        }
    }

    /// Puts a slot that is in no order before the one that closes the ring.
    fn link_newest(&mut self, slot: u32) {
        let newest = self.slots.first().map_or(RING, |ring| ring.before);
        if let Some(slot) = self.slots.get_mut(slot as usize) {
            (slot.before, slot.after) = (newest, RING);
        }
        if let Some(newest) = self.slots.get_mut(newest as usize) {
            newest.after = slot;
        }
        if let Some(ring) = self.slots.first_mut() {
            ring.before = slot;
        }
    }
}
