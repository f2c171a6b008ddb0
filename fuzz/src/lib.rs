//! The properties that are fuzzed: those of the library's own tests, from the same files.
#![allow(dead_code)]

#[path = "../../tests/support/check.rs"]
pub mod check;
#[path = "../../tests/support/crafted.rs"]
pub mod crafted;
#[path = "../../tests/support/edits.rs"]
pub mod edits;
#[path = "../../tests/support/oracle.rs"]
pub mod oracle;
#[path = "../../tests/support/tunnels.rs"]
pub mod tunnels;
