use alloc::collections::VecDeque;
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

/// What is remembered beyond flows, for all workers: how often rules have held, and bits of addresses. So many of each, beyond which the
/// oldest is forgotten.
#[derive(Debug)]
pub(in super::super) struct Tables {
    counts: Bounded<CountKey, Count>,
    bits: Bounded<BitKey, Timestamp>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct CountKey {
    rule: u32,
    is_filter: bool,
    endpoint: EndpointId,
    who: Who,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct BitKey {
    bit: u32,
    endpoint: EndpointId,
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

#[derive(Clone, Copy, Debug)]
struct Count {
    since: Timestamp,
    count: u32,
}

impl Tables {
    pub(in super::super) fn new(most: usize) -> Self {
        Self { counts: Bounded::new(most), bits: Bounded::new(most) }
    }

    /// Counts a match, and says whether the rule counts.
    pub(in super::super) fn filter(
        &mut self,
        rule: u32,
        filter: &DetectionFilter,
        packet: &Packet<'_>,
        now: Timestamp,
    ) -> bool {
        let key = CountKey {
            rule,
            is_filter: true,
            endpoint: packet.endpoint(),
            who: Who::counted(filter.track, packet),
        };
        let count = self.counts.entry(key, || Count { since: now, count: 0 });
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
        let key = CountKey {
            rule,
            is_filter: false,
            endpoint: packet.endpoint(),
            who: Who::counted(threshold.track, packet),
        };
        let count = self.counts.entry(key, || Count { since: now, count: 0 });
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
        let until = self.bits.get(&BitKey::of(number, bit, packet));
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
        let key = BitKey::of(number, bit, packet);
        let is_set = self.bits.get(&key).is_some_and(|until| now < *until);
        let sets = match bit.action {
            BitAction::Set => true,
            BitAction::Toggle => !is_set,
            BitAction::Unset => false,
            BitAction::IsSet | BitAction::IsNotSet => return,
        };
        if sets {
            let seconds = bit.expire.map_or(DEFAULT_EXPIRE, |expire| expire.get());
            *self.bits.entry(key, || now) = now.saturating_add(seconds_of(seconds));
        } else if is_set {
            *self.bits.entry(key, || now) = Timestamp::EPOCH;
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
        let is_over = now < self.since || now >= self.since.saturating_add(seconds_of(seconds));
        if is_over {
            *self = Self { since: now, count: 0 };
        }
        self.count = self.count.saturating_add(1);
    }
}

impl Who {
    fn counted(track: Track, packet: &Packet<'_>) -> Self {
        let tuple = packet.five_tuple();
        match track {
            Track::Source => Self::One(tuple.source()),
            Track::Destination => Self::One(tuple.destination()),
            Track::Both => Self::Pair(tuple.source(), tuple.destination()),
            Track::Rule => Self::All,
            Track::Flow => Self::Flow(*packet.flow()),
        }
    }
}

impl BitKey {
    fn of(bit: u32, what: &CrossBit, packet: &Packet<'_>) -> Self {
        let tuple = packet.five_tuple();
        let (source, destination) = (tuple.source(), tuple.destination());
        let who = match what.track {
            TrackBits::Source => Who::One(source),
            TrackBits::Destination => Who::One(destination),
            TrackBits::Pair => Who::Pair(source.min(destination), source.max(destination)),
        };
        Self { bit, endpoint: packet.endpoint(), who }
    }
}

/// A map that forgets what was put in first.
#[derive(Debug)]
struct Bounded<K, V> {
    map: HashMap<K, V>,
    order: VecDeque<K>,
    most: usize,
}

impl<K: Copy + Eq + Hash, V> Bounded<K, V> {
    fn new(most: usize) -> Self {
        Self { map: HashMap::new(), order: VecDeque::new(), most: most.max(1) }
    }

    fn get(&self, key: &K) -> Option<&V> {
        self.map.get(key)
    }

    fn entry(&mut self, key: K, first: impl FnOnce() -> V) -> &mut V {
        if !self.map.contains_key(&key) {
            if self.order.len() >= self.most {
                if let Some(oldest) = self.order.pop_front() {
                    self.map.remove(&oldest);
                }
            }
            self.order.push_back(key);
        }
        self.map.entry(key).or_insert_with(first)
    }
}

#[cfg(test)]
mod tests {
    use core::num::NonZeroU32;

    use super::*;

    #[test]
    fn what_was_put_in_first_is_forgotten_first() {
        let mut bounded = Bounded::new(2);
        for key in [1, 2, 1, 3] {
            *bounded.entry(key, || 0) += 1;
        }
        assert_eq!((bounded.get(&1), bounded.get(&2), bounded.get(&3)), (None, Some(&1), Some(&1)));
        assert_eq!(bounded.order.len(), bounded.map.len());
    }

    #[test]
    fn counting_begins_anew_when_the_time_is_over() {
        let second = |seconds| Timestamp::EPOCH.saturating_add(seconds_of(seconds));
        let mut count = Count { since: second(10), count: 0 };
        let counts = [10, 11, 69, 70, 129, 130].map(|now| {
            count.add(second(now), NonZeroU32::new(60).unwrap().get());
            count.count
        });
        assert_eq!(counts, [1, 2, 3, 1, 2, 1]);
    }
}
