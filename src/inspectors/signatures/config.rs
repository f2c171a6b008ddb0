//! Signatures as TOML.

use alloc::collections::BTreeMap;
use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;

use toml::de::{DeTable, DeValue};

use super::{
    AlertFilters, Classes, Lifecycle, Loader, Report, RuleError, SignatureLimits,
    SignatureSettings, Signatures, Variables,
};
use crate::gwlb::EndpointId;
use crate::inspectors::access::config::expected_endpoint;
use crate::toml_text::{Reader, Value};

const KEYS: [&str; 22] = [
    "files",
    "rules",
    "addresses",
    "ports",
    "endpoints",
    "enable",
    "disable",
    "drop",
    "modify",
    "classes",
    "thresholds",
    "stream-depth",
    "stream-window",
    "request-body",
    "response-body",
    "bytes",
    "bytes-per-endpoint",
    "steps",
    "unanswered",
    "remembered",
    "remembered-per-endpoint",
    "costs",
];
const ENDPOINT_KEYS: [&str; 2] = ["addresses", "ports"];

/// What a configuration says about signatures, made ready, and what became of the rules in its files.
pub(crate) fn signatures(
    reader: &mut Reader<'_>,
    table: &DeTable<'_>,
) -> Option<(Signatures, Report)> {
    let errors_before = reader.errors();
    reader.keys(table, &KEYS);
    let mut settings = SignatureSettings::default();
    variables(reader, table, &mut settings.variables);
    if let Some(value) = table.get("endpoints") {
        match value.get_ref().as_table() {
            Some(endpoints) => {
                let general = settings.variables.clone();
                settings.endpoints = of_endpoints(reader, endpoints, &general);
            }
            None => reader.wrong_type(value, "a table"),
        }
    }
    limits(reader, table, &mut settings.limits);
    if let Some(value) = table.get("costs") {
        match value.get_ref().as_bool() {
            Some(costs) => settings.counts_costs = costs,
            None => reader.wrong_type(value, "`true` or `false`"),
        }
    }
    for (file, bytes, at) in files(reader, table, "classes") {
        let (classes, errors) = Classes::parse(&file, &String::from_utf8_lossy(&bytes));
        settings.classes = classes;
        tell(reader, at, &errors);
    }
    for (file, bytes, at) in files(reader, table, "thresholds") {
        let text = String::from_utf8_lossy(&bytes);
        let (filters, errors) = AlertFilters::parse(&file, &text, &settings.variables);
        settings.filters = filters;
        tell(reader, at, &errors);
    }
    let lifecycle = lifecycle(reader, table);
    let mut loader = Loader::new(settings.variables.clone()).lifecycle(lifecycle);
    for (file, rules, _) in files(reader, table, "files") {
        loader.add(&file, &rules);
    }
    if let Some(rules) = table.get("rules").and_then(|value| text(reader, value)) {
        loader.add("", rules.as_bytes());
    }
    if reader.errors() > errors_before {
        return None;
    }
    let loaded = loader.finish();
    let set = Signatures::new(loaded.rules(), &settings);
    Some((set, loaded.report().clone()))
}

/// What files say about which rules are loaded, and how they are changed.
fn lifecycle(reader: &mut Reader<'_>, table: &DeTable<'_>) -> Lifecycle {
    let mut lifecycle = Lifecycle::default();
    for (key, take) in [
        ("enable", Lifecycle::enable as fn(&mut Lifecycle, &str, &str)),
        ("disable", Lifecycle::disable),
        ("drop", Lifecycle::drop),
        ("modify", Lifecycle::modify),
    ] {
        for (file, bytes, at) in files(reader, table, key) {
            let known = lifecycle.errors().len();
            take(&mut lifecycle, &file, &String::from_utf8_lossy(&bytes));
            let errors = lifecycle.errors().get(known..).unwrap_or(&[]).to_vec();
            tell(reader, at, &errors);
        }
    }
    lifecycle
}

/// The files that a key names, and where in the configuration it does.
fn files(reader: &mut Reader<'_>, table: &DeTable<'_>, key: &str) -> Vec<(String, Vec<u8>, usize)> {
    let mut found = Vec::new();
    for value in table.get(key).map(each).unwrap_or_default() {
        let Some(file) = text(reader, value) else { continue };
        let at = value.span().start;
        match std::fs::read(file) {
            Ok(bytes) => found.push((file.to_string(), bytes, at)),
            Err(error) => {
                reader.unexpected(at, "a file that can be read", &format!("{file}: {error}"));
            }
        }
    }
    found
}

/// What is wrong in a file beside those of rules is a mistake of the configuration.
fn tell(reader: &mut Reader<'_>, at: usize, errors: &[RuleError]) {
    for error in errors {
        reader.unexpected(at, "a file without mistakes", &error.to_string());
    }
}

