use alloc::borrow::ToOwned;
use alloc::boxed::Box;
use alloc::vec::Vec;
use core::any::Any;
use core::fmt;

use super::{
    Action, BuildError, CloseReason, Context, Inspector, Interest, Member, Message, Packet, Scope,
    Seen, StreamChunk, Verdict, Vote,
};

/// Inspectors put together while the program runs. It is an inspector too, and judges as a tuple of the same members
/// would.
///
/// Each member keeps the states of all flows in a column of its own, so a flow of a chain is a row number: no box for
/// each flow.
///
/// ```
/// use gwlb_geneve::inspect::{Chain, Inspector, Verdict, check, packet_fn};
///
/// let mut chain = Chain::new();
/// chain.push(packet_fn("first", |_, _| Verdict::PASS))?;
/// chain.push(packet_fn("second", |_, _| Verdict::PASS))?;
/// assert_eq!(chain.len(), 2);
/// assert_eq!(check(&chain), Ok(()));
/// # Ok::<(), gwlb_geneve::inspect::BuildError>(())
/// ```
#[derive(Default)]
pub struct Chain {
    members: Vec<Box<dyn Column>>,
    /// For each row, a bit for each member that has a state in it; no bit for a row that is free.
    rows: Vec<u64>,
    free: Vec<u32>,
    /// A bit for each member that looks at packets.
    packets: u64,
    /// The same of streams and messages.
    in_order: u64,
    /// The same of those that fail closed.
    closed: u64,
    /// Of all members together.
    interest: Interest,
}

impl Chain {
    /// The most members that a chain can have.
    pub const MAX_MEMBERS: usize = 64;

    /// A chain without members, which passes everything.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a member behind the others.
    ///
    /// # Errors
    ///
    /// [`BuildError`] where it could never fire, where its name is used already, and for a 65th.
    pub fn push<I: Inspector>(&mut self, inspector: I) -> Result<(), BuildError> {
        let index = self.members.len();
        if index == Self::MAX_MEMBERS {
            return Err(BuildError::TooMany { most: Self::MAX_MEMBERS });
        }
        self.members.push(Box::new(States { inspector, rows: Vec::new() }));
        self.summarize();
        super::check(self).inspect_err(|_| {
            self.members.pop();
            self.summarize();
        })
    }

    /// Notes which members are to be asked about what.
    fn summarize(&mut self) {
        (self.packets, self.in_order, self.closed) = (0, 0, 0);
        self.interest = Interest::NONE;
        for (index, member) in self.members.iter().enumerate() {
            let interest = member.interest();
            self.interest = self.interest | interest;
            if interest.contains(Interest::PACKETS) {
                self.packets |= bit(index);
            }
            if interest.intersects(Interest::IN_ORDER) {
                self.in_order |= bit(index);
            }
            if interest.contains(Interest::FAIL_CLOSED) {
                self.closed |= bit(index);
            }
        }
    }

    /// How many members there are.
    pub fn len(&self) -> usize {
        self.members.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.members.is_empty()
    }

    /// A row that is free. It stays so until a flow has begun in it: should a member panic before, it is not lost.
    fn free_row(&mut self) -> Option<Row> {
        if self.free.is_empty() {
            self.free.push(u32::try_from(self.rows.len()).ok()?);
            self.rows.push(0);
        }
        self.free.last().copied().map(Row)
    }

    /// Asks those of `members` that have a state in a row. One that is done is closed.
    #[inline(always)]
    fn ask_members(
        &mut self,
        row: &Row,
        members: u64,
        cx: &mut Context<'_>,
        ask: impl Fn(&mut dyn Column, usize, &mut Context<'_>) -> Verdict,
    ) -> Verdict {
        let Some(active) = self.rows.get_mut(row.index()) else { return Verdict::PASS_FLOW };
        let mut left = *active & members;
        while left != 0 {
            let index = left.trailing_zeros();
            left &= left.wrapping_sub(1);
            let Some(member) = self.members.get_mut(index as usize) else { break };
            let verdict = ask(member.as_mut(), row.index(), cx);
            match (verdict.action(), verdict.scope()) {
                (Action::Pass, Scope::Packet) => {}
                (Action::Pass, Scope::Flow) => {
                    member.close(row.index(), CloseReason::Done, cx);
                    *active &= !bit(index as usize);
                    if *active == 0 {
                        return Verdict::PASS_FLOW;
                    }
                }
                _ => return verdict,
            }
        }
        Verdict::PASS
    }

    /// The members that have a state in a row.
    fn active(&mut self, row: Row) -> Option<&mut u64> {
        self.rows.get_mut(row.index())
    }
}

/// What a chain remembers of a flow: where its members remember it.
#[derive(Debug)]
pub struct Row(u32);

impl Row {
    const fn index(&self) -> usize {
        self.0 as usize
    }

