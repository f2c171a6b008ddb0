use alloc::collections::BTreeMap;
use alloc::vec::Vec;

use super::AccessListError;

/// How many positions a block holds: 32 bytes, half a cache line.
pub(super) const BLOCK_BITS: u32 = 256;

/// How many blocks of a set are gone through without asking which have a bit, and how many bytes they may take if they
/// stand set by set: equal ones are kept more than once then.
const FEW: usize = 8;
const FLAT: usize = 1 << 20;

/// One bit for each of 256 neighbouring positions.
pub(super) type Block = [u64; BLOCK_BITS as usize / 64];

/// No position.
pub(super) const EMPTY: Block = [0; BLOCK_BITS as usize / 64];

/// Sets of positions, each kept once, made of blocks, each kept once.
///
/// Where a prefix or a range begins or ends, one bit changes: the sets on its two sides share all blocks but one.
#[derive(Clone, Debug, Default)]
pub(super) struct Sets {
    /// For each set and each 64 of its blocks, which of them have a bit at all.
    occupied: Vec<u64>,
    /// For each set, which blocks it has; empty where the blocks themselves stand set by set.
    ids: Vec<u32>,
    blocks: Vec<Block>,
    rows_per_set: usize,
    blocks_per_set: usize,
}

impl Sets {
    /// Which of the 64 blocks of a row have a bit in the set.
    #[inline]
    pub(super) fn occupied(&self, set: u32, row: usize) -> u64 {
        let at = (set as usize).wrapping_mul(self.rows_per_set).wrapping_add(row);
        self.occupied.get(at).copied().unwrap_or_default()
    }

    /// Whether all blocks of a set stand side by side.
    #[inline]
    pub(super) fn are_flat(&self) -> bool {
        self.ids.is_empty()
    }

    /// Where the blocks of a set stand, if they stand side by side.
    #[inline]
    pub(super) fn flat(&self, set: u32) -> Flat {
        Flat((set as usize).wrapping_mul(self.blocks_per_set))
    }

    /// One block of a set that stands there.
    #[inline]
    pub(super) fn flat_block(&self, Flat(at): Flat, number: usize) -> Option<&Block> {
        self.blocks.get(at.wrapping_add(number))
    }

    /// One block of a set, where they do not.
    #[inline]
    pub(super) fn block(&self, set: u32, number: usize) -> Option<&Block> {
        let at = (set as usize).wrapping_mul(self.blocks_per_set).wrapping_add(number);
        self.blocks.get(*self.ids.get(at)? as usize)
    }

    /// Bytes of heap.
    pub(super) fn memory(&self) -> usize {
        [size_of_val(&self.occupied[..]), size_of_val(&self.ids[..]), size_of_val(&self.blocks[..])]
            .into_iter()
            .fold(0, usize::saturating_add)
    }
}

/// The place of a set's first block.
#[derive(Clone, Copy, Debug)]
pub(super) struct Flat(usize);

/// Finds out which sets and blocks are there already.
pub(super) struct SetsBuilder {
    sets: Sets,
    known_sets: BTreeMap<Vec<(u32, u32)>, u32>,
    known_blocks: BTreeMap<Block, u32>,
    memory_limit: usize,
}

impl SetsBuilder {
    /// For positions in so many blocks.
    pub(super) fn new(blocks_per_set: usize, memory_limit: usize) -> Self {
        let rows_per_set = blocks_per_set.div_ceil(64);
        Self {
            sets: Sets {
                blocks: Vec::from([EMPTY]),
                rows_per_set,
                blocks_per_set,
                ..Sets::default()
            },
            known_sets: BTreeMap::new(),
            known_blocks: BTreeMap::from([(EMPTY, 0)]),
            memory_limit,
        }
    }

    /// The set that is made of these blocks, (number, id) in order.
    pub(super) fn set(&mut self, blocks: &[(u32, u32)]) -> Result<u32, AccessListError> {
        if let Some(set) = self.known_sets.get(blocks) {
            return Ok(*set);
        }
        let set = self.number(self.known_sets.len())?;
        let mut present = blocks.iter().copied().peekable();
        for number in (0..u32::MAX).take(self.sets.blocks_per_set) {
            if number % 64 == 0 {
                self.sets.occupied.push(0);
            }
            let id = present.next_if(|(present, _)| *present == number).map_or(0, |(_, id)| id);
            self.sets.ids.push(id);
            if let Some(occupied) = self.sets.occupied.last_mut().filter(|_| id != 0) {
                *occupied |= 1 << (number % 64);
            }
        }
        self.known_sets.insert(blocks.to_vec(), set);
        if self.sets.memory() > self.memory_limit {
            return Err(self.too_large());
        }
        Ok(set)
    }

    /// The set of those positions that are in all of the sets.
    pub(super) fn intersection(&mut self, sets: [u32; 3]) -> Result<u32, AccessListError> {
        let mut blocks = Vec::new();
        for (at, number) in (0..self.sets.blocks_per_set).zip(0..u32::MAX) {
            let mut block = EMPTY.map(|word| !word);
            for set in sets {
                let other = self.sets.block(set, at).copied().unwrap_or_default();
                block.iter_mut().zip(other).for_each(|(word, other)| *word &= other);
            }
            if block != EMPTY {
                blocks.push((number, self.block(block)?));
            }
        }
        self.set(&blocks)
    }

    /// The id of a block.
    pub(super) fn block(&mut self, block: Block) -> Result<u32, AccessListError> {
        if let Some(id) = self.known_blocks.get(&block) {
            return Ok(*id);
        }
        let id = self.number(self.sets.blocks.len())?;
        self.sets.blocks.push(block);
        self.known_blocks.insert(block, id);
        Ok(id)
    }

    pub(super) fn finish(mut self) -> Sets {
        let flat = self.sets.ids.len().saturating_mul(size_of::<Block>());
        if self.sets.blocks_per_set <= FEW && flat <= FLAT {
            let block = |id: u32| self.sets.blocks.get(id as usize).copied().unwrap_or_default();
            self.sets.blocks = self.sets.ids.drain(..).map(block).collect();
            self.sets.occupied.clear();
        }
        self.sets.occupied.shrink_to_fit();
        self.sets.ids.shrink_to_fit();
        self.sets.blocks.shrink_to_fit();
        self.sets
    }

    fn number(&self, length: usize) -> Result<u32, AccessListError> {
        u32::try_from(length).map_err(|_| self.too_large())
    }

    fn too_large(&self) -> AccessListError {
        AccessListError::TooLarge { limit: self.memory_limit }
    }
}
