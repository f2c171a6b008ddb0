//! Datagrams that came in fragments, put together for inspection (RFC 791 §3.2, RFC 8200 §4.5).
//!
//! Nothing is held back here either: each fragment is forwarded as it came, and remembered. The one that makes a datagram
//! whole is judged with all of it; if it is dropped, the receiver never has the whole.
//!
//! ```
//! use gwlb_geneve::Timestamp;
//! use gwlb_geneve::packet::IpPacket;
//! use gwlb_geneve::stream::defrag::{Arrival, Defragmenter};
//!
//! /// Whether to forward a packet that came through an endpoint.
//! fn judge(
//!     defragmenter: &mut Defragmenter,
//!     buffer: &mut Vec<u8>,
//!     endpoint: u64,
//!     packet: &IpPacket<'_>,
//!     now: Timestamp,
//! ) -> bool {
//!     let piece = match defragmenter.consider(endpoint, packet, now) {
//!         Arrival::Whole => return true,
//!         Arrival::Accept(piece) => piece,
//!         Arrival::NoRoom => return false,
//!         Arrival::Refuse(why) => {
//!             println!("{}", why.as_str());
//!             defragmenter.refuse(endpoint, packet, now);
//!             return false;
//!         }
//!     };
//!     if let Some(whole) = defragmenter.assemble(&piece, packet, buffer) {
//!         println!("a packet of {} bytes", whole.len());
//!     }
//!     defragmenter.commit(&piece, packet, now)
//! }
//! ```
//!
//! # What is promised
//!
//! * **What a receiver puts together is what was judged.** Receivers do not agree which bytes win where fragments overlap, so
//!   a datagram whose fragments do is refused, in IPv4 as in IPv6 (RFC 5722); a fragment that comes twice with the same
//!   bytes is none. The name of a datagram that was whole, or was refused, is not used again before a receiver has
//!   forgotten it: a new beginning finds no old end there.
//! * **Memory has a hard cap**, reserved at the start, and no endpoint can have more than its share. A fragment costs time in
//!   proportion to its length and to the [`MAX_FRAGMENTS`] that a datagram may have.
//!
//! # What is not
//!
//! * A sender that goes round all identifications within a [lifetime](DefragLimits::lifetime) (RFC 4963) finds its new
//!   datagrams refused for its old ones.

mod arrival;
mod error;
mod limits;
mod memory;
mod part;
mod shares;
mod store;
#[cfg(test)]
mod tests;

use alloc::vec::Vec;
use core::fmt;

pub use arrival::{Arrival, Piece, Refusal};
pub use error::DefragError;
pub use limits::{DefragLimits, MAX_FRAGMENTS, MAX_HEADER_LEN, MAX_PACKET_LEN};

use crate::Timestamp;
use crate::packet::IpPacket;
use arrival::Is;
use memory::{Memory, NONE};
use part::Part;
use shares::Shares;
use store::{Datagram, Fate, Store};

/// Puts datagrams together, and remembers their fragments until they are whole. See the [module](self).
///
/// A datagram is named by the endpoint that it came through (any number; tenants' addresses overlap), its addresses, its
/// identification and, in IPv4, its protocol.
pub struct Defragmenter {
    limits: DefragLimits,
    memory: Memory,
    store: Store,
    shares: Shares,
}

impl Defragmenter {
    /// With all the memory that it will ever have.
    ///
    /// # Errors
    ///
    /// See [`DefragError`].
    pub fn new(limits: DefragLimits) -> Result<Self, DefragError> {
        limits.check()?;
        let out_of_memory = |source| DefragError::Memory { bytes: Self::bytes(&limits), source };
        Ok(Self {
            memory: Memory::new(limits.bytes).map_err(out_of_memory)?,
            store: Store::new(limits.datagrams).map_err(out_of_memory)?,
            shares: Shares::new(&limits).map_err(out_of_memory)?,
            limits,
        })
    }

    /// The memory that such a one takes, bookkeeping included.
    pub const fn bytes(limits: &DefragLimits) -> usize {
        limits
            .bytes
            .saturating_add(Store::bytes(limits.datagrams))
            .saturating_add(Shares::bytes(limits.datagrams))
            .saturating_add(size_of::<Self>())
    }

    /// What it was made for.
    pub const fn limits(&self) -> &DefragLimits {
        &self.limits
    }

    /// Bytes of memory in use, of [`DefragLimits::bytes`].
    pub const fn used(&self) -> usize {
        self.memory.used()
    }

