//! Records, and whatever can happen to them: no packet is held up or lost for it.

use std::fs;
use std::io::{BufRead, BufReader};
use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};
use std::process::Command;

use nix::sched::{CloneFlags, unshare};
use nix::sys::signal::Signal;
use serde_json::Value;

use super::appliance::{Appliance, alone, metric};
use super::gateway::{Gateway, datagram};
use super::{file, metrics};

fn folder(name: &str) -> PathBuf {
    let path = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(name);
    let _ = fs::remove_dir_all(&path);
    fs::create_dir_all(&path).unwrap();
    path
}

/// Refuses DNS, so that each such datagram is recorded.
fn config(name: &str, eve: &str) -> PathBuf {
    let text = "[access]\ndefault = \"allow\"\n[[access.rule]]\naction = \"drop\"\nports = 53\n\
                [endpoints.\"vpce-00a1b2c3d4e5f6071\"]\nname = \"front door\"\n[run]\ndrain = 0.5\n";
    file(name, &format!("{text}[eve]\nqueue = 65536\ntypes = [\"drop\", \"alert\"]\n{eve}"))
}

fn records(path: &Path) -> Vec<Value> {
    let text = fs::read_to_string(path).unwrap_or_default();
    assert!(text.is_empty() || text.ends_with('\n'), "half a record at the end of {text}");
    text.lines().map(|line| serde_json::from_str(line).expect(line)).collect()
}

/// Sends so many that are refused, and one in between that must pass.
fn traffic(gateway: &Gateway, refused: u16) {
    for port in 0..refused {
        gateway.send(&datagram(10_000 + port, 53));
        if port % 50 == 0 {
            assert!(gateway.passes(&datagram(1_000 + port, 2_000)));
        }
    }
    assert!(gateway.passes(&datagram(999, 2_000)));
}

fn count(name: &str) -> u64 {
    metric(&metrics(), name, "")
}

#[test]
fn a_full_disk_costs_records_and_no_packet() {
    alone(|| {
        let folder = folder("full-disk");
        unshare(CloneFlags::CLONE_NEWNS).unwrap();
        let private = Command::new("mount").args(["--make-rprivate", "/"]).status().unwrap();
        assert!(private.success());
        let options = ["-t", "tmpfs", "-o", "size=64k", "records"];
        let mounted = Command::new("mount").args(options).arg(&folder).status().unwrap();
        assert!(mounted.success());

        let eve = folder.join("eve.json");
        let config = config("full-disk.toml", &format!("file = {eve:?}"));
        let gateway = Gateway::new();
        let appliance = Appliance::start(&["--config", config.to_str().unwrap()]);
        let mut sent = 0;
        while !appliance.log().contains("EVE records cannot be written: No space left") {
            traffic(&gateway, 200);
            sent += 200;
            // It is said twice a second at most.
            std::thread::sleep(std::time::Duration::from_millis(20));
            assert!(sent < 200_000, "{}", appliance.log());
        }
        // What is there, is whole.
        assert!(!records(&eve).is_empty());
        appliance.wait_for("losses", || count("gwlb_eve_dropped_total") > 0);

        // Somebody makes room.
        fs::remove_file(&eve).unwrap();
        traffic(&gateway, 20);
        appliance.wait_for("recovery", || {
            appliance.log().contains("EVE records are written again") && !records(&eve).is_empty()
        });
        sent += 20;
        // Each is written or counted as lost.
        appliance.wait_for("all records", || {
            let (written, lost) =
                (count("gwlb_eve_written_total"), count("gwlb_eve_dropped_total"));
            written + lost == sent
        });
        let first = records(&eve).remove(0);
        assert_eq!(first["gwlb"]["endpoint_name"], "front door", "{first}");
        let page = metrics();
        assert!(page.contains("endpoint=\"vpce-00a1b2c3d4e5f6071\",name=\"front door\""), "{page}");
    });
}

#[test]
fn a_removed_folder_is_got_over() {
    alone(|| {
        let folder = folder("removed");
        let eve = folder.join("eve.json");
        let config =
            config("removed.toml", &format!("file = {eve:?}\nrotate-bytes = 4096\nkeep = 2"));
        let gateway = Gateway::new();
        let mut appliance = Appliance::start(&["--config", config.to_str().unwrap()]);
        // A worker that has too little of the machine lets new flows pass, of which there is no record.
        appliance.wait_for("a hundred records", || {
            traffic(&gateway, 100);
            count("gwlb_eve_written_total") >= 100
        });
        appliance.wait_for("the last of them", || {
            let before = count("gwlb_eve_written_total");
            std::thread::sleep(std::time::Duration::from_millis(300));
            count("gwlb_eve_written_total") == before
        });
        assert!(!folder.join("eve.json.3").exists());
        for name in ["eve.json.1", "eve.json.2"] {
            let len = fs::metadata(folder.join(name)).unwrap().len();
            assert!(len <= 4_096 && !records(&folder.join(name)).is_empty(), "{name}: {len}");
        }
        fs::remove_dir_all(&folder).unwrap();
        traffic(&gateway, 100);
        appliance.wait_for("complaint", || {
            appliance.log().contains("EVE records cannot be written: No such file")
        });
        fs::create_dir_all(&folder).unwrap();
        traffic(&gateway, 10);
        appliance.wait_for("recovery", || !records(&eve).is_empty());

        // Moved by somebody who keeps logs.
        fs::rename(&eve, folder.join("kept.json")).unwrap();
        appliance.signal(Signal::SIGHUP);
        traffic(&gateway, 10);
        appliance.wait_for("another file", || !records(&eve).is_empty());
        appliance.signal(Signal::SIGTERM);
        assert_eq!(appliance.end().0.code(), Some(0), "{}", appliance.log());
    });
}

