//! Actions of anomalies as TOML.

use alloc::vec::Vec;
use core::iter;

use toml::de::{DeTable, DeValue};

use super::rules::Actions;
use super::{Action, AnomalyRules, ConfigErrors, Event};
use crate::toml_text::{Reader, Value};

impl AnomalyRules {
    /// From TOML. Values of kinds of anomalies are `ignore`, `alert`, `drop` and `reject`.
    ///
    /// | key | takes | by default |
    /// |---|---|---|
    /// | `default` | the action of events that are not named | what [`AnomalyRules`] has for each |
    /// | the name of an [`Event`] | its action | `default` |
    /// | `http-ports`, `tls-ports` | a port or a list of ports | see [`AnomalyRules`] |
    /// | `low-ttl`, `ttl-tolerance` | a number | 3, 4 |
    /// | `http`, `tls` | a table with a `default` of its own and the names of [anomalies](crate::protocol) of HTTP and TLS | `alert` |
    ///
    /// ```
    /// use gwlb_geneve::inspectors::anomaly::AnomalyRules;
    ///
    /// let errors = AnomalyRules::from_toml("land = \"drop\"\ntcp-null = \"dropp\"").unwrap_err();
    /// assert_eq!(
    ///     errors.to_string(),
    ///     "line 2, column 12: expected `ignore`, `alert`, `drop` or `reject`, found `dropp`; did you mean `drop`?",
    /// );
    /// ```
    ///
    /// # Errors
    ///
    /// Everything that is wrong with the text, each with its line and column, in their order.
    pub fn from_toml(text: &str) -> Result<Self, ConfigErrors> {
        let mut reader = Reader::new(text);
        let rules = match reader.document() {
            Some(document) => anomaly_rules(&mut reader, &document),
            None => None,
        };
        rules.ok_or_else(|| reader.finish())
    }
}

/// The rules in a table, `None` where there is a mistake in it.
pub(crate) fn anomaly_rules(reader: &mut Reader<'_>, table: &DeTable<'_>) -> Option<AnomalyRules> {
    let errors_before = reader.errors();
    let mut rules = AnomalyRules::default();
    let events = Event::ALL.iter().map(|event| (event.name(), event.bit()));
    let others = ["http-ports", "tls-ports", "low-ttl", "ttl-tolerance", "http", "tls"];
    actions(reader, table, &mut rules.events, events, &others);
    if let Some(value) = table.get("http-ports") {
        rules.http_ports = ports(reader, value);
    }
    if let Some(value) = table.get("tls-ports") {
        rules.tls_ports = ports(reader, value);
    }
    let numbers = [("low-ttl", &mut rules.low_ttl), ("ttl-tolerance", &mut rules.ttl_tolerance)];
    for (key, field) in numbers {
        let number = reader.number(table, key, 0..=u8::MAX.into());
        *field = number.and_then(|number| u8::try_from(number).ok()).unwrap_or(*field);
    }
    for key in ["http", "tls"] {
        let Some(value) = table.get(key) else { continue };
        let Some(table) = value.get_ref().as_table() else {
            reader.wrong_type(value, "a table");
            continue;
        };
        match key {
            #[cfg(feature = "http")]
            "http" => {
                let all = crate::protocol::http::Anomaly::ALL;
                let names = all.into_iter().map(|anomaly| (anomaly.name(), anomaly.bit()));
                actions(reader, table, &mut rules.http, names, &[]);
            }
            #[cfg(feature = "tls")]
            "tls" => {
                let all = crate::protocol::tls::Anomalies::NAMES.iter();
                let names = all.map(|(anomaly, name)| (*name, u64::from(anomaly.bits())));
                actions(reader, table, &mut rules.tls, names, &[]);
            }
            // They are not looked for, which nobody should miss.
            _ => {
                let keys = table.len();
                let found = alloc::format!("`{key}` with {keys} keys, without the feature `{key}`");
                reader.unexpected(value.span().start, "a protocol that is built in", &found);
            }
        }
    }
    (reader.errors() == errors_before).then_some(rules)
}

fn actions(
    reader: &mut Reader<'_>,
    table: &DeTable<'_>,
    actions: &mut Actions,
    names: impl Iterator<Item = (&'static str, u64)> + Clone,
    others: &[&'static str],
) {
    let keys = iter::once("default").chain(names.clone().map(|(name, _)| name));
    let keys: Vec<_> = keys.chain(others.iter().copied()).collect();
    reader.keys(table, &keys);
    if let Some(action) = table.get("default").and_then(|it| reader.word(it, Action::NAMES)) {
        *actions = Actions::all(action);
    }
    for (name, bit) in names {
        if let Some(action) = table.get(name).and_then(|it| reader.word(it, Action::NAMES)) {
            actions.set(bit, action);
        }
    }
}

/// One port or a list of them, which may be empty.
fn ports(reader: &mut Reader<'_>, value: &Value<'_>) -> Vec<u16> {
    let values = match value.get_ref() {
        DeValue::Array(values) => values.iter().collect(),
        _ => Vec::from([value]),
    };
    let mut ports = Vec::new();
    for value in values {
        let DeValue::Integer(number) = value.get_ref() else {
            reader.wrong_type(value, "a port or a list of ports");
            continue;
        };
        match u16::from_str_radix(number.as_str(), number.radix()) {
            Ok(port @ 1..) => ports.push(port),
            _ => {
                let found = alloc::string::ToString::to_string(number);
                reader.unexpected(value.span().start, "a port from 1 to 65535", &found);
            }
        }
    }
    ports
}
