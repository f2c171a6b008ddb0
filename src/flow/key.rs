use core::fmt;
use core::hash::{Hash, Hasher};
use core::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use super::PacketFlow;
use crate::gwlb::EndpointId;
use crate::packet::{
    Addresses, FiveTuple, IpPacket, IpProtocol, ParseError, Ports, cut, straight_head_ipv4,
    straight_head_ipv6,
};

/// Whose flow: the endpoint it came through (or the group of endpoints), and the two ends that talk.
///
/// Both directions have the same key: the ends stand in the order of their addresses and, where those are equal,
/// of their ports. Which way a packet went is told by the [`Direction`] beside the key. The endpoint is part of
/// it because tenants' addresses overlap; cookie and attachment are not, because they may change within a flow.
///
/// Protocols without ports have a key of addresses and protocol, ICMP echo one with the identifier in addition
/// ([`echo`](Self::echo)).
///
/// ```
/// use gwlb_geneve::flow::{Direction, FlowKey};
/// use gwlb_geneve::gwlb::EndpointId;
/// use gwlb_geneve::packet::{Addresses, FiveTuple, IpProtocol, Ports};
///
/// let request = FiveTuple {
///     addresses: Addresses::V4 { source: [10, 0, 0, 9].into(), destination: [10, 0, 0, 1].into() },
///     protocol: IpProtocol::TCP,
///     ports: Some(Ports { source: 49_152, destination: 443 }),
/// };
/// let (key, direction) = FlowKey::new(EndpointId(1), &request);
/// assert_eq!(key.to_string(), "vpce-00000001 TCP 10.0.0.1:443 <-> 10.0.0.9:49152");
/// assert_eq!(direction, Direction::Reverse);
/// assert_eq!(FlowKey::new(EndpointId(1), &request.reversed()), (key, Direction::Forward));
/// ```
#[derive(Clone, Copy, Eq)]
pub struct FlowKey {
    /// The endpoint; [ports, protocol and shape](Self::tail); the lower and the higher address. 48 bytes that
    /// are compared and hashed as they are. IPv4 needs the first three words, the others are zero then.
    words: [u64; 6],
}

/// Which way a packet goes, seen from its [`FlowKey`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Direction {
    /// From the lower end to the higher one.
    Forward,
    /// From the higher end to the lower one.
    Reverse,
}

/// What a key has beside addresses and protocol.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Shape {
    /// Nothing.
    Bare = 0,
    /// Two ports.
    Ports = 1,
    /// An ICMP identifier, in the place of both ports.
    Echo = 2,
}

impl FlowKey {
    /// The key of no flow.
    #[cfg(feature = "std")]
    pub(crate) const NONE: Self = Self { words: [0; 6] };

    /// The key of a 5-tuple, or of a 3-tuple where it has no ports, and the direction of the packet it is from.
    ///
    /// [`PacketFlow::of`](super::PacketFlow::of) does the same for a whole packet, ICMP and fragments included.
    #[inline]
    pub fn new(endpoint: EndpointId, tuple: &FiveTuple) -> (Self, Direction) {
        let shape = if tuple.ports.is_some() { Shape::Ports } else { Shape::Bare };
        let ports = tuple.ports.unwrap_or(Ports { source: 0, destination: 0 });
        Self::shaped(endpoint, tuple.addresses, tuple.protocol, shape, ports)
    }

    /// The key of the flow of a whole packet, and its direction: [`PacketFlow::of`](super::PacketFlow::of) in short. TCP
    /// and UDP in the usual shape go straight from the bytes of the headers to the words of the key.
    ///
    /// # Errors
    ///
    /// Those of [`IpPacket::parse`] and [`IpPacket::transport`](crate::packet::IpPacket::transport).
    #[inline]
    pub fn parse(endpoint: EndpointId, ip: &[u8]) -> Result<(Self, Direction), ParseError> {
        match Self::straight(endpoint, ip) {
            Some(found) => Ok(found),
            None => Self::parse_any(endpoint, ip),
        }
    }

    #[cold]
    #[inline(never)]
    fn parse_any(endpoint: EndpointId, ip: &[u8]) -> Result<(Self, Direction), ParseError> {
        let flow = PacketFlow::of(endpoint, &IpPacket::parse(ip)?)?;
        Ok((flow.key, flow.direction))
    }

