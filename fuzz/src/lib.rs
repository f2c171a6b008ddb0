//! The properties that are fuzzed: those of the library's own tests, from the same files.
#![allow(dead_code)]

#[path = "../../tests/support/check.rs"]
pub mod check;
#[path = "../../tests/support/crafted.rs"]
pub mod crafted;
#[path = "../../tests/support/defrags.rs"]
pub mod defrags;
#[path = "../../tests/support/dns.rs"]
pub mod dns;
#[path = "../../tests/support/edits.rs"]
pub mod edits;
#[path = "../../tests/support/engine_check/mod.rs"]
pub mod engine_check;
#[path = "../../tests/support/envelopes.rs"]
pub mod envelopes;
#[path = "../../tests/support/http_check/mod.rs"]
pub mod http_check;
#[path = "../../tests/support/oracle.rs"]
pub mod oracle;
#[path = "../../tests/support/rules.rs"]
pub mod rules;
#[path = "../../tests/support/signatures.rs"]
pub mod signatures;
#[path = "../../tests/support/streams.rs"]
pub mod streams;
#[path = "../../tests/support/tls.rs"]
pub mod tls;
#[path = "../../tests/support/traffic.rs"]
pub mod traffic;
#[path = "../../tests/support/tunnels.rs"]
pub mod tunnels;

/// By the name that the library's own tests have for it.
pub use envelopes as generate;
