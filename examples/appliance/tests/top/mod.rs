//! `appliance top` before a management port that plays its part, on a terminal that is none.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::process::Command;
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use ratatui::Terminal;
use ratatui::backend::TestBackend;
use ratatui::style::Color;
use serde_json::{Value, json};

use super::poll::Source;
use super::view::Screen;

/// What the appliance says at a look: two workers, which have received so much.
fn stats(uptime: f64, received: u64) -> Value {
    let worker = json!({
        "received": received / 2, "received_bytes": received * 500, "forwarded": received / 4,
        "dropped": { "access-list": received / 4 }, "flows": { "open": 7, "created": received / 10 },
        "restarts": 3, "latency_seconds": { "median": 0.000_01, "p99": 0.000_123, "p999": null, "max": 1.0 },
    });
    json!({
        "version": "0.1.0", "uptime_seconds": uptime, "healthy": true, "ailments": [], "flow_limit": 1000,
        "total": {
            "received": received, "received_bytes": received * 1000, "forwarded": received / 2,
            "dropped": { "access-list": received / 2, "rare\u{1b}[31m": 1 },
            "flows": { "open": 14, "created": received / 5 }, "memory_bytes": 2_500_000,
        },
        "workers": [worker, worker], "silent_workers": [], "something-new": [1, 2],
        "endpoints": {
            "vpce-01": { "received": received / 4, "forwarded": received / 4, "bytes": received * 10 },
            "vpce-02": { "received": received / 2, "forwarded": 0, "bytes": received * 20 },
        },
    })
}

/// Plays a management port: answers each request with the next of `answers`, the last of them for good, and remembers what
/// was asked.
struct Port {
    address: SocketAddr,
    asked: Arc<Mutex<Vec<String>>>,
}

impl Port {
    fn open(answers: Vec<String>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let address = listener.local_addr().expect("its address");
        let asked = Arc::new(Mutex::new(Vec::new()));
        let heard = Arc::clone(&asked);
        thread::spawn(move || {
            for (place, stream) in listener.incoming().enumerate() {
                let Ok(mut stream) = stream else { break };
                let request = request(&mut stream);
                heard.lock().expect("unbroken").push(request);
                let answer = answers.get(place).or(answers.last()).expect("an answer");
                let _ = stream.write_all(answer.as_bytes());
            }
        });
        Self { address, asked }
    }

    fn source(&self) -> Source {
        Source { address: self.address, token: None }
    }
}

/// What is asked, to the empty line.
fn request(stream: &mut TcpStream) -> String {
    let mut request = Vec::new();
    let mut byte = [0];
    while !request.ends_with(b"\r\n\r\n") && matches!(stream.read(&mut byte), Ok(1)) {
        request.extend(byte);
    }
    String::from_utf8(request).expect("UTF-8")
}

fn ok(stats: &Value) -> String {
    format!("HTTP/1.1 200 OK\r\ncontent-type: application/json\r\n\r\n{stats}")
}

/// A screen after these looks, without waiting for them.
fn seen(looks: &[Value]) -> Screen {
    let mut screen = Screen::new(([127, 0, 0, 1], 9_090).into());
    for look in looks {
        let stats = serde_json::from_value(look.clone()).expect("statistics");
        screen.tell(Ok(stats), Instant::now());
    }
    screen
}

fn text(screen: &Screen, width: u16, height: u16) -> String {
    screen.lines(width, height).expect("a picture").join("\n")
}

/// The row of a table that begins with this, in columns.
fn row(picture: &str, name: &str) -> Vec<String> {
    let line = picture.lines().find(|line| line.contains(name));
    let line = line.unwrap_or_else(|| panic!("{name} in\n{picture}"));
    let from = line.find(name).expect("it is there");
    line[from..]
        .split('│')
        .next()
        .unwrap_or_default()
        .split_whitespace()
        .map(str::to_owned)
        .collect()
}

