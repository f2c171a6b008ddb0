use alloc::vec::Vec;
use core::fmt;
use core::time::Duration;

use thiserror::Error;

use super::WorkerError;

/// Whether an appliance should be given traffic. Its [`Display`](fmt::Display) is `ok`, or the reasons why not, a line
/// each.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct Health {
    /// Why not. Empty: all is well.
    pub reasons: Vec<Ailment>,
}

impl Health {
    /// A worker that has not ended a turn for so long does not live.
    pub const STALL: Duration = Duration::from_secs(3);

    /// A worker whose own packet was not judged for so long does not live.
    pub const CANARY: Duration = Duration::from_secs(5);

    /// Whether all is well.
    pub fn is_ok(&self) -> bool {
        self.reasons.is_empty()
    }
}

impl fmt::Display for Health {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.is_ok() {
            return f.write_str("ok");
        }
        for (n, reason) in self.reasons.iter().enumerate() {
            let separator = if n > 0 { "\n" } else { "" };
            write!(f, "{separator}{reason}")?;
        }
        Ok(())
    }
}

/// Why an appliance should be given no traffic.
#[derive(Clone, Debug, Error)]
#[non_exhaustive]
pub enum Ailment {
    /// It was told to go down.
    #[error("draining")]
    Draining,
    /// It was told to stop.
    #[error("stopped")]
    Stopped,
    /// A worker has not judged its first packet yet.
    #[error("worker {worker} has only just started")]
    Starting {
        /// The worker.
        worker: usize,
    },
    /// A worker does not end its turn.
    #[error("worker {worker} has made no progress for {} s", .since.as_secs())]
    Stalled {
        /// The worker.
        worker: usize,
        /// For how long.
        since: Duration,
    },
    /// A worker makes turns, but its own packet was not judged as it must be.
    #[error("worker {worker} has judged no packet of its own for {} s", .since.as_secs())]
    NoCanary {
        /// The worker.
        worker: usize,
        /// For how long.
        since: Duration,
    },
    /// Inspectors have panicked, or taken too long, too often.
    #[error("inspectors of worker {worker} have failed too often")]
    Inspectors {
        /// The worker.
        worker: usize,
    },
    /// A worker has ended before its time.
    #[error("worker {worker} has died: {error}")]
    Dead {
        /// The worker.
        worker: usize,
        /// Why.
        error: WorkerError,
    },
}
