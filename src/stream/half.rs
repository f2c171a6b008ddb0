use super::arrival::Ticks;
use super::pool::{Claim, Pool};
use super::store::Store;

/// What is known of one side: of its bytes, and of what the other one said about them.
///
/// Offsets are those of its stream: 0 is the first byte after the SYN, or the first one that was seen. They do not
/// wrap; below 0 is what came before.
#[derive(Debug)]
pub(super) struct Half {
    /// Where the stream ends, [`ENDLESS`] before a FIN.
    pub(super) fin: i64,
    /// The next offset in order.
    pub(super) next: i64,
    /// Up to where the other side has acknowledged.
    pub(super) acked: i64,
    /// The furthest end of the window that the other side has offered. A receiver may take back what it offered, but
    /// what is on the way then is within the old one (RFC 9293 §3.8.6).
    pub(super) edge: i64,
    pub(super) store: Store,
    /// The sequence number of offset 0.
    pub(super) first: u32,
    /// The newest time stamp that the other side has for sure, had it received all, and when it came.
    pub(super) recent: u32,
    pub(super) recent_at: Ticks,
    /// What a SYN asked for that is no part of this connection, until the other side answers it.
    pub(super) offered: u32,
    pub(super) offered_scale: u8,
    pub(super) offered_bits: Bits,
    /// By how many bits the windows that it offers are shifted, if both sides scale them.
    pub(super) scale: u8,
    /// By how many they are in fact; means something while the connection is steady.
    pub(super) shift: u8,
    pub(super) bits: Bits,
}

/// No stream is this long.
pub(super) const ENDLESS: i64 = i64::MAX;

/// What the largest field can offer, before it is scaled.
const UNSCALED: i64 = 65_535;

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Bits(pub(super) u16);

impl Bits {
    /// The sequence number of offset 0 is known.
    pub(super) const KNOWN: Self = Self(1);
    /// Its SYN was seen.
    pub(super) const SYN: Self = Self(1 << 1);
    /// Its SYN, or else anything, was acknowledged.
    pub(super) const CONFIRMED: Self = Self(1 << 2);
    /// A SYN of it says that its windows are scaled.
    pub(super) const SCALES: Self = Self(1 << 3);
    /// All SYNs of it had time stamps.
    pub(super) const STAMPS: Self = Self(1 << 4);
    /// There is a recent time stamp.
    pub(super) const RECENT: Self = Self(1 << 5);
    /// It has sent a valid RST.
    pub(super) const RESET: Self = Self(1 << 6);
    /// Its FIN was acknowledged.
    pub(super) const FIN_ACKED: Self = Self(1 << 7);
    /// There is an offer.
    pub(super) const OFFERS: Self = Self(1 << 8);
    /// Its bytes are of no interest.
    pub(super) const IGNORED: Self = Self(1 << 9);

    #[inline]
    pub(super) const fn contains(self, other: Self) -> bool {
        self.0 & other.0 == other.0
    }

    #[inline]
    pub(super) const fn with(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    #[inline]
    pub(super) const fn and(self, other: Self) -> Self {
        Self(self.0 & other.0)
    }

    #[inline]
    pub(super) const fn without(self, other: Self) -> Self {
        Self(self.0 & !other.0)
    }

    #[inline]
    pub(super) const fn if_so(self, condition: bool) -> Self {
        if condition { self } else { Self(0) }
    }
}

impl Half {
    pub(super) const fn new() -> Self {
        Self {
            next: 0,
            acked: 0,
            edge: UNSCALED,
            fin: ENDLESS,
            store: Store::new(),
            first: 0,
            recent: 0,
            recent_at: Ticks::ZERO,
            offered: 0,
            offered_scale: 0,
            offered_bits: Bits(0),
            scale: 0,
            shift: 0,
            bits: Bits(0),
        }
    }

    /// Of a side whose SYN was seen, of which only the number of the first byte is remembered.
    pub(super) const fn opened(first: u32) -> Self {
        const LARGEST_SCALE: u8 = 14;

        let bits = Bits::KNOWN.with(Bits::SYN).with(Bits::SCALES);
        Self { first, bits, scale: LARGEST_SCALE, ..Self::new() }
    }

    /// Whether nothing but a SYN was heard of it.
    pub(super) fn is_silent(&self) -> bool {
        const MORE: u16 = Bits::RESET.0 | Bits::OFFERS.0 | Bits::IGNORED.0;

        self.high() == 0 && self.fin == ENDLESS && self.bits.0 & MORE == 0
    }

