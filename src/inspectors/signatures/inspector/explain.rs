use alloc::boxed::Box;
use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;
use core::fmt;

use super::super::buffers::{Instance, Spoken};
use super::super::matching::{Ready, has_to_wait, holds, is_spoken_as};
use super::super::{Buffer, Condition, FlowCondition, Interpreter, Rule, RuleId, Signatures};
use super::flow::SignatureFlow;
use super::judge::{Event, Place};
use crate::{Side, Timestamp};

/// Why a rule held for a packet, a piece of a stream or a message, or did not: step by step, up to the first that did not.
///
/// Bytes are asked by the [`Interpreter`].
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct RuleTrace {
    /// The packet's time.
    pub time: Timestamp,
    /// Which rule.
    pub id: RuleId,
    /// What it was asked about.
    pub about: &'static str,
    /// Who sent it.
    pub side: Side,
    /// What was asked, and what was found.
    pub steps: Vec<String>,
    /// Whether all of it held.
    pub holds: bool,
}

impl fmt::Display for RuleTrace {
    /// A line for what it was asked about, and one for each step.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let side = match self.side {
            Side::Client => "client",
            Side::Server => "server",
        };
        let holds = if self.holds { "holds" } else { "does not hold" };
        write!(f, "{} of the {side}: sid {} {holds}", self.about, self.id.sid)?;
        self.steps.iter().try_for_each(|step| write!(f, "\n  {step}"))
    }
}

/// Who is told.
pub(super) struct Tracer(pub(super) Box<dyn FnMut(&RuleTrace) + Send>);

impl fmt::Debug for Tracer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Tracer")
    }
}

/// Asks a rule about something, step by step.
pub(super) fn trace(
    signatures: &Signatures,
    flow: &SignatureFlow,
    event: &Event<'_>,
    (ready, rule, index): (&Ready, &Rule, u32),
    time: Timestamp,
) -> RuleTrace {
    let mut steps = Vec::new();
    let holds = ask(signatures, flow, event, (ready, rule, index), &mut steps).is_some();
    let about = match event.place {
        Place::Packet => "packet",
        Place::Stream => "stream",
        Place::Message => "message",
    };
    RuleTrace { time, id: rule.id, about, side: event.side, steps, holds }
}

/// `None` where something does not hold, which is the last step then.
fn ask(
    signatures: &Signatures,
    flow: &SignatureFlow,
    event: &Event<'_>,
    (ready, rule, index): (&Ready, &Rule, u32),
    steps: &mut Vec<String>,
) -> Option<()> {
    let mut step = |holds: bool, what: String| {
        steps.push(format!("{} {what}", if holds { "yes" } else { "NO " }));
        holds.then_some(())
    };
    if let Some(wanted) = ready.application {
        let found = match flow.spoken {
            Spoken::Is(found) => found.to_string(),
            Spoken::Other => "none that is known".to_string(),
            Spoken::Unclear => "not known yet, which is waited for".to_string(),
        };
        let may_be = matches!(flow.spoken, Spoken::Unclear) || flow.spoken == Spoken::Is(wanted);
        step(may_be, format!("protocol {wanted}: it is {found}"))?;
    }
    let ends = signatures.set().ends(flow.surrounding, ready.ends);
    let is_between = ends.is_some_and(|ends| ends.are_of(&event.tuple));
    step(is_between, format!("ends {}: they are {}", rule.header, event.tuple))?;
    if ready.flow != FlowCondition::default() {
        step(flow.is_like(&ready.flow, event.packet), format!("flow:{}", ready.flow))?;
    }
    for condition in &ready.conditions {
        if let (Condition::Application { .. }, Spoken::Unclear) = (condition, flow.spoken) {
            step(true, format!("{condition}: it is not known yet, which is waited for"))?;
            continue;
        }
        let is_so = holds(condition, event.packet) && is_spoken_as(condition, flow.spoken);
        step(is_so, condition.to_string())?;
    }
    let mut interpreter = Interpreter::new();
    for (group, source) in ready.groups.iter().zip(&rule.groups) {
        let name = group.buffer.to_string();
        let mut found = Err("it is not there yet".to_string());
        for (instance, base) in instances(event, flow, group.buffer, index) {
            if has_to_wait(group, instance.is_whole) {
                found = Err("it is not whole yet, and more could undo a match".to_string());
                continue;
            }
            let interpretation = interpreter.ask_from(source, instance.bytes, base);
            let mut why = Vec::new();
            for made in &interpretation.steps {
                let item = source.items.get(made.item).map(|item| rule.item_text(item));
                let item = item.unwrap_or_default();
                let places: Vec<_> = made.places.iter().map(i64::to_string).collect();
                why.push(match places.as_slice() {
                    [] => format!("{item}: {}", made.what),
                    [one] => format!("{item}: on from byte {one}"),
                    several => format!("{item}: on from bytes {}", several.join(", ")),
                });
            }
            let shown = shortened(instance.bytes);
            let what = format!("{name} \"{shown}\": {}", why.join("; "));
            if interpretation.holds {
                found = Ok(());
                step(true, what)?;
                break;
            }
            found = Err(what);
        }
        if let Err(what) = found {
            step(false, if what.starts_with(&name) { what } else { format!("{name}: {what}") })?;
        }
    }
    if !rule.flow_bits.iter().any(|bit| bit.action.is_question()) {
        return Some(());
    }
    let asked = rule.flow_bits.iter().filter(|bit| bit.action.is_question());
    let bits: Vec<_> = asked.map(ToString::to_string).collect();
    step(flow.has_bits(&ready.flow_bits), bits.join("; "))
}

fn instances<'a>(
    event: &Event<'a>,
    flow: &SignatureFlow,
    buffer: Buffer,
    index: u32,
) -> Vec<(Instance<'a>, u64)> {
    match buffer {
        Buffer::Payload => {
            let used = match (event.place, &flow.sides) {
                (Place::Stream, Some(sides)) => sides.of(event.side).used_by(index),
                _ => 0,
            };
            let view = event.payload.and_then(|view| view.from(used));
            view.map(|view| (Instance { bytes: view.bytes, is_whole: true }, view.base))
                .into_iter()
                .collect()
        }
        Buffer::HttpRequestBody | Buffer::HttpResponseBody | Buffer::FileData => event
            .body
            .filter(|body| !body.bytes.is_empty())
            .map(|body| (body, 0))
            .into_iter()
            .collect(),
        _ => event
            .buffers
            .into_iter()
            .flat_map(|buffers| buffers.of(buffer))
            .map(|instance| (instance, 0))
            .collect(),
    }
}

fn shortened(bytes: &[u8]) -> String {
    const MOST: usize = 200;

    let rest = bytes.len().saturating_sub(MOST);
    let shown = bytes.get(..MOST).unwrap_or(bytes).escape_ascii();
    if rest == 0 { format!("{shown}") } else { format!("{shown}… {rest} more") }
}
