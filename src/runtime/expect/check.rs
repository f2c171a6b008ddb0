use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;

use super::{
    End, Expectations, ExpectedAlert, ExpectedFlow, ExpectedPackets, RangeInclusive, Table, Unmet,
};
use crate::engine::{Disposition, Event, EventKind, Outcome};
use crate::flow::PacketFlow;
use crate::inspect::Alert;
use crate::packet::FiveTuple;
use crate::runtime::{JudgedPacket, Report};

/// A check under way: what has been seen of each expectation.
pub(super) struct Check<'e> {
    expectations: &'e Expectations,
    packets: Vec<SeenPackets>,
    flows: Vec<SeenFlow>,
    alerts: Vec<u64>,
}

/// The same of what no packet brings about.
pub(super) struct Others<'e> {
    expected: &'e [ExpectedAlert],
    alerts: Vec<u64>,
}

#[derive(Clone, Default)]
struct SeenPackets {
    hits: u64,
    /// The first packet that was not as expected, and how.
    wrong: Option<(u64, String, String)>,
    further: u64,
}

#[derive(Clone, Default)]
struct SeenFlow {
    packets: u64,
    forwarded: u64,
    /// What was done with the first packet that was not sent back, and its number.
    refused: Option<(Outcome, u64)>,
}

impl<'e> Check<'e> {
    pub(super) fn new(expectations: &'e Expectations) -> Self {
        Self {
            packets: alloc::vec![SeenPackets::default(); expectations.packets.len()],
            flows: alloc::vec![SeenFlow::default(); expectations.flows.len()],
            alerts: alloc::vec![0; expectations.alerts.len()],
            expectations,
        }
    }

    pub(super) fn see(&mut self, packet: &JudgedPacket<'_>) {
        let Self { expectations, packets, flows, alerts } = self;
        let number = packet.number;
        for (expected, seen) in expectations.packets.iter().zip(packets) {
            if !expected.numbers.iter().any(|range| range.contains(&number)) {
                continue;
            }
            seen.hits = seen.hits.saturating_add(1);
            match (expected.mistake(packet), &seen.wrong) {
                (None, _) => {}
                (Some((should, is)), None) => seen.wrong = Some((number, should, is)),
                (Some(_), Some(_)) => seen.further = seen.further.saturating_add(1),
            }
        }
        if !flows.is_empty() {
            if let Some(flow) = packet.flow() {
                for (expected, seen) in expectations.flows.iter().zip(flows) {
                    if expected.takes(&flow) {
                        seen.see(packet);
                    }
                }
            }
        }
        for (expected, count) in expectations.alerts.iter().zip(alerts) {
            let told = told(packet).filter(|alert| expected.takes(Some(number), alert)).count();
            *count = count.saturating_add(u64::try_from(told).unwrap_or(u64::MAX));
        }
    }

    pub(super) fn finish(self, others: Others<'_>, report: &Report) -> Vec<Unmet> {
        let Self { expectations, packets, flows, alerts } = self;
        let mut unmet = Vec::new();
        for (line, count, expected) in &expectations.counts {
            let found = count.of(report);
            if found != *expected {
                unmet.push(number(*line, count.name().into(), *expected, found));
            }
        }
        if let Some(table) = &expectations.dropped {
            let found = report.dropped.iter().map(|(reason, count)| (reason.name(), *count));
            table.compare("dropped", found, &mut unmet);
        }
        if let Some(table) = &expectations.exceptions {
            let found = report.exceptions.iter().map(|(class, count)| (class.name(), *count));
            table.compare("exceptions", found, &mut unmet);
        }
        for (expected, seen) in expectations.packets.iter().zip(packets) {
            unmet.extend(expected.unmet(seen));
        }
        for (expected, seen) in expectations.flows.iter().zip(flows) {
            expected.unmet(&seen, &mut unmet);
        }
        for ((expected, count), further) in
            expectations.alerts.iter().zip(alerts).zip(others.alerts)
        {
            unmet.extend(expected.unmet(count.saturating_add(further)));
        }
        unmet.sort_by_key(|unmet| unmet.line);
        unmet
    }
}

