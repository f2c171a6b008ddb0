use super::intake::Intake;
use super::state::{Bits, Inspection, State};
use super::turn::Turn;
use super::{Checksums, Datagram, Disposition, Engine, Outcome, Output};
use crate::Timestamp;
use crate::flow::{FlowId, Part, Probe, Relation, Resolved};
use crate::gwlb::Envelope;
use crate::inspect::{
    Action, CloseReason, Exception, Inspector, Interest, Packet, ParsedPacket, Reason, Rewriter,
    Scope, Verdict,
};
use crate::packet::TcpFlags;

/// Whose code is running, should it panic.
pub(super) enum Stage<F> {
    /// The engine's.
    Idle,
    /// An inspector's of this generation, for a flow that is not in the table.
    Opening { generation: u8 },
    /// An inspector's of this generation, for a packet of a flow that found no room.
    Stateless { generation: u8, flow: F },
    /// An inspector's, for a flow in the table.
    Known(FlowId),
    /// The rewriter's, for a flow in the table.
    Planning(FlowId),
}

/// What is known of a packet before its flow is looked for.
#[derive(Clone, Copy)]
pub(super) struct Facts {
    /// The flags of TCP that the receiver will believe.
    pub(super) flags: Option<TcpFlags>,
    /// Whether the checksum is right.
    pub(super) is_checked: bool,
    /// Whether it answers a SYN that came in the middle of the flow before, which was ended for it.
    pub(super) is_replacement: bool,
}

impl Facts {
    #[inline]
    pub(super) const fn of(flags: Option<TcpFlags>) -> Self {
        Self { flags, is_checked: false, is_replacement: false }
    }
}

/// Flags that begin or end a connection.
const CONTROL: TcpFlags = TcpFlags(TcpFlags::SYN.0 | TcpFlags::FIN.0 | TcpFlags::RST.0);

impl<I: Inspector, R: Rewriter> Engine<I, R> {
    /// The outcome for a datagram.
    #[inline(always)]
    pub(super) fn judge_datagram(
        &mut self,
        number: usize,
        datagram: &Datagram<'_>,
        probe: Option<&Probe>,
        output: &mut Output,
    ) -> Outcome {
        self.sweep(datagram.time(), output);
        if let Some(envelope) = Envelope::parse_usual(datagram.payload(), &self.settings.profile) {
            // Each judged where it was taken apart: to bring both together first would mean to move them.
            if let Some(packet) = &Intake::usual_ipv4(envelope, &self.settings) {
                return self.judge(&Turn::new(number, datagram, packet), probe, output);
            }
            if let Some(packet) = &Intake::usual_ipv6(envelope, &self.settings) {
                return self.judge(&Turn::new(number, datagram, packet), probe, output);
            }
        }
        self.judge_any(number, datagram, output)
    }

    /// The outcome for a datagram of unusual shape.
    #[cold]
    fn judge_any(
        &mut self,
        number: usize,
        datagram: &Datagram<'_>,
        output: &mut Output,
    ) -> Outcome {
        let mut packet = match Intake::of_any(datagram, &self.settings) {
            Intake::Understood(packet) => packet,
            Intake::Malformed(found) => return self.malformed(&found),
        };
        let packet = &mut packet;
        let mut noted = None;
        if packet.flow.part != Part::Whole {
            match self.resolve_fragment(datagram.time(), packet) {
                Ok(exception) => noted = exception,
                Err(outcome) => return outcome,
            }
        }
        let turn = &Turn::new(number, datagram, packet);
        if packet.opaque.is_some() {
            match self.opaque(turn, output) {
                Ok(exception) => noted = exception,
                Err(outcome) => return outcome,
            }
        }
        let is_early = noted == Some(Exception::FragmentBeforeFirst);
        let outcome = match self.screen_fragment(turn, is_early) {
            Some(outcome) => outcome,
            None if packet.depth > 0 => self.judge_tunneled(turn, output),
            None => self.judge(turn, None, output),
        };
        self.settle_fragment(turn, is_early, &outcome);
        let is_own = packet.flow.relation == Relation::Own;
        if packet.flow.part != Part::Whole && is_own && !outcome.disposition.is_forward() {
            self.poison(turn);
        }
        Outcome { exception: outcome.exception.or(noted), ..outcome }
    }

    /// The outcome for a packet, by its flow.
    ///
    /// Apart from the loop around it, so that looking for a flow is compiled into the one place.
    #[inline(never)]
    pub(super) fn judge(
        &mut self,
        turn: &Turn<'_>,
        probe: Option<&Probe>,
        output: &mut Output,
    ) -> Outcome {
        let key = &turn.packet.flow.key;
        let probe = &match probe {
            Some(probe) if probe.key() == key => *probe,
            _ => self.table.probe(key),
        };
        let flags = turn.flags();
        if flags.is_some_and(|flags| flags.intersects(CONTROL)) {
            return self.judge_control(turn, probe, output);
        }
        self.judge_as(turn, probe, &Facts::of(flags), output)
    }

