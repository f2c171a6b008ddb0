//! What a configuration may hold, as a JSON schema: editors complete keys and words by it, and mark what is none.
//!
//! The keys and their values are described here, and read elsewhere. A test goes through all of them, so that neither has
//! what the other has not: which keys there are, which are required, words, types, and the ends of ranges.

mod json;
mod operation;
mod rules;
#[cfg(test)]
mod tests;

use alloc::boxed::Box;
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

use json::Json;

/// A JSON schema (draft 7) of what [`Config::parse`](super::Config::parse) reads, as far as such a schema can say it: lines of
/// text, the same each time.
///
/// It describes what this build reads: tables of features that are not built in are not there.
///
/// ```
/// let schema = gwlb_geneve::config::schema();
/// assert!(schema.contains("http://json-schema.org/draft-07/schema#") && schema.contains("malformed-envelope"));
/// ```
pub fn schema() -> String {
    let mut members = Vec::from([
        ("$schema", Json::text("http://json-schema.org/draft-07/schema#")),
        ("title", Json::text("An appliance behind a gateway load balancer")),
    ]);
    members.extend(table(&operation::keys()));
    let mut text = format!("{}", Json::Object(members));
    text.push('\n');
    text
}

/// A key of a table.
struct Key {
    name: &'static str,
    /// What it is for, in a line.
    about: &'static str,
    takes: Takes,
    is_required: bool,
}

impl Key {
    fn new(name: &'static str, takes: Takes, about: &'static str) -> Self {
        Self { name, about, takes, is_required: false }
    }

    fn required(name: &'static str, takes: Takes, about: &'static str) -> Self {
        Self { is_required: true, ..Self::new(name, takes, about) }
    }
}

/// What a value may be.
enum Takes {
    Truth,
    /// A text that means something, like this one.
    Text {
        example: &'static str,
    },
    /// A text that means what whoever wrote it likes.
    AnyText,
    /// A file that there must be.
    #[cfg(feature = "signatures")]
    File,
    /// A file of public keys that there must be.
    #[cfg(feature = "jwt-keys")]
    Keys,
    Words(Vec<&'static str>),
    Number(u64, u64),
    /// Seconds up to so many, with fractions.
    Seconds(u64),
    /// A date of TOML, perhaps with a time.
    #[cfg(feature = "protocols")]
    Moment,
    Table(Vec<Key>),
    /// A table whose keys have names of their own, like this one.
    Named {
        pattern: &'static str,
        example: &'static str,
        takes: Box<Takes>,
    },
    /// A list.
    List(Box<Takes>),
    /// One, or a list, of at least one.
    Many(Box<Takes>),
    /// One, or a list, which may be empty.
    ManyOrNone(Box<Takes>),
    Either(Vec<Takes>),
}

impl Takes {
    fn words<T, const N: usize>(names: [(&'static str, T); N]) -> Self {
        Self::Words(names.into_iter().map(|(name, _)| name).collect())
    }

    fn text(example: &'static str) -> Self {
        Self::Text { example }
    }

    fn many(self) -> Self {
        Self::Many(Box::new(self))
    }

    fn many_or_none(self) -> Self {
        Self::ManyOrNone(Box::new(self))
    }

    fn list(self) -> Self {
        Self::List(Box::new(self))
    }

    fn members(&self) -> Vec<(&'static str, Json)> {
        let list = |takes: &Self, least: u64| {
            let items = Json::Object(takes.members());
            Vec::from([
                ("type", Json::text("array")),
                ("items", items),
                ("minItems", Json::Number(least)),
            ])
        };
        let one_or = |takes: &Self, least: u64| {
            let both = [Json::Object(takes.members()), Json::Object(list(takes, least))];
            Vec::from([("anyOf", Json::List(both.into()))])
        };
        match self {
            Self::Truth => Vec::from([("type", Json::text("boolean"))]),
            Self::AnyText => Vec::from([("type", Json::text("string"))]),
            #[cfg(feature = "signatures")]
            Self::File => Vec::from([("type", Json::text("string"))]),
            #[cfg(feature = "jwt-keys")]
            Self::Keys => Vec::from([("type", Json::text("string"))]),
            Self::Text { example } => {
                let examples = Json::List([Json::text(*example)].into());
                Vec::from([("type", Json::text("string")), ("examples", examples)])
            }
            Self::Words(words) => {
                let words = words.iter().map(|word| Json::text(*word)).collect();
                Vec::from([("enum", Json::List(words))])
            }
            Self::Number(least, most) => Vec::from([
                ("type", Json::text("integer")),
                ("minimum", Json::Number(*least)),
                ("maximum", Json::Number(*most)),
            ]),
            Self::Seconds(most) => Vec::from([
                ("type", Json::text("number")),
                ("minimum", Json::Number(0)),
                ("maximum", Json::Number(*most)),
            ]),
            #[cfg(feature = "protocols")]
            Self::Moment => {
                let form = |name| {
                    let members = [("type", Json::text("string")), ("format", Json::text(name))];
                    Json::Object(members.into())
                };
                Vec::from([("anyOf", Json::List([form("date-time"), form("date")].into()))])
            }
            Self::Table(keys) => table(keys),
            Self::Named { pattern, example, takes } => {
                let named = Json::Object([(*pattern, Json::Object(takes.members()))].into());
                let examples = Json::List([Json::text(*example)].into());
                Vec::from([
                    ("type", Json::text("object")),
                    ("propertyNames", Json::Object([("examples", examples)].into())),
                    ("patternProperties", named),
                    ("additionalProperties", Json::Truth(false)),
                ])
            }
            Self::List(takes) => list(takes, 0),
            Self::Many(takes) => one_or(takes, 1),
            Self::ManyOrNone(takes) => one_or(takes, 0),
            Self::Either(kinds) => {
                let kinds = kinds.iter().map(|takes| Json::Object(takes.members())).collect();
                Vec::from([("anyOf", Json::List(kinds))])
            }
        }
    }
}

fn table(keys: &[Key]) -> Vec<(&'static str, Json)> {
    let property = |key: &Key| {
        let mut members = Vec::from([("description", Json::text(key.about))]);
        members.extend(key.takes.members());
        (key.name, Json::Object(members))
    };
    let mut members = Vec::from([
        ("type", Json::text("object")),
        ("properties", Json::Object(keys.iter().map(property).collect())),
        ("additionalProperties", Json::Truth(false)),
    ]);
    let required: Vec<_> = keys.iter().filter(|key| key.is_required).collect();
    if !required.is_empty() {
        let names = required.iter().map(|key| Json::text(key.name)).collect();
        members.push(("required", Json::List(names)));
    }
    members
}
