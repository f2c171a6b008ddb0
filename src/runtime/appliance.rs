use alloc::boxed::Box;
use alloc::format;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::fmt;
use core::sync::atomic::AtomicBool;
use core::time::Duration;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Mutex;
use std::thread::{self, JoinHandle};
use std::time::Instant;

use super::desk::{Blueprint, Desk, Make, Office, Phase, share};
use super::directory::Directory;
use super::failure::message;
use super::hand_over::Port;
use super::shift::{MakeEngine, Shift};
use super::worker::{Observer, Worker, WorkerSettings};
use super::{Control, RunError, StartError, Statistics, WorkerError};
use crate::engine::{Engine, Settings};
use crate::inspect::{Inspector, Rewriter};
use crate::transport::Transport;

/// Engines on live traffic: a builder. See the [module](super) for an example.
///
/// Limits in [`Settings`] hold for the whole appliance: each worker has its share of flows, bytes, fragments, and of what
/// may happen in a second, rounded up.
///
/// A worker that panics outside of what an engine [contains](crate::engine::contains_panics), in an
/// [`Observer`] for example, goes on with the same transport and a new engine: its flows are forgotten, and come in again
/// as [`Midstream`](crate::inspect::Exception::Midstream). One that panics more than five times within a minute, or whose
/// transport is gone, has died: the others go on and judge themselves what they would hand over to it, where it is midstream as well, and
/// [`Control::health`] fails, so that the load balancer moves the traffic away.
#[must_use = "an appliance does nothing until it is started"]
pub struct Appliance<I: Inspector, R: Rewriter = ()> {
    settings: Settings,
    make: Box<dyn Make<I>>,
    rewriter: Box<dyn Make<R>>,
    pub(super) workers: Option<usize>,
    pin: bool,
    quiet: Duration,
    worker: WorkerSettings,
    observer: Option<MakeObserver>,
}

type MakeObserver = Box<dyn FnMut(usize) -> Box<dyn Observer>>;

impl<I: Inspector> Appliance<I> {
    /// An appliance whose workers have inspectors that `make` makes: each of them its own, made by a clone of it.
    pub fn new(settings: Settings, make: impl FnMut() -> I + Clone + Send + 'static) -> Self {
        Self {
            settings,
            make: Box::new(make),
            rewriter: Box::new(|| ()),
            workers: None,
            pin: false,
            quiet: Duration::from_secs(10),
            worker: WorkerSettings::default(),
            observer: None,
        }
    }

    /// The same appliance with rewriters.
    pub fn rewriter<R: Rewriter>(
        self,
        make: impl FnMut() -> R + Clone + Send + 'static,
    ) -> Appliance<I, R> {
        Appliance {
            settings: self.settings,
            make: self.make,
            rewriter: Box::new(make),
            workers: self.workers,
            pin: self.pin,
            quiet: self.quiet,
            worker: self.worker,
            observer: self.observer,
        }
    }
}

impl<I: Inspector, R: Rewriter> Appliance<I, R> {
    /// How many workers there are; by default as many as transports, or as the machine has processors.
    pub fn workers(self, workers: usize) -> Self {
        Self { workers: Some(workers), ..self }
    }

    /// Whether each worker stays on a processor of its own. By default the system decides.
    pub fn pin(self, pin: bool) -> Self {
        Self { pin, ..self }
    }

    /// For how long nothing may come, once no flow is left, until an appliance that [drains](Control::drain) ends: longer than
    /// the load balancer takes to notice that its health check fails. By default 10 s.
    pub fn quiet(self, quiet: Duration) -> Self {
        Self { quiet, ..self }
    }

    /// What the workers do beside what their engines do.
    pub fn worker(self, worker: WorkerSettings) -> Self {
        Self { worker, ..self }
    }

    /// Who is told what the engines do: `make` makes one for the worker with the number that it is given.
    pub fn observer<O: Observer>(self, mut make: impl FnMut(usize) -> O + 'static) -> Self {
        Self { observer: Some(Box::new(move |worker| Box::new(make(worker)))), ..self }
    }

