use super::{Outer, ReplyError};
use crate::packet::{Checksum, IpProtocol};

/// Bytes of the outer IPv4 and UDP headers of a reply.
pub const OUTER_HEADER_LEN: usize = 28;

pub(super) const IPV4_HEADER_LEN: u16 = 20;

/// The datagram that goes back to the load balancer, in three parts of which only the first is new.
///
/// [`Envelope::reply`](super::Envelope::reply) makes it. A socket takes [`parts`](Self::parts) as they are (scatter and gather), so nothing is copied; or
/// [`write_to`](Self::write_to) puts them together.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Reply<'a> {
    outer: Outer,
    headers: [u8; OUTER_HEADER_LEN],
    geneve: &'a [u8],
    inner: &'a [u8],
}

impl<'a> Reply<'a> {
    /// The answer to a datagram that came with the outer header `received`: addresses swapped, ports not
    /// (wire.md §2), then `geneve`, the GENEVE header as it came with that packet, and `inner`.
    pub(super) fn new(
        received: &Outer,
        geneve: &'a [u8],
        inner: &'a [u8],
        policy: &ReplyPolicy,
    ) -> Result<Self, ReplyError> {
        let found = OUTER_HEADER_LEN.saturating_add(geneve.len()).saturating_add(inner.len());
        let total_len = u16::try_from(found).map_err(|_| ReplyError::TooLong { found })?;
        let outer = Outer {
            source: received.destination,
            destination: received.source,
            source_port: received.source_port,
            destination_port: received.destination_port,
            tos: match policy.tos {
                Tos::Received => received.tos,
                Tos::Fixed(tos) => tos,
            },
            ttl: match policy.ttl {
                Ttl::Received => received.ttl,
                Ttl::Fixed(ttl) => ttl,
            },
            udp_checksum: 0,
        };
        let mut reply = Self { outer, headers: [0; OUTER_HEADER_LEN], geneve, inner };
        reply.outer.udp_checksum = match policy.checksum {
            UdpChecksum::Zero => 0,
            // Swapped addresses leave the sum as it was, and nothing else that it covers changed.
            UdpChecksum::Received => received.udp_checksum,
            UdpChecksum::Computed => reply.sum(total_len.saturating_sub(IPV4_HEADER_LEN)),
        };
        reply.headers = reply.outer.headers(total_len, policy);
        Ok(reply)
    }

    /// The outer header that the reply has.
    pub const fn outer(&self) -> &Outer {
        &self.outer
    }

    /// The outer IPv4 and UDP headers.
    pub const fn outer_headers(&self) -> &[u8; OUTER_HEADER_LEN] {
        &self.headers
    }

    /// Outer headers, GENEVE header, inner packet: in this order they are the datagram.
    pub const fn parts(&self) -> [&[u8]; 3] {
        [&self.headers, self.geneve, self.inner]
    }

    /// Bytes of the whole datagram from its outer IPv4 header on, at most 65,535.
    #[expect(clippy::len_without_is_empty, reason = "a reply is never empty")]
    pub const fn len(&self) -> usize {
        OUTER_HEADER_LEN.saturating_add(self.geneve.len()).saturating_add(self.inner.len())
    }

    /// Writes the datagram to the start of `buffer` and returns its length.
    ///
    /// # Errors
    ///
    /// [`ReplyError::BufferTooSmall`]; `buffer` is untouched then.
    pub fn write_to(&self, buffer: &mut [u8]) -> Result<usize, ReplyError> {
        let (expected, found) = (self.len(), buffer.len());
        let mut rest =
            buffer.get_mut(..expected).ok_or(ReplyError::BufferTooSmall { expected, found })?;
        for part in self.parts() {
            let Some((into, after)) = rest.split_at_mut_checked(part.len()) else { break };
            into.copy_from_slice(part);
            rest = after;
        }
        Ok(expected)
    }

    /// The UDP checksum over pseudo header, UDP header and payload (RFC 768: never sent as zero).
    fn sum(&self, udp_len: u16) -> u16 {
        let Outer { source, destination, source_port, destination_port, .. } = self.outer;
        let mut sum = Checksum::new();
        sum.add_pseudo_header_v4(source, destination, IpProtocol::UDP, udp_len);
        for field in [source_port, destination_port, udp_len] {
            sum.add_u16(field);
        }
        sum.add(self.geneve);
        sum.add(self.inner);
        match sum.finish() {
            0 => 0xffff,
            sum => sum,
        }
    }
}

/// What a reply's outer header says where the received datagram does not decide it.
///
/// The default is time to live 64, DF set, ID 0, the received type of service and a UDP checksum of
/// zero; load balancers take all of these (wire.md §2).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ReplyPolicy {
    /// Time to live.
    pub ttl: Ttl,
    /// Type of service: DSCP and ECN.
    pub tos: Tos,
    /// The DF bit.
    pub dont_fragment: bool,
    /// The identification field.
    pub identification: u16,
    /// The UDP checksum.
    pub checksum: UdpChecksum,
}

impl Default for ReplyPolicy {
    fn default() -> Self {
        Self {
            ttl: Ttl::Fixed(64),
            tos: Tos::Received,
            dont_fragment: true,
            identification: 0,
            checksum: UdpChecksum::Zero,
        }
    }
}

/// Time to live of a reply.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ttl {
    /// Always this.
    Fixed(u8),
    /// What the received datagram had.
    Received,
}

/// Type of service of a reply.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tos {
    /// Always this.
    Fixed(u8),
    /// What the received datagram had, its ECN bits included.
    Received,
}

/// UDP checksum of a reply.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum UdpChecksum {
    /// None, which IPv4 allows (RFC 8926 §3.3).
    Zero,
    /// Summed over the whole reply.
    Computed,
    /// The received one, which is right as long as the GENEVE header and inner packet are those that were received.
    Received,
}
