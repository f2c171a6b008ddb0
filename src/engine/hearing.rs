use alloc::vec::Vec;
use core::ops::ControlFlow;

use super::explain::{join, verdict_of};
use super::settings::Settings;
use super::state::Bits;
use super::streams::Entry;
use super::turn::Turn;
use crate::Side;
use crate::gwlb::EndpointId;
use crate::inspect::{
    Action, Context, Effects, Exception, Inspector, Interest, Message, Packet, Scope, Seen,
    StreamChunk, Treatment, Verdict, Vote,
};
use crate::protocol::{self, Opaque, Room, Why};
use crate::stream::{Accepted, Gap, Pool};

/// What inspectors say of a packet.
#[derive(Clone, Copy)]
pub(super) struct Said {
    pub(super) verdict: Verdict,
    pub(super) exception: Option<(Exception, Treatment)>,
    pub(super) is_late: bool,
    /// Whether there is nothing to be handed on.
    is_quiet: bool,
    /// What they still want of the flow, if that may have changed.
    pub(super) wants: Option<Interest>,
    /// Whether the packet is part of the stream.
    pub(super) goes_on: bool,
}

impl Said {
    pub(super) const NOTHING: Self = Self {
        verdict: Verdict::PASS,
        exception: None,
        is_late: false,
        is_quiet: true,
        wants: None,
        goes_on: true,
    };

    /// Whether the packet passes, and that is all.
    #[inline(always)]
    pub(super) fn is_nothing(&self) -> bool {
        let Self { verdict, exception, is_late, is_quiet, .. } = *self;
        let passes = verdict.is_pass() && verdict.scope() == Scope::Packet;
        passes && is_quiet && !is_late && exception.is_none()
    }
}

/// The inspectors of a flow, what is remembered of it for them, and what they need to be asked.
pub(super) struct OfFlow<'a, I: Inspector> {
    pub(super) inspector: &'a mut I,
    pub(super) flow: &'a mut I::Flow,
    pub(super) bits: &'a mut Bits,
    pub(super) marks: &'a mut u32,
    pub(super) effects: &'a mut Effects,
    pub(super) votes: Option<&'a mut Vec<Vote>>,
    pub(super) settings: &'a Settings,
}

/// The inspectors of a flow, asked about one packet of it and all that it brings, until one of them refuses it.
pub(super) struct Hearing<'a, I: Inspector> {
    inspector: &'a mut I,
    flow: &'a mut I::Flow,
    bits: &'a mut Bits,
    marks: &'a mut u32,
    cx: Context<'a>,
    votes: Option<&'a mut Vec<Vote>>,
    packet: &'a Packet<'a>,
    settings: &'a Settings,
    endpoint: EndpointId,
    /// Whether one of them fails closed.
    fails_closed: bool,
    /// What they say.
    verdict: Verdict,
    /// What could not be judged in the ordinary way.
    exception: Option<(Exception, Treatment)>,
    /// Whether somebody was shown more than the packet.
    was_asked: bool,
}

impl<'a, I: Inspector> Hearing<'a, I> {
    /// Before anybody was asked.
    #[inline(always)]
    pub(super) fn begin(of_flow: OfFlow<'a, I>, turn: &Turn<'a>, packet: &'a Packet<'a>) -> Self {
        let OfFlow { inspector, flow, bits, marks, effects, votes, settings } = of_flow;
        effects.marks = *marks;
        Self {
            inspector,
            flow,
            cx: turn.context(effects),
            votes,
            packet,
            settings,
            endpoint: turn.endpoint(),
            fails_closed: bits.has(Bits::FAILS_CLOSED),
            verdict: Verdict::PASS,
            exception: None,
            was_asked: false,
            bits,
            marks,
        }
    }

    /// What they say, after all were asked.
    #[inline(always)]
    pub(super) fn end(self) -> Said {
        let goes_on = self.goes_on();
        let wants = (goes_on && self.was_asked).then(|| self.inspector.wants(self.flow));
        let Self { bits, marks, cx, verdict, exception, .. } = self;
        *marks = cx.marks();
        if let Some(wants) = wants {
            bits.set(Bits::FAILS_CLOSED, wants.contains(Interest::FAIL_CLOSED));
        }
        Said { verdict, exception, is_late: false, is_quiet: cx.is_quiet(), wants, goes_on }
    }

    /// Whether there is anybody to be asked on.
    #[inline(always)]
    pub(super) fn goes_on(&self) -> bool {
        if matches!(self.exception, Some((_, Treatment::Drop))) {
            return false;
        }
        match (self.verdict.action(), self.verdict.scope()) {
            (Action::Pass, Scope::Packet) => true,
            (_, Scope::Flow) => false,
            // It passes all the same, and what it brings is part of the stream.
            (Action::Drop | Action::Reject, Scope::Packet) => {
                self.settings.monitors(Some(self.endpoint))
            }
        }
    }

    #[inline(always)]
    pub(super) fn packet(&mut self) {
        if I::INTEREST.contains(Interest::PACKETS) {
            self.verdict = self.ask(&Seen::Packet(self.packet));
        }
    }

