use alloc::boxed::Box;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::mem;

use smallvec::SmallVec;

use super::super::buffers::{Body, Buffers, Lines, Portion, Share, Spoken};
use super::super::matching::{BySide, NumberedBits};
use super::super::{BitAction, FlowCondition, FlowState};
use super::judge::Place;
use crate::Side;
use crate::inspect::{Beginning, Interest, Packet};
use crate::packet::{IpProtocol, TcpFlags, Transport};

/// What is remembered of a flow.
#[derive(Debug)]
pub struct SignatureFlow {
    /// What rules may still want of it.
    pub(super) interest: Interest,
    pub(super) surrounding: usize,
    pub(super) spoken: Spoken,
    has_client: bool,
    has_server: bool,
    is_established: bool,
    /// Whether rules about its ends were asked for each side.
    is_begun: BySide<bool>,
    /// Whether it was told that rules were not asked for all of them.
    pub(super) is_told_as_open: bool,
    bits: SmallVec<[u32; 4]>,
    pub(super) sides: Option<Box<BySide<SideState>>>,
    pub(super) lines: Option<Box<Lines>>,
    /// What the flows of its endpoint may hold.
    portion: Arc<Portion>,
}

/// What is remembered of a side of a flow.
#[derive(Debug)]
pub(super) struct SideState {
    /// The last bytes of its stream that were looked at.
    pub(super) tail: Vec<u8>,
    /// The number of the next byte.
    pub(super) next: u64,
    /// Rules whose pattern was found, and behind which byte.
    pub(super) waiting: Vec<(u32, u64)>,
    /// Rules that have held for all but what is spoken, which is not known yet, and for what.
    open: Vec<(u32, Place)>,
    /// Rules that have held, and up to which byte: what they held for does not count again.
    pub(super) used: Vec<(u32, u64)>,
    /// Whether no more of its stream is looked at.
    pub(super) is_over: bool,
    pub(super) transaction: Transaction,
    pub(super) share: Share,
}

/// A message and those that belong to it, as far as they have come.
#[derive(Debug)]
pub(super) struct Transaction {
    /// What later messages need of earlier ones.
    pub(super) kept: Buffers,
    /// Rules whose pattern was found.
    pub(super) waiting: Vec<u32>,
    /// Rules that have held.
    pub(super) held: Vec<u32>,
    /// What its receiver may take the body for, as long as there is to be more of that.
    pub(super) readings: SmallVec<[Reading; 1]>,
    /// Whether the body is coded in a way that is not known, and none of it has come yet.
    pub(super) is_unreadable: bool,
    /// The number of the body's next byte, as it was sent.
    pub(super) end_of_body: u64,
    pub(super) share: Share,
}

/// A body, inflated or as it was sent, and how far rules were asked about it.
#[derive(Debug)]
pub(super) struct Reading {
    pub(super) body: Body,
    /// How many bytes of it were looked at.
    pub(super) scanned: usize,
    /// How many were, at least for the rules that decide what becomes of the flow.
    pub(super) answered: usize,
}

/// The most bits of a flow, and rules that wait for more of it.
pub(super) const MOST: usize = 64;

impl SignatureFlow {
    pub(super) fn new(
        interest: Interest,
        surrounding: usize,
        beginning: Beginning,
        portion: Arc<Portion>,
    ) -> Self {
        let is_adopted = beginning != Beginning::Seen;
        Self {
            interest,
            surrounding,
            spoken: Spoken::Unclear,
            has_client: is_adopted,
            has_server: is_adopted,
            is_established: is_adopted,
            is_begun: BySide::default(),
            is_told_as_open: false,
            bits: SmallVec::new(),
            sides: None,
            lines: None,
            portion,
        }
    }

    /// Whether no rule can hold any more.
    pub(super) fn is_done(&self) -> bool {
        !is_some(self.interest)
    }

    /// Nothing of this is looked at any more.
    pub(super) fn lose(&mut self, interest: Interest) {
        self.interest = self.interest.without(interest);
    }

