//! `appliance replay --diff`: what another configuration would judge otherwise.

use std::collections::BTreeMap;
use std::io::{self, BufWriter, Write};
use std::process::ExitCode;

use anyhow::Result;
use gwlb_geneve::engine::{Engine, Outcome};
use gwlb_geneve::inspect::Alert;
use gwlb_geneve::runtime::{ComparedPacket, JudgedPacket, Replay, Report};
use serde::Serialize;

use crate::decode::time;
use crate::flows::{Flow as SeenFlow, Flows, alerts};
use crate::replay::Comparison;
use crate::verdict::{Alerted, Decision, Flow};
use crate::visible::visible;
use crate::{capture, is_broken_pipe, say, setup};

/// As `diff` ends: 0 for no difference, 1 for one, 2 where something was wrong.
pub(crate) fn run(comparison: &Comparison<'_>) -> ExitCode {
    match compare(comparison) {
        Ok(false) => ExitCode::SUCCESS,
        Ok(true) => ExitCode::FAILURE,
        Err(error) if is_broken_pipe(&error) => ExitCode::from(2),
        Err(error) => {
            say(&format!("error: {error:#}"));
            ExitCode::from(2)
        }
    }
}

/// Whether there is a difference.
fn compare(comparison: &Comparison<'_>) -> Result<bool> {
    let configs = [comparison.before, comparison.after].map(setup::read_or_say);
    let [before, after] = configs;
    let (before, after) = (before?, after?);
    let mut engines = (
        Engine::new(before.settings(), before.inspectors())?,
        // What depends on a seed is no difference.
        Engine::new(
            gwlb_geneve::engine::Settings { seed: before.settings().seed, ..after.settings() },
            after.inspectors(),
        )?,
    );
    let mut out = BufWriter::new(io::stdout().lock());
    let mut differences = Differences::default();
    let replay = Replay::new(capture::open(comparison.input)?);
    let compared = replay.try_compare(&mut engines.0, &mut engines.1, |packet| {
        differences.see(&mut out, packet, comparison.json)
    })?;
    let frames = compared.before.frames;
    if !capture::is_hopeless(&frames) {
        differences.finish(&mut out, [&compared.before, &compared.after], comparison.json)?;
    }
    out.flush()?;
    capture::finish(&comparison.input.file, &frames, compared.problems)?;
    // Of what is told when flows end there is no packet.
    let is_told_alike = compared.before.alerts == compared.after.alerts;
    Ok(differences.judged > 0 || differences.told > 0 || !is_told_alike)
}

#[derive(Default)]
struct Differences {
    compared: u64,
    judged: u64,
    /// Those that are judged alike, but told otherwise.
    told: u64,
    flows: Flows,
    /// By the number of the flow.
    of_flows: BTreeMap<usize, OfFlow>,
}

/// What is otherwise in a flow.
struct OfFlow {
    packets: u64,
    /// The first such packet, and what becomes of it.
    first: u64,
    before: Outcome,
    after: Outcome,
}

impl Differences {
    fn see(&mut self, out: &mut impl Write, packet: &ComparedPacket<'_>, json: bool) -> Result<()> {
        self.compared += 1;
        let number = self.flows.see(packet.before, None).map(|flow| flow.number);
        if packet.is_same() {
            return Ok(());
        }
        let [before, after] = [packet.before.outcome, packet.after.outcome];
        if packet.is_judged_otherwise() {
            self.judged += 1;
            if let Some(number) = number {
                let first = packet.before.number;
                let flow = OfFlow { packets: 0, first, before, after };
                self.of_flows.entry(number).or_insert(flow).packets += 1;
            }
        } else {
            self.told += 1;
        }
        if json {
            let flow = packet.before.flow();
            return line(
                out,
                &OnePacket {
                    kind: "packet",
                    packet: packet.before.number,
                    time: time(packet.before.time),
                    endpoint: packet.before.envelope().map(|it| it.endpoint().to_string()),
                    flow: flow.map(|flow| flow.key.five_tuple(flow.direction).into()),
                    flow_number: number,
                    before: Side::of(packet.before),
                    after: Side::of(packet.after),
                },
            );
        }
        let since = packet.before.since_start.as_secs_f64();
        write!(out, "{:>5}  {since:>10.6}", packet.before.number)?;
        if let (Some(envelope), Some(flow)) = (packet.before.envelope(), packet.before.flow()) {
            write!(out, "  {}  {}", envelope.endpoint(), flow.key.five_tuple(flow.direction))?;
        }
        writeln!(out, "  {}", change(&before, &after))?;
        if packet.is_told_otherwise() {
            for (sign, side) in [('-', packet.before), ('+', packet.after)] {
                for Alert { name, message, .. } in alerts(side) {
                    writeln!(out, "{sign:>5}  {}", visible(&format!("{name}: {message}")))?;
                }
            }
        }
        Ok(())
    }

