//! What happened, told to those who want to know. It is told, and never asks.

mod histogram;

pub use histogram::Histogram;