    /// Datagrams that are remembered, of [`DefragLimits::datagrams`]: those under way, and those whose names must not be
    /// used again yet.
    pub fn datagrams(&self) -> usize {
        self.store.len()
    }

    /// What is to be done with a packet. Nothing changes by it, but that what is too old is forgotten.
    pub fn consider(&mut self, endpoint: u64, packet: &IpPacket<'_>, now: Timestamp) -> Arrival {
        self.expire(now);
        let Some(part) = Part::of(endpoint, packet) else { return Arrival::Whole };
        let slot = self.store.find(&part.name);
        let known = slot.and_then(|slot| self.store.get(slot));
        match known.map(|datagram| datagram.fate) {
            Some(Fate::Over) => return Arrival::Refuse(Refusal::Over),
            Some(Fate::Refused) => return Arrival::Refuse(Refusal::Refused),
            _ => {}
        }
        if let Err(why) = part.check(packet) {
            return Arrival::Refuse(why);
        }
        let fresh = Datagram::new(part.name, now);
        let datagram = known.unwrap_or(&fresh);
        match self.compare(datagram, &part) {
            Ok(false) => {}
            Ok(true) => return Arrival::Accept(Piece { name: part.name, is: Is::Duplicate }),
            Err(why) => return Arrival::Refuse(why),
        }
        if let Err(why) = datagram.admits(&part) {
            return Arrival::Refuse(why);
        }
        let completes = datagram.is_whole_with(&part);
        let blocks = if completes { 0 } else { part.blocks() };
        let is_new = slot.is_none();
        let has_room = self.memory.left() >= blocks
            && !(is_new && self.store.is_full())
            && self.shares.have_room(endpoint, is_new, blocks);
        if !has_room {
            return Arrival::NoRoom;
        }
        let is = if completes { Is::Last } else { Is::More };
        Arrival::Accept(Piece { name: part.name, is })
    }

