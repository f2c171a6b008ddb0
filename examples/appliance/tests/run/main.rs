//! `appliance run` behind a load balancer: its signals, its health, its numbers, and what it says to mistakes.
//!
//! This takes root (`CAP_NET_RAW`, `CAP_SYS_ADMIN`) and the command `ip`. Where one of them is missing the tests say so on
//! the standard error and pass, unless the environment has `KERNEL_TESTS=required`.
#![cfg(all(target_os = "linux", target_pointer_width = "64"))]

mod appliance;
mod browser;
#[path = "../common/mod.rs"]
mod common;
mod gateway;
mod manage;
mod page;
mod records;
mod slow;
mod written;

use std::fs;
use std::net::{TcpListener, TcpStream, UdpSocket};
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use appliance::{Appliance, HEALTH, MANAGE, alone, command, get, metric};
use gateway::{APPLIANCE, Gateway, STRANGER, datagram, request};
use gwlb_geneve::config::{Config, Run};
use gwlb_geneve::engine::Settings;
use nix::sys::signal::Signal;

/// A configuration that a test writes.
fn file(name: &str, text: &str) -> PathBuf {
    let path = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(name);
    fs::write(&path, text).unwrap();
    path
}

fn metrics() -> String {
    get(MANAGE, "/metrics").expect("metrics")
}

#[test]
fn told_to_stop_it_lets_known_flows_go_on() {
    alone(|| {
        let config = file("drain.toml", "[run]\ndrain = 3\n");
        let gateway = Gateway::new();
        let mut appliance = Appliance::start(&["--config", config.to_str().unwrap()]);
        assert!(gateway.passes(&datagram(1_000, 2_000)));
        assert!(get(HEALTH, "/healthz").unwrap().contains(" 200 OK"));

        let began = Instant::now();
        appliance.signal(Signal::SIGTERM);
        appliance.wait_for("draining", || get(HEALTH, "/healthz").unwrap().contains(" 503 "));
        assert!(get(HEALTH, "/healthz").unwrap().ends_with("draining\n"));
        assert!(get(MANAGE, "/readyz").unwrap().contains(" 503 "));
        assert!(began.elapsed() < Duration::from_secs(1), "{:?}", began.elapsed());
        while began.elapsed() < Duration::from_secs(2) {
            assert!(gateway.passes(&datagram(1_000, 2_000)), "{}", appliance.log());
        }
        let (status, _) = appliance.end();
        assert_eq!(status.code(), Some(0), "{}", appliance.log());
        let took = began.elapsed();
        assert!(took >= Duration::from_secs(3) && took < Duration::from_secs(6), "{took:?}");
    });
}

#[test]
fn told_again_it_stops_at_once() {
    alone(|| {
        let gateway = Gateway::new();
        let mut appliance = Appliance::start(&[]);
        assert!(gateway.passes(&datagram(1_000, 2_000)));
        appliance.signal(Signal::SIGINT);
        appliance.wait_for("draining", || get(HEALTH, "/healthz").unwrap().contains(" 503 "));
        appliance.signal(Signal::SIGTERM);
        let (status, took) = appliance.end();
        assert_eq!(status.code(), Some(0), "{}", appliance.log());
        assert!(took < Duration::from_secs(2), "{took:?}");
        assert!(appliance.log().contains("told to stop again"), "{}", appliance.log());
    });
}

const REFUSE_53: &str =
    "[access]\ndefault = \"allow\"\n[[access.rule]]\naction = \"drop\"\nports = 53\nlog = true\n";

#[test]
fn a_configuration_is_read_again() {
    alone(|| {
        let path = file("reload.toml", "[access]\ndefault = \"allow\"\n");
        let gateway = Gateway::new();
        let appliance = Appliance::start(&["--config", path.to_str().unwrap()]);
        assert!(gateway.passes(&datagram(1_001, 53)));

        file("reload.toml", &["[run]\nport = 7000\n[limits]\nflows = 7\n", REFUSE_53].concat());
        appliance.signal(Signal::SIGHUP);
        appliance.wait_for("reload", || appliance.log().contains("is in force"));
        assert!(gateway.passes(&datagram(1_001, 53)), "a known flow goes on");
        assert!(!gateway.passes(&datagram(1_002, 53)), "a new one does not");
        assert!(gateway.passes(&datagram(1_002, 54)));
        for key in ["port", "flows"] {
            let said = format!("stays as it is until a restart key=\"{key}\"");
            assert!(appliance.log().contains(&said), "{}", appliance.log());
        }
        appliance.wait_for("alert", || {
            appliance.log().contains("WARN alert") || appliance.log().contains("INFO alert")
        });

        file("reload.toml", "[access]\ndefault = \"allow\"\n[policy]\nprofile = \"strikt\"\n");
        appliance.signal(Signal::SIGHUP);
        appliance.wait_for("refusal", || appliance.log().contains("nothing was changed"));
        let said =
            "reload.toml: line 4, column 11: expected `available` or `strict`, found `strikt`";
        assert!(appliance.log().contains(said), "{}", appliance.log());
        assert!(!gateway.passes(&datagram(1_003, 53)), "nothing was changed");
        assert!(get(HEALTH, "/healthz").unwrap().contains(" 200 OK"));
    });
}

