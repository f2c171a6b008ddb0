use alloc::string::String;

use super::super::{Reference, Target};
use super::Stop;
use super::draft::Draft;
use super::value::Value;

/// What says which rule it is, and what an alert says.
pub(super) fn option(draft: &mut Draft, name: &str, value: Value<'_>) -> Result<(), Stop> {
    let rule = &mut draft.rule;
    match name {
        "msg" => rule.message = unescaped(value.quoted()?.text),
        "sid" => {
            if rule.id.sid != 0 {
                return Err(Stop::together(draft.offset, "expected it once, found it twice"));
            }
            rule.id.sid = value.number("a number from 1 to 4294967295")?;
            if rule.id.sid == 0 {
                return Err(value.expected("a number from 1 to 4294967295"));
            }
        }
        "gid" => rule.id.gid = value.number("a number from 0 to 4294967295")?,
        "rev" => rule.id.rev = value.number("a number from 0 to 4294967295")?,
        "classtype" => {
            let value = value.unquoted();
            let is_name = !value.text.is_empty()
                && value
                    .text
                    .bytes()
                    .all(|byte| byte.is_ascii_alphanumeric() || b"_-".contains(&byte));
            if !is_name {
                return Err(value.expected("the short name of a class"));
            }
            rule.class = Some(value.text.into());
        }
        "priority" => {
            let priority = value.unquoted().number("a number from 1 to 255")?;
            if priority == 0 {
                return Err(value.expected("a number from 1 to 255"));
            }
            rule.priority = Some(priority);
        }
        "reference" => {
            let value = value.unquoted();
            let (system, id) = value.text.split_once(',').unwrap_or_default();
            let (system, id) = (system.trim(), id.trim());
            if system.is_empty() || id.is_empty() {
                return Err(
                    value.expected("a system and what to look for there, with a comma between")
                );
            }
            rule.references.push(Reference { system: unescaped(system), id: unescaped(id) });
        }
        "metadata" => {
            for pair in value.unquoted().split(',').filter(|pair| !pair.text.is_empty()) {
                let (key, value) = pair.word();
                rule.metadata.push((unescaped(key.text), unescaped(value.text)));
            }
        }
        _ => {
            rule.target = Some(match value.text {
                "src_ip" => Target::Source,
                "dest_ip" => Target::Destination,
                _ => return Err(value.expected("`src_ip` or `dest_ip`")),
            });
        }
    }
    Ok(())
}

/// Without the backslashes before what would mean something, and without what would end the line.
fn unescaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text.chars().peekable();
    while let Some(c) = rest.next() {
        match (c, rest.peek()) {
            ('\\', Some(';' | '"' | ':' | '\\' | ',')) => out.extend(rest.next()),
            ('\n' | '\r', _) => out.push(' '),
            _ => out.push(c),
        }
    }
    out
}
