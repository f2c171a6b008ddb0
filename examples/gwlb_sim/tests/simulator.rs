//! Tests the tester: a mirror that makes a known mistake must be caught by kind, and one that makes none must pass.
//!
//! All run in network namespaces, which takes root (`CAP_SYS_ADMIN`, `CAP_NET_ADMIN`, `CAP_NET_RAW`) and the command
//! `ip`; the bridge takes `/dev/net/tun`, `curl` and `python3` too. Where something is missing the tests say so on the
//! standard error and pass, unless the environment has `KERNEL_TESTS=required`.
#![cfg(target_os = "linux")]

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::time::{Duration, Instant};

use nix::sched::{CloneFlags, unshare};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::Value;

/// The example's binary, which cargo puts beside the test programs.
fn simulator() -> PathBuf {
    let tests = std::env::current_exe().unwrap();
    tests.parent().and_then(Path::parent).unwrap().join("examples/gwlb_sim")
}

/// Whether the machine lets these tests run. Where not, says so, past the test harness that would swallow it.
fn may_run(programs: &[&str]) -> bool {
    let namespace = std::thread::spawn(|| unshare(CloneFlags::CLONE_NEWNET)).join().unwrap();
    let namespace = namespace.err().map(|error| format!("no network namespace: {error}"));
    let program = programs.iter().find_map(|program| {
        let found = Command::new(program).arg("--version").output();
        found.err().map(|error| format!("the command {program} cannot be run: {error}"))
    });
    let tun = !Path::new("/dev/net/tun").exists() && programs.contains(&"curl");
    let tun = tun.then(|| "there is no /dev/net/tun".to_owned());
    let Some(why) = namespace.or(program).or(tun) else { return true };
    let required = std::env::var("KERNEL_TESTS").is_ok_and(|value| value == "required");
    assert!(!required, "{why}");
    let mut stderr = std::io::stderr();
    writeln!(stderr, "SKIPPED: tests of the simulator need root: {why}").unwrap();
    false
}

/// Runs load against a mirror.
fn run(load: &str, mirror: &str) -> (Output, Value) {
    let simulator = simulator();
    // On a machine that has other work an answer may take long, and must not count as lost.
    let patience = if load.contains("--patience") { "" } else { "--patience 5000" };
    let output = Command::new(&simulator)
        .args(["--self-contained", "--json"])
        .args(patience.split_whitespace())
        .args(load.split_whitespace())
        .arg("--")
        .arg(&simulator)
        .arg("reflect")
        .args(mirror.split_whitespace())
        .output()
        .unwrap();
    let report = serde_json::from_slice(&output.stdout).unwrap_or_else(|error| {
        panic!("{load}: {error}: {}", String::from_utf8_lossy(&output.stderr))
    });
    (output, report)
}

#[track_caller]
fn number(report: &Value, path: &str) -> u64 {
    report.pointer(path).and_then(Value::as_u64).unwrap_or_else(|| panic!("{path} in {report:#}"))
}

/// Nothing lost, nothing wrong, and as many answers as packets.
#[track_caller]
fn assert_clean((output, report): &(Output, Value)) {
    assert_eq!(output.status.code(), Some(0), "{report:#}");
    assert_eq!(report["passed"], true);
    assert_eq!((number(report, "/lost"), number(report, "/errors")), (0, 0), "{report:#}");
    assert_eq!(number(report, "/answered"), number(report, "/sent"));
    assert!(number(report, "/sent") > 0);
    let status = report["appliance"]["status"].as_str().unwrap();
    assert!(status.starts_with("exit status: 0, "), "{status}");
}

#[test]
fn a_mirror_passes_with_every_kind_of_traffic() {
    if !may_run(&[]) {
        return;
    }
    for load in [
        "--packets 20000 --profile small --ip 4",
        "--packets 20000 --profile mixed",
        "--packets 20000 --profile bulk --profile mtu --profile imix --ip 6",
        "--packets 20000 --profile jumbo --window 32",
        // More than once through its conversations, so that flows come again with other addresses and cookies.
        "--packets 60000 --profile tcp",
        "--packets 150000 --profile flows-100k",
        "--seconds 1 --rate 5000 --profile small",
    ] {
        let run = run(load, "");
        assert_clean(&run);
        if let Some((_, packets)) = load.split_once("--packets ") {
            let packets: u64 = packets.split(' ').next().unwrap().parse().unwrap();
            assert_eq!(number(&run.1, "/sent"), packets);
        }
    }
}

