//! An inspector of one's own, from a closure to a report: `custom_inspector [CAPTURE]`.

use std::error::Error;

use gwlb_geneve::engine::{Engine, Settings};
use gwlb_geneve::inspect::{Reason, Verdict, packet_fn};
use gwlb_geneve::runtime::Replay;

const DNS: Reason = Reason::new("dns");

fn main() -> Result<(), Box<dyn Error>> {
    let no_dns = || {
        packet_fn("no-dns", |packet, _| match packet.five_tuple().ports {
            Some(ports) if ports.destination == 53 => Verdict::reject(DNS),
            _ => Verdict::PASS,
        })
    };
    let mut engine = Engine::new(Settings::default(), no_dns)?;
    let capture = std::env::args().nth(1).unwrap_or("tests/captures/http.pcapng".into());
    let report = Replay::open(capture)?.run(&mut engine, |packet| println!("{packet}"))?;
    println!("{report}");
    Ok(())
}
