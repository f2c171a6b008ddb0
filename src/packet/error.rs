use core::fmt;

/// Why bytes are no packet: what was expected, what was found, and where.
///
/// Offsets count from the first byte of the slice that was given to the outermost `parse`: for an error of
/// [`IpPacket::transport`](super::IpPacket::transport) that is the start of the IP packet, for an error of a
/// packet that an ICMP error quotes the start of the packet that carries the quote.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, thiserror::Error)]
#[non_exhaustive]
pub enum ParseError {
    /// Fewer bytes are there than the header takes.
    #[error("{layer} at offset {offset}: expected {expected} bytes, found {found}")]
    Truncated {
        /// Whose header it is.
        layer: Layer,
        /// Where the header starts.
        offset: usize,
        /// How long the header is, or its fixed part where that already does not fit.
        expected: usize,
        /// How many bytes there are.
        found: usize,
    },
    /// The version field does not say what the layer needs: 4, 6, or for [`Layer::Ip`] one of them.
    #[error("{layer} at offset {offset}: expected version {}, found {found}", layer.version())]
    Version {
        /// The header that was expected.
        layer: Layer,
        /// Where the header starts.
        offset: usize,
        /// The version found, 0–15.
        found: u8,
    },
    /// The header says that it is shorter than its fixed part (IHL, TCP data offset, AH payload length).
    #[error(
        "{layer} at offset {offset}: expected a header length of at least {minimum} bytes, found {found}"
    )]
    HeaderLength {
        /// Whose header it is.
        layer: Layer,
        /// Where the length field is.
        offset: usize,
        /// The header length found, in bytes.
        found: usize,
        /// The length of the fixed part.
        minimum: usize,
    },
    /// A length field (IPv4 total length, IPv6 payload length, UDP length) is less than the header that it
    /// includes, or more than the bytes there are.
    #[error("{layer} length at offset {offset}: expected {minimum} to {maximum}, found {found}")]
    Length {
        /// Whose length it is.
        layer: Layer,
        /// Where the length field is.
        offset: usize,
        /// The length found, in bytes.
        found: usize,
        /// The least that would be right.
        minimum: usize,
        /// The most that would be right.
        maximum: usize,
    },
    /// An IPv6 jumbo payload option (RFC 2675): that of a jumbogram, whose payload length is zero, or one beside
    /// another payload length (§3).
    #[error(
        "IPv6 option at offset {offset}: expected no jumbo payload (jumbograms are not read), found one"
    )]
    Jumbogram {
        /// Where the option is.
        offset: usize,
    },
    /// More extension headers than [`MAX_EXTENSION_HEADERS`](super::MAX_EXTENSION_HEADERS).
    #[error("IPv6 extension header at offset {offset}: expected at most {maximum}, found one more")]
    TooManyExtensionHeaders {
        /// Where the first one too many starts.
        offset: usize,
        /// How many are allowed.
        maximum: usize,
    },
    /// A hop-by-hop options header that does not follow the IPv6 header directly (RFC 8200 §4.1).
    #[error(
        "IPv6 hop-by-hop options at offset {offset}: expected directly after the IPv6 header, found later"
    )]
    HopByHopNotFirst {
        /// Where the header starts.
        offset: usize,
    },
    /// A second fragment header: what follows it belongs to no one packet.
    #[error("IPv6 fragment header at offset {offset}: expected one, found a second")]
    RepeatedFragmentHeader {
        /// Where the second header starts.
        offset: usize,
    },
    /// A fragment that would make its datagram longer than 65,535 bytes ("ping of death").
    #[error(
        "{layer} fragment at offset {offset}: expected a datagram of at most 65535 bytes, found {found}"
    )]
    FragmentEnd {
        /// IPv4 or IPv6.
        layer: Layer,
        /// Where the fragment offset field is.
        offset: usize,
        /// How long the datagram would be (for IPv6: its payload).
        found: usize,
    },
    /// A fragment that is not the last and whose data are no multiple of 8 bytes (RFC 791 §3.2, RFC 8200 §4.5).
    #[error("{layer} fragment at offset {offset}: expected a multiple of 8 bytes, found {found}")]
    FragmentLength {
        /// IPv4 or IPv6.
        layer: Layer,
        /// Where the fragment offset field is.
        offset: usize,
        /// The length of the fragment's data.
        found: usize,
    },
    /// An option with a length that it cannot have, in an IPv4 or TCP header or in an IPv6 options header.
    #[error(
        "{layer} option {kind} at offset {offset}: expected a length of {expected}, found {found}"
    )]
    OptionLength {
        /// Whose options they are: [`Layer::Ipv4`], [`Layer::Ipv6Extension`] or [`Layer::Tcp`].
        layer: Layer,
        /// Where the option starts.
        offset: usize,
        /// The option's kind.
        kind: u8,
        /// The length it has by its RFC, or the least that an option can have, or the most that there is room for.
        expected: usize,
        /// The length found, type and length byte included.
        found: usize,
    },
    /// An unknown option in an IPv6 options header, with a type for which its receiver discards the packet
    /// (RFC 8200 §4.2).
    #[error(
        "IPv6 option {kind} at offset {offset}: expected one that is known or may be skipped, found one to discard for"
    )]
    UnknownOption {
        /// Where the option starts.
        offset: usize,
        /// The option's type.
        kind: u8,
    },
    /// An IPv6 routing header of type 0 that still has stops to go to (RFC 5095).
    #[error(
        "IPv6 routing header at offset {offset}: expected no segments left in type 0, found {found}"
    )]
    SourceRoute {
        /// Where the segments left field is.
        offset: usize,
        /// How many segments are left.
        found: u8,
    },
    /// More VLAN tags than [`MAX_VLAN_TAGS`](super::MAX_VLAN_TAGS).
    #[error("VLAN tag at offset {offset}: expected at most {maximum}, found one more")]
    TooManyVlanTags {
        /// Where the first one too many starts.
        offset: usize,
        /// How many are allowed.
        maximum: usize,
    },
}

