//! `appliance replay`: a capture through the appliance, as if it came from the network.

use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use clap::Args;
use gwlb_geneve::capture::{Format, Writer};
use gwlb_geneve::config::Config;
use gwlb_geneve::engine::{Engine, EventKind};
use gwlb_geneve::inspect::{Chain, Exception, Severity};
use gwlb_geneve::inspectors::access::AccessList;
use gwlb_geneve::observe::eve::{Eve, EveSettings, EveWriter};
use gwlb_geneve::observe::evidence::{
    Evidence, EvidenceCounters, EvidenceSettings, EvidenceWriter,
};
use gwlb_geneve::runtime::{EndpointCounters, JudgedPacket, Replay, ReplayedFrame, Report};
use serde::Serialize;
use serde_json::{Map, Value};

use crate::annotate::Annotated;
use crate::flows::Flows;
use crate::report::{About, PageReport};
use crate::setup::Setup;
use crate::verdict::Judged;
use crate::{Input, capture, say};

#[derive(Args)]
pub(crate) struct Options {
    #[command(flatten)]
    input: Input,
    #[command(flatten)]
    setup: Setup,
    /// Show what becomes of each packet, a line for each.
    #[arg(long)]
    verdicts: bool,
    /// Write what would be sent, in its order, as IP packets into a pcapng file.
    #[arg(long, value_name = "OUT.pcapng")]
    write: Option<PathBuf>,
    /// Write EVE records of it to a file, or `-` for standard output: those of `[eve]` in the configuration, or all.
    #[arg(long, value_name = "OUT.json")]
    eve: Option<PathBuf>,
    /// Keep evidence in a directory, as pcapng files: what `[tap]` in the configuration says, or flows with alerts.
    #[arg(long, value_name = "DIRECTORY")]
    tap: Option<PathBuf>,
    /// Write the capture again as a pcapng file, each packet with a comment in place of what it had: verdict, reason, rule,
    /// number of its flow.
    #[arg(long, value_name = "OUT.pcapng")]
    annotate: Option<PathBuf>,
    /// Write what the capture was and what became of it as a page for a browser, which asks nobody for anything.
    #[arg(long, value_name = "OUT.html")]
    report: Option<PathBuf>,
    /// Judge by two configurations, and show what the second one judges otherwise than the first: packets, then flows, then counts.
    /// Ends with 0 where there is no difference, with 1 where there is one, with 2 where something is wrong.
    #[arg(long, num_args = 2, value_names = ["A.toml", "B.toml"],
        conflicts_with_all = ["config", "verdicts", "write", "eve", "annotate", "report", "tap"])]
    diff: Option<Vec<PathBuf>>,
    /// Print the result, and each verdict or difference, as one JSON object a line.
    #[arg(long)]
    json: bool,
}

impl Options {
    /// What is to be compared, if anything is.
    pub(crate) fn comparison(&self) -> Option<Comparison<'_>> {
        match self.diff.as_deref()? {
            [before, after] => {
                Some(Comparison { input: &self.input, before, after, json: self.json })
            }
            _ => None,
        }
    }
}

/// A capture, and two configurations that judge it.
pub(crate) struct Comparison<'a> {
    pub(crate) input: &'a Input,
    pub(crate) before: &'a Path,
    pub(crate) after: &'a Path,
    pub(crate) json: bool,
}

