//! From text to [`Rule`].
//!
//! `mod` takes a line apart into header and options, `keyword` knows what each option does to the [`Draft`], `draft` puts together what
//! came of it.

mod bits;
pub(super) mod buffers;
mod bytes;
mod content;
mod draft;
mod head;
mod keyword;
mod meta;
mod packet;
mod regular;
mod together;
pub(super) mod value;

use alloc::borrow::ToOwned;
use alloc::string::String;

use super::problem::RuleProblem;
use super::{Header, Rule, RuleAction, Threshold};
use draft::Draft;
use value::Value;

/// Bytes of a rule's text.
pub(super) const LONGEST: usize = 1 << 16;

/// Why a text is no rule, and where.
#[derive(Debug)]
pub(super) struct Stop {
    /// The byte of the text.
    pub(super) offset: usize,
    pub(super) keyword: String,
    pub(super) problem: RuleProblem,
}

impl Stop {
    fn new(offset: usize, problem: impl Into<RuleProblem>) -> Self {
        Self { offset, keyword: String::new(), problem: problem.into() }
    }

    /// Of things that do not go together.
    fn together(offset: usize, what: impl Into<alloc::borrow::Cow<'static, str>>) -> Self {
        Self::new(offset, RuleProblem::Together(what.into()))
    }
}

/// One rule. Where its characters stand for bytes of Latin-1, patterns are these.
pub(super) fn rule(text: &str, is_latin_1: bool) -> Result<Rule, Stop> {
    if text.len() > LONGEST {
        return Err(Stop::new(0, RuleProblem::Long { most: LONGEST, found: text.len() }));
    }
    let (head, options, options_at) = head::split(text)?;
    let (action, header) = head::parse(head)?;
    let mut draft = Draft::new(action, header, is_latin_1);
    let mut rest = options;
    let mut offset = options_at;
    loop {
        let trimmed = rest.trim_start();
        offset = offset.saturating_add(rest.len().saturating_sub(trimmed.len()));
        if trimmed.is_empty() {
            break;
        }
        let end = option_end(trimmed).ok_or_else(|| {
            Stop::new(
                offset,
                RuleProblem::Expected {
                    expected: "`;` behind each option".into(),
                    found: value::quoted(trimmed),
                },
            )
        })?;
        let (option, after) = trimmed.split_at_checked(end).unwrap_or((trimmed, ""));
        let (name, value) = match option.split_once(':') {
            Some((name, value)) => (name, Some(value)),
            None => (option, None),
        };
        let value_at = offset.saturating_add(name.len()).saturating_add(1);
        let value = value.map(|text| Value::new(text, value_at));
        let name = name.trim();
        draft.keyword(name, value, offset).map_err(|stop| {
            let keyword = if stop.keyword.is_empty() { name.to_owned() } else { stop.keyword };
            Stop { keyword: value::short(&keyword), ..stop }
        })?;
        rest = after.get(1..).unwrap_or_default();
        offset = offset.saturating_add(end).saturating_add(1);
    }
    draft.finish(options_at).map_err(|stop| {
        let is_known = !stop.keyword.is_empty() || stop.offset < options_at;
        if is_known || matches!(stop.problem, RuleProblem::Missing { .. }) {
            return stop;
        }
        let option = text.get(stop.offset..);
        let name = option.and_then(|option| option.split([':', ';']).next()).unwrap_or_default();
        Stop { keyword: value::short(name.trim()), ..stop }
    })
}

/// What stands between a rule's action and its options.
pub(super) fn header(text: &str) -> Result<Header, Stop> {
    head::header(Value::new(text, 0))
}

/// Whether a comment is a rule that is disabled: it begins with an action, and has a `sid` in its parentheses.
pub(super) fn is_like_a_rule(text: &str) -> bool {
    let action = text.split_ascii_whitespace().next().unwrap_or_default();
    let is_action =
        action == "rejectsrc" || RuleAction::NAMES.iter().any(|(name, _)| *name == action);
    is_action && text.contains('(') && text.trim_end().ends_with(')') && sid(text).is_some()
}

/// What stands behind `threshold`.
pub(super) fn threshold(value: Value<'_>) -> Result<Threshold, Stop> {
    bits::threshold(value)
}

/// The `sid` of a text that may be no rule, where one is to be found.
pub(super) fn sid(text: &str) -> Option<u32> {
    number(text, "sid")
}

/// The number of an option of a text that may be no rule, where one is to be found. The last one counts, as texts come first.
pub(super) fn number(text: &str, name: &str) -> Option<u32> {
    let mut parts =
        text.rsplit(';').map(|part| part.rsplit('(').next().unwrap_or(part).trim_start());
    let digits =
        parts.find_map(|option| option.strip_prefix(name)?.trim_start().strip_prefix(':'))?;
    digits.trim().parse().ok()
}

/// The `;` that ends an option: the first without a backslash before.
fn option_end(text: &str) -> Option<usize> {
    let mut is_escaped = false;
    text.bytes().position(|byte| {
        let is_end = byte == b';' && !is_escaped;
        is_escaped = byte == b'\\' && !is_escaped;
        is_end
    })
}
