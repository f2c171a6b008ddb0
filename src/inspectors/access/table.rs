use alloc::vec;
use alloc::vec::Vec;

use super::AccessListError;
use super::column::Column;
use super::region::{
    DESTINATION, DESTINATION_PORT, ENDPOINT, FIELDS, PROTOCOL, Region, SOURCE, SOURCE_PORT,
};
use super::sets::{BLOCK_BITS, Block, Row, Sets, SetsBuilder};

/// Finds the first of many regions that a flow of one IP version is in. `A` is an address as a number.
#[derive(Clone, Debug)]
pub(super) struct Table<A> {
    endpoints: Column<u64>,
    sources: Column<A>,
    destinations: Column<A>,
    source_ports: Column<u16>,
    destination_ports: Column<u16>,
    protocols: Column<u8>,
    sets: Sets,
    /// For each 64 blocks and field, those whose regions take all values of the field.
    open: Vec<[u64; FIELDS]>,
    groups: Vec<Group>,
    /// The rule of each position, or [`NO_RULE`].
    rules: Vec<u32>,
}

/// A flow as numbers.
#[derive(Clone, Copy, Debug)]
pub(super) struct Key<A> {
    pub(super) endpoint: u64,
    pub(super) source: A,
    pub(super) destination: A,
    /// Source and destination port.
    pub(super) ports: Option<(u16, u16)>,
    pub(super) protocol: u8,
}

/// What the 256 regions of a block have in common.
#[derive(Clone, Copy, Debug)]
struct Group {
    /// The first rule of the block; they are in order.
    first_rule: u32,
    /// Bit by bit, the fields in which all these regions are choosy. In the others they take every value.
    choosy: u8,
}

const NO_RULE: u32 = u32::MAX;

impl<A: Copy + Ord + TryFrom<u128>> Table<A> {
    /// Of regions and the numbers of their rules.
    pub(super) fn new(
        regions: &[(u32, Region)],
        memory_limit: usize,
    ) -> Result<Self, AccessListError> {
        let layout = Layout::of(regions);
        let mut sets = SetsBuilder::new(layout.open.len(), memory_limit);
        let table = Self {
            endpoints: Column::new(&layout.placed, ENDPOINT, &mut sets)?,
            sources: Column::new(&layout.placed, SOURCE, &mut sets)?,
            destinations: Column::new(&layout.placed, DESTINATION, &mut sets)?,
            source_ports: Column::new(&layout.placed, SOURCE_PORT, &mut sets)?,
            destination_ports: Column::new(&layout.placed, DESTINATION_PORT, &mut sets)?,
            protocols: Column::new(&layout.placed, PROTOCOL, &mut sets)?,
            sets: sets.finish(),
            open: layout.open,
            groups: layout.groups,
            rules: layout.rules,
        };
        if table.memory() > memory_limit {
            return Err(AccessListError::TooLarge { limit: memory_limit });
        }
        Ok(table)
    }

    /// The first rule that takes the flow.
    #[inline]
    pub(super) fn first(&self, key: &Key<A>) -> Option<u32> {
        let mut first = NO_RULE;
        self.search(key, NO_RULE, |rule| {
            first = rule;
            rule
        });
        (first != NO_RULE).then_some(first)
    }

