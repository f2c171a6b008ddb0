//! Instructions that a TCP segment costs to be put in order, counted by callgrind, as `instructions` counts: considered,
//! its chunks walked over, committed. Segments of 1,460 bytes with time stamps, and acknowledgments that come back.
//!
//! `cargo bench --bench stream` prints the table and fails above the limits; it needs valgrind.

#![allow(missing_docs)]

#[path = "support/callgrind.rs"]
mod callgrind;
#[path = "support/fused.rs"]
mod fused;
#[path = "../tests/support/streams.rs"]
#[allow(dead_code, unreachable_pub)]
mod streams;

use std::hint::black_box;
use std::process::ExitCode;

use callgrind::count;
use gwlb_geneve::packet::{Checksum, TcpFlags, TcpSegment};
use gwlb_geneve::stream::{Arrival, Connection, Pool, StreamLimits};
use gwlb_geneve::{Side, Timestamp};
use streams::Segment;

const LEN: u32 = 1_460;
const NOW: Timestamp = Timestamp::from_nanos(1_700_000_000_000_000_000);

/// A name, and what runs so many rounds.
type Case = (&'static str, fn(u64));

const CASES: [Case; 9] = [
    ("the loop", |rounds| exchange(rounds, |talk, _| talk.read())),
    ("one pass over the payload", |rounds| exchange(rounds, |talk, _| talk.copy())),
    ("a checksum of it", |rounds| exchange(rounds, |talk, _| talk.sum())),
    ("both in one pass, in words", |rounds| {
        exchange(rounds, |talk, _| talk.both(fused::in_words));
    }),
    ("both in one pass, in vectors", |rounds| {
        exchange(rounds, |talk, _| talk.both(fused::in_vectors));
    }),
    ("an acknowledgment of nothing new", |rounds| exchange(rounds, |talk, _| talk.acknowledge(0))),
    ("data and its acknowledgment", |rounds| {
        exchange(rounds, |talk, _| {
            talk.say();
            talk.acknowledge(LEN);
        });
    }),
    ("data, 8 segments unacknowledged", |rounds| {
        exchange(rounds, |talk, round| {
            talk.say();
            talk.acknowledge(if round < 8 { 0 } else { LEN });
        });
    }),
    ("data, 400 segments unacknowledged", |rounds| {
        exchange(rounds, |talk, round| {
            talk.say();
            talk.acknowledge(if round < 400 { 0 } else { LEN });
        });
    }),
];

struct Talk {
    connection: Connection,
    pool: Pool,
    data: Vec<u8>,
    ack: Vec<u8>,
    copy: Vec<u8>,
    told: u64,
}

impl Talk {
    fn open() -> Self {
        let segment = |flags, sequence_number, acknowledgment_number| Segment {
            flags,
            sequence_number,
            acknowledgment_number,
            window: 60_000,
            stamp: Some(1),
            ..Segment::default()
        };
        let syn = Segment { scale: Some(7), ..segment(TcpFlags::SYN, 0, 0) };
        let answer = Segment { scale: Some(7), ..segment(TcpFlags::SYN | TcpFlags::ACK, 0, 1) };
        let data = Segment { payload: vec![b'x'; LEN as usize], ..segment(TcpFlags::ACK, 1, 1) };
        let mut talk = Self {
            connection: Connection::new(),
            pool: Pool::new(StreamLimits::default()).expect("limits in order"),
            data: data.bytes(),
            ack: segment(TcpFlags::ACK, 1, 1).bytes(),
            copy: vec![0; LEN as usize],
            told: 0,
        };
        talk.pass(Side::Client, &syn.bytes());
        talk.pass(Side::Server, &answer.bytes());
        talk.pass(Side::Client, &segment(TcpFlags::ACK, 1, 1).bytes());
        talk
    }

    fn pass(&mut self, side: Side, bytes: &[u8]) {
        let segment = TcpSegment::parse(bytes).expect("a segment in order");
        pass(&mut self.connection, &mut self.pool, side, &segment, &mut self.told);
    }

    fn say(&mut self) {
        let segment = TcpSegment::parse(&self.data).expect("a segment in order");
        pass(&mut self.connection, &mut self.pool, Side::Client, &segment, &mut self.told);
        advance(&mut self.data, 4, LEN);
    }

    fn acknowledge(&mut self, more: u32) {
        advance(&mut self.ack, 8, more);
        let segment = TcpSegment::parse(&self.ack).expect("a segment in order");
        pass(&mut self.connection, &mut self.pool, Side::Server, &segment, &mut self.told);
    }

    /// What rounds cost beside.
    fn read(&mut self) {
        advance(&mut self.data, 4, LEN);
        black_box(TcpSegment::parse(black_box(&self.data)).expect("a segment in order").payload());
    }

    fn copy(&mut self) {
        self.read();
        let payload = self.data.len() - LEN as usize;
        black_box(&mut self.copy).copy_from_slice(&self.data[payload..]);
    }

    fn sum(&mut self) {
        self.read();
        let payload = self.data.len() - LEN as usize;
        black_box(Checksum::of(&self.data[payload..]));
    }

    fn both(&mut self, pass: fn(&[u8], &mut [u8]) -> u128) {
        self.read();
        let payload = self.data.len() - LEN as usize;
        let sum = pass(&self.data[payload..], black_box(&mut self.copy));
        black_box(fused::fold(sum));
    }
}

fn advance(bytes: &mut [u8], at: usize, by: u32) {
    let field: &mut [u8; 4] = (&mut bytes[at..at + 4]).try_into().expect("four bytes");
    *field = u32::from_be_bytes(*field).wrapping_add(by).to_be_bytes();
}

#[inline(never)]
fn pass(
    connection: &mut Connection,
    pool: &mut Pool,
    side: Side,
    segment: &TcpSegment<'_>,
    told: &mut u64,
) {
    let arrival = connection.consider(pool, side, segment, NOW);
    let Arrival::Accept(accepted) = &arrival else { panic!("refused") };
    let payload = segment.payload();
    for chunk in connection.chunks(pool, accepted, payload) {
        *told += black_box(chunk.data).len() as u64;
    }
    assert!(connection.commit(pool, accepted, payload));
}

fn exchange(rounds: u64, round: fn(&mut Talk, u64)) {
    let mut talk = Talk::open();
    for number in 0..rounds {
        round(&mut talk, number);
    }
    assert!(talk.told == 0 || talk.told == rounds * u64::from(LEN));
}

fn main() -> ExitCode {
    /// Beyond the pass over the payload.
    const MOST: u64 = 150;

    let arguments: Vec<_> = std::env::args().collect();
    if let [_, "--case", case, rounds] =
        arguments.iter().map(String::as_str).collect::<Vec<_>>()[..]
    {
        let (_, run) = CASES.iter().find(|(name, _)| *name == case).expect("a known case");
        run(rounds.parse().expect("a number"));
        return ExitCode::SUCCESS;
    }
    let mut counts = Vec::new();
    for (name, _) in CASES {
        let Some(found) = count(name) else {
            eprintln!("valgrind is needed: apt-get install valgrind");
            return ExitCode::FAILURE;
        };
        counts.push(found);
    }
    let [looped, copied, summed, words, vectors, acknowledged, ref data @ ..] = counts[..] else {
        return ExitCode::FAILURE;
    };
    let pass = copied - looped;
    let acknowledgment = acknowledged - looped;
    println!("{:<48} {:>12} {:>7}", "instructions", "found", "at most");
    println!("{:<48} {pass:>12}", CASES[1].0);
    for ((name, _), found) in CASES[2..5].iter().zip([summed, words, vectors]) {
        println!("{name:<48} {:>12}", found - looped);
    }
    println!("{:<48} {acknowledgment:>12}", CASES[5].0);
    let mut over = false;
    for ((name, _), found) in CASES[6..].iter().zip(data) {
        let found = found - acknowledged - looped - pass;
        println!("{:<48} {found:>12} {MOST:>7}", format!("{name}, more than these"));
        over |= found > MOST;
    }
    if over { ExitCode::FAILURE } else { ExitCode::SUCCESS }
}