/// The public parts of two keys for ES256, and for each a token that it has signed: for anybody, until the year 2100. Nobody has
/// their private parts.
const KEYS: [&str; 2] = [
    "-----BEGIN PUBLIC KEY-----\n\
     MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAERCFROwZmr+b+BRuByikTeO1ZOAy4\n\
     JN8EWpAgon8tVU0LEQpeZCqoWNPMopMoYQ16s6wy4ZQ4pf9ZSQv6XpPXtQ==\n\
     -----END PUBLIC KEY-----\n",
    r#"{ "keys": [
        { "kty": "EC", "crv": "P-256",
          "x": "wNK4mN7VMexzrizZYvGzIKlpyT7d4NYp7-HYBC4f6ug",
          "y": "x-9UUTVB69xrD9DSM2dCrG099rgz9gXanq1sAHfHOS4" },
        { "kty": "OKP", "crv": "Ed25519", "x": "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo" }] }"#,
];
const TOKENS: [&str; 2] = [
    "eyJhbGciOiJFUzI1NiJ9.eyJleHAiOjQxMDI0NDQ4MDB9.\
     FaRB2X-XushATUCd7H4qoiNMR8IO9gIohF2HQon9awNiJNRShO3kUg6lDKfmP9UT4Fc4iSMFyEiYgqm5AFxu9Q",
    "eyJhbGciOiJFUzI1NiJ9.eyJleHAiOjQxMDI0NDQ4MDB9.\
     StmVs4MdIpLacNNVHMkdLfZV3jGct24zpDrNV7yASrZEEY2TzTCi_RyOspb7rfm6gFPc8rmLfl0opAmRi5WGDA",
];

/// The text of a configuration stays the same when its files of keys are exchanged.
#[test]
fn new_keys_are_in_force_when_they_are_read_again() {
    alone(|| {
        let keys = file("keys", KEYS[0]);
        let api = format!(
            "[api]\nports = 80\ndefault = \"drop\"\nrule = [{{ token = {{ public-keys = {keys:?} }} }}]\n"
        );
        let path = file("keys.toml", &api);
        let gateway = Gateway::new();
        let appliance = Appliance::start(&["--config", path.to_str().unwrap()]);
        let passes = |port: u16, token: &str| {
            let text =
                format!("GET / HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer {token}\r\n\r\n");
            let [handshake @ .., request] = request(port, &text);
            for datagram in handshake {
                assert!(gateway.passes(&datagram), "{}", appliance.log());
            }
            gateway.passes(&request)
        };
        let log = |said: &str| appliance.wait_for(said, || appliance.log().contains(said));
        assert_eq!([passes(1_000, TOKENS[0]), passes(1_001, TOKENS[1])], [true, false]);
        log("api: rule 1: 1 public key\n");

        file("keys", KEYS[1]);
        appliance.signal(Signal::SIGHUP);
        appliance.wait_for("reload", || appliance.log().contains("is in force"));
        log("SIGHUP: the text of the configuration says what it said before");
        log(&format!(
            "api: rule 1: 1 public key, 1 not taken: {}: key 2: expected `kty` `RSA` or `EC`, found `OKP`",
            keys.display()
        ));
        assert_eq!([passes(1_002, TOKENS[0]), passes(1_003, TOKENS[1])], [false, true]);
    });
}

