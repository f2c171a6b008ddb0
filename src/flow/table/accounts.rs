use alloc::collections::TryReserveError;
use alloc::vec::Vec;

use crate::flow::FlowSeed;
use crate::flow::index::Index;
use crate::gwlb::EndpointId;

/// What is kept of each endpoint (or group) that has flows.
pub(super) struct Accounts {
    accounts: Vec<Account>,
    vacant: Vec<u32>,
    index: Index,
    /// The one that was found last: mostly the next one too.
    recent: u32,
    limit: usize,
}

pub(super) struct Account {
    pub(super) endpoint: EndpointId,
    pub(super) flows: usize,
    /// How many there may be.
    pub(super) quota: usize,
}

impl Accounts {
    pub(super) fn new(limit: usize) -> Result<Self, TryReserveError> {
        let (mut accounts, mut vacant) = (Vec::new(), Vec::new());
        accounts.try_reserve_exact(limit)?;
        vacant.try_reserve_exact(limit)?;
        Ok(Self { accounts, vacant, index: Index::new(limit)?, recent: 0, limit })
    }

    pub(super) const fn bytes(limit: usize) -> usize {
        limit
            .saturating_mul(size_of::<Account>().saturating_add(size_of::<u32>()))
            .saturating_add(Index::bytes(limit))
    }

    /// Enters one flow more into the account that was found last, if it is this endpoint's and below its quota.
    #[inline]
    pub(super) fn enter_recent(&mut self, endpoint: EndpointId) -> Option<u32> {
        let number = self.recent;
        let recent = self.get_mut(number)?;
        if recent.endpoint != endpoint || recent.flows == 0 || recent.flows >= recent.quota {
            return None;
        }
        recent.flows = recent.flows.wrapping_add(1);
        Some(number)
    }

    #[inline]
    pub(super) fn find(&mut self, seed: &FlowSeed, endpoint: EndpointId) -> Option<u32> {
        match self.get(self.recent) {
            Some(recent) if recent.endpoint == endpoint && recent.flows != 0 => Some(self.recent),
            _ => self.find_another(seed, endpoint),
        }
    }

    #[inline(never)]
    fn find_another(&mut self, seed: &FlowSeed, endpoint: EndpointId) -> Option<u32> {
        let found = self.index.find(Index::short(seed.hash_number(endpoint.0)), |number| {
            self.get(number).is_some_and(|account| account.endpoint == endpoint)
        })?;
        self.recent = found;
        Some(found)
    }

    /// Opens an account without flows; `None` where there are too many of them.
    pub(super) fn open(
        &mut self,
        seed: &FlowSeed,
        endpoint: EndpointId,
        quota: usize,
    ) -> Option<u32> {
        let number = match self.vacant.last() {
            Some(number) => *number,
            None if self.accounts.len() < self.limit => u32::try_from(self.accounts.len()).ok()?,
            None => return None,
        };
        if !self.index.insert(Index::short(seed.hash_number(endpoint.0)), number) {
            return None;
        }
        let account = Account { endpoint, flows: 0, quota };
        match self.get_mut(number) {
            Some(vacant) => {
                *vacant = account;
                self.vacant.pop();
            }
            None => self.accounts.push(account),
        }
        Some(number)
    }

    /// Gives each account its quota anew.
    pub(super) fn set_quotas(&mut self, quota_of: impl Fn(EndpointId) -> usize) {
        for account in &mut self.accounts {
            account.quota = quota_of(account.endpoint);
        }
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
