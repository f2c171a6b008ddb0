//! An ordered list of rules about who may talk to whom.
//!
//! [`AccessList::decide`] says what the first [`Rule`], as written, that takes a flow does with it, and the default
//! action where none does. It is asked once, with the first packet of a flow.
//!
//! ```
//! use gwlb_geneve::gwlb::EndpointId;
//! use gwlb_geneve::inspectors::access::{AccessList, Action, Rule};
//! use gwlb_geneve::packet::{Addresses, FiveTuple, IpProtocol, Ports};
//!
//! let list = AccessList::new(Action::Allow, [
//!     Rule::new(Action::Allow).name("bastion").from("10.0.0.5".parse()?).ports(22),
//!     Rule::new(Action::Reject).ports(22).protocol(IpProtocol::TCP),
//! ])?;
//!
//! let ssh = FiveTuple {
//!     addresses: Addresses::V4 { source: [10, 0, 0, 6].into(), destination: [10, 1, 0, 1].into() },
//!     protocol: IpProtocol::TCP,
//!     ports: Some(Ports { source: 49_152, destination: 22 }),
//! };
//! let decision = list.decide(EndpointId(1), &ssh);
//! assert_eq!(decision.action, Action::Reject);
//! assert_eq!(decision.rule.map(|rule| rule.to_string()).as_deref(), Some("rule 2"));
//! # Ok::<(), Box<dyn core::error::Error>>(())
//! ```
//!
//! An [`AccessInspector`] makes it an inspector. In a file, with the feature
//! `config`, a list looks like this (all keys: `AccessList::from_toml`):
//!
//! ```toml
//! default = "drop"
//!
//! [[rule]]
//! action = "allow"
//! from = ["10.0.0.0/8", "2001:db8::/32"]
//! ports = "443, 8000-8100"
//! protocol = "tcp"
//! ```
//!
//! # How it is looked up
//!
//! Each rule is a box over six fields: source, destination, destination port, endpoint, source port, protocol (a
//! rule for both ways is two boxes; IPv4 and IPv6 have tables of their own). Each field is cut into intervals where
//! the boxes that take a value change; buckets within buckets lead to the interval of a value.
//!
//! * Most boxes hang on one field, where they take little: each interval of source, destination and destination port has one
//!   box at most, and these three are compared with the flow without a branch.
//! * The others have positions, 256 to a block, and each interval has a set of bits; where the sets of all fields meet, the
//!   lowest rule is taken. Sets of up to 2048 positions are gone through from end to end. Of longer ones another word says
//!   which blocks have a bit, boxes that are neighbours in their choosiest field share blocks, so that few are left, and
//!   equal blocks are kept once.
//! * Endpoint, source port and protocol are one field where they have few intervals.
//! * Ports and protocols find their interval in pages of 256, equal ones kept once; IPv6 addresses by their upper halves, and
//!   by their lower ones only where a network ends in there.
//!
//! A box of several ranges in one field is compared from its lowest to its highest value. Where that takes a flow, it needs a
//! second look, which halves each of the rule's lists until the value is found.
//!
//! Lists of networks or ports in a rule multiply nothing. The work of a look-up is bounded, whatever the rules are, by six
//! descents (at most one node for each bit of a value), three boxes, as many second looks of six searches by halves, and
//! the blocks, one for 256 boxes. Memory is bounded by the intervals times the blocks, and by [`AccessList::MEMORY_LIMIT`]:
//! 10,000 mixed rules take 1.1 MiB in IPv4 and 2.1 MiB in IPv6, 10,000 nested networks and ranges, different in every rule,
//! less than 16 MiB.
//!
//! One box at most on an interval, because the branches of a loop over a list are guessed wrong. Simulated by cachegrind, a
//! look-up among 10,000 rules, IPv4 / IPv6:
//!
//! | boxes on an interval | instructions | branches guessed wrong | misses in the first cache |
//! |---|---:|---:|---:|
//! | 2, in lists | 754 / 849 | 6.5 / 4.1 | 13.6 / 11.2 |
//! | 1, without branches | 717 / 713 | 4.0 / 3.4 | 11.8 / 12.8 |
//!
//! Weighed and left: a tuple space search takes a hash look-up for each pair of prefix lengths, up to 33 × 33 in
//! mixed lists and 129 × 129 in IPv6. Cutting trees and cross-products of fields copy rules that are wide in one
//! field, without a bound that a hostile list would keep. Times are in the `access` bench.

mod column;
#[cfg(feature = "config")]
pub(crate) mod config;
mod error;
mod hang;
mod hull;
mod index;
mod inspector;
mod layout;
mod network;
mod pages;
mod port_range;
mod region;
mod rule;
mod sets;
mod shadow;
mod table;
#[cfg(test)]
mod tests;
mod wide;

use alloc::vec::Vec;
use core::fmt;

