use gwlb_geneve::engine::Disposition;
use gwlb_geneve::inspect::ExceptionPolicy;

use crate::common::Talk;
use crate::support::dns;
use crate::support::tls::{self, Extension, Hello};
use crate::support::traffic::*;
use crate::{PROFILES, alerts, engine};

const ALLOW: &str = r#"
    [domains]
    default = "reject"
    except-ports = 22
    [[domains.list]]
    name = "partners"
    action = "allow"
    names = ["*.example.org", "example.com"]
"#;

const DENY: &str = r#"
    [domains]
    default = "allow"
    [[domains.list]]
    name = "spared"
    action = "alert"
    names = "good.evil.example"
    [[domains.list]]
    name = "bad"
    action = "drop"
    names = ["*.evil.example", "evil.example"]
"#;

fn plain(name: &str) -> Hello {
    let mut hello = Hello::browser(name);
    hello.extensions.retain(|it| !matches!(it, Extension::Ech(_)));
    hello
}

fn hello(hello: &Hello) -> Vec<u8> {
    tls::record(22, &hello.message())
}

fn get(host: &str) -> Vec<u8> {
    format!("GET / HTTP/1.1\r\nHost: {host}\r\n\r\n").into_bytes()
}

fn query(name: &str) -> Vec<u8> {
    let question = [dns::labels(name), vec![0, 1, 0, 1]].concat();
    dns::message(7, 0x0100, [&[question], &[], &[], &[]])
}

/// What is said first in a connection, whole, and cut into pieces, under each profile.
#[track_caller]
fn check(config: &str, said: &[u8], is_passed: bool) {
    for policy in PROFILES {
        for size in [said.len(), 1, 7] {
            let mut talk = Talk::new(engine(config, policy));
            let all_passed = said.chunks(size).all(|piece| talk.ask(piece).is_forwarded());
            assert_eq!(all_passed, is_passed, "{policy:?} {size} {}", said.escape_ascii());
        }
    }
}

#[test]
fn what_is_allowed_passes() {
    for name in ["www.example.org", "A.B.Example.ORG", "example.com"] {
        check(ALLOW, &hello(&plain(name)), true);
        check(ALLOW, &get(name), true);
        check(ALLOW, &get(&format!("{name}:8080")), true);
    }
}

#[test]
fn what_is_not_listed_is_refused() {
    for name in ["example.org", "www.example.com", "badexample.org", "example.org.evil.example"] {
        check(ALLOW, &hello(&plain(name)), false);
        check(ALLOW, &get(name), false);
    }
}

#[test]
fn what_has_no_name_is_refused_where_only_names_are_allowed() {
    let mut ech = plain("www.example.org");
    ech.extensions.push(Extension::Ech(vec![0; 40]));
    let mut nameless = plain("");
    nameless.extensions.retain(|it| !matches!(it, Extension::ServerNames(_)));
    let mut two = plain("www.example.org");
    two.extensions.push(Extension::ServerNames(vec![(0, b"www.example.org".to_vec())]));
    for odd in [&ech, &nameless, &two, &plain("192.0.2.1"), &plain("a b.example.org")] {
        check(ALLOW, &hello(odd), false);
        check(DENY, &hello(odd), true);
    }
    for said in [
        &b"GET / HTTP/1.0\r\n\r\n"[..],
        b"GET / HTTP/1.1\r\nHost: www.example.org\r\nHost: evil.test\r\n\r\n",
        b"GET http://evil.test/ HTTP/1.1\r\nHost: www.example.org\r\n\r\n",
        b"SSH-2.0-OpenSSH_9.6\r\n",
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
        &[0x16, 3, 1, 0, 5, 1, 0, 0, 1, 9],
        &[0xff; 64],
    ] {
        check(ALLOW, said, false);
    }
}

/// The switch itself is judged by its name; what comes behind it is not understood.
#[test]
fn a_switch_to_another_protocol_is_refused_where_only_names_are_allowed() {
    for policy in PROFILES {
        let mut talk = Talk::new(engine(ALLOW, policy));
        talk.ask(b"CONNECT www.example.org:443 HTTP/1.1\r\nHost: www.example.org\r\n\r\n")
            .assert_forwarded();
        assert!(!talk.answer(b"HTTP/1.1 200 OK\r\n\r\n").is_forwarded());
        assert!(!talk.ask(&hello(&plain("evil.test"))).is_forwarded());
    }
}

