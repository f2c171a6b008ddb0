use super::FlowKey;
use crate::gwlb::EndpointId;
use crate::packet::{FiveTuple, IpProtocol};

/// Unkeyed hashes: the same for everyone who computes them, in this process, in another, in the kernel.
///
/// Whoever sends packets can choose what they hash to, so nothing that must withstand an attack may rest on them.
impl FlowKey {
    /// Which of `workers` the flow belongs to: 0 up to `workers`, which counts as 1 where it is 0.
    ///
    /// It is made of nothing but 64-bit operations on the key, so that a program in the kernel can steer packets
    /// by it. With all numbers as 64 bits, wrapping:
    ///
    /// ```text
    /// tail = lower port << 48 | higher port << 32 | protocol << 16 | shape << 8 | IP version
    /// hash = 0
    /// for word in [endpoint, tail, low, high]          IPv4: low = lower address << 32 | higher, high = 0
    ///         or  [endpoint, tail, l1, l0, h1, h0]     IPv6: the addresses' upper and lower halves
    ///     hash = (hash ^ word) * 0x9e3779b97f4a7c15
    ///     hash = hash ^ hash >> 32
    /// owner = ((hash >> 32) * workers) >> 32
    /// ```
    ///
    /// The lower end is the one with the lower address, or, where they are equal, with the lower port. `shape` is
    /// 1 where there are ports, 2 for ICMP echo (its identifier stands for both ports), else 0 with ports of 0.
    pub fn owner(&self, workers: usize) -> usize {
        let workers = u64::try_from(workers).unwrap_or(u64::MAX).clamp(1, u64::from(u32::MAX));
        let owner = (self.stable_hash() >> 32).wrapping_mul(workers) >> 32;
        usize::try_from(owner).unwrap_or(0)
    }

    fn stable_hash(&self) -> u64 {
        match self.words() {
            [endpoint, tail, addresses, 0, 0, 0] if !self.is_ipv6() => {
                stable(&[*endpoint, *tail, *addresses, 0])
            }
            words => stable(words),
        }
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
    let [a, b, ..] = FlowKey::without_endpoint(inner).stable_hash().to_be_bytes();
    u16::from_be_bytes([a, b])
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

fn stable(words: &[u64]) -> u64 {
    words.iter().fold(0_u64, |hash, word| {
        let hash = (hash ^ word).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        hash ^ hash >> 32
    })
}