#[test]
fn numbers_are_exact() {
    alone(|| {
        let path = file("exact.toml", REFUSE_53);
        let gateway = Gateway::new();
        let appliance = Appliance::start(&["--config", path.to_str().unwrap()]);
        assert!(gateway.passes(&datagram(999, 2_000)));
        let before = metrics();

        let (mut bytes, mut passed) = (0, 0);
        for port in 1..=300 {
            let payload = datagram(port, 2_000);
            bytes += payload.len() as u64;
            gateway.send(&payload);
            passed += u64::from(gateway.receive().is_some());
        }
        assert_eq!(passed, 300, "{}", appliance.log());
        for port in 1..=40 {
            gateway.send(&datagram(port, 53));
        }
        for _ in 0..30 {
            gateway.send(b"no GENEVE");
        }
        let stranger = UdpSocket::bind((STRANGER, 40_000)).unwrap();
        for port in 1..=20 {
            stranger.send_to(&datagram(port, 2_000), APPLIANCE).unwrap();
        }
        let come = |page: &str| {
            let names = ["gwlb_datagrams_received_total", "gwlb_datagrams_foreign_origin_total"];
            names.map(|name| metric(page, name, "") - metric(&before, name, "")).iter().sum::<u64>()
        };
        appliance.wait_for("traffic", || come(&metrics()) >= 390);
        let after = metrics();
        let rise =
            |name: &str, label: &str| metric(&after, name, label) - metric(&before, name, label);
        assert_eq!(rise("gwlb_datagrams_received_total", ""), 370, "{after}");
        assert_eq!(rise("gwlb_datagrams_forwarded_total", ""), 300);
        assert_eq!(rise("gwlb_datagrams_sent_total", ""), 300);
        assert_eq!(rise("gwlb_sent_bytes_total", ""), bytes);
        assert_eq!(rise("gwlb_datagrams_foreign_origin_total", ""), 20);
        assert_eq!(rise("gwlb_datagrams_dropped_total", ""), 70, "{after}");
        assert_eq!(rise("gwlb_exceptions_total", "class=\"malformed-envelope\""), 30);
        assert_eq!(rise("gwlb_flows_created_total", ""), 340);
        assert_eq!(rise("gwlb_latency_seconds_count", ""), 300);
        assert_eq!(rise("gwlb_latency_seconds_bucket", "le=\"+Inf\""), 300);
        assert_eq!(
            rise("gwlb_endpoint_datagrams_received_total", "vpce-00a1b2c3d4e5f6071"),
            340,
            "{after}"
        );
        assert_eq!(rise("gwlb_endpoint_datagrams_forwarded_total", "vpce-0"), 300);
        assert_eq!(metric(&after, "gwlb_worker_up", ""), 2);
        assert_eq!(metric(&after, "gwlb_healthy", ""), 1);
        assert!(after.ends_with("# EOF\n"));

        let stats = get(MANAGE, "/stats").unwrap();
        let (_, body) = stats.split_once("\r\n\r\n").unwrap();
        let stats: serde_json::Value = serde_json::from_str(body).unwrap();
        assert_eq!(stats["total"]["forwarded"], 301);
        assert_eq!(stats["balanced"], true, "{body}");
        assert_eq!(stats["endpoints"]["vpce-00a1b2c3d4e5f6071"]["received"], 341, "{body}");
    });
}

#[test]
fn slow_clients_keep_neither_checkers_nor_packets_waiting() {
    alone(|| {
        let gateway = Gateway::new();
        let _appliance = Appliance::start(&[]);
        let mut idle = Vec::new();
        for _ in 0..300 {
            idle.push(TcpStream::connect(std::net::SocketAddr::from(MANAGE)).unwrap());
        }
        let began = Instant::now();
        assert!(get(HEALTH, "/healthz").unwrap().contains(" 200 OK"));
        assert!(metrics().contains(" 200 OK"));
        assert!(began.elapsed() < Duration::from_secs(2), "{:?}", began.elapsed());
        assert!(gateway.passes(&datagram(1_000, 2_000)));
    });
}

#[test]
fn without_descriptors_packets_go_on_and_nothing_spins() {
    alone(|| {
        let gateway = Gateway::new();
        let run = command(&[]);
        let mut limited = Command::new("sh");
        limited.args(["-c", "ulimit -n 48; exec \"$0\" \"$@\""]).arg(run.get_program());
        let appliance = Appliance::spawn(limited.args(run.get_args()));
        appliance.wait_until_ready();
        let idle: Vec<_> = (0..60)
            .map(|_| TcpStream::connect(std::net::SocketAddr::from(MANAGE)).unwrap())
            .collect();
        appliance.wait_for("lack", || appliance.log().contains("no connection can be accepted"));
        assert!(gateway.passes(&datagram(1_000, 2_000)));
        std::thread::sleep(Duration::from_millis(500));
        let times = appliance.log().matches("no connection can be accepted").count();
        assert!(times < 10, "said {times} times");
        drop(idle);
        appliance.wait_for("an answer", || get(HEALTH, "/healthz").is_some());
    });
}

#[test]
fn a_port_in_use_is_told() {
    alone(|| {
        for (what, said) in
            [("udp", "127.0.0.1:6081"), ("health", "0.0.0.0:8080"), ("manage", "127.0.0.1:9090")]
        {
            let taken = match what {
                "udp" => (Some(UdpSocket::bind(APPLIANCE).unwrap()), None),
                "health" => (None, Some(TcpListener::bind(("0.0.0.0", 8080)).unwrap())),
                _ => (None, Some(TcpListener::bind(("127.0.0.1", 9090)).unwrap())),
            };
            let mut appliance = Appliance::spawn(&mut command(&[]));
            let (status, _) = appliance.end();
            assert_eq!(status.code(), Some(1), "{what}: {}", appliance.log());
            let log = appliance.log();
            assert!(log.contains("ERROR") && log.contains(said) && log.contains("in use"), "{log}");
            drop(taken);
        }
        // Another appliance does not get half of the traffic.
        let first = Appliance::start(&[]);
        let mut second = Appliance::spawn(&mut command(&["--health", "off", "--manage", "off"]));
        let (status, _) = second.end();
        assert_eq!(status.code(), Some(1), "{}", second.log());
        assert!(second.log().contains("in use"), "{}", second.log());
        drop(first);
    });
}

