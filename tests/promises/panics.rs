//! Promise 5: no input panics, and a panic of an inspector or a rewriter costs the flow that it happened in: nobody else's.

use std::panic::resume_unwind;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use gwlb_geneve::Timestamp;
use gwlb_geneve::engine::{Datagram, Disposition, Engine, EventKind, Output, Settings};
use gwlb_geneve::flow::FlowLimits;
use gwlb_geneve::inspect::{
    Chain, CloseReason, Context, Exception, ExceptionPolicy, Inspector, Interest, Packet, Reason,
    Rewriter, Verdict, packet_fn,
};
use gwlb_geneve::packet::{EditError, PacketMut};
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::Index;

use crate::common::{POLICIES, alert, censor, says, small, tuple, with_policy};
use crate::support::generate::{aws_datagram, geneve, inner};
use crate::support::traffic::*;

/// Raised without a word on the standard error.
fn boom() -> ! {
    resume_unwind(Box::new("boom"))
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Place {
    Open,
    Packet,
    Close,
    Drop,
}

const PLACES: [Place; 4] = [Place::Open, Place::Packet, Place::Close, Place::Drop];

/// Panics at one place, for flows that say "boom"; counts the packets of each flow, and drops the tenth.
struct Fragile(Place);

struct Count {
    packets: u32,
    is_armed: bool,
}

impl Drop for Count {
    fn drop(&mut self) {
        if self.is_armed {
            self.is_armed = false;
            boom();
        }
    }
}

impl Inspector for Fragile {
    type Flow = Count;
    const INTEREST: Interest = Interest::PACKETS.and(Interest::END);

    fn name(&self) -> &str {
        "fragile"
    }

    fn open(&mut self, first: &Packet<'_>, _cx: &mut Context<'_>) -> Option<Count> {
        if self.0 == Place::Open && says(first, "boom") {
            boom();
        }
        Some(Count { packets: 0, is_armed: false })
    }

    fn packet(&mut self, flow: &mut Count, packet: &Packet<'_>, _cx: &mut Context<'_>) -> Verdict {
        flow.packets += 1;
        if says(packet, "boom") {
            match self.0 {
                Place::Packet => boom(),
                // The flow is over, and its end is what goes wrong.
                Place::Close => flow.packets = 1_000,
                Place::Drop => flow.is_armed = true,
                Place::Open => {}
            }
            return Verdict::drop(Reason::new("enough")).for_flow();
        }
        if flow.packets == 10 { Verdict::drop(Reason::new("tenth")) } else { Verdict::PASS }
    }

    fn close(&mut self, flow: Count, _why: CloseReason, _cx: &mut Context<'_>) {
        if flow.packets == 1_000 {
            boom();
        }
    }
}

fn chain_of(place: Place) -> Chain {
    let mut chain = Chain::new();
    chain.push(packet_fn("before", |_, _| Verdict::PASS)).unwrap();
    chain.push(Fragile(place)).unwrap();
    chain.push(packet_fn("behind", |_, _| Verdict::PASS)).unwrap();
    chain
}

/// Nine packets of a bystander, a panic in another flow, and the bystander's tenth.
fn others_are_kept<I: Inspector>(make: fn(Place) -> I, place: Place, policy: ExceptionPolicy) {
    let mut engine = Engine::new(with_policy(policy), move || make(place)).unwrap();
    let (bystander, victim) = (pair().0, pair().0.with_port(666));
    for n in 0..9 {
        send(&mut engine, at(n), &bystander, &bystander.udp(b"calm")).assert_forwarded();
    }
    if place != Place::Open {
        send(&mut engine, at(9), &victim, &victim.udp(b"calm")).assert_forwarded();
    }
    // In one burst with others before and behind it.
    let words: [(&Side, &[u8]); 3] =
        [(&victim, b"boom"), (&bystander, b"calm"), (&bystander, b"calm")];
    let arrivals: Vec<_> =
        words.iter().map(|(side, word)| side.arrival(at(10), &side.udp(word))).collect();
    let course = run(&mut engine, &arrivals, 64);
    let [boom, tenth, eleventh] = course.outcomes[..] else { panic!("{course:?}") };
    assert_eq!(tenth.reason.name(), "tenth", "the state of others is lost");
    assert_eq!(eleventh.disposition, Disposition::Forward);
    assert_eq!(engine.counters().panics, 1, "{place:?}");
    let after = send(&mut engine, at(11), &victim, &victim.udp(b"after")).outcome;
    if matches!(place, Place::Open | Place::Packet) {
        let is_strict = policy == ExceptionPolicy::STRICT;
        assert_eq!(boom.exception, Some(Exception::InspectorPanic));
        assert_eq!(boom.disposition.is_forward(), !is_strict);
        assert_eq!(after.disposition.is_forward(), !is_strict, "{place:?}");
        let told = course
            .events
            .iter()
            .any(|event| matches!(event.what, EventKind::Exception(Exception::InspectorPanic, _)));
        assert!(told);
    } else {
        // The verdict had been given.
        assert_eq!((boom.reason.name(), after.reason.name()), ("enough", "enough"));
    }
    engine.drain(at(12), &mut Output::new());
    assert_eq!(engine.counters().panics, 1);
}

#[test]
fn a_panic_costs_one_flow() {
    for place in PLACES {
        for policy in POLICIES {
            others_are_kept(Fragile, place, policy);
            others_are_kept(|place| (censor(), Fragile(place)), place, policy);
            others_are_kept(|place| (Some(Fragile(place)), censor()), place, policy);
            others_are_kept(chain_of, place, policy);
        }
    }
}

/// A panic can bring something along that panics when it is let go.
#[test]
fn what_a_panic_brings_along_is_contained() {
    struct Bomb;

    impl Drop for Bomb {
        fn drop(&mut self) {
            boom();
        }
    }

    let make = || {
        packet_fn("bomber", |packet, _| {
            if says(packet, "boom") {
                resume_unwind(Box::new(Bomb));
            }
            Verdict::PASS
        })
    };
    let mut engine = Engine::new(with_policy(ExceptionPolicy::STRICT), make).unwrap();
    let (client, other) = (pair().0, pair().0.with_port(9));
    send(&mut engine, at(0), &client, &client.udp(b"boom")).assert_refused("inspector-panic");
    send(&mut engine, at(1), &other, &other.udp(b"calm")).assert_forwarded();
    assert_eq!(engine.counters().panics, 1);
}

/// An inspector that cannot be made anew goes on as it is.
#[test]
fn a_factory_may_panic_too() {
    let mut made = 0;
    let make = move || {
        made += 1;
        if made > 1 {
            boom();
        }
        Fragile(Place::Packet)
    };
    let mut engine = Engine::new(with_policy(ExceptionPolicy::STRICT), make).unwrap();
    let (client, other) = (pair().0, pair().0.with_port(9));
    for n in 0..9 {
        send(&mut engine, at(n), &other, &other.udp(b"calm")).assert_forwarded();
    }
    send(&mut engine, at(9), &client, &client.udp(b"boom")).assert_refused("inspector-panic");
    send(&mut engine, at(9), &other, &other.udp(b"tenth")).assert_refused("tenth");
    assert_eq!(engine.counters().panics, 2, "that of the inspector and that of the factory");
}

#[test]
fn an_engine_whose_inspectors_panic_is_unhealthy() {
    let settings = Settings { unhealthy_after: 3, ..small() };
    let mut engine = Engine::new(settings, || Fragile(Place::Packet)).unwrap();
    for port in 1..=3 {
        assert!(engine.is_healthy());
        let client = pair().0.with_port(port);
        send(&mut engine, at(0), &client, &client.udp(b"boom")).assert_forwarded();
    }
    assert!(!engine.is_healthy());
}

/// What an inspector said of its own flow is not forgotten because another one, that makes room for it, ends badly.
#[test]
fn the_end_of_one_flow_silences_no_other() {
    struct Herald;

    impl Inspector for Herald {
        type Flow = ();
        const INTEREST: Interest = Interest::PACKETS.and(Interest::END);

        fn name(&self) -> &str {
            "herald"
        }

        fn open(&mut self, _first: &Packet<'_>, cx: &mut Context<'_>) -> Option<()> {
            cx.alert(alert("opened".into()));
            Some(())
        }

        fn close(&mut self, (): (), _why: CloseReason, _cx: &mut Context<'_>) {
            boom();
        }
    }

    let flows = FlowLimits { flows: 1, ..small().flows };
    let mut engine = Engine::new(Settings { flows, ..small() }, || Herald).unwrap();
    for port in 1..5 {
        let client = pair().0.with_port(port);
        let sent = send(&mut engine, at(0), &client, &client.udp(b""));
        sent.assert_forwarded();
        assert_eq!(sent.events.len(), 1, "{:?}", sent.events);
    }
    assert_eq!(engine.counters().panics, 3);
}

/// A rewriter that panics when it plans, or when it has half edited.
struct Clumsy {
    plans: bool,
}

impl Rewriter for Clumsy {
    type Plan = ();

    fn plan(&mut self, packet: &Packet<'_>, _cx: &mut Context<'_>) -> Option<()> {
        if says(packet, "boom") && self.plans {
            boom();
        }
        says(packet, "boom").then_some(())
    }

    fn rewrite(&mut self, (): (), packet: &mut PacketMut<'_>) -> Result<(), EditError> {
        packet.set_udp_payload(b"half of it")?;
        packet.set_hop_limit(1);
        boom()
    }
}

#[test]
fn a_rewriter_that_panics_costs_one_flow_and_no_inspector() {
    for plans in [true, false] {
        for policy in POLICIES {
            let made = Arc::new(AtomicU64::new(0));
            let make = {
                let made = made.clone();
                move || {
                    made.fetch_add(1, Relaxed);
                    packet_fn("pass", |_, _| Verdict::PASS)
                }
            };
            let mut engine =
                Engine::new(with_policy(policy), make).unwrap().with_rewriter(Clumsy { plans });
            let (client, other) = (pair().0, pair().0.with_port(9));
            let boom = client.udp(b"boom");
            let sent = send(&mut engine, at(0), &client, &boom);
            let is_strict = policy == ExceptionPolicy::STRICT;
            assert_eq!(sent.is_forwarded(), !is_strict);
            assert_eq!(sent.outcome.exception, Some(Exception::InspectorPanic));
            assert_ne!(sent.outcome.disposition, Disposition::ForwardEdited);
            assert_eq!(sent.inner(), boom, "an edit half done is undone");
            let after = send(&mut engine, at(0), &client, &client.udp(b"after"));
            assert_eq!(after.is_forwarded(), !is_strict);
            send(&mut engine, at(0), &other, &other.udp(b"calm")).assert_forwarded();
            assert_eq!(engine.counters().panics, 1);
            assert_eq!(made.load(Relaxed), 1, "the inspector has done nothing wrong");
        }
    }
}

/// Has an opinion in its plan.
struct Talker;

impl Rewriter for Talker {
    type Plan = ();

    fn plan(&mut self, packet: &Packet<'_>, cx: &mut Context<'_>) -> Option<()> {
        if says(packet, "boom") {
            cx.alert(alert("planned".into()));
            cx.capture();
            cx.mark(8);
        }
        None
    }

    fn rewrite(&mut self, (): (), _packet: &mut PacketMut<'_>) -> Result<(), EditError> {
        Ok(())
    }
}

/// What a rewriter says is about the packet at hand, not about the next one that somebody looks at.
#[test]
fn what_a_rewriter_says_is_of_its_own_flow() {
    let make = || {
        packet_fn("marks", |packet, cx| {
            let marks = cx.marks() & !Context::ALERTED;
            assert!(!says(packet, "marked") || marks == 8);
            assert!(!says(packet, "calm") || cx.marks() == 0);
            Verdict::PASS
        })
    };
    let settings = with_policy(ExceptionPolicy::STRICT);
    let mut engine = Engine::new(settings, make).unwrap().with_rewriter(Talker);
    let (client, other) = (pair().0, pair().0.with_port(9));
    let sent = send(&mut engine, at(0), &client, &client.udp(b"boom"));
    assert_eq!(sent.events.len(), 1);
    let sent = send(&mut engine, at(0), &other, &other.udp(b"calm"));
    sent.assert_forwarded();
    assert!(sent.events.is_empty() && !sent.outcome.capture, "{sent:?}");
    let sent = send(&mut engine, at(0), &client, &client.udp(b"marked"));
    sent.assert_forwarded();
    assert!(sent.outcome.capture);
}

/// Packets in order and not, and mere bytes, at any times.
fn anything() -> impl Strategy<Value = Vec<Arrival>> {
    let payload = prop_oneof![
        4 => inner().prop_map(|inner| aws_datagram(&inner)),
        2 => geneve(),
        1 => vec(any::<u8>(), 0..200),
    ];
    let time = prop_oneof![3 => START..START + 1_000_000_000, 1 => any::<u64>()];
    let anything = vec((payload, time), 1..40).prop_map(|all| {
        let outer = pair().0.outer();
        let arrivals = all.into_iter().map(|(payload, time)| {
            let time = Timestamp::from_nanos(time);
            Arrival { time, outer, payload }
        });
        arrivals.collect::<Vec<_>>()
    });
    let bend = vec((any::<Index>(), any::<Index>(), any::<u8>()), 0..20);
    (anything, conversations(40), bend).prop_map(|(anything, talks, bend)| {
        let mut arrivals = [anything, talks].concat();
        for (which, at, byte) in bend {
            let arrival = which.index(arrivals.len());
            let payload = &mut arrivals[arrival].payload;
            if !payload.is_empty() {
                let at = at.index(payload.len());
                payload[at] = byte;
            }
        }
        arrivals
    })
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: if cfg!(debug_assertions) { 64 } else { 1_024 },
        ..ProptestConfig::default()
    })]

    #[test]
    fn no_input_panics(
        arrivals in anything(),
        policy in 0..2_usize,
        burst in 1..70_usize,
        flows in 1..20_usize,
    ) {
        let settings = || Settings {
            flows: FlowLimits { flows, endpoints: 2, ..FlowLimits::default() },
            fragments: 2,
            ..with_policy(POLICIES[policy])
        };
        let mut engine = Engine::new(settings(), tuple).unwrap();
        run(&mut engine, &arrivals, burst);
        prop_assert_eq!(engine.counters().panics, 0);
        let mut engine = Engine::new(settings(), crate::common::chain).unwrap();
        run(&mut engine, &arrivals, burst);
        prop_assert_eq!(engine.counters().panics, 0);
    }

    /// The same where inspectors panic all the time: nothing else does.
    #[test]
    fn no_panic_gets_out(
        arrivals in conversations(120),
        policy in 0..2_usize,
        place in 0..4_usize,
        burst in 1..70_usize,
    ) {
        let settings = || with_policy(POLICIES[policy]);
        let make = move || (censor(), Fragile(PLACES[place]));
        let mut engine = Engine::new(settings(), make).unwrap();
        run(&mut engine, &arrivals, burst);
        engine.drain(at(0), &mut Output::new());
        let make = move || chain_of(PLACES[place]);
        let mut engine = Engine::new(settings(), make).unwrap().with_rewriter(Clumsy { plans: true });
        run(&mut engine, &arrivals, burst);
        engine.drain(at(0), &mut Output::new());
    }
}

/// A datagram of nothing, and a burst of none.
#[test]
fn nothing_is_no_trouble() {
    let mut engine = Engine::new(small(), tuple).unwrap();
    let mut output = Output::new();
    engine.process(&mut [], &mut output);
    let mut burst = [Datagram::with_room(at(0), pair().0.outer(), &mut [], 9)];
    engine.process(&mut burst, &mut output);
    assert_eq!(output.outcomes()[0].exception, Some(Exception::MalformedEnvelope));
}
