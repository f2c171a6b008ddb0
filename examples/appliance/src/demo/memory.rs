//! A world in memory: clients and services, a load balancer between them, and the real engine behind
//! that. Time goes on by the packet, so that every run is the same.

use std::collections::{HashMap, VecDeque};
use std::net::{Ipv4Addr, SocketAddrV4};
use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context, Result};
use gwlb_geneve::capture::{Format, LinkType, Writer};
use gwlb_geneve::config::Config;
use gwlb_geneve::engine::{Datagram, Engine, EventKind, Flows, Outcome, Output};
use gwlb_geneve::flow::FlowSeed;
use gwlb_geneve::geneve::{Builder, OptionClass, OptionType, TunnelOption, UDP_PORT};
use gwlb_geneve::gwlb::{EndpointId, Envelope, Outer, Profile, Reply, ReplyPolicy};
use gwlb_geneve::inspect::Chain;
use gwlb_geneve::observe::evidence::{Evidence, EvidenceRecorder, EvidenceWriter};
use gwlb_geneve::packet::{IpPacket, TcpFlags, Transport};
use gwlb_geneve::{EtherType, Timestamp};

use super::tcp::{self, Socket};
use super::world::{Client, Heard, Means, PET_STORE, Store, World, Zone, packets_of_evidence};

const LOAD_BALANCER: Ipv4Addr = Ipv4Addr::new(10, 99, 0, 1);
const APPLIANCE: Ipv4Addr = Ipv4Addr::new(10, 99, 0, 2);
/// 2026-01-01.
const BEGINNING: u64 = 1_767_225_600;
const BETWEEN_PACKETS: Duration = Duration::from_micros(200);

impl Zone {
    const fn endpoint(self) -> EndpointId {
        match self {
            Self::A => EndpointId(0x0a0a_0000_0000_000a),
            Self::B => EndpointId(0x0b0b_0000_0000_000b),
        }
    }
}

/// What was done to the appliance, other than to send it packets.
#[derive(Clone, Copy, Debug)]
enum Change {
    /// It was given another policy.
    Reload(&'static str),
    /// It was killed and started again.
    Restart,
}

/// All of it in memory.
pub(super) struct Memory {
    policy: String,
    engine: Engine<Chain>,
    output: Output,
    now: Timestamp,
    capture: Writer<Vec<u8>>,
    judged: Vec<Outcome>,
    changes: Vec<(usize, Change)>,
    alerts: Vec<String>,
    zones: [Stores; 2],
    clients: Vec<(Zone, (SocketAddrV4, SocketAddrV4), Socket)>,
    evidence: Option<(EvidenceRecorder, EvidenceWriter, PathBuf)>,
    queue: VecDeque<(Zone, Vec<u8>)>,
    next_port: u16,
    seed: u32,
}

impl Memory {
    pub(super) fn new(policy: String) -> Result<Self> {
        let engine = engine(&policy)?;
        let evidence = match Config::parse(&policy)?.evidence().cloned() {
            Some(settings) => {
                let folder = settings.directory.clone();
                let (evidence, writer) = Evidence::start(settings)?;
                Some((EvidenceRecorder::new(evidence), writer, folder))
            }
            None => None,
        };
        Ok(Self {
            evidence,
            policy,
            engine,
            output: Output::new(),
            now: Timestamp::from_unix(Duration::from_secs(BEGINNING)),
            capture: Writer::new(Vec::new(), Format::Pcapng)?,
            judged: Vec::new(),
            changes: Vec::new(),
            alerts: Vec::new(),
            zones: [Stores::new(), Stores::new()],
            clients: Vec::new(),
            queue: VecDeque::new(),
            next_port: 40_000,
            seed: 0x9e37_79b9,
        })
    }

    fn change(&mut self, change: Change) -> Result<()> {
        self.changes.push((self.judged.len(), change));
        apply(change, &self.policy, &mut self.engine)
    }

