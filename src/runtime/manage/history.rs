//! What the figures were over the last minutes, second by second.

use alloc::collections::VecDeque;
use alloc::string::String;
use alloc::vec::Vec;
use core::time::Duration;

use serde::{Serialize, Serializer};

use crate::inspect::Reason;
use crate::observe::Histogram;
use crate::runtime::Statistics;

/// The latest samples, each of what was counted since the one before.
#[derive(Debug, Default)]
pub(super) struct History {
    samples: VecDeque<Sample>,
    last: Option<Totals>,
}

/// A sample is taken so often, unless there is more to do than that.
pub(super) const INTERVAL: Duration = Duration::from_secs(1);

/// So many are kept: ten minutes, as many as the page draws.
const MOST: usize = 600;

/// So many reasons are told apart in a sample, those with most packets; the others are `other`.
const REASONS: usize = 16;

/// What is counted, as of a moment.
#[derive(Debug)]
struct Totals {
    uptime: Duration,
    counts: Counts,
    dropped: Vec<(Reason, u64)>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
struct Counts {
    received: u64,
    forwarded: u64,
    bypassed: u64,
    would: u64,
    received_bytes: u64,
    sent_bytes: u64,
    alerts: u64,
}

/// A contract: fields are added, never renamed. Their names are those of `/stats`.
#[derive(Debug, Serialize)]
struct Sample {
    /// When it was taken, since 1970.
    time: f64,
    /// How long after the one before.
    seconds: f64,
    #[serde(flatten)]
    counts: Counts,
    #[serde(serialize_with = "by_name")]
    dropped: Vec<(Reason, u64)>,
    open_flows: usize,
    recent_latency_seconds: Latency,
}

/// That of `recent_latency_seconds`.
#[derive(Debug, Serialize)]
struct Latency {
    count: u64,
    median: Option<f64>,
    p99: Option<f64>,
    p999: Option<f64>,
}

#[derive(Serialize)]
struct Told<'a> {
    interval_seconds: f64,
    /// How many are kept at most.
    limit: usize,
    /// The oldest first.
    samples: &'a VecDeque<Sample>,
}

impl History {
    /// Takes a sample, but for the first time, when there is nothing before it.
    pub(super) fn note(
        &mut self,
        statistics: &Statistics,
        recent_latency: &Histogram,
        uptime: Duration,
        now: Duration,
    ) {
        let totals = Totals::of(statistics, uptime);
        let before = self.last.replace(totals);
        let (Some(before), Some(totals)) = (before, &self.last) else { return };
        let quantile = |share| recent_latency.quantile(share).map(|took| took.as_secs_f64());
        while self.samples.len() >= MOST {
            self.samples.pop_front();
        }
        self.samples.push_back(Sample {
            time: now.as_secs_f64(),
            seconds: uptime.saturating_sub(before.uptime).as_secs_f64(),
            counts: totals.counts.since(&before.counts),
            dropped: totals.dropped_since(&before),
            open_flows: statistics.total.open_flows,
            recent_latency_seconds: Latency {
                count: recent_latency.count(),
                median: quantile(0.5),
                p99: quantile(0.99),
                p999: quantile(0.999),
            },
        });
    }

    /// As JSON.
    pub(super) fn write(&self) -> Option<String> {
        let interval_seconds = INTERVAL.as_secs_f64();
        let told = Told { interval_seconds, limit: MOST, samples: &self.samples };
        serde_json::to_string(&told).ok()
    }
}

impl Totals {
    fn of(statistics: &Statistics, uptime: Duration) -> Self {
        let total = &statistics.total;
        let (counters, transport) = (&total.counters, &total.transport);
        Self {
            uptime,
            counts: Counts {
                received: total.received(),
                forwarded: counters.forwarded,
                bypassed: counters.bypassed,
                would: counters.would,
                received_bytes: transport.received_bytes,
                sent_bytes: transport.sent_bytes,
                alerts: total.alerts.values().fold(total.further_alerts, |a, b| a.wrapping_add(*b)),
            },
            dropped: counters.dropped_by_reason().collect(),
        }
    }

    fn dropped_since(&self, before: &Self) -> Vec<(Reason, u64)> {
        let then = |reason: Reason| {
            let known = before.dropped.iter().find(|(known, _)| *known == reason);
            known.map_or(0, |(_, count)| *count)
        };
        let rises =
            self.dropped.iter().map(|(why, count)| (*why, count.saturating_sub(then(*why))));
        let mut rises: Vec<_> = rises.filter(|(_, count)| *count > 0).collect();
        if rises.len() > REASONS {
            rises.sort_by_key(|(_, count)| core::cmp::Reverse(*count));
            let others = rises.split_off(REASONS);
            let others = others.iter().fold(0_u64, |sum, (_, count)| sum.wrapping_add(*count));
            const OTHER: Reason = Reason::new("other");
            match rises.iter_mut().find(|(why, _)| *why == OTHER) {
                Some((_, count)) => *count = count.wrapping_add(others),
                None => rises.push((OTHER, others)),
            }
        }
        rises.shrink_to_fit();
        rises
    }
}

