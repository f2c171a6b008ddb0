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
    payload: &'a [u8],
}

impl<'a> Iterator for Chunks<'a> {
    type Item = Chunk<'a>;

    fn next(&mut self) -> Option<Chunk<'a>> {
        let data = core::mem::take(&mut self.payload);
        (!data.is_empty()).then_some(Chunk { offset: 0, data })
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
    pub(super) payload: &'a [u8],
}

impl<'a> Iterator for Edits<'a> {
    type Item = Edit<'a>;

    fn next(&mut self) -> Option<Edit<'a>> {
        let bytes = core::mem::take(&mut self.payload);
        (!bytes.is_empty()).then_some(Edit { at: 0, bytes })
    }
}

impl core::iter::FusedIterator for Edits<'_> {}

impl<'a> Chunks<'a> {
    pub(super) fn new(payload: &'a [u8]) -> Self {
        Self { payload }
    }
}
