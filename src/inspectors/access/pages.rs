use alloc::collections::BTreeMap;
use alloc::vec::Vec;

use super::index::Starts;

/// Says how many of some sorted numbers, all of them small, are no greater than a key: two loads, whatever they are.
///
/// Equal pages are kept once, so that few numbers take little room.
#[derive(Clone, Debug, Default)]
pub(super) struct Pages {
    pages: Vec<Page>,
    /// For each page that differs from others and each key in it, how many numbers stand after the page's first key.
    offsets: Vec<u8>,
}

#[derive(Clone, Copy, Debug)]
struct Page {
    /// How many numbers are no greater than its first key.
    rank: u32,
    offsets_at: u32,
}

const PAGE_BITS: u32 = 8;
const PAGE: u32 = 1 << PAGE_BITS;

impl<K: Copy + Into<u32>> Starts<K> for Pages {
    /// Keys after the page of the last number have its rank.
    fn new(numbers: Vec<K>) -> Self {
        let mut pages = Self::default();
        let mut known = BTreeMap::new();
        let mut rest = numbers.iter().map(|number| (*number).into()).peekable();
        let mut rank = 0_u32;
        let last = numbers.last().map_or(0, |number| (*number).into());
        for page in 0..=(last >> PAGE_BITS).saturating_add(1) {
            let is_empty = rest.peek().is_none_or(|next| next >> PAGE_BITS != page);
            let mut first_rank = rank;
            // Nearly all pages, most of the time: building a short list is to be quick.
            let keys = if is_empty { 0..0 } else { 0..PAGE };
            let mut offsets: Vec<u8> = keys
                .map(|at| {
                    if rest.next_if_eq(&(page << PAGE_BITS | at)).is_some() {
                        rank = rank.saturating_add(1);
                    }
                    if at == 0 {
                        first_rank = rank;
                    }
                    u8::try_from(rank.saturating_sub(first_rank)).unwrap_or(u8::MAX)
                })
                .collect();
            offsets.resize(PAGE as usize, 0);
            let offsets_at = *known.entry(offsets).or_insert_with_key(|offsets| {
                let at = pages.offsets.len();
                pages.offsets.extend(offsets);
                u32::try_from(at).unwrap_or(u32::MAX)
            });
            pages.pages.push(Page { rank: first_rank, offsets_at });
        }
        pages.pages.shrink_to_fit();
        pages.offsets.shrink_to_fit();
        pages
    }

    #[inline]
    fn rank(&self, key: K) -> usize {
        let key = key.into();
        let place = (key >> PAGE_BITS) as usize;
        let Some(page) = self.pages.get(place.min(self.pages.len().wrapping_sub(1))) else {
            return 0;
        };
        let at = page.offsets_at.wrapping_add(key & (PAGE - 1)) as usize;
        let offset = self.offsets.get(at).copied().unwrap_or_default();
        page.rank.wrapping_add(offset.into()) as usize
    }

    fn memory(&self) -> usize {
        size_of_val(&self.pages[..]).saturating_add(size_of_val(&self.offsets[..]))
    }
}

#[cfg(test)]
mod tests {
    use alloc::collections::BTreeSet;

    use proptest::collection::{btree_set, vec};
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn ranks_are_those_of_counting(
            ports in btree_set(prop_oneof![0_u32..=65_537, 500..1_030_u32, Just(65_536), Just(65_537)], 0..300),
            keys in vec(0_u32..=65_537, 50),
            bytes in btree_set(any::<u8>(), 0..100),
        ) {
            let pages = Pages::new(ports.iter().copied().collect());
            let near = ports.iter().flat_map(|port| [port.saturating_sub(1), *port, port + 1]);
            for key in near.chain(keys).chain([0, 65_536, 65_537]) {
                prop_assert_eq!(pages.rank(key), ports.iter().filter(|port| **port <= key).count());
            }
            let pages = Pages::new(bytes.iter().copied().collect());
            for key in 0..=u8::MAX {
                prop_assert_eq!(pages.rank(key), bytes.iter().filter(|byte| **byte <= key).count());
            }
        }
    }

    #[test]
    fn a_full_page_and_an_empty_table() {
        let pages = Pages::new((0..=65_537_u32).collect::<BTreeSet<_>>().into_iter().collect());
        assert_eq!(
            (pages.rank(0_u32), pages.rank(255_u32), pages.rank(65_537_u32)),
            (1, 256, 65_538)
        );
        let pages = <Pages as Starts<u32>>::new(Vec::new());
        assert_eq!(pages.rank(65_537_u32), 0);
    }
}
