use alloc::borrow::Cow;
use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec::Vec;

use crate::Timestamp;
use crate::flow::Direction;

/// What an inspector can do beside its verdict, and the time.
///
/// The time is that of the packet, never the system's clock, so that a replay judges as live traffic was judged.
#[derive(Debug)]
pub struct Context<'a> {
    now: Timestamp,
    effects: &'a mut Effects,
    /// [`NOWHERE`] where there is none.
    datagram: usize,
}

const NOWHERE: usize = usize::MAX;

impl<'a> Context<'a> {
    /// A context at a moment, whose effects are gathered in `effects`.
    #[inline]
    pub fn new(now: Timestamp, effects: &'a mut Effects) -> Self {
        Self { now, effects, datagram: NOWHERE }
    }

    /// The same for the datagram at this place of its burst.
    #[inline]
    #[must_use]
    pub fn of_datagram(self, place: usize) -> Self {
        Self { datagram: place, ..self }
    }

    /// The place in its burst of the datagram that brought the packet; `None` where it is for no packet that inspectors are asked, as
    /// when a flow closes.
    #[inline]
    pub fn datagram(&self) -> Option<usize> {
        Some(self.datagram).filter(|place| *place != NOWHERE)
    }

    /// The packet's time.
    #[inline]
    pub const fn now(&self) -> Timestamp {
        self.now
    }

    /// Tells people about the packet.
    pub fn alert(&mut self, alert: Alert) {
        self.effects.marks |= Self::ALERTED;
        self.effects.alerts.push(alert);
    }

    /// The mark of a flow in which there was an alert. The other 31 bits are the inspectors' own.
    pub const ALERTED: u32 = 1 << 31;

    /// Whether there was an alert in the flow: by any inspector, with any of its packets so far.
    #[inline]
    pub const fn is_alerted(&self) -> bool {
        self.effects.marks & Self::ALERTED != 0
    }

    /// The flow's marks, those that were set just now among them.
    #[inline]
    pub const fn marks(&self) -> u32 {
        self.effects.marks
    }

    /// Whether there is nothing to be handed on so far: no more than marks.
    #[cfg(feature = "std")]
    #[inline]
    pub(crate) fn is_quiet(&self) -> bool {
        self.effects.is_quiet()
    }

    /// Marks the flow: bits that stay with it and that other inspectors see.
    #[inline]
    pub fn mark(&mut self, bits: u32) {
        self.effects.marks |= bits;
    }

    /// Asks for the packet, and the flow's packets from here on, to be kept as evidence.
    #[inline]
    pub fn capture(&mut self) {
        self.effects.capture = true;
    }

    /// The same, and says why: that is told with the packet.
    pub fn capture_for(&mut self, why: impl Into<Cow<'static, str>>) {
        self.effects.capture = true;
        self.effects.capture_reasons.push(why.into());
    }

    /// Says what decided, for an [explanation](crate::engine::Engine::explain): a rule by its number, its name, or where it stands; or why
    /// none did. Where nothing is being explained, `because` is not called.
    ///
    /// `inspector` is its [name](super::Inspector::name).
    #[inline]
    pub fn decided(&mut self, inspector: &'static str, because: impl FnOnce() -> String) {
        if let Some(decided) = &mut self.effects.decided {
            decided.push(Decided { inspector, because: because() });
        }
    }

    /// Sends an IP packet of the inspector's own in the flow's envelope, beside the one that it looks at. When the flow
    /// closes there is no envelope any more: then nothing is sent, and that is counted.
    pub fn inject(&mut self, direction: Direction, packet: Vec<u8>) {
        self.effects.injections.push(Injection { direction, packet });
    }
}

/// What inspectors did beside their verdicts, gathered by whoever runs them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Effects {
    /// Alerts in the order in which they were given.
    pub alerts: Vec<Alert>,
    /// The flow's marks: given by who runs the inspectors, added to by them and by their [alerts](Context::ALERTED).
    pub marks: u32,
    /// Whether evidence is to be kept.
    pub capture: bool,
    /// Why, as far as that was said.
    pub capture_reasons: Vec<Cow<'static, str>>,
    /// Packets to be sent.
    pub injections: Vec<Injection>,
    /// What decided; `None` where nobody wants to know.
    pub decided: Option<Vec<Decided>>,
}

impl Effects {
    /// Whether there is nothing to be handed on: no more than marks.
    #[cfg(feature = "std")]
    #[inline]
    pub(crate) fn is_quiet(&self) -> bool {
        self.alerts.len() | self.injections.len() | usize::from(self.capture) == 0
    }

    /// Whether the flow is to be kept as evidence: where that was asked for, or there is an alert of at least this severity.
    #[cfg(feature = "std")]
    pub(crate) fn captures(&self, alerts: Option<Severity>) -> bool {
        let is_severe = |least| self.alerts.iter().any(|alert| alert.severity >= least);
        self.capture || alerts.is_some_and(is_severe)
    }

    /// Forgets everything but what decided, which is for all of a packet, and keeps the memory.
    pub fn clear(&mut self) {
        self.alerts.clear();
        self.marks = 0;
        self.capture = false;
        self.capture_reasons.clear();
        self.injections.clear();
    }
}

/// What decided in an inspector.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Decided {
    /// The inspector's name.
    pub inspector: &'static str,
    /// The rule, in words, or why none did.
    pub because: String,
}

/// A packet of an inspector's own.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Injection {
    /// Which way it goes, as its flow's key sees it.
    pub direction: Direction,
    /// The IP packet.
    pub packet: Vec<u8>,
}

/// Something that people should know.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Alert {
    /// The inspector, or its rule, that says so: a stable name.
    pub name: Cow<'static, str>,
    /// What it found, for a person.
    pub message: Cow<'static, str>,
    /// How bad it is.
    pub severity: Severity,
    /// The rule of a rule set that says so, where there is one.
    pub rule: Option<Arc<AlertRule>>,
}

/// A rule of a rule set that people share, by what they know it by.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AlertRule {
    /// Who makes the alert: `gid`.
    pub generator: u32,
    /// The number of the rule: `sid`.
    pub number: u32,
    /// Its revision: `rev`.
    pub revision: u32,
    /// What it says: `msg`.
    pub signature: String,
    /// The class of what it finds; empty where it has none.
    pub category: String,
    /// From 1, the most severe, on.
    pub severity: u8,
    /// Keys and values in their order; a key may come again.
    pub metadata: Vec<(String, String)>,
}

/// How bad something is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Severity {
    /// Good to know.
    Info,
    /// Unusual.
    Notice,
    /// Likely an attack.
    Warning,
    /// An attack.
    Critical,
}
