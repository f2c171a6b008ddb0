//! The straight way for a segment that is next in order: header prediction, as Van Jacobson has it.

use super::arrival::{Findings, Marks, Straight, Ticks};
use super::connection::Connection;
use super::half::Bits;
use super::options::STAMPS;
use super::pool::{Claim, Pool};
use super::store::Store;
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
    /// it, and that acknowledges what may be acknowledged next: most segments. `None` for any other.
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
        let (stamp, len) = self.usual_stamp(segment, mine.recent)?;
        let start = mine.next;
        let is_next = segment.sequence_number() == mine.number_of(start)
            && mine.store.high() == start
            && start <= mine.edge;
        if !is_next {
            return None;
        }
        let acked = other.acked;
        let more = segment.acknowledgment_number().wrapping_sub(other.number_of(acked));
        let ack = acked.wrapping_add(i64::from(more));
        if ack > other.next {
            return None;
        }
        if len > 0 && !pool.has_plenty() {
            let ahead = start.wrapping_add(len as i64).wrapping_sub(mine.acked) as u64;
            if !pool.has_room(Store::most_blocks(len, ahead), Claim::InOrder) {
                return None;
            }
        }
        let edge = ack.wrapping_add(i64::from(segment.window()).wrapping_shl(mine.shift.into()));
        let (moment, time) = (self.moment, Ticks::at(now));
        Some(Straight { side, moment, stamp, time, start, len, ack, edge })
    }

    /// The time stamp of a segment that looks like most of this connection, if it is not older than the recent one, or 0 where
    /// they have none; and the length of its data.
    #[inline(always)]
    fn usual_stamp(&self, segment: &TcpSegment<'_>, recent: u32) -> Option<(u32, usize)> {
        let found = Usual::of(segment);
        if found != self.usual {
            // There may be some where nobody knows whether they are agreed upon.
            let is_idle = found == Usual::STAMPED && self.usual == Usual::BARE;
            return if is_idle { stamp(segment) } else { None };
        }
        if found == Usual::BARE {
            let len = segment.bytes().len().checked_sub(TcpSegment::MIN_HEADER_LEN)?;
            return Some((0, len));
        }
        stamp(segment).filter(|(stamp, _)| stamp.wrapping_sub(recent) < 1 << 31)
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

/// The time stamp of a segment whose options are 12 bytes, if these are one, padded as usual; and the length of its data.
#[inline(always)]
fn stamp(segment: &TcpSegment<'_>) -> Option<(u32, usize)> {
    let (header, payload) = segment.bytes().split_first_chunk::<32>()?;
    let [.., first, second, kind, length, a, b, c, d, _, _, _, _] = *header;
    let stamp = u32::from_be_bytes([a, b, c, d]);
    ([first, second, kind, length] == STAMPS).then_some((stamp, payload.len()))
}
