//! Ready-made inspectors.
//!
//! | module | judges by |
//! |---|---|
//! | [`access`] | an ordered list of rules about endpoints, addresses, protocols and ports |
//! | [`anomaly`] | what is odd about packets and messages, each kind by its own action |
//! | `rate` (feature `std`) | how much a source, a destination or an endpoint has a second |

pub mod access;
pub mod anomaly;
#[cfg(feature = "std")]
pub mod rate;
