//! The tests beside the code, which cargo does not run in an example's binary.
#![allow(dead_code, reason = "the modules are whole, and these are not all of them")]

#[path = "../src/envelope.rs"]
mod envelope;
#[path = "../src/faults.rs"]
mod faults;
#[path = "../src/flows.rs"]
mod flows;
#[path = "../src/inner.rs"]
mod inner;
#[path = "../src/random.rs"]
mod random;
#[path = "../src/script.rs"]
mod script;
