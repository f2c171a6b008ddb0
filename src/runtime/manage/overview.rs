use alloc::boxed::Box;
use alloc::collections::{BTreeMap, BTreeSet};
use alloc::string::{String, ToString};
use alloc::vec::Vec;
use core::fmt;
use core::sync::atomic::{AtomicBool, Ordering};
use core::time::Duration;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Instant, SystemTime};

use super::history::History;
use super::recent::Recent;
use super::{Subject, metrics, stats};
use crate::gwlb::EndpointId;
use crate::inspect::Inspector;
use crate::observe::Histogram;
#[cfg(feature = "eve")]
use crate::observe::eve::Eve;
#[cfg(feature = "capture")]
use crate::observe::evidence::Evidence;
use crate::runtime::{Ailment, Control, EndpointCounters, RecentAlert, Statistics};

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
    further: Vec<Further>,
    /// What is to be done when it is told to go down.
    drain: Box<dyn Fn() + Send + Sync>,
    is_draining: AtomicBool,
}

/// A counter of somebody else's.
struct Further {
    name: &'static str,
    help: &'static str,
    value: Box<dyn Fn() -> u64 + Send + Sync>,
}

#[derive(Debug, Default)]
struct Past {
    names: metrics::Names,
    recent: Recent,
    history: History,
    /// When the workers were last asked.
    asked: Option<Instant>,
}

impl<I: Inspector> Overview<I> {
    /// The workers are asked no more often than so, that a flood of questions is not theirs to bear: who asks sooner waits.
    pub const INTERVAL: Duration = Duration::from_millis(20);

    /// How long known flows may go on by default when it is told to go down over HTTP.
    pub const DRAIN: Duration = Duration::from_secs(330);

    /// Of the appliance with this handle, which has just been started.
    pub fn new(control: Control<I>) -> Self {
        let its = control.clone();
        let drain = Box::new(move || its.drain(Self::DRAIN));
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
            further: Vec::new(),
            drain,
            is_draining: AtomicBool::new(false),
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

    /// Tells of another counter, which only goes up, beside those of the workers. The name is one of Prometheus, in lower case and
    /// without `_total`, which is put behind it.
    #[must_use]
    pub fn with_counter(
        mut self,
        name: &'static str,
        help: &'static str,
        value: impl Fn() -> u64 + Send + Sync + 'static,
    ) -> Self {
        self.further.push(Further { name, help, value: Box::new(value) });
        self
    }

    /// The same, with something else that is done when it is told to go down over HTTP; once. By default it
    /// [drains](Control::drain), for [`DRAIN`](Self::DRAIN) at most.
    #[must_use]
    pub fn on_drain(self, drain: impl Fn() + Send + Sync + 'static) -> Self {
        Self { drain: Box::new(drain), ..self }
    }

    /// Asks the workers, and takes note of what they say.
    fn ask(&self) -> (MutexGuard<'_, Past>, Statistics) {
        let mut past = self.past.lock().unwrap_or_else(PoisonError::into_inner);
        let since = past.asked.map_or(Self::INTERVAL, |asked| asked.elapsed());
        std::thread::sleep(Self::INTERVAL.saturating_sub(since));
        let statistics = self.control.statistics();
        past.asked = Some(Instant::now());
        past.recent.note(&statistics);
        (past, statistics)
    }

    fn moment(&self) -> Moment {
        let (mut past, statistics) = self.ask();
        let settings = self.control.settings();
        let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
        Moment {
            names: past.names.admit(statistics.total.endpoints.keys()),
            recent_latency: past.recent.latency(&statistics.total.latency, Instant::now()),
            alerts: past.recent.alerts(0).cloned().collect(),
            statistics,
            ailments: words(&self.control.health().reasons),
            flow_limit: settings.flows.flows,
            endpoint_names: settings
                .endpoints
                .into_iter()
                .filter_map(|(id, endpoint)| Some((id, endpoint.name?)))
                .collect(),
            is_ending: self.control.is_ending(),
            bypassed_for: self.control.bypassed_for(),
            started: self.started,
            now: now.unwrap_or_default(),
            uptime: self.begun.elapsed(),
            writers: self.writers(),
            further: self.further.iter().map(|it| (it.name, it.help, (it.value)())).collect(),
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

    fn sample(&self) {
        let (mut past, statistics) = self.ask();
        let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
        let (latency, _) = past.recent.latency(&statistics.total.latency, Instant::now());
        past.history.note(&statistics, &latency, self.begun.elapsed(), now.unwrap_or_default());
    }

    fn history(&self) -> Option<String> {
        self.past.lock().unwrap_or_else(PoisonError::into_inner).history.write()
    }

    fn alerts(&self, after: u64) -> Vec<(u64, String)> {
        let (past, _) = self.ask();
        past.recent.alerts(after).filter_map(stats::write_alert).collect()
    }

    fn drain(&self) -> Option<bool> {
        // Told by a signal, for example, it is so already.
        let is_new = !self.is_draining.swap(true, Ordering::Relaxed) && !self.control.is_ending();
        if is_new {
            (self.drain)();
        }
        Some(is_new)
    }

    fn bypass(&self, on: bool) -> Option<bool> {
        Some(self.control.bypass(on))
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
    pub(super) is_ending: bool,
    pub(super) bypassed_for: Option<Duration>,
    /// Since 1970.
    pub(super) started: Duration,
    pub(super) now: Duration,
    pub(super) uptime: Duration,
    pub(super) names: BTreeSet<EndpointId>,
    /// The latest, with their numbers.
    pub(super) alerts: Vec<(u64, RecentAlert)>,
    /// Of late, and for how long that is.
    pub(super) recent_latency: (Histogram, Duration),
    /// What people call endpoints.
    pub(super) endpoint_names: BTreeMap<EndpointId, Arc<str>>,
    /// Other counters: name, help, value.
    pub(super) further: Vec<(&'static str, &'static str, u64)>,
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
