//! The UDP transport between two network namespaces: a gateway at one end of a veth pair, the transport at the other.
//!
//! This takes root and the command `ip`. Where one of them is missing the tests say so on the standard error and pass,
//! unless the environment has `KERNEL_TESTS=required`.
#![cfg(all(feature = "udp", target_os = "linux", target_pointer_width = "64"))]

mod group;
mod network;
mod paths;
mod refusals;
mod workers;
