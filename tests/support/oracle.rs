//! Readers that are slow, plain and written apart from the library: byte by byte, from the RFCs, with
//! nothing shared but the names of the reasons. Where they and the library differ, one of them is wrong.

/// A GENEVE header, field by field.
#[derive(Debug, PartialEq, Eq)]
pub struct Geneve {
    pub oam: bool,
    pub critical: bool,
    pub reserved_flags: u8,
    pub protocol: u16,
    pub vni: u32,
    pub reserved: u8,
    pub options: Vec<GeneveOption>,
    /// Where the payload begins.
    pub payload: usize,
}

#[derive(Debug, PartialEq, Eq)]
pub struct GeneveOption {
    pub offset: usize,
    pub class: u16,
    pub kind: u8,
    pub reserved: u8,
    pub data: Vec<u8>,
}

/// A reason and an offset.
pub type Refusal = (&'static str, usize);

pub fn geneve(bytes: &[u8]) -> Result<Geneve, Refusal> {
    if bytes.len() < 8 {
        return Err(("geneve-header-truncated", 0));
    }
    let bit = |byte: usize, bit: u32| (bytes[byte] >> (7 - bit)) & 1 == 1;
    if bit(0, 0) || bit(0, 1) {
        return Err(("geneve-version", 0));
    }
    let mut words = 0;
    for at in 2..8 {
        words = words * 2 + usize::from(bit(0, at));
    }
    let end = 8 + 4 * words;
    if bytes.len() < end {
        return Err(("geneve-options-truncated", 8));
    }
    let mut options = Vec::new();
    let mut at = 8;
    while at < end {
        let data_words = (0..5).fold(0, |sum, n| sum * 2 + usize::from(bit(at + 3, 3 + n)));
        let data_end = at + 4 + 4 * data_words;
        if data_end > end {
            return Err(("geneve-option-overrun", at));
        }
        options.push(GeneveOption {
            offset: at,
            class: u16::from(bytes[at]) * 256 + u16::from(bytes[at + 1]),
            kind: bytes[at + 2],
            reserved: bytes[at + 3] / 32,
            data: bytes[at + 4..data_end].to_vec(),
        });
        at = data_end;
    }
    Ok(Geneve {
        oam: bit(1, 0),
        critical: bit(1, 1),
        reserved_flags: bytes[1] % 64,
        protocol: u16::from(bytes[2]) * 256 + u16::from(bytes[3]),
        vni: u32::from(bytes[4]) * 65_536 + u32::from(bytes[5]) * 256 + u32::from(bytes[6]),
        reserved: bytes[7],
        options,
        payload: end,
    })
}

/// How a provider writes its three options: class, types, and how many of the cookie's highest bits are
/// direction.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Provider {
    pub class: u16,
    pub types: [u8; 3],
    pub direction_bits: u32,
}

pub const AWS: Provider = Provider { class: 0x0108, types: [1, 2, 3], direction_bits: 0 };

/// AWS, Tencent, and two that differ from these in all that can differ: types that are critical, or in
/// falling order with zero among them, the outermost classes, one bit of cookie.
pub const PROVIDERS: [Provider; 4] = [
    AWS,
    Provider { class: 0x0167, types: [1, 2, 3], direction_bits: 3 },
    Provider { class: 0x0000, types: [0x81, 0x82, 0x83], direction_bits: 5 },
    Provider { class: 0xffff, types: [0xff, 0x7f, 0x00], direction_bits: 31 },
];

/// Endpoint, attachment, cookie, direction, and where the inner packet begins.
pub type Envelope = (u64, u64, u32, Option<u32>, usize);

/// What the AWS profile says of a UDP payload.
pub fn envelope(bytes: &[u8]) -> Result<Envelope, Refusal> {
    envelope_from(&AWS, bytes)
}

