use alloc::collections::TryReserveError;
use core::time::Duration;

use thiserror::Error;

use super::phase::{Evictable, FlowPhase};
use crate::flow::FlowKey;
use crate::flow::clock::Ticks;
use crate::packet::IpProtocol;

/// How much a [`FlowTable`](super::FlowTable) may hold. All of it is reserved when the table is made, and nothing
/// is ever taken on top.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FlowLimits {
    /// The most flows, 2^28 at most. By default 1,048,576.
    pub flows: usize,
    /// The most bytes: entries with their state, index, endpoints, unusual headers. Where they do not suffice for
    /// `flows`, there is room for fewer. By default 256 MiB. What a state owns on the heap does not count.
    pub bytes: usize,
    /// The most flows of one endpoint (or group). By default no fewer than the table holds.
    pub flows_per_endpoint: usize,
    /// The most endpoints (or groups) with flows at a time, 2^26 at most. By default 4,096.
    pub endpoints: usize,
    /// The most bytes, out of `bytes`, for GENEVE headers that are not just those of the profile, or that come over more
    /// combinations of endpoint, attachment and load balancer than `endpoints` and 64. By default 1 MiB.
    pub header_bytes: usize,
}

impl Default for FlowLimits {
    fn default() -> Self {
        Self {
            flows: 1 << 20,
            bytes: 256 << 20,
            flows_per_endpoint: usize::MAX,
            endpoints: 4_096,
            header_bytes: 1 << 20,
        }
    }
}

/// How long a flow may be idle before it has ended.
///
/// Measured in steps of 16.8 ms, never early and at most two steps late. Zero is a value like any other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FlowTimeouts {
    /// TCP before the handshake is complete, and one-sided flows first seen without it. By default 30 s.
    pub tcp_half_open: Duration,
    /// TCP with both sides open. By default 350 s, as gateway load balancers have it (wire.md §1).
    pub tcp_established: Duration,
    /// TCP of which one side has sent its FIN. By default 120 s.
    pub tcp_closing: Duration,
    /// TCP after RST or both FINs. By default 10 s.
    pub tcp_closed: Duration,
    /// UDP seen in both directions. By default 120 s, as gateway load balancers have it (wire.md §1).
    pub udp: Duration,
    /// ICMP seen in both directions. By default 120 s.
    pub icmp: Duration,
    /// Other protocols seen in both directions. By default 120 s.
    pub other: Duration,
    /// All but TCP as long as only one direction was seen. By default 120 s.
    pub unanswered: Duration,
}

impl Default for FlowTimeouts {
    fn default() -> Self {
        let other = Duration::from_secs(120);
        Self {
            tcp_half_open: Duration::from_secs(30),
            tcp_established: Duration::from_secs(350),
            tcp_closing: other,
            tcp_closed: Duration::from_secs(10),
            udp: other,
            icmp: other,
            other,
            unanswered: other,
        }
    }
}

/// The same in ticks.
#[derive(Clone, Copy)]
pub(super) struct TimeoutTicks {
    /// In the order of the phases; of the last one for UDP.
    by_phase: [Ticks; 8],
    icmp: Ticks,
    other: Ticks,
}

impl TimeoutTicks {
    #[inline]
    pub(super) fn of(&self, key: &FlowKey, phase: FlowPhase) -> Ticks {
        if phase == FlowPhase::Answered {
            match key.protocol() {
                IpProtocol::UDP => {}
                IpProtocol::ICMP | IpProtocol::ICMPV6 => return self.icmp,
                _ => return self.other,
            }
        }
        self.by_phase.get(usize::from(phase as u8)).copied().unwrap_or(self.other)
    }
}

impl TimeoutTicks {
    /// That of all evictable flows of one kind.
    #[inline]
    pub(super) const fn of_idle(&self, kind: Evictable) -> Ticks {
        let [half_open, _, _, _, _, closed, unanswered, _] = self.by_phase;
        match kind {
            Evictable::HalfOpen => half_open,
            Evictable::Closed => closed,
            Evictable::Unanswered => unanswered,
        }
    }
}

impl From<&FlowTimeouts> for TimeoutTicks {
    fn from(timeouts: &FlowTimeouts) -> Self {
        let by_phase = FlowPhase::ALL.map(|phase| match phase {
            FlowPhase::SynSeen | FlowPhase::SynAnswered | FlowPhase::Midstream => {
                timeouts.tcp_half_open
            }
            FlowPhase::Established => timeouts.tcp_established,
            FlowPhase::Closing => timeouts.tcp_closing,
            FlowPhase::Closed => timeouts.tcp_closed,
            FlowPhase::Unanswered => timeouts.unanswered,
            FlowPhase::Answered => timeouts.udp,
        });
        Self {
            by_phase: by_phase.map(Ticks::of),
            icmp: Ticks::of(timeouts.icmp),
            other: Ticks::of(timeouts.other),
        }
    }
}

/// Why there can be no such table.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum FlowTableError {
    /// The limits leave no room for a single flow.
    #[error("flow table: expected room for a flow in {limit} bytes, found that it takes {needed}")]
    NoRoom {
        /// [`FlowLimits::bytes`].
        limit: usize,
        /// Bytes of a table for one flow with the other limits as they are.
        needed: usize,
    },
    /// A limit is zero or higher than the table can count.
    #[error("flow table: expected 1 to {most} {what}, found {found}")]
    Limit {
        /// `flows` or `endpoints`.
        what: &'static str,
        /// The most there can be.
        most: usize,
        /// What was asked for.
        found: usize,
    },
    /// The system has not that much memory.
    #[error("flow table: expected {bytes} bytes of memory, found fewer")]
    Memory {
        /// What was asked for.
        bytes: usize,
        /// The allocator's word.
        #[source]
        source: TryReserveError,
    },
}
