//! From records cut anywhere to handshake messages (RFC 8446 §5.1: messages may share a record or lie over several).

use super::super::partial::Partial;
use super::super::room::{Buffer, Room};
use super::super::{Limits, Why};
use super::{Alert, Anomalies};

/// The records of one side before it is encrypted.
///
/// A message that lies whole in one record and one slice is given from where it lies; of the others those that are
/// wanted are gathered.
#[derive(Debug, Default)]
pub(super) struct Assembly {
    /// A record's header, or as much of it as has come.
    header: Partial<5>,
    /// Where in the stream it began.
    record_at: u64,
    content_type: u8,
    /// What is still to come of the record.
    record_left: u16,
    /// A handshake message's type and length, or as much of it as has come.
    head: Partial<4>,
    /// Where in the stream the message began.
    message_at: u64,
    message_type: u8,
    message_len: u32,
    /// What is still to come of the message.
    body_left: u32,
    body: Buffer,
    /// How many records the message has come in so far.
    records: u32,
    /// The level of an alert of which the rest has not come.
    alert: Option<u8>,
    /// What was odd since the last message.
    anomalies: Anomalies,
}

/// What has been found.
#[derive(Clone, Copy, Debug)]
pub(super) enum Step<'b> {
    /// Nothing: all bytes are used.
    More,
    /// A handshake message, whole. Without `body` its body was gathered.
    Message {
        message_type: u8,
        body: Option<&'b [u8]>,
        anomalies: Anomalies,
    },
    /// A handshake message that is not wanted has begun.
    Passed {
        message_type: u8,
    },
    Alert(Alert),
    ChangeCipherSpec,
    /// A record of application data has begun.
    ApplicationData,
}

/// Why nothing more can be read, and from where on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Fault {
    pub(super) why: Why,
    pub(super) reason: &'static str,
    pub(super) at: u64,
}

pub(super) const CLIENT_HELLO: u8 = 1;
pub(super) const SERVER_HELLO: u8 = 2;
pub(super) const CERTIFICATE: u8 = 11;

const CHANGE_CIPHER_SPEC: u8 = 20;
const ALERT: u8 = 21;
const HANDSHAKE: u8 = 22;
const APPLICATION_DATA: u8 = 23;
const HEARTBEAT: u8 = 24;

/// RFC 5246 §6.2.3: 2^14 and 2,048 that encryption may add.
const MAX_RECORD: u16 = 16_384 + 2_048;
/// RFC 8446 §5.1
const MAX_PLAINTEXT: u32 = 16_384;

