use alloc::boxed::Box;
use alloc::vec::Vec;

use miniz_oxide::inflate::TINFLStatus;
use miniz_oxide::inflate::core::{DecompressorOxide, decompress, inflate_flags};

use crate::protocol::http::Headers;

/// How a body is coded (RFC 9110 §8.4).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in super::super) enum Coding {
    /// Not at all.
    Plain,
    /// So that it can be inflated.
    Known(Compression),
    /// In another way, or in several, one after the other: the first of them that can be inflated, as some receivers leave out
    /// what they do not know.
    Unknown(Option<Compression>),
}

/// What can be inflated (RFC 9110 §8.4.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in super::super) enum Compression {
    /// `gzip`, `x-gzip` (RFC 1952).
    Gzip,
    /// `deflate`: zlib (RFC 1950), or what some send instead, without a wrapping (RFC 1951).
    Deflate,
}

impl Coding {
    /// By all Content-Encodings of a message, which are one list.
    pub(in super::super) fn of(headers: Headers<'_>) -> Self {
        let codings = headers.filter(|it| it.name.eq_ignore_ascii_case("content-encoding"));
        codings.fold(Self::Plain, |coding, header| {
            header.value.split(|byte| *byte == b',').fold(coding, Self::and)
        })
    }

    /// One more, by its name.
    fn and(self, name: &[u8]) -> Self {
        let name = name.trim_ascii();
        if name.is_empty() || name.eq_ignore_ascii_case(b"identity") {
            return self;
        }
        match (self, Compression::named(name)) {
            (Self::Plain, Some(compression)) => Self::Known(compression),
            (Self::Plain | Self::Unknown(None), found) => Self::Unknown(found),
            (Self::Known(first) | Self::Unknown(Some(first)), _) => Self::Unknown(Some(first)),
        }
    }
}

impl Compression {
    fn named(name: &[u8]) -> Option<Self> {
        if name.eq_ignore_ascii_case(b"gzip") || name.eq_ignore_ascii_case(b"x-gzip") {
            Some(Self::Gzip)
        } else if name.eq_ignore_ascii_case(b"deflate") {
            Some(Self::Deflate)
        } else {
            None
        }
    }
}

/// A body on its way from compressed to plain: no more of it than asked for, whatever it would become. What came out before is what later
/// parts point back to.
pub(in super::super) struct Inflate {
    stage: Stage,
    /// Where in what comes out it began, or the member of gzip that it is in.
    begin: usize,
    has_zlib_header: bool,
    /// How many members of gzip are behind it (RFC 1952 §2.2).
    members: u32,
    is_gzip: bool,
    state: Box<DecompressorOxide>,
}

impl Inflate {
    /// Bytes that one takes, beside what comes out.
    pub(in super::super) const BYTES: usize = size_of::<DecompressorOxide>();

    pub(in super::super) fn new(compression: Compression) -> Self {
        let stage = match compression {
            Compression::Gzip => Stage::Gzip(Gzip::default()),
            Compression::Deflate => Stage::Guess(None),
        };
        let is_gzip = compression == Compression::Gzip;
        let state = Box::default();
        Self { stage, begin: 0, has_zlib_header: false, members: 0, is_gzip, state }
    }

