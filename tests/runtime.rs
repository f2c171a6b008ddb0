//! A capture through an engine: what is counted, shown, written and explained.
#![cfg(feature = "capture")]

mod support;

use gwlb_geneve::Timestamp;
use gwlb_geneve::capture::{Format, Reader, Writer};
use gwlb_geneve::engine::{Disposition, Engine, Settings, Standing};
use gwlb_geneve::flow::FlowLimits;
use gwlb_geneve::gwlb::{Envelope, Outer, OuterError, Profile};
use gwlb_geneve::inspect::{Alert, Exception, Reason, Severity, Verdict, packet_fn};
use gwlb_geneve::packet::{FiveTuple, IpPacket, Transport};
use gwlb_geneve::runtime::{FrameError, Frames, Replay, ReplayError, Report};
use support::fixtures::{self, Capture, Fate};

fn capture(file: &str) -> Capture {
    fixtures::captures().into_iter().find(|capture| capture.file == file).unwrap()
}

fn settings() -> Settings {
    Settings { flows: FlowLimits { flows: 1_000, ..FlowLimits::default() }, ..Settings::default() }
}

fn replay(bytes: &[u8]) -> Replay<&[u8]> {
    Replay::of(Reader::new(bytes).unwrap())
}

/// Refuses requests at the segment that holds them, and says so.
fn no_request() -> impl gwlb_geneve::inspect::Inspector {
    packet_fn("no-request", |packet, cx| {
        let payload = packet.payload();
        if payload.starts_with(b"GET ") || payload.starts_with(b"SSH-") {
            cx.alert(Alert {
                name: "no-request".into(),
                message: "a request".into(),
                severity: Severity::Notice,
                rule: None,
            });
            return Verdict::reject(Reason::new("request"));
        }
        Verdict::PASS
    })
}

fn assert_balanced(report: &Report) {
    assert_eq!(report.received, report.forwarded + report.dropped(), "{report}");
    assert_eq!(report.forwarded + report.injected, report.sent + report.send_failed, "{report}");
    assert_eq!(report.received, report.frames.geneve, "{report}");
}

/// Without inspectors, what the fixtures say of each packet is what becomes of it, and for that reason.
#[test]
fn every_packet_has_its_fate() {
    for capture in fixtures::captures() {
        let mut engine = Engine::new(settings(), || ()).unwrap();
        let bytes = capture.bytes();
        let mut frames = capture.frames.iter().zip(1..);
        // What is not UDP to the port, other tools' captures hold, too.
        let is_passed_over = |fate| match fate {
            Fate::Foreign => true,
            Fate::Outer(reason) => {
                matches!(reason, "outer-malformed" | "outer-not-udp" | "outer-fragment")
            }
            _ => false,
        };
        let report = replay(&bytes)
            .run(&mut engine, |packet| {
                let (frame, number) = loop {
                    match frames.next().unwrap() {
                        (frame, number) if number == packet.number => break (frame, number),
                        (frame, number) => {
                            assert!(is_passed_over(frame.fate), "{} {number}", capture.file);
                        }
                    }
                };
                assert_eq!(packet.time.as_nanos(), frame.micros * 1_000);
                assert_eq!(
                    (packet.outcome.disposition.is_forward(), packet.outcome.reason.name()),
                    (frame.fate == Fate::Forward, frame.fate.reason().unwrap_or_default()),
                    "{} {number}",
                    capture.file
                );
                assert_eq!(packet.datagram.is_err(), matches!(frame.fate, Fate::Outer(_)));
            })
            .unwrap();
        assert!(frames.all(|(frame, _)| is_passed_over(frame.fate)), "{}", capture.file);
        assert_balanced(&report);
        assert!(engine.counters().is_balanced());
        assert_eq!(engine.flows(), 0, "drained");
    }
}

/// Bursts are a matter of speed: verdicts are those that each packet alone would get, as when replies are written.
#[test]
fn writing_replies_changes_no_verdict() {
    for capture in fixtures::captures() {
        let bytes = capture.bytes();
        let mut verdicts = [Vec::new(), Vec::new()];
        let [plain, writing] = &mut verdicts;
        let mut engine = Engine::new(settings(), no_request).unwrap();
        let first =
            replay(&bytes).run(&mut engine, |packet| plain.push(packet.to_string())).unwrap();
        let mut engine = Engine::new(settings(), no_request).unwrap();
        let mut replies = Vec::new();
        let writer = Writer::new(&mut replies, Format::Pcapng).unwrap();
        let second = replay(&bytes)
            .write_to(writer)
            .run(&mut engine, |packet| writing.push(packet.to_string()))
            .unwrap();
        assert_eq!(verdicts[0], verdicts[1], "{}", capture.file);
        assert_eq!(first.to_string(), second.to_string(), "{}", capture.file);
        let mut reader = Reader::new(replies.as_slice()).unwrap();
        let mut written = 0;
        while let Some(packet) = reader.next_packet() {
            packet.unwrap();
            written += 1;
        }
        assert_eq!(written, second.sent, "{}", capture.file);
    }
}

