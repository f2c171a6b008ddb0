//! A thousand slow clients at the management port: no packet is lost or changed for them, and they cost a bounded part of the process.

use std::collections::BTreeSet;
use std::fs;
use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use nix::sys::resource::{Resource, getrlimit, setrlimit};

use super::REFUSE_53;
use super::appliance::{Appliance, HEALTH, MANAGE, PATIENCE, TOKEN, alone, ask, metric};
use super::gateway::{Gateway, datagram};
use super::manage::start;

/// Of each kind.
const CLIENTS: usize = 1_000;
/// What the appliance serves at a time, and how many may watch beside them: `ManagementSettings::default`.
const CONNECTIONS: usize = 64;
const WATCHERS: usize = 16;

#[test]
fn a_thousand_slow_clients_cost_no_packet_and_little_else() {
    alone(|| {
        // For both ends' worth of clients at a time, and what other tests have open.
        let (_, most) = getrlimit(Resource::RLIMIT_NOFILE).unwrap();
        setrlimit(Resource::RLIMIT_NOFILE, most, most).unwrap();
        assert!(most > 3 * CLIENTS as u64, "only {most} descriptors");

        let gateway = Gateway::new();
        let appliance = start("thousand", REFUSE_53);
        let traffic = Traffic::begin(gateway);
        all_is_answered();
        let process = Process::of(&appliance);
        let before = process.now();
        let watch = Watch::begin(process);

        // Such as say nothing, such as write little by little, and such as ask for the page and do not read it.
        let request =
            format!("GET / HTTP/1.1\r\nHost: 127.0.0.1\r\nAuthorization: Bearer {TOKEN}\r\n\r\n");
        let mut slow = Vec::new();
        for number in 0..CLIENTS {
            let length = match number % 3 {
                0 => 0,
                1 => number % request.len(),
                _ => request.len(),
            };
            slow.push(client(&request.as_bytes()[..length]));
            if number % 100 == 99 {
                for stream in slow.iter_mut().rev().take(50) {
                    let _ = stream.write_all(b"x");
                }
                all_is_answered();
            }
        }
        // Such as watch, or want all numbers, and do not read.
        let mut deaf = Vec::new();
        for number in 0..CLIENTS {
            let path = ["/events", "/events", "/stats", "/history"][number % 4];
            deaf.push(client(request.replacen("/ ", &format!("{path} "), 1).as_bytes()));
            if number % 100 == 99 {
                all_is_answered();
            }
        }
        // In the end they have to make room for one who does read.
        let mut watcher = watcher(&appliance);
        read_until(&mut watcher, "event: stats\n");
        read_until(&mut watcher, "event: alert\n");
        all_is_answered();

        let (most, queued) = watch.end();
        let further = most.descriptors.saturating_sub(before.descriptors);
        // One more is let in before the oldest goes, and so it is with those who watch; a few are ours.
        assert!(further > WATCHERS, "only {further} descriptors: this shows nothing");
        assert!(further <= CONNECTIONS + 2 * WATCHERS + 4, "{further} descriptors");
        assert!(queued <= 256 << 10, "{queued} bytes wait for one client");
        let grown = most.memory_peak.saturating_sub(before.memory);
        assert!(grown <= 16 << 20, "{before:?} {most:?}");

        drop((slow, deaf, watcher));
        appliance.wait_for("room", || process.now().descriptors <= before.descriptors + 1);
        all_is_answered();
        let Sent { passed, refused } = traffic.end();
        assert!(passed > 0 && refused > 0);
        let is_all =
            |page: &str| metric(page, "gwlb_datagrams_received_total", "") >= passed + refused;
        let page = || ask(MANAGE, "GET", "/metrics", Some(TOKEN), "").unwrap();
        appliance.wait_for("all packets", || is_all(&page()));
        let page = page();
        assert_eq!(metric(&page, "gwlb_datagrams_received_total", ""), passed + refused);
        assert_eq!(metric(&page, "gwlb_datagrams_forwarded_total", ""), passed);
        assert_eq!(metric(&page, "gwlb_datagrams_sent_total", ""), passed);
        assert_eq!(metric(&page, "gwlb_datagrams_dropped_total", ""), refused);
    });
}

