use core::fmt;

use super::cursor::Cursor;
use super::list::extension_type as kind;
use super::{Alpn, Anomalies, Extensions, Ja3, Ja3Text, ParseError, Part, Version};

/// A ServerHello (RFC 8446 §4.1.3): what the server chose, in clear; or a HelloRetryRequest, which has the same form.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct ServerHello<'a> {
    legacy_version: Version,
    random: &'a [u8; 32],
    session_id: &'a [u8],
    cipher_suite: u16,
    compression_method: u8,
    extensions: &'a [u8],
    version: Version,
    alpn: Option<&'a [u8]>,
    pub(super) anomalies: Anomalies,
}

/// The random bytes by which a HelloRetryRequest is known (RFC 8446 §4.1.3): SHA-256 of "HelloRetryRequest".
const RETRY: [u8; 32] = [
    0xcf, 0x21, 0xad, 0x74, 0xe5, 0x9a, 0x61, 0x11, 0xbe, 0x1d, 0x8c, 0x02, 0x1e, 0x65, 0xb8, 0x91,
    0xc2, 0xa2, 0x11, 0x16, 0x7a, 0xbb, 0x8c, 0x5e, 0x07, 0x9e, 0x09, 0xe2, 0xc8, 0xa8, 0x33, 0x9c,
];

impl<'a> ServerHello<'a> {
    /// Reads the body of a handshake message, without its 4 bytes of type and length.
    ///
    /// # Errors
    ///
    /// [`ParseError`], where a field is cut off or has a length that it cannot have, or bytes are left over. Offsets
    /// count from the first byte of `body`.
    pub fn parse(body: &'a [u8]) -> Result<Self, ParseError> {
        let mut cursor = Cursor::new(Part::ServerHello, body);
        let legacy_version = Version(cursor.u16("legacy_version")?);
        let random = cursor.array("random")?;
        let offset = cursor.offset();
        let session_id = cursor.short("legacy_session_id_echo")?;
        if session_id.len() > 32 {
            return Err(ParseError::Length {
                part: Part::ServerHello,
                field: "legacy_session_id_echo",
                offset,
                found: session_id.len(),
                minimum: 0,
                maximum: 32,
            });
        }
        let cipher_suite = cursor.u16("cipher_suite")?;
        let compression_method = cursor.u8("legacy_compression_method")?;
        let extensions = match cursor.is_empty() {
            true => &[],
            false => cursor.medium("extensions")?,
        };
        cursor.finish("extensions")?;
        let mut inside = cursor.within(extensions);
        let mut version = legacy_version;
        let mut alpn = None;
        let mut anomalies = Anomalies::NONE;
        while !inside.is_empty() {
            let extension_type = inside.u16("extension type")?;
            let data = inside.medium("extension")?;
            match (extension_type, data) {
                (kind::SUPPORTED_VERSIONS, &[high, low]) => {
                    version = Version(u16::from_be_bytes([high, low]));
                }
                (kind::ALPN, [_, _, list @ ..]) => alpn = Alpn::new(list).next(),
                (kind::SUPPORTED_VERSIONS | kind::ALPN, _) => {
                    anomalies |= Anomalies::EXTENSION_MALFORMED;
                }
                _ => {}
            }
        }
        Ok(Self {
            legacy_version,
            random,
            session_id,
            cipher_suite,
            compression_method,
            extensions,
            version,
            alpn,
            anomalies,
        })
    }

    /// The version chosen.
    pub const fn version(&self) -> Version {
        self.version
    }

    /// The version field, which says TLS 1.2 where TLS 1.3 is chosen.
    pub const fn legacy_version(&self) -> Version {
        self.legacy_version
    }

    /// The server's random bytes.
    pub const fn random(&self) -> &'a [u8; 32] {
        self.random
    }

    /// The session, at most 32 bytes; in TLS 1.3 what the client sent.
    pub const fn session_id(&self) -> &'a [u8] {
        self.session_id
    }

    /// The cipher suite chosen.
    pub const fn cipher_suite(&self) -> u16 {
        self.cipher_suite
    }

    /// The compression method chosen: in order 0.
    pub const fn compression_method(&self) -> u8 {
        self.compression_method
    }

    /// All extensions.
    pub const fn extensions(&self) -> Extensions<'a> {
        Extensions::new(self.extensions)
    }

    /// The application protocol chosen (ALPN, RFC 7301 §3.1). In TLS 1.3 the server says so encrypted.
    pub const fn alpn(&self) -> Option<&'a [u8]> {
        self.alpn
    }

    /// Whether it asks the client for another hello (HelloRetryRequest) rather than answer.
    pub fn is_hello_retry_request(&self) -> bool {
        *self.random == RETRY
    }

    /// What is odd about it and the records it came in.
    pub const fn anomalies(&self) -> Anomalies {
        self.anomalies
    }

    /// The JA3S fingerprint: an MD5 hash of [`ja3s_text`](Self::ja3s_text).
    pub fn ja3s(&self) -> Ja3 {
        Ja3::of_server(self)
    }

    /// What the JA3S fingerprint is a hash of.
    pub const fn ja3s_text(&self) -> Ja3Text<'a> {
        Ja3Text::server(*self)
    }
}

impl fmt::Display for ServerHello<'_> {
    /// One line for a log.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let retry = if self.is_hello_retry_request() { "HelloRetryRequest" } else { "ServerHello" };
        write!(f, "TLS {retry} {} {:#06x}", self.version, self.cipher_suite)
    }
}

impl fmt::Debug for ServerHello<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ServerHello")
            .field("version", &self.version)
            .field("cipher_suite", &format_args!("{:#06x}", self.cipher_suite))
            .field("is_hello_retry_request", &self.is_hello_retry_request())
            .finish_non_exhaustive()
    }
}
