//! A packet on its way to the file.

use alloc::vec::Vec;

use crate::Timestamp;

/// A packet from its outer IPv4 header on, and what is said of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Record<'a> {
    pub(super) time: Timestamp,
    /// Empty for none.
    pub(super) comment: &'a str,
    pub(super) packet: &'a [u8],
}

impl<'a> Record<'a> {
    /// Appends the record: time, lengths of comment and packet, comment, and the packet, in parts.
    pub(super) fn write(time: Timestamp, comment: &str, packet: [&[u8]; 2], out: &mut Vec<u8>) {
        let [headers, payload] = packet;
        let packet_len = headers.len().saturating_add(payload.len());
        out.extend_from_slice(&time.as_nanos().to_ne_bytes());
        for len in [comment.len(), packet_len] {
            out.extend_from_slice(&u32::try_from(len).unwrap_or(u32::MAX).to_ne_bytes());
        }
        for part in [comment.as_bytes(), headers, payload] {
            out.extend_from_slice(part);
        }
    }

    /// The record at the start of `bytes`, and what is behind it; `None` at the end.
    pub(super) fn read(bytes: &'a [u8]) -> Option<(Self, &'a [u8])> {
        let (time, rest) = bytes.split_first_chunk()?;
        let (comment_len, rest) = rest.split_first_chunk()?;
        let (packet_len, rest) = rest.split_first_chunk()?;
        let len = |bytes| usize::try_from(u32::from_ne_bytes(bytes)).ok();
        let (comment, rest) = rest.split_at_checked(len(*comment_len)?)?;
        let (packet, rest) = rest.split_at_checked(len(*packet_len)?)?;
        let time = Timestamp::from_nanos(u64::from_ne_bytes(*time));
        let comment = core::str::from_utf8(comment).unwrap_or_default();
        Some((Self { time, comment, packet }, rest))
    }
}