impl<'e> Others<'e> {
    pub(super) fn new(expectations: &'e Expectations) -> Self {
        let expected = &*expectations.alerts;
        Self { expected, alerts: alloc::vec![0; expected.len()] }
    }

    pub(super) fn see(&mut self, event: &Event) {
        let EventKind::Alert(alert) = &event.what else { return };
        for (expected, count) in self.expected.iter().zip(&mut self.alerts) {
            *count = count.saturating_add(u64::from(expected.takes(None, alert)));
        }
    }
}

fn told<'a>(packet: &JudgedPacket<'a>) -> impl Iterator<Item = &'a Alert> + use<'a> {
    packet.events().filter_map(|event| match &event.what {
        EventKind::Alert(alert) => Some(alert),
        _ => None,
    })
}

fn number(line: usize, subject: String, expected: u64, found: u64) -> Unmet {
    Unmet { line, subject, expected: expected.to_string(), found: found.to_string() }
}

impl Table {
    fn compare<'a>(
        &self,
        name: &str,
        found: impl Iterator<Item = (&'a str, u64)>,
        unmet: &mut Vec<Unmet>,
    ) {
        let found: Vec<_> = found.collect();
        for (line, key, expected) in &self.rows {
            let count = found.iter().find(|(known, _)| known == key).map_or(0, |(_, n)| *n);
            if count != *expected {
                unmet.push(number(*line, format!("{name}.{key}"), *expected, count));
            }
        }
        for (key, count) in found {
            if count > 0 && !self.rows.iter().any(|(_, known, _)| known == key) {
                unmet.push(number(self.line, format!("{name}.{key}"), 0, count));
            }
        }
    }
}

impl ExpectedPackets {
    /// What should have become of a packet and what became of it, where that is not the same.
    fn mistake(&self, packet: &JudgedPacket<'_>) -> Option<(String, String)> {
        let outcome = &packet.outcome;
        let mut differences = Vec::new();
        if let Some(verdict) = self.verdict {
            if verdict != outcome.disposition {
                differences.push((verdict.name().into(), outcome.to_string()));
            }
        }
        if let Some(reason) = &self.reason {
            let found = outcome.reason.name();
            if reason != found {
                differences.push((format!("reason {reason:?}"), format!("{found:?}")));
            }
        }
        if let Some(exception) = self.exception {
            if exception != outcome.exception {
                let name = |class: Option<_>| class.map_or("", crate::inspect::Exception::name);
                let (expected, found) = (name(exception), name(outcome.exception));
                differences.push((format!("exception {expected:?}"), format!("{found:?}")));
            }
        }
        if let Some(would) = self.would {
            if Some(would) != outcome.would {
                differences.push((format!("would {would}"), outcome.to_string()));
            }
        }
        if let Some(alerts) = &self.alerts {
            let mut expected: Vec<&str> = alerts.iter().map(String::as_str).collect();
            let mut found: Vec<&str> = told(packet).map(|alert| &*alert.name).collect();
            expected.sort_unstable();
            found.sort_unstable();
            if expected != found {
                differences.push((format!("alerts {expected:?}"), format!("{found:?}")));
            }
        }
        let (expected, found): (Vec<String>, Vec<String>) = differences.into_iter().unzip();
        (!expected.is_empty()).then(|| (expected.join(", "), found.join(", ")))
    }

    fn unmet(&self, seen: SeenPackets) -> Option<Unmet> {
        let SeenPackets { hits, wrong, further } = seen;
        if let Some((number, expected, mut found)) = wrong {
            if further > 0 {
                found.push_str(&format!("; {further} more are not as expected"));
            }
            return Some(Unmet {
                line: self.line,
                subject: format!("packet {number}"),
                expected,
                found,
            });
        }
        let len = |range: &RangeInclusive<u64>| range.end().saturating_sub(*range.start());
        let lens = self.numbers.iter().map(|range| len(range).saturating_add(1));
        let all = lens.fold(0, u64::saturating_add);
        (hits < all).then(|| Unmet {
            line: self.line,
            subject: match self.numbers.as_slice() {
                [one] if len(one) == 0 => format!("packet {}", one.start()),
                _ => "packets".into(),
            },
            expected: format!("{all} GENEVE packets of these numbers"),
            found: hits.to_string(),
        })
    }
}

