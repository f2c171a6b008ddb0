use crate::packet::{Addresses, FiveTuple};

/// The hash by which network cards spread flows over their queues (receive side scaling, Microsoft's "RSS Hashing
/// Functions").
///
/// With the [symmetric key](Self::SYMMETRIC_KEY) both directions of a flow hash alike, with any other they do not.
/// It is linear: no secret key makes it safe for a table.
///
/// A value takes 4.5 KiB, sixteen entries for each half byte of input; make it once. Made in a `static`, it costs
/// nothing at run time.
///
/// ```
/// use gwlb_geneve::flow::Toeplitz;
///
/// static RSS: Toeplitz = Toeplitz::new(&Toeplitz::DEFAULT_KEY);
/// let bytes = [66, 9, 149, 187, 161, 142, 100, 80, 0x0a, 0xea, 0x06, 0xe6];
/// assert_eq!(RSS.hash_bytes(&bytes), 0x51cc_c178);
/// ```
#[derive(Clone)]
pub struct Toeplitz {
    /// For each half byte of input and each of its values, what it adds to the hash.
    table: [[u32; 16]; 2 * Self::MAX_INPUT],
}

impl Toeplitz {
    /// The longest input: two IPv6 addresses and two ports.
    pub const MAX_INPUT: usize = 36;

    /// The key of the published verification suite, the default of many cards.
    pub const DEFAULT_KEY: [u8; 40] = [
        0x6d, 0x5a, 0x56, 0xda, 0x25, 0x5b, 0x0e, 0xc2, 0x41, 0x67, 0x25, 0x3d, 0x43, 0xa3, 0x8f,
        0xb0, 0xd0, 0xca, 0x2b, 0xcb, 0xae, 0x7b, 0x30, 0xb4, 0x77, 0xcb, 0x2d, 0xa3, 0x80, 0x30,
        0xf2, 0x0c, 0x6a, 0x42, 0xb7, 0x3b, 0xbe, 0xac, 0x01, 0xfa,
    ];

    /// The key of period 16 with which both directions hash alike (Woo and Park, "Scalable TCP Session Monitoring
    /// with Symmetric Receive-side Scaling").
    pub const SYMMETRIC_KEY: [u8; 40] = {
        let [a, b] = [0x6d, 0x5a];
        [
            a, b, a, b, a, b, a, b, a, b, a, b, a, b, a, b, a, b, a, b, a, b, a, b, a, b, a, b, a,
            b, a, b, a, b, a, b, a, b, a, b,
        ]
    };

    /// Prepares a key of 40 bytes, as cards take it.
    #[must_use]
    pub const fn new(key: &[u8; 40]) -> Self {
        let mut table = [[0; 16]; 2 * Self::MAX_INPUT];
        let mut rows: &mut [[u32; 16]] = &mut table;
        let mut key: &[u8] = key;
        while let [_, later @ ..] = key {
            let [upper, lower, rest @ ..] = rows else { break };
            let window = first_five(key);
            fill(upper, window);
            fill(lower, window << 4);
            rows = rest;
            key = later;
        }
        Self { table }
    }

    /// The hash of addresses and, where there are any, ports.
    pub fn hash(&self, tuple: &FiveTuple) -> u32 {
        let mut walk = Walk { rows: self.table.iter(), hash: 0 };
        match tuple.addresses {
            Addresses::V4 { source, destination } => {
                walk.add(&source.octets());
                walk.add(&destination.octets());
            }
            Addresses::V6 { source, destination } => {
                walk.add(&source.octets());
                walk.add(&destination.octets());
            }
        }
        if let Some(ports) = tuple.ports {
            walk.add(&ports.source.to_be_bytes());
            walk.add(&ports.destination.to_be_bytes());
        }
        walk.hash
    }

    /// The hash of bytes in network order; those after the first [`MAX_INPUT`](Self::MAX_INPUT) do not count.
    pub fn hash_bytes(&self, input: &[u8]) -> u32 {
        let mut walk = Walk { rows: self.table.iter(), hash: 0 };
        walk.add(input);
        walk.hash
    }
}

impl core::fmt::Debug for Toeplitz {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("Toeplitz").finish_non_exhaustive()
    }
}

struct Walk<'a> {
    rows: core::slice::Iter<'a, [u32; 16]>,
    hash: u32,
}

impl Walk<'_> {
    #[inline]
    fn add(&mut self, bytes: &[u8]) {
        for byte in bytes {
            for half in [byte >> 4, byte & 0xf] {
                let row = self.rows.next().and_then(|row| row.get(usize::from(half)));
                self.hash ^= row.copied().unwrap_or(0);
            }
        }
    }
}

/// The key's 40 bits from here on in the upper bits of 64, so that any 32 of them can be shifted out.
const fn first_five(key: &[u8]) -> u64 {
    match key {
        [a, b, c, d, e, ..] => u64::from_be_bytes([*a, *b, *c, *d, *e, 0, 0, 0]),
        _ => 0,
    }
}

/// What each value of four input bits adds, where `window` starts with the key bits of the first of them.
const fn fill(row: &mut [u32; 16], window: u64) {
    let [b8, b4, b2, b1] =
        [upper(window), upper(window << 1), upper(window << 2), upper(window << 3)];
    *row = [
        0,
        b1,
        b2,
        b2 ^ b1,
        b4,
        b4 ^ b1,
        b4 ^ b2,
        b4 ^ b2 ^ b1,
        b8,
        b8 ^ b1,
        b8 ^ b2,
        b8 ^ b2 ^ b1,
        b8 ^ b4,
        b8 ^ b4 ^ b1,
        b8 ^ b4 ^ b2,
        b8 ^ b4 ^ b2 ^ b1,
    ];
}

const fn upper(word: u64) -> u32 {
    let [a, b, c, d, ..] = word.to_be_bytes();
    u32::from_be_bytes([a, b, c, d])
}
