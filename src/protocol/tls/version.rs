use core::fmt;

/// A protocol version as it stands on the wire.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Version(pub u16);

impl Version {
    /// SSL 3.0 (RFC 6101).
    pub const SSL_3_0: Self = Self(0x0300);
    /// TLS 1.0 (RFC 2246).
    pub const TLS_1_0: Self = Self(0x0301);
    /// TLS 1.1 (RFC 4346).
    pub const TLS_1_1: Self = Self(0x0302);
    /// TLS 1.2 (RFC 5246).
    pub const TLS_1_2: Self = Self(0x0303);
    /// TLS 1.3 (RFC 8446).
    pub const TLS_1_3: Self = Self(0x0304);

    /// Whether the server's messages after its hello are encrypted: TLS 1.3 or one of its drafts.
    pub const fn is_tls_1_3(self) -> bool {
        // 0x7fXX were drafts, 0xfb17 to 0xfb1a those of one large operator.
        self.0 == 0x0304 || self.0 >> 8 == 0x7f || self.0 >> 8 == 0xfb
    }
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Self::SSL_3_0 => f.pad("SSL 3.0"),
            Self::TLS_1_0 => f.pad("TLS 1.0"),
            Self::TLS_1_1 => f.pad("TLS 1.1"),
            Self::TLS_1_2 => f.pad("TLS 1.2"),
            Self::TLS_1_3 => f.pad("TLS 1.3"),
            Self(other) => write!(f, "{other:#06x}"),
        }
    }
}

impl fmt::Debug for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Version({self})")
    }
}
