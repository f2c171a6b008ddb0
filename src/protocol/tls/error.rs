use core::fmt;

use thiserror::Error;

/// Why bytes are not the TLS that was expected. Offsets count from the first byte of what is named in
/// [`part`](Self::part): the body of a handshake message, or a certificate.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum ParseError {
    /// A field reaches past the end of what it is in.
    #[error("{part} at offset {offset}: expected {expected} bytes of {field}, found {found}")]
    Truncated {
        /// What is being read.
        part: Part,
        /// The field, in the words of the RFC.
        field: &'static str,
        /// Where the field starts.
        offset: usize,
        /// How long it is.
        expected: usize,
        /// How many bytes there are.
        found: usize,
    },
    /// Bytes are left over behind the last field.
    #[error("{part} at offset {offset}: expected the end after {field}, found {found} bytes more")]
    Trailing {
        /// What is being read.
        part: Part,
        /// The last field.
        field: &'static str,
        /// Where the first byte too many is.
        offset: usize,
        /// How many there are.
        found: usize,
    },
    /// A length that the field cannot have.
    #[error(
        "{part} at offset {offset}: expected {minimum} to {maximum} bytes of {field}, found {found}"
    )]
    Length {
        /// What is being read.
        part: Part,
        /// The field.
        field: &'static str,
        /// Where its length is.
        offset: usize,
        /// The length found.
        found: usize,
        /// The least that would be right.
        minimum: usize,
        /// The most that would be right, or that is read.
        maximum: usize,
    },
    /// A value that the field cannot have.
    #[error("{part} at offset {offset}: expected {expected}, found {found:#x}")]
    Value {
        /// What is being read.
        part: Part,
        /// Where the field is.
        offset: usize,
        /// What would be right.
        expected: &'static str,
        /// The value found.
        found: u32,
    },
}

/// What is being read when a [`ParseError`] happens.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Part {
    /// A ClientHello (RFC 8446 §4.1.2).
    ClientHello,
    /// A ServerHello (RFC 8446 §4.1.3).
    ServerHello,
    /// A Certificate message (RFC 5246 §7.4.2).
    Certificates,
    /// One certificate (RFC 5280 §4.1).
    Certificate,
}

impl ParseError {
    /// Where it went wrong, in bytes from the first byte of [`part`](Self::part).
    pub const fn offset(&self) -> usize {
        match self {
            Self::Truncated { offset, .. }
            | Self::Trailing { offset, .. }
            | Self::Length { offset, .. }
            | Self::Value { offset, .. } => *offset,
        }
    }

    /// What was being read.
    pub const fn part(&self) -> Part {
        match self {
            Self::Truncated { part, .. }
            | Self::Trailing { part, .. }
            | Self::Length { part, .. }
            | Self::Value { part, .. } => *part,
        }
    }

    /// In a few words that do not change, for counters and logs.
    pub const fn reason(&self) -> &'static str {
        match self.part() {
            Part::ClientHello => "TLS ClientHello malformed",
            Part::ServerHello => "TLS ServerHello malformed",
            Part::Certificates => "TLS Certificate message malformed",
            Part::Certificate => "X.509 certificate malformed",
        }
    }
}

impl fmt::Display for Part {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::ClientHello => "TLS ClientHello",
            Self::ServerHello => "TLS ServerHello",
            Self::Certificates => "TLS Certificate message",
            Self::Certificate => "X.509 certificate",
        })
    }
}
