//! An appliance that is killed while real programs talk through it.

use std::fs::{self, File};
use std::path::Path;
use std::process::{Command, Stdio};
use std::thread;
use std::time::Duration;

use nix::sys::signal::Signal;

use crate::stage::{APPLIANCE, GATEWAY, Process, Stage, simulator};

/// Whether the programs are there that talk.
fn may_talk() -> bool {
    let is_there = |program: &&str| Command::new(program).arg("--version").output().is_ok();
    let missing = ["curl", "python3"].into_iter().find(|program| !is_there(program));
    let tun = Path::new("/dev/net/tun").exists();
    let Some(missing) = missing.or((!tun).then_some("/dev/net/tun")) else { return true };
    let required = std::env::var("KERNEL_TESTS").is_ok_and(|value| value == "required");
    assert!(!required, "there is no {missing}");
    eprintln!("SKIPPED: restarts need {missing}");
    false
}

/// A download of three seconds, during which the appliance is killed and started again: curl's exit status, and what the
/// bridge and its programs have said.
fn download_through_a_restart(stage: &mut Stage, config: &str) -> (Option<i32>, String) {
    let data: Vec<u8> = (0..3_000_000_u32).map(|at| (at.wrapping_mul(at) >> 7) as u8).collect();
    fs::write(stage.file("data"), &data).unwrap();
    let _ = fs::remove_file(stage.file("copy"));
    let at = stage.file("");
    let at = at.display();
    let mut bridge = Command::new(simulator());
    bridge.args(["bridge", "--appliance", &APPLIANCE.to_string()]);
    bridge.args(["--gateway", &GATEWAY.to_string()]);
    bridge.args(["--server", &format!("exec python3 -m http.server --directory {at} 80")]);
    // What is not forwarded has no receiver whom the appliance knows: the client has to say something, too.
    let curl = format!(
        "curl -sS -m 40 --keepalive-time 1 --limit-rate 1M http://10.77.2.2/data -o {at}/copy"
    );
    bridge.args(["--client", &curl]);
    let said = stage.file("bridge");
    bridge.stdin(Stdio::null()).stderr(File::create(&said).unwrap());
    let mut bridge = Process::start(&stage.gateway, bridge);
    let begun =
        |stage: &Stage| fs::metadata(stage.file("copy")).is_ok_and(|copy| copy.len() > 100_000);
    stage.wait_for("download", begun);
    stage.appliance().signal(Signal::SIGKILL);
    stage.appliance().end();
    thread::sleep(Duration::from_millis(200));
    stage.start(config);
    let code = bridge.end().code();
    let said = fs::read_to_string(&said).unwrap();
    if code == Some(0) {
        assert!(fs::read(stage.file("copy")).unwrap() == data, "{said}");
    }
    (code, said)
}

#[test]
fn a_connection_outlives_its_appliance_where_availability_counts() {
    if !may_talk() {
        return;
    }
    let config = "[policy]\nprofile = \"available\"\n";
    let Some(mut stage) = Stage::with_appliance("available", config) else { return };
    let (code, said) = download_through_a_restart(&mut stage, config);
    assert_eq!(code, Some(0), "{said}");
    assert!(said.contains(" 0 answers were wrong"), "{said}");
    let stats = stage.has_survived();
    assert!(stats.0["total"]["exceptions"]["midstream"].as_u64() >= Some(1), "{:#}", stats.0);
}

#[test]
fn a_connection_is_reset_at_both_ends_where_strictness_counts() {
    if !may_talk() {
        return;
    }
    let config = "[policy]\nprofile = \"strict\"\n";
    let Some(mut stage) = Stage::with_appliance("strict", config) else { return };
    let (code, said) = download_through_a_restart(&mut stage, config);
    // As curl tells a connection that was reset.
    assert_eq!(code, Some(56), "{said}");
    assert!(
        said.contains("ConnectionResetError") || said.contains("Connection reset by peer"),
        "{said}"
    );
    assert!(said.contains(" 0 answers were wrong"), "{said}");
    let stats = stage.has_survived();
    assert!(stats.number("injected") >= 2, "{:#}", stats.0);
}
