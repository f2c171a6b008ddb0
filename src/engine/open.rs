use super::judge::{Facts, Stage};
use super::state::{Bits, Inspection, Refused, Sequence, State, Whom};
use super::turn::Turn;
use super::{Engine, Outcome, Output};
use crate::flow::{Direction, FlowId, PacketFlow, Part, Probe, Refusal, Relation};
use crate::inspect::{
    Beginning, CloseReason, Exception, Inspector, Interest, Packet, ParsedPacket, Reason, Rewriter,
    Treatment, Verdict,
};
use crate::packet::{IpProtocol, TcpFlags, Transport};

impl<I: Inspector, R: Rewriter> Engine<I, R> {
    /// The outcome for a packet whose flow is not in the table.
    #[inline(never)]
    pub(super) fn unknown(
        &mut self,
        turn: &Turn<'_>,
        probe: &Probe,
        facts: &Facts,
        output: &mut Output,
    ) -> Outcome {
        let endpoint = turn.endpoint();
        let mut noted = None;
        if !self.settings.knows(endpoint) {
            let outcome = self.exceptional(Exception::UnknownEndpoint, turn.packet);
            if !outcome.disposition.is_forward() || outcome.would.is_some() {
                return outcome;
            }
            noted = outcome.exception;
        }
        if turn.packet.flow.relation == Relation::IcmpError {
            if let Some(outcome) = self.refuse_damaged(turn.packet) {
                return outcome;
            }
            return self.unknown_icmp_error(turn);
        }
        let mut bits = Bits::default();
        bits.set(Bits::OPENED_IN_REVERSE, opener_of(turn.packet) == Direction::Reverse);
        if self.overloaded {
            return self.unopened(turn, Exception::Overload, bits, output);
        }
        if !facts.is_checked {
            if let Some(outcome) = self.refuse_damaged(turn.packet) {
                return outcome;
            }
        }
        let is_midstream = is_midstream(turn.packet) && !facts.is_replacement;
        if is_midstream {
            const CLASS: Exception = Exception::Midstream;

            bits.set(Bits::MIDSTREAM, true);
            if self.settings.policy_of(Some(endpoint)).treatment(CLASS) != Treatment::Adopt {
                let outcome = self.unopened(turn, CLASS, bits, output);
                return self.reject_unknown(turn, outcome, output);
            }
        }
        let state = self.open(turn, bits, bits.beginning());
        if is_midstream {
            self.exception(Exception::Midstream, Some(endpoint));
            noted = Some(Exception::Midstream);
        }
        let mut outcome = self.enter(turn, probe, facts, state, output);
        if noted.is_some() && outcome.exception.is_none() {
            outcome.exception = noted;
        }
        outcome
    }

    /// The outcome for the packet of a flow that does not begin. Where it would pass, it is asked first whether the flow is that
    /// of somebody who fails closed.
    #[cold]
    fn unopened(
        &mut self,
        turn: &Turn<'_>,
        class: Exception,
        bits: Bits,
        output: &mut Output,
    ) -> Outcome {
        let endpoint = turn.endpoint();
        let passes = self.settings.policy_of(Some(endpoint)).treatment(class) == Treatment::Pass;
        let mut fails_closed = false;
        if passes && self.panel.may_fail_closed(self.panel.generations.current()) {
            let state = self.open(turn, bits, bits.beginning());
            fails_closed = state.bits.has(Bits::FAILS_CLOSED);
            self.close_unjudged(turn, state, output);
        }
        let treatment = self.exception_of(class, endpoint, fails_closed);
        self.settle(class, treatment, Reason::new(class.name()), Some(endpoint))
    }

    /// Ends a flow that was opened to see whose it is, as if nobody had been asked.
    fn close_unjudged(&mut self, turn: &Turn<'_>, state: State<I::Flow>, output: &mut Output) {
        self.panel.effects.clear();
        let State { inspection, generation, marks, .. } = state;
        let (key, why, now) = (&turn.packet.flow.key, CloseReason::Evicted, turn.now);
        let under = (generation, marks);
        self.panel.close(key, inspection, under, why, now, &mut output.events);
    }

    /// Asks the inspectors whether a flow is theirs.
    fn open(&mut self, turn: &Turn<'_>, mut bits: Bits, beginning: Beginning) -> State<I::Flow> {
        let generation = self.panel.generations.current();
        self.stage = Stage::Opening { generation };
        let view = Packet::new(turn.packet, bits.opener(), beginning);
        let effects = &mut self.panel.effects;
        effects.marks = 0;
        let opened = match self.panel.generations.get_mut(generation) {
            Some(inspector) if I::INTEREST != Interest::NONE => {
                inspector.open(&view, &mut turn.context(effects))
            }
            _ => None,
        };
        let fails_closed = match (self.panel.generations.get_mut(generation), &opened) {
            (Some(inspector), Some(flow)) if I::INTEREST.contains(Interest::FAIL_CLOSED) => {
                inspector.wants(flow).contains(Interest::FAIL_CLOSED)
            }
            _ => false,
        };
        bits.set(Bits::FAILS_CLOSED, fails_closed);
        self.stage = Stage::Idle;
        let inspection = match opened {
            Some(flow) => {
                self.panel.generations.opened(generation);
                Inspection::Open(flow)
            }
            None => Inspection::Bypassed,
        };
        let (sequence, marks) = (Sequence::default(), self.panel.effects.marks);
        State {
            inspection,
            sequence,
            marks,
            carriers: 0,
            generation,
            epoch: self.panel.epoch,
            bits,
        }
    }

