use alloc::format;
use alloc::vec::Vec;

use super::Findings;
use crate::config::Config;
use crate::gwlb::EndpointId;
use crate::inspect::{Exception, Treatment};
use crate::inspectors::access::{AccessList, Action, Rule};

/// Policies, endpoints and the monitor mode.
pub(super) fn look(config: &Config, findings: &mut Findings<'_, '_>) {
    policies(config, findings);
    monitor(config, findings);
    endpoints(config, findings);
    if config.run.allow_origin.is_empty() {
        findings.warn_at(
            &["run", "allow-origin"],
            "the list is empty, which is as if it were not there: private networks may send",
        );
    }
}

/// Classes of exceptions that cannot come about.
fn policies(config: &Config, findings: &mut Findings<'_, '_>) {
    let looks_into = config.looks_into_streams();
    let endpoints = &config.settings.endpoints;
    for class in Exception::ALL {
        let why = match class {
            Exception::OverBudget => "inspectors have no budget of time here",
            Exception::InspectorPanic if !config.inspects() => "there is no inspector",
            Exception::UnknownEndpoint if endpoints.is_empty() => "no `endpoints` are listed",
            Exception::StreamMemoryFull | Exception::ProtocolUnparsable if !looks_into => {
                "nothing looks into streams or messages"
            }
            _ => continue,
        };
        let name = class.name();
        let text = format!("`{name}` never comes about: {why}");
        findings.warn_at(&["policy", name], text.as_str());
        for id in endpoints.keys() {
            findings.warn_at(&["endpoints", &format!("{id}"), "policy", name], text.as_str());
        }
    }
    for id in endpoints.keys() {
        findings.warn_at(
            &["endpoints", &format!("{id}"), "policy", Exception::UnknownEndpoint.name()],
            "`unknown-endpoint` never comes about here: this endpoint is listed",
        );
    }
}

/// Refusals that only tell.
fn monitor(config: &Config, findings: &mut Findings<'_, '_>) {
    let settings = &config.settings;
    let all_watch = settings.endpoints.values().all(|it| it.monitor.unwrap_or(settings.monitor));
    if settings.monitor && all_watch {
        let refusing = config.refusing();
        if let Some((first, others)) = refusing.split_first() {
            let names = others.iter().fold(format!("`{first}`"), |all, it| all + ", `" + it + "`");
            findings.warn_at(
                &["monitor"],
                format!("what {names} would refuse is forwarded all the same, and only told"),
            );
        }
        return;
    }
    let Some(list) = &config.access else { return };
    let watches = |id: &EndpointId| {
        let own = settings.endpoints.get(id).and_then(|endpoint| endpoint.monitor);
        own.unwrap_or(settings.monitor)
    };
    for ((at, _), rule) in findings.tables(&["access", "rule"]).into_iter().zip(list.rules()) {
        let is_moot = rule.action != Action::Allow && !rule.endpoints.is_empty();
        if is_moot && rule.endpoints.iter().all(watches) {
            findings.warn(at, "refuses nothing: its endpoints only monitor, so it only tells");
        }
    }
}

/// Endpoints without traffic.
fn endpoints(config: &Config, findings: &mut Findings<'_, '_>) {
    let settings = &config.settings;
    let Some(list) = &config.access else { return };
    let drops_unknown = settings.policy.treatment(Exception::UnknownEndpoint) != Treatment::Pass;
    if !settings.endpoints.is_empty() && drops_unknown && !settings.monitor {
        for ((at, _), rule) in findings.tables(&["access", "rule"]).into_iter().zip(list.rules()) {
            let is_listed = |id: &EndpointId| settings.endpoints.contains_key(id);
            if !rule.endpoints.is_empty() && !rule.endpoints.iter().any(is_listed) {
                findings.warn(
                    at,
                    "never applies: none of its endpoints is in `endpoints`, and the policy drops what comes from others",
                );
            }
        }
    }
    for (id, special) in &settings.endpoints {
        if !special.monitor.unwrap_or(settings.monitor) && !lets_any(list, Some(*id)) {
            findings.warn_at(
                &["endpoints", &format!("{id}")],
                "nothing that comes from this endpoint can pass: `access` refuses all of it",
            );
        }
    }
    let is_watched = settings.monitor || !settings.endpoints.is_empty();
    if !is_watched && !lets_any(list, None) && list.rules().iter().all(|it| it.endpoints.is_empty())
    {
        findings.warn_at(&["access"], "nothing can pass: `access` refuses everything");
    }
}

/// Whether something may pass of what comes from an endpoint, or from all whose names nobody names.
fn lets_any(list: &AccessList, endpoint: Option<EndpointId>) -> bool {
    let concerns = |rule: &&Rule| {
        rule.endpoints.is_empty() || endpoint.is_some_and(|id| rule.endpoints.contains(&id))
    };
    for rule in list.rules().iter().filter(concerns).collect::<Vec<_>>() {
        let Rule { from, to, ports, source_ports, protocols, .. } = rule;
        if rule.action == Action::Allow {
            return true;
        }
        let takes_all = from.is_empty() && to.is_empty() && protocols.is_empty();
        if takes_all && ports.is_empty() && source_ports.is_empty() {
            return false;
        }
    }
    list.default_action() == Action::Allow
}
