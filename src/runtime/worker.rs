use alloc::boxed::Box;
use alloc::vec::Vec;
use core::fmt;
use core::time::Duration;
use std::time::SystemTime;

use super::alerts::Alerts;
use super::endpoints::Endpoints;
use super::hand_over::{Parcel, Port};
use super::overload::{Overload, OverloadLimits};
use super::statistics::{Past, WorkerStatistics};
use super::top_flows::TopFlows;
use super::turn::Place;
use crate::Timestamp;
use crate::engine::{Datagram, Engine, Output, Settings};
use crate::gwlb::ReplyPolicy;
use crate::inspect::{Inspector, Rewriter};
use crate::observe::Histogram;
use crate::transport::{Transport, prefer_huge_pages};

/// A transport and an engine, and what was counted: everything that a datagram's way needs, and nothing of it shared.
///
/// An [`Appliance`](super::Appliance) runs each of its workers on a thread; one alone can be driven by hand:
///
/// ```
/// use core::time::Duration;
/// use gwlb_geneve::engine::{Engine, Settings};
/// use gwlb_geneve::runtime::{Worker, WorkerSettings};
/// use gwlb_geneve::transport::MemoryTransport;
///
/// let (transport, _network) = MemoryTransport::new();
/// let engine = Engine::new(Settings::default(), || ())?;
/// let mut worker = Worker::new(transport, engine, WorkerSettings::default());
/// let turn = worker.turn(Duration::ZERO)?;
/// assert_eq!(turn.received, 0);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct Worker<T: Transport, I: Inspector, R: Rewriter = ()> {
    pub(super) transport: T,
    pub(super) engine: Engine<I, R>,
    pub(super) settings: WorkerSettings,
    pub(super) observer: Option<Box<dyn Observer>>,
    /// `None` where there is one worker.
    pub(super) port: Option<Port>,
    pub(super) output: Output,
    pub(super) places: Vec<Place>,
    pub(super) parcels: Vec<Parcel>,
    /// From whom the parcels are.
    pub(super) sender: usize,
    /// When that was received which is to be sent, and how much of it at a time.
    pub(super) times: Vec<(Timestamp, u64)>,
    pub(super) endpoints: Endpoints,
    pub(super) latency: Histogram,
    pub(super) alerts: Alerts,
    pub(super) top_flows: TopFlows,
    pub(super) overload: Overload,
    /// At the end of the turn before.
    pub(super) now: Timestamp,
    /// Whether there is more to do, as far as one can tell.
    pub(super) is_busy: bool,
    /// Whether the turn before had nothing to do.
    pub(super) is_idle: bool,
    /// Whether its burst was so large that more is likely to wait.
    pub(super) is_full: bool,
    /// When the observer was last told that there is nothing to do.
    pub(super) rested: Timestamp,
    /// When flows are due, as the engine said when it was last asked, and when that was.
    pub(super) due: Option<Timestamp>,
    pub(super) looked: Timestamp,
    pub(super) canary: Option<Timestamp>,
    pub(super) canaries: u64,
    pub(super) past: Past,
}

/// What a [`Worker`] does beside what its engine does.
#[derive(Clone, Copy, Debug)]
pub struct WorkerSettings {
    /// The outer headers of packets of one's own, and of what came from another worker.
    pub reply: ReplyPolicy,
    /// The time, by the clock that stamps what the transport receives. By default the system's.
    pub clock: fn() -> Timestamp,
    /// When it has too much to do.
    pub overload: OverloadLimits,
    /// How many datagrams may be on the way from one worker to another. By default 1,024. Each takes as many bytes as it has, and up
    /// to 9 KiB are kept for the next: with `n` workers up to `n * (n - 1) * hand_over * 9` KiB, where somebody
    /// brings that about.
    pub hand_over: usize,
    /// How many endpoints are counted by name. By default 10,000.
    pub endpoints: usize,
    /// How often a packet of its own is [judged](Engine::canary). By default every second.
    pub canary: Duration,
}

impl Default for WorkerSettings {
    fn default() -> Self {
        Self {
            reply: ReplyPolicy::default(),
            clock: || {
                let since_epoch = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
                Timestamp::from_unix(since_epoch.unwrap_or_default())
            },
            overload: OverloadLimits::default(),
            hand_over: 1_024,
            endpoints: 10_000,
            canary: Duration::from_secs(1),
        }
    }
}

