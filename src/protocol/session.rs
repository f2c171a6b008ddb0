use super::parser::{Context, End, Give, Outcome, Parser, Stop};
use super::recognise::{Prefix, recognise};
use super::sides::Sides;
use super::{Message, Opaque, Protocol, Room, Why};
use crate::Side;

/// The messages of one flow: bytes in order go in, messages come out.
///
/// Nothing of it is on the heap but what it gathers. That is taken from a [`Room`], so a session is
/// [closed](Self::close) before it is dropped.
#[derive(Debug)]
pub struct Session {
    limits: Limits,
    hint: Option<u16>,
    protocol: Protocol,
    /// Bytes so far, missing ones too.
    offsets: Sides<u64>,
    /// Sides that have ended, or of which nothing more is understood.
    is_over: Sides<bool>,
    is_stopped: bool,
    /// Still so when the next call comes: somebody has panicked in the last one.
    is_busy: bool,
    state: State,
}

#[derive(Debug)]
#[allow(
    clippy::large_enum_variant,
    reason = "a flow whose protocol is not known yet mostly gets to know it with the next packet"
)]
enum State {
    Recognising(Sides<Prefix>),
    #[cfg(feature = "http")]
    Http(super::http::Parser),
    #[cfg(feature = "tls")]
    Tls(super::tls::Parser),
    #[cfg(feature = "dns")]
    Dns(super::dns::Parser),
    Over,
}

/// What a session may hold and take.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Limits {
    /// The most bytes of a message that has to lie whole to be understood: the head of an HTTP message, a handshake message
    /// of TLS, a DNS message. 64 KiB by default.
    pub message: u32,
    /// The most headers of an HTTP message, beyond which it has an anomaly. 128 by default.
    pub headers: u16,
}

impl Default for Limits {
    fn default() -> Self {
        Self { message: 64 << 10, headers: 128 }
    }
}

/// Whether a session wants to be fed on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Progress {
    /// More bytes may tell more, of one side at least: [`Session::wants`].
    More,
    /// Further bytes would tell nothing.
    Done,
    /// Who was told has broken off: the flow is dead.
    Stopped,
}

impl Session {
    /// For a TCP connection. `hint` is the server's port, for what cannot be told by its bytes alone.
    pub fn tcp(hint: Option<u16>, limits: Limits) -> Self {
        Self {
            limits,
            hint,
            protocol: Protocol::Unknown,
            offsets: Sides::default(),
            is_over: Sides::default(),
            is_stopped: false,
            is_busy: false,
            state: State::Recognising(Sides::default()),
        }
    }

    /// The next bytes of a side, cut wherever. Gives what has become whole, in order.
    ///
    /// Where `give` breaks (or panics), nothing more is given, now and ever.
    pub fn feed(
        &mut self,
        side: Side,
        bytes: &[u8],
        room: &mut Room,
        give: &mut Give<'_>,
    ) -> Progress {
        let at = self.advance(side, length(bytes));
        self.guarded(side, room, |session, room| {
            if bytes.is_empty() {
            } else if matches!(session.state, State::Recognising(_)) {
                session.begin(side, at, bytes, room, give);
            } else {
                session.pass_on(side, at, bytes, room, give);
            }
        })
    }

    /// `len` bytes of a side are missing: they were never seen, and those that are fed next come after them.
    pub fn gap(&mut self, side: Side, len: u64, room: &mut Room, give: &mut Give<'_>) -> Progress {
        let at = self.advance(side, len);
        self.guarded(side, room, |session, room| {
            let mut cx = Context { limits: &session.limits, room, give };
            let outcome = match session.state.parser_mut() {
                _ if len == 0 => return,
                Some(parser) => parser.gap(side, at, len, &mut cx),
                None => end(side, Why::Gap, "bytes missing before the protocol was recognised", at),
            };
            session.settle(outcome, at, &[], room, give);
        })
    }

    /// A side says no more: its FIN, or a reset.
    pub fn end(&mut self, side: Side, room: &mut Room, give: &mut Give<'_>) -> Progress {
        let at = *self.offsets.of(side);
        self.guarded(side, room, |session, room| {
            *session.is_over.of_mut(side) = true;
            if let State::Recognising(prefixes) = &session.state {
                let held = *prefixes.of(side);
                if !held.is_empty() {
                    session.unrecognised(side, &held, room, give);
                }
            }
            let mut cx = Context { limits: &session.limits, room, give };
            let outcome = match session.state.parser_mut() {
                Some(parser) => parser.end(side, at, &mut cx),
                None => Outcome::Continue(()),
            };
            session.settle(outcome, at, &[], room, give);
        })
    }

    /// Gives back what was taken from the room. Nothing more is understood then.
    pub fn close(&mut self, room: &mut Room) {
        if let Some(parser) = self.state.parser_mut() {
            parser.close(room);
        }
        self.state = State::Over;
    }

    /// Whether more bytes of a side may tell more. Those of a side of which none are wanted need not be fed.
    #[inline]
    pub fn wants(&self, side: Side) -> bool {
        !self.is_stopped
            && !*self.is_over.of(side)
            && match &self.state {
                State::Recognising(_) => true,
                State::Over => false,
                #[cfg(feature = "http")]
                State::Http(parser) => parser.wants(side),
                #[cfg(feature = "tls")]
                State::Tls(parser) => parser.wants(side),
                #[cfg(feature = "dns")]
                State::Dns(parser) => parser.wants(side),
            }
    }

