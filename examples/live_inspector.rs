//! An appliance of one's own behind a load balancer: `live_inspector`, until it is killed. It takes the features `live`,
//! `manage` and `udp`.
//!
//! What it leaves out, and the example appliance's `run` has: a log, a configuration, and signals that drain and reload.

use std::error::Error;
use std::process::ExitCode;

use gwlb_geneve::engine::Settings;
use gwlb_geneve::inspect::{Reason, Verdict, packet_fn};
use gwlb_geneve::runtime::{Appliance, ManagementSettings, Overview};
use gwlb_geneve::transport::udp::UdpSettings;

const TELNET: Reason = Reason::new("telnet");

fn serve() -> Result<(), Box<dyn Error>> {
    let no_telnet = || {
        packet_fn("no-telnet", |packet, _| match packet.five_tuple().ports {
            Some(ports) if ports.destination == 23 => Verdict::reject(TELNET),
            _ => Verdict::PASS,
        })
    };
    let checks = ManagementSettings {
        health: Some(([0, 0, 0, 0], 8080).into()),
        ..ManagementSettings::default()
    };
    let checks = checks.open()?;
    let running = Appliance::new(Settings::default(), no_telnet).serve(&UdpSettings::default())?;
    let _checks = checks.serve(Overview::new(running.control()))?;
    println!("serving UDP 6081, health checks at TCP 8080");
    running.wait()?;
    Ok(())
}

fn main() -> ExitCode {
    let Err(error) = serve() else { return ExitCode::SUCCESS };
    let why = error.source().map(|why| format!(": {why}")).unwrap_or_default();
    eprintln!("error: {error}{why}");
    ExitCode::FAILURE
}
