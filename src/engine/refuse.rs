use super::state::{Bits, Inspection, Refused, State, Whom};
use super::turn::Turn;
use super::{Disposition, Engine, Outcome, Output};
use crate::flow::{Direction, FlowId, FlowTable, LastEnvelope, Part};
use crate::gwlb::Outer;
use crate::inspect::{
    Action, CloseReason, Inspector, ParsedPacket, Reason, Rewriter, Scope, Tells, Verdict,
};
use crate::packet::{IpPacket, Prohibited, Reset, TcpFlags, Toward, Transport};

impl<I: Inspector, R: Rewriter> Engine<I, R> {
    /// Settles a packet that inspectors drop or reject, and its flow where they mean that.
    #[cold]
    pub(super) fn refuse(
        &mut self,
        turn: &Turn<'_>,
        id: Option<FlowId>,
        verdict: Verdict,
        output: &mut Output,
    ) -> Outcome {
        let now = turn.now;
        let is_reject = verdict.action() == Action::Reject;
        if let (Scope::Flow, Some(id)) = (verdict.scope(), id) {
            let whom = Whom::of(verdict, turn.packet.flow.direction);
            let refused = Refused::new(self.reasons.id(verdict.reason()), whom, now);
            let to = Inspection::Refused(refused);
            self.settle_flow(now, id, to, CloseReason::Refused, output);
        }
        let disposition = if is_reject { Disposition::Reject } else { Disposition::Drop };
        let outcome = Outcome::refused(disposition, verdict.reason());
        let outcome = self.or_would(outcome, Some(turn.endpoint()));
        if outcome.disposition.is_forward() {
            let passed = id.map(|id| self.pass(turn, id, output));
            return Outcome { capture: passed.is_some_and(|passed| passed.capture), ..outcome };
        }
        if is_reject {
            if let (Some(id), Tells::Both | Tells::Receiver) = (id, verdict.tells()) {
                self.answer_receiver(turn, id, output);
            }
            if matches!(verdict.tells(), Tells::Both | Tells::Sender) {
                self.answer_sender(turn, id, output);
            }
        }
        outcome
    }

    /// Settles a packet of a flow that was refused before.
    #[cold]
    pub(super) fn refused_before(
        &mut self,
        turn: &Turn<'_>,
        id: FlowId,
        output: &mut Output,
    ) -> Outcome {
        let Some(State { inspection: Inspection::Refused(refused), bits, .. }) =
            self.table.state_mut(id)
        else {
            return Outcome::FORWARD;
        };
        let capture = bits.has(Bits::CAPTURE);
        let (reason, whom) = (self.reasons.reason(refused.reason), refused.whom);
        let is_reject = whom.is_anybody();
        let disposition = if is_reject { Disposition::Reject } else { Disposition::Drop };
        let outcome = Outcome::refused(disposition, reason);
        let outcome = Outcome { capture, ..self.or_would(outcome, Some(turn.endpoint())) };
        if outcome.disposition.is_forward() {
            let passed = self.pass(turn, id, output);
            return Outcome { capture: passed.capture, ..outcome };
        }
        if whom.has(turn.packet.flow.direction) && is_answerable(turn.packet) {
            let Some(State { inspection: Inspection::Refused(refused), .. }) =
                self.table.state_mut(id)
            else {
                return outcome;
            };
            if refused.may_answer(turn.now) {
                self.answer_sender(turn, Some(id), output);
            } else {
                self.withhold();
            }
        }
        outcome
    }

    /// Refuses the rest of a datagram, too, of which one fragment is refused.
    #[cold]
    pub(super) fn poison(&mut self, turn: &Turn<'_>) {
        if let Part::First(name) | Part::Later(name) = &turn.packet.flow.part {
            self.fragments.poison(name, turn.now);
        }
    }

    /// Resets the receiver of a segment that is not forwarded, if it has ever been heard of.
    fn answer_receiver(&mut self, turn: &Turn<'_>, id: FlowId, output: &mut Output) {
        let direction = turn.packet.flow.direction;
        let Some(flow) = self.table.flow(id) else { return };
        if flow.packets(direction.reversed()) == 0 {
            return;
        }
        let Some(next) = flow.state().next(direction) else { return };
        let Some(reset) = Reset::to_receiver(&turn.packet.ip, next) else { return };
        if !self.answers.take(turn.now) {
            return self.withhold();
        }
        let way = Way::of(&self.table, turn, Some(id), direction);
        send(&Answer::Reset(reset), turn.packet, Toward::Receiver, &way, output);
    }

