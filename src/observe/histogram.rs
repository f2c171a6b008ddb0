use core::fmt;
use core::time::Duration;

/// How long things took: counts in fixed classes, each a sixteenth of a power of two of nanoseconds wide, so that a
/// value is told to within 6.3 % of itself; up to 68 s, and one class for what is beyond.
///
/// 4.2 KiB, all of it reserved at once. To [`record`](Self::record) is a handful of instructions, without an atomic one: a
/// histogram belongs to one worker, and copies of it are [added](Self::add).
///
/// ```
/// use core::time::Duration;
/// use gwlb_geneve::observe::Histogram;
///
/// let mut latency = Histogram::new();
/// (1..=1_000).for_each(|micros| latency.record(Duration::from_micros(micros)));
/// let median = latency.quantile(0.5).unwrap();
/// assert!(median >= Duration::from_micros(500) && median < Duration::from_micros(532));
/// ```
#[derive(Clone, PartialEq, Eq)]
pub struct Histogram {
    classes: [u64; CLASSES],
    count: u64,
    /// In nanoseconds.
    sum: u64,
    max: u64,
}

/// Classes in a power of two.
const FINE_BITS: u32 = 4;
const FINE: usize = 1 << FINE_BITS;
/// Values from 2 to the power of this on are all in the last class.
const TOP_BITS: u32 = 36;
const CLASSES: usize = (TOP_BITS - FINE_BITS + 1) as usize * FINE + 1;

impl Histogram {
    /// An empty one.
    pub const fn new() -> Self {
        Self { classes: [0; CLASSES], count: 0, sum: 0, max: 0 }
    }

    /// Counts one that took so long.
    #[inline]
    pub fn record(&mut self, took: Duration) {
        self.record_times(took, 1);
    }

    /// Counts one that took so many nanoseconds.
    #[inline]
    pub fn record_nanos(&mut self, nanos: u64) {
        self.add_nanos(nanos, 1);
    }

    /// Counts so many that took so long each.
    #[inline]
    pub(crate) fn record_times(&mut self, took: Duration, count: u64) {
        self.add_nanos(u64::try_from(took.as_nanos()).unwrap_or(u64::MAX), count);
    }

    #[inline]
    fn add_nanos(&mut self, nanos: u64, count: u64) {
        if count == 0 {
            return;
        }
        if let Some(class) = self.classes.get_mut(class_of(nanos)) {
            *class = class.wrapping_add(count);
        }
        self.count = self.count.wrapping_add(count);
        self.sum = self.sum.wrapping_add(nanos.wrapping_mul(count));
        self.max = self.max.max(nanos);
    }

    /// How many were counted.
    pub const fn count(&self) -> u64 {
        self.count
    }

    /// How long all of them took together.
    pub const fn sum(&self) -> Duration {
        Duration::from_nanos(self.sum)
    }

    /// The longest, exactly.
    pub const fn max(&self) -> Duration {
        Duration::from_nanos(self.max)
    }

    /// The time that this share of them, 0 to 1, did not exceed, rounded up to the end of its class; `None` where there
    /// are none.
    pub fn quantile(&self, share: f64) -> Option<Duration> {
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            clippy::cast_precision_loss,
            reason = "saturates, and a rank need not be exact beyond 2^53"
        )]
        let rank = ((self.count as f64) * share.clamp(0.0, 1.0)).ceil() as u64;
        let rank = rank.max(1);
        let mut below = 0_u64;
        let found = self.classes().find(|(_, count)| {
            below = below.wrapping_add(*count);
            below >= rank
        });
        found.map(|(end, _)| end.min(self.max()))
    }

    /// The classes that hold any: the longest time that still belongs to each, and how many are in it. In rising order.
    pub fn classes(&self) -> impl Iterator<Item = (Duration, u64)> {
        let filled = self.classes.iter().enumerate().filter(|(_, count)| **count > 0);
        filled.map(|(class, count)| (Duration::from_nanos(end_of(class)), *count))
    }

    /// What was counted since this histogram was as `earlier`. Its [`max`](Self::max) is rounded up to the end of its class.
    #[must_use]
    pub fn since(&self, earlier: &Self) -> Self {
        let mut rest = self.clone();
        for (class, by) in rest.classes.iter_mut().zip(earlier.classes) {
            *class = class.wrapping_sub(by);
        }
        rest.count = self.count.wrapping_sub(earlier.count);
        rest.sum = self.sum.wrapping_sub(earlier.sum);
        let highest = rest.classes.iter().rposition(|count| *count > 0);
        rest.max = highest.map_or(0, |class| end_of(class).min(self.max));
        rest
    }

    /// Adds the counts of another one.
    pub fn add(&mut self, other: &Self) {
        for (class, by) in self.classes.iter_mut().zip(other.classes) {
            *class = class.wrapping_add(by);
        }
        self.count = self.count.wrapping_add(other.count);
        self.sum = self.sum.wrapping_add(other.sum);
        self.max = self.max.max(other.max);
    }
}