pub(crate) fn run(options: &Options) -> Result<()> {
    check_outputs(options)?;
    let mut config = options.setup.read()?;
    let mut replay = Replay::new(capture::open(&options.input)?);
    let records = match &options.eve {
        Some(file) => Some(record(file, &options.input.file, &config)?),
        None => None,
    };
    if let Some((eve, _)) = &records {
        config.record_to(eve.clone());
        replay = replay.record_to(eve.clone());
    }
    let mut settings = options.setup.settings(&config);
    let evidence = match &options.tap {
        Some(directory) => {
            if config.evidence().is_none() {
                settings.capture_alerts = Some(Severity::Info);
            }
            Some(keep(directory, &config)?)
        }
        None => None,
    };
    if let Some((evidence, _)) = &evidence {
        replay = replay.keep_in(evidence.clone());
    }
    let mut engine = Engine::new(settings, config.inspectors())?;
    let mut witness = Witness::of(options)?;
    // Without a lock: records may go to standard output too.
    let mut out = BufWriter::new(io::stdout());
    let started = Instant::now();
    let mut each = |packet: &JudgedPacket<'_>| match options.verdicts {
        true => show(&mut out, packet, options.json),
        false => Ok(()),
    };
    let replies = match &options.write {
        Some(file) => Some(create(file, &options.input.file)?),
        None => None,
    };
    let list = config.access_list();
    let report = match (replies, witness.is_idle()) {
        (None, true) => replay.try_run(&mut engine, each),
        (Some(replies), true) => replay.write_to(replies).try_run(&mut engine, each),
        (replies, false) => {
            let every = |frame: &ReplayedFrame<'_>| {
                witness.see(frame, list)?;
                frame.judged.map_or(Ok(()), &mut each)
            };
            match replies {
                None => replay.try_run_frames(&mut engine, every),
                Some(replies) => replay.write_to(replies).try_run_frames(&mut engine, every),
            }
        }
    }?;
    let elapsed = started.elapsed();
    if let Some((_, writer)) = records {
        writer.finish().context("cannot write EVE records")?;
    }
    let evidence = evidence.map(|(evidence, keeper)| {
        keeper.finish();
        evidence.counters()
    });
    let about = About { capture: &options.input.file, config: options.setup.file() };
    witness.finish(&about, &report)?;
    if !capture::is_hopeless(&report.frames) {
        if options.json {
            let summary = Summary::of(&report, &engine, elapsed, evidence);
            serde_json::to_writer(&mut out, &summary).map_err(io::Error::from)?;
            writeln!(out)?;
        } else {
            let seconds = elapsed.as_secs_f64().max(1e-9);
            let rate = report.frames.all() as f64 / seconds;
            writeln!(out, "{report}\n")?;
            if let Some(evidence) = evidence {
                writeln!(out, "{:<40} {:>12}", "packets kept as evidence", evidence.written)?;
            }
            writeln!(
                out,
                "{:<40} {seconds:>12.6}\n{:<40} {rate:>12.0}",
                "seconds", "packets a second"
            )?;
        }
    }
    out.flush()?;
    if report.frames.other > 0 && report.frames.other == report.frames.all() {
        say(
            "none of the packets is GENEVE: `appliance wrap` makes of an ordinary capture what a load balancer would send",
        );
    }
    let damaged = report.exceptions.get(&Exception::BadChecksum).copied().unwrap_or(0);
    if damaged * 10 > report.received {
        say(&format!(
            "{damaged} of {} packets inside have wrong checksums and were dropped: where the capture was taken before a network card \
             filled them in, `--checksums ignore` judges them all the same",
            report.received
        ));
    }
    if let Some(lost) = evidence.map(|it| it.dropped + it.failed).filter(|lost| *lost > 0) {
        bail!("{lost} packets could not be kept as evidence");
    }
    capture::finish(&options.input.file, &report.frames, report.problems)
}

/// No output may be the capture, the configuration, or another output.
fn check_outputs(options: &Options) -> Result<()> {
    let outputs = [
        ("--annotate", &options.annotate),
        ("--report", &options.report),
        ("--write", &options.write),
        ("--eve", &options.eve),
    ];
    let named = outputs.iter().filter_map(|(flag, file)| Some((*flag, file.as_deref()?)));
    let mut before: Vec<(&str, &Path)> = Vec::new();
    for (flag, file) in named {
        if is_same_file(file, &options.input.file) {
            bail!("{}: {flag} would overwrite the capture that is read", file.display());
        }
        if options.setup.file().is_some_and(|config| is_same_file(file, config)) {
            bail!("{}: {flag} would overwrite the configuration that is read", file.display());
        }
        if let Some((other, _)) = before.iter().find(|(_, known)| *known == file) {
            bail!("{}: {flag} would overwrite what {other} writes", file.display());
        }
        before.push((flag, file));
    }
    Ok(())
}

/// Who wants to see every frame.
struct Witness {
    flows: Flows,
    annotated: Option<Annotated>,
    page: Option<PageReport>,
}

impl Witness {
    fn of(options: &Options) -> Result<Self> {
        Ok(Self {
            flows: Flows::default(),
            annotated: options.annotate.as_deref().map(Annotated::create).transpose()?,
            page: options.report.as_deref().map(PageReport::create).transpose()?,
        })
    }

    fn is_idle(&self) -> bool {
        self.annotated.is_none() && self.page.is_none()
    }

    fn see(&mut self, frame: &ReplayedFrame<'_>, list: Option<&AccessList>) -> Result<()> {
        let flow = frame.judged.and_then(|packet| self.flows.see(packet, list));
        if let (Some(page), Some(judged)) = (&mut self.page, frame.judged) {
            page.see(frame, judged, flow);
        }
        match &mut self.annotated {
            Some(annotated) => annotated.write(&frame.frame, frame.judged, flow),
            None => Ok(()),
        }
    }

    fn finish(self, about: &About<'_>, report: &Report) -> Result<()> {
        if let Some(annotated) = self.annotated {
            annotated.finish()?;
        }
        match self.page {
            Some(page) => page.finish(about, report, &self.flows),
            None => Ok(()),
        }
    }
}

