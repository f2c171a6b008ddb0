//! The TCP of a real Linux kernel believes the engine: two ends in network namespaces of their own, between them
//! nothing but an engine in a load balancer's envelopes.
//!
//! This takes root (`CAP_NET_ADMIN`, `CAP_SYS_ADMIN`), `/dev/net/tun` and the command `ip`. Where one of them is
//! missing the tests say so on the standard error and pass, unless the environment has `KERNEL_TESTS=required`.
#![cfg(all(feature = "std", target_os = "linux"))]

mod carrier;
mod network;
#[path = "../support/mod.rs"]
mod support;

use std::io::{ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use carrier::{Carrier, Record};
use gwlb_geneve::engine::{Disposition, Engine, Settings};
use gwlb_geneve::inspect::*;
use gwlb_geneve::packet::{TcpFlags, Transport};
use network::{Host, connect_from, missing};
use nix::sys::socket::SockType;
use support::traffic::{segment, settings};

/// How soon an application must be told.
const PROMPTLY: Duration = Duration::from_secs(2);
/// How long the tests wait for what must happen in any case.
const PATIENCE: Duration = Duration::from_secs(20);

const ADDRESSES: [(&str, &str); 2] = [("10.1.0.10", "10.2.0.20"), ("2001:db8::10", "2001:db8::20")];
const SERVER_PORT: u16 = 8_080;
const CLIENT_PORT: u16 = 40_000;

/// Whether the machine lets these tests run. Where not, says so, past the test harness that would swallow it.
fn may_run() -> bool {
    let Some(why) = missing() else { return true };
    let required = std::env::var("KERNEL_TESTS").is_ok_and(|value| value == "required");
    assert!(!required, "{why}");
    let mut stderr = std::io::stderr();
    writeln!(stderr, "SKIPPED: tests with a real kernel need root: {why}").unwrap();
    false
}

/// Two ends and an engine between them.
struct Scene {
    client: Host,
    server: Host,
    carrier: Carrier,
}

impl Scene {
    fn new<I: Inspector>(
        (client, server): (&str, &str),
        mtu: u16,
        settings: Settings,
        make: impl FnMut() -> I + Send + 'static,
    ) -> Self {
        let (client, client_file) = Host::new(client, mtu).unwrap();
        let (server, server_file) = Host::new(server, mtu).unwrap();
        let engine = Engine::new(settings, make).unwrap();
        let ends = [(&client, client_file), (&server, server_file)];
        let carrier = Carrier::start(engine, ends);
        Self { client, server, carrier }
    }

    fn server_at(&self) -> SocketAddr {
        (self.server.address, SERVER_PORT).into()
    }

    fn client_at(&self) -> SocketAddr {
        (self.client.address, CLIENT_PORT).into()
    }

    fn listen(&self) -> TcpListener {
        let at = self.server_at();
        self.server.run(move || TcpListener::bind(at).unwrap()).join().unwrap()
    }

    /// From the same port each time.
    fn connect(&self) -> std::io::Result<TcpStream> {
        let (from, to) = (self.client_at(), self.server_at());
        let connect = move || connect_from(from, to, SockType::Stream);
        self.client.run(connect).join().unwrap().map(TcpStream::from)
    }

    /// Both ends of a connection.
    fn connected(&self) -> (TcpListener, TcpStream, TcpStream) {
        let listener = self.listen();
        let client = self.connect().unwrap();
        let (server, _) = listener.accept().unwrap();
        for stream in [&client, &server] {
            stream.set_read_timeout(Some(PATIENCE)).unwrap();
            stream.set_write_timeout(Some(PATIENCE)).unwrap();
            stream.set_nodelay(true).unwrap();
        }
        (listener, client, server)
    }
}

/// Rejects packets that hold the word.
fn censor() -> impl Inspector {
    packet_fn("censor", |packet, _| {
        if packet.payload().windows(9).any(|word| word == b"forbidden") {
            Verdict::reject(Reason::new("forbidden"))
        } else {
            Verdict::PASS
        }
    })
}

/// Reads until the connection ends, which must be by a reset: what came, and when it ended.
fn read_until_reset(mut stream: TcpStream) -> thread::JoinHandle<(Vec<u8>, Instant)> {
    thread::spawn(move || {
        let mut all = Vec::new();
        let error = stream.read_to_end(&mut all).expect_err("no orderly end");
        assert_eq!(error.kind(), ErrorKind::ConnectionReset, "{error}");
        (all, Instant::now())
    })
}

#[track_caller]
fn assert_prompt(since: Instant, ends: &[Instant]) {
    for end in ends {
        let took = end.duration_since(since);
        assert!(took < PROMPTLY, "told after {took:?}");
    }
}

/// The TCP packets of a record that were forwarded, or injected, from a place on.
fn delivered(record: &Record, from: usize, injected: bool) -> Vec<&[u8]> {
    let is_it = |disposition: Option<Disposition>| match disposition {
        Some(disposition) => !injected && disposition.is_forward(),
        None => injected,
    };
    let carried = record.carried[from..].iter().filter(|carried| carried.is_tcp());
    let carried = carried.filter(|carried| is_it(carried.disposition));
    carried.map(|carried| &carried.packet[..]).collect()
}

/// Where the first packet was refused.
fn first_refused(record: &Record) -> usize {
    let refused = |disposition: Option<Disposition>| disposition == Some(Disposition::Reject);
    record.carried.iter().position(|carried| refused(carried.disposition)).expect("a refusal")
}

/// Nothing of the flow comes through any more, but for resets that were made for it.
fn assert_dead(record: &Record) {
    let refused = first_refused(record);
    assert_eq!(delivered(record, refused, false), Vec::<&[u8]>::new());
    let resets = delivered(record, refused, true);
    assert!(resets.len() >= 2, "{resets:?}");
    for reset in resets {
        assert!(segment(reset).flags().intersects(TcpFlags::RST), "{reset:?}");
    }
}

/// Bytes that are different everywhere.
fn noise(length: usize) -> Vec<u8> {
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    let mut next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state as u8
    };
    (0..length).map(|_| next()).collect()
}