/// The RSTs for a refused request stand where the request would have stood, with its time, in an envelope that leads
/// to its flow.
#[test]
fn replies_are_in_order() {
    let capture = capture("ipv4-tcp.pcapng");
    let mut engine = Engine::new(settings(), no_request).unwrap();
    let (bytes, mut replies) = (capture.bytes(), Vec::new());
    let mut refused = None;
    let report = replay(&bytes)
        .write_to(Writer::new(&mut replies, Format::Pcapng).unwrap())
        .run(&mut engine, |packet| {
            if packet.events().next().is_some() {
                assert_eq!(packet.outcome.disposition, Disposition::Reject);
                refused = Some((packet.number, packet.time));
            }
        })
        .unwrap();
    assert_balanced(&report);
    let (number, time) = refused.unwrap();
    assert_eq!(report.alerts, 1);
    assert_eq!(report.dropped[&Reason::new("request")], report.rejected);
    assert_eq!(report.flows, 1);
    assert_eq!(report.forwarded, number - 1, "nothing passes behind it");

    let mut reader = Reader::new(replies.as_slice()).unwrap();
    let mut resets = Vec::new();
    let mut times = Vec::new();
    while let Some(packet) = reader.next_packet() {
        let packet = packet.unwrap();
        let (outer, payload) = Outer::parse(packet.network().unwrap().payload).unwrap();
        let envelope = Envelope::parse(payload, &Profile::AWS).unwrap();
        let ip = IpPacket::parse(envelope.inner()).unwrap();
        let Ok(Transport::Tcp(segment)) = ip.transport() else { panic!("TCP") };
        times.push(packet.timestamp);
        if segment.flags().intersects(gwlb_geneve::packet::TcpFlags::RST) {
            let tuple = FiveTuple::parse(envelope.inner()).unwrap();
            resets.push((packet.number, packet.timestamp, tuple.ports.unwrap().destination));
            assert_eq!(outer.source_port, 60_001);
        }
    }
    assert!(times.is_sorted());
    assert_eq!(resets[0], (number, time, 22));
    assert_eq!(resets[1].0, number + 1);
    assert_eq!((resets[1].1, resets[1].2 >= 1024), (time, true));
}

#[test]
fn a_packet_is_explained_as_it_was_judged() {
    for capture in [capture("ipv4-tcp.pcapng"), capture("http.pcapng")] {
        let bytes = capture.bytes();
        let mut judged = Vec::new();
        let mut engine = Engine::new(settings(), no_request).unwrap();
        let all = replay(&bytes).run(&mut engine, |packet| judged.push(packet.outcome)).unwrap();
        for (number, outcome) in (1..=all.received).zip(judged) {
            let mut engine = Engine::new(settings(), no_request).unwrap();
            let explained = replay(&bytes).explain(&mut engine, number).unwrap();
            assert_eq!(explained.number, number);
            match explained.explanation {
                Ok(explanation) => assert_eq!(explanation.outcome, outcome, "{number}"),
                Err(error) => assert_eq!(error.reason(), outcome.reason.name(), "{number}"),
            }
        }
    }
    let capture = capture("ipv4-tcp.pcapng").bytes();
    let mut engine = Engine::new(settings(), no_request).unwrap();
    let first = replay(&capture).explain(&mut engine, 1).unwrap().explanation.unwrap();
    assert_eq!((first.standing, first.votes.len()), (Standing::New, 1));
}

