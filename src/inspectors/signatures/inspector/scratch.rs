use alloc::vec::Vec;

use super::super::Signatures;
use super::super::buffers::{Buffers, Head};
use super::super::matching::Slot;

/// What is used again for each packet.
#[derive(Debug)]
pub(super) struct Scratch {
    /// Rules that are worth a closer look, each once.
    pub(super) candidates: Vec<u32>,
    /// For each rule, in which round it became a candidate.
    rounds: Vec<u32>,
    round: u32,
    /// Where patterns ended.
    pub(super) hits: Vec<(u32, usize)>,
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

impl Scratch {
    pub(super) fn new(rules: usize) -> Self {
        Self {
            candidates: Vec::new(),
            rounds: alloc::vec![0; rules],
            round: 0,
            hits: Vec::new(),
            told: Vec::new(),
            held: Vec::new(),
            failed: Vec::new(),
            taken: Vec::new(),
            buffers: Buffers::default(),
            head: Head::default(),
            window: Vec::new(),
        }
    }

    /// Another packet, piece or message.
    #[inline]
    pub(super) fn begin(&mut self) {
        self.candidates.clear();
        self.hits.clear();
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
        add(&mut self.candidates, &mut self.rounds, self.round, rule);
    }

    pub(super) fn add_all(&mut self, rules: &[u32]) {
        for rule in rules {
            self.add(*rule);
        }
    }

    /// Adds the rules of a slot for which bytes are worth a closer look. Those before `seen` were looked at before.
    #[inline]
    pub(super) fn add_slot(
        &mut self,
        slot: &Slot,
        bytes: &[u8],
        seen: usize,
        signatures: &Signatures,
    ) {
        self.add_all(&slot.always);
        let Some(prefilter) = &slot.prefilter else { return };
        let Self { candidates, rounds, round, hits, .. } = self;
        prefilter.scan(bytes, seen, |rule, end| {
            signatures.note_hit(rule);
            add(candidates, rounds, *round, rule);
            hits.push((rule, end));
        });
    }
}

#[inline]
fn add(candidates: &mut Vec<u32>, rounds: &mut [u32], round: u32, rule: u32) {
    if let Some(last) = rounds.get_mut(rule as usize) {
        if *last != round {
            *last = round;
            candidates.push(rule);
        }
    }
}
