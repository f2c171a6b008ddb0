use core::fmt;
use core::ops::RangeInclusive;

use smallvec::SmallVec;

use super::cursor::Cursor;
use super::extension_list::{medium, pairs, short};
use super::list::extension_type as kind;
use super::{
    Alpn, Anomalies, Codes, Extensions, Ja3, Ja3Text, Ja4, ParseError, Part, ServerName,
    ServerNames, Version,
};

/// A ClientHello (RFC 8446 §4.1.2): what a client offers, in clear.
///
/// A view: nothing is copied. What has to be right for servers to read the hello at all is checked by
/// [`parse`](Self::parse); what servers may differ about is kept, and noted in [`anomalies`](Self::anomalies).
///
/// Where an extension stands more than once its first one counts.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct ClientHello<'a> {
    legacy_version: Version,
    random: &'a [u8; 32],
    session_id: &'a [u8],
    cipher_suites: &'a [u8],
    compression_methods: &'a [u8],
    extensions: &'a [u8],
    server_names: Option<ServerNames<'a>>,
    alpn: &'a [u8],
    versions: Option<&'a [u8]>,
    groups: &'a [u8],
    point_formats: &'a [u8],
    signature_algorithms: &'a [u8],
    pub(super) anomalies: Anomalies,
    has_ech: bool,
    has_esni: bool,
    has_early_data: bool,
    has_pre_shared_key: bool,
    pub(super) is_retry: bool,
    pub(super) has_other_server_name: bool,
}

impl<'a> ClientHello<'a> {
    /// Reads the body of a handshake message, without its 4 bytes of type and length.
    ///
    /// # Errors
    ///
    /// [`ParseError`], where a field is cut off or has a length that it cannot have, or bytes are left over. Offsets
    /// count from the first byte of `body`.
    pub fn parse(body: &'a [u8]) -> Result<Self, ParseError> {
        let mut cursor = Cursor::new(Part::ClientHello, body);
        let legacy_version = Version(cursor.u16("legacy_version")?);
        let random = cursor.array("random")?;
        let session_id = list(&mut cursor, Cursor::short, "legacy_session_id", 0..=32, 0)?;
        let cipher_suites = list(&mut cursor, Cursor::medium, "cipher_suites", 2..=0xfffe, 1)?;
        let methods = "legacy_compression_methods";
        let compression_methods = list(&mut cursor, Cursor::short, methods, 1..=255, 0)?;
        // A hello may end here (RFC 5246 §7.4.1.2).
        let extensions = match cursor.is_empty() {
            true => &[],
            false => cursor.medium("extensions")?,
        };
        cursor.finish("extensions")?;
        let mut hello = Self {
            legacy_version,
            random,
            session_id,
            cipher_suites,
            compression_methods,
            extensions,
            server_names: None,
            alpn: &[],
            versions: None,
            groups: &[],
            point_formats: &[],
            signature_algorithms: &[],
            anomalies: Anomalies::NONE,
            has_ech: false,
            has_esni: false,
            has_early_data: false,
            has_pre_shared_key: false,
            is_retry: false,
            has_other_server_name: false,
        };
        hello.read_extensions(cursor.within(extensions))?;
        let is_odd = match legacy_version {
            Version::TLS_1_2 => false,
            Version::SSL_3_0 | Version::TLS_1_0 | Version::TLS_1_1 => hello.offers_tls_1_3(),
            _ => true,
        };
        hello.anomalies.note(Anomalies::LEGACY_VERSION, is_odd);
        Ok(hello)
    }

    /// The version field, which says TLS 1.2 in hellos that offer TLS 1.3.
    pub const fn legacy_version(&self) -> Version {
        self.legacy_version
    }

