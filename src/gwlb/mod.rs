//! What gateway load balancers mean by GENEVE: which endpoint, attachment and flow a packet belongs
//! to, and the datagram that answers it.
//!
//! ```text
//! received  IPv4 | UDP | GENEVE + options | inner packet      Envelope::parse
//! answered  IPv4 | UDP | the same bytes   | as judged         Envelope::reply
//! ```
//!
//! [`Envelope::parse`] is strict where [`geneve::Packet`](crate::geneve::Packet) is tolerant: on top of
//! RFC 8926 it wants what the [`Profile`] promises, a bare IP packet inside and the provider's three
//! options once each, and its errors name what is wrong with which of them.
//!
//! ```
//! use core::net::Ipv4Addr;
//! use gwlb_geneve::gwlb::{Envelope, Outer, Profile, ReplyPolicy};
//!
//! # let inner: [u8; 20] = [0x45, 0, 0, 20, 0, 0, 0, 0, 64, 253, 0, 0, 10, 0, 0, 1, 10, 0, 0, 2];
//! # let mut payload = [0; 60];
//! # payload[..40].copy_from_slice(&[
//! #     8, 0, 8, 0, 0, 0, 0, 0, 1, 8, 1, 2, 0x03, 0x1e, 0x12, 0x9c, 0xdc, 0x0c, 0xd8, 0x63,
//! #     1, 8, 2, 2, 0, 0, 0, 0, 0, 0, 0, 0, 1, 8, 3, 1, 0x3d, 0xc9, 0x56, 0xac,
//! # ]);
//! # payload[40..].copy_from_slice(&inner);
//! # let payload = &payload[..];
//! let envelope = Envelope::parse(payload, &Profile::AWS)?; // the UDP payload
//! assert_eq!(envelope.endpoint().to_string(), "vpce-0031e129cdc0cd863");
//! assert_eq!(envelope.cookie().to_string(), "0x3dc956ac");
//!
//! let outer = Outer::new((Ipv4Addr::new(10, 1, 0, 5), 51_234), (Ipv4Addr::new(10, 1, 0, 9), 6081));
//! let reply = envelope.reply(&outer, &ReplyPolicy::default())?;
//! assert_eq!(reply.outer().source, outer.destination, "addresses are swapped");
//! assert_eq!(reply.outer().source_port, 51_234, "ports are not");
//! # Ok::<(), Box<dyn core::error::Error>>(())
//! ```
#![doc = include_str!("wire.md")]

mod envelope;
mod error;
mod id;
mod outer;
mod profile;
mod reply;

pub use envelope::Envelope;
pub use error::{EnvelopeError, OuterError, ReplyError};
pub use id::{AttachmentId, EndpointId, FlowCookie, ParseIdError};
pub use outer::Outer;
pub use profile::{Profile, ProfileError, ProfileOption};
pub use reply::{OUTER_HEADER_LEN, Reply, ReplyPolicy, Tos, Ttl, UdpChecksum};
