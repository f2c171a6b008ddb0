//! The schema and the reader know the same.

use alloc::collections::BTreeSet;
use alloc::string::ToString;

use super::*;
use crate::config::{Config, ConfigProblem};

/// Puts the keys of a table, with commas between, into a document in which all that is required is there.
type Document<'a> = &'a dyn Fn(&str) -> String;

#[test]
fn what_the_schema_says_is_what_is_read() {
    let mut checked = 0;
    table_is_read(&operation::keys(), &|keys| keys.into(), &mut checked);
    assert!(checked > 1_000, "only {checked} values were tried");
}

fn table_is_read(keys: &[Key], document: Document<'_>, checked: &mut usize) {
    // Which keys there are.
    let with_all_required = others(keys, "");
    let errors = Config::parse(&document(&(with_all_required + "no-such-key = 1"))).unwrap_err();
    let told = errors.errors().iter().find_map(|error| match &error.problem {
        ConfigProblem::Key { expected, found, .. } if found == "no-such-key" => Some(expected),
        _ => None,
    });
    assert_eq!(names(told.unwrap()), keys.iter().map(|key| key.name).collect(), "{errors}");

    for key in keys {
        // Which are required: those before it are as they stand here, so that exactly this one is missing.
        let without = others(keys, key.name);
        let read = Config::parse(&document(without.trim_end_matches(", ")));
        let is_missed = read.as_ref().is_err_and(|errors| errors.to_string().contains(key.name));
        assert_eq!(is_missed, key.is_required, "{}: {read:?}", key.name);

        value_is_read(
            &key.takes,
            &|value| document(&format!("{without}{} = {value}", key.name)),
            checked,
        );
    }
}

/// The required keys but for one.
fn others(keys: &[Key], but: &str) -> String {
    let others = keys.iter().filter(|key| key.is_required && key.name != but);
    others.map(|key| format!("{} = {}, ", key.name, sample(&key.takes))).collect()
}

fn value_is_read(takes: &Takes, document: Document<'_>, checked: &mut usize) {
    for value in right(takes) {
        let text = document(&value);
        let read = Config::parse(&text);
        assert!(read.is_ok(), "{text}\n{}", read.unwrap_err());
        *checked += 1;
    }
    for value in wrong(takes) {
        let text = document(&value);
        assert!(Config::parse(&text).is_err(), "{text}");
        *checked += 1;
    }
    match takes {
        Takes::Words(words) => {
            let errors = Config::parse(&document("\"no-such-word\"")).unwrap_err().to_string();
            let (_, told) = errors.split_once("expected ").unwrap();
            let (told, _) = told.split_once(", found").unwrap();
            assert_eq!(names(told), words.iter().copied().collect(), "{errors}");
        }
        Takes::Table(keys) => {
            table_is_read(keys, &|keys| document(&format!("{{ {keys} }}")), checked);
        }
        Takes::Named { example, takes, .. } => {
            let named = |value: &str| document(&format!("{{ \"{example}\" = {value} }}"));
            value_is_read(takes, &named, checked);
        }
        Takes::List(takes) | Takes::Many(takes) | Takes::ManyOrNone(takes) => {
            value_is_read(takes, &|value| document(&format!("[{value}]")), checked);
            if !matches!(takes.as_ref(), Takes::Table(_)) {
                let twice = |value: &str| document(&format!("[{}, {value}]", sample(takes)));
                value_is_read(takes, &twice, checked);
            }
        }
        Takes::Either(kinds) => {
            for kind in kinds {
                if let Takes::Table(keys) = kind {
                    table_is_read(keys, &|keys| document(&format!("{{ {keys} }}")), checked);
                }
            }
        }
        _ => {}
    }
}

/// The words in `` `a`, `b` or `c` ``.
fn names(told: &str) -> BTreeSet<&str> {
    told.split('`').skip(1).step_by(2).collect()
}

fn sample(takes: &Takes) -> String {
    right(takes).into_iter().next().unwrap()
}

