//! Writes the datagrams that are sent next, faults included.

use crate::args::Faults;
use crate::envelope::{MAX_INNER_LEN, UDP_AT, Wrapper, inner_sum, seal};
use crate::faults::{self, FOREIGN, MALFORMED};
use crate::inner::{Ends, stamp, stamp_offset, udp};
use crate::ledger::Ledger;
use crate::profile::ENDPOINT;
use crate::random::Random;
use crate::script::{FlowSeed, Part};

use std::net::Ipv4Addr;

use gwlb_geneve::flow::source_port;
use gwlb_geneve::packet::FiveTuple;

/// What is sent, in its order.
#[derive(Debug)]
pub(crate) struct Traffic {
    wrapper: Wrapper,
    parts: Vec<Part>,
    /// The number of each part's first flow.
    first_flows: Vec<u32>,
    turn: usize,
    faults: Faults,
    stranger: Option<Ipv4Addr>,
    random: Random,
    /// A packet of the simulator's own, to spoil, and another one of the longest kind.
    small: Extra,
    long: Extra,
    next_malformed: u8,
    /// A frame that goes out after the next one of its flow.
    held: Option<(u32, usize, u32)>,
    stamps: u32,
    scratch: Vec<u8>,
    /// Slots to be sent.
    pub(crate) ready: Vec<u32>,
}

/// A packet that belongs to no profile, and its flow.
#[derive(Debug)]
struct Extra {
    inner: Vec<u8>,
    stamp_at: usize,
    flow: u32,
}

impl Extra {
    fn new(len: usize, client_port: u16, ledger: &mut Ledger) -> Self {
        let ends = Ends {
            client: Ipv4Addr::new(10, 255, 255, 1).into(),
            server: Ipv4Addr::new(172, 16, 255, 80).into(),
            client_port,
            server_port: 7_000,
        };
        let inner = udp(&ends, len);
        let source_port = FiveTuple::parse(&inner).map_or(0, |tuple| source_port(&tuple));
        let flow = ledger.flows.add(&FlowSeed { endpoint: ENDPOINT, source_port });
        Self { inner, stamp_at: stamp_offset(&ends), flow }
    }

    fn stamped(&mut self, number: u32) -> &[u8] {
        self.inner[self.stamp_at..self.stamp_at + 8].copy_from_slice(&stamp(number));
        &self.inner
    }
}

impl Traffic {
    pub(crate) fn new(
        wrapper: Wrapper,
        parts: Vec<Part>,
        faults: Faults,
        stranger: Option<Ipv4Addr>,
        seed: u64,
        ledger: &mut Ledger,
    ) -> Self {
        let mut first_flows = Vec::new();
        for part in &parts {
            first_flows.push(ledger.flows.len() as u32);
            for seed in &part.flows {
                ledger.flows.add(seed);
            }
        }
        Self {
            wrapper,
            parts,
            first_flows,
            turn: 0,
            faults,
            stranger,
            random: Random::new(seed),
            small: Extra::new(64, 9, ledger),
            long: Extra::new(MAX_INNER_LEN, 10, ledger),
            next_malformed: 0,
            held: None,
            stamps: 0,
            scratch: Vec::new(),
            ready: Vec::new(),
        }
    }

    /// How many packets there are.
    pub(crate) fn packets(&self) -> usize {
        self.parts.iter().map(Part::len).sum()
    }

    /// Writes a packet of the simulator's own flow, to see whether anybody answers.
    pub(crate) fn probe(&mut self, ledger: &mut Ledger, now: u64) {
        self.extra(ledger, false, now);
    }

