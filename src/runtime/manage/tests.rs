use std::io::{ErrorKind, Read, Write};
use std::net::TcpStream;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Instant;

use super::*;

#[derive(Clone, Default)]
struct Patient(Arc<Ward>);

#[derive(Default)]
struct Ward {
    is_ill: AtomicBool,
    alerts: AtomicU64,
    samples: AtomicU64,
    /// Whoever asks for metrics waits for it, and everybody with him.
    metrics: Mutex<u64>,
    asked: AtomicU64,
    orders: Mutex<Vec<&'static str>>,
}

impl Patient {
    fn note(&self, order: &'static str) -> Option<bool> {
        let mut orders = self.0.orders.lock().unwrap();
        let is_new = orders.last() != Some(&order);
        orders.push(order);
        Some(is_new)
    }
}

impl Subject for Patient {
    fn health(&self) -> Result<(), Vec<String>> {
        match self.0.is_ill.load(Ordering::Relaxed) {
            false => Ok(()),
            true => Err(vec!["a cold".into(), "a cough".into()]),
        }
    }

    fn readiness(&self) -> Result<(), Vec<String>> {
        self.health()
    }

    fn metrics(&self) -> Option<String> {
        self.0.asked.fetch_add(1, Ordering::Relaxed);
        *self.0.metrics.lock().unwrap() += 1;
        Some("# EOF\n".into())
    }

    fn stats(&self) -> Option<String> {
        None
    }

    fn sample(&self) {
        self.0.samples.fetch_add(1, Ordering::Relaxed);
    }

    fn history(&self) -> Option<String> {
        Some(self.0.samples.load(Ordering::Relaxed).to_string())
    }

    fn alerts(&self, after: u64) -> Vec<(u64, String)> {
        let last = self.0.alerts.load(Ordering::Relaxed);
        (after + 1..=last).map(|number| (number, "x".repeat(1 << 16))).collect()
    }

    fn drain(&self) -> Option<bool> {
        self.note("drain")
    }

    fn bypass(&self, on: bool) -> Option<bool> {
        self.note(if on { "on" } else { "off" })
    }
}

const TOKEN: &str = "0123456789abcdef";

fn doors(patience: Duration) -> (Patient, Management) {
    doors_with(patience, None)
}

fn doors_with(patience: Duration, token: Option<&str>) -> (Patient, Management) {
    let anywhere = Some(([127, 0, 0, 1], 0).into());
    let settings = ManagementSettings {
        health: anywhere,
        manage: anywhere,
        connections: 8,
        patience,
        watchers: 2,
        token: token.map(|token| token.parse().unwrap()),
        hosts: vec!["ward.example".into()],
    };
    let patient = Patient::default();
    let management = settings.open().unwrap().serve(patient.clone()).unwrap();
    (patient, management)
}

fn ask(at: Option<SocketAddr>, request: &str) -> String {
    let mut stream = TcpStream::connect(at.unwrap()).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
    stream.write_all(request.as_bytes()).unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    answer
}

fn get(at: Option<SocketAddr>, path: &str) -> String {
    ask(at, &format!("GET {path} HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n"))
}

fn with_token(token: Option<&str>) -> String {
    token.map(|token| format!("Authorization: Bearer {token}\r\n")).unwrap_or_default()
}

fn look(at: Option<SocketAddr>, path: &str, token: Option<&str>) -> String {
    let token = with_token(token);
    ask(at, &format!("GET {path} HTTP/1.1\r\nHost: localhost:1\r\n{token}\r\n"))
}

fn order(at: Option<SocketAddr>, path: &str, token: Option<&str>, body: &str) -> String {
    let (token, length) = (with_token(token), body.len());
    let head = format!("POST {path} HTTP/1.1\r\nHost: 127.0.0.1\r\n{token}");
    ask(at, &format!("{head}Content-Length: {length}\r\n\r\n{body}"))
}

/// Begins to watch.
fn watch(at: Option<SocketAddr>) -> TcpStream {
    let mut stream = TcpStream::connect(at.unwrap()).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
    write!(stream, "GET /events HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n").unwrap();
    stream
}

