use alloc::collections::VecDeque;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::ops::Range;
use core::time::Duration;
use std::io;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Instant, SystemTime};

use super::{Frame, SendFailure, Sent, Transport, TransportCounters, Wake, Waker};
use crate::Timestamp;
use crate::gwlb::{Outer, Reply, ReplyPolicy};

/// A [`Transport`] without a network, for tests and benchmarks: what a [`MemoryNetwork`] sends comes in, and what goes out
/// is found there.
///
/// ```
/// use core::net::Ipv4Addr;
/// use core::time::Duration;
/// use gwlb_geneve::gwlb::Outer;
/// use gwlb_geneve::transport::{MemoryTransport, Transport};
///
/// let (mut transport, network) = MemoryTransport::new();
/// let outer = Outer::new((Ipv4Addr::new(10, 0, 0, 1), 40_000), (Ipv4Addr::new(10, 0, 0, 2), 6081));
/// network.send(outer, b"payload");
///
/// assert_eq!(transport.receive(Duration::ZERO)?, 1);
/// transport.forward(0, 7);
/// assert_eq!(transport.send().sent, 1);
/// let reply = network.receive(Duration::ZERO).unwrap();
/// assert_eq!((reply.outer.source, reply.payload.as_slice()), (outer.destination, &b"payload"[..]));
/// # Ok::<(), std::io::Error>(())
/// ```
#[derive(Debug)]
pub struct MemoryTransport {
    shared: Arc<Shared>,
    burst: Vec<MemoryDatagram>,
    outgoing: Vec<Outgoing>,
    counters: TransportCounters,
    policy: ReplyPolicy,
}

/// The other side of a [`MemoryTransport`]. Clones are the same network.
#[derive(Clone, Debug)]
pub struct MemoryNetwork(Arc<Shared>);

/// A datagram on its way.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MemoryDatagram {
    /// When it was sent, or received.
    pub time: Timestamp,
    /// Its outer header.
    pub outer: Outer,
    /// The UDP payload.
    pub payload: Vec<u8>,
}

/// What goes out, in order.
#[derive(Debug)]
enum Outgoing {
    Forwarded { number: usize, len: usize },
    Injected(MemoryDatagram),
}

#[derive(Debug, Default)]
struct Shared {
    queues: Mutex<Queues>,
    arrived: Condvar,
    left: Condvar,
}

#[derive(Debug, Default)]
struct Queues {
    to_transport: VecDeque<MemoryDatagram>,
    to_network: VecDeque<MemoryDatagram>,
    /// What the network sent and there was no room for.
    overflow: u64,
    is_woken: bool,
    error: Option<io::ErrorKind>,
    failure: Option<SendFailure>,
}

impl Shared {
    /// The lock is never held while foreign code runs, so that what it guards is whole also after a panic.
    fn lock(&self) -> MutexGuard<'_, Queues> {
        self.queues.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl MemoryTransport {
    /// Datagrams in a burst at most.
    pub const BURST: usize = 128;

    /// Bytes behind a received payload, for it to grow.
    pub const ROOM: usize = 256;

    /// Datagrams that wait to be received at most; what comes when there are so many is lost, and counted as
    /// [`overflow`](TransportCounters::overflow).
    pub const QUEUE: usize = 65_536;

    /// A transport and its network.
    pub fn new() -> (Self, MemoryNetwork) {
        let shared = Arc::new(Shared::default());
        let transport = Self {
            shared: Arc::clone(&shared),
            burst: Vec::new(),
            outgoing: Vec::new(),
            counters: TransportCounters::default(),
            policy: ReplyPolicy::default(),
        };
        (transport, MemoryNetwork(shared))
    }
}

impl Transport for MemoryTransport {
    fn receive(&mut self, wait: Duration) -> io::Result<usize> {
        self.burst.clear();
        self.outgoing.clear();
        let queues = self.shared.lock();
        let (mut queues, _) = self
            .shared
            .arrived
            .wait_timeout_while(queues, wait, |queues| {
                queues.to_transport.is_empty() && !queues.is_woken && queues.error.is_none()
            })
            .unwrap_or_else(PoisonError::into_inner);
        if let Some(kind) = queues.error {
            return Err(kind.into());
        }
        queues.is_woken = false;
        self.counters.overflow = queues.overflow;
        let count = queues.to_transport.len().min(Self::BURST);
        self.burst.extend(queues.to_transport.drain(..count));
        drop(queues);
        for datagram in &mut self.burst {
            let len = datagram.payload.len();
            count_in(&mut self.counters.received_bytes, len);
            datagram.payload.resize(len.saturating_add(Self::ROOM), 0);
        }
        if count > 0 {
            count_in(&mut self.counters.bursts, 1);
            count_in(&mut self.counters.received, count);
        }
        Ok(count)
    }

    fn is_full(&self) -> bool {
        self.burst.len() >= Self::BURST
    }