    /// The bytes that become contiguous with an accepted segment, and then the messages in them.
    pub(super) fn segment(
        &mut self,
        accepted: &Accepted,
        payload: &[u8],
        (entry, pool, room): (&mut Entry, &Pool, &mut Room),
    ) {
        let Entry { connection, session, wants, had_message, had_gap, .. } = entry;
        let side = accepted.side();
        if accepted.fresh().is_empty() && !accepted.ends() {
            return;
        }
        if wants.contains(Interest::STREAM) {
            for chunk in connection.chunks(pool, accepted, payload) {
                if !self.goes_on() {
                    return;
                }
                let chunk = StreamChunk::new(self.packet, side, chunk.offset, chunk.data)
                    .behind_gap(*had_gap);
                self.add(&Seen::Stream(&chunk));
            }
        }
        let Some(session) = session else { return };
        let give = &mut |side, message: protocol::Message<'_>| {
            self.message(side, &message, *wants, had_message)
        };
        for chunk in connection.chunks(pool, accepted, payload) {
            session.feed(side, chunk.data, room, give);
        }
        if accepted.ends() {
            session.end(side, room, give);
        }
        if accepted.resets() {
            session.end(side, room, give);
            session.end(side.other(), room, give);
        }
    }

    /// Bytes that are missing in a stream.
    pub(super) fn gap(&mut self, gap: &Gap, entry: &mut Entry, room: &mut Room) {
        let Entry { session, wants, had_message, .. } = entry;
        let Some(session) = session else { return };
        session.gap(gap.side, gap.len, room, &mut |side, message| {
            self.message(side, &message, *wants, had_message)
        });
    }

    /// From here on nothing is understood of the flow.
    pub(super) fn lost(&mut self, side: Side, wants: Interest, why: Why, reason: &'static str) {
        let protocol = protocol::Protocol::Unknown;
        let opaque = Opaque { protocol, why, reason, offset: 0, bytes: &[], is_whole_flow: true };
        let message = protocol::Message::Opaque(opaque);
        let message = Message::new(self.packet, side, &message, false);
        if message.is_for(wants) {
            self.add(&Seen::Message(&message));
        }
    }

    /// A datagram of DNS.
    #[cfg(feature = "dns")]
    pub(super) fn datagram(&mut self, side: Side, payload: &[u8]) {
        let message = match protocol::dns::Message::parse(payload) {
            Ok(message) => protocol::Message::Dns(message),
            Err(error) => protocol::Message::Opaque(Opaque {
                protocol: protocol::Protocol::Dns,
                why: Why::Unparsable,
                reason: error.reason(),
                offset: u64::try_from(error.offset()).unwrap_or(u64::MAX),
                bytes: payload,
                is_whole_flow: false,
            }),
        };
        let _ = self.message(side, &message, Interest::DNS, &mut true);
    }

    fn message(
        &mut self,
        side: Side,
        message: &protocol::Message<'_>,
        wants: Interest,
        had_message: &mut bool,
    ) -> ControlFlow<()> {
        let class = class_of(message);
        let policy = self.settings.policy_of(Some(self.endpoint));
        if let Some(class) = class.filter(|_| !self.fails_closed) {
            self.exception.get_or_insert((class, policy.treatment(class)));
        }
        let is_first = !core::mem::replace(had_message, true);
        let message = Message::new(self.packet, side, message, is_first);
        if self.goes_on() && message.is_for(wants) {
            self.add(&Seen::Message(&message));
        }
        // Who fails closed may have a reason of his own to refuse it.
        if let Some(class) = class.filter(|_| self.fails_closed) {
            self.exception.get_or_insert((class, policy.failing_closed(class)));
        }
        if self.goes_on() { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
    }

    /// Asks about a part of what the packet brings. Parts cannot be refused by themselves.
    fn add(&mut self, seen: &Seen<'_>) {
        self.was_asked = true;
        let verdict = self.ask(seen);
        if !verdict.is_pass() {
            self.verdict = verdict.for_flow();
        } else if self.verdict.is_pass() {
            self.verdict = verdict;
        }
    }

    fn ask(&mut self, seen: &Seen<'_>) -> Verdict {
        match &mut self.votes {
            None => seen.ask(self.inspector, self.flow, &mut self.cx),
            Some(votes) => {
                let mut more = Vec::new();
                self.inspector.explain(self.flow, seen, &mut self.cx, &mut more);
                let verdict = verdict_of(&more);
                join(votes, more);
                verdict
            }
        }
    }
}

/// What cannot be judged in the ordinary way about a message: also one of which two receivers may disagree where it ends. Bytes of
/// no protocol that is known are no exception: there are many such protocols.
fn class_of(message: &protocol::Message<'_>) -> Option<Exception> {
    #[cfg(feature = "http")]
    let unless_clear = |anomalies: protocol::http::Anomalies| {
        anomalies.is_ambiguous().then_some(Exception::ProtocolUnparsable)
    };
    match message {
        protocol::Message::Opaque(opaque) => match opaque.why {
            Why::Unparsable | Why::Switched | Why::TooLarge => Some(Exception::ProtocolUnparsable),
            Why::NoRoom => Some(Exception::StreamMemoryFull),
            // A gap was told of when it was found.
            _ => None,
        },
        #[cfg(feature = "http")]
        protocol::Message::HttpRequest(request) => unless_clear(request.anomalies()),
        #[cfg(feature = "http")]
        protocol::Message::HttpResponse(response) => unless_clear(response.anomalies()),
        #[cfg(feature = "http")]
        protocol::Message::HttpBody(body) => unless_clear(body.anomalies()),
        #[cfg(any(feature = "dns", feature = "tls"))]
        _ => None,
    }
}
