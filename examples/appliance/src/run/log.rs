use std::io::{self, Write};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};
use std::thread;
use std::time::Duration;

use anyhow::{Result, anyhow};
use gwlb_geneve::config::LogFormat;
use tracing_subscriber::fmt::MakeWriter;

/// The log, on standard error. A thread of its own writes: a worker never waits for whoever reads it.
#[derive(Clone)]
pub(super) struct Log {
    lines: SyncSender<Message>,
    lost: Arc<AtomicU64>,
}

enum Message {
    Line(Vec<u8>),
    /// Everything before it is to be written, and then this be dropped.
    Flush(SyncSender<()>),
}

/// Lines that wait to be written.
const MOST: usize = 4_096;

impl Log {
    /// From now on everything that is traced is logged.
    pub(super) fn start(format: LogFormat) -> Result<Self> {
        let (lines, waiting) = sync_channel(MOST);
        let lost = Arc::new(AtomicU64::new(0));
        let log = Self { lines, lost: Arc::clone(&lost) };
        thread::Builder::new().name("log".into()).spawn(move || write(&waiting, &lost))?;
        let builder = tracing_subscriber::fmt().with_ansi(false).with_writer(log.clone());
        match format {
            LogFormat::Json => builder.json().flatten_event(true).try_init(),
            _ => builder.try_init(),
        }
        .map_err(|error| anyhow!(error))?;
        Ok(log)
    }

    /// Waits until what was logged is written, if somebody reads it.
    pub(super) fn flush(&self) {
        let (done, wait) = sync_channel(0);
        if self.lines.try_send(Message::Flush(done)).is_ok() {
            let _ = wait.recv_timeout(Duration::from_secs(1));
        }
    }
}

impl<'a> MakeWriter<'a> for Log {
    type Writer = &'a Self;

    fn make_writer(&'a self) -> &'a Self {
        self
    }
}

/// Takes whole lines.
impl Write for &Log {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        if let Err(TrySendError::Full(_)) = self.lines.try_send(Message::Line(line.to_vec())) {
            self.lost.fetch_add(1, Ordering::Relaxed);
        }
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// If nobody can read it, there is nobody to tell.
fn write(waiting: &Receiver<Message>, lost: &AtomicU64) {
    let mut stderr = io::stderr();
    for message in waiting {
        match message {
            Message::Line(line) => {
                let _ = stderr.write_all(&line);
            }
            Message::Flush(done) => drop(done),
        }
        let lost = lost.swap(0, Ordering::Relaxed);
        if lost > 0 {
            tracing::warn!(lines = lost, "the log was read too slowly: so many lines are lost");
        }
    }
}
