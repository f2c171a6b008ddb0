use alloc::boxed::Box;
use alloc::collections::BTreeMap;
use alloc::vec::Vec;
use core::mem;

use aho_corasick::automaton::Automaton;
use aho_corasick::nfa::{contiguous, noncontiguous};
use aho_corasick::{Anchored, MatchKind, Span, dfa};

use super::grams::Grams;

/// Patterns of many rules, looked for all at once: which rules are worth a closer look.
#[derive(Debug)]
pub(in super::super) struct Prefilter {
    machine: Machine,
    /// Where it need not look; `None` where patterns are too short or too many for that.
    grams: Option<Grams>,
    /// For each pattern, where its rules begin in `rules`; and where the last ones end.
    starts: Box<[u32]>,
    rules: Box<[u32]>,
    shortest: usize,
    longest: usize,
}

/// An automaton for all patterns.
#[derive(Debug)]
enum Machine {
    /// Of one look-up a byte.
    Dense(dfa::DFA),
    /// Smaller.
    Compact(contiguous::NFA),
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

/// The same where [grams](Grams) leave little to it.
const DENSE_BESIDE_GRAMS: usize = 32;

/// Of a pattern no more is looked for than this: it does not get any rarer.
pub(in super::super) const LONGEST: usize = 24;

impl Prefilter {
    /// For patterns and the rules that they are of; `None` where there are none, or too many.
    pub(in super::super) fn new(patterns: &[(Vec<u8>, u32)]) -> Option<Self> {
        let mut of: BTreeMap<Vec<u8>, Vec<u32>> = BTreeMap::new();
        for (pattern, rule) in patterns {
            of.entry(pattern.to_ascii_lowercase()).or_default().push(*rule);
        }
        let patterns = noncontiguous::Builder::new()
            .match_kind(MatchKind::Standard)
            .ascii_case_insensitive(true)
            .build(of.keys())
            .ok()?;
        let grams = Grams::new(of.keys().map(Vec::as_slice));
        let dense = if grams.is_some() { DENSE_BESIDE_GRAMS } else { DENSE };
        let machine = match of.len() {
            0 => return None,
            len if len <= dense => {
                Machine::Dense(dfa::Builder::new().build_from_noncontiguous(&patterns).ok()?)
            }
            _ => {
                let builder = contiguous::Builder::new();
                Machine::Compact(builder.build_from_noncontiguous(&patterns).ok()?)
            }
        };
        let (mut starts, mut rules) = (Vec::with_capacity(of.len()), Vec::new());
        for all in of.values() {
            starts.push(u32::try_from(rules.len()).ok()?);
            rules.extend_from_slice(all);
        }
        starts.push(u32::try_from(rules.len()).ok()?);
        let shortest = of.keys().map(Vec::len).min().unwrap_or(0);
        let longest = of.keys().map(Vec::len).max().unwrap_or(0);
        let (starts, rules) = (starts.into(), rules.into());
        Some(Self { machine, grams, starts, rules, shortest, longest })
    }

    /// So many bytes before new ones are looked at again, as a pattern may begin there.
    pub(in super::super) fn overlap(&self) -> usize {
        self.longest.saturating_sub(1)
    }

