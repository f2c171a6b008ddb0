//! `appliance replay` and `explain`: the replies as tshark sees them, verdicts, counters, and what they say to bad input.

mod common;

use std::fs;
use std::path::{Path, PathBuf};

use common::{appliance, files, layer, public_captures, root, stdout, tshark};
use serde_json::{Value, json};

/// A path for a file that a test writes.
fn scratch(name: &str) -> PathBuf {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
    fs::create_dir_all(&folder).expect("a folder to write to");
    folder
}

fn text(path: &Path) -> &str {
    path.to_str().expect("UTF-8")
}

#[test]
fn the_real_load_balancer_is_answered() {
    let Some(folder) = public_captures() else { return };
    let capture = folder.join("aws-gwlb-gre.pcap");
    let out = scratch("real").join("out.pcapng");
    let output = appliance(&["replay", "--json", text(&capture), "--write", text(&out)]);
    let report: Value = serde_json::from_str(&stdout(&output)).expect("JSON");
    assert_eq!(report["received"], 12);
    assert_eq!(report["forwarded"], 12);
    assert_eq!(report["dropped"], json!({}));
    assert_eq!(report["flows"], 1);
    assert_eq!(report["endpoints"]["vpce-031e129cdc0cd8633"]["forwarded"], 12);

    let (Some(received), Some(replies)) = (tshark(&capture), tshark(&out)) else { return };
    assert_eq!(replies.len(), 12);
    for (received, reply) in received.iter().zip(&replies) {
        let [was, is] = [received, reply].map(|packet| layer(packet, "ip", 0));
        assert_eq!((&is["ip.src"], &is["ip.dst"]), (&was["ip.dst"], &was["ip.src"]), "swapped");
        assert_eq!((&is["ip.ttl"], &is["ip.id"]), (&json!("64"), &json!("0x0000")));
        assert_eq!(is["ip.flags_tree"]["ip.flags.df"], "1");
        let [was, is] = [received, reply].map(|packet| layer(packet, "udp", 0));
        for field in ["udp.srcport", "udp.dstport", "udp.length", "udp.payload"] {
            assert_eq!(is[field], was[field], "as received");
        }
        assert_eq!(received["frame"]["frame.time_epoch"], reply["frame"]["frame.time_epoch"]);
        assert!(!reply.to_string().contains("_ws.malformed"), "{reply}");
    }
}

#[test]
fn every_datagram_has_one_outcome() {
    for file in files(&root("tests/captures")) {
        let output = appliance(&["replay", "--json", text(&file)]);
        let report: Value = serde_json::from_str(&stdout(&output)).expect("JSON");
        let count = |field: &str| report[field].as_u64().expect("a number");
        let dropped: u64 = report["dropped"]
            .as_object()
            .expect("reasons")
            .values()
            .filter_map(Value::as_u64)
            .sum();
        assert_eq!(count("received"), count("forwarded") + dropped, "{}", file.display());
        assert_eq!(count("packets"), count("received") + count("other"), "{}", file.display());
    }
}

#[test]
fn the_table_for_a_person() {
    let output = appliance(&["replay", text(&root("tests/captures/http.pcapng"))]);
    let table = stdout(&output);
    for row in ["received", "forwarded", "dropped", "flows", "alerts", "packets a second", "vpce-"]
    {
        assert!(table.contains(row), "{row} in\n{table}");
    }
}

/// What the fixtures say of each file is what comes out.
#[test]
fn malformed_packets_are_dropped_for_their_reasons() {
    let output = appliance(&["replay", "--json", text(&root("tests/captures/malformed.pcapng"))]);
    let report: Value = serde_json::from_str(&stdout(&output)).expect("JSON");
    assert_eq!(report["forwarded"], 0, "{report}");
    assert!(report["dropped"].as_object().expect("reasons").len() > 35, "{report}");
    // Later fragments and ICMP errors belong to the flow of the packet that they go with. One fragment comes before its
    // first: that is passed without ports, as a flow of its own.
    for (file, flows) in
        [("fragments.pcapng", 3), ("icmp.pcapng", 4), ("overlapping-tenants.pcapng", 2)]
    {
        let output = appliance(&["replay", "--json", text(&root("tests/captures").join(file))]);
        let report: Value = serde_json::from_str(&stdout(&output)).expect("JSON");
        assert_eq!(report["flows"], flows, "{file}: {report}");
    }
}

