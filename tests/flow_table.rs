//! The flow table: what each rule does, and all of them together against a model.
#![cfg(feature = "alloc")]

mod support;

use std::collections::BTreeMap;
use std::time::Duration;

use gwlb_geneve::flow::*;
use gwlb_geneve::gwlb::{EndpointId, Envelope, Outer, Profile};
use gwlb_geneve::packet::*;
use gwlb_geneve::{EtherType, Timestamp};
use proptest::prelude::*;
use support::generate::{aws_options, datagram};
use support::sample;

const SYN: TcpFlags = TcpFlags::SYN;
const ACK: TcpFlags = TcpFlags::ACK;
const FIN: TcpFlags = TcpFlags::FIN;
const RST: TcpFlags = TcpFlags::RST;

/// Two ticks of the table.
const LATE: u64 = 2 << 24;

fn at(millis: u64) -> Timestamp {
    Timestamp::from_nanos(1_700_000_000_000_000_000 + millis * 1_000_000)
}

fn tuple(protocol: IpProtocol, port: u16) -> FiveTuple {
    FiveTuple {
        addresses: Addresses::V4 {
            source: [10, 0, 0, 1].into(),
            destination: [10, 0, 0, 2].into(),
        },
        protocol,
        ports: Some(Ports { source: port, destination: 443 }),
    }
}

fn outer(port: u16) -> Outer {
    Outer::new(([10, 9, 0, 1].into(), port), ([10, 9, 0, 2].into(), 6081))
}

fn header(endpoint: u64, cookie: u32) -> Vec<u8> {
    let inner = sample::ipv4(6, &sample::tcp(b""));
    let options = (endpoint.to_be_bytes(), cookie.to_be_bytes());
    datagram(EtherType::IPV4, &aws_options(&options.0, &[0; 8], &options.1), &inner)
}

/// A table of `u32` with what is needed to feed it.
struct Rig {
    table: FlowTable<u32>,
    ended: Vec<EndedFlow<u32>>,
}

/// A packet of a test: a flow of an endpoint, from its client or back.
#[derive(Clone, Copy, Debug)]
struct Packet {
    endpoint: u64,
    protocol: IpProtocol,
    port: u16,
    back: bool,
    flags: TcpFlags,
    cookie: u32,
}

const CLIENT: Packet = Packet {
    endpoint: 1,
    protocol: IpProtocol::TCP,
    port: 1_000,
    back: false,
    flags: SYN,
    cookie: 7,
};

impl Packet {
    fn key(&self) -> (FlowKey, Direction) {
        let tuple = tuple(self.protocol, self.port);
        let tuple = if self.back { tuple.reversed() } else { tuple };
        FlowKey::new(EndpointId(self.endpoint), &tuple)
    }
}

impl Rig {
    fn new(limits: FlowLimits, timeouts: FlowTimeouts) -> Self {
        let seed = FlowSeed::from_bytes([1; 32]);
        let table = FlowTable::new(&limits, &timeouts, &Profile::AWS, seed).unwrap();
        Self { table, ended: Vec::new() }
    }

    fn of(flows: usize) -> Self {
        Self::new(FlowLimits { flows, ..FlowLimits::default() }, FlowTimeouts::default())
    }

    /// Observes or inserts: whether the flow was known, or why it was refused.
    fn packet(&mut self, packet: Packet, millis: u64) -> Result<bool, Refusal> {
        let bytes = header(packet.endpoint, packet.cookie);
        self.bytes(packet, &bytes, at(millis))
    }

    fn bytes(&mut self, packet: Packet, bytes: &[u8], now: Timestamp) -> Result<bool, Refusal> {
        let envelope = Envelope::parse(bytes, &Profile::AWS).unwrap();
        let (key, direction) = packet.key();
        let outer = outer(packet.cookie as u16);
        let seen = Observation {
            direction,
            relation: Relation::Own,
            length: 100,
            flags: (packet.protocol == IpProtocol::TCP).then_some(packet.flags),
            outer: &outer,
            envelope: &envelope,
        };
        let mut probe = [self.table.probe(&key)];
        self.table.fetch(&mut probe);
        let mut ended = |flow| self.ended.push(flow);
        if self.table.observe(&probe[0], &seen, now, &mut ended).is_some() {
            return Ok(true);
        }
        self.table
            .insert(&probe[0], &seen, now, 0, &mut ended)
            .map_or_else(|refused| Err(refused.why), |_| Ok(false))
    }

    fn get(&mut self, key: &FlowKey, millis: u64) -> Option<FlowId> {
        let probe = self.table.probe(key);
        self.table.get(&probe, at(millis))
    }

