//! Reading out of a message, whose names may point anywhere in it.

use domain::base::ParsedName;
use domain::dep::octseq::Parser;

use super::{Name, ParseError};

/// Somewhere in a message.
#[derive(Clone, Copy, Debug)]
pub(super) struct Reader<'a>(Parser<'a, [u8]>);

/// There are not as many bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Short;

/// What a name takes that is no attack: as many pointers as it can have labels.
const MAX_POINTERS: u32 = 127;

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
        let wrong = |expected| ParseError::Name { offset, expected };
        if !has_few_pointers(self.0.octets_ref(), offset) {
            return Err(wrong("at most 127 compression pointers"));
        }
        match ParsedName::parse(&mut self.0) {
            Ok(name) => Ok(Name(name)),
            Err(_) => Err(wrong("labels and pointers backwards, to an end, of at most 255 bytes")),
        }
    }
}

/// Whether following a name takes few steps. A chain of pointers that all point backwards may be as long as the
/// message, and each record may begin it again.
fn has_few_pointers(message: &[u8], start: usize) -> bool {
    let mut position = start;
    let mut pointers = 0;
    let mut labels = 0_u32;
    while pointers <= MAX_POINTERS && labels <= 127 {
        match message.get(position..) {
            Some(&[high @ 0xc0..=0xff, low, ..]) => {
                pointers = pointers.saturating_add(1);
                position = usize::from(u16::from_be_bytes([high & 0x3f, low]));
            }
            Some(&[len @ 1..=63, ..]) => {
                labels = labels.saturating_add(1);
                position = position.saturating_add(usize::from(len)).saturating_add(1);
            }
            // Its end, or what is an error whatever the pointers.
            _ => return true,
        }
    }
    pointers <= MAX_POINTERS
}
