//! Ready-made inspectors.
//!
//! | module | judges by | feature |
//! |---|---|---|
//! | [`access`] | an ordered list of rules about endpoints, addresses, protocols and ports | |
//! | [`anomaly`] | what is odd about packets and messages, each kind by its own action | |
//! | `api` | an ordered list of rules about HTTP requests: methods, hosts, paths, headers, sources, tokens | `api` |
//! | `domains` | lists of domain names in TLS, HTTP and DNS | `std` and `protocols` |
//! | `rate` | how much a source, a destination or an endpoint has a second | `std` |
//! | `signatures` | rules in Suricata's language | `signatures` |

pub mod access;
pub mod anomaly;
#[cfg(feature = "api")]
pub mod api;
#[cfg(all(feature = "std", feature = "protocols"))]
pub mod domains;
#[cfg(feature = "std")]
pub mod rate;
#[cfg(feature = "signatures")]
pub mod signatures;
