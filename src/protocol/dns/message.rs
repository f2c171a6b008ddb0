use core::fmt;

use domain::base::{Header, HeaderCounts};

use super::reader::Reader;
use super::{
    Edns, Opcode, ParseError, Question, Questions, Record, Records, ResponseCode, Section,
};

/// A DNS message (RFC 1035 §4.1): a query, or an answer to one.
///
/// A view: [`parse`](Self::parse) walks through it once, after which nothing can fail. What records say is looked into when
/// it is asked for.
#[derive(Clone, Copy)]
pub struct Message<'a> {
    bytes: &'a [u8],
    header: Header,
    counts: HeaderCounts,
    answers: usize,
    authorities: usize,
    additionals: usize,
    end: usize,
    edns: Option<Edns<'a>>,
}

impl<'a> Message<'a> {
    /// The length of the fixed header.
    pub const HEADER_LEN: usize = 12;

    /// Reads a message: the payload of a datagram, or what follows a length on TCP.
    ///
    /// # Errors
    ///
    /// [`ParseError`], where it is cut off before what its header counts, or a name cannot be followed. What stands inside
    /// a record's data is no reason.
    pub fn parse(bytes: &'a [u8]) -> Result<Self, ParseError> {
        if bytes.len() < Self::HEADER_LEN {
            return Err(ParseError::HeaderTruncated { found: bytes.len() });
        }
        let header = *Header::for_message_slice(bytes);
        let counts = *HeaderCounts::for_message_slice(bytes);
        let mut reader = Reader::new(bytes, Self::HEADER_LEN, bytes.len());
        for _ in 0..counts.qdcount() {
            Question::read(&mut reader)?;
        }
        let answers = reader.position();
        for _ in 0..counts.ancount() {
            Record::read(&mut reader, bytes, Section::Answer)?;
        }
        let authorities = reader.position();
        for _ in 0..counts.nscount() {
            Record::read(&mut reader, bytes, Section::Authority)?;
        }
        let additionals = reader.position();
        let mut edns = None;
        for _ in 0..counts.arcount() {
            let record = Record::read(&mut reader, bytes, Section::Additional)?;
            edns = edns.or(Edns::of(&record));
        }
        let end = reader.position();
        Ok(Self { bytes, header, counts, answers, authorities, additionals, end, edns })
    }

    /// All of it.
    pub const fn as_bytes(&self) -> &'a [u8] {
        self.bytes
    }

    /// The number by which an answer is matched with its query.
    pub fn id(&self) -> u16 {
        self.header.id()
    }

    /// Whether it is an answer (QR).
    pub fn is_response(&self) -> bool {
        self.header.qr()
    }

    /// What kind of query it is.
    pub fn opcode(&self) -> Opcode {
        Opcode(self.header.opcode().to_int())
    }

    /// Whether the server is responsible for the name (AA).
    pub fn is_authoritative(&self) -> bool {
        self.header.aa()
    }

    /// Whether it was cut short to fit, so that the client will ask again over TCP (TC).
    pub fn is_truncated(&self) -> bool {
        self.header.tc()
    }

    /// Whether the client wants the server to ask others (RD).
    pub fn recursion_desired(&self) -> bool {
        self.header.rd()
    }

    /// Whether the server would ask others (RA).
    pub fn recursion_available(&self) -> bool {
        self.header.ra()
    }

    /// Whether the server has verified the answer (AD, RFC 4035 §3.2.3).
    pub fn is_authentic(&self) -> bool {
        self.header.ad()
    }

    /// Whether the server need not verify (CD, RFC 4035 §3.2.2).
    pub fn is_checking_disabled(&self) -> bool {
        self.header.cd()
    }

    /// Bytes 2 and 3 of the header: flags, opcode and response code as they stand there.
    pub fn flags(&self) -> u16 {
        match *self.header.as_slice() {
            [_, _, high, low] => u16::from_be_bytes([high, low]),
            _ => 0,
        }
    }

    /// How the answer went, with the bits that EDNS adds.
    pub fn response_code(&self) -> ResponseCode {
        let upper = self.edns.map_or(0, |edns| u16::from(edns.extended_code));
        ResponseCode(upper << 4 | u16::from(self.header.rcode().to_int()))
    }

    /// The first question, in order the only one.
    pub fn question(&self) -> Option<Question<'a>> {
        self.questions().next()
    }

    /// What is asked.
    pub fn questions(&self) -> Questions<'a> {
        let reader = Reader::new(self.bytes, Self::HEADER_LEN, self.bytes.len());
        Questions { reader, left: self.counts.qdcount() }
    }

    /// What answers it.
    pub fn answers(&self) -> Records<'a> {
        self.records(self.answers, self.counts.ancount())
    }

    /// Who is responsible.
    pub fn authorities(&self) -> Records<'a> {
        self.records(self.authorities, self.counts.nscount())
    }

    /// What helps beside it, the record of EDNS among it.
    pub fn additionals(&self) -> Records<'a> {
        self.records(self.additionals, self.counts.arcount())
    }

    /// What is said by EDNS, in the first record for it.
    pub const fn edns(&self) -> Option<Edns<'a>> {
        self.edns
    }

    /// Bytes behind the last record, which nothing accounts for.
    pub fn trailing(&self) -> &'a [u8] {
        self.bytes.get(self.end..).unwrap_or_default()
    }

    fn records(&self, start: usize, left: u16) -> Records<'a> {
        let reader = Reader::new(self.bytes, start, self.bytes.len());
        Records { message: self.bytes, reader, left }
    }
}

impl fmt::Display for Message<'_> {
    /// One line for a log.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let kind = if self.is_response() { "answer" } else { "query" };
        write!(f, "DNS {kind} {}", self.id())?;
        if self.opcode() != Opcode::QUERY {
            write!(f, " {}", self.opcode())?;
        }
        if let Some(Question { name, record_type, .. }) = self.question() {
            write!(f, " {record_type} {name}")?;
        }
        if self.is_response() {
            write!(f, ": {}, {} answers", self.response_code(), self.counts.ancount())?;
        }
        Ok(())
    }
}

impl fmt::Debug for Message<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Message({self})")
    }
}
