use alloc::collections::{BTreeSet, VecDeque};
use core::hash::Hash;
use core::net::IpAddr;
use std::collections::HashMap;

use super::super::{
    BitAction, CrossBit, DetectionFilter, Threshold, ThresholdKind, Track, TrackBits,
};
use crate::Timestamp;
use crate::flow::FlowKey;
use crate::gwlb::EndpointId;
use crate::inspect::Packet;
use crate::packet::FiveTuple;

/// What is remembered beyond flows, for all workers: how often rules have held, and bits of addresses. So many of each, and of each for an
/// endpoint, beyond which the oldest is forgotten.
#[derive(Debug)]
pub(in super::super) struct Tables {
    counts: Bounded<CountKey, Count>,
    bits: Bounded<BitKey, Timestamp>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct CountKey {
    rule: u32,
    is_filter: bool,
    who: Who,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct BitKey {
    bit: u32,
    who: Who,
}

/// Who is counted by himself.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Who {
    All,
    One(IpAddr),
    Pair(IpAddr, IpAddr),
    Flow(FlowKey),
}

#[derive(Clone, Copy, Debug, Default)]
struct Count {
    since: Timestamp,
    until: Timestamp,
    count: u32,
}

impl Tables {
    pub(in super::super) fn new(most: usize, most_of_endpoint: usize) -> Self {
        Self {
            counts: Bounded::new(most, most_of_endpoint),
            bits: Bounded::new(most, most_of_endpoint),
        }
    }

    /// How many made room for others before their time was over.
    pub(in super::super) const fn forgotten(&self) -> u64 {
        self.counts.forgotten.saturating_add(self.bits.forgotten)
    }

    /// Counts a match, and says whether the rule counts.
    pub(in super::super) fn filter(
        &mut self,
        rule: u32,
        filter: &DetectionFilter,
        packet: &Packet<'_>,
        now: Timestamp,
    ) -> bool {
        let key = CountKey { rule, is_filter: true, who: Who::counted(filter.track, packet) };
        let count = self.counts.entry(packet.endpoint(), key, now, Count::default);
        count.add(now, filter.seconds.get());
        count.count > filter.count.get()
    }

    /// Counts an alert, and says whether it is told.
    pub(in super::super) fn threshold(
        &mut self,
        rule: u32,
        threshold: &Threshold,
        packet: &Packet<'_>,
        now: Timestamp,
    ) -> bool {
        let key = CountKey { rule, is_filter: false, who: Who::counted(threshold.track, packet) };
        let count = self.counts.entry(packet.endpoint(), key, now, Count::default);
        count.add(now, threshold.seconds.get());
        let most = threshold.count.get();
        match threshold.kind {
            ThresholdKind::Limit => count.count <= most,
            ThresholdKind::Once => count.count == most,
            ThresholdKind::Every => {
                let is_told = count.count >= most;
                if is_told {
                    count.count = 0;
                }
                is_told
            }
        }
    }

    /// Whether what is asked of a bit is so.
    pub(in super::super) fn is_bit(
        &self,
        number: u32,
        bit: &CrossBit,
        packet: &Packet<'_>,
        now: Timestamp,
    ) -> bool {
        let until = self.bits.get(packet.endpoint(), BitKey::of(number, bit, packet));
        let is_set = until.is_some_and(|until| now < *until);
        match bit.action {
            BitAction::IsSet => is_set,
            BitAction::IsNotSet => !is_set,
            _ => true,
        }
    }

    /// Does to a bit what is to be done.
    pub(in super::super) fn change(
        &mut self,
        number: u32,
        bit: &CrossBit,
        packet: &Packet<'_>,
        now: Timestamp,
    ) {
        let (endpoint, key) = (packet.endpoint(), BitKey::of(number, bit, packet));
        let is_set = self.bits.get(endpoint, key).is_some_and(|until| now < *until);
        let sets = match bit.action {
            BitAction::Set => true,
            BitAction::Toggle => !is_set,
            BitAction::Unset => false,
            BitAction::IsSet | BitAction::IsNotSet => return,
        };
        if sets {
            let seconds = bit.expire.map_or(DEFAULT_EXPIRE, |expire| expire.get());
            *self.bits.entry(endpoint, key, now, || now) = now.saturating_add(seconds_of(seconds));
        } else if is_set {
            *self.bits.entry(endpoint, key, now, || now) = Timestamp::EPOCH;
        }
    }
}

/// Of a bit that does not say for how long it is set.
const DEFAULT_EXPIRE: u32 = 30;

fn seconds_of(seconds: u32) -> core::time::Duration {
    core::time::Duration::from_secs(seconds.into())
}

impl Count {
    fn add(&mut self, now: Timestamp, seconds: u32) {
        if self.is_over(now) {
            *self = Self { since: now, until: now.saturating_add(seconds_of(seconds)), count: 0 };
        }
        self.count = self.count.saturating_add(1);
    }
}

impl Who {
    /// Two that talk to each other, whoever of them does.
    fn pair(tuple: &FiveTuple) -> Self {
        let (source, destination) = (tuple.source(), tuple.destination());
        Self::Pair(source.min(destination), source.max(destination))
    }

