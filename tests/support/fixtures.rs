//! The captures in `tests/captures`, made from code: what is in each and what must become of every packet.
//!
//! Outer headers are those of a gateway load balancer (wire.md §1): IPv4 with TTL 255, TOS 0, ID 0 and DF clear,
//! a right UDP checksum, one source port for both directions of a flow. All clocks start with 2025.

mod inner;
mod links;
mod malformed;
mod replay;
mod tunnel;
mod wire;

use gwlb_geneve::EtherType;
use gwlb_geneve::Timestamp;
use gwlb_geneve::capture::{Format, LinkType, Writer};

use super::generate::{aws_options, datagram};
use wire::{End, Ipv4, Side, UDP};

/// The file that a newcomer replays first.
pub const FIRST: &str = "http.pcapng";

/// 2025-01-01T00:00:00Z in microseconds.
const START: u64 = 1_735_689_600_000_000;

/// A file in `tests/captures`.
#[derive(Clone, Debug)]
pub struct Capture {
    pub file: &'static str,
    /// One line for the table.
    pub about: &'static str,
    pub frames: Vec<Frame>,
}

/// A captured packet.
#[derive(Clone, Debug)]
pub struct Frame {
    /// Microseconds since 1970.
    pub micros: u64,
    pub link_type: LinkType,
    pub data: Vec<u8>,
    /// Only where the file is a pcapng.
    pub comment: Option<String>,
    pub fate: Fate,
}

