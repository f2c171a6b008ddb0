//! The straight way of a segment that is next in order.

use super::begin::side_of;
use super::hearing::{Hearing, OfFlow, Said};
use super::judge::Stage;
use super::panel::Panel;
use super::state::{Bits, Inspection};
use super::streams::Place;
use super::turn::Turn;
use super::{Engine, Outcome, Output};
use crate::flow::{FlowId, Part, Relation};
use crate::inspect::{Exception, Inspector, Packet, Rewriter};
use crate::packet::Transport;

impl<I: Inspector, R: Rewriter> Engine<I, R> {
    /// The outcome for a segment that is next in order while nothing waits for it, as most are: what
    /// [`follow_any`](Self::follow_any) would say. `None` for others, and where there is more to asking inspectors than asking
    /// them (a budget, votes, faults): then nobody was asked.
    ///
    /// Flow, connection and inspectors are looked for once, and what is found of the segment is not moved: 516 instructions
    /// in place of 786, as `benches/members.rs` counts them.
    #[inline(always)]
    pub(super) fn follow_straight(
        &mut self,
        turn: &Turn<'_>,
        id: FlowId,
        output: &mut Output,
    ) -> Option<Outcome> {
        let Self { table, panel, settings, stage, asks_otherwise: false, .. } = self else {
            return None;
        };
        let packet = turn.packet;
        let Transport::Tcp(segment) = &packet.transport else { return None };
        if packet.flow.relation != Relation::Own || packet.flow.part != Part::Whole {
            return None;
        }
        let state = table.state_mut(id)?;
        let Inspection::Followed(flow, place) = &mut state.inspection else { return None };
        let place = *place;
        let Panel { generations, streams, effects, .. } = panel;
        let (entry, pool, room) = streams.as_mut()?.get_mut(place)?;
        let side = side_of(turn, state.bits.opener());
        let accepted = &entry.connection.next_in_order(pool, side, segment, turn.now)?;
        debug_assert!(!accepted.is_edited() && !accepted.ends() && !accepted.reopens());
        let inspector = generations.get_mut(state.generation)?;
        let payload = segment.payload();
        entry.is_heir = false;
        *stage = Stage::Known(id);
        let view = &Packet::new(packet, state.bits.opener(), state.bits.beginning());
        let (bits, marks) = (&mut state.bits, &mut state.marks);
        let of_flow = OfFlow { inspector, flow, bits, marks, effects, votes: None, settings };
        let mut hearing = Hearing::begin(of_flow, turn, view);
        hearing.packet();
        if !payload.is_empty() && hearing.goes_on() {
            hearing.segment(accepted, payload, (entry, pool, room));
        }
        let said = hearing.end();
        *stage = Stage::Idle;
        let is_taken = said.goes_on && entry.connection.commit(pool, accepted, payload);
        if is_taken && said.is_nothing() && entry.is_settled() && entry.keeps(said.wants) {
            state.pass(packet);
            let is_kept = state.bits.has(Bits::CAPTURE);
            return Some(self.forward(turn, id, is_kept, output));
        }
        Some(self.finish_straight(turn, id, place, is_taken, said, output))
    }

    /// The same where something comes of it. What was said comes by value: of a place in memory that others are told of, nothing
    /// stays in registers.
    #[cold]
    #[inline(never)]
    fn finish_straight(
        &mut self,
        turn: &Turn<'_>,
        id: FlowId,
        place: Place,
        is_taken: bool,
        said: Said,
        output: &mut Output,
    ) -> Outcome {
        if said.goes_on {
            if !is_taken {
                debug_assert!(false, "nobody has changed the connection or the pool since");
                return self.exceptional(Exception::OutOfOrderNotStored, turn.packet);
            }
            self.go_on(id, place, said.wants);
        }
        self.say(turn, id, &said, output)
    }
}
