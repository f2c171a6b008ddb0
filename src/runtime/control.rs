use alloc::boxed::Box;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::fmt;
use core::sync::atomic::Ordering;
use core::time::Duration;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::Instant;

use super::desk::{Blueprint, Desk, Make, Office, Order, Phase, lock, share};
use super::failure::message;
use super::{Health, ReloadFailed, Statistics, WorkerStatistics};
use crate::engine::{Flows, MAX_GENERATIONS, ReloadError, Settings};
use crate::flow::FragmentCounters;
use crate::inspect::{Chain, Inspector, check};

/// The handle of a running [`Appliance`](super::Appliance): what it has done, how it is, what it is to do. Clones are the
/// same handle; it may outlive the appliance.
pub struct Control<I: Inspector = Chain> {
    pub(super) office: Arc<Office<I>>,
}

impl<I: Inspector> Control<I> {
    /// So long workers are waited for.
    pub const PATIENCE: Duration = Duration::from_millis(250);

    /// How many workers there are.
    pub fn workers(&self) -> usize {
        self.office.desks.len()
    }

    /// What was done so far. Each worker answers between two turns; who does not within
    /// [`PATIENCE`](Self::PATIENCE) is named, and told of as of its last answer.
    pub fn statistics(&self) -> Statistics {
        let (workers, silent) = self.ask();
        let directory = self.office.directory.as_ref();
        let directory = directory.map_or_else(FragmentCounters::default, |it| it.counters());
        Statistics::of(workers, silent, directory)
    }

    /// Whether the appliance should be given traffic: every worker makes progress, has recently judged a packet of its
    /// own, and its inspectors do not keep failing; and nobody has told it to go down.
    pub fn health(&self) -> Health {
        self.office.health()
    }

    /// The settings in force.
    pub fn settings(&self) -> Settings {
        lock(&self.office.blueprint).settings.clone()
    }

    /// Goes on with other settings and other inspectors, wholly or not at all. `flows` says which inspectors the flows that
    /// there are go on under; settings, such as the policy and whether it only monitors, hold for all flows at once.
    ///
    /// The inspectors are made on the thread of the caller, one for each worker, and handed to the workers when all of them
    /// could be made. A worker takes them between two turns, within [`PATIENCE`](Self::PATIENCE) as a rule; one that
    /// is busy for longer, with its next turn.
    ///
    /// For other inspectors alone, hand in [`settings`](Self::settings).
    ///
    /// # Errors
    ///
    /// See [`ReloadFailed`]; then nothing has changed.
    pub fn reload(
        &self,
        settings: &Settings,
        make: impl FnMut() -> I + Clone + Send + 'static,
        flows: Flows,
    ) -> Result<(), ReloadFailed> {
        let mut blueprint = lock(&self.office.blueprint);
        let fields = blueprint.settings.fixed(settings);
        if !fields.is_empty() {
            return Err(ReloadFailed::Restart { fields });
        }
        if self.office.phase() == Phase::Stopping {
            return Err(ReloadFailed::Ending);
        }
        let mut made: Vec<(I, Box<dyn Make<I>>)> = Vec::new();
        for _ in &self.office.desks {
            let mut make = make.clone();
            let inspector = catch_unwind(AssertUnwindSafe(&mut make))
                .map_err(|panic| ReloadFailed::Make(message(&*panic)))?;
            check(&inspector).map_err(ReloadError::from)?;
            made.push((inspector, Box::new(make)));
        }
        let (workers, mut silent) = self.ask();
        // The dead do not hold up the others.
        silent.retain(|worker| {
            self.office.desks.get(*worker).is_some_and(|desk| !desk.mail().has_ended)
        });
        if !silent.is_empty() {
            return Err(ReloadFailed::Silent { workers: silent });
        }
        if workers.iter().any(|worker| worker.generations >= MAX_GENERATIONS) {
            return Err(ReloadError::TooMany { most: MAX_GENERATIONS }.into());
        }
        let part = share(settings, self.office.desks.len());
        *blueprint = Blueprint {
            settings: Settings { seed: blueprint.settings.seed.clone(), ..settings.clone() },
            make: Box::new(make),
        };
        for (desk, (inspector, make)) in self.office.desks.iter().zip(made) {
            if desk.mail().has_ended {
                continue;
            }
            desk.order(Order { inspector, make, settings: part.clone(), flows });
        }
        // A restart makes its engine of the blueprint; no second reload may come before this one is known.
        let _ = self.ask();
        drop(blueprint);
        tracing::info!(?flows, "reloaded");
        Ok(())
    }

