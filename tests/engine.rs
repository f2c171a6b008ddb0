//! What an engine makes of conversations, packet by packet.
#![cfg(feature = "std")]

mod support;

use gwlb_geneve::engine::*;
use gwlb_geneve::inspect::*;
use gwlb_geneve::packet::{IpPacket, TcpFlags, Transport};
use support::traffic::*;

const BAD: Reason = Reason::new("bad-word");

/// Rejects a packet that holds "bad", drops one that holds "ugly", drops the flow of one that holds "never", and is
/// done with a flow that says "done".
fn censor() -> impl Inspector {
    packet_fn("censor", |packet, _| {
        let has = |word: &[u8]| packet.payload().windows(word.len()).any(|found| found == word);
        if has(b"bad") {
            Verdict::reject(BAD)
        } else if has(b"ugly") {
            Verdict::drop(Reason::new("ugly-word"))
        } else if has(b"never") {
            Verdict::drop(Reason::new("never-word")).for_flow()
        } else if has(b"done") {
            Verdict::PASS_FLOW
        } else {
            Verdict::PASS
        }
    })
}

fn engine() -> Engine<impl Inspector> {
    Engine::new(settings(), censor).unwrap()
}

#[test]
fn a_rejected_connection_dies_on_both_sides() {
    for sides in [pair(), pair_v6()] {
        let mut engine = engine();
        let (client, server) = sides;
        handshake(&mut engine, at(0), &sides);
        let hello = client.tcp(ACK | PSH, 1_000, 5_000, b"hello");
        send(&mut engine, at(1), &client, &hello).assert_forwarded();
        let welcome = server.with_cookie(9).tcp(ACK | PSH, 5_000, 1_005, b"welcome");
        send(&mut engine, at(1), &server.with_cookie(9), &welcome).assert_forwarded();

        let bad = client.tcp(ACK | PSH, 1_005, 5_007, b"bad");
        let refused = send(&mut engine, at(2), &client, &bad);
        refused.assert_refused("bad-word");
        assert_eq!(refused.outcome.disposition, Disposition::Reject);
        let [(_, to_server, rst_to_server), (_, to_client, rst_to_client)] = &refused.injected[..]
        else {
            panic!("{:?}", refused.injected)
        };
        // As from the client, at exactly the next byte that the server expects, in the client's envelope.
        let rst = segment(rst_to_server);
        assert_eq!((rst.flags(), rst.sequence_number()), (TcpFlags::RST, 1_005));
        assert_eq!((rst.source_port(), rst.destination_port()), (40_000, 443));
        assert_eq!(to_server, &client.envelope(rst_to_server)[..40]);
        // As from the server, at the number that the client acknowledged, in the server's latest envelope.
        let rst = segment(rst_to_client);
        assert_eq!((rst.flags(), rst.sequence_number()), (TcpFlags::RST, 5_007));
        assert_eq!(to_client, &server.with_cookie(9).envelope(rst_to_client)[..40]);

        // Whatever comes now is dropped, and answered at the number that it acknowledges.
        let innocent = client.tcp(ACK, 1_005, 5_007, b"innocent");
        let after = send(&mut engine, at(3), &client, &innocent);
        after.assert_refused("bad-word");
        let [(_, _, rst)] = &after.injected[..] else { panic!("{:?}", after.injected) };
        assert_eq!(segment(rst).sequence_number(), 5_007);
        let challenge = server.tcp(ACK, 5_007, 1_005, b"");
        let after = send(&mut engine, at(3), &server, &challenge);
        let [(_, _, rst)] = &after.injected[..] else { panic!("{:?}", after.injected) };
        assert_eq!(segment(rst).sequence_number(), 1_005);
        // A RST is never answered, and a SYN revives nothing.
        let reset = server.tcp(RST, 5_007, 0, b"");
        let after = send(&mut engine, at(3), &server, &reset);
        after.assert_refused("bad-word");
        assert!(after.injected.is_empty());
        let syn = client.tcp(SYN, 77, 0, b"");
        send(&mut engine, at(4), &client, &syn).assert_refused("bad-word");
    }
}

#[test]
fn answers_to_a_dead_flow_are_limited() {
    let mut engine = engine();
    let sides @ (client, _) = pair();
    handshake(&mut engine, at(0), &sides);
    send(&mut engine, at(0), &client, &client.tcp(ACK, 1_000, 5_000, b"bad"))
        .assert_refused("bad-word");
    let packet = client.tcp(ACK, 1_003, 5_000, b"more");
    let answers: usize =
        (0..100).map(|n| send(&mut engine, at_millis(n), &client, &packet).injected.len()).sum();
    assert_eq!(answers, 4);
    assert_eq!(engine.counters().answers_withheld, 96);
}

