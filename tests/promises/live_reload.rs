//! Promise 6, on live traffic: a reload takes effect wholly or not at all, and flows that there are go on.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use gwlb_geneve::engine::{Flows, Settings};
use gwlb_geneve::flow::FlowLimits;
use gwlb_geneve::inspect::{Context, Inspector, Interest, Packet, Reason, Verdict};
use gwlb_geneve::transport::MemoryNetwork;

use crate::live::{appliance, datagram, drain, eventually, flow, settled, small, transports};

/// Drops what says this word.
struct Without(&'static str);

impl Inspector for Without {
    type Flow = ();
    const INTEREST: Interest = Interest::PACKETS;

    fn name(&self) -> &str {
        "without"
    }

    fn open(&mut self, _: &Packet<'_>, _: &mut Context<'_>) -> Option<()> {
        Some(())
    }

    fn packet(&mut self, (): &mut (), packet: &Packet<'_>, _: &mut Context<'_>) -> Verdict {
        if packet.payload() == self.0.as_bytes() {
            Verdict::drop(Reason::new("word"))
        } else {
            Verdict::PASS
        }
    }
}

/// Sends a word in each of these flows; which of the flows it came back in.
fn say(
    networks: &[MemoryNetwork],
    flows: std::ops::Range<usize>,
    word: &str,
    settle: &mut dyn FnMut(u64),
) -> usize {
    for number in flows.clone() {
        let (client, _) = flow(number);
        let packet = datagram(&client, &client.udp(word.as_bytes()));
        networks[number % networks.len()].send_all([packet]);
    }
    settle(flows.len() as u64);
    networks.iter().map(|network| drain(network).len()).sum()
}

#[test]
fn flows_go_on_under_what_they_began_with_unless_asked() {
    let (transports, networks) = transports(2);
    let running = appliance(small(), || Without("old")).start(transports).unwrap();
    let control = running.control();
    let mut sent = 0;
    let mut settle = |packets| {
        sent += packets;
        settled(&control, sent);
    };
    assert_eq!(say(&networks, 0..20, "good", &mut settle), 20);
    control.reload(&control.settings(), || Without("new"), Flows::Keep).unwrap();
    assert_eq!(say(&networks, 0..20, "new", &mut settle), 20);
    assert_eq!(say(&networks, 0..20, "old", &mut settle), 0);
    assert_eq!(say(&networks, 20..40, "old", &mut settle), 20);
    assert_eq!(say(&networks, 20..40, "new", &mut settle), 0);
    control.reload(&control.settings(), || Without("third"), Flows::Reopen).unwrap();
    assert_eq!(say(&networks, 0..40, "third", &mut settle), 0);
    assert_eq!(say(&networks, 0..40, "old", &mut settle), 40);
    assert_eq!(control.statistics().total.open_flows, 40);
    control.stop();
    assert!(running.wait().unwrap().is_balanced());
}

#[test]
fn settings_change_wholly_or_not_at_all() {
    let (transports, networks) = transports(2);
    let running = appliance(small(), || Without("bad")).start(transports).unwrap();
    let control = running.control();
    let mut sent = 0;
    let mut settle = |packets| {
        sent += packets;
        settled(&control, sent);
    };
    let same = |control: &gwlb_geneve::runtime::Control<Without>| control.settings().monitor;

    let flows = FlowLimits { flows: 5_000, ..small().flows };
    let bad = Settings { flows, fragments: 300, monitor: true, ..small() };
    let error = control.reload(&bad, || Without("none"), Flows::Reopen).unwrap_err();
    assert_eq!(
        error.to_string(),
        "reload: expected these settings as they were, found others: flows, fragments; they need a restart",
    );
    let broken = || -> Without { panic!("no such file") };
    let monitor = Settings { monitor: true, ..small() };
    let error = control.reload(&monitor, broken, Flows::Reopen).unwrap_err();
    assert_eq!(error.to_string(), "reload: expected inspectors, found a panic: no such file");
    assert!(!same(&control) && control.health().reasons.len() < 3);
    assert_eq!(say(&networks, 0..10, "bad", &mut settle), 0);

    control.reload(&monitor, || Without("bad"), Flows::Keep).unwrap();
    assert!(same(&control));
    assert_eq!(say(&networks, 10..20, "bad", &mut settle), 10);
    assert_eq!(control.statistics().total.counters.would, 10);
    control.stop();
    running.wait().unwrap();
}

/// Ends a sender, also where the test fails.
struct Over<'a>(&'a AtomicBool);

impl Drop for Over<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// Traffic goes on while it is reloaded again and again: nothing is lost, and no flow begins anew.
#[test]
fn under_load_nothing_is_lost() {
    const FLOWS: usize = 64;
    // Fewer than may wait for a worker, or between two of them: on a machine that is busy otherwise, a worker may get no
    // turn for long, and what it then has no room for is lost by right.
    const UNDER_WAY: u64 = 256;
    let (transports, networks) = transports(2);
    let running = appliance(small(), || Without("none")).start(transports).unwrap();
    let control = running.control();
    let (is_over, sent) = (AtomicBool::new(false), AtomicU64::new(0));
    std::thread::scope(|scope| {
        let _over = Over(&is_over);
        scope.spawn(|| {
            let (mut n, mut returned) = (0, 0);
            while !is_over.load(Ordering::Relaxed) {
                returned += networks.iter().map(|network| drain(network).len() as u64).sum::<u64>();
                if n as u64 - returned >= UNDER_WAY {
                    std::thread::sleep(Duration::from_micros(100));
                    continue;
                }
                let (client, _) = flow(n % FLOWS);
                networks[n % 2].send_all([datagram(&client, &client.udp(b"good"))]);
                n += 1;
                sent.store(n as u64, Ordering::Relaxed);
            }
        });
        eventually("all flows have begun", || control.statistics().total.open_flows == FLOWS);
        for _ in 0..20 {
            // Not while flows go on under as many sets of inspectors as there may be, nor while a worker gets no turn.
            eventually("a reload is taken", || {
                control.reload(&control.settings(), || Without("none"), Flows::Reopen).is_ok()
            });
        }
    });
    settled(&control, sent.load(Ordering::Relaxed));
    control.stop();
    let statistics = running.wait().unwrap();
    assert_eq!(statistics.total.counters.dropped(), 0);
    assert_eq!(statistics.total.flows.created, FLOWS as u64);
}
