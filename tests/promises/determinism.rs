//! Promise 9: nothing but packets counts. The same ones with the same time stamps come to the same, however they are
//! cut into bursts and whenever the ends of flows are looked for.

use std::time::Duration;

use gwlb_geneve::Timestamp;
use gwlb_geneve::engine::{Engine, EventKind, Output, Settings};
use gwlb_geneve::flow::FlowTimeouts;
use gwlb_geneve::inspect::{
    Chain, CloseReason, Context, Inspector, Interest, Message, Packet, Reason, StreamChunk, Verdict,
};
use proptest::prelude::*;

use crate::common::{POLICIES, Tally, alert, chain, tuple, with_policy};
use crate::support::generate::census;
use crate::support::traffic::*;

fn settings_of(policy: usize, is_short: bool) -> Settings {
    let mut settings = with_policy(POLICIES[policy]);
    if is_short {
        // Flows come and go within the time of a few packets.
        let short = Duration::from_millis(30);
        settings.timeouts = FlowTimeouts {
            tcp_half_open: short,
            tcp_established: short * 3,
            tcp_closing: short * 2,
            tcp_closed: short,
            udp: short * 3,
            icmp: short,
            other: short,
            unanswered: short,
        };
    }
    settings
}

/// Follows the bytes of connections, and does all that may be done about them: refuses some, says so, keeps evidence, has seen
/// enough of others, and no longer wants the bytes of some more.
#[derive(Default)]
struct Listener {
    bytes: u64,
}

impl Inspector for Listener {
    /// Bytes of it so far, and whether they are still wanted.
    type Flow = (u64, bool);
    const INTEREST: Interest =
        Interest::PACKETS.and(Interest::STREAM).and(Interest::END).and(Interest::FAIL_CLOSED);

    fn name(&self) -> &str {
        "listener"
    }

    fn wants(&self, flow: &Self::Flow) -> Interest {
        let mut wants = Interest::PACKETS.and(Interest::END);
        if flow.1 {
            wants = wants.and(Interest::STREAM);
        }
        if flow.0 % 3 == 0 {
            wants = wants.and(Interest::FAIL_CLOSED);
        }
        wants
    }

    fn open(&mut self, _first: &Packet<'_>, _cx: &mut Context<'_>) -> Option<Self::Flow> {
        Some((0, true))
    }

    fn packet(
        &mut self,
        flow: &mut Self::Flow,
        packet: &Packet<'_>,
        _: &mut Context<'_>,
    ) -> Verdict {
        match flow.0 % 29 {
            7 if packet.payload().is_empty() => Verdict::drop(Reason::new("not-now")),
            _ => Verdict::PASS,
        }
    }

    fn stream(
        &mut self,
        flow: &mut Self::Flow,
        chunk: &StreamChunk<'_>,
        cx: &mut Context<'_>,
    ) -> Verdict {
        let len = chunk.data.len() as u64;
        (self.bytes, flow.0) = (self.bytes + len, flow.0 + len);
        if self.bytes % 7 == 0 {
            cx.alert(alert(format!("{:?} {} {:?}", chunk.side, chunk.offset, chunk.data)));
        }
        if self.bytes % 5 == 0 {
            cx.mark(1 << (self.bytes % 31));
        }
        if self.bytes % 11 == 0 {
            cx.capture();
        }
        match self.bytes % 41 {
            13 => Verdict::reject(Reason::new("unlucky")),
            17 => Verdict::drop(Reason::new("unlucky-drop")),
            19 => Verdict::PASS_FLOW,
            23 => {
                flow.1 = false;
                Verdict::PASS
            }
            _ => Verdict::PASS,
        }
    }

    fn close(&mut self, flow: Self::Flow, why: CloseReason, cx: &mut Context<'_>) {
        cx.alert(alert(format!("{} bytes, {why:?}, {:x}", flow.0, cx.marks())));
    }
}

/// Tells of what is understood in connections, or is not.
struct Reader;

impl Inspector for Reader {
    type Flow = u32;
    const INTEREST: Interest = Interest::MESSAGES;

    fn name(&self) -> &str {
        "reader"
    }

    fn wants(&self, flow: &u32) -> Interest {
        if *flow < 3 { Interest::MESSAGES } else { Interest::NONE }
    }

