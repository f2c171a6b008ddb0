//! Taking in what is forwarded.

use super::arrival::{Findings, Marks, Straight};
use super::connection::Connection;
use super::half::{Bits, ENDLESS, Half};
use super::pool::{BLOCK, Claim, Pool};
use super::store::{Store, length};

impl Connection {
    /// The straight way. `false` where the connection has changed since, or where others have left little memory; then
    /// nothing has changed.
    #[inline(always)]
    pub(super) fn take_straight(
        &mut self,
        pool: &mut Pool,
        straight: &Straight,
        payload: &[u8],
    ) -> bool {
        if straight.moment != self.moment || straight.len != payload.len() {
            return false;
        }
        if payload.is_empty() {
            self.take_acknowledgment(pool, straight);
            return true;
        }
        self.take_data(pool, straight, payload)
    }

    /// A segment without data. Most that acknowledge anything new are of this kind.
    #[inline(always)]
    fn take_acknowledgment(&mut self, pool: &mut Pool, straight: &Straight) {
        let (mine, other, moment) = self.parts_mut(straight.side);
        mine.note_stamp(straight);
        other.note_edge(straight);
        *moment = moment.wrapping_add(1);
        if straight.ack > other.acked {
            other.acked = straight.ack;
            if !other.store.forget_quickly(pool, straight.ack) {
                other.forget_more(pool);
            }
        }
    }

    /// A segment with data, which starts where the store ends. The bytes come last: a call to copy them leaves little in
    /// registers.
    #[inline(always)]
    fn take_data(&mut self, pool: &mut Pool, straight: &Straight, payload: &[u8]) -> bool {
        let (mine, other, moment) = self.parts_mut(straight.side);
        let mut end = mine.store.end_in_tail(payload);
        if end > BLOCK {
            // None of the ways below fails then.
            if !pool.has_plenty() {
                return false;
            }
            if !mine.store.begin(pool, payload) {
                mine.note_stamp(straight);
                other.note_edge(straight);
                *moment = moment.wrapping_add(1);
                other.note_acknowledgment(pool, straight);
                return mine.append(pool, payload);
            }
            end = payload.len();
        }
        mine.note_stamp(straight);
        other.note_edge(straight);
        *moment = moment.wrapping_add(1);
        other.note_acknowledgment(pool, straight);
        mine.next = mine.next.wrapping_add(length(payload));
        mine.store.append_in_tail(pool, payload, end)
    }

    /// Any way; the findings by value, as for [`chunks`](Self::chunks).
    #[cold]
    #[inline(never)]
    pub(super) fn take_any(&mut self, pool: &mut Pool, found: Findings, payload: &[u8]) -> bool {
        self.take_in(pool, &found, payload)
    }

    fn take_in(&mut self, pool: &mut Pool, found: &Findings, payload: &[u8]) -> bool {
        const RARE: u16 = Marks::STARTS.0
            | Marks::SYN.0
            | Marks::MOVES.0
            | Marks::OFFERS.0
            | Marks::RESETS.0
            | Marks::REOPENS.0
            | Marks::FIN.0;

        if found.moment != self.moment {
            return false;
        }
        let marks = found.marks;
        if marks.contains(Marks::REOPENS) {
            let blocks = Store::most_blocks(payload.len(), found.end as u64);
            if !pool.has_room(blocks, Claim::Unanswered) {
                return false;
            }
            self.reopen(pool, found);
        }
        let (mine, other) = self.halves_mut(found.side);
        if marks.contains(Marks::STORES) && !mine.take_bytes(pool, found, payload) {
            return false;
        }
        if marks.contains(Marks::STAMPS) && found.start <= mine.acked {
            mine.take_stamp(found);
        }
        if marks.contains(Marks::ACKS) {
            other.acknowledge(pool, found.ack);
            other.widen(found.edge);
        }
        let is_rare = marks.0 & RARE != 0;
        if is_rare {
            mine.take_control(found);
            other.hear_control(found);
        }
        if is_rare || !self.is_steady() {
            self.settle();
        }
        self.moment = self.moment.wrapping_add(1);
        true
    }

    /// Starts again from a SYN that was no part of the connection.
    #[cold]
    fn reopen(&mut self, pool: &mut Pool, found: &Findings) {
        let (mine, other) = self.halves_mut(found.side);
        mine.store.clear(pool);
        other.store.clear(pool);
        *mine = Half::new();
        let (first, scale, bits) =
            (other.offered.wrapping_add(1), other.offered_scale, other.offered_bits);
        let bits = Bits::KNOWN.with(Bits::SYN).with(Bits::CONFIRMED).with(bits);
        *other = Half { first, scale, bits, ..Half::new() };
        other.edge = other.edge.max(found.edge);
        self.is_midstream = false;
    }
}

impl Half {
    /// Takes in the time stamp of a segment that is next in order.
    #[inline(always)]
    fn note_stamp(&mut self, straight: &Straight) {
        // Nobody looks at them where they are not agreed upon.
        if self.next == self.acked {
            (self.recent, self.recent_at) = (straight.stamp, straight.time);
        }
    }

    /// Takes in the window that the other side offers.
    #[inline(always)]
    fn note_edge(&mut self, straight: &Straight) {
        if straight.edge > self.edge {
            self.edge = straight.edge;
        }
    }