/// Reads until this was read, or the end.
fn read_until(stream: &mut TcpStream, what: &str) -> String {
    let (mut all, mut some) = (Vec::new(), [0; 65_536]);
    loop {
        let text = String::from_utf8_lossy(&all);
        if text.contains(what) {
            return text.into_owned();
        }
        match stream.read(&mut some) {
            Ok(length) if length > 0 => all.extend_from_slice(&some[..length]),
            ended => panic!("{ended:?} before {what}"),
        }
    }
}

#[test]
fn each_door_has_its_answers() {
    let (patient, doors) = doors(Duration::from_secs(10));
    for at in [doors.health(), doors.manage()] {
        assert!(get(at, "/healthz").starts_with("HTTP/1.1 200 OK\r\n"));
        assert!(get(at, "/readyz?why").starts_with("HTTP/1.1 200 OK\r\n"));
        assert!(get(at, "/other").starts_with("HTTP/1.1 404 "));
        assert!(ask(at, "POST /healthz HTTP/1.1\r\nHost: a\r\n\r\n").starts_with("HTTP/1.1 405 "));
        let head = ask(at, "HEAD /healthz HTTP/1.0\r\n\r\n");
        assert!(head.contains(" 200 OK\r\n") && head.ends_with("\r\n\r\n"), "{head}");
    }
    for elsewhere in ["/", "/metrics", "/stats", "/history", "/events"] {
        assert!(get(doors.health(), elsewhere).starts_with("HTTP/1.1 404 "));
    }
    assert!(order(doors.health(), "/drain", Some(TOKEN), "").starts_with("HTTP/1.1 405 "));
    assert!(get(doors.manage(), "/metrics").ends_with("\r\n\r\n# EOF\n"));
    assert!(get(doors.manage(), "/stats").starts_with("HTTP/1.1 503 "));

    patient.0.is_ill.store(true, Ordering::Relaxed);
    let answer = get(doors.health(), "/healthz");
    assert!(answer.starts_with("HTTP/1.1 503 "), "{answer}");
    assert!(answer.ends_with("\r\n\r\na cold\na cough\n"), "{answer}");
}

/// Connections that say nothing, or little by little, fill both doors many times over.
#[test]
fn slow_clients_keep_nobody_waiting() {
    let (_, doors) = doors(Duration::from_secs(60));
    let mut idle = Vec::new();
    for round in 0..40 {
        for at in [doors.health(), doors.manage()] {
            let mut stream = TcpStream::connect(at.unwrap()).unwrap();
            let _ = stream.write_all(&b"GET /healthz HTTP/1.1\r\nHost:"[..round % 28]);
            idle.push(stream);
        }
        let began = Instant::now();
        assert!(get(doors.health(), "/healthz").starts_with("HTTP/1.1 200 "));
        assert!(get(doors.manage(), "/metrics").starts_with("HTTP/1.1 200 "));
        assert!(began.elapsed() < Duration::from_secs(2), "{:?}", began.elapsed());
    }
    // The first was shown out.
    idle[0].set_read_timeout(Some(Duration::from_secs(5))).unwrap();
    match idle[0].read(&mut [0; 16]) {
        Ok(length) => assert_eq!(length, 0),
        Err(error) => assert_eq!(error.kind(), ErrorKind::ConnectionReset),
    }
}

/// So many come while an answer is made that the last of them would drive out the first before he was heard.
#[test]
fn of_many_at_once_nobody_is_shown_out_unheard() {
    let (patient, doors) = doors(Duration::from_secs(60));
    let at = doors.manage();
    let held = patient.0.metrics.lock().unwrap();
    let busy = std::thread::spawn(move || get(at, "/metrics"));
    let began = Instant::now();
    while patient.0.asked.load(Ordering::Relaxed) == 0 {
        assert!(began.elapsed() < Duration::from_secs(60), "nobody asks");
        std::thread::sleep(Duration::from_millis(5));
    }
    let mut first = TcpStream::connect(at.unwrap()).unwrap();
    first.write_all(b"GET /readyz HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n").unwrap();
    let _silent: Vec<_> = (0..40).map(|_| TcpStream::connect(at.unwrap()).unwrap()).collect();
    drop(held);
    first.set_read_timeout(Some(Duration::from_secs(60))).unwrap();
    let mut answer = String::new();
    first.read_to_string(&mut answer).unwrap();
    assert!(answer.starts_with("HTTP/1.1 200 OK\r\n"), "{answer}");
    assert!(busy.join().unwrap().starts_with("HTTP/1.1 200 OK\r\n"));
}

