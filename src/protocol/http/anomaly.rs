use core::fmt;

/// Something in an HTTP message that a well-meaning sender does not write, or that receivers are known to differ in.
///
/// Two kinds matter more than the rest. Of an [ambiguous](Self::is_ambiguous) message two receivers may disagree on where
/// it ends, and so on what the next one is: that is what request smuggling lives on. Of a
/// [misleading](Self::is_misleading) one they may disagree on what is asked for, and of whom.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Anomaly {
    /// Content-Length headers, or members of a list in one, that differ (RFC 9112 §6.3).
    ContentLengthConflict,
    /// A Content-Length that is not a plain decimal number below 2^63: a sign, hexadecimal, nothing at all.
    ContentLengthInvalid,
    /// The same Content-Length more than once, in several headers or in a list.
    ContentLengthRepeated,
    /// Content-Length and Transfer-Encoding in one message (RFC 9112 §6.1).
    ContentLengthWithTransferEncoding,
    /// More than one Transfer-Encoding header.
    TransferEncodingRepeated,
    /// A Transfer-Encoding that is anything else than `chunked`.
    TransferEncodingOdd,
    /// `chunked` is named, but not as the last coding, or more than once.
    ChunkedNotLast,
    /// A Transfer-Encoding in a message of HTTP/1.0, which has none.
    TransferEncodingInHttp10,
    /// A line that ends with LF alone.
    BareLineFeed,
    /// A CR that no LF follows.
    BareCarriageReturn,
    /// A NUL.
    Nul,
    /// A header that goes on in the next line, or a first header that begins with white space (RFC 9112 §5.2, §2.2).
    LineFolding,
    /// White space between the name of a header and its colon (RFC 9112 §5.1).
    WhitespaceBeforeColon,
    /// A header whose name is empty or has bytes that no name has.
    HeaderNameInvalid,
    /// A line among the headers that has no colon.
    HeaderWithoutColon,
    /// A version other than 1.1, 1.0 and 0.9, or something that is not quite a version.
    VersionUnknown,
    /// A request line without version: HTTP/0.9, which has no headers, where others would look for some.
    Http09,
    /// The size of a chunk overflows, or is not a hexadecimal number.
    ChunkSizeInvalid,
    /// An Expect header that is not `100-continue` once: some wait for a body that others do not send (RFC 9110 §10.1.1).
    ExpectOdd,

    /// More than one Host header.
    HostRepeated,
    /// The target names another host than the Host header.
    HostMismatch,
    /// A host with bytes that no host name has, with a user name, or with a port that is none.
    HostInvalid,
    /// Bytes in the target that must not be there: controls, bytes beyond ASCII, a fragment; or a target of no known form.
    TargetInvalid,
    /// White space in the request line other than one space at each of two places.
    RequestLineWhitespace,
    /// `%25` and two hexadecimal digits in the path: decoded twice it is something else.
    PathDoubleEncoded,
    /// `%2f`, `%5c` or `\` in the path: separators to some.
    PathEncodedSeparator,
    /// `%00` in the path, where some see its end.
    PathEncodedNul,
    /// `.` or `..` as a segment of the path, encoded or with a parameter (`..;`) too.
    PathDotSegment,
    /// `//` in the path, which is `/` to some.
    PathEmptySegment,
    /// `%` that two hexadecimal digits do not follow.
    PathEscapeInvalid,
    /// `%c0` or `%c1` in the path: what was a long way to write ASCII, and is no UTF-8.
    PathOverlong,

    /// No Host header, or an empty one, in HTTP/1.1.
    HostMissing,
    /// Empty lines before a message.
    LeadingEmptyLines,
    /// A method with bytes that no method has.
    MethodInvalid,
    /// A control byte other than those that have an anomaly of their own.
    ControlByte,
    /// A header of more than 8 KiB.
    HeaderTooLong,
    /// More headers than the [`Limits`](crate::protocol::Limits) have.
    TooManyHeaders,
    /// A GET or HEAD with a body, or a TRACE.
    BodyUnexpected,
    /// White space around the size of a chunk.
    ChunkSizePadded,
    /// A chunk extension of more than 256 bytes.
    ChunkExtensionTooLong,
    /// A response that no request asked for.
    ResponseUnsolicited,
}

