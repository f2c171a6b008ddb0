//! What happened, told to those who want to know. It is told, and never asks.

#[cfg(feature = "capture")]
mod backlog;
#[cfg(feature = "eve")]
pub mod eve;
#[cfg(feature = "capture")]
pub mod evidence;
mod histogram;

pub use histogram::Histogram;
