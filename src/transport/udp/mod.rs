//! UDP on Linux: a load balancer's datagrams from a socket, and back past as much of the kernel as it allows.
//!
//! ```text
//! in    recvmmsg on a UDP socket, up to 128 buffers at once, each one datagram or several merged (UDP_GRO)
//! out   sendmmsg on a packet socket: frames, merged ones in one piece          Way::Packet
//!       or on a raw IP socket, each datagram by itself                         Way::Raw
//! ```
//!
//! Sending takes the capability `CAP_NET_RAW`. [`check`] says before the start what is going to be a problem.
//!
//! ```no_run
//! use std::time::Duration;
//!
//! use gwlb_geneve::transport::Transport;
//! use gwlb_geneve::transport::udp::{UdpSettings, UdpTransport};
//!
//! // An appliance that passes everything.
//! let mut transport = UdpTransport::open(&UdpSettings::default())?;
//! loop {
//!     let received = transport.receive(Duration::from_secs(1))?;
//!     let lengths: Vec<_> = transport.frames(0..received).map(|frame| frame.len).collect();
//!     for (number, len) in lengths.into_iter().enumerate() {
//!         transport.forward(number, len);
//!     }
//!     transport.send();
//! }
//! # #[expect(unreachable_code)]
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # Several workers
//!
//! [`UdpTransport::open_group`] opens a socket for each. A program in the kernel gives a datagram to the worker that
//! [owns](crate::flow::FlowKey::owner) the flow inside, for the packets that [`Owners`](crate::flow::Owners) knows; others
//! it gives to any, and a worker has to look whether they are its own.
//!
//! # What is needed for speed
//!
//! * The neighbour that replies go to must be on an Ethernet interface. It is looked up in the kernel's tables by a thread of
//!   its own, and while it is unknown or does not answer, datagrams go through the raw socket, which makes the kernel look
//!   for it. None is lost by that.
//! * Frames do not pass the kernel's packet filter (`iptables`, `nft`) on their way out.
//! * Datagrams of one flow are merged only if they come close together with a right UDP checksum; nothing depends on it.

mod burst;
mod check;
mod error;
mod exit;
mod frame;
mod netlink;
mod next_hop;
mod origins;
mod outbox;
mod settings;
mod steer;
mod sys;
mod tos;
mod wait;

use core::net::SocketAddrV4;
use core::ops::Range;
use std::io;
use std::net::UdpSocket;
use std::os::fd::{AsFd, BorrowedFd};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

pub use check::{Warning, check};
pub use error::OpenError;
pub use origins::{Origins, OriginsError};
pub use settings::{UdpSettings, Way};
#[cfg(feature = "live")]
pub(super) use sys::prefer_huge_pages;

use super::{Frame, Sent, Transport, TransportCounters, Waker};
use crate::Timestamp;
use crate::gwlb::{Reply, Tos, Ttl};
use burst::{Burst, Intake};
use exit::{Exit, Side};
use next_hop::NextHops;
use outbox::Outbox;
use tos::TypeOfService;
use wait::Waiting;

/// One worker's sockets.
///
/// See the [module](self).
#[derive(Debug)]
pub struct UdpTransport {
    socket: UdpSocket,
    at: SocketAddrV4,
    receive_buffer: usize,
    receiver: sys::Receiver,
    waiting: Waiting,
    tos: TypeOfService,
    intake: Intake,
    burst: Burst,
    /// Whether it took all buffers, or has as many datagrams in fewer of them.
    is_full: bool,
    /// Bytes behind each payload.
    room: usize,
    outbox: Outbox,
    exit: Exit,
    /// The next datagram that may be forwarded.
    next: usize,
    /// What the kernel has dropped so far, as it counts it, and when it was asked.
    overflow: u32,
    asked: Timestamp,
    counters: TransportCounters,
}

impl UdpTransport {
    /// Datagrams, or buffers of merged ones, in a burst.
    const BUFFERS: usize = 128;