#[test]
fn patience_ends() {
    let (_, doors) = doors(Duration::from_millis(400));
    let began = Instant::now();
    let mut stream = TcpStream::connect(doors.manage().unwrap()).unwrap();
    stream.write_all(b"GET /stats HTTP/1.1\r\n").unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
    let mut answer = Vec::new();
    let _ = stream.read_to_end(&mut answer);
    assert!(began.elapsed() < Duration::from_secs(5), "{:?}", began.elapsed());
    assert!(!answer.starts_with(b"HTTP/1.1 200"));
}

#[test]
fn too_much_is_refused() {
    let (_, doors) = doors(Duration::from_secs(10));
    let headers: String = (0..40).map(|number| format!("h{number}: 1\r\n")).collect();
    let long = "a".repeat(100_000);
    for request in
        [format!("GET /healthz HTTP/1.1\r\n{headers}\r\n"), format!("GET /{long} HTTP/1.1\r\n\r\n")]
    {
        let mut stream = TcpStream::connect(doors.health().unwrap()).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
        // It may be closed before it has taken all of this.
        let _ = stream.write_all(request.as_bytes());
        let mut answer = Vec::new();
        let _ = stream.read_to_end(&mut answer);
        let answer = String::from_utf8_lossy(&answer);
        assert!(answer.is_empty() || answer.starts_with("HTTP/1.1 4"), "{answer}");
    }
    assert!(get(doors.health(), "/healthz").starts_with("HTTP/1.1 200 "));
}

#[test]
fn a_port_in_use_is_told_and_free_after_use() {
    let (_, doors) = doors(Duration::from_secs(10));
    let health = doors.health();
    let settings = ManagementSettings { health, ..ManagementSettings::default() };
    let error = settings.open().unwrap_err().to_string();
    assert!(error.starts_with("health checks: expected to listen at TCP 127.0.0.1:"), "{error}");
    assert!(error.contains(", found: "), "{error}");
    drop(doors);
    settings.open().unwrap();
}

#[test]
fn everything_but_health_takes_the_token() {
    let (patient, doors) = doors_with(Duration::from_secs(10), Some(TOKEN));
    let at = doors.manage();
    for path in ["/healthz", "/readyz"] {
        assert!(look(at, path, None).starts_with("HTTP/1.1 200 "));
    }
    for path in ["/metrics", "/stats", "/history", "/events", "/nothing"] {
        for token in [None, Some("fedcba9876543210")] {
            let answer = look(at, path, token);
            assert!(answer.starts_with("HTTP/1.1 401 "), "{path}: {answer}");
            assert!(answer.contains("www-authenticate: Bearer\r\n"), "{answer}");
        }
    }
    assert!(look(at, "/metrics", Some(TOKEN)).starts_with("HTTP/1.1 200 "));
    for (path, body) in [("/drain", ""), ("/bypass", "on")] {
        assert!(order(at, path, None, body).starts_with("HTTP/1.1 401 "));
        assert!(look(at, path, Some(TOKEN)).starts_with("HTTP/1.1 405 "));
    }
    assert!(patient.0.orders.lock().unwrap().is_empty());
    for (path, body, said) in [
        ("/drain", "", "done\n"),
        ("/bypass", "on", "done\n"),
        ("/bypass", " on\n", "it was so already\n"),
        ("/bypass", "off", "done\n"),
    ] {
        let answer = order(at, path, Some(TOKEN), body);
        assert!(answer.starts_with("HTTP/1.1 200 ") && answer.ends_with(said), "{answer}");
    }
    let long = "on".repeat(1_000);
    for body in ["", "maybe", &long] {
        let answer = order(at, "/bypass", Some(TOKEN), body);
        assert!(answer.starts_with("HTTP/1.1 400 "), "{answer}");
    }
    assert_eq!(*patient.0.orders.lock().unwrap(), ["drain", "on", "on", "off"]);
}

