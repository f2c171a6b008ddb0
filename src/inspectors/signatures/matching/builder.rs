use alloc::borrow::ToOwned;
use alloc::boxed::Box;
use alloc::collections::BTreeMap;
use alloc::string::{String, ToString};
use alloc::sync::Arc;
use alloc::vec::Vec;

use super::super::buffers::Kinds;
use super::super::{
    ApplicationProtocol, Buffer, Condition, Detection, FlowBit, MatchGroup, PortSet, Protocol,
    Rule, Variables,
};
use super::Program;
use super::choice::{Choice, choose};
use super::header::Ends;
use super::ready::{Looks, NumberedBits, Ready, ReadyGroup, application_of, sides_of, stage_of};
use super::set::{Beside, BySide, CLASSES, Messages, OfBuffer, Set, SignatureError};
use super::slot::{Gathered, Sought};
use crate::Side;
use crate::inspect::{AlertRule, Interest};

/// The most items about one buffer, each of which may lead to the next.
const MOST_ITEMS: usize = 256;

/// Rules on their way into a [`Set`].
#[derive(Default)]
pub(super) struct Builder {
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
    refuses_in_bodies: BySide<bool>,
    pub(super) sources: Vec<Rule>,
}

#[derive(Default)]
struct GatheredMessages {
    slots: Vec<OfBuffer<Gathered>>,
    bare: Vec<(ApplicationProtocol, u32)>,
    wanted: Kinds,
    kept: Kinds,
}

impl Builder {
    pub(super) fn new(surroundings: usize) -> Self {
        Self { ends: (0..surroundings).map(|_| Vec::new()).collect(), ..Self::default() }
    }

    pub(super) fn add(
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
        let choice = if beside.explains { None } else { choice_of(rule) };
        let condition = if beside.explains { None } else { condition_of(rule) };
        let sought = Sought { rule: index, choice, few: self.few_ports(ends), condition };
        let interest = self.place(rule, &sides, looks, &sought);
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
    fn place(&mut self, rule: &Rule, sides: &[Side], looks: Looks, sought: &Sought) -> Interest {
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
        let refuses = rule.action.is_refusal();
        let is_mixed = looks.messages && has_payload(rule);
        let has_body = rule.groups.iter().any(|group| stage_of(group.buffer) == 2);
        for side in sides.iter().copied() {
            *self.refuses_in_streams.of_mut(side) |= refuses && (looks.stream || is_mixed);
            *self.refuses_in_messages.of_mut(side) |= refuses && looks.messages;
            *self.refuses_in_bodies.of_mut(side) |= refuses && has_body;
            for (looks, slots) in [
                (looks.tcp_packets, &mut self.tcp_packets),
                (looks.udp_packets, &mut self.udp_packets),
                (looks.other_packets, &mut self.other_packets),
            ] {
                if looks {
                    slots.of_mut(side).add_for_packets(sought);
                    interest = interest | Interest::PACKETS;
                }
            }
            if looks.stream {
                self.stream.of_mut(side).add(sought);
                interest = interest | Interest::STREAM | Interest::GAPS;
            }
            if looks.ends {
                self.first.of_mut(side).push(sought.rule);
                interest = interest | Interest::PACKETS;
            }
            if looks.messages {
                interest = interest | self.place_in_messages(rule, side, sought);
            }
        }
        interest
    }

    fn place_in_messages(&mut self, rule: &Rule, side: Side, sought: &Sought) -> Interest {
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
        let group = match &sought.choice {
            Some(choice) => rule.groups.get(choice.group),
            None => groups().max_by_key(|group| stage(group)),
        };
        let Some(group) = group else {
            if let Some(application) = application_of(rule) {
                messages.bare.push((application, sought.rule));
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
            gathered.add(sought);
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

    /// The ports that rules of these ends are for in each surrounding; none where they are many in one of them.
    fn few_ports(&self, ends: u32) -> Vec<PortSet> {
        let few = |all: &Vec<Ends>| all.get(ends as usize)?.few_ports().cloned();
        self.ends.iter().map(few).collect::<Option<_>>().unwrap_or_default()
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

    pub(super) fn finish(self) -> Set {
        let narrowness = |number: &u32| {
            let ends = self.ends.first().and_then(|ends| ends.get(*number as usize));
            ends.map_or(0, Ends::narrowness)
        };
        let mut classes = self.classes;
        for class in &mut classes {
            class.sort_by_key(narrowness);
        }
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
            classes: classes.map(Into::into),
            interest: self.interest,
            has_lines: self.has_lines,
            has_mixed: self.has_mixed,
            refuses_in_streams: self.refuses_in_streams,
            refuses_in_messages: self.refuses_in_messages,
            refuses_in_bodies: self.refuses_in_bodies,
            sources: self.sources,
        }
    }
}

/// What a rule is found by. Packets that are only so large have the pattern within that.
fn choice_of(rule: &Rule) -> Option<Choice> {
    let choice = choose(&rule.groups)?;
    let most = rule.conditions.iter().filter_map(|condition| match condition {
        Condition::PayloadSize(size) => size.most(),
        _ => None,
    });
    let is_of_packets = rule.groups.iter().all(|group| group.buffer == Buffer::Payload);
    let reach = choice.reach.into_iter().chain(most.map(usize::from).filter(|_| is_of_packets));
    Some(Choice { reach: reach.min(), ..choice })
}

/// What each packet of a rule is like, if it says so.
fn condition_of(rule: &Rule) -> Option<Condition> {
    let is_of_packet = |condition: &&Condition| !matches!(condition, Condition::Application { .. });
    rule.conditions.iter().find(is_of_packet).cloned()
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
        Protocol::Application(protocol) => Some(protocol),
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