    /// `None` says nothing about packets that are not of the usual shape.
    #[inline(always)]
    pub(crate) fn straight(endpoint: EndpointId, ip: &[u8]) -> Option<(Self, Direction)> {
        if let Some(head) = straight_head_ipv4(ip) {
            let addresses = u64::from_be_bytes(cut::<12, 8>(head)?);
            let ports = u32::from_be_bytes(cut::<20, 4>(head)?);
            let (turned, ports_turned) = (addresses.rotate_left(32), ports.rotate_left(16));
            // One comparison of 128 bits: no branch, and the ports count where the addresses are equal.
            let in_order = wide(addresses, ports) <= wide(turned, ports_turned);
            let addresses = if in_order { addresses } else { turned };
            let ports = if in_order { ports } else { ports_turned };
            let tail = tail_of(ports, head[9], 4);
            let key = Self { words: [endpoint.0, tail, addresses, 0, 0, 0] };
            return Some((key, Direction::of(in_order)));
        }
        let head = straight_head_ipv6(ip)?;
        let [a, b] = halves(u128::from_be_bytes(cut::<8, 16>(head)?));
        let [c, d] = halves(u128::from_be_bytes(cut::<24, 16>(head)?));
        let ports = u32::from_be_bytes(cut::<40, 4>(head)?);
        let in_order = match (a == c, b == d) {
            (true, true) => ports >> 16 <= ports & 0xffff,
            (true, false) => b < d,
            (false, _) => a < c,
        };
        // Without a branch: which end is the lower one is anyone's guess.
        let mask = u64::from(in_order).wrapping_sub(1);
        let (x, y) = ((a ^ c) & mask, (b ^ d) & mask);
        let ports = if in_order { ports } else { ports.rotate_left(16) };
        let tail = tail_of(ports, head[6], 6);
        let key = Self { words: [endpoint.0, tail, a ^ x, b ^ y, c ^ x, d ^ y] };
        Some((key, Direction::of(in_order)))
    }

    /// The key of ICMP echo requests and replies with this identifier.
    pub fn echo(
        endpoint: EndpointId,
        addresses: Addresses,
        protocol: IpProtocol,
        identifier: u16,
    ) -> (Self, Direction) {
        let ports = Ports { source: identifier, destination: identifier };
        Self::shaped(endpoint, addresses, protocol, Shape::Echo, ports)
    }

    #[inline(always)]
    fn shaped(
        endpoint: EndpointId,
        addresses: Addresses,
        protocol: IpProtocol,
        shape: Shape,
        ports: Ports,
    ) -> (Self, Direction) {
        let (source, destination) = (u64::from(ports.source), u64::from(ports.destination));
        let tail = u64::from(protocol.0) << 16 | (shape as u64) << 8;
        match addresses {
            Addresses::V4 { source: from, destination: to } => {
                let from = u64::from(u32::from(from)) << 16 | source;
                let to = u64::from(u32::from(to)) << 16 | destination;
                let (low, high, direction) = in_order(from, to);
                let tail = low << 48 | (high & 0xffff) << 32 | tail | 4;
                let addresses = (low >> 16) << 32 | high >> 16;
                (Self { words: [endpoint.0, tail, addresses, 0, 0, 0] }, direction)
            }
            Addresses::V6 { source: from, destination: to } => {
                let from = (u128::from(from), source);
                let to = (u128::from(to), destination);
                let (low, high, direction) = in_order(from, to);
                let tail = low.1 << 48 | high.1 << 32 | tail | 6;
                let [low1, low0] = halves(low.0);
                let [high1, high0] = halves(high.0);
                (Self { words: [endpoint.0, tail, low1, low0, high1, high0] }, direction)
            }
        }
    }

    /// The key of the same flow inside tunnels, of which `digest` is a short hash of their ends: what passes in a tunnel is
    /// no part of what goes on outside it.
    #[cfg(feature = "alloc")]
    #[must_use]
    pub(crate) fn in_tunnel(mut self, digest: u16) -> Self {
        let [_, tail, ..] = &mut self.words;
        let digest = u64::from(digest.max(1));
        *tail |= (digest & 0xff00) << 16 | (digest & 0xf0) << 8 | (digest & 0xf) << 4;
        self
    }

