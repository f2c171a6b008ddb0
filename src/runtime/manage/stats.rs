use alloc::collections::BTreeMap;
use alloc::string::{String, ToString};
use alloc::vec::Vec;

use serde::Serialize;

use super::overview::{Moment, Written};
use crate::inspect::Exception;
use crate::runtime::{EndpointCounters, WorkerStatistics};

/// As JSON.
pub(super) fn write(moment: &Moment) -> Option<String> {
    let statistics = &moment.statistics;
    let (named, others) = moment.endpoints();
    let named = named.iter().map(|(endpoint, it)| (endpoint.to_string(), it.into())).collect();
    let stats = Stats {
        version: env!("CARGO_PKG_VERSION"),
        uptime_seconds: moment.uptime.as_secs_f64(),
        healthy: moment.ailments.is_empty(),
        ailments: &moment.ailments,
        balanced: statistics.is_balanced(),
        flow_limit: moment.flow_limit,
        total: Worker::from(&statistics.total),
        workers: statistics.workers.iter().map(Worker::from).collect(),
        silent_workers: &statistics.silent,
        fragment_directory: Directory {
            remembered: statistics.directory.first,
            without_room: statistics.directory.no_room,
        },
        endpoints: named,
        other_endpoints: (&others).into(),
        writers: moment.writers.iter().map(|it| (it.what, numbers(it))).collect(),
    };
    serde_json::to_string(&stats).ok()
}

fn numbers(writer: &Written) -> BTreeMap<&'static str, u64> {
    writer.counters.iter().map(|(name, _, number)| (*name, *number)).collect()
}

/// A contract: fields are added, never renamed.
#[derive(Serialize)]
struct Stats<'a> {
    version: &'static str,
    uptime_seconds: f64,
    healthy: bool,
    ailments: &'a [String],
    balanced: bool,
    flow_limit: usize,
    total: Worker,
    workers: Vec<Worker>,
    silent_workers: &'a [usize],
    fragment_directory: Directory,
    endpoints: BTreeMap<String, Endpoint>,
    other_endpoints: Endpoint,
    /// `evidence` and `eve`, where they are written.
    #[serde(flatten)]
    writers: BTreeMap<&'static str, BTreeMap<&'static str, u64>>,
}

#[derive(Serialize)]
struct Worker {
    received: u64,
    received_bytes: u64,
    forwarded: u64,
    edited: u64,
    would: u64,
    dropped: BTreeMap<String, u64>,
    injected: u64,
    answers_withheld: u64,
    sent: u64,
    sent_bytes: u64,
    send_failed: BTreeMap<String, u64>,
    foreign_origin: u64,
    too_long: u64,
    overflow: u64,
    handed_over: u64,
    taken_over: u64,
    exceptions: BTreeMap<&'static str, u64>,
    panics: u64,
    over_budget: u64,
    overloaded: usize,
    overloads: u64,
    restarts: u64,
    flows: Flows,
    memory_bytes: usize,
    generations: usize,
    latency_seconds: Latency,
}

/// Of datagrams in fragments, for all workers together.
#[derive(Serialize)]
struct Directory {
    remembered: u64,
    without_room: u64,
}

#[derive(Serialize)]
struct Flows {
    open: usize,
    created: u64,
    expired: u64,
    evicted: u64,
    replaced: u64,
    refused: u64,
}

#[derive(Serialize)]
struct Latency {
    median: Option<f64>,
    p99: Option<f64>,
    p999: Option<f64>,
    max: f64,
}

impl From<&WorkerStatistics> for Worker {
    fn from(it: &WorkerStatistics) -> Self {
        let WorkerStatistics { counters, flows, transport, latency, .. } = it;
        let quantile = |share| latency.quantile(share).map(|took| took.as_secs_f64());
        let classes = Exception::ALL.map(|class| (class.name(), counters.exceptions(class)));
        let refused = [flows.refused_quota, flows.refused_endpoints, flows.refused_collisions];
        Self {
            received: it.received(),
            received_bytes: transport.received_bytes,
            forwarded: counters.forwarded,
            edited: counters.edited,
            would: counters.would,
            dropped: counters.dropped_by_reason().map(|(why, n)| (why.to_string(), n)).collect(),
            injected: counters.injected,
            answers_withheld: counters.answers_withheld,
            sent: counters.sent,
            sent_bytes: transport.sent_bytes,
            send_failed: counters
                .send_failed_by_reason()
                .map(|(why, n)| (why.to_string(), n))
                .collect(),
            foreign_origin: transport.foreign_origin,
            too_long: transport.too_long,
            overflow: transport.overflow,
            handed_over: it.handed_over,
            taken_over: it.taken_over,
            exceptions: classes.into_iter().filter(|(_, n)| *n > 0).collect(),
            panics: counters.panics,
            over_budget: counters.over_budget,
            overloaded: it.overloaded,
            overloads: it.overloads,
            restarts: it.restarts,
            flows: Flows {
                open: it.open_flows,
                created: flows.created,
                expired: flows.expired(),
                evicted: flows.evicted(),
                replaced: counters.replaced,
                refused: refused.into_iter().fold(flows.refused_full, u64::wrapping_add),
            },
            memory_bytes: it.memory,
            generations: it.generations,
            latency_seconds: Latency {
                median: quantile(0.5),
                p99: quantile(0.99),
                p999: quantile(0.999),
                max: latency.max().as_secs_f64(),
            },
        }
    }
}

#[derive(Serialize)]
struct Endpoint {
    received: u64,
    forwarded: u64,
    bytes: u64,
}

impl From<&EndpointCounters> for Endpoint {
    fn from(it: &EndpointCounters) -> Self {
        Self { received: it.received, forwarded: it.forwarded, bytes: it.bytes }
    }
}
