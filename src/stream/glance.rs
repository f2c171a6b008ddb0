//! The straight way for a segment that is next in order: header prediction, as Van Jacobson has it.

use super::arrival::{Findings, Marks, Straight, Ticks};
use super::connection::Connection;
use super::half::Bits;
use super::options::STAMPS;
use super::pool::Pool;
use crate::packet::{TcpFlags, TcpSegment};
use crate::{Side, Timestamp};

/// Data offset and those flags that are of consequence, as they stand in the header, of most segments of a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Usual(u32);

impl Usual {
    /// No segment's.
    pub(super) const UNKNOWN: Self = Self(0);
    const STAMPED: Self = Self((8 << 12 | TcpFlags::ACK.0).to_be() as u32);
    const BARE: Self = Self((5 << 12 | TcpFlags::ACK.0).to_be() as u32);

    #[inline(always)]
    const fn of(segment: &TcpSegment<'_>) -> Self {
        const TOLD: u32 = 0xf037_u16.to_be() as u32;

        Self(segment.offset_and_flags() as u32 & TOLD)
    }
}

impl Connection {
    /// Whether both sides are in the middle of what they say.
    #[inline]
    pub(super) fn is_steady(&self) -> bool {
        self.usual != Usual::UNKNOWN
    }

    /// Whether they have agreed upon time stamps, and are in the middle of what they say.
    #[inline]
    pub(super) fn is_stamped(&self) -> bool {
        self.usual == Usual::STAMPED
    }

    /// What [`look_at`](Self::look_at) says of a segment that starts at the next byte in order while nothing waits for
    /// it, and that acknowledges what may be acknowledged next: most segments. `None` for any other, and for data where memory
    /// is short.
    #[inline(always)]
    pub(super) fn glance(
        &self,
        pool: &Pool,
        side: Side,
        segment: &TcpSegment<'_>,
        now: Timestamp,
    ) -> Option<Straight> {
        let (mine, other) = match side {
            Side::Client => (self.half(Side::Client), self.half(Side::Server)),
            Side::Server => (self.half(Side::Server), self.half(Side::Client)),
        };
        let stamp = self.usual_stamp(segment, mine.recent)?;
        let len = segment.bytes().len().checked_sub(segment.header_len())?;
        let start = mine.next;
        let is_next = mine.low_offset_of(segment.sequence_number()) == low(start)
            && mine.store.high() == start
            && start <= mine.edge;
        if !is_next {
            return None;
        }
        let acked = other.acked;
        let more = other.low_offset_of(segment.acknowledgment_number()).wrapping_sub(low(acked));
        let ack = acked.wrapping_add(i64::from(more));
        if ack > other.next {
            return None;
        }
        let edge = ack.wrapping_add(i64::from(segment.window()).wrapping_shl(mine.shift.into()));
        let (moment, time) = (self.moment, Ticks::at(now));
        // Whether there is enough where there is not plenty is for the other way to find out.
        if len > 0 && !pool.has_plenty() {
            return None;
        }
        Some(Straight { side, moment, stamp, time, start, len, ack, edge })
    }

    /// The time stamp of a segment that looks like most of this connection, if it is not older than the recent one, or 0 where
    /// they have none.
    #[inline(always)]
    fn usual_stamp(&self, segment: &TcpSegment<'_>, recent: u32) -> Option<u32> {
        let found = Usual::of(segment);
        if found != self.usual {
            return if self.has_idle_stamps(found) { stamp(segment) } else { None };
        }
        if found == Usual::BARE {
            return Some(0);
        }
        stamp(segment).filter(|stamp| stamp.wrapping_sub(recent) < 1 << 31)
    }

    /// Whether a segment has time stamps where nobody knows whether they are agreed upon.
    #[cold]
    #[inline(never)]
    fn has_idle_stamps(&self, found: Usual) -> bool {
        found == Usual::STAMPED && self.usual == Usual::BARE
    }

    /// The same of a segment as [`look_at`](Self::look_at) says it.
    #[cold]
    pub(super) fn in_full(&self, straight: &Straight) -> Findings {
        let Straight { side, moment, stamp, time, start, ack, edge, .. } = *straight;
        let end = straight.end();
        let marks = Marks::ACKS
            .with(Marks::STORES.if_so(end != start))
            .with(Marks::STAMPS.if_so(self.is_stamped()));
        Findings {
            side,
            scale: 0,
            marks,
            urgent_pointer: 0,
            moment,
            sequence_number: self.half(side).number_of(start),
            acknowledgment_number: self.half(side.other()).number_of(ack),
            stamp,
            time,
            start,
            end,
            fresh: (start, end),
            ack,
            edge,
        }
    }

    /// Finds out whether there may be a straight way.
    #[cold]
    pub(super) fn settle(&mut self) {
        let agreed = self.half(Side::Client).bits.and(self.half(Side::Server).bits);
        let is_stamped = agreed.contains(Bits::STAMPS);
        let is_steady = Side::ALL.into_iter().all(|side| self.half(side).is_steady())
            && (agreed.contains(Bits::RECENT) || !is_stamped);
        self.usual = match (is_steady, is_stamped) {
            (false, _) => Usual::UNKNOWN,
            (true, true) => Usual::STAMPED,
            (true, false) => Usual::BARE,
        };
        for side in Side::ALL {
            let shift = self.half(side).shift(self.half(side.other()));
            self.halves_mut(side).0.shift = u8::try_from(shift).unwrap_or(0);
        }
    }
}

/// The time stamp of a segment whose options are 12 bytes, if these are one, padded as usual.
#[inline(always)]
fn stamp(segment: &TcpSegment<'_>) -> Option<u32> {
    let header: &[u8; 32] = segment.bytes().first_chunk()?;
    let [.., first, second, kind, length, a, b, c, d, _, _, _, _] = *header;
    ([first, second, kind, length] == STAMPS).then_some(u32::from_be_bytes([a, b, c, d]))
}

/// The lower half of an offset.
#[inline(always)]
#[expect(clippy::cast_possible_truncation, reason = "it is what sequence numbers tell")]
const fn low(offset: i64) -> u32 {
    offset as u32
}
