use super::{AddressExpression, PortExpression};

/// What stands before the options: which packets a rule is for.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Header {
    /// The protocol.
    pub protocol: Protocol,
    /// Left of the arrow.
    pub source: Endpoint,
    /// The arrow.
    pub direction: Direction,
    /// Right of it.
    pub destination: Endpoint,
}

/// One side of the arrow. Variables are not resolved yet, as they may differ from endpoint to endpoint:
/// [`AddressExpression::resolve`] and [`PortExpression::resolve`] do.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Endpoint {
    /// Addresses.
    pub addresses: AddressExpression,
    /// Ports; not asked where the packet has none.
    pub ports: PortExpression,
}

/// Which packets the ends are compared with.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Direction {
    /// `->`: those from the left to the right.
    Forward,
    /// `<>`: also those from the right to the left.
    Both,
}

/// The protocol in a rule's header.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Protocol {
    /// `ip`, `any`: whatever is in IP.
    Ip,
    /// `ipv4`, `ip4`: whatever is in IPv4.
    Ipv4,
    /// `ipv6`, `ip6`: whatever is in IPv6.
    Ipv6,
    /// `pkthdr`: also packets that are broken behind their IP header.
    PacketHeader,
    /// `tcp`: the payload is looked at in packets and in the stream.
    Tcp,
    /// `tcp-pkt`: TCP, only the payload of packets.
    TcpPacket,
    /// `tcp-stream`: TCP, only the stream.
    TcpStream,
    /// `udp`
    Udp,
    /// `icmp`: ICMP for either IP version.
    Icmp,
    /// `icmpv4`
    Icmpv4,
    /// `icmpv6`
    Icmpv6,
    /// `sctp`
    Sctp,
    /// A protocol above TCP or UDP, recognised by what is said and not by ports.
    Application(ApplicationProtocol),
}

impl Protocol {
    /// Each with its name in rules, but those above TCP and UDP.
    pub const NAMES: [(&'static str, Self); 12] = [
        ("ip", Self::Ip),
        ("ipv4", Self::Ipv4),
        ("ipv6", Self::Ipv6),
        ("pkthdr", Self::PacketHeader),
        ("tcp", Self::Tcp),
        ("tcp-pkt", Self::TcpPacket),
        ("tcp-stream", Self::TcpStream),
        ("udp", Self::Udp),
        ("icmp", Self::Icmp),
        ("icmpv4", Self::Icmpv4),
        ("icmpv6", Self::Icmpv6),
        ("sctp", Self::Sctp),
    ];
}

/// A protocol above TCP and UDP.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[non_exhaustive]
pub enum ApplicationProtocol {
    /// `http`, `http1`
    Http,
    /// `tls`, `ssl`
    Tls,
    /// `dns`, over UDP and TCP.
    Dns,
    /// `smtp`
    Smtp,
    /// `ftp`: the control connection.
    Ftp,
    /// `ftp-data`: what a control connection announced.
    FtpData,
    /// `ssh`
    Ssh,
}

impl ApplicationProtocol {
    /// Each with its name in rules.
    pub const NAMES: [(&'static str, Self); 7] = [
        ("http", Self::Http),
        ("tls", Self::Tls),
        ("dns", Self::Dns),
        ("smtp", Self::Smtp),
        ("ftp", Self::Ftp),
        ("ftp-data", Self::FtpData),
        ("ssh", Self::Ssh),
    ];
}
