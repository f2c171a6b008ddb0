//! A flow has one worker, wherever its packets come in.

use std::collections::BTreeSet;
use std::sync::{Arc, Condvar, Mutex};
use std::time::Duration;

use gwlb_geneve::flow::{Direction, FlowKey, Relation};
use gwlb_geneve::gwlb::EndpointId;
use gwlb_geneve::inspect::{ExceptionPolicy, Verdict, packet_fn};
use gwlb_geneve::packet::IpPacket;
use gwlb_geneve::runtime::WorkerSettings;

use crate::common::*;
use crate::support::traffic::{Side, fragments};

fn owner(side: &Side, inner: &[u8], workers: usize) -> usize {
    let tuple = IpPacket::parse(inner).unwrap().five_tuple().unwrap();
    FlowKey::new(EndpointId(side.endpoint), &tuple).0.owner(workers)
}

#[test]
fn both_directions_meet_in_order() {
    const WORKERS: usize = 3;
    const FLOWS: usize = 40;
    let log = Log::default();
    let (transports, networks) = transports(WORKERS);
    let make = {
        let log = log.clone();
        move || Witness(log.clone())
    };
    let running = appliance(small(), make).start(transports).unwrap();
    for n in 0..100_u8 {
        for number in 0..FLOWS {
            let (client, server) = flow(number);
            let there = datagram(&client, &client.udp(&[n]));
            networks[number % WORKERS].send_all([there]);
            let back = datagram(&server, &server.udp(&[n]));
            networks[(number + 1) % WORKERS].send_all([back]);
        }
    }
    let received = 100 * FLOWS as u64 * 2;
    settled(&running.control(), received);
    running.control().stop();
    let statistics = running.wait().unwrap();
    assert!(statistics.is_balanced());
    assert!(statistics.total.handed_over > received / 3, "{}", statistics.total.handed_over);
    assert_eq!(statistics.total.counters.forwarded, received);

    let log = log.lock().unwrap();
    for number in 0..FLOWS {
        let (client, _) = flow(number);
        let key = FlowKey::parse(EndpointId(1), &client.udp(b"")).unwrap().0;
        let of_flow = || log.iter().filter(|shown| shown.flow == key);
        let threads: BTreeSet<_> = of_flow().map(|shown| &*shown.thread).collect();
        let expected = format!("worker-{}", key.owner(WORKERS));
        assert_eq!(threads, BTreeSet::from([&*expected]));
        for direction in [Direction::Forward, Direction::Reverse] {
            let numbers: Vec<u8> = of_flow()
                .filter(|shown| shown.direction == direction)
                .map(|shown| shown.last)
                .collect();
            assert_eq!(numbers, (0..100).collect::<Vec<u8>>());
        }
    }
    // What comes out is what came in, at the owner's.
    for (worker, network) in networks.iter().enumerate() {
        for sent in drain(network) {
            let inner = &sent.payload[40..];
            assert_eq!(owner(&flow(0).0, inner, WORKERS), worker);
            assert_eq!(sent.outer.destination, flow(0).0.outer().source);
        }
    }
}

#[test]
fn fragments_and_errors_go_where_their_flow_is() {
    const WORKERS: usize = 4;
    let log = Log::default();
    let (transports, networks) = transports(WORKERS);
    let make = {
        let log = log.clone();
        move || Witness(log.clone())
    };
    let running = appliance(small(), make).start(transports).unwrap();
    let mut received = 0;
    for number in 0..32 {
        let (client, server) = flow(number);
        let whole = client.udp(&[7; 100]);
        let error = server.unreachable(&whole);
        let parts = fragments(&whole, number as u16, 32);
        let packets = parts.iter().map(|part| datagram(&client, part));
        received += parts.len() as u64 + 2;
        // All at one worker, as one outer source port has it; the error and the whole one at another.
        networks[number % WORKERS].send_all(packets);
        networks[(number + 1) % WORKERS].send_all([datagram(&client, &whole)]);
        settled(&running.control(), received - 1);
        networks[(number + 2) % WORKERS].send_all([datagram(&server, &error)]);
        settled(&running.control(), received);
    }
    running.control().stop();
    let statistics = running.wait().unwrap();
    assert!(statistics.is_balanced());
    assert_eq!(statistics.total.counters.forwarded, received);
    assert_eq!((statistics.directory.unknown, statistics.directory.first), (0, 32));
    let log = log.lock().unwrap();
    assert_eq!(log.len() as u64, received, "all of them known to the flow's inspectors");
    for shown in log.iter() {
        assert_eq!(shown.thread, format!("worker-{}", shown.flow.owner(WORKERS)));
        assert!(shown.flow.five_tuple(shown.direction).ports.is_some());
    }
    let errors = log.iter().filter(|shown| shown.relation == Relation::IcmpError);
    assert_eq!(errors.count(), 32);
}

/// Lets a worker go on when it is opened.
pub(crate) type Gate = Arc<(Mutex<bool>, Condvar)>;

pub(crate) fn open(gate: &Gate) {
    *gate.0.lock().unwrap() = true;
    gate.1.notify_all();
}

pub(crate) fn pass(gate: &Gate) {
    let closed = gate.0.lock().unwrap();
    drop(gate.1.wait_while(closed, |is_open| !*is_open).unwrap());
}

/// Whatever the policy: what there is no room for may belong to a flow that was refused.
#[test]
fn a_full_ring_loses_as_a_full_socket_does() {
    for policy in [ExceptionPolicy::STRICT, ExceptionPolicy::AVAILABLE] {
        let gate = Gate::default();
        let (transports, networks) = transports(2);
        let make = {
            let gate = gate.clone();
            move || {
                let gate = gate.clone();
                packet_fn("slow", move |packet, _| {
                    if packet.payload() == b"stop" {
                        pass(&gate);
                    }
                    Verdict::PASS
                })
            }
        };
        let settings = gwlb_geneve::engine::Settings { policy, ..small() };
        let worker = WorkerSettings { hand_over: 8, ..patient() };
        let running = appliance(settings, make).worker(worker).start(transports).unwrap();
        let control = running.control();
        let (client, _) = flow(0);
        let stop = client.udp(b"stop");
        let owner = owner(&client, &stop, 2);
        networks[owner].send_all([datagram(&client, &stop)]);
        eventually("it is stuck", || networks[owner].waiting() == 0);
        for _ in 0..20 {
            networks[1 - owner].send_all([datagram(&client, &client.udp(b"more"))]);
        }
        eventually("all has come", || control.statistics().workers[1 - owner].received() == 20);
        let other = control.statistics().workers[1 - owner].clone();
        assert_eq!(other.handed_over, 8);
        assert_eq!(other.counters.received, 12);
        assert_eq!(other.counters.forwarded, 0);
        let reasons: Vec<_> = other.counters.dropped_by_reason().collect();
        let reasons: Vec<_> = reasons.iter().map(|(reason, n)| (reason.name(), *n)).collect();
        assert_eq!(reasons, [("hand-over-full", 12)]);
        assert!(other.is_balanced());
        open(&gate);
        settled(&control, 21);
        // The places are free again.
        std::thread::sleep(Duration::from_millis(10));
        networks[1 - owner].send_all([datagram(&client, &client.udp(b"more"))]);
        settled(&control, 22);
        control.stop();
        let statistics = running.wait().unwrap();
        assert!(statistics.is_balanced());
        assert_eq!(statistics.total.taken_over, 9);
    }
}
