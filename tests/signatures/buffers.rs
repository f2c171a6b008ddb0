//! What is in each buffer.

use crate::common::Talk;
use crate::support::dns;
use crate::support::tls::{self, Hello};
use crate::support::traffic::*;
use crate::{NONE, engine, told};

/// Whether a buffer is exactly this, in what the client asks.
#[track_caller]
fn check(protocol: &str, buffer: &str, said: &[u8], expected: &str) {
    let rule = rule(protocol, buffer, expected);
    for size in [said.len(), 7, 1] {
        let mut talk = Talk::new(engine(&rule));
        let found: Vec<u32> = said.chunks(size).flat_map(|it| told(&talk.ask(it))).collect();
        assert_eq!(found, [1], "pieces of {size}: {rule}");
    }
}

/// The same of what the server answers.
#[track_caller]
fn check_answer(buffer: &str, answer: &[u8], expected: &str) {
    let rule = rule("http", buffer, expected);
    for size in [answer.len(), 7, 1] {
        let mut talk = Talk::new(engine(&rule));
        talk.ask(b"GET / HTTP/1.1\r\nHost: h\r\n\r\n");
        let found: Vec<u32> = answer.chunks(size).flat_map(|it| told(&talk.answer(it))).collect();
        assert_eq!(found, [1], "pieces of {size}: {rule}");
    }
}

fn rule(protocol: &str, buffer: &str, expected: &str) -> String {
    let escaped: String = expected.bytes().map(|byte| format!("|{byte:02x}|")).collect();
    let len = expected.len();
    format!(
        "alert {protocol} any any -> any any ({buffer}; content:\"{escaped}\"; startswith; endswith; bsize:{len}; sid:1;)"
    )
}

const REQUEST: &[u8] = b"POST http://User.Example:80/a//%2e%2e/b%41?q=%41 HTTP/1.1\r\n\
    Host: Www.Example.ORG:8080\r\nUser-Agent:  agent/1 \r\nX-Two: a\r\nCookie: c=1\r\n\
    x-two:b\r\nReferer: r\r\nAccept: */*\r\nContent-Type: text/plain\r\nContent-Length: 4\r\n\r\nBODY";

#[test]
fn of_requests() {
    for (buffer, expected) in [
        ("http.method", "POST"),
        ("http.uri", "/bA?q=%41"),
        ("http.uri.raw", "http://User.Example:80/a//%2e%2e/b%41?q=%41"),
        ("http.host", "user.example"),
        ("http.user_agent", "agent/1"),
        ("http.cookie", "c=1"),
        ("http.referer", "r"),
        ("http.accept", "*/*"),
        ("http.content_type", "text/plain"),
        ("http.content_len", "4"),
        ("http.protocol", "HTTP/1.1"),
        ("http.request_line", "POST http://User.Example:80/a//%2e%2e/b%41?q=%41 HTTP/1.1"),
        ("http.request_body", "BODY"),
        ("file.data", "BODY"),
        (
            "http.header",
            "Host: Www.Example.ORG:8080\r\nUser-Agent: agent/1\r\nX-Two: a, b\r\nReferer: r\r\n\
             Accept: */*\r\nContent-Type: text/plain\r\nContent-Length: 4\r\n",
        ),
        (
            "http.header_names",
            "\r\nHost\r\nUser-Agent\r\nX-Two\r\nCookie\r\nReferer\r\nAccept\r\nContent-Type\r\n\
             Content-Length\r\n\r\n",
        ),
    ] {
        check("http", buffer, REQUEST, expected);
    }
    check(
        "http",
        "http.host",
        b"GET / HTTP/1.1\r\nHost: Www.Example.ORG:8080\r\n\r\n",
        "www.example.org",
    );
}

#[test]
fn of_responses() {
    let answer = b"HTTP/1.1 404 Not Found\r\nServer: s\r\nSet-Cookie: a\r\nSet-Cookie: b\r\n\
        Location: /l\r\nContent-Length: 4\r\n\r\nBODY";
    for (buffer, expected) in [
        ("http.stat_code", "404"),
        ("http.stat_msg", "Not Found"),
        ("http.response_line", "HTTP/1.1 404 Not Found"),
        ("http.server", "s"),
        ("http.cookie", "a, b"),
        ("http.location", "/l"),
        ("http.response_body", "BODY"),
        ("file.data", "BODY"),
        ("http.header", "Server: s\r\nLocation: /l\r\nContent-Length: 4\r\n"),
    ] {
        check_answer(buffer, answer, expected);
    }
}