#[test]
fn a_rejected_syn_is_answered_to_the_client_alone() {
    let mut engine = engine();
    let (client, _) = pair();
    let refused = send(&mut engine, at(0), &client, &client.tcp(SYN, 999, 0, b"bad"));
    let [(_, _, rst)] = &refused.injected[..] else { panic!("{:?}", refused.injected) };
    let rst = segment(rst);
    assert_eq!(rst.flags(), TcpFlags::RST | TcpFlags::ACK);
    assert_eq!((rst.sequence_number(), rst.acknowledgment_number()), (0, 1_003));
    assert_eq!((rst.source_port(), rst.destination_port()), (443, 40_000));
}

#[test]
fn what_is_not_tcp_is_told_by_icmp() {
    let mut engine = engine();
    let (client, _) = sides("10.1.0.10:40000", "10.2.0.20:53");
    let refused = send(&mut engine, at(0), &client, &client.udp(b"bad"));
    let [(_, _, answer)] = &refused.injected[..] else { panic!("{:?}", refused.injected) };
    let answer = IpPacket::parse(answer).unwrap();
    assert_eq!(answer.destination(), client.from.ip());
    let Transport::Icmp(message) = answer.transport().unwrap() else { panic!("{answer:?}") };
    assert_eq!(message.quoted().unwrap().unwrap().destination(), client.to.ip());

    let quiet = Settings { icmp_answers: false, ..settings() };
    let mut engine = Engine::new(quiet, censor).unwrap();
    let refused = send(&mut engine, at(0), &client, &client.udp(b"bad"));
    assert_eq!((refused.outcome.disposition, refused.injected.len()), (Disposition::Reject, 0));
}

#[test]
fn a_dropped_packet_is_one_packet_and_a_dropped_flow_is_silent() {
    let mut engine = engine();
    let sides @ (client, server) = pair();
    handshake(&mut engine, at(0), &sides);
    let ugly = client.tcp(ACK, 1_000, 5_000, b"ugly");
    let dropped = send(&mut engine, at(1), &client, &ugly);
    dropped.assert_refused("ugly-word");
    assert!(dropped.injected.is_empty());
    send(&mut engine, at(1), &client, &client.tcp(ACK, 1_000, 5_000, b"nice")).assert_forwarded();
    let never = client.tcp(ACK, 1_004, 5_000, b"never");
    assert!(send(&mut engine, at(1), &client, &never).injected.is_empty());
    let after = send(&mut engine, at(1), &server, &server.tcp(ACK, 5_000, 1_004, b"nice"));
    after.assert_refused("never-word");
    assert!(after.injected.is_empty());
}

#[test]
fn a_flow_that_inspectors_are_done_with_is_bypassed() {
    let mut engine = engine();
    let sides @ (client, server) = pair();
    handshake(&mut engine, at(0), &sides);
    send(&mut engine, at(1), &client, &client.tcp(ACK, 1_000, 5_000, b"done")).assert_forwarded();
    send(&mut engine, at(1), &server, &server.tcp(ACK, 5_000, 1_004, b"bad")).assert_forwarded();
}

/// Only at exactly the next byte do receivers believe a RST; an attacker who guesses must not make the engine forget
/// a connection that goes on.
#[test]
fn a_reset_out_of_place_closes_nothing() {
    let mut engine = engine();
    let sides @ (client, server) = pair();
    handshake(&mut engine, at(0), &sides);
    for seq in [0, 999, 1_001, 70_000] {
        send(&mut engine, at(1), &client, &client.tcp(RST, seq, 0, b"")).assert_forwarded();
    }
    // Closed flows are forgotten after ten seconds, and would be taken for midstream.
    let later = client.tcp(ACK, 1_000, 5_000, b"still here");
    assert_eq!(send(&mut engine, at(60), &client, &later).outcome.exception, None);
    send(&mut engine, at(61), &server, &server.tcp(RST, 5_000, 0, b"")).assert_forwarded();
    let late = client.tcp(ACK, 1_010, 5_000, b"too late");
    let late = send(&mut engine, at(90), &client, &late);
    assert_eq!(late.outcome.exception, Some(Exception::Midstream));
}