    /// The sockets of a single worker.
    ///
    /// # Errors
    ///
    /// Where the port is in use, the address is not this machine's, or `CAP_NET_RAW` is missing.
    pub fn open(settings: &UdpSettings) -> Result<Self, OpenError> {
        let socket = bind(settings)?;
        Self::with(socket, settings, Waiting::alone(settings), hops(settings).as_ref())
    }

    /// The sockets of several workers at one port, in order: the kernel is told to give each what it owns.
    ///
    /// # Errors
    ///
    /// Those of [`open`](Self::open), and a number of workers of 0 or more than [`MOST_WORKERS`](Self::MOST_WORKERS).
    pub fn open_group(settings: &UdpSettings, workers: usize) -> Result<Vec<Self>, OpenError> {
        let count = match u32::try_from(workers) {
            Ok(count) if (1..=Self::MOST_WORKERS).contains(&workers) => count,
            _ => return Err(OpenError::Workers { most: Self::MOST_WORKERS, found: workers }),
        };
        // The first finds the port free of others, who may share it as well as we; then it may be shared.
        let first = bind(settings)?;
        let share = OpenError::system("share the port among the workers (SO_REUSEPORT)");
        sys::set_option(first.as_fd(), libc::SOL_SOCKET, libc::SO_REUSEPORT, 1).map_err(share)?;
        let settings = UdpSettings { port: local(&first, settings)?.port(), ..settings.clone() };
        let mut sockets = vec![first];
        for _ in 1..workers {
            let socket = unbound(&settings)?;
            let share = OpenError::system("share the port among the workers (SO_REUSEPORT)");
            sys::set_option(socket.as_fd(), libc::SOL_SOCKET, libc::SO_REUSEPORT, 1)
                .map_err(share)?;
            sockets.push(bound(socket, &settings)?);
        }
        if let [first, _, ..] = sockets.as_slice() {
            sys::steer(first.as_fd(), &steer::program(count))
                .map_err(OpenError::system("spread flows over the workers (a BPF program)"))?;
        }
        let hops = hops(&settings);
        let with_waiting = |socket| {
            let waiting = match workers {
                // It saves two calls each time that there is nothing more to receive.
                1 => Waiting::alone(&settings),
                _ => Waiting::among_others(&settings)
                    .map_err(OpenError::system("make something to wake a worker by (eventfd)"))?,
            };
            Self::with(socket, &settings, waiting, hops.as_ref())
        };
        sockets.into_iter().map(with_waiting).collect()
    }

    /// Workers of a group at most.
    pub const MOST_WORKERS: usize = 1_024;

    fn with(
        socket: UdpSocket,
        settings: &UdpSettings,
        waiting: Waiting,
        hops: Option<&NextHops>,
    ) -> Result<Self, OpenError> {
        let at = local(&socket, settings)?;
        let room = if settings.merge { 0 } else { UdpSettings::ROOM };
        let capacity =
            if settings.merge { MERGED } else { settings.longest.clamp(1, UdpSettings::LONGEST) };
        let size = HEADROOM.saturating_add(capacity).saturating_add(room);
        let layout = sys::Layout {
            buffers: Self::BUFFERS,
            stride: stride(size),
            headroom: HEADROOM,
            capacity,
        };
        let receive_buffer = sys::option(socket.as_fd(), libc::SOL_SOCKET, libc::SO_RCVBUF)
            .map_err(OpenError::system("say how large the receive buffer is"))?;
        // The kernel counts its own overhead, and doubles what it is asked for.
        let receive_buffer = usize::try_from(receive_buffer / 2).unwrap_or(0);
        if receive_buffer < settings.receive_buffer {
            tracing::warn!(
                expected = settings.receive_buffer,
                found = receive_buffer,
                "the receive buffer is smaller than asked for: raise net.core.rmem_max"
            );
        }
        Ok(Self {
            receiver: sys::Receiver::new(layout),
            exit: Exit::open(settings, hops)?,
            intake: Intake {
                origins: settings.origins.clone(),
                local: (*at.ip(), at.port()),
                told: None,
            },
            socket,
            at,
            receive_buffer,
            waiting,
            tos: TypeOfService::new(settings),
            burst: Burst::default(),
            is_full: false,
            room,
            outbox: Outbox::default(),
            next: 0,
            overflow: 0,
            asked: Timestamp::default(),
            counters: TransportCounters::default(),
        })
    }

