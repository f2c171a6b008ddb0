use super::entry::{Entry, Marks, PerDirection, Traffic};
use super::envelopes::Latest;
use super::observation::{NOWHERE, Observation, Probe, Refusal};
use super::phase::Evictable;
use super::ring::{Links, Place, Rings};
use super::{EndReason, EndedFlow, FlowId, FlowPhase, FlowTable};
use crate::flow::clock::{Moment, Tick, deadline};
use crate::flow::index::Index;
use crate::flow::{Direction, Relation};

/// Flows that are fetched together before they end.
const AHEAD: u32 = 16;

/// How flows find room, wait for their end and come to it.
impl<S> FlowTable<S> {
    #[inline]
    pub(super) fn locate(&self, probe: &Probe) -> Option<u32> {
        let is = |slot| self.store.get(slot).is_some_and(|entry| entry.key == probe.key);
        if is(probe.slot) {
            return Some(probe.slot);
        }
        self.index.find(probe.hash, is)
    }

    /// Lets a flow wait in the ring of its phase, having been in that of the phase before.
    #[inline(never)]
    pub(super) fn rearrange(&mut self, slot: u32, before: FlowPhase, now: Moment) {
        let Some(entry) = self.store.get(slot) else { return };
        let (account, phase) = (entry.account, entry.phase);
        let over = deadline(now, self.timeouts.of(&entry.key, phase));
        self.store.leave(slot, account, before.evictable());
        self.store.wait(slot, account, phase.evictable(), over);
    }

    /// Makes sure that there is room, and says in whose account.
    pub(super) fn make_room(
        &mut self,
        probe: &Probe,
        seen: &Observation<'_>,
        now: Moment,
        ended: &mut impl FnMut(EndedFlow<S>),
    ) -> Result<u32, Refusal> {
        if seen.relation == Relation::IcmpError {
            return Err(Refusal::IcmpError);
        }
        if let Some(slot) = self.locate(probe) {
            if !self.has_expired(slot, now.tick()) {
                return Err(Refusal::Known);
            }
            self.end(slot, EndReason::Idle, ended);
        }
        let endpoint = probe.key.endpoint();
        let mut own = self.store.accounts.find(&self.seed, endpoint);
        let crowded = match own {
            Some(own) => self.flows_of(own) >= self.quota,
            None => !self.store.accounts.has_room() || self.quota == 0,
        };
        if crowded || self.store.is_full() {
            // No packet waits for a whole flood to be swept: the least recently used flow is at hand.
            self.sweep(now.tick(), MOST_SWEPT, ended);
            own = self.store.accounts.find(&self.seed, endpoint);
            if own.is_none() && !self.store.accounts.has_room() {
                return Err(Refusal::Endpoints);
            }
            let victim = own.and_then(|own| self.store.victim_of(own));
            if own.map_or(0, |own| self.flows_of(own)) >= self.quota {
                self.end(victim.ok_or(Refusal::Quota)?, EndReason::Evicted, ended);
            } else if self.store.is_full() {
                let victim = victim.or_else(|| self.store.victim_of_others());
                self.end(victim.ok_or(Refusal::Full)?, EndReason::Evicted, ended);
            }
            // It is closed where that was its last flow.
            own = self.store.accounts.find(&self.seed, endpoint);
        }
        let (slot, _) = self.store.next_slot().ok_or(Refusal::Full)?;
        if !self.index.insert(probe.hash, slot) {
            return Err(Refusal::Collisions);
        }
        match own.or_else(|| self.store.accounts.open(&self.seed, endpoint)) {
            Some(account) => Ok(account),
            None => {
                self.index.remove(probe.hash, slot);
                Err(Refusal::Endpoints)
            }
        }
    }

    fn flows_of(&self, account: u32) -> usize {
        self.store.accounts.get(account).map_or(0, |account| account.flows)
    }

    /// Writes an entry into the slot that room was made in.
    pub(super) fn put(
        &mut self,
        probe: &Probe,
        seen: &Observation<'_>,
        now: Moment,
        state: S,
        account: u32,
    ) -> FlowId {
        let (slot, generation) = self.store.next_slot().unwrap_or((NOWHERE, 0));
        let (phase, is_answer) = FlowPhase::first(&probe.key, seen.flags);
        let mut marks = Marks::default();
        if (seen.direction == Direction::Reverse) != is_answer {
            marks.set(Marks::OPENED_IN_REVERSE);
        }
        let mut entry = Entry {
            first_seen: now,
            links: Links::alone(Place::Flow(slot).into()),
            account,
            generation,
            key: probe.key,
            last_seen: now,
            traffic: PerDirection::both(Traffic::default()),
            latest: PerDirection::both(Latest::NONE),
            phase,
            marks,
            state,
        };
        entry.count(seen.direction, seen.length, seen.flags);
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
        let id = entry.id(slot);
        self.store.put(entry);
        let over = deadline(now, self.timeouts.of(&probe.key, phase));
        self.store.wait(slot, account, phase.evictable(), over);
        if let Some(account) = self.store.accounts.get_mut(account) {
            account.flows = account.flows.saturating_add(1);
        }
        self.counters.created = self.counters.created.wrapping_add(1);
        id
    }