fn lines(output: &str) -> Vec<Value> {
    output.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect()
}

/// Verdicts are numbered as `decode` numbers packets, and add up to what the report says.
#[test]
fn verdicts_and_report_agree() {
    let http = root("tests/captures/http.pcapng");
    let config = root("examples/appliance/example.toml");
    let out = scratch("verdicts").join("out.pcapng");
    let arguments = ["replay", text(&http), "--config", text(&config), "--verdicts"];
    let json = appliance(&[&arguments[..], &["--json", "--write", text(&out)]].concat());
    let mut verdicts = lines(&stdout(&json));
    let report = verdicts.pop().expect("a report behind the verdicts");
    let decoded = lines(&stdout(&appliance(&["decode", "--json", text(&http)])));
    assert_eq!(verdicts.len(), decoded.len());
    for (verdict, decoded) in verdicts.iter().zip(&decoded) {
        assert_eq!(verdict["packet"], decoded["packet"]);
        assert_eq!(verdict["time"], decoded["time"]);
        if let Some(flow) = verdict.get("flow") {
            assert_eq!(flow["sport"], decoded["inner"]["sport"], "{verdict}");
            assert_eq!(verdict["endpoint"], decoded["gwlb"]["endpoint"], "{verdict}");
        }
    }
    let count = |name: &str, value: &str| {
        verdicts.iter().filter(|verdict| verdict[name] == value).count() as u64
    };
    assert_eq!(report["forwarded"], count("disposition", "forward"));
    assert_eq!(report["rejected"], count("disposition", "reject"));
    assert_eq!(report["dropped"]["access-list"], count("reason", "access-list"));
    assert_eq!(report["exceptions"]["malformed-packet"], count("exception", "malformed-packet"));
    let alerts: Vec<_> =
        verdicts.iter().filter_map(|verdict| verdict["alerts"].as_array()).flatten().collect();
    assert_eq!(report["alerts"], alerts.len());
    assert!(alerts[0]["message"].as_str().expect("text").contains("no web over IPv6"));
    assert!(report["injected"].as_u64() > Some(0));
    if let Some(replies) = tshark(&out) {
        assert_eq!(report["sent"], replies.len());
        assert!(replies.iter().all(|reply| !reply.to_string().contains("_ws.malformed")));
    }

    let people = stdout(&appliance(&arguments));
    assert!(people.contains("[2001:db8::80]:80  reject: access-list\n"), "{people}");
    assert!(people.contains("!  access-list: rule 1 (no web over IPv6) rejected"), "{people}");
}

/// Where traffic is only watched, everything that can be forwarded is, and it is said what would have become of it.
#[test]
fn monitoring_forwards_and_tells() {
    let config = scratch("monitor").join("config.toml");
    fs::write(&config, "monitor = true\n[access]\ndefault = \"reject\"\n").expect("a file");
    let capture = root("tests/captures/ipv4-tcp.pcapng");
    let arguments = ["--config", text(&config), "--verdicts", "--json", text(&capture)];
    let mut verdicts = lines(&stdout(&appliance(&[&["replay"], &arguments[..]].concat())));
    let report = verdicts.pop().expect("a report");
    assert_eq!((&report["forwarded"], &report["would"]), (&json!(14), &json!(14)));
    assert_eq!(report["injected"], 0);
    assert!(verdicts.iter().all(|it| it["disposition"] == "forward" && it["would"] == "reject"));
}

/// Each packet is explained as it was judged.
#[test]
fn explanations_and_verdicts_agree() {
    let http = root("tests/captures/http.pcapng");
    let config = root("examples/appliance/example.toml");
    let arguments = [text(&http), "--config", text(&config), "--json"];
    let replay = appliance(&[&["replay", "--verdicts"], &arguments[..]].concat());
    for verdict in &lines(&stdout(&replay))[..41] {
        let number = verdict["packet"].to_string();
        let output = appliance(&[&["explain", "--packet", &number], &arguments[..]].concat());
        let explained = &lines(&stdout(&output))[0];
        for (field, value) in verdict.as_object().expect("an object") {
            // What does not parse has an endpoint at most.
            if field != "endpoint" || verdict.get("flow").is_some() {
                assert_eq!(&explained[field], value, "{field} of {number}: {explained}");
            }
        }
    }
    let text_of = |number| {
        let arguments = ["explain", text(&http), "--config", text(&config), "--packet", number];
        stdout(&appliance(&arguments))
    };
    let first = text_of("13");
    for line in ["standing   new", "inspector  access-list: reject flow: access-list"] {
        assert!(first.contains(line), "{line} in\n{first}");
    }
    assert!(text_of("20").contains("standing   refused before: access-list"));
    assert!(text_of("31").contains("outside    outer UDP checksum at offset 26"));
}