    /// Which protocol it was recognised to be.
    #[inline]
    pub const fn protocol(&self) -> Protocol {
        self.protocol
    }

    /// Whether it wants to be fed on.
    #[inline]
    pub fn progress(&self) -> Progress {
        if self.is_stopped {
            Progress::Stopped
        } else if self.wants(Side::Client) || self.wants(Side::Server) {
            Progress::More
        } else {
            Progress::Done
        }
    }

    /// The offset before `len` more.
    fn advance(&mut self, side: Side, len: u64) -> u64 {
        let offset = self.offsets.of_mut(side);
        let at = *offset;
        *offset = at.saturating_add(len);
        at
    }

    /// Works where the side is wanted, and closes when none is any more.
    fn guarded(
        &mut self,
        side: Side,
        room: &mut Room,
        work: impl FnOnce(&mut Self, &mut Room),
    ) -> Progress {
        if self.is_busy {
            self.is_stopped = true;
        } else if self.wants(side) {
            self.is_busy = true;
            work(self, room);
            self.is_busy = false;
        }
        let progress = self.progress();
        if progress != Progress::More {
            self.close(room);
        }
        progress
    }

    fn begin(&mut self, side: Side, at: u64, bytes: &[u8], room: &mut Room, give: &mut Give<'_>) {
        let State::Recognising(prefixes) = &mut self.state else { return };
        let before = *prefixes;
        let prefix = prefixes.of_mut(side);
        prefix.append(bytes);
        let prefix = *prefix;
        let Some(protocol) = recognise(side, prefix.as_slice(), self.hint) else { return };
        let Some(state) = State::of(protocol) else {
            return self.unrecognised(side, &prefix, room, give);
        };
        self.protocol = protocol;
        self.state = state;
        for side in Side::ALL.into_iter().filter(|side| *self.is_over.of(*side)) {
            if let Some(parser) = self.state.parser_mut() {
                parser.deafen(side, room);
            }
        }
        for side in Side::ALL {
            // None are missing: a gap would have ended it.
            let held = before.of(side).as_slice();
            if !held.is_empty() {
                self.pass_on(side, 0, held, room, give);
            }
        }
        self.pass_on(side, at, bytes, room, give);
    }

    fn unrecognised(&mut self, side: Side, prefix: &Prefix, room: &mut Room, give: &mut Give<'_>) {
        let outcome = end(side, Why::Unrecognised, "protocol not recognised", 0);
        self.settle(outcome, 0, prefix.as_slice(), room, give);
    }

    fn pass_on(&mut self, side: Side, at: u64, bytes: &[u8], room: &mut Room, give: &mut Give<'_>) {
        if !self.wants(side) {
            return;
        }
        let mut cx = Context { limits: &self.limits, room, give };
        let Some(parser) = self.state.parser_mut() else { return };
        let outcome = parser.feed(side, at, bytes, &mut cx);
        self.settle(outcome, at, bytes, room, give);
    }

    /// Says what a parser stopped for. `bytes`, of which the first is number `at`, are at hand.
    fn settle(
        &mut self,
        outcome: Outcome,
        at: u64,
        bytes: &[u8],
        room: &mut Room,
        give: &mut Give<'_>,
    ) {
        let end = match outcome {
            Outcome::Continue(()) => return,
            Outcome::Break(Stop::Broken) => {
                self.is_stopped = true;
                return;
            }
            Outcome::Break(Stop::Opaque(end)) => end,
        };
        *self.is_over.of_mut(end.side) = true;
        if end.is_whole_flow {
            self.close(room);
        } else if let Some(parser) = self.state.parser_mut() {
            parser.deafen(end.side, room);
        }
        let rest = end.at.checked_sub(at).and_then(|skipped| usize::try_from(skipped).ok());
        let opaque = Opaque {
            protocol: self.protocol,
            why: end.why,
            reason: end.reason,
            offset: end.at,
            bytes: rest.and_then(|skipped| bytes.get(skipped..)).unwrap_or(&[]),
            is_whole_flow: end.is_whole_flow,
        };
        self.is_stopped |= give(end.side, Message::Opaque(opaque)).is_break();
    }
}

impl State {
    /// The beginning of a protocol.
    fn of(protocol: Protocol) -> Option<Self> {
        match protocol {
            #[cfg(feature = "http")]
            Protocol::Http => Some(Self::Http(super::http::Parser::default())),
            #[cfg(feature = "tls")]
            Protocol::Tls => Some(Self::Tls(super::tls::Parser::default())),
            #[cfg(feature = "dns")]
            Protocol::Dns => Some(Self::Dns(super::dns::Parser::default())),
            _ => None,
        }
    }

    fn parser_mut(&mut self) -> Option<&mut dyn Parser> {
        match self {
            Self::Recognising(_) | Self::Over => None,
            #[cfg(feature = "http")]
            Self::Http(parser) => Some(parser),
            #[cfg(feature = "tls")]
            Self::Tls(parser) => Some(parser),
            #[cfg(feature = "dns")]
            Self::Dns(parser) => Some(parser),
        }
    }
}

/// Before a protocol is recognised: what a server says first may be anything, and what the client says still tells.
const fn end(side: Side, why: Why, reason: &'static str, at: u64) -> Outcome {
    let is_whole_flow = matches!(side, Side::Client);
    Outcome::Break(Stop::Opaque(End { side, why, reason, at, is_whole_flow }))
}

fn length(bytes: &[u8]) -> u64 {
    u64::try_from(bytes.len()).unwrap_or(u64::MAX)
}
