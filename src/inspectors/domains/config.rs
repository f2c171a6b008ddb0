//! Lists of domain names as TOML.

use alloc::string::{String, ToString};
use alloc::vec::Vec;
use core::time::Duration;

use toml::de::{DeTable, DeValue};

use super::{Action, DomainLists, DomainPattern, Over};
use crate::Timestamp;
use crate::inspectors::access::config::table;
use crate::toml_text::{ConfigErrors, ConfigProblem, Reader, Value};

const KEYS: [&str; 8] =
    ["default", "list", "quic", "ech", "nameless", "discover-until", "except-ports", "remember"];
const LIST_KEYS: [&str; 4] = ["name", "action", "over", "names"];

/// More take more memory than anybody means.
const MOST_REMEMBERED: usize = 1 << 24;

impl DomainLists {
    /// From TOML: a `default` action, and one `[[list]]` after the other.
    ///
    /// | key | takes |
    /// |---|---|
    /// | `default` | required: `allow`, `alert`, `drop` or `reject`, for names that no list takes |
    /// | `quic`, `ech`, `nameless` | the same, for what hides its name; by default as `default` |
    /// | `discover-until` | a date, or a date and a time with an offset: until then alerts only say what would be refused |
    /// | `except-ports` | a port of servers or a list of them: flows to them are not looked at |
    /// | `remember` | how many names that DNS answered are remembered; 0 compares nothing |
    ///
    /// | key of a list | takes |
    /// |---|---|
    /// | `names` | required: a name or a list of them: see [`DomainPattern`] |
    /// | `action` | required, as `default` |
    /// | `name` | any text, for alerts |
    /// | `over` | `tls`, `http`, `dns` or a list of these; by default all |
    ///
    /// ```
    /// use gwlb_geneve::inspectors::domains::{Action, DomainLists, Over};
    ///
    /// let lists = DomainLists::from_toml(r#"
    ///     default = "reject"
    ///     ech = "alert"
    ///     except-ports = [22, 123]
    ///     [[list]]
    ///     action = "allow"
    ///     names = ["*.example.org", "example.com"]
    /// "#)?;
    /// assert_eq!(lists.decide("www.example.org", Over::Tls).action, Action::Allow);
    ///
    /// let errors = DomainLists::from_toml("default = \"drop\"\n[[list]]\naction = \"allow\"\nnames = \".example.org\"");
    /// assert_eq!(
    ///     errors.unwrap_err().to_string(),
    ///     "line 4, column 9: expected a label before each dot, found `.example.org`; did you mean `*.example.org`?",
    /// );
    /// # Ok::<(), gwlb_geneve::config::ConfigErrors>(())
    /// ```
    ///
    /// # Errors
    ///
    /// Everything that is wrong with the text, each with its line and column, in their order.
    pub fn from_toml(text: &str) -> Result<Self, ConfigErrors> {
        read(Reader::new(text), None)
    }

    /// From a table in a larger TOML document, to which the keys in `path`, with dots between, lead. What else is in it,
    /// is not looked at.
    ///
    /// # Errors
    ///
    /// As [`from_toml`](Self::from_toml), and where the table is not there.
    pub fn from_toml_table(document: &str, path: &str) -> Result<Self, ConfigErrors> {
        read(Reader::new(document), Some(path))
    }
}

fn read(mut reader: Reader<'_>, path: Option<&str>) -> Result<DomainLists, ConfigErrors> {
    let Some(document) = reader.document() else { return Err(reader.finish()) };
    let lists = match table(&mut reader, &document, path) {
        Some((table, at)) => domain_lists(&mut reader, table, at),
        None => None,
    };
    lists.ok_or_else(|| reader.finish())
}

/// The lists in a table that begins at `at`, `None` where there is a mistake in it.
pub(crate) fn domain_lists(
    reader: &mut Reader<'_>,
    table: &DeTable<'_>,
    at: usize,
) -> Option<DomainLists> {
    let errors_before = reader.errors();
    reader.keys(table, &KEYS);
    let mut lists = DomainLists::new(action(reader, table, "default", at));
    for (key, set) in [
        ("quic", DomainLists::quic as fn(DomainLists, Action) -> DomainLists),
        ("ech", DomainLists::ech),
        ("nameless", DomainLists::nameless),
    ] {
        if let Some(action) = table.get(key).and_then(|value| reader.word(value, Action::NAMES)) {
            lists = set(lists, action);
        }
    }
    if let Some(value) = table.get("discover-until") {
        if let Some(until) = moment(reader, value) {
            lists = lists.discover_until(until);
        }
    }
    if let Some(value) = table.get("except-ports") {
        let numbers = each(value).into_iter().filter_map(|value| number(reader, value, 65_535));
        lists = lists.except_ports(numbers.filter_map(|it| u16::try_from(it).ok()));
    }
    if let Some(value) = table.get("remember") {
        let names = number(reader, value, MOST_REMEMBERED);
        lists = lists.remember(names.unwrap_or_default());
    }
    if let Some(value) = table.get("list") {
        let Some(array) = value.get_ref().as_array() else {
            reader.wrong_type(value, "`[[list]]` tables");
            return None;
        };
        for value in array.iter() {
            match value.get_ref().as_table() {
                Some(table) => lists = list(reader, table, value.span().start, lists),
                None => reader.wrong_type(value, "a table"),
            }
        }
    }
    (reader.errors() == errors_before).then_some(lists)
}

