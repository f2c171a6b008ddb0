use alloc::vec;
use alloc::vec::Vec;
use core::cmp::Reverse;

use super::AccessListError;
use super::column::{self, Column};
use super::region::{
    DESTINATION, DESTINATION_PORT, ENDPOINT, FIELDS, PROTOCOL, Region, SOURCE, SOURCE_PORT,
};
use super::sets::{BLOCK_BITS, Block, EMPTY, Row, Sets, SetsBuilder};

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
    /// For each 64 blocks and field, those whose regions all take every value of the field.
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
    pub(super) source_port: Option<u16>,
    pub(super) destination_port: Option<u16>,
    pub(super) protocol: u8,
}

/// What the 256 regions of a block have in common.
#[derive(Clone, Copy, Debug)]
struct Group {
    /// The first rule of the block; they are in order.
    first_rule: u32,
    /// Bit by bit, the fields in which any of these regions is choosy. In the others all take every value.
    choosy: u8,
}

const NO_RULE: u32 = u32::MAX;

const BLOCK: usize = BLOCK_BITS as usize;

impl<A: column::Key> Table<A> {
    /// Of regions and the numbers of their rules.
    pub(super) fn new(
        regions: &[(u32, Region)],
        memory_limit: usize,
    ) -> Result<Self, AccessListError> {
        let layout = Layout::of(regions, size_of::<A>().saturating_mul(8));
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

    /// Tells of the rules below `limit` that take the flow, in no order; each answer is the limit from then on.
    #[inline]
    pub(super) fn search(&self, key: &Key<A>, mut limit: u32, mut found: impl FnMut(u32) -> u32) {
        let sets = [
            self.sources.set(key.source),
            self.destinations.set(key.destination),
            self.destination_ports.set_of(key.destination_port),
            self.endpoints.set(key.endpoint),
            self.source_ports.set_of(key.source_port),
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
                let block = self.intersection(&rows, bit, group.choosy);
                let position = at.wrapping_mul(64).wrapping_add(number).wrapping_mul(BLOCK);
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

    /// The positions of one block that are in the sets of all fields.
    #[inline]
    fn intersection(&self, rows: &[Row; FIELDS], bit: u64, choosy: u8) -> Block {
        let mut block = EMPTY.map(|word| !word);
        for (field, row) in rows.iter().enumerate() {
            if choosy >> field & 1 != 0 {
                let Some(other) = self.sets.block(*row, bit) else { return EMPTY };
                block.iter_mut().zip(other).for_each(|(word, other)| *word &= other);
                if block == EMPTY {
                    break; // mostly after two addresses
                }
            }
        }
        block
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

/// Which region is at which position.
///
/// Those that are choosy in the same of the three [`TELLING`] fields, and choosiest in the same one, stand together
/// from the beginning of a block, in the order of what they take there. So a field in which they take everything
/// need not be looked at, and a flow finds few blocks in which the choosiest field lets it in. Within a block
/// they stand in the order of their rules.
struct Layout<'a> {
    placed: Vec<Placed<'a>>,
    open: Vec<[u64; FIELDS]>,
    groups: Vec<Group>,
    rules: Vec<u32>,
}

/// A region at its position.
pub(super) struct Placed<'a> {
    pub(super) position: u32,
    pub(super) region: &'a Region,
    /// The fields that are looked at for this position.
    pub(super) choosy: u8,
}

/// The fields that keep regions apart: more of them would leave many blocks nearly empty, each of which costs a look.
const TELLING: u8 = 1 << SOURCE | 1 << DESTINATION | 1 << DESTINATION_PORT;

impl<'a> Layout<'a> {
    fn of(regions: &'a [(u32, Region)], address_bits: usize) -> Self {
        let mut sorted: Vec<_> = regions
            .iter()
            .map(|(rule, region)| (Neighbourhood::of(region, address_bits), *rule, region))
            .collect();
        sorted.sort_by_key(|(neighbourhood, rule, _)| (*neighbourhood, *rule));

        let mut layout =
            Self { placed: Vec::new(), open: Vec::new(), groups: Vec::new(), rules: Vec::new() };
        for alike in sorted.chunk_by_mut(|a, b| (a.0.shape, a.0.field) == (b.0.shape, b.0.field)) {
            for block in alike.chunks_mut(BLOCK) {
                block.sort_by_key(|(_, rule, _)| *rule);
                layout.add(block);
            }
        }
        layout
    }

    fn add(&mut self, block: &[(Neighbourhood, u32, &'a Region)]) {
        let Some((_, first_rule, _)) = block.first() else { return };
        let choosy = block.iter().fold(0, |fields, (_, _, region)| fields | choosy(region));
        let number = self.groups.len() % 64;
        if number == 0 {
            self.open.push([0; FIELDS]);
        }
        for (field, open) in self.open.iter_mut().next_back().into_iter().flatten().enumerate() {
            *open |= u64::from(choosy >> field & 1 == 0) << number;
        }
        self.groups.push(Group { first_rule: *first_rule, choosy });
        let mut rules = vec![NO_RULE; BLOCK];
        for ((at, (_, rule, region)), place) in block.iter().enumerate().zip(&mut rules) {
            let position = u32::try_from(self.rules.len().saturating_add(at)).unwrap_or(u32::MAX);
            self.placed.push(Placed { position, region, choosy });
            *place = *rule;
        }
        self.rules.append(&mut rules);
    }
}

/// Bit by bit, the fields in which a region does not take every value.
fn choosy(region: &Region) -> u8 {
    region
        .fields
        .iter()
        .enumerate()
        .fold(0, |bits, (field, ranges)| bits | u8::from(ranges.is_some()) << field)
}

/// Where a region stands among others.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Neighbourhood {
    /// The telling fields in which it is choosy.
    shape: u8,
    /// That of them in which it is choosiest.
    field: usize,
    /// The lowest value that it takes there.
    first: u128,
}

impl Neighbourhood {
    fn of(region: &Region, address_bits: usize) -> Self {
        let shape = choosy(region) & TELLING;
        let widths = [address_bits, address_bits, 16];
        let (_, field, first) = region
            .fields
            .iter()
            .zip(widths)
            .enumerate()
            .filter_map(|(field, (ranges, bits))| {
                let (first, last) = *ranges.as_ref()?.first()?;
                let open =
                    last.wrapping_sub(first).checked_ilog2().map_or(0, |log| log.saturating_add(1));
                let closed = bits.saturating_sub(usize::try_from(open).unwrap_or(0));
                Some((Reverse(closed), field, first))
            })
            .min()
            .unwrap_or((Reverse(0), FIELDS, 0));
        Self { shape, field, first }
    }
}
