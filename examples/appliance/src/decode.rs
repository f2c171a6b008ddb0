//! `appliance decode`: what the packets of a capture say, for a person or for a program.

use std::fmt;
use std::io::{self, BufWriter, Write};
use std::net::IpAddr;

use anyhow::Result;
use clap::Args;
use gwlb_geneve::capture::Packet;
use gwlb_geneve::geneve;
use gwlb_geneve::gwlb::{Envelope, EnvelopeError, Outer, OuterError, Profile};
use gwlb_geneve::packet::{
    ChecksumStatus, EthernetFrame, FiveTuple, IpPacket, IpProtocol, Layer, ParseError,
    QuotedPacket, Transport, UdpDatagram,
};
use gwlb_geneve::runtime::{Frame, FrameCounters};
use gwlb_geneve::{EtherType, Timestamp};
use serde::Serialize;

use crate::{Input, capture, say};

#[derive(Args)]
pub(crate) struct Options {
    #[command(flatten)]
    input: Input,
    /// One JSON object a line.
    #[arg(long)]
    json: bool,
}

pub(crate) fn run(options: &Options) -> Result<()> {
    let mut frames = capture::open(&options.input)?;
    let mut out = BufWriter::new(io::stdout().lock());
    let mut bad = 0_u64;
    while let Some(frame) = frames.next_frame() {
        let Frame::Geneve { captured, ip } = frame else { continue };
        let record = Record::of(&captured, ip);
        bad += u64::from(record.error.is_some());
        if options.json {
            serde_json::to_writer(&mut out, &record).map_err(io::Error::from)?;
            writeln!(out)?;
        } else {
            writeln!(out, "{record}")?;
        }
    }
    out.flush()?;
    let counters = *frames.counters();
    if !capture::is_hopeless(&counters) {
        let FrameCounters { geneve, other, unreadable, .. } = counters;
        say(&format!(
            "{} packets: {geneve} GENEVE, {bad} of them with errors; {other} other; {unreadable} unreadable",
            counters.all(),
        ));
    }
    capture::finish(&options.input.file, &counters, frames.into_problems())
}

/// A GENEVE packet, layer by layer as far as they go. The JSON form is a contract: fields are added, never renamed.
#[derive(Serialize)]
struct Record {
    packet: u64,
    time: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    outer: Option<Ends>,
    #[serde(skip_serializing_if = "Option::is_none")]
    geneve: Option<Geneve>,
    #[serde(skip_serializing_if = "Option::is_none")]
    gwlb: Option<Gwlb>,
    #[serde(skip_serializing_if = "Option::is_none")]
    ethernet: Option<Ethernet>,
    #[serde(skip_serializing_if = "Option::is_none")]
    inner: Option<Inner>,
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<Problem>,
}

#[derive(Serialize)]
pub(crate) struct Ends {
    src: IpAddr,
    dst: IpAddr,
    #[serde(skip_serializing_if = "Option::is_none")]
    sport: Option<u16>,
    #[serde(skip_serializing_if = "Option::is_none")]
    dport: Option<u16>,
}

#[derive(Serialize)]
struct Geneve {
    version: u8,
    oam: bool,
    critical: bool,
    protocol: String,
    vni: u32,
    options: Vec<TunnelOption>,
}

#[derive(Serialize)]
struct TunnelOption {
    class: String,
    r#type: u8,
    critical: bool,
    data: String,
}

#[derive(Serialize)]
struct Gwlb {
    endpoint: String,
    attachment: String,
    cookie: String,
}

/// An inner Ethernet frame, which other tunnels than a gateway load balancer's carry.
#[derive(Serialize)]
struct Ethernet {
    r#type: String,
    vlans: Vec<u16>,
}

#[derive(Serialize)]
struct Inner {
    #[serde(flatten)]
    ends: Ends,
    proto: u8,
    len: usize,
    fragment: bool,
}

/// What is wrong with a packet: the first thing found. `offset` counts from the start of its layer.
#[derive(Serialize)]
struct Problem {
    layer: &'static str,
    offset: usize,
    reason: &'static str,
    message: String,
}

/// The first thing that is wrong with a packet.
pub(crate) fn problem(captured: &Packet<'_>, ip: &[u8]) -> Option<String> {
    let problem = Record::of(captured, ip).error?;
    Some(format!("{}: {}", problem.reason, problem.message))
}

impl Record {
    fn of(captured: &Packet<'_>, ip: &[u8]) -> Self {
        let mut record = Self {
            packet: captured.number,
            time: time(captured.timestamp),
            outer: None,
            geneve: None,
            gwlb: None,
            ethernet: None,
            inner: None,
            error: None,
        };
        record.read_outer(ip, captured.is_truncated());
        record
    }

