//! Packets of flows whose bytes are put in order.

use super::edit::is_rewritable;
use super::hearing::Hearing;
use super::judge::{Facts, Stage};
use super::panel::Panel;
use super::state::{Inspection, State};
use super::streams::{Entry, Place};
use super::turn::Turn;
use super::{Checksums, Engine, Outcome, Output};
use crate::Side;
use crate::flow::{Direction, FlowId, Part, Relation};
use crate::inspect::{
    Beginning, Context, Exception, Inspector, Interest, Packet, Reason, Rewriter, Scope, Treatment,
    Verdict,
};
use crate::packet::{IpProtocol, TcpFlags, TcpSegment, Transport};
use crate::protocol::{Room, Why};
use crate::stream::{Accepted, Arrival, Connection, Gap, NoRoom, Pool};

/// What inspectors say of a packet.
struct Said {
    verdict: Verdict,
    exception: Option<(Exception, Treatment)>,
    is_late: bool,
    /// Whether there is nothing to be handed on.
    is_quiet: bool,
    /// What they still want of the flow, if that may have changed.
    wants: Option<Interest>,
    /// Whether the packet is part of the stream.
    goes_on: bool,
}

/// What a hearing needs of the engine beside inspectors.
type Followed<'a> = Option<(&'a mut Entry, &'a mut Pool, &'a mut Room)>;

