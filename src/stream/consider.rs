//! What a segment is to a connection.

use super::arrival::{Discard, Findings, Gap, Marks, NoRoom, Refused, Ticks};
use super::connection::Connection;
use super::half::{Bits, ENDLESS, Half};
use super::options::{self, Options};
use super::pool::{Claim, Pool};
use super::store::{Store, length};
use crate::packet::{TcpFlags, TcpSegment};
use crate::{Side, Timestamp};

/// Sequence numbers further from the next one than this are from another time; no window is as wide (RFC 7323 §2.3).
const FAR: i64 = 1 << 30;

/// A receiver believes in any time stamp once it has not heard of one for so long (RFC 7323 §5.5).
const STAMP_LIFETIME: u32 =
    Ticks::at(Timestamp::from_nanos(24 * 24 * 60 * 60 * 1_000_000_000)).since(Ticks::ZERO);

/// A segment on its way to being accepted.
pub(super) struct Consideration<'a> {
    pub(super) connection: &'a Connection,
    pub(super) pool: &'a Pool,
    pub(super) mine: &'a Half,
    pub(super) other: &'a Half,
    pub(super) segment: &'a TcpSegment<'a>,
    pub(super) options: Options,
    pub(super) found: Findings,
}

impl Connection {
    #[cold]
    #[inline(never)]
    pub(super) fn look_at(
        &self,
        pool: &Pool,
        side: Side,
        segment: &TcpSegment<'_>,
        now: Timestamp,
    ) -> Result<Findings, Refused> {
        let (mine, other) = (self.half(side), self.half(side.other()));
        let options = options::read(segment).ok_or(Refused::Discard(Discard::Options))?;
        let found = Findings {
            side,
            scale: 0,
            marks: Marks(0),
            urgent_pointer: 0,
            moment: self.moment,
            sequence_number: segment.sequence_number(),
            acknowledgment_number: segment.acknowledgment_number(),
            stamp: options.stamp.unwrap_or(0),
            time: Ticks::at(now),
            start: 0,
            end: 0,
            fresh: (mine.next, mine.next),
            ack: 0,
            edge: 0,
        };
        let considered =
            Consideration { connection: self, pool, mine, other, segment, options, found };
        considered.run()
    }
}

