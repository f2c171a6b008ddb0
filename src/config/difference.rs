use alloc::collections::{BTreeMap, BTreeSet};
use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;

use toml::de::{DeTable, DeValue};

use crate::toml_text::{Reader, Value};

/// What differs between two texts of configurations, in words: a line for each key. Comments, order of keys and how a value is
/// written count for nothing; of secrets it is only said that they change.
///
/// Of a text that is no TOML nothing is told: [`Config::parse`](super::Config::parse) says what is wrong with it.
///
/// Rules and the like that have names are compared by them, others only as a whole.
///
/// ```
/// use gwlb_geneve::config::differences;
///
/// let before = "monitor = true\n[access]\ndefault = \"allow\"\n";
/// let after = "access = { default = \"drop\", rule = [{ name = \"web\", action = \"allow\", ports = 80 }] }";
/// assert_eq!(differences(before, after), [
///     "`access.default` becomes \"drop\", was \"allow\"",
///     "`access.rule` has a new one, number 1: { action = \"allow\", name = \"web\", ports = 80 }",
///     "`monitor` is no longer said, was true",
/// ]);
/// ```
pub fn differences(before: &str, after: &str) -> Vec<String> {
    let (mut before, mut after) = (Reader::new(before), Reader::new(after));
    let (Some(before), Some(after)) = (before.document(), after.document()) else {
        return Vec::new();
    };
    let mut told = Vec::new();
    tables("", &before, &after, &mut told);
    told
}

fn tables(path: &str, before: &DeTable<'_>, after: &DeTable<'_>, told: &mut Vec<String>) {
    let names = before.keys().chain(after.keys()).map(|key| key.get_ref().to_string());
    for name in names.collect::<BTreeSet<_>>() {
        let path = if path.is_empty() { name.clone() } else { format!("{path}.{name}") };
        values(&path, &name, before.get(name.as_str()), after.get(name.as_str()), told);
    }
}

fn values(
    path: &str,
    key: &str,
    before: Option<&Value<'_>>,
    after: Option<&Value<'_>>,
    told: &mut Vec<String>,
) {
    let (before, after) = (before.map(|it| it.get_ref()), after.map(|it| it.get_ref()));
    match (before, after) {
        (Some(DeValue::Table(before)), Some(DeValue::Table(after))) => {
            return tables(path, before, after, told);
        }
        (None, None) => return,
        _ => {}
    }
    if let (Some(before), Some(after)) = (list_of_tables(before), list_of_tables(after)) {
        // A list that is empty may mean something else than none.
        if !before.is_empty() || !after.is_empty() {
            return lists(path, &before, &after, told);
        }
    }
    let same = before.map(|it| written(key, it, true)) == after.map(|it| written(key, it, true));
    let shown = |value: &DeValue<'_>| short(written(key, value, false));
    match (before, after) {
        _ if same => {}
        (Some(_), Some(_)) if is_secret(key) => told.push(format!("`{path}` changes")),
        (Some(before), Some(after)) => {
            told.push(format!("`{path}` becomes {}, was {}", shown(after), shown(before)));
        }
        (None, Some(after)) => told.push(format!("`{path}` is now said: {}", shown(after))),
        (Some(before), None) => {
            told.push(format!("`{path}` is no longer said, was {}", shown(before)));
        }
        (None, None) => {}
    }
}

/// The tables in a list of them; none where there is no list.
fn list_of_tables<'v, 'a>(value: Option<&'v DeValue<'a>>) -> Option<Vec<&'v Value<'a>>> {
    match value {
        None => Some(Vec::new()),
        Some(DeValue::Array(values)) => {
            values.iter().map(|it| it.get_ref().is_table().then_some(it)).collect()
        }
        Some(_) => None,
    }
}

/// Lists of tables, such as rules.
fn lists(path: &str, before: &[&Value<'_>], after: &[&Value<'_>], told: &mut Vec<String>) {
    let (was, is) = (labels(before), labels(after));
    for (place, label) in was.iter().enumerate() {
        if let Some(value) = before.get(place).filter(|_| !is.contains(label)) {
            let number = place.saturating_add(1);
            let text = short(written("", value.get_ref(), false));
            told.push(format!("`{path}` has one less, number {number}: {text}"));
        }
    }
    for (place, label) in is.iter().enumerate() {
        let Some(value) = after.get(place) else { continue };
        match was.iter().position(|it| it == label).and_then(|place| before.get(place)) {
            Some(before) => {
                if let (Some(before), Some(after)) =
                    (before.get_ref().as_table(), value.get_ref().as_table())
                {
                    let (name, _) = label;
                    tables(&format!("{path} {name}"), before, after, told);
                }
            }
            None => {
                let number = place.saturating_add(1);
                let text = short(written("", value.get_ref(), false));
                told.push(format!("`{path}` has a new one, number {number}: {text}"));
            }
        }
    }
    let common = |these: &[Label], others: &[Label]| -> Vec<Label> {
        these.iter().filter(|label| others.contains(label)).cloned().collect()
    };
    if common(&was, &is) != common(&is, &was) {
        told.push(format!("`{path}` are in another order"));
    }
}

