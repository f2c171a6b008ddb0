use alloc::vec::Vec;
use core::hash::{Hash, Hasher};

use super::EveSettings;
use super::figures::{address, decimal, hex_u32, hex_u64};
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
        let out = json.out();
        out.extend_from_slice(b"{\"timestamp\":\"");
        stamp::write(self.time, out);
        out.extend_from_slice(b"\",");
        if let Some((key, _)) = self.flow {
            number(b"\"flow_id\":", flow_id(key), out);
        }
        if let Some(frame) = self.frame {
            number(b"\"pcap_cnt\":", frame, out);
        }
        out.extend_from_slice(b"\"event_type\":\"");
        out.extend_from_slice(self.event_type.as_bytes());
        out.extend_from_slice(b"\",");
        if let Some((_, tuple)) = &self.flow {
            self.ends(tuple, out);
            if settings.community_id {
                let id = community.get_or_insert_with(|| CommunityId::new(0, tuple));
                out.extend_from_slice(b"\"community_id\":\"");
                out.extend_from_slice(id.as_bytes());
                out.extend_from_slice(b"\",");
            }
        }
        if let Some(way) = self.way {
            out.extend_from_slice(b"\"gwlb\":{\"endpoint\":\"vpce-");
            endpoint(way.endpoint, out);
            if let Some((attachment, cookie)) = way.envelope {
                out.extend_from_slice(b"\",\"attachment\":\"0x");
                hex_u64(attachment.0, out);
                out.extend_from_slice(b"\",\"cookie\":\"0x");
                out.extend_from_slice(&hex_u32(cookie.0));
            }
            out.extend_from_slice(b"\"},");
        }
    }

    /// Who talks to whom.
    #[inline]
    fn ends(&self, tuple: &FiveTuple, out: &mut Vec<u8>) {
        out.extend_from_slice(b"\"src_ip\":\"");
        address(tuple.source(), out);
        match tuple.ports {
            None => out.extend_from_slice(b"\",\"dest_ip\":\""),
            Some(ports) => {
                out.extend_from_slice(b"\",\"src_port\":");
                decimal(ports.source.into(), out);
                out.extend_from_slice(b",\"dest_ip\":\"");
            }
        }
        address(tuple.destination(), out);
        out.extend_from_slice(b"\",");
        if let Some(ports) = tuple.ports {
            number(b"\"dest_port\":", ports.destination.into(), out);
        }
        match tuple.protocol {
            IpProtocol::TCP => out.extend_from_slice(b"\"proto\":\"TCP\","),
            IpProtocol::UDP => out.extend_from_slice(b"\"proto\":\"UDP\","),
            found => match protocol(found) {
                Some(name) => Json::new(out).word("proto", name),
                None => Json::new(out).display("proto", found),
            },
        }
        let is_ipv4 = matches!(tuple.addresses, Addresses::V4 { .. });
        out.extend_from_slice(if is_ipv4 { b"\"ip_v\":4," } else { b"\"ip_v\":6," });
        if self.has_packet {
            out.extend_from_slice(b"\"pkt_src\":\"geneve encapsulation\",");
        }
        if let Some(tx_id) = self.tx_id {
            number(b"\"tx_id\":", tx_id, out);
        }
    }
}

/// A number as the value of a key, which comes with its quotes and its colon: keys and all, records are mostly what is always the
/// same, and each piece of that costs.
#[inline(always)]
fn number(key: &[u8], number: u64, out: &mut Vec<u8>) {
    out.extend_from_slice(key);
    decimal(number, out);
    out.push(b',');
}

/// As it displays itself, behind its prefix.
#[inline]
fn endpoint(endpoint: EndpointId, out: &mut Vec<u8>) {
    match u32::try_from(endpoint.0) {
        Ok(number) => out.extend_from_slice(&hex_u32(number)),
        Err(_) => {
            out.push(b'0');
            hex_u64(endpoint.0, out);
        }
    }
}

/// The names that Suricata has for protocols other than TCP and UDP.
fn protocol(protocol: IpProtocol) -> Option<&'static str> {
    Some(match protocol {
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

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn what_the_load_balancer_says_is_written_as_it_displays_itself(id: u64, cookie: u32, shift in 0_u32..64) {
            let id = id >> shift;
            let (attachment, cookie) = (AttachmentId(id), FlowCookie(cookie));
            let way = Way { endpoint: EndpointId(id), envelope: Some((attachment, cookie)) };
            let mut out = Vec::new();
            let header = Header {
                time: Timestamp::EPOCH,
                event_type: "alert",
                flow: None,
                way: Some(way),
                frame: None,
                has_packet: true,
                tx_id: None,
            };
            header.write(&mut Json::new(&mut out), &EveSettings::default(), &mut None);
            let expected = format!(
                "\"gwlb\":{{\"endpoint\":\"{}\",\"attachment\":\"{attachment}\",\"cookie\":\"{cookie}\"}},",
                way.endpoint,
            );
            prop_assert!(String::from_utf8(out).unwrap().ends_with(&expected));
        }
    }
}
