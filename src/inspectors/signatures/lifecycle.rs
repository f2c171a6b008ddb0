use alloc::borrow::{Cow, ToOwned};
use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;

use regex::bytes::{Regex, RegexBuilder};

use super::parser::{self, value::quoted};
use super::{Place, RuleError, RuleProblem};

/// Which rules of the files are loaded, and what is changed in them before: the files with which rule managers keep changes apart from
/// rules that others write.
///
/// A line of such a file says which rules are meant:
///
/// | line | rules |
/// |---|---|
/// | `2019401`, `1:2019401`, several with commas | those of these numbers |
/// | `re:heartbleed` | those in whose text a regular expression finds something, whatever the case |
/// | `group:emerging-dos.rules`, `group:emerging-dos` | those of a file |
/// | `filename:*/emerging-*.rules` | those of files whose names are like this |
/// | `metadata:signature_severity Major` | those with this in their `metadata` |
/// | `*` | all |
///
/// Empty lines and those that begin with `#` say nothing. For each rule, first [`disable`](Self::disable) counts, then
/// [`enable`](Self::enable), then [`modify`](Self::modify), then [`drop`](Self::drop).
///
/// ```
/// use gwlb_geneve::inspectors::signatures::{Lifecycle, Loader, RuleAction, Variables};
///
/// let mut lifecycle = Lifecycle::default();
/// lifecycle.disable("disable.conf", "group:noise");
/// lifecycle.enable("enable.conf", "re:ping of death");
/// lifecycle.drop("drop.conf", "1:3");
/// lifecycle.modify("modify.conf", r#"3 "seconds \d+" "seconds 60""#);
/// let mut loader = Loader::new(Variables::default()).lifecycle(lifecycle);
/// loader.add("noise.rules", b"alert icmp any any -> any any (itype:8; sid:1;)
/// #alert icmp any any -> any any (msg:\"Ping of Death\"; dsize:>1400; sid:2;)");
/// loader.add("more.rules", b"alert tcp any any -> any 22 (flags:S; detection_filter:track by_src, count 9, seconds 5; sid:3;)");
/// let rules = loader.finish();
/// assert_eq!(rules.rules().iter().map(|rule| rule.id.sid).collect::<Vec<_>>(), [2, 3]);
/// assert_eq!(rules.rules()[1].action, RuleAction::Drop);
/// assert_eq!(rules.rules()[1].detection_filter.map(|it| it.seconds.get()), Some(60));
/// ```
#[derive(Clone, Debug, Default)]
pub struct Lifecycle {
    disable: Vec<Matcher>,
    enable: Vec<Matcher>,
    modify: Vec<(Matcher, Regex, Vec<u8>)>,
    drop: Vec<Matcher>,
    errors: Vec<RuleError>,
}

#[derive(Clone, Debug)]
enum Matcher {
    All,
    /// `gid` and `sid`.
    Numbers(Vec<(u32, u32)>),
    Text(Regex),
    File(String),
    Path(String),
    Metadata(String, String),
}

impl Lifecycle {
    /// Takes the lines of a file that says which rules are not loaded.
    pub fn disable(&mut self, file: &str, text: &str) {
        let matchers = self.matchers(file, text);
        self.disable.extend(matchers);
    }

    /// Takes the lines of a file that says which rules are loaded, also where a `#` stands before them.
    pub fn enable(&mut self, file: &str, text: &str) {
        let matchers = self.matchers(file, text);
        self.enable.extend(matchers);
    }

    /// Takes the lines of a file that says which rules drop what they alert of. Those that tell nothing, as they only set bits, do not.
    pub fn drop(&mut self, file: &str, text: &str) {
        let matchers = self.matchers(file, text);
        self.drop.extend(matchers);
    }

    /// Takes the lines of a file that says what is replaced in which rules: behind what says which, a regular expression in quotes, and in
    /// quotes what takes the place of all that it finds, where `\1` is what its first group found. `modifysid` before and a `|`
    /// between are taken too.
    pub fn modify(&mut self, file: &str, text: &str) {
        for (number, line) in lines(text) {
            let line = line.strip_prefix("modifysid").map_or(line, str::trim_start);
            if let Err(problem) = self.modification(line) {
                self.errors.push(error(file, number, problem));
            }
        }
    }

    /// What is wrong with lines of these files, which are left out.
    pub fn errors(&self) -> &[RuleError] {
        &self.errors
    }

    fn matchers(&mut self, file: &str, text: &str) -> Vec<Matcher> {
        let mut matchers = Vec::new();
        for (number, line) in lines(text) {
            match Matcher::parse(line) {
                Ok(matcher) => matchers.push(matcher),
                Err(problem) => self.errors.push(error(file, number, problem)),
            }
        }
        matchers
    }

