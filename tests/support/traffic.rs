//! Conversations: packets with right checksums between two ends, in the envelopes of a load balancer, and an engine
//! to send them through.

use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use gwlb_geneve::EtherType;
use gwlb_geneve::Timestamp;
use gwlb_geneve::engine::{
    Budget, Datagram, Disposition, Engine, Event, Outcome, Output, Settings,
};
use gwlb_geneve::flow::FlowSeed;
use gwlb_geneve::gwlb::{Envelope, Outer, Profile};
use gwlb_geneve::inspect::{Inspector, Rewriter};
use gwlb_geneve::packet::{Checksum, IpPacket, TcpFlags, TcpSegment, Transport};
use proptest::collection::vec;
use proptest::prelude::*;

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

/// A budget that nobody exceeds, as its clock stands still. With one, segments in order are asked about in the general way.
pub fn unlimited() -> Budget {
    Budget { limit: Duration::from_secs(3_600), clock: || Duration::ZERO }
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

/// A datagram that is to come.
#[derive(Clone, PartialEq, Eq)]
pub struct Arrival {
    pub time: Timestamp,
    pub outer: Outer,
    pub payload: Vec<u8>,
}

impl fmt::Debug for Arrival {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: ", self.time.as_nanos().wrapping_sub(START))?;
        self.payload.iter().skip(40).try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl Side {
    pub fn arrival(&self, time: Timestamp, inner: &[u8]) -> Arrival {
        Arrival { time, outer: self.outer(), payload: self.envelope(inner) }
    }
}

/// What came of many packets, however they were cut into bursts.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Course {
    pub outcomes: Vec<Outcome>,
    /// The UDP payloads afterwards.
    pub payloads: Vec<Vec<u8>>,
    pub injected: Vec<(Outer, Vec<u8>, Vec<u8>)>,
    /// Their datagrams are counted from the first arrival on.
    pub events: Vec<Event>,
}

impl Course {
    pub fn add(&mut self, output: &Output) {
        let before = self.payloads.len();
        self.outcomes.extend(output.outcomes());
        self.injected.extend(
            output.injected().map(|packet| {
                (*packet.outer(), packet.geneve().to_vec(), packet.packet().to_vec())
            }),
        );
        self.events.extend(output.events().iter().cloned().map(|mut event| {
            event.datagram = event.datagram.map(|datagram| datagram + before);
            event
        }));
    }
}

/// Sends packets through an engine in bursts of so many, tells it that everything was sent, and hands the engine and
/// the next burst to `before` ahead of it.
pub fn run_with<I: Inspector, R: Rewriter>(
    engine: &mut Engine<I, R>,
    arrivals: &[Arrival],
    burst: usize,
    mut before: impl FnMut(&mut Engine<I, R>, &[Arrival], &mut Course),
) -> Course {
    let (mut course, mut output) = (Course::default(), Output::new());
    for arrivals in arrivals.chunks(burst) {
        before(engine, arrivals, &mut course);
        let mut payloads: Vec<_> = arrivals.iter().map(|arrival| arrival.payload.clone()).collect();
        let mut burst: Vec<_> = arrivals
            .iter()
            .zip(&mut payloads)
            .map(|(arrival, payload)| Datagram::new(arrival.time, arrival.outer, payload))
            .collect();
        engine.process(&mut burst, &mut output);
        assert_eq!(output.outcomes().len(), arrivals.len());
        course.add(&output);
        course.payloads.extend(burst.iter().map(|datagram| datagram.payload().to_vec()));
        let forwarded = output.outcomes().iter().filter(|outcome| outcome.disposition.is_forward());
        engine.sent((forwarded.count() + output.injected().len()) as u64);
        assert!(engine.counters().is_balanced(), "{:?}", engine.counters());
    }
    course
}

/// The same without more ado.
pub fn run<I: Inspector, R: Rewriter>(
    engine: &mut Engine<I, R>,
    arrivals: &[Arrival],
    burst: usize,
) -> Course {
    run_with(engine, arrivals, burst, |_, _, _| {})
}

/// What the packets of random [`conversations`] say.
pub const WORDS: [&str; 6] = ["hello", "bad", "ugly", "never", "done", "boom"];

/// Random traffic between eight pairs of ends behind three endpoints: connections that come about and end, data, UDP,
/// pings, errors, fragments in and out of order, damage, nonsense. No two packets are the same, see [`number`].
pub fn conversations(most: usize) -> impl Strategy<Value = Vec<Arrival>> {
    const MILLI: i64 = 1_000_000;
    let pause = prop_oneof![
        8 => Just(0),
        8 => 0..20 * MILLI,
        2 => 0..5_000 * MILLI,
        1 => 0..400_000 * MILLI,
        1 => -5 * MILLI..0,
    ];
    let word = prop_oneof![8 => Just(0), 1 => 0..WORDS.len()];
    vec((0..8_usize, 0..24_u8, pause, word, any::<u16>()), 1..most).prop_map(|steps| {
        let mut talks: Vec<_> = (0..8).map(Talk::new).collect();
        let (mut arrivals, mut time) = (Vec::new(), START);
        for (pair, what, pause, word, any) in steps {
            time = time.saturating_add_signed(pause);
            let word = WORDS[word].as_bytes();
            for (side, mut inner) in talks[pair].packets(what, word, any) {
                set_number(&mut inner, arrivals.len() as u16);
                let mut arrival = side.arrival(Timestamp::from_nanos(time), &inner);
                match what {
                    // A damaged packet, one that is cut off, one of some other load balancer.
                    20 => *arrival.payload.last_mut().unwrap() ^= 1,
                    21 => arrival.payload.truncate(usize::from(any) % 80),
                    22 => arrival.payload[usize::from(any) % 40] ^= (any >> 8) as u8,
                    _ => {}
                }
                arrivals.push(arrival);
            }
        }
        arrivals
    })
}

/// The number of a packet among [`conversations`].
pub fn number(inner: &[u8]) -> u16 {
    match inner[0] >> 4 {
        4 => u16::from_be_bytes([inner[1], inner[8]]),
        _ => u16::from_be_bytes([inner[3], inner[7]]),
    }
}

/// Writes it where it means nothing to anybody: TOS and TTL, flow label and hop limit.
fn set_number(inner: &mut [u8], number: u16) {
    let [a, b] = number.to_be_bytes();
    if inner[0] >> 4 == 4 {
        (inner[1], inner[8]) = (a, b);
        inner[10..12].fill(0);
        let sum = Checksum::of(&inner[..20]);
        inner[10..12].copy_from_slice(&sum.to_be_bytes());
    } else {
        (inner[3], inner[7]) = (a, b);
    }
}

/// How far a pair of ends is.
struct Talk {
    client: Side,
    server: Side,
    /// Packets of the handshake so far.
    greeted: u8,
    /// The numbers of their next bytes.
    next: [u32; 2],
    /// Fragments still to come.
    fragments: Vec<Vec<u8>>,
}

impl Talk {
    fn new(n: usize) -> Self {
        let (client, server) = if n % 4 == 3 { pair_v6() } else { pair() };
        let client = client.through(1 + n as u64 % 3).with_port(40_000 + n as u16 / 2);
        let server = Side { from: server.from, to: client.from, ..client };
        Self { client, server, greeted: 0, next: [1_000, 5_000], fragments: Vec::new() }
    }

    fn packets(&mut self, what: u8, word: &[u8], any: u16) -> Vec<(Side, Vec<u8>)> {
        let (client, server, [ours, theirs]) = (self.client, self.server, self.next);
        let is_ipv4 = client.from.is_ipv4();
        let one = |side: Side, inner| vec![(side, inner)];
        match what {
            0..=5 if self.greeted < 3 => {
                self.greeted += 1;
                match self.greeted {
                    1 => {
                        self.next = [ours.wrapping_add(u32::from(any)), theirs];
                        let mss = [2, 4, 0x23, 0x28];
                        one(client, client.tcp_with(SYN, self.next[0] - 1, 0, &mss, b""))
                    }
                    2 => one(server, server.tcp(SYN | ACK, theirs - 1, ours, b"")),
                    _ => one(client, client.tcp(ACK, ours, theirs, b"")),
                }
            }
            0..=6 => {
                self.next[0] = ours.wrapping_add(word.len() as u32);
                one(client, client.tcp(ACK | PSH, ours, theirs, word))
            }
            7 | 8 => {
                self.next[1] = theirs.wrapping_add(word.len() as u32);
                one(server, server.tcp(ACK | PSH, theirs, ours, word))
            }
            9 => one(client, client.tcp(FIN | ACK, ours, theirs, b"")),
            10 => one(server, server.tcp(FIN | ACK, theirs, ours, b"")),
            11 => {
                self.greeted = 0;
                one(server, server.tcp(RST | ACK, theirs, ours, b""))
            }
            12 => one(client, client.tcp(RST, ours.wrapping_add(any.into()), 0, b"")),
            13 => one(client, client.tcp(SYN, any.into(), 0, b"")),
            14 => one(server, server.tcp(SYN | ACK, 9, 1 + u32::from(any), b"")),
            15 => one(client, client.udp(word)),
            16 => one(server, server.udp(word)),
            17 if is_ipv4 => one(client, client.ping(any)),
            18 if is_ipv4 => one(server, server.unreachable(&client.tcp(ACK, ours, theirs, word))),
            19 if is_ipv4 => {
                let mut fragments = fragments(&client.udp(&word.repeat(8)), any, 16);
                fragments.rotate_left(usize::from(any) % 2);
                let rest = fragments.split_off(1 + usize::from(any) % 2);
                self.fragments.extend(rest);
                fragments.into_iter().map(|fragment| (client, fragment)).collect()
            }
            23 => self.fragments.pop().map(|fragment| (client, fragment)).into_iter().collect(),
            _ => one(server, server.with_cookie(any.into()).tcp(ACK, theirs, ours, word)),
        }
    }
}

/// The `n`th of so many flows that nobody ever heard of: a SYN, whose checksums are right at no cost, since what is
/// added in one place is taken away in another.
pub struct Strangers {
    template: Arrival,
}

impl Strangers {
    /// Between ends of IPv4; the packet is of TCP or UDP.
    pub fn new(side: &Side, inner: &[u8]) -> Self {
        let mut inner = inner.to_vec();
        // Words that add up to nothing, instead of those that were there.
        for (words, at) in [([10_u8, 1, 0xf5, 0xfe], 12), ([0, 0, 0xff, 0xff], 20)] {
            inner[at..at + 4].copy_from_slice(&words);
        }
        let (source, _) = inner[12..].split_first_chunk::<4>().unwrap();
        let mut side = *side;
        side.from = (*source, 0).into();
        side.to.set_port(0xffff);
        let (protocol, checksum_at) = match inner[9] {
            6 => (6, 16),
            other => (other, 6),
        };
        let mut upper = inner[20..].to_vec();
        upper[checksum_at..checksum_at + 2].fill(0);
        let inner = side.ip(protocol, upper, Some(checksum_at));
        Self { template: side.arrival(at(0), &inner) }
    }

    /// The payload of the `n`th.
    pub fn payload(&self, n: u32) -> Vec<u8> {
        let mut payload = self.template.payload.clone();
        Self::write(&mut payload, n);
        payload
    }

    /// Makes a payload that of the `n`th.
    pub fn write(payload: &mut [u8], n: u32) {
        let [a, b, c, d] = n.to_be_bytes();
        let inner = &mut payload[40..];
        inner[12..16].copy_from_slice(&[a, b, !a, !b]);
        inner[20..24].copy_from_slice(&[c, d, !c, !d]);
    }

    pub fn outer(&self) -> Outer {
        self.template.outer
    }
}
