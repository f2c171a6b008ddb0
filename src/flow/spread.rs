use super::FlowKey;
use crate::gwlb::EndpointId;
use crate::packet::{FiveTuple, IpProtocol};

/// Unkeyed hashes: the same for everyone who computes them, in this process, in another, in the kernel.
///
/// Whoever sends packets can choose what they hash to, so nothing that must withstand an attack may rest on them.
impl FlowKey {
    /// Which of `workers` the flow belongs to: 0 up to `workers`, which counts as 1 where it is 0 and as 65,535 where it
    /// is more.
    ///
    /// It is made of nothing but 32-bit operations on the key, so that a program in the kernel can steer packets by it,
    /// even one in classic BPF ([`Owners`](super::Owners)). With all numbers as 32 bits, wrapping:
    ///
    /// ```text
    /// ports = lower port << 16 | higher port
    /// kind  = protocol << 16 | shape << 8 | IP version
    /// hash  = 0
    /// for word in [endpoint's upper half, its lower half, ports, kind, the lower address, the higher address]
    ///             (an IPv6 address is four words, the first 32 bits first)
    ///     hash = (hash ^ word) * 0x9e3779b1
    ///     hash = hash ^ hash >> 15
    /// hash  = hash * 0x85ebca77
    /// hash  = hash ^ hash >> 13
    /// owner = ((hash & 0xffff) * workers) >> 16
    /// ```
    ///
    /// The lower end is the one with the lower address, or, where they are equal, with the lower port. `shape` is
    /// 1 where there are ports, 2 for ICMP echo (its identifier stands for both ports), else 0 with ports of 0.
    pub fn owner(&self, workers: usize) -> usize {
        self.stable_hash().owner(workers)
    }

    fn stable_hash(&self) -> StableHash {
        let words =
            if self.is_ipv6() { self.words().as_slice() } else { self.words().split_at(3).0 };
        let mut hash = StableHash::default();
        for word in words {
            let [a, b, c, d, e, f, g, h] = word.to_be_bytes();
            hash.add(u32::from_be_bytes([a, b, c, d]));
            hash.add(u32::from_be_bytes([e, f, g, h]));
        }
        hash
    }

    fn without_endpoint(tuple: &FiveTuple) -> Self {
        Self::new(EndpointId(0), tuple).0
    }
}

/// [`FlowKey::owner`] of a 5-tuple that came through `endpoint`.
///
/// ```
/// # use gwlb_geneve::flow::owner;
/// # use gwlb_geneve::gwlb::EndpointId;
/// # use gwlb_geneve::packet::FiveTuple;
/// # fn both_ways(tuple: FiveTuple) {
/// assert_eq!(owner(EndpointId(1), &tuple, 8), owner(EndpointId(1), &tuple.reversed(), 8));
/// # }
/// ```
pub fn owner(endpoint: EndpointId, tuple: &FiveTuple, workers: usize) -> usize {
    FlowKey::new(endpoint, tuple).0.owner(workers)
}

/// The UDP source port of a GENEVE datagram around a packet with this 5-tuple, for a sender of one's own (RFC 8926
/// §3.3): the same for all packets of a flow and spread over all 16 bits, so that networks which spread by the
/// outer headers spread flows.
///
/// Both directions get the same port, as gateway load balancers have it. A datagram that goes back to a load
/// balancer keeps the port that it came with instead.
pub fn source_port(inner: &FiveTuple) -> u16 {
    FlowKey::without_endpoint(inner).stable_hash().finish()
}

/// What a load balancer keeps together: how much of the 5-tuple decides which target a flow goes to (wire.md §1).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Stickiness {
    /// The 5-tuple for TCP and UDP, addresses and protocol for all else: the default.
    #[default]
    FiveTuple,
    /// Addresses and protocol.
    ThreeTuple,
    /// Addresses alone.
    TwoTuple,
}

/// Two packets with the same stickiness key go to the same target. Both directions have the same one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct StickinessKey {
    endpoint: EndpointId,
    key: FlowKey,
    stickiness: Stickiness,
}

impl Stickiness {
    /// The key of a packet that came through `endpoint`.
    pub fn key(self, endpoint: EndpointId, tuple: &FiveTuple) -> StickinessKey {
        let mut tuple = *tuple;
        let by_ports = matches!(tuple.protocol, IpProtocol::TCP | IpProtocol::UDP);
        if self != Self::FiveTuple || !by_ports {
            tuple.ports = None;
        }
        if self == Self::TwoTuple {
            tuple.protocol = IpProtocol(0);
        }
        StickinessKey { endpoint, key: FlowKey::without_endpoint(&tuple), stickiness: self }
    }
}

/// See [`FlowKey::owner`].
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct StableHash(u32);

impl StableHash {
    /// What each word is multiplied with, and how far the product is then shifted.
    pub(crate) const ROUND: (u32, u32) = (0x9e37_79b1, 15);
    /// The same for the end.
    pub(crate) const FINISH: (u32, u32) = (0x85eb_ca77, 13);

    #[inline]
    fn add(&mut self, word: u32) {
        let Self(hash) = *self;
        *self = Self((hash ^ word).wrapping_mul(Self::ROUND.0)).shifted(Self::ROUND.1);
    }

    #[inline]
    fn finish(self) -> u16 {
        let Self(hash) = Self(self.0.wrapping_mul(Self::FINISH.0)).shifted(Self::FINISH.1);
        let [_, _, a, b] = hash.to_be_bytes();
        u16::from_be_bytes([a, b])
    }

    #[inline]
    fn owner(self, workers: usize) -> usize {
        let workers = u32::from(u16::try_from(workers).unwrap_or(u16::MAX)).max(1);
        let owner = u32::from(self.finish()).wrapping_mul(workers) >> 16;
        usize::try_from(owner).unwrap_or(0)
    }

    #[inline]
    const fn shifted(self, by: u32) -> Self {
        Self(self.0 ^ self.0.wrapping_shr(by))
    }
}
