use alloc::borrow::Cow;
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;
use core::mem;

use super::super::buffers::{Buffers, Instance, Spoken, transform};
use super::super::matching::{Budget, Ready, ReadyGroup, View, has_to_wait, holds, is_spoken_as};
use super::super::{Buffer, Condition, RuleAction, RuleId, Signatures};
use super::SignatureInspector;
use super::explain::{Tracer, trace};
use super::flow::SignatureFlow;
use crate::Side;
use crate::inspect::{Alert, Context, Packet, Severity, Tells, Verdict};
use crate::packet::FiveTuple;

/// What rules are asked about.
#[derive(Clone, Copy)]
pub(super) struct Event<'a> {
    pub(super) packet: &'a Packet<'a>,
    /// Who sent it.
    pub(super) side: Side,
    /// The ends, as it goes.
    pub(super) tuple: FiveTuple,
    /// The payload of the packet, or the stream around it.
    pub(super) payload: Option<View<'a>>,
    pub(super) buffers: Option<&'a Buffers>,
    /// The body as far as it has come.
    pub(super) body: Option<Instance<'a>>,
    pub(super) place: Place,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Place {
    Packet,
    Stream,
    Message,
}

impl Event<'_> {
    /// The ends of a packet of this side.
    pub(super) fn tuple_of(packet: &Packet<'_>, side: Side) -> FiveTuple {
        match side {
            Side::Client => packet.opener_tuple(),
            Side::Server => packet.opener_tuple().reversed(),
        }
    }
}

impl SignatureInspector {
    /// Asks all candidates, in the order in which they count. Which have held and which have not is in the scratch then.
    pub(super) fn judge(
        &mut self,
        flow: &mut SignatureFlow,
        event: &Event<'_>,
        cx: &mut Context<'_>,
    ) -> Verdict {
        let signatures = &*self.signatures;
        let scratch = &mut self.scratch;
        scratch.candidates.sort_unstable();
        let mut left = scratch.candidates.len();
        let mut is_short = false;
        let mut verdict = Verdict::PASS;
        for index in scratch.candidates.iter().copied() {
            let among = left;
            left = left.saturating_sub(1);
            let Some(rule) = signatures.set().rules.get(index as usize) else { continue };
            if event.place == Place::Stream && scratch.told.contains(&index) {
                // What it held for in the packet it need not hold for again.
                scratch.held.push(index);
                continue;
            }
            signatures.note_asked(index);
            if let Some(Tracer(tell)) = &mut self.tracer {
                if let Some(source) = signatures.set().sources.get(index as usize) {
                    tell(&trace(signatures, flow, event, (rule, source, index), cx.now()));
                }
            }
            let case = Case { signatures, flow: &*flow, event, rule, index };
            let answer = case.ask(&mut scratch.taken, (&mut scratch.budget, among), cx);
            match answer {
                Answer::Never => continue,
                Answer::No => {
                    scratch.failed.push(index);
                    continue;
                }
                Answer::Unanswered => {
                    is_short = true;
                    scratch.is_unanswered |= rule.refuses();
                    scratch.failed.push(index);
                    continue;
                }
                // What comes later does not change what these bytes were when they came.
                Answer::NotNow => {
                    scratch.held.push(index);
                    continue;
                }
                Answer::Open => {
                    scratch.held.push(index);
                    if let Some(lost) = flow.side(event.side).leave_open(index, event.place) {
                        signatures.note_too_many();
                        let lost = signatures.set().rules.get(lost as usize);
                        scratch.is_unanswered |= lost.is_some_and(Ready::refuses);
                    }
                    continue;
                }
                Answer::Yes => {}
            }
            signatures.note_held(index);
            scratch.held.push(index);
            scratch.told.push(index);
            if carry_out(signatures, flow, event, (rule, index), &mut verdict, cx) {
                return verdict;
            }
        }
        if is_short {
            signatures.note_budget();
        }
        verdict
    }

