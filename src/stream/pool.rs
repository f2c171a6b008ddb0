use alloc::vec::Vec;
use core::fmt;

use super::store::Store;
use super::{StreamError, StreamLimits};

/// The memory for the bytes of connections: those that wait for others before them, and those that were forwarded
/// and are not acknowledged.
///
/// It is cut into blocks of 4 KiB, some of them into sixteen cells, so that a connection with few such bytes takes
/// little. Bytes out of order have no more than three quarters of it: no number of gaps takes the memory away that
/// connections without gaps need. Bytes of ends that nobody has answered yet have no more than half of it, so neither does
/// a flood of SYNs with data, from addresses that nobody has.
///
/// Those who share a pool have a [`Share`] each: see [`exchange`](Self::exchange).
pub struct Pool {
    limits: StreamLimits,
    blocks: Vec<Block>,
    most: u32,
    most_of_share: u32,
    taken: u32,
    /// Those of others than whose share is at hand, and how many may be taken before he or all have no more.
    others: u32,
    limit: u32,
    /// As long as no more are taken, there is [plenty](Self::has_plenty).
    plenty: u32,
    /// The first of the blocks that have been given back, which are chained.
    vacant: u32,
    /// That of the connections at hand.
    share: Share,
}

/// What the connections of one of those who share a [`Pool`] have of it: of one endpoint, where an engine keeps them.
#[derive(Debug)]
pub struct Share {
    /// Told while it is not at hand.
    taken: u32,
    /// The first of the blocks in cells that have a vacant one, which are chained both ways. They are of one share each, so
    /// that nobody pays for cells of others.
    split: u32,
}

impl Share {
    /// That of nobody yet.
    pub const fn new() -> Self {
        Self { taken: 0, split: NONE }
    }
}

impl Default for Share {
    fn default() -> Self {
        Self::new()
    }
}

/// What memory is wanted for, from which follows how much must be left.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Claim {
    /// Bytes in order.
    InOrder,
    /// Bytes that wait for others: they may come again.
    OutOfOrder,
    /// Bytes of an end of which nothing was acknowledged yet: it may not even be there.
    Unanswered,
}

/// The bytes of a block.
pub(super) const BLOCK: usize = 4096;
/// The bytes of a cell.
pub(super) const CELL: usize = 256;
/// The references that a block can hold in place of bytes.
pub(super) const REFERENCES: u64 = (BLOCK / size_of::<u32>()) as u64;
/// No block.
pub(super) const NONE: u32 = u32::MAX;

const CELLS: u32 = 16;
/// As many blocks as any segment may need that starts in the widest window (RFC 7323 §2.3), nearly all of them for references.
const PLENTY: u32 = 280;
const WORDS: usize = BLOCK / 64;
const WORDS_OF_CELL: usize = CELL / 64;

const _: () = assert!(CELL * CELLS as usize == BLOCK);
const _: () = {
    const LONGEST: usize = u16::MAX as usize;
    assert!(Store::most_blocks(LONGEST, (1 << 30) + LONGEST as u64) <= PLENTY as u64);
};

struct Block {
    data: [u8; BLOCK],
    /// A bit for each byte that was put in out of order; means something where `has_map` is set.
    map: [u64; WORDS],
    next: u32,
    before: u32,
    /// A bit for each vacant cell.
    cells: u16,
    has_map: bool,
}

impl Pool {
    const LEAST: usize = 64 << 10;
    // References to cells have four bits more than those to blocks.
    const MOST_BLOCKS: usize = 1 << 27;
    const LARGEST_WINDOW: u32 = 1 << 30;