    /// What was captured with a snap length is read as far as it goes; so is what has a wrong checksum.
    fn read_outer(&mut self, ip: &[u8], truncated: bool) {
        let Ok(outer) = QuotedPacket::parse(ip) else { return };
        self.outer = outer.five_tuple().ok().map(Ends::from);
        if truncated {
            self.fail("outer", outer.bytes().len(), "truncated", "the capture holds only a part");
        } else if let Err(error) = check_outer(ip) {
            self.fail("outer", error.offset(), error.reason(), error);
        }
        if outer.fragment().is_some_and(|fragment| !fragment.is_atomic()) {
            return;
        }
        // No further than the UDP length says: what follows is no part of the datagram.
        let udp = outer.payload();
        let length = udp
            .get(4..6)
            .map_or(0, |length| usize::from(u16::from_be_bytes([length[0], length[1]])));
        let payload = udp.get(UdpDatagram::HEADER_LEN..length.min(udp.len())).unwrap_or_default();
        self.read_geneve(payload, truncated);
    }

    fn read_geneve(&mut self, payload: &[u8], truncated: bool) {
        let geneve = match geneve::Packet::parse(payload) {
            Ok(geneve) => geneve,
            Err(error) => return self.fail("geneve", error.offset(), error.reason(), error),
        };
        self.geneve = Some(Geneve::from(&geneve));
        // Other tunnels speak GENEVE too: only who brings an option of AWS is held to AWS's profile.
        if geneve.options().any(|option| option.class() == Profile::AWS.class()) {
            match Envelope::parse(payload, &Profile::AWS) {
                Ok(envelope) => self.gwlb = Some(Gwlb::from(&envelope)),
                Err(error) => {
                    let layer = match error {
                        EnvelopeError::Geneve(_) | EnvelopeError::Endpoint(_) => "geneve",
                        _ => "gwlb",
                    };
                    self.fail(layer, error.offset(), error.reason(), error);
                }
            }
        } else if let Err(error) = geneve.check_endpoint(|_, _| false) {
            self.fail("geneve", error.offset(), error.reason(), error);
        }
        match geneve.protocol_type() {
            kind @ (EtherType::IPV4 | EtherType::IPV6) => {
                self.read_inner(kind, geneve.payload(), truncated);
            }
            EtherType::ETHERNET => self.read_ethernet(geneve.payload(), truncated),
            _ => {}
        }
    }

