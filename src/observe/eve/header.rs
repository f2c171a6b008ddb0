use alloc::sync::Arc;
use core::hash::{Hash, Hasher};

use super::EveSettings;
use super::json::Json;
use super::stamp;
use crate::Timestamp;
use crate::flow::{CommunityId, FlowKey};
use crate::gwlb::{AttachmentId, EndpointId, Envelope, FlowCookie};
use crate::packet::{Addresses, FiveTuple, IpProtocol};

/// Through what the load balancer sent it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Way {
    pub(super) endpoint: EndpointId,
    /// Attachment and cookie, where there is a packet that names them.
    pub(super) envelope: Option<(AttachmentId, FlowCookie)>,
}

impl Way {
    pub(super) fn of(envelope: &Envelope<'_>) -> Self {
        let named = (envelope.attachment(), envelope.cookie());
        Self { endpoint: envelope.endpoint(), envelope: Some(named) }
    }
}

/// What every record begins with.
pub(super) struct Header<'a> {
    pub(super) time: Timestamp,
    pub(super) event_type: &'static str,
    /// The flow, where there is one, and its ends as they are to be told.
    pub(super) flow: Option<(&'a FlowKey, FiveTuple)>,
    pub(super) way: Option<Way>,
    /// What people call the endpoint.
    pub(super) name: Option<Arc<str>>,
    /// The frame of the capture.
    pub(super) frame: Option<u64>,
    /// Whether it is about a packet.
    pub(super) has_packet: bool,
    pub(super) tx_id: Option<u64>,
}

impl Header<'_> {
    /// `community` is what was found out of the flow before, if anything.
    pub(super) fn write(
        &self,
        json: &mut Json<'_>,
        settings: &EveSettings,
        community: &mut Option<CommunityId>,
    ) {
        json.begin();
        json.stamp("timestamp", self.time);
        if let Some((key, _)) = self.flow {
            json.number("flow_id", flow_id(key));
        }
        if let Some(frame) = self.frame {
            json.number("pcap_cnt", frame);
        }
        json.text("event_type", self.event_type);
        if let Some((_, tuple)) = &self.flow {
            json.address("src_ip", tuple.source());
            if let Some(ports) = tuple.ports {
                json.number("src_port", ports.source.into());
            }
            json.address("dest_ip", tuple.destination());
            if let Some(ports) = tuple.ports {
                json.number("dest_port", ports.destination.into());
            }
            match protocol(tuple.protocol) {
                Some(name) => json.text("proto", name),
                None => json.display("proto", tuple.protocol),
            }
            let is_ipv4 = matches!(tuple.addresses, Addresses::V4 { .. });
            json.number("ip_v", if is_ipv4 { 4 } else { 6 });
            if self.has_packet {
                json.text("pkt_src", "geneve encapsulation");
            }
            if let Some(tx_id) = self.tx_id {
                json.number("tx_id", tx_id);
            }
            if settings.community_id {
                let id = community.get_or_insert_with(|| CommunityId::new(0, tuple));
                json.text("community_id", id.as_str());
            }
        }
        if let Some(way) = self.way {
            json.object("gwlb");
            json.display("endpoint", way.endpoint);
            if let Some(name) = &self.name {
                json.text("endpoint_name", &**name);
            }
            if let Some((attachment, cookie)) = way.envelope {
                json.display("attachment", attachment);
                json.display("cookie", cookie);
            }
            json.end_object();
        }
    }
}

/// The names that Suricata has for protocols.
fn protocol(protocol: IpProtocol) -> Option<&'static str> {
    Some(match protocol {
        IpProtocol::TCP => "TCP",
        IpProtocol::UDP => "UDP",
        IpProtocol::ICMP => "ICMP",
        IpProtocol::ICMPV6 => "IPv6-ICMP",
        IpProtocol::SCTP => "SCTP",
        IpProtocol::GRE => "GRE",
        IpProtocol::ESP => "ESP",
        _ => return None,
    })
}

impl Json<'_> {
    pub(super) fn stamp(&mut self, key: &str, time: Timestamp) {
        self.write(key, |out| stamp::write(time, out));
    }
}

/// A number that all records of a flow have: 52 bits, which every reader of JSON can hold.
fn flow_id(key: &FlowKey) -> u64 {
    let mut hash = Fold(0);
    key.hash(&mut hash);
    hash.finish() >> 12
}

/// Good enough to tell flows apart, and the same on every machine.
struct Fold(u64);

impl Hasher for Fold {
    fn write(&mut self, bytes: &[u8]) {
        for chunk in bytes.chunks(8) {
            let mut word = [0; 8];
            word.iter_mut().zip(chunk).for_each(|(to, from)| *to = *from);
            self.write_u64(u64::from_le_bytes(word));
        }
    }

    fn write_u64(&mut self, word: u64) {
        let mixed = (self.0 ^ word).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        self.0 = (mixed ^ mixed >> 32).wrapping_mul(0xd6e8_feb8_6659_fd93).rotate_left(29);
    }

    fn finish(&self) -> u64 {
        let mixed = (self.0 ^ self.0 >> 32).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        mixed ^ mixed >> 29
    }
}
