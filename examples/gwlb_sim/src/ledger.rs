//! What is under way: every datagram is kept as it was sent until its answer has come or is overdue.

use std::collections::VecDeque;

use crate::envelope;
use crate::flows::{Flows, NONE};

/// A datagram's state.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum State {
    Free,
    /// An answer is due.
    Waiting,
    /// The answer has come.
    Answered,
    /// No answer came in time.
    Overdue,
    /// No answer may come; the number says why ([`crate::faults::NAMES`]).
    Forbidden(u8),
}

/// What is known about the datagram in a slot.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Slot {
    pub(crate) state: State,
    pub(crate) gateway: u8,
    len: u16,
    pub(crate) flow: u32,
    /// Its number in the flow.
    pub(crate) number: u32,
    /// The next of the flow that waits, or [`NONE`].
    next: u32,
    /// How often the slot has been used.
    serial: u32,
    /// Nanoseconds of the run's clock.
    pub(crate) sent_at: u64,
}

/// How many answered and overdue datagrams are remembered, to recognize what comes again or late.
const REMEMBERED: usize = 512;
/// How many that may have no answer are remembered.
const FORBIDDEN: usize = 1_024;

/// Slots of equal size, and the flows whose packets are in them.
#[derive(Debug)]
pub(crate) struct Ledger {
    bytes: Vec<u8>,
    stride: usize,
    slots: Vec<Slot>,
    free: Vec<u32>,
    /// All that were sent to be answered, oldest first, with their serial numbers.
    queue: VecDeque<(u32, u32)>,
    past: VecDeque<u32>,
    forbidden: VecDeque<u32>,
    waiting: usize,
    pub(crate) flows: Flows,
}

impl Ledger {
    /// With room for `waiting` datagrams that an answer is due to, of inner packets up to `longest` bytes.
    pub(crate) fn new(flows: Flows, waiting: usize, longest: usize) -> Self {
        // Not a power of two, or many slots would share few cache sets.
        let stride = (envelope::INNER_AT + longest).next_multiple_of(64) | 64;
        let count = waiting + REMEMBERED + FORBIDDEN;
        let slot = Slot {
            state: State::Free,
            gateway: 0,
            len: 0,
            flow: NONE,
            number: 0,
            next: NONE,
            serial: 0,
            sent_at: 0,
        };
        Self {
            bytes: vec![0; count * stride],
            stride,
            slots: vec![slot; count],
            free: (0..count as u32).rev().collect(),
            queue: VecDeque::with_capacity(waiting),
            past: VecDeque::with_capacity(REMEMBERED + 1),
            forbidden: VecDeque::with_capacity(FORBIDDEN + 1),
            waiting: 0,
            flows,
        }
    }

    /// How many have no answer yet.
    #[inline]
    pub(crate) fn waiting(&self) -> usize {
        self.waiting
    }

    /// A slot to write a frame into. `None` where all are in use.
    #[inline]
    pub(crate) fn take(&mut self) -> Option<u32> {
        self.free.pop()
    }

    /// All of a slot's bytes.
    #[inline]
    pub(crate) fn room(&mut self, slot: u32) -> &mut [u8] {
        let at = slot as usize * self.stride;
        &mut self.bytes[at..at + self.stride]
    }

    /// A slot's frame.
    #[inline]
    pub(crate) fn frame(&self, slot: u32) -> &[u8] {
        let at = slot as usize * self.stride;
        &self.bytes[at..at + usize::from(self.slots[slot as usize].len)]
    }

    /// The UDP payload in a slot.
    #[inline]
    pub(crate) fn payload(&self, slot: u32) -> &[u8] {
        envelope::payload(self.frame(slot))
    }

    #[inline]
    pub(crate) fn slot(&self, slot: u32) -> &Slot {
        &self.slots[slot as usize]
    }

