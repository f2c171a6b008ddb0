use alloc::borrow::Cow;
use alloc::boxed::Box;
use alloc::format;
use alloc::string::{String, ToString};
use alloc::sync::Arc;
use core::fmt::{self, Display};
use core::net::IpAddr;
use std::sync::{Mutex, PoisonError};

use super::answers::Answers;
use super::{Action, DomainLists, Over};
use crate::Side;
use crate::inspect::{
    Alert, Beginning, Context, Inspector, Interest, Message, Packet, Reason, Severity, Verdict,
};
use crate::packet::IpProtocol;
use crate::protocol::http::{Anomaly, Request};
use crate::protocol::tls::{Anomalies, ClientHello};
use crate::protocol::{self, Opaque, Text, Why, dns};

/// Judges flows by the names in them, as [`DomainLists`] say. Clones share the lists, and what is remembered of DNS: make one and
/// clone it for each worker.
///
/// A refusal is for [`REASON`](Self::REASON) and for the whole flow, and an alert of that name says which name it was. What does
/// not fit together is reported by alerts named [`MISMATCH`](Self::MISMATCH), and never refused.
///
/// Lists of what alone is allowed [fail closed](Interest::FAIL_CLOSED), in flows that begin after discovery.
#[derive(Clone, Debug)]
pub struct DomainInspector {
    lists: Arc<DomainLists>,
    answers: Arc<Mutex<Answers>>,
}

impl DomainInspector {
    /// Why packets are dropped and rejected, and what alerts and the inspector are called.
    pub const REASON: Reason = Reason::new("domains");
    /// What alerts are called about names that do not fit together, or not with an address that is called.
    pub const MISMATCH: &'static str = "domains-mismatch";

    /// By lists, or by ones that are shared.
    pub fn new(lists: impl Into<Arc<DomainLists>>) -> Self {
        let lists = lists.into();
        let answers = Arc::new(Mutex::new(Answers::new(lists.remembered())));
        Self { lists, answers }
    }

    /// The lists.
    pub fn lists(&self) -> &DomainLists {
        &self.lists
    }
}

/// What is known of a flow.
#[derive(Debug, Default)]
pub struct DomainFlow {
    /// What every packet gets, whatever is in it.
    refusal: Option<Verdict>,
    /// Whether a name was judged.
    is_named: bool,
    /// Whether it began while nothing is to be refused.
    is_spared: bool,
    /// The server name of TLS.
    server_name: Option<Box<str>>,
}

/// What has no name to be looked up.
#[derive(Clone, Copy, Debug)]
pub(super) enum Hidden {
    Quic,
    Ech,
    Nameless,
    Unknown,
}

impl Inspector for DomainInspector {
    type Flow = DomainFlow;

    const INTEREST: Interest = Interest::PACKETS.and(Interest::MESSAGES).and(Interest::FAIL_CLOSED);

    /// Packets matter only where something is to be refused by its port alone. Only an allow-list fails closed.
    fn interest(&self) -> Interest {
        let is_by_port = self.lists.hidden(Hidden::Quic) != Action::Allow;
        if self.lists.is_allow_list() {
            Self::INTEREST
        } else if is_by_port {
            Self::INTEREST.without(Interest::FAIL_CLOSED)
        } else {
            Interest::MESSAGES
        }
    }

    /// Nothing is refused while there is only to be found out what would be.
    fn wants(&self, flow: &DomainFlow) -> Interest {
        let interest = self.interest();
        if flow.is_spared { interest.without(Interest::FAIL_CLOSED) } else { interest }
    }

    fn name(&self) -> &str {
        Self::REASON.name()
    }

    fn open(&mut self, first: &Packet<'_>, cx: &mut Context<'_>) -> Option<DomainFlow> {
        let ports = first.opener_tuple().ports;
        let is_excepted = ports.is_some_and(|ports| {
            let is_guess = first.beginning() == Beginning::Midstream;
            self.lists.is_excepted(ports.destination)
                || is_guess && self.lists.is_excepted(ports.source)
        });
        if is_excepted {
            return None;
        }
        let either = |port| ports.is_some_and(|it| it.source == port || it.destination == port);
        let is_spared = self.lists.discovers(cx.now());
        let flow = || DomainFlow { is_spared, ..DomainFlow::default() };
        let (hidden, what) = match first.flow().protocol() {
            IpProtocol::TCP => return Some(flow()),
            IpProtocol::ICMP | IpProtocol::ICMPV6 => return None,
            IpProtocol::UDP if either(QUIC) => (Hidden::Quic, "QUIC"),
            IpProtocol::UDP if DNS.into_iter().any(either) => return Some(flow()),
            _ => (Hidden::Unknown, "a protocol without names"),
        };
        let told = Told { action: self.lists.hidden(hidden), what, list: None };
        let verdict = self.settle(&told, first, cx);
        (!verdict.is_pass()).then(|| DomainFlow { refusal: Some(verdict), ..flow() })
    }

