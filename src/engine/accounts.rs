use alloc::collections::TryReserveError;
use alloc::vec::Vec;
use core::mem::size_of;

use super::streams::Place;
use crate::gwlb::EndpointId;
use crate::stream::Share;

/// What each endpoint (or group) has of the places and the memory for streams, so that none has more than its share.
///
/// They are found in the order of the endpoints' numbers: there are few endpoints, and no two numbers can be made to
/// collide.
#[derive(Debug)]
pub(super) struct Accounts {
    accounts: Vec<Account>,
    vacant: Vec<u32>,
    by_endpoint: Vec<(EndpointId, u32)>,
    most: usize,
    /// Whose turn it is to give up places for others.
    donor: usize,
}

#[derive(Debug)]
pub(super) struct Account {
    /// Places that are taken.
    pub(super) places: usize,
    /// Whether something is kept of it without a place.
    pub(super) is_held: bool,
    /// The first and the last of those that can be given up for others, which are chained: see
    /// [`Entry`](super::streams::Entry).
    pub(super) first: Place,
    pub(super) last: Place,
    /// What it has of the pool, while others are at hand.
    pub(super) share: Share,
    /// The same of the room for messages.
    pub(super) gathered: usize,
}

/// The number of none.
pub(super) const NOBODY: u32 = u32::MAX;

impl Accounts {
    /// For so many endpoints at a time.
    pub(super) fn new(most: usize) -> Result<Self, TryReserveError> {
        let (mut accounts, mut vacant, mut by_endpoint) = (Vec::new(), Vec::new(), Vec::new());
        accounts.try_reserve_exact(most)?;
        vacant.try_reserve_exact(most)?;
        by_endpoint.try_reserve_exact(most)?;
        Ok(Self { accounts, vacant, by_endpoint, most, donor: 0 })
    }

    pub(super) const fn bytes(most: usize) -> usize {
        most.saturating_mul(
            size_of::<Account>()
                .saturating_add(size_of::<u32>())
                .saturating_add(size_of::<(EndpointId, u32)>()),
        )
    }

    pub(super) fn find(&self, endpoint: EndpointId) -> Option<u32> {
        let at = self.position(endpoint).ok()?;
        self.by_endpoint.get(at).map(|(_, number)| *number)
    }

    /// That of an endpoint, a new one where it has none; `None` where there are too many of them.
    pub(super) fn open(&mut self, endpoint: EndpointId) -> Option<u32> {
        let at = match self.position(endpoint) {
            Ok(at) => return self.by_endpoint.get(at).map(|(_, number)| *number),
            Err(at) => at,
        };
        let account = Account {
            places: 0,
            is_held: false,
            first: Place::NONE,
            last: Place::NONE,
            share: Share::new(),
            gathered: 0,
        };
        let number = match self.vacant.pop() {
            Some(number) => {
                *self.get_mut(number)? = account;
                number
            }
            None if self.accounts.len() >= self.most => return None,
            None => {
                let number = u32::try_from(self.accounts.len()).ok().filter(|it| *it != NOBODY)?;
                self.accounts.push(account);
                number
            }
        };
        self.by_endpoint.insert(at, (endpoint, number));
        Some(number)
    }

    /// Closes an account of which nothing is left.
    pub(super) fn close_if_empty(&mut self, number: u32, endpoint: EndpointId) {
        let is_empty = self.get(number).is_some_and(|it| it.places == 0 && !it.is_held);
        if let (true, Ok(at)) = (is_empty, self.position(endpoint)) {
            self.by_endpoint.remove(at);
            self.vacant.push(number);
        }
    }

    #[inline]
    pub(super) fn get(&self, number: u32) -> Option<&Account> {
        self.accounts.get(number as usize)
    }

    #[inline]
    pub(super) fn get_mut(&mut self, number: u32) -> Option<&mut Account> {
        self.accounts.get_mut(number as usize)
    }

    /// The first that can be given up of any endpoint, of each in turn.
    pub(super) fn spare_of_any(&mut self) -> Option<Place> {
        let count = self.accounts.len();
        let (before, after) = self.accounts.split_at_checked(self.donor).unwrap_or((&[], &[]));
        let in_turn = after.iter().chain(before).enumerate();
        let (steps, spare) =
            in_turn.map(|(at, it)| (at, it.first)).find(|(_, first)| *first != Place::NONE)?;
        let next = self.donor.saturating_add(steps).saturating_add(1);
        self.donor = next.checked_rem(count).unwrap_or(0);
        Some(spare)
    }

    fn position(&self, endpoint: EndpointId) -> Result<usize, usize> {
        self.by_endpoint.binary_search_by_key(&endpoint, |(endpoint, _)| *endpoint)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_used_again_and_there_are_no_more_than_said() {
        let mut accounts = Accounts::new(2).unwrap();
        let (a, b) = (accounts.open(EndpointId(7)).unwrap(), accounts.open(EndpointId(3)).unwrap());
        assert_eq!(
            (accounts.open(EndpointId(7)), accounts.find(EndpointId(3))),
            (Some(a), Some(b))
        );
        assert_eq!(accounts.open(EndpointId(5)), None);
        accounts.get_mut(a).unwrap().is_held = true;
        accounts.close_if_empty(a, EndpointId(7));
        assert_eq!(accounts.find(EndpointId(7)), Some(a));
        accounts.get_mut(a).unwrap().is_held = false;
        accounts.close_if_empty(a, EndpointId(7));
        assert_eq!((accounts.find(EndpointId(7)), accounts.open(EndpointId(5))), (None, Some(a)));
    }

    #[test]
    fn those_who_have_something_give_it_up_in_turn() {
        let mut accounts = Accounts::new(4).unwrap();
        for number in 0..4 {
            let account = accounts.open(EndpointId(number)).unwrap();
            accounts.get_mut(account).unwrap().first =
                [Place::NONE, Place(1), Place::NONE, Place(3)][account as usize];
        }
        let given: Vec<_> = (0..4).map(|_| accounts.spare_of_any().unwrap()).collect();
        assert_eq!(given, [Place(1), Place(3), Place(1), Place(3)]);
        assert_eq!(Accounts::new(1).unwrap().spare_of_any(), None);
    }
}
