use alloc::collections::BTreeMap;
use alloc::string::{String, ToString};
use alloc::vec::Vec;
use core::net::SocketAddr;

use serde::Serialize;

use super::overview::{Moment, Written};
use crate::Timestamp;
use crate::engine::{EventKind, FlowTraffic};
use crate::flow::{Direction, FlowKey};
use crate::inspect::{Exception, Reason, Severity};
use crate::observe::Histogram;
use crate::packet::Ports;
use crate::runtime::{EndpointCounters, RecentAlert, WorkerStatistics};

/// As JSON.
pub(super) fn write(moment: &Moment) -> Option<String> {
    let statistics = &moment.statistics;
    let (named, others) = moment.endpoints();
    let named = named.iter().map(|(endpoint, it)| {
        let name = moment.endpoint_names.get(endpoint).map(ToString::to_string);
        (endpoint.to_string(), Endpoint { name, ..it.into() })
    });
    let stats = Stats {
        version: env!("CARGO_PKG_VERSION"),
        time: moment.now.as_secs_f64(),
        uptime_seconds: moment.uptime.as_secs_f64(),
        draining: moment.is_ending,
        bypass: Bypass {
            on: moment.bypassed_for.is_some(),
            seconds: moment.bypassed_for.map(|lasts| lasts.as_secs_f64()),
        },
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
        endpoints: named.collect(),
        other_endpoints: (&others).into(),
        writers: moment.writers.iter().map(|it| (it.what, numbers(it))).collect(),
        recent_latency_seconds: Recent {
            over_seconds: moment.recent_latency.1.as_secs_f64(),
            count: moment.recent_latency.0.count(),
            latency: (&moment.recent_latency.0).into(),
        },
        top_flows: statistics.total.top_flows.iter().map(TopFlow::from).collect(),
        latest_alerts: moment.alerts.iter().map(Alert::from).collect(),
    };
    serde_json::to_string(&stats).ok()
}

fn numbers(writer: &Written) -> BTreeMap<&'static str, u64> {
    writer.counters.iter().map(|(name, _, number)| (*name, *number)).collect()
}

/// An alert by itself, as JSON, with its number.
pub(super) fn write_alert(alert: &(u64, RecentAlert)) -> Option<(u64, String)> {
    Some((alert.0, serde_json::to_string(&Alert::from(alert)).ok()?))
}

/// A contract: fields are added, never renamed.
#[derive(Serialize)]
struct Stats<'a> {
    version: &'static str,
    /// Since 1970.
    time: f64,
    uptime_seconds: f64,
    draining: bool,
    bypass: Bypass,
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
    recent_latency_seconds: Recent,
    /// Those with most bytes first.
    top_flows: Vec<TopFlow>,
    /// The oldest first.
    latest_alerts: Vec<Alert<'a>>,
}

/// Whether everything passes and nobody looks at it, and for how long.
#[derive(Serialize)]
struct Bypass {
    on: bool,
    seconds: Option<f64>,
}

#[derive(Serialize)]
struct Worker {
    received: u64,
    received_bytes: u64,
    forwarded: u64,
    edited: u64,
    would: u64,
    bypassed: u64,
    bypassing: usize,
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
    alerts: BTreeMap<String, u64>,
    further_alerts: u64,
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
        let classes = Exception::ALL.map(|class| (class.name(), counters.exceptions(class)));
        let refused = [flows.refused_quota, flows.refused_endpoints, flows.refused_collisions];
        Self {
            received: it.received(),
            received_bytes: transport.received_bytes,
            forwarded: counters.forwarded,
            edited: counters.edited,
            would: counters.would,
            bypassed: counters.bypassed,
            bypassing: it.bypassed,
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
            latency_seconds: latency.into(),
            alerts: it.alerts.iter().map(|(name, n)| (name.to_string(), *n)).collect(),
            further_alerts: it.further_alerts,
        }
    }
}

