use alloc::collections::BTreeMap;
use alloc::vec::Vec;

use super::AccessListError;

/// How many positions a block holds: 32 bytes, half a cache line.
pub(super) const BLOCK_BITS: u32 = 256;

/// One bit for each of 256 neighbouring positions.
pub(super) type Block = [u64; BLOCK_BITS as usize / 64];

/// No position.
pub(super) const EMPTY: Block = [0; BLOCK_BITS as usize / 64];

/// Sets of positions, each kept once, made of blocks, each kept once.
///
/// Where a prefix or a range begins or ends, one bit changes: the sets on its two sides share all blocks but one.
#[derive(Clone, Debug, Default)]
pub(super) struct Sets {
    /// Rows of each set, `rows_per_set` of them.
    rows: Vec<Row>,
    rows_per_set: usize,
    /// Which blocks the rows have.
    ids: Vec<u32>,
    blocks: Vec<Block>,
}

/// 64 blocks of a set: which of them have a bit at all, and where their ids begin.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Row {
    pub(super) occupied: u64,
    ids_at: u32,
}

impl Sets {
    #[inline]
    pub(super) fn row(&self, set: u32, row: usize) -> Row {
        let at = usize::try_from(set).unwrap_or(usize::MAX).saturating_mul(self.rows_per_set);
        self.rows.get(at.saturating_add(row)).copied().unwrap_or_default()
    }

    /// The block of a row whose bit in `occupied` is `bit`.
    #[inline]
    pub(super) fn block(&self, row: Row, bit: u64) -> Option<&Block> {
        let rank = (row.occupied & bit.wrapping_sub(1)).count_ones();
        let id = self.ids.get(usize::try_from(row.ids_at.wrapping_add(rank)).ok()?)?;
        self.blocks.get(usize::try_from(*id).ok()?)
    }

    /// Bytes of heap.
    pub(super) fn memory(&self) -> usize {
        [size_of_val(&self.rows[..]), size_of_val(&self.ids[..]), size_of_val(&self.blocks[..])]
            .into_iter()
            .fold(0, usize::saturating_add)
    }
}

/// Finds out which sets and blocks are there already.
pub(super) struct SetsBuilder {
    sets: Sets,
    known_sets: BTreeMap<Vec<(u32, u32)>, u32>,
    known_blocks: BTreeMap<Block, u32>,
    memory_limit: usize,
}

impl SetsBuilder {
    pub(super) fn new(rows_per_set: usize, memory_limit: usize) -> Self {
        Self {
            sets: Sets { rows_per_set, ..Sets::default() },
            known_sets: BTreeMap::new(),
            known_blocks: BTreeMap::new(),
            memory_limit,
        }
    }

    /// The set that is made of these blocks, (number, id) in order.
    pub(super) fn set(&mut self, blocks: &Vec<(u32, u32)>) -> Result<u32, AccessListError> {
        if let Some(set) = self.known_sets.get(blocks) {
            return Ok(*set);
        }
        let set = self.number(self.known_sets.len())?;
        let mut rest = &blocks[..];
        for row in 0..self.sets.rows_per_set {
            let here =
                rest.partition_point(|(block, _)| is_before_row(*block, row.saturating_add(1)));
            let (blocks, beyond) = rest.split_at_checked(here).unwrap_or_default();
            rest = beyond;
            let ids_at = self.number(self.sets.ids.len())?;
            self.sets.ids.extend(blocks.iter().map(|(_, id)| id));
            let occupied = blocks.iter().fold(0, |bits, (block, _)| bits | 1 << (block % 64));
            self.sets.rows.push(Row { occupied, ids_at });
        }
        self.known_sets.insert(blocks.clone(), set);
        if self.sets.memory() > self.memory_limit {
            return Err(self.too_large());
        }
        Ok(set)
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
        self.sets.rows.shrink_to_fit();
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

fn is_before_row(block: u32, row: usize) -> bool {
    usize::try_from(block / 64).is_ok_and(|it| it < row)
}
