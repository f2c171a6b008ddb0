use alloc::vec;
use alloc::vec::Vec;
use core::mem;
use core::net::IpAddr;

use super::index;
use super::table::Key;
use super::{Action, Direction, IpNetwork, PortRange, Rule};

/// The fields of a flow that rules look at, by their places in a [`Region`]: those that tell most come first.
pub(super) const FIELDS: usize = 6;
pub(super) const SOURCE: usize = 0;
pub(super) const DESTINATION: usize = 1;
pub(super) const DESTINATION_PORT: usize = 2;
pub(super) const ENDPOINT: usize = 3;
pub(super) const SOURCE_PORT: usize = 4;
pub(super) const PROTOCOL: usize = 5;

/// In the place of a port: the protocol has none. Only regions that take every port take it.
pub(super) const NO_PORTS: u32 = 1 << 16;

/// In the place of a port: the protocol has some, but the packet does not say which.
pub(super) const UNKNOWN_PORTS: u32 = NO_PORTS + 1;

/// Only these.
pub(super) const UNKNOWN_RANGE: (u128, u128) = (UNKNOWN_PORTS as u128, UNKNOWN_PORTS as u128);

/// The flows of one IP version that a rule takes, written one way round: a box over all fields.
///
/// Addresses, ports and the rest are numbers here, all of one width, so that fields need not be told apart.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Region {
    pub(super) fields: [Ranges; FIELDS],
}

/// The values of one field that a rule takes: `None` for all, else ranges with both ends included, in order,
/// neither overlapping nor touching.
pub(super) type Ranges = Option<Vec<(u128, u128)>>;

/// An IP version.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Family {
    V4,
    V6,
}

impl Region {
    /// The one or two boxes of a rule, none where it takes no flow of that IP version.
    pub(super) fn of(rule: &Rule, family: Family) -> Vec<Self> {
        let (Some(source), Some(destination)) =
            (networks(&rule.from, family), networks(&rule.to, family))
        else {
            return Vec::new();
        };
        let mut region = Self::default();
        let endpoints = rule.endpoints.iter().map(|it| (it.0.into(), it.0.into()));
        let protocols = rule.protocols.iter().map(|it| (it.0.into(), it.0.into()));
        region.fields[ENDPOINT] = merged(endpoints.collect());
        region.fields[SOURCE] = source;
        region.fields[DESTINATION] = destination;
        region.fields[SOURCE_PORT] = ports(&rule.source_ports, rule.action);
        region.fields[DESTINATION_PORT] = ports(&rule.ports, rule.action);
        region.fields[PROTOCOL] = merged(protocols.collect());

        let reversed = region.reversed();
        if rule.direction == Direction::ToServer || reversed == region {
            vec![region]
        } else {
            vec![region, reversed]
        }
    }

    /// Whether every flow of the other one is in this one.
    pub(super) fn covers(&self, other: &Self) -> bool {
        self.fields.iter().zip(&other.fields).all(|fields| match fields {
            (None, _) => true,
            (Some(_), None) => false,
            (Some(wide), Some(narrow)) => narrow.iter().all(|&(first, last)| {
                let next = wide.partition_point(|range| range.1 < first);
                wide.get(next).is_some_and(|range| range.0 <= first && last <= range.1)
            }),
        })
    }

    /// Whether a flow is in it, in as many steps as its lists can be halved.
    pub(super) fn takes<A: index::Key>(&self, key: &Key<A>) -> bool {
        let mut values = [0; FIELDS];
        values[SOURCE] = key.source.into();
        values[DESTINATION] = key.destination.into();
        values[DESTINATION_PORT] = key.destination_port.into();
        values[ENDPOINT] = key.endpoint.into();
        values[SOURCE_PORT] = key.source_port.into();
        values[PROTOCOL] = key.protocol.into();
        self.fields.iter().zip(values).all(|(ranges, value)| {
            ranges.as_ref().is_none_or(|ranges| {
                let next = ranges.partition_point(|range| range.1 < value);
                ranges.get(next).is_some_and(|range| range.0 <= value)
            })
        })
    }

    /// Without the flows whose ports are unknown.
    pub(super) fn of_known_ports(rule: &Rule, family: Family) -> Vec<Self> {
        let mut regions = Self::of(rule, family);
        for region in &mut regions {
            let [_, _, destination_ports, _, source_ports, _] = &mut region.fields;
            for ports in [destination_ports, source_ports].into_iter().flatten() {
                ports.retain(|range| *range != UNKNOWN_RANGE);
            }
        }
        regions
    }

