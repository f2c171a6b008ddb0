//! Fragments of flows whose bytes are put in order.
//!
//! Each is forwarded as it comes. The one that makes its datagram whole is judged with all of it.

use alloc::vec::Vec;

use super::losses::unless_other;
use super::settings::Settings;
use super::streams::Place;
use super::turn::Turn;
use super::{Checksums, Engine, EngineError, Outcome, Output};
use crate::Side;
use crate::flow::{FlowId, FragmentKey, Part, Relation};
use crate::inspect::{Exception, Inspector, Interest, ParsedPacket, Reason, Rewriter};
use crate::packet::{IpPacket, TcpFlags, Transport};
use crate::protocol::Why;
use crate::stream::defrag::{Arrival, Defragmenter, MAX_PACKET_LEN};

/// What is held to put datagrams together.
#[derive(Debug)]
pub(super) struct Fragments {
    defragmenter: Defragmenter,
    buffer: Vec<u8>,
    /// Whether the fragment at hand claims the name of a datagram of another flow.
    is_stranger: bool,
    /// Whether the flow of the fragment at hand is followed.
    is_followed: bool,
}

impl Fragments {
    pub(super) fn new(settings: &Settings) -> Result<Self, EngineError> {
        let mut buffer = Vec::new();
        buffer.try_reserve_exact(MAX_PACKET_LEN)?;
        let defragmenter = Defragmenter::new(settings.defrag)?;
        Ok(Self { defragmenter, buffer, is_stranger: false, is_followed: false })
    }

    /// Forgets all of them.
    pub(super) fn clear(&mut self) {
        self.defragmenter.clear();
    }

    /// Bytes that are in use.
    pub(super) const fn used(&self) -> usize {
        self.defragmenter.used()
    }

    /// Bytes that such a one never exceeds.
    pub(super) const fn bytes(settings: &Settings) -> usize {
        Defragmenter::bytes(&settings.defrag).saturating_add(MAX_PACKET_LEN)
    }
}

/// The name of the datagram that a packet is a fragment of.
const fn name_of<'a>(packet: &'a ParsedPacket<'_>) -> Option<&'a FragmentKey> {
    match (&packet.flow.part, packet.flow.relation) {
        (Part::First(name) | Part::Later(name), Relation::Own) => Some(name),
        _ => None,
    }
}

impl<I: Inspector, R: Rewriter> Engine<I, R> {
    /// Notes what is known of a fragment's name before it is resolved.
    pub(super) fn note_fragment(&mut self, packet: &ParsedPacket<'_>) {
        let Some(streams) = &mut self.panel.streams else { return };
        let known = name_of(packet).and_then(|name| self.fragments.flow_of(name));
        let is_first = matches!(packet.flow.part, Part::First(_));
        streams.fragments.is_stranger = is_first && known.is_some_and(|key| key != packet.flow.key);
        streams.fragments.is_followed = false;
    }

    /// The outcome for a fragment that fits badly with others that are remembered, or whose flow is not known and which
    /// cannot be remembered until it is.
    pub(super) fn screen_fragment(&mut self, turn: &Turn<'_>, is_early: bool) -> Option<Outcome> {
        let endpoint = name_of(turn.packet)?.endpoint.0;
        let fragments = &mut self.panel.streams.as_mut()?.fragments;
        if !is_early && !fragments.defragmenter.knows(endpoint, &turn.packet.ip) {
            return None;
        }
        match fragments.defragmenter.consider(endpoint, &turn.packet.ip, turn.now) {
            Arrival::Refuse(why) => Some(self.drop_for(turn.packet, why.as_str())),
            Arrival::NoRoom if is_early => {
                let outcome = self.exceptional(Exception::FragmentMemoryFull, turn.packet);
                Some(outcome).filter(|outcome| !outcome.disposition.is_forward())
            }
            // Whose it is was forgotten, and it may be somebody's who is followed.
            Arrival::Accept(piece) if is_early && piece.completes() => {
                Some(self.drop_for(turn.packet, "fragment-of-forgotten"))
            }
            _ => None,
        }
    }

    /// Remembers a fragment whose flow is not known yet, and forgets those that nobody wants to see.
    pub(super) fn settle_fragment(&mut self, turn: &Turn<'_>, is_early: bool, outcome: &Outcome) {
        let Some(name) = name_of(turn.packet) else { return };
        let Some(streams) = &mut self.panel.streams else { return };
        let Fragments { defragmenter, is_followed, .. } = &mut streams.fragments;
        let (endpoint, ip) = (name.endpoint.0, &turn.packet.ip);
        if !outcome.disposition.is_forward() {
            if is_early || defragmenter.knows(endpoint, ip) {
                defragmenter.refuse(endpoint, ip, turn.now);
            }
        } else if is_early {
            if let Arrival::Accept(piece) = defragmenter.consider(endpoint, ip, turn.now) {
                defragmenter.commit(&piece, ip, turn.now);
            }
        } else if !*is_followed && matches!(turn.packet.flow.part, Part::First(_)) {
            defragmenter.forget(endpoint, ip);
        }
    }

