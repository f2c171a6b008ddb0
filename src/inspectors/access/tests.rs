//! The tables against one rule after the other.

use alloc::vec::Vec;
use core::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use proptest::collection::vec;
use proptest::prelude::*;

use super::*;
use crate::packet::{IpProtocol, Ports};

/// Few different bits, so that networks nest and flows meet rules.
fn address() -> impl Strategy<Value = IpAddr> {
    let bits = prop_oneof![Just(0), Just(u32::MAX), any::<u32>(), 0_u32..8];
    (bits, 0_u32..8, any::<bool>()).prop_map(|(high, low, four)| {
        if four {
            Ipv4Addr::from_bits((high & 0xc000_0000) | (high & 3) << 14 | low).into()
        } else {
            let high = u128::from(high & 0xc000_0003);
            Ipv6Addr::from_bits(high << 96 | high << 60 | u128::from(low)).into()
        }
    })
}

fn network() -> impl Strategy<Value = IpNetwork> {
    let lengths = prop_oneof![Just(0_u8), Just(1), Just(2), 0_u8..=128, Just(128), Just(18)];
    (address(), lengths).prop_map(|(address, length)| {
        let longest = if address.is_ipv4() { 32 } else { 128 };
        match IpNetwork::new(address, length.min(longest)) {
            Err(NetworkError::HostBits { network, .. }) => network,
            network => network.unwrap(),
        }
    })
}

fn port() -> impl Strategy<Value = u16> {
    prop_oneof![0_u16..8, Just(u16::MAX), Just(u16::MAX - 1)]
}

fn ports() -> impl Strategy<Value = PortRange> {
    (port(), port()).prop_map(|(a, b)| PortRange::new(a.min(b), a.max(b)).unwrap())
}

fn protocol() -> impl Strategy<Value = IpProtocol> {
    prop_oneof![
        Just(IpProtocol::TCP),
        Just(IpProtocol::UDP),
        Just(IpProtocol(0)),
        Just(IpProtocol(255))
    ]
}

fn endpoint() -> impl Strategy<Value = EndpointId> {
    prop_oneof![0_u64..3, Just(u64::MAX)].prop_map(EndpointId)
}

/// A rule with those lists left empty whose bits are set.
pub(super) fn rule(open: impl Strategy<Value = u8>) -> impl Strategy<Value = Rule> {
    let action = prop_oneof![Just(Action::Allow), Just(Action::Drop), Just(Action::Reject)];
    let lists = (
        vec(endpoint(), 1..2),
        vec(network(), 1..4),
        vec(network(), 1..3),
        vec(ports(), 1..2),
        vec(ports(), 1..3),
        vec(protocol(), 1..2),
    );
    (action, any::<bool>(), lists, open).prop_map(|(action, both, lists, open)| {
        let (endpoints, from, to, source_ports, ports, protocols) = lists;
        let direction = if both { Direction::Both } else { Direction::ToServer };
        let mut rule = Rule {
            name: None,
            action,
            log: false,
            direction,
            endpoints,
            from,
            to,
            source_ports,
            ports,
            protocols,
        };
        let open = |bit: u8| open >> bit & 1 != 0;
        if open(0) {
            rule.endpoints.clear();
        }
        if open(1) {
            rule.from.clear();
        }
        if open(2) {
            rule.to.clear();
        }
        if open(3) {
            rule.source_ports.clear();
        }
        if open(4) {
            rule.ports.clear();
        }
        if open(5) {
            rule.protocols.clear();
        }
        rule
    })
}

fn flow() -> impl Strategy<Value = (EndpointId, FiveTuple)> {
    let addresses = (address(), address()).prop_filter_map("one version", |pair| match pair {
        (IpAddr::V4(source), IpAddr::V4(destination)) => {
            Some(Addresses::V4 { source, destination })
        }
        (IpAddr::V6(source), IpAddr::V6(destination)) => {
            Some(Addresses::V6 { source, destination })
        }
        _ => None,
    });
    let ports = proptest::option::weighted(
        0.9,
        (port(), port()).prop_map(|(source, destination)| Ports { source, destination }),
    );
    let tuple = (addresses, protocol(), ports).prop_map(|(addresses, protocol, ports)| FiveTuple {
        addresses,
        protocol,
        ports,
    });
    (endpoint(), tuple)
}

/// One rule after the other.
fn linear(rules: &[Rule], default: Action, endpoint: EndpointId, tuple: &FiveTuple) -> Decision {
    let found = rules.iter().zip(0..).find(|(rule, _)| rule.takes(endpoint, tuple));
    found.map_or(Decision { action: default, rule: None }, |(rule, number)| Decision {
        action: rule.action,
        rule: Some(RuleIndex(number)),
    })
}