#[test]
fn only_packets_that_are_judged_can_be_explained() {
    let explain = |file: &str, number| {
        let mut engine = Engine::new(settings(), || ()).unwrap();
        replay(&capture(file).bytes()).explain(&mut engine, number).map(|_| ())
    };
    assert!(matches!(
        explain("http.pcapng", 0),
        Err(ReplayError::NoSuchPacket { number: 0, last: 41 })
    ));
    let error = explain("http.pcapng", 42).unwrap_err();
    assert_eq!(error.to_string(), "expected a packet from 1 to 41, found 42");
    let mixed = capture("mixed.pcapng");
    for (frame, number) in mixed.frames.iter().zip(1..) {
        let result = explain("mixed.pcapng", number);
        match frame.fate {
            Fate::Foreign | Fate::Outer("outer-not-udp") => {
                assert!(matches!(result, Err(ReplayError::NotGeneve { number: n }) if n == number));
            }
            _ => assert!(result.is_ok(), "{result:?}"),
        }
    }
    let mut cut = capture("ipv4-tcp.pcapng").bytes();
    cut.truncate(cut.len() - 5);
    let mut engine = Engine::new(settings(), || ()).unwrap();
    let error = replay(&cut).explain(&mut engine, 14).unwrap_err();
    assert!(matches!(error, ReplayError::Unreadable { number: 14, error: Some(_) }), "{error}");
    assert!(replay(&cut).explain(&mut engine, 13).is_ok());
    assert!(replay(&cut).explain(&mut engine, 15).is_err());
}

/// What a socket would never hand over is dropped for what is wrong with it, without bothering the engine.
#[test]
fn bad_outer_headers_are_no_business_of_the_engine() {
    let bytes = capture("http.pcapng").bytes();
    let mut engine = Engine::new(settings(), || ()).unwrap();
    let mut found = Vec::new();
    let report = replay(&bytes)
        .run(&mut engine, |packet| {
            found.extend(packet.datagram.err().map(|error| (packet.number, error)));
        })
        .unwrap();
    assert_eq!(engine.counters().received, report.received - 1);
    let (number, OuterError::Checksum { .. }) = found[0] else { panic!("{found:?}") };
    let mut engine = Engine::new(settings(), || ()).unwrap();
    let explained = replay(&bytes).explain(&mut engine, number).unwrap();
    assert_eq!(explained.explanation, Err(found[0].1));
    assert!(explained.to_string().ends_with("outcome    drop: outer-checksum"), "{explained}");
}

/// Frames of a link type that is not read are counted each and told once.
#[test]
fn unreadable_frames_are_counted() {
    let mut file =
        vec![0xd4, 0xc3, 0xb2, 0xa1, 2, 0, 4, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 4, 0, 105, 0, 0, 0];
    for _ in 0..30 {
        file.extend([0, 0, 0, 0, 0, 0, 0, 0, 4, 0, 0, 0, 4, 0, 0, 0, 8, 0, 0, 0]);
    }
    file.extend([1; 7]);
    let mut engine = Engine::new(settings(), || ()).unwrap();
    let report = replay(&file).run(&mut engine, |_| panic!("nothing to judge")).unwrap();
    assert_eq!((report.frames.all(), report.frames.unreadable), (31, 31));
    let [FrameError::Link { number: 1, .. }, FrameError::Capture(_)] = &report.problems[..] else {
        panic!("{:?}", report.problems)
    };
}

#[test]
fn other_ports_can_carry_geneve() {
    let bytes = capture("http.pcapng").bytes();
    let mut engine = Engine::new(settings(), || ()).unwrap();
    let frames = Frames::new(Reader::new(bytes.as_slice()).unwrap()).with_ports([7000]);
    let report = Replay::new(frames).run(&mut engine, |_| ()).unwrap();
    assert_eq!((report.received, report.frames.other), (0, 41));
}

/// Exceptions are counted even where they are forwarded; a callback's error ends the replay.
#[test]
fn exceptions_are_counted_and_errors_end_it() {
    let capture = capture("ipv4-tcp.pcapng");
    let mut writer = Writer::new(Vec::new(), Format::Pcapng).unwrap();
    for frame in capture.frames.iter().skip(3) {
        let (time, len) = (Timestamp::from_nanos(frame.micros * 1_000), frame.data.len() as u32);
        writer.write_packet(time, frame.link_type, len, &frame.data).unwrap();
    }
    let bytes = writer.finish().unwrap();
    let mut engine = Engine::new(settings(), || ()).unwrap();
    let report = replay(&bytes).run(&mut engine, |_| ()).unwrap();
    assert_eq!(report.exceptions.get(&Exception::Midstream), Some(&1), "{report}");
    assert_eq!(report.forwarded, report.received);

    #[derive(Debug)]
    struct Enough;
    impl From<ReplayError> for Enough {
        fn from(_: ReplayError) -> Self {
            Enough
        }
    }
    let mut seen = 0;
    let result = replay(&bytes).try_run(&mut engine, |_| {
        seen += 1;
        if seen == 3 { Err(Enough) } else { Ok(()) }
    });
    assert!(matches!(result, Err(Enough)));
    assert_eq!(seen, 3);
}
