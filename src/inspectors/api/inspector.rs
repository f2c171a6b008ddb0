use alloc::format;
use alloc::string::String;
use alloc::sync::Arc;

use super::{ApiRules, Decision, Verified};
use crate::Side;
use crate::inspect::{
    Alert, Beginning, Context, Inspector, Interest, Message, Packet, Reason, Severity, Verdict,
};
use crate::inspectors::access::Action;
use crate::packet::IpProtocol;
use crate::protocol::http::Request;
use crate::protocol::{self, Why};

/// Judges every HTTP request by [`ApiRules`]. Clones share the rules: one for each worker.
///
/// A flow in which something is not allowed is refused for good, for [`REASON`](Self::REASON), and an alert of that name says what
/// it was. So is one that the rules are for and that is no HTTP: nothing passes that was not understood, whatever the [exception
/// policy](crate::inspect::ExceptionPolicy) says about that: it [fails closed](Interest::FAIL_CLOSED).
///
/// A flow that brings many tokens with wrong signatures is refused for [`WRONG_TOKENS`](Self::WRONG_TOKENS), also where a rule
/// allows its requests all the same: each of them costs verifying.
#[derive(Clone, Debug)]
pub struct ApiInspector {
    rules: Arc<ApiRules>,
    verified: Verified,
}

impl ApiInspector {
    /// Why packets are dropped and rejected, and what alerts and the inspector are called.
    pub const REASON: Reason = Reason::new("api");
    /// Why packets of a flow are dropped and rejected that brought [`MOST_WRONG_TOKENS`](Self::MOST_WRONG_TOKENS), and what the alert
    /// about it is called.
    pub const WRONG_TOKENS: Reason = Reason::new("too-many-wrong-tokens");
    /// With so many tokens whose signature is that of no public key that was tried, a flow is refused. One that is
    /// [remembered](super#signatures-of-tokens) as wrong costs nothing and does not count again, nor does one that keys of another
    /// rule verify.
    pub const MOST_WRONG_TOKENS: u8 = 4;

    /// By rules, or by ones that are shared.
    pub fn new(rules: impl Into<Arc<ApiRules>>) -> Self {
        Self { rules: rules.into(), verified: Verified::default() }
    }

    /// The rules.
    pub fn rules(&self) -> &ApiRules {
        &self.rules
    }
}

/// What is known of a flow.
#[derive(Debug, Default)]
pub struct ApiFlow {
    /// Whether a request was allowed.
    has_request: bool,
    /// How many tokens were verified in vain.
    wrong_tokens: u8,
}

impl Inspector for ApiInspector {
    type Flow = ApiFlow;

    const INTEREST: Interest = Interest::HTTP.and(Interest::FAIL_CLOSED);

    fn name(&self) -> &str {
        Self::REASON.name()
    }

    fn open(&mut self, first: &Packet<'_>, _: &mut Context<'_>) -> Option<ApiFlow> {
        if first.flow().protocol() != IpProtocol::TCP {
            return None;
        }
        let tuple = first.opener_tuple();
        let is_for = match tuple.ports {
            Some(ports) => {
                self.rules.are_for(tuple.destination(), ports.destination)
                    // Who opened it is a guess.
                    || first.beginning() == Beginning::Midstream
                        && self.rules.are_for(tuple.source(), ports.source)
            }
            None => true,
        };
        is_for.then(ApiFlow::default)
    }

    fn message(
        &mut self,
        flow: &mut ApiFlow,
        message: &Message<'_>,
        cx: &mut Context<'_>,
    ) -> Verdict {
        let packet = message.packet;
        match message.what {
            protocol::Message::HttpRequest(request) => self.request(flow, message, request, cx),
            protocol::Message::HttpBody(body) if message.side == Side::Client => {
                match body.anomalies().is_ambiguous() {
                    true => self.refuse(packet, cx, &format!("a body with {}", body.anomalies())),
                    false => Verdict::PASS,
                }
            }
            protocol::Message::HttpBody(_) | protocol::Message::HttpResponse(_)
                if flow.has_request =>
            {
                Verdict::PASS
            }
            // A server that breaks off has said nothing that could be taken for something else.
            protocol::Message::Opaque(opaque)
                if opaque.why == Why::Truncated && message.side == Side::Server =>
            {
                Verdict::PASS
            }
            protocol::Message::Opaque(opaque) => self.refuse(packet, cx, opaque.reason),
            other => {
                let protocol = other.protocol();
                self.refuse(packet, cx, &format!("{protocol} where there should be a request"))
            }
        }
    }
}

impl ApiInspector {
    fn request(
        &mut self,
        flow: &mut ApiFlow,
        message: &Message<'_>,
        request: &Request<'_>,
        cx: &mut Context<'_>,
    ) -> Verdict {
        let packet = message.packet;
        let tuple = packet.opener_tuple();
        let client = match message.side {
            Side::Client => tuple.source(),
            Side::Server if packet.beginning() == Beginning::Midstream => tuple.destination(),
            Side::Server => return self.refuse(packet, cx, "a request from the server"),
        };
        let decision = self.rules.decide_again(request, client, cx.now(), &mut self.verified);
        if self.verified.was_in_vain() {
            flow.wrong_tokens = flow.wrong_tokens.saturating_add(1);
        }
        if decision.action == Action::Allow && flow.wrong_tokens >= Self::MOST_WRONG_TOKENS {
            let why = format!("{request}: {} tokens with wrong signatures", flow.wrong_tokens);
            return self.refuse_for(Self::WRONG_TOKENS, packet, cx, why);
        }
        cx.decided(Self::REASON.name(), || self.described(&decision));
        let verdict = match decision.action {
            Action::Allow => {
                flow.has_request = true;
                return Verdict::PASS;
            }
            Action::Drop => Verdict::drop(Self::REASON).for_flow(),
            Action::Reject => Verdict::reject(Self::REASON),
        };
        let why = self.described(&decision);
        Self::tell(Self::REASON, packet, cx, format!("{request}: {why}"));
        verdict
    }

    /// What decided: `rule 2 (orders)`, or why none did.
    #[cold]
    fn described(&self, decision: &Decision<'_>) -> String {
        let Some(rule) = decision.rule else { return decision.why.clone() };
        let index = self.rules.rules().iter().position(|it| core::ptr::eq(it, rule));
        let number = index.map_or(0, |index| index.saturating_add(1));
        match rule.name.as_str() {
            "" => format!("rule {number}"),
            name => format!("rule {number} ({name})"),
        }
    }

    #[cold]
    fn refuse(&self, packet: &Packet<'_>, cx: &mut Context<'_>, why: &str) -> Verdict {
        self.refuse_for(Self::REASON, packet, cx, why.into())
    }

    #[cold]
    fn refuse_for(
        &self,
        reason: Reason,
        packet: &Packet<'_>,
        cx: &mut Context<'_>,
        why: String,
    ) -> Verdict {
        cx.decided(Self::REASON.name(), || why.clone());
        Self::tell(reason, packet, cx, why);
        match self.rules.refusal() {
            Action::Drop => Verdict::drop(reason).for_flow(),
            _ => Verdict::reject(reason),
        }
    }

    fn tell(reason: Reason, packet: &Packet<'_>, cx: &mut Context<'_>, what: String) {
        let (endpoint, tuple) = (packet.endpoint(), packet.opener_tuple());
        cx.alert(Alert {
            name: reason.name().into(),
            message: format!("refused {what}: {endpoint} {tuple}").into(),
            severity: Severity::Notice,
            rule: None,
        });
    }
}