    /// Notes who has sent a packet.
    pub(super) fn see(&mut self, packet: &Packet<'_>) {
        let is_client = packet.is_from_opener();
        if is_client {
            // A handshake is over with the client's answer to the server.
            self.is_established |= self.has_server && is_no_handshake(packet);
            self.has_client = true;
        } else {
            self.has_server = true;
            if packet.flow().protocol() != IpProtocol::TCP {
                self.is_established |= self.has_client;
            }
        }
    }

    /// Notes that a side has sent bytes that are in order, or a message.
    pub(super) fn hear(&mut self, side: Side, protocol: IpProtocol) {
        match side {
            Side::Client => self.has_client = true,
            Side::Server => self.has_server = true,
        }
        self.is_established |= protocol == IpProtocol::TCP || self.has_client && self.has_server;
    }

    /// Whether a side has sent nothing before.
    pub(super) fn begins(&mut self, side: Side) -> bool {
        !mem::replace(self.is_begun.of_mut(side), true)
    }

    pub(super) fn is_like(&self, condition: &FlowCondition, packet: &Packet<'_>) -> bool {
        let state = match condition.state {
            None | Some(FlowState::Stateless) => true,
            Some(FlowState::Established) => self.is_established,
            Some(FlowState::NotEstablished) => !self.is_established,
        };
        state && condition.fragments.is_none_or(|wanted| packet.ip().is_fragment() == wanted)
    }

    /// Whether what is asked of bits is so.
    pub(super) fn has_bits(&self, asked: &[NumberedBits]) -> bool {
        asked.iter().all(|asked| {
            let is_any = || asked.bits.iter().any(|bit| self.bits.contains(bit));
            match asked.action {
                BitAction::IsSet => is_any(),
                BitAction::IsNotSet => !is_any(),
                BitAction::Set | BitAction::Unset | BitAction::Toggle => true,
            }
        })
    }

    /// Does to bits what is to be done; `false` where there are too many.
    pub(super) fn change_bits(&mut self, changes: &[NumberedBits]) -> bool {
        let mut is_done = true;
        for change in changes {
            for bit in &change.bits {
                let place = self.bits.iter().position(|known| known == bit);
                match (change.action, place) {
                    (BitAction::Set | BitAction::Toggle, None) if self.bits.len() < MOST => {
                        self.bits.push(*bit);
                    }
                    (BitAction::Set | BitAction::Toggle, None) => is_done = false,
                    (BitAction::Unset | BitAction::Toggle, Some(place)) => {
                        self.bits.swap_remove(place);
                    }
                    _ => {}
                }
            }
        }
        is_done
    }

    /// What is remembered of a side.
    pub(super) fn side(&mut self, side: Side) -> &mut SideState {
        let Self { sides, portion, .. } = self;
        let fresh = || Box::new(BySide::new(SideState::new(portion), SideState::new(portion)));
        sides.get_or_insert_with(fresh).of_mut(side)
    }

    /// The rules that were [left open](SideState::leave_open), and for which side.
    pub(super) fn take_open(&mut self) -> Vec<(u32, Side, Place)> {
        let Some(sides) = &mut self.sides else { return Vec::new() };
        let mut open = Vec::new();
        for side in Side::ALL {
            let of_side = mem::take(&mut sides.of_mut(side).open);
            open.extend(of_side.into_iter().map(|(rule, place)| (rule, side, place)));
        }
        open
    }

    /// Nothing yet of what the flows of its endpoint may hold.
    pub(super) fn share(&self) -> Share {
        self.portion.share()
    }
}

impl SideState {
    fn new(portion: &Arc<Portion>) -> Self {
        Self {
            tail: Vec::new(),
            next: 0,
            waiting: Vec::new(),
            open: Vec::new(),
            used: Vec::new(),
            is_over: false,
            transaction: Transaction::new(portion),
            share: portion.share(),
        }
    }

