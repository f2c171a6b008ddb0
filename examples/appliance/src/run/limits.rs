//! How often limits of the signatures were met, over configurations that were read again.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use gwlb_geneve::inspectors::signatures::{SignatureCounters, Signatures};

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

/// The signatures that are looked for now, and what those before them have counted.
#[derive(Clone, Default)]
pub(super) struct Limits(Arc<Mutex<Known>>);

#[derive(Default)]
struct Known {
    present: Option<Arc<Signatures>>,
    before: [u64; COUNTERS.len()],
}

impl Limits {
    /// Others are looked for from now on. What the present ones have counted stays: counters only go up.
    pub(super) fn replace(&self, signatures: Option<Arc<Signatures>>) {
        let mut known = self.known();
        if let Some(counters) = known.present.take().map(|present| present.counters()) {
            for ((_, _, value), before) in COUNTERS.iter().zip(&mut known.before) {
                *before += value(&counters);
            }
        }
        known.present = signatures;
    }

    /// One of [`COUNTERS`], by its place.
    pub(super) fn of(&self, place: usize) -> u64 {
        let known = self.known();
        let counters = known.present.as_ref().map(|present| present.counters()).unwrap_or_default();
        known.before[place] + COUNTERS[place].2(&counters)
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
}