    /// Starts a worker for each of these transports.
    ///
    /// # Errors
    ///
    /// See [`StartError`]; then no worker runs.
    pub fn start<T: Transport + 'static>(
        mut self,
        transports: Vec<T>,
    ) -> Result<Running<I>, StartError> {
        let count = transports.len();
        let expected = self.workers.unwrap_or(count).max(1);
        if count != expected {
            return Err(StartError::Transports { expected, found: count });
        }
        let wakers: Vec<_> = transports.iter().map(Transport::waker).collect();
        let settings = &self.settings;
        let directory = if count > 1 {
            let (most, quota) = (settings.fragments, settings.fragments_per_endpoint);
            Some(Arc::new(Directory::new(most, quota, settings.seed.clone())?))
        } else {
            None
        };
        let capacity = self.worker.hand_over.max(1);
        let mut ports = match &directory {
            Some(directory) => Port::all(wakers.clone(), capacity, Arc::clone(directory)),
            None => Vec::new(),
        }
        .into_iter();
        let part = share(settings, count);
        let mut workers = Vec::new();
        for (number, transport) in transports.into_iter().enumerate() {
            let (mut make, mut rewriter) = (self.make.again(), self.rewriter.again());
            let mut make_engine: MakeEngine<I, R> = Box::new(move |settings, make| {
                Ok(Engine::new(settings, make)?.with_rewriter(rewriter.make()))
            });
            let engine = catch_unwind(AssertUnwindSafe(|| {
                make_engine(part.clone(), Box::new(move || make.make()))
            }));
            let engine = engine.map_err(|panic| StartError::Make(message(&*panic)))??;
            let mut worker = Worker::new(transport, engine, self.worker).with_port(ports.next());
            if let Some(observer) = &mut self.observer {
                worker = worker.with_observer(observer(number));
            }
            workers.push((worker, make_engine));
        }
        let office = Arc::new(Office {
            desks: wakers.into_iter().map(Desk::new).collect(),
            directory,
            blueprint: Mutex::new(Blueprint { settings: self.settings, make: self.make }),
            start: Instant::now(),
            phase: Mutex::new(Phase::Running),
            is_bypassed: AtomicBool::new(false),
            bypassed_since: Mutex::new(None),
            quiet: self.quiet,
        });
        let mut running = Running { control: Control { office }, threads: Vec::new() };
        let cores = if self.pin { core_affinity::get_core_ids() } else { None };
        let cores = cores.unwrap_or_default();
        if self.pin && cores.len() < count {
            tracing::warn!(
                workers = count,
                processors = cores.len(),
                "fewer processors than workers: some share one, or go where the system wants"
            );
        }
        let mut cores = cores.into_iter().cycle();
        for (number, (worker, make_engine)) in workers.into_iter().enumerate() {
            let office = Arc::clone(&running.control.office);
            let shift = Shift { worker, office, number, make_engine };
            let core = cores.next();
            let builder = thread::Builder::new().name(format!("worker-{number}"));
            let thread = builder.spawn(move || {
                if core.is_some_and(|core| !core_affinity::set_for_current(core)) {
                    tracing::warn!(worker = number, "cannot stay on one processor");
                }
                shift.run();
            });
            // Those that run are stopped when `running` is dropped.
            running
                .threads
                .push(thread.map_err(|error| StartError::Thread { worker: number, error })?);
        }
        tracing::info!(workers = count, "started");
        Ok(running)
    }
}

impl<I: Inspector, R: Rewriter> fmt::Debug for Appliance<I, R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Appliance")
            .field("settings", &self.settings)
            .field("workers", &self.workers)
            .field("worker", &self.worker)
            .finish_non_exhaustive()
    }
}

/// A started [`Appliance`]. Dropped, it stops, and is not waited for.
#[must_use = "dropped, it stops"]
pub struct Running<I: Inspector> {
    control: Control<I>,
    threads: Vec<JoinHandle<()>>,
}

impl<I: Inspector> Running<I> {
    /// A handle for it.
    pub fn control(&self) -> Control<I> {
        self.control.clone()
    }

    /// Waits until all workers have ended, and says what they have done: they end when they are told to
    /// [drain](Control::drain) or to [stop](Control::stop), or when they die.
    ///
    /// # Errors
    ///
    /// [`RunError`] where a worker has died.
    pub fn wait(mut self) -> Result<Statistics, RunError> {
        for thread in self.threads.drain(..) {
            // A panic of a worker does not come so far.
            let _ = thread.join();
        }
        let statistics = self.control.statistics();
        let died = self.control.office.desks.iter().enumerate();
        let workers: Vec<(usize, WorkerError)> =
            died.filter_map(|(number, desk)| Some((number, desk.mail().error.clone()?))).collect();
        if workers.is_empty() {
            Ok(statistics)
        } else {
            Err(RunError { workers, statistics: Box::new(statistics) })
        }
    }
}

impl<I: Inspector> Drop for Running<I> {
    fn drop(&mut self) {
        self.control.stop();
    }
}

impl<I: Inspector> fmt::Debug for Running<I> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Running").field("control", &self.control).finish_non_exhaustive()
    }
}