/// The class of a value: below 16 one for each, then 16 for each power of two.
#[inline]
fn class_of(nanos: u64) -> usize {
    let exponent = (nanos | 1).ilog2().max(FINE_BITS);
    if exponent >= TOP_BITS {
        return CLASSES.saturating_sub(1);
    }
    let shift = exponent.saturating_sub(FINE_BITS);
    // In 0 up to 16 for the smallest, else in 16 up to 32.
    let fine = usize::try_from(nanos >> shift).unwrap_or(usize::MAX);
    let coarse = usize::try_from(shift).unwrap_or(usize::MAX);
    coarse.saturating_mul(FINE).saturating_add(fine)
}

/// The largest value of a class.
fn end_of(class: usize) -> u64 {
    if class >= CLASSES.saturating_sub(1) {
        return u64::MAX;
    }
    let shift = u32::try_from((class / FINE).saturating_sub(1)).unwrap_or(u32::MAX);
    let fine = class.saturating_sub(FINE.saturating_mul(usize::try_from(shift).unwrap_or(0)));
    let next = u64::try_from(fine).unwrap_or(u64::MAX).saturating_add(1);
    next.checked_shl(shift).unwrap_or(u64::MAX).saturating_sub(1)
}

impl Default for Histogram {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for Histogram {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Histogram")
            .field("count", &self.count)
            .field("median", &self.quantile(0.5))
            .field("max", &self.max())
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_class_ends_where_the_next_begins() {
        for class in 0..CLASSES - 1 {
            let end = end_of(class);
            assert_eq!((class_of(end), class_of(end + 1)), (class, class + 1), "{end}");
        }
        assert_eq!(class_of(u64::MAX), CLASSES - 1);
        assert_eq!(class_of(0), 0);
    }

    #[test]
    fn classes_are_narrow() {
        for nanos in (0..35).map(|bits| (1_u64 << bits) + (1 << bits) / 3) {
            let end = end_of(class_of(nanos));
            assert!(end >= nanos && end - nanos <= nanos / 16, "{nanos} {end}");
        }
    }

    #[test]
    fn quantiles_are_ranks() {
        let mut histogram = Histogram::new();
        assert_eq!(histogram.quantile(0.5), None);
        [10, 20_000_000_000, 5].into_iter().for_each(|nanos| histogram.record_nanos(nanos));
        assert_eq!(histogram.quantile(0.0), Some(Duration::from_nanos(5)));
        assert_eq!(histogram.quantile(0.5), Some(Duration::from_nanos(10)));
        assert_eq!(histogram.quantile(1.0), Some(Duration::from_secs(20)));
        let mut sum = histogram.clone();
        sum.add(&histogram);
        assert_eq!((sum.count(), sum.sum()), (6, histogram.sum() * 2));
        assert_eq!(sum.max(), histogram.max());
    }

    #[test]
    fn several_at_once_are_as_many_one_by_one() {
        let (mut at_once, mut one_by_one) = (Histogram::new(), Histogram::new());
        for (took, count) in [(7, 3), (20_000, 1), (9, 0), (100_000_000_000, 2)] {
            let took = Duration::from_nanos(took);
            at_once.record_times(took, count);
            (0..count).for_each(|_| one_by_one.record(took));
        }
        assert_eq!(at_once, one_by_one);
        assert_eq!(at_once.count(), 6);
        let mut longest = Histogram::new();
        longest.record_times(Duration::MAX, 1);
        assert_eq!(longest.max(), Duration::from_nanos(u64::MAX));
    }

    #[test]
    fn what_came_since_is_a_difference() {
        let mut histogram = Histogram::new();
        histogram.record_nanos(1_000_000);
        let earlier = histogram.clone();
        assert_eq!(histogram.since(&earlier).count(), 0);
        assert_eq!(histogram.since(&earlier).max(), Duration::ZERO);
        [7, 9].into_iter().for_each(|nanos| histogram.record_nanos(nanos));
        let since = histogram.since(&earlier);
        assert_eq!((since.count(), since.sum()), (2, Duration::from_nanos(16)));
        assert_eq!(since.quantile(1.0), Some(Duration::from_nanos(9)));
        assert_eq!(since.max(), Duration::from_nanos(9));
    }

    #[test]
    fn what_is_beyond_is_told_as_it_is() {
        let mut histogram = Histogram::new();
        histogram.record(Duration::from_secs(100));
        assert_eq!(histogram.quantile(0.5), Some(Duration::from_secs(100)));
    }
}
