use super::arrival::{Accepted, Marks};
use super::half::Half;
use super::pool::Pool;
use super::store::{Piece, length};

/// Bytes of a stream that have become contiguous, or a part of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Chunk<'a> {
    /// The offset of the first one in its sender's stream, after the SYN.
    pub offset: u64,
    /// The bytes, at least one.
    pub data: &'a [u8],
}

/// The bytes that become contiguous, in order: see [`Connection::chunks`](super::Connection::chunks).
#[derive(Clone, Debug)]
pub struct Chunks<'a> {
    /// The first one, if it is known at once.
    first: &'a [u8],
    payload: Payload<'a>,
    at: i64,
    end: i64,
}

impl<'a> Chunks<'a> {
    #[inline]
    pub(super) fn new(
        half: &'a Half,
        pool: &'a Pool,
        accepted: &Accepted,
        payload: &'a [u8],
    ) -> Self {
        let (at, end) = accepted.fresh;
        let first = if accepted.is_straight { payload } else { &[] };
        Self { first, payload: Payload::new(half, pool, accepted, payload), at, end }
    }
}

impl<'a> Iterator for Chunks<'a> {
    type Item = Chunk<'a>;

    #[inline]
    fn next(&mut self) -> Option<Chunk<'a>> {
        if self.at >= self.end {
            return None;
        }
        let offset = self.at;
        let mut data = core::mem::take(&mut self.first);
        if data.is_empty() {
            data = self.payload.fresh(offset, self.end);
            if data.is_empty() {
                self.end = self.at;
                return None;
            }
        }
        self.at = offset.wrapping_add(length(data));
        Some(Chunk { offset: offset as u64, data })
    }
}

impl core::iter::FusedIterator for Chunks<'_> {}

/// Bytes that must be written over a payload before it is forwarded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Edit<'a> {
    /// The place in the payload.
    pub at: usize,
    /// What was forwarded for that place before.
    pub bytes: &'a [u8],
}

/// The edits of a payload, from its start to its end: see [`Connection::edits`](super::Connection::edits).
#[derive(Clone, Debug)]
pub struct Edits<'a> {
    payload: Payload<'a>,
    at: i64,
    end: i64,
}

impl<'a> Edits<'a> {
    pub(super) fn new(
        half: &'a Half,
        pool: &'a Pool,
        accepted: &Accepted,
        payload: &'a [u8],
    ) -> Self {
        let payload = Payload::new(half, pool, accepted, payload);
        let at = accepted.start.max(half.acked);
        let end = if payload.is_edited { accepted.end.min(half.store.high()) } else { at };
        Self { payload, at, end }
    }
}

impl<'a> Iterator for Edits<'a> {
    type Item = Edit<'a>;

    fn next(&mut self) -> Option<Edit<'a>> {
        while self.at < self.end {
            let offset = self.at;
            let rest = self.payload.rest(offset)?;
            let (remembered, bytes) = self.payload.piece(offset, self.end, Some(rest));
            if bytes.is_empty() {
                break;
            }
            self.at = offset.saturating_add(length(bytes));
            if remembered && rest.get(..bytes.len()) != Some(bytes) {
                let at = offset.saturating_sub(self.payload.start);
                return Some(Edit { at: usize::try_from(at).ok()?, bytes });
            }
        }
        self.end = self.at;
        None
    }
}

impl core::iter::FusedIterator for Edits<'_> {}

/// A payload and what is remembered around it.
#[derive(Clone, Copy, Debug)]
struct Payload<'a> {
    half: &'a Half,
    pool: &'a Pool,
    bytes: &'a [u8],
    start: i64,
    is_edited: bool,
}

impl<'a> Payload<'a> {
    #[inline]
    fn new(half: &'a Half, pool: &'a Pool, accepted: &Accepted, bytes: &'a [u8]) -> Self {
        let is_edited = accepted.marks.contains(Marks::EDITED);
        Self { half, pool, bytes, start: accepted.start, is_edited }
    }

    /// The payload's bytes from an offset on, if it has any.
    #[inline]
    fn rest(self, offset: i64) -> Option<&'a [u8]> {
        let skipped = usize::try_from(offset.wrapping_sub(self.start)).ok()?;
        self.bytes.get(skipped..).filter(|rest| !rest.is_empty())
    }

    /// The bytes at an offset that become contiguous.
    #[cold]
    fn fresh(self, offset: i64, end: i64) -> &'a [u8] {
        match self.rest(offset) {
            Some(rest) if !self.is_edited => rest,
            rest => self.piece(offset, end, rest).1,
        }
    }

    /// The bytes at an offset, as many as are side by side, and whether they were remembered: else those of the
    /// payload.
    fn piece(self, offset: i64, end: i64, rest: Option<&'a [u8]>) -> (bool, &'a [u8]) {
        let left = usize::try_from(end.saturating_sub(offset)).unwrap_or(0);
        let most = rest.map_or(left, |rest| rest.len().min(left));
        match self.half.store.piece(self.pool, offset, self.half.next, most) {
            Piece { bytes: Some(bytes), .. } => (true, bytes),
            Piece { len, bytes: None } => {
                let rest = rest.unwrap_or_default();
                (false, rest.get(..len).unwrap_or(rest))
            }
        }
    }
}
