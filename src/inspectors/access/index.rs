use alloc::vec::Vec;

use super::wide::WideIndex;

/// Says how many of some sorted numbers are no greater than a key.
///
/// A node cuts the span from its first to its last number into equal buckets, about as many as it has numbers. A
/// bucket with more than a few numbers in it is a node of its own: so where numbers crowd, as the networks of one
/// /8 do among all of IPv4, the buckets are narrow, and few numbers are compared in the end.
#[derive(Clone, Debug)]
pub(super) struct Index<K> {
    /// Followed by a few that are not to be counted.
    numbers: Vec<K>,
    count: usize,
    nodes: Vec<Node<K>>,
    slots: Vec<Slot>,
}

/// Where intervals begin: numbers in order, each of them once.
pub(super) trait Starts<K> {
    fn new(numbers: Vec<K>) -> Self;

    /// How many numbers are no greater than the key.
    fn rank(&self, key: K) -> usize;

    /// Bytes of heap.
    fn memory(&self) -> usize;
}

/// A number that is looked up.
pub(super) trait Key: Copy + Default + Ord + TryFrom<u128> + Into<u128> {
    const HIGHEST: Self;

    /// How far it is from a base: beyond all spans where it is below.
    fn distance(self, base: Self) -> Self;

    /// Which bucket of 2^`shift` values it is in, if the first begins at `base`.
    fn bucket(self, base: Self, shift: u32) -> usize;
}

/// A number that an address is.
pub(super) trait Address: Key {
    type Starts: Starts<Self> + Clone + core::fmt::Debug;
}

impl Address for u32 {
    type Starts = Index<u32>;
}

impl Address for u128 {
    type Starts = WideIndex;
}

macro_rules! keys {
    ($($number:ty)*) => {$(
        impl Key for $number {
            const HIGHEST: Self = Self::MAX;

            #[inline]
            fn distance(self, base: Self) -> Self {
                self.wrapping_sub(base)
            }

            #[inline]
            fn bucket(self, base: Self, shift: u32) -> usize {
                usize::try_from(self.saturating_sub(base) >> shift).unwrap_or(usize::MAX)
            }
        }
    )*};
}

keys!(u8 u32 u64 u128);

#[derive(Clone, Copy, Debug)]
struct Node<K> {
    base: K,
    shift: u32,
    slots_at: usize,
    last_bucket: usize,
}

/// How many numbers stand before a bucket; or, with the bit [`CHILD`], a node.
type Slot = u32;

const CHILD: u32 = 1 << 31;

/// How many numbers are searched by halves, always in three steps: those after a bucket are too great to be counted, and
/// a loop of a fixed length leaves no branch to guess wrong.
const FEW: usize = 7;

impl<K: Key> Starts<K> for Index<K> {
    fn new(numbers: Vec<K>) -> Self {
        let count = numbers.len();
        let mut index = Self { numbers, count, nodes: Vec::new(), slots: Vec::new() };
        let mut todo = Vec::new();
        if count > FEW {
            todo.push((0, index.numbers.len(), None));
        }
        while let Some((from, to, parent)) = todo.pop() {
            index.add(from, to, parent, &mut todo);
        }
        index.numbers.extend([K::HIGHEST; FEW + 1]);
        index.numbers.shrink_to_fit();
        index.nodes.shrink_to_fit();
        index.slots.shrink_to_fit();
        index
    }

    #[inline]
    fn rank(&self, key: K) -> usize {
        let Some(mut node) = self.nodes.first() else { return self.count_from(0, key) };
        loop {
            let bucket = key.bucket(node.base, node.shift).min(node.last_bucket);
            let slot = self.slots.get(node.slots_at.wrapping_add(bucket));
            let Some(slot) = slot.copied() else { return 0 };
            if slot & CHILD != 0 {
                let Some(child) = self.nodes.get((slot ^ CHILD) as usize) else { return 0 };
                node = child;
                continue;
            }
            return self.count_from(slot as usize, key);
        }
    }