impl Counts {
    fn since(&self, before: &Self) -> Self {
        Self {
            received: self.received.saturating_sub(before.received),
            forwarded: self.forwarded.saturating_sub(before.forwarded),
            bypassed: self.bypassed.saturating_sub(before.bypassed),
            would: self.would.saturating_sub(before.would),
            received_bytes: self.received_bytes.saturating_sub(before.received_bytes),
            sent_bytes: self.sent_bytes.saturating_sub(before.sent_bytes),
            alerts: self.alerts.saturating_sub(before.alerts),
        }
    }
}

fn by_name<S: Serializer>(counts: &[(Reason, u64)], to: S) -> Result<S::Ok, S::Error> {
    to.collect_map(counts.iter().map(|(reason, count)| (reason.name(), count)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    fn json(history: &History) -> serde_json::Value {
        serde_json::from_str(&history.write().unwrap()).unwrap()
    }

    #[test]
    fn a_sample_is_what_was_counted_since_the_one_before() {
        let mut history = History::default();
        let (mut statistics, mut latency) = (Statistics::default(), Histogram::new());
        statistics.total.transport.received = 1_000;
        statistics.total.transport.received_bytes = 100_000;
        history.note(&statistics, &latency, at(5), at(1_700_000_000));
        let told = json(&history);
        assert_eq!(told["samples"], serde_json::json!([]), "nothing is before the first");

        statistics.total.transport.received = 1_007;
        statistics.total.transport.received_bytes = 100_700;
        statistics.total.counters.forwarded = 4;
        statistics.total.counters.lose(Reason::new("one"), 2);
        statistics.total.counters.lose(Reason::new("two"), 1);
        statistics.total.alerts.insert("one".into(), 2);
        statistics.total.further_alerts = 1;
        statistics.total.open_flows = 3;
        latency.record_nanos(2_000);
        history.note(&statistics, &latency, at(7), at(1_700_000_002));
        history.note(&statistics, &Histogram::new(), at(8), at(1_700_000_003));
        let told = json(&history);
        let sample = &told["samples"][0];
        for (key, expected) in [
            ("time", serde_json::json!(1_700_000_002.0)),
            ("seconds", serde_json::json!(2.0)),
            ("received", serde_json::json!(7)),
            ("received_bytes", serde_json::json!(700)),
            ("forwarded", serde_json::json!(4)),
            ("dropped", serde_json::json!({"one": 2, "two": 1})),
            ("alerts", serde_json::json!(3)),
            ("open_flows", serde_json::json!(3)),
        ] {
            assert_eq!(sample[key], expected, "{key}: {told}");
        }
        assert_eq!(sample["recent_latency_seconds"]["count"], 1);
        assert!(sample["recent_latency_seconds"]["p99"].is_f64(), "{told}");
        let quiet = &told["samples"][1];
        assert_eq!(quiet["received"], 0);
        assert_eq!(quiet["dropped"], serde_json::json!({}));
        assert!(quiet["recent_latency_seconds"]["p99"].is_null(), "{told}");
        assert_eq!(told["samples"].as_array().unwrap().len(), 2);
    }

    #[test]
    fn the_oldest_make_room() {
        let (mut history, mut statistics) = (History::default(), Statistics::default());
        for second in 0..2 * MOST as u64 {
            statistics.total.transport.received += second;
            history.note(&statistics, &Histogram::new(), at(second), at(second));
        }
        let told = json(&history);
        let samples = told["samples"].as_array().unwrap();
        assert_eq!((samples.len(), told["limit"].as_u64()), (MOST, Some(MOST as u64)));
        assert_eq!(samples[0]["received"], MOST as u64);
        assert_eq!(samples[MOST - 1]["received"], 2 * MOST as u64 - 1);
    }

    /// However many reasons there are, a sample keeps few, and no packet is left out.
    #[test]
    fn reasons_beyond_those_with_most_packets_are_one() {
        let (mut history, mut statistics) = (History::default(), Statistics::default());
        history.note(&statistics, &Histogram::new(), at(0), at(0));
        let names: Vec<&'static str> =
            (0..100).map(|number| &*alloc::format!("reason-{number}").leak()).collect();
        for (number, name) in names.iter().enumerate() {
            statistics.total.counters.lose(Reason::new(name), number as u64);
        }
        history.note(&statistics, &Histogram::new(), at(1), at(1));
        let told = json(&history);
        let dropped = told["samples"][0]["dropped"].as_object().unwrap();
        assert_eq!(dropped.len(), REASONS + 1);
        assert_eq!(dropped["reason-99"], 99);
        assert_eq!(dropped.values().map(|count| count.as_u64().unwrap()).sum::<u64>(), 99 * 50);
        assert_eq!(dropped["other"], (0..84).sum::<u64>());
    }
}
