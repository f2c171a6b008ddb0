use core::fmt;

use super::FlowKey;

/// The secret of the keyed flow hash.
///
/// Who does not know it cannot choose flows that fall on one place of a table. So it cannot be read back, compared
/// or printed, and hashes made with it should not leave the process; what has to be the same everywhere is
/// [`FlowKey::owner`](super::FlowKey::owner).
///
/// ```
/// use gwlb_geneve::flow::FlowSeed;
///
/// # #[cfg(feature = "std")]
/// let live = FlowSeed::random();
/// let replay = FlowSeed::from_bytes([7; 32]);
/// assert_eq!(format!("{replay:?}"), "FlowSeed(secret)");
/// ```
#[derive(Clone)]
pub struct FlowSeed {
    keys: [u64; 4],
}

/// Digits of pi: a seed of zeros must not multiply by zero.
const DIGITS: [u64; 4] =
    [0x243f_6a88_85a3_08d3, 0x1319_8a2e_0370_7344, 0xa409_3822_299f_31d0, 0x082e_fa98_ec4e_6c89];

impl FlowSeed {
    /// A seed that is the same in every run, as a replay needs it that shall do just what it did before.
    pub const fn from_bytes(bytes: [u8; 32]) -> Self {
        let [
            a0,
            a1,
            a2,
            a3,
            a4,
            a5,
            a6,
            a7,
            b0,
            b1,
            b2,
            b3,
            b4,
            b5,
            b6,
            b7,
            c0,
            c1,
            c2,
            c3,
            c4,
            c5,
            c6,
            c7,
            rest @ ..,
        ] = bytes;
        let [a, b, c, d] = DIGITS;
        Self {
            keys: [
                a ^ u64::from_le_bytes([a0, a1, a2, a3, a4, a5, a6, a7]),
                b ^ u64::from_le_bytes([b0, b1, b2, b3, b4, b5, b6, b7]),
                c ^ u64::from_le_bytes([c0, c1, c2, c3, c4, c5, c6, c7]),
                d ^ u64::from_le_bytes(rest),
            ],
        }
    }

    /// A seed that nobody knows, from the randomness that the operating system gives to the standard library's
    /// hash maps.
    #[cfg(feature = "std")]
    pub fn random() -> Self {
        use std::hash::BuildHasher;

        let state = std::hash::RandomState::new();
        Self { keys: [0_u64, 1, 2, 3].map(|n| state.hash_one(n)) }
    }

    /// The hash of a flow: both directions alike, since they have the same key.
    ///
    /// Multiplications of 64 by 64 bits whose two halves are folded into one, two for IPv4 and three for IPv6,
    /// with a secret on each input. Good for tables; no cryptographic hash.
    ///
    /// ```
    /// # use gwlb_geneve::flow::{FlowKey, FlowSeed};
    /// # use gwlb_geneve::gwlb::EndpointId;
    /// # use gwlb_geneve::packet::FiveTuple;
    /// # fn both_ways(seed: &FlowSeed, tuple: FiveTuple) {
    /// let there = FlowKey::new(EndpointId(1), &tuple).0;
    /// let back = FlowKey::new(EndpointId(1), &tuple.reversed()).0;
    /// assert_eq!(seed.hash(&there), seed.hash(&back));
    /// # }
    /// ```
    #[inline]
    pub fn hash(&self, key: &FlowKey) -> u64 {
        let [k0, k1, k2, k3] = self.keys;
        let [endpoint, tail, a, b, c, d] = *key.words();
        if key.is_ipv6() {
            let low = fold(a ^ k0, b ^ k1);
            let high = fold(c ^ k2, d ^ k3);
            fold(low ^ tail, high ^ endpoint)
        } else {
            fold(fold(endpoint ^ k0, a ^ k1) ^ tail, k2)
        }
    }

    /// The hash of three words, for tables of others than flows.
    #[cfg(feature = "std")]
    #[inline]
    pub(crate) const fn hash_words(&self, a: u64, b: u64, c: u64) -> u64 {
        let [k0, k1, k2, k3] = self.keys;
        fold(fold(a ^ k0, b ^ k1) ^ c ^ k3, k2)
    }

    /// The hash of a number, for tables beside that of the flows.
    #[cfg(feature = "alloc")]
    pub(super) const fn hash_number(&self, number: u64) -> u64 {
        let [k0, k1, k2, _] = self.keys;
        fold(fold(number ^ k0, k1) ^ k2, k0)
    }
}

/// The two halves of the product of 128 bits, one over the other.
#[inline(always)]
const fn fold(a: u64, b: u64) -> u64 {
    let product = (a as u128).wrapping_mul(b as u128);
    let [a, b, c, d, e, f, g, h, ..] = product.to_le_bytes();
    (product >> 64) as u64 ^ u64::from_le_bytes([a, b, c, d, e, f, g, h])
}

impl fmt::Debug for FlowSeed {
    /// `FlowSeed(secret)`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("FlowSeed(secret)")
    }
}
