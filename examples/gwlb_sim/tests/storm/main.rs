//! Storms: bad input, floods and faults against the example appliance, in network namespaces. After each of them it
//! lives, every datagram has its one outcome, and a good packet is answered.
//!
//! They take root (`CAP_SYS_ADMIN`, `CAP_NET_ADMIN`, `CAP_NET_RAW`) and the command `ip`; restarts in the middle of
//! connections take `/dev/net/tun`, `curl` and `python3` too. Where something is missing the tests say so on the standard
//! error and pass, unless the environment has `KERNEL_TESTS=required`.
#![cfg(all(target_os = "linux", target_pointer_width = "64"))]

mod floods;
mod input;
#[path = "../../src/namespace.rs"]
#[allow(dead_code, reason = "the module is whole, and this is not all of it")]
mod namespace;
mod operation;
mod restart;
mod rules;
mod stage;
