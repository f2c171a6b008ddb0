use std::collections::hash_map::RandomState;
use std::hash::BuildHasher;
use std::io;
use std::os::fd::{AsFd, OwnedFd};

use super::burst::Burst;
use super::next_hop::{Hop, NextHops};
use super::outbox::{Outbox, Run};
use super::sys::{self, Outgoing};
use super::{OpenError, UdpSettings, Way};
use crate::gwlb::ReplyPolicy;
use crate::transport::{SendFailure, Sent, TransportCounters};

/// The sockets by which datagrams leave.
#[derive(Debug)]
pub(super) struct Exit {
    raw: OwnedFd,
    frames: Option<Frames>,
    policy: ReplyPolicy,
    sender: sys::Sender,
    sent_by: [u64; 2],
    /// The identification of what was sent in fragments last.
    id: u16,
}

/// The packet socket.
#[derive(Debug)]
struct Frames {
    socket: OwnedFd,
    /// The interface that it sends on.
    interface: Option<u32>,
    hops: NextHops,
    /// Whether the kernel cuts trains apart.
    takes_trains: bool,
    reported: Reported,
}

/// What was logged once.
#[derive(Debug, Default)]
struct Reported {
    detour: bool,
    failure: bool,
}

impl Exit {
    /// `hops` may be shared by several.
    pub(super) fn open(settings: &UdpSettings, hops: Option<&NextHops>) -> Result<Self, OpenError> {
        let raw = sys::socket(libc::AF_INET, libc::SOCK_RAW, libc::IPPROTO_RAW)
            .map_err(|error| refused("a raw IP socket", error))?;
        super::set_buffer(raw.as_fd(), Side::Send, settings.send_buffer);
        // Otherwise the kernel keeps quiet about a full queue. What else it has to say then is not read: that may take up no
        // memory.
        let quiet = OpenError::system("tell which datagrams it does not send (IP_RECVERR)");
        sys::set_option(raw.as_fd(), libc::IPPROTO_IP, libc::IP_RECVERR, 1).map_err(quiet)?;
        super::set_buffer(raw.as_fd(), Side::Receive, 0);
        let frames = match (settings.way, hops) {
            (Some(Way::Raw), _) | (_, None) => None,
            (way, Some(hops)) => match Frames::open(settings, hops) {
                Ok(frames) => Some(frames),
                Err(error) if way.is_some() => return Err(refused("a packet socket", error)),
                Err(error) => {
                    tracing::warn!(%error, "no packet socket can be had: replies go through the raw socket");
                    None
                }
            },
        };
        Ok(Self {
            raw,
            frames,
            policy: settings.reply,
            sender: sys::Sender::default(),
            sent_by: [0; 2],
            id: any_id(),
        })
    }

    pub(super) fn sent_by(&self, way: Way) -> u64 {
        let [packet, raw] = self.sent_by;
        match way {
            Way::Packet => packet,
            Way::Raw => raw,
        }
    }

