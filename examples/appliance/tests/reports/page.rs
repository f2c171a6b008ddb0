//! `appliance replay --report`.

use std::fs;
use std::path::Path;
use std::process::Command;

use super::common::{appliance, root, stdout};
use super::{file, hostile, refused, scratch, text};

/// The page of a capture.
fn page(capture: &Path, config: &Path, out: &Path) -> String {
    let (capture, config) = (text(capture), text(config));
    let arguments = ["replay", capture, "--config", config, "--report", text(out)];
    stdout(&appliance(&arguments));
    fs::read_to_string(out).expect("a page in UTF-8")
}

/// The tags of a page, each with its attributes.
fn tags(page: &str) -> Vec<(String, Vec<(String, String)>)> {
    let mut tags = Vec::new();
    let mut rest = page;
    while let Some((_, after)) = rest.split_once('<') {
        let (tag, behind) = split_tag(after);
        rest = behind;
        let mut parts = tag.trim_end_matches('/').splitn(2, char::is_whitespace);
        let name = parts.next().unwrap_or_default().to_ascii_lowercase();
        let mut attributes = Vec::new();
        let mut left = parts.next().unwrap_or_default().trim();
        while !left.is_empty() {
            let end = left.find([' ', '=', '\n']).unwrap_or(left.len());
            let (key, after) = left.split_at(end);
            let value = after.strip_prefix("=\"").and_then(|value| value.split_once('"'));
            let (value, after) = value.unwrap_or(("", after));
            attributes.push((key.to_ascii_lowercase(), value.to_string()));
            left = after.trim_start_matches(['=', ' ', '\n']);
        }
        tags.push((name, attributes));
    }
    tags
}

/// A tag ends at the first `>` that is in no quotes.
fn split_tag(text: &str) -> (&str, &str) {
    let mut is_quoted = false;
    for (place, character) in text.char_indices() {
        match character {
            '"' => is_quoted = !is_quoted,
            '>' if !is_quoted => return (&text[..place], &text[place + 1..]),
            _ => {}
        }
    }
    panic!("a tag without an end: {}", &text[..text.len().min(80)]);
}

/// Nothing of a page is of others' making, and nothing in it asks anybody.
fn assert_harmless(page: &str) {
    const TAGS: [&str; 37] = [
        "!doctype",
        "html",
        "head",
        "meta",
        "link",
        "title",
        "style",
        "body",
        "h1",
        "h2",
        "h3",
        "h4",
        "p",
        "div",
        "b",
        "span",
        "figure",
        "figcaption",
        "svg",
        "g",
        "line",
        "rect",
        "table",
        "thead",
        "tbody",
        "tr",
        "th",
        "td",
        "details",
        "summary",
        "dl",
        "dt",
        "dd",
        "pre",
        "/",
        "br",
        "em",
    ];
    const ATTRIBUTES: [&str; 25] = [
        "html",
        "lang",
        "charset",
        "http-equiv",
        "content",
        "name",
        "rel",
        "href",
        "class",
        "role",
        "aria-label",
        "aria-hidden",
        "x",
        "y",
        "x1",
        "x2",
        "y1",
        "y2",
        "width",
        "height",
        "open",
        "cx",
        "cy",
        "r",
        "d",
    ];
    for (name, attributes) in tags(page) {
        let bare = name.strip_prefix('/').unwrap_or(&name);
        assert!(TAGS.contains(&bare), "<{name}>");
        for (key, value) in attributes {
            assert!(ATTRIBUTES.contains(&key.as_str()), "<{name} {key}>");
            assert!(key != "href" || value == "data:,", "<{name} {key}={value}>");
        }
    }
    let style = page.split_once("<style>").and_then(|(_, rest)| rest.split_once("</style>"));
    let style = style.expect("a style").0;
    assert!(!style.contains("url(") && !style.contains("@import"), "{style}");
    assert!(page.contains("default-src 'none'"), "a policy that forbids the rest");
    assert!(
        !page.contains(char::is_control) || page.chars().all(|it| it == '\n' || !it.is_control())
    );
}

#[test]
fn a_page_says_what_the_report_says() {
    let folder = scratch("page");
    let (http, config) =
        (root("tests/captures/http.pcapng"), root("examples/appliance/example.toml"));
    let page = page(&http, &config, &folder.join("out.html"));
    assert_harmless(&page);
    for part in [
        "<b>41</b>received",
        "<b>26</b>forwarded",
        "<b>5</b>dropped",
        "<b>10</b>rejected",
        "<b>7</b>flows",
        "<b>1</b>alerts",
        "26 forwarded</span>",
        "5 dropped</span>",
        "10 rejected</span>",
        "1 notice</span>",
        ">geneve-unknown-critical-option<",
        ">TCP 80<",
        ">UDP 53<",
        ">vpce-05ca1ab1e0ddba115<",
        ">2001:db8::5 (vpce-0a1b2c3d4e5f60718)<",
        "reject: access-list at packet 13",
        "rule 1 (no web over IPv6) rejected",
        "<dt>flags</dt><dd>SYN</dd>",
        "<dt>flow cookie</dt>",
        "Shown are 1 of 1 alerts",
        "prefers-color-scheme: dark",
        "width=device-width",
    ] {
        assert!(page.contains(part), "{part}");
    }
    // The packet's bytes, as they are in the capture.
    let bytes = fs::read(&http).expect("our capture");
    let row = "0000  02 00 00 00 01 14 02 00 00 00 01 0a 08 00 45 00";
    assert!(page.contains(row), "{row}");
    let found: Vec<u8> =
        row[6..].split(' ').map(|it| u8::from_str_radix(it, 16).unwrap()).collect();
    assert!(bytes.windows(16).any(|window| window == found));
    // The same capture makes the same page.
    let again = self::page(&http, &config, &folder.join("again.html"));
    assert!(page == again);
}

