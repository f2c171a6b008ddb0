//! Metrics are as Prometheus would have them, and the files for those who run an appliance speak of metrics and flags that there
//! are.

mod common;

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::net::Ipv4Addr;
use std::time::{Duration, Instant};

use gwlb_geneve::engine::Settings;
use gwlb_geneve::gwlb::Outer;
use gwlb_geneve::inspect::{Alert, Reason, Severity, Verdict, packet_fn};
use gwlb_geneve::runtime::{Appliance, Frame, Frames, Overview, Subject};
use gwlb_geneve::transport::MemoryTransport;
use serde_json::Value;

/// The metrics of an appliance that has refused something, and said so under a name that is not easy to write.
fn metrics() -> String {
    let make = || {
        packet_fn("censor", |_, cx| {
            cx.alert(Alert {
                name: "no \"quotes\"\nand \\".into(),
                message: "found".into(),
                severity: Severity::Notice,
            });
            Verdict::drop(Reason::new("censored"))
        })
    };
    let (transport, network) = MemoryTransport::new();
    let running = Appliance::new(Settings::default(), make).start(vec![transport]).unwrap();
    let outer = Outer::new((Ipv4Addr::LOCALHOST, 6_081), (Ipv4Addr::LOCALHOST, 6_081));
    let mut frames = Frames::open(common::root("tests/captures/http.pcapng")).unwrap();
    let mut sent = 0;
    while let Some(frame) = frames.next_frame() {
        if let Frame::Geneve { ip, .. } = frame {
            // Behind the headers of IPv4 and UDP.
            network.send(outer, &ip[28..]);
            sent += 1;
        }
    }
    assert!(sent > 0);
    let overview = Overview::new(running.control());
    let began = Instant::now();
    loop {
        let page = overview.metrics().unwrap();
        if page.contains("reason=\"censored\"") {
            return page;
        }
        assert!(began.elapsed() < Duration::from_secs(20), "{page}");
    }
}

/// What is wrong with a page of metrics, as `promtool check metrics` and the specification of `OpenMetrics` have it.
fn faults(page: &str) -> Vec<String> {
    let mut faults = Vec::new();
    if !page.ends_with("# EOF\n") {
        faults.push("no end".into());
    }
    let mut families: Vec<Family<'_>> = Vec::new();
    let mut names = BTreeSet::new();
    for line in page.lines().filter(|line| *line != "# EOF") {
        let Some(comment) = line.strip_prefix("# ") else {
            match families.last_mut() {
                Some(family) => family.samples.push(line),
                None => faults.push(format!("sample before its family: {line}")),
            }
            continue;
        };
        let mut words = comment.splitn(3, ' ');
        let (what, name) = (words.next().unwrap_or(""), words.next().unwrap_or(""));
        let rest = words.next().unwrap_or("");
        if families.last().is_none_or(|family| family.name != name) {
            if !names.insert(name) {
                faults.push(format!("{name}: told in two places"));
            }
            families.push(Family { name, ..Family::default() });
        }
        let Some(family) = families.last_mut() else { continue };
        let field = match what {
            "HELP" => &mut family.help,
            "TYPE" => &mut family.kind,
            "UNIT" => &mut family.unit,
            _ => {
                faults.push(format!("expected HELP, TYPE or UNIT, found {what}"));
                continue;
            }
        };
        if !field.is_empty() {
            faults.push(format!("{name}: {what} twice"));
        }
        if !family.samples.is_empty() {
            faults.push(format!("{name}: {what} after its samples"));
        }
        *field = rest;
    }
    families.iter().for_each(|family| family.check(&mut faults));
    faults
}

#[derive(Default)]
struct Family<'a> {
    name: &'a str,
    help: &'a str,
    kind: &'a str,
    unit: &'a str,
    samples: Vec<&'a str>,
}

