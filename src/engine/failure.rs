use super::intake::{Intake, Malformed};
use super::judge::Stage;
use super::output::{Event, EventKind};
use super::panel::contained;
use super::state::{Bits, Inspection, Refused, Whom};
use super::turn::Turn;
use super::{Checksums, Datagram, Disposition, Engine, Outcome, Output};
use crate::flow::FlowId;
use crate::gwlb::EndpointId;
use crate::inspect::{
    Action, CloseReason, Exception, Inspector, ParsedPacket, Reason, Rewriter, Treatment, Verdict,
};
use crate::packet::Transport;

impl<I: Inspector, R: Rewriter> Engine<I, R> {
    /// The outcome for a datagram that was not understood.
    #[cold]
    pub(super) fn malformed(&mut self, found: &Malformed) -> Outcome {
        let treatment = self.exception(found.exception, found.endpoint);
        self.settle(found.exception, treatment, found.reason, found.endpoint)
    }

    /// Settles a packet at which an inspector, or the rewriter's plan, panicked.
    #[cold]
    pub(super) fn contain(
        &mut self,
        number: usize,
        datagram: &Datagram<'_>,
        output: &mut Output,
    ) -> Outcome {
        const CLASS: Exception = Exception::InspectorPanic;

        let Intake::Understood(packet) = &Intake::of_any(datagram, &self.settings) else {
            return Outcome::refused(Disposition::Drop, Reason::new(CLASS.name()));
        };
        let turn = &Turn::new(number, datagram, packet);
        let endpoint = turn.endpoint();
        let fails_closed = match self.stage {
            Stage::Known(id) | Stage::Planning(id) => self.fails_closed(id),
            // Nobody can say whose flow it would have been.
            Stage::Opening { generation } => {
                contained(|| self.panel.may_fail_closed(generation)).unwrap_or(true)
            }
            // Else it would not have come so far.
            Stage::Stateless { .. } | Stage::Idle => false,
        };
        let treatment = self.exception_of(CLASS, endpoint, fails_closed);
        self.tell(turn, CLASS, treatment, output);
        self.panel.effects.clear();
        let generation = match &self.stage {
            Stage::Known(id) => self.table.state_mut(*id).map(|state| state.generation),
            Stage::Opening { generation } | Stage::Stateless { generation, .. } => {
                Some(*generation)
            }
            Stage::Planning(_) | Stage::Idle => None,
        };
        match generation {
            Some(generation) => self.panel.rebuild(generation),
            None => self.panel.panics = self.panel.panics.saturating_add(1),
        }
        let now = turn.now;
        match core::mem::replace(&mut self.stage, Stage::Idle) {
            Stage::Known(id) | Stage::Planning(id) => {
                let outcome = self.fail(turn, id, CLASS, treatment, output);
                return Outcome { exception: Some(CLASS), ..outcome };
            }
            Stage::Stateless { flow, generation } => {
                let (key, inspection) = (&turn.packet.flow.key, Inspection::Open(flow));
                let (why, events) = (CloseReason::Failed, &mut output.events);
                self.panel.close(key, inspection, (generation, 0), why, now, events);
            }
            Stage::Opening { .. } => self.remember_failed(turn, treatment, output),
            Stage::Idle => {}
        }
        self.settle(CLASS, treatment, Reason::new(CLASS.name()), Some(endpoint))
    }

    /// Settles a packet whose inspectors took too long.
    #[cold]
    pub(super) fn late(
        &mut self,
        turn: &Turn<'_>,
        id: FlowId,
        verdict: Verdict,
        output: &mut Output,
    ) -> Outcome {
        self.counters.over_budget = self.counters.over_budget.wrapping_add(1);
        let fails_closed = self.fails_closed(id);
        let treatment = self.exception_of(Exception::OverBudget, turn.endpoint(), fails_closed);
        self.tell(turn, Exception::OverBudget, treatment, output);
        let outcome = if !verdict.is_pass() {
            self.refuse(turn, Some(id), verdict, output)
        } else {
            self.fail(turn, id, Exception::OverBudget, treatment, output)
        };
        Outcome { exception: Some(Exception::OverBudget), ..outcome }
    }

    /// Drops, or passes, a flow from now on whose inspectors failed.
    pub(super) fn fail(
        &mut self,
        turn: &Turn<'_>,
        id: FlowId,
        exception: Exception,
        treatment: Treatment,
        output: &mut Output,
    ) -> Outcome {
        let reason = Reason::new(exception.name());
        let to = match treatment {
            Treatment::Pass => Inspection::Bypassed,
            _ => Inspection::Refused(Refused::new(self.reasons.id(reason), Whom::Nobody, turn.now)),
        };
        self.settle_flow(turn.now, id, to, CloseReason::Failed, output);
        let outcome = self.settle(exception, treatment, reason, Some(turn.endpoint()));
        if outcome.disposition.is_forward() {
            // The rewriter may be what failed.
            if let (Some(state), Transport::Tcp(segment)) =
                (self.table.state_mut(id), &turn.packet.transport)
            {
                state.follow(turn.packet.flow.direction, segment);
            }
        }
        outcome
    }