/// Stored without being compressed (RFC 1951 §3.2.4).
fn gzip(plain: &[u8]) -> Vec<u8> {
    let mut bytes = vec![0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 3, 1];
    let len = plain.len() as u16;
    bytes.extend(len.to_le_bytes());
    bytes.extend((!len).to_le_bytes());
    bytes.extend(plain);
    bytes.extend([0; 8]);
    bytes
}

#[test]
fn bodies_are_inflated() {
    let body = gzip(b"plain text");
    let head = format!(
        "HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: {}\r\n\r\n",
        body.len()
    );
    check_answer("file.data", &[head.as_bytes(), &body].concat(), "plain text");
}

/// Receivers that find no header of zlib take it as raw deflate, whatever its first byte is.
#[test]
fn raw_deflate_with_a_first_byte_of_zlib_is_inflated() {
    // The padding of the first block makes the first byte; a second one is the last.
    for first in [0x78, 0x08] {
        let body = [&[first, 6, 0, 0xf9, 0xff][..], b"plain ", &[1, 4, 0, 0xfb, 0xff], b"text"];
        let head = b"HTTP/1.1 200 OK\r\nContent-Encoding: deflate\r\nContent-Length: 20\r\n\r\n";
        check_answer("file.data", &[&head[..], &body.concat()].concat(), "plain text");
    }
}

#[test]
fn of_tls() {
    let hello = Hello::browser("Www.Example.ORG");
    let record = tls::record(22, &hello.message());
    check("tls", "tls.sni", &record, "Www.Example.ORG");
    let body = hello.message()[4..].to_vec();
    let parsed = gwlb_geneve::protocol::tls::ClientHello::parse(&body).unwrap();
    check("tls", "ja3.hash", &record, &parsed.ja3().to_string());
    check("tls", "ja3.string", &record, &parsed.ja3_text().to_string());
    check("tls", "ja4.hash", &record, parsed.ja4().as_str());
}

#[test]
fn of_dns() {
    let question = [dns::labels("Www.Example.ORG"), vec![0, 1, 0, 1]].concat();
    let query = dns::message(7, 0x0100, [std::slice::from_ref(&question), &[], &[], &[]]);
    let answer = dns::message(7, 0x8180, [std::slice::from_ref(&question), &[], &[], &[]]);
    let mut engine = engine(&format!(
        "{}\n{}",
        rule("dns", "dns.query", "Www.Example.ORG"),
        "alert dns any any -> any any (dns.query; dotprefix; content:\".example.org\"; nocase; endswith; sid:2;)"
    ));
    let (client, server) = sides("10.1.0.10:40000", "10.2.0.20:53");
    assert_eq!(told(&send(&mut engine, at(1), &client, &client.udp(&query))), [1, 2]);
    assert_eq!(told(&send(&mut engine, at(1), &server, &server.udp(&answer))), NONE);
}

/// What is spoken in a datagram is known when it is understood, which is behind its bytes; once it is known, no rule holds twice.
#[test]
fn of_bytes_and_what_they_are() {
    let question = [dns::labels("example.org"), vec![0, 1, 0, 1]].concat();
    let query = dns::message(7, 0x0100, [std::slice::from_ref(&question), &[], &[], &[]]);
    let mut engine = engine(
        r#"
        alert udp any any -> any any (content:"|01 00|"; offset:2; depth:2; app-layer-protocol:dns; sid:1;)
        alert udp any any -> any any (content:"|01 00|"; offset:2; depth:2; sid:2;)
        alert udp any any -> any any (app-layer-protocol:!dns; sid:3;)
        alert dns any any -> any any (content:"|01 00|"; offset:2; depth:2; sid:4;)
    "#,
    );
    let (client, _) = sides("10.1.0.10:40000", "10.2.0.20:53");
    let mut found = told(&send(&mut engine, at(1), &client, &client.udp(&query)));
    found.sort_unstable();
    assert_eq!(found, [1, 2, 4]);
    let mut found = told(&send(&mut engine, at(2), &client, &client.udp(&query)));
    found.sort_unstable();
    assert_eq!(found, [1, 2, 4]);
}

