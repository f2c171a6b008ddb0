use super::super::{AddressSet, Direction, Header, PortSet, Protocol, VariableError, Variables};
use crate::packet::{FiveTuple, IpProtocol};

/// The header of rules, with variables resolved.
#[derive(Debug)]
pub(in super::super) struct Ends {
    protocol: Protocol,
    source: End,
    destination: End,
    is_both: bool,
}

#[derive(Debug)]
struct End {
    addresses: Option<AddressSet>,
    ports: Option<PortSet>,
}

impl Ends {
    pub(in super::super) fn new(
        header: &Header,
        variables: &Variables,
    ) -> Result<Self, VariableError> {
        let end = |end: &super::super::Endpoint| {
            let addresses = end.addresses.resolve(variables)?;
            let ports = end.ports.resolve(variables)?;
            Ok(End {
                addresses: (!addresses.is_any()).then_some(addresses),
                ports: (!ports.is_any()).then_some(ports),
            })
        };
        Ok(Self {
            protocol: header.protocol,
            source: end(&header.source)?,
            destination: end(&header.destination)?,
            is_both: header.direction == Direction::Both,
        })
    }

    /// One of the two ports of each packet that they are for is one of these; `None` where that are many.
    pub(super) fn few_ports(&self) -> Option<&PortSet> {
        let sides = [&self.destination, &self.source].into_iter();
        sides.filter_map(|end| end.ports.as_ref()).find(|ports| is_few(ports))
    }

    /// How much they leave out, roughly: of several, those that leave out least are asked first.
    pub(super) fn narrowness(&self) -> usize {
        let of_end = |end: &End| {
            usize::from(end.addresses.is_some()).saturating_add(end.ports.is_some().into())
        };
        let is_any = self.protocol == Protocol::Ip;
        of_end(&self.source)
            .saturating_add(of_end(&self.destination))
            .saturating_add((!is_any).into())
    }

    /// Whether a packet with these ends is one that they are for.
    pub(in super::super) fn are_of(&self, tuple: &FiveTuple) -> bool {
        self.is_protocol(tuple)
            && (self.is_way(tuple) || self.is_both && self.is_way(&turned(tuple)))
    }

    /// Whether a packet of the flow may be, one way or the other.
    pub(in super::super) fn are_of_flow(&self, tuple: &FiveTuple) -> bool {
        self.is_protocol(tuple) && (self.is_way(tuple) || self.is_way(&turned(tuple)))
    }

    fn is_way(&self, tuple: &FiveTuple) -> bool {
        let ports = tuple.ports;
        self.source.has(tuple.source(), ports.map(|ports| ports.source))
            && self.destination.has(tuple.destination(), ports.map(|ports| ports.destination))
    }

    fn is_protocol(&self, tuple: &FiveTuple) -> bool {
        let (protocol, is_four) = (tuple.protocol, tuple.source().is_ipv4());
        match self.protocol {
            Protocol::Ip | Protocol::PacketHeader => true,
            Protocol::Ipv4 => is_four,
            Protocol::Ipv6 => !is_four,
            Protocol::Tcp | Protocol::TcpPacket | Protocol::TcpStream => {
                protocol == IpProtocol::TCP
            }
            Protocol::Udp => protocol == IpProtocol::UDP,
            Protocol::Icmp => matches!(protocol, IpProtocol::ICMP | IpProtocol::ICMPV6),
            Protocol::Icmpv4 => protocol == IpProtocol::ICMP,
            Protocol::Icmpv6 => protocol == IpProtocol::ICMPV6,
            Protocol::Sctp => protocol == IpProtocol::SCTP,
            Protocol::Application(_) => matches!(protocol, IpProtocol::TCP | IpProtocol::UDP),
        }
    }
}

impl End {
    fn has(&self, address: core::net::IpAddr, port: Option<u16>) -> bool {
        self.ports.as_ref().is_none_or(|ports| port.is_none_or(|port| ports.contains(port)))
            && self.addresses.as_ref().is_none_or(|addresses| addresses.contains(address))
    }
}

/// Whether most flows have other ports.
fn is_few(ports: &PortSet) -> bool {
    const FEW: usize = 1 << 10;
    let len = |(first, last): &(u16, u16)| usize::from(last.abs_diff(*first)).saturating_add(1);
    ports.ranges().iter().map(len).sum::<usize>() <= FEW
}

fn turned(tuple: &FiveTuple) -> FiveTuple {
    tuple.reversed()
}