impl From<&Histogram> for Latency {
    fn from(it: &Histogram) -> Self {
        let quantile = |share| it.quantile(share).map(|took| took.as_secs_f64());
        Self {
            median: quantile(0.5),
            p99: quantile(0.99),
            p999: quantile(0.999),
            max: it.max().as_secs_f64(),
        }
    }
}

/// The latency of what was sent in the last seconds.
#[derive(Serialize)]
struct Recent {
    over_seconds: f64,
    count: u64,
    #[serde(flatten)]
    latency: Latency,
}

#[derive(Serialize)]
struct TopFlow {
    endpoint: String,
    protocol: String,
    client: String,
    server: String,
    /// Since 1970.
    first_seen: f64,
    last_seen: f64,
    /// From the client, and to it.
    packets: [u64; 2],
    bytes: [u64; 2],
}

impl From<&FlowTraffic> for TopFlow {
    fn from(it: &FlowTraffic) -> Self {
        let (client, server) = ends(it.key, it.opener);
        Self {
            endpoint: it.key.endpoint().to_string(),
            protocol: it.key.protocol().to_string(),
            client,
            server,
            first_seen: seconds(it.first_seen),
            last_seen: seconds(it.last_seen),
            packets: it.packets,
            bytes: it.bytes,
        }
    }
}

/// Addresses, with ports where there are any.
fn ends(key: FlowKey, opener: Direction) -> (String, String) {
    let tuple = key.five_tuple(opener);
    let (source, destination) = (tuple.source(), tuple.destination());
    match tuple.ports {
        Some(Ports { source: from, destination: to }) => (
            SocketAddr::new(source, from).to_string(),
            SocketAddr::new(destination, to).to_string(),
        ),
        None => (source.to_string(), destination.to_string()),
    }
}

fn seconds(time: Timestamp) -> f64 {
    time.saturating_since(Timestamp::EPOCH).as_secs_f64()
}

#[derive(Serialize)]
struct Alert<'a> {
    number: u64,
    /// Since 1970.
    time: f64,
    /// `alert`, `exception` or `capture`.
    kind: &'static str,
    severity: &'static str,
    name: &'a str,
    message: &'a str,
    endpoint: String,
    flow: String,
    /// What became of the packet.
    disposition: Option<&'static str>,
    reason: Option<String>,
}

impl<'a> From<&'a (u64, RecentAlert)> for Alert<'a> {
    fn from((number, it): &'a (u64, RecentAlert)) -> Self {
        let (kind, severity, name, message) = match &it.what {
            EventKind::Alert(alert) => {
                ("alert", severity(alert.severity), &*alert.name, &*alert.message)
            }
            EventKind::Exception(class, treatment) => {
                ("exception", severity(Severity::Warning), class.name(), treatment.name())
            }
            EventKind::Capture(why) => ("capture", severity(Severity::Info), "capture", &**why),
        };
        let reason = it.outcome.map(|(_, reason)| reason).filter(|it| *it != Reason::NONE);
        Self {
            number: *number,
            time: seconds(it.time),
            kind,
            severity,
            name,
            message,
            endpoint: it.endpoint.to_string(),
            flow: it.flow.to_string(),
            disposition: it.outcome.map(|(disposition, _)| disposition.name()),
            reason: reason.map(|reason| reason.to_string()),
        }
    }
}

const fn severity(severity: Severity) -> &'static str {
    match severity {
        Severity::Info => "info",
        Severity::Notice => "notice",
        Severity::Warning => "warning",
        Severity::Critical => "critical",
    }
}

#[derive(Serialize)]
struct Endpoint {
    /// What people call it.
    #[serde(skip_serializing_if = "Option::is_none")]
    name: Option<String>,
    received: u64,
    forwarded: u64,
    bytes: u64,
}

impl From<&EndpointCounters> for Endpoint {
    fn from(it: &EndpointCounters) -> Self {
        Self { name: None, received: it.received, forwarded: it.forwarded, bytes: it.bytes }
    }
}
