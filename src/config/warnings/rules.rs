use alloc::format;
#[cfg(feature = "signatures")]
use alloc::string::ToString;
#[cfg(any(feature = "api", feature = "protocols"))]
use alloc::vec::Vec;

#[cfg(any(feature = "api", feature = "protocols"))]
use toml::de::DeValue;

use super::{Findings, rule_name};
use crate::config::Config;
use crate::inspectors::access::Action;
use crate::inspectors::anomaly::{Action as AnomalyAction, Event};
use crate::inspectors::rate::{Action as RateAction, RateRule};
#[cfg(any(feature = "api", feature = "protocols"))]
use crate::toml_text::Value;
#[cfg(feature = "api")]
use crate::toml_text::nearest;

/// Rules of inspectors that never come to their turn.
pub(super) fn look(config: &Config, findings: &mut Findings<'_, '_>) {
    #[cfg(feature = "capture")]
    if config.evidence().is_some() {
        tap(config, findings);
    }
    access(config, findings);
    rate(config, findings);
    anomaly(config, findings);
    #[cfg(feature = "protocols")]
    domains(config, findings);
    #[cfg(feature = "api")]
    api(config, findings);
    #[cfg(feature = "signatures")]
    signatures(config, findings);
}

fn access(config: &Config, findings: &mut Findings<'_, '_>) {
    let Some(list) = &config.access else { return };
    if list.rules().is_empty() && list.default_action() == Action::Allow {
        findings.warn_at(&["access"], "refuses nothing: there is no rule, and the default allows");
    }
    let places = findings.tables(&["access", "rule"]);
    for shadowed in list.shadowed() {
        let Some((at, _)) = places.get(shadowed.rule.index()) else { continue };
        let name = |rule| list.rule(rule).and_then(|rule| rule.name.as_deref());
        let rule = rule_name(shadowed.rule.index(), name(shadowed.rule));
        let by = rule_name(shadowed.by.index(), name(shadowed.by));
        findings.warn(*at, format!("{rule} never applies: {by} takes every flow before it"));
    }
}

fn rate(config: &Config, findings: &mut Findings<'_, '_>) {
    let Some(limits) = &config.rate else { return };
    if limits.rules().len() == 0 {
        findings.warn_at(&["rate"], "the list of rules is empty: nothing is limited");
    }
    for (index, ((at, _), rule)) in
        findings.tables(&["rate", "rule"]).into_iter().zip(limits.rules()).enumerate()
    {
        let mut earlier = limits.rules().enumerate().take(index);
        if let Some((number, by)) = earlier.find(|(_, earlier)| is_stricter(earlier, rule)) {
            let rule = rule_name(index, rule.name.as_deref());
            let by = rule_name(number, by.name.as_deref());
            findings
                .warn(at, format!("{rule} can never be reached: {by} refuses what is beyond less"));
        }
    }
}

/// Whether what one rule lets pass is never beyond another one.
fn is_stricter(one: &RateRule, other: &RateRule) -> bool {
    let meant =
        |rule: &RateRule| (rule.per, rule.of, rule.direction, rule.prefix_v4, rule.prefix_v6);
    one.action != RateAction::Alert
        && meant(one) == meant(other)
        && one.rate <= other.rate
        && one.burst <= other.burst
}

fn anomaly(config: &Config, findings: &mut Findings<'_, '_>) {
    let Some(rules) = &config.anomaly else { return };
    if rules.ignores_all() {
        findings.warn_at(&["anomaly"], "looks for nothing: all that it knows is ignored");
    }
    for (key, event) in [("low-ttl", Event::TtlLow), ("ttl-tolerance", Event::TtlChanged)] {
        if rules.action(event) == AnomalyAction::Ignore {
            let event = event.name();
            findings.warn_at(&["anomaly", key], format!("of no use: `{event}` is ignored"));
        }
    }
    let ports = [
        ("http-ports", rules.http_ports.is_empty(), Event::NotHttp),
        ("tls-ports", rules.tls_ports.is_empty(), Event::NotTls),
    ];
    for (key, is_empty, event) in ports {
        let event = event.name();
        if is_empty {
            let text = format!("never comes about: `{key}` is empty");
            findings.warn_at(&["anomaly", event], text);
        }
    }
}

#[cfg(feature = "protocols")]
fn domains(config: &Config, findings: &mut Findings<'_, '_>) {
    use crate::Timestamp;
    use crate::inspectors::domains::{Action, DomainLists, DomainPattern, Over};

    let Some(lists) = config.domain_lists() else { return };
    if lists.actions().all(|action| action == Action::Allow) {
        findings.warn_at(&["domains"], "decides nothing: all that it knows is to allow");
    }
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    if !lists.discovers(Timestamp::from_unix(now.unwrap_or_default())) {
        findings.warn_at(&["domains", "discover-until"], "of no use: this time is over");
    }
    // The lists before the one that is looked at.
    let mut earlier = DomainLists::new(Action::Allow);
    for (at, table) in findings.tables(&["domains", "list"]) {
        let each = |key: &str| table.get(key).map(values).unwrap_or_default();
        let named = each("over").into_iter().filter_map(|value| {
            let name = value.get_ref().as_str()?;
            Over::ALL.into_iter().find(|over| over.name() == name)
        });
        let mut over: Vec<_> = named.collect();
        if over.is_empty() {
            over.extend(Over::ALL);
        }
        let names = each("names").into_iter().filter_map(|value| {
            let pattern: DomainPattern = value.get_ref().as_str()?.parse().ok()?;
            Some((value.span().start, pattern))
        });
        let names: Vec<_> = names.collect();
        let is_taken = |pattern: &DomainPattern| {
            // No pattern has this label, so that only those take it that take all below a name.
            let asked = match (pattern.is_below(), pattern.name()) {
                (true, "") => "?".into(),
                (true, name) => format!("?.{name}"),
                (false, name) => name.into(),
            };
            over.iter().all(|over| earlier.decide(&asked, *over).list.is_some())
        };
        let taken: Vec<_> = names.iter().filter(|(_, pattern)| is_taken(pattern)).collect();
        if !taken.is_empty() && taken.len() == names.len() {
            findings.warn(at, "the list never applies: earlier ones take all of its names");
        } else {
            for (at, pattern) in taken {
                findings.warn(*at, format!("`{pattern}` never applies: an earlier list takes it"));
            }
        }
        let patterns = names.into_iter().map(|(_, pattern)| pattern);
        earlier = earlier.list("", Action::Allow, &over, patterns);
    }
}

