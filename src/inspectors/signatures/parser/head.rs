use super::super::problem::RuleProblem;
use super::super::{
    AddressExpression, ApplicationProtocol, Direction, Endpoint, ExpressionError, Header,
    PortExpression, Protocol, RuleAction,
};
use super::Stop;
use super::value::{self, Value};

/// Protocols that the language has and this crate does not.
const OTHERS: [&str; 36] = [
    "arp",
    "bittorrent-dht",
    "dcerpc",
    "dhcp",
    "dnp3",
    "doh2",
    "enip",
    "ether",
    "http2",
    "ike",
    "ikev2",
    "imap",
    "irc",
    "jabber",
    "krb5",
    "ldap",
    "mdns",
    "modbus",
    "mqtt",
    "msn",
    "nfs",
    "ntp",
    "pgsql",
    "pop3",
    "quic",
    "rdp",
    "rfb",
    "sip",
    "smb",
    "smb2",
    "snmp",
    "telnet",
    "template",
    "tftp",
    "websocket",
    "vnc",
];

/// What stands before the parenthesis, what is in it, and from where on that is.
pub(super) fn split(text: &str) -> Result<(Value<'_>, &str, usize), Stop> {
    let missing = |offset, expected: &'static str, found: &str| {
        let problem =
            RuleProblem::Expected { expected: expected.into(), found: value::quoted(found) };
        Stop::new(offset, problem)
    };
    let Some((head, rest)) = text.split_once('(') else {
        return Err(missing(0, "a header, then options in parentheses", text));
    };
    let start = head.len().saturating_add(1);
    match rest.trim_end().strip_suffix(')') {
        Some(options) => Ok((Value::new(head, 0), options, start)),
        None => {
            let end = text.trim_end();
            let last = end.rsplit(';').next().unwrap_or_default().trim_start();
            Err(missing(end.len(), "`)` at the rule's end", last))
        }
    }
}

pub(super) fn parse(head: Value<'_>) -> Result<(RuleAction, Header), Stop> {
    let (action, rest) = head.word();
    Ok((self::action(action)?, header(rest)?))
}

/// What stands behind the action.
pub(super) fn header(text: Value<'_>) -> Result<Header, Stop> {
    let (protocol, rest) = text.word();
    let protocol = self::protocol(protocol)?;
    let (source, rest) = part(rest, "the sources' addresses")?;
    let (source_ports, rest) = part(rest, "the sources' ports")?;
    let (arrow, rest) = rest.word();
    let direction = match arrow.text {
        "->" => Direction::Forward,
        "<>" => Direction::Both,
        _ => return Err(arrow.expected("`->` or `<>`")),
    };
    let (destination, rest) = part(rest, "the destinations' addresses")?;
    let (destination_ports, rest) = part(rest, "the destinations' ports")?;
    if !rest.text.is_empty() {
        return Err(rest.expected("`(`"));
    }
    let endpoint = |addresses: Value<'_>, ports: Value<'_>| {
        let addresses: AddressExpression = addresses
            .text
            .parse()
            .map_err(|error: ExpressionError| Stop::new(addresses.offset, error))?;
        let ports: PortExpression =
            ports.text.parse().map_err(|error: ExpressionError| Stop::new(ports.offset, error))?;
        Ok(Endpoint { addresses, ports })
    };
    let source = endpoint(source, source_ports)?;
    let destination = endpoint(destination, destination_ports)?;
    Ok(Header { protocol, source, direction, destination })
}

fn action(word: Value<'_>) -> Result<RuleAction, Stop> {
    let known = RuleAction::NAMES.iter().find(|(name, _)| *name == word.text);
    match (known, word.text) {
        (Some((_, action)), _) => Ok(*action),
        (None, "rejectsrc") => Ok(RuleAction::Reject),
        (None, _) => Err(word.expected("`alert`, `drop`, `reject` or `pass`")),
    }
}

fn protocol(word: Value<'_>) -> Result<Protocol, Stop> {
    let lower = word.text.to_ascii_lowercase();
    Ok(match lower.as_str() {
        "any" => Protocol::Ip,
        "ip4" => Protocol::Ipv4,
        "ip6" => Protocol::Ipv6,
        "http1" => Protocol::Application(ApplicationProtocol::Http),
        "ssl" => Protocol::Application(ApplicationProtocol::Tls),
        name => {
            let known = Protocol::NAMES.iter().find(|(known, _)| *known == name);
            let application = ApplicationProtocol::NAMES.iter().find(|(known, _)| *known == name);
            match (known, application) {
                (Some((_, protocol)), _) => *protocol,
                (None, Some((_, protocol))) => Protocol::Application(*protocol),
                (None, None) if OTHERS.contains(&name) => {
                    return Err(Stop { keyword: lower, ..word.unsupported(None) });
                }
                (None, None) => return Err(word.expected("a protocol")),
            }
        }
    })
}

/// A word that may have spaces in its brackets.
fn part<'a>(rest: Value<'a>, expected: &'static str) -> Result<(Value<'a>, Value<'a>), Stop> {
    let mut depth = 0_usize;
    let end = rest.text.find(|c: char| {
        match c {
            '[' => depth = depth.saturating_add(1),
            ']' => depth = depth.saturating_sub(1),
            _ => {}
        }
        depth == 0 && c.is_whitespace()
    });
    let (part, after) =
        rest.text.split_at_checked(end.unwrap_or(rest.text.len())).unwrap_or_default();
    if part.is_empty() {
        return Err(rest.expected(expected));
    }
    let after_at = rest.offset.saturating_add(part.len());
    Ok((Value::new(part, rest.offset), Value::new(after, after_at)))
}
