//! Which flows are followed, and from where on.

use super::judge::{Facts, Stage};
use super::state::{Inspection, State};
use super::streams::{Beginner, Place, Spare, Vacancy};
use super::turn::Turn;
use super::{Engine, Outcome, Output};
use crate::Side;
use crate::flow::{Direction, FlowId, Part};
use crate::inspect::{Beginning, Inspector, Interest, Rewriter};
use crate::packet::{IpProtocol, TcpFlags, Transport};
use crate::protocol::Why;
use crate::stream::Connection;

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
        // A fragment before its first belongs to no connection yet.
        ports?;
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
                let server_port = ports.map(|ports| ports.destination);
                self.make_place(turn, output);
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
                let endpoint = turn.packet.flow.key.endpoint();
                let beginner =
                    Beginner { flow: id, endpoint, connection, is_heir, wants, server_port };
                match self.begin_place(beginner) {
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

    /// Makes sure that there is a place for one more connection, if there can be one.
    fn make_place(&mut self, turn: &Turn<'_>, output: &mut Output) {
        let endpoint = turn.packet.flow.key.endpoint();
        let vacancy = self.panel.streams.as_mut().map(|streams| streams.vacancy(endpoint));
        if let Some(Vacancy::Of(spare)) = vacancy {
            self.give_up_place(turn, spare, output);
        }
    }

    fn begin_place(&mut self, beginner: Beginner) -> Option<Place> {
        #[cfg(feature = "faults")]
        let is_full = self.faults.stream_memory_full;
        #[cfg(not(feature = "faults"))]
        let is_full = false;
        let streams = self.panel.streams.as_mut()?;
        let place = streams.begin(beginner)?;
        if is_full {
            streams.end(place);
            return None;
        }
        Some(place)
    }

    /// Gives up the place of a connection that is half-open, or over. One in which nothing was said goes on all the same; the
    /// flow of another one ends, as if it had made room in the flow table.
    #[cold]
    fn give_up_place(&mut self, turn: &Turn<'_>, spare: Spare, output: &mut Output) {
        self.counters.places_given_up = self.counters.places_given_up.wrapping_add(1);
        let Some(beginnings) = spare.beginnings else {
            if let Some(flow) = self.table.evict(spare.flow) {
                self.panel.ended(flow, turn.now, &mut output.events);
            }
            return;
        };
        if let Some(state) = self.table.state_mut(spare.flow) {
            if let Inspection::Followed(_, place) = &mut state.inspection {
                *place = Place::GIVEN_UP;
                state.begin_at(beginnings);
            }
        }
        if let Some(streams) = &mut self.panel.streams {
            streams.end(spare.place);
        }
    }

    /// Follows a flow on whose place was given up. `Err` is the outcome of its packet, where it cannot be followed.
    #[cold]
    pub(super) fn resume(
        &mut self,
        turn: &Turn<'_>,
        id: FlowId,
        output: &mut Output,
    ) -> Result<Place, Outcome> {
        self.make_place(turn, output);
        let Some(state) = self.table.state_mut(id) else { return Err(Outcome::FORWARD) };
        let opener = state.bits.opener();
        let connection = Connection::resumed(state.next(opener), state.next(opener.reversed()));
        let Inspection::Followed(flow, _) = &state.inspection else { return Err(Outcome::FORWARD) };
        self.stage = Stage::Known(id);
        let wants = self.panel.generations.get_mut(state.generation).map(|it| it.wants(flow));
        self.stage = Stage::Idle;
        let wants = wants.unwrap_or_default();
        let ports = turn.packet.flow.key.five_tuple(opener).ports;
        let place = self.begin_place(Beginner {
            flow: id,
            endpoint: turn.packet.flow.key.endpoint(),
            connection,
            is_heir: false,
            wants,
            server_port: ports.map(|ports| ports.destination),
        });
        let Some(place) = place else {
            return Err(self.lose(turn, id, wants, Why::NoRoom, output));
        };
        if let Some(State { inspection: Inspection::Followed(_, there), .. }) =
            self.table.state_mut(id)
        {
            *there = place;
        }
        Ok(place)
    }

    /// Another connection begins in place of the one that was followed, before that was over.
    #[cold]
    pub(super) fn begin_anew(
        &mut self,
        turn: &Turn<'_>,
        id: FlowId,
        output: &mut Output,
    ) -> Outcome {
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
}

/// Which side sent the packet at hand.
pub(super) fn side_of(turn: &Turn<'_>, opener: Direction) -> Side {
    if turn.packet.flow.direction == opener { Side::Client } else { Side::Server }
}

/// Of DNS (RFC 1035 §4.2) and multicast DNS (RFC 6762 §3). On others a datagram may be anything, and much of that looks like DNS.
const DNS_PORTS: [u16; 2] = [53, 5353];

/// Whether it is what opens a connection.
fn is_syn(turn: &Turn<'_>) -> bool {
    let is_syn =
        |flags: TcpFlags| flags.intersects(TcpFlags::SYN) && !flags.intersects(TcpFlags::ACK);
    turn.packet.flow.part == Part::Whole && turn.flags().is_some_and(is_syn)
}
