use super::pool::{Area, BLOCK, CELL, NONE, Place, Pool, REFERENCES};

/// The bytes of one direction that are remembered, by their offsets in the stream.
///
/// Blocks stand side by side from where the first remembered byte was, each for the bytes of its place alone, so
/// that any offset is found without a walk. Up to four blocks are known here, and more by blocks of references, which
/// are chained: one for each 4 MiB. While the bytes fit in a cell, they are in one.
///
/// Up to where the stream stands in order, each byte is there. Beyond, a bit in the block tells which are.
#[derive(Debug)]
pub(super) struct Store {
    /// The offset of the first byte of block number 0.
    base: i64,
    /// The offset after the last byte that was remembered.
    high: i64,
    /// The lowest number that a block may have.
    first: u64,
    /// What they are is told by the shape.
    slots: [u32; 4],
    /// The block of the last byte, and the place in it for the one at `high`. Where that is not known, it is [`UNKNOWN`], and
    /// while something is remembered, the block is [`NONE`].
    tail: u32,
    tail_at: u16,
    shape: Shape,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Shape {
    /// Nothing is remembered.
    Empty,
    /// The first slot is a cell.
    Cell,
    /// A block of number `n` is in slot `n % 4`.
    Few,
    /// The first and the last block of references, and how many they are.
    Many,
}

/// Bytes side by side that are all remembered, or all not.
pub(super) struct Piece<'a> {
    pub(super) len: usize,
    pub(super) bytes: Option<&'a [u8]>,
}

const SLOTS: u64 = 4;
/// The bytes of a block.
const SPAN: u64 = BLOCK as u64;
/// No place in a block.
const UNKNOWN: u16 = u16::MAX;

impl Store {
    pub(super) const fn new() -> Self {
        Self {
            base: 0,
            high: 0,
            first: 0,
            slots: [NONE; 4],
            tail: NONE,
            tail_at: UNKNOWN,
            shape: Shape::Empty,
        }
    }

    /// The offset after the last byte that was remembered.
    #[inline]
    pub(super) const fn high(&self) -> i64 {
        self.high
    }

    /// More blocks than it can take to remember `len` bytes of which the last one stands `ahead` of the first one that
    /// may be remembered.
    #[inline]
    pub(super) const fn most_blocks(len: usize, ahead: u64) -> u64 {
        let blocks = (len / BLOCK) as u64;
        // Two where bytes start and end, one for those of a cell, and the blocks of references.
        let references = ahead / (SPAN * REFERENCES);
        blocks.saturating_add(references).saturating_add(5)
    }