    fn frames(&mut self, numbers: Range<usize>) -> impl Iterator<Item = Frame<'_>> {
        let end = numbers.end.min(self.burst.len());
        let frames = self.burst.get_mut(numbers.start.min(end)..end).unwrap_or_default();
        frames.iter_mut().map(|datagram| Frame {
            time: datagram.time,
            outer: datagram.outer,
            len: datagram.payload.len().saturating_sub(Self::ROOM),
            buffer: &mut datagram.payload,
        })
    }

    fn forward(&mut self, number: usize, len: usize) {
        self.outgoing.push(Outgoing::Forwarded { number, len });
    }

    fn inject(&mut self, reply: &Reply<'_>) {
        let [_, geneve, packet] = reply.parts();
        self.outgoing.push(Outgoing::Injected(MemoryDatagram {
            time: Timestamp::EPOCH,
            outer: *reply.outer(),
            payload: [geneve, packet].concat(),
        }));
    }

    fn send(&mut self) -> Sent {
        let mut sent = Sent::default();
        let mut queues = self.shared.lock();
        for outgoing in self.outgoing.drain(..) {
            let datagram = match outgoing {
                Outgoing::Injected(datagram) => Some(datagram),
                Outgoing::Forwarded { number, len } => {
                    self.burst.get_mut(number).and_then(|received| {
                        let MemoryDatagram { time, outer, payload } = received;
                        payload.truncate(len);
                        let payload = core::mem::take(payload);
                        let outer = *Reply::new(outer, &payload, &[], &self.policy).ok()?.outer();
                        Some(MemoryDatagram { time: *time, outer, payload })
                    })
                }
            };
            let failure = queues.failure;
            match datagram.ok_or(SendFailure::TooLong).and_then(|datagram| match failure {
                Some(failure) => Err(failure),
                None => Ok(datagram),
            }) {
                Ok(datagram) => {
                    count_in(&mut sent.sent, 1);
                    count_in(&mut self.counters.sent, 1);
                    count_in(&mut self.counters.sent_bytes, datagram.payload.len());
                    queues.to_network.push_back(datagram);
                }
                Err(failure) => {
                    for failed in [&mut sent.failed, &mut self.counters.failed] {
                        failed.count(failure, 1);
                    }
                }
            }
        }
        drop(queues);
        self.shared.left.notify_all();
        sent
    }

    fn counters(&self) -> &TransportCounters {
        &self.counters
    }

    fn waker(&self) -> Waker {
        Waker::new(MemoryNetwork(Arc::clone(&self.shared)))
    }
}

impl MemoryNetwork {
    /// Sends a datagram to the transport, stamped with the system's time.
    pub fn send(&self, outer: Outer, payload: &[u8]) {
        let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        self.send_at(Timestamp::from_unix(now), outer, payload);
    }

    /// Sends a datagram to the transport, stamped with this time.
    pub fn send_at(&self, time: Timestamp, outer: Outer, payload: &[u8]) {
        self.send_all([MemoryDatagram { time, outer, payload: payload.to_vec() }]);
    }

    /// Sends datagrams to the transport, in one go.
    pub fn send_all(&self, datagrams: impl IntoIterator<Item = MemoryDatagram>) {
        let mut queues = self.0.lock();
        for datagram in datagrams {
            if queues.to_transport.len() < MemoryTransport::QUEUE {
                queues.to_transport.push_back(datagram);
            } else {
                count_in(&mut queues.overflow, 1);
            }
        }
        drop(queues);
        self.0.arrived.notify_one();
    }

    /// The next datagram that the transport has sent; `None` where none comes for `wait`.
    pub fn receive(&self, wait: Duration) -> Option<MemoryDatagram> {
        let start = Instant::now();
        let mut queues = self.0.lock();
        loop {
            if let Some(datagram) = queues.to_network.pop_front() {
                return Some(datagram);
            }
            let left = wait.saturating_sub(start.elapsed());
            if left.is_zero() {
                return None;
            }
            let waited = self.0.left.wait_timeout(queues, left);
            (queues, _) = waited.unwrap_or_else(PoisonError::into_inner);
        }
    }

    /// Datagrams that the transport has not received yet.
    pub fn waiting(&self) -> usize {
        self.0.lock().to_transport.len()
    }

    /// From now on what the transport sends fails so; `None`: it succeeds again.
    pub fn fail_sending(&self, failure: Option<SendFailure>) {
        self.0.lock().failure = failure;
    }

    /// From now on the transport cannot receive: its interface is gone.
    pub fn break_with(&self, error: io::ErrorKind) {
        self.0.lock().error = Some(error);
        self.0.arrived.notify_one();
    }
}

impl Wake for MemoryNetwork {
    fn wake(&self) {
        self.0.lock().is_woken = true;
        self.0.arrived.notify_one();
    }
}

fn count_in(counter: &mut u64, by: impl TryInto<u64>) {
    *counter = counter.wrapping_add(by.try_into().unwrap_or(u64::MAX));
}
