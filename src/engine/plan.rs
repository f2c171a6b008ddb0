use super::edit::{Edit, is_rewritable};
use super::judge::Stage;
use super::output::{Event, EventKind};
use super::refuse::Way;
use super::state::Bits;
use super::turn::Turn;
use super::{Engine, Outcome, Output};
use crate::flow::FlowId;
use crate::inspect::{Context, Inspector, Packet, ParsedPacket, Rewriter};
use crate::packet::{TcpFlags, Transport};

/// Whether something may have to be changed in a packet: the first segments of a connection announce a size, as an
/// option.
#[inline(always)]
fn wants_plan<R: Rewriter>(packet: &ParsedPacket<'_>) -> bool {
    let may_announce = match &packet.transport {
        Transport::Tcp(segment) => {
            segment.flags().intersects(TcpFlags::SYN) && !segment.option_bytes().is_empty()
        }
        _ => false,
    };
    R::ACTIVE || may_announce
}

impl<I: Inspector, R: Rewriter> Engine<I, R> {
    /// The outcome for a packet that is forwarded: plans what is to be changed in it. `is_kept` says whether its flow is kept
    /// as evidence so far.
    #[inline(always)]
    pub(super) fn forward(
        &mut self,
        turn: &Turn<'_>,
        id: FlowId,
        is_kept: bool,
        output: &mut Output,
    ) -> Outcome {
        let wants = wants_plan::<R>(turn.packet) && self.plan(turn, id, output);
        Outcome { capture: is_kept | wants, ..Outcome::FORWARD }
    }

    /// Plans what is to be changed in a packet. Says whether the rewriter wants evidence.
    #[inline(never)]
    fn plan(&mut self, turn: &Turn<'_>, id: FlowId, output: &mut Output) -> bool {
        if !is_rewritable(turn.packet) {
            return false;
        }
        let ParsedPacket { ip, transport, .. } = turn.packet;
        let clamp = self.settings.mss.and_then(|mss| mss.limit(ip, transport));
        let mut plan = None;
        let mut capture = false;
        if R::ACTIVE {
            let Some(state) = self.table.state_mut(id) else { return false };
            let view = Packet::new(turn.packet, state.bits.opener(), state.bits.beginning());
            self.stage = Stage::Planning(id);
            let effects = &mut self.panel.effects;
            effects.marks = state.marks;
            plan = self.rewriter.plan(&view, &mut Context::new(turn.now, effects));
            self.stage = Stage::Idle;
            state.marks = effects.marks;
            capture = effects.captures(self.settings.capture_alerts);
            state.bits.set(Bits::CAPTURE, state.bits.has(Bits::CAPTURE) || capture);
            if !effects.is_quiet() {
                self.spread_effects(turn, Some(id), output);
            }
        }
        if plan.is_some() || clamp.is_some() {
            self.edits.push(Edit { number: turn.number, id, clamp, plan });
        }
        capture
    }

    /// Hands on what inspectors, and the rewriter, did beside what they were asked for.
    #[cold]
    pub(super) fn spread_effects(
        &mut self,
        turn: &Turn<'_>,
        id: Option<FlowId>,
        output: &mut Output,
    ) {
        let effects = &mut self.panel.effects;
        output.events.extend(effects.alerts.drain(..).map(|alert| Event {
            datagram: Some(turn.number),
            endpoint: turn.endpoint(),
            flow: turn.packet.flow.key,
            what: EventKind::Alert(alert),
        }));
        let reasons = effects.capture_reasons.drain(..).map(|why| Event {
            datagram: Some(turn.number),
            endpoint: turn.endpoint(),
            flow: turn.packet.flow.key,
            what: EventKind::Capture(why),
        });
        output.events.extend(reasons);
        effects.capture = false;
        if effects.injections.is_empty() {
            return;
        }
        for injection in core::mem::take(&mut effects.injections) {
            let write = |buffer: &mut [u8]| {
                buffer.get_mut(..injection.packet.len())?.copy_from_slice(&injection.packet);
                Some(injection.packet.len())
            };
            let way = Way::of(&self.table, turn, id, injection.direction);
            output.inject(&way, injection.packet.len(), write);
        }
    }
}
