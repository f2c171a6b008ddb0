//! Packets of flows whose bytes are put in order.

use super::begin::side_of;
use super::edit::is_rewritable;
use super::hearing::{Hearing, OfFlow, Said};
use super::judge::Stage;
use super::losses::unless_other;
use super::panel::Panel;
use super::state::{Inspection, State};
use super::streams::{Entry, Place};
use super::turn::Turn;
use super::{Checksums, Engine, Outcome, Output};
use crate::Side;
use crate::flow::{FlowId, Part, Relation};
use crate::inspect::{Exception, Inspector, Interest, Packet, Reason, Rewriter, Treatment};
use crate::packet::{TcpSegment, Transport};
use crate::protocol::{Room, Why};
use crate::stream::{Accepted, Arrival, NoRoom, Pool};

/// What a hearing needs of the engine beside inspectors.
pub(super) type Followed<'a> = Option<(&'a mut Entry, &'a mut Pool, &'a mut Room)>;

impl<I: Inspector, R: Rewriter> Engine<I, R> {
    /// The outcome for a packet of a flow that is followed.
    #[inline(never)]
    pub(super) fn follow(
        &mut self,
        turn: &Turn<'_>,
        id: FlowId,
        is_checked: bool,
        output: &mut Output,
    ) -> Outcome {
        let packet = turn.packet;
        if self.settings.checksums == Checksums::Verify && !is_checked && packet.is_damaged() {
            return self.damaged(packet);
        }
        match self.follow_straight(turn, id, output) {
            Some(outcome) => outcome,
            None => self.follow_any(turn, id, output),
        }
    }

    /// The outcome for any packet of such a flow.
    #[inline(never)]
    fn follow_any(&mut self, turn: &Turn<'_>, id: FlowId, output: &mut Output) -> Outcome {
        let packet = turn.packet;
        let Some(state) = self.table.state_mut(id) else { return Outcome::FORWARD };
        let Inspection::Followed(_, place) = &state.inspection else { return Outcome::FORWARD };
        let mut place = *place;
        let side = side_of(turn, state.bits.opener());
        if packet.flow.relation != Relation::Own {
            let said = self.hear(turn, id, |hearing, _| hearing.packet());
            return self.say(turn, id, &said, output);
        }
        if place == Place::GIVEN_UP {
            match self.resume(turn, id, output) {
                Ok(resumed) => place = resumed,
                Err(outcome) => return outcome,
            }
        }
        if packet.flow.part != Part::Whole {
            return self.follow_fragment(turn, id, place, side, output);
        }
        match &packet.transport {
            Transport::Tcp(segment) => self.follow_segment(turn, id, place, side, segment, output),
            #[cfg(feature = "dns")]
            Transport::Udp(datagram) => {
                self.follow_datagram(turn, id, side, datagram.payload(), output)
            }
            _ => {
                let wants = self.entry(place).map_or(Interest::NONE, |(entry, ..)| entry.wants);
                self.lose(turn, id, wants, Why::Gap, output)
            }
        }
    }

    /// The outcome for a datagram of a flow whose messages are wanted.
    #[cfg(feature = "dns")]
    pub(super) fn follow_datagram(
        &mut self,
        turn: &Turn<'_>,
        id: FlowId,
        side: Side,
        payload: &[u8],
        output: &mut Output,
    ) -> Outcome {
        let said = self.hear(turn, id, |hearing, _| {
            hearing.packet();
            if hearing.goes_on() {
                hearing.datagram(side, payload);
            }
        });
        if said.wants.is_some_and(|wants| !wants.contains(Interest::DNS)) {
            self.give_up(id);
        }
        self.say(turn, id, &said, output)
    }

    pub(super) fn follow_segment(
        &mut self,
        turn: &Turn<'_>,
        id: FlowId,
        place: Place,
        side: Side,
        segment: &TcpSegment<'_>,
        output: &mut Output,
    ) -> Outcome {
        let mut had_gap = false;
        // A gap in each direction at most.
        for _ in 0..3 {
            let Some((entry, pool, _)) = self.entry(place) else { return Outcome::FORWARD };
            match entry.connection.consider(pool, side, segment, turn.now) {
                Arrival::Accept(accepted) if accepted.reopens() && !entry.is_heir => {
                    return self.begin_anew(turn, id, output);
                }
                Arrival::Accept(accepted) => {
                    entry.is_heir = false;
                    let payload = segment.payload();
                    let outcome = self.accept(turn, id, place, &accepted, payload, output);
                    return if had_gap { unless_other(outcome) } else { outcome };
                }
                Arrival::Discard(why) => {
                    let (class, endpoint) = (Exception::SegmentDiscarded, Some(turn.endpoint()));
                    let treatment = self.exception(class, endpoint);
                    return self.settle(class, treatment, Reason::new(why.as_str()), endpoint);
                }
                Arrival::NoRoom(NoRoom::OutOfOrder) => break,
                Arrival::NoRoom(NoRoom::InOrder) => {
                    let wants = entry.wants;
                    return self.lose(turn, id, wants, Why::NoRoom, output);
                }
                Arrival::Gap(gap) => {
                    had_gap = true;
                    if let Some(outcome) = self.gap(turn, id, place, &gap, output) {
                        return unless_other(outcome);
                    }
                }
            }
        }
        self.exceptional(Exception::OutOfOrderNotStored, turn.packet)
    }