    /// Whether one of the ends has this port.
    #[cfg(feature = "live")]
    pub(crate) const fn has_port(&self, port: u16) -> bool {
        let Ports { source, destination } = self.ports();
        source == port || destination == port
    }

    /// The endpoint, or what stands for its group.
    pub const fn endpoint(&self) -> EndpointId {
        let [endpoint, ..] = self.words;
        EndpointId(endpoint)
    }

    /// The upper-layer protocol.
    pub const fn protocol(&self) -> IpProtocol {
        let [_, _, _, _, _, protocol, _, _] = self.tail().to_be_bytes();
        IpProtocol(protocol)
    }

    /// Whether the addresses are IPv6.
    pub const fn is_ipv6(&self) -> bool {
        // 4 or 6: one bit.
        self.tail() & 2 != 0
    }

    /// The identifier of an ICMP echo flow.
    pub const fn echo_identifier(&self) -> Option<u16> {
        match self.shape() {
            Shape::Echo => Some(self.ports().source),
            Shape::Bare | Shape::Ports => None,
        }
    }

    /// The 5-tuple of the flow's packets in one direction. ICMP has no ports, with or without an identifier.
    pub fn five_tuple(&self, direction: Direction) -> FiveTuple {
        let [_, _, a, b, c, d] = self.words;
        let addresses = if self.is_ipv6() {
            Addresses::V6 { source: ipv6(a, b), destination: ipv6(c, d) }
        } else {
            let [low, high] = ipv4_pair(a);
            Addresses::V4 { source: low, destination: high }
        };
        let forward = FiveTuple {
            addresses,
            protocol: self.protocol(),
            ports: match self.shape() {
                Shape::Ports => Some(self.ports()),
                Shape::Bare | Shape::Echo => None,
            },
        };
        match direction {
            Direction::Forward => forward,
            Direction::Reverse => forward.reversed(),
        }
    }

    /// Sixteen bits of all of it. Not keyed: who can choose the ends can make it come out as he likes.
    #[cfg(feature = "alloc")]
    pub(crate) fn short_hash(&self) -> u16 {
        let mixed = self.words.iter().fold(0_u64, |hash, word| {
            (hash ^ word).wrapping_mul(0x9e37_79b9_7f4a_7c15).rotate_left(29)
        });
        let [a, b, ..] = mixed.wrapping_mul(0x9e37_79b9_7f4a_7c15).to_be_bytes();
        u16::from_be_bytes([a, b])
    }

    /// The 48 bytes as six words; of IPv4 the last three are zero.
    #[inline]
    pub(super) const fn words(&self) -> &[u64; 6] {
        &self.words
    }

    /// From the most significant bit: the lower end's port (16 bits), the higher end's (16), the tunnels around it (8), the
    /// protocol (8), tunnels (4), the shape (4), tunnels (4), the IP version (4). Of no tunnels, these are zero.
    #[inline]
    const fn tail(&self) -> u64 {
        let [_, tail, ..] = self.words;
        tail
    }

    const fn shape(&self) -> Shape {
        match (self.tail() >> 8) & 0xf {
            0 => Shape::Bare,
            1 => Shape::Ports,
            _ => Shape::Echo,
        }
    }

    const fn ports(&self) -> Ports {
        let [a, b, c, d, ..] = self.tail().to_be_bytes();
        Ports { source: u16::from_be_bytes([a, b]), destination: u16::from_be_bytes([c, d]) }
    }
}

impl PartialEq for FlowKey {
    /// Without a branch and in place: for 48 bytes the derived one is a call of `memcmp`.
    #[inline]
    fn eq(&self, other: &Self) -> bool {
        let words = self.words.iter().zip(&other.words);
        words.fold(0, |different, (a, b)| different | (a ^ b)) == 0
    }
}

impl Hash for FlowKey {
    #[inline]
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.words.hash(state);
    }
}

/// See [`FlowKey::tail`]; of a key with ports.
#[inline(always)]
const fn tail_of(ports: u32, protocol: u8, version: u64) -> u64 {
    (ports as u64) << 32 | (protocol as u64) << 16 | (Shape::Ports as u64) << 8 | version
}

