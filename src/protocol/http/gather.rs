use memchr::memchr;

use super::super::room::Buffer;
use super::super::{Room, Why};
use super::request::is_simple;

/// The head of a message, or the trailers behind a body, until all of it is there.
#[derive(Debug, Default)]
pub(super) struct Gather {
    /// Empty while everything is in the slice at hand.
    buffer: Buffer,
    finder: Finder,
}

/// What is looked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// The head of a request, which is over after its first line if that has no version.
    Request,
    Response,
    Trailers,
}

/// What a look at more bytes came to; with how many of them are used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Found {
    Part(usize),
    Whole(usize),
}

impl Gather {
    /// Looks for the end in `bytes`, of which none was looked at before, and keeps them where it is not there.
    pub(super) fn advance(
        &mut self,
        bytes: &[u8],
        kind: Kind,
        most: u32,
        room: &mut Room,
    ) -> Result<Found, Why> {
        let mut used = 0_usize;
        let mut is_whole = false;
        while let Some((mark, len)) =
            bytes.get(used..).and_then(|rest| self.finder.find(rest, kind))
        {
            used = used.saturating_add(len);
            let of_slice = bytes.get(..used).unwrap_or(bytes);
            is_whole = mark == Mark::End;
            if mark == Mark::FirstLine && kind == Kind::Request {
                if self.buffer.is_empty() {
                    is_whole = is_simple(of_slice);
                } else {
                    self.keep(of_slice, most, room)?;
                    if !is_simple(self.buffer.as_slice()) {
                        return Ok(Found::Part(used));
                    }
                    return Ok(Found::Whole(used));
                }
            }
            if is_whole {
                break;
            }
        }
        if !is_whole {
            used = bytes.len();
        } else if self.buffer.is_empty() {
            return if exceeds(used, most) { Err(Why::TooLarge) } else { Ok(Found::Whole(used)) };
        }
        self.keep(bytes.get(..used).unwrap_or(bytes), most, room)?;
        Ok(if is_whole { Found::Whole(used) } else { Found::Part(used) })
    }

    /// What is whole: kept bytes, or the first `used` of the slice.
    pub(super) fn whole<'a>(&'a self, bytes: &'a [u8], used: usize) -> &'a [u8] {
        if self.buffer.is_empty() {
            bytes.get(..used).unwrap_or(bytes)
        } else {
            self.buffer.as_slice()
        }
    }

    /// What is kept so far.
    pub(super) fn kept(&self) -> &[u8] {
        self.buffer.as_slice()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.buffer.is_empty()
    }

    /// Ready for the next one.
    pub(super) fn reset(&mut self, room: &mut Room) {
        self.buffer.release(room);
        self.finder = Finder::default();
    }

    fn keep(&mut self, bytes: &[u8], most: u32, room: &mut Room) -> Result<(), Why> {
        if exceeds(self.buffer.len().saturating_add(bytes.len()), most) {
            return Err(Why::TooLarge);
        }
        self.buffer.append(bytes, room).map_err(|_| Why::NoRoom)
    }

    /// Bytes looked at so far.
    #[cfg(test)]
    pub(super) fn examined(&self) -> usize {
        self.finder.examined
    }
}

fn exceeds(len: usize, most: u32) -> bool {
    u32::try_from(len).map_or(true, |len| len > most)
}