impl<I: Inspector, R: Rewriter> Engine<I, R> {
    /// Begins to follow a new flow, or one that is opened anew, if its inspectors want that. `Some` is the outcome of its
    /// packet, where it cannot be followed.
    pub(super) fn begin_stream(
        &mut self,
        turn: &Turn<'_>,
        id: FlowId,
        output: &mut Output,
    ) -> Option<Outcome> {
        let state = self.table.state_mut(id)?;
        let Inspection::Open(flow) = &state.inspection else { return None };
        self.stage = Stage::Known(id);
        let wants = self.panel.generations.get_mut(state.generation)?.wants(flow);
        self.stage = Stage::Idle;
        if !wants.intersects(Interest::IN_ORDER) {
            return None;
        }
        let ports = turn.packet.flow.key.five_tuple(state.bits.opener()).ports;
        let place = match turn.packet.flow.key.protocol() {
            IpProtocol::UDP => {
                let is_dns = ports.is_some_and(|ports| {
                    DNS_PORTS.contains(&ports.source) || DNS_PORTS.contains(&ports.destination)
                });
                let is_wanted = cfg!(feature = "dns") && wants.contains(Interest::DNS);
                Some(Place::DATAGRAMS).filter(|_| is_dns && is_wanted)?
            }
            IpProtocol::TCP => {
                let is_seen = state.bits.beginning() == Beginning::Seen && is_syn(turn);
                let side = side_of(turn, state.bits.opener());
                let server = ports.map(|ports| ports.destination);
                let streams = self.panel.streams.as_mut()?;
                let heir = match &turn.packet.transport {
                    Transport::Tcp(segment) => streams.inherit(side, segment, turn.now),
                    _ => None,
                };
                let is_heir = heir.is_some();
                let connection = match heir {
                    Some(heir) => heir,
                    None if is_seen => Connection::new(),
                    None => Connection::midstream(),
                };
                match streams.begin(connection, is_heir, wants, server) {
                    Some(place) => place,
                    None => return Some(self.lose(turn, id, wants, Why::NoRoom, output)),
                }
            }
            _ => return None,
        };
        let state = self.table.state_mut(id)?;
        state.inspection = match core::mem::replace(&mut state.inspection, Inspection::Bypassed) {
            Inspection::Open(flow) => Inspection::Followed(flow, place),
            other => other,
        };
        None
    }

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
        let Some(state) = self.table.state_mut(id) else { return Outcome::FORWARD };
        let Inspection::Followed(_, place) = &state.inspection else { return Outcome::FORWARD };
        let place = *place;
        let side = side_of(turn, state.bits.opener());
        if packet.flow.relation != Relation::Own {
            let said = self.hear(turn, id, |hearing, _| hearing.packet());
            return self.say(turn, id, &said, output);
        }
        match &packet.transport {
            Transport::Tcp(segment) if packet.flow.part == Part::Whole => {
                self.follow_segment(turn, id, place, side, segment, output)
            }
            #[cfg(feature = "dns")]
            Transport::Udp(datagram) if packet.flow.part == Part::Whole => {
                let said = self.hear(turn, id, |hearing, _| {
                    hearing.packet();
                    if hearing.goes_on() {
                        hearing.datagram(side, datagram.payload());
                    }
                });
                if said.wants.is_some_and(|wants| !wants.contains(Interest::DNS)) {
                    self.give_up(id);
                }
                self.say(turn, id, &said, output)
            }
            _ => {
                let wants = self.entry(place).map_or(Interest::DNS, |(entry, ..)| entry.wants);
                self.lose(turn, id, wants, Why::Gap, output)
            }
        }
    }

    fn follow_segment(
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

    /// Another connection begins in place of the one that was followed, before that was over.
    #[cold]
    fn begin_anew(&mut self, turn: &Turn<'_>, id: FlowId, output: &mut Output) -> Outcome {
        self.replace(turn, id, output);
        let probe = self.table.probe(&turn.packet.flow.key);
        let facts = Facts { is_checked: true, is_replacement: true, ..Facts::of(turn.flags()) };
        let outcome = self.unknown(turn, &probe, &facts, output);
        self.forget_heir();
        outcome
    }

    /// Ends a flow in whose place another one begins with the packet at hand, which goes on with its connection.
    pub(super) fn replace(&mut self, turn: &Turn<'_>, id: FlowId, output: &mut Output) {
        self.counters.replaced = self.counters.replaced.wrapping_add(1);
        if let Some(State { inspection: Inspection::Followed(_, place), .. }) =
            self.table.state_mut(id)
        {
            if let Some(streams) = &mut self.panel.streams {
                streams.bequeath(*place);
            }
        }
        if let Some(flow) = self.table.remove(id) {
            self.panel.ended(flow, turn.now, &mut output.events);
        }
    }

    /// Forgets the connection of a flow that was [replaced](Self::replace), if none has gone on with it.
    #[inline]
    pub(super) fn forget_heir(&mut self) {
        if let Some(streams) = &mut self.panel.streams {
            streams.forget_heir();
        }
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
            return self.drop_for(turn.packet, "overlap-in-tunnel");
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
        let streams = self.panel.streams.as_mut();
        let Some((entry, pool, room)) = streams.and_then(|streams| streams.get_mut(place)) else {
            return false;
        };
        let forwarded = written_over.and_then(|patch| self.patches.bytes(patch));
        if !entry.connection.commit(pool, accepted, forwarded.unwrap_or(payload)) {
            return false;
        }
        let is_over = |entry: &Entry| {
            let session = entry.session.as_ref();
            session.is_some_and(|session| session.progress() != crate::protocol::Progress::More)
        };
        if wants.is_some() || is_over(entry) {
            let wants = wants.unwrap_or(entry.wants);
            if !entry.narrow(wants, pool, room) {
                self.give_up(id);
            }
        }
        true
    }

    /// Bytes of a followed flow passed by unseen. `Some` is the outcome of the packet that shows it, if that is the end of it.
    #[cold]
    fn gap(
        &mut self,
        turn: &Turn<'_>,
        id: FlowId,
        place: Place,
        gap: &Gap,
        output: &mut Output,
    ) -> Option<Outcome> {
        const CLASS: Exception = Exception::StreamMemoryFull;

        let treatment = self.exception(CLASS, Some(turn.endpoint()));
        self.tell(turn, CLASS, treatment, output);
        if treatment == Treatment::Drop {
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
    fn lose(
        &mut self,
        turn: &Turn<'_>,
        id: FlowId,
        wants: Interest,
        why: Why,
        output: &mut Output,
    ) -> Outcome {
        const CLASS: Exception = Exception::StreamMemoryFull;

        let treatment = self.exception(CLASS, Some(turn.endpoint()));
        self.tell(turn, CLASS, treatment, output);
        if treatment == Treatment::Drop {
            return self.fail(turn, id, CLASS, treatment, output);
        }
        let reason = match why {
            Why::NoRoom => "no memory for the stream",
            _ => "bytes passed in fragments",
        };
        let side = Side::Client;
        let said = self.hear(turn, id, |hearing, _| hearing.lost(side, wants, why, reason));
        let outcome = if said.goes_on {
            self.give_up(id);
            self.known_again(turn, id, output)
        } else {
            self.say(turn, id, &said, output)
        };
        unless_other(outcome)
    }

    /// A flow's bytes are no longer put in order. Its packets are inspected on.
    fn give_up(&mut self, id: FlowId) {
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

    fn entry(&mut self, place: Place) -> Followed<'_> {
        self.panel.streams.as_mut()?.get_mut(place)
    }

    /// Asks the inspectors of a flow as `ask` says.
    fn hear(
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
        let nothing = Said::NOTHING;
        let Some(State { inspection, bits, generation, marks, .. }) = table.state_mut(id) else {
            return nothing;
        };
        let (flow, place) = match inspection {
            Inspection::Followed(flow, place) => (flow, Some(*place)),
            Inspection::Open(flow) => (flow, None),
            _ => return nothing,
        };
        let Panel { generations, streams, effects, votes, .. } = panel;
        let Some(inspector) = generations.get_mut(*generation) else { return nothing };
        let followed = match (streams, place) {
            (Some(streams), Some(place)) => streams.get_mut(place),
            _ => None,
        };
        *stage = Stage::Known(id);
        effects.marks = *marks;
        let packet = &Packet::new(turn.packet, bits.opener(), bits.beginning());
        let mut hearing = Hearing {
            inspector,
            flow,
            cx: Context::new(turn.now, effects),
            votes: votes.as_mut(),
            packet,
            settings,
            endpoint: turn.endpoint(),
            verdict: Verdict::PASS,
            exception: None,
            was_asked: false,
        };
        ask(&mut hearing, followed);
        let goes_on = hearing.goes_on();
        let is_left = goes_on && hearing.was_asked;
        let wants = is_left.then(|| hearing.inspector.wants(hearing.flow));
        let Hearing { verdict, exception, .. } = hearing;
        *marks = effects.marks;
        let mut is_late = false;
        if let (Some(budget), Some(began)) = (budget, began) {
            let took = (budget.clock)().saturating_sub(began).saturating_add(delay);
            is_late = took > budget.limit;
        }
        *stage = Stage::Idle;
        let goes_on = goes_on && !is_late;
        Said { verdict, exception, is_late, is_quiet: effects.is_quiet(), wants, goes_on }
    }

    /// Settles a packet as the inspectors said.
    fn say(&mut self, turn: &Turn<'_>, id: FlowId, said: &Said, output: &mut Output) -> Outcome {
        let Said { verdict, exception, is_late, is_quiet, .. } = *said;
        let is_plain = verdict.is_pass() && verdict.scope() == Scope::Packet && !is_late;
        let Some((class, treatment)) = exception else {
            if is_plain && is_quiet {
                return self.pass(turn, id, output);
            }
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

impl Said {
    const NOTHING: Self = Self {
        verdict: Verdict::PASS,
        exception: None,
        is_late: false,
        is_quiet: true,
        wants: None,
        goes_on: true,
    };
}

fn side_of(turn: &Turn<'_>, opener: Direction) -> Side {
    if turn.packet.flow.direction == opener { Side::Client } else { Side::Server }
}

/// The outcome of a packet that showed that bytes are missing, if it is no other exception.
fn unless_other(outcome: Outcome) -> Outcome {
    Outcome { exception: outcome.exception.or(Some(Exception::StreamMemoryFull)), ..outcome }
}

/// Of DNS (RFC 1035 §4.2) and multicast DNS (RFC 6762 §3). On others a datagram may be anything, and much of that looks like DNS.
const DNS_PORTS: [u16; 2] = [53, 5353];

/// Whether it is what opens a connection.
fn is_syn(turn: &Turn<'_>) -> bool {
    let is_syn =
        |flags: TcpFlags| flags.intersects(TcpFlags::SYN) && !flags.intersects(TcpFlags::ACK);
    turn.packet.flow.part == Part::Whole && turn.flags().is_some_and(is_syn)
}
