#[cfg(feature = "live")]
use alloc::collections::BTreeMap;
#[cfg(feature = "live")]
use alloc::vec::Vec;
#[cfg(feature = "live")]
use std::collections::HashMap;

#[cfg(feature = "live")]
use crate::gwlb::EndpointId;

/// What was counted of an endpoint.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct EndpointCounters {
    /// Packets received.
    pub received: u64,
    /// Packets sent back.
    pub forwarded: u64,
    /// Bytes of the inner packets received.
    pub bytes: u64,
}

impl EndpointCounters {
    /// Packets received and not sent back.
    pub const fn dropped(&self) -> u64 {
        self.received.wrapping_sub(self.forwarded)
    }

    /// Adds what another one has counted.
    pub fn add(&mut self, other: &Self) {
        self.received = self.received.wrapping_add(other.received);
        self.forwarded = self.forwarded.wrapping_add(other.forwarded);
        self.bytes = self.bytes.wrapping_add(other.bytes);
    }

    #[cfg(feature = "live")]
    fn count(&mut self, inner_len: usize, is_forwarded: bool) {
        let bytes = u64::try_from(inner_len).unwrap_or(u64::MAX);
        self.add(&Self { received: 1, forwarded: is_forwarded.into(), bytes });
    }
}

/// Counters of a worker's endpoints. The one that was counted last is found at once; those beyond `most` are counted
/// together.
#[cfg(feature = "live")]
#[derive(Debug)]
pub(super) struct Endpoints {
    most: usize,
    places: HashMap<EndpointId, usize>,
    counters: Vec<(EndpointId, EndpointCounters)>,
    last: usize,
    further: EndpointCounters,
}

#[cfg(feature = "live")]
impl Endpoints {
    pub(super) fn new(most: usize) -> Self {
        Self {
            most,
            places: HashMap::new(),
            counters: Vec::new(),
            last: 0,
            further: EndpointCounters::default(),
        }
    }

    #[inline]
    pub(super) fn count(&mut self, endpoint: EndpointId, inner_len: usize, is_forwarded: bool) {
        match self.counters.get_mut(self.last) {
            Some((last, counters)) if *last == endpoint => counters.count(inner_len, is_forwarded),
            _ => self.find(endpoint).count(inner_len, is_forwarded),
        }
    }

    fn find(&mut self, endpoint: EndpointId) -> &mut EndpointCounters {
        let free = self.counters.len();
        let place = match self.places.get(&endpoint) {
            Some(place) => *place,
            None if free < self.most => {
                self.places.insert(endpoint, free);
                self.counters.push((endpoint, EndpointCounters::default()));
                free
            }
            None => return &mut self.further,
        };
        self.last = place;
        self.counters.get_mut(place).map_or(&mut self.further, |(_, counters)| counters)
    }

    pub(super) fn named(&self) -> BTreeMap<EndpointId, EndpointCounters> {
        self.counters.iter().copied().collect()
    }

    pub(super) const fn further(&self) -> EndpointCounters {
        self.further
    }
}