/// Connects, says this much, and reads nothing.
fn client(says: &[u8]) -> TcpStream {
    let mut stream = TcpStream::connect(SocketAddr::from(MANAGE)).unwrap();
    // Whoever was shown out meanwhile cannot say it.
    let _ = stream.write_all(says);
    stream
}

/// To somebody who asks and reads.
fn all_is_answered() {
    for at in [HEALTH, MANAGE] {
        let health = ask(at, "GET", "/healthz", None, "").expect("health");
        assert!(health.starts_with("HTTP/1.1 200 ") && health.ends_with("ok\n"), "{health}");
    }
    let page = ask(MANAGE, "GET", "/", None, "").expect("the page");
    assert!(page.starts_with("HTTP/1.1 200 ") && page.ends_with("</html>\n"), "{page}");
    for path in ["/stats", "/history"] {
        let answer = ask(MANAGE, "GET", path, Some(TOKEN), "").expect(path);
        let (head, body) = answer.split_once("\r\n\r\n").unwrap();
        assert!(head.starts_with("HTTP/1.1 200 "), "{head}");
        serde_json::from_str::<serde_json::Value>(body).expect(path);
    }
}

/// One who is let in to watch, when there is room.
fn watcher(appliance: &Appliance) -> TcpStream {
    let began = Instant::now();
    loop {
        let request = format!(
            "GET /events HTTP/1.1\r\nHost: 127.0.0.1\r\nAuthorization: Bearer {TOKEN}\r\n\r\n"
        );
        let mut stream = client(request.as_bytes());
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        let mut status = [0; 12];
        stream.read_exact(&mut status).unwrap();
        match &status {
            b"HTTP/1.1 200" => return stream,
            other => assert_eq!(other, b"HTTP/1.1 503"),
        }
        assert!(began.elapsed() < PATIENCE, "nobody makes room: {}", appliance.log());
        thread::sleep(Duration::from_millis(100));
    }
}

fn read_until(stream: &mut TcpStream, what: &str) {
    let (mut all, mut some) = (Vec::new(), [0; 65_536]);
    while !String::from_utf8_lossy(&all).contains(what) {
        let length = stream.read(&mut some).unwrap();
        assert!(length > 0, "shown out before {what}");
        all.extend_from_slice(&some[..length]);
    }
}

/// Packets that must come back and packets that must not, one batch after the other until it is ended.
struct Traffic {
    is_over: Arc<AtomicBool>,
    thread: thread::JoinHandle<Sent>,
}

struct Sent {
    passed: u64,
    refused: u64,
}

impl Traffic {
    fn begin(gateway: Gateway) -> Self {
        let is_over = Arc::new(AtomicBool::new(false));
        let its = Arc::clone(&is_over);
        let thread = thread::spawn(move || {
            let mut sent = Sent { passed: 0, refused: 0 };
            let mut fresh = (10_000..=u16::MAX).map(|port| datagram(port, 53));
            while !its.load(Ordering::Relaxed) {
                let mut missing = BTreeSet::new();
                for flow in 0..16 {
                    let payload = datagram(3_000 + flow, 2_000);
                    gateway.send(&payload);
                    missing.insert(payload);
                    gateway.send(&datagram(3_000 + flow, 53));
                    sent.refused += 1;
                }
                // There is one alert a flow: those who watch are to be told something.
                if let Some(fresh) = fresh.next() {
                    gateway.send(&fresh);
                    sent.refused += 1;
                }
                let began = Instant::now();
                while !missing.is_empty() {
                    match gateway.receive() {
                        Some(back) => {
                            assert!(missing.remove(&back), "never sent so, or twice: {back:?}");
                            sent.passed += 1;
                        }
                        None => assert!(began.elapsed() < PATIENCE, "{} lost", missing.len()),
                    }
                }
                thread::sleep(Duration::from_millis(5));
            }
            assert_eq!(gateway.receive(), None, "nothing else comes back");
            sent
        });
        Self { is_over, thread }
    }

