use core::fmt;

use crate::EtherType;
use crate::packet::VlanTag;

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
    /// The packet, with whatever the link layer put behind it (padding, check sequence).
    pub payload: &'a [u8],
    /// Where `payload` starts in the captured bytes.
    pub offset: usize,
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
        while VlanTag::is_next(ether_type) {
            type_at = offset.saturating_add(2);
            ether_type = EtherType(self.u16(type_at)?);
            offset = offset.saturating_add(4);
        }
        if ether_type.0 < 0x0600 {
            return Err(LinkError::NoEtherType { offset: type_at, found: ether_type.0 });
        }
        self.plain(ether_type, offset)
    }

    fn plain(self, ether_type: EtherType, offset: usize) -> Result<Network<'a>, LinkError> {
        let payload = self.data.get(offset..).ok_or(self.too_short(offset))?;
        Ok(Network { ether_type, payload, offset })
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
        const FRAME_RELAY: u16 = 770;
        const RADIOTAP: u16 = 803;
        const NETLINK: u16 = 824;
        match self.u16(at)? {
            found @ (FRAME_RELAY | RADIOTAP | NETLINK) => Err(LinkError::HardwareType { found }),
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

#[cfg(test)]
mod tests {
    use super::*;

    const IPV4: &[u8] = &[0x45, 0, 0, 20];
    const IPV6: &[u8] = &[0x60, 0, 0, 0];

    fn frame(parts: &[&[u8]]) -> Vec<u8> {
        parts.concat()
    }

    #[track_caller]
    fn expect(link_type: LinkType, parts: &[&[u8]], ether_type: EtherType) {
        let frame = frame(parts);
        let payload = *parts.last().unwrap();
        let found = network(link_type, &frame).unwrap();
        assert_eq!(found.ether_type, ether_type);
        assert_eq!(found.payload, payload);
        assert_eq!(found.offset, frame.len() - payload.len());

        for cut in 0..found.offset {
            let error = network(link_type, &frame[..cut]).unwrap_err();
            let LinkError::TooShort { expected, found: len, .. } = error else {
                panic!("{cut} bytes: {error}");
            };
            assert!(len == cut && expected > cut && expected <= found.offset.max(1), "{error}");
        }
    }

    #[test]
    fn ethernet_with_any_number_of_tags() {
        let addresses = &[0xaa; 12];
        expect(LinkType::ETHERNET, &[addresses, &[8, 0], IPV4], EtherType::IPV4);
        expect(LinkType::ETHERNET, &[addresses, &[8, 6], &[]], EtherType::ARP);
        let one = &[0x81, 0, 0x30, 0x2a, 0x86, 0xdd];
        expect(LinkType::ETHERNET, &[addresses, one, IPV6], EtherType::IPV6);
        let two = &[0x88, 0xa8, 0, 7, 0x81, 0, 0xe0, 9, 8, 0];
        expect(LinkType::ETHERNET, &[addresses, two, IPV4], EtherType::IPV4);
        let three = &[0x91, 0, 0, 1, 0x91, 0, 0, 2, 0x81, 0, 0, 3, 8, 0];
        expect(LinkType::ETHERNET, &[addresses, three, IPV4], EtherType::IPV4);
    }

    #[test]
    fn ieee_802_3_frames_have_no_ether_type() {
        let frame = frame(&[&[0xaa; 12], &[0, 0x26, 0x42, 0x42, 3], &[0; 40]]);
        let error = network(LinkType::ETHERNET, &frame).unwrap_err();
        assert_eq!(error, LinkError::NoEtherType { offset: 12, found: 0x26 });
        let tagged = [&[0xaa; 12][..], &[0x81, 0, 0, 1, 0, 0x26, 0x42, 0x42, 3]].concat();
        let error = network(LinkType::ETHERNET, &tagged).unwrap_err();
        assert_eq!(error, LinkError::NoEtherType { offset: 16, found: 0x26 });
    }

    #[test]
    fn linux_cooked() {
        let v1 = &[0, 0, 0, 1, 0, 6, 1, 2, 3, 4, 5, 6, 0, 0];
        expect(LinkType::LINUX_SLL, &[v1, &[8, 0], IPV4], EtherType::IPV4);
        let tag = &[0x81, 0, 0, 5, 0x86, 0xdd];
        expect(LinkType::LINUX_SLL, &[v1, tag, IPV6], EtherType::IPV6);

        let v2 = &[0, 0, 0, 0, 0, 2, 0, 1, 4, 6, 1, 2, 3, 4, 5, 6, 0, 0];
        expect(LinkType::LINUX_SLL2, &[&[0x86, 0xdd], v2, IPV6], EtherType::IPV6);
        let tag = &[0, 6, 8, 0];
        expect(LinkType::LINUX_SLL2, &[&[0x81, 0], v2, tag, IPV4], EtherType::IPV4);

        let netlink = [&[0, 4, 0x03, 0x38][..], &[0; 12], IPV4].concat();
        let error = network(LinkType::LINUX_SLL, &netlink).unwrap_err();
        assert_eq!(error, LinkError::HardwareType { found: 824 });
    }

    #[test]
    fn raw_ip() {
        for link_type in [LinkType::RAW, LinkType::RAW_BSD, LinkType::RAW_OPENBSD] {
            assert_eq!(network(link_type, IPV4).unwrap().ether_type, EtherType::IPV4);
            assert_eq!(network(link_type, IPV6).unwrap().ether_type, EtherType::IPV6);
            let error = network(link_type, &[0x50]).unwrap_err();
            assert_eq!(error, LinkError::IpVersion { found: 5 });
            let error = network(link_type, &[]).unwrap_err();
            assert_eq!(error, LinkError::TooShort { link_type, expected: 1, found: 0 });
        }
        assert_eq!(network(LinkType::IPV4, IPV4).unwrap().ether_type, EtherType::IPV4);
        assert_eq!(network(LinkType::IPV6, IPV6).unwrap().ether_type, EtherType::IPV6);
    }

    #[test]
    fn loopback_in_either_byte_order() {
        expect(LinkType::NULL, &[&[2, 0, 0, 0], IPV4], EtherType::IPV4);
        expect(LinkType::NULL, &[&[0, 0, 0, 2], IPV4], EtherType::IPV4);
        for family in [10, 24, 28, 30] {
            expect(LinkType::NULL, &[&[family, 0, 0, 0], IPV6], EtherType::IPV6);
            expect(LinkType::NULL, &[&[0, 0, 0, family], IPV6], EtherType::IPV6);
            expect(LinkType::LOOP, &[&[0, 0, 0, family], IPV6], EtherType::IPV6);
        }
        expect(LinkType::LOOP, &[&[0, 0, 0, 2], IPV4], EtherType::IPV4);
        let error = network(LinkType::LOOP, &[2, 0, 0, 0]).unwrap_err();
        assert_eq!(error, LinkError::ProtocolFamily { found: 0x0200_0000 });
    }

    #[test]
    fn other_links_are_named() {
        let error = network(LinkType(105), IPV4).unwrap_err();
        assert_eq!(
            error.to_string(),
            "expected Ethernet, Linux cooked, loopback or raw IP, found link type 105"
        );
    }
}
