use alloc::boxed::Box;
use alloc::collections::BTreeMap;
use alloc::string::String;
use alloc::vec::Vec;

use super::super::buffers::Kinds;
use super::super::{
    AlertFilters, ApplicationProtocol, Buffer, Classes, FlowBit, Rule, RuleAction, Transform,
    VariableError, Variables,
};
use super::builder::Builder;
use super::header::Ends;
use super::prefilter::Prefilter;
use super::ready::{Ready, ReadyGroup, needs_whole};
use super::slot::Slot;
use crate::Side;
use crate::inspect::Interest;

/// All rules made ready, by where they look.
#[derive(Debug)]
pub(in super::super) struct Set {
    /// In the order in which they count.
    pub(in super::super) rules: Box<[Ready]>,
    /// For each surrounding, the ends by their numbers.
    pub(super) ends: Vec<Box<[Ends]>>,
    pub(in super::super) tcp_packets: BySide<Slot>,
    pub(in super::super) udp_packets: BySide<Slot>,
    pub(in super::super) other_packets: BySide<Slot>,
    pub(in super::super) stream: BySide<Slot>,
    pub(in super::super) messages: BySide<Messages>,
    pub(in super::super) first: BySide<Box<[u32]>>,
    /// The ends of rules for each of the kinds of interest, those first that most flows have.
    pub(super) classes: [Box<[u32]>; CLASSES.len()],
    pub(in super::super) interest: Interest,
    /// Whether rules look at SSH, SMTP or FTP.
    pub(in super::super) has_lines: bool,
    /// Whether rules look at messages and at the stream that they come in.
    pub(in super::super) has_mixed: bool,
    /// Whether rules that refuse look at streams, at messages, and at bodies of these.
    pub(in super::super) refuses_in_streams: BySide<bool>,
    pub(in super::super) refuses_in_messages: BySide<bool>,
    pub(in super::super) refuses_in_bodies: BySide<bool>,
    /// The rules as they were given, where they are to be explained.
    pub(in super::super) sources: Vec<Rule>,
}

/// The same for either side.
#[derive(Debug, Default)]
pub(in super::super) struct BySide<T> {
    pub(super) client: T,
    pub(super) server: T,
}

impl<T> BySide<T> {
    pub(in super::super) const fn new(client: T, server: T) -> Self {
        Self { client, server }
    }

    #[inline]
    pub(in super::super) const fn of(&self, side: Side) -> &T {
        match side {
            Side::Client => &self.client,
            Side::Server => &self.server,
        }
    }

    #[inline]
    pub(in super::super) const fn of_mut(&mut self, side: Side) -> &mut T {
        match side {
            Side::Client => &mut self.client,
            Side::Server => &mut self.server,
        }
    }
}

/// What looks at a buffer after transforms.
pub(super) type OfBuffer<T> = (Buffer, Box<[Transform]>, T);

/// The rules that look at the messages of a side.
#[derive(Debug, Default)]
pub(in super::super) struct Messages {
    pub(in super::super) slots: Box<[OfBuffer<Slot>]>,
    /// Rules about messages of a protocol, whatever is in them.
    pub(in super::super) bare: Box<[(ApplicationProtocol, u32)]>,
    /// What is looked at.
    pub(in super::super) wanted: Kinds,
    /// What has to be kept until a later message of the same transaction.
    pub(in super::super) kept: Kinds,
}

/// Why a rule cannot be made ready.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SignatureError {
    /// Addresses or ports make no sense.
    #[error("{0}")]
    Variable(#[from] VariableError),
    /// It asks of one side what the other one says.
    #[error(
        "expected bytes of one side, found such of the client and of the server: it would never match"
    )]
    TwoSides,
    /// It asks of one protocol what another one says.
    #[error(
        "expected bytes of one protocol, found such of {one} and of {other}: it would never match"
    )]
    TwoProtocols {
        /// One of them.
        one: &'static str,
        /// The other one.
        other: &'static str,
    },
    /// It has more items than are followed up.
    #[error("expected at most {most} items about one buffer, found {found}")]
    TooManyItems {
        /// How many it may have.
        most: usize,
        /// How many it has.
        found: usize,
    },
    /// There is another rule of the same number.
    #[error("expected a gid and sid of its own, found them used before")]
    Doubled,
}

/// What is said of rules beside them.
#[derive(Clone, Copy)]
pub(in super::super) struct Beside<'a> {
    pub(in super::super) classes: &'a Classes,
    pub(in super::super) filters: &'a AlertFilters,
    /// Whether rules are asked about all that they are for, whatever is in it.
    pub(in super::super) explains: bool,
}