#[test]
fn a_refused_connection_attempt_is_over() {
    let mut engine = engine();
    let (client, server) = pair();
    send(&mut engine, at(0), &client, &client.tcp(SYN, 999, 0, b"")).assert_forwarded();
    send(&mut engine, at(0), &server, &server.tcp(RST | ACK, 0, 1_000, b"")).assert_forwarded();
    send(&mut engine, at(0), &client, &client.tcp(SYN, 2_000, 0, b"")).assert_forwarded();
    assert_eq!(engine.flow_counters().reused, 1);
}

#[test]
fn a_syn_replaces_a_live_flow_only_after_it_is_answered() {
    let mut engine = engine();
    let sides @ (client, server) = pair();
    handshake(&mut engine, at(0), &sides);
    send(&mut engine, at(1), &client, &client.tcp(ACK, 1_000, 5_000, b"done")).assert_forwarded();
    send(&mut engine, at(2), &client, &client.tcp(SYN, 70_000, 0, b"")).assert_forwarded();
    // The old one is still bypassed, and a stranger's SYN-ACK is no answer.
    send(&mut engine, at(2), &server, &server.tcp(SYN | ACK, 1, 99, b"")).assert_forwarded();
    send(&mut engine, at(2), &client, &client.tcp(ACK, 1_004, 5_000, b"bad")).assert_forwarded();
    assert_eq!(engine.counters().replaced, 0);
    send(&mut engine, at(3), &server, &server.tcp(SYN | ACK, 80_000, 70_001, b""))
        .assert_forwarded();
    assert_eq!((engine.counters().replaced, engine.flows()), (1, 1));
    let bad = client.tcp(ACK, 70_001, 80_001, b"bad");
    let refused = send(&mut engine, at(3), &client, &bad);
    refused.assert_refused("bad-word");
    let numbers: Vec<u32> =
        refused.injected.iter().map(|(_, _, rst)| segment(rst).sequence_number()).collect();
    assert_eq!(numbers, [70_001, 80_001]);
}

/// What is lost before it came here is no gap for ever: the receiver's acknowledgment says what it has.
#[test]
fn resets_are_in_place_after_losses() {
    let mut engine = engine();
    let sides @ (client, server) = pair();
    handshake(&mut engine, at(0), &sides);
    // Bytes 1,000 to 1,099 went another way.
    send(&mut engine, at(1), &client, &client.tcp(ACK, 1_100, 5_000, &[b'x'; 100]))
        .assert_forwarded();
    send(&mut engine, at(1), &server, &server.tcp(ACK, 5_000, 1_200, b"")).assert_forwarded();
    let refused = send(&mut engine, at(2), &client, &client.tcp(ACK, 1_200, 5_000, b"bad"));
    assert_eq!(segment(&refused.injected[0].2).sequence_number(), 1_200);
}

#[test]
fn a_damaged_packet_is_dropped_unseen() {
    let mut engine = engine();
    let sides @ (client, _) = pair();
    handshake(&mut engine, at(0), &sides);
    let mut bad = client.tcp(ACK, 1_000, 5_000, b"bad");
    *bad.last_mut().unwrap() ^= 1;
    send(&mut engine, at(1), &client, &bad).assert_refused("tcp-checksum");
    let mut bad = client.tcp(ACK, 1_000, 5_000, b"fine");
    bad[8] ^= 1;
    send(&mut engine, at(1), &client, &bad).assert_refused("ipv4-header-checksum");
    let ignore = Settings { checksums: Checksums::Ignore, ..settings() };
    let mut engine = Engine::new(ignore, censor).unwrap();
    send(&mut engine, at(1), &client, &bad).assert_forwarded();
}

#[test]
fn a_monitor_says_what_it_would_have_done() {
    let mut engine = Engine::new(Settings { monitor: true, ..settings() }, censor).unwrap();
    let sides @ (client, server) = pair();
    handshake(&mut engine, at(0), &sides);
    for (packet, side) in [
        (client.tcp(ACK, 1_000, 5_000, b"bad"), client),
        (server.tcp(ACK, 5_000, 1_003, b"nice"), server),
    ] {
        let passed = send(&mut engine, at(1), &side, &packet);
        passed.assert_forwarded();
        assert_eq!((passed.outcome.would, passed.outcome.reason), (Some(Action::Reject), BAD));
        assert!(passed.injected.is_empty());
    }
    assert_eq!(engine.counters().would, 2);
}

