//! Limits and anomalies through an engine: what is beyond a limit, or odd, meets what its rule says.
#![cfg(all(feature = "std", feature = "protocols"))]
#![allow(missing_docs)]

mod support;

use std::sync::Arc;

use gwlb_geneve::Timestamp;
use gwlb_geneve::engine::{Disposition, Engine, Event as Told, EventKind};
use gwlb_geneve::flow::{EndpointGroups, FlowSeed};
use gwlb_geneve::gwlb::{Envelope, Profile};
use gwlb_geneve::inspect::{Beginning, Context, Effects, Inspector, Packet, ParsedPacket, Verdict};
use gwlb_geneve::inspectors::anomaly::{Action, AnomalyInspector, AnomalyRules, Event};
use gwlb_geneve::inspectors::rate::{self, Of, Per, RateInspector, RateLimits, RateRule};
use gwlb_geneve::packet::Checksum;
use gwlb_geneve::protocol::http::Anomaly;
use support::traffic::*;

fn limits(rules: &[RateRule]) -> Arc<RateLimits> {
    Arc::new(RateLimits::new(rules.to_vec(), 4_096, FlowSeed::from_bytes([3; 32])).unwrap())
}

fn limited(limits: &Arc<RateLimits>) -> Engine<RateInspector> {
    let limits = limits.clone();
    Engine::new(settings(), move || RateInspector::new(limits.clone())).unwrap()
}

fn watched(rules: AnomalyRules) -> Engine<AnomalyInspector> {
    let rules = Arc::new(rules);
    Engine::new(settings(), move || AnomalyInspector::new(rules.clone())).unwrap()
}

fn alerts(events: &[Told]) -> Vec<String> {
    let alerts = events.iter().filter_map(|event| match &event.what {
        EventKind::Alert(alert) => Some(alert.name.to_string()),
        _ => None,
    });
    alerts.collect()
}

/// What an inspector says of a flow's first packet.
fn inspected(inspector: &mut RateInspector, datagram: &[u8], now: Timestamp) -> Verdict {
    let envelope = Envelope::parse(datagram, &Profile::AWS).unwrap();
    let parsed = ParsedPacket::of(envelope, &EndpointGroups::default()).unwrap();
    let packet = Packet::new(&parsed, parsed.flow().direction, Beginning::Seen);
    let mut effects = Effects::default();
    let mut cx = Context::new(now, &mut effects);
    let mut flow = inspector.open(&packet, &mut cx).unwrap();
    inspector.packet(&mut flow, &packet, &mut cx)
}

/// A segment over IPv4 without options, its checksums put right.
fn with_checksums(mut packet: Vec<u8>) -> Vec<u8> {
    packet[10..12].fill(0);
    let sum = Checksum::of(&packet[..20]);
    packet[10..12].copy_from_slice(&sum.to_be_bytes());
    packet[36..38].fill(0);
    let length = packet.len() as u32 - 20;
    let covered = [&packet[12..20], &length.to_be_bytes(), &[0, 0, 0, 6], &packet[20..]].concat();
    packet[36..38].copy_from_slice(&Checksum::of(&covered).to_be_bytes());
    packet
}

/// Of two workers, each with an engine of its own.
#[test]
fn a_limit_is_that_of_the_appliance() {
    let limits = limits(&[RateRule::new(Per::Source, Of::Packets, 10)]);
    let mut engines = [limited(&limits), limited(&limits)];
    let mut passed = 0;
    for n in 0..40_u16 {
        let (client, _) = sides(&format!("10.1.0.10:{}", 1_000 + n), "10.2.0.20:53");
        let sent = send(&mut engines[usize::from(n % 2)], at(1), &client, &client.udp(b"x"));
        passed += u32::from(sent.is_forwarded());
        if !sent.is_forwarded() {
            sent.assert_refused("rate-packets");
            assert_eq!(sent.outcome.disposition, Disposition::Drop);
        }
    }
    assert_eq!(passed, 10);
    let (other, _) = sides("10.1.0.11:1000", "10.2.0.20:53");
    send(&mut engines[0], at(1), &other, &other.udp(b"x")).assert_forwarded();
    // Half a second later there are five more.
    let (client, _) = sides("10.1.0.10:1000", "10.2.0.20:53");
    let again = (0..20).filter(|_| {
        send(&mut engines[1], at_millis(1_500), &client, &client.udp(b"x")).is_forwarded()
    });
    assert_eq!(again.count(), 5);
}