impl Anomaly {
    /// All of them.
    pub const ALL: [Self; 41] = [
        Self::ContentLengthConflict,
        Self::ContentLengthInvalid,
        Self::ContentLengthRepeated,
        Self::ContentLengthWithTransferEncoding,
        Self::TransferEncodingRepeated,
        Self::TransferEncodingOdd,
        Self::ChunkedNotLast,
        Self::TransferEncodingInHttp10,
        Self::BareLineFeed,
        Self::BareCarriageReturn,
        Self::Nul,
        Self::LineFolding,
        Self::WhitespaceBeforeColon,
        Self::HeaderNameInvalid,
        Self::HeaderWithoutColon,
        Self::VersionUnknown,
        Self::Http09,
        Self::ChunkSizeInvalid,
        Self::ExpectOdd,
        Self::HostRepeated,
        Self::HostMismatch,
        Self::HostInvalid,
        Self::TargetInvalid,
        Self::RequestLineWhitespace,
        Self::PathDoubleEncoded,
        Self::PathEncodedSeparator,
        Self::PathEncodedNul,
        Self::PathDotSegment,
        Self::PathEmptySegment,
        Self::PathEscapeInvalid,
        Self::PathOverlong,
        Self::HostMissing,
        Self::LeadingEmptyLines,
        Self::MethodInvalid,
        Self::ControlByte,
        Self::HeaderTooLong,
        Self::TooManyHeaders,
        Self::BodyUnexpected,
        Self::ChunkSizePadded,
        Self::ChunkExtensionTooLong,
        Self::ResponseUnsolicited,
    ];

    /// A word for logs and configurations.
    pub const fn name(self) -> &'static str {
        match self {
            Self::ContentLengthConflict => "content-length-conflict",
            Self::ContentLengthInvalid => "content-length-invalid",
            Self::ContentLengthRepeated => "content-length-repeated",
            Self::ContentLengthWithTransferEncoding => "content-length-with-transfer-encoding",
            Self::TransferEncodingRepeated => "transfer-encoding-repeated",
            Self::TransferEncodingOdd => "transfer-encoding-odd",
            Self::ChunkedNotLast => "chunked-not-last",
            Self::TransferEncodingInHttp10 => "transfer-encoding-in-http10",
            Self::BareLineFeed => "bare-line-feed",
            Self::BareCarriageReturn => "bare-carriage-return",
            Self::Nul => "nul",
            Self::LineFolding => "line-folding",
            Self::WhitespaceBeforeColon => "whitespace-before-colon",
            Self::HeaderNameInvalid => "header-name-invalid",
            Self::HeaderWithoutColon => "header-without-colon",
            Self::VersionUnknown => "version-unknown",
            Self::Http09 => "http09",
            Self::ChunkSizeInvalid => "chunk-size-invalid",
            Self::ExpectOdd => "expect-odd",
            Self::HostRepeated => "host-repeated",
            Self::HostMismatch => "host-mismatch",
            Self::HostInvalid => "host-invalid",
            Self::TargetInvalid => "target-invalid",
            Self::RequestLineWhitespace => "request-line-whitespace",
            Self::PathDoubleEncoded => "path-double-encoded",
            Self::PathEncodedSeparator => "path-encoded-separator",
            Self::PathEncodedNul => "path-encoded-nul",
            Self::PathDotSegment => "path-dot-segment",
            Self::PathEmptySegment => "path-empty-segment",
            Self::PathEscapeInvalid => "path-escape-invalid",
            Self::PathOverlong => "path-overlong",
            Self::HostMissing => "host-missing",
            Self::LeadingEmptyLines => "leading-empty-lines",
            Self::MethodInvalid => "method-invalid",
            Self::ControlByte => "control-byte",
            Self::HeaderTooLong => "header-too-long",
            Self::TooManyHeaders => "too-many-headers",
            Self::BodyUnexpected => "body-unexpected",
            Self::ChunkSizePadded => "chunk-size-padded",
            Self::ChunkExtensionTooLong => "chunk-extension-too-long",
            Self::ResponseUnsolicited => "response-unsolicited",
        }
    }

    /// Whether two receivers may disagree on where the message ends.
    pub const fn is_ambiguous(self) -> bool {
        matches!(
            self,
            Self::ContentLengthConflict
                | Self::ContentLengthInvalid
                | Self::ContentLengthWithTransferEncoding
                | Self::TransferEncodingRepeated
                | Self::TransferEncodingOdd
                | Self::ChunkedNotLast
                | Self::TransferEncodingInHttp10
                | Self::BareLineFeed
                | Self::BareCarriageReturn
                | Self::Nul
                | Self::LineFolding
                | Self::WhitespaceBeforeColon
                | Self::HeaderNameInvalid
                | Self::HeaderWithoutColon
                | Self::VersionUnknown
                | Self::Http09
                | Self::ChunkSizeInvalid
                | Self::ExpectOdd
        )
    }

    /// Whether two receivers may disagree on the host or the resource that is meant.
    pub const fn is_misleading(self) -> bool {
        matches!(
            self,
            Self::HostRepeated
                | Self::HostMismatch
                | Self::HostInvalid
                | Self::TargetInvalid
                | Self::RequestLineWhitespace
                | Self::PathDoubleEncoded
                | Self::PathEncodedSeparator
                | Self::PathEncodedNul
                | Self::PathDotSegment
                | Self::PathEmptySegment
                | Self::PathEscapeInvalid
                | Self::PathOverlong
        )
    }

    const fn bit(self) -> u64 {
        1_u64.wrapping_shl(self as u32)
    }
}

