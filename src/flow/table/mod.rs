mod accounts;
mod counters;
mod entry;
mod envelopes;
mod flow;
mod limits;
mod observation;
mod paths;
mod phase;
mod ring;
mod store;
mod turnover;

use alloc::collections::BTreeMap;
use core::fmt;
#[cfg(feature = "live")]
use core::ops::Range;

pub use counters::FlowCounters;
pub use envelopes::LastEnvelope;
pub use flow::{EndedFlow, Flow, FlowId};
pub use limits::{FlowLimits, FlowTableError, FlowTimeouts};
pub use observation::{EndReason, Observation, Probe, Refusal, Refused};
pub use phase::FlowPhase;

use super::clock::{Clock, deadline};
use super::index::Index;
use super::{FlowKey, FlowSeed, Relation};
use crate::Timestamp;
use crate::gwlb::{EndpointId, Profile};
use envelopes::Envelopes;
use limits::TimeoutTicks;
use observation::NOWHERE;
use ring::{MAX_ENDPOINTS, MAX_FLOWS};
use store::Store;

/// The flows that are going on, each with a state `S` of the caller's: bounded, and with an end to everything.
///
/// **Memory.** All of it is reserved by [`new`](Self::new); see [`FlowLimits`]. A flow takes 154 bytes and its
/// state, IPv4 or IPv6, with its share of the index and both envelopes. No operation moves the table or takes a pause for it.
///
/// **Time** comes with the packets. Whether a flow has expired depends on time stamps alone: one whose
/// [time-out](FlowTimeouts) is over is not found any more, swept or not. [`expire`](Self::expire) gives its memory
/// back. Time stamps a little out of order do no harm, and after a clock was set back time goes on from where it was.
///
/// **Room.** When a new flow finds none, because the table is full or its endpoint has all it may have, a flow is
/// [evicted](FlowPhase::is_evictable) for it, the least recently used one (to 16.8 ms) of the same endpoint; where
/// that has none and the table is full, of the other endpoints in turn. Established flows are never evicted: then
/// the new one is [refused](Refusal).
///
/// **Collisions.** Flows are found by a [keyed hash](FlowSeed); should some collide all the same, no look-up reads
/// more than 1 KiB of the index, and a new flow that would make it longer is refused.
///
/// What ends is handed to a closure, with its state and the [reason](EndReason).
///
/// ```
/// use gwlb_geneve::Timestamp;
/// use gwlb_geneve::flow::{
///     EndedFlow, FlowKey, FlowLimits, FlowSeed, FlowTable, FlowTimeouts, Observation,
/// };
/// use gwlb_geneve::gwlb::{Envelope, Outer, Profile};
/// use gwlb_geneve::packet::IpPacket;
///
/// # fn packet(payload: &[u8], outer: &Outer) -> Result<(), Box<dyn std::error::Error>> {
/// let limits = FlowLimits { flows: 1_000, ..FlowLimits::default() };
/// let timeouts = FlowTimeouts::default();
/// let mut flows = FlowTable::<u32>::new(&limits, &timeouts, &Profile::AWS, FlowSeed::random())?;
/// let mut ended = |flow: EndedFlow<u32>| println!("{} {:?}", flow.key, flow.reason);
///
/// // For each packet, at its time:
/// let now = Timestamp::from_nanos(1_700_000_000_000_000_000);
/// let envelope = Envelope::parse(payload, &Profile::AWS)?;
/// let inner = IpPacket::parse(envelope.inner())?;
/// let (key, seen) = Observation::of(&envelope, outer, &inner)?;
/// let probe = flows.probe(&key);
/// let id = match flows.observe(&probe, &seen, now, &mut ended) {
///     Some(id) => id,
///     None => flows.insert(&probe, &seen, now, 0, &mut ended).map_err(|refused| refused.why)?,
/// };
/// *flows.state_mut(id).unwrap() += 1;
/// flows.expire(now, 64, &mut ended);
/// # Ok(())
/// # }
/// ```
pub struct FlowTable<S> {
    store: Store<S>,
    index: Index,
    envelopes: Envelopes,
    clock: Clock,
    timeouts: TimeoutTicks,
    quota: usize,
    /// Those of endpoints (or groups) that have their own.
    quotas: BTreeMap<EndpointId, usize>,
    counters: FlowCounters,
    seed: FlowSeed,
    limits: FlowLimits,
}