    /// Sets the frame's length, and what it is: a packet of `flow` that an answer is due to.
    #[inline]
    pub(crate) fn expect(&mut self, slot: u32, len: usize, flow: u32, now: u64) {
        let of = self.flows.get_mut(flow);
        let (number, gateway, last) = (of.sent, of.gateway, of.last);
        of.sent = of.sent.wrapping_add(1);
        of.last = slot;
        if last == NONE {
            of.first = slot;
        } else {
            self.slots[last as usize].next = slot;
        }
        let entry = &mut self.slots[slot as usize];
        let serial = entry.serial.wrapping_add(1);
        let state = State::Waiting;
        *entry = Slot {
            state,
            gateway,
            len: len as u16,
            flow,
            number,
            next: NONE,
            serial,
            sent_at: now,
        };
        self.queue.push_back((slot, serial));
        self.waiting += 1;
    }

    /// The same for one that may have no answer.
    pub(crate) fn forbid(&mut self, slot: u32, len: usize, why: u8, now: u64) {
        let entry = &mut self.slots[slot as usize];
        entry.state = State::Forbidden(why);
        entry.len = len as u16;
        entry.sent_at = now;
        self.forbidden.push_back(slot);
        if self.forbidden.len() > FORBIDDEN {
            let oldest = self.forbidden.pop_front();
            oldest.into_iter().for_each(|slot| self.release(slot));
        }
    }

    /// The waiting packet of a flow with this UDP payload, which is no longer waiting then.
    #[inline]
    pub(crate) fn answer(&mut self, flow: u32, payload: &[u8]) -> Option<u32> {
        let found = self.of_flow(flow).find(|&slot| self.payload(slot) == payload)?;
        self.settle(found, State::Answered);
        Some(found)
    }

    /// The slots of a flow's packets that wait, oldest first.
    #[inline]
    pub(crate) fn of_flow(&self, flow: u32) -> impl Iterator<Item = u32> + '_ {
        let some = |slot: u32| (slot != NONE).then_some(slot);
        let first = some(self.flows.get(flow).first);
        std::iter::successors(first, move |&slot| some(self.slots[slot as usize].next))
    }

    /// All slots whose packets wait.
    pub(crate) fn all_waiting(&self) -> impl Iterator<Item = u32> + '_ {
        let slots = self.slots.iter().zip(0..);
        slots.filter(|(slot, _)| slot.state == State::Waiting).map(|(_, number)| number)
    }

    /// What is not waited for any more: answered, overdue, and what may have no answer; youngest first.
    pub(crate) fn all_past(&self) -> impl Iterator<Item = u32> + '_ {
        self.past.iter().rev().chain(self.forbidden.iter().rev()).copied()
    }

    /// A waiting packet is answered or overdue.
    pub(crate) fn settle(&mut self, slot: u32, state: State) {
        let Slot { flow, next, .. } = self.slots[slot as usize];
        let before = self.of_flow(flow).take_while(|&other| other != slot).last();
        match before {
            None => self.flows.get_mut(flow).first = next,
            Some(before) => self.slots[before as usize].next = next,
        }
        if next == NONE {
            self.flows.get_mut(flow).last = before.unwrap_or(NONE);
        }
        self.slots[slot as usize].state = state;
        self.waiting -= 1;
        self.past.push_back(slot);
        if self.past.len() > REMEMBERED {
            let oldest = self.past.pop_front();
            oldest.into_iter().for_each(|slot| self.release(slot));
        }
    }

    /// An answer that was overdue has come.
    pub(crate) fn came_late(&mut self, slot: u32) {
        self.slots[slot as usize].state = State::Answered;
    }

    /// Gives up what was sent before this time; returns how many.
    pub(crate) fn expire(&mut self, before: u64) -> u64 {
        let mut overdue = 0;
        while let Some(&(slot, serial)) = self.queue.front() {
            let entry = &self.slots[slot as usize];
            if entry.serial == serial && entry.state == State::Waiting {
                if entry.sent_at >= before {
                    break;
                }
                self.settle(slot, State::Overdue);
                overdue += 1;
            }
            self.queue.pop_front();
        }
        overdue
    }

    fn release(&mut self, slot: u32) {
        self.slots[slot as usize].state = State::Free;
        self.free.push(slot);
    }
}
