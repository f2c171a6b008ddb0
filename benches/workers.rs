//! Two workers on two threads against one: what is shared by them costs nothing if they do twice as much.
//!
//! Packets are TCP segments of 64 bytes in IPv4, 1,000 known flows for each worker, in bursts of 64 that a transport
//! in memory lends out again and again. One worker; two appliances of one worker each, which share nothing: what the
//! machine has to give; an appliance of two, whose packets come in where they belong; and the same with packets that
//! come in at either by turns, so that half of them cross over. Each round runs all four, one right after the other.
//! What two do is to be compared with what two apart do: two processors are often two threads of one core.
#![allow(missing_docs)]

use std::io;
use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant, SystemTime};

use gwlb_geneve::Timestamp;
use gwlb_geneve::engine::Settings;
use gwlb_geneve::flow::{FlowKey, FlowLimits, FlowSeed};
use gwlb_geneve::gwlb::{EndpointId, Outer, Reply};
use gwlb_geneve::inspect::{Verdict, packet_fn};
use gwlb_geneve::runtime::{Appliance, OverloadLimits, WorkerSettings};
use gwlb_geneve::transport::{Frame, Sent, Transport, TransportCounters, Waker};

#[path = "../tests/support/mod.rs"]
mod support;

use support::traffic::{ACK, Side, sides};

const BURST: usize = 64;
const FLOWS: usize = 1_024;

/// Lends out the same datagrams for ever, until it is told not to.
struct Carousel {
    datagrams: Vec<(Outer, Vec<u8>)>,
    at: usize,
    now: Timestamp,
    counters: TransportCounters,
    pending: u64,
    is_over: Arc<AtomicBool>,
}

impl Transport for Carousel {
    fn receive(&mut self, _wait: Duration) -> io::Result<usize> {
        if self.is_over.load(Ordering::Relaxed) {
            std::thread::sleep(Duration::from_micros(200));
            return Ok(0);
        }
        self.at = (self.at + BURST) % self.datagrams.len();
        self.now = now();
        self.counters.received += BURST as u64;
        Ok(BURST)
    }

    fn frames(&mut self, numbers: Range<usize>) -> impl Iterator<Item = Frame<'_>> {
        let (at, time) = (self.at, self.now);
        self.datagrams[at + numbers.start..at + numbers.end.min(BURST)]
            .iter_mut()
            .map(move |(outer, buffer)| Frame { time, outer: *outer, len: buffer.len(), buffer })
    }

    fn forward(&mut self, _number: usize, _len: usize) {
        self.pending += 1;
    }

    fn inject(&mut self, _reply: &Reply<'_>) {
        self.pending += 1;
    }

    fn send(&mut self) -> Sent {
        let sent = std::mem::take(&mut self.pending);
        self.counters.sent += sent;
        Sent { sent, ..Sent::default() }
    }

    fn counters(&self) -> &TransportCounters {
        &self.counters
    }

    fn waker(&self) -> Waker {
        Waker::default()
    }
}

fn now() -> Timestamp {
    Timestamp::from_unix(SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap())
}

/// A packet of each of the flows that belong to a worker of so many.
fn packets(worker: usize, workers: usize) -> Vec<(Outer, Vec<u8>)> {
    let side =
        |n: usize| sides(&format!("10.{}.{}.9:40000", n / 250, n % 250), "198.51.100.20:443").0;
    let packet = |side: &Side| side.tcp(ACK, 1_000, 5_000, &[b'x'; 24]);
    let is_own = |side: &Side| {
        let key = FlowKey::parse(EndpointId(1), &packet(side)).unwrap().0;
        key.owner(workers) == worker
    };
    let sides = (0..).map(side).filter(is_own).take(FLOWS);
    sides.map(|side| (side.outer(), side.envelope(&packet(&side)))).collect()
}

fn settings(workers: usize) -> Settings {
    let flows = FlowLimits { flows: 8_192 * workers, ..FlowLimits::default() };
    Settings { flows, seed: FlowSeed::from_bytes([3; 32]), ..Settings::default() }
}

/// Million packets a second that the workers of an appliance judge of these datagrams.
fn run(datagrams: Vec<Vec<(Outer, Vec<u8>)>>, time: Duration) -> (f64, f64) {
    let is_over = Arc::new(AtomicBool::new(false));
    let workers = datagrams.len();
    let transports: Vec<_> = datagrams
        .into_iter()
        .map(|datagrams| Carousel {
            datagrams,
            at: 0,
            now: now(),
            counters: TransportCounters::default(),
            pending: 0,
            is_over: is_over.clone(),
        })
        .collect();
    // Full bursts are what is wanted here, and nobody is overloaded by them.
    let (latency, full_bursts) = (Duration::MAX, u32::MAX);
    let overload = OverloadLimits { latency, full_bursts, ..OverloadLimits::default() };
    let running = Appliance::new(settings(workers), || packet_fn("pass", |_, _| Verdict::PASS))
        .worker(WorkerSettings { overload, ..WorkerSettings::default() })
        .start(transports)
        .unwrap();
    let control = running.control();
    std::thread::sleep(time / 5);
    let (before, start) = (control.statistics(), Instant::now());
    std::thread::sleep(time);
    let (after, took) = (control.statistics(), start.elapsed());
    is_over.store(true, Ordering::Relaxed);
    control.stop();
    let statistics = running.wait().unwrap();
    assert!(statistics.is_balanced());
    assert_eq!(statistics.total.open_flows, 0);
    let judged = after.total.counters.received - before.total.counters.received;
    let crossed = after.total.taken_over - before.total.taken_over;
    (judged as f64 / took.as_secs_f64() / 1e6, crossed as f64 / judged as f64)
}

fn main() {
    if !std::env::args().any(|argument| argument == "--bench") {
        return;
    }
    let time = Duration::from_millis(1_000);
    let [mut apart_to_one, mut two_to_one, mut two_to_apart, mut crossing_to_one] =
        [const { Vec::new() }; 4];
    for _ in 0..7 {
        // One right after the other, so that all see the same neighbours.
        let (one, _) = run(vec![packets(0, 1)], time);
        let apart: f64 = std::thread::scope(|scope| {
            let alone = || scope.spawn(|| run(vec![packets(0, 1)], time).0);
            [alone(), alone()].map(|alone| alone.join().unwrap()).into_iter().sum()
        });
        let (two, crossed) = run(vec![packets(0, 2), packets(1, 2)], time);
        assert!(crossed == 0.0);
        let mut mixed = vec![packets(0, 2), packets(1, 2)];
        let (first, second) = mixed.split_at_mut(1);
        let swaps = first[0].iter_mut().zip(&mut second[0]).step_by(2);
        swaps.for_each(|(a, b)| std::mem::swap(a, b));
        let (crossing, crossed) = run(mixed, time);
        println!(
            "one {one:6.2}   two apart {apart:6.2}   two {two:6.2}   two, {:.0} % crossing {crossing:6.2}   Mpps",
            crossed * 100.0,
        );
        apart_to_one.push(apart / one);
        two_to_one.push(two / one);
        two_to_apart.push(two / apart);
        crossing_to_one.push(crossing / one);
    }
    for (what, mut ratios) in [
        ("two apart to one", apart_to_one),
        ("two to one", two_to_one),
        ("two to two apart", two_to_apart),
        ("two, crossing, to one", crossing_to_one),
    ] {
        ratios.sort_by(f64::total_cmp);
        println!("{what}: {:.2} ({:.2} to {:.2})", ratios[3], ratios[0], ratios[6]);
    }
}
