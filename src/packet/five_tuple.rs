use core::fmt;
use core::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use super::{IpPacket, IpProtocol, ParseError};

/// Who talks to whom: addresses, protocol, and ports where there are any.
///
/// TCP, UDP, UDP-Lite, SCTP and DCCP have ports. Other protocols, ICMP among them, and fragments after the first
/// have none.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct FiveTuple {
    /// Source and destination address.
    pub addresses: Addresses,
    /// The upper-layer protocol.
    pub protocol: IpProtocol,
    /// Source and destination port.
    pub ports: Option<Ports>,
}

impl FiveTuple {
    /// Checks an IP packet and its transport header, and takes the five fields out.
    ///
    /// The answer, error or not, is always that of [`IpPacket::parse`] and [`IpPacket::five_tuple`]. Packets of TCP
    /// and UDP without IPv4 options, fragmentation and extension headers take a straight way to it: see
    /// `Straight ways` in the source for what it costs.
    ///
    /// # Errors
    ///
    /// Those of [`IpPacket::parse`] and [`IpPacket::transport`].
    #[inline]
    pub fn parse(ip: &[u8]) -> Result<Self, ParseError> {
        let straight = match ip.first() {
            Some(0x45) => Self::straight_ipv4(ip),
            Some(_) => Self::straight_ipv6(ip),
            None => None,
        };
        match straight {
            Some(tuple) => Ok(tuple),
            None => Self::parse_any(ip),
        }
    }

    /// Source address.
    pub const fn source(&self) -> IpAddr {
        match self.addresses {
            Addresses::V4 { source, .. } => IpAddr::V4(source),
            Addresses::V6 { source, .. } => IpAddr::V6(source),
        }
    }

    /// Destination address.
    pub const fn destination(&self) -> IpAddr {
        match self.addresses {
            Addresses::V4 { destination, .. } => IpAddr::V4(destination),
            Addresses::V6 { destination, .. } => IpAddr::V6(destination),
        }
    }

    /// The same conversation seen from the other side.
    #[must_use]
    pub fn reversed(&self) -> Self {
        Self {
            addresses: self.addresses.reversed(),
            protocol: self.protocol,
            ports: self.ports.map(Ports::reversed),
        }
    }

    /// Every packet, layer by layer.
    #[cold]
    #[inline(never)]
    pub(super) fn parse_any(ip: &[u8]) -> Result<Self, ParseError> {
        IpPacket::parse(ip)?.five_tuple()
    }
}

/// Straight ways: `None` means "not this shape", never "wrong".
impl FiveTuple {
    #[inline(always)]
    fn straight_ipv4(ip: &[u8]) -> Option<Self> {
        let head = ip.first_chunk::<28>()?;
        let total_len = usize::from(u16::from_be_bytes([head[2], head[3]]));
        let fragmented = u16::from_be_bytes([head[6], head[7]]) & 0x3fff != 0;
        if head[0] != 0x45 || fragmented || total_len > ip.len() {
            return None;
        }
        let protocol = IpProtocol(head[9]);
        let whole = match protocol {
            IpProtocol::TCP => tcp_fits(ip.get(32)?, total_len, 20),
            IpProtocol::UDP => udp_fits([head[24], head[25]], total_len, 20),
            _ => false,
        };
        whole.then_some(Self {
            addresses: Addresses::V4 {
                source: Ipv4Addr::new(head[12], head[13], head[14], head[15]),
                destination: Ipv4Addr::new(head[16], head[17], head[18], head[19]),
            },
            protocol,
            ports: Some(Ports {
                source: u16::from_be_bytes([head[20], head[21]]),
                destination: u16::from_be_bytes([head[22], head[23]]),
            }),
        })
    }

