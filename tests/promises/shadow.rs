//! A second policy changes nothing, and finds what it is there to find.

use gwlb_geneve::engine::{Datagram, Engine, Output, Settings};
use gwlb_geneve::inspect::{Chain, Inspector, Reason, Verdict, packet_fn};
use gwlb_geneve::runtime::{Shadow, ShadowCounters};
use proptest::prelude::*;

use crate::common::{POLICIES, censor, chain, with_policy};
use crate::support::traffic::*;

/// What comes of it, with a second policy looking on, and what that one says.
fn course<I: Inspector>(
    engine: &mut Engine<I>,
    arrivals: &[Arrival],
    burst: usize,
    mut shadow: Option<&mut Shadow>,
) -> (Course, Vec<String>) {
    let (mut course, mut output, mut told) = (Course::default(), Output::new(), Vec::new());
    for arrivals in arrivals.chunks(burst) {
        let mut payloads: Vec<_> = arrivals.iter().map(|it| it.payload.clone()).collect();
        let mut datagrams: Vec<_> = arrivals
            .iter()
            .zip(&mut payloads)
            .map(|(arrival, payload)| Datagram::new(arrival.time, arrival.outer, payload))
            .collect();
        engine.process(&mut datagrams, &mut output);
        if let Some(shadow) = &mut shadow {
            let before = course.payloads.len();
            shadow.compare(&datagrams, &output, |it| {
                told.push(format!("{}: {it}", before + it.place));
            });
        }
        course.add(&output);
        drop(datagrams);
        course.payloads.extend(payloads);
    }
    (course, told)
}

/// Refuses less than [`chain`], and something else.
fn other() -> Chain {
    let mut chain = Chain::new();
    chain.push(censor()).unwrap();
    let odd = packet_fn("odd", |packet, _| match packet.five_tuple().ports {
        Some(ports) if ports.source % 3 == 0 => Verdict::reject(Reason::new("odd")),
        _ => Verdict::PASS,
    });
    chain.push(odd).unwrap();
    chain
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: if cfg!(debug_assertions) { 24 } else { 128 },
        max_shrink_iters: 100,
        ..ProptestConfig::default()
    })]

    #[test]
    fn it_changes_nothing(
        arrivals in conversations(200),
        policy in 0..2_usize,
        shadow_policy in 0..2_usize,
        burst in 1..100_usize,
    ) {
        let engine = || Engine::<Chain>::new(with_policy(POLICIES[policy]), chain).unwrap();
        let (expected, _) = course(&mut engine(), &arrivals, burst, None);
        let counters = ShadowCounters::default();
        let settings = with_policy(POLICIES[shadow_policy]);
        let mut shadow = Shadow::new(&settings, 1, other, &counters).unwrap();
        let mut observed = engine();
        let (found, told) = course(&mut observed, &arrivals, burst, Some(&mut shadow));
        prop_assert_eq!(found, expected);
        prop_assert_eq!(observed.counters(), {
            let mut alone = engine();
            course(&mut alone, &arrivals, burst, None);
            &alone.counters().clone()
        });
        prop_assert_eq!(counters.datagrams(), arrivals.len() as u64);
        prop_assert_eq!(counters.would_differ(), told.len() as u64);
    }

    /// It finds a difference exactly where an engine that has the traffic to itself decides otherwise.
    #[test]
    fn it_finds_what_differs(
        arrivals in conversations(200),
        monitor in any::<bool>(),
        burst in 1..100_usize,
    ) {
        let settings = || Settings { mss: None, ..with_policy(POLICIES[0]) };
        let watching = Settings { monitor, ..settings() };
        let mut engine = Engine::<Chain>::new(watching, chain).unwrap();
        let counters = ShadowCounters::default();
        let mut shadow = Shadow::new(&settings(), 1, other, &counters).unwrap();
        let (first, told) = course(&mut engine, &arrivals, burst, Some(&mut shadow));
        let mut second = Engine::<Chain>::new(settings(), other).unwrap();
        let (second, _) = course(&mut second, &arrivals, burst, None);
        let passes = |outcome: &gwlb_geneve::engine::Outcome| {
            outcome.disposition.is_forward() && outcome.would.is_none()
        };
        for (number, (first, second)) in first.outcomes.iter().zip(&second.outcomes).enumerate() {
            let start = format!("{number}: ");
            let said = told.iter().find(|it| it.starts_with(&start));
            if passes(first) != passes(second) {
                let said = said.expect("a difference");
                prop_assert_eq!(said.contains("would forward;"), passes(second), "{}", said);
            } else if passes(first) {
                prop_assert_eq!(said, None);
            }
        }
    }

    #[test]
    fn the_same_policy_differs_nowhere(arrivals in conversations(200), burst in 1..100_usize) {
        let settings = Settings { mss: None, ..with_policy(POLICIES[1]) };
        let mut engine = Engine::<Chain>::new(settings.clone(), chain).unwrap();
        let counters = ShadowCounters::default();
        let mut shadow = Shadow::new(&settings, 1, chain, &counters).unwrap();
        let (_, told) = course(&mut engine, &arrivals, burst, Some(&mut shadow));
        prop_assert_eq!(told, [""; 0]);
        prop_assert_eq!(counters.would_differ(), 0);
    }
}