    /// The same of a segment with [`CONTROL`] flags, by what its receiver will believe of it.
    #[inline(never)]
    fn judge_control(&mut self, turn: &Turn<'_>, probe: &Probe, output: &mut Output) -> Outcome {
        if turn.packet.flow.part != Part::Whole {
            // Its receiver believes it when the rest has come, if ever.
            let flags = turn.flags().map(|flags| TcpFlags(flags.0 & !CONTROL.0));
            return self.judge_as(turn, probe, &Facts::of(flags), output);
        }
        if self.settings.checksums == Checksums::Verify && turn.packet.is_damaged() {
            return self.damaged(turn.packet);
        }
        match self.table.get(probe, turn.now) {
            None if self.table.is_unknown(probe) => {
                let facts = Facts { is_checked: true, ..Facts::of(turn.flags()) };
                self.unknown(turn, probe, &facts, output)
            }
            found => {
                let facts = self.control(turn, found, output);
                self.judge_as(turn, probe, &facts, output)
            }
        }
    }

    /// Judges a packet whose facts are known: looks for its flow.
    #[inline(always)]
    fn judge_as(
        &mut self,
        turn: &Turn<'_>,
        probe: &Probe,
        facts: &Facts,
        output: &mut Output,
    ) -> Outcome {
        let (table, panel) = (&mut self.table, &mut self.panel);
        let (now, events) = (turn.now, &mut output.events);
        let mut ended = |flow| panel.ended(flow, now, events);
        match table.observe(probe, &turn.seen(facts.flags), now, &mut ended) {
            Some(id) => self.known(turn, id, facts.is_checked, output),
            None => self.unknown(turn, probe, facts, output),
        }
    }

    /// The outcome for a packet of a flow in the table: asks the inspectors, if they look at it.
    #[inline(always)]
    pub(super) fn known(
        &mut self,
        turn: &Turn<'_>,
        id: FlowId,
        is_checked: bool,
        output: &mut Output,
    ) -> Outcome {
        let packet = turn.packet;
        let epoch = self.panel.epoch;
        let Some(state) = self.table.state_mut(id).filter(|state| state.epoch == epoch) else {
            return self.not_inspected(turn, id, is_checked, output);
        };
        let flow = match &mut state.inspection {
            Inspection::Open(flow) => flow,
            Inspection::Followed(..) if I::INTEREST.intersects(Interest::IN_ORDER) => {
                return self.follow(turn, id, is_checked, output);
            }
            _ => return self.not_inspected(turn, id, is_checked, output),
        };
        if self.settings.checksums == Checksums::Verify && !is_checked && packet.is_damaged() {
            return self.damaged(packet);
        }
        if self.asks_otherwise {
            return self.ask_otherwise(turn, id, output);
        }
        self.stage = Stage::Known(id);
        let view = Packet::new(packet, state.bits.opener(), state.bits.beginning());
        let effects = &mut self.panel.effects;
        effects.marks = state.marks;
        let verdict = match self.panel.generations.get_mut(state.generation) {
            Some(inspector) if I::INTEREST.contains(Interest::PACKETS) => {
                inspector.packet(flow, &view, &mut turn.context(effects))
            }
            _ => Verdict::PASS,
        };
        let is_plain = verdict.is_pass() && verdict.scope() == Scope::Packet;
        if !is_plain || !effects.is_quiet() {
            return self.conclude(turn, id, verdict, false, output);
        }
        state.marks = effects.marks;
        state.pass(packet);
        let is_kept = state.bits.has(Bits::CAPTURE);
        self.forward(turn, id, is_kept, output)
    }

    /// The same where there is more to asking the inspectors than asking them.
    #[cold]
    fn ask_otherwise(&mut self, turn: &Turn<'_>, id: FlowId, output: &mut Output) -> Outcome {
        let Some(state) = self.table.state_mut(id) else { return Outcome::FORWARD };
        let Inspection::Open(flow) = &mut state.inspection else { return Outcome::FORWARD };
        self.stage = Stage::Known(id);
        let view = Packet::new(turn.packet, state.bits.opener(), state.bits.beginning());
        self.panel.effects.marks = state.marks;
        let mut verdict = Verdict::PASS;
        let mut is_late = false;
        if I::INTEREST.contains(Interest::PACKETS) {
            #[cfg(feature = "faults")]
            let delay = self.faults.strike();
            #[cfg(not(feature = "faults"))]
            let delay = core::time::Duration::ZERO;
            let budget = self.settings.budget;
            let began = budget.map(|budget| (budget.clock)());
            verdict = self.panel.ask_otherwise(state.generation, flow, &view, turn.now);
            if let (Some(budget), Some(began)) = (budget, began) {
                let took = (budget.clock)().saturating_sub(began).saturating_add(delay);
                is_late = took > budget.limit;
            }
        }
        self.conclude(turn, id, verdict, is_late, output)
    }

