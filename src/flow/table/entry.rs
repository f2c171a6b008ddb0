use core::net::Ipv4Addr;

use super::ring::Links;
use super::{FlowId, FlowPhase};
use crate::flow::clock::Moment;
use crate::flow::{Direction, FlowKey};
use crate::packet::TcpFlags;

/// All that is kept of a flow: 176 bytes and its state.
///
/// The parts of the envelopes stand apart, each for both directions, so that no byte is lost to alignment; a
/// million flows are a million times what is lost here.
pub(super) struct Entry<S> {
    pub(super) key: FlowKey,
    pub(super) links: Links,
    pub(super) first_seen: Moment,
    pub(super) last_seen: Moment,
    pub(super) packets: PerDirection<u64>,
    pub(super) bytes: PerDirection<u64>,
    pub(super) endpoint: PerDirection<u64>,
    pub(super) attachment: PerDirection<u64>,
    /// The whole of the option, with direction bits where the provider has some.
    pub(super) cookie: PerDirection<u32>,
    pub(super) outer_source: PerDirection<Ipv4Addr>,
    pub(super) outer_destination: PerDirection<Ipv4Addr>,
    pub(super) outer_source_port: PerDirection<u16>,
    pub(super) outer_destination_port: PerDirection<u16>,
    pub(super) outer_tos: PerDirection<u8>,
    pub(super) outer_ttl: PerDirection<u8>,
    pub(super) marks: Marks,
    pub(super) phase: FlowPhase,
    pub(super) generation: u8,
    pub(super) state: S,
}

impl<S> Entry<S> {
    #[inline]
    pub(super) fn id(&self, slot: u32) -> FlowId {
        FlowId { slot, generation: self.generation, born: self.first_seen }
    }

    /// Which side sent the first packet.
    pub(super) const fn opener(&self) -> Direction {
        if self.marks.has(Marks::OPENED_IN_REVERSE) {
            Direction::Reverse
        } else {
            Direction::Forward
        }
    }

    /// Whether one direction was never seen.
    pub(super) const fn is_half(&self) -> bool {
        self.packets.forward == 0 || self.packets.reverse == 0
    }

    /// Counts a packet of the flow's own, and says what phase it leads to.
    #[inline]
    pub(super) fn count(
        &mut self,
        direction: Direction,
        length: usize,
        flags: Option<TcpFlags>,
    ) -> FlowPhase {
        let packets = self.packets.get_mut(direction);
        *packets = packets.saturating_add(1);
        let bytes = self.bytes.get_mut(direction);
        *bytes = bytes.saturating_add(u64::try_from(length).unwrap_or(u64::MAX));
        if flags.is_some_and(|flags| flags.intersects(TcpFlags::FIN)) {
            self.marks.set(Marks::FINISHED.of(direction));
        }
        self.phase.next(direction != self.opener(), flags, self.marks.finished())
    }
}

/// One value for each direction.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct PerDirection<T> {
    pub(super) forward: T,
    pub(super) reverse: T,
}

impl<T: Copy> PerDirection<T> {
    pub(super) const fn both(value: T) -> Self {
        Self { forward: value, reverse: value }
    }

    #[inline]
    pub(super) const fn get(&self, direction: Direction) -> T {
        match direction {
            Direction::Forward => self.forward,
            Direction::Reverse => self.reverse,
        }
    }

    #[inline]
    pub(super) const fn get_mut(&mut self, direction: Direction) -> &mut T {
        match direction {
            Direction::Forward => &mut self.forward,
            Direction::Reverse => &mut self.reverse,
        }
    }
}

/// What is true of a flow or of one of its directions, a bit each.
#[derive(Clone, Copy, Default)]
pub(super) struct Marks(u16);

impl Marks {
    pub(super) const OPENED_IN_REVERSE: Self = Self(1);
    /// A FIN was seen (forward; the next bit is reverse, as in all that follow).
    pub(super) const FINISHED: Self = Self(1 << 1);
    /// There is an envelope, of the profile's own layout.
    pub(super) const USUAL_ENVELOPE: Self = Self(1 << 3);
    /// There is one of another layout; its header is kept apart.
    pub(super) const OTHER_ENVELOPE: Self = Self(1 << 5);
    /// The envelope's protocol type is that of IPv6.
    pub(super) const IPV6_ENVELOPE: Self = Self(1 << 7);

    #[inline]
    pub(super) const fn of(self, direction: Direction) -> Self {
        match direction {
            Direction::Forward => self,
            Direction::Reverse => Self(self.0 << 1),
        }
    }

    #[inline]
    pub(super) const fn has(self, other: Self) -> bool {
        self.0 & other.0 != 0
    }

    #[inline]
    pub(super) const fn set(&mut self, other: Self) {
        self.0 |= other.0;
    }

    #[inline]
    pub(super) const fn clear(&mut self, other: Self) {
        self.0 &= !other.0;
    }

    #[inline]
    const fn finished(self) -> super::phase::Finished {
        use super::phase::Finished;

        match (self.has(Self::FINISHED), self.has(Self::FINISHED.of(Direction::Reverse))) {
            (false, false) => Finished::None,
            (true, true) => Finished::Both,
            _ => Finished::One,
        }
    }
}