    fn reversed(&self) -> Self {
        let mut reversed = self.clone();
        let [source, destination, destination_port, _, source_port, _] = &mut reversed.fields;
        mem::swap(source, destination);
        mem::swap(source_port, destination_port);
        reversed
    }
}

/// `None` where the list has networks, but none of this IP version. `0.0.0.0/0` becomes all of IPv4.
fn networks(list: &[IpNetwork], family: Family) -> Option<Ranges> {
    let ranges: Vec<_> = list.iter().filter_map(|network| addresses(network, family)).collect();
    if ranges.is_empty() && !list.is_empty() {
        return None;
    }
    let all = match family {
        Family::V4 => (0, u32::MAX.into()),
        Family::V6 => (0, u128::MAX),
    };
    Some(merged(ranges).filter(|ranges| *ranges != [all]))
}

fn addresses(network: &IpNetwork, family: Family) -> Option<(u128, u128)> {
    let prefix_len = u32::from(network.prefix_len());
    match (network.address(), family) {
        (IpAddr::V4(first), Family::V4) => {
            let first = first.to_bits();
            let last = first | u32::MAX.checked_shr(prefix_len).unwrap_or(0);
            Some((first.into(), last.into()))
        }
        (IpAddr::V6(first), Family::V6) => {
            let first = first.to_bits();
            Some((first, first | u128::MAX.checked_shr(prefix_len).unwrap_or(0)))
        }
        _ => None,
    }
}

/// All ports are not everything: flows without ports are left. Where they are not known, only what is refused is
/// taken.
fn ports(list: &[PortRange], action: Action) -> Ranges {
    let mut ranges: Vec<_> =
        list.iter().map(|range| (range.first().into(), range.last().into())).collect();
    if !list.is_empty() && action != Action::Allow {
        ranges.push(UNKNOWN_RANGE);
    }
    merged(ranges)
}

/// How many leading bits are the same in what a region takes of a field, about: `None` where it takes everything.
pub(super) fn choosiness(region: &Region, field: usize, address_bits: usize) -> Option<usize> {
    let (first, last) = *region.fields.get(field)?.as_ref()?.first()?;
    let bits = if matches!(field, SOURCE | DESTINATION) { address_bits } else { 16 };
    let open = last.wrapping_sub(first).checked_ilog2().map_or(0, |log| log.saturating_add(1));
    Some(bits.saturating_sub(usize::try_from(open).unwrap_or(0)))
}

fn merged(mut ranges: Vec<(u128, u128)>) -> Ranges {
    ranges.sort_unstable();
    ranges.dedup_by(|next, last| {
        let joined = next.0 <= last.1.saturating_add(1);
        if joined {
            last.1 = last.1.max(next.1);
        }
        joined
    });
    (!ranges.is_empty()).then_some(ranges)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::inspectors::access::Action;

    #[test]
    fn ranges_that_overlap_or_touch_become_one() {
        assert_eq!(
            merged(vec![(5, 6), (0, 1), (2, 3), (5, 9), (7, 8), (11, 11)]),
            Some(vec![(0, 3), (5, 9), (11, 11)])
        );
        assert_eq!(
            merged(vec![(7, u128::MAX), (u128::MAX, u128::MAX)]),
            Some(vec![(7, u128::MAX)])
        );
    }

    #[test]
    fn networks_leave_the_other_version_alone() {
        let rule = Rule::new(Action::Drop).from("0.0.0.0/0".parse().unwrap());
        assert_eq!(Region::of(&rule, Family::V4), [Region::default()]);
        assert_eq!(Region::of(&rule, Family::V6), []);
        let halves = rule.to("0.0.0.0/1".parse().unwrap()).to("128.0.0.0/1".parse().unwrap());
        assert_eq!(Region::of(&halves, Family::V4), [Region::default()]);
    }

    #[test]
    fn a_rule_for_both_ways_is_two_boxes_unless_they_are_the_same() {
        let rule = Rule::new(Action::Drop).ports(53).both_ways();
        let [there, back] = &Region::of(&rule, Family::V4)[..] else { panic!("not two") };
        assert_eq!(there.fields[DESTINATION_PORT], back.fields[SOURCE_PORT]);
        assert_eq!(Region::of(&rule.source_ports(53), Family::V4).len(), 1);
    }

    #[test]
    fn all_ports_do_not_cover_flows_without_ports() {
        let region = |rule: Rule| Region::of(&rule, Family::V6).remove(0);
        let any = region(Rule::new(Action::Drop));
        let ports = region(Rule::new(Action::Drop).ports(PortRange::new(0, 65_535).unwrap()));
        assert!(any.covers(&ports) && !ports.covers(&any));
    }
}
