use super::entry::{Entry, Marks, PerDirection};
use super::envelopes::Latest;
use super::observation::{NOWHERE, Observation, Probe, Refusal};
use super::phase::Evictable;
use super::ring::{Node, Place};
use super::{EndReason, EndedFlow, FlowId, FlowPhase, FlowTable};
use crate::flow::clock::{Moment, Tick, deadline};
use crate::flow::index::Index;
use crate::flow::{Direction, Relation};
use crate::packet::TcpFlags;

/// Where there is room for a flow.
pub(super) struct Room {
    account: u32,
    slot: u32,
    generation: u32,
}

/// Flows that are fetched together before they end.
const AHEAD: usize = 16;

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

    /// The slot where a flow most likely is.
    #[inline(always)]
    pub(super) fn guess(&mut self, probe: &Probe) -> u32 {
        if probe.slot != NOWHERE {
            return probe.slot;
        }
        self.index.guess_or_note(probe.hash).unwrap_or(NOWHERE)
    }

    /// Where it is if it is not there. That it is nowhere is noted for who inserts it next.
    #[inline]
    pub(super) fn locate_or_note(&mut self, probe: &Probe) -> Option<u32> {
        if self.index.is_missing(probe.hash) { None } else { self.locate_another(probe) }
    }

    #[inline(never)]
    fn locate_another(&mut self, probe: &Probe) -> Option<u32> {
        let store = &self.store;
        let is = |slot| store.get(slot).is_some_and(|entry| entry.key == probe.key);
        self.index.find_or_note(probe.hash, is)
    }

    /// Lets a flow go on to the phase, and wait in the ring, that a packet leads it to. Ends it, and says no, where the
    /// packet is another flow's.
    #[inline(never)]
    pub(super) fn observe_change(
        &mut self,
        slot: u32,
        seen: &Observation<'_>,
        now: Moment,
        ended: &mut impl FnMut(EndedFlow<S>),
    ) -> bool {
        let Some(entry) = self.store.get_mut(slot) else { return false };
        if entry.phase == FlowPhase::Closed
            && (seen.is_opening()
                || self.envelopes.is_new_cookie(entry, seen.direction, seen.envelope))
        {
            self.end_apart(slot, EndReason::Reused, ended);
            return false;
        }
        let before = entry.phase;
        entry.follow(seen.direction, seen.flags);
        let moves = before.is_evictable() && entry.last_seen.tick() != now.tick();
        if before != entry.phase || moves {
            let (account, phase) = (entry.account, entry.phase);
            let over = deadline(now, self.timeouts.of(&entry.key, phase));
            self.store.leave(slot, account, before.evictable());
            self.store.wait(slot, account, phase.evictable(), over);
        }
        true
    }

    /// Makes sure that there is room, and says where.
    #[inline(always)]
    pub(super) fn make_room(
        &mut self,
        probe: &Probe,
        seen: &Observation<'_>,
        now: Moment,
        ended: &mut impl FnMut(EndedFlow<S>),
    ) -> Result<Room, Refusal> {
        if seen.relation == Relation::IcmpError {
            return Err(Refusal::IcmpError);
        }
        if !self.index.is_missing(probe.hash) {
            self.refuse_known(probe, now, ended)?;
        }
        let near = if self.store.is_full() {
            None
        } else {
            self.store.accounts.enter_recent(probe.key.endpoint())
        };
        let account = match near {
            Some(account) => account,
            None => self.make_room_for(probe, now, ended)?,
        };
        if let Some((slot, generation)) = self.store.reserve() {
            if self.index.insert(probe.hash, slot) {
                return Ok(Room { account, slot, generation });
            }
            self.store.release(slot);
        }
        self.leave_account(account);
        Err(Refusal::Collisions)
    }

    /// Makes sure that the flow is new.
    fn refuse_known(
        &mut self,
        probe: &Probe,
        now: Moment,
        ended: &mut impl FnMut(EndedFlow<S>),
    ) -> Result<(), Refusal> {
        let Some(slot) = self.locate(probe) else { return Ok(()) };
        if !self.has_expired(slot, now.tick()) {
            return Err(Refusal::Known);
        }
        self.end(slot, EndReason::Idle, ended);
        Ok(())
    }

    /// Opens an account, or makes room in it, or in the table, where there is none, and enters a flow into it.
    #[inline(never)]
    fn make_room_for(
        &mut self,
        probe: &Probe,
        now: Moment,
        ended: &mut impl FnMut(EndedFlow<S>),
    ) -> Result<u32, Refusal> {
        let endpoint = probe.key.endpoint();
        let mut own = self.store.accounts.find(&self.seed, endpoint);
        let quota = self.quota_of(endpoint);
        let crowded = match own {
            Some(own) => self.flows_of(own) >= quota,
            None => !self.store.accounts.has_room() || quota == 0,
        };
        if crowded || self.store.is_full() {
            // No packet waits for a whole flood to be swept: the least recently used flow is at hand.
            self.sweep(now.tick(), MOST_SWEPT, ended);
            own = self.store.accounts.find(&self.seed, endpoint);
            if own.is_none() && !self.store.accounts.has_room() {
                return Err(Refusal::Endpoints);
            }
            let victim = own.and_then(|own| self.store.victim_of(own));
            if own.map_or(0, |own| self.flows_of(own)) >= quota {
                self.end(victim.ok_or(Refusal::Quota)?, EndReason::Evicted, ended);
            } else if self.store.is_full() {
                let victim = victim.or_else(|| self.store.victim_of_others());
                self.end(victim.ok_or(Refusal::Full)?, EndReason::Evicted, ended);
            }
            // It is closed where that was its last flow.
            own = self.store.accounts.find(&self.seed, endpoint);
        }
        let own = own.or_else(|| self.store.accounts.open(&self.seed, endpoint, quota));
        let account = own.ok_or(Refusal::Endpoints)?;
        if let Some(account) = self.store.accounts.get_mut(account) {
            account.flows = account.flows.wrapping_add(1);
        }
        Ok(account)
    }

    #[inline]
    fn flows_of(&self, account: u32) -> usize {
        self.store.accounts.get(account).map_or(0, |account| account.flows)
    }

    /// Writes an entry into the slot that room was made in.
    #[inline(always)]
    pub(super) fn put(
        &mut self,
        probe: &Probe,
        seen: &Observation<'_>,
        now: Moment,
        state: S,
        room: Room,
    ) -> FlowId {
        let Room { account, slot, generation } = room;
        let (phase, is_answer) = FlowPhase::first(&probe.key, seen.flags);
        let mut marks = Marks::default();
        if (seen.direction == Direction::Reverse) != is_answer {
            marks.set(Marks::OPENED_IN_REVERSE);
        }
        if seen.flags.is_some_and(|flags| flags.intersects(TcpFlags::FIN)) {
            marks.set(Marks::FINISHED.of(seen.direction));
        }
        let (latest, kept) =
            self.envelopes.remember_first(slot, seen.direction, seen.outer, seen.envelope);
        if !kept {
            self.counters.headers_dropped = self.counters.headers_dropped.wrapping_add(1);
        }
        let entry = Entry {
            first_seen: now,
            account,
            generation,
            key: probe.key,
            last_seen: now,
            traffic: PerDirection::default(),
            latest: PerDirection::both(Latest::NONE),
            phase,
            marks,
            state,
        };
        if let Some(entry) = self.store.fill(slot, entry) {
            entry.count(seen.direction, seen.length);
            *entry.latest.get_mut(seen.direction) = latest;
        }
        let over = deadline(now, self.timeouts.of(&probe.key, phase));
        self.store.wait(slot, account, phase.evictable(), over);
        self.counters.created = self.counters.created.wrapping_add(1);
        FlowId { slot, generation }
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
            match self.store.rings.place(node) {
                Place::Flow(slot) => match self.deadline_of(slot) {
                    Some(deadline) if deadline > now => self.store.schedule(node, deadline),
                    _ => self.end(slot, EndReason::Idle, ended),
                },
                Place::Timer(account, kind) => {
                    let room = at_most.saturating_sub(looked_at).saturating_add(1);
                    let (taken, next) = self.sweep_list(account, kind, now, room, ended);
                    looked_at = looked_at.saturating_add(taken);
                    // The list's first ones are gone; it waits again for the first that is left.
                    if let Some(deadline) = next {
                        self.store.schedule(node, deadline);
                    }
                }
            }
        }
        looked_at.min(at_most)
    }

    /// Ends the first flows of a list, as far as their time is over: how many, and the deadline of the first that is
    /// left.
    ///
    /// Some at a time are hashed first, and what will be written in the index is asked for, so that the memory
    /// accesses overlap.
    #[inline]
    fn sweep_list(
        &mut self,
        account: u32,
        kind: Evictable,
        now: Tick,
        at_most: usize,
        ended: &mut impl FnMut(EndedFlow<S>),
    ) -> (usize, Option<Tick>) {
        let timeout = self.timeouts.of_idle(kind);
        let list = Node::idle(account, kind);
        let mut taken = 0_usize;
        loop {
            let mut due = [(NOWHERE, 0); AHEAD];
            let mut next = None;
            let mut hashed = 0_usize;
            let mut node = self.store.rings.next(list);
            let room = at_most.saturating_sub(taken);
            for place in due.iter_mut().take(room.max(1)) {
                let Some(slot) = self.store.rings.slot(node) else { break };
                let Some(entry) = self.store.get(slot) else { break };
                let over = deadline(entry.last_seen, timeout);
                if over > now || room == 0 {
                    next = Some(over);
                    break;
                }
                let hash = Index::short(self.seed.hash(&entry.key));
                self.index.fetch(hash);
                *place = (slot, hash);
                hashed = hashed.wrapping_add(1);
                node = self.store.rings.next(node);
            }
            for (slot, hash) in due.iter().take(hashed) {
                if let Some(flow) =
                    self.take_hashed(*slot, *hash, account, Some(kind), EndReason::Idle)
                {
                    ended(flow);
                }
            }
            taken = taken.saturating_add(hashed);
            if hashed == 0 || next.is_some() {
                return (taken, next);
            }
        }
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
        self.take_hashed(slot, Index::short(self.seed.hash(&entry.key)), account, kind, reason)
    }

    #[inline(always)]
    fn take_hashed(
        &mut self,
        slot: u32,
        hash: u32,
        account: u32,
        kind: Option<Evictable>,
        reason: EndReason,
    ) -> Option<EndedFlow<S>> {
        let latest = self.store.get(slot)?.latest;
        self.envelopes.forget(slot, latest);
        self.index.remove(hash, slot);
        self.store.leave(slot, account, kind);
        self.leave_account(account);
        let entry = self.store.take(slot)?;
        self.counters.ended(reason, entry.phase, kind, entry.is_half());
        Some(EndedFlow::new(entry, reason, &self.clock))
    }

    #[inline]
    fn leave_account(&mut self, account: u32) {
        let Some(own) = self.store.accounts.get_mut(account) else { return };
        own.flows = own.flows.wrapping_sub(1);
        if own.flows == 0 {
            self.close_account(account);
        }
    }

    #[cold]
    fn close_account(&mut self, account: u32) {
        for kind in Evictable::ALL {
            self.store.rings.unlink(Node::timer(account, kind));
        }
        self.store.accounts.close(&self.seed, account);
    }
}

/// So many flows are looked at, at most, to find one whose time is over.
const MOST_SWEPT: usize = 256;
