//! Real programs through the appliance: a client's and a server's namespace, each with a TUN device as its only way
//! out, and the simulator between them as the load balancer. Of zones there may be several, each such a pair with an endpoint of its
//! own and the same addresses.

mod carrier;
mod end;

use std::net::{Ipv4Addr, SocketAddr, SocketAddrV4, TcpStream};
use std::process::ExitCode;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};

use crate::args::Bridge;
use crate::namespace::Program;
use crate::stage::{APPLIANCE, GATEWAY, Stage, is_healthy};
use crate::stop::Stop;
use carrier::Carrier;
use end::{CLIENT, SERVER, Zone};

/// Carries packets until the client's command has ended, or until it is told to stop.
pub(crate) fn run(args: &Bridge, stop: &Stop) -> Result<ExitCode> {
    let zones =
        (1..=args.zones).map(|number| Zone::new(number, args)).collect::<Result<Vec<_>>>()?;
    let zones = &zones[..];
    let mut programs = Programs::default();
    if !args.target.self_contained {
        let appliance = args.target.appliance.context("--appliance is missing")?;
        let gateway = args.target.gateway.first();
        return serve(args, stop, appliance, gateway, zones, &mut programs, || Ok(true));
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
    let code = stage
        .gateway
        .run(|| serve(args, stop, APPLIANCE, Some(&GATEWAY), zones, &mut programs, ready))?;
    let stopped = stage.appliance.stop(args.target.grace)?;
    eprintln!("appliance: {}, {} ms after SIGTERM", stopped.status, stopped.after.as_millis());
    Ok(code)
}

/// What runs at the ends. They end before the namespaces.
#[derive(Default)]
struct Programs {
    client: Option<Program>,
    servers: Vec<Program>,
}

/// In the load balancer's network namespace.
fn serve(
    args: &Bridge,
    stop: &Stop,
    appliance: SocketAddrV4,
    gateway: Option<&Ipv4Addr>,
    zones: &[Zone],
    programs: &mut Programs,
    mut ready: impl FnMut() -> Result<bool>,
) -> Result<ExitCode> {
    let mut carrier = Carrier::new(appliance, gateway, zones)?;
    for zone in zones {
        if let Some(command) = &args.server {
            let environment = [("GWLB_ZONE".to_owned(), zone.number.to_string())];
            programs.servers.push(zone.server.shell("the server", command, environment)?);
        }
    }
    let begin = Instant::now();
    let mut looked = None;
    loop {
        carrier.carry(Duration::from_millis(20))?;
        for server in &mut programs.servers {
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
            if answers && all_listen(args, zones)? {
                match (&args.client, zones.first()) {
                    (Some(command), Some(first)) => {
                        // How to get to the clients' namespace of each zone.
                        let environment = zones.iter().map(|zone| {
                            (format!("GWLB_CLIENT_{}", zone.number), Zone::enter(&zone.client))
                        });
                        let client = first.client.shell("the client", command, environment)?;
                        programs.client = Some(client);
                    }
                    _ if !carrier.announced => {
                        carrier.announced = true;
                        for zone in zones {
                            let number = zone.number;
                            eprintln!("client {number} ({CLIENT}): {}", Zone::enter(&zone.client));
                            eprintln!("server {number} ({SERVER}): {}", Zone::enter(&zone.server));
                        }
                    }
                    _ => {}
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

/// Whether the servers accept connections, asked inside their own namespaces.
fn all_listen(args: &Bridge, zones: &[Zone]) -> Result<bool> {
    if args.server.is_none() || args.server_port == 0 {
        return Ok(true);
    }
    let address = args.server_address.first().copied().unwrap_or(SERVER);
    let at = SocketAddr::from((address, args.server_port));
    let listens = |zone: &Zone| {
        let patience = Duration::from_millis(200);
        zone.server.namespace.run(|| Ok(TcpStream::connect_timeout(&at, patience).is_ok()))
    };
    zones.iter().try_fold(true, |all, zone| Ok(all && listens(zone)?))
}
