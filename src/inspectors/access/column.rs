use alloc::vec;
use alloc::vec::Vec;

use super::AccessListError;
use super::region::Region;
use super::sets::{BLOCK_BITS, Block, SetsBuilder};

/// One field of all regions: the positions of those that take a value.
///
/// All values are cut into intervals at the places where the set changes.
#[derive(Clone, Debug)]
pub(super) struct Column<K> {
    /// Where intervals begin, but for the first, which begins at zero.
    starts: Vec<K>,
    sets: Vec<u32>,
}

impl<K: Copy + Ord + TryFrom<u128>> Column<K> {
    /// The set without a position, by agreement of all columns.
    pub(super) const NOTHING: u32 = 0;

    pub(super) fn new(
        placed: &[(u32, &Region)],
        field: usize,
        sets: &mut SetsBuilder,
    ) -> Result<Self, AccessListError> {
        let mut sweep = Sweep::default();
        let mut column = Self { starts: Vec::new(), sets: vec![sets.set(&sweep.blocks)?] };
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
        Ok(column)
    }

    #[inline]
    pub(super) fn set(&self, key: K) -> u32 {
        let interval = self.starts.partition_point(|start| *start <= key);
        self.sets.get(interval).copied().unwrap_or(Self::NOTHING)
    }

    pub(super) fn memory(&self) -> usize {
        size_of_val(&self.starts[..]).saturating_add(size_of_val(&self.sets[..]))
    }
}

/// Where ranges begin, and the places right after their ends, in order. A region whose bit is to be set and one
/// whose bit is to be cleared need not be told apart: ranges of one region do not touch.
fn edges(placed: &[(u32, &Region)], field: usize) -> Vec<(u128, u32)> {
    let mut edges = Vec::new();
    for (position, region) in placed {
        for (first, last) in region.fields.get(field).into_iter().flatten().flatten() {
            edges.push((*first, *position));
            edges.extend(last.checked_add(1).map(|after| (after, *position)));
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
        let width = u32::try_from(BLOCK_BITS).unwrap_or(u32::MAX);
        let (number, bit) = (position / width, position % width);
        let at = match self.blocks.binary_search_by_key(&number, |(number, _)| *number) {
            Ok(at) => at,
            Err(at) => {
                self.blocks.insert(at, (number, 0));
                self.bits.insert(at, [0; 4]);
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
            if bits == [0; 4] {
                self.blocks.remove(at);
                self.bits.remove(at);
            } else if let Some((_, id)) = self.blocks.get_mut(at) {
                *id = sets.block(bits)?;
            }
        }
        sets.set(&self.blocks)
    }
}
