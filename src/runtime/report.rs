use alloc::collections::BTreeMap;
use alloc::format;
use alloc::string::ToString;
use alloc::vec::Vec;
use core::fmt;

use super::burst::Packet;
use super::{EndpointCounters, FrameCounters, FrameError};
use crate::engine::{Counters, Disposition, Event, EventKind, Outcome};
use crate::flow::FlowCounters;
use crate::gwlb::EndpointId;
use crate::inspect::{Exception, Reason};

/// What a replay counted.
///
/// Every datagram has one outcome: `received = forwarded + dropped()`. Everything that is to be sent has one end:
/// `forwarded + injected = sent + send_failed`. Its [`Display`](fmt::Display) is a table for a person.
#[derive(Debug, Default)]
#[non_exhaustive]
pub struct Report {
    /// The frames of the capture.
    pub frames: FrameCounters,
    /// What was wrong with the first frames that could not be read, at most
    /// [so many](super::Frames::MOST_PROBLEMS).
    pub problems: Vec<FrameError>,
    /// GENEVE packets.
    pub received: u64,
    /// Those sent back, edited ones among them.
    pub forwarded: u64,
    /// Those sent back that were changed.
    pub edited: u64,
    /// Those sent back that would not have been, were the traffic not only watched.
    pub would: u64,
    /// Those not sent back, by reason, rejected ones among them.
    pub dropped: BTreeMap<Reason, u64>,
    /// Those not sent back of which the ends were told.
    pub rejected: u64,
    /// Packets of the engine's and the inspectors' own.
    pub injected: u64,
    /// Replies and injected packets that could be sent.
    pub sent: u64,
    /// Replies and injected packets that could not: too long.
    pub send_failed: u64,
    /// How often there was an exception, however it was treated.
    pub exceptions: BTreeMap<Exception, u64>,
    /// Alerts of inspectors.
    pub alerts: u64,
    /// Flows that began.
    pub flows: u64,
    /// Flows that found no room.
    pub flows_refused: u64,
    /// The first [`MOST_ENDPOINTS`](Self::MOST_ENDPOINTS) endpoints.
    pub endpoints: BTreeMap<EndpointId, EndpointCounters>,
    /// All endpoints beyond.
    pub further_endpoints: EndpointCounters,
}

impl Report {
    /// Endpoints that are told apart, so that no capture can use up the memory.
    pub const MOST_ENDPOINTS: usize = 10_000;

    /// Packets that were not sent back.
    pub fn dropped(&self) -> u64 {
        self.dropped.values().fold(0, |sum, count| sum.wrapping_add(*count))
    }

    pub(super) fn count(&mut self, packet: &Packet, outcome: &Outcome) {
        raise(&mut self.received, 1);
        let is_forwarded = outcome.disposition.is_forward();
        if is_forwarded {
            raise(&mut self.forwarded, 1);
            raise(&mut self.edited, (outcome.disposition == Disposition::ForwardEdited).into());
            raise(&mut self.would, outcome.would.is_some().into());
        } else {
            raise(self.dropped.entry(outcome.reason).or_default(), 1);
            raise(&mut self.rejected, (outcome.disposition == Disposition::Reject).into());
        }
        let Some(endpoint) = packet.endpoint else { return };
        let counters = self.endpoint(endpoint);
        raise(&mut counters.received, 1);
        raise(&mut counters.forwarded, is_forwarded.into());
        raise(&mut counters.bytes, u64::try_from(packet.inner_len).unwrap_or(u64::MAX));
    }

    pub(super) fn count_alerts(&mut self, events: &[Event]) {
        let alerts = events.iter().filter(|event| matches!(event.what, EventKind::Alert(_)));
        raise(&mut self.alerts, u64::try_from(alerts.count()).unwrap_or(u64::MAX));
    }

    /// Adds what the engine has counted since its counters stood at `before`.
    pub(super) fn add_counters(
        &mut self,
        (before, flows_before): &(Counters, FlowCounters),
        after: &Counters,
        flows_after: &FlowCounters,
    ) {
        for class in Exception::ALL {
            let count = after.exceptions(class).wrapping_sub(before.exceptions(class));
            if count > 0 {
                raise(self.exceptions.entry(class).or_default(), count);
            }
        }
        raise(&mut self.flows, flows_after.created.wrapping_sub(flows_before.created));
        let refused = |counters: &FlowCounters| {
            let FlowCounters { refused_full, refused_quota, refused_endpoints, .. } = *counters;
            let causes = [refused_full, refused_quota, refused_endpoints];
            causes.into_iter().fold(counters.refused_collisions, u64::wrapping_add)
        };
        let refused = refused(flows_after).wrapping_sub(refused(flows_before));
        raise(&mut self.flows_refused, refused);
    }

    fn endpoint(&mut self, id: EndpointId) -> &mut EndpointCounters {
        if self.endpoints.len() < Self::MOST_ENDPOINTS || self.endpoints.contains_key(&id) {
            self.endpoints.entry(id).or_default()
        } else {
            &mut self.further_endpoints
        }
    }
}

pub(super) fn raise(counter: &mut u64, by: u64) {
    *counter = counter.wrapping_add(by);
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let row = |f: &mut fmt::Formatter<'_>, name: &str, count: u64| {
            writeln!(f, "{name:<40} {count:>12}")
        };
        let unless_zero = |f: &mut fmt::Formatter<'_>, name: &str, count: u64| match count {
            0 => Ok(()),
            count => row(f, name, count),
        };
        row(f, "packets in the file", self.frames.all())?;
        unless_zero(f, "  unreadable", self.frames.unreadable)?;
        row(f, "  not GENEVE", self.frames.other)?;
        row(f, "received", self.received)?;
        row(f, "forwarded", self.forwarded)?;
        unless_zero(f, "  edited", self.edited)?;
        unless_zero(f, "  would not have been", self.would)?;
        row(f, "dropped", self.dropped())?;
        for (reason, count) in &self.dropped {
            row(f, &format!("  {reason}"), *count)?;
        }
        row(f, "rejected (of those dropped)", self.rejected)?;
        row(f, "injected", self.injected)?;
        unless_zero(f, "not sent: too long", self.send_failed)?;
        for (n, (class, count)) in self.exceptions.iter().enumerate() {
            if n == 0 {
                writeln!(f, "exceptions")?;
            }
            row(f, &format!("  {class}"), *count)?;
        }
        row(f, "flows", self.flows)?;
        unless_zero(f, "  without room", self.flows_refused)?;
        write!(f, "{:<40} {:>12}", "alerts", self.alerts)?;
        if !self.endpoints.is_empty() {
            let [endpoint, received, forwarded, bytes] =
                ["endpoint", "received", "forwarded", "inner bytes"];
            write!(f, "\n\n{endpoint:<27} {received:>12} {forwarded:>12} {bytes:>14}")?;
        }
        let further = (self.further_endpoints.received > 0)
            .then(|| ("further endpoints".to_string(), &self.further_endpoints));
        let endpoints = self.endpoints.iter().map(|(id, counters)| (id.to_string(), counters));
        for (name, counters) in endpoints.chain(further) {
            let EndpointCounters { received, forwarded, bytes } = counters;
            write!(f, "\n{name:<27} {received:>12} {forwarded:>12} {bytes:>14}")?;
        }
        Ok(())
    }
}