impl<S> FlowTable<S> {
    /// A table with all the memory that it will ever have.
    ///
    /// # Errors
    ///
    /// See [`FlowTableError`].
    pub fn new(
        limits: &FlowLimits,
        timeouts: &FlowTimeouts,
        profile: &Profile,
        seed: FlowSeed,
    ) -> Result<Self, FlowTableError> {
        for (what, found, most) in
            [("flows", limits.flows, MAX_FLOWS), ("endpoints", limits.endpoints, MAX_ENDPOINTS)]
        {
            if !(1..=most).contains(&found) {
                return Err(FlowTableError::Limit { what, most, found });
            }
        }
        let flows = Self::affordable(limits)?;
        let limits = FlowLimits { flows, ..*limits };
        let bytes = Self::cost(&limits);
        let memory = |source| FlowTableError::Memory { bytes, source };
        Ok(Self {
            store: Store::new(flows, limits.endpoints).map_err(memory)?,
            index: Index::new(flows).map_err(memory)?,
            envelopes: Envelopes::new(profile, limits.header_bytes, limits.endpoints, seed.clone())
                .map_err(memory)?,
            clock: Clock::default(),
            timeouts: timeouts.into(),
            quota: limits.flows_per_endpoint,
            quotas: BTreeMap::new(),
            counters: FlowCounters::default(),
            seed,
            limits: FlowLimits { bytes, ..limits },
        })
    }

    /// How many flows some endpoints (or groups) may have, in place of [`FlowLimits::flows_per_endpoint`], from now on: no flow
    /// ends for it.
    pub fn set_quotas(&mut self, quotas: BTreeMap<EndpointId, usize>) {
        let quota_of = |endpoint| quotas.get(&endpoint).copied().unwrap_or(self.quota);
        self.store.accounts.set_quotas(quota_of);
        self.quotas = quotas;
    }

    fn quota_of(&self, endpoint: EndpointId) -> usize {
        self.quotas.get(&endpoint).copied().unwrap_or(self.quota)
    }

    /// The most flows that the limits have room for.
    fn affordable(limits: &FlowLimits) -> Result<usize, FlowTableError> {
        let cost = |flows| Self::cost(&FlowLimits { flows, ..*limits });
        let (mut most, mut too_many) = (0, limits.flows.saturating_add(1));
        while too_many.saturating_sub(most) > 1 {
            let middle = most.midpoint(too_many);
            if cost(middle) <= limits.bytes { most = middle } else { too_many = middle }
        }
        match most {
            0 => Err(FlowTableError::NoRoom { limit: limits.bytes, needed: cost(1) }),
            most => Ok(most),
        }
    }

    const fn cost(limits: &FlowLimits) -> usize {
        Store::<S>::bytes(limits.flows, limits.endpoints)
            .saturating_add(Index::bytes(limits.flows))
            .saturating_add(Envelopes::bytes(limits.endpoints))
            .saturating_add(limits.header_bytes)
            .saturating_add(size_of::<Self>())
    }

    /// What the table was made with: as many flows as there is room for, and the bytes that this takes.
    pub const fn limits(&self) -> &FlowLimits {
        &self.limits
    }

    /// Where that is of its memory that packets of all flows are looked for in.
    #[cfg(feature = "live")]
    pub(crate) fn memory(&self) -> [Range<*const u8>; 2] {
        [self.index.memory(), self.store.memory()]
    }

    /// Flows in the table, among them such as have expired and are not swept yet.
    pub const fn len(&self) -> usize {
        self.store.len()
    }

    /// Whether there are none.
    pub const fn is_empty(&self) -> bool {
        self.store.len() == 0
    }

    /// What the table has done so far.
    pub const fn counters(&self) -> &FlowCounters {
        &self.counters
    }

    /// Hashes a key: the first step of every look-up.
    #[inline]
    pub fn probe(&self, key: &FlowKey) -> Probe {
        Probe { key: *key, hash: Index::short(self.seed.hash(key)), slot: NOWHERE }
    }

