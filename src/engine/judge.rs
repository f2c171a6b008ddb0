use super::edit::{Edit, is_rewritable};
use super::intake::Intake;
use super::output::{Event, EventKind};
use super::refuse::Way;
use super::state::{Bits, Inspection, State};
use super::{Checksums, Datagram, Disposition, Engine, Outcome, Output, SWEEP};
use crate::Timestamp;
use crate::flow::{Direction, FlowId, Observation, Part, Probe, Relation, Resolved};
use crate::inspect::{
    Action, CloseReason, Context, Exception, Inspector, Interest, Packet, ParsedPacket, Reason,
    Rewriter, Scope, Verdict,
};
use crate::packet::{TcpFlags, Transport};

/// The datagram that is being judged.
#[derive(Clone, Copy)]
pub(super) struct Turn<'a, 'b> {
    /// Its place in the burst.
    pub(super) number: usize,
    pub(super) datagram: &'a Datagram<'b>,
}

impl Turn<'_, '_> {
    pub(super) const fn now(&self) -> Timestamp {
        self.datagram.time()
    }
}

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

/// Whether something may have to be changed in a packet: the first segments of a connection announce a size.
#[inline]
fn wants_plan<R: Rewriter>(packet: &ParsedPacket<'_>) -> bool {
    let is_syn = match &packet.transport {
        Transport::Tcp(segment) => segment.flags().intersects(TcpFlags::SYN),
        _ => false,
    };
    R::ACTIVE || is_syn
}

/// Flags that begin or end a connection.
const CONTROL: TcpFlags = TcpFlags(TcpFlags::SYN.0 | TcpFlags::FIN.0 | TcpFlags::RST.0);

impl<I: Inspector, R: Rewriter> Engine<I, R> {
    /// The outcome for a datagram of any shape.
    #[cold]
    pub(super) fn judge_any(&mut self, turn: &Turn<'_, '_>, output: &mut Output) -> Outcome {
        match Intake::of_any(turn.datagram, &self.settings) {
            Intake::Understood(mut packet) => self.judge(turn, &mut packet, None, output),
            Intake::Malformed(malformed) => self.malformed(turn, &malformed, output),
        }
    }

    /// The outcome for a packet.
    #[inline]
    pub(super) fn judge(
        &mut self,
        turn: &Turn<'_, '_>,
        packet: &mut ParsedPacket<'_>,
        probe: Option<&Probe>,
        output: &mut Output,
    ) -> Outcome {
        let now = turn.now();
        self.sweep(now, output);
        let mut probe = match probe {
            Some(probe) if *probe.key() == packet.flow.key => *probe,
            _ => self.table.probe(&packet.flow.key),
        };
        let probe = &mut probe;
        let mut noted = None;
        if packet.flow.part != Part::Whole {
            match self.resolve_fragment(now, packet, probe) {
                Ok(exception) => noted = exception,
                Err(outcome) => return outcome,
            }
        }
        if packet.opaque.is_some() {
            match self.opaque(turn, packet, output) {
                Ok(exception) => noted = exception,
                Err(outcome) => return outcome,
            }
        }
        let flags = match packet.transport {
            Transport::Tcp(segment) => Some(segment.flags()),
            _ => None,
        };
        let mut facts = Facts { flags, is_checked: false, is_replacement: false };
        if packet.flow.part != Part::Whole {
            // Its receiver believes it when the rest has come, if ever.
            facts.flags = flags.map(|flags| TcpFlags(flags.0 & !CONTROL.0));
        } else if flags.is_some_and(|flags| flags.intersects(CONTROL)) {
            if let Some(outcome) = self.refuse_damaged(packet) {
                return outcome;
            }
            facts = self.control(now, packet, probe, output);
        }
        let seen = Observation {
            direction: packet.flow.direction,
            relation: packet.flow.relation,
            length: packet.ip.bytes().len(),
            flags: facts.flags,
            outer: turn.datagram.outer(),
            envelope: &packet.envelope,
        };
        let (table, panel) = (&mut self.table, &mut self.panel);
        let events = &mut output.events;
        let found = table.observe(probe, &seen, now, &mut |flow| panel.ended(flow, now, events));
        let outcome = match found {
            Some(id) => self.known(turn, packet, id, facts.is_checked, output),
            None => self.unknown(turn, packet, probe, &facts, output),
        };
        let is_own = packet.flow.relation == Relation::Own;
        if packet.flow.part != Part::Whole && is_own && !outcome.disposition.is_forward() {
            self.poison(turn, packet);
        }
        if noted.is_none() {
            return outcome;
        }
        Outcome { exception: outcome.exception.or(noted), ..outcome }
    }

