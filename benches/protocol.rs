//! What it costs to understand HTTP: instructions, counted by callgrind, the making of a session taken off.
//!
//! `cargo bench --bench protocol --features http` prints a table; it needs valgrind. A request head in segments of one byte
//! must cost the same for each byte, however long it is.

#![allow(missing_docs)]

#[path = "support/callgrind.rs"]
mod callgrind;

use std::hint::black_box;
use std::ops::ControlFlow;
use std::process::ExitCode;

use callgrind::count_between;
use gwlb_geneve::Side;
use gwlb_geneve::protocol::{Limits, Message, Room, Session};

/// As a browser writes it: 501 bytes, 11 headers.
const REQUEST: &[u8] = b"GET /assets/app.3f2a91.js?v=12 HTTP/1.1\r\n\
    Host: www.example.com\r\n\
    Connection: keep-alive\r\n\
    User-Agent: Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/126.0.0.0 Safari/537.36\r\n\
    Accept: */*\r\n\
    Referer: https://www.example.com/shop/index.html\r\n\
    Accept-Encoding: gzip, deflate, br\r\n\
    Accept-Language: en-GB,en;q=0.9,de;q=0.8\r\n\
    Cookie: session=5f0c2ad0b3e94c1c9d6c; theme=dark; _ga=GA1.2.1234567890.1700000000\r\n\
    If-None-Match: \"3f2a91-1a2b3c\"\r\n\
    Cache-Control: max-age=0\r\n\
    X-Requested-With: XMLHttpRequest\r\n\r\n";

/// `None`: 1,000 rounds. What is fed, in segments of so many bytes.
struct Case {
    name: &'static str,
    rounds: u64,
    bytes: fn() -> Vec<u8>,
    segment: usize,
    work: fn(&[u8], usize, &mut Room),
}

const CASES: &[Case] = &[
    Case { name: "no bytes", rounds: 1_000, bytes: Vec::new, segment: 1, work: session },
    Case { name: "request, whole", rounds: 1_000, bytes: request, segment: 1 << 20, work: session },
    Case {
        name: "the same, httparse alone",
        rounds: 1_000,
        bytes: request,
        segment: 0,
        work: httparse,
    },
    Case { name: "request, cut once", rounds: 1_000, bytes: request, segment: 300, work: session },
    Case {
        name: "request, 1-byte segments",
        rounds: 100,
        bytes: request,
        segment: 1,
        work: session,
    },
    Case {
        name: "10 requests in one segment",
        rounds: 100,
        bytes: || REQUEST.repeat(10),
        segment: 1 << 20,
        work: session,
    },
    Case {
        name: "1 MB body of known length",
        rounds: 10,
        bytes: body,
        segment: 1_460,
        work: session,
    },
    Case {
        name: "1 MB body in chunks of 1 KB",
        rounds: 10,
        bytes: chunks,
        segment: 1_460,
        work: session,
    },
    Case {
        name: "head of 1 KB, 1-byte segments",
        rounds: 2,
        bytes: || head(1 << 10),
        segment: 1,
        work: session,
    },
    Case {
        name: "head of 4 KB, 1-byte segments",
        rounds: 2,
        bytes: || head(1 << 12),
        segment: 1,
        work: session,
    },
    Case {
        name: "head of 16 KB, 1-byte segments",
        rounds: 2,
        bytes: || head(1 << 14),
        segment: 1,
        work: session,
    },
    Case {
        name: "head of 64 KB, 1-byte segments",
        rounds: 2,
        bytes: || head(1 << 16),
        segment: 1,
        work: session,
    },
];

fn request() -> Vec<u8> {
    REQUEST.to_vec()
}

/// A head of that length, of headers as long as they are in `REQUEST`.
fn head(len: usize) -> Vec<u8> {
    let mut head = b"GET / HTTP/1.1\r\nHost: a\r\n".to_vec();
    let mut number = 0;
    while head.len() < len - 100 {
        head.extend_from_slice(
            format!("X-Header-{number:05}: some value of a header\r\n").as_bytes(),
        );
        number += 1;
    }
    head.extend_from_slice(b"Y: ");
    head.resize(len - 4, b'y');
    head.extend_from_slice(b"\r\n\r\n");
    head
}

fn body() -> Vec<u8> {
    [b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1048576\r\n\r\n", &vec![b'x'; 1 << 20][..]]
        .concat()
}

fn chunks() -> Vec<u8> {
    let chunk = [b"400\r\n", &[b'x'; 1 << 10][..], b"\r\n"].concat();
    let head = b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n".as_slice();
    [head, &chunk.repeat(1 << 10), b"0\r\n\r\n"].concat()
}

fn session(bytes: &[u8], segment: usize, room: &mut Room) {
    let mut session = Session::tcp(Some(80), Limits::default());
    for piece in bytes.chunks(segment) {
        session.feed(Side::Client, piece, room, &mut |side, message| {
            if let Message::Opaque(opaque) = &message {
                panic!("{opaque}");
            }
            black_box((side, message));
            ControlFlow::Continue(())
        });
    }
    session.close(room);
    black_box(&session);
}

fn httparse(bytes: &[u8], _: usize, _: &mut Room) {
    let mut headers = [httparse::EMPTY_HEADER; 128];
    let mut request = httparse::Request::new(&mut headers);
    assert!(request.parse(bytes).is_ok_and(|status| status.is_complete()));
    black_box(&request);
}

fn main() -> ExitCode {
    let arguments: Vec<_> = std::env::args().collect();
    match arguments.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        [_, "--case", name, rounds] => {
            let case = CASES.iter().find(|case| case.name == name).expect("a known case");
            let (bytes, mut room) = ((case.bytes)(), Room::new(1 << 20));
            for _ in 0..rounds.parse().expect("a number") {
                (case.work)(black_box(&bytes), case.segment, &mut room);
            }
            ExitCode::SUCCESS
        }
        _ => table(),
    }
}

fn table() -> ExitCode {
    let mut empty = 0;
    let mut curve = Vec::new();
    println!("{:<32} {:>9} {:>12} {:>9}", "", "bytes", "instructions", "per byte");
    for Case { name, rounds, bytes, segment, .. } in CASES {
        let Some(found) = count_between(name, [*rounds, 11 * rounds]) else {
            eprintln!("valgrind is needed: apt-get install valgrind");
            return ExitCode::FAILURE;
        };
        let len = bytes().len();
        if len == 0 {
            empty = found;
            continue;
        }
        let found = if *segment == 0 { found } else { found - empty };
        println!("{name:<32} {len:>9} {found:>12} {:>9.1}", found as f64 / len as f64);
        if name.starts_with("head of") {
            curve.push(found as f64 / len as f64);
        }
    }
    println!("session: {} bytes", size_of::<Session>());
    // Quadratic cost would be 64 times as much for a byte of the longest.
    let is_linear = curve.iter().all(|per_byte| *per_byte < 1.5 * curve[0]);
    println!("cost of one-byte segments {}", if is_linear { "is linear" } else { "IS NOT LINEAR" });
    if is_linear { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