    /// The outcome for a packet that its receiver will discard, if it is one.
    #[inline(never)]
    pub(super) fn refuse_damaged(&mut self, packet: &ParsedPacket<'_>) -> Option<Outcome> {
        if self.settings.checksums == Checksums::Ignore || !packet.is_damaged() {
            return None;
        }
        Some(self.damaged(packet))
    }

    #[cold]
    pub(super) fn damaged(&mut self, packet: &ParsedPacket<'_>) -> Outcome {
        let endpoint = Some(packet.envelope.endpoint());
        let treatment = self.exception(Exception::BadChecksum, endpoint);
        let reason = match packet.transport {
            Transport::Tcp(_) => "tcp-checksum",
            Transport::Udp(_) => "udp-checksum",
            Transport::Icmp(_) | Transport::Icmpv6(_) => "icmp-checksum",
            _ => "bad-checksum",
        };
        self.settle(Exception::BadChecksum, treatment, Reason::new(reason), endpoint)
    }

    /// The exception of a packet that hides another, if it is to be judged as it is, else its outcome.
    #[cold]
    pub(super) fn opaque(
        &mut self,
        turn: &Turn<'_>,
        output: &mut Output,
    ) -> Result<Option<Exception>, Outcome> {
        const CLASS: Exception = Exception::OpaqueTunnel;
        let outcome = self.unless_passed(CLASS, turn.packet);
        let treatment = self.settings.policy_of(Some(turn.endpoint())).treatment(CLASS);
        self.tell(turn, CLASS, treatment, output);
        outcome
    }

    /// The exception, if the packet is to be judged all the same, else its outcome.
    pub(super) fn unless_passed(
        &mut self,
        class: Exception,
        packet: &ParsedPacket<'_>,
    ) -> Result<Option<Exception>, Outcome> {
        let outcome = self.exceptional(class, packet);
        let is_refused = !outcome.disposition.is_forward() || outcome.would.is_some();
        if is_refused { Err(outcome) } else { Ok(Some(class)) }
    }

    /// Counts an exception and gives its outcome.
    pub(super) fn exceptional(&mut self, class: Exception, packet: &ParsedPacket<'_>) -> Outcome {
        let endpoint = Some(packet.envelope.endpoint());
        let treatment = self.exception(class, endpoint);
        self.settle(class, treatment, Reason::new(class.name()), endpoint)
    }

    /// Counts an exception and says how it is to be treated.
    pub(super) fn exception(
        &mut self,
        class: Exception,
        endpoint: Option<EndpointId>,
    ) -> Treatment {
        self.counters.count_exception(class);
        self.settings.policy_of(endpoint).treatment(class)
    }

    /// The same of the traffic of a flow, which may be that of somebody who fails closed.
    pub(super) fn exception_of(
        &mut self,
        class: Exception,
        endpoint: EndpointId,
        fails_closed: bool,
    ) -> Treatment {
        let treatment = self.exception(class, Some(endpoint));
        if fails_closed {
            self.settings.policy_of(Some(endpoint)).failing_closed(class)
        } else {
            treatment
        }
    }

    /// Whether a flow is that of somebody who fails closed.
    pub(super) fn fails_closed(&mut self, id: FlowId) -> bool {
        self.table.state_mut(id).is_some_and(|state| state.bits.has(Bits::FAILS_CLOSED))
    }

    /// The outcome for an exception.
    pub(super) fn settle(
        &self,
        class: Exception,
        treatment: Treatment,
        reason: Reason,
        endpoint: Option<EndpointId>,
    ) -> Outcome {
        let outcome = match treatment {
            Treatment::Pass | Treatment::Adopt => Outcome::FORWARD,
            Treatment::Drop => Outcome::refused(Disposition::Drop, reason),
            Treatment::Reject => Outcome::refused(Disposition::Reject, reason),
        };
        let outcome = Outcome { exception: Some(class), ..outcome };
        // Without an envelope there is no way back.
        if class == Exception::MalformedEnvelope {
            outcome
        } else {
            self.or_would(outcome, endpoint)
        }
    }

    /// Turns a refusal into a note of it, where traffic is only watched.
    pub(super) fn or_would(&self, outcome: Outcome, endpoint: Option<EndpointId>) -> Outcome {
        let would = match outcome.disposition {
            Disposition::Forward | Disposition::ForwardEdited => return outcome,
            Disposition::Drop => Some(Action::Drop),
            Disposition::Reject => Some(Action::Reject),
        };
        if self.settings.monitors(endpoint) {
            Outcome { disposition: Disposition::Forward, would, ..outcome }
        } else {
            outcome
        }
    }

    /// Tells people of an exception.
    pub(super) fn tell(
        &self,
        turn: &Turn<'_>,
        class: Exception,
        treatment: Treatment,
        output: &mut Output,
    ) {
        output.events.push(Event {
            datagram: Some(turn.number),
            endpoint: turn.endpoint(),
            flow: turn.packet.flow.key,
            what: EventKind::Exception(class, treatment),
        });
    }
}
