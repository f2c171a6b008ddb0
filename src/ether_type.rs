use core::fmt;

/// An EtherType: what kind of packet follows a header (IEEE 802 Numbers, RFC 8926 §3.4).
///
/// Every 16-bit value can be held, known or not.
///
/// ```
/// use gwlb_geneve::EtherType;
///
/// assert_eq!(EtherType::IPV4, EtherType(0x0800));
/// assert_eq!(EtherType::IPV6.to_string(), "0x86dd");
/// ```
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct EtherType(pub u16);

impl EtherType {
    /// Internet Protocol version 4.
    pub const IPV4: Self = Self(0x0800);
    /// Address Resolution Protocol.
    pub const ARP: Self = Self(0x0806);
    /// Transparent Ethernet bridging: an Ethernet frame follows.
    pub const ETHERNET: Self = Self(0x6558);
    /// IEEE 802.1Q customer VLAN tag.
    pub const VLAN: Self = Self(0x8100);
    /// Internet Protocol version 6.
    pub const IPV6: Self = Self(0x86dd);
    /// IEEE 802.1ad service VLAN tag (`QinQ`).
    pub const SERVICE_VLAN: Self = Self(0x88a8);
}

impl fmt::Display for EtherType {
    /// Four hexadecimal digits: `0x0800`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:#06x}", self.0)
    }
}

impl fmt::Debug for EtherType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "EtherType({self})")
    }
}
