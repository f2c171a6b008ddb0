//! Promise 4: established flows survive a flood: they pass, and inspectors remember them.

use gwlb_geneve::engine::{Engine, Settings};
use gwlb_geneve::flow::FlowLimits;
use gwlb_geneve::inspect::{
    Context, ExceptionPolicy, Inspector, Interest, Packet, Reason, Verdict,
};

use crate::common::{POLICIES, with_policy};
use crate::support::traffic::*;

/// Knows how many packets with data a flow had, and drops one that says otherwise.
struct Memory;

impl Inspector for Memory {
    type Flow = u8;
    const INTEREST: Interest = Interest::PACKETS;

    fn name(&self) -> &str {
        "memory"
    }

    fn open(&mut self, _first: &Packet<'_>, _cx: &mut Context<'_>) -> Option<u8> {
        Some(0)
    }

    fn packet(&mut self, seen: &mut u8, packet: &Packet<'_>, _cx: &mut Context<'_>) -> Verdict {
        match packet.payload() {
            [b'#', claimed] if claimed != seen => Verdict::drop(Reason::new("forgotten")),
            [b'#', _] => {
                *seen += 1;
                Verdict::PASS
            }
            _ => Verdict::PASS,
        }
    }
}

/// What comes in masses.
#[derive(Clone, Copy, Debug)]
enum Kind {
    Syns,
    Segments,
    Datagrams,
    FirstFragments,
    LaterFragments,
    Errors,
}

const KINDS: [Kind; 6] = [
    Kind::Syns,
    Kind::Segments,
    Kind::Datagrams,
    Kind::FirstFragments,
    Kind::LaterFragments,
    Kind::Errors,
];

fn wave(kind: Kind, side: &Side, from: u16, packets: u16) -> Vec<Arrival> {
    let one = |n: u16| {
        let side = side.with_port(n);
        let part = |part: usize| fragments(&side.udp(&[b'x'; 40]), n, 24)[part].clone();
        let inner = match kind {
            Kind::Syns => side.tcp(SYN, 1, 0, b""),
            Kind::Segments => side.tcp(ACK, 1, 1, b"x"),
            Kind::Datagrams => side.udp(b"x"),
            Kind::FirstFragments => part(0),
            Kind::LaterFragments => part(1),
            Kind::Errors => side.unreachable(&side.back().udp(b"x")),
        };
        side.arrival(at_millis(1_000 + u64::from(n) / 10), &inner)
    };
    (from..from + packets).map(one).collect()
}

/// Three flows of which both ends are known: TCP, UDP and ping.
fn established<I: Inspector>(engine: &mut Engine<I>, sides: &(Side, Side)) {
    let (client, server) = sides;
    handshake(engine, at(0), sides);
    for (side, inner) in [(client, client.udp(b"")), (server, server.udp(b""))] {
        send(engine, at(0), side, &inner).assert_forwarded();
    }
}

fn goes_on<I: Inspector>(engine: &mut Engine<I>, (client, server): &(Side, Side), round: u8) {
    let now = at_millis(2_000 + u64::from(round) * 200);
    for (n, side) in [client, server].into_iter().enumerate() {
        let data = [b'#', round * 2 + n as u8];
        let (seq, ack) = if n == 0 { (1_000, 5_000) } else { (5_000, 1_000) };
        let offset = u32::from(round) * 2;
        let segment = side.tcp(ACK, seq + offset, ack + offset + 2 * n as u32, &data);
        let sent = send(engine, now, side, &segment);
        sent.assert_forwarded();
        assert_eq!(sent.outcome.exception, None, "the flow is known");
        let sent = send(engine, now, side, &side.udp(&data));
        sent.assert_forwarded();
        assert_eq!(sent.outcome.exception, None);
    }
}

#[test]
fn by_strangers_and_neighbours() {
    let (client, server) = sides("10.9.0.1:50000", "10.9.0.2:443");
    for policy in POLICIES {
        for kind in KINDS {
            for attacker in [pair().0, pair().0.through(2), client, server] {
                let flows = FlowLimits { flows: 64, endpoints: 4, ..FlowLimits::default() };
                let settings = Settings { flows, fragments: 8, ..with_policy(policy) };
                let mut engine = Engine::new(settings, || Memory).unwrap();
                let ends = (client, server);
                established(&mut engine, &ends);
                for round in 0..5 {
                    let from = 1 + u16::from(round) * 1_000;
                    run(&mut engine, &wave(kind, &attacker, from, 1_000), 64);
                    goes_on(&mut engine, &ends, round);
                }
                assert!(engine.flows() <= 64);
            }
        }
    }
}

/// Where all flows are established, a new one finds no room, and none of them makes room.
#[test]
fn where_there_is_nothing_left_to_give_up() {
    for policy in POLICIES {
        let flows = FlowLimits { flows: 64, endpoints: 4, ..FlowLimits::default() };
        let mut engine = Engine::new(Settings { flows, ..with_policy(policy) }, || Memory).unwrap();
        let all: Vec<_> =
            (0..32).map(|n| sides(&format!("10.9.0.1:{}", 50_000 + n), "10.9.0.2:443")).collect();
        for ends in &all {
            established(&mut engine, ends);
        }
        for kind in KINDS {
            run(&mut engine, &wave(kind, &pair().0, 1, 300), 64);
        }
        assert_eq!(engine.flow_counters().evicted(), 0);
        assert!(engine.flow_counters().refused_full > 0);
        let is_available = policy == ExceptionPolicy::AVAILABLE;
        let new = send(&mut engine, at(2), &pair().0, &pair().0.udp(b"new"));
        assert_eq!(new.is_forwarded(), is_available);
        for ends in &all {
            goes_on(&mut engine, ends, 0);
        }
    }
}
