use alloc::vec;
use alloc::vec::Vec;

use super::region::{DESTINATION, DESTINATION_PORT, Ranges, Region, SOURCE, choosiness};

/// The fields that regions may hang on.
pub(super) const HOOKS: [usize; 3] = [SOURCE, DESTINATION, DESTINATION_PORT];

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

/// Whether a region hangs on each interval of a field.
struct Room {
    edges: Vec<u128>,
    taken: Vec<bool>,
}

impl Room {
    fn new(regions: &[(u32, Region)], field: usize) -> Self {
        let ranges = regions.iter().filter_map(|(_, region)| region.fields.get(field)?.as_ref());
        let ends = |(first, last): &(u128, u128)| [Some(*first), last.checked_add(1)];
        let mut edges: Vec<u128> = ranges.flatten().flat_map(ends).flatten().collect();
        edges.sort_unstable();
        edges.dedup();
        Self { taken: vec![false; edges.len()], edges }
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
        let full = |it: &[bool]| it.contains(&true);
        if places.iter().any(|it| self.taken.get(it.clone()).is_none_or(full)) {
            return false;
        }
        for place in places {
            self.taken.get_mut(place).unwrap_or_default().fill(true);
        }
        true
    }
}
