use std::sync::{Mutex, PoisonError};

use crate::Timestamp;
use crate::flow::{
    FlowKey, FlowSeed, FragmentCounters, FragmentMap, FragmentMapError, PacketFlow, Part, Resolved,
};

/// Which worker the fragments of a datagram belong to: all of them meet at that of its first fragment's flow.
///
/// Shared by all workers, and locked for fragments only. Where there is no room for one more datagram, its later
/// fragments go where their addresses alone lead, and are there what
/// [`FragmentBeforeFirst`](crate::inspect::Exception::FragmentBeforeFirst) makes of them.
#[derive(Debug)]
pub(super) struct Directory {
    fragments: Mutex<FragmentMap>,
}

impl Directory {
    pub(super) fn new(
        limit: usize,
        per_endpoint: usize,
        seed: FlowSeed,
    ) -> Result<Self, FragmentMapError> {
        let fragments = FragmentMap::with_quota(limit, per_endpoint.min(limit), seed)?;
        Ok(Self { fragments: Mutex::new(fragments) })
    }

    /// The key of the flow that decides whose packet it is.
    #[inline]
    pub(super) fn key(&self, flow: PacketFlow, now: Timestamp) -> FlowKey {
        if flow.part == Part::Whole { flow.key } else { self.look_up(flow, now) }
    }

    #[cold]
    fn look_up(&self, flow: PacketFlow, now: Timestamp) -> FlowKey {
        let mut fragments = self.fragments.lock().unwrap_or_else(PoisonError::into_inner);
        match fragments.resolve(flow, now) {
            Resolved::Flow(flow) | Resolved::Unknown(flow) | Resolved::NoRoom(flow) => flow.key,
            Resolved::Poisoned => flow.key,
        }
    }

    pub(super) fn counters(&self) -> FragmentCounters {
        *self.fragments.lock().unwrap_or_else(PoisonError::into_inner).counters()
    }
}
