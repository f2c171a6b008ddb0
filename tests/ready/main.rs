//! Ready-made inspectors in an engine: what they refuse never arrives, under both profiles of exceptions.
#![cfg(feature = "full")]

#[path = "../support/mod.rs"]
mod support;

mod api;
#[allow(dead_code)]
#[path = "../streams/common.rs"]
mod common;
mod domains;

use gwlb_geneve::config::Config;
use gwlb_geneve::engine::{Engine, EventKind, Settings};
use gwlb_geneve::inspect::{Chain, ExceptionPolicy};
use support::traffic::{Sent, settings};

/// What a file makes of an engine, with a policy.
fn engine(config: &str, policy: ExceptionPolicy) -> Engine<Chain> {
    let config = Config::parse(config).unwrap();
    Engine::new(Settings { policy, ..settings() }, config.inspectors()).unwrap()
}

const PROFILES: [ExceptionPolicy; 2] = [ExceptionPolicy::AVAILABLE, ExceptionPolicy::STRICT];

/// The names of the alerts, and what they say.
fn alerts(sent: &Sent) -> Vec<String> {
    let alert = |kind: &EventKind| match kind {
        EventKind::Alert(alert) => Some(format!("{}: {}", alert.name, alert.message)),
        _ => None,
    };
    sent.events.iter().filter_map(|event| alert(&event.what)).collect()
}
