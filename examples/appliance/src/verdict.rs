//! What became of a packet, as JSON. A contract: fields are added, never renamed.

use gwlb_geneve::engine::{Event, EventKind, Outcome};
use gwlb_geneve::flow::Relation;
use gwlb_geneve::inspect::{Scope, Severity, Verdict};
use gwlb_geneve::packet::FiveTuple;
use gwlb_geneve::runtime::JudgedPacket;
use serde::Serialize;

use crate::decode::{Ends, time};

/// A packet of a capture and its outcome.
#[derive(Serialize)]
pub(crate) struct Judged {
    packet: u64,
    time: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    endpoint: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    flow: Option<Flow>,
    #[serde(skip_serializing_if = "Option::is_none")]
    relation: Option<&'static str>,
    #[serde(flatten)]
    outcome: Decision,
    alerts: Vec<Alerted>,
}

/// The ends of a flow as a packet goes.
#[derive(Serialize)]
pub(crate) struct Flow {
    #[serde(flatten)]
    ends: Ends,
    proto: u8,
}

/// What is done with a packet, and why.
#[derive(Serialize)]
pub(crate) struct Decision {
    disposition: &'static str,
    #[serde(skip_serializing_if = "str::is_empty")]
    reason: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    exception: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    would: Option<String>,
}

#[derive(Serialize)]
pub(crate) struct Alerted {
    name: String,
    message: String,
    severity: &'static str,
}

/// What one inspector said.
#[derive(Serialize)]
pub(crate) struct Vote {
    pub(crate) inspector: String,
    /// `null` where it was not asked.
    pub(crate) verdict: Option<Said>,
    /// The rules that decided, or why none did.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(crate) because: Vec<String>,
}

#[derive(Serialize)]
pub(crate) struct Said {
    action: String,
    scope: &'static str,
    #[serde(skip_serializing_if = "str::is_empty")]
    reason: &'static str,
}

impl From<&JudgedPacket<'_>> for Judged {
    fn from(packet: &JudgedPacket<'_>) -> Self {
        let flow = packet.flow();
        Self {
            packet: packet.number,
            time: time(packet.time),
            endpoint: packet.envelope().map(|envelope| envelope.endpoint().to_string()),
            flow: flow.map(|flow| flow.key.five_tuple(flow.direction).into()),
            relation: flow.map(|flow| relation(flow.relation)),
            outcome: packet.outcome.into(),
            alerts: alerts(packet.events()),
        }
    }
}

impl From<FiveTuple> for Flow {
    fn from(tuple: FiveTuple) -> Self {
        Self { proto: tuple.protocol.0, ends: tuple.into() }
    }
}

impl From<Outcome> for Decision {
    fn from(outcome: Outcome) -> Self {
        Self {
            disposition: outcome.disposition.name(),
            reason: outcome.reason.name(),
            exception: outcome.exception.map(|class| class.name()),
            would: outcome.would.map(|action| action.to_string()),
        }
    }
}

impl From<Verdict> for Said {
    fn from(verdict: Verdict) -> Self {
        Self {
            action: verdict.action().to_string(),
            scope: match verdict.scope() {
                Scope::Packet => "packet",
                Scope::Flow => "flow",
            },
            reason: verdict.reason().name(),
        }
    }
}

/// How a packet belongs to its flow.
pub(crate) const fn relation(relation: Relation) -> &'static str {
    match relation {
        Relation::Own => "own",
        Relation::IcmpError => "icmp-error",
    }
}

pub(crate) fn alerts<'a>(events: impl IntoIterator<Item = &'a Event>) -> Vec<Alerted> {
    let alerts = events.into_iter().filter_map(|event| match &event.what {
        EventKind::Alert(alert) => Some(Alerted {
            name: alert.name.to_string(),
            message: alert.message.to_string(),
            severity: match alert.severity {
                Severity::Info => "info",
                Severity::Notice => "notice",
                Severity::Warning => "warning",
                Severity::Critical => "critical",
            },
        }),
        _ => None,
    });
    alerts.collect()
}