    fn open(&mut self, _first: &Packet<'_>, _cx: &mut Context<'_>) -> Option<u32> {
        Some(0)
    }

    fn message(&mut self, flow: &mut u32, message: &Message<'_>, cx: &mut Context<'_>) -> Verdict {
        *flow += 1;
        cx.alert(alert(format!("{:?} {:?}", message.side, message.what)));
        Verdict::PASS
    }
}

/// All that came of it, to the end of the last flow; alerts of one moment in no particular order.
fn whole<I: Inspector>(
    mut engine: Engine<I>,
    arrivals: &[Arrival],
    burst: usize,
    expiries: u64,
) -> (Course, [u64; 4]) {
    let mut latest = arrivals.first().map_or(Timestamp::from_nanos(START), |first| first.time);
    let mut course = run_with(&mut engine, arrivals, burst, |engine, burst, course| {
        let ahead = burst[0].time.saturating_since(latest);
        for part in 1..=expiries {
            let mut output = Output::new();
            let ahead = ahead.mul_f64(part as f64 / expiries as f64);
            engine.expire(latest.saturating_add(ahead), &mut output);
            course.add(&output);
        }
        latest = burst.iter().map(|arrival| arrival.time).fold(latest, Timestamp::max);
    });
    let mut output = Output::new();
    engine.expire(Timestamp::from_nanos(u64::MAX / 4), &mut output);
    course.add(&output);
    engine.drain(Timestamp::from_nanos(u64::MAX / 4), &mut output);
    course.add(&output);
    course.events.sort_by_cached_key(|event| format!("{event:?}"));
    let counters = engine.flow_counters();
    let ends = [counters.created, counters.expired(), counters.evicted(), counters.reused];
    (course, ends)
}

/// The first difference is easier to read than all of it.
#[track_caller]
fn agree((a, ends): &(Course, [u64; 4]), (b, expected): &(Course, [u64; 4])) {
    for (n, (a, b)) in a.outcomes.iter().zip(&b.outcomes).enumerate() {
        assert_eq!(a, b, "outcome of packet {n}");
    }
    for (a, b) in a.events.iter().zip(&b.events) {
        assert_eq!(a, b);
    }
    assert!(a == b, "the same outcomes and events, other packets");
    assert_eq!(ends, expected);
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: if cfg!(debug_assertions) { 32 } else { 256 },
        max_shrink_iters: 100,
        ..ProptestConfig::default()
    })]

    #[test]
    fn bursts_and_sweeps_do_not_count(
        arrivals in conversations(250),
        policy in 0..2_usize,
        is_short in any::<bool>(),
        cut in 2..100_usize,
        expiries in 1..4_u64,
    ) {
        let engine = || Engine::new(settings_of(policy, is_short), tuple).unwrap();
        let expected = whole(engine(), &arrivals, 1, 0);
        for burst in [cut, 7, 64, 1_000] {
            agree(&whole(engine(), &arrivals, burst, 0), &expected);
        }
        agree(&whole(engine(), &arrivals, 1, 1), &expected);
        agree(&whole(engine(), &arrivals, 1, expiries), &expected);
        agree(&whole(engine(), &arrivals, cut, expiries), &expected);
    }

    /// But inspectors are asked in the general way then.
    #[test]
    fn a_budget_that_nobody_exceeds_does_not_count(
        arrivals in conversations(400),
        policy in 0..2_usize,
        is_short in any::<bool>(),
        monitor in any::<bool>(),
    ) {
        let settings = || Settings { monitor, ..settings_of(policy, is_short) };
        let straight = Engine::new(settings(), || (Listener::default(), Reader)).unwrap();
        let general = Settings { budget: Some(unlimited()), ..settings() };
        let general = Engine::new(general, || (Listener::default(), Reader)).unwrap();
        agree(&whole(straight, &arrivals, 64, 0), &whole(general, &arrivals, 64, 0));
    }

    #[test]
    fn a_chain_judges_as_a_tuple(arrivals in conversations(250), policy in 0..2_usize) {
        let tuple = Engine::new(settings_of(policy, true), tuple).unwrap();
        let chain = Engine::<Chain>::new(settings_of(policy, true), chain).unwrap();
        agree(&whole(tuple, &arrivals, 64, 0), &whole(chain, &arrivals, 64, 0));
    }
}

