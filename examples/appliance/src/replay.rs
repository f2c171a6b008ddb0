//! `appliance replay`: a capture through the appliance, as if it came from the network.

use std::collections::{BTreeMap, HashSet};
use std::fmt;
use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use clap::Args;
use gwlb_geneve::Timestamp;
use gwlb_geneve::capture::{Format, LinkType, Writer};
use gwlb_geneve::flow::{FlowKey, FlowSeed, FragmentMap, PacketFlow, Relation, Resolved};
use gwlb_geneve::gwlb::{EndpointId, Envelope, Outer, Profile, Reply, ReplyPolicy};
use gwlb_geneve::packet::IpPacket;
use serde::{Serialize, Serializer};

use crate::Input;
use crate::capture::{Capture, is_geneve};

#[derive(Args)]
pub(crate) struct Options {
    #[command(flatten)]
    input: Input,
    /// Write the replies as they would leave, as IP packets into a pcapng file.
    #[arg(long, value_name = "OUT.pcapng")]
    write: Option<PathBuf>,
    /// Print the result as one JSON object.
    #[arg(long)]
    json: bool,
}

pub(crate) fn run(options: &Options) -> Result<()> {
    let mut capture = Capture::open(&options.input.file)?;
    let replies = match &options.write {
        Some(out) => Some(create(out, &options.input.file)?),
        None => None,
    };
    let mut replay = Replay::new(replies)?;
    let started = Instant::now();
    let mut other = 0;
    capture.walk(|captured, ip| match ip.filter(|ip| is_geneve(ip, &options.input.ports)) {
        Some(ip) => replay.datagram(captured.timestamp, ip),
        None => {
            other += 1;
            Ok(())
        }
    })?;
    let mut report = replay.finish()?;
    report.elapsed = started.elapsed();
    report.packets = capture.packets + capture.unreadable;
    report.unreadable = capture.unreadable;
    report.other = other;
    if !capture.is_hopeless() {
        let mut out = BufWriter::new(io::stdout().lock());
        if options.json {
            serde_json::to_writer(&mut out, &report).map_err(io::Error::from)?;
            writeln!(out)?;
        } else {
            write!(out, "{report}")?;
        }
        out.flush()?;
    }
    capture.finish()
}

type Replies = Writer<BufWriter<File>>;

/// Opens the file for the replies, which must not be the one that is read.
fn create(out: &Path, input: &Path) -> Result<Replies> {
    if is_same_file(out, input) {
        bail!("{}: --write would overwrite the capture that is read", out.display());
    }
    Ok(Writer::create(out, Format::Pcapng)?)
}

/// By what the file is, not by its name, and without opening it: it may be a pipe.
#[cfg(unix)]
fn is_same_file(a: &Path, b: &Path) -> bool {
    use std::os::unix::fs::MetadataExt;
    let identity = |path: &Path| std::fs::metadata(path).map(|file| (file.dev(), file.ino())).ok();
    identity(a).is_some_and(|a| Some(a) == identity(b))
}

#[cfg(not(unix))]
fn is_same_file(a: &Path, b: &Path) -> bool {
    a.canonicalize().is_ok_and(|a| b.canonicalize().is_ok_and(|b| a == b))
}

struct Replay {
    report: Report,
    flows: HashSet<FlowKey>,
    fragments: FragmentMap,
    replies: Option<Replies>,
}

impl Replay {
    fn new(replies: Option<Replies>) -> Result<Self> {
        Ok(Self {
            report: Report::default(),
            flows: HashSet::new(),
            fragments: FragmentMap::new(FRAGMENTED, FlowSeed::random())?,
            replies,
        })
    }

    /// One datagram in, exactly one outcome counted.
    fn datagram(&mut self, time: Timestamp, ip: &[u8]) -> Result<()> {
        self.report.received += 1;
        match self.judge(time, ip) {
            Ok(reply) => {
                self.report.forwarded += 1;
                if let Some(replies) = &mut self.replies {
                    let mut bytes = vec![0; reply.len()];
                    reply.write_to(&mut bytes)?;
                    let len = u32::try_from(bytes.len())?;
                    replies.write_packet(time, LinkType::IPV4, len, &bytes)?;
                }
            }
            Err(reason) => *self.report.dropped.entry(reason).or_default() += 1,
        }
        Ok(())
    }

