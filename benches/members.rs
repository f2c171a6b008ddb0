//! Instructions per packet through the whole engine, and what each inspector in a composition adds to them when it does
//! nothing: counted by callgrind, as `instructions` counts. 64 known flows of TCP over IPv4, packets of 64 bytes, in
//! bursts of 64; and 32 flows with 1,460 bytes and their acknowledgment each.
//!
//! `cargo bench --bench members` prints the table and fails above the limits; it needs valgrind.

#![allow(missing_docs)]

#[path = "support/callgrind.rs"]
mod callgrind;
#[path = "../tests/support/mod.rs"]
mod support;

use std::hint::black_box;
use std::process::ExitCode;
use std::sync::Arc;

use callgrind::count;
use gwlb_geneve::engine::{Checksums, Datagram, Engine, Outcome, Output, Settings};
use gwlb_geneve::flow::FlowSeed;
use gwlb_geneve::inspect::{Chain, Inspector, Interest, Verdict, packet_fn, stream_fn};
use gwlb_geneve::inspectors::anomaly::Action::{Alert, Ignore};
use gwlb_geneve::inspectors::anomaly::{AnomalyInspector, AnomalyRules, Event};
use gwlb_geneve::inspectors::rate::{Of, Per, RateInspector, RateLimits, RateRule};
use support::traffic::{ACK, at, handshake, settings, sides};

const FLOWS: u16 = 64;

/// A name, and what runs so many bursts.
type Case = (&'static str, fn(u64));

const CASES: &[Case] = &[
    ("bypassed flow", |rounds| {
        bursts(rounds, settings(), || packet_fn("a", |_, _| Verdict::PASS_FLOW));
    }),
    ("closure", |rounds| bursts(rounds, settings(), || pass("a"))),
    ("closure, checksums ignored", |rounds| bursts(rounds, unchecked(), || pass("a"))),
    ("tuple of 1", |rounds| bursts(rounds, settings(), || (pass("a"),))),
    ("tuple of 5", |rounds| {
        bursts(rounds, settings(), || (pass("a"), pass("b"), pass("c"), pass("d"), pass("e")));
    }),
    ("rate: a rule, in hand", |rounds| bursts(rounds, settings(), rate(1, false))),
    ("rate: 4 rules, in hand", |rounds| bursts(rounds, settings(), rate(4, false))),
    ("rate: a rule, one token at a time", |rounds| bursts(rounds, settings(), rate(1, true))),
    ("anomaly, headers alone", |rounds| bursts(rounds, settings(), anomaly)),
    ("chain of 1", |rounds| bursts(rounds, settings(), || chain(1))),
    ("chain of 5", |rounds| bursts(rounds, settings(), || chain(5))),
    ("data and acknowledgments, closure", |rounds| exchanges(rounds, || pass("a"))),
    ("data and acknowledgments, stream", |rounds| {
        exchanges(rounds, || {
            stream_fn("a", |chunk, _| {
                black_box(chunk.data);
                Verdict::PASS
            })
        });
    }),
];

fn pass(name: &'static str) -> impl Inspector {
    packet_fn(name, |_, _| Verdict::PASS)
}

fn chain(members: usize) -> Chain {
    let mut chain = Chain::new();
    for name in ["a", "b", "c", "d", "e"].into_iter().take(members) {
        chain.push(pass(name)).expect("a name of its own");
    }
    chain
}

/// Limits that are never reached, of the source; where no seat is left, each token is taken by itself.
fn rate(rules: usize, no_seat: bool) -> impl FnMut() -> RateInspector + Send + 'static {
    let rule = RateRule::new(Per::Source, Of::Packets, RateRule::MOST);
    let seed = FlowSeed::from_bytes([7; 32]);
    let limits = RateLimits::new(vec![rule; rules], RateLimits::DEFAULT_BUCKETS, seed);
    let limits = Arc::new(limits.expect("limits in order"));
    let others = if no_seat { 32 } else { 0 };
    let seats: Vec<_> = (0..others).map(|_| RateInspector::new(Arc::clone(&limits))).collect();
    move || {
        let _ = &seats;
        RateInspector::new(Arc::clone(&limits))
    }
}

fn anomaly() -> AnomalyInspector {
    let rules = AnomalyRules::all(Ignore);
    let rules = Event::ALL.iter().fold(rules, |rules, event| match event.is_of_messages() {
        true => rules,
        false => rules.with(*event, Alert),
    });
    AnomalyInspector::new(rules)
}

