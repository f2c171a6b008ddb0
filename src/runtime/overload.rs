use core::time::Duration;

use crate::Timestamp;

/// When a worker has too much to do, and when no longer.
///
/// Any one sign suffices: datagrams were lost between two full bursts, one waited for too long, or bursts come full again and
/// again and still half of the room for what waits is taken. (What is lost while bursts are not full was not lost for want of
/// time: a system counts datagrams with a wrong checksum, too, which anybody can send.) Known flows then go on; what becomes
/// of new ones is said by [`Exception::Overload`](crate::inspect::Exception::Overload). Which bursts are full, the
/// [transport](crate::transport::Transport::is_full) says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OverloadLimits {
    /// Each time that so many full bursts have come one after the other, it is looked how much
    /// [waits](crate::transport::Transport::backlog): half of what can is a sign, and so it is where that is not known. By
    /// default 64.
    pub full_bursts: u32,
    /// A datagram that was received longer ago than this when its turn ends is a sign. By default 250 ms: so long a burst takes
    /// only where something is wrong. A worker that does not get its processor for a few hundredths of a second has no
    /// more to do than others; if it is too much, datagrams are lost or bursts full, and these signs say so.
    pub latency: Duration,
    /// Without any sign for so long, it is over. By default 1 s.
    pub calm: Duration,
}

impl Default for OverloadLimits {
    fn default() -> Self {
        Self { full_bursts: 64, latency: Duration::from_millis(250), calm: Duration::from_secs(1) }
    }
}

/// Watches a worker's turns for signs.
#[derive(Debug)]
pub(super) struct Overload {
    limits: OverloadLimits,
    /// Full bursts, one after the other.
    full: u32,
    /// What had been lost at the end of the turn before. Only that of a full burst is sure to be up to date.
    overflow: u64,
    /// When it is over, if it is on.
    until: Option<Timestamp>,
    /// How often it has begun.
    pub(super) times: u64,
}

impl Overload {
    pub(super) const fn new(limits: OverloadLimits) -> Self {
        Self { limits, full: 0, overflow: 0, until: None, times: 0 }
    }

    /// The engine is a new one, which is not overloaded; what was counted stays.
    pub(super) const fn begin_anew(&mut self) {
        self.full = 0;
        self.until = None;
    }

    pub(super) const fn is_on(&self) -> bool {
        self.until.is_some()
    }

    /// Takes note of a turn that ends `now`, whether its burst was full and when the first of it came, and how many datagrams
    /// were lost so far; `backlog` is asked now and then. Says whether something has changed.
    pub(super) fn note(
        &mut self,
        now: Timestamp,
        is_full: bool,
        first: Option<Timestamp>,
        overflow: u64,
        backlog: impl FnOnce() -> Option<u8>,
    ) -> bool {
        let limits = &self.limits;
        let was_full = self.full > 0;
        self.full = if is_full { self.full.saturating_add(1) } else { 0 };
        // A transport knows the count when a burst is full, and otherwise late: what it says of the first one that is full may
        // have been lost long before.
        let is_lost = overflow > self.overflow && was_full && self.full > 0;
        let is_late = first.is_some_and(|first| now.saturating_since(first) > limits.latency);
        let is_time = self.full > 0 && self.full.checked_rem(limits.full_bursts) == Some(0);
        let is_behind = is_time && backlog().is_none_or(|percent| percent >= 50);
        let is_sign = is_behind || is_lost || is_late;
        self.overflow = overflow;
        let was_on = self.is_on();
        let over = now.saturating_add(limits.calm);
        if is_sign {
            self.until = Some(over);
            self.times = self.times.wrapping_add(u64::from(!was_on));
        } else {
            // A clock that was set back does not prolong it.
            self.until = self.until.filter(|until| *until > now).map(|until| until.min(over));
        }
        was_on != self.is_on()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(millis: u64) -> Timestamp {
        Timestamp::from_nanos(1 << 60).saturating_add(Duration::from_millis(millis))
    }

    fn unknown() -> Option<u8> {
        None
    }

    fn overload() -> Overload {
        Overload::new(OverloadLimits { full_bursts: 3, ..OverloadLimits::default() })
    }

    #[test]
    fn each_sign_suffices_and_calm_ends_it() {
        let mut watch = overload();
        assert!(!watch.note(at(0), true, Some(at(0)), 0, unknown));
        assert!(!watch.note(at(1), true, Some(at(1)), 0, unknown));
        assert!(!watch.note(at(2), false, Some(at(2)), 0, unknown));
        assert!(!watch.note(at(3), true, Some(at(3)), 0, unknown));
        assert!(!watch.note(at(4), true, Some(at(4)), 0, unknown));
        assert!(watch.note(at(5), true, Some(at(5)), 0, unknown) && watch.is_on());
        assert!(!watch.note(at(6), false, None, 0, unknown) && watch.is_on());
        // Again, before it was over.
        assert!(!watch.note(at(899), true, Some(at(899)), 0, unknown) && watch.is_on());
        assert!(!watch.note(at(900), true, Some(at(900)), 1, unknown) && watch.is_on());
        assert!(!watch.note(at(1_899), false, None, 1, unknown) && watch.is_on());
        assert!(watch.note(at(1_900), false, None, 1, unknown) && !watch.is_on());
        assert!(watch.note(at(2_000), false, Some(at(1_749)), 1, unknown) && watch.is_on());
        assert_eq!(watch.times, 2);
    }

    #[test]
    fn a_loss_is_a_sign_only_between_full_bursts() {
        let mut watch = overload();
        for millis in 0..100 {
            assert!(!watch.note(at(millis), false, Some(at(millis)), millis, unknown));
        }
        // Nor what was lost while bursts were not full, and is known with the first that is.
        assert!(!watch.note(at(100), true, Some(at(100)), 150, unknown));
        assert!(!watch.note(at(101), true, Some(at(101)), 150, unknown));
        // Nor what is known only when it is over.
        assert!(!watch.note(at(102), false, Some(at(102)), 151, unknown));
        assert!(!watch.note(at(103), false, None, 152, unknown));
        assert!(!watch.note(at(104), true, Some(at(104)), 152, unknown));
        assert!(watch.note(at(105), true, Some(at(105)), 153, unknown) && watch.is_on());
    }

    /// A worker that always finds work and does it in time has not too much of it.
    #[test]
    fn full_bursts_are_a_sign_only_where_much_waits() {
        let mut watch = overload();
        for millis in 0..1_000 {
            assert!(!watch.note(at(millis), true, Some(at(millis)), 0, || Some(49)));
        }
        let is_asked = core::cell::Cell::new(0);
        for millis in 1_000..1_005 {
            watch.note(at(millis), true, Some(at(millis)), 0, || {
                is_asked.set(is_asked.get() + 1);
                Some(50)
            });
        }
        assert!(watch.is_on() && is_asked.get() == 2, "{is_asked:?}");
    }

    #[test]
    fn a_clock_set_back_does_not_prolong_it() {
        let mut watch = overload();
        assert!(watch.note(at(3_600_000), false, Some(at(0)), 0, unknown));
        assert!(!watch.note(at(0), false, None, 0, unknown));
        assert!(watch.note(at(1_000), false, None, 0, unknown) && !watch.is_on());
    }
}
