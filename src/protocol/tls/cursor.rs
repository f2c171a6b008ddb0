//! Reading field after field, with the place at hand for errors.

use super::{ParseError, Part};

#[derive(Clone, Copy, Debug)]
pub(super) struct Cursor<'a> {
    rest: &'a [u8],
    offset: usize,
    part: Part,
}

impl<'a> Cursor<'a> {
    pub(super) const fn new(part: Part, bytes: &'a [u8]) -> Self {
        Self { rest: bytes, offset: 0, part }
    }

    /// The bytes of a field that has been read already, as something to read in.
    pub(super) const fn within(&self, bytes: &'a [u8]) -> Self {
        let offset = self.offset.saturating_sub(bytes.len());
        Self { rest: bytes, offset, part: self.part }
    }

    pub(super) const fn rest(&self) -> &'a [u8] {
        self.rest
    }

    pub(super) const fn offset(&self) -> usize {
        self.offset
    }

    pub(super) const fn is_empty(&self) -> bool {
        self.rest.is_empty()
    }

    pub(super) const fn take(
        &mut self,
        len: usize,
        field: &'static str,
    ) -> Result<&'a [u8], ParseError> {
        let Some((taken, rest)) = self.rest.split_at_checked(len) else {
            return Err(self.truncated(len, field));
        };
        self.rest = rest;
        self.offset = self.offset.saturating_add(len);
        Ok(taken)
    }

    pub(super) fn array<const N: usize>(
        &mut self,
        field: &'static str,
    ) -> Result<&'a [u8; N], ParseError> {
        let Some((taken, rest)) = self.rest.split_first_chunk() else {
            return Err(self.truncated(N, field));
        };
        self.rest = rest;
        self.offset = self.offset.saturating_add(N);
        Ok(taken)
    }

    pub(super) fn u8(&mut self, field: &'static str) -> Result<u8, ParseError> {
        self.array(field).map(|&[byte]| byte)
    }

    pub(super) fn u16(&mut self, field: &'static str) -> Result<u16, ParseError> {
        self.array(field).map(|bytes| u16::from_be_bytes(*bytes))
    }

    /// A field with one byte of length before it.
    pub(super) fn short(&mut self, field: &'static str) -> Result<&'a [u8], ParseError> {
        let len = self.u8(field)?;
        self.take(usize::from(len), field)
    }

    /// A field with two bytes of length before it.
    pub(super) fn medium(&mut self, field: &'static str) -> Result<&'a [u8], ParseError> {
        let len = self.u16(field)?;
        self.take(usize::from(len), field)
    }

    /// A field with three bytes of length before it.
    pub(super) fn long(&mut self, field: &'static str) -> Result<&'a [u8], ParseError> {
        let &[high, middle, low] = self.array(field)?;
        let len = u32::from_be_bytes([0, high, middle, low]);
        self.take(usize::try_from(len).unwrap_or(usize::MAX), field)
    }

    /// An error where bytes are left over.
    pub(super) const fn finish(&self, field: &'static str) -> Result<(), ParseError> {
        if self.rest.is_empty() {
            return Ok(());
        }
        let found = self.rest.len();
        Err(ParseError::Trailing { part: self.part, field, offset: self.offset, found })
    }

    const fn truncated(&self, expected: usize, field: &'static str) -> ParseError {
        let found = self.rest.len();
        ParseError::Truncated { part: self.part, field, offset: self.offset, expected, found }
    }
}