#[test]
fn the_command_line_wins_and_the_log_may_be_json() {
    alone(|| {
        let text = "[run]\nport = 7000\nlog = \"text\"\nhealth = \"127.0.0.1:7001\"\n[policy]\nprofile = \"available\"\n";
        let path = file("wins.toml", text);
        let gateway = Gateway::new();
        let config = path.to_str().unwrap();
        let appliance = Appliance::start(&[
            "--config",
            config,
            "--port",
            "6081",
            "--log",
            "json",
            "--health",
            "127.0.0.1:8080",
            "--policy",
            "strict",
            "--way",
            "raw",
        ]);
        assert!(gateway.passes(&datagram(1_000, 2_000)));
        let log = appliance.log();
        let lines: Vec<serde_json::Value> =
            log.lines().map(|line| serde_json::from_str(line).expect(line)).collect();
        let start = lines.iter().find(|line| line["message"] == "GENEVE").expect("the start");
        assert_eq!(start["policy"], "strict");
        assert_eq!(start["port"], 6081);
        assert_eq!(start["way"], "raw socket");
        assert_eq!(start["origins"], gateway::ORIGINS);
    });
}

/// These do not take root: nothing comes so far.
#[test]
fn mistakes_end_it_with_2() {
    let bad = file("bad.toml", "[run]\nport = 99999\nworker = 3\n");
    let bad = bad.to_str().unwrap();
    for (arguments, said) in [
        (&["--port", "0"][..], "expected a port from 1 to 65535"),
        (&["--workers", "0"], "--workers"),
        (&["--manage", "localhost"], "expected an address with a port"),
        (&["--allow-origin", "10.0.0.1/8"], "expected no bits after the prefix"),
        (&["--allow-origin", "::/0"], "expected an IPv4 network"),
        (&["--policy", "strikt"], "strict"),
        (
            &["--config", bad],
            "bad.toml: line 2, column 8: expected a number from 1 to 65535, found `99999`",
        ),
        (&["--config", bad], "line 3, column 1: expected one of `transport`"),
        (&["--config", "no-such.toml"], "cannot read no-such.toml"),
        (&["--shadow", "no-such.toml"], "cannot read no-such.toml"),
        (&["--shadow", bad], "bad.toml: line 2, column 8: expected a number from 1 to 65535"),
    ] {
        let output = Command::new(common::binary())
            .arg("run")
            .args(arguments)
            .stdin(Stdio::null())
            .output()
            .unwrap();
        let stderr = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(2), "{arguments:?}: {stderr}");
        assert!(stderr.contains(said), "{arguments:?}: {stderr}");
    }
}

/// What the example says of limits, time-outs and its place is what holds without it, comments among the limits included.
#[test]
fn the_example_says_the_defaults() {
    let text = include_str!("../../example.toml");
    let (before, behind) = text.split_once("\n[limits]\n").unwrap();
    let (limits, behind) = behind.split_once("\n\n").unwrap();
    // But for one: no endpoint has a quota of flows where none is said.
    let limits =
        limits.replace("\n# ", "\n").replace("\nflows-per-endpoint", "\n# flows-per-endpoint");
    let all = format!("{before}\n[limits]\n{limits}\n\n{behind}");
    assert!(all.contains("\nstream-bytes-per-endpoint = "), "{all}");
    let of = |settings: &Settings| {
        let counts = [
            settings.fragments,
            settings.fragments_per_endpoint,
            settings.message_bytes,
            settings.message_bytes_per_endpoint,
        ];
        let rates = [settings.answers_per_second, settings.icmp_errors_per_second];
        let sizes = (settings.flows, settings.streams, settings.defrag, settings.messages);
        format!("{:?}", (sizes, counts, rates, settings.unhealthy_after, settings.timeouts))
    };
    for text in [text, &all] {
        let config = Config::parse(text).unwrap();
        assert_eq!(of(&config.settings()), of(&Settings::default()));
    }
    let config = Config::parse(text).unwrap();
    let differs = config.run().fixed(&Run::default());
    assert_eq!(
        differs,
        ["allow-origin", "receive-buffer", "busy-poll"],
        "defaults of the transport"
    );
    assert_eq!(config.run().drain, Run::default().drain);
}
