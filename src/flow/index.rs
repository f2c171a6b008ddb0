use alloc::collections::TryReserveError;
use alloc::vec::Vec;
#[cfg(feature = "live")]
use core::ops::Range;

use super::ahead::fetch;

/// Where an entry is, by its hash: open addressing with cells in the order of their hashes, of fixed size.
///
/// A cell's home is its hash scaled to the number of homes, so that the order of hashes is the order of homes; it
/// stands there or as little behind as the cells of smaller hash allow. A removal closes its gap at once. So there
/// are no tombstones, nothing is ever rehashed, and no operation takes a pause however long the table lives.
///
/// No cell stands [`REACH`] or more behind its home: an insertion that would bring this about is refused. That
/// bounds every look-up, whatever the hashes are. With good hashes and two cells in five empty, the chance that a
/// cell stands `d` behind its home falls by more than half with each step: nobody is refused by accident.
pub(super) struct Index {
    /// A hash in the upper half, what stands there in the lower one.
    cells: Vec<u64>,
    homes: u64,
    /// Where a hash belongs that was looked for last and stands nowhere, until anything is changed.
    missing: Missing,
}

#[derive(Clone, Copy)]
struct Missing {
    hash: u32,
    at: usize,
}

impl Missing {
    /// No hash is this high.
    const NONE: Self = Self { hash: u32::MAX, at: 0 };
}

/// The most cells that a look-up reads: 1 KiB.
pub(super) const REACH: usize = 128;

/// No hash is as high as this one's upper half, so it ends every walk.
const EMPTY: u64 = u64::MAX;

impl Index {
    /// Room for `entries`, two thirds more homes than that.
    pub(super) fn new(entries: usize) -> Result<Self, TryReserveError> {
        let homes = Self::homes(entries);
        let len = homes.saturating_add(REACH);
        let mut cells = Vec::new();
        cells.try_reserve_exact(len)?;
        cells.resize(len, EMPTY);
        let homes = u64::try_from(homes).unwrap_or(u64::MAX);
        Ok(Self { cells, homes, missing: Missing::NONE })
    }

    /// The memory that an index for so many entries takes.
    pub(super) const fn bytes(entries: usize) -> usize {
        Self::homes(entries).saturating_add(REACH).saturating_mul(size_of::<u64>())
    }

    const fn homes(entries: usize) -> usize {
        entries.saturating_add((entries / 3).saturating_mul(2)).saturating_add(2)
    }

    /// The part of a hash that counts here.
    ///
    /// A folded multiplication of numbers in a row gives numbers in a row, and with that clusters: ports are such
    /// numbers. Once more, over the two halves, makes cells stand as if at random.
    #[inline]
    pub(super) const fn short(hash: u64) -> u32 {
        let hash = (hash ^ hash >> 32).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        // Even, and with that never as high as an empty cell.
        (hash >> 32) as u32 & !1
    }

    /// Where it is.
    #[cfg(feature = "live")]
    pub(super) fn memory(&self) -> Range<*const u8> {
        let Range { start, end } = self.cells.as_ptr_range();
        start.cast()..end.cast()
    }

    #[inline]
    fn home(&self, hash: u32) -> usize {
        usize::try_from(u64::from(hash).wrapping_mul(self.homes) >> 32).unwrap_or(usize::MAX)
    }

    /// Has the memory fetched that a look-up of `hash` starts at.
    #[inline]
    pub(super) fn fetch(&self, hash: u32) {
        if let Some(cells) = self.cells_near(self.home(hash)) {
            fetch(cells, |[first, ..]| *first);
        }
    }

    /// Those that most look-ups do with.
    #[inline(always)]
    fn cells_near(&self, home: usize) -> Option<&[u64; 4]> {
        self.cells.get(home..)?.first_chunk()
    }

    /// The first entry of this hash for which `is` says yes.
    #[inline(always)]
    pub(super) fn find(&self, hash: u32, is: impl Fn(u32) -> bool) -> Option<u32> {
        match self.near(hash)? {
            (_, Some((found, _))) if found != hash => None,
            (_, Some((_, entry))) if is(entry) => Some(entry),
            (from, _) => self.find_far(from, hash, is),
        }
    }

