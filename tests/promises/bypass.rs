//! The panic switch: everything passes as it came, all of it is counted, and afterwards the engine knows what it did not see.

use gwlb_geneve::engine::{Disposition, Engine, Output, Settings};
use gwlb_geneve::inspect::{
    Beginning, Context, Exception, ExceptionPolicy, Inspector, Interest, Packet, Reason, Verdict,
    packet_fn,
};

use crate::common::{censor, says, small, with_policy};
use crate::support::traffic::*;

/// Everything that a strict engine refuses, and why.
fn refused() -> Vec<(Side, Vec<u8>, &'static str)> {
    let (client, _) = pair();
    let mut damaged = client.tcp(SYN, 1, 0, b"");
    *damaged.last_mut().unwrap() ^= 1;
    vec![
        (client, client.udp(b"bad"), "bad-word"),
        (client, client.udp(b"bad again"), "bad-word"),
        (client, damaged, "tcp-checksum"),
        (client, client.tcp(ACK, 7, 7, b"midstream"), "midstream"),
        (client, vec![0x45, 0, 0, 99], "ipv4-truncated"),
        (client.through(9), client.udp(b"x"), "unknown-endpoint"),
    ]
}

fn strict() -> Settings {
    let mut settings = with_policy(ExceptionPolicy::STRICT);
    settings.endpoints.insert(gwlb_geneve::gwlb::EndpointId(1), Default::default());
    settings
}

#[test]
fn everything_passes_as_it_came_and_is_counted() {
    let mut engine = Engine::new(strict(), censor).unwrap();
    for (side, packet, why) in refused() {
        let sent = send(&mut engine, at(0), &side, &packet);
        assert!(!sent.is_forwarded(), "{why}");
    }
    let before = engine.counters().clone();
    engine.bypass(true);
    engine.bypass(true);
    for (side, packet, why) in refused() {
        let sent = send(&mut engine, at(1), &side, &packet);
        sent.assert_forwarded();
        assert_eq!(sent.payload, side.envelope(&packet), "{why}");
        assert!(sent.injected.is_empty() && sent.events.is_empty());
    }
    let now = engine.counters();
    let count = refused().len() as u64;
    assert_eq!(now.bypassed, count);
    assert_eq!((now.forwarded - before.forwarded, now.dropped()), (count, before.dropped()));
    assert!(now.is_balanced());
    // What is in no envelope is nobody's.
    let mut garbage = *b"no GENEVE at all, of no load balancer";
    let mut output = Output::new();
    let (client, _) = pair();
    let datagram = gwlb_geneve::engine::Datagram::new(at(1), client.outer(), &mut garbage);
    engine.process(&mut [datagram], &mut output);
    assert_eq!(output.outcomes()[0].exception, Some(Exception::MalformedEnvelope));
    assert!(engine.counters().is_balanced());
    assert!(engine.canary(at(2), &mut output), "it judges its own packet all the same");
    engine.bypass(false);
    for (side, packet, why) in refused() {
        assert!(!send(&mut engine, at(3), &side, &packet).is_forwarded(), "{why}");
    }
}

/// Says how each flow that it is shown began, by refusing it.
struct Reporter;

impl Inspector for Reporter {
    type Flow = Beginning;
    const INTEREST: Interest = Interest::PACKETS;

    fn name(&self) -> &str {
        "reporter"
    }

    fn open(&mut self, first: &Packet<'_>, _: &mut Context<'_>) -> Option<Beginning> {
        Some(first.beginning())
    }

    fn packet(&mut self, how: &mut Beginning, packet: &Packet<'_>, _: &mut Context<'_>) -> Verdict {
        match how {
            _ if !says(packet, "how?") => Verdict::PASS,
            Beginning::Seen => Verdict::drop(Reason::new("seen")),
            Beginning::Midstream => Verdict::drop(Reason::new("midstream")),
            Beginning::Reopened => Verdict::drop(Reason::new("reopened")),
            _ => Verdict::drop(Reason::new("unknown")),
        }
    }
}

#[test]
fn what_began_unseen_is_midstream_and_what_was_known_is_opened_anew() {
    let mut engine = Engine::new(small(), || Reporter).unwrap();
    let known = pair();
    handshake(&mut engine, at(0), &known);
    let unseen = (known.0.with_port(50_000), known.0.with_port(50_000).back());
    engine.bypass(true);
    handshake(&mut engine, at(1), &unseen);
    assert_eq!(engine.flows(), 1, "it was not looked for a flow");
    engine.bypass(false);
    let after = (known.0.with_port(60_000), known.0.with_port(60_000).back());
    handshake(&mut engine, at(2), &after);
    for ((client, _), how) in [(known, "reopened"), (unseen, "midstream"), (after, "seen")] {
        let data = client.tcp(ACK | PSH, 1_000, 5_000, b"how?");
        send(&mut engine, at(2), &client, &data).assert_refused(how);
    }
    // Where flows have to begin with a SYN, those that did so unseen have not.
    let mut engine = Engine::new(with_policy(ExceptionPolicy::STRICT), || Reporter).unwrap();
    engine.bypass(true);
    handshake(&mut engine, at(0), &known);
    engine.bypass(false);
    let data = known.0.tcp(ACK, 1_000, 5_000, b"on");
    let sent = send(&mut engine, at(0), &known.0, &data);
    sent.assert_refused("midstream");
    assert_eq!(sent.injected.len(), 1, "its sender is told");
}

