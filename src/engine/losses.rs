//! Flows whose bytes cannot be put in order, or no longer.

use super::state::Inspection;
use super::streams::Place;
use super::turn::Turn;
use super::{Engine, Outcome, Output};
use crate::Side;
use crate::flow::FlowId;
use crate::inspect::{Exception, Inspector, Interest, Rewriter, Treatment};
use crate::protocol::Why;
use crate::stream::Gap;

impl<I: Inspector, R: Rewriter> Engine<I, R> {
    /// Bytes of a followed flow passed by unseen. `Some` is the outcome of the packet that shows it, if that is the end of it.
    #[cold]
    pub(super) fn gap(
        &mut self,
        turn: &Turn<'_>,
        id: FlowId,
        place: Place,
        gap: &Gap,
        output: &mut Output,
    ) -> Option<Outcome> {
        const CLASS: Exception = Exception::StreamMemoryFull;

        let (treatment, is_told) = self.loss(turn, id, output);
        if !is_told {
            return Some(self.fail(turn, id, CLASS, treatment, output));
        }
        let said = self.hear(turn, id, |hearing, followed| {
            if let Some((entry, pool, room)) = followed {
                hearing.gap(gap, entry, room);
                entry.connection.skip(pool, *gap);
                entry.had_gap = true;
            }
        });
        if !said.goes_on {
            return Some(self.say(turn, id, &said, output));
        }
        if treatment == Treatment::Drop {
            return Some(self.fail_told(turn, id, output));
        }
        let (entry, pool, room) = self.entry(place)?;
        let mut wants = said.wants.unwrap_or(entry.wants);
        if !wants.contains(Interest::GAPS) {
            wants = wants.without(Interest::STREAM);
        }
        if entry.narrow(wants, pool, room) {
            return None;
        }
        self.give_up(id);
        Some(self.known_again(turn, id, output))
    }

    /// A flow cannot be followed, or no longer. Gives the outcome of the packet at hand.
    #[cold]
    pub(super) fn lose(
        &mut self,
        turn: &Turn<'_>,
        id: FlowId,
        wants: Interest,
        why: Why,
        output: &mut Output,
    ) -> Outcome {
        const CLASS: Exception = Exception::StreamMemoryFull;

        let (treatment, is_told) = self.loss(turn, id, output);
        if !is_told {
            return self.fail(turn, id, CLASS, treatment, output);
        }
        let reason = match why {
            Why::NoRoom => "no memory for the stream",
            _ => "bytes passed in fragments",
        };
        let side = Side::Client;
        let said = self.hear(turn, id, |hearing, _| hearing.lost(side, wants, why, reason));
        let outcome = if said.goes_on && treatment == Treatment::Drop {
            self.fail_told(turn, id, output)
        } else if said.goes_on {
            self.give_up(id);
            self.known_again(turn, id, output)
        } else {
            self.say(turn, id, &said, output)
        };
        unless_other(outcome)
    }

    /// A fragment of a datagram whose messages are wanted: they cannot be read in it.
    #[cold]
    pub(super) fn pass_unread(
        &mut self,
        turn: &Turn<'_>,
        id: FlowId,
        side: Side,
        output: &mut Output,
    ) -> Outcome {
        const CLASS: Exception = Exception::StreamMemoryFull;

        let (treatment, is_told) = self.loss(turn, id, output);
        if !is_told {
            return self.fail(turn, id, CLASS, treatment, output);
        }
        let said = self.hear(turn, id, |hearing, _| {
            hearing.packet();
            if hearing.goes_on() {
                hearing.lost(side, Interest::DNS, Why::Gap, "a datagram in fragments");
            }
        });
        if said.goes_on && treatment == Treatment::Drop {
            return self.fail_told(turn, id, output);
        }
        unless_other(self.say(turn, id, &said, output))
    }

    /// Bytes of a flow cannot be put in order: how that is treated, and whether its inspectors are told first. They are where
    /// the policy would let it pass; who fails closed may have a reason of his own to refuse it.
    fn loss(&mut self, turn: &Turn<'_>, id: FlowId, output: &mut Output) -> (Treatment, bool) {
        const CLASS: Exception = Exception::StreamMemoryFull;

        let endpoint = turn.endpoint();
        let fails_closed = self.fails_closed(id);
        let treatment = self.exception_of(CLASS, endpoint, fails_closed);
        self.tell(turn, CLASS, treatment, output);
        let of_policy = self.settings.policy_of(Some(endpoint)).treatment(CLASS);
        (treatment, of_policy != Treatment::Drop)
    }

    /// Drops a flow whose inspectors, told of it, had nothing against it.
    fn fail_told(&mut self, turn: &Turn<'_>, id: FlowId, output: &mut Output) -> Outcome {
        let capture = self.keep_effects(turn, id, output);
        let outcome = self.fail(turn, id, Exception::StreamMemoryFull, Treatment::Drop, output);
        Outcome { capture: capture || outcome.capture, ..outcome }
    }

    /// A flow's bytes are no longer put in order. Its packets are inspected on.
    pub(super) fn give_up(&mut self, id: FlowId) {
        let Some(state) = self.table.state_mut(id) else { return };
        state.inspection = match core::mem::replace(&mut state.inspection, Inspection::Bypassed) {
            Inspection::Followed(flow, place) => {
                if let Some(streams) = &mut self.panel.streams {
                    streams.end(place);
                }
                Inspection::Open(flow)
            }
            other => other,
        };
    }
}

/// The outcome of a packet that showed that bytes are missing, if it is no other exception.
pub(super) fn unless_other(outcome: Outcome) -> Outcome {
    Outcome { exception: outcome.exception.or(Some(Exception::StreamMemoryFull)), ..outcome }
}
