use alloc::borrow::ToOwned;
use alloc::boxed::Box;
use alloc::collections::BTreeMap;
use alloc::string::{String, ToString};
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::mem;

use super::super::buffers::Kinds;
use super::super::{
    AlertFilters, ApplicationProtocol, Buffer, Classes, Condition, Detection, FlowBit, MatchGroup,
    Rule, RuleAction, Transform, VariableError, Variables,
};
use super::Program;
use super::choice::{Choice, choose};
use super::header::Ends;
use super::prefilter::Prefilter;
use super::ready::{
    Looks, NumberedBits, Ready, ReadyGroup, application_of, needs_whole, sides_of, stage_of,
};
use crate::Side;
use crate::inspect::{AlertRule, Interest};

/// All rules made ready, by where they look.
#[derive(Debug)]
pub(in super::super) struct Set {
    /// In the order in which they count.
    pub(in super::super) rules: Box<[Ready]>,
    /// For each surrounding, the ends by their numbers.
    ends: Vec<Box<[Ends]>>,
    pub(in super::super) tcp_packets: BySide<Slot>,
    pub(in super::super) udp_packets: BySide<Slot>,
    pub(in super::super) other_packets: BySide<Slot>,
    pub(in super::super) stream: BySide<Slot>,
    pub(in super::super) messages: BySide<Messages>,
    pub(in super::super) first: BySide<Box<[u32]>>,
    /// The ends of rules for each of the kinds of interest.
    classes: [Box<[u32]>; CLASSES.len()],
    pub(in super::super) interest: Interest,
    /// Whether rules look at SSH, SMTP or FTP.
    pub(in super::super) has_lines: bool,
    /// Whether rules look at messages and at the stream that they come in.
    pub(in super::super) has_mixed: bool,
    /// Whether rules that refuse look at streams, and at messages.
    pub(in super::super) refuses_in_streams: BySide<bool>,
    pub(in super::super) refuses_in_messages: BySide<bool>,
    /// The rules as they were given, where they are to be explained.
    pub(in super::super) sources: Vec<Rule>,
}

/// The same for either side.
#[derive(Debug, Default)]
pub(in super::super) struct BySide<T> {
    client: T,
    server: T,
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

/// The rules that look at one kind of bytes.
#[derive(Debug, Default)]
pub(in super::super) struct Slot {
    pub(in super::super) prefilter: Option<Prefilter>,
    /// Rules without a pattern to look for.
    pub(in super::super) always: Box<[u32]>,
}

impl Slot {
    pub(in super::super) fn is_empty(&self) -> bool {
        self.prefilter.is_none() && self.always.is_empty()
    }
}

/// What looks at a buffer after transforms.
type OfBuffer<T> = (Buffer, Box<[Transform]>, T);

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

/// The most items about one buffer, each of which may lead to the next.
const MOST_ITEMS: usize = 256;

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
        let prefilters = slots.chain(of_messages).filter_map(|slot| slot.prefilter.as_ref());
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

#[derive(Default)]
struct Builder {
    rules: Vec<Ready>,
    ends: Vec<Vec<Ends>>,
    known_ends: BTreeMap<String, u32>,
    flow_bits: BTreeMap<String, u32>,
    cross_bits: BTreeMap<String, u32>,
    tcp_packets: BySide<Gathered>,
    udp_packets: BySide<Gathered>,
    other_packets: BySide<Gathered>,
    stream: BySide<Gathered>,
    messages: BySide<GatheredMessages>,
    first: BySide<Vec<u32>>,
    classes: [Vec<u32>; CLASSES.len()],
    interest: Interest,
    has_lines: bool,
    has_mixed: bool,
    refuses_in_streams: BySide<bool>,
    refuses_in_messages: BySide<bool>,
    sources: Vec<Rule>,
}

#[derive(Default)]
struct Gathered {
    patterns: Vec<(Vec<u8>, u32)>,
    always: Vec<u32>,
}

#[derive(Default)]
struct GatheredMessages {
    slots: Vec<OfBuffer<Gathered>>,
    bare: Vec<(ApplicationProtocol, u32)>,
    wanted: Kinds,
    kept: Kinds,
}

impl Gathered {
    fn add(&mut self, rule: u32, pattern: Option<Vec<u8>>) {
        match pattern {
            Some(pattern) => self.patterns.push((pattern, rule)),
            None => self.always.push(rule),
        }
    }

