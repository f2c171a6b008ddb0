//! What goes wrong stays where it is, and is told.

use std::io;
use std::time::Duration;

use gwlb_geneve::engine::{Datagram, Engine, Output, Settings};
use gwlb_geneve::inspect::ExceptionPolicy;
use gwlb_geneve::runtime::{
    Observer, OverloadLimits, RunError, Worker, WorkerError, WorkerSettings,
};
use gwlb_geneve::transport::MemoryTransport;

use crate::common::*;

/// Panics where no engine contains it.
struct Faint;

impl Observer for Faint {
    fn judged(&mut self, datagrams: &[Datagram<'_>], _: &Output, _: &Settings) {
        let is_fatal = |datagram: &Datagram<'_>| datagram.payload().ends_with(b"fatal");
        assert!(!datagrams.iter().any(is_fatal), "of a datagram");
    }
}

#[test]
fn a_worker_that_panics_goes_on() {
    let (transports, networks) = transports(2);
    let running = appliance(small(), censor).observer(|_| Faint).start(transports).unwrap();
    let control = running.control();
    let mut sent = 0;
    for round in 0..4 {
        for number in 0..50 {
            let (client, _) = flow(number);
            let word = if number == 20 { &b"fatal"[..] } else { b"good" };
            networks[number % 2].send_all([datagram(&client, &client.udp(word))]);
            sent += 1;
        }
        settled(&control, sent);
        eventually("it went on", || control.statistics().total.restarts == round + 1);
    }
    eventually("it is well", || control.health().is_ok());
    control.stop();
    let statistics = running.wait().unwrap();
    assert!(statistics.is_balanced(), "{statistics:#?}");
    let total = &statistics.total;
    let failed: u64 = total.counters.send_failed_by_reason().map(|(_, packets)| packets).sum();
    assert!(failed >= 4 && total.counters.sent + failed == sent, "{failed} {sent}");
    assert!(total.counters.send_failed_by_reason().all(|it| it.0.name() == "worker-panic"));
}

#[test]
fn a_worker_that_panics_again_and_again_dies() {
    let (transports, networks) = transports(1);
    let running = appliance(small(), censor).observer(|_| Faint).start(transports).unwrap();
    let control = running.control();
    let (client, _) = flow(0);
    for n in 1..=6 {
        networks[0].send_all([datagram(&client, &client.udp(b"fatal"))]);
        if n < 6 {
            eventually("it went on", || control.statistics().total.restarts == n);
        }
    }
    let RunError { workers, statistics } = running.wait().unwrap_err();
    assert!(matches!(workers[..], [(0, WorkerError::Panic { times: 6, .. })]), "{workers:?}");
    assert!(statistics.is_balanced(), "{statistics:#?}");
    assert!(control.health().to_string().contains("worker 0 has died: it panicked 6 times"));
}

#[test]
fn without_one_workers_transport_the_others_go_on() {
    let (transports, networks) = transports(2);
    let settings = Settings { policy: ExceptionPolicy::STRICT, ..small() };
    let running = appliance(settings, censor).start(transports).unwrap();
    let control = running.control();
    eventually("it is well", || control.health().is_ok());
    networks[1].break_with(io::ErrorKind::NotConnected);
    eventually("it is told", || !control.health().is_ok());
    let told = control.health().to_string();
    assert!(told.starts_with("worker 1 has died: the transport cannot receive"), "{told}");
    for number in 0..100 {
        let (client, _) = flow(number);
        networks[0].send_all([datagram(&client, &client.udp(b"good"))]);
    }
    eventually("all judged", || control.statistics().workers[0].counters.received == 100);
    assert_eq!(control.statistics().silent, [1]);
    control.stop();
    let error = running.wait().unwrap_err();
    assert!(error.to_string().starts_with("worker 1 has died"), "{error}");
    let total = &error.statistics.total;
    assert!(error.statistics.is_balanced());
    // Those that were the other's, too.
    assert_eq!((total.counters.received, total.counters.forwarded), (100, 100));
}

#[test]
fn overload_sheds_new_flows_first_and_ends() {
    let (transport, network) = MemoryTransport::new();
    let engine = Engine::new(Settings { policy: ExceptionPolicy::STRICT, ..small() }, censor);
    let limits = OverloadLimits {
        latency: Duration::from_secs(5),
        calm: Duration::from_millis(300),
        ..OverloadLimits::default()
    };
    let settings = WorkerSettings { overload: limits, ..WorkerSettings::default() };
    let mut worker = Worker::new(transport, engine.unwrap(), settings);
    let mut send = |number: usize, late: bool| {
        let (client, _) = flow(number);
        let mut datagram = datagram(&client, &client.udp(b"good"));
        if late {
            let nanos = datagram.time.as_nanos() - 6_000_000_000;
            datagram.time = gwlb_geneve::Timestamp::from_nanos(nanos);
        }
        network.send_all([datagram]);
        worker.turn(Duration::ZERO).unwrap();
        worker.statistics()
    };
    // One that has waited for too long is judged as ever.
    let statistics = send(0, true);
    assert_eq!((statistics.counters.forwarded, statistics.overloaded), (1, 1));
    // Known ones go on, new ones do not.
    assert_eq!(send(0, false).counters.forwarded, 2);
    let statistics = send(1, false);
    let dropped: Vec<_> = statistics.counters.dropped_by_reason().collect();
    assert_eq!(dropped.len(), 1);
    assert_eq!((dropped[0].0.name(), dropped[0].1), ("overload", 1));
    std::thread::sleep(Duration::from_millis(320));
    assert_eq!(send(0, false).overloaded, 0);
    let statistics = send(1, false);
    assert_eq!((statistics.counters.forwarded, statistics.overloads), (4, 1));
}