    #[inline]
    pub(super) const fn is(&self, bits: Bits) -> bool {
        self.bits.contains(bits)
    }

    /// Whether it is in the middle of what it says, with nothing unusual.
    pub(super) const fn is_steady(&self) -> bool {
        const USUAL: Bits = Bits::KNOWN.with(Bits::CONFIRMED);
        const UNUSUAL: u16 = Bits::RESET.0 | Bits::OFFERS.0 | Bits::IGNORED.0;

        self.is(USUAL) && self.bits.0 & UNUSUAL == 0 && self.fin == ENDLESS && self.edge != ENDLESS
    }

    /// Whether the answer to another SYN of it could as well be one to what it has said behind its first SYN: then
    /// nobody could tell where its stream starts.
    pub(super) fn is_ambiguous_beside_offer(&self) -> bool {
        let has_spoken = self.high() > 0 || self.fin != ENDLESS;
        self.is(Bits::SYN) && !self.is(Bits::CONFIRMED) && has_spoken
    }

    /// Whether it must say nothing before one of its SYNs is answered, for the same reason.
    #[inline]
    pub(super) const fn must_wait(&self) -> bool {
        self.is(Bits::OFFERS.with(Bits::SYN)) && !self.is(Bits::CONFIRMED)
    }

    /// The offset of a sequence number: the one nearest to the next in order.
    #[inline]
    pub(super) const fn offset_of(&self, sequence_number: u32) -> i64 {
        let ahead = sequence_number.wrapping_sub(self.number_of(self.next));
        self.next.saturating_add(ahead as i32 as i64)
    }

    /// The lower half of the offset of a sequence number.
    #[inline(always)]
    pub(super) const fn low_offset_of(&self, sequence_number: u32) -> u32 {
        sequence_number.wrapping_sub(self.first)
    }

    /// The sequence number of an offset.
    #[inline]
    #[expect(clippy::cast_possible_truncation, reason = "sequence numbers wrap")]
    pub(super) const fn number_of(&self, offset: i64) -> u32 {
        self.first.wrapping_add(offset as u32)
    }

    /// The highest acknowledgment of what was sent in order.
    #[inline]
    pub(super) const fn top(&self) -> i64 {
        if self.fin == self.next { self.next.saturating_add(1) } else { self.next }
    }

    /// The offset after the last byte that was forwarded, in order or not.
    #[inline]
    pub(super) fn high(&self) -> i64 {
        self.next.max(self.store.high())
    }

    /// What memory for bytes of it would be for.
    #[inline]
    pub(super) const fn claim(&self, out_of_order: bool) -> Claim {
        if !self.is(Bits::CONFIRMED) {
            Claim::Unanswered
        } else if out_of_order {
            Claim::OutOfOrder
        } else {
            Claim::InOrder
        }
    }

    /// By how many bits the windows that this side offers to the other one are shifted.
    #[inline]
    pub(super) const fn shift(&self, other: &Self) -> u32 {
        const LARGEST: u32 = 14;
        if !self.is(Bits::SYN) {
            LARGEST
        } else if self.is(Bits::SCALES) && other.is(Bits::SCALES) {
            self.scale as u32
        } else {
            0
        }
    }

    /// How old an acknowledgment of its bytes may be, as an offset: by the largest window (RFC 5961 §5.2).
    #[inline]
    pub(super) fn oldest_ack(&self, other: &Self) -> i64 {
        if self.is(Bits::CONFIRMED) || !self.is(Bits::SYN) {
            let widest = UNSCALED.wrapping_shl(other.shift(self));
            self.acked.saturating_sub(widest)
        } else {
            0
        }
    }

    /// Takes in that the other side has what is below an offset.
    #[inline]
    pub(super) fn acknowledge(&mut self, pool: &mut Pool, offset: i64) {
        self.bits = self.bits.with(Bits::CONFIRMED);
        if offset > self.next {
            if self.fin == self.next {
                self.bits = self.bits.with(Bits::FIN_ACKED);
            } else {
                // Of no interest, and it need not have come past.
                self.next = offset;
            }
        }
        let offset = offset.min(self.next);
        if offset > self.acked {
            self.acked = offset;
            self.store.forget(pool, offset);
        }
    }
}
