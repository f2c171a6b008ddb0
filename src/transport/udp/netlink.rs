use core::net::Ipv4Addr;
use std::fs::File;
use std::io::{self, Read, Write};

use super::sys;

/// Asks the kernel about routes, neighbours and interfaces (rtnetlink(7)).
#[derive(Debug)]
pub(super) struct Netlink {
    socket: File,
    sequence: u32,
    buffer: Vec<u8>,
}

/// Where the kernel would send to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Route {
    pub(super) interface: u32,
    /// The router, or the destination itself.
    pub(super) next: Ipv4Addr,
}

/// What the kernel knows of a neighbour's address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Neighbour {
    pub(super) address: [u8; 6],
    /// Whether it is known to be right without asking the neighbour again.
    pub(super) is_fresh: bool,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Interface {
    pub(super) index: u32,
    pub(super) name: String,
    pub(super) mtu: u32,
    pub(super) is_up: bool,
    pub(super) is_loopback: bool,
    /// Its hardware address, if it is an Ethernet interface.
    pub(super) ethernet: Option<[u8; 6]>,
}

impl Netlink {
    /// In the network namespace of the thread that calls.
    pub(super) fn open() -> io::Result<Self> {
        let socket = sys::socket(libc::AF_NETLINK, libc::SOCK_RAW, libc::NETLINK_ROUTE)?;
        Ok(Self { socket: File::from(socket), sequence: 0, buffer: vec![0; 1 << 16] })
    }

    /// How to reach `to` from the local address `from`. `None` unless it is another machine, directly or over a router.
    pub(super) fn route(&mut self, from: Ipv4Addr, to: Ipv4Addr) -> io::Result<Option<Route>> {
        let mut body = vec![AF_INET, 32, 32, 0, 0, 0, 0, 0, 0, 0, 0, 0];
        put_attribute(&mut body, RTA_DST, &to.octets());
        put_attribute(&mut body, RTA_SRC, &from.octets());
        let answers = match self.ask(libc::RTM_GETROUTE, 0, &body) {
            Err(error) if is_nothing(&error) => return Ok(None),
            answers => answers?,
        };
        let route = answers.iter().find_map(|body| {
            let (&[_, _, _, _, _, _, _, kind, ..], rest) = body.split_first_chunk::<12>()?;
            let is_tunnel = attribute(rest, RTA_ENCAP).or(attribute(rest, RTA_VIA)).is_some();
            if kind != RTN_UNICAST || is_tunnel {
                return None;
            }
            let gateway = attribute(rest, RTA_GATEWAY).and_then(<[u8]>::first_chunk::<4>);
            Some(Route {
                interface: integer(attribute(rest, RTA_OIF)?)?,
                next: gateway.map_or(to, |octets| (*octets).into()),
            })
        });
        Ok(route)
    }

    /// The hardware address of a neighbour, as far as it is known.
    pub(super) fn neighbour(&mut self, route: Route) -> io::Result<Option<Neighbour>> {
        let mut body = vec![AF_INET, 0, 0, 0];
        body.extend(route.interface.to_ne_bytes());
        body.extend([0; 4]);
        put_attribute(&mut body, NDA_DST, &route.next.octets());
        let answers = match self.ask(libc::RTM_GETNEIGH, 0, &body) {
            Err(error) if is_nothing(&error) => return Ok(None),
            answers => answers?,
        };
        let neighbour = answers.iter().find_map(|body| {
            let (&[_, _, _, _, _, _, _, _, a, b, _, _], rest) = body.split_first_chunk::<12>()?;
            let state = u16::from_ne_bytes([a, b]);
            let address = *attribute(rest, NDA_LLADDR)?.first_chunk()?;
            let is_known = state & (NUD_FRESH | NUD_STALE | NUD_DELAY | NUD_PROBE) != 0;
            let is_fresh = state & (NUD_FRESH | NUD_DELAY | NUD_PROBE) != 0;
            is_known.then_some(Neighbour { address, is_fresh })
        });
        Ok(neighbour)
    }

    /// The interface with this number.
    pub(super) fn interface(&mut self, index: u32) -> io::Result<Option<Interface>> {
        let mut body = vec![0; 4];
        body.extend(index.to_ne_bytes());
        body.extend([0; 8]);
        let answers = match self.ask(libc::RTM_GETLINK, 0, &body) {
            Err(error) if is_nothing(&error) => return Ok(None),
            answers => answers?,
        };
        Ok(answers.iter().find_map(|body| Interface::parse(body)))
    }

    /// All interfaces.
    pub(super) fn interfaces(&mut self) -> io::Result<Vec<Interface>> {
        let answers = self.ask(libc::RTM_GETLINK, NLM_F_DUMP, &[0; 16])?;
        Ok(answers.iter().filter_map(|body| Interface::parse(body)).collect())
    }

    /// The number of the interface that has this address.
    pub(super) fn interface_with(&mut self, address: Ipv4Addr) -> io::Result<Option<u32>> {
        let answers = self.ask(libc::RTM_GETADDR, NLM_F_DUMP, &[AF_INET, 0, 0, 0, 0, 0, 0, 0])?;
        let found = answers.iter().find_map(|body| {
            let (&[_, _, _, _, a, b, c, d], rest) = body.split_first_chunk::<8>()?;
            let local = attribute(rest, IFA_LOCAL)?;
            (local == address.octets()).then(|| u32::from_ne_bytes([a, b, c, d]))
        });
        Ok(found)
    }