#[test]
fn what_passes_arrives_byte_for_byte() {
    if !may_run() {
        return;
    }
    // The second is the way of an interface with jumbo frames, whose segments would not fit through a load balancer.
    for (addresses, mtu) in [(ADDRESSES[0], 1_500), (ADDRESSES[0], 9_001), (ADDRESSES[1], 9_001)] {
        let scene = Scene::new(addresses, mtu, settings(), censor);
        let (_listener, mut client, server) = scene.connected();
        let echo = thread::spawn(move || {
            let (mut reader, mut writer) = (&server, &server);
            std::io::copy(&mut reader, &mut writer).unwrap()
        });
        let sent = noise(3 << 20);
        let mut writer = client.try_clone().unwrap();
        let data = sent.clone();
        let writing = thread::spawn(move || {
            writer.write_all(&data).unwrap();
            writer.shutdown(std::net::Shutdown::Write).unwrap();
        });
        let mut received = Vec::new();
        client.read_to_end(&mut received).unwrap();
        writing.join().unwrap();
        assert_eq!(echo.join().unwrap(), sent.len() as u64);
        assert!(received == sent);

        let record = scene.carrier.stop();
        let longest = delivered(&record, 0, false).iter().map(|packet| packet.len()).max();
        assert!(longest.is_some_and(|longest| longest <= 8_500), "{longest:?}");
        assert!((record.counters.edited > 0) == (mtu > 8_500), "{:?}", record.counters);
        assert_eq!(
            (record.counters.injected, record.counters.exceptions(Exception::Midstream)),
            (0, 0)
        );
    }
}

#[test]
fn a_rejected_request_resets_both_sides_unread() {
    if !may_run() {
        return;
    }
    for addresses in ADDRESSES {
        let scene = Scene::new(addresses, 1_500, settings(), censor);
        let (listener, mut client, mut server) = scene.connected();
        let mut greeting = [0; 5];
        client.write_all(b"hello").unwrap();
        server.read_exact(&mut greeting).unwrap();
        server.write_all(b"howdy").unwrap();
        client.read_exact(&mut greeting).unwrap();

        let began = Instant::now();
        let ends = [read_until_reset(client.try_clone().unwrap()), read_until_reset(server)];
        client.write_all(b"GET /forbidden HTTP/1.1\r\n\r\n").unwrap();
        let [client_end, server_end] = ends.map(|end| end.join().unwrap());
        assert_prompt(began, &[client_end.1, server_end.1]);
        assert_eq!((&client_end.0[..], &server_end.0[..]), (&b""[..], &b""[..]));

        // Between the same two ports nothing begins anew.
        let began = Instant::now();
        let error = scene.connect().unwrap_err();
        assert_eq!(error.kind(), ErrorKind::ConnectionRefused, "{error}");
        assert_prompt(began, &[Instant::now()]);
        listener.set_nonblocking(true).unwrap();
        assert_eq!(listener.accept().unwrap_err().kind(), ErrorKind::WouldBlock);
        assert_dead(&scene.carrier.stop());
    }
}

