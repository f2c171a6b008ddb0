//! Rules in an engine: what they find, in packets, streams and messages, however these are cut.
#![cfg(all(feature = "signatures", feature = "std"))]

#[path = "../support/mod.rs"]
mod support;

#[allow(dead_code)]
#[path = "../streams/common.rs"]
mod common;

mod agree;
mod buffers;
#[cfg(feature = "config")]
mod config;
mod cut;
mod hostile;
mod order;
mod semantics;
mod shares;
mod state;

use std::sync::Arc;

use gwlb_geneve::engine::{Engine, EventKind, Settings};
use gwlb_geneve::inspect::{Chain, ExceptionPolicy};
use gwlb_geneve::inspectors::signatures::{
    RuleSet, SignatureInspector, SignatureSettings, Signatures, Variables,
};
use support::traffic::{Sent, settings};

/// Rules, one a line, all of which load.
fn set(rules: &str) -> Arc<Signatures> {
    let signatures = RuleSet::parse(rules.as_bytes(), &Variables::default());
    assert_eq!(signatures.report().errors(), [], "{rules}");
    let set = Signatures::new(signatures.rules(), &SignatureSettings::default());
    assert_eq!(set.problems(), [], "{rules}");
    Arc::new(set)
}

/// Rules with settings that are changed.
fn set_with(rules: &str, change: impl FnOnce(&mut SignatureSettings)) -> Arc<Signatures> {
    let signatures = RuleSet::parse(rules.as_bytes(), &Variables::default());
    let mut settings = SignatureSettings::default();
    change(&mut settings);
    Arc::new(Signatures::new(signatures.rules(), &settings))
}

/// An engine that looks for rules.
fn engine(rules: &str) -> Engine<Chain> {
    engine_of(&set(rules))
}

fn engine_of(set: &Arc<Signatures>) -> Engine<Chain> {
    let set = Arc::clone(set);
    let chain = move || {
        let mut chain = Chain::new();
        chain.push(SignatureInspector::new(Arc::clone(&set))).unwrap();
        chain
    };
    Engine::new(Settings { policy: ExceptionPolicy::AVAILABLE, ..settings() }, chain).unwrap()
}

/// The numbers of the rules that told an alert, in order.
fn told(sent: &Sent) -> Vec<u32> {
    let alert = |kind: &EventKind| match kind {
        EventKind::Alert(alert) => alert.rule.as_ref().map(|rule| rule.number),
        _ => None,
    };
    sent.events.iter().filter_map(|event| alert(&event.what)).collect()
}

/// No rule was told of.
const NONE: [u32; 0] = [];