#[test]
fn captures_are_played_once_or_over_and_over() {
    if !may_run(&[]) {
        return;
    }
    let captures = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/captures");
    for name in
        ["http.pcapng", "dns.pcapng", "ipv6-tcp.pcapng", "fragments.pcapng", "link-vlan.pcap"]
    {
        let file = captures.join(name);
        let once = run(&format!("--capture {}", file.display()), "");
        assert_clean(&once);
        let packets = number(&once.1, "/sent");
        let again = run(&format!("--capture {} --packets {}", file.display(), packets * 7), "");
        assert_clean(&again);
        assert_eq!(number(&again.1, "/sent"), packets * 7);
    }
}

#[test]
fn every_mistake_is_caught_by_kind() {
    if !may_run(&[]) {
        return;
    }
    // The mistake is made with one of 100 packets; what is lost with it depends on its kind.
    let load = "--packets 4000 --profile imix --patience 2000";
    for (mistake, found, is_lost) in [
        ("corrupt-inner", "/wrong/inner packet", false),
        ("corrupt-cookie", "/wrong/GENEVE header", false),
        ("corrupt-geneve", "/wrong/GENEVE header", false),
        ("drop-option", "/wrong/GENEVE header", false),
        ("truncate", "/wrong/length", false),
        ("wrong-port", "/wrong/source port", false),
        ("swap-ports", "/wrong/destination port", true),
        ("wrong-checksum", "/wrong/outer checksum", true),
        ("duplicate", "/duplicates", false),
        ("reset", "/wrong/injected", true),
        ("lose", "/lost", true),
    ] {
        let (output, report) = run(load, &format!("--mistake {mistake}"));
        assert_eq!(output.status.code(), Some(1), "{mistake}: {report:#}");
        assert_eq!(report["passed"], false);
        // Probes are counted by the mirror too.
        let count = number(&report, found);
        assert!((39..=41).contains(&count), "{mistake}: {report:#}");
        let lost = number(&report, "/lost");
        assert_eq!(lost, if is_lost { count } else { 0 }, "{mistake}: {report:#}");
        let errors = if mistake == "lose" { 0 } else { count };
        assert_eq!(number(&report, "/errors"), errors, "{mistake}: {report:#}");
    }
}

#[test]
fn reordering_is_caught_within_a_flow_and_fragments_by_the_system() {
    if !may_run(&[]) {
        return;
    }
    let (output, report) = run("--packets 4000 --profile bulk", "--mistake reorder");
    assert_eq!(output.status.code(), Some(1), "{report:#}");
    let reordered = number(&report, "/reordered");
    assert!((30..=41).contains(&reordered), "{report:#}");
    assert_eq!(number(&report, "/errors"), reordered);

    let (output, report) = run("--packets 1000", "--mistake fragment");
    assert_eq!(output.status.code(), Some(1), "{report:#}");
    // Two fragments each.
    let fragments = number(&report, "/wrong/outer fragments");
    assert!((18..=22).contains(&fragments), "{report:#}");
    assert_eq!(number(&report, "/lost"), 0);
}

#[test]
fn faults_of_the_load_are_no_faults_of_the_appliance() {
    if !may_run(&[]) {
        return;
    }
    let faults = "--packets 20000 --profile mixed --malformed 0.05 --foreign 0.02 --new-cookie 0.05 \
        --duplicate 0.02 --reorder 0.02 --jumbo 0.01 --zero-checksum 0.05 --seed 7";
    let clean = run(faults, "--allow 10.66.0.1");
    assert_clean(&clean);
    let forbidden = clean.1["must_not_be_answered"].as_object().unwrap();
    assert!(forbidden.values().all(|count| count.as_u64() > Some(50)), "{forbidden:?}");
    // The same seed sends the same.
    assert_eq!(
        run(faults, "--allow 10.66.0.1").1["must_not_be_answered"],
        clean.1["must_not_be_answered"]
    );

    let (output, report) = run("--packets 3000 --foreign 0.1", "");
    assert_eq!(output.status.code(), Some(1));
    let answered = number(&report, "/answered_though/foreign origin");
    assert_eq!(answered, number(&report, "/must_not_be_answered/foreign origin"), "{report:#}");

    let (output, report) = run("--packets 3000 --malformed 0.2", "--mistake answer-malformed");
    assert_eq!(output.status.code(), Some(1));
    let sent = report["must_not_be_answered"].as_object().unwrap();
    for (kind, sent) in sent {
        // No mirror sees a wrong checksum, nor answers nothing.
        let unseen = ["wrong checksum", "no payload", "foreign origin"].contains(&&kind[..]);
        let expected = if unseen { 0 } else { sent.as_u64().unwrap() };
        assert_eq!(report["answered_though"][kind].as_u64(), Some(expected), "{kind}: {report:#}");
    }
}

