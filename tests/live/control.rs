//! What is told to an appliance, and what it tells.

use std::time::{Duration, Instant};

use gwlb_geneve::inspect::{Verdict, packet_fn};
use gwlb_geneve::runtime::{Ailment, StartError};

use crate::common::*;
use crate::hand_over::{Gate, open, pass};

#[test]
fn a_blocked_worker_is_named_and_nobody_waits_for_it() {
    let gate = Gate::default();
    let (transports, networks) = transports(2);
    let make = {
        let gate = gate.clone();
        move || {
            let gate = gate.clone();
            packet_fn("slow", move |_, _| {
                pass(&gate);
                Verdict::PASS
            })
        }
    };
    let running = appliance(small(), make).start(transports).unwrap();
    let control = running.control();
    eventually("it is well", || control.health().is_ok());
    let (client, _) = flow(0);
    networks[0].send_all([datagram(&client, &client.udp(b"x"))]);
    eventually("one is stuck", || !control.statistics().silent.is_empty());
    let start = Instant::now();
    let statistics = control.statistics();
    assert!(start.elapsed() < Duration::from_secs(2));
    assert_eq!((statistics.silent.len(), statistics.workers.len()), (1, 2));
    let stuck = statistics.silent[0];
    eventually("health tells", || {
        let health = control.health();
        health
            .reasons
            .iter()
            .any(|reason| matches!(reason, Ailment::Stalled { worker, .. } if *worker == stuck))
    });
    assert!(control.health().to_string().contains("made no progress for"));
    open(&gate);
    settled(&control, 1);
    eventually("it is well again", || control.health().is_ok());
    control.stop();
    assert!(control.health().to_string().starts_with("stopped"));
    assert!(running.wait().unwrap().silent.is_empty());
    assert!(control.is_ending());
}

#[test]
fn an_appliance_that_cannot_be_meant_does_not_start() {
    let (transports, _networks) = transports(2);
    let error = appliance(small(), censor).workers(3).start(transports).unwrap_err();
    assert_eq!(error.to_string(), "start: expected 3 transports, found 2");
    let none: Vec<gwlb_geneve::transport::MemoryTransport> = Vec::new();
    assert!(matches!(
        appliance(small(), censor).start(none).unwrap_err(),
        StartError::Transports { expected: 1, found: 0 }
    ));
    let broken = || -> () { panic!("no rules") };
    let (transports, _networks) = crate::common::transports(1);
    let error = appliance(small(), broken).start(transports).unwrap_err();
    assert_eq!(error.to_string(), "start: expected inspectors, found a panic: no rules");
}

#[test]
fn limits_are_shared_out() {
    let (transports, _networks) = transports(4);
    let running = appliance(small(), censor).start(transports).unwrap();
    let one = {
        let (transports, _networks) = crate::common::transports(1);
        let running = appliance(small(), censor).start(transports).unwrap();
        running.control().statistics().total.memory
    };
    let four = running.control().statistics().total.memory;
    assert!(four < one * 2, "{four} {one}");
    running.control().stop();
    running.wait().unwrap();
}
