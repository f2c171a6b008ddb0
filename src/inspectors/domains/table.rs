use alloc::boxed::Box;
use alloc::collections::BTreeMap;

use super::{DomainPattern, Over};

/// For each name in some lists the first list that has it: one look-up for each label of a name, however many names there are.
#[derive(Clone, Debug, Default)]
pub(super) struct Table {
    entries: BTreeMap<Box<[u8]>, Entry>,
    /// Labels of the longest name in it: no more of a name that is looked up are of interest.
    depth: usize,
}

/// The first lists that have a name, and all below it, for each thing that names are [over](Over).
#[derive(Clone, Copy, Debug)]
struct Entry {
    exact: [u32; Over::COUNT],
    below: [u32; Over::COUNT],
}

const NONE: u32 = u32::MAX;

impl Table {
    pub(super) const EMPTY: Self = Self { entries: BTreeMap::new(), depth: 0 };

    /// Adds a name of a list. Lists come in their order.
    pub(super) fn add(&mut self, pattern: &DomainPattern, over: &[Over], list: u32) {
        let name = pattern.name().as_bytes();
        let labels = if name.is_empty() { 0 } else { labels(name) };
        self.depth = self.depth.max(labels);
        let empty = Entry { exact: [NONE; Over::COUNT], below: [NONE; Over::COUNT] };
        let entry = self.entries.entry(name.into()).or_insert(empty);
        let lists = if pattern.is_below() { &mut entry.below } else { &mut entry.exact };
        for over in over {
            if let Some(first) = lists.get_mut(over.index()) {
                *first = (*first).min(list);
            }
        }
    }

    /// The first list that takes a name, which is in lower case and has no dot at its end.
    pub(super) fn find(&self, name: &[u8], over: Over) -> Option<u32> {
        let mut first = NONE;
        let mut take = |name: &[u8], is_whole: bool| {
            if let Some(entry) = self.entries.get(name) {
                let lists = if is_whole { &entry.exact } else { &entry.below };
                first = first.min(lists.get(over.index()).copied().unwrap_or(NONE));
            }
        };
        // All are below nothing.
        take(&[], false);
        let dots = name.iter().enumerate().rev().filter(|(_, byte)| **byte == b'.');
        for (at, _) in dots.take(self.depth) {
            take(name.get(at.saturating_add(1)..).unwrap_or_default(), false);
        }
        take(name, true);
        (first != NONE).then_some(first)
    }

    pub(super) fn len(&self) -> usize {
        self.entries.len()
    }
}

fn labels(name: &[u8]) -> usize {
    name.split(|byte| *byte == b'.').count()
}

#[cfg(test)]
mod tests {
    use alloc::format;
    use alloc::string::String;
    use alloc::vec::Vec;

    use proptest::collection::vec;
    use proptest::prelude::*;

    use super::*;

    fn names() -> impl Strategy<Value = String> {
        vec(prop_oneof!["a", "b", "ab", "A"], 1..5).prop_map(|labels| labels.join("."))
    }

    fn patterns() -> impl Strategy<Value = DomainPattern> {
        let text = (names(), 0..9_u8).prop_map(|(name, kind)| match kind {
            0 => "*".into(),
            1..5 => format!("*.{name}"),
            _ => name,
        });
        text.prop_map(|text| text.parse().unwrap())
    }

    proptest! {
        /// As going through all lists one by one: a suffix in the middle of a label, a list before another, a name itself beside
        /// what is below it.
        #[test]
        fn the_first_list_that_takes_a_name(
            lists in vec((vec(patterns(), 1..5), 1..8_u8), 1..6),
            asked in vec(names(), 1..20),
        ) {
            let over = |bits: u8| -> Vec<Over> {
                Over::ALL.into_iter().filter(|over| bits & 1 << over.index() != 0).collect()
            };
            let mut table = Table::default();
            for (number, (patterns, bits)) in (0..).zip(&lists) {
                patterns.iter().for_each(|pattern| table.add(pattern, &over(*bits), number));
            }
            for name in asked {
                for asked in Over::ALL {
                    let expected = lists.iter().position(|(patterns, bits)| {
                        over(*bits).contains(&asked) && patterns.iter().any(|it| it.matches(&name))
                    });
                    let found = table.find(name.to_ascii_lowercase().as_bytes(), asked);
                    prop_assert_eq!(found.map(|list| list as usize), expected, "{}", name);
                }
            }
        }
    }
}