impl ExpectedFlow {
    fn takes(&self, flow: &PacketFlow) -> bool {
        let tuple = flow.key.five_tuple(flow.direction);
        self.endpoint.is_none_or(|endpoint| endpoint == flow.key.endpoint())
            && self.protocol.is_none_or(|protocol| protocol == tuple.protocol)
            && (self.goes(&tuple) || self.goes(&tuple.reversed()))
    }

    fn goes(&self, tuple: &FiveTuple) -> bool {
        let ports = tuple.ports;
        self.from.is(tuple.source(), ports.map(|ports| ports.source))
            && self.to.is(tuple.destination(), ports.map(|ports| ports.destination))
    }

    fn unmet(&self, seen: &SeenFlow, unmet: &mut Vec<Unmet>) {
        let subject = || format!("flow {} > {}", self.from, self.to);
        let line = self.line;
        if seen.packets == 0 && self.packets != Some(0) {
            let (expected, found) = ("packets of it".into(), "none".into());
            return unmet.push(Unmet { line, subject: subject(), expected, found });
        }
        let refused = seen.refused.as_ref();
        let disposition = refused.map_or(Disposition::Forward, |(it, _)| it.disposition);
        let reason = refused.map_or("", |(outcome, _)| outcome.reason.name());
        let is_right = match self.verdict {
            None => true,
            // That some of its packets are edited says that it is sent back.
            Some(Disposition::Forward | Disposition::ForwardEdited) => refused.is_none(),
            Some(verdict) => verdict == disposition,
        };
        if !is_right || self.reason.as_deref().is_some_and(|expected| expected != reason) {
            let verdict = self.verdict.map(|verdict| verdict.name().to_string());
            let why = self.reason.as_ref().map(|reason| format!("reason {reason:?}"));
            let expected: Vec<String> = verdict.into_iter().chain(why).collect();
            let found = match refused {
                None => "all its packets forwarded".into(),
                Some((outcome, number)) => format!("{outcome} at packet {number}"),
            };
            let expected = expected.join(", ");
            unmet.push(Unmet { line, subject: subject(), expected, found });
        }
        for (what, expected, found) in
            [("packets", self.packets, seen.packets), ("forwarded", self.forwarded, seen.forwarded)]
        {
            if let Some(expected) = expected.filter(|expected| *expected != found) {
                unmet.push(number(line, format!("{}, {what}", subject()), expected, found));
            }
        }
    }
}

impl SeenFlow {
    fn see(&mut self, packet: &JudgedPacket<'_>) {
        self.packets = self.packets.saturating_add(1);
        if packet.outcome.disposition.is_forward() {
            self.forwarded = self.forwarded.saturating_add(1);
        } else if self.refused.is_none() {
            self.refused = Some((packet.outcome, packet.number));
        }
    }
}

impl End {
    fn is(&self, address: core::net::IpAddr, port: Option<u16>) -> bool {
        self.address == address && (self.port.is_none() || self.port == port)
    }
}

impl core::fmt::Display for End {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        match self.port {
            None => write!(f, "{}", self.address),
            Some(port) => write!(f, "{}", core::net::SocketAddr::new(self.address, port)),
        }
    }
}

impl ExpectedAlert {
    fn takes(&self, packet: Option<u64>, alert: &Alert) -> bool {
        self.packet.is_none_or(|expected| expected == packet)
            && self.name.as_deref().is_none_or(|name| name == alert.name)
            && self.message.as_deref().is_none_or(|part| alert.message.contains(part))
            && self.severity.is_none_or(|severity| severity == alert.severity)
    }

    fn unmet(&self, count: u64) -> Option<Unmet> {
        let is_met = self.count.map_or(count > 0, |expected| expected == count);
        let name = self.name.as_deref().map(|name| format!(" {name}")).unwrap_or_default();
        (!is_met).then(|| Unmet {
            line: self.line,
            subject: format!("alert{name}"),
            expected: self.count.map_or("one or more like it".into(), |count| count.to_string()),
            found: count.to_string(),
        })
    }
}