    fn counted(track: Track, packet: &Packet<'_>) -> Self {
        let tuple = packet.five_tuple();
        match track {
            Track::Source => Self::One(tuple.source()),
            Track::Destination => Self::One(tuple.destination()),
            Track::Both => Self::pair(&tuple),
            Track::Rule => Self::All,
            Track::Flow => Self::Flow(*packet.flow()),
        }
    }
}

impl BitKey {
    fn of(bit: u32, what: &CrossBit, packet: &Packet<'_>) -> Self {
        let tuple = packet.five_tuple();
        let who = match what.track {
            TrackBits::Source => Who::One(tuple.source()),
            TrackBits::Destination => Who::One(tuple.destination()),
            TrackBits::Pair => Who::pair(&tuple),
        };
        Self { bit, who }
    }
}

/// What means something for some time only.
trait Passing {
    fn is_over(&self, now: Timestamp) -> bool;
}

impl Passing for Count {
    fn is_over(&self, now: Timestamp) -> bool {
        now < self.since || now >= self.until
    }
}

/// Until when a bit is set.
impl Passing for Timestamp {
    fn is_over(&self, now: Timestamp) -> bool {
        now >= *self
    }
}

/// A map of all endpoints that forgets what was put in first: of the endpoint that something is put in for, if it has as much as one may
/// have, and otherwise of the one that has most. So an endpoint that has no more than an equal part loses nothing to others.
#[derive(Debug)]
struct Bounded<K, V> {
    map: HashMap<(EndpointId, K), V>,
    /// What there is of each endpoint, the oldest first.
    orders: HashMap<EndpointId, VecDeque<K>>,
    /// How much that is.
    sizes: BTreeSet<(usize, EndpointId)>,
    most: usize,
    most_of_endpoint: usize,
    /// How many were forgotten that still meant something.
    forgotten: u64,
}

impl<K: Copy + Eq + Hash, V: Passing> Bounded<K, V> {
    fn new(most: usize, most_of_endpoint: usize) -> Self {
        Self {
            map: HashMap::new(),
            orders: HashMap::new(),
            sizes: BTreeSet::new(),
            most: most.max(1),
            most_of_endpoint: most_of_endpoint.max(1),
            forgotten: 0,
        }
    }

    fn get(&self, endpoint: EndpointId, key: K) -> Option<&V> {
        self.map.get(&(endpoint, key))
    }

    fn entry(
        &mut self,
        endpoint: EndpointId,
        key: K,
        now: Timestamp,
        first: impl FnOnce() -> V,
    ) -> &mut V {
        if !self.map.contains_key(&(endpoint, key)) {
            self.make_room(endpoint, now);
            let order = self.orders.entry(endpoint).or_default();
            order.push_back(key);
            let size = order.len();
            self.resize(endpoint, size.saturating_sub(1), size);
        }
        self.map.entry((endpoint, key)).or_insert_with(first)
    }

    fn make_room(&mut self, endpoint: EndpointId, now: Timestamp) {
        let own = self.orders.get(&endpoint).map_or(0, VecDeque::len);
        let is_full = self.map.len() >= self.most;
        let whose = match self.sizes.last() {
            _ if own >= self.most_of_endpoint => endpoint,
            Some((size, largest)) if is_full && *size > own => *largest,
            _ if is_full => endpoint,
            _ => return,
        };
        self.forget_oldest(whose, now);
    }

