use alloc::boxed::Box;
use alloc::collections::BTreeMap;
use alloc::vec::Vec;
use core::mem;

use aho_corasick::{AhoCorasick, AhoCorasickKind, MatchKind};

/// Patterns of many rules, looked for all at once: which rules are worth a closer look.
#[derive(Debug)]
pub(in super::super) struct Prefilter {
    automaton: AhoCorasick,
    /// For each pattern, where its rules begin in `rules`; and where the last ones end.
    starts: Box<[u32]>,
    rules: Box<[u32]>,
    longest: usize,
}

/// Which patterns were found, and where each ended last. Used again and again; as large as there are patterns, however often they are found.
#[derive(Debug, Default)]
pub(in super::super) struct Places {
    /// For each pattern, behind which byte it ended last; 0 where it was not found.
    ends: Vec<usize>,
    found: Vec<u32>,
}

/// As many patterns are made into an automaton of one look-up a byte; of more, that would be too large for the caches.
const DENSE: usize = 512;

/// Of a pattern no more is looked for than this: it does not get any rarer.
pub(in super::super) const LONGEST: usize = 24;

impl Prefilter {
    /// For patterns and the rules that they are of; `None` where there are none, or too many.
    pub(in super::super) fn new(patterns: &[(Vec<u8>, u32)]) -> Option<Self> {
        let mut of: BTreeMap<Vec<u8>, Vec<u32>> = BTreeMap::new();
        for (pattern, rule) in patterns {
            of.entry(pattern.to_ascii_lowercase()).or_default().push(*rule);
        }
        let kind = match of.len() {
            0 => return None,
            1..=DENSE => AhoCorasickKind::DFA,
            _ => AhoCorasickKind::ContiguousNFA,
        };
        let automaton = AhoCorasick::builder()
            .match_kind(MatchKind::Standard)
            .ascii_case_insensitive(true)
            .kind(Some(kind))
            .build(of.keys())
            .ok()?;
        let (mut starts, mut rules) = (Vec::with_capacity(of.len()), Vec::new());
        for all in of.values() {
            starts.push(u32::try_from(rules.len()).ok()?);
            rules.extend_from_slice(all);
        }
        starts.push(u32::try_from(rules.len()).ok()?);
        let longest = of.keys().map(Vec::len).max().unwrap_or(0);
        Some(Self { automaton, starts: starts.into(), rules: rules.into(), longest })
    }

    /// So many bytes before new ones are looked at again, as a pattern may begin there.
    pub(in super::super) fn overlap(&self) -> usize {
        self.longest.saturating_sub(1)
    }

    /// Bytes of memory.
    pub(in super::super) fn memory(&self) -> usize {
        let words = self.starts.len().saturating_add(self.rules.len());
        self.automaton.memory_usage().saturating_add(words.saturating_mul(size_of::<u32>()))
    }

    /// Gives each rule of a pattern that is in `bytes` and ends behind byte `seen`, once for each of its patterns, and where that ends last.
    #[inline]
    pub(in super::super) fn scan(
        &self,
        bytes: &[u8],
        seen: usize,
        places: &mut Places,
        mut give: impl FnMut(u32, usize),
    ) {
        let from = seen.saturating_sub(self.overlap());
        let Some(rest) = bytes.get(from..) else { return };
        let Places { ends, found: all } = places;
        if ends.len() < self.starts.len() {
            ends.resize(self.starts.len(), 0);
        }
        for found in self.automaton.find_overlapping_iter(rest) {
            let end = from.saturating_add(found.end());
            let Some(last) = ends.get_mut(found.pattern().as_usize()) else { continue };
            if end > seen {
                if *last == 0 {
                    all.push(found.pattern().as_u32());
                }
                *last = end;
            }
        }
        for pattern in all.drain(..).map(|pattern| pattern as usize) {
            let end = ends.get_mut(pattern).map_or(0, mem::take);
            let mut starts = self.starts.get(pattern..).unwrap_or(&[]).iter();
            let mut next = || starts.next().map(|start| *start as usize);
            let (Some(first), Some(last)) = (next(), next()) else { continue };
            for rule in self.rules.get(first..last).unwrap_or(&[]) {
                give(*rule, end);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_rule_of_a_pattern_is_given_in_either_case_and_where_it_is_last() {
        let patterns = [("abc", 1), ("ABC", 2), ("bc", 3), ("x", 4)];
        let patterns = patterns.map(|(pattern, rule)| (pattern.as_bytes().to_vec(), rule));
        let prefilter = Prefilter::new(&patterns).unwrap();
        let (mut found, mut places) = (Vec::new(), Places::default());
        prefilter.scan(b"xaBcx", 0, &mut places, |rule, end| found.push((rule, end)));
        found.sort_unstable();
        assert_eq!(found, [(1, 4), (2, 4), (3, 4), (4, 5)]);
        found.clear();
        prefilter.scan(b"xaBcx", 3, &mut places, |rule, end| found.push((rule, end)));
        found.sort_unstable();
        assert_eq!(found, [(1, 4), (2, 4), (3, 4), (4, 5)]);
    }

    #[test]
    fn what_is_found_again_and_again_takes_no_more_than_what_is_found_once() {
        let patterns: Vec<_> = (0..300).map(|rule| (b"aaaa".to_vec(), rule)).collect();
        let prefilter = Prefilter::new(&patterns).unwrap();
        let (mut given, mut places) = (0, Places::default());
        prefilter.scan(&[b'a'; 65_000], 0, &mut places, |_, end| {
            assert_eq!(end, 65_000);
            given += 1;
        });
        assert_eq!(given, 300);
        assert!(places.ends.capacity() <= 4 && places.found.capacity() <= 4);
    }
}