fn unchecked() -> Settings {
    Settings { checksums: Checksums::Ignore, ..settings() }
}

fn bursts<I: Inspector>(rounds: u64, settings: Settings, make: impl FnMut() -> I + Send + 'static) {
    let mut engine = Engine::new(settings, make).expect("settings in order");
    let flows = (0..FLOWS).map(|n| sides(&format!("10.1.0.10:{}", 40_000 + n), "10.2.0.20:443"));
    let mut payloads = Vec::new();
    for flow in flows {
        handshake(&mut engine, at(0), &flow);
        let (client, _) = flow;
        let segment = client.tcp(ACK, 1_000, 5_000, &[b'x'; 24]);
        payloads.push((client, client.envelope(&segment)));
    }
    let mut burst: Vec<Datagram<'_>> = payloads
        .iter_mut()
        .map(|(side, payload)| Datagram::new(at(1), side.outer(), payload))
        .collect();
    let mut output = Output::new();
    for _ in 0..rounds {
        engine.process(&mut burst, &mut output);
        assert!(output.outcomes().iter().all(|outcome| outcome.disposition.is_forward()));
    }
}

/// In half as many flows, 1,460 bytes that are next in order and their acknowledgment; checksums are ignored, since numbers are written
/// over others in place.
fn exchanges<I: Inspector>(rounds: u64, make: impl FnMut() -> I + Send + 'static) {
    /// Where the header of TCP stands behind those of GENEVE and IPv4, and its numbers in it.
    const TCP: usize = 40 + 20;
    const SEQUENCE: usize = TCP + 4;
    const ACKNOWLEDGMENT: usize = TCP + 8;
    const LEN: u32 = 1_460;

    let mut engine = Engine::new(unchecked(), make).expect("settings in order");
    let mut payloads = Vec::new();
    for n in 0..FLOWS / 2 {
        let flow = sides(&format!("10.1.0.10:{}", 40_000 + n), "10.2.0.20:443");
        handshake(&mut engine, at(0), &flow);
        let (client, server) = flow;
        let data = client.tcp(ACK, 1_000, 5_000, &[b'x'; LEN as usize]);
        let ack = server.tcp(ACK, 5_000, 1_000 + LEN, &[]);
        payloads.push((client, client.envelope(&data), SEQUENCE));
        payloads.push((server, server.envelope(&ack), ACKNOWLEDGMENT));
    }
    let mut output = Output::new();
    for _ in 0..rounds {
        let mut burst: Vec<Datagram<'_>> = payloads
            .iter_mut()
            .map(|(side, payload, _)| Datagram::new(at(1), side.outer(), payload))
            .collect();
        engine.process(&mut burst, &mut output);
        let is_plain =
            |outcome: &Outcome| outcome.disposition.is_forward() && outcome.exception.is_none();
        assert!(output.outcomes().iter().all(is_plain));
        for (_, payload, field) in &mut payloads {
            let number = payload[*field..].first_chunk_mut().expect("a number");
            *number = u32::from_be_bytes(*number).wrapping_add(LEN).to_be_bytes();
        }
    }
    // Forwarded without an exception by connections that are followed to the end: all of it was in order.
    let followed = if I::INTEREST.contains(Interest::STREAM) { FLOWS / 2 } else { 0 };
    assert_eq!(engine.streams().connections, usize::from(followed));
}

fn main() -> ExitCode {
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
        counts.push((*name, found as f64 / f64::from(FLOWS)));
    }
    println!("{:<48} {:>12} {:>7}", "instructions per packet", "found", "at most");
    for (name, found) in &counts {
        println!("{name:<48} {found:>12.1}");
    }
    let of = |case: &str| {
        counts.iter().find(|(known, _)| *known == case).map_or(f64::NAN, |(_, found)| *found)
    };
    let further = |kind| (of(&format!("{kind} of 5")) - of(&format!("{kind} of 1"))) / 4.0;
    let exchanged = |what| of(&format!("data and acknowledgments, {what}"));
    let mut over = false;
    for (name, found, most) in [
        ("each further member of a tuple", further("tuple"), 3.0),
        ("each further member of a chain", further("chain"), 40.0),
        ("bytes in order, remembered", exchanged("stream") - exchanged("closure"), 550.0),
    ] {
        println!("{name:<48} {found:>12.1} {most:>7.0}");
        over |= found.is_nan() || found > most;
    }
    if over { ExitCode::FAILURE } else { ExitCode::SUCCESS }
}
