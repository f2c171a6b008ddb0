/// Why a packet has not been written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, thiserror::Error)]
#[non_exhaustive]
pub enum CraftError {
    /// The slice is too short; nothing has been written.
    #[error("packet: room for {expected} bytes expected, {found} found")]
    NoRoom {
        /// The packet's length.
        expected: usize,
        /// The slice's length.
        found: usize,
    },
    /// A source address of the other IP version than the packet that is answered.
    #[error("source address: IP version {expected} expected, {found} found")]
    Version {
        /// The packet's version.
        expected: u8,
        /// The address's version.
        found: u8,
    },
}
