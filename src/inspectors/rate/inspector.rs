use alloc::format;
use alloc::sync::Arc;
use core::fmt;
use core::net::IpAddr;

use super::hands::Hands;
use super::limits::Limit;
use super::{Action, Direction, Of, Per, RateLimits};
use crate::gwlb::EndpointId;
use crate::inspect::{
    Alert, Beginning, Context, Inspector, Interest, Packet, Reason, Severity, Verdict,
};
use crate::packet::{TcpFlags, Transport};

/// Limits what sources, destinations and endpoints have a second, by [`RateLimits`] that the inspectors of all workers
/// share.
///
/// Every packet that the inspectors before it have passed is counted by each rule that it concerns, until one refuses
/// it. What a rule refuses is not counted by it. A new flow that is dropped is one that has not begun: its next packet tries
/// again. Flows that are seen first in their middle, after a restart for instance, are new ones, and who opened them is a guess.
///
/// The reasons name what there was too much of: `rate-packets`, `rate-bytes`, `rate-new-flows` and `rate-syns`. Each rule gives
/// an alert of its own at most once a second; it says who had too much and how many were not told of.
///
/// ```
/// use std::sync::Arc;
///
/// use gwlb_geneve::flow::FlowSeed;
/// use gwlb_geneve::inspect::check;
/// use gwlb_geneve::inspectors::rate::{Of, Per, RateInspector, RateLimits, RateRule};
///
/// let rules = [RateRule::new(Per::Source, Of::Syns, 50), RateRule::new(Per::Endpoint, Of::Bytes, 125_000_000)];
/// let limits = Arc::new(RateLimits::new(rules, RateLimits::DEFAULT_BUCKETS, FlowSeed::random())?);
/// let workers: Vec<_> = (0..4).map(|_| RateInspector::new(Arc::clone(&limits))).collect();
/// assert!(workers.iter().all(|inspector| check(inspector).is_ok()));
/// # Ok::<(), gwlb_geneve::inspectors::rate::RateError>(())
/// ```
#[derive(Debug)]
pub struct RateInspector {
    limits: Arc<RateLimits>,
    hands: Option<Hands>,
    seat: u32,
    /// A bit for each rule about new flows, and for each of the others.
    new_flows: u32,
    others: u32,
}

impl RateInspector {
    /// Why packets are dropped and rejected.
    pub const PACKETS: Reason = Reason::new("rate-packets");
    /// The same, where there are too many bytes.
    pub const BYTES: Reason = Reason::new("rate-bytes");
    /// The same, where there are too many new flows.
    pub const NEW_FLOWS: Reason = Reason::new("rate-new-flows");
    /// The same, where there are too many SYNs.
    pub const SYNS: Reason = Reason::new("rate-syns");

    /// By limits, or by those that are shared.
    pub fn new(limits: impl Into<Arc<RateLimits>>) -> Self {
        let limits = limits.into();
        let (mut new_flows, mut others) = (0, 0);
        for (index, limit) in (0_u32..).zip(limits.limits()) {
            let bits = if limit.rule.of == Of::NewFlows { &mut new_flows } else { &mut others };
            *bits |= 1_u32.wrapping_shl(index);
        }
        let takes_lots = limits.limits().iter().any(|limit| limit.lot > 0);
        let seat = if takes_lots { limits.sit() } else { 0 };
        let hands = (seat != 0).then(Hands::new);
        Self { limits, hands, seat, new_flows, others }
    }

    /// The limits.
    pub fn limits(&self) -> &RateLimits {
        &self.limits
    }

    #[cfg(test)]
    pub(super) fn takes_lots(&self) -> bool {
        self.hands.is_some()
    }
}

/// The tokens in its hands are lost.
impl Drop for RateInspector {
    fn drop(&mut self) {
        self.limits.stand_up(self.seat);
    }
}

/// What is remembered of a flow: the rules that have not let it begin yet, a bit each.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Begun {
    pending: u32,
}

impl Inspector for RateInspector {
    type Flow = Begun;
    const INTEREST: Interest = Interest::PACKETS;

    fn name(&self) -> &str {
        "rate"
    }

    #[inline]
    fn open(&mut self, first: &Packet<'_>, _: &mut Context<'_>) -> Option<Begun> {
        // Who comes under new rules in the middle of a flow has begun it under the old ones.
        let is_new = first.beginning() != Beginning::Reopened;
        let pending = if is_new { self.new_flows } else { 0 };
        (pending | self.others != 0).then_some(Begun { pending })
    }

    #[inline]
    fn packet(&mut self, flow: &mut Begun, packet: &Packet<'_>, cx: &mut Context<'_>) -> Verdict {
        let mut left = flow.pending | self.others;
        let elapsed = self.limits.elapsed(cx.now());
        while left != 0 {
            let index = left.trailing_zeros();
            let bit = left & left.wrapping_neg();
            left &= !bit;
            let Some(limit) = self.limits.limits().get(index as usize) else { break };
            let Some((key, cost)) = charge(limit, packet) else { continue };
            let hash = key.hash(&self.limits, index);
            let take = |least, wanted| limit.table.take(hash, elapsed, least, wanted);
            let is_paid = match &mut self.hands {
                Some(hands) if limit.lot > 0 => hands.pay(hash, elapsed, cost, limit.lot, take),
                _ => take(cost, cost).is_some(),
            };
            if !is_paid {
                if let Some(refusal) = refuse(limit, key, packet, cx) {
                    return refusal;
                }
            }
            flow.pending &= !bit;
        }
        if flow.pending | self.others == 0 { Verdict::PASS_FLOW } else { Verdict::PASS }
    }
}

