//! The straight way for a segment that is next in order.

use super::arrival::{Accepted, Marks};
use super::connection::Connection;
use super::consider::seconds;
use super::half::Bits;
use super::options;
use super::pool::{Claim, Pool};
use super::store::{Store, length};
use crate::packet::{TcpFlags, TcpSegment};
use crate::{Side, Timestamp};

impl Connection {
    /// What [`look_at`](Self::look_at) says of a segment that starts at the next byte in order while nothing waits for
    /// it, and that acknowledges what may be acknowledged next: most segments. `None` for any other.
    #[inline]
    pub(super) fn glance(
        &self,
        pool: &Pool,
        side: Side,
        segment: &TcpSegment<'_>,
        now: Timestamp,
    ) -> Option<Accepted> {
        const TOLD: u16 = 0x37;

        let (mine, other) = (self.half(side), self.half(side.other()));
        let sequence_number = segment.sequence_number();
        let next = mine.next;
        let is_straight = self.is_steady
            && segment.flags().0 & TOLD == TcpFlags::ACK.0
            && sequence_number == mine.number_of(next)
            && mine.store.high() <= next
            && next <= mine.edge;
        if !is_straight {
            return None;
        }
        let acknowledgment_number = segment.acknowledgment_number();
        let more = i64::from(acknowledgment_number.wrapping_sub(other.number_of(other.acked)));
        let ack = other.acked.wrapping_add(more);
        let stamp = options::usual(segment)?;
        let agreed = mine.bits.and(other.bits);
        let is_new = stamp.is_some_and(|stamp| stamp.wrapping_sub(mine.recent) < 1 << 31)
            && mine.is(Bits::RECENT);
        let is_old = agreed.contains(Bits::STAMPS) && !is_new;
        if ack > other.next || is_old {
            return None;
        }
        let payload = segment.payload();
        let end = next.wrapping_add(length(payload));
        let ahead = end.wrapping_sub(mine.acked) as u64;
        if !pool.has_room(Store::most_blocks(payload.len(), ahead), Claim::InOrder) {
            return None;
        }
        let marks = Marks::ACKS
            .with(Marks::STORES.if_so(end > next))
            .with(Marks::STAMPS.if_so(stamp.is_some() && next == mine.acked));
        let window = i64::from(segment.window()).wrapping_shl(mine.shift(other));
        Some(Accepted {
            side,
            scale: 0,
            marks,
            urgent_pointer: segment.urgent_pointer(),
            moment: self.moment,
            sequence_number,
            acknowledgment_number,
            stamp: stamp.unwrap_or(0),
            seconds: seconds(now),
            start: next,
            end,
            fresh: (next, end),
            ack,
            edge: ack.wrapping_add(window),
        })
    }

    /// Finds out whether there may be a straight way.
    #[cold]
    pub(super) fn settle(&mut self) {
        self.is_steady = Side::ALL.into_iter().all(|side| self.half(side).is_steady());
    }
}
