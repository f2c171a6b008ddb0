//! Two real TCP stacks talk to each other through an engine, over a network that loses, delays, doubles, cuts and damages packets,
//! and in which somebody forges them: the bytes that an application reads are the bytes that were judged.
//!
//! Everything follows from a number. `SIMULATION_SEEDS=10000` tries more of them, `SIMULATION_SEED=17` that one alone. There
//! are fewer where the compiler does not optimise.
#![cfg(feature = "std")]

#[path = "../support/mod.rs"]
mod support;

mod host;
mod network;
mod random;

use std::sync::{Arc, Mutex};
use std::time::Duration;

use gwlb_geneve::Side as End;
use gwlb_geneve::engine::{Engine, Settings};
use gwlb_geneve::flow::FlowTimeouts;
use gwlb_geneve::inspect::{Inspector, Reason, Verdict, stream_fn};
use host::Host;
use network::{Place, Queue, Weather};
use random::Random;
use support::traffic::{Side, at_millis, send, settings, sides, unlimited};

/// What an inspector was shown of the client's and of the server's bytes, connection by connection: where somebody forges
/// packets, there may be several before one is agreed upon.
type Judged = Arc<Mutex<[Vec<Vec<u8>>; 2]>>;

const FORBIDDEN: &[u8] = b"--- this must not arrive ---";

/// Writes down what it is shown, and rejects what completes the forbidden words of a client.
fn judge(judged: &Judged) -> impl Inspector + use<> {
    let judged = Arc::clone(judged);
    stream_fn("judge", move |chunk, _| {
        let mut judged = judged.lock().unwrap();
        let streams = &mut judged[usize::from(chunk.side == End::Server)];
        if chunk.offset == 0 {
            streams.push(Vec::new());
        }
        let seen = streams.last_mut().unwrap();
        assert_eq!(chunk.offset, seen.len() as u64, "in order, and each byte once");
        let before = seen.len().saturating_sub(FORBIDDEN.len());
        seen.extend(chunk.data);
        if has_words(&seen[before..]) {
            return Verdict::reject(Reason::new("forbidden-words"));
        }
        Verdict::PASS
    })
}

fn has_words(bytes: &[u8]) -> bool {
    bytes.windows(FORBIDDEN.len()).any(|words| words == FORBIDDEN)
}

/// One conversation.
struct World<I: Inspector> {
    engine: Engine<I>,
    judged: Judged,
    random: Random,
    weather: Weather,
    client: Host,
    server: Host,
    ways: (Side, Side),
    queue: Queue,
    now: u64,
    /// How much of what was read has been compared.
    checked: [usize; 2],
    is_rejected: bool,
}

/// Settings by which no flow is forgotten before its conversation is over: one that is taken up again afterwards has streams of its
/// own, as it should, and is then not one that can be compared.
fn patient() -> Settings {
    let long = Duration::from_secs(3_600);
    let timeouts = FlowTimeouts {
        tcp_half_open: long,
        tcp_established: long,
        tcp_closing: long,
        tcp_closed: long,
        ..FlowTimeouts::default()
    };
    Settings { timeouts, ..settings() }
}

/// The same; for every third seed so that segments in order are asked about in the general way.
fn of_seed(seed: u64) -> Settings {
    Settings { budget: (seed % 3 == 0).then(unlimited), ..patient() }
}

fn world(seed: u64, is_forbidden: bool) -> (World<impl Inspector>, [Vec<u8>; 2]) {
    let mut random = Random::new(seed);
    let weather = Weather::new(&mut random);
    let mut says = [random.below(30_000), random.below(30_000)].map(|len| random.bytes(len));
    if is_forbidden {
        let at = random.below(says[0].len() as u64 + 1) as usize;
        says[0].splice(at..at, FORBIDDEN.iter().copied());
    }
    let judged = Judged::default();
    let make = {
        let judged = Arc::clone(&judged);
        move || judge(&judged)
    };
    let world = World {
        engine: Engine::new(of_seed(seed), make).unwrap(),
        judged,
        weather,
        client: Host::new(true, &says[0], says[1].len(), &mut random),
        server: Host::new(false, &says[1], says[0].len(), &mut random),
        random,
        ways: sides("10.1.0.10:40000", "10.2.0.20:443"),
        queue: Queue::default(),
        now: 1,
        checked: [0; 2],
        is_rejected: false,
    };
    (world, says)
}

