//! Ready-made inspectors.
//!
//! | module | judges by | feature |
//! |---|---|---|
//! | [`access`] | an ordered list of rules about endpoints, addresses, protocols and ports | |
//! | `api` | an ordered list of rules about HTTP requests: methods, hosts, paths, headers, sources, tokens | `api` |
//! | `domains` | lists of domain names in TLS, HTTP and DNS | `std` and `protocols` |

pub mod access;
#[cfg(feature = "api")]
pub mod api;
#[cfg(all(feature = "std", feature = "protocols"))]
pub mod domains;