    /// The address and port that it listens at.
    pub const fn local_address(&self) -> SocketAddrV4 {
        self.at
    }

    /// Bytes of datagrams that the kernel holds for this worker, as it granted them.
    pub const fn receive_buffer(&self) -> usize {
        self.receive_buffer
    }

    /// Asks what the kernel has dropped: now and then, more often while all buffers are taken, as what is dropped then says
    /// that there is too much to do, and whenever nothing more is there. To be told with each datagram (`SO_RXQ_OVFL`) would
    /// cost each of them something, and to ask with each burst a third system call.
    fn note_overflow(&mut self, received: usize, now: Timestamp) {
        const OFTEN: Duration = Duration::from_millis(50);
        const FULL: Duration = Duration::from_millis(10);

        let often = if self.is_full { FULL } else { OFTEN };
        let is_early = now >= self.asked && now.saturating_since(self.asked) < often;
        if is_early && received > 0 {
            return;
        }
        self.asked = now;
        // It was asked for when the socket was opened, and can be had.
        if let Ok(queue) = sys::receive_queue(self.socket.as_fd()) {
            let more = queue.dropped.wrapping_sub(self.overflow);
            self.overflow = queue.dropped;
            self.counters.overflow = self.counters.overflow.saturating_add(u64::from(more));
        }
    }

    /// Datagrams that were sent this way.
    pub fn sent_by(&self, way: Way) -> u64 {
        self.exit.sent_by(way)
    }
}

impl Transport for UdpTransport {
    fn receive(&mut self, wait: Duration) -> io::Result<usize> {
        self.outbox.clear();
        self.next = 0;
        let received = self.waiting.receive(&mut self.receiver, &self.socket, wait)?;
        let now = Timestamp::from_unix(now());
        self.burst.begin(now);
        for message in self.receiver.messages() {
            self.burst.add(&message, &mut self.intake, &mut self.counters);
        }
        // So many trains may be more than the kernel lets wait.
        self.is_full = received.max(self.burst.len()) >= Self::BUFFERS;
        self.note_overflow(received, now);
        if received > 0 {
            self.tos.note(now, self.burst.types_of_service(), self.socket.as_fd());
        }
        let received = self.burst.len();
        self.counters.bursts = self.counters.bursts.saturating_add(u64::from(received > 0));
        Ok(received)
    }

    fn is_full(&self) -> bool {
        self.is_full
    }

    fn frames(&mut self, numbers: Range<usize>) -> impl Iterator<Item = Frame<'_>> {
        self.burst.frames(numbers, self.receiver.bytes_mut(), self.room)
    }

    fn forward(&mut self, number: usize, len: usize) {
        let Some((datagram, buffer)) = self.burst.datagram(number) else { return };
        if number < self.next {
            return;
        }
        self.next = number.saturating_add(1);
        let len = len.min(datagram.len.saturating_add(self.room));
        self.outbox.forward(datagram, buffer, len);
    }

    fn inject(&mut self, reply: &Reply<'_>) {
        self.outbox.inject(reply);
    }

    fn send(&mut self) -> Sent {
        let bytes = self.receiver.bytes_mut();
        let sent = self.exit.send(&mut self.outbox, &self.burst, bytes, &mut self.counters);
        self.outbox.clear();
        sent
    }

    fn counters(&self) -> &TransportCounters {
        &self.counters
    }

    fn backlog(&self) -> Option<u8> {
        let queue = sys::receive_queue(self.socket.as_fd()).ok()?;
        let percent = u64::from(queue.taken).saturating_mul(100).checked_div(queue.most.into())?;
        Some(u8::try_from(percent.min(100)).unwrap_or(100))
    }

    fn waker(&self) -> Waker {
        self.waiting.waker()
    }
}

/// Bytes in front of each buffer, for headers: those of a frame, and what makes it a cache line.
const HEADROOM: usize = 64;
/// The most that the kernel merges.
const MERGED: usize = 65_536;

