use alloc::boxed::Box;
use alloc::vec::Vec;
use core::sync::atomic::{AtomicU32, AtomicU64, Ordering};

use super::table::{SHARD, Table};
use super::{Of, RateError, RateRule};
use crate::Timestamp;
use crate::flow::FlowSeed;

/// Rules and their buckets, which the inspectors of all workers share: limits are those of the appliance.
///
/// Memory is taken when they are made, 8 bytes a bucket and rule, and not a byte more later, however many sources there
/// are. Nobody gets more than a rule says: in any time, over all workers together, at most the rate times that time and the
/// burst, but for the fraction of a token. Somebody may get less than that
///
/// * where others share all four of his buckets and have emptied them: with `n` buckets a rule, and `h` others that use up their
///   limits, for one in `(n / 4h)^4`, and who that is cannot be chosen without the seed;
/// * with a burst of 256 or more: workers take tokens in lots of a 256th of the burst. An eighth of the burst is set apart for
///   that, and what other workers hold in their hands, at most as much again, is not there. Of the rate nothing is missing.
///
/// Where far more keys are active at once than there are buckets, they share them: give rules about sources as many
/// buckets as sources are expected within the time in which a burst fills up.
#[derive(Debug)]
pub struct RateLimits {
    seed: FlowSeed,
    limits: Box<[Limit]>,
    /// A moment from which time is counted, as nanoseconds since the epoch; 0 before the first packet.
    origin: AtomicU64,
    /// A bit for each inspector that may take lots.
    seats: AtomicU32,
}

/// A rule at work.
#[derive(Debug)]
pub(super) struct Limit {
    pub(super) rule: RateRule,
    pub(super) table: Table,
    /// How many tokens a worker may keep for later.
    pub(super) lot: u64,
    /// When people may be told of it again: nanoseconds since the epoch.
    quiet_until: AtomicU64,
    /// How often they were not told.
    untold: AtomicU64,
}

/// Workers beyond these take their tokens one by one.
const SEATS: u64 = 32;

const SECOND: u64 = 1_000_000_000;

impl RateLimits {
    /// The most rules.
    pub const MAX_RULES: usize = 32;
    /// How many buckets a rule has by default: 512 KiB of them.
    pub const DEFAULT_BUCKETS: usize = 1 << 16;
    /// The most buckets of a rule.
    pub const MAX_BUCKETS: usize = 1 << 26;

    /// Limits by rules, each with its own buckets, whose number is rounded up to a power of two.
    ///
    /// # Errors
    ///
    /// See [`RateError`].
    pub fn new(
        rules: impl IntoIterator<Item = RateRule>,
        buckets: usize,
        seed: FlowSeed,
    ) -> Result<Self, RateError> {
        let rules: Vec<_> = rules.into_iter().collect();
        if rules.len() > Self::MAX_RULES {
            return Err(RateError::TooManyRules { most: Self::MAX_RULES, found: rules.len() });
        }
        if !(SHARD..=Self::MAX_BUCKETS).contains(&buckets) {
            return Err(RateError::Buckets { most: Self::MAX_BUCKETS, found: buckets });
        }
        let shards = (buckets / SHARD).next_power_of_two();
        rules.iter().enumerate().try_for_each(|(index, rule)| rule.check(index))?;
        let limits = rules.into_iter().map(|rule| Limit::new(rule, shards)).collect();
        Ok(Self { seed, limits, origin: AtomicU64::new(0), seats: AtomicU32::new(0) })
    }

    /// The rules, in their order.
    pub fn rules(&self) -> impl ExactSizeIterator<Item = &RateRule> {
        self.limits.iter().map(|limit| &limit.rule)
    }

    pub(super) fn seed(&self) -> &FlowSeed {
        &self.seed
    }

    pub(super) fn limits(&self) -> &[Limit] {
        &self.limits
    }

    /// Nanoseconds since the first packet.
    #[inline]
    pub(super) fn elapsed(&self, now: Timestamp) -> u64 {
        let now = now.as_nanos();
        let origin = self.origin.load(Ordering::Relaxed);
        match now.checked_sub(origin) {
            Some(elapsed) if origin != 0 => elapsed,
            _ => self.begin(origin, now),
        }
    }

    /// The first packet, or one whose stamp is before that of the first.
    #[cold]
    fn begin(&self, origin: u64, now: u64) -> u64 {
        let is_new = origin == 0 || origin.saturating_sub(now) > 10_u64.saturating_mul(SECOND);
        if is_new {
            let (order, now) = (Ordering::Relaxed, now.max(1));
            let _ = self.origin.compare_exchange(origin, now, order, order);
        }
        now.saturating_sub(self.origin.load(Ordering::Relaxed))
    }

    /// A seat, as a bit, if one is free.
    pub(super) fn sit(&self) -> u32 {
        let take = |taken: u32| taken.checked_add(1).map(|with| with | taken);
        let taken = self.seats.fetch_update(Ordering::AcqRel, Ordering::Acquire, take);
        // What was added is the lowest bit that was free.
        taken.map_or(0, |taken| !taken & taken.wrapping_add(1))
    }

    pub(super) fn stand_up(&self, seat: u32) {
        self.seats.fetch_and(!seat, Ordering::AcqRel);
    }
}

impl Limit {
    fn new(rule: RateRule, shards: usize) -> Self {
        let mut lot = rule.burst / 8 / SEATS;
        if rule.of == Of::Bytes {
            // The largest packet must find room in a bucket.
            lot = lot.min(rule.burst.saturating_sub(super::rule::LARGEST_PACKET) / SEATS);
        }
        let capacity = rule.burst.saturating_sub(lot.saturating_mul(SEATS));
        Self {
            table: Table::new(shards, rule.rate, capacity),
            lot,
            quiet_until: AtomicU64::new(0),
            untold: AtomicU64::new(0),
            rule,
        }
    }

    /// Whether people are to be told now, and how often they were not since the last time: once a second and rule.
    #[cold]
    pub(super) fn tell(&self, now: Timestamp) -> Option<u64> {
        let now = now.as_nanos();
        let until = self.quiet_until.load(Ordering::Relaxed);
        let is_due = now >= until || until.saturating_sub(now) > 10_u64.saturating_mul(SECOND);
        let order = Ordering::Relaxed;
        let next = now.saturating_add(SECOND);
        if is_due && self.quiet_until.compare_exchange(until, next, order, order).is_ok() {
            return Some(self.untold.swap(0, order));
        }
        self.untold.fetch_add(1, order);
        None
    }
}
