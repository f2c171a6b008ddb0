use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::process::Command;

use anyhow::{Context, Result};
use gwlb_geneve::gwlb::EndpointId;
use tappers::{Interface, Tun};

use crate::args::Bridge;
use crate::namespace::{Namespace, Program, ip, to_stderr};
use crate::profile::ENDPOINT;

/// The client's addresses and the server's.
pub(super) const CLIENT: Ipv4Addr = Ipv4Addr::new(10, 77, 1, 2);
pub(super) const SERVER: Ipv4Addr = Ipv4Addr::new(10, 77, 2, 2);
const CLIENT_V6: Ipv6Addr = Ipv6Addr::new(0xfd77, 1, 0, 0, 0, 0, 0, 2);
const SERVER_V6: Ipv6Addr = Ipv6Addr::new(0xfd77, 2, 0, 0, 0, 0, 0, 2);

/// A client and a server, on two sides of an endpoint of their own. Those of other zones have the same addresses.
pub(super) struct Zone {
    pub(super) number: u64,
    pub(super) client: End,
    pub(super) server: End,
}

impl Zone {
    pub(super) fn new(number: u64, args: &Bridge) -> Result<Self> {
        let with = |own: Ipv4Addr, own_v6: Ipv6Addr, more: &[Ipv4Addr]| {
            let more = more.iter().map(|address| IpAddr::from(*address));
            [IpAddr::from(own), own_v6.into()].into_iter().chain(more).collect()
        };
        let client = End::new(with(CLIENT, CLIENT_V6, &args.client_address), args.mtu)?;
        let server = End::new(with(SERVER, SERVER_V6, &args.server_address), args.mtu)?;
        Ok(Self { number, client, server })
    }

    pub(super) const fn endpoint(&self) -> EndpointId {
        EndpointId(ENDPOINT + self.number - 1)
    }

    pub(super) const fn ends(&self) -> [&End; 2] {
        [&self.client, &self.server]
    }

    pub(super) fn enter(end: &End) -> String {
        format!("nsenter --net={}", end.namespace.path())
    }
}

/// A namespace with nothing but a TUN device, and the simulator's end of that.
pub(super) struct End {
    addresses: Vec<IpAddr>,
    pub(super) namespace: Namespace,
    pub(super) tun: Tun,
}

impl End {
    fn new(addresses: Vec<IpAddr>, mtu: u16) -> Result<Self> {
        let namespace = Namespace::new()?;
        let tun = namespace.run(|| {
            let mut tun = Tun::new_named(Interface::new("gwlb")?)
                .context("cannot make a TUN device (/dev/net/tun)")?;
            tun.set_nonblocking(true)?;
            for address in &addresses {
                match address {
                    IpAddr::V4(address) => ip(&format!("address add {address}/32 dev gwlb"))?,
                    // Nobody else is there to have the address.
                    IpAddr::V6(address) => {
                        ip(&format!("-6 address add {address}/128 dev gwlb nodad"))?;
                    }
                }
            }
            ip(&format!("link set gwlb mtu {mtu} up"))?;
            ip("route add default dev gwlb")?;
            ip("-6 route add default dev gwlb")?;
            Ok(tun)
        })?;
        Ok(Self { addresses, namespace, tun })
    }

    pub(super) fn has(&self, address: IpAddr) -> bool {
        self.addresses.contains(&address)
    }

    pub(super) fn shell(
        &self,
        what: &str,
        command: &str,
        environment: impl IntoIterator<Item = (String, String)>,
    ) -> Result<Program> {
        let mut shell = Command::new("sh");
        shell.args(["-c", command]).envs(environment);
        if what == "the server" {
            shell.stdout(to_stderr());
        }
        self.namespace.start(what, shell)
    }
}
