//! Hashes of flow keys against each other; packets of flows in bursts of 32, at random, with the key made of a 5-tuple
//! and counted to the flow, against hashbrown with foldhash and entries that are counted to in the same way; flows
//! that come and go.
//!
//! `FLOW_BENCH_LARGE=1` adds four million flows, for which it needs 2.5 GB.

#![allow(missing_docs)]

use std::collections::hash_map::RandomState;
use std::hash::BuildHasher;
use std::hint::black_box;

use criterion::{Criterion, criterion_group, criterion_main};
use gwlb_geneve::Timestamp;
use gwlb_geneve::flow::{
    Direction, FlowKey, FlowLimits, FlowPhase, FlowSeed, FlowTable, FlowTimeouts, Observation,
    Relation, Toeplitz, source_port,
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

/// What an engine keeps of a flow that no inspector looks into.
type State = [u32; 7];

/// An entry of the rival, with what `L` remembers of the latest envelope in each direction.
struct Plain<L> {
    key: FlowKey,
    _first_seen: u64,
    last_seen: u64,
    packets: [u64; 2],
    bytes: [u64; 2],
    latest: [L; 2],
    phase: FlowPhase,
    state: State,
}

/// What somebody keeps who does no more than he must to answer in a flow's name, and follow it: all that the table does,
/// with the values of the envelope in each entry.
#[derive(Clone, Copy, Default, PartialEq)]
struct Whole {
    endpoint: u64,
    attachment: u64,
    lean: Lean,
    destination: u32,
    destination_port: u16,
}

/// What somebody keeps who has one load balancer, endpoint and attachment, one time-out, and neither reused ports nor
/// ICMP errors.
#[derive(Clone, Copy, Default, PartialEq)]
struct Lean {
    source: u32,
    cookie: u32,
    source_port: u16,
    tos: u8,
    ttl: u8,
}

const _: () = assert!(size_of::<Plain<Whole>>() == 208 && size_of::<Plain<Lean>>() == 152);

impl Lean {
    #[inline]
    fn of(seen: &Observation<'_>) -> Self {
        Self {
            source: seen.outer.source.into(),
            cookie: seen.envelope.cookie().0,
            source_port: seen.outer.source_port,
            tos: seen.outer.tos,
            ttl: seen.outer.ttl,
        }
    }
}

impl Whole {
    /// `None` where the header is none that can be made again from these values.
    #[inline]
    fn of(seen: &Observation<'_>) -> Option<Self> {
        (seen.envelope.header().len() == 40).then(|| Self {
            endpoint: seen.envelope.endpoint().0,
            attachment: seen.envelope.attachment().0,
            lean: Lean::of(seen),
            destination: seen.outer.destination.into(),
            destination_port: seen.outer.destination_port,
        })
    }
}

/// Nanoseconds by phase; of an answered flow for UDP, ICMP and others.
struct Timeouts([u64; 8], [u64; 3]);

impl Timeouts {
    fn new() -> Self {
        let seconds = [30, 30, 30, 350, 120, 10, 120, 120];
        black_box(Self(seconds.map(|s| s * 1_000_000_000), [120_000_000_000; 3]))
    }

    #[inline]
    fn of(&self, key: &FlowKey, phase: FlowPhase) -> u64 {
        if phase == FlowPhase::Answered {
            return match key.protocol() {
                IpProtocol::UDP => self.1[0],
                IpProtocol::ICMP | IpProtocol::ICMPV6 => self.1[1],
                _ => self.1[2],
            };
        }
        self.0[phase as usize]
    }
}

impl<L: Copy + Default> Plain<L> {
    fn new(key: FlowKey, now: Timestamp) -> Self {
        Self {
            key,
            _first_seen: now.as_nanos(),
            last_seen: now.as_nanos(),
            packets: [1; 2],
            bytes: [100; 2],
            latest: [L::default(); 2],
            phase: FlowPhase::Established,
            state: [0; 7],
        }
    }

    #[inline]
    fn count(&mut self, seen: &Observation<'_>, now: u64) {
        let way = seen.direction as usize;
        self.last_seen = now;
        self.packets[way] += 1;
        self.bytes[way] += seen.length as u64;
        if seen.flags.is_some_and(|flags| flags.intersects(TcpFlags::RST)) {
            self.phase = FlowPhase::Closed;
        } else if seen.flags.is_some_and(|flags| flags.intersects(TcpFlags::FIN)) {
            self.phase = FlowPhase::Closing;
        }
    }
}

impl Plain<Lean> {
    #[inline]
    fn observe(&mut self, seen: &Observation<'_>, now: Timestamp) -> bool {
        let now = now.as_nanos();
        let timeout = if self.phase == FlowPhase::Established { 350 } else { 30 };
        if now.saturating_sub(self.last_seen) > timeout * 1_000_000_000 {
            return false;
        }
        self.count(seen, now);
        self.latest[seen.direction as usize] = Lean::of(seen);
        true
    }
}

impl Plain<Whole> {
    /// What the table's `observe` does, for flows that nothing may evict.
    #[inline]
    fn observe(&mut self, seen: &Observation<'_>, now: Timestamp, timeouts: &Timeouts) -> bool {
        let now = now.as_nanos();
        if now.saturating_sub(self.last_seen) > timeouts.of(&self.key, self.phase) {
            return false;
        }
        if seen.relation == Relation::IcmpError {
            return true;
        }
        let latest = &mut self.latest[seen.direction as usize];
        if self.phase == FlowPhase::Closed
            && (seen.flags.is_some_and(|flags| flags.intersects(TcpFlags::SYN))
                || latest.lean.cookie != seen.envelope.cookie().0)
        {
            return false;
        }
        match Whole::of(seen) {
            Some(envelope) => *latest = envelope,
            None => return false,
        }
        self.count(seen, now);
        true
    }
}

fn key(n: u32, v6: bool) -> FlowKey {
    FlowKey::new(EndpointId(1), &tuple(n, v6)).0
}

/// Packets of flows chosen at random, a million a second.
struct Traffic {
    random: u64,
    nanos: u64,
    flows: u32,
    v6: bool,
}

impl Traffic {
    fn key(&mut self) -> FlowKey {
        self.random = self.random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        let n = ((self.random >> 32) * u64::from(self.flows)) >> 32;
        key(n as u32, self.v6)
    }

    fn now(&mut self) -> Timestamp {
        self.nanos += BURST as u64 * 1_000;
        Timestamp::from_nanos(self.nanos)
    }
}

fn header() -> Vec<u8> {
    let mut bytes = vec![8, 0, 8, 0, 0, 0, 0, 0, 1, 8, 1, 2, 0, 0, 0, 0, 0, 0, 0, 1];
    bytes.extend([1, 8, 2, 2, 0, 0, 0, 0, 0, 0, 0, 0, 1, 8, 3, 1, 0, 0, 0, 7]);
    bytes.extend([0x45, 0, 0, 20, 0, 0, 0, 0, 64, 253, 0, 0, 10, 0, 0, 1, 10, 0, 0, 2]);
    bytes
}

fn table(flows: usize) -> FlowTable<State> {
    let limits = FlowLimits { flows, bytes: 4 << 30, ..FlowLimits::default() };
    let timeouts = FlowTimeouts::default();
    FlowTable::new(&limits, &timeouts, &Profile::AWS, FlowSeed::random()).expect("a table")
}

fn look_ups(c: &mut Criterion) {
    let bytes = header();
    let envelope = Envelope::parse(&bytes, &Profile::AWS).expect("an envelope");
    let outer = Outer::new(([10, 0, 0, 1].into(), 50_000), ([10, 0, 0, 2].into(), 6081));
    let start = Timestamp::from_nanos(1_700_000_000_000_000_000);
    let seen = |direction| Observation {
        direction,
        relation: Relation::Own,
        length: 100,
        flags: Some(TcpFlags::ACK),
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
            let traffic = || Traffic { random: 1, nanos: start.as_nanos(), flows, v6 };

            let (mut table, mut packets) = (table(flows as usize), traffic());
            for n in 0..flows {
                let probe = table.probe(&key(n, v6));
                let first = seen(Direction::Forward);
                table.insert(&probe, &first, start, [0; 7], &mut |_| ()).expect("room");
                table.observe(&probe, &seen(Direction::Reverse), start, &mut |_| ());
            }
            group.bench_function("table", |b| {
                b.iter(|| {
                    let packet = black_box(seen(Direction::Forward));
                    let now = packets.now();
                    let mut probes: [_; BURST] =
                        std::array::from_fn(|_| table.probe(&packets.key()));
                    table.fetch(&mut probes);
                    for probe in &probes {
                        let id = table.observe(probe, &packet, now, &mut |_| ()).expect("a flow");
                        table.state_mut(id).expect("its state")[0] += 1;
                    }
                });
            });
            drop(table);

            let foldhash = foldhash::fast::FixedState::with_seed(7);
            let (mut packets, timeouts) = (traffic(), Timeouts::new());
            let mut inline = HashTable::<Plain<Whole>>::with_capacity(flows as usize);
            for n in 0..flows {
                let key = key(n, v6);
                inline.insert_unique(foldhash.hash_one(key), Plain::new(key, start), |_| 0);
            }
            group.bench_function("hashbrown of entries", |b| {
                b.iter(|| {
                    let packet = black_box(seen(Direction::Forward));
                    let now = packets.now();
                    let keys: [_; BURST] = std::array::from_fn(|_| packets.key());
                    let hashes = keys.map(|key| foldhash.hash_one(key));
                    for (key, hash) in keys.iter().zip(hashes) {
                        let found = inline.find_mut(hash, |plain| plain.key == *key);
                        let found = found.expect("a flow");
                        assert!(found.observe(&packet, now, &timeouts));
                        found.state[0] += 1;
                    }
                });
            });
            drop(inline);

            let mut packets = traffic();
            let mut inline = HashTable::<Plain<Lean>>::with_capacity(flows as usize);
            for n in 0..flows {
                let key = key(n, v6);
                inline.insert_unique(foldhash.hash_one(key), Plain::new(key, start), |_| 0);
            }
            group.bench_function("hashbrown of lean entries", |b| {
                b.iter(|| {
                    let packet = black_box(seen(Direction::Forward));
                    let now = packets.now();
                    let keys: [_; BURST] = std::array::from_fn(|_| packets.key());
                    let hashes = keys.map(|key| foldhash.hash_one(key));
                    for (key, hash) in keys.iter().zip(hashes) {
                        let found = inline.find_mut(hash, |plain| plain.key == *key);
                        let found = found.expect("a flow");
                        assert!(found.observe(&packet, now));
                        found.state[0] += 1;
                    }
                });
            });
            drop(inline);

            let (mut packets, timeouts) = (traffic(), Timeouts::new());
            let mut entries = Vec::with_capacity(flows as usize);
            let mut index = HashTable::<u32>::with_capacity(flows as usize);
            for n in 0..flows {
                let key = key(n, v6);
                entries.push(Plain::<Whole>::new(key, start));
                index.insert_unique(foldhash.hash_one(key), n, |_| 0);
            }
            group.bench_function("hashbrown of indices", |b| {
                b.iter(|| {
                    let packet = black_box(seen(Direction::Forward));
                    let now = packets.now();
                    let keys: [_; BURST] = std::array::from_fn(|_| packets.key());
                    let hashes = keys.map(|key| foldhash.hash_one(key));
                    for (key, hash) in keys.iter().zip(hashes) {
                        let slot = index.find(hash, |slot| entries[*slot as usize].key == *key);
                        let found = &mut entries[*slot.expect("a flow") as usize];
                        assert!(found.observe(&packet, now, &timeouts));
                        found.state[0] += 1;
                    }
                });
            });
            group.finish();
        }
    }
}

