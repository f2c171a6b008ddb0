use alloc::boxed::Box;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use core::time::Duration;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use super::directory::Directory;
use super::{Ailment, Health, WorkerError, WorkerStatistics};
use crate::engine::{Flows, Settings};
use crate::transport::Waker;

/// What the workers of an appliance and those who control it have in common.
pub(super) struct Office<I> {
    pub(super) desks: Vec<Desk<I>>,
    pub(super) directory: Option<Arc<Directory>>,
    /// Held for the whole of a reload: one at a time.
    pub(super) blueprint: Mutex<Blueprint<I>>,
    pub(super) start: Instant,
    pub(super) phase: Mutex<Phase>,
    /// Whether everything is to pass: workers look at it before each turn.
    pub(super) is_bypassed: AtomicBool,
    /// Since when, if it is.
    pub(super) bypassed_since: Mutex<Option<Instant>>,
    /// Without traffic and flows for so long, a worker that drains has nothing left to do.
    pub(super) quiet: Duration,
}

/// What engines are made of.
pub(super) struct Blueprint<I> {
    /// Of the whole appliance: a worker has its [share](share).
    pub(super) settings: Settings,
    pub(super) make: Box<dyn Make<I>>,
}

/// Makes inspectors, for as many workers as there are.
pub(super) trait Make<I>: Send {
    fn make(&mut self) -> I;
    fn again(&self) -> Box<dyn Make<I>>;
}

impl<I: 'static, F: FnMut() -> I + Clone + Send + 'static> Make<I> for F {
    fn make(&mut self) -> I {
        self()
    }

    fn again(&self) -> Box<dyn Make<I>> {
        Box::new(self.clone())
    }
}

/// Whether an appliance is to go on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Phase {
    Running,
    Draining { until: Instant },
    Stopping,
}

/// Where a worker finds what it is told, and leaves what it tells.
pub(super) struct Desk<I> {
    /// The one thing that a worker looks at in each turn.
    has_mail: AtomicBool,
    /// In milliseconds since the start: the end of the last turn.
    beat: AtomicU64,
    /// The same: when a packet of its own was last judged, plus 1; 0 is never.
    canary: AtomicU64,
    is_unhealthy: AtomicBool,
    /// It drains and has nothing left to do.
    pub(super) is_done: AtomicBool,
    /// It receives no more.
    pub(super) is_closed: AtomicBool,
    mail: Mutex<Mail<I>>,
    answered: Condvar,
    waker: Waker,
}

pub(super) struct Mail<I> {
    pub(super) orders: Vec<Order<I>>,
    /// How many answers were asked for, and given.
    asked: u64,
    answered: u64,
    last: WorkerStatistics,
    pub(super) has_ended: bool,
    pub(super) error: Option<WorkerError>,
}

/// Goes on with other inspectors and settings.
pub(super) struct Order<I> {
    pub(super) inspector: I,
    pub(super) make: Box<dyn Make<I>>,
    pub(super) settings: Settings,
    pub(super) flows: Flows,
}

impl<I> Office<I> {
    pub(super) fn phase(&self) -> Phase {
        *lock(&self.phase)
    }

    /// Goes on to a phase; a later one is never left for an earlier one.
    pub(super) fn advance(&self, to: Phase) {
        let mut phase = lock(&self.phase);
        *phase = match (*phase, to) {
            (Phase::Stopping, _) | (_, Phase::Running) => *phase,
            (Phase::Draining { until: a }, Phase::Draining { until: b }) => {
                Phase::Draining { until: a.min(b) }
            }
            (_, to) => to,
        };
        drop(phase);
        self.desks.iter().for_each(Desk::ring);
    }

    pub(super) fn now(&self) -> u64 {
        u64::try_from(self.start.elapsed().as_millis()).unwrap_or(u64::MAX)
    }

    pub(super) fn health(&self) -> Health {
        let mut reasons = Vec::new();
        match self.phase() {
            Phase::Running => {}
            Phase::Draining { .. } => reasons.push(Ailment::Draining),
            Phase::Stopping => reasons.push(Ailment::Stopped),
        }
        let now = self.now();
        for (worker, desk) in self.desks.iter().enumerate() {
            reasons.extend(desk.ailment(worker, now));
        }
        Health { reasons }
    }
}

impl<I> Desk<I> {
    pub(super) fn new(waker: Waker) -> Self {
        Self {
            has_mail: AtomicBool::new(false),
            beat: AtomicU64::new(0),
            canary: AtomicU64::new(0),
            is_unhealthy: AtomicBool::new(false),
            is_done: AtomicBool::new(false),
            is_closed: AtomicBool::new(false),
            mail: Mutex::new(Mail {
                orders: Vec::new(),
                asked: 0,
                answered: 0,
                last: WorkerStatistics::default(),
                has_ended: false,
                error: None,
            }),
            answered: Condvar::new(),
            waker,
        }
    }

