//! What the bytes of a packet mean, layer by layer as far as they go.

use gwlb_geneve::EtherType;
use gwlb_geneve::capture::Packet;
use gwlb_geneve::geneve;
use gwlb_geneve::gwlb::{Envelope, Profile};
use gwlb_geneve::packet::{IpPacket, QuotedPacket, Transport, UdpDatagram};

use crate::decode;

/// Bytes of a payload that are shown as text.
const MOST_TEXT: usize = 512;

/// A layer and its fields.
pub(super) struct Layer {
    pub(super) name: String,
    pub(super) fields: Vec<(&'static str, String)>,
}

pub(super) fn dissect(captured: &Packet<'_>) -> Vec<Layer> {
    let mut layers = Layers(Vec::new());
    layers.push(
        "Frame",
        vec![
            ("link type", captured.link_type.to_string()),
            ("captured", format!("{} of {} bytes", captured.data.len(), captured.original_len)),
        ],
    );
    if let Ok(network) = captured.network() {
        layers.read_outer(network.payload);
        if let Some(problem) = decode::problem(captured, network.payload) {
            layers.push("Problem", vec![("first found", problem)]);
        }
    }
    layers.0
}

struct Layers(Vec<Layer>);

impl Layers {
    fn push(&mut self, name: impl Into<String>, fields: Vec<(&'static str, String)>) {
        self.0.push(Layer { name: name.into(), fields });
    }

    fn read_outer(&mut self, ip: &[u8]) {
        let Ok(outer) = QuotedPacket::parse(ip) else { return };
        let mut fields = vec![
            ("from", outer.source().to_string()),
            ("to", outer.destination().to_string()),
            ("length", outer.total_len().to_string()),
        ];
        let ports = outer.five_tuple().ok().and_then(|tuple| tuple.ports);
        if let Some(ports) = ports {
            fields.push(("UDP ports", format!("{} > {}", ports.source, ports.destination)));
        }
        self.push("Outer IP and UDP", fields);
        if outer.fragment().is_none_or(|fragment| fragment.is_atomic()) {
            self.read_geneve(outer.payload().get(UdpDatagram::HEADER_LEN..).unwrap_or_default());
        }
    }

    fn read_geneve(&mut self, payload: &[u8]) {
        let Ok(packet) = geneve::Packet::parse(payload) else { return };
        let mut fields = vec![
            ("version", packet.version().to_string()),
            ("protocol", packet.protocol_type().to_string()),
            ("VNI", packet.vni().get().to_string()),
            ("critical options", packet.is_critical().to_string()),
            ("control packet", packet.is_oam().to_string()),
        ];
        fields.extend(packet.options().map(|option| {
            let data: String = option.data().iter().map(|byte| format!("{byte:02x}")).collect();
            ("option", format!("class {} type {} {data}", option.class(), option.option_type()))
        }));
        self.push("GENEVE", fields);
        if let Ok(envelope) = Envelope::parse(payload, &Profile::AWS) {
            self.push(
                "Load balancer",
                vec![
                    ("endpoint", envelope.endpoint().to_string()),
                    ("attachment", envelope.attachment().to_string()),
                    ("flow cookie", envelope.cookie().to_string()),
                ],
            );
        }
        if matches!(packet.protocol_type(), EtherType::IPV4 | EtherType::IPV6) {
            self.read_inner(packet.payload());
        }
    }

    fn read_inner(&mut self, ip: &[u8]) {
        let Ok(packet) = IpPacket::parse(ip) else { return };
        let mut fields = vec![
            ("from", packet.source().to_string()),
            ("to", packet.destination().to_string()),
            ("protocol", packet.protocol().to_string()),
            ("hop limit", packet.hop_limit().to_string()),
            ("length", packet.total_len().to_string()),
        ];
        if let Some(fragment) = packet.fragment() {
            let more = if fragment.more { "more follow" } else { "the last" };
            fields.push((
                "fragment",
                format!("{:#x} at {}, {more}", fragment.identification, fragment.offset),
            ));
        }
        self.push(if packet.source().is_ipv4() { "Inner IPv4" } else { "Inner IPv6" }, fields);
        let Ok(transport) = packet.transport() else { return };
        match &transport {
            Transport::Tcp(segment) => self.push(
                "TCP",
                vec![
                    (
                        "ports",
                        format!("{} > {}", segment.source_port(), segment.destination_port()),
                    ),
                    ("flags", segment.flags().to_string()),
                    ("sequence", segment.sequence_number().to_string()),
                    ("acknowledged", segment.acknowledgment_number().to_string()),
                    ("window", segment.window().to_string()),
                ],
            ),
            Transport::Udp(datagram) => self.push(
                "UDP",
                vec![
                    (
                        "ports",
                        format!("{} > {}", datagram.source_port(), datagram.destination_port()),
                    ),
                    ("length", datagram.length().to_string()),
                ],
            ),
            Transport::Icmp(message) | Transport::Icmpv6(message) => {
                let mut fields = vec![
                    ("type", message.message_type().to_string()),
                    ("code", message.code().to_string()),
                ];
                if let Some(echo) = message.echo() {
                    fields.push(("echo", format!("id {} no. {}", echo.identifier, echo.sequence)));
                }
                if let Some(Ok(quoted)) = message.quoted() {
                    let ends = format!("{} > {}", quoted.source(), quoted.destination());
                    fields.push(("quotes", format!("{} {ends}", quoted.protocol())));
                }
                self.push("ICMP", fields);
            }
            _ => {}
        }
        self.read_payload(transport.payload());
    }

    /// As text: what is none shows as dots.
    fn read_payload(&mut self, payload: &[u8]) {
        if payload.is_empty() {
            return;
        }
        let shown = payload.get(..MOST_TEXT).unwrap_or(payload);
        let text: String = shown
            .iter()
            .filter(|byte| **byte != b'\r')
            .map(|byte| match byte {
                b'\n' | b' '..=b'~' => char::from(*byte),
                _ => '.',
            })
            .collect();
        let rest = payload.len() - shown.len();
        let more = if rest > 0 { format!(" (and {rest} more bytes)") } else { String::new() };
        self.push(format!("Payload, {} bytes", payload.len()), vec![("text", text + &more)]);
    }
}
