//! The example appliance and the simulator in network namespaces of their own, and what is asked of both after a storm.

use std::fs::{self, File};
use std::io::{Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::Value;

use crate::namespace::{Namespace, ip};

/// Two load balancers, and a host that is none.
pub(crate) const GATEWAY: Ipv4Addr = Ipv4Addr::new(10, 66, 0, 1);
pub(crate) const OTHER_GATEWAY: Ipv4Addr = Ipv4Addr::new(10, 66, 0, 4);
pub(crate) const STRANGER: Ipv4Addr = Ipv4Addr::new(192, 0, 2, 3);
pub(crate) const APPLIANCE: Ipv4Addr = Ipv4Addr::new(10, 66, 0, 2);
pub(crate) const GENEVE: u16 = 6081;
const HEALTH: u16 = 8080;
pub(crate) const MANAGE: SocketAddr =
    SocketAddr::new(std::net::IpAddr::V4(Ipv4Addr::LOCALHOST), 9090);

/// For what must happen in any case, on a machine that has other work.
const PATIENCE: Duration = Duration::from_secs(30);

/// Both namespaces with a cable between them. One at a time: a storm takes the whole machine.
pub(crate) struct Stage {
    /// Ended before the namespaces.
    appliance: Option<Process>,
    pub(crate) gateway: Namespace,
    pub(crate) inside: Namespace,
    folder: PathBuf,
    _turn: MutexGuard<'static, ()>,
}

impl Stage {
    /// Where the machine does not let it be, says so past the test harness that would swallow it.
    pub(crate) fn lay(name: &str) -> Option<Self> {
        static TURN: Mutex<()> = Mutex::new(());
        let turn = TURN.lock().unwrap_or_else(PoisonError::into_inner);
        match cable() {
            Ok((gateway, inside)) => {
                let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
                fs::create_dir_all(&folder).unwrap();
                Some(Self { appliance: None, gateway, inside, folder, _turn: turn })
            }
            Err(why) => {
                let required = std::env::var("KERNEL_TESTS").is_ok_and(|value| value == "required");
                assert!(!required, "{why:#}");
                let mut stderr = std::io::stderr();
                writeln!(stderr, "SKIPPED: storms need root: {why:#}").unwrap();
                None
            }
        }
    }

    /// With an appliance at work that is configured so, beside what its place says.
    pub(crate) fn with_appliance(name: &str, config: &str) -> Option<Self> {
        let mut stage = Self::lay(name)?;
        stage.start(config);
        Some(stage)
    }

    /// Starts the appliance and waits until it is ready.
    pub(crate) fn start(&mut self, config: &str) {
        self.configure(config);
        let mut command = Command::new(appliance());
        command.args(["run", "--config"]).arg(self.file("config.toml"));
        let log = File::options().append(true).create(true).open(self.file("log")).unwrap();
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(log);
        self.appliance = Some(Process::start(&self.inside, command));
        self.wait_for("readiness", |stage| stage.is_ready());
    }

    /// Writes the configuration that is read at the start and with SIGHUP.
    pub(crate) fn configure(&self, config: &str) {
        let place = format!(
            "[run]\nbind = \"{APPLIANCE}\"\nworkers = 2\nallow-origin = \"10.66.0.0/24\"\ndrain = 6\n"
        );
        fs::write(self.file("config.toml"), place + config).unwrap();
    }

    pub(crate) fn file(&self, name: &str) -> PathBuf {
        self.folder.join(name)
    }

    pub(crate) fn log(&self) -> String {
        fs::read_to_string(self.file("log")).unwrap_or_default()
    }

    pub(crate) fn appliance(&mut self) -> &mut Process {
        self.appliance.as_mut().expect("it was started")
    }

    pub(crate) fn wait_for(&self, what: &str, is_so: impl Fn(&Self) -> bool) {
        self.wait_within(PATIENCE, what, is_so);
    }

    /// The same for what takes longer.
    pub(crate) fn wait_within(
        &self,
        patience: Duration,
        what: &str,
        mut is_so: impl FnMut(&Self) -> bool,
    ) {
        let began = Instant::now();
        while !is_so(self) {
            assert!(began.elapsed() < patience, "no {what}: {}", self.log());
            thread::sleep(Duration::from_millis(20));
        }
    }

    fn is_ready(&self) -> bool {
        self.health("/readyz").is_some_and(|answer| answer.contains(" 200 OK"))
    }

    /// What a load balancer's health check is told.
    pub(crate) fn health(&self, path: &str) -> Option<String> {
        self.gateway.run(|| Ok(get((APPLIANCE, HEALTH).into(), path))).unwrap()
    }

    /// Load from the first load balancer: to its end.
    pub(crate) fn load(&self, arguments: &str) -> Report {
        self.begin(GATEWAY, arguments).end()
    }

    /// Load that goes on while something else happens.
    pub(crate) fn begin(&self, gateway: Ipv4Addr, arguments: &str) -> Load {
        let mut command = Command::new(simulator());
        command.args(["--json", "--appliance", &APPLIANCE.to_string()]);
        command.args(["--gateway", &gateway.to_string()]).args(arguments.split_whitespace());
        // On a machine that has other work an answer may take long, and must not count as lost.
        if !arguments.contains("--patience") {
            command.args(["--patience", "10000"]);
        }
        let output = self.file(&format!("report-{gateway}"));
        command.stdin(Stdio::null()).stdout(File::create(&output).unwrap());
        Load { process: Process::start(&self.gateway, command), output }
    }

    /// Its numbers, once nothing is under way: they add up.
    pub(crate) fn settled(&self) -> Stats {
        let mut last = self.stats();
        let began = Instant::now();
        loop {
            thread::sleep(Duration::from_millis(100));
            let stats = self.stats();
            if stats.0["balanced"] == true && stats.number("received") == last.number("received") {
                stats.add_up();
                return stats;
            }
            assert!(began.elapsed() < PATIENCE, "{:#}", stats.0);
            last = stats;
        }
    }

    pub(crate) fn stats(&self) -> Stats {
        let answer = self.inside.run(|| Ok(get(MANAGE, "/stats"))).unwrap().expect("statistics");
        let (_, body) = answer.split_once("\r\n\r\n").expect("a body");
        Stats(serde_json::from_str(body).unwrap_or_else(|error| panic!("{error}: {body}")))
    }

    /// After a storm: the process lives and is healthy, its numbers add up, and good packets are answered.
    pub(crate) fn has_survived(&mut self) -> Stats {
        let ended = self.appliance().child.try_wait().unwrap();
        assert_eq!(ended, None, "{}", self.log());
        let health = self.health("/healthz").unwrap_or_default();
        assert!(health.contains(" 200 OK"), "{health}");
        let stats = self.settled();
        self.load("--packets 512 --profile imix --ip 4").assert_clean();
        assert!(!self.log().contains("panicked"), "{}", self.log());
        stats
    }
}

fn cable() -> anyhow::Result<(Namespace, Namespace)> {
    let (gateway, inside) = (Namespace::new()?, Namespace::new()?);
    let other = inside.path();
    gateway.run(|| {
        ip(&format!("link add gwlb mtu 9001 type veth peer name eth0 mtu 9001 netns {other}"))?;
        for address in [GATEWAY, OTHER_GATEWAY, STRANGER] {
            ip(&format!("address add {address}/24 dev gwlb"))?;
        }
        ip("link set gwlb up")
    })?;
    inside.run(|| {
        ip(&format!("address add {APPLIANCE}/24 dev eth0"))?;
        ip("link set eth0 up")?;
        // What is answered to a stranger would get there, and be seen.
        ip(&format!("route add {STRANGER}/32 dev eth0"))
    })?;
    Ok((gateway, inside))
}

/// The simulator's binary, which cargo puts beside the test programs.
pub(crate) fn simulator() -> PathBuf {
    examples().join("gwlb_sim")
}

fn examples() -> PathBuf {
    let tests = std::env::current_exe().unwrap();
    tests.parent().and_then(Path::parent).expect("target/PROFILE/deps").join("examples")
}

/// The appliance's. It belongs to another package, for which cargo builds no examples with these tests.
pub(crate) fn appliance() -> PathBuf {
    static BUILT: OnceLock<()> = OnceLock::new();
    let examples = examples();
    BUILT.get_or_init(|| {
        let profile = examples.parent().expect("target/PROFILE");
        let mut cargo = Command::new(std::env::var_os("CARGO").unwrap_or("cargo".into()));
        cargo.args(["build", "--quiet", "--package", "gwlb-appliance", "--example", "appliance"]);
        cargo.arg("--target-dir").arg(profile.parent().expect("target"));
        if profile.ends_with("release") {
            cargo.arg("--release");
        }
        let status = cargo.current_dir(env!("CARGO_MANIFEST_DIR")).status().unwrap();
        assert!(status.success(), "the example appliance cannot be built");
    });
    examples.join("appliance")
}

/// The answer to a request, in the namespace of this thread; `None` if there is none.
pub(crate) fn get(at: SocketAddr, path: &str) -> Option<String> {
    let mut stream = TcpStream::connect_timeout(&at, Duration::from_secs(5)).ok()?;
    stream.set_read_timeout(Some(Duration::from_secs(5))).unwrap();
    write!(stream, "GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n").ok()?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).ok()?;
    Some(answer)
}

