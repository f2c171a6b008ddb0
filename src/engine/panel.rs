use alloc::boxed::Box;
use alloc::vec::Vec;
use core::mem::needs_drop;
use core::panic::AssertUnwindSafe;
use std::panic::catch_unwind;

use super::generations::{Generations, Make};
use super::output::{Event, EventKind};
use super::state::{Inspection, State};
use super::streams::Streams;
use crate::Timestamp;
use crate::flow::{EndReason, EndedFlow, FlowKey};
use crate::inspect::{
    CloseReason, Context, Effects, Inspector, Interest, Packet, Seen, Verdict, Vote,
};

/// Runs code of others; `None` where it panics. What the panic brings along may panic when it is let go: that is
/// caught too, and what comes of it is forgotten.
#[inline]
pub(super) fn contained<T>(work: impl FnOnce() -> T) -> Option<T> {
    match catch_unwind(AssertUnwindSafe(work)) {
        Ok(done) => Some(done),
        Err(brought) => {
            if let Err(again) = catch_unwind(AssertUnwindSafe(move || drop(brought))) {
                core::mem::forget(again);
            }
            None
        }
    }
}

/// The inspectors, and what they do beside their verdicts. A panic of theirs ends here.
pub(super) struct Panel<I: Inspector> {
    pub(super) generations: Generations<I>,
    /// Raised when all flows are to be opened anew.
    pub(super) epoch: u8,
    /// The epoch before which packets went by unseen.
    pub(super) blind_until: Option<u8>,
    pub(super) effects: Effects,
    /// Asked for by [`explain`](super::Engine::explain).
    pub(super) votes: Option<Vec<Vote>>,
    /// Where inspectors may want streams or messages.
    pub(super) streams: Option<Streams>,
    pub(super) panics: u64,
    pub(super) injections_lost: u64,
}

impl<I: Inspector> Panel<I> {
    pub(super) fn new(mut make: Make<I>) -> Self {
        Self {
            generations: Generations::new(make(), make),
            epoch: 0,
            blind_until: None,
            effects: Effects::default(),
            votes: None,
            streams: None,
            panics: 0,
            injections_lost: 0,
        }
    }

    /// Asks the inspectors about a packet, each of them where that is wanted.
    #[cold]
    pub(super) fn ask_otherwise(
        &mut self,
        generation: u8,
        flow: &mut I::Flow,
        packet: &Packet<'_>,
        now: Timestamp,
    ) -> Verdict {
        let Some(inspector) = self.generations.get_mut(generation) else { return Verdict::PASS };
        let mut cx = Context::new(now, &mut self.effects);
        match &mut self.votes {
            None => inspector.packet(flow, packet, &mut cx),
            Some(votes) => {
                inspector.explain(flow, &Seen::Packet(packet), &mut cx, votes);
                super::explain::verdict_of(votes)
            }
        }
    }

    /// Whether any of the inspectors of a generation fails closed.
    pub(super) fn may_fail_closed(&mut self, generation: u8) -> bool {
        let inspector = self.generations.get_mut(generation);
        I::INTEREST.contains(Interest::FAIL_CLOSED)
            && inspector.is_some_and(|it| it.interest().contains(Interest::FAIL_CLOSED))
    }

    /// Tells the inspectors of a flow that is no longer in the table.
    pub(super) fn ended(
        &mut self,
        flow: EndedFlow<State<I::Flow>>,
        now: Timestamp,
        events: &mut Vec<Event>,
    ) {
        let why = match flow.reason {
            EndReason::Idle => match flow.phase {
                crate::flow::FlowPhase::Closed => CloseReason::Closed,
                _ => CloseReason::Idle,
            },
            EndReason::Evicted => CloseReason::Evicted,
            EndReason::Reused | EndReason::Removed => CloseReason::Replaced,
            EndReason::Drained => CloseReason::Shutdown,
        };
        let State { inspection, generation, marks, .. } = flow.state;
        self.close(&flow.key, inspection, (generation, marks), why, now, events);
    }

    /// Tells the inspectors of a generation that they will see no more of a flow, which has these marks.
    #[inline]
    pub(super) fn close(
        &mut self,
        key: &FlowKey,
        inspection: Inspection<I::Flow>,
        (generation, marks): (u8, u32),
        why: CloseReason,
        now: Timestamp,
        events: &mut Vec<Event>,
    ) {
        let flow = match inspection {
            Inspection::Open(flow) => flow,
            Inspection::Followed(flow, place) => {
                if let Some(streams) = &mut self.streams {
                    streams.end(place);
                }
                flow
            }
            Inspection::Bypassed | Inspection::Refused(_) => return,
        };
        if I::INTEREST.contains(Interest::END) || needs_drop::<I::Flow>() {
            self.tell(key, flow, (generation, marks), why, now, events);
        }
        self.generations.closed(generation);
    }

    fn tell(
        &mut self,
        key: &FlowKey,
        flow: I::Flow,
        (generation, marks): (u8, u32),
        why: CloseReason,
        now: Timestamp,
        events: &mut Vec<Event>,
    ) {
        let Self { generations, effects, .. } = self;
        // What an inspector did with the packet at hand is none of this flow's business.
        let others = core::mem::take(effects);
        effects.marks = marks;
        let told = contained(|| match generations.get_mut(generation) {
            Some(inspector) if I::INTEREST.contains(Interest::END) => {
                inspector.close(flow, why, &mut Context::new(now, effects));
            }
            _ => drop(flow),
        });
        let effects = core::mem::replace(effects, others);
        if told.is_none() {
            self.rebuild(generation);
            return;
        }
        let lost = u64::try_from(effects.injections.len()).unwrap_or(u64::MAX);
        self.injections_lost = self.injections_lost.saturating_add(lost);
        events.extend(effects.alerts.into_iter().map(|alert| Event {
            datagram: None,
            endpoint: key.endpoint(),
            flow: *key,
            what: EventKind::Alert(alert),
        }));
    }

    /// Puts a new inspector in the place of one that panicked. Should it not let itself be made, the old one goes on.
    pub(super) fn rebuild(&mut self, generation: u8) {
        self.panics = self.panics.saturating_add(1);
        let rebuilt = contained(|| {
            if let Some((make, inspector)) = self.generations.maker(generation) {
                inspector.recover(make());
            }
        });
        if rebuilt.is_none() {
            self.panics = self.panics.saturating_add(1);
        }
    }

    /// Puts other inspectors in force.
    pub(super) fn replace(&mut self, inspector: I, make: Box<dyn FnMut() -> I + Send>) {
        self.generations.replace(inspector, make);
    }
}
