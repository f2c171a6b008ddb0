use alloc::string::String;
use alloc::vec::Vec;
use core::net::IpAddr;

use super::region::{Family, Region};
use super::{AccessListError, IpNetwork, PortRange, RuleIndex};
use crate::gwlb::EndpointId;
use crate::packet::{FiveTuple, IpProtocol};

/// One line of an access list: what it is about, and what to do with it.
///
/// Each list of a rule names what it takes, any one of them; an empty list takes everything. A rule that names
/// networks takes only flows of their IP version, one that names ports only flows that have ports. Where a packet does
/// not say which ports its flow has, a rule that drops or rejects takes it whatever ports it names, and one that
/// allows does not.
///
/// ```
/// use gwlb_geneve::inspectors::access::{Action, PortRange, Rule};
/// use gwlb_geneve::packet::IpProtocol;
///
/// let rule = Rule::new(Action::Reject)
///     .name("no mail from the guests")
///     .from("10.7.0.0/16".parse()?)
///     .ports(25)
///     .ports(PortRange::new(465, 587)?)
///     .protocol(IpProtocol::TCP);
/// assert_eq!(rule.ports.len(), 2);
/// # Ok::<(), Box<dyn core::error::Error>>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rule {
    /// What it is called, or why it is there. Need not be unique.
    pub name: Option<String>,
    /// What happens to a flow that it takes.
    pub action: Action,
    /// Whether each flow that it takes is told to people, by an alert.
    pub log: bool,
    /// Which way round it is compared with the first packet of a flow.
    pub direction: Direction,
    /// Gateway Load Balancer endpoints that the flow comes through.
    pub endpoints: Vec<EndpointId>,
    /// Where the flow's first packet comes from.
    pub from: Vec<IpNetwork>,
    /// Where the flow's first packet goes to.
    pub to: Vec<IpNetwork>,
    /// Source ports of the flow's first packet.
    pub source_ports: Vec<PortRange>,
    /// Destination ports of the flow's first packet.
    pub ports: Vec<PortRange>,
    /// Upper-layer protocols.
    pub protocols: Vec<IpProtocol>,
}

/// What a rule does with a flow.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Action {
    /// Lets it pass.
    Allow,
    /// Drops it without an answer.
    Drop,
    /// Drops it and tells both ends.
    Reject,
}

/// Which flows between two sides a rule means.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Direction {
    /// Those that `from` opens to `to`.
    #[default]
    ToServer,
    /// Those that either side opens to the other; with the sides, ports change places too.
    Both,
}

impl Rule {
    /// A rule that takes every flow.
    pub const fn new(action: Action) -> Self {
        Self {
            name: None,
            action,
            log: false,
            direction: Direction::ToServer,
            endpoints: Vec::new(),
            from: Vec::new(),
            to: Vec::new(),
            source_ports: Vec::new(),
            ports: Vec::new(),
            protocols: Vec::new(),
        }
    }

    /// Sets its name.
    #[must_use]
    pub fn name(mut self, name: impl Into<String>) -> Self {
        self.name = Some(name.into());
        self
    }

    /// Tells people of each flow that it takes.
    #[must_use]
    pub fn log(mut self) -> Self {
        self.log = true;
        self
    }

    /// Takes flows that come through this endpoint, too.
    #[must_use]
    pub fn endpoint(mut self, endpoint: EndpointId) -> Self {
        self.endpoints.push(endpoint);
        self
    }

    /// Takes flows from this network, too.
    #[must_use]
    pub fn from(mut self, network: IpNetwork) -> Self {
        self.from.push(network);
        self
    }

    /// Takes flows to this network, too.
    #[must_use]
    pub fn to(mut self, network: IpNetwork) -> Self {
        self.to.push(network);
        self
    }

    /// Takes flows from these ports, too.
    #[must_use]
    pub fn source_ports(mut self, ports: impl Into<PortRange>) -> Self {
        self.source_ports.push(ports.into());
        self
    }

    /// Takes flows to these ports, too.
    #[must_use]
    pub fn ports(mut self, ports: impl Into<PortRange>) -> Self {
        self.ports.push(ports.into());
        self
    }

    /// Takes flows of this protocol, too.
    #[must_use]
    pub fn protocol(mut self, protocol: IpProtocol) -> Self {
        self.protocols.push(protocol);
        self
    }

    /// Takes flows that either side opens to the other.
    #[must_use]
    pub fn both_ways(mut self) -> Self {
        self.direction = Direction::Both;
        self
    }

    /// Whether the rule takes the flow whose first packet has this 5-tuple.
    ///
    /// An [`AccessList`](super::AccessList) comes to the same answer for all its rules at once.
    pub fn takes(&self, endpoint: EndpointId, tuple: &FiveTuple) -> bool {
        any_or(&self.endpoints, |it| *it == endpoint)
            && any_or(&self.protocols, |it| *it == tuple.protocol)
            && (self.takes_way(tuple)
                || self.direction == Direction::Both && self.takes_way(&tuple.reversed()))
    }

    /// Refuses a rule that takes no flow whatever comes.
    pub(super) fn check(&self, rule: RuleIndex) -> Result<(), AccessListError> {
        let names_ports = !self.source_ports.is_empty() || !self.ports.is_empty();
        if names_ports && !any_or(&self.protocols, |it| it.has_ports()) {
            return Err(AccessListError::NoPorts { rule });
        }
        if [Family::V4, Family::V6].iter().all(|family| Region::of(self, *family).is_empty()) {
            return Err(AccessListError::IpVersions { rule });
        }
        Ok(())
    }

    fn takes_way(&self, tuple: &FiveTuple) -> bool {
        let network = |address: IpAddr| move |it: &IpNetwork| it.contains(address);
        let unknown = tuple.ports.is_none() && tuple.protocol.has_ports();
        let taken_unknown = unknown && self.action != Action::Allow;
        let port = |port: Option<u16>| {
            move |it: &PortRange| port.map_or(taken_unknown, |port| it.contains(port))
        };
        any_or(&self.from, network(tuple.source()))
            && any_or(&self.to, network(tuple.destination()))
            && any_or(&self.source_ports, port(tuple.ports.map(|ports| ports.source)))
            && any_or(&self.ports, port(tuple.ports.map(|ports| ports.destination)))
    }
}

/// An empty list takes everything.
fn any_or<T>(list: &[T], takes: impl Fn(&T) -> bool) -> bool {
    list.is_empty() || list.iter().any(takes)
}
