use alloc::borrow::Cow;
use alloc::format;
use alloc::string::String;
use core::str::FromStr;

use super::super::Comparison;
use super::super::expression::shortened;
use super::super::problem::RuleProblem;
use super::Stop;

/// What stands behind a keyword's colon, without spaces around, and where.
#[derive(Clone, Copy)]
pub(in super::super) struct Value<'a> {
    pub(in super::super) text: &'a str,
    pub(in super::super) offset: usize,
}

impl<'a> Value<'a> {
    pub(in super::super) fn new(text: &'a str, offset: usize) -> Self {
        let trimmed = text.trim_start();
        let before = text.len().saturating_sub(trimmed.len());
        Self { text: trimmed.trim_end(), offset: offset.saturating_add(before) }
    }

    /// Says what should stand here.
    pub(super) fn expected(&self, expected: impl Into<Cow<'static, str>>) -> Stop {
        let problem = RuleProblem::Expected { expected: expected.into(), found: quoted(self.text) };
        Stop::new(self.offset, problem)
    }

    pub(super) fn unsupported(&self, instead: Option<&'static str>) -> Stop {
        let problem = RuleProblem::Unsupported { found: shortened(self.text), instead };
        Stop::new(self.offset, problem)
    }

    /// The parts between separators.
    pub(super) fn split(self, separator: char) -> impl Iterator<Item = Value<'a>> {
        let mut offset = self.offset;
        self.text.split(separator).map(move |text| {
            let part = Value::new(text, offset);
            offset = offset.saturating_add(text.len()).saturating_add(separator.len_utf8());
            part
        })
    }

    /// The first word, and what follows it.
    pub(in super::super) fn word(self) -> (Value<'a>, Value<'a>) {
        let end = self.text.find(char::is_whitespace).unwrap_or(self.text.len());
        let (word, rest) = self.text.split_at_checked(end).unwrap_or((self.text, ""));
        (Value::new(word, self.offset), Value::new(rest, self.offset.saturating_add(end)))
    }

    pub(super) fn strip_prefix(self, prefix: &str) -> Option<Value<'a>> {
        let rest = self.text.strip_prefix(prefix)?;
        Some(Value::new(rest, self.offset.saturating_add(prefix.len())))
    }

    /// Without the `!` before, and whether there was one.
    pub(super) fn negation(self) -> (bool, Value<'a>) {
        match self.strip_prefix("!") {
            Some(rest) => (true, rest),
            None => (false, self),
        }
    }

    /// What stands between quotes.
    pub(super) fn quoted(self) -> Result<Value<'a>, Stop> {
        match self.text.strip_prefix('"').and_then(|rest| rest.strip_suffix('"')) {
            Some(text) => Ok(Value { text, offset: self.offset.saturating_add(1) }),
            None => Err(self.expected("a text in \"quotes\"")),
        }
    }

    /// What stands between quotes, where there are any.
    pub(super) fn unquoted(self) -> Value<'a> {
        if self.text.starts_with('"') { self.quoted().unwrap_or(self) } else { self }
    }

    /// A number in digits, without sign.
    pub(super) fn number<N: FromStr>(&self, expected: &'static str) -> Result<N, Stop> {
        let is_number =
            !self.text.is_empty() && self.text.bytes().all(|byte| byte.is_ascii_digit());
        let number = if is_number { self.text.parse().ok() } else { None };
        number.ok_or_else(|| self.expected(expected))
    }

    /// `7`, `!7`, `<7`, `<=7`, `>7`, `>=7`, `7<>9`, `7-9`.
    pub(super) fn comparison<N: FromStr + PartialOrd + Copy>(
        &self,
        expected: &'static str,
    ) -> Result<Comparison<N>, Stop> {
        let number = |text: &str| Value::new(text, self.offset).number::<N>(expected);
        for (prefix, make) in [
            ("!=", Comparison::NotEqual as fn(N) -> Comparison<N>),
            ("!", Comparison::NotEqual),
            ("<=", Comparison::LessOrEqual),
            ("<", Comparison::Less),
            (">=", Comparison::GreaterOrEqual),
            (">", Comparison::Greater),
            ("=", Comparison::Equal),
        ] {
            if let Some(rest) = self.text.strip_prefix(prefix) {
                return Ok(make(number(rest)?));
            }
        }
        let Some((above, below)) = self.text.split_once("<>").or_else(|| self.text.split_once('-'))
        else {
            return Ok(Comparison::Equal(number(self.text)?));
        };
        let (above, below) = (number(above)?, number(below)?);
        if above >= below {
            return Err(self.expected("the lower number first"));
        }
        Ok(Comparison::Between(above, below))
    }
}

/// What was found, for a message.
pub(in super::super) fn quoted(text: &str) -> String {
    match text {
        "" => "nothing".into(),
        text => format!("`{}`", shortened(text)),
    }
}

/// A keyword, for a message.
pub(super) fn short(text: &str) -> String {
    shortened(text)
}