fn sound(rules: Vec<Rule>) -> Vec<Rule> {
    rules.into_iter().filter(|rule| rule.check(RuleIndex(0)).is_ok()).collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(100))]

    #[test]
    fn the_first_rule_as_written_wins(rules in vec(rule(any::<u8>()), 0..20), flows in vec(flow(), 24)) {
        let rules = sound(rules);
        let list = AccessList::new(Action::Drop, rules.clone()).unwrap();
        for (endpoint, tuple) in flows {
            prop_assert_eq!(
                list.decide(endpoint, &tuple),
                linear(&rules, Action::Drop, endpoint, &tuple)
            );
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    /// Found are exactly those that one earlier rule covers, by the first such.
    #[test]
    fn shadows_are_those_of_one_earlier_rule(rules in vec(rule(any::<u8>()), 0..40)) {
        let rules = sound(rules);
        let list = AccessList::new(Action::Drop, rules.clone()).unwrap();
        let covers = |wide: &Rule, narrow: &Rule| {
            [Family::V4, Family::V6].iter().all(|family| {
                let wide = Region::of_known_ports(wide, *family);
                Region::of_known_ports(narrow, *family).iter().all(|it| wide.iter().any(|wide| wide.covers(it)))
            })
        };
        let mut expected = Vec::new();
        for (number, rule) in (0..).zip(&rules) {
            let by = (0..number).zip(&rules).find(|(_, earlier)| covers(earlier, rule));
            expected.extend(
                by.map(|(by, _)| Shadowed { rule: RuleIndex(number), by: RuleIndex(by) })
            );
        }
        prop_assert_eq!(list.shadowed(), expected);
    }

    /// Whatever a covered rule takes, the rule that covers it takes.
    #[test]
    fn covering_is_taking_all(wide in rule(any::<u8>()), narrow in rule(any::<u8>()), flows in vec(flow(), 64)) {
        let regions = |rule: &Rule| [Family::V4, Family::V6].map(|family| Region::of(rule, family));
        let (wide_regions, narrow_regions) = (regions(&wide), regions(&narrow));
        let covers = wide_regions.iter().zip(&narrow_regions).all(|(wide, narrow)| {
            narrow.iter().all(|it| wide.iter().any(|wide| wide.covers(it)))
        });
        for (endpoint, tuple) in flows {
            prop_assert!(!covers || !narrow.takes(endpoint, &tuple) || wide.takes(endpoint, &tuple));
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1, max_shrink_iters: 0, ..ProptestConfig::default() })]

    /// Enough rules for many blocks and more than one row of them, choosy enough that many flows get far.
    #[test]
    fn so_it_does_in_long_lists(
        rules in vec(rule(any::<[u8; 2]>().prop_map(|[a, b]| a & b)), 2_800),
        flows in vec(flow(), 60),
    ) {
        // Each of them for some ports at first, and only then as it is.
        let rules = (0..12).flat_map(|port| {
            rules.iter().cloned().map(move |mut rule| {
                if port < 11 {
                    rule.ports = Vec::from([PortRange::from(port)]);
                }
                rule
            })
        });
        let rules = sound(rules.collect());
        let list = AccessList::new(Action::Allow, rules.clone()).unwrap();
        prop_assert!(list.v4.rows() > 1 && list.v6.rows() > 1);
        for (endpoint, tuple) in flows {
            prop_assert_eq!(
                list.decide(endpoint, &tuple),
                linear(&rules, Action::Allow, endpoint, &tuple)
            );
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    /// Where ports are not known: what names some is refused as if it named none, and is never allowed.
    #[test]
    fn unknown_ports_fail_closed(rules in vec(rule(any::<u8>()), 0..20), flows in vec(flow(), 32)) {
        let rules = sound(rules);
        let list = AccessList::new(Action::Drop, rules.clone()).unwrap();
        for (endpoint, mut tuple) in flows {
            tuple.protocol = IpProtocol::TCP;
            tuple.ports = None;
            let expected = rules.iter().position(|rule| {
                let mut portless = rule.clone();
                portless.ports.clear();
                portless.source_ports.clear();
                let names_ports = portless != *rule;
                portless.takes(endpoint, &tuple) && !(names_ports && rule.action == Action::Allow)
            });
            prop_assert_eq!(list.decide(endpoint, &tuple).rule.map(RuleIndex::index), expected);
            // A protocol that has no ports is another matter.
            tuple.protocol = IpProtocol(0);
            let found = list.decide(endpoint, &tuple).rule.and_then(|rule| list.rule(rule));
            prop_assert!(found.is_none_or(|rule| rule.ports.is_empty() && rule.source_ports.is_empty()));
        }
    }
}

/// Numbers that differ from run to run of a property, but not within one.
struct Mixed(u64);

impl Mixed {
    fn below(&mut self, limit: u64) -> u64 {
        self.0 = self.0.wrapping_mul(0x5851_f42d_4c95_7f2d).wrapping_add(0x1405_7b7e_f767_814f);
        (self.0 >> 33) % limit
    }

    fn one_in(&mut self, many: u64) -> bool {
        self.below(many) == 0
    }

    /// Half of them crowd in one wide network, where prefixes of all lengths overlap.
    fn address(&mut self, six: bool) -> IpAddr {
        let (crowd, bits) = (self.one_in(2), self.below(1 << 31) as u32);
        if six {
            let top = if crowd { 0x2001_0db8 } else { u128::from(bits.reverse_bits()) };
            let (middle, low) = (self.below(64), [0, 1, bits][self.below(3) as usize]);
            Ipv6Addr::from_bits(top << 96 | u128::from(middle) << 62 | u128::from(low)).into()
        } else {
            let bits = if crowd { 10 << 24 | bits & 0x000f_ffff } else { bits << 1 };
            Ipv4Addr::from_bits(bits).into()
        }
    }

    fn network(&mut self, six: bool) -> IpNetwork {
        let length = [32, 32, 24, 16 + self.below(16), self.below(33)][self.below(5) as usize];
        let length = if six { length * 4 } else { length };
        match IpNetwork::new(self.address(six), length as u8) {
            Err(NetworkError::HostBits { network, .. }) => network,
            network => network.unwrap(),
        }
    }

    fn port(&mut self) -> u16 {
        if self.one_in(4) { self.below(65_536) as u16 } else { 440 + self.below(12) as u16 }
    }

    fn ports(&mut self) -> PortRange {
        let (first, last) = (self.port(), self.port());
        if self.one_in(4) {
            PortRange::new(first.min(last), first.max(last)).unwrap()
        } else {
            first.into()
        }
    }

    fn protocol(&mut self) -> IpProtocol {
        [IpProtocol::TCP, IpProtocol::UDP, IpProtocol(1)][self.below(3) as usize]
    }

    /// Each list has none, one or a few.
    fn rule(&mut self) -> Rule {
        let six = self.one_in(2);
        let mut rule = Rule::new([Action::Allow, Action::Drop][self.below(2) as usize]);
        for _ in 0..[0, 1, 1, 1, 3][self.below(5) as usize] {
            rule = rule.from(self.network(six));
        }
        for _ in 0..[0, 1, 1, 1, 3][self.below(5) as usize] {
            rule = rule.to(self.network(six));
        }
        for _ in 0..[0, 1, 1, 2][self.below(4) as usize] {
            rule = rule.ports(self.ports());
        }
        if self.one_in(8) {
            rule = rule.source_ports(self.ports());
        }
        if self.one_in(2) {
            rule = rule.protocol(self.protocol());
        }
        for _ in 0..[0, 0, 0, 1, 2][self.below(5) as usize] {
            rule = rule.endpoint(EndpointId(self.below(40)));
        }
        if self.one_in(8) { rule.both_ways() } else { rule }
    }

    /// Between networks of one rule, or anywhere.
    fn flow(&mut self, rules: &[Rule]) -> (EndpointId, FiveTuple) {
        let rule = &rules[self.below(rules.len() as u64) as usize];
        let six = rule.from.iter().chain(&rule.to).any(|it| it.address().is_ipv6());
        let aimed = !self.one_in(4);
        let mut end = |networks: &[IpNetwork]| match networks.last() {
            Some(network) if aimed => network.address(),
            _ => self.address(six),
        };
        let addresses = match (end(&rule.from), end(&rule.to)) {
            (IpAddr::V4(source), IpAddr::V4(destination)) => Addresses::V4 { source, destination },
            (IpAddr::V6(source), IpAddr::V6(destination)) => Addresses::V6 { source, destination },
            _ => unreachable!("a rule is about one version"),
        };
        let aimed = rule.ports.first().filter(|_| aimed).map(PortRange::first);
        let ports = Ports { source: self.port(), destination: aimed.unwrap_or(self.port()) };
        let ports = (!self.one_in(10)).then_some(ports);
        let protocol = rule.protocols.first().copied().unwrap_or(self.protocol());
        let endpoint = rule.endpoints.last().copied().unwrap_or(EndpointId(self.below(41)));
        (endpoint, FiveTuple { addresses, protocol, ports })
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2, max_shrink_iters: 0, ..ProptestConfig::default() })]

    /// Thousands of rules of all kinds, most of which would take few flows, so that what comes late decides, too.
    #[test]
    fn so_it_does_in_mixed_lists(seed: u64, count in 1_000_usize..3_000) {
        let mut mixed = Mixed(seed);
        let rules = sound((0..count).map(|_| mixed.rule()).collect());
        let list = AccessList::new(Action::Reject, rules.clone()).unwrap();
        for _ in 0..300 {
            let (endpoint, tuple) = mixed.flow(&rules);
            prop_assert_eq!(
                list.decide(endpoint, &tuple),
                linear(&rules, Action::Reject, endpoint, &tuple),
                "{} from {:?}", tuple, endpoint
            );
        }
    }
}

