//! The wire: frames out by a packet socket, since each flow has its own source port and identification and DF are to
//! be zero, which no other socket leaves so; answers in by UDP sockets, which check and split as any receiver does.

use std::fs;
use std::io::{IoSlice, IoSliceMut};
use std::net::{Ipv4Addr, SocketAddrV4, TcpStream, UdpSocket};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, anyhow, bail, ensure};
use gwlb_geneve::EtherType;
use nix::errno::Errno;
use nix::ifaddrs::getifaddrs;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::socket::{
    AddressFamily, LinkAddr, MsgFlags, MultiHeaders, SockFlag, SockType, SockaddrIn, bind,
    recvmmsg, sendmmsg, setsockopt, socket, sockopt,
};

use crate::envelope::ETHERNET_LEN;

/// Datagrams in a system call.
pub(crate) const BURST: usize = 64;
/// Room for one datagram: more than the longest, and not a power of two.
const ROOM: usize = 9_216 + 64;
/// Room in sockets, for the bursts of an open loop.
const SOCKET_BUFFER: usize = 64 << 20;

/// Sends frames to one neighbour.
pub(crate) struct Sender {
    socket: OwnedFd,
    headers: MultiHeaders<()>,
    /// The header of all frames.
    pub(crate) ethernet: [u8; ETHERNET_LEN],
    /// The address on the way to the neighbour.
    pub(crate) local: Ipv4Addr,
}

impl Sender {
    /// Finds the way to an address, in the namespace of this thread; `from` says which of the own addresses is used.
    pub(crate) fn new(to: SocketAddrV4, from: Option<Ipv4Addr>) -> Result<Self> {
        let local_any = from.unwrap_or(Ipv4Addr::UNSPECIFIED);
        let probe = UdpSocket::bind((local_any, 0)).with_context(|| {
            format!("cannot use {local_any}, is it an address of this machine?")
        })?;
        // This sends nothing: it only asks for the route.
        probe.connect(to).with_context(|| format!("no route to {}", to.ip()))?;
        let local = match probe.local_addr()? {
            std::net::SocketAddr::V4(local) => *local.ip(),
            other => bail!("expected an IPv4 address of our own, found {other}"),
        };
        ensure!(
            local != *to.ip() && !local.is_loopback(),
            "{} is this machine: a load balancer's datagrams come from another one; \
             try --self-contained",
            to.ip()
        );
        let (name, link) = interface_of(local)?;
        let source = link.addr().context("expected an interface with an Ethernet address")?;
        let hop = next_hop(*to.ip(), &name)?;
        let destination = neighbour(hop, &name, *to.ip())?;

        let socket = socket(AddressFamily::Packet, SockType::Raw, SockFlag::SOCK_CLOEXEC, None)
            .context("cannot open a packet socket, which takes root (CAP_NET_RAW)")?;
        // Best effort: the limit of an ordinary user is enough for a slow run.
        let _ = setsockopt(&socket, sockopt::SndBufForce, &SOCKET_BUFFER);
        // Of protocol 0, as the system lists its interfaces: bound so, the socket sends and receives nothing.
        bind(socket.as_raw_fd(), &link)?;
        let mut ethernet = [0; ETHERNET_LEN];
        ethernet[..6].copy_from_slice(&destination);
        ethernet[6..12].copy_from_slice(&source);
        ethernet[12..].copy_from_slice(&EtherType::IPV4.0.to_be_bytes());
        Ok(Self { socket, headers: MultiHeaders::preallocate(BURST, None), ethernet, local })
    }

    /// Sends up to [`BURST`] frames.
    pub(crate) fn send<'a>(&mut self, mut frames: impl Iterator<Item = &'a [u8]>) -> Result<()> {
        let mut count = 0;
        let slices: [[IoSlice<'_>; 1]; BURST] = std::array::from_fn(|_| {
            let frame = frames.next();
            count += usize::from(frame.is_some());
            [IoSlice::new(frame.unwrap_or_default())]
        });
        let mut left = &slices[..count];
        while !left.is_empty() {
            let fd = self.socket.as_raw_fd();
            let addresses = [None; BURST];
            let none = MsgFlags::empty();
            match sendmmsg(fd, &mut self.headers, left, addresses, [], none) {
                Ok(sent) => left = left.get(sent.count()..).unwrap_or_default(),
                Err(Errno::EINTR | Errno::ENOBUFS | Errno::EAGAIN) => thread::yield_now(),
                Err(Errno::EMSGSIZE) => {
                    let longest = left.iter().map(|frame| frame[0].len()).max().unwrap_or(0);
                    bail!(
                        "cannot send: a datagram of up to {} bytes is longer than the interface's MTU",
                        longest - ETHERNET_LEN
                    );
                }
                Err(error) => return Err(error).context("cannot send"),
            }
        }
        Ok(())
    }
}

/// Receives UDP datagrams at some addresses.
pub(crate) struct Receiver {
    sockets: Vec<UdpSocket>,
    headers: MultiHeaders<SockaddrIn>,
    buffers: Vec<u8>,
}

/// A datagram that came.
pub(crate) struct Received<'a> {
    pub(crate) from: SocketAddrV4,
    /// As far as there was room.
    pub(crate) payload: &'a [u8],
}

impl Receiver {
    pub(crate) fn new(addresses: impl IntoIterator<Item = SocketAddrV4>) -> Result<Self> {
        let open = |address: SocketAddrV4| {
            let socket =
                UdpSocket::bind(address).with_context(|| format!("cannot receive at {address}"))?;
            socket.set_nonblocking(true)?;
            let _ = setsockopt(&socket, sockopt::RcvBufForce, &SOCKET_BUFFER);
            anyhow::Ok(socket)
        };
        let sockets = addresses.into_iter().map(open).collect::<Result<_>>()?;
        let headers = MultiHeaders::preallocate(BURST, None);
        Ok(Self { sockets, headers, buffers: vec![0; BURST * ROOM] })
    }