impl ParseError {
    /// The layer whose bytes are wrong.
    pub const fn layer(&self) -> Layer {
        match *self {
            Self::Truncated { layer, .. }
            | Self::Version { layer, .. }
            | Self::HeaderLength { layer, .. }
            | Self::Length { layer, .. }
            | Self::FragmentEnd { layer, .. }
            | Self::FragmentLength { layer, .. }
            | Self::OptionLength { layer, .. } => layer,
            Self::Jumbogram { .. }
            | Self::TooManyExtensionHeaders { .. }
            | Self::HopByHopNotFirst { .. }
            | Self::RepeatedFragmentHeader { .. }
            | Self::UnknownOption { .. }
            | Self::SourceRoute { .. } => Layer::Ipv6Extension,
            Self::TooManyVlanTags { .. } => Layer::Ethernet,
        }
    }

    /// Where the header or the field is that is wrong, in bytes from the start of the slice that was parsed.
    pub const fn offset(&self) -> usize {
        match *self {
            Self::Truncated { offset, .. }
            | Self::Version { offset, .. }
            | Self::HeaderLength { offset, .. }
            | Self::Length { offset, .. }
            | Self::Jumbogram { offset }
            | Self::TooManyExtensionHeaders { offset, .. }
            | Self::HopByHopNotFirst { offset }
            | Self::RepeatedFragmentHeader { offset }
            | Self::FragmentEnd { offset, .. }
            | Self::FragmentLength { offset, .. }
            | Self::OptionLength { offset, .. }
            | Self::UnknownOption { offset, .. }
            | Self::SourceRoute { offset, .. }
            | Self::TooManyVlanTags { offset, .. } => offset,
        }
    }

