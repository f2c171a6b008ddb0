use core::ops::ControlFlow;

use super::{Limits, Message, Room, Why};
use crate::Side;

/// What a protocol does with the bytes of one flow: one value for both sides.
///
/// A parser is fed until it stops. It keeps itself consistent whenever it gives a message, as what it gives to may panic: its
/// buffers stay its own then, and [`close`](Self::close) gives them back.
pub(super) trait Parser {
    /// The next bytes of a side, never none. `at` counts those before them, missing ones too.
    fn feed(&mut self, side: Side, at: u64, bytes: &[u8], cx: &mut Context<'_>) -> Outcome;

    /// `len` bytes of a side are missing.
    fn gap(&mut self, side: Side, at: u64, len: u64, cx: &mut Context<'_>) -> Outcome;

    /// A side says no more: a FIN or a reset. Nothing more is fed of it.
    fn end(&mut self, side: Side, at: u64, cx: &mut Context<'_>) -> Outcome;

    /// Nothing more will be fed of a side, since it is not understood: its buffers can go.
    fn deafen(&mut self, side: Side, room: &mut Room);

    /// Whether more bytes of a side would tell more.
    fn wants(&self, side: Side) -> bool;

    /// Gives back what the buffers hold.
    fn close(&mut self, room: &mut Room);
}

/// Goes on, or stops; to be left with `?`.
pub(super) type Outcome = ControlFlow<Stop>;

/// Who is told.
pub(super) type Give<'g> = dyn FnMut(Side, Message<'_>) -> ControlFlow<()> + 'g;

/// What a parser works with.
pub(super) struct Context<'c> {
    pub(super) limits: &'c Limits,
    pub(super) room: &'c mut Room,
    pub(super) give: &'c mut Give<'c>,
}

impl Context<'_> {
    pub(super) fn give(&mut self, side: Side, message: Message<'_>) -> Outcome {
        match (self.give)(side, message) {
            ControlFlow::Continue(()) => ControlFlow::Continue(()),
            ControlFlow::Break(()) => ControlFlow::Break(Stop::Broken),
        }
    }
}

/// Why a parser stops.
#[derive(Clone, Copy, Debug)]
pub(super) enum Stop {
    /// Who is told wants no more.
    Broken,
    /// It does not understand any more; the session says so.
    Opaque(End),
}

/// What the session has to say then.
#[derive(Clone, Copy, Debug)]
pub(super) struct End {
    pub(super) side: Side,
    pub(super) why: Why,
    pub(super) reason: &'static str,
    /// Bytes of the side before the one from which on nothing is understood.
    pub(super) at: u64,
    /// Otherwise the other side is fed on.
    pub(super) is_whole_flow: bool,
}

/// Whether first bytes are of a protocol. More bytes must not change a yes or a no.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Guess {
    Yes,
    No,
    /// There are too few bytes to tell.
    #[cfg_attr(not(any(feature = "http", feature = "tls")), allow(dead_code))]
    More,
}
