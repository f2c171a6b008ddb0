//! `appliance init`: a configuration to begin with.

use std::fs::OpenOptions;
use std::io::{self, Write};
use std::path::PathBuf;

use anyhow::{Context, Result, bail};
use clap::Args;

use crate::say;

/// The configuration that this repository shows, too.
const EXAMPLE: &str = include_str!("../example.toml");

#[derive(Args)]
pub(crate) struct Options {
    /// Where it is written; `-` is standard output.
    #[arg(value_name = "CONFIG.toml", default_value = "appliance.toml")]
    file: PathBuf,
    /// Write over a file that is there.
    #[arg(long)]
    force: bool,
}

pub(crate) fn run(options: &Options) -> Result<()> {
    let path = options.file.display();
    if options.file.as_os_str() == "-" {
        let mut out = io::stdout().lock();
        out.write_all(EXAMPLE.as_bytes())?;
        return Ok(out.flush()?);
    }
    let mut open = OpenOptions::new();
    if options.force {
        open.write(true).create(true).truncate(true);
    } else {
        open.write(true).create_new(true);
    }
    if options.file.is_dir() {
        bail!("cannot write {path}: expected a file, found a directory");
    }
    let mut file = match open.open(&options.file) {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
            bail!("{path} is there already: --force writes over it")
        }
        opened => opened.with_context(|| format!("cannot write {path}"))?,
    };
    file.write_all(EXAMPLE.as_bytes()).with_context(|| format!("cannot write {path}"))?;
    say(&format!("{path}: written; `appliance check {path}` says whether it is right"));
    Ok(())
}
