use alloc::vec::Vec;

use super::super::Signatures;
use super::super::buffers::{Buffers, Head};
use super::super::matching::{Budget, Places, Sight, Slot};
use crate::Timestamp;
use crate::inspect::Packet;
use crate::packet::Transport;

/// What is used again for each packet.
#[derive(Debug)]
pub(super) struct Scratch {
    /// Rules that are worth a closer look, each once.
    pub(super) candidates: Vec<u32>,
    /// For each rule, in which round it became a candidate.
    rounds: Vec<u32>,
    round: u32,
    /// For each candidate, behind which byte its pattern ended last; 0 where it was not found this time.
    ends: Vec<usize>,
    places: Places,
    /// Which packet is at hand.
    packet: Option<Which>,
    /// What may be done for it.
    pub(super) budget: Budget,
    /// Whether a rule that refuses was not asked for all of it.
    pub(super) is_unanswered: bool,
    /// Rules that have held for the packet at hand.
    pub(super) told: Vec<u32>,
    /// Those that have held just now, and those that have not.
    pub(super) held: Vec<u32>,
    pub(super) failed: Vec<u32>,
    /// Numbers that a rule has taken from bytes.
    pub(super) taken: Vec<Option<u64>>,
    pub(super) buffers: Buffers,
    pub(super) head: Head,
    /// A part of a stream.
    pub(super) window: Vec<u8>,
}

/// What packets are told apart by: a packet comes at one time, and lies in one place as long as it is looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Which {
    at: Timestamp,
    address: usize,
    len: usize,
    sequence: u32,
}

impl Which {
    fn of(packet: &Packet<'_>, at: Timestamp) -> Self {
        let payload = packet.payload();
        let sequence = match packet.transport() {
            Transport::Tcp(segment) => segment.sequence_number(),
            _ => 0,
        };
        Self { at, address: payload.as_ptr().addr(), len: payload.len(), sequence }
    }
}

impl Scratch {
    pub(super) fn new(rules: usize) -> Self {
        Self {
            candidates: Vec::new(),
            rounds: alloc::vec![0; rules],
            round: 0,
            ends: alloc::vec![0; rules],
            places: Places::default(),
            packet: None,
            budget: Budget::new(0),
            is_unanswered: false,
            told: Vec::new(),
            held: Vec::new(),
            failed: Vec::new(),
            taken: Vec::new(),
            buffers: Buffers::default(),
            head: Head::default(),
            window: Vec::new(),
        }
    }

    /// Another packet. What may be done is for all that is in it, in however many pieces and messages.
    pub(super) fn turn_to(&mut self, packet: &Packet<'_>, now: Timestamp, steps: u64) {
        self.packet = Some(Which::of(packet, now));
        self.budget = Budget::new(steps);
        self.told.clear();
    }

    /// The same, unless it is at hand already.
    pub(super) fn stay_with(&mut self, packet: &Packet<'_>, now: Timestamp, steps: u64) {
        if self.packet != Some(Which::of(packet, now)) {
            self.turn_to(packet, now, steps);
        }
    }

    /// Another packet, piece or message.
    #[inline]
    pub(super) fn begin(&mut self) {
        self.candidates.clear();
        self.held.clear();
        self.failed.clear();
        self.round = self.round.wrapping_add(1);
        if self.round == 0 {
            self.rounds.fill(0);
            self.round = 1;
        }
    }

    #[inline]
    pub(super) fn is_idle(&self) -> bool {
        self.candidates.is_empty()
    }

    #[inline]
    pub(super) fn add(&mut self, rule: u32) {
        add(&mut self.candidates, &mut self.rounds, &mut self.ends, self.round, rule, 0);
    }

    /// Notes that a rule is not followed up.
    #[cold]
    pub(super) fn lose(&mut self, rule: u32, signatures: &Signatures) {
        signatures.note_too_many();
        let ready = signatures.set().rules.get(rule as usize);
        self.is_unanswered |= ready.is_some_and(|ready| ready.refuses());
    }

    /// Behind which byte the pattern of a candidate ended last, where it was found this time.
    pub(super) fn end_of(&self, rule: u32) -> Option<usize> {
        self.ends.get(rule as usize).copied().filter(|end| *end > 0)
    }

    pub(super) fn add_all(&mut self, rules: &[u32]) {
        for rule in rules {
            self.add(*rule);
        }
    }

    /// Adds the rules of a slot for which bytes are worth a closer look.
    #[inline]
    pub(super) fn add_slot(&mut self, slot: &Slot, sight: Sight<'_>, signatures: &Signatures) {
        self.add_all(&slot.always);
        let Self { candidates, rounds, round, ends, places, .. } = self;
        slot.scan(sight, places, |rule, end| {
            signatures.note_hit(rule);
            add(candidates, rounds, ends, *round, rule, end);
        });
    }
}

/// Adds a rule whose pattern ended behind a byte, or was not found where that is 0.
#[inline]
fn add(
    candidates: &mut Vec<u32>,
    rounds: &mut [u32],
    ends: &mut [usize],
    round: u32,
    rule: u32,
    end: usize,
) {
    let index = rule as usize;
    let (Some(last), Some(known)) = (rounds.get_mut(index), ends.get_mut(index)) else { return };
    if *last != round {
        *last = round;
        *known = 0;
        candidates.push(rule);
    }
    *known = end.max(*known);
}
