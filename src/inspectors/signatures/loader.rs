use alloc::borrow::{Cow, ToOwned};
use alloc::collections::BTreeMap;
use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::fmt;
use core::str::FromStr;

use super::line::{Line, Lines};
use super::parser::{self, Stop};
use super::problem::RuleProblem;
use super::{Header, Lifecycle, Place, Rule, RuleError, RuleId, Variables};

/// Rules that are loaded, each once, in the order in which they were read; and a report of those that were not.
///
/// ```
/// use gwlb_geneve::inspectors::signatures::{RuleSet, Variables};
///
/// let rules = RuleSet::parse(
///     br#"
/// alert http $HOME_NET any -> any any (msg:"One"; http.uri; content:"/one"; sid:1; rev:1;)
/// alert http $HOME_NET any -> any any (msg:"Two"; filemagic:"PE32"; sid:2;)
/// "#,
///     &Variables::default(),
/// );
/// assert_eq!(rules.rules().len(), 1);
/// assert_eq!(
///     rules.report().errors()[0].to_string(),
///     "line 3, column 49: sid 2: filemagic: expected what is supported here, found `filemagic`"
/// );
/// ```
#[derive(Clone, Debug, Default)]
pub struct RuleSet {
    rules: Vec<Rule>,
    places: Vec<Place>,
    report: Report,
}

impl RuleSet {
    /// The rules of a text: one a line, where a line that ends in a backslash goes on in the next one. Empty lines and those that begin
    /// with `#` are no rules, but for rules that are only disabled so, which are counted.
    ///
    /// Text that is not UTF-8 is taken for Latin-1, rule by rule, and patterns are the bytes that are there.
    pub fn parse(text: &[u8], variables: &Variables) -> Self {
        let mut loader = Loader::new(variables.clone());
        loader.add("", text);
        loader.finish()
    }

    /// The rules, in their order.
    pub fn rules(&self) -> &[Rule] {
        &self.rules
    }

    /// Where each of the [`rules`](Self::rules) stands.
    pub fn places(&self) -> &[Place] {
        &self.places
    }

    /// What was not loaded, and why.
    pub const fn report(&self) -> &Report {
        &self.report
    }

    /// The rules alone.
    pub fn into_rules(self) -> Vec<Rule> {
        self.rules
    }
}

/// What became of the rules of some files.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Report {
    loaded: usize,
    disabled: usize,
    errors: Vec<RuleError>,
}

impl Report {
    /// How many rules are loaded.
    pub const fn loaded(&self) -> usize {
        self.loaded
    }

    /// How many are not, as a `#` stands before them, or as a [`Lifecycle`] says so.
    pub const fn disabled(&self) -> usize {
        self.disabled
    }

    /// Those that are not, as something is wrong with them, in the order in which they were read.
    pub fn errors(&self) -> &[RuleError] {
        &self.errors
    }

    /// How many rules each keyword stopped; by their number, the largest first. An empty keyword stands for what is wrong with a rule as
    /// a whole.
    pub fn by_keyword(&self) -> Vec<(&str, usize)> {
        let mut counts = BTreeMap::<&str, usize>::new();
        for error in &self.errors {
            let count = counts.entry(&error.keyword).or_default();
            *count = count.saturating_add(1);
        }
        let mut counts: Vec<_> = counts.into_iter().collect();
        counts.sort_by_key(|(_, count)| core::cmp::Reverse(*count));
        counts
    }
}

impl fmt::Display for Report {
    /// Some lines: how many rules were loaded, what stopped the others, and each of these.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (loaded, errors, disabled) = (self.loaded, self.errors.len(), self.disabled);
        writeln!(f, "{loaded} rules loaded, {errors} not loaded, {disabled} disabled")?;
        for (keyword, count) in self.by_keyword() {
            let keyword = if keyword.is_empty() { "(rule)" } else { keyword };
            writeln!(f, "{count:>7} {keyword}")?;
        }
        self.errors.iter().try_for_each(|error| writeln!(f, "{error}"))
    }
}

/// Loads rules from several texts into one set.
///
/// ```
/// use gwlb_geneve::inspectors::signatures::{Loader, Variables};
///
/// let mut loader = Loader::new(Variables::default());
/// loader.add("local.rules", b"alert icmp any any -> any any (itype:8; sid:1; rev:1;)");
/// loader.add("newer.rules", b"alert icmp any any -> any any (itype:0; sid:1; rev:2;)");
/// let rules = loader.finish();
/// assert_eq!(rules.rules()[0].id.rev, 2);
/// assert_eq!(
///     rules.report().errors()[0].to_string(),
///     "local.rules:1:1: sid 1: sid: expected each sid once, found revision 1 beside 2"
/// );
/// ```
#[derive(Debug)]
pub struct Loader {
    variables: Variables,
    lifecycle: Option<Lifecycle>,
    rules: Vec<Option<(Rule, Place)>>,
    known: BTreeMap<(u32, u32), usize>,
    report: Report,
}

impl Loader {
    /// For rules in which variables mean this.
    pub const fn new(variables: Variables) -> Self {
        let report = Report { loaded: 0, disabled: 0, errors: Vec::new() };
        Self { variables, lifecycle: None, rules: Vec::new(), known: BTreeMap::new(), report }
    }

    /// With what is said about which of them are loaded, and how they are changed before.
    #[must_use]
    pub fn lifecycle(self, lifecycle: Lifecycle) -> Self {
        Self { lifecycle: Some(lifecycle), ..self }
    }

