use core::net::SocketAddrV4;
use std::io;

/// Why a transport could not be opened.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum OpenError {
    /// Someone else listens at the port.
    #[error(
        "expected UDP {at} to be free, found it in use: stop the other program (`ss -lunp` names it) or choose another port"
    )]
    InUse {
        /// The address and port.
        at: SocketAddrV4,
    },
    /// The address is not one of this machine's.
    #[error(
        "expected {at} to be an address of this machine, found that it is not: choose one that `ip address` shows, or 0.0.0.0 for all"
    )]
    NoSuchAddress {
        /// The address and port.
        at: SocketAddrV4,
    },
    /// Replies take a capability that this process has not.
    #[error(
        "expected the capability CAP_NET_RAW to open {socket}, found it missing: run as root, or `setcap cap_net_raw+ep` the program"
    )]
    NotPermitted {
        /// The socket that was refused.
        socket: &'static str,
    },
    /// A number of workers that there cannot be.
    #[error("expected 1 to {most} workers, found {found}")]
    Workers {
        /// How many there can be.
        most: usize,
        /// How many there were to be.
        found: usize,
    },
    /// The kernel refused something else.
    #[error("expected the kernel to {what}, found: {cause}")]
    System {
        /// What it was asked for.
        what: &'static str,
        /// What it said.
        cause: io::Error,
    },
}

impl OpenError {
    pub(super) fn system(what: &'static str) -> impl FnOnce(io::Error) -> Self {
        move |cause| Self::System { what, cause }
    }
}
