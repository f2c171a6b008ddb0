use super::super::{ApplicationProtocol, Comparison, Condition, Fragments, TcpFlags, TcpFlagsMode};
use super::Stop;
use super::draft::Draft;
use super::value::Value;

/// Keywords about a packet's own fields that have a value.
pub(super) const NAMES: [&str; 18] = [
    "ack",
    "app-layer-protocol",
    "dsize",
    "flags",
    "fragbits",
    "fragoffset",
    "icmp_id",
    "icmp_seq",
    "icode",
    "id",
    "ip_proto",
    "itype",
    "seq",
    "tcp.flags",
    "tcp.window",
    "tos",
    "ttl",
    "window",
];

pub(super) fn same_address(draft: &mut Draft) -> Result<(), Stop> {
    add(draft, Condition::SameAddress)
}

/// Whether it was one of these.
pub(super) fn option(draft: &mut Draft, name: &str, value: Value<'_>) -> Result<bool, Stop> {
    let value = value.unquoted();
    let condition = match name {
        "dsize" => {
            let expected = "a number of bytes such as `10`, `>10`, `<10` or `5<>10`";
            Condition::PayloadSize(value.comparison(expected)?)
        }
        "itype" => Condition::IcmpType(value.comparison("a type of ICMP such as `8` or `>8`")?),
        "icode" => Condition::IcmpCode(value.comparison("a code of ICMP such as `0` or `>0`")?),
        "icmp_id" => Condition::IcmpId(value.number("a number from 0 to 65535")?),
        "icmp_seq" => Condition::IcmpSequence(value.number("a number from 0 to 65535")?),
        "seq" => Condition::TcpSequence(value.number("a number from 0 to 4294967295")?),
        "ack" => Condition::TcpAcknowledgement(value.number("a number from 0 to 4294967295")?),
        "id" => Condition::IpId(value.number("a number from 0 to 65535")?),
        "ttl" => Condition::TimeToLive(value.comparison("a number of hops such as `64` or `<5`")?),
        "fragoffset" => {
            Condition::FragmentOffset(value.comparison("an offset such as `0` or `>0`")?)
        }
        "window" | "tcp.window" => {
            let (is_negated, value) = value.negation();
            Condition::TcpWindow { window: value.number("a number from 0 to 65535")?, is_negated }
        }
        "tos" => {
            let (is_negated, value) = value.negation();
            let octet = match value.text.strip_prefix('x') {
                Some(digits) => u8::from_str_radix(digits, 16).ok(),
                None => value.text.parse().ok(),
            };
            let octet = octet.ok_or_else(|| value.expected("a number from 0 to 255, or `x1f`"))?;
            Condition::TypeOfService { octet, is_negated }
        }
        "ip_proto" => Condition::IpProtocol(ip_protocol(value)?),
        "flags" | "tcp.flags" => Condition::TcpFlags(tcp_flags(value)?),
        "fragbits" => Condition::Fragments(fragments(value)?),
        "app-layer-protocol" => application(value)?,
        _ => return Ok(false),
    };
    add(draft, condition)?;
    Ok(true)
}

fn add(draft: &mut Draft, condition: Condition) -> Result<(), Stop> {
    let is_repeatable =
        matches!(condition, Condition::IpProtocol(_) | Condition::Application { .. });
    let kind = core::mem::discriminant(&condition);
    let conditions = &mut draft.rule.conditions;
    if !is_repeatable && conditions.iter().any(|it| core::mem::discriminant(it) == kind) {
        return Err(Stop::together(draft.offset, "expected it once, found it twice"));
    }
    conditions.push(condition);
    Ok(())
}

/// A number or a name, which may be negated or compared.
fn ip_protocol(value: Value<'_>) -> Result<Comparison<u8>, Stop> {
    const NAMED: [(&str, u8); 13] = [
        ("icmp", 1),
        ("igmp", 2),
        ("ipip", 4),
        ("tcp", 6),
        ("udp", 17),
        ("ipv6", 41),
        ("gre", 47),
        ("esp", 50),
        ("ah", 51),
        ("icmpv6", 58),
        ("ipv6-icmp", 58),
        ("pim", 103),
        ("sctp", 132),
    ];
    let (is_negated, name) = value.negation();
    let lower = name.text.to_ascii_lowercase();
    match NAMED.iter().find(|(known, _)| *known == lower) {
        Some((_, number)) if is_negated => Ok(Comparison::NotEqual(*number)),
        Some((_, number)) => Ok(Comparison::Equal(*number)),
        None => value.comparison("a protocol's number or name"),
    }
}

/// The sign of a way to compare, which may come before or behind.
fn mode(text: &str) -> (TcpFlagsMode, &str) {
    for (sign, mode) in
        [('+', TcpFlagsMode::All), ('*', TcpFlagsMode::Any), ('!', TcpFlagsMode::None)]
    {
        if let Some(rest) = text.strip_prefix(sign).or_else(|| text.strip_suffix(sign)) {
            return (mode, rest);
        }
    }
    (TcpFlagsMode::Exactly, text)
}

/// `S`, `SA,12`, `+A`, `!R`
fn tcp_flags(value: Value<'_>) -> Result<TcpFlags, Stop> {
    let (compared, ignored) = match value.text.split_once(',') {
        Some((compared, ignored)) => (compared.trim(), ignored.trim()),
        None => (value.text, ""),
    };
    let letters = |text: &str| {
        text.chars().try_fold(0_u8, |flags, letter| {
            let flag = match letter.to_ascii_uppercase() {
                'F' => 1,
                'S' => 2,
                'R' => 4,
                'P' => 8,
                'A' => 16,
                'U' => 32,
                '2' | 'E' => 64,
                '1' | 'C' => 128,
                '0' => 0,
                _ => return None,
            };
            Some(flags | flag)
        })
    };
    let expected = "letters of F, S, R, P, A, U, E, C or `0`, with `+`, `*` or `!` before";
    let (mode, text) = mode(compared);
    let (Some(flags), Some(ignored)) = (letters(text), letters(ignored)) else {
        return Err(value.expected(expected));
    };
    if text.is_empty() || flags == 0 && mode != TcpFlagsMode::Exactly {
        return Err(value.expected(expected));
    }
    if flags & ignored != 0 {
        return Err(value.expected("flags that are not ignored"));
    }
    Ok(TcpFlags { mode, flags, ignored })
}

/// `M`, `D+`, `!R`
fn fragments(value: Value<'_>) -> Result<Fragments, Stop> {
    let (mode, text) = mode(value.text);
    let mut found = Fragments { mode, more: false, dont: false, reserved: false };
    for letter in text.chars() {
        match letter.to_ascii_uppercase() {
            'M' => found.more = true,
            'D' => found.dont = true,
            'R' => found.reserved = true,
            _ => return Err(value.expected("letters of M, D and R, with `+`, `*` or `!` before")),
        }
    }
    match text.is_empty() {
        true => Err(value.expected("letters of M, D and R, with `+`, `*` or `!` before")),
        false => Ok(found),
    }
}

fn application(value: Value<'_>) -> Result<Condition, Stop> {
    let (is_negated, name) = value.negation();
    if name.text == "failed" {
        return Ok(Condition::Application { protocol: None, is_negated });
    }
    let known = ApplicationProtocol::NAMES.iter().find(|(known, _)| *known == name.text);
    match known {
        Some((_, protocol)) => Ok(Condition::Application { protocol: Some(*protocol), is_negated }),
        None if name.text == "ssl" => {
            Ok(Condition::Application { protocol: Some(ApplicationProtocol::Tls), is_negated })
        }
        None => Err(name.unsupported(None)),
    }
}
