//! The appliance's demonstration, with real sockets and `curl`, in zones that the simulator lays.
//!
//! Takes root and `curl`. Where something is missing the test says so on the standard error and passes, unless the environment has
//! `KERNEL_TESTS=required`.
#![cfg(target_os = "linux")]

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::Command;

use nix::sched::{CloneFlags, unshare};

/// The example's binary, which cargo puts beside the test programs.
fn appliance() -> PathBuf {
    let tests = std::env::current_exe().unwrap();
    tests.parent().and_then(Path::parent).unwrap().join("examples/appliance")
}

fn what_is_missing() -> Option<String> {
    let namespace = std::thread::spawn(|| unshare(CloneFlags::CLONE_NEWNET)).join().unwrap();
    if let Err(error) = namespace {
        return Some(format!("no network namespace: {error}"));
    }
    let curl = Command::new("curl").arg("--version").output();
    let tun = Path::new("/dev/net/tun").exists();
    match curl {
        Err(error) => Some(format!("the command curl cannot be run: {error}")),
        Ok(_) => (!tun).then(|| "there is no /dev/net/tun".to_owned()),
    }
}

/// Would catch: an appliance that judges live traffic otherwise than traffic in memory, of which the same story is told.
#[test]
fn the_pet_store_is_kept_safe_on_real_sockets() {
    if let Some(why) = what_is_missing() {
        let required = std::env::var("KERNEL_TESTS").is_ok_and(|value| value == "required");
        assert!(!required, "{why}");
        let mut stderr = std::io::stderr();
        writeln!(stderr, "SKIPPED: the live demonstration needs root: {why}").unwrap();
        return;
    }
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("petstore");
    let mut demo = Command::new(appliance());
    let demo = demo.args(["demo", "petstore", "--netns", "--out"]).arg(&folder);
    let output = demo.output().unwrap();
    let [told, said] = [&output.stdout, &output.stderr].map(|text| String::from_utf8_lossy(text));
    assert_eq!(output.status.code(), Some(0), "{told}\n{said}");
    assert!(told.matches("\nmet ").count() > 20, "{told}");
    assert!(!told.contains("NOT MET"), "{told}");
}
