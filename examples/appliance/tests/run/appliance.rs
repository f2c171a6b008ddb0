//! A running appliance, in a network namespace of the thread that runs the test.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use nix::sched::{CloneFlags, unshare};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use super::common;
use super::gateway::ORIGINS;

pub(crate) const HEALTH: ([u8; 4], u16) = ([127, 0, 0, 1], 8080);
pub(crate) const MANAGE: ([u8; 4], u16) = ([127, 0, 0, 1], 9090);
/// How long the tests wait for what must happen in any case.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

/// Runs a test where the machine lets it, with a loopback interface of its own. Where not, says so past the test harness
/// that would swallow it.
pub(crate) fn alone(test: impl FnOnce() + Send + 'static) {
    let thread = thread::spawn(move || {
        let ready = unshare(CloneFlags::CLONE_NEWNET).map_err(|error| error.to_string());
        let up = ready.and_then(|()| {
            let up = Command::new("ip").args(["link", "set", "lo", "up"]).status();
            let up = up.map_err(|error| error.to_string())?;
            if up.success() { Ok(()) } else { Err("ip link set lo up fails".into()) }
        });
        if let Err(why) = up {
            let required = std::env::var("KERNEL_TESTS").is_ok_and(|value| value == "required");
            assert!(!required, "{why}");
            let mut stderr = std::io::stderr();
            writeln!(stderr, "SKIPPED: tests of a running appliance need root: {why}").unwrap();
            return;
        }
        test();
    });
    if let Err(panic) = thread.join() {
        std::panic::resume_unwind(panic);
    }
}

pub(crate) struct Appliance {
    child: Child,
    log: Arc<Mutex<String>>,
}

impl Appliance {
    /// Starts it and waits until it is ready.
    pub(crate) fn start(arguments: &[&str]) -> Self {
        let appliance = Self::spawn(&mut command(arguments));
        appliance.wait_until_ready();
        appliance
    }

    pub(crate) fn spawn(command: &mut Command) -> Self {
        let mut child = command.stderr(Stdio::piped()).spawn().expect("the appliance starts");
        let stderr = BufReader::new(child.stderr.take().unwrap());
        let log = Arc::new(Mutex::new(String::new()));
        let lines = Arc::clone(&log);
        thread::spawn(move || {
            for line in stderr.lines().map_while(Result::ok) {
                let mut log = lines.lock().unwrap();
                log.push_str(&line);
                log.push('\n');
            }
        });
        Self { child, log }
    }

    pub(crate) fn wait_until_ready(&self) {
        let is_ready = || get(HEALTH, "/readyz").is_some_and(|answer| answer.contains(" 200 OK"));
        self.wait_for("readiness", is_ready);
    }

    pub(crate) fn wait_for(&self, what: &str, is_so: impl Fn() -> bool) {
        let began = Instant::now();
        while !is_so() {
            assert!(began.elapsed() < PATIENCE, "no {what}: {}", self.log());
            thread::sleep(Duration::from_millis(20));
        }
    }

    /// Waits until as many workers let everything pass.
    pub(crate) fn wait_until_bypassed(&self, workers: u64) {
        self.wait_for("bypass", || {
            let page = ask(MANAGE, "GET", "/metrics", Some(TOKEN), "");
            page.is_some_and(|page| metric(&page, "gwlb_worker_bypassed", "") == workers)
        });
    }

    pub(crate) fn log(&self) -> String {
        self.log.lock().unwrap().clone()
    }

    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }

    pub(crate) fn signal(&self, signal: Signal) {
        kill(Pid::from_raw(self.child.id().try_into().unwrap()), signal).unwrap();
    }

    /// Tells it to stop, and again once it has heard: of two signals that wait, one is lost.
    pub(crate) fn stop_at_once(&self) {
        self.signal(Signal::SIGINT);
        self.wait_for("obedience", || self.log().contains("told to stop: "));
        self.signal(Signal::SIGINT);
    }

    /// Waits for its end: how it ended, and after how long.
    pub(crate) fn end(&mut self) -> (ExitStatus, Duration) {
        let began = Instant::now();
        loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                // What it said last is on its way.
                thread::sleep(Duration::from_millis(50));
                return (status, began.elapsed());
            }
            assert!(began.elapsed() < PATIENCE, "it does not end: {}", self.log());
            thread::sleep(Duration::from_millis(10));
        }
    }
}

impl Drop for Appliance {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// `appliance run` behind a load balancer on the loopback interface.
pub(crate) fn command(arguments: &[&str]) -> Command {
    let mut command = Command::new(common::binary());
    command.args(["run", "--bind", "127.0.0.1", "--allow-origin", ORIGINS, "--workers", "2"]);
    command.args(arguments);
    command
}

/// For the management port.
pub(crate) const TOKEN: &str = "a-token-of-32-letters-and-digits";

/// The answer to a request, `None` if there is none.
pub(crate) fn get(at: impl Into<SocketAddr>, path: &str) -> Option<String> {
    ask(at, "GET", path, None, "")
}

/// The same, with a method, a token and a body.
pub(crate) fn ask(
    at: impl Into<SocketAddr>,
    method: &str,
    path: &str,
    token: Option<&str>,
    body: &str,
) -> Option<String> {
    let at = at.into();
    let mut stream = TcpStream::connect_timeout(&at, Duration::from_secs(5)).ok()?;
    stream.set_read_timeout(Some(Duration::from_secs(5))).unwrap();
    let token = token.map(|token| format!("Authorization: Bearer {token}\r\n"));
    let (token, length) = (token.unwrap_or_default(), body.len());
    let head = format!("{method} {path} HTTP/1.1\r\nHost: {at}\r\n{token}");
    write!(stream, "{head}Content-Length: {length}\r\n\r\n{body}").ok()?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).ok()?;
    Some(answer)
}

/// The sum of all samples of a metric whose labels contain `label`.
pub(crate) fn metric(page: &str, name: &str, label: &str) -> u64 {
    let samples = page.lines().filter_map(|line| line.strip_prefix(name));
    let samples = samples.filter(|rest| rest.starts_with(['{', ' ']) && rest.contains(label));
    samples.map(|rest| rest.rsplit(' ').next().unwrap().parse::<u64>().unwrap()).sum()
}
