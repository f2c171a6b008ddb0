use alloc::borrow::Cow;
use alloc::format;
use alloc::sync::Arc;
use core::fmt;

#[cfg(any(feature = "http", feature = "tls"))]
use super::rules::Actions;
use super::{Action, AnomalyRules, Event, headers, messages};
use crate::inspect::{
    Alert, Context, Inspector, Interest, Message, Packet, Reason, Severity, Verdict,
};

/// Names what is odd about packets and messages, and does with each kind what its [`AnomalyRules`] say. Clones share them.
///
/// An [`Event`] is a reason of its name, and alerts of it bear it; anomalies of messages have the reasons `http-anomaly` and
/// `tls-anomaly`, and alerts of them bear their names behind `http-` and `tls-`. There is one alert of a kind in a flow.
///
/// What a flow is, and what is in its messages, can be seen only where the engine follows its bytes. Rules that ignore all of
/// that spare it the work. DNS is known by its port alone, so none is found elsewhere.
///
/// ```
/// use gwlb_geneve::inspect::check;
/// use gwlb_geneve::inspectors::anomaly::{Action, AnomalyInspector, AnomalyRules, Event};
///
/// let rules = AnomalyRules::default().with(Event::SourceRoute, Action::Drop);
/// assert!(check(&AnomalyInspector::new(rules)).is_ok());
/// ```
#[derive(Clone, Debug)]
pub struct AnomalyInspector {
    rules: Arc<AnomalyRules>,
    interest: Interest,
}

impl AnomalyInspector {
    /// Why flows are dropped and rejected for an anomaly of an HTTP message.
    pub const HTTP: Reason = Reason::new("http-anomaly");
    /// The same of a TLS message.
    pub const TLS: Reason = Reason::new("tls-anomaly");

    /// By rules, or by those that are shared.
    pub fn new(rules: impl Into<Arc<AnomalyRules>>) -> Self {
        let rules = rules.into();
        let interest = messages::interest(&rules).and(Interest::PACKETS);
        Self { rules, interest }
    }

    /// The rules.
    pub fn rules(&self) -> &AnomalyRules {
        &self.rules
    }
}

/// What is remembered of a flow.
#[derive(Debug)]
pub struct Flow {
    seen: headers::Seen,
    /// What holds for all its packets.
    always: u64,
    /// What people were told of.
    told: u64,
    #[cfg(feature = "http")]
    told_http: u64,
    #[cfg(feature = "tls")]
    told_tls: u64,
    /// What is still to be seen of its messages.
    wants: Interest,
}

impl Inspector for AnomalyInspector {
    type Flow = Flow;
    const INTEREST: Interest = Interest::PACKETS.and(Interest::MESSAGES);

    #[inline]
    fn interest(&self) -> Interest {
        self.interest
    }

    #[inline]
    fn wants(&self, flow: &Flow) -> Interest {
        flow.wants
    }

    fn name(&self) -> &str {
        "anomaly"
    }

    fn open(&mut self, first: &Packet<'_>, _: &mut Context<'_>) -> Option<Flow> {
        Some(Flow {
            seen: headers::Seen::default(),
            always: headers::of_flow(&first.opener_tuple()) & self.rules.events.heeded,
            told: 0,
            #[cfg(feature = "http")]
            told_http: 0,
            #[cfg(feature = "tls")]
            told_tls: 0,
            wants: self.interest,
        })
    }

    #[inline]
    fn packet(&mut self, flow: &mut Flow, packet: &Packet<'_>, cx: &mut Context<'_>) -> Verdict {
        let found = headers::of_packet(&self.rules, &mut flow.seen, packet) | flow.always;
        if found & self.rules.events.heeded == 0 {
            return Verdict::PASS;
        }
        self.judge(flow, found, packet, None, cx)
    }

