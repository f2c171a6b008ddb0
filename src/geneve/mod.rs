//! GENEVE on the wire (RFC 8926): a checked zero-copy view, the options in it, and a builder.
//!
//! This module knows no cloud; what a gateway load balancer means by its options is in
//! [`gwlb`](crate::gwlb).
//!
//! ```text
//!  0                   1                   2                   3
//!  0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1
//! +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
//! |Ver|  Opt Len  |O|C|    Rsvd.  |          Protocol Type        |  8 bytes, always
//! |        Virtual Network Identifier (VNI)       |    Reserved   |
//! +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
//! |          Option Class         |      Type     |R|R|R| Length  |  Opt Len words of options:
//! |                 Data, Length words (0 to 31)                  |  4 bytes and data each
//! +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
//! |                            Payload                            |
//! ```
//!
//! # The contract
//!
//! [`Packet::parse`] checks once that the version is known, that the header is there whole and that
//! the options add up to `Opt Len` exactly. After that no accessor can fail or panic. Reserved bits
//! are ignored, as RFC 8926 asks, and can be read; unknown options are kept, byte for byte, in
//! [`Packet::header`]. What the RFC forbids an endpoint to forward, control packets and unknown critical options, is
//! asked of the view by [`Packet::check_endpoint`].
//!
//! ```
//! use gwlb_geneve::EtherType;
//! use gwlb_geneve::geneve::{Builder, OptionClass, OptionType, Packet, TunnelOption, Vni};
//!
//! let option = TunnelOption::new(OptionClass(0x0108), OptionType(3), &[0xde, 0xad, 0xbe, 0xef])?;
//! let mut datagram = [0; 64];
//! let len = Builder::new(EtherType::IPV4).vni(Vni::new(7)?).options([option]).build_into(&mut datagram)?;
//!
//! let packet = Packet::parse(&datagram[..len])?;
//! assert_eq!(packet.vni().get(), 7);
//! assert_eq!(packet.options().next().unwrap().data(), [0xde, 0xad, 0xbe, 0xef]);
//! assert!(packet.payload().is_empty());
//! # Ok::<(), Box<dyn core::error::Error>>(())
//! ```

mod builder;
mod error;
mod option;
#[cfg(feature = "alloc")]
mod owned;
mod packet;

pub use builder::Builder;
pub use error::{BuildError, EndpointError, ParseError};
pub(crate) use option::tunnel_option;
pub use option::{OptionClass, OptionType, Options, TunnelOption};
#[cfg(feature = "alloc")]
pub use owned::{HeaderBuf, PacketBuf};
pub use packet::{Packet, Vni};

/// The UDP destination port that IANA assigned to GENEVE (RFC 8926 §3.3). Make it configurable.
pub const UDP_PORT: u16 = 6081;

/// Length of the fixed part of the header in bytes.
pub const FIXED_HEADER_LEN: usize = 8;

/// Most bytes of options that a header can carry: 63 words.
pub const MAX_OPTIONS_LEN: usize = 252;

/// Most bytes that a header with its options can have (260, which does not fit into a `u8`).
pub const MAX_HEADER_LEN: usize = FIXED_HEADER_LEN + MAX_OPTIONS_LEN;

/// Length of an option's own header in bytes.
pub const OPTION_HEADER_LEN: usize = 4;

/// Most bytes of data that one option can carry: 31 words.
pub const MAX_OPTION_DATA_LEN: usize = 124;
