//! What a running appliance writes: EVE records, and evidence.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::thread;
use std::time::Duration;

use gwlb_geneve::capture::Reader;
use gwlb_geneve::gwlb::Outer;
use nix::sched::{CloneFlags, unshare};
use nix::sys::signal::Signal;
use serde_json::Value;

use super::appliance::{Appliance, MANAGE, alone, get, metric};
use super::gateway::{Gateway, datagram};
use super::{file, metrics};

/// A path that is not there.
fn scratch(name: &str) -> PathBuf {
    let path = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(name);
    let _ = fs::remove_dir_all(&path);
    let _ = fs::remove_file(&path);
    path
}

/// Drops flows to port 53 and tells of them.
const REFUSE_53: &str = super::REFUSE_53;

#[test]
fn records_are_written_while_it_runs() {
    alone(|| {
        let out = scratch("live-eve.json");
        let eve = format!("[eve]\nfile = {out:?}\nstats = 0.2\n[timeouts]\nunanswered = 1\n");
        let config = file("live-eve.toml", &[REFUSE_53, &eve].concat());
        let gateway = Gateway::new();
        let mut appliance = Appliance::start(&["--config", config.to_str().unwrap()]);
        assert!(gateway.passes(&datagram(1_000, 2_000)));
        assert!(!gateway.passes(&datagram(1_001, 53)));
        let records = || -> Vec<Value> {
            let text = fs::read_to_string(&out).unwrap_or_default();
            // The last line may be on its way.
            let whole = text.rfind('\n').map_or("", |end| &text[..end]);
            whole.lines().map(|line| serde_json::from_str(line).expect(line)).collect()
        };
        let find = |kind: &str, port: u16| {
            let records = records();
            let mut of = records.iter().filter(|record| record["event_type"] == kind);
            of.find(|record| record["src_port"] == port).cloned()
        };
        // The flow that passes is recorded when it ends, which it does by itself.
        appliance.wait_for("a record of the flow", || find("flow", 1_000).is_some());
        let flow = find("flow", 1_000).unwrap();
        assert_eq!(flow["flow"]["pkts_toserver"], 1);
        assert_eq!(flow["flow"]["alerted"], false);
        assert_eq!((&flow["src_ip"], &flow["dest_ip"]), (&"10.1.0.1".into(), &"10.2.0.2".into()));
        assert_eq!((&flow["dest_port"], &flow["proto"]), (&2_000.into(), &"UDP".into()));
        assert_eq!(flow["gwlb"]["endpoint"], "vpce-00a1b2c3d4e5f6071");
        let alert = find("alert", 1_001).expect("an alert");
        assert_eq!(alert["alert"]["signature"], "access-list");
        assert_eq!(alert["alert"]["action"], "blocked");
        assert_eq!(find("drop", 1_001).expect("a drop")["drop"]["reason"], "access-list");
        assert_eq!(find("flow", 1_001).expect("its flow")["flow"]["alerted"], true);
        let counted = || {
            let records = records();
            let stats = records.iter().rfind(|record| record["event_type"] == "stats");
            stats.and_then(|stats| stats["stats"]["gwlb"]["received"].as_u64())
        };
        appliance.wait_for("counters", || counted() == Some(2));
        assert!(metric(&metrics(), "gwlb_eve_written_total", "") >= 4);
        assert_eq!(metric(&metrics(), "gwlb_eve_dropped_total", ""), 0);

        // All is written when it ends, and each line is one for a common reader of JSON.
        assert!(gateway.passes(&datagram(1_002, 2_000)));
        appliance.stop_at_once();
        appliance.end();
        assert_eq!(find("flow", 1_002).expect("the last flow")["flow"]["reason"], "shutdown");
        let jq = Command::new("jq").args(["-c", "."]).arg(&out).output();
        match jq {
            Ok(jq) => {
                assert!(jq.status.success(), "{}", String::from_utf8_lossy(&jq.stderr));
                let lines = jq.stdout.iter().filter(|byte| **byte == b'\n').count();
                assert_eq!(lines, fs::read_to_string(&out).unwrap().lines().count());
            }
            Err(error) => eprintln!("SKIPPED: jq is needed ({error})"),
        }
    });
}

/// Destination port inside, and comment, of each packet of the evidence in a directory.
fn evidence(directory: &Path) -> Vec<u16> {
    let mut ports = Vec::new();
    let Ok(entries) = fs::read_dir(directory) else { return ports };
    let mut files: Vec<_> = entries.map(|entry| entry.unwrap().path()).collect();
    files.sort();
    for file in files {
        let Ok(mut reader) = Reader::open(&file) else { continue };
        while let Some(Ok(packet)) = reader.next_packet() {
            let (outer, payload) = Outer::parse(packet.data).unwrap();
            assert_eq!(outer.source_port, 40_000);
            // After GENEVE, IPv4, and the source port.
            ports.push(u16::from_be_bytes([payload[40 + 22], payload[40 + 23]]));
        }
    }
    ports
}