#[cfg(feature = "config")]
pub use config::{ConfigError, ConfigErrors, ConfigProblem};
pub use error::AccessListError;
pub use inspector::AccessInspector;
pub use network::{IpNetwork, NetworkError};
pub use port_range::{PortRange, PortRangeError};
pub use rule::{Action, Direction, Rule};
pub use shadow::Shadowed;

use crate::gwlb::EndpointId;
use crate::packet::{Addresses, FiveTuple, Ports};
use region::{Family, NO_PORTS, Region, UNKNOWN_PORTS};
use table::{Key, Table};

/// Ordered rules, made ready for look-ups that take about the same time whether there are ten of them or
/// ten thousand.
#[derive(Clone, Debug)]
pub struct AccessList {
    rules: Vec<Rule>,
    default: Action,
    /// Where the rules are in the text that they are from, if they are from one.
    lines: Vec<usize>,
    v4: Table<u32>,
    v6: Table<u128>,
}

impl AccessList {
    /// How many bytes the tables of each IP version may take.
    pub const MEMORY_LIMIT: usize = 64 << 20;

    /// From the rules in their order and what happens to flows that none of them takes.
    ///
    /// # Errors
    ///
    /// [`AccessListError`] where a rule can take no flow whatever comes, or where the rules are too many.
    pub fn new(
        default: Action,
        rules: impl IntoIterator<Item = Rule>,
    ) -> Result<Self, AccessListError> {
        let rules: Vec<Rule> = rules.into_iter().collect();
        let (mut v4, mut v6) = (Vec::new(), Vec::new());
        for (number, rule) in (0..u32::MAX).zip(&rules) {
            rule.check(RuleIndex(number))?;
            v4.extend(Region::of(rule, Family::V4).into_iter().map(|it| (number, it)));
            v6.extend(Region::of(rule, Family::V6).into_iter().map(|it| (number, it)));
        }
        let v4 = Table::new(&v4, Self::MEMORY_LIMIT)?;
        let v6 = Table::new(&v6, Self::MEMORY_LIMIT)?;
        Ok(Self { rules, default, lines: Vec::new(), v4, v6 })
    }

    /// What to do with the flow whose first packet has this 5-tuple. Allocates nothing.
    ///
    /// Where the ports are not known, though the protocol has some, as in a fragment whose first one was never seen, rules
    /// that name ports are not taken for a reason to allow, but are for one to drop or reject. A later fragment of
    /// a known flow is to be judged by the 5-tuple of that flow.
    #[inline]
    pub fn decide(&self, endpoint: EndpointId, tuple: &FiveTuple) -> Decision {
        let rule = match tuple.addresses {
            Addresses::V4 { source, destination } => {
                self.v4.first(&key(endpoint, source.to_bits(), destination.to_bits(), tuple))
            }
            Addresses::V6 { source, destination } => {
                self.v6.first(&key(endpoint, source.to_bits(), destination.to_bits(), tuple))
            }
        };
        let rule = rule.map(RuleIndex);
        let action = rule.and_then(|rule| self.rule(rule)).map_or(self.default, |rule| rule.action);
        Decision { action, rule }
    }

    /// The rules in their order.
    pub fn rules(&self) -> &[Rule] {
        &self.rules
    }

    /// A rule by its place.
    #[inline]
    pub fn rule(&self, index: RuleIndex) -> Option<&Rule> {
        self.rules.get(index.index())
    }

    /// The line that a rule begins at, counted from 1, if the list is from a text.
    pub fn line(&self, index: RuleIndex) -> Option<usize> {
        self.lines.get(index.index()).copied()
    }

    /// What happens to flows that no rule takes.
    pub const fn default_action(&self) -> Action {
        self.default
    }

    /// Bytes of heap that the look-up tables take, the rules themselves not counted.
    pub fn memory(&self) -> usize {
        self.v4.memory().saturating_add(self.v6.memory())
    }
}

#[inline]
fn key<A>(endpoint: EndpointId, source: A, destination: A, tuple: &FiveTuple) -> Key<A> {
    let (source_port, destination_port) = match tuple.ports {
        Some(Ports { source, destination }) => (source.into(), destination.into()),
        None if tuple.protocol.has_ports() => (UNKNOWN_PORTS, UNKNOWN_PORTS),
        None => (NO_PORTS, NO_PORTS),
    };
    let (endpoint, protocol) = (endpoint.0, tuple.protocol.0);
    Key { endpoint, source, destination, source_port, destination_port, protocol }
}

/// What an access list says about a flow.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Decision {
    /// What to do with it.
    pub action: Action,
    /// The rule that says so, `None` for the default.
    pub rule: Option<RuleIndex>,
}

/// The place of a rule in its list. Counted from 0, written from 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct RuleIndex(u32);

impl RuleIndex {
    /// The place, counted from 0: an index into [`AccessList::rules`], or into counters of one's own.
    pub fn index(self) -> usize {
        usize::try_from(self.0).unwrap_or(usize::MAX)
    }
}

impl fmt::Display for RuleIndex {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "rule {}", u64::from(self.0).saturating_add(1))
    }
}
