//! What the crate promises, each in a module that tries to break it.
#![cfg(feature = "std")]

#[path = "../support/mod.rs"]
mod support;

mod common;
mod determinism;
mod flood;
mod memory;
mod order;
mod panics;
mod quota;
mod reload;
mod untouched;
