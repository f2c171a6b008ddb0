use alloc::borrow::Cow;
use alloc::collections::BTreeMap;
use alloc::vec::Vec;

use super::{EndpointCounters, RecentAlert, alerts, top_flows};
use crate::engine::{Counters, FlowTraffic, StreamUse};
use crate::flow::{FlowCounters, FragmentCounters};
use crate::gwlb::EndpointId;
use crate::inspect::Reason;
use crate::observe::Histogram;
use crate::transport::TransportCounters;

/// What an appliance has done since it was started. All counters only grow, also where a worker was started anew.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct Statistics {
    /// The sums over all workers.
    pub total: WorkerStatistics,
    /// Each worker, by its number.
    pub workers: Vec<WorkerStatistics>,
    /// Numbers of the workers that did not answer in time: theirs is what they last said.
    pub silent: Vec<usize>,
    /// The directory of fragments that the workers share; all zero where there is one worker.
    pub directory: FragmentCounters,
}

impl Statistics {
    /// Whether every datagram had its one outcome, and everything that was to be sent its one end. See
    /// [`WorkerStatistics::is_balanced`]; in addition, what was handed over was taken over. It holds when all workers have
    /// ended, and whenever nothing is under way.
    pub fn is_balanced(&self) -> bool {
        self.workers.iter().all(WorkerStatistics::is_balanced)
            && self.total.handed_over == self.total.taken_over
    }

    pub(super) fn of(
        workers: Vec<WorkerStatistics>,
        silent: Vec<usize>,
        directory: FragmentCounters,
    ) -> Self {
        let mut total = WorkerStatistics::default();
        workers.iter().for_each(|worker| total.add(worker));
        Self { total, workers, silent, directory }
    }
}

/// What a worker has done, or all of them together.
///
/// `received() + taken_over = forwarded + dropped() + handed_over`, and `forwarded + injected = sent + send_failed()`, where
/// the fields without a home here are those of [`counters`](Self::counters).
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct WorkerStatistics {
    /// What the engine has done.
    pub counters: Counters,
    /// What the flow table has done.
    pub flows: FlowCounters,
    /// What the fragment map has done.
    pub fragments: FragmentCounters,
    /// What the transport has done.
    pub transport: TransportCounters,
    /// Datagrams that went to the workers whom they belong to.
    pub handed_over: u64,
    /// Datagrams that came from other workers.
    pub taken_over: u64,
    /// From the moment that a datagram was received, as its time stamp says, to the moment that it was sent.
    pub latency: Histogram,
    /// Endpoints, as many as are [counted by name](super::WorkerSettings::endpoints), by the worker that judged their
    /// packets.
    pub endpoints: BTreeMap<EndpointId, EndpointCounters>,
    /// All endpoints beyond.
    pub further_endpoints: EndpointCounters,
    /// Flows in the table at the moment.
    pub open_flows: usize,
    /// What is held at the moment to put bytes in order.
    pub streams: StreamUse,
    /// Bytes that flow table, fragment map and streams never exceed.
    pub memory: usize,
    /// Sets of inspectors that flows go on under at the moment.
    pub generations: usize,
    /// Workers that have too much to do at the moment: 0 or 1 of a worker.
    pub overloaded: usize,
    /// How often that began.
    pub overloads: u64,
    /// Workers that let everything [pass](super::Control::bypass) at the moment: 0 or 1 of a worker.
    pub bypassed: usize,
    /// How often inspectors had something to say, by the name of what they said; names up to a limit.
    pub alerts: BTreeMap<Cow<'static, str>, u64>,
    /// The same under all further names.
    pub further_alerts: u64,
    /// The latest of that, and of exceptions that people should know of, in their order; up to 64.
    pub latest_alerts: Vec<RecentAlert>,
    /// The flows in the table that have moved most bytes, these first; up to 20. The table is gone through once
    /// in 10 ms for each 256 flows, and this is as of then.
    pub top_flows: Vec<FlowTraffic>,
    /// How often the worker went on with a new engine after a panic.
    pub restarts: u64,
}

impl WorkerStatistics {
    /// Datagrams that the transport has received.
    pub const fn received(&self) -> u64 {
        self.transport.received
    }

    /// Whether every datagram had its one outcome, and everything that was to be sent its one end. It holds whenever
    /// a worker answers, since it answers between two turns.
    pub fn is_balanced(&self) -> bool {
        let counters = &self.counters;
        let come = self.received().wrapping_add(self.taken_over);
        counters.is_balanced() && come == counters.received.wrapping_add(self.handed_over)
    }

    /// Adds what another worker has done.
    pub fn add(&mut self, other: &Self) {
        self.counters.add(&other.counters);
        self.flows.add(&other.flows);
        self.fragments.add(&other.fragments);
        self.transport.add(&other.transport);
        self.latency.add(&other.latency);
        for (endpoint, counters) in &other.endpoints {
            self.endpoints.entry(*endpoint).or_default().add(counters);
        }
        self.further_endpoints.add(&other.further_endpoints);
        for (name, count) in &other.alerts {
            let counter = self.alerts.entry(name.clone()).or_default();
            *counter = counter.wrapping_add(*count);
        }
        alerts::merge(&mut self.latest_alerts, &other.latest_alerts);
        top_flows::merge(&mut self.top_flows, &other.top_flows);
        self.generations = self.generations.max(other.generations);
        for (counter, by) in [
            (&mut self.handed_over, other.handed_over),
            (&mut self.taken_over, other.taken_over),
            (&mut self.overloads, other.overloads),
            (&mut self.restarts, other.restarts),
            (&mut self.further_alerts, other.further_alerts),
        ] {
            *counter = counter.wrapping_add(by);
        }
        for (gauge, by) in [
            (&mut self.open_flows, other.open_flows),
            (&mut self.memory, other.memory),
            (&mut self.streams.connections, other.streams.connections),
            (&mut self.streams.bytes, other.streams.bytes),
            (&mut self.streams.message_bytes, other.streams.message_bytes),
            (&mut self.overloaded, other.overloaded),
            (&mut self.bypassed, other.bypassed),
        ] {
            *gauge = gauge.saturating_add(by);
        }
    }
}

/// What the engines have counted that a worker had before its present one.
#[derive(Debug, Default)]
pub(super) struct Past {
    pub(super) counters: Counters,
    pub(super) flows: FlowCounters,
    pub(super) fragments: FragmentCounters,
    pub(super) restarts: u64,
}

impl Past {
    /// The engine broke off in the middle of something: whatever has no outcome as of `last` is lost.
    pub(super) fn settle(&mut self, last: &WorkerStatistics) {
        const REASON: Reason = Reason::new("worker-panic");

        let counters = &last.counters;
        let come = last.received().wrapping_add(last.taken_over);
        let lost = come.wrapping_sub(last.handed_over).wrapping_sub(counters.received);
        self.counters.lose(REASON, lost);
        let to_send = counters.forwarded.wrapping_add(counters.injected);
        let settled = counters.sent.wrapping_add(counters.send_failed());
        self.counters.count_failed(REASON, to_send.wrapping_sub(settled));
    }

    /// All that was counted until a new engine begins.
    pub(super) fn of(last: WorkerStatistics) -> Self {
        let WorkerStatistics { counters, flows, fragments, restarts, .. } = last;
        Self { counters, flows, fragments, restarts: restarts.wrapping_add(1) }
    }
}