/// What the profile of a provider says of a UDP payload.
pub fn envelope_from(provider: &Provider, bytes: &[u8]) -> Result<Envelope, Refusal> {
    let header = geneve(bytes)?;
    if header.oam {
        return Err(("geneve-control-packet", 1));
    }
    let version = match header.protocol {
        0x0800 => 4,
        0x86dd => 6,
        _ => return Err(("geneve-protocol-type", 2)),
    };
    let lengths = [8, 8, 4];
    let mut values: [Option<u64>; 3] = [None; 3];
    for option in &header.options {
        let ours = provider.types.iter().position(|kind| *kind == option.kind);
        let Some(which) = ours.filter(|_| option.class == provider.class) else {
            if option.kind >= 0x80 {
                return Err(("geneve-unknown-critical-option", option.offset));
            }
            continue;
        };
        if option.data.len() != lengths[which] {
            return Err(("gwlb-option-length", option.offset));
        }
        if values[which].is_some() {
            return Err(("gwlb-option-doubled", option.offset));
        }
        values[which] = Some(option.data.iter().fold(0, |sum, byte| sum * 256 + u64::from(*byte)));
    }
    let [Some(endpoint), Some(attachment), Some(third)] = values else {
        return Err(("gwlb-option-missing", 8));
    };
    if bytes.len() == header.payload || bytes[header.payload] / 16 != version {
        return Err(("inner-version", header.payload));
    }
    let cookies = 1 << (32 - provider.direction_bits);
    let direction = (provider.direction_bits > 0).then_some((third / cookies) as u32);
    Ok((endpoint, attachment, (third % cookies) as u32, direction, header.payload))
}

/// The Internet checksum, 16 bits at a time (RFC 1071).
pub fn checksum(bytes: &[u8]) -> u16 {
    let mut sum = 0_u32;
    for (at, byte) in bytes.iter().enumerate() {
        sum += if at % 2 == 0 { u32::from(*byte) * 256 } else { u32::from(*byte) };
        if sum > 0xffff {
            sum -= 0xffff;
        }
    }
    !(sum as u16)
}

/// An IP packet, field by field.
#[derive(Debug, PartialEq, Eq)]
pub struct Ip {
    pub source: Vec<u8>,
    pub destination: Vec<u8>,
    pub protocol: u8,
    /// Where the upper layer begins, and where the packet ends.
    pub upper: usize,
    pub end: usize,
    /// Identification, offset in bytes, more fragments.
    pub fragment: Option<(u32, usize, bool)>,
    /// Kind and length of each IPv6 extension header.
    pub extensions: Vec<(u8, usize)>,
    /// Whether a routing header or an IPv4 source route has stops left.
    pub source_routed: bool,
}

impl Ip {
    pub fn is_later_fragment(&self) -> bool {
        self.fragment.is_some_and(|(_, offset, _)| offset > 0)
    }

    pub fn is_part(&self) -> bool {
        self.fragment.is_some_and(|(_, offset, more)| offset > 0 || more)
    }
}

pub fn number(bytes: &[u8], at: usize, len: usize) -> usize {
    bytes[at..at + len].iter().fold(0, |sum, byte| sum * 256 + usize::from(*byte))
}

/// What an IP packet of either version is.
pub fn ip(bytes: &[u8]) -> Result<Ip, Refusal> {
    match bytes.first().map(|first| first / 16) {
        None => Err(("ip-truncated", 0)),
        Some(4) => ipv4(bytes, false),
        Some(6) => ipv6(bytes, false),
        Some(_) => Err(("ip-version", 0)),
    }
}

/// `quoted` where the end of the packet may be missing: its length and fragment fields are then not believed.
pub fn ipv4(bytes: &[u8], quoted: bool) -> Result<Ip, Refusal> {
    if bytes.first().is_some_and(|first| first / 16 != 4) {
        return Err(("ipv4-version", 0));
    }
    if bytes.len() < 20 {
        return Err(("ipv4-truncated", 0));
    }
    let upper = usize::from(bytes[0] % 16) * 4;
    if upper < 20 {
        return Err(("ipv4-header-length", 0));
    }
    if upper > bytes.len() {
        return Err(("ipv4-truncated", 0));
    }
    let total = if quoted { bytes.len() } else { number(bytes, 2, 2) };
    if total < upper {
        return Err(("ipv4-total-length", 2));
    }
    let more = bytes[6] & 0x20 != 0;
    let offset = number(bytes, 6, 2) % 0x2000 * 8;
    if more && (total - upper) % 8 != 0 && !quoted {
        return Err(("ipv4-fragment-length", 6));
    }
    if (more || offset > 0) && offset + total > 65_535 && !quoted {
        return Err(("ipv4-fragment-end", 6));
    }
    if total > bytes.len() {
        return Err(("ipv4-total-length", 2));
    }
    Ok(Ip {
        source: bytes[12..16].to_vec(),
        destination: bytes[16..20].to_vec(),
        protocol: bytes[9],
        upper,
        end: total,
        fragment: (more || offset > 0).then(|| (number(bytes, 4, 2) as u32, offset, more)),
        extensions: Vec::new(),
        source_routed: ipv4_source_route(&bytes[20..upper]),
    })
}