/// A program in a namespace. It is ended with the value.
pub(crate) struct Process {
    child: Child,
}

impl Process {
    pub(crate) fn start(namespace: &Namespace, mut command: Command) -> Self {
        Self { child: namespace.run(|| Ok(command.spawn()?)).unwrap() }
    }

    pub(crate) fn signal(&self, signal: Signal) {
        kill(Pid::from_raw(self.child.id().try_into().unwrap()), signal).unwrap();
    }

    pub(crate) fn end(&mut self) -> ExitStatus {
        let began = Instant::now();
        loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                return status;
            }
            assert!(began.elapsed() < PATIENCE * 2, "it does not end");
            thread::sleep(Duration::from_millis(10));
        }
    }

    /// Bytes of memory that it has in use.
    pub(crate) fn memory(&self) -> u64 {
        let status = fs::read_to_string(format!("/proc/{}/status", self.child.id())).unwrap();
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
        line.trim().trim_end_matches(" kB").parse::<u64>().unwrap() * 1024
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A simulator at work.
pub(crate) struct Load {
    process: Process,
    output: PathBuf,
}

impl Load {
    pub(crate) fn is_over(&mut self) -> bool {
        self.process.child.try_wait().unwrap().is_some()
    }

    /// Ends it, whatever has no answer yet.
    pub(crate) fn stop(self) -> Report {
        self.process.signal(Signal::SIGINT);
        self.end()
    }

    pub(crate) fn end(mut self) -> Report {
        let code = self.process.end().code();
        let text = fs::read_to_string(&self.output).unwrap();
        let json = serde_json::from_str(&text);
        Report { code, json: json.unwrap_or_else(|error| panic!("{code:?}: {error}: {text}")) }
    }
}

/// What the simulator says.
pub(crate) struct Report {
    code: Option<i32>,
    pub(crate) json: Value,
}

impl Report {
    #[track_caller]
    pub(crate) fn number(&self, path: &str) -> u64 {
        number(&self.json, path)
    }

    /// Nothing lost, nothing wrong, and as many answers as packets.
    #[track_caller]
    pub(crate) fn assert_clean(&self) {
        assert_eq!(self.code, Some(0), "{:#}", self.json);
        assert_eq!((self.number("/lost"), self.number("/errors")), (0, 0), "{:#}", self.json);
        assert_eq!(self.number("/answered"), self.number("/sent"), "{:#}", self.json);
        assert!(self.number("/sent") > 0);
    }

    /// Nothing lost, nothing wrong, where it was ended with some packets under way.
    #[track_caller]
    pub(crate) fn assert_nothing_lost(&self) {
        assert_eq!(self.code, Some(0), "{:#}", self.json);
        assert_eq!((self.number("/lost"), self.number("/errors")), (0, 0), "{:#}", self.json);
        assert!(self.number("/answered") > 1_000, "{:#}", self.json);
    }

    /// What the appliance must have received of it, and what from a stranger.
    pub(crate) fn arrived(&self) -> (u64, u64) {
        let mut arrived = self.number("/sent") + self.number("/probes");
        let mut foreign = 0;
        for (kind, count) in self.json["must_not_be_answered"].as_object().unwrap() {
            match kind.as_str() {
                // Nobody sees it but the system.
                "wrong checksum" => {}
                "foreign origin" => foreign += count.as_u64().unwrap(),
                _ => arrived += count.as_u64().unwrap(),
            }
        }
        (arrived, foreign)
    }
}

/// What `/stats` says.
pub(crate) struct Stats(pub(crate) Value);

impl Stats {
    /// One of all workers together.
    #[track_caller]
    pub(crate) fn number(&self, name: &str) -> u64 {
        number(&self.0, &format!("/total/{name}"))
    }

    /// All of a kind, whatever the reason.
    #[track_caller]
    pub(crate) fn sum(&self, name: &str) -> u64 {
        sum(&self.0["total"][name])
    }

    /// One outcome for each datagram, for each worker and for all of them.
    fn add_up(&self) {
        assert_eq!(self.0["balanced"], true);
        let workers = self.0["workers"].as_array().unwrap();
        for worker in workers.iter().chain([&self.0["total"]]) {
            let of = |name: &str| worker[name].as_u64().unwrap();
            let judged = of("forwarded") + sum(&worker["dropped"]) + of("handed_over");
            assert_eq!(of("received") + of("taken_over"), judged, "{worker:#}");
            let ended = of("sent") + sum(&worker["send_failed"]);
            assert_eq!(of("forwarded") + of("injected"), ended, "{worker:#}");
        }
        for name in ["received", "forwarded", "sent", "foreign_origin"] {
            let all: u64 = workers.iter().map(|worker| worker[name].as_u64().unwrap()).sum();
            assert_eq!(self.number(name), all, "{name}: {:#}", self.0);
        }
    }
}

fn sum(counts: &Value) -> u64 {
    counts.as_object().unwrap().values().map(|count| count.as_u64().unwrap()).sum()
}

#[track_caller]
fn number(json: &Value, path: &str) -> u64 {
    json.pointer(path).and_then(Value::as_u64).unwrap_or_else(|| panic!("{path} in {json:#}"))
}