    /// Bytes of memory.
    pub(in super::super) fn memory(&self) -> usize {
        let words = self.starts.len().saturating_add(self.rules.len());
        let machine = match &self.machine {
            Machine::Dense(machine) => machine.memory_usage(),
            Machine::Compact(machine) => machine.memory_usage(),
        };
        let grams = self.grams.as_ref().map_or(0, Grams::memory);
        machine.saturating_add(grams).saturating_add(words.saturating_mul(size_of::<u32>()))
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
        let Some(rest) = bytes.get(from..).filter(|rest| rest.len() >= self.shortest) else {
            return;
        };
        let Places { ends, found: all } = places;
        if ends.len() < self.starts.len() {
            ends.resize(self.starts.len(), 0);
        }
        let note = |pattern: u32, end: usize| {
            let end = from.saturating_add(end);
            let Some(last) = ends.get_mut(pattern as usize) else { return };
            if end > seen {
                if *last == 0 {
                    all.push(pattern);
                }
                *last = end;
            }
        };
        match (&self.machine, &self.grams) {
            (Machine::Dense(machine), None) => walk(machine, rest, note),
            (Machine::Compact(machine), None) => walk(machine, rest, note),
            (Machine::Dense(machine), Some(grams)) => {
                walk_at(machine, grams, self.longest, rest, note);
            }
            (Machine::Compact(machine), Some(grams)) => {
                walk_at(machine, grams, self.longest, rest, note);
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

/// Gives each pattern that an automaton finds, and behind which byte it ends. The crate's own search for matches that overlap
/// keeps its place in memory; here it stays in registers (`benches/README.md`, "Signatures").
#[inline]
fn walk<A: Automaton>(machine: &A, bytes: &[u8], mut give: impl FnMut(u32, usize)) {
    let Ok(start) = machine.start_state(Anchored::No) else { return };
    let mut state = start;
    let mut at = 0_usize;
    loop {
        // Few patterns have bytes to jump to.
        if let (true, Some(filter)) = (state == start, machine.prefilter()) {
            let rest = Span { start: at, end: bytes.len() };
            match filter.find_in(bytes, rest).into_option() {
                Some(next) => at = next.max(at),
                None => return,
            }
        }
        let mut rest = bytes.get(at..).unwrap_or_default().iter();
        loop {
            let Some(byte) = rest.next() else { return };
            state = machine.next_state(Anchored::No, state, *byte);
            // Matches, and the start where there is a filter.
            if machine.is_special(state) {
                break;
            }
        }
        at = bytes.len().saturating_sub(rest.len());
        if machine.is_match(state) {
            for index in 0..machine.match_len(state) {
                give(machine.match_pattern(state, index).as_u32(), at);
            }
        }
    }
}

/// The same, but only where patterns may be by their grams.
#[inline]
fn walk_at<A: Automaton>(
    machine: &A,
    grams: &Grams,
    longest: usize,
    bytes: &[u8],
    mut give: impl FnMut(u32, usize),
) {
    let Ok(start) = machine.start_state(Anchored::No) else { return };
    let mut state = start;
    let (mut at, mut next) = (0_usize, 0_usize);
    while let Some(found) = grams.find(bytes, next) {
        next = found.saturating_add(grams.step());
        let first = found.saturating_add(1).saturating_sub(grams.step());
        if at < first {
            (state, at) = (start, first);
        }
        // Whatever begins here or before ends before that.
        let end = found.saturating_add(longest).min(bytes.len());
        for byte in bytes.get(at..end).unwrap_or_default() {
            state = machine.next_state(Anchored::No, state, *byte);
            at = at.saturating_add(1);
            if machine.is_match(state) {
                for index in 0..machine.match_len(state) {
                    give(machine.match_pattern(state, index).as_u32(), at);
                }
            } else if state == start && at > found {
                break;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::collection;
    use proptest::prelude::*;
    use proptest::sample::{Index, select};

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

    /// Looks for patterns in bytes of which some were seen before, and compares what is found with what each window ends with.
    fn check(patterns: &[Vec<u8>], bytes: &[u8], seen: usize) -> Prefilter {
        let numbered: Vec<_> = patterns.iter().cloned().zip(0..).collect();
        let prefilter = Prefilter::new(&numbered).unwrap();
        let (mut found, mut places) = (Vec::new(), Places::default());
        prefilter.scan(bytes, seen, &mut places, |rule, end| found.push((rule, end)));
        found.sort_unstable();
        let mut expected = Vec::new();
        for (pattern, rule) in &numbered {
            let ends = (1..=bytes.len()).rev().filter(|end| *end > seen);
            let mut ends = ends.filter(|end| {
                let text = bytes[..*end].to_ascii_lowercase();
                text.ends_with(&pattern.to_ascii_lowercase())
            });
            expected.extend(ends.next().map(|end| (*rule, end)));
        }
        assert_eq!(found, expected, "{} after {seen}", bytes.escape_ascii());
        prefilter
    }

    /// Patterns of so many bytes at least, and bytes that have parts of them one behind the other, or all of one.
    fn long() -> impl Strategy<Value = (usize, Vec<Vec<u8>>, Vec<u8>)> {
        let lengths = select(vec![
            (4, "[a-dX]{4,9}"),
            (5, "[a-dX]{5,9}"),
            (6, "[a-dX]{6,9}"),
            (9, "[a-dX]{9,12}"),
        ]);
        let patterns = lengths
            .prop_flat_map(|(shortest, one)| (Just(shortest), collection::btree_set(one, 1..6)));
        let pieces = (any::<Index>(), 0..12_usize, "[a-dxy]{0,3}");
        (patterns, collection::vec(pieces, 0..9)).prop_map(|((shortest, patterns), pieces)| {
            let patterns: Vec<_> = patterns.into_iter().map(String::into_bytes).collect();
            let mut bytes = Vec::new();
            for (which, len, between) in pieces {
                let pattern = which.get(&patterns);
                bytes.extend(pattern.iter().take(len).map(u8::to_ascii_lowercase));
                bytes.extend(between.bytes());
            }
            (shortest, patterns, bytes)
        })
    }

    proptest! {
        /// Short patterns, which have grams only where all are of four bytes: one, which has a byte to jump to, some, and more than a
        /// dense automaton is made of.
        #[test]
        fn finds_what_windows_are(
            patterns in collection::btree_set("[a-dX]{1,4}", 1..6),
            more in select(vec![0_u32, 600]),
            bytes in "[a-dxy]{0,60}",
            seen in 0..20_usize,
        ) {
            let mut given: Vec<_> = patterns.into_iter().map(String::into_bytes).collect();
            given.extend((0..more).map(|number| format!("{number:04}").into_bytes()));
            check(&given, bytes.as_bytes(), seen);
        }

        /// Long ones, which have grams of three bytes and of four, looked for at every second to sixth place: some of different lengths,
        /// and with more that leave a shorter step and are more than a dense automaton is made of.
        #[test]
        fn finds_what_windows_are_where_grams_say_where_to_look(
            (shortest, patterns, bytes) in long(),
            more in select(vec![0_usize, 30, 600, 2_500]),
            seen in 0..40_usize,
        ) {
            let mut given = patterns;
            given.extend((0..more).map(|number| format!("{number:0shortest$}").into_bytes()));
            let prefilter = check(&given, &bytes, seen);
            prop_assert!(prefilter.grams.is_some());
            prop_assert_eq!(matches!(prefilter.machine, Machine::Compact(_)), given.len() > 32);
        }
    }
}
