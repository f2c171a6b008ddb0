use alloc::boxed::Box;
use alloc::sync::Arc;
use alloc::vec::Vec;

use super::super::{
    ApplicationProtocol, BitAction, Buffer, Condition, CrossBit, DetectionFilter, FlowBytes,
    FlowCondition, Protocol, Rule, RuleAction, RuleId, Threshold, Transform,
};
use super::Program;
use crate::Side;
use crate::inspect::AlertRule;

/// A rule made ready: what is asked of it again and again.
#[derive(Debug)]
pub(in super::super) struct Ready {
    pub(in super::super) id: RuleId,
    pub(in super::super) action: RuleAction,
    /// Which of the ends of the set.
    pub(in super::super) ends: u32,
    pub(in super::super) flow: FlowCondition,
    /// What its flow has to speak.
    pub(in super::super) application: Option<ApplicationProtocol>,
    pub(in super::super) conditions: Box<[Condition]>,
    pub(in super::super) flow_bits: Box<[NumberedBits]>,
    pub(in super::super) cross_bits: Box<[(u32, CrossBit)]>,
    pub(in super::super) groups: Box<[ReadyGroup]>,
    /// How many numbers it takes from bytes.
    pub(in super::super) numbers: usize,
    /// Whether it looks at nothing but addresses.
    pub(in super::super) is_about_ends: bool,
    /// Whether what it looks at comes with more than one message, or grows: what does not hold yet may hold later.
    pub(in super::super) is_lasting: bool,
    pub(in super::super) threshold: Option<Threshold>,
    /// Whether alerts of it between some addresses are not told.
    pub(in super::super) may_be_suppressed: bool,
    pub(in super::super) detection_filter: Option<DetectionFilter>,
    pub(in super::super) is_silent: bool,
    /// What alerts say.
    pub(in super::super) told: Arc<AlertRule>,
}

impl Ready {
    /// Whether it keeps packets from their receivers.
    pub(in super::super) const fn refuses(&self) -> bool {
        self.action.is_refusal()
    }

    /// Whether what becomes of packets may depend on it: also by bits that others ask for.
    pub(in super::super) fn decides(&self) -> bool {
        self.action != RuleAction::Alert
            || !self.flow_bits.is_empty()
            || !self.cross_bits.is_empty()
    }

    /// Whether it is about nothing but the ends of a flow: all of it is the same to it.
    pub(in super::super) fn is_plain(&self) -> bool {
        self.groups.is_empty() && self.conditions.is_empty()
    }
}

/// What is asked of one buffer.
#[derive(Debug)]
pub(in super::super) struct ReadyGroup {
    pub(in super::super) buffer: Buffer,
    pub(in super::super) transforms: Box<[Transform]>,
    pub(in super::super) program: Program,
}

/// Bits of a flow by their numbers.
#[derive(Debug)]
pub(in super::super) struct NumberedBits {
    pub(in super::super) action: BitAction,
    pub(in super::super) bits: Box<[u32]>,
}

/// Where a rule looks, and when.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(in super::super) struct Looks {
    /// At packets of TCP, of UDP, and of other protocols.
    pub(in super::super) tcp_packets: bool,
    pub(in super::super) udp_packets: bool,
    pub(in super::super) other_packets: bool,
    pub(in super::super) stream: bool,
    pub(in super::super) messages: bool,
    /// At the first packet of each side, by its ends alone.
    pub(in super::super) ends: bool,
}

