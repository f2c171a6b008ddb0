use alloc::vec::Vec;

use super::AccessListError;
use super::column::{Column, Interval};
use super::hang::{self, HOOKS};
use super::hull::{Hulls, Packed};
use super::index::{Address, Index};
use super::layout::{BLOCK, Layout, NO_RULE};
use super::pages::Pages;
use super::region::{
    DESTINATION, DESTINATION_PORT, ENDPOINT, PROTOCOL, Region, SOURCE, SOURCE_PORT,
};
use super::sets::{Block, EMPTY, Sets, SetsBuilder};

/// Finds the first of many regions that a flow of one IP version is in. `A` is an address as a number.
#[derive(Clone, Debug)]
pub(super) struct Table<A: Address> {
    sources: Column<A::Starts>,
    destinations: Column<A::Starts>,
    destination_ports: Column<Pages>,
    endpoints: Column<Index<u64>>,
    source_ports: Column<Pages>,
    protocols: Column<Pages>,
    /// For each interval of the last three fields together, the set of those that take all three; empty where these
    /// would be too many.
    folded: Vec<u32>,
    /// The regions that hang on a field.
    hulls: Hulls<A>,
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
    /// A port, or [`NO_PORTS`](super::region::NO_PORTS), or [`UNKNOWN_PORTS`](super::region::UNKNOWN_PORTS), which then
    /// are both.
    pub(super) source_port: u32,
    pub(super) destination_port: u32,
    pub(super) protocol: u8,
}

/// How many combinations of intervals are folded at most.
const FOLDED: usize = 1 << 13;

