//! Allow-lists fail closed whatever the policy says: what nobody could judge for them does not pass in their flows, and others
//! are treated as ever.
#![cfg(all(feature = "faults", feature = "api"))]

mod support;

use std::time::Duration;

use gwlb_geneve::engine::*;
use gwlb_geneve::flow::FlowLimits;
use gwlb_geneve::inspect::*;
use gwlb_geneve::inspectors::api::{ApiInspector, ApiRules};
use gwlb_geneve::inspectors::domains::{DomainInspector, DomainLists};
use gwlb_geneve::stream::defrag::DefragLimits;
use support::traffic::*;

/// What cannot be judged, and what of it is a class of its own.
const CLASSES: [(Exception, bool); 9] = [
    (Exception::Midstream, false),
    (Exception::FlowTableFull, false),
    (Exception::InspectorPanic, false),
    (Exception::OverBudget, false),
    (Exception::Overload, false),
    (Exception::StreamMemoryFull, false),
    // A gap.
    (Exception::StreamMemoryFull, true),
    (Exception::ProtocolUnparsable, false),
    (Exception::FragmentMemoryFull, false),
];

/// Has nothing against anything, but wants to see what goes to port 443.
struct Guard;

impl Inspector for Guard {
    type Flow = ();
    const INTEREST: Interest = Interest::STREAM.and(Interest::MESSAGES).and(Interest::FAIL_CLOSED);

    fn name(&self) -> &str {
        "guard"
    }

    fn open(&mut self, first: &Packet<'_>, _: &mut Context<'_>) -> Option<()> {
        let ports = first.opener_tuple().ports;
        ports.is_some_and(|ports| ports.destination == 443 || ports.source == 443).then_some(())
    }
}

/// Looks at all flows, and fails open.
struct Reader;

impl Inspector for Reader {
    type Flow = ();
    const INTEREST: Interest = Interest::STREAM.and(Interest::MESSAGES).and(Interest::GAPS);

    fn name(&self) -> &str {
        "reader"
    }

    fn open(&mut self, _: &Packet<'_>, _: &mut Context<'_>) -> Option<()> {
        Some(())
    }
}

fn guarded() -> Chain {
    let mut chain = Chain::new();
    chain.push(packet_fn("before", |_, _| Verdict::PASS)).unwrap();
    chain.push(Guard).unwrap();
    chain.push(Reader).unwrap();
    chain
}

/// A policy that lets pass what can be let pass.
fn lenient() -> ExceptionPolicy {
    ExceptionPolicy::AVAILABLE.with(Exception::FragmentMemoryFull, Treatment::Pass).unwrap()
}

fn settings_of(policy: ExceptionPolicy) -> Settings {
    let flows = FlowLimits { flows: 256, endpoints: 8, ..FlowLimits::default() };
    let defrag = DefragLimits { datagrams_per_endpoint: 1, ..DefragLimits::default() };
    Settings { flows, policy, defrag, ..settings() }
}