impl Looks {
    pub(in super::super) fn of(rule: &Rule) -> Self {
        let payloads = rule.groups.iter().filter(|group| group.buffer == Buffer::Payload);
        let has_messages = rule.groups.iter().any(|group| group.buffer != Buffer::Payload);
        if has_messages {
            return Self { messages: true, ..Self::default() };
        }
        let protocol = rule.header.protocol;
        if rule.groups.is_empty() {
            if matches!(protocol, Protocol::Application(_)) {
                return Self { messages: true, ..Self::default() };
            }
            if is_about_ends_alone(rule) {
                return Self { ends: true, ..Self::default() };
            }
        }
        let is_any = matches!(
            protocol,
            Protocol::Ip | Protocol::Ipv4 | Protocol::Ipv6 | Protocol::PacketHeader
        );
        let application = match protocol {
            Protocol::Application(it) => Some(it),
            _ => None,
        };
        let is_tcp = is_any
            || application.is_some()
            || matches!(protocol, Protocol::Tcp | Protocol::TcpPacket | Protocol::TcpStream);
        let is_udp =
            is_any || protocol == Protocol::Udp || application == Some(ApplicationProtocol::Dns);
        let is_other = is_any
            || matches!(
                protocol,
                Protocol::Icmp | Protocol::Icmpv4 | Protocol::Icmpv6 | Protocol::Sctp
            );
        let is_sized = rule.conditions.iter().any(|it| matches!(it, Condition::PayloadSize(_)));
        let only_packets = rule.groups.is_empty()
            || protocol == Protocol::TcpPacket
            || rule.flow.bytes == Some(FlowBytes::NoStream)
            || is_sized;
        let only_stream =
            protocol == Protocol::TcpStream || rule.flow.bytes == Some(FlowBytes::OnlyStream);
        // A place that is counted from the beginning means that of a packet, too.
        let is_placed = payloads.flat_map(|group| &group.items).any(|item| match item {
            super::super::Detection::Content(content) => {
                content.offset.is_some() || content.depth.is_some() || content.starts_with
            }
            _ => false,
        });
        Self {
            tcp_packets: is_tcp && !only_stream && (only_packets || is_placed),
            stream: is_tcp && !only_packets,
            udp_packets: is_udp && !only_stream,
            other_packets: is_other && !only_stream,
            messages: false,
            ends: false,
        }
    }
}

/// Whether nothing is asked but addresses: a flow that has them has them in every packet.
fn is_about_ends_alone(rule: &Rule) -> bool {
    let header = &rule.header;
    let is_any =
        |ports: &super::super::PortExpression| matches!(ports, super::super::PortExpression::Any);
    is_any(&header.source.ports)
        && is_any(&header.destination.ports)
        && rule.conditions.is_empty()
        && rule.flow == FlowCondition::default()
        && rule.flow_bits.is_empty()
        && rule.cross_bits.is_empty()
}

/// Which side's packets and messages a rule is about; both where it does not say. Empty where it never holds.
pub(in super::super) fn sides_of(rule: &Rule) -> Vec<Side> {
    let mut sides: Vec<Side> = Side::ALL.into();
    if let Some(sender) = rule.flow.sender {
        sides.retain(|side| *side == sender);
    }
    for group in &rule.groups {
        if let Some(sender) = group.buffer.sender() {
            sides.retain(|side| *side == sender);
        }
    }
    sides
}

/// Which of the messages of a transaction has it: heads are before bodies, hellos before certificates.
pub(in super::super) const fn stage_of(buffer: Buffer) -> u8 {
    match buffer {
        Buffer::HttpRequestBody | Buffer::HttpResponseBody | Buffer::FileData => 2,
        Buffer::TlsCertificateSubject
        | Buffer::TlsCertificateIssuer
        | Buffer::TlsCertificateSerial
        | Buffer::TlsCertificateFingerprint
        | Buffer::TlsCertificates => 1,
        _ => 0,
    }
}

/// The protocol that a rule's flow has to speak.
pub(in super::super) fn application_of(rule: &Rule) -> Option<ApplicationProtocol> {
    match rule.header.protocol {
        Protocol::Application(protocol) => Some(protocol),
        _ => rule.groups.iter().find_map(|group| group.buffer.protocol()),
    }
}

/// For a buffer that grows, what is made of it is not known before it is whole.
pub(in super::super) fn needs_whole(group: &ReadyGroup) -> bool {
    group.program.needs_end || !group.transforms.is_empty()
}
