/// Why a packet has not been written. The slice is then as it was.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, thiserror::Error)]
#[non_exhaustive]
pub enum CraftError {
    /// The slice is too short.
    #[error("packet: room for {expected} bytes expected, {found} found")]
    NoRoom {
        /// The packet's length.
        expected: usize,
        /// The slice's length.
        found: usize,
    },
    /// A source address, or a packet for a tunnel, of another IP version than the packet that is answered.
    #[error("IP version: {expected} expected, {found} found")]
    Version {
        /// The packet's version.
        expected: u8,
        /// The version of the address or of the packet for the tunnel; 0 of no packet at all.
        found: u8,
    },
    /// A packet of a tunnel would be longer than its length field can say.
    #[error("packet in a tunnel: at most {maximum} bytes expected, {found} found")]
    TooLong {
        /// The longest packet.
        maximum: usize,
        /// The length of this one, the tunnel's headers included.
        found: usize,
    },
    /// The tunnel counts its packets (GRE sequence number, RFC 2890 §2.2): one more would take the place of another.
    #[error("GRE tunnel: no sequence numbers expected, some found")]
    Sequenced,
    /// An Authentication Header (RFC 4302) covers the tunnel.
    #[error("tunnel: no Authentication Header expected, one found")]
    Authenticated,
    /// The tunnel's packet goes to a group of hosts, or by a source route to where its addresses do not tell.
    #[error("tunnel: a single host at either end expected, a group or a source route found")]
    NoSingleEnd,
}
