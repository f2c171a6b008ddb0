use alloc::collections::TryReserveError;

use thiserror::Error;

/// Why there can be no such [`Defragmenter`](super::Defragmenter).
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum DefragError {
    /// A limit that is none, or more than can be numbered.
    #[error("defragmentation: expected {least} to {most} {what}, found {found}")]
    Limit {
        /// Of what.
        what: &'static str,
        /// The least there can be.
        least: usize,
        /// The most there can be.
        most: usize,
        /// What was asked for.
        found: usize,
    },
    /// The system has not that much memory.
    #[error("defragmentation: expected {bytes} bytes of memory, found fewer")]
    Memory {
        /// What was asked for.
        bytes: usize,
        /// The allocator's word.
        #[source]
        source: TryReserveError,
    },
}