    /// The outcome for a packet of a flow in the table: asks the inspectors, if they look at it.
    #[inline]
    pub(super) fn known(
        &mut self,
        turn: &Turn<'_, '_>,
        packet: &ParsedPacket<'_>,
        id: FlowId,
        is_checked: bool,
        output: &mut Output,
    ) -> Outcome {
        let epoch = self.panel.epoch;
        let Some(state) = self.table.state_mut(id).filter(|state| state.epoch == epoch) else {
            return self.not_inspected(turn, packet, id, is_checked, output);
        };
        let Inspection::Open(flow) = &mut state.inspection else {
            return self.not_inspected(turn, packet, id, is_checked, output);
        };
        let verifies = self.settings.checksums == Checksums::Verify;
        if verifies && !is_checked && packet.is_damaged() {
            return self.damaged(packet);
        }
        self.stage = Stage::Known(id);
        let view = Packet::new(packet, state.bits.opener(), state.bits.beginning());
        let mut verdict = Verdict::PASS;
        let mut is_late = false;
        self.panel.effects.marks = state.marks;
        if I::INTEREST.contains(Interest::PACKETS) {
            if !self.asks_otherwise {
                if let Some(inspector) = self.panel.generations.get_mut(state.generation) {
                    let mut cx = Context::new(turn.now(), &mut self.panel.effects);
                    verdict = inspector.packet(flow, &view, &mut cx);
                }
            } else {
                #[cfg(feature = "faults")]
                let delay = self.faults.strike();
                #[cfg(not(feature = "faults"))]
                let delay = core::time::Duration::ZERO;
                let budget = self.settings.budget;
                let began = budget.map(|budget| (budget.clock)());
                verdict = self.panel.ask_otherwise(state.generation, flow, &view, turn.now());
                if let (Some(budget), Some(began)) = (budget, began) {
                    let took = (budget.clock)().saturating_sub(began).saturating_add(delay);
                    is_late = took > budget.limit;
                }
            }
        }
        let effects = &self.panel.effects;
        let is_quiet =
            !effects.capture && effects.alerts.is_empty() && effects.injections.is_empty();
        let is_plain = verdict.is_pass() && verdict.scope() == Scope::Packet;
        if !(is_plain && is_quiet) || is_late {
            return self.conclude(turn, packet, id, (verdict, is_late), output);
        }
        state.marks = effects.marks;
        let mut capture = state.bits.has(Bits::CAPTURE);
        if let (Transport::Tcp(segment), Part::Whole) = (&packet.transport, packet.flow.part) {
            state.follow(packet.flow.direction, segment);
        }
        if wants_plan::<R>(packet) {
            capture |= self.plan(turn, packet, id, output);
        }
        Outcome { capture, ..Outcome::FORWARD }
    }

    /// The outcome for a packet of a flow that inspectors do not look at, or are to look at anew.
    fn not_inspected(
        &mut self,
        turn: &Turn<'_, '_>,
        packet: &ParsedPacket<'_>,
        id: FlowId,
        is_checked: bool,
        output: &mut Output,
    ) -> Outcome {
        let epoch = self.panel.epoch;
        let is_own = packet.flow.relation == Relation::Own;
        match self.table.state_mut(id) {
            Some(State { inspection: Inspection::Refused(_), .. }) => {
                self.refused_before(turn, packet, id, output)
            }
            Some(State { epoch: of, .. }) if *of != epoch && is_own => {
                self.reopen(turn, packet, id, is_checked, output)
            }
            Some(_) => self.pass(turn, packet, id, output),
            None => Outcome::FORWARD,
        }
    }

    /// Settles a packet whose inspectors did more than to let it pass.
    #[cold]
    fn conclude(
        &mut self,
        turn: &Turn<'_, '_>,
        packet: &ParsedPacket<'_>,
        id: FlowId,
        (verdict, is_late): (Verdict, bool),
        output: &mut Output,
    ) -> Outcome {
        let mut capture = false;
        if let Some(state) = self.table.state_mut(id) {
            state.marks = self.panel.effects.marks;
            capture = state.bits.has(Bits::CAPTURE) || self.panel.effects.capture;
            state.bits.set(Bits::CAPTURE, capture);
        }
        self.spread_effects(turn, packet, Some(id), output);
        let outcome = match (verdict.action(), verdict.scope()) {
            _ if is_late => self.late(turn, packet, id, verdict, output),
            (Action::Pass, Scope::Packet) => self.pass(turn, packet, id, output),
            (Action::Pass, Scope::Flow) => {
                self.settle_flow(turn.now(), id, Inspection::Bypassed, CloseReason::Done, output);
                self.pass(turn, packet, id, output)
            }
            (Action::Drop | Action::Reject, _) => {
                self.refuse(turn, packet, Some(id), verdict, output)
            }
        };
        self.stage = Stage::Idle;
        Outcome { capture: capture || outcome.capture, ..outcome }
    }

    /// Follows a packet that is forwarded, and plans what is to be changed in it.
    #[inline]
    pub(super) fn pass(
        &mut self,
        turn: &Turn<'_, '_>,
        packet: &ParsedPacket<'_>,
        id: FlowId,
        output: &mut Output,
    ) -> Outcome {
        let Some(state) = self.table.state_mut(id) else { return Outcome::FORWARD };
        let mut capture = state.bits.has(Bits::CAPTURE);
        if let (Transport::Tcp(segment), Part::Whole) = (&packet.transport, packet.flow.part) {
            state.follow(packet.flow.direction, segment);
        }
        if wants_plan::<R>(packet) {
            capture |= self.plan(turn, packet, id, output);
        }
        Outcome { capture, ..Outcome::FORWARD }
    }