/// What stands for unknown ports inside is a number like others in other fields.
#[test]
fn networks_and_endpoints_may_have_the_number_of_unknown_ports() {
    let number = region::UNKNOWN_PORTS;
    let host = Ipv4Addr::from_bits(number);
    let rule = Rule::new(Action::Allow).from(IpAddr::from(host).into()).ports(80);
    let rule = rule.endpoint(EndpointId(number.into())).endpoint(EndpointId(1));
    let list = AccessList::new(Action::Drop, [rule]).unwrap();
    let tuple = FiveTuple {
        addresses: Addresses::V4 { source: host, destination: host },
        protocol: IpProtocol::TCP,
        ports: Some(Ports { source: 1, destination: 80 }),
    };
    assert_eq!(list.decide(EndpointId(number.into()), &tuple).action, Action::Allow);
    assert_eq!(list.decide(EndpointId(2), &tuple).action, Action::Drop);
}

/// Nested networks and ranges, everywhere different: what would make trees and cross-products explode.
#[test]
fn ten_thousand_nested_rules_stay_small() {
    let port = |number: u16| PortRange::new(number, 65_535 - number).unwrap();
    let rules: Vec<Rule> = (0_u16..10_000)
        .map(|number| {
            let nested = |bits: u32, length: u8| {
                let mask = u32::MAX.checked_shl(32 - u32::from(length)).unwrap_or(0);
                IpNetwork::new(Ipv4Addr::from_bits(bits & mask).into(), length).unwrap()
            };
            let mixed = u32::from(number).wrapping_mul(0x9e37_79b9);
            Rule::new(Action::Drop)
                .from(nested(mixed, (number % 33) as u8))
                .to(nested(mixed.rotate_left(7), (number / 33 % 33) as u8))
                .source_ports(port(number))
                .ports(port(9_999 - number))
        })
        .collect();
    let list = AccessList::new(Action::Allow, rules.clone()).unwrap();
    assert!(list.memory() < 16 << 20, "{} bytes", list.memory());
    for number in (0..10_000_u32).step_by(97) {
        let mixed = number.wrapping_mul(0x9e37_79b9);
        let tuple = FiveTuple {
            addresses: Addresses::V4 {
                source: Ipv4Addr::from_bits(mixed),
                destination: Ipv4Addr::from_bits(mixed.rotate_left(7)),
            },
            protocol: IpProtocol::UDP,
            ports: Some(Ports { source: number as u16, destination: 9_999 - number as u16 }),
        };
        let endpoint = EndpointId(0);
        assert_eq!(list.decide(endpoint, &tuple), linear(&rules, Action::Allow, endpoint, &tuple));
    }
}