/// Who asks once has asked.
#[test]
fn of_the_first_datagram() {
    let question = [dns::labels("evil.example"), vec![0, 1, 0, 1]].concat();
    let query = dns::message(7, 0x0100, [std::slice::from_ref(&question), &[], &[], &[]]);
    let mut engine = engine("drop dns any any -> any 53 (content:\"|04|evil\"; sid:1;)");
    let (client, _) = sides("10.1.0.10:40000", "10.2.0.20:53");
    let sent = send(&mut engine, at(1), &client, &client.udp(&query));
    assert_eq!((told(&sent), sent.is_forwarded()), (vec![1], false));
}

#[test]
fn of_first_lines() {
    check("ssh", "ssh.proto", b"SSH-2.0-OpenSSH_9.6 x\r\n\0\0", "2.0");
    check("ssh", "ssh.software", b"SSH-2.0-OpenSSH_9.6 x\r\n\0\0", "OpenSSH_9.6 x");

    let rules = r#"
        alert ftp any any -> any any (ftp.command; content:"USER"; ftp.command_data; content:"root"; sid:1;)
        alert ftp any any -> any any (ftp.command; content:"RETR"; sid:2;)
        alert smtp any any -> any any (content:"VRFY root"; sid:3;)
        alert smtp any any -> any any (smtp.first_line; content:"EHLO"; sid:4;)
    "#;
    let mut talk = Talk::new(engine(rules));
    talk.answer(b"220 files here\r\n");
    assert_eq!(told(&talk.ask(b"USER ro")), NONE);
    assert_eq!(told(&talk.ask(b"ot\r\nRETR ")), [1]);
    assert_eq!(told(&talk.ask(b"x\r\n")), [2]);
    let mut talk = Talk::new(engine(rules));
    talk.answer(b"220 mail.example ESMTP\r\n");
    assert_eq!(told(&talk.ask(b"EHLO me\r\n")), [4]);
    assert_eq!(told(&talk.ask(b"VRFY root\r\n")), [3]);
}

/// The segment that shows what is spoken is the last that can be refused: nothing needs to come behind it.
#[test]
fn bytes_of_the_segment_that_shows_what_is_spoken() {
    for (action, expected) in [("alert", Some(true)), ("drop", Some(false))] {
        for rule in [
            "http any any -> any any (content:\"/evil\"; sid:1;)",
            "tcp any any -> any any (content:\"/evil\"; app-layer-protocol:http; sid:1;)",
            "tcp-pkt any any -> any any (content:\"/evil\"; app-layer-protocol:http; sid:1;)",
        ] {
            let mut talk = Talk::new(engine(&format!("{action} {rule}")));
            let sent = talk.ask(b"GET /evil HTTP/1.1\r\nHost: h\r\n\r\n");
            assert_eq!((told(&sent), Some(sent.is_forwarded())), (vec![1], expected), "{rule}");
            // Cut: whatever shows it last.
            let mut talk = Talk::new(engine(&format!("{action} {rule}")));
            let cut = [&b"GET /evil HT"[..], b"TP/1.1\r\nHost: h\r\n", b"\r\n"];
            let sent = cut.map(|part| talk.ask(part));
            let all: Vec<_> = sent.iter().flat_map(told).collect();
            assert_eq!((all, Some(sent[2].is_forwarded())), (vec![1], expected), "{rule}");
        }
    }
    // Not where it is something else.
    let mut talk = Talk::new(engine("drop http any any -> any any (content:\"/evil\"; sid:1;)"));
    assert_eq!(told(&talk.ask(b"\0\x01 /evil of no protocol")), NONE);
    assert_eq!(told(&talk.ask(b"more of it")), NONE);
}

#[test]
fn protocols_alone() {
    let rules = r#"
        alert http any any -> any any (flow:to_server; sid:1;)
        alert tls any any -> any any (sid:2;)
        alert tcp any any -> any any (content:"GET"; app-layer-protocol:http; sid:3;)
    "#;
    let mut talk = Talk::new(engine(rules));
    let found = told(&talk.ask(b"GET / HTTP/1.1\r\nHost: h\r\n\r\n"));
    assert_eq!(found, [1, 3]);
}
