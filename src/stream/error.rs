use alloc::collections::TryReserveError;

use thiserror::Error;

/// Why there can be no such [`Pool`](super::Pool).
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum StreamError {
    /// Memory for next to nothing, or for more than can be numbered.
    #[error("stream memory: expected {least} to {most} bytes, found {found}")]
    Bytes {
        /// The least there can be.
        least: usize,
        /// The most there can be.
        most: usize,
        /// What was asked for.
        found: usize,
    },
    /// A window of nothing, or one that no receiver can offer (RFC 7323 §2.3).
    #[error("stream window: expected 1 to {most} bytes, found {found}")]
    Window {
        /// The most there can be.
        most: u32,
        /// What was asked for.
        found: u32,
    },
    /// The system has not that much memory.
    #[error("stream memory: expected {bytes} bytes, found fewer")]
    Memory {
        /// What was asked for.
        bytes: usize,
        /// The allocator's word.
        #[source]
        source: TryReserveError,
    },
}