impl fmt::Display for Anomaly {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

/// A set of [`Anomaly`] values.
///
/// ```
/// use gwlb_geneve::protocol::http::{Anomalies, Anomaly};
///
/// let found = Anomalies::NONE.with(Anomaly::BareLineFeed).with(Anomaly::HostMissing);
/// assert!(found.contains(Anomaly::HostMissing) && found.is_ambiguous() && !found.is_misleading());
/// assert_eq!(found.to_string(), "bare-line-feed, host-missing");
/// ```
#[derive(Clone, Copy, Default, PartialEq, Eq, Hash)]
pub struct Anomalies(u64);

impl Anomalies {
    /// Nothing odd.
    pub const NONE: Self = Self(0);

    /// Those of which [`Anomaly::is_ambiguous`] says so.
    pub const AMBIGUOUS: Self = {
        let mut set = Self::NONE;
        let mut rest = Anomaly::ALL.as_slice();
        while let [anomaly, others @ ..] = rest {
            if anomaly.is_ambiguous() {
                set = set.with(*anomaly);
            }
            rest = others;
        }
        set
    };

    /// Those of which [`Anomaly::is_misleading`] says so.
    pub const MISLEADING: Self = {
        let mut set = Self::NONE;
        let mut rest = Anomaly::ALL.as_slice();
        while let [anomaly, others @ ..] = rest {
            if anomaly.is_misleading() {
                set = set.with(*anomaly);
            }
            rest = others;
        }
        set
    };

    /// The same set and one more.
    #[must_use]
    pub const fn with(self, anomaly: Anomaly) -> Self {
        Self(self.0 | anomaly.bit())
    }

    /// Those that are in either set.
    #[must_use]
    pub const fn union(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// Those that are in both sets.
    #[must_use]
    pub const fn intersection(self, other: Self) -> Self {
        Self(self.0 & other.0)
    }

    /// Whether there is none.
    #[inline]
    pub const fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// Whether this one is there.
    #[inline]
    pub const fn contains(self, anomaly: Anomaly) -> bool {
        self.0 & anomaly.bit() != 0
    }

    /// Whether one of them is [ambiguous](Anomaly::is_ambiguous).
    #[inline]
    pub const fn is_ambiguous(self) -> bool {
        self.0 & Self::AMBIGUOUS.0 != 0
    }

    /// Whether one of them is [misleading](Anomaly::is_misleading).
    #[inline]
    pub const fn is_misleading(self) -> bool {
        self.0 & Self::MISLEADING.0 != 0
    }

    /// Each of them.
    pub fn iter(self) -> impl Iterator<Item = Anomaly> {
        Anomaly::ALL.into_iter().filter(move |anomaly| self.contains(*anomaly))
    }

    /// Behind a line for a log, where there is something to say.
    pub(super) fn note(self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.is_empty() { Ok(()) } else { write!(f, " [{self}]") }
    }

    pub(super) const fn add(&mut self, anomaly: Anomaly) {
        self.0 |= anomaly.bit();
    }

    pub(super) const fn add_if(&mut self, is_there: bool, anomaly: Anomaly) {
        if is_there {
            self.add(anomaly);
        }
    }
}

impl From<Anomaly> for Anomalies {
    fn from(anomaly: Anomaly) -> Self {
        Self::NONE.with(anomaly)
    }
}

impl fmt::Display for Anomalies {
    /// The names, with commas between them.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, anomaly) in self.iter().enumerate() {
            if index > 0 {
                f.write_str(", ")?;
            }
            f.write_str(anomaly.name())?;
        }
        Ok(())
    }
}

impl fmt::Debug for Anomalies {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.iter()).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_anomaly_is_listed_at_its_own_place_and_has_its_own_name() {
        for (index, anomaly) in Anomaly::ALL.into_iter().enumerate() {
            assert_eq!(anomaly as usize, index, "{anomaly}");
            assert_eq!(Anomalies::from(anomaly).iter().collect::<Vec<_>>(), [anomaly]);
            assert!(!(anomaly.is_ambiguous() && anomaly.is_misleading()), "{anomaly}");
            let same = Anomaly::ALL.iter().filter(|other| other.name() == anomaly.name());
            assert_eq!(same.count(), 1, "{anomaly}");
        }
    }
}
