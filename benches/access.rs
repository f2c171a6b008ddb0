//! An access list of 10, 1,000 and 10,000 rules against one rule after the other, for flows that were never seen
//! before: each look-up is for another one.

#![allow(missing_docs)]

use std::hint::black_box;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::time::Instant;

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use gwlb_geneve::gwlb::EndpointId;
use gwlb_geneve::inspectors::access::{
    AccessList, Action, IpNetwork, NetworkError, PortRange, Rule,
};
use gwlb_geneve::packet::{Addresses, FiveTuple, IpProtocol, Ports};

/// xorshift64*: the same rules and flows in every run.
struct Random(u64);

impl Random {
    fn below(&mut self, limit: u64) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        (self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 33) % limit
    }

    fn one_in(&mut self, many: u64) -> bool {
        self.below(many) == 0
    }

    /// Half of the addresses in 10.0.0.0/8 (`2001:db8::/32`), where networks nest, the others anywhere.
    fn address(&mut self, six: bool) -> IpAddr {
        let (inside, low, high) = (self.one_in(2), self.below(1 << 31), self.below(1 << 31));
        if six {
            let top = if inside { 0x2001_0db8 } else { 0x2400_0000 | high & 0xff_ffff };
            let bits =
                u128::from(top) << 96 | u128::from(low & 0xffff) << 80 | u128::from(low >> 16);
            Ipv6Addr::from_bits(bits).into()
        } else {
            let top = if inside { 10 } else { 1 + high % 222 };
            Ipv4Addr::from_bits((top << 24 | low & 0xff_ffff) as u32).into()
        }
    }

    /// Mostly hosts and /24, some wider ones down to /8 (IPv6: /128 and /64, down to /32).
    fn network(&mut self, six: bool) -> IpNetwork {
        let length = match self.below(10) {
            0..=3 => 32,
            4..=6 => 24,
            7..=8 => 16 + self.below(8),
            _ => 8 + self.below(8),
        };
        let length = if six { (length * 4).min(128) } else { length };
        match IpNetwork::new(self.address(six), length as u8) {
            Err(NetworkError::HostBits { network, .. }) => network,
            network => network.unwrap(),
        }
    }

    fn port(&mut self) -> u16 {
        const USUAL: [u16; 12] = [22, 25, 53, 80, 123, 443, 445, 3306, 5432, 6379, 8080, 8443];
        if self.one_in(4) { self.below(65_536) as u16 } else { USUAL[self.below(12) as usize] }
    }

    fn rule(&mut self, six: bool) -> Rule {
        let mut rule =
            Rule::new([Action::Allow, Action::Drop, Action::Reject][self.below(3) as usize]);
        if !self.one_in(5) {
            rule = rule.from(self.network(six));
        }
        if rule.from.is_empty() || !self.one_in(5) {
            rule = rule.to(self.network(six));
        }
        match self.below(10) {
            0..=6 => rule = rule.ports(self.port()),
            7 => {
                let first = self.port().min(60_000);
                rule = rule.ports(PortRange::new(first, first + 100).unwrap());
            }
            _ => {}
        }
        if self.one_in(20) {
            rule = rule.source_ports(PortRange::new(1024, 65_535).unwrap());
        }
        if !self.one_in(5) {
            rule = rule.protocol(if self.one_in(4) { IpProtocol::UDP } else { IpProtocol::TCP });
        }
        if self.one_in(4) {
            rule = rule.endpoint(EndpointId(self.below(8)));
        }
        if self.one_in(10) { rule.both_ways() } else { rule }
    }

    /// Half of the flows are between networks of rules, so that they meet some.
    fn flow(&mut self, rules: &[Rule], six: bool) -> (EndpointId, FiveTuple) {
        let rule = &rules[self.below(rules.len() as u64) as usize];
        let aimed = self.one_in(2);
        let mut end = |networks: &[IpNetwork]| match networks.first() {
            Some(network) if aimed => network.address(),
            _ => self.address(six),
        };
        let addresses = match (end(&rule.from), end(&rule.to)) {
            (IpAddr::V4(source), IpAddr::V4(destination)) => Addresses::V4 { source, destination },
            (IpAddr::V6(source), IpAddr::V6(destination)) => Addresses::V6 { source, destination },
            _ => unreachable!("all of one version"),
        };
        let ports = Ports { source: 32_768 + self.below(28_000) as u16, destination: self.port() };
        let protocol = if self.one_in(4) { IpProtocol::UDP } else { IpProtocol::TCP };
        (EndpointId(self.below(8)), FiveTuple { addresses, protocol, ports: Some(ports) })
    }
}

fn linear(rules: &[Rule], endpoint: EndpointId, tuple: &FiveTuple) -> Option<usize> {
    rules.iter().position(|rule| rule.takes(endpoint, tuple))
}

fn decide(c: &mut Criterion) {
    for (version, six) in [("IPv4", false), ("IPv6", true)] {
        let mut group = c.benchmark_group(format!("access list, {version}"));
        group.throughput(Throughput::Elements(1));
        for count in [10, 1_000, 10_000] {
            let mut random = Random(7);
            let rules: Vec<Rule> = (0..count).map(|_| random.rule(six)).collect();
            let start = Instant::now();
            let list = AccessList::new(Action::Allow, rules.clone()).unwrap();
            let built = start.elapsed();
            let flows: Vec<_> = (0..16_384).map(|_| random.flow(&rules, six)).collect();
            let mut taken = 0;
            for (endpoint, tuple) in &flows {
                let expected = linear(&rules, *endpoint, tuple);
                taken += usize::from(expected.is_some());
                let found = list.decide(*endpoint, tuple).rule.map(|rule| rule.index());
                assert_eq!(found, expected, "{tuple}");
            }
            println!(
                "{version}, {count} rules: built in {built:?}, {} KiB, {} % of flows taken",
                list.memory() / 1024,
                taken * 100 / flows.len()
            );
            let mut next = flows.iter().cycle();
            group.bench_function(BenchmarkId::new("tables", count), |b| {
                b.iter(|| {
                    let (endpoint, tuple) = next.next().unwrap();
                    list.decide(black_box(*endpoint), black_box(tuple))
                });
            });
            group.bench_function(BenchmarkId::new("one after the other", count), |b| {
                b.iter(|| {
                    let (endpoint, tuple) = next.next().unwrap();
                    linear(&rules, black_box(*endpoint), black_box(tuple))
                });
            });
        }
        group.finish();
    }
}

criterion_group!(benches, decide);
criterion_main!(benches);