    /// The capture of all that the load balancer sent, and what became of it.
    pub(super) fn finish(self) -> Result<Record> {
        let Self { policy, capture, judged, changes, evidence, .. } = self;
        if let Some((_, writer, _)) = evidence {
            writer.finish();
        }
        Ok(Record { policy, capture: capture.finish()?, judged, changes })
    }

    /// Sends a packet through the appliance, and all that comes of it.
    fn send(&mut self, zone: Zone, packet: Vec<u8>) -> Result<()> {
        self.queue.push_back((zone, packet));
        while let Some((zone, packet)) = self.queue.pop_front() {
            for packet in self.judge(zone, &packet)? {
                self.deliver(zone, &packet)?;
            }
        }
        Ok(())
    }

    /// The packets that come out for one.
    fn judge(&mut self, zone: Zone, packet: &[u8]) -> Result<Vec<Vec<u8>>> {
        self.now = self.now.saturating_add(BETWEEN_PACKETS);
        let mut wrapped = wrap(zone, packet)?;
        self.capture.write_packet(self.now, LinkType::IPV4, wrapped.len() as u32, &wrapped)?;
        let header_len = wrapped.len() - Outer::parse(&wrapped)?.1.len();
        let outer = Outer::parse(&wrapped)?.0;
        let mut burst = [Datagram::new(self.now, outer, &mut wrapped[header_len..])];
        self.engine.process(&mut burst, &mut self.output);
        if let Some((recorder, ..)) = &mut self.evidence {
            recorder.judged(&burst, &self.output);
        }
        let outcome = self.output.outcomes()[0];
        self.judged.push(outcome);
        let mut delivered = Vec::new();
        if outcome.disposition.is_forward() {
            delivered.push(Envelope::parse(burst[0].payload(), &Profile::AWS)?.inner().to_vec());
            self.engine.sent(1);
        }
        for injected in self.output.injected() {
            delivered.push(injected.packet().to_vec());
            self.engine.sent(1);
        }
        for event in self.output.events() {
            if let EventKind::Alert(alert) = &event.what {
                self.alerts.push(format!("{}: {}", alert.name, alert.message));
            }
        }
        Ok(delivered)
    }

    /// Gives a packet to whom it is for.
    fn deliver(&mut self, zone: Zone, packet: &[u8]) -> Result<()> {
        let stores = &mut self.zones[zone as usize];
        let Some(packet) = stores.whole(packet) else { return Ok(()) };
        let ip = IpPacket::parse(&packet)?;
        let (IpPacket::V4(header), Transport::Tcp(segment)) = (ip, ip.transport()?) else {
            return Ok(());
        };
        let from = SocketAddrV4::new(header.source(), segment.source_port());
        let to = SocketAddrV4::new(header.destination(), segment.destination_port());
        let number = self.seed;
        let answers = match stores.stores.iter_mut().find(|(address, _)| *address == to) {
            Some((_, store)) => {
                if segment.flags() == TcpFlags::SYN {
                    let (socket, answer) =
                        Socket::accept((to, from), number, segment.sequence_number());
                    stores.connections.insert((from, to), Connection { socket, used: 0 });
                    vec![answer]
                } else {
                    let connection = stores.connections.get_mut(&(from, to));
                    connection.map_or(Vec::new(), |known| known.receive(&segment, store))
                }
            }
            None => {
                let mut clients = self.clients.iter_mut().rev();
                let client = clients.find(|(of, ends, _)| (*of, *ends) == (zone, (to, from)));
                client.and_then(|(.., socket)| socket.receive(&segment)).into_iter().collect()
            }
        };
        self.random();
        self.queue.extend(answers.into_iter().map(|answer| (zone, answer)));
        Ok(())
    }

    /// The same in every run.
    fn random(&mut self) -> u32 {
        self.seed ^= self.seed << 13;
        self.seed ^= self.seed >> 17;
        self.seed ^= self.seed << 5;
        self.seed
    }
}

impl World for Memory {
    fn now(&self) -> Timestamp {
        self.now
    }

    fn take_alerts(&mut self) -> Result<Vec<String>> {
        Ok(std::mem::take(&mut self.alerts))
    }