    const fn copy(&self) -> Self {
        Self(self.0)
    }
}

impl Inspector for Chain {
    type Flow = Row;
    const INTEREST: Interest = Interest::ALL.and(Interest::FAIL_CLOSED);

    fn interest(&self) -> Interest {
        self.interest
    }

    fn wants(&self, row: &Row) -> Interest {
        const OF_FLOWS: Interest =
            Interest::IN_ORDER.and(Interest::GAPS).and(Interest::FAIL_CLOSED);

        let active = self.rows.get(row.index()).copied().unwrap_or_default();
        let mut left = active & (self.in_order | self.closed);
        let mut wanted = self.interest.without(OF_FLOWS);
        while left != 0 {
            let index = left.trailing_zeros();
            left &= left.wrapping_sub(1);
            if let Some(member) = self.members.get(index as usize) {
                wanted = wanted | member.wants(row.index());
            }
        }
        wanted
    }

    fn name(&self) -> &str {
        "chain"
    }

    fn open(&mut self, first: &Packet<'_>, cx: &mut Context<'_>) -> Option<Row> {
        let row = self.free_row()?;
        let mut active = 0;
        for (index, member) in self.members.iter_mut().enumerate() {
            if member.open(row.index(), first, cx) {
                active |= bit(index);
            }
        }
        if let Some(place) = self.active(row.copy()) {
            *place = active;
        }
        if active == 0 {
            return None;
        }
        self.free.pop();
        Some(row)
    }

    fn packet(&mut self, row: &mut Row, packet: &Packet<'_>, cx: &mut Context<'_>) -> Verdict {
        self.ask_members(row, self.packets, cx, |member, row, cx| member.packet(row, packet, cx))
    }

    fn stream(&mut self, row: &mut Row, chunk: &StreamChunk<'_>, cx: &mut Context<'_>) -> Verdict {
        let seen = &Seen::Stream(chunk);
        self.ask_members(row, self.in_order, cx, |member, row, cx| member.ask(row, seen, cx))
    }

    fn message(&mut self, row: &mut Row, message: &Message<'_>, cx: &mut Context<'_>) -> Verdict {
        let seen = &Seen::Message(message);
        self.ask_members(row, self.in_order, cx, |member, row, cx| member.ask(row, seen, cx))
    }

    fn close(&mut self, row: Row, why: CloseReason, cx: &mut Context<'_>) {
        let active = self.active(row.copy()).map(core::mem::take).unwrap_or_default();
        // Free before a member can panic. What others remember then goes when the row is used again.
        self.free.push(row.0);
        for (index, member) in self.members.iter_mut().enumerate() {
            if active & bit(index) != 0 {
                member.close(row.index(), why, cx);
            }
        }
    }

    /// Keeps what the members remember of flows. A member that was made otherwise than the one in its place begins with
    /// nothing, and is done with the flows that there are.
    fn recover(&mut self, fresh: Self) {
        let mut old = core::mem::replace(&mut self.members, fresh.members).into_iter();
        let mut kept = 0;
        for (index, member) in self.members.iter_mut().enumerate() {
            if old.next().is_some_and(|old| member.adopt(old.into_any())) {
                kept |= bit(index);
            }
        }
        for active in &mut self.rows {
            *active &= kept;
        }
        self.summarize();
    }

