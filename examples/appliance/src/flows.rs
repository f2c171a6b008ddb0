//! The flows of a capture: their numbers, and what became of each.

use gwlb_geneve::engine::{EventKind, Outcome};
use gwlb_geneve::gwlb::EndpointId;
use gwlb_geneve::inspect::Alert;
use gwlb_geneve::inspectors::access::{AccessInspector, AccessList, Action};
use gwlb_geneve::packet::FiveTuple;
use gwlb_geneve::runtime::{FlowNumbers, JudgedPacket};

use crate::visible::shortened;

/// Flows in the order of their first packets.
pub(crate) struct Flows {
    numbers: FlowNumbers,
    flows: Vec<Flow>,
}

/// More are not told apart, so that no capture can use up the memory.
pub(crate) const MOST: usize = 1 << 18;

/// Bytes of what a rule is called. Messages can be as long as what they are about.
const LONGEST_RULE: usize = 256;

/// What has been seen of a flow.
pub(crate) struct Flow {
    /// Its number, from 1.
    pub(crate) number: usize,
    pub(crate) endpoint: EndpointId,
    /// Its ends, as its first packet goes.
    pub(crate) tuple: FiveTuple,
    pub(crate) packets: u64,
    /// Of the inner packets.
    pub(crate) bytes: u64,
    pub(crate) forwarded: u64,
    /// What became of the first packet that was not sent back, and its number.
    pub(crate) refused: Option<(Outcome, u64)>,
    /// The rule that decided over it, in words.
    pub(crate) rule: Option<String>,
}

impl Default for Flows {
    fn default() -> Self {
        Self { numbers: FlowNumbers::with_room(MOST), flows: Vec::new() }
    }
}

impl Flows {
    /// Takes a packet in, and gives its flow; `None` for what is in no flow, or where there is no room.
    pub(crate) fn see(
        &mut self,
        packet: &JudgedPacket<'_>,
        list: Option<&AccessList>,
    ) -> Option<&Flow> {
        let (envelope, found) = (packet.envelope()?, packet.flow()?);
        let number = self.numbers.number(&found)?;
        if number > self.flows.len() {
            let tuple = found.key.five_tuple(found.direction);
            let rule = list.and_then(|list| listed(list, found.key.endpoint(), &tuple));
            self.flows.push(Flow {
                number,
                endpoint: found.key.endpoint(),
                tuple,
                packets: 0,
                bytes: 0,
                forwarded: 0,
                refused: None,
                rule: rule.filter(|(action, _)| *action == Action::Allow).map(|(_, rule)| rule),
            });
        }
        let flow = self.flows.get_mut(number - 1)?;
        let outcome = packet.outcome;
        flow.packets += 1;
        flow.bytes += envelope.inner().len() as u64;
        flow.forwarded += u64::from(outcome.disposition.is_forward());
        if flow.refused.is_none() && !outcome.disposition.is_forward() {
            flow.refused = Some((outcome, packet.number));
        }
        if !outcome.reason.name().is_empty() {
            if outcome.reason == AccessInspector::REASON {
                let rule = list.and_then(|list| listed(list, flow.endpoint, &flow.tuple));
                let rule = rule.filter(|(action, _)| *action != Action::Allow);
                flow.rule = rule.map(|(_, rule)| rule).or(flow.rule.take());
            } else if let Some(alert) =
                alerts(packet).find(|alert| alert.name == outcome.reason.name())
            {
                flow.rule = Some(shortened(&alert.message, LONGEST_RULE));
            }
        }
        Some(flow)
    }

    /// All of them.
    pub(crate) fn all(&self) -> &[Flow] {
        &self.flows
    }

    /// Whether there may be more.
    pub(crate) fn is_full(&self) -> bool {
        self.flows.len() >= MOST
    }
}

/// The alerts that a packet brought about.
pub(crate) fn alerts<'a>(packet: &JudgedPacket<'a>) -> impl Iterator<Item = &'a Alert> + use<'a> {
    packet.events().filter_map(|event| match &event.what {
        EventKind::Alert(alert) => Some(alert),
        _ => None,
    })
}

/// What the access list does with a flow that begins so, and the rule that says it.
fn listed(list: &AccessList, endpoint: EndpointId, tuple: &FiveTuple) -> Option<(Action, String)> {
    let decision = list.decide(endpoint, tuple);
    let Some(index) = decision.rule else {
        return Some((decision.action, "default of the list".into()));
    };
    let name = list.rule(index).and_then(|rule| rule.name.as_deref());
    let name = name.map(|name| format!(" ({name})")).unwrap_or_default();
    Some((decision.action, shortened(&format!("{index}{name}"), LONGEST_RULE)))
}