/// Flows that come and go, each with a key of its own, in a table of a million that has reached its balance.
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
    let mut group = c.benchmark_group("burst of 32 new flows");
    group.throughput(criterion::Throughput::Elements(BURST as u64));
    // Half-open ones last 30 s: 900,000 at a time, or more than there is room for.
    for (name, pause) in [("that expire", 33_333), ("that evict others", 10_000)] {
        let mut table = table(1_000_000);
        let (mut n, mut nanos) = (0_u32, 0);
        let mut next = || {
            nanos += pause * BURST as u64;
            let now = Timestamp::from_nanos(nanos);
            let mut probes: [_; BURST] = std::array::from_fn(|_| {
                n = n.wrapping_add(1);
                table.probe(&key(n, false))
            });
            table.fetch(&mut probes);
            for probe in &probes {
                assert!(table.observe(probe, &seen, now, &mut |_| ()).is_none());
                table.insert(probe, &seen, now, [0; 7], &mut |_| ()).expect("room");
            }
            table.expire(now, 4 * BURST, &mut |flow| {
                black_box(flow);
            });
        };
        (0..50_000).for_each(|_| next());
        group.bench_function(name, |b| b.iter(&mut next));
    }
    group.finish();
}

criterion_group! {
    name = benches;
    config = Criterion::default().measurement_time(std::time::Duration::from_secs(1)).warm_up_time(std::time::Duration::from_millis(300)).sample_size(20);
    targets = hashes, look_ups, turnover
}
criterion_main!(benches);
