//! Settings and datagrams out of any bytes: mostly packets in order, of few flows, so that much happens to each.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::Duration;

use gwlb_geneve::Timestamp;
use gwlb_geneve::engine::{Checksums, EndpointSettings, Flows, Settings};
use gwlb_geneve::flow::{FlowLimits, FlowSeed, FlowTimeouts};
use gwlb_geneve::gwlb::{EndpointId, Outer};
use gwlb_geneve::inspect::{Exception, ExceptionPolicy, MssClamp};
use gwlb_geneve::stream::StreamLimits;

use super::super::traffic::{ACK, FIN, RST, START, SYN, Side, fragments, sides};

/// A datagram as it came.
#[derive(Clone, Debug)]
pub struct Sent {
    pub time: Timestamp,
    pub outer: Outer,
    pub payload: Vec<u8>,
}

pub enum Step {
    Send(Sent),
    /// A burst ends.
    Cut,
    Expire(Timestamp),
    Drain(Timestamp),
    Reload(Flows),
    Overload(bool),
}

pub struct Input<'a> {
    bytes: &'a [u8],
    now: u64,
    /// Where the streams of each conversation are.
    numbers: BTreeMap<u8, [u32; 2]>,
    /// The packet before, to be quoted.
    latest: Vec<u8>,
    /// Fragments that are still to come.
    pending: Vec<Sent>,
}

impl<'a> Input<'a> {
    pub fn new(bytes: &'a [u8]) -> Self {
        Self {
            bytes,
            now: START,
            numbers: BTreeMap::new(),
            latest: Vec::new(),
            pending: Vec::new(),
        }
    }

    pub fn now(&self) -> Timestamp {
        Timestamp::from_nanos(self.now)
    }

    /// The next byte; zero behind the end.
    fn byte(&mut self) -> u8 {
        match self.bytes.split_first() {
            Some((first, rest)) => {
                self.bytes = rest;
                *first
            }
            None => 0,
        }
    }

    fn word(&mut self) -> u16 {
        u16::from_be_bytes([self.byte(), self.byte()])
    }

    /// One of so many, 256 at most.
    fn below(&mut self, count: usize) -> usize {
        usize::from(self.byte()) % count
    }

    fn chance(&mut self, in_256: u8) -> bool {
        self.byte() < in_256
    }

    pub fn settings(&mut self) -> Settings {
        let flags = self.byte();
        let mut policy =
            if flags & 1 == 0 { ExceptionPolicy::AVAILABLE } else { ExceptionPolicy::STRICT };
        for class in Exception::ALL {
            if self.chance(64) {
                let possible = class.treatments();
                policy = policy.with(class, possible[self.below(possible.len())]).unwrap();
            }
        }
        let flows = 1 + self.below(64);
        let limits = FlowLimits {
            flows,
            flows_per_endpoint: if flags & 2 == 0 { usize::MAX } else { 1 + self.below(flows) },
            endpoints: if flags & 4 == 0 { 16 } else { 1 + self.below(2) },
            header_bytes: self.below(256),
            ..FlowLimits::default()
        };
        let mut endpoints = BTreeMap::new();
        if flags & 8 != 0 {
            endpoints.insert(EndpointId(1), EndpointSettings::default());
        }
        let answers = [10_000, 3, 0][self.below(3)];
        let streams = StreamLimits {
            bytes: 1 << (16 + self.below(5)),
            window: 1 << self.below(20),
            connections: 1 + self.below(16),
            bytes_per_endpoint: 1 << (16 + self.below(4)),
            connections_per_endpoint: 1 + self.below(16),
        };
        Settings {
            flows: limits,
            timeouts: if flags & 16 == 0 { FlowTimeouts::default() } else { short() },
            fragments: 1 + self.below(16),
            streams,
            message_bytes: 100 * self.below(20),
            message_bytes_per_endpoint: 100 * self.below(20),
            endpoints,
            policy,
            monitor: flags & 0xe0 == 0xe0,
            checksums: if flags & 0xc0 == 0x40 { Checksums::Ignore } else { Checksums::Verify },
            mss: (flags & 32 == 0).then_some(MssClamp { ipv4: 1_000, ipv6: 900 }),
            answers_per_second: answers,
            icmp_answers: flags & 0xc0 != 0x80,
            icmp_errors_per_second: answers,
            seed: FlowSeed::from_bytes([7; 32]),
            ..Settings::default()
        }
    }

