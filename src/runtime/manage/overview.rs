use alloc::collections::{BTreeMap, BTreeSet};
use alloc::string::{String, ToString};
use alloc::vec::Vec;
use core::fmt;
use core::time::Duration;
use std::sync::{Mutex, PoisonError};
use std::time::{Instant, SystemTime};

use super::{Subject, metrics, stats};
use crate::gwlb::EndpointId;
use crate::inspect::Inspector;
#[cfg(feature = "eve")]
use crate::observe::eve::Eve;
#[cfg(feature = "capture")]
use crate::observe::evidence::Evidence;
use crate::runtime::{Ailment, Control, EndpointCounters, Statistics};

/// Tells of a running [`Appliance`](crate::runtime::Appliance): its health, and its numbers.
///
/// Numbers are exact: with each question the workers are asked, and each answers between two bursts. What was received before
/// the question is in the answer, with its outcome.
///
/// ```
/// use gwlb_geneve::engine::Settings;
/// use gwlb_geneve::runtime::{Appliance, Overview, Subject};
/// use gwlb_geneve::transport::MemoryTransport;
///
/// let (transport, _network) = MemoryTransport::new();
/// let running = Appliance::new(Settings::default(), || ()).start(vec![transport])?;
/// let overview = Overview::new(running.control());
/// let metrics = overview.metrics().unwrap();
/// assert!(metrics.contains("gwlb_datagrams_received_total{worker=\"0\"} 0\n"));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct Overview<I: Inspector> {
    control: Control<I>,
    begun: Instant,
    /// Since 1970.
    started: Duration,
    past: Mutex<Past>,
    #[cfg(feature = "capture")]
    evidence: Option<Evidence>,
    #[cfg(feature = "eve")]
    eve: Option<Eve>,
}

#[derive(Debug, Default)]
struct Past {
    names: metrics::Names,
    /// When the workers were last asked.
    asked: Option<Instant>,
}

impl<I: Inspector> Overview<I> {
    /// The workers are asked no more often than so, that a flood of questions is not theirs to bear: who asks sooner waits.
    pub const INTERVAL: Duration = Duration::from_millis(20);

    /// Of the appliance with this handle, which has just been started.
    pub fn new(control: Control<I>) -> Self {
        let started = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
        Self {
            control,
            begun: Instant::now(),
            started: started.unwrap_or_default(),
            past: Mutex::default(),
            #[cfg(feature = "capture")]
            evidence: None,
            #[cfg(feature = "eve")]
            eve: None,
        }
    }

    /// The same, which tells of evidence, too.
    #[cfg(feature = "capture")]
    #[must_use]
    pub fn with_evidence(self, evidence: Option<Evidence>) -> Self {
        Self { evidence, ..self }
    }

    /// The same, which tells of EVE records, too.
    #[cfg(feature = "eve")]
    #[must_use]
    pub fn with_eve(self, eve: Option<Eve>) -> Self {
        Self { eve, ..self }
    }

    /// What those who write have done.
    #[allow(clippy::let_and_return, clippy::vec_init_then_push, unused_mut, reason = "by features")]
    fn writers(&self) -> Vec<Written> {
        let mut writers = Vec::new();
        #[cfg(feature = "capture")]
        if let Some(evidence) = &self.evidence {
            let it = evidence.counters();
            let counters = [
                ("written", "Packets kept as evidence", it.written),
                ("bytes", "Bytes of files of evidence", it.bytes),
                ("dropped", "Packets of evidence that found no room in the queue", it.dropped),
                ("failed", "Packets of evidence that could not be written", it.failed),
                ("files", "Files of evidence begun", it.files),
            ];
            writers.push(Written { what: "evidence", counters: counters.into() });
        }
        #[cfg(feature = "eve")]
        if let Some(eve) = &self.eve {
            let counters = [
                ("written", "EVE records written", eve.written()),
                (
                    "dropped",
                    "EVE records that found no room, or could not be written",
                    eve.dropped(),
                ),
            ];
            writers.push(Written { what: "eve", counters: counters.into() });
        }
        writers
    }

    fn moment(&self) -> Moment {
        let mut past = self.past.lock().unwrap_or_else(PoisonError::into_inner);
        let since = past.asked.map_or(Self::INTERVAL, |asked| asked.elapsed());
        std::thread::sleep(Self::INTERVAL.saturating_sub(since));
        let statistics = self.control.statistics();
        past.asked = Some(Instant::now());
        Moment {
            names: past.names.admit(statistics.total.endpoints.keys()),
            statistics,
            ailments: words(&self.control.health().reasons),
            flow_limit: self.control.settings().flows.flows,
            started: self.started,
            uptime: self.begun.elapsed(),
            writers: self.writers(),
        }
    }
}

impl<I: Inspector> Subject for Overview<I> {
    fn health(&self) -> Result<(), Vec<String>> {
        let ailments = words(&self.control.health().reasons);
        if ailments.is_empty() { Ok(()) } else { Err(ailments) }
    }

    /// All that is wrong with its health, but for inspectors that fail: the workers are at work all the same.
    fn readiness(&self) -> Result<(), Vec<String>> {
        let mut reasons = self.control.health().reasons;
        reasons.retain(|reason| !matches!(reason, Ailment::Inspectors { .. }));
        if reasons.is_empty() { Ok(()) } else { Err(words(&reasons)) }
    }

    fn metrics(&self) -> Option<String> {
        metrics::write(self.moment())
    }

    fn stats(&self) -> Option<String> {
        stats::write(&self.moment())
    }
}

impl<I: Inspector> fmt::Debug for Overview<I> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Overview").field("control", &self.control).finish_non_exhaustive()
    }
}

fn words(reasons: &[Ailment]) -> Vec<String> {
    reasons.iter().map(ToString::to_string).collect()
}

/// What there is to be told, all as of one moment.
#[derive(Debug)]
pub(super) struct Moment {
    pub(super) statistics: Statistics,
    pub(super) ailments: Vec<String>,
    /// Of the whole appliance.
    pub(super) flow_limit: usize,
    /// Since 1970.
    pub(super) started: Duration,
    pub(super) uptime: Duration,
    pub(super) names: BTreeSet<EndpointId>,
    pub(super) writers: Vec<Written>,
}

/// What a thread that writes has done.
#[cfg_attr(not(any(feature = "capture", feature = "eve")), allow(dead_code))]
#[derive(Debug)]
pub(super) struct Written {
    /// What it writes.
    pub(super) what: &'static str,
    /// Name, help, and number.
    pub(super) counters: Vec<(&'static str, &'static str, u64)>,
}

impl Moment {
    /// The endpoints that are told by name, and all others together.
    pub(super) fn endpoints(&self) -> (BTreeMap<EndpointId, EndpointCounters>, EndpointCounters) {
        let total = &self.statistics.total;
        let mut others = total.further_endpoints;
        let mut named = BTreeMap::new();
        for (endpoint, counters) in &total.endpoints {
            if self.names.contains(endpoint) {
                named.insert(*endpoint, *counters);
            } else {
                others.add(counters);
            }
        }
        (named, others)
    }
}
