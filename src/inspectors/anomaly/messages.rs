//! What messages show.

use super::{AnomalyRules, Event};
use crate::inspect::{Interest, Message};
use crate::packet::IpProtocol;
#[cfg(feature = "http")]
use crate::protocol::http;
#[cfg(feature = "tls")]
use crate::protocol::tls;
use crate::protocol::{self, Protocol, Why};

/// Events of messages that may come later than with the first.
const OF_ALL_MESSAGES: u64 =
    Event::ProtocolUnparsable.bit() | Event::MessageTooLarge.bit() | Event::ProtocolSwitched.bit();

/// The messages that rules have use for.
pub(super) fn interest(rules: &AnomalyRules) -> Interest {
    let mut interest = of_protocols(rules);
    let mut of_messages = Event::ALL.iter().filter(|event| event.is_of_messages());
    if of_messages.any(|event| rules.events.heeded & event.bit() != 0) {
        interest = interest | Interest::MESSAGES;
    }
    interest
}

/// Those with anomalies of their own.
fn of_protocols(rules: &AnomalyRules) -> Interest {
    let _ = rules;
    let interest = Interest::NONE;
    #[cfg(feature = "http")]
    let interest = if rules.http.heeded != 0 { interest | Interest::HTTP } else { interest };
    #[cfg(feature = "tls")]
    let interest = if rules.tls.heeded != 0 { interest | Interest::TLS } else { interest };
    interest
}

/// What rules have use for behind a message.
pub(super) fn wants(rules: &AnomalyRules, interest: Interest, message: &Message<'_>) -> Interest {
    let later = match message.what.protocol() {
        _ if rules.events.heeded & OF_ALL_MESSAGES != 0 => return interest,
        Protocol::Http => Interest::HTTP,
        Protocol::Tls => Interest::TLS,
        _ => Interest::NONE,
    };
    if of_protocols(rules).intersects(later) { interest } else { Interest::PACKETS }
}

/// The events of a message.
pub(super) fn events(rules: &AnomalyRules, message: &Message<'_>) -> u64 {
    let mut found = match message.what {
        protocol::Message::Opaque(opaque) => match opaque.why {
            Why::Unparsable => Event::ProtocolUnparsable.bit(),
            Why::TooLarge => Event::MessageTooLarge.bit(),
            Why::Switched => Event::ProtocolSwitched.bit(),
            Why::Unrecognised => 0,
            // What it is was not seen.
            Why::NoRoom | Why::Gap | Why::Truncated => return 0,
        },
        #[cfg(any(feature = "dns", feature = "http", feature = "tls"))]
        _ => 0,
    };
    let is_unparsable_dns =
        found == Event::ProtocolUnparsable.bit() && message.what.protocol() == Protocol::Dns;
    if !message.is_first && !is_unparsable_dns && !is_unrecognised(message) {
        return found;
    }
    let Some(ports) = message.packet.opener_tuple().ports else { return found };
    let is_at = |known: &[u16]| known.contains(&ports.destination);
    let is_tcp = message.packet.flow().protocol() == IpProtocol::TCP;
    let is_dns_port = ports.destination == 53 || !is_tcp && ports.source == 53;
    let (is_http, is_tls) = (is_tcp && is_at(&rules.http_ports), is_tcp && is_at(&rules.tls_ports));
    let is = |protocol| message.what.protocol() == protocol;
    for (event, is_so) in [
        (Event::HttpElsewhere, is(Protocol::Http) && !is_http),
        (Event::TlsElsewhere, is(Protocol::Tls) && !is_tls),
        (Event::NotHttp, is_http && !is(Protocol::Http)),
        (Event::NotTls, is_tls && !is(Protocol::Tls)),
        (Event::NotDns, is_dns_port && (!is(Protocol::Dns) || is_unparsable_dns)),
    ] {
        if is_so {
            found |= event.bit();
        }
    }
    found
}

fn is_unrecognised(message: &Message<'_>) -> bool {
    matches!(message.what, protocol::Message::Opaque(opaque) if opaque.why == Why::Unrecognised)
}

#[cfg(feature = "http")]
pub(super) const fn is_http(message: &protocol::Message<'_>) -> bool {
    matches!(message, protocol::Message::HttpRequest(_) | protocol::Message::HttpResponse(_))
}

#[cfg(feature = "http")]
pub(super) fn http_anomalies(message: &protocol::Message<'_>) -> u64 {
    match message {
        protocol::Message::HttpRequest(request) => request.anomalies().bits(),
        protocol::Message::HttpResponse(response) => response.anomalies().bits(),
        _ => 0,
    }
}

#[cfg(feature = "http")]
pub(super) fn http_name(bit: u64) -> Option<&'static str> {
    http::Anomaly::ALL.iter().find(|anomaly| anomaly.bit() == bit).map(|anomaly| anomaly.name())
}

#[cfg(feature = "tls")]
pub(super) const fn is_tls(message: &protocol::Message<'_>) -> bool {
    matches!(message, protocol::Message::TlsClientHello(_) | protocol::Message::TlsServerHello(_))
}

#[cfg(feature = "tls")]
pub(super) fn tls_anomalies(message: &protocol::Message<'_>) -> u64 {
    match message {
        protocol::Message::TlsClientHello(hello) => hello.anomalies().bits().into(),
        protocol::Message::TlsServerHello(hello) => hello.anomalies().bits().into(),
        _ => 0,
    }
}

#[cfg(feature = "tls")]
pub(super) fn tls_name(bit: u64) -> Option<&'static str> {
    let is_it = |(anomaly, _): &&(tls::Anomalies, _)| u64::from(anomaly.bits()) == bit;
    tls::Anomalies::NAMES.iter().find(is_it).map(|(_, name)| *name)
}
