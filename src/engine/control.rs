use super::judge::Facts;
use super::state::{Inspection, State};
use super::turn::Turn;
use super::{Engine, Output};
use crate::flow::{FlowId, FlowPhase};
use crate::inspect::{Inspector, Rewriter};
use crate::packet::{TcpFlags, Transport};

impl<I: Inspector, R: Rewriter> Engine<I, R> {
    /// Leaves away what the receiver will not believe: a RST that is not at exactly the next byte, a FIN before its
    /// time. A SYN in the middle of a flow is remembered; another flow begins with the other side's answer to it.
    #[inline(never)]
    pub(super) fn control(
        &mut self,
        turn: &Turn<'_>,
        found: Option<FlowId>,
        output: &mut Output,
    ) -> Facts {
        let direction = turn.packet.flow.direction;
        let Transport::Tcp(segment) = &turn.packet.transport else {
            return facts(None);
        };
        let mut flags = segment.flags();
        let as_it_is = facts(Some(flags));
        let Some(id) = found else { return as_it_is };
        let Some(phase) = self.table.flow(id).map(|flow| flow.phase()) else { return as_it_is };
        let Some(state) = self.table.state_mut(id) else { return as_it_is };
        if matches!(state, State { inspection: Inspection::Refused(_), .. }) {
            // Nothing of it is forwarded, so it changes nothing: not even a SYN revives the flow.
            return facts(Some(TcpFlags(0)));
        }
        if flags.intersects(TcpFlags::RST) && !state.believes_reset(direction, segment) {
            flags = without(flags, TcpFlags::RST);
        }
        if flags.intersects(TcpFlags::FIN) && !state.believes_fin(direction, segment) {
            flags = without(flags, TcpFlags::FIN);
        }
        let is_open =
            matches!(phase, FlowPhase::Established | FlowPhase::Closing | FlowPhase::Midstream);
        if flags.intersects(TcpFlags::SYN) && is_open {
            if matches!(state.inspection, Inspection::Followed(..)) {
                // Whether another connection begins is known better where the bytes are put in order.
            } else if !flags.intersects(TcpFlags::ACK) {
                state.expect_answer(direction, segment.sequence_number());
            } else if state.is_answer(direction, segment) {
                self.replace(turn, id, output);
                return Facts { is_replacement: true, ..facts(Some(flags)) };
            }
            flags = without(flags, TcpFlags::SYN);
        }
        facts(Some(flags))
    }
}

const fn facts(flags: Option<TcpFlags>) -> Facts {
    Facts { is_checked: true, ..Facts::of(flags) }
}

const fn without(flags: TcpFlags, other: TcpFlags) -> TcpFlags {
    TcpFlags(flags.0 & !other.0)
}