/// A line for a packet, and one for each alert that it brought about.
fn show(out: &mut impl Write, packet: &JudgedPacket<'_>, json: bool) -> Result<()> {
    if json {
        serde_json::to_writer(&mut *out, &Judged::from(packet)).map_err(io::Error::from)?;
        writeln!(out)?;
        return Ok(());
    }
    writeln!(out, "{packet}")?;
    for event in packet.events() {
        if let EventKind::Alert(alert) = &event.what {
            writeln!(out, "{:>5}  {}: {}", "!", alert.name, alert.message)?;
        }
    }
    Ok(())
}

/// Begins to record to a file. What cannot be written yet is waited for: nothing of a capture is lost.
fn record(out: &Path, input: &Path, config: &Config) -> Result<(Eve, EveWriter)> {
    let settings = config.eve().map(|eve| eve.settings).unwrap_or_default();
    let settings = EveSettings { is_lossless: true, ..settings };
    let output: Box<dyn Write + Send> = if out.as_os_str() == "-" {
        Box::new(io::stdout())
    } else {
        if is_same_file(out, input) {
            bail!("{}: --eve would overwrite the capture that is read", out.display());
        }
        let file = File::create(out);
        Box::new(file.with_context(|| format!("cannot create {}", out.display()))?)
    };
    Ok(Eve::start(output, settings)?)
}

/// Begins to keep evidence in a directory. What cannot be written yet is waited for.
fn keep(directory: &Path, config: &Config) -> Result<(Evidence, EvidenceWriter)> {
    let settings = config.evidence().cloned();
    let settings = settings.unwrap_or_else(|| EvidenceSettings::new(directory));
    let settings =
        EvidenceSettings { directory: directory.to_owned(), is_lossless: true, ..settings };
    let cannot = || format!("cannot keep evidence in {}", directory.display());
    Evidence::start(settings).with_context(cannot)
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
pub(crate) fn is_same_file(a: &Path, b: &Path) -> bool {
    use std::os::unix::fs::MetadataExt;
    let identity = |path: &Path| std::fs::metadata(path).map(|file| (file.dev(), file.ino())).ok();
    identity(a).is_some_and(|a| Some(a) == identity(b))
}

#[cfg(not(unix))]
pub(crate) fn is_same_file(a: &Path, b: &Path) -> bool {
    a.canonicalize().is_ok_and(|a| b.canonicalize().is_ok_and(|b| a == b))
}

/// The report as JSON. A contract: fields are added, never renamed.
#[derive(Serialize)]
struct Summary {
    /// Packets in the file.
    packets: u64,
    /// Those that could not be read.
    unreadable: u64,
    /// Those that are not GENEVE.
    other: u64,
    received: u64,
    forwarded: u64,
    edited: u64,
    would: u64,
    dropped: Map<String, Value>,
    /// Of those dropped.
    rejected: u64,
    injected: u64,
    sent: u64,
    send_failed: u64,
    exceptions: Map<String, Value>,
    flows: u64,
    flows_refused: u64,
    alerts: u64,
    endpoints: Map<String, Value>,
    /// All endpoints beyond the first ten thousand.
    further_endpoints: Value,
    /// Bytes of memory that flows and fragments may take.
    memory: usize,
    /// Packets that were kept as evidence, where that was asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    kept: Option<u64>,
    seconds: f64,
}

impl Summary {
    fn of(
        report: &Report,
        engine: &Engine<Chain>,
        elapsed: Duration,
        evidence: Option<EvidenceCounters>,
    ) -> Self {
        let endpoint = |counters: &EndpointCounters| {
            let EndpointCounters { received, forwarded, bytes, .. } = counters;
            serde_json::json!({ "received": received, "forwarded": forwarded, "bytes": bytes })
        };
        let counts = |(name, count): (String, &u64)| (name, Value::from(*count));
        let dropped = report.dropped.iter().map(|(reason, count)| (reason.to_string(), count));
        let exceptions = report.exceptions.iter().map(|(class, count)| (class.to_string(), count));
        let endpoints = report.endpoints.iter().map(|(id, it)| (id.to_string(), endpoint(it)));
        Self {
            packets: report.frames.all(),
            unreadable: report.frames.unreadable,
            other: report.frames.other,
            received: report.received,
            forwarded: report.forwarded,
            edited: report.edited,
            would: report.would,
            dropped: dropped.map(counts).collect(),
            rejected: report.rejected,
            injected: report.injected,
            sent: report.sent,
            send_failed: report.send_failed,
            exceptions: exceptions.map(counts).collect(),
            flows: report.flows,
            flows_refused: report.flows_refused,
            alerts: report.alerts,
            endpoints: endpoints.collect(),
            further_endpoints: endpoint(&report.further_endpoints),
            memory: engine.memory(),
            kept: evidence.map(|evidence| evidence.written),
            seconds: elapsed.as_secs_f64(),
        }
    }
}
