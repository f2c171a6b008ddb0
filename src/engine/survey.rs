//! A look at the flows that there are.

use super::Engine;
use crate::Timestamp;
use crate::flow::{Direction, FlowKey, FlowPhase};
use crate::inspect::{Inspector, Rewriter};

/// A flow that is going on, and what it has moved so far.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct FlowTraffic {
    /// Whose it is.
    pub key: FlowKey,
    /// The direction of the side that opened it.
    pub opener: Direction,
    /// How far it is.
    pub phase: FlowPhase,
    /// When its first packet came.
    pub first_seen: Timestamp,
    /// When its latest packet came.
    pub last_seen: Timestamp,
    /// Packets in the opener's direction, and in the other one.
    pub packets: [u64; 2],
    /// Bytes of these packets, their IP headers included.
    pub bytes: [u64; 2],
}

impl FlowTraffic {
    /// Bytes in both directions.
    pub const fn total_bytes(&self) -> u64 {
        let [out, back] = self.bytes;
        out.saturating_add(back)
    }
}

impl<I: Inspector, R: Rewriter> Engine<I, R> {
    /// Shows flows, among them such as have expired and are not swept yet. It looks at `at_most` places of the table, from
    /// the place `from` on, and says from where to go on: a large table is gone through in small portions, between packets.
    /// `None`: that was the end.
    pub fn survey(
        &self,
        from: u32,
        at_most: usize,
        mut each: impl FnMut(&FlowTraffic),
    ) -> Option<u32> {
        self.table.visit(from, at_most, |flow| {
            let opener = flow.opener();
            let back = opener.reversed();
            each(&FlowTraffic {
                key: *flow.key(),
                opener,
                phase: flow.phase(),
                first_seen: flow.first_seen(),
                last_seen: flow.last_seen(),
                packets: [flow.packets(opener), flow.packets(back)],
                bytes: [flow.bytes(opener), flow.bytes(back)],
            });
        })
    }
}
