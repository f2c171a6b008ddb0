use super::envelopes::Latest;
use super::{FlowId, FlowPhase};
use crate::flow::clock::Moment;
use crate::flow::{Direction, FlowKey};
use crate::packet::TcpFlags;

/// All that is kept of a flow but its place in a [ring](super::ring): 132 bytes and its state.
///
/// In this order, so that what an ordinary packet needs stands together and no byte is lost to alignment; a million
/// flows are a million times what is lost here.
#[repr(C)]
pub(super) struct Entry<S> {
    pub(super) first_seen: Moment,
    /// Of the endpoint.
    pub(super) account: u32,
    pub(super) generation: u32,
    pub(super) key: FlowKey,
    pub(super) last_seen: Moment,
    pub(super) traffic: PerDirection<Traffic>,
    pub(super) latest: PerDirection<Latest>,
    pub(super) phase: FlowPhase,
    pub(super) marks: Marks,
    pub(super) state: S,
}

/// What went in one direction.
#[derive(Clone, Copy, Default)]
pub(super) struct Traffic {
    pub(super) packets: u64,
    pub(super) bytes: u64,
}

impl<S> Entry<S> {
    #[inline]
    pub(super) fn id(&self, slot: u32) -> FlowId {
        FlowId { slot, generation: self.generation }
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
        self.traffic.forward.packets == 0 || self.traffic.reverse.packets == 0
    }

    /// Whether a packet with these flags leaves the phase as it is, and what the flow waits in too.
    #[inline]
    pub(super) fn is_settled(&self, flags: Option<TcpFlags>) -> bool {
        match self.phase {
            FlowPhase::Established => !flags.is_some_and(|flags| flags.intersects(ENDS)),
            FlowPhase::Answered => true,
            _ => false,
        }
    }

    /// Counts a packet of the flow's own.
    #[inline]
    pub(super) fn count(&mut self, direction: Direction, length: usize) {
        let traffic = self.traffic.get_mut(direction);
        traffic.packets = traffic.packets.wrapping_add(1);
        traffic.bytes = traffic.bytes.wrapping_add(u64::try_from(length).unwrap_or(u64::MAX));
    }

    /// Follows a packet of the flow's own to the phase that it leads to.
    pub(super) fn follow(&mut self, direction: Direction, flags: Option<TcpFlags>) {
        if flags.is_some_and(|flags| flags.intersects(TcpFlags::FIN)) {
            self.marks.set(Marks::FINISHED.of(direction));
        }
        self.phase = self.phase.next(direction != self.opener(), flags, self.marks.finished());
    }
}

const ENDS: TcpFlags = TcpFlags(TcpFlags::FIN.0 | TcpFlags::RST.0);

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
pub(super) struct Marks(u8);

impl Marks {
    pub(super) const OPENED_IN_REVERSE: Self = Self(1);
    /// A FIN was seen (forward; the next bit is reverse).
    pub(super) const FINISHED: Self = Self(1 << 1);

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
    const fn finished(self) -> super::phase::Finished {
        use super::phase::Finished;

        match (self.has(Self::FINISHED), self.has(Self::FINISHED.of(Direction::Reverse))) {
            (false, false) => Finished::None,
            (true, true) => Finished::Both,
            _ => Finished::One,
        }
    }
}
