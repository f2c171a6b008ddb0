use core::fmt;

use super::Protocol;

/// From here on nothing is understood: of one side, or of the flow.
///
/// Given once for whatever it is about. Who allows only what is understood refuses the flow here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Opaque<'a> {
    /// What the flow was taken for.
    pub protocol: Protocol,
    /// What kind of end it is.
    pub why: Why,
    /// What exactly, in a few words: the same words for the same thing, so that they can be counted by.
    pub reason: &'static str,
    /// Where: bytes of this side before the one from which on nothing is understood.
    pub offset: u64,
    /// The bytes from there on, as far as they are at hand: how many depends on how the bytes were cut, and there may be
    /// none.
    pub bytes: &'a [u8],
    /// Whether it is about both sides. Otherwise the other side is still parsed.
    pub is_whole_flow: bool,
}

impl fmt::Display for Opaque<'_> {
    /// `http opaque from byte 17: a chunk size overflows`
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.protocol != Protocol::Unknown {
            write!(f, "{} ", self.protocol)?;
        }
        write!(f, "opaque from byte {}: {}", self.offset, self.reason)
    }
}

/// Why nothing more is understood.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Why {
    /// The first bytes are of no protocol that is known here.
    Unrecognised,
    /// The protocol is known, and this is against its rules, or so that two receivers may take it for different things.
    Unparsable,
    /// Both ends go on in another protocol: HTTP/2, a tunnel (CONNECT), a WebSocket.
    Switched,
    /// A message is larger than the [`Limits`](super::Limits).
    TooLarge,
    /// The [`Room`](super::Room) of all sessions is used up.
    NoRoom,
    /// Bytes are missing where they would have to be understood.
    Gap,
    /// The flow ended in the middle of a message.
    Truncated,
}

impl Why {
    /// A word for logs and counters.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Unrecognised => "unrecognised",
            Self::Unparsable => "unparsable",
            Self::Switched => "switched",
            Self::TooLarge => "too-large",
            Self::NoRoom => "no-room",
            Self::Gap => "gap",
            Self::Truncated => "truncated",
        }
    }
}

impl fmt::Display for Why {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}
