use alloc::vec::Vec;

use super::index::Address;
use super::region::{
    DESTINATION, DESTINATION_PORT, ENDPOINT, Family, NO_PORTS, PROTOCOL, Region, SOURCE,
    SOURCE_PORT,
};
use super::table::{Key, Table};
use super::{AccessList, RuleIndex};

/// A rule that never comes to its turn, as an earlier one takes every flow that it would take.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Shadowed {
    /// The rule.
    pub rule: RuleIndex,
    /// The first rule that covers it.
    pub by: RuleIndex,
}

impl AccessList {
    /// The rules that one earlier rule covers wholly; most likely they are mistakes.
    ///
    /// A rule that only several earlier ones cover together is not found, and flows whose ports are unknown are left
    /// out of account. The tables say which rules take one flow
    /// of a rule: only these are compared with it.
    ///
    /// ```
    /// use gwlb_geneve::inspectors::access::{AccessList, Action, Rule};
    ///
    /// let list = AccessList::new(Action::Allow, [
    ///     Rule::new(Action::Drop).from("10.0.0.0/8".parse()?),
    ///     Rule::new(Action::Allow).from("10.0.0.5".parse()?).ports(22),
    /// ])?;
    /// let shadowed = list.shadowed()[0];
    /// assert_eq!(format!("{} never applies: {}", shadowed.rule, shadowed.by), "rule 2 never applies: rule 1");
    /// # Ok::<(), Box<dyn core::error::Error>>(())
    /// ```
    pub fn shadowed(&self) -> Vec<Shadowed> {
        let regions = |family| {
            self.rules.iter().map(move |rule| Region::of_known_ports(rule, family)).collect()
        };
        let (v4, v6): (Vec<_>, Vec<_>) = (regions(Family::V4), regions(Family::V6));
        let covers = |regions: &[Vec<Region>], wide: u32, narrow: &[Region]| {
            let wide = regions.get(wide as usize).map_or(&[][..], |wide| wide);
            narrow.iter().all(|narrow| wide.iter().any(|wide| wide.covers(narrow)))
        };
        let mut shadowed = Vec::new();
        for ((number, four), six) in (0..u32::MAX).zip(&v4).zip(&v6) {
            let mut by = number;
            let found = |rule: u32| {
                if rule < by && covers(&v4, rule, four) && covers(&v6, rule, six) {
                    by = rule;
                }
                by
            };
            match (four.first(), six.first()) {
                (Some(region), _) => search(&self.v4, region, number, found),
                (None, Some(region)) => search(&self.v6, region, number, found),
                (None, None) => {}
            }
            if by < number {
                shadowed.push(Shadowed { rule: RuleIndex(number), by: RuleIndex(by) });
            }
        }
        shadowed
    }
}

/// Tells of the rules below `limit` that take one flow of the region; each answer is the limit from then on.
///
/// Where the region takes everything, only rules that do so too are wanted: any value finds them.
fn search<A: Address>(
    table: &Table<A>,
    region: &Region,
    limit: u32,
    found: impl FnMut(u32) -> u32,
) {
    let lowest = |field: usize| region.fields.get(field)?.as_ref()?.first().map(|range| range.0);
    let (source_port, destination_port) = (lowest(SOURCE_PORT), lowest(DESTINATION_PORT));
    let port = |port: Option<u128>| port.map_or(NO_PORTS, |port| number(Some(port)));
    table.search(
        &Key {
            endpoint: number(lowest(ENDPOINT)),
            source: number(lowest(SOURCE)),
            destination: number(lowest(DESTINATION)),
            source_port: port(source_port),
            destination_port: port(destination_port),
            protocol: number(lowest(PROTOCOL)),
        },
        limit,
        found,
    );
}

fn number<T: Default + TryFrom<u128>>(value: Option<u128>) -> T {
    value.and_then(|value| T::try_from(value).ok()).unwrap_or_default()
}
