//! Instructions per packet, counted by callgrind, the empty loop taken off. They repeat exactly on any
//! machine of one kind, unlike times.
//!
//! `cargo bench --bench instructions` prints the table; it needs valgrind. Each case is run in a process
//! of its own with two numbers of rounds, and the difference is what the rounds cost.

#![allow(missing_docs)]

#[path = "support/callgrind.rs"]
mod callgrind;
#[path = "../tests/support/mod.rs"]
mod support;

use std::hint::black_box;
use std::net::{Ipv4Addr, Ipv6Addr};
use std::process::ExitCode;
use std::sync::OnceLock;

use callgrind::count;
use gwlb_geneve::flow::{FlowKey, FlowSeed};
use gwlb_geneve::geneve::{HeaderBuf, Packet};
use gwlb_geneve::gwlb::{EndpointId, Envelope, Outer, Profile, ReplyPolicy};
use gwlb_geneve::packet::{Addresses, FiveTuple, IpProtocol, Ports};
use support::sample;

/// A name, what may at most be spent, and the work for one packet.
type Case = (&'static str, Option<u64>, fn(&[u8]) -> bool, fn() -> Vec<u8>);

const CASES: &[Case] = &[
    ("empty loop", None, |bytes| bytes.is_empty(), sample::ipv4_tcp),
    ("GENEVE header and options", None, geneve, sample::ipv4_tcp),
    ("envelope: header, options, three values", Some(45), envelope, sample::ipv4_tcp),
    ("to the inner 5-tuple, IPv4 TCP", Some(90), five_tuple, sample::ipv4_tcp),
    ("to the inner 5-tuple, IPv6 TCP", Some(120), five_tuple, sample::ipv6_tcp),
    ("to the inner 5-tuple, options reversed", Some(205), five_tuple, sample::reversed),
    ("to the inner 5-tuple, 33 options in 252 bytes", Some(700), five_tuple, sample::many_options),
    ("5-tuple alone, IPv4 TCP", None, inner_only, sample::ipv4_tcp),
    ("5-tuple alone, IPv6 TCP", None, inner_only, sample::ipv6_tcp),
    ("5-tuple alone, IPv4 UDP", None, inner_only, sample::ipv4_udp),
    ("UDP payload to flow hash, IPv4 TCP", Some(110), flow_hash, sample::ipv4_tcp),
    ("UDP payload to flow hash, IPv6 TCP", Some(145), flow_hash, sample::ipv6_tcp),
    ("key and hash of a 5-tuple, IPv4", None, |_| key_and_hash(&IPV4), sample::ipv4_tcp),
    ("key and hash of a 5-tuple, IPv6", None, |_| key_and_hash(&IPV6), sample::ipv6_tcp),
    ("hash of a key, IPv4", None, hash_alone, sample::ipv4_tcp),
    ("hash of a key, IPv6", None, hash_alone, sample::ipv6_tcp),
    ("envelope and reply headers", None, reply, sample::ipv4_tcp),
];

static KEY: OnceLock<FlowKey> = OnceLock::new();
static SEED: FlowSeed = FlowSeed::from_bytes([7; 32]);

static IPV4: FiveTuple = FiveTuple {
    addresses: Addresses::V4 {
        source: Ipv4Addr::new(10, 0, 0, 9),
        destination: Ipv4Addr::new(10, 0, 0, 1),
    },
    protocol: IpProtocol::TCP,
    ports: Some(Ports { source: 49_152, destination: 443 }),
};

static IPV6: FiveTuple = FiveTuple {
    addresses: Addresses::V6 {
        source: Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 9),
        destination: Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 1),
    },
    protocol: IpProtocol::TCP,
    ports: Some(Ports { source: 49_152, destination: 443 }),
};

fn geneve(bytes: &[u8]) -> bool {
    black_box(&Packet::parse(bytes)).is_ok()
}

fn envelope(bytes: &[u8]) -> bool {
    let Ok(envelope) = Envelope::parse(bytes, &Profile::AWS) else { return false };
    black_box((envelope.endpoint(), envelope.attachment(), envelope.cookie()));
    black_box((envelope.header(), envelope.inner()));
    true
}

fn five_tuple(bytes: &[u8]) -> bool {
    let Ok(envelope) = Envelope::parse(bytes, &Profile::AWS) else { return false };
    black_box((envelope.endpoint(), envelope.attachment(), envelope.cookie()));
    black_box(&FiveTuple::parse(envelope.inner())).is_ok()
}

fn flow_hash(bytes: &[u8]) -> bool {
    let Ok(envelope) = Envelope::parse(bytes, &Profile::AWS) else { return false };
    black_box((envelope.endpoint(), envelope.attachment(), envelope.cookie()));
    let parsed = FlowKey::parse(envelope.endpoint(), envelope.inner());
    let Ok((key, direction)) = parsed else { return false };
    black_box((black_box(&SEED).hash(&key), direction));
    true
}

fn key_and_hash(tuple: &FiveTuple) -> bool {
    let (key, direction) = FlowKey::new(EndpointId(1), black_box(tuple));
    black_box((black_box(&SEED).hash(&key), direction));
    true
}

/// The key is made before the rounds.
fn hash_alone(_: &[u8]) -> bool {
    KEY.get().is_some_and(|key| {
        black_box(black_box(&SEED).hash(black_box(key)));
        true
    })
}

fn inner_only(bytes: &[u8]) -> bool {
    black_box(&FiveTuple::parse(&bytes[40..])).is_ok()
}

fn reply(bytes: &[u8]) -> bool {
    let outer = Outer::new(([10, 0, 0, 1].into(), 50_000), ([10, 0, 0, 2].into(), 6081));
    let Ok(envelope) = Envelope::parse(bytes, &Profile::AWS) else { return false };
    black_box(envelope.reply(&black_box(outer), &ReplyPolicy::default())).is_ok()
}

fn main() -> ExitCode {
    let arguments: Vec<_> = std::env::args().collect();
    match arguments.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        [_, "--case", case, rounds] => run(case, rounds.parse().expect("a number")),
        _ => return table(),
    }
    ExitCode::SUCCESS
}

/// What runs under callgrind.
fn run(case: &str, rounds: u64) {
    let (_, _, work, sample) = CASES.iter().find(|(name, ..)| *name == case).expect("a known case");
    let bytes = sample();
    black_box(HeaderBuf::from(&Packet::parse(&bytes).expect("a packet in order")));
    let tuple = if case.contains("IPv6") { &IPV6 } else { &IPV4 };
    KEY.get_or_init(|| FlowKey::new(EndpointId(1), tuple).0);
    for _ in 0..rounds {
        assert_eq!(work(black_box(&bytes)), *case != *"empty loop");
    }
}

fn table() -> ExitCode {
    let mut empty = 0;
    let mut over = false;
    println!("{:<48} {:>12} {:>7}", "instructions per packet", "found", "at most");
    for (name, most, ..) in CASES {
        let Some(found) = count(name) else {
            eprintln!("valgrind is needed: apt-get install valgrind");
            return ExitCode::FAILURE;
        };
        if *name == "empty loop" {
            empty = found;
            continue;
        }
        let found = found - empty;
        let most = most.map_or(String::new(), |most| {
            over |= found > most;
            most.to_string()
        });
        println!("{name:<48} {found:>12} {most:>7}");
    }
    if over { ExitCode::FAILURE } else { ExitCode::SUCCESS }
}