#[test]
fn rates_are_what_grew_between_two_looks() {
    let first = text(&seen(&[stats(10.0, 1_000)]), 120, 40);
    assert!(first.contains("received -/s"), "after one look nothing is known of rates\n{first}");
    let screen = seen(&[stats(10.0, 1_000), stats(12.0, 5_000)]);
    let picture = text(&screen, 120, 40);
    for part in [
        "appliance at 127.0.0.1:9090  0.1.0, up 12 s",
        "healthy",
        "received 2.00 k/s  16.0 Mbit/s   forwarded 1.00 k/s   dropped 1.00 k/s",
        "flows 14 of 1000, 400 new/s   memory 2.50 MB",
        "rare\\u{1b}[31m",
    ] {
        assert!(picture.contains(part), "{part} in\n{picture}");
    }
    assert_eq!(row(&picture, "access-list"), ["access-list", "1.00", "k", "2500"]);
    assert_eq!(row(&picture, "vpce-01"), ["vpce-01", "500", "0", "160", "k"]);
    assert_eq!(row(&picture, "vpce-02"), ["vpce-02", "1.00", "k", "1.00", "k", "320", "k"]);
    assert!(picture.find("vpce-02") < picture.find("vpce-01"), "the busiest first\n{picture}");
    let worker = picture.lines().find(|line| line.starts_with("│1 ")).expect("the second worker");
    let cells: Vec<_> = worker.trim_matches('│').split_whitespace().collect();
    assert_eq!(cells, ["1", "1.00", "k", "500", "7", "123.0", "us", "3"]);
}

#[test]
fn a_restart_begins_from_nothing() {
    let picture = text(&seen(&[stats(500.0, 9_000), stats(1.0, 10)]), 120, 40);
    assert!(picture.contains("received -/s") && picture.contains("up 1 s"), "{picture}");
    let picture = text(&seen(&[stats(500.0, 9_000), stats(1.0, 10), stats(2.0, 40)]), 120, 40);
    assert!(picture.contains("received 30/s"), "{picture}");
}

#[test]
fn a_lost_connection_is_told_and_comes_back() {
    let mut screen = seen(&[stats(10.0, 1_000), stats(12.0, 5_000)]);
    let lost = Instant::now();
    screen.tell(Err("Connection refused".into()), lost);
    screen.tell(Err("Connection reset\u{1b}[2J".into()), lost + Duration::from_secs(1));
    let mut terminal = Terminal::new(TestBackend::new(120, 40)).expect("a terminal");
    let drawn =
        terminal.draw(|frame| screen.draw(frame, lost + Duration::from_secs(65))).expect("drawn");
    let line: String = (0..120).map(|x| drawn.buffer[(x, 1)].symbol()).collect();
    let said = "no answer for 1 min 5 s: Connection reset\\u{1b}[2J; these numbers are from before";
    assert_eq!(line.trim_end(), said);
    assert_eq!(drawn.buffer[(0, 1)].fg, Color::Red);
    assert!(text(&screen, 120, 40).contains("vpce-01"), "what was known stays");
    screen.tell(Ok(serde_json::from_value(stats(20.0, 6_000)).expect("statistics")), lost);
    let picture = text(&screen, 120, 40);
    assert!(!picture.contains("no answer") && picture.contains("received 125/s"), "{picture}");
    // Nothing has been heard at all.
    let mut screen = Screen::new(([127, 0, 0, 1], 9_090).into());
    assert!(text(&screen, 80, 24).contains("waiting for an answer"));
    screen.tell(Err("Connection refused".into()), lost);
    assert!(text(&screen, 80, 24).ends_with(&"\n".repeat(22)), "no numbers");
}

#[test]
fn what_is_wrong_is_seen() {
    let mut ill = stats(10.0, 1_000);
    ill["healthy"] = json!(false);
    ill["ailments"] = json!(["worker 1 does not answer"]);
    ill["silent_workers"] = json!([1]);
    ill["draining"] = json!(true);
    ill["bypass"] = json!({ "on": true });
    let picture = text(&seen(&[ill]), 150, 40);
    let said = "BYPASS: nothing is inspected  draining  unhealthy: worker 1 does not answer  silent workers: [1]";
    assert!(picture.contains(said), "{picture}");
}

/// Whatever the size of the terminal, it is drawn; and what is most important stands on top.
#[test]
fn every_size_is_drawn() {
    let screen = seen(&[stats(10.0, 1_000), stats(12.0, 5_000)]);
    let mut terminal = Terminal::new(TestBackend::new(1, 1)).expect("a terminal");
    for (width, height) in [(1, 1), (20, 3), (80, 24), (90, 24), (300, 100), (40, 10), (0, 0)] {
        terminal.backend_mut().resize(width, height);
        terminal.draw(|frame| screen.draw(frame, Instant::now())).expect("drawn");
    }
    let narrow = text(&screen, 80, 50);
    assert!(narrow.contains("vpce-01") && narrow.contains("access-list"), "{narrow}");
    assert!(text(&screen, 80, 12).contains("received 2.00 k/s"));
}

