use core::fmt;

/// What an IP packet carries: the IPv4 protocol field or an IPv6 next header value (IANA Assigned Internet
/// Protocol Numbers). Every value can be held, known or not.
///
/// ```
/// use gwlb_geneve::packet::IpProtocol;
///
/// assert_eq!(IpProtocol::TCP, IpProtocol(6));
/// assert_eq!(IpProtocol::TCP.to_string(), "TCP");
/// assert_eq!(IpProtocol(200).to_string(), "200");
/// ```
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct IpProtocol(pub u8);

impl IpProtocol {
    /// IPv6 hop-by-hop options (extension header, RFC 8200 §4.3).
    pub const HOP_BY_HOP: Self = Self(0);
    /// ICMP for IPv4 (RFC 792).
    pub const ICMP: Self = Self(1);
    /// IPv4 in IP (RFC 2003).
    pub const IPV4: Self = Self(4);
    /// TCP (RFC 9293).
    pub const TCP: Self = Self(6);
    /// UDP (RFC 768).
    pub const UDP: Self = Self(17);
    /// DCCP (RFC 4340).
    pub const DCCP: Self = Self(33);
    /// IPv6 in IP (RFC 2473, RFC 4213).
    pub const IPV6: Self = Self(41);
    /// IPv6 routing header (extension header, RFC 8200 §4.4).
    pub const ROUTING: Self = Self(43);
    /// IPv6 fragment header (extension header, RFC 8200 §4.5).
    pub const FRAGMENT: Self = Self(44);
    /// GRE (RFC 2784).
    pub const GRE: Self = Self(47);
    /// Encapsulating Security Payload (RFC 4303): what follows is encrypted.
    pub const ESP: Self = Self(50);
    /// Authentication Header (RFC 4302); an extension header in IPv6.
    pub const AH: Self = Self(51);
    /// ICMP for IPv6 (RFC 4443).
    pub const ICMPV6: Self = Self(58);
    /// Nothing follows (RFC 8200 §4.7).
    pub const NO_NEXT: Self = Self(59);
    /// IPv6 destination options (extension header, RFC 8200 §4.6).
    pub const DESTINATION_OPTIONS: Self = Self(60);
    /// SCTP (RFC 9260).
    pub const SCTP: Self = Self(132);
    /// IPv6 mobility header (extension header, RFC 6275 §6.1).
    pub const MOBILITY: Self = Self(135);
    /// UDP-Lite (RFC 3828).
    pub const UDP_LITE: Self = Self(136);
    /// Host Identity Protocol (extension header in IPv6, RFC 7401 §5.1).
    pub const HIP: Self = Self(139);
    /// Shim6 (extension header, RFC 5533 §5.1).
    pub const SHIM6: Self = Self(140);

    /// Whether this is an IPv6 extension header that says itself where the next header starts.
    pub const fn is_extension_header(self) -> bool {
        matches!(
            self,
            Self::HOP_BY_HOP
                | Self::ROUTING
                | Self::FRAGMENT
                | Self::AH
                | Self::DESTINATION_OPTIONS
                | Self::MOBILITY
                | Self::HIP
                | Self::SHIM6
        )
    }

    /// Whether the header starts with a source and a destination port: TCP, UDP, UDP-Lite, SCTP and DCCP.
    pub const fn has_ports(self) -> bool {
        matches!(self, Self::TCP | Self::UDP | Self::UDP_LITE | Self::SCTP | Self::DCCP)
    }

    const fn name(self) -> Option<&'static str> {
        Some(match self {
            Self::HOP_BY_HOP => "IPv6-Hopopt",
            Self::ICMP => "ICMP",
            Self::IPV4 => "IPv4",
            Self::TCP => "TCP",
            Self::UDP => "UDP",
            Self::DCCP => "DCCP",
            Self::IPV6 => "IPv6",
            Self::ROUTING => "IPv6-Route",
            Self::FRAGMENT => "IPv6-Frag",
            Self::GRE => "GRE",
            Self::ESP => "ESP",
            Self::AH => "AH",
            Self::ICMPV6 => "ICMPv6",
            Self::NO_NEXT => "IPv6-NoNxt",
            Self::DESTINATION_OPTIONS => "IPv6-Opts",
            Self::SCTP => "SCTP",
            Self::MOBILITY => "Mobility",
            Self::UDP_LITE => "UDP-Lite",
            Self::HIP => "HIP",
            Self::SHIM6 => "Shim6",
            _ => return None,
        })
    }
}

impl fmt::Display for IpProtocol {
    /// The protocol's name, or its number where it has none here.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.name() {
            Some(name) => f.pad(name),
            None => fmt::Display::fmt(&self.0, f),
        }
    }
}

impl fmt::Debug for IpProtocol {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "IpProtocol({self})")
    }
}
