use alloc::vec;
use alloc::vec::Vec;

use super::AccessListError;
use super::sets::{BLOCK_BITS, Block, EMPTY, SetsBuilder};
use super::table::Placed;

/// One field of all regions: the positions of those that take a value.
///
/// All values are cut into intervals at the places where the set changes.
#[derive(Clone, Debug)]
pub(super) struct Column<K> {
    /// Where intervals begin, but for the first, which begins at zero.
    starts: Vec<K>,
    sets: Vec<u32>,
    /// The starts lie in buckets of 2^`shift` values, counted from the first start: how many stand before each.
    index: Vec<u32>,
    shift: u32,
    /// The set of flows that do not have this field: those positions that take every value.
    absent: u32,
}

/// A number that is looked up.
pub(super) trait Key: Copy + Default + Ord + TryFrom<u128> {
    /// Which bucket of 2^`shift` values it is in, if the first begins at `base`.
    fn bucket(self, base: Self, shift: u32) -> usize;
}

macro_rules! keys {
    ($($number:ty)*) => {$(
        impl Key for $number {
            #[inline]
            fn bucket(self, base: Self, shift: u32) -> usize {
                usize::try_from(self.saturating_sub(base) >> shift).unwrap_or(usize::MAX)
            }
        }
    )*};
}

keys!(u8 u16 u32 u64 u128);

impl<K: Key> Column<K> {
    pub(super) fn new(
        placed: &[Placed<'_>],
        field: usize,
        sets: &mut SetsBuilder,
    ) -> Result<Self, AccessListError> {
        let mut sweep = Sweep::default();
        let first = sets.set(&sweep.blocks)?;
        let absent = absent(placed, field, sets)?;
        let mut column =
            Self { starts: Vec::new(), sets: vec![first], index: Vec::new(), shift: 0, absent };
        let edges = edges(placed, field);
        for edges in edges.chunk_by(|a, b| a.0 == b.0) {
            let Some(Ok(start)) = edges.first().map(|edge| K::try_from(edge.0)) else {
                break; // after the last value
            };
            for (_, position) in edges {
                sweep.flip(*position);
            }
            let set = sweep.set(sets)?;
            if edges.first().is_some_and(|edge| edge.0 == 0) {
                column.sets = vec![set];
            } else if column.sets.last() != Some(&set) {
                column.starts.push(start);
                column.sets.push(set);
            }
        }
        column.starts.shrink_to_fit();
        column.sets.shrink_to_fit();
        column.fill_index();
        Ok(column)
    }

    /// The set of a value, or of none.
    #[inline]
    pub(super) fn set_of(&self, key: Option<K>) -> u32 {
        key.map_or(self.absent, |key| self.set(key))
    }

    /// The set of a value.
    #[inline]
    pub(super) fn set(&self, key: K) -> u32 {
        let begun = match self.starts.first() {
            Some(base) if *base <= key => {
                let bucket = key.bucket(*base, self.shift).min(self.index.len().saturating_sub(2));
                let Some([from, to, ..]) = self.index.get(bucket..) else { return self.absent };
                let (from, to) = (*from as usize, *to as usize);
                let here = self.starts.get(from..to).unwrap_or_default();
                from.wrapping_add(here.partition_point(|start| *start <= key))
            }
            _ => 0,
        };
        self.sets.get(begun).copied().unwrap_or(self.absent)
    }

    /// Makes about one bucket for each start: then few steps are left for the binary search, however many starts
    /// there are, unless they crowd.
    fn fill_index(&mut self) {
        let (Some(base), Some(last)) = (self.starts.first(), self.starts.last()) else { return };
        let most = self.starts.len().next_power_of_two();
        while last.bucket(*base, self.shift) >= most {
            self.shift = self.shift.saturating_add(1);
        }
        let buckets = last.bucket(*base, self.shift).saturating_add(1);
        self.index.reserve_exact(buckets.saturating_add(1));
        let mut before = 0_u32;
        let mut starts = self.starts.iter().peekable();
        for bucket in 0..buckets {
            self.index.push(before);
            while starts.next_if(|start| start.bucket(*base, self.shift) <= bucket).is_some() {
                before = before.saturating_add(1);
            }
        }
        self.index.push(before);
    }

    pub(super) fn memory(&self) -> usize {
        [size_of_val(&self.starts[..]), size_of_val(&self.sets[..]), size_of_val(&self.index[..])]
            .into_iter()
            .fold(0, usize::saturating_add)
    }
}

fn absent(
    placed: &[Placed<'_>],
    field: usize,
    sets: &mut SetsBuilder,
) -> Result<u32, AccessListError> {
    let mut sweep = Sweep::default();
    for Placed { position, region, choosy } in placed {
        if choosy >> field & 1 != 0 && matches!(region.fields.get(field), Some(None)) {
            sweep.flip(*position);
        }
    }
    sweep.set(sets)
}

/// Where ranges begin, and the places right after their ends, in order. A region whose bit is to be set and one
/// whose bit is to be cleared need not be told apart: ranges of one region do not touch.
fn edges(placed: &[Placed<'_>], field: usize) -> Vec<(u128, u32)> {
    let mut edges = Vec::new();
    for Placed { position, region, choosy } in placed {
        match region.fields.get(field) {
            Some(Some(ranges)) => {
                for (first, last) in ranges {
                    edges.push((*first, *position));
                    edges.extend(last.checked_add(1).map(|after| (after, *position)));
                }
            }
            // Takes every value, but shares its block with some that do not.
            Some(None) if choosy >> field & 1 != 0 => edges.push((0, *position)),
            _ => {}
        }
    }
    edges.sort_unstable();
    edges
}

/// The set at one place, while going through all places in order.
#[derive(Default)]
struct Sweep {
    /// The blocks that are not empty, (number, id), in order.
    blocks: Vec<(u32, u32)>,
    /// Their bits.
    bits: Vec<Block>,
    /// Numbers of blocks whose id is not right any more.
    changed: Vec<u32>,
}

impl Sweep {
    fn flip(&mut self, position: u32) {
        let (number, bit) = (position / BLOCK_BITS, position % BLOCK_BITS);
        let at = match self.blocks.binary_search_by_key(&number, |(number, _)| *number) {
            Ok(at) => at,
            Err(at) => {
                self.blocks.insert(at, (number, 0));
                self.bits.insert(at, EMPTY);
                at
            }
        };
        let word = self.bits.get_mut(at).into_iter().flatten().nth((bit / 64) as usize);
        if let Some(word) = word {
            *word ^= 1 << (bit % 64);
        }
        if self.changed.last() != Some(&number) {
            self.changed.push(number);
        }
    }

    fn set(&mut self, sets: &mut SetsBuilder) -> Result<u32, AccessListError> {
        for number in self.changed.drain(..) {
            let Ok(at) = self.blocks.binary_search_by_key(&number, |(number, _)| *number) else {
                continue; // emptied and taken out
            };
            let bits = self.bits.get(at).copied().unwrap_or_default();
            if bits == EMPTY {
                self.blocks.remove(at);
                self.bits.remove(at);
            } else if let Some((_, id)) = self.blocks.get_mut(at) {
                *id = sets.block(bits)?;
            }
        }
        sets.set(&self.blocks)
    }
}
