use core::fmt;

use crate::Timestamp;
use crate::gwlb::{Outer, Reply, ReplyError, ReplyPolicy, UdpChecksum};

/// A datagram that came to UDP port 6081: outer header, payload, and when it came.
///
/// The payload lies in a buffer of the caller's and stays there: what is forwarded is that very buffer.
pub struct Datagram<'a> {
    time: Timestamp,
    outer: Outer,
    buffer: &'a mut [u8],
    len: usize,
    edited: bool,
}

impl<'a> Datagram<'a> {
    /// A datagram with this UDP payload: GENEVE header, options, inner packet.
    pub const fn new(time: Timestamp, outer: Outer, payload: &'a mut [u8]) -> Self {
        let len = payload.len();
        Self { time, outer, buffer: payload, len, edited: false }
    }

    /// The same with room behind the payload, into which a [`Rewriter`](crate::inspect::Rewriter) can let a UDP packet
    /// grow. A `len` beyond the buffer means all of it.
    pub const fn with_room(
        time: Timestamp,
        outer: Outer,
        buffer: &'a mut [u8],
        len: usize,
    ) -> Self {
        let len = if len < buffer.len() { len } else { buffer.len() };
        Self { time, outer, buffer, len, edited: false }
    }

    /// When it came.
    #[inline]
    pub const fn time(&self) -> Timestamp {
        self.time
    }

    /// The outer header that it came with.
    #[inline]
    pub const fn outer(&self) -> &Outer {
        &self.outer
    }

    /// The UDP payload, as edited.
    #[inline]
    pub fn payload(&self) -> &[u8] {
        self.buffer.get(..self.len).unwrap_or_default()
    }

    /// The datagram that sends the payload back.
    ///
    /// # Errors
    ///
    /// [`ReplyError::TooLong`].
    pub fn reply(&self, policy: &ReplyPolicy) -> Result<Reply<'_>, ReplyError> {
        let checksum = match policy.checksum {
            UdpChecksum::Received if self.edited => UdpChecksum::Computed,
            checksum => checksum,
        };
        Reply::new(&self.outer, self.payload(), &[], &ReplyPolicy { checksum, ..*policy })
    }

    /// The whole buffer and the payload's length in it, to be edited.
    pub(super) fn edit(&mut self) -> (&mut [u8], &mut usize) {
        self.edited = true;
        (self.buffer, &mut self.len)
    }

    pub(super) const fn is_edited(&self) -> bool {
        self.edited
    }

    pub(super) fn set_edited(&mut self, edited: bool) {
        self.edited = edited;
    }
}

impl fmt::Debug for Datagram<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Datagram")
            .field("time", &self.time)
            .field("outer", &self.outer)
            .field("len", &self.len)
            .finish_non_exhaustive()
    }
}
