//! The engine with an inspector that does nothing: what judging costs beside inspection.
//!
//! Packets are TCP segments of 64 bytes in IPv4, both directions of each flow in turn, in bursts of 64. Beside the
//! engine, in the same run: the flow table alone (`table`), and a plain loop that only parses and hashes (`parse`).
#![allow(missing_docs)]

use std::hint::black_box;
use std::time::Duration;

use criterion::measurement::WallTime;
use criterion::{BenchmarkGroup, Criterion, Throughput, criterion_group, criterion_main};
use gwlb_geneve::engine::{Checksums, Datagram, Engine, Output, Settings};
use gwlb_geneve::flow::{EndpointGroups, FlowLimits, FlowSeed};
use gwlb_geneve::gwlb::{Envelope, Profile};
use gwlb_geneve::inspect::{Chain, Inspector, ParsedPacket, Verdict, packet_fn};

#[path = "../tests/support/mod.rs"]
mod support;

use support::traffic::{ACK, SYN, Side, at, at_millis, sides};

const BURST: usize = 64;

fn settings(flows: usize) -> Settings {
    Settings {
        flows: FlowLimits { flows, bytes: 1 << 30, ..FlowLimits::default() },
        seed: FlowSeed::from_bytes([3; 32]),
        ..Settings::default()
    }
}

fn client(flow: usize) -> (Side, Side) {
    let [_, a, b, c] = (flow as u32 / 50_000).to_be_bytes();
    let address = format!("10.{a}.{b}.{c}:{}", 1_024 + flow % 50_000);
    sides(&address, "198.51.100.20:443")
}

/// One packet of each flow, to or fro, in an order that no cache can foresee.
fn packets(flows: usize) -> Vec<(Side, Vec<u8>)> {
    let mut order: Vec<usize> = (0..flows).collect();
    let mut random = 0x9e37_79b9_7f4a_7c15_u64;
    for n in (1..flows).rev() {
        random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        order.swap(n, (random >> 33) as usize % (n + 1));
    }
    let packet = |flow: usize| {
        let (client, server) = client(flow);
        let side = if flow % 2 == 0 { client } else { server };
        let (seq, ack) = if flow % 2 == 0 { (1_000, 5_000) } else { (5_000, 1_000) };
        (side, side.envelope(&side.tcp(ACK, seq, ack, &[b'x'; 24])))
    };
    order.into_iter().map(packet).collect()
}

fn with_engine<I: Inspector>(
    group: &mut BenchmarkGroup<'_, WallTime>,
    name: &str,
    flows: usize,
    settings: Settings,
    make: impl FnMut() -> I + Send + 'static,
) {
    let mut engine = Engine::new(settings, make).unwrap();
    let mut output = Output::new();
    for flow in 0..flows {
        let (client, server) = client(flow);
        for (side, flags, seq, ack) in
            [(client, SYN, 999, 0), (server, SYN | ACK, 4_999, 1_000), (client, ACK, 1_000, 5_000)]
        {
            let mut payload = side.envelope(&side.tcp(flags, seq, ack, b""));
            engine.process(&mut [Datagram::new(at(0), side.outer(), &mut payload)], &mut output);
        }
    }
    let mut packets = packets(flows);
    let mut datagrams: Vec<Datagram<'_>> = packets
        .iter_mut()
        .map(|(side, payload)| Datagram::new(at(1), side.outer(), payload))
        .collect();
    group.throughput(Throughput::Elements(datagrams.len() as u64));
    group.bench_function(name, |bencher| {
        bencher.iter(|| {
            for burst in datagrams.chunks_mut(BURST) {
                engine.process(burst, &mut output);
                assert_eq!(output.outcomes().len(), burst.len());
            }
        });
    });
    let counters = engine.counters();
    assert_eq!(counters.received, counters.forwarded);
    assert_eq!(engine.flows(), flows);
}

fn pass() -> impl Inspector {
    packet_fn("pass", |_, _| Verdict::PASS)
}

fn known_flows(criterion: &mut Criterion) {
    for flows in [1_000, 100_000, 1_000_000] {
        let mut group = criterion.benchmark_group(format!("engine/{flows}"));
        group.sample_size(20).measurement_time(Duration::from_secs(5));
        let packets = packets(flows);
        group.throughput(Throughput::Elements(flows as u64));
        group.bench_function("parse", |bencher| {
            let seed = FlowSeed::from_bytes([3; 32]);
            let groups = EndpointGroups::default();
            bencher.iter(|| {
                for (_, payload) in &packets {
                    let envelope = Envelope::parse(payload, &Profile::AWS).unwrap();
                    let packet = ParsedPacket::of(envelope, &groups).unwrap();
                    black_box(seed.hash(&packet.flow().key));
                }
            });
        });
        drop(packets);
        with_engine(&mut group, "closure", flows, settings(flows), pass);
        with_engine(&mut group, "bypassed", flows, settings(flows), || {
            packet_fn("done", |_, _| Verdict::PASS_FLOW)
        });
        let unchecked = Settings { checksums: Checksums::Ignore, ..settings(flows) };
        with_engine(&mut group, "closure, checksums ignored", flows, unchecked, pass);
        with_engine(&mut group, "chain", flows, settings(flows), || {
            let mut chain = Chain::new();
            chain.push(pass()).unwrap();
            chain
        });
        group.finish();
    }
}

/// A SYN for each of a million flows, which end by their time-out.
fn new_flows(criterion: &mut Criterion) {
    const FLOWS: usize = 1_000_000;
    let mut group = criterion.benchmark_group("engine/new");
    group.sample_size(10).measurement_time(Duration::from_secs(10));
    group.throughput(Throughput::Elements(FLOWS as u64));
    let mut syns: Vec<(Side, Vec<u8>)> = (0..FLOWS)
        .map(|flow| {
            let (client, _) = client(flow);
            (client, client.envelope(&client.tcp(SYN, 999, 0, b"")))
        })
        .collect();
    let mut engine = Engine::new(settings(FLOWS), pass).unwrap();
    let mut output = Output::new();
    let mut start = 0;
    group.bench_function("created and expired", |bencher| {
        bencher.iter(|| {
            start += 1_000_000;
            for (n, burst) in syns.chunks_mut(BURST).enumerate() {
                let time = at_millis(start + n as u64 / 16);
                let mut datagrams: Vec<Datagram<'_>> = burst
                    .iter_mut()
                    .map(|(side, payload)| Datagram::new(time, side.outer(), payload))
                    .collect();
                engine.process(&mut datagrams, &mut output);
            }
            engine.expire(at_millis(start + 500_000), &mut output);
        });
    });
    assert_eq!(engine.flows(), 0);
    group.finish();
}

criterion_group!(benches, known_flows, new_flows);
criterion_main!(benches);
