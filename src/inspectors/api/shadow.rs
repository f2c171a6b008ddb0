use alloc::string::String;
use alloc::vec::Vec;

use super::{ApiRule, ApiRules, HeaderRule};
use crate::inspectors::access::IpNetwork;

impl ApiRules {
    /// The rules that one earlier rule covers wholly, and that rule, both counted from 0; most likely they are mistakes.
    ///
    /// A rule that only several earlier ones cover together is not found, nor one that only differs in how it says the same.
    ///
    /// ```
    /// use gwlb_geneve::inspectors::access::Action;
    /// use gwlb_geneve::inspectors::api::{ApiRule, ApiRules};
    ///
    /// let rules = ApiRules::new([
    ///     ApiRule::new(Action::Allow).method("GET").method("HEAD"),
    ///     ApiRule::new(Action::Reject).method("GET").path("/private/**".parse()?),
    /// ]);
    /// assert_eq!(rules.shadowed(), [(1, 0)]);
    /// # Ok::<(), gwlb_geneve::inspectors::api::PathError>(())
    /// ```
    pub fn shadowed(&self) -> Vec<(usize, usize)> {
        let mut shadowed = Vec::new();
        for (number, rule) in self.rules().iter().enumerate() {
            let by = self.rules().iter().take(number).position(|earlier| earlier.covers(rule));
            shadowed.extend(by.map(|by| (number, by)));
        }
        shadowed
    }
}

impl ApiRule {
    /// Whether it takes every request that the other one takes.
    fn covers(&self, other: &Self) -> bool {
        let is_header = |(name, rule): &(String, HeaderRule)| {
            other.headers.iter().any(|(its, is)| its.eq_ignore_ascii_case(name) && is == rule)
        };
        is_wider(&self.methods, &other.methods, |one, other| one == other)
            && is_wider(&self.hosts, &other.hosts, |one, other| {
                one == other || !other.is_below() && one.matches(other.name())
            })
            && is_wider(&self.paths, &other.paths, |one, other| one == other)
            && is_wider(&self.from, &other.from, contains)
            && self.headers.iter().all(is_header)
            && self.token.is_none()
    }
}

/// Whether each of the others is taken by one of these; an empty list takes everything.
fn is_wider<T>(these: &[T], others: &[T], takes: impl Fn(&T, &T) -> bool) -> bool {
    let is_taken = |other: &T| these.iter().any(|one| takes(one, other));
    these.is_empty() || !others.is_empty() && others.iter().all(is_taken)
}

fn contains(wide: &IpNetwork, narrow: &IpNetwork) -> bool {
    wide.prefix_len() <= narrow.prefix_len() && wide.contains(narrow.address())
}
