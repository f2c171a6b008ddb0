//! Real programs through the appliance: a client's and a server's namespace, each with a TUN device as its only way
//! out, and the simulator between them as the load balancer.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV4, TcpStream};
use std::os::fd::{AsFd, BorrowedFd};
use std::process::{Command, ExitCode};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use gwlb_geneve::flow::{FlowKey, source_port};
use gwlb_geneve::geneve::UDP_PORT;
use gwlb_geneve::gwlb::{EndpointId, Envelope, Profile};
use gwlb_geneve::packet::{FiveTuple, IpPacket};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use tappers::{Interface, Tun};

use crate::args::Bridge;
use crate::envelope::{INNER_AT, Wrapper, inner_sum};
use crate::flows::Flows;
use crate::link::{Receiver, Sender};
use crate::namespace::{Namespace, Program, ip, to_stderr};
use crate::profile::ENDPOINT;
use crate::script::FlowSeed;
use crate::stage::{APPLIANCE, GATEWAY, Stage, is_healthy};
use crate::stop::Stop;

/// The client's addresses and the server's.
const CLIENT: Addresses = (Ipv4Addr::new(10, 77, 1, 2), Ipv6Addr::new(0xfd77, 1, 0, 0, 0, 0, 0, 2));
const SERVER: Addresses = (Ipv4Addr::new(10, 77, 2, 2), Ipv6Addr::new(0xfd77, 2, 0, 0, 0, 0, 0, 2));

type Addresses = (Ipv4Addr, Ipv6Addr);

/// Carries packets until the client's command has ended, or until it is told to stop.
pub(crate) fn run(args: &Bridge, stop: &Stop) -> Result<ExitCode> {
    let client = End::new(CLIENT, args.mtu)?;
    let server = End::new(SERVER, args.mtu)?;
    let mut programs = Programs::default();
    if !args.target.self_contained {
        let appliance = args.target.appliance.context("--appliance is missing")?;
        let ends = [&client, &server];
        return serve(
            args,
            stop,
            appliance,
            args.target.gateway.first(),
            ends,
            &mut programs,
            || Ok(true),
        );
    }
    let mut stage = Stage::new(&args.target)?;
    let appliance = &mut stage.appliance;
    let deadline = Instant::now() + args.target.wait;
    let ready = || {
        appliance.check()?;
        if Instant::now() > deadline {
            bail!("the appliance is not ready after {} s", args.target.wait.as_secs_f64());
        }
        Ok(is_healthy())
    };
    let ends = [&client, &server];
    let code = stage
        .gateway
        .run(|| serve(args, stop, APPLIANCE, Some(&GATEWAY), ends, &mut programs, ready))?;
    let stopped = stage.appliance.stop(args.target.grace)?;
    eprintln!("appliance: {}, {} ms after SIGTERM", stopped.status, stopped.after.as_millis());
    Ok(code)
}

/// A namespace with nothing but a TUN device, and the simulator's end of that.
struct End {
    addresses: Addresses,
    namespace: Namespace,
    tun: Tun,
}

impl End {
    fn new(addresses: Addresses, mtu: u16) -> Result<Self> {
        let namespace = Namespace::new()?;
        let (v4, v6) = addresses;
        let tun = namespace.run(|| {
            let mut tun = Tun::new_named(Interface::new("gwlb")?)
                .context("cannot make a TUN device (/dev/net/tun)")?;
            tun.set_nonblocking(true)?;
            ip(&format!("address add {v4}/32 dev gwlb"))?;
            // Nobody else is there to have the address.
            ip(&format!("-6 address add {v6}/128 dev gwlb nodad"))?;
            ip(&format!("link set gwlb mtu {mtu} up"))?;
            ip("route add default dev gwlb")?;
            ip("-6 route add default dev gwlb")?;
            Ok(tun)
        })?;
        Ok(Self { addresses, namespace, tun })
    }

    fn has(&self, address: IpAddr) -> bool {
        address == self.addresses.0 || address == self.addresses.1
    }

    fn shell(&self, what: &str, command: &str) -> Result<Program> {
        let mut shell = Command::new("sh");
        shell.args(["-c", command]);
        if what == "the server" {
            shell.stdout(to_stderr());
        }
        self.namespace.start(what, shell)
    }
}

