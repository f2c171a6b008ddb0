use alloc::format;
use alloc::string::String;

use super::super::{Buffer, Detection, Pcre, PcreFlags};
use super::Stop;
use super::buffers::LETTERS;
use super::draft::{Draft, Target};
use super::value::Value;

/// `pcre:"/expression/flags"`
pub(super) fn pcre(draft: &mut Draft, value: Value<'_>) -> Result<(), Stop> {
    let (is_negated, text) = value.negation();
    let text = text.quoted()?;
    let expected = "an expression between slashes";
    let inside = text.text.strip_prefix('/').or_else(|| text.text.strip_prefix("m/"));
    let Some((expression, letters)) = inside.and_then(|inside| inside.rsplit_once('/')) else {
        return Err(text.expected(expected));
    };
    if expression.is_empty() {
        return Err(text.expected("an expression that is not empty"));
    }
    let letters_at = text.offset.saturating_add(text.text.len().saturating_sub(letters.len()));
    let mut flags = PcreFlags::default();
    let mut is_relative = false;
    let mut buffer = None;
    for letter in letters.chars() {
        let at = Value { text: letters, offset: letters_at };
        match letter {
            'i' => flags.ignores_case = true,
            's' => flags.dot_takes_all = true,
            'm' => flags.is_multi_line = true,
            'x' => flags.is_spaced = true,
            'A' => flags.is_anchored = true,
            'E' => flags.dollar_is_end = true,
            'G' => flags.is_lazy = true,
            'R' => is_relative = true,
            // Bytes as they are, and as long as it takes: so it is without them.
            'B' | 'O' => {}
            letter => match LETTERS.iter().find(|(known, _)| *known == letter) {
                Some((_, found)) if buffer.is_some_and(|buffer| buffer != *found) => {
                    return Err(at.expected("one letter for a buffer"));
                }
                Some((_, found)) => buffer = Some(*found),
                None => return Err(at.expected("the flags of a regular expression")),
            },
        }
    }
    let expression = ascii(expression, draft.is_latin_1);
    let mut found = Pcre::new(&expression, flags).map_err(|error| Stop::new(text.offset, error))?;
    found.is_relative = is_relative;
    found.is_negated = is_negated;
    let item = Detection::Pcre(found);
    match (buffer, &draft.sticky) {
        (Some(buffer), Some(target)) if target.buffer != buffer => {
            return Err(Stop::together(
                letters_at,
                "expected the buffer that the rule has turned to, found a letter for another",
            ));
        }
        (Some(buffer), None) if buffer != Buffer::Payload => {
            draft.push_to(Target::new(buffer), item);
        }
        _ => draft.push_relative(item, is_relative),
    }
    Ok(())
}

/// With `\xHH` for each byte that is not ASCII, as the expression is about bytes.
fn ascii(expression: &str, is_latin_1: bool) -> String {
    let mut text = String::with_capacity(expression.len());
    for c in expression.chars() {
        match u8::try_from(c) {
            _ if c.is_ascii() => text.push(c),
            Ok(byte) if is_latin_1 => text.push_str(&format!("\\x{byte:02x}")),
            _ => {
                for byte in c.encode_utf8(&mut [0; 4]).bytes() {
                    text.push_str(&format!("\\x{byte:02x}"));
                }
            }
        }
    }
    text
}