#[test]
fn what_cannot_be_explained_is_refused_in_one_line() {
    let [http, mixed] =
        ["http", "mixed"].map(|name| root(&format!("tests/captures/{name}.pcapng")));
    refused(
        &["explain", text(&http), "--packet", "42"],
        "expected a packet from 1 to 41, found 42",
    );
    refused(&["explain", text(&mixed), "--packet", "1"], "packet 1: expected UDP to a GENEVE port");
    refused(&["explain", "missing", "--packet", "1"], "cannot open missing: No such file");
    let zero = appliance(&["explain", text(&http), "--packet", "0"]);
    assert_eq!(zero.status.code(), Some(2), "as for other wrong arguments");
}

/// Each mistake of a configuration is told with file, line and column; several are told each.
#[test]
fn bad_configurations_are_refused() {
    let folder = scratch("configurations");
    let config = folder.join("config.toml");
    let http = root("tests/captures/http.pcapng");
    for (written, expected) in [
        ("[polcy]", "config.toml: line 1, column 2: expected one of"),
        (
            "[policy]\nprofile = \"stric\"",
            "line 2, column 11: expected `available` or `strict`, found `stric`; did you mean `strict`?",
        ),
        (
            "[policy]\noverload = \"adopt\"",
            "line 2, column 12: expected `drop` or `pass`, found `adopt`",
        ),
        ("[endpoints.x]", "line 1, column 12: expected `vpce-`"),
        (
            "[access]\ndefault = \"allow\"\nrules = 1",
            "line 3, column 1: expected one of `default` or `rule`, found `rules`; did you mean `rule`?",
        ),
        ("monitor = ", "line 1, column 11: expected TOML"),
    ] {
        fs::write(&config, written).expect("a file");
        refused(&["replay", text(&http), "--config", text(&config)], expected);
        refused(&["explain", text(&http), "--packet", "1", "--config", text(&config)], expected);
    }
    fs::write(&config, "monitr = true\n[policy]\noverload = 1\n").expect("a file");
    let output = appliance(&["replay", text(&http), "--config", text(&config)]);
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert_eq!((output.status.code(), stderr.lines().count()), (Some(1), 3), "{stderr}");
    assert!(output.stdout.is_empty());
    refused(&["replay", text(&http), "--config", text(&folder)], "cannot read");
    refused(
        &["replay", text(&http), "--config", "missing.toml"],
        "cannot read missing.toml: No such file",
    );
    fs::write(&config, [0xff, 0xfe]).expect("a file");
    refused(&["replay", text(&http), "--config", text(&config)], "UTF-8");
}

/// A run that must fail says so in one line that contains `expected`.
fn refused(arguments: &[&str], expected: &str) {
    let output = appliance(arguments);
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{arguments:?}: {stderr}");
    assert_eq!(stderr.lines().count(), 1, "{arguments:?}: {stderr}");
    assert!(stderr.starts_with("error: ") && stderr.contains(expected), "{arguments:?}: {stderr}");
    assert!(output.stdout.is_empty(), "{arguments:?}: nothing to tell");
}

