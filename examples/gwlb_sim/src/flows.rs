//! Flows as the load balancer knows them: by their cookie.

use std::net::Ipv4Addr;

use crate::envelope::Label;
use crate::script::FlowSeed;

/// No slot.
pub(crate) const NONE: u32 = u32::MAX;

/// A flow: what stands on its envelopes, and which of its packets have no answer yet.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Flow {
    pub(crate) label: Label,
    /// Number of its address among the load balancer's.
    pub(crate) gateway: u8,
    generation: u8,
    /// The round of its part in which it got its label.
    pub(crate) round: u32,
    /// The oldest and the youngest slot without an answer, or [`NONE`].
    pub(crate) first: u32,
    pub(crate) last: u32,
    /// How many packets were sent.
    pub(crate) sent: u32,
    /// The number after the youngest that was answered.
    pub(crate) answered: u32,
}

/// All flows.
#[derive(Debug)]
pub(crate) struct Flows {
    flows: Vec<Flow>,
    gateways: Vec<Ipv4Addr>,
}

/// Bits of a cookie that number the flow; those above are its generation.
const INDEX_BITS: u32 = 26;
/// Odd, so that multiplying by it changes places among all cookies and loses none.
const SCRAMBLE: u32 = 0x9e37_79b1;
const UNSCRAMBLE: u32 = inverse(SCRAMBLE);

/// Newton's way to the inverse of an odd number modulo 2³²: each step doubles the bits that are right.
const fn inverse(odd: u32) -> u32 {
    let mut inverse = odd;
    let mut step = 0;
    while step < 4 {
        inverse = inverse.wrapping_mul(2_u32.wrapping_sub(odd.wrapping_mul(inverse)));
        step += 1;
    }
    inverse
}

fn cookie(index: u32, generation: u8) -> u32 {
    (u32::from(generation) << INDEX_BITS | index).wrapping_mul(SCRAMBLE)
}

impl Flows {
    pub(crate) fn new(gateways: Vec<Ipv4Addr>) -> Self {
        Self { flows: Vec::new(), gateways }
    }

    /// Adds one and returns its number.
    pub(crate) fn add(&mut self, seed: &FlowSeed) -> u32 {
        let index = self.flows.len() as u32;
        let gateway = index as usize % self.gateways.len();
        let FlowSeed { endpoint, source_port } = *seed;
        let cookie = cookie(index, 0);
        self.flows.push(Flow {
            label: Label { gateway: self.gateways[gateway], source_port, endpoint, cookie },
            gateway: gateway as u8,
            generation: 0,
            round: 0,
            first: NONE,
            last: NONE,
            sent: 0,
            answered: 0,
        });
        index
    }

    pub(crate) fn len(&self) -> usize {
        self.flows.len()
    }

    #[inline]
    pub(crate) fn get(&self, index: u32) -> &Flow {
        &self.flows[index as usize]
    }

    #[inline]
    pub(crate) fn get_mut(&mut self, index: u32) -> &mut Flow {
        &mut self.flows[index as usize]
    }

    /// The flow with this cookie, now or before.
    #[inline]
    pub(crate) fn with_cookie(&self, cookie: u32) -> Option<u32> {
        let index = cookie.wrapping_mul(UNSCRAMBLE) & ((1 << INDEX_BITS) - 1);
        ((index as usize) < self.flows.len()).then_some(index)
    }

    /// Gives a flow a cookie that it has not had for long.
    pub(crate) fn renew(&mut self, index: u32) {
        let flow = self.get_mut(index);
        flow.generation = (flow.generation + 1) % (1 << (32 - INDEX_BITS));
        flow.label.cookie = cookie(index, flow.generation);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cookie_finds_its_flow_whatever_its_generation() {
        let mut flows = Flows::new(vec![Ipv4Addr::LOCALHOST, Ipv4Addr::BROADCAST]);
        let seed = FlowSeed { endpoint: 1, source_port: 2 };
        for _ in 0..1_000 {
            flows.add(&seed);
        }
        let mut cookies = std::collections::HashSet::new();
        for _ in 0..64 {
            for index in 0..1_000 {
                let cookie = flows.get(index).label.cookie;
                assert!(cookies.insert(cookie));
                assert_eq!(flows.with_cookie(cookie), Some(index));
                flows.renew(index);
            }
        }
        assert_eq!(flows.with_cookie(super::cookie(1_000, 0)), None);
        assert_ne!(flows.get(0).label.gateway, flows.get(1).label.gateway);
    }
}