/// Values that are right, among them those at the ends.
fn right(takes: &Takes) -> Vec<String> {
    match takes {
        Takes::Truth => Vec::from(["true", "false"].map(String::from)),
        Takes::Text { example } => Vec::from([format!("\"{example}\"")]),
        Takes::AnyText => Vec::from([String::from("\"any text\"")]),
        #[cfg(feature = "signatures")]
        Takes::File => Vec::from([String::from("\"/dev/null\"")]),
        #[cfg(feature = "jwt-keys")]
        Takes::Keys => {
            Vec::from(["jwks.json", "rsa.pem", "ec.pem"].map(|it| format!("\"tests/keys/{it}\"")))
        }
        Takes::Words(words) => words.iter().map(|word| format!("\"{word}\"")).collect(),
        Takes::Number(least, most) => Vec::from([least, most].map(ToString::to_string)),
        Takes::Seconds(most) => Vec::from(["0".into(), "0.5".into(), most.to_string()]),
        #[cfg(feature = "protocols")]
        Takes::Moment => Vec::from(["2030-01-31", "2030-01-31T09:00:00Z"].map(String::from)),
        Takes::Table(keys) => {
            Vec::from([format!("{{ {} }}", others(keys, "").trim_end_matches(", "))])
        }
        Takes::Named { .. } => Vec::from([String::from("{}")]),
        Takes::List(takes) => Vec::from([format!("[{}]", sample(takes))]),
        Takes::Many(takes) => Vec::from([sample(takes), format!("[{}]", sample(takes))]),
        Takes::ManyOrNone(takes) => {
            Vec::from([sample(takes), format!("[{}]", sample(takes)), "[]".into()])
        }
        Takes::Either(kinds) => kinds.iter().flat_map(right).collect(),
    }
}

/// Values that are wrong: of other types, and just beyond the ends.
fn wrong(takes: &Takes) -> Vec<String> {
    let all = ["true", "\"no such thing\"", "7", "7.5", "[1.5]", "{ a = 1 }", "07:32:00"];
    let is_possible = |value: &str| match takes {
        Takes::Truth => value == "true",
        Takes::AnyText => value.starts_with('"'),
        Takes::Number(least, most) => value == "7" && (*least..=*most).contains(&7),
        Takes::Seconds(_) => value == "7" || value == "7.5",
        // Which parts of it are right is another question.
        Takes::Either(kinds) => kinds.iter().any(|kind| match kind {
            Takes::Truth => value == "true",
            Takes::AnyText => value.starts_with('"'),
            Takes::Number(..) => value == "7",
            _ => false,
        }),
        Takes::Many(one) | Takes::ManyOrNone(one) => {
            !wrong(one).iter().any(|wrong| wrong == value) && value != "[1.5]"
        }
        _ => false,
    };
    let mut wrong: Vec<String> =
        all.into_iter().filter(|value| !is_possible(value)).map(String::from).collect();
    match takes {
        Takes::Number(least, most) => {
            wrong.extend(least.checked_sub(1).map(|below| below.to_string()));
            wrong.push((most + 1).to_string());
        }
        Takes::Seconds(most) => wrong.extend(["-1".into(), format!("{most}.5")]),
        Takes::Many(_) => wrong.push("[]".into()),
        Takes::Named { takes, .. } => {
            wrong.push(format!("{{ \"no such name\" = {} }}", sample(takes)));
        }
        _ => {}
    }
    wrong
}

/// It is JSON, as another reader sees it.
#[cfg(feature = "api")]
#[test]
fn it_is_json() {
    let schema: serde_json::Value = serde_json::from_str(&schema()).unwrap();
    let rule = &schema["properties"]["access"]["properties"]["rule"]["items"];
    assert_eq!(rule["properties"]["action"]["enum"][0], "allow");
    assert_eq!(rule["required"], serde_json::json!(["action"]));
    assert_eq!(schema["additionalProperties"], false);
}
