/// How much memory streams may take.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StreamLimits {
    /// Bytes of memory for all that is remembered of all connections: a hard cap, bookkeeping included. 128 MiB by
    /// default; it is taken from the system as it is needed and never given back. A direction of a connection of which more than
    /// 256 bytes are to be remembered takes it in blocks of 4.5 KiB, of which the default has 29,000.
    pub bytes: usize,
    /// How many of these one endpoint may have, so that none takes the memory of all: 64 KiB at least, 96 MiB by
    /// default.
    pub bytes_per_endpoint: usize,
    /// How far out of order bytes may be to be remembered, in bytes after the next one in order, for each direction
    /// of each connection. 1 MiB by default.
    pub window: u32,
    /// The most connections that are followed at a time, 100,000 by default. The [`Pool`](super::Pool) does not count
    /// them; who keeps the [`Connection`](super::Connection)s does.
    pub connections: usize,
    /// How many of these one endpoint may have. 75,000 by default.
    pub connections_per_endpoint: usize,
}

impl Default for StreamLimits {
    fn default() -> Self {
        Self {
            bytes: 128 << 20,
            bytes_per_endpoint: 96 << 20,
            window: 1 << 20,
            connections: 100_000,
            connections_per_endpoint: 75_000,
        }
    }
}
