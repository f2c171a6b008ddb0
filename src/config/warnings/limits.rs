use alloc::format;

use super::Findings;
use crate::config::Config;

/// Limits that can never be reached, as a lower one is reached before.
pub(super) fn look(config: &Config, findings: &mut Findings<'_, '_>) {
    let settings = &config.settings;
    let flows = &settings.flows;
    let size = |number: u32| usize::try_from(number).unwrap_or(usize::MAX);
    let pairs = [
        (("flows-per-endpoint", flows.flows_per_endpoint), ("flows", flows.flows), true),
        (
            ("fragments-per-endpoint", settings.fragments_per_endpoint),
            ("fragments", settings.fragments),
            true,
        ),
        (("endpoints", flows.endpoints), ("flows", flows.flows), false),
        (("streams", settings.streams.connections), ("flows", flows.flows), false),
        (("header-bytes", flows.header_bytes), ("flow-bytes", flows.bytes), true),
        (
            ("stream-window", size(settings.streams.window)),
            ("stream-bytes", settings.streams.bytes),
            false,
        ),
        (
            ("message-size", size(settings.messages.message)),
            ("message-bytes", settings.message_bytes),
            false,
        ),
    ];
    for ((key, limit), (lower_key, lower), is_moot_if_same) in pairs {
        if limit > lower || is_moot_if_same && limit == lower {
            // Where it was left as it is by default, the lower one was meant to be lower.
            findings.warn_at(
                &["limits", key],
                format!("can never be reached: `{lower_key}` is {lower} and is reached before"),
            );
        }
    }
    for (id, special) in &settings.endpoints {
        if special.flows.is_some_and(|most| most >= flows.flows) {
            let all = flows.flows;
            findings.warn_at(
                &["endpoints", &format!("{id}"), "flows"],
                format!("can never be reached: `limits.flows` is {all} and is reached before"),
            );
        }
    }
    let listed = settings.endpoints.len();
    if listed > flows.endpoints {
        let most = flows.endpoints;
        findings.warn_at(
            &["endpoints"],
            format!("{listed} are listed, of which no more than {most} can have flows at a time: see `limits.endpoints`"),
        );
    }
}
