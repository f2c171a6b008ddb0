use super::streams::Place;
use crate::Timestamp;
use crate::flow::{Direction, Part};
use crate::inspect::{Action, Beginning, ParsedPacket, Reason, Tells, Verdict};
use crate::packet::{TcpFlags, TcpSegment, Transport};

/// What the engine remembers of a flow.
#[derive(Debug)]
pub(super) struct State<F> {
    pub(super) inspection: Inspection<F>,
    pub(super) sequence: Sequence,
    pub(super) marks: u32,
    /// A hash of the ends of the tunnels that it is in, 0 for none.
    pub(super) carriers: u32,
    /// Whose flow it is among the inspectors that there were.
    pub(super) generation: u8,
    /// Of which epoch it is: flows of another one are opened anew.
    pub(super) epoch: u8,
    pub(super) bits: Bits,
}

/// How far the inspectors are with a flow.
#[derive(Debug)]
pub(super) enum Inspection<F> {
    /// They look at it.
    Open(F),
    /// They look at it, and its bytes are put in order for them.
    Followed(F, Place),
    /// They have seen enough, or were never asked: everything passes.
    Bypassed,
    /// Nothing passes any more.
    Refused(Refused),
}

/// A flow that is dead for good.
#[derive(Clone, Copy, Debug)]
pub(super) struct Refused {
    pub(super) reason: ReasonId,
    /// Whose packets are answered.
    pub(super) whom: Whom,
    /// Answers that may be given at once.
    answers: u8,
    /// When it was last answered, in units of 2^20 ns (1.05 ms), modulo 2^32.
    answered: u32,
}

/// Whose packets of a refused flow are answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Whom {
    /// The flow was dropped.
    Nobody,
    Everybody,
    /// Those whose packets go this way.
    Only(Direction),
}

impl Whom {
    /// For a verdict on a packet that goes this way.
    pub(super) fn of(verdict: Verdict, direction: Direction) -> Self {
        match (verdict.action(), verdict.tells()) {
            (Action::Reject, Tells::Both) => Self::Everybody,
            (Action::Reject, Tells::Sender) => Self::Only(direction),
            (Action::Reject, Tells::Receiver) => Self::Only(direction.reversed()),
            _ => Self::Nobody,
        }
    }

    pub(super) fn is_anybody(self) -> bool {
        self != Self::Nobody
    }

    /// Whether a packet that goes this way is answered.
    pub(super) fn has(self, direction: Direction) -> bool {
        match self {
            Self::Nobody => false,
            Self::Everybody => true,
            Self::Only(only) => only == direction,
        }
    }
}

impl Refused {
    /// A flow may be answered so often at once: a reset that was off by a little draws a challenge, which is
    /// answered too (RFC 5961 §3).
    const BURST: u8 = 4;
    /// And afterwards once in so many units: about four times a second.
    const INTERVAL: u32 = 238;

    pub(super) fn new(reason: ReasonId, whom: Whom, now: Timestamp) -> Self {
        Self { reason, whom, answers: Self::BURST, answered: units(now) }
    }

    /// Whether one more answer may be given.
    pub(super) fn may_answer(&mut self, now: Timestamp) -> bool {
        let now = units(now);
        // Stamps that go back earn nothing.
        let elapsed = now.wrapping_sub(self.answered);
        let earned = if elapsed < 1 << 31 { elapsed / Self::INTERVAL } else { 0 };
        if earned > 0 {
            let earned = u8::try_from(earned).unwrap_or(u8::MAX);
            self.answers = self.answers.saturating_add(earned).min(Self::BURST);
            self.answered = now;
        }
        match self.answers.checked_sub(1) {
            Some(left) => {
                self.answers = left;
                true
            }
            None => false,
        }
    }
}

#[expect(clippy::cast_possible_truncation, reason = "modulo 2^32 is what is wanted")]
const fn units(now: Timestamp) -> u32 {
    (now.as_nanos() >> 20) as u32
}

/// A small number for a [`Reason`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct ReasonId(u16);

/// The reasons that flows were refused for.
#[derive(Debug, Default)]
pub(super) struct ReasonBook(alloc::vec::Vec<Reason>);

impl ReasonBook {
    pub(super) fn id(&mut self, reason: Reason) -> ReasonId {
        let known = self.0.iter().position(|known| *known == reason);
        let index = known.unwrap_or(self.0.len());
        match u16::try_from(index) {
            Ok(id) => {
                if known.is_none() {
                    self.0.push(reason);
                }
                ReasonId(id)
            }
            // More names than a program can have written down.
            Err(_) => ReasonId(u16::MAX),
        }
    }

