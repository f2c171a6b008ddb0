//! A gateway and an appliance, each in a network namespace of its own, with a veth pair between them.
//!
//! Nothing has a name outside of the process: namespaces and devices go with the last descriptor and thread that use
//! them, however a test ends.

use std::fs::File;
use std::io::{self, IoSlice, Write};
use std::net::{Ipv4Addr, SocketAddrV4, UdpSocket};
use std::ops::ControlFlow;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::process::Command;
use std::thread;
use std::time::{Duration, Instant};

use gwlb_geneve::transport::udp::{UdpSettings, UdpTransport};
use nix::sched::{CloneFlags, setns, unshare};
use nix::sys::socket::{
    AddressFamily, ControlMessage, MsgFlags, SockFlag, SockProtocol, SockType, SockaddrIn, sendmsg,
    sendto, setsockopt, socket, sockopt,
};

pub(crate) const GATEWAY: Ipv4Addr = Ipv4Addr::new(10, 9, 0, 1);
pub(crate) const STRANGER: Ipv4Addr = Ipv4Addr::new(192, 0, 2, 1);
pub(crate) const APPLIANCE: Ipv4Addr = Ipv4Addr::new(10, 9, 0, 2);
/// How long the tests wait for what must happen in any case.
pub(crate) const PATIENCE: Duration = Duration::from_secs(10);

/// Whether the machine lets these tests run. Where not, says so, past the test harness that would swallow it.
pub(crate) fn may_run() -> bool {
    let Some(why) = missing() else { return true };
    let required = std::env::var("KERNEL_TESTS").is_ok_and(|value| value == "required");
    assert!(!required, "{why}");
    let mut stderr = io::stderr();
    writeln!(stderr, "SKIPPED: tests of the UDP transport need root: {why}").unwrap();
    false
}

fn missing() -> Option<String> {
    if let Err(error) = Command::new("ip").arg("-V").output() {
        return Some(format!("the command ip cannot be run: {error}"));
    }
    let tried = thread::spawn(|| unshare(CloneFlags::CLONE_NEWNET)).join().unwrap();
    tried.err().map(|error| format!("no network namespace can be made: {error}"))
}

/// A network namespace.
pub(crate) struct Host(File);

impl Host {
    pub(crate) fn new() -> Self {
        let made = thread::spawn(|| {
            unshare(CloneFlags::CLONE_NEWNET).unwrap();
            ip("link set lo up");
            Self(File::open("/proc/thread-self/ns/net").unwrap())
        });
        made.join().unwrap()
    }

    /// Does something there, on a thread of its own.
    pub(crate) fn run<T: Send + 'static>(&self, work: impl FnOnce() -> T + Send + 'static) -> T {
        let namespace = self.0.try_clone().unwrap();
        let thread = thread::spawn(move || {
            setns(namespace, CloneFlags::CLONE_NEWNET).unwrap();
            work()
        });
        thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
    }

    pub(crate) fn ip(&self, arguments: &str) {
        let arguments = arguments.to_owned();
        self.run(move || ip(&arguments));
    }
}

/// The two ends: `gw0` with a gateway's address and a stranger's, `app0` with the appliance's.
pub(crate) struct Scene {
    pub(crate) gateway: Host,
    pub(crate) appliance: Host,
}

impl Scene {
    pub(crate) fn new(mtu: u16) -> Self {
        let (gateway, appliance) = (Host::new(), Host::new());
        let other = gateway.0.try_clone().unwrap();
        appliance.run(move || {
            let there = format!("/proc/{}/fd/{}", std::process::id(), other.as_raw_fd());
            ip(&format!("link add app0 type veth peer name gw0 netns {there}"));
            ip(&format!("address add {APPLIANCE}/24 dev app0"));
            ip(&format!("link set app0 mtu {mtu} up"));
            ip("route add 192.0.2.0/24 dev app0");
        });
        gateway.ip(&format!("address add {GATEWAY}/24 dev gw0"));
        gateway.ip(&format!("address add {STRANGER}/24 dev gw0"));
        gateway.ip(&format!("link set gw0 mtu {mtu} up"));
        Self { gateway, appliance }
    }

    pub(crate) fn open(&self, settings: UdpSettings) -> UdpTransport {
        self.appliance.run(move || UdpTransport::open(&settings)).unwrap()
    }

    /// A socket of a load balancer's node, which waits for what comes back to port 6081.
    pub(crate) fn node(&self) -> Node {
        self.node_at(GATEWAY)
    }

