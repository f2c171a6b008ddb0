//! Workers on traffic from memory: what they count, whom they hand over to, how they are told and ended.
#![cfg(feature = "live")]

#[path = "../support/mod.rs"]
mod support;

mod accounts;
mod allocations;
mod common;
mod control;
mod failures;
mod hand_over;
#[cfg(feature = "manage")]
mod told;