    /// The client's random bytes.
    pub const fn random(&self) -> &'a [u8; 32] {
        self.random
    }

    /// The session to go on with, at most 32 bytes; in TLS 1.3 without meaning.
    pub const fn session_id(&self) -> &'a [u8] {
        self.session_id
    }

    /// The cipher suites, in the client's order of preference.
    pub const fn cipher_suites(&self) -> Codes<'a> {
        Codes::new(self.cipher_suites)
    }

    /// The compression methods, one byte each: in order 0 alone.
    pub const fn compression_methods(&self) -> &'a [u8] {
        self.compression_methods
    }

    /// All extensions.
    pub const fn extensions(&self) -> Extensions<'a> {
        Extensions::new(self.extensions)
    }

    /// The name of the server that the client wants to speak to (SNI, RFC 6066 §3): the first host name of the list.
    ///
    /// Where the hello [has ECH](Self::has_ech), this is the name of whoever decrypts the true one, if the client does
    /// more than pretend.
    pub fn server_name(&self) -> Option<ServerName<'a>> {
        self.server_names()?.find(|name| name.name_type == ServerName::HOST_NAME)
    }

    /// All names of the server name extension, `None` without one.
    pub const fn server_names(&self) -> Option<ServerNames<'a>> {
        self.server_names
    }

    /// The application protocols offered (ALPN, RFC 7301 §3.1).
    pub const fn alpn(&self) -> Alpn<'a> {
        Alpn::new(self.alpn)
    }

    /// The versions of the extension for it (RFC 8446 §4.2.1), in the client's order of preference; `None` without
    /// the extension, which clients before TLS 1.3 do not send.
    pub fn supported_versions(&self) -> Option<Codes<'a>> {
        self.versions.map(Codes::new)
    }

    /// The highest version offered.
    pub fn version(&self) -> Version {
        match self.supported_versions() {
            // The highest code point, as a server that knows none of the drafts sees it.
            Some(versions) => versions.without_grease().max().map_or(self.legacy_version, Version),
            None => self.legacy_version,
        }
    }

    /// Whether the server may choose TLS 1.3.
    pub fn offers_tls_1_3(&self) -> bool {
        self.supported_versions().is_some_and(|mut all| all.any(|code| Version(code).is_tls_1_3()))
    }

    /// The groups for key exchange (RFC 8446 §4.2.7), once called elliptic curves.
    pub const fn groups(&self) -> Codes<'a> {
        Codes::new(self.groups)
    }

    /// The formats of points, one byte each (RFC 8422 §5.1.2).
    pub const fn point_formats(&self) -> &'a [u8] {
        self.point_formats
    }

    /// The signature algorithms (RFC 8446 §4.2.3).
    pub const fn signature_algorithms(&self) -> Codes<'a> {
        Codes::new(self.signature_algorithms)
    }

    /// Whether there is an encrypted hello inside (ECH, extension 0xfe0d), or something that looks like one: clients
    /// pretend so that those who mean it do not stand out (GREASE ECH), and nobody but the server can tell.
    pub const fn has_ech(&self) -> bool {
        self.has_ech
    }

    /// Whether there is an encrypted server name (ESNI, extension 0xffce), a draft that ECH came out of.
    pub const fn has_esni(&self) -> bool {
        self.has_esni
    }

    /// Whether the client sends data before the server has answered (0-RTT, RFC 8446 §4.2.10).
    pub const fn has_early_data(&self) -> bool {
        self.has_early_data
    }

    /// Whether the client offers to go on with an earlier session of TLS 1.3 (RFC 8446 §4.2.11).
    pub const fn has_pre_shared_key(&self) -> bool {
        self.has_pre_shared_key
    }

    /// Whether it answers a HelloRetryRequest, hence is the second of its connection.
    pub const fn is_retry(&self) -> bool {
        self.is_retry
    }

    /// Whether it is a second hello that names another server than the first one, or names one where the first did
    /// not, or the other way round: what was judged by the first name would reach the second.
    pub const fn has_other_server_name(&self) -> bool {
        self.has_other_server_name
    }

    /// What is odd about it. Records that it came in are known where it came out of a
    /// [`Session`](crate::protocol::Session).
    pub const fn anomalies(&self) -> Anomalies {
        self.anomalies
    }

    /// The JA3 fingerprint: an MD5 hash of [`ja3_text`](Self::ja3_text).
    pub fn ja3(&self) -> Ja3 {
        Ja3::of(self)
    }

    /// What the JA3 fingerprint is a hash of.
    pub const fn ja3_text(&self) -> Ja3Text<'a> {
        Ja3Text::client(*self)
    }

    /// The JA4 fingerprint.
    pub fn ja4(&self) -> Ja4 {
        Ja4::of(self)
    }

    fn read_extensions(&mut self, mut cursor: Cursor<'a>) -> Result<(), ParseError> {
        // Known ones are a bit each, of the others (few as a rule, thousands if somebody wants us to work) the
        // list is sorted.
        let mut seen = 0_u128;
        let mut others = SmallVec::<[u16; 16]>::new();
        while !cursor.is_empty() {
            let extension_type = cursor.u16("extension type")?;
            let data = cursor.medium("extension")?;
            let is_first = match 1_u128.checked_shl(u32::from(extension_type)) {
                Some(bit) => {
                    let is_first = seen & bit == 0;
                    seen |= bit;
                    is_first
                }
                None => {
                    others.push(extension_type);
                    true
                }
            };
            self.anomalies.note(Anomalies::EXTENSION_DOUBLED, !is_first);
            if is_first {
                self.read_extension(extension_type, data);
            }
        }
        others.sort_unstable();
        let is_doubled = others.windows(2).any(|pair| matches!(pair, [one, other] if one == other));
        self.anomalies.note(Anomalies::EXTENSION_DOUBLED, is_doubled);
        Ok(())
    }

    fn read_extension(&mut self, extension_type: u16, data: &'a [u8]) {
        let (list, is_whole) = match extension_type {
            kind::SERVER_NAME => {
                let (names, anomalies) = ServerNames::read(data);
                self.server_names = Some(names);
                self.anomalies |= anomalies;
                return;
            }
            kind::SUPPORTED_GROUPS => pairs(medium(data), &mut self.groups),
            kind::SIGNATURE_ALGORITHMS => pairs(medium(data), &mut self.signature_algorithms),
            kind::SUPPORTED_VERSIONS => pairs(short(data), self.versions.insert(&[])),
            kind::POINT_FORMATS => {
                let found = short(data);
                self.point_formats = found.0;
                found
            }
            kind::ALPN => {
                let (list, is_whole) = medium(data);
                self.alpn = list;
                let mut names = Alpn::new(list);
                let has_empty = names.by_ref().any(<[u8]>::is_empty);
                (list, is_whole && !has_empty && names.is_at_end())
            }
            kind::ECH => return self.has_ech = true,
            kind::ESNI => return self.has_esni = true,
            kind::EARLY_DATA => return self.has_early_data = true,
            kind::PRE_SHARED_KEY => return self.has_pre_shared_key = true,
            _ => return,
        };
        self.anomalies.note(Anomalies::EXTENSION_MALFORMED, !is_whole || list.is_empty());
    }
}

