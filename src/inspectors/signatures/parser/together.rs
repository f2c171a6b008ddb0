//! What is right by itself and means nothing together.

use alloc::format;
use alloc::string::ToString;

use super::super::{
    ApplicationProtocol, Buffer, Comparison, Condition, Content, Detection, FastPattern, Number,
    Protocol, Rule,
};
use super::Stop;
use super::draft::Item;

pub(super) fn check(rule: &Rule, items: &[Item]) -> Result<(), Stop> {
    let mut application = None;
    let mut is_fast = false;
    for (number, item) in items.iter().enumerate() {
        if item.target.is_payload() && is_relative(&item.detection) {
            let mut before = items.iter().take(number);
            if !before.any(|before| before.target == item.target) {
                return Err(Stop::together(
                    item.offset,
                    "expected something before in the payload that this is relative to, found nothing",
                ));
            }
        }
        protocol(rule, item, &mut application)?;
        sender(rule, items, item)?;
        if let Detection::Content(content) = &item.detection {
            pattern(rule, items, item, content, &mut is_fast)?;
        }
    }
    headers(rule)?;
    if let (Some(_), Some(_)) = (rule.threshold, rule.detection_filter) {
        return Err(Stop::together(
            0,
            "expected either `threshold` or `detection_filter`, found both",
        ));
    }
    Ok(())
}

/// Whether something has to be found before. In a buffer that a rule turns to, its begin will do, and public rules rely on that.
const fn is_relative(detection: &Detection) -> bool {
    match detection {
        Detection::Content(it) => it.is_relative(),
        Detection::Pcre(it) => it.is_relative,
        Detection::DataAt(it) => it.is_relative,
        Detection::ByteTest(it) => it.field.is_relative,
        Detection::ByteJump(it) => it.field.is_relative,
        Detection::ByteExtract(it) => it.field.is_relative,
        Detection::ByteMath(it) => it.field.is_relative,
        Detection::Base64Decode(it) => it.is_relative,
        Detection::Size(_) => false,
    }
}

/// A buffer of another protocol than the rule's, or two of different ones.
fn protocol(
    rule: &Rule,
    item: &Item,
    application: &mut Option<ApplicationProtocol>,
) -> Result<(), Stop> {
    let header = rule.header.protocol;
    let Some(needed) = item.target.buffer.protocol() else {
        if item.target.buffer == Buffer::FileData {
            let carries_none = matches!(
                header,
                Protocol::Application(
                    ApplicationProtocol::Dns | ApplicationProtocol::Tls | ApplicationProtocol::Ssh
                )
            );
            if carries_none {
                return Err(Stop::together(
                    item.offset,
                    format!("expected a protocol that carries files, found {header}"),
                ));
            }
        }
        return Ok(());
    };
    let is_right = match header {
        Protocol::Application(found) => found == needed,
        Protocol::Ip | Protocol::Ipv4 | Protocol::Ipv6 | Protocol::Tcp | Protocol::TcpStream => {
            true
        }
        Protocol::Udp => needed == ApplicationProtocol::Dns,
        _ => false,
    };
    if !is_right {
        let what = format!(
            "expected a rule for {needed}, to which this buffer belongs, found one for {header}"
        );
        return Err(Stop::together(item.offset, what));
    }
    match application.replace(needed) {
        Some(before) if before != needed => {
            let what = format!(
                "expected buffers of one protocol, found some of {before} and some of {needed}"
            );
            Err(Stop::together(item.offset, what))
        }
        _ => Ok(()),
    }
}

/// A buffer that the side that is meant never sends, or two of different sides.
fn sender(rule: &Rule, items: &[Item], item: &Item) -> Result<(), Stop> {
    let Some(sender) = item.target.buffer.sender() else { return Ok(()) };
    if rule.flow.sender.is_some_and(|found| found != sender) {
        return Err(Stop::together(
            item.offset,
            "expected a buffer that the side sends of which `flow` speaks, found one of the other side",
        ));
    }
    let other = items
        .iter()
        .find(|other| other.target.buffer.sender().is_some_and(|other| other != sender));
    match other {
        Some(_) => Err(Stop::together(
            item.offset,
            "expected buffers that one side sends, found some of each side",
        )),
        None => Ok(()),
    }
}

