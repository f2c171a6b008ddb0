use alloc::collections::TryReserveError;

use thiserror::Error;

use crate::flow::{FlowTableError, FragmentMapError};
use crate::inspect::BuildError;
use crate::stream::StreamError;
use crate::stream::defrag::DefragError;

/// Why there can be no such engine.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum EngineError {
    /// The inspectors cannot be meant so.
    #[error(transparent)]
    Inspectors(#[from] BuildError),
    /// The flow table cannot be made.
    #[error(transparent)]
    Flows(#[from] FlowTableError),
    /// The map of fragments cannot be made.
    #[error(transparent)]
    Fragments(#[from] FragmentMapError),
    /// There is no memory for streams.
    #[error(transparent)]
    Streams(#[from] StreamError),
    /// There is no memory for datagrams in fragments.
    #[error(transparent)]
    Defrag(#[from] DefragError),
    /// There is no memory for connections.
    #[error("connections: expected memory for them, found none: {0}")]
    Connections(#[from] TryReserveError),
}

/// Why inspectors were not replaced.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum ReloadError {
    /// The inspectors cannot be meant so.
    #[error(transparent)]
    Inspectors(#[from] BuildError),
    /// Flows are still going on under too many that were replaced before.
    #[error(
        "reload: expected flows under fewer than {most} sets of inspectors, found flows under {most}; wait until \
         those of the oldest have ended"
    )]
    TooMany {
        /// The most there can be.
        most: usize,
    },
}
