//! SYN and RST: where a connection starts and where it breaks off.

use super::arrival::{Discard, Marks, NoRoom, Refused};
use super::consider::Consideration;
use super::half::Bits;
use super::pool::Claim;
use super::store::{Store, length};
use crate::packet::TcpFlags;

impl Consideration<'_> {
    /// A SYN, alone or with ACK.
    pub(super) fn syn(&mut self, flags: TcpFlags) -> Result<(), Refused> {
        let (mine, other) = (self.mine, self.other);
        let has_ack = flags.contains(TcpFlags::ACK);
        self.found.scale = self.options.scale.unwrap_or(u8::MAX);
        self.mark(Marks::HAS_STAMP.if_so(self.options.stamp.is_some()));
        let is_again = mine.is(Bits::SYN)
            && mine.first == self.found.sequence_number.wrapping_add(1)
            && !mine.is(Bits::RESET);
        let is_first = !mine.is(Bits::KNOWN) && (!other.is(Bits::KNOWN) || other.is(Bits::SYN));
        if has_ack && !is_again && self.answers_offer() && (!is_first || other.high() > 0) {
            return self.reopen();
        }
        if !(is_again || is_first) {
            return self.offer(has_ack);
        }
        if has_ack && !other.is(Bits::KNOWN) {
            if !self.connection.is_midstream {
                return Err(Refused::Discard(Discard::NotOpen));
            }
            // The SYN that it answers came before the first packet that was seen: it tells where that side's stream starts.
            self.mark(Marks::MOVES);
        }
        self.mark(Marks::SYN.with(Marks::STARTS.if_so(is_first)));
        self.found.edge = i64::from(self.segment.window());
        self.follow(flags)
    }

    /// A SYN in the middle of a connection, or one with another sequence number while the first one is not answered.
    ///
    /// It may be that its sender has forgotten the connection, or has given the first SYN up. Only the other end can
    /// know, so it passes, and the answer tells.
    fn offer(&mut self, has_ack: bool) -> Result<(), Refused> {
        let (mine, other) = (self.mine, self.other);
        if !self.segment.payload().is_empty() || mine.is_ambiguous_beside_offer() {
            return Err(Refused::Discard(Discard::Syn));
        }
        if has_ack {
            // A second answer to the same SYN has another number where SYN cookies have it from the time.
            let ack = other.offset_of(self.found.acknowledgment_number);
            let is_answer = other.is(Bits::SYN) && ack >= 0 && ack <= other.top();
            if !is_answer || !mine.is(Bits::SYN) || mine.is(Bits::CONFIRMED) {
                return Err(Refused::Discard(Discard::Syn));
            }
        }
        self.mark(Marks::OFFERS);
        Ok(())
    }

    /// The answer to a SYN that was no part of the connection.
    fn reopen(&mut self) -> Result<(), Refused> {
        let payload = self.segment.payload();
        let blocks = Store::most_blocks(payload.len(), payload.len() as u64);
        if !self.pool.has_room(blocks, Claim::Unanswered) {
            return Err(Refused::NoRoom(NoRoom::OutOfOrder));
        }
        self.mark(Marks::STORES.if_so(!payload.is_empty()));
        self.mark(Marks::REOPENS.with(Marks::SYN).with(Marks::STARTS));
        self.found.end = length(payload);
        self.found.fresh = (0, length(payload));
        self.found.edge = i64::from(self.segment.window());
        Ok(())
    }

    /// A RST.
    ///
    /// It resets the connection at exactly the next byte. Elsewhere in the window it passes for the receiver to
    /// challenge, whose answer makes an honest sender send the right one (RFC 5961 §3.2): nothing is lost if the
    /// receiver believes it.
    pub(super) fn reset(&mut self, flags: TcpFlags) -> Result<(), Refused> {
        let (mine, other) = (self.mine, self.other);
        let has_ack = flags.contains(TcpFlags::ACK);
        let is_empty = self.segment.payload().is_empty();
        let refuses_offer = has_ack && self.answers_offer();
        if !mine.is(Bits::KNOWN) {
            let ack = other.offset_of(self.found.acknowledgment_number);
            let answers_syn = has_ack && other.is(Bits::SYN) && ack >= 0 && ack <= other.top();
            self.mark(Marks::RESETS.if_so(answers_syn));
            let passes = is_empty && (refuses_offer || self.connection.is_midstream);
            return accept_if(answers_syn || passes);
        }
        let start = mine.offset_of(self.found.sequence_number);
        self.found.start = start;
        self.found.end = start;
        if start == mine.next || start == mine.top() {
            self.mark(Marks::RESETS);
            return Ok(());
        }
        let is_handshake = !mine.is(Bits::CONFIRMED) || mine.is(Bits::OFFERS) || refuses_offer;
        let is_in_window = (mine.acked..=mine.edge).contains(&start);
        accept_if(is_empty && (is_handshake || is_in_window))
    }
}

const fn accept_if(accepted: bool) -> Result<(), Refused> {
    if accepted { Ok(()) } else { Err(Refused::Discard(Discard::Reset)) }
}
