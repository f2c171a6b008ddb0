//! What a runtime asks of an engine beside judging.

use alloc::vec::Vec;
use core::net::Ipv4Addr;

use super::limit::RateLimit;
use super::sweep::{NOT_SWEPT, SWEEP};
use super::{Datagram, Disposition, Engine, Outcome, Output, Settings};
use crate::flow::FlowKey;
use crate::geneve::{Builder, TunnelOption};
use crate::gwlb::{EndpointId, Envelope, Outer, ProfileOption};
use crate::inspect::{Exception, Inspector, Reason, Rewriter};
use crate::packet::{Addresses, Checksum, FiveTuple, IpProtocol};
use crate::{EtherType, Timestamp};

impl<I: Inspector, R: Rewriter> Engine<I, R> {
    /// [`expire`](Self::expire) in small portions, so that no packet waits for long: looks at 256 flows at most. Says
    /// whether there may be more to do.
    pub fn expire_some(&mut self, now: Timestamp, output: &mut Output) -> bool {
        output.clear();
        let Self { table, panel, .. } = self;
        let events = &mut output.events;
        if table.is_empty() {
            return false;
        }
        let looked_at = table.expire(now, SWEEP, &mut |flow| panel.ended(flow, now, events));
        self.swept = NOT_SWEPT;
        self.account(output);
        looked_at >= SWEEP
    }

    /// The outcome for a datagram whose worker has no room for it: dropped, as a full socket would, since its flow may be one
    /// that was refused. It is counted as received, and no flow learns of it.
    pub fn shed(&mut self, datagram: &Datagram<'_>) -> Outcome {
        const REASON: Reason = Reason::new("hand-over-full");

        let envelope = Envelope::parse(datagram.payload(), &self.settings.profile);
        let outcome = match envelope {
            Ok(envelope) => {
                let refused = Outcome::refused(Disposition::Drop, REASON);
                self.or_would(refused, Some(envelope.endpoint()))
            }
            Err(error) => {
                let class = Exception::MalformedEnvelope;
                let treatment = self.exception(class, None);
                self.settle(class, treatment, Reason::new(error.reason()), None)
            }
        };
        let counters = &mut self.counters;
        counters.received = counters.received.wrapping_add(1);
        if outcome.disposition.is_forward() {
            counters.forwarded = counters.forwarded.wrapping_add(1);
            counters.would = counters.would.wrapping_add(outcome.would.is_some().into());
        } else {
            counters.count_drop(outcome.reason);
        }
        outcome
    }

    /// Judges a packet of its own to see whether packets are judged: an ICMP error about a flow that there is not. Says
    /// whether it had the outcome that it must have.
    ///
    /// It is taken apart, its flow is looked for, and its outcome settled as any packet's is. No inspector is asked,
    /// no flow begins, and nothing of it is counted. Flows whose time is over end, as they do with any packet;
    /// `output` then holds what came of that.
    pub fn canary(&mut self, now: Timestamp, output: &mut Output) -> bool {
        let mut buffer = [0; CANARY_LEN];
        // Through an endpoint that nobody can guess, so that nobody can make it find a flow.
        let addresses = Addresses::V4 { source: CLIENT.into(), destination: SERVER.into() };
        let tuple = FiveTuple { addresses, protocol: IpProtocol::UDP, ports: None };
        let (key, _) = FlowKey::new(EndpointId(now.as_nanos()), &tuple);
        let endpoint = EndpointId(self.settings.seed.hash(&key));
        let Some(len) = write_canary(&self.settings, endpoint, &mut buffer) else { return false };
        let outer = Outer::new((Ipv4Addr::LOCALHOST, 0), (Ipv4Addr::LOCALHOST, 0));
        let (counters, icmp_errors) = (self.counters.clone(), self.icmp_errors);
        self.judge_burst(&mut [Datagram::with_room(now, outer, &mut buffer, len)], output);
        (self.counters, self.icmp_errors) = (counters, icmp_errors);
        let outcome = output.outcomes.pop();
        outcome.and_then(|outcome| outcome.exception).is_some_and(|exception| {
            matches!(exception, Exception::UnknownIcmpError | Exception::UnknownEndpoint)
        })
    }

