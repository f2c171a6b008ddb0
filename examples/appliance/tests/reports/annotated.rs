//! `appliance replay --annotate`.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::process::Command;

use gwlb_geneve::capture::Reader;
use serde_json::Value;

use super::common::{appliance, files, root, stdout};
use super::{file, hostile, scratch, text};

/// The comments of a capture as tshark sees them, `None` (said aloud) where there is no tshark.
fn comments(capture: &Path) -> Option<Vec<String>> {
    let fields = ["-T", "fields", "-e", "frame.comment"];
    let output = match Command::new("tshark").arg("-r").arg(capture).args(fields).output() {
        Ok(output) => output,
        Err(error) => {
            eprintln!("SKIPPED: tshark is needed ({error})");
            return None;
        }
    };
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let text = String::from_utf8(output.stdout).expect("UTF-8");
    Some(text.lines().map(str::to_owned).collect())
}

/// Everything of a packet but its comment.
fn packets(capture: &Path) -> Vec<(u64, u16, u32, Vec<u8>)> {
    let mut reader = Reader::open(capture).expect("a capture");
    let mut packets = Vec::new();
    while let Some(packet) = reader.next_packet() {
        let packet = packet.expect("a packet");
        let (time, link) = (packet.timestamp.as_nanos(), packet.link_type.0);
        packets.push((time, link, packet.original_len, packet.data.to_vec()));
    }
    packets
}

#[test]
fn the_copy_is_the_capture() {
    let folder = scratch("copies");
    let out = folder.join("out.pcapng");
    let (mut links, mut others) = (BTreeSet::new(), 0);
    let captures = files(&root("tests/captures"));
    for capture in &captures {
        stdout(&appliance(&["replay", text(capture), "--annotate", text(&out)]));
        let (before, after) = (packets(capture), packets(&out));
        assert!(!before.is_empty() && before == after, "{}", capture.display());
        // tshark takes its time to start: once for each kind of file is enough.
        let is_new = before.iter().any(|packet| links.insert(packet.1));
        if !is_new && !text(capture).contains("mixed") {
            continue;
        }
        let Some(comments) = comments(&out) else { return };
        assert_eq!(comments.len(), before.len(), "{}", capture.display());
        for comment in comments {
            let is_one = comment.starts_with("verdict: ") || comment == "not judged: not GENEVE";
            assert!(is_one, "{}: {comment:?}", capture.display());
            others += u64::from(!comment.starts_with("verdict: "));
        }
    }
    assert!(links.len() > 8, "of many link types: {links:?}");
    assert_eq!(others, 4, "in mixed.pcapng");
}

#[test]
fn comments_say_what_verdicts_say() {
    let folder = scratch("comments");
    let out = folder.join("out.pcapng");
    let (http, config) =
        (root("tests/captures/http.pcapng"), root("examples/appliance/example.toml"));
    let arguments = ["replay", text(&http), "--config", text(&config), "--annotate", text(&out)];
    let verdicts = stdout(&appliance(&[&arguments[..], &["--verdicts", "--json"]].concat()));
    let Some(comments) = comments(&out) else { return };
    let verdicts: Vec<Value> =
        verdicts.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect();
    assert_eq!(verdicts.len(), comments.len() + 1, "and the report");
    for (verdict, comment) in verdicts.iter().zip(&comments) {
        let said: Vec<&str> = comment.split("; ").collect();
        let disposition = format!("verdict: {}", verdict["disposition"].as_str().expect("text"));
        assert_eq!(said[0], disposition);
        for key in ["reason", "exception"] {
            let found = said.iter().find_map(|part| part.strip_prefix(&format!("{key}: ")));
            assert_eq!(found, verdict[key].as_str(), "{comment}");
        }
    }
    let rule = "rule: rule 1 (no web over IPv6); flow: 6";
    assert!(
        comments[12].contains(&format!("reason: access-list; {rule}; alert: access-list: rule 1"))
    );
    assert_eq!(comments[19], format!("verdict: reject; reason: access-list; {rule}"));
    assert!(comments[18].contains("rule: rule 2 (no ping for the second tenant); flow: 7"));
    assert_eq!(comments[0], "verdict: forward; rule: default of the list; flow: 1");
    assert!(comments[30].contains("outside: outer UDP checksum"), "{}", comments[30]);
}

#[test]
fn hostile_names_are_one_line_of_text() {
    let folder = scratch("hostile-comments");
    let (capture, config) = hostile::files(&folder, 1);
    let out = folder.join("out.pcapng");
    let arguments = ["replay", text(&capture), "--config", text(&config), "--annotate", text(&out)];
    stdout(&appliance(&arguments));
    let Some(comments) = comments(&out) else { return };
    assert_eq!(comments.len(), 6);
    assert!(comments[0].contains("onerror=rule()>'\"\\u{202e}\\u{7}"), "{}", comments[0]);
    let rule = comments[3].find("reason: api; rule: refused HTTP GET");
    assert!(rule.is_some(), "of an inspector that is no list, what it said: {}", comments[3]);
    assert!(comments[4].contains("rule: refused HTTP GET"), "and of what follows: {}", comments[4]);
}

#[test]
fn what_is_no_ip_is_kept_too() {
    let folder = scratch("links");
    // Two frames of an IEEE 802.11 card, of which one was cut by a snap length.
    let mut radio =
        vec![0xd4, 0xc3, 0xb2, 0xa1, 2, 0, 4, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 4, 0, 105, 0, 0, 0];
    for original in [4, 99] {
        radio.extend([7, 0, 0, 0, 1, 0, 0, 0, 4, 0, 0, 0, original, 0, 0, 0, 8, 0, 0, 0]);
    }
    let radio = file(&folder, "radio.pcap", radio);
    let out = folder.join("out.pcapng");
    let output = appliance(&["replay", text(&radio), "--annotate", text(&out)]);
    assert_eq!(output.status.code(), Some(1), "nothing could be judged");
    assert_eq!(packets(&out), packets(&radio));
    let Some(comments) = comments(&out) else { return };
    assert_eq!(comments, ["not judged: link type 105 is not read"; 2]);
    // What is cut off ends the copy where it ends the capture.
    let whole = fs::read(root("tests/captures/http.pcapng")).expect("our capture");
    let cut = file(&folder, "cut.pcapng", &whole[..whole.len() - 5]);
    let output = appliance(&["replay", text(&cut), "--annotate", text(&out)]);
    assert_eq!(output.status.code(), Some(1));
    assert_eq!(packets(&out).len(), 40);
}