    /// Asks about a segment that is part of the conversation, and takes it in if it is forwarded.
    fn accept(
        &mut self,
        turn: &Turn<'_>,
        id: FlowId,
        place: Place,
        accepted: &Accepted,
        payload: &[u8],
        output: &mut Output,
    ) -> Outcome {
        if accepted.is_edited() && !is_rewritable(turn.packet) {
            let is_whole = turn.packet.flow.part == Part::Whole;
            let reason = if is_whole { "overlap-in-tunnel" } else { "overlap-in-fragments" };
            return self.drop_for(turn.packet, reason);
        }
        let said = self.hear(turn, id, |hearing, followed| {
            hearing.packet();
            if let (true, Some((entry, pool, room))) = (hearing.goes_on(), followed) {
                hearing.segment(accepted, payload, (entry, pool, room));
            }
        });
        if said.goes_on && !self.take_in(turn, id, place, accepted, payload, said.wants) {
            return self.exceptional(Exception::OutOfOrderNotStored, turn.packet);
        }
        self.say(turn, id, &said, output)
    }

    /// Takes a segment in that is forwarded, with the bytes that were judged.
    fn take_in(
        &mut self,
        turn: &Turn<'_>,
        id: FlowId,
        place: Place,
        accepted: &Accepted,
        payload: &[u8],
        wants: Option<Interest>,
    ) -> bool {
        let mut written_over = None;
        if accepted.is_edited() && !self.settings.monitors(Some(turn.endpoint())) {
            let streams = self.panel.streams.as_mut();
            let Some((entry, pool, _)) = streams.and_then(|streams| streams.get_mut(place)) else {
                return false;
            };
            let edits = entry.connection.edits(pool, accepted, payload);
            written_over = self.patches.plan(turn.number, payload, edits);
        }
        let Some(streams) = &mut self.panel.streams else { return false };
        let Some((entry, pool, _)) = streams.get_mut(place) else { return false };
        let forwarded = written_over.and_then(|patch| self.patches.bytes(patch));
        if !entry.connection.commit(pool, accepted, forwarded.unwrap_or(payload)) {
            return false;
        }
        self.go_on(id, place, wants);
        true
    }

    /// Notes what comes of a segment that was taken in, and what inspectors still want of its flow, if that may have changed.
    pub(super) fn go_on(&mut self, id: FlowId, place: Place, wants: Option<Interest>) {
        let Some(streams) = &mut self.panel.streams else { return };
        streams.settle(place);
        let Some((entry, pool, room)) = streams.get_mut(place) else { return };
        let is_left = entry.keeps(wants) || entry.narrow(wants.unwrap_or(entry.wants), pool, room);
        if !is_left {
            self.give_up(id);
        }
    }

    pub(super) fn entry(&mut self, place: Place) -> Followed<'_> {
        self.panel.streams.as_mut()?.get_mut(place)
    }

    /// Asks the inspectors of a flow as `ask` says.
    pub(super) fn hear(
        &mut self,
        turn: &Turn<'_>,
        id: FlowId,
        ask: impl FnOnce(&mut Hearing<'_, I>, Followed<'_>),
    ) -> Said {
        #[cfg(feature = "faults")]
        let delay = {
            self.stage = Stage::Known(id);
            self.faults.strike()
        };
        #[cfg(not(feature = "faults"))]
        let delay = core::time::Duration::ZERO;
        let Self { table, panel, settings, stage, .. } = self;
        let budget = settings.budget;
        let began = budget.map(|budget| (budget.clock)());
        let Some(State { inspection, bits, generation, marks, .. }) = table.state_mut(id) else {
            return Said::NOTHING;
        };
        let (flow, place) = match inspection {
            Inspection::Followed(flow, place) => (flow, Some(*place)),
            Inspection::Open(flow) => (flow, None),
            _ => return Said::NOTHING,
        };
        let Panel { generations, streams, effects, votes, .. } = panel;
        let Some(inspector) = generations.get_mut(*generation) else { return Said::NOTHING };
        let followed = match (streams, place) {
            (Some(streams), Some(place)) => streams.get_mut(place),
            _ => None,
        };
        *stage = Stage::Known(id);
        let votes = votes.as_mut();
        let packet = &Packet::new(turn.packet, bits.opener(), bits.beginning());
        let of_flow = OfFlow { inspector, flow, bits, marks, effects, votes, settings };
        let mut hearing = Hearing::begin(of_flow, turn, packet);
        ask(&mut hearing, followed);
        let mut said = hearing.end();
        if let (Some(budget), Some(began)) = (budget, began) {
            let took = (budget.clock)().saturating_sub(began).saturating_add(delay);
            said.is_late = took > budget.limit;
        }
        *stage = Stage::Idle;
        said.goes_on &= !said.is_late;
        said
    }

    /// Settles a packet as the inspectors said.
    pub(super) fn say(
        &mut self,
        turn: &Turn<'_>,
        id: FlowId,
        said: &Said,
        output: &mut Output,
    ) -> Outcome {
        if said.is_nothing() {
            return self.pass(turn, id, output);
        }
        let Said { verdict, exception, is_late, .. } = *said;
        let Some((class, treatment)) = exception else {
            return self.conclude(turn, id, verdict, is_late, output);
        };
        self.exception(class, Some(turn.endpoint()));
        self.tell(turn, class, treatment, output);
        let outcome = if treatment == Treatment::Drop && verdict.is_pass() {
            let capture = self.keep_effects(turn, id, output);
            let outcome = self.fail(turn, id, class, treatment, output);
            Outcome { capture: capture || outcome.capture, ..outcome }
        } else {
            self.conclude(turn, id, verdict, is_late, output)
        };
        Outcome { exception: outcome.exception.or(Some(class)), ..outcome }
    }
}
