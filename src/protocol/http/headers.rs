use alloc::vec::Vec;
use core::fmt;

use memchr::memchr;

use super::super::Text;
use super::anomalies::Anomalies;
use super::anomaly::Anomaly;

/// The headers of a message, or its trailers, in the order in which they came.
///
/// ```
/// # use gwlb_geneve::protocol::http::Headers;
/// # fn names(headers: Headers<'_>) -> Vec<String> {
/// headers.map(|header| format!("{} is {}", header.name, header.value)).collect()
/// # }
/// ```
#[derive(Clone, Default)]
pub struct Headers<'a> {
    rest: &'a [u8],
}

/// One header.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Header<'a> {
    /// As it was written, without white space around it.
    pub name: Text<'a>,
    /// Without white space around it; a line break in it (obsolete folding) has become a space, as RFC 9112 §5.2 has it.
    pub value: Text<'a>,
}

impl<'a> Headers<'a> {
    /// `lines` are those after the first, up to and with the empty one.
    pub(super) const fn new(lines: &'a [u8]) -> Self {
        Self { rest: lines }
    }

    pub(super) fn fields(&self) -> Fields<'a> {
        Fields { rest: self.rest }
    }

    /// The value of the first one with that name, in whatever case.
    pub fn find(&self, name: &str) -> Option<Text<'a>> {
        let field = self.fields().find(|field| field.is(name));
        field.map(|field| field.header().value)
    }
}

impl<'a> Iterator for Headers<'a> {
    type Item = Header<'a>;

    fn next(&mut self) -> Option<Header<'a>> {
        let mut fields = self.fields();
        let field = fields.next();
        self.rest = fields.rest;
        field.map(|field| field.header())
    }
}

impl core::iter::FusedIterator for Headers<'_> {}

impl fmt::Debug for Headers<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_map().entries(self.clone().map(|header| (header.name, header.value))).finish()
    }
}

/// The same as slices, and what is odd about each.
pub(super) struct Fields<'a> {
    rest: &'a [u8],
}

/// A header with the lines that it goes on in.
#[derive(Clone, Copy)]
pub(super) struct Field<'a> {
    /// Without white space around it.
    pub(super) name: &'a [u8],
    /// Without white space around it, line breaks still in it.
    pub(super) value: &'a [u8],
    pub(super) anomalies: Anomalies,
    /// Lines that it takes.
    pub(super) lines: usize,
    /// Of these, how many end with LF alone.
    pub(super) bare: usize,
    /// Bytes that it takes.
    pub(super) len: usize,
}

impl<'a> Field<'a> {
    pub(super) fn is(&self, name: &str) -> bool {
        self.name.eq_ignore_ascii_case(name.as_bytes())
    }

    fn header(&self) -> Header<'a> {
        let value = match memchr(b'\n', self.value) {
            None => Text::borrowed(self.value),
            Some(_) => Text::owned(unfold(self.value)),
        };
        Header { name: Text::borrowed(self.name), value }
    }
}

impl<'a> Iterator for Fields<'a> {
    type Item = Field<'a>;

    fn next(&mut self) -> Option<Field<'a>> {
        let all = self.rest;
        let (mut line, mut rest) = line(all)?;
        let mut content = without_end(line);
        if content.is_empty() {
            return None;
        }
        let mut anomalies = Anomalies::NONE;
        let (mut lines, mut bare) = (1_usize, usize::from(is_bare(line)));
        // Whatever begins with white space goes on, a first line among the headers too.
        anomalies.add_if(begins_with_space(content), Anomaly::LineFolding);
        while begins_with_space(rest) {
            anomalies.add(Anomaly::LineFolding);
            let Some((next, after)) = self::line(rest) else { break };
            (line, rest) = (next, after);
            lines = lines.saturating_add(1);
            bare = bare.saturating_add(usize::from(is_bare(line)));
            content = all.get(..all.len().saturating_sub(rest.len())).map_or(&[][..], without_end);
        }
        self.rest = rest;
        let len = all.len().saturating_sub(rest.len());
        anomalies.add_if(bare > 0, Anomaly::BareLineFeed);
        let (name, value) = match memchr(b':', content).and_then(|at| content.split_at_checked(at))
        {
            Some((name, colon_value)) => {
                let name = check_name(name, &mut anomalies);
                (name, trim(colon_value.get(1..).unwrap_or(&[])))
            }
            None => {
                anomalies.add(Anomaly::HeaderWithoutColon);
                (trim(content), &[][..])
            }
        };
        Some(Field { name, value, anomalies, lines, bare, len })
    }
}