impl Consideration<'_> {
    #[inline]
    fn run(mut self) -> Result<Findings, Refused> {
        const CONTROL: TcpFlags = TcpFlags(TcpFlags::SYN.0 | TcpFlags::RST.0);

        let flags = self.segment.flags();
        if flags.intersects(CONTROL) || !flags.contains(TcpFlags::ACK) {
            return self.control(flags);
        }
        if self.mine.is(Bits::RESET) {
            return Err(Refused::Discard(Discard::Closed));
        }
        if !(self.mine.is(Bits::KNOWN) && self.other.is(Bits::KNOWN)) {
            return self.early(flags);
        }
        self.found.start = self.mine.offset_of(self.found.sequence_number);
        self.follow(flags)?;
        Ok(self.found)
    }

    /// A segment with SYN or RST, or without ACK.
    #[cold]
    fn control(mut self, flags: TcpFlags) -> Result<Findings, Refused> {
        const SYN_OR_FIN: TcpFlags = TcpFlags(TcpFlags::SYN.0 | TcpFlags::FIN.0);

        if flags.contains(TcpFlags::RST) {
            if flags.intersects(SYN_OR_FIN) {
                return Err(Refused::Discard(Discard::Flags));
            }
            self.reset(flags)?;
        } else if flags.contains(TcpFlags::SYN) && !flags.contains(TcpFlags::FIN) {
            self.syn(flags)?;
        } else {
            return Err(Refused::Discard(Discard::Flags));
        }
        Ok(self.found)
    }

    /// A segment of a connection of which one side is unknown.
    #[cold]
    fn early(mut self, flags: TcpFlags) -> Result<Findings, Refused> {
        if !self.connection.is_midstream {
            // An answer to a SYN out of an earlier connection, which the other end will reset: nothing here believes
            // it.
            if self.segment.payload().is_empty() && !flags.contains(TcpFlags::FIN) {
                return Ok(self.found);
            }
            return Err(Refused::Discard(Discard::NotOpen));
        }
        if self.mine.is(Bits::KNOWN) {
            self.found.start = self.mine.offset_of(self.found.sequence_number);
        } else {
            self.mark(Marks::STARTS);
        }
        self.follow(flags)?;
        Ok(self.found)
    }

    /// An ordinary segment, and the data of a SYN.
    #[inline]
    pub(super) fn follow(&mut self, flags: TcpFlags) -> Result<(), Refused> {
        let payload = self.segment.payload();
        let start = self.found.start;
        let end = start.saturating_add(length(payload));
        self.found.end = end;
        let has_fin = flags.contains(TcpFlags::FIN);
        let takes_room = !payload.is_empty() || has_fin;
        // The byte of a window probe starts where the window ends, and a FIN may come before what it follows is
        // acknowledged.
        let edge = if takes_room {
            self.mine.edge
        } else {
            self.mine.edge.max(self.mine.high()).saturating_add(1)
        };
        if start > edge || self.mine.next.saturating_sub(start) > FAR {
            return Err(Refused::Discard(Discard::OutOfWindow));
        }
        if !flags.contains(TcpFlags::SYN) {
            self.check_stamp()?;
        }
        if takes_room {
            if self.mine.must_wait() {
                return Err(Refused::Discard(Discard::Syn));
            }
            self.check_fin(end, has_fin)?;
        }
        if flags.contains(TcpFlags::ACK) {
            self.check_ack()?;
        }
        if flags.contains(TcpFlags::URG) {
            self.mark(Marks::URGENT);
            self.found.urgent_pointer = self.segment.urgent_pointer();
        }
        let end_with_fin = if has_fin { end.saturating_add(1) } else { end };
        if end_with_fin < self.mine.acked {
            // The receiver answers this and looks no further.
            self.found.marks = Marks(self.found.marks.0 & !Marks::ACKS.0 & !Marks::MOVES.0);
        } else {
            // While they are not agreed upon, nobody looks at them, and they may be only while the connection opens.
            let is_of_use = self.connection.is_stamped() || !self.connection.is_steady();
            self.mark(Marks::STAMPS.if_so(self.options.stamp.is_some() && is_of_use));
        }
        if !payload.is_empty() {
            self.place(payload, end)?;
        }
        if has_fin || self.mine.fin != ENDLESS {
            self.find_end(end, has_fin);
        }
        Ok(())
    }

    #[inline]
    fn check_stamp(&self) -> Result<(), Refused> {
        if !(self.mine.is(Bits::STAMPS) && self.other.is(Bits::STAMPS)) {
            return Ok(());
        }
        let Some(stamp) = self.options.stamp else {
            return Err(Refused::Discard(Discard::NoTimestamp));
        };
        // Some receivers take one tick for nothing, so that is not old for sure.
        let behind = self.mine.recent.wrapping_sub(stamp);
        if (2..1 << 31).contains(&behind)
            && self.mine.is(Bits::RECENT)
            && self.found.time.since(self.mine.recent_at) < STAMP_LIFETIME
        {
            return Err(Refused::Discard(Discard::OldTimestamp));
        }
        Ok(())
    }

    /// There is one end, and nothing behind it.
    #[inline]
    fn check_fin(&self, end: i64, has_fin: bool) -> Result<(), Refused> {
        let fin = self.mine.fin;
        let is_behind = end > fin;
        let moves = has_fin && fin != ENDLESS && end != fin;
        let cuts = has_fin && end < self.mine.high();
        if is_behind || moves || cuts {
            return Err(Refused::Discard(Discard::AfterFin));
        }
        Ok(())
    }

    #[inline]
    fn check_ack(&mut self) -> Result<(), Refused> {
        let number = self.found.acknowledgment_number;
        if !self.other.is(Bits::KNOWN) {
            // Midstream: the other side's own first segment tells where its stream starts.
            return Ok(());
        }
        let ack = self.other.offset_of(number);
        if ack > self.other.top() {
            return self.ack_ahead(ack);
        } else if ack < self.other.oldest_ack(self.mine) {
            return self.ack_elsewhere();
        } else {
            // Else it waits for one in order: memory is kept longer, and that is all.
            self.mark(Marks::ACKS.if_so(self.is_near()));
        }
        self.found.ack = ack;
        self.found.edge = ack.saturating_add(self.window());
        Ok(())
    }

    /// Whether its number is so near to the next one in order that nobody guesses it: what it acknowledges is believed then.
    /// The window that was offered may be wide, and that of a connection not seen from its start is not known.
    #[inline]
    fn is_near(&self) -> bool {
        let ahead = self.found.start.saturating_sub(self.mine.next);
        ahead <= i64::from(self.pool.limits().window)
    }

    /// It acknowledges what never came past.
    #[cold]
    fn ack_ahead(&mut self, ack: i64) -> Result<(), Refused> {
        let other = self.other;
        if self.answers_offer() {
            return self.ack_elsewhere();
        }
        let is_plausible = self.connection.is_midstream && self.is_near();
        if !is_plausible || ack.saturating_sub(other.next) > FAR {
            return Err(Refused::Discard(Discard::Acknowledgment));
        }
        if other.is(Bits::IGNORED) {
            self.mark(Marks::ACKS);
            self.found.ack = ack;
            self.found.edge = ack.saturating_add(self.window());
            return Ok(());
        }
        if !other.is(Bits::SYN) && other.high() == 0 {
            self.start_other();
            return Ok(());
        }
        let mut end = ack;
        while end < other.high() {
            let left = usize::try_from(other.high().saturating_sub(end)).unwrap_or(0);
            let piece = other.store.piece(self.pool, end, other.next, left);
            let Some(bytes) = piece.bytes else { break };
            end = end.saturating_add(length(bytes));
        }
        Err(Refused::Gap(Gap {
            side: self.found.side.other(),
            offset: other.next as u64,
            len: end.saturating_sub(other.next) as u64,
            acked: ack,
        }))
    }

    /// Whether it acknowledges a SYN that is no part of the connection.
    pub(super) const fn answers_offer(&self) -> bool {
        self.other.is(Bits::OFFERS)
            && self.found.acknowledgment_number == self.other.offered.wrapping_add(1)
    }

    /// It acknowledges nothing of this connection. The last ACK of a handshake may choose between two SYN-ACKs.
    #[cold]
    fn ack_elsewhere(&mut self) -> Result<(), Refused> {
        let chooses = self.answers_offer()
            && self.other.is(Bits::SYN)
            && !self.other.is(Bits::CONFIRMED)
            && self.other.high() == 0;
        if !chooses {
            return Err(Refused::Discard(Discard::Acknowledgment));
        }
        self.start_other();
        Ok(())
    }

    /// The other side's stream starts at what is acknowledged.
    fn start_other(&mut self) {
        self.mark(Marks::MOVES);
        self.found.edge = self.window();
    }

    /// The window that is offered to the other side. That of a SYN is not scaled (RFC 7323 §2.2).
    #[inline]
    fn window(&self) -> i64 {
        let window = i64::from(self.segment.window());
        if self.found.marks.contains(Marks::SYN) {
            window
        } else {
            window.wrapping_shl(self.mine.shift(self.other))
        }
    }

    /// Finds out which bytes are new, and compares the others.
    #[inline]
    fn place(&mut self, payload: &[u8], end: i64) -> Result<(), Refused> {
        let (mine, start) = (self.mine, self.found.start);
        if start < mine.acked {
            self.mark(Marks::UNKNOWN);
        }
        if mine.is(Bits::IGNORED) {
            self.mark(Marks::STORES.if_so(end > mine.next));
            return Ok(());
        }
        if start < mine.store.high() && end > mine.acked {
            self.compare(payload, end);
        }
        if end <= mine.next {
            return Ok(());
        }
        let out_of_order = start > mine.next;
        if out_of_order && end.saturating_sub(mine.next) > i64::from(self.pool.limits().window) {
            return Err(Refused::NoRoom(NoRoom::OutOfOrder));
        }
        let blocks = Store::most_blocks(payload.len(), end.saturating_sub(mine.acked) as u64);
        let claim = mine.claim(out_of_order);
        if !self.pool.has_room(blocks, claim) {
            let may_wait = claim != Claim::InOrder;
            let what = if may_wait { NoRoom::OutOfOrder } else { NoRoom::InOrder };
            return Err(Refused::NoRoom(what));
        }
        self.mark(Marks::STORES);
        if out_of_order {
            self.mark(Marks::OUT_OF_ORDER);
        } else {
            self.found.fresh = (mine.next, self.contiguous_end(end));
        }
        Ok(())
    }

    /// Where bytes end that are contiguous up to an offset.
    #[inline]
    fn contiguous_end(&self, from: i64) -> i64 {
        let mut end = from;
        let high = self.mine.store.high();
        while end < high {
            let left = usize::try_from(high.saturating_sub(end)).unwrap_or(0);
            let piece = self.mine.store.piece(self.pool, end, self.mine.next, left);
            let Some(bytes) = piece.bytes else { break };
            end = end.saturating_add(length(bytes));
        }
        end
    }

    #[cold]
    fn compare(&mut self, payload: &[u8], end: i64) {
        let (mine, start) = (self.mine, self.found.start);
        let mut at = start.max(mine.acked);
        let to = end.min(mine.store.high());
        while at < to {
            let skipped = usize::try_from(at.saturating_sub(start)).unwrap_or(0);
            let left = usize::try_from(to.saturating_sub(at)).unwrap_or(0);
            let piece = mine.store.piece(self.pool, at, mine.next, left);
            let found = payload.get(skipped..skipped.saturating_add(piece.len));
            if piece.bytes.is_some() && piece.bytes != found {
                return self.mark(Marks::EDITED);
            }
            at = at.saturating_add(piece.len as i64);
        }
    }

    #[cold]
    fn find_end(&mut self, end: i64, has_fin: bool) {
        let fin = if has_fin { end } else { self.mine.fin };
        self.mark(Marks::FIN.if_so(has_fin));
        let next = self.next_after();
        self.mark(Marks::ENDS.if_so(fin == next && self.mine.fin != self.mine.next));
    }

    /// Where the stream stands in order with this segment.
    fn next_after(&self) -> i64 {
        let (mine, found) = (self.mine, &self.found);
        if mine.is(Bits::IGNORED) { mine.next.max(found.end) } else { found.fresh.1 }
    }

    #[inline]
    pub(super) fn mark(&mut self, marks: Marks) {
        self.found.marks = self.found.marks.with(marks);
    }
}