#[test]
fn people_are_told_once_a_second_who_it_is_and_how_many_there_were() {
    let rule = RateRule::new(Per::Source, Of::Packets, 1).name("trickle").prefixes(24, 64);
    let mut engine = limited(&limits(&[rule.action(rate::Action::Alert)]));
    let (client, _) = sides("10.1.0.10:1000", "10.2.0.20:53");
    let mut told = Vec::new();
    for n in 0..30 {
        let sent = send(&mut engine, at_millis(n * 50), &client, &client.udp(b"x"));
        sent.assert_forwarded();
        told.extend(sent.events);
    }
    let texts = told.iter().filter_map(|event| match &event.what {
        EventKind::Alert(alert) => Some(alert.message.to_string()),
        _ => None,
    });
    assert_eq!(
        texts.collect::<Vec<_>>(),
        [
            "source 10.1.0.0/24 has more than 1 packets a second and source, 1 at once (trickle): passed \
             UDP 10.1.0.10:1000 -> 10.2.0.20:53; 0 more not told of",
            "source 10.1.0.0/24 has more than 1 packets a second and source, 1 at once (trickle): passed \
             UDP 10.1.0.10:1000 -> 10.2.0.20:53; 18 more not told of",
        ]
    );
}

/// A flow that was kept from beginning begins as soon as there is room; one that has begun is not asked again.
#[test]
fn new_flows() {
    let mut engine = limited(&limits(&[RateRule::new(Per::Source, Of::NewFlows, 1)]));
    let [(first, back), (second, _)] =
        [1_000, 1_001].map(|port| sides(&format!("10.1.0.10:{port}"), "10.2.0.20:443"));
    handshake(&mut engine, at(0), &(first, back));
    let syn = second.tcp(SYN, 999, 0, &[]);
    send(&mut engine, at(0), &second, &syn).assert_refused("rate-new-flows");
    send(&mut engine, at_millis(500), &second, &syn).assert_refused("rate-new-flows");
    for n in 0..20 {
        send(&mut engine, at(0), &first, &first.tcp(ACK, 1_000 + n, 5_000, b"x"))
            .assert_forwarded();
    }
    send(&mut engine, at(1), &second, &syn).assert_forwarded();
}

#[test]
fn syns_of_ipv6_hosts_count_by_their_link() {
    let rule = RateRule::new(Per::Source, Of::Syns, 5).action(rate::Action::Reject);
    let mut engine = limited(&limits(&[rule]));
    let sent = (0..8).map(|n| {
        let (client, _) = sides(&format!("[2001:db8::{n:x}]:4000"), "[2001:db8:1::1]:443");
        send(&mut engine, at(0), &client, &client.tcp(SYN, 999, 0, &[]))
    });
    let sent: Vec<_> = sent.collect();
    assert!(sent[..5].iter().all(Sent::is_forwarded));
    for sent in &sent[5..] {
        sent.assert_refused("rate-syns");
        assert_eq!(sent.outcome.disposition, Disposition::Reject);
    }
    let (client, _) = sides("[2001:db8:0:1::1]:4000", "[2001:db8:1::1]:443");
    send(&mut engine, at(0), &client, &client.tcp(SYN, 999, 0, &[])).assert_forwarded();
}

#[test]
fn bytes_of_an_endpoint_in_both_directions() {
    let rule = RateRule::new(Per::Endpoint, Of::Bytes, 10_000).both_ways();
    let mut engine = limited(&limits(&[rule]));
    let (client, server) = sides("10.1.0.10:1000", "10.2.0.20:53");
    send(&mut engine, at(0), &client, &client.udp(&[0; 972])).assert_forwarded();
    let answers = (0..20)
        .filter(|_| send(&mut engine, at(0), &server, &server.udp(&[0; 972])).is_forwarded());
    // Less than 10,000: a part is set apart for what workers have in hand.
    assert_eq!(answers.count(), 8);
    let (other, _) = sides("10.1.0.11:1000", "10.2.0.20:53");
    let sent = send(&mut engine, at(0), &other, &other.udp(b""));
    sent.assert_refused("rate-bytes");
    let other = other.through(2);
    send(&mut engine, at(0), &other, &other.udp(b"")).assert_forwarded();
}

