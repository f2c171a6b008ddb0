use std::mem::take;
use std::sync::{Arc, Mutex};

use gwlb_geneve::engine::{Disposition, Engine, Settings};
use gwlb_geneve::inspect::*;
use proptest::collection::vec;
use proptest::prelude::*;

use crate::common::*;
use crate::support::traffic::*;

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(256) })]

    /// Cut anywhere, in any order, any part any number of times: each byte is shown once, in order, and the receiver
    /// gets the same bytes.
    #[test]
    fn any_cut_and_order_is_one_stream(
        data in vec(any::<u8>(), 1..300),
        parts in vec((0..300_usize, 1..60_usize), 1..60),
    ) {
        let (engine, client, server) = recording(settings());
        let mut talk = Talk::new(engine);
        let mut received = vec![None; data.len()];
        for (start, len) in parts {
            let start = start % data.len();
            let end = data.len().min(start + len);
            let sent = talk.ask_at(1_000 + start as u32, &data[start..end]);
            prop_assert_eq!(sent.outcome.disposition, Disposition::Forward);
            received[start..end].iter_mut().zip(&data[start..end]).for_each(|(to, from)| *to = Some(*from));
        }
        let contiguous: Vec<u8> = received.iter().map_while(|byte| *byte).collect();
        prop_assert_eq!(&*client.lock().unwrap(), &contiguous);
        prop_assert!(server.lock().unwrap().is_empty());
    }
}

#[test]
fn both_sides_are_shown_apart() {
    let (engine, client, server) = recording(settings());
    let mut talk = Talk::new(engine);
    for n in 0..10_u8 {
        talk.ask(&[n; 100]).assert_forwarded();
        talk.answer(&[n + 100; 50]).assert_forwarded();
    }
    assert_eq!((client.lock().unwrap().len(), server.lock().unwrap().len()), (1_000, 500));
    assert!(server.lock().unwrap().iter().all(|byte| *byte >= 100));
}

/// Marks stay with the flow, also where they are all that comes of a segment; on the straight way and on the general one.
#[test]
fn marks_of_bytes_stay_with_their_flow() {
    for budget in [None, Some(unlimited())] {
        let marks = Arc::new(Mutex::new(Vec::new()));
        let make = {
            let marks = Arc::clone(&marks);
            move || {
                let marks = Arc::clone(&marks);
                stream_fn("marks", move |chunk, cx| {
                    marks.lock().unwrap().push(cx.marks());
                    cx.mark(1 << chunk.data[0]);
                    Verdict::PASS
                })
            }
        };
        let mut talk = Talk::new(Engine::new(Settings { budget, ..settings() }, make).unwrap());
        talk.ask(&[1]).assert_forwarded();
        talk.answer(&[2]).assert_forwarded();
        talk.ask(&[3]).assert_forwarded();
        talk.ask(&[4]).assert_forwarded();
        assert_eq!(*marks.lock().unwrap(), [0, 0b10, 0b110, 0b1110]);
    }
}

/// A member that is done with a flow, or refuses it, is told of its end, and the others see the rest.
#[test]
fn who_is_done_costs_nothing() {
    let make = || {
        let done = stream_fn("done", |_, _| Verdict::PASS_FLOW);
        (done, packet_fn("packets", |_, _| Verdict::PASS))
    };
    let mut talk = Talk::new(Engine::new(settings(), make).unwrap());
    assert_eq!(talk.engine.streams().connections, 1);
    talk.ask(b"one").assert_forwarded();
    assert_eq!(talk.engine.streams(), Default::default());
    talk.ask(b"two").assert_forwarded();
}

/// However a flow ends, nothing of its stream is left.
#[test]
fn every_end_gives_everything_back() {
    let engine = || recording(settings()).0;
    let busy = |mut talk: Talk<_>| {
        talk.ask(b"not acknowledged").assert_forwarded();
        talk.ask_at(1_100, b"out of order").assert_forwarded();
        assert_eq!(talk.engine.streams().connections, 1);
        assert!(talk.engine.streams().bytes > 0);
        talk
    };
    let mut output = gwlb_geneve::engine::Output::new();

    let mut talk = busy(Talk::new(engine()));
    talk.engine.drain(at(1), &mut output);
    assert_eq!((talk.engine.streams().connections, talk.engine.streams().bytes), (0, 0));

    let mut talk = busy(Talk::new(engine()));
    talk.engine.expire(at(10_000), &mut output);
    assert_eq!((talk.engine.streams().connections, talk.engine.streams().bytes), (0, 0));
}

/// A panic costs its own flow, and what was held for that.
#[test]
fn a_panic_in_the_middle_of_a_stream_is_contained() {
    for policy in [ExceptionPolicy::AVAILABLE, ExceptionPolicy::STRICT] {
        let settings = Settings { policy, ..settings() };
        let make = || {
            stream_fn("fragile", |chunk, _| {
                if chunk.data.contains(&b'!') {
                    std::panic::resume_unwind(Box::new("as the test says"));
                }
                Verdict::PASS
            })
        };
        let mut talk = Talk::new(Engine::new(settings, make).unwrap());
        talk.ask(b"fine").assert_forwarded();
        let sent = talk.ask(b"now!");
        assert_eq!(sent.outcome.exception, Some(Exception::InspectorPanic));
        let is_passed = policy == ExceptionPolicy::AVAILABLE;
        assert_eq!(sent.is_forwarded(), is_passed);
        assert_eq!(talk.ask(b"again!").is_forwarded(), is_passed);
        assert_eq!((talk.engine.streams(), talk.engine.counters().panics), (Default::default(), 1));
    }
}

/// In bursts as one by one.
#[test]
fn a_burst_is_put_in_order_as_well() {
    use gwlb_geneve::engine::{Datagram, Output};

    let (engine, client, _) = recording(settings());
    let mut talk = Talk::new(engine);
    let mut payloads: Vec<Vec<u8>> = (0..40_u32)
        .rev()
        .map(|n| talk.client.envelope(&talk.client.tcp(ACK, 1_000 + 10 * n, 5_000, &[n as u8; 10])))
        .collect();
    // Other bytes for what is under way, in the same burst.
    payloads.push(talk.client.envelope(&talk.client.tcp(ACK, 1_000, 5_000, &[0xff; 400])));
    let outer = talk.client.outer();
    let mut burst: Vec<Datagram<'_>> =
        payloads.iter_mut().map(|payload| Datagram::new(at(1), outer, payload)).collect();
    let mut output = Output::new();
    talk.engine.process(&mut burst, &mut output);
    let (last, others) = output.outcomes().split_last().unwrap();
    assert!(others.iter().all(|outcome| outcome.disposition == Disposition::Forward));
    assert_eq!(last.disposition, Disposition::ForwardEdited);
    let expected: Vec<u8> = (0..40).flat_map(|n| [n; 10]).collect();
    assert_eq!(take(&mut *client.lock().unwrap()), expected);
    let payload = burst.last().unwrap().payload();
    assert_eq!(payload[payload.len() - 400..], expected);
}