    fn store(&mut self, zone: Zone, at: SocketAddrV4) -> Result<Store> {
        let stores = &self.zones[zone as usize].stores;
        let found = stores.iter().find(|(address, _)| *address == at).context("no such store")?;
        Ok(found.1.clone())
    }

    fn ask(
        &mut self,
        zone: Zone,
        from: Ipv4Addr,
        to: SocketAddrV4,
        request: &[u8],
    ) -> Result<Heard> {
        let client = self.connect(zone, from, to, Means::Plain)?;
        self.say(client, request, tcp::SEGMENT)?;
        self.hear(client)
    }

    fn connect(
        &mut self,
        zone: Zone,
        from: Ipv4Addr,
        to: SocketAddrV4,
        _by: Means,
    ) -> Result<Client> {
        self.next_port += 1;
        let ends = (SocketAddrV4::new(from, self.next_port), to);
        let number = self.random();
        let (socket, syn) = Socket::connect(ends, number);
        self.clients.push((zone, ends, socket));
        self.send(zone, syn)?;
        Ok(Client(self.clients.len() - 1))
    }

    fn say(&mut self, client: Client, data: &[u8], size: usize) -> Result<()> {
        let (zone, _, socket) = &mut self.clients[client.0];
        let (zone, packets) = (*zone, socket.say(data, size));
        packets.into_iter().try_for_each(|packet| self.send(zone, packet))
    }

    fn say_ahead(&mut self, client: Client, ahead: usize, data: &[u8]) -> Result<()> {
        let (zone, _, socket) = &self.clients[client.0];
        let packet = socket.say_at(socket.sent() + ahead, data);
        self.send(*zone, packet)
    }

    fn say_in_fragments(&mut self, client: Client, data: &[u8], size: usize) -> Result<()> {
        let id = self.random() as u16;
        let (zone, _, socket) = &mut self.clients[client.0];
        let (zone, packets) = (*zone, socket.say(data, tcp::SEGMENT));
        let fragments = packets.iter().flat_map(|packet| tcp::fragments(packet, id, size));
        let fragments: Vec<_> = fragments.collect();
        fragments.into_iter().try_for_each(|packet| self.send(zone, packet))
    }

    fn hear(&mut self, client: Client) -> Result<Heard> {
        let socket = &self.clients[client.0].2;
        Ok(Heard { answer: socket.received.clone(), end: socket.end() })
    }

    fn flood(&mut self, zone: Zone, count: u32) -> Result<()> {
        for _ in 0..count {
            let syn = tcp::made_up_syn(PET_STORE, || self.random());
            self.judge(zone, &syn)?;
        }
        Ok(())
    }

    fn evidence(&mut self) -> Result<usize> {
        self.evidence.as_ref().map_or(Ok(0), |(.., folder)| packets_of_evidence(folder))
    }

    fn reload(&mut self, policy: &'static str) -> Result<()> {
        self.change(Change::Reload(policy))
    }

    fn restart(&mut self) -> Result<()> {
        self.change(Change::Restart)
    }
}

/// The services of a zone.
struct Stores {
    stores: [(SocketAddrV4, Store); 2],
    connections: HashMap<(SocketAddrV4, SocketAddrV4), Connection>,
    /// Of the one datagram that is coming in, in their order.
    fragments: Vec<u8>,
}

/// A connection as a service has it, and how much of what came was answered.
struct Connection {
    socket: Socket,
    used: usize,
}

impl Connection {
    fn receive(
        &mut self,
        segment: &gwlb_geneve::packet::TcpSegment<'_>,
        store: &mut Store,
    ) -> Vec<Vec<u8>> {
        let mut packets: Vec<_> = self.socket.receive(segment).into_iter().collect();
        let (used, answers) = store.answer(&self.socket.received[self.used..]);
        self.used += used;
        packets.extend(self.socket.say(&answers, tcp::SEGMENT));
        packets
    }
}

impl Stores {
    fn new() -> Self {
        let (connections, fragments) = (HashMap::new(), Vec::new());
        Self { stores: Store::all(), connections, fragments }
    }