#[test]
fn alerts_marks_captures_and_injections_come_out() {
    let make = || {
        packet_fn("talker", |packet, cx| {
            if packet.payload() == b"go" {
                cx.mark(4);
                cx.capture();
                cx.alert(Alert {
                    name: "said-go".into(),
                    message: format!("marks {}", cx.marks()).into(),
                    severity: Severity::Notice,
                    rule: None,
                });
                cx.inject(packet.direction(), packet.ip().bytes().to_vec());
            }
            Verdict::PASS
        })
    };
    let mut engine = Engine::new(settings(), make).unwrap();
    let (client, server) = pair();
    let packet = client.udp(b"go");
    let sent = send(&mut engine, at(0), &client, &packet);
    assert!(sent.outcome.capture);
    assert_eq!(sent.injected[0].2, packet);
    let [Event { what: EventKind::Alert(alert), datagram: Some(0), .. }] = &sent.events[..] else {
        panic!("{:?}", sent.events)
    };
    assert_eq!(alert.message, "marks 4");
    assert!(send(&mut engine, at(1), &server, &server.udp(b"")).outcome.capture);
}

#[test]
fn a_syn_announces_no_more_than_fits() {
    let mut engine = engine();
    for (sides, most) in [(pair(), 8_460_u16), (pair_v6(), 8_440)] {
        let (client, _) = sides;
        let with = |mss: u16| {
            let [a, b] = mss.to_be_bytes();
            client.tcp_with(SYN, 999, 0, &[2, 4, a, b], b"")
        };
        let sent = send(&mut engine, at(0), &client, &with(8_961));
        assert_eq!(sent.outcome.disposition, Disposition::ForwardEdited);
        assert_eq!(sent.inner(), with(most));
        send(&mut engine, at(0), &client, &with(most)).assert_forwarded();
    }
    assert_eq!(engine.counters().edited, 2);
    let mut engine = Engine::new(Settings { mss: None, ..settings() }, censor).unwrap();
    let (client, _) = pair();
    let syn = client.tcp_with(SYN, 999, 0, &[2, 4, 0x23, 1], b"");
    send(&mut engine, at(0), &client, &syn).assert_forwarded();
}

#[test]
fn an_explanation_has_every_vote() {
    let make = || {
        (
            packet_fn("first", |_, _| Verdict::PASS),
            packet_fn("second", |_, _| Verdict::reject(BAD)),
            packet_fn("third", |_, _| Verdict::drop(Reason::new("too"))),
        )
    };
    let mut engine = Engine::new(settings(), make).unwrap();
    let (client, _) = pair();
    let mut payload = client.envelope(&client.tcp(SYN, 999, 0, b""));
    let mut output = Output::new();
    let mut datagram = Datagram::new(at(0), client.outer(), &mut payload);
    let explanation = engine.explain(&mut datagram, &mut output);
    assert_eq!(
        explanation.to_string(),
        "flow       vpce-00000001 TCP 10.1.0.10:40000 -> 10.2.0.20:443\n\
         standing   new\n\
         turn       first packet of its flow\n\
         inspector  first: pass\n\
         inspector  second: reject flow: bad-word\n\
         inspector  third: drop packet: too\n\
         outcome    reject: bad-word",
    );
    let again = engine.explain(&mut datagram, &mut output);
    assert_eq!(again.standing, Standing::Refused(BAD));
    assert!(again.votes.is_empty());
    assert_eq!(again.turn.map(|turn| (turn.number, turn.first_seen)), Some((2, at(0))));
    payload.truncate(payload.len() - 1);
    let mut datagram = Datagram::new(at(0), client.outer(), &mut payload);
    let malformed = engine.explain(&mut datagram, &mut output);
    assert_eq!(malformed.turn, None);
    assert_eq!(malformed.malformed.map(|error| error.offset()), Some(42));
    assert!(malformed.to_string().starts_with("malformed  inner packet at offset 40: "));
}

