//! What is answered to a request.

use core::net::SocketAddr;
use std::sync::Arc;

use bytes::Bytes;
use http_body_util::{BodyExt, Limited};
use hyper::body::Incoming;
use hyper::{Method, Request, StatusCode};
use tokio::time::MissedTickBehavior;

use super::answer::{self, Answer, text};
use super::door::Guest;
use super::gate::Gate;
use super::watchers::Watchers;
use super::{Subject, history, page};

/// Answers at one of the doors.
pub(super) struct Desk {
    subject: Arc<dyn Subject>,
    /// `None` where only health is told of.
    management: Option<Management>,
}

struct Management {
    gate: Gate,
    watchers: Watchers,
}

const METRICS: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";
const JSON: &str = "application/json";

/// More than any order has.
const LONGEST_ORDER: usize = 64;

impl Desk {
    pub(super) fn of_health(subject: Arc<dyn Subject>) -> Self {
        Self { subject, management: None }
    }

    pub(super) fn of_management(subject: Arc<dyn Subject>, gate: Gate, watchers: usize) -> Self {
        let watchers = Watchers::new(watchers);
        Self { subject, management: Some(Management { gate, watchers }) }
    }

    /// Tells those who watch, for good.
    pub(super) async fn serve_watchers(&self) {
        if let Some(management) = &self.management {
            management.watchers.serve(&*self.subject).await;
        }
    }

    /// Has the numbers noted, for good, whether anybody looks or not.
    pub(super) async fn keep_history(&self) {
        if self.management.is_none() {
            return;
        }
        let mut clock = tokio::time::interval(history::INTERVAL);
        clock.set_missed_tick_behavior(MissedTickBehavior::Skip);
        loop {
            clock.tick().await;
            self.subject.sample();
        }
    }

    /// Health is told to everybody.
    pub(super) async fn answer(
        &self,
        request: Request<Incoming>,
        from: SocketAddr,
        guest: &Arc<Guest>,
    ) -> Answer {
        let (method, path) = (request.method(), request.uri().path());
        if let Some(health) = answer::health(&*self.subject, method, path) {
            return health;
        }
        match &self.management {
            Some(management) => management.answer(&self.subject, request, from, guest).await,
            None => {
                answer::only(&[Method::GET, Method::HEAD], method).unwrap_or_else(answer::nothing)
            }
        }
    }
}

impl Management {
    async fn answer(
        &self,
        subject: &Arc<dyn Subject>,
        request: Request<Incoming>,
        from: SocketAddr,
        guest: &Arc<Guest>,
    ) -> Answer {
        if let Some(refusal) = self.refuse(&request, from) {
            return refusal;
        }
        match request.uri().path() {
            // It tells no numbers, and asks for the token.
            "/" => page::page(self.gate.has_token()),
            "/metrics" => answer::numbers(subject.metrics(), METRICS),
            "/stats" => answer::numbers(subject.stats(), JSON),
            "/history" => match subject.history() {
                Some(history) => answer::respond(StatusCode::OK, JSON, history),
                None => answer::nothing(),
            },
            "/events" => self.watchers.admit(&**subject, guest),
            "/drain" => obey(from, "drain", subject.drain()),
            "/bypass" => match &*order(request).await {
                b"on" => obey(from, "bypass on", subject.bypass(true)),
                b"off" => obey(from, "bypass off", subject.bypass(false)),
                _ => text(StatusCode::BAD_REQUEST, "expected on or off in the body\n"),
            },
            _ => answer::nothing(),
        }
    }

    /// The answer to who may not do what he wants to.
    fn refuse(&self, request: &Request<Incoming>, from: SocketAddr) -> Option<Answer> {
        let path = request.uri().path();
        let methods: &[Method] = match path {
            "/drain" | "/bypass" => &[Method::POST],
            "/events" => &[Method::GET],
            _ => &[Method::GET, Method::HEAD],
        };
        let headers = request.headers();
        let refusal = self.gate.stranger(request);
        let refusal = refusal.or_else(|| match path {
            "/" => None,
            "/drain" | "/bypass" => self.gate.may_order(headers, from),
            _ => self.gate.may_look(headers, from),
        });
        refusal.or_else(|| answer::only(methods, request.method()))
    }
}

/// The body of a request; empty where it is too long or does not come.
async fn order(request: Request<Incoming>) -> Bytes {
    let body = Limited::new(request.into_body(), LONGEST_ORDER).collect().await;
    let body = body.map(http_body_util::Collected::to_bytes).unwrap_or_default();
    body.slice_ref(body.trim_ascii())
}

/// What came of an order, for who gave it and for the log.
fn obey(from: SocketAddr, order: &'static str, done: Option<bool>) -> Answer {
    match done {
        Some(is_new) => {
            tracing::warn!(target: "audit", %from, order, changed = is_new, "ordered over HTTP");
            let line = if is_new { "done\n" } else { "it was so already\n" };
            text(StatusCode::OK, line)
        }
        None => text(StatusCode::NOT_IMPLEMENTED, "this cannot be told to it\n"),
    }
}
