//! Hashes of flow keys against each other, and look-ups of flows in bursts of 32, at random, with the key made of a
//! 5-tuple and the entry touched, against hashbrown with foldhash.
//!
//! `FLOW_BENCH_LARGE=1` adds four million flows, for which it needs 2.5 GB.

#![allow(missing_docs)]

use std::collections::hash_map::RandomState;
use std::hash::BuildHasher;
use std::hint::black_box;

use criterion::{Criterion, criterion_group, criterion_main};
use gwlb_geneve::Timestamp;
use gwlb_geneve::flow::{
    Direction, FlowKey, FlowLimits, FlowSeed, FlowTable, FlowTimeouts, Observation, Relation,
    Toeplitz, source_port,
};
use gwlb_geneve::gwlb::{EndpointId, Envelope, Outer, Profile};
use gwlb_geneve::packet::{Addresses, FiveTuple, IpProtocol, Ports, TcpFlags};
use hashbrown::HashTable;

fn tuple(n: u32, v6: bool) -> FiveTuple {
    let ports = Some(Ports { source: n as u16, destination: 443 });
    let addresses = if v6 {
        Addresses::V6 {
            source: (0x2001_0db8_u128 << 96 | u128::from(n >> 8)).into(),
            destination: (0x2001_0db8_0001_u128 << 80 | 1).into(),
        }
    } else {
        Addresses::V4 {
            source: (0x0a00_0000 + (n >> 8)).into(),
            destination: [192, 0, 2, 1].into(),
        }
    };
    FiveTuple { addresses, protocol: IpProtocol::TCP, ports }
}

/// From a 5-tuple, the ordering of its ends included.
fn hashes(c: &mut Criterion) {
    static RSS: Toeplitz = Toeplitz::new(&Toeplitz::DEFAULT_KEY);
    let seed = FlowSeed::random();
    let foldhash = foldhash::fast::FixedState::with_seed(7);
    let sip = RandomState::new();
    for (version, v6) in [("ipv4", false), ("ipv6", true)] {
        let tuple = tuple(77, v6);
        let key = |tuple: &FiveTuple| FlowKey::new(EndpointId(1), tuple).0;
        let mut group = c.benchmark_group(format!("hash/{version}"));
        group.bench_function("keyed", |b| b.iter(|| seed.hash(&key(black_box(&tuple)))));
        group.bench_function("foldhash", |b| b.iter(|| foldhash.hash_one(key(black_box(&tuple)))));
        group.bench_function("siphash", |b| b.iter(|| sip.hash_one(key(black_box(&tuple)))));
        group.bench_function("owner", |b| b.iter(|| key(black_box(&tuple)).owner(8)));
        group.bench_function("source_port", |b| b.iter(|| source_port(black_box(&tuple))));
        group.bench_function("toeplitz", |b| b.iter(|| RSS.hash(black_box(&tuple))));
        #[cfg(feature = "community-id")]
        group.bench_function("community_id", |b| {
            b.iter(|| gwlb_geneve::flow::CommunityId::new(0, black_box(&tuple)));
        });
        group.finish();
    }
}

const BURST: usize = 32;

/// As large as an entry of the flow table.
struct Plain {
    key: FlowKey,
    count: u64,
    _rest: [u64; 15],
}

/// The keys of a burst, chosen at random among `flows`.
fn burst(random: &mut u64, flows: u32, v6: bool) -> [FlowKey; BURST] {
    std::array::from_fn(|_| {
        *random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        let n = ((*random >> 32) * u64::from(flows)) >> 32;
        key(n as u32, v6)
    })
}

fn key(n: u32, v6: bool) -> FlowKey {
    FlowKey::new(EndpointId(1), &tuple(n, v6)).0
}

fn header() -> Vec<u8> {
    let mut bytes = vec![8, 0, 8, 0, 0, 0, 0, 0, 1, 8, 1, 2, 0, 0, 0, 0, 0, 0, 0, 1];
    bytes.extend([1, 8, 2, 2, 0, 0, 0, 0, 0, 0, 0, 0, 1, 8, 3, 1, 0, 0, 0, 7]);
    bytes.extend([0x45, 0, 0, 20, 0, 0, 0, 0, 64, 253, 0, 0, 10, 0, 0, 1, 10, 0, 0, 2]);
    bytes
}