    fn read_ethernet(&mut self, frame: &[u8], truncated: bool) {
        let frame = match EthernetFrame::parse(frame) {
            Ok(frame) => frame,
            Err(error) => return self.fail("inner", error.offset(), error.reason(), error),
        };
        let Some(ether_type) = frame.ether_type() else { return };
        let vlans = frame.vlan_tags().map(|tag| tag.id()).collect();
        self.ethernet = Some(Ethernet { r#type: ether_type.to_string(), vlans });
        if matches!(ether_type, EtherType::IPV4 | EtherType::IPV6) {
            self.read_inner(ether_type, frame.payload(), truncated);
        }
    }

    fn read_inner(&mut self, kind: EtherType, ip: &[u8], truncated: bool) {
        let found = ip.first().map_or(0, |first| first >> 4);
        let (expected, layer) =
            if kind == EtherType::IPV4 { (4, Layer::Ipv4) } else { (6, Layer::Ipv6) };
        if !ip.is_empty() && found != expected {
            let error = ParseError::Version { layer, offset: 0, found };
            return self.fail("inner", 0, error.reason(), error);
        }
        let parsed = if truncated {
            QuotedPacket::parse(ip).map(|packet| {
                (packet.total_len(), packet.fragment(), packet.protocol(), packet.five_tuple().ok())
            })
        } else {
            IpPacket::parse(ip).map(|packet| {
                if let Err(error) = packet.check_whole() {
                    self.fail("inner", error.offset(), error.reason(), error);
                }
                let ends = packet.five_tuple().unwrap_or(FiveTuple {
                    addresses: packet.addresses(),
                    protocol: packet.protocol(),
                    ports: None,
                });
                (packet.total_len(), packet.fragment(), packet.protocol(), Some(ends))
            })
        };
        match parsed {
            Ok((len, fragment, IpProtocol(proto), Some(tuple))) => {
                let fragment = fragment.is_some();
                self.inner = Some(Inner { ends: tuple.into(), proto, len, fragment });
            }
            Ok(_) => {}
            Err(error) => self.fail("inner", error.offset(), error.reason(), error),
        }
    }

    fn fail(
        &mut self,
        layer: &'static str,
        offset: usize,
        reason: &'static str,
        message: impl ToString,
    ) {
        self.error.get_or_insert_with(|| {
            let message = message.to_string();
            Problem { layer, offset, reason, message }
        });
    }
}

/// Outer IPv6 is no gateway load balancer's, but it is GENEVE.
fn check_outer(ip: &[u8]) -> Result<(), OuterError> {
    match Outer::parse(ip) {
        Ok(_) => Ok(()),
        Err(OuterError::NotIpv4) => {
            let packet = IpPacket::parse(ip)?;
            if packet.is_fragment() {
                return Err(OuterError::Fragment);
            }
            match packet.transport()? {
                Transport::Udp(udp)
                    if packet.verify_transport_checksum() == ChecksumStatus::Invalid
                        // A tunnel may leave it away (RFC 6935).
                        && udp.checksum() != 0 =>
                {
                    let offset = packet.header_len() + 6;
                    Err(OuterError::Checksum { offset, found: udp.checksum() })
                }
                _ => Ok(()),
            }
        }
        Err(error) => Err(error),
    }
}

impl From<FiveTuple> for Ends {
    fn from(tuple: FiveTuple) -> Self {
        Self {
            src: tuple.source(),
            dst: tuple.destination(),
            sport: tuple.ports.map(|ports| ports.source),
            dport: tuple.ports.map(|ports| ports.destination),
        }
    }
}

impl From<&geneve::Packet<'_>> for Geneve {
    fn from(packet: &geneve::Packet<'_>) -> Self {
        let options = packet.options().map(|option| TunnelOption {
            class: option.class().to_string(),
            r#type: option.option_type().0,
            critical: option.is_critical(),
            data: option.data().iter().map(|byte| format!("{byte:02x}")).collect(),
        });
        Self {
            version: packet.version(),
            oam: packet.is_oam(),
            critical: packet.is_critical(),
            protocol: packet.protocol_type().to_string(),
            vni: packet.vni().get(),
            options: options.collect(),
        }
    }
}

impl From<&Envelope<'_>> for Gwlb {
    fn from(envelope: &Envelope<'_>) -> Self {
        Self {
            endpoint: envelope.endpoint().to_string(),
            attachment: envelope.attachment().to_string(),
            cookie: envelope.cookie().to_string(),
        }
    }
}

/// RFC 3339 in UTC, to the nanosecond.
pub(crate) fn time(timestamp: Timestamp) -> String {
    match jiff::Timestamp::from_nanosecond(i128::from(timestamp.as_nanos())) {
        Ok(time) => format!("{time:.9}"),
        Err(_) => format!("{}ns", timestamp.as_nanos()),
    }
}

/// The line for a person.
impl fmt::Display for Record {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:>5}  {}", self.packet, self.time)?;
        if let Some(outer) = &self.outer {
            write!(f, "  {outer}")?;
        }
        if let Some(gwlb) = &self.gwlb {
            write!(f, "  {} cookie {}", gwlb.endpoint, gwlb.cookie)?;
            if gwlb.attachment.trim_start_matches("0x").contains(|digit| digit != '0') {
                write!(f, " attachment {}", gwlb.attachment)?;
            }
        } else if let Some(geneve) = &self.geneve {
            write!(f, "  vni {} {} {} options", geneve.vni, geneve.protocol, geneve.options.len())?;
        }
        if let Some(Ethernet { r#type, .. }) =
            self.ethernet.as_ref().filter(|_| self.inner.is_none())
        {
            write!(f, "  Ethernet {type}")?;
        }
        if let Some(inner) = &self.inner {
            let fragment = if inner.fragment { " fragment" } else { "" };
            let Inner { ends, proto, len, .. } = inner;
            write!(f, "  {} {ends} {len} bytes{fragment}", IpProtocol(*proto))?;
        }
        if let Some(error) = &self.error {
            write!(f, "  ! {}: {}", error.reason, error.message)?;
        }
        Ok(())
    }
}

impl fmt::Display for Ends {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let end = |address: IpAddr, port: Option<u16>| match (address, port) {
            (address, None) => address.to_string(),
            (IpAddr::V4(address), Some(port)) => format!("{address}:{port}"),
            (IpAddr::V6(address), Some(port)) => format!("[{address}]:{port}"),
        };
        write!(f, "{} > {}", end(self.src, self.sport), end(self.dst, self.dport))
    }
}
