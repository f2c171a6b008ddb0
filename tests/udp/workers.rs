//! What workers make of what the kernel says: an appliance of several at one port, of which one dies; and what is lost.
#![cfg(feature = "live")]

use std::ops::ControlFlow;
use std::time::Duration;

use gwlb_geneve::engine::{Datagram, Engine, Output, Settings};
use gwlb_geneve::packet::Checksum;
use gwlb_geneve::runtime::{
    Appliance, Observer, OverloadLimits, RunError, Worker, WorkerError, WorkerSettings,
};
use gwlb_geneve::transport::udp::{UdpSettings, UdpTransport};

use crate::network::{Scene, may_run, until};
use crate::paths::settings;

/// Panics where no engine contains it.
struct Faint;

impl Observer for Faint {
    fn judged(&mut self, datagrams: &[Datagram<'_>], _: &Output, _: &Settings) {
        let is_fatal = |datagram: &Datagram<'_>| datagram.payload().ends_with(b"fatal");
        assert!(!datagrams.iter().any(is_fatal), "of a datagram");
    }
}

/// UDP from this port, in the envelope of a load balancer.
fn datagram(port: u16, word: &[u8; 5]) -> Vec<u8> {
    let mut packet = vec![0x45, 0, 0, 33, 0, 0, 0, 0, 64, 17, 0, 0, 10, 1, 0, 1, 10, 2, 0, 2];
    let checksum = Checksum::of(&packet).to_be_bytes();
    packet[10..12].copy_from_slice(&checksum);
    packet.extend(port.to_be_bytes());
    packet.extend([0, 7, 0, 13, 0, 0]);
    packet.extend(word);
    let header = [8, 0, 8, 0, 0, 0, 0, 0, 1, 8, 1, 2, 0, 0, 0, 0, 0, 0, 0, 5, 1, 8, 2, 2];
    [&header[..], &[0; 8], &[1, 8, 3, 1, 1, 2, 3, 4], &packet].concat()
}

#[test]
fn the_flows_of_a_worker_that_dies_pass_through_the_other() {
    if !may_run() {
        return;
    }
    let scene = Scene::new(1_500);
    let node = scene.node();
    let open = || UdpTransport::open_group(&settings(None), 2).unwrap();
    let transports = scene.appliance.run(open);
    let appliance = Appliance::new(Settings::default(), || ()).quiet(Duration::from_millis(50));
    let running = appliance.observer(|_| Faint).start(transports).unwrap();
    let control = running.control();
    let wait_for = |is_so: &dyn Fn() -> bool| {
        until(|| if is_so() { ControlFlow::Break(()) } else { ControlFlow::Continue(()) });
    };
    let all_come_back = || {
        for port in 1..=40 {
            node.send(&datagram(port, b"hello"));
            assert_eq!(node.reply(), datagram(port, b"hello"));
        }
    };
    all_come_back();
    let both = control.statistics().workers;
    assert!(both.iter().all(|worker| worker.open_flows > 0), "{both:#?}");

    for times in 1..=6 {
        node.send(&datagram(1, b"fatal"));
        if times < 6 {
            wait_for(&|| control.statistics().total.restarts == times);
        }
    }
    wait_for(&|| control.health().to_string().contains("has died: it panicked 6 times"));
    all_come_back();
    control.stop();
    let RunError { workers, statistics } = running.wait().unwrap_err();
    assert!(matches!(workers[..], [(_, WorkerError::Panic { times: 6, .. })]), "{workers:?}");
    assert!(statistics.is_balanced(), "{statistics:#?}");
    assert_eq!(statistics.total.received(), 86);
    assert_eq!(statistics.total.counters.sent, 80);
}

/// The kernel counts what has a wrong checksum with what it has no room for, and it is asked only now and then: what it says
/// when a burst is full may be about datagrams that came long before.
#[test]
fn a_flood_overloads_a_worker_and_wrong_checksums_before_a_full_burst_do_not() {
    if !may_run() {
        return;
    }
    let scene = Scene::new(1_500);
    let node = scene.node();
    // Room for some hundreds.
    let buffers = UdpSettings { merge: false, receive_buffer: 256 << 10, ..settings(None) };
    let engine = Engine::new(Settings::default(), || ()).unwrap();
    // No other sign than what is lost.
    let overload = OverloadLimits {
        latency: Duration::from_secs(3_600),
        full_bursts: u32::MAX,
        ..OverloadLimits::default()
    };
    let settings = WorkerSettings { overload, ..WorkerSettings::default() };
    let mut worker = Worker::new(scene.open(buffers), engine, settings);
    let send = |count: u16| (0..count).for_each(|port| node.send(&datagram(port, b"hello")));
    let mut receive = |count: u16, is_enough: &dyn Fn(usize, u64) -> bool| {
        until(|| {
            send(count);
            let received = worker.turn(Duration::from_millis(20)).unwrap().received;
            match is_enough(received, worker.statistics().overloads) {
                true => ControlFlow::Break(worker.statistics()),
                false => ControlFlow::Continue(()),
            }
        })
    };
    receive(1, &|received, _| received > 0);
    node.send_damaged();
    receive(1, &|received, _| received > 0);
    std::thread::sleep(Duration::from_millis(60));
    let statistics = receive(200, &|received, _| received == 128);
    assert_eq!((statistics.transport.overflow, statistics.overloads), (1, 0));
    let statistics = receive(1_000, &|_, overloads| overloads > 0);
    assert!(statistics.transport.overflow > 1);
}
