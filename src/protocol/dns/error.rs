use core::fmt;

use thiserror::Error;

/// Why bytes are no DNS message. Offsets count from its first byte.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum ParseError {
    /// Fewer bytes than the header has.
    #[error("DNS header: expected 12 bytes, found {found}")]
    HeaderTruncated {
        /// How many bytes there are.
        found: usize,
    },
    /// The message ends before a question or record does that the header counts.
    #[error("DNS {section} at offset {offset}: expected a whole one, found the message's end")]
    Truncated {
        /// Where the entry belongs.
        section: Section,
        /// Where it begins.
        offset: usize,
    },
    /// A name that cannot be followed: it is cut off, longer than 255 bytes, has a label of an unknown type, or a
    /// pointer that does not point backwards (RFC 1035 §4.1.4: to a prior occurrence), or too many of them.
    #[error("DNS name at offset {offset}: expected {expected}")]
    Name {
        /// Where the name begins.
        offset: usize,
        /// What would be right.
        expected: &'static str,
    },
}

impl ParseError {
    /// Where it went wrong, in bytes from the first one of the message.
    pub const fn offset(&self) -> usize {
        match self {
            Self::HeaderTruncated { .. } => 0,
            Self::Truncated { offset, .. } | Self::Name { offset, .. } => *offset,
        }
    }

    /// In a few words that do not change, for counters and logs.
    pub const fn reason(&self) -> &'static str {
        match self {
            Self::HeaderTruncated { .. } => "DNS header cut off",
            Self::Truncated { .. } => "DNS message cut off",
            Self::Name { .. } => "DNS name malformed",
        }
    }
}

/// A part of a message (RFC 1035 §4.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Section {
    /// What is asked.
    Question,
    /// What answers it.
    Answer,
    /// Who is responsible.
    Authority,
    /// What helps beside it.
    Additional,
}

impl fmt::Display for Section {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Question => "question",
            Self::Answer => "answer",
            Self::Authority => "authority",
            Self::Additional => "additional record",
        })
    }
}