    /// Takes over from `settings` what can be changed under way, at once and for all flows; the rest stays as it is:
    /// see [`Settings::fixed`].
    pub fn configure(&mut self, settings: &Settings) {
        if settings.answers_per_second != self.settings.answers_per_second {
            self.answers = RateLimit::new(settings.answers_per_second);
        }
        if settings.icmp_errors_per_second != self.settings.icmp_errors_per_second {
            self.icmp_errors = RateLimit::new(settings.icmp_errors_per_second);
        }
        self.asks_otherwise = settings.budget.is_some();
        #[cfg(feature = "faults")]
        {
            self.asks_otherwise |= self.faults != super::Faults::default();
        }
        if settings.quotas() != self.settings.quotas() {
            self.table.set_quotas(settings.quotas());
        }
        self.settings = settings.clone().with_fixed(&self.settings);
    }
}

impl Settings {
    /// The names of the fields that differ from `other` and that an engine cannot
    /// [change](Engine::configure) under way: what its tables are made with. Seeds are not compared.
    pub fn fixed(&self, other: &Self) -> Vec<&'static str> {
        let fields = [
            ("profile", self.profile == other.profile),
            ("flows", self.flows == other.flows),
            ("timeouts", self.timeouts == other.timeouts),
            ("fragments", self.fragments == other.fragments),
            ("fragments_per_endpoint", self.fragments_per_endpoint == other.fragments_per_endpoint),
            ("streams", self.streams == other.streams),
            ("defrag", self.defrag == other.defrag),
            ("messages", self.messages == other.messages),
            ("message_bytes", self.message_bytes == other.message_bytes),
            (
                "message_bytes_per_endpoint",
                self.message_bytes_per_endpoint == other.message_bytes_per_endpoint,
            ),
            ("groups", self.groups == other.groups),
        ];
        fields.into_iter().filter(|(_, is_same)| !is_same).map(|(name, _)| name).collect()
    }

    /// These settings, but with those of `other` that cannot be [changed under way](Self::fixed), its seed among them.
    #[must_use]
    pub fn with_fixed(self, other: &Self) -> Self {
        let Self { policy, monitor, endpoints, checksums, mss, .. } = self;
        let Self { answers_per_second, icmp_answers, icmp_errors_per_second, .. } = self;
        let Self { capture_alerts, budget, unhealthy_after, .. } = self;
        Self {
            policy,
            monitor,
            endpoints,
            checksums,
            mss,
            answers_per_second,
            icmp_answers,
            icmp_errors_per_second,
            capture_alerts,
            budget,
            unhealthy_after,
            ..other.clone()
        }
    }
}

/// GENEVE header with its options, IPv4, ICMP, and what that quotes: IPv4 and UDP.
const CANARY_LEN: usize = 40 + 20 + 8 + 20 + 8;

/// Addresses that are nobody's (RFC 5737).
const CLIENT: [u8; 4] = [192, 0, 2, 1];
const SERVER: [u8; 4] = [192, 0, 2, 2];

fn write_canary(settings: &Settings, endpoint: EndpointId, buffer: &mut [u8]) -> Option<usize> {
    let option = |option, data| {
        let profile = &settings.profile;
        TunnelOption::new(profile.class(), profile.option_type(option), data).ok()
    };
    let endpoint = endpoint.0.to_be_bytes();
    let options = [
        option(ProfileOption::Endpoint, &endpoint)?,
        option(ProfileOption::Attachment, &[0; 8])?,
        option(ProfileOption::Cookie, &[0; 4])?,
    ];
    let header = Builder::new(EtherType::IPV4).options(options).build_into(buffer).ok()?;

    let quoted = ipv4(17, 8, CLIENT, SERVER);
    let mut icmp = [0; 36];
    icmp[0] = 3;
    icmp.get_mut(8..28)?.copy_from_slice(&quoted);
    icmp.get_mut(28..)?.copy_from_slice(&[0, 9, 0, 9, 0, 8, 0, 0]);
    let [a, b] = Checksum::of(&icmp).to_be_bytes();
    (icmp[2], icmp[3]) = (a, b);
    let end = header.checked_add(56)?;
    let packet = buffer.get_mut(header..end)?;
    let (ip, upper) = packet.split_at_mut_checked(20)?;
    ip.copy_from_slice(&ipv4(1, 36, SERVER, CLIENT));
    upper.copy_from_slice(&icmp);
    Some(end)
}

/// An IPv4 header before so many bytes of a protocol.
fn ipv4(protocol: u8, len: u8, source: [u8; 4], destination: [u8; 4]) -> [u8; 20] {
    let ([a, b, c, d], [e, f, g, h]) = (source, destination);
    let total = len.saturating_add(20);
    let mut header = [0x45, 0, 0, total, 0, 0, 0, 0, 64, protocol, 0, 0, a, b, c, d, e, f, g, h];
    [header[10], header[11]] = Checksum::of(&header).to_be_bytes();
    header
}