impl Assembly {
    /// Reads on in `rest` until something is found. `end` is where in the stream `rest` ends.
    pub(super) fn step<'b>(
        &mut self,
        rest: &mut &'b [u8],
        end: u64,
        limits: &Limits,
        room: &mut Room,
    ) -> Result<Step<'b>, Fault> {
        while !rest.is_empty() {
            let found = if self.record_left == 0 {
                self.record_header(rest, end)?
            } else {
                match self.content_type {
                    HANDSHAKE => self.handshake(rest, end, limits, room)?,
                    ALERT => self.alert(rest),
                    CHANGE_CIPHER_SPEC => self.change_cipher_spec(rest)?,
                    _ => {
                        self.take(rest, usize::MAX);
                        None
                    }
                }
            };
            if let Some(step) = found {
                return Ok(step);
            }
        }
        Ok(Step::More)
    }

    /// The body of the message that was found last, if it was gathered.
    pub(super) fn gathered(&self) -> &[u8] {
        self.body.as_slice()
    }

    /// Where the message that was found last began.
    pub(super) const fn message_at(&self) -> u64 {
        self.message_at
    }

    /// Where the record that was begun last began.
    pub(super) const fn record_at(&self) -> u64 {
        self.record_at
    }

    /// Whether everything that began is whole.
    pub(super) const fn is_between_records(&self) -> bool {
        self.record_left == 0 && self.header.is_empty() && !self.is_in_message()
    }

    /// Where the record or message that is not whole began.
    pub(super) const fn unfinished_at(&self) -> u64 {
        if self.is_in_message() { self.message_at } else { self.record_at }
    }

    pub(super) fn release(&mut self, room: &mut Room) {
        self.body.release(room);
    }

    const fn is_in_message(&self) -> bool {
        self.body_left > 0 || !self.head.is_empty()
    }

    fn record_header<'b>(
        &mut self,
        rest: &mut &'b [u8],
        end: u64,
    ) -> Result<Option<Step<'b>>, Fault> {
        if self.header.is_empty() {
            self.record_at = position(rest, end);
        }
        let Some([content_type, major, minor, high, low]) = self.header.fill(rest) else {
            return Ok(None);
        };
        let len = u16::from_be_bytes([high, low]);
        let fault = |reason| Fault { why: Why::Unparsable, reason, at: self.record_at };
        if !(CHANGE_CIPHER_SPEC..=HEARTBEAT).contains(&content_type) {
            let is_ssl_2 = content_type & 0x80 != 0 && minor == CLIENT_HELLO;
            return Err(fault(if is_ssl_2 {
                "SSLv2-compatible hello"
            } else {
                "record of an unknown type"
            }));
        }
        if major != 3 {
            return Err(fault("record of an unknown version"));
        }
        if len > MAX_RECORD {
            return Err(fault("record longer than allowed"));
        }
        if content_type == CHANGE_CIPHER_SPEC && len != 1 {
            return Err(fault("ChangeCipherSpec malformed"));
        }
        self.content_type = content_type;
        self.record_left = len;
        self.anomalies.note(Anomalies::LEGACY_VERSION, minor > 3);
        self.anomalies.note(Anomalies::HEARTBEAT, content_type == HEARTBEAT);
        self.anomalies.note(Anomalies::RECORD_EMPTY, len == 0);
        if self.is_in_message() {
            self.records = self.records.saturating_add(1);
            self.anomalies.note(Anomalies::RECORDS_INTERLEAVED, content_type != HANDSHAKE);
        }
        Ok((content_type == APPLICATION_DATA).then_some(Step::ApplicationData))
    }

    fn handshake<'b>(
        &mut self,
        rest: &mut &'b [u8],
        end: u64,
        limits: &Limits,
        room: &mut Room,
    ) -> Result<Option<Step<'b>>, Fault> {
        if self.body_left == 0 {
            if self.head.is_empty() {
                self.message_at = position(rest, end);
                self.records = 1;
            }
            let mut head = self.peek(rest);
            let before = head.len();
            let found = self.head.fill(&mut head);
            self.take(rest, before.saturating_sub(head.len()));
            let Some([message_type, high, middle, low]) = found else { return Ok(None) };
            let len = u32::from_be_bytes([0, high, middle, low]);
            let is_wanted = is_wanted(message_type);
            if is_wanted && len > limits.message {
                let reason = "handshake message larger than is gathered";
                return Err(Fault { why: Why::TooLarge, reason, at: self.message_at });
            }
            self.message_type = message_type;
            self.message_len = len;
            let size = usize::try_from(len).unwrap_or(usize::MAX);
            if let Some(body) = self.peek(rest).get(..size).filter(|_| is_wanted) {
                self.take(rest, size);
                return Ok(Some(self.whole(Some(body))));
            }
            self.body_left = len;
            return Ok((!is_wanted).then_some(Step::Passed { message_type }));
        }
        let wanted = usize::try_from(self.body_left).unwrap_or(usize::MAX);
        let part = self.take(rest, wanted);
        let taken = u32::try_from(part.len()).unwrap_or(u32::MAX);
        self.body_left = self.body_left.saturating_sub(taken);
        let is_wanted = is_wanted(self.message_type);
        if is_wanted && self.body.append(part, room).is_err() {
            let reason = "no room to gather a handshake message";
            return Err(Fault { why: Why::NoRoom, reason, at: self.message_at });
        }
        if self.body_left > 0 {
            return Ok(None);
        }
        let step = self.whole(None);
        Ok(is_wanted.then_some(step))
    }

    /// What is at hand of the record.
    fn peek<'b>(&self, rest: &'b [u8]) -> &'b [u8] {
        rest.get(..usize::from(self.record_left)).unwrap_or(rest)
    }

    /// A message has come to its end.
    fn whole<'b>(&mut self, body: Option<&'b [u8]>) -> Step<'b> {
        let message_type = self.message_type;
        let len = self.message_len.saturating_add(4);
        let mut anomalies = core::mem::take(&mut self.anomalies);
        anomalies.note(Anomalies::RECORDS_SPLIT, self.records > 1 && len <= MAX_PLAINTEXT);
        let is_tiny = self.records >= 8 && len < self.records.saturating_mul(64);
        anomalies.note(Anomalies::RECORDS_TINY, is_tiny);
        Step::Message { message_type, body, anomalies }
    }

    fn alert<'b>(&mut self, rest: &mut &'b [u8]) -> Option<Step<'b>> {
        let &[byte] = self.take(rest, 1) else { return None };
        match self.alert.take() {
            Some(level) => Some(Step::Alert(Alert { level, description: byte })),
            None => {
                self.alert = Some(byte);
                None
            }
        }
    }

    fn change_cipher_spec<'b>(&mut self, rest: &mut &'b [u8]) -> Result<Option<Step<'b>>, Fault> {
        match self.take(rest, 1) {
            [1] => Ok(Some(Step::ChangeCipherSpec)),
            _ => {
                let reason = "ChangeCipherSpec malformed";
                Err(Fault { why: Why::Unparsable, reason, at: self.record_at })
            }
        }
    }

    /// Takes at most so many bytes of the record.
    fn take<'b>(&mut self, rest: &mut &'b [u8], most: usize) -> &'b [u8] {
        let most = most.min(usize::from(self.record_left));
        let (part, after) = rest.split_at_checked(most).unwrap_or((*rest, &[]));
        *rest = after;
        let taken = u16::try_from(part.len()).unwrap_or(u16::MAX);
        self.record_left = self.record_left.saturating_sub(taken);
        part
    }
}

const fn is_wanted(message_type: u8) -> bool {
    matches!(message_type, CLIENT_HELLO | SERVER_HELLO | CERTIFICATE)
}

fn position(rest: &[u8], end: u64) -> u64 {
    end.saturating_sub(u64::try_from(rest.len()).unwrap_or(0))
}