    /// Sends what is in the outbox.
    pub(super) fn send(
        &mut self,
        outbox: &mut Outbox,
        burst: &Burst,
        received: &mut [u8],
        counters: &mut TransportCounters,
    ) -> Sent {
        let mut sent = Sent::default();
        if outbox.is_empty() {
            return sent;
        }
        if let Some(frames) = &mut self.frames {
            frames.refresh();
        }
        let takes_trains = self.frames.as_ref().is_some_and(|frames| frames.takes_trains);
        let mut number = 0;
        while let Some(run) = outbox.runs().get(number) {
            let hop = self.frames.as_mut().and_then(|frames| frames.hop(run));
            if run.datagrams > 1 && !(hop.is_some() && takes_trains) {
                outbox.take_apart(number);
            }
            write_head(number, hop, &self.policy, outbox, burst, received, &mut sent);
            number = number.saturating_add(1);
        }

        let mut next = 0;
        while let Some(first) = outbox.runs().get(next) {
            if !first.has_head() {
                next = next.saturating_add(1);
                continue;
            }
            let rest = outbox.runs().get(next..).unwrap_or_default();
            let together = rest.iter().take_while(|run| run.way == first.way && run.has_head());
            let socket = match (first.way, &self.frames) {
                (Way::Packet, Some(frames)) => frames.socket.as_fd(),
                _ => self.raw.as_fd(),
            };
            let messages = together.map(|run| Outgoing {
                to: (run.way == Way::Raw).then(|| run.to()),
                parts: outbox.parts(run, received),
            });
            match self.sender.send(socket, messages) {
                Ok(count) => {
                    let count = count.max(1);
                    let (mut datagrams, mut bytes) = (0_usize, 0_usize);
                    for run in rest.iter().take(count) {
                        datagrams = datagrams.saturating_add(run.datagrams);
                        bytes = bytes.saturating_add(run.bytes());
                    }
                    self.note_sent(first.way, [datagrams, bytes], counters, &mut sent);
                    next = next.saturating_add(count);
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error)
                    if first.way == Way::Raw && SendFailure::of(&error) == SendFailure::TooLong =>
                {
                    let first = *first;
                    match self.send_in_fragments(&first, outbox, received) {
                        Ok(()) => {
                            self.note_sent(Way::Raw, [1, first.bytes()], counters, &mut sent);
                            counters.fragmented = counters.fragmented.saturating_add(1);
                        }
                        Err(error) => sent.fail(SendFailure::of(&error), 1),
                    }
                    next = next.saturating_add(1);
                }
                Err(error) => {
                    let first = *first;
                    match self.second_chance(&first, &error) {
                        // Otherwise, in the same place of the order.
                        Some(hop) => {
                            outbox.take_apart(next);
                            let (hop, policy) = (hop.as_ref(), &self.policy);
                            for number in (next..).take(first.datagrams) {
                                write_head(number, hop, policy, outbox, burst, received, &mut sent);
                            }
                        }
                        None => {
                            sent.fail(SendFailure::of(&error), first.datagrams);
                            next = next.saturating_add(1);
                        }
                    }
                }
            }
        }
        counters.count(&sent);
        sent
    }

    /// Counts datagrams, and the bytes of their payloads, that were sent.
    #[inline]
    fn note_sent(
        &mut self,
        way: Way,
        counts: [usize; 2],
        counters: &mut TransportCounters,
        sent: &mut Sent,
    ) {
        let [datagrams, bytes] = counts.map(|count| u64::try_from(count).unwrap_or(u64::MAX));
        let [packet, raw] = &mut self.sent_by;
        let by_way = if way == Way::Packet { packet } else { raw };
        *by_way = by_way.saturating_add(datagrams);
        sent.sent = sent.sent.saturating_add(datagrams);
        counters.sent_bytes = counters.sent_bytes.saturating_add(bytes);
    }

    /// Sends a run through the raw socket that is too long for it, since the kernel does not cut up a packet that comes
    /// with its header.
    fn send_in_fragments(&mut self, run: &Run, outbox: &Outbox, received: &[u8]) -> io::Result<()> {
        let hop = self.frames.as_mut().and_then(|frames| frames.hops.find(run.ends));
        let mtu = hop.map_or(USUAL_MTU, |hop| hop.mtu);
        self.id = self.id.checked_add(1).unwrap_or(1);
        let fragments = outbox.fragments(run, received, mtu, self.id);
        let mut rest = fragments.as_slice();
        while !rest.is_empty() {
            let to = Some(run.to());
            let messages = rest.iter().map(|packet| Outgoing { to, parts: [packet, &[]] });
            let count = self.sender.send(self.raw.as_fd(), messages)?;
            rest = rest.get(count.max(1)..).unwrap_or_default();
        }
        Ok(())
    }

    /// How the datagrams of a run that could not be sent can be sent nevertheless: as single frames, or, with `None`
    /// inside, through the raw socket.
    fn second_chance(&mut self, run: &Run, error: &io::Error) -> Option<Option<Hop>> {
        let frames = self.frames.as_mut().filter(|_| run.way == Way::Packet)?;
        let reason = SendFailure::of(error);
        if reason == SendFailure::QueueFull {
            return None;
        }
        if run.datagrams > 1 && error.raw_os_error() == Some(libc::EINVAL) {
            if core::mem::take(&mut frames.takes_trains) {
                tracing::info!(
                    "the kernel takes no trains of datagrams in one piece (Linux 6.2 does): they are sent one by one"
                );
            }
            return Some(frames.hop(run).copied());
        }
        if !core::mem::replace(&mut frames.reported.failure, true) {
            tracing::warn!(%error, to = %run.to(), "the packet socket failed: the raw socket is used instead");
        }
        if reason != SendFailure::TooLong {
            frames.hops.avoid(run.ends);
        }
        Some(None)
    }
}