    /// A packet, or the datagram that a fragment is the last of; fragments come in order here.
    fn whole(&mut self, packet: &[u8]) -> Option<Vec<u8>> {
        let IpPacket::V4(header) = IpPacket::parse(packet).ok()? else { return None };
        if !header.more_fragments() && header.fragment_offset() == 0 {
            return Some(packet.to_vec());
        }
        if header.fragment_offset() == 0 {
            self.fragments = packet.to_vec();
        } else if usize::from(header.fragment_offset()) + 20 == self.fragments.len() {
            self.fragments.extend_from_slice(&packet[20..]);
        }
        if header.more_fragments() {
            return None;
        }
        let mut whole = std::mem::take(&mut self.fragments);
        let len = whole.len() as u16;
        whole.get_mut(2..8)?.copy_from_slice(&[(len >> 8) as u8, len as u8, 0, 0, 0, 0]);
        Some(whole)
    }
}

/// A demonstration that is over: what the load balancer sent, what became of it, and what was done between.
pub(super) struct Record {
    policy: String,
    /// A pcapng file.
    pub(super) capture: Vec<u8>,
    pub(super) judged: Vec<Outcome>,
    changes: Vec<(usize, Change)>,
}

impl Record {
    /// Runs the capture through an appliance of its own. The number of the first packet, counted from 1, of which it thinks otherwise.
    pub(super) fn first_difference(&self) -> Result<Option<usize>> {
        let mut engine = engine(&self.policy)?;
        let mut output = Output::new();
        let mut reader = gwlb_geneve::capture::Reader::new(self.capture.as_slice())?;
        let mut changes = self.changes.iter().peekable();
        for (number, judged) in self.judged.iter().enumerate() {
            while let Some((_, change)) = changes.next_if(|(at, _)| *at == number) {
                apply(*change, &self.policy, &mut engine)?;
            }
            let Some(packet) = reader.next_packet() else { return Ok(Some(number + 1)) };
            let packet = packet?;
            let (outer, payload) = Outer::parse(packet.data)?;
            let mut payload = payload.to_vec();
            let mut burst = [Datagram::new(packet.timestamp, outer, &mut payload)];
            engine.process(&mut burst, &mut output);
            if output.outcomes()[0] != *judged {
                return Ok(Some(number + 1));
            }
        }
        Ok(None)
    }
}

fn engine(policy: &str) -> Result<Engine<Chain>> {
    let config = Config::parse(policy)?;
    let mut settings = config.settings();
    // Every run is the same.
    settings.seed = FlowSeed::from_bytes([1; 32]);
    Ok(Engine::new(settings, config.inspectors())?)
}

fn apply(change: Change, policy: &str, engine: &mut Engine<Chain>) -> Result<()> {
    match change {
        Change::Reload(policy) => {
            engine.reload(Config::parse(policy)?.inspectors(), Flows::Keep)?;
        }
        Change::Restart => *engine = self::engine(policy)?,
    }
    Ok(())
}

/// A packet as the load balancer sends it, from the outer IP header on.
fn wrap(zone: Zone, packet: &[u8]) -> Result<Vec<u8>> {
    let endpoint = zone.endpoint().0.to_be_bytes();
    // What both directions of a flow have in common.
    let ends = packet[12..20].chunks(4).fold(0_u32, |sum, address| {
        sum ^ u32::from_be_bytes(address.try_into().expect("four bytes")).wrapping_mul(0x9e37_79b1)
    });
    let cookie = ends.to_be_bytes();
    let option = |kind, data| TunnelOption::new(OptionClass(0x0108), OptionType(kind), data);
    let options = [option(1, &endpoint)?, option(2, &[0; 8])?, option(3, &cookie)?];
    let mut header = Vec::new();
    Builder::new(EtherType::IPV4).options(options).build(&mut header)?;
    // A reply goes back to where its datagram came from: so this one goes to the appliance.
    let outer = Outer::new((APPLIANCE, 0xc000 | ends as u16 & 0x3fff), (LOAD_BALANCER, UDP_PORT));
    Ok(Reply::new(&outer, &header, packet, &ReplyPolicy::default())?.parts().concat())
}