    /// A pool of `limits.bytes`, all of them reserved.
    ///
    /// # Errors
    ///
    /// See [`StreamError`].
    pub fn new(limits: StreamLimits) -> Result<Self, StreamError> {
        let size = size_of::<Block>();
        let (least, most) = (Self::LEAST, Self::MOST_BLOCKS.saturating_mul(size));
        if !(least..=most).contains(&limits.bytes) {
            return Err(StreamError::Bytes { least, most, found: limits.bytes });
        }
        if !(1..=Self::LARGEST_WINDOW).contains(&limits.window) {
            let most = Self::LARGEST_WINDOW;
            return Err(StreamError::Window { most, found: limits.window });
        }
        let count = limits.bytes.checked_div(size).unwrap_or(0);
        let mut blocks = Vec::new();
        blocks
            .try_reserve_exact(count)
            .map_err(|source| StreamError::Memory { bytes: limits.bytes, source })?;
        let most = u32::try_from(count).unwrap_or(u32::MAX);
        let share = limits.bytes_per_endpoint.max(least).checked_div(size).unwrap_or(0);
        let most_of_share = u32::try_from(share).unwrap_or(u32::MAX).min(most);
        Ok(Self {
            limits,
            blocks,
            most,
            most_of_share,
            taken: 0,
            others: 0,
            limit: most_of_share,
            plenty: most_of_share.saturating_sub(PLENTY),
            vacant: NONE,
            share: Share::new(),
        })
    }

    /// What it was made for.
    pub const fn limits(&self) -> &StreamLimits {
        &self.limits
    }

    /// The bytes of memory that are in use, of [`StreamLimits::bytes`]; bookkeeping included.
    pub const fn used(&self) -> usize {
        (self.taken as usize).saturating_mul(size_of::<Block>())
    }

    /// From now on `share` is that of the connections at hand, and the one before is there: a connection is only ever looked
    /// at and changed with the share that it began with. None has more than [`StreamLimits::bytes_per_endpoint`]; who never
    /// calls this has one for all.
    #[inline]
    pub const fn exchange(&mut self, share: &mut Share) {
        self.share.taken = self.taken.saturating_sub(self.others);
        core::mem::swap(&mut self.share, share);
        self.others = self.taken.saturating_sub(self.share.taken);
        let limit = self.others.saturating_add(self.most_of_share);
        self.limit = if limit < self.most { limit } else { self.most };
        self.plenty = self.limit.saturating_sub(PLENTY);
    }

    /// Whether so many blocks can be taken.
    #[inline]
    pub(super) const fn has_room(&self, blocks: u64, claim: Claim) -> bool {
        let left = self.most.saturating_sub(self.taken);
        let taken_of_share = self.taken.saturating_sub(self.others);
        let left_of_share = self.most_of_share.saturating_sub(taken_of_share);
        let (kept, kept_of_share) = match claim {
            Claim::InOrder => (0, 0),
            Claim::OutOfOrder => (self.most / 4, self.most_of_share / 4),
            Claim::Unanswered => (self.most / 2, self.most_of_share / 2),
        };
        left.saturating_sub(kept) as u64 >= blocks
            && left_of_share.saturating_sub(kept_of_share) as u64 >= blocks
    }

    /// Whether more blocks can be taken, for bytes in order, than any segment needs.
    #[inline]
    pub(super) const fn has_plenty(&self) -> bool {
        self.taken < self.plenty
    }

    /// A block.
    pub(super) fn take(&mut self) -> Option<u32> {
        if self.taken >= self.limit {
            return None;
        }
        self.take_again().or_else(|| self.take_first_time())
    }

    /// A block that was given back, if there is one. For who knows that there is [plenty](Self::has_plenty): the limit is not
    /// looked at.
    #[inline(always)]
    pub(super) fn take_again(&mut self) -> Option<u32> {
        let id = self.vacant;
        let block = self.blocks.get_mut(id as usize)?;
        self.vacant = block.next;
        block.has_map = false;
        self.taken = self.taken.wrapping_add(1);
        Some(id)
    }

    #[cold]
    #[inline(never)]
    fn take_first_time(&mut self) -> Option<u32> {
        let id = u32::try_from(self.blocks.len()).ok().filter(|id| *id < self.most)?;
        self.blocks.push(Block {
            data: [0; BLOCK],
            map: [0; WORDS],
            next: NONE,
            before: NONE,
            cells: 0,
            has_map: false,
        });
        self.taken = self.taken.wrapping_add(1);
        Some(id)
    }

    #[inline]
    pub(super) fn give(&mut self, id: u32) {
        if let Some(block) = self.blocks.get_mut(id as usize) {
            block.next = self.vacant;
            self.vacant = id;
            debug_assert!(self.taken > self.others, "it is given back by whose it is");
            self.taken = self.taken.wrapping_sub(1);
        }
    }