/// Has the headers of a run written, or counts it as one that cannot be sent.
#[inline(always)]
fn write_head(
    number: usize,
    hop: Option<&Hop>,
    policy: &ReplyPolicy,
    outbox: &mut Outbox,
    burst: &Burst,
    received: &mut [u8],
    sent: &mut Sent,
) {
    if !outbox.write_head(number, hop, burst, policy, received) {
        let datagrams = outbox.runs().get(number).map_or(0, |run| run.datagrams);
        sent.fail(SendFailure::TooLong, datagrams);
    }
}

impl Frames {
    fn open(settings: &UdpSettings, hops: &NextHops) -> io::Result<Self> {
        // Protocol 0: it receives nothing.
        let socket = sys::socket(libc::AF_PACKET, libc::SOCK_RAW, 0)?;
        sys::set_option(socket.as_fd(), libc::SOL_PACKET, PACKET_VNET_HDR, 1)?;
        super::set_buffer(socket.as_fd(), Side::Send, settings.send_buffer);
        Ok(Self {
            socket,
            interface: None,
            hops: hops.clone(),
            takes_trains: true,
            reported: Reported::default(),
        })
    }

    /// Takes over what is known of next hops, and turns to the interface that they are on.
    fn refresh(&mut self) {
        if !self.hops.refresh() {
            return;
        }
        let is_used = |interface| self.hops.interfaces().any(|other| other == interface);
        if self.interface.is_some_and(is_used) {
            return;
        }
        let Some(interface) = self.hops.interfaces().next() else { return };
        match sys::bind_to_interface(self.socket.as_fd(), interface) {
            Ok(()) => {
                tracing::info!(interface, "replies are sent as frames");
                self.interface = Some(interface);
            }
            Err(error) => {
                tracing::warn!(interface, %error, "the packet socket cannot be bound to the interface");
                self.interface = None;
            }
        }
    }

    /// Over which hop the run may go as frames. Not a copy: a part of one, read before the whole is written, has to wait.
    #[inline]
    fn hop(&mut self, run: &Run) -> Option<&Hop> {
        let hop = self.hops.find(run.ends)?;
        if self.interface == Some(hop.interface) && run.longest() <= hop.mtu {
            return Some(hop);
        }
        if self.interface != Some(hop.interface)
            && !core::mem::replace(&mut self.reported.detour, true)
        {
            tracing::info!(
                to = %run.to(),
                interface = hop.interface,
                "replies over another interface than most go through the raw socket"
            );
        }
        None
    }
}

/// Where the interface's own is not known. Fragments may be smaller than they need be.
const USUAL_MTU: usize = 1_500;

/// Where the identifications of different workers begin is not to be guessed, and not the same.
fn any_id() -> u16 {
    let [a, b, ..] = RandomState::new().hash_one(0_u8).to_ne_bytes();
    u16::from_ne_bytes([a, b])
}

/// Which buffer of a socket.
#[derive(Clone, Copy, Debug)]
pub(super) enum Side {
    Receive,
    Send,
}

fn refused(socket: &'static str, error: io::Error) -> OpenError {
    if error.kind() == io::ErrorKind::PermissionDenied {
        OpenError::NotPermitted { socket }
    } else {
        OpenError::System { what: "open the sockets that send", cause: error }
    }
}

impl Sent {
    fn fail(&mut self, reason: SendFailure, datagrams: usize) {
        self.failed.count(reason, u64::try_from(datagrams).unwrap_or(0));
    }
}

impl SendFailure {
    fn of(error: &io::Error) -> Self {
        match error.raw_os_error() {
            Some(libc::ENOBUFS | libc::EAGAIN | libc::ENOMEM) => Self::QueueFull,
            Some(libc::EPERM | libc::EACCES) => Self::NotPermitted,
            Some(libc::EMSGSIZE) => Self::TooLong,
            Some(
                libc::ENETDOWN
                | libc::ENETUNREACH
                | libc::EHOSTUNREACH
                | libc::EHOSTDOWN
                | libc::ENXIO
                | libc::ENODEV,
            ) => Self::Unreachable,
            _ => Self::Other,
        }
    }
}

/// `linux/if_packet.h`
const PACKET_VNET_HDR: i32 = 15;
