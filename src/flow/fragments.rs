use alloc::collections::TryReserveError;
use alloc::vec::Vec;
use core::time::Duration;

use thiserror::Error;

use super::clock::{Clock, Moment};
use super::index::Index;
use super::{Direction, FlowKey, FlowSeed, FragmentKey, PacketFlow, Part, Relation};
use crate::Timestamp;
use crate::packet::FiveTuple;

/// Which flows fragmented datagrams belong to: the ports are in the first fragment, and the others follow it here.
///
/// A datagram is remembered for [`LIFETIME`](Self::LIFETIME) from its first fragment on, or until so many others
/// have come that it is the oldest one. All memory is reserved by [`new`](Self::new).
///
/// ```
/// use gwlb_geneve::Timestamp;
/// use gwlb_geneve::flow::{FlowSeed, FragmentMap, PacketFlow, Resolved};
///
/// # fn judge(flow: PacketFlow, now: Timestamp) -> Result<(), Box<dyn std::error::Error>> {
/// let mut fragments = FragmentMap::new(10_000, FlowSeed::random())?;
/// match fragments.resolve(flow, now) {
///     Resolved::Flow(flow) => println!("{}", flow.key),
///     Resolved::Unknown(flow) => println!("some flow between the ends of {}", flow.key),
///     Resolved::Poisoned => println!("the rest of what was refused"),
/// }
/// # Ok(())
/// # }
/// ```
pub struct FragmentMap {
    /// The oldest datagram at `front`, the next one goes to `back`, both modulo the length.
    ring: Vec<Option<Datagram>>,
    front: u64,
    back: u64,
    index: Index,
    clock: Clock,
    seed: FlowSeed,
    counters: FragmentCounters,
}

/// What is to be done with a packet that may be a fragment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Resolved {
    /// It belongs to this flow.
    Flow(PacketFlow),
    /// It is a later fragment, and its first was not seen: its ports are unknown.
    Unknown(PacketFlow),
    /// It is part of a datagram that was [refused](FragmentMap::poison).
    Poisoned,
}

struct Datagram {
    name: FragmentKey,
    since: Moment,
    /// `None` where it was refused.
    flow: Option<(FlowKey, Direction)>,
}

impl FragmentMap {
    /// How long a datagram is remembered: as long as receivers wait for its fragments (RFC 8200 §4.5).
    pub const LIFETIME: Duration = Duration::from_secs(60);

    /// Room for so many datagrams at a time, 1 to 2^24.
    ///
    /// # Errors
    ///
    /// See [`FragmentMapError`].
    pub fn new(limit: usize, seed: FlowSeed) -> Result<Self, FragmentMapError> {
        const MOST: usize = 1 << 24;
        if !(1..=MOST).contains(&limit) {
            return Err(FragmentMapError::Limit { most: MOST, found: limit });
        }
        let memory = |source| FragmentMapError::Memory { bytes: Self::bytes(limit), source };
        let mut ring = Vec::new();
        ring.try_reserve_exact(limit).map_err(memory)?;
        ring.resize_with(limit, || None);
        Ok(Self {
            ring,
            front: 0,
            back: 0,
            index: Index::new(limit).map_err(memory)?,
            clock: Clock::default(),
            seed,
            counters: FragmentCounters::default(),
        })
    }

    /// The memory that a map for so many datagrams takes.
    pub const fn bytes(limit: usize) -> usize {
        limit
            .saturating_mul(size_of::<Option<Datagram>>())
            .saturating_add(Index::bytes(limit))
            .saturating_add(size_of::<Self>())
    }

    /// Remembers a first fragment, and finds the flow of a later one. Whole datagrams are passed through.
    ///
    /// An ICMP error that quotes a later fragment finds its flow too; nothing is learned from errors.
    #[inline]
    pub fn resolve(&mut self, flow: PacketFlow, now: Timestamp) -> Resolved {
        match flow.part {
            Part::Whole => Resolved::Flow(flow),
            Part::First(name) => self.resolve_first(&name, flow, now),
            Part::Later(name) => self.resolve_later(&name, flow, now),
        }
    }

    /// Refuses a datagram: all of its fragments are [`Poisoned`](Resolved::Poisoned) for
    /// [`LIFETIME`](Self::LIFETIME) from now on, even if its first comes again.
    pub fn poison(&mut self, name: &FragmentKey, now: Timestamp) {
        let now = self.advance(now);
        self.counters.poisoned = self.counters.poisoned.wrapping_add(1);
        self.remember(Datagram { name: *name, since: now, flow: None });
    }

    /// What the map has done so far.
    pub const fn counters(&self) -> &FragmentCounters {
        &self.counters
    }

    fn resolve_first(&mut self, name: &FragmentKey, flow: PacketFlow, now: Timestamp) -> Resolved {
        let now = self.advance(now);
        if matches!(self.find(name), Some((_, Datagram { flow: None, .. }))) {
            return Resolved::Poisoned;
        }
        if flow.relation == Relation::Own {
            let to = Some((flow.key, flow.direction));
            self.counters.first = self.counters.first.wrapping_add(1);
            self.remember(Datagram { name: *name, since: now, flow: to });
        }
        Resolved::Flow(flow)
    }

