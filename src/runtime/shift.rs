//! A worker's thread, from its first turn to its last.

use alloc::boxed::Box;
use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::sync::atomic::Ordering;
use core::time::Duration;
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::thread;
use std::time::Instant;

use super::desk::{Desk, Office, Order, Phase, lock, share};
use super::failure::message;
use super::worker::Worker;
use super::{WorkerError, WorkerStatistics};
use crate::engine::{Engine, EngineError, Settings};
use crate::inspect::{Inspector, Rewriter};
use crate::transport::Transport;

/// A worker at work.
pub(super) struct Shift<T: Transport, I: Inspector, R: Rewriter> {
    pub(super) worker: Worker<T, I, R>,
    pub(super) office: Arc<Office<I>>,
    pub(super) number: usize,
    pub(super) make_engine: MakeEngine<I, R>,
}

/// Makes a worker's engine, from its settings and the function that makes inspectors.
pub(super) type MakeEngine<I, R> = Box<
    dyn FnMut(Settings, Box<dyn FnMut() -> I + Send>) -> Result<Engine<I, R>, EngineError> + Send,
>;

/// So long a worker waits for datagrams at most: it shows then that it lives.
const WAIT: Duration = Duration::from_millis(250);

/// A worker that panics more often than this within a minute has died.
const MOST_PANICS: usize = 5;

impl<T: Transport, I: Inspector, R: Rewriter> Shift<T, I, R> {
    pub(super) fn run(mut self) {
        let mut panics: Vec<Instant> = Vec::new();
        let mut error = None;
        loop {
            let ended = catch_unwind(AssertUnwindSafe(|| self.work()));
            let panic = match ended {
                Ok(Ok(())) => break,
                Ok(Err(cause)) => {
                    error = Some(WorkerError::Transport(Arc::new(cause)));
                    break;
                }
                Err(panic) => message(&*panic),
            };
            let now = Instant::now();
            panics.retain(|then| now.saturating_duration_since(*then) < Duration::from_secs(60));
            panics.push(now);
            tracing::error!(worker = self.number, %panic, "a worker has panicked");
            let times = panics.len();
            if times > MOST_PANICS {
                error = Some(WorkerError::Panic { times, message: panic });
                break;
            }
            if let Err(cause) = self.restart() {
                error = Some(WorkerError::Engine(cause));
                break;
            }
        }
        let desk = self.office.desks.get(self.number);
        if let Some(error) = &error {
            tracing::error!(worker = self.number, %error, "a worker has died");
        }
        if let Some(desk) = desk {
            desk.is_closed.store(true, Ordering::Release);
            desk.is_done.store(true, Ordering::Release);
        }
        let last = catch_unwind(AssertUnwindSafe(|| self.finish(error.is_none())));
        let Self { worker, office, number, .. } = self;
        // Closes its doors before it is said to be gone.
        drop(worker);
        if let Some(desk) = office.desks.get(number) {
            desk.leave(last.ok(), error);
        }
    }

    fn work(&mut self) -> io::Result<()> {
        let Self { worker, office, number, .. } = self;
        let Some(desk) = office.desks.get(*number) else { return Ok(()) };
        let mut phase = office.phase();
        let mut canaries = worker.canaries();
        let mut busy_at = Instant::now();
        loop {
            let wait = if phase == Phase::Running { WAIT } else { WAIT.min(office.quiet) };
            let is_bypassed = office.is_bypassed.load(Ordering::Relaxed);
            worker.engine_mut().bypass(is_bypassed);
            let turn = worker.turn(wait)?;
            let is_canary = worker.canaries() != canaries;
            canaries = worker.canaries();
            // Inspectors that nobody asks do no harm.
            let is_healthy = is_bypassed || worker.engine().is_healthy();
            desk.beat(office.now(), is_canary, is_healthy);
            if desk.is_rung() {
                phase = office.phase();
                read_mail(desk, worker);
            }
            match phase {
                Phase::Running => {}
                Phase::Stopping => return Ok(()),
                Phase::Draining { until } => {
                    let now = Instant::now();
                    if turn.received > 0 || turn.taken_over > 0 || worker.engine().flows() > 0 {
                        busy_at = now;
                    }
                    let is_quiet = now.saturating_duration_since(busy_at) >= office.quiet;
                    desk.is_done.store(is_quiet, Ordering::Release);
                    let are_done =
                        || office.desks.iter().all(|desk| desk.is_done.load(Ordering::Acquire));
                    if now >= until || (is_quiet && are_done()) {
                        return Ok(());
                    }
                }
            }
        }
    }

    /// Puts a new engine in the place of one that is in the middle of something.
    fn restart(&mut self) -> Result<(), String> {
        let Self { worker, office, make_engine, .. } = self;
        let engine = catch_unwind(AssertUnwindSafe(|| {
            let blueprint = lock(&office.blueprint);
            let settings = share(&blueprint.settings, office.desks.len());
            let mut make = blueprint.make.again();
            drop(blueprint);
            make_engine(settings, Box::new(move || make.make()))
        }));
        match engine {
            Ok(Ok(engine)) => {
                worker.restart(engine);
                Ok(())
            }
            Ok(Err(error)) => Err(alloc::string::ToString::to_string(&error)),
            Err(panic) => Err(message(&*panic)),
        }
    }

    /// Judges what others still hand over, until nobody can any more; then ends all flows.
    fn finish(&mut self, is_in_order: bool) -> WorkerStatistics {
        let Self { worker, office, .. } = self;
        if !is_in_order {
            worker.abandon();
            return worker.statistics();
        }
        let deadline = Instant::now().checked_add(WAIT);
        loop {
            let are_closed = office.desks.iter().all(|desk| desk.is_closed.load(Ordering::Acquire));
            let is_late = deadline.is_none_or(|deadline| Instant::now() >= deadline);
            if !worker.finish_parcels() && (are_closed || is_late) {
                break;
            }
            thread::sleep(Duration::from_micros(100));
        }
        worker.drain();
        worker.statistics()
    }
}

fn read_mail<T: Transport, I: Inspector, R: Rewriter>(
    desk: &Desk<I>,
    worker: &mut Worker<T, I, R>,
) {
    let (orders, asked) = desk.open();
    for Order { inspector, mut make, settings, flows } in orders {
        let mut first = Some(inspector);
        let engine = worker.engine_mut();
        // Whether there is room was asked before, and only an order takes it away.
        match engine.reload(move || first.take().unwrap_or_else(|| make.make()), flows) {
            Ok(()) => engine.configure(&settings),
            Err(error) => tracing::error!(%error, "a worker goes on as it was"),
        }
    }
    if let Some(asked) = asked {
        desk.reply(asked, worker.statistics());
    }
}
