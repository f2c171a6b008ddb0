//! The world of the demonstration, all of it in memory: clients and services, a load balancer between them, and the real engine behind
//! that. Time goes on by the packet, so that every run is the same.

use std::collections::{HashMap, VecDeque};
use std::net::{Ipv4Addr, SocketAddrV4};
use std::time::Duration;

use anyhow::Result;
use gwlb_geneve::capture::{Format, LinkType, Writer};
use gwlb_geneve::config::Config;
use gwlb_geneve::engine::{Datagram, Engine, EventKind, Flows, Outcome, Output};
use gwlb_geneve::flow::FlowSeed;
use gwlb_geneve::geneve::{Builder, OptionClass, OptionType, TunnelOption, UDP_PORT};
use gwlb_geneve::gwlb::{EndpointId, Envelope, Outer, Profile, Reply, ReplyPolicy};
use gwlb_geneve::inspect::Chain;
use gwlb_geneve::packet::{IpPacket, TcpFlags, Transport};
use gwlb_geneve::{EtherType, Timestamp};

use super::service::Service;
use super::tcp::{self, Socket};

const LOAD_BALANCER: Ipv4Addr = Ipv4Addr::new(10, 99, 0, 1);
const APPLIANCE: Ipv4Addr = Ipv4Addr::new(10, 99, 0, 2);
/// 2026-01-01.
const BEGINNING: u64 = 1_767_225_600;
const BETWEEN_PACKETS: Duration = Duration::from_micros(200);

pub(super) const PET_STORE: SocketAddrV4 = SocketAddrV4::new(Ipv4Addr::new(10, 0, 1, 10), 8080);
pub(super) const FOOD_STORE: SocketAddrV4 = SocketAddrV4::new(Ipv4Addr::new(10, 0, 1, 20), 8080);

/// One of the two zones: an endpoint of the load balancer with services behind it, at the same addresses in both.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Zone {
    A,
    B,
}

impl Zone {
    pub(super) const fn endpoint(self) -> EndpointId {
        match self {
            Self::A => EndpointId(0x0a0a_0000_0000_0000 | 0xa),
            Self::B => EndpointId(0x0b0b_0000_0000_0000 | 0xb),
        }
    }
}

