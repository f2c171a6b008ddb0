//! What is done to an appliance that is at work.

use std::io::Write;
use std::net::TcpStream;
use std::process::Command;
use std::thread;
use std::time::{Duration, Instant};

use nix::sys::signal::Signal;

use crate::namespace::ip;
use crate::stage::{GATEWAY, MANAGE, Stage, appliance, get, simulator};

const REFUSE_TELNET: &str =
    "[access]\ndefault = \"allow\"\n[[access.rule]]\naction = \"drop\"\nports = 23\n";

#[test]
fn a_reload_under_load_loses_nothing_be_the_file_good_or_bad() {
    let Some(mut stage) = Stage::with_appliance("reload", REFUSE_TELNET) else { return };
    let load = stage.begin(GATEWAY, "--seconds 600 --profile mixed");
    stage.wait_for("traffic", |stage| stage.stats().number("forwarded") > 1_000);
    for round in 0..12 {
        let bad = "[access]\ndefault = \"alow\"\n";
        stage.configure(if round % 2 == 0 { REFUSE_TELNET } else { bad });
        let said =
            ["is in force", "nothing was changed"].map(|words| stage.log().matches(words).count());
        stage.appliance().signal(Signal::SIGHUP);
        let words = ["is in force", "nothing was changed"][round % 2];
        stage.wait_for(words, |stage| stage.log().matches(words).count() > said[round % 2]);
    }
    load.stop().assert_nothing_lost();
    assert!(stage.log().contains("found `alow`"), "{}", stage.log());
    stage.has_survived();
}

#[test]
fn slow_clients_cost_no_packet_and_no_health_check() {
    let Some(mut stage) = Stage::with_appliance("clients", "") else { return };
    let load = stage.begin(GATEWAY, "--seconds 600 --profile imix");
    stage.wait_for("traffic", |stage| stage.stats().number("forwarded") > 1_000);
    let began = Instant::now();
    while began.elapsed() < Duration::from_millis(2_500) {
        let clients: Vec<TcpStream> = stage
            .inside
            .run(|| {
                let clients = (0..200).map(|number: usize| {
                    let mut stream = TcpStream::connect(MANAGE)?;
                    // As far as each comes with its question; some ask and never read the answer.
                    let question = b"GET /metrics HTTP/1.1\r\nHost: localhost\r\n\r\n";
                    stream.write_all(&question[..number % (question.len() + 1)])?;
                    Ok(stream)
                });
                clients.collect()
            })
            .unwrap();
        let asked = Instant::now();
        let health = stage.health("/healthz").unwrap_or_default();
        assert!(health.contains(" 200 OK"), "{health}");
        assert!(asked.elapsed() < Duration::from_secs(2), "{:?}", asked.elapsed());
        drop(clients);
    }
    load.stop().assert_nothing_lost();
    stage.has_survived();
}

fn traffic_goes_on(stage: &Stage) {
    let before = stage.stats().number("forwarded");
    stage.wait_for("traffic", |stage| stage.stats().number("forwarded") > before + 500);
}

fn traffic_rests(stage: &Stage) {
    stage.wait_for("rest", |stage| {
        let before = stage.stats().number("forwarded");
        thread::sleep(Duration::from_millis(500));
        stage.stats().number("forwarded") == before
    });
}

/// How much is lost is not asked: as soon as the kernel has told the other end of the cable, that end refuses what the
/// simulator sends, which waits with it and reads no answers meanwhile. Its patience must be longer than that.
#[test]
fn traffic_comes_back_by_itself_with_its_interface() {
    let Some(mut stage) = Stage::with_appliance("interface", "") else { return };
    let load =
        stage.begin(GATEWAY, "--seconds 600 --rate 2000 --patience 5000 --profile small --ip 4");
    for _ in 0..2 {
        traffic_goes_on(&stage);
        stage.inside.run(|| ip("link set eth0 down")).unwrap();
        traffic_rests(&stage);
        stage.inside.run(|| ip("link set eth0 up")).unwrap();
    }
    traffic_goes_on(&stage);
    let report = load.stop();
    assert_eq!(report.number("/errors"), 0, "{:#}", report.json);
    assert!(report.number("/answered") > 1_000, "{:#}", report.json);
    stage.wait_for("health", |stage| {
        stage.health("/healthz").is_some_and(|health| health.contains(" 200 OK"))
    });
    stage.has_survived();
}

/// A health check that fails does not end traffic: where all targets are unhealthy a load balancer sends on.
#[test]
fn unhealthy_it_answers_all_the_same() {
    let Some(mut stage) = Stage::with_appliance("unhealthy", "") else { return };
    stage.load("--packets 2000 --profile mixed").assert_clean();
    stage.appliance().signal(Signal::SIGTERM);
    stage.wait_for("draining", |stage| {
        stage.health("/healthz").is_some_and(|health| health.contains(" 503 "))
    });
    // New flows are among them.
    stage.load("--packets 4000 --profile mixed --seed 9").assert_clean();
    assert!(stage.health("/healthz").unwrap().ends_with("draining\n"));
    stage.settled();
    assert!(stage.inside.run(|| Ok(get(MANAGE, "/metrics"))).unwrap().is_some());
    assert_eq!(stage.appliance().end().code(), Some(0), "{}", stage.log());
}

/// It would wait for its flows, but the simulator tells it twice.
#[test]
fn the_simulator_ends_its_appliance_soon_and_in_order() {
    let Some(stage) = Stage::lay("ends") else { return };
    let output = Command::new(simulator())
        .args(["--self-contained", "--json", "--packets", "1000", "--patience", "10000", "--"])
        .arg(appliance())
        .arg("run")
        .output()
        .unwrap();
    drop(stage);
    let report: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(output.status.code(), Some(0), "{report:#}");
    let status = report["appliance"]["status"].as_str().unwrap();
    assert!(status.starts_with("exit status: 0, "), "{status}");
}