#[test]
fn without_a_token_everybody_here_may_look_and_nobody_order() {
    let (patient, doors) = doors(Duration::from_secs(10));
    let at = doors.manage();
    assert!(look(at, "/metrics", None).starts_with("HTTP/1.1 200 "));
    for token in [None, Some(TOKEN)] {
        assert!(order(at, "/bypass", token, "on").starts_with("HTTP/1.1 403 "));
        assert!(order(at, "/drain", token, "").starts_with("HTTP/1.1 403 "));
    }
    assert!(patient.0.orders.lock().unwrap().is_empty());
}

#[test]
fn what_others_could_see_takes_a_token() {
    for at in ["0.0.0.0:0", "[::]:0", "192.0.2.1:0"] {
        let settings = ManagementSettings { manage: at.parse().ok(), ..Default::default() };
        let error = settings.open().unwrap_err().to_string();
        let said = format!("management: expected a token, since {at} is open to other machines");
        assert!(error.starts_with(&said), "{error}");
    }
    for (at, token) in [("127.0.0.2:0", None), ("0.0.0.0:0", Some(TOKEN))] {
        let token = token.map(|token| token.parse().unwrap());
        let manage = at.parse().ok();
        ManagementSettings { manage, token, ..Default::default() }.open().unwrap();
    }
}

/// A page elsewhere may have a name that leads here, and would then be allowed by the browser to read everything.
#[test]
fn other_names_are_refused() {
    let (_, doors) = doors(Duration::from_secs(10));
    for (host, expected) in [("ward.example:9", "200 "), ("evil.example", "421 ")] {
        for path in ["/", "/metrics"] {
            let request = format!("GET {path} HTTP/1.1\r\nHost: {host}\r\n\r\n");
            let answer = ask(doors.manage(), &request);
            assert!(answer[9..].starts_with(expected), "{host} {answer}");
        }
    }
    let request = "GET /healthz HTTP/1.1\r\nHost: evil.example\r\n\r\n";
    assert!(ask(doors.manage(), request).starts_with("HTTP/1.1 200 "));
}

#[test]
fn the_page_asks_nobody_else_and_runs_nothing_else() {
    let (_, doors) = doors_with(Duration::from_secs(10), Some(TOKEN));
    let answer = get(doors.manage(), "/");
    let (head, page) = answer.split_once("\r\n\r\n").unwrap();
    assert!(head.contains("content-type: text/html; charset=utf-8"), "{head}");
    let (_, policy) = head.split_once("content-security-policy: ").unwrap();
    let (policy, _) = policy.split_once("\r\n").unwrap();
    assert!(policy.starts_with("default-src 'none'; ") && !policy.contains("unsafe"), "{policy}");
    let (_, nonce) = policy.split_once("script-src 'nonce-").unwrap();
    let (nonce, _) = nonce.split_once('\'').unwrap();
    assert_eq!(page.matches(&format!("nonce=\"{nonce}\"")).count(), 2);
    assert!(!get(doors.manage(), "/").contains(nonce), "another one each time");
    let elsewhere = page.replace("http://www.w3.org/2000/svg", "");
    assert!(!elsewhere.contains("://") && !page.contains("src="), "{page}");
    assert!(page.ends_with("</html>\n") && !page.contains("{nonce}"));
}