    /// Appends what comes out of `input` to what came out before, up to `most` bytes in `to`. `false` where nothing more will: it is over, or broken. What says that
    /// it is gzip and does not begin like it comes out as it is: receivers take it so.
    pub(in super::super) fn feed(
        &mut self,
        mut input: &[u8],
        to: &mut Vec<u8>,
        most: usize,
    ) -> bool {
        loop {
            match &mut self.stage {
                Stage::Over | Stage::Broken => return false,
                Stage::Ended if input.is_empty() => return true,
                // As behind gzip.
                Stage::Ended => self.stage = Stage::Broken,
                Stage::Guess(before) => {
                    let before = *before;
                    let (first, second) = match (before, input) {
                        (Some(first), [second, ..]) => (first, *second),
                        (None, [first, second, ..]) => (*first, *second),
                        (None, [first]) => {
                            self.stage = Stage::Guess(Some(*first));
                            return true;
                        }
                        (_, []) => return true,
                    };
                    self.has_zlib_header = begins_zlib(first, second);
                    self.stage = Stage::Data;
                    if let Some(first) = before {
                        if self.data(&mut &[first][..], to, most) == Some(false) {
                            return false;
                        }
                    }
                }
                Stage::Gzip(gzip) => {
                    let Some((byte, rest)) = input.split_first() else { return true };
                    let begun = if gzip.part == Part::Fixed { usize::from(gzip.at) } else { 0 };
                    match gzip.step(*byte) {
                        Step::More => input = rest,
                        Step::Data => {
                            input = rest;
                            self.begin = to.len();
                            self.stage = Stage::Data;
                        }
                        Step::Broken if self.members == 0 => {
                            let begun = MAGIC.get(..begun).unwrap_or(&[]);
                            add(begun, to, most);
                            self.stage = Stage::Plain;
                        }
                        // Receivers that do not inflate make something of what follows.
                        Step::Broken => self.stage = Stage::Broken,
                    }
                }
                Stage::Plain => return add(input, to, most),
                Stage::Data => match self.data(&mut input, to, most) {
                    Some(goes_on) => return goes_on,
                    None if self.is_gzip => self.stage = Stage::Trailer(TRAILER),
                    None => self.stage = Stage::Ended,
                },
                Stage::Trailer(left) => {
                    let skipped = input.len().min(*left);
                    *left = left.saturating_sub(skipped);
                    input = input.get(skipped..).unwrap_or(&[]);
                    if *left > 0 {
                        return true;
                    }
                    self.members = self.members.saturating_add(1);
                    self.stage = match self.members < MOST_MEMBERS {
                        true => Stage::Gzip(Gzip::default()),
                        false => Stage::Broken,
                    };
                    self.state.init();
                }
            }
        }
    }

    /// Whether there is something in it that did not come out, for another reason than that it was more than asked for.
    pub(in super::super) const fn is_broken(&self) -> bool {
        matches!(self.stage, Stage::Broken)
    }

    /// Whether more is wanted; `None` where it ends, or a member of gzip does, and others may follow.
    fn data(&mut self, input: &mut &[u8], to: &mut Vec<u8>, most: usize) -> Option<bool> {
        use inflate_flags::{
            TINFL_FLAG_HAS_MORE_INPUT, TINFL_FLAG_IGNORE_ADLER32, TINFL_FLAG_PARSE_ZLIB_HEADER,
            TINFL_FLAG_USING_NON_WRAPPING_OUTPUT_BUF,
        };

        let mut flags = TINFL_FLAG_HAS_MORE_INPUT
            | TINFL_FLAG_IGNORE_ADLER32
            | TINFL_FLAG_USING_NON_WRAPPING_OUTPUT_BUF;
        if self.has_zlib_header {
            flags |= TINFL_FLAG_PARSE_ZLIB_HEADER;
        }
        loop {
            let start = to.len();
            let room = most.saturating_sub(start).min(STEP);
            if room == 0 {
                self.stage = Stage::Over;
                return Some(false);
            }
            let end = start.saturating_add(room);
            make_room(to, end, most);
            to.resize(end, 0);
            let output = to.get_mut(self.begin..).unwrap_or(&mut []);
            let at = start.saturating_sub(self.begin);
            let (status, consumed, written) = decompress(&mut self.state, input, output, at, flags);
            to.truncate(start.saturating_add(written));
            *input = input.get(consumed..).unwrap_or(&[]);
            match status {
                TINFLStatus::HasMoreOutput => {}
                TINFLStatus::NeedsMoreInput => return Some(true),
                TINFLStatus::Done => return None,
                _ => {
                    self.stage = Stage::Broken;
                    return Some(false);
                }
            }
        }
    }
}

impl core::fmt::Debug for Inflate {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("Inflate").field("stage", &self.stage).finish_non_exhaustive()
    }
}

/// Appends bytes as they are, up to `most` in `to`. `false` where nothing more will be.
fn add(bytes: &[u8], to: &mut Vec<u8>, most: usize) -> bool {
    let room = most.saturating_sub(to.len());
    let added = bytes.get(..room).unwrap_or(bytes);
    make_room(to, to.len().saturating_add(added.len()), most);
    to.extend_from_slice(added);
    bytes.len() < room
}

