//! What is kept as evidence: which packets are marked, and what their files say.
#![cfg(all(feature = "capture", feature = "std"))]

mod support;

use std::collections::HashSet;
use std::sync::{Arc, Mutex};

use gwlb_geneve::capture::Reader;
use gwlb_geneve::engine::*;
use gwlb_geneve::flow::FlowLimits;
use gwlb_geneve::gwlb::Outer;
use gwlb_geneve::inspect::*;
use gwlb_geneve::inspectors::access::{self, Rule};
use gwlb_geneve::inspectors::tap::{TapInspector, TapRules};
use gwlb_geneve::observe::evidence::{Evidence, EvidenceSettings};
use gwlb_geneve::runtime::{Frame, Frames, Replay};
use support::traffic::*;

/// Alerts of a packet's word, and drops what has one; says of each flow that ends whether there was an alert.
struct Words(Arc<Mutex<Vec<bool>>>);

impl Inspector for Words {
    type Flow = ();
    const INTEREST: Interest = Interest::PACKETS.and(Interest::END);

    fn name(&self) -> &str {
        "words"
    }

    fn open(&mut self, _: &Packet<'_>, _: &mut Context<'_>) -> Option<()> {
        Some(())
    }

    fn packet(&mut self, (): &mut (), packet: &Packet<'_>, cx: &mut Context<'_>) -> Verdict {
        let severity = match packet.payload() {
            b"note" => Severity::Notice,
            b"warn" => Severity::Warning,
            b"die" => Severity::Critical,
            _ => return Verdict::PASS,
        };
        cx.alert(Alert {
            name: "words".into(),
            message: "heard \u{1b}one".into(),
            severity,
            rule: None,
        });
        match severity {
            Severity::Critical => Verdict::drop(Reason::new("word")).for_flow(),
            _ => Verdict::PASS,
        }
    }

    fn close(&mut self, (): (), _: CloseReason, cx: &mut Context<'_>) {
        self.0.lock().unwrap().push(cx.is_alerted());
    }
}

fn engine(capture_alerts: Option<Severity>) -> (Engine<Words>, Arc<Mutex<Vec<bool>>>) {
    let told = Arc::new(Mutex::new(Vec::new()));
    let make = Arc::clone(&told);
    let settings = Settings { capture_alerts, ..settings() };
    (Engine::new(settings, move || Words(make.clone())).unwrap(), told)
}

#[test]
fn an_alert_has_its_flow_kept_where_that_is_said() {
    for (least, expected) in [
        (None, [false; 3]),
        (Some(Severity::Info), [true; 3]),
        (Some(Severity::Warning), [false, true, true]),
        (Some(Severity::Critical), [false, false, true]),
    ] {
        for (word, expected) in ["note", "warn", "die"].into_iter().zip(expected) {
            let (mut engine, _) = engine(least);
            let (client, server) = pair();
            let before = send(&mut engine, at(0), &client, &client.udp(b"before"));
            assert!(!before.outcome.capture);
            let heard = send(&mut engine, at(1), &client, &client.udp(word.as_bytes()));
            assert_eq!(heard.outcome.capture, expected, "{least:?} {word}");
            // Both ways from here on, also where everything is dropped, and no other flow.
            let answer = send(&mut engine, at(2), &server, &server.udp(b"answer"));
            assert_eq!(answer.outcome.capture, expected, "{least:?} {word}");
            assert_eq!(answer.outcome.disposition.is_forward(), word != "die");
            let (other, _) = sides("10.1.0.77:40000", "10.2.0.20:53");
            assert!(!send(&mut engine, at(3), &other, &other.udp(b"other")).outcome.capture);
        }
    }
}

#[test]
fn a_packet_without_room_is_kept_too() {
    let told = Arc::new(Mutex::new(Vec::new()));
    let make = Arc::clone(&told);
    let flows = FlowLimits { flows: 1, ..Default::default() };
    let settings = Settings { flows, capture_alerts: Some(Severity::Info), ..settings() };
    let mut engine = Engine::new(settings, move || Words(make.clone())).unwrap();
    handshake(&mut engine, at(0), &pair());
    let (other, _) = sides("10.1.0.11:40000", "10.2.0.20:53");
    let heard = send(&mut engine, at(0), &other, &other.udp(b"die"));
    assert_eq!(heard.outcome.exception, Some(Exception::FlowTableFull));
    assert!(heard.outcome.capture && !heard.outcome.disposition.is_forward());
    assert_eq!(*told.lock().unwrap(), [true]);
}

