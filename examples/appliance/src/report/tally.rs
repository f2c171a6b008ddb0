//! What is counted of the packets of a capture.

use std::collections::{BTreeMap, HashMap};
use std::net::IpAddr;
use std::time::Duration;

use gwlb_geneve::Timestamp;
use gwlb_geneve::engine::{Disposition, Outcome};
use gwlb_geneve::gwlb::EndpointId;
use gwlb_geneve::inspect::Severity;
use gwlb_geneve::packet::IpProtocol;
use gwlb_geneve::runtime::JudgedPacket;

use crate::flows::{Flow, alerts};

/// Talkers, services and names of alerts that are told apart, so that no capture can use up the memory.
pub(super) const MOST: usize = 100_000;

#[derive(Default)]
pub(super) struct Tally {
    pub(super) start: Option<Timestamp>,
    pub(super) end: Timestamp,
    /// Packets by their fate.
    pub(super) fates: Series<4>,
    /// Alerts by their severity.
    pub(super) severities: Series<4>,
    pub(super) protocols: BTreeMap<IpProtocol, Volume>,
    /// By protocol and the port that was called.
    pub(super) services: HashMap<(IpProtocol, u16), Volume>,
    pub(super) talkers: HashMap<(EndpointId, IpAddr), Volume>,
    pub(super) alerts: HashMap<String, u64>,
    /// What found no room in one of these.
    pub(super) untold: u64,
}

#[derive(Clone, Copy, Default)]
pub(super) struct Volume {
    pub(super) packets: u64,
    pub(super) bytes: u64,
}

/// What became of a packet, in the order in which it is drawn.
pub(super) fn fate(outcome: &Outcome) -> usize {
    match outcome.disposition {
        Disposition::Forward | Disposition::ForwardEdited if outcome.would.is_some() => 1,
        Disposition::Forward | Disposition::ForwardEdited => 0,
        Disposition::Drop => 2,
        Disposition::Reject => 3,
    }
}

/// The same for people, each with the class of its colour.
pub(super) const FATES: [(&str, &str); 4] = [
    ("forwarded", "forward"),
    ("forwarded, would not have been", "would"),
    ("dropped", "drop"),
    ("rejected", "reject"),
];

pub(super) const SEVERITIES: [(&str, &str); 4] =
    [("info", "info"), ("notice", "notice"), ("warning", "warning"), ("critical", "critical")];

pub(super) fn severity(severity: Severity) -> usize {
    match severity {
        Severity::Info => 0,
        Severity::Notice => 1,
        Severity::Warning => 2,
        Severity::Critical => 3,
    }
}

impl Tally {
    pub(super) fn see(&mut self, packet: &JudgedPacket<'_>, flow: Option<&Flow>) {
        self.start = self.start.or(Some(packet.time));
        self.end = self.end.max(packet.time);
        self.fates.count(packet.since_start, fate(&packet.outcome));
        for alert in alerts(packet) {
            self.severities.count(packet.since_start, severity(alert.severity));
            self.untold += count(&mut self.alerts, alert.name.to_string(), |count| *count += 1);
        }
        let (Some(envelope), Some(found)) = (packet.envelope(), packet.flow()) else { return };
        let bytes = envelope.inner().len() as u64;
        let add = |volume: &mut Volume| volume.add(bytes);
        let tuple = found.key.five_tuple(found.direction);
        add(self.protocols.entry(tuple.protocol).or_default());
        let called = flow.and_then(|flow| flow.tuple.ports);
        if let Some(ports) = called {
            let service = (tuple.protocol, ports.destination);
            self.untold += count(&mut self.services, service, add);
        }
        self.untold += count(&mut self.talkers, (found.key.endpoint(), tuple.source()), add);
    }
}

impl Volume {
    fn add(&mut self, bytes: u64) {
        self.packets += 1;
        self.bytes += bytes;
    }
}

/// Adds to what is counted under a key; 1 where there is no room for that.
fn count<K: Eq + std::hash::Hash, V: Default>(
    counts: &mut HashMap<K, V>,
    key: K,
    add: impl FnOnce(&mut V),
) -> u64 {
    let has_room = counts.len() < MOST || counts.contains_key(&key);
    if has_room {
        add(counts.entry(key).or_default());
    }
    u64::from(!has_room)
}

/// Counts over a time whose length shows only at its end: when there are too many steps, two become one.
pub(super) struct Series<const N: usize> {
    pub(super) step: Duration,
    pub(super) steps: Vec<[u64; N]>,
}

/// Steps are at most so many, and at least half of it where the time is long enough.
const MOST_STEPS: usize = 120;
const SHORTEST: Duration = Duration::from_micros(100);

impl<const N: usize> Default for Series<N> {
    fn default() -> Self {
        Self { step: SHORTEST, steps: Vec::new() }
    }
}

impl<const N: usize> Series<N> {
    fn count(&mut self, at: Duration, kind: usize) {
        let place = loop {
            let place = (at.as_nanos() / self.step.as_nanos()) as usize;
            if place < MOST_STEPS {
                break place;
            }
            self.halve();
        };
        if self.steps.len() <= place {
            self.steps.resize(place + 1, [0; N]);
        }
        self.steps[place][kind] += 1;
    }

    fn halve(&mut self) {
        self.step *= 2;
        let pairs = self.steps.chunks(2);
        self.steps = pairs
            .map(|pair| std::array::from_fn(|kind| pair.iter().map(|step| step[kind]).sum()))
            .collect();
    }

    /// The steps of at least this length, and at least so many, so that two series can stand below each other.
    pub(super) fn stretched(&self, step: Duration, len: usize) -> Vec<[u64; N]> {
        let mut series = Self { step: self.step, steps: self.steps.clone() };
        while series.step < step {
            series.halve();
        }
        series.steps.resize(len.max(series.steps.len()), [0; N]);
        series.steps
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn totals<const N: usize>(series: &Series<N>) -> [u64; N] {
        std::array::from_fn(|kind| series.steps.iter().map(|step| step[kind]).sum())
    }

    #[test]
    fn steps_are_merged_and_nothing_is_lost() {
        let mut series = Series::<2>::default();
        for second in 0..10_000 {
            series.count(Duration::from_secs(second), (second % 2) as usize);
        }
        assert_eq!(totals(&series), [5_000, 5_000]);
        assert!((60..=MOST_STEPS).contains(&series.steps.len()), "{}", series.steps.len());
        let span = series.step * series.steps.len() as u32;
        assert!(span >= Duration::from_secs(9_999), "{span:?}");
        // A packet from before the others, as captures have them, and one a century later.
        series.count(Duration::ZERO, 0);
        series.count(Duration::from_secs(3_000_000_000), 1);
        assert_eq!(totals(&series), [5_001, 5_001]);
        assert!(series.steps.len() <= MOST_STEPS);
    }

    #[test]
    fn a_series_is_stretched_to_another() {
        let mut series = Series::<1>::default();
        series.count(Duration::ZERO, 0);
        series.count(SHORTEST, 0);
        assert_eq!(series.stretched(SHORTEST * 2, 3), [[2], [0], [0]]);
    }

    #[test]
    fn there_is_no_more_than_room() {
        let mut counts = HashMap::new();
        let refused: u64 =
            (0..MOST as u64 + 10).map(|key| count(&mut counts, key, |n: &mut u64| *n += 1)).sum();
        assert_eq!((refused, counts.len()), (10, MOST));
        assert_eq!(count(&mut counts, 1, |n| *n += 1), 0);
        assert_eq!(counts[&1], 2);
    }
}
