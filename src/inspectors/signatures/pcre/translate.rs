//! From Perl's language to that of the `regex` crate, over bytes and without captures.
//!
//! Literals become `\xHH`, so that nothing in them means anything; groups do not capture, as nothing asks what they found.

use alloc::string::String;
use alloc::vec::Vec;
use core::fmt::Write;

use super::{PcreError, PcreFlags};

/// Groups in groups.
const DEEPEST: usize = 100;

pub(super) fn translate(expression: &str, flags: PcreFlags) -> Result<String, PcreError> {
    let mut translator = Translator {
        bytes: expression.as_bytes(),
        at: 0,
        out: String::with_capacity(expression.len().saturating_mul(2)),
        modes: Mode { is_spaced: flags.is_spaced, is_multi_line: flags.is_multi_line },
        open: Vec::new(),
        dollar_is_end: flags.dollar_is_end,
        can_repeat: false,
    };
    if flags.is_anchored {
        translator.out.push_str("\\A(?:");
    }
    translator.all()?;
    if flags.is_anchored {
        translator.out.push(')');
    }
    Ok(translator.out)
}

#[derive(Clone, Copy)]
struct Mode {
    is_spaced: bool,
    is_multi_line: bool,
}

struct Translator<'a> {
    bytes: &'a [u8],
    at: usize,
    out: String,
    modes: Mode,
    /// The modes outside of each group that is open.
    open: Vec<Mode>,
    dollar_is_end: bool,
    /// Whether there is something before that a quantifier may be for.
    can_repeat: bool,
}

/// What stands for one byte, or for several different ones.
enum Item {
    Byte(u8),
    Class(&'static str),
    Nothing,
}

impl Translator<'_> {
    fn peek(&self) -> Option<u8> {
        self.bytes.get(self.at).copied()
    }

    fn peek_second(&self) -> Option<u8> {
        self.bytes.get(self.at.saturating_add(1)).copied()
    }

    fn next(&mut self) -> Option<u8> {
        let byte = self.peek()?;
        self.at = self.at.saturating_add(1);
        Some(byte)
    }

    fn eat(&mut self, text: &[u8]) -> bool {
        let is_next = self.bytes.get(self.at..).is_some_and(|rest| rest.starts_with(text));
        if is_next {
            self.at = self.at.saturating_add(text.len());
        }
        is_next
    }

    fn unsupported<T>(&self, what: &'static str, at: usize) -> Result<T, PcreError> {
        Err(PcreError::Unsupported { what, at })
    }

    fn unexpected<T>(&self, expected: &'static str) -> Result<T, PcreError> {
        Err(PcreError::Unexpected { expected, found: self.peek().map(char::from), at: self.at })
    }

    fn literal(&mut self, byte: u8) {
        if byte.is_ascii_alphanumeric() {
            self.out.push(char::from(byte));
        } else {
            // Writing to a String does not fail.
            let _ = write!(self.out, "\\x{byte:02x}");
        }
    }

    fn all(&mut self) -> Result<(), PcreError> {
        while let Some(byte) = self.next() {
            let at = self.at.saturating_sub(1);
            match byte {
                b'\\' => self.escape(at)?,
                b'[' => {
                    self.class()?;
                    self.can_repeat = true;
                }
                b'(' => self.group(at)?,
                b')' => {
                    let Some(modes) = self.open.pop() else {
                        self.at = at;
                        return self.unexpected("a group that is open");
                    };
                    self.modes = modes;
                    self.out.push(')');
                    self.can_repeat = true;
                }
                b'|' => {
                    self.out.push('|');
                    self.can_repeat = false;
                }
                b'^' => {
                    self.out.push('^');
                    self.can_repeat = true;
                }
                b'$' => {
                    self.dollar();
                    self.can_repeat = true;
                }
                b'.' => {
                    self.out.push('.');
                    self.can_repeat = true;
                }
                b'*' | b'+' | b'?' => {
                    let mut text = [0; 4];
                    self.quantifier(char::from(byte).encode_utf8(&mut text), at)?;
                }
                b'{' => match self.repetition() {
                    Some((text, end)) => {
                        self.at = end;
                        self.quantifier(&text, at)?;
                    }
                    None => {
                        self.literal(b'{');
                        self.can_repeat = true;
                    }
                },
                b' ' | b'\t' | b'\n' | b'\r' | 0x0b | 0x0c if self.modes.is_spaced => {}
                b'#' if self.modes.is_spaced => {
                    while self.next().is_some_and(|byte| byte != b'\n') {}
                }
                byte => {
                    self.literal(byte);
                    self.can_repeat = true;
                }
            }
        }
        match self.open.is_empty() {
            true => Ok(()),
            false => self.unexpected("`)`"),
        }
    }