impl Family<'_> {
    fn check(&self, faults: &mut Vec<String>) {
        let Self { name, help, kind, unit, samples } = self;
        let mut fault = |what: &str| faults.push(format!("{name}: {what}"));
        let is_word = |name: &str| {
            let is_sign =
                |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_';
            name.starts_with(|first: char| first.is_ascii_lowercase()) && name.bytes().all(is_sign)
        };
        if !is_word(name) || !(name.starts_with("gwlb_") || name.starts_with("process_")) {
            fault("expected a name of small letters that begins with gwlb_");
        }
        if help.trim_end_matches('.').is_empty() || help.ends_with("..") {
            fault("expected a help text");
        }
        let suffixes: &[&str] = match *kind {
            "counter" => &["_total"],
            "gauge" => &[""],
            "histogram" => &["_bucket", "_sum", "_count"],
            "info" => &["_info"],
            _ => return fault("expected counter, gauge, histogram or info as type"),
        };
        let words: Vec<&str> = name.split('_').collect();
        let last = *words.last().unwrap_or(&"");
        if ["total", "bucket", "sum", "count", "info"].contains(&last) {
            fault("ends as only samples may");
        }
        for word in [
            "counter",
            "gauge",
            "histogram",
            "metric",
            "ms",
            "milliseconds",
            "us",
            "ns",
            "minutes",
            "kilobytes",
            "kb",
            "mb",
            "bits",
            "percent",
        ] {
            if words.contains(&word) {
                fault(&format!("has {word} in its name"));
            }
        }
        if ["seconds", "bytes", "ratio"].contains(&last) != (last == *unit) {
            fault("name and unit differ");
        }
        let mut seen = BTreeSet::new();
        let mut keys: Option<Vec<String>> = None;
        let mut buckets: BTreeMap<String, Vec<f64>> = BTreeMap::new();
        let mut counts: BTreeMap<String, f64> = BTreeMap::new();
        for sample in samples {
            let Some((series, value)) = sample.rsplit_once(' ') else {
                fault(&format!("expected a value, found {sample}"));
                continue;
            };
            let (sampled, labels) = series.split_once('{').unwrap_or((series, "}"));
            let Some(suffix) = sampled.strip_prefix(name).filter(|it| suffixes.contains(it)) else {
                fault(&format!("has the sample {sampled}"));
                continue;
            };
            if !seen.insert(series) {
                fault(&format!("twice {series}"));
            }
            match value.parse::<f64>() {
                Ok(value) if *kind == "gauge" || value >= 0.0 => {
                    let mut labels = pairs(labels);
                    let le = labels.iter().position(|(key, _)| key == "le");
                    let le = le.map(|at| labels.remove(at));
                    if le.is_some() != (suffix == "_bucket")
                        || labels.iter().any(|(key, _)| key == "quantile")
                    {
                        fault("le belongs to buckets alone, and quantile nowhere");
                    }
                    let found: Vec<_> = labels.iter().map(|(key, _)| key.clone()).collect();
                    if !found.iter().all(|key| is_word(key)) {
                        fault(&format!("expected labels of small letters, found {found:?}"));
                    }
                    if keys.get_or_insert_with(|| found.clone()) != &found && *kind != "info" {
                        fault("its samples have different labels");
                    }
                    let whose = format!("{labels:?}");
                    match suffix {
                        "_bucket" => buckets.entry(whose).or_default().push(value),
                        "_count" => _ = counts.insert(whose, value),
                        _ => {}
                    }
                }
                _ => {
                    fault(&format!("expected a number that is right for a {kind}, found {sample}"));
                }
            }
        }
        for (whose, buckets) in buckets {
            let is_rising = buckets.windows(2).all(|pair| pair[0] <= pair[1]);
            if !is_rising || buckets.last() != counts.get(&whose) {
                fault("its buckets do not add up");
            }
        }
    }
}

/// The labels of a series, from behind its opening brace.
fn pairs(labels: &str) -> Vec<(String, String)> {
    let (mut pairs, mut rest) = (Vec::new(), labels.trim_end_matches('}'));
    while let Some((key, after)) = rest.split_once("=\"") {
        let mut value = String::new();
        let mut characters = after.char_indices();
        rest = "";
        while let Some((at, character)) = characters.next() {
            match character {
                '\\' => value.extend(characters.next().map(|(_, escaped)| escaped)),
                '"' => {
                    rest = &after[at + 1..];
                    break;
                }
                other => value.push(other),
            }
        }
        pairs.push((key.trim_start_matches(',').to_string(), value));
    }
    pairs
}

#[test]
fn metrics_are_as_prometheus_would_have_them() {
    let page = metrics();
    assert_eq!(faults(&page), [""; 0], "{page}");
    assert!(
        page.contains("gwlb_alerts_total{worker=\"0\",name=\"no \\\"quotes\\\"\\nand \\\\\"} ")
    );
}

#[test]
fn faults_are_found() {
    let good = "# HELP gwlb_a Good.\n# TYPE gwlb_a counter\ngwlb_a_total{worker=\"0\"} 1\n# EOF\n";
    assert_eq!(faults(good), [""; 0]);
    for (from, to, said) in [
        ("Good.", "", "a help text"),
        ("counter", "number", "as type"),
        ("gwlb_a", "gwlb_aTotal", "small letters"),
        ("gwlb_a", "gwlb_a_total", "ends as only samples may"),
        ("gwlb_a", "gwlb_a_seconds", "name and unit differ"),
        ("gwlb_a", "gwlb_a_ms", "has ms in its name"),
        ("gwlb_a_total{", "gwlb_a{", "has the sample gwlb_a"),
        ("} 1", "} -1", "expected a number"),
        ("} 1", "} one", "expected a number"),
        ("worker=", "le=", "le belongs to buckets"),
        ("\n# EOF", "\ngwlb_a_total{worker=\"0\"} 2\n# EOF", "twice"),
        ("\n# EOF", "\ngwlb_a_total{other=\"0\"} 2\n# EOF", "different labels"),
        ("# EOF\n", "", "no end"),
    ] {
        let bad = good.replace(from, to);
        let faults = faults(&bad);
        assert!(faults.iter().any(|fault| fault.contains(said)), "{bad}{faults:?}");
    }
    let histogram = "# HELP gwlb_h H.\n# TYPE gwlb_h histogram\ngwlb_h_sum 1\ngwlb_h_count 2\n\
                     gwlb_h_bucket{le=\"1\"} 1\ngwlb_h_bucket{le=\"+Inf\"} 2\n# EOF\n";
    assert_eq!(faults(histogram), [""; 0]);
    assert!(!faults(&histogram.replace("count 2", "count 3")).is_empty());
}

