use core::fmt;

use crate::EtherType;

/// A link type: what the first bytes of a captured packet are (the LINKTYPE registry of
/// tcpdump.org).
///
/// ```
/// use gwlb_geneve::capture::LinkType;
///
/// assert_eq!(LinkType::ETHERNET.to_string(), "1 (Ethernet)");
/// assert_eq!(LinkType(105).to_string(), "105");
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct LinkType(pub u16);

impl LinkType {
    /// BSD loopback: the protocol family in the byte order of the capturing host, then IP.
    pub const NULL: Self = Self(0);
    /// Ethernet.
    pub const ETHERNET: Self = Self(1);
    /// IPv4 or IPv6, told by the version; where most systems write it by their internal number.
    pub const RAW_BSD: Self = Self(12);
    /// IPv4 or IPv6, told by the version; where OpenBSD writes it by its internal number.
    pub const RAW_OPENBSD: Self = Self(14);
    /// IPv4 or IPv6, told by the version.
    pub const RAW: Self = Self(101);
    /// OpenBSD loopback: the protocol family in network byte order, then IP.
    pub const LOOP: Self = Self(108);
    /// Linux "cooked" capture, as made on all interfaces at once.
    pub const LINUX_SLL: Self = Self(113);
    /// IPv4.
    pub const IPV4: Self = Self(228);
    /// IPv6.
    pub const IPV6: Self = Self(229);
    /// Linux "cooked" capture, version 2.
    pub const LINUX_SLL2: Self = Self(276);

    fn name(self) -> Option<&'static str> {
        Some(match self {
            Self::NULL => "BSD loopback",
            Self::ETHERNET => "Ethernet",
            Self::RAW | Self::RAW_BSD | Self::RAW_OPENBSD => "raw IP",
            Self::LOOP => "OpenBSD loopback",
            Self::LINUX_SLL => "Linux cooked capture",
            Self::IPV4 => "raw IPv4",
            Self::IPV6 => "raw IPv6",
            Self::LINUX_SLL2 => "Linux cooked capture v2",
            _ => return None,
        })
    }
}

impl fmt::Display for LinkType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)?;
        self.name().map_or(Ok(()), |name| write!(f, " ({name})"))
    }
}

/// What a link layer carries.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Network<'a> {
    /// Kind of packet in `payload`, behind all VLAN tags.
    pub ether_type: EtherType,
    /// VLAN tags, outermost first.
    pub vlans: Vlans<'a>,
    /// The packet, with whatever the link layer put behind it (padding, check sequence).
    pub payload: &'a [u8],
    /// Where `payload` starts in the captured bytes.
    pub offset: usize,
}

/// The IEEE 802.1Q and 802.1ad tags of a frame, outermost first.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Vlans<'a> {
    /// Four bytes a tag: its control information, then the type of what follows it.
    tags: &'a [u8],
}

impl<'a> Vlans<'a> {
    /// The tags, outermost first.
    pub fn iter(self) -> impl Iterator<Item = VlanTag> + 'a {
        let control = |tag: &[u8]| tag.first_chunk().copied().map(u16::from_be_bytes);
        self.tags.chunks_exact(4).filter_map(control).map(VlanTag)
    }

    /// Whether the frame is untagged.
    pub fn is_empty(self) -> bool {
        self.tags.is_empty()
    }
}

/// Tag control information of a VLAN tag (IEEE 802.1Q §9.6), all 16 bits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct VlanTag(pub u16);

impl VlanTag {
    /// VLAN identifier, 12 bits; 0 says that the frame has a priority only.
    pub const fn id(self) -> u16 {
        self.0 & 0x0fff
    }

    /// Priority code point, 0 to 7.
    pub const fn priority(self) -> u8 {
        self.0.to_be_bytes()[0] >> 5
    }

    /// Whether the frame may be dropped first under congestion.
    pub const fn drop_eligible(self) -> bool {
        self.0 & 0x1000 != 0
    }
}

/// Why the link layer of a packet tells nothing of what it carries. Offsets count from the
/// first captured byte.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum LinkError {
    /// A link type that is not read here.
    #[error("expected Ethernet, Linux cooked, loopback or raw IP, found link type {link_type}")]
    Unsupported {
        /// The link type.
        link_type: LinkType,
    },
    /// The captured bytes end in the link layer.
    #[error("link type {link_type}: expected a header of {expected} bytes, found {found} bytes")]
    TooShort {
        /// The link type.
        link_type: LinkType,
        /// Bytes needed.
        expected: usize,
        /// Bytes captured.
        found: usize,
    },
    /// A length or another number where an `EtherType` could stand: IEEE 802.3 with LLC, or a
    /// protocol of Linux' own.
    #[error("expected an EtherType of at least 0x0600 at offset {offset}, found {found:#06x}")]
    NoEtherType {
        /// Where the field starts.
        offset: usize,
        /// Its value.
        found: u16,
    },
    /// A cooked packet of a kind of interface whose protocol field holds no `EtherType`.
    #[error("expected an interface whose protocols are EtherTypes, found ARPHRD type {found}")]
    HardwareType {
        /// The ARPHRD type of the interface.
        found: u16,
    },
    /// Raw IP of a version that does not exist.
    #[error("expected IP version 4 or 6 at offset 0, found {found}")]
    IpVersion {
        /// The version.
        found: u8,
    },
    /// A loopback packet of another protocol family.
    #[error("expected the protocol family of IPv4 (2) or IPv6 (10, 24, 28, 30), found {found}")]
    ProtocolFamily {
        /// The family, in network byte order where neither order makes sense.
        found: u32,
    },
}

