//! Promise 3: memory has a hard cap: an engine takes what it says when it is made, and nothing on top, whatever comes.
//!
//! Allocations are counted thread by thread. With debug assertions the floods are shorter: 300,000 flows instead of
//! ten million.

use std::hint::black_box;
use std::time::Duration;

use gwlb_geneve::Timestamp;
use gwlb_geneve::engine::{Datagram, Engine, Output, Settings};
use gwlb_geneve::flow::{FlowLimits, FlowTimeouts};
use gwlb_geneve::inspect::{Inspector, Verdict, packet_fn};

use crate::common::{censor, small};
use crate::support::traffic::*;

const FLOOD: u32 = if cfg!(debug_assertions) { 300_000 } else { 10_000_000 };

/// What an engine may take beside the memory that it speaks of: lists of a burst, inspectors, names of reasons.
const BESIDE: u64 = 64 << 10;

/// Makes an engine, within the memory that it speaks of, and says how much that took.
fn made<I: Inspector>(settings: Settings, make: fn() -> I) -> (Engine<I>, u64) {
    let mut made = None;
    let count = allocation_counter::measure(|| made = Some(Engine::new(settings, make).unwrap()));
    let engine = made.unwrap();
    let most = engine.memory() as u64 + BESIDE;
    assert!(count.bytes_max <= most, "{} > {most}", count.bytes_max);
    (engine, count.bytes_max)
}

/// Does something to an engine, which must neither take more memory nor lose count.
fn holds<I: Inspector>((engine, took): &mut (Engine<I>, u64), work: impl FnOnce(&mut Engine<I>)) {
    let count = allocation_counter::measure(|| work(engine));
    let most = engine.memory() as u64 + BESIDE;
    assert!(*took + count.bytes_max <= most, "{took} + {} > {most}", count.bytes_max);
    assert!(engine.counters().is_balanced(), "{:?}", engine.counters());
    let flows = engine.flow_counters();
    let gone = flows.expired() + flows.evicted() + flows.reused + flows.removed + flows.drained;
    assert_eq!(flows.created, engine.flows() as u64 + gone, "{flows:?}");
}

fn pass() -> impl Inspector {
    packet_fn("pass", |_, _| Verdict::PASS)
}

/// So many packets take a microsecond each.
fn micros(n: u32) -> Timestamp {
    Timestamp::from_nanos(START + u64::from(n) * 1_000)
}

/// Sends a burst of 64 again and again, each datagram changed and timed by `next`, which is given its number.
fn flood<I: Inspector>(
    engine: &mut Engine<I>,
    template: &Arrival,
    packets: u32,
    mut next: impl FnMut(u32, &mut [u8]) -> Timestamp,
) {
    let mut payloads = vec![template.payload.clone(); 64];
    let mut output = Output::new();
    let mut sent = 0;
    while sent < packets {
        let mut times = [Timestamp::EPOCH; 64];
        for (n, payload) in (sent..).zip(&mut payloads) {
            times[(n - sent) as usize] = next(n, payload);
        }
        let mut datagrams: Vec<_> = payloads
            .iter_mut()
            .zip(times)
            .map(|(payload, time)| Datagram::new(time, template.outer, payload))
            .collect();
        engine.process(&mut datagrams, &mut output);
        let forwarded = output.outcomes().iter().filter(|outcome| outcome.disposition.is_forward());
        engine.sent((forwarded.count() + output.injected().len()) as u64);
        sent += 64;
    }
}

fn strangers(inner: &[u8]) -> Arrival {
    let side = pair().0;
    let strangers = Strangers::new(&side, inner);
    Arrival { time: at(0), outer: strangers.outer(), payload: strangers.payload(0) }
}

#[test]
fn under_a_flood_of_syns() {
    let syns = strangers(&pair().0.tcp(SYN, 1, 0, b""));
    let mut engine = made(small(), pass);
    holds(&mut engine, |engine| {
        flood(engine, &syns, FLOOD, |n, payload| {
            Strangers::write(payload, n);
            micros(n)
        });
    });
    let (engine, _) = engine;
    assert!(engine.flow_counters().created >= u64::from(FLOOD), "they were flows of their own");
    assert_eq!(engine.flows(), 4_096);
}

/// First fragments, and others whose first never comes.
#[test]
fn under_a_flood_of_fragments() {
    let datagram = pair().0.udp(&[b'x'; 64]);
    for part in 0..2 {
        let mut template = strangers(&datagram);
        let parts = fragments(&template.payload[40..], 7, 32);
        template.payload.splice(40.., parts[part].iter().copied());
        let mut engine = made(small(), pass);
        holds(&mut engine, |engine| {
            flood(engine, &template, FLOOD / 4, |n, payload| {
                let [a, b, c, d] = n.to_be_bytes();
                payload[52..56].copy_from_slice(&[c, d, !c, !d]);
                if part == 0 {
                    payload[60..64].copy_from_slice(&[a, b, !a, !b]);
                }
                micros(n)
            });
        });
        let counters = engine.0.fragment_counters();
        let counted = [counters.first + counters.no_room, counters.unknown][part];
        assert!(counted >= u64::from(FLOOD / 4), "{counters:?}");
    }
}