    /// Hashes a key whose flow is about to be [looked for](Self::fetch_entries) together with others.
    #[cfg(feature = "std")]
    #[inline]
    pub(crate) fn probe_ahead(&self, key: &FlowKey) -> Probe {
        let probe = self.probe(key);
        self.index.fetch(probe.hash);
        probe
    }

    /// Whether the whole table is so small that there is nothing to [fetch](Self::fetch).
    #[inline]
    pub(crate) const fn is_near(&self) -> bool {
        self.store.len() < IN_CACHE
    }

    /// Looks for all flows of a burst ahead of their [`observe`](Self::observe), which finds the memory that it
    /// needs in the cache then.
    ///
    /// Every pass does one thing for all of them, and waits for nothing that it asks for, so that the memory
    /// accesses of a burst overlap. Nothing follows from it: flows may come and go before `observe`.
    pub fn fetch(&self, probes: &mut [Probe]) {
        if !self.is_near() {
            probes.iter().for_each(|probe| self.index.fetch(probe.hash));
        }
        self.fetch_entries(probes);
    }

    /// The same of probes whose part of the index was asked for already.
    #[inline]
    pub(crate) fn fetch_entries(&self, probes: &mut [Probe]) {
        // Found for all of them first, the places do not wait for each other: 14 % of a burst at 1,000 flows.
        for probe in &mut *probes {
            probe.slot = self.index.find(probe.hash, |_| true).unwrap_or(NOWHERE);
        }
        if !self.is_near() {
            probes.iter().for_each(|probe| self.store.fetch(probe.slot));
        }
    }

    /// Counts a packet to its flow, which is given back: `None` where there is none.
    ///
    /// The flow's time-out starts again, its phase follows the packet, and its latest envelope in the packet's
    /// direction is the packet's. An [ICMP error](Relation::IcmpError) changes nothing of this.
    ///
    /// Where the flow that was there has expired, or was closed and the packet begins another one of the same key
    /// (a SYN, or a new cookie), it is `ended`, and there is none any more.
    #[inline(always)]
    pub fn observe(
        &mut self,
        probe: &Probe,
        seen: &Observation<'_>,
        now: Timestamp,
        ended: &mut impl FnMut(EndedFlow<S>),
    ) -> Option<FlowId> {
        let now = self.clock.advance(now);
        let mut slot = self.guess(probe);
        let mut entry = match self.store.get_mut(slot) {
            Some(entry) if entry.key == probe.key => entry,
            _ => {
                slot = self.locate_or_note(probe)?;
                self.store.get_mut(slot)?
            }
        };
        if deadline(entry.last_seen, self.timeouts.of(&entry.key, entry.phase)) <= now.tick() {
            self.end_apart(slot, EndReason::Idle, ended);
            return None;
        }
        let id = entry.id(slot);
        if seen.relation == Relation::IcmpError {
            return Some(id);
        }
        if !entry.is_settled(seen.flags) {
            if !self.observe_change(slot, seen, now, ended) {
                return None;
            }
            entry = self.store.get_mut(slot)?;
        }
        entry.count(seen.direction, seen.length);
        entry.last_seen = now;
        let kept = self.envelopes.remember(
            slot,
            &mut entry.latest,
            seen.direction,
            seen.outer,
            seen.envelope,
        );
        if !kept {
            self.counters.headers_dropped = self.counters.headers_dropped.wrapping_add(1);
        }
        Some(id)
    }

    /// Takes a flow in that [`observe`](Self::observe) did not find, with its first packet.
    ///
    /// # Errors
    ///
    /// [`Refused`], with the state, where there is no room for it.
    pub fn insert(
        &mut self,
        probe: &Probe,
        seen: &Observation<'_>,
        now: Timestamp,
        state: S,
        ended: &mut impl FnMut(EndedFlow<S>),
    ) -> Result<FlowId, Refused<S>> {
        let now = self.clock.advance(now);
        match self.make_room(probe, seen, now, ended) {
            Ok(account) => Ok(self.put(probe, seen, now, state, account)),
            Err(why) => {
                self.counters.refused(why);
                Err(Refused { why, state })
            }
        }
    }