/// Not a byte more, however many there are.
#[test]
fn sources_take_no_memory() {
    let limits = limits(&[RateRule::new(Per::Source, Of::Packets, 1_000)]);
    let sources: u32 = if cfg!(debug_assertions) { 20_000 } else { 10_000_000 };
    let (client, _) = sides("10.1.0.10:1000", "10.2.0.20:53");
    let mut inspector = RateInspector::new(limits.clone());
    assert!(inspected(&mut inspector, &client.envelope(&client.udp(b"x")), at(0)).is_pass());
    let payload = client.envelope(&client.udp(b"x"));
    let mut envelope = payload.clone();
    let start = payload.len() - client.udp(b"x").len() + 12;
    let measured = allocation_counter::measure(|| {
        for source in 0..sources {
            envelope[start..start + 4].copy_from_slice(&source.to_be_bytes());
            assert!(inspected(&mut inspector, &envelope, at(1)).is_pass());
        }
    });
    assert_eq!((measured.count_max, measured.bytes_max), (0, 0));
}

#[test]
fn an_odd_mix_of_flags_is_dropped_and_told_once() {
    let mut engine = watched(AnomalyRules::default().with(Event::TcpXmas, Action::Drop));
    let (client, server) = pair();
    handshake(&mut engine, at(0), &(client, server));
    let xmas = client.tcp(0x29, 1_000, 5_000, &[]);
    let mut names = Vec::new();
    for n in 0..3 {
        let sent = send(&mut engine, at(n), &client, &xmas);
        assert!(!sent.is_forwarded(), "{}", sent.outcome);
        names.extend(alerts(&sent.events));
    }
    assert!(names.len() <= 1, "{names:?}");
    let sent = send(&mut engine, at(4), &client, &client.tcp(ACK, 1_000, 5_000, b"x"));
    sent.assert_forwarded();
}

/// Of flows whose bytes nobody follows: the engine itself discards such segments where it does.
fn of_headers(action: Action) -> AnomalyRules {
    let events = Event::ALL.iter().filter(|event| !event.is_of_messages());
    events.fold(AnomalyRules::all(Action::Ignore), |rules, event| rules.with(*event, action))
}

#[test]
fn every_odd_header_has_its_name() {
    type Change = fn(&mut Vec<u8>);
    let changes: &[(&str, Change)] = &[
        ("tcp-null", |packet| packet[33] = 0),
        ("tcp-xmas", |packet| packet[33] = 0x29),
        ("tcp-syn-fin", |packet| packet[33] = 3),
        ("tcp-syn-rst", |packet| packet[33] = 6),
        ("tcp-rst-fin", |packet| packet[33] = 5),
        ("tcp-fin-without-ack", |packet| packet[33] = 1),
        ("tcp-without-ack", |packet| packet[33] = 8),
        ("tcp-reserved-bits", |packet| packet[32] |= 2),
        ("tcp-urgent-pointer", |packet| packet[39] = 1),
        ("ip-reserved-bit", |packet| packet[6] |= 0x80),
        ("ttl-low", |packet| packet[8] = 1),
        ("ttl-changed", |packet| packet[8] = 200),
    ];
    for (name, change) in changes {
        let mut engine = watched(of_headers(Action::Alert));
        let (client, server) = pair();
        handshake(&mut engine, at(0), &(client, server));
        let mut packet = client.tcp(ACK, 1_000, 5_000, b"x");
        change(&mut packet);
        let packet = with_checksums(packet);
        let sent = send(&mut engine, at(1), &client, &packet);
        let names = alerts(&sent.events);
        assert!(names.iter().any(|found| found == name), "{name}: {names:?} {}", sent.outcome);
        assert!(names.len() <= 2, "{name}: {names:?}");
        assert!(alerts(&send(&mut engine, at(2), &client, &packet).events).is_empty(), "{name}");
    }
}

