//! Those who watch what happens: server-sent events.

use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;
use core::time::Duration;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use hyper::StatusCode;
use tokio::sync::mpsc::{self, Sender};

use super::Subject;
use super::answer::{Answer, Content, text, with};
use super::door::Guest;

/// Everybody who watches. Nobody is waited for: who does not keep up is shown out, and comes again if he likes.
pub(super) struct Watchers {
    most: usize,
    list: Mutex<Vec<Watcher>>,
}

struct Watcher {
    pieces: Sender<Bytes>,
    guest: Arc<Guest>,
    /// The number of the last alert that it was told.
    told: u64,
}

/// So many pieces may wait for a watcher, beside what the system holds for him: some seconds.
const BACKLOG: usize = 8;

/// How soon alerts are told.
const PACE: Duration = Duration::from_millis(500);

/// Numbers come with every second look for alerts.
const NUMBERS: u32 = 2;

impl Watchers {
    pub(super) fn new(most: usize) -> Self {
        Self { most, list: Mutex::default() }
    }

    /// Lets a guest watch: the numbers as they are, and the latest alerts, at once.
    pub(super) fn admit(&self, subject: &dyn Subject, guest: &Arc<Guest>) -> Answer {
        let mut list = self.lock();
        list.retain(|watcher| !watcher.pieces.is_closed());
        if list.len() >= self.most {
            let line = format!("expected at most {} who watch, found one more\n", self.most);
            return text(StatusCode::SERVICE_UNAVAILABLE, line);
        }
        let (pieces, receiver) = mpsc::channel(BACKLOG);
        let mut watcher = Watcher { pieces, guest: Arc::clone(guest), told: 0 };
        let alerts = subject.alerts(0);
        if watcher.tell(numbers(subject)) && watcher.tell_alerts(&alerts) {
            guest.watch();
            list.push(watcher);
        }
        with(StatusCode::OK, "text/event-stream", Content::Pieces(receiver))
    }

    /// Tells them, for good.
    pub(super) async fn serve(&self, subject: &dyn Subject) {
        let mut turn = 0_u32;
        loop {
            tokio::time::sleep(PACE).await;
            let mut list = self.lock();
            let Some(told) = list.iter().map(|watcher| watcher.told).min() else { continue };
            turn = turn.wrapping_add(1);
            let alerts = subject.alerts(told);
            let is_due = turn.checked_rem(NUMBERS) == Some(0);
            let numbers = if is_due { numbers(subject) } else { Bytes::new() };
            list.retain_mut(|watcher| {
                let keeps_up = watcher.tell_alerts(&alerts) && watcher.tell(numbers.clone());
                if !keeps_up {
                    watcher.guest.show_out();
                }
                keeps_up
            });
        }
    }

    fn lock(&self) -> MutexGuard<'_, Vec<Watcher>> {
        self.list.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Watcher {
    /// Whether there was room.
    fn tell(&self, piece: Bytes) -> bool {
        piece.is_empty() || self.pieces.try_send(piece).is_ok()
    }

    fn tell_alerts(&mut self, alerts: &[(u64, String)]) -> bool {
        let mut piece = String::new();
        for (number, alert) in alerts {
            if *number > self.told {
                piece.push_str(&event("alert", *number, alert));
                self.told = *number;
            }
        }
        self.tell(piece.into())
    }
}

fn numbers(subject: &dyn Subject) -> Bytes {
    subject.stats().map(|stats| event("stats", 0, &stats).into()).unwrap_or_default()
}

/// One event, its data a line of JSON.
fn event(name: &str, number: u64, data: &str) -> String {
    match number {
        0 => format!("event: {name}\ndata: {data}\n\n"),
        number => format!("event: {name}\nid: {number}\ndata: {data}\n\n"),
    }
}
