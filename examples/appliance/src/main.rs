//! The example appliance of `gwlb-geneve`: a whole program that others can start from.

mod annotate;
mod arguments;
mod bypass;
mod capture;
mod cases;
mod check;
mod decode;
mod demo;
mod diff;
mod explain;
mod flows;
mod init;
mod replay;
mod report;
mod rules;
#[cfg(all(target_os = "linux", target_pointer_width = "64"))]
mod run;
mod setup;
mod token;
mod top;
mod verdict;
mod visible;
mod wrap;

use std::io::Write;
use std::process::ExitCode;

use anyhow::Context;
use clap::{Args, Parser, Subcommand};

use visible::visible;

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
    /// Let everything pass that a running appliance receives, or no longer: the panic switch.
    Bypass(bypass::Options),
    /// Run the GENEVE datagrams of a capture through the appliance and count what comes out.
    Replay(replay::Options),
    /// Replay captures and hold what comes of them against what is expected, as a test.
    ///
    /// Each capture `NAME.pcap` or `NAME.pcapng` of the folder is judged and held against `NAME.expect.toml` beside it. Ends with 0
    /// where all is as expected, and with 1 otherwise.
    Test(cases::Options),
    /// Watch a running appliance in a terminal, by what its management port says.
    Top(top::Options),
    /// Wrap the IP packets of captures as a load balancer would, to replay them.
    Wrap(wrap::Options),
    /// Say why a packet of a capture is treated as it is.
    Explain(explain::Options),
    /// Show what all this is for: a story with services, clients and attackers, which needs neither root nor a cloud.
    Demo(demo::Options),
    /// Say what is wrong with a configuration, and what in it never comes to its turn.
    Check(check::Options),
    /// Write a configuration that explains itself, to begin with.
    Init(init::Options),
    /// Print the JSON schema of configurations, by which editors complete them.
    Schema,
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
        value_parser = arguments::port)]
    ports: Vec<u16>,
}

fn main() -> ExitCode {
    let result = match Arguments::parse().command {
        Command::Decode(options) => decode::run(&options),
        #[cfg(all(target_os = "linux", target_pointer_width = "64"))]
        Command::Run(options) => return run::run(options),
        Command::Bypass(options) => bypass::run(&options),
        Command::Replay(options) => match options.comparison() {
            Some(comparison) => return diff::run(&comparison),
            None => replay::run(&options),
        },
        Command::Test(options) => return cases::run(&options),
        Command::Top(options) => top::run(&options),
        Command::Wrap(options) => wrap::run(&options),
        Command::Explain(options) => explain::run(&options),
        Command::Demo(options) => demo::run(&options, report_on),
        Command::Check(options) => return check::run(&options),
        Command::Init(options) => init::run(&options),
        Command::Schema => check::schema(),
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

/// Writes a line to standard error, what is hidden in file names and the like made visible. If nobody can read it,
/// there is nobody to tell.
fn say(line: &str) {
    let _ = writeln!(std::io::stderr(), "{}", visible(line));
}

fn is_broken_pipe(error: &anyhow::Error) -> bool {
    error
        .downcast_ref::<std::io::Error>()
        .is_some_and(|error| error.kind() == std::io::ErrorKind::BrokenPipe)
}

/// Reports on the demonstration's capture, as whoever has it would.
fn report_on(folder: &std::path::Path) -> anyhow::Result<()> {
    let own = std::env::current_exe().context("where is this program?")?;
    let mut replay = std::process::Command::new(own);
    replay.arg("replay").arg(folder.join("capture.pcapng"));
    replay.arg("--config").arg(folder.join("policy.toml"));
    replay.arg("--report").arg(folder.join("report.html"));
    let status = replay.stdout(std::process::Stdio::null()).status()?;
    anyhow::ensure!(status.success(), "the report could not be made ({status})");
    Ok(())
}