    /// Takes a flow into the table, and judges its first packet.
    #[inline(always)]
    fn enter(
        &mut self,
        turn: &Turn<'_>,
        probe: &Probe,
        facts: &Facts,
        state: State<I::Flow>,
        output: &mut Output,
    ) -> Outcome {
        match self.insert(turn, probe, facts.flags, state, output) {
            Ok(id) => self.first(turn, id, output),
            Err((why, state)) => self.stateless(turn, why, state, output),
        }
    }

    fn insert(
        &mut self,
        turn: &Turn<'_>,
        probe: &Probe,
        flags: Option<TcpFlags>,
        state: State<I::Flow>,
        output: &mut Output,
    ) -> Result<FlowId, (Refusal, State<I::Flow>)> {
        #[cfg(feature = "faults")]
        if self.faults.flow_table_full {
            return Err((Refusal::Full, state));
        }
        let now = turn.now;
        let seen = turn.seen(flags);
        let (table, panel) = (&mut self.table, &mut self.panel);
        let events = &mut output.events;
        table
            .insert(probe, &seen, now, state, &mut |flow| panel.ended(flow, now, events))
            .map_err(|refused| (refused.why, refused.state))
    }

    /// Judges the first packet of a flow that is in the table.
    #[inline(always)]
    fn first(&mut self, turn: &Turn<'_>, id: FlowId, output: &mut Output) -> Outcome {
        if I::INTEREST.intersects(Interest::IN_ORDER) {
            let is_open = |state: &mut State<_>| matches!(state.inspection, Inspection::Open(_));
            // The packet may be discarded before anybody is asked about it.
            if !self.panel.effects.is_quiet() && self.table.state_mut(id).is_some_and(is_open) {
                self.keep_effects(turn, id, output);
            }
            if let Some(refused) = self.begin_stream(turn, id, output) {
                return refused;
            }
        }
        match self.table.state_mut(id) {
            Some(State { inspection: Inspection::Open(_) | Inspection::Followed(..), .. }) => {
                self.known(turn, id, true, output)
            }
            Some(state) => {
                let effects = &self.panel.effects;
                let capture = effects.captures(self.settings.capture_alerts);
                state.bits.set(Bits::CAPTURE, state.bits.has(Bits::CAPTURE) || capture);
                if !effects.is_quiet() {
                    self.spread_effects(turn, Some(id), output);
                }
                self.pass(turn, id, output)
            }
            None => Outcome::FORWARD,
        }
    }

    /// Settles the packet of a flow that found no room.
    #[cold]
    fn stateless(
        &mut self,
        turn: &Turn<'_>,
        why: Refusal,
        state: State<I::Flow>,
        output: &mut Output,
    ) -> Outcome {
        const CLASS: Exception = Exception::FlowTableFull;

        let (now, endpoint) = (turn.now, turn.endpoint());
        let reason = match why {
            Refusal::Quota => "endpoint-quota",
            Refusal::Endpoints => "endpoint-table-full",
            Refusal::Collisions => "flow-hash-collisions",
            _ => CLASS.name(),
        };
        let State { mut inspection, generation, mut marks, bits, .. } = state;
        let treatment = self.exception_of(CLASS, endpoint, bits.has(Bits::FAILS_CLOSED));
        let mut outcome = self.settle(CLASS, treatment, Reason::new(reason), Some(endpoint));
        let mut verdict = Verdict::PASS;
        if treatment == Treatment::Pass && I::INTEREST.contains(Interest::PACKETS) {
            if let Inspection::Open(flow) = inspection {
                self.stage = Stage::Stateless { generation, flow };
                verdict = self.judge_stateless(turn, bits);
                let Stage::Stateless { flow, .. } =
                    core::mem::replace(&mut self.stage, Stage::Idle)
                else {
                    return outcome;
                };
                inspection = Inspection::Open(flow);
                let effects = &self.panel.effects;
                outcome.capture = effects.captures(self.settings.capture_alerts);
                marks = effects.marks;
                self.spread_effects(turn, None, output);
            }
        }
        let (key, events) = (&turn.packet.flow.key, &mut output.events);
        self.panel.close(key, inspection, (generation, marks), CloseReason::Evicted, now, events);
        self.panel.effects.clear();
        if verdict.is_pass() {
            return outcome;
        }
        let Outcome { capture, .. } = outcome;
        let outcome = self.refuse(turn, None, verdict, output);
        Outcome { exception: Some(CLASS), capture, ..outcome }
    }