#[test]
fn files_that_are_no_captures_are_refused_in_one_line() {
    let folder = scratch("bad");
    let write = |name: &str, bytes: &[u8]| {
        let path = folder.join(name);
        fs::write(&path, bytes).expect("a file");
        path
    };
    let empty = write("empty", b"");
    let other = write("other", b"#!/bin/sh\necho not a capture\n");
    // A capture of an IEEE 802.11 card: nothing in it can be read.
    let mut radio =
        vec![0xd4, 0xc3, 0xb2, 0xa1, 2, 0, 4, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 4, 0, 105, 0, 0, 0];
    for _ in 0..3 {
        radio.extend([0, 0, 0, 0, 0, 0, 0, 0, 4, 0, 0, 0, 4, 0, 0, 0, 8, 0, 0, 0]);
    }
    let radio = write("radio.pcap", &radio);
    let missing = folder.join("missing\n\u{1b}[31m");
    for command in ["decode", "replay"] {
        refused(&[command, text(&missing)], "No such file");
        refused(&[command, text(&folder)], "directory");
        refused(&[command, text(&empty)], "empty");
        refused(&[command, text(&other)], "magic number");
        refused(&[command, text(&radio)], "link type 105");
    }
    let http = root("tests/captures/http.pcapng");
    let port = appliance(&["decode", text(&http), "--port", "0"]);
    assert_eq!(port.status.code(), Some(2), "as for other wrong arguments");
    assert!(String::from_utf8_lossy(&port.stderr).contains("expected a port from 1 to 65535"));
    refused(&["replay", text(&http), "--write", text(&missing.join("out"))], "cannot create");
    let copy = write("copy.pcapng", &fs::read(&http).expect("our capture"));
    refused(&["replay", text(&copy), "--write", text(&copy)], "overwrite");
    let link = folder.join("link.pcapng");
    let _ = fs::remove_file(&link);
    fs::hard_link(&copy, &link).expect("a second name");
    refused(&["replay", text(&copy), "--write", text(&link)], "overwrite");
    assert_eq!(fs::read(&copy).ok(), fs::read(&http).ok(), "the capture is still there");
}

#[test]
fn a_cut_capture_is_read_up_to_the_cut() {
    let whole = fs::read(root("tests/captures/http.pcapng")).expect("our capture");
    let path = scratch("cut").join("cut.pcapng");
    fs::write(&path, &whole[..whole.len() - 5]).expect("a file");
    let output = appliance(&["replay", "--json", text(&path)]);
    assert_eq!(output.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&output.stderr).contains("packet"));
    let report: Value = serde_json::from_slice(&output.stdout).expect("JSON");
    assert_eq!(report["unreadable"], 1);
    let [all, cut] = [root("tests/captures/http.pcapng"), path].map(|path| {
        String::from_utf8(appliance(&["decode", "--json", text(&path)]).stdout).expect("UTF-8")
    });
    assert!(
        cut.lines().count() + 2 > all.lines().count() && all.starts_with(&cut),
        "what can be read is read"
    );
}

#[test]
fn no_arguments_print_help() {
    let output = appliance(&[]);
    let text = String::from_utf8_lossy(&output.stderr);
    assert!(text.contains("Usage") && text.contains("decode") && text.contains("replay"), "{text}");
}

/// As where the sender's card was to fill the checksums in.
#[test]
fn wrong_checksums_are_told_of_and_can_be_ignored() {
    let folder = scratch("checksums");
    let [plain, capture, records] =
        ["plain.pcap", "wrapped.pcap", "eve.json"].map(|name| folder.join(name));
    // A packet of UDP, from 192.0.2.1 to 192.0.2.2, whose IP header has its right checksum.
    let packet = [
        0x45, 0, 0, 32, 0, 0, 0, 0, 64, 17, 0xf6, 0xc9, 192, 0, 2, 1, 192, 0, 2, 2, 0x30, 0x39, 0,
        9, 0, 12, 0x12, 0x34, b't', b'e', b's', b't',
    ];
    // A pcap file of raw IP, with that packet alone.
    let mut file =
        vec![0xd4, 0xc3, 0xb2, 0xa1, 2, 0, 4, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 4, 0, 101, 0, 0, 0];
    file.extend([0, 0, 0, 0, 0, 0, 0, 0, 32, 0, 0, 0, 32, 0, 0, 0]);
    file.extend(packet);
    fs::write(&plain, &file).expect("a file");
    stdout(&appliance(&["wrap", "--write", text(&capture), text(&plain)]));
    // Data that nobody looks at is not summed; who records looks.
    let replay = |flags: &[&str]| {
        let _ = fs::remove_file(&records);
        let always = ["replay", "--json", text(&capture), "--eve", text(&records)];
        let output = appliance(&[&always, flags].concat());
        let report: Value = serde_json::from_str(&stdout(&output)).expect("JSON");
        let told = String::from_utf8(output.stderr).expect("UTF-8");
        (report["forwarded"].as_u64().expect("a number"), told)
    };
    let (forwarded, told) = replay(&[]);
    assert!(forwarded == 0 && told.contains("`--checksums ignore`"), "{forwarded}: {told}");
    let (forwarded, told) = replay(&["--checksums", "ignore"]);
    assert_eq!((forwarded, told.as_str()), (1, ""));
}