    /// The packet that a fragment makes whole, in a buffer whose contents are overwritten; `None` where more is missing. With
    /// [`MAX_PACKET_LEN`] bytes of capacity, nothing is allocated.
    ///
    /// The header is that of the first fragment, as it would be without fragmentation.
    pub fn assemble<'b>(
        &self,
        piece: &Piece,
        packet: &IpPacket<'_>,
        buffer: &'b mut Vec<u8>,
    ) -> Option<&'b [u8]> {
        if !piece.completes() {
            return None;
        }
        let part = Part::of(piece.name.endpoint, packet)?;
        let datagram = self.store.get(self.store.find(&part.name)?)?;
        buffer.clear();
        if part.start == 0 {
            buffer.extend(part.header);
            part.name_next(buffer);
        } else {
            buffer.extend(self.memory.get(datagram.header)?.data());
        }
        let header_len = buffer.len();
        let len = datagram.total.unwrap_or(part.end);
        buffer.resize(header_len.saturating_add(len), 0);
        let data = buffer.get_mut(header_len..)?;
        for block in self.memory.chain(datagram.first) {
            let from = usize::from(block.offset);
            let bytes = block.data();
            data.get_mut(from..from.saturating_add(bytes.len()))?.copy_from_slice(bytes);
        }
        data.get_mut(part.start..part.end)?.copy_from_slice(part.data);
        part::finish(buffer, header_len)?;
        Some(buffer)
    }

    /// Whether anything is remembered of the datagram that a fragment is part of.
    pub fn knows(&self, endpoint: u64, packet: &IpPacket<'_>) -> bool {
        Part::of(endpoint, packet).is_some_and(|part| self.store.find(&part.name).is_some())
    }

    /// Remembers a fragment that is forwarded, as it was [considered](Self::consider) last. `false` where that does not
    /// fit together any more.
    pub fn commit(&mut self, piece: &Piece, packet: &IpPacket<'_>, now: Timestamp) -> bool {
        let part = Part::of(piece.name.endpoint, packet).filter(|part| part.name == piece.name);
        let Some(part) = part else { return false };
        let slot = self.store.find(&part.name);
        match (piece.is, slot) {
            (Is::Last, Some(slot)) => self.settle(slot, Fate::Over, now),
            (Is::Duplicate, Some(slot)) => self.store.renew(slot, now),
            (Is::More, slot) => {
                let slot = slot.or_else(|| self.begin(&part, now));
                return slot.is_some_and(|slot| self.remember(slot, &part, now));
            }
            _ => return false,
        }
        true
    }

    /// Refuses the datagram that a fragment is part of: all of its fragments are, for a
    /// [lifetime](DefragLimits::lifetime) from now on. `false` where it was not known and there is no room for it.
    pub fn refuse(&mut self, endpoint: u64, packet: &IpPacket<'_>, now: Timestamp) -> bool {
        self.expire(now);
        let Some(part) = Part::of(endpoint, packet) else { return false };
        let slot = self.store.find(&part.name).or_else(|| self.begin(&part, now));
        if let Some(slot) = slot {
            self.settle(slot, Fate::Refused, now);
        }
        slot.is_some()
    }

    /// Forgets the datagram that a fragment is part of: nobody wants to see it. Its refusal is not forgotten.
    pub fn forget(&mut self, endpoint: u64, packet: &IpPacket<'_>) {
        let Some(part) = Part::of(endpoint, packet) else { return };
        let Some(slot) = self.store.find(&part.name) else { return };
        if self.store.get(slot).is_some_and(|datagram| datagram.fate != Fate::Refused) {
            self.remove(slot);
        }
    }

    /// Forgets what is too old. [`consider`](Self::consider) does so, too.
    pub fn expire(&mut self, now: Timestamp) {
        let lifetime = self.limits.lifetime.as_nanos();
        while let Some((slot, datagram)) = self.store.oldest() {
            // A clock that was set back by so much forgets, too.
            let age = now.as_nanos().abs_diff(datagram.since.as_nanos());
            if u128::from(age) < lifetime {
                break;
            }
            self.remove(slot);
        }
    }

    /// Forgets everything, refusals too.
    pub fn clear(&mut self) {
        while let Some((slot, _)) = self.store.oldest() {
            self.remove(slot);
        }
    }

    /// Whether a fragment is one that came before. An error where it overlaps with others in any other way.
    fn compare(&self, datagram: &Datagram, part: &Part<'_>) -> Result<bool, Refusal> {
        let mut is_known = false;
        for block in self.memory.chain(datagram.first) {
            let (start, end) = (usize::from(block.start), usize::from(block.end));
            if part.end <= start || end <= part.start {
                continue;
            }
            let from = usize::from(block.offset).saturating_sub(part.start);
            let bytes = part.data.get(from..from.saturating_add(block.data().len()));
            let is_same = (start, end) == (part.start, part.end) && bytes == Some(block.data());
            // The end of a datagram is told by its last fragment alone.
            if !is_same || part.more == (datagram.total == Some(end)) {
                return Err(Refusal::Overlap);
            }
            is_known = true;
        }
        Ok(is_known)
    }

    /// Begins to remember a datagram, if there is room for one more.
    fn begin(&mut self, part: &Part<'_>, now: Timestamp) -> Option<u32> {
        if self.store.is_full() || !self.shares.take(part.name.endpoint) {
            return None;
        }
        self.store.insert(Datagram::new(part.name, now))
    }

    fn remember(&mut self, slot: u32, part: &Part<'_>, now: Timestamp) -> bool {
        let Some(datagram) = self.store.get_mut(slot) else { return false };
        let endpoint = part.name.endpoint;
        let blocks = part.blocks();
        if self.memory.left() < blocks || !self.shares.take_blocks(endpoint, blocks) {
            return false;
        }
        datagram.add(part, &mut self.memory);
        self.store.renew(slot, now);
        true
    }

    /// Gives back what a datagram has, but not its name.
    fn settle(&mut self, slot: u32, fate: Fate, now: Timestamp) {
        self.release(slot);
        if let Some(datagram) = self.store.get_mut(slot) {
            datagram.fate = fate;
        }
        self.store.renew(slot, now);
    }

    fn remove(&mut self, slot: u32) {
        self.release(slot);
        if let Some(name) = self.store.remove(slot) {
            self.shares.give_back(name.endpoint);
        }
    }

    fn release(&mut self, slot: u32) {
        let Some(datagram) = self.store.get_mut(slot) else { return };
        let chains = [&mut datagram.first, &mut datagram.header];
        let blocks = chains
            .into_iter()
            .map(|chain| self.memory.give(core::mem::replace(chain, NONE)))
            .fold(0, usize::saturating_add);
        self.shares.give_blocks(datagram.name.endpoint, blocks);
    }
}

impl fmt::Debug for Defragmenter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Defragmenter")
            .field("limits", &self.limits)
            .field("used", &self.used())
            .field("datagrams", &self.datagrams())
            .finish_non_exhaustive()
    }
}
