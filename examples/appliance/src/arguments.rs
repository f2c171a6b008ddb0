//! Values of the command line, read so that a wrong one is told what was expected.

use std::net::{Ipv4Addr, SocketAddr};
use std::num::NonZero;

/// A port, from 1 on.
pub(crate) fn port(text: &str) -> Result<u16, String> {
    let port = text.parse().ok().filter(|port| *port != 0);
    port.ok_or_else(|| "expected a port from 1 to 65535".into())
}

/// A whole number from 1 on, as far as the type goes.
pub(crate) fn from_one<T: TryFrom<u64>>(text: &str) -> Result<T, String> {
    let number = text.parse().ok().filter(|number: &u64| *number != 0);
    let number = number.and_then(|number| T::try_from(number).ok());
    number.ok_or_else(|| "expected a whole number from 1 on".into())
}

/// How often something is done, in seconds.
pub(crate) fn pause(text: &str) -> Result<u64, String> {
    let seconds = text.parse().ok().filter(|seconds| (1..=3_600).contains(seconds));
    seconds.ok_or_else(|| "expected 1 to 3600 seconds".into())
}

/// How many, at least one.
#[cfg(all(target_os = "linux", target_pointer_width = "64"))]
pub(crate) fn count(text: &str) -> Result<NonZero<usize>, String> {
    text.parse().map_err(|_| "expected a whole number from 1 on".into())
}

/// An address of IP and a port.
pub(crate) fn address(text: &str) -> Result<SocketAddr, String> {
    text.parse().map_err(|_| "expected an address with a port, as 127.0.0.1:9090".into())
}

/// An address of IPv4.
#[cfg(all(target_os = "linux", target_pointer_width = "64"))]
pub(crate) fn ipv4(text: &str) -> Result<Ipv4Addr, String> {
    text.parse().map_err(|_| "expected an IPv4 address, as 10.0.1.20".into())
}
