//! `appliance test`.

use std::fs;
use std::path::Path;

use super::common::{appliance, root, stdout};
use super::{file, refused, scratch, text};

/// The cases that are shipped hold.
#[test]
fn the_cases_of_the_example_hold() {
    let folder = root("examples/appliance/cases");
    let told = stdout(&appliance(&["test", text(&folder)]));
    let cases = fs::read_dir(&folder).expect("a folder").filter(|entry| {
        let name = entry.as_ref().expect("an entry").file_name();
        name.to_string_lossy().ends_with(".expect.toml")
    });
    let count = cases.count();
    assert!(count >= 6, "{told}");
    assert_eq!(told.lines().filter(|line| line.ends_with(" ... ok")).count(), count, "{told}");
    assert!(
        told.ends_with(&format!("result: ok. {count} passed; 0 failed; 0 ignored\n")),
        "{told}"
    );
}

/// A folder with one capture of our own, and what is expected of it.
fn one(name: &str, expected: &str) -> std::path::PathBuf {
    let folder = scratch(name);
    fs::copy(root("tests/captures/ipv4-tcp.pcapng"), folder.join("tcp.pcapng")).expect("a copy");
    file(&folder, "tcp.expect.toml", expected);
    folder
}

/// What a run of a folder says that must fail.
#[track_caller]
fn failed(folder: &Path, more: &[&str]) -> String {
    let output = appliance(&[&["test", text(folder)], more].concat());
    let told = String::from_utf8_lossy(&output.stdout).into_owned();
    assert_eq!(output.status.code(), Some(1), "{told}");
    assert!(output.stderr.is_empty(), "{}", String::from_utf8_lossy(&output.stderr));
    told
}

#[test]
fn what_is_not_as_expected_fails() {
    let folder = one(
        "failing",
        "[counts]\nreceived = 14\nforwarded = 13\n[[packet]]\nnumber = 1\nverdict = \"drop\"\n",
    );
    file(&folder, "ok.expect.toml", "capture = \"tcp.pcapng\"\n[counts]\nreceived = 14\n");
    fs::copy(folder.join("tcp.pcapng"), folder.join("<other>\u{1b}.pcapng")).expect("a copy");
    let xml = folder.join("results.xml");
    let told = failed(&folder, &["--junit", text(&xml)]);
    assert!(told.starts_with("running 2 cases\ncase ok ... ok\ncase tcp ... FAILED\n"), "{told}");
    assert!(told.contains("tcp.expect.toml: line 3, forwarded: expected 13, found 14\n"), "{told}");
    assert!(
        told.contains("tcp.expect.toml: line 4, packet 1: expected drop, found forward\n"),
        "{told}"
    );
    assert!(
        told.contains("case <other>\\u{1b} ... ignored: no <other>\\u{1b}.expect.toml\n"),
        "{told}"
    );
    assert!(told.ends_with("result: FAILED. 1 passed; 1 failed; 1 ignored\n"), "{told}");
    let xml = fs::read_to_string(xml).expect("results");
    assert!(xml.contains("tests=\"3\" failures=\"1\" errors=\"0\" skipped=\"1\""), "{xml}");
    assert!(xml.contains("line 3, forwarded: expected 13, found 14\">"), "{xml}");
    assert!(xml.contains("name=\"&lt;other&gt;\\u{1b}\"") && !xml.contains("<other>"), "{xml}");
    let parsed = std::process::Command::new("python3")
        .args(["-c", "import sys, xml.dom.minidom as m; print(len(m.parse(sys.argv[1]).getElementsByTagName('testcase')))"])
        .arg(folder.join("results.xml"))
        .output();
    match parsed {
        Ok(output) => assert_eq!(String::from_utf8_lossy(&output.stdout), "3\n"),
        Err(error) => eprintln!("SKIPPED: python3 is needed ({error})"),
    }
}

#[test]
fn policies_are_the_cases_own_or_common() {
    let folder = one("policies", "[counts]\nforwarded = 0\n");
    let told = failed(&folder, &[]);
    assert!(told.contains("forwarded: expected 0, found 14"), "{told}");
    // The folder's own,
    let shut = file(&folder, "appliance.toml", "[access]\ndefault = \"drop\"\n");
    stdout(&appliance(&["test", text(&folder)]));
    // one that is named on the command line,
    let open = file(&folder, "open.toml", "[access]\ndefault = \"allow\"\n");
    failed(&folder, &["--config", text(&open)]);
    // and one that the case names.
    file(&folder, "tcp.expect.toml", "config = \"open.toml\"\n[counts]\nforwarded = 14\n");
    stdout(&appliance(&["test", text(&folder), "--config", text(&shut)]));
    // One case alone.
    let told = stdout(&appliance(&["test", text(&folder.join("tcp.expect.toml"))]));
    assert!(told.starts_with("running 1 case\ncase tcp ... ok\n"), "{told}");
}

#[test]
fn mistakes_are_told_with_their_place() {
    for (expected, said) in [
        (
            "[counts]\nrecieved = 14\n",
            "tcp.expect.toml: line 2, column 1: expected one of `packets`",
        ),
        (
            "[[packet]]\nnumber = 1\nverdict = \"pass\"\n",
            "tcp.expect.toml: line 3, column 11: expected `forward`",
        ),
        ("config = \"none.toml\"\n[counts]\nreceived = 14\n", "cannot read"),
        ("capture = \"none.pcap\"\n[counts]\nreceived = 14\n", "cannot open"),
    ] {
        let folder = one("mistakes", expected);
        let told = failed(&folder, &["--junit", text(&folder.join("out.xml"))]);
        let lines: Vec<_> = told.lines().filter(|line| line.starts_with("    ")).collect();
        assert!(lines.len() == 1 && lines[0].contains(said), "{said} in\n{told}");
        let xml = fs::read_to_string(folder.join("out.xml")).expect("results");
        assert!(xml.contains("errors=\"1\""), "{xml}");
    }
    let folder = one("both", "[counts]\nreceived = 14\n");
    fs::copy(folder.join("tcp.pcapng"), folder.join("tcp.pcap")).expect("a copy");
    assert!(
        failed(&folder, &[]).contains("expected one capture, found both tcp.pcap and tcp.pcapng")
    );
    let folder = scratch("orphan");
    file(&folder, "gone.expect.toml", "[counts]\nreceived = 14\n");
    assert!(
        failed(&folder, &[])
            .contains("expected the capture gone.pcap or gone.pcapng, found neither")
    );
}

/// A capture that is damaged fails a test that does not expect it.
#[test]
fn damage_is_a_failure_unless_it_is_expected() {
    let folder = one("damage", "[counts]\nreceived = 13\n");
    let whole = fs::read(folder.join("tcp.pcapng")).expect("our copy");
    file(&folder, "tcp.pcapng", &whole[..whole.len() - 5]);
    assert!(failed(&folder, &[]).contains("packet 14 is cut off"));
    file(&folder, "tcp.expect.toml", "[counts]\nreceived = 13\nunreadable = 1\n");
    stdout(&appliance(&["test", text(&folder)]));
}

#[test]
fn nothing_to_test_is_a_mistake() {
    let folder = scratch("nothing");
    refused(&["test", text(&folder)], 1, "expected files *.expect.toml, found none");
    refused(&["test", "missing"], 1, "expected a folder or a file *.expect.toml, found neither");
}
