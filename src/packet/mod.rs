//! The IP packet inside: IPv4, IPv6 with its extension headers, TCP, UDP and ICMP, and the Ethernet frame that
//! may stand around it.
//!
//! Everything here is a view over the caller's slice: nothing is copied, nothing is allocated.
//!
//! **One check, then no accessor can panic or fail.** A view comes out of a `parse` function, which checks
//! version, lengths and the chain of headers once and says in a [`ParseError`] what is wrong and where. What
//! has been found on the way (where a header ends, which header is the last) stays in the view, a few words in
//! all; after that every accessor returns a plain value. Only what is looked at on demand returns a `Result`
//! of its own: the [`transport`](IpPacket::transport) header, TCP options, and the packet that an ICMP error
//! quotes.
//!
//! ```
//! use gwlb_geneve::packet::{IpPacket, Transport};
//!
//! # #[rustfmt::skip]
//! let bytes = [
//!     0x45, 0, 0, 29, 0, 0, 0, 0, 64, 17, 0, 0, 192, 0, 2, 1, 198, 51, 100, 2, // IPv4
//!     0x30, 0x39, 0, 53, 0, 9, 0, 0, // UDP
//!     b'?',
//! ];
//! let packet = IpPacket::parse(&bytes)?;
//! assert_eq!(packet.five_tuple()?.to_string(), "UDP 192.0.2.1:12345 -> 198.51.100.2:53");
//! if let Transport::Udp(datagram) = packet.transport()? {
//!     assert_eq!(datagram.payload(), b"?");
//! }
//! # Ok::<(), gwlb_geneve::packet::ParseError>(())
//! ```
//!
//! [`FiveTuple::parse`] is the short way from bytes to the key of a flow, for the path that every packet takes.

mod checksum;
mod craft;
mod edit;
mod error;
mod ethernet;
mod five_tuple;
mod fragment;
mod icmp;
mod ip;
mod ip_option;
mod ip_protocol;
mod ipv4;
mod ipv6;
mod ipv6_extension;
mod quoted;
#[cfg(feature = "alloc")]
mod straight;
mod tcp;
mod tcp_option;
mod transport;
mod tunnel;
mod udp;

pub use checksum::{Checksum, ChecksumStatus};
pub use craft::{CraftError, Prohibited, Reset};
pub use edit::{EditError, PacketMut};
pub use error::{Layer, ParseError};
pub use ethernet::{EthernetFrame, MAX_VLAN_TAGS, VlanTag, VlanTags};
pub use five_tuple::{Addresses, FiveTuple, Ports};
pub use fragment::Fragment;
pub use icmp::{Echo, IcmpMessage, IcmpVersion};
pub use ip::IpPacket;
pub use ip_protocol::IpProtocol;
pub use ipv4::Ipv4Packet;
pub use ipv6::Ipv6Packet;
pub use ipv6_extension::{ExtensionHeader, ExtensionHeaders, MAX_EXTENSION_HEADERS};
pub use quoted::QuotedPacket;
#[cfg(feature = "alloc")]
pub(crate) use straight::Straight;
pub use tcp::{TcpFlags, TcpSegment};
pub use tcp_option::{SackBlocks, TcpOption, TcpOptions};
pub use transport::Transport;
pub use tunnel::{Opaque, Toward, Tunnel, TunnelKind, Tunneled};
pub use udp::UdpDatagram;

#[cfg(test)]
mod tests;
