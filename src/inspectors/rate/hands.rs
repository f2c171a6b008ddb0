use alloc::boxed::Box;
use alloc::vec;

/// Tokens that a worker has taken in a lot and not used yet, for as many keys as there are places.
#[derive(Debug)]
pub(super) struct Hands {
    places: Box<[Hand]>,
}

/// The tokens for one key.
#[derive(Clone, Copy, Debug, Default)]
struct Hand {
    hash: u64,
    left: u64,
    /// When they were taken.
    since: u64,
}

/// 24 KiB a worker, and more keys than take a lot a second.
const PLACES: usize = 1 << 10;

/// Tokens that lie for longer make room for those of another key.
const LONGEST_NANOS: u64 = 1_000_000_000;

impl Hands {
    pub(super) fn new() -> Self {
        Self { places: vec![Hand::default(); PLACES].into() }
    }

    /// Pays `cost` for a key. `take(least, wanted)` takes out of its bucket; what is left of that, at most `lot`, is kept
    /// for the next time.
    #[inline]
    pub(super) fn pay(
        &mut self,
        hash: u64,
        now: u64,
        cost: u64,
        lot: u64,
        take: impl FnOnce(u64, u64) -> Option<u64>,
    ) -> bool {
        let index = usize::from(u16::from_le_bytes(high_bytes(hash))) & PLACES.saturating_sub(1);
        let Some(hand) = self.places.get_mut(index) else { return take(cost, cost).is_some() };
        if hand.hash != hash {
            let is_fresh = hand.since.abs_diff(now) < LONGEST_NANOS;
            if hand.left != 0 && is_fresh {
                return take(cost, cost).is_some();
            }
            *hand = Hand { hash, left: 0, since: now };
        }
        if let Some(left) = hand.left.checked_sub(cost) {
            hand.left = left;
            return true;
        }
        let least = cost.saturating_sub(hand.left);
        match take(least, least.saturating_add(lot)) {
            Some(taken) => {
                hand.left = taken.saturating_sub(least);
                hand.since = now;
                true
            }
            None => false,
        }
    }
}

/// Those that the tables make the least use of.
const fn high_bytes(hash: u64) -> [u8; 2] {
    let [.., a, b] = hash.to_le_bytes();
    [a, b]
}
