use std::io;
use std::net::SocketAddrV4;
use std::os::fd::{AsRawFd, BorrowedFd};

use super::address_of;
use super::memory::Memory;

/// Space for the control messages of a datagram: four of at most 32 bytes.
type Control = [u64; 16];

/// Where the buffers lie in the memory: each begins `stride` behind the one before, and `headroom` bytes in front of what
/// is received, and all that is behind `capacity` bytes of it, are left alone.
#[derive(Clone, Copy, Debug)]
pub(in super::super) struct Layout {
    pub(in super::super) buffers: usize,
    pub(in super::super) stride: usize,
    pub(in super::super) headroom: usize,
    pub(in super::super) capacity: usize,
}

/// Receives bursts of datagrams into memory of its own.
#[derive(Debug)]
pub(in super::super) struct Receiver {
    layout: Layout,
    bytes: Memory<u8>,
    // What the kernel is pointed to, a piece for each buffer. The pointers were made once.
    headers: Memory<libc::mmsghdr>,
    names: Memory<libc::sockaddr_in>,
    controls: Memory<Control>,
    _vectors: Memory<libc::iovec>,
    received: usize,
}

/// A message that was received, without its bytes.
#[derive(Clone, Copy, Debug)]
pub(in super::super) struct Message<'a> {
    pub(in super::super) from: SocketAddrV4,
    /// Where its bytes begin in the memory.
    pub(in super::super) start: usize,
    pub(in super::super) len: usize,
    /// Whether it was longer than its buffer.
    pub(in super::super) is_cut_off: bool,
    control: &'a Control,
    control_len: usize,
}

impl Receiver {
    pub(in super::super) fn new(layout: Layout) -> Self {
        let Layout { buffers, stride, headroom, capacity } = layout;
        let bytes = Memory::<u8>::zeroed(buffers.saturating_mul(stride));
        let (headers, names) = (Memory::zeroed(buffers), Memory::zeroed(buffers));
        let (controls, mut vectors) = (Memory::zeroed(buffers), Memory::zeroed(buffers));
        let room = stride.saturating_sub(headroom);
        for (number, vector) in vectors.as_mut_slice().iter_mut().enumerate() {
            let start = number.saturating_mul(stride).saturating_add(headroom);
            let base = bytes.at(start).cast();
            // No further than to where the next buffer begins.
            *vector = libc::iovec { iov_base: base, iov_len: capacity.min(room) };
        }
        let mut receiver =
            Self { layout, bytes, headers, names, controls, _vectors: vectors, received: buffers };
        let headers = receiver.headers.as_mut_slice().iter_mut();
        for (number, header) in headers.enumerate() {
            header.msg_hdr.msg_name = receiver.names.at(number).cast();
            header.msg_hdr.msg_iov = receiver._vectors.at(number);
            header.msg_hdr.msg_iovlen = 1;
            header.msg_hdr.msg_control = receiver.controls.at(number).cast();
        }
        receiver
    }

    /// A burst: as many messages as there are buffers at most. With `MSG_WAITFORONE` in `flags` the first is waited for,
    /// as long as the socket says.
    pub(in super::super) fn receive(
        &mut self,
        socket: BorrowedFd<'_>,
        flags: i32,
    ) -> io::Result<usize> {
        let used = core::mem::take(&mut self.received);
        for header in self.headers.as_mut_slice().iter_mut().take(used) {
            header.msg_hdr.msg_namelen = super::len_of(&ADDRESS);
            // `as` here and below where C libraries disagree about a type.
            header.msg_hdr.msg_controllen = size_of::<Control>() as _;
        }
        let buffers = libc::c_uint::try_from(self.layout.buffers).unwrap_or(0);
        let flags = flags as _;
        // SAFETY: each of the `buffers` headers points to a name, a vector and a control buffer of its own, all owned by `self`
        // and as long as the header says (`new` for the vectors, the loop above for what the kernel changed in those that were
        // used); each vector points into `self.bytes`, to a part that no other has. `self` is borrowed mutably, so nobody holds a
        // reference into any of them during the call.
        let received = unsafe {
            libc::recvmmsg(
                socket.as_raw_fd(),
                self.headers.at(0),
                buffers,
                flags,
                core::ptr::null_mut(),
            )
        };
        self.received = usize::try_from(super::check(received)?).unwrap_or(0);
        Ok(self.received)
    }

    /// The messages of the burst, in the order in which they came.
    #[inline]
    pub(in super::super) fn messages(&self) -> impl Iterator<Item = Message<'_>> {
        let Layout { stride, headroom, capacity, .. } = self.layout;
        let headers = self.headers.as_slice().iter().take(self.received);
        let names = self.names.as_slice().iter().zip(self.controls.as_slice());
        let starts = (headroom..).step_by(stride.max(1));
        headers.zip(names).zip(starts).map(move |((header, (name, control)), start)| Message {
            from: address_of(name),
            start,
            len: usize::try_from(header.msg_len).unwrap_or(0).min(capacity),
            // Without all that is said about it, nobody knows where one datagram ends.
            is_cut_off: header.msg_hdr.msg_flags & (libc::MSG_TRUNC | libc::MSG_CTRUNC) != 0,
            control,
            control_len: header.msg_hdr.msg_controllen as _,
        })
    }

    pub(in super::super) fn bytes_mut(&mut self) -> &mut [u8] {
        self.bytes.as_mut_slice()
    }
}

const ADDRESS: libc::sockaddr_in = libc::sockaddr_in {
    sin_family: 0,
    sin_port: 0,
    sin_addr: libc::in_addr { s_addr: 0 },
    sin_zero: [0; 8],
};

impl Message<'_> {
    /// The control messages: level, type, and the first 16 bytes of the data, or as many as there are with zeros behind.
    #[inline]
    pub(in super::super) fn controls(&self) -> impl Iterator<Item = (i32, i32, [u8; 16])> {
        let mut words = self.control.as_slice();
        let used = self.control_len.div_ceil(8);
        words = words.get(..used).unwrap_or(words);
        core::iter::from_fn(move || {
            let (&[len, kind], data) = words.split_first_chunk()?;
            // `struct cmsghdr`: a length with that of the header, level, type. The next one begins at a multiple of 8.
            let len = usize::try_from(len).ok()?;
            let [a, b, c, d, e, f, g, h] = kind.to_ne_bytes();
            let level = i32::from_ne_bytes([a, b, c, d]);
            let kind = i32::from_ne_bytes([e, f, g, h]);
            let data_words = len.checked_sub(16)?.div_ceil(8);
            let (data, rest) = data.split_at_checked(data_words)?;
            words = rest;
            let word = |n: usize| data.get(n).copied().unwrap_or(0).to_ne_bytes();
            let [first, second] = [word(0), word(1)];
            let mut bytes = [0; 16];
            let (low, high) = bytes.split_at_mut(8);
            low.copy_from_slice(&first);
            high.copy_from_slice(&second);
            Some((level, kind, bytes))
        })
    }
}
