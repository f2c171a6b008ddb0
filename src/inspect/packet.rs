use crate::flow::{Direction, FlowKey, PacketFlow, Relation};
use crate::gwlb::{EndpointId, Envelope};
use crate::packet::{FiveTuple, IpPacket, ParseError, Transport};

/// A packet as inspectors see it: whose it is, which way it goes, and what is in it.
#[derive(Clone, Copy, Debug)]
pub struct Packet<'a> {
    envelope: &'a Envelope<'a>,
    flow: PacketFlow,
    opener: Direction,
    ip: IpPacket<'a>,
    transport: Transport<'a>,
}

impl<'a> Packet<'a> {
    /// The packet of an envelope, in a flow that was opened by a packet in the direction `opener`.
    ///
    /// # Errors
    ///
    /// Those of [`IpPacket::transport`].
    pub fn new(
        envelope: &'a Envelope<'a>,
        flow: PacketFlow,
        opener: Direction,
        ip: IpPacket<'a>,
    ) -> Result<Self, ParseError> {
        Ok(Self { envelope, flow, opener, ip, transport: ip.transport()? })
    }

    /// The endpoint that the packet came through.
    pub const fn endpoint(&self) -> EndpointId {
        self.envelope.endpoint()
    }

    /// The load balancer's envelope.
    pub const fn envelope(&self) -> &Envelope<'a> {
        self.envelope
    }

    /// The flow that the packet belongs to. A later fragment, or an ICMP error, belongs to the flow of the packet
    /// that it goes with, whose ports are known here.
    pub const fn flow(&self) -> &FlowKey {
        &self.flow.key
    }

    /// Which way the packet goes, as the key of its flow sees it.
    pub const fn direction(&self) -> Direction {
        self.flow.direction
    }

    /// Whether the packet goes the way of the flow's first packet: from client to server, as a rule.
    pub fn is_from_opener(&self) -> bool {
        self.flow.direction == self.opener
    }

    /// Whether it is one of the flow's own, or an ICMP error about one.
    pub const fn relation(&self) -> Relation {
        self.flow.relation
    }

    /// The ends of the flow as this packet goes: its source is the packet's.
    pub fn five_tuple(&self) -> FiveTuple {
        self.flow.key.five_tuple(self.flow.direction)
    }

    /// The IP packet.
    pub const fn ip(&self) -> &IpPacket<'a> {
        &self.ip
    }

    /// The layer above, checked.
    pub const fn transport(&self) -> &Transport<'a> {
        &self.transport
    }

    /// What the transport carries: TCP or UDP data, for other protocols all of it.
    pub fn payload(&self) -> &'a [u8] {
        self.transport.payload()
    }
}