    fn finish(self) -> Slot {
        let prefilter = Prefilter::new(&self.patterns);
        let mut always = self.always;
        if prefilter.is_none() {
            always.extend(self.patterns.into_iter().map(|(_, rule)| rule));
        }
        always.sort_unstable();
        always.dedup();
        Slot { prefilter, always: always.into() }
    }
}

impl Builder {
    fn new(surroundings: usize) -> Self {
        Self { ends: (0..surroundings).map(|_| Vec::new()).collect(), ..Self::default() }
    }

    fn add(
        &mut self,
        rule: &Rule,
        surroundings: &[&Variables],
        beside: Beside<'_>,
    ) -> Result<(), SignatureError> {
        check(rule)?;
        let sides = sides_of(rule);
        let ends = self.ends_of(rule, surroundings)?;
        let index = u32::try_from(self.rules.len()).unwrap_or(u32::MAX);
        let looks = Looks::of(rule);
        let choice = if beside.explains { None } else { choose(&rule.groups) };
        let interest = self.place(rule, index, &sides, looks, choice);
        for (class, ends_of_class) in CLASSES.into_iter().zip(&mut self.classes) {
            if interest.intersects(class) && !ends_of_class.contains(&ends) {
                ends_of_class.push(ends);
            }
        }
        self.interest = self.interest | interest;
        let ready = self.ready(rule, ends, looks, beside);
        self.rules.push(ready);
        Ok(())
    }

    /// Puts a rule where it looks, and says what it wants of flows.
    fn place(
        &mut self,
        rule: &Rule,
        index: u32,
        sides: &[Side],
        looks: Looks,
        choice: Option<Choice>,
    ) -> Interest {
        let application = application_of(rule);
        let mut interest = match application {
            Some(ApplicationProtocol::Http) => Interest::HTTP,
            Some(ApplicationProtocol::Tls) => Interest::TLS,
            Some(ApplicationProtocol::Dns) => Interest::DNS,
            Some(_) => {
                self.has_lines = true;
                Interest::STREAM.and(Interest::GAPS).and(Interest::MESSAGES)
            }
            None => Interest::NONE,
        };
        if rule.conditions.iter().any(|it| matches!(it, Condition::Application { .. })) {
            self.has_lines = true;
            interest = interest | Interest::MESSAGES | Interest::STREAM | Interest::GAPS;
        }
        let is_file = rule.groups.iter().any(|group| group.buffer == Buffer::FileData);
        if is_file {
            interest = interest | Interest::HTTP;
        }
        let pattern = choice.as_ref().map(|choice| choice.bytes.clone());
        let refuses = rule.action.is_refusal();
        let is_mixed = looks.messages && has_payload(rule);
        for side in sides.iter().copied() {
            *self.refuses_in_streams.of_mut(side) |= refuses && (looks.stream || is_mixed);
            *self.refuses_in_messages.of_mut(side) |= refuses && looks.messages;
            for (looks, slots) in [
                (looks.tcp_packets, &mut self.tcp_packets),
                (looks.udp_packets, &mut self.udp_packets),
                (looks.other_packets, &mut self.other_packets),
            ] {
                if looks {
                    slots.of_mut(side).add(index, pattern.clone());
                    interest = interest | Interest::PACKETS;
                }
            }
            if looks.stream {
                self.stream.of_mut(side).add(index, pattern.clone());
                interest = interest | Interest::STREAM | Interest::GAPS;
            }
            if looks.ends {
                self.first.of_mut(side).push(index);
                interest = interest | Interest::PACKETS;
            }
            if looks.messages {
                interest = interest | self.place_in_messages(rule, index, side, choice.as_ref());
            }
        }
        interest
    }

