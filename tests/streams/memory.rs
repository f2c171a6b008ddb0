use gwlb_geneve::engine::{Datagram, Output, Settings};
use gwlb_geneve::flow::FlowLimits;
use gwlb_geneve::inspect::*;
use gwlb_geneve::stream::StreamLimits;

use crate::common::*;
use crate::support::traffic::*;

/// As many connections as there may be, each with a gap before bytes that wait: memory has its cap, what cannot be kept is not
/// forwarded, and other flows' bytes in order are still judged.
#[test]
fn a_hundred_thousand_flows_with_a_gap_each() {
    const FLOWS: usize = 100_000;

    let limits =
        StreamLimits { bytes: 8 << 20, connections_per_endpoint: FLOWS, ..StreamLimits::default() };
    let flows = FlowLimits { flows: 1 << 17, ..FlowLimits::default() };
    let settings =
        Settings { flows, streams: limits, policy: ExceptionPolicy::STRICT, ..settings() };
    let make = || stream_fn("reader", |_, _| Verdict::PASS);
    let mut engine = gwlb_geneve::engine::Engine::new(settings, make).unwrap();
    let promised = engine.memory();
    let mut output = Output::new();
    let mut stored = 0;
    for n in 0..FLOWS {
        let [a, b, c, _] = (n as u32).to_le_bytes();
        let (client, server) = sides(&format!("10.{c}.{b}.{a}:40000"), "10.200.0.1:443");
        let mut payloads = [
            client.envelope(&client.tcp(SYN, 999, 0, &[])),
            server.envelope(&server.tcp(SYN | ACK, 4_999, 1_000, &[])),
            client.envelope(&client.tcp(ACK, 1_000, 5_000, &[])),
            client.envelope(&client.tcp(ACK, 1_100, 5_000, &[b'x'; 700])),
        ];
        let [p, q, r, s] = &mut payloads;
        let mut burst = [
            Datagram::new(at(1), client.outer(), p),
            Datagram::new(at(1), server.outer(), q),
            Datagram::new(at(1), client.outer(), r),
            Datagram::new(at(1), client.outer(), s),
        ];
        engine.process(&mut burst, &mut output);
        let [.., last] = output.outcomes() else { panic!() };
        if last.disposition.is_forward() {
            stored += 1;
        } else {
            assert_eq!(last.exception, Some(Exception::OutOfOrderNotStored));
        }
        assert!(engine.streams().bytes <= limits.bytes);
    }
    assert_eq!(engine.streams().connections, FLOWS);
    assert!(stored > 1_000 && stored < FLOWS, "{stored}");
    assert_eq!(engine.memory(), promised);
    engine.drain(at(2), &mut output);
    assert_eq!((engine.streams().connections, engine.streams().bytes), (0, 0));
}

/// Nothing is allocated for a segment in order once there was one like it.
#[test]
fn a_segment_in_order_allocates_nothing() {
    let mut talk = Talk::new(
        gwlb_geneve::engine::Engine::new(settings(), || {
            (stream_fn("reader", |_, _| Verdict::PASS), no_admin())
        })
        .unwrap(),
    );
    let request =
        [b"POST /upload HTTP/1.1\r\nContent-Length: 100000000\r\n\r\n".as_slice()].concat();
    talk.ask(&request).assert_forwarded();
    let mut output = Output::new();
    let mut payloads = Vec::new();
    for n in 0..200 {
        let client = talk.client.tcp(ACK, talk.next[0] + n * 1_000, 5_000, &[b'x'; 1_000]);
        let server = talk.server.tcp(ACK, 5_000, talk.next[0] + (n + 1) * 1_000, &[]);
        payloads.push((talk.client.envelope(&client), talk.server.envelope(&server)));
    }
    let (client, server) = (talk.client.outer(), talk.server.outer());
    for (n, (there, back)) in payloads.iter_mut().enumerate() {
        let mut burst = [Datagram::new(at(1), client, there), Datagram::new(at(1), server, back)];
        let count = allocation_counter::measure(|| talk.engine.process(&mut burst, &mut output));
        assert!(output.outcomes().iter().all(|outcome| outcome.disposition.is_forward()));
        if n > 20 {
            assert_eq!(count.count_total, 0, "segment {n}");
        }
    }
}
