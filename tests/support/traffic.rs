//! Conversations: packets with right checksums between two ends, in the envelopes of a load balancer, and an engine
//! to send them through.

use std::net::{IpAddr, SocketAddr};

use gwlb_geneve::EtherType;
use gwlb_geneve::Timestamp;
use gwlb_geneve::engine::{Datagram, Disposition, Engine, Event, Outcome, Output, Settings};
use gwlb_geneve::flow::FlowSeed;
use gwlb_geneve::gwlb::{Envelope, Outer, Profile};
use gwlb_geneve::inspect::{Inspector, Rewriter};
use gwlb_geneve::packet::{Checksum, IpPacket, TcpFlags, TcpSegment, Transport};

use super::generate::{aws_options, datagram};

pub const FIN: u16 = TcpFlags::FIN.0;
pub const SYN: u16 = TcpFlags::SYN.0;
pub const RST: u16 = TcpFlags::RST.0;
pub const ACK: u16 = TcpFlags::ACK.0;
pub const PSH: u16 = TcpFlags::PSH.0;

/// Nanoseconds since the epoch at which tests begin: a time with all digits in use.
pub const START: u64 = 1_700_000_000_123_456_789;

pub const fn at_millis(millis: u64) -> Timestamp {
    Timestamp::from_nanos(START + millis * 1_000_000)
}

pub const fn at(seconds: u64) -> Timestamp {
    at_millis(seconds * 1_000)
}

/// Settings that do the same each time.
pub fn settings() -> Settings {
    Settings { seed: FlowSeed::from_bytes([7; 32]), ..Settings::default() }
}

/// The packets of one direction of a conversation.
#[derive(Clone, Copy, Debug)]
pub struct Side {
    pub from: SocketAddr,
    pub to: SocketAddr,
    pub endpoint: u64,
    pub cookie: u32,
    /// The load balancer's address and the outer source port.
    pub outer: ([u8; 4], u16),
}

/// From `client` to `server`, and back, through endpoint 1.
pub fn sides(client: &str, server: &str) -> (Side, Side) {
    let (from, to) = (client.parse().unwrap(), server.parse().unwrap());
    let client =
        Side { from, to, endpoint: 1, cookie: 0xc00c_1e00, outer: ([10, 0, 0, 1], 61_000) };
    (client, client.back())
}

/// Of the usual pair.
pub fn pair() -> (Side, Side) {
    sides("10.1.0.10:40000", "10.2.0.20:443")
}

pub fn pair_v6() -> (Side, Side) {
    sides("[2001:db8::10]:40000", "[2001:db8::20]:443")
}

impl Side {
    pub const fn back(mut self) -> Self {
        (self.from, self.to) = (self.to, self.from);
        self
    }

    pub const fn through(mut self, endpoint: u64) -> Self {
        self.endpoint = endpoint;
        self
    }

    pub const fn with_cookie(mut self, cookie: u32) -> Self {
        self.cookie = cookie;
        self
    }

    pub fn with_port(mut self, port: u16) -> Self {
        self.from.set_port(port);
        self
    }

    /// A TCP segment as an IP packet.
    pub fn tcp(&self, flags: u16, seq: u32, ack: u32, data: &[u8]) -> Vec<u8> {
        self.tcp_with(flags, seq, ack, &[], data)
    }

    /// The same with options, whose length is a multiple of four.
    pub fn tcp_with(&self, flags: u16, seq: u32, ack: u32, options: &[u8], data: &[u8]) -> Vec<u8> {
        let mut bytes = Vec::new();
        bytes.extend(self.from.port().to_be_bytes());
        bytes.extend(self.to.port().to_be_bytes());
        bytes.extend(seq.to_be_bytes());
        bytes.extend(ack.to_be_bytes());
        bytes.extend([
            (((20 + options.len()) / 4) << 4) as u8,
            flags as u8,
            0xff,
            0xff,
            0,
            0,
            0,
            0,
        ]);
        bytes.extend(options);
        bytes.extend(data);
        self.ip(6, bytes, Some(16))
    }