    fn place_in_messages(
        &mut self,
        rule: &Rule,
        index: u32,
        side: Side,
        choice: Option<&Choice>,
    ) -> Interest {
        let messages = self.messages.of_mut(side);
        let groups = || rule.groups.iter().filter(|group| group.buffer != Buffer::Payload);
        let kinds = Kinds::of(groups().map(|group| group.buffer));
        messages.wanted = messages.wanted.union(kinds);
        let stage = |group: &MatchGroup| stage_of(group.buffer);
        let stages = (groups().map(stage).min(), groups().map(stage).max());
        if stages.0 != stages.1 {
            messages.kept = messages.kept.union(kinds);
        }
        // Without a pattern it is asked once all that it looks at is there.
        let group = match choice {
            Some(choice) => rule.groups.get(choice.group),
            None => groups().max_by_key(|group| stage(group)),
        };
        let Some(group) = group else {
            if let Some(application) = application_of(rule) {
                messages.bare.push((application, index));
            }
            return Interest::NONE;
        };
        let slots = &mut messages.slots;
        let is_same = |(buffer, transforms, _): &OfBuffer<Gathered>| {
            *buffer == group.buffer && **transforms == *group.transforms
        };
        let place = slots.iter().position(is_same).unwrap_or_else(|| {
            let transforms = group.transforms.clone().into();
            slots.push((group.buffer, transforms, Gathered::default()));
            slots.len().saturating_sub(1)
        });
        if let Some((_, _, gathered)) = slots.get_mut(place) {
            gathered.add(index, choice.map(|choice| choice.bytes.clone()));
        }
        match has_payload(rule) {
            true => {
                self.has_mixed = true;
                Interest::STREAM.and(Interest::GAPS)
            }
            false => Interest::NONE,
        }
    }

    fn ends_of(&mut self, rule: &Rule, all: &[&Variables]) -> Result<u32, SignatureError> {
        let key = alloc::format!("{:?}", rule.header);
        if let Some(known) = self.known_ends.get(&key) {
            return Ok(*known);
        }
        let resolved = all.iter().map(|variables| Ends::new(&rule.header, variables));
        let resolved = resolved.collect::<Result<Vec<_>, _>>()?;
        let number = self.ends.first().map_or(0, Vec::len);
        let number = u32::try_from(number).unwrap_or(u32::MAX);
        for (ends, resolved) in self.ends.iter_mut().zip(resolved) {
            ends.push(resolved);
        }
        self.known_ends.insert(key, number);
        Ok(number)
    }

    fn ready(&mut self, rule: &Rule, ends: u32, looks: Looks, beside: Beside<'_>) -> Ready {
        let numbered = |bit: &FlowBit, known: &mut BTreeMap<String, u32>| NumberedBits {
            action: bit.action,
            bits: bit.names.iter().map(|name| number_of(name, known)).collect(),
        };
        let flow_bits =
            rule.flow_bits.iter().map(|bit| numbered(bit, &mut self.flow_bits)).collect();
        let cross = rule.cross_bits.iter();
        let cross_bits =
            cross.map(|bit| (number_of(&bit.name, &mut self.cross_bits), bit.clone())).collect();
        let groups: Box<[ReadyGroup]> = rule
            .groups
            .iter()
            .map(|group| ReadyGroup {
                buffer: group.buffer,
                transforms: group.transforms.clone().into(),
                program: Program::new(&group.items),
            })
            .collect();
        let in_messages = groups.iter().filter(|group| group.buffer != Buffer::Payload);
        let first = in_messages.clone().map(|group| stage_of(group.buffer)).min();
        let is_lasting = looks.messages
            && in_messages
                .clone()
                .any(|group| stage_of(group.buffer) == 2 || Some(stage_of(group.buffer)) != first);
        let class = rule.class.as_deref().unwrap_or_default();
        let meaning = beside.classes.get(class);
        let priority = rule.priority.or(meaning.map(|(_, priority)| priority));
        Ready {
            id: rule.id,
            action: rule.action,
            ends,
            flow: rule.flow,
            application: application_of(rule),
            conditions: rule.conditions.clone().into(),
            flow_bits,
            cross_bits,
            groups,
            numbers: rule.variables.len(),
            is_about_ends: looks.ends,
            is_lasting,
            threshold: beside.filters.threshold(rule.id).or(rule.threshold),
            may_be_suppressed: !beside.filters.leaves_alone(rule.id),
            detection_filter: rule.detection_filter,
            is_silent: rule.is_silent,
            told: Arc::new(AlertRule {
                generator: rule.id.gid,
                number: rule.id.sid,
                revision: rule.id.rev,
                signature: rule.message.clone(),
                category: meaning.map_or(class, |(meaning, _)| meaning).to_owned(),
                severity: priority.unwrap_or(3),
                metadata: rule.metadata.clone(),
            }),
        }
    }

