//! GENEVE and the gateway load balancers that speak it: parse what AWS Gateway Load Balancer (GWLB)
//! sends, look into it, and answer it, without copying a byte.
//!
//! A GWLB hands each packet of the traffic that it is asked to guard to an appliance, wrapped in GENEVE
//! on UDP port 6081, and expects it back in the same wrapping. This crate is what such an appliance is
//! built from.
//!
//! An inspector, and a capture that it is tried on:
//!
#![cfg_attr(feature = "capture", doc = "```standalone_crate")]
#![cfg_attr(not(feature = "capture"), doc = "```ignore")]
//! use std::error::Error;
//! use std::process::ExitCode;
//!
//! use gwlb_geneve::engine::{Engine, Settings};
//! use gwlb_geneve::inspect::{Reason, Verdict, packet_fn};
//! use gwlb_geneve::runtime::Replay;
//!
//! const DNS: Reason = Reason::new("dns");
//!
//! fn inspect() -> Result<(), Box<dyn Error>> {
//!     let no_dns = || {
//!         packet_fn("no-dns", |packet, _| match packet.five_tuple().ports {
//!             Some(ports) if ports.destination == 53 => Verdict::reject(DNS),
//!             _ => Verdict::PASS,
//!         })
//!     };
//!     let mut engine = Engine::new(Settings::default(), no_dns)?;
//!     let capture = std::env::args().nth(1).unwrap_or("tests/captures/http.pcapng".into());
//!     let report = Replay::open(capture)?.run(&mut engine, |packet| println!("{packet}"))?;
//!     println!("{report}");
//! #   assert_eq!((report.received, report.forwarded, report.dropped()), (41, 32, 9));
//!     Ok(())
//! }
//!
//! fn main() -> ExitCode {
//!     let Err(error) = inspect() else { return ExitCode::SUCCESS };
//!     let why = error.source().map(|why| format!(": {why}")).unwrap_or_default();
//!     eprintln!("error: {error}{why}");
//!     ExitCode::FAILURE
//! }
//! ```
//!
//! The same engine judges what comes from the network: `runtime::Appliance` serves a load balancer with it. The engine itself
//! does no I/O: [`gwlb::Outer`] and a payload make an `engine::Datagram`, and its reply says which bytes go back.
//!
//! # The map
//!
//! ```text
//! src/
//!   geneve/    RFC 8926 on the wire: header, options, packet view, builder. Knows no cloud.
//!   gwlb/      what gateway load balancers mean by it: provider profile, endpoint / attachment / cookie,
//!              envelope, outer header, reply
//!   packet/    the IP packet inside: IPv4, IPv6 (extension headers), TCP, UDP, ICMP, Ethernet; checksums;
//!              editing; crafted RST / ICMP
//!   capture/   pcap and pcapng files, in and out
//!   flow/      who talks to whom: key, hashes, bounded expiring table
//!   stream/    bytes in order: IP defragmentation, TCP reassembly
//!   protocol/  messages in the bytes: HTTP, TLS, DNS, each parsed once per flow
//!   inspect/   the Inspector trait, Verdict, Context, composition, exception policy
//!   inspectors/
//!              ready-made inspectors: access list, rate limits, anomalies, domain names, HTTP requests, signatures, taps
//!   engine/    sans-IO heart: datagrams in, dispositions and injected packets out. Owns flow table, streams and policy,
//!              counts everything
//!   transport/ where datagrams come from and go: UDP on Linux
//!   observe/   what happened: histograms, EVE records, evidence
//!   config/    the TOML form of all this
//!   toml_text/ TOML with places, for whatever is configured
//!   token.rs   the secret word for those who look after an appliance
//!   runtime/   engines at work: a capture through one, live traffic through several
//! ```
//!
//! [`geneve`] and [`packet`] stand on the ground, and so do `toml_text` and `token`, which are private; [`gwlb`] stands on the first
//! two, `capture` and `stream` on [`packet`], [`flow`] on [`packet`] and [`gwlb`], `protocol` on nothing but [`Side`], `inspect` on [`flow`] and
//! `protocol`, `inspectors` on `inspect` and `toml_text`, `engine` on all of these but `capture`, `toml_text` and `inspectors`;
//! `observe` knows nobody but for its `eve` and `evidence`, which stand on `engine`, and this on `capture`;
//! `transport` knows packets, the outer header of [`gwlb`], and, to steer by it, which worker a flow belongs to, of [`flow`];
//! `config` and `runtime` put them together. No import runs upward.
//!
//! # What holds everywhere
//!
//! * **One check, then no accessor can panic or fail.** A view comes out of a `parse` function, which says in
//!   an error what was expected, what was found and where; after that every accessor returns a plain value.
//! * **Nothing is copied, nothing is allocated** to parse, to build into a slice, or to answer.
//! * **What is not understood is kept.** Unknown options, their order and reserved bits come back in a reply
//!   byte for byte.
//! * **One packet, one outcome.** What the engine forwards unedited has not a byte changed; what it does not forward
//!   has a reason, and all of it is counted. The same packets with the same time stamps bring about the same outcomes.
//! * **Memory has a cap**, reserved when an engine is made; but for what inspectors keep for themselves. Beside it workers
//!   have the buffers of their transports, and those of datagrams on the way from one to another
//!   (`runtime::WorkerSettings::hand_over`).
//! * **No unsafe code** but in `transport`: the system calls of `transport::udp`, all in one small module, and prefetching; no index and no arithmetic that
//!   could panic on what the network sends.
//!
//! # Features
//!
//! | feature | what it adds | needs |
//! |---|---|---|
//! | `std` (default) | `engine`, and what else needs an operating system; `alloc` | |
//! | `alloc` | building into [`bytes::BufMut`], packets that own their buffer, flow tables, inspectors | a global allocator |
//! | `api` | `inspectors::api`: rules about HTTP requests, and the tokens in them | `protocols`, `std` |
//! | `jwt-keys` | `inspectors::api::PublicKeys`: tokens signed by RS256 and ES256 | `api`, a C compiler |
//! | `capture` | `capture`: reading and writing pcap and pcapng files; `runtime`: replaying them; `observe::evidence`: flows kept in them | `std` |
//! | `live` | `runtime`: live traffic, several workers, control | `std` |
//! | `manage` | `runtime`: health checks, Prometheus metrics, statistics, a page and orders over HTTP | `live` |
//! | `community-id` | the Community ID of flows | |
//! | `config` | `config`: configurations and access lists from TOML, with errors that say line and column | `std` |
//! | `http`, `tls`, `dns` | `protocol`: messages in the bytes of flows; `protocols` is all of them, and adds `inspectors::domains` | `alloc` |
//! | `signatures` | `inspectors::signatures`: rules in Suricata's language | `protocols`, `std` |
//! | `eve` | `observe::eve`: records of what happened as lines of JSON, in Suricata's form | `protocols`, `community-id` |
//! | `udp` | `transport::udp`: receiving and sending on Linux (64 bits) | `std` |
//! | `full` | all of it | |
//! | `faults` | faults on request in the engine, for tests; not part of `full` | `std` |
//!
//! Without default features [`geneve`], [`gwlb`], [`packet`] and the keys and hashes of [`flow`] are `no_std` and need
//! no allocator.
//!
//! [`bytes::BufMut`]: https://docs.rs/bytes/latest/bytes/buf/trait.BufMut.html
#![cfg_attr(not(any(feature = "std", test)), no_std)]
#![cfg_attr(docsrs, feature(doc_cfg))]
// The wall around code that reads bytes from the network: no index, no arithmetic that can wrap or
// panic unseen, no unwrapping.
#![cfg_attr(
    not(test),
    deny(
        clippy::arithmetic_side_effects,
        clippy::cast_possible_truncation,
        clippy::expect_used,
        clippy::indexing_slicing,
        clippy::panic,
        clippy::string_slice,
        clippy::unreachable,
        clippy::unwrap_used,
    )
)]

#[cfg(feature = "alloc")]
extern crate alloc;

mod ether_type;
mod side;
mod time;
#[cfg(any(feature = "config", feature = "manage"))]
mod token;
#[cfg(feature = "config")]
mod toml_text;

pub use ether_type::EtherType;
pub use side::Side;
pub use time::Timestamp;

#[cfg(feature = "capture")]
pub mod capture;
#[cfg(feature = "config")]
pub mod config;
#[cfg(feature = "std")]
pub mod engine;
pub mod flow;
pub mod geneve;
pub mod gwlb;
#[cfg(feature = "alloc")]
pub mod inspect;
#[cfg(feature = "alloc")]
pub mod inspectors;
#[cfg(feature = "std")]
pub mod observe;
pub mod packet;
#[cfg(feature = "alloc")]
#[cfg_attr(not(any(feature = "http", feature = "tls", feature = "dns")), allow(dead_code))]
pub mod protocol;
#[cfg(any(feature = "capture", feature = "live"))]
pub mod runtime;
#[cfg(feature = "alloc")]
pub mod stream;
#[cfg(feature = "std")]
pub mod transport;
