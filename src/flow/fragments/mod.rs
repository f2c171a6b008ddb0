mod shares;
mod store;

use alloc::collections::TryReserveError;
use core::time::Duration;

use store::{Datagram, Store};
use thiserror::Error;

#[cfg(feature = "std")]
use super::FlowKey;
use super::clock::{Clock, Moment};
use super::{FlowSeed, FragmentKey, PacketFlow, Part, Relation};
use crate::Timestamp;

/// Which flows fragmented datagrams belong to: the ports are in the first fragment, and the others follow it here.
///
/// A datagram is remembered for [`LIFETIME`](Self::LIFETIME) from its first fragment on. None is forgotten earlier
/// for the sake of others: where there is no room for one more, it is not remembered. So no flood of fragments makes
/// the map forget what was refused, and one endpoint's flood takes no more than that endpoint's share. All memory is
/// reserved by [`new`](Self::new).
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
///     Resolved::NoRoom(flow) => println!("of {}, but the rest of it would not be known", flow.key),
/// }
/// # Ok(())
/// # }
/// ```
pub struct FragmentMap {
    store: Store,
    clock: Clock,
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
    /// It is the first fragment of a datagram of this flow, for which there was no room: the others will be
    /// [`Unknown`](Self::Unknown), and it cannot be relied upon that they are refused if this one is.
    NoRoom(PacketFlow),
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
        Self::with_quota(limit, limit, seed)
    }

    /// Room for `limit` datagrams at a time, 1 to 2^24, and for no more than `per_endpoint` of them from any one
    /// endpoint (or group of endpoints, as the [`FragmentKey`] has it).
    ///
    /// # Errors
    ///
    /// See [`FragmentMapError`].
    pub fn with_quota(
        limit: usize,
        per_endpoint: usize,
        seed: FlowSeed,
    ) -> Result<Self, FragmentMapError> {
        const MOST: usize = 1 << 24;
        if !(1..=MOST).contains(&limit) {
            return Err(FragmentMapError::Limit { most: MOST, found: limit });
        }
        if !(1..=limit).contains(&per_endpoint) {
            return Err(FragmentMapError::Quota { most: limit, found: per_endpoint });
        }
        let store = Store::new(limit, per_endpoint, seed)
            .map_err(|source| FragmentMapError::Memory { bytes: Self::bytes(limit), source })?;
        Ok(Self { store, clock: Clock::default(), counters: FragmentCounters::default() })
    }

    /// The memory that a map for so many datagrams takes.
    pub const fn bytes(limit: usize) -> usize {
        Store::bytes(limit).saturating_add(size_of::<Self>())
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
    ///
    /// Always succeeds for a datagram that is known, as every one is whose first fragment was resolved to a
    /// [`Flow`](Resolved::Flow) less than that time ago. `false` where it was not known and there is no room for it.
    pub fn poison(&mut self, name: &FragmentKey, now: Timestamp) -> bool {
        let now = self.advance(now);
        let counted = match self.store.find(name).map(|(slot, _)| slot) {
            Some(slot) => {
                self.store.renew(slot, now, None);
                true
            }
            None => self.store.insert(Datagram { name: *name, since: now, flow: None }),
        };
        count(if counted { &mut self.counters.poisoned } else { &mut self.counters.no_room });
        counted
    }

    /// The flow of a datagram that is known and not refused.
    #[cfg(feature = "std")]
    pub(crate) fn flow_of(&self, name: &FragmentKey) -> Option<FlowKey> {
        self.store.find(name)?.1.flow.map(|(key, _)| key)
    }

    /// What the map has done so far.
    pub const fn counters(&self) -> &FragmentCounters {
        &self.counters
    }

    fn resolve_first(&mut self, name: &FragmentKey, flow: PacketFlow, now: Timestamp) -> Resolved {
        let now = self.advance(now);
        let to = Some((flow.key, flow.direction));
        let known = self.store.find(name).map(|(slot, known)| (slot, known.flow));
        let remembered = match known {
            Some((_, None)) => return Resolved::Poisoned,
            // Errors teach nothing.
            _ if flow.relation == Relation::IcmpError => return Resolved::Flow(flow),
            Some((slot, Some(_))) => {
                self.store.renew(slot, now, to);
                true
            }
            None => self.store.insert(Datagram { name: *name, since: now, flow: to }),
        };
        if remembered {
            count(&mut self.counters.first);
            Resolved::Flow(flow)
        } else {
            count(&mut self.counters.no_room);
            Resolved::NoRoom(flow)
        }
    }

    fn resolve_later(&mut self, name: &FragmentKey, flow: PacketFlow, now: Timestamp) -> Resolved {
        self.advance(now);
        match self.store.find(name).map(|(_, known)| known.flow) {
            Some(Some((key, direction))) => {
                count(&mut self.counters.resolved);
                let direction = match flow.relation {
                    Relation::Own => direction,
                    Relation::IcmpError => direction.reversed(),
                };
                Resolved::Flow(PacketFlow { key, direction, ..flow })
            }
            Some(None) => {
                count(&mut self.counters.refused);
                Resolved::Poisoned
            }
            None => {
                count(&mut self.counters.unknown);
                Resolved::Unknown(flow)
            }
        }
    }

    /// Lets time go on, and forgets what is too old.
    fn advance(&mut self, now: Timestamp) -> Moment {
        let now = self.clock.advance(now);
        let is_over = |oldest: &Datagram| now.since(oldest.since) >= Self::LIFETIME;
        while self.store.oldest().is_some_and(is_over) {
            self.store.forget_oldest();
        }
        now
    }
}

fn count(counter: &mut u64) {
    *counter = counter.wrapping_add(1);
}

impl core::fmt::Debug for FragmentMap {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("FragmentMap")
            .field("limit", &self.store.limit())
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
    /// First fragments, and refusals of datagrams that were not known, for which there was no room.
    pub no_room: u64,
}

impl FragmentCounters {
    /// Adds what another one has counted.
    pub fn add(&mut self, other: &Self) {
        let sums = [
            (&mut self.first, other.first),
            (&mut self.resolved, other.resolved),
            (&mut self.unknown, other.unknown),
            (&mut self.refused, other.refused),
            (&mut self.poisoned, other.poisoned),
            (&mut self.no_room, other.no_room),
        ];
        for (counter, by) in sums {
            *counter = counter.wrapping_add(by);
        }
    }
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
    /// A share of none, or of more than there is.
    #[error("fragment map: expected a share of 1 to {most} datagrams, found {found}")]
    Quota {
        /// The most there can be: all of them.
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