    pub(super) fn take_cell(&mut self) -> Option<Area> {
        if self.share.split == NONE {
            let id = self.take()?;
            let block = self.blocks.get_mut(id as usize)?;
            (block.cells, block.has_map) = (u16::MAX, true);
            self.link(id);
        }
        let id = self.share.split;
        let block = self.blocks.get_mut(id as usize)?;
        let cell = block.cells.trailing_zeros();
        block.cells &= block.cells.wrapping_sub(1);
        let area = Area::cell(id, cell);
        let words = area.at() / 64;
        block.map.get_mut(words..words.saturating_add(WORDS_OF_CELL))?.fill(0);
        if block.cells == 0 {
            self.unlink(id);
        }
        Some(area)
    }

    pub(super) fn give_cell(&mut self, area: Area) {
        let id = area.block();
        let Some(block) = self.blocks.get_mut(id as usize) else { return };
        let was_full = block.cells == 0;
        block.cells |= 1_u16.wrapping_shl(area.cell_number());
        let is_vacant = block.cells == u16::MAX;
        match (was_full, is_vacant) {
            (true, _) => self.link(id),
            (false, true) => {
                self.unlink(id);
                self.give(id);
            }
            (false, false) => {}
        }
    }

    /// Copies a cell to the start of a block, with what is noted of its bytes.
    pub(super) fn move_cell(&mut self, area: Area, to: u32) {
        let mut data = [0; CELL];
        let mut map = [0; WORDS];
        let Some(from) = self.blocks.get(area.block() as usize) else { return };
        let words = area.at() / 64;
        for (byte, found) in data.iter_mut().zip(from.data.iter().skip(area.at())) {
            *byte = *found;
        }
        for (word, found) in map.iter_mut().zip(from.map.iter().skip(words)).take(WORDS_OF_CELL) {
            *word = *found;
        }
        let Some(to) = self.blocks.get_mut(to as usize) else { return };
        if let Some(start) = to.data.first_chunk_mut() {
            *start = data;
        }
        (to.map, to.has_map) = (map, true);
    }

    fn link(&mut self, id: u32) {
        let next = core::mem::replace(&mut self.share.split, id);
        if let Some(block) = self.blocks.get_mut(id as usize) {
            (block.before, block.next) = (NONE, next);
        }
        if let Some(next) = self.blocks.get_mut(next as usize) {
            next.before = id;
        }
    }

    fn unlink(&mut self, id: u32) {
        let Some(block) = self.blocks.get(id as usize) else { return };
        let (before, next) = (block.before, block.next);
        match self.blocks.get_mut(before as usize) {
            Some(block) => block.next = next,
            None => self.share.split = next,
        }
        if let Some(block) = self.blocks.get_mut(next as usize) {
            block.before = before;
        }
    }

    #[inline]
    pub(super) fn bytes(&self, place: Place) -> &[u8] {
        let block = self.blocks.get(place.block as usize);
        block.and_then(|block| block.data.get(place.at..place.end)).unwrap_or_default()
    }

    #[inline]
    pub(super) fn bytes_mut(&mut self, place: Place) -> &mut [u8] {
        let block = self.blocks.get_mut(place.block as usize);
        block.and_then(|block| block.data.get_mut(place.at..place.end)).unwrap_or_default()
    }

    /// Puts bytes in a block at a place. `false` where they are too many.
    #[inline(always)]
    pub(super) fn put(&mut self, id: u32, at: usize, bytes: &[u8]) -> bool {
        let Some(block) = self.blocks.get_mut(id as usize) else { return false };
        let Some(place) = block.data.get_mut(at..at.wrapping_add(bytes.len())) else {
            return false;
        };
        place.copy_from_slice(bytes);
        true
    }

    /// From the start of a place on, how many bytes are alike in having been put in out of order or not, and which
    /// of both.
    pub(super) fn run(&self, place: Place) -> (bool, usize) {
        let all = place.end.saturating_sub(place.at);
        let Some(block) = self.blocks.get(place.block as usize).filter(|block| block.has_map)
        else {
            return (false, all);
        };
        let bit = place.at % 64;
        let words = block.map.get(place.at / 64..).unwrap_or_default();
        let Some(first) = words.first() else { return (false, all) };
        let is_set = (first >> bit) & 1 == 1;
        // Where bits are alike, they are zeros after this.
        let flip = if is_set { u64::MAX } else { 0 };
        let mut len = 0_usize;
        for (index, word) in words.iter().enumerate() {
            let skipped = if index == 0 { bit } else { 0 };
            let rest = (word ^ flip) >> skipped;
            let here = 64_usize.saturating_sub(skipped);
            let alike = (rest.trailing_zeros() as usize).min(here);
            len = len.saturating_add(alike);
            if alike < here || len >= all {
                break;
            }
        }
        (is_set, len.min(all))
    }

