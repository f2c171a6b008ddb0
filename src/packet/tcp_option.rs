use super::{Layer, ParseError};

/// One TCP option (RFC 9293 §3.2).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum TcpOption<'a> {
    /// The largest segment that the sender wants to receive, in bytes of data (kind 2).
    MaximumSegmentSize(u16),
    /// By how many bits the sender's windows are shifted (kind 3, RFC 7323 §2). Beyond 14 counts as 14.
    WindowScale(u8),
    /// Selective acknowledgments may be sent (kind 4, RFC 2018 §2).
    SackPermitted,
    /// Ranges that have arrived out of order (kind 5, RFC 2018 §3).
    Sack(SackBlocks<'a>),
    /// Timestamps (kind 8, RFC 7323 §3).
    Timestamps {
        /// The sender's clock.
        value: u32,
        /// The clock value that it echoes.
        echo_reply: u32,
    },
    /// Any other kind.
    Unknown {
        /// The option's kind.
        kind: u8,
        /// Its data, without kind and length.
        data: &'a [u8],
    },
}

/// The options of a segment in their order; padding and no-operation are passed over.
///
/// The first error ends it: nothing after an option whose length is wrong can be trusted.
#[derive(Clone, Debug)]
pub struct TcpOptions<'a> {
    rest: &'a [u8],
    offset: usize,
}

impl<'a> TcpOptions<'a> {
    /// Over `rest`, which starts at `offset` in the packet.
    pub(super) const fn new(rest: &'a [u8], offset: usize) -> Self {
        Self { rest, offset }
    }

    /// What has not been looked at yet.
    pub const fn rest(&self) -> &'a [u8] {
        self.rest
    }

    fn option(&mut self) -> Result<Option<TcpOption<'a>>, ParseError> {
        const END: u8 = 0;
        const NO_OPERATION: u8 = 1;

        loop {
            match *self.rest {
                [] | [END, ..] => return Ok(None),
                [NO_OPERATION, ref after @ ..] => self.advance(after, 1),
                [kind] => return Err(self.length_error(kind, 2, 1)),
                [kind, length, ref after @ ..] => {
                    let length = usize::from(length);
                    let Some((data, after)) =
                        length.checked_sub(2).and_then(|data_len| after.split_at_checked(data_len))
                    else {
                        let expected = if length < 2 { 2 } else { self.rest.len() };
                        return Err(self.length_error(kind, expected, length));
                    };
                    let option = self.known(kind, data, length)?;
                    self.advance(after, length);
                    return Ok(Some(option));
                }
            }
        }
    }

    fn known(&self, kind: u8, data: &'a [u8], length: usize) -> Result<TcpOption<'a>, ParseError> {
        let wrong = |expected| Err(self.length_error(kind, expected, length));
        Ok(match (kind, data) {
            (2, &[high, low]) => TcpOption::MaximumSegmentSize(u16::from_be_bytes([high, low])),
            (3, &[shift]) => TcpOption::WindowScale(shift),
            (4, []) => TcpOption::SackPermitted,
            (5, blocks) if length > 2 && blocks.len() & 7 == 0 => {
                TcpOption::Sack(SackBlocks { rest: blocks })
            }
            (8, &[a, b, c, d, e, f, g, h]) => TcpOption::Timestamps {
                value: u32::from_be_bytes([a, b, c, d]),
                echo_reply: u32::from_be_bytes([e, f, g, h]),
            },
            (2, _) => return wrong(4),
            (3, _) => return wrong(3),
            (4, _) => return wrong(2),
            (5 | 8, _) => return wrong(10),
            _ => TcpOption::Unknown { kind, data },
        })
    }

    const fn advance(&mut self, rest: &'a [u8], by: usize) {
        self.rest = rest;
        self.offset = self.offset.saturating_add(by);
    }

    const fn length_error(&self, kind: u8, expected: usize, found: usize) -> ParseError {
        ParseError::OptionLength { layer: Layer::Tcp, offset: self.offset, kind, expected, found }
    }
}

impl<'a> Iterator for TcpOptions<'a> {
    type Item = Result<TcpOption<'a>, ParseError>;

    fn next(&mut self) -> Option<Self::Item> {
        let option = self.option().transpose();
        if !matches!(option, Some(Ok(_))) {
            self.rest = &[];
        }
        option
    }
}

impl core::iter::FusedIterator for TcpOptions<'_> {}

/// The blocks of a selective acknowledgment: the first sequence number of each range, and the one after its
/// last.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SackBlocks<'a> {
    rest: &'a [u8],
}

impl Iterator for SackBlocks<'_> {
    type Item = (u32, u32);

    fn next(&mut self) -> Option<Self::Item> {
        let (&[a, b, c, d, e, f, g, h], rest) = self.rest.split_first_chunk()?;
        self.rest = rest;
        Some((u32::from_be_bytes([a, b, c, d]), u32::from_be_bytes([e, f, g, h])))
    }
}

impl core::iter::FusedIterator for SackBlocks<'_> {}

#[cfg(test)]
mod tests {
    use super::*;

    fn all(bytes: &[u8]) -> Vec<Result<TcpOption<'_>, ParseError>> {
        TcpOptions::new(bytes, 40).collect()
    }

    #[test]
    fn options_of_a_syn() {
        let bytes = [2, 4, 5, 0xb4, 4, 2, 8, 10, 0, 0, 0, 1, 0, 0, 0, 2, 1, 3, 3, 7];
        assert_eq!(
            all(&bytes),
            [
                Ok(TcpOption::MaximumSegmentSize(1460)),
                Ok(TcpOption::SackPermitted),
                Ok(TcpOption::Timestamps { value: 1, echo_reply: 2 }),
                Ok(TcpOption::WindowScale(7)),
            ]
        );
    }

    #[test]
    fn sack_blocks_and_unknown_kinds() {
        let bytes = [&[5, 18][..], &[0, 0, 0, 1, 0, 0, 0, 2].repeat(2), &[254, 3, 9]].concat();
        let mut options = TcpOptions::new(&bytes, 0);
        let Some(Ok(TcpOption::Sack(blocks))) = options.next() else { panic!() };
        assert_eq!(blocks.collect::<Vec<_>>(), [(1, 2), (1, 2)]);
        assert_eq!(options.next(), Some(Ok(TcpOption::Unknown { kind: 254, data: &[9] })));
        assert_eq!(options.next(), None);
    }

    #[test]
    fn the_end_of_options_ends_them() {
        assert_eq!(all(&[1, 1, 0, 2, 1]), []);
    }

    #[test]
    fn a_wrong_length_is_told_once_with_its_place() {
        for (bytes, kind, expected, found) in [
            (&[1, 2, 3, 0, 4, 2][..], 2, 4, 3), // MSS of the wrong size
            (&[1, 9, 0, 4, 2], 9, 2, 0),        // a length that does not count itself
            (&[1, 9, 1, 4, 2], 9, 2, 1),
            (&[1, 9, 5, 1, 1], 9, 4, 5), // beyond the header
            (&[1, 9], 9, 2, 1),          // no length at all
            (&[1, 5, 2], 5, 10, 2),      // SACK without a block
        ] {
            let layer = Layer::Tcp;
            let error = ParseError::OptionLength { layer, offset: 41, kind, expected, found };
            assert_eq!(all(bytes), [Err(error)], "{bytes:?}");
        }
    }
}