    pub(super) fn reason(&self, id: ReasonId) -> Reason {
        self.0.get(usize::from(id.0)).copied().unwrap_or(Reason::new("other"))
    }
}

/// Yes-or-no facts about a flow.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Bits(u16);

impl Bits {
    pub(super) const OPENED_IN_REVERSE: Self = Self(1);
    pub(super) const MIDSTREAM: Self = Self(1 << 1);
    pub(super) const CAPTURE: Self = Self(1 << 2);
    /// A SYN came while the flow was open; its direction and number are in [`Sequence`].
    pub(super) const SYN_PENDING: Self = Self(1 << 3);
    pub(super) const SYN_IN_REVERSE: Self = Self(1 << 4);
    /// Where the streams are is known.
    pub(super) const FORWARD_KNOWN: Self = Self(1 << 5);
    pub(super) const REVERSE_KNOWN: Self = Self(1 << 6);
    /// The handshake is over.
    pub(super) const UNDER_WAY: Self = Self(1 << 7);
    /// It is the flow of somebody who fails closed.
    pub(super) const FAILS_CLOSED: Self = Self(1 << 8);

    #[inline]
    pub(super) const fn has(self, other: Self) -> bool {
        self.0 & other.0 != 0
    }

    #[inline]
    pub(super) const fn set(&mut self, other: Self, to: bool) {
        if to {
            self.0 |= other.0;
        } else {
            self.0 &= !other.0;
        }
    }

    #[inline]
    pub(super) const fn opener(self) -> Direction {
        if self.has(Self::OPENED_IN_REVERSE) { Direction::Reverse } else { Direction::Forward }
    }

    #[inline]
    pub(super) const fn beginning(self) -> Beginning {
        if self.has(Self::MIDSTREAM) { Beginning::Midstream } else { Beginning::Seen }
    }
}

/// Where the two byte streams of a TCP connection are, as far as packets alone tell: the number of the next byte in
/// order each way. Whether it is known is one of the [`Bits`].
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Sequence {
    forward: u32,
    reverse: u32,
    /// The number of a SYN that came while the connection was open.
    syn: u32,
}

impl<F> State<F> {
    /// The number of the next byte in order that goes this way.
    #[inline]
    pub(super) const fn next(&self, direction: Direction) -> Option<u32> {
        let (known, number) = match direction {
            Direction::Forward => (Bits::FORWARD_KNOWN, self.sequence.forward),
            Direction::Reverse => (Bits::REVERSE_KNOWN, self.sequence.reverse),
        };
        if self.bits.has(known) { Some(number) } else { None }
    }

    /// Notes where the streams of the opener and of the other side begin, as far as that is known.
    pub(super) fn begin_at(&mut self, (opener, other): (Option<u32>, Option<u32>)) {
        let (forward, reverse) = match self.bits.opener() {
            Direction::Forward => (opener, other),
            Direction::Reverse => (other, opener),
        };
        self.bits.set(Bits::FORWARD_KNOWN, forward.is_some());
        self.bits.set(Bits::REVERSE_KNOWN, reverse.is_some());
        self.sequence.forward = forward.unwrap_or(0);
        self.sequence.reverse = reverse.unwrap_or(0);
    }

    /// Follows a packet that is forwarded.
    #[inline(always)]
    pub(super) fn pass(&mut self, packet: &ParsedPacket<'_>) {
        if let (Transport::Tcp(segment), Part::Whole) = (&packet.transport, packet.flow.part) {
            self.follow(packet.flow.direction, segment);
        }
    }

    /// Follows a segment that is forwarded. What its receiver has acknowledged came in order too, also what was lost
    /// before it came here.
    #[inline(always)]
    pub(super) fn follow(&mut self, direction: Direction, segment: &TcpSegment<'_>) {
        let flags = segment.flags();
        let start = segment.sequence_number();
        let end = start.wrapping_add(length(segment));
        let Sequence { forward, reverse, .. } = &mut self.sequence;
        // Where this side is, and where the other one.
        let (is_known, next, is_back_known, back) = match direction {
            Direction::Forward => (Bits::FORWARD_KNOWN, forward, Bits::REVERSE_KNOWN, reverse),
            Direction::Reverse => (Bits::REVERSE_KNOWN, reverse, Bits::FORWARD_KNOWN, forward),
        };
        let has_ack = flags.intersects(TcpFlags::ACK);
        let acknowledged = segment.acknowledgment_number();
        if flags.intersects(TcpFlags::SYN) {
            // It may come again with another number, until it was answered and that acknowledged. Later it says
            // nothing about this connection.
            if !self.bits.has(Bits::UNDER_WAY) {
                *next = end;
                self.bits.set(is_known, true);
                if has_ack {
                    *back = acknowledged;
                    self.bits.set(is_back_known, true);
                }
            }
            return;
        }
        self.bits.set(Bits::UNDER_WAY, true);
        if !self.bits.has(is_known) || !is_before(*next, start) && is_before(*next, end) {
            *next = end;
            self.bits.set(is_known, true);
        }
        // Who does not know where the stream is may not say what the other side has sent.
        let believes_ack = has_ack && are_near(start, *next);
        if believes_ack && (!self.bits.has(is_back_known) || is_before(*back, acknowledged)) {
            *back = acknowledged;
            self.bits.set(is_back_known, true);
        }
    }

