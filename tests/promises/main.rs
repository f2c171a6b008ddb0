//! What the crate promises, each in a module that tries to break it.
#![cfg(feature = "std")]

#[path = "../support/mod.rs"]
mod support;

mod bypass;
mod common;
mod determinism;
#[cfg(feature = "live")]
mod drain;
mod flood;
mod followed;
#[cfg(feature = "live")]
#[path = "../live/common.rs"]
mod live;
#[cfg(feature = "live")]
mod live_reload;
mod memory;
mod order;
mod panics;
mod quota;
mod reload;
#[cfg(feature = "live")]
mod shadow;
mod untouched;