/// What runs at the two ends. They end before the namespaces.
#[derive(Default)]
struct Programs {
    client: Option<Program>,
    server: Option<Program>,
}

/// In the load balancer's network namespace.
fn serve(
    args: &Bridge,
    stop: &Stop,
    appliance: SocketAddrV4,
    gateway: Option<&Ipv4Addr>,
    ends: [&End; 2],
    programs: &mut Programs,
    mut ready: impl FnMut() -> Result<bool>,
) -> Result<ExitCode> {
    let mut carrier = Carrier::new(appliance, gateway, ends)?;
    let [client, server] = ends;
    if let Some(command) = &args.server {
        programs.server = Some(server.shell("the server", command)?);
    }
    let begin = Instant::now();
    let mut looked = None;
    loop {
        carrier.carry(Duration::from_millis(20))?;
        if let Some(server) = &mut programs.server {
            server.check()?;
        }
        if let Some(client) = &mut programs.client {
            if let Some(status) = client.ended()? {
                carrier.summary();
                // As a shell tells it: 128 and the signal's number where there is no status.
                let code = status.code().unwrap_or_else(|| {
                    use std::os::unix::process::ExitStatusExt;
                    128 + status.signal().unwrap_or(0)
                });
                return Ok(ExitCode::from(code as u8));
            }
        } else if looked.is_none_or(|looked: Instant| looked.elapsed().as_millis() > 100) {
            looked = Some(Instant::now());
            let answers = carrier.probe()? || ready()?;
            if answers && listens(args, server)? {
                match &args.client {
                    Some(command) => programs.client = Some(client.shell("the client", command)?),
                    None if !carrier.announced => {
                        carrier.announced = true;
                        let enter = |end: &End| format!("nsenter --net={}", end.namespace.path());
                        eprintln!("client ({}): {}", CLIENT.0, enter(client));
                        eprintln!("server ({}): {}", SERVER.0, enter(server));
                    }
                    None => {}
                }
            } else if begin.elapsed() > args.target.wait {
                bail!("nothing answers within {} s", args.target.wait.as_secs_f64());
            }
        }
        if stop.is_asked() {
            carrier.summary();
            return Ok(ExitCode::from(if args.client.is_some() { 2 } else { 0 }));
        }
    }
}

/// Whether the server accepts connections, asked inside its own namespace.
fn listens(args: &Bridge, server: &End) -> Result<bool> {
    if args.server.is_none() || args.server_port == 0 {
        return Ok(true);
    }
    let at = SocketAddr::from((server.addresses.0, args.server_port));
    server.namespace.run(|| Ok(TcpStream::connect_timeout(&at, Duration::from_millis(200)).is_ok()))
}

/// Packets between two TUN devices, by way of the appliance.
struct Carrier<'a> {
    ends: [&'a End; 2],
    sender: Sender,
    receiver: Receiver,
    wrapper: Wrapper,
    appliance: SocketAddrV4,
    flows: Flows,
    known: HashMap<FlowKey, u32>,
    frame: Vec<u8>,
    packet: Vec<u8>,
    announced: bool,
    sent: u64,
    returned: u64,
    wrong: u64,
}

