use alloc::collections::TryReserveError;
use alloc::vec::Vec;

use super::part::Part;

/// Memory for the data of fragments, in blocks that are chained.
pub(super) struct Memory {
    blocks: Vec<Block>,
    most: usize,
    taken: usize,
    /// The first of those that were given back.
    vacant: u32,
}

/// A part of a fragment, or a header.
pub(super) struct Block {
    data: [u8; Memory::BLOCK],
    len: u16,
    /// Where it belongs in the datagram.
    pub(super) offset: u16,
    /// Where the fragment that it is part of begins and ends.
    pub(super) start: u16,
    pub(super) end: u16,
    next: u32,
}

/// No block.
pub(super) const NONE: u32 = u32::MAX;

impl Memory {
    /// Bytes in a block.
    pub(super) const BLOCK: usize = 500;
    /// Memory for the longest header and the longest piece that a network with the usual frames brings.
    pub(super) const LEAST: usize = 8 * size_of::<Block>();
    pub(super) const MOST: usize = (1 << 30) * (size_of::<usize>() / 4);

    pub(super) fn new(bytes: usize) -> Result<Self, TryReserveError> {
        let most = Self::blocks_in(bytes);
        let mut blocks = Vec::new();
        blocks.try_reserve_exact(most)?;
        Ok(Self { blocks, most, taken: 0, vacant: NONE })
    }

    /// How many blocks that many bytes are.
    pub(super) fn blocks_in(bytes: usize) -> usize {
        bytes.checked_div(size_of::<Block>()).unwrap_or(0)
    }

    pub(super) const fn used(&self) -> usize {
        self.taken.saturating_mul(size_of::<Block>())
    }

    /// How many blocks can be taken.
    pub(super) const fn left(&self) -> usize {
        self.most.saturating_sub(self.taken)
    }

    pub(super) fn get(&self, id: u32) -> Option<&Block> {
        self.blocks.get(id as usize)
    }

    /// A block and those behind it.
    pub(super) fn chain(&self, first: u32) -> impl Iterator<Item = &Block> {
        core::iter::successors(self.get(first), |block| self.get(block.next))
    }

    /// Puts the data of a fragment before others.
    pub(super) fn put(&mut self, part: &Part<'_>, mut before: u32) -> u32 {
        let bound = |at: usize| u16::try_from(at).unwrap_or(u16::MAX);
        let (start, end) = (bound(part.start), bound(part.end));
        let mut at = part.start;
        for data in part.data.chunks(Self::BLOCK) {
            let Some(id) = self.take(data, before) else { break };
            if let Some(block) = self.blocks.get_mut(id as usize) {
                (block.offset, block.start, block.end) = (bound(at), start, end);
            }
            before = id;
            at = at.saturating_add(data.len());
        }
        before
    }

    /// A block of its own for at most [`BLOCK`](Self::BLOCK) bytes.
    fn take(&mut self, data: &[u8], next: u32) -> Option<u32> {
        let id = match self.get(self.vacant) {
            Some(block) => {
                let next = block.next;
                core::mem::replace(&mut self.vacant, next)
            }
            None if self.blocks.len() >= self.most => return None,
            None => {
                let data = [0; Self::BLOCK];
                self.blocks.push(Block { data, len: 0, offset: 0, start: 0, end: 0, next: NONE });
                u32::try_from(self.blocks.len().saturating_sub(1)).ok()?
            }
        };
        let block = self.blocks.get_mut(id as usize)?;
        block.data.get_mut(..data.len())?.copy_from_slice(data);
        block.len = u16::try_from(data.len()).ok()?;
        block.next = next;
        self.taken = self.taken.saturating_add(1);
        Some(id)
    }

    /// A block for a header.
    pub(super) fn put_header(&mut self, part: &Part<'_>) -> Option<u32> {
        let id = self.take(part.header, NONE)?;
        part.name_next(&mut self.blocks.get_mut(id as usize)?.data);
        Some(id)
    }

    /// Takes a block and those behind it back. Says how many they were.
    pub(super) fn give(&mut self, first: u32) -> usize {
        let (mut id, mut count) = (first, 0_usize);
        while let Some(block) = self.blocks.get_mut(id as usize) {
            let next = core::mem::replace(&mut block.next, self.vacant);
            self.vacant = id;
            id = next;
            count = count.saturating_add(1);
        }
        self.taken = self.taken.saturating_sub(count);
        count
    }
}

impl Block {
    pub(super) fn data(&self) -> &[u8] {
        self.data.get(..usize::from(self.len)).unwrap_or_default()
    }
}
