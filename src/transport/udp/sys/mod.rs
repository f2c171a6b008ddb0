//! System calls behind safe functions. All unsafe code of the crate is here, but for the hints of `transport::prefetch`.
#![expect(
    unsafe_code,
    reason = "system calls take pointers, and the standard library has none of these"
)]

mod memory;
mod receive;
mod send;

#[cfg(feature = "live")]
use core::num::NonZeroUsize;
#[cfg(feature = "live")]
use core::ops::Range;
use std::io;
use std::net::{Ipv4Addr, SocketAddrV4};
use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd};
use std::time::Duration;

pub(super) use receive::{Layout, Message, Receiver};
pub(super) use send::{Outgoing, Sender};

/// An instruction of classic BPF (`struct sock_filter`).
#[derive(Clone, Copy, Debug)]
pub(super) struct Instruction {
    pub(super) code: u16,
    pub(super) jt: u8,
    pub(super) jf: u8,
    pub(super) k: u32,
}

/// A socket that no program started from here inherits.
pub(super) fn socket(domain: i32, kind: i32, protocol: i32) -> io::Result<OwnedFd> {
    // SAFETY: takes no pointers.
    let fd = check(unsafe { libc::socket(domain, kind | libc::SOCK_CLOEXEC, protocol) })?;
    // SAFETY: the kernel has just given out this descriptor, so it is open and nobody else's.
    Ok(unsafe { OwnedFd::from_raw_fd(fd) })
}

/// A counter that can be waited for, which never blocks who reads or writes it.
pub(super) fn event() -> io::Result<OwnedFd> {
    // SAFETY: takes no pointers.
    let fd = check(unsafe { libc::eventfd(0, libc::EFD_CLOEXEC | libc::EFD_NONBLOCK) })?;
    // SAFETY: the kernel has just given out this descriptor, so it is open and nobody else's.
    Ok(unsafe { OwnedFd::from_raw_fd(fd) })
}

pub(super) fn bind(socket: BorrowedFd<'_>, to: SocketAddrV4) -> io::Result<()> {
    bind_to(socket, &ipv4(to))
}

/// Binds a packet socket to an interface, to send only.
pub(super) fn bind_to_interface(socket: BorrowedFd<'_>, index: u32) -> io::Result<()> {
    // SAFETY: all of its fields are integers, of which zero is a value.
    let mut address: libc::sockaddr_ll = unsafe { core::mem::zeroed() };
    address.sll_family = AF_PACKET;
    address.sll_ifindex = i32::try_from(index).map_err(io::Error::other)?;
    bind_to(socket, &address)
}

/// An option whose value is an integer.
pub(super) fn set_option(
    socket: BorrowedFd<'_>,
    level: i32,
    name: i32,
    value: i32,
) -> io::Result<()> {
    // SAFETY: the kernel reads as many bytes as it is told from an integer that outlives the call.
    let done = unsafe {
        libc::setsockopt(socket.as_raw_fd(), level, name, (&raw const value).cast(), len_of(&value))
    };
    check(done).map(drop)
}

pub(super) fn option(socket: BorrowedFd<'_>, level: i32, name: i32) -> io::Result<i32> {
    let mut value = 0_i32;
    let mut len = len_of(&value);
    // SAFETY: the kernel writes at most `len` bytes, the size of the integer; any bytes are a value of it.
    let done = unsafe {
        let value = (&raw mut value).cast();
        libc::getsockopt(socket.as_raw_fd(), level, name, value, &raw mut len)
    };
    check(done).map(|_| value)
}

/// What waits in a socket to be received.
#[derive(Clone, Copy, Debug)]
pub(super) struct ReceiveQueue {
    /// Bytes of memory that it takes, and may take.
    pub(super) taken: u32,
    pub(super) most: u32,
    /// Datagrams that found no room since the socket was opened, or were dropped for another reason such as a wrong checksum.
    pub(super) dropped: u32,
}

pub(super) fn receive_queue(socket: BorrowedFd<'_>) -> io::Result<ReceiveQueue> {
    // `SK_MEMINFO_RMEM_ALLOC`, `SK_MEMINFO_RCVBUF`, six more, and `SK_MEMINFO_DROPS`.
    let mut values = [0_u32; 9];
    let mut len = len_of(&values);
    // SAFETY: the kernel writes at most `len` bytes, the size of the array; any bytes are a value of it.
    let done = unsafe {
        let values = (&raw mut values).cast();
        libc::getsockopt(
            socket.as_raw_fd(),
            libc::SOL_SOCKET,
            libc::SO_MEMINFO,
            values,
            &raw mut len,
        )
    };
    let [taken, most, .., dropped] = values;
    check(done).map(|_| ReceiveQueue { taken, most, dropped })
}

