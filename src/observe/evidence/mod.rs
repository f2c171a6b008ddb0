//! Evidence: flows that inspectors have [marked](crate::inspect::Context::capture), and alerts where
//! [that is wanted](crate::engine::Settings::capture_alerts), as pcapng files.
//!
//! A packet is written from its outer IPv4 header on, with all that the load balancer says of it, as it came; one that was edited
//! as it went. What brought it about stands in a comment on the packet: alerts, the rule of a
//! [tap](crate::inspectors::tap), and why it was not forwarded, where it was not.
//!
//! [`EvidenceRecorder`] hands packets to a queue of so many bytes, which a thread writes out: who judges waits for no disk, and what
//! finds no room is counted. The newest file of a directory is written; when it is full, the next one is begun, and the oldest
//! ones make room. A directory that is gone is made anew, and a disk that is full is tried again with the next packets.
//! What could not be written until then is counted.
//!
//! ```
//! use gwlb_geneve::engine::Settings;
//! use gwlb_geneve::inspect::Severity;
//! use gwlb_geneve::observe::evidence::{Evidence, EvidenceRecorder, EvidenceSettings};
//!
//! # let directory = std::env::temp_dir().join(format!("evidence-doc-{}", std::process::id()));
//! let (evidence, writer) = Evidence::start(EvidenceSettings::new(&directory))?;
//! let settings = Settings { capture_alerts: Some(Severity::Warning), ..Settings::default() };
//! let recorder = EvidenceRecorder::new(evidence.clone());
//! # let _ = (settings, recorder);
//! writer.finish();
//! assert_eq!(evidence.counters().written, 0);
//! # std::fs::remove_dir_all(directory)?;
//! # Ok::<(), std::io::Error>(())
//! ```

mod files;
mod record;
mod recorder;
#[cfg(test)]
mod tests;

use alloc::sync::Arc;
use core::fmt;
use core::sync::atomic::{AtomicU64, Ordering};
use std::io;
use std::path::PathBuf;
use std::thread::{self, JoinHandle};

pub use recorder::EvidenceRecorder;

use super::backlog::Backlog;
use files::Files;

/// Where evidence is kept, and how much of it.
///
/// The directory never holds more than `files` files of `file_size` bytes, those of earlier runs among them, and nobody else should
/// put files of their names there: `evidence-00000001.pcapng`, and so on upward.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EvidenceSettings {
    /// The directory, which is made if it is not there.
    pub directory: PathBuf,
    /// Bytes of a file, at least [`LEAST_FILE_SIZE`](Self::LEAST_FILE_SIZE). By default 64 MiB.
    pub file_size: u64,
    /// How many files there may be, at least one. By default 16.
    pub files: usize,
    /// Bytes that may wait to be written; twice as many are reserved. By default 4 MiB.
    pub queue: usize,
    /// Whether who finds no room waits for it, rather than lose a packet: for captures. By default not.
    pub is_lossless: bool,
}

impl EvidenceSettings {
    /// The least that a file may be given: more than any packet takes.
    pub const LEAST_FILE_SIZE: u64 = 256 << 10;

    /// 1 GiB at most, in this directory.
    pub fn new(directory: impl Into<PathBuf>) -> Self {
        Self {
            directory: directory.into(),
            file_size: 64 << 20,
            files: 16,
            queue: 4 << 20,
            is_lossless: false,
        }
    }
}

/// Where evidence goes: a queue of so many bytes, which a thread writes out. Cloned, it is the same queue.
#[derive(Clone)]
pub struct Evidence {
    shared: Arc<Shared>,
}

struct Shared {
    settings: EvidenceSettings,
    backlog: Backlog,
    counts: Counts,
}

/// What the thread that writes has done.
#[derive(Debug, Default)]
struct Counts {
    written: AtomicU64,
    bytes: AtomicU64,
    failed: AtomicU64,
    files: AtomicU64,
}

/// What has become of packets that were to be kept.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct EvidenceCounters {
    /// Packets in files, those among them that have been deleted since.
    pub written: u64,
    /// Bytes that these files have taken.
    pub bytes: u64,
    /// Packets that found no room in the queue.
    pub dropped: u64,
    /// Packets that could not be written.
    pub failed: u64,
    /// Files that were begun.
    pub files: u64,
}

impl Evidence {
    /// Makes the directory, and begins to write to it, from a thread of its own. There is no file before there is a packet.
    ///
    /// # Errors
    ///
    /// Where there can be no such directory, or no thread. What goes wrong later is counted, and tried again.
    pub fn start(settings: EvidenceSettings) -> io::Result<(Self, EvidenceWriter)> {
        files::make(&settings.directory)?;
        let backlog = Backlog::new(settings.queue, settings.is_lossless);
        let shared = Arc::new(Shared { settings, backlog, counts: Counts::default() });
        let its = Arc::clone(&shared);
        let thread = thread::Builder::new().name("evidence".into()).spawn(move || its.write())?;
        Ok((Self { shared: Arc::clone(&shared) }, EvidenceWriter { shared, thread: Some(thread) }))
    }

    /// Where it is kept.
    pub fn settings(&self) -> &EvidenceSettings {
        &self.shared.settings
    }

    /// What has become of packets so far.
    pub fn counters(&self) -> EvidenceCounters {
        let Shared { counts, backlog, .. } = &*self.shared;
        EvidenceCounters {
            written: counts.written.load(Ordering::Relaxed),
            bytes: counts.bytes.load(Ordering::Relaxed),
            dropped: backlog.dropped(),
            failed: counts.failed.load(Ordering::Relaxed),
            files: counts.files.load(Ordering::Relaxed),
        }
    }

    fn give(&self, record: &[u8]) {
        self.shared.backlog.give(record);
    }
}

impl Shared {
    /// Writes until no more will come.
    fn write(&self) {
        let mut files = Files::new(&self.settings, &self.counts);
        let mut bytes = alloc::vec::Vec::with_capacity(self.settings.queue);
        while self.backlog.take(&mut bytes) {
            files.write(&bytes);
            bytes.clear();
        }
    }
}

impl fmt::Debug for Evidence {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Evidence")
            .field("settings", self.settings())
            .field("counters", &self.counters())
            .finish()
    }
}

/// The thread that writes evidence. Dropped, it writes what is queued and ends.
pub struct EvidenceWriter {
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
}

impl EvidenceWriter {
    /// Writes what is queued. What comes after is counted as dropped.
    pub fn finish(mut self) {
        self.end();
    }

    fn end(&mut self) {
        self.shared.backlog.close();
        if let Some(thread) = self.thread.take() {
            // Nothing in it panics; and if it did, there would be nothing left to do.
            let _ = thread.join();
        }
    }
}

impl Drop for EvidenceWriter {
    fn drop(&mut self) {
        self.end();
    }
}

impl fmt::Debug for EvidenceWriter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("EvidenceWriter").finish_non_exhaustive()
    }
}
