use alloc::boxed::Box;
use alloc::vec;

/// Which few bytes patterns begin with: where none of these are, no pattern is, and most bytes need not be looked at one by one.
///
/// With the shortest pattern of `n` bytes and grams of `g`, one of each `n - g + 1` places is looked at: of whatever pattern is there, one of
/// its first grams is at such a place. Letters are compared in either case, and a gram may be taken for another one.
#[derive(Debug)]
pub(super) struct Grams {
    /// A bit for each hash.
    bits: Box<[u64]>,
    shift: u32,
    /// Which bytes of four are a gram's.
    mask: u32,
    step: usize,
}

/// As many bits are looked up in the first cache.
const MOST_BITS: u32 = 1 << 18;

/// Of so many bits one is set: what is taken for a gram costs as much as some bytes that are looked at one by one.
const SPARSE: usize = 32;

/// Bytes that need not be looked at are few where a pattern is shorter.
const SHORTEST: usize = 4;

impl Grams {
    /// Of patterns; `None` where one is too short, or where they are too many.
    pub(super) fn new<'a>(
        patterns: impl ExactSizeIterator<Item = &'a [u8]> + Clone,
    ) -> Option<Self> {
        let shortest = patterns.clone().map(<[u8]>::len).min()?;
        let (gram, mask) = match shortest {
            ..SHORTEST => return None,
            SHORTEST..=5 => (3, 0x00ff_ffff),
            _ => (4, u32::MAX),
        };
        let most = usize::try_from(MOST_BITS).ok()?.checked_div(SPARSE)?;
        let places = shortest.saturating_sub(gram).saturating_add(1);
        let step = places.min(most.checked_div(patterns.len())?);
        if step == 0 {
            return None;
        }
        let wanted = patterns.len().saturating_mul(step).saturating_mul(SPARSE);
        let bits = u32::try_from(wanted).ok()?.next_power_of_two().clamp(64, MOST_BITS);
        let shift = bits.leading_zeros().saturating_add(1);
        let words = usize::try_from(bits / 64).ok()?;
        let mut grams = Self { bits: vec![0; words].into(), shift, mask, step };
        for pattern in patterns {
            for start in 0..step {
                let mut word = [0; 4];
                let gram = pattern.get(start..)?.iter().take(gram);
                word.iter_mut().zip(gram).for_each(|(to, byte)| *to = *byte);
                let (word, bit) = grams.place(word);
                *grams.bits.get_mut(word)? |= bit;
            }
        }
        Some(grams)
    }

    /// How many places in a row one is looked at of: patterns that begin at a [found](Self::find) place or at fewer before are found by it.
    pub(super) const fn step(&self) -> usize {
        self.step
    }

    /// Bytes of memory.
    pub(super) fn memory(&self) -> usize {
        size_of_val(&*self.bits)
    }

    /// The first place from `at` on, so many [steps](Self::step) further, where there is one of the grams.
    #[inline]
    pub(super) fn find(&self, bytes: &[u8], at: usize) -> Option<usize> {
        let mut rest = bytes.get(at..)?;
        while let Some(word) = rest.first_chunk() {
            if self.has(*word) {
                return bytes.len().checked_sub(rest.len());
            }
            rest = rest.get(self.step..)?;
        }
        // A gram of three bytes may be at the very end.
        let &[first, second, third] = rest else { return None };
        self.has([first, second, third, 0]).then(|| bytes.len().saturating_sub(3))
    }

    #[inline]
    fn has(&self, word: [u8; 4]) -> bool {
        let (word, bit) = self.place(word);
        self.bits.get(word).is_some_and(|bits| bits & bit != 0)
    }

    /// Which bit of which word is a gram's: that of the same gram in the other case.
    #[inline]
    fn place(&self, word: [u8; 4]) -> (usize, u64) {
        const LOWER: u32 = 0x2020_2020;
        const SPREAD: u32 = 0x9e37_79b1;
        let folded = (u32::from_le_bytes(word) | LOWER) & self.mask;
        let hash = folded.wrapping_mul(SPREAD).wrapping_shr(self.shift);
        ((hash / 64) as usize, 1_u64.wrapping_shl(hash))
    }
}

#[cfg(test)]
mod tests {
    use alloc::vec::Vec;

    use super::*;

    #[test]
    fn of_short_patterns_and_of_too_many_there_are_none() {
        let made = |patterns: &[&[u8]]| Grams::new(patterns.iter().copied());
        assert!(made(&[]).is_none() && made(&[b"abcdefgh", b"abc"]).is_none());
        assert_eq!(made(&[b"abcd", b"abcdefgh"]).unwrap().step(), 2);
        assert_eq!(made(&[b"abcdef"]).unwrap().step(), 3);
        let many: Vec<_> = (0..5_000).map(|number| alloc::format!("{number:08}")).collect();
        let made = |count| Grams::new(many[..count].iter().map(|it| it.as_bytes()));
        assert_eq!(made(10).unwrap().step(), 5);
        let grams = made(5_000).unwrap();
        assert_eq!((grams.step(), grams.memory()), (1, 32 << 10));
    }

    proptest::proptest! {
        #[test]
        fn no_pattern_begins_elsewhere(
            patterns in proptest::collection::vec("[a-cX]{4,9}", 1..4),
            bytes in "[a-cxX]{0,50}",
        ) {
            let grams = Grams::new(patterns.iter().map(String::as_bytes)).unwrap();
            let (bytes, mut found, mut at) = (bytes.as_bytes(), Vec::new(), 0);
            while let Some(place) = grams.find(bytes, at) {
                found.extend(place.saturating_sub(grams.step() - 1)..=place);
                at = place + grams.step();
            }
            for start in 0..bytes.len() {
                let is_one = |pattern: &String| {
                    let there = bytes.get(start..start + pattern.len());
                    there.is_some_and(|it| it.eq_ignore_ascii_case(pattern.as_bytes()))
                };
                if patterns.iter().any(is_one) {
                    proptest::prop_assert!(found.contains(&start));
                }
            }
        }
    }
}
