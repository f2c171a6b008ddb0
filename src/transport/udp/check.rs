use core::fmt;
use core::net::Ipv4Addr;
use std::net::UdpSocket;

use super::netlink::{Interface, Netlink};
use super::{UdpSettings, Way, sys};

/// Something about this machine that will make a transport fail, slow or lossy. Its text says what to do.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Warning {
    /// Replies cannot be sent.
    NotPermitted {
        /// By which way.
        way: Way,
    },
    /// The kernel will hold fewer datagrams than asked for while workers are busy.
    ReceiveBuffer {
        /// Bytes that were asked for.
        expected: usize,
        /// `net.core.rmem_max`.
        found: usize,
    },
    /// Packets as long as a load balancer lets through will not fit through an interface.
    Mtu {
        /// The interface's name.
        interface: String,
        /// Its MTU.
        found: u32,
    },
    /// Someone else listens at the port.
    PortInUse {
        /// The address.
        address: Ipv4Addr,
        /// The port.
        port: u16,
    },
}

impl Warning {
    /// The outer packet around the longest inner one that a Gateway Load Balancer promises to carry.
    pub const MTU: u32 = 8_500 + 68;
}

impl fmt::Display for Warning {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotPermitted { way: Way::Raw } => f.write_str(
                "replies cannot be sent: the capability CAP_NET_RAW is missing; run as root, or `setcap cap_net_raw+ep` the program",
            ),
            Self::NotPermitted { way: Way::Packet } => f.write_str(
                "replies will cost about twice as much: the system refuses a packet socket (AF_PACKET), so the raw socket is used",
            ),
            Self::ReceiveBuffer { expected, found } => write!(
                f,
                "bursts may be lost: the receive buffer is to have {expected} bytes, net.core.rmem_max allows {found}; \
                 `sysctl -w net.core.rmem_max={expected}`, or give the program CAP_NET_ADMIN"
            ),
            Self::Mtu { interface, found } => write!(
                f,
                "long packets will be lost: the MTU of {interface} is {found}, a load balancer's packets take up to {}; \
                 `ip link set {interface} mtu 9001`",
                Self::MTU
            ),
            Self::PortInUse { address, port } => write!(
                f,
                "the port cannot be opened: UDP {address}:{port} is in use; `ss -lunp` names the program"
            ),
        }
    }
}

/// Looks for what will be a problem, without changing anything. What cannot be found out is not reported.
pub fn check(settings: &UdpSettings) -> Vec<Warning> {
    let mut warnings = Vec::new();
    if sys::socket(libc::AF_INET, libc::SOCK_RAW, libc::IPPROTO_RAW).is_err() {
        warnings.push(Warning::NotPermitted { way: Way::Raw });
    } else if settings.way != Some(Way::Raw)
        && sys::socket(libc::AF_PACKET, libc::SOCK_RAW, 0).is_err()
    {
        warnings.push(Warning::NotPermitted { way: Way::Packet });
    }
    if let Some(found) = granted(settings).filter(|found| *found < settings.receive_buffer) {
        let expected = settings.receive_buffer;
        warnings.push(Warning::ReceiveBuffer { expected, found });
    }
    let narrow = interfaces(settings.address).into_iter().filter(|link| link.mtu < Warning::MTU);
    warnings.extend(narrow.map(|link| Warning::Mtu { interface: link.name, found: link.mtu }));
    let (address, port) = (settings.address, settings.port);
    let bound = UdpSocket::bind((address, port));
    if bound.is_err_and(|error| error.kind() == std::io::ErrorKind::AddrInUse) {
        warnings.push(Warning::PortInUse { address, port });
    }
    warnings
}

/// The receive buffer that a socket would get.
fn granted(settings: &UdpSettings) -> Option<usize> {
    use std::os::fd::AsFd;

    let socket = sys::socket(libc::AF_INET, libc::SOCK_DGRAM, 0).ok()?;
    super::set_buffer(socket.as_fd(), super::Side::Receive, settings.receive_buffer);
    let granted = sys::option(socket.as_fd(), libc::SOL_SOCKET, libc::SO_RCVBUF).ok()?;
    usize::try_from(granted / 2).ok()
}

/// Those that datagrams can come through: the one that has the address, or all.
fn interfaces(address: Ipv4Addr) -> Vec<Interface> {
    let Ok(mut netlink) = Netlink::open() else { return Vec::new() };
    let own = match address {
        Ipv4Addr::UNSPECIFIED => None,
        address => netlink.interface_with(address).ok().flatten(),
    };
    let mut links = netlink.interfaces().unwrap_or_default();
    links.retain(|link| match own {
        Some(index) => link.index == index,
        None => link.is_up && !link.is_loopback,
    });
    links
}
