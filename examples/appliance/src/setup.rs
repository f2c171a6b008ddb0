//! The engine that a configuration describes.

use std::path::{Path, PathBuf};

use anyhow::{Result, anyhow};
use clap::{Args, ValueEnum};
use gwlb_geneve::config::{Config, ConfigErrors};
use gwlb_geneve::engine::{self, Engine};
use gwlb_geneve::inspect::Chain;

use crate::say;

#[derive(Args)]
pub(crate) struct Setup {
    /// What is to be judged and how, in TOML. Without it nothing is inspected, and what cannot be judged is treated
    /// by the policy `available`.
    #[arg(long, value_name = "CONFIG.toml")]
    config: Option<PathBuf>,
    /// Whether packets inside with wrong checksums are dropped, as their receiver would drop them. A capture that was taken on
    /// the machine that sent them, before the network card filled the checksums in, wants `ignore`.
    #[arg(long, value_enum, default_value_t = Checksums::Verify)]
    checksums: Checksums,
}

#[derive(Clone, Copy, ValueEnum)]
enum Checksums {
    Verify,
    Ignore,
}

impl Setup {
    /// The file of the configuration.
    pub(crate) fn file(&self) -> Option<&Path> {
        self.config.as_deref()
    }

    pub(crate) fn engine(&self) -> Result<Engine<Chain>> {
        let config = self.read()?;
        Ok(Engine::new(self.settings(&config), config.inspectors())?)
    }

    /// The engine's settings by a configuration and by what else was said.
    pub(crate) fn settings(&self, config: &Config) -> engine::Settings {
        let checksums = match self.checksums {
            Checksums::Verify => engine::Checksums::Verify,
            Checksums::Ignore => engine::Checksums::Ignore,
        };
        engine::Settings { checksums, ..config.settings() }
    }

    pub(crate) fn read(&self) -> Result<Config> {
        let Some(file) = &self.config else { return Ok(Config::default()) };
        read_or_say(file)
    }
}

/// The configuration in a file. Of one error the error, of several their number, after each has been said.
pub(crate) fn read_or_say(file: &Path) -> Result<Config> {
    read(file).map_err(|mut errors| match errors.len() {
        1 => anyhow!(errors.remove(0)),
        count => {
            for error in errors {
                say(&error);
            }
            anyhow!("{}: {count} errors in the configuration", file.display())
        }
    })
}

/// The configuration in a file, or all that is wrong with it.
pub(crate) fn read(file: &Path) -> Result<Config, Vec<String>> {
    Config::parse(&text(file)?).map_err(|errors| lines(file, &errors))
}

/// What stands in the file of a configuration.
pub(crate) fn text(file: &Path) -> Result<String, Vec<String>> {
    let path = file.display();
    let bytes =
        std::fs::read(file).map_err(|error| vec![format!("cannot read {path}: {error}")])?;
    String::from_utf8(bytes).map_err(|error| {
        let (error, bytes) = (error.utf8_error(), error.as_bytes());
        let (text, rest) = bytes.split_at(error.valid_up_to());
        let line = text.iter().filter(|byte| **byte == b'\n').count() + 1;
        let found = rest.first().copied().unwrap_or_default();
        vec![format!("{path}: line {line}: expected text in UTF-8, found the byte {found:#04x}")]
    })
}

/// A line for each mistake.
pub(crate) fn lines(file: &Path, errors: &ConfigErrors) -> Vec<String> {
    let path = file.display();
    errors.errors().iter().map(|error| format!("{path}: {error}")).collect()
}
