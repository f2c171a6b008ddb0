use alloc::borrow::ToOwned;
use alloc::string::String;
use alloc::vec::Vec;
use core::net::IpAddr;

use super::lifecycle::lines;
use super::parser::value::{Value, quoted};
use super::parser::{Stop, threshold};
use super::{
    AddressExpression, AddressSet, Place, RuleError, RuleId, RuleProblem, Threshold, Variables,
};

/// What is said about alerts beside the rules: the lines of a `threshold.config`.
///
/// | line | means |
/// |---|---|
/// | `suppress gen_id 1, sig_id 2002087` | no alert of this rule is told |
/// | `suppress gen_id 1, sig_id 2002087, track by_src, ip [192.0.2.0/24,$DNS_SERVERS]` | none of these sources; `by_dst`, `by_either` |
/// | `threshold gen_id 1, sig_id 0, type limit, track by_src, count 1, seconds 60` | as `threshold` in each of these rules, in place of theirs |
///
/// A number of 0 stands for all. What a rule does but telling it does all the same.
///
/// ```
/// use gwlb_geneve::inspectors::signatures::{AlertFilters, RuleId, Variables};
///
/// let text = "suppress gen_id 1, sig_id 7, track by_src, ip 192.0.2.0/24";
/// let (filters, errors) = AlertFilters::parse("", text, &Variables::default());
/// assert!(errors.is_empty());
/// let id = RuleId { gid: 1, sid: 7, rev: 3 };
/// assert!(filters.suppresses(id, [192, 0, 2, 1].into(), [10, 0, 0, 1].into()));
/// assert!(!filters.suppresses(id, [10, 0, 0, 1].into(), [192, 0, 2, 1].into()));
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AlertFilters {
    suppressions: Vec<Suppression>,
    thresholds: Vec<(Which, Threshold)>,
}

/// Alerts that are not told.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Suppression {
    which: Which,
    /// `None` for whatever addresses.
    addresses: Option<(End, AddressSet)>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Which {
    gid: u32,
    sid: u32,
}