    /// Forgets where the streams are: packets went by unseen.
    pub(super) const fn forget_sequence(&mut self) {
        self.bits.set(Bits::FORWARD_KNOWN, false);
        self.bits.set(Bits::REVERSE_KNOWN, false);
        self.bits.set(Bits::SYN_PENDING, false);
        self.bits.set(Bits::UNDER_WAY, true);
    }

    /// Whether the receiver will believe the RST (RFC 5961 §3.2): at exactly the next byte; where nothing was heard of
    /// that side yet, if it acknowledges the other side's SYN.
    pub(super) fn believes_reset(&self, direction: Direction, segment: &TcpSegment<'_>) -> bool {
        match self.next(direction) {
            Some(next) => segment.sequence_number() == next,
            None => {
                segment.flags().contains(TcpFlags::ACK)
                    && self.next(direction.reversed()) == Some(segment.acknowledgment_number())
            }
        }
    }

    /// Whether the FIN is in its place: all before it has come, and it is not something old or made up.
    pub(super) fn believes_fin(&self, direction: Direction, segment: &TcpSegment<'_>) -> bool {
        let start = segment.sequence_number();
        let end = start.wrapping_add(length(segment));
        self.next(direction).is_some_and(|next| !is_before(next, start) && !is_before(end, next))
    }

    /// Remembers a SYN in the middle of a connection: should the other side answer it, another connection begins.
    pub(super) const fn expect_answer(&mut self, direction: Direction, syn: u32) {
        self.sequence.syn = syn;
        self.bits.set(Bits::SYN_PENDING, true);
        self.bits.set(Bits::SYN_IN_REVERSE, matches!(direction, Direction::Reverse));
    }

    /// Whether a SYN-ACK answers that SYN.
    pub(super) fn is_answer(&self, direction: Direction, segment: &TcpSegment<'_>) -> bool {
        let from_reverse = self.bits.has(Bits::SYN_IN_REVERSE);
        self.bits.has(Bits::SYN_PENDING)
            && from_reverse == (direction == Direction::Forward)
            && segment.acknowledgment_number() == self.sequence.syn.wrapping_add(1)
    }
}

/// In the circle of sequence numbers (RFC 9293 §3.4).
#[inline]
const fn is_before(a: u32, b: u32) -> bool {
    b.wrapping_sub(a).wrapping_sub(1) < (1 << 31) - 1
}

/// Within 1 MiB of each other.
#[inline]
const fn are_near(a: u32, b: u32) -> bool {
    a.wrapping_sub(b).wrapping_add(1 << 20) < 1 << 21
}

/// How many sequence numbers a segment takes, SYN and FIN one each (RFC 9293 §3.4).
#[inline]
fn length(segment: &TcpSegment<'_>) -> u32 {
    let flags = segment.flags();
    let data = segment.bytes().len().saturating_sub(segment.header_len());
    let data = u32::try_from(data).unwrap_or(u32::MAX);
    data.wrapping_add(flags.intersects(TcpFlags::SYN).into())
        .wrapping_add(flags.intersects(TcpFlags::FIN).into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_state_of_a_stateless_inspector_is_small() {
        assert_eq!((size_of::<State<()>>(), align_of::<State<()>>()), (32, 4));
    }

    #[test]
    fn numbers_are_a_circle() {
        assert!(is_before(0, 1) && is_before(u32::MAX, 0) && is_before(0, 0x7fff_ffff));
        assert!(!is_before(0, 0) && !is_before(1, 0) && !is_before(0, 0x8000_0000));
    }

    #[test]
    fn answers_to_a_dead_flow_are_limited() {
        let at = |millis: u64| Timestamp::from_nanos(millis * 1_000_000);
        let mut refused = Refused::new(ReasonId(0), Whom::Everybody, at(0));
        assert_eq!((0..100).filter(|_| refused.may_answer(at(1))).count(), 4);
        assert_eq!((0..100).filter(|n| refused.may_answer(at(1 + n * 100))).count(), 33);
        assert_eq!((0..100).filter(|_| refused.may_answer(at(1_000_000))).count(), 4);
    }
}