    /// The panic switch: has everything pass that comes, and nobody look at it, until it is told otherwise; see
    /// [`Engine::bypass`](crate::engine::Engine::bypass). The workers take it up between two bursts, without a lock, and health does
    /// not fail for it. Returns at once, and says whether that changed anything.
    pub fn bypass(&self, on: bool) -> bool {
        let mut since = lock(&self.office.bypassed_since);
        if since.is_some() == on {
            return false;
        }
        let lasted = since.map(|since| since.elapsed());
        *since = on.then(Instant::now);
        self.office.is_bypassed.store(on, Ordering::Relaxed);
        drop(since);
        self.office.desks.iter().for_each(Desk::wake);
        match lasted {
            None => tracing::warn!("bypass is on: everything passes, and nobody looks at it"),
            Some(lasted) => tracing::warn!(?lasted, "bypass is off: traffic is inspected again"),
        }
        true
    }

    /// For how long everything has been told to [pass](Self::bypass); `None` where it is not.
    pub fn bypassed_for(&self) -> Option<Duration> {
        lock(&self.office.bypassed_since).map(|since| since.elapsed())
    }

    /// Tells the appliance to go down: [`health`](Self::health) fails from now on, so that the load balancer sends no new
    /// flows after a while, and what comes until then is judged as ever. When no flow is left, and nothing has come for
    /// [a while](super::Appliance::quiet), or after `most`, the workers end.
    ///
    /// Returns at once: [`Running::wait`](super::Running::wait) waits.
    pub fn drain(&self, most: Duration) {
        let now = Instant::now();
        // Where that is farther away than a clock can count, the quiet alone ends it.
        let until = now.checked_add(most).unwrap_or_else(|| far(now));
        tracing::info!(?most, "draining");
        self.office.advance(Phase::Draining { until });
    }

    /// Ends the workers after their present turns. Returns at once.
    pub fn stop(&self) {
        self.office.advance(Phase::Stopping);
    }

    /// Whether the appliance was told to go down, or to stop.
    pub fn is_ending(&self) -> bool {
        self.office.phase() != Phase::Running
    }

    /// Asks all workers: what they say, and who said nothing.
    fn ask(&self) -> (Vec<WorkerStatistics>, Vec<usize>) {
        let asked: Vec<u64> = self.office.desks.iter().map(|desk| desk.ask()).collect();
        let now = Instant::now();
        let deadline = now.checked_add(Self::PATIENCE).unwrap_or(now);
        let mut silent = Vec::new();
        let mut workers = Vec::new();
        for (number, (desk, asked)) in self.office.desks.iter().zip(asked).enumerate() {
            let (statistics, is_answer) = desk.answer(asked, deadline);
            workers.push(statistics);
            if !is_answer {
                silent.push(number);
            }
        }
        (workers, silent)
    }
}

/// In a year.
fn far(now: Instant) -> Instant {
    now.checked_add(Duration::from_secs(365 * 86_400)).unwrap_or(now)
}

impl<I: Inspector> Clone for Control<I> {
    fn clone(&self) -> Self {
        Self { office: Arc::clone(&self.office) }
    }
}

impl<I: Inspector> fmt::Debug for Control<I> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Control")
            .field("workers", &self.workers())
            .field("phase", &self.office.phase())
            .finish_non_exhaustive()
    }
}