    /// A UDP datagram as an IP packet.
    pub fn udp(&self, data: &[u8]) -> Vec<u8> {
        let mut bytes = Vec::new();
        bytes.extend(self.from.port().to_be_bytes());
        bytes.extend(self.to.port().to_be_bytes());
        bytes.extend((8 + data.len() as u16).to_be_bytes());
        bytes.extend([0, 0]);
        bytes.extend(data);
        self.ip(17, bytes, Some(6))
    }

    /// An ICMP echo request of IPv4, whatever the ports.
    pub fn ping(&self, identifier: u16) -> Vec<u8> {
        let [a, b] = identifier.to_be_bytes();
        let mut bytes = vec![8, 0, 0, 0, a, b, 0, 1];
        let sum = Checksum::of(&bytes);
        bytes[2..4].copy_from_slice(&sum.to_be_bytes());
        self.ip(1, bytes, None)
    }

    /// An ICMP error of IPv4 (host unreachable) that quotes a packet.
    pub fn unreachable(&self, quoted: &[u8]) -> Vec<u8> {
        let mut bytes = vec![3, 1, 0, 0, 0, 0, 0, 0];
        bytes.extend(&quoted[..quoted.len().min(28)]);
        let sum = Checksum::of(&bytes);
        bytes[2..4].copy_from_slice(&sum.to_be_bytes());
        self.ip(1, bytes, None)
    }

    /// An IP packet around an upper layer whose checksum is at an offset and covers a pseudo header.
    pub fn ip(&self, protocol: u8, mut upper: Vec<u8>, checksum_at: Option<usize>) -> Vec<u8> {
        let length = upper.len() as u16;
        let (mut header, addresses) = match (self.from.ip(), self.to.ip()) {
            (IpAddr::V4(from), IpAddr::V4(to)) => {
                let [l0, l1] = (20 + length).to_be_bytes();
                let mut header = vec![0x45, 0, l0, l1, 0, 0, 0x40, 0, 64, protocol, 0, 0];
                header.extend(from.octets());
                header.extend(to.octets());
                let sum = Checksum::of(&header);
                header[10..12].copy_from_slice(&sum.to_be_bytes());
                (header, 12)
            }
            (IpAddr::V6(from), IpAddr::V6(to)) => {
                let [l0, l1] = length.to_be_bytes();
                let mut header = vec![0x60, 0, 0, 0, l0, l1, protocol, 64];
                header.extend(from.octets());
                header.extend(to.octets());
                (header, 8)
            }
            _ => panic!("one version"),
        };
        if let Some(at) = checksum_at {
            let mut covered = header[addresses..].to_vec();
            covered.extend(u32::from(length).to_be_bytes());
            covered.extend([0, 0, 0, protocol]);
            covered.extend(&upper);
            let sum = match Checksum::of(&covered) {
                0 if protocol == 17 => 0xffff,
                sum => sum,
            };
            upper[at..at + 2].copy_from_slice(&sum.to_be_bytes());
        }
        header.append(&mut upper);
        header
    }

    /// The UDP payload that carries an IP packet.
    pub fn envelope(&self, inner: &[u8]) -> Vec<u8> {
        let protocol = if inner[0] >> 4 == 6 { EtherType::IPV6 } else { EtherType::IPV4 };
        let (endpoint, cookie) = (self.endpoint.to_be_bytes(), self.cookie.to_be_bytes());
        let attachment = (self.endpoint ^ 0xa77a).to_be_bytes();
        datagram(protocol, &aws_options(&endpoint, &attachment, &cookie), inner)
    }

    pub fn outer(&self) -> Outer {
        let (address, port) = self.outer;
        Outer::new((address.into(), port), ([10, 0, 0, 2].into(), 6081))
    }
}

