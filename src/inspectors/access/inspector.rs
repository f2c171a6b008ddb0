use alloc::borrow::Cow;
use alloc::format;
use alloc::string::String;
use alloc::sync::Arc;

use super::{AccessList, Action, Decision, RuleIndex};
use crate::inspect::{
    Alert, Beginning, Context, Inspector, Interest, Packet, Reason, Severity, Verdict,
};

/// Judges flows by an [`AccessList`], each once, at its first packet. Clones share the list: one for each worker.
///
/// A flow that is allowed is not looked at again; replies to it need no rule. One that is not is dropped or rejected
/// for good, in both directions, for [`REASON`](Self::REASON). A rule that says [`log`](super::Rule::log) gives an
/// alert of that name, too, whatever its action is.
///
/// The first packet that is seen of a flow counts as the one that opens it. After a restart or a failover that may
/// be an answer, a SYN-ACK or an ICMP error say, which then is compared the wrong way round: where flows are adopted
/// midstream, make rules that allow them take [both directions](super::Direction::Both).
///
/// ```
/// use std::sync::Arc;
///
/// use gwlb_geneve::inspect::check;
/// use gwlb_geneve::inspectors::access::{AccessInspector, AccessList, Action, Rule};
///
/// let list = AccessList::new(Action::Allow, [Rule::new(Action::Reject).ports(23).log()])?;
/// let list = Arc::new(list);
/// let workers: Vec<_> = (0..4).map(|_| AccessInspector::new(Arc::clone(&list))).collect();
/// assert!(workers.iter().all(|inspector| check(inspector).is_ok()));
/// # Ok::<(), Box<dyn core::error::Error>>(())
/// ```
#[derive(Clone, Debug)]
pub struct AccessInspector {
    list: Arc<AccessList>,
}

impl AccessInspector {
    /// Why packets are dropped and rejected, and what alerts and the inspector are called.
    pub const REASON: Reason = Reason::new("access-list");

    /// By a list, or by one that is shared.
    pub fn new(list: impl Into<Arc<AccessList>>) -> Self {
        Self { list: list.into() }
    }

    /// The list.
    pub fn list(&self) -> &AccessList {
        &self.list
    }

    #[cold]
    fn log(&self, decision: Decision, packet: &Packet<'_>, cx: &mut Context<'_>) {
        let Some(index) = decision.rule else { return };
        let name = self.name_of(index);
        let (done, severity) = match decision.action {
            Action::Allow => ("allowed", Severity::Info),
            Action::Drop => ("dropped", Severity::Notice),
            Action::Reject => ("rejected", Severity::Notice),
        };
        let (endpoint, tuple) = (packet.endpoint(), packet.five_tuple());
        cx.alert(Alert {
            name: Self::REASON.name().into(),
            message: format!("{index}{name} {done} {endpoint} {tuple}").into(),
            severity,
            rule: None,
        });
    }
}

impl AccessInspector {
    /// The name of a rule, with a space before and in parentheses, if it has one.
    fn name_of(&self, rule: RuleIndex) -> Cow<'static, str> {
        let name = self.list.rule(rule).and_then(|rule| rule.name.as_deref());
        name.map_or(Cow::Borrowed(""), |name| format!(" ({name})").into())
    }

    /// What decided: `rule 2 (no ping), line 17: drop`, or the default.
    #[cold]
    fn described(&self, decision: Decision) -> String {
        let action = match decision.action {
            Action::Allow => "allow",
            Action::Drop => "drop",
            Action::Reject => "reject",
        };
        let Some(index) = decision.rule else { return format!("the list's default: {action}") };
        let line = self.list.line(index).map(|line| format!(", line {line}")).unwrap_or_default();
        format!("{index}{}{line}: {action}", self.name_of(index))
    }

    /// What the list says of a flow, as its opener goes. Where that is a guess, as the packet at hand goes. Of what comes in
    /// tunnels every packet around it must be allowed too.
    #[inline]
    fn decide(&self, first: &Packet<'_>) -> Decision {
        let is_guess = first.beginning() == Beginning::Midstream;
        let tuple = if is_guess { first.five_tuple() } else { first.opener_tuple() };
        match first.tunneled() {
            None => self.list.decide(first.endpoint(), &tuple),
            Some(tunneled) => {
                let is_turned = !is_guess && !first.is_from_opener();
                let carriers =
                    tunneled.tunnels().filter_map(|tunnel| tunnel.carrier().five_tuple().ok());
                let carriers =
                    carriers.map(|tuple| if is_turned { tuple.reversed() } else { tuple });
                let refusal = carriers
                    .map(|tuple| self.list.decide(first.endpoint(), &tuple))
                    .find(|decision| decision.action != Action::Allow);
                refusal.unwrap_or_else(|| self.list.decide(first.endpoint(), &tuple))
            }
        }
    }
}

impl Inspector for AccessInspector {
    /// What every packet of a flow that is not allowed gets.
    type Flow = Verdict;

    const INTEREST: Interest = Interest::PACKETS;

    fn name(&self) -> &str {
        Self::REASON.name()
    }

    #[inline]
    fn open(&mut self, first: &Packet<'_>, cx: &mut Context<'_>) -> Option<Verdict> {
        let decision = self.decide(first);
        cx.decided(Self::REASON.name(), || self.described(decision));
        let rule = decision.rule.and_then(|rule| self.list.rule(rule));
        if rule.is_some_and(|rule| rule.log) {
            self.log(decision, first, cx);
        }
        match decision.action {
            Action::Allow => None,
            Action::Drop => Some(Verdict::drop(Self::REASON).for_flow()),
            Action::Reject => Some(Verdict::reject(Self::REASON)),
        }
    }

    #[inline]
    fn packet(&mut self, flow: &mut Verdict, _: &Packet<'_>, _: &mut Context<'_>) -> Verdict {
        *flow
    }
}