/// Is told what a worker's engine does: for records and evidence. It runs in the worker, between packets, so it must
/// neither wait nor take long.
pub trait Observer: Send + 'static {
    /// Datagrams were judged: `output` has an outcome for each, and what happened on their account. Both also come
    /// without datagrams, when flows have ended by themselves.
    fn judged(&mut self, datagrams: &[Datagram<'_>], output: &Output, settings: &Settings);

    /// There is nothing to do at the moment: a good one to write what was gathered. While bursts come one after the other
    /// it is told at most once a millisecond.
    fn idle(&mut self) {}
}

impl<T: Transport, I: Inspector, R: Rewriter> Worker<T, I, R> {
    /// A worker that has all traffic to itself.
    pub fn new(transport: T, engine: Engine<I, R>, settings: WorkerSettings) -> Self {
        prefer_huge_pages(engine.table_memory());
        Self {
            transport,
            engine,
            observer: None,
            port: None,
            output: Output::new(),
            places: Vec::new(),
            parcels: Vec::new(),
            sender: 0,
            times: Vec::new(),
            endpoints: Endpoints::new(settings.endpoints),
            latency: Histogram::new(),
            alerts: Alerts::default(),
            top_flows: TopFlows::new(),
            overload: Overload::new(settings.overload),
            now: (settings.clock)(),
            is_busy: false,
            is_idle: true,
            is_full: false,
            rested: Timestamp::default(),
            due: None,
            looked: Timestamp::default(),
            canary: None,
            canaries: 0,
            past: Past::default(),
            settings,
        }
    }

    /// The same worker, with one who is told what its engine does.
    #[must_use]
    pub fn with_observer(self, observer: Box<dyn Observer>) -> Self {
        Self { observer: Some(observer), ..self }
    }

    pub(super) fn with_port(self, port: Option<Port>) -> Self {
        Self { port, ..self }
    }

    /// The engine.
    pub const fn engine(&self) -> &Engine<I, R> {
        &self.engine
    }

    /// The engine, to be given other inspectors.
    pub const fn engine_mut(&mut self) -> &mut Engine<I, R> {
        &mut self.engine
    }

    /// The transport.
    pub const fn transport(&self) -> &T {
        &self.transport
    }

    /// How often its own packet was judged and had the outcome that it must have.
    pub const fn canaries(&self) -> u64 {
        self.canaries
    }

    /// What was done so far.
    pub fn statistics(&self) -> WorkerStatistics {
        let mut counters = self.past.counters.clone();
        counters.add(self.engine.counters());
        let mut flows = self.past.flows;
        flows.add(self.engine.flow_counters());
        let mut fragments = self.past.fragments;
        fragments.add(self.engine.fragment_counters());
        WorkerStatistics {
            counters,
            flows,
            fragments,
            transport: *self.transport.counters(),
            handed_over: self.port.as_ref().map_or(0, |port| port.handed_over),
            taken_over: self.port.as_ref().map_or(0, |port| port.taken_over),
            latency: self.latency.clone(),
            endpoints: self.endpoints.named(),
            further_endpoints: self.endpoints.further(),
            open_flows: self.engine.flows(),
            memory: self.engine.memory(),
            streams: self.engine.streams(),
            generations: self.engine.generations(),
            overloaded: usize::from(self.overload.is_on()),
            overloads: self.overload.times,
            alerts: self.alerts.counts(),
            further_alerts: self.alerts.further(),
            latest_alerts: self.alerts.latest(),
            top_flows: self.top_flows.top().to_vec(),
            bypassed: usize::from(self.engine.is_bypassed()),
            restarts: self.past.restarts,
        }
    }

    /// Ends all flows: the appliance is going down.
    pub fn drain(&mut self) {
        self.engine.drain((self.settings.clock)(), &mut self.output);
        self.tell(&[]);
    }

    /// Goes on with another engine after a panic that no engine has contained. Datagrams without an outcome were
    /// dropped by it, and what was to be sent was not; both are counted as `worker-panic`.
    pub(super) fn restart(&mut self, engine: Engine<I, R>) {
        if let Some(port) = &mut self.port {
            port.give_back(self.sender, &mut self.parcels);
        }
        self.past.settle(&self.statistics());
        let statistics = self.statistics();
        prefer_huge_pages(engine.table_memory());
        self.engine = engine;
        self.output = Output::new();
        self.times.clear();
        self.overload.begin_anew();
        self.top_flows.clear();
        self.is_busy = true;
        (self.due, self.looked) = (None, Timestamp::default());
        self.past = Past::of(statistics);
    }

    /// Judges and sends what others have handed over; whether there was anything.
    pub(super) fn finish_parcels(&mut self) -> bool {
        let taken_over = self.take_over();
        self.send();
        self.times.clear();
        taken_over > 0
    }

    /// Gives up: nothing is judged any more, and what is under way is counted as lost.
    pub(super) fn abandon(&mut self) {
        let workers = self.port.as_ref().map_or(0, |port| port.workers());
        for sender in 0..workers {
            if let Some(port) = &mut self.port {
                self.parcels.clear();
                port.take(sender, usize::MAX, &mut self.parcels);
            }
        }
        self.parcels.clear();
        self.past.settle(&self.statistics());
    }

    pub(super) fn tell(&mut self, datagrams: &[Datagram<'_>]) {
        if let Some(observer) = &mut self.observer {
            observer.judged(datagrams, &self.output, self.engine.settings());
        }
        self.alerts.take(datagrams, self.now, &mut self.output);
    }
}

impl<T: Transport, I: Inspector, R: Rewriter> fmt::Debug for Worker<T, I, R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Worker")
            .field("engine", &self.engine)
            .field("settings", &self.settings)
            .field("port", &self.port)
            .finish_non_exhaustive()
    }
}
