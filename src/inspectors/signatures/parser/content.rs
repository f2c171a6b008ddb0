use alloc::vec::Vec;

use super::super::{Buffer, Content, Detection, FastPattern, Number};
use super::Stop;
use super::draft::{Draft, Target};
use super::value::Value;

/// `content:"…"`, or an old keyword that is the same for one buffer.
pub(super) fn content(
    draft: &mut Draft,
    value: Value<'_>,
    buffer: Option<Buffer>,
) -> Result<(), Stop> {
    let (is_negated, text) = value.negation();
    let text = text.quoted()?;
    let pattern = pattern(text, draft.is_latin_1)?;
    let content = Detection::Content(Content { is_negated, ..Content::new(pattern) });
    match buffer {
        Some(buffer) => draft.push_to(Target::new(buffer), content),
        None => draft.push(content),
    }
    Ok(())
}

/// Text, with `|41 42|` for bytes and a backslash before `"`, `;`, `:` and itself.
fn pattern(value: Value<'_>, is_latin_1: bool) -> Result<Vec<u8>, Stop> {
    let mut pattern = Vec::with_capacity(value.text.len());
    let mut rest = value.text;
    let stop = |rest: &str, expected: &'static str| {
        let offset = value.offset.saturating_add(value.text.len().saturating_sub(rest.len()));
        Err(Value { text: rest, offset }.expected(expected))
    };
    while let Some(c) = rest.chars().next() {
        let after = rest.get(c.len_utf8()..).unwrap_or_default();
        match c {
            '|' => {
                let Some((inside, after)) = after.split_once('|') else {
                    return stop(rest, "`|` behind the hexadecimal digits");
                };
                let Some(bytes) = super::bytes::hexadecimal(inside) else {
                    return stop(after_bar(rest), "pairs of hexadecimal digits between `|`");
                };
                pattern.extend(bytes);
                rest = after;
            }
            '\\' => match after.chars().next() {
                Some(escaped @ ('"' | ';' | ':' | '\\' | '|')) => {
                    pattern.extend(u8::try_from(escaped));
                    rest = after.get(1..).unwrap_or_default();
                }
                _ => return stop(rest, "`\"`, `;`, `:` or a backslash behind the backslash"),
            },
            '"' => return stop(rest, "a backslash before `\"`"),
            c => {
                match u8::try_from(c) {
                    Ok(byte) if is_latin_1 || c.is_ascii() => pattern.push(byte),
                    _ => pattern.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes()),
                }
                rest = after;
            }
        }
    }
    match pattern.is_empty() {
        false => Ok(pattern),
        true => {
            Err(Value { text: "", offset: value.offset }.expected("a pattern of one byte at least"))
        }
    }
}

fn after_bar(text: &str) -> &str {
    text.get(1..).unwrap_or_default()
}

/// `offset`, `depth`, `distance`, `within`
pub(super) fn place(draft: &mut Draft, name: &str, value: Value<'_>) -> Result<(), Stop> {
    let offset = draft.offset;
    let target = draft.last_content()?.1.clone();
    let number = draft.number_of(value, &target)?;
    let (content, _) = draft.last_content()?;
    let length = i64::try_from(content.pattern.len()).unwrap_or(i64::MAX);
    let slot = match name {
        "offset" => &mut content.offset,
        "depth" => &mut content.depth,
        "distance" => &mut content.distance,
        _ => &mut content.within,
    };
    if slot.replace(number).is_some() {
        return Err(Stop::together(offset, "expected it once for a pattern, found it twice"));
    }
    match (name, number) {
        ("offset", Number::Literal(0..=65_535)) => {}
        ("offset", Number::Literal(_)) => return Err(value.expected("a number from 0 to 65535")),
        ("depth" | "within", Number::Literal(most)) if most < length => {
            return Err(
                value.expected(alloc::format!("at least the {length} bytes that the pattern has"))
            );
        }
        ("distance", Number::Literal(-1_048_576..=1_048_576)) => {}
        ("depth" | "within", Number::Literal(..=1_048_576)) | (_, Number::Variable(_)) => {}
        (_, Number::Literal(_)) => return Err(value.expected("a number up to 1048576")),
    }
    let is_absolute = content.offset.is_some() || content.depth.is_some();
    if is_absolute && content.is_relative() {
        return Err(Stop::together(
            offset,
            "expected for a pattern either `offset` and `depth`, or `distance` and `within`, found both",
        ));
    }
    if content.starts_with {
        return Err(with_starts_with(offset));
    }
    Ok(())
}

fn with_starts_with(offset: usize) -> Stop {
    Stop::together(
        offset,
        "expected for a pattern either `startswith`, or `offset`, `depth`, `distance` and `within`, found both",
    )
}

/// `nocase`, `rawbytes`, `startswith`, `endswith`
pub(super) fn flag(draft: &mut Draft, name: &str) -> Result<(), Stop> {
    let offset = draft.offset;
    let (content, _) = draft.last_content()?;
    let has_place = content.is_relative() || content.offset.is_some() || content.depth.is_some();
    let flag = match name {
        "nocase" => &mut content.ignores_case,
        "rawbytes" => &mut content.is_raw,
        "startswith" => {
            if has_place {
                return Err(with_starts_with(offset));
            }
            &mut content.starts_with
        }
        _ => &mut content.ends_with,
    };
    match core::mem::replace(flag, true) {
        false => Ok(()),
        true => Err(Stop::together(offset, "expected it once for a pattern, found it twice")),
    }
}

/// `fast_pattern`, `fast_pattern:only`, `fast_pattern:3,5`
pub(super) fn fast_pattern(draft: &mut Draft, value: Option<Value<'_>>) -> Result<(), Stop> {
    let offset = draft.offset;
    let (content, _) = draft.last_content()?;
    let kind = match value {
        None => FastPattern::Whole,
        Some(value) if value.text == "only" => FastPattern::Only,
        Some(value) => {
            let expected = "`only`, or a part of the pattern such as `3,5`";
            let Some((first, length)) = value.text.split_once(',') else {
                return Err(value.expected(expected));
            };
            let number = |text: &str| text.trim().parse::<u16>().ok();
            let (Some(first), Some(length)) = (number(first), number(length)) else {
                return Err(value.expected(expected));
            };
            let end = usize::from(first).saturating_add(usize::from(length));
            if length == 0 || end > content.pattern.len() {
                return Err(value.expected(alloc::format!(
                    "a part of the {} bytes of the pattern",
                    content.pattern.len()
                )));
            }
            FastPattern::Part { offset: first, length }
        }
    };
    match content.fast_pattern.replace(kind) {
        None => Ok(()),
        Some(_) => Err(Stop::together(offset, "expected it once for a pattern, found it twice")),
    }
}

/// An old keyword that says what the pattern before it is looked for in.
pub(super) fn modifier(draft: &mut Draft, buffer: Buffer) -> Result<(), Stop> {
    let offset = draft.offset;
    if draft.sticky.is_some() {
        return Err(Stop::together(
            offset,
            "expected a pattern before that is not behind the keyword of a buffer, found one that is",
        ));
    }
    let (_, target) = draft.last_content()?;
    if target.buffer != Buffer::Payload {
        return Err(Stop::together(offset, "expected one buffer for a pattern, found two"));
    }
    *target = Target::new(buffer);
    Ok(())
}
