use alloc::vec;
use alloc::vec::Vec;

use super::index;
use super::region::{
    DESTINATION, DESTINATION_PORT, ENDPOINT, FIELDS, PROTOCOL, Ranges, Region, SOURCE, SOURCE_PORT,
    UNKNOWN_PORTS, UNKNOWN_RANGE, choosiness,
};
use super::table::Key;

/// The fields that regions may hang on.
pub(super) const HOOKS: [usize; 3] = [SOURCE, DESTINATION, DESTINATION_PORT];

/// How many regions hang on one value at most: so many boxes are compared for each of the [`HOOKS`].
const MOST_ON_ONE: u8 = 2;

/// How many intervals of its field a region may hang on. More would make building slow.
const WIDEST: usize = 2048;

/// For each region the field that it hangs on, if it can.
///
/// The choosiest are hung first, each on the field in which it is choosiest and which has room for it.
pub(super) fn choose(regions: &[(u32, Region)], address_bits: usize) -> Vec<Option<usize>> {
    let mut rooms = HOOKS.map(|field| Room::new(regions, field));
    let mut wishes = Vec::new();
    for (number, (_, region)) in regions.iter().enumerate() {
        for (hook, field) in HOOKS.into_iter().enumerate() {
            let bits = choosiness(region, field, address_bits);
            wishes.extend(bits.map(|bits| (usize::MAX.saturating_sub(bits), number, hook, field)));
        }
    }
    wishes.sort_unstable();
    let mut chosen = vec![None; regions.len()];
    for (_, number, hook, field) in wishes {
        let (Some(chosen), Some(room)) = (chosen.get_mut(number), rooms.get_mut(hook)) else {
            continue;
        };
        let ranges = regions.get(number).and_then(|(_, region)| region.fields.get(field));
        if chosen.is_none() && ranges.is_some_and(|ranges| room.take(ranges)) {
            *chosen = Some(field);
        }
    }
    chosen
}

/// How many regions hang on each interval of a field.
struct Room {
    edges: Vec<u128>,
    taken: Vec<u8>,
}

impl Room {
    fn new(regions: &[(u32, Region)], field: usize) -> Self {
        let ranges = regions.iter().filter_map(|(_, region)| region.fields.get(field)?.as_ref());
        let ends = |(first, last): &(u128, u128)| [Some(*first), last.checked_add(1)];
        let mut edges: Vec<u128> = ranges.flatten().flat_map(ends).flatten().collect();
        edges.sort_unstable();
        edges.dedup();
        Self { taken: vec![0; edges.len()], edges }
    }

    /// Whether there was room.
    fn take(&mut self, ranges: &Ranges) -> bool {
        let place = |value: u128| self.edges.partition_point(|edge| *edge < value);
        let places: Vec<_> = ranges
            .iter()
            .flatten()
            .map(|(first, last)| place(*first)..last.checked_add(1).map_or(self.edges.len(), place))
            .collect();
        if places.iter().map(ExactSizeIterator::len).fold(0, usize::saturating_add) > WIDEST {
            return false;
        }
        let full = |taken: &u8| *taken >= MOST_ON_ONE;
        if places.iter().any(|it| self.taken.get(it.clone()).is_none_or(|it| it.iter().any(full))) {
            return false;
        }
        for place in places {
            let taken = self.taken.get_mut(place).unwrap_or_default();
            taken.iter_mut().for_each(|taken| *taken = taken.saturating_add(1));
        }
        true
    }
}

/// A region from its lowest to its highest value in each field.
#[derive(Clone, Copy, Debug)]
pub(super) struct Hull<A> {
    pub(super) rule: u32,
    /// Whether the region takes everything in between.
    pub(super) exact: bool,
    protocols: (u8, u8),
    source_ports: (u32, u32),
    destination_ports: (u32, u32),
    sources: (A, A),
    destinations: (A, A),
    endpoints: (u64, u64),
}

impl<A: index::Key> Hull<A> {
    pub(super) fn of(rule: u32, region: &Region, highest_address: A) -> Self {
        let exact = (0..FIELDS).all(|field| known(region, field).is_none_or(|it| it.count() == 1));
        Self {
            rule,
            exact,
            protocols: hull(region, PROTOCOL, u8::MAX),
            source_ports: hull(region, SOURCE_PORT, UNKNOWN_PORTS),
            destination_ports: hull(region, DESTINATION_PORT, UNKNOWN_PORTS),
            sources: hull(region, SOURCE, highest_address),
            destinations: hull(region, DESTINATION, highest_address),
            endpoints: hull(region, ENDPOINT, u64::MAX),
        }
    }

    /// Whether a flow may be in the region; where its ports are unknown, they are not looked at.
    #[inline]
    pub(super) fn may_take(&self, key: &Key<A>) -> bool {
        // Not `&&`: one of the two is true where the region hangs on it, and the other one hardly ever.
        within(key.destination, self.destinations) & within(key.source, self.sources)
            && (key.destination_port == UNKNOWN_PORTS
                || within(key.destination_port, self.destination_ports)
                    && within(key.source_port, self.source_ports))
            && within(key.protocol, self.protocols)
            && within(key.endpoint, self.endpoints)
    }
}

#[inline]
fn within<T: Ord>(value: T, (first, last): (T, T)) -> bool {
    (first <= value) & (value <= last)
}

fn hull<T: index::Key>(region: &Region, field: usize, highest: T) -> (T, T) {
    let number = |value: u128| T::try_from(value).unwrap_or(highest);
    known(region, field).map_or((T::default(), highest), |mut ranges| {
        let (first, mut last) = ranges.next().unwrap_or_default();
        last = ranges.last().map_or(last, |range| range.1);
        (number(first), number(last))
    })
}

/// The ranges of a field without the mark that unknown ports are taken, too.
fn known(region: &Region, field: usize) -> Option<impl Iterator<Item = (u128, u128)>> {
    let ranges = region.fields.get(field)?.as_ref()?;
    let ports = matches!(field, SOURCE_PORT | DESTINATION_PORT);
    Some(ranges.iter().copied().filter(move |range| !ports || *range != UNKNOWN_RANGE))
}