    /// A flow, if it is there and has not expired at `now`.
    #[inline(always)]
    pub fn get(&mut self, probe: &Probe, now: Timestamp) -> Option<FlowId> {
        let now = self.clock.advance(now);
        let mut slot = self.guess(probe);
        let entry = match self.store.get(slot) {
            Some(entry) if entry.key == probe.key => entry,
            _ => {
                slot = self.locate_or_note(probe)?;
                self.store.get(slot)?
            }
        };
        let over = deadline(entry.last_seen, self.timeouts.of(&entry.key, entry.phase));
        (over > now.tick()).then(|| entry.id(slot))
    }

    /// Whether the look-up before has shown that there is no such flow, not even one whose time is over: then
    /// [`observe`](Self::observe) has nothing to do.
    #[cfg(feature = "std")]
    #[inline]
    pub(crate) const fn is_unknown(&self, probe: &Probe) -> bool {
        self.index.is_missing(probe.hash)
    }

    /// A flow to look at.
    #[inline]
    pub fn flow(&self, id: FlowId) -> Option<Flow<'_, S>> {
        let entry = self.store.get(id.slot).filter(|entry| entry.id(id.slot) == id)?;
        Some(Flow { slot: id.slot, entry, envelopes: &self.envelopes, clock: &self.clock })
    }

    /// A flow's state, to change.
    #[inline]
    pub fn state_mut(&mut self, id: FlowId) -> Option<&mut S> {
        let entry = self.store.get_mut(id.slot).filter(|entry| entry.id(id.slot) == id)?;
        Some(&mut entry.state)
    }

    /// Ends a flow, whatever it is doing.
    pub fn remove(&mut self, id: FlowId) -> Option<EndedFlow<S>> {
        self.flow(id)?;
        self.take(id.slot, EndReason::Removed)
    }

    /// Ends a flow that makes room for others, as the caller has found.
    pub fn evict(&mut self, id: FlowId) -> Option<EndedFlow<S>> {
        self.flow(id)?;
        self.take(id.slot, EndReason::Evicted)
    }

    /// Gives back the memory of flows that have expired at `now`, and says how much it had to look at, which is
    /// `at_most` where there may be more. On average each flow is looked at about once per time-out.
    pub fn expire(
        &mut self,
        now: Timestamp,
        at_most: usize,
        ended: &mut impl FnMut(EndedFlow<S>),
    ) -> usize {
        let now = self.clock.advance(now);
        if self.is_empty() {
            self.store.skip(now.tick());
            return 0;
        }
        self.sweep(now.tick(), at_most, ended)
    }

    /// When [`expire`](Self::expire) may have something to do; `None` where there are no flows. It may turn out
    /// that there is nothing, as flows have gone on.
    pub fn next_deadline(&self) -> Option<Timestamp> {
        Some(self.clock.timestamp_of_tick(self.store.next_tick()?))
    }

    /// A moment at which a step of the table's time begins, before which everything is swept.
    #[cfg(feature = "std")]
    pub(crate) fn swept_until(&self) -> Timestamp {
        self.clock.timestamp_of_tick(self.store.swept)
    }

    /// Shows flows, among them such as have expired and are not swept yet. It looks at `at_most` places, from the place
    /// `from` on, the first being 0, and says from where to go on; `None` at the end. What comes and goes between two
    /// calls may be missed.
    pub fn visit(
        &self,
        from: u32,
        at_most: usize,
        mut each: impl FnMut(Flow<'_, S>),
    ) -> Option<u32> {
        let portion = u32::try_from(at_most).unwrap_or(u32::MAX);
        let (end, until) = (self.store.end(), from.saturating_add(portion));
        for slot in from..until.min(end) {
            if let Some(entry) = self.store.get(slot) {
                let (envelopes, clock) = (&self.envelopes, &self.clock);
                each(Flow { slot, entry, envelopes, clock });
            }
        }
        (until < end).then_some(until)
    }

    /// Ends all flows.
    pub fn drain(&mut self, ended: &mut impl FnMut(EndedFlow<S>)) {
        let mut from = 0;
        while let Some(slot) = self.store.used_from(from) {
            self.end(slot, EndReason::Drained, ended);
            from = slot;
        }
    }
}

/// So few flows are in the cache anyway.
const IN_CACHE: usize = 4_096;

impl<S> fmt::Debug for FlowTable<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FlowTable")
            .field("len", &self.len())
            .field("limits", &self.limits)
            .field("counters", &self.counters)
            .finish_non_exhaustive()
    }
}