#[test]
fn what_is_forbidden_is_dropped_and_nothing_else() {
    for name in ["evil.example", "a.EVIL.example"] {
        check(DENY, &hello(&plain(name)), false);
        check(DENY, &get(name), false);
    }
    check(DENY, &get("good.evil.example"), true);
    check(DENY, &get("notevil.example"), true);
    // Behind another one, and beside one.
    check(DENY, &[get("a.test"), get("evil.example")].concat(), false);
    check(DENY, b"GET http://a.test/ HTTP/1.1\r\nHost: evil.example:80\r\n\r\n", false);
    check(DENY, b"GET / HTTP/1.1\r\nHost: a.test\r\nHost: evil.example\r\n\r\n", false);
    check(DENY, b"CONNECT evil.example:443 HTTP/1.1\r\nHost: a.test\r\n\r\n", false);
    let mut two = plain("a.test");
    two.extensions.retain(|it| !matches!(it, Extension::ServerNames(_)));
    two.extensions
        .push(Extension::ServerNames(vec![(0, b"a.test".to_vec()), (0, b"evil.example".to_vec())]));
    check(DENY, &hello(&two), false);

    let mut talk = Talk::new(engine(DENY, ExceptionPolicy::AVAILABLE));
    let sent = talk.ask(&get("good.evil.example"));
    assert_eq!(
        alerts(&sent),
        ["domains: alert the http name good.evil.example (list \"spared\"): \
          vpce-00000001 TCP 10.1.0.10:40000 -> 10.2.0.20:443"]
    );
    let sent = talk.ask(&get("evil.example"));
    sent.assert_refused("domains");
    assert_eq!(sent.outcome.disposition, Disposition::Drop);
}

/// A HelloRetryRequest, and then a hello for another server.
#[test]
fn the_second_hello_is_judged_like_the_first() {
    let retry = tls::record(22, &tls::server_hello(0x0304, 0x1301, tls::RETRY));
    for (second, is_passed) in [("www.example.org", true), ("evil.test", false)] {
        let mut talk = Talk::new(engine(ALLOW, ExceptionPolicy::AVAILABLE));
        talk.ask(&hello(&plain("www.example.org"))).assert_forwarded();
        talk.answer(&retry).assert_forwarded();
        let sent = talk.ask(&hello(&plain(second)));
        assert_eq!(sent.is_forwarded(), is_passed);
        let has_mismatch = alerts(&sent).iter().any(|it| it.starts_with("domains-mismatch: "));
        assert_eq!(has_mismatch, !is_passed, "{:?}", alerts(&sent));
    }
}

#[test]
fn what_follows_the_handshake_costs_nothing() {
    let mut talk = Talk::new(engine(ALLOW, ExceptionPolicy::STRICT));
    talk.ask(&hello(&plain("www.example.org"))).assert_forwarded();
    assert_eq!(talk.engine.streams().connections, 1);
    talk.answer(&tls::record(22, &tls::server_hello(0x0304, 0x1301, [7; 32]))).assert_forwarded();
    assert_eq!(talk.engine.streams().connections, 0);
    talk.ask(&[0x17; 100]).assert_forwarded();
}