/// The place of each wrong checksum, counted from the GENEVE header, in a packet and in what a tunnel carries.
#[test]
fn an_explanation_says_which_checksum_is_wrong() {
    let (client, _) = pair();
    let plain = client.tcp(SYN, 999, 0, b"");
    // IP in IP: the same header once more, with its protocol, length and checksum.
    let mut carried = plain[..20].to_vec();
    carried[2..4].copy_from_slice(&u16::try_from(20 + plain.len()).unwrap().to_be_bytes());
    carried[9] = 4;
    carried[10..12].fill(0);
    let sum: u32 = carried.chunks(2).map(|it| u32::from(it[0]) << 8 | u32::from(it[1])).sum();
    let sum = !u16::try_from((sum & 0xffff) + (sum >> 16)).unwrap();
    carried[10..12].copy_from_slice(&sum.to_be_bytes());
    carried.extend_from_slice(&plain);
    // Which packet, which byte of it is turned over, where the checksum is.
    for (inner, turned, expected) in [
        (&plain, 8, Some("IPv4 header checksum at offset 10: ")),
        (&plain, 36, Some("TCP checksum at offset 36: ")),
        (&plain, 35, Some("TCP checksum at offset 36: ")),
        (&carried, 8, Some("IPv4 header checksum at offset 10: ")),
        (&carried, 28, Some("IPv4 header checksum at offset 30: ")),
        (&carried, 55, Some("TCP checksum at offset 56: ")),
        (&carried, 60, None),
    ] {
        let mut inner = inner.clone();
        if let Some(byte) = inner.get_mut(turned) {
            *byte ^= 0x10;
        }
        let mut engine = Engine::new(settings(), || ()).unwrap();
        let mut payload = client.envelope(&inner);
        let begins = payload.len() - inner.len();
        let mut datagram = Datagram::new(at(0), client.outer(), &mut payload);
        let told = engine.explain(&mut datagram, &mut Output::new());
        let Some(expected) = expected else {
            assert_eq!(told.malformed, None, "{told}");
            continue;
        };
        let error = told.malformed.unwrap();
        assert!(
            error.to_string().starts_with(&format!("inner packet at offset {begins}: {expected}")),
            "{error}"
        );
        assert!(told.outcome.exception == Some(Exception::BadChecksum), "{told}");
        // Nobody minds it, so it is not what is wrong.
        let ignoring = Settings { checksums: Checksums::Ignore, ..settings() };
        let mut engine = Engine::new(ignoring, || ()).unwrap();
        let mut datagram = Datagram::new(at(0), client.outer(), &mut payload);
        assert_eq!(engine.explain(&mut datagram, &mut Output::new()).malformed, None);
    }
}

/// What a rewriter does beside its plan belongs to the packet that it planned for, not to the next one that comes.
#[test]
fn effects_of_a_rewriter_belong_to_its_own_packet() {
    struct Talker;

    impl Rewriter for Talker {
        type Plan = ();

        fn plan(&mut self, packet: &Packet<'_>, cx: &mut Context<'_>) -> Option<()> {
            if packet.payload() == b"go" {
                cx.mark(2);
                cx.capture();
                cx.alert(Alert {
                    name: "planned".into(),
                    message: format!("marks {}", cx.marks()).into(),
                    severity: Severity::Notice,
                    rule: None,
                });
                cx.inject(packet.direction(), packet.ip().bytes().to_vec());
            }
            None
        }

        fn rewrite(
            &mut self,
            (): (),
            _packet: &mut gwlb_geneve::packet::PacketMut<'_>,
        ) -> Result<(), gwlb_geneve::packet::EditError> {
            Ok(())
        }
    }

    let mark = || {
        packet_fn("marks", |packet, cx| {
            if packet.payload() == b"mark" {
                cx.mark(4);
            }
            Verdict::PASS
        })
    };
    let mut engine = Engine::new(settings(), mark).unwrap().with_rewriter(Talker);
    let (one, _) = sides("10.1.0.10:40000", "10.2.0.20:53");
    let (other, _) = sides("10.1.0.11:40000", "10.2.0.20:53");
    send(&mut engine, at(0), &one, &one.udp(b"mark"));
    let go = other.udp(b"go");
    let sent = send(&mut engine, at(0), &other, &go);
    assert!(sent.outcome.capture);
    assert_eq!(sent.injected[0].2, go);
    let [Event { what: EventKind::Alert(alert), .. }] = &sent.events[..] else {
        panic!("{:?}", sent.events)
    };
    assert_eq!(alert.message, "marks 2");
    let next = send(&mut engine, at(0), &one, &one.udp(b"next"));
    assert!(next.events.is_empty() && next.injected.is_empty() && !next.outcome.capture);
    assert!(send(&mut engine, at(0), &other, &other.udp(b"more")).outcome.capture);
}

