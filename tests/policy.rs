//! What becomes of traffic that cannot be judged in the ordinary way: each row of the table of exceptions, in both
//! profiles and with every override, for all endpoints and for one alone.
#![cfg(all(feature = "faults", feature = "http"))]

mod support;

use std::collections::BTreeMap;
use std::time::Duration;

use gwlb_geneve::engine::*;
use gwlb_geneve::flow::FlowLimits;
use gwlb_geneve::gwlb::EndpointId;
use gwlb_geneve::inspect::*;
use gwlb_geneve::packet::TcpFlags;
use gwlb_geneve::stream::StreamLimits;
use support::traffic::*;

/// The endpoint that may have a policy of its own, and another one.
const SPECIAL: u64 = 1;
const OTHER: u64 = 2;

const ROWS: [Exception; 17] = Exception::ALL;

fn base() -> Settings {
    let flows = FlowLimits { flows: 256, endpoints: 8, ..FlowLimits::default() };
    let streams = StreamLimits { window: 64, connections: 64, ..StreamLimits::default() };
    Settings { flows, streams, fragments: 64, ..settings() }
}

/// Passes whatever is in the bytes, which have to be put in order for it.
struct Reader;

impl Inspector for Reader {
    type Flow = ();
    const INTEREST: Interest = Interest::STREAM.and(Interest::MESSAGES);

    fn name(&self) -> &str {
        "reader"
    }

    fn open(&mut self, _: &Packet<'_>, _: &mut Context<'_>) -> Option<()> {
        Some(())
    }
}

fn engine(settings: Settings) -> Engine<impl Inspector> {
    let make = || {
        let censor = packet_fn("censor", |packet, _| match packet.payload() {
            b"bad" => Verdict::reject(Reason::new("bad-word")),
            _ => Verdict::PASS,
        });
        (censor, Reader)
    };
    Engine::new(settings, make).unwrap()
}

