//! The example appliance of `gwlb-geneve`: a whole program that others can start from.

mod capture;
mod decode;
mod explain;
mod replay;
mod rules;
#[cfg(all(target_os = "linux", target_pointer_width = "64"))]
mod run;
mod setup;
mod verdict;
mod wrap;

use std::io::Write;
use std::process::ExitCode;

use clap::{Args, Parser, Subcommand};

/// Understands and answers the traffic of a gateway load balancer (GENEVE on UDP port 6081).
#[derive(Parser)]
#[command(name = "appliance", version, arg_required_else_help = true)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Show the GENEVE packets of a capture, a line for each.
    Decode(decode::Options),
    /// Serve a load balancer: judge what it sends, and send back what passes.
    #[cfg(all(target_os = "linux", target_pointer_width = "64"))]
    Run(run::Options),
    /// Run the GENEVE datagrams of a capture through the appliance and count what comes out.
    Replay(replay::Options),
    /// Wrap the IP packets of captures as a load balancer would, to replay them.
    Wrap(wrap::Options),
    /// Say why a packet of a capture is treated as it is.
    Explain(explain::Options),
    /// Look at files of signatures.
    #[command(subcommand)]
    Rules(rules::Command),
}

/// What every command that reads a capture takes.
#[derive(Args)]
struct Input {
    /// A pcap or pcapng file.
    file: std::path::PathBuf,
    /// A UDP destination port that carries GENEVE; give it again for more.
    #[arg(long = "port", value_name = "PORT", default_values_t = [gwlb_geneve::geneve::UDP_PORT],
        value_parser = clap::value_parser!(u16).range(1..))]
    ports: Vec<u16>,
}

fn main() -> ExitCode {
    let result = match Arguments::parse().command {
        Command::Decode(options) => decode::run(&options),
        #[cfg(all(target_os = "linux", target_pointer_width = "64"))]
        Command::Run(options) => return run::run(options),
        Command::Replay(options) => replay::run(&options),
        Command::Wrap(options) => wrap::run(&options),
        Command::Explain(options) => explain::run(&options),
        Command::Rules(command) => rules::run(&command),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        // Whoever read our output has enough of it: no error of ours.
        Err(error) if is_broken_pipe(&error) => ExitCode::SUCCESS,
        Err(error) => {
            say(&format!("error: {error:#}"));
            ExitCode::FAILURE
        }
    }
}

/// Writes a line to standard error, control characters of file names and the like made visible. If nobody can read it,
/// there is nobody to tell.
fn say(line: &str) {
    let visible: String = line
        .chars()
        .flat_map(|character| {
            let control = character.is_control();
            let escaped = character.escape_default().filter(move |_| control);
            escaped.chain(std::iter::once(character).filter(move |_| !control))
        })
        .collect();
    let _ = writeln!(std::io::stderr(), "{visible}");
}

fn is_broken_pipe(error: &anyhow::Error) -> bool {
    error
        .downcast_ref::<std::io::Error>()
        .is_some_and(|error| error.kind() == std::io::ErrorKind::BrokenPipe)
}