    fn phase(&mut self, packet: Packet, millis: u64) -> Option<FlowPhase> {
        let id = self.get(&packet.key().0, millis)?;
        Some(self.table.flow(id).unwrap().phase())
    }

    fn establish(&mut self, client: Packet, millis: u64) {
        let server = Packet { back: true, flags: SYN | ACK, ..client };
        self.packet(client, millis).unwrap();
        self.packet(server, millis).unwrap();
        self.packet(Packet { flags: ACK, ..client }, millis).unwrap();
        assert_eq!(self.phase(client, millis), Some(FlowPhase::Established));
    }

    fn expire(&mut self, millis: u64) -> Vec<(FlowPhase, EndReason)> {
        self.table.expire(at(millis), usize::MAX, &mut |flow| self.ended.push(flow));
        self.ended.drain(..).map(|flow| (flow.phase, flow.reason)).collect()
    }
}

/// Table overhead, both envelopes, the key of an IPv6 flow and a state of 32 bytes included.
#[test]
fn a_million_flows_cost_at_most_192_bytes_each() {
    let limits = FlowLimits {
        flows: 1_000_000,
        endpoints: 64,
        header_bytes: 0,
        bytes: usize::MAX,
        ..FlowLimits::default()
    };
    let seed = FlowSeed::from_bytes([0; 32]);
    let table =
        FlowTable::<[u32; 8]>::new(&limits, &FlowTimeouts::default(), &Profile::AWS, seed).unwrap();
    let each = table.limits().bytes as f64 / 1e6;
    assert!((168.0..=192.0).contains(&each), "{each} bytes");
}

#[test]
fn the_byte_limit_decides_where_it_is_the_tighter_one() {
    let limits = FlowLimits { bytes: 4 << 20, ..FlowLimits::default() };
    let rig = Rig::new(limits, FlowTimeouts::default());
    let found = *rig.table.limits();
    assert!(found.bytes <= 4 << 20 && found.bytes + 400 > 4 << 20, "{found:?}");
    assert!((10_000..20_000).contains(&found.flows), "{found:?}");
    let seed = || FlowSeed::from_bytes([0; 32]);
    let make =
        |limits| FlowTable::<u32>::new(&limits, &FlowTimeouts::default(), &Profile::AWS, seed());
    let error = make(FlowLimits { bytes: 1_000, ..limits }).unwrap_err();
    assert!(matches!(error, FlowTableError::NoRoom { limit: 1_000, .. }), "{error}");
    let error = make(FlowLimits { flows: 0, ..limits }).unwrap_err();
    assert!(matches!(error, FlowTableError::Limit { what: "flows", found: 0, .. }), "{error}");
    let huge = FlowLimits { flows: 1 << 28, bytes: usize::MAX, endpoints: 1 << 27, ..limits };
    assert!(matches!(make(huge).unwrap_err(), FlowTableError::Limit { what: "endpoints", .. }));
}

#[test]
fn tcp_goes_through_its_phases() {
    let mut rig = Rig::of(10);
    let server = Packet { back: true, flags: SYN | ACK, ..CLIENT };
    let steps = [
        (CLIENT, FlowPhase::SynSeen),
        (CLIENT, FlowPhase::SynSeen),
        (Packet { flags: ACK, ..server }, FlowPhase::SynSeen), // no answer to the SYN
        (server, FlowPhase::SynAnswered),
        (server, FlowPhase::SynAnswered),
        (Packet { flags: ACK, ..CLIENT }, FlowPhase::Established),
        (CLIENT, FlowPhase::Established), // a SYN out of nowhere ends nothing
        (Packet { flags: ACK | FIN, ..server }, FlowPhase::Closing),
        (Packet { flags: ACK | FIN, ..server }, FlowPhase::Closing),
        (Packet { flags: ACK | FIN, ..CLIENT }, FlowPhase::Closed),
        (Packet { flags: ACK, ..server }, FlowPhase::Closed),
    ];
    for (n, (packet, phase)) in steps.into_iter().enumerate() {
        assert_eq!(rig.packet(packet, 10), Ok(n != 0));
        assert_eq!(rig.phase(packet, 10), Some(phase), "step {n}");
    }
    let other = Packet { port: 2, ..CLIENT };
    rig.establish(other, 10);
    rig.packet(Packet { flags: RST, ..other }, 10).unwrap();
    assert_eq!(rig.phase(other, 10), Some(FlowPhase::Closed));
}