/// Where lines end, byte by byte: the earliest place where anybody may see the end of the head.
#[derive(Debug, Default)]
struct Finder {
    place: Place,
    has_line: bool,
    #[cfg(test)]
    examined: usize,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Place {
    /// Nothing seen yet.
    #[default]
    Start,
    InLine,
    /// At the beginning of a line.
    LineStart,
    /// At the beginning of a line, but for a CR.
    LineStartCr,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Mark {
    /// The first line ends.
    FirstLine,
    /// The empty line ends.
    End,
}

impl Finder {
    /// The next mark, and how many bytes lead to its end. Where there is none, all bytes have been looked at.
    fn find(&mut self, bytes: &[u8], kind: Kind) -> Option<(Mark, usize)> {
        if self.place == Place::Start {
            // Trailers may be none but the empty line.
            self.place = if kind == Kind::Trailers { Place::LineStart } else { Place::InLine };
        }
        let mut at = 0_usize;
        loop {
            let rest = bytes.get(at..)?;
            let first = rest.first()?;
            let len = match (self.place, first) {
                (Place::LineStart | Place::LineStartCr, b'\n') => {
                    self.examine(1);
                    return Some((Mark::End, at.saturating_add(1)));
                }
                (Place::LineStart, b'\r') => {
                    self.place = Place::LineStartCr;
                    1
                }
                _ => {
                    let end = memchr(b'\n', rest);
                    let len = end.map_or(rest.len(), |end| end.saturating_add(1));
                    self.place = if end.is_some() { Place::LineStart } else { Place::InLine };
                    len
                }
            };
            self.examine(len);
            at = at.saturating_add(len);
            if self.place == Place::LineStart && !self.has_line {
                self.has_line = true;
                return Some((Mark::FirstLine, at));
            }
        }
    }

    #[cfg(test)]
    fn examine(&mut self, len: usize) {
        self.examined += len;
    }

    #[cfg(not(test))]
    #[expect(clippy::unused_self, reason = "counted in tests")]
    const fn examine(&self, _: usize) {}
}

#[cfg(test)]
mod tests {
    use super::*;

    const HEAD: &[u8] = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n";

    /// The length of the head, fed in pieces of `piece` bytes.
    fn end(bytes: &[u8], kind: Kind, piece: usize) -> Option<usize> {
        let mut gather = Gather::default();
        let mut room = Room::new(1 << 20);
        let mut at = 0;
        for chunk in bytes.chunks(piece) {
            let mut rest = chunk;
            while !rest.is_empty() {
                match gather.advance(rest, kind, 1 << 16, &mut room).unwrap() {
                    Found::Part(used) => {
                        at += used;
                        rest = &rest[used..];
                    }
                    Found::Whole(used) => {
                        assert_eq!(gather.whole(rest, used), &bytes[..at + used]);
                        gather.reset(&mut room);
                        assert_eq!(room.left(), 1 << 20);
                        return Some(at + used);
                    }
                }
            }
        }
        None
    }

    #[test]
    fn the_end_is_the_earliest_that_anybody_may_see() {
        for (bytes, kind, expected) in [
            (HEAD, Kind::Request, Some(27)),
            (b"GET / HTTP/1.1\n\nx", Kind::Request, Some(16)),
            (b"GET / HTTP/1.1\r\n\nx", Kind::Request, Some(17)),
            (b"GET / HTTP/1.1\n\r\nx", Kind::Request, Some(17)),
            (b"GET / HTTP/1.1\r\n\r\r\n", Kind::Request, None),
            (b"GET / HTTP/1.1\r\n\r\r\n\n", Kind::Request, Some(20)),
            (b"GET / HTTP/1.1\r\r\n\r\n", Kind::Request, Some(19)),
            (b"GET /\r\nHost: a\r\n\r\n", Kind::Request, Some(7)),
            (b"GET /\nHost: a\r\n\r\n", Kind::Request, Some(6)),
            (b"HTTP/1.1 200\r\n\r\n", Kind::Response, Some(16)),
            (b"\r\n", Kind::Trailers, Some(2)),
            (b"\nx", Kind::Trailers, Some(1)),
            (b"a: b\r\n\r\nx", Kind::Trailers, Some(8)),
            (b"a: b\r\n", Kind::Trailers, None),
        ] {
            for piece in 1..=bytes.len() {
                assert_eq!(end(bytes, kind, piece), expected, "{piece}: {}", bytes.escape_ascii());
            }
        }
    }

    /// Would be quadratic if what is there were looked at again with each segment.
    #[test]
    fn a_head_in_one_byte_segments_is_looked_at_once() {
        for length in [1 << 10, 1 << 12, 1 << 14, 1 << 16] {
            let mut head = b"GET / HTTP/1.1\r\n".to_vec();
            while head.len() < length - 4 {
                head.extend_from_slice(b"a: b\r\n");
            }
            head.extend_from_slice(b"\r\n");
            let mut gather = Gather::default();
            let mut room = Room::new(1 << 20);
            for byte in head.chunks(1) {
                gather.advance(byte, Kind::Request, 1 << 17, &mut room).unwrap();
            }
            assert_eq!(gather.kept(), head);
            assert_eq!(gather.examined(), head.len());
        }
    }
}
