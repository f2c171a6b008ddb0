use alloc::vec::Vec;

use super::Buffer;

mod body;
mod http;
mod inflate;
mod lines;
mod tls;
mod transform;
mod uri;

pub(super) use body::{Body, Full, Pool, Portion, Share};
pub(super) use http::{Head, head_of_request, head_of_response};
pub(super) use inflate::{Coding, Compression, Inflate};
pub(super) use lines::{Lines, Spoken};
pub(super) use tls::{certificates, client_hello, query, server_hello};
pub(super) use transform::transform;

/// A set of kinds of buffers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Kinds(u64);

impl Kinds {
    pub(super) const NONE: Self = Self(0);

    pub(super) const fn insert(&mut self, buffer: Buffer) {
        self.0 |= Self::bit(buffer);
    }

    #[inline]
    pub(super) const fn contains(self, buffer: Buffer) -> bool {
        self.0 & Self::bit(buffer) != 0
    }

    pub(super) const fn union(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    #[inline]
    pub(super) const fn intersects(self, other: Self) -> bool {
        self.0 & other.0 != 0
    }

    pub(super) fn of(buffers: impl IntoIterator<Item = Buffer>) -> Self {
        let mut kinds = Self::NONE;
        for buffer in buffers {
            kinds.insert(buffer);
        }
        kinds
    }

    /// There are fewer than 64 kinds.
    const fn bit(buffer: Buffer) -> u64 {
        1_u64.wrapping_shl(buffer as u32)
    }
}

/// What rules look at in one message, or in all of a transaction so far: in one piece of memory that is used again.
#[derive(Clone, Debug, Default)]
pub(super) struct Buffers {
    bytes: Vec<u8>,
    entries: Vec<Entry>,
}

#[derive(Clone, Copy, Debug)]
struct Entry {
    buffer: Buffer,
    start: usize,
    end: usize,
    is_whole: bool,
}

/// One buffer.
#[derive(Clone, Copy, Debug)]
pub(super) struct Instance<'a> {
    pub(super) bytes: &'a [u8],
    /// Whether nothing will be added to it.
    pub(super) is_whole: bool,
}

impl Buffers {
    pub(super) fn clear(&mut self) {
        self.bytes.clear();
        self.entries.clear();
    }

    /// How many bytes they have.
    pub(super) fn len(&self) -> usize {
        self.bytes.len()
    }

    /// Adds a buffer that `write` appends. One without a byte is none.
    pub(super) fn add(&mut self, buffer: Buffer, write: impl FnOnce(&mut Vec<u8>)) {
        let start = self.bytes.len();
        write(&mut self.bytes);
        let end = self.bytes.len();
        if end > start {
            self.entries.push(Entry { buffer, start, end, is_whole: true });
        }
    }

    /// Adds a buffer of these bytes, whole or not.
    pub(super) fn add_bytes(&mut self, buffer: Buffer, bytes: &[u8], is_whole: bool) {
        let start = self.bytes.len();
        self.bytes.extend_from_slice(bytes);
        let end = self.bytes.len();
        self.entries.push(Entry { buffer, start, end, is_whole });
    }

    /// Adds those of others that are of these kinds.
    pub(super) fn add_all(&mut self, others: &Self, kinds: Kinds) {
        for entry in others.entries.iter().filter(|entry| kinds.contains(entry.buffer)) {
            if let Some(bytes) = others.bytes.get(entry.start..entry.end) {
                self.add_bytes(entry.buffer, bytes, entry.is_whole);
            }
        }
    }

    /// All of one kind.
    pub(super) fn of(&self, buffer: Buffer) -> impl Iterator<Item = Instance<'_>> {
        self.entries.iter().filter(move |entry| entry.buffer == buffer).filter_map(|entry| {
            let bytes = self.bytes.get(entry.start..entry.end)?;
            Some(Instance { bytes, is_whole: entry.is_whole })
        })
    }

    /// Which kinds there are.
    pub(super) fn kinds(&self) -> Kinds {
        Kinds::of(self.entries.iter().map(|entry| entry.buffer))
    }
}
