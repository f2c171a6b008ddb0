use std::io::{self, Read};

/// An input that is read one record at a time, and never beyond it.
///
/// The record grows with the bytes that arrive: a claimed length costs nothing.
#[derive(Debug)]
pub(super) struct Input<R> {
    read: R,
    record: Vec<u8>,
    offset: u64,
}

/// Bytes that are read at a time, unless there were more before: as much as an ordinary packet has.
const STEP: usize = 1_600;

impl<R: Read> Input<R> {
    pub(super) fn new(read: R) -> Self {
        Self { read, record: Vec::new(), offset: 0 }
    }

    /// Forgets the record and starts the one that follows it.
    pub(super) fn next_record(&mut self) {
        let len = u64::try_from(self.record.len()).unwrap_or(u64::MAX);
        self.offset = self.offset.saturating_add(len);
        self.record.clear();
    }

    /// Reads until the record has `len` bytes or the input ends, and tells how many it has.
    pub(super) fn fill(&mut self, len: usize) -> io::Result<usize> {
        loop {
            let found = self.record.len();
            let missing = len.saturating_sub(found);
            if missing == 0 {
                return Ok(found);
            }
            // Not room for all that is missing, which an attacker could choose.
            let room = missing.min(found.max(STEP));
            self.record.resize(found.saturating_add(room), 0);
            let read = self.read.read(self.record.get_mut(found..).unwrap_or_default());
            let more = *read.as_ref().unwrap_or(&0);
            self.record.truncate(found.saturating_add(more));
            match read {
                Ok(0) => return Ok(found),
                Err(error) if error.kind() != io::ErrorKind::Interrupted => return Err(error),
                _ => {}
            }
        }
    }

    /// The bytes of the record that have been read.
    pub(super) fn record(&self) -> &[u8] {
        &self.record
    }

    /// Where the record starts, in bytes from the start of the input.
    pub(super) fn offset(&self) -> u64 {
        self.offset
    }
}

/// Byte order of a file or section.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Order {
    Big,
    Little,
}

impl Order {
    pub(super) fn u16(self, bytes: &[u8], at: usize) -> Option<u16> {
        let bytes = *bytes.get(at..)?.first_chunk()?;
        Some(match self {
            Self::Big => u16::from_be_bytes(bytes),
            Self::Little => u16::from_le_bytes(bytes),
        })
    }

    pub(super) fn u32(self, bytes: &[u8], at: usize) -> Option<u32> {
        let bytes = *bytes.get(at..)?.first_chunk()?;
        Some(match self {
            Self::Big => u32::from_be_bytes(bytes),
            Self::Little => u32::from_le_bytes(bytes),
        })
    }

    pub(super) fn i64(self, bytes: &[u8], at: usize) -> Option<i64> {
        let bytes = *bytes.get(at..)?.first_chunk()?;
        Some(match self {
            Self::Big => i64::from_be_bytes(bytes),
            Self::Little => i64::from_le_bytes(bytes),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn claimed_lengths_cost_nothing() {
        let mut input = Input::new(&[7; 100][..]);
        assert_eq!(input.fill(usize::MAX).unwrap(), 100);
        assert!(input.record.capacity() < 4096, "{}", input.record.capacity());
    }

    #[test]
    fn nothing_is_read_ahead() {
        let mut bytes = &[1, 2, 3, 4, 5, 6][..];
        let mut input = Input::new(&mut bytes);
        assert_eq!(input.fill(2).unwrap(), 2);
        assert_eq!(input.fill(3).unwrap(), 3);
        assert_eq!(input.record(), [1, 2, 3]);
        input.next_record();
        assert_eq!((input.fill(2).unwrap(), input.offset()), (2, 3));
        assert_eq!(input.record(), [4, 5]);
        assert_eq!(bytes, [6]);
    }
}
