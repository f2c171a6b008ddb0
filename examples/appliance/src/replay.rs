//! `appliance replay`: a capture through the appliance, as if it came from the network.

use std::collections::{BTreeMap, HashSet};
use std::fmt;
use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::path::PathBuf;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use clap::Args;
use gwlb_geneve::Timestamp;
use gwlb_geneve::capture::{Format, LinkType, Writer};
use gwlb_geneve::gwlb::{EndpointId, Envelope, Outer, Profile, Reply, ReplyPolicy};
use gwlb_geneve::packet::{FiveTuple, IpPacket};
use serde::{Serialize, Serializer};

use crate::Input;
use crate::capture::{check_ports, is_geneve, walk};

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
    check_ports(&options.input.ports)?;
    let file = &options.input.file;
    if let Some(out) = &options.write {
        let same =
            |a: &PathBuf, b: &PathBuf| Some(a.canonicalize().ok()? == b.canonicalize().ok()?);
        if same(file, out) == Some(true) {
            bail!("{}: --write would overwrite the capture that is read", out.display());
        }
    }
    let mut replay = Replay { report: Report::default(), flows: HashSet::new(), replies: None };
    let started = Instant::now();
    let walked = walk(file, |captured, ip| {
        replay.report.packets += 1;
        match ip.filter(|ip| is_geneve(ip, &options.input.ports)) {
            None => replay.report.other += 1,
            Some(ip) => {
                if let (Some(path), None) = (&options.write, &replay.replies) {
                    replay.replies = Some(create(path)?);
                }
                replay.datagram(captured.timestamp, ip)?;
            }
        }
        Ok(())
    });
    if let (Some(path), None, Ok(())) = (&options.write, &replay.replies, &walked) {
        replay.replies = Some(create(path)?);
    }
    if let Some(replies) = replay.replies {
        replies.finish().context("cannot write the replies")?;
    }
    let mut report = replay.report;
    report.flows = replay.flows.len();
    report.elapsed = started.elapsed();
    let mut out = BufWriter::new(io::stdout().lock());
    if options.json {
        serde_json::to_writer(&mut out, &report).map_err(io::Error::from)?;
        writeln!(out)?;
    } else {
        write!(out, "{report}")?;
    }
    out.flush()?;
    walked
}

fn create(path: &PathBuf) -> Result<Replies> {
    Ok(Writer::create(path, Format::Pcapng)?)
}

type Replies = Writer<BufWriter<File>>;

struct Replay {
    report: Report,
    flows: HashSet<(EndpointId, FiveTuple)>,
    replies: Option<Replies>,
}

impl Replay {
    /// One datagram in, exactly one outcome counted.
    fn datagram(&mut self, time: Timestamp, ip: &[u8]) -> Result<()> {
        self.report.received += 1;
        match self.judge(ip) {
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
    fn judge<'a>(&mut self, ip: &'a [u8]) -> Result<Reply<'a>, &'static str> {
        let (outer, payload) = Outer::parse(ip).map_err(|error| error.reason())?;
        let envelope = Envelope::parse(payload, &Profile::AWS).map_err(|error| error.reason())?;
        let endpoint = self.report.endpoints.entry(envelope.endpoint()).or_default();
        endpoint.received += 1;
        endpoint.bytes += envelope.inner().len() as u64;
        let tuple = IpPacket::parse(envelope.inner())
            .and_then(|packet| packet.five_tuple())
            .map_err(|error| error.reason())?;
        self.flows.insert((envelope.endpoint(), canonical(tuple)));
        let reply =
            envelope.reply(&outer, &ReplyPolicy::default()).map_err(|_| "reply-too-long")?;
        endpoint.forwarded += 1;
        Ok(reply)
    }
}

/// The same for both directions of a conversation.
fn canonical(tuple: FiveTuple) -> FiveTuple {
    let source = (tuple.source(), tuple.ports.map(|ports| ports.source));
    let destination = (tuple.destination(), tuple.ports.map(|ports| ports.destination));
    if source <= destination { tuple } else { tuple.reversed() }
}

/// What a replay counted: `received = forwarded + dropped`.
#[derive(Default, Serialize)]
struct Report {
    /// Packets in the file.
    packets: u64,
    /// Those that are not GENEVE.
    other: u64,
    received: u64,
    forwarded: u64,
    dropped: BTreeMap<&'static str, u64>,
    #[serde(serialize_with = "as_text")]
    endpoints: BTreeMap<EndpointId, Endpoint>,
    flows: usize,
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
        writeln!(f, "{:<40} {:>12}", "  not GENEVE", self.other)?;
        writeln!(f, "{:<40} {:>12}", "received", self.received)?;
        writeln!(f, "{:<40} {:>12}", "forwarded", self.forwarded)?;
        writeln!(f, "{:<40} {:>12}", "dropped", self.dropped.values().sum::<u64>())?;
        for (reason, count) in &self.dropped {
            writeln!(f, "{:<40} {count:>12}", format!("  {reason}"))?;
        }
        writeln!(f, "{:<40} {:>12}", "flows seen", self.flows)?;
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
        Ok(())
    }
}
