//! The management port: who may do what there, the panic switch, what was noted before anybody looked, and what clients cannot do to
//! packets.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::process::{Command, Output};
use std::time::Duration;

use super::appliance::{Appliance, HEALTH, MANAGE, TOKEN, alone, ask, command, get, metric};
use super::gateway::{Gateway, datagram};
use super::{REFUSE_53, common, file};

pub(crate) fn start(name: &str, configuration: &str) -> Appliance {
    let config = file(&format!("{name}.toml"), configuration);
    let secret = file(&format!("{name}.token"), &format!("{TOKEN}\n"));
    Appliance::start(&[
        "--config",
        config.to_str().unwrap(),
        "--manage-token-file",
        secret.to_str().unwrap(),
    ])
}

fn throw(state: &str, token: &str) -> Output {
    let mut command = Command::new(common::binary());
    command.args(["bypass", state, "--manage", "127.0.0.1:9090"]);
    command.env("GWLB_MANAGE_TOKEN", token).output().unwrap()
}

#[test]
fn the_panic_switch() {
    alone(|| {
        let gateway = Gateway::new();
        let appliance = start("bypass", REFUSE_53);
        assert!(gateway.passes(&datagram(1, 2_000)) && !gateway.passes(&datagram(1, 53)));

        let wrong = throw("on", "another-token-of-some-length");
        let said = String::from_utf8_lossy(&wrong.stderr);
        assert_eq!(wrong.status.code(), Some(1));
        assert!(said.contains("refuses with status 401: expected the token"), "{said}");
        assert!(!gateway.passes(&datagram(2, 53)));
        assert!(appliance.log().contains("WARN audit: wrong token from=127.0.0.1:"));

        let on = throw("on", TOKEN);
        assert_eq!(
            common::stdout(&on),
            "bypass is on: everything passes, and nobody looks at it\n"
        );
        assert!(common::stdout(&throw("on", TOKEN)).ends_with("looks at it (as before)\n"));
        appliance.wait_until_bypassed(2);
        assert!(gateway.passes(&datagram(1, 53)) && gateway.passes(&datagram(3, 53)));
        assert!(get(HEALTH, "/healthz").unwrap().contains(" 200 OK"));
        let page = ask(MANAGE, "GET", "/metrics", Some(TOKEN), "").unwrap();
        assert_eq!(metric(&page, "gwlb_bypass", ""), 1);
        assert_eq!(metric(&page, "gwlb_worker_bypassed", ""), 2);
        assert_eq!(metric(&page, "gwlb_datagrams_bypassed_total", ""), 2);
        let stats = ask(MANAGE, "GET", "/stats", Some(TOKEN), "").unwrap();
        assert!(stats.contains("\"bypass\":{\"on\":true,\"seconds\":"), "{stats}");
        assert!(stats.contains("\"balanced\":true"), "{stats}");

        assert_eq!(common::stdout(&throw("off", TOKEN)), "bypass is off: traffic is inspected\n");
        appliance.wait_until_bypassed(0);
        assert!(!gateway.passes(&datagram(1, 53)) && !gateway.passes(&datagram(4, 53)));
        assert!(gateway.passes(&datagram(1, 2_000)));
        let log = appliance.log();
        for said in ["bypass is on:", "bypass is off:", "order=\"bypass on\" changed=true"] {
            assert!(log.contains(said), "{log}");
        }
        assert!(!log.contains(TOKEN), "{log}");
    });
}

#[test]
fn an_order_over_http_drains() {
    alone(|| {
        let gateway = Gateway::new();
        let mut appliance = start("order", "[run]\ndrain = 1\n");
        assert!(gateway.passes(&datagram(1, 2_000)));
        assert!(ask(MANAGE, "POST", "/drain", None, "").unwrap().contains(" 401 "));
        let first = ask(MANAGE, "POST", "/drain", Some(TOKEN), "").unwrap();
        assert!(first.contains(" 200 ") && first.ends_with("done\n"), "{first}");
        // Told again, it does not end at once as it would for a second signal.
        let again = ask(MANAGE, "POST", "/drain", Some(TOKEN), "").unwrap();
        assert!(again.ends_with("it was so already\n"), "{again}");
        appliance.wait_for("draining", || get(HEALTH, "/healthz").unwrap().contains(" 503 "));
        assert!(gateway.passes(&datagram(1, 2_000)), "known flows go on");
        let (status, _) = appliance.end();
        assert_eq!(status.code(), Some(0), "{}", appliance.log());
        assert!(!appliance.log().contains("told to stop again"), "{}", appliance.log());
    });
}

