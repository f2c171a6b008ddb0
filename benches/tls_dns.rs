//! Instructions for a message of TLS or DNS, counted by callgrind, the empty loop taken off.
//!
//! `cargo bench --bench tls_dns --features protocols` prints the table; it needs valgrind.

#![allow(missing_docs)]

#[path = "support/callgrind.rs"]
mod callgrind;
#[path = "../tests/support/mod.rs"]
mod support;

use std::hint::black_box;
use std::ops::ControlFlow;
use std::process::ExitCode;

use callgrind::count;
use gwlb_geneve::Side;
use gwlb_geneve::protocol::tls::{Certificate, ClientHello};
use gwlb_geneve::protocol::{Limits, Message, Progress, Room, Session, dns};
use support::tls::{self, Hello};

/// A name, what may at most be spent, the work for one message, and the message.
type Case = (&'static str, Option<u64>, fn(&[u8]) -> bool, fn() -> Vec<u8>);

const CASES: &[Case] = &[
    ("empty loop", None, |bytes| bytes.is_empty(), hello),
    (
        "ClientHello, 1.9 KB",
        Some(3_000),
        |bytes| black_box(ClientHello::parse(bytes)).is_ok(),
        hello,
    ),
    ("ClientHello and server name", None, server_name, hello),
    (
        "ClientHello and JA3",
        None,
        |bytes| parsed(bytes, |hello| black_box(hello.ja3()).0[0] > 0),
        hello,
    ),
    (
        "ClientHello and JA4",
        None,
        |bytes| parsed(bytes, |hello| black_box(hello.ja4()).as_str() > ""),
        hello,
    ),
    ("session, ClientHello in one segment", None, |bytes| session(bytes, bytes.len()), record),
    ("session, ClientHello in segments of 1400", None, |bytes| session(bytes, 1_400), record),
    ("session, ClientHello in segments of 1", None, |bytes| session(bytes, 1), record),
    (
        "certificate, 607 bytes",
        None,
        |bytes| black_box(Certificate::parse(bytes)).is_ok(),
        tls::certificate,
    ),
    ("DNS query", Some(800), |bytes| black_box(dns::Message::parse(bytes)).is_ok(), query),
    ("DNS query and name in text", None, dns_name, query),
    (
        "DNS answer of 12 records",
        None,
        |bytes| black_box(dns::Message::parse(bytes)).is_ok(),
        support::dns::answer,
    ),
];

fn hello() -> Vec<u8> {
    Hello::browser("www.example.com").body()
}

fn record() -> Vec<u8> {
    tls::record(22, &Hello::browser("www.example.com").message())
}

fn query() -> Vec<u8> {
    let question = [support::dns::labels("www.example.com"), vec![0, 1, 0, 1]].concat();
    let options = support::dns::record(&[0], 41, 1232, 0, &[]);
    support::dns::message(7, 0x100, [&[question], &[], &[], &[options]])
}

fn parsed(bytes: &[u8], then: impl Fn(&ClientHello<'_>) -> bool) -> bool {
    ClientHello::parse(bytes).is_ok_and(|hello| then(&hello))
}

fn server_name(bytes: &[u8]) -> bool {
    parsed(bytes, |hello| {
        let name = hello.server_name().and_then(|name| name.dns_name());
        black_box(name) == Some("www.example.com")
    })
}

/// A flow from its beginning to the message.
fn session(bytes: &[u8], segment: usize) -> bool {
    let mut room = Room::new(1 << 20);
    let mut session = Session::tcp(Some(443), Limits::default());
    let mut found = false;
    for piece in bytes.chunks(segment) {
        let progress = session.feed(Side::Client, piece, &mut room, &mut |_, message| {
            found = matches!(black_box(&message), Message::TlsClientHello(_));
            ControlFlow::Continue(())
        });
        assert_eq!(progress, Progress::More);
    }
    session.close(&mut room);
    found
}

fn dns_name(bytes: &[u8]) -> bool {
    use std::fmt::Write;

    let Ok(message) = dns::Message::parse(bytes) else { return false };
    let mut text = String::with_capacity(64);
    message.question().is_some_and(|question| write!(text, "{}", question.name).is_ok())
        && black_box(&text) == "www.example.com"
}

fn main() -> ExitCode {
    let arguments: Vec<_> = std::env::args().collect();
    match arguments.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        [_, "--case", case, rounds] => run(case, rounds.parse().expect("a number")),
        _ => return table(),
    }
    ExitCode::SUCCESS
}

/// What runs under callgrind.
fn run(case: &str, rounds: u64) {
    let (_, _, work, bytes) = CASES.iter().find(|(name, ..)| *name == case).expect("a known case");
    let bytes = bytes();
    for _ in 0..rounds {
        assert_eq!(work(black_box(&bytes)), case != "empty loop");
    }
}

fn table() -> ExitCode {
    let mut empty = 0;
    let mut over = false;
    println!("{:<48} {:>12} {:>7}", "instructions per message", "found", "at most");
    for (name, most, ..) in CASES {
        let Some(found) = count(name) else {
            eprintln!("valgrind is needed: apt-get install valgrind");
            return ExitCode::FAILURE;
        };
        if *name == "empty loop" {
            empty = found;
            continue;
        }
        let found = found - empty;
        let most = most.map_or(String::new(), |most| {
            over |= found > most;
            most.to_string()
        });
        println!("{name:<48} {found:>12} {most:>7}");
    }
    if over { ExitCode::FAILURE } else { ExitCode::SUCCESS }
}