fn list(
    reader: &mut Reader<'_>,
    table: &DeTable<'_>,
    at: usize,
    lists: DomainLists,
) -> DomainLists {
    reader.keys(table, &LIST_KEYS);
    let action = action(reader, table, "action", at);
    let mut name = String::new();
    if let Some(value) = table.get("name") {
        match value.get_ref().as_str() {
            Some(text) => name = text.into(),
            None => reader.wrong_type(value, "a string"),
        }
    }
    let over = match table.get("over") {
        None => Vec::from(Over::ALL),
        Some(value) => {
            let values = filled(reader, value, "over");
            let words = Over::ALL.map(|over| (over.name(), over));
            values.into_iter().filter_map(|value| reader.word(value, words)).collect()
        }
    };
    let Some(value) = table.get("names") else {
        reader.report(at, ConfigProblem::Missing { key: "names" });
        return lists;
    };
    let mut names = Vec::new();
    for value in filled(reader, value, "names") {
        names.extend(pattern(reader, value));
    }
    lists.list(name, action, &over, names)
}

/// A name or names.
pub(crate) fn pattern(reader: &mut Reader<'_>, value: &Value<'_>) -> Option<DomainPattern> {
    let Some(text) = value.get_ref().as_str() else {
        reader.wrong_type(value, "a string or a list of strings");
        return None;
    };
    text.parse()
        .map_err(|error: super::PatternError| {
            let expected = error.expected();
            let suggestion = error.suggestion(text);
            let problem = ConfigProblem::Word { expected, found: text.into(), suggestion };
            reader.report(value.span().start, problem);
        })
        .ok()
}

fn action(reader: &mut Reader<'_>, table: &DeTable<'_>, key: &'static str, at: usize) -> Action {
    match table.get(key) {
        Some(value) => reader.word(value, Action::NAMES).unwrap_or(Action::Drop),
        None => {
            reader.report(at, ConfigProblem::Missing { key });
            Action::Drop
        }
    }
}

fn number(reader: &mut Reader<'_>, value: &Value<'_>, most: usize) -> Option<usize> {
    let DeValue::Integer(number) = value.get_ref() else {
        reader.wrong_type(value, "an integer");
        return None;
    };
    let parsed = usize::from_str_radix(number.as_str(), number.radix()).ok();
    let parsed = parsed.filter(|number| *number <= most);
    if parsed.is_none() {
        let expected = alloc::format!("a number from 0 to {most}");
        reader.unexpected(value.span().start, expected, &number.to_string());
    }
    parsed
}

/// One value, or those of a list.
fn each<'v, 'a>(value: &'v Value<'a>) -> Vec<&'v Value<'a>> {
    match value.get_ref() {
        DeValue::Array(values) => values.iter().collect(),
        _ => Vec::from([value]),
    }
}

/// The same, at least one.
fn filled<'v, 'a>(
    reader: &mut Reader<'_>,
    value: &'v Value<'a>,
    key: &'static str,
) -> Vec<&'v Value<'a>> {
    let values = each(value);
    if values.is_empty() {
        let problem = ConfigProblem::Word {
            expected: alloc::format!("at least one value of `{key}`"),
            found: "[]".into(),
            suggestion: None,
        };
        reader.report(value.span().start, problem);
    }
    values
}

/// A date, which begins at midnight in UTC, or a date and a time with an offset.
fn moment(reader: &mut Reader<'_>, value: &Value<'_>) -> Option<Timestamp> {
    const EXPECTED: &str = "a date as 2030-01-31, or with time and offset as 2030-01-31T09:00:00Z";

    let DeValue::Datetime(moment) = value.get_ref() else {
        reader.wrong_type(value, EXPECTED);
        return None;
    };
    let seconds = moment.date.and_then(|date| {
        let days = days_of(date.year.into(), date.month.into(), date.day.into())?;
        let (of_day, offset) = match (moment.time, moment.offset) {
            (None, None) => (0, 0),
            (Some(time), Some(offset)) => {
                let minutes =
                    i64::from(time.hour).checked_mul(60)?.checked_add(time.minute.into())?;
                let seconds = i64::from(time.second.unwrap_or(0));
                let offset = minutes_of(&offset.to_string())?;
                (minutes.checked_mul(60)?.checked_add(seconds)?, offset.checked_mul(60)?)
            }
            _ => return None,
        };
        days.checked_mul(86_400)?.checked_add(of_day)?.checked_sub(offset)
    });
    let until = seconds.and_then(|seconds| u64::try_from(seconds).ok());
    if until.is_none() {
        reader.unexpected(value.span().start, EXPECTED, &moment.to_string());
    }
    until.map(|seconds| Timestamp::from_unix(Duration::from_secs(seconds)))
}

