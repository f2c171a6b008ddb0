//! Promise 6: a reload changes no flow that there is, unless that is asked for, and one that fails changes nothing.

use std::sync::{Arc, Mutex};

use gwlb_geneve::engine::{Engine, Flows, Output, ReloadError};
use gwlb_geneve::inspect::{
    Beginning, BuildError, CloseReason, Context, Inspector, Interest, Packet, Reason, Verdict,
};

use crate::common::{says, small};
use crate::support::traffic::*;

type Log = Arc<Mutex<Vec<String>>>;

/// Writes down what it is asked, and rejects "bad".
struct Clerk {
    name: &'static str,
    interest_twice: bool,
    log: Log,
}

impl Inspector for Clerk {
    type Flow = u32;
    const INTEREST: Interest = Interest::PACKETS.and(Interest::END);

    fn name(&self) -> &str {
        self.name
    }

    fn members(&self, visit: &mut dyn FnMut(gwlb_geneve::inspect::Member<'_>)) {
        let member = gwlb_geneve::inspect::Member { name: self.name, interest: Self::INTEREST };
        visit(member);
        if self.interest_twice {
            visit(member);
        }
    }

    fn open(&mut self, first: &Packet<'_>, _cx: &mut Context<'_>) -> Option<u32> {
        let how = if first.beginning() == Beginning::Seen { "seen" } else { "midstream" };
        self.log.lock().unwrap().push(format!("{} opens, {how}", self.name));
        Some(0)
    }

    fn packet(&mut self, seen: &mut u32, packet: &Packet<'_>, _cx: &mut Context<'_>) -> Verdict {
        *seen += 1;
        self.log.lock().unwrap().push(format!("{} packet {seen}", self.name));
        if says(packet, "bad") { Verdict::reject(Reason::new("bad")) } else { Verdict::PASS }
    }

    fn close(&mut self, seen: u32, why: CloseReason, _cx: &mut Context<'_>) {
        self.log.lock().unwrap().push(format!("{} closes after {seen}, {why:?}", self.name));
    }
}

fn clerk(name: &'static str, log: &Log) -> impl FnMut() -> Clerk + Send + 'static {
    let log = log.clone();
    move || Clerk { name, interest_twice: false, log: log.clone() }
}

#[track_caller]
fn assert_log(log: &Log, expected: &[&str]) {
    assert_eq!(core::mem::take(&mut *log.lock().unwrap()), expected);
}

fn hello<I: Inspector>(engine: &mut Engine<I>, port: u16) -> Sent {
    let client = pair().0.with_port(port);
    send(engine, at(0), &client, &client.udp(b"hello"))
}

#[test]
fn kept_flows_go_on_under_the_inspectors_that_they_began_under() {
    let log = Log::default();
    let mut engine = Engine::new(small(), clerk("old", &log)).unwrap();
    hello(&mut engine, 1);
    engine.reload(clerk("new", &log), Flows::Keep).unwrap();
    hello(&mut engine, 1);
    hello(&mut engine, 2);
    let expected = ["old opens, seen", "old packet 1", "old packet 2", "new opens, seen"];
    assert_log(&log, &[&expected[..], &["new packet 1"]].concat());
    assert_eq!(engine.generations(), 2);
    engine.drain(at(1), &mut Output::new());
    assert_eq!(engine.generations(), 1, "no flow is left under the old ones");
}

#[test]
fn reopened_flows_are_midstream_and_refused_ones_stay_refused() {
    let log = Log::default();
    let mut engine = Engine::new(small(), clerk("old", &log)).unwrap();
    hello(&mut engine, 1);
    let bad = pair().0.with_port(2);
    send(&mut engine, at(0), &bad, &bad.udp(b"bad")).assert_refused("bad");
    log.lock().unwrap().clear();
    engine.reload(clerk("new", &log), Flows::Reopen).unwrap();
    assert_log(&log, &[]);
    hello(&mut engine, 1).assert_forwarded();
    let expected = ["old closes after 1, Reloaded", "new opens, midstream", "new packet 1"];
    assert_log(&log, &expected);
    assert_eq!(engine.generations(), 1);
    hello(&mut engine, 2).assert_refused("bad");
    hello(&mut engine, 1);
    assert_log(&log, &["new packet 2"]);
}

#[test]
fn inspectors_that_cannot_be_meant_change_nothing() {
    let log = Log::default();
    let mut engine = Engine::new(small(), clerk("old", &log)).unwrap();
    hello(&mut engine, 1);
    for flows in [Flows::Keep, Flows::Reopen] {
        let bad = {
            let log = log.clone();
            move || Clerk { name: "twice", interest_twice: true, log: log.clone() }
        };
        let error = engine.reload(bad, flows).unwrap_err();
        let expected = BuildError::SameName { name: "twice".into() };
        assert_eq!(error, ReloadError::Inspectors(expected));
        hello(&mut engine, 1);
        hello(&mut engine, 2);
    }
    assert_eq!(engine.generations(), 1);
    let log = log.lock().unwrap();
    assert!(log.iter().all(|line| line.starts_with("old")), "{log:?}");
    assert_eq!(log.iter().filter(|line| line.ends_with("seen")).count(), 2);
}

#[test]
fn only_so_many_generations_live() {
    let log = Log::default();
    let mut engine = Engine::new(small(), clerk("first", &log)).unwrap();
    for port in 1..=7 {
        hello(&mut engine, port);
        engine.reload(clerk("next", &log), Flows::Keep).unwrap();
    }
    hello(&mut engine, 8);
    assert_eq!(engine.generations(), 8);
    for flows in [Flows::Keep, Flows::Reopen] {
        let error = engine.reload(clerk("one too many", &log), flows).unwrap_err();
        assert_eq!(error, ReloadError::TooMany { most: 8 });
    }
    log.lock().unwrap().clear();
    for port in 1..=8 {
        hello(&mut engine, port).assert_forwarded();
    }
    assert!(log.lock().unwrap().iter().all(|line| line.ends_with("packet 2")), "{log:?}");
    // They end with time.
    engine.expire(at(1_000), &mut Output::new());
    assert_eq!(engine.generations(), 1);
    engine.reload(clerk("late", &log), Flows::Keep).unwrap();
}
