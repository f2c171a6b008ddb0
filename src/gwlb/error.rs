use core::fmt;

use thiserror::Error;

use super::ProfileOption;
use crate::EtherType;
use crate::geneve;
use crate::packet;

/// Why a GENEVE packet is not one that the load balancer sends, or must not be forwarded. Offsets count
/// from the first byte of the GENEVE header.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum EnvelopeError {
    /// Not a GENEVE packet at all.
    #[error(transparent)]
    Geneve(#[from] geneve::ParseError),
    /// An endpoint must not forward it: a control packet, or an unknown critical option.
    #[error(transparent)]
    Endpoint(#[from] geneve::EndpointError),
    /// The payload is not a bare IP packet.
    #[error("GENEVE protocol type at offset 2: expected 0x0800 or 0x86dd, found {found}")]
    ProtocolType {
        /// The protocol type.
        found: EtherType,
    },
    /// One of the three options has another length.
    #[error("{option} option at offset {offset}: expected {expected} bytes of data, found {found}")]
    OptionLength {
        /// Which of the three.
        option: ProfileOption,
        /// Where it begins.
        offset: usize,
        /// Bytes of data that it has by the profile.
        expected: usize,
        /// Bytes of data that it has here.
        found: usize,
    },
    /// One of the three options is there twice.
    #[error("{option} option at offset {offset}: expected once, found again")]
    OptionDoubled {
        /// Which of the three.
        option: ProfileOption,
        /// Where it begins the second time.
        offset: usize,
    },
    /// One of the three options is not there.
    #[error("GENEVE options at offset 8: expected the {option} option, found none")]
    OptionMissing {
        /// Which of the three.
        option: ProfileOption,
    },
    /// The inner packet is empty, or of another IP version than the protocol type says.
    #[error("inner packet at offset {offset}: expected IP version {expected}, found {}", Found(*found))]
    InnerVersion {
        /// Where the inner packet begins.
        offset: usize,
        /// The version by the protocol type, 4 or 6.
        expected: u8,
        /// The packet's first four bits, `None` where it is empty.
        found: Option<u8>,
    },
}

impl EnvelopeError {
    /// Where it went wrong, in bytes from the first byte of the GENEVE header.
    pub const fn offset(&self) -> usize {
        match self {
            Self::Geneve(error) => error.offset(),
            Self::Endpoint(error) => error.offset(),
            Self::ProtocolType { .. } => 2,
            Self::OptionMissing { .. } => geneve::FIXED_HEADER_LEN,
            Self::OptionLength { offset, .. }
            | Self::OptionDoubled { offset, .. }
            | Self::InnerVersion { offset, .. } => *offset,
        }
    }

    /// A short stable name for counters and logs.
    pub const fn reason(&self) -> &'static str {
        match self {
            Self::Geneve(error) => error.reason(),
            Self::Endpoint(error) => error.reason(),
            Self::ProtocolType { .. } => "geneve-protocol-type",
            Self::OptionLength { .. } => "gwlb-option-length",
            Self::OptionDoubled { .. } => "gwlb-option-doubled",
            Self::OptionMissing { .. } => "gwlb-option-missing",
            Self::InnerVersion { .. } => "inner-version",
        }
    }
}

struct Found(Option<u8>);

impl fmt::Display for Found {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Some(version) => write!(f, "{version}"),
            None => f.write_str("nothing"),
        }
    }
}

/// Why bytes are not an IPv4 UDP datagram that an appliance may believe. Offsets count from the first byte of the outer
/// IP header.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum OuterError {
    /// Not an IP packet, or not a UDP datagram in it.
    #[error(transparent)]
    Packet(#[from] packet::ParseError),
    /// IPv6: gateway load balancers send IPv4 outside (wire.md §1).
    #[error("outer packet at offset 0: expected IPv4, found IPv6")]
    NotIpv4,
    /// The IPv4 header checksum is wrong. A kernel refuses such packets before a UDP socket sees them.
    #[error(
        "outer IPv4 header checksum at offset 10: expected {expected:#06x}, found {found:#06x}"
    )]
    HeaderChecksum {
        /// The checksum that the header has by its other fields.
        expected: u16,
        /// The checksum as received.
        found: u16,
    },
    /// A fragment of a datagram.
    #[error("outer IPv4 packet at offset 6: expected a whole datagram, found a fragment")]
    Fragment,
    /// Another protocol than UDP.
    #[error("outer IPv4 packet at offset 9: expected UDP, found {found}")]
    NotUdp {
        /// The protocol.
        found: packet::IpProtocol,
    },
    /// The UDP checksum is not zero and wrong (RFC 8926 §3.3: drop).
    #[error(
        "outer UDP checksum at offset {offset}: expected a right one or zero, found {found:#06x}"
    )]
    Checksum {
        /// Where it stands.
        offset: usize,
        /// The checksum as received.
        found: u16,
    },
}

impl OuterError {
    /// Where it went wrong, in bytes from the first byte of the outer IP header.
    pub const fn offset(&self) -> usize {
        match self {
            Self::Packet(error) => error.offset(),
            Self::NotIpv4 => 0,
            Self::HeaderChecksum { .. } => 10,
            Self::Fragment => 6,
            Self::NotUdp { .. } => 9,
            Self::Checksum { offset, .. } => *offset,
        }
    }

    /// A short stable name for counters and logs.
    pub const fn reason(&self) -> &'static str {
        match self {
            Self::Packet(_) => "outer-malformed",
            Self::NotIpv4 => "outer-not-ipv4",
            Self::HeaderChecksum { .. } => "outer-header-checksum",
            Self::Fragment => "outer-fragment",
            Self::NotUdp { .. } => "outer-not-udp",
            Self::Checksum { .. } => "outer-checksum",
        }
    }
}

/// Why a reply cannot be written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum ReplyError {
    /// More than an IPv4 packet can hold.
    #[error("reply: expected at most 65535 bytes, found {found}")]
    TooLong {
        /// Length of the whole reply.
        found: usize,
    },
    /// A buffer too small for the reply.
    #[error("buffer: expected room for {expected} bytes, found {found}")]
    BufferTooSmall {
        /// The reply's length.
        expected: usize,
        /// The buffer's length.
        found: usize,
    },
}

impl ReplyError {
    /// A short stable name for counters and logs.
    pub const fn reason(&self) -> &'static str {
        match self {
            Self::TooLong { .. } => "reply-too-long",
            Self::BufferTooSmall { .. } => "reply-buffer-too-small",
        }
    }
}