/// Whether a source route (131 or 137) among the options has a stop left: its pointer counts from 1.
fn ipv4_source_route(options: &[u8]) -> bool {
    let mut at = 0;
    while at + 1 < options.len() && options[at] != 0 {
        let length = if options[at] == 1 { 1 } else { usize::from(options[at + 1]) };
        if options[at] != 1 && length < 2 || at + length > options.len() {
            return false;
        }
        if [131, 137].contains(&options[at]) && length > 2 && options[at + 2] <= options[at + 1] {
            return true;
        }
        at += length;
    }
    false
}

pub fn ipv6(bytes: &[u8], quoted: bool) -> Result<Ip, Refusal> {
    if bytes.first().is_some_and(|first| first / 16 != 6) {
        return Err(("ipv6-version", 0));
    }
    if bytes.len() < 40 {
        return Err(("ipv6-truncated", 0));
    }
    let declared = if quoted { bytes.len() } else { 40 + number(bytes, 4, 2) };
    if declared > bytes.len() {
        return Err(("ipv6-payload-length", 4));
    }
    if declared == 40 && bytes[6] == 0 && !quoted {
        if let Some(offset) = jumbo_option(bytes) {
            return Err(("ipv6-jumbogram", offset));
        }
    }
    let mut ip = Ip {
        source: bytes[8..24].to_vec(),
        destination: bytes[24..40].to_vec(),
        protocol: bytes[6],
        upper: 40,
        end: declared,
        fragment: None,
        extensions: Vec::new(),
        source_routed: false,
    };
    let mut fragment_at = None;
    while [0, 43, 44, 51, 60, 135, 139, 140].contains(&ip.protocol) && !ip.is_later_fragment() {
        let (kind, at) = (ip.protocol, ip.upper);
        if ip.extensions.len() == 8 {
            return Err(("ipv6-extension-count", at));
        }
        if kind == 0 && at > 40 {
            return Err(("ipv6-hop-by-hop-not-first", at));
        }
        if kind == 44 && fragment_at.is_some() {
            return Err(("ipv6-fragment-repeated", at));
        }
        if ip.end - at < 8 {
            return Err(("ipv6-extension-truncated", at));
        }
        let length = match kind {
            44 => 8,
            51 => 8 + 4 * usize::from(bytes[at + 1]),
            _ => 8 + 8 * usize::from(bytes[at + 1]),
        };
        if kind == 51 && length < 12 {
            return Err(("ipv6-extension-length", at + 1));
        }
        if ip.end - at < length {
            return Err(("ipv6-extension-truncated", at));
        }
        if kind == 44 {
            fragment_at = Some(at);
            let field = number(bytes, at + 2, 2);
            let identification = number(bytes, at + 4, 4) as u32;
            ip.fragment = Some((identification, field / 8 * 8, field % 2 == 1));
        }
        ip.source_routed |= kind == 43 && bytes[at + 3] > 0;
        ip.extensions.push((kind, length));
        ip.protocol = bytes[at];
        ip.upper += length;
    }
    if let (Some(at), Some((_, offset, more)), false) = (fragment_at, ip.fragment, quoted) {
        let data = declared - (at + 8);
        if more && data % 8 != 0 {
            return Err(("ipv6-fragment-length", at + 2));
        }
        if at - 40 + offset + data > 65_535 {
            return Err(("ipv6-fragment-end", at + 2));
        }
    }
    Ok(ip)
}

/// Where a jumbo payload option is in the hop-by-hop options, if these are there whole.
fn jumbo_option(bytes: &[u8]) -> Option<usize> {
    let end = 48 + 8 * usize::from(*bytes.get(41)?);
    let mut at = 42;
    while at < end && end <= bytes.len() {
        match bytes[at] {
            0xc2 => return Some(at),
            0 => at += 1,
            _ if at + 1 < end => at += 2 + usize::from(bytes[at + 1]),
            _ => return None,
        }
    }
    None
}

