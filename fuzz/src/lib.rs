//! The properties that are fuzzed: those of the library's own tests, from the same files.
#![allow(dead_code)]

#[path = "../../tests/support/check.rs"]
pub mod check;
#[path = "../../tests/support/oracle.rs"]
pub mod oracle;