/// Whoever comes later finds what was noted before.
#[test]
fn numbers_are_noted_though_nobody_watches() {
    let (patient, doors) = doors(Duration::from_secs(10));
    let began = Instant::now();
    while patient.0.samples.load(Ordering::Relaxed) < 3 {
        assert!(began.elapsed() < Duration::from_secs(60), "they are not noted");
        std::thread::sleep(Duration::from_millis(20));
    }
    let answer = get(doors.manage(), "/history");
    let (head, noted) = answer.split_once("\r\n\r\n").unwrap();
    assert!(head.contains("content-type: application/json"), "{head}");
    assert!(noted.parse::<u64>().unwrap() >= 3, "{noted}");
    drop(doors);
    let noted = patient.0.samples.load(Ordering::Relaxed);

    // Health checks alone need no numbers.
    let health = Some(([127, 0, 0, 1], 0).into());
    let settings = ManagementSettings { health, ..ManagementSettings::default() };
    let doors = settings.open().unwrap().serve(patient.clone()).unwrap();
    // Whoever notes numbers begins before anybody is answered.
    assert!(get(doors.health(), "/healthz").starts_with("HTTP/1.1 200 "));
    assert_eq!(patient.0.samples.load(Ordering::Relaxed), noted);
}

#[test]
fn alerts_are_told_as_they_happen() {
    // Longer than patience lasts.
    let (patient, doors) = doors(Duration::from_millis(300));
    patient.0.alerts.store(2, Ordering::Relaxed);
    let mut watcher = watch(doors.manage());
    let said = read_until(&mut watcher, "id: 2\n");
    assert!(said.contains("200 OK") && said.contains("content-type: text/event-stream"));
    assert!(said.contains("event: alert\nid: 1\ndata: xxx"));
    std::thread::sleep(Duration::from_millis(700));
    patient.0.alerts.store(3, Ordering::Relaxed);
    let said = read_until(&mut watcher, "id: 3\n");
    assert!(!said.contains("id: 2\n"), "each once");
}

#[test]
fn only_so_many_watch_and_whoever_goes_makes_room() {
    let (patient, doors) = doors(Duration::from_secs(10));
    patient.0.alerts.store(1, Ordering::Relaxed);
    let mut watchers = [watch(doors.manage()), watch(doors.manage())];
    for watcher in &mut watchers {
        read_until(watcher, "id: 1\n");
    }
    assert!(get(doors.manage(), "/events").starts_with("HTTP/1.1 503 "));
    // Others do not drive them out.
    for _ in 0..20 {
        let idle = TcpStream::connect(doors.manage().unwrap()).unwrap();
        assert!(get(doors.manage(), "/metrics").starts_with("HTTP/1.1 200 "));
        drop(idle);
    }
    let [mut first, second] = watchers;
    patient.0.alerts.store(2, Ordering::Relaxed);
    read_until(&mut first, "id: 2\n");
    drop(second);
    let began = Instant::now();
    loop {
        let mut third = watch(doors.manage());
        let mut status = [0; 12];
        third.read_exact(&mut status).unwrap();
        if &status == b"HTTP/1.1 200" {
            break;
        }
        assert!(began.elapsed() < Duration::from_secs(10));
    }
}

/// It is shown out, and the memory of what it does not read is given back.
#[test]
fn who_does_not_keep_up_is_shown_out() {
    let (patient, doors) = doors(Duration::from_secs(10));
    patient.0.alerts.store(1, Ordering::Relaxed);
    let mut slow = watch(doors.manage());
    read_until(&mut slow, "id: 1\n");
    let mut quick = watch(doors.manage());
    read_until(&mut quick, "id: 1\n");
    quick.set_nonblocking(true).unwrap();
    let (began, mut is_out, mut buffer) = (Instant::now(), false, vec![0; 1 << 20]);
    while !is_out {
        patient.0.alerts.fetch_add(64, Ordering::Relaxed);
        while matches!(quick.read(&mut buffer), Ok(length) if length > 0) {}
        std::thread::sleep(Duration::from_millis(100));
        // There is room for a third one when the slow one is gone.
        let mut third = watch(doors.manage());
        let mut status = [0; 12];
        third.read_exact(&mut status).unwrap();
        is_out = &status == b"HTTP/1.1 200";
        assert!(began.elapsed() < Duration::from_secs(60), "it still watches");
    }
    assert!(get(doors.manage(), "/metrics").starts_with("HTTP/1.1 200 "));
}
