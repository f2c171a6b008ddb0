use super::Connection;
use super::arrival::{Accepted, Findings, Marks, Way};
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

/// The bytes that become contiguous, in order: see [`Connection::chunks`].
#[derive(Clone, Debug)]
pub struct Chunks<'a> {
    at: i64,
    /// The next ones, where they are known at once.
    first: &'a [u8],
    /// Where else they are, and where they end.
    others: Option<(Payload<'a>, i64)>,
}

impl<'a> Chunks<'a> {
    #[inline]
    pub(super) fn new(
        connection: &'a Connection,
        pool: &'a Pool,
        accepted: &Accepted,
        payload: &'a [u8],
    ) -> Self {
        match &accepted.0 {
            Way::Straight(straight) => Self { at: straight.start, first: payload, others: None },
            Way::Any(found) => {
                let (at, end) = found.fresh;
                let payload = Payload::new(connection, pool, *found, payload);
                Self { at, first: &[], others: Some((payload, end)) }
            }
        }
    }
}

impl<'a> Iterator for Chunks<'a> {
    type Item = Chunk<'a>;

    #[inline]
    fn next(&mut self) -> Option<Chunk<'a>> {
        let offset = self.at;
        let mut data = core::mem::take(&mut self.first);
        if data.is_empty() {
            let (payload, end) = self.others.filter(|(_, end)| offset < *end)?;
            data = payload.fresh(offset, end);
            if data.is_empty() {
                self.others = None;
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

/// The edits of a payload, from its start to its end: see [`Connection::edits`].
#[derive(Clone, Debug)]
pub struct Edits<'a> {
    /// `None` where there are none.
    payload: Option<Payload<'a>>,
    at: i64,
    end: i64,
}

impl<'a> Edits<'a> {
    pub(super) fn new(
        connection: &'a Connection,
        pool: &'a Pool,
        accepted: &Accepted,
        payload: &'a [u8],
    ) -> Self {
        let Way::Any(found) = &accepted.0 else { return Self { payload: None, at: 0, end: 0 } };
        let payload = Payload::new(connection, pool, *found, payload);
        let at = found.start.max(payload.half.acked);
        let end = found.end.min(payload.half.store.high());
        Self { payload: payload.is_edited.then_some(payload), at, end }
    }
}

impl<'a> Iterator for Edits<'a> {
    type Item = Edit<'a>;

    fn next(&mut self) -> Option<Edit<'a>> {
        let payload = self.payload?;
        while self.at < self.end {
            let offset = self.at;
            let rest = payload.rest(offset)?;
            let (remembered, bytes) = payload.piece(offset, self.end, Some(rest));
            if bytes.is_empty() {
                break;
            }
            self.at = offset.saturating_add(length(bytes));
            if remembered && rest.get(..bytes.len()) != Some(bytes) {
                let at = offset.saturating_sub(payload.start);
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
    /// The findings are handed over by value: of a place in memory that others are told of, nothing stays in registers.
    #[cold]
    #[inline(never)]
    fn new(connection: &'a Connection, pool: &'a Pool, found: Findings, bytes: &'a [u8]) -> Self {
        let half = connection.half(found.side);
        let is_edited = found.marks.contains(Marks::EDITED);
        Self { half, pool, bytes, start: found.start, is_edited }
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
