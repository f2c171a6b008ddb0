//! Who talks to whom: keys and hashes of flows, and the table of those that are going on.
//!
//! [`PacketFlow::of`] says which flow a packet belongs to, a [`FlowKey`], and which way it goes. A `FlowTable` holds
//! what is known of each flow, a `FragmentMap` which flow the fragments without ports are of. The hashes differ in what they are for:
//!
//! | hash | keyed | for |
//! |---|---|---|
//! | [`FlowSeed::hash`] | yes | tables of this process: nobody outside can make flows collide |
//! | [`FlowKey::owner`], [`Owners`] | no | which worker a flow belongs to, here and in the kernel |
//! | [`source_port`] | no | the outer source port of GENEVE datagrams of one's own (RFC 8926 §3.3) |
//! | [`Stickiness`] | no | which flows a load balancer keeps on one target |
//! | [`Toeplitz`] | by the card's key | what a network card computes (receive side scaling) |
#![cfg_attr(
    feature = "community-id",
    doc = "| [`CommunityId`] | by a number | what other monitors call the flow |"
)]
//!
//! All but Toeplitz with an ordinary key are the same for both directions of a flow.

#[cfg(feature = "alloc")]
mod ahead;
#[cfg(feature = "alloc")]
mod clock;
#[cfg(feature = "community-id")]
mod community_id;
#[cfg(feature = "alloc")]
mod fragments;
#[cfg(feature = "alloc")]
mod group;
#[cfg(feature = "alloc")]
mod index;
mod key;
mod owners;
mod packet_flow;
mod seed;
mod spread;
#[cfg(feature = "alloc")]
mod table;
mod toeplitz;

#[cfg(feature = "community-id")]
pub use community_id::CommunityId;
#[cfg(feature = "alloc")]
pub use fragments::{FragmentCounters, FragmentMap, FragmentMapError, Resolved};
#[cfg(feature = "alloc")]
pub use group::EndpointGroups;
pub use key::{Direction, FlowKey};
pub use owners::Owners;
pub use packet_flow::{FragmentKey, PacketFlow, Part, Relation};
pub use seed::FlowSeed;
#[cfg(all(feature = "udp", target_os = "linux", target_pointer_width = "64"))]
pub(crate) use spread::StableHash;
pub use spread::{Stickiness, StickinessKey, owner, source_port};
#[cfg(feature = "alloc")]
pub use table::{
    EndReason, EndedFlow, Flow, FlowCounters, FlowId, FlowLimits, FlowPhase, FlowTable,
    FlowTableError, FlowTimeouts, LastEnvelope, Observation, Probe, Refusal, Refused,
};
pub use toeplitz::Toeplitz;