#[cfg(feature = "api")]
fn api(config: &Config, findings: &mut Findings<'_, '_>) {
    let Some(rules) = &config.api else { return };
    if rules.rules().is_empty() {
        findings.warn_at(&["api", "rule"], "the list of rules is empty: every request is refused");
    }
    let places = findings.tables(&["api", "rule"]);
    #[cfg(feature = "jwt-keys")]
    for ((_, table), rule) in places.iter().zip(rules.rules()) {
        let keys = table.get("token").and_then(|token| token.get_ref().get("public-keys"));
        let skipped = rule.public_keys().map(|keys| keys.skipped());
        let skipped = skipped.filter(|skipped| skipped.count() > 0);
        if let (Some(keys), Some(skipped)) = (keys, skipped) {
            findings.warn(keys.span().start, format!("public keys that are not taken: {skipped}"));
        }
    }
    for (_, table) in &places {
        for value in table.get("methods").map(values).unwrap_or_default() {
            let Some(method) = value.get_ref().as_str() else { continue };
            if let Some(meant) = mistaken_method(method) {
                findings.warn(
                    value.span().start,
                    format!(
                        "expected a method that HTTP has, found `{method}`; did you mean `{meant}`?"
                    ),
                );
            }
        }
    }
    for (rule, by) in rules.shadowed() {
        let name = |rule: usize| rules.rules().get(rule).map(|rule| rule.called());
        let (told, by) = (rule_name(rule, name(rule)), rule_name(by, name(by)));
        if let Some((at, _)) = places.get(rule) {
            findings.warn(*at, format!("{told} never applies: {by} takes every request before it"));
        }
    }
}

/// Flows that are kept.
#[cfg(feature = "capture")]
fn tap(config: &Config, findings: &mut Findings<'_, '_>) {
    let has_rules = config.tap_rules().is_some();
    if config.settings().capture_alerts.is_none() && !has_rules {
        findings.warn_at(&["tap", "alerts"], "keeps nothing: neither alerts nor a `[[tap.rule]]`");
    }
}

/// Rules of signatures: those that do not load are told of by the report.
#[cfg(feature = "signatures")]
fn signatures(config: &Config, findings: &mut Findings<'_, '_>) {
    let Some(report) = config.signature_report() else { return };
    let unready = config.signatures().map_or(0, |set| set.problems().len());
    let errors = report.errors().len().saturating_add(unready);
    let set = config.signatures();
    let problem = || {
        let (id, problem) = set?.problems().first()?;
        Some(format!("sid {}: {problem}", id.sid))
    };
    let first = report.errors().first().map(ToString::to_string).or_else(problem);
    if config.signatures().is_some_and(|set| set.is_empty()) {
        let why = first.map(|first| format!(": {first}")).unwrap_or_default();
        findings.warn_at(&["signatures"], format!("no rule of `files` or `rules` is loaded{why}"));
    } else if let Some(first) = first {
        let text = format!(
            "rules that are not loaded, and other mistakes in their files: {errors}, the first: {first}"
        );
        findings.warn_at(&["signatures"], text);
    }
}

/// One value, or those of a list.
#[cfg(any(feature = "api", feature = "protocols"))]
fn values<'v, 'a>(value: &'v Value<'a>) -> Vec<&'v Value<'a>> {
    match value.get_ref() {
        DeValue::Array(values) => values.iter().collect(),
        _ => Vec::from([value]),
    }
}

/// The method that is most likely meant by one that is not registered. Others may well be somebody's own.
#[cfg(feature = "api")]
fn mistaken_method(method: &str) -> Option<&'static str> {
    /// Those that are registered ([IANA](https://www.iana.org/assignments/http-methods)), the usual ones first.
    const REGISTERED: [&str; 39] = [
        "GET",
        "HEAD",
        "POST",
        "PUT",
        "DELETE",
        "OPTIONS",
        "PATCH",
        "TRACE",
        "CONNECT",
        "ACL",
        "BASELINE-CONTROL",
        "BIND",
        "CHECKIN",
        "CHECKOUT",
        "COPY",
        "LABEL",
        "LINK",
        "LOCK",
        "MERGE",
        "MKACTIVITY",
        "MKCALENDAR",
        "MKCOL",
        "MKREDIRECTREF",
        "MKWORKSPACE",
        "MOVE",
        "ORDERPATCH",
        "PRI",
        "PROPFIND",
        "PROPPATCH",
        "REBIND",
        "REPORT",
        "SEARCH",
        "UNBIND",
        "UNCHECKOUT",
        "UNLINK",
        "UNLOCK",
        "UPDATE",
        "UPDATEREDIRECTREF",
        "VERSION-CONTROL",
    ];

    if REGISTERED.contains(&method) {
        return None;
    }
    nearest(method, 1, REGISTERED)
}
