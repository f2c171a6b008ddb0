use core::fmt;

use crate::flow::{Direction, FlowKey, PacketFlow, Relation};
use crate::gwlb::{Envelope, Outer};
use crate::packet::{IpPacket, ParseError, TcpFlags, Transport};

/// A key with its hash, and, [fetched](super::FlowTable::fetch), the place where its flow was found.
#[derive(Clone, Copy, Debug)]
pub struct Probe {
    pub(super) key: FlowKey,
    pub(super) hash: u32,
    pub(super) slot: u32,
}

/// Higher than all slots.
pub(super) const NOWHERE: u32 = u32::MAX;

impl Probe {
    /// Whose flow is looked for.
    pub const fn key(&self) -> &FlowKey {
        &self.key
    }
}

/// A packet, as far as a flow table is concerned.
#[derive(Clone, Copy, Debug)]
pub struct Observation<'a> {
    /// Which way it goes.
    pub direction: Direction,
    /// Whether it is one of the flow's own.
    pub relation: Relation,
    /// Bytes of the inner packet.
    pub length: usize,
    /// The control bits, of TCP. Who follows the sequence numbers leaves away what the receiver will not believe, a
    /// RST out of place above all.
    pub flags: Option<TcpFlags>,
    /// The outer header that it came with.
    pub outer: &'a Outer,
    /// The envelope that it came in.
    pub envelope: &'a Envelope<'a>,
}

impl<'a> Observation<'a> {
    /// What a packet shows by itself, and the key of its flow.
    ///
    /// # Errors
    ///
    /// Those of [`PacketFlow::of`].
    pub fn of(
        envelope: &'a Envelope<'a>,
        outer: &'a Outer,
        inner: &IpPacket<'_>,
    ) -> Result<(FlowKey, Self), ParseError> {
        let flow = PacketFlow::of(envelope.endpoint(), inner)?;
        let flags = match inner.transport()? {
            Transport::Tcp(segment) => Some(segment.flags()),
            _ => None,
        };
        let length = inner.bytes().len();
        let (direction, relation) = (flow.direction, flow.relation);
        Ok((flow.key, Self { direction, relation, length, flags, outer, envelope }))
    }

    /// Whether this is the first segment of a connection.
    #[inline]
    pub(super) fn is_opening(&self) -> bool {
        self.flags.is_some_and(|flags| {
            flags.intersects(TcpFlags::SYN) && !flags.intersects(TcpFlags::ACK | TcpFlags::RST)
        })
    }
}

/// Why a flow is not in the table any more.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum EndReason {
    /// Its time-out was over.
    Idle,
    /// It made room for a new one.
    Evicted,
    /// It was closed, and another one began between the same ends.
    Reused,
    /// [`FlowTable::remove`](super::FlowTable::remove) was called.
    Removed,
    /// [`FlowTable::drain`](super::FlowTable::drain) was called.
    Drained,
}

/// Why a flow was not taken in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, thiserror::Error)]
#[non_exhaustive]
pub enum Refusal {
    /// The table is full of flows that may not be evicted.
    #[error("flow table: expected room for a flow, found only flows that may not be evicted")]
    Full,
    /// The endpoint has all the flows that it may have, and none of them may be evicted.
    #[error("flow table: expected an endpoint below its quota, found one that has reached it")]
    Quota,
    /// There are too many endpoints with flows.
    #[error("flow table: expected room for an endpoint, found none")]
    Endpoints,
    /// Too many flows have hashes like this one's.
    #[error("flow table: expected room near the place of the hash, found none")]
    Collisions,
    /// It is in the table.
    #[error("flow table: expected a new flow, found it in the table")]
    Known,
    /// An ICMP error opens no flow.
    #[error("flow table: expected a flow's own packet, found an ICMP error about one")]
    IcmpError,
}

/// A flow that was not taken in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refused<S> {
    /// Why.
    pub why: Refusal,
    /// The state that it would have had.
    pub state: S,
}

impl<S> fmt::Display for Refused<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.why.fmt(f)
    }
}

impl<S: fmt::Debug> core::error::Error for Refused<S> {}
