//! `appliance replay --diff`.

use serde_json::{Value, json};

use super::common::{appliance, root};
use super::{file, refused, scratch, text};

const OPEN: &str = "[access]\ndefault = \"allow\"\n";
const SHUT: &str = "[access]\ndefault = \"allow\"\n[[access.rule]]\naction = \"reject\"\nports = 80\nfrom = \"2001:db8::/32\"\n\
                    name = \"no web\"\n";

#[test]
fn a_policy_is_compared_with_another() {
    let folder = scratch("diff");
    let (open, shut) = (file(&folder, "open.toml", OPEN), file(&folder, "shut.toml", SHUT));
    let http = root("tests/captures/http.pcapng");
    let diff = |a, b, more: &[&str]| {
        let output = appliance(&[&["replay", text(&http), "--diff", a, b], more].concat());
        let status = output.status.code();
        (status, String::from_utf8(output.stdout).expect("UTF-8"))
    };
    let (status, table) = diff(text(&open), text(&shut), &[]);
    assert_eq!(status, Some(1), "{table}");
    assert!(table.contains("   13    0.016300  vpce-0a1b2c3d4e5f60718  TCP [2001:db8::5]:49153 -> [2001:db8::80]:80  forward  ->  reject: access-list\n"), "{table}");
    assert!(
        table.contains("10 of 10 packets, from packet 13 on: forward  ->  reject: access-list\n"),
        "{table}"
    );
    let end =
        "10 of 41 packets judged otherwise, 0 more told otherwise; 1 of 7 flows judged otherwise\n";
    assert!(table.ends_with(end), "{table}");
    // The other way round it is the other way round.
    let (status, turned) = diff(text(&shut), text(&open), &[]);
    assert_eq!(status, Some(1));
    assert!(turned.contains("reject: access-list  ->  forward\n"), "{turned}");

    let (status, lines) = diff(text(&open), text(&shut), &["--json"]);
    assert_eq!(status, Some(1));
    let lines: Vec<Value> =
        lines.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect();
    let numbers: Vec<u64> = lines.iter().filter_map(|line| line["packet"].as_u64()).collect();
    assert_eq!(numbers, [13, 20, 22, 23, 28, 33, 34, 35, 39, 40]);
    let [.., flow, summary] = &lines[..] else { panic!("a flow and a summary") };
    assert_eq!((&flow["kind"], &flow["flow_number"]), (&json!("flow"), &json!(6)));
    assert_eq!((&flow["packets"], &flow["judged_otherwise"]), (&json!(10), &json!(10)));
    assert_eq!(summary["kind"], "summary");
    assert_eq!(summary["flows_judged_otherwise"], 1);
    let [before, after] = ["before", "after"].map(|side| summary[side]["forwarded"].as_u64());
    assert_eq!(before.zip(after), Some((38, 28)));
}

#[test]
fn no_difference_is_none() {
    let folder = scratch("same");
    let (open, shut) = (file(&folder, "open.toml", OPEN), file(&folder, "shut.toml", SHUT));
    let tcp = root("tests/captures/ipv4-tcp.pcapng");
    let output = appliance(&["replay", "--diff", text(&open), text(&shut), text(&tcp)]);
    let table = String::from_utf8_lossy(&output.stdout).into_owned();
    assert_eq!(output.status.code(), Some(0), "{table}");
    assert!(!table.contains("->") && !table.contains('*'), "{table}");
    assert!(table.ends_with(
        "0 of 14 packets judged otherwise, 0 more told otherwise; 0 of 1 flows judged otherwise\n"
    ));
}

/// Who is only told otherwise gets a difference, too, but no other verdict.
#[test]
fn an_alert_is_a_difference() {
    let folder = scratch("told");
    let open = file(&folder, "open.toml", OPEN);
    let told = "[[access.rule]]\naction = \"allow\"\nlog = true\nprotocol = \"tcp\"\n";
    let told = file(&folder, "told.toml", format!("{OPEN}{told}"));
    let tcp = root("tests/captures/ipv4-tcp.pcapng");
    let output = appliance(&["replay", "--diff", text(&open), text(&told), text(&tcp)]);
    let table = String::from_utf8_lossy(&output.stdout).into_owned();
    assert_eq!(output.status.code(), Some(1), "{table}");
    assert!(
        table.contains("forward, told otherwise\n    +  access-list: rule 1 allowed"),
        "{table}"
    );
    assert!(table.ends_with(
        "0 of 14 packets judged otherwise, 1 more told otherwise; 0 of 1 flows judged otherwise\n"
    ));
}

#[test]
fn what_is_wrong_is_neither_same_nor_different() {
    let folder = scratch("wrong");
    let open = file(&folder, "open.toml", OPEN);
    let bad = file(&folder, "bad.toml", "[acess]\n");
    let http = root("tests/captures/http.pcapng");
    let (open, bad, http) = (text(&open), text(&bad), text(&http));
    refused(
        &["replay", http, "--diff", open, bad],
        2,
        "bad.toml: line 1, column 2: expected one of",
    );
    refused(&["replay", http, "--diff", "missing", open], 2, "cannot read missing");
    refused(&["replay", "missing", "--diff", open, open], 2, "cannot open missing");
    let both = appliance(&["replay", http, "--diff", open, open, "--config", open]);
    assert_eq!(both.status.code(), Some(2), "as for other wrong arguments");
}
