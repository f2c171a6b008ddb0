use alloc::collections::TryReserveError;
use alloc::vec::Vec;

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
        Ok(Self { cells, homes: u64::try_from(homes).unwrap_or(u64::MAX) })
    }

    /// The memory that an index for so many entries takes.
    pub(super) const fn bytes(entries: usize) -> usize {
        Self::homes(entries).saturating_add(REACH).saturating_mul(size_of::<u64>())
    }

    const fn homes(entries: usize) -> usize {
        entries.saturating_add((entries / 3).saturating_mul(2)).saturating_add(2)
    }

    /// The part of a hash that counts here.
    #[inline]
    pub(super) fn short(hash: u64) -> u32 {
        let [a, b, c, d, ..] = hash.to_be_bytes();
        u32::from_be_bytes([a, b, c, d]).min(u32::MAX.wrapping_sub(1))
    }

    #[inline]
    fn home(&self, hash: u32) -> usize {
        usize::try_from(u64::from(hash).wrapping_mul(self.homes) >> 32).unwrap_or(usize::MAX)
    }

    /// The memory that a look-up of `hash` starts at, to be fetched ahead of it.
    #[inline]
    pub(super) fn touch(&self, hash: u32) -> u64 {
        self.cells.get(self.home(hash)).copied().unwrap_or(EMPTY)
    }

    /// The first entry of this hash for which `is` says yes.
    #[inline]
    pub(super) fn find(&self, hash: u32, mut is: impl FnMut(u32) -> bool) -> Option<u32> {
        let from = self.cells.get(self.home(hash)..).unwrap_or_default();
        // Most stand among the first four: compared without a branch, as how far behind is hard to predict.
        if let Some(near) = from.first_chunk::<4>() {
            let [a, b, c, d] = near.map(|cell| u32::from(parts(cell).0 == hash));
            let at = (a | b << 1 | c << 2 | d << 3).trailing_zeros();
            let cell = usize::try_from(at).ok().and_then(|at| near.get(at));
            if let Some(entry) = cell.map(|cell| parts(*cell).1).filter(|entry| is(*entry)) {
                return Some(entry);
            }
        }
        for cell in from.iter().take(REACH) {
            let (found, entry) = parts(*cell);
            if found > hash {
                return None;
            }
            if found == hash && is(entry) {
                return Some(entry);
            }
        }
        None
    }

    /// Adds an entry, or tells that there is no room for it within reach of its home.
    pub(super) fn insert(&mut self, hash: u32, entry: u32) -> bool {
        let home = self.home(hash);
        let new = u64::from(hash) << 32 | u64::from(entry);
        let from = self.cells.get(home..).unwrap_or_default();
        let Some(before) = from.iter().take(REACH).position(|cell| parts(*cell).0 > hash) else {
            return false;
        };
        let at = home.saturating_add(before);
        let mut gap = at;
        // All cells up to the next empty one move by one: none of them out of its reach.
        for cell in self.cells.get(at..).unwrap_or_default() {
            if *cell == EMPTY {
                break;
            }
            if gap.saturating_sub(self.home(parts(*cell).0)) >= REACH.wrapping_sub(1) {
                return false;
            }
            gap = gap.saturating_add(1);
        }
        let Some(moved) = self.cells.get_mut(at..=gap) else { return false };
        moved.copy_within(..moved.len().saturating_sub(1), 1);
        if let Some(first) = moved.first_mut() {
            *first = new;
        }
        true
    }

    /// Takes an entry out.
    pub(super) fn remove(&mut self, hash: u32, entry: u32) {
        let home = self.home(hash);
        let cell = u64::from(hash) << 32 | u64::from(entry);
        let from = self.cells.get(home..).unwrap_or_default();
        let Some(behind) = from.iter().take(REACH).position(|found| *found == cell) else { return };
        let at = home.saturating_add(behind);
        let mut end = at.saturating_add(1);
        // What follows moves up, as far as it is not at home.
        for cell in self.cells.get(end..).unwrap_or_default() {
            if *cell == EMPTY || self.home(parts(*cell).0) == end {
                break;
            }
            end = end.saturating_add(1);
        }
        if let Some(moved) = self.cells.get_mut(at..end) {
            moved.copy_within(1.., 0);
            if let Some(last) = moved.last_mut() {
                *last = EMPTY;
            }
        }
    }
}

#[inline]
const fn parts(cell: u64) -> (u32, u32) {
    let [a, b, c, d, e, f, g, h] = cell.to_be_bytes();
    (u32::from_be_bytes([a, b, c, d]), u32::from_be_bytes([e, f, g, h]))
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
        let mut looked_at = 0;
        assert_eq!(
            index.find(7, |_| {
                looked_at += 1;
                false
            }),
            None
        );
        assert_eq!(looked_at, REACH + 1, "the first one twice");
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