/// Reads the link layer in front of `data`.
pub(super) fn network(link_type: LinkType, data: &[u8]) -> Result<Network<'_>, LinkError> {
    let header = Header { link_type, data };
    match link_type {
        LinkType::ETHERNET => header.tagged(12, 14),
        LinkType::LINUX_SLL => {
            header.hardware_type(2)?;
            header.tagged(14, 16)
        }
        LinkType::LINUX_SLL2 => {
            header.hardware_type(8)?;
            header.tagged(0, 20)
        }
        LinkType::RAW | LinkType::RAW_BSD | LinkType::RAW_OPENBSD => {
            let [first] = header.bytes(0)?;
            match first >> 4 {
                4 => header.plain(EtherType::IPV4, 0),
                6 => header.plain(EtherType::IPV6, 0),
                found => Err(LinkError::IpVersion { found }),
            }
        }
        LinkType::IPV4 => header.plain(EtherType::IPV4, 0),
        LinkType::IPV6 => header.plain(EtherType::IPV6, 0),
        LinkType::NULL => {
            // Families are small numbers: the order in which the number is small is the host's.
            let family = header.bytes(0)?;
            let (big, little) = (u32::from_be_bytes(family), u32::from_le_bytes(family));
            header.family(if little <= 0xffff { little } else { big })
        }
        LinkType::LOOP => header.family(u32::from_be_bytes(header.bytes(0)?)),
        _ => Err(LinkError::Unsupported { link_type }),
    }
}

#[derive(Clone, Copy)]
struct Header<'a> {
    link_type: LinkType,
    data: &'a [u8],
}

impl<'a> Header<'a> {
    /// A header with an `EtherType` at `ether_type_at`, after whose end VLAN tags may stand.
    fn tagged(self, ether_type_at: usize, end: usize) -> Result<Network<'a>, LinkError> {
        let mut type_at = ether_type_at;
        let mut ether_type = EtherType(self.u16(type_at)?);
        let mut offset = end;
        while is_vlan(ether_type) {
            type_at = offset.saturating_add(2);
            ether_type = EtherType(self.u16(type_at)?);
            offset = offset.saturating_add(4);
        }
        if ether_type.0 < 0x0600 {
            return Err(LinkError::NoEtherType { offset: type_at, found: ether_type.0 });
        }
        let network = self.plain(ether_type, offset)?;
        Ok(Network {
            vlans: Vlans { tags: self.data.get(end..offset).unwrap_or_default() },
            ..network
        })
    }

    fn plain(self, ether_type: EtherType, offset: usize) -> Result<Network<'a>, LinkError> {
        let payload = self.data.get(offset..).ok_or(self.too_short(offset))?;
        Ok(Network { ether_type, vlans: Vlans::default(), payload, offset })
    }

    fn family(self, family: u32) -> Result<Network<'a>, LinkError> {
        match family {
            2 => self.plain(EtherType::IPV4, 4),
            // Linux; NetBSD and OpenBSD; FreeBSD; Darwin.
            10 | 24 | 28 | 30 => self.plain(EtherType::IPV6, 4),
            found => Err(LinkError::ProtocolFamily { found }),
        }
    }

    /// Refuses cooked packets of interfaces whose protocols are numbered otherwise.
    fn hardware_type(self, at: usize) -> Result<(), LinkError> {
        const NETLINK: u16 = 824;
        match self.u16(at)? {
            found @ NETLINK => Err(LinkError::HardwareType { found }),
            _ => Ok(()),
        }
    }

    fn u16(self, at: usize) -> Result<u16, LinkError> {
        self.bytes(at).map(u16::from_be_bytes)
    }

    fn bytes<const N: usize>(self, at: usize) -> Result<[u8; N], LinkError> {
        let bytes = self.data.get(at..).and_then(|rest| rest.first_chunk());
        bytes.copied().ok_or(self.too_short(at.saturating_add(N)))
    }

    fn too_short(self, expected: usize) -> LinkError {
        LinkError::TooShort { link_type: self.link_type, expected, found: self.data.len() }
    }
}

/// 0x9100 is what older switches wrote for the outer of two tags.
fn is_vlan(ether_type: EtherType) -> bool {
    matches!(ether_type, EtherType::VLAN | EtherType::SERVICE_VLAN | EtherType(0x9100))
}
