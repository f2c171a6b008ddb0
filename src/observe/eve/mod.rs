//! EVE: what happened, as lines of JSON in the form that Suricata gives it, so that what reads Suricata's records reads
//! these.
//!
//! [`Recorder`] is an inspector that lets everything pass and records HTTP, TLS, DNS and flows; it stands before all others, so that
//! what they refuse is recorded too. [`EventRecorder`] records alerts, what was dropped, and what could not be judged. Both
//! hand whole lines to a queue that a thread writes out.
//!
//! ```
//! use gwlb_geneve::engine::{Engine, Settings};
//! use gwlb_geneve::observe::eve::{Eve, EveSettings, Recorder};
//!
//! let (eve, writer) = Eve::start(std::io::sink(), EveSettings::default())?;
//! let records = eve.clone();
//! let engine = Engine::new(Settings::default(), move || Recorder::new(records.clone()))?;
//! # drop(engine);
//! writer.finish()?;
//! assert_eq!((eve.written(), eve.dropped()), (0, 0));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # What differs from Suricata
//!
//! * `gwlb` says endpoint, attachment and cookie: addresses of different endpoints may be the same. Where people have a name for the
//!   endpoint, it says that, too.
//! * `flow_id` is made of endpoint and ends alone: a later flow between the same ends has the same.
//! * `dns` is version 3 of that format, the one of Suricata 8: `src_ip` is the sender of the packet, of an answer the server, and
//!   `tx_id` is a member of `dns`. Records of `http`, `tls` and `flow` have the client first.
//! * Where an alert has a [rule](crate::inspect::Alert::rule), `alert` says what Suricata would: `gid`, `signature_id`, `rev`, `signature`,
//!   `category`, `metadata`. For others `alert.signature_id` is made of the alert's name, which is `alert.signature`; what it found
//!   stands in `alert.metadata.message`.
//! * Bytes of flows are those of IP packets. What is said of a flow begins anew when inspectors are replaced, but for
//!   `flow.alerted`.
//! * `anomaly.event` names what this crate names: exceptions, and oddities of HTTP and TLS.
//! * There is no `in_iface`.

mod dns;
mod enveloped;
mod events;
mod figures;
mod file;
mod header;
mod http;
mod icmp;
mod json;
mod queue;
mod recorder;
mod sink;
#[cfg(unix)]
mod socket;
mod stamp;
mod tls;

pub use enveloped::Enveloped;
pub use events::EventRecorder;
pub use file::{FileSink, Rotation};
pub use queue::{Eve, EveWriter};
pub use recorder::{FlowRecord, Recorder};
pub use sink::{Loss, Sink};
#[cfg(unix)]
pub use socket::{SocketKind, SocketSink};

/// What is recorded, and how.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EveSettings {
    /// The kinds of records. By default all.
    pub types: EveTypes,
    /// Whether TLS records have the fingerprints JA3 and JA3S, which cost more than all the rest. By default not.
    pub ja3: bool,
    /// The same of JA4.
    pub ja4: bool,
    /// Whether records have the Community ID of their flow. By default they have.
    pub community_id: bool,
    /// Bytes that may wait to be written; twice as many are reserved. By default 4 MiB.
    pub queue: usize,
    /// Whether nothing may be lost: then who records waits for the output, and writes to it. For captures. By default not.
    pub is_lossless: bool,
}

impl Default for EveSettings {
    fn default() -> Self {
        Self {
            types: EveTypes::ALL,
            ja3: false,
            ja4: false,
            community_id: true,
            queue: 4 << 20,
            is_lossless: false,
        }
    }
}

/// Kinds of records, as a set.
///
/// ```
/// use gwlb_geneve::observe::eve::EveTypes;
///
/// let types = EveTypes::ALERT.and(EveTypes::DNS);
/// assert!(types.contains(EveTypes::DNS) && !types.contains(EveTypes::FLOW));
/// assert_eq!(EveTypes::from_name("flow"), Some(EveTypes::FLOW));
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct EveTypes(u8);

impl EveTypes {
    /// None.
    pub const NONE: Self = Self(0);
    /// What inspectors have to say.
    pub const ALERT: Self = Self(1);
    /// Packets that were not forwarded.
    pub const DROP: Self = Self(1 << 1);
    /// Flows that have ended.
    pub const FLOW: Self = Self(1 << 2);
    /// HTTP requests with their responses.
    pub const HTTP: Self = Self(1 << 3);
    /// TLS handshakes.
    pub const TLS: Self = Self(1 << 4);
    /// DNS queries and answers.
    pub const DNS: Self = Self(1 << 5);
    /// What could not be judged in the ordinary way, and what is odd in HTTP and TLS.
    pub const ANOMALY: Self = Self(1 << 6);
    /// Counters.
    pub const STATS: Self = Self(1 << 7);
    /// All.
    pub const ALL: Self = Self(u8::MAX);

    /// Their names, as `event_type` has them.
    pub const NAMES: [(&'static str, Self); 8] = [
        ("alert", Self::ALERT),
        ("drop", Self::DROP),
        ("flow", Self::FLOW),
        ("http", Self::HTTP),
        ("tls", Self::TLS),
        ("dns", Self::DNS),
        ("anomaly", Self::ANOMALY),
        ("stats", Self::STATS),
    ];

    /// The one of that name.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::NAMES.iter().find(|(known, _)| *known == name).map(|(_, one)| *one)
    }

    /// Both sets together.
    #[must_use]
    pub const fn and(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// Whether all of `other` are in this set.
    #[inline]
    pub const fn contains(self, other: Self) -> bool {
        self.0 & other.0 == other.0
    }
}