    fn finish(mut self) -> Set {
        let slots = |gathered: BySide<Gathered>| BySide {
            client: gathered.client.finish(),
            server: gathered.server.finish(),
        };
        let messages = |gathered: GatheredMessages| Messages {
            slots: gathered
                .slots
                .into_iter()
                .map(|(buffer, transforms, slot)| (buffer, transforms, slot.finish()))
                .collect(),
            bare: gathered.bare.into(),
            wanted: gathered.wanted,
            kept: gathered.kept,
        };
        Set {
            rules: self.rules.into(),
            ends: self.ends.into_iter().map(Into::into).collect(),
            tcp_packets: slots(self.tcp_packets),
            udp_packets: slots(self.udp_packets),
            other_packets: slots(self.other_packets),
            stream: slots(self.stream),
            messages: BySide {
                client: messages(self.messages.client),
                server: messages(self.messages.server),
            },
            first: BySide { client: self.first.client.into(), server: self.first.server.into() },
            classes: mem::take(&mut self.classes).map(Into::into),
            interest: self.interest,
            has_lines: self.has_lines,
            has_mixed: self.has_mixed,
            refuses_in_streams: self.refuses_in_streams,
            refuses_in_messages: self.refuses_in_messages,
            sources: mem::take(&mut self.sources),
        }
    }
}

/// Whether a rule looks at the payload, whatever else it looks at.
fn has_payload(rule: &Rule) -> bool {
    rule.groups.iter().any(|group| group.buffer == Buffer::Payload)
}

fn number_of(name: &str, known: &mut BTreeMap<String, u32>) -> u32 {
    let next = u32::try_from(known.len()).unwrap_or(u32::MAX);
    *known.entry(name.to_string()).or_insert(next)
}

fn check(rule: &Rule) -> Result<(), SignatureError> {
    if sides_of(rule).is_empty() {
        return Err(SignatureError::TwoSides);
    }
    let of_header = match rule.header.protocol {
        super::super::Protocol::Application(protocol) => Some(protocol),
        _ => None,
    };
    let of_groups = rule.groups.iter().filter_map(|group| group.buffer.protocol());
    let mut all = of_header.into_iter().chain(of_groups);
    if let Some(one) = all.next() {
        if let Some(other) = all.find(|other| *other != one) {
            return Err(SignatureError::TwoProtocols { one: name_of(one), other: name_of(other) });
        }
    }
    for group in &rule.groups {
        let found = count(&group.items);
        if found > MOST_ITEMS {
            return Err(SignatureError::TooManyItems { most: MOST_ITEMS, found });
        }
    }
    Ok(())
}

fn name_of(protocol: ApplicationProtocol) -> &'static str {
    let names = ApplicationProtocol::NAMES.iter();
    names.clone().find(|(_, it)| *it == protocol).map_or("?", |(name, _)| name)
}

fn count(items: &[Detection]) -> usize {
    let inner = |item: &Detection| match item {
        Detection::Base64Decode(base64) => count(&base64.items),
        _ => 0,
    };
    items.iter().map(inner).fold(items.len(), usize::saturating_add)
}

/// Whether what is made of a growing buffer has to wait for its end; see [`needs_whole`].
pub(in super::super) fn has_to_wait(group: &ReadyGroup, is_whole: bool) -> bool {
    !is_whole && needs_whole(group)
}
