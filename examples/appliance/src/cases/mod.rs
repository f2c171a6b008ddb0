//! `appliance test`: captures as regression tests.

mod junit;

use std::fs;
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, anyhow, bail};
use clap::Args;
use gwlb_geneve::config::Config;
use gwlb_geneve::engine::Engine;
use gwlb_geneve::geneve::UDP_PORT;
use gwlb_geneve::runtime::{Expectations, Replay};

use crate::replay::is_same_file;
use crate::visible::visible;
use crate::{Input, capture, is_broken_pipe, say, setup};

#[derive(Args)]
pub(crate) struct Options {
    /// The folder with the captures and what is expected of each; or one file `NAME.expect.toml`.
    path: PathBuf,
    /// The configuration of the cases that name none of their own. Without it that is `appliance.toml` in the folder, where there is
    /// one.
    #[arg(long, value_name = "CONFIG.toml")]
    config: Option<PathBuf>,
    /// Write the results as `JUnit` XML, too.
    #[arg(long, value_name = "OUT.xml")]
    junit: Option<PathBuf>,
}

pub(crate) fn run(options: &Options) -> ExitCode {
    match test(options) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) if is_broken_pipe(&error) => ExitCode::FAILURE,
        Err(error) => {
            say(&format!("error: {error:#}"));
            ExitCode::FAILURE
        }
    }
}

/// Whether all is as expected.
fn test(options: &Options) -> Result<bool> {
    let found = Found::of(&options.path)?;
    let common = match &options.config {
        Some(config) => Some(config.clone()),
        None => Some(found.folder.join(COMMON)).filter(|file| file.is_file()),
    };
    // Before the tests: whoever waits for it should not wait in vain.
    let junit = match &options.junit {
        Some(file) => {
            let mut read =
                found.cases.iter().map(|(_, file)| file.as_path()).chain(common.as_deref());
            if read.any(|read| is_same_file(file, read)) {
                bail!("{}: --junit would overwrite a file that is read", file.display());
            }
            let created = fs::File::create(file);
            Some(created.with_context(|| format!("cannot create {}", file.display()))?)
        }
        None => None,
    };
    let mut out = BufWriter::new(io::stdout());
    writeln!(out, "running {}", counted(found.cases.len(), "case"))?;
    let mut results = Vec::new();
    for (name, file) in &found.cases {
        let started = Instant::now();
        let outcome = case(&found.folder, name, file, common.as_deref());
        let took = started.elapsed();
        let result = CaseResult { name: name.clone(), outcome, took };
        writeln!(out, "case {} ... {}", visible(name), result.outcome.word())?;
        for line in result.outcome.lines() {
            writeln!(out, "    {}", visible(line))?;
        }
        out.flush()?;
        results.push(result);
    }
    for capture in &found.unexpected {
        writeln!(out, "case {0} ... ignored: no {0}{EXPECT}", visible(capture))?;
    }
    let passed = results.iter().filter(|it| matches!(it.outcome, Outcome::Passed)).count();
    let (failed, ignored) = (results.len() - passed, found.unexpected.len());
    let word = if failed == 0 { "ok" } else { "FAILED" };
    writeln!(out, "\nresult: {word}. {passed} passed; {failed} failed; {ignored} ignored")?;
    out.flush()?;
    if let (Some(file), Some(path)) = (junit, &options.junit) {
        let xml = junit::xml(&found.folder, &results, &found.unexpected);
        let mut file = file;
        file.write_all(xml.as_bytes())
            .with_context(|| format!("cannot write {}", path.display()))?;
    }
    Ok(failed == 0)
}

/// How the name of a file ends that says what is expected.
const EXPECT: &str = ".expect.toml";
/// The configuration of a folder.
const COMMON: &str = "appliance.toml";

/// What is in a folder.
struct Found {
    folder: PathBuf,
    /// Names, and the files that say what is expected.
    cases: Vec<(String, PathBuf)>,
    /// Captures of which nothing is expected.
    unexpected: Vec<String>,
}

