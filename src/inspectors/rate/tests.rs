//! The shared buckets against an exact one for each key.

use alloc::sync::Arc;
use alloc::vec::Vec;
use core::sync::atomic::{AtomicU64, Ordering};
use std::collections::HashMap;

use proptest::collection::vec;
use proptest::prelude::*;

use super::hands::Hands;
use super::*;
use crate::flow::FlowSeed;

const SECOND: u64 = 1_000_000_000;

/// A bucket of its own, in billionths of a token.
struct Exact {
    level: u128,
    at: u64,
}

impl Exact {
    fn full(burst: u64) -> Self {
        Self { level: in_billionths(burst), at: 0 }
    }

    /// It earns two nanoseconds less each time, as fractions may be cut off.
    fn take(&mut self, (rate, burst): (u64, u64), at: u64, cost: u64) -> bool {
        let earned = u128::from((at - self.at).saturating_sub(2)) * u128::from(rate);
        self.at = at;
        self.level = (self.level + earned).min(in_billionths(burst));
        match self.level.checked_sub(in_billionths(cost)) {
            Some(level) => self.level = level,
            None => return false,
        }
        true
    }
}

fn in_billionths(tokens: u64) -> u128 {
    u128::from(tokens) * u128::from(SECOND)
}

/// Whether from no packet to no later one more passed than the rate times the time between them and the burst, but for the
/// fraction of a token.
fn is_within(rate: u64, burst: u64, passed: &[(u64, u64)]) -> bool {
    (0..passed.len()).all(|first| {
        let (mut from, mut to, mut sum) = (u64::MAX, 0, 0);
        passed[first..].iter().all(|&(at, cost)| {
            (from, to, sum) = (from.min(at), to.max(at), sum + cost);
            in_billionths(sum) < in_billionths(burst + 1) + u128::from(to - from) * u128::from(rate)
        })
    })
}

fn limits(rate: u64, burst: u64) -> RateLimits {
    let rule = RateRule::new(Per::Source, Of::Packets, rate).burst(burst);
    RateLimits::new([rule], 1_024, FlowSeed::from_bytes([7; 32])).unwrap()
}

/// As an inspector pays.
fn pay(limits: &RateLimits, hands: &mut Hands, key: u64, at: u64, cost: u64) -> bool {
    let limit = &limits.limits()[0];
    let hash = limits.seed().hash_words(key, 4, 0);
    let take = |least, wanted| limit.table.take(hash, at, least, wanted);
    match limit.lot {
        0 => take(cost, cost).is_some(),
        lot => hands.pay(hash, at, cost, lot, take),
    }
}

proptest! {
    /// Whoever else there is, whichever worker it goes through, and where stamps go back a little: no key gets more than from a
    /// bucket of its own.
    #[test]
    fn nobody_gets_more_than_a_bucket_of_his_own_gives(
        rate in prop_oneof![1_u64..1_000, 65_000..66_000_u64, Just(RateRule::MOST)],
        burst in prop_oneof![1_u64..10, 100..2_000_u64],
        packets in vec((0_u64..400, 0_u64..40_000_000, 1_u64..4, 0_usize..5, 0_u64..3_000_000), 1..600),
    ) {
        let limits = limits(rate, burst);
        let mut workers: Vec<_> = (0..5).map(|_| Hands::new()).collect();
        let mut passed: HashMap<u64, Vec<(u64, u64)>> = HashMap::new();
        let mut now = 0;
        for (key, gap, cost, worker, back) in packets {
            // Most of it is of few keys.
            let key = if key < 300 { key % 3 } else { key };
            now += gap / 10;
            let at = now.saturating_sub(back);
            if pay(&limits, &mut workers[worker], key, at, cost) {
                passed.entry(key).or_default().push((at, cost));
            }
        }
        for (key, passed) in passed {
            prop_assert!(is_within(rate, burst, &passed), "{key}: {passed:?}");
        }
    }

    /// What keeps to the rate and to three quarters of the burst passes, as long as the table is not overfull.
    #[test]
    fn who_keeps_to_his_limit_is_not_limited(
        rate in 1_u64..100_000,
        burst in prop_oneof![1_u64..10, 256..5_000_u64],
        gaps in vec((0_u64..SECOND, 0_usize..32), 1..300),
    ) {
        let limits = limits(rate, burst);
        let mut workers: Vec<_> = (0..32).map(|_| Hands::new()).collect();
        let modest = burst - burst / 4;
        let mut own = Exact::full(modest);
        let mut now = 0;
        for (gap, worker) in gaps {
            now += gap / rate;
            for _ in 0..3 {
                if own.take((rate, modest), now, 1) {
                    prop_assert!(pay(&limits, &mut workers[worker], 1, now, 1));
                }
            }
        }
    }
}

