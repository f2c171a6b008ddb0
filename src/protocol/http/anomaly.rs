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
    /// `%25` and two hexadecimal digits, encoded or not, in the path: decoded twice it is something else.
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

    /// The bit that stands for it in a set.
    pub(crate) const fn bit(self) -> u64 {
        1_u64.wrapping_shl(self as u32)
    }
}

impl fmt::Display for Anomaly {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}
