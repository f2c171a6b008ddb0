//! Captured packets: reading and writing pcap and pcapng files.
//!
//! [`Reader`] tells the formats apart by their magic number and hands out one [`Packet`] after the
//! other without copying it again; [`Writer`] writes either format. Time stamps are kept to the
//! nanosecond where the file has them.
//!
//! ```
//! use gwlb_geneve::Timestamp;
//! use gwlb_geneve::capture::{Format, LinkType, Reader, Writer};
//!
//! let mut writer = Writer::new(Vec::new(), Format::Pcapng)?;
//! writer.write_packet(Timestamp::from_nanos(1_500), LinkType::RAW, 20, &[0x45; 20])?;
//! let file = writer.finish()?;
//!
//! let mut reader = Reader::new(file.as_slice())?;
//! while let Some(packet) = reader.next_packet() {
//!     let packet = packet?;
//!     println!("{} at {:?}: {:?}", packet.number, packet.timestamp, packet.network());
//! }
//! assert_eq!(reader.packets_read(), 1);
//! # Ok::<(), gwlb_geneve::capture::Error>(())
//! ```
//!
//! From a capture to what a load balancer sent, leaving out what is something else:
//!
//! ```no_run
//! use gwlb_geneve::EtherType;
//! use gwlb_geneve::capture::Reader;
//! use gwlb_geneve::geneve::UDP_PORT;
//! use gwlb_geneve::gwlb::{Envelope, Outer, Profile};
//!
//! let mut reader = Reader::open("gwlb.pcap")?;
//! while let Some(packet) = reader.next_packet() {
//!     let packet = packet?;
//!     let Ok(network) = packet.network() else { continue };
//!     if network.ether_type != EtherType::IPV4 {
//!         continue;
//!     }
//!     match Outer::parse(network.payload) {
//!         Ok((outer, payload)) if outer.destination_port == UDP_PORT => {
//!             println!("{}: {:?}", packet.number, Envelope::parse(payload, &Profile::AWS));
//!         }
//!         _ => {}
//!     }
//! }
//! # Ok::<(), gwlb_geneve::capture::Error>(())
//! ```
//!
//! Files are untrusted input. Memory grows with the bytes that a file really holds, never with a
//! length that it claims, and a record of more than [`MAX_RECORD`] bytes is refused. The formats
//! are those of draft-ietf-opsawg-pcap and draft-ietf-opsawg-pcapng.

mod encoder;
mod error;
mod input;
mod interface;
mod link;
mod pcap;
mod pcapng;
mod reader;
mod writer;

pub use error::{Damage, Error, Magic};
pub use link::{LinkError, LinkType, Network};
pub use reader::{Packet, Reader};
pub use writer::{Format, Writer};

/// Longest pcap record or pcapng block that is read, in bytes, its header included: 16 MiB.
pub const MAX_RECORD: usize = 16 << 20;

/// Longest packet that is written, in bytes: 256 KiB, the snap length that is declared in written
/// files and the most that common tools read back.
pub const MAX_PACKET: usize = 256 << 10;