#[test]
fn flows_that_began_unseen() {
    let mut rig = Rig::of(10);
    let data = Packet { flags: ACK, ..CLIENT };
    rig.packet(data, 0).unwrap();
    rig.packet(data, 0).unwrap();
    assert_eq!(rig.phase(data, 0), Some(FlowPhase::Midstream), "one side alone proves nothing");
    rig.packet(Packet { back: true, ..data }, 0).unwrap();
    assert_eq!(rig.phase(data, 0), Some(FlowPhase::Established));

    let answer = Packet { port: 2, back: true, flags: SYN | ACK, ..CLIENT };
    rig.packet(answer, 0).unwrap();
    let id = rig.get(&answer.key().0, 0).unwrap();
    let client = Packet { back: false, flags: ACK, ..answer };
    assert_eq!(rig.table.flow(id).unwrap().opener(), client.key().1);
    rig.packet(client, 0).unwrap();
    assert_eq!(rig.phase(client, 0), Some(FlowPhase::Established));
}

#[test]
fn each_phase_has_its_time_out_swept_or_not() {
    let udp = Packet { protocol: IpProtocol::UDP, port: 5, ..CLIENT };
    let back = |packet| Packet { back: true, ..packet };
    for (seconds, packets) in [
        (30, vec![CLIENT]),
        (30, vec![Packet { flags: ACK, ..CLIENT }]),
        (350, vec![Packet { flags: ACK, ..CLIENT }, Packet { back: true, flags: ACK, ..CLIENT }]),
        (10, vec![Packet { flags: RST, ..CLIENT }]),
        (120, vec![udp]),
        (120, vec![udp, back(udp)]),
    ] {
        for sweep in [false, true] {
            let mut rig = Rig::of(10);
            for packet in &packets {
                rig.packet(*packet, 0).unwrap();
            }
            let last = seconds * 1_000;
            if sweep {
                assert_eq!(rig.expire(last), []);
            }
            assert!(rig.phase(packets[0], last).is_some(), "{seconds} s: alive to the end");
            let over = last + LATE / 1_000_000 + 1;
            if sweep {
                assert_eq!(rig.expire(over).len(), 1);
                assert!(rig.table.is_empty());
            }
            assert_eq!(rig.phase(packets[0], over), None, "{seconds} s");
            assert_eq!(rig.packet(packets[0], over), Ok(false), "a new flow");
            assert_eq!(rig.table.counters().expired(), 1);
        }
    }
}

#[test]
fn packets_keep_a_flow_alive_far_beyond_the_wheel() {
    let mut rig = Rig::of(10);
    rig.establish(CLIENT, 0);
    for n in 0..40 {
        let now = n * 300_000;
        assert_eq!(rig.expire(now), []);
        assert_eq!(rig.packet(Packet { flags: ACK, ..CLIENT }, now), Ok(true));
    }
    let last = 39 * 300_000;
    assert_eq!(rig.expire(last + 350_000), []);
    assert_eq!(rig.expire(last + 350_100), [(FlowPhase::Established, EndReason::Idle)]);
    assert_eq!(rig.table.next_deadline(), None);
}

#[test]
fn established_flows_survive_a_flood() {
    let mut rig = Rig::of(100);
    for port in 0..60 {
        rig.establish(Packet { port, ..CLIENT }, 0);
    }
    for n in 0..10_000_u16 {
        let protocol = if n % 2 == 0 { IpProtocol::TCP } else { IpProtocol::UDP };
        let flood = Packet { port: 1_000 + n, protocol, ..CLIENT };
        assert_eq!(rig.packet(flood, u64::from(n)), Ok(false));
        assert!(rig.table.len() <= 100);
    }
    for port in 0..60 {
        assert_eq!(rig.packet(Packet { port, flags: ACK, ..CLIENT }, 10_000), Ok(true));
    }
    let counters = *rig.table.counters();
    assert_eq!(counters.evicted(), 9_960);
    assert_eq!(counters.created, 100 + counters.evicted());
    assert_eq!(counters.half_flows, counters.evicted());
    for port in 60..100 {
        rig.establish(Packet { port, ..CLIENT }, 10_000);
    }
    assert_eq!(rig.packet(Packet { port: 500, ..CLIENT }, 10_000), Err(Refusal::Full));
    assert_eq!(rig.table.counters().refused_full, 1);
    // What has expired makes room without a sweep.
    assert_eq!(rig.packet(Packet { port: 500, ..CLIENT }, 400_000), Ok(false));
}

#[test]
fn the_least_recently_used_goes_first() {
    let mut rig = Rig::of(3);
    let [a, b, c, d] = [1, 2, 3, 4].map(|port| Packet { port, ..CLIENT });
    for (n, packet) in [a, b, c].into_iter().enumerate() {
        rig.packet(packet, 100 * n as u64).unwrap();
    }
    rig.packet(a, 1_000).unwrap();
    rig.packet(d, 1_100).unwrap();
    assert_eq!(rig.ended[0].key, b.key().0);
    assert_eq!((rig.ended[0].reason, rig.ended[0].phase), (EndReason::Evicted, FlowPhase::SynSeen));
}

