//! What happened, told to those who want to know. It is told, and never asks.

#[cfg(feature = "eve")]
pub mod eve;
mod histogram;

pub use histogram::Histogram;
