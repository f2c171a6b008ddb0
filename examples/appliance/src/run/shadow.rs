//! A second configuration, evaluated beside the one in force and without effect.

use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use anyhow::{Context, Result};
use gwlb_geneve::config::Config;
use gwlb_geneve::inspect::Chain;
use gwlb_geneve::runtime::{Shadow, ShadowCounters};
use tracing::info;

use crate::setup;

/// The second configuration.
pub(super) struct ShadowFile {
    file: PathBuf,
    text: String,
    config: Config,
}

impl ShadowFile {
    pub(super) fn read(file: PathBuf) -> Result<Self, Vec<String>> {
        let text = setup::text(&file)?;
        let config = Config::parse(&text).map_err(|errors| setup::lines(&file, &errors))?;
        Ok(Self { file, text, config })
    }

    /// Whether another one would judge the same. One with signatures is never taken for the same: their files may have changed.
    pub(super) fn is_like(&self, other: &Self) -> bool {
        (&self.file, &self.text) == (&other.file, &other.text) && self.config.signatures().is_none()
    }
}

/// Where workers find the shadow policy that they are to evaluate from now on.
#[derive(Clone, Default)]
pub(super) struct Shadows {
    pub(super) counters: ShadowCounters,
    desk: Arc<Desk>,
}

#[derive(Default)]
struct Desk {
    /// Goes up with each change.
    edition: AtomicU64,
    /// For each worker that has not taken it yet.
    waiting: Mutex<Vec<Option<Shadow<Chain>>>>,
}

impl Shadows {
    /// Has workers go on with another shadow policy, or with none. The engines are made here: no worker waits for their
    /// memory.
    pub(super) fn replace(&self, shadow: Option<&ShadowFile>, workers: usize) -> Result<()> {
        let mut engines = Vec::new();
        if let Some(ShadowFile { file, config, .. }) = shadow {
            for _ in 0..workers {
                let (settings, make) = (config.settings(), config.inspectors());
                let engine = Shadow::new(&settings, workers, make, &self.counters);
                engines.push(Some(engine.with_context(|| format!("shadow {}", file.display()))?));
            }
            info!(file = %file.display(), "a shadow policy is evaluated beside the one in force, without effect");
        }
        let mut waiting = self.desk.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        *waiting = engines;
        self.desk.edition.fetch_add(1, Ordering::Release);
        Ok(())
    }

    /// For one worker.
    pub(super) fn of(&self, worker: usize) -> Follower {
        Follower { shadows: self.clone(), worker, edition: 0, shadow: None }
    }
}

/// What one worker evaluates.
pub(super) struct Follower {
    shadows: Shadows,
    worker: usize,
    edition: u64,
    shadow: Option<Shadow<Chain>>,
}

impl Follower {
    pub(super) fn shadow(&mut self) -> Option<&mut Shadow<Chain>> {
        let edition = self.shadows.desk.edition.load(Ordering::Acquire);
        if edition != self.edition {
            // Where another one is being put there, next time.
            if let Ok(mut waiting) = self.shadows.desk.waiting.try_lock() {
                self.edition = edition;
                self.shadow = waiting.get_mut(self.worker).and_then(Option::take);
            }
        }
        self.shadow.as_mut()
    }
}
