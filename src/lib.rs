//! GENEVE and AWS Gateway Load Balancer (GWLB) on the wire.
#![cfg_attr(not(feature = "std"), no_std)]
#![cfg_attr(docsrs, feature(doc_cfg))]
// The wall around code that reads bytes from the network: no index, no arithmetic that can wrap or
// panic unseen, no unwrapping.
#![cfg_attr(
    not(test),
    deny(
        clippy::arithmetic_side_effects,
        clippy::cast_possible_truncation,
        clippy::expect_used,
        clippy::indexing_slicing,
        clippy::panic,
        clippy::string_slice,
        clippy::unreachable,
        clippy::unwrap_used,
    )
)]

#[cfg(feature = "alloc")]
extern crate alloc;

mod ether_type;
mod time;

pub use ether_type::EtherType;
pub use time::Timestamp;

#[cfg(feature = "capture")]
pub mod capture;
pub mod flow;
pub mod geneve;
pub mod gwlb;
pub mod packet;