#[test]
fn evidence_is_written_while_it_runs_and_again_when_its_directory_is_gone() {
    alone(|| {
        let directory = scratch("live-evidence");
        let tap = format!("[tap]\ndirectory = {directory:?}\n[[tap.rule]]\nports = 2000\n");
        let config = file("live-tap.toml", &[REFUSE_53, &tap].concat());
        let gateway = Gateway::new();
        let mut appliance = Appliance::start(&["--config", config.to_str().unwrap()]);
        let holds = |expected: &[u16]| {
            appliance.wait_for("evidence", || {
                let mut ports = evidence(&directory);
                ports.sort_unstable();
                ports == expected
            });
        };
        assert!(gateway.passes(&datagram(1_000, 3_000)));
        assert!(gateway.passes(&datagram(1_000, 2_000)));
        assert!(!gateway.passes(&datagram(1_000, 53)));
        holds(&[53, 2_000]);
        assert!(!gateway.passes(&datagram(1_000, 53)), "and what follows in that flow");
        holds(&[53, 53, 2_000]);
        fs::remove_dir_all(&directory).unwrap();
        assert!(gateway.passes(&datagram(1_001, 2_000)));
        holds(&[2_000]);

        // Another rule, by a reload.
        file("live-tap.toml", &[REFUSE_53, &tap.replace("ports = 2000", "ports = 3000")].concat());
        appliance.signal(Signal::SIGHUP);
        appliance.wait_for("reload", || appliance.log().contains("is in force"));
        assert!(gateway.passes(&datagram(1_002, 2_000)));
        assert!(gateway.passes(&datagram(1_002, 3_000)));
        holds(&[2_000, 3_000]);

        // In its place there is something else: packets go on, and it is said and counted.
        fs::remove_dir_all(&directory).unwrap();
        fs::write(&directory, "in the way").unwrap();
        assert!(gateway.passes(&datagram(1_003, 3_000)));
        let failed = || metric(&metrics(), "gwlb_evidence_failed_total", "");
        appliance.wait_for("a count", || failed() == 1);
        appliance.wait_for("a word", || appliance.log().contains("cannot write evidence"));
        assert!(get(super::HEALTH, "/healthz").unwrap().contains(" 200 OK"));
        fs::remove_file(&directory).unwrap();
        assert!(gateway.passes(&datagram(1_004, 3_000)));
        holds(&[3_000]);
        appliance.wait_for("a word", || appliance.log().contains("evidence is written again"));
        let stats = get(MANAGE, "/stats").unwrap();
        let stats: Value = serde_json::from_str(stats.split("\r\n\r\n").nth(1).unwrap()).unwrap();
        assert_eq!(stats["evidence"]["written"], 6);
        assert_eq!(
            (&stats["evidence"]["failed"], &stats["evidence"]["dropped"]),
            (&1.into(), &0.into())
        );

        appliance.stop_at_once();
        assert_eq!(appliance.end().0.code(), Some(0));
        assert!(appliance.log().contains("packets of evidence were lost"), "{}", appliance.log());
    });
}

#[test]
fn a_full_disk_costs_evidence_and_nothing_else() {
    alone(|| {
        let disk = scratch("small-disk");
        fs::create_dir_all(&disk).unwrap();
        // A file system that nobody else sees, and that is gone with this test.
        unshare(CloneFlags::CLONE_NEWNS).unwrap();
        let mounted = |arguments: &[&str]| {
            let done = Command::new("mount").args(arguments).arg(&disk).status();
            assert!(done.expect("the command mount").success(), "{arguments:?}");
        };
        let private = Command::new("mount").args(["--make-rprivate", "/"]).status();
        assert!(private.expect("the command mount").success());
        mounted(&["-t", "tmpfs", "-o", "size=128k", "tmpfs"]);
        let tap = format!(
            "[tap]\ndirectory = {disk:?}\nfile-size = 262_144\nfiles = 2\nalerts = \"none\"\n[[tap.rule]]\nports = 2000\n"
        );
        let config = file("small-disk.toml", &tap);
        let gateway = Gateway::new();
        let appliance = Appliance::start(&["--config", config.to_str().unwrap()]);
        let count = |what: &str| metric(&metrics(), &format!("gwlb_evidence_{what}_total"), "");
        let mut sent = 0_u64;
        while count("failed") == 0 {
            for port in 1..=500 {
                assert!(gateway.passes(&datagram(port, 2_000)), "{}", appliance.log());
            }
            sent += 500;
            assert!(sent < 20_000, "the disk is never full");
            thread::sleep(Duration::from_millis(100));
        }
        appliance.wait_for("all packets", || count("written") + count("failed") == sent);
        assert_eq!(count("dropped"), 0);
        // What is in the files is whole, and is as much as was counted.
        assert_eq!(evidence(&disk).len() as u64, count("written"));
        mounted(&["-o", "remount,size=10m"]);
        let (written, failed) = (count("written"), count("failed"));
        for port in 1..=500 {
            assert!(gateway.passes(&datagram(port, 2_000)));
        }
        appliance.wait_for("room", || count("written") == written + 500);
        assert_eq!(count("failed"), failed);
        assert_eq!(evidence(&disk).len() as u64, written + 500);
    });
}