fn file(name: &str) -> String {
    fs::read_to_string(common::root("examples/appliance/deploy").join(name)).unwrap()
}

/// The labels of each series that a page has.
fn series(page: &str) -> BTreeMap<&str, BTreeSet<String>> {
    let mut all: BTreeMap<&str, BTreeSet<String>> = BTreeMap::new();
    for sample in page.lines().filter(|line| !line.starts_with('#')) {
        let (series, _) = sample.rsplit_once(' ').unwrap();
        let (name, labels) = series.split_once('{').unwrap_or((series, ""));
        all.entry(name).or_default().extend(pairs(labels).into_iter().map(|(key, _)| key));
    }
    // Families that have no sample yet.
    for family in page.lines().filter_map(|line| line.strip_prefix("# TYPE ")) {
        let (name, kind) = family.split_once(' ').unwrap();
        if kind == "counter" && !all.keys().any(|known| known.strip_suffix("_total") == Some(name))
        {
            panic!("{name} has no sample to check against");
        }
    }
    all
}

/// Holds a query against what there is: its metrics, and what it sums by.
fn check(query: &str, series: &BTreeMap<&str, BTreeSet<String>>) {
    let is_part = |character: char| character.is_ascii_alphanumeric() || character == '_';
    let words = query.split(|character| !is_part(character));
    let metrics: Vec<_> = words.filter(|word| word.starts_with("gwlb_")).collect();
    assert!(!metrics.is_empty(), "no metric in {query}");
    let mut labels: BTreeSet<&str> = ["instance", "job"].into();
    for metric in metrics {
        let known = series.get(metric);
        labels
            .extend(known.unwrap_or_else(|| panic!("no {metric}: {query}")).iter().map(|it| &**it));
    }
    for by in query.split("by (").skip(1) {
        let (by, _) = by.split_once(')').unwrap();
        for label in by.split(", ") {
            assert!(labels.contains(label), "no label {label}: {query}");
        }
    }
    let depth =
        |query: &str, open, close| query.matches(open).count() == query.matches(close).count();
    assert!(depth(query, '(', ')') && depth(query, '{', '}'), "{query}");
}

#[test]
fn the_dashboard_shows_what_there_is() {
    let page = metrics();
    let series = series(&page);
    let dashboard: Value = serde_json::from_str(&file("grafana-dashboard.json")).unwrap();
    let panels = dashboard["panels"].as_array().unwrap();
    let mut numbers = BTreeSet::new();
    for panel in panels {
        assert!(numbers.insert(panel["id"].as_u64().unwrap()), "{}", panel["title"]);
        for target in panel["targets"].as_array().unwrap() {
            check(target["expr"].as_str().unwrap(), &series);
        }
        let place = &panel["gridPos"];
        assert!(place["x"].as_u64().unwrap() + place["w"].as_u64().unwrap() <= 24);
    }
    assert!(panels.len() >= 15);
    let query = dashboard["templating"]["list"][1]["query"].as_str().unwrap();
    check(query, &series);
}

#[test]
fn alert_rules_ask_for_what_there_is() {
    let page = metrics();
    let series = series(&page);
    let rules = file("prometheus-alerts.yml");
    let mut names = BTreeSet::new();
    let mut queries = 0;
    for line in rules.lines().map(str::trim_start).filter(|line| !line.starts_with('#')) {
        if let Some(query) = line.strip_prefix("expr: ") {
            check(query, &series);
            queries += 1;
        } else if let Some(name) = line.strip_prefix("- alert: ") {
            assert!(names.insert(name), "{name} twice");
        }
    }
    assert_eq!((names.len(), queries), (10, 10));
    assert!(!rules.contains('\t'), "YAML has no tabs");
}

#[test]
fn the_unit_starts_what_there_is() {
    let unit = file("gwlb-appliance.service");
    let line = unit.lines().find_map(|line| line.strip_prefix("ExecStart=")).unwrap();
    let mut words = line.split(' ');
    assert_eq!(words.next(), Some("/usr/local/bin/appliance"));
    let help = common::stdout(&common::appliance(&[words.next().unwrap(), "--help"]));
    for flag in words.filter(|word| word.starts_with("--")) {
        assert!(help.contains(&format!("{flag} ")), "no {flag}: {help}");
    }
    let stop = unit.lines().find_map(|line| line.strip_prefix("TimeoutStopSec=")).unwrap();
    let drain = gwlb_geneve::config::Run::default().drain;
    assert!(Duration::from_secs(stop.parse().unwrap()) > drain, "{stop}");
}