    /// Notes that the bytes of a place were put in out of order.
    pub(super) fn mark(&mut self, place: Place) {
        let Some(block) = self.blocks.get_mut(place.block as usize) else { return };
        if !block.has_map {
            (block.map, block.has_map) = ([0; WORDS], true);
        }
        let first = place.at / 64;
        let mut start = first.saturating_mul(64);
        for word in block.map.iter_mut().skip(first) {
            if start >= place.end {
                break;
            }
            let from = place.at.saturating_sub(start);
            let to = place.end.saturating_sub(start);
            *word |= ones_below(to) & !ones_below(from);
            start = start.saturating_add(64);
        }
    }

    /// The block after this one in a chain of blocks of references.
    pub(super) fn link_of(&self, id: u32) -> u32 {
        self.blocks.get(id as usize).map_or(NONE, |block| block.next)
    }

    /// A block of references to nothing, put at the end of a chain.
    pub(super) fn take_references(&mut self, before: u32) -> Option<u32> {
        let id = self.take()?;
        let block = self.blocks.get_mut(id as usize)?;
        block.data.fill(u8::MAX);
        block.next = NONE;
        if let Some(before) = self.blocks.get_mut(before as usize) {
            before.next = id;
        }
        Some(id)
    }

    #[inline(always)]
    pub(super) fn reference(&self, id: u32, number: u64) -> Option<u32> {
        let block = self.blocks.get(id as usize)?;
        let bytes = block.data.get(Self::place_of(number)..)?.first_chunk()?;
        Some(u32::from_le_bytes(*bytes))
    }

    /// Changes a reference. Comes back what it was.
    #[inline]
    pub(super) fn set_reference(&mut self, id: u32, number: u64, to: u32) -> u32 {
        let at = Self::place_of(number);
        let Some(block) = self.blocks.get_mut(id as usize) else { return NONE };
        let bytes = block.data.get_mut(at..).and_then(|rest| rest.first_chunk_mut());
        bytes.map_or(NONE, |bytes| u32::from_le_bytes(core::mem::replace(bytes, to.to_le_bytes())))
    }

    const fn place_of(number: u64) -> usize {
        ((number % REFERENCES) as usize).saturating_mul(size_of::<u32>())
    }
}

impl fmt::Debug for Pool {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Pool")
            .field("limits", &self.limits)
            .field("used", &self.used())
            .finish_non_exhaustive()
    }
}

/// So many ones, from the lowest bit on.
fn ones_below(count: usize) -> u64 {
    let above = 64_usize.saturating_sub(count);
    u32::try_from(above).ok().and_then(|above| u64::MAX.checked_shr(above)).unwrap_or(0)
}

/// A cell, as a number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Area(pub(super) u32);

impl Area {
    const fn cell(block: u32, cell: u32) -> Self {
        Self(block.wrapping_mul(CELLS).wrapping_add(cell))
    }

    pub(super) const fn block(self) -> u32 {
        self.0 / CELLS
    }

    const fn cell_number(self) -> u32 {
        self.0 % CELLS
    }

    /// Where it starts in its block.
    pub(super) const fn at(self) -> usize {
        (self.cell_number() as usize).saturating_mul(CELL)
    }
}

/// Bytes of one block.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Place {
    pub(super) block: u32,
    pub(super) at: usize,
    pub(super) end: usize,
}

impl Place {
    /// At most so many of them.
    #[inline]
    pub(super) const fn first(self, len: usize) -> Self {
        let end = self.at.saturating_add(len);
        Self { end: if end < self.end { end } else { self.end }, ..self }
    }

    #[inline]
    pub(super) const fn len(self) -> usize {
        self.end.saturating_sub(self.at)
    }
}