#[test]
fn a_rejected_answer_resets_both_sides_unread() {
    if !may_run() {
        return;
    }
    for addresses in ADDRESSES {
        let scene = Scene::new(addresses, 1_500, settings(), censor);
        let (_listener, mut client, mut server) = scene.connected();
        let mut request = [0; 5];
        client.write_all(b"hello").unwrap();
        server.read_exact(&mut request).unwrap();
        let began = Instant::now();
        let ends = [read_until_reset(client), read_until_reset(server.try_clone().unwrap())];
        server.write_all(b"what is forbidden").unwrap();
        let [client_end, server_end] = ends.map(|end| end.join().unwrap());
        assert_prompt(began, &[client_end.1, server_end.1]);
        assert_eq!((&client_end.0[..], &server_end.0[..]), (&b""[..], &b""[..]));
        assert_dead(&scene.carrier.stop());
    }
}

/// Rejects the next TCP segment when told to, and counts bytes until then.
#[derive(Clone, Default)]
struct Switch {
    reject: Arc<AtomicBool>,
    bytes: Arc<AtomicU64>,
}

impl Switch {
    fn inspector(&self) -> impl Inspector + use<> {
        let Self { reject, bytes } = self.clone();
        packet_fn("switch", move |packet, _| {
            let is_tcp = matches!(packet.transport(), Transport::Tcp(_));
            if is_tcp && reject.load(Ordering::Relaxed) {
                return Verdict::reject(Reason::new("switched-off"));
            }
            bytes.fetch_add(packet.payload().len() as u64, Ordering::Relaxed);
            Verdict::PASS
        })
    }

    /// Waits until so many bytes have passed.
    fn wait_for(&self, bytes: u64) {
        let began = Instant::now();
        while self.bytes.load(Ordering::Relaxed) < bytes {
            assert!(began.elapsed() < PATIENCE, "only {:?} bytes passed", self.bytes);
            thread::sleep(Duration::from_millis(1));
        }
    }

    /// Waits until nothing has passed for a while: the windows are full.
    fn wait_for_silence(&self) {
        let mut before = u64::MAX;
        loop {
            let now = self.bytes.load(Ordering::Relaxed);
            if now == before && now > 0 {
                return;
            }
            before = now;
            thread::sleep(Duration::from_millis(100));
        }
    }
}

/// Sends without end, and reads if it is to, until the connection ends, which must be by a reset: when that was.
fn talk_until_reset(stream: TcpStream, reads: bool) -> thread::JoinHandle<Instant> {
    stream.set_nonblocking(true).unwrap();
    thread::spawn(move || {
        let data = noise(64 << 10);
        let mut buffer = vec![0; 64 << 10];
        let began = Instant::now();
        loop {
            let wrote = (&stream).write(&data);
            let read = if reads { (&stream).read(&mut buffer) } else { Ok(1) };
            for result in [wrote, read] {
                match result {
                    Ok(length) => assert!(length > 0, "an orderly end"),
                    Err(error) if error.kind() == ErrorKind::WouldBlock => {}
                    Err(error) => {
                        assert_eq!(error.kind(), ErrorKind::ConnectionReset, "{error}");
                        return Instant::now();
                    }
                }
            }
            assert!(began.elapsed() < PATIENCE, "not told");
            thread::sleep(Duration::from_micros(200));
        }
    })
}

#[test]
fn a_reset_in_full_flight_is_believed() {
    if !may_run() {
        return;
    }
    for addresses in ADDRESSES {
        // Several times, since each time other segments are under way.
        for round in 0..4 {
            let switch = Switch::default();
            let inspectors = switch.clone();
            let make = move || inspectors.inspector();
            let scene = Scene::new(addresses, 1_500, settings(), make);
            let (_listener, client, server) = scene.connected();
            let ends = [talk_until_reset(client, true), talk_until_reset(server, true)];
            switch.wait_for((1 << 20) + round * 10_007);
            let began = Instant::now();
            switch.reject.store(true, Ordering::Relaxed);
            let ends = ends.map(|end| end.join().unwrap());
            assert_prompt(began, &ends);
            assert_dead(&scene.carrier.stop());
        }
    }
}