    /// `None` at the end.
    pub fn step(&mut self) -> Option<Step> {
        if let Some(next) = self.pending.pop() {
            return Some(Step::Send(next));
        }
        if self.bytes.is_empty() {
            return None;
        }
        self.pass_time();
        let now = self.now();
        Some(match self.byte() {
            0..8 => Step::Cut,
            8..11 => Step::Expire(now),
            11 => Step::Drain(now),
            12..15 => Step::Reload(Flows::Keep),
            15..18 => Step::Reload(Flows::Reopen),
            18..21 => Step::Overload(self.chance(64)),
            21..30 => self.noise(),
            _ => {
                self.datagrams();
                self.pending.pop().map_or(Step::Cut, Step::Send)
            }
        })
    }

    fn pass_time(&mut self) {
        let second = 1_000_000_000;
        let value = u64::from(self.byte());
        self.now = match value {
            0..160 => self.now.wrapping_add(value * 1_000),
            160..224 => self.now.wrapping_add((value - 160) * second / 32),
            224..240 => self.now.wrapping_add((value - 220) * 10 * second),
            240..250 => self.now.saturating_sub((value - 240) * second / 4),
            250 => self.now.saturating_add(400 * second),
            251 => self.now.saturating_sub(400 * second),
            252 => u64::MAX,
            253 => 0,
            _ => self.now,
        };
    }

    /// No envelope, or one around anything.
    fn noise(&mut self) -> Step {
        let length = self.below(80).min(self.bytes.len());
        let (bytes, rest) = self.bytes.split_at(length);
        let (bytes, outer) = (bytes.to_vec(), self.conversation(0).0.outer());
        self.bytes = rest;
        let payload = match bytes.first() {
            Some(first) if first % 2 == 0 => self.conversation(0).0.envelope(&bytes),
            _ => bytes,
        };
        Step::Send(Sent { time: self.now(), outer, payload })
    }

    /// Both sides of a conversation of this number.
    fn conversation(&self, number: u8) -> (Side, Side) {
        let low = number % 8;
        let text = |host: u8, port: u16| match number % 4 {
            3 => format!("[2001:db8::{host}]:{port}"),
            _ => format!("10.0.{}.{host}:{port}", number % 3),
        };
        let ports = (40_000 + u16::from(number / 8 % 4), 443 + u16::from(low / 4));
        let (mut client, _) = sides(&text(1, ports.0), &text(2, ports.1));
        client = client.through(1 + u64::from(number / 64));
        (client, client.back())
    }

    /// A packet, or its fragments.
    fn datagrams(&mut self) {
        let number = self.byte();
        let (client, server) = self.conversation(number);
        let how = self.byte();
        let (mut side, at) = if how & 1 == 0 { (client, 0) } else { (server, 1) };
        if how & 0x1e == 0 {
            side = side.with_cookie(number.into());
        }
        let data = self.data();
        let is_v4 = side.from.is_ipv4();
        let packet = match how >> 5 {
            0..4 => self.segment(number, at, &side, &data),
            4 => side.udp(&data),
            5 if is_v4 => side.ping(u16::from(number % 4)),
            5 => side.udp(&data),
            6 if is_v4 && !self.latest.is_empty() && self.latest[0] >> 4 == 4 => {
                side.unreachable(&self.latest)
            }
            6 => side.ip(58, vec![128, 0, 0, 0, 0, number, 0, 1], Some(2)),
            _ => self.tunnel(&side, &data),
        };
        let mut packets = vec![packet];
        if is_v4 && how & 0x1e == 0x1e {
            let (identification, size) = (u16::from(self.byte() % 8), 8 * (1 + self.below(4)));
            packets = fragments(&packets[0], identification, size);
            for n in 0..packets.len() {
                let other = self.below(packets.len());
                packets.swap(n, other);
            }
            packets.truncate(1 + self.below(8));
        }
        self.latest.clone_from(&packets[0]);
        for mut packet in packets {
            let bend = self.byte();
            if bend < 16 && !packet.is_empty() {
                let place = usize::from(self.word()) % packet.len();
                match bend % 4 {
                    0 => packet.truncate(place),
                    1 => packet.extend([0; 7]),
                    _ => packet[place] ^= self.byte(),
                }
            }
            let payload = if packet.is_empty() { packet } else { side.envelope(&packet) };
            let sent = Sent { time: self.now(), outer: side.outer(), payload };
            self.pending.push(sent);
        }
    }