impl Which {
    const fn takes(self, id: RuleId) -> bool {
        (self.gid == 0 || self.gid == id.gid) && (self.sid == 0 || self.sid == id.sid)
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum End {
    Source,
    Destination,
    Either,
}

impl AlertFilters {
    /// The lines of a file, and what is wrong with those that are left out. The name is for places.
    pub fn parse(file: &str, text: &str, variables: &Variables) -> (Self, Vec<RuleError>) {
        let (mut filters, mut errors) = (Self::default(), Vec::new());
        for (number, line) in lines(text) {
            if let Err(Stop { offset, keyword, problem }) = filters.line(line, variables) {
                let before = line.get(..offset).unwrap_or_default();
                let column = before.chars().count().saturating_add(1);
                let place = Place { file: file.into(), line: number, column };
                errors.push(RuleError { place, sid: None, keyword, problem });
            }
        }
        (filters, errors)
    }

    /// Whether an alert of a rule, from a source to a destination, is not told.
    pub fn suppresses(&self, id: RuleId, source: IpAddr, destination: IpAddr) -> bool {
        self.suppressions.iter().filter(|it| it.which.takes(id)).any(|it| match &it.addresses {
            None => true,
            Some((End::Source, set)) => set.contains(source),
            Some((End::Destination, set)) => set.contains(destination),
            Some((End::Either, set)) => set.contains(source) || set.contains(destination),
        })
    }

    /// Whether no alert of a rule is suppressed, so that nothing need be asked.
    pub fn leaves_alone(&self, id: RuleId) -> bool {
        !self.suppressions.iter().any(|it| it.which.takes(id))
    }

    /// What a rule's `threshold` is in place of its own. Of several lines that are for a rule the last counts.
    pub fn threshold(&self, id: RuleId) -> Option<Threshold> {
        let mut last = self.thresholds.iter().rev();
        last.find(|(which, _)| which.takes(id)).map(|(_, threshold)| *threshold)
    }

    fn line(&mut self, line: &str, variables: &Variables) -> Result<(), Stop> {
        let (name, rest) = Value::new(line, 0).word();
        let stop = |problem: RuleProblem| Stop { offset: 0, keyword: String::new(), problem };
        let mut numbers = (None, None);
        let (mut track, mut addresses) = (None, None);
        let mut others = String::new();
        // The list of addresses has commas too, and comes last.
        let (parts, list) = match rest.text.split_once("ip ").filter(|_| name.text == "suppress") {
            Some((parts, list)) => (parts.trim_end().trim_end_matches(','), Some(list.trim())),
            None => (rest.text, None),
        };
        for part in parts.split(',').map(str::trim) {
            let (word, argument) = part.split_once(char::is_whitespace).unwrap_or((part, ""));
            let number = || argument.trim().parse::<u32>().ok();
            match word {
                "gen_id" => numbers.0 = number(),
                "sig_id" => numbers.1 = number(),
                "track" if name.text == "suppress" => {
                    track = Some(match argument.trim() {
                        "by_src" => End::Source,
                        "by_dst" => End::Destination,
                        "by_either" => End::Either,
                        _ => {
                            return Err(stop(expected(
                                "`by_src`, `by_dst` or `by_either`",
                                argument,
                            )));
                        }
                    });
                }
                _ if name.text == "suppress" => {
                    return Err(stop(expected("`gen_id`, `sig_id`, `track` or `ip`", part)));
                }
                _ => {
                    others.push_str(if others.is_empty() { "" } else { "," });
                    others.push_str(part);
                }
            }
        }
        let (Some(gid), Some(sid)) = numbers else {
            return Err(stop(expected("`gen_id` and `sig_id`, each with a number", line)));
        };
        let which = Which { gid, sid };
        match name.text {
            "suppress" => {
                if let Some(list) = list {
                    let expression: AddressExpression =
                        list.parse().map_err(|error| stop(RuleProblem::Expression(error)))?;
                    let set = expression.resolve(variables);
                    addresses = Some(set.map_err(|error| stop(RuleProblem::Variable(error)))?);
                }
                let addresses = match (track, addresses) {
                    (Some(end), Some(set)) => Some((end, set)),
                    (None, None) => None,
                    _ => return Err(stop(expected("`track` and `ip`, both or none", line))),
                };
                self.suppressions.push(Suppression { which, addresses });
            }
            "threshold" | "event_filter" => {
                let threshold =
                    threshold(Value::new(&others, 0)).map_err(|it| Stop { offset: 0, ..it })?;
                self.thresholds.push((which, threshold));
            }
            "rate_filter" => {
                let found = name.text.to_owned();
                let instead = Some("detection_filter in the rule");
                return Err(stop(RuleProblem::Unsupported { found, instead }));
            }
            found => {
                return Err(stop(expected("`suppress`, `threshold` or `event_filter`", found)));
            }
        }
        Ok(())
    }
}

fn expected(expected: &'static str, found: &str) -> RuleProblem {
    RuleProblem::Expected { expected: expected.into(), found: quoted(found) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::string::ToString;

    const ID: RuleId = RuleId { gid: 1, sid: 7, rev: 0 };

    fn parse(text: &str) -> AlertFilters {
        let (filters, errors) = AlertFilters::parse("", text, &Variables::default());
        assert_eq!(errors, []);
        filters
    }

    #[test]
    fn suppressed_by_either_end_or_altogether() {
        let (here, there) = (IpAddr::from([192, 0, 2, 1]), IpAddr::from([198, 51, 100, 1]));
        let either =
            parse("suppress gen_id 1, sig_id 7, track by_either, ip [192.0.2.0/24, 203.0.113.1]");
        assert!(either.suppresses(ID, here, there) && either.suppresses(ID, there, here));
        assert!(!either.suppresses(ID, there, there));
        assert!(!either.leaves_alone(ID) && either.leaves_alone(RuleId { sid: 8, ..ID }));
        let all = parse("suppress gen_id 0, sig_id 0");
        assert!(all.suppresses(RuleId { gid: 3, sid: 9, rev: 0 }, here, there));
        let target = parse("suppress gen_id 1, sig_id 7, track by_dst, ip $HOME_NET");
        assert!(target.suppresses(ID, here, [10, 0, 0, 1].into()));
        assert!(!target.suppresses(ID, [10, 0, 0, 1].into(), here));
    }

    #[test]
    fn thresholds_for_rules() {
        let filters = parse(
            "threshold gen_id 1, sig_id 0, type limit, track by_src, count 1, seconds 60\n\
             event_filter gen_id 1, sig_id 7, type both, track by_dst, count 5, seconds 30",
        );
        assert_eq!(filters.threshold(ID).unwrap().count.get(), 5);
        assert_eq!(filters.threshold(RuleId { sid: 8, ..ID }).unwrap().count.get(), 1);
        assert_eq!(filters.threshold(RuleId { gid: 2, ..ID }), None);
    }

    #[test]
    fn bad_lines_are_told() {
        let text = "suppress sig_id 7\n\
            suppress gen_id 1, sig_id 7, track by_src\n\
            suppress gen_id 1, sig_id 7, track by_src, ip $NOWHERE\n\
            rate_filter gen_id 1, sig_id 7, track by_src, count 1, seconds 1, new_action drop, timeout 9\n\
            threshold gen_id 1, sig_id 7, type limit, track by_src, count 0, seconds 60\n\
            hide gen_id 1, sig_id 7";
        let (filters, errors) = AlertFilters::parse("t", text, &Variables::default());
        assert_eq!(filters, AlertFilters::default());
        let errors: std::vec::Vec<_> = errors.iter().map(ToString::to_string).collect();
        assert!(errors[0].starts_with("t:1:1: expected `gen_id` and `sig_id`"), "{errors:?}");
        assert!(
            errors[1].starts_with("t:2:1: expected `track` and `ip`, both or none"),
            "{errors:?}"
        );
        assert_eq!(errors[2], "t:3:1: expected a variable that is defined, found $NOWHERE");
        assert!(errors[3].contains("found `rate_filter`; write `detection_filter"), "{errors:?}");
        assert_eq!(errors[4], "t:5:1: expected a number from 1 to 4294967295, found `0`");
        assert!(errors[5].starts_with("t:6:1: expected `suppress`"), "{errors:?}");
    }
}
