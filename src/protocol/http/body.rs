use core::fmt;

use super::anomalies::Anomalies;
use super::headers::Headers;

/// A piece of the body of an HTTP message, as it came: how a body is cut into pieces means nothing.
#[derive(Clone, Debug)]
pub struct Body<'a> {
    pub(super) number: Option<u64>,
    pub(super) offset: u64,
    pub(super) data: &'a [u8],
    pub(super) is_last: bool,
    pub(super) trailers: Headers<'a>,
    pub(super) anomalies: Anomalies,
}

impl<'a> Body<'a> {
    /// The number of the request that it is of, or that its response answers.
    #[inline]
    pub const fn number(&self) -> Option<u64> {
        self.number
    }

    /// Where it belongs in the body, chunks taken apart. Larger than what came before where bytes are missing.
    #[inline]
    pub const fn offset(&self) -> u64 {
        self.offset
    }

    /// The bytes; there may be none in the last piece.
    #[inline]
    pub const fn data(&self) -> &'a [u8] {
        self.data
    }

    /// Whether the message is whole with it.
    #[inline]
    pub const fn is_last(&self) -> bool {
        self.is_last
    }

    /// Headers behind a body in chunks; only with the last piece.
    #[inline]
    pub fn trailers(&self) -> Headers<'a> {
        self.trailers.clone()
    }

    /// What was odd about chunks and trailers since the last piece.
    #[inline]
    pub const fn anomalies(&self) -> Anomalies {
        self.anomalies
    }
}

impl fmt::Display for Body<'_> {
    /// `HTTP body: 100 bytes from 0, last`
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "HTTP body: {} bytes from {}", self.data.len(), self.offset)?;
        if self.is_last {
            f.write_str(", last")?;
        }
        self.anomalies.note(f)
    }
}