#[test]
fn a_port_is_asked() {
    let port = Port::open(vec![ok(&stats(10.0, 1_000))]);
    let found = port.source().fetch().unwrap_or_else(|error| panic!("{error}"));
    assert_eq!((found.total.received, found.workers.len()), (1_000, 2));
    let source = Source { token: Some("a-secret-of-some-length".into()), ..port.source() };
    source.fetch().unwrap_or_else(|error| panic!("{error}"));
    let asked = port.asked.lock().expect("unbroken");
    assert!(asked[0].starts_with("GET /stats HTTP/1.0\r\n") && !asked[0].contains("Authorization"));
    assert!(asked[0].contains(&format!("Host: {}\r\n", port.address)), "{}", asked[0]);
    assert!(
        asked[1].contains("\r\nAuthorization: Bearer a-secret-of-some-length\r\n"),
        "{}",
        asked[1]
    );
}

#[test]
fn what_is_no_answer_is_told() {
    for (answer, expected) in [
        (
            "HTTP/1.1 401 Unauthorized\r\n\r\nexpected the token\n",
            "found 401 Unauthorized: expected the token",
        ),
        (
            "HTTP/1.1 503 Service Unavailable\r\n\r\nthe workers do not answer\n",
            "the workers do not answer",
        ),
        (
            "HTTP/1.1 200 OK\r\n\r\n{\"a\":1}",
            "expected statistics of an appliance, found missing field",
        ),
        ("HTTP/1.1 200 OK\r\n\r\n{\"total\":", "expected statistics of an appliance, found EOF"),
        ("SSH-2.0-OpenSSH\r\n", "expected HTTP"),
        ("", "expected HTTP"),
    ] {
        let port = Port::open(vec![answer.into()]);
        let error = port.source().fetch().err().unwrap_or_else(|| panic!("{answer} is no answer"));
        assert!(error.contains(expected), "{answer:?}: {error}");
    }
    let closed =
        TcpListener::bind("127.0.0.1:0").and_then(|it| it.local_addr()).expect("an address");
    let error = Source { address: closed, token: None }.fetch().err();
    assert!(error.is_some_and(|error| error.contains("refused")));
    let endless = Port::open(vec![format!("HTTP/1.1 200 OK\r\n\r\n{}", "x".repeat(9 << 20))]);
    let error = endless.source().fetch().err();
    assert!(error.is_some_and(|error| error.contains("expected at most 8388608 bytes")));
}

/// It goes on asking after a failure, and ends when nobody listens any more.
#[test]
fn a_port_is_watched() {
    let down = "HTTP/1.1 503 Service Unavailable\r\n\r\nlater\n".to_string();
    let port = Port::open(vec![ok(&stats(10.0, 1_000)), down, ok(&stats(12.0, 5_000))]);
    let news = port.source().watch(Duration::from_millis(5)).expect("a thread");
    let mut screen = Screen::new(port.address);
    for is_answer in [true, false, true] {
        let look = news.recv_timeout(Duration::from_secs(60)).expect("news");
        assert_eq!(look.is_ok(), is_answer);
        screen.tell(look, Instant::now());
    }
    assert!(text(&screen, 120, 40).contains("received 2.00 k/s"));
}

/// The program itself, as far as it goes without a terminal.
#[test]
fn a_picture_is_printed() {
    let tests = std::env::current_exe().expect("a path of our own");
    let target = tests.parent().and_then(std::path::Path::parent).expect("target/PROFILE/deps");
    let top = |arguments: &[&str]| {
        let mut command = Command::new(target.join("examples/appliance"));
        command.arg("top").args(arguments).output().expect("the appliance starts")
    };
    let port = Port::open(vec![ok(&stats(10.0, 1_000)), ok(&stats(12.0, 5_000))]);
    let output = top(&["--once", "--manage", &port.address.to_string()]);
    let picture = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    assert!(picture.contains("received 2.00 k/s") && !picture.contains('\u{1b}'), "{picture}");
    let output = top(&["--manage", &port.address.to_string()]);
    let error = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{error}");
    assert!(error.contains("expected a terminal to draw on"), "{error}");
}
