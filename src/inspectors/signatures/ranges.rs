use alloc::vec::Vec;

/// Numbers from a first to a last one, several times: in order, apart from each other, so that each set has one form.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Ranges<T>(Vec<(T, T)>);

/// A number of which there is a least and a greatest.
pub(super) trait Bounded: Copy + Ord {
    const LEAST: Self;
    const GREATEST: Self;
    fn next(self) -> Option<Self>;
    fn previous(self) -> Option<Self>;
}

macro_rules! bounded {
    ($($number:ty)*) => {$(
        impl Bounded for $number {
            const LEAST: Self = Self::MIN;
            const GREATEST: Self = Self::MAX;
            fn next(self) -> Option<Self> {
                self.checked_add(1)
            }
            fn previous(self) -> Option<Self> {
                self.checked_sub(1)
            }
        }
    )*};
}

bounded!(u16 u32 u128);

impl<T: Bounded> Ranges<T> {
    pub(super) fn all() -> Self {
        Self([(T::LEAST, T::GREATEST)].into())
    }

    pub(super) const fn none() -> Self {
        Self(Vec::new())
    }

    /// In whatever order, overlapping or not; each with the lower end first.
    pub(super) fn new(mut ranges: Vec<(T, T)>) -> Self {
        ranges.sort_unstable();
        let mut merged: Vec<(T, T)> = Vec::with_capacity(ranges.len());
        for (first, last) in ranges {
            match merged.last_mut() {
                Some((_, end)) if end.next().is_none_or(|next| first <= next) => {
                    *end = last.max(*end);
                }
                _ => merged.push((first, last)),
            }
        }
        Self(merged)
    }

    pub(super) fn union(mut self, other: Self) -> Self {
        if self.0.is_empty() {
            return other;
        }
        self.0.extend(other.0);
        Self::new(self.0)
    }

    pub(super) fn complement(&self) -> Self {
        let mut holes = Vec::with_capacity(self.0.len().saturating_add(1));
        let mut from = Some(T::LEAST);
        for (first, last) in &self.0 {
            if let (Some(from), Some(to)) = (from, first.previous()) {
                if from <= to {
                    holes.push((from, to));
                }
            }
            from = last.next();
        }
        holes.extend(from.map(|from| (from, T::GREATEST)));
        Self(holes)
    }

    /// What is in this and not in the other.
    pub(super) fn without(&self, other: &Self) -> Self {
        self.complement().union(other.clone()).complement()
    }

    pub(super) fn contains(&self, number: T) -> bool {
        let before = self.0.partition_point(|(first, _)| *first <= number);
        before
            .checked_sub(1)
            .and_then(|place| self.0.get(place))
            .is_some_and(|(_, last)| number <= *last)
    }

    pub(super) fn is_all(&self) -> bool {
        matches!(self.0[..], [(first, last)] if first == T::LEAST && last == T::GREATEST)
    }

    pub(super) fn is_none(&self) -> bool {
        self.0.is_empty()
    }

    pub(super) fn as_slice(&self) -> &[(T, T)] {
        &self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::vec::Vec;

    fn ranges() -> impl Strategy<Value = Vec<(u16, u16)>> {
        let near = prop_oneof![0_u16..40, u16::MAX - 40..=u16::MAX];
        let pair = (near.clone(), near).prop_map(|(a, b)| (a.min(b), a.max(b)));
        proptest::collection::vec(pair, 0..6)
    }

    fn is_in(list: &[(u16, u16)], number: u16) -> bool {
        list.iter().any(|(first, last)| (first..=last).contains(&&number))
    }

    proptest! {
        #[test]
        fn as_sets_are(a in ranges(), b in ranges()) {
            let (left, right) = (Ranges::new(a.clone()), Ranges::new(b.clone()));
            let (union, without) = (left.clone().union(right.clone()), left.without(&right));
            let complement = left.complement();
            for number in (0..100).chain(u16::MAX - 100..=u16::MAX) {
                prop_assert_eq!(left.contains(number), is_in(&a, number));
                prop_assert_eq!(union.contains(number), is_in(&a, number) || is_in(&b, number));
                prop_assert_eq!(without.contains(number), is_in(&a, number) && !is_in(&b, number));
                prop_assert_eq!(complement.contains(number), !is_in(&a, number));
            }
            prop_assert_eq!(complement.complement(), left.clone());
            prop_assert!(left.clone().union(complement).is_all());
            prop_assert!(left.without(&left).is_none());
        }
    }
}