/// Brings it about in a flow: what came of the packet that cannot be judged.
fn provoke(
    engine: &mut Engine<Chain>,
    make: fn() -> Chain,
    (class, is_gap): (Exception, bool),
    ends: &(Side, Side),
) -> Sent {
    let (client, server) = ends;
    let request: &[u8] = b"GET / HTTP/1.1\r\nHost: example.com\r\n\r\n";
    let syn = client.tcp(SYN, 999, 0, b"");
    let mut faults = Faults::default();
    let packet = match class {
        Exception::Midstream => client.tcp(ACK, 1_000, 5_000, request),
        Exception::FlowTableFull => {
            faults.flow_table_full = true;
            syn
        }
        Exception::Overload => {
            engine.set_overloaded(true);
            syn
        }
        Exception::StreamMemoryFull if !is_gap => {
            faults.stream_memory_full = true;
            syn
        }
        Exception::StreamMemoryFull => {
            handshake(engine, at(0), ends);
            // Opened anew, it is one of which bytes may be missed.
            engine.reload(make, Flows::Reopen).unwrap();
            send(engine, at(0), client, &client.tcp(ACK, 1_000, 5_000, b"")).assert_forwarded();
            send(engine, at(0), server, &server.tcp(ACK, 5_000, 1_000, b"HT")).assert_forwarded();
            client.tcp(ACK, 1_000, 5_500, b"")
        }
        Exception::FragmentMemoryFull => {
            let other = client.with_port(40_001);
            handshake(engine, at(0), &(other, other.back()));
            let first = fragments(&other.tcp(ACK, 1_000, 5_000, &[b'x'; 80]), 7, 40).remove(0);
            send(engine, at(0), &other, &first).assert_forwarded();
            handshake(engine, at(0), ends);
            fragments(&client.tcp(ACK, 1_000, 5_000, &[b'x'; 80]), 8, 40).remove(0)
        }
        _ => {
            handshake(engine, at(0), ends);
            match class {
                Exception::InspectorPanic => faults.panic_after = Some(0),
                Exception::OverBudget => {
                    let budget = Some(unlimited());
                    engine.configure(&Settings { budget, ..engine.settings().clone() });
                    faults.delay_after = Some((0, Duration::from_secs(7_200)));
                }
                _ => {}
            }
            let switch: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
            let is_switched = class == Exception::ProtocolUnparsable;
            client.tcp(ACK, 1_000, 5_000, if is_switched { switch } else { request })
        }
    };
    engine.set_faults(faults);
    let sent = send(engine, at(1), client, &packet);
    engine.set_faults(Faults::default());
    engine.set_overloaded(false);
    sent
}

fn to(port: u16) -> (Side, Side) {
    sides("10.1.0.10:40000", &format!("10.2.0.20:{port}"))
}

#[test]
fn what_cannot_be_judged_does_not_pass_in_a_flow_that_is_guarded() {
    for case @ (class, _) in CLASSES {
        for policy in [ExceptionPolicy::STRICT, lenient()] {
            for (port, is_guarded) in [(443, true), (8080, false)] {
                let mut engine = Engine::new(settings_of(policy), guarded).unwrap();
                let sent = provoke(&mut engine, guarded, case, &to(port));
                let treatment =
                    if is_guarded { policy.failing_closed(class) } else { policy.treatment(class) };
                let expected = match treatment {
                    Treatment::Pass | Treatment::Adopt => Disposition::Forward,
                    Treatment::Drop => Disposition::Drop,
                    Treatment::Reject => Disposition::Reject,
                };
                let what = format!("{case:?} to {port} under {policy:?}: {}", sent.outcome);
                assert_eq!(sent.outcome.disposition, expected, "{what}");
                assert_eq!(sent.outcome.exception, Some(class), "{what}");
                assert!(engine.counters().exceptions(class) > 0, "{what}");
                // A flow that was given up stays so; of others nothing is remembered.
                let is_flow = matches!(
                    class,
                    Exception::InspectorPanic
                        | Exception::OverBudget
                        | Exception::StreamMemoryFull
                        | Exception::ProtocolUnparsable
                );
                if is_flow {
                    let (client, _) = to(port);
                    let next =
                        send(&mut engine, at(2), &client, &client.tcp(ACK, 1_030, 5_000, b"x"));
                    assert_eq!(
                        next.is_forwarded(),
                        sent.is_forwarded(),
                        "{what}: {}",
                        next.outcome
                    );
                }
            }
        }
    }
}