#[test]
fn one_endpoint_cannot_use_up_another_s_quota() {
    let limits = FlowLimits { flows: 100, flows_per_endpoint: 10, ..FlowLimits::default() };
    let mut rig = Rig::new(limits, FlowTimeouts::default());
    let other = Packet { endpoint: 2, ..CLIENT };
    rig.packet(other, 0).unwrap();
    for port in 0..1_000 {
        rig.packet(Packet { port, ..CLIENT }, 1).unwrap();
    }
    assert_eq!(rig.table.len(), 11);
    assert!(rig.ended.iter().all(|flow| flow.key.endpoint() == EndpointId(1)));
    let mut rig = Rig::new(limits, FlowTimeouts::default());
    for port in 0..10 {
        rig.establish(Packet { port, ..CLIENT }, 0);
    }
    assert_eq!(rig.packet(Packet { port: 10, ..CLIENT }, 0), Err(Refusal::Quota));
    assert_eq!(rig.packet(other, 0), Ok(false));
    assert_eq!(rig.table.counters().refused_quota, 1);
}

#[test]
fn a_full_table_takes_from_the_flooded_endpoint_first() {
    let mut rig = Rig::of(10);
    let other = Packet { endpoint: 2, ..CLIENT };
    rig.packet(other, 0).unwrap();
    for port in 0..100 {
        rig.packet(Packet { port, ..CLIENT }, 100).unwrap();
    }
    assert_eq!(rig.phase(other, 100), Some(FlowPhase::SynSeen), "older, but another's");
    // An endpoint that has none to give gets one of another's.
    rig.packet(Packet { endpoint: 3, ..CLIENT }, 100).unwrap();
    assert_eq!(rig.table.len(), 10);
}

#[test]
fn endpoints_are_bounded() {
    let limits = FlowLimits { flows: 100, endpoints: 3, ..FlowLimits::default() };
    let mut rig = Rig::new(limits, FlowTimeouts::default());
    for endpoint in 1..=3 {
        rig.packet(Packet { endpoint, ..CLIENT }, 0).unwrap();
    }
    let fourth = Packet { endpoint: 4, ..CLIENT };
    assert_eq!(rig.packet(fourth, 0), Err(Refusal::Endpoints));
    assert_eq!(rig.packet(fourth, 31_000), Ok(false), "the others' flows have expired");
    assert_eq!(rig.table.len(), 1);
}

#[test]
fn a_table_of_one_flow_and_time_outs_of_zero() {
    let zero = Duration::ZERO;
    let timeouts = FlowTimeouts {
        tcp_half_open: zero,
        tcp_established: zero,
        tcp_closing: zero,
        tcp_closed: zero,
        udp: zero,
        icmp: zero,
        other: zero,
        unanswered: zero,
    };
    let mut rig = Rig::new(FlowLimits { flows: 1, ..FlowLimits::default() }, timeouts);
    for n in 0..1_000 {
        rig.packet(Packet { port: n, ..CLIENT }, u64::from(n) * 7).unwrap();
        assert_eq!(rig.table.len(), 1);
    }
    rig.establish(CLIENT, 10_000);
    assert_eq!(rig.packet(Packet { port: 5, ..CLIENT }, 10_000), Err(Refusal::Full));
    assert_eq!(rig.packet(Packet { port: 5, ..CLIENT }, 10_100), Ok(false));
    let counters = rig.table.counters();
    assert_eq!(counters.created, counters.expired() + counters.evicted() + 1);
}

#[test]
fn a_clock_that_jumps_back_ends_nothing() {
    let mut rig = Rig::of(10);
    rig.establish(CLIENT, 1_000_000);
    assert_eq!(rig.packet(Packet { flags: ACK, ..CLIENT }, 0), Ok(true));
    assert_eq!(rig.expire(349_000), []);
    assert_eq!(rig.expire(350_100), [(FlowPhase::Established, EndReason::Idle)]);
}

#[test]
fn what_is_used_again_is_new_when_the_old_one_is_closed() {
    let mut rig = Rig::of(10);
    rig.establish(CLIENT, 0);
    assert_eq!(rig.packet(CLIENT, 10), Ok(true), "not closed");
    assert_eq!(rig.packet(Packet { flags: ACK, cookie: 8, ..CLIENT }, 10), Ok(true), "not closed");
    rig.packet(Packet { flags: RST, ..CLIENT }, 20).unwrap();
    assert_eq!(rig.packet(Packet { flags: ACK, ..CLIENT }, 30), Ok(true));
    assert_eq!(rig.packet(CLIENT, 40), Ok(false), "a SYN");
    assert_eq!(rig.ended[0].reason, EndReason::Reused);
    rig.packet(Packet { flags: RST, ..CLIENT }, 50).unwrap();
    assert_eq!(rig.packet(Packet { flags: ACK, cookie: 9, ..CLIENT }, 60), Ok(false), "a cookie");
    assert_eq!(rig.table.counters().reused, 2);
}