/// Neither side reads, so that both windows are closed; what comes then are probes of them.
#[test]
fn a_reset_at_closed_windows_is_believed() {
    if !may_run() {
        return;
    }
    for addresses in ADDRESSES {
        let switch = Switch::default();
        let inspectors = switch.clone();
        let scene = Scene::new(addresses, 1_500, settings(), move || inspectors.inspector());
        let (_listener, client, server) = scene.connected();
        let ends = [talk_until_reset(client, false), talk_until_reset(server, false)];
        switch.wait_for_silence();
        let began = Instant::now();
        switch.reject.store(true, Ordering::Relaxed);
        let ends = ends.map(|end| end.join().unwrap());
        assert_prompt(began, &ends);
        assert_dead(&scene.carrier.stop());
    }
}

#[test]
fn a_rejected_connection_attempt_is_refused() {
    if !may_run() {
        return;
    }
    for addresses in ADDRESSES {
        let switch = Switch::default();
        switch.reject.store(true, Ordering::Relaxed);
        let inspectors = switch.clone();
        let scene = Scene::new(addresses, 1_500, settings(), move || inspectors.inspector());
        let listener = scene.listen();
        let began = Instant::now();
        let error = scene.connect().unwrap_err();
        assert_eq!(error.kind(), ErrorKind::ConnectionRefused, "{error}");
        assert_prompt(began, &[Instant::now()]);
        listener.set_nonblocking(true).unwrap();
        assert_eq!(listener.accept().unwrap_err().kind(), ErrorKind::WouldBlock);
        assert_eq!(delivered(&scene.carrier.stop(), 0, false), Vec::<&[u8]>::new());
    }
}

/// After a restart, in a strict policy: neither side hangs.
#[test]
fn a_connection_whose_beginning_was_not_seen_is_reset_where_it_is_not_adopted() {
    if !may_run() {
        return;
    }
    for addresses in ADDRESSES {
        let settings = Settings { policy: ExceptionPolicy::STRICT, ..settings() };
        // A table with room for a flow that ends at once stands for a restart.
        let timeouts = gwlb_geneve::flow::FlowTimeouts {
            tcp_established: Duration::from_millis(50),
            ..settings.timeouts
        };
        let scene = Scene::new(addresses, 1_500, Settings { timeouts, ..settings }, censor);
        let (_listener, mut client, server) = scene.connected();
        thread::sleep(Duration::from_millis(200));
        let began = Instant::now();
        let client_end = read_until_reset(client.try_clone().unwrap());
        client.write_all(b"are you there?").unwrap();
        assert_prompt(began, &[client_end.join().unwrap().1]);
        // The server is told when it says something.
        let began = Instant::now();
        let server_end = read_until_reset(server.try_clone().unwrap());
        (&server).write_all(b"are you there?").unwrap();
        assert_prompt(began, &[server_end.join().unwrap().1]);
        let record = scene.carrier.stop();
        assert!(record.counters.exceptions(Exception::Midstream) >= 2, "{:?}", record.counters);
    }
}

#[test]
fn a_rejected_udp_socket_is_told() {
    if !may_run() {
        return;
    }
    for (addresses, expected) in ADDRESSES.into_iter().zip(["EHOSTUNREACH", "EACCES"]) {
        let scene = Scene::new(addresses, 1_500, settings(), censor);
        let (from, to) = (scene.client_at(), scene.server_at());
        let server = scene.server.run(move || UdpSocket::bind(to).unwrap()).join().unwrap();
        let connect = move || connect_from(from, to, SockType::Datagram).unwrap();
        let client = UdpSocket::from(scene.client.run(connect).join().unwrap());
        for socket in [&client, &server] {
            socket.set_read_timeout(Some(PATIENCE)).unwrap();
        }
        let mut buffer = [0; 64];
        client.send(b"hello").unwrap();
        assert_eq!(server.recv_from(&mut buffer).unwrap(), (5, from));
        server.send_to(b"howdy", from).unwrap();
        assert_eq!(client.recv(&mut buffer).unwrap(), 5);

        let began = Instant::now();
        client.send(b"forbidden").unwrap();
        let error = client.recv(&mut buffer).unwrap_err();
        assert_prompt(began, &[Instant::now()]);
        let errno = nix::errno::Errno::from_raw(error.raw_os_error().unwrap());
        assert_eq!(format!("{errno:?}"), expected);
        server.set_nonblocking(true).unwrap();
        assert_eq!(server.recv(&mut buffer).unwrap_err().kind(), ErrorKind::WouldBlock);
        scene.carrier.stop();
    }
}
