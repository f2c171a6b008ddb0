use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec::Vec;

use toml::de::DeTable;

use super::{
    Config, ConfigErrors, ConfigProblem, Exception, ExceptionPolicy, Treatment, operation,
};
use crate::engine::EndpointSettings;
use crate::gwlb::EndpointId;
use crate::inspectors::access::config::{access_list, expected_endpoint};
use crate::inspectors::anomaly::config::anomaly_rules;
use crate::inspectors::rate::config::rate_limits;
use crate::toml_text::{Reader, Value, alternatives, suggestion};

const KEYS: [&str; 14] = [
    "monitor",
    "policy",
    "endpoints",
    "access",
    "rate",
    "anomaly",
    "domains",
    "api",
    "signatures",
    "eve",
    "tap",
    "run",
    "limits",
    "timeouts",
];
const ENDPOINT_KEYS: [&str; 4] = ["name", "monitor", "policy", "flows"];

/// As many as a flow table can count.
const MOST_FLOWS: u64 = 1 << 28;

/// Reads on after a mistake, so that all of them are found at once.
pub(super) fn read(text: &str) -> Result<Config, ConfigErrors> {
    let mut reader = Reader::new(text);
    let Some(document) = reader.document() else { return Err(reader.finish()) };
    reader.keys(&document, &KEYS);
    let mut config = Config::default();
    let settings = &mut config.settings;
    settings.monitor = monitor(&mut reader, &document).unwrap_or_default();
    settings.policy = policy(&mut reader, &document, settings.policy).unwrap_or(settings.policy);
    if let Some((endpoints, _)) = table(&mut reader, &document, "endpoints") {
        for (name, value) in endpoints {
            let found = name.get_ref();
            let id = match found.parse::<EndpointId>() {
                Ok(id) => id,
                Err(error) => {
                    reader.unexpected(name.span().start, expected_endpoint(error), found);
                    continue;
                }
            };
            if settings.endpoints.contains_key(&id) {
                reader.unexpected(name.span().start, "each endpoint once", found);
            }
            let Some(special) = as_table(&mut reader, value) else { continue };
            reader.keys(special, &ENDPOINT_KEYS);
            let monitor = monitor(&mut reader, special);
            let policy = policy(&mut reader, special, settings.policy);
            let flows = reader.number(special, "flows", 1..=MOST_FLOWS);
            let flows = flows.and_then(|flows| usize::try_from(flows).ok());
            let name = special.get("name").and_then(|value| {
                let name = value.get_ref().as_str();
                if name.is_none() {
                    reader.wrong_type(value, "a string");
                }
                name.map(Arc::from)
            });
            settings.endpoints.insert(id, EndpointSettings { name, flows, policy, monitor });
        }
    }
    if let Some((access, at)) = table(&mut reader, &document, "access") {
        config.access = access_list(&mut reader, access, at).map(Arc::new);
    }
    if let Some((rate, at)) = table(&mut reader, &document, "rate") {
        let seed = config.settings.seed.clone();
        config.rate = rate_limits(&mut reader, rate, at, seed).map(Arc::new);
    }
    if let Some((anomaly, _)) = table(&mut reader, &document, "anomaly") {
        config.anomaly = anomaly_rules(&mut reader, anomaly).map(Arc::new);
    }
    if let Some((domains, at)) = table(&mut reader, &document, "domains") {
        #[cfg(feature = "protocols")]
        {
            let lists = crate::inspectors::domains::config::domain_lists(&mut reader, domains, at);
            config.domains = lists.map(crate::inspectors::domains::DomainInspector::new);
        }
        #[cfg(not(feature = "protocols"))]
        reader.unexpected(
            at,
            "a build with the feature `protocols` for this table",
            &count(domains),
        );
    }
    if let Some((api, at)) = table(&mut reader, &document, "api") {
        #[cfg(feature = "api")]
        {
            config.api =
                crate::inspectors::api::config::api_rules(&mut reader, api, at).map(Arc::new);
        }
        #[cfg(not(feature = "api"))]
        reader.unexpected(at, "a build with the feature `api` for this table", &count(api));
    }
    if let Some((signatures, _at)) = table(&mut reader, &document, "signatures") {
        #[cfg(feature = "signatures")]
        {
            let made = crate::inspectors::signatures::config::signatures(&mut reader, signatures);
            config.signatures = made.map(|(signatures, report)| (Arc::new(signatures), report));
        }
        #[cfg(not(feature = "signatures"))]
        reader.unexpected(
            _at,
            "a build with the feature `signatures` for this table",
            &count(signatures),
        );
    }
    if let Some((eve, at)) = table(&mut reader, &document, "eve") {
        #[cfg(feature = "eve")]
        {
            config.eve = super::eve::eve(&mut reader, eve, at);
        }
        #[cfg(not(feature = "eve"))]
        {
            let _ = eve;
            reader.unexpected(at, "no `eve` in what was built without that feature", "eve");
        }
    }
    if let Some((tap, at)) = table(&mut reader, &document, "tap") {
        #[cfg(feature = "capture")]
        {
            config.evidence = super::tap::tap(&mut reader, tap, at, &mut config);
        }
        #[cfg(not(feature = "capture"))]
        {
            let _ = tap;
            reader.unexpected(
                at,
                "no `tap` in what was built without the feature `capture`",
                "tap",
            );
        }
    }
    if let Some((run, _)) = table(&mut reader, &document, "run") {
        config.run = operation::run(&mut reader, run);
    }
    if let Some((limits, _)) = table(&mut reader, &document, "limits") {
        operation::limits(&mut reader, limits, &mut config.settings);
    }
    if let Some((timeouts, _)) = table(&mut reader, &document, "timeouts") {
        operation::timeouts(&mut reader, timeouts, &mut config.settings);
    }
    if reader.errors() > 0 { Err(reader.finish()) } else { Ok(config) }
}