/// Minutes of an offset as it is written: `Z`, `+02:00`.
fn minutes_of(offset: &str) -> Option<i64> {
    if offset.eq_ignore_ascii_case("z") {
        return Some(0);
    }
    let (sign, rest) = offset.split_at_checked(1)?;
    let (hours, minutes) = rest.split_once(':')?;
    let (hours, minutes): (i64, i64) = (hours.parse().ok()?, minutes.parse().ok()?);
    let all = hours.checked_mul(60)?.checked_add(minutes)?;
    if sign == "-" { all.checked_neg() } else { Some(all) }
}

/// Days from 1970-01-01 to a day of the Gregorian calendar, which exists.
fn days_of(year: i64, month: i64, day: i64) -> Option<i64> {
    // Years from March to February, so that the odd day is the last.
    let is_early = month <= 2;
    let year = if is_early { year.checked_sub(1)? } else { year };
    let month = month.checked_add(if is_early { 9 } else { -3 })?;
    let leaps = year
        .checked_div(4)?
        .checked_sub(year.checked_div(100)?)?
        .checked_add(year.checked_div(400)?)?;
    let of_year = month.checked_mul(153)?.checked_add(2)?.checked_div(5)?.checked_add(day)?;
    year.checked_mul(365)?.checked_add(leaps)?.checked_add(of_year)?.checked_sub(719_469)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn days_since_the_epoch() {
        for ((year, month, day), days) in [
            ((1970, 1, 1), 0),
            ((1970, 3, 1), 59),
            ((2000, 2, 29), 11_016),
            ((2000, 3, 1), 11_017),
            ((2024, 12, 31), 20_088),
            ((2100, 3, 1), 47_541),
        ] {
            assert_eq!(days_of(year, month, day), Some(days), "{year}-{month}-{day}");
        }
    }

    #[test]
    fn when_discovery_ends() {
        for (text, seconds) in [
            ("2024-12-31", 1_735_603_200),
            ("2024-12-31T01:02:03Z", 1_735_603_200 + 3_723),
            ("2024-12-31T01:00:00+02:00", 1_735_603_200 - 3_600),
        ] {
            let text = alloc::format!("default = \"drop\"\ndiscover-until = {text}");
            let lists = DomainLists::from_toml(&text).unwrap();
            let at = |seconds| Timestamp::from_unix(Duration::from_secs(seconds));
            assert!(lists.discovers(at(seconds - 1)) && !lists.discovers(at(seconds)), "{text}");
        }
    }

    #[test]
    fn mistakes_are_told() {
        for (text, expected) in [
            ("", "line 1, column 1: expected `default` here, found none"),
            (
                "default = \"rejct\"",
                "line 1, column 11: expected `allow`, `alert`, `drop` or `reject`, found `rejct`; did you mean `reject`?",
            ),
            (
                "default = \"drop\"\nquick = \"drop\"",
                "line 2, column 1: expected one of `default`, `list`, `quic`, `ech`, `nameless`, `discover-until`, `except-ports` or `remember`, found `quick`; did you mean `quic`?",
            ),
            (
                "default = \"drop\"\ndiscover-until = 2030-01-31T09:00:00",
                "line 2, column 18: expected a date as 2030-01-31, or with time and offset as 2030-01-31T09:00:00Z, found `2030-01-31T09:00:00`",
            ),
            (
                "default = \"drop\"\nexcept-ports = [22, 70000]",
                "line 2, column 21: expected a number from 0 to 65535, found `70000`",
            ),
            (
                "default = \"drop\"\n[[list]]\naction = \"allow\"",
                "line 2, column 1: expected `names` here, found none",
            ),
            (
                "default = \"drop\"\n[[list]]\naction = \"allow\"\nnames = [\"a.example\", \"bücher.example\"]",
                "line 4, column 23: expected ASCII: write the A-label, which begins with `xn--`, found `bücher.example`",
            ),
            (
                "default = \"drop\"\n[[list]]\naction = \"allow\"\nnames = [\"https://a.example/\"]",
                "line 4, column 10: expected letters, digits, hyphens and underscores between dots, found `https://a.example/`; did you mean `a.example`?",
            ),
            (
                "default = \"drop\"\n[[list]]\naction = \"allow\"\nover = [\"tsl\"]\nnames = \"a\"",
                "line 4, column 9: expected `tls`, `http` or `dns`, found `tsl`; did you mean `tls`?",
            ),
            (
                "default = \"drop\"\n[[list]]\naction = \"allow\"\nnames = []",
                "line 4, column 9: expected at least one value of `names`, found `[]`",
            ),
        ] {
            assert_eq!(DomainLists::from_toml(text).unwrap_err().to_string(), expected, "{text}");
        }
    }
}
