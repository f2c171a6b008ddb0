use core::fmt;

use super::super::{Limits, Text};
use super::anomalies::Anomalies;
use super::anomaly::Anomaly;
use super::framing::Framing;
use super::headers::{Headers, is_space, is_token, line, trim_of, without_end};
use super::scan::Scan;
use super::target::{Target, host_name, normal_host, normal_path};

/// The head of an HTTP request.
///
/// It is given as it was understood, whatever is odd about it: [`anomalies`](Self::anomalies) says what is.
#[derive(Clone)]
pub struct Request<'a> {
    number: u64,
    head: &'a [u8],
    line: RequestLine<'a>,
    target: Target<'a>,
    host: Option<&'a [u8]>,
    headers: Headers<'a>,
    content_length: Option<u64>,
    framing: Framing,
    has_upgrade: bool,
    anomalies: Anomalies,
}

impl<'a> Request<'a> {
    /// From a whole head, without empty lines before it.
    pub(super) fn parse(head: &'a [u8], number: u64, limits: &Limits) -> Self {
        let (first, lines) = line(head).unwrap_or((head, &[]));
        let mut anomalies = Anomalies::NONE;
        let line = RequestLine::parse(without_end(first), &mut anomalies);
        let scan = Scan::of(first, lines, limits);
        anomalies = anomalies.union(scan.anomalies);
        let target = Target::parse(line.target, line.method == b"CONNECT", &mut anomalies);
        let host = scan.check_host(&target, line.version, &mut anomalies);
        let framing = scan.body.framing(line.version, true, &mut anomalies);
        let is_bodiless = matches!(line.method, b"GET" | b"HEAD" | b"TRACE");
        anomalies.add_if(is_bodiless && framing != Framing::None, Anomaly::BodyUnexpected);
        Self {
            number,
            head,
            line,
            target,
            host,
            headers: Headers::new(lines),
            content_length: scan.body.length(),
            framing,
            has_upgrade: scan.upgrade.is_some(),
            anomalies,
        }
    }

    /// The how manieth request of its connection it is, from 0. Its body and its response have the same number.
    #[inline]
    pub const fn number(&self) -> u64 {
        self.number
    }

    /// `GET`, for example.
    #[inline]
    pub const fn method(&self) -> Text<'a> {
        Text::borrowed(self.line.method)
    }

    /// The target as it was written: `/a/b?c`, `http://host/a`, `host:443`, `*`.
    #[inline]
    pub const fn target(&self) -> Text<'a> {
        Text::borrowed(self.line.target)
    }

    /// The path in the target as it was written, without query. Empty where there is none.
    #[inline]
    pub const fn raw_path(&self) -> Text<'a> {
        Text::borrowed(self.target.path)
    }

    /// The path with escapes decoded once and `.` and `..` resolved; `/` where it is empty.
    ///
    /// What receivers may take for another path has an [anomaly](Anomaly::is_misleading).
    pub fn path(&self) -> Text<'a> {
        normal_path(self.target.path)
    }

    /// What follows the question mark, as it was written.
    #[inline]
    pub fn query(&self) -> Option<Text<'a>> {
        self.target.query.map(Text::borrowed)
    }

    /// The version of the protocol.
    #[inline]
    pub const fn version(&self) -> Version {
        self.line.version
    }

    /// The host that is asked, in lower case, without port and trailing dot: the one that the target names, else the one in
    /// the Host header (RFC 9112 §3.2.2).
    pub fn host(&self) -> Option<Text<'a>> {
        self.target.authority.or(self.host).map(normal_host)
    }

    /// The same as it was written, with its port.
    #[inline]
    pub fn raw_host(&self) -> Option<Text<'a>> {
        self.target.authority.or(self.host).map(Text::borrowed)
    }

    /// The port that is asked for, where one is named.
    pub fn port(&self) -> Option<u16> {
        let authority = self.target.authority.or(self.host)?;
        let (_, port) = authority.split_at_checked(memchr::memrchr(b':', authority)?)?;
        host_name(authority).1.then(|| core::str::from_utf8(port.get(1..)?).ok()?.parse().ok())?
    }

    /// All headers.
    #[inline]
    pub fn headers(&self) -> Headers<'a> {
        self.headers.clone()
    }

    /// The value of the first header of that name, in whatever case.
    pub fn header(&self, name: &str) -> Option<Text<'a>> {
        self.headers.find(name)
    }

    /// The Content-Length, where there is one that can be understood; it counts for nothing where the body is chunked.
    #[inline]
    pub const fn content_length(&self) -> Option<u64> {
        self.content_length
    }

    /// Where its body ends.
    #[inline]
    pub const fn framing(&self) -> Framing {
        self.framing
    }

    /// What is odd about it.
    #[inline]
    pub const fn anomalies(&self) -> Anomalies {
        self.anomalies
    }

    /// The head, byte for byte.
    #[inline]
    pub const fn as_bytes(&self) -> &'a [u8] {
        self.head
    }

    pub(super) const fn has_upgrade(&self) -> bool {
        self.has_upgrade
    }

    pub(super) const fn add(&mut self, anomaly: Anomaly) {
        self.anomalies.add(anomaly);
    }
}

