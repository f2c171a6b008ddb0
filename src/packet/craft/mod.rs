//! Packets made to order: what an appliance says to the ends of a flow that it refuses.
//!
//! ```
//! use gwlb_geneve::packet::{IpPacket, Reset};
//!
//! # #[rustfmt::skip]
//! let syn = [
//!     0x45, 0, 0, 40, 0, 0, 0, 0, 64, 6, 0, 0, 192, 0, 2, 1, 198, 51, 100, 2, // IPv4
//!     0x30, 0x39, 0, 23, 0, 0, 0, 41, 0, 0, 0, 0, 0x50, 0x02, 0xff, 0xff, 0, 0, 0, 0, // TCP
//! ];
//! let reset = Reset::to_sender(&IpPacket::parse(&syn)?).expect("a SYN is answered");
//! assert_eq!((reset.sequence_number, reset.acknowledgment_number), (0, Some(42)));
//! let mut buffer = [0; 60];
//! let length = reset.write_to(&mut buffer)?;
//! let answer = IpPacket::parse(&buffer[..length])?;
//! assert_eq!(answer.five_tuple()?.to_string(), "TCP 198.51.100.2:23 -> 192.0.2.1:12345");
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod error;
mod header;
mod prohibited;
mod reset;

pub use error::CraftError;
pub(super) use header::{IpHeader, header_len, pseudo_header};
pub use prohibited::Prohibited;
pub use reset::Reset;

#[cfg(test)]
mod tests;