/// The fragments of an IPv4 packet, cut every `size` bytes (a multiple of eight) of its payload.
pub fn fragments(packet: &[u8], identification: u16, size: usize) -> Vec<Vec<u8>> {
    let chunks: Vec<&[u8]> = packet[20..].chunks(size).collect();
    let last = chunks.len() - 1;
    let fragment = |(n, chunk): (usize, &&[u8])| {
        let mut bytes = packet[..20].to_vec();
        bytes[2..4].copy_from_slice(&(20 + chunk.len() as u16).to_be_bytes());
        bytes[4..6].copy_from_slice(&identification.to_be_bytes());
        let more = if n < last { 0x2000 } else { 0 };
        let field = more | (n * size / 8) as u16;
        bytes[6..8].copy_from_slice(&field.to_be_bytes());
        bytes[10..12].fill(0);
        let sum = Checksum::of(&bytes);
        bytes[10..12].copy_from_slice(&sum.to_be_bytes());
        bytes.extend(*chunk);
        bytes
    };
    chunks.iter().enumerate().map(fragment).collect()
}

/// What came of one packet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sent {
    pub outcome: Outcome,
    /// The UDP payload afterwards.
    pub payload: Vec<u8>,
    /// Outer header of the envelope, GENEVE header and IP packet of what was injected.
    pub injected: Vec<(Outer, Vec<u8>, Vec<u8>)>,
    pub events: Vec<Event>,
}

impl Sent {
    pub fn is_forwarded(&self) -> bool {
        self.outcome.disposition.is_forward()
    }

    #[track_caller]
    pub fn assert_forwarded(&self) {
        assert_eq!(self.outcome.disposition, Disposition::Forward, "{}", self.outcome);
    }

    #[track_caller]
    pub fn assert_refused(&self, reason: &str) {
        assert!(!self.is_forwarded(), "{}", self.outcome);
        assert_eq!(self.outcome.reason.name(), reason);
    }

    /// The IP packet afterwards.
    pub fn inner(&self) -> Vec<u8> {
        Envelope::parse(&self.payload, &Profile::AWS).unwrap().inner().to_vec()
    }
}

/// Sends one packet through an engine, and tells it that everything was sent.
pub fn send<I: Inspector, R: Rewriter>(
    engine: &mut Engine<I, R>,
    time: Timestamp,
    side: &Side,
    inner: &[u8],
) -> Sent {
    let payload = side.envelope(inner);
    let len = payload.len();
    let mut buffer = payload;
    buffer.resize(len + 256, 0xee);
    let mut output = Output::new();
    let mut burst = [Datagram::with_room(time, side.outer(), &mut buffer, len)];
    engine.process(&mut burst, &mut output);
    let outcome = output.outcomes()[0];
    let payload = burst[0].payload().to_vec();
    let injected: Vec<_> = output
        .injected()
        .map(|packet| (*packet.outer(), packet.geneve().to_vec(), packet.packet().to_vec()))
        .collect();
    engine.sent(u64::from(outcome.disposition.is_forward()) + injected.len() as u64);
    assert!(engine.counters().is_balanced(), "{:?}", engine.counters());
    Sent { outcome, payload, injected, events: output.events().to_vec() }
}

/// A TCP handshake: the client's numbers begin at 1,000, the server's at 5,000.
pub fn handshake<I: Inspector, R: Rewriter>(
    engine: &mut Engine<I, R>,
    time: Timestamp,
    (client, server): &(Side, Side),
) {
    send(engine, time, client, &client.tcp(SYN, 999, 0, &[])).assert_forwarded();
    send(engine, time, server, &server.tcp(SYN | ACK, 4_999, 1_000, &[])).assert_forwarded();
    send(engine, time, client, &client.tcp(ACK, 1_000, 5_000, &[])).assert_forwarded();
}

/// The segment in an IP packet, whose checksums must be right.
#[track_caller]
pub fn segment(packet: &[u8]) -> TcpSegment<'_> {
    let packet = IpPacket::parse(packet).unwrap();
    assert_eq!(
        packet.verify_transport_checksum(),
        gwlb_geneve::packet::ChecksumStatus::Valid,
        "{packet:?}"
    );
    match packet.transport().unwrap() {
        Transport::Tcp(segment) => segment,
        other => panic!("{other:?}"),
    }
}
