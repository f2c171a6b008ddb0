use alloc::vec::Vec;

use crate::inspect::{Exception, Reason};

/// What an engine has done since it was made. All of them only grow.
///
/// Every datagram has one outcome, and everything that is to be sent has one end, once the caller has told of it
/// ([`sent`](super::Engine::sent), [`send_failed`](super::Engine::send_failed)):
/// `received = forwarded + dropped()` and `forwarded + injected = sent + send_failed()`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Counters {
    /// Datagrams given to the engine.
    pub received: u64,
    /// Those to be sent back, edited ones among them.
    pub forwarded: u64,
    /// Those to be sent back that were changed, by a rewriter or for their maximum segment size.
    pub edited: u64,
    /// Those forwarded that would have been dropped or rejected, had the engine not been told to monitor only.
    pub would: u64,
    /// Those forwarded that nobody looked at, since everything was to [pass](super::Engine::bypass).
    pub bypassed: u64,
    /// Packets of the engine's and the inspectors' own.
    pub injected: u64,
    /// Answers to refused packets that were not given, because there were too many of them.
    pub answers_withheld: u64,
    /// Packets that an inspector wanted to send in a flow without an envelope.
    pub injections_lost: u64,
    /// Datagrams and packets that the caller has sent.
    pub sent: u64,
    /// Panics of inspectors and rewriters.
    pub panics: u64,
    /// Times that an inspector took too long.
    pub over_budget: u64,
    /// Flows that the table had, but that began anew.
    pub replaced: u64,
    /// Connections, half-open or over, that made room for others among those whose bytes are put in order.
    pub places_given_up: u64,
    dropped: Reasons,
    send_failed: Reasons,
    exceptions: [u64; Exception::ALL.len()],
}

impl Counters {
    /// Datagrams that are not to be sent back, those that are rejected among them.
    pub fn dropped(&self) -> u64 {
        self.dropped.total()
    }

    /// The same, by reason.
    pub fn dropped_by_reason(&self) -> impl Iterator<Item = (Reason, u64)> {
        self.dropped.iter()
    }

    /// What was to be sent and could not be.
    pub fn send_failed(&self) -> u64 {
        self.send_failed.total()
    }

    /// The same, by reason.
    pub fn send_failed_by_reason(&self) -> impl Iterator<Item = (Reason, u64)> {
        self.send_failed.iter()
    }

    /// How often there was an exception of a class, however it was treated.
    pub fn exceptions(&self, class: Exception) -> u64 {
        self.exceptions.get(class as usize).copied().unwrap_or_default()
    }

    /// Whether every datagram had its one outcome, and everything sent its one end. It holds between two calls of
    /// the engine when the caller has told of everything that was to be sent.
    pub fn is_balanced(&self) -> bool {
        self.received == self.forwarded.wrapping_add(self.dropped())
            && self.forwarded.wrapping_add(self.injected)
                == self.sent.wrapping_add(self.send_failed())
    }

    /// Adds what another engine has done.
    pub fn add(&mut self, other: &Self) {
        let Self { dropped, send_failed, exceptions, .. } = self;
        for (reason, packets) in other.dropped.iter() {
            dropped.count(reason, packets);
        }
        for (reason, packets) in other.send_failed.iter() {
            send_failed.count(reason, packets);
        }
        for (counter, by) in exceptions.iter_mut().zip(other.exceptions) {
            *counter = counter.wrapping_add(by);
        }
        let sums = [
            (&mut self.received, other.received),
            (&mut self.forwarded, other.forwarded),
            (&mut self.edited, other.edited),
            (&mut self.would, other.would),
            (&mut self.bypassed, other.bypassed),
            (&mut self.injected, other.injected),
            (&mut self.answers_withheld, other.answers_withheld),
            (&mut self.injections_lost, other.injections_lost),
            (&mut self.sent, other.sent),
            (&mut self.panics, other.panics),
            (&mut self.over_budget, other.over_budget),
            (&mut self.replaced, other.replaced),
            (&mut self.places_given_up, other.places_given_up),
        ];
        for (counter, by) in sums {
            *counter = counter.wrapping_add(by);
        }
    }

    pub(super) fn count_drop(&mut self, reason: Reason) {
        self.dropped.count(reason, 1);
    }

    /// So many datagrams were received, and dropped without being judged.
    #[cfg(feature = "live")]
    pub(crate) fn lose(&mut self, reason: Reason, datagrams: u64) {
        if datagrams > 0 {
            self.received = self.received.wrapping_add(datagrams);
            self.dropped.count(reason, datagrams);
        }
    }

    pub(crate) fn count_failed(&mut self, reason: Reason, packets: u64) {
        if packets > 0 {
            self.send_failed.count(reason, packets);
        }
    }

    pub(super) fn count_exception(&mut self, class: Exception) {
        if let Some(counter) = self.exceptions.get_mut(class as usize) {
            *counter = counter.wrapping_add(1);
        }
    }
}

/// A counter for each reason. There are as many as the program has names for, up to a limit; what is beyond is
/// counted together.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Reasons {
    counters: Vec<(Reason, u64)>,
    others: u64,
}

/// More than any program has.
const MOST_REASONS: usize = 1_024;

impl Reasons {
    fn count(&mut self, reason: Reason, packets: u64) {
        // The same name is most often the same place in memory, and a place is quick to compare.
        let is_it = |&(known, _): &(Reason, u64)| core::ptr::eq(known.name(), reason.name());
        let found = self.counters.iter().position(is_it);
        let found = found.or_else(|| self.counters.iter().position(|&(known, _)| known == reason));
        let is_full = self.counters.len() >= MOST_REASONS;
        match found.and_then(|at| self.counters.get_mut(at)) {
            Some((_, counter)) => *counter = counter.wrapping_add(packets),
            None if is_full => self.others = self.others.wrapping_add(packets),
            None => self.counters.push((reason, packets)),
        }
    }

    fn iter(&self) -> impl Iterator<Item = (Reason, u64)> {
        let others = (self.others > 0).then_some((Reason::new("other"), self.others));
        self.counters.iter().copied().chain(others)
    }

    fn total(&self) -> u64 {
        self.counters.iter().fold(self.others, |sum, (_, counter)| sum.wrapping_add(*counter))
    }
}