fn of_endpoints(
    reader: &mut Reader<'_>,
    table: &DeTable<'_>,
    general: &Variables,
) -> BTreeMap<EndpointId, Variables> {
    let mut endpoints = BTreeMap::new();
    for (name, value) in table {
        let found = name.get_ref();
        let id = match found.parse::<EndpointId>() {
            Ok(id) => id,
            Err(error) => {
                reader.unexpected(name.span().start, expected_endpoint(error), found);
                continue;
            }
        };
        let Some(special) = value.get_ref().as_table() else {
            reader.wrong_type(value, "a table");
            continue;
        };
        reader.keys(special, &ENDPOINT_KEYS);
        let mut own = general.clone();
        variables(reader, special, &mut own);
        endpoints.insert(id, own);
    }
    endpoints
}

/// Takes `addresses` and `ports` by their names, in whatever order they name each other.
fn variables(reader: &mut Reader<'_>, table: &DeTable<'_>, to: &mut Variables) {
    let (mut addresses, mut ports) = (Vec::new(), Vec::new());
    for (name, value) in named(reader, table, "addresses") {
        match text(reader, value).map(str::parse) {
            Some(Ok(parsed)) => addresses.push((name, parsed)),
            Some(Err(error)) => invalid(reader, value, &error),
            None => {}
        }
    }
    for (name, value) in named(reader, table, "ports") {
        match text(reader, value).map(str::parse) {
            Some(Ok(parsed)) => ports.push((name, parsed)),
            Some(Err(error)) => invalid(reader, value, &error),
            None => {}
        }
    }
    if let Err(error) = to.set_all(addresses, ports) {
        let value = table.get("addresses").or_else(|| table.get("ports"));
        let at = value.map_or(0, |value| value.span().start);
        reader.unexpected(at, "variables that make sense together", &error.to_string());
    }
}

fn named<'v, 'a>(
    reader: &mut Reader<'_>,
    table: &'v DeTable<'a>,
    key: &str,
) -> Vec<(String, &'v Value<'a>)> {
    let Some(value) = table.get(key) else { return Vec::new() };
    let Some(inner) = value.get_ref().as_table() else {
        reader.wrong_type(value, "a table");
        return Vec::new();
    };
    let is_name =
        |name: &str| name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_');
    let mut named = Vec::new();
    for (name, value) in inner {
        let found = name.get_ref();
        if found.is_empty() || !is_name(found) {
            let expected = "a name of letters, digits and `_`, as rules have it behind `$`";
            reader.unexpected(name.span().start, expected, found);
        }
        named.push((found.to_string(), value));
    }
    named
}

fn invalid(reader: &mut Reader<'_>, value: &Value<'_>, error: &dyn core::fmt::Display) {
    let found = value.get_ref().as_str().unwrap_or_default();
    reader.unexpected(
        value.span().start,
        "what a rule may have there",
        &format!("{found}: {error}"),
    );
}

fn limits(reader: &mut Reader<'_>, table: &DeTable<'_>, limits: &mut SignatureLimits) {
    const MEGABYTES: u64 = 64 << 20;

    if let Some(bytes) = reader.number(table, "stream-depth", 0..=1 << 40) {
        limits.stream_depth = bytes;
    }
    for (key, most, place) in [
        ("stream-window", 1 << 20, &mut limits.stream_window),
        ("request-body", MEGABYTES, &mut limits.request_body),
        ("response-body", MEGABYTES, &mut limits.response_body),
        ("bytes", 1 << 36, &mut limits.bytes),
        ("bytes-per-endpoint", 1 << 36, &mut limits.bytes_per_endpoint),
        ("remembered", 1 << 24, &mut limits.remembered),
        ("remembered-per-endpoint", 1 << 24, &mut limits.remembered_per_endpoint),
    ] {
        if let Some(number) = reader.number(table, key, 0..=most) {
            *place = usize::try_from(number).unwrap_or(*place);
        }
    }
    // What is not said of each endpoint follows from what is said of all.
    for (key, own, all, share) in [
        ("bytes", "bytes-per-endpoint", limits.bytes, &mut limits.bytes_per_endpoint),
        (
            "remembered",
            "remembered-per-endpoint",
            limits.remembered,
            &mut limits.remembered_per_endpoint,
        ),
    ] {
        if table.get(key).is_some() && table.get(own).is_none() {
            *share = all.div_ceil(4).saturating_mul(3).min(all);
        }
    }
    if let Some(steps) = reader.number(table, "steps", 1..=1 << 40) {
        limits.steps = steps;
    }
    if let Some((value, said)) =
        table.get("unanswered").and_then(|it| Some((it, text(reader, it)?)))
    {
        match said {
            "pass" => limits.refuses_unanswered = false,
            "drop" => limits.refuses_unanswered = true,
            found => reader.unexpected(value.span().start, "`pass` or `drop`", found),
        }
    }
}

fn text<'v>(reader: &mut Reader<'_>, value: &'v Value<'_>) -> Option<&'v str> {
    let text = value.get_ref().as_str();
    if text.is_none() {
        reader.wrong_type(value, "a string");
    }
    text
}

/// One value, or those of a list.
fn each<'v, 'a>(value: &'v Value<'a>) -> Vec<&'v Value<'a>> {
    match value.get_ref() {
        DeValue::Array(values) => values.iter().collect(),
        _ => Vec::from([value]),
    }
}