/// Sets that share nothing: refused, before they have taken more than they may.
#[test]
fn too_much_is_refused() {
    let rules: Vec<(u32, Region)> = (0..2_000)
        .map(|number| {
            let rule =
                Rule::new(Action::Drop).ports(PortRange::new(number, 65_000 - number).unwrap());
            (u32::from(number), Region::of(&rule, Family::V4).remove(0))
        })
        .collect();
    assert!(Table::<u32>::new(&rules, 1 << 20).is_ok());
    let error = Table::<u32>::new(&rules, 64 << 10).unwrap_err();
    assert_eq!(error, AccessListError::TooLarge { limit: 64 << 10 });
}

#[test]
fn looking_up_allocates_nothing() {
    let list =
        AccessList::new(Action::Allow, (0..1_000).map(|port| Rule::new(Action::Drop).ports(port)));
    let list = list.unwrap();
    let tuple = FiveTuple {
        addresses: Addresses::V4 { source: [10; 4].into(), destination: [11; 4].into() },
        protocol: IpProtocol::UDP,
        ports: Some(Ports { source: 1, destination: 999 }),
    };
    let counted = allocation_counter::measure(|| {
        assert_eq!(list.decide(EndpointId(0), &tuple).rule, Some(RuleIndex(999)));
    });
    assert_eq!(counted.count_total, 0);
}
