//! The clients: what tells the story, in the first zone's namespace.

use std::fs::{self, File};
use std::io::{ErrorKind, Read, Write};
use std::net::{Ipv4Addr, SocketAddrV4, TcpStream};
use std::os::fd::AsRawFd;
use std::path::PathBuf;
use std::process::Command;
use std::thread;
use std::time::{Duration, Instant, SystemTime};

use anyhow::{Context, Result, bail};
use gwlb_geneve::Timestamp;
use nix::sched::{CloneFlags, setns};
use nix::sys::signal::{Signal, kill};
use nix::sys::socket::{
    AddressFamily, SockFlag, SockType, SockaddrIn, bind, connect, setsockopt, socket, sockopt,
};
use nix::sys::time::{TimeVal, TimeValLike};
use nix::unistd::Pid;

use super::crafted::{Crafted, Raw};
use super::{Inside, LOG_FILE, PID_FILE, POLICY_FILE, stores};
use crate::demo::story::CRAFTED_GATEWAY;
use crate::demo::world::{
    Client, End, Heard, Means, PET_STORE, Store, World, Zone, packets_of_evidence,
};
use crate::demo::{EVIDENCE, conclude, story, tcp};

/// So long something is waited for.
const PATIENCE: Duration = Duration::from_secs(3);
/// To start again, a loaded machine needs longer.
const START: Duration = Duration::from_secs(20);

/// Tells the story, and ends with status 1 where an expectation is not met.
pub(crate) fn run(inside: &Inside) -> Result<()> {
    let mut live = Live::new(inside.folder.clone())?;
    let mut out = std::io::stdout().lock();
    let expectations = story::tell(&mut live, &mut out)?;
    conclude(&mut out, &expectations)
}

struct Live {
    folder: PathBuf,
    /// The other zone's namespace.
    other: File,
    /// How much of the appliance's log was read.
    read: usize,
    clients: Vec<Connection>,
    random: u32,
}

enum Connection {
    /// A socket, what came out of it, and how it stands.
    Plain {
        stream: Option<TcpStream>,
        answer: Vec<u8>,
        end: End,
    },
    Crafted(Crafted),
}

impl Live {
    fn new(folder: PathBuf) -> Result<Self> {
        let enter = std::env::var("GWLB_CLIENT_2").context("this is started by the simulator")?;
        let path =
            enter.split_once("--net=").context("expected nsenter --net=… in GWLB_CLIENT_2")?.1;
        let other = File::open(path).with_context(|| format!("cannot open {path}"))?;
        // Nobody in this namespace is to answer for who makes packets by hand.
        let ip = Command::new("ip")
            .args(["address", "del", &format!("{CRAFTED_GATEWAY}/32"), "dev", "gwlb"])
            .output()
            .context("cannot run the command ip (package iproute2)")?;
        if !ip.status.success() {
            bail!("ip address del: {}", String::from_utf8_lossy(&ip.stderr).trim());
        }
        Ok(Self { folder, other, read: 0, clients: Vec::new(), random: 0x9e37_79b9 })
    }

    /// Does something in a zone's namespace.
    fn within<T: Send>(&self, zone: Zone, work: impl FnOnce() -> Result<T> + Send) -> Result<T> {
        if zone == Zone::A {
            return work();
        }
        thread::scope(|scope| {
            let thread = scope.spawn(|| {
                setns(&self.other, CloneFlags::CLONE_NEWNET).context("cannot enter a namespace")?;
                work()
            });
            thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
        })
    }

    /// What the appliance has logged since the log was read last.
    fn news(&mut self) -> Result<String> {
        let log = fs::read(self.folder.join(LOG_FILE))?;
        let news = log.get(self.read..).unwrap_or_default();
        let whole = news.iter().rposition(|byte| *byte == b'\n').map_or(0, |at| at + 1);
        self.read += whole;
        Ok(String::from_utf8_lossy(&news[..whole]).into_owned())
    }

    fn wait_for(&mut self, words: &str, patience: Duration) -> Result<()> {
        let begin = Instant::now();
        while begin.elapsed() < patience {
            let news = self.news()?;
            if news.contains(words) {
                return Ok(());
            }
            thread::sleep(Duration::from_millis(10));
        }
        bail!("the appliance does not say {words:?} within {} s", patience.as_secs())
    }

