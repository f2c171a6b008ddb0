use std::io::{ErrorKind, Read, Write};
use std::net::TcpStream;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

use super::*;

#[derive(Clone, Default)]
struct Patient(Arc<AtomicBool>);

impl Subject for Patient {
    fn health(&self) -> Result<(), Vec<String>> {
        match self.0.load(Ordering::Relaxed) {
            false => Ok(()),
            true => Err(vec!["a cold".into(), "a cough".into()]),
        }
    }

    fn readiness(&self) -> Result<(), Vec<String>> {
        self.health()
    }

    fn metrics(&self) -> Option<String> {
        Some("# EOF\n".into())
    }

    fn stats(&self) -> Option<String> {
        None
    }
}

fn doors(patience: Duration) -> (Patient, Management) {
    let anywhere = Some(([127, 0, 0, 1], 0).into());
    let settings =
        ManagementSettings { health: anywhere, manage: anywhere, connections: 8, patience };
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
    ask(at, &format!("GET {path} HTTP/1.1\r\nHost: here\r\n\r\n"))
}

#[test]
fn each_door_has_its_answers() {
    let (patient, doors) = doors(Duration::from_secs(10));
    for at in [doors.health(), doors.manage()] {
        assert!(get(at, "/healthz").starts_with("HTTP/1.1 200 OK\r\n"));
        assert!(get(at, "/readyz?why").starts_with("HTTP/1.1 200 OK\r\n"));
        assert!(get(at, "/").starts_with("HTTP/1.1 404 "));
        assert!(ask(at, "POST /healthz HTTP/1.1\r\nHost: a\r\n\r\n").starts_with("HTTP/1.1 405 "));
        let head = ask(at, "HEAD /healthz HTTP/1.0\r\n\r\n");
        assert!(head.contains(" 200 OK\r\n") && head.ends_with("\r\n\r\n"), "{head}");
    }
    assert!(get(doors.health(), "/metrics").starts_with("HTTP/1.1 404 "));
    assert!(get(doors.manage(), "/metrics").ends_with("\r\n\r\n# EOF\n"));
    assert!(get(doors.manage(), "/stats").starts_with("HTTP/1.1 503 "));

    patient.0.store(true, Ordering::Relaxed);
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
