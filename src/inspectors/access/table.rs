use alloc::vec::Vec;

use super::AccessListError;
use super::column::Column;
use super::hang::{self, HOOKS, Hull};
use super::index;
use super::layout::{BLOCK, Layout, NO_RULE};
use super::region::{
    DESTINATION, DESTINATION_PORT, ENDPOINT, PROTOCOL, Region, SOURCE, SOURCE_PORT, UNKNOWN_PORTS,
};
use super::sets::{Block, EMPTY, Sets, SetsBuilder};

/// Finds the first of many regions that a flow of one IP version is in. `A` is an address as a number.
#[derive(Clone, Debug)]
pub(super) struct Table<A> {
    sources: Column<A>,
    destinations: Column<A>,
    destination_ports: Column<u32>,
    endpoints: Column<u64>,
    source_ports: Column<u32>,
    protocols: Column<u8>,
    /// For each interval of the last three fields together, the set of those that take all three; empty where these
    /// would be too many.
    folded: Vec<u32>,
    /// The regions that hang on a value of a field, in the order of their rules.
    hulls: Vec<Hull<A>>,
    /// Of the others.
    sets: Sets,
    /// The first rule of each block of positions; within a block they are in order.
    first_rules: Vec<u32>,
    /// The rule of each position, or [`NO_RULE`].
    rules: Vec<u32>,
}

/// A flow as numbers.
#[derive(Clone, Copy, Debug)]
pub(super) struct Key<A> {
    pub(super) endpoint: u64,
    pub(super) source: A,
    pub(super) destination: A,
    /// A port, or [`NO_PORTS`](super::region::NO_PORTS), or [`UNKNOWN_PORTS`], which then are both.
    pub(super) source_port: u32,
    pub(super) destination_port: u32,
    pub(super) protocol: u8,
}

/// How many combinations of intervals are folded at most.
const FOLDED: usize = 1 << 13;

impl<A: index::Key> Table<A> {
    /// Of regions and the numbers of their rules, in order.
    pub(super) fn new(
        regions: &[(u32, Region)],
        highest_address: A,
        memory_limit: usize,
    ) -> Result<Self, AccessListError> {
        let address_bits = size_of::<A>().saturating_mul(8);
        let hooks = hang::choose(regions, address_bits);
        let mut hulls = Vec::new();
        let mut hung = HOOKS.map(|_| Vec::new());
        let mut others = Vec::new();
        for ((rule, region), field) in regions.iter().zip(hooks) {
            let hook = HOOKS.iter().zip(&mut hung).find(|(hook, _)| Some(**hook) == field);
            if let Some((_, hung)) = hook {
                hung.push((u32::try_from(hulls.len()).unwrap_or(NO_RULE), region));
                hulls.push(Hull::of(*rule, region, highest_address));
            } else {
                others.push((*rule, region));
            }
        }
        let layout = Layout::of(&others, address_bits);
        let [by_source, by_destination, by_port] = &hung;
        let mut sets = SetsBuilder::new(layout.first_rules.len(), memory_limit);
        let placed = &layout.placed;
        let mut table = Self {
            sources: Column::new(placed, by_source, SOURCE, &mut sets)?,
            destinations: Column::new(placed, by_destination, DESTINATION, &mut sets)?,
            destination_ports: Column::new(placed, by_port, DESTINATION_PORT, &mut sets)?,
            endpoints: Column::new(placed, &[], ENDPOINT, &mut sets)?,
            source_ports: Column::new(placed, &[], SOURCE_PORT, &mut sets)?,
            protocols: Column::new(placed, &[], PROTOCOL, &mut sets)?,
            folded: Vec::new(),
            hulls,
            sets: Sets::default(),
            first_rules: layout.first_rules,
            rules: layout.rules,
        };
        table.fold(&mut sets)?;
        table.sets = sets.finish();
        if table.memory() > memory_limit {
            return Err(AccessListError::TooLarge { limit: memory_limit });
        }
        Ok(table)
    }

    /// The first rule that takes the flow. `takes` is asked about a few rules that may.
    #[inline]
    pub(super) fn first(&self, key: &Key<A>, takes: impl Fn(u32) -> bool) -> Option<u32> {
        let mut first = NO_RULE;
        self.search(key, NO_RULE, takes, |rule| {
            first = rule;
            rule
        });
        (first != NO_RULE).then_some(first)
    }