    /// Goes back to the rules that held for all but what is spoken, now that this is known.
    pub(super) fn settle_open(
        &mut self,
        flow: &mut SignatureFlow,
        packet: &Packet<'_>,
        cx: &mut Context<'_>,
    ) -> Verdict {
        let signatures = &*self.signatures;
        let mut verdict = Verdict::PASS;
        if flow.spoken == Spoken::Unclear {
            return verdict;
        }
        let mut open = flow.take_open();
        open.sort_unstable_by_key(|(index, ..)| *index);
        for (index, side, place) in open {
            let Some(rule) = signatures.set().rules.get(index as usize) else { continue };
            if !is_spoken(rule, flow.spoken) || self.scratch.told.contains(&index) {
                continue;
            }
            signatures.note_held(index);
            self.scratch.told.push(index);
            let tuple = Event::tuple_of(packet, side);
            let event =
                Event { packet, side, tuple, payload: None, buffers: None, body: None, place };
            if carry_out(signatures, flow, &event, (rule, index), &mut verdict, cx) {
                break;
            }
        }
        verdict
    }
}

/// Whether what is spoken is what the rule is about.
fn is_spoken(rule: &Ready, spoken: Spoken) -> bool {
    rule.application.is_none_or(|protocol| spoken == Spoken::Is(protocol))
        && rule.conditions.iter().all(|condition| is_spoken_as(condition, spoken))
}

/// What a rule that holds does, and what becomes of the packet; `true` where nothing behind the rule counts any more.
fn carry_out(
    signatures: &Signatures,
    flow: &mut SignatureFlow,
    event: &Event<'_>,
    (rule, index): (&Ready, u32),
    verdict: &mut Verdict,
    cx: &mut Context<'_>,
) -> bool {
    if !fire(signatures, flow, event, rule, index, cx) {
        return false;
    }
    cx.decided(SignatureInspector::REASON.name(), || described(rule));
    match rule.action {
        RuleAction::Pass => {
            let is_for_flow = event.place != Place::Packet || rule.is_plain();
            *verdict = if is_for_flow { Verdict::PASS_FLOW } else { Verdict::PASS };
            return true;
        }
        RuleAction::Alert => {}
        action if verdict.is_pass() => *verdict = refusal(action, event, rule),
        _ => {}
    }
    false
}

/// A rule by what people know it by.
#[cold]
fn described(rule: &Ready) -> String {
    let RuleId { gid, sid, rev } = rule.id;
    let (action, message) = (rule.action, &rule.told.signature);
    let quiet = if rule.is_silent { ", without an alert" } else { "" };
    format!("rule [{gid}:{sid}:{rev}] {message}: {action}{quiet}")
}

/// One rule asked about one thing.
struct Case<'a> {
    signatures: &'a Signatures,
    flow: &'a SignatureFlow,
    event: &'a Event<'a>,
    rule: &'a Ready,
    index: u32,
}

/// Whether a rule holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Answer {
    /// Whatever comes of this side of the flow, or it was asked about one packet.
    Never,
    /// Not yet, or not for this.
    No,
    /// That would have taken more than there was for it.
    Unanswered,
    /// It does for the bytes, but bits are not as it wants them.
    NotNow,
    /// It does, if that is spoken what the rule is about.
    Open,
    Yes,
}

