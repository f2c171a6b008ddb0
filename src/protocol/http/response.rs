use core::fmt;

use super::super::{Limits, Text};
use super::anomalies::Anomalies;
use super::anomaly::Anomaly;
use super::framing::Framing;
use super::headers::{Headers, line, without_end};
use super::outstanding::Asked;
use super::request::Version;
use super::scan::Scan;

/// The head of an HTTP response.
#[derive(Clone)]
pub struct Response<'a> {
    number: Option<u64>,
    head: &'a [u8],
    version: Version,
    status: u16,
    reason: &'a [u8],
    headers: Headers<'a>,
    content_length: Option<u64>,
    upgrade: Option<&'a [u8]>,
    framing: Framing,
    anomalies: Anomalies,
}

impl<'a> Response<'a> {
    /// From a whole head; `None` where its first line is no status line. `asked` is what the request was, and its number.
    pub(super) fn parse(
        head: &'a [u8],
        asked: Option<(Asked, u64)>,
        limits: &Limits,
    ) -> Option<Self> {
        let (first, lines) = line(head).unwrap_or((head, &[]));
        let (version, rest) = without_end(first).split_at_checked(8)?;
        let version = Version::parse(version)?;
        let (status, reason) = match rest {
            [b' ', status @ ..] => status.split_at_checked(3)?,
            _ => return None,
        };
        let status = number_of(status)?;
        let reason = match reason {
            [] => reason,
            [b' ', reason @ ..] => reason,
            _ => return None,
        };
        let scan = Scan::of(first, lines, limits);
        let mut anomalies = scan.anomalies;
        anomalies.add_if(version == Version::Other, Anomaly::VersionUnknown);
        anomalies.add_if(asked.is_none(), Anomaly::ResponseUnsolicited);
        let framing = scan.body.framing(version, false, &mut anomalies);
        let has_no_body = matches!(status, 100..=199 | 204 | 304)
            || matches!(
                (asked, status),
                (Some((Asked::Head, _)), _) | (Some((Asked::Connect, _)), 200..=299)
            );
        Some(Self {
            number: asked.map(|(_, number)| number),
            head,
            version,
            status,
            reason,
            headers: Headers::new(lines),
            content_length: scan.body.length(),
            upgrade: scan.upgrade,
            framing: if has_no_body { Framing::None } else { framing },
            anomalies,
        })
    }

    /// The number of the request that it answers, `None` where none was seen. An interim response (1xx) has the same number
    /// as the final one.
    #[inline]
    pub const fn number(&self) -> Option<u64> {
        self.number
    }

    /// The version of the protocol.
    #[inline]
    pub const fn version(&self) -> Version {
        self.version
    }

    /// The status code, 0 to 999.
    #[inline]
    pub const fn status(&self) -> u16 {
        self.status
    }

    /// The words behind the status code, mostly not worth reading.
    #[inline]
    pub const fn reason(&self) -> Text<'a> {
        Text::borrowed(self.reason)
    }

    /// Whether a final response follows it: 100 Continue, 103 Early Hints.
    #[inline]
    pub const fn is_interim(&self) -> bool {
        matches!(self.status, 100..=199) && self.status != 101
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

    /// The Content-Length, where there is one that can be understood; it counts for nothing where the
    /// [framing](Self::framing) is another.
    #[inline]
    pub const fn content_length(&self) -> Option<u64> {
        self.content_length
    }

    /// Where its body ends, which the request has a say in.
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

    pub(super) const fn upgrade(&self) -> Option<&'a [u8]> {
        self.upgrade
    }

    pub(super) const fn add(&mut self, anomaly: Anomaly) {
        self.anomalies.add(anomaly);
    }
}

fn number_of(digits: &[u8]) -> Option<u16> {
    digits.iter().try_fold(0_u16, |number, byte| {
        let digit = u16::from(*byte).checked_sub(u16::from(b'0')).filter(|digit| *digit < 10)?;
        number.checked_mul(10)?.checked_add(digit)
    })
}

impl fmt::Debug for Response<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Response")
            .field("number", &self.number)
            .field("status", &self.status)
            .field("reason", &self.reason())
            .field("version", &self.version())
            .field("headers", &self.headers)
            .field("framing", &self.framing)
            .field("anomalies", &self.anomalies)
            .finish()
    }
}

impl fmt::Display for Response<'_> {
    /// `HTTP 200 OK`, and behind it what is odd.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "HTTP {} {}", self.status, self.reason())?;
        self.anomalies.note(f)
    }
}