    /// A line's end that ends all is let by, as nothing that looks ahead can be said here. What is found is longer by it.
    fn dollar(&mut self) {
        self.out.push_str(match (self.modes.is_multi_line, self.dollar_is_end) {
            (true, _) => "$",
            (false, true) => "\\z",
            (false, false) => "(?:\\n?\\z)",
        });
    }

    /// `{3}`, `{3,}` or `{3,5}`, and where it ends. Anything else is text.
    fn repetition(&self) -> Option<(String, usize)> {
        let rest = self.bytes.get(self.at..)?;
        let end = rest.iter().position(|byte| *byte == b'}')?;
        let inside = core::str::from_utf8(rest.get(..end)?).ok()?;
        let is_number =
            |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
        let is_repetition = match inside.split_once(',') {
            None => is_number(inside),
            Some((least, "")) => is_number(least),
            Some((least, most)) => is_number(least) && is_number(most),
        };
        let end = self.at.saturating_add(end).saturating_add(1);
        is_repetition.then(|| (alloc::format!("{{{inside}}}"), end))
    }

    fn quantifier(&mut self, text: &str, at: usize) -> Result<(), PcreError> {
        if !self.can_repeat {
            self.at = at;
            return self.unexpected("something to repeat");
        }
        if self.peek() == Some(b'+') {
            return self.unsupported("possessive quantifier", at);
        }
        self.out.push_str(text);
        if self.eat(b"?") {
            self.out.push('?');
        }
        self.can_repeat = false;
        Ok(())
    }

    fn group(&mut self, at: usize) -> Result<(), PcreError> {
        if self.open.len() >= DEEPEST {
            return self.unsupported("that many groups in each other", at);
        }
        let outside = self.modes;
        let mut open = "(?:";
        if self.eat(b"*") {
            return self.unsupported("backtracking verb", at);
        } else if self.eat(b"?") {
            if self.eat(b"#") {
                while self.next().is_some_and(|byte| byte != b')') {}
                return Ok(());
            } else if self.eat(b"=") || self.eat(b"!") {
                return self.unsupported("look-ahead", at);
            } else if self.eat(b"<=") || self.eat(b"<!") {
                return self.unsupported("look-behind", at);
            } else if self.eat(b">") {
                return self.unsupported("atomic group", at);
            } else if self.eat(b"(") {
                return self.unsupported("condition", at);
            } else if self.eat(b"P=") {
                return self.unsupported("back-reference", at);
            } else if self.eat(b"C") {
                return self.unsupported("callout", at);
            } else if self.eat(b"P>") || self.eat(b"&") || self.is_recursion() {
                return self.unsupported("recursion", at);
            } else if self.eat(b"P<") || self.eat(b"<") {
                self.name(b'>')?;
            } else if self.eat(b"'") {
                self.name(b'\'')?;
            } else if !self.eat(b":") && !self.eat(b"|") {
                return self.modes(outside);
            }
            // The branches of `(?|…)` number their captures alike, which nobody asks for.
            open = "(?:";
        }
        self.out.push_str(open);
        self.open.push(outside);
        self.can_repeat = false;
        Ok(())
    }

    fn is_recursion(&self) -> bool {
        match self.peek() {
            Some(b'R' | b'0'..=b'9') => true,
            Some(b'+' | b'-') => self.peek_second().is_some_and(|byte| byte.is_ascii_digit()),
            _ => false,
        }
    }

