//! Inspectors and rewriters that several promises are tried with.

use gwlb_geneve::engine::{Engine, Settings};
use gwlb_geneve::flow::FlowLimits;
use gwlb_geneve::inspect::{
    Alert, Chain, CloseReason, Context, ExceptionPolicy, Inspector, Interest, Packet, Reason,
    Rewriter, Severity, Verdict, packet_fn,
};
use gwlb_geneve::packet::{EditError, PacketMut};

use crate::support::traffic::settings;

pub(crate) const POLICIES: [ExceptionPolicy; 2] =
    [ExceptionPolicy::STRICT, ExceptionPolicy::AVAILABLE];

/// Settings of an engine that is quickly made.
pub(crate) fn small() -> Settings {
    let flows = FlowLimits { flows: 4_096, endpoints: 16, ..FlowLimits::default() };
    Settings { flows, fragments: 256, ..settings() }
}

pub(crate) fn with_policy(policy: ExceptionPolicy) -> Settings {
    Settings { policy, ..small() }
}

pub(crate) fn says(packet: &Packet<'_>, word: &str) -> bool {
    packet.payload().windows(word.len()).any(|found| found == word.as_bytes())
}

/// Rejects "bad", drops "ugly", drops the flow of "never", is done with a flow that says "done".
pub(crate) fn censor() -> impl Inspector {
    packet_fn("censor", |packet, _| {
        if says(packet, "bad") {
            Verdict::reject(Reason::new("bad-word"))
        } else if says(packet, "ugly") {
            Verdict::drop(Reason::new("ugly-word"))
        } else if says(packet, "never") {
            Verdict::drop(Reason::new("never-word")).for_flow()
        } else if says(packet, "done") {
            Verdict::PASS_FLOW
        } else {
            Verdict::PASS
        }
    })
}

pub(crate) fn alert(message: String) -> Alert {
    Alert { name: "told".into(), message: message.into(), severity: Severity::Info, rule: None }
}

/// Counts over all flows, judges by that, and says at the end of each flow how many packets it had.
#[derive(Default)]
pub(crate) struct Tally {
    open: u32,
    packets: u32,
}

impl Inspector for Tally {
    type Flow = u32;
    const INTEREST: Interest = Interest::PACKETS.and(Interest::END);

    fn name(&self) -> &str {
        "tally"
    }

    fn open(&mut self, _first: &Packet<'_>, cx: &mut Context<'_>) -> Option<u32> {
        self.open += 1;
        cx.alert(alert(format!("{} open", self.open)));
        Some(0)
    }

    fn packet(&mut self, seen: &mut u32, packet: &Packet<'_>, cx: &mut Context<'_>) -> Verdict {
        *seen += 1;
        self.packets += 1;
        if self.packets % 11 == 0 {
            cx.inject(packet.direction(), packet.ip().bytes().to_vec());
        }
        if self.packets % 13 == 0 {
            cx.mark(1 << (self.packets % 32));
            cx.capture();
        }
        if self.open > 6 && *seen == 2 {
            Verdict::drop(Reason::new("crowded"))
        } else if self.packets % 37 == 0 {
            Verdict::reject(Reason::new("unlucky"))
        } else {
            Verdict::PASS
        }
    }

    fn close(&mut self, seen: u32, why: CloseReason, cx: &mut Context<'_>) {
        self.open -= 1;
        cx.alert(alert(format!("{seen} packets, {why:?}")));
    }
}

/// The same inspectors in both compositions.
pub(crate) fn tuple() -> impl Inspector {
    (censor(), Tally::default(), packet_fn("idle", |_, _| Verdict::PASS))
}

pub(crate) fn chain() -> Chain {
    let mut chain = Chain::new();
    chain.push(censor()).unwrap();
    chain.push(Tally::default()).unwrap();
    chain.push(packet_fn("idle", |_, _| Verdict::PASS)).unwrap();
    chain
}

/// Passes everything, without state.
pub(crate) fn passing(settings: Settings) -> Engine<impl Inspector> {
    Engine::new(settings, || packet_fn("pass", |_, _| Verdict::PASS)).unwrap()
}

/// Is asked about everything, and changes nothing.
pub(crate) struct Idle;

impl Rewriter for Idle {
    type Plan = ();

    fn plan(&mut self, _packet: &Packet<'_>, _cx: &mut Context<'_>) -> Option<()> {
        None
    }

    fn rewrite(&mut self, (): (), _packet: &mut PacketMut<'_>) -> Result<(), EditError> {
        Ok(())
    }
}