    /// Tells of the rules below `limit` that take the flow, in no order; each answer is the limit from then on.
    #[inline]
    pub(super) fn search(
        &self,
        key: &Key<A>,
        mut limit: u32,
        takes: impl Fn(u32) -> bool,
        mut found: impl FnMut(u32) -> u32,
    ) {
        let source = self.sources.interval(key.source);
        let destination = self.destinations.interval(key.destination);
        let port = self.destination_ports.interval(key.destination_port);
        let unknown = key.destination_port == UNKNOWN_PORTS;
        let lists = [
            self.sources.list(source),
            self.destinations.list(destination),
            self.destination_ports.list(port),
        ];
        for list in lists {
            for hull in list.iter().map_while(|place| self.hulls.get(*place as usize)) {
                if hull.rule >= limit {
                    break;
                }
                if hull.may_take(key) && (hull.exact && !unknown || takes(hull.rule)) {
                    limit = found(hull.rule);
                }
            }
        }
        if self.first_rules.is_empty() {
            return;
        }
        let telling = [source.set, destination.set, port.set];
        if self.folded.is_empty() {
            let last = [
                self.endpoints.interval(key.endpoint).set,
                self.source_ports.interval(key.source_port).set,
                self.protocols.interval(key.protocol).set,
            ];
            let [[source, destination, port], [endpoint, source_port, protocol]] = [telling, last];
            self.meet([source, destination, port, endpoint, source_port, protocol], limit, found);
        } else {
            let [source, destination, port] = telling;
            self.meet([source, destination, port, self.folded_set(key)], limit, found);
        }
    }

    /// Tells of the rules below `limit` whose positions are in the sets of all fields.
    #[inline]
    fn meet<const N: usize>(
        &self,
        sets: [u32; N],
        mut limit: u32,
        mut found: impl FnMut(u32) -> u32,
    ) {
        for (row, first_rules) in self.first_rules.chunks(64).enumerate() {
            let mut candidates =
                sets.iter().fold(u64::MAX, |all, set| all & self.sets.occupied(*set, row));
            while candidates != 0 {
                let number = candidates.trailing_zeros() as usize;
                candidates &= candidates.wrapping_sub(1);
                if first_rules.get(number).is_none_or(|first| *first >= limit) {
                    continue;
                }
                let number = row.wrapping_mul(64).wrapping_add(number);
                let block = self.intersection(sets, number);
                let position = number.wrapping_mul(BLOCK);
                for position in ones(block).map(|bit| position.wrapping_add(bit)) {
                    match self.rules.get(position) {
                        Some(rule) if *rule < limit => limit = found(*rule),
                        _ => break,
                    }
                }
            }
        }
    }

    /// The positions of one block that are in the sets of all fields.
    #[inline]
    fn intersection<const N: usize>(&self, sets: [u32; N], number: usize) -> Block {
        let mut block = EMPTY.map(|word| !word);
        for set in sets {
            let Some(other) = self.sets.block(set, number) else { return EMPTY };
            block.iter_mut().zip(other).for_each(|(word, other)| *word &= other);
        }
        block
    }

    /// Makes one field of the last three, if they have few intervals.
    fn fold(&mut self, sets: &mut SetsBuilder) -> Result<(), AccessListError> {
        let lengths = [
            self.endpoints.sets().len(),
            self.source_ports.sets().len(),
            self.protocols.sets().len(),
        ];
        if lengths.into_iter().fold(1, usize::saturating_mul) > FOLDED {
            return Ok(());
        }
        for endpoint in self.endpoints.sets() {
            for source_port in self.source_ports.sets() {
                for protocol in self.protocols.sets() {
                    self.folded.push(sets.intersection([endpoint, source_port, protocol])?);
                }
            }
        }
        Ok(())
    }

    /// The set of the last three fields, where they are folded.
    #[inline]
    fn folded_set(&self, key: &Key<A>) -> u32 {
        let at = self
            .endpoints
            .place(key.endpoint)
            .wrapping_mul(self.source_ports.sets().len())
            .wrapping_add(self.source_ports.place(key.source_port))
            .wrapping_mul(self.protocols.sets().len())
            .wrapping_add(self.protocols.place(key.protocol));
        self.folded.get(at).copied().unwrap_or_default()
    }

    /// Bytes of heap.
    pub(super) fn memory(&self) -> usize {
        [
            self.endpoints.memory(),
            self.sources.memory(),
            self.destinations.memory(),
            self.source_ports.memory(),
            self.destination_ports.memory(),
            self.protocols.memory(),
            self.sets.memory(),
            size_of_val(&self.folded[..]),
            size_of_val(&self.hulls[..]),
            size_of_val(&self.first_rules[..]),
            size_of_val(&self.rules[..]),
        ]
        .into_iter()
        .fold(0, usize::saturating_add)
    }

    #[cfg(test)]
    pub(super) fn rows(&self) -> usize {
        self.first_rules.len().div_ceil(64)
    }
}

/// The places of the bits that are set, from the lowest.
#[inline]
fn ones(block: Block) -> impl Iterator<Item = usize> {
    block.into_iter().zip((0_usize..).step_by(64)).flat_map(|(mut word, base)| {
        core::iter::from_fn(move || {
            let bit = usize::try_from(word.trailing_zeros()).ok().filter(|_| word != 0)?;
            word &= word.wrapping_sub(1);
            Some(base.wrapping_add(bit))
        })
    })
}
