//! Promise 2: the order of packets is kept: inspectors see them as they arrive, and outcomes are in that order.

use std::sync::{Arc, Mutex};

use gwlb_geneve::engine::Engine;
use gwlb_geneve::gwlb::{Envelope, Profile};
use gwlb_geneve::inspect::{Exception, Inspector, Verdict, packet_fn};
use proptest::prelude::*;

use crate::common::{POLICIES, with_policy};
use crate::support::generate::census;
use crate::support::traffic::*;

type Log = Arc<Mutex<Vec<u16>>>;

/// Writes down the number of each packet that it sees, and passes it.
fn witness(log: Log) -> impl Inspector {
    packet_fn("witness", move |packet, _| {
        log.lock().unwrap().push(number(packet.ip().bytes()));
        Verdict::PASS
    })
}

/// What inspectors saw, and what they must have seen: what was forwarded, but for errors about no known flow.
fn seen(arrivals: &[Arrival], policy: usize, burst: usize) -> (Vec<u16>, Vec<u16>) {
    let log = Log::default();
    let make = {
        let log = log.clone();
        move || witness(log.clone())
    };
    let mut engine = Engine::new(with_policy(POLICIES[policy]), make).unwrap();
    let course = run(&mut engine, arrivals, burst);
    let forwarded = course.outcomes.iter().zip(&course.payloads).filter(|(outcome, _)| {
        outcome.disposition.is_forward() && outcome.exception != Some(Exception::UnknownIcmpError)
    });
    let inner = |payload| Envelope::parse(payload, &Profile::AWS).unwrap().inner();
    let expected = forwarded.map(|(_, payload)| number(inner(payload))).collect();
    let seen = log.lock().unwrap().clone();
    (seen, expected)
}

proptest! {
    #[test]
    fn inspectors_see_packets_as_they_arrive(
        arrivals in conversations(150),
        policy in 0..2_usize,
        burst in 1..100_usize,
    ) {
        let (seen, expected) = seen(&arrivals, policy, burst);
        prop_assert_eq!(&seen, &expected);
        prop_assert!(seen.is_sorted());
    }
}

#[test]
fn the_traffic_has_something_of_everything() {
    let counts = census(&conversations(150), 60, |arrivals| {
        let (seen, _) = seen(&arrivals, 1, 64);
        seen.len() * 4 / (arrivals.len() + 1)
    });
    // In quarters of what arrived: most of it is inspected, but not all.
    assert!(counts.get(&3).copied().unwrap_or(0) > 30, "{counts:?}");
}

/// Fragments and an error about the flow stand in line with its whole packets.
#[test]
fn fragments_and_errors_stand_in_line() {
    let (client, server) = pair();
    for burst in [1, 2, 3, 64] {
        let mut inner = vec![(client, client.udp(b"first")), (server, server.udp(b"second"))];
        inner.extend(
            fragments(&client.udp(&[b'x'; 64]), 9, 24).into_iter().map(|part| (client, part)),
        );
        inner.push((server, server.unreachable(&client.udp(b"first"))));
        inner.push((client, client.udp(b"last")));
        let arrivals: Vec<_> =
            inner.iter().map(|(side, inner)| side.arrival(at(0), inner)).collect();
        let log = Arc::new(Mutex::new(Vec::new()));
        let make = {
            let log = log.clone();
            move || {
                let log = log.clone();
                packet_fn("witness", move |packet, _| {
                    log.lock().unwrap().push((*packet.flow(), packet.ip().bytes().to_vec()));
                    Verdict::PASS
                })
            }
        };
        let mut engine = Engine::new(with_policy(POLICIES[0]), make).unwrap();
        run(&mut engine, &arrivals, burst);
        let log = log.lock().unwrap();
        assert!(log.iter().all(|(flow, _)| *flow == log[0].0), "all of one flow");
        assert!(log.iter().map(|(_, inner)| inner).eq(inner.iter().map(|(_, inner)| inner)));
    }
}
