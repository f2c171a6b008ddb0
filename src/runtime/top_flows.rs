use alloc::vec::Vec;
use core::cmp::Reverse;
use core::time::Duration;

use crate::Timestamp;
use crate::engine::{Engine, FlowTraffic};
use crate::inspect::{Inspector, Rewriter};

/// The flows that have moved most bytes. The table is gone through in portions, again and again, so that no packet waits for
/// that.
#[derive(Debug)]
pub(super) struct TopFlows {
    next: u32,
    looked: Timestamp,
    /// Of the round that is under way, the one with most bytes first.
    found: Vec<FlowTraffic>,
    /// Of the round before.
    top: Vec<FlowTraffic>,
}

/// So many are told of.
pub(super) const MOST: usize = 20;

/// So many places of the table are looked at in one go, so that no burst waits for more than a few microseconds.
const PORTION: usize = 256;

/// And no more often than this: a million flows take 41 s.
const PAUSE: Duration = Duration::from_millis(10);

impl TopFlows {
    pub(super) fn new() -> Self {
        let room = || Vec::with_capacity(MOST.saturating_add(1));
        Self { next: 0, looked: Timestamp::default(), found: room(), top: room() }
    }

    /// Looks at the next portion, if it is time.
    #[inline]
    pub(super) fn look<I: Inspector, R: Rewriter>(
        &mut self,
        engine: &Engine<I, R>,
        now: Timestamp,
    ) {
        if now < self.looked || now.saturating_since(self.looked) >= PAUSE {
            self.looked = now;
            self.look_on(engine);
        }
    }

    #[cold]
    fn look_on<I: Inspector, R: Rewriter>(&mut self, engine: &Engine<I, R>) {
        let found = &mut self.found;
        match engine.survey(self.next, PORTION, |flow| rank(found, flow)) {
            Some(next) => self.next = next,
            None => {
                self.next = 0;
                core::mem::swap(&mut self.found, &mut self.top);
                self.found.clear();
            }
        }
    }

    /// As of the last whole round.
    pub(super) fn top(&self) -> &[FlowTraffic] {
        &self.top
    }

    /// All of it is about an engine that is no more.
    pub(super) fn clear(&mut self) {
        self.next = 0;
        self.found.clear();
        self.top.clear();
    }
}

/// Puts a flow in its place among those with most bytes, if it is one of them.
fn rank(found: &mut Vec<FlowTraffic>, flow: &FlowTraffic) {
    let bytes = flow.total_bytes();
    if found.len() >= MOST && found.last().is_some_and(|last| last.total_bytes() >= bytes) {
        return;
    }
    let place = found.partition_point(|other| other.total_bytes() >= bytes);
    found.insert(place, *flow);
    found.truncate(MOST);
}

/// Those of several workers together.
pub(super) fn merge(flows: &mut Vec<FlowTraffic>, others: &[FlowTraffic]) {
    flows.extend_from_slice(others);
    flows.sort_by_key(|flow| Reverse(flow.total_bytes()));
    flows.truncate(MOST);
}