    fn name(&mut self, end: u8) -> Result<(), PcreError> {
        let start = self.at;
        while self.peek().is_some_and(|byte| byte.is_ascii_alphanumeric() || byte == b'_') {
            self.at = self.at.saturating_add(1);
        }
        if start == self.at || self.peek() != Some(end) {
            return self.unexpected("a name for the group");
        }
        self.at = self.at.saturating_add(1);
        Ok(())
    }

    /// `(?i)`, `(?s-m)`, `(?i:…)`
    fn modes(&mut self, outside: Mode) -> Result<(), PcreError> {
        let (mut on, mut off) = (String::new(), String::new());
        let mut is_on = true;
        loop {
            let Some(byte) = self.next() else { return self.unexpected("`)`") };
            match byte {
                b'-' if is_on => is_on = false,
                b'i' | b's' | b'm' | b'U' => {
                    if byte == b'm' {
                        self.modes.is_multi_line = is_on;
                    }
                    // Twice the same is an error of `regex`.
                    let (here, there) = if is_on { (&mut on, &off) } else { (&mut off, &on) };
                    let letter = char::from(byte);
                    if there.contains(letter) {
                        return self.unsupported("mode that is on and off", self.at);
                    }
                    if !here.contains(letter) {
                        here.push(letter);
                    }
                }
                b'x' => self.modes.is_spaced = is_on,
                b')' | b':' => {
                    let is_group = byte == b':';
                    self.out.push_str("(?");
                    self.out.push_str(&on);
                    if !off.is_empty() {
                        self.out.push('-');
                        self.out.push_str(&off);
                    }
                    if is_group {
                        self.out.push(':');
                        self.open.push(outside);
                        self.can_repeat = false;
                    } else if on.is_empty() && off.is_empty() {
                        self.out.push_str(":)");
                    } else {
                        self.out.push(')');
                    }
                    return Ok(());
                }
                _ => {
                    self.at = self.at.saturating_sub(1);
                    return self.unexpected("a kind of group, or `i`, `m`, `s`, `x` or `U`");
                }
            }
        }
    }

    /// Behind a backslash, outside of a class.
    fn escape(&mut self, at: usize) -> Result<(), PcreError> {
        let Some(byte) = self.peek() else { return self.unexpected("a character") };
        let text = match byte {
            b'b' => "\\b",
            b'B' => "\\B",
            b'A' => "\\A",
            b'z' => "\\z",
            b'Z' => "(?:\\n?\\z)",
            b'R' => "(?:\\r\\n|[\\n\\x0b\\x0c\\r\\x85])",
            b'N' if self.peek_second() != Some(b'{') => "[^\\n]",
            b'C' => "(?s:.)",
            b'1'..=b'9' | b'g' | b'k' => return self.unsupported("back-reference", at),
            b'K' => return self.unsupported("reset of the match's begin", at),
            b'G' => return self.unsupported("\\G", at),
            b'X' => return self.unsupported("\\X", at),
            b'Q' => {
                self.at = self.at.saturating_add(1);
                while self.at < self.bytes.len() && !self.eat(b"\\E") {
                    if let Some(byte) = self.next() {
                        self.literal(byte);
                        self.can_repeat = true;
                    }
                }
                return Ok(());
            }
            _ => {
                match self.item(at)? {
                    Item::Byte(byte) => self.literal(byte),
                    Item::Class(class) => {
                        self.out.push('[');
                        self.out.push_str(class);
                        self.out.push(']');
                    }
                    Item::Nothing => return Ok(()),
                }
                self.can_repeat = true;
                return Ok(());
            }
        };
        self.at = self.at.saturating_add(1);
        self.out.push_str(text);
        self.can_repeat = true;
        Ok(())
    }

