//! `appliance rules`: what becomes of files of rules, and why a rule holds for a capture or does not.

use std::io::{self, Write};
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

use anyhow::{Context, Result, bail};
use clap::{Args, Subcommand};
use gwlb_geneve::engine::{Engine, Settings};
use gwlb_geneve::inspectors::signatures::{
    Loader, Report, RuleTrace, SignatureInspector, SignatureSettings, Signatures,
};
use gwlb_geneve::runtime::Replay;

use crate::decode::time;
use crate::{Input, capture};

#[derive(Subcommand)]
pub(crate) enum Command {
    /// Say which rules of files load, and what stops the others, with file, line and column. Fails where any is stopped.
    Check(Check),
    /// Say step by step why a rule holds for what is in a capture, or does not.
    Explain(Explain),
}

#[derive(Args)]
pub(crate) struct Check {
    /// Files of rules, as Suricata reads them.
    #[arg(required = true)]
    files: Vec<PathBuf>,
    #[command(flatten)]
    given: Given,
}

/// What rules call by name.
#[derive(Args)]
struct Given {
    /// Give to `$NAME` in addresses: `HOME_NET=[10.0.0.0/8]`.
    #[arg(long = "addresses", value_name = "NAME=ADDRESSES")]
    addresses: Vec<String>,
    /// The same in ports: `HTTP_PORTS=[80,8080]`.
    #[arg(long = "ports", value_name = "NAME=PORTS")]
    ports: Vec<String>,
}

impl Given {
    fn settings(&self) -> Result<SignatureSettings> {
        let mut settings = SignatureSettings::default();
        for given in &self.addresses {
            let (name, value) = split(given)?;
            settings.variables.set_addresses(name, value.parse()?)?;
        }
        for given in &self.ports {
            let (name, value) = split(given)?;
            settings.variables.set_ports(name, value.parse()?)?;
        }
        Ok(settings)
    }
}

#[derive(Args)]
pub(crate) struct Explain {
    /// The rule's number.
    sid: u32,
    #[command(flatten)]
    input: Input,
    /// The file that the rule is in; give it again for more.
    #[arg(long = "rules", value_name = "FILE", required = true)]
    rules: Vec<PathBuf>,
    /// Tell only where it holds.
    #[arg(long)]
    holds: bool,
    #[command(flatten)]
    given: Given,
}

pub(crate) fn run(command: &Command) -> Result<()> {
    match command {
        Command::Check(options) => check(options),
        Command::Explain(options) => explain(options),
    }
}

fn check(options: &Check) -> Result<()> {
    let settings = options.given.settings()?;
    let (rules, report) = load(&options.files, &settings)?;
    let signatures = Signatures::new(&rules, &settings);
    let mut out = io::stdout().lock();
    write!(out, "{report}")?;
    for (id, problem) in signatures.problems() {
        writeln!(out, "sid {}: {problem}", id.sid)?;
    }
    let stopped = report.errors().len() + signatures.problems().len();
    let memory = signatures.prefilter_memory() / 1024;
    writeln!(out, "{} rules are looked for, by patterns of {memory} KiB", signatures.len())?;
    if stopped > 0 {
        bail!("{stopped} rules are not looked for");
    }
    Ok(())
}

fn split(given: &str) -> Result<(&str, &str)> {
    given.split_once('=').with_context(|| format!("expected NAME=VALUE, found {given:?}"))
}

fn load(
    files: &[PathBuf],
    settings: &SignatureSettings,
) -> Result<(Vec<gwlb_geneve::inspectors::signatures::Rule>, Report)> {
    let mut loader = Loader::new(settings.variables.clone());
    for file in files {
        let name = file.display().to_string();
        let text = std::fs::read(file).with_context(|| format!("cannot read {name}"))?;
        loader.add(&name, &text);
    }
    let loaded = loader.finish();
    let report = loaded.report().clone();
    Ok((loaded.into_rules(), report))
}

fn explain(options: &Explain) -> Result<()> {
    let mut settings = options.given.settings()?;
    let (rules, report) = load(&options.rules, &settings)?;
    let Some(rule) = rules.into_iter().find(|rule| rule.id.sid == options.sid) else {
        for error in report.errors().iter().filter(|error| error.sid == Some(options.sid)) {
            crate::say(&error.to_string());
        }
        bail!("expected a rule of sid {} that loads, found none", options.sid);
    };
    settings.explains = true;
    let signatures = Arc::new(Signatures::new(&[rule], &settings));
    if let Some((_, problem)) = signatures.problems().first() {
        bail!("sid {}: {problem}", options.sid);
    }
    let traces: Arc<Mutex<Vec<RuleTrace>>> = Arc::default();
    let make = {
        let traces = Arc::clone(&traces);
        move || {
            let traces = Arc::clone(&traces);
            SignatureInspector::new(Arc::clone(&signatures)).traced(move |trace| {
                traces.lock().unwrap_or_else(PoisonError::into_inner).push(trace.clone());
            })
        }
    };
    let engine_settings = Settings { monitor: true, ..Settings::default() };
    let mut engine = Engine::new(engine_settings, make)?;
    let mut out = io::stdout().lock();
    let (mut asked, mut held) = (0_u64, 0_u64);
    Replay::new(capture::open(&options.input)?)
        .run(&mut engine, |_| {
            for trace in traces.lock().unwrap_or_else(PoisonError::into_inner).drain(..) {
                asked += 1;
                held += u64::from(trace.holds);
                if trace.holds || !options.holds {
                    let _ = writeln!(out, "{}, {trace}", time(trace.time));
                }
            }
        })
        .with_context(|| options.input.file.display().to_string())?;
    writeln!(out, "sid {} was asked {asked} times and held {held} times", options.sid)?;
    if asked == 0 {
        writeln!(
            out,
            "no packet, stream or message is between the ends that it is for, or has what it looks at"
        )?;
    }
    Ok(())
}