    /// Takes the rules of a text. The name is for places. What is no text at all is one error.
    pub fn add(&mut self, file: &str, text: &[u8]) {
        let file: Arc<str> = file.into();
        if let Some(found) = no_text(text) {
            self.report.errors.push(RuleError {
                place: Place { file, line: 1, column: 1 },
                sid: None,
                keyword: String::new(),
                problem: RuleProblem::NoText { found },
            });
            return;
        }
        for line in Lines::new(text) {
            self.line(&file, &line);
        }
    }

    /// Takes a rule that was built in code, where it could have been written too. What is wrong with it stands in the report, with the
    /// column of the rule as it is printed.
    pub fn add_rule(&mut self, rule: &Rule) {
        self.add("", alloc::format!("{rule}").as_bytes());
    }

    fn line(&mut self, file: &Arc<str>, line: &Line<'_>) {
        let comment = line.text.strip_prefix('#');
        let comment = comment.map(|text| text.trim_start_matches(['#', ' ', '\t']));
        if comment.is_some_and(|text| !parser::is_like_a_rule(text)) {
            return;
        }
        let text = Cow::Borrowed(comment.unwrap_or(&line.text));
        let text = match &self.lifecycle {
            Some(lifecycle) => lifecycle.apply(file, text, comment.is_none()),
            None => Some(text).filter(|_| comment.is_none()),
        };
        let Some(text) = text else {
            self.report.disabled = self.report.disabled.saturating_add(1);
            return;
        };
        // As far into the line as the text begins.
        let before = line.text.len().saturating_sub(comment.map_or(line.text.len(), str::len));
        let place = |offset| {
            let (line, column) = line.place(before.saturating_add(offset));
            Place { file: Arc::clone(file), line, column }
        };
        let checked = parser::rule(&text, line.is_latin_1).and_then(|rule| {
            self.check(&rule)?;
            Ok(rule)
        });
        match checked {
            Ok(rule) => self.take(rule, place(0)),
            Err(Stop { offset, keyword, problem }) => {
                let sid = parser::sid(&text);
                self.report.errors.push(RuleError { place: place(offset), sid, keyword, problem });
            }
        }
    }

    /// Whether the header names no variable that is not there, and something is left of it.
    fn check(&self, rule: &Rule) -> Result<(), Stop> {
        let Header { source, destination, .. } = &rule.header;
        for endpoint in [source, destination] {
            let addresses = endpoint.addresses.resolve(&self.variables).map(|_| ());
            addresses.and(endpoint.ports.resolve(&self.variables).map(|_| ())).map_err(
                |error| Stop {
                    offset: 0,
                    keyword: String::new(),
                    problem: RuleProblem::Variable(error),
                },
            )?;
        }
        Ok(())
    }

    fn take(&mut self, rule: Rule, place: Place) {
        let number = self.rules.len();
        let id = rule.id;
        let error = |id: RuleId, kept: RuleId, place: Place| RuleError {
            place,
            sid: Some(id.sid),
            keyword: "sid".to_owned(),
            problem: RuleProblem::Duplicate { id, kept: kept.rev },
        };
        let known = self.known.get(&(id.gid, id.sid)).copied();
        if let Some(slot) = known.and_then(|known| self.rules.get_mut(known)) {
            if let Some((old, old_place)) = slot {
                if old.id.rev >= id.rev {
                    self.report.errors.push(error(id, old.id, place));
                    return;
                }
                self.report.errors.push(error(old.id, id, old_place.clone()));
            }
            *slot = None;
        }
        self.known.insert((id.gid, id.sid), number);
        self.rules.push(Some((rule, place)));
    }

    /// The rules that there are, and the report.
    pub fn finish(self) -> RuleSet {
        let (rules, places): (Vec<_>, Vec<_>) = self.rules.into_iter().flatten().unzip();
        let report = Report { loaded: rules.len(), ..self.report };
        RuleSet { rules, places, report }
    }
}

/// What a file is that has no rules in it as text, by how it begins. A text that was torn off may end in zeros.
fn no_text(bytes: &[u8]) -> Option<&'static str> {
    const BEGINNING: usize = 1024;

    let begins = bytes.get(..BEGINNING).unwrap_or(bytes);
    match begins {
        [0x1f, 0x8b, ..] => Some("what gzip has compressed"),
        [b'P', b'K', 3, 4, ..] => Some("a ZIP archive"),
        [0xff, 0xfe, ..] | [0xfe, 0xff, ..] => Some("UTF-16: save it as UTF-8"),
        _ if begins.contains(&0) => Some("binary data"),
        _ => None,
    }
}

impl FromStr for Rule {
    type Err = RuleError;

    fn from_str(text: &str) -> Result<Self, RuleError> {
        let start = text.trim_start();
        let before = text.len().saturating_sub(start.len());
        parser::rule(start, false).map_err(|stop| error(text, before, stop))
    }
}

impl FromStr for Header {
    type Err = RuleError;

    /// What stands between a rule's action and its options.
    fn from_str(text: &str) -> Result<Self, RuleError> {
        parser::header(text).map_err(|stop| error(text, 0, stop))
    }
}

fn error(text: &str, before: usize, stop: Stop) -> RuleError {
    let part = text.get(..stop.offset.saturating_add(before)).unwrap_or_default();
    let line = part.matches('\n').count().saturating_add(1);
    let last = part.rsplit('\n').next().unwrap_or_default();
    let column = last.chars().count().saturating_add(1);
    RuleError {
        place: Place { file: "".into(), line, column },
        sid: parser::sid(text),
        keyword: stop.keyword,
        problem: stop.problem,
    }
}