/// Who has a limit of its own.
#[derive(Clone, Copy, Debug)]
enum Key {
    Network(IpAddr, u8),
    Endpoint(EndpointId),
}

impl Key {
    #[inline]
    fn hash(self, limits: &RateLimits, rule: u32) -> u64 {
        let rule = u64::from(rule);
        match self {
            Self::Network(IpAddr::V4(address), _) => {
                limits.seed().hash_words(address.to_bits().into(), 4, rule)
            }
            Self::Network(IpAddr::V6(address), _) => {
                let [high, low] = halves(address.to_bits());
                limits.seed().hash_words(high, low, rule | 6 << 32)
            }
            Self::Endpoint(endpoint) => limits.seed().hash_words(endpoint.0, 0, rule),
        }
    }
}

#[expect(clippy::cast_possible_truncation, reason = "each half is wanted")]
const fn halves(bits: u128) -> [u64; 2] {
    [(bits >> 64) as u64, bits as u64]
}

impl fmt::Display for Key {
    /// `192.0.2.1`, `2001:db8::/64`, `vpce-…`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Network(address @ IpAddr::V4(_), 32)
            | Self::Network(address @ IpAddr::V6(_), 128) => address.fmt(f),
            Self::Network(address, prefix) => write!(f, "{address}/{prefix}"),
            Self::Endpoint(endpoint) => endpoint.fmt(f),
        }
    }
}

/// Whose tokens a packet takes, and how many; `None` where it does not concern the rule.
#[inline]
fn charge(limit: &Limit, packet: &Packet<'_>) -> Option<(Key, u64)> {
    let rule = &limit.rule;
    let is_counted = || rule.direction == Direction::Both || packet.is_from_opener();
    let cost = match rule.of {
        Of::Syns if is_syn(packet) => 1,
        Of::Syns => return None,
        Of::NewFlows => 1,
        Of::Packets if is_counted() => 1,
        Of::Bytes if is_counted() => u64::try_from(packet.ip().total_len()).unwrap_or(u64::MAX),
        Of::Packets | Of::Bytes => return None,
    };
    if rule.per == Per::Endpoint {
        return Some((Key::Endpoint(packet.endpoint()), cost));
    }
    let tuple = if rule.of == Of::Syns { packet.five_tuple() } else { packet.opener_tuple() };
    let address = if rule.per == Per::Source { tuple.source() } else { tuple.destination() };
    Some((network(address, rule.prefix_v4, rule.prefix_v6), cost))
}

fn is_syn(packet: &Packet<'_>) -> bool {
    match packet.transport() {
        Transport::Tcp(segment) => {
            let flags = segment.flags();
            flags.intersects(TcpFlags::SYN) && !flags.intersects(TcpFlags::ACK)
        }
        _ => false,
    }
}

#[inline]
fn network(address: IpAddr, prefix_v4: u8, prefix_v6: u8) -> Key {
    match address {
        IpAddr::V4(address) => {
            let host = u32::MAX.checked_shr(prefix_v4.into()).unwrap_or(0);
            Key::Network(IpAddr::V4((address.to_bits() & !host).into()), prefix_v4)
        }
        IpAddr::V6(address) => {
            let host = u128::MAX.checked_shr(prefix_v6.into()).unwrap_or(0);
            Key::Network(IpAddr::V6((address.to_bits() & !host).into()), prefix_v6)
        }
    }
}

/// `None` where the packet passes all the same.
#[cold]
fn refuse(limit: &Limit, key: Key, packet: &Packet<'_>, cx: &mut Context<'_>) -> Option<Verdict> {
    let rule = &limit.rule;
    let reason = match rule.of {
        Of::Packets => RateInspector::PACKETS,
        Of::Bytes => RateInspector::BYTES,
        Of::NewFlows => RateInspector::NEW_FLOWS,
        Of::Syns => RateInspector::SYNS,
    };
    let (verdict, done) = match rule.action {
        Action::Drop => (Some(Verdict::drop(reason)), "dropped"),
        Action::Reject => (Some(Verdict::reject(reason)), "rejected"),
        Action::Alert => (None, "passed"),
    };
    let name = || rule.name.as_deref().map(|name| format!(" ({name})")).unwrap_or_default();
    cx.decided("rate", || format!("{} {key} has more than {rule}{}", rule.per, name()));
    if let Some(untold) = limit.tell(cx.now()) {
        let name = name();
        let (per, tuple) = (rule.per, packet.five_tuple());
        cx.alert(Alert {
            name: reason.name().into(),
            message: format!(
                "{per} {key} has more than {rule}{name}: {done} {tuple}; {untold} more not told of"
            )
            .into(),
            severity: Severity::Notice,
            rule: None,
        });
    }
    verdict
}