    #[inline]
    fn packet(&mut self, flow: &mut DomainFlow, _: &Packet<'_>, _: &mut Context<'_>) -> Verdict {
        flow.refusal.unwrap_or(Verdict::PASS)
    }

    fn message(
        &mut self,
        flow: &mut DomainFlow,
        message: &Message<'_>,
        cx: &mut Context<'_>,
    ) -> Verdict {
        match message.what {
            protocol::Message::TlsClientHello(hello) => self.hello(flow, message, hello, cx),
            protocol::Message::HttpRequest(request) => self.request(flow, message, request, cx),
            protocol::Message::Dns(said) => self.dns(flow, message, said, cx),
            protocol::Message::Opaque(opaque) => self.opaque(flow, message, opaque, cx),
            protocol::Message::TlsServerHello(hello) if flow.is_named => {
                // What comes after is encrypted.
                let is_over = message.side == Side::Server && !hello.is_hello_retry_request();
                if is_over { Verdict::PASS_FLOW } else { Verdict::PASS }
            }
            _ if flow.is_named => Verdict::PASS,
            _ => self.hidden(Hidden::Unknown, "an answer to nothing", message.packet, cx),
        }
    }
}

impl DomainInspector {
    fn hello(
        &self,
        flow: &mut DomainFlow,
        message: &Message<'_>,
        hello: &ClientHello<'_>,
        cx: &mut Context<'_>,
    ) -> Verdict {
        let packet = message.packet;
        if hello.has_ech() || hello.has_esni() {
            let verdict = self.hidden(Hidden::Ech, "TLS with an encrypted hello", packet, cx);
            if !verdict.is_pass() {
                return verdict;
            }
        }
        if hello.has_other_server_name() {
            self.mismatch(packet, cx, &"the second TLS hello names another server than the first");
        }
        // Servers differ in which of several they take.
        for name in hello.server_names().into_iter().flatten() {
            if let Some(name) = name.dns_name() {
                let verdict = self.name(flow, name, Over::Tls, packet, cx);
                if !verdict.is_pass() {
                    return verdict;
                }
            }
        }
        let anomalies = hello.anomalies();
        let first = hello.server_name();
        let name = first.and_then(|first| first.dns_name());
        let has_dot = first.is_some_and(|first| first.name.ends_with(b"."));
        let is_clear = !anomalies.contains(Anomalies::SERVER_NAMES_SEVERAL)
            && !anomalies.contains(Anomalies::EXTENSION_DOUBLED)
            && (has_dot || !anomalies.contains(Anomalies::SERVER_NAME_MALFORMED));
        let Some(name) = name.filter(|_| is_clear) else {
            return self.hidden(Hidden::Nameless, "TLS without a clear name", packet, cx);
        };
        let name = name.to_ascii_lowercase();
        self.compare_address(&name, Over::Tls, message, cx);
        flow.server_name = Some(name.into());
        Verdict::PASS
    }

    fn request(
        &self,
        flow: &mut DomainFlow,
        message: &Message<'_>,
        request: &Request<'_>,
        cx: &mut Context<'_>,
    ) -> Verdict {
        let packet = message.packet;
        let host = request.host();
        let host = host.as_ref().and_then(Text::to_str).filter(|host| !host.is_empty());
        let headers = request.headers().filter(|header| header.name.eq_ignore_ascii_case("host"));
        let named = headers.filter_map(|header| Some(host_of(header.value.to_str()?)));
        // Servers differ in which of several they take.
        let others = named.filter(|name| !name.is_empty() && Some(name.as_str()) != host);
        for name in host.map(Cow::Borrowed).into_iter().chain(others.map(Cow::Owned)) {
            let verdict = self.name(flow, &name, Over::Http, packet, cx);
            if !verdict.is_pass() {
                return verdict;
            }
        }
        let anomalies = request.anomalies();
        if anomalies.is_ambiguous() {
            return self.hidden(Hidden::Unknown, "ambiguous HTTP", packet, cx);
        }
        let is_clear = ![Anomaly::HostRepeated, Anomaly::HostMismatch, Anomaly::HostInvalid]
            .into_iter()
            .any(|anomaly| anomalies.contains(anomaly));
        let Some(host) = host.filter(|_| is_clear) else {
            return self.hidden(Hidden::Nameless, "HTTP without a clear host", packet, cx);
        };
        if let Some(name) = flow.server_name.as_deref().filter(|name| *name != host) {
            self.mismatch(packet, cx, &format_args!("the TLS name {name}, the HTTP host {host}"));
        }
        self.compare_address(host, Over::Http, message, cx);
        Verdict::PASS
    }

