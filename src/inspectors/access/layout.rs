use alloc::vec;
use alloc::vec::Vec;
use core::cmp::Reverse;

use super::region::{DESTINATION, DESTINATION_PORT, FIELDS, Region, SOURCE, choosiness};
use super::sets::BLOCK_BITS;

/// Which region is at which position.
///
/// Those that are choosy in the same of the three [`TELLING`] fields, and choosiest in the same one, stand together
/// from the beginning of a block, in the order of what they take there. So a flow finds few blocks in which the
/// choosiest field lets it in. Those that would not
/// fill a block stand together in the order of their rules, and so do those within a block.
pub(super) struct Layout<'a> {
    pub(super) placed: Vec<Placed<'a>>,
    /// The first rule of each block.
    pub(super) first_rules: Vec<u32>,
    pub(super) rules: Vec<u32>,
}

/// A region at its position.
pub(super) struct Placed<'a> {
    pub(super) position: u32,
    pub(super) region: &'a Region,
}

pub(super) const NO_RULE: u32 = u32::MAX;

pub(super) const BLOCK: usize = BLOCK_BITS as usize;

/// The fields that keep regions apart: more of them would leave many blocks nearly empty, each of which costs a look.
const TELLING: u8 = 1 << SOURCE | 1 << DESTINATION | 1 << DESTINATION_PORT;

impl<'a> Layout<'a> {
    pub(super) fn of(regions: &[(u32, &'a Region)], address_bits: usize) -> Self {
        let mut sorted: Vec<_> = regions
            .iter()
            .map(|(rule, region)| (Neighbourhood::of(region, address_bits), *rule, *region))
            .collect();
        sorted.sort_by_key(|(neighbourhood, rule, _)| (*neighbourhood, *rule));

        let mut layout = Self { placed: Vec::new(), first_rules: Vec::new(), rules: Vec::new() };
        let mut few = Vec::new();
        for alike in sorted.chunk_by_mut(|a, b| (a.0.shape, a.0.field) == (b.0.shape, b.0.field)) {
            if alike.len() < BLOCK {
                few.extend_from_slice(alike);
                continue;
            }
            for block in alike.chunks_mut(BLOCK) {
                block.sort_by_key(|(_, rule, _)| *rule);
                layout.add(block);
            }
        }
        few.sort_by_key(|(_, rule, _)| *rule);
        few.chunks(BLOCK).for_each(|block| layout.add(block));
        layout
    }

    fn add(&mut self, block: &[(Neighbourhood, u32, &'a Region)]) {
        let Some((_, first_rule, _)) = block.first() else { return };
        self.first_rules.push(*first_rule);
        let mut rules = vec![NO_RULE; BLOCK];
        for ((at, (_, rule, region)), place) in block.iter().enumerate().zip(&mut rules) {
            let position = u32::try_from(self.rules.len().saturating_add(at)).unwrap_or(u32::MAX);
            self.placed.push(Placed { position, region });
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
        let first = |field: usize| Some(region.fields.get(field)?.as_ref()?.first()?.0);
        let (_, field, first) = (0..FIELDS)
            .filter(|field| TELLING >> field & 1 != 0)
            .filter_map(|field| {
                Some((Reverse(choosiness(region, field, address_bits)?), field, first(field)?))
            })
            .min()
            .unwrap_or((Reverse(0), FIELDS, 0));
        Self { shape: choosy(region) & TELLING, field, first }
    }
}
