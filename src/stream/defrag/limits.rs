use core::time::Duration;

use super::DefragError;
use super::memory::Memory;

/// How much may be remembered of datagrams that are not whole, and for how long.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DefragLimits {
    /// Bytes of memory for fragments: a hard cap. 16 MiB by default; it is taken from the system as it is needed.
    pub bytes: usize,
    /// How many of these one endpoint may have. 8 MiB by default.
    pub bytes_per_endpoint: usize,
    /// Datagrams that are remembered at a time, 1 to 65,536: those under way, and the names of those that were whole or
    /// refused. 8,192 by default.
    pub datagrams: usize,
    /// How many of these one endpoint may have. 4,096 by default.
    pub datagrams_per_endpoint: usize,
    /// How long a datagram is remembered from its latest fragment on, by the time stamps of packets. It must not be shorter
    /// than any receiver waits, or bytes that are forgotten here are put together there: 60 seconds by default
    /// (RFC 8200 §4.5).
    pub lifetime: Duration,
}

/// The most fragments that a datagram may have: enough for the longest in packets of 576 bytes, which every IPv4 network
/// carries (RFC 791 §3.2).
pub const MAX_FRAGMENTS: usize = 128;

/// The longest header before the data of a first fragment, in bytes, IPv6 extension headers included.
pub const MAX_HEADER_LEN: usize = Memory::BLOCK;

/// The longest packet that comes out of fragments, in bytes: the longest payload behind an IPv6 header.
pub const MAX_PACKET_LEN: usize = 40 + 65_535;

impl Default for DefragLimits {
    fn default() -> Self {
        Self {
            bytes: 16 << 20,
            bytes_per_endpoint: 8 << 20,
            datagrams: 8_192,
            datagrams_per_endpoint: 4_096,
            lifetime: Duration::from_secs(60),
        }
    }
}

impl DefragLimits {
    pub(super) fn check(&self) -> Result<(), DefragError> {
        let bytes = [("bytes", self.bytes), ("bytes per endpoint", self.bytes_per_endpoint)];
        let datagrams = [
            ("datagrams", self.datagrams),
            ("datagrams per endpoint", self.datagrams_per_endpoint),
        ];
        let bytes = bytes.map(|(what, found)| (what, found, Memory::LEAST, Memory::MOST));
        let datagrams = datagrams.map(|(what, found)| (what, found, 1, 1 << 16));
        for (what, found, least, most) in bytes.into_iter().chain(datagrams) {
            if !(least..=most).contains(&found) {
                return Err(DefragError::Limit { what, least, most, found });
            }
        }
        Ok(())
    }
}