/// Eight workers at once, for longer than a burst lasts.
#[test]
fn threads_share_a_limit() {
    const PACKETS: u64 = 20_000;

    for burst in [50, 5_000] {
        let limits = Arc::new(limits(1_000, burst));
        let clock = Arc::new(AtomicU64::new(0));
        let threads: Vec<_> = (0..8)
            .map(|_| {
                let (limits, clock) = (limits.clone(), clock.clone());
                std::thread::spawn(move || {
                    let mut hands = Hands::new();
                    let tick = || clock.fetch_add(50_000, Ordering::Relaxed);
                    (0..PACKETS).filter(|_| pay(&limits, &mut hands, 1, tick(), 1)).count() as u64
                })
            })
            .collect();
        let passed: u64 = threads.into_iter().map(|thread| thread.join().unwrap()).sum();
        let earned = 8 * PACKETS * 50_000 / 1_000_000;
        assert!(passed <= burst + earned, "{passed}");
        assert!(passed >= earned, "{passed}: they are limited to it, not to less");
    }
}

/// Sources without number neither lift the limit of one who uses up his own, nor, with room for those that are active at once, limit
/// others.
#[test]
fn many_sources_lift_no_limit() {
    let sources: u64 = if cfg!(debug_assertions) { 500_000 } else { 10_000_000 };
    let rule = RateRule::new(Per::Source, Of::Packets, 10);
    let limits = RateLimits::new([rule], 1 << 16, FlowSeed::from_bytes([9; 32])).unwrap();
    let mut hands = Hands::new();
    let (mut greedy, mut limited, mut now) = (0, 0, 0);
    for source in 0..sources {
        // A hundred thousand new sources a second, of one packet each.
        now = source * 10_000;
        limited += u64::from(!pay(&limits, &mut hands, 1_000 + source, now, 1));
        greedy += u64::from(pay(&limits, &mut hands, 1, now, 1));
    }
    let earned = now / (SECOND / 10);
    assert!(greedy <= 10 + earned + 1, "{greedy}");
    assert!(greedy * 2 >= earned, "{greedy}");
    assert!(limited <= sources / 1_000, "{limited} of {sources}");
}

#[test]
fn a_clock_that_was_put_back_begins_anew() {
    let limits = limits(10, 10);
    let mut hands = Hands::new();
    let mut take = |at: u64| (0..20).filter(|_| pay(&limits, &mut hands, 1, at, 1)).count();
    assert_eq!(take(1_000 * SECOND), 10);
    // By a little: nothing has come in.
    assert_eq!(take(999 * SECOND), 0);
    // By a lot: what there was is of another time.
    assert_eq!(take(100 * SECOND), 0);
    assert_eq!(take(101 * SECOND), 10);
}

#[test]
fn seats_are_given_back() {
    let limits = Arc::new(limits(1_000, 1_000));
    let inspectors: Vec<_> = (0..33).map(|_| RateInspector::new(limits.clone())).collect();
    let seats = |inspectors: &[RateInspector]| {
        inspectors.iter().filter(|inspector| inspector.takes_lots()).count()
    };
    assert_eq!(seats(&inspectors), 32);
    drop(inspectors);
    assert!(RateInspector::new(limits).takes_lots());
}

#[test]
fn numbers_out_of_range() {
    let error = |rule: RateRule| {
        RateLimits::new([rule], 1_024, FlowSeed::from_bytes([0; 32])).unwrap_err().to_string()
    };
    let syns = RateRule::new(Per::Source, Of::Syns, 1);
    assert_eq!(
        error(syns.clone().burst(0)),
        "rule 1: expected a burst from 1 to 10000000000, found 0"
    );
    assert_eq!(
        error(syns.clone().prefixes(33, 64)),
        "rule 1: expected an IPv4 prefix from 1 to 32, found 33"
    );
    let bytes = RateRule::new(Per::Source, Of::Bytes, 9_000);
    assert!(error(bytes).starts_with("rule 1: expected a burst of at least 9001 bytes"));
    let seed = FlowSeed::from_bytes([0; 32]);
    let many = core::iter::repeat_n(syns.clone(), 33);
    assert!(matches!(
        RateLimits::new(many, 1_024, seed.clone()),
        Err(RateError::TooManyRules { found: 33, .. })
    ));
    assert!(matches!(
        RateLimits::new([syns], 1_023, seed),
        Err(RateError::Buckets { found: 1_023, .. })
    ));
}