/// What must become of a packet; the texts are those of `reason()` of the errors.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Fate {
    /// In order throughout.
    Forward,
    /// Nothing that came through a tunnel: another port, another protocol.
    Foreign,
    /// Refused by the outer headers.
    Outer(&'static str),
    /// Refused by the GENEVE header and its options.
    Envelope(&'static str),
    /// Refused by the inner packet.
    Inner(&'static str),
}

impl Fate {
    /// The reason of a refusal.
    pub fn reason(self) -> Option<&'static str> {
        match self {
            Fate::Forward | Fate::Foreign => None,
            Fate::Outer(reason) | Fate::Envelope(reason) | Fate::Inner(reason) => Some(reason),
        }
    }
}

/// All captures, in the order of the table.
pub fn captures() -> Vec<Capture> {
    let mut captures = vec![replay::http()];
    captures.extend(inner::captures());
    captures.extend(tunnel::captures());
    captures.extend(links::captures());
    captures.push(malformed::capture());
    captures
}

impl Capture {
    /// The file, byte for byte.
    pub fn bytes(&self) -> Vec<u8> {
        let format = match self.file.rsplit('.').next() {
            Some("pcap") => Format::Pcap(self.frames[0].link_type),
            _ => Format::Pcapng,
        };
        let mut writer = Writer::new(Vec::new(), format).unwrap();
        for Frame { micros, link_type, data, comment, .. } in &self.frames {
            let (time, len) = (Timestamp::from_nanos(micros * 1_000), data.len() as u32);
            match comment {
                Some(comment) => writer.write_commented(time, *link_type, len, data, comment),
                None => writer.write_packet(time, *link_type, len, data),
            }
            .unwrap();
        }
        writer.finish().unwrap()
    }
}

/// The captures' own table, one line a file.
pub fn table() -> String {
    let mut table = String::from(
        "# Captures\n\n\
         Made by `tests/support/fixtures.rs` and held against it by `tests/captures.rs`, this file too.\n\
         After a change there: `REGENERATE=1 cargo test --features full --test captures`.\n\n\
         | file | packets | in order | refused | other | what |\n|---|---:|---:|---:|---:|---|\n",
    );
    for Capture { file, about, frames } in captures() {
        let all = frames.len();
        let good = frames.iter().filter(|frame| frame.fate == Fate::Forward).count();
        let refused = frames.iter().filter(|frame| frame.fate.reason().is_some()).count();
        let other = all - good - refused;
        table.push_str(&format!("| `{file}` | {all} | {good} | {refused} | {other} | {about} |\n"));
    }
    table
}

/// What a load balancer keeps the same for all packets of a flow.
#[derive(Clone, Copy, Debug)]
struct Flow {
    endpoint: u64,
    cookie: u32,
    source_port: u16,
}

/// `vpce-0a1b2c3d4e5f60718`.
const TENANT_A: u64 = 0xa1b2_c3d4_e5f6_0718;
/// `vpce-05ca1ab1e0ddba115`.
const TENANT_B: u64 = 0x5ca1_ab1e_0ddb_a115;

const CLIENT: [u8; 4] = [10, 20, 0, 5];
const SERVER: [u8; 4] = [192, 0, 2, 80];

const fn client(port: u16) -> End {
    End::v4(CLIENT, port)
}

const fn server(port: u16) -> End {
    End::v4(SERVER, port)
}

const fn client6(port: u16) -> End {
    End::v6(5, port)
}

const fn server6(port: u16) -> End {
    End::v6(0x80, port)
}

impl Flow {
    /// The `n`th flow of an endpoint.
    const fn new(endpoint: u64, n: u16) -> Self {
        let cookie = 0x3dc9_5600 + n as u32 * 0x11;
        Self { endpoint, cookie, source_port: 60_000 + n }
    }

    /// The UDP payload that carries `inner`.
    fn geneve(self, inner: &[u8]) -> Vec<u8> {
        let version = inner.first().map(|first| first >> 4);
        let protocol = if version == Some(6) { EtherType::IPV6 } else { EtherType::IPV4 };
        let (endpoint, cookie) = (self.endpoint.to_be_bytes(), self.cookie.to_be_bytes());
        datagram(protocol, &aws_options(&endpoint, &[0; 8], &cookie), inner)
    }

    /// The outer IPv4 packet around a UDP payload.
    fn outer(self, payload: &[u8]) -> Vec<u8> {
        let (from, to) = (End::v4([10, 0, 1, 10], self.source_port), End::v4([10, 0, 1, 20], 6081));
        let header = Ipv4 { ttl: 255, flags: 0, ..Ipv4::new(UDP, [10, 0, 1, 10], [10, 0, 1, 20]) };
        header.packet(&wire::udp_upper(from, to, payload))
    }

    fn datagram(self, inner: &[u8]) -> Vec<u8> {
        self.outer(&self.geneve(inner))
    }
}

/// Frames under way to a file: outer IPv4 packets on Ethernet, in the order of their time stamps.
#[derive(Debug, Default)]
struct Tape {
    frames: Vec<Frame>,
    /// Where the next packet stands, in microseconds since [`START`].
    clock: u64,
}

impl Tape {
    /// The next packet, 500 µs after the last.
    fn packet(&mut self, ip: &[u8], comment: &str, fate: Fate) {
        self.frames.push(Frame {
            micros: START + self.clock,
            link_type: LinkType::ETHERNET,
            data: links::ethernet(ip),
            comment: (!comment.is_empty()).then(|| comment.to_owned()),
            fate,
        });
        self.clock += 500;
    }

    /// An inner packet that is in order.
    fn inner(&mut self, flow: Flow, inner: &[u8], comment: &str) {
        self.packet(&flow.datagram(inner), comment, Fate::Forward);
    }

    /// Handshake, question, answer and end; the first packet has the comment.
    fn exchange(&mut self, flow: Flow, ends: [End; 2], messages: [&[u8]; 2], comment: &str) {
        let [question, answer] = messages;
        let mut comment = comment;
        for (side, inner) in wire::exchange(ends[0], ends[1], question, answer) {
            // The way to the server is the longer one.
            self.clock += if side == Side::Server { 4_000 } else { 100 };
            self.inner(flow, &inner, comment);
            comment = "";
        }
    }

    /// A DNS question and its answer.
    fn dns(&mut self, flow: Flow, ends: [End; 2], name: &str, kind: u16, answer: &[u8]) {
        let [client, resolver] = ends;
        let question = wire::dns(client.port, name, kind, None);
        let comment = format!("DNS: {name}");
        self.inner(flow, &wire::udp(client, resolver, &question), &comment);
        self.clock += 2_000;
        let answer = wire::dns(client.port, name, kind, Some(answer));
        self.inner(flow, &wire::udp(resolver, client, &answer), "");
    }

    fn at(&mut self, micros: u64) -> &mut Self {
        self.clock = micros;
        self
    }

    fn into_capture(mut self, file: &'static str, about: &'static str) -> Capture {
        self.frames.sort_by_key(|frame| frame.micros);
        Capture { file, about, frames: self.frames }
    }
}