    #[inline(always)]
    fn straight_ipv6(ip: &[u8]) -> Option<Self> {
        let (head, upper) = ip.split_first_chunk::<40>()?;
        let (ports, _) = upper.split_first_chunk::<8>()?;
        let total_len = usize::from(u16::from_be_bytes([head[4], head[5]])).wrapping_add(40);
        if head[0] >> 4 != 6 || total_len > ip.len() {
            return None;
        }
        let protocol = IpProtocol(head[6]);
        let whole = match protocol {
            IpProtocol::TCP => tcp_fits(upper.get(12)?, total_len, 40),
            IpProtocol::UDP => udp_fits([ports[4], ports[5]], total_len, 40),
            _ => false,
        };
        let (source, destination) = head.split_last_chunk::<32>()?.1.split_first_chunk::<16>()?;
        whole.then_some(Self {
            addresses: Addresses::V6 {
                source: Ipv6Addr::from(*source),
                destination: Ipv6Addr::from(*destination.first_chunk::<16>()?),
            },
            protocol,
            ports: Some(Ports {
                source: u16::from_be_bytes([ports[0], ports[1]]),
                destination: u16::from_be_bytes([ports[2], ports[3]]),
            }),
        })
    }
}

/// Whether a TCP header with this data offset byte fits between the end of the IP header and of the packet.
#[inline(always)]
fn tcp_fits(data_offset: &u8, total_len: usize, ip_header: usize) -> bool {
    let header_len = usize::from(data_offset >> 4) << 2;
    header_len >= 20 && header_len.wrapping_add(ip_header) <= total_len
}

/// Whether a datagram with this length field fits between the end of the IP header and of the packet.
#[inline(always)]
fn udp_fits(length: [u8; 2], total_len: usize, ip_header: usize) -> bool {
    let length = usize::from(u16::from_be_bytes(length));
    length >= 8 && length.wrapping_add(ip_header) <= total_len
}

impl fmt::Display for FiveTuple {
    /// `TCP 192.0.2.1:49152 -> 198.51.100.2:443`, `ICMPv6 2001:db8::1 -> 2001:db8::2`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (protocol, source, destination) = (self.protocol, self.source(), self.destination());
        match (self.addresses, self.ports) {
            (_, None) => write!(f, "{protocol} {source} -> {destination}"),
            (Addresses::V4 { .. }, Some(ports)) => {
                write!(
                    f,
                    "{protocol} {source}:{} -> {destination}:{}",
                    ports.source, ports.destination
                )
            }
            (Addresses::V6 { .. }, Some(ports)) => write!(
                f,
                "{protocol} [{source}]:{} -> [{destination}]:{}",
                ports.source, ports.destination
            ),
        }
    }
}

/// Source and destination address, of one IP version.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Addresses {
    /// IPv4.
    V4 {
        /// Who sends.
        source: Ipv4Addr,
        /// Who shall receive.
        destination: Ipv4Addr,
    },
    /// IPv6.
    V6 {
        /// Who sends.
        source: Ipv6Addr,
        /// Who shall receive.
        destination: Ipv6Addr,
    },
}

impl Addresses {
    /// Source and destination swapped.
    #[must_use]
    pub const fn reversed(self) -> Self {
        match self {
            Self::V4 { source, destination } => {
                Self::V4 { source: destination, destination: source }
            }
            Self::V6 { source, destination } => {
                Self::V6 { source: destination, destination: source }
            }
        }
    }
}

/// Source and destination port.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Ports {
    /// The sender's.
    pub source: u16,
    /// The receiver's.
    pub destination: u16,
}

impl Ports {
    /// The first four bytes of a transport header.
    pub(super) fn first_of(bytes: &[u8]) -> Option<Self> {
        let &[a, b, c, d] = bytes.first_chunk()?;
        Some(Self { source: u16::from_be_bytes([a, b]), destination: u16::from_be_bytes([c, d]) })
    }

    /// Source and destination swapped.
    #[must_use]
    pub const fn reversed(self) -> Self {
        Self { source: self.destination, destination: self.source }
    }
}
