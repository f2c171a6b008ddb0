use alloc::collections::TryReserveError;
use alloc::vec::Vec;

use super::phase::Evictable;
use super::ring::{Links, Place};
use crate::flow::FlowSeed;
use crate::flow::index::Index;
use crate::gwlb::EndpointId;

/// What is kept of each endpoint (or group) that has flows.
pub(super) struct Accounts {
    accounts: Vec<Account>,
    vacant: Vec<u32>,
    index: Index,
    limit: usize,
}

pub(super) struct Account {
    endpoint: EndpointId,
    pub(super) flows: usize,
    pub(super) donor: Links,
    idle: [Links; 3],
    timers: [Links; 3],
}

impl Accounts {
    pub(super) fn new(limit: usize) -> Result<Self, TryReserveError> {
        let (mut accounts, mut vacant) = (Vec::new(), Vec::new());
        accounts.try_reserve_exact(limit)?;
        vacant.try_reserve_exact(limit)?;
        Ok(Self { accounts, vacant, index: Index::new(limit)?, limit })
    }

    pub(super) const fn bytes(limit: usize) -> usize {
        limit
            .saturating_mul(size_of::<Account>().saturating_add(size_of::<u32>()))
            .saturating_add(Index::bytes(limit))
    }

    #[inline]
    pub(super) fn find(&self, seed: &FlowSeed, endpoint: EndpointId) -> Option<u32> {
        self.index.find(Index::short(seed.hash_number(endpoint.0)), |number| {
            self.get(number).is_some_and(|account| account.endpoint == endpoint)
        })
    }

    /// Opens an account without flows; `None` where there are too many of them.
    pub(super) fn open(&mut self, seed: &FlowSeed, endpoint: EndpointId) -> Option<u32> {
        let number = match self.vacant.last() {
            Some(number) => *number,
            None if self.accounts.len() < self.limit => u32::try_from(self.accounts.len()).ok()?,
            None => return None,
        };
        if !self.index.insert(Index::short(seed.hash_number(endpoint.0)), number) {
            return None;
        }
        let alone = |place: Place| Links::alone(place.into());
        let account = Account {
            endpoint,
            flows: 0,
            donor: alone(Place::Donor(number)),
            idle: Evictable::ALL.map(|kind| alone(Place::Idle(number, kind))),
            timers: Evictable::ALL.map(|kind| alone(Place::Timer(number, kind))),
        };
        match self.get_mut(number) {
            Some(vacant) => {
                *vacant = account;
                self.vacant.pop();
            }
            None => self.accounts.push(account),
        }
        Some(number)
    }

    /// Closes an account that has no flows and stands in no ring.
    pub(super) fn close(&mut self, seed: &FlowSeed, number: u32) {
        let Some(endpoint) = self.get(number).map(|account| account.endpoint) else { return };
        self.index.remove(Index::short(seed.hash_number(endpoint.0)), number);
        self.vacant.push(number);
    }

    pub(super) fn has_room(&self) -> bool {
        self.accounts.len() < self.limit || !self.vacant.is_empty()
    }

    #[inline]
    pub(super) fn get(&self, number: u32) -> Option<&Account> {
        self.accounts.get(usize::try_from(number).ok()?)
    }

    #[inline]
    pub(super) fn get_mut(&mut self, number: u32) -> Option<&mut Account> {
        self.accounts.get_mut(usize::try_from(number).ok()?)
    }
}

impl Account {
    #[inline]
    pub(super) fn idle(&self, kind: Evictable) -> Links {
        kind.of(self.idle)
    }

    #[inline]
    pub(super) fn idle_mut(&mut self, kind: Evictable) -> &mut Links {
        kind.of(self.idle.each_mut())
    }

    #[inline]
    pub(super) fn timer(&self, kind: Evictable) -> Links {
        kind.of(self.timers)
    }

    #[inline]
    pub(super) fn timer_mut(&mut self, kind: Evictable) -> &mut Links {
        kind.of(self.timers.each_mut())
    }
}

impl Evictable {
    #[inline]
    fn of<T>(self, [half_open, closed, unanswered]: [T; 3]) -> T {
        match self {
            Self::HalfOpen => half_open,
            Self::Closed => closed,
            Self::Unanswered => unanswered,
        }
    }
}
