use thiserror::Error;

use super::{OptionClass, OptionType};

/// Why bytes are not a GENEVE packet. Offsets count from the first byte of the GENEVE header.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum ParseError {
    /// Fewer bytes than the fixed header has.
    #[error("GENEVE header: expected at least 8 bytes, found {found}")]
    HeaderTruncated {
        /// How many bytes there are.
        found: usize,
    },
    /// A version that RFC 8926 does not define (§3.4: drop).
    #[error("GENEVE version at offset 0: expected 0, found {found}")]
    Version {
        /// The version field, 1 to 3.
        found: u8,
    },
    /// `Opt Len` promises more bytes of options than there are.
    #[error("GENEVE options at offset 8: expected {expected} bytes by Opt Len, found {found}")]
    OptionsTruncated {
        /// Bytes of options by the `Opt Len` field.
        expected: usize,
        /// Bytes that follow the fixed header.
        found: usize,
    },
    /// An option reaches past the end that `Opt Len` sets (§3.5: drop).
    ///
    /// An option's own header cannot be cut, since options and `Opt Len` are both whole words.
    #[error(
        "GENEVE option at offset {offset}: expected {expected} bytes, found {found} within Opt Len"
    )]
    OptionOverrun {
        /// Where the option begins.
        offset: usize,
        /// Its length with its 4 bytes of header.
        expected: usize,
        /// Bytes from there to the end of the options.
        found: usize,
    },
}

impl ParseError {
    /// Where it went wrong, in bytes from the first byte of the GENEVE header.
    pub const fn offset(&self) -> usize {
        match self {
            Self::HeaderTruncated { .. } | Self::Version { .. } => 0,
            Self::OptionsTruncated { .. } => super::FIXED_HEADER_LEN,
            Self::OptionOverrun { offset, .. } => *offset,
        }
    }

    /// A short stable name for counters and logs.
    pub const fn reason(&self) -> &'static str {
        match self {
            Self::HeaderTruncated { .. } => "geneve-header-truncated",
            Self::Version { .. } => "geneve-version",
            Self::OptionsTruncated { .. } => "geneve-options-truncated",
            Self::OptionOverrun { .. } => "geneve-option-overrun",
        }
    }
}

/// Why an endpoint must not forward a packet that is otherwise in order (RFC 8926 §3.4). Offsets count from the first
/// byte of the GENEVE header.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum EndpointError {
    /// A control packet: its payload must not be forwarded.
    #[error("GENEVE flags at offset 1: expected data (O clear), found a control packet (O set)")]
    ControlPacket,
    /// A critical option that the endpoint does not know.
    #[error(
        "GENEVE option at offset {offset}: expected no unknown critical option, found class {class} type {option_type}"
    )]
    UnknownCritical {
        /// Where the option begins.
        offset: usize,
        /// Its class.
        class: OptionClass,
        /// Its type.
        option_type: OptionType,
    },
}

impl EndpointError {
    /// Where it went wrong, in bytes from the first byte of the GENEVE header.
    pub const fn offset(&self) -> usize {
        match self {
            Self::ControlPacket => 1,
            Self::UnknownCritical { offset, .. } => *offset,
        }
    }

    /// A short stable name for counters and logs.
    pub const fn reason(&self) -> &'static str {
        match self {
            Self::ControlPacket => "geneve-control-packet",
            Self::UnknownCritical { .. } => "geneve-unknown-critical-option",
        }
    }
}

/// Why something cannot be written as GENEVE.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum BuildError {
    /// A network identifier of more than 24 bits.
    #[error("VNI: expected at most 0xffffff (24 bits), found {found:#x}")]
    VniRange {
        /// The value that was given.
        found: u32,
    },
    /// Option data that is not a whole number of 4-byte words.
    #[error("option data: expected a multiple of 4 bytes, found {found}")]
    OptionAlignment {
        /// Bytes of data that were given.
        found: usize,
    },
    /// Option data of more than 31 words.
    #[error("option data: expected at most 124 bytes, found {found}")]
    OptionTooLong {
        /// Bytes of data that were given.
        found: usize,
    },
    /// Options that do not fit into the 63 words that `Opt Len` can express.
    #[error("options: expected at most 252 bytes in all, found at least {found}")]
    OptionsTooLong {
        /// Bytes of options up to and with the first one that did not fit.
        found: usize,
    },
    /// A buffer too small for the header.
    #[error("buffer: expected room for {expected} bytes, found {found}")]
    BufferTooSmall {
        /// The header's length.
        expected: usize,
        /// The buffer's length.
        found: usize,
    },
}