    /// The same, and where there is none, whoever [adds](Self::insert) one next need not look for its place again.
    #[inline(always)]
    pub(super) fn find_or_note(&mut self, hash: u32, is: impl Fn(u32) -> bool) -> Option<u32> {
        match self.near(hash)? {
            (at, Some((found, _))) if found != hash => {
                self.missing = Missing { hash, at };
                None
            }
            (_, Some((_, entry))) if is(entry) => Some(entry),
            (from, _) => self.find_far(from, hash, is),
        }
    }

    /// The first entry of this hash, if it is near its home: a guess for who compares it anyway. Notes like
    /// [`find_or_note`](Self::find_or_note).
    #[inline(always)]
    pub(super) fn guess_or_note(&mut self, hash: u32) -> Option<u32> {
        let (at, found) = self.near(hash)?;
        let (found, entry) = found?;
        if found == hash {
            return Some(entry);
        }
        self.missing = Missing { hash, at };
        None
    }

    /// Whether it is known already that there is no entry of this hash.
    #[inline]
    pub(super) const fn is_missing(&self, hash: u32) -> bool {
        self.missing.hash == hash
    }

    /// How far the lower hashes go among the first four cells, and what stands behind them.
    ///
    /// Most stand there, in order: counted without a branch, as how far behind its home a cell stands is hard to
    /// predict.
    #[inline(always)]
    fn near(&self, hash: u32) -> Option<(usize, Option<(u32, u32)>)> {
        let home = self.home(hash);
        let near = self.cells_near(home)?;
        let lowest = u64::from(hash) << 32;
        let [a, b, c, d] = near;
        let [a, b, c, d] = [a, b, c, d].map(|cell| usize::from(*cell < lowest));
        let lower = a.wrapping_add(b).wrapping_add(c).wrapping_add(d);
        Some((home.wrapping_add(lower), near.get(lower).map(|cell| parts(*cell))))
    }

    /// The same from a cell on before which there are only lower hashes.
    #[inline(never)]
    fn find_far(&self, from: usize, hash: u32, is: impl Fn(u32) -> bool) -> Option<u32> {
        for cell in self.cells.get(from..).unwrap_or_default().iter().take(REACH) {
            let (found, entry) = parts(*cell);
            if found == hash && is(entry) {
                return Some(entry);
            }
            if found > hash {
                return None;
            }
        }
        None
    }

    /// Adds an entry, or tells that there is no room for it within reach of its home.
    #[inline]
    pub(super) fn insert(&mut self, hash: u32, entry: u32) -> bool {
        let home = self.home(hash);
        let missing = core::mem::replace(&mut self.missing, Missing::NONE);
        let at = if missing.hash == hash {
            missing.at
        } else {
            let from = self.cells.get(home..).unwrap_or_default();
            match from.iter().take(REACH).position(|cell| parts(*cell).0 > hash) {
                Some(before) => home.saturating_add(before),
                None => return false,
            }
        };
        // The cells up to the next empty one move by one. As long as that is within reach of this one's home, none of
        // them leaves its own, as their homes are no lower.
        let mut gap = at;
        loop {
            match self.cells.get(gap) {
                Some(cell) if *cell == EMPTY => break,
                Some(_) if gap.wrapping_sub(home) < REACH.wrapping_sub(1) => {
                    gap = gap.wrapping_add(1);
                }
                _ => return self.insert_crowded(at, hash, entry),
            }
        }
        // Mostly none or one: a loop, as a call of `memmove` takes longer.
        while gap > at {
            let before = gap.wrapping_sub(1);
            let moved = self.cells.get(before).copied().unwrap_or(EMPTY);
            self.set(gap, moved);
            gap = before;
        }
        self.set(at, cell_of(hash, entry));
        true
    }

    #[inline(always)]
    fn set(&mut self, at: usize, cell: u64) {
        if let Some(place) = self.cells.get_mut(at) {
            *place = cell;
        }
    }

    /// The same where the next empty cell is far.
    #[cold]
    #[inline(never)]
    fn insert_crowded(&mut self, at: usize, hash: u32, entry: u32) -> bool {
        let mut gap = at;
        for cell in self.cells.get(at..).unwrap_or_default() {
            if *cell == EMPTY {
                break;
            }
            if gap.saturating_sub(self.home(parts(*cell).0)) >= REACH.wrapping_sub(1) {
                return false;
            }
            gap = gap.saturating_add(1);
        }
        let mut carried = cell_of(hash, entry);
        for cell in self.cells.get_mut(at..=gap).unwrap_or_default() {
            carried = core::mem::replace(cell, carried);
        }
        carried == EMPTY
    }