    /// The bodies of all messages of the answer.
    fn ask(&mut self, kind: u16, flags: u16, body: &[u8]) -> io::Result<Vec<Vec<u8>>> {
        self.sequence = self.sequence.wrapping_add(1);
        let len = u32::try_from(body.len().saturating_add(16)).map_err(io::Error::other)?;
        let mut request = len.to_ne_bytes().to_vec();
        request.extend(kind.to_ne_bytes());
        request.extend((flags | NLM_F_REQUEST).to_ne_bytes());
        request.extend(self.sequence.to_ne_bytes());
        request.extend([0; 4]);
        request.extend(body);
        self.socket.write_all(&request)?;

        let mut answers = Vec::new();
        loop {
            let read = self.socket.read(&mut self.buffer)?;
            let mut rest = self.buffer.get(..read).unwrap_or_default();
            while let Some((header, after)) = rest.split_first_chunk::<16>() {
                let &[a, b, c, d, k0, k1, f0, f1, s0, s1, s2, s3, ..] = header;
                let len = usize::try_from(u32::from_ne_bytes([a, b, c, d])).unwrap_or(0);
                let body = len.checked_sub(16).and_then(|len| after.get(..len));
                let body = body.ok_or_else(|| io::Error::other("a netlink message was cut off"))?;
                rest = rest.get(len.next_multiple_of(4)..).unwrap_or_default();
                if u32::from_ne_bytes([s0, s1, s2, s3]) != self.sequence {
                    continue;
                }
                match u16::from_ne_bytes([k0, k1]) {
                    NLMSG_DONE => return Ok(answers),
                    NLMSG_ERROR => {
                        let code = body.first_chunk().map_or(0, |code| i32::from_ne_bytes(*code));
                        return match code {
                            0 => Ok(answers),
                            code => Err(io::Error::from_raw_os_error(code.saturating_neg())),
                        };
                    }
                    _ => answers.push(body.to_vec()),
                }
                if u16::from_ne_bytes([f0, f1]) & NLM_F_MULTI == 0 {
                    return Ok(answers);
                }
            }
        }
    }
}

impl Interface {
    fn parse(body: &[u8]) -> Option<Self> {
        let (&[_, _, k0, k1, i0, i1, i2, i3, f0, f1, f2, f3, ..], rest) =
            body.split_first_chunk::<16>()?;
        let kind = u16::from_ne_bytes([k0, k1]);
        let flags = u32::from_ne_bytes([f0, f1, f2, f3]);
        let name = attribute(rest, IFLA_IFNAME)?;
        let name = name.split(|byte| *byte == 0).next()?;
        let address = attribute(rest, IFLA_ADDRESS).and_then(<[u8]>::first_chunk::<6>).copied();
        Some(Self {
            index: u32::from_ne_bytes([i0, i1, i2, i3]),
            name: String::from_utf8_lossy(name).into_owned(),
            mtu: integer(attribute(rest, IFLA_MTU)?)?,
            is_up: flags & IFF_UP != 0,
            is_loopback: flags & IFF_LOOPBACK != 0,
            ethernet: address.filter(|_| kind == ARPHRD_ETHER),
        })
    }
}

/// The first attribute of this type: each has a length with that of its own header, a type, and data.
fn attribute(mut rest: &[u8], wanted: u16) -> Option<&[u8]> {
    loop {
        let &[a, b, k0, k1] = rest.first_chunk()?;
        let len = usize::from(u16::from_ne_bytes([a, b]));
        if u16::from_ne_bytes([k0, k1]) & NLA_TYPE == wanted {
            return rest.get(4..len);
        }
        rest = rest.get(len.max(4).next_multiple_of(4)..)?;
    }
}

fn put_attribute(body: &mut Vec<u8>, kind: u16, address: &[u8; 4]) {
    body.extend(8_u16.to_ne_bytes());
    body.extend(kind.to_ne_bytes());
    body.extend(address);
}

fn integer(bytes: &[u8]) -> Option<u32> {
    bytes.first_chunk().map(|bytes| u32::from_ne_bytes(*bytes))
}

/// Whether it means that there is no such thing.
fn is_nothing(error: &io::Error) -> bool {
    matches!(
        error.raw_os_error(),
        Some(
            libc::ENOENT
                | libc::ENODEV
                | libc::ENETUNREACH
                | libc::EHOSTUNREACH
                | libc::ENETDOWN
                | libc::EACCES
                | libc::EINVAL
        )
    )
}

// `linux/netlink.h`, `linux/rtnetlink.h`, `linux/neighbour.h`, `linux/if_link.h`, `linux/if_addr.h`
const AF_INET: u8 = 2;
const NLM_F_REQUEST: u16 = 1;
const NLM_F_MULTI: u16 = 2;
const NLM_F_DUMP: u16 = 0x300;
const NLMSG_ERROR: u16 = 2;
const NLMSG_DONE: u16 = 3;
const NLA_TYPE: u16 = 0x3fff;
const RTA_DST: u16 = 1;
const RTA_SRC: u16 = 2;
const RTA_OIF: u16 = 4;
const RTA_GATEWAY: u16 = 5;
const RTA_VIA: u16 = 18;
const RTA_ENCAP: u16 = 22;
const RTN_UNICAST: u8 = 1;
const NDA_DST: u16 = 1;
const NDA_LLADDR: u16 = 2;
const NUD_STALE: u16 = 0x04;
const NUD_DELAY: u16 = 0x08;
const NUD_PROBE: u16 = 0x10;
/// Reachable, without need of resolution, permanent.
const NUD_FRESH: u16 = 0x02 | 0x40 | 0x80;
const IFLA_ADDRESS: u16 = 1;
const IFLA_IFNAME: u16 = 3;
const IFLA_MTU: u16 = 4;
const IFA_LOCAL: u16 = 2;
const IFF_UP: u32 = 1;
const IFF_LOOPBACK: u32 = 8;
const ARPHRD_ETHER: u16 = 1;