#[test]
fn who_closes_a_flow_knows_whether_there_was_an_alert() {
    let (mut engine, told) = engine(None);
    let (quiet, _) = sides("10.1.0.10:40000", "10.2.0.20:53");
    let (loud, _) = sides("10.1.0.11:40000", "10.2.0.20:53");
    let (dead, _) = sides("10.1.0.12:40000", "10.2.0.20:53");
    for (side, words) in [(&quiet, "hush"), (&loud, "note"), (&dead, "die")] {
        send(&mut engine, at(0), side, &side.udp(words.as_bytes()));
    }
    assert_eq!(*told.lock().unwrap(), [true], "a flow that is dropped is over");
    engine.drain(at(1), &mut Output::new());
    let mut told = told.lock().unwrap().clone();
    told.sort_unstable();
    assert_eq!(told, [false, true, true]);
}

#[test]
fn what_a_rule_names_is_kept_and_stays_so_over_a_reload() {
    let tap = |ports: u16| {
        let rules = TapRules::new([Rule::new(access::Action::Allow).name("names").ports(ports)]);
        TapInspector::new(rules.unwrap())
    };
    let inspector = tap(53);
    let mut engine = Engine::new(settings(), move || inspector.clone()).unwrap();
    let (client, server) = sides("10.1.0.10:40000", "10.2.0.20:53");
    let (other, _) = sides("10.1.0.10:40000", "10.2.0.20:54");
    let first = send(&mut engine, at(0), &client, &client.udp(b"question"));
    assert!(first.outcome.capture);
    let [Event { what: EventKind::Capture(why), datagram: Some(0), .. }] = &first.events[..] else {
        panic!("{:?}", first.events)
    };
    assert_eq!(why, "tap: rule 1 (names)");
    let answer = send(&mut engine, at(1), &server, &server.udp(b"answer"));
    assert!(answer.outcome.capture && answer.events.is_empty());
    assert!(!send(&mut engine, at(1), &other, &other.udp(b"question")).outcome.capture);

    let inspector = tap(54);
    engine.reload(move || inspector.clone(), Flows::Reopen).unwrap();
    assert!(send(&mut engine, at(2), &server, &server.udp(b"more")).outcome.capture);
    assert!(send(&mut engine, at(2), &other, &other.udp(b"more")).outcome.capture);
}

/// Time stamp, outer header and payload of each datagram of a capture.
fn datagrams(path: &str) -> HashSet<(u64, Outer, Vec<u8>)> {
    let mut frames = Frames::open(path).unwrap();
    let mut datagrams = HashSet::new();
    while let Some(frame) = frames.next_frame() {
        if let Frame::Geneve { captured, ip } = frame {
            if let Ok((outer, payload)) = Outer::parse(ip) {
                datagrams.insert((captured.timestamp.as_nanos(), outer, payload.to_vec()));
            }
        }
    }
    datagrams
}

#[test]
fn files_hold_the_packets_as_they_came() {
    let directory = std::env::temp_dir().join(format!("evidence-replay-{}", std::process::id()));
    let settings = EvidenceSettings { is_lossless: true, ..EvidenceSettings::new(&directory) };
    let (evidence, writer) = Evidence::start(settings).unwrap();
    let make = || {
        packet_fn("web", |packet, cx| match packet.opener_tuple().ports {
            Some(ports) if ports.destination == 80 => {
                cx.capture_for("to the web");
                Verdict::reject(Reason::new("web"))
            }
            _ => Verdict::PASS,
        })
    };
    let mut engine = Engine::new(Settings::default(), make).unwrap();
    let mut marked = Vec::new();
    let capture = "tests/captures/http.pcapng";
    let replay = Replay::open(capture).unwrap().keep_in(evidence.clone());
    replay
        .run(&mut engine, |packet| {
            if packet.outcome.capture {
                assert!(!packet.outcome.disposition.is_forward());
                marked.push(packet.time.as_nanos());
            }
        })
        .unwrap();
    writer.finish();
    let counters = evidence.counters();
    assert_eq!(counters.written, 30);
    assert_eq!((counters.dropped, counters.failed, counters.files), (0, 0, 1));

    let sent = datagrams(capture);
    let mut reader = Reader::open(directory.join("evidence-00000001.pcapng")).unwrap();
    let mut kept = Vec::new();
    while let Some(packet) = reader.next_packet() {
        let packet = packet.unwrap();
        let (outer, payload) = Outer::parse(packet.data).unwrap();
        let time = packet.timestamp.as_nanos();
        assert!(sent.contains(&(time, outer, payload.to_vec())));
        kept.push(time);
    }
    assert_eq!(kept, marked);
    let file = std::fs::read(directory.join("evidence-00000001.pcapng")).unwrap();
    assert_eq!(counters.bytes, file.len() as u64);
    let said = b"to the web\nreject: web";
    assert_eq!(file.windows(said.len()).filter(|window| window == said).count(), 3);
    std::fs::remove_dir_all(directory).unwrap();
}
