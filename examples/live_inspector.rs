//! An appliance of one's own on live traffic: `live_inspector`, ended by the end of its standard input.

use std::error::Error;
use std::time::Duration;

use gwlb_geneve::engine::Settings;
use gwlb_geneve::inspect::{Reason, Verdict, packet_fn};
use gwlb_geneve::runtime::Appliance;
use gwlb_geneve::transport::udp::UdpSettings;

const TELNET: Reason = Reason::new("telnet");

fn main() -> Result<(), Box<dyn Error>> {
    let no_telnet = || {
        packet_fn("no-telnet", |packet, _| match packet.five_tuple().ports {
            Some(ports) if ports.destination == 23 => Verdict::reject(TELNET),
            _ => Verdict::PASS,
        })
    };
    let running = Appliance::new(Settings::default(), no_telnet).serve(&UdpSettings::default())?;
    std::io::copy(&mut std::io::stdin(), &mut std::io::sink())?;
    running.control().drain(Duration::from_secs(400));
    let statistics = running.wait()?;
    println!("{} received, {} sent", statistics.total.received(), statistics.total.counters.sent);
    Ok(())
}