    /// Tells the sender of a packet that is not forwarded: by RST, or by ICMP where it is not TCP.
    pub(super) fn answer_sender(
        &mut self,
        turn: &Turn<'_>,
        id: Option<FlowId>,
        output: &mut Output,
    ) {
        let Some(answer) =
            Answer::to(&turn.packet.ip, &turn.packet.transport, self.settings.icmp_answers)
        else {
            return;
        };
        if !self.answers.take(turn.now) {
            return self.withhold();
        }
        let direction = turn.packet.flow.direction.reversed();
        let way = Way::of(&self.table, turn, id, direction);
        send(&answer, turn.packet, Toward::Sender, &way, output);
    }

    fn withhold(&mut self) {
        self.counters.answers_withheld = self.counters.answers_withheld.wrapping_add(1);
    }

    /// The outcome for a packet of no flow that is dropped, its sender told.
    pub(super) fn reject_unknown(
        &mut self,
        turn: &Turn<'_>,
        outcome: Outcome,
        output: &mut Output,
    ) -> Outcome {
        if outcome.disposition == Disposition::Reject && is_answerable(turn.packet) {
            self.answer_sender(turn, None, output);
        }
        outcome
    }

    /// The outcome for a packet that is dropped for this reason, or would be.
    pub(super) fn drop_for(&self, packet: &ParsedPacket<'_>, reason: &'static str) -> Outcome {
        let outcome = Outcome::refused(Disposition::Drop, Reason::new(reason));
        self.or_would(outcome, Some(packet.envelope.endpoint()))
    }
}

/// Sends an answer the way that the packet came or went: through its tunnels, if there are any.
fn send(
    answer: &Answer<'_>,
    packet: &ParsedPacket<'_>,
    toward: Toward,
    way: &Way<'_>,
    output: &mut Output,
) {
    let Some(tunneled) = packet.tunneled() else {
        output.inject(way, answer.len(), |buffer| answer.write_to(buffer));
        return;
    };
    let mut bare = [0; Prohibited::MAX_LEN_V6];
    let Some(bare) = answer.write_to(&mut bare).and_then(|len| bare.get(..len)) else { return };
    output.inject(way, tunneled.wrapped_len(toward, bare.len()), |buffer| {
        tunneled.wrap(toward, bare, buffer).ok()
    });
}

/// Never answer a RST.
fn is_answerable(packet: &ParsedPacket<'_>) -> bool {
    match packet.transport {
        Transport::Tcp(segment) => !segment.flags().intersects(TcpFlags::RST),
        _ => true,
    }
}

/// What the sender of a packet is told.
enum Answer<'a> {
    Reset(Reset),
    Prohibited(Prohibited<'a>),
}

impl<'a> Answer<'a> {
    fn to(packet: &IpPacket<'a>, transport: &Transport<'_>, icmp: bool) -> Option<Self> {
        match transport {
            Transport::Tcp(_) => Reset::to_sender(packet).map(Self::Reset),
            _ if icmp => Prohibited::about(packet).map(Self::Prohibited),
            _ => None,
        }
    }

    fn len(&self) -> usize {
        match self {
            Self::Reset(reset) => reset.len(),
            Self::Prohibited(prohibited) => prohibited.len(),
        }
    }

    fn write_to(&self, buffer: &mut [u8]) -> Option<usize> {
        match self {
            Self::Reset(reset) => reset.write_to(buffer).ok(),
            Self::Prohibited(prohibited) => prohibited.write_to(buffer).ok(),
        }
    }
}

/// The envelope that a packet of the engine's own goes in: the latest one of its direction, else of the other.
pub(super) enum Way<'a> {
    Latest(LastEnvelope<'a>),
    /// That of the packet that is being judged.
    Own(&'a Outer, &'a [u8]),
}

impl<'a> Way<'a> {
    pub(super) fn of<S>(
        table: &'a FlowTable<S>,
        turn: &Turn<'a>,
        id: Option<FlowId>,
        direction: Direction,
    ) -> Self {
        let own = Self::Own(turn.outer, turn.packet.envelope.header());
        if direction == turn.packet.flow.direction {
            return own;
        }
        let latest =
            id.and_then(|id| table.flow(id)).and_then(|flow| flow.last_envelope(direction));
        latest.map_or(own, Self::Latest)
    }

    pub(super) const fn outer(&self) -> &Outer {
        match self {
            Self::Latest(envelope) => &envelope.outer,
            Self::Own(outer, _) => outer,
        }
    }

    pub(super) fn header(&self) -> &[u8] {
        match self {
            Self::Latest(envelope) => envelope.header(),
            Self::Own(_, header) => header,
        }
    }
}