/// A flow passes again as the policy says once nobody guards it any more, or where a chain has no such member.
#[test]
fn who_is_done_guards_nothing() {
    fn done() -> Chain {
        let mut chain = Chain::new();
        chain.push(DoneGuard).unwrap();
        chain.push(Reader).unwrap();
        chain
    }
    let mut engine = Engine::new(settings_of(lenient()), done).unwrap();
    let ends @ (client, _) = &to(443);
    handshake(&mut engine, at(0), ends);
    send(&mut engine, at(1), client, &client.tcp(ACK, 1_000, 5_000, b"seen")).assert_forwarded();
    engine.set_faults(Faults { panic_after: Some(0), ..Faults::default() });
    let sent = send(&mut engine, at(1), client, &client.tcp(ACK, 1_004, 5_000, b"more"));
    assert_eq!(sent.outcome.exception, Some(Exception::InspectorPanic));
    sent.assert_forwarded();
}

/// As [`Guard`], but done with the first bytes.
struct DoneGuard;

impl Inspector for DoneGuard {
    type Flow = ();
    const INTEREST: Interest = Interest::STREAM.and(Interest::FAIL_CLOSED);

    fn name(&self) -> &str {
        "done"
    }

    fn open(&mut self, _: &Packet<'_>, _: &mut Context<'_>) -> Option<()> {
        Some(())
    }

    fn stream(&mut self, (): &mut (), _: &StreamChunk<'_>, _: &mut Context<'_>) -> Verdict {
        Verdict::PASS_FLOW
    }
}

/// Nobody can say whose flow it would have been whose opening panics.
#[test]
fn a_panic_at_the_beginning_of_a_flow() {
    struct Fragile;

    impl Inspector for Fragile {
        type Flow = ();
        const INTEREST: Interest = Interest::PACKETS;

        fn name(&self) -> &str {
            "fragile"
        }

        fn open(&mut self, _: &Packet<'_>, _: &mut Context<'_>) -> Option<()> {
            std::panic::resume_unwind(Box::new("as the test wants it"));
        }
    }

    let policy = ExceptionPolicy::AVAILABLE;
    let (client, _) = to(8080);
    let mut engine = Engine::new(settings_of(policy), || Fragile).unwrap();
    send(&mut engine, at(0), &client, &client.tcp(SYN, 999, 0, b"")).assert_forwarded();
    let mut engine = Engine::new(settings_of(policy), || (Fragile, Guard)).unwrap();
    let sent = send(&mut engine, at(0), &client, &client.tcp(SYN, 999, 0, b""));
    sent.assert_refused("inspector-panic");
}

fn api() -> Chain {
    let rules = ApiRules::from_toml("ports = 80\nrule = [{ methods = \"GET\" }]").unwrap();
    let mut chain = Chain::new();
    chain.push(ApiInspector::new(rules)).unwrap();
    chain
}

fn domains() -> Chain {
    let text = "default = \"reject\"\nexcept-ports = 22\n\
                list = [{ action = \"allow\", names = \"example.com\" }]";
    let mut chain = Chain::new();
    chain.push(DomainInspector::new(DomainLists::from_toml(text).unwrap())).unwrap();
    chain
}

/// As before, but the names that are allowed are yet to be found out: nothing is to be refused until 2033.
fn discovering() -> Chain {
    let text = "default = \"reject\"\ndiscover-until = 2033-01-01T00:00:00Z\n\
                list = [{ action = \"allow\", names = \"example.com\" }]";
    let mut chain = Chain::new();
    chain.push(DomainInspector::new(DomainLists::from_toml(text).unwrap())).unwrap();
    chain
}

#[test]
fn the_allow_lists_that_there_are() {
    // A flow that is seen from its middle on is judged like any other.
    for case in CLASSES.into_iter().filter(|(class, _)| *class != Exception::Midstream) {
        for (make, port, passes) in [
            (api as fn() -> Chain, 80, false),
            (api, 8080, true),
            (domains, 80, false),
            (domains, 22, true),
            (discovering, 80, true),
        ] {
            let mut engine = Engine::new(settings_of(lenient()), make).unwrap();
            let sent = provoke(&mut engine, make, case, &to(port));
            let what = format!("{case:?} to {port}: {}", sent.outcome);
            assert_eq!(sent.is_forwarded(), passes, "{what}");
        }
    }
}