/// Traffic that exercises what could go wrong: flows that end in all ways, and inspectors that judge by it.
#[test]
fn the_traffic_is_worth_it() {
    let counts = census(&conversations(250), 60, |arrivals| {
        let engine = Engine::new(settings_of(1, true), tuple).unwrap();
        let (course, [_, expired, _, _]) = whole(engine, &arrivals, 64, 0);
        let has = |reason: &str| course.outcomes.iter().any(|found| found.reason.name() == reason);
        (expired > 5, has("crowded"), has("bad-word"), course.injected.len() > 3)
    });
    let some = |what: fn(&(bool, bool, bool, bool)) -> bool| {
        counts.iter().filter(|(kind, _)| what(kind)).map(|(_, count)| count).sum::<u32>()
    };
    assert!(some(|kind| kind.0) > 20, "{counts:?}");
    assert!(some(|kind| kind.1) > 5, "{counts:?}");
    assert!(some(|kind| kind.2) > 20, "{counts:?}");
    assert!(some(|kind| kind.3) > 20, "{counts:?}");
}

/// What [`Tally`] says that is open, at the beginning of a flow.
fn open_flows(sent: Sent) -> Vec<String> {
    let alerts = sent.events.into_iter().filter_map(|event| match event.what {
        EventKind::Alert(alert) => Some(alert.message.into_owned()),
        _ => None,
    });
    alerts.filter(|message| message.ends_with("open")).collect()
}

/// The table counts time-outs in steps that begin with the first packet, not with the epoch: a flow that ends between
/// two steps of the clock has ended for the next packet.
#[test]
fn flows_end_in_the_steps_of_the_table() {
    let step = 1 << 24;
    for offset in [0, 1, step / 3, step / 2, step - 1] {
        for ahead in (2 * step..4 * step).step_by(1 << 18) {
            let first = START / step * step + offset;
            let settings = || settings_of(1, true);
            let after = |with_expire: bool| {
                let mut engine = Engine::new(settings(), Tally::default).unwrap();
                let (client, other) = (pair().0, pair().0.with_port(9));
                let (then, now) =
                    (Timestamp::from_nanos(first), Timestamp::from_nanos(first + ahead));
                send(&mut engine, then, &client, &client.udp(b""));
                let just_before = Timestamp::from_nanos(first + ahead - (1 << 20));
                let third = client.with_port(8);
                send(&mut engine, just_before, &third, &third.udp(b""));
                if with_expire {
                    engine.expire(now, &mut Output::new());
                }
                let sent = send(&mut engine, now, &other, &other.udp(b""));
                open_flows(sent)
            };
            assert_eq!(after(false), after(true), "{offset} {ahead}");
        }
    }
}

/// Who looks for the ends of flows may have the time of a datagram that found none, when there were none at all, and of
/// which a later one is a little earlier.
#[test]
fn datagrams_without_a_flow_count_for_time() {
    let step = 1 << 24;
    let at = |nanos| Timestamp::from_nanos(START + nanos);
    let (client, _) = pair();
    let sides = [9, 8, 7].map(|port| client.with_port(port));
    for ahead in (0..step).step_by(1 << 20) {
        for later in (2 * step..4 * step).step_by(1 << 20) {
            let after = |with_expire: bool| {
                let mut engine = Engine::new(settings_of(1, true), Tally::default).unwrap();
                send(&mut engine, at(0), &client, &client.udp(b""));
                let nothing = 1_000_000_000;
                send(&mut engine, at(nothing), &client, &[0x40]);
                assert_eq!(engine.flow_counters().expired(), 1);
                send(&mut engine, at(nothing + ahead), &client, &[0x40]);
                let earlier = at(nothing + ahead - (1 << 20));
                send(&mut engine, earlier, &sides[0], &sides[0].udp(b""));
                if with_expire {
                    engine.expire(at(nothing + ahead), &mut Output::new());
                }
                send(&mut engine, earlier, &sides[1], &sides[1].udp(b""));
                let last = at(nothing + ahead + later);
                open_flows(send(&mut engine, last, &sides[2], &sides[2].udp(b"")))
            };
            assert_eq!(after(false), after(true), "{ahead} {later}");
        }
    }
}
