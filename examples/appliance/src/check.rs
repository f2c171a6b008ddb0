//! `appliance check`: what is wrong with a configuration, and what in it cannot be meant.
//!
//! | status | meaning |
//! |---|---|
//! | 0 | the configuration is fine |
//! | 1 | there is a mistake: the appliance would not start with it; or, with `--strict`, a warning |
//! | 2 | the command line is wrong |

use std::io::{self, Write};
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Result;
use clap::Args;
use gwlb_geneve::config::{self, Config};

use crate::{say, setup};

#[derive(Args)]
pub(crate) struct Options {
    /// The configuration, in TOML.
    #[arg(value_name = "CONFIG.toml")]
    file: PathBuf,
    /// Fail where there are warnings, too.
    #[arg(long)]
    strict: bool,
}

pub(crate) fn run(options: &Options) -> ExitCode {
    let path = options.file.display();
    let checked = setup::text(&options.file).and_then(|text| {
        Config::check(&text).map_err(|errors| setup::lines(&options.file, &errors))
    });
    match checked {
        Err(errors) => {
            errors.iter().for_each(|error| say(&format!("error: {error}")));
            ExitCode::FAILURE
        }
        Ok((_, warnings)) => {
            warnings.iter().for_each(|warning| say(&format!("warning: {path}: {warning}")));
            match warnings.len() {
                0 => say(&format!("{path}: fine")),
                1 => say(&format!("{path}: no mistake, 1 warning")),
                count => say(&format!("{path}: no mistake, {count} warnings")),
            }
            if options.strict && !warnings.is_empty() {
                ExitCode::FAILURE
            } else {
                ExitCode::SUCCESS
            }
        }
    }
}

/// `appliance schema`.
pub(crate) fn schema() -> Result<()> {
    let mut out = io::stdout().lock();
    out.write_all(config::schema().as_bytes())?;
    Ok(out.flush()?)
}