/// Not smaller than `size`, and an odd number of cache lines well above any power of two: the beginnings of all buffers would
/// share a few sets of the cache, each of them with the buffers before and behind it.
fn stride(size: usize) -> usize {
    const LINE: usize = 64;
    const APART: usize = 66;
    let lines = size.div_ceil(LINE).saturating_add(APART) | 1;
    lines.saturating_mul(LINE)
}

fn now() -> Duration {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default()
}

/// The next hops, unless frames are not wanted or cannot be.
fn hops(settings: &UdpSettings) -> Option<NextHops> {
    if settings.way == Some(Way::Raw) {
        return None;
    }
    let started = NextHops::start().inspect_err(|error| {
        tracing::warn!(%error, "next hops cannot be looked up: replies go through the raw socket");
    });
    started.ok()
}

fn bind(settings: &UdpSettings) -> Result<UdpSocket, OpenError> {
    bound(unbound(settings)?, settings)
}

/// A socket with all its options: what comes in once it is bound is described by them.
fn unbound(settings: &UdpSettings) -> Result<UdpSocket, OpenError> {
    let socket = sys::socket(libc::AF_INET, libc::SOCK_DGRAM, 0)
        .map_err(OpenError::system("open a UDP socket"))?;
    let fd = socket.as_fd();
    // Where it cannot say that, nothing would ever seem to be lost.
    sys::receive_queue(fd)
        .map_err(OpenError::system("count what it drops (SO_MEMINFO, Linux 4.12)"))?;
    set_buffer(fd, Side::Receive, settings.receive_buffer);
    let on =
        |level, name, what| sys::set_option(fd, level, name, 1).map_err(OpenError::system(what));
    if settings.address.is_unspecified() {
        on(libc::IPPROTO_IP, libc::IP_PKTINFO, "tell the address of datagrams (IP_PKTINFO)")?;
    }
    if settings.reply.tos == Tos::Received {
        tos::ask(fd, true).map_err(OpenError::system("tell the type of service (IP_RECVTOS)"))?;
    }
    if settings.reply.ttl == Ttl::Received {
        on(libc::IPPROTO_IP, libc::IP_RECVTTL, "tell the time to live (IP_RECVTTL)")?;
    }
    if settings.merge {
        if let Err(error) = sys::set_option(fd, libc::SOL_UDP, libc::UDP_GRO, 1) {
            tracing::info!(%error, "the kernel merges no datagrams (UDP_GRO, Linux 5.0)");
        }
    }
    Ok(UdpSocket::from(socket))
}

fn bound(socket: UdpSocket, settings: &UdpSettings) -> Result<UdpSocket, OpenError> {
    let at = SocketAddrV4::new(settings.address, settings.port);
    sys::bind(socket.as_fd(), at).map_err(|error| match error.kind() {
        io::ErrorKind::AddrInUse => OpenError::InUse { at },
        io::ErrorKind::AddrNotAvailable => OpenError::NoSuchAddress { at },
        _ => OpenError::System { what: "bind the socket to its port", cause: error },
    })?;
    Ok(socket)
}

fn local(socket: &UdpSocket, settings: &UdpSettings) -> Result<SocketAddrV4, OpenError> {
    let at = socket.local_addr().map_err(OpenError::system("say which port a socket has"))?;
    Ok(SocketAddrV4::new(settings.address, at.port()))
}

/// As much as the capabilities of the process allow; what is granted is looked at later.
fn set_buffer(socket: BorrowedFd<'_>, side: Side, bytes: usize) {
    let (force, ask) = match side {
        Side::Receive => (libc::SO_RCVBUFFORCE, libc::SO_RCVBUF),
        Side::Send => (libc::SO_SNDBUFFORCE, libc::SO_SNDBUF),
    };
    // Half of what can be said, as the kernel doubles it.
    let bytes = i32::try_from(bytes).unwrap_or(i32::MAX).min(i32::MAX / 2);
    let set = |name| sys::set_option(socket, libc::SOL_SOCKET, name, bytes);
    if let Err(error) = set(force).or_else(|_| set(ask)) {
        tracing::warn!(%error, "the size of a socket's buffer cannot be set");
    }
}