    fn modification(&mut self, line: &str) -> Result<(), RuleProblem> {
        let expected = "which rules, then two texts in quotes";
        let problem = || RuleProblem::Expected { expected: expected.into(), found: quoted(line) };
        if let Some(word) =
            ["metadata-add", "else-add"].iter().find(|word| line.starts_with(**word))
        {
            return Err(RuleProblem::Unsupported { found: (*word).into(), instead: None });
        }
        let (which, texts) = line.split_once('"').ok_or_else(problem)?;
        let texts = texts.trim_end().strip_suffix('"').ok_or_else(problem)?;
        let mut parts = texts.split('"');
        let (Some(from), Some(between), Some(to), None) =
            (parts.next(), parts.next(), parts.next(), parts.next())
        else {
            return Err(problem());
        };
        if !matches!(between.trim(), "" | "|") {
            return Err(problem());
        }
        let regex = expression(from, false)?;
        // What was found by the groups has other names here.
        let mut with = Vec::new();
        let mut rest = to.chars().peekable();
        while let Some(c) = rest.next() {
            match (c, rest.peek().and_then(|c| c.to_digit(10))) {
                ('\\', Some(digit)) => {
                    with.extend_from_slice(format!("${{{digit}}}").as_bytes());
                    rest.next();
                }
                ('$', _) => with.extend_from_slice(b"$$"),
                (c, _) => with.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes()),
            }
        }
        self.modify.push((Matcher::parse(which.trim())?, regex, with));
        Ok(())
    }

    /// The text of a rule as it is loaded, `None` where it is not.
    pub(super) fn apply<'a>(
        &self,
        file: &str,
        text: Cow<'a, str>,
        is_enabled: bool,
    ) -> Option<Cow<'a, str>> {
        let takes = |matchers: &[Matcher]| matchers.iter().any(|it| it.takes(file, &text));
        let is_enabled = is_enabled && !takes(&self.disable) || takes(&self.enable);
        if !is_enabled {
            return None;
        }
        let is_dropped = takes(&self.drop);
        let mut text = text;
        for (matcher, regex, with) in &self.modify {
            if matcher.takes(file, &text) {
                let changed = regex.replace_all(text.as_bytes(), &with[..]).into_owned();
                text = Cow::Owned(String::from_utf8_lossy(&changed).into_owned());
            }
        }
        if is_dropped && !text.contains("noalert;") {
            if let Some(rest) = text.strip_prefix("alert") {
                text = Cow::Owned(format!("drop{rest}"));
            }
        }
        Some(text)
    }
}

impl Matcher {
    fn parse(line: &str) -> Result<Self, RuleProblem> {
        if line == "*" {
            return Ok(Self::All);
        }
        if let Some(pattern) = line.strip_prefix("re:") {
            let pattern = pattern.trim();
            let pattern =
                pattern.strip_prefix('"').and_then(|it| it.strip_suffix('"')).unwrap_or(pattern);
            return Ok(Self::Text(expression(pattern, true)?));
        }
        if let Some(name) = line.strip_prefix("group:") {
            let name = name.trim();
            return Ok(Self::File(name.strip_suffix(".rules").unwrap_or(name).to_owned()));
        }
        if let Some(path) = line.strip_prefix("filename:") {
            return Ok(Self::Path(path.trim().to_owned()));
        }
        if let Some(pair) = line.strip_prefix("metadata:") {
            let pair = pair.trim();
            let (key, value) = pair.split_once(char::is_whitespace).unwrap_or((pair, ""));
            return Ok(Self::Metadata(key.to_owned(), value.trim().to_owned()));
        }
        let numbers = line.split(',').map(|part| {
            let (gid, sid) = part.split_once(':').unwrap_or(("1", part));
            Some((gid.trim().parse().ok()?, sid.trim().parse().ok()?))
        });
        numbers.collect::<Option<_>>().map(Self::Numbers).ok_or_else(|| RuleProblem::Expected {
            expected: "a sid, `gid:sid`, or `re:`, `group:`, `filename:` or `metadata:`".into(),
            found: quoted(line),
        })
    }

    fn takes(&self, file: &str, text: &str) -> bool {
        match self {
            Self::All => true,
            Self::Numbers(numbers) => parser::sid(text).is_some_and(|sid| {
                numbers.contains(&(parser::number(text, "gid").unwrap_or(1), sid))
            }),
            Self::Text(regex) => regex.is_match(text.as_bytes()),
            Self::File(name) => {
                let file = file.rsplit('/').next().unwrap_or(file);
                file.strip_suffix(".rules").unwrap_or(file) == name
            }
            Self::Path(pattern) => is_like(pattern.as_bytes(), file.as_bytes()),
            Self::Metadata(key, value) => {
                let options =
                    text.split(';').map(|option| option.rsplit('(').next().unwrap_or(option));
                let metadata = options.filter_map(|option| {
                    option.trim_start().strip_prefix("metadata")?.trim_start().strip_prefix(':')
                });
                metadata.flat_map(|pairs| pairs.split(',')).any(|pair| {
                    let pair = pair.trim();
                    let (found, is) = pair.split_once(char::is_whitespace).unwrap_or((pair, ""));
                    found.eq_ignore_ascii_case(key) && is.trim().eq_ignore_ascii_case(value)
                })
            }
        }
    }
}

