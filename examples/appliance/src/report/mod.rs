//! `appliance replay --report`: what a capture was and what became of it, on one page.

mod chart;
mod dissect;
mod evidence;
mod html;
mod page;
mod tally;

use std::fs::File;
use std::io::Write;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use gwlb_geneve::runtime::{JudgedPacket, ReplayedFrame, Report};

use crate::flows::{Flow, Flows};
use evidence::Evidence;
use tally::Tally;

/// A report under way.
pub(crate) struct PageReport {
    file: File,
    path: PathBuf,
    tally: Tally,
    evidence: Evidence,
}

impl PageReport {
    /// Creates its file, so that it is known early whether that can be written.
    pub(crate) fn create(path: &Path) -> Result<Self> {
        let file =
            File::create(path).with_context(|| format!("cannot create {}", path.display()))?;
        let (tally, evidence) = (Tally::default(), Evidence::default());
        Ok(Self { file, path: path.to_owned(), tally, evidence })
    }

    /// Takes a packet in.
    pub(crate) fn see(
        &mut self,
        frame: &ReplayedFrame<'_>,
        judged: &JudgedPacket<'_>,
        flow: Option<&Flow>,
    ) {
        self.tally.see(judged, flow);
        self.evidence.see(&frame.frame, judged, flow);
    }

    /// Writes it.
    pub(crate) fn finish(self, about: &About<'_>, report: &Report, flows: &Flows) -> Result<()> {
        let page = page::page(about, report, flows, &self.tally, &self.evidence);
        let Self { mut file, path, .. } = self;
        file.write_all(page.as_bytes()).with_context(|| format!("cannot write {}", path.display()))
    }
}

/// What was judged, and by what.
pub(crate) struct About<'a> {
    pub(crate) capture: &'a Path,
    pub(crate) config: Option<&'a Path>,
}
