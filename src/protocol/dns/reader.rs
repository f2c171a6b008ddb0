//! Reading out of a message, whose names may point anywhere in it.

use domain::dep::octseq::Parser;

use super::{Name, ParseError};

/// Somewhere in a message.
#[derive(Clone, Copy, Debug)]
pub(super) struct Reader<'a>(Parser<'a, [u8]>);

/// There are not as many bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Short;

impl<'a> Reader<'a> {
    /// At `start` of a message, to `end`. Both are in it.
    pub(super) fn new(message: &'a [u8], start: usize, end: usize) -> Self {
        let parser = Parser::try_with_range(message, start..end);
        Self(parser.unwrap_or_else(|| Parser::from_ref(&[])))
    }

    pub(super) fn position(&self) -> usize {
        self.0.pos()
    }

    pub(super) fn is_at_end(&self) -> bool {
        self.0.remaining() == 0
    }

    pub(super) fn u8(&mut self) -> Result<u8, Short> {
        self.0.parse_u8().map_err(|_| Short)
    }

    pub(super) fn u16(&mut self) -> Result<u16, Short> {
        self.0.parse_u16_be().map_err(|_| Short)
    }

    pub(super) fn u32(&mut self) -> Result<u32, Short> {
        self.0.parse_u32_be().map_err(|_| Short)
    }

    pub(super) fn take(&mut self, len: usize) -> Result<&'a [u8], Short> {
        self.0.parse_octets(len).map_err(|_| Short)
    }

    pub(super) fn rest(&mut self) -> &'a [u8] {
        self.take(self.0.remaining()).unwrap_or_default()
    }

    pub(super) fn array<const N: usize>(&mut self) -> Result<[u8; N], Short> {
        let mut bytes = [0; N];
        self.0.parse_buf(&mut bytes).map_err(|_| Short)?;
        Ok(bytes)
    }

    pub(super) fn name(&mut self) -> Result<Name<'a>, ParseError> {
        let offset = self.position();
        let end = offset.saturating_add(self.0.remaining());
        let message = self.0.octets_ref().get(..end).unwrap_or_default();
        let wrong = |expected| ParseError::Name { offset, expected };
        let (name, behind) = Name::read(message, offset).map_err(wrong)?;
        self.take(behind.saturating_sub(offset)).map_err(|Short| wrong("the end of a name"))?;
        Ok(name)
    }
}