#[test]
fn with_a_hundred_thousand_endpoints() {
    for endpoints in [16, 100_000] {
        let flows = FlowLimits { endpoints, ..small().flows };
        let mut engine = made(Settings { flows, ..small() }, pass);
        let template = strangers(&pair().0.udp(b"hello"));
        holds(&mut engine, |engine| {
            flood(engine, &template, 100_032, |n, payload| {
                payload[12..20].copy_from_slice(&u64::from(n + 1).to_be_bytes());
                micros(n)
            });
        });
        assert_eq!(engine.0.flows(), endpoints.min(4_096));
    }
}

#[test]
fn with_a_million_flows() {
    let million = if cfg!(debug_assertions) { 1 << 16 } else { 1 << 20 };
    let flows = FlowLimits { flows: million, ..FlowLimits::default() };
    let mut engine = made(Settings { flows, ..small() }, pass);
    let template = strangers(&pair().0.udp(b"hello"));
    holds(&mut engine, |engine| {
        flood(engine, &template, million as u32, |n, payload| {
            Strangers::write(payload, n);
            micros(n)
        });
        assert_eq!(engine.flows(), million);
        engine.expire(at(1_000), &mut Output::new());
        assert_eq!(engine.flows(), 0);
    });
}

/// GENEVE headers that are not the usual ones are kept whole, and counted with the rest.
#[test]
fn with_headers_that_nobody_uses() {
    let mut template = strangers(&pair().0.udp(b"hello"));
    template.payload[0] += 8;
    let option = [&[0xff, 0xff, 1, 7][..], &[9; 28]].concat();
    template.payload.splice(40..40, option);
    let flows = FlowLimits { header_bytes: 256 << 10, ..small().flows };
    let mut engine = made(Settings { flows, ..small() }, pass);
    holds(&mut engine, |engine| {
        flood(engine, &template, 50_048, |n, payload| {
            Strangers::write(&mut payload[32..], n);
            micros(n)
        });
    });
    assert!(engine.0.flow_counters().headers_dropped > 0);
}

/// A clock that jumps by years to and fro, a table of one flow, time-outs of nothing.
#[test]
fn whatever_the_clock_and_the_limits() {
    let nothing = Duration::ZERO;
    let none = FlowTimeouts {
        tcp_half_open: nothing,
        tcp_established: nothing,
        tcp_closing: nothing,
        tcp_closed: nothing,
        udp: nothing,
        icmp: nothing,
        other: nothing,
        unanswered: nothing,
    };
    for timeouts in [FlowTimeouts::default(), none] {
        for flows in [1, 2, 4_096] {
            let flows = FlowLimits { flows, ..small().flows };
            let settings = Settings { flows, timeouts, fragments: 1, ..small() };
            let mut engine = made(settings, pass);
            let template = strangers(&pair().0.tcp(SYN, 1, 0, b""));
            holds(&mut engine, |engine| {
                flood(engine, &template, 20_032, |n, payload| {
                    Strangers::write(payload, n);
                    match n % 1_000 {
                        0 => Timestamp::MAX,
                        1 => Timestamp::EPOCH,
                        2 => at(1 << 28),
                        _ => micros(n),
                    }
                });
                engine.expire(Timestamp::MAX, &mut Output::new());
                engine.expire(Timestamp::EPOCH, &mut Output::new());
            });
        }
    }
}

/// Established flows, whoever looks at them, and answers to one that was refused: nothing is allocated.
#[test]
fn steady_state_allocates_nothing() {
    fn try_with<I: Inspector>(make: fn() -> I) {
        let mut engine = Engine::new(small(), make).unwrap();
        let sides @ (client, server) = pair();
        handshake(&mut engine, at(0), &sides);
        let (bad, dns) = (client.with_port(9), client.with_port(53));
        send(&mut engine, at(0), &bad, &bad.tcp(SYN, 1, 0, b""));
        send(&mut engine, at(0), &bad, &bad.tcp(ACK, 2, 1, b"bad"));
        let inner = [
            (client, client.tcp(ACK, 1_000, 5_000, b"question")),
            (server, server.tcp(ACK, 5_000, 1_008, b"answer")),
            (dns, dns.udp(b"question")),
            (dns.back(), dns.back().udp(b"answer")),
            (bad, bad.tcp(ACK, 5, 1, b"more")),
            (server, server.unreachable(&client.tcp(ACK, 1_000, 5_000, b""))),
        ];
        let mut output = Output::new();
        for round in 0..20_u64 {
            let mut arrivals: Vec<_> =
                inner.iter().map(|(side, inner)| side.arrival(at(round), inner)).collect();
            let mut burst: Vec<_> = arrivals
                .iter_mut()
                .map(|arrival| Datagram::new(arrival.time, arrival.outer, &mut arrival.payload))
                .collect();
            let count = allocation_counter::measure(|| {
                engine.process(black_box(&mut burst), &mut output);
            });
            assert_eq!(output.outcomes().len(), inner.len());
            if round > 3 {
                assert_eq!(count.count_total, 0, "round {round}");
                assert!(output.injected().len() > 0, "the dead flow is answered");
            }
        }
    }
    try_with(censor);
    try_with(|| (censor(), pass()));
    try_with(|| {
        let mut chain = gwlb_geneve::inspect::Chain::new();
        chain.push(censor()).unwrap();
        chain.push(pass()).unwrap();
        chain
    });
}
