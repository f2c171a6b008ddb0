//! Streams and messages through an engine: what is forbidden in them is stopped, however it is cut, and what is allowed is not
//! touched.
#![cfg(all(feature = "std", feature = "http"))]

#[path = "../support/mod.rs"]
mod support;

mod common;
#[cfg(feature = "dns")]
mod dns;
mod evasion;
#[cfg(feature = "dns")]
mod fragments;
mod http;
mod memory;
mod order;
