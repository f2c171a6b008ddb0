//! Hashes of flow keys against each other.

#![allow(missing_docs)]

use std::collections::hash_map::RandomState;
use std::hash::BuildHasher;
use std::hint::black_box;

use criterion::{Criterion, criterion_group, criterion_main};
use gwlb_geneve::flow::{FlowKey, FlowSeed, Toeplitz, source_port};
use gwlb_geneve::gwlb::EndpointId;
use gwlb_geneve::packet::{Addresses, FiveTuple, IpProtocol, Ports};

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

criterion_group! {
    name = benches;
    config = Criterion::default().measurement_time(std::time::Duration::from_secs(1)).warm_up_time(std::time::Duration::from_millis(300)).sample_size(20);
    targets = hashes
}
criterion_main!(benches);