/// A name as it is meant, if there is a doubt.
fn check_name<'a>(name: &'a [u8], anomalies: &mut Anomalies) -> &'a [u8] {
    if is_token(name) {
        return name;
    }
    let trimmed = trim_of(name, is_space);
    let is_space_last = name.last().is_some_and(|byte| is_space(*byte));
    anomalies.add_if(is_space_last, Anomaly::WhitespaceBeforeColon);
    anomalies.add_if(!is_token(trimmed), Anomaly::HeaderNameInvalid);
    trimmed
}

/// Line breaks and the white space around them become one space.
fn unfold(value: &[u8]) -> Vec<u8> {
    let mut unfolded = Vec::with_capacity(value.len());
    for line in value.split(|byte| *byte == b'\n') {
        if !unfolded.is_empty() {
            unfolded.push(b' ');
        }
        unfolded.extend_from_slice(trim(line));
    }
    unfolded
}

/// A line with its end, and what follows.
pub(super) fn line(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let end = memchr(b'\n', bytes).map_or(bytes.len(), |at| at.saturating_add(1));
    if end == 0 { None } else { bytes.split_at_checked(end) }
}

/// A line without CR LF, or without LF.
pub(super) fn without_end(line: &[u8]) -> &[u8] {
    let line = line.strip_suffix(b"\n").unwrap_or(line);
    line.strip_suffix(b"\r").unwrap_or(line)
}

/// Whether a line ends with LF alone.
pub(super) fn is_bare(line: &[u8]) -> bool {
    !line.ends_with(b"\r\n")
}

fn begins_with_space(bytes: &[u8]) -> bool {
    matches!(bytes.first(), Some(b' ' | b'\t'))
}

/// Space, and what some take for it.
pub(super) const fn is_space(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t' | b'\r' | b'\n' | 0x0b | 0x0c)
}

/// Without white space around it (RFC 9110 §5.6.3), and without line breaks.
pub(super) fn trim(bytes: &[u8]) -> &[u8] {
    trim_of(bytes, |byte| matches!(byte, b' ' | b'\t' | b'\r' | b'\n'))
}

pub(super) fn trim_of(mut bytes: &[u8], is_space: impl Fn(u8) -> bool) -> &[u8] {
    while let Some((_, rest)) = bytes.split_first().filter(|(first, _)| is_space(**first)) {
        bytes = rest;
    }
    while let Some((_, rest)) = bytes.split_last().filter(|(last, _)| is_space(**last)) {
        bytes = rest;
    }
    bytes
}

/// What a method and the name of a header are made of (RFC 9110 §5.6.2).
pub(super) fn is_token(bytes: &[u8]) -> bool {
    !bytes.is_empty() && bytes.iter().all(|byte| is_token_byte(*byte))
}

pub(super) fn is_token_byte(byte: u8) -> bool {
    const TOKEN: [bool; 256] = {
        let mut table = [false; 256];
        let mut rest: &[u8] = b"!#$%&'*+-.^_`|~0123456789\
            ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
        while let [byte, others @ ..] = rest {
            #[expect(clippy::indexing_slicing, reason = "evaluated by the compiler")]
            {
                table[*byte as usize] = true;
            }
            rest = others;
        }
        table
    };
    TOKEN.get(usize::from(byte)).copied().unwrap_or(false)
}
