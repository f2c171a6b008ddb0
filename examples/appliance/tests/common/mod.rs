//! Starting the appliance and asking tshark for a second opinion.
#![allow(dead_code, unreachable_pub)]

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use serde_json::Value;

/// Runs the appliance to its end.
pub fn appliance(arguments: &[&str]) -> Output {
    Command::new(binary()).args(arguments).output().expect("the appliance starts")
}

/// The example's binary, which cargo puts beside the test programs.
pub fn binary() -> PathBuf {
    let tests = std::env::current_exe().expect("a path of our own");
    let target = tests.parent().and_then(Path::parent).expect("target/PROFILE/deps");
    target.join("examples/appliance")
}

/// Standard output of a run that must succeed.
pub fn stdout(output: &Output) -> String {
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{stderr}");
    String::from_utf8(output.stdout.clone()).expect("UTF-8")
}

/// A folder of the repository's root.
pub fn root(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").join(path)
}

/// The folder of public captures, `None` (said aloud) where `GWLB_CAPTURES` does not name it.
pub fn public_captures() -> Option<PathBuf> {
    let Some(folder) = std::env::var_os("GWLB_CAPTURES") else {
        eprintln!("SKIPPED: set GWLB_CAPTURES to a folder of public captures to run this test");
        return None;
    };
    // Cargo runs a test in its package's folder; a relative path is meant from the root.
    Some(root("").join(folder))
}

/// Every capture in a folder.
pub fn files(folder: &Path) -> Vec<PathBuf> {
    let mut files: Vec<_> = std::fs::read_dir(folder)
        .unwrap_or_else(|error| panic!("{}: {error}", folder.display()))
        .map(|entry| entry.expect("an entry").path())
        .filter(|path| path.extension().is_some_and(|end| end == "pcap" || end == "pcapng"))
        .collect();
    files.sort();
    assert!(!files.is_empty(), "no capture in {}", folder.display());
    files
}

/// The packets of a file as tshark sees them, `None` (said aloud) where there is no tshark.
pub fn tshark(file: &Path) -> Option<Vec<Value>> {
    let arguments = ["-d", "udp.port==6081,geneve", "-T", "json", "--no-duplicate-keys"];
    let output = match Command::new("tshark").arg("-r").arg(file).args(arguments).output() {
        Ok(output) => output,
        Err(error) => {
            eprintln!("SKIPPED: tshark is needed ({error})");
            return None;
        }
    };
    let stderr = String::from_utf8_lossy(&output.stderr);
    let complaint = stderr.lines().find(|line| !line.contains("Running as user"));
    assert!(output.status.success() && complaint.is_none(), "{}: {stderr}", file.display());
    let packets: Value = serde_json::from_slice(&output.stdout).expect("JSON from tshark");
    let packets = packets.as_array().expect("an array of packets");
    Some(packets.iter().map(|packet| packet["_source"]["layers"].clone()).collect())
}

/// The `n`th layer of a name, from 0: tshark gives one as an object and several as an array.
pub fn layer<'a>(packet: &'a Value, name: &str, n: usize) -> &'a Value {
    match &packet[name] {
        Value::Array(layers) => &layers[n],
        one if n == 0 => one,
        _ => &Value::Null,
    }
}

/// A value that tshark writes as a decimal text or as a hexadecimal one with `0x`.
#[track_caller]
pub fn number(value: &Value) -> u64 {
    let Some(text) = value.as_str() else { panic!("a number in a text, not {value}") };
    match text.strip_prefix("0x") {
        Some(digits) => u64::from_str_radix(digits, 16),
        None => text.parse(),
    }
    .unwrap_or_else(|error| panic!("{text}: {error}"))
}