/// Some hundred clients: silent ones, such as write little by little, such as watch and do not read, and such as guess.
#[test]
fn hostile_clients_cost_no_packet() {
    alone(|| {
        let gateway = Gateway::new();
        let appliance = start("hostile", "");
        let connect = || TcpStream::connect(SocketAddr::from(MANAGE)).unwrap();
        let request = format!(
            "GET /events HTTP/1.1\r\nHost: 127.0.0.1\r\nAuthorization: Bearer {TOKEN}\r\n\r\n"
        );
        let mut slow: Vec<TcpStream> = Vec::new();
        let (mut sent, mut came) = (0, 0);
        for round in 0..60_usize {
            for kind in 0..5 {
                let mut stream = connect();
                let _ = match kind {
                    0 => Ok(()),
                    1 => stream.write_all(&request.as_bytes()[..round]),
                    2 => stream.write_all(request.as_bytes()),
                    3 => stream.write_all(b"POST /bypass HTTP/1.1\r\nHost: a\r\nContent-Length: 9999999\r\n\r\n"),
                    _ => stream.write_all(
                        b"POST /bypass HTTP/1.1\r\nHost: 127.0.0.1\r\nAuthorization: Bearer guess\r\n\r\n",
                    ),
                };
                slow.push(stream);
            }
            for stream in slow.iter_mut().rev().take(50) {
                let _ = stream.write_all(b"x");
            }
            for _ in 0..10 {
                sent += 1;
                came += u32::from(gateway.passes(&datagram(1_000 + round as u16, 2_000)));
            }
        }
        assert_eq!((came, slow.len()), (sent, 300), "{}", appliance.log());
        assert!(get(HEALTH, "/healthz").unwrap().contains(" 200 OK"));
        let stats = ask(MANAGE, "GET", "/stats", Some(TOKEN), "").unwrap();
        assert!(stats.contains("\"balanced\":true"), "{stats}");
        assert!(appliance.log().matches("wrong token").count() < 30, "{}", appliance.log());
        // The first of those who said nothing was shown out for the others.
        slow[0].set_read_timeout(Some(Duration::from_secs(10))).unwrap();
        assert!(!matches!(slow[0].read(&mut [0; 16]), Ok(1..)));
    });
}

/// Whoever comes later finds what happened before, and all of it.
#[test]
fn the_last_minutes_are_told() {
    alone(|| {
        let gateway = Gateway::new();
        let appliance = start("history", REFUSE_53);
        let bytes: usize = (1..=30)
            .map(|port| {
                let payload = datagram(port, 2_000);
                assert!(gateway.passes(&payload));
                payload.len()
            })
            .sum();
        for port in 1..=10 {
            gateway.send(&datagram(port, 53));
        }
        assert!(ask(MANAGE, "GET", "/history", None, "").unwrap().contains(" 401 "));
        let history = || {
            let answer = ask(MANAGE, "GET", "/history", Some(TOKEN), "").unwrap();
            let (head, body) = answer.split_once("\r\n\r\n").unwrap();
            assert!(head.contains(" 200 ") && head.contains("application/json"), "{head}");
            serde_json::from_str::<serde_json::Value>(body).unwrap()
        };
        let sum = |history: &serde_json::Value, pointer: &str| {
            let samples = history["samples"].as_array().unwrap().iter();
            samples.filter_map(|sample| sample.pointer(pointer)?.as_u64()).sum::<u64>()
        };
        appliance.wait_for("samples", || sum(&history(), "/received") >= 40);
        let history = history();
        for (pointer, expected) in [
            ("/received", 40),
            ("/forwarded", 30),
            ("/dropped/access-list", 10),
            ("/sent_bytes", bytes as u64),
            ("/alerts", 10),
            ("/bypassed", 0),
            ("/would", 0),
        ] {
            assert_eq!(sum(&history, pointer), expected, "{pointer}: {history}");
        }
        let samples = history["samples"].as_array().unwrap();
        let value = |key: &'static str| samples.iter().map(move |it| it[key].as_f64().unwrap());
        assert!(value("time").is_sorted() && value("seconds").all(|it| it > 0.0), "{history}");
        assert_eq!(samples.last().unwrap()["open_flows"], 40, "{history}");
        let latency = |it: &serde_json::Value| it["recent_latency_seconds"]["p99"].is_f64();
        assert!(samples.iter().any(latency), "{history}");
    });
}

/// These do not take root: nothing comes so far.
#[test]
fn what_others_could_reach_takes_a_token() {
    let short = file("short.token", "short\n");
    let inline = file("inline.toml", "[run]\nmanage-token = \"short\"\n");
    for (arguments, said) in [
        (
            vec!["--manage", "0.0.0.0:9090"],
            "expected a token, since 0.0.0.0:9090 is open to other machines",
        ),
        (vec!["--manage-token-file", "no-such-file"], "cannot read no-such-file"),
        (
            vec!["--manage-token-file", short.to_str().unwrap()],
            "short.token has no token: expected 16 to 256 visible ASCII characters without spaces, found 5 characters",
        ),
        (
            vec!["--config", inline.to_str().unwrap()],
            "inline.toml: line 2, column 16: expected 16 to 256",
        ),
    ] {
        let output = command(&arguments).output().unwrap();
        let stderr = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(2), "{arguments:?}: {stderr}");
        assert!(stderr.contains(said), "{arguments:?}: {stderr}");
    }
    let output = Command::new(common::binary()).args(["bypass", "on"]).output().unwrap();
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(1));
    assert!(stderr.contains("expected a token in GWLB_MANAGE_TOKEN or --token-file"), "{stderr}");
}