    fn finish(&self, out: &mut impl Write, reports: [&Report; 2], json: bool) -> Result<()> {
        let flows = self.flows.all().iter();
        let different = flows.filter_map(|flow| Some((flow, self.of_flows.get(&flow.number)?)));
        if json {
            for (flow, it) in different {
                line(out, &OneFlow::of(flow, it))?;
            }
            let [before, after] = reports.map(Counts::of);
            return line(
                out,
                &Summary {
                    kind: "summary",
                    packets: self.compared,
                    judged_otherwise: self.judged,
                    told_otherwise: self.told,
                    flows: self.flows.all().len(),
                    flows_judged_otherwise: self.of_flows.len(),
                    before,
                    after,
                },
            );
        }
        if self.judged + self.told > 0 {
            writeln!(out)?;
        }
        for (flow, it) in different {
            let SeenFlow { number, endpoint, tuple, packets, .. } = flow;
            writeln!(
                out,
                "flow {number}  {endpoint}  {tuple}  {} of {packets} packets, from packet {} on: {}",
                it.packets,
                it.first,
                change(&it.before, &it.after)
            )?;
        }
        if !self.of_flows.is_empty() {
            writeln!(out)?;
        }
        writeln!(out, "{:<24} {:>12} {:>12}", "", "before", "after")?;
        let [before, after] = reports.map(Counts::of);
        for ((name, before), (_, after)) in before.rows().into_iter().zip(after.rows()) {
            let sign = if before == after { "" } else { "  *" };
            writeln!(out, "{name:<24} {before:>12} {after:>12}{sign}")?;
        }
        writeln!(
            out,
            "\n{} of {} packets judged otherwise, {} more told otherwise; {} of {} flows judged otherwise",
            self.judged,
            self.compared,
            self.told,
            self.of_flows.len(),
            self.flows.all().len()
        )?;
        Ok(())
    }
}

/// `forward  ->  reject: access-list`; where it is the exception that is another, that too.
fn change(before: &Outcome, after: &Outcome) -> String {
    let told = |outcome: &Outcome| match outcome.exception {
        Some(class) if before.exception != after.exception => format!("{outcome} ({class})"),
        _ => outcome.to_string(),
    };
    match (told(before), told(after)) {
        (before, after) if before == after => format!("{before}, told otherwise"),
        (before, after) => format!("{before}  ->  {after}"),
    }
}

fn line(out: &mut impl Write, what: &impl Serialize) -> Result<()> {
    serde_json::to_writer(&mut *out, what).map_err(io::Error::from)?;
    writeln!(out)?;
    Ok(())
}

/// The forms in JSON. A contract: fields are added, never renamed.
#[derive(Serialize)]
struct OnePacket {
    kind: &'static str,
    packet: u64,
    time: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    endpoint: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    flow: Option<Flow>,
    #[serde(skip_serializing_if = "Option::is_none")]
    flow_number: Option<usize>,
    before: Side,
    after: Side,
}

#[derive(Serialize)]
struct Side {
    #[serde(flatten)]
    outcome: Decision,
    alerts: Vec<Alerted>,
}

impl Side {
    fn of(packet: &JudgedPacket<'_>) -> Self {
        Self { outcome: packet.outcome.into(), alerts: crate::verdict::alerts(packet.events()) }
    }
}

#[derive(Serialize)]
struct OneFlow {
    kind: &'static str,
    flow_number: usize,
    endpoint: String,
    flow: Flow,
    packets: u64,
    judged_otherwise: u64,
    first_packet: u64,
    before: Decision,
    after: Decision,
}

impl OneFlow {
    fn of(flow: &SeenFlow, it: &OfFlow) -> Self {
        Self {
            kind: "flow",
            flow_number: flow.number,
            endpoint: flow.endpoint.to_string(),
            flow: flow.tuple.into(),
            packets: flow.packets,
            judged_otherwise: it.packets,
            first_packet: it.first,
            before: it.before.into(),
            after: it.after.into(),
        }
    }
}

#[derive(Serialize)]
struct Summary {
    kind: &'static str,
    packets: u64,
    judged_otherwise: u64,
    told_otherwise: u64,
    flows: usize,
    flows_judged_otherwise: usize,
    before: Counts,
    after: Counts,
}

#[derive(Serialize)]
struct Counts {
    forwarded: u64,
    edited: u64,
    would: u64,
    dropped: u64,
    rejected: u64,
    injected: u64,
    alerts: u64,
}

impl Counts {
    fn of(report: &Report) -> Self {
        Self {
            forwarded: report.forwarded,
            edited: report.edited,
            would: report.would,
            dropped: report.dropped(),
            rejected: report.rejected,
            injected: report.injected,
            alerts: report.alerts,
        }
    }

    fn rows(&self) -> [(&'static str, u64); 7] {
        [
            ("forwarded", self.forwarded),
            ("  edited", self.edited),
            ("  would not have been", self.would),
            ("dropped", self.dropped),
            ("  rejected", self.rejected),
            ("injected", self.injected),
            ("alerts", self.alerts),
        ]
    }
}