    /// Takes in what a segment with data acknowledges: seldom anything new, so that is apart.
    #[inline(always)]
    fn note_acknowledgment(&mut self, pool: &mut Pool, straight: &Straight) {
        if straight.ack > self.acked {
            self.take_acknowledgment(pool, straight.ack);
        }
    }

    #[inline(never)]
    fn take_acknowledgment(&mut self, pool: &mut Pool, offset: i64) {
        self.acked = offset;
        self.store.forget(pool, offset);
    }

    #[cold]
    #[inline(never)]
    fn forget_more(&mut self, pool: &mut Pool) {
        self.store.forget(pool, self.acked);
    }

    /// Remembers bytes in order that do not fit in the block of those before them.
    #[inline(always)]
    fn append(&mut self, pool: &mut Pool, payload: &[u8]) -> bool {
        let start = self.next;
        self.next = start.wrapping_add(length(payload));
        self.store.append_across(pool, payload)
            || self.store.append(pool, self.acked, start, payload)
    }

    #[cold]
    fn take_bytes(&mut self, pool: &mut Pool, found: &Findings, payload: &[u8]) -> bool {
        if self.is(Bits::IGNORED) {
            self.next = self.next.max(found.end);
            return true;
        }
        let start = found.start.max(self.next.min(found.end));
        let skipped = usize::try_from(start.saturating_sub(found.start)).unwrap_or(usize::MAX);
        let len = usize::try_from(found.end.saturating_sub(found.start)).unwrap_or(0);
        let out_of_order = start > self.next;
        let ahead = found.end.saturating_sub(self.acked) as u64;
        let Some(bytes) = payload.get(skipped..).filter(|_| payload.len() == len) else {
            return false;
        };
        // Others may have taken it since.
        if !pool.has_room(Store::most_blocks(len, ahead), self.claim(out_of_order)) {
            return false;
        }
        let (floor, next) = (self.acked, self.next);
        let is_at_tail = !out_of_order && self.store.high() <= next;
        let done = if is_at_tail {
            self.store.append(pool, floor, start, bytes)
        } else {
            self.store.fill(pool, floor, next, start, bytes)
        };
        self.next = self.next.max(found.fresh.1);
        done
    }

    #[inline(always)]
    fn take_stamp(&mut self, found: &Findings) {
        let is_newer = found.stamp.wrapping_sub(self.recent) < 1 << 31;
        if is_newer || !self.is(Bits::RECENT) {
            (self.recent, self.recent_at) = (found.stamp, found.time);
            self.bits = self.bits.with(Bits::RECENT);
        }
    }

    #[inline(always)]
    fn widen(&mut self, edge: i64) {
        // What comes after ENDLESS is the least there is.
        if edge >= self.edge.wrapping_add(1) {
            self.edge = edge;
        }
    }

    #[cold]
    fn take_control(&mut self, found: &Findings) {
        let marks = found.marks;
        if marks.contains(Marks::STARTS) {
            self.bits = self.bits.with(Bits::KNOWN);
            self.first = found.sequence_number;
            if marks.contains(Marks::SYN) {
                self.first = self.first.wrapping_add(1);
                self.bits = self.bits.with(Bits::SYN).with(Bits::STAMPS);
            } else {
                self.edge = ENDLESS;
            }
        }
        if marks.contains(Marks::SYN) {
            self.take_syn(found);
        }
        if marks.contains(Marks::OFFERS) {
            self.offered = found.sequence_number;
            self.offered_scale = if found.scale == u8::MAX { 0 } else { found.scale };
            self.offered_bits = Bits::SCALES
                .if_so(found.scale != u8::MAX)
                .with(Bits::STAMPS.if_so(marks.contains(Marks::HAS_STAMP)));
            self.bits = self.bits.with(Bits::OFFERS);
        }
        if marks.contains(Marks::FIN) {
            self.fin = found.end;
        }
        if marks.contains(Marks::RESETS) {
            self.bits = self.bits.with(Bits::RESET);
        }
    }

    /// What a SYN asks for. One that comes again may ask for less, and nobody here knows which of them the other end
    /// got: windows are taken for the wider, and time stamps are relied upon only if they are in all.
    fn take_syn(&mut self, found: &Findings) {
        if found.scale != u8::MAX {
            self.bits = self.bits.with(Bits::SCALES);
            self.scale = self.scale.max(found.scale);
        }
        if found.marks.contains(Marks::HAS_STAMP) {
            self.take_stamp(found);
        } else {
            self.bits = self.bits.without(Bits::STAMPS);
        }
    }

    /// What a SYN or the choice between two tells about the other side.
    #[cold]
    fn hear_control(&mut self, found: &Findings) {
        let marks = found.marks;
        if marks.contains(Marks::MOVES) {
            self.first = found.acknowledgment_number;
            self.bits = self.bits.with(Bits::KNOWN).with(Bits::CONFIRMED);
            if self.is(Bits::SYN) {
                let offered = Bits::SCALES.with(Bits::STAMPS);
                self.bits = self.bits.without(offered).without(Bits::RECENT);
                self.bits = self.bits.with(self.offered_bits);
                self.scale = self.offered_scale;
            }
        }
        if marks.contains(Marks::SYN) || marks.contains(Marks::MOVES) {
            self.widen(found.edge);
        }
    }
}