    fn end(self) -> Sent {
        self.is_over.store(true, Ordering::Relaxed);
        self.thread.join().unwrap()
    }
}

/// What the system says of a process (proc(5)).
#[derive(Clone, Copy)]
struct Process(u32);

#[derive(Clone, Copy, Debug)]
struct Holds {
    descriptors: usize,
    /// Bytes in memory, now and at most so far.
    memory: u64,
    memory_peak: u64,
}

impl Process {
    fn of(appliance: &Appliance) -> Self {
        Self(appliance.id())
    }

    fn descriptors(self) -> io::Result<usize> {
        Ok(fs::read_dir(format!("/proc/{}/fd", self.0))?.count())
    }

    fn now(self) -> Holds {
        let status = fs::read_to_string(format!("/proc/{}/status", self.0)).unwrap();
        let kilobytes = |name: &str| {
            let line = status.lines().find_map(|line| line.strip_prefix(name)).expect(name);
            line.split_whitespace().next().unwrap().parse::<u64>().unwrap()
        };
        Holds {
            descriptors: self.descriptors().unwrap(),
            memory: kilobytes("VmRSS:") << 10,
            memory_peak: kilobytes("VmHWM:") << 10,
        }
    }

    /// The most bytes that the system holds for one client of the management port, sent and not acknowledged or not sent yet.
    fn queued(self) -> io::Result<u64> {
        let sockets = fs::read_to_string(format!("/proc/{}/net/tcp", self.0))?;
        let port = format!(":{:04X}", MANAGE.1);
        let queues = sockets.lines().skip(1).filter_map(|line| {
            let mut fields = line.split_whitespace();
            let is_ours = fields.nth(1)?.ends_with(&port);
            let (queue, _) = fields.nth(2)?.split_once(':')?;
            is_ours.then(|| u64::from_str_radix(queue, 16).unwrap())
        });
        // The one that listens is always among them.
        queues.max().ok_or_else(|| io::Error::other("no socket of the management port"))
    }
}

/// Looks again and again at what it holds.
struct Watch {
    process: Process,
    is_over: Arc<AtomicBool>,
    descriptors: Arc<AtomicUsize>,
    queued: Arc<AtomicU64>,
    /// How often it looked.
    thread: thread::JoinHandle<u64>,
}

impl Watch {
    fn begin(process: Process) -> Self {
        let is_over = Arc::new(AtomicBool::new(false));
        let (descriptors, queued) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicU64::new(0)));
        let its = (Arc::clone(&is_over), Arc::clone(&descriptors), Arc::clone(&queued));
        let thread = thread::spawn(move || {
            let (is_over, descriptors, queued) = its;
            let mut looks = 0;
            while !is_over.load(Ordering::Relaxed) {
                // A process that is gone is told of elsewhere.
                let (Ok(open), Ok(waiting)) = (process.descriptors(), process.queued()) else {
                    return looks;
                };
                looks += 1;
                descriptors.fetch_max(open, Ordering::Relaxed);
                queued.fetch_max(waiting, Ordering::Relaxed);
                thread::sleep(Duration::from_millis(3));
            }
            looks
        });
        Self { process, is_over, descriptors, queued, thread }
    }

    /// The most that was seen.
    fn end(self) -> (Holds, u64) {
        self.is_over.store(true, Ordering::Relaxed);
        assert!(self.thread.join().unwrap() > 0, "nothing was looked at");
        let descriptors = self.descriptors.load(Ordering::Relaxed);
        (Holds { descriptors, ..self.process.now() }, self.queued.load(Ordering::Relaxed))
    }
}