    /// What means the same in a class and outside; the backslash is behind.
    fn item(&mut self, at: usize) -> Result<Item, PcreError> {
        let Some(byte) = self.next() else { return self.unexpected("a character") };
        Ok(match byte {
            b'd' => Item::Class("0-9"),
            b'D' => Item::Class("\\D"),
            b'w' => Item::Class("\\w"),
            b'W' => Item::Class("\\W"),
            b's' => Item::Class("\\s"),
            b'S' => Item::Class("\\S"),
            b'h' => Item::Class("\\t\\x20\\xa0"),
            b'H' => Item::Class("\\x00-\\x08\\x0a-\\x1f\\x21-\\x9f\\xa1-\\xff"),
            b'v' => Item::Class("\\n\\x0b\\x0c\\r\\x85"),
            b'V' => Item::Class("\\x00-\\x09\\x0e-\\x84\\x86-\\xff"),
            b'n' => Item::Byte(b'\n'),
            b'r' => Item::Byte(b'\r'),
            b't' => Item::Byte(b'\t'),
            b'f' => Item::Byte(0x0c),
            b'a' => Item::Byte(0x07),
            b'e' => Item::Byte(0x1b),
            b'E' => Item::Nothing,
            b'x' => Item::Byte(self.hexadecimal()?),
            b'0'..=b'7' => {
                let first = u32::from(byte.saturating_sub(b'0'));
                let mut value = first;
                for _ in 0..2 {
                    let Some(digit @ b'0'..=b'7') = self.peek() else { break };
                    self.at = self.at.saturating_add(1);
                    value = value
                        .saturating_mul(8)
                        .saturating_add(u32::from(digit.saturating_sub(b'0')));
                }
                match u8::try_from(value) {
                    Ok(value) => Item::Byte(value),
                    Err(_) => return self.unsupported("character above 255", at),
                }
            }
            b'c' => {
                let Some(byte) = self.next().filter(u8::is_ascii) else {
                    return self.unexpected("a character");
                };
                Item::Byte(byte.to_ascii_uppercase() ^ 0x40)
            }
            b'p' | b'P' => return self.unsupported("Unicode property", at),
            b'o' => return self.unsupported("\\o", at),
            b'N' | b'R' | b'X' | b'B' | b'L' | b'l' | b'U' | b'u' => {
                self.at = self.at.saturating_sub(1);
                return self.unexpected("an escape that there is");
            }
            byte => Item::Byte(byte),
        })
    }

    /// `\x`, then two digits at most, or `{…}`.
    fn hexadecimal(&mut self) -> Result<u8, PcreError> {
        let is_braced = self.eat(b"{");
        let mut value = 0_u32;
        let mut digits = 0_u32;
        while let Some(digit) = self.peek().and_then(|byte| char::from(byte).to_digit(16)) {
            if !is_braced && digits == 2 {
                break;
            }
            self.at = self.at.saturating_add(1);
            digits = digits.saturating_add(1);
            value = value.saturating_mul(16).saturating_add(digit);
        }
        if is_braced && !self.eat(b"}") {
            return self.unexpected("`}`");
        }
        match u8::try_from(value) {
            Ok(value) => Ok(value),
            Err(_) => self.unsupported("character above 255", self.at),
        }
    }

    fn class(&mut self) -> Result<(), PcreError> {
        let start = self.at.saturating_sub(1);
        self.out.push('[');
        if self.eat(b"^") {
            self.out.push('^');
        }
        let mut is_first = true;
        let mut is_empty = true;
        loop {
            let at = self.at;
            let Some(byte) = self.next() else {
                self.at = start;
                return self.unexpected("a class that is closed");
            };
            let item = match byte {
                b']' if !is_first => break,
                b'[' if matches!(self.peek(), Some(b':' | b'.' | b'=')) => {
                    if self.posix()? {
                        is_first = false;
                        is_empty = false;
                        continue;
                    }
                    Item::Byte(b'[')
                }
                b'\\' => self.class_item(at)?,
                byte => Item::Byte(byte),
            };
            is_first = false;
            match item {
                Item::Nothing => continue,
                Item::Class(class) => self.out.push_str(class),
                Item::Byte(low) => self.range(low)?,
            }
            is_empty = false;
        }
        if is_empty {
            self.at = start;
            return self.unexpected("a class with something in it");
        }
        self.out.push(']');
        Ok(())
    }

    fn class_item(&mut self, at: usize) -> Result<Item, PcreError> {
        match self.peek() {
            Some(b'b') => {
                self.at = self.at.saturating_add(1);
                Ok(Item::Byte(0x08))
            }
            Some(b'Q') => self.unsupported("\\Q in a class", at),
            Some(b'8' | b'9') => self.unexpected("an octal number"),
            _ => self.item(at),
        }
    }

