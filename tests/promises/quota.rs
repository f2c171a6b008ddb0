//! Promise 8: one endpoint cannot use up another's quota, nor make it give up flows while it has any of its own to give up.

use gwlb_geneve::engine::{EndpointSettings, Engine, Settings};
use gwlb_geneve::flow::FlowLimits;
use gwlb_geneve::gwlb::EndpointId;
use gwlb_geneve::inspect::{Exception, Inspector, Verdict, packet_fn};

use crate::common::{POLICIES, with_policy};
use crate::support::traffic::*;

fn engine(policy: usize, limits: FlowLimits) -> Engine<impl Inspector> {
    let settings = Settings { flows: limits, ..with_policy(POLICIES[policy]) };
    Engine::new(settings, || packet_fn("pass", |_, _| Verdict::PASS)).unwrap()
}

/// The `n`th connection through an endpoint: half open, or established.
fn connection(endpoint: u64, n: u16) -> (Side, Side) {
    let client = pair().0.through(endpoint).with_port(1 + n);
    (client, client.back())
}

fn open<I: Inspector>(engine: &mut Engine<I>, (client, _): &(Side, Side)) -> Sent {
    send(engine, at(0), client, &client.tcp(SYN, 999, 0, b""))
}

/// Whether a connection that was opened is known still: its answer is none of the middle of something.
fn is_known<I: Inspector>(engine: &mut Engine<I>, (_, server): &(Side, Side)) -> bool {
    let answer = server.tcp(SYN | ACK, 4_999, 1_000, b"");
    send(engine, at(1), server, &answer).outcome.exception.is_none()
}

#[test]
fn a_quota_is_a_limit_and_a_right() {
    let limits =
        FlowLimits { flows: 64, flows_per_endpoint: 32, endpoints: 4, ..FlowLimits::default() };
    for policy in 0..2 {
        let mut engine = engine(policy, limits);
        for n in 0..32 {
            handshake(&mut engine, at(0), &connection(1, n));
        }
        // All that the first endpoint may have is established, so it gets no more.
        for n in 32..100 {
            let sent = open(&mut engine, &connection(1, n));
            assert_eq!(sent.outcome.exception, Some(Exception::FlowTableFull));
            assert_eq!(sent.is_forwarded(), policy == 1);
        }
        assert_eq!(engine.flow_counters().refused_quota, 68);
        // The other one gets all of its own, and keeps it.
        for n in 0..32 {
            handshake(&mut engine, at(0), &connection(2, n));
        }
        for n in 100..200 {
            open(&mut engine, &connection(1, n));
        }
        assert_eq!((engine.flows(), engine.flow_counters().evicted()), (64, 0));
    }
}

#[test]
fn a_flood_evicts_the_flows_of_its_own_endpoint() {
    for flows_per_endpoint in [32, usize::MAX] {
        let limits =
            FlowLimits { flows: 64, flows_per_endpoint, endpoints: 4, ..FlowLimits::default() };
        let mut engine = engine(0, limits);
        let others: Vec<_> = (0..20).map(|n| connection(2, n)).collect();
        for other in &others {
            open(&mut engine, other);
        }
        for n in 0..5_000 {
            open(&mut engine, &connection(1, n)).assert_forwarded();
        }
        for other in &others {
            assert!(is_known(&mut engine, other));
        }
        let expected = 5_000 - flows_per_endpoint.min(64 - 20);
        assert_eq!(engine.flow_counters().evicted(), expected as u64);
    }
}

/// A full table gives room to an endpoint that has none, at the cost of those who flood it.
#[test]
fn a_newcomer_finds_room_in_a_flood() {
    let limits = FlowLimits { flows: 64, endpoints: 4, ..FlowLimits::default() };
    let mut engine = engine(0, limits);
    for n in 0..1_000 {
        open(&mut engine, &connection(1, n));
    }
    let newcomer = connection(2, 7);
    handshake(&mut engine, at(0), &newcomer);
    for n in 1_000..2_000 {
        open(&mut engine, &connection(1, n));
    }
    let (client, _) = newcomer;
    let sent = send(&mut engine, at(1), &client, &client.tcp(ACK, 1_000, 5_000, b"hello"));
    sent.assert_forwarded();
    assert_eq!(sent.outcome.exception, None);
}

/// An endpoint may have a quota of its own, which can be changed under way.
#[test]
fn a_quota_of_its_own() {
    let limits =
        FlowLimits { flows: 64, flows_per_endpoint: 32, endpoints: 4, ..FlowLimits::default() };
    let with_quota = |flows| {
        let mut settings = Settings { flows: limits, ..with_policy(POLICIES[0]) };
        let special = EndpointSettings { flows, ..EndpointSettings::default() };
        settings.endpoints.insert(EndpointId(1), special);
        settings.endpoints.insert(EndpointId(2), EndpointSettings::default());
        settings
    };
    let settings = with_quota(Some(8));
    let mut engine =
        Engine::new(settings.clone(), || packet_fn("pass", |_, _| Verdict::PASS)).unwrap();
    let established = |engine: &mut Engine<_>, endpoint, numbers: core::ops::Range<u16>| {
        let before = engine.flow_counters().refused_quota;
        for n in numbers.clone() {
            let (client, server) = connection(endpoint, n);
            if send(engine, at(0), &client, &client.tcp(SYN, 999, 0, b"")).is_forwarded() {
                send(engine, at(0), &server, &server.tcp(SYN | ACK, 4_999, 1_000, b""));
                send(engine, at(0), &client, &client.tcp(ACK, 1_000, 5_000, b""));
            }
        }
        numbers.len() as u64 - (engine.flow_counters().refused_quota - before)
    };
    assert_eq!(established(&mut engine, 1, 0..20), 8);
    assert_eq!(established(&mut engine, 2, 0..40), 32);
    let change = |flows| Settings { seed: settings.seed.clone(), ..with_quota(flows) };
    engine.configure(&change(Some(12)));
    assert_eq!(established(&mut engine, 1, 20..40), 4);
    // Fewer than there are: none of them ends, and none comes.
    engine.configure(&change(Some(3)));
    assert_eq!((established(&mut engine, 1, 40..50), engine.flows()), (0, 44));
    engine.configure(&change(None));
    assert_eq!(established(&mut engine, 1, 50..90), 20);
}
