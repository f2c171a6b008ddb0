//! A worker's turn allocates nothing for a packet, once everything that it needs has been there.

use std::hint::black_box;
use std::io;
use std::ops::Range;
use std::time::Duration;

use gwlb_geneve::engine::Engine;
use gwlb_geneve::gwlb::{Outer, Reply};
use gwlb_geneve::runtime::{Worker, WorkerSettings};
use gwlb_geneve::transport::{Frame, Sent, Transport, TransportCounters, Waker};

use crate::common::{censor, flow, now, patient, small};
use crate::support::traffic::ACK;

/// Lends out the same datagrams again and again.
struct Carousel {
    datagrams: Vec<(Outer, Vec<u8>)>,
    counters: TransportCounters,
    forwarded: u64,
}

impl Transport for Carousel {
    fn receive(&mut self, _wait: Duration) -> io::Result<usize> {
        self.counters.received += self.datagrams.len() as u64;
        Ok(self.datagrams.len())
    }

    fn is_full(&self) -> bool {
        true
    }

    fn frames(&mut self, numbers: Range<usize>) -> impl Iterator<Item = Frame<'_>> {
        let time = now();
        let datagrams = self.datagrams[numbers].iter_mut();
        datagrams.map(move |(outer, buffer)| Frame {
            time,
            outer: *outer,
            len: buffer.len(),
            buffer,
        })
    }

    fn forward(&mut self, _number: usize, _len: usize) {
        self.forwarded += 1;
    }

    fn inject(&mut self, reply: &Reply<'_>) {
        panic!("nothing is rejected: {reply:?}");
    }

    fn send(&mut self) -> Sent {
        let sent = std::mem::take(&mut self.forwarded);
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

#[test]
fn a_turn_in_steady_state_allocates_nothing() {
    // Flows that pass, one that is dropped, and what is no packet at all: more than are judged together.
    let datagrams = (0..100).map(|n| {
        let (client, _) = flow(n);
        let says: &[u8] = if n % 10 == 3 { b"this is ugly" } else { b"this is good" };
        let mut payload = client.envelope(&client.tcp(ACK, 1_000, 5_000, says));
        if n % 10 == 7 {
            payload.truncate(45);
        }
        (client.outer(), payload)
    });
    let counters = TransportCounters::default();
    let carousel = Carousel { datagrams: datagrams.collect(), counters, forwarded: 0 };
    let engine = Engine::new(small(), censor).unwrap();
    let settings = WorkerSettings { canary: Duration::MAX, ..patient() };
    let mut worker = Worker::new(carousel, engine, settings);
    for _ in 0..10 {
        worker.turn(Duration::ZERO).unwrap();
    }
    let before = worker.transport().counters().sent;
    let count = allocation_counter::measure(|| {
        for _ in 0..200 {
            black_box(worker.turn(Duration::ZERO).unwrap());
        }
    });
    assert_eq!((count.count_total, count.bytes_total), (0, 0));
    assert_eq!(worker.transport().counters().sent - before, 200 * 80);
}
