use alloc::borrow::Cow;
use alloc::string::String;
use alloc::vec::Vec;

/// One rule's text as it stands in a file, put together from the lines that end in a backslash.
pub(super) struct Line<'a> {
    /// Without its line ends, and without spaces before.
    pub(super) text: Cow<'a, str>,
    /// The file's bytes are not UTF-8 here: each character is one byte of Latin-1.
    pub(super) is_latin_1: bool,
    /// For each line: from which byte of the text on, its number, its characters that come before.
    starts: Vec<(usize, usize, usize)>,
}

impl Line<'_> {
    /// The line, and the character in it, of a byte of the text; both counted from 1.
    pub(super) fn place(&self, offset: usize) -> (usize, usize) {
        let after = self.starts.partition_point(|(start, ..)| *start <= offset);
        let start = after.checked_sub(1).and_then(|index| self.starts.get(index));
        let (start, number, before) = start.copied().unwrap_or((0, 1, 0));
        let part = self.text.get(start..offset).unwrap_or_default();
        (number, part.chars().count().saturating_add(before).saturating_add(1))
    }
}

/// The lines of a file, but for empty ones.
pub(super) struct Lines<'a> {
    rest: &'a [u8],
    number: usize,
}

impl<'a> Lines<'a> {
    pub(super) const fn new(text: &'a [u8]) -> Self {
        Self { rest: text, number: 0 }
    }

    fn physical(&mut self) -> Option<&'a [u8]> {
        if self.rest.is_empty() {
            return None;
        }
        self.number = self.number.saturating_add(1);
        let end = memchr::memchr(b'\n', self.rest).unwrap_or(self.rest.len());
        let (line, rest) = self.rest.split_at_checked(end)?;
        self.rest = rest.get(1..).unwrap_or_default();
        Some(line.strip_suffix(b"\r").unwrap_or(line))
    }
}

impl<'a> Iterator for Lines<'a> {
    type Item = Line<'a>;

    fn next(&mut self) -> Option<Line<'a>> {
        loop {
            let line = self.physical()?;
            let line = if self.number == 1 {
                line.strip_prefix(b"\xef\xbb\xbf").unwrap_or(line)
            } else {
                line
            };
            let number = self.number;
            let text = line.trim_ascii_start();
            if text.is_empty() {
                continue;
            }
            let before = line.len().saturating_sub(text.len());
            let mut starts = Vec::from([(0, number, before)]);
            let Some(first) = text.trim_ascii_end().strip_suffix(b"\\") else {
                let (text, is_latin_1) = decode(text);
                return Some(Line { text, is_latin_1, starts });
            };
            let mut bytes = first.to_vec();
            let mut is_open = true;
            while is_open {
                let Some(next) = self.physical() else { break };
                let (next, open) = match next.trim_ascii_end().strip_suffix(b"\\") {
                    Some(next) => (next, true),
                    None => (next, false),
                };
                is_open = open;
                starts.push((bytes.len(), self.number, 0));
                bytes.extend_from_slice(next);
            }
            let is_latin_1 = core::str::from_utf8(&bytes).is_err();
            if is_latin_1 {
                // Where a byte becomes two, what comes after moves.
                for (start, ..) in &mut starts {
                    let before = bytes.get(..*start).unwrap_or_default();
                    let doubled = before.iter().filter(|byte| !byte.is_ascii()).count();
                    *start = start.saturating_add(doubled);
                }
            }
            let text = Cow::Owned(decode(&bytes).0.into_owned());
            return Some(Line { text, is_latin_1, starts });
        }
    }
}

fn decode(bytes: &[u8]) -> (Cow<'_, str>, bool) {
    match core::str::from_utf8(bytes) {
        Ok(text) => (Cow::Borrowed(text), false),
        Err(_) => {
            (Cow::Owned(bytes.iter().map(|byte| char::from(*byte)).collect::<String>()), true)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::string::ToString;

    #[test]
    fn lines_are_joined_and_keep_their_places() {
        let lines: Vec<_> =
            Lines::new(b"\xef\xbb\xbfone\r\n\n  two \\\n three\\\nfour\nlast \xe9 \\").collect();
        let texts: Vec<_> = lines.iter().map(|line| line.text.to_string()).collect();
        assert_eq!(texts, ["one", "two  threefour", "last \u{e9} "]);
        let two = &lines[1];
        let at = |word: &str| two.place(two.text.find(word).unwrap());
        assert_eq!((at("two"), at("three"), at("four")), ((3, 3), (4, 2), (5, 1)));
        assert!(lines[2].is_latin_1 && !two.is_latin_1);
        assert_eq!(lines[2].place(lines[2].text.len()), (6, 8));
    }

    #[test]
    fn places_behind_bytes_of_latin_1() {
        let line = Lines::new(b"\xe9\xe9\\\nab").next().unwrap();
        assert_eq!(line.place(line.text.find('b').unwrap()), (2, 2));
    }
}
