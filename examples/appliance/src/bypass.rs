//! `appliance bypass`: throws the panic switch of a running appliance.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use clap::{Args, ValueEnum};

use crate::{arguments, token};

#[derive(Args)]
pub(crate) struct Options {
    /// Whether everything is to pass.
    state: State,
    /// Where the appliance is managed.
    #[arg(long, value_name = "ADDRESS:PORT", default_value = "127.0.0.1:9090", value_parser = arguments::address)]
    manage: SocketAddr,
    /// A file that has the token; else the environment has it as `GWLB_MANAGE_TOKEN`.
    #[arg(long, value_name = "FILE")]
    token_file: Option<PathBuf>,
}

#[derive(Clone, Copy, ValueEnum)]
enum State {
    /// Everything passes, and nobody looks at it.
    On,
    /// Traffic is inspected again.
    Off,
}

const PATIENCE: Duration = Duration::from_secs(5);

/// More than it answers.
const LONGEST: u64 = 65_536;

pub(crate) fn run(options: &Options) -> Result<()> {
    let Some((_, token)) = token::read(options.token_file.as_deref())? else {
        bail!("expected a token in GWLB_MANAGE_TOKEN or --token-file, found none");
    };
    let (word, said) = match options.state {
        State::On => ("on", "bypass is on: everything passes, and nobody looks at it"),
        State::Off => ("off", "bypass is off: traffic is inspected"),
    };
    let (status, body) = order(options.manage, &token, word)
        .with_context(|| format!("no answer from the appliance at {}", options.manage))?;
    if status != 200 {
        bail!("the appliance at {} refuses with status {status}: {}", options.manage, body.trim());
    }
    let mut stdout = std::io::stdout();
    writeln!(stdout, "{said}{}", if body.starts_with("done") { "" } else { " (as before)" })?;
    Ok(())
}

/// Sends an order, and gives status and body of the answer.
fn order(at: SocketAddr, token: &str, word: &str) -> Result<(u16, String)> {
    let mut stream = TcpStream::connect_timeout(&at, PATIENCE)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.set_write_timeout(Some(PATIENCE))?;
    write!(
        stream,
        "POST /bypass HTTP/1.1\r\nHost: {at}\r\nAuthorization: Bearer {token}\r\nContent-Length: {}\r\n\
         Connection: close\r\n\r\n{word}",
        word.len()
    )?;
    let mut answer = Vec::new();
    stream.take(LONGEST).read_to_end(&mut answer)?;
    let answer = String::from_utf8_lossy(&answer);
    let Some((head, body)) = answer.split_once("\r\n\r\n") else {
        bail!("expected an answer of HTTP, found `{}`", answer.escape_debug());
    };
    let status = head.split(' ').nth(1).and_then(|status| status.parse().ok());
    let status = status.with_context(|| format!("expected an answer of HTTP, found `{head}`"))?;
    Ok((status, body.to_string()))
}