/// What a table in a list is known by: its name, or all of it; and the how manieth of those that are the same.
type Label = (String, u32);

fn labels(tables: &[&Value<'_>]) -> Vec<Label> {
    let mut counts = BTreeMap::new();
    let label = |value: &&Value<'_>| {
        let name = value.get_ref().as_table().and_then(|table| table.get("name"));
        let label = match name.and_then(|name| name.get_ref().as_str()) {
            Some(name) => format!("\"{name}\""),
            None => written("", value.get_ref(), true),
        };
        let count: &mut u32 = counts.entry(label.clone()).or_default();
        *count = count.saturating_add(1);
        (label, *count)
    };
    tables.iter().map(label).collect()
}

/// As TOML, keys in their order. Secrets only where nobody will see it.
fn written(key: &str, value: &DeValue<'_>, with_secrets: bool) -> String {
    match value {
        DeValue::String(_) if is_secret(key) && !with_secrets => "\"…\"".into(),
        DeValue::String(text) => format!("{text:?}"),
        DeValue::Integer(number) => match i128::from_str_radix(number.as_str(), number.radix()) {
            Ok(number) => number.to_string(),
            Err(_) => number.to_string(),
        },
        DeValue::Float(number) => number.to_string(),
        DeValue::Boolean(truth) => truth.to_string(),
        DeValue::Datetime(moment) => moment.to_string(),
        DeValue::Array(values) => {
            let values = values.iter().map(|it| written(key, it.get_ref(), with_secrets));
            format!("[{}]", values.collect::<Vec<_>>().join(", "))
        }
        DeValue::Table(table) => {
            let members: BTreeMap<_, _> = table
                .iter()
                .map(|(key, value)| {
                    let key = key.get_ref().to_string();
                    let value = written(&key, value.get_ref(), with_secrets);
                    (key, value)
                })
                .collect();
            let members = members.iter().map(|(key, value)| format!("{key} = {value}"));
            format!("{{ {} }}", members.collect::<Vec<_>>().join(", "))
        }
    }
}

/// Keys of what must not stand in a log.
fn is_secret(key: &str) -> bool {
    ["key", "token", "secret", "password"].iter().any(|word| key.ends_with(word))
}

/// A line of a log.
fn short(text: String) -> String {
    const MOST: usize = 300;
    match text.char_indices().nth(MOST) {
        Some((end, _)) => format!("{}…", text.get(..end).unwrap_or_default()),
        None => text,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn how_it_is_written_counts_for_nothing() {
        let before = "[limits]\nflows = 0x10\n[[rate.rule]]\nper = \"source\"\nlimit = \"syns\"\nrate = 1_000";
        let after = "# The same\nrate = { rule = [{ rate = 1000, limit = 'syns', per = \"source\" }] }\nlimits.flows = 16";
        assert_eq!(differences(before, after), [""; 0]);
    }

    #[test]
    fn rules_are_known_by_their_names() {
        let rule = |name: &str, rest: &str| format!("[[access.rule]]\nname = \"{name}\"\n{rest}\n");
        let (web, ping) = (rule("web", "ports = 80"), rule("ping", "protocol = \"icmp\""));
        let wider = rule("web", "ports = [80, 443]\nlog = true");
        let unnamed = "[[access.rule]]\naction = \"drop\"\n";
        let before = [&web[..], &ping, unnamed].concat();
        assert_eq!(
            differences(&before, &[&ping[..], &web, unnamed].concat()),
            ["`access.rule` are in another order"]
        );
        assert_eq!(
            differences(&before, &[&wider[..], unnamed, unnamed].concat()),
            [
                "`access.rule` has one less, number 2: { name = \"ping\", protocol = \"icmp\" }",
                "`access.rule \"web\".log` is now said: true",
                "`access.rule \"web\".ports` becomes [80, 443], was 80",
                "`access.rule` has a new one, number 3: { action = \"drop\" }",
            ]
        );
    }

    #[test]
    fn no_secret_is_told() {
        let text = |secret: &str| {
            format!("[[api.rule]]\nname = \"a\"\ntoken = {{ secret = \"{secret}\" }}")
        };
        assert_eq!(
            differences(&text("one"), &text("two")),
            ["`api.rule \"a\".token.secret` changes"]
        );
        let all = differences("", &text("one")).concat() + &differences(&text("two"), "").concat();
        assert!(all.contains('…') && !all.contains("one") && !all.contains("two"), "{all}");
        assert_eq!(
            differences("[eve]\ntypes = []", "[eve]"),
            ["`eve.types` is no longer said, was []"]
        );
        let run = |token: &str| format!("[run]\ntoken = \"{token}\"");
        assert_eq!(differences("", &run("one")), ["`run` is now said: { token = \"…\" }"]);
    }
}