/// The outer headers of a datagram, and where its payload begins and ends.
#[derive(Debug, PartialEq, Eq)]
pub struct Outer {
    pub source: [u8; 4],
    pub destination: [u8; 4],
    pub ports: (u16, u16),
    pub tos: u8,
    pub ttl: u8,
    pub udp_checksum: u16,
    pub payload: usize,
    pub end: usize,
}

/// What the outer IPv4 and UDP headers are, or the reason why they are none to believe.
pub fn outer(bytes: &[u8]) -> Result<Outer, &'static str> {
    let ip = ip(bytes).map_err(|_| "outer-malformed")?;
    if bytes[0] / 16 != 4 {
        return Err("outer-not-ipv4");
    }
    if checksum(&bytes[..ip.upper]) != 0 {
        return Err("outer-header-checksum");
    }
    if ip.is_part() {
        return Err("outer-fragment");
    }
    if bytes[9] != 17 {
        return Err("outer-not-udp");
    }
    let udp = ip.upper;
    if ip.end - udp < 8 {
        return Err("outer-malformed");
    }
    let length = number(bytes, udp + 4, 2);
    if length < 8 || length > ip.end - udp {
        return Err("outer-malformed");
    }
    let end = udp + length;
    // A packet on a source route is for somebody else in the end, by whom it is summed.
    if number(bytes, udp + 6, 2) != 0 && !ip.source_routed {
        // The pseudo header: both addresses, zero, the protocol, the UDP length (RFC 768).
        let mut summed = bytes[12..20].to_vec();
        summed.extend([0, 17, bytes[udp + 4], bytes[udp + 5]]);
        summed.extend(&bytes[udp..end]);
        if checksum(&summed) != 0 {
            return Err("outer-checksum");
        }
    }
    Ok(Outer {
        source: [bytes[12], bytes[13], bytes[14], bytes[15]],
        destination: [bytes[16], bytes[17], bytes[18], bytes[19]],
        ports: (number(bytes, udp, 2) as u16, number(bytes, udp + 2, 2) as u16),
        tos: bytes[1],
        ttl: bytes[8],
        udp_checksum: number(bytes, udp + 6, 2) as u16,
        payload: udp + 8,
        end,
    })
}

/// What an IP packet carries.
#[derive(Debug, PartialEq, Eq)]
pub struct Upper {
    pub kind: Kind,
    pub ports: Option<(u16, u16)>,
    /// Where its data begin and end.
    pub data: usize,
    pub end: usize,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    Tcp,
    Udp,
    Icmp,
    Icmpv6,
    Other,
    Later,
}

pub fn upper(bytes: &[u8], ip: &Ip) -> Result<Upper, Refusal> {
    let (at, end) = (ip.upper, ip.end);
    let len = end - at;
    let plain = |kind, data| Upper { kind, ports: None, data, end };
    if ip.is_later_fragment() {
        return Ok(plain(Kind::Later, at));
    }
    let (minimum, truncated) = match (ip.protocol, ip.source.len()) {
        (1, 4) => (8, "icmp-truncated"),
        (58, 16) => (8, "icmpv6-truncated"),
        (6, _) => (20, "tcp-truncated"),
        (17, _) => (8, "udp-truncated"),
        (33, _) => (12, "dccp-truncated"),
        (132, _) => (12, "sctp-truncated"),
        (136, _) => (8, "udp-lite-truncated"),
        _ => return Ok(plain(Kind::Other, at)),
    };
    if len < minimum {
        return Err((truncated, at));
    }
    let ports = Some((number(bytes, at, 2) as u16, number(bytes, at + 2, 2) as u16));
    match ip.protocol {
        1 => Ok(plain(Kind::Icmp, at + 8)),
        58 => Ok(plain(Kind::Icmpv6, at + 8)),
        6 => match usize::from(bytes[at + 12] / 16) * 4 {
            header if header < 20 => Err(("tcp-data-offset", at + 12)),
            header if header > len => Err((truncated, at)),
            header => Ok(Upper { kind: Kind::Tcp, ports, data: at + header, end }),
        },
        17 => {
            let length = number(bytes, at + 4, 2);
            if length < 8 || (length > len && !ip.is_part()) {
                return Err(("udp-length", at + 4));
            }
            Ok(Upper { kind: Kind::Udp, ports, data: at + 8, end: at + length.min(len) })
        }
        _ => Ok(Upper { kind: Kind::Other, ports, data: at, end }),
    }
}

