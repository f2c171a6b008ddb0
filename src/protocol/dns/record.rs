use super::reader::{Reader, Short};
use super::{Class, Name, ParseError, RecordData, RecordType, Section};

/// What is asked (RFC 1035 §4.1.2).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Question<'a> {
    /// The name.
    pub name: Name<'a>,
    /// What is to be known of it.
    pub record_type: RecordType,
    /// The class.
    pub class: Class,
}

impl<'a> Question<'a> {
    pub(super) fn read(reader: &mut Reader<'a>) -> Result<Self, ParseError> {
        let offset = reader.position();
        let short = |Short| ParseError::Truncated { section: Section::Question, offset };
        Ok(Self {
            name: reader.name()?,
            record_type: RecordType(reader.u16().map_err(short)?),
            class: Class(reader.u16().map_err(short)?),
        })
    }
}

/// A resource record (RFC 1035 §4.1.3).
#[derive(Clone, Copy, Debug)]
pub struct Record<'a> {
    /// Whose it is.
    pub owner: Name<'a>,
    /// What it is about.
    pub record_type: RecordType,
    /// The class.
    pub class: Class,
    /// For how many seconds it may be kept.
    pub ttl: u32,
    message: &'a [u8],
    start: usize,
    end: usize,
}

impl<'a> Record<'a> {
    pub(super) fn read(
        reader: &mut Reader<'a>,
        message: &'a [u8],
        section: Section,
    ) -> Result<Self, ParseError> {
        let offset = reader.position();
        let short = |Short| ParseError::Truncated { section, offset };
        let owner = reader.name()?;
        let record_type = RecordType(reader.u16().map_err(short)?);
        let class = Class(reader.u16().map_err(short)?);
        let ttl = reader.u32().map_err(short)?;
        let len = reader.u16().map_err(short)?;
        let start = reader.position();
        reader.take(usize::from(len)).map_err(short)?;
        Ok(Self { owner, record_type, class, ttl, message, start, end: reader.position() })
    }

    /// What it says.
    pub fn data(&self) -> RecordData<'a> {
        RecordData::read(self.record_type, self.class, self.reader(), self.bytes())
    }

    /// The bytes of what it says, in which names may be compressed.
    pub fn bytes(&self) -> &'a [u8] {
        self.message.get(self.start..self.end).unwrap_or_default()
    }

    fn reader(&self) -> Reader<'a> {
        Reader::new(self.message, self.start, self.end)
    }
}

/// The questions of a message. In order there is one.
#[derive(Clone, Copy, Debug)]
pub struct Questions<'a> {
    pub(super) reader: Reader<'a>,
    pub(super) left: u16,
}

impl<'a> Iterator for Questions<'a> {
    type Item = Question<'a>;

    fn next(&mut self) -> Option<Question<'a>> {
        self.left = self.left.checked_sub(1)?;
        Question::read(&mut self.reader).ok()
    }
}

/// The records of a section in their order.
#[derive(Clone, Copy, Debug)]
pub struct Records<'a> {
    pub(super) message: &'a [u8],
    pub(super) reader: Reader<'a>,
    pub(super) left: u16,
}

impl<'a> Iterator for Records<'a> {
    type Item = Record<'a>;

    fn next(&mut self) -> Option<Record<'a>> {
        self.left = self.left.checked_sub(1)?;
        Record::read(&mut self.reader, self.message, Section::Answer).ok()
    }
}