    /// A payload: what the inspectors are to do, zero as a rule, and some more.
    fn data(&mut self) -> Vec<u8> {
        let mut data = vec![0; 10 + self.below(40)];
        match self.byte() {
            0..96 => {
                let at = self.below(9);
                data[at] = self.byte() % 40;
            }
            96..128 => (0..9).for_each(|at| data[at] = self.byte() % 40),
            128..160 => data.clear(),
            160..176 => data = b"GET /a HTTP/1.1\r\nHost: b\r\n\r\n".to_vec(),
            _ => {}
        }
        data
    }

    /// A segment, as a rule with the numbers that it should have.
    fn segment(&mut self, number: u8, at: usize, side: &Side, data: &[u8]) -> Vec<u8> {
        let fresh = [1_000, u32::MAX - 20];
        let numbers = self.numbers.entry(number).or_insert(fresh);
        let (mut seq, ack) = (numbers[at], numbers[1 - at]);
        let flags = match self.byte() {
            0..40 => SYN,
            40..60 => SYN | ACK,
            60..75 => FIN | ACK,
            75..85 => RST,
            85..95 => RST | ACK,
            255 => u16::from(self.byte()),
            _ => ACK,
        };
        if self.chance(24) {
            seq = seq.wrapping_add(self.word().into()).wrapping_sub(1 << 15);
        } else {
            let control = u32::from(flags & (SYN | FIN) != 0);
            let length = data.len() as u32 + control;
            let numbers = self.numbers.entry(number).or_insert(fresh);
            numbers[at] = seq.wrapping_add(length);
        }
        let with_mss = flags & SYN != 0 && self.chance(128);
        let options: &[u8] = if with_mss { &[2, 4, 0x23, 0x01] } else { &[] };
        side.tcp_with(flags, seq, ack, options, data)
    }

    /// A packet in a packet: in IP, GRE or VXLAN, once or more often.
    fn tunnel(&mut self, side: &Side, data: &[u8]) -> Vec<u8> {
        let mut packet = if self.chance(128) { side.udp(data) } else { side.tcp(ACK, 1, 1, data) };
        for _ in 0..=self.below(3) {
            let is_v4 = packet[0] >> 4 == 4;
            packet = match self.byte() % 3 {
                0 => side.ip(if is_v4 { 4 } else { 41 }, packet, None),
                1 => {
                    let protocol = if is_v4 { [8, 0] } else { [0x86, 0xdd] };
                    side.ip(47, [&[0, 0], &protocol[..], &packet].concat(), None)
                }
                _ => {
                    let protocol = if is_v4 { [8, 0] } else { [0x86, 0xdd] };
                    let vxlan = [8, 0, 0, 0, 0, 0, 1, 0];
                    let mut to = *side;
                    to.to = SocketAddr::new(side.to.ip(), 4_789);
                    to.udp(&[&vxlan[..], &[2; 12], &protocol, &packet].concat())
                }
            };
        }
        packet
    }
}

/// So that flows end before the input does.
fn short() -> FlowTimeouts {
    let second = Duration::from_secs(1);
    FlowTimeouts {
        tcp_half_open: second,
        tcp_established: second * 3,
        tcp_closing: second * 2,
        tcp_closed: second / 2,
        udp: second * 2,
        icmp: second,
        other: second,
        unanswered: Duration::ZERO,
    }
}
