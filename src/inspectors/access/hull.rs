use alloc::vec::Vec;

use super::index;
use super::layout::NO_RULE;
use super::region::{
    DESTINATION, DESTINATION_PORT, ENDPOINT, FIELDS, PROTOCOL, Region, SOURCE, SOURCE_PORT,
    UNKNOWN_PORTS, UNKNOWN_RANGE,
};
use super::table::Key;

/// Boxes that are compared with a flow one by one.
///
/// The box at the first place takes nothing.
#[derive(Clone, Debug)]
pub(super) struct Hulls<A> {
    hulls: Vec<Hull<A>>,
    /// The regions that are not all of their hulls.
    ragged: Vec<Region>,
}

/// A region from its lowest to its highest value in each field. In cache lines of its own.
#[derive(Clone, Copy, Debug)]
#[repr(align(64))]
struct Hull<A> {
    sources: Span<A>,
    destinations: Span<A>,
    endpoints: Span<u64>,
    /// The lowest and the highest protocol and ports, [packed](pack).
    lowest: u64,
    highest: u64,
    rule: u32,
    /// A place in `ragged`, or [`EXACT`].
    ragged: u32,
}

/// The region takes everything in between.
const EXACT: u32 = u32::MAX;

impl<A: index::Key> Hulls<A> {
    pub(super) fn new() -> Self {
        let nothing = Hull::of(NO_RULE, EXACT, &Region::default());
        Self { hulls: Vec::from([nothing]), ragged: Vec::new() }
    }

    /// The place of a region.
    pub(super) fn add(&mut self, rule: u32, region: &Region) -> u32 {
        let is_exact =
            (0..FIELDS).all(|field| known(region, field).is_none_or(|it| it.count() == 1));
        let ragged = if is_exact {
            EXACT
        } else {
            self.ragged.push(region.clone());
            number(self.ragged.len().saturating_sub(1))
        };
        self.hulls.push(Hull::of(rule, ragged, region));
        number(self.hulls.len().saturating_sub(1))
    }

    pub(super) fn shrink_to_fit(&mut self) {
        self.hulls.shrink_to_fit();
        self.ragged.shrink_to_fit();
    }

    /// The rule at a place if its region takes the flow, else [`NO_RULE`].
    #[inline]
    pub(super) fn rule(&self, place: u32, key: &Key<A>, packed: Packed) -> u32 {
        let Some(hull) = self.hulls.get(place as usize) else { return NO_RULE };
        let takes = hull.takes(key, packed);
        if takes & (hull.ragged != EXACT) {
            return self.second_look(hull, key);
        }
        if takes { hull.rule } else { NO_RULE }
    }

    /// As long as the rule's lists are, halved again and again.
    #[cold]
    fn second_look(&self, hull: &Hull<A>, key: &Key<A>) -> u32 {
        match self.ragged.get(hull.ragged as usize) {
            Some(region) if region.takes(key) => hull.rule,
            _ => NO_RULE,
        }
    }

    /// Bytes of heap.
    pub(super) fn memory(&self) -> usize {
        let ranges = self.ragged.iter().flat_map(|region| region.fields.iter().flatten());
        size_of_val(&self.hulls[..])
            .saturating_add(size_of_val(&self.ragged[..]))
            .saturating_add(ranges.map(|ranges| size_of_val(&ranges[..])).sum())
    }
}

impl<A: index::Key> Hull<A> {
    fn of(rule: u32, ragged: u32, region: &Region) -> Self {
        let takes_unknown = |field: usize| match region.fields.get(field) {
            Some(Some(ranges)) => ranges.contains(&UNKNOWN_RANGE),
            _ => true,
        };
        let unknown = takes_unknown(SOURCE_PORT) && takes_unknown(DESTINATION_PORT);
        let (protocols, source_ports, destination_ports) = (
            Span::<u8>::of(region, PROTOCOL),
            Span::<u32>::of(region, SOURCE_PORT),
            Span::<u32>::of(region, DESTINATION_PORT),
        );
        Self {
            sources: Span::of(region, SOURCE),
            destinations: Span::of(region, DESTINATION),
            endpoints: Span::of(region, ENDPOINT),
            lowest: pack(protocols.first, source_ports.first, destination_ports.first, false),
            highest: pack(protocols.last(), source_ports.last(), destination_ports.last(), unknown)
                | GUARDS,
            rule,
            ragged,
        }
    }