impl Case<'_> {
    /// Whether all of the rule holds. What is cheap is asked first.
    fn ask(
        &self,
        taken: &mut Vec<Option<u64>>,
        (budget, among): (&mut Budget, usize),
        cx: &Context<'_>,
    ) -> Answer {
        let (rule, flow, event) = (self.rule, self.flow, self.event);
        let set = self.signatures.set();
        let is_clear = flow.spoken != Spoken::Unclear;
        let unmet = rule.conditions.iter().find(|condition| !holds(condition, event.packet));
        let is_final = |condition| event.place == Place::Packet || is_of_flow(condition);
        if unmet.is_some_and(is_final) {
            return Answer::Never;
        }
        if !set.ends(flow.surrounding, rule.ends).is_some_and(|ends| ends.are_of(&event.tuple)) {
            return Answer::Never;
        }
        if is_clear && !is_spoken(rule, flow.spoken) {
            return Answer::Never;
        }
        if unmet.is_some() {
            return Answer::No;
        }
        if !flow.is_like(&rule.flow, event.packet) {
            return Answer::No;
        }
        let has_bits = flow.has_bits(&rule.flow_bits);
        if !has_bits && event.place == Place::Packet {
            return Answer::No;
        }
        taken.clear();
        taken.resize(rule.numbers, None);
        if !rule.groups.is_empty() {
            // No rule can use up what others need.
            let mut share = budget.share(among);
            let holds = rule.groups.iter().all(|group| self.group(group, taken, &mut share));
            budget.settle(share);
            if !holds {
                return if share.is_short() { Answer::Unanswered } else { Answer::No };
            }
        }
        if !has_bits || !self.has_cross_bits(cx) {
            return Answer::NotNow;
        }
        let is_about_protocol = |it: &Condition| matches!(it, Condition::Application { .. });
        let is_open = !is_clear
            && (rule.application.is_some() || rule.conditions.iter().any(is_about_protocol));
        if is_open { Answer::Open } else { Answer::Yes }
    }

    fn has_cross_bits(&self, cx: &Context<'_>) -> bool {
        let bits = &self.rule.cross_bits;
        if !bits.iter().any(|(_, bit)| bit.action.is_question()) {
            return true;
        }
        let tables = self.signatures.tables();
        bits.iter().all(|(number, bit)| tables.is_bit(*number, bit, self.event.packet, cx.now()))
    }

    fn group(&self, group: &ReadyGroup, taken: &mut [Option<u64>], budget: &mut Budget) -> bool {
        let event = self.event;
        let program = &group.program;
        if group.buffer == Buffer::Payload {
            let Some(view) = event.payload.and_then(|view| self.unused(view)) else { return false };
            if group.transforms.is_empty() {
                return program.holds(view, taken, budget);
            }
            let Some(bytes) = transformed(view.bytes, group, budget) else { return false };
            return program.holds(View { bytes: &bytes, base: view.base }, taken, budget);
        }
        let is_body = matches!(
            group.buffer,
            Buffer::HttpRequestBody | Buffer::HttpResponseBody | Buffer::FileData
        );
        let mut ask = |instance: Instance<'_>| {
            if instance.bytes.is_empty() || has_to_wait(group, instance.is_whole) {
                return false;
            }
            let Some(bytes) = transformed(instance.bytes, group, budget) else { return false };
            program.holds(View { bytes: &bytes, base: 0 }, taken, budget)
        };
        if is_body {
            return event.body.is_some_and(ask);
        }
        event.buffers.is_some_and(|buffers| buffers.of(group.buffer).any(&mut ask))
    }

    /// The bytes of a stream that the rule has not held for before.
    fn unused<'v>(&self, view: View<'v>) -> Option<View<'v>> {
        if self.event.place != Place::Stream {
            return Some(view);
        }
        let side = self.flow.sides.as_ref()?.of(self.event.side);
        view.from(side.used_by(self.index))
    }
}

/// What a group's transforms make of bytes, which counts by their length: a digest of a long target, asked for with each piece of a
/// body, would be a way to keep an appliance busy. `None` where nothing more may be done.
fn transformed<'b>(
    bytes: &'b [u8],
    group: &ReadyGroup,
    budget: &mut Budget,
) -> Option<Cow<'b, [u8]>> {
    const BYTES_PER_STEP: usize = 64;
    let steps = u64::try_from(bytes.len() / BYTES_PER_STEP).unwrap_or(u64::MAX).saturating_add(1);
    let is_allowed = group.transforms.is_empty() || budget.take(steps);
    is_allowed.then(|| transform(bytes, &group.transforms))
}

