//! What several test programs, fuzz targets and benchmarks share.
//!
//! Each of them uses a part, hence the allowance.
#![allow(dead_code, missing_docs, unreachable_pub)]

pub mod check;
pub mod crafted;
#[cfg(feature = "alloc")]
pub mod defrags;
#[cfg(all(feature = "tls", feature = "dns"))]
pub mod dns;
pub mod edits;
#[cfg(feature = "std")]
pub mod engine_check;
pub mod envelopes;
#[cfg(feature = "capture")]
pub mod fixtures;
pub mod generate;
#[cfg(feature = "http")]
pub mod http_check;
pub mod oracle;
#[cfg(feature = "signatures")]
pub mod rules;
pub mod sample;
#[cfg(feature = "signatures")]
pub mod signatures;
#[cfg(feature = "alloc")]
pub mod streams;
#[cfg(all(feature = "tls", feature = "dns"))]
pub mod tls;
#[cfg(feature = "std")]
pub mod traffic;
pub mod tunnels;
