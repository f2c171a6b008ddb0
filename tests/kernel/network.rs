//! Two ends, each in a network namespace of its own that has no way out but a TUN device, of which the test holds the
//! other side.
//!
//! Nothing has a name outside of the process: namespaces and devices go with the last descriptor and thread that use
//! them, however a test ends.

use std::fs::{File, OpenOptions};
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::os::fd::{AsRawFd, OwnedFd};
use std::process::Command;
use std::thread;

use nix::libc;
use nix::sched::{CloneFlags, setns, unshare};
use nix::sys::socket::{
    AddressFamily, SockFlag, SockType, SockaddrStorage, bind, connect, setsockopt, socket, sockopt,
};
use nix::sys::time::{TimeVal, TimeValLike};

/// An end of the conversation.
pub(crate) struct Host {
    pub(crate) address: IpAddr,
    namespace: File,
}

impl Host {
    /// An end with this address, and the file by which its packets come and go.
    pub(crate) fn new(address: &str, mtu: u16) -> io::Result<(Self, File)> {
        let address: IpAddr = address.parse().map_err(io::Error::other)?;
        let ready = thread::spawn(move || {
            unshare(CloneFlags::CLONE_NEWNET)?;
            let namespace = File::open("/proc/thread-self/ns/net")?;
            let tun = tun("wire")?;
            let bits = if address.is_ipv4() { 32 } else { 128 };
            ip(&format!("address add {address}/{bits} dev wire {}", nodad(&address)))?;
            ip(&format!("link set wire mtu {mtu} up"))?;
            let version = if address.is_ipv4() { "-4" } else { "-6" };
            ip(&format!("{version} route add default dev wire"))?;
            Ok((Self { address, namespace }, tun))
        });
        ready.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
    }

    /// Does something there, on a thread of its own.
    pub(crate) fn run<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> thread::JoinHandle<T> {
        let namespace = self.namespace.try_clone().unwrap();
        thread::spawn(move || {
            setns(namespace, CloneFlags::CLONE_NEWNET).unwrap();
            work()
        })
    }
}

/// An address can be used at once where nobody looks for others that have it.
fn nodad(address: &IpAddr) -> &'static str {
    if address.is_ipv6() { "nodad" } else { "" }
}

/// Why there cannot be such a network here, if so.
pub(crate) fn missing() -> Option<String> {
    if let Err(error) = Command::new("ip").arg("-V").output() {
        return Some(format!("the command ip cannot be run: {error}"));
    }
    // A denial is not to be mistaken for a mistake made here: each step is tried by itself.
    let tried = thread::spawn(|| {
        unshare(CloneFlags::CLONE_NEWNET)
            .map_err(|error| format!("no network namespace can be made: {error}"))?;
        tun("try").map_err(|error| format!("no TUN device can be made: {error}")).map(drop)
    });
    tried.join().unwrap().err()
}

/// `ip` in the namespace of the thread that calls.
fn ip(arguments: &str) -> io::Result<()> {
    let output = Command::new("ip").args(arguments.split_whitespace()).output()?;
    if output.status.success() {
        return Ok(());
    }
    let said = String::from_utf8_lossy(&output.stderr);
    Err(io::Error::other(format!("ip {arguments}: {said}")))
}

/// A TUN device of this name in the namespace of the thread that calls. Reading it does not wait.
fn tun(name: &str) -> io::Result<File> {
    use std::os::unix::fs::OpenOptionsExt;

    let mut options = OpenOptions::new();
    options.read(true).write(true).custom_flags(libc::O_NONBLOCK);
    let file = options.open("/dev/net/tun")?;
    attach(&file, name)?;
    Ok(file)
}

#[expect(unsafe_code, reason = "there is no other way to ask for a TUN device")]
fn attach(file: &File, name: &str) -> io::Result<()> {
    /// `struct ifreq` of netdevice(7): a name and a union of 24 bytes, of which TUNSETIFF reads the flags.
    #[repr(C)]
    struct Request {
        name: [u8; libc::IFNAMSIZ],
        flags: libc::c_short,
        rest: [u8; 22],
    }
    nix::ioctl_write_ptr_bad!(
        set_interface,
        nix::request_code_write!(b'T', 202, size_of::<libc::c_int>()),
        Request
    );

    let flags = libc::IFF_TUN as libc::c_short | libc::IFF_NO_PI as libc::c_short;
    let mut request = Request { name: [0; libc::IFNAMSIZ], flags, rest: [0; 22] };
    request.name[..name.len()].copy_from_slice(name.as_bytes());
    // SAFETY: the descriptor is open, and the kernel reads and writes 40 bytes at most, as many as `Request` has: a
    // struct of integers, which any bytes are a value of.
    unsafe { set_interface(file.as_raw_fd(), &raw const request) }?;
    Ok(())
}

/// A socket that is connected from a given port, which may have been used before. Nobody waits for ever.
pub(crate) fn connect_from(
    from: SocketAddr,
    to: SocketAddr,
    kind: SockType,
) -> io::Result<OwnedFd> {
    let family = if from.is_ipv4() { AddressFamily::Inet } else { AddressFamily::Inet6 };
    let socket = socket(family, kind, SockFlag::SOCK_CLOEXEC, None)?;
    setsockopt(&socket, sockopt::ReuseAddr, &true)?;
    setsockopt(&socket, sockopt::SendTimeout, &TimeVal::seconds(20))?;
    bind(socket.as_raw_fd(), &SockaddrStorage::from(from))?;
    connect(socket.as_raw_fd(), &SockaddrStorage::from(to))?;
    Ok(socket)
}
