//! The contract of an inspector: what it is asked, what it may answer, and how several become one.
//!
//! An [`Inspector`] looks at the packets of a flow and says what becomes of them. What it has to remember of a flow
//! is its [`Flow`](Inspector::Flow): the engine owns that value, hands it back with every packet of the flow and drops
//! it when the flow ends. The inspector itself belongs to one worker, so it needs no lock.
//!
//! The shortest one is a closure:
//!
//! ```
//! use gwlb_geneve::inspect::{Reason, Verdict, packet_fn};
//!
//! const TELNET: Reason = Reason::new("telnet");
//! let no_telnet = packet_fn("no-telnet", |packet, _cx| match packet.five_tuple().ports {
//!     Some(ports) if ports.destination == 23 => Verdict::reject(TELNET),
//!     _ => Verdict::PASS,
//! });
//! # let _ = no_telnet;
//! ```
//!
//! What is said in a TCP connection does not show in its packets: it is cut anywhere, comes out of order, twice, with other
//! bytes the second time. An inspector that names [`Interest::STREAM`] is shown the bytes in order, as the receiver will have them;
//! one that names [`Interest::HTTP`], [`Interest::TLS`] or [`Interest::DNS`] is shown [messages](crate::protocol), parsed once for all.
//! Both are judged before the packet that completes them goes on, so that what is refused never arrives whole; what went before has
//! arrived, since nothing is held back. [`stream_fn`], and with their features `http_fn`, `tls_fn` and `dns_fn`, are closures:
//!
#![cfg_attr(feature = "http", doc = "```")]
#![cfg_attr(not(feature = "http"), doc = "```ignore")]
//! use gwlb_geneve::inspect::{Reason, Verdict, http_fn};
//!
//! const ADMIN: Reason = Reason::new("admin");
//! let no_admin = http_fn("no-admin", |request, _cx| {
//!     if request.path().starts_with(b"/admin") {
//!         return Verdict::reject(ADMIN);
//!     }
//!     Verdict::PASS
//! });
//! # let _ = no_admin;
//! ```
//!
//! Several become one in two ways, which give the same verdicts: a tuple, put together by the compiler, where a
//! member that does nothing costs next to nothing; and a [`Chain`], put together while the program runs, from a
//! configuration say. Members are asked in order; the first that drops or rejects ends it.
//!
//! [`check`] refuses what cannot be meant: an inspector that never fires, a name that is used twice.
//!
//! When all have passed a packet, a [`Rewriter`] may change it. What becomes of traffic that cannot be judged in the
//! ordinary way is said by an [`ExceptionPolicy`].

mod chain;
mod closure;
mod compose;
mod context;
mod exception;
mod inspector;
mod interest;
#[cfg(any(feature = "dns", feature = "http", feature = "tls"))]
mod message_fn;
mod packet;
mod rewriter;
mod seen;
mod verdict;

pub use chain::Chain;
pub use closure::{PacketFn, StreamFn, packet_fn, stream_fn};
pub use context::{Alert, AlertRule, Context, Decided, Effects, Injection, Severity};
pub use exception::{Exception, ExceptionPolicy, PolicyError, Treatment};
pub use inspector::{BuildError, CloseReason, Inspector, Member, Vote, check};
pub use interest::Interest;
#[cfg(feature = "dns")]
pub use message_fn::{DnsFn, dns_fn};
#[cfg(feature = "http")]
pub use message_fn::{HttpFn, http_fn};
#[cfg(feature = "tls")]
pub use message_fn::{TlsFn, tls_fn};
pub use packet::{Beginning, Packet, ParsedPacket};
pub use rewriter::{MssClamp, Rewriter};
pub use seen::{Message, Seen, StreamChunk};
pub use verdict::{Action, Reason, Scope, Tells, Verdict};