    fn deadline_of(&self, slot: u32) -> Option<Tick> {
        let entry = self.store.get(slot)?;
        Some(deadline(entry.last_seen, self.timeouts.of(&entry.key, entry.phase)))
    }

    fn has_expired(&self, slot: u32, now: Tick) -> bool {
        self.deadline_of(slot).is_some_and(|deadline| deadline <= now)
    }

    /// Turns the wheel up to `now`, or until `at_most` nodes were looked at.
    pub(super) fn sweep(
        &mut self,
        now: Tick,
        at_most: usize,
        ended: &mut impl FnMut(EndedFlow<S>),
    ) -> usize {
        let mut looked_at = 0_usize;
        while looked_at < at_most {
            let Some(node) = self.store.due(now) else { break };
            looked_at = looked_at.saturating_add(1);
            match node.place() {
                Place::Flow(slot) => match self.deadline_of(slot) {
                    Some(deadline) if deadline > now => self.store.schedule(node, deadline),
                    _ => self.end(slot, EndReason::Idle, ended),
                },
                Place::Timer(account, kind) => {
                    // The list's first ones; it waits again for the first that has not expired.
                    let mut ahead = 0;
                    while let Some(slot) = self.store.first_idle(account, kind) {
                        let Some(deadline) = self.deadline_of(slot) else { break };
                        if deadline > now || looked_at > at_most {
                            self.store.schedule(node, deadline);
                            break;
                        }
                        if ahead == 0 {
                            self.fetch_ended(slot);
                            ahead = AHEAD;
                        }
                        ahead = ahead.saturating_sub(1);
                        looked_at = looked_at.saturating_add(1);
                        self.end(slot, EndReason::Idle, ended);
                    }
                }
                _ => {}
            }
        }
        looked_at.min(at_most)
    }

    /// Reads what will be written when a flow and those behind it in its list end, so that the memory accesses
    /// overlap.
    fn fetch_ended(&self, slot: u32) {
        let mut read = 0;
        let mut next = Some(slot);
        for _ in 0..AHEAD {
            let Some(entry) = next.and_then(|slot| self.store.get(slot)) else { break };
            read ^= self.index.touch(Index::short(self.seed.hash(&entry.key)));
            next = match entry.links.next().place() {
                Place::Flow(slot) => Some(slot),
                _ => None,
            };
        }
        core::hint::black_box(read);
    }

    /// Ends a flow apart from the path of packets that go on.
    #[cold]
    #[inline(never)]
    pub(super) fn end_apart(
        &mut self,
        slot: u32,
        reason: EndReason,
        ended: &mut impl FnMut(EndedFlow<S>),
    ) {
        self.end(slot, reason, ended);
    }

    #[inline]
    pub(super) fn end(
        &mut self,
        slot: u32,
        reason: EndReason,
        ended: &mut impl FnMut(EndedFlow<S>),
    ) {
        if let Some(flow) = self.take(slot, reason) {
            ended(flow);
        }
    }

    #[inline]
    pub(super) fn take(&mut self, slot: u32, reason: EndReason) -> Option<EndedFlow<S>> {
        let entry = self.store.get(slot)?;
        let (account, kind) = (entry.account, entry.phase.evictable());
        self.index.remove(Index::short(self.seed.hash(&entry.key)), slot);
        self.store.leave(slot, account, kind);
        let mut entry = self.store.take(slot)?;
        self.envelopes.forget(slot, &mut entry.latest);
        let own = self.store.accounts.get_mut(account)?;
        own.flows = own.flows.saturating_sub(1);
        if own.flows == 0 {
            for kind in Evictable::ALL {
                self.store.unlink(Place::Timer(account, kind).into());
            }
            self.store.accounts.close(&self.seed, account);
        }
        self.counters.ended(reason, entry.phase, entry.is_half());
        Some(EndedFlow::new(entry, reason, &self.clock))
    }
}

/// So many flows are looked at, at most, to find one whose time is over.
const MOST_SWEPT: usize = 256;