/// Passed, a packet that finds no room is judged, and what the inspectors say of it is heard.
#[test]
fn effects_of_a_packet_without_room_are_not_lost() {
    let make = || {
        packet_fn("talker", |packet, cx| {
            if packet.payload() == b"go" {
                cx.capture();
                cx.alert(Alert {
                    name: "said-go".into(),
                    message: "go".into(),
                    severity: Severity::Notice,
                    rule: None,
                });
                cx.inject(packet.direction(), packet.ip().bytes().to_vec());
            }
            Verdict::PASS
        })
    };
    let flows = gwlb_geneve::flow::FlowLimits { flows: 1, ..Default::default() };
    let mut engine = Engine::new(Settings { flows, ..settings() }, make).unwrap();
    handshake(&mut engine, at(0), &pair());
    let (client, _) = sides("10.1.0.11:40000", "10.2.0.20:53");
    let sent = send(&mut engine, at(0), &client, &client.udp(b"go"));
    assert_eq!(sent.outcome.exception, Some(Exception::FlowTableFull));
    assert!(sent.outcome.capture);
    assert_eq!((sent.events.len(), sent.injected.len()), (1, 1));
}

/// A composition keeps the states of flows over a panic of one of its members, however deep it is.
#[test]
fn a_chain_in_a_chain_keeps_the_states_of_other_flows() {
    struct Count;

    impl Inspector for Count {
        type Flow = u32;
        const INTEREST: Interest = Interest::PACKETS;

        fn name(&self) -> &str {
            "count"
        }

        fn open(&mut self, _: &Packet<'_>, _: &mut Context<'_>) -> Option<u32> {
            Some(0)
        }

        fn packet(&mut self, seen: &mut u32, packet: &Packet<'_>, _: &mut Context<'_>) -> Verdict {
            assert!(packet.payload() != b"panic", "as it was asked to");
            *seen += 1;
            if *seen > 2 { Verdict::drop(Reason::new("third")) } else { Verdict::PASS }
        }
    }

    let make = || {
        let (mut outer, mut inner) = (Chain::new(), Chain::new());
        inner.push(Count).unwrap();
        outer.push(inner).unwrap();
        outer
    };
    let mut engine = Engine::new(settings(), make).unwrap();
    let (client, _) = pair();
    let other = client.with_port(41_000);
    send(&mut engine, at(0), &client, &client.udp(b"one")).assert_forwarded();
    send(&mut engine, at(0), &client, &client.udp(b"two")).assert_forwarded();
    send(&mut engine, at(0), &other, &other.udp(b"panic"));
    assert_eq!(engine.counters().panics, 1);
    send(&mut engine, at(0), &client, &client.udp(b"three")).assert_refused("third");
}

/// What inspectors see of a packet in tunnels is the innermost one; to reject it, the answers go through the tunnels.
#[test]
fn a_connection_in_a_tunnel_is_judged_and_answered_in_it() {
    let mut engine = engine();
    let (client, server) = pair();
    let (from, to) = sides("192.0.2.1:1", "192.0.2.2:1");
    let gre = |side: &Side, inner: Vec<u8>| {
        side.ip(47, [&[0x20, 0, 8, 0, 0, 0, 0, 42][..], &inner].concat(), None)
    };
    let there = |packet: Vec<u8>| gre(&from, packet);
    let back = |packet: Vec<u8>| gre(&to, packet);
    send(&mut engine, at(0), &client, &there(client.tcp(SYN, 999, 0, b""))).assert_forwarded();
    let syn_ack = back(server.tcp(SYN | ACK, 4_999, 1_000, b""));
    send(&mut engine, at(0), &server, &syn_ack).assert_forwarded();
    send(&mut engine, at(0), &client, &there(client.tcp(ACK, 1_000, 5_000, b"")))
        .assert_forwarded();
    let refused = send(&mut engine, at(1), &client, &there(client.tcp(ACK, 1_000, 5_000, b"bad")));
    refused.assert_refused("bad-word");
    let numbers: Vec<(u32, std::net::IpAddr)> = refused
        .injected
        .iter()
        .map(|(_, _, packet)| {
            let carrier = IpPacket::parse(packet).unwrap();
            let tunneled = gwlb_geneve::packet::Tunneled::look_through(&carrier).unwrap();
            assert_eq!(tunneled.depth(), 1);
            (segment(tunneled.innermost().bytes()).sequence_number(), carrier.destination())
        })
        .collect();
    assert_eq!(numbers, [(1_000, to.from.ip()), (5_000, from.from.ip())]);
    assert_eq!(engine.flows(), 1, "the tunnel is no flow of its own");
}