impl<'a> Carrier<'a> {
    fn new(
        appliance: SocketAddrV4,
        gateway: Option<&Ipv4Addr>,
        ends: [&'a End; 2],
    ) -> Result<Self> {
        let sender = Sender::new(appliance, gateway.copied())?;
        let receiver = Receiver::new([SocketAddrV4::new(sender.local, UDP_PORT)])?;
        Ok(Self {
            ends,
            wrapper: Wrapper::new(sender.ethernet, appliance)?,
            flows: Flows::new(vec![sender.local]),
            sender,
            receiver,
            appliance,
            known: HashMap::new(),
            frame: vec![0; INNER_AT + 65_536],
            packet: vec![0; 65_536],
            announced: false,
            sent: 0,
            returned: 0,
            wrong: 0,
        })
    }

    /// Waits for packets and carries them.
    fn carry(&mut self, patience: Duration) -> Result<()> {
        let [client, server] = self.ends;
        let sockets = self.receiver.descriptors();
        let mut ready: Vec<PollFd<'_>> = [client.tun.as_fd(), server.tun.as_fd()]
            .into_iter()
            .chain(sockets)
            .map(|fd: BorrowedFd<'_>| PollFd::new(fd, PollFlags::POLLIN))
            .collect();
        // Interrupted or not, it is looked again.
        let _ = poll(&mut ready, PollTimeout::try_from(patience).unwrap_or(PollTimeout::ZERO));
        drop(ready);
        // A burst of each, so that neither end waits for the other's flood.
        for end in self.ends {
            for _ in 0..64 {
                let mut packet = std::mem::take(&mut self.packet);
                let len = end.tun.recv(&mut packet).unwrap_or(0);
                let result = if len == 0 { Ok(()) } else { self.wrap(&packet[..len]) };
                self.packet = packet;
                result?;
                if len == 0 {
                    break;
                }
            }
        }
        self.deliver()?;
        Ok(())
    }

    /// Sends a packet of an end to the appliance, if it is for the other end.
    fn wrap(&mut self, packet: &[u8]) -> Result<()> {
        let Ok(tuple) = FiveTuple::parse(packet) else { return Ok(()) };
        // Systems look for routers and neighbours too.
        if !self.ends.iter().any(|end| end.has(tuple.destination())) {
            return Ok(());
        }
        let (key, _) = FlowKey::new(EndpointId(ENDPOINT), &tuple);
        let flow = *self.known.entry(key).or_insert_with(|| {
            self.flows.add(&FlowSeed { endpoint: ENDPOINT, source_port: source_port(&tuple) })
        });
        let label = self.flows.get(flow).label;
        let len = self.wrapper.wrap(&mut self.frame, &label, packet, inner_sum(packet));
        self.sender.send([&self.frame[..len]].into_iter())?;
        self.sent += 1;
        Ok(())
    }

    /// Puts what the appliance has sent out of the TUN device that it is for.
    fn deliver(&mut self) -> Result<()> {
        let Self { ends, receiver, flows, known, appliance, returned, wrong, .. } = self;
        receiver.receive(|_, received| {
            let Ok(envelope) = Envelope::parse(received.payload, &Profile::AWS) else {
                *wrong += 1;
                return;
            };
            let inner = envelope.inner();
            let Ok(packet) = IpPacket::parse(inner) else {
                *wrong += 1;
                return;
            };
            // In the envelope of its own flow; an ICMP error that was injected, in that of another one's.
            let flow = flows.with_cookie(envelope.cookie().0);
            let label = flow.map(|flow| flows.get(flow).label);
            let of_flow = packet
                .five_tuple()
                .ok()
                .and_then(|tuple| known.get(&FlowKey::new(envelope.endpoint(), &tuple).0));
            let is_right = label.is_some_and(|label| {
                label.cookie == envelope.cookie().0
                    && label.endpoint == envelope.endpoint().0
                    && label.source_port == received.from.port()
                    && received.from.ip() == appliance.ip()
            }) && (of_flow.is_none() || of_flow == flow.as_ref());
            let end = ends.iter().find(|end| end.has(packet.destination()));
            match end.filter(|_| is_right) {
                Some(end) => {
                    // A full queue drops, as any other would.
                    let _ = end.tun.send(packet.bytes());
                    *returned += 1;
                }
                None => *wrong += 1,
            }
        })?;
        Ok(())
    }

    /// Sends a packet of its own, to the discard port, until something has come back.
    fn probe(&mut self) -> Result<bool> {
        if self.returned > 0 {
            return Ok(true);
        }
        let ends = crate::inner::Ends {
            client: CLIENT.0.into(),
            server: SERVER.0.into(),
            client_port: 9,
            server_port: 9,
        };
        let probe = crate::inner::udp(&ends, 64);
        self.wrap(&probe)?;
        Ok(false)
    }

    fn summary(&self) {
        let Self { sent, returned, wrong, .. } = self;
        eprintln!("bridge: {sent} packets sent, {returned} came back, {wrong} answers were wrong");
    }
}