/// Brings an exception about in the traffic of an endpoint: the packet in question, and one of the same flow after
/// it that inspectors would reject.
fn provoke<I: Inspector>(engine: &mut Engine<I>, class: Exception, endpoint: u64) -> [Sent; 2] {
    let (client, server) = pair();
    let (client, server) = (client.through(endpoint), server.through(endpoint));
    let (fine, bad) = (client.udp(b"fine"), client.udp(b"bad"));
    let mut faults = Faults::default();
    let [first, second] = match class {
        Exception::MalformedEnvelope => {
            // Of another version of GENEVE, so the endpoint is not read.
            let mut payload = client.envelope(&fine);
            payload[0] |= 0x40;
            let mut output = Output::new();
            let mut burst = [Datagram::new(at(0), client.outer(), &mut payload)];
            engine.process(&mut burst, &mut output);
            let outcome = output.outcomes()[0];
            let sent =
                Sent { outcome, payload: Vec::new(), injected: Vec::new(), events: Vec::new() };
            return [sent, send(engine, at(1), &client, &bad)];
        }
        Exception::MalformedPacket => {
            let mut short = fine.clone();
            short[24..26].copy_from_slice(&[0, 7]);
            [short, bad]
        }
        Exception::BadChecksum => {
            let mut damaged = fine.clone();
            damaged[29] ^= 1;
            [damaged, bad]
        }
        Exception::Midstream => {
            [client.tcp(ACK, 1_000, 5_000, b"fine"), client.tcp(ACK, 1_004, 5_000, b"bad")]
        }
        Exception::FlowTableFull => {
            faults.flow_table_full = true;
            [fine, bad]
        }
        Exception::FragmentBeforeFirst => {
            let parts = fragments(&client.udp(&[b'x'; 40]), 7, 16);
            [parts[1].clone(), bad]
        }
        Exception::FragmentMemoryFull => {
            faults.fragment_memory_full = true;
            [fragments(&client.udp(&[b'x'; 40]), 7, 16).remove(0), bad]
        }
        Exception::OpaqueTunnel => {
            [client.ip(50, b"fine".to_vec(), None), client.ip(50, b"bad".to_vec(), None)]
        }
        Exception::UnknownIcmpError => [server.unreachable(&fine), bad],
        Exception::InspectorPanic => {
            faults.panic_after = Some(0);
            [fine, bad]
        }
        Exception::OverBudget => {
            let budget = Some(unlimited());
            engine.configure(&Settings { budget, ..engine.settings().clone() });
            faults.delay_after = Some((0, Duration::from_secs(7_200)));
            [fine, bad]
        }
        Exception::StreamMemoryFull => {
            // As many connections as may be followed.
            for port in 50_000..50_064 {
                let other = client.with_port(port);
                handshake(engine, at(0), &(other, other.back()));
            }
            [client.tcp(SYN, 999, 0, &[]), client.tcp(ACK, 1_000, 5_000, b"bad")]
        }
        Exception::OutOfOrderNotStored => {
            handshake(engine, at(0), &(client, server));
            let ahead = client.tcp(ACK, 1_060, 5_000, b"too far ahead");
            [ahead, client.tcp(ACK, 1_000, 5_000, b"bad")]
        }
        Exception::SegmentDiscarded => {
            handshake(engine, at(0), &(client, server));
            let stray = client.tcp(ACK, 0x7000_0000, 5_000, b"out of the window");
            [stray, client.tcp(ACK, 1_000, 5_000, b"bad")]
        }
        Exception::ProtocolUnparsable => {
            handshake(engine, at(0), &(client, server));
            let switched = client.tcp(ACK, 1_000, 5_000, b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n");
            [switched, client.tcp(ACK, 1_024, 5_000, b"bad")]
        }
        _ => [fine, bad],
    };
    engine.set_overloaded(class == Exception::Overload);
    engine.set_faults(faults);
    let side = if class == Exception::UnknownIcmpError { server } else { client };
    [send(engine, at(0), &side, &first), send(engine, at(1), &client, &second)]
}

/// Whether what came of it is the treatment.
fn assert_treated(class: Exception, treatment: Treatment, sent: &[Sent; 2]) {
    let [first, second] = sent;
    let what = format!("{class} {treatment}: {} and then {}", first.outcome, second.outcome);
    assert_eq!(first.outcome.exception, Some(class), "{what}");
    let disposition = match treatment {
        Treatment::Pass | Treatment::Adopt => Disposition::Forward,
        Treatment::Drop => Disposition::Drop,
        Treatment::Reject => Disposition::Reject,
    };
    assert_eq!(first.outcome.disposition, disposition, "{what}");
    assert_eq!(first.injected.len(), usize::from(treatment == Treatment::Reject), "{what}");
    if let [(_, _, answer)] = &first.injected[..] {
        assert_eq!(segment(answer).flags(), TcpFlags::RST, "{what}");
    }
    // How far the flow is inspected from then on.
    let reason = second.outcome.reason.name();
    match (class, treatment) {
        // Nothing is remembered of these, so the flow begins, or goes on, with the next packet.
        (
            Exception::MalformedEnvelope
            | Exception::MalformedPacket
            | Exception::BadChecksum
            | Exception::FragmentMemoryFull
            | Exception::FragmentBeforeFirst
            | Exception::UnknownIcmpError
            | Exception::OutOfOrderNotStored
            | Exception::SegmentDiscarded,
            _,
        )
        | (
            Exception::UnknownEndpoint
            | Exception::FlowTableFull
            | Exception::OpaqueTunnel
            // Its packets are inspected on.
            | Exception::StreamMemoryFull
            | Exception::ProtocolUnparsable,
            Treatment::Pass,
        )
        | (Exception::Midstream, Treatment::Adopt) => assert_eq!(reason, "bad-word", "{what}"),
        (_, Treatment::Pass) => assert!(second.is_forwarded(), "{what}"),
        _ => assert_eq!(reason, class.name(), "{what}"),
    }
}

/// Settings in which only endpoints 1 and 2 are known, where the class needs that or `policy` is for endpoint 1 alone.
fn listed(special: Option<ExceptionPolicy>, settings: Settings) -> Settings {
    let of = |policy| EndpointSettings { policy, ..EndpointSettings::default() };
    let endpoints = BTreeMap::from([
        (EndpointId(SPECIAL), of(special)),
        (EndpointId(OTHER), EndpointSettings::default()),
    ]);
    Settings { endpoints, ..settings }
}

const PROFILES: [ExceptionPolicy; 2] = [ExceptionPolicy::STRICT, ExceptionPolicy::AVAILABLE];

/// Profiles as they are and with every override of a class, and what the class's treatment then is.
fn policies(class: Exception) -> Vec<(ExceptionPolicy, Treatment)> {
    let mut policies: Vec<_> =
        PROFILES.into_iter().map(|profile| (profile, profile.treatment(class))).collect();
    for treatment in class.treatments() {
        policies
            .extend(PROFILES.map(|profile| (profile.with(class, *treatment).unwrap(), *treatment)));
    }
    policies
}

#[test]
fn every_row_for_all_endpoints() {
    for class in ROWS {
        for (policy, treatment) in policies(class) {
            let mut settings = Settings { policy, ..base() };
            let mut endpoint = SPECIAL;
            if class == Exception::UnknownEndpoint {
                settings = listed(None, settings);
                endpoint = 99;
            }
            let mut engine = engine(settings);
            let sent = provoke(&mut engine, class, endpoint);
            assert_treated(class, treatment, &sent);
            assert!(engine.counters().exceptions(class) > 0, "{class}");
        }
    }
}

#[test]
fn every_row_for_one_endpoint_alone() {
    // An endpoint with a policy of its own is a known one, and one that cannot be read has none.
    let not_alone = [Exception::MalformedEnvelope, Exception::UnknownEndpoint];
    for class in ROWS.into_iter().filter(|class| !not_alone.contains(class)) {
        for (policy, treatment) in policies(class) {
            for profile in PROFILES {
                let settings = || listed(Some(policy), Settings { policy: profile, ..base() });
                let sent = provoke(&mut engine(settings()), class, SPECIAL);
                assert_treated(class, treatment, &sent);
                let sent = provoke(&mut engine(settings()), class, OTHER);
                assert_treated(class, profile.treatment(class), &sent);
            }
        }
    }
}

#[test]
fn a_monitor_forwards_and_says_what_would_have_been() {
    for class in ROWS.into_iter().filter(|class| *class != Exception::MalformedEnvelope) {
        let mut settings = Settings { policy: ExceptionPolicy::STRICT, monitor: true, ..base() };
        let mut endpoint = SPECIAL;
        if class == Exception::UnknownEndpoint {
            settings = listed(None, settings);
            endpoint = 99;
        }
        let [first, second] = provoke(&mut engine(settings), class, endpoint);
        let refused = ExceptionPolicy::STRICT.treatment(class) != Treatment::Pass;
        assert_eq!(first.outcome.would.is_some(), refused, "{class}");
        assert!(first.is_forwarded() && second.is_forwarded(), "{class}");
        assert!(first.injected.is_empty() && second.injected.is_empty(), "{class}");
    }
}

/// Also where it is an override that refuses.
#[test]
fn a_monitor_says_what_would_have_become_of_a_fragment() {
    let policy =
        ExceptionPolicy::STRICT.with(Exception::FragmentBeforeFirst, Treatment::Drop).unwrap();
    let mut engine = engine(Settings { policy, monitor: true, ..base() });
    let [first, _] = provoke(&mut engine, Exception::FragmentBeforeFirst, SPECIAL);
    assert_eq!(first.outcome.would, Some(Action::Drop));
}

/// Four of the classes are not to be had otherwise than as they are.
#[test]
fn what_cannot_be_meant_is_refused() {
    let mut refused = 0;
    for class in Exception::ALL {
        for treatment in Treatment::ALL {
            for profile in PROFILES {
                let found = profile.with(class, treatment);
                assert_eq!(found.is_ok(), class.treatments().contains(&treatment));
                if let Err(error) = found {
                    assert_eq!((error.exception, error.found), (class, treatment));
                    refused += 1;
                }
            }
        }
    }
    let allowed: usize = Exception::ALL.iter().map(|class| class.treatments().len()).sum();
    assert_eq!(refused / 2, Exception::ALL.len() * Treatment::ALL.len() - allowed);
    for (class, treatment) in [
        (Exception::MalformedEnvelope, Treatment::Pass),
        (Exception::BadChecksum, Treatment::Pass),
        (Exception::InspectorPanic, Treatment::Reject),
        (Exception::FlowTableFull, Treatment::Adopt),
    ] {
        assert!(ExceptionPolicy::AVAILABLE.with(class, treatment).is_err());
    }
}

/// A TCP connection whose beginning was not seen is not let in through its fragments.
#[test]
fn fragments_are_no_way_round_the_policy() {
    for treatment in [Treatment::Drop, Treatment::Reject, Treatment::Pass] {
        let policy = ExceptionPolicy::STRICT.with(Exception::Midstream, treatment).unwrap();
        let mut engine = engine(Settings { policy, ..base() });
        let (client, _) = pair();
        let parts = fragments(&client.tcp(ACK, 1_000, 5_000, &[b'x'; 80]), 7, 40);
        let is_passed = treatment == Treatment::Pass;
        for part in &parts {
            let sent = send(&mut engine, at(0), &client, part);
            assert_eq!(sent.is_forwarded(), is_passed, "{treatment} {}", sent.outcome);
        }
        let whole = client.tcp(ACK, 1_080, 5_000, b"bad");
        let sent = send(&mut engine, at(1), &client, &whole);
        assert_eq!(sent.outcome.exception, Some(Exception::Midstream));
        assert_eq!((sent.is_forwarded(), engine.flows()), (is_passed, 0));
    }
}

/// Of a datagram of which one fragment was refused, for whatever reason, no other is forwarded.
#[test]
fn the_rest_of_a_refused_datagram_is_refused() {
    for class in [Exception::Overload, Exception::FlowTableFull, Exception::UnknownEndpoint] {
        let mut engine =
            engine(listed(None, Settings { policy: ExceptionPolicy::STRICT, ..base() }));
        let endpoint = if class == Exception::UnknownEndpoint { 99 } else { SPECIAL };
        let client = pair().0.through(endpoint);
        engine.set_overloaded(class == Exception::Overload);
        let flow_table_full = class == Exception::FlowTableFull;
        engine.set_faults(Faults { flow_table_full, ..Faults::default() });
        let parts = fragments(&client.udp(&[b'x'; 40]), 7, 16);
        send(&mut engine, at(0), &client, &parts[0]).assert_refused(class.name());
        engine.set_overloaded(false);
        engine.set_faults(Faults::default());
        send(&mut engine, at(1), &client, &parts[1]).assert_refused("fragment-of-refused");
    }
}
