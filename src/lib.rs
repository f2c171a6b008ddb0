//! GENEVE and the gateway load balancers that speak it: parse what AWS Gateway Load Balancer (GWLB)
//! sends, look into it, and answer it, without copying a byte.
//!
//! A GWLB hands each packet of the traffic that it is asked to guard to an appliance, wrapped in GENEVE
//! on UDP port 6081, and expects it back in the same wrapping. This crate is what such an appliance is
//! built from.
//!
//! ```
//! use gwlb_geneve::gwlb::{Envelope, Outer, Profile, Reply, ReplyPolicy};
//! use gwlb_geneve::packet::FiveTuple;
//!
//! /// The answer to a datagram that came to UDP port 6081, unless it is for telnet.
//! fn answer<'a>(outer: &Outer, payload: &'a [u8]) -> Option<Reply<'a>> {
//!     let envelope = Envelope::parse(payload, &Profile::AWS).ok()?;
//!     let flow = FiveTuple::parse(envelope.inner()).ok()?;
//!     println!("{} {} {flow}", envelope.endpoint(), envelope.cookie());
//!     if flow.ports.is_some_and(|ports| ports.destination == 23) {
//!         return None;
//!     }
//!     envelope.reply(outer, &ReplyPolicy::default()).ok()
//! }
//! # let geneve = [
//! #     8, 0, 8, 0, 0, 0, 0, 0, 1, 8, 1, 2, 0, 0, 0, 0, 0, 0, 0, 1,
//! #     1, 8, 2, 2, 0, 0, 0, 0, 0, 0, 0, 0, 1, 8, 3, 1, 0, 0, 0, 1,
//! # ];
//! # let ip = |protocol| [0x45, 0, 0, 28, 0, 0, 0, 0, 64, protocol, 0, 0, 10, 1, 0, 1, 10, 2, 0, 2];
//! # let outer = Outer::new(([10, 0, 0, 1].into(), 49_152), ([10, 0, 0, 2].into(), 6081));
//! # let ping = [&geneve[..], &ip(1), &[8, 0, 0, 0, 0, 1, 0, 1]].concat();
//! # assert!(answer(&outer, &ping).is_some(), "what has no ports is not for telnet");
//! # let telnet = [&geneve[..], &ip(17), &[0x9c, 0x40, 0, 23, 0, 8, 0, 0]].concat();
//! # assert!(answer(&outer, &telnet).is_none());
//! ```
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
//!   inspect/   the Inspector trait, Verdict, Context, composition
//!   inspectors/
//!              ready-made inspectors: access list
//! ```
//!
//! [`geneve`] and [`packet`] stand on the ground; [`gwlb`] stands on both, `capture` on [`packet`], [`flow`] on
//! [`packet`] and [`gwlb`], `inspect` on [`flow`], `inspectors` on `inspect`. No import runs
//! upward.
//!
//! # What holds everywhere
//!
//! * **One check, then no accessor can panic or fail.** A view comes out of a `parse` function, which says in
//!   an error what was expected, what was found and where; after that every accessor returns a plain value.
//! * **Nothing is copied, nothing is allocated** to parse, to build into a slice, or to answer.
//! * **What is not understood is kept.** Unknown options, their order and reserved bits come back in a reply
//!   byte for byte.
//! * **No unsafe code**, no index and no arithmetic that could panic on what the network sends.
//!
//! # Features
//!
//! | feature | what it adds | needs |
//! |---|---|---|
//! | `std` (default) | what needs an operating system; `alloc` | |
//! | `alloc` | building into [`bytes::BufMut`], packets that own their buffer, flow tables, inspectors | a global allocator |
//! | `capture` | `capture`: reading and writing pcap and pcapng files | `std` |
//! | `community-id` | the Community ID of flows | |
//! | `config` | access lists from TOML, with errors that say line and column | `std` |
//! | `full` | all of it | |
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
mod time;

pub use ether_type::EtherType;
pub use time::Timestamp;

#[cfg(feature = "capture")]
pub mod capture;
#[cfg(feature = "std")]
pub mod engine;
pub mod flow;
pub mod geneve;
pub mod gwlb;
#[cfg(feature = "alloc")]
pub mod inspect;
#[cfg(feature = "alloc")]
pub mod inspectors;
pub mod packet;