    /// A byte of a class, or from that one to another.
    fn range(&mut self, low: u8) -> Result<(), PcreError> {
        let before = self.at;
        if self.peek() != Some(b'-') || matches!(self.peek_second(), None | Some(b']')) {
            self.literal(low);
            return Ok(());
        }
        self.at = self.at.saturating_add(1);
        let at = self.at;
        let high = match self.next() {
            Some(b'\\') => self.class_item(at)?,
            Some(b'[') if matches!(self.peek(), Some(b':')) => Item::Nothing,
            Some(byte) => Item::Byte(byte),
            None => Item::Nothing,
        };
        let Item::Byte(high) = high else {
            // Before a class, it is a hyphen.
            self.literal(low);
            self.literal(b'-');
            self.at = before.saturating_add(1);
            return Ok(());
        };
        if high < low {
            self.at = at;
            return self.unexpected("a range with its lower end first");
        }
        self.literal(low);
        self.out.push('-');
        self.literal(high);
        Ok(())
    }

    /// `[:alpha:]`, where the bracket is behind. `false` where it is not one.
    fn posix(&mut self) -> Result<bool, PcreError> {
        const NAMES: [&str; 14] = [
            "alnum", "alpha", "ascii", "blank", "cntrl", "digit", "graph", "lower", "print",
            "punct", "space", "upper", "word", "xdigit",
        ];
        let rest = self.bytes.get(self.at..).unwrap_or_default();
        let Some(end) = rest.windows(2).skip(1).position(|pair| pair == b":]") else {
            return Ok(false);
        };
        let inside = rest.get(1..end.saturating_add(1)).unwrap_or_default();
        let name = inside.strip_prefix(b"^").unwrap_or(inside);
        let is_name = name.iter().all(u8::is_ascii_lowercase);
        if !is_name || rest.first() != Some(&b':') {
            return Ok(false);
        }
        let Some(known) = NAMES.iter().find(|known| known.as_bytes() == name) else {
            return self.unexpected("a class of POSIX");
        };
        self.out.push_str("[:");
        if inside.len() > name.len() {
            self.out.push('^');
        }
        self.out.push_str(known);
        self.out.push_str(":]");
        self.at = self.at.saturating_add(end).saturating_add(3);
        Ok(true)
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Pcre, PcreError, PcreFlags};

    fn flags(letters: &str) -> PcreFlags {
        let has = |letter| letters.contains(letter);
        PcreFlags {
            ignores_case: has('i'),
            dot_takes_all: has('s'),
            is_multi_line: has('m'),
            is_spaced: has('x'),
            is_anchored: has('A'),
            dollar_is_end: has('E'),
            is_lazy: has('G'),
        }
    }

