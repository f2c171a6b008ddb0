use core::fmt;

use super::anomaly::Anomaly;

/// A set of [`Anomaly`] values.
///
/// ```
/// use gwlb_geneve::protocol::http::{Anomalies, Anomaly};
///
/// let found = Anomalies::NONE.with(Anomaly::BareLineFeed).with(Anomaly::HostMissing);
/// assert!(found.contains(Anomaly::HostMissing) && found.is_ambiguous() && !found.is_misleading());
/// assert_eq!(found.to_string(), "bare-line-feed, host-missing");
/// ```
#[derive(Clone, Copy, Default, PartialEq, Eq, Hash)]
pub struct Anomalies(u64);

impl Anomalies {
    /// Nothing odd.
    pub const NONE: Self = Self(0);

    /// Those of which [`Anomaly::is_ambiguous`] says so.
    pub const AMBIGUOUS: Self = {
        let mut set = Self::NONE;
        let mut rest = Anomaly::ALL.as_slice();
        while let [anomaly, others @ ..] = rest {
            if anomaly.is_ambiguous() {
                set = set.with(*anomaly);
            }
            rest = others;
        }
        set
    };

    /// Those of which [`Anomaly::is_misleading`] says so.
    pub const MISLEADING: Self = {
        let mut set = Self::NONE;
        let mut rest = Anomaly::ALL.as_slice();
        while let [anomaly, others @ ..] = rest {
            if anomaly.is_misleading() {
                set = set.with(*anomaly);
            }
            rest = others;
        }
        set
    };

    /// The same set and one more.
    #[must_use]
    pub const fn with(self, anomaly: Anomaly) -> Self {
        Self(self.0 | anomaly.bit())
    }

    /// Those that are in either set.
    #[must_use]
    pub const fn union(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// Those that are in both sets.
    #[must_use]
    pub const fn intersection(self, other: Self) -> Self {
        Self(self.0 & other.0)
    }

    /// Whether there is none.
    #[inline]
    pub const fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// Whether this one is there.
    #[inline]
    pub const fn contains(self, anomaly: Anomaly) -> bool {
        self.0 & anomaly.bit() != 0
    }

    /// Whether one of them is [ambiguous](Anomaly::is_ambiguous).
    #[inline]
    pub const fn is_ambiguous(self) -> bool {
        self.0 & Self::AMBIGUOUS.0 != 0
    }

    /// Whether one of them is [misleading](Anomaly::is_misleading).
    #[inline]
    pub const fn is_misleading(self) -> bool {
        self.0 & Self::MISLEADING.0 != 0
    }

    /// Each of them.
    pub fn iter(self) -> impl Iterator<Item = Anomaly> {
        Anomaly::ALL.into_iter().filter(move |anomaly| self.contains(*anomaly))
    }

    /// A bit for each of them.
    pub(crate) const fn bits(self) -> u64 {
        self.0
    }

    /// Behind a line for a log, where there is something to say.
    pub(super) fn note(self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.is_empty() { Ok(()) } else { write!(f, " [{self}]") }
    }

    pub(super) const fn add(&mut self, anomaly: Anomaly) {
        self.0 |= anomaly.bit();
    }

    pub(super) const fn add_if(&mut self, is_there: bool, anomaly: Anomaly) {
        if is_there {
            self.add(anomaly);
        }
    }
}

impl From<Anomaly> for Anomalies {
    fn from(anomaly: Anomaly) -> Self {
        Self::NONE.with(anomaly)
    }
}

impl fmt::Display for Anomalies {
    /// The names, with commas between them.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, anomaly) in self.iter().enumerate() {
            if index > 0 {
                f.write_str(", ")?;
            }
            f.write_str(anomaly.name())?;
        }
        Ok(())
    }
}

impl fmt::Debug for Anomalies {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.iter()).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_anomaly_is_listed_at_its_own_place_and_has_its_own_name() {
        for (index, anomaly) in Anomaly::ALL.into_iter().enumerate() {
            assert_eq!(anomaly as usize, index, "{anomaly}");
            assert_eq!(Anomalies::from(anomaly).iter().collect::<Vec<_>>(), [anomaly]);
            assert!(!(anomaly.is_ambiguous() && anomaly.is_misleading()), "{anomaly}");
            let same = Anomaly::ALL.iter().filter(|other| other.name() == anomaly.name());
            assert_eq!(same.count(), 1, "{anomaly}");
        }
    }
}
