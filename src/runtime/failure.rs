use alloc::boxed::Box;
use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::fmt;
use std::io;

use thiserror::Error;

use super::Statistics;
use crate::engine::{EngineError, ReloadError};
use crate::flow::FragmentMapError;

/// Why an appliance was not started.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum StartError {
    /// There is nothing to receive from, or not what was asked for.
    #[error("start: expected {expected} transports, found {found}")]
    Transports {
        /// How many workers there are to be; at least one.
        expected: usize,
        /// How many transports there are.
        found: usize,
    },
    /// An engine cannot be made.
    #[error(transparent)]
    Engine(#[from] EngineError),
    /// The directory of fragments cannot be made.
    #[error(transparent)]
    Directory(#[from] FragmentMapError),
    /// The function that makes inspectors, or a rewriter, has panicked.
    #[error("start: expected inspectors, found a panic: {0}")]
    Make(String),
    /// The UDP transport cannot be opened.
    #[cfg(all(feature = "udp", target_os = "linux", target_pointer_width = "64"))]
    #[error(transparent)]
    Udp(#[from] crate::transport::udp::OpenError),
    /// The system gives no thread.
    #[error("start: expected a thread for worker {worker}: {error}")]
    Thread {
        /// The worker.
        worker: usize,
        /// The system's word.
        #[source]
        error: io::Error,
    },
}

/// Why a worker has ended before its time.
#[derive(Clone, Debug, Error)]
#[non_exhaustive]
pub enum WorkerError {
    /// Its transport is gone.
    #[error("the transport cannot receive any more: {0}")]
    Transport(#[source] Arc<io::Error>),
    /// It panicked, outside of what an engine contains, too often.
    #[error("it panicked {times} times, the last time: {message}")]
    Panic {
        /// How often within a minute.
        times: usize,
        /// What the panic said.
        message: String,
    },
    /// After a panic, there was no engine to go on with.
    #[error("it panicked, and its engine could not be made anew: {0}")]
    Engine(String),
}

/// Why an appliance did not end in good order.
#[derive(Debug)]
pub struct RunError {
    /// Which workers have ended before their time, and why.
    pub workers: Vec<(usize, WorkerError)>,
    /// What was done all the same.
    pub statistics: Box<Statistics>,
}

impl fmt::Display for RunError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (n, (worker, error)) in self.workers.iter().enumerate() {
            let separator = if n > 0 { "; " } else { "" };
            write!(f, "{separator}worker {worker} has died: {error}")?;
        }
        Ok(())
    }
}

impl core::error::Error for RunError {}

/// Why nothing was changed.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum ReloadFailed {
    /// What differs can only be changed by a restart.
    #[error("reload: expected these settings as they were, found others: {}; they need a restart", .fields.join(", "))]
    Restart {
        /// The names of the fields of [`Settings`](crate::engine::Settings).
        fields: Vec<&'static str>,
    },
    /// The inspectors cannot be meant so, or too many sets of them are in use.
    #[error(transparent)]
    Engine(#[from] ReloadError),
    /// The function that makes inspectors has panicked.
    #[error("reload: expected inspectors, found a panic: {0}")]
    Make(String),
    /// Workers do not answer, so that it could take effect in part only.
    #[error("reload: expected an answer of every worker, found workers {workers:?} silent")]
    Silent {
        /// Their numbers.
        workers: Vec<usize>,
    },
    /// The appliance has ended, or is about to.
    #[error("reload: expected a running appliance, found it ending")]
    Ending,
}

/// What a panic said.
pub(super) fn message(panic: &(dyn core::any::Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().copied();
    let text = text.or_else(|| panic.downcast_ref::<String>().map(String::as_str));
    text.unwrap_or("(no message)").into()
}