#[test]
fn what_is_hostile_stays_text() {
    let folder = scratch("hostile");
    let (capture, config) = hostile::files(&folder, 1);
    let page = page(&capture, &config, &folder.join("out.html"));
    assert_harmless(&page);
    for (what, part) in [
        ("the name", "&lt;script&gt;name()&lt;"),
        (
            "the header",
            "Host: &quot;&gt;&lt;script&gt;host()&lt;/script&gt;&lt;img src=x onerror=host()&gt;",
        ),
        ("the message", "&lt;img src=x onerror=rule()&gt;&#39;&quot;\\u{202e}\\u{7}"),
    ] {
        assert!(page.contains(part), "{what}");
    }
    for part in ["<script", "<img", "\u{202e}", "\u{7}"] {
        assert!(!page.contains(part), "{part:?}");
    }
    // The refused request comes with what its flow did before.
    assert!(page.contains("<b>api</b>"), "an alert about the request");
    let request = page.split("<b>api</b>").nth(1).expect("the last alert");
    assert_eq!(request.matches("<h4>Bytes</h4>").count(), 4);
}

#[test]
fn alerts_are_bounded_and_that_is_said() {
    let folder = scratch("many");
    let (capture, config) = hostile::files(&folder, 150);
    let page = page(&capture, &config, &folder.join("out.html"));
    assert!(
        page.contains("Shown are 100 of 300 alerts: the first 100"),
        "150 connections, two alerts each"
    );
    assert_eq!(page.matches("<h4>Bytes</h4>").count(), 50 + 50 * 4);
    assert!(page.len() < 4 << 20, "{} bytes", page.len());
    assert!(page.contains("and 280 more</p>"), "of 300 talkers the first 20");
}

#[test]
fn every_capture_has_a_page() {
    let folder = scratch("every");
    let config = root("examples/appliance/example.toml");
    for capture in super::common::files(&root("tests/captures")) {
        assert_harmless(&page(&capture, &config, &folder.join("out.html")));
    }
    let empty =
        [0xd4, 0xc3, 0xb2, 0xa1, 2, 0, 4, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 4, 0, 1, 0, 0, 0];
    let empty = file(&folder, "empty.pcap", empty);
    let page = page(&empty, &config, &folder.join("out.html"));
    assert_harmless(&page);
    assert!(page.contains("0 packets in the file") && !page.contains("NaN"));
}

#[test]
fn what_cannot_be_written_is_told() {
    let folder = scratch("unwritable");
    let http = root("tests/captures/http.pcapng");
    let copy = file(&folder, "copy.pcapng", fs::read(&http).expect("our capture"));
    for flag in ["--report", "--annotate"] {
        refused(&["replay", text(&copy), flag, text(&copy)], 1, "would overwrite the capture");
        refused(&["replay", text(&copy), flag, "/nowhere/out"], 1, "cannot create /nowhere/out");
    }
    let out = folder.join("out");
    let both = ["replay", text(&copy), "--report", text(&out), "--annotate", text(&out)];
    refused(&both, 1, "--report would overwrite what --annotate writes");
    assert_eq!(fs::read(&copy).ok(), fs::read(&http).ok(), "the capture is still there");
}

/// A browser shows it without a complaint, and runs nothing.
#[test]
fn a_browser_has_nothing_to_complain_of() {
    let folder = scratch("browser");
    let (capture, config) = hostile::files(&folder, 2);
    let out = folder.join("out.html");
    page(&capture, &config, &out);
    let profile = format!("--user-data-dir={}", folder.join("profile").display());
    let mut browser = Command::new("chromium");
    browser.args([
        "--headless",
        "--no-sandbox",
        "--disable-gpu",
        "--enable-logging=stderr",
        "--v=0",
    ]);
    browser.args([&profile, "--virtual-time-budget=2000", "--dump-dom"]);
    let output = match browser.arg(format!("file://{}", text(&out))).output() {
        Ok(output) => output,
        Err(error) => {
            eprintln!("SKIPPED: chromium is needed ({error})");
            return;
        }
    };
    let (shown, log) =
        (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{log}");
    assert!(!log.contains("CONSOLE"), "{log}");
    assert!(shown.contains("Verdicts over time") && shown.contains("<rect"), "{shown}");
    assert!(!shown.contains("<script") && !shown.contains("<img"), "{shown}");
}