#[test]
fn the_latest_envelope_of_each_direction_is_kept() {
    let mut rig = Rig::of(10);
    rig.packet(CLIENT, 0).unwrap();
    rig.packet(Packet { back: true, flags: SYN | ACK, cookie: 8, ..CLIENT }, 0).unwrap();
    rig.packet(Packet { flags: ACK, cookie: 9, ..CLIENT }, 0).unwrap();
    let (key, there) = CLIENT.key();
    let id = rig.get(&key, 0).unwrap();
    let flow = rig.table.flow(id).unwrap();
    for (direction, cookie) in [(there, 9), (there.reversed(), 8)] {
        let last = flow.last_envelope(direction).unwrap();
        assert_eq!(last.header(), &header(1, cookie)[..40]);
        assert_eq!(last.outer, outer(cookie as u16));
    }
    assert_eq!((flow.packets(there), flow.bytes(there)), (2, 200));
    assert_eq!((flow.packets(there.reversed()), flow.bytes(there.reversed())), (1, 100));
    assert_eq!((flow.first_seen(), flow.last_seen(), flow.opener()), (at(0), at(0), there));
}

#[test]
fn unusual_headers_are_kept_as_they_came_within_their_limit() {
    let mut options = aws_options(&[0, 0, 0, 0, 0, 0, 0, 1], &[3; 8], &[2; 4]);
    options.reverse();
    let inner = sample::ipv4(6, &sample::tcp(b""));
    let reversed = datagram(EtherType::IPV4, &options, &inner);
    let mut reserved = header(1, 7);
    reserved[7] = 0xff;
    for bytes in [&reversed, &reserved, &sample::many_options()] {
        let limits = FlowLimits { flows: 10, header_bytes: 440, ..FlowLimits::default() };
        let mut rig = Rig::new(limits, FlowTimeouts::default());
        for _ in 0..3 {
            rig.bytes(CLIENT, bytes, at(0)).unwrap();
        }
        let (key, there) = CLIENT.key();
        let id = rig.get(&key, 0).unwrap();
        let kept = bytes.len() - inner.len().min(bytes.len());
        let last = rig.table.flow(id).unwrap().last_envelope(there).unwrap();
        assert_eq!(last.header(), &bytes[..last.header().len()]);
        assert!(last.header().len() >= 40 && last.header().len() <= kept + 5);
        // No room for a fifth.
        for port in 1..=5 {
            rig.bytes(Packet { port, ..CLIENT }, bytes, at(0)).unwrap();
        }
        assert!(rig.table.counters().headers_dropped > 0);
        let last = Packet { port: 5, ..CLIENT };
        let id = rig.get(&last.key().0, 0).unwrap();
        assert_eq!(rig.table.flow(id).unwrap().last_envelope(there), None, "none, not a wrong one");
        // A usual one takes its place, and its room is free again.
        rig.packet(CLIENT, 0).unwrap();
        let id = rig.get(&key, 0).unwrap();
        assert_eq!(
            rig.table.flow(id).unwrap().last_envelope(there).unwrap().header(),
            &header(1, 7)[..40]
        );
        rig.bytes(last, bytes, at(0)).unwrap();
        let id = rig.get(&last.key().0, 0).unwrap();
        assert!(rig.table.flow(id).unwrap().last_envelope(there).is_some());
    }
}

#[test]
fn icmp_errors_neither_open_nor_refresh_a_flow() {
    let mut rig = Rig::of(10);
    let bytes = header(1, 7);
    let envelope = Envelope::parse(&bytes, &Profile::AWS).unwrap();
    let outer = outer(1);
    let (key, direction) = CLIENT.key();
    let error = Observation {
        direction: direction.reversed(),
        relation: Relation::IcmpError,
        length: 56,
        flags: None,
        outer: &outer,
        envelope: &envelope,
    };
    let probe = rig.table.probe(&key);
    let refused = rig.table.insert(&probe, &error, at(0), 5, &mut |_| ()).unwrap_err();
    assert_eq!((refused.why, refused.state), (Refusal::IcmpError, 5));
    rig.packet(CLIENT, 0).unwrap();
    let id = rig.table.observe(&probe, &error, at(29_000), &mut |_| ()).unwrap();
    let flow = rig.table.flow(id).unwrap();
    assert_eq!((flow.last_seen(), flow.packets(direction.reversed())), (at(0), 0));
    assert_eq!(rig.table.observe(&probe, &error, at(31_000), &mut |_| ()), None);
}

