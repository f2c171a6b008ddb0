use super::Datagram;
use crate::Timestamp;
use crate::flow::Observation;
use crate::gwlb::{EndpointId, Outer};
use crate::inspect::{Context, Effects, ParsedPacket};
use crate::packet::{TcpFlags, Transport};

/// The packet that is being judged.
#[derive(Clone, Copy)]
pub(super) struct Turn<'a> {
    /// The place of its datagram in the burst.
    pub(super) number: usize,
    pub(super) now: Timestamp,
    pub(super) outer: &'a Outer,
    pub(super) packet: &'a ParsedPacket<'a>,
}

impl<'a> Turn<'a> {
    #[inline]
    pub(super) const fn new(
        number: usize,
        datagram: &'a Datagram<'_>,
        packet: &'a ParsedPacket<'a>,
    ) -> Self {
        Self { number, now: datagram.time(), outer: datagram.outer(), packet }
    }

    /// A context for who is asked about it.
    #[inline(always)]
    pub(super) fn context<'e>(&self, effects: &'e mut Effects) -> Context<'e> {
        Context::new(self.now, effects).of_datagram(self.number)
    }

    #[inline]
    pub(super) const fn endpoint(&self) -> EndpointId {
        self.packet.envelope.endpoint()
    }

    /// The control bits, of TCP.
    #[inline]
    pub(super) const fn flags(&self) -> Option<TcpFlags> {
        match &self.packet.transport {
            Transport::Tcp(segment) => Some(segment.flags()),
            _ => None,
        }
    }

    /// The packet as the flow table sees it, with the control bits that its receiver will believe.
    #[inline]
    pub(super) fn seen(&self, flags: Option<TcpFlags>) -> Observation<'a> {
        Observation {
            direction: self.packet.flow.direction,
            relation: self.packet.flow.relation,
            length: self.packet.ip.bytes().len(),
            flags,
            outer: self.outer,
            envelope: &self.packet.envelope,
        }
    }
}
