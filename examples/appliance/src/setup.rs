//! The engine that a configuration describes.

use std::path::PathBuf;

use anyhow::{Context, Result, anyhow};
use clap::Args;
use gwlb_geneve::config::Config;
use gwlb_geneve::engine::Engine;
use gwlb_geneve::inspect::Chain;

use crate::say;

#[derive(Args)]
pub(crate) struct Setup {
    /// What is to be judged and how, in TOML. Without it nothing is inspected, and what cannot be judged is treated
    /// by the policy `available`.
    #[arg(long, value_name = "CONFIG.toml")]
    config: Option<PathBuf>,
}

impl Setup {
    pub(crate) fn engine(&self) -> Result<Engine<Chain>> {
        let config = self.read()?;
        Ok(Engine::new(config.settings(), config.inspectors())?)
    }

    fn read(&self) -> Result<Config> {
        let Some(file) = &self.config else { return Ok(Config::default()) };
        let path = file.display();
        let text = std::fs::read_to_string(file).with_context(|| format!("cannot read {path}"))?;
        Config::parse(&text).map_err(|errors| match errors.errors() {
            [error] => anyhow!("{path}: {error}"),
            errors => {
                for error in errors {
                    say(&format!("{path}: {error}"));
                }
                anyhow!("{path}: {} errors in the configuration", errors.len())
            }
        })
    }
}
