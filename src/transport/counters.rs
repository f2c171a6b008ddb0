/// What a transport has received and sent since it was made. All of them only grow.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct TransportCounters {
    /// Datagrams that were handed on.
    pub received: u64,
    /// UDP payload bytes of these.
    pub received_bytes: u64,
    /// Bursts that held at least one datagram.
    pub bursts: u64,
    /// Datagrams from addresses that no load balancer is expected to have.
    pub foreign_origin: u64,
    /// Datagrams longer than the buffer, which came cut off.
    pub too_long: u64,
    /// Datagrams that the system dropped before they could be received: because they were not received quickly enough and it
    /// had no room for more, or, from a UDP socket on Linux, because their UDP checksum was wrong.
    pub overflow: u64,
    /// Datagrams sent.
    pub sent: u64,
    /// UDP payload bytes of these.
    pub sent_bytes: u64,
    /// Datagrams sent in fragments, because they are longer than the interface's MTU.
    pub fragmented: u64,
    /// Datagrams that could not be sent.
    pub failed: SendFailures,
}

impl TransportCounters {
    /// Adds what another one has counted.
    pub fn add(&mut self, other: &Self) {
        let sums = [
            (&mut self.received, other.received),
            (&mut self.received_bytes, other.received_bytes),
            (&mut self.bursts, other.bursts),
            (&mut self.foreign_origin, other.foreign_origin),
            (&mut self.too_long, other.too_long),
            (&mut self.overflow, other.overflow),
            (&mut self.sent, other.sent),
            (&mut self.sent_bytes, other.sent_bytes),
            (&mut self.fragmented, other.fragmented),
        ];
        for (counter, by) in sums {
            *counter = counter.wrapping_add(by);
        }
        self.failed.add(&other.failed);
    }

    /// Adds what became of a burst.
    #[cfg(all(feature = "udp", target_os = "linux", target_pointer_width = "64"))]
    pub(super) fn count(&mut self, sent: &super::Sent) {
        self.sent = self.sent.wrapping_add(sent.sent);
        self.failed.add(&sent.failed);
    }
}

/// How many datagrams could not be sent, by reason.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SendFailures {
    /// In the order of [`SendFailure::ALL`].
    counts: [u64; SendFailure::ALL.len()],
}

impl SendFailures {
    /// How many for this reason.
    pub fn of(&self, reason: SendFailure) -> u64 {
        self.counts.get(reason as usize).copied().unwrap_or(0)
    }

    /// How many for each reason, those that never came up among them.
    pub fn iter(&self) -> impl Iterator<Item = (SendFailure, u64)> + use<> {
        SendFailure::ALL.into_iter().zip(self.counts)
    }

    /// How many in all.
    pub fn total(&self) -> u64 {
        self.counts.iter().fold(0, |sum, count| sum.wrapping_add(*count))
    }

    /// Counts datagrams that could not be sent.
    pub fn count(&mut self, reason: SendFailure, datagrams: u64) {
        if let Some(count) = self.counts.get_mut(reason as usize) {
            *count = count.wrapping_add(datagrams);
        }
    }

    /// Adds what another one has counted.
    pub fn add(&mut self, other: &Self) {
        for (reason, datagrams) in other.iter() {
            self.count(reason, datagrams);
        }
    }
}

/// Why a datagram could not be sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum SendFailure {
    /// The queue of the socket or the card was full (`ENOBUFS`, `EAGAIN`).
    QueueFull,
    /// The system refused it: a firewall rule, a missing capability (`EPERM`, `EACCES`).
    NotPermitted,
    /// Longer than what the way out takes (`EMSGSIZE`).
    TooLong,
    /// There is no way to the load balancer: interface down, no route (`ENETDOWN`, `ENETUNREACH`, `EHOSTUNREACH`).
    Unreachable,
    /// Anything else.
    Other,
}

impl SendFailure {
    /// All of them.
    pub const ALL: [Self; 5] =
        [Self::QueueFull, Self::NotPermitted, Self::TooLong, Self::Unreachable, Self::Other];

    /// The stable name, for logs and counters.
    pub const fn name(self) -> &'static str {
        match self {
            Self::QueueFull => "queue-full",
            Self::NotPermitted => "not-permitted",
            Self::TooLong => "too-long",
            Self::Unreachable => "unreachable",
            Self::Other => "other",
        }
    }
}