#[test]
fn what_hides_a_packet_is_treated_by_policy() {
    let (client, _) = pair();
    let esp = client.ip(50, vec![0; 32], None);
    for (policy, passes) in [(ExceptionPolicy::STRICT, false), (ExceptionPolicy::AVAILABLE, true)] {
        let mut engine = Engine::new(Settings { policy, ..settings() }, censor).unwrap();
        let sent = send(&mut engine, at(0), &client, &esp);
        assert_eq!(sent.is_forwarded(), passes);
        assert_eq!(sent.outcome.exception, Some(Exception::OpaqueTunnel));
        assert!(matches!(
            sent.events[..],
            [Event { what: EventKind::Exception(Exception::OpaqueTunnel, _), .. }]
        ));
    }
}

/// FINs that nobody believes must not make the engine forget a connection, wherever in the circle of numbers they are.
#[test]
fn a_fin_out_of_place_closes_nothing() {
    let mut engine = engine();
    let sides @ (client, server) = pair();
    handshake(&mut engine, at(0), &sides);
    for seq in [0x1357_9bdf, 0x9357_9bdf] {
        for side in [client, server] {
            send(&mut engine, at(1), &side, &side.tcp(FIN | ACK, seq, 1, b"")).assert_forwarded();
        }
    }
    let later = client.tcp(ACK, 1_000, 5_000, b"still here");
    assert_eq!(send(&mut engine, at(140), &client, &later).outcome.exception, None);
    send(&mut engine, at(141), &client, &client.tcp(FIN | ACK, 1_010, 5_000, b""))
        .assert_forwarded();
    send(&mut engine, at(141), &server, &server.tcp(FIN | ACK, 5_000, 1_011, b""))
        .assert_forwarded();
    let late = client.tcp(ACK, 1_011, 5_001, b"");
    let late = send(&mut engine, at(160), &client, &late);
    assert_eq!(late.outcome.exception, Some(Exception::Midstream), "in place they do close it");
}

/// Who does not know where a stream is cannot make the engine believe a RST by acknowledging what was never sent.
#[test]
fn a_blind_acknowledgment_moves_nothing() {
    let mut engine = engine();
    let sides @ (client, server) = pair();
    handshake(&mut engine, at(0), &sides);
    for number in [0x2000_0000_u32, 0xa000_0000] {
        let blind = client.tcp(ACK, number, number, b"");
        send(&mut engine, at(1), &client, &blind).assert_forwarded();
        send(&mut engine, at(1), &server, &server.tcp(RST, number, 0, b"")).assert_forwarded();
    }
    let later = client.tcp(ACK, 1_000, 5_000, b"still here");
    assert_eq!(send(&mut engine, at(60), &client, &later).outcome.exception, None);
}

/// Errors teach nothing about the fragments of those whom they quote.
#[test]
fn a_refused_icmp_error_poisons_no_fragments() {
    let mut engine = engine();
    let (client, server) = sides("10.1.0.10:4000", "10.2.0.20:53");
    send(&mut engine, at(0), &client, &client.udp(b"hello")).assert_forwarded();
    let parts = fragments(&client.udp(&[b'x'; 40]), 77, 16);
    let mut error = server.unreachable(&parts[0]);
    error[22] ^= 0xff;
    send(&mut engine, at(1), &server, &error).assert_refused("icmp-checksum");
    for part in &parts {
        send(&mut engine, at(2), &client, part).assert_forwarded();
    }
}

/// Whether the rest of a fragmented RST ever comes is not known: nothing follows from its beginning.
#[test]
fn the_beginning_of_a_reset_closes_nothing() {
    let mut engine = engine();
    let sides @ (client, _) = pair();
    handshake(&mut engine, at(0), &sides);
    let reset = fragments(&client.tcp(RST | ACK, 1_000, 5_000, &[b'x'; 40]), 9, 24).remove(0);
    send(&mut engine, at(1), &client, &reset).assert_forwarded();
    let later = client.tcp(ACK, 1_000, 5_000, b"still here");
    assert_eq!(send(&mut engine, at(60), &client, &later).outcome.exception, None);
}

/// A way round: allowed as it claims to be inside, and forbidden as it goes.
mod access_list {
    use std::sync::Arc;

    use gwlb_geneve::inspectors::access::{self, AccessInspector, AccessList, Rule};

    use super::*;

    fn engine() -> Engine<AccessInspector> {
        let rule = Rule::new(access::Action::Allow)
            .from("10.1.0.0/16".parse().unwrap())
            .to("10.2.0.0/16".parse().unwrap())
            .ports(443);
        let list = Arc::new(AccessList::new(access::Action::Drop, vec![rule]).unwrap());
        Engine::new(settings(), move || AccessInspector::new(list.clone())).unwrap()
    }

