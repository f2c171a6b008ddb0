use alloc::vec::Vec;

use super::index::{Index, Starts};

/// Says how many of some sorted IPv6 addresses are no greater than a key.
///
/// The upper halves are looked up first; a lower half matters only where the upper one is that of one of the addresses.
/// Nearly all networks end within the upper half, and all arithmetic is on words.
#[derive(Clone, Debug)]
pub(super) struct WideIndex {
    highs: Index<u64>,
    /// Of the addresses that share an upper half; and one more at the end.
    groups: Vec<Group>,
    /// The lower halves of small groups, filled up with the highest number.
    few: Vec<[u64; FEW]>,
    many: Vec<Index<u64>>,
}

#[derive(Clone, Copy, Debug)]
struct Group {
    high: u64,
    /// How many addresses stand before the group.
    before: u32,
    /// A place in `few`; or, with the bit [`MANY`], in `many`.
    lows: u32,
}

const MANY: u32 = 1 << 31;

/// A host is an interval of one address: two of them, and the beginning of the /64, fit.
const FEW: usize = 4;

/// That of a network that ends within the upper half.
const ONLY_ZERO: [u64; FEW] = [0, u64::MAX, u64::MAX, u64::MAX];

impl Starts<u128> for WideIndex {
    fn new(numbers: Vec<u128>) -> Self {
        let (mut few, mut many) = (Vec::from([ONLY_ZERO]), Vec::new());
        let (mut highs, mut groups) = (Vec::new(), Vec::new());
        let mut before = 0_usize;
        for group in numbers.chunk_by(|a, b| high(*a) == high(*b)) {
            let mut lows: Vec<u64> = group.iter().copied().map(low).collect();
            let length = lows.len();
            let place = if lows == [0] {
                0
            } else if length <= FEW {
                lows.resize(FEW, u64::MAX);
                few.extend(lows.first_chunk());
                place(few.len().saturating_sub(1))
            } else {
                many.push(Index::new(lows));
                MANY | place(many.len().saturating_sub(1))
            };
            let high = group.first().map_or(0, |first| high(*first));
            highs.push(high);
            groups.push(Group { high, before: self::place(before), lows: place });
            before = before.saturating_add(length);
        }
        groups.push(Group { high: 0, before: place(before), lows: 0 });
        few.shrink_to_fit();
        many.shrink_to_fit();
        groups.shrink_to_fit();
        Self { highs: Index::new(highs), groups, few, many }
    }

    #[inline]
    fn rank(&self, key: u128) -> usize {
        let (high, low) = (high(key), low(key));
        let next = self.highs.rank(high);
        let Some(at) = next.checked_sub(1) else { return 0 };
        let Some([group, next]) = self.groups.get(at..).and_then(|rest| rest.first_chunk()) else {
            return 0;
        };
        let length = next.before.wrapping_sub(group.before) as usize;
        let more = if group.high != high {
            length
        } else if group.lows & MANY == 0 {
            let lows = self.few.get(group.lows as usize).unwrap_or(&ONLY_ZERO);
            lows.map(|it| usize::from(it <= low)).into_iter().sum::<usize>().min(length)
        } else {
            self.many.get((group.lows ^ MANY) as usize).map_or(0, |many| many.rank(low))
        };
        (group.before as usize).wrapping_add(more)
    }

    fn memory(&self) -> usize {
        [
            self.highs.memory(),
            size_of_val(&self.groups[..]),
            size_of_val(&self.few[..]),
            size_of_val(&self.many[..]),
        ]
        .into_iter()
        .chain(self.many.iter().map(Starts::memory))
        .fold(0, usize::saturating_add)
    }
}

#[inline]
fn high(address: u128) -> u64 {
    u64::try_from(address >> 64).unwrap_or_default()
}

#[inline]
fn low(address: u128) -> u64 {
    u64::try_from(address & u128::from(u64::MAX)).unwrap_or_default()
}

/// Places stay below this by the limit on memory.
fn place(place: usize) -> u32 {
    u32::try_from(place).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use proptest::collection::{btree_set, vec};
    use proptest::prelude::*;

    use super::*;

    proptest! {
        /// Groups of one, of a few and of many, beside each other.
        #[test]
        fn ranks_are_those_of_counting(
            numbers in btree_set((0_u64..6, prop_oneof![Just(0), 0_u64..20, Just(u64::MAX)], any::<bool>()), 0..60),
            keys in vec((0_u64..7, prop_oneof![0_u64..21, Just(u64::MAX)]), 20),
        ) {
            let whole = |high: u64, low: u64| u128::from(high) << 64 | u128::from(low);
            let top = |top: bool| if top { u64::MAX - 9 } else { 0 };
            let mut numbers: Vec<u128> =
                numbers.into_iter().map(|(high, low, far)| whole(top(far) + high, low)).collect();
            numbers.sort_unstable();
            let index = WideIndex::new(numbers.clone());
            let keys = keys.into_iter().flat_map(|(high, low)| [whole(high, low), whole(top(true) + high, low)]);
            for key in keys.chain(numbers.iter().copied()).chain([0, u128::MAX]) {
                prop_assert_eq!(index.rank(key), numbers.iter().filter(|it| **it <= key).count());
            }
        }
    }
}