#[test]
fn states_come_back_with_the_reason() {
    let mut rig = Rig::of(10);
    rig.packet(CLIENT, 0).unwrap();
    let id = rig.get(&CLIENT.key().0, 0).unwrap();
    *rig.table.state_mut(id).unwrap() = 42;
    let flow = rig.table.remove(id).unwrap();
    assert_eq!((flow.state, flow.reason, flow.is_half()), (42, EndReason::Removed, true));
    assert!(rig.table.remove(id).is_none() && rig.table.flow(id).is_none());
    rig.packet(CLIENT, 0).unwrap();
    assert!(rig.table.state_mut(id).is_none(), "the name of a flow is not that of the next one");
    for port in 0..5 {
        rig.packet(Packet { port, ..CLIENT }, 0).unwrap();
    }
    rig.ended.clear();
    rig.table.drain(&mut |flow| rig.ended.push(flow));
    assert_eq!(rig.ended.len(), 6);
    assert!(rig.table.is_empty() && rig.ended.iter().all(|flow| flow.reason == EndReason::Drained));
    assert_eq!(rig.packet(CLIENT, 0), Ok(false));
}

#[test]
fn a_sweep_can_be_cut_into_pieces() {
    let mut rig = Rig::of(1_000);
    for port in 0..1_000 {
        rig.packet(Packet { port, ..CLIENT }, 0).unwrap();
    }
    let deadline = rig.table.next_deadline().unwrap();
    assert!(deadline > at(30_000) && deadline <= at(30_100));
    let mut pieces = 0;
    while rig.table.expire(at(40_000), 64, &mut |_| ()) == 64 {
        pieces += 1;
    }
    assert_eq!((pieces, rig.table.len()), (15, 0));
}

/// Endpoint, attachment and load balancer are kept once for many flows, as long as there is room for that.
#[test]
fn envelopes_of_many_attachments_are_told_apart() {
    let inner = sample::ipv4(6, &sample::tcp(b""));
    let through = |attachment: u16| {
        let attachment = u64::from(attachment).to_be_bytes();
        let endpoint = 1_u64.to_be_bytes();
        datagram(EtherType::IPV4, &aws_options(&endpoint, &attachment, &[0, 0, 0, 7]), &inner)
    };
    for (header_bytes, dropped) in [(1 << 20, 0), (0, 35)] {
        let limits = FlowLimits { flows: 100, endpoints: 1, header_bytes, ..FlowLimits::default() };
        let mut rig = Rig::new(limits, FlowTimeouts::default());
        for round in 0..3_u64 {
            let now = round * 100_000;
            rig.expire(now);
            let before = rig.table.counters().headers_dropped;
            for port in 0..100 {
                rig.bytes(Packet { port, ..CLIENT }, &through(port), at(now)).unwrap();
            }
            assert_eq!(rig.table.counters().headers_dropped - before, dropped, "round {round}");
            for port in 0..100 {
                let (key, there) = Packet { port, ..CLIENT }.key();
                let id = rig.get(&key, now).unwrap();
                let last = rig.table.flow(id).unwrap().last_envelope(there);
                assert!(last.is_some() || u64::from(port) >= 100 - dropped);
                if let Some(last) = last {
                    assert_eq!((last.header(), last.outer), (&through(port)[..40], outer(7)));
                }
            }
        }
    }
}

/// Large enough that fetching does something.
#[test]
fn what_was_fetched_may_be_out_of_date() {
    let mut rig = Rig::of(5_000);
    for port in 0..5_000 {
        rig.packet(Packet { port, ..CLIENT }, 0).unwrap();
    }
    for port in 0..5_000 {
        let key = Packet { port, ..CLIENT }.key().0;
        let mut probes = [rig.table.probe(&key), rig.table.probe(&CLIENT.key().0)];
        rig.table.fetch(&mut probes);
        let id = rig.table.get(&probes[0], at(0)).unwrap();
        assert_eq!(*rig.table.flow(id).unwrap().key(), key);
        // Its slot goes to another flow, behind the probe's back.
        rig.table.remove(id).unwrap();
        rig.packet(Packet { port: 10_000 + port, ..CLIENT }, 0).unwrap();
        assert_eq!(rig.table.get(&probes[0], at(0)), None);
    }
}

// The model: a map, every rule in its plainest form.

/// Endpoint, protocol and client's port.
type Who = (u64, u8, u16);

#[derive(Clone, Debug)]
struct Modelled {
    packet: Packet,
    opened_back: bool,
    phase: FlowPhase,
    last: u64,
    /// When it went to the end of its list.
    moved: u64,
    fins: [bool; 2],
    counts: [u64; 2],
    cookies: [u32; 2],
}