    #[test]
    fn a_tunnel_must_be_allowed_too() {
        let mut engine = engine();
        let (client, _) = pair();
        let (out, _) = sides("10.1.0.10:1", "203.0.113.66:1");
        let syn = client.tcp(SYN, 999, 0, b"");
        let gre = out.ip(47, [&[0, 0, 8, 0][..], &syn].concat(), None);
        send(&mut engine, at(0), &out, &gre).assert_refused("access-list");
        // Nor is what was allowed outside moved into it.
        send(&mut engine, at(1), &client, &syn).assert_forwarded();
        send(&mut engine, at(1), &out, &gre).assert_refused("access-list");
        assert_eq!(engine.flows(), 2);
    }

    /// A key has room for a few bits of a tunnel's ends: those who find other ends with the same bits gain nothing.
    #[test]
    fn nobody_slips_into_the_flow_of_another_tunnel() {
        let rule = Rule::new(access::Action::Allow)
            .from("10.1.0.0/16".parse().unwrap())
            .to("10.2.0.0/16".parse().unwrap());
        let list = Arc::new(AccessList::new(access::Action::Drop, vec![rule]).unwrap());
        let mut engine =
            Engine::new(settings(), move || AccessInspector::new(list.clone())).unwrap();
        let (client, server) = sides("10.1.1.1:5000", "10.2.2.2:22");
        let (out, back) = sides("10.1.0.10:1", "10.2.0.10:1");
        let inside = |side: &Side, packet: Vec<u8>| {
            let gre = [&[0, 0, 8, 0][..], &packet].concat();
            side.ip(47, gre, None)
        };
        let syn = client.tcp(SYN, 999, 0, b"");
        send(&mut engine, at(0), &out, &inside(&out, syn.clone())).assert_forwarded();
        let mut collisions = 0;
        for n in 0..100_000_u32 {
            let [_, a, b, c] = n.to_be_bytes();
            let (other, _) = sides(&format!("172.{}.{b}.{c}:1", 20 + a), "10.2.0.99:1");
            let packet = inside(&other, syn.clone());
            let sent = send(&mut engine, at(1), &other, &packet);
            assert!(!sent.is_forwarded(), "{n}");
            collisions += u32::from(sent.outcome.reason.name() == "other-tunnel");
        }
        assert!(collisions > 0);
        let data = client.tcp(ACK, 1_000, 1, b"data");
        send(&mut engine, at(2), &out, &inside(&out, data)).assert_forwarded();
        let answer = server.tcp(SYN | ACK, 4_999, 1_000, b"");
        send(&mut engine, at(2), &back, &inside(&back, answer)).assert_forwarded();
    }

    #[test]
    fn a_connection_that_takes_the_place_of_another_is_judged_as_its_client_goes() {
        let mut engine = engine();
        let sides @ (client, server) = pair();
        handshake(&mut engine, at(0), &sides);
        send(&mut engine, at(1), &client, &client.tcp(SYN, 70_000, 0, b"")).assert_forwarded();
        let answer = server.tcp(SYN | ACK, 80_000, 70_001, b"");
        send(&mut engine, at(1), &server, &answer).assert_forwarded();
        assert_eq!(engine.counters().replaced, 1);
    }

    #[test]
    fn a_reload_judges_flows_as_their_clients_go() {
        let mut engine = engine();
        let sides @ (client, server) = pair();
        handshake(&mut engine, at(0), &sides);
        let rule = Rule::new(access::Action::Allow).ports(443);
        let list = Arc::new(AccessList::new(access::Action::Drop, vec![rule]).unwrap());
        engine.reload(move || AccessInspector::new(list.clone()), Flows::Reopen).unwrap();
        let error = server.unreachable(&client.tcp(ACK, 1_000, 5_000, b""));
        send(&mut engine, at(1), &server, &error).assert_forwarded();
        send(&mut engine, at(1), &server, &server.tcp(ACK, 5_000, 1_000, b"first"))
            .assert_forwarded();
        send(&mut engine, at(1), &client, &client.tcp(ACK, 1_000, 5_005, b"then"))
            .assert_forwarded();
    }

    #[test]
    fn an_icmp_error_goes_to_whom_it_is_about() {
        let mut engine = engine();
        let sides @ (client, _) = pair();
        handshake(&mut engine, at(0), &sides);
        let (out, _) = super::sides("10.1.0.10:1", "203.0.113.66:1");
        let error = out.unreachable(&client.tcp(ACK, 1_000, 5_000, b""));
        send(&mut engine, at(1), &out, &error).assert_refused("access-list");
    }
}