/// Whether a condition is the same for all packets of a side of a flow.
const fn is_of_flow(condition: &Condition) -> bool {
    matches!(condition, Condition::IpProtocol(_) | Condition::SameAddress)
}

/// What a rule that holds does; `false` where it does not count, as it has not held often enough.
fn fire(
    signatures: &Signatures,
    flow: &mut SignatureFlow,
    event: &Event<'_>,
    rule: &Ready,
    index: u32,
    cx: &mut Context<'_>,
) -> bool {
    let (packet, now) = (event.packet, cx.now());
    if let Some(filter) = &rule.detection_filter {
        if !signatures.tables().filter(index, filter, packet, now) {
            return false;
        }
    }
    if !flow.change_bits(&rule.flow_bits) {
        signatures.note_too_many();
    }
    if rule.cross_bits.iter().any(|(_, bit)| !bit.action.is_question()) {
        let mut tables = signatures.tables();
        for (number, bit) in &rule.cross_bits {
            tables.change(*number, bit, packet, now);
        }
    }
    if rule.is_silent || rule.action == RuleAction::Pass {
        return true;
    }
    if rule.may_be_suppressed {
        let (source, destination) = (event.tuple.source(), event.tuple.destination());
        if signatures.filters().suppresses(rule.id, source, destination) {
            return true;
        }
    }
    if let Some(threshold) = &rule.threshold {
        if !signatures.tables().threshold(index, threshold, packet, now) {
            return true;
        }
    }
    tell(event, rule, cx);
    true
}

/// What becomes of a packet for which a rule that refuses was not asked for all of it: it is not passed over in silence.
#[cold]
pub(super) fn leave_open(
    signatures: &Signatures,
    flow: &mut SignatureFlow,
    packet: &Packet<'_>,
    verdict: Verdict,
    cx: &mut Context<'_>,
) -> Verdict {
    signatures.note_unanswered();
    if !mem::replace(&mut flow.is_told_as_open, true) {
        let (endpoint, tuple) = (packet.endpoint(), packet.opener_tuple());
        cx.alert(Alert {
            name: SignatureInspector::UNANSWERED.name().into(),
            message: format!(
                "rules that refuse were not asked for all of them: {endpoint} {tuple}"
            )
            .into(),
            severity: Severity::Warning,
            rule: None,
        });
    }
    match verdict == Verdict::PASS && signatures.limits().refuses_unanswered {
        true => Verdict::drop(SignatureInspector::UNANSWERED).for_flow(),
        false => verdict,
    }
}

#[cold]
fn tell(event: &Event<'_>, rule: &Ready, cx: &mut Context<'_>) {
    let (id, endpoint, tuple) = (rule.id, event.packet.endpoint(), event.tuple);
    let (gid, sid, rev) = (id.gid, id.sid, id.rev);
    let message = &rule.told.signature;
    cx.alert(Alert {
        name: SignatureInspector::REASON.name().into(),
        message: format!("[{gid}:{sid}:{rev}] {message}: {endpoint} {tuple}").into(),
        severity: match rule.told.severity {
            0 | 1 => Severity::Critical,
            2 => Severity::Warning,
            3 => Severity::Notice,
            _ => Severity::Info,
        },
        rule: Some(rule.told.clone()),
    });
}

fn refusal(action: RuleAction, event: &Event<'_>, rule: &Ready) -> Verdict {
    let reason = SignatureInspector::REASON;
    match action {
        RuleAction::Reject => Verdict::reject(reason).telling(Tells::Sender),
        RuleAction::RejectDestination => Verdict::reject(reason).telling(Tells::Receiver),
        RuleAction::RejectBoth => Verdict::reject(reason),
        // A packet that is refused for what it is alone says nothing about those behind it.
        _ if event.place == Place::Packet && !rule.is_about_ends => Verdict::drop(reason),
        _ => Verdict::drop(reason).for_flow(),
    }
}