/// Lets a vector grow to `len` bytes: it doubles, but has no room for more than `most`, which is what is counted of it.
fn make_room(to: &mut Vec<u8>, len: usize, most: usize) {
    if len > to.capacity() {
        let wanted = to.capacity().saturating_mul(2).min(most).max(len);
        to.reserve_exact(wanted.saturating_sub(to.len()));
    }
}

/// Whether two bytes are a header of zlib that receivers take as one (RFC 1950 §2.2): its method and window, its check, and no dictionary,
/// which nobody has. A stored block of raw deflate may begin like the first of them, as its padding is anything.
const fn begins_zlib(first: u8, second: u8) -> bool {
    let [method, window, has_dictionary] = [first & 0x0f, first >> 4, second & 0x20];
    let is_checked = u16::from_be_bytes([first, second]) % 31 == 0;
    method == 8 && window <= 7 && is_checked && has_dictionary == 0
}

/// What a member of gzip begins with.
const MAGIC: [u8; 3] = [0x1f, 0x8b, 8];

/// Its checksum and length, which nobody looks at here.
const TRAILER: usize = 8;

/// So many members one after the other; more are work for nothing.
const MOST_MEMBERS: u32 = 64;

/// How many bytes come out at once.
const STEP: usize = 4 << 10;

#[derive(Debug)]
enum Stage {
    Gzip(Gzip),
    /// The first byte is known, or none is.
    Guess(Option<u8>),
    Data,
    /// So many bytes of the end of a member are to come.
    Trailer(usize),
    /// It is not compressed.
    Plain,
    /// It is at its end, without members.
    Ended,
    /// As much came out as is asked for.
    Over,
    /// Not compressed as it says, with something behind its end, or in more members than are looked at.
    Broken,
}

/// Where in the header of a gzip member it is (RFC 1952 §2.3).
#[derive(Clone, Copy, Debug, Default)]
struct Gzip {
    at: u8,
    flags: u8,
    extra: u16,
    part: Part,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Part {
    /// The ten bytes that are always there.
    #[default]
    Fixed,
    ExtraLength,
    Extra,
    Name,
    Comment,
    Checksum,
}

enum Step {
    More,
    Data,
    Broken,
}

impl Gzip {
    fn step(&mut self, byte: u8) -> Step {
        let at = self.at;
        self.at = at.saturating_add(1);
        match self.part {
            Part::Fixed => match (at, byte) {
                (0, 0x1f) | (1, 0x8b) | (2, 8) | (4..=8, _) => return Step::More,
                (3, flags) => {
                    self.flags = flags;
                    return Step::More;
                }
                (9, _) => {}
                _ => return Step::Broken,
            },
            Part::ExtraLength if at == 0 => {
                self.extra = byte.into();
                return Step::More;
            }
            Part::ExtraLength => {
                self.extra |= u16::from(byte).wrapping_shl(8);
                if self.extra > 0 {
                    self.part = Part::Extra;
                    return Step::More;
                }
            }
            Part::Extra => {
                self.extra = self.extra.saturating_sub(1);
                if self.extra > 0 {
                    return Step::More;
                }
            }
            Part::Name | Part::Comment if byte != 0 => return Step::More,
            Part::Checksum if at == 0 => return Step::More,
            Part::Name | Part::Comment | Part::Checksum => {}
        }
        self.advance()
    }