#[test]
fn odd_ends_and_fragments() {
    let first = |client: &str, server: &str| {
        let mut engine = watched(of_headers(Action::Alert));
        let (client, _) = sides(client, server);
        alerts(&send(&mut engine, at(0), &client, &client.udp(b"x")).events)
    };
    assert_eq!(first("10.0.0.1:7", "10.0.0.1:7"), ["land"]);
    assert_eq!(first("10.0.0.1:7", "10.0.0.1:8"), [""; 0]);
    assert_eq!(first("10.0.0.1:0", "10.0.0.2:8"), ["port-zero"]);
    assert_eq!(first("127.0.0.1:7", "10.0.0.2:8"), ["source-invalid"]);
    assert_eq!(first("255.255.255.255:7", "10.0.0.2:8"), ["source-invalid"]);
    assert_eq!(first("[ff02::1]:7", "[2001:db8::1]:8"), ["source-invalid"]);
    assert_eq!(first("10.0.0.2:7", "239.1.1.1:8"), [""; 0]);
    assert_eq!(first("10.0.0.2:7", "127.0.0.1:8"), ["destination-invalid"]);

    let mut engine = watched(of_headers(Action::Alert));
    let (client, _) = sides("10.0.0.1:7", "10.0.0.2:8");
    let parts = fragments(&client.udp(&[7; 600]), 5, 64);
    let sent = send(&mut engine, at(0), &client, &parts[0]);
    assert_eq!(
        alerts(&sent.events),
        ["fragment-tiny", "fragment-dont-fragment"][..1],
        "{}",
        sent.outcome
    );
    let sent = send(&mut engine, at(0), &client, &parts[0]);
    assert_eq!(alerts(&sent.events), ["fragment-first-twice"]);
}

/// A client that says something, and which events there are of it.
fn said(rules: AnomalyRules, server: &str, words: &[u8]) -> (Vec<String>, bool) {
    let mut engine = watched(rules);
    let (client, server) = sides("10.1.0.10:40000", server);
    handshake(&mut engine, at(0), &(client, server));
    let sent = send(&mut engine, at(1), &client, &client.tcp(ACK, 1_000, 5_000, words));
    (alerts(&sent.events), sent.is_forwarded())
}

const GET: &[u8] = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n";

#[test]
fn protocols_in_unexpected_places() {
    let said = |server, words| said(AnomalyRules::default(), server, words).0;
    assert_eq!(said("10.2.0.20:80", GET), [""; 0]);
    assert_eq!(said("10.2.0.20:443", GET), ["http-elsewhere", "not-tls"]);
    assert_eq!(said("10.2.0.20:22", GET), ["http-elsewhere"]);
    let ssh = b"SSH-2.0-OpenSSH_9.6 and more\r\n";
    assert_eq!(said("10.2.0.20:22", ssh), [""; 0]);
    // Words at port 80 are taken for HTTP/0.9, and said to be odd.
    assert!(said("10.2.0.20:80", ssh).contains(&"http-http09".into()));
    assert_eq!(said("10.2.0.20:80", &[0x10; 30]), ["not-http"]);
    let mut hello = vec![22, 3, 1, 0, 45, 1, 0, 0, 41, 3, 3];
    hello.extend([7; 32]);
    hello.extend([0, 0, 2, 0x13, 1, 1, 0]);
    assert_eq!(said("10.2.0.20:443", &hello), [""; 0]);
    assert_eq!(said("10.2.0.20:80", &hello), ["tls-elsewhere", "not-http"]);

    let mut engine = watched(AnomalyRules::default().with(Event::NotDns, Action::Drop));
    let (client, _) = sides("10.1.0.10:40000", "10.2.0.20:53");
    let sent = send(&mut engine, at(0), &client, &client.udp(b"a tunnel"));
    assert!(alerts(&sent.events).contains(&"not-dns".into()), "{:?}", sent.events);
    assert!(!sent.is_forwarded());
}

#[test]
fn anomalies_of_messages_go_under_their_names() {
    let smuggled = b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n";
    let rules = AnomalyRules::default();
    let (names, _) = said(rules.clone(), "10.2.0.20:80", smuggled);
    assert!(names.contains(&"http-content-length-conflict".into()), "{names:?}");
    let rules = rules.with_http(Anomaly::HostMissing, Action::Reject);
    let (names, is_passed) = said(rules, "10.2.0.20:80", b"GET / HTTP/1.1\r\n\r\n");
    assert_eq!((&names[..], is_passed), (&["http-host-missing".to_owned()][..], false));
    let (names, is_passed) = said(AnomalyRules::all(Action::Ignore), "10.2.0.20:443", smuggled);
    assert_eq!((names, is_passed), (vec![], true));
}

/// Who ignores what is in messages does not pay for following flows.
#[test]
fn headers_alone_need_no_streams() {
    for (rules, followed) in [(of_headers(Action::Alert), 0), (AnomalyRules::default(), 1)] {
        let mut engine = watched(rules);
        handshake(&mut engine, at(0), &pair());
        assert_eq!(engine.streams().connections, followed);
    }
}
