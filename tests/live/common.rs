//! An appliance with memory transports, and traffic for it.

#![allow(dead_code, reason = "each program that has it uses a part")]

use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant, SystemTime};

use gwlb_geneve::Timestamp;
use gwlb_geneve::engine::Settings;
use gwlb_geneve::flow::{Direction, FlowKey, FlowLimits, Relation};
use gwlb_geneve::inspect::{Context, Inspector, Interest, Packet, Reason, Verdict, packet_fn};
use gwlb_geneve::runtime::{Appliance, Control, OverloadLimits, WorkerSettings};
use gwlb_geneve::transport::{MemoryDatagram, MemoryNetwork, MemoryTransport};

use crate::support::traffic::{Side, settings, sides};

pub(crate) const SOON: Duration = Duration::from_secs(20);

pub(crate) fn small() -> Settings {
    let flows = FlowLimits { flows: 4_096, endpoints: 64, ..FlowLimits::default() };
    Settings { flows, fragments: 256, ..settings() }
}

/// Drops what says "ugly", rejects what says "bad".
pub(crate) fn censor() -> impl Inspector {
    packet_fn("censor", |packet, _| {
        let says =
            |word: &str| packet.payload().windows(word.len()).any(|it| it == word.as_bytes());
        if says("ugly") {
            Verdict::drop(Reason::new("ugly-word"))
        } else if says("bad") {
            Verdict::reject(Reason::new("bad-word"))
        } else {
            Verdict::PASS
        }
    })
}

pub(crate) fn transports(count: usize) -> (Vec<MemoryTransport>, Vec<MemoryNetwork>) {
    (0..count).map(|_| MemoryTransport::new()).unzip()
}

/// Settings under which no machine is too slow.
pub(crate) fn patient() -> WorkerSettings {
    let (latency, full_bursts) = (Duration::from_secs(3_600), u32::MAX);
    let overload = OverloadLimits { latency, full_bursts, ..OverloadLimits::default() };
    // All that a test sends may wait for one worker that does not get its turn.
    WorkerSettings { overload, hand_over: 8_192, ..WorkerSettings::default() }
}

/// An appliance that ends soon after it was told to.
pub(crate) fn appliance<I: Inspector>(
    settings: Settings,
    make: impl FnMut() -> I + Clone + Send + 'static,
) -> Appliance<I> {
    Appliance::new(settings, make).quiet(Duration::from_millis(50)).worker(patient())
}

pub(crate) fn now() -> Timestamp {
    Timestamp::from_unix(SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap())
}

pub(crate) fn datagram(side: &Side, inner: &[u8]) -> MemoryDatagram {
    MemoryDatagram { time: now(), outer: side.outer(), payload: side.envelope(inner) }
}

/// Flow number `n`: client and server.
pub(crate) fn flow(n: usize) -> (Side, Side) {
    let address = format!("10.{}.{}.1:{}", n / 200 % 200, n % 200, 40_000 + n % 20_000);
    sides(&address, "198.51.100.20:443")
}

/// Waits until something holds.
pub(crate) fn eventually(what: &str, mut holds: impl FnMut() -> bool) {
    let start = Instant::now();
    while !holds() {
        assert!(start.elapsed() < SOON, "still not: {what}");
        std::thread::sleep(Duration::from_millis(2));
    }
}

/// Waits until workers have received so much, and nothing is under way between them.
pub(crate) fn settled<I: Inspector>(control: &Control<I>, received: u64) {
    eventually("all received, and judged", || {
        let statistics = control.statistics();
        statistics.total.received() == received && statistics.is_balanced()
    });
}

/// All that was sent so far.
pub(crate) fn drain(network: &MemoryNetwork) -> Vec<MemoryDatagram> {
    std::iter::from_fn(|| network.receive(Duration::ZERO)).collect()
}

/// What an inspector was shown: by which thread, of which flow and direction, with which last byte.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Shown {
    pub(crate) thread: String,
    pub(crate) flow: FlowKey,
    pub(crate) direction: Direction,
    pub(crate) relation: Relation,
    pub(crate) last: u8,
}

pub(crate) type Log = Arc<Mutex<Vec<Shown>>>;

/// Writes down what it is shown, and passes it.
pub(crate) struct Witness(pub(crate) Log);

impl Inspector for Witness {
    type Flow = ();
    const INTEREST: Interest = Interest::PACKETS;

    fn name(&self) -> &str {
        "witness"
    }

    fn open(&mut self, _first: &Packet<'_>, _cx: &mut Context<'_>) -> Option<()> {
        Some(())
    }

    fn packet(&mut self, (): &mut (), packet: &Packet<'_>, _cx: &mut Context<'_>) -> Verdict {
        self.0.lock().unwrap().push(Shown {
            thread: std::thread::current().name().unwrap_or_default().to_owned(),
            flow: *packet.flow(),
            direction: packet.direction(),
            relation: packet.relation(),
            last: packet.ip().bytes().last().copied().unwrap_or_default(),
        });
        Verdict::PASS
    }
}