    /// Asks the inspectors about a packet as if it were the first and last of its flow, whose state is in the stage.
    fn judge_stateless(&mut self, turn: &Turn<'_>, bits: Bits) -> Verdict {
        let Stage::Stateless { generation, flow } = &mut self.stage else { return Verdict::PASS };
        let view = Packet::new(turn.packet, bits.opener(), bits.beginning());
        let mut cx = turn.context(&mut self.panel.effects);
        match self.panel.generations.get_mut(*generation) {
            Some(inspector) => inspector.packet(flow, &view, &mut cx),
            None => Verdict::PASS,
        }
    }

    /// Opens a flow anew under the inspectors in force, and judges its packet.
    #[cold]
    pub(super) fn reopen(
        &mut self,
        turn: &Turn<'_>,
        id: FlowId,
        is_checked: bool,
        output: &mut Output,
    ) -> Outcome {
        if !is_checked {
            if let Some(outcome) = self.refuse_damaged(turn.packet) {
                return outcome;
            }
        }
        let now = turn.now;
        self.settle_flow(now, id, Inspection::Bypassed, CloseReason::Reloaded, output);
        let Some(state) = self.table.state_mut(id) else { return Outcome::FORWARD };
        state.wake(self.panel.epoch, self.panel.blind_until);
        state.epoch = self.panel.epoch;
        let beginning = match state.bits.beginning() {
            Beginning::Seen => Beginning::Reopened,
            other => other,
        };
        state.bits.set(Bits::MIDSTREAM, true);
        let (bits, marks) = (state.bits, state.marks);
        self.stage = Stage::Known(id);
        let opened = self.open(turn, bits, beginning);
        if let Some(state) = self.table.state_mut(id) {
            state.inspection = opened.inspection;
            state.generation = opened.generation;
            state.bits = opened.bits;
            state.marks = marks | opened.marks;
        }
        self.first(turn, id, output)
    }

    /// Remembers a flow that no inspector could be asked about.
    pub(super) fn remember_failed(
        &mut self,
        turn: &Turn<'_>,
        treatment: Treatment,
        output: &mut Output,
    ) {
        let reason = Reason::new(Exception::InspectorPanic.name());
        let inspection = match treatment {
            Treatment::Pass => Inspection::Bypassed,
            _ => Inspection::Refused(Refused::new(self.reasons.id(reason), Whom::Nobody, turn.now)),
        };
        let mut bits = Bits::default();
        bits.set(Bits::OPENED_IN_REVERSE, opener_of(turn.packet) == Direction::Reverse);
        let generation = self.panel.generations.current();
        let epoch = self.panel.epoch;
        let sequence = Sequence::default();
        let state = State { inspection, sequence, marks: 0, carriers: 0, generation, epoch, bits };
        let probe = self.table.probe(&turn.packet.flow.key);
        let flags = turn.flags();
        // Known already, it was to be opened anew. Without room, it will be asked about again.
        let refused = self.insert(turn, &probe, flags, state, output);
        if let Err((Refusal::Known, State { inspection, .. })) = refused {
            if let Some(id) = self.table.get(&probe, turn.now) {
                self.settle_flow(turn.now, id, inspection, CloseReason::Failed, output);
            }
        }
    }

    #[cold]
    fn unknown_icmp_error(&mut self, turn: &Turn<'_>) -> Outcome {
        let outcome = self.exceptional(Exception::UnknownIcmpError, turn.packet);
        let is_passed = outcome.disposition.is_forward() && outcome.would.is_none();
        if is_passed && !self.icmp_errors.take(turn.now) {
            let dropped = self.drop_for(turn.packet, "icmp-error-rate");
            return Outcome { exception: outcome.exception, ..dropped };
        }
        outcome
    }
}

/// Which side opened a flow whose first packet this is.
fn opener_of(packet: &ParsedPacket<'_>) -> Direction {
    let direction = packet.flow.direction;
    match packet.transport {
        Transport::Tcp(segment) if segment.flags().contains(TcpFlags::SYN | TcpFlags::ACK) => {
            direction.reversed()
        }
        _ => direction,
    }
}

/// Whether the packet shows that there was a SYN before it.
fn is_midstream(packet: &ParsedPacket<'_>) -> bool {
    match packet.transport {
        Transport::Tcp(segment) => {
            let flags = segment.flags();
            !flags.intersects(TcpFlags::SYN) || flags.intersects(TcpFlags::ACK)
        }
        // Its first fragment was seen, and opened nothing.
        _ => {
            let PacketFlow { key, direction, part, .. } = &packet.flow;
            key.protocol() == IpProtocol::TCP
                && matches!(part, Part::Later(_))
                && key.five_tuple(*direction).ports.is_some()
        }
    }
}