#[inline(always)]
fn wide(upper: u64, lower: u32) -> u128 {
    u128::from(upper) << 64 | u128::from(lower)
}

#[inline(always)]
fn in_order<T: PartialOrd>(from: T, to: T) -> (T, T, Direction) {
    if from <= to { (from, to, Direction::Forward) } else { (to, from, Direction::Reverse) }
}

#[inline(always)]
const fn halves(address: u128) -> [u64; 2] {
    let [a, b, c, d, e, f, g, h, rest @ ..] = address.to_be_bytes();
    [u64::from_be_bytes([a, b, c, d, e, f, g, h]), u64::from_be_bytes(rest)]
}

fn ipv6(upper: u64, lower: u64) -> Ipv6Addr {
    Ipv6Addr::from(u128::from(upper) << 64 | u128::from(lower))
}

fn ipv4_pair(addresses: u64) -> [Ipv4Addr; 2] {
    let [a, b, c, d, e, f, g, h] = addresses.to_be_bytes();
    [Ipv4Addr::new(a, b, c, d), Ipv4Addr::new(e, f, g, h)]
}

impl fmt::Display for FlowKey {
    /// `vpce-1a2b3c4d TCP 10.0.0.1:443 <-> 10.0.0.9:49152`, `vpce-1a2b3c4d ICMPv6 2001:db8::1 <-> 2001:db8::2 id 7`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let tuple = self.five_tuple(Direction::Forward);
        let (low, high) = (tuple.source(), tuple.destination());
        write!(f, "{} {} ", self.endpoint(), tuple.protocol)?;
        match (tuple.ports, low, high) {
            (Some(ports), IpAddr::V4(_), IpAddr::V4(_)) => {
                write!(f, "{low}:{} <-> {high}:{}", ports.source, ports.destination)
            }
            (Some(ports), ..) => {
                write!(f, "[{low}]:{} <-> [{high}]:{}", ports.source, ports.destination)
            }
            (None, ..) => write!(f, "{low} <-> {high}"),
        }?;
        match self.echo_identifier() {
            Some(identifier) => write!(f, " id {identifier}"),
            None => Ok(()),
        }
    }
}

impl fmt::Debug for FlowKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "FlowKey({self})")
    }
}

impl Direction {
    /// Whether the ends of a packet stand in the order of the key.
    #[inline(always)]
    const fn of(in_order: bool) -> Self {
        if in_order { Self::Forward } else { Self::Reverse }
    }

    /// The other one.
    #[must_use]
    pub const fn reversed(self) -> Self {
        match self {
            Self::Forward => Self::Reverse,
            Self::Reverse => Self::Forward,
        }
    }
}

#[cfg(all(test, feature = "alloc"))]
mod tests {
    use super::*;

    #[test]
    fn tunnels_change_nothing_else_of_a_key() {
        use alloc::collections::BTreeSet;

        let v4 = Addresses::V4 { source: [10, 0, 0, 9].into(), destination: [10, 0, 0, 1].into() };
        let v6 = Addresses::V6 { source: 9.into(), destination: 1.into() };
        let with = |addresses, protocol, ports| {
            FlowKey::new(EndpointId(1), &FiveTuple { addresses, protocol, ports }).0
        };
        let ports = Some(Ports { source: 0xffff, destination: 0xfffe });
        let keys = [
            with(v4, IpProtocol::TCP, ports),
            with(v6, IpProtocol(255), None),
            FlowKey::echo(EndpointId(1), v6, IpProtocol::ICMPV6, 0xffff).0,
        ];
        for key in keys {
            let said = |key: &FlowKey| {
                let tuple = key.five_tuple(Direction::Reverse);
                (key.endpoint(), tuple, key.echo_identifier(), key.is_ipv6())
            };
            let mut found = BTreeSet::from([key.words]);
            for digest in 1..=u16::MAX {
                let inside = key.in_tunnel(digest);
                assert_eq!(said(&inside), said(&key), "{digest:#x}");
                assert!(found.insert(inside.words), "{digest:#x}");
            }
            assert_eq!(key.in_tunnel(0), key.in_tunnel(1));
        }
    }
}