    /// Tells of rules below `limit` that take the flow, in no order; each answer is the limit from then on.
    #[inline]
    pub(super) fn search(&self, key: &Key<A>, mut limit: u32, mut found: impl FnMut(u32) -> u32) {
        let sets = [
            self.endpoints.set(key.endpoint),
            self.sources.set(key.source),
            self.destinations.set(key.destination),
            key.ports.map_or(Column::<u16>::NOTHING, |ports| self.source_ports.set(ports.0)),
            key.ports.map_or(Column::<u16>::NOTHING, |ports| self.destination_ports.set(ports.1)),
            self.protocols.set(key.protocol),
        ];
        for ((at, open), groups) in self.open.iter().enumerate().zip(self.groups.chunks(64)) {
            let rows = sets.map(|set| self.sets.row(set, at));
            let mut candidates = rows
                .iter()
                .zip(open)
                .fold(u64::MAX, |all, (row, open)| all & (row.occupied | open));
            while candidates != 0 {
                let bit = candidates & candidates.wrapping_neg();
                candidates ^= bit;
                let number = usize::try_from(bit.trailing_zeros()).unwrap_or(usize::MAX);
                let Some(group) = groups.get(number).filter(|group| group.first_rule < limit)
                else {
                    continue;
                };
                let block = self.intersection(&rows, bit, *group);
                let position = at.wrapping_mul(64).wrapping_add(number).wrapping_mul(BLOCK_BITS);
                for position in ones(block).map(|bit| position.wrapping_add(bit)) {
                    match self.rules.get(position) {
                        Some(rule) if *rule < limit => limit = found(*rule),
                        _ => break,
                    }
                }
            }
        }
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
            size_of_val(&self.open[..]),
            size_of_val(&self.groups[..]),
            size_of_val(&self.rules[..]),
        ]
        .into_iter()
        .fold(0, usize::saturating_add)
    }

    #[cfg(test)]
    pub(super) fn rows(&self) -> usize {
        self.open.len()
    }

    #[inline]
    fn intersection(&self, rows: &[Row; FIELDS], bit: u64, group: Group) -> Block {
        let mut block = [u64::MAX; 4];
        for (field, row) in rows.iter().enumerate() {
            if group.choosy >> field & 1 != 0 {
                if let Some(other) = self.sets.block(*row, bit) {
                    block.iter_mut().zip(other).for_each(|(word, other)| *word &= other);
                }
            }
        }
        block
    }
}

/// The places of the bits that are set, from the lowest.
#[inline]
fn ones(block: Block) -> impl Iterator<Item = usize> {
    block.into_iter().zip([0_usize, 64, 128, 192]).flat_map(|(mut word, base)| {
        core::iter::from_fn(move || {
            let bit = usize::try_from(word.trailing_zeros()).ok().filter(|_| word != 0)?;
            word &= word.wrapping_sub(1);
            Some(base.wrapping_add(bit))
        })
    })
}

/// Which region is at which position: those that are choosy in the same fields stand together, in the order of
/// their rules, from the beginning of a block.
struct Layout<'a> {
    placed: Vec<(u32, &'a Region)>,
    open: Vec<[u64; FIELDS]>,
    groups: Vec<Group>,
    rules: Vec<u32>,
}

impl<'a> Layout<'a> {
    fn of(regions: &'a [(u32, Region)]) -> Self {
        let mut sorted: Vec<_> =
            regions.iter().map(|(rule, region)| (choosy(region), *rule, region)).collect();
        sorted.sort_by_key(|(choosy, rule, _)| (*choosy, *rule));

        let mut layout =
            Self { placed: Vec::new(), open: Vec::new(), groups: Vec::new(), rules: Vec::new() };
        for group in sorted.chunk_by(|a, b| a.0 == b.0) {
            for block in group.chunks(BLOCK_BITS) {
                layout.add(block);
            }
        }
        layout
    }

    fn add(&mut self, block: &[(u8, u32, &'a Region)]) {
        let Some((choosy, first_rule, _)) = block.first() else { return };
        let number = self.groups.len() % 64;
        if number == 0 {
            self.open.push([0; FIELDS]);
        }
        for (field, open) in self.open.iter_mut().next_back().into_iter().flatten().enumerate() {
            *open |= u64::from(choosy >> field & 1 == 0) << number;
        }
        self.groups.push(Group { first_rule: *first_rule, choosy: *choosy });
        let mut rules = vec![NO_RULE; BLOCK_BITS];
        for ((at, (_, rule, region)), place) in block.iter().enumerate().zip(&mut rules) {
            let position = self.rules.len().saturating_add(at);
            self.placed.push((u32::try_from(position).unwrap_or(u32::MAX), region));
            *place = *rule;
        }
        self.rules.append(&mut rules);
    }
}

fn choosy(region: &Region) -> u8 {
    region
        .fields
        .iter()
        .enumerate()
        .fold(0, |bits, (field, ranges)| bits | u8::from(ranges.is_some()) << field)
}