    fn dns(
        &self,
        flow: &mut DomainFlow,
        message: &Message<'_>,
        said: &dns::Message<'_>,
        cx: &mut Context<'_>,
    ) -> Verdict {
        let mut has_question = false;
        for question in said.questions() {
            has_question = true;
            let name = question.name.to_string();
            let verdict = self.name(flow, &name, Over::Dns, message.packet, cx);
            if !verdict.is_pass() {
                return verdict;
            }
        }
        if !has_question {
            return self.hidden(Hidden::Nameless, "DNS without a question", message.packet, cx);
        }
        let mut answers = self.answers.lock().unwrap_or_else(PoisonError::into_inner);
        answers.note(message.packet.endpoint(), said, cx.now());
        Verdict::PASS
    }

    fn opaque(
        &self,
        flow: &mut DomainFlow,
        message: &Message<'_>,
        opaque: &Opaque<'_>,
        cx: &mut Context<'_>,
    ) -> Verdict {
        // Nothing follows that could be understood otherwise.
        if opaque.why == Why::Truncated && flow.is_named {
            return Verdict::PASS;
        }
        let verdict = self.hidden(Hidden::Unknown, opaque.reason, message.packet, cx);
        let is_over = verdict.is_pass() && opaque.is_whole_flow;
        if is_over { Verdict::PASS_FLOW } else { verdict }
    }

    /// Looks a name up.
    fn name(
        &self,
        flow: &mut DomainFlow,
        name: &str,
        over: Over,
        packet: &Packet<'_>,
        cx: &mut Context<'_>,
    ) -> Verdict {
        flow.is_named = true;
        let decision = self.lists.decide(name, over);
        let (action, list) = (decision.action, decision.list);
        let name = Text::from(name);
        self.settle(
            &Told { action, what: format_args!("the {over} name {name}"), list },
            packet,
            cx,
        )
    }

    fn hidden(
        &self,
        hidden: Hidden,
        what: &str,
        packet: &Packet<'_>,
        cx: &mut Context<'_>,
    ) -> Verdict {
        self.settle(&Told { action: self.lists.hidden(hidden), what, list: None }, packet, cx)
    }

    /// The verdict for an action, and an alert where it is more than to allow.
    fn settle<W: Display>(
        &self,
        told: &Told<'_, W>,
        packet: &Packet<'_>,
        cx: &mut Context<'_>,
    ) -> Verdict {
        cx.decided(Self::REASON.name(), || format!("{told}"));
        let verdict = match told.action {
            Action::Allow => return Verdict::PASS,
            Action::Alert => Verdict::PASS,
            Action::Drop => Verdict::drop(Self::REASON).for_flow(),
            Action::Reject => Verdict::reject(Self::REASON),
        };
        let is_spared = !verdict.is_pass() && self.lists.discovers(cx.now());
        let would = if is_spared { "would " } else { "" };
        let (endpoint, tuple) = (packet.endpoint(), packet.opener_tuple());
        cx.alert(Alert {
            name: Self::REASON.name().into(),
            message: format!("{would}{told}: {endpoint} {tuple}").into(),
            severity: Severity::Notice,
            rule: None,
        });
        if is_spared { Verdict::PASS } else { verdict }
    }

    /// Reports a name that is called at an address that DNS did not give for it.
    fn compare_address(&self, name: &str, over: Over, message: &Message<'_>, cx: &mut Context<'_>) {
        let (packet, now) = (message.packet, cx.now());
        let tuple = packet.opener_tuple();
        let server: IpAddr = match message.side {
            Side::Client => tuple.destination(),
            Side::Server => tuple.source(),
        };
        let is_odd = {
            let answers = self.answers.lock().unwrap_or_else(PoisonError::into_inner);
            answers.contradict(packet.endpoint(), name, server, now)
        };
        if is_odd {
            self.mismatch(
                packet,
                cx,
                &format_args!("the {over} name {name} at {server}, which DNS did not give for it"),
            );
        }
    }

    #[cold]
    fn mismatch(&self, packet: &Packet<'_>, cx: &mut Context<'_>, what: &dyn Display) {
        let (endpoint, tuple) = (packet.endpoint(), packet.opener_tuple());
        cx.alert(Alert {
            name: Self::MISMATCH.into(),
            message: format!("{what}: {endpoint} {tuple}").into(),
            severity: Severity::Warning,
            rule: None,
        });
    }
}

/// What is done, and about what.
struct Told<'a, W> {
    action: Action,
    what: W,
    list: Option<&'a str>,
}

impl<W: Display> Display for Told<'_, W> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.action, self.what)?;
        match self.list {
            Some(list) => write!(f, " (list {list:?})"),
            None => Ok(()),
        }
    }
}

/// The name in a Host header, in lower case.
fn host_of(value: &str) -> String {
    let name = value.split_once(':').map_or(value, |(name, _)| name);
    name.strip_suffix('.').unwrap_or(name).to_ascii_lowercase()
}

/// The port of HTTP/3 (RFC 9114 §3.1).
const QUIC: u16 = 443;
/// Those on which DNS over UDP is looked for.
const DNS: [u16; 2] = [53, 5353];
