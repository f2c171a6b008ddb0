//! What was counted.

use std::collections::BTreeMap;
use std::time::Duration;

use hdrhistogram::Histogram;
use serde_json::{Value, json};

use crate::faults;

/// What can be wrong with an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Wrong {
    /// From another address than the appliance's, or to another of the load balancer's.
    Address,
    /// From another UDP port than the flow's.
    SourcePort,
    /// To another UDP port than 6081 (the system counts those).
    DestinationPort,
    /// With an outer checksum that is neither right nor zero (the system counts those).
    Checksum,
    /// In IPv4 fragments (the system counts those).
    Fragment,
    /// Other bytes in the GENEVE header.
    Geneve,
    /// Longer or shorter.
    Length,
    /// Other bytes in the inner packet.
    Inner,
    /// A reset or an ICMP error of the appliance's own, which was not expected to refuse anything.
    Injected,
    /// Nothing that was sent.
    Unknown,
}

impl Wrong {
    pub(crate) const ALL: [Self; 10] = [
        Self::Address,
        Self::SourcePort,
        Self::DestinationPort,
        Self::Checksum,
        Self::Fragment,
        Self::Geneve,
        Self::Length,
        Self::Inner,
        Self::Injected,
        Self::Unknown,
    ];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Address => "address",
            Self::SourcePort => "source port",
            Self::DestinationPort => "destination port",
            Self::Checksum => "outer checksum",
            Self::Fragment => "outer fragments",
            Self::Geneve => "GENEVE header",
            Self::Length => "length",
            Self::Inner => "inner packet",
            Self::Injected => "injected",
            Self::Unknown => "unknown",
        }
    }
}

/// How many examples of what is wrong are kept.
const MOST_EXAMPLES: usize = 10;

/// The counters of a run.
#[derive(Clone, Debug)]
pub(crate) struct Tally {
    /// Packets that were sent before it began, to see whether anybody answers.
    pub(crate) probes: u64,
    /// Datagrams that an answer is due to.
    pub(crate) sent: u64,
    /// Those with a right answer in time.
    pub(crate) answered: u64,
    /// Without an answer in time, late ones included.
    pub(crate) lost: u64,
    /// With a right answer that came after the patience.
    pub(crate) late: u64,
    pub(crate) duplicates: u64,
    /// Answers that came after that of a later packet of their flow.
    pub(crate) reordered: u64,
    /// Resets and ICMP errors that the appliance made up, where they are expected.
    pub(crate) injected: u64,
    pub(crate) wrong: BTreeMap<Wrong, u64>,
    /// Sent though no answer may come, by [`faults::NAMES`].
    pub(crate) forbidden: [u64; faults::NAMES.len()],
    /// Answers to them.
    pub(crate) answered_forbidden: [u64; faults::NAMES.len()],
    /// Bytes of inner packets that were answered.
    pub(crate) inner_bytes: u64,
    /// What the simulator's own sockets had no room for.
    pub(crate) overflowed: u64,
    /// The first things that were wrong.
    pub(crate) examples: Vec<String>,
    /// Nanoseconds from sending to answer.
    pub(crate) latency: Histogram<u64>,
    /// From the first packet sent to the last one sent.
    pub(crate) duration: Duration,
    /// Processor time that the simulator itself has used, waiting for the last answers included.
    pub(crate) cpu: Duration,
    /// Whether the simulator could not keep up with the rate.
    pub(crate) short: bool,
}

impl Tally {
    pub(crate) fn new() -> Self {
        Self {
            probes: 0,
            sent: 0,
            answered: 0,
            lost: 0,
            late: 0,
            duplicates: 0,
            reordered: 0,
            injected: 0,
            wrong: BTreeMap::new(),
            forbidden: [0; faults::NAMES.len()],
            answered_forbidden: [0; faults::NAMES.len()],
            inner_bytes: 0,
            overflowed: 0,
            examples: Vec::new(),
            // Up to a minute with three digits: bounds that the histogram accepts.
            latency: Histogram::new_with_bounds(1, 60_000_000_000, 3).expect("valid bounds"),
            duration: Duration::ZERO,
            cpu: Duration::ZERO,
            short: false,
        }
    }

    pub(crate) fn wrong(&mut self, kind: Wrong, count: u64) {
        if count > 0 {
            *self.wrong.entry(kind).or_default() += count;
        }
    }

    pub(crate) fn example(&mut self, describe: impl FnOnce() -> String) {
        if self.examples.len() < MOST_EXAMPLES {
            self.examples.push(describe());
        }
    }

    /// All answers that should not be as they were.
    pub(crate) fn errors(&self) -> u64 {
        let wrong: u64 = self.wrong.values().sum();
        let forbidden: u64 = self.answered_forbidden.iter().sum();
        wrong + forbidden + self.duplicates + self.reordered
    }

    pub(crate) fn loss_percent(&self) -> f64 {
        self.lost as f64 * 100.0 / self.sent.max(1) as f64
    }

    pub(crate) fn packets_per_second(&self) -> f64 {
        self.answered as f64 / self.duration.as_secs_f64().max(1e-9)
    }

    /// Nanoseconds of the simulator's processor time for each packet sent.
    pub(crate) fn cpu_per_packet(&self) -> u64 {
        self.cpu.as_nanos() as u64 / self.sent.max(1)
    }

    pub(crate) fn bits_per_second(&self) -> f64 {
        self.inner_bytes as f64 * 8.0 / self.duration.as_secs_f64().max(1e-9)
    }

    /// Everything, for programs. With `drops` what was lost was dropped.
    pub(crate) fn json(&self, drops: bool) -> Value {
        let wrong = |kind: Wrong| (kind.name(), self.wrong.get(&kind).copied().unwrap_or(0));
        let wrong: BTreeMap<_, _> = Wrong::ALL.into_iter().map(wrong).collect();
        let by_kind = |counts: &[u64]| -> BTreeMap<&str, u64> {
            faults::NAMES.into_iter().zip(counts.iter().copied()).collect()
        };
        let micros = |quantile: f64| self.latency.value_at_quantile(quantile) as f64 / 1e3;
        let (lost, dropped) = if drops { (0, self.lost) } else { (self.lost, 0) };
        json!({
            "probes": self.probes,
            "sent": self.sent,
            "answered": self.answered,
            "lost": lost,
            "dropped": dropped,
            "late": self.late,
            "loss_percent": if drops { 0.0 } else { self.loss_percent() },
            "duplicates": self.duplicates,
            "reordered": self.reordered,
            "injected": self.injected,
            "wrong": wrong,
            "must_not_be_answered": by_kind(&self.forbidden),
            "answered_though": by_kind(&self.answered_forbidden),
            "errors": self.errors(),
            "examples": self.examples,
            "own_socket_overflowed": self.overflowed,
            "seconds": self.duration.as_secs_f64(),
            "packets_per_second": self.packets_per_second().round(),
            "inner_bits_per_second": self.bits_per_second().round(),
            "own_cpu_ns_per_packet": self.cpu_per_packet(),
            "could_not_keep_rate": self.short,
            "latency_us": {
                "min": if self.latency.is_empty() { 0.0 } else { self.latency.min() as f64 / 1e3 },
                "p50": micros(0.5),
                "p90": micros(0.9),
                "p99": micros(0.99),
                "p99.9": micros(0.999),
                "max": self.latency.max() as f64 / 1e3,
            },
        })
    }
}