    /// Whether a flow is in the hull. Without branches, of which some would be guessed wrong: that costs more than all
    /// the comparisons.
    #[inline]
    fn takes(&self, key: &Key<A>, packed: Packed) -> bool {
        let inside = packed.high.wrapping_sub(self.lowest) & self.highest.wrapping_sub(packed.low);
        self.sources.has(key.source)
            & self.destinations.has(key.destination)
            & self.endpoints.has(key.endpoint)
            & (inside & GUARDS == GUARDS)
    }
}

/// The protocol and the ports of a flow, [packed](pack) for two comparisons.
#[derive(Clone, Copy, Debug)]
pub(super) struct Packed {
    /// What must not be below the lowest: ports that are unknown are no less than any.
    high: u64,
    /// What must not be above the highest: ports that are unknown are no greater than any.
    low: u64,
}

impl Packed {
    #[inline]
    pub(super) fn of<A>(key: &Key<A>) -> Self {
        let unknown = key.destination_port == UNKNOWN_PORTS;
        let high = pack(key.protocol, key.source_port, key.destination_port, unknown) | GUARDS;
        let low = if unknown {
            pack(key.protocol, 0, 0, true)
        } else {
            pack(key.protocol, key.source_port, key.destination_port, false)
        };
        Self { high, low }
    }
}

/// A protocol, two ports and whether they are unknown, each below a bit of its own that is left free. Where these
/// [`GUARDS`] are set, one subtraction compares all four: a guard is lost where more is taken from less.
#[inline]
fn pack(protocol: u8, source_port: u32, destination_port: u32, unknown: bool) -> u64 {
    u64::from(protocol)
        | u64::from(source_port.min(HIGHEST_PORT)) << 9
        | u64::from(destination_port.min(HIGHEST_PORT)) << 27
        | u64::from(unknown) << 45
}

const GUARDS: u64 = 1 << 8 | 1 << 26 | 1 << 44 | 1 << 46;

/// What stands for ports: no more than [`UNKNOWN_PORTS`].
const HIGHEST_PORT: u32 = UNKNOWN_PORTS;

/// Values from a first one on.
#[derive(Clone, Copy, Debug)]
struct Span<T> {
    first: T,
    /// How far the last one is from it.
    length: T,
}

impl<T: index::Key> Span<T> {
    fn of(region: &Region, field: usize) -> Self {
        let Some(mut ranges) = known(region, field) else {
            return Self { first: T::default(), length: T::HIGHEST };
        };
        let number = |value: u128| T::try_from(value).unwrap_or(T::HIGHEST);
        let (first, mut last) = ranges.next().unwrap_or_default();
        last = ranges.last().map_or(last, |range| range.1);
        Self { first: number(first), length: number(last.saturating_sub(first)) }
    }

    fn last(&self) -> T {
        T::try_from(self.first.into().saturating_add(self.length.into())).unwrap_or(T::HIGHEST)
    }

    #[inline]
    fn has(&self, value: T) -> bool {
        value.distance(self.first) <= self.length
    }
}

/// The ranges of a field without the mark that unknown ports are taken, too.
fn known(region: &Region, field: usize) -> Option<impl Iterator<Item = (u128, u128)>> {
    let ranges = region.fields.get(field)?.as_ref()?;
    let ports = matches!(field, SOURCE_PORT | DESTINATION_PORT);
    Some(ranges.iter().copied().filter(move |range| !ports || *range != UNKNOWN_RANGE))
}

/// Places stay below this by the limit on memory.
fn number(place: usize) -> u32 {
    u32::try_from(place).unwrap_or(0)
}