impl fmt::Debug for Request<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Request")
            .field("number", &self.number)
            .field("method", &self.method())
            .field("target", &self.target())
            .field("version", &self.version())
            .field("headers", &self.headers)
            .field("framing", &self.framing)
            .field("anomalies", &self.anomalies)
            .finish()
    }
}

impl fmt::Display for Request<'_> {
    /// `HTTP GET example.com/index.html`, and behind it what is odd.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "HTTP {} ", self.method())?;
        match self.target.authority {
            None => write!(f, "{}{}", self.host().unwrap_or("".into()), self.target())?,
            Some(_) => write!(f, "{}", self.target())?,
        }
        self.anomalies.note(f)
    }
}

/// A version of HTTP.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Version {
    /// A request line without version.
    Http09,
    /// `HTTP/1.0`
    Http10,
    /// `HTTP/1.1`
    Http11,
    /// Any other, and what only looks like one.
    Other,
}

impl Version {
    /// `None` where it does not look like a version.
    pub(super) fn parse(token: &[u8]) -> Option<Self> {
        match token {
            b"HTTP/1.1" => Some(Self::Http11),
            b"HTTP/1.0" => Some(Self::Http10),
            _ => token.get(..5)?.eq_ignore_ascii_case(b"HTTP/").then_some(Self::Other),
        }
    }

    /// `HTTP/1.1`, for example.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Http09 => "HTTP/0.9",
            Self::Http10 => "HTTP/1.0",
            Self::Http11 => "HTTP/1.1",
            Self::Other => "other",
        }
    }
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

#[derive(Clone, Copy, Debug)]
struct RequestLine<'a> {
    method: &'a [u8],
    target: &'a [u8],
    version: Version,
}

impl<'a> RequestLine<'a> {
    /// Method up to the first white space, version behind the last, the target between them.
    fn parse(line: &'a [u8], anomalies: &mut Anomalies) -> Self {
        let end = line.iter().position(|byte| is_space(*byte)).unwrap_or(line.len());
        let (method, rest) = line.split_at_checked(end).unwrap_or((line, &[]));
        anomalies.add_if(!is_token(method), Anomaly::MethodInvalid);
        let (target, version) = match last_word(rest) {
            (target, Some(version)) => (target, version),
            (_, None) => {
                anomalies.add(Anomaly::Http09);
                (rest, Version::Http09)
            }
        };
        anomalies.add_if(version == Version::Other, Anomaly::VersionUnknown);
        // What is left of a request line as it should be: one space, a target, one space.
        let exact = target.strip_prefix(b" ").unwrap_or(target);
        let exact = match version {
            Version::Http09 => exact,
            _ => exact.strip_suffix(b" ").unwrap_or(exact),
        };
        let is_odd = exact.iter().any(|byte| is_space(*byte))
            || rest.last().is_some_and(|byte| is_space(*byte));
        anomalies.add_if(is_odd, Anomaly::RequestLineWhitespace);
        Self { method, target: trim_of(target, is_space), version }
    }
}

/// The version at the end of a line, and what is before it.
fn last_word(line: &[u8]) -> (&[u8], Option<Version>) {
    let is_within = |byte: &u8| !is_space(*byte);
    let end = line.iter().rposition(is_within).map_or(0, |last| last.saturating_add(1));
    let trimmed = line.get(..end).unwrap_or(line);
    let at = trimmed.iter().rposition(|byte| is_space(*byte)).map_or(0, |at| at.saturating_add(1));
    let (before, word) = trimmed.split_at_checked(at).unwrap_or((trimmed, &[]));
    match Version::parse(word) {
        Some(version) => (before, Some(version)),
        None => (line, None),
    }
}

/// Whether a request line has no version: no header follows it (HTTP/0.9).
pub(super) fn is_simple(line: &[u8]) -> bool {
    last_word(without_end(line)).1.is_none()
}

/// Whether it is what a client of HTTP/2 says first (RFC 9113 §3.4).
pub(super) fn is_http2_preface(head: &[u8]) -> bool {
    head == b"PRI * HTTP/2.0\r\n\r\n"
}
