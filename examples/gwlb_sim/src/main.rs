//! Plays an AWS gateway load balancer for anybody's appliance, since nobody has one on the desk.
//!
//! ```text
//! args       the command line
//! session    a run: stage, load, report
//! stage      two network namespaces with a cable between them, the appliance in one     namespace, offload
//! load       sends at a pace, receives, and waits for what is due                       link, stop, system
//! traffic    the next datagram, faults included                                         envelope, faults, random
//! script     inner packets in their order                                               profile, capture, inner
//! check      holds every answer against what was sent                                   ledger, flows, tally
//! report     the table, the JSON, the verdict
//! bridge     carries the packets of real programs instead
//! reflect    an appliance that passes everything, or makes a known mistake
//! ```

mod args;
mod bridge;
mod capture;
mod check;
mod envelope;
mod faults;
mod flows;
mod inner;
mod ledger;
mod link;
mod load;
mod namespace;
mod offload;
mod profile;
mod random;
mod reflect;
mod report;
mod script;
mod session;
mod stage;
mod stop;
mod system;
mod tally;
mod traffic;

use std::process::ExitCode;

use anyhow::Result;
use clap::Parser;

use args::{Cli, Mode};
use stop::Stop;

fn main() -> ExitCode {
    match run(&Cli::parse()) {
        Ok(code) => code,
        Err(error) => {
            eprintln!("gwlb_sim: {error:#}");
            ExitCode::from(2)
        }
    }
}

fn run(cli: &Cli) -> Result<ExitCode> {
    let stop = Stop::on_signals()?;
    match &cli.mode {
        None => session::run(&cli.load, &stop),
        Some(Mode::Bridge(args)) => bridge::run(args, &stop),
        Some(Mode::Reflect(args)) => reflect::reflect(args, &stop).map(|()| ExitCode::SUCCESS),
    }
}