fn expression(pattern: &str, ignores_case: bool) -> Result<Regex, RuleProblem> {
    let regex = RegexBuilder::new(pattern)
        .unicode(false)
        .case_insensitive(ignores_case)
        .size_limit(1 << 20)
        .build();
    regex.map_err(|error| RuleProblem::Expected {
        expected: format!(
            "a regular expression ({})",
            error.to_string().lines().last().unwrap_or_default()
        )
        .into(),
        found: quoted(pattern),
    })
}

/// With `*` for anything and `?` for one byte.
fn is_like(pattern: &[u8], text: &[u8]) -> bool {
    let (mut pattern, mut text) = (pattern, text);
    let mut again: Option<(&[u8], &[u8])> = None;
    loop {
        match (pattern.split_first(), text.split_first()) {
            (Some((b'*', after)), _) => {
                pattern = after;
                again = Some((after, text));
            }
            (Some((expected, after)), Some((found, rest)))
                if *expected == b'?' || expected == found =>
            {
                (pattern, text) = (after, rest);
            }
            (None, None) => return true,
            _ => match again {
                Some((after, [_, rest @ ..])) => {
                    (pattern, text) = (after, rest);
                    again = Some((after, rest));
                }
                _ => return false,
            },
        }
    }
}

/// Lines that say something, with their numbers.
pub(super) fn lines(text: &str) -> impl Iterator<Item = (usize, &str)> {
    let lines =
        text.lines().enumerate().map(|(number, line)| (number.saturating_add(1), line.trim()));
    lines.filter(|(_, line)| !line.is_empty() && !line.starts_with('#'))
}

pub(super) fn error(file: &str, line: usize, problem: RuleProblem) -> RuleError {
    let place = Place { file: file.into(), line, column: 1 };
    RuleError { place, sid: None, keyword: String::new(), problem }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::vec;

    const RULE: &str =
        "alert tcp any any -> any any (msg:\"Some Thing\"; metadata:a b, Severity Major; sid:7;)";

    fn takes(line: &str) -> bool {
        Matcher::parse(line).unwrap().takes("rules/emerging-dos.rules", RULE)
    }

    #[test]
    fn which_rules() {
        for line in [
            "7",
            "1:7",
            "6, 1:7",
            "re:some th.ng",
            "re:\"thing\"",
            "group:emerging-dos",
            "group:emerging-dos.rules",
            "filename:*/emerging-*.rules",
            "filename:rules/emerging-???.rules",
            "metadata:severity major",
            "*",
        ] {
            assert!(takes(line), "{line}");
        }
        for line in [
            "8",
            "2:7",
            "re:nothing",
            "group:emerging",
            "filename:*.conf",
            "metadata:severity minor",
        ] {
            assert!(!takes(line), "{line}");
        }
    }

    #[test]
    fn lines_that_say_nothing() {
        let mut lifecycle = Lifecycle::default();
        lifecycle.enable("enable.conf", "# no\n\nseven\nre:(");
        lifecycle.modify("modify.conf", "7 \"a\"\n7 \"(?=a)\" \"b\"\nmetadata-add 7 \"a\" \"b\"");
        let errors: vec::Vec<_> = lifecycle.errors().iter().map(ToString::to_string).collect();
        assert_eq!(
            errors[0],
            "enable.conf:3:1: expected a sid, `gid:sid`, or `re:`, `group:`, `filename:` or `metadata:`, found `seven`"
        );
        assert!(
            errors[1].starts_with("enable.conf:4:1: expected a regular expression ("),
            "{errors:?}"
        );
        assert!(errors[3].contains("look-around"), "{errors:?}");
        assert_eq!(
            errors[4],
            "modify.conf:3:1: expected what is supported here, found `metadata-add`"
        );
    }

    #[test]
    fn changes() {
        let mut lifecycle = Lifecycle::default();
        lifecycle.modify("", "modifysid 7 \"(Some) (Thing)\" | \"\\2 $1 \\1\"");
        lifecycle.drop("", "re:thing");
        let changed = lifecycle.apply("", Cow::Borrowed(RULE), true).unwrap();
        assert!(
            changed.starts_with("drop tcp") && changed.contains("\"Thing $1 Some\""),
            "{changed}"
        );
        assert_eq!(lifecycle.apply("", Cow::Borrowed(RULE), false), None);
        let silent = "alert tcp any any -> any any (msg:\"thing\"; flowbits:noalert; sid:9;)";
        assert_eq!(lifecycle.apply("", Cow::Borrowed(silent), true).unwrap(), silent);
    }
}
