//! Lists of domain names: which servers may be called, by the names in TLS, HTTP and DNS.
//!
//! ```
//! use gwlb_geneve::inspect::check;
//! use gwlb_geneve::inspectors::domains::{Action, DomainInspector, DomainLists, Over};
//!
//! let bad = ["*.evil.example".parse()?, "evil.example".parse()?];
//! let lists = DomainLists::new(Action::Allow).list("known bad", Action::Reject, &Over::ALL, bad);
//! let inspector = DomainInspector::new(lists);
//! assert_eq!(check(&inspector), Ok(()));
//! let workers: Vec<_> = (0..4).map(|_| inspector.clone()).collect();
//! # let _ = workers;
//! # Ok::<(), gwlb_geneve::inspectors::domains::PatternError>(())
//! ```
//!
//! In a file, with the feature `config`, what only a few names may be called looks like this (all keys:
//! `DomainLists::from_toml`):
//!
//! ```toml
//! default = "reject"
//! discover-until = 2030-01-31
//!
//! [[list]]
//! name = "updates"
//! action = "allow"
//! names = ["*.example.org", "example.org"]
//! ```
//!
//! # What it judges
//!
//! The server name of every TLS hello, also of a second one; the host of every HTTP request; the questions of every DNS
//! message, on the ports where DNS is looked for: 53 of TCP, 53 and 5353 of UDP. The first list that takes a name counts.
//!
//! **A list of what is forbidden** stops only what can be seen. What has no name passes, unless the lists say otherwise:
//! [QUIC](DomainLists::quic), [ECH](DomainLists::ech), hellos and requests [without a name](DomainLists::nameless).
//!
//! **A list of what is allowed**, that is one whose default is a refusal, refuses all that too, and every flow of TCP whose bytes
//! are not understood, for whatever reason and under every [exception policy](crate::inspect::ExceptionPolicy); UDP that is not DNS; and
//! every other IP protocol but ICMP. It is on ports of their own that other protocols can be [left alone](DomainLists::except_ports).
//! TLS connections that are first seen in their middle, after a restart say, are refused as well: they have no name any more. What the
//! engine passes without asking any inspector, as its policy says, is not seen here: keep `flow-table-full`, `inspector-panic`,
//! `inspector-budget` and `overload` strict where that matters.
//!
//! # What does not fit together
//!
//! Reported, not refused: a TLS name and an HTTP host that differ in one flow, where both are in clear; a second TLS hello for another
//! server; and a name called at an address that is none of those that DNS gave for it lately. For the last, answers that pass by
//! are remembered, so many names and 16 addresses of each, for the time that they say and at least ten minutes. Names with more
//! addresses, and names of which no answer was seen, are not compared.

mod answers;
#[cfg(feature = "config")]
pub(crate) mod config;
mod inspector;
mod list;
mod over;
mod pattern;
mod table;

pub use inspector::{DomainFlow, DomainInspector};
pub use list::{Action, Decision, DomainLists};
pub use over::Over;
pub use pattern::{DomainPattern, PatternError};