    /// The longest piece at an offset, of at most `len` bytes, more than none. The stream stands at `next` in order.
    pub(super) fn piece<'a>(
        &self,
        pool: &'a Pool,
        offset: i64,
        next: i64,
        len: usize,
    ) -> Piece<'a> {
        let Some(place) = self.find(pool, offset) else {
            let len = len.min(self.left_of_block(offset));
            return Piece { len, bytes: None };
        };
        let place = place.first(len);
        let in_order = usize::try_from(next.saturating_sub(offset)).unwrap_or(0);
        if in_order > 0 {
            let bytes = pool.bytes(place.first(in_order));
            return Piece { len: bytes.len(), bytes: Some(bytes) };
        }
        match pool.run(place) {
            (true, len) => Piece { len, bytes: Some(pool.bytes(place.first(len))) },
            (false, len) => Piece { len, bytes: None },
        }
    }

    /// Where bytes behind the last one end in its block: beyond the block's end if they do not fit, or if it is not known where
    /// they go.
    #[inline(always)]
    pub(super) fn end_in_tail(&self, bytes: &[u8]) -> usize {
        usize::from(self.tail_at).wrapping_add(bytes.len())
    }

    /// As [`append`](Self::append) at [`high`](Self::high), of bytes that end in the block of the last one, or in the one of
    /// [`begin`](Self::begin), as [`end_in_tail`](Self::end_in_tail) says.
    #[inline(always)]
    pub(super) fn append_in_tail(&mut self, pool: &mut Pool, bytes: &[u8], end: usize) -> bool {
        self.high = self.high.wrapping_add(length(bytes));
        self.tail_at = place_of(end);
        pool.put(self.tail, end.wrapping_sub(bytes.len()), bytes)
    }

    /// Takes a block for the first bytes of all, where they fit in one and are too many for a cell; else nothing happens,
    /// and `false` comes back. [`append_in_tail`](Self::append_in_tail) puts them there.
    #[inline(always)]
    pub(super) fn begin(&mut self, pool: &mut Pool, bytes: &[u8]) -> bool {
        if self.shape != Shape::Empty || !(CELL + 1..=BLOCK).contains(&bytes.len()) {
            return false;
        }
        let Some(block) = pool.take_again() else { return false };
        (self.base, self.first, self.shape) = (self.high, 0, Shape::Few);
        self.slots[0] = block;
        self.tail = block;
        true
    }

    /// As [`append`](Self::append) at [`high`](Self::high), of bytes that end in the block behind that of the last one. Where
    /// there is more to do than to note one block, nothing happens, and `false` comes back.
    #[inline(never)]
    pub(super) fn append_across(&mut self, pool: &mut Pool, bytes: &[u8]) -> bool {
        if self.shape == Shape::Few {
            self.append_to_few(pool, bytes)
        } else {
            self.append_to_many(pool, bytes)
        }
    }

    #[inline(never)]
    fn append_to_few(&mut self, pool: &mut Pool, bytes: &[u8]) -> bool {
        let Some((now, later)) = self.split(bytes) else { return false };
        let number = self.number(self.high.wrapping_add(length(now)));
        if number.wrapping_sub(self.first) >= SLOTS {
            return false;
        }
        let Some(block) = pool.take_again() else { return false };
        if let Some(slot) = self.slot_mut(number) {
            *slot = block;
        }
        self.append_parts(pool, block, now, later)
    }

    /// The same of any other shape: of no other than that of many is the place behind the last byte known.
    #[inline(never)]
    fn append_to_many(&mut self, pool: &mut Pool, bytes: &[u8]) -> bool {
        let Some((now, later)) = self.split(bytes) else { return false };
        let number = self.number(self.high.wrapping_add(length(now)));
        if number % REFERENCES == 0 {
            return false;
        }
        debug_assert_eq!(
            (number / REFERENCES).wrapping_sub(self.first / REFERENCES).wrapping_add(1),
            u64::from(self.slots[2]),
            "the last block of references is that of the last byte"
        );
        let Some(block) = pool.take_again() else { return false };
        let before = pool.set_reference(self.slots[1], number, block);
        debug_assert_eq!(before, NONE, "nothing is remembered behind the last byte");
        self.append_parts(pool, block, now, later)
    }

    /// Those bytes that fit behind the last one, in its block, and those that do not. `None` where these are too many for a
    /// block, or where the place is not known: it is so far then that there are never so many.
    #[inline(always)]
    fn split<'a>(&self, bytes: &'a [u8]) -> Option<(&'a [u8], &'a [u8])> {
        let left = BLOCK.wrapping_sub(self.tail_at.into());
        bytes.split_at_checked(left).filter(|(_, later)| later.len() <= BLOCK)
    }

    #[inline(always)]
    fn append_parts(&mut self, pool: &mut Pool, block: u32, now: &[u8], later: &[u8]) -> bool {
        let (tail, at) = (self.tail, self.tail_at.into());
        self.high = self.high.wrapping_add(length(now)).wrapping_add(length(later));
        (self.tail, self.tail_at) = (block, place_of(later.len()));
        pool.put(tail, at, now) && pool.put(block, 0, later)
    }

    /// Remembers bytes that are next in order, where nothing is remembered behind them. `floor` is the first offset
    /// that can still come. Nothing happens, and `false` comes back, where there is no room.
    #[cold]
    #[inline(never)]
    pub(super) fn append(
        &mut self,
        pool: &mut Pool,
        floor: i64,
        offset: i64,
        bytes: &[u8],
    ) -> bool {
        let mut rest = bytes;
        let mut at = offset;
        let end = offset.saturating_add(length(bytes));
        (self.tail, self.tail_at) = (NONE, UNKNOWN);
        while !rest.is_empty() {
            let Some(place) = self.ensure(pool, floor, at, end) else { return false };
            let (now, later) = rest.split_at_checked(place.len()).unwrap_or((rest, &[]));
            let place = place.first(now.len());
            pool.bytes_mut(place).copy_from_slice(now);
            at = at.saturating_add(length(now));
            rest = later;
            if self.shape != Shape::Cell {
                (self.tail, self.tail_at) = (place.block, place_of(place.end));
            }
        }
        self.high = end;
        true
    }

    /// Remembers those of the bytes that are not remembered yet; `next` and `floor` as above.
    pub(super) fn fill(
        &mut self,
        pool: &mut Pool,
        floor: i64,
        next: i64,
        offset: i64,
        bytes: &[u8],
    ) -> bool {
        let out_of_order = offset > next;
        (self.tail, self.tail_at) = (NONE, UNKNOWN);
        let mut rest = bytes;
        let mut at = offset;
        let end = offset.saturating_add(length(bytes));
        let top = end.max(self.high);
        while !rest.is_empty() {
            let Some(place) = self.ensure(pool, floor, at, top) else { return false };
            let place = place.first(rest.len());
            let (is_there, len) = pool.run(place);
            let (now, later) = rest.split_at_checked(len).unwrap_or((rest, &[]));
            let place = place.first(now.len());
            if !is_there {
                pool.bytes_mut(place).copy_from_slice(now);
                if out_of_order {
                    pool.mark(place);
                }
            }
            at = at.saturating_add(length(now));
            rest = later;
        }
        self.high = top;
        true
    }

    /// Forgets what is below an offset, where that is nothing, one block, or all and in one block. `false` where there is more
    /// to do: then [`forget`](Self::forget) does the rest.
    #[inline(always)]
    pub(super) fn forget_quickly(&mut self, pool: &mut Pool, offset: i64) -> bool {
        if offset >= self.high {
            return self.clear_quickly(pool, offset);
        }
        // Those of a cell have the number 0.
        let number = self.number(offset);
        if self.first < number {
            self.give_first(pool);
            return self.first == number;
        }
        true
    }

    /// Forgets what is below an offset.
    pub(super) fn forget(&mut self, pool: &mut Pool, offset: i64) {
        if offset >= self.high {
            self.clear(pool);
            self.high = offset;
            return;
        }
        let number = self.number(offset);
        while self.first < number {
            self.give_first(pool);
        }
    }

    /// Forgets all where that is in one block, and the last byte's place is known.
    #[inline(always)]
    fn clear_quickly(&mut self, pool: &mut Pool, high: i64) -> bool {
        let (first, tail) = (self.first, self.tail);
        if self.shape != Shape::Few {
            return false;
        }
        let Some(slot) = self.slot_mut(first).filter(|slot| **slot == tail) else { return false };
        debug_assert_ne!(tail, NONE, "up to where it was acknowledged, all is remembered");
        *slot = NONE;
        pool.give(tail);
        (self.shape, self.tail_at) = (Shape::Empty, UNKNOWN);
        self.high = high;
        true
    }

    /// Forgets all, but for how far bytes went.
    pub(super) fn clear(&mut self, pool: &mut Pool) {
        match self.shape {
            Shape::Empty => {}
            Shape::Cell => pool.give_cell(Area(self.slots[0])),
            Shape::Few => {
                for slot in self.slots.into_iter().filter(|slot| *slot != NONE) {
                    pool.give(slot);
                }
            }
            Shape::Many => self.clear_many(pool),
        }
        (self.shape, self.slots, self.tail_at) = (Shape::Empty, [NONE; 4], UNKNOWN);
    }

    fn clear_many(&mut self, pool: &mut Pool) {
        let last = self.number(self.high.saturating_sub(1));
        while self.first <= last {
            self.give_first(pool);
        }
        let [mut references, ..] = self.slots;
        while references != NONE {
            let after = pool.link_of(references);
            pool.give(references);
            references = after;
        }
    }

    #[inline(always)]
    fn give_first(&mut self, pool: &mut Pool) {
        let number = self.first;
        self.first = number.wrapping_add(1);
        if self.shape == Shape::Few {
            if let Some(slot) = self.slot_mut(number) {
                pool.give(core::mem::replace(slot, NONE));
            }
            return;
        }
        if let Some(block) = pool.reference(self.slots[0], number) {
            pool.give(block);
        }
        if self.first % REFERENCES == 0 {
            self.give_references(pool);
        }
    }

    #[cold]
    fn give_references(&mut self, pool: &mut Pool) {
        let [references, last, count, _] = self.slots;
        if count > 1 {
            let after = pool.link_of(references);
            pool.give(references);
            self.slots = [after, last, count.saturating_sub(1), NONE];
        }
    }

    /// The number of the block of an offset.
    #[inline]
    const fn number(&self, offset: i64) -> u64 {
        offset.wrapping_sub(self.base) as u64 / SPAN
    }

    /// How many bytes of an offset's block there are from it on, were there one.
    fn left_of_block(&self, offset: i64) -> usize {
        match self.shape {
            Shape::Empty | Shape::Cell => usize::MAX,
            Shape::Few | Shape::Many => BLOCK.saturating_sub(Self::at(self.base, offset)),
        }
    }

    const fn at(base: i64, offset: i64) -> usize {
        (offset.wrapping_sub(base) as u64 % SPAN) as usize
    }

    #[inline]
    fn slot_mut(&mut self, number: u64) -> Option<&mut u32> {
        self.slots.get_mut((number % SLOTS) as usize)
    }

    #[inline]
    fn slot(&self, number: u64) -> u32 {
        self.slots.get((number % SLOTS) as usize).copied().unwrap_or(NONE)
    }

    /// From an offset on to the end of its block.
    #[inline]
    fn find(&self, pool: &Pool, offset: i64) -> Option<Place> {
        let number = self.number(offset);
        let block = match self.shape {
            Shape::Empty => NONE,
            Shape::Cell => return self.find_in_cell(offset),
            Shape::Few if number.wrapping_sub(self.first) < SLOTS => self.slot(number),
            Shape::Few => NONE,
            // References to blocks that were given back stay where they are.
            Shape::Many if number < self.first => NONE,
            Shape::Many => pool.reference(self.references(pool, number), number).unwrap_or(NONE),
        };
        (block != NONE).then_some(Place { block, at: Self::at(self.base, offset), end: BLOCK })
    }

    #[inline]
    fn find_in_cell(&self, offset: i64) -> Option<Place> {
        let ahead = usize::try_from(offset.wrapping_sub(self.base)).ok();
        let area = Area(self.slots[0]);
        let start = area.at();
        let at = start.saturating_add(ahead.filter(|ahead| *ahead < CELL)?);
        Some(Place { block: area.block(), at, end: start.saturating_add(CELL) })
    }

    /// The block of references for a number.
    fn references(&self, pool: &Pool, number: u64) -> u32 {
        let [first, last, count, _] = self.slots;
        let steps = (number / REFERENCES).wrapping_sub(self.first / REFERENCES);
        match u64::from(count).checked_sub(steps) {
            None | Some(0) => NONE,
            Some(1) => last,
            Some(_) => (0..steps).fold(first, |id, _| pool.link_of(id)),
        }
    }

    /// As [`find`](Self::find), with a block where there was none.
    #[inline]
    fn ensure(&mut self, pool: &mut Pool, floor: i64, offset: i64, end: i64) -> Option<Place> {
        if let Some(place) = self.find(pool, offset) {
            return Some(place);
        }
        if self.shape == Shape::Empty {
            (self.base, self.first) = (floor, 0);
            if end.saturating_sub(floor) <= CELL as i64 {
                self.slots = [pool.take_cell()?.0, NONE, NONE, NONE];
                self.shape = Shape::Cell;
                return self.find_in_cell(offset);
            }
            self.shape = Shape::Few;
        }
        if self.shape == Shape::Cell {
            self.outgrow_cell(pool)?;
            return self.ensure_more(pool, offset);
        }
        self.ensure_more(pool, offset)
    }

    fn outgrow_cell(&mut self, pool: &mut Pool) -> Option<()> {
        let area = Area(self.slots[0]);
        let block = pool.take()?;
        pool.move_cell(area, block);
        pool.give_cell(area);
        (self.shape, self.slots, self.first) = (Shape::Few, [block, NONE, NONE, NONE], 0);
        Some(())
    }

    fn ensure_more(&mut self, pool: &mut Pool, offset: i64) -> Option<Place> {
        if let Some(place) = self.find(pool, offset) {
            return Some(place);
        }
        let number = self.number(offset);
        if number < self.first {
            return None;
        }
        if self.shape == Shape::Few && number.wrapping_sub(self.first) >= SLOTS {
            self.outgrow_slots(pool)?;
        }
        let block = if self.shape == Shape::Few {
            let block = pool.take()?;
            *self.slot_mut(number)? = block;
            block
        } else {
            while self.references(pool, number) == NONE {
                let [first, last, count, _] = self.slots;
                let more = pool.take_references(last)?;
                self.slots = [first, more, count.saturating_add(1), NONE];
            }
            let references = self.references(pool, number);
            let block = pool.take()?;
            pool.set_reference(references, number, block);
            block
        };
        Some(Place { block, at: Self::at(self.base, offset), end: BLOCK })
    }

    fn outgrow_slots(&mut self, pool: &mut Pool) -> Option<()> {
        let first = pool.take_references(NONE)?;
        let known = [0, 1, 2, 3].map(|index| {
            let number = self.first.wrapping_add(index);
            (number, self.slot(number))
        });
        (self.shape, self.slots) = (Shape::Many, [first, first, 1, NONE]);
        for (number, block) in known.into_iter().filter(|(_, block)| *block != NONE) {
            while self.references(pool, number) == NONE {
                let [first, last, count, _] = self.slots;
                let more = pool.take_references(last)?;
                self.slots = [first, more, count.saturating_add(1), NONE];
            }
            pool.set_reference(self.references(pool, number), number, block);
        }
        Some(())
    }
}

/// A place in a block.
#[inline]
#[expect(clippy::cast_possible_truncation, reason = "blocks are shorter than that")]
const fn place_of(at: usize) -> u16 {
    at as u16
}

#[inline]
pub(super) const fn length(bytes: &[u8]) -> i64 {
    bytes.len() as i64
}
