//! An inspector of one's own, from a closure to a report: `custom_inspector [CAPTURE]`.

use std::error::Error;
use std::process::ExitCode;

use gwlb_geneve::engine::{Engine, Settings};
use gwlb_geneve::inspect::{Reason, Verdict, packet_fn};
use gwlb_geneve::runtime::Replay;

const DNS: Reason = Reason::new("dns");

fn inspect() -> Result<(), Box<dyn Error>> {
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

fn main() -> ExitCode {
    let Err(error) = inspect() else { return ExitCode::SUCCESS };
    let why = error.source().map(|why| format!(": {why}")).unwrap_or_default();
    eprintln!("error: {error}{why}");
    ExitCode::FAILURE
}