impl Found {
    fn of(path: &Path) -> Result<Self> {
        let shown = path.display();
        if !path.is_dir() {
            let name = path.file_name().map(|name| name.to_string_lossy().into_owned());
            let name = name.as_deref().and_then(|name| name.strip_suffix(EXPECT));
            let Some(name) = name.filter(|_| path.is_file()) else {
                bail!("{shown}: expected a folder or a file *{EXPECT}, found neither");
            };
            let folder = path.parent().unwrap_or(Path::new("")).to_owned();
            let cases = vec![(name.to_string(), path.to_owned())];
            return Ok(Self { folder, cases, unexpected: Vec::new() });
        }
        let (mut cases, mut captures) = (Vec::new(), Vec::new());
        let entries = fs::read_dir(path).with_context(|| format!("cannot read {shown}"))?;
        for entry in entries {
            let file = entry.with_context(|| format!("cannot read {shown}"))?.path();
            let name = file.file_name().map(|name| name.to_string_lossy().into_owned());
            let name = name.unwrap_or_default();
            if let Some(name) = name.strip_suffix(EXPECT) {
                cases.push((name.to_string(), file));
            } else if let Some(name) = capture_name(&name) {
                captures.push(name.to_string());
            }
        }
        if cases.is_empty() {
            bail!("{shown}: expected files *{EXPECT}, found none");
        }
        cases.sort();
        captures.sort();
        captures.dedup();
        captures.retain(|capture| !cases.iter().any(|(name, _)| name == capture));
        Ok(Self { folder: path.to_owned(), cases, unexpected: captures })
    }
}

fn capture_name(file: &str) -> Option<&str> {
    file.strip_suffix(".pcap").or_else(|| file.strip_suffix(".pcapng"))
}

/// One case and how it went.
struct CaseResult {
    name: String,
    outcome: Outcome,
    took: Duration,
}

enum Outcome {
    Passed,
    /// What was not as expected, line by line.
    Failed(Vec<String>),
    /// Why it could not be run.
    Broken(Vec<String>),
}

impl Outcome {
    fn word(&self) -> &'static str {
        match self {
            Self::Passed => "ok",
            Self::Failed(_) | Self::Broken(_) => "FAILED",
        }
    }

    fn lines(&self) -> &[String] {
        match self {
            Self::Passed => &[],
            Self::Failed(lines) | Self::Broken(lines) => lines,
        }
    }
}

fn case(folder: &Path, name: &str, file: &Path, common: Option<&Path>) -> Outcome {
    match judge(folder, name, file, common) {
        Ok(unmet) if unmet.is_empty() => Outcome::Passed,
        Ok(unmet) => Outcome::Failed(unmet),
        Err(problems) => Outcome::Broken(problems),
    }
}

/// What was not as expected; or why there is no telling.
fn judge(
    folder: &Path,
    name: &str,
    file: &Path,
    common: Option<&Path>,
) -> Result<Vec<String>, Vec<String>> {
    let one = |error: anyhow::Error| vec![format!("{error:#}")];
    let text = fs::read_to_string(file)
        .with_context(|| format!("cannot read {}", file.display()))
        .map_err(one)?;
    let expectations = Expectations::parse(&text).map_err(|errors| {
        let errors = errors.errors().iter();
        errors.map(|error| format!("{}: {error}", file.display())).collect::<Vec<_>>()
    })?;
    let config = match (expectations.config(), common) {
        (Some(config), _) => setup::read(&folder.join(config))?,
        (None, Some(config)) => setup::read(config)?,
        (None, None) => Config::default(),
    };
    let input = Input {
        file: capture_of(folder, name, &expectations).map_err(one)?,
        ports: match expectations.ports() {
            [] => vec![UDP_PORT],
            ports => ports.to_vec(),
        },
    };
    let frames = capture::open(&input).map_err(one)?;
    let engine = Engine::new(config.settings(), config.inspectors());
    let mut engine = engine.map_err(|error| one(anyhow!(error)))?;
    let checked = expectations.check(Replay::new(frames), &mut engine);
    let checked = checked.map_err(|error| one(anyhow!(error)))?;
    let mut unmet: Vec<_> =
        checked.unmet.iter().map(|unmet| format!("{}: {unmet}", file.display())).collect();
    // Damage is a mistake, unless so much of it is expected.
    if !unmet.is_empty() || !expectations.expects_damage() {
        let problems = checked.report.problems.into_iter();
        let shown = input.file.display();
        unmet.extend(problems.map(|problem| format!("{shown}: {:#}", anyhow!(problem))));
    }
    Ok(unmet)
}

/// The capture that a case is about.
fn capture_of(folder: &Path, name: &str, expectations: &Expectations) -> Result<PathBuf> {
    if let Some(capture) = expectations.capture() {
        return Ok(folder.join(capture));
    }
    let candidates = ["pcap", "pcapng"].map(|end| folder.join(format!("{name}.{end}")));
    let mut found = candidates.iter().filter(|file| file.exists());
    match (found.next(), found.next()) {
        (Some(file), None) => Ok(file.clone()),
        (None, _) => bail!("expected the capture {name}.pcap or {name}.pcapng, found neither"),
        (Some(_), Some(_)) => {
            bail!(
                "expected one capture, found both {name}.pcap and {name}.pcapng: name one with `capture`"
            )
        }
    }
}

fn counted(count: usize, what: &str) -> String {
    if count == 1 { format!("1 {what}") } else { format!("{count} {what}s") }
}