fn pattern(
    rule: &Rule,
    items: &[Item],
    item: &Item,
    content: &Content,
    is_fast: &mut bool,
) -> Result<(), Stop> {
    let has_place = content.is_relative() || content.offset.is_some() || content.depth.is_some();
    if let Some(kind) = content.fast_pattern {
        if core::mem::replace(is_fast, true) {
            return Err(Stop::together(
                item.offset,
                "expected `fast_pattern` once in a rule, found it twice",
            ));
        }
        if content.is_negated && (has_place || kind == FastPattern::Only) {
            return Err(Stop::together(
                item.offset,
                "expected `fast_pattern` for a pattern that has to be there, found a negated one with a place",
            ));
        }
        if kind == FastPattern::Only && has_place {
            return Err(Stop::together(
                item.offset,
                "expected `fast_pattern:only` for a pattern that may be anywhere, found one with a place",
            ));
        }
    }
    if content.is_negated {
        return Ok(());
    }
    let length = u64::try_from(content.pattern.len()).unwrap_or(u64::MAX);
    let offset = match content.offset {
        Some(Number::Literal(offset)) => u64::try_from(offset).unwrap_or(0),
        _ => 0,
    };
    let needed = length.saturating_add(offset);
    let sizes = items.iter().filter(|other| other.target == item.target);
    let sizes = sizes.filter_map(|other| match other.detection {
        Detection::Size(size) => Some(size),
        _ => None,
    });
    let payload = rule.conditions.iter().filter_map(|condition| match condition {
        Condition::PayloadSize(size) if item.target.is_payload() => Some(wide(*size)),
        _ => None,
    });
    if sizes.chain(payload).filter_map(most).any(|most| most < needed) {
        return Err(Stop::together(
            item.offset,
            format!(
                "expected a size that has room for the pattern, found one below {needed} bytes"
            ),
        ));
    }
    Ok(())
}

const fn wide(size: Comparison<u16>) -> Comparison<u64> {
    match size {
        Comparison::Equal(it) => Comparison::Equal(it as u64),
        Comparison::NotEqual(it) => Comparison::NotEqual(it as u64),
        Comparison::Less(it) => Comparison::Less(it as u64),
        Comparison::LessOrEqual(it) => Comparison::LessOrEqual(it as u64),
        Comparison::Greater(it) => Comparison::Greater(it as u64),
        Comparison::GreaterOrEqual(it) => Comparison::GreaterOrEqual(it as u64),
        Comparison::Between(above, below) => Comparison::Between(above as u64, below as u64),
    }
}

/// The largest number that is like this, where there is one.
const fn most(size: Comparison<u64>) -> Option<u64> {
    match size {
        Comparison::Equal(it) | Comparison::LessOrEqual(it) => Some(it),
        Comparison::Less(it) | Comparison::Between(_, it) => Some(it.saturating_sub(1)),
        Comparison::NotEqual(_) | Comparison::Greater(_) | Comparison::GreaterOrEqual(_) => None,
    }
}

/// Fields that packets of the rule's protocol do not have.
fn headers(rule: &Rule) -> Result<(), Stop> {
    let protocol = rule.header.protocol;
    let is_any =
        matches!(protocol, Protocol::Ip | Protocol::Ipv4 | Protocol::Ipv6 | Protocol::PacketHeader);
    for condition in &rule.conditions {
        let is_right = match condition {
            Condition::IcmpType(_)
            | Condition::IcmpCode(_)
            | Condition::IcmpId(_)
            | Condition::IcmpSequence(_) => {
                is_any || matches!(protocol, Protocol::Icmp | Protocol::Icmpv4 | Protocol::Icmpv6)
            }
            Condition::TcpFlags(_)
            | Condition::TcpSequence(_)
            | Condition::TcpAcknowledgement(_)
            | Condition::TcpWindow { .. } => {
                is_any
                    || matches!(
                        protocol,
                        Protocol::Tcp
                            | Protocol::TcpPacket
                            | Protocol::TcpStream
                            | Protocol::Application(_)
                    )
            }
            Condition::IpId(_) | Condition::Fragments(_) => protocol != Protocol::Ipv6,
            _ => true,
        };
        if !is_right {
            let what = format!(
                "expected a protocol whose packets have what `{}` asks for, found {protocol}",
                condition.to_string().split(':').next().unwrap_or_default()
            );
            return Err(Stop::together(0, what));
        }
    }
    Ok(())
}