    /// To the next part that there is.
    fn advance(&mut self) -> Step {
        self.at = 0;
        for (part, after, flag) in [
            (Part::ExtraLength, 1, 4),
            (Part::Name, 2, 8),
            (Part::Comment, 3, 16),
            (Part::Checksum, 4, 2),
        ] {
            let now = match self.part {
                Part::Fixed => 0,
                Part::ExtraLength | Part::Extra => 1,
                Part::Name => 2,
                Part::Comment => 3,
                Part::Checksum => 4,
            };
            if after > now && self.flags & flag != 0 {
                self.part = part;
                return Step::More;
            }
        }
        Step::Data
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn deflated(plain: &[u8], zlib: bool) -> Vec<u8> {
        match zlib {
            true => miniz_oxide::deflate::compress_to_vec_zlib(plain, 6),
            false => miniz_oxide::deflate::compress_to_vec(plain, 6),
        }
    }

    fn gzipped(plain: &[u8], flags: u8) -> Vec<u8> {
        let mut bytes = vec![0x1f, 0x8b, 8, flags, 0, 0, 0, 0, 0, 3];
        if flags & 4 != 0 {
            bytes.extend([3, 0, b'x', b'y', b'z']);
        }
        if flags & 8 != 0 {
            bytes.extend(b"name\0");
        }
        if flags & 16 != 0 {
            bytes.extend(b"comment\0");
        }
        if flags & 2 != 0 {
            bytes.extend([1, 2]);
        }
        bytes.extend(deflated(plain, false));
        bytes.extend([0; 8]);
        bytes
    }

    fn inflated(compression: Compression, bytes: &[u8], cut: usize, most: usize) -> Vec<u8> {
        let mut inflate = Inflate::new(compression);
        let mut plain = Vec::new();
        for piece in bytes.chunks(cut) {
            if !inflate.feed(piece, &mut plain, most) {
                break;
            }
        }
        plain
    }

    #[test]
    fn codings_of_all_headers_are_one_list() {
        let coding = |names: &[&str]| {
            names.iter().fold(Coding::Plain, |coding, name| coding.and(name.as_bytes()))
        };
        let (gzip, deflate) = (Compression::Gzip, Compression::Deflate);
        for (names, expected) in [
            (&[][..], Coding::Plain),
            (&["identity", " "], Coding::Plain),
            (&[" GZip "], Coding::Known(gzip)),
            (&["identity", "x-gzip"], Coding::Known(gzip)),
            (&["deflate"], Coding::Known(deflate)),
            (&["br"], Coding::Unknown(None)),
            (&["none"], Coding::Unknown(None)),
            (&["gzip", "deflate"], Coding::Unknown(Some(gzip))),
            (&["zstd", "deflate"], Coding::Unknown(Some(deflate))),
        ] {
            assert_eq!(coding(names), expected, "{names:?}");
        }
    }

    #[test]
    fn what_was_compressed_comes_out_however_it_is_cut() {
        let plain: Vec<u8> = (0..20_000_u32).flat_map(|it| (it / 7).to_be_bytes()).collect();
        for cut in [1, 2, 7, 100, 1460, usize::MAX >> 1] {
            for flags in [0, 2, 4, 8, 16, 30] {
                let found = inflated(Compression::Gzip, &gzipped(&plain, flags), cut, 1 << 20);
                assert!(found == plain, "flags {flags}, cut at {cut}: {} bytes", found.len());
            }
            for zlib in [false, true] {
                let found = inflated(Compression::Deflate, &deflated(&plain, zlib), cut, 1 << 20);
                assert!(found == plain, "zlib {zlib}, cut at {cut}: {} bytes", found.len());
            }
        }
    }

    /// A stored block; all but the first three bits of its first byte are padding (RFC 1951 §3.2.4).
    fn stored(first: u8, plain: &[u8]) -> Vec<u8> {
        let len = u16::try_from(plain.len()).unwrap();
        [&[first][..], &len.to_le_bytes(), &(!len).to_le_bytes(), plain].concat()
    }

    #[test]
    fn raw_deflate_that_begins_like_zlib_comes_out() {
        // What is no zlib by its check, and by its dictionary: 0x78bb and 0x083c would be right otherwise.
        for (first, len) in [(0x78, 0x05), (0x08, 0x05), (0x88, 0x05), (0x78, 0xbb), (0x08, 0x3c)] {
            let plain = vec![b'm'; len];
            let bytes = [stored(first, &plain), stored(1, b"end")].concat();
            for cut in [1, 2, 3, 1_000] {
                let found = inflated(Compression::Deflate, &bytes, cut, 1_000);
                assert_eq!(found, [&plain[..], b"end"].concat(), "{first:x} {len:x} cut at {cut}");
            }
        }
    }

    #[test]
    fn zlib_of_all_levels_is_taken_as_such() {
        for level in 0..=10 {
            let bytes = miniz_oxide::deflate::compress_to_vec_zlib(b"plain text", level);
            for cut in [1, 2, 1_000] {
                assert_eq!(
                    inflated(Compression::Deflate, &bytes, cut, 100),
                    b"plain text",
                    "{level}"
                );
            }
        }
    }

    #[test]
    fn a_bomb_goes_off_no_further_than_the_bound() {
        let bomb = gzipped(&vec![0; 64 << 20], 0);
        assert!(bomb.len() < 100_000);
        let found = inflated(Compression::Gzip, &bomb, 1460, 10_000);
        assert_eq!(found.len(), 10_000);
        assert!(found.capacity() <= 10_000, "{}", found.capacity());
    }

    #[test]
    fn what_is_broken_ends_it() {
        let mut inflate = Inflate::new(Compression::Gzip);
        let mut plain = Vec::new();
        let broken = [&gzipped(b"", 0)[..10], &[0xff; 20]].concat();
        assert!(!inflate.feed(&broken, &mut plain, 100) && inflate.is_broken());
        assert!(!inflate.feed(&gzipped(b"plain", 0), &mut plain, 100));
        assert!(plain.is_empty());
    }

    #[test]
    fn what_points_before_its_member_ends_it_behind_what_came_out() {
        // A fixed block: two literals, and a match of three bytes at a distance of four.
        let block = [0x4b, 0x4c, 0x02, 0x62, 0x00];
        let broken = [&gzipped(b"before", 0)[..], &gzipped(b"", 0)[..10], &block].concat();
        for cut in [1, 3, 100] {
            assert_eq!(inflated(Compression::Gzip, &broken, cut, 100), b"beforeab", "{cut}");
        }
    }

    #[test]
    fn members_follow_each_other_and_what_follows_them_is_told() {
        let all = [&gzipped(b" ", 0)[..], &gzipped(b"the malware", 30), &gzipped(b"", 8), b"rest"];
        for cut in [1, 2, 3, 7, 30, 1_000] {
            assert_eq!(
                inflated(Compression::Gzip, &all.concat(), cut, 100),
                b" the malware",
                "{cut}"
            );
            assert_eq!(inflated(Compression::Gzip, &all.concat(), cut, 5), b" the ", "{cut}");
        }
        // Not without end.
        let many = [gzipped(b"", 0).repeat(1_000), gzipped(b"end", 0)].concat();
        assert_eq!(inflated(Compression::Gzip, &many, 1_460, 100), b"");
        for (bytes, most, is_broken) in
            [(&many, 100, true), (&all.concat(), 100, true), (&many, 0, false)]
        {
            let mut inflate = Inflate::new(Compression::Gzip);
            inflate.feed(bytes, &mut Vec::new(), most);
            assert_eq!(inflate.is_broken(), is_broken);
        }
    }

    /// Receivers that do not inflate take an empty stream for a little junk before the rest.
    #[test]
    fn what_is_behind_the_end_is_told() {
        for (compression, before) in
            [(Compression::Deflate, vec![3, 0]), (Compression::Gzip, gzipped(b"", 0))]
        {
            for (behind, is_broken) in [(&b""[..], false), (b"\n", true), (b"\nthe malware", true)]
            {
                for cut in [1, 2, 100] {
                    let mut inflate = Inflate::new(compression);
                    let all = [&before[..], behind].concat();
                    all.chunks(cut).all(|piece| inflate.feed(piece, &mut Vec::new(), 100));
                    assert_eq!(inflate.is_broken(), is_broken, "{compression:?} {behind:?} {cut}");
                }
            }
        }
    }

    #[test]
    fn what_only_says_that_it_is_gzip_comes_out_as_it_is() {
        for text in [&b"the malware"[..], b"\x1f\x8b9 text", b"\x1f text"] {
            for cut in [1, 2, 5, 100] {
                assert_eq!(inflated(Compression::Gzip, text, cut, 100), text, "{cut}");
                assert_eq!(inflated(Compression::Gzip, text, cut, 4), text[..4], "{cut}");
            }
        }
    }
}
