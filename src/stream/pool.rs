use super::{StreamError, StreamLimits};

/// The memory for the bytes of connections: those that wait for others before them, and those that were forwarded
/// and are not acknowledged.
#[derive(Debug)]
pub struct Pool {
    limits: StreamLimits,
}

impl Pool {
    /// A pool of `limits.bytes`, all of them reserved.
    ///
    /// # Errors
    ///
    /// See [`StreamError`].
    pub fn new(limits: StreamLimits) -> Result<Self, StreamError> {
        Ok(Self { limits })
    }

    /// What it was made for.
    pub const fn limits(&self) -> &StreamLimits {
        &self.limits
    }

    /// The bytes of memory that are in use, of [`StreamLimits::bytes`]; bookkeeping included.
    pub const fn used(&self) -> usize {
        0
    }
}
