//! What it costs to look for rules: instructions, counted by callgrind, for 100, 1,000 and 10,000 of them over the same requests, hellos
//! and queries, the making of the inspector taken off.
//!
//! `cargo bench --bench signatures --features signatures` prints a table; it needs valgrind. 10,000 rules must cost at most twice what
//! 100 rules cost. With `-- --rules NUMBER` it prints the rules.

#![allow(missing_docs)]

#[path = "support/callgrind.rs"]
mod callgrind;

#[path = "../tests/support/mod.rs"]
mod support;

use std::hint::black_box;
use std::process::ExitCode;
use std::sync::Arc;

use callgrind::count_between;
use gwlb_geneve::flow::EndpointGroups;
use gwlb_geneve::gwlb::{Envelope, Profile};
use gwlb_geneve::inspect::{Beginning, Context, Effects, Inspector, Message, Packet, ParsedPacket};
use gwlb_geneve::inspectors::signatures::{SignatureInspector, SignatureSettings, Signatures};
use gwlb_geneve::protocol::{self, Limits, Room, Session, dns};
use gwlb_geneve::{Side, Timestamp};
use support::tls::{self, Hello};
use support::traffic::{ACK, pair};

/// How many rules.
const CASES: [(&str, u32); 4] =
    [("none", 0), ("100 rules", 100), ("1,000 rules", 1_000), ("10,000 rules", 10_000)];
const ROUNDS: [u64; 2] = [20, 220];

/// Rules as public rule sets have them: a pattern of some letters in a buffer, here and there a second one.
fn rules(count: u32) -> String {
    let mut state: u32 = 7;
    let mut next = move |below: u32| {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (state >> 8) % below
    };
    let mut text = String::new();
    for sid in 1..=count {
        let mut word = |len: u32| -> String {
            (0..len)
                .map(|_| char::from(b"abcdefghijklmnopqrstuvwxyz0123456789-_."[next(39) as usize]))
                .collect()
        };
        let (first, second) = (word(9), word(6));
        let rule = match sid % 8 {
            0 => format!("tls any any -> any any (tls.sni; content:\"{first}.com\"; endswith;"),
            1 => format!("dns any any -> any any (dns.query; content:\"{first}\"; nocase;"),
            2 => format!(
                "http any any -> any any (flow:to_server; http.header; content:\"X-{first}: \"; http.uri; content:\".php\";"
            ),
            3 => format!("http any any -> any any (http.user_agent; content:\"{first}\";"),
            4 => format!("http any any -> any any (http.host; content:\"{first}.net\";"),
            5 => format!(
                "http any any -> any any (http.method; content:\"POST\"; http.uri; content:\"/{first}\"; content:\"{second}\"; distance:1;"
            ),
            _ => format!(
                "http any any -> any any (http.uri; content:\"/{first}/{second}\"; fast_pattern; content:\".php?\"; distance:0;"
            ),
        };
        text += &format!("alert {rule} sid:{sid};)\n");
    }
    text
}

const REQUEST: &[u8] = b"GET /assets/app.3f2a91.js?v=12 HTTP/1.1\r\n\
    Host: www.example.com\r\n\
    Connection: keep-alive\r\n\
    User-Agent: Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/126.0.0.0 Safari/537.36\r\n\
    Accept: */*\r\n\
    Referer: https://www.example.com/shop/index.html\r\n\
    Cookie: session=5f0c2ad0b3e94c1c9d6c; theme=dark; _ga=GA1.2.1234567890.1700000000\r\n\r\n";

/// A request, a hello and a query, each in a flow of its own, so often.
fn look(inspector: &mut SignatureInspector, rounds: u64) {
    let (client, _) = pair();
    let payload = client.envelope(&client.tcp(ACK, 1, 1, b"-"));
    let envelope = Envelope::parse(&payload, &Profile::AWS).expect("as made");
    let parsed = ParsedPacket::of(envelope, &EndpointGroups::default()).expect("as made");
    let packet = Packet::new(&parsed, parsed.flow().direction, Beginning::Seen);
    let hello = tls::record(22, &Hello::browser("www.example.com").message());
    let question = [support::dns::labels("www.example.com"), vec![0, 1, 0, 1]].concat();
    let query = support::dns::message(7, 0x0100, [&[question], &[], &[], &[]]);
    let mut effects = Effects::default();
    let mut room = Room::new(1 << 20);
    let now = Timestamp::from_nanos(1);
    for _ in 0..rounds {
        for bytes in [REQUEST, &hello] {
            let mut cx = Context::new(now, &mut effects);
            let Some(mut flow) = inspector.open(&packet, &mut cx) else { continue };
            let mut session = Session::tcp(None, Limits::default());
            session.feed(Side::Client, bytes, &mut room, &mut |side, message| {
                let message = Message::new(&packet, side, &message, true);
                black_box(inspector.message(&mut flow, &message, &mut cx));
                core::ops::ControlFlow::Continue(())
            });
            session.close(&mut room);
        }
        let mut cx = Context::new(now, &mut effects);
        let Some(mut flow) = inspector.open(&packet, &mut cx) else { continue };
        let message = protocol::Message::Dns(dns::Message::parse(&query).expect("as made"));
        let message = Message::new(&packet, Side::Client, &message, true);
        black_box(inspector.message(&mut flow, &message, &mut cx));
    }
}

fn main() -> ExitCode {
    let mut arguments = std::env::args().skip(1);
    let mut printed = std::env::args().skip_while(|argument| argument != "--rules").skip(1);
    if let Some(count) = printed.next() {
        print!("{}", rules(count.parse().expect("a number")));
        return ExitCode::SUCCESS;
    }
    if let (Some(first), Some(case), Some(rounds)) =
        (arguments.next(), arguments.next(), arguments.next())
    {
        if first == "--case" {
            let count: u32 = case.parse().expect("a number");
            let text = rules(count);
            let (signatures, report) =
                Signatures::parse(text.as_bytes(), &SignatureSettings::default());
            assert_eq!(report.errors(), []);
            let mut inspector = SignatureInspector::new(Arc::new(signatures));
            look(&mut inspector, rounds.parse().expect("a number"));
            return ExitCode::SUCCESS;
        }
    }
    println!("A request, a hello and a query, each in a flow of its own:");
    let mut counts = Vec::new();
    for (name, count) in CASES {
        let text = rules(count);
        let started = std::time::Instant::now();
        let (signatures, _) = Signatures::parse(text.as_bytes(), &SignatureSettings::default());
        let loaded = started.elapsed();
        let memory = signatures.prefilter_memory() / 1024;
        let Some(instructions) = count_between(&count.to_string(), ROUNDS) else {
            println!("there is no valgrind");
            return ExitCode::SUCCESS;
        };
        println!(
            "{name:<14} {instructions:>9} instructions, patterns {memory:>6} KiB, loaded in {loaded:.2?}"
        );
        counts.push(instructions);
    }
    // The parsing of messages, which is the same for all, is in it.
    match counts.as_slice() {
        [_, few, _, many] if many > &(few * 2) => ExitCode::FAILURE,
        _ => ExitCode::SUCCESS,
    }
}
