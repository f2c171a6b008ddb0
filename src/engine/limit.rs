use core::time::Duration;

use crate::Timestamp;

/// So many a second, and as many at once: a bucket of tokens, filled by the time stamps of packets.
#[derive(Clone, Copy, Debug)]
pub(super) struct RateLimit {
    per_second: u32,
    /// In billionths of a token.
    filled: u64,
    latest: Timestamp,
}

const TOKEN: u64 = 1_000_000_000;

impl RateLimit {
    pub(super) fn new(per_second: u32) -> Self {
        Self {
            per_second,
            filled: u64::from(per_second).saturating_mul(TOKEN),
            latest: Timestamp::EPOCH,
        }
    }

    /// Takes a token, if there is one.
    pub(super) fn take(&mut self, now: Timestamp) -> bool {
        let capacity = u64::from(self.per_second).saturating_mul(TOKEN);
        let elapsed = now.saturating_since(self.latest).min(Duration::from_secs(1));
        let elapsed = u64::try_from(elapsed.as_nanos()).unwrap_or(TOKEN);
        let more = elapsed.saturating_mul(self.per_second.into());
        self.filled = self.filled.saturating_add(more).min(capacity);
        // A clock that was set back fills the bucket again at its own pace; packets that come a little out of their order
        // do not.
        if now > self.latest || self.latest.saturating_since(now) > Duration::from_secs(1) {
            self.latest = now;
        }
        match self.filled.checked_sub(TOKEN) {
            Some(left) => {
                self.filled = left;
                true
            }
            None => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(millis: u64) -> Timestamp {
        Timestamp::from_nanos(millis * 1_000_000)
    }

    fn taken(limit: &mut RateLimit, now: Timestamp, tries: usize) -> usize {
        (0..tries).filter(|_| limit.take(now)).count()
    }

    #[test]
    fn as_many_as_said() {
        let mut limit = RateLimit::new(10);
        assert_eq!(taken(&mut limit, at(1_000_000), 100), 10);
        assert_eq!(taken(&mut limit, at(1_000_500), 100), 5);
        assert_eq!(taken(&mut limit, at(9_000_000), 100), 10);
    }

    #[test]
    fn none_is_none_and_most_is_many() {
        assert_eq!(taken(&mut RateLimit::new(0), Timestamp::MAX, 10), 0);
        assert_eq!(taken(&mut RateLimit::new(u32::MAX), at(1), 1_000), 1_000);
    }

    #[test]
    fn a_clock_set_back_does_not_stop_it() {
        let mut limit = RateLimit::new(10);
        assert_eq!(taken(&mut limit, at(1_000_000), 100), 10);
        assert_eq!(taken(&mut limit, at(0), 100), 0);
        assert_eq!(taken(&mut limit, at(500), 100), 5);
    }

    /// Stamps that jump to and fro do not fill it more than time does.
    #[test]
    fn jitter_fills_nothing() {
        let mut limit = RateLimit::new(1_000);
        taken(&mut limit, at(10_000), 2_000);
        let taken: usize = (0..100).map(|n| taken(&mut limit, at(10_000 + n % 2), 10)).sum();
        assert!(taken <= 1, "{taken}");
    }
}
