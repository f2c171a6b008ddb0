//! `appliance rules`: what becomes of files of rules, and why a rule holds for a capture or does not.

use std::io::{self, Read, Write};
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

use anyhow::{Context, Result, bail};
use clap::{Args, Subcommand};
use gwlb_geneve::engine::{Engine, Settings};
use gwlb_geneve::inspectors::signatures::{
    Loader, Report, RuleProblem, RuleTrace, SignatureInspector, SignatureSettings, Signatures,
};
use gwlb_geneve::runtime::Replay;

use crate::decode::time;
use crate::{Input, arguments, capture};

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
    address_variables: Vec<String>,
    /// The same in ports: `HTTP_PORTS=[80,8080]`.
    #[arg(long = "ports", value_name = "NAME=PORTS")]
    port_variables: Vec<String>,
}

impl Given {
    fn settings(&self) -> Result<SignatureSettings> {
        let mut settings = SignatureSettings::default();
        let variables = &mut settings.variables;
        for given in &self.address_variables {
            let mut set = |(name, value): (&str, &str)| -> Result<()> {
                Ok(variables.set_addresses(name, value.parse()?)?)
            };
            split(given).and_then(&mut set).with_context(|| format!("--addresses {given}"))?;
        }
        for given in &self.port_variables {
            let mut set = |(name, value): (&str, &str)| -> Result<()> {
                Ok(variables.set_ports(name, value.parse()?)?)
            };
            split(given).and_then(&mut set).with_context(|| format!("--ports {given}"))?;
        }
        Ok(settings)
    }
}

#[derive(Args)]
pub(crate) struct Explain {
    /// The rule's number.
    #[arg(value_parser = arguments::from_one::<u32>)]
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
    let mut no_texts =
        report.errors().iter().filter(|error| matches!(error.problem, RuleProblem::NoText { .. }));
    if let Some(error) = no_texts.next() {
        no_texts.for_each(|error| crate::say(&format!("error: {error}")));
        bail!("{error}");
    }
    if report.loaded() == 0 && report.errors().is_empty() {
        let files: Vec<_> = options.files.iter().map(|file| file.display().to_string()).collect();
        let all = match report.disabled() {
            0 => "no rule is in there".into(),
            1 => "the one rule in there is disabled by a `#`".into(),
            disabled => format!("the {disabled} rules in there are disabled by a `#`"),
        };
        crate::say(&format!("warning: nothing is loaded from {}: {all}", files.join(", ")));
    }
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
    let is_name = |name: &str| {
        let is_letter = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_';
        !name.is_empty() && name.bytes().all(is_letter)
    };
    match given.split_once('=') {
        Some((name, value)) if is_name(name) => Ok((name, value)),
        Some((name, _)) => bail!(
            "expected a name of letters, digits and `_`, as rules have it behind `$`, found `{name}`"
        ),
        None => bail!("expected NAME=VALUE, found no `=`"),
    }
}

fn load(
    files: &[PathBuf],
    settings: &SignatureSettings,
) -> Result<(Vec<gwlb_geneve::inspectors::signatures::Rule>, Report)> {
    let mut loader = Loader::new(settings.variables.clone());
    for file in files {
        let name = file.display().to_string();
        let mut text = Vec::new();
        let read = capture::file(file)?.read_to_end(&mut text);
        read.with_context(|| format!("cannot read {name}"))?;
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
        let stopped = report.errors().iter().filter(|error| {
            error.sid == Some(options.sid) || matches!(error.problem, RuleProblem::NoText { .. })
        });
        match stopped.map(ToString::to_string).reduce(|all, error| format!("{all}; {error}")) {
            Some(why) => bail!("expected a rule of sid {} that loads: {why}", options.sid),
            None => bail!("expected a rule of sid {} that loads, found none", options.sid),
        }
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
