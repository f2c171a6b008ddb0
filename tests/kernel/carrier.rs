//! Carries packets between two ends as a load balancer and an appliance behind it do.

use std::fs::File;
use std::io::{Read, Write};
use std::net::IpAddr;
use std::os::fd::AsFd;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};
use std::time::{SystemTime, UNIX_EPOCH};

use gwlb_geneve::Timestamp;
use gwlb_geneve::engine::{Counters, Datagram, Disposition, Engine, Output};
use gwlb_geneve::gwlb::{Envelope, Profile};
use gwlb_geneve::inspect::Inspector;
use gwlb_geneve::packet::{IpPacket, IpProtocol};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};

use crate::network::Host;
use crate::support::traffic::{Side, sides};

/// A packet, whose it was, and what became of it.
#[derive(Clone, Debug)]
pub(crate) struct Carried {
    /// `None` for one that was injected.
    pub(crate) disposition: Option<Disposition>,
    pub(crate) packet: Vec<u8>,
}

impl Carried {
    pub(crate) fn is_tcp(&self) -> bool {
        IpPacket::parse(&self.packet).is_ok_and(|packet| packet.protocol() == IpProtocol::TCP)
    }
}

/// What was carried, in order, and what the engine counted.
pub(crate) struct Record {
    pub(crate) carried: Vec<Carried>,
    pub(crate) counters: Counters,
}

/// A thread that carries packets until it is told to stop.
pub(crate) struct Carrier {
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<Record>>,
}

impl Carrier {
    pub(crate) fn start<I: Inspector>(engine: Engine<I>, ends: [(&Host, File); 2]) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let [(client, client_file), (server, server_file)] = ends;
        let (from, to) = (client.address, server.address);
        let port = |address: IpAddr| std::net::SocketAddr::from((address, 1)).to_string();
        let (there, back) = sides(&port(from), &port(to));
        let ways = [
            Way { file: client_file, address: from, side: there },
            // In the other direction the load balancer has another cookie, as after a target was replaced.
            Way { file: server_file, address: to, side: back.with_cookie(0xbac) },
        ];
        let stopped = Arc::clone(&stop);
        let thread = thread::spawn(move || carry(engine, &ways, &stopped));
        Self { stop, thread: Some(thread) }
    }

    /// Stops, and tells what was carried.
    pub(crate) fn stop(mut self) -> Record {
        self.stop.store(true, Ordering::Relaxed);
        let thread = self.thread.take().unwrap();
        thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
    }
}

impl Drop for Carrier {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
    }
}

/// What leaves one of the ends.
struct Way {
    file: File,
    address: IpAddr,
    side: Side,
}

fn carry<I: Inspector>(mut engine: Engine<I>, ways: &[Way; 2], stop: &AtomicBool) -> Record {
    let mut carried = Vec::new();
    let mut output = Output::new();
    while !stop.load(Ordering::Relaxed) {
        let mut ready = ways.each_ref().map(|way| PollFd::new(way.file.as_fd(), PollFlags::POLLIN));
        poll(&mut ready, PollTimeout::from(10_u8)).unwrap();
        let mut payloads = Vec::new();
        for (number, way) in ways.iter().enumerate() {
            // A burst each time, so that neither end waits for the other's flood.
            payloads.extend((0..32).map_while(|_| read(way)).map(|payload| (number, payload)));
        }
        if payloads.is_empty() {
            continue;
        }
        let received = payloads.clone();
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
        let now = Timestamp::from_nanos(now.as_nanos() as u64);
        let mut burst: Vec<_> = payloads
            .iter_mut()
            .map(|(number, payload)| Datagram::new(now, ways[*number].side.outer(), payload))
            .collect();
        engine.process(&mut burst, &mut output);
        for (n, (datagram, outcome)) in burst.iter().zip(output.outcomes()).enumerate() {
            let (number, received) = &received[n];
            if outcome.disposition == Disposition::Forward {
                assert_eq!(datagram.payload(), received, "not a byte is changed");
            }
            let packet = Envelope::parse(datagram.payload(), &Profile::AWS).unwrap().inner();
            if outcome.disposition.is_forward() {
                write(&ways[1 - number], packet);
                engine.sent(1);
            }
            let disposition = Some(outcome.disposition);
            carried.push(Carried { disposition, packet: packet.to_vec() });
        }
        for injected in output.injected() {
            let packet = injected.packet();
            let to = IpPacket::parse(packet).unwrap().destination();
            let way = ways.iter().find(|way| way.address == to).expect("one of the ends");
            write(way, packet);
            engine.sent(1);
            carried.push(Carried { disposition: None, packet: packet.to_vec() });
        }
        assert!(engine.counters().is_balanced(), "{:?}", engine.counters());
    }
    Record { carried, counters: engine.counters().clone() }
}

/// The next packet of an end, in the envelope of a load balancer.
fn read(way: &Way) -> Option<Vec<u8>> {
    let mut buffer = [0; 65_536];
    match (&way.file).read(&mut buffer) {
        Ok(length) => Some(way.side.envelope(&buffer[..length])),
        Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => None,
        Err(error) => panic!("{error}"),
    }
}

fn write(way: &Way, packet: &[u8]) {
    assert_eq!((&way.file).write(packet).unwrap(), packet.len());
}
