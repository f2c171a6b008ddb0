use core::fmt;
use core::ops::{BitOr, BitOrAssign};

/// What is odd about a hello and the records it came in, as a set.
///
/// None of it keeps the hello from being read. Some of it is never sent by a client in good order, and servers differ
/// in what they make of it.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct Anomalies(u32);

macro_rules! anomalies {
    ($($(#[$doc:meta])+ $constant:ident = $bit:literal, $name:literal;)+) => {
        impl Anomalies {
            $($(#[$doc])+ pub const $constant: Self = Self(1 << $bit);)+

            pub(crate) const NAMES: &'static [(Self, &'static str)] = &[$((Self::$constant, $name)),+];
        }
    };
}

anomalies! {
    /// An IP address as server name (RFC 6066 §3: not permitted).
    SERVER_NAME_IS_ADDRESS = 0, "server-name-is-address";
    /// A server name extension without a name, or with one that is empty.
    SERVER_NAME_EMPTY = 1, "server-name-empty";
    /// A server name that is no DNS name, that ends in a dot, or an extension that cannot be read to its end.
    SERVER_NAME_MALFORMED = 2, "server-name-malformed";
    /// More than one server name (RFC 6066 §3: one of a type).
    SERVER_NAMES_SEVERAL = 3, "server-names-several";
    /// A server name of another type than host name.
    SERVER_NAME_TYPE = 4, "server-name-type";
    /// The same extension more than once (RFC 8446 §4.2: must not be).
    EXTENSION_DOUBLED = 5, "extension-doubled";
    /// An extension whose list cannot be read to its end.
    EXTENSION_MALFORMED = 6, "extension-malformed";
    /// A version that no client puts there: the hello's own is none of SSL 3.0 to TLS 1.2, or not TLS 1.2 where TLS
    /// 1.3 is offered; or the record's is none of these.
    LEGACY_VERSION = 7, "legacy-version";
    /// A record without content on the way to the hello or inside it (RFC 8446 §5.1: must not be).
    RECORD_EMPTY = 8, "record-empty";
    /// The hello came in several records where one would have held it.
    RECORDS_SPLIT = 9, "records-split";
    /// The hello came in at least 8 records of less than 64 bytes on average.
    RECORDS_TINY = 10, "records-tiny";
    /// Other records stand between those of the hello (RFC 8446 §5.1: must not be).
    RECORDS_INTERLEAVED = 11, "records-interleaved";
    /// A heartbeat record before anything is encrypted.
    HEARTBEAT = 12, "heartbeat";
    /// A second hello that no HelloRetryRequest asked for.
    HELLO_REPEATED = 13, "hello-repeated";
    /// A TLS client spoke where the called end of the connection does, or a TLS server where the opener does.
    ROLES_SWAPPED = 14, "roles-swapped";
}

impl Anomalies {
    /// Nothing odd.
    pub const NONE: Self = Self(0);

    /// Whether nothing is odd.
    pub const fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// Whether all of these are in the set.
    pub const fn contains(self, other: Self) -> bool {
        self.0 & other.0 == other.0
    }

    /// Their names, short and stable, for counters and logs.
    pub fn names(self) -> impl Iterator<Item = &'static str> {
        Self::NAMES.iter().filter(move |(one, _)| self.contains(*one)).map(|(_, name)| *name)
    }

    /// A bit for each of them.
    pub(crate) const fn bits(self) -> u32 {
        self.0
    }

    pub(super) fn note(&mut self, other: Self, is_so: bool) {
        if is_so {
            *self |= other;
        }
    }
}

impl BitOr for Anomalies {
    type Output = Self;

    fn bitor(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }
}

impl BitOrAssign for Anomalies {
    fn bitor_assign(&mut self, other: Self) {
        self.0 |= other.0;
    }
}

impl fmt::Debug for Anomalies {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.names()).finish()
    }
}