    fn signal(&self, signal: Signal) -> Result<()> {
        let pid = fs::read_to_string(self.folder.join(PID_FILE))?;
        Ok(kill(Pid::from_raw(pid.trim().parse()?), signal)?)
    }

    fn connection(&mut self, client: Client) -> Result<&mut Connection> {
        self.clients.get_mut(client.0).context("no such client")
    }

    fn crafted(&mut self, client: Client) -> Result<&mut Crafted> {
        match self.connection(client)? {
            Connection::Crafted(crafted) => Ok(crafted),
            Connection::Plain { .. } => bail!("such packets are made by hand"),
        }
    }

    fn random(&mut self) -> u32 {
        self.random ^= self.random << 13;
        self.random ^= self.random >> 17;
        self.random ^= self.random << 5;
        self.random
    }
}

impl World for Live {
    fn now(&self) -> Timestamp {
        let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
        Timestamp::from_unix(now.unwrap_or_default())
    }

    fn take_alerts(&mut self) -> Result<Vec<String>> {
        // The log is written by a thread of its own.
        thread::sleep(Duration::from_millis(20));
        let news = self.news()?;
        let alerts = news.lines().filter_map(|line| line.split_once(" alert: "));
        // What it is about is said in the text.
        let text = |alert: &str| alert.split(" name=").next().unwrap_or_default().to_owned();
        Ok(alerts.map(|(_, alert)| text(alert)).collect())
    }

    fn store(&mut self, zone: Zone, at: SocketAddrV4) -> Result<Store> {
        let file = stores::file(&self.folder, zone, at);
        let text = fs::read(&file).with_context(|| format!("cannot read {}", file.display()))?;
        Ok(serde_json::from_slice(&text)?)
    }

    /// By `curl`.
    fn ask(
        &mut self,
        zone: Zone,
        from: Ipv4Addr,
        to: SocketAddrV4,
        request: &[u8],
    ) -> Result<Heard> {
        let text = std::str::from_utf8(request)?;
        let (head, body) = text.split_once("\r\n\r\n").context("a request has a head")?;
        let mut lines = head.lines();
        let mut words = lines.next().unwrap_or_default().split(' ');
        let (method, path) = (words.next().unwrap_or_default(), words.next().unwrap_or_default());
        let mut curl = Command::new("curl");
        curl.args([
            "-sS",
            "-i",
            "--max-time",
            "10",
            "--interface",
            &from.to_string(),
            "-X",
            method,
        ]);
        for header in lines.filter(|header| !header.starts_with("Content-Length")) {
            curl.args(["-H", header]);
        }
        if !body.is_empty() {
            curl.args(["-H", "Content-Type:", "--data-binary", body]);
        }
        curl.arg(format!("http://{to}{path}"));
        let output = self.within(zone, move || curl.output().context("cannot run curl"))?;
        let end = match output.status.code() {
            Some(0) => End::Open,
            // What curl says where nothing, or an error, came from the other end.
            Some(52 | 55 | 56) => End::Reset,
            Some(7 | 28) => End::Missing,
            _ => bail!("curl: {}", String::from_utf8_lossy(&output.stderr).trim()),
        };
        Ok(Heard { answer: output.stdout, end })
    }

    fn connect(
        &mut self,
        zone: Zone,
        from: Ipv4Addr,
        to: SocketAddrV4,
        by: Means,
    ) -> Result<Client> {
        let connection = match by {
            Means::Crafted => {
                let (port, number) = (40_000 + self.clients.len() as u16, self.random());
                let ends = (SocketAddrV4::new(from, port), to);
                Connection::Crafted(self.within(zone, || Crafted::connect(ends, number))?)
            }
            Means::Plain => {
                let stream = self.within(zone, || stream(from, to))?;
                let end = if stream.is_some() { End::Open } else { End::Missing };
                Connection::Plain { stream, answer: Vec::new(), end }
            }
        };
        self.clients.push(connection);
        Ok(Client(self.clients.len() - 1))
    }

