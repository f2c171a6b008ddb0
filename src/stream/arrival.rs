use core::ops::Range;

use crate::{Side, Timestamp};

/// What a segment is to the connection that it belongs to. See [`Connection::consider`](super::Connection::consider).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Arrival {
    /// It is part of the conversation: judge its [chunks](super::Connection::chunks), then forward it, with its
    /// [edits](super::Connection::edits) if there are any, and [commit](super::Connection::commit) it.
    Accept(Accepted),
    /// A receiver may discard it, or will: do not forward it, and believe nothing of it.
    Discard(Discard),
    /// Its bytes could not be remembered.
    NoRoom(NoRoom),
    /// It acknowledges bytes that never came past. There is no forwarding it before they were
    /// [skipped](super::Connection::skip).
    Gap(Gap),
}

/// Why a segment is not accepted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Refused {
    Discard(Discard),
    NoRoom(NoRoom),
    Gap(Gap),
}

impl From<Refused> for Arrival {
    #[inline(always)]
    fn from(refused: Refused) -> Self {
        match refused {
            Refused::Discard(why) => Self::Discard(why),
            Refused::NoRoom(what) => Self::NoRoom(what),
            Refused::Gap(gap) => Self::Gap(gap),
        }
    }
}

/// A segment that is part of the conversation, and what it brings.
///
/// It holds for the connection and the pool as they were when it was considered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Accepted(pub(super) Way);

/// How it is taken in. What most segments need is little, and apart. So is the tag: were it hidden among the findings, the
/// compiler could not tell that [`look_at`](super::Connection::look_at) never comes upon the straight way, and would have
/// both share their numbers' places.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(super) enum Way {
    Straight(Straight),
    Any(Findings),
}

/// What there is to say of a segment that is next in order while nothing waits for it:
/// [`Connection::glance`](super::Connection::glance) finds that.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Straight {
    pub(super) side: Side,
    /// The connection's, when it was considered.
    pub(super) moment: u32,
    /// The time stamp, and when it came.
    pub(super) stamp: u32,
    pub(super) time: Ticks,
    /// Where its payload stands, and how long it is.
    pub(super) start: i64,
    pub(super) len: usize,
    /// What of the other side's bytes it acknowledges, and where the window ends that it offers.
    pub(super) ack: i64,
    pub(super) edge: i64,
}

impl Straight {
    #[inline]
    pub(super) const fn end(&self) -> i64 {
        self.start.wrapping_add(self.len as i64)
    }
}

/// All that there may be to say of a segment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Findings {
    pub(super) side: Side,
    /// The shift of the windows that a SYN asks for.
    pub(super) scale: u8,
    pub(super) marks: Marks,
    /// Zero unless it is urgent.
    pub(super) urgent_pointer: u16,
    /// The connection's, when it was considered.
    pub(super) moment: u32,
    pub(super) sequence_number: u32,
    pub(super) acknowledgment_number: u32,
    /// The time stamp, and when it came.
    pub(super) stamp: u32,
    pub(super) time: Ticks,
    /// Where the first byte of the payload stands, and the one after the last; below zero for what came before the
    /// stream.
    pub(super) start: i64,
    pub(super) end: i64,
    /// The bytes that become contiguous.
    pub(super) fresh: (i64, i64),
    /// What of the other side's bytes it acknowledges, and where the window ends that it offers.
    pub(super) ack: i64,
    pub(super) edge: i64,
}

/// What is true of a segment beyond numbers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Marks(pub(super) u16);

impl Marks {
    pub(super) const EDITED: Self = Self(1);
    pub(super) const OUT_OF_ORDER: Self = Self(1 << 1);
    pub(super) const UNKNOWN: Self = Self(1 << 2);
    pub(super) const ENDS: Self = Self(1 << 3);
    pub(super) const RESETS: Self = Self(1 << 4);
    pub(super) const URGENT: Self = Self(1 << 5);
    pub(super) const REOPENS: Self = Self(1 << 6);
    /// It has bytes that are to be remembered.
    pub(super) const STORES: Self = Self(1 << 7);
    /// What it acknowledges and offers is believed.
    pub(super) const ACKS: Self = Self(1 << 8);
    /// It has a FIN.
    pub(super) const FIN: Self = Self(1 << 9);
    /// Its time stamp is the recent one, if it starts where the receiver waits for it or before.
    pub(super) const STAMPS: Self = Self(1 << 10);
    /// It tells where its side's stream starts: a SYN, or the first segment seen.
    pub(super) const STARTS: Self = Self(1 << 11);
    /// It is a SYN.
    pub(super) const SYN: Self = Self(1 << 12);
    /// It is a SYN with time stamps.
    pub(super) const HAS_STAMP: Self = Self(1 << 13);
    /// Its SYN is no part of the connection yet.
    pub(super) const OFFERS: Self = Self(1 << 14);
    /// What it acknowledges is where the other side's stream starts.
    pub(super) const MOVES: Self = Self(1 << 15);

    #[inline]
    pub(super) const fn contains(self, other: Self) -> bool {
        self.0 & other.0 == other.0
    }

    #[inline]
    pub(super) const fn with(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    #[inline]
    pub(super) const fn if_so(self, condition: bool) -> Self {
        if condition { self } else { Self(0) }
    }
}

impl Accepted {
    /// Who sent it.
    #[inline]
    pub const fn side(&self) -> Side {
        match &self.0 {
            Way::Straight(straight) => straight.side,
            Way::Any(found) => found.side,
        }
    }