    fn forget_oldest(&mut self, endpoint: EndpointId, now: Timestamp) {
        let Some(order) = self.orders.get_mut(&endpoint) else { return };
        let Some(oldest) = order.pop_front() else { return };
        let size = order.len();
        match order.capacity().checked_div(size) {
            None => {
                self.orders.remove(&endpoint);
            }
            // What endpoints had once must not add up.
            Some(4..) if order.capacity() > 64 => order.shrink_to(size.saturating_mul(2)),
            Some(_) => {}
        }
        self.resize(endpoint, size.saturating_add(1), size);
        if self.map.remove(&(endpoint, oldest)).is_some_and(|it| !it.is_over(now)) {
            self.forgotten = self.forgotten.saturating_add(1);
        }
    }

    fn resize(&mut self, endpoint: EndpointId, from: usize, to: usize) {
        self.sizes.remove(&(from, endpoint));
        if to > 0 {
            self.sizes.insert((to, endpoint));
        }
    }
}

#[cfg(test)]
mod tests {
    use core::num::NonZeroU32;

    use super::*;

    impl Passing for u32 {
        fn is_over(&self, _: Timestamp) -> bool {
            *self == 0
        }
    }

    fn put(bounded: &mut Bounded<u32, u32>, endpoint: u64, key: u32) {
        *bounded.entry(EndpointId(endpoint), key, Timestamp::EPOCH, || 0) += 1;
        let orders = bounded.orders.iter();
        let sizes = orders.map(|(endpoint, order)| (order.len(), *endpoint)).collect();
        assert_eq!(bounded.sizes, sizes);
        let kept: usize = bounded.orders.values().map(VecDeque::len).sum();
        assert_eq!(bounded.map.len(), kept);
        assert!(kept <= bounded.most);
    }

    fn kept(bounded: &Bounded<u32, u32>, endpoint: u64) -> usize {
        bounded.orders.get(&EndpointId(endpoint)).map_or(0, VecDeque::len)
    }

    #[test]
    fn what_was_put_in_first_is_forgotten_first() {
        let mut bounded = Bounded::new(2, 2);
        for key in [1, 2, 1, 3] {
            put(&mut bounded, 1, key);
        }
        let found = [1, 2, 3].map(|key| bounded.get(EndpointId(1), key).copied());
        assert_eq!((found, bounded.forgotten), ([None, Some(1), Some(1)], 1));
    }

    #[test]
    fn an_endpoint_makes_room_for_itself_and_has_no_more_than_its_share() {
        let mut bounded = Bounded::new(100, 75);
        for key in 0..20 {
            put(&mut bounded, 2, key);
        }
        for key in 0..10_000 {
            put(&mut bounded, 1, key);
        }
        assert_eq!((kept(&bounded, 1), kept(&bounded, 2)), (75, 20));
        // A newcomer takes it from the one that has most, up to an equal part.
        for key in 0..10_000 {
            put(&mut bounded, 3, key);
        }
        assert_eq!([1, 2, 3].map(|it| kept(&bounded, it)), [40, 20, 40]);
        assert!((0..20).all(|key| bounded.get(EndpointId(2), key).is_some()));
    }

    #[test]
    fn one_entry_of_each_of_many_endpoints_takes_no_more_memory_than_many_of_one() {
        let mut bounded = Bounded::new(50, 50);
        for key in 0..50 {
            put(&mut bounded, 0, key);
        }
        for endpoint in 1..1_000 {
            put(&mut bounded, endpoint, 7);
        }
        let orders = bounded.orders.values();
        assert!(orders.map(VecDeque::capacity).sum::<usize>() < 50 * 10);
        assert!(bounded.orders.len() <= 50);
    }

    #[test]
    fn what_was_over_is_not_counted_as_forgotten() {
        let second = |seconds| Timestamp::EPOCH.saturating_add(seconds_of(seconds));
        let mut bits = Bounded::new(1, 1);
        let mut set = |key: u32, now| {
            *bits.entry(EndpointId(1), key, second(now), || second(0)) = second(now + 10);
            bits.forgotten
        };
        assert_eq!([set(1, 0), set(2, 10), set(3, 19)], [0, 0, 1]);
    }

    #[test]
    fn counting_begins_anew_when_the_time_is_over() {
        let second = |seconds| Timestamp::EPOCH.saturating_add(seconds_of(seconds));
        let mut count = Count::default();
        let counts = [10, 11, 69, 70, 129, 130].map(|now| {
            count.add(second(now), NonZeroU32::new(60).unwrap().get());
            count.count
        });
        assert_eq!(counts, [1, 2, 3, 1, 2, 1]);
    }
}