    /// Takes an entry out.
    #[inline]
    pub(super) fn remove(&mut self, hash: u32, entry: u32) {
        self.missing = Missing::NONE;
        let removed = cell_of(hash, entry);
        let highest = cell_of(hash, u32::MAX);
        let mut hole = self.home(hash);
        loop {
            match self.cells.get(hole) {
                Some(cell) if *cell == removed => break,
                Some(cell) if *cell <= highest => hole = hole.wrapping_add(1),
                _ => return,
            }
        }
        // What follows moves up, as far as it is not at home.
        loop {
            let next = hole.wrapping_add(1);
            match self.cells.get(next).copied() {
                Some(cell) if cell != EMPTY && self.home(parts(cell).0) != next => {
                    self.set(hole, cell);
                    hole = next;
                }
                _ => break,
            }
        }
        self.set(hole, EMPTY);
    }
}

#[inline]
fn cell_of(hash: u32, entry: u32) -> u64 {
    u64::from(hash) << 32 | u64::from(entry)
}

#[inline]
const fn parts(cell: u64) -> (u32, u32) {
    ((cell >> 32) as u32, (cell & 0xffff_ffff) as u32)
}

#[cfg(all(test, feature = "std"))]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeSet;

    fn check(index: &Index, model: &BTreeSet<(u32, u32)>) {
        let cells: Vec<_> = index.cells.iter().filter(|cell| **cell != EMPTY).collect();
        assert_eq!(cells.len(), model.len());
        for (at, cell) in index.cells.iter().enumerate().filter(|(_, cell)| **cell != EMPTY) {
            let home = index.home(parts(*cell).0);
            assert!((home..home + REACH).contains(&at), "a cell of home {home} at {at}");
            assert!(index.cells[home..at].iter().all(|before| before >> 32 <= cell >> 32));
        }
        for (hash, entry) in model {
            assert_eq!(index.find(*hash, |found| found == *entry), Some(*entry));
        }
    }

    proptest! {
        #[test]
        fn does_what_a_set_does(
            room in 1..40_usize,
            steps in proptest::collection::vec((any::<bool>(), 0..12_u32, 0..60_u32), 0..200),
        ) {
            let mut index = Index::new(room).unwrap();
            let mut model = BTreeSet::new();
            for (add, hash, entry) in steps {
                // Few hashes, close together and at both ends.
                let hash = Index::short(u64::from(hash) << 60 | u64::from(hash % 3) << 32);
                let noted = index.find_or_note(hash, |found| found == entry);
                prop_assert_eq!(noted.is_some(), model.contains(&(hash, entry)));
                if index.is_missing(hash) {
                    prop_assert!(model.iter().all(|(other, _)| *other != hash));
                }
                if add && model.len() < room && !model.contains(&(hash, entry)) {
                    prop_assert!(index.insert(hash, entry));
                    model.insert((hash, entry));
                } else if !add {
                    index.remove(hash, entry);
                    model.remove(&(hash, entry));
                }
                check(&index, &model);
            }
        }
    }

    #[test]
    fn what_collides_is_refused_not_searched_for() {
        let mut index = Index::new(1_000).unwrap();
        let taken = (0..1_000).take_while(|entry| index.insert(7, *entry)).count();
        assert_eq!(taken, REACH);
        let looked_at = core::cell::Cell::new(0);
        let look = |_| {
            looked_at.set(looked_at.get() + 1);
            false
        };
        assert_eq!(index.find(7, look), None);
        assert_eq!(looked_at.get(), REACH + 1, "the first one twice");
        assert!(!index.insert(6, 2_000), "would push the last of them out of reach");
        index.remove(7, 5);
        assert!(index.insert(6, 2_000));
        assert_eq!(index.find(6, |_| true), Some(2_000));
        assert_eq!(index.find(7, |entry| entry == 127), Some(127));
    }

    #[test]
    fn a_full_index_of_good_hashes_refuses_nobody() {
        let mut index = Index::new(100_000).unwrap();
        let mut hash = 1_u64;
        for entry in 0..100_000 {
            hash = hash
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1_442_695_040_888_963_407);
            assert!(index.insert(Index::short(hash ^ hash >> 29), entry), "{entry}");
        }
    }
}
