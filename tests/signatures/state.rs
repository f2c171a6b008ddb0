//! What is asked of flows and remembered of them.

use crate::common::Talk;
use crate::support::traffic::*;
use crate::{NONE, engine, told};

#[test]
fn established_flows_and_those_that_are_adopted() {
    let rules = r#"
        alert tcp any any -> any any (flow:established; flags:A; sid:1;)
        alert tcp any any -> any any (flow:not_established; sid:2;)
        alert tcp any any -> any any (flow:established,to_server; content:"x"; sid:3;)
    "#;
    let mut talk = engine(rules);
    let (client, server) = pair();
    let syn = send(&mut talk, at(1), &client, &client.tcp(SYN, 999, 0, b""));
    assert_eq!(told(&syn), [2]);
    let syn_ack = send(&mut talk, at(1), &server, &server.tcp(SYN | ACK, 4_999, 1_000, b""));
    assert_eq!(told(&syn_ack), [2]);
    let ack = send(&mut talk, at(1), &client, &client.tcp(ACK, 1_000, 5_000, b""));
    assert_eq!(told(&ack), [1]);
    let data = send(&mut talk, at(1), &client, &client.tcp(ACK, 1_000, 5_000, b"x"));
    assert_eq!(told(&data), [1, 3]);
    // The first that is seen of it.
    let adopted = send(&mut engine(rules), at(1), &client, &client.tcp(ACK, 1_000, 5_000, b"x"));
    assert_eq!(told(&adopted), [1, 3]);
}

/// A flow that is taken up in its middle begins as no protocol does: it must not be told as one that is not TLS.
#[test]
fn what_is_spoken_in_the_middle_is_not_known() {
    let rules = r#"
        alert tcp any any -> any 443 (app-layer-protocol:!tls; sid:1;)
        alert tcp any any -> any 443 (app-layer-protocol:failed; sid:2;)
    "#;
    let data = b"\x17\x03\x03\x00\x05hello, and no more of TLS behind it";
    let (client, _) = pair();
    let adopted = send(&mut engine(rules), at(1), &client, &client.tcp(ACK, 1_000, 5_000, data));
    assert_eq!(told(&adopted), NONE);
    let mut talk = Talk::new(engine(rules));
    assert_eq!(told(&talk.ask(b"\0\x01\x02 nothing known")), [1, 2]);
}

#[test]
fn a_flow_of_datagrams_is_established_when_both_have_spoken() {
    let mut engine =
        engine("alert udp any any -> any any (flow:established; content:\"x\"; sid:1;)");
    let (client, server) = pair();
    for (side, expected) in [(&client, 0), (&client, 0), (&server, 1), (&client, 1)] {
        assert_eq!(told(&send(&mut engine, at(1), side, &side.udp(b"x"))).len(), expected);
    }
}

#[test]
fn sides_ports_addresses_and_variables() {
    let rules = r#"
        alert tcp any any -> any 443 (flow:to_server; content:"x"; sid:1;)
        alert tcp any 443 -> any any (flow:to_client; content:"x"; sid:2;)
        alert tcp any any -> any !443 (content:"x"; sid:3;)
        alert tcp 10.1.0.0/16 any -> $HOME_NET any (content:"x"; sid:4;)
        alert tcp $EXTERNAL_NET any -> any any (content:"x"; sid:5;)
        alert tcp any 443 <> 10.1.0.10 any (content:"x"; sid:6;)
        alert udp any any -> any any (content:"x"; sid:7;)
    "#;
    let mut talk = Talk::new(engine(rules));
    assert_eq!(told(&talk.ask(b"x")), [1, 4, 6]);
    assert_eq!(told(&talk.answer(b"x")), [2, 3, 6]);
}

#[test]
fn bits_of_a_flow() {
    let rules = r#"
        alert tcp any any -> any any (content:"login"; flowbits:set,in; flowbits:noalert; sid:1;)
        alert tcp any any -> any any (content:"steal"; flowbits:isset,in; sid:2;)
        alert tcp any any -> any any (content:"steal"; flowbits:isnotset,in; sid:3;)
        alert tcp any any -> any any (content:"logout"; flowbits:unset,in; sid:4;)
        alert tcp any any -> any any (content:"both"; flowbits:isset,out|in; sid:5;)
    "#;
    let mut talk = Talk::new(engine(rules));
    assert_eq!(told(&talk.ask(b"steal;")), [3]);
    assert_eq!(told(&talk.ask(b"login;")), NONE);
    assert_eq!(told(&talk.ask(b"steal;")), [2]);
    assert_eq!(told(&talk.answer(b"both;")), [5]);
    assert_eq!(told(&talk.ask(b"logout;")), [4]);
    assert_eq!(told(&talk.ask(b"steal;")), [3]);
    // Who sets a bit comes before who asks for it.
    assert_eq!(told(&Talk::new(engine(rules)).ask(b"steal login")), [2]);
}

