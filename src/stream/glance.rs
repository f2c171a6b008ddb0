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
    #[inline(always)]
    pub(super) fn glance(
        &self,
        pool: &Pool,
        side: Side,
        segment: &TcpSegment<'_>,
        now: Timestamp,
    ) -> Option<Accepted> {
        const TOLD: u16 = 0x37;
        // More than any segment takes, blocks of references for the widest window among them.
        const PLENTY: u64 = 2_048;
        const WIDEST: u64 = 1 << 30;

        let (mine, other) = match side {
            Side::Client => (self.half(Side::Client), self.half(Side::Server)),
            Side::Server => (self.half(Side::Server), self.half(Side::Client)),
        };
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
        let (stamp, payload) = options::usual_with_payload(segment)?;
        let is_new = stamp.is_some_and(|stamp| stamp.wrapping_sub(mine.recent) < 1 << 31)
            && mine.is(Bits::RECENT);
        if ack > other.next || (self.is_stamped && !is_new) {
            return None;
        }
        let end = next.wrapping_add(length(payload));
        if end != next {
            let ahead = end.wrapping_sub(mine.acked) as u64;
            let has_room = ahead < WIDEST && pool.has_room(PLENTY, Claim::InOrder);
            if !has_room && !pool.has_room(Store::most_blocks(payload.len(), ahead), Claim::InOrder)
            {
                return None;
            }
        }
        let marks = Marks::ACKS
            .with(Marks::STORES.if_so(end != next))
            .with(Marks::STAMPS.if_so(stamp.is_some() && next == mine.acked));
        let window = i64::from(segment.window()).wrapping_shl(mine.shift.into());
        Some(Accepted {
            side,
            is_straight: true,
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
        for side in Side::ALL {
            let shift = self.half(side).shift(self.half(side.other()));
            self.halves_mut(side).0.shift = u8::try_from(shift).unwrap_or(0);
        }
        let agreed = self.half(Side::Client).bits.and(self.half(Side::Server).bits);
        self.is_stamped = agreed.contains(Bits::STAMPS);
    }
}
