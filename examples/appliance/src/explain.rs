//! `appliance explain`: why a packet of a capture is treated as it is.

use std::io::{self, Write};

use anyhow::{Context, Result};
use clap::Args;
use gwlb_geneve::engine::Explanation;
use gwlb_geneve::runtime::{ExplainedPacket, Replay};
use serde::Serialize;

use crate::arguments::from_one;
use crate::decode::time;
use crate::setup::Setup;
use crate::verdict::{Alerted, Decision, Flow, Vote, alerts, relation};
use crate::{Input, capture};

#[derive(Args)]
pub(crate) struct Options {
    #[command(flatten)]
    input: Input,
    #[command(flatten)]
    setup: Setup,
    /// The packet's number in the capture, from 1, as `decode` and Wireshark count.
    #[arg(long, value_name = "N", value_parser = from_one::<u64>)]
    packet: u64,
    /// Print the explanation as one JSON object.
    #[arg(long)]
    json: bool,
}

pub(crate) fn run(options: &Options) -> Result<()> {
    let explain = |number| {
        Replay::new(capture::open(&options.input)?)
            .explain(&mut options.setup.engine()?, number)
            .with_context(|| options.input.file.display().to_string())
    };
    let explained = explain(options.packet)?;
    // What is refused because of another packet is explained by that.
    let refusing = explained.refused_by.map(explain).transpose()?;
    let mut out = io::stdout().lock();
    if options.json {
        let mut told = Explained::from(&explained);
        told.refused_by = refusing.as_ref().map(|packet| Box::new(Explained::from(packet)));
        serde_json::to_writer(&mut out, &told).map_err(io::Error::from)?;
        writeln!(out)?;
    } else {
        writeln!(out, "{explained}")?;
        if let Some(refusing) = refusing {
            writeln!(out, "\n{refusing}")?;
        }
    }
    Ok(())
}

/// The explanation as JSON. A contract: fields are added, never renamed.
#[derive(Serialize)]
struct Explained {
    packet: u64,
    time: String,
    #[serde(flatten)]
    judged: Option<Judged>,
    #[serde(flatten)]
    outcome: Decision,
    /// What is wrong with the outer headers, where that is why.
    #[serde(skip_serializing_if = "Option::is_none")]
    outer: Option<String>,
    alerts: Vec<Alerted>,
    /// The packet with which the flow was refused before.
    #[serde(skip_serializing_if = "Option::is_none")]
    refused_by: Option<Box<Explained>>,
}

#[derive(Serialize)]
struct Judged {
    #[serde(skip_serializing_if = "Option::is_none")]
    endpoint: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    flow: Option<Flow>,
    #[serde(skip_serializing_if = "Option::is_none")]
    relation: Option<&'static str>,
    standing: String,
    /// Which packet of its flow it is, from 1.
    #[serde(skip_serializing_if = "Option::is_none")]
    turn: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    malformed: Option<Malformed>,
    votes: Vec<Vote>,
}

/// What is wrong with a packet, and where: in bytes from the first byte of the GENEVE header.
#[derive(Serialize)]
struct Malformed {
    offset: usize,
    message: String,
}

impl From<&ExplainedPacket> for Explained {
    fn from(packet: &ExplainedPacket) -> Self {
        Self {
            packet: packet.number,
            time: time(packet.time),
            judged: packet.explanation.as_ref().ok().map(Judged::from),
            outcome: packet.outcome().into(),
            outer: packet.explanation.as_ref().err().map(ToString::to_string),
            alerts: alerts(&packet.events),
            refused_by: None,
        }
    }
}

impl From<&Explanation> for Judged {
    fn from(explanation: &Explanation) -> Self {
        let flow = explanation.flow;
        let votes = explanation.votes.iter().map(|vote| Vote {
            inspector: vote.name.clone(),
            verdict: vote.verdict.map(Into::into),
            because: vote.because.clone(),
        });
        Self {
            endpoint: flow.map(|(key, ..)| key.endpoint().to_string()),
            flow: flow.map(|(key, direction, _)| key.five_tuple(direction).into()),
            relation: flow.map(|(.., it)| relation(it)),
            standing: explanation.standing.to_string(),
            turn: explanation.turn.map(|turn| turn.number),
            malformed: explanation
                .malformed
                .map(|error| Malformed { offset: error.offset(), message: error.to_string() }),
            votes: votes.collect(),
        }
    }
}
