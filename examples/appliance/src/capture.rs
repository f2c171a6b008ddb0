//! Opening a capture file, and saying what was wrong with it.

use std::fs::File;
use std::io::{BufReader, IsTerminal, Read};
use std::path::Path;

use anyhow::{Context, Result, anyhow, bail};
use gwlb_geneve::capture::Reader;
use gwlb_geneve::runtime::{FrameCounters, FrameError, Frames};
use indicatif::{ProgressBar, ProgressStyle};

use crate::{Input, say};

/// The frames of a file, with a progress bar on standard error where that is a terminal.
pub(crate) fn open(input: &Input) -> Result<Frames<impl Read + use<>>> {
    let path = input.file.display();
    let file = file(&input.file)?;
    let len = file.metadata().with_context(|| format!("cannot open {path}"))?.len();
    let file = progress(len).wrap_read(file);
    let reader =
        Reader::new(BufReader::with_capacity(64 << 10, file)).with_context(|| path.to_string())?;
    Ok(Frames::new(reader).with_ports(input.ports.iter().copied()))
}

/// A file that is there, and is none of directories, whose errors come only when they are read.
pub(crate) fn file(path: &Path) -> Result<File> {
    let cannot_open = || format!("cannot open {}", path.display());
    let file = File::open(path).with_context(cannot_open)?;
    if file.metadata().with_context(cannot_open)?.is_dir() {
        bail!("{}: expected a file, found a directory", cannot_open());
    }
    Ok(file)
}

fn progress(len: u64) -> ProgressBar {
    if len == 0 || !std::io::stderr().is_terminal() {
        return ProgressBar::hidden();
    }
    let style =
        ProgressStyle::with_template("{wide_bar} {bytes}/{total_bytes} {bytes_per_sec} {eta}")
            .unwrap_or_else(|_| ProgressStyle::default_bar());
    ProgressBar::new(len).with_style(style).with_finish(indicatif::ProgressFinish::AndClear)
}

/// Whether there is nothing to tell but [`finish`]'s error.
pub(crate) fn is_hopeless(counters: &FrameCounters) -> bool {
    counters.unreadable > 0 && counters.unreadable == counters.all()
}

/// An error where something could not be read: of one problem the problem, of several their number, after each has been
/// said.
pub(crate) fn finish(
    file: &Path,
    counters: &FrameCounters,
    problems: impl IntoIterator<Item = FrameError>,
) -> Result<()> {
    let file = file.display();
    let mut problems: Vec<_> = problems.into_iter().map(|problem| anyhow!(problem)).collect();
    if problems.len() > 1 {
        for problem in &problems {
            say(&format!("{file}: {problem:#}"));
        }
        bail!("{file}: {} packets could not be read", counters.unreadable);
    }
    match problems.pop() {
        Some(problem) => Err(problem).with_context(|| file.to_string()),
        None => Ok(()),
    }
}