    fn members(&self, visit: &mut dyn FnMut(Member<'_>)) {
        for member in &self.members {
            member.members(visit);
        }
    }

    fn explain(
        &mut self,
        row: &mut Row,
        seen: &Seen<'_>,
        cx: &mut Context<'_>,
        votes: &mut Vec<Vote>,
    ) {
        for member in &mut self.members {
            member.explain(row.index(), seen, cx, votes);
        }
    }
}

impl fmt::Debug for Chain {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut list = f.debug_list();
        self.members(&mut |member| {
            list.entry(&member.name);
        });
        list.finish()
    }
}

/// `index` is that of a member, below 64.
const fn bit(index: usize) -> u64 {
    1 << (index % Chain::MAX_MEMBERS)
}

/// A member whose type is forgotten, with the states of all flows.
trait Column: Send {
    /// Takes over the states of another one; `false` where they are of another type.
    fn adopt(&mut self, old: Box<dyn Any>) -> bool;
    fn into_any(self: Box<Self>) -> Box<dyn Any>;
    fn open(&mut self, row: usize, first: &Packet<'_>, cx: &mut Context<'_>) -> bool;
    fn interest(&self) -> Interest;
    fn wants(&self, row: usize) -> Interest;
    fn packet(&mut self, row: usize, packet: &Packet<'_>, cx: &mut Context<'_>) -> Verdict;
    /// Asks about anything, if it is wanted.
    fn ask(&mut self, row: usize, seen: &Seen<'_>, cx: &mut Context<'_>) -> Verdict;
    fn close(&mut self, row: usize, why: CloseReason, cx: &mut Context<'_>);
    fn members(&self, visit: &mut dyn FnMut(Member<'_>));
    fn explain(&mut self, row: usize, seen: &Seen<'_>, cx: &mut Context<'_>, votes: &mut Vec<Vote>);
}

struct States<I: Inspector> {
    inspector: I,
    rows: Vec<Option<I::Flow>>,
}

impl<I: Inspector> States<I> {
    fn state(&mut self, row: usize) -> Option<&mut I::Flow> {
        self.rows.get_mut(row)?.as_mut()
    }
}

impl<I: Inspector> Column for States<I> {
    fn adopt(&mut self, old: Box<dyn Any>) -> bool {
        let Ok(old) = old.downcast::<Self>() else { return false };
        // It may be a composition that keeps states of its own.
        let fresh = core::mem::replace(&mut self.inspector, old.inspector);
        self.inspector.recover(fresh);
        self.rows = old.rows;
        true
    }

    fn into_any(self: Box<Self>) -> Box<dyn Any> {
        self
    }

    fn open(&mut self, row: usize, first: &Packet<'_>, cx: &mut Context<'_>) -> bool {
        let state = self.inspector.open(first, cx);
        let opened = state.is_some();
        if self.rows.len() <= row {
            self.rows.resize_with(row.saturating_add(1), || None);
        }
        if let Some(place) = self.rows.get_mut(row) {
            *place = state;
        }
        opened
    }

    fn interest(&self) -> Interest {
        self.inspector.interest()
    }

    fn wants(&self, row: usize) -> Interest {
        match self.rows.get(row) {
            Some(Some(state)) => self.inspector.wants(state),
            _ => Interest::NONE,
        }
    }

    fn ask(&mut self, row: usize, seen: &Seen<'_>, cx: &mut Context<'_>) -> Verdict {
        match self.rows.get_mut(row) {
            Some(Some(state)) if seen.is_for(&self.inspector, state) => {
                seen.ask(&mut self.inspector, state, cx)
            }
            Some(Some(_)) => Verdict::PASS,
            _ => Verdict::PASS_FLOW,
        }
    }

    fn packet(&mut self, row: usize, packet: &Packet<'_>, cx: &mut Context<'_>) -> Verdict {
        match self.rows.get_mut(row) {
            Some(Some(state)) => self.inspector.packet(state, packet, cx),
            _ => Verdict::PASS_FLOW,
        }
    }

    fn close(&mut self, row: usize, why: CloseReason, cx: &mut Context<'_>) {
        let state = self.rows.get_mut(row).and_then(Option::take);
        if let (Some(state), true) = (state, I::INTEREST.contains(Interest::END)) {
            self.inspector.close(state, why, cx);
        }
    }

    fn members(&self, visit: &mut dyn FnMut(Member<'_>)) {
        self.inspector.members(visit);
    }

    fn explain(
        &mut self,
        row: usize,
        seen: &Seen<'_>,
        cx: &mut Context<'_>,
        votes: &mut Vec<Vote>,
    ) {
        if self.state(row).is_none() {
            self.inspector.members(&mut |member| {
                votes.push(Vote {
                    name: member.name.to_owned(),
                    verdict: None,
                    because: Vec::new(),
                });
            });
        } else if let Some(Some(state)) = self.rows.get_mut(row) {
            self.inspector.explain(state, seen, cx, votes);
        }
    }
}