/// A megabyte went by unseen: the numbers from before would make the engine disbelieve the end of the connection, and
/// reset its receiver at the wrong byte.
#[test]
fn where_the_bytes_are_is_learnt_anew() {
    let mut engine = Engine::new(small(), censor).unwrap();
    let (client, server) = pair();
    handshake(&mut engine, at(0), &(client, server));
    engine.bypass(true);
    for n in 0..1_000 {
        let data = client.tcp(ACK, 1_000 + n * 1_000, 5_000, &[b'x'; 1_000]);
        send(&mut engine, at(1), &client, &data).assert_forwarded();
    }
    engine.bypass(false);
    let (next, back) = (1_001_000, 6_000);
    let data = client.tcp(ACK | PSH, next, back, b"good");
    send(&mut engine, at(2), &client, &data).assert_forwarded();
    let bad = client.tcp(ACK | PSH, next + 4, back, b"bad");
    let sent = send(&mut engine, at(2), &client, &bad);
    assert_eq!(sent.outcome.disposition, Disposition::Reject);
    let numbers: Vec<_> =
        sent.injected.iter().map(|(_, _, rst)| segment(rst).sequence_number()).collect();
    assert_eq!(numbers, [next + 4, back]);

    let mut engine = Engine::new(small(), censor).unwrap();
    handshake(&mut engine, at(0), &(client, server));
    engine.bypass(true);
    engine.bypass(false);
    let data = client.tcp(ACK, next, back, b"good");
    send(&mut engine, at(2), &client, &data).assert_forwarded();
    let end = client.tcp(RST, next + 4, 0, b"");
    send(&mut engine, at(2), &client, &end).assert_forwarded();
    engine.expire(at(20), &mut Output::new());
    assert_eq!(engine.flows(), 0, "its end was believed");
}

#[test]
fn refused_flows_stay_refused() {
    let mut engine = Engine::new(small(), censor).unwrap();
    let (client, _) = pair();
    let hello = client.udp(b"never");
    send(&mut engine, at(0), &client, &hello).assert_refused("never-word");
    engine.bypass(true);
    send(&mut engine, at(1), &client, &hello).assert_forwarded();
    engine.bypass(false);
    send(&mut engine, at(2), &client, &client.udp(b"innocent")).assert_refused("never-word");
}

#[test]
fn an_inspector_that_panics_is_not_asked() {
    let make = || packet_fn("broken", |_, _| -> Verdict { panic!("always") });
    let mut engine = Engine::new(small(), make).unwrap();
    engine.bypass(true);
    let (client, _) = pair();
    for _ in 0..10 {
        send(&mut engine, at(0), &client, &client.udp(b"x")).assert_forwarded();
    }
    assert_eq!(engine.counters().panics, 0);
}

#[cfg(feature = "live")]
mod live {
    use std::time::Duration;

    use super::super::live::{appliance, censor, datagram, drain, eventually, flow, small};
    use super::super::live::{settled, transports};

    /// While packets come, it is thrown again and again: none is lost, doubled or counted wrong.
    #[test]
    fn workers_take_it_up_under_traffic() {
        let (transports, networks) = transports(2);
        let running = appliance(small(), censor).start(transports).unwrap();
        let control = running.control();
        let send = |word: &str, n: usize| {
            let (client, _) = flow(n);
            networks[n % 2].send_all([datagram(&client, &client.udp(word.as_bytes()))]);
        };
        let mut sent = 0;
        for round in 0..40 {
            assert!(control.bypass(round % 2 == 0));
            assert!(!control.bypass(round % 2 == 0), "it was so already");
            for n in 0..50 {
                send("this is ugly", n);
                sent += 1;
            }
        }
        assert!(!control.bypass(false));
        settled(&control, sent);
        let statistics = control.statistics();
        let counters = &statistics.total.counters;
        assert_eq!(counters.bypassed, counters.forwarded);
        assert_eq!(counters.bypassed + counters.dropped(), sent);

        assert!(control.bypass(true) && control.bypassed_for().is_some());
        eventually("both have heard", || control.statistics().total.bypassed == 2);
        let before = control.statistics().total.counters.forwarded;
        for n in 0..100 {
            send("this is ugly", n);
        }
        settled(&control, sent + 100);
        assert_eq!(control.statistics().total.counters.forwarded - before, 100);
        eventually("it is well", || control.health().is_ok());
        control.bypass(false);
        eventually("both have heard", || control.statistics().total.bypassed == 0);
        send("this is ugly", 0);
        settled(&control, sent + 101);
        assert_eq!(control.statistics().total.counters.forwarded - before, 100);
        control.stop();
        assert!(running.wait().unwrap().is_balanced());
        let came: usize = networks.iter().map(|network| drain(network).len()).sum();
        assert_eq!(came as u64, before + 100);
    }

    #[test]
    fn inspectors_that_fail_do_not_fail_health_while_nobody_asks_them() {
        let (transports, networks) = transports(1);
        let broken = || {
            gwlb_geneve::inspect::packet_fn("broken", |_, _| -> gwlb_geneve::inspect::Verdict {
                panic!("always")
            })
        };
        let settings = gwlb_geneve::engine::Settings { unhealthy_after: 1, ..small() };
        let worker = gwlb_geneve::runtime::WorkerSettings {
            canary: Duration::from_millis(5),
            ..super::super::live::patient()
        };
        let running = appliance(settings, broken).worker(worker).start(transports).unwrap();
        let control = running.control();
        eventually("it is well", || control.health().is_ok());
        let (client, _) = flow(0);
        networks[0].send_all([datagram(&client, &client.udp(b"x"))]);
        eventually("it is not", || !control.health().is_ok());
        control.bypass(true);
        eventually("it is well again", || control.health().is_ok());
        control.bypass(false);
        eventually("it is not again", || !control.health().is_ok());
    }
}