    fn say(&mut self, client: Client, data: &[u8], size: usize) -> Result<()> {
        match self.connection(client)? {
            Connection::Crafted(crafted) => crafted.say(data, size),
            Connection::Plain { stream, end, .. } => {
                let Some(stream) = stream else { return Ok(()) };
                for piece in data.chunks(size) {
                    if let Err(error) = stream.write_all(piece) {
                        *end = ended(&error, *end)?;
                        break;
                    }
                    if size < data.len() {
                        // So that the system does not put pieces together.
                        thread::sleep(Duration::from_millis(1));
                    }
                }
                Ok(())
            }
        }
    }

    fn say_ahead(&mut self, client: Client, ahead: usize, data: &[u8]) -> Result<()> {
        self.crafted(client)?.say_ahead(ahead, data)
    }

    fn say_in_fragments(&mut self, client: Client, data: &[u8], size: usize) -> Result<()> {
        let id = self.random() as u16;
        self.crafted(client)?.say_in_fragments(data, id, size)
    }

    fn hear(&mut self, client: Client) -> Result<Heard> {
        match self.connection(client)? {
            Connection::Crafted(crafted) => crafted.hear(PATIENCE),
            Connection::Plain { stream, answer, end } => {
                let mut buffer = [0; 4096];
                if let (Some(stream), End::Open) = (stream, *end) {
                    match stream.read(&mut buffer) {
                        Ok(len) => answer.extend(&buffer[..len]),
                        Err(error) => *end = ended(&error, *end)?,
                    }
                }
                Ok(Heard { answer: answer.clone(), end: *end })
            }
        }
    }

    fn flood(&mut self, zone: Zone, count: u32) -> Result<()> {
        let mut random = self.random();
        self.within(zone, move || {
            let raw = Raw::new()?;
            for number in 0..count {
                let mut next = || {
                    random = random.wrapping_mul(0x0019_660d).wrapping_add(0x3c6e_f35f);
                    random
                };
                raw.send(&tcp::made_up_syn(PET_STORE, &mut next))?;
                if number % 20 == 0 {
                    // The device has room for some hundred.
                    thread::sleep(Duration::from_millis(1));
                }
            }
            Ok(())
        })
    }

    fn evidence(&mut self) -> Result<usize> {
        packets_of_evidence(&self.folder.join(EVIDENCE))
    }

    fn reload(&mut self, policy: &'static str) -> Result<()> {
        fs::write(self.folder.join(POLICY_FILE), policy)?;
        self.news()?;
        self.signal(Signal::SIGHUP)?;
        self.wait_for("the configuration is in force", START)
    }

    fn restart(&mut self) -> Result<()> {
        // A late acknowledgment would be lost with the appliance, and the store say its answer again to one that has not seen
        // the question: that is refused where only requests are allowed.
        thread::sleep(Duration::from_millis(500));
        self.news()?;
        self.signal(Signal::SIGKILL)?;
        self.wait_for("started workers=", START)
    }
}

/// A connected socket; `None` where there is none to be had.
fn stream(from: Ipv4Addr, to: SocketAddrV4) -> Result<Option<TcpStream>> {
    let socket = socket(AddressFamily::Inet, SockType::Stream, SockFlag::SOCK_CLOEXEC, None)?;
    let patience = TimeVal::seconds(PATIENCE.as_secs() as i64);
    setsockopt(&socket, sockopt::SendTimeout, &patience)?;
    bind(socket.as_raw_fd(), &SockaddrIn::from(SocketAddrV4::new(from, 0)))?;
    if connect(socket.as_raw_fd(), &SockaddrIn::from(to)).is_err() {
        return Ok(None);
    }
    let stream = TcpStream::from(socket);
    stream.set_nodelay(true)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    Ok(Some(stream))
}

/// How a connection stands after an error.
fn ended(error: &std::io::Error, before: End) -> Result<End> {
    match error.kind() {
        ErrorKind::ConnectionReset | ErrorKind::BrokenPipe => Ok(End::Reset),
        ErrorKind::WouldBlock | ErrorKind::TimedOut => Ok(before),
        _ => bail!("a client's socket: {error}"),
    }
}