#[test]
fn udp_and_other_protocols() {
    let dns = || sides("10.1.0.10:40000", "10.2.0.20:53");
    let other = |port: &str| sides("10.1.0.10:40000", &format!("10.2.0.20:{port}"));
    for policy in PROFILES {
        let passes = |config: &str, side: Side, data: &[u8]| {
            send(&mut engine(config, policy), at(0), &side, &side.udp(data)).is_forwarded()
        };
        assert!(passes(ALLOW, dns().0, &query("www.example.org")));
        assert!(!passes(ALLOW, dns().0, &query("evil.test")));
        assert!(!passes(ALLOW, dns().0, b"no DNS at all"));
        assert!(!passes(DENY, dns().0, &query("a.evil.example")));
        assert!(passes(DENY, dns().0, &query("a.test")));
        // QUIC, also from the port of DNS; and what has no names.
        for (port, allowed) in [("443", false), ("8443", false), ("22", true)] {
            assert_eq!(passes(ALLOW, other(port).0, &[0xc0; 1200]), allowed, "{port}");
            assert!(passes(DENY, other(port).0, &[0xc0; 1200]));
        }
        let odd = sides("10.1.0.10:53", "10.2.0.20:443").0;
        assert!(!passes(ALLOW, odd, &query("www.example.org")));
        let no_quic = DENY.replacen("[domains]", "[domains]\nquic = \"reject\"", 1);
        assert!(!passes(&no_quic, other("443").0, &[0xc0; 1200]));
        assert!(passes(&no_quic, other("8443").0, &[0xc0; 1200]));
        let (client, _) = pair();
        send(&mut engine(ALLOW, policy), at(0), &client, &client.ping(1)).assert_forwarded();
        let esp = client.ip(50, vec![0; 40], None);
        assert!(!send(&mut engine(ALLOW, policy), at(0), &client, &esp).is_forwarded());
    }
}

#[test]
fn ports_that_are_excepted_are_left_alone() {
    let mut talk = Talk::between(
        engine(ALLOW, ExceptionPolicy::STRICT),
        sides("10.1.0.10:40000", "10.2.0.20:22"),
    );
    talk.answer(b"SSH-2.0-OpenSSH_9.6\r\n").assert_forwarded();
    talk.ask(b"SSH-2.0-PuTTY\r\n").assert_forwarded();
    // Not from such a port.
    let sides = sides("10.1.0.10:22", "10.2.0.20:2222");
    let mut talk = Talk::between(engine(ALLOW, ExceptionPolicy::AVAILABLE), sides);
    assert!(!talk.ask(b"SSH-2.0-PuTTY\r\n").is_forwarded());
}

/// Time is that of the packets: 2023-11-14T22:13:20Z and a little more.
#[test]
fn discovery_says_what_would_be_refused_until_its_date() {
    for (until, is_passed) in [("2023-11-14T22:13:21Z", true), ("2023-11-14T23:13:20+01:00", false)]
    {
        let config =
            ALLOW.replacen("[domains]", &format!("[domains]\ndiscover-until = {until}"), 1);
        let mut talk = Talk::new(engine(&config, ExceptionPolicy::AVAILABLE));
        let sent = talk.ask(&get("evil.test"));
        assert_eq!(sent.is_forwarded(), is_passed);
        let start = if is_passed { "domains: would reject " } else { "domains: reject " };
        assert!(alerts(&sent)[0].starts_with(start), "{:?}", alerts(&sent));
        let mut engine = engine(&config, ExceptionPolicy::AVAILABLE);
        let (client, _) = pair();
        let sent = send(&mut engine, at_millis(500), &client, &client.udp(&[0xc0; 1200]));
        assert_eq!((sent.is_forwarded(), alerts(&sent).len()), (is_passed, 1));
    }
}

#[test]
fn a_name_at_an_address_that_dns_did_not_give_is_reported() {
    let answer = |name: &str, address: [u8; 4]| {
        let question = [dns::labels(name), vec![0, 1, 0, 1]].concat();
        let record = dns::record(&dns::labels(name), 1, 1, 60, &address);
        dns::message(7, 0x8180, [&[question], &[record], &[], &[]])
    };
    for (address, is_odd) in [([10, 2, 0, 20], false), ([192, 0, 2, 1], true)] {
        for said in [hello(&plain("www.example.net")), get("www.example.net")] {
            let mut engine = engine("domains.default = \"allow\"", ExceptionPolicy::AVAILABLE);
            let (client, server) = sides("10.1.0.10:40000", "10.2.0.53:53");
            let question = client.udp(&query("www.example.net"));
            send(&mut engine, at(0), &client, &question).assert_forwarded();
            let reply = server.udp(&answer("WWW.example.net", address));
            send(&mut engine, at(0), &server, &reply).assert_forwarded();
            let mut talk = Talk::new(engine);
            let sent = talk.ask(&said);
            sent.assert_forwarded();
            let found = alerts(&sent);
            assert_eq!(found.len(), usize::from(is_odd), "{found:?}");
            assert!(found.iter().all(|it| it.starts_with("domains-mismatch: the ")));
        }
    }
}
