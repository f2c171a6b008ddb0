//! The straight way for a segment that is next in order.

use super::arrival::{Accepted, Marks};
use super::connection::Connection;
use super::consider::seconds;
use super::half::Bits;
use super::options::STAMPS;
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
        // The data offset, and the flags that are of consequence.
        const TOLD: u16 = 0xf037;
        const WITH_STAMP: u16 = 8 << 12 | TcpFlags::ACK.0;
        const WITHOUT_OPTIONS: u16 = 5 << 12 | TcpFlags::ACK.0;

        let (mine, other) = match side {
            Side::Client => (self.half(Side::Client), self.half(Side::Server)),
            Side::Server => (self.half(Side::Server), self.half(Side::Client)),
        };
        let sequence_number = segment.sequence_number();
        let next = mine.next;
        let is_straight = self.is_steady
            && sequence_number == mine.number_of(next)
            && mine.store.high() == next
            && next <= mine.edge;
        if !is_straight {
            return None;
        }
        let (stamp, payload) = match segment.offset_and_flags() & TOLD {
            WITH_STAMP => {
                let (header, payload) = segment.bytes().split_first_chunk::<32>()?;
                let [.., first, second, kind, length, a, b, c, d, _, _, _, _] = *header;
                let stamp = u32::from_be_bytes([a, b, c, d]);
                let is_old = self.is_stamped && stamp.wrapping_sub(mine.recent) >= 1 << 31;
                if [first, second, kind, length] != STAMPS || is_old {
                    return None;
                }
                (stamp, payload)
            }
            WITHOUT_OPTIONS if !self.is_stamped => {
                (0, segment.bytes().get(TcpSegment::MIN_HEADER_LEN..)?)
            }
            _ => return None,
        };
        let acknowledgment_number = segment.acknowledgment_number();
        let more = i64::from(acknowledgment_number.wrapping_sub(other.number_of(other.acked)));
        let ack = other.acked.wrapping_add(more);
        if ack > other.next {
            return None;
        }
        let end = next.wrapping_add(length(payload));
        if end != next && !pool.has_plenty() {
            let ahead = end.wrapping_sub(mine.acked) as u64;
            if !pool.has_room(Store::most_blocks(payload.len(), ahead), Claim::InOrder) {
                return None;
            }
        }
        let marks = Marks::ACKS
            .with(Marks::STORES.if_so(end != next))
            .with(Marks::STAMPS.if_so(self.is_stamped));
        let window = i64::from(segment.window()).wrapping_shl(mine.shift.into());
        Some(Accepted {
            side,
            is_straight: true,
            scale: 0,
            marks,
            urgent_pointer: 0,
            moment: self.moment,
            sequence_number,
            acknowledgment_number,
            stamp,
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
        let agreed = self.half(Side::Client).bits.and(self.half(Side::Server).bits);
        self.is_stamped = agreed.contains(Bits::STAMPS);
        self.is_steady = Side::ALL.into_iter().all(|side| self.half(side).is_steady())
            && (agreed.contains(Bits::RECENT) || !self.is_stamped);
        for side in Side::ALL {
            let shift = self.half(side).shift(self.half(side.other()));
            self.halves_mut(side).0.shift = u8::try_from(shift).unwrap_or(0);
        }
    }
}