    /// Hands over what has come, up to a burst for each address, with the address's number; returns how many.
    #[inline]
    pub(crate) fn receive(&mut self, mut each: impl FnMut(usize, Received<'_>)) -> Result<usize> {
        let mut count = 0;
        for (number, socket) in self.sockets.iter().enumerate() {
            let mut buffers = self.buffers.chunks_exact_mut(ROOM);
            let mut slices: [[IoSliceMut<'_>; 1]; BURST] =
                std::array::from_fn(|_| [IoSliceMut::new(buffers.next().unwrap_or_default())]);
            let none = MsgFlags::empty();
            let fd = socket.as_raw_fd();
            let received = match recvmmsg(fd, &mut self.headers, slices.iter_mut(), none, None) {
                Ok(received) => received,
                // An ICMP error that some datagram brought about is told at the next call.
                Err(Errno::EAGAIN | Errno::EINTR | Errno::ECONNREFUSED | Errno::EHOSTUNREACH) => {
                    continue;
                }
                Err(error) => return Err(error).context("cannot receive"),
            };
            for message in received {
                let Some(from) = message.address.map(SocketAddrV4::from) else { continue };
                let payload = message.iovs().next().unwrap_or_default();
                each(number, Received { from, payload });
                count += 1;
            }
        }
        Ok(count)
    }

    /// Waits until something has come, but no longer than this.
    pub(crate) fn wait(&self, patience: Duration) {
        let mut ready: Vec<_> = self
            .sockets
            .iter()
            .map(|socket| PollFd::new(socket.as_fd(), PollFlags::POLLIN))
            .collect();
        let timeout = PollTimeout::try_from(patience).unwrap_or(PollTimeout::ZERO);
        // Interrupted or not, the caller looks again.
        let _ = poll(&mut ready, timeout);
    }

    /// What to wait for.
    pub(crate) fn descriptors(&self) -> impl Iterator<Item = BorrowedFd<'_>> {
        self.sockets.iter().map(AsFd::as_fd)
    }
}

/// The interface with this address: its name, and its address on the link.
fn interface_of(address: Ipv4Addr) -> Result<(String, LinkAddr)> {
    let all: Vec<_> = getifaddrs()?.collect();
    let has = |found: &nix::ifaddrs::InterfaceAddress| {
        found.address.as_ref().and_then(|found| found.as_sockaddr_in()).map(SockaddrIn::ip)
            == Some(address)
    };
    let name = all.iter().find(|found| has(found)).map(|found| &found.interface_name);
    let name = name.with_context(|| format!("no interface has the address {address}"))?;
    let link = all.iter().filter(|found| found.interface_name == *name);
    let link = link.filter_map(|found| found.address.as_ref()?.as_link_addr().copied()).next();
    Ok((name.clone(), link.with_context(|| format!("{name} is no link of its own"))?))
}

/// The router on the way to an address, or the address itself.
fn next_hop(to: Ipv4Addr, interface: &str) -> Result<Ipv4Addr> {
    let table = fs::read_to_string("/proc/thread-self/net/route")?;
    let number = |text: &str| u32::from_str_radix(text, 16).ok().map(u32::from_be);
    let routes = table.lines().skip(1).filter_map(|line| {
        let fields: Vec<_> = line.split_whitespace().collect();
        let [name, destination, gateway, _, _, _, _, mask, ..] = fields[..] else { return None };
        Some((name, number(destination)?, number(gateway)?, number(mask)?))
    });
    let fits = routes.filter(|(name, destination, _, mask)| {
        *name == interface && u32::from(to) & mask == *destination
    });
    let best = fits.max_by_key(|(_, _, _, mask)| *mask);
    let (_, _, gateway, _) = best.with_context(|| format!("no route to {to} by {interface}"))?;
    Ok(if gateway == 0 { to } else { Ipv4Addr::from(gateway) })
}

/// The Ethernet address of a neighbour, for which the system is made to ask.
fn neighbour(address: Ipv4Addr, interface: &str, to: Ipv4Addr) -> Result<[u8; 6]> {
    const PATIENCE: Duration = Duration::from_secs(5);
    let begin = Instant::now();
    loop {
        // Not by UDP, whose stray datagrams are counted at the other end. Refused or not, the system has asked.
        let _ = TcpStream::connect_timeout(&(to, 9).into(), Duration::from_millis(20));
        let table = fs::read_to_string("/proc/thread-self/net/arp")?;
        let found = table.lines().skip(1).find_map(|line| {
            let fields: Vec<_> = line.split_whitespace().collect();
            let [ip, _, flags, mac, _, device] = fields[..] else { return None };
            let complete = u32::from_str_radix(flags.trim_start_matches("0x"), 16).ok()? & 2 != 0;
            let is_it = complete && device == interface && ip.parse() == Ok(address);
            is_it.then(|| parse_mac(mac))?
        });
        if let Some(found) = found {
            return Ok(found);
        }
        if begin.elapsed() > PATIENCE {
            return Err(anyhow!("{address} does not answer on {interface} (no ARP reply)"));
        }
        thread::sleep(Duration::from_millis(20));
    }
}

fn parse_mac(text: &str) -> Option<[u8; 6]> {
    let bytes: Option<Vec<u8>> =
        text.split(':').map(|byte| u8::from_str_radix(byte, 16).ok()).collect();
    bytes?.try_into().ok()
}
