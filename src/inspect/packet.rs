use crate::flow::{Direction, EndpointGroups, FlowKey, PacketFlow, Relation};
use crate::gwlb::{EndpointId, Envelope};
use crate::packet::{FiveTuple, IpPacket, ParseError, Transport};

/// A packet as inspectors see it: whose it is, which way it goes, and what is in it.
#[derive(Clone, Copy, Debug)]
pub struct Packet<'a> {
    parsed: &'a ParsedPacket<'a>,
    opener: Direction,
    beginning: Beginning,
}

impl<'a> Packet<'a> {
    /// A packet of a flow that was opened by a packet in the direction `opener`.
    #[inline]
    pub const fn new(
        parsed: &'a ParsedPacket<'a>,
        opener: Direction,
        beginning: Beginning,
    ) -> Self {
        Self { parsed, opener, beginning }
    }

    /// The endpoint that the packet came through.
    pub const fn endpoint(&self) -> EndpointId {
        self.parsed.envelope.endpoint()
    }

    /// The load balancer's envelope.
    pub const fn envelope(&self) -> &'a Envelope<'a> {
        &self.parsed.envelope
    }

    /// The flow that the packet belongs to. A later fragment, or an ICMP error, belongs to the flow of the packet
    /// that it goes with, whose ports are known here.
    pub const fn flow(&self) -> &'a FlowKey {
        &self.parsed.flow.key
    }

    /// Which way the packet goes, as the key of its flow sees it.
    #[inline]
    pub const fn direction(&self) -> Direction {
        self.parsed.flow.direction
    }

    /// Whether the packet goes the way of the flow's first packet: from client to server, as a rule.
    #[inline]
    pub fn is_from_opener(&self) -> bool {
        self.parsed.flow.direction == self.opener
    }

    /// How the flow began, as far as the inspector is concerned.
    #[inline]
    pub const fn beginning(&self) -> Beginning {
        self.beginning
    }

    /// Whether it is one of the flow's own, or an ICMP error about one.
    pub const fn relation(&self) -> Relation {
        self.parsed.flow.relation
    }

    /// The ends of the flow as this packet goes: its source is the packet's.
    pub fn five_tuple(&self) -> FiveTuple {
        self.parsed.flow.key.five_tuple(self.parsed.flow.direction)
    }

    /// The IP packet.
    pub const fn ip(&self) -> &'a IpPacket<'a> {
        &self.parsed.ip
    }

    /// The layer above, checked.
    #[inline]
    pub const fn transport(&self) -> &'a Transport<'a> {
        &self.parsed.transport
    }

    /// What the transport carries: TCP or UDP data, for other protocols all of it.
    #[inline]
    pub fn payload(&self) -> &'a [u8] {
        self.parsed.transport.payload()
    }
}

/// How a flow began for an inspector.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Beginning {
    /// With the packet that [`open`](super::Inspector::open) was given: all of it is seen.
    #[default]
    Seen,
    /// Before: the appliance or the inspector was started in the middle of it.
    Midstream,
}

/// A packet taken apart, layer by layer: what [`Packet`] is a view of.
#[derive(Clone, Copy, Debug)]
pub struct ParsedPacket<'a> {
    pub(crate) envelope: Envelope<'a>,
    pub(crate) ip: IpPacket<'a>,
    pub(crate) transport: Transport<'a>,
    pub(crate) flow: PacketFlow,
}

impl<'a> ParsedPacket<'a> {
    /// The packet in an envelope.
    ///
    /// # Errors
    ///
    /// Those of [`IpPacket::parse`] and [`IpPacket::check_whole`].
    pub fn of(envelope: Envelope<'a>, groups: &EndpointGroups) -> Result<Self, ParseError> {
        let ip = IpPacket::parse(envelope.inner())?;
        ip.check_whole()?;
        let transport = ip.transport()?;
        let flow = PacketFlow::of(groups.resolve(envelope.endpoint()), &ip)?;
        Ok(Self { envelope, ip, transport, flow })
    }

    /// Which flow it belongs to, and how.
    pub const fn flow(&self) -> &PacketFlow {
        &self.flow
    }
}