impl fmt::Display for ClientHello<'_> {
    /// One line for a log.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "TLS ClientHello {}", self.version())?;
        match self.server_name() {
            Some(name) => write!(f, " for {}", name.name.escape_ascii()),
            None => Ok(()),
        }
    }
}

impl fmt::Debug for ClientHello<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ClientHello")
            .field("version", &self.version())
            .field("server_name", &self.server_name().and_then(|name| name.dns_name()))
            .field("ja4", &self.ja4())
            .field("anomalies", &self.anomalies)
            .finish_non_exhaustive()
    }
}

type Field<'a> = fn(&mut Cursor<'a>, &'static str) -> Result<&'a [u8], ParseError>;

/// A list with its length before it, of a length that is allowed and in which none of the bits `odd` is set.
fn list<'a>(
    cursor: &mut Cursor<'a>,
    field: Field<'a>,
    name: &'static str,
    allowed: RangeInclusive<usize>,
    odd: usize,
) -> Result<&'a [u8], ParseError> {
    let offset = cursor.offset();
    let list = field(cursor, name)?;
    if allowed.contains(&list.len()) && list.len() & odd == 0 {
        return Ok(list);
    }
    Err(ParseError::Length {
        part: Part::ClientHello,
        field: name,
        offset,
        found: list.len(),
        minimum: *allowed.start(),
        maximum: *allowed.end(),
    })
}
