use super::anomalies::Anomalies;
use super::anomaly::Anomaly;
use super::chunks::LARGEST;
use super::headers::trim;
use super::request::Version;

/// How a message says where it ends (RFC 9112 §6.3).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Framing {
    /// It has no body.
    None,
    /// So many bytes follow, never 0.
    Length(u64),
    /// Chunks follow.
    Chunked,
    /// All that follows is the body.
    UntilClose,
    /// It says so in a way that receivers understand differently: nothing after it is understood.
    Unknown(&'static str),
}

/// What the headers say about the body, gathered while they go by.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct BodyHeaders {
    length: Option<Length>,
    coding: Option<Coding>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Length {
    Is(u64),
    Invalid,
    Conflict,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Coding {
    Chunked,
    /// Chunked is not the last one.
    NotLast,
    /// Chunked is not among them.
    Other,
}

impl BodyHeaders {
    pub(super) fn content_length(&mut self, value: &[u8], anomalies: &mut Anomalies) {
        for member in value.split(|byte| *byte == b',') {
            let member = decimal(trim(member)).map_or(Length::Invalid, Length::Is);
            self.length = Some(match (self.length, member) {
                (None, member) => member,
                (Some(Length::Is(known)), Length::Is(length)) if known == length => {
                    anomalies.add(Anomaly::ContentLengthRepeated);
                    member
                }
                (Some(Length::Is(_)), Length::Is(_)) | (Some(Length::Conflict), _) => {
                    Length::Conflict
                }
                _ => Length::Invalid,
            });
        }
        match self.length {
            Some(Length::Invalid) => anomalies.add(Anomaly::ContentLengthInvalid),
            Some(Length::Conflict) => anomalies.add(Anomaly::ContentLengthConflict),
            Some(Length::Is(_)) | None => {}
        }
    }

    pub(super) fn transfer_encoding(&mut self, value: &[u8], anomalies: &mut Anomalies) {
        anomalies.add_if(self.coding.is_some(), Anomaly::TransferEncodingRepeated);
        anomalies.add_if(!value.eq_ignore_ascii_case(b"chunked"), Anomaly::TransferEncodingOdd);
        for member in value.split(|byte| *byte == b',') {
            let is_chunked = trim(member).eq_ignore_ascii_case(b"chunked");
            self.coding = Some(match (self.coding, is_chunked) {
                (None | Some(Coding::Other), true) => Coding::Chunked,
                (None | Some(Coding::Other), false) => Coding::Other,
                (Some(Coding::Chunked | Coding::NotLast), _) => Coding::NotLast,
            });
        }
        let is_late = self.coding == Some(Coding::NotLast);
        anomalies.add_if(is_late, Anomaly::ChunkedNotLast);
    }

    /// The Content-Length, where there is one that can be understood.
    pub(super) const fn length(&self) -> Option<u64> {
        match self.length {
            Some(Length::Is(length)) => Some(length),
            _ => None,
        }
    }

    /// What the headers come to. `is_request`, since a response may go on until the connection is closed.
    pub(super) fn framing(
        &self,
        version: Version,
        is_request: bool,
        anomalies: &mut Anomalies,
    ) -> Framing {
        if self.coding.is_some() {
            anomalies.add_if(self.length.is_some(), Anomaly::ContentLengthWithTransferEncoding);
            let is_old = matches!(version, Version::Http10 | Version::Http09);
            anomalies.add_if(is_old, Anomaly::TransferEncodingInHttp10);
        }
        match (self.coding, self.length) {
            (Some(Coding::Chunked), _) => Framing::Chunked,
            (Some(Coding::NotLast), _) => {
                Framing::Unknown("chunked is not the last transfer coding")
            }
            (Some(Coding::Other), _) if is_request => {
                Framing::Unknown("a transfer coding that is not chunked")
            }
            (Some(Coding::Other), _) => Framing::UntilClose,
            (None, Some(Length::Invalid)) => Framing::Unknown("a content length that is no number"),
            (None, Some(Length::Conflict)) => Framing::Unknown("content lengths that differ"),
            (None, Some(Length::Is(0))) => Framing::None,
            (None, Some(Length::Is(length))) => Framing::Length(length),
            (None, None) if is_request => Framing::None,
            (None, None) => Framing::UntilClose,
        }
    }
}

/// Digits and nothing else.
fn decimal(digits: &[u8]) -> Option<u64> {
    if digits.is_empty() {
        return None;
    }
    let number = digits.iter().try_fold(0_u64, |number, byte| {
        let digit = char::from(*byte).to_digit(10)?;
        number.checked_mul(10)?.checked_add(u64::from(digit))
    })?;
    (number <= LARGEST).then_some(number)
}
