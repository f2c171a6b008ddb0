use alloc::vec::Vec;

use super::header::{Header, Way};
use super::icmp::IcmpKind;
use super::json::Json;
use super::{Eve, EveTypes};
use crate::Timestamp;
use crate::engine::{Datagram, Event, EventKind, Outcome, Output, Settings};
use crate::flow::{Direction, FlowKey};
use crate::gwlb::Envelope;
use crate::inspect::{Alert, AlertRule, Exception, ParsedPacket, Severity};
use crate::packet::{FiveTuple, IpPacket, TcpFlags, Transport};

/// Records what became of packets that did not simply pass: alerts, drops, and what could not be judged.
#[derive(Debug)]
pub struct EventRecorder {
    eve: Eve,
    line: Vec<u8>,
    now: Timestamp,
}

impl EventRecorder {
    /// One that records to `eve` what its settings say.
    pub fn new(eve: Eve) -> Self {
        Self { eve, line: Vec::new(), now: Timestamp::EPOCH }
    }

    /// Datagrams were judged; or none were, and something happened all the same.
    pub fn judged(&mut self, datagrams: &[Datagram<'_>], output: &Output, settings: &Settings) {
        if let Some(last) = datagrams.last() {
            self.now = self.now.max(last.time());
        }
        for (place, (datagram, outcome)) in datagrams.iter().zip(output.outcomes()).enumerate() {
            if !outcome.disposition.is_forward() || outcome.exception.is_some() {
                self.outcome(place, datagram, outcome, settings);
            }
        }
        for event in output.events() {
            let place = event.datagram;
            let datagram = place.and_then(|place| datagrams.get(place));
            let outcome = place.and_then(|place| output.outcomes().get(place));
            self.event(event, datagram, outcome, settings);
        }
    }

    /// Records counters, in groups: names and numbers.
    pub fn stats(&mut self, now: Timestamp, uptime: u64, groups: &[(&str, &[(&str, u64)])]) {
        if !self.eve.settings().types.contains(EveTypes::STATS) {
            return;
        }
        let (written, dropped) = (self.eve.written(), self.eve.dropped());
        self.record((now, None), "stats", None, None, |json| {
            json.object("stats");
            json.number("uptime", uptime);
            for (group, counters) in groups {
                json.object(group);
                for (name, count) in *counters {
                    json.number(name, *count);
                }
                json.end_object();
            }
            json.object("eve");
            json.number("written", written);
            json.number("dropped", dropped);
            json.end_object();
            json.end_object();
        });
    }

    fn outcome(
        &mut self,
        place: usize,
        datagram: &Datagram<'_>,
        outcome: &Outcome,
        settings: &Settings,
    ) {
        let types = self.eve.settings().types;
        let envelope = Envelope::parse(datagram.payload(), &settings.profile).ok();
        let parsed = envelope.and_then(|it| ParsedPacket::of(it, &settings.groups).ok());
        let way = envelope.as_ref().map(Way::of);
        let flow = parsed.as_ref().map(|parsed| {
            let flow = parsed.flow();
            (flow.key, flow.key.five_tuple(flow.direction))
        });
        let icmp = parsed.as_ref().and_then(|parsed| IcmpKind::of(&parsed.transport));
        if !outcome.disposition.is_forward() && types.contains(EveTypes::DROP) {
            let packet = parsed.as_ref().map(|parsed| (&parsed.ip, &parsed.transport));
            self.record((datagram.time(), Some(place)), "drop", flow, way, |json| {
                IcmpKind::write(icmp, json);
                json.object("drop");
                if let Some((ip, transport)) = packet {
                    headers(ip, transport, json);
                }
                json.text("reason", outcome.reason.name());
                json.end_object();
            });
        }
        if let (Some(class), true) = (outcome.exception, types.contains(EveTypes::ANOMALY)) {
            let moment = (datagram.time(), Some(place));
            self.record(moment, "anomaly", flow, way, |json| {
                IcmpKind::write(icmp, json);
                anomaly(class, json);
            });
        }
    }

    /// Records something that happened, on account of a datagram or of none.
    pub fn event(
        &mut self,
        event: &Event,
        datagram: Option<&Datagram<'_>>,
        outcome: Option<&Outcome>,
        settings: &Settings,
    ) {
        let types = self.eve.settings().types;
        let payload = datagram.map(Datagram::payload);
        let envelope = payload.and_then(|it| Envelope::parse(it, &settings.profile).ok());
        let parsed = envelope.and_then(|it| ParsedPacket::of(it, &settings.groups).ok());
        let way = match &envelope {
            Some(envelope) => Way::of(envelope),
            None => Way { endpoint: event.endpoint, envelope: None },
        };
        let icmp = parsed.as_ref().and_then(|parsed| IcmpKind::of(&parsed.transport));
        let direction = parsed.map_or(Direction::Forward, |parsed| parsed.flow().direction);
        let flow = Some((event.flow, event.flow.five_tuple(direction)));
        let now = (datagram.map_or(self.now, Datagram::time), event.datagram);
        match &event.what {
            EventKind::Alert(found) if types.contains(EveTypes::ALERT) => {
                let is_blocked = outcome.is_some_and(|it| !it.disposition.is_forward());
                self.record(now, "alert", flow, Some(way), |json| {
                    IcmpKind::write(icmp, json);
                    alert(found, is_blocked, json);
                });
            }
            // Told with its packet already, where that is so.
            EventKind::Exception(class, _)
                if types.contains(EveTypes::ANOMALY)
                    && outcome.and_then(|outcome| outcome.exception) != Some(*class) =>
            {
                self.record(now, "anomaly", flow, Some(way), |json| {
                    IcmpKind::write(icmp, json);
                    anomaly(*class, json);
                });
            }
            _ => {}
        }
    }

    fn record(
        &mut self,
        (time, datagram): (Timestamp, Option<usize>),
        event_type: &'static str,
        flow: Option<(FlowKey, FiveTuple)>,
        way: Option<Way>,
        write: impl FnOnce(&mut Json<'_>),
    ) {
        self.line.clear();
        let mut json = Json::new(&mut self.line);
        let flow = flow.as_ref().map(|(key, tuple)| (key, *tuple));
        let has_packet = way.is_some_and(|way| way.envelope.is_some());
        let frame = self.eve.frame(datagram);
        let name = way.and_then(|way| self.eve.name_of(way.endpoint));
        let header = Header { time, event_type, flow, way, name, frame, has_packet, tx_id: None };
        header.write(&mut json, self.eve.settings(), &mut None);
        write(&mut json);
        json.end_record();
        self.eve.give(&self.line);
    }
}

fn alert(alert: &Alert, is_blocked: bool, json: &mut Json<'_>) {
    json.object("alert");
    json.text("action", if is_blocked { "blocked" } else { "allowed" });
    if let Some(rule) = &alert.rule {
        of_rule(rule, json);
        json.end_object();
        return;
    }
    json.number("gid", 1);
    json.number("signature_id", signature_id(&alert.name));
    json.number("rev", 1);
    json.text("signature", &*alert.name);
    json.text("category", "");
    json.number(
        "severity",
        match alert.severity {
            Severity::Critical => 1,
            Severity::Warning => 2,
            Severity::Notice => 3,
            Severity::Info => 4,
        },
    );
    json.object("metadata");
    json.array("message");
    json.item(&*alert.message);
    json.end_array();
    json.end_object();
    json.end_object();
}

/// What a rule says, and what is said of it: each key of its metadata once, with all its values.
fn of_rule(rule: &AlertRule, json: &mut Json<'_>) {
    json.number("gid", rule.generator.into());
    json.number("signature_id", rule.number.into());
    json.number("rev", rule.revision.into());
    json.text("signature", &rule.signature);
    json.text("category", &rule.category);
    json.number("severity", rule.severity.into());
    if rule.metadata.is_empty() {
        return;
    }
    json.object("metadata");
    for (place, (key, _)) in rule.metadata.iter().enumerate() {
        let is_first = rule.metadata.iter().position(|(other, _)| other == key) == Some(place);
        if is_first {
            json.array(key);
            for (_, value) in rule.metadata.iter().filter(|(other, _)| other == key) {
                json.item(value);
            }
            json.end_array();
        }
    }
    json.end_object();
}

/// A number for a name, the same on every machine: FNV-1a, 31 bits of it.
fn signature_id(name: &str) -> u64 {
    let hash = name
        .bytes()
        .fold(0x811c_9dc5_u32, |hash, byte| (hash ^ u32::from(byte)).wrapping_mul(0x0100_0193));
    u64::from(hash >> 1)
}

fn anomaly(class: Exception, json: &mut Json<'_>) {
    json.object("anomaly");
    json.word(
        "type",
        match class {
            Exception::MalformedEnvelope
            | Exception::MalformedPacket
            | Exception::BadChecksum
            | Exception::OpaqueTunnel
            | Exception::FragmentBeforeFirst
            | Exception::UnknownIcmpError => "decode",
            Exception::Midstream
            | Exception::StreamMemoryFull
            | Exception::OutOfOrderNotStored
            | Exception::SegmentDiscarded => "stream",
            Exception::ProtocolUnparsable => "applayer",
            // Not of the traffic, but of who inspects it.
            _ => "engine",
        },
    );
    json.word("event", class.name());
    json.end_object();
}

/// What the headers of a packet say.
fn headers(ip: &IpPacket<'_>, transport: &Transport<'_>, json: &mut Json<'_>) {
    let number = |number: usize| u64::try_from(number).unwrap_or(u64::MAX);
    json.number("len", number(ip.total_len()));
    json.number("tos", ip.traffic_class().into());
    json.number("ttl", ip.hop_limit().into());
    if let IpPacket::V4(ip) = ip {
        json.number("ipid", ip.identification().into());
    }
    match transport {
        Transport::Tcp(segment) => {
            json.number("tcpseq", segment.sequence_number().into());
            json.number("tcpack", segment.acknowledgment_number().into());
            json.number("tcpwin", segment.window().into());
            for (name, flag) in [
                ("syn", TcpFlags::SYN),
                ("ack", TcpFlags::ACK),
                ("psh", TcpFlags::PSH),
                ("rst", TcpFlags::RST),
                ("urg", TcpFlags::URG),
                ("fin", TcpFlags::FIN),
            ] {
                json.truth(name, segment.flags().contains(flag));
            }
            json.number("tcpurgp", segment.urgent_pointer().into());
        }
        Transport::Udp(datagram) => {
            let len = number(datagram.payload().len()).saturating_add(8);
            json.number("udplen", len);
        }
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rule_is_named_as_suricata_names_it() {
        let found = Alert {
            name: "signatures".into(),
            message: "for people".into(),
            severity: Severity::Warning,
            rule: Some(alloc::sync::Arc::new(AlertRule {
                generator: 1,
                number: 2_000_001,
                revision: 3,
                signature: "TEST \"shell\"".into(),
                category: "Web Application Attack".into(),
                severity: 2,
                metadata: [("tag", "a"), ("cve", "x"), ("tag", "b")]
                    .map(|(key, value)| (key.into(), value.into()))
                    .into(),
            })),
        };
        let mut line = Vec::new();
        let mut json = Json::new(&mut line);
        json.begin();
        alert(&found, true, &mut json);
        json.end_record();
        assert_eq!(
            String::from_utf8_lossy(&line).trim_end(),
            r#"{"alert":{"action":"blocked","gid":1,"signature_id":2000001,"rev":3,"signature":"TEST \"shell\"","category":"Web Application Attack","severity":2,"metadata":{"tag":["a","b"],"cve":["x"]}}}"#
        );
    }
}
