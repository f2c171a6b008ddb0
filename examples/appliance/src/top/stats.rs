//! The numbers of an appliance, and how fast they grow.

use std::collections::BTreeMap;

use serde::Deserialize;

/// What `/stats` says, as far as it is shown. What newer and older ones say more or less is no mistake.
#[derive(Clone, Deserialize)]
pub(crate) struct Stats {
    #[serde(default)]
    pub(crate) version: String,
    pub(crate) uptime_seconds: f64,
    #[serde(default)]
    pub(crate) healthy: bool,
    #[serde(default)]
    pub(crate) draining: bool,
    #[serde(default)]
    pub(crate) bypass: Bypass,
    #[serde(default)]
    pub(crate) ailments: Vec<String>,
    #[serde(default)]
    pub(crate) flow_limit: u64,
    pub(crate) total: Worker,
    #[serde(default)]
    pub(crate) workers: Vec<Worker>,
    #[serde(default)]
    pub(crate) silent_workers: Vec<usize>,
    #[serde(default)]
    pub(crate) endpoints: BTreeMap<String, Endpoint>,
    #[serde(default)]
    pub(crate) recent_latency_seconds: Option<Latency>,
}

#[derive(Clone, Default, Deserialize)]
pub(crate) struct Bypass {
    #[serde(default)]
    pub(crate) on: bool,
}

#[derive(Clone, Default, Deserialize)]
#[serde(default)]
pub(crate) struct Worker {
    pub(crate) received: u64,
    pub(crate) received_bytes: u64,
    pub(crate) forwarded: u64,
    pub(crate) would: u64,
    pub(crate) dropped: BTreeMap<String, u64>,
    pub(crate) sent: u64,
    pub(crate) overloaded: u64,
    pub(crate) restarts: u64,
    pub(crate) flows: Flows,
    pub(crate) memory_bytes: u64,
    pub(crate) latency_seconds: Latency,
}

#[derive(Clone, Copy, Default, Deserialize)]
#[serde(default)]
pub(crate) struct Flows {
    pub(crate) open: u64,
    pub(crate) created: u64,
}

#[derive(Clone, Copy, Default, Deserialize)]
#[serde(default)]
pub(crate) struct Latency {
    pub(crate) median: Option<f64>,
    pub(crate) p99: Option<f64>,
    pub(crate) p999: Option<f64>,
}

#[derive(Clone, Copy, Default, Deserialize)]
#[serde(default)]
pub(crate) struct Endpoint {
    pub(crate) received: u64,
    pub(crate) forwarded: u64,
    pub(crate) bytes: u64,
}

impl Worker {
    pub(crate) fn dropped(&self) -> u64 {
        self.dropped.values().fold(0, |sum, count| sum.saturating_add(*count))
    }
}

impl Endpoint {
    pub(crate) fn dropped(&self) -> u64 {
        self.received.saturating_sub(self.forwarded)
    }
}

/// Two looks at the same appliance.
pub(crate) struct Looks {
    pub(crate) before: Option<Stats>,
    pub(crate) now: Stats,
}

impl Looks {
    /// Another look. What has been started anew begins from nothing.
    pub(crate) fn next(looks: Option<Self>, now: Stats) -> Self {
        let before = looks.map(|looks| match looks.seconds_to(&now) {
            // Asked twice in no time: there is nothing to divide by.
            Some(0.0) => looks.before,
            Some(_) => Some(looks.now),
            None => None,
        });
        Self { before: before.flatten(), now }
    }

    fn seconds_to(&self, then: &Stats) -> Option<f64> {
        let seconds = then.uptime_seconds - self.now.uptime_seconds;
        (seconds >= 0.0).then_some(seconds)
    }

    /// How much a number grows in a second; `None` after the first look.
    pub(crate) fn rate(&self, number: impl Fn(&Stats) -> u64) -> Option<f64> {
        let before = self.before.as_ref()?;
        let seconds = self.now.uptime_seconds - before.uptime_seconds;
        let grown = number(&self.now).saturating_sub(number(before));
        (seconds > 0.0).then(|| grown as f64 / seconds)
    }
}