#[test]
fn bits_of_an_address() {
    let rules = r#"
        alert udp any any -> any any (content:"knock"; xbits:set,knocked,track ip_src,expire 10; sid:1;)
        alert udp any any -> any any (content:"enter"; xbits:isset,knocked,track ip_src; sid:2;)
        alert udp any any -> any any (content:"leave"; xbits:unset,knocked,track ip_src; noalert; sid:3;)
    "#;
    let mut engine = engine(rules);
    let (client, _) = pair();
    let other = client.with_port(40_001);
    let (stranger, _) = sides("10.9.9.9:1", "10.2.0.20:443");
    let mut ask = |second, side: &Side, what: &[u8]| {
        told(&send(&mut engine, at(second), side, &side.udp(what)))
    };
    assert_eq!(ask(1, &client, b"enter"), NONE);
    assert_eq!(ask(2, &client, b"knock"), [1]);
    assert_eq!(ask(3, &other, b"enter"), [2]);
    assert_eq!(ask(3, &stranger, b"enter"), NONE);
    assert_eq!(ask(12, &client, b"enter"), NONE);
    assert_eq!(ask(13, &client, b"knock"), [1]);
    assert_eq!(ask(14, &client, b"leave"), NONE);
    assert_eq!(ask(15, &client, b"enter"), NONE);
}

#[test]
fn fields_of_packets() {
    let rules = r#"
        alert icmp any any -> any any (itype:8; icode:0; sid:1;)
        alert icmp any any -> any any (itype:0; sid:2;)
        alert tcp any any -> any any (flags:S,12; sid:3;)
        alert ip any any -> any any (ttl:>200; sid:4;)
        alert icmp any any -> any any (icmp_id:7; sid:5;)
        alert tcp any any -> any any (flags:SA; ack:1000; sid:6;)
    "#;
    let mut engine = engine(rules);
    let (client, server) = pair();
    assert_eq!(told(&send(&mut engine, at(1), &client, &client.ping(7))), [1, 5]);
    let syn = send(&mut engine, at(1), &client, &client.tcp(SYN, 999, 0, b""));
    assert_eq!(told(&syn), [3]);
    let syn_ack = send(&mut engine, at(1), &server, &server.tcp(SYN | ACK, 4_999, 1_000, b""));
    assert_eq!(told(&syn_ack), [6]);
}

#[test]
fn rules_about_addresses_alone_hold_once_for_each_side() {
    let mut engine = engine(
        "alert ip 10.1.0.0/16 any -> any any (sid:1;)\nalert ip any any -> 10.1.0.10 any (sid:2;)",
    );
    let (client, server) = pair();
    let mut all = Vec::new();
    for side in [&client, &client, &server, &server, &client] {
        all.push(told(&send(&mut engine, at(1), side, &side.udp(b"x"))));
    }
    assert_eq!(all, [vec![1], vec![], vec![2], vec![], vec![]]);
}

#[test]
fn a_flow_that_no_rule_is_for_is_not_looked_at() {
    let mut engine = engine("alert tcp any any -> any 80 (content:\"x\"; sid:1;)");
    let (client, server) = pair();
    handshake(&mut engine, at(0), &(client, server));
    assert_eq!(engine.streams().connections, 0);
    let mut engine = crate::engine("alert tcp any any -> any 443 (content:\"x\"; sid:1;)");
    handshake(&mut engine, at(0), &(client, server));
    assert_eq!(engine.streams().connections, 1);
}

/// A pair is one, whoever of the two sends.
#[test]
fn counts_of_pairs() {
    let rule = "alert udp any any -> any any (content:\"x\"; threshold:type limit, track by_both, count 1, seconds 60; sid:1;)";
    let mut engine = engine(rule);
    let (client, server) = sides("10.1.0.10:40000", "10.2.0.20:5000");
    assert_eq!(told(&send(&mut engine, at(1), &client, &client.udp(b"x"))), [1]);
    assert_eq!(told(&send(&mut engine, at(2), &server, &server.udp(b"x"))), NONE);
    let (other, _) = sides("10.1.0.11:40000", "10.2.0.20:5000");
    assert_eq!(told(&send(&mut engine, at(3), &other, &other.udp(b"x"))), [1]);
}

/// A number of 0 bytes in text has as many digits as there are.
#[test]
fn numbers_as_long_as_they_are() {
    let rules = r#"
        alert udp any any -> any any (content:"="; byte_test:0,>,1000,0,relative,string,dec; sid:1;)
        alert udp any any -> any any (content:"="; byte_test:0,=,16,0,relative,string,hex; sid:2;)
        alert udp any any -> any any (byte_test:0,=,7,2,string,dec; sid:3;)
    "#;
    for (data, expected) in [
        (&b"n=1001"[..], &[1][..]),
        (b"n=1000 and more", &[]),
        (b"n=10", &[2]),
        (b"n=7;", &[3]),
        (b"n=", &[]),
        (b"n=00000000000000000000000000000000005000", &[1]),
        (b"n=                                  5000", &[1]),
        (b"n=99999999999999999999999999999999999999", &[1]),
    ] {
        let (client, _) = sides("10.1.0.10:40000", "10.2.0.20:5000");
        let sent = send(&mut engine(rules), at(1), &client, &client.udp(data));
        assert_eq!(told(&sent), expected, "{data:?}");
    }
}

/// A number that goes on in the next piece is not judged by its first digits.
#[test]
fn a_number_is_whole_before_it_is_compared() {
    let rules = r#"
        pass http any any -> any any (http.request_body; content:"len="; byte_test:0,<,100,0,relative,string,dec; sid:1;)
        drop http any any -> any any (http.request_body; content:"needle"; sid:2;)
    "#;
    let head = b"POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 15\r\n\r\n";
    let mut talk = Talk::new(engine(rules));
    assert!(talk.ask(head).is_forwarded());
    assert!(talk.ask(b"len=5").is_forwarded());
    let sent = talk.ask(b"000 needle");
    assert_eq!((told(&sent), sent.is_forwarded()), (vec![2], false));
}