impl Set {
    /// Of rules, for surroundings of which the first is that of all endpoints that have none of their own. Gives the rules that do not
    /// work, by their place in `rules`.
    pub(in super::super) fn new(
        rules: &[Rule],
        surroundings: &[&Variables],
        beside: Beside<'_>,
    ) -> (Self, Vec<(usize, SignatureError)>) {
        let mut builder = Builder::new(surroundings.len());
        let mut problems = Vec::new();
        let mut order: Vec<(usize, &Rule)> = rules.iter().enumerate().collect();
        let names: Vec<&str> = set_bits(rules);
        order.sort_by_key(|(place, rule)| {
            (rank(rule.action), bits_rank(rule, &names), rule.priority.unwrap_or(3), *place)
        });
        let mut known = BTreeMap::new();
        let mut doubled = Vec::new();
        for (place, rule) in rules.iter().enumerate() {
            if known.insert((rule.id.gid, rule.id.sid), place).is_some() {
                doubled.push(place);
            }
        }
        for (place, rule) in order {
            let added = match doubled.contains(&place) {
                true => Err(SignatureError::Doubled),
                false => builder.add(rule, surroundings, beside),
            };
            match added {
                Ok(()) if beside.explains => builder.sources.push(rule.clone()),
                Ok(()) => {}
                Err(error) => problems.push((place, error)),
            }
        }
        problems.sort_by_key(|(place, _)| *place);
        (builder.finish(), problems)
    }

    /// The ends of a rule where variables are these.
    #[inline]
    pub(in super::super) fn ends(&self, surrounding: usize, ends: u32) -> Option<&Ends> {
        self.ends.get(surrounding)?.get(ends as usize)
    }

    /// What rules may want of a flow between these ends, as far as they tell.
    pub(in super::super) fn interest_in(
        &self,
        surrounding: usize,
        tuple: &crate::packet::FiveTuple,
    ) -> Interest {
        let mut interest = Interest::NONE;
        for (class, ends) in CLASSES.into_iter().zip(&self.classes) {
            let is_any = ends.iter().any(|ends| {
                self.ends(surrounding, *ends).is_some_and(|ends| ends.are_of_flow(tuple))
            });
            if is_any {
                interest = interest | class;
            }
        }
        interest
    }

    /// Bytes of memory of what patterns are looked for with.
    pub(in super::super) fn prefilter_memory(&self) -> usize {
        let packets = [&self.tcp_packets, &self.udp_packets, &self.other_packets, &self.stream];
        let slots = packets.into_iter().flat_map(|slots| [&slots.client, &slots.server]);
        let messages = [&self.messages.client, &self.messages.server];
        let of_messages =
            messages.into_iter().flat_map(|it| it.slots.iter().map(|(_, _, slot)| slot));
        let prefilters = slots.chain(of_messages).flat_map(Slot::prefilters);
        prefilters.map(Prefilter::memory).fold(0, usize::saturating_add)
    }
}

/// The kinds of interest that rules have.
pub(in super::super) const CLASSES: [Interest; 5] =
    [Interest::PACKETS, Interest::STREAM, Interest::HTTP, Interest::TLS, Interest::DNS];

/// Passes before drops, drops before rejects, rejects before alerts.
const fn rank(action: RuleAction) -> u8 {
    match action {
        RuleAction::Pass => 0,
        RuleAction::Drop => 1,
        RuleAction::Reject | RuleAction::RejectDestination | RuleAction::RejectBoth => 2,
        RuleAction::Alert => 3,
    }
}

/// Bits that some rule sets.
fn set_bits(rules: &[Rule]) -> Vec<&str> {
    let bits = rules.iter().flat_map(|rule| &rule.flow_bits);
    let changed = bits.filter(|bit| !bit.action.is_question());
    let mut names: Vec<&str> = changed.flat_map(|bit| &bit.names).map(String::as_str).collect();
    names.sort_unstable();
    names.dedup();
    names
}

/// Who sets a bit comes before who asks for it, so that both can hold for one packet.
fn bits_rank(rule: &Rule, set: &[&str]) -> u8 {
    let is_set =
        |bit: &&FlowBit| bit.names.iter().any(|name| set.binary_search(&name.as_str()).is_ok());
    let asks = rule.flow_bits.iter().filter(|bit| bit.action.is_question()).any(|bit| is_set(&bit));
    let changes = rule.flow_bits.iter().any(|bit| !bit.action.is_question());
    match (asks, changes) {
        (false, true) => 0,
        (true, true) => 1,
        (true, false) => 2,
        (false, false) => 3,
    }
}

/// Whether what is made of a growing buffer has to wait for its end; see [`needs_whole`].
pub(in super::super) fn has_to_wait(group: &ReadyGroup, is_whole: bool) -> bool {
    !is_whole && needs_whole(group)
}
