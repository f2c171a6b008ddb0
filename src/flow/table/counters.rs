use super::phase::Evictable;
use super::{EndReason, FlowPhase, Refusal};

/// What a table has done since it was made. All of them only grow.
///
/// `created = flows in the table + expired() + evicted() + reused + removed + drained`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct FlowCounters {
    /// Flows that were taken in.
    pub created: u64,
    /// Half-open TCP that was idle for too long.
    pub expired_half_open: u64,
    /// TCP open on both sides or on one that was idle for too long.
    pub expired_established: u64,
    /// Closed TCP, its time over: the ordinary end.
    pub expired_closed: u64,
    /// One direction of another protocol that was idle for too long.
    pub expired_unanswered: u64,
    /// Both directions of another protocol that were idle for too long.
    pub expired_answered: u64,
    /// Half-open TCP that made room.
    pub evicted_half_open: u64,
    /// Closed TCP that made room.
    pub evicted_closed: u64,
    /// One direction of another protocol that made room.
    pub evicted_unanswered: u64,
    /// Closed TCP whose addresses and ports were used again.
    pub reused: u64,
    /// Flows that the caller has removed.
    pub removed: u64,
    /// Flows that the caller has drained.
    pub drained: u64,
    /// New flows refused because nothing in the table could be evicted.
    pub refused_full: u64,
    /// New flows refused because their endpoint has all the flows that it may have.
    pub refused_quota: u64,
    /// New flows refused because there are too many endpoints with flows.
    pub refused_endpoints: u64,
    /// New flows refused because their hash collides with too many others.
    pub refused_collisions: u64,
    /// Flows that ended, in whatever way, and of which one direction was never seen.
    pub half_flows: u64,
    /// Unusual GENEVE headers that were not remembered, for want of room.
    pub headers_dropped: u64,
}

impl FlowCounters {
    /// Adds what another one has counted.
    pub fn add(&mut self, other: &Self) {
        let sums = [
            (&mut self.created, other.created),
            (&mut self.expired_half_open, other.expired_half_open),
            (&mut self.expired_established, other.expired_established),
            (&mut self.expired_closed, other.expired_closed),
            (&mut self.expired_unanswered, other.expired_unanswered),
            (&mut self.expired_answered, other.expired_answered),
            (&mut self.evicted_half_open, other.evicted_half_open),
            (&mut self.evicted_closed, other.evicted_closed),
            (&mut self.evicted_unanswered, other.evicted_unanswered),
            (&mut self.reused, other.reused),
            (&mut self.removed, other.removed),
            (&mut self.drained, other.drained),
            (&mut self.refused_full, other.refused_full),
            (&mut self.refused_quota, other.refused_quota),
            (&mut self.refused_endpoints, other.refused_endpoints),
            (&mut self.refused_collisions, other.refused_collisions),
            (&mut self.half_flows, other.half_flows),
            (&mut self.headers_dropped, other.headers_dropped),
        ];
        for (counter, by) in sums {
            *counter = counter.wrapping_add(by);
        }
    }

    /// Flows that ended because they were idle.
    pub const fn expired(&self) -> u64 {
        self.expired_half_open
            .saturating_add(self.expired_established)
            .saturating_add(self.expired_closed)
            .saturating_add(self.expired_unanswered)
            .saturating_add(self.expired_answered)
    }

    /// Flows that ended to make room for others.
    pub const fn evicted(&self) -> u64 {
        self.evicted_half_open
            .saturating_add(self.evicted_closed)
            .saturating_add(self.evicted_unanswered)
    }

    #[inline(always)]
    pub(super) fn ended(
        &mut self,
        reason: EndReason,
        phase: FlowPhase,
        kind: Option<Evictable>,
        half: bool,
    ) {
        let counter = match (reason, phase, kind) {
            (EndReason::Idle, _, Some(Evictable::HalfOpen)) => &mut self.expired_half_open,
            (EndReason::Idle, _, Some(Evictable::Closed)) => &mut self.expired_closed,
            (EndReason::Idle, _, Some(Evictable::Unanswered)) => &mut self.expired_unanswered,
            (EndReason::Idle, FlowPhase::Answered, _) => &mut self.expired_answered,
            (EndReason::Idle, ..) => &mut self.expired_established,
            // Some may look less half-open than the caller knows them to be.
            (EndReason::Evicted, _, Some(Evictable::HalfOpen) | None) => {
                &mut self.evicted_half_open
            }
            (EndReason::Evicted, _, Some(Evictable::Closed)) => &mut self.evicted_closed,
            (EndReason::Evicted, ..) => &mut self.evicted_unanswered,
            (EndReason::Reused, ..) => &mut self.reused,
            (EndReason::Removed, ..) => &mut self.removed,
            (EndReason::Drained, ..) => &mut self.drained,
        };
        *counter = counter.wrapping_add(1);
        self.half_flows = self.half_flows.wrapping_add(u64::from(half));
    }

    pub(super) fn refused(&mut self, why: Refusal) {
        let counter = match why {
            Refusal::Full => &mut self.refused_full,
            Refusal::Quota => &mut self.refused_quota,
            Refusal::Endpoints => &mut self.refused_endpoints,
            Refusal::Collisions => &mut self.refused_collisions,
            Refusal::Known | Refusal::IcmpError => return,
        };
        *counter = counter.wrapping_add(1);
    }
}