    pub(crate) fn node_at(&self, address: Ipv4Addr) -> Node {
        self.gateway.run(move || {
            let sender = UdpSocket::bind((address, 0)).unwrap();
            let receiver = UdpSocket::bind((address, 6081)).unwrap();
            // From here on two packets fit in, 16 MiB of them.
            setsockopt(&receiver, sockopt::RcvBufForce, &(16 << 20)).unwrap();
            receiver.set_read_timeout(Some(PATIENCE)).unwrap();
            let (family, flags) = (AddressFamily::Inet, SockFlag::SOCK_CLOEXEC);
            let raw = socket(family, SockType::Raw, flags, SockProtocol::Udp).unwrap();
            Node { sender, receiver, raw }
        })
    }
}

/// A node of a load balancer: it sends from a port of its own, and replies come to port 6081.
pub(crate) struct Node {
    pub(crate) sender: UdpSocket,
    pub(crate) receiver: UdpSocket,
    raw: OwnedFd,
}

impl Node {
    pub(crate) fn port(&self) -> u16 {
        self.sender.local_addr().unwrap().port()
    }

    pub(crate) fn send(&self, payload: &[u8]) {
        self.sender.send_to(payload, (APPLIANCE, 6081)).unwrap();
    }

    /// A datagram with a UDP checksum that is wrong. It is not so short that the kernel looks at it before it has a socket.
    pub(crate) fn send_damaged(&self) {
        let [[a, b], [c, d]] = [self.port(), 6081].map(u16::to_be_bytes);
        // The payload makes up for the port, so that the right one is always another.
        let datagram = [&[a, b, c, d, 0, 110, 0, 1, !a, !b][..], &[0; 100]].concat();
        let to = SockaddrIn::from(SocketAddrV4::new(APPLIANCE, 0));
        let sent = sendto(self.raw.as_raw_fd(), &datagram, &to, MsgFlags::empty());
        assert_eq!(sent, Ok(datagram.len()));
    }

    /// Datagrams of this size in one piece, which arrive merged.
    pub(crate) fn send_train(&self, size: u16, payload: &[u8]) {
        let to = SockaddrIn::from(SocketAddrV4::new(APPLIANCE, 6081));
        let parts = [IoSlice::new(payload)];
        let control = [ControlMessage::UdpGsoSegments(&size)];
        let flags = MsgFlags::empty();
        let fd = self.sender.as_fd().as_raw_fd();
        assert_eq!(sendmsg(fd, &parts, &control, flags, Some(&to)), Ok(payload.len()));
    }

    /// The next reply, which must come from the appliance, with the source port that was sent from.
    pub(crate) fn reply(&self) -> Vec<u8> {
        let mut buffer = vec![0; 1 << 16];
        let (len, from) = patiently(|| self.receiver.recv_from(&mut buffer)).expect("a reply");
        assert_eq!(from, (APPLIANCE, self.port()).into());
        buffer.truncate(len);
        buffer
    }

    pub(crate) fn replies(&self, count: usize) -> Vec<Vec<u8>> {
        (0..count).map(|_| self.reply()).collect()
    }

    pub(crate) fn assert_no_more(&self) {
        self.receiver.set_read_timeout(Some(Duration::from_millis(50))).unwrap();
        let more = patiently(|| self.receiver.recv(&mut [0; 100])).unwrap_err();
        assert_eq!(more.kind(), io::ErrorKind::WouldBlock);
        self.receiver.set_read_timeout(Some(PATIENCE)).unwrap();
    }
}

/// Again, if a process that was stopped for a moment was interrupted by that: no socket with a time limit goes on by itself.
fn patiently<T>(mut call: impl FnMut() -> io::Result<T>) -> io::Result<T> {
    loop {
        match call() {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            done => return done,
        }
    }
}

/// Runs a command's arguments in the namespace of the thread that calls.
fn ip(arguments: &str) {
    let output = Command::new("ip").args(arguments.split_whitespace()).output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "ip {arguments}: {said}");
}

/// Runs another command with these arguments: whether there is such a command, and it succeeded.
pub(crate) fn command(name: &str, arguments: &str) -> bool {
    let output = Command::new(name).args(arguments.split_whitespace()).output();
    output.is_ok_and(|output| output.status.success())
}

/// Tries until it is done, or patience is at its end.
#[track_caller]
pub(crate) fn until<T>(mut attempt: impl FnMut() -> ControlFlow<T>) -> T {
    let began = Instant::now();
    loop {
        if let ControlFlow::Break(done) = attempt() {
            return done;
        }
        assert!(began.elapsed() < PATIENCE, "it never came to be");
    }
}

/// Bytes that are different everywhere.
pub(crate) fn noise(length: usize) -> Vec<u8> {
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    let mut next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state as u8
    };
    (0..length).map(|_| next()).collect()
}
