use crate::packet::IpProtocol;

/// Why a packet cannot be edited so. It is then as it was before.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, thiserror::Error)]
#[non_exhaustive]
pub enum EditError {
    /// An address of the other IP version.
    #[error("address: IP version {expected} expected, {found} found")]
    Version {
        /// The packet's version.
        expected: u8,
        /// The address's version.
        found: u8,
    },
    /// A differentiated services code point of more than 6 bits.
    #[error("DSCP: at most 63 expected, {found} found")]
    Dscp {
        /// The value that was given.
        found: u8,
    },
    /// The protocol has no ports.
    #[error("ports: a protocol that has them expected at offset {offset}, {found} found")]
    NoPorts {
        /// Where the upper layer starts.
        offset: usize,
        /// What the packet carries.
        found: IpProtocol,
    },
    /// The packet carries no UDP.
    #[error("length change: UDP expected at offset {offset}, {found} found")]
    NotUdp {
        /// Where the upper layer starts.
        offset: usize,
        /// What the packet carries.
        found: IpProtocol,
    },
    /// What would change is covered by a check that is not known here or is no Internet checksum: the CRC of SCTP,
    /// the partial coverage of UDP-Lite and DCCP, a GRE checksum, an encrypted payload.
    #[error("{found} at offset {offset}: its integrity check cannot be kept right")]
    Unsupported {
        /// Where the upper layer starts.
        offset: usize,
        /// What the packet carries.
        found: IpProtocol,
    },
    /// An Authentication Header (RFC 4302) covers what would change.
    #[error("IP Authentication Header: nothing that it covers can be edited without its key")]
    Authenticated,
    /// The checksum that covers the payload of a later fragment is in another packet, and so are the ports.
    #[error("upper layer at offset {offset}: a first fragment expected, a later one found")]
    LaterFragment {
        /// Where the fragment's data start.
        offset: usize,
    },
    /// The length of a datagram cannot change while parts of it are in other packets.
    #[error(
        "length change of the upper layer at offset {offset}: a whole datagram expected, a fragment found"
    )]
    Fragment {
        /// Where the fragment's data start.
        offset: usize,
    },
    /// The payload of an ICMP error is a quote.
    #[error("ICMP error at offset {offset}: the packet that it quotes is not edited")]
    Quote {
        /// Where the ICMP message starts.
        offset: usize,
    },
    /// A range that does not lie within the payload.
    #[error("payload: a range within 0 to {maximum} expected, {start} to {end} found")]
    Range {
        /// The payload's length.
        maximum: usize,
        /// Start of the range.
        start: usize,
        /// End of the range.
        end: usize,
    },
    /// New bytes of another length than those that they replace.
    #[error("payload at {start}: {expected} bytes expected, {found} found")]
    Length {
        /// Start of the range in the payload.
        start: usize,
        /// The length of the range.
        expected: usize,
        /// The length of the new bytes.
        found: usize,
    },
    /// The slice is too short for the new packet.
    #[error("packet: room for {expected} bytes expected, {found} found")]
    NoRoom {
        /// The length of the new packet.
        expected: usize,
        /// The length of the slice.
        found: usize,
    },
    /// The packet would be longer than its length field can say.
    #[error("UDP payload: at most {maximum} bytes expected, {found} found")]
    TooLong {
        /// The longest payload behind this packet's headers.
        maximum: usize,
        /// The length of the new payload.
        found: usize,
    },
}
