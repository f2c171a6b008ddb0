use alloc::collections::{BTreeMap, VecDeque};
use core::time::Duration;
use std::time::Instant;

use crate::observe::Histogram;
use crate::runtime::{RecentAlert, Statistics};

/// What was told of late, gathered from the workers each time that they are asked.
#[derive(Debug, Default)]
pub(super) struct Recent {
    alerts: VecDeque<(u64, RecentAlert)>,
    /// How many there were.
    told: u64,
    /// The last number of each worker.
    last: BTreeMap<usize, u64>,
    /// How long everything took until then.
    marks: VecDeque<(Instant, Histogram)>,
}

/// So many of the latest alerts are kept.
const MOST: usize = 100;

/// Latency is told as of at least so long, if anybody has asked before.
const WINDOW: Duration = Duration::from_secs(10);
const STEP: Duration = Duration::from_secs(2);

impl Recent {
    /// Takes in what the workers say.
    pub(super) fn note(&mut self, statistics: &Statistics) {
        let first = self.alerts.len();
        for (worker, it) in statistics.workers.iter().enumerate() {
            let last = self.last.entry(worker).or_default();
            for alert in it.latest_alerts.iter().filter(|alert| alert.number > *last) {
                self.alerts.push_back((0, alert.clone()));
            }
            *last = it.latest_alerts.last().map_or(*last, |alert| alert.number);
        }
        if let Some(new) = self.alerts.make_contiguous().get_mut(first..) {
            new.sort_by_key(|(_, alert)| alert.time);
            for (number, _) in new {
                self.told = self.told.wrapping_add(1);
                *number = self.told;
            }
        }
        let surplus = self.alerts.len().saturating_sub(MOST);
        self.alerts.drain(..surplus);
    }

    /// Those whose numbers are beyond `after`, with their numbers, in their order.
    pub(super) fn alerts(&self, after: u64) -> impl Iterator<Item = &(u64, RecentAlert)> {
        self.alerts.iter().filter(move |(number, _)| *number > after)
    }

    /// How long everything took that was done in the last seconds, and in how many.
    pub(super) fn latency(&mut self, so_far: &Histogram, now: Instant) -> (Histogram, Duration) {
        let age = |then: Instant| now.saturating_duration_since(then);
        while self.marks.get(1).is_some_and(|(then, _)| age(*then) >= WINDOW) {
            self.marks.pop_front();
        }
        let recent = match self.marks.front() {
            Some((then, before)) => (so_far.since(before), age(*then)),
            None => (so_far.clone(), Duration::ZERO),
        };
        if self.marks.back().is_none_or(|(then, _)| age(*then) >= STEP) {
            self.marks.push_back((now, so_far.clone()));
        }
        recent
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn latency_is_that_of_the_last_seconds() {
        let start = Instant::now();
        let at = |seconds| start + Duration::from_secs(seconds);
        let (mut recent, mut histogram) = (Recent::default(), Histogram::new());
        histogram.record_nanos(1);
        assert_eq!(recent.latency(&histogram, at(0)).0.count(), 1);
        for second in 1..=60 {
            histogram.record_nanos(1_000);
            let (latency, over) = recent.latency(&histogram, at(second));
            assert_eq!(latency.count(), over.as_secs());
            assert!(over <= Duration::from_secs(12), "{over:?}");
            assert!(second < 10 || over >= WINDOW, "{over:?}");
        }
        assert!(recent.marks.len() <= 7);
    }
}