    /// The reply to an outer IP packet, or the reason why there is none.
    fn judge<'a>(&mut self, time: Timestamp, ip: &'a [u8]) -> Result<Reply<'a>, &'static str> {
        let (outer, payload) = Outer::parse(ip).map_err(|error| error.reason())?;
        let envelope = Envelope::parse(payload, &Profile::AWS).map_err(|error| error.reason())?;
        let endpoint = self.report.endpoint(envelope.endpoint());
        endpoint.received += 1;
        endpoint.bytes += envelope.inner().len() as u64;
        let inner = IpPacket::parse(envelope.inner()).map_err(|error| error.reason())?;
        if matches!(inner, IpPacket::V4(ipv4) if !ipv4.verify_checksum()) {
            return Err("ipv4-header-checksum");
        }
        inner.check_whole().map_err(|error| error.reason())?;
        let flow = PacketFlow::of(envelope.endpoint(), &inner).map_err(|error| error.reason())?;
        // Whose first fragment was not seen, and an error about a flow that was not, are no flows of their own.
        if let Resolved::Flow(PacketFlow { key, relation: Relation::Own, .. }) =
            self.fragments.resolve(flow, time)
        {
            if self.flows.len() < MOST_FLOWS {
                self.flows.insert(key);
            } else if !self.flows.contains(&key) {
                self.report.packets_of_further_flows += 1;
            }
        }
        let reply =
            envelope.reply(&outer, &ReplyPolicy::default()).map_err(|error| error.reason())?;
        self.report.endpoint(envelope.endpoint()).forwarded += 1;
        Ok(reply)
    }

    fn finish(mut self) -> Result<Report> {
        if let Some(replies) = self.replies {
            replies.finish().context("cannot write the replies")?;
        }
        self.report.flows = self.flows.len();
        Ok(self.report)
    }
}

/// Flows that are told apart, and endpoints: what is beyond is counted together, so that no capture can use up the
/// memory.
const MOST_FLOWS: usize = 4 << 20;
const MOST_ENDPOINTS: usize = 10_000;

/// Datagrams in fragments that are remembered at a time.
const FRAGMENTED: usize = 65_536;

/// What a replay counted: `received = forwarded + dropped`.
#[derive(Default, Serialize)]
struct Report {
    /// Packets in the file.
    packets: u64,
    /// Those that could not be read.
    unreadable: u64,
    /// Those that are not GENEVE.
    other: u64,
    received: u64,
    forwarded: u64,
    dropped: BTreeMap<&'static str, u64>,
    #[serde(serialize_with = "as_text")]
    endpoints: BTreeMap<EndpointId, Endpoint>,
    /// All endpoints beyond the first ten thousand.
    further_endpoints: Endpoint,
    flows: usize,
    /// Packets of flows beyond the first four million, which were not told apart.
    packets_of_further_flows: u64,
    #[serde(rename = "seconds", serialize_with = "as_seconds")]
    elapsed: Duration,
}

#[derive(Default, Serialize)]
struct Endpoint {
    received: u64,
    forwarded: u64,
    /// Of inner packets.
    bytes: u64,
}

impl Report {
    fn endpoint(&mut self, id: EndpointId) -> &mut Endpoint {
        if self.endpoints.len() < MOST_ENDPOINTS || self.endpoints.contains_key(&id) {
            self.endpoints.entry(id).or_default()
        } else {
            &mut self.further_endpoints
        }
    }
}

fn as_text<S: Serializer>(map: &BTreeMap<EndpointId, Endpoint>, to: S) -> Result<S::Ok, S::Error> {
    to.collect_map(map.iter().map(|(id, endpoint)| (id.to_string(), endpoint)))
}

fn as_seconds<S: Serializer>(elapsed: &Duration, to: S) -> Result<S::Ok, S::Error> {
    to.serialize_f64(elapsed.as_secs_f64())
}

/// The table for a person.
impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let seconds = self.elapsed.as_secs_f64().max(1e-9);
        writeln!(f, "{:<40} {:>12}", "packets in the file", self.packets)?;
        if self.unreadable > 0 {
            writeln!(f, "{:<40} {:>12}", "  unreadable", self.unreadable)?;
        }
        writeln!(f, "{:<40} {:>12}", "  not GENEVE", self.other)?;
        writeln!(f, "{:<40} {:>12}", "received", self.received)?;
        writeln!(f, "{:<40} {:>12}", "forwarded", self.forwarded)?;
        writeln!(f, "{:<40} {:>12}", "dropped", self.dropped.values().sum::<u64>())?;
        for (reason, count) in &self.dropped {
            writeln!(f, "{:<40} {count:>12}", format!("  {reason}"))?;
        }
        writeln!(f, "{:<40} {:>12}", "flows seen", self.flows)?;
        if self.packets_of_further_flows > 0 {
            let further = self.packets_of_further_flows;
            writeln!(f, "{:<40} {further:>12}", "  packets of further flows")?;
        }
        writeln!(f, "{:<40} {:>12.6}", "seconds", seconds)?;
        writeln!(f, "{:<40} {:>12.0}", "packets a second", self.packets as f64 / seconds)?;
        if !self.endpoints.is_empty() {
            writeln!(f)?;
            let header = ["endpoint", "received", "forwarded", "inner bytes"];
            writeln!(f, "{:<27} {:>12} {:>12} {:>14}", header[0], header[1], header[2], header[3])?;
        }
        for (id, endpoint) in &self.endpoints {
            let Endpoint { received, forwarded, bytes } = endpoint;
            writeln!(f, "{:<27} {received:>12} {forwarded:>12} {bytes:>14}", id.to_string())?;
        }
        let Endpoint { received, forwarded, bytes } = self.further_endpoints;
        if received > 0 {
            writeln!(f, "{:<27} {received:>12} {forwarded:>12} {bytes:>14}", "further endpoints")?;
        }
        Ok(())
    }
}
