//! What an appliance can tell of what happens: alerts by name, the latest of them, and the flows that move most.

use std::time::Duration;

use gwlb_geneve::engine::{Disposition, Engine, EventKind};
use gwlb_geneve::inspect::{Alert, Inspector, Reason, Severity, Verdict, packet_fn};
use gwlb_geneve::runtime::{Overview, Subject, Worker, WorkerSettings};
use gwlb_geneve::transport::MemoryTransport;

use crate::common::{appliance, datagram, eventually, flow, settled, small, transports};

/// Says the first word of each packet, as a name; and drops those that say "drop".
fn parrot() -> impl Inspector {
    packet_fn("parrot", |packet, cx| {
        let text = String::from_utf8_lossy(packet.payload()).into_owned();
        let name = text.split(' ').next().unwrap_or_default().to_string();
        let is_drop = name == "drop";
        let severity = Severity::Notice;
        cx.alert(Alert { name: name.into(), message: text.into(), severity, rule: None });
        if is_drop { Verdict::drop(Reason::new("told")) } else { Verdict::PASS }
    })
}

#[test]
fn alerts_are_counted_by_name_and_the_latest_kept() {
    let (transport, network) = MemoryTransport::new();
    let engine = Engine::new(small(), parrot).unwrap();
    let mut worker = Worker::new(transport, engine, WorkerSettings::default());
    let (client, _) = flow(0);
    for n in 0..1_000 {
        let word = if n % 10 == 0 { "drop" } else { "pass" };
        network.send_all([datagram(&client, &client.udp(format!("{word} {n}").as_bytes()))]);
    }
    let mut received = 0;
    while received < 1_000 {
        received += worker.turn(Duration::ZERO).unwrap().received;
    }
    let told = worker.statistics();
    assert_eq!(told.alerts.len(), 2);
    assert_eq!((told.alerts["drop"], told.alerts["pass"]), (100, 900));
    assert_eq!(told.latest_alerts.len(), 64);
    for (alert, number) in told.latest_alerts.iter().zip(937..) {
        assert_eq!(alert.number, number);
        let EventKind::Alert(it) = &alert.what else { panic!("{alert:?}") };
        assert!(it.message.ends_with(&format!(" {}", number - 1)), "{alert:?}");
        let expected = match &*it.name {
            "drop" => (Disposition::Drop, Reason::new("told")),
            _ => (Disposition::Forward, Reason::NONE),
        };
        assert_eq!(alert.outcome, Some(expected));
        assert_eq!(alert.endpoint.0, 1);
    }

    // Names without end take memory with an end.
    for n in 0..1_000 {
        network.send_all([datagram(&client, &client.udp(format!("word-{n}").as_bytes()))]);
    }
    while received < 2_000 {
        received += worker.turn(Duration::ZERO).unwrap().received;
    }
    let told = worker.statistics();
    assert_eq!((told.alerts.len(), told.further_alerts), (256, 1_000 - 254));
    assert!(worker.statistics().is_balanced());
}

#[test]
fn the_flows_that_move_most_are_told_first() {
    let (transports, networks) = transports(2);
    let running = appliance(small(), || ()).start(transports).unwrap();
    let control = running.control();
    let mut sent = 0;
    for n in 0..600 {
        let (client, server) = flow(n);
        // Those in the middle send most.
        let packets = if (300..330).contains(&n) { 2 + n % 30 } else { 1 };
        for _ in 0..packets {
            networks[n % 2].send_all([datagram(&client, &client.udp(&[0; 500]))]);
            networks[n % 2].send_all([datagram(&server, &server.udp(&[0; 100]))]);
            sent += 2;
        }
    }
    settled(&control, sent);
    let expected: Vec<_> = (310..330).rev().map(|n| flow(n).0.from.ip()).collect();
    eventually("the table was gone through", || {
        let top = control.statistics().total.top_flows;
        top.iter().map(|it| it.key.five_tuple(it.opener).source()).eq(expected.iter().copied())
    });
    let top = control.statistics().total.top_flows;
    let first = &top[0];
    assert_eq!(first.packets, [31, 31]);
    assert_eq!(first.bytes, [31 * 528, 31 * 128]);
    assert_eq!(first.total_bytes(), 31 * 656);
    assert!(first.last_seen >= first.first_seen);
}

/// Two workers each number their own; who looks sees one row of numbers.
#[test]
fn an_overview_tells_each_alert_once() {
    let (transports, networks) = transports(2);
    let running = appliance(small(), parrot).start(transports).unwrap();
    let overview = Overview::new(running.control());
    let say = |from: usize, to: usize| {
        for n in from..to {
            let (client, _) = flow(n);
            let packet = client.udp(format!("name {n} <\"&>").as_bytes());
            networks[n % 2].send_all([datagram(&client, &packet)]);
        }
        settled(&running.control(), to as u64);
    };
    say(0, 20);
    let first = overview.alerts(0);
    assert_eq!(first.iter().map(|(number, _)| *number).collect::<Vec<_>>(), Vec::from_iter(1..=20));
    say(20, 30);
    let later = overview.alerts(20);
    assert_eq!(
        later.iter().map(|(number, _)| *number).collect::<Vec<_>>(),
        Vec::from_iter(21..=30)
    );
    assert!(overview.alerts(30).is_empty());
    let all: String = first.into_iter().chain(later).map(|(_, line)| line).collect();
    for n in 0..30 {
        assert_eq!(all.matches(&format!("name {n} <\\\"&>")).count(), 1, "{all}");
    }
    let stats = overview.stats().unwrap();
    assert!(stats.contains("\"alerts\":{\"name\":30}"), "{stats}");
    assert!(stats.contains("\"number\":30,"), "{stats}");
}