struct Model {
    flows: BTreeMap<Who, Modelled>,
    limit: usize,
    quota: usize,
    timeouts: FlowTimeouts,
    raw: Option<u64>,
    now: u64,
    moves: u64,
}

impl Model {
    fn advance(&mut self, raw: u64) {
        let latest = *self.raw.get_or_insert(raw);
        if raw >= latest {
            self.now += raw - latest;
            self.raw = Some(raw);
        } else if latest - raw > 1_000 {
            self.raw = Some(raw);
        }
    }

    fn tick(millis: u64) -> u64 {
        (millis * 1_000_000) >> 24
    }

    fn is_over(&self, flow: &Modelled) -> bool {
        let t = &self.timeouts;
        let timeout = match flow.phase {
            FlowPhase::SynSeen | FlowPhase::SynAnswered | FlowPhase::Midstream => t.tcp_half_open,
            FlowPhase::Established => t.tcp_established,
            FlowPhase::Closing => t.tcp_closing,
            FlowPhase::Closed => t.tcp_closed,
            FlowPhase::Unanswered => t.unanswered,
            FlowPhase::Answered => t.udp,
        };
        let ticks = (timeout.as_nanos() as u64).div_ceil(1 << 24);
        Self::tick(self.now) > Self::tick(flow.last) + ticks
    }

    /// Half-open, closed, unanswered.
    fn class(phase: FlowPhase) -> Option<u8> {
        Some(match phase {
            FlowPhase::SynSeen | FlowPhase::SynAnswered | FlowPhase::Midstream => 0,
            FlowPhase::Closed => 1,
            FlowPhase::Unanswered => 2,
            _ => return None,
        })
    }

    fn victim(&self, endpoint: u64) -> Option<Who> {
        let heads = (0..3).filter_map(|class| {
            self.flows
                .iter()
                .filter(|(key, flow)| key.0 == endpoint && Self::class(flow.phase) == Some(class))
                .min_by_key(|(_, flow)| flow.moved)
        });
        heads.min_by_key(|(_, flow)| Self::tick(flow.last)).map(|(key, _)| *key)
    }

    /// Known, or taken in, or refused; and who was evicted.
    fn packet(&mut self, packet: Packet, raw: u64) -> (Result<bool, Refusal>, Option<Who>) {
        self.advance(raw);
        let now = self.now;
        self.flows = self
            .flows
            .iter()
            .filter(|(_, flow)| !self.is_over(flow))
            .map(|(key, flow)| (*key, flow.clone()))
            .collect();
        let key = (packet.endpoint, packet.protocol.0, packet.port);
        let side = usize::from(packet.back);
        let tcp = packet.protocol == IpProtocol::TCP;
        let flags = packet.flags;
        let (syn, ack, rst, fin) =
            (flags.contains(SYN), flags.contains(ACK), flags.contains(RST), flags.contains(FIN));
        if let Some(flow) = self.flows.get_mut(&key) {
            let known = if flow.counts[side] > 0 { side } else { 1 - side };
            let again = (tcp && syn && !ack && !rst) || packet.cookie != flow.cookies[known];
            if flow.phase == FlowPhase::Closed && again {
                self.flows.remove(&key);
            } else {
                flow.counts[side] += 1;
                flow.cookies[side] = packet.cookie;
                flow.fins[side] |= tcp && fin;
                let answer = packet.back != flow.opened_back;
                let both = match flow.fins {
                    [false, false] => FlowPhase::Established,
                    [true, true] => FlowPhase::Closed,
                    _ => FlowPhase::Closing,
                };
                let before = flow.phase;
                flow.phase = match before {
                    FlowPhase::Unanswered if answer => FlowPhase::Answered,
                    FlowPhase::Unanswered | FlowPhase::Answered | FlowPhase::Closed => before,
                    _ if rst => FlowPhase::Closed,
                    FlowPhase::SynSeen if answer && syn => FlowPhase::SynAnswered,
                    FlowPhase::SynAnswered if !answer && ack && !syn => both,
                    FlowPhase::Midstream if answer && ack && !syn => both,
                    FlowPhase::Established | FlowPhase::Closing => both,
                    _ => before,
                };
                if before != flow.phase || Self::tick(flow.last) != Self::tick(now) {
                    self.moves += 1;
                    flow.moved = self.moves;
                }
                flow.last = now;
                return (Ok(true), None);
            }
        }
        let own = self.flows.keys().filter(|key| key.0 == packet.endpoint).count();
        let mut evicted = None;
        if own >= self.quota {
            evicted = self.victim(packet.endpoint);
            if evicted.is_none() {
                return (Err(Refusal::Quota), None);
            }
        } else if self.flows.len() >= self.limit {
            evicted = self.victim(packet.endpoint).or_else(|| self.victim(3 - packet.endpoint));
            if evicted.is_none() {
                return (Err(Refusal::Full), None);
            }
        }
        if let Some(victim) = evicted {
            self.flows.remove(&victim);
        }
        let phase = match (tcp, rst, syn, ack) {
            (false, ..) => FlowPhase::Unanswered,
            (_, true, ..) => FlowPhase::Closed,
            (_, _, true, true) => FlowPhase::SynAnswered,
            (_, _, true, false) => FlowPhase::SynSeen,
            _ => FlowPhase::Midstream,
        };
        self.moves += 1;
        let mut flow = Modelled {
            packet,
            opened_back: packet.back != (phase == FlowPhase::SynAnswered),
            phase,
            last: now,
            moved: self.moves,
            fins: [false; 2],
            counts: [0; 2],
            cookies: [0; 2],
        };
        flow.fins[side] = tcp && fin;
        flow.counts[side] = 1;
        flow.cookies[side] = packet.cookie;
        self.flows.insert(key, flow);
        (Ok(false), evicted)
    }
}

