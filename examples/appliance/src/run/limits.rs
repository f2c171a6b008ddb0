//! Signatures over configurations that were read again: what they counted, which only goes up, and the end of those that were replaced,
//! beside the workers.

use std::mem;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;

use gwlb_geneve::inspectors::signatures::{SignatureCounters, Signatures};
use tracing::warn;

/// A counter: its name, what it counts, and where that is found.
type Counter = (&'static str, &'static str, fn(&SignatureCounters) -> u64);

/// What is told. Names are those of Prometheus, without `_total`.
pub(super) const COUNTERS: [Counter; 6] = [
    (
        "gwlb_signature_budget_used_up",
        "Packets, pieces of streams and messages for which not all rules were asked for all of them: `steps`",
        |counters| counters.budget_used_up,
    ),
    (
        "gwlb_signature_unanswered",
        "Packets, pieces of streams and messages for which rules that drop or reject were not asked for all of them",
        |counters| counters.unanswered,
    ),
    (
        "gwlb_signature_no_room",
        "Pieces of streams and bodies that were not kept for signatures: `bytes`",
        |counters| counters.no_room,
    ),
    (
        "gwlb_signature_no_share",
        "Pieces of streams and bodies that were not kept for signatures, as their endpoint had its share: `bytes-per-endpoint`",
        |counters| counters.no_share,
    ),
    (
        "gwlb_signature_too_many",
        "Rules that were not followed up, as too many waited for more of a flow",
        |counters| counters.too_many,
    ),
    (
        "gwlb_signature_forgotten",
        "Counts of thresholds and bits of addresses that were forgotten before their time: `remembered`, `remembered-per-endpoint`",
        |counters| counters.forgotten,
    ),
];

/// The signatures that are looked for now and those before them, and what they have counted.
#[derive(Clone, Default)]
pub(super) struct Limits(Arc<Mutex<Known>>);

#[derive(Default)]
struct Known {
    present: Option<Arc<Signatures>>,
    /// Those before, as long as flows go on under them.
    replaced: Vec<Arc<Signatures>>,
    /// What those have counted under which no flow goes on any more.
    before: [u64; COUNTERS.len()],
    /// Whether somebody waits for the end of what was replaced.
    is_awaited: bool,
}

impl Limits {
    /// Others are looked for from now on. What the present ones have counted stays: counters only go up.
    pub(super) fn replace(&self, signatures: Option<Arc<Signatures>>) {
        let mut known = self.known();
        let replaced = mem::replace(&mut known.present, signatures);
        known.replaced.extend(replaced);
    }

    /// Has what was replaced go on a thread of its own when no flow goes on under it: who lets go of it last takes it apart, which takes
    /// long for many rules, and no worker should.
    pub(super) fn await_end(&self) {
        let mut known = self.known();
        if known.is_awaited || known.replaced.is_empty() {
            return;
        }
        let limits = self.clone();
        let wait = move || {
            while !limits.let_go() {
                thread::sleep(Duration::from_secs(1));
            }
        };
        match thread::Builder::new().name("replaced-rules".into()).spawn(wait) {
            Ok(_) => known.is_awaited = true,
            Err(error) => warn!("signatures: what was replaced stays in memory: {error}"),
        }
    }

    /// Lets go of what nobody uses any more. Whether nothing is left that was replaced.
    fn let_go(&self) -> bool {
        let mut known = self.known();
        let (over, used): (Vec<_>, Vec<_>) =
            mem::take(&mut known.replaced).into_iter().partition(|it| Arc::strong_count(it) == 1);
        known.replaced = used;
        for counters in over.iter().map(|signatures| signatures.counters()) {
            for ((_, _, value), before) in COUNTERS.iter().zip(&mut known.before) {
                *before += value(&counters);
            }
        }
        let is_all = known.replaced.is_empty();
        known.is_awaited &= !is_all;
        drop(known);
        drop(over);
        is_all
    }

    /// One of [`COUNTERS`], by its place.
    pub(super) fn of(&self, place: usize) -> u64 {
        let known = self.known();
        let counted = known.present.iter().chain(&known.replaced);
        let counted = counted.map(|signatures| COUNTERS[place].2(&signatures.counters()));
        known.before[place] + counted.sum::<u64>()
    }

    fn known(&self) -> MutexGuard<'_, Known> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use gwlb_geneve::config::Config;

    use super::*;

    #[test]
    fn counters_go_on_when_others_are_looked_for() {
        let limits = Limits::default();
        let places = 0..COUNTERS.len();
        assert!(places.clone().all(|place| limits.of(place) == 0));
        limits.0.lock().unwrap().before = [1, 2, 3, 4, 5, 6];
        let config =
            Config::parse("[signatures]\nrules = 'drop udp any any -> any any (sid:1;)'").unwrap();
        limits.replace(config.signatures().cloned());
        assert_eq!(config.signatures().map(Arc::strong_count), Some(2));
        limits.replace(None);
        assert_eq!(places.map(|place| limits.of(place)).collect::<Vec<_>>(), [1, 2, 3, 4, 5, 6]);
    }

    /// A worker that ends the last flow of what was replaced does not take it apart.
    #[test]
    fn what_was_replaced_is_kept_until_nobody_uses_it() {
        let limits = Limits::default();
        let rules = "[signatures]\nrules = 'drop udp any any -> any any (sid:1;)'";
        let config = Config::parse(rules).unwrap();
        limits.replace(config.signatures().cloned());
        let used = Arc::downgrade(config.signatures().unwrap());
        limits.replace(None);
        assert!(!limits.let_go());
        drop(config);
        assert!(used.upgrade().is_some());
        assert!(limits.let_go());
        assert!(used.upgrade().is_none());
    }
}