    fn message(&mut self, flow: &mut Flow, message: &Message<'_>, cx: &mut Context<'_>) -> Verdict {
        let found = messages::events(&self.rules, message);
        let mut verdict = Verdict::PASS;
        if found & self.rules.events.heeded != 0 {
            verdict = self.judge(flow, found, message.packet, Some(message.what), cx);
        }
        if verdict.is_pass() {
            verdict = self.judge_message(flow, message, cx);
        }
        flow.wants = messages::wants(&self.rules, self.interest, message);
        verdict
    }
}

impl AnomalyInspector {
    /// What becomes of a packet with events.
    #[cold]
    fn judge(
        &self,
        flow: &mut Flow,
        found: u64,
        packet: &Packet<'_>,
        message: Option<&dyn fmt::Display>,
        cx: &mut Context<'_>,
    ) -> Verdict {
        let actions = &self.rules.events;
        let action = actions.of(found);
        let mut left = found & actions.heeded & !flow.told;
        flow.told |= left;
        while let Some((event, rest)) = Event::split(left) {
            left = rest;
            tell(event.name().into(), actions.of(event.bit()), packet, message, cx);
        }
        match Event::split(actions.like(found, action)) {
            Some((event, _)) => verdict(action, Reason::new(event.name())),
            None => Verdict::PASS,
        }
    }

    /// What becomes of a flow with anomalies in a message.
    fn judge_message(
        &self,
        flow: &mut Flow,
        message: &Message<'_>,
        cx: &mut Context<'_>,
    ) -> Verdict {
        let _ = (&flow, &cx);
        match message.what {
            #[cfg(feature = "http")]
            what if messages::is_http(what) => {
                let name = |bit| messages::http_name(bit).map(|name| format!("http-{name}"));
                let found = messages::http_anomalies(what);
                let told = &mut flow.told_http;
                judge_named(&self.rules.http, found, told, Self::HTTP, name, message, cx)
            }
            #[cfg(feature = "tls")]
            what if messages::is_tls(what) => {
                let name = |bit| messages::tls_name(bit).map(|name| format!("tls-{name}"));
                let found = messages::tls_anomalies(what);
                let told = &mut flow.told_tls;
                judge_named(&self.rules.tls, found, told, Self::TLS, name, message, cx)
            }
            _ => Verdict::PASS,
        }
    }
}

#[cfg(any(feature = "http", feature = "tls"))]
fn judge_named(
    actions: &Actions,
    found: u64,
    told: &mut u64,
    reason: Reason,
    name: impl Fn(u64) -> Option<alloc::string::String>,
    message: &Message<'_>,
    cx: &mut Context<'_>,
) -> Verdict {
    let mut left = found & actions.heeded & !*told;
    *told |= left;
    while left != 0 {
        let bit = left & left.wrapping_neg();
        left &= !bit;
        if let Some(name) = name(bit) {
            tell(name.into(), actions.of(bit), message.packet, Some(message.what), cx);
        }
    }
    verdict(actions.of(found), reason)
}

fn verdict(action: Action, reason: Reason) -> Verdict {
    match action {
        Action::Ignore | Action::Alert => Verdict::PASS,
        Action::Drop => Verdict::drop(reason),
        Action::Reject => Verdict::reject(reason),
    }
}

fn tell(
    name: Cow<'static, str>,
    action: Action,
    packet: &Packet<'_>,
    message: Option<&dyn fmt::Display>,
    cx: &mut Context<'_>,
) {
    let done = match action {
        Action::Ignore | Action::Alert => "passed",
        Action::Drop => "dropped",
        Action::Reject => "rejected",
    };
    let (endpoint, tuple) = (packet.endpoint(), packet.five_tuple());
    let text = match message {
        Some(message) => format!("{name}: {done} {endpoint} {tuple}: {message}"),
        None => format!("{name}: {done} {endpoint} {tuple}"),
    };
    cx.alert(Alert { name, message: text.into(), severity: Severity::Notice, rule: None });
}
