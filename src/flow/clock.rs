use core::time::Duration;

use crate::Timestamp;

/// Time as tables count it: never backwards, whatever the time stamps do.
///
/// Packets of several queues may be a little out of order: time stands still for those. Where the clock has been
/// set back, it goes on from what it was, at the pace of the new one.
#[derive(Clone, Copy, Debug)]
pub(super) struct Clock {
    /// At first the end of time, which any other time stamp sets back.
    latest: Timestamp,
    elapsed: Moment,
}

/// Nanoseconds of a table's own time.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Moment(u64);

/// What counts for time-outs: 2^24 ns, 16.8 ms.
pub(super) type Tick = u64;

const TICK_BITS: u32 = 24;

/// Further back than packets of one moment can be apart.
const SET_BACK: Duration = Duration::from_secs(1);

/// A step forward of two years ends everything, as would one of five hundred; that one would leave no time to
/// count after it.
const LONGEST_STEP: u64 = 1 << 56;

impl Default for Clock {
    fn default() -> Self {
        Self { latest: Timestamp::MAX, elapsed: Moment::default() }
    }
}

impl Clock {
    #[inline]
    pub(super) fn advance(&mut self, now: Timestamp) -> Moment {
        // Packets of a burst mostly have one time.
        if now != self.latest {
            self.turn(now);
        }
        self.elapsed
    }

    #[inline]
    fn turn(&mut self, now: Timestamp) {
        match now.as_nanos().checked_sub(self.latest.as_nanos()) {
            Some(step) => {
                self.elapsed.0 = self.elapsed.0.saturating_add(step.min(LONGEST_STEP));
                self.latest = now;
            }
            None if self.latest.saturating_since(now) > SET_BACK => self.latest = now,
            None => {}
        }
    }

    /// An earlier moment as the clock would have shown it that shows the present one.
    pub(super) fn timestamp(&self, moment: Moment) -> Timestamp {
        let ago = self.elapsed.0.saturating_sub(moment.0);
        let latest = self.latest.as_nanos();
        Timestamp::from_nanos(latest.saturating_sub(ago))
    }

    /// When a tick that is yet to come begins.
    pub(super) fn timestamp_of_tick(&self, tick: Tick) -> Timestamp {
        let ahead = tick.saturating_mul(1 << TICK_BITS).saturating_sub(self.elapsed.0);
        self.latest.saturating_add(Duration::from_nanos(ahead))
    }
}

impl Moment {
    #[inline]
    pub(super) const fn tick(self) -> Tick {
        self.0 >> TICK_BITS
    }

    pub(super) const fn since(self, earlier: Self) -> Duration {
        Duration::from_nanos(self.0.saturating_sub(earlier.0))
    }
}

/// The first tick at which something is over that was last seen in `last` and may be idle for `timeout`.
///
/// Never early: late by two ticks at most.
#[inline]
pub(super) const fn deadline(last: Moment, timeout: Ticks) -> Tick {
    last.tick().wrapping_add(timeout.0)
}

/// A duration, rounded up, and one more for the tick that has begun. At most 2^62: no sum with a moment's overflows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Ticks(u64);

impl Ticks {
    pub(super) fn of(duration: Duration) -> Self {
        let ticks = duration.as_nanos().div_ceil(1 << TICK_BITS);
        Self(u64::try_from(ticks).unwrap_or(u64::MAX).min(1 << 62).saturating_add(1))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn at(seconds: u64) -> Timestamp {
        Timestamp::from_nanos(seconds * 1_000_000_000)
    }

    #[test]
    fn jitter_does_not_add_up() {
        let mut clock = Clock::default();
        clock.advance(at(100));
        let mut last = Moment::default();
        for n in 0..1_000_u64 {
            let jitter = Duration::from_micros(n % 2 * 500);
            last = clock.advance(at(100).saturating_add(jitter));
        }
        assert_eq!(last.0, 500_000);
    }

    #[test]
    fn a_clock_set_back_goes_on() {
        let mut clock = Clock::default();
        clock.advance(at(1_000));
        let before = clock.advance(at(1_010));
        assert_eq!(clock.advance(at(500)), before);
        let after = clock.advance(at(503));
        assert_eq!(after.0 - before.0, 3_000_000_000);
        assert_eq!(clock.timestamp(before), at(500));
    }

    #[test]
    fn the_end_of_time_is_not_the_end_of_the_clock() {
        let mut clock = Clock::default();
        for _ in 0..50 {
            clock.advance(at(0));
            let far = clock.advance(Timestamp::MAX);
            clock.advance(at(0));
            assert!(clock.advance(at(1)) > far);
        }
    }

    #[test]
    fn a_time_out_is_never_early() {
        for nanos in [0, 1, 1 << 24, (1 << 24) + 1, 350_000_000_000] {
            for last in [0, 1, (1 << 24) - 1, 12_345_678_901] {
                let over =
                    deadline(Moment(last), Ticks::of(Duration::from_nanos(nanos))) << TICK_BITS;
                assert!(over > last + nanos && over <= last + nanos + (2 << TICK_BITS));
            }
        }
    }
}