impl<A: Address> Table<A> {
    /// Of regions and the numbers of their rules, in order.
    pub(super) fn new(
        regions: &[(u32, Region)],
        memory_limit: usize,
    ) -> Result<Self, AccessListError> {
        let address_bits = size_of::<A>().saturating_mul(8);
        let hooks = hang::choose(regions, address_bits);
        let mut hulls = Hulls::new();
        let mut hung = HOOKS.map(|_| Vec::new());
        let mut others = Vec::new();
        for ((rule, region), field) in regions.iter().zip(hooks) {
            let hook = HOOKS.iter().zip(&mut hung).find(|(hook, _)| Some(**hook) == field);
            if let Some((_, hung)) = hook {
                hung.push((hulls.add(*rule, region), region));
            } else {
                others.push((*rule, region));
            }
        }
        hulls.shrink_to_fit();
        let layout = Layout::of(&others, address_bits);
        let [by_source, by_destination, by_port] = &hung;
        let mut sets = SetsBuilder::new(layout.first_rules.len(), memory_limit);
        let placed = &layout.placed;
        let mut table = Self {
            sources: Column::new::<A>(placed, by_source, SOURCE, &mut sets)?,
            destinations: Column::new::<A>(placed, by_destination, DESTINATION, &mut sets)?,
            destination_ports: Column::new::<u32>(placed, by_port, DESTINATION_PORT, &mut sets)?,
            endpoints: Column::new::<u64>(placed, &[], ENDPOINT, &mut sets)?,
            source_ports: Column::new::<u32>(placed, &[], SOURCE_PORT, &mut sets)?,
            protocols: Column::new::<u8>(placed, &[], PROTOCOL, &mut sets)?,
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

    /// The first rule that takes the flow.
    #[inline(never)] // the registers do not reach for both IP versions in one function
    pub(super) fn first(&self, key: &Key<A>) -> Option<u32> {
        let places = self.places(key);
        let mut first = self.hung(&places, key).into_iter().fold(NO_RULE, u32::min);
        self.meet_all(&places, key, first, |rule| {
            first = rule;
            rule
        });
        (first != NO_RULE).then_some(first)
    }

    /// Tells of the rules below `limit` that take the flow, in no order; each answer is the limit from then on.
    pub(super) fn search(&self, key: &Key<A>, mut limit: u32, mut found: impl FnMut(u32) -> u32) {
        let places = self.places(key);
        for rule in self.hung(&places, key) {
            if rule < limit {
                limit = found(rule);
            }
        }
        self.meet_all(&places, key, limit, found);
    }

    /// Where the flow is in the [`HOOKS`].
    #[inline]
    fn places(&self, key: &Key<A>) -> [Interval; 3] {
        [
            self.sources.interval(key.source),
            self.destinations.interval(key.destination),
            self.destination_ports.interval(key.destination_port),
        ]
    }

    /// The rules that hang there and take the flow, or [`NO_RULE`].
    #[inline]
    fn hung(&self, places: &[Interval; 3], key: &Key<A>) -> [u32; 3] {
        let packed = Packed::of(key);
        let [source, destination, port] = places;
        [
            self.hulls.rule(source.hung, key, packed),
            self.hulls.rule(destination.hung, key, packed),
            self.hulls.rule(port.hung, key, packed),
        ]
    }

    /// Tells of the rules below `limit` that have positions and take the flow.
    #[inline]
    fn meet_all(
        &self,
        places: &[Interval; 3],
        key: &Key<A>,
        limit: u32,
        found: impl FnMut(u32) -> u32,
    ) {
        if self.first_rules.is_empty() {
            return;
        }
        let [source, destination, port] = places.map(|interval| interval.set);
        if self.folded.is_empty() {
            let endpoint = self.endpoints.interval(key.endpoint).set;
            let source_port = self.source_ports.interval(key.source_port).set;
            let protocol = self.protocols.interval(key.protocol).set;
            self.meet([source, destination, port, endpoint, source_port, protocol], limit, found);
        } else {
            self.meet([source, destination, port, self.folded_set(key)], limit, found);
        }
    }

    /// Tells of the rules below `limit` whose positions are in the sets of all fields.
    #[inline]
    fn meet<const N: usize>(&self, sets: [u32; N], limit: u32, found: impl FnMut(u32) -> u32) {
        if self.sets.are_flat() {
            self.meet_flat(sets, limit, found);
        } else {
            self.meet_sparse(sets, limit, found);
        }
    }

    /// Where sets are of a few blocks that stand side by side.
    #[inline]
    fn meet_flat<const N: usize>(
        &self,
        sets: [u32; N],
        mut limit: u32,
        mut found: impl FnMut(u32) -> u32,
    ) {
        let sets = sets.map(|set| self.sets.flat(set));
        for (number, first) in self.first_rules.iter().enumerate() {
            if *first >= limit {
                continue;
            }
            let mut block = EMPTY.map(|word| !word);
            for set in sets {
                let Some(other) = self.sets.flat_block(set, number) else { return };
                block.iter_mut().zip(other).for_each(|(word, other)| *word &= other);
            }
            if block.iter().fold(0, |any, word| any | word) != 0 {
                limit = self.tell(number, block, limit, &mut found);
            }
        }
    }

    /// Where sets are of many blocks, most of them empty.
    #[inline(never)]
    fn meet_sparse<const N: usize>(
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
                limit = self.tell(number, self.intersection(sets, number), limit, &mut found);
            }
        }
    }

    /// Tells of the rules below `limit` at some positions of a block. The new limit.
    #[inline]
    fn tell(
        &self,
        number: usize,
        block: Block,
        mut limit: u32,
        found: &mut impl FnMut(u32) -> u32,
    ) -> u32 {
        let position = number.wrapping_mul(BLOCK);
        for position in ones(block).map(|bit| position.wrapping_add(bit)) {
            match self.rules.get(position) {
                Some(rule) if *rule < limit => {
                    limit = found(*rule);
                    if limit <= *rule {
                        break; // those that follow in the block are of later rules
                    }
                }
                _ => break,
            }
        }
        limit
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
            self.endpoints.memory::<u64>(),
            self.sources.memory::<A>(),
            self.destinations.memory::<A>(),
            self.source_ports.memory::<u32>(),
            self.destination_ports.memory::<u32>(),
            self.protocols.memory::<u8>(),
            self.sets.memory(),
            size_of_val(&self.folded[..]),
            self.hulls.memory(),
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