    fn memory(&self) -> usize {
        size_of_val(&self.numbers[..])
            .saturating_add(size_of_val(&self.nodes[..]))
            .saturating_add(size_of_val(&self.slots[..]))
    }
}

impl<K: Key> Index<K> {
    /// The rank of a key that is no less than `from` numbers, and than few more.
    #[inline]
    fn count_from(&self, from: usize, key: K) -> usize {
        let here = self.numbers.get(from..).and_then(|rest| rest.first_chunk::<{ FEW + 1 }>());
        let Some(here) = here else { return 0 };
        let no_less = |at: usize| usize::from(here.get(at).is_some_and(|number| *number <= key));
        let mut more = no_less(3) << 2;
        more |= no_less(more | 1) << 1;
        more |= no_less(more);
        from.wrapping_add(more).min(self.count)
    }

    /// A node for the numbers in `from..to`, whose place is told to the slot that stands for it.
    fn add(
        &mut self,
        from: usize,
        to: usize,
        parent: Option<usize>,
        todo: &mut Vec<(usize, usize, Option<usize>)>,
    ) {
        let here = self.numbers.get(from..to).unwrap_or_default();
        let (Some(base), Some(last)) = (here.first().copied(), here.last()) else { return };
        let most = here.len().next_power_of_two().div_ceil(2);
        let mut shift = 0_u32;
        while last.bucket(base, shift) >= most {
            shift = shift.saturating_add(1);
        }
        let last_bucket = last.bucket(base, shift);
        let slots_at = self.slots.len();
        let id = self.nodes.len();
        if let Some(slot) = parent.and_then(|slot| self.slots.get_mut(slot)) {
            *slot = number(id) | CHILD;
        }
        self.nodes.push(Node { base, shift, slots_at, last_bucket });
        let mut rest = here;
        let mut at = from;
        for bucket in 0..=last_bucket {
            let count = rest.partition_point(|number| number.bucket(base, shift) <= bucket);
            let end = at.saturating_add(count);
            if count > FEW {
                todo.push((at, end, Some(self.slots.len())));
            }
            self.slots.push(number(at));
            rest = rest.get(count..).unwrap_or_default();
            at = end;
        }
    }
}

/// Places stay below this by the limit on memory.
fn number(place: usize) -> u32 {
    u32::try_from(place).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use alloc::collections::BTreeSet;

    use proptest::collection::btree_set;
    use proptest::prelude::*;

    use super::*;

    fn agrees<K: Key + core::fmt::Debug>(numbers: BTreeSet<K>, keys: &[K]) {
        let numbers: Vec<K> = numbers.into_iter().collect();
        let index = Index::new(numbers.clone());
        for key in keys.iter().chain(&numbers) {
            let expected = numbers.iter().filter(|number| *number <= key).count();
            assert_eq!(index.rank(*key), expected, "{key:?} among {numbers:?}");
        }
    }

    /// Crowds at many scales.
    fn wide() -> impl Strategy<Value = u128> {
        (any::<u128>(), 0_u32..128, any::<bool>()).prop_map(|(bits, shift, high)| {
            let low = bits.checked_shr(shift).unwrap_or(0);
            if high { !low } else { low }
        })
    }

    proptest! {
        #[test]
        fn ranks_are_those_of_counting(
            bytes in btree_set(any::<u8>(), 0..100),
            small in btree_set(wide().prop_map(|it| it as u32), 0..300),
            large in btree_set(wide(), 0..300),
            keys in proptest::collection::vec(wide(), 50),
        ) {
            agrees(bytes, &keys.iter().map(|key| *key as u8).collect::<Vec<_>>());
            agrees(small, &keys.iter().map(|key| *key as u32).collect::<Vec<_>>());
            agrees(large, &keys);
        }
    }

    /// Half of what is left crowds into the first bucket again and again.
    #[test]
    fn powers_of_two_stay_small() {
        let index = Index::new((0..128).map(|bit| 1_u128 << bit).collect());
        assert_eq!((index.rank(0), index.rank(1), index.rank(u128::MAX)), (0, 1, 128));
        assert!(index.memory() < 64 << 10, "{}", index.memory());
    }
}