#[test]
fn an_appliance_may_refuse_where_that_is_said() {
    if !may_run(&[]) {
        return;
    }
    let load = "--packets 4000 --profile tcp --allow-drops --patience 2000";
    let (output, report) = run(load, "--mistake reset --every 10");
    assert_eq!(output.status.code(), Some(0), "{report:#}");
    let injected = number(&report, "/injected");
    assert!((390..=410).contains(&injected), "{report:#}");
    assert_eq!((number(&report, "/dropped"), number(&report, "/lost")), (injected, 0));
}

#[test]
fn loss_is_tolerated_as_far_as_is_said() {
    if !may_run(&[]) {
        return;
    }
    for (most, code) in [("0.5", 1), ("1.5", 0)] {
        let load = format!("--packets 4000 --patience 2000 --max-loss {most}");
        let (output, report) = run(&load, "--mistake lose");
        assert_eq!(output.status.code(), Some(code), "{report:#}");
    }
}

#[test]
fn a_search_finds_a_rate() {
    if !may_run(&[]) {
        return;
    }
    let (output, report) = run("--search --seconds 0.2 --max-loss 50 --patience 300", "");
    assert_eq!(output.status.code(), Some(0), "{report:#}");
    assert!(number(&report, "/highest_rate") > 0, "{report:#}");
}

#[test]
fn an_appliance_that_dies_or_never_answers_is_told() {
    if !may_run(&[]) {
        return;
    }
    for (command, expected) in [(&["false"][..], "has ended"), (&["sleep", "60"], "no answer")] {
        let output = Command::new(simulator())
            .args(["--self-contained", "--wait", "1", "--"])
            .args(command)
            .output()
            .unwrap();
        let stderr = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(2), "{stderr}");
        assert!(stderr.contains(expected), "{stderr}");
    }
}

#[test]
fn an_interrupted_run_ends_the_appliance() {
    if !may_run(&[]) {
        return;
    }
    let note = std::env::temp_dir().join(format!("gwlb-sim-{}", std::process::id()));
    let script = format!("echo $$ > {0}; exec {1} reflect", note.display(), simulator().display());
    let mut child = Command::new(simulator())
        .args(["--self-contained", "--seconds", "600", "--json", "--", "sh", "-c", &script])
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let begin = Instant::now();
    let appliance = loop {
        let text = std::fs::read_to_string(&note).unwrap_or_default();
        if let Ok(pid) = text.trim().parse() {
            break Pid::from_raw(pid);
        }
        assert!(begin.elapsed() < Duration::from_secs(20), "the appliance does not start");
        std::thread::sleep(Duration::from_millis(20));
    };
    std::thread::sleep(Duration::from_millis(500));
    kill(Pid::from_raw(child.id() as i32), Signal::SIGINT).unwrap();
    child.wait().unwrap();
    std::fs::remove_file(&note).unwrap();
    assert!(kill(appliance, None).is_err(), "the appliance outlives the simulator");
}

#[test]
fn a_download_comes_through_the_bridge_intact() {
    if !may_run(&["curl", "python3"]) {
        return;
    }
    let folder = std::env::temp_dir().join(format!("gwlb-sim-bridge-{}", std::process::id()));
    std::fs::create_dir_all(&folder).unwrap();
    let data: Vec<u8> = (0..3_000_000_u32).map(|at| (at.wrapping_mul(at) >> 7) as u8).collect();
    std::fs::write(folder.join("data"), &data).unwrap();
    let at = folder.display();
    let bridge = |mirror: &[&str], client: &str| {
        Command::new(simulator())
            .args(["bridge", "--self-contained"])
            .args(["--server", &format!("exec python3 -m http.server --directory {at} 80")])
            .args(["--client", client])
            .arg("--")
            .arg(simulator())
            .arg("reflect")
            .args(mirror)
            .output()
            .unwrap()
    };
    let fetch = format!("curl -s -m 20 http://10.77.2.2/data -o {at}/copy");
    let output = bridge(&[], &fetch);
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(0), "{stderr}");
    assert!(std::fs::read(folder.join("copy")).unwrap() == data, "{stderr}");
    assert!(stderr.contains(" 0 answers were wrong"), "{stderr}");

    // The client's status is the simulator's; curl tells a connection that was refused by 7.
    let output =
        bridge(&["--mistake", "reset", "--every", "1"], "curl -s -m 20 http://10.77.2.2/data");
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(7), "{stderr}");
    std::fs::remove_dir_all(&folder).unwrap();
}