fn look_ups(c: &mut Criterion) {
    let bytes = header();
    let envelope = Envelope::parse(&bytes, &Profile::AWS).expect("an envelope");
    let outer = Outer::new(([10, 0, 0, 1].into(), 50_000), ([10, 0, 0, 2].into(), 6081));
    let now = Timestamp::from_nanos(1_700_000_000_000_000_000);
    let seen = |direction, flags| Observation {
        direction,
        relation: Relation::Own,
        length: 100,
        flags: Some(flags),
        outer: &outer,
        envelope: &envelope,
    };
    let mut sizes = vec![1_000, 100_000, 1_000_000];
    if std::env::var_os("FLOW_BENCH_LARGE").is_some() {
        sizes.push(4_000_000);
    }
    for (version, v6) in [("ipv4", false), ("ipv6", true)] {
        for flows in sizes.iter().copied() {
            let mut group = c.benchmark_group(format!("burst of 32/{version}/{flows}"));
            group.throughput(criterion::Throughput::Elements(BURST as u64));
            let mut random = 1;

            let limits =
                FlowLimits { flows: flows as usize, bytes: 4 << 30, ..FlowLimits::default() };
            let timeouts = FlowTimeouts::default();
            let mut table =
                FlowTable::<u64>::new(&limits, &timeouts, &Profile::AWS, FlowSeed::random())
                    .expect("a table");
            for n in 0..flows {
                let probe = table.probe(&key(n, v6));
                let first = seen(Direction::Forward, TcpFlags::ACK);
                table.insert(&probe, &first, now, 0, &mut |_| ()).expect("room");
                table.observe(&probe, &seen(Direction::Reverse, TcpFlags::ACK), now, &mut |_| ());
            }
            group.bench_function("table", |b| {
                b.iter(|| {
                    let mut probes = burst(&mut random, flows, v6).map(|key| table.probe(&key));
                    table.fetch(&mut probes);
                    for probe in &probes {
                        let id = table.get(probe, now).expect("a flow");
                        *table.state_mut(id).expect("its state") += 1;
                    }
                });
            });
            group.bench_function("table, observed", |b| {
                b.iter(|| {
                    let mut probes = burst(&mut random, flows, v6).map(|key| table.probe(&key));
                    table.fetch(&mut probes);
                    for probe in &probes {
                        let packet = seen(Direction::Forward, TcpFlags::ACK);
                        let id = table.observe(probe, &packet, now, &mut |_| ()).expect("a flow");
                        *table.state_mut(id).expect("its state") += 1;
                    }
                });
            });
            drop(table);

            let foldhash = foldhash::fast::FixedState::with_seed(7);
            let mut entries = Vec::with_capacity(flows as usize);
            let mut index = HashTable::<u32>::with_capacity(flows as usize);
            for n in 0..flows {
                let key = key(n, v6);
                entries.push(Plain { key, count: 0, _rest: [0; 15] });
                index.insert_unique(foldhash.hash_one(key), n, |_| 0);
            }
            group.bench_function("hashbrown of indices", |b| {
                b.iter(|| {
                    let keys = burst(&mut random, flows, v6);
                    let hashes = keys.map(|key| foldhash.hash_one(key));
                    for (key, hash) in keys.iter().zip(hashes) {
                        let slot = index.find(hash, |slot| entries[*slot as usize].key == *key);
                        entries[*slot.expect("a flow") as usize].count += 1;
                    }
                });
            });
            drop((entries, index));

            let mut inline = HashTable::<Plain>::with_capacity(flows as usize);
            for n in 0..flows {
                let key = key(n, v6);
                let plain = Plain { key, count: 0, _rest: [0; 15] };
                inline.insert_unique(foldhash.hash_one(key), plain, |_| 0);
            }
            group.bench_function("hashbrown of entries", |b| {
                b.iter(|| {
                    let keys = burst(&mut random, flows, v6);
                    let hashes = keys.map(|key| foldhash.hash_one(key));
                    for (key, hash) in keys.iter().zip(hashes) {
                        let found = inline.find_mut(hash, |plain| plain.key == *key);
                        found.expect("a flow").count += 1;
                    }
                });
            });
            group.finish();
        }
    }
}

/// A flow that comes and goes: half-open ones pushing each other out of a full table.
fn turnover(c: &mut Criterion) {
    let bytes = header();
    let envelope = Envelope::parse(&bytes, &Profile::AWS).expect("an envelope");
    let outer = Outer::new(([10, 0, 0, 1].into(), 50_000), ([10, 0, 0, 2].into(), 6081));
    let seen = Observation {
        direction: Direction::Forward,
        relation: Relation::Own,
        length: 60,
        flags: Some(TcpFlags::SYN),
        outer: &outer,
        envelope: &envelope,
    };
    let mut group = c.benchmark_group("new flow");
    for (name, flows, pause) in
        [("that expires", 1_000_000, 100_000), ("that evicts another", 100_000, 1_000)]
    {
        let limits = FlowLimits { flows, ..FlowLimits::default() };
        let timeouts = FlowTimeouts::default();
        let mut table =
            FlowTable::<u64>::new(&limits, &timeouts, &Profile::AWS, FlowSeed::random())
                .expect("a table");
        let (mut n, mut nanos) = (0_u32, 0);
        group.bench_function(name, |b| {
            b.iter(|| {
                (n, nanos) = (n.wrapping_add(1), nanos + pause);
                let now = Timestamp::from_nanos(nanos);
                let probe = table.probe(&key(n, false));
                assert!(table.observe(&probe, &seen, now, &mut |_| ()).is_none());
                table.insert(&probe, &seen, now, 0, &mut |_| ()).expect("room");
                table.expire(now, 4, &mut |_| ());
            });
        });
    }
    group.finish();
}

criterion_group! {
    name = benches;
    config = Criterion::default().measurement_time(std::time::Duration::from_secs(1)).warm_up_time(std::time::Duration::from_millis(300)).sample_size(20);
    targets = hashes, look_ups, turnover
}
criterion_main!(benches);
