use std::io;
use std::net::{Ipv4Addr, SocketAddrV4};
use std::os::fd::{AsRawFd, BorrowedFd};

use super::ipv4;

/// Something to send: up to two parts, and where to unless the socket knows.
#[derive(Clone, Copy, Debug)]
pub(in super::super) struct Outgoing<'a> {
    pub(in super::super) to: Option<Ipv4Addr>,
    pub(in super::super) parts: [&'a [u8]; 2],
}

/// Sends bursts of messages. It keeps nothing but room for what a call needs.
#[derive(Debug, Default)]
pub(in super::super) struct Sender {
    names: Vec<libc::sockaddr_in>,
    vectors: Vec<[libc::iovec; 2]>,
    headers: Vec<libc::mmsghdr>,
}

// SAFETY: the pointers in these vectors are used only within `send`, which fills them anew from what it is given.
unsafe impl Send for Sender {}

impl Sender {
    /// What the kernel takes in one call.
    pub(in super::super) const MOST: usize = 1024;

    /// Sends the first of these messages, at most [`MOST`](Self::MOST), without waiting: how many. An error is that of the
    /// very first. Either all of them say where to, or none.
    pub(in super::super) fn send<'a>(
        &mut self,
        socket: BorrowedFd<'_>,
        messages: impl Iterator<Item = Outgoing<'a>>,
    ) -> io::Result<usize> {
        self.names.clear();
        self.vectors.clear();
        for Outgoing { to, parts } in messages.take(Self::MOST) {
            // The kernel reads from these only, whatever the type of the pointer says.
            self.vectors.push(parts.map(|part| libc::iovec {
                iov_base: part.as_ptr().cast_mut().cast(),
                iov_len: part.len(),
            }));
            if let Some(to) = to {
                self.names.push(ipv4(SocketAddrV4::new(to, 0)));
            }
        }
        if self.headers.len() < self.vectors.len() {
            // SAFETY: integers and pointers, of which zero is a value. (C libraries disagree about padding fields, so they cannot
            // be named.)
            let blank: libc::mmsghdr = unsafe { core::mem::zeroed() };
            self.headers.resize(self.vectors.len(), blank);
        }
        let mut names = self.names.iter_mut();
        for (header, vectors) in self.headers.iter_mut().zip(&mut self.vectors) {
            let [_, second] = &*vectors;
            header.msg_hdr.msg_iovlen = if second.iov_len == 0 { 1 } else { 2 };
            header.msg_hdr.msg_iov = vectors.as_mut_ptr();
            let (name, len) = match names.next() {
                Some(name) => (core::ptr::from_mut(name).cast(), size_of::<libc::sockaddr_in>()),
                None => (core::ptr::null_mut(), 0),
            };
            header.msg_hdr.msg_name = name;
            header.msg_hdr.msg_namelen = libc::socklen_t::try_from(len).unwrap_or(0);
        }
        let count = libc::c_uint::try_from(self.vectors.len()).unwrap_or(0);
        // `as` where C libraries disagree about the sign of the flags.
        let flags = (libc::MSG_DONTWAIT | libc::MSG_NOSIGNAL) as _;
        // SAFETY: the first `count` headers, each of which the loop above has made to point to one or two vectors and to a name or
        // none, all in vectors that are not changed any more; nothing else in them is ever set. The vectors point to slices that live for `'a`, hence beyond the call, and that the kernel only
        // reads.
        let sent =
            unsafe { libc::sendmmsg(socket.as_raw_fd(), self.headers.as_mut_ptr(), count, flags) };
        super::check(sent).map(|sent| usize::try_from(sent).unwrap_or(0))
    }
}