    /// Writes the next packet and what its faults bring along. False where there is no room for it.
    #[inline]
    pub(crate) fn next(&mut self, ledger: &mut Ledger, now: u64) -> bool {
        // A few packets of one part at a time keep its trains whole.
        let number = self.turn / TRAIN % self.parts.len();
        let Some(slot) = ledger.take() else { return false };
        self.stamps = self.stamps.wrapping_add(1);
        let part = &mut self.parts[number];
        let Some(turn) = part.turn(self.stamps, &mut self.scratch) else { return false };
        self.turn = self.turn.wrapping_add(1);
        let index = self.first_flows[number] + turn.flow;
        let flow = ledger.flows.get_mut(index);
        if turn.moved && flow.round != turn.round {
            flow.round = turn.round;
            flow.label.source_port =
                FiveTuple::parse(turn.inner).map_or(0, |tuple| source_port(&tuple));
            ledger.flows.renew(index);
        }
        if self.random.chance(self.faults.new_cookie) {
            ledger.flows.renew(index);
        }
        let label = ledger.flows.get(index).label;
        let len = self.wrapper.wrap(ledger.room(slot), &label, turn.inner, turn.sum);
        if self.random.chance(self.faults.zero_checksum) {
            ledger.room(slot)[UDP_AT + 6..UDP_AT + 8].fill(0);
        }
        if self.held.is_none() && self.random.chance(self.faults.reorder) {
            self.held = Some((slot, len, index));
            return true;
        }
        ledger.expect(slot, len, index, now);
        self.ready.push(slot);
        if let Some((held, len, _)) = self.held.take_if(|(_, _, flow)| *flow == index) {
            ledger.expect(held, len, index, now);
            self.ready.push(held);
        }
        if self.random.chance(self.faults.duplicate) {
            self.repeat(ledger, slot, len, index, now);
        }
        if self.random.chance(self.faults.jumbo) {
            self.extra(ledger, true, now);
        }
        if self.random.chance(self.faults.malformed) {
            let kind = self.next_malformed;
            self.next_malformed = (kind + 1) % MALFORMED;
            self.forbidden(ledger, index, kind, now);
        }
        if self.random.chance(self.faults.foreign) {
            self.forbidden(ledger, index, FOREIGN, now);
        }
        true
    }

    /// What was held back and whose successor does not come any more.
    pub(crate) fn finish(&mut self, ledger: &mut Ledger, now: u64) {
        if let Some((slot, len, flow)) = self.held.take() {
            ledger.expect(slot, len, flow, now);
            self.ready.push(slot);
        }
    }

    #[cold]
    fn repeat(&mut self, ledger: &mut Ledger, slot: u32, len: usize, flow: u32, now: u64) {
        let Some(again) = ledger.take() else { return };
        self.scratch.clear();
        self.scratch.extend_from_slice(ledger.frame(slot));
        ledger.room(again)[..len].copy_from_slice(&self.scratch);
        ledger.expect(again, len, flow, now);
        self.ready.push(again);
    }

    #[cold]
    fn extra(&mut self, ledger: &mut Ledger, long: bool, now: u64) {
        let Some(slot) = ledger.take() else { return };
        self.stamps = self.stamps.wrapping_add(1);
        let extra = if long { &mut self.long } else { &mut self.small };
        let flow = extra.flow;
        let inner = extra.stamped(self.stamps);
        let label = ledger.flows.get(flow).label;
        let len = self.wrapper.wrap(ledger.room(slot), &label, inner, inner_sum(inner));
        ledger.expect(slot, len, flow, now);
        self.ready.push(slot);
    }

    /// A datagram in a live flow's envelope that nobody may answer.
    #[cold]
    fn forbidden(&mut self, ledger: &mut Ledger, flow: u32, kind: u8, now: u64) {
        let Some(slot) = ledger.take() else { return };
        self.stamps = self.stamps.wrapping_add(1);
        let inner = self.small.stamped(self.stamps);
        let label = ledger.flows.get(flow).label;
        let frame = ledger.room(slot);
        let mut len = self.wrapper.wrap(frame, &label, inner, inner_sum(inner));
        if kind == FOREIGN {
            let stranger = self.stranger.unwrap_or(label.gateway);
            frame[UDP_AT - 8..UDP_AT - 4].copy_from_slice(&stranger.octets());
            seal(&mut frame[..len]);
        } else {
            len = faults::spoil(frame, len, kind, &mut self.random);
        }
        ledger.forbid(slot, len, kind, now);
        self.ready.push(slot);
    }
}

/// As many packets of a part are sent before the next part's turn comes.
const TRAIN: usize = 16;
