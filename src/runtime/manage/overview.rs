use alloc::boxed::Box;
use alloc::collections::{BTreeMap, BTreeSet};
use alloc::string::{String, ToString};
use alloc::vec::Vec;
use core::fmt;
use core::sync::atomic::{AtomicBool, Ordering};
use core::time::Duration;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Instant, SystemTime};

use super::recent::Recent;
use super::{Subject, metrics, stats};
use crate::gwlb::EndpointId;
use crate::inspect::Inspector;
use crate::observe::Histogram;
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
    /// What is to be done when it is told to go down.
    drain: Box<dyn Fn() + Send + Sync>,
    is_draining: AtomicBool,
}

#[derive(Debug, Default)]
struct Past {
    names: metrics::Names,
    recent: Recent,
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
            drain,
            is_draining: AtomicBool::new(false),
        }
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
        let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
        Moment {
            names: past.names.admit(statistics.total.endpoints.keys()),
            recent_latency: past.recent.latency(&statistics.total.latency, Instant::now()),
            alerts: past.recent.alerts(0).cloned().collect(),
            statistics,
            ailments: words(&self.control.health().reasons),
            flow_limit: self.control.settings().flows.flows,
            is_ending: self.control.is_ending(),
            bypassed_for: self.control.bypassed_for(),
            started: self.started,
            now: now.unwrap_or_default(),
            uptime: self.begun.elapsed(),
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
