use crate::flow::{Direction, EndpointGroups, FlowKey, PacketFlow, Part, Relation};
use crate::gwlb::{EndpointId, Envelope};
use crate::packet::{
    ChecksumStatus, FiveTuple, IpPacket, Opaque, ParseError, Straight, Transport, Tunneled,
};

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

    /// The ends of the flow as its opener sees them: the source is the client, as a rule. Of a flow whose
    /// [beginning](Self::beginning) was not seen, whoever was seen first counts as the opener.
    pub fn opener_tuple(&self) -> FiveTuple {
        self.parsed.flow.key.five_tuple(self.opener)
    }

    /// The ends of the flow as this packet goes: its source is the packet's.
    pub fn five_tuple(&self) -> FiveTuple {
        self.parsed.flow.key.five_tuple(self.parsed.flow.direction)
    }

    /// The tunnels that the packet came in, inside the load balancer's envelope; `None` where there is none.
    pub fn tunneled(&self) -> Option<Tunneled<'a>> {
        self.parsed.tunneled()
    }

    /// Why the packet may hide another one that was not looked at; `None` where it does not.
    pub const fn opaque(&self) -> Option<Opaque> {
        self.parsed.opaque
    }

    /// The IP packet: in tunnels, the innermost one.
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
#[non_exhaustive]
pub enum Beginning {
    /// With the packet that [`open`](super::Inspector::open) was given: all of it is seen.
    #[default]
    Seen,
    /// Before: the appliance was started in the middle of it. Who opened it is a guess.
    Midstream,
    /// Before, under inspectors that were replaced. Who opened it is known.
    Reopened,
}

/// A packet taken apart, layer by layer: what [`Packet`] is a view of.
#[derive(Clone, Copy, Debug)]
pub struct ParsedPacket<'a> {
    pub(crate) envelope: Envelope<'a>,
    pub(crate) ip: IpPacket<'a>,
    pub(crate) transport: Transport<'a>,
    pub(crate) flow: PacketFlow,
    /// How many tunnels are around it.
    pub(crate) depth: usize,
    /// Why it may hide another packet.
    pub(crate) opaque: Option<Opaque>,
    /// Whether it is of the usual shape, which makes a few things quicker.
    is_straight: bool,
}

impl<'a> ParsedPacket<'a> {
    /// The packet in an envelope, or the innermost one where that is a tunnel; of the endpoints in a group the
    /// first stands for all.
    ///
    /// # Errors
    ///
    /// Those of [`IpPacket::parse`], [`Tunneled::look_through`], and [`IpPacket::check_whole`] of what is inside.
    #[inline(always)]
    pub fn of(envelope: Envelope<'a>, groups: &EndpointGroups) -> Result<Self, ParseError> {
        match Self::straight(envelope, groups) {
            Some(packet) => Ok(packet),
            None => Self::of_any(envelope, groups),
        }
    }

    /// A packet of the usual shape; `None` says nothing about others.
    #[inline(always)]
    fn straight(envelope: Envelope<'a>, groups: &EndpointGroups) -> Option<Self> {
        match Self::straight_ipv4(envelope, groups) {
            None => Self::straight_ipv6(envelope, groups),
            packet => packet,
        }
    }

    /// Such a packet of IPv4.
    #[inline(always)]
    pub(crate) fn straight_ipv4(envelope: Envelope<'a>, groups: &EndpointGroups) -> Option<Self> {
        let inner = envelope.inner();
        if inner.first()? >> 4 != 4 {
            return None;
        }
        Self::own(envelope, groups, || Straight::of_ipv4(inner))
    }

    /// Such a packet of IPv6.
    #[inline(always)]
    pub(crate) fn straight_ipv6(envelope: Envelope<'a>, groups: &EndpointGroups) -> Option<Self> {
        let inner = envelope.inner();
        if inner.first()? >> 4 != 6 {
            return None;
        }
        Self::own(envelope, groups, || Straight::of_ipv6(inner))
    }

    /// A packet that belongs to a flow of its own ports, whose headers are taken apart once the key shows that they
    /// go straight.
    #[inline(always)]
    fn own(
        envelope: Envelope<'a>,
        groups: &EndpointGroups,
        take_apart: impl FnOnce() -> Option<Straight<'a>>,
    ) -> Option<Self> {
        let endpoint = groups.resolve(envelope.endpoint());
        let (key, direction) = FlowKey::straight(endpoint, envelope.inner())?;
        let Straight { ip, transport } = take_apart()?;
        let flow = PacketFlow { key, direction, relation: Relation::Own, part: Part::Whole };
        Some(Self { envelope, ip, transport, flow, depth: 0, opaque: None, is_straight: true })
    }

    /// The same, layer by layer.
    #[cold]
    #[inline(never)]
    fn of_any(envelope: Envelope<'a>, groups: &EndpointGroups) -> Result<Self, ParseError> {
        let outermost = IpPacket::parse(envelope.inner())?;
        outermost.check_whole()?;
        let tunneled = Tunneled::look_through(&outermost)?;
        let (ip, depth) = (*tunneled.innermost(), tunneled.depth());
        if depth > 0 {
            ip.check_whole().map_err(|error| error.shifted(tunneled.offset()))?;
        }
        let transport = ip.transport()?;
        let endpoint = groups.resolve(envelope.endpoint());
        let mut flow = PacketFlow::of(endpoint, &ip)?;
        if depth > 0 {
            let ends = tunneled.tunnels().map(|tunnel| {
                let carrier = tunnel.carrier();
                let (addresses, protocol) = (carrier.addresses(), carrier.protocol());
                let (key, _) =
                    FlowKey::new(endpoint, &FiveTuple { addresses, protocol, ports: None });
                key.short_hash()
            });
            flow.key = flow.key.in_tunnel(ends.fold(0, |hash, end| hash.rotate_left(5) ^ end));
        }
        let opaque = tunneled.opaque();
        Ok(Self { envelope, ip, transport, flow, depth, opaque, is_straight: false })
    }

    /// The same with the whole datagram in the place of one of its fragments. What part that plays stays known.
    #[cfg(feature = "std")]
    pub(crate) fn put_together<'b>(&self, ip: IpPacket<'b>) -> Result<ParsedPacket<'b>, ParseError>
    where
        'a: 'b,
    {
        ip.check_whole()?;
        Ok(ParsedPacket { ip, transport: ip.transport()?, is_straight: false, ..*self })
    }

    /// Whether what the packet carries has a wrong checksum.
    #[inline(always)]
    pub fn is_damaged(&self) -> bool {
        if self.is_straight {
            Straight::transport_is_damaged(&self.ip, &self.transport)
        } else {
            self.ip.verify_transport_checksum() == ChecksumStatus::Invalid
        }
    }

    /// The tunnels around the packet and what they carry; `None` where there is none.
    pub fn tunneled(&self) -> Option<Tunneled<'a>> {
        if self.depth == 0 {
            return None;
        }
        Tunneled::look_through(&IpPacket::parse(self.envelope.inner()).ok()?).ok()
    }

    /// Which flow it belongs to, and how.
    pub const fn flow(&self) -> &PacketFlow {
        &self.flow
    }
}