    /// No byte before those that come is needed any more.
    pub(super) fn forget(&mut self) {
        self.tail = Vec::new();
        self.share.give_all_but(0);
    }

    /// Up to which byte a rule has held.
    pub(super) fn used_by(&self, rule: u32) -> u64 {
        self.used.iter().find(|(known, _)| *known == rule).map_or(0, |(_, end)| *end)
    }

    /// Notes that a rule has held up to a byte.
    pub(super) fn use_up(&mut self, rule: u32, end: u64) {
        self.waiting.retain(|(known, _)| *known != rule);
        match self.used.iter_mut().find(|(known, _)| *known == rule) {
            Some((_, known)) => *known = end,
            None => {
                if self.used.len() >= MOST {
                    self.used.remove(0);
                }
                self.used.push((rule, end));
            }
        }
    }

    /// Notes that a rule has held for all but what is spoken. Where too many have, the one that counts least is given up, and given.
    pub(super) fn leave_open(&mut self, rule: u32, place: Place) -> Option<u32> {
        if self.open.iter().any(|(known, _)| *known == rule) {
            return None;
        }
        queue(&mut self.open, (rule, place), |(rule, _)| *rule)
    }

    /// Notes where a rule's pattern was found. Where too many wait, the one that counts least does not any more, which is given.
    pub(super) fn wait(&mut self, rule: u32, end: u64) -> Option<u32> {
        if let Some((_, known)) = self.waiting.iter_mut().find(|(known, _)| *known == rule) {
            *known = end.max(*known);
            return None;
        }
        queue(&mut self.waiting, (rule, end), |(rule, _)| *rule)
    }
}

impl Reading {
    /// One that nothing was asked about yet.
    pub(super) const fn of(body: Body) -> Self {
        Self { body, scanned: 0, answered: 0 }
    }
}

impl Transaction {
    fn new(portion: &Arc<Portion>) -> Self {
        Self {
            kept: Buffers::default(),
            waiting: Vec::new(),
            held: Vec::new(),
            readings: SmallVec::new(),
            is_unreadable: false,
            end_of_body: 0,
            share: portion.share(),
        }
    }

    /// Another one begins.
    pub(super) fn begin(&mut self) {
        self.end();
        self.waiting.clear();
        self.held.clear();
    }

    /// Nothing more belongs to it.
    pub(super) fn end(&mut self) {
        self.kept = Buffers::default();
        self.share.give_all_but(0);
        self.waiting.clear();
        self.readings.clear();
        (self.is_unreadable, self.end_of_body) = (false, 0);
    }

    /// Notes that a rule may hold later. Where too many wait, the one that counts least does not any more, which is given.
    pub(super) fn wait(&mut self, rule: u32) -> Option<u32> {
        if self.waiting.contains(&rule) {
            return None;
        }
        queue(&mut self.waiting, rule, |rule| *rule)
    }
}

/// Adds a rule to those that wait. Where there are [`MOST`], the one that counts least makes room, which is given: of rules, those that
/// count more have lower numbers.
fn queue<T>(waiting: &mut Vec<T>, new: T, number: impl Fn(&T) -> u32) -> Option<u32> {
    if waiting.len() < MOST {
        waiting.push(new);
        return None;
    }
    let least = waiting.iter_mut().max_by_key(|it| number(it))?;
    if number(least) < number(&new) {
        return Some(number(&new));
    }
    Some(number(&mem::replace(least, new)))
}

/// Whether a rule may want anything of a flow.
pub(super) fn is_some(interest: Interest) -> bool {
    interest.intersects(Interest::PACKETS | Interest::STREAM | Interest::MESSAGES)
}

fn is_no_handshake(packet: &Packet<'_>) -> bool {
    match packet.transport() {
        Transport::Tcp(segment) => {
            let flags = segment.flags();
            flags.contains(TcpFlags::ACK) && !flags.intersects(TcpFlags::SYN | TcpFlags::RST)
        }
        _ => true,
    }
}