/// Asks for a few large pages in place of many small ones: the processor remembers only so many, and memory that is read
/// here and there takes one after the other. Of a range that does not begin and end with a page it is about the whole
/// pages in it.
#[cfg(feature = "live")]
pub(in super::super) fn prefer_huge_pages(memory: Range<*const u8>) {
    // SAFETY: it reads a constant of the system.
    let page = unsafe { libc::sysconf(libc::_SC_PAGESIZE) };
    let Some(page) = usize::try_from(page).ok().and_then(NonZeroUsize::new) else { return };
    let start = memory.start.addr().next_multiple_of(page.get());
    let end = memory.end.addr().saturating_sub(memory.end.addr() % page);
    let Some(len) = end.checked_sub(start).filter(|len| *len > 0) else { return };
    let start = memory.start.with_addr(start).cast_mut().cast();
    for advice in [libc::MADV_HUGEPAGE, libc::MADV_COLLAPSE] {
        // SAFETY: both are about how the kernel keeps memory, and change nothing of what is in it, whosever it is and whether
        // there is any.
        if let Err(error) = check(unsafe { libc::madvise(start, len, advice) }) {
            tracing::debug!(%error, advice, len, "the flow table stays in pages of the usual size");
        }
    }
}

/// Lets a program pick the socket of the group that `socket` belongs to.
pub(super) fn steer(socket: BorrowedFd<'_>, program: &[Instruction]) -> io::Result<()> {
    let mut filters: Vec<_> = program
        .iter()
        .map(|&Instruction { code, jt, jf, k }| libc::sock_filter { code, jt, jf, k })
        .collect();
    let len = u16::try_from(filters.len()).map_err(io::Error::other)?;
    let program = libc::sock_fprog { len, filter: filters.as_mut_ptr() };
    // SAFETY: the kernel reads `program` and the `len` instructions that it points to, and checks them; both outlive the
    // call, and it keeps a copy.
    let done = unsafe {
        libc::setsockopt(
            socket.as_raw_fd(),
            libc::SOL_SOCKET,
            libc::SO_ATTACH_REUSEPORT_CBPF,
            (&raw const program).cast(),
            len_of(&program),
        )
    };
    check(done).map(drop)
}

/// Waits until one of the two can be read, or for so long: which of them can.
pub(super) fn wait_readable(fds: [BorrowedFd<'_>; 2], wait: Duration) -> io::Result<[bool; 2]> {
    let mut polled =
        fds.map(|fd| libc::pollfd { fd: fd.as_raw_fd(), events: libc::POLLIN, revents: 0 });
    let wait = libc::timespec {
        // Longer is asked for again.
        tv_sec: i32::try_from(wait.as_secs()).unwrap_or(i32::MAX).into(),
        tv_nsec: libc::c_long::from(i32::try_from(wait.subsec_nanos()).unwrap_or(0)),
    };
    // SAFETY: the kernel reads and writes the two entries of `polled`, and reads `wait`; both outlive the call. No signal
    // mask is given.
    let done = unsafe { libc::ppoll(polled.as_mut_ptr(), 2, &raw const wait, core::ptr::null()) };
    check(done)?;
    Ok(polled.map(|polled| polled.revents != 0))
}

const AF_INET: u16 = 2;
const AF_PACKET: u16 = 17;

fn bind_to<T>(socket: BorrowedFd<'_>, address: &T) -> io::Result<()> {
    // SAFETY: the kernel reads as many bytes as the address has, which outlives the call; it is one of the two `sockaddr_*`
    // structs that this module passes, without padding that would be uninitialised.
    let done = unsafe {
        libc::bind(socket.as_raw_fd(), core::ptr::from_ref(address).cast(), len_of(address))
    };
    check(done).map(drop)
}

fn ipv4(address: SocketAddrV4) -> libc::sockaddr_in {
    libc::sockaddr_in {
        sin_family: AF_INET,
        sin_port: address.port().to_be(),
        sin_addr: libc::in_addr { s_addr: u32::from_ne_bytes(address.ip().octets()) },
        sin_zero: [0; 8],
    }
}

fn address_of(address: &libc::sockaddr_in) -> SocketAddrV4 {
    let ip = Ipv4Addr::from(address.sin_addr.s_addr.to_ne_bytes());
    SocketAddrV4::new(ip, u16::from_be(address.sin_port))
}

fn len_of<T>(_: &T) -> libc::socklen_t {
    libc::socklen_t::try_from(size_of::<T>()).unwrap_or(0)
}

fn check(result: i32) -> io::Result<i32> {
    if result < 0 { Err(io::Error::last_os_error()) } else { Ok(result) }
}

#[cfg(all(test, feature = "live"))]
mod tests {
    use super::*;

    #[test]
    fn advice_about_memory_changes_nothing_in_it() {
        let bytes: Vec<u8> = (0..5 << 20).map(|place: u32| place.to_le_bytes()[1]).collect();
        let expected = bytes.clone();
        let Range { start, end } = bytes.as_ptr_range();
        let within = start.wrapping_add(4_097)..start.wrapping_add(4_099);
        for range in [start..end, start..start, within, end..start] {
            prefer_huge_pages(range);
        }
        assert!(bytes == expected);
    }
}