#[test]
fn readers_of_a_socket_come_and_go() {
    alone(|| {
        let path = std::env::temp_dir().join(format!("gwlb-records-{}.sock", std::process::id()));
        let _ = fs::remove_file(&path);
        let envelope =
            "envelope = { firewall-name = \"fw\", availability-zone = \"eu-central-1a\" }";
        let config =
            config("socket.toml", &format!("file = {path:?}\nkind = \"unix-stream\"\n{envelope}"));
        let gateway = Gateway::new();
        // Nobody is there yet.
        let appliance = Appliance::start(&["--config", config.to_str().unwrap()]);
        traffic(&gateway, 10);
        appliance
            .wait_for("complaint", || appliance.log().contains("EVE records cannot be written"));
        for turn in 0..2 {
            let listener = UnixListener::bind(&path).unwrap();
            traffic(&gateway, 100);
            let (reader, _) = listener.accept().unwrap();
            let mut lines = BufReader::new(reader).lines();
            for _ in 0..50 {
                let line = lines.next().unwrap().unwrap();
                let record: Value = serde_json::from_str(&line).expect(&line);
                assert_eq!(record["firewall_name"], "fw");
                assert_eq!(record["event"]["event_type"], "drop", "{turn}: {record}");
                let time: u64 = record["event_timestamp"].as_str().unwrap().parse().unwrap();
                assert!(time > 1_700_000_000);
            }
            // It goes in the middle of its reading, and the socket with it.
            drop((lines, listener));
            fs::remove_file(&path).unwrap();
            traffic(&gateway, 100);
        }
        appliance.wait_for("losses", || count("gwlb_eve_dropped_total") > 0);
    });
}

#[test]
fn a_shadow_policy_is_told_and_does_nothing() {
    alone(|| {
        let eve = folder("shadow").join("eve.json");
        let first = config("first.toml", &format!("file = {eve:?}"));
        let shadow = file(
            "shadow.toml",
            "[access]\ndefault = \"allow\"\n[[access.rule]]\nname = \"no syslog\"\naction = \"drop\"\nports = 514\n",
        );
        let gateway = Gateway::new();
        let arguments = ["--config", first.to_str().unwrap(), "--shadow", shadow.to_str().unwrap()];
        let appliance = Appliance::start(&arguments);
        assert!(gateway.passes(&datagram(1_000, 2_000)));
        for _ in 0..3 {
            assert!(gateway.passes(&datagram(1_001, 514)), "it has no effect");
        }
        assert!(!gateway.passes(&datagram(1_002, 53)), "nor has what it would let pass");
        appliance.wait_for("differences", || count("gwlb_shadow_would_differ_total") == 4);
        assert_eq!(count("gwlb_shadow_would_pass_total"), 1);
        let log = appliance.log();
        assert!(log.contains("would drop: access-list; now forward"), "{log}");
        assert!(log.contains("would forward; now drop: access-list"), "{log}");
        assert_eq!(log.matches("would drop").count(), 1, "once a flow: {log}");
        assert!(log.contains("front door"), "{log}");
        appliance.wait_for("records", || {
            let alerts = records(&eve);
            alerts.iter().filter(|it| it["alert"]["signature"] == "shadow-policy").count() == 2
        });

        // The shadow is promoted, and another one takes its place: none that differs.
        fs::write(&first, fs::read_to_string(&shadow).unwrap() + "[run]\nreload = \"all\"\n")
            .unwrap();
        appliance.signal(Signal::SIGHUP);
        appliance.wait_for("reload", || appliance.log().contains("is in force"));
        let log = appliance.log();
        assert!(
            log.contains(
                "SIGHUP: `access.rule` has one less, number 1: { action = \"drop\", ports = 53 }"
            ),
            "{log}"
        );
        assert!(log.contains("SIGHUP: `run.reload` is now said: \"all\""), "{log}");
        assert!(log.contains("flows that there are go on under it, too"), "{log}");
        assert!(!gateway.passes(&datagram(1_001, 514)), "also for a flow that there was");
        assert!(gateway.passes(&datagram(1_003, 53)));
        assert_eq!(count("gwlb_shadow_would_differ_total"), 4, "{}", appliance.log());
    });
}