    #[test]
    fn finds_what_perl_finds() {
        for (expression, letters, bytes, expected) in [
            (r"^a.c$", "", &b"abc"[..], Some(0..3)),
            // Also before a line's end that ends all, unless one says otherwise.
            (r"abc$", "", b"abc\n", Some(0..4)),
            (r"abc$", "E", b"abc\n", None),
            (r"abc$", "", b"abc\n\n", None),
            (r"abc$", "m", b"abc\nd", Some(0..3)),
            (r"(?m)^b", "", b"a\nb", Some(2..3)),
            (r"a.b", "", b"a\nb", None),
            (r"a.b", "s", b"a\nb", Some(0..3)),
            (r"a\x00\xff\x{0d}", "", b"a\x00\xff\r", Some(0..4)),
            (r"\x2", "", b"\x02", Some(0..1)),
            (r"\0\07[\101]", "", b"\x00\x07A", Some(0..3)),
            (r"\/\-\_\;\<\>\:", "", b"/-_;<>:", Some(0..7)),
            (r"[]a]+", "", b"a]", Some(0..2)),
            (r"[^]a]", "", b"]ab", Some(2..3)),
            (r"[a-]+[\w-]", "", b"-a-", Some(0..3)),
            (r"[&&~~-]+", "", b"&~-", Some(0..3)),
            (r"[[:^digit:][:upper:]0]{2}", "", b"10a", Some(1..3)),
            (r"[\d-z]+", "", b"-z1", Some(0..3)),
            (r"[^\x00-\x7f]{2}", "", b"a\x80\xff", Some(1..3)),
            (r"[\b]", "", b"\x08", Some(0..1)),
            (r"a{2}{", "", b"aa{", Some(0..3)),
            (r"a{,2}", "", b"a{,2}", Some(0..5)),
            (r"(?P<n>a)(?<m>b)(?'o'c)(?#d)", "", b"abc", Some(0..3)),
            (r"(?i)ab(?-i:C)", "", b"ABC", Some(0..3)),
            ("a (?x: b # c\n )d", "", b"a bd", Some(0..4)),
            (r"a(?x: b )d", "", b"abd", Some(0..3)),
            (r"a b [ c]", "x", b"ab ", Some(0..3)),
            (r"a+", "G", b"aaa", Some(0..1)),
            (r"a+?", "G", b"aaa", Some(0..3)),
            (r"b", "A", b"ab", None),
            (r"a|b", "A", b"xb", None),
            (r"\Qa.b*\E+", "", b"a.b**", Some(0..5)),
            (r"\R\h\v\N", "", b"\r\n\t\x0bx", Some(0..5)),
            (r"(?|a|b)c", "", b"bc", Some(0..2)),
            (r"ab\Z", "", b"ab\n", Some(0..3)),
            (r"\xe9", "i", b"\xc9", None),
        ] {
            let regex = Pcre::new(expression, flags(letters)).unwrap();
            let found = regex.regex().find(bytes).map(|found| found.range());
            assert_eq!(found, expected, "{expression} {letters} {:?}", regex.regex());
        }
    }

    #[test]
    fn what_is_refused_has_a_name_and_a_place() {
        for (expression, what, at) in [
            (r"a(?=b)", "look-ahead", 1),
            (r"a(?!b)", "look-ahead", 1),
            (r"(?<=a)b", "look-behind", 0),
            (r"(a)\1", "back-reference", 3),
            (r"(?P<n>a)(?P=n)", "back-reference", 8),
            (r"(a)\g1", "back-reference", 3),
            (r"a++", "possessive quantifier", 1),
            (r"(?>a)", "atomic group", 0),
            (r"(?R)", "recursion", 0),
            (r"(?(1)a)", "condition", 0),
            (r"(*UTF8)a", "backtracking verb", 0),
            (r"a\Kb", "reset of the match's begin", 1),
            (r"\pL", "Unicode property", 0),
        ] {
            let error = Pcre::new(expression, PcreFlags::default()).unwrap_err();
            assert_eq!(error, PcreError::Unsupported { what, at }, "{expression}");
        }
        for (expression, expected) in [
            ("(a", "expected `)` at byte 2, found its end"),
            ("a)", "expected a group that is open at byte 1, found `)`"),
            ("[a", "expected a class that is closed at byte 0, found `[`"),
            ("*a", "expected something to repeat at byte 0, found `*`"),
            ("a**", "expected something to repeat at byte 2, found `*`"),
            ("[b-a]", "expected a range with its lower end first at byte 3, found `a`"),
            ("a\\", "expected a character at byte 2, found its end"),
        ] {
            let error = Pcre::new(expression, PcreFlags::default()).unwrap_err();
            assert_eq!(error.to_string(), expected);
        }
    }

    #[test]
    fn no_expression_takes_more_than_it_may() {
        for expression in ["(?:a{1000}){1000}", "(?:(?:(?:.{50}){50}){50}){50}", "[a-z]{1,65000}"] {
            let error = Pcre::new(expression, PcreFlags::default()).unwrap_err();
            assert!(matches!(error, PcreError::Size { .. } | PcreError::Syntax { .. }), "{error}");
        }
        let deep = "(".repeat(101) + &")".repeat(101);
        let error = Pcre::new(&deep, PcreFlags::default()).unwrap_err();
        assert!(matches!(error, PcreError::Unsupported { at: 100, .. }), "{error}");
    }
}