    /// The outcome for a fragment of a flow that is followed.
    #[cold]
    pub(super) fn follow_fragment(
        &mut self,
        turn: &Turn<'_>,
        id: FlowId,
        place: Place,
        side: Side,
        output: &mut Output,
    ) -> Outcome {
        let (packet, ip) = (turn.packet, &turn.packet.ip);
        let Some(endpoint) = name_of(packet).map(|name| name.endpoint.0) else {
            return Outcome::FORWARD;
        };
        let Some(streams) = &mut self.panel.streams else { return Outcome::FORWARD };
        let fragments = &mut streams.fragments;
        fragments.is_followed = true;
        if core::mem::take(&mut fragments.is_stranger) {
            // Old ends may be left that were nobody's.
            fragments.defragmenter.refuse(endpoint, ip, turn.now);
            return self.drop_for(packet, "fragment-of-other");
        }
        let piece = match fragments.defragmenter.consider(endpoint, ip, turn.now) {
            Arrival::Accept(piece) => piece,
            Arrival::Refuse(why) => {
                fragments.defragmenter.refuse(endpoint, ip, turn.now);
                return self.drop_for(packet, why.as_str());
            }
            Arrival::NoRoom => {
                const CLASS: Exception = Exception::FragmentMemoryFull;
                let fails_closed = self.fails_closed(id);
                let treatment = self.exception_of(CLASS, turn.endpoint(), fails_closed);
                let reason = Reason::new(CLASS.name());
                let outcome = self.settle(CLASS, treatment, reason, Some(turn.endpoint()));
                if !outcome.disposition.is_forward() || outcome.would.is_some() {
                    return outcome;
                }
                let outcome = self.pass_fragment(turn, id, place, side, output);
                return Outcome { exception: Some(CLASS), ..outcome };
            }
            Arrival::Whole => return Outcome::FORWARD,
        };
        let mut buffer = core::mem::take(&mut fragments.buffer);
        let whole = fragments.defragmenter.assemble(&piece, ip, &mut buffer);
        let outcome = match whole {
            Some(whole) => self.judge_whole(turn, id, (place, side), whole, output),
            None => {
                let said = self.hear(turn, id, |hearing, _| hearing.packet());
                self.say(turn, id, &said, output)
            }
        };
        if let Some(streams) = &mut self.panel.streams {
            let Fragments { defragmenter, buffer: place, .. } = &mut streams.fragments;
            *place = buffer;
            if outcome.disposition.is_forward() {
                defragmenter.commit(&piece, ip, turn.now);
            } else {
                defragmenter.refuse(endpoint, ip, turn.now);
            }
        }
        outcome
    }

    /// The outcome for a fragment by the whole of its datagram.
    fn judge_whole(
        &mut self,
        turn: &Turn<'_>,
        id: FlowId,
        (place, side): (Place, Side),
        whole: &[u8],
        output: &mut Output,
    ) -> Outcome {
        let parsed = IpPacket::parse(whole).and_then(|ip| turn.packet.put_together(ip));
        let Ok(packet) = &parsed else {
            return self.exceptional(Exception::MalformedPacket, turn.packet);
        };
        if self.settings.checksums == Checksums::Verify && packet.is_damaged() {
            return self.damaged(packet);
        }
        let turn = &Turn { number: turn.number, now: turn.now, outer: turn.outer, packet };
        match &packet.transport {
            Transport::Tcp(segment) if segment.flags().intersects(TcpFlags::SYN) => {
                self.drop_for(packet, "syn-in-fragments")
            }
            Transport::Tcp(segment) => {
                let outcome = self.follow_segment(turn, id, place, side, segment, output);
                if outcome.disposition.is_forward() {
                    if let Some(state) = self.table.state_mut(id) {
                        state.follow(packet.flow.direction, segment);
                    }
                }
                outcome
            }
            #[cfg(feature = "dns")]
            Transport::Udp(datagram) => {
                self.follow_datagram(turn, id, side, datagram.payload(), output)
            }
            _ => self.pass_fragment(turn, id, place, side, output),
        }
    }

    /// A fragment passes that is not remembered, so that what is in it cannot be read.
    fn pass_fragment(
        &mut self,
        turn: &Turn<'_>,
        id: FlowId,
        place: Place,
        side: Side,
        output: &mut Output,
    ) -> Outcome {
        if place == Place::DATAGRAMS {
            return self.pass_unread(turn, id, side, output);
        }
        let wants = self.entry(place).map_or(Interest::NONE, |(entry, ..)| entry.wants);
        unless_other(self.lose(turn, id, wants, Why::Gap, output))
    }
}