    /// The offsets in the sender's stream that become contiguous by it: its own new bytes, and those behind them that
    /// had come before. Empty where it brings nothing new in order.
    #[inline]
    pub const fn fresh(&self) -> Range<u64> {
        match &self.0 {
            Way::Straight(straight) => straight.start as u64..straight.end() as u64,
            Way::Any(found) => found.fresh.0 as u64..found.fresh.1 as u64,
        }
    }

    /// Whether it has other bytes than those that were forwarded before for the same place. It must not be forwarded
    /// before they [are written over](super::Connection::edits).
    #[inline]
    pub const fn is_edited(&self) -> bool {
        self.is(Marks::EDITED)
    }

    /// Whether its bytes wait for others before them.
    pub const fn is_out_of_order(&self) -> bool {
        self.is(Marks::OUT_OF_ORDER)
    }

    /// Whether some of its bytes were compared with nothing: they are below what was acknowledged, or, of a connection
    /// that was not seen from its start, before what was seen.
    pub const fn has_unknown(&self) -> bool {
        self.is(Marks::UNKNOWN)
    }

    /// Whether the sender's stream ends with it: its FIN, or one that had come before, is next in order. The stream's
    /// length is the end of [`fresh`](Self::fresh).
    #[inline]
    pub const fn ends(&self) -> bool {
        self.is(Marks::ENDS)
    }

    /// Whether it is a valid RST: one at exactly the next byte in order (RFC 5961 §3.2). Others pass within the window,
    /// for the receiver to challenge them, and end nothing here.
    #[inline]
    pub const fn resets(&self) -> bool {
        self.is(Marks::RESETS)
    }

    /// The offset in the sender's stream of the byte that the urgent pointer tells (RFC 6093 §3: the one before the
    /// place that it points to).
    ///
    /// The byte is handed on in line. A receiver may take it out of the stream: the default of BSD sockets, and which
    /// byte it takes depends on the system. Who cannot have that drops the segment.
    pub fn urgent(&self) -> Option<u64> {
        let Way::Any(found) = &self.0 else { return None };
        let pointed = found.start.saturating_add(i64::from(found.urgent_pointer));
        let offset = u64::try_from(pointed.saturating_sub(1)).ok()?;
        found.marks.contains(Marks::URGENT).then_some(offset)
    }

    /// Whether it accepts a new connection between the same ends, in place of the one that was followed: the SYN-ACK
    /// to a SYN that came in its middle. With the commit both streams start again at offset 0; until then
    /// [`fresh`](Self::fresh) already tells offsets in the new one.
    #[inline]
    pub const fn reopens(&self) -> bool {
        self.is(Marks::REOPENS)
    }

    #[inline]
    const fn is(&self, marks: Marks) -> bool {
        matches!(&self.0, Way::Any(found) if found.marks.contains(marks))
    }
}

/// A time, as it is noted beside time stamps: in units of about a second (which saves a division), of which only
/// differences are looked at.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Ticks(u32);

impl Ticks {
    pub(super) const ZERO: Self = Self(0);
    /// The binary logarithm of nanoseconds in one.
    const SHIFT: u32 = 30;

    #[inline]
    #[expect(clippy::cast_possible_truncation, reason = "they wrap")]
    pub(super) const fn at(time: Timestamp) -> Self {
        Self((time.as_nanos() >> Self::SHIFT) as u32)
    }

    #[inline]
    pub(super) const fn since(self, earlier: Self) -> u32 {
        self.0.wrapping_sub(earlier.0)
    }
}

/// Why a segment is not forwarded.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Discard {
    /// Its options cannot be read.
    Options,
    /// Control bits that no segment has, such as SYN with FIN, or none of SYN, ACK and RST.
    Flags,
    /// It starts beyond the receiver's window, or so far below it that it is from another time.
    OutOfWindow,
    /// It acknowledges what was never sent, or what was acknowledged very long ago (RFC 5961 §5).
    Acknowledgment,
    /// Its time stamp is older than one that the receiver has (RFC 7323 §5.3).
    OldTimestamp,
    /// It has no time stamp, while both ends agreed upon them (RFC 7323 §3.2).
    NoTimestamp,
    /// A SYN with data in the middle of a connection, or one that would leave open where the stream starts: another SYN
    /// behind one with data, or data while two SYNs wait for an answer.
    Syn,
    /// A RST out of the window.
    Reset,
    /// Bytes behind the sender's FIN, or a FIN at another place than before.
    AfterFin,
    /// It is from an end that has reset the connection.
    Closed,
    /// It is from an end whose SYN was not seen.
    NotOpen,
}

impl Discard {
    /// What it is called in logs.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Options => "tcp-options",
            Self::Flags => "tcp-flags",
            Self::OutOfWindow => "out-of-window",
            Self::Acknowledgment => "acknowledgment",
            Self::OldTimestamp => "old-timestamp",
            Self::NoTimestamp => "no-timestamp",
            Self::Syn => "syn",
            Self::Reset => "reset",
            Self::AfterFin => "after-fin",
            Self::Closed => "closed",
            Self::NotOpen => "not-open",
        }
    }
}

/// What there was no room for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum NoRoom {
    /// Bytes out of order, or of an end that nobody has answered yet, such as those of a SYN: too far ahead, or no memory for
    /// them. They must not be forwarded; they will come again.
    OutOfOrder,
    /// Bytes in order: no memory to remember them until they are acknowledged. If they are forwarded all the same,
    /// nothing can be promised of this connection any more.
    InOrder,
}

/// Bytes that the receiver has, and that never came past.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Gap {
    /// Who sent them.
    pub side: Side,
    /// The offset of the first of them in their sender's stream: where it ends here.
    pub offset: u64,
    /// How many they are, those included that came past out of order and are contiguous now.
    pub len: u64,
    /// Up to where the receiver has them.
    pub(super) acked: i64,
}
