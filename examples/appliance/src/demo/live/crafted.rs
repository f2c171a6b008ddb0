//! Connections whose packets are made by hand, from an address that the system takes no notice of.

use std::net::SocketAddrV4;
use std::os::fd::{AsRawFd, OwnedFd};
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use gwlb_geneve::packet::{IpPacket, Transport};
use nix::errno::Errno;
use nix::sys::socket::{
    AddressFamily, MsgFlags, SockFlag, SockProtocol, SockType, SockaddrIn, recv, sendto,
    setsockopt, socket, sockopt,
};
use nix::sys::time::{TimeVal, TimeValLike};

use crate::demo::tcp::{self, Socket};
use crate::demo::world::{End, Heard};

/// A way out for whole IP packets.
pub(super) struct Raw(OwnedFd);

impl Raw {
    /// In the namespace of this thread.
    pub(super) fn new() -> Result<Self> {
        let socket =
            socket(AddressFamily::Inet, SockType::Raw, SockFlag::SOCK_CLOEXEC, SockProtocol::Raw)
                .context("cannot open a raw socket, which takes root (CAP_NET_RAW)")?;
        Ok(Self(socket))
    }

    /// Where the way is full, a packet is lost as any other.
    pub(super) fn send(&self, packet: &[u8]) -> Result<()> {
        let IpPacket::V4(header) = IpPacket::parse(packet)? else { return Ok(()) };
        let to = SockaddrIn::from(SocketAddrV4::new(header.destination(), 0));
        match sendto(self.0.as_raw_fd(), packet, &to, MsgFlags::empty()) {
            Ok(_) | Err(Errno::ENOBUFS) => Ok(()),
            Err(error) => Err(error).context("cannot send"),
        }
    }
}

/// A client's end of a connection.
pub(super) struct Crafted {
    ends: (SocketAddrV4, SocketAddrV4),
    socket: Socket,
    out: Raw,
    /// Everything that comes into the namespace.
    wire: OwnedFd,
    heard: usize,
}

impl Crafted {
    /// In the namespace of this thread.
    pub(super) fn connect(ends: (SocketAddrV4, SocketAddrV4), number: u32) -> Result<Self> {
        let wire = socket(
            AddressFamily::Packet,
            SockType::Datagram,
            SockFlag::SOCK_CLOEXEC,
            SockProtocol::EthAll,
        )
        .context("cannot open a packet socket, which takes root (CAP_NET_RAW)")?;
        setsockopt(&wire, sockopt::ReceiveTimeout, &TimeVal::milliseconds(20))?;
        let (socket, syn) = Socket::connect(ends, number);
        let mut crafted = Self { ends, socket, out: Raw::new()?, wire, heard: 0 };
        crafted.out.send(&syn)?;
        crafted.listen(Duration::from_secs(3), |socket| socket.end() != End::Missing)?;
        Ok(crafted)
    }

    pub(super) fn say(&mut self, data: &[u8], size: usize) -> Result<()> {
        let packets = self.socket.say(data, size);
        packets.iter().try_for_each(|packet| self.out.send(packet))
    }

    pub(super) fn say_ahead(&mut self, ahead: usize, data: &[u8]) -> Result<()> {
        self.out.send(&self.socket.say_at(self.socket.sent() + ahead, data))
    }

    pub(super) fn say_in_fragments(&mut self, data: &[u8], id: u16, size: usize) -> Result<()> {
        for packet in self.socket.say(data, tcp::SEGMENT) {
            for fragment in tcp::fragments(&packet, id, size) {
                self.out.send(&fragment)?;
            }
        }
        Ok(())
    }

    /// What is heard until something new has come, or the end.
    pub(super) fn hear(&mut self, patience: Duration) -> Result<Heard> {
        let before = self.heard;
        self.listen(patience, |socket| {
            socket.received.len() > before || socket.end() != End::Open
        })?;
        // And what comes right behind it.
        self.listen(Duration::from_millis(100), |_| false)?;
        self.heard = self.socket.received.len();
        Ok(Heard { answer: self.socket.received.clone(), end: self.socket.end() })
    }

    fn listen(&mut self, patience: Duration, is_enough: impl Fn(&Socket) -> bool) -> Result<()> {
        let begin = Instant::now();
        let mut buffer = [0; 9_001];
        while begin.elapsed() < patience && !is_enough(&self.socket) {
            let len = match recv(self.wire.as_raw_fd(), &mut buffer, MsgFlags::empty()) {
                Ok(len) => len,
                Err(Errno::EAGAIN | Errno::EINTR) => continue,
                Err(error) => return Err(error).context("cannot receive"),
            };
            let Some(answer) = self.take(&buffer[..len]) else { continue };
            self.out.send(&answer)?;
        }
        Ok(())
    }

    /// Takes a packet in, if it is for this connection. What is to be sent for it.
    fn take(&mut self, packet: &[u8]) -> Option<Vec<u8>> {
        let IpPacket::V4(header) = IpPacket::parse(packet).ok()? else { return None };
        let Transport::Tcp(segment) = IpPacket::V4(header).transport().ok()? else { return None };
        let from = SocketAddrV4::new(header.source(), segment.source_port());
        let to = SocketAddrV4::new(header.destination(), segment.destination_port());
        if (to, from) != self.ends {
            return None;
        }
        self.socket.receive(&segment)
    }
}