    /// Plans what is to be changed in a packet. Says whether the rewriter wants evidence.
    #[inline(never)]
    fn plan(
        &mut self,
        turn: &Turn<'_, '_>,
        packet: &ParsedPacket<'_>,
        id: FlowId,
        output: &mut Output,
    ) -> bool {
        let Some(state) = self.table.state_mut(id).filter(|_| is_rewritable(packet)) else {
            return false;
        };
        let view = Packet::new(packet, state.bits.opener(), state.bits.beginning());
        let clamp = self.settings.mss.and_then(|mss| mss.limit(&view));
        let mut plan = None;
        let mut capture = false;
        if R::ACTIVE {
            self.stage = Stage::Planning(id);
            let effects = &mut self.panel.effects;
            effects.marks = state.marks;
            plan = self.rewriter.plan(&view, &mut Context::new(turn.now(), effects));
            self.stage = Stage::Idle;
            state.marks = effects.marks;
            capture = effects.capture;
            state.bits.set(Bits::CAPTURE, state.bits.has(Bits::CAPTURE) || capture);
            if capture || !effects.alerts.is_empty() || !effects.injections.is_empty() {
                self.spread_effects(turn, packet, Some(id), output);
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
        turn: &Turn<'_, '_>,
        packet: &ParsedPacket<'_>,
        id: Option<FlowId>,
        output: &mut Output,
    ) {
        let effects = &mut self.panel.effects;
        output.events.extend(effects.alerts.drain(..).map(|alert| Event {
            datagram: Some(turn.number),
            endpoint: packet.envelope.endpoint(),
            flow: packet.flow.key,
            what: EventKind::Alert(alert),
        }));
        effects.capture = false;
        if effects.injections.is_empty() {
            return;
        }
        for injection in core::mem::take(&mut effects.injections) {
            let write = |buffer: &mut [u8]| {
                buffer.get_mut(..injection.packet.len())?.copy_from_slice(&injection.packet);
                Some(injection.packet.len())
            };
            let way = Way::of(&self.table, turn, packet, id, injection.direction);
            output.inject(&way, injection.packet.len(), write);
        }
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
        let generation = state.generation;
        let inspection = core::mem::replace(&mut state.inspection, to);
        self.panel.close(&key, inspection, generation, why, now, &mut output.events);
    }

    /// Finds the flow that a fragment belongs to, or settles it. It may be an exception all the same.
    #[cold]
    fn resolve_fragment(
        &mut self,
        now: Timestamp,
        packet: &mut ParsedPacket<'_>,
        probe: &mut Probe,
    ) -> Result<Option<Exception>, Outcome> {
        let endpoint = Some(packet.envelope.endpoint());
        let resolved = match self.fragments.resolve(packet.flow, now) {
            #[cfg(feature = "faults")]
            Resolved::Flow(flow) if self.faults.fragment_memory_full => Resolved::NoRoom(flow),
            resolved => resolved,
        };
        match resolved {
            Resolved::Flow(flow) => {
                packet.flow = flow;
                *probe = self.table.probe(&flow.key);
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

    /// Ends flows whose time is over before a packet is judged, so that it does not matter when else that is done.
    #[inline]
    pub(super) fn sweep(&mut self, now: Timestamp, output: &mut Output) {
        if Some(self.step_of(now)) != self.swept && !self.table.is_empty() {
            self.sweep_until(now, output);
        }
    }

    #[cold]
    fn sweep_until(&mut self, now: Timestamp, output: &mut Output) {
        let Self { table, panel, .. } = self;
        let events = &mut output.events;
        let looked_at = table.expire(now, SWEEP, &mut |flow| panel.ended(flow, now, events));
        // Where there is more, the next packet goes on: no packet waits for a whole flood to be swept.
        self.swept = None;
        if looked_at < SWEEP {
            // The table counts from its first packet on, and anew from a clock that was set back: deadlines tell where
            // its steps begin.
            if let Some(deadline) = self.table.next_deadline() {
                self.phase = deadline.as_nanos();
                self.swept = Some(self.step_of(now));
            }
        }
    }

    /// A number for the step of the table's time-outs, 2^24 ns, that a moment is in.
    #[inline]
    const fn step_of(&self, now: Timestamp) -> u64 {
        now.as_nanos().wrapping_sub(self.phase) >> 24
    }

    /// Which side opened a flow whose first packet this is.
    pub(super) fn opener_of(packet: &ParsedPacket<'_>) -> Direction {
        let direction = packet.flow.direction;
        match packet.transport {
            Transport::Tcp(segment) if segment.flags().contains(TcpFlags::SYN | TcpFlags::ACK) => {
                direction.reversed()
            }
            _ => direction,
        }
    }
}
