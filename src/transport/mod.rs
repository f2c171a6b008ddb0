//! Where datagrams come from and where they go. Knows bytes and addresses, neither engines nor inspectors.
//!
//! A [`Transport`] takes in a burst of datagrams, lends them out to be judged where they lie, and sends back what it is told
//! to, in the buffers in which they came.

mod counters;
mod memory;
#[cfg(all(feature = "live", any(target_arch = "aarch64", target_arch = "x86_64")))]
mod prefetch;
#[cfg(all(feature = "udp", target_os = "linux", target_pointer_width = "64"))]
pub mod udp;

use core::ops::Range;
use core::time::Duration;
use std::io;

pub use counters::{SendFailure, SendFailures, TransportCounters};
pub use memory::{MemoryDatagram, MemoryNetwork, MemoryTransport};
#[cfg(all(feature = "live", any(target_arch = "aarch64", target_arch = "x86_64")))]
pub(crate) use prefetch::prefetch;

use crate::Timestamp;
use crate::gwlb::{Outer, Reply};

/// Asks the system to keep memory in large pages, where it can and the feature `udp` is there to ask it. Here, and not
/// beside the memory, as it takes unsafe code.
#[cfg(feature = "live")]
pub(crate) fn prefer_huge_pages(memory: [Range<*const u8>; 2]) {
    #[cfg(all(feature = "udp", target_os = "linux", target_pointer_width = "64"))]
    memory.into_iter().for_each(udp::prefer_huge_pages);
    #[cfg(not(all(feature = "udp", target_os = "linux", target_pointer_width = "64")))]
    let _ = memory;
}

/// A way in and out for the datagrams of a load balancer. It belongs to one worker.
///
/// A round goes like this: [`receive`](Self::receive) takes in what there is; [`frames`](Self::frames) lends it out;
/// [`forward`](Self::forward) says which of it goes back, [`inject`](Self::inject) adds packets of one's own; and
/// [`send`](Self::send) sends all of that. What was not forwarded is forgotten when the next round begins.
pub trait Transport: Send {
    /// Takes in a burst: how many datagrams there are in it. Waits for the first at most `wait` long, or for as long as the
    /// transport waits at most, if that is less; then, or when [woken](Self::waker), it is 0.
    ///
    /// The burst before is forgotten. What cannot be given to anyone, because it was cut off or comes from a stranger, is
    /// counted and left out.
    ///
    /// # Errors
    ///
    /// Those of the system that are not over with the next call: an interface that is gone for good, a socket that is
    /// closed. Others are counted.
    fn receive(&mut self, wait: Duration) -> io::Result<usize>;

    /// Whether the burst is as large as they come, so that more is likely to wait: by such bursts a worker knows that it has
    /// too much to do. While bursts are full [`TransportCounters::overflow`] has to be up to date, to some milliseconds; else it
    /// may be later.
    fn is_full(&self) -> bool;

    /// The datagrams of the burst with these numbers, counted from 0. Numbers beyond the burst give nothing.
    fn frames(&mut self, numbers: Range<usize>) -> impl Iterator<Item = Frame<'_>>;

    /// Datagram `number` of the burst goes back to where it came from, with `len` bytes of its buffer as payload.
    /// Numbers must come in rising order; the order in which datagrams came is the order in which they are sent.
    fn forward(&mut self, number: usize, len: usize);

    /// Sends a datagram of one's own, behind those that were forwarded so far. It is copied.
    fn inject(&mut self, reply: &Reply<'_>);

    /// Sends what was forwarded and injected since the burst was received.
    ///
    /// Each datagram is either sent, or counted in [`TransportCounters`] by the reason for which it was not.
    fn send(&mut self) -> Sent;

    /// What was received and sent since the transport was made.
    fn counters(&self) -> &TransportCounters;

    /// How much of the system's room for datagrams that wait to be received is taken, in per cent; `None`: it does not say.
    /// May take a system call.
    fn backlog(&self) -> Option<u8> {
        None
    }

    /// Ends another thread's [`receive`](Self::receive) early.
    fn waker(&self) -> Waker;
}

/// A datagram that was received, in its buffer.
#[derive(Debug)]
pub struct Frame<'a> {
    /// When it was received.
    pub time: Timestamp,
    /// Its outer header.
    pub outer: Outer,
    /// The UDP payload, and room behind it, if there is some.
    pub buffer: &'a mut [u8],
    /// Bytes of the payload.
    pub len: usize,
}

/// What became of what was to be sent.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Sent {
    /// Datagrams sent.
    pub sent: u64,
    /// Datagrams that could not be sent, by reason.
    pub failed: SendFailures,
}

/// Wakes a worker that waits for datagrams. By default there is nothing to wake.
#[derive(Clone, Debug, Default)]
pub struct Waker(Option<std::sync::Arc<dyn Wake>>);

impl Waker {
    /// A waker that calls this.
    pub fn new(wake: impl Wake + 'static) -> Self {
        Self(Some(std::sync::Arc::new(wake)))
    }

    /// Ends the wait, or the next one if there is none at the moment.
    pub fn wake(&self) {
        if let Some(wake) = &self.0 {
            wake.wake();
        }
    }
}

/// What a [`Waker`] calls.
pub trait Wake: Send + Sync + core::fmt::Debug {
    /// Ends the wait, or the next one if there is none at the moment. Must not block.
    fn wake(&self);
}
