//! Limits on what sources, destinations and endpoints have a second: packets, bytes, new flows, SYNs.
//!
//! Each [`RateRule`] is a token bucket for every source, say, filled with its rate and holding its burst at most. The buckets are
//! in [`RateLimits`], which all workers share: a limit is that of the appliance, on however many workers a source's
//! flows fall. Their number is fixed, so an attacker with many sources makes nothing grow, and sharing can only take from
//! what somebody may have, never add to it. A [`RateInspector`] makes an inspector of them.
//!
//! In a file, with the feature `config`, they look like this (all keys: `RateLimits::from_toml`):
//!
//! ```toml
//! buckets = 65536
//!
//! [[rule]]
//! name = "scans"
//! per = "source"
//! limit = "new-flows"
//! rate = 100
//! burst = 500
//! action = "drop"
//! ```
//!
//! # How a worker takes tokens
//!
//! A bucket is behind a lock, one of many. Where a burst is large enough, a worker takes a 256th of it at once and keeps in
//! hand what it does not need yet, so the packets of a busy source, or of an endpoint that all workers serve, do not meet at
//! the lock. There are 32 seats for workers that may do so, and an eighth of the burst is set apart for what is in their hands:
//! together, buckets and hands never hold more than the burst.
//!
//! So with a burst of 256 and more a packet that passes takes no lock but once in a lot, and nothing that workers share is written for
//! it. With a smaller one there is no lot that would not be felt, since thirty-two workers might each have one in hand: every token is
//! taken under the lock of its bucket's part of the table, and so is what finds that there are none. A word that is exchanged in place
//! of a lock would not do: a key has a bucket in each of four rows, and takes from all of them or from none.

#[cfg(feature = "config")]
pub(crate) mod config;
mod hands;
mod inspector;
mod limits;
mod rule;
mod table;
#[cfg(test)]
mod tests;

#[cfg(feature = "config")]
pub use crate::toml_text::{ConfigError, ConfigErrors, ConfigProblem};
pub use inspector::{Begun, RateInspector};
pub use limits::RateLimits;
pub use rule::{Action, Direction, Of, Per, RateError, RateRule};
