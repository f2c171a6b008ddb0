//! Two workers on two threads against one: what is shared by them costs nothing if they do twice as much.
//!
//! Packets are TCP segments of 64 bytes in IPv4, 1,000 known flows for each worker, in bursts of 64 that a transport
//! in memory lends out again and again. One worker; two appliances of one worker each, which share nothing: what the
//! machine has to give; an appliance of two, of which one has nothing to do: what it costs to look whose a packet is; an
//! appliance of two, whose packets come in where they belong; and the same with packets that come in at either by turns,
//! so that half of them cross over. Each round runs all of them, one right after the other.
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
        if self.datagrams.is_empty() || self.is_over.load(Ordering::Relaxed) {
            std::thread::sleep(Duration::from_micros(200));
            return Ok(0);
        }
        self.at = (self.at + BURST) % self.datagrams.len();
        self.now = now();
        self.counters.received += BURST as u64;
        Ok(BURST)
    }

    fn is_full(&self) -> bool {
        !self.datagrams.is_empty() && !self.is_over.load(Ordering::Relaxed)
    }

    fn frames(&mut self, numbers: Range<usize>) -> impl Iterator<Item = Frame<'_>> {
        let (at, time) = (self.at, self.now);
        let end = (at + numbers.end.min(BURST)).min(self.datagrams.len());
        self.datagrams[(at + numbers.start).min(end)..end]
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
    let [mut apart_to_one, mut half_to_one, mut two_to_half, mut crossing_to_half] =
        [const { Vec::new() }; 4];
    for _ in 0..7 {
        // One right after the other, so that all see the same neighbours.
        let (one, _) = run(vec![packets(0, 1)], time);
        let apart: f64 = std::thread::scope(|scope| {
            let alone = || scope.spawn(|| run(vec![packets(0, 1)], time).0);
            [alone(), alone()].map(|alone| alone.join().unwrap()).into_iter().sum()
        });
        let (half, _) = run(vec![packets(0, 2), Vec::new()], time);
        let (two, crossed) = run(vec![packets(0, 2), packets(1, 2)], time);
        assert!(crossed == 0.0);
        let mut mixed = vec![packets(0, 2), packets(1, 2)];
        let (first, second) = mixed.split_at_mut(1);
        let swaps = first[0].iter_mut().zip(&mut second[0]).step_by(2);
        swaps.for_each(|(a, b)| std::mem::swap(a, b));
        let (crossing, crossed) = run(mixed, time);
        println!(
            "one {one:.2}   two apart {apart:.2}   one of two {half:.2}   two {two:.2}   two, {:.0} % crossing {crossing:.2}   Mpps",
            crossed * 100.0,
        );
        apart_to_one.push(apart / one);
        half_to_one.push(half / one);
        two_to_half.push(two / half);
        crossing_to_half.push(crossing / half);
    }
    for (what, mut ratios) in [
        ("two apart to one", apart_to_one),
        ("one of two to one", half_to_one),
        ("two to one of two", two_to_half),
        ("two, crossing, to one of two", crossing_to_half),
    ] {
        ratios.sort_by(f64::total_cmp);
        println!("{what}: {:.2} ({:.2} to {:.2})", ratios[3], ratios[0], ratios[6]);
    }
}