/// What is found where nothing can be read.
#[cfg(not(all(feature = "api", feature = "protocols", feature = "signatures")))]
fn count(table: &DeTable<'_>) -> String {
    alloc::format!("{} keys", table.len())
}

fn monitor(reader: &mut Reader<'_>, table: &DeTable<'_>) -> Option<bool> {
    let value = table.get("monitor")?;
    let monitor = value.get_ref().as_bool();
    if monitor.is_none() {
        reader.wrong_type(value, "`true` or `false`");
    }
    monitor
}

/// The policy of a table, if it has one. `base` is what a policy begins with that names no profile.
fn policy(
    reader: &mut Reader<'_>,
    parent: &DeTable<'_>,
    base: ExceptionPolicy,
) -> Option<ExceptionPolicy> {
    let (table, _) = table(reader, parent, "policy")?;
    let classes = Exception::ALL.map(Exception::name);
    let keys: Vec<_> = core::iter::once("profile").chain(classes).collect();
    reader.keys(table, &keys);
    let mut policy = base;
    if let Some(value) = table.get("profile") {
        let profiles =
            [("available", ExceptionPolicy::AVAILABLE), ("strict", ExceptionPolicy::STRICT)];
        policy = reader.word(value, profiles).unwrap_or(base);
    }
    for class in Exception::ALL {
        let Some(value) = table.get(class.name()) else { continue };
        let Some(found) = value.get_ref().as_str() else {
            reader.wrong_type(value, "a string");
            continue;
        };
        let treatment = Treatment::from_name(found);
        match treatment.and_then(|treatment| policy.with(class, treatment).ok()) {
            Some(changed) => policy = changed,
            None => {
                let names: Vec<_> = class.treatments().iter().map(|it| it.name()).collect();
                let suggestion = match treatment {
                    None => suggestion(found, names.iter().copied()).map(String::from),
                    // It is no slip of the pen.
                    Some(_) => None,
                };
                let (expected, found) = (alternatives(&names), found.into());
                let problem = ConfigProblem::Word { expected, found, suggestion };
                reader.report(value.span().start, problem);
            }
        }
    }
    Some(policy)
}

/// The table of a key, if it is there, and its place.
fn table<'t, 'a>(
    reader: &mut Reader<'_>,
    parent: &'t DeTable<'a>,
    key: &str,
) -> Option<(&'t DeTable<'a>, usize)> {
    let value = parent.get(key)?;
    Some((as_table(reader, value)?, value.span().start))
}

fn as_table<'t, 'a>(reader: &mut Reader<'_>, value: &'t Value<'a>) -> Option<&'t DeTable<'a>> {
    let table = value.get_ref().as_table();
    if table.is_none() {
        reader.wrong_type(value, "a table");
    }
    table
}
