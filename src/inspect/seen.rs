use core::ops::Deref;

use super::{Context, Inspector, Interest, Packet, Verdict};
use crate::Side;
use crate::protocol::{self, Protocol};

/// Bytes of one side of a TCP connection, in order: each byte that the receiver gets is shown once, as it gets it.
///
/// How the bytes were cut, delayed or sent again on their way makes no difference to what the chunks of a side hold
/// together; it does to where one ends and the next begins.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct StreamChunk<'a> {
    /// The packet that brought the bytes, or the one that filled the gap before them.
    pub packet: &'a Packet<'a>,
    /// Who sent them.
    pub side: Side,
    /// How many bytes that side has sent before these: those of a connection first seen in its middle, since then. Where
    /// it is more than was shown, there is a [gap](Interest::GAPS).
    pub offset: u64,
    /// The bytes; at least one.
    pub data: &'a [u8],
    /// Whether there was a [gap](Interest::GAPS) before, in the bytes of either side.
    pub is_behind_gap: bool,
}

impl<'a> StreamChunk<'a> {
    /// A chunk of a side's bytes.
    pub const fn new(packet: &'a Packet<'a>, side: Side, offset: u64, data: &'a [u8]) -> Self {
        Self { packet, side, offset, data, is_behind_gap: false }
    }

    /// The same, but behind a gap or not.
    #[must_use]
    pub const fn behind_gap(self, is_behind_gap: bool) -> Self {
        Self { is_behind_gap, ..self }
    }
}

/// A message of an application protocol, and the packet that made it whole.
///
/// It is read like the message itself:
///
#[cfg_attr(feature = "http", doc = "```")]
#[cfg_attr(not(feature = "http"), doc = "```ignore")]
/// use gwlb_geneve::inspect::{Reason, Verdict, http_fn};
///
/// let no_trace = http_fn("no-trace", |request, _cx| match request.method() == "TRACE" {
///     true => Verdict::reject(Reason::new("trace")),
///     false => Verdict::PASS,
/// });
/// # let _ = no_trace;
/// ```
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct Message<'a, M = protocol::Message<'a>> {
    /// The packet that made the message whole.
    pub packet: &'a Packet<'a>,
    /// Who sent it.
    pub side: Side,
    /// The message.
    pub what: &'a M,
    /// Whether it is the first of its flow.
    pub is_first: bool,
}

impl<'a, M> Message<'a, M> {
    /// A message of a side.
    pub const fn new(packet: &'a Packet<'a>, side: Side, what: &'a M, is_first: bool) -> Self {
        Self { packet, side, what, is_first }
    }

    /// Another view of the same message.
    pub const fn with<N>(&self, what: &'a N) -> Message<'a, N> {
        Message { packet: self.packet, side: self.side, what, is_first: self.is_first }
    }
}

impl Message<'_> {
    /// Whether it is for somebody with this interest: messages of the protocols that are asked for. What is opaque, and
    /// the first message of a flow, is for everybody who asks for messages of any: who only lets pass what it knows is
    /// told of what it does not.
    #[inline]
    pub fn is_for(&self, interest: Interest) -> bool {
        if self.is_first || matches!(self.what, protocol::Message::Opaque(_)) {
            return interest.intersects(Interest::MESSAGES);
        }
        interest.intersects(match self.what.protocol() {
            Protocol::Http => Interest::HTTP,
            Protocol::Tls => Interest::TLS,
            Protocol::Dns => Interest::DNS,
            _ => Interest::MESSAGES,
        })
    }
}

impl<M> Deref for Message<'_, M> {
    type Target = M;

    #[inline]
    fn deref(&self) -> &M {
        self.what
    }
}

/// What inspectors are asked about, one hook each.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub enum Seen<'a> {
    /// A packet.
    Packet(&'a Packet<'a>),
    /// Bytes in order.
    Stream(&'a StreamChunk<'a>),
    /// A message.
    Message(&'a Message<'a>),
}

impl<'a> Seen<'a> {
    /// The packet at hand.
    pub const fn packet(&self) -> &'a Packet<'a> {
        match self {
            Self::Packet(packet) => packet,
            Self::Stream(chunk) => chunk.packet,
            Self::Message(message) => message.packet,
        }
    }

    /// Whether an inspector wants to see it.
    #[inline(always)]
    pub(crate) fn is_for<I: Inspector + ?Sized>(&self, inspector: &I, flow: &I::Flow) -> bool {
        match self {
            Self::Packet(_) => {
                I::INTEREST.contains(Interest::PACKETS)
                    && inspector.interest().contains(Interest::PACKETS)
            }
            Self::Stream(chunk) => {
                let needed = match chunk.is_behind_gap {
                    true => Interest::STREAM.and(Interest::GAPS),
                    false => Interest::STREAM,
                };
                I::INTEREST.contains(Interest::STREAM) && inspector.wants(flow).contains(needed)
            }
            Self::Message(message) => {
                I::INTEREST.intersects(Interest::MESSAGES) && message.is_for(inspector.wants(flow))
            }
        }
    }

    /// Asks an inspector about it.
    #[inline(always)]
    pub(crate) fn ask<I: Inspector + ?Sized>(
        &self,
        inspector: &mut I,
        flow: &mut I::Flow,
        cx: &mut Context<'_>,
    ) -> Verdict {
        match self {
            Self::Packet(packet) => inspector.packet(flow, packet, cx),
            Self::Stream(chunk) => inspector.stream(flow, chunk, cx),
            Self::Message(message) => inspector.message(flow, message, cx),
        }
    }
}