    fn resolve_later(&mut self, name: &FragmentKey, flow: PacketFlow, now: Timestamp) -> Resolved {
        self.advance(now);
        let found = self.find(name).map(|(_, datagram)| datagram.flow);
        let counter = match found {
            Some(Some(_)) => &mut self.counters.resolved,
            Some(None) => &mut self.counters.refused,
            None => &mut self.counters.unknown,
        };
        *counter = counter.wrapping_add(1);
        match found {
            Some(Some((key, direction))) => {
                let direction = match flow.relation {
                    Relation::Own => direction,
                    Relation::IcmpError => direction.reversed(),
                };
                Resolved::Flow(PacketFlow { key, direction, ..flow })
            }
            Some(None) => Resolved::Poisoned,
            None => Resolved::Unknown(flow),
        }
    }

    /// Lets time go on, and forgets what is too old.
    fn advance(&mut self, now: Timestamp) -> Moment {
        let now = self.clock.advance(now);
        while self.front < self.back {
            match self.at(self.front) {
                Some(oldest) if now.since(oldest.since) < Self::LIFETIME => break,
                _ => self.forget_oldest(),
            }
        }
        now
    }

    fn remember(&mut self, datagram: Datagram) {
        let hash = self.hash(&datagram.name);
        if let Some((slot, _)) = self.find(&datagram.name) {
            self.index.remove(hash, slot);
            if let Some(place) = self.place_mut(slot.into()) {
                *place = None;
            }
        }
        let room = u64::try_from(self.ring.len()).unwrap_or(u64::MAX);
        if self.back.saturating_sub(self.front) >= room {
            self.counters.displaced =
                self.counters.displaced.wrapping_add(u64::from(self.at(self.front).is_some()));
            self.forget_oldest();
        }
        let slot = self.back.checked_rem(room).and_then(|slot| u32::try_from(slot).ok());
        let Some(slot) = slot.filter(|slot| self.index.insert(hash, *slot)) else {
            self.counters.displaced = self.counters.displaced.wrapping_add(1);
            return;
        };
        if let Some(place) = self.place_mut(slot.into()) {
            *place = Some(datagram);
        }
        self.back = self.back.saturating_add(1);
    }

    fn forget_oldest(&mut self) {
        if let Some(oldest) = self.place_mut(self.front).and_then(Option::take) {
            let room = u64::try_from(self.ring.len()).unwrap_or(u64::MAX);
            let slot = self.front.checked_rem(room).and_then(|slot| u32::try_from(slot).ok());
            self.index.remove(self.hash(&oldest.name), slot.unwrap_or(u32::MAX));
        }
        self.front = self.front.saturating_add(1);
    }

    fn find(&self, name: &FragmentKey) -> Option<(u32, &Datagram)> {
        let is = |slot: u32| self.at(slot.into()).is_some_and(|datagram| datagram.name == *name);
        let slot = self.index.find(self.hash(name), is)?;
        Some((slot, self.at(slot.into())?))
    }

    fn at(&self, position: u64) -> Option<&Datagram> {
        let slot = usize::try_from(position).ok()?.checked_rem(self.ring.len())?;
        self.ring.get(slot)?.as_ref()
    }

    fn place_mut(&mut self, position: u64) -> Option<&mut Option<Datagram>> {
        let slot = usize::try_from(position).ok()?.checked_rem(self.ring.len())?;
        self.ring.get_mut(slot)
    }

    fn hash(&self, name: &FragmentKey) -> u32 {
        let tuple = FiveTuple { addresses: name.addresses, protocol: name.protocol, ports: None };
        let (ends, _) = FlowKey::new(name.endpoint, &tuple);
        let hash = self.seed.hash(&ends) ^ u64::from(name.identification);
        Index::short(self.seed.hash_number(hash))
    }
}

impl core::fmt::Debug for FragmentMap {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("FragmentMap")
            .field("limit", &self.ring.len())
            .field("counters", &self.counters)
            .finish_non_exhaustive()
    }
}

/// What a map has done since it was made.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct FragmentCounters {
    /// First fragments remembered.
    pub first: u64,
    /// Later fragments whose flow was found.
    pub resolved: u64,
    /// Later fragments whose first was not known.
    pub unknown: u64,
    /// Later fragments of refused datagrams.
    pub refused: u64,
    /// Datagrams that were refused.
    pub poisoned: u64,
    /// Datagrams forgotten, before their time was over, for want of room.
    pub displaced: u64,
}

/// Why there can be no such map.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum FragmentMapError {
    /// Room for none, or for more than the map can count.
    #[error("fragment map: expected 1 to {most} datagrams, found {found}")]
    Limit {
        /// The most there can be.
        most: usize,
        /// What was asked for.
        found: usize,
    },
    /// The system has not that much memory.
    #[error("fragment map: expected {bytes} bytes of memory, found fewer")]
    Memory {
        /// What was asked for.
        bytes: usize,
        /// The allocator's word.
        #[source]
        source: TryReserveError,
    },
}
