use alloc::borrow::ToOwned;
use alloc::collections::BTreeMap;
use alloc::string::String;
use alloc::vec::Vec;

use super::lifecycle::{error, lines};
use super::parser::value::quoted;
use super::{Reference, RuleError, RuleProblem};

/// What a `classtype` means: the lines of a `classification.config`, `config classification: short-name,What it says,1`.
///
/// ```
/// use gwlb_geneve::inspectors::signatures::Classes;
///
/// let (classes, errors) =
///     Classes::parse("", "config classification: web-attack,Web Application Attack,1");
/// assert!(errors.is_empty());
/// assert_eq!(classes.get("web-attack"), Some(("Web Application Attack", 1)));
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Classes(BTreeMap<String, (String, u8)>);

impl Classes {
    /// The lines of a file, and what is wrong with those that are left out. The name is for places.
    pub fn parse(file: &str, text: &str) -> (Self, Vec<RuleError>) {
        let (mut classes, mut errors) = (Self::default(), Vec::new());
        for (number, line) in lines(text) {
            match class(line) {
                Some((name, description, priority)) => {
                    classes.0.insert(name.to_owned(), (description.to_owned(), priority));
                }
                None => errors.push(error(
                    file,
                    number,
                    RuleProblem::Expected {
                        expected:
                            "`config classification:` and a name, a text and a number from 1 to 255"
                                .into(),
                        found: quoted(line),
                    },
                )),
            }
        }
        (classes, errors)
    }

    /// What a class says, and the priority of its rules.
    pub fn get(&self, name: &str) -> Option<(&str, u8)> {
        self.0.get(name).map(|(description, priority)| (description.as_str(), *priority))
    }

    /// Each by its name.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str, u8)> {
        self.0.iter().map(|(name, (text, priority))| (name.as_str(), text.as_str(), *priority))
    }
}

fn class(line: &str) -> Option<(&str, &str, u8)> {
    let rest = line.strip_prefix("config")?.trim_start().strip_prefix("classification:")?;
    let (name, rest) = rest.split_once(',')?;
    let (description, priority) = rest.rsplit_once(',')?;
    let priority = priority.trim().parse().ok().filter(|priority| *priority > 0)?;
    let name = name.trim();
    (!name.is_empty()).then_some((name, description.trim(), priority))
}

/// Where one finds what a `reference` names: the lines of a `reference.config`, `config reference: cve https://…/`.
///
/// ```
/// use gwlb_geneve::inspectors::signatures::{Reference, ReferenceSystems};
///
/// let (systems, _) = ReferenceSystems::parse("", "config reference: cve https://cve.example/CVE-");
/// let reference = Reference { system: "cve".into(), id: "2021-44228".into() };
/// assert_eq!(systems.url(&reference).as_deref(), Some("https://cve.example/CVE-2021-44228"));
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ReferenceSystems(BTreeMap<String, String>);

impl ReferenceSystems {
    /// The lines of a file, and what is wrong with those that are left out. The name is for places.
    pub fn parse(file: &str, text: &str) -> (Self, Vec<RuleError>) {
        let (mut systems, mut errors) = (Self::default(), Vec::new());
        for (number, line) in lines(text) {
            let rest = line.strip_prefix("config").map(str::trim_start);
            let rest = rest.and_then(|rest| rest.strip_prefix("reference:")).map(str::trim);
            match rest.and_then(|rest| rest.split_once(char::is_whitespace)) {
                Some((name, url)) => {
                    systems.0.insert(name.to_ascii_lowercase(), url.trim().to_owned());
                }
                None => errors.push(error(
                    file,
                    number,
                    RuleProblem::Expected {
                        expected: "`config reference:` and a name and a URL".into(),
                        found: quoted(line),
                    },
                )),
            }
        }
        (systems, errors)
    }

    /// Where one finds it, where its system is known.
    pub fn url(&self, reference: &Reference) -> Option<String> {
        let mut url = self.0.get(&reference.system.to_ascii_lowercase())?.clone();
        url.push_str(&reference.id);
        Some(url)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::string::ToString;

    #[test]
    fn what_is_wrong_is_told_and_the_rest_is_there() {
        let text = "# short name, text, priority\nconfig classification: a, One, two, 2\nconfig classification: b,0\n";
        let (classes, errors) = Classes::parse("classification.config", text);
        assert_eq!(classes.iter().collect::<std::vec::Vec<_>>(), [("a", "One, two", 2)]);
        assert_eq!(
            errors[0].to_string(),
            "classification.config:3:1: expected `config classification:` and a name, a text and a number from 1 to 255, \
             found `config classification: b,0`"
        );
        let (systems, errors) =
            ReferenceSystems::parse("", "config reference: url http://\nreference: x");
        assert_eq!(errors.len(), 1);
        let some = Reference { system: "URL".into(), id: "a.example".into() };
        assert_eq!(systems.url(&some).as_deref(), Some("http://a.example"));
    }
}
