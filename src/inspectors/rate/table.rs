use alloc::boxed::Box;
use alloc::vec::Vec;
use std::sync::{Mutex, PoisonError};

/// The token buckets of one rule, for all keys and all workers.
///
/// A key has a bucket in each of [`ROWS`] rows, shared with whoever falls on it too, and what it takes is taken out of all
/// of them, as far as there is something in them. It may take as long as one of them holds enough. Hence none of its buckets
/// ever holds more than a bucket of its own would: a key never gets more than its limit, whatever others do, and it gets less
/// only where others have emptied all of its buckets.
#[derive(Debug)]
pub(super) struct Table {
    shards: Box<[Mutex<Shard>]>,
    scale: Scale,
    /// The most that a bucket holds, in units.
    capacity: u64,
}

/// The buckets of keys of one part of all hashes: for each, the moment at which it is full again, in units.
type Shard = [[u64; COLUMNS]; ROWS];

const ROWS: usize = 4;
const COLUMNS: usize = 256;

/// How many buckets there are in a shard.
pub(super) const SHARD: usize = ROWS * COLUMNS;

/// Time stamps that go back by more are a new time.
const SLACK_NANOS: u64 = 10_000_000_000;

impl Table {
    /// Buckets for `capacity` tokens, filled with `rate` a second; `shards` is a power of two.
    pub(super) fn new(shards: usize, rate: u64, capacity: u64) -> Self {
        let scale = Scale::of(rate);
        let shard = |_| Mutex::new([[0; COLUMNS]; ROWS]);
        Self {
            shards: (0..shards).map(shard).collect::<Vec<_>>().into(),
            capacity: scale.units_of(capacity),
            scale,
        }
    }

    /// Takes from `least` to `wanted` tokens for a key, `None` where there are too few. `elapsed` are nanoseconds.
    pub(super) fn take(&self, hash: u64, elapsed: u64, least: u64, wanted: u64) -> Option<u64> {
        let [low, high, columns @ .., _, _] = hash.to_le_bytes();
        let index =
            usize::from(u16::from_le_bytes([low, high])) & self.shards.len().saturating_sub(1);
        // Nothing is done under the lock that could panic.
        let mut shard = self.shards.get(index)?.lock().unwrap_or_else(PoisonError::into_inner);
        let now = self.scale.units_in(elapsed);
        let empty = now.saturating_add(self.capacity);
        let mut buckets = shard.iter_mut().zip(columns);
        let mut mine: [Option<&mut u64>; ROWS] = [const { None }; ROWS];
        for place in &mut mine {
            let (row, column) = buckets.next()?;
            *place = row.get_mut(usize::from(column));
        }
        let fullest = mine.iter().flatten().map(|full_at| **full_at).min()?;
        let tokens = self.scale.whole(empty.saturating_sub(fullest.max(now)));
        if tokens < least {
            let latest = empty.saturating_add(self.scale.units_in(SLACK_NANOS));
            for full_at in mine.into_iter().flatten().filter(|full_at| **full_at > latest) {
                *full_at = empty;
            }
            return None;
        }
        let taken = wanted.max(least).min(tokens);
        let units = self.scale.units_of(taken);
        for full_at in mine.into_iter().flatten() {
            let charged = (*full_at).max(now).saturating_add(units);
            *full_at = charged.min(empty).max(*full_at);
        }
        Some(taken)
    }
}

/// Time in tokens: in so many units as a bucket is filled with in it.
#[derive(Clone, Copy, Debug)]
struct Scale {
    rate: u64,
    /// A token has two to this power units: enough that a packet now and then finds what has come in since the last one.
    shift: u32,
}

impl Scale {
    const fn of(rate: u64) -> Self {
        // Between 2^33 and 2^34 units a second: finer than a nanosecond, and 64 bits last for thirty years.
        let shift = 34_u32.saturating_sub(u64::BITS.saturating_sub(rate.leading_zeros()));
        Self { rate, shift }
    }

    const fn units_of(self, tokens: u64) -> u64 {
        tokens.saturating_mul(1_u64.wrapping_shl(self.shift))
    }

    /// How many whole tokens there are in so many units.
    const fn whole(self, units: u64) -> u64 {
        units.wrapping_shr(self.shift)
    }

    fn units_in(self, nanos: u64) -> u64 {
        const SECOND: u128 = 1_000_000_000;

        let per_second = u128::from(self.units_of(self.rate));
        let units = u128::from(nanos).saturating_mul(per_second) / SECOND;
        u64::try_from(units).unwrap_or(u64::MAX)
    }
}