/// Kind and data of each TCP option up to the first that is wrong, and what is wrong with that.
pub fn tcp_options(bytes: &[u8], ip: &Ip, upper: &Upper) -> (Vec<(u8, Vec<u8>)>, Option<Refusal>) {
    let mut options = Vec::new();
    let mut at = ip.upper + 20;
    while at < upper.data && bytes[at] != 0 {
        if bytes[at] == 1 {
            at += 1;
            continue;
        }
        let wrong = Some(("tcp-option-length", at));
        if at + 1 == upper.data {
            return (options, wrong);
        }
        let (kind, length) = (bytes[at], usize::from(bytes[at + 1]));
        let right = match kind {
            2 => length == 4,
            3 => length == 3,
            4 => length == 2,
            5 => length > 2 && length % 8 == 2,
            8 => length == 10,
            _ => length >= 2,
        };
        if !right || at + length > upper.data {
            return (options, wrong);
        }
        options.push((kind, bytes[at + 2..at + length].to_vec()));
        at += length;
    }
    (options, None)
}

/// Source, destination, protocol and ports.
pub type FiveTuple = (Vec<u8>, Vec<u8>, u8, Option<(u16, u16)>);

pub fn five_tuple(bytes: &[u8]) -> Result<FiveTuple, Refusal> {
    let ip = ip(bytes)?;
    let upper = upper(bytes, &ip)?;
    Ok((ip.source, ip.destination, ip.protocol, upper.ports))
}

/// The 5-tuple of the packet that an ICMP error quotes; `None` where the message quotes none.
pub fn quoted(bytes: &[u8], upper: &Upper) -> Option<Result<FiveTuple, Refusal>> {
    let message = &bytes[..upper.end];
    let (kind, first, second) =
        (message[upper.data - 8], message[upper.data - 4], message[upper.data - 3]);
    // How long the quote is where extensions follow it (RFC 4884).
    let length = match (upper.kind, kind) {
        (Kind::Icmp, 3 | 11 | 12) => usize::from(second) * 4,
        (Kind::Icmp, 4 | 5) => 0,
        (Kind::Icmpv6, 1 | 3) => usize::from(first) * 8,
        (Kind::Icmpv6, ..128) => 0,
        _ => return None,
    };
    let mut quote = &message[upper.data..];
    if length >= 128 && length < quote.len() {
        quote = &quote[..length];
    }
    let at = upper.data;
    let packet = if upper.kind == Kind::Icmp { ipv4(quote, true) } else { ipv6(quote, true) };
    Some(match packet {
        Err((reason, offset)) => Err((reason, at + offset)),
        Ok(ip) => {
            let truncated = match ip.protocol {
                6 => "tcp-truncated",
                17 => "udp-truncated",
                33 => "dccp-truncated",
                132 => "sctp-truncated",
                136 => "udp-lite-truncated",
                _ => "",
            };
            if truncated.is_empty() || ip.is_later_fragment() {
                Ok((ip.source, ip.destination, ip.protocol, None))
            } else if ip.end - ip.upper < 4 {
                Err((truncated, at + ip.upper))
            } else {
                let port = |at| number(quote, ip.upper + at, 2) as u16;
                let ports = Some((port(0), port(2)));
                Ok((ip.source, ip.destination, ip.protocol, ports))
            }
        }
    })
}

/// Whether the transport checksum is right: `None` where it cannot be told or there is none.
pub fn transport_checksum(bytes: &[u8], ip: &Ip, upper: &Upper) -> Option<bool> {
    if ip.is_part() || ip.source_routed || matches!(upper.kind, Kind::Other | Kind::Later) {
        return None;
    }
    let covered = &bytes[ip.upper..upper.end];
    let mut summed = Vec::new();
    if upper.kind == Kind::Udp && covered[6..8] == [0, 0] {
        // None was computed, which only IPv4 allows.
        return if ip.source.len() == 4 { None } else { Some(false) };
    }
    if upper.kind != Kind::Icmp {
        summed = [&ip.source[..], &ip.destination].concat();
        summed.extend((covered.len() as u32).to_be_bytes());
        summed.extend([0, 0, 0, ip.protocol]);
    }
    summed.extend(covered);
    Some(checksum(&summed) == 0)
}
