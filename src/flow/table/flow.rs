use super::entry::{Entry, PerDirection};
use super::envelopes::{Envelopes, LastEnvelope};
use super::{EndReason, FlowPhase};
use crate::Timestamp;
use crate::flow::clock::Clock;
use crate::flow::{Direction, FlowKey};

/// A flow in a [`FlowTable`](super::FlowTable), to look at.
pub struct Flow<'a, S> {
    pub(super) slot: u32,
    pub(super) entry: &'a Entry<S>,
    pub(super) envelopes: &'a Envelopes,
    pub(super) clock: &'a Clock,
}

impl<'a, S> Flow<'a, S> {
    /// Whose flow this is.
    pub const fn key(&self) -> &'a FlowKey {
        &self.entry.key
    }

    /// The caller's own.
    pub const fn state(&self) -> &'a S {
        &self.entry.state
    }

    /// How far the conversation is.
    pub const fn phase(&self) -> FlowPhase {
        self.entry.phase
    }

    /// The direction of the packets of the side that opened the flow, as far as can be told: the sender of the SYN,
    /// else of the first packet.
    pub const fn opener(&self) -> Direction {
        self.entry.opener()
    }

    /// When the first packet came.
    pub fn first_seen(&self) -> Timestamp {
        self.clock.timestamp(self.entry.first_seen)
    }

    /// When the latest packet came. ICMP errors about the flow do not count.
    pub fn last_seen(&self) -> Timestamp {
        self.clock.timestamp(self.entry.last_seen)
    }

    /// Packets that went in a direction.
    pub const fn packets(&self, direction: Direction) -> u64 {
        self.entry.traffic.get(direction).packets
    }

    /// Bytes of those packets, their IP headers included.
    pub const fn bytes(&self, direction: Direction) -> u64 {
        self.entry.traffic.get(direction).bytes
    }

    /// The envelope of the latest packet in a direction; `None` where there was none, or where its header was
    /// unusual and there was no room for it.
    pub fn last_envelope(&self, direction: Direction) -> Option<LastEnvelope<'a>> {
        self.envelopes.recall(self.slot, self.entry, direction)
    }
}

/// A flow that is no longer in the table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EndedFlow<S> {
    /// Whose it was.
    pub key: FlowKey,
    /// Why it ended.
    pub reason: EndReason,
    /// How far it had come.
    pub phase: FlowPhase,
    /// The direction of the side that opened it.
    pub opener: Direction,
    /// When its first packet came.
    pub first_seen: Timestamp,
    /// When its latest packet came.
    pub last_seen: Timestamp,
    /// The caller's own.
    pub state: S,
    packets: [u64; 2],
    bytes: [u64; 2],
}

impl<S> EndedFlow<S> {
    #[inline]
    pub(super) fn new(entry: Entry<S>, reason: EndReason, clock: &Clock) -> Self {
        let PerDirection { forward, reverse } = entry.traffic;
        Self {
            key: entry.key,
            reason,
            phase: entry.phase,
            opener: entry.opener(),
            first_seen: clock.timestamp(entry.first_seen),
            last_seen: clock.timestamp(entry.last_seen),
            packets: [forward.packets, reverse.packets],
            bytes: [forward.bytes, reverse.bytes],
            state: entry.state,
        }
    }

    /// Packets that went in a direction.
    pub const fn packets(&self, direction: Direction) -> u64 {
        of(self.packets, direction)
    }

    /// Bytes of those packets, their IP headers included.
    pub const fn bytes(&self, direction: Direction) -> u64 {
        of(self.bytes, direction)
    }

    /// Whether one direction was never seen.
    pub const fn is_half(&self) -> bool {
        let [forward, reverse] = self.packets;
        forward == 0 || reverse == 0
    }
}

const fn of([forward, reverse]: [u64; 2], direction: Direction) -> u64 {
    match direction {
        Direction::Forward => forward,
        Direction::Reverse => reverse,
    }
}

/// Names a flow as long as it is in the table; later, as a rule, no other one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FlowId {
    pub(super) slot: u32,
    pub(super) generation: u32,
}

#[cfg(all(test, feature = "std"))]
impl FlowId {
    /// That of no table.
    pub(crate) const fn made_up(slot: u32) -> Self {
        Self { slot, generation: 0 }
    }
}
