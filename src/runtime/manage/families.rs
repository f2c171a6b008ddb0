//! What is told of each worker and each endpoint, and where it is found.

use crate::runtime::{EndpointCounters, WorkerStatistics};

/// Name without `_total` and unit, what it counts, and where that is found.
pub(super) type Metric<T> = (&'static str, &'static str, fn(&T) -> u64);

/// Counters of each worker.
pub(super) const COUNTERS: [Metric<WorkerStatistics>; 28] = [
    ("gwlb_datagrams_received", "Datagrams received from load balancers", |it| it.received()),
    ("gwlb_datagrams_forwarded", "Datagrams judged to go back", |it| it.counters.forwarded),
    ("gwlb_datagrams_edited", "Of those forwarded, the ones that were changed", |it| {
        it.counters.edited
    }),
    (
        "gwlb_datagrams_would_drop",
        "Of those forwarded, the ones refused if it did not only monitor",
        |it| it.counters.would,
    ),
    (
        "gwlb_datagrams_bypassed",
        "Of those forwarded, the ones that nobody looked at, since everything was to pass",
        |it| it.counters.bypassed,
    ),
    ("gwlb_datagrams_injected", "Datagrams of its own", |it| it.counters.injected),
    ("gwlb_datagrams_sent", "Datagrams sent", |it| it.counters.sent),
    (
        "gwlb_datagrams_foreign_origin",
        "Datagrams from addresses that no load balancer may have",
        |it| it.transport.foreign_origin,
    ),
    ("gwlb_datagrams_too_long", "Datagrams longer than the receive buffer", |it| {
        it.transport.too_long
    }),
    (
        "gwlb_datagrams_overflow",
        "Datagrams that the system dropped at the socket: it was full, or their checksum was wrong",
        |it| it.transport.overflow,
    ),
    ("gwlb_datagrams_handed_over", "Datagrams given to the worker they belong to", |it| {
        it.handed_over
    }),
    ("gwlb_datagrams_taken_over", "Datagrams taken from other workers", |it| it.taken_over),
    ("gwlb_bursts", "Bursts of datagrams received", |it| it.transport.bursts),
    ("gwlb_answers_withheld", "Answers to refused packets not given, being too many", |it| {
        it.counters.answers_withheld
    }),
    ("gwlb_injections_lost", "Packets for flows without an envelope", |it| {
        it.counters.injections_lost
    }),
    ("gwlb_inspector_panics", "Panics of inspectors and rewriters", |it| it.counters.panics),
    ("gwlb_inspector_budget_overruns", "Times that an inspector took too long", |it| {
        it.counters.over_budget
    }),
    ("gwlb_worker_overloads", "Times that a worker began to have too much to do", |it| {
        it.overloads
    }),
    ("gwlb_worker_restarts", "Times that a worker went on with a new engine", |it| it.restarts),
    ("gwlb_flows_created", "Flows taken into the table", |it| it.flows.created),
    ("gwlb_flows_expired", "Flows that were idle for too long", |it| it.flows.expired()),
    ("gwlb_flows_evicted", "Flows that made room for others", |it| it.flows.evicted()),
    ("gwlb_flows_replaced", "Flows that began anew", |it| it.counters.replaced),
    (
        "gwlb_stream_places_given_up",
        "Half-open or closed connections that made room for others",
        |it| it.counters.places_given_up,
    ),
    ("gwlb_flow_halves", "Ended flows of which one direction was never seen", |it| {
        it.flows.half_flows
    }),
    ("gwlb_fragments_resolved", "Later fragments whose flow was found", |it| it.fragments.resolved),
    ("gwlb_fragments_unknown", "Later fragments whose first was not known", |it| {
        it.fragments.unknown
    }),
    ("gwlb_fragments_without_room", "First fragments that could not be remembered", |it| {
        it.fragments.no_room
    }),
];

pub(super) const BYTES: [Metric<WorkerStatistics>; 2] = [
    ("gwlb_received", "UDP payload received", |it| it.transport.received_bytes),
    ("gwlb_sent", "UDP payload sent", |it| it.transport.sent_bytes),
];

/// Counters of each endpoint; the last one has a unit.
pub(super) const ENDPOINTS: [Metric<EndpointCounters>; 3] = [
    ("gwlb_endpoint_datagrams_received", "Datagrams of an endpoint", |it| it.received),
    ("gwlb_endpoint_datagrams_forwarded", "Of these, those that went back", |it| it.forwarded),
    ("gwlb_endpoint_received", "Inner packets of an endpoint", |it| it.bytes),
];

pub(super) type Value = fn(&WorkerStatistics) -> u64;

/// New flows that the table did not take.
pub(super) const REFUSED: [(&str, Value); 4] = [
    ("table-full", |it| it.flows.refused_full),
    ("endpoint-quota", |it| it.flows.refused_quota),
    ("too-many-endpoints", |it| it.flows.refused_endpoints),
    ("collisions", |it| it.flows.refused_collisions),
];

pub(super) type Gauge = (&'static str, &'static str, fn(&WorkerStatistics) -> usize);

pub(super) const GAUGES: [Gauge; 5] = [
    ("gwlb_flows", "Flows in the table", |it| it.open_flows),
    ("gwlb_streams", "TCP connections whose bytes are put in order", |it| it.streams.connections),
    ("gwlb_inspector_generations", "Sets of inspectors that flows go on under", |it| {
        it.generations
    }),
    ("gwlb_worker_bypassed", "Whether it lets everything pass", |it| it.bypassed),
    ("gwlb_worker_overloaded", "Whether it has too much to do", |it| it.overloaded),
];

/// In bytes.
pub(super) const MEMORY: [Gauge; 3] = [
    ("gwlb_memory", "Reserved for flows, fragments and streams", |it| it.memory),
    ("gwlb_stream_memory", "Bytes of streams that wait or are not acknowledged", |it| {
        it.streams.bytes
    }),
    ("gwlb_message_memory", "Bytes of messages that are not whole yet", |it| {
        it.streams.message_bytes
    }),
];