    pub(super) fn mail(&self) -> MutexGuard<'_, Mail<I>> {
        lock(&self.mail)
    }

    /// Says to the worker that there is something for it.
    pub(super) fn ring(&self) {
        self.has_mail.store(true, Ordering::Release);
        self.waker.wake();
    }

    /// Ends its wait for datagrams.
    pub(super) fn wake(&self) {
        self.waker.wake();
    }

    /// Leaves an order.
    pub(super) fn order(&self, order: Order<I>) {
        self.mail().orders.push(order);
        self.ring();
    }

    /// Asks for an answer, to be [awaited](Self::answer).
    pub(super) fn ask(&self) -> u64 {
        let mut mail = self.mail();
        mail.asked = mail.asked.wrapping_add(1);
        let asked = mail.asked;
        drop(mail);
        self.ring();
        asked
    }

    /// Waits for the answer: what the worker last said, and whether that was an answer to this question.
    pub(super) fn answer(&self, asked: u64, deadline: Instant) -> (WorkerStatistics, bool) {
        let wait = deadline.saturating_duration_since(Instant::now());
        let is_waiting = |mail: &mut Mail<I>| mail.answered < asked && !mail.has_ended;
        let waited = self.answered.wait_timeout_while(self.mail(), wait, is_waiting);
        let (mail, _) = waited.unwrap_or_else(PoisonError::into_inner);
        let is_answer = mail.answered >= asked || (mail.has_ended && mail.error.is_none());
        (mail.last.clone(), is_answer)
    }

    /// The worker's side: whether there is something, or a new phase; to be read after this, so that what is said meanwhile
    /// is found the next time.
    pub(super) fn is_rung(&self) -> bool {
        self.has_mail.load(Ordering::Relaxed) && self.has_mail.swap(false, Ordering::Acquire)
    }

    /// The worker's side: takes the orders, and the number of the answer that is waited for.
    pub(super) fn open(&self) -> (Vec<Order<I>>, Option<u64>) {
        let mut mail = self.mail();
        let asked = (mail.asked > mail.answered).then_some(mail.asked);
        (core::mem::take(&mut mail.orders), asked)
    }

    /// The worker's side.
    pub(super) fn reply(&self, asked: u64, statistics: WorkerStatistics) {
        let mut mail = self.mail();
        mail.answered = asked;
        mail.last = statistics;
        drop(mail);
        self.answered.notify_all();
    }

    /// The worker's side: it is over.
    pub(super) fn leave(&self, statistics: Option<WorkerStatistics>, error: Option<WorkerError>) {
        let mut mail = self.mail();
        mail.has_ended = true;
        mail.error = error;
        if let Some(statistics) = statistics {
            mail.last = statistics;
        }
        // Inspectors in orders that nobody will open.
        mail.orders.clear();
        drop(mail);
        self.answered.notify_all();
    }

    /// The worker's side: a turn is over.
    pub(super) fn beat(&self, now: u64, canary: bool, is_healthy: bool) {
        self.beat.store(now, Ordering::Relaxed);
        if canary {
            self.canary.store(now.saturating_add(1), Ordering::Relaxed);
            self.is_unhealthy.store(!is_healthy, Ordering::Relaxed);
        }
    }

    fn ailment(&self, worker: usize, now: u64) -> Option<Ailment> {
        let mail = self.mail();
        if let Some(error) = mail.error.clone() {
            return Some(Ailment::Dead { worker, error });
        }
        if mail.has_ended {
            return None;
        }
        drop(mail);
        let since = |millis: u64| Duration::from_millis(now.saturating_sub(millis));
        let beat = since(self.beat.load(Ordering::Relaxed));
        let canary = self.canary.load(Ordering::Relaxed);
        if beat > Health::STALL {
            Some(Ailment::Stalled { worker, since: beat })
        } else if canary == 0 && since(0) <= Health::CANARY {
            Some(Ailment::Starting { worker })
        } else if since(canary) > Health::CANARY {
            Some(Ailment::NoCanary { worker, since: since(canary) })
        } else if self.is_unhealthy.load(Ordering::Relaxed) {
            Some(Ailment::Inspectors { worker })
        } else {
            None
        }
    }
}

/// What these locks guard is whole at any moment, so that a panic elsewhere does no harm.
pub(super) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// One worker's share of what an appliance may have: limits hold for all workers together.
pub(super) fn share(settings: &Settings, workers: usize) -> Settings {
    let part = |whole: usize| if whole == usize::MAX { whole } else { whole.div_ceil(workers) };
    let rate = |whole: u32| whole.div_ceil(u32::try_from(workers).unwrap_or(u32::MAX));
    let mut share = settings.clone();
    share.flows.flows = part(settings.flows.flows);
    share.flows.bytes = part(settings.flows.bytes);
    share.flows.flows_per_endpoint = part(settings.flows.flows_per_endpoint);
    share.flows.header_bytes = part(settings.flows.header_bytes);
    share.fragments = part(settings.fragments);
    share.fragments_per_endpoint = part(settings.fragments_per_endpoint);
    share.streams.connections = part(settings.streams.connections);
    share.streams.connections_per_endpoint = part(settings.streams.connections_per_endpoint);
    share.streams.bytes = part(settings.streams.bytes);
    share.streams.bytes_per_endpoint = part(settings.streams.bytes_per_endpoint);
    share.defrag.datagrams = part(settings.defrag.datagrams);
    share.defrag.datagrams_per_endpoint = part(settings.defrag.datagrams_per_endpoint);
    share.defrag.bytes = part(settings.defrag.bytes);
    share.defrag.bytes_per_endpoint = part(settings.defrag.bytes_per_endpoint);
    share.message_bytes = part(settings.message_bytes);
    share.message_bytes_per_endpoint = part(settings.message_bytes_per_endpoint);
    for endpoint in share.endpoints.values_mut() {
        endpoint.flows = endpoint.flows.map(part);
    }
    share.answers_per_second = rate(settings.answers_per_second);
    share.icmp_errors_per_second = rate(settings.icmp_errors_per_second);
    share
}