    /// The outcome for a packet of a flow that inspectors do not look at, or are to look at anew.
    fn not_inspected(
        &mut self,
        turn: &Turn<'_>,
        id: FlowId,
        is_checked: bool,
        output: &mut Output,
    ) -> Outcome {
        let epoch = self.panel.epoch;
        let is_own = turn.packet.flow.relation == Relation::Own;
        match self.table.state_mut(id) {
            Some(State { inspection: Inspection::Refused(_), .. }) => {
                self.refused_before(turn, id, output)
            }
            Some(State { epoch: of, .. }) if *of != epoch && is_own => {
                self.reopen(turn, id, is_checked, output)
            }
            // Of another epoch, and an error about the flow, which opens nothing anew.
            Some(State { inspection: Inspection::Followed(..), .. })
                if I::INTEREST.intersects(Interest::IN_ORDER) =>
            {
                self.follow(turn, id, is_checked, output)
            }
            Some(_) => self.pass(turn, id, output),
            None => Outcome::FORWARD,
        }
    }

    /// Settles a packet whose inspectors did more than to let it pass.
    #[cold]
    pub(super) fn conclude(
        &mut self,
        turn: &Turn<'_>,
        id: FlowId,
        verdict: Verdict,
        is_late: bool,
        output: &mut Output,
    ) -> Outcome {
        let capture = self.keep_effects(turn, id, output);
        let outcome = match (verdict.action(), verdict.scope()) {
            _ if is_late => self.late(turn, id, verdict, output),
            (Action::Pass, Scope::Packet) => self.pass(turn, id, output),
            (Action::Pass, Scope::Flow) => {
                self.settle_flow(turn.now, id, Inspection::Bypassed, CloseReason::Done, output);
                self.pass(turn, id, output)
            }
            (Action::Drop | Action::Reject, _) => self.refuse(turn, Some(id), verdict, output),
        };
        self.stage = Stage::Idle;
        Outcome { capture: capture || outcome.capture, ..outcome }
    }

    /// Keeps and hands on what inspectors did beside their verdict. Says whether the flow is kept as evidence.
    #[cold]
    pub(super) fn keep_effects(
        &mut self,
        turn: &Turn<'_>,
        id: FlowId,
        output: &mut Output,
    ) -> bool {
        let mut capture = false;
        if let Some(state) = self.table.state_mut(id) {
            state.marks = self.panel.effects.marks;
            let effects = &self.panel.effects;
            capture =
                state.bits.has(Bits::CAPTURE) || effects.captures(self.settings.capture_alerts);
            state.bits.set(Bits::CAPTURE, capture);
        }
        self.spread_effects(turn, Some(id), output);
        capture
    }

    /// The outcome for a packet whose flow is looked at in another way from now on.
    #[cold]
    #[inline(never)]
    pub(super) fn known_again(
        &mut self,
        turn: &Turn<'_>,
        id: FlowId,
        output: &mut Output,
    ) -> Outcome {
        self.known(turn, id, true, output)
    }

    /// Follows a packet that is forwarded, and plans what is to be changed in it.
    #[inline]
    pub(super) fn pass(&mut self, turn: &Turn<'_>, id: FlowId, output: &mut Output) -> Outcome {
        let Some(state) = self.table.state_mut(id) else { return Outcome::FORWARD };
        state.pass(turn.packet);
        let is_kept = state.bits.has(Bits::CAPTURE);
        self.forward(turn, id, is_kept, output)
    }

    /// Ends what inspectors do with a flow.
    pub(super) fn settle_flow(
        &mut self,
        now: Timestamp,
        id: FlowId,
        to: Inspection<I::Flow>,
        why: CloseReason,
        output: &mut Output,
    ) {
        let Some(key) = self.table.flow(id).map(|flow| *flow.key()) else { return };
        let Some(state) = self.table.state_mut(id) else { return };
        let whose = (state.generation, state.marks);
        let inspection = core::mem::replace(&mut state.inspection, to);
        self.panel.close(&key, inspection, whose, why, now, &mut output.events);
    }

    /// Finds the flow that a fragment belongs to, or settles it. It may be an exception all the same.
    #[cold]
    fn resolve_fragment(
        &mut self,
        now: Timestamp,
        packet: &mut ParsedPacket<'_>,
    ) -> Result<Option<Exception>, Outcome> {
        let endpoint = Some(packet.envelope.endpoint());
        self.note_fragment(packet);
        let resolved = match self.fragments.resolve(packet.flow, now) {
            #[cfg(feature = "faults")]
            Resolved::Flow(flow) if self.faults.fragment_memory_full => Resolved::NoRoom(flow),
            resolved => resolved,
        };
        match resolved {
            Resolved::Flow(flow) => {
                packet.flow = flow;
                Ok(None)
            }
            // Passed, it is judged as what it is.
            Resolved::Unknown(_) => self.unless_passed(Exception::FragmentBeforeFirst, packet),
            Resolved::NoRoom(_) => self.unless_passed(Exception::FragmentMemoryFull, packet),
            Resolved::Poisoned => {
                let reason = Reason::new("fragment-of-refused");
                Err(self.or_would(Outcome::refused(Disposition::Drop, reason), endpoint))
            }
        }
    }
}