impl<I: Inspector> World<I> {
    /// Until both are done, or nothing more happens, or ten minutes have gone by.
    fn run(&mut self) {
        while self.now < 600_000 && !(self.client.is_over() && self.server.is_over()) {
            let mut arrived = [Vec::new(), Vec::new()];
            while let Some((place, packet)) = self.queue.pop(self.now) {
                match place {
                    Place::Appliance { is_from_client } => self.judge(is_from_client, &packet),
                    Place::Client => arrived[0].push(packet),
                    Place::Server => arrived[1].push(packet),
                }
            }
            let [to_client, to_server] = arrived;
            let sent = [
                self.client.work(self.now, to_client, &mut self.random),
                self.server.work(self.now, to_server, &mut self.random),
            ];
            for (packets, is_from_client) in sent.into_iter().zip([true, false]) {
                let way = if is_from_client { self.ways.0 } else { self.ways.1 };
                for packet in packets {
                    for (delay, packet) in self.weather.before(&packet, &way, &mut self.random) {
                        let place = Place::Appliance { is_from_client };
                        self.queue.push(self.now + delay, place, packet);
                    }
                }
            }
            self.check();
            let due = [self.client.due(self.now), self.server.due(self.now)];
            let due = due.into_iter().flatten().min().map(|delay| self.now + delay.max(1));
            match due.into_iter().chain(self.queue.due()).min() {
                Some(next) => self.now = next.max(self.now + 1),
                None => break,
            }
        }
    }

    /// Lets the engine judge a packet, and sends on what it says.
    fn judge(&mut self, is_from_client: bool, packet: &[u8]) {
        let way = if is_from_client { self.ways.0 } else { self.ways.1 };
        let sent = send(&mut self.engine, at_millis(self.now), &way, packet);
        if !self.is_rejected && sent.outcome.reason.name() == "forbidden-words" {
            self.is_rejected = true;
            // Who has nothing to say would not notice.
            self.client.keep_alive();
            self.server.keep_alive();
        }
        let mut onward = Vec::new();
        if sent.is_forwarded() {
            onward.push((is_from_client, sent.inner()));
        }
        for (_, _, packet) in sent.injected {
            let is_to_server = packet[16..20] == host::SERVER;
            onward.push((is_to_server, packet));
        }
        for (is_to_server, packet) in onward {
            let place = if is_to_server { Place::Server } else { Place::Client };
            for (delay, packet) in self.weather.way(packet, &mut self.random) {
                self.queue.push(self.now + delay, place, packet);
            }
        }
    }

    /// What has been read was judged before, byte for byte.
    fn check(&mut self) {
        let judged = self.judged.lock().unwrap();
        let reads = [(&self.server.read, "server"), (&self.client.read, "client")];
        for (((read, who), judged), checked) in
            reads.into_iter().zip(judged.iter()).zip(&mut self.checked)
        {
            if read.len() == *checked {
                continue;
            }
            let is_known = judged.iter().any(|stream| stream.starts_with(read));
            let lens: Vec<_> = judged.iter().map(Vec::len).collect();
            assert!(
                is_known,
                "the {who} has read {} bytes, not of those judged: {lens:?}",
                read.len()
            );
            let new = checked.saturating_sub(FORBIDDEN.len());
            assert!(!has_words(&read[new..]), "the forbidden words have arrived");
            *checked = read.len();
        }
    }
}

const USUAL: u64 = if cfg!(debug_assertions) { 100 } else { 1_000 };

fn seeds() -> Vec<u64> {
    let number = |name: &str| std::env::var(name).ok().and_then(|text| text.parse().ok());
    match number("SIMULATION_SEED") {
        Some(seed) => vec![seed],
        None => (0..number("SIMULATION_SEEDS").unwrap_or(USUAL)).collect(),
    }
}

/// Says which number it was where something goes wrong.
struct Trying(u64);

impl Drop for Trying {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("again with SIMULATION_SEED={}", self.0);
        }
    }
}

#[test]
fn what_is_read_is_what_was_judged() {
    let (mut peaceful, mut complete) = (0, 0);
    for seed in seeds() {
        let _trying = Trying(seed);
        let (mut world, [client, server]) = world(seed, false);
        world.run();
        let Weather { forgeries, damage, .. } = world.weather;
        if forgeries > 0 {
            continue;
        }
        peaceful += 1;
        if damage == 0 {
            assert_eq!(world.engine.counters().dropped(), 0, "{:?}", world.engine.counters());
        }
        // This stack waits for ever where the news that a window has opened gets lost.
        if world.server.read == client && world.client.read == server {
            complete += 1;
            let judged = world.judged.lock().unwrap();
            assert!(judged[0].concat() == client && judged[1].concat() == server);
        }
    }
    assert!(complete * 10 >= peaceful * 7, "{complete} of {peaceful}");
}

#[test]
fn a_rejected_conversation_dies_on_both_sides() {
    let mut rejected = 0;
    let seeds = seeds();
    for seed in &seeds {
        let _trying = Trying(*seed);
        let (mut world, _) = world(*seed ^ 0x5eed_0000_0000, true);
        world.run();
        if !world.is_rejected {
            // Somebody has changed the words, or broken the connection before; or they were never said.
            continue;
        }
        rejected += 1;
        let states = (world.client.state(), world.server.state());
        assert!(world.client.is_over() && world.server.is_over(), "{states:?} at {}", world.now);
    }
    assert!(rejected * 2 > seeds.len(), "{rejected}");
}