/// What was done to the appliance, other than to send it packets.
#[derive(Clone, Copy, Debug)]
pub(super) enum Change {
    /// It was given another policy.
    Reload(&'static str),
    /// It was killed and started again.
    Restart,
}

/// A client's connection.
#[derive(Clone, Copy, Debug)]
pub(super) struct Client(usize);

pub(super) struct World {
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
    queue: VecDeque<(Zone, Vec<u8>)>,
    next_port: u16,
    seed: u32,
}

impl World {
    pub(super) fn new(policy: String) -> Result<Self> {
        let engine = engine(&policy)?;
        Ok(Self {
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

    pub(super) const fn now(&self) -> Timestamp {
        self.now
    }

    /// What was said since this was asked last.
    pub(super) fn take_alerts(&mut self) -> Vec<String> {
        std::mem::take(&mut self.alerts)
    }

    pub(super) fn service(&self, zone: Zone, at: SocketAddrV4) -> &Service {
        let services = &self.zones[zone as usize].services;
        let found = services.iter().find(|(address, _)| *address == at);
        &found.expect("a service that is there").1
    }

    /// Connects to a service. Whether that worked, [`is_alive`](Self::is_alive) says.
    pub(super) fn connect(
        &mut self,
        zone: Zone,
        from: Ipv4Addr,
        to: SocketAddrV4,
    ) -> Result<Client> {
        self.next_port += 1;
        let ends = (SocketAddrV4::new(from, self.next_port), to);
        let number = self.random();
        let (socket, syn) = Socket::connect(ends, number);
        self.clients.push((zone, ends, socket));
        self.send(zone, syn)?;
        Ok(Client(self.clients.len() - 1))
    }

    pub(super) fn is_alive(&self, client: Client) -> bool {
        self.clients[client.0].2.is_alive()
    }

    pub(super) fn is_reset(&self, client: Client) -> bool {
        self.clients[client.0].2.is_reset
    }

    /// All that a client was answered.
    pub(super) fn answers(&self, client: Client) -> &[u8] {
        &self.clients[client.0].2.received
    }

    /// A client says something next, in segments of some size; what becomes of them.
    pub(super) fn say(&mut self, client: Client, data: &[u8], size: usize) -> Result<Vec<Outcome>> {
        let (zone, _, socket) = &mut self.clients[client.0];
        let (zone, packets) = (*zone, socket.say(data, size));
        packets.into_iter().map(|packet| self.send(zone, packet)).collect()
    }

    /// A client says something out of turn: `ahead` bytes further than it has come.
    pub(super) fn say_ahead(
        &mut self,
        client: Client,
        ahead: usize,
        data: &[u8],
    ) -> Result<Outcome> {
        let (zone, _, socket) = &self.clients[client.0];
        let packet = socket.say_at(socket.sent() + ahead, data);
        self.send(*zone, packet)
    }

    /// A client says something in IP fragments of some size.
    pub(super) fn say_in_fragments(
        &mut self,
        client: Client,
        data: &[u8],
        size: usize,
    ) -> Result<Vec<Outcome>> {
        let id = self.random() as u16;
        let (zone, _, socket) = &mut self.clients[client.0];
        let (zone, packets) = (*zone, socket.say(data, tcp::SEGMENT));
        let fragments = packets.iter().flat_map(|packet| tcp::fragments(packet, id, size));
        fragments.collect::<Vec<_>>().into_iter().map(|packet| self.send(zone, packet)).collect()
    }

    /// SYNs from made-up addresses, which nobody answers.
    pub(super) fn flood(&mut self, zone: Zone, count: u32) -> Result<()> {
        for _ in 0..count {
            let from = Ipv4Addr::from(0xac10_0000 | self.random() >> 12);
            let ends = (SocketAddrV4::new(from, self.random() as u16 | 1024), PET_STORE);
            let syn = tcp::segment(ends, (self.random(), 0), tcp::SYN, &[]);
            self.judge(zone, &syn)?;
        }
        Ok(())
    }

    /// Gives the appliance another policy for new flows.
    pub(super) fn reload(&mut self, policy: &'static str) -> Result<()> {
        self.change(Change::Reload(policy))
    }

    /// Kills the appliance and starts it again: it knows of no flow.
    pub(super) fn restart(&mut self) -> Result<()> {
        self.change(Change::Restart)
    }

    fn change(&mut self, change: Change) -> Result<()> {
        self.changes.push((self.judged.len(), change));
        apply(change, &self.policy, &mut self.engine)
    }

    /// The capture of all that the load balancer sent, and what became of it.
    pub(super) fn finish(self) -> Result<Record> {
        let Self { policy, capture, judged, changes, .. } = self;
        Ok(Record { policy, capture: capture.finish()?, judged, changes })
    }

    /// Sends a packet through the appliance, and all that comes of it.
    fn send(&mut self, zone: Zone, packet: Vec<u8>) -> Result<Outcome> {
        let outcome = self.judge_and_deliver(zone, &packet)?;
        while let Some((zone, packet)) = self.queue.pop_front() {
            self.judge_and_deliver(zone, &packet)?;
        }
        Ok(outcome)
    }

    fn judge_and_deliver(&mut self, zone: Zone, packet: &[u8]) -> Result<Outcome> {
        let (outcome, delivered) = self.judge(zone, packet)?;
        for packet in delivered {
            self.deliver(zone, &packet)?;
        }
        Ok(outcome)
    }

    /// What becomes of a packet, and the packets that come out for it.
    fn judge(&mut self, zone: Zone, packet: &[u8]) -> Result<(Outcome, Vec<Vec<u8>>)> {
        self.now = self.now.saturating_add(BETWEEN_PACKETS);
        let mut wrapped = wrap(zone, packet)?;
        self.capture.write_packet(self.now, LinkType::IPV4, wrapped.len() as u32, &wrapped)?;
        let header_len = wrapped.len() - Outer::parse(&wrapped)?.1.len();
        let outer = Outer::parse(&wrapped)?.0;
        let mut burst = [Datagram::new(self.now, outer, &mut wrapped[header_len..])];
        self.engine.process(&mut burst, &mut self.output);
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
        Ok((outcome, delivered))
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
        let answers = match stores.services.iter_mut().find(|(address, _)| *address == to) {
            Some((_, service)) => {
                if segment.flags() == TcpFlags::SYN {
                    let (socket, answer) =
                        Socket::accept((to, from), number, segment.sequence_number());
                    stores.connections.insert((from, to), Connection { socket, used: 0 });
                    vec![answer]
                } else {
                    let connection = stores.connections.get_mut(&(from, to));
                    connection.map_or(Vec::new(), |known| known.receive(&segment, service))
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

/// The services of a zone.
struct Stores {
    services: [(SocketAddrV4, Service); 2],
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
        service: &mut Service,
    ) -> Vec<Vec<u8>> {
        let mut packets: Vec<_> = self.socket.receive(segment).into_iter().collect();
        let (used, answers) = service.answer(&self.socket.received[self.used..]);
        self.used += used;
        packets.extend(self.socket.say(&answers, tcp::SEGMENT));
        packets
    }
}

impl Stores {
    fn new() -> Self {
        let pets = Service::new("pet store", &[("1", "Rex"), ("2", "Tom")]);
        let foods = Service::new("food store", &[("1", "bones"), ("2", "fish")]);
        Self {
            services: [(PET_STORE, pets), (FOOD_STORE, foods)],
            connections: HashMap::new(),
            fragments: Vec::new(),
        }
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
