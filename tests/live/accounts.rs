//! Every datagram has one outcome, and all of it is counted.

use std::time::Duration;

use gwlb_geneve::engine::Engine;
use gwlb_geneve::runtime::{Worker, WorkerSettings};
use gwlb_geneve::transport::{MemoryTransport, SendFailure};
use proptest::prelude::*;

use crate::common::{appliance, censor, datagram, drain, flow, now, settled, small, transports};
use crate::support::traffic::{ACK, SYN, conversations, pair, sides};

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// Whatever comes, in whatever bursts, at whichever of the workers.
    #[test]
    fn accounts_are_exact(
        arrivals in conversations(4),
        garbage in proptest::collection::vec(proptest::collection::vec(any::<u8>(), 0..90), 0..20),
        count in 1_usize..4,
        failing in any::<bool>(),
    ) {
        let (transports, networks) = transports(count);
        let running = appliance(small(), censor).start(transports).unwrap();
        for (n, arrival) in arrivals.iter().enumerate() {
            let network = &networks[n % count];
            if n == arrivals.len() / 2 {
                network.fail_sending(failing.then_some(SendFailure::Unreachable));
            }
            network.send_at(now(), arrival.outer, &arrival.payload);
        }
        let (client, _) = pair();
        garbage.iter().for_each(|bytes| networks[0].send(client.outer(), bytes));
        let sent = (arrivals.len() + garbage.len()) as u64;
        let control = running.control();
        settled(&control, sent);
        control.stop();
        let statistics = running.wait().unwrap();
        prop_assert!(statistics.is_balanced(), "{statistics:#?}");
        let total = &statistics.total;
        prop_assert_eq!(total.received(), sent);
        prop_assert_eq!(total.counters.received, sent);
        prop_assert_eq!(total.counters.received, total.counters.forwarded + total.counters.dropped());
        let came: usize = networks.iter().map(|network| drain(network).len()).sum();
        prop_assert_eq!(total.counters.sent, came as u64);
        prop_assert_eq!(total.transport.sent, came as u64);
        prop_assert_eq!(total.latency.count(), total.counters.forwarded);
    }
}

#[test]
fn endpoints_are_counted_by_name_up_to_a_limit() {
    let (transport, network) = MemoryTransport::new();
    let engine = Engine::new(small(), censor).unwrap();
    let settings = WorkerSettings { endpoints: 2, ..WorkerSettings::default() };
    let mut worker = Worker::new(transport, engine, settings);
    for (endpoint, words) in [(7, "good"), (8, "ugly"), (7, "ugly"), (9, "good"), (10, "ugly")] {
        let side = flow(0).0.through(endpoint);
        network.send_all([datagram(&side, &side.udp(words.as_bytes()))]);
    }
    assert_eq!(worker.turn(Duration::ZERO).unwrap().received, 5);
    let statistics = worker.statistics();
    let counts: Vec<_> = statistics
        .endpoints
        .iter()
        .map(|(id, it)| (id.0, it.received, it.forwarded, it.dropped(), it.bytes))
        .collect();
    assert_eq!(counts, [(7, 2, 1, 1, 64), (8, 1, 0, 1, 32)]);
    let further = &statistics.further_endpoints;
    assert_eq!((further.received, further.forwarded), (2, 1));
}

#[test]
fn the_canary_leaves_no_trace() {
    let (transport, network) = MemoryTransport::new();
    let engine = Engine::new(small(), censor).unwrap();
    let settings = WorkerSettings { canary: Duration::ZERO, ..WorkerSettings::default() };
    let mut worker = Worker::new(transport, engine, settings);
    for _ in 0..10 {
        worker.turn(Duration::ZERO).unwrap();
    }
    assert_eq!(worker.canaries(), 10);
    let statistics = worker.statistics();
    assert_eq!(statistics.counters, Default::default());
    assert_eq!((statistics.open_flows, statistics.flows), (0, Default::default()));
    assert!(statistics.endpoints.is_empty() && drain(&network).is_empty());
}

/// What it looks like is in the source code for everyone to read.
#[test]
fn nobody_can_make_the_canary_find_a_flow() {
    let (transport, network) = MemoryTransport::new();
    let settings = WorkerSettings { canary: Duration::ZERO, ..WorkerSettings::default() };
    let mut worker = Worker::new(transport, Engine::new(small(), censor).unwrap(), settings);
    let (mut client, _) = sides("192.0.2.1:9", "192.0.2.2:9");
    for endpoint in [0, 1, u64::MAX] {
        client.endpoint = endpoint;
        network.send_all([datagram(&client, &client.udp(b"canary?"))]);
    }
    for _ in 0..10 {
        worker.turn(Duration::ZERO).unwrap();
    }
    assert_eq!((worker.canaries(), worker.statistics().open_flows), (10, 3));
}

#[test]
fn order_is_kept_with_what_is_injected_behind() {
    let (transport, network) = MemoryTransport::new();
    let engine = Engine::new(small(), censor).unwrap();
    let mut worker = Worker::new(transport, engine, WorkerSettings::default());
    let (client, server) = flow(1);
    let packets = [
        client.tcp(SYN, 99, 0, b""),
        server.tcp(SYN | ACK, 499, 100, b""),
        client.tcp(ACK, 100, 500, b"bad"),
        flow(2).0.udp(b"behind"),
    ];
    network.send_all(packets.iter().map(|packet| datagram(&client, packet)));
    worker.turn(Duration::ZERO).unwrap();
    let sent = drain(&network);
    let lens: Vec<_> = sent.iter().map(|datagram| datagram.payload.len() - 40).collect();
    // Three forwarded, then a RST to each end.
    assert_eq!(lens, [40, 40, 34, 40, 40]);
    assert!(worker.statistics().is_balanced());
}