    /// A short name that stays the same from version to version, for counters: `ipv4-total-length`.
    pub const fn reason(&self) -> &'static str {
        match *self {
            Self::Truncated { layer, .. } => layer.truncated(),
            Self::Version { layer: Layer::Ipv4, .. } => "ipv4-version",
            Self::Version { layer: Layer::Ipv6, .. } => "ipv6-version",
            Self::Version { .. } => "ip-version",
            Self::HeaderLength { layer: Layer::Ipv4, .. } => "ipv4-header-length",
            Self::HeaderLength { layer: Layer::Tcp, .. } => "tcp-data-offset",
            Self::HeaderLength { .. } => "ipv6-extension-length",
            Self::Length { layer: Layer::Ipv4, .. } => "ipv4-total-length",
            Self::Length { layer: Layer::Ipv6, .. } => "ipv6-payload-length",
            Self::Length { .. } => "udp-length",
            Self::Jumbogram { .. } => "ipv6-jumbogram",
            Self::TooManyExtensionHeaders { .. } => "ipv6-extension-count",
            Self::HopByHopNotFirst { .. } => "ipv6-hop-by-hop-not-first",
            Self::RepeatedFragmentHeader { .. } => "ipv6-fragment-repeated",
            Self::FragmentEnd { layer: Layer::Ipv4, .. } => "ipv4-fragment-end",
            Self::FragmentEnd { .. } => "ipv6-fragment-end",
            Self::FragmentLength { layer: Layer::Ipv4, .. } => "ipv4-fragment-length",
            Self::FragmentLength { .. } => "ipv6-fragment-length",
            Self::OptionLength { layer: Layer::Ipv4, .. } => "ipv4-option-length",
            Self::OptionLength { layer: Layer::Ipv6Extension, .. } => "ipv6-option-length",
            Self::OptionLength { .. } => "tcp-option-length",
            Self::UnknownOption { .. } => "ipv6-option-unknown",
            Self::SourceRoute { .. } => "ipv6-source-route",
            Self::TooManyVlanTags { .. } => "vlan-tag-count",
        }
    }

    /// The same error of a packet that starts `by` bytes further in.
    pub(crate) fn shifted(mut self, by: usize) -> Self {
        match &mut self {
            Self::Truncated { offset, .. }
            | Self::Version { offset, .. }
            | Self::HeaderLength { offset, .. }
            | Self::Length { offset, .. }
            | Self::Jumbogram { offset }
            | Self::TooManyExtensionHeaders { offset, .. }
            | Self::HopByHopNotFirst { offset }
            | Self::RepeatedFragmentHeader { offset }
            | Self::FragmentEnd { offset, .. }
            | Self::FragmentLength { offset, .. }
            | Self::OptionLength { offset, .. }
            | Self::UnknownOption { offset, .. }
            | Self::SourceRoute { offset, .. }
            | Self::TooManyVlanTags { offset, .. } => *offset = offset.saturating_add(by),
        }
        self
    }
}

/// The layer of a packet that an error is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[non_exhaustive]
pub enum Layer {
    /// The Ethernet header and its VLAN tags.
    Ethernet,
    /// An IP header whose version is not known.
    Ip,
    /// The IPv4 header.
    Ipv4,
    /// The fixed IPv6 header.
    Ipv6,
    /// An IPv6 extension header.
    Ipv6Extension,
    /// The TCP header and its options.
    Tcp,
    /// The UDP header.
    Udp,
    /// The UDP-Lite header.
    UdpLite,
    /// The SCTP common header.
    Sctp,
    /// The DCCP generic header.
    Dccp,
    /// An ICMP message over IPv4.
    Icmp,
    /// An ICMP message over IPv6.
    Icmpv6,
}

impl Layer {
    /// What its version field must say.
    const fn version(self) -> &'static str {
        match self {
            Self::Ipv4 => "4",
            Self::Ipv6 => "6",
            _ => "4 or 6",
        }
    }

    const fn truncated(self) -> &'static str {
        match self {
            Self::Ethernet => "ethernet-truncated",
            Self::Ip => "ip-truncated",
            Self::Ipv4 => "ipv4-truncated",
            Self::Ipv6 => "ipv6-truncated",
            Self::Ipv6Extension => "ipv6-extension-truncated",
            Self::Tcp => "tcp-truncated",
            Self::Udp => "udp-truncated",
            Self::UdpLite => "udp-lite-truncated",
            Self::Sctp => "sctp-truncated",
            Self::Dccp => "dccp-truncated",
            Self::Icmp => "icmp-truncated",
            Self::Icmpv6 => "icmpv6-truncated",
        }
    }
}

impl fmt::Display for Layer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Ethernet => "Ethernet",
            Self::Ip => "IP",
            Self::Ipv4 => "IPv4",
            Self::Ipv6 => "IPv6",
            Self::Ipv6Extension => "IPv6 extension header",
            Self::Tcp => "TCP",
            Self::Udp => "UDP",
            Self::UdpLite => "UDP-Lite",
            Self::Sctp => "SCTP",
            Self::Dccp => "DCCP",
            Self::Icmp => "ICMP",
            Self::Icmpv6 => "ICMPv6",
        })
    }
}
