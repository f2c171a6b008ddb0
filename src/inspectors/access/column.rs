use alloc::vec::Vec;

use super::AccessListError;
use super::index::{Key, Starts};
use super::layout::Placed;
use super::region::{Ranges, Region};
use super::sets::{BLOCK_BITS, Block, EMPTY, SetsBuilder};

/// One field of all regions: which of them take a value.
///
/// All values are cut into intervals at the places where the answer changes.
#[derive(Clone, Debug)]
pub(super) struct Column<S> {
    /// Where intervals begin, but for the first, which begins at zero.
    starts: S,
    intervals: Vec<Interval>,
}

/// What is known about the values of an interval.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Interval {
    /// The set of positions.
    pub(super) set: u32,
    /// The place of the box that hangs here; [`NOTHING`] where there is none.
    pub(super) hung: u32,
}

/// The place of a box that takes nothing.
pub(super) const NOTHING: u32 = 0;

impl<S> Column<S> {
    /// Of the regions at positions, and of those that hang on this field, with their places; no two of these take the
    /// same value.
    pub(super) fn new<K: Key>(
        placed: &[Placed<'_>],
        hung: &[(u32, &Region)],
        field: usize,
        sets: &mut SetsBuilder,
    ) -> Result<Self, AccessListError>
    where
        S: Starts<K>,
    {
        let mut sweep = Sweep::default();
        let mut hung_here = NOTHING;
        let mut starts = Vec::new();
        let mut intervals = Vec::from([Interval { set: sets.set(&[])?, ..Interval::default() }]);
        let edges = edges(placed, hung, field);
        for edges in edges.chunk_by(|a, b| a.0 == b.0) {
            let Some(Ok(start)) = edges.first().map(|edge| K::try_from(edge.0)) else {
                break; // after the last value
            };
            for (_, member) in edges {
                match member {
                    Member::Position(position) => sweep.flip(*position),
                    // One may end where another one begins, in whatever order.
                    Member::Hung(place) => hung_here ^= place,
                }
            }
            let interval = Interval { set: sweep.set(sets)?, hung: hung_here };
            if edges.first().is_some_and(|edge| edge.0 == 0) {
                intervals = Vec::from([interval]);
            } else if intervals.last() != Some(&interval) {
                starts.push(start);
                intervals.push(interval);
            }
        }
        intervals.shrink_to_fit();
        Ok(Self { starts: S::new(starts), intervals })
    }

    /// The interval of a value.
    #[inline]
    pub(super) fn interval<K>(&self, key: K) -> Interval
    where
        S: Starts<K>,
    {
        self.intervals.get(self.place(key)).copied().unwrap_or_default()
    }

    /// The place of the interval of a value among all intervals.
    #[inline]
    pub(super) fn place<K>(&self, key: K) -> usize
    where
        S: Starts<K>,
    {
        self.starts.rank(key)
    }

    /// The sets of all intervals.
    pub(super) fn sets(&self) -> impl ExactSizeIterator<Item = u32> + Clone {
        self.intervals.iter().map(|interval| interval.set)
    }

    pub(super) fn memory<K>(&self) -> usize
    where
        S: Starts<K>,
    {
        self.starts.memory().saturating_add(size_of_val(&self.intervals[..]))
    }
}

#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Member {
    Position(u32),
    Hung(u32),
}

/// Where ranges begin, and the places right after their ends, in order. A region whose bit is to be set and one
/// whose bit is to be cleared need not be told apart: ranges of one region do not touch.
fn edges(placed: &[Placed<'_>], hung: &[(u32, &Region)], field: usize) -> Vec<(u128, Member)> {
    let mut edges = Vec::new();
    let mut add = |ranges: &Ranges, member| {
        for (first, last) in ranges.iter().flatten() {
            edges.push((*first, member));
            edges.extend(last.checked_add(1).map(|after| (after, member)));
        }
        if ranges.is_none() {
            edges.push((0, member));
        }
    };
    for Placed { position, region } in placed {
        region.fields.get(field).into_iter().for_each(|it| add(it, Member::Position(*position)));
    }
    for (place, region) in hung {
        region.fields.get(field).into_iter().for_each(|it| add(it, Member::Hung(*place)));
    }
    edges.sort_unstable();
    edges
}

/// The set at one place, while going through all places in order.
#[derive(Default)]
struct Sweep {
    /// The blocks that are not empty, (number, id), in order.
    blocks: Vec<(u32, u32)>,
    /// Their bits.
    bits: Vec<Block>,
    /// Numbers of blocks whose id is not right any more.
    changed: Vec<u32>,
}

impl Sweep {
    fn flip(&mut self, position: u32) {
        let (number, bit) = (position / BLOCK_BITS, position % BLOCK_BITS);
        let at = match self.blocks.binary_search_by_key(&number, |(number, _)| *number) {
            Ok(at) => at,
            Err(at) => {
                self.blocks.insert(at, (number, 0));
                self.bits.insert(at, EMPTY);
                at
            }
        };
        let word = self.bits.get_mut(at).into_iter().flatten().nth((bit / 64) as usize);
        if let Some(word) = word {
            *word ^= 1 << (bit % 64);
        }
        if self.changed.last() != Some(&number) {
            self.changed.push(number);
        }
    }

    fn set(&mut self, sets: &mut SetsBuilder) -> Result<u32, AccessListError> {
        for number in self.changed.drain(..) {
            let Ok(at) = self.blocks.binary_search_by_key(&number, |(number, _)| *number) else {
                continue; // emptied and taken out
            };
            let bits = self.bits.get(at).copied().unwrap_or_default();
            if bits == EMPTY {
                self.blocks.remove(at);
                self.bits.remove(at);
            } else if let Some((_, id)) = self.blocks.get_mut(at) {
                *id = sets.block(bits)?;
            }
        }
        sets.set(&self.blocks)
    }
}
