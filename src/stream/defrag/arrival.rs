use super::part::Name;

/// What is to be done with a packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Arrival {
    /// It is no fragment; nor is an IPv6 atomic fragment (RFC 6946), which is a datagram of its own.
    Whole,
    /// It is a fragment that may be forwarded, and is then to be [committed](super::Defragmenter::commit).
    Accept(Piece),
    /// It may be in order, but there is no room to remember it.
    NoRoom,
    /// It must not be forwarded, and its datagram is to be [refused](super::Defragmenter::refuse).
    Refuse(Refusal),
}

/// A fragment that may be forwarded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Piece {
    pub(super) name: Name,
    pub(super) is: Is,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Is {
    /// One of several that are missing.
    More,
    /// The only one that is missing.
    Last,
    Duplicate,
}

impl Piece {
    /// Whether the datagram is whole with it.
    pub const fn completes(&self) -> bool {
        matches!(self.is, Is::Last)
    }

    /// Whether the same came before.
    pub const fn is_duplicate(&self) -> bool {
        matches!(self.is, Is::Duplicate)
    }
}

/// Why a fragment must not be forwarded.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Refusal {
    /// It overlaps with another one, and is not the same again (RFC 5722, RFC 1858).
    Overlap,
    /// It is the first one, and has not the whole header of the transport (RFC 1858, RFC 7112).
    TinyFirst,
    /// It has no data.
    Empty,
    /// It ends within a unit of 8 bytes, and is not the last one.
    Uneven,
    /// It reaches beyond the end of the datagram, or ends it in another place than another last one.
    End,
    /// The datagram would be longer than 65,535 bytes.
    TooLong,
    /// It is one of more than [`MAX_FRAGMENTS`](super::MAX_FRAGMENTS).
    TooMany,
    /// The header before it is longer than [`MAX_HEADER_LEN`](super::MAX_HEADER_LEN).
    HeaderTooLong,
    /// Its datagram was refused before.
    Refused,
    /// A datagram of this name was whole a short time ago: a receiver that lost a part of it would mix them.
    Over,
}

impl Refusal {
    /// A short name, in the way of those of verdicts.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Overlap => "fragment-overlap",
            Self::TinyFirst => "fragment-tiny-first",
            Self::Empty => "fragment-empty",
            Self::Uneven => "fragment-uneven",
            Self::End => "fragment-end",
            Self::TooLong => "fragment-too-long",
            Self::TooMany => "fragment-too-many",
            Self::HeaderTooLong => "fragment-header-too-long",
            Self::Refused => "fragment-of-refused",
            Self::Over => "fragment-of-whole",
        }
    }
}
