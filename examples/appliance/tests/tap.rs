//! `appliance replay --tap`: evidence, as tshark reads it.

mod common;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use common::{appliance, root, stdout};
use serde_json::Value;

/// A directory that is not there, and a configuration.
fn scratch(test: &str, config: &str) -> (PathBuf, PathBuf) {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("tap");
    let directory = folder.join(test);
    let _ = fs::remove_dir_all(&directory);
    fs::create_dir_all(&folder).expect("a folder to write to");
    let file = folder.join(format!("{test}.toml"));
    fs::write(&file, config).expect("a configuration");
    (directory, file)
}

fn text(path: &Path) -> &str {
    path.to_str().expect("UTF-8")
}

/// Fields of a capture's packets, `None` (said aloud) without tshark.
fn fields(file: &Path, names: &[&str]) -> Option<Vec<Vec<String>>> {
    let mut command = Command::new("tshark");
    command.arg("-r").arg(file).args(["-d", "udp.port==6081,geneve", "-T", "fields"]);
    command.args(["-o", "udp.check_checksum:TRUE", "-E", "separator=|", "-E", "occurrence=f"]);
    names.iter().for_each(|name| _ = command.args(["-e", name]));
    let Ok(output) = command.output() else {
        eprintln!("SKIPPED: tshark is needed");
        return None;
    };
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let rows = String::from_utf8(output.stdout).expect("UTF-8");
    Some(rows.lines().map(|line| line.split('|').map(str::to_owned).collect()).collect())
}

const NO_WEB: &str = "[access]\ndefault = \"allow\"\n[[access.rule]]\nname = \"no web\"\naction = \"reject\"\nlog = true\nports = 80\n";

#[test]
fn what_is_kept_says_why() {
    let tap = "[tap]\ndirectory = \"/nowhere\"\n[[tap.rule]]\nname = \"names\"\nports = 53\nto = \"10.0.0.0/8\"\n";
    let (directory, config) = scratch("why", &[NO_WEB, tap].concat());
    let capture = root("tests/captures/http.pcapng");
    let arguments = ["replay", text(&capture), "--config", text(&config), "--json"];
    let output = appliance(&[&arguments[..], &["--tap", text(&directory)]].concat());
    let report: Value = serde_json::from_str(&stdout(&output)).expect("JSON");
    assert_eq!(report["kept"], 34);

    let names = [
        "frame.time_epoch",
        "ip.src",
        "ip.dst",
        "ip.ttl",
        "ip.dsfield",
        "udp.srcport",
        "udp.dstport",
        "udp.checksum.status",
        "geneve.vni",
        "udp.payload",
    ];
    let file = directory.join("evidence-00000001.pcapng");
    let Some(sent) = fields(&capture, &names) else { return };
    let kept = fields(&file, &names).expect("tshark");
    assert_eq!(kept.len(), 34);
    for packet in &kept {
        assert!(sent.contains(packet), "{packet:?}");
        assert_eq!(packet[7], "1", "the checksum is right: {packet:?}");
    }
    let comments = fields(&file, &["frame.comment"]).expect("tshark");
    let comments: Vec<_> = comments.iter().map(|row| row[0].as_str()).collect();
    let first = "access-list: rule 1 (no web) rejected vpce-0a1b2c3d4e5f60718 TCP 10.20.0.5:49152 -> 192.0.2.80:80";
    let triggers: Vec<_> = comments.iter().filter(|it| it.starts_with("access-list: ")).collect();
    assert_eq!(triggers.len(), 3);
    assert!(triggers[0].starts_with(first) && triggers[0].ends_with("reject: access-list"));
    let of = |what: &str| comments.iter().filter(|comment| **comment == what).count();
    assert_eq!((of("tap: rule 1 (names)"), of("reject: access-list"), of("")), (2, 27, 2));
}

#[test]
fn without_a_word_about_it_what_has_an_alert_is_kept() {
    let (directory, config) = scratch("alerts", NO_WEB);
    let capture = root("tests/captures/http.pcapng");
    let arguments = ["replay", text(&capture), "--config", text(&config)];
    let table = stdout(&appliance(&[&arguments[..], &["--tap", text(&directory)]].concat()));
    let line = table.lines().find(|line| line.starts_with("packets kept as evidence"));
    assert!(line.is_some_and(|line| line.ends_with(" 30")), "{table}");
}

#[test]
fn where_nothing_can_be_kept_it_says_so() {
    let (_, config) = scratch("nowhere", NO_WEB);
    let capture = root("tests/captures/http.pcapng");
    let output =
        appliance(&["replay", text(&capture), "--tap", text(&config.join("below a file"))]);
    assert!(!output.status.success());
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(
        stderr.contains("cannot keep evidence in") && stderr.contains("below a file"),
        "{stderr}"
    );
}