fn any_packet() -> impl Strategy<Value = Packet> {
    let flags = prop_oneof![
        4 => Just(SYN),
        3 => Just(SYN | ACK),
        6 => Just(ACK),
        2 => Just(ACK | FIN),
        1 => Just(RST),
        1 => (0..0x20_u16).prop_map(TcpFlags),
    ];
    let protocol = prop_oneof![3 => Just(IpProtocol::TCP), 1 => Just(IpProtocol::UDP)];
    (1..3_u64, protocol, 0..5_u16, any::<bool>(), flags, 7..9_u32).prop_map(
        |(endpoint, protocol, port, back, flags, cookie)| Packet {
            endpoint,
            protocol,
            port,
            back,
            flags,
            cookie,
        },
    )
}

fn step() -> impl Strategy<Value = (Packet, i64, bool)> {
    let time = prop_oneof![
        10 => 0..5_i64,
        6 => 0..400_i64,
        2 => 0..3_000_i64,
        1 => 0..200_000_i64,
        1 => -900..0_i64,
        1 => -100_000..-1_000_i64,
    ];
    (any_packet(), time, prop::bool::weighted(0.2))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(600))]

    #[test]
    fn the_table_does_what_the_model_does(
        limit in 1..8_usize,
        quota in prop_oneof![Just(usize::MAX), 0..6_usize],
        millis in prop::array::uniform6(prop_oneof![3 => 0..600_u64, 1 => 0..100_000_u64]),
        steps in prop::collection::vec(step(), 1..250),
    ) {
        let [half_open, established, closing, closed, udp, unanswered] = millis.map(Duration::from_millis);
        let timeouts = FlowTimeouts {
            tcp_half_open: half_open,
            tcp_established: established,
            tcp_closing: closing,
            tcp_closed: closed,
            udp,
            unanswered,
            ..FlowTimeouts::default()
        };
        let limits = FlowLimits { flows: limit, flows_per_endpoint: quota, endpoints: 2, ..FlowLimits::default() };
        let mut rig = Rig::new(limits, timeouts);
        let mut model = Model { flows: BTreeMap::new(), limit, quota, timeouts, raw: None, now: 0, moves: 0 };
        let mut raw = 1_000_000_i64;
        for (packet, time, sweep) in steps {
            raw = (raw + time).max(0);
            let now = raw as u64;
            let found = rig.packet(packet, now);
            let (expected, evicted) = model.packet(packet, now);
            prop_assert_eq!(found, expected, "{:?} at {}", packet, now);
            let victims: Vec<_> = rig.ended.drain(..).filter(|flow| flow.reason == EndReason::Evicted).map(|flow| flow.key).collect();
            let expected: Vec<_> = evicted.iter().map(|(endpoint, protocol, port)| {
                Packet { endpoint: *endpoint, protocol: IpProtocol(*protocol), port: *port, ..packet }.key().0
            }).collect();
            prop_assert_eq!(victims, expected);
            if sweep {
                rig.expire(now);
                prop_assert_eq!(rig.table.len(), model.flows.len());
            }
            for flow in model.flows.values() {
                let (key, direction) = Packet { back: false, ..flow.packet }.key();
                let id = rig.get(&key, now).expect("a flow of the model");
                let found = rig.table.flow(id).unwrap();
                prop_assert_eq!(found.phase(), flow.phase);
                prop_assert_eq!([direction, direction.reversed()].map(|way| found.packets(way)), flow.counts);
                prop_assert_eq!(found.opener() != direction, flow.opened_back);
            }
            let counters = *rig.table.counters();
            prop_assert_eq!(
                counters.created,
                rig.table.len() as u64 + counters.expired() + counters.evicted() + counters.reused,
            );
        }
    }
}
