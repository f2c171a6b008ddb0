//! HTTP in the bytes of a flow: what is understood, however it is cut, and what is odd.
#![cfg(feature = "http")]

mod support;

use std::ops::ControlFlow;
use std::panic::{AssertUnwindSafe, catch_unwind};

use gwlb_geneve::Side;
use gwlb_geneve::protocol::{Limits, Message, Progress, Room, Session};
use proptest::collection::vec;
use proptest::prelude::*;
use support::http_check::transcript::{Event, Input, run};
use support::http_check::{check, messages, odd};

/// One line for each event.
fn lines(events: &[Event]) -> Vec<String> {
    let anomalies = |found: &gwlb_geneve::protocol::http::Anomalies| {
        if found.is_empty() { String::new() } else { format!(" [{found}]") }
    };
    let line = |event: &Event| match event {
        Event::Request(head) => {
            let (host, path) = head.asked.clone().unwrap();
            let host = host.unwrap_or("-".into());
            format!("{} {host} {path}{}", head.words[0], anomalies(&head.anomalies))
        }
        Event::Response(head) => {
            let number = head.number.map_or("-".into(), |number| number.to_string());
            format!("{number}: {}{}", head.words[0], anomalies(&head.anomalies))
        }
        Event::Body(piece) => {
            let last = if piece.is_last { "." } else { ".." };
            let data = piece.data.escape_ascii();
            format!("\"{data}\"{last}{}", anomalies(&piece.anomalies))
        }
        Event::Opaque { side, why, reason, offset, is_whole_flow } => {
            let scope = if *is_whole_flow { "flow" } else { "side" };
            format!("{side:?} {why} from {offset}, {scope}: {reason}")
        }
    };
    events.iter().map(line).collect()
}

fn client(bytes: &[u8]) -> Input {
    Input::Bytes(Side::Client, bytes.to_vec())
}

fn server(bytes: &[u8]) -> Input {
    Input::Bytes(Side::Server, bytes.to_vec())
}

#[test]
fn odd_requests() {
    for (bytes, expected) in odd::REQUESTS {
        for piece in [usize::MAX, 1, 2, 3, 7] {
            let given = lines(&run(None, &[client(bytes), Input::End(Side::Client)], |_| piece));
            assert_eq!(given, *expected, "{piece}: {}", bytes.escape_ascii());
        }
    }
}

/// Each is a conversation, and what is given of it.
#[test]
fn responses_and_what_their_requests_have_to_say() {
    let get = client(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n");
    let end = Input::End(Side::Server);
    let ok = server(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok");
    let of = |head: &[u8]| client(&[head, b"Host: a\r\n\r\n"].concat());
    let (head, connect) = (of(b"HEAD / HTTP/1.1\r\n"), of(b"CONNECT a:1 HTTP/1.1\r\n"));
    let upgrade = of(b"GET /chat HTTP/1.1\r\nUpgrade: websocket\r\n");
    let old = client(b"GET /old\r\n");
    let table: &[(&str, Vec<Input>, &[&str])] = &[
        ("no body after HEAD", vec![head.clone(), get.clone(), server(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")], &["HEAD a /", "GET a /", "0: 200", "1: 200", "\"ok\"."]),
        ("nor with 204 and 304", vec![get.clone(), get.clone(), get.clone(), server(b"HTTP/1.1 204 No\r\nContent-Length: 2\r\n\r\nHTTP/1.1 304 No\r\nTransfer-Encoding: chunked\r\n\r\n"), ok.clone()], &["GET a /", "GET a /", "GET a /", "0: 204", "1: 304", "2: 200", "\"ok\"."]),
        ("interim responses answer nothing", vec![get.clone(), head.clone(), server(b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\n\r\n"), ok.clone(), ok.clone()], &["GET a /", "HEAD a /", "0: 100", "0: 103", "0: 200", "\"ok\".", "1: 200", "Server unparsable from 131, side: something that is no response"]),
        ("until the connection is closed", vec![get.clone(), server(b"HTTP/1.0 200 OK\r\n\r\nHTTP/1.1 200"), end.clone()], &["GET a /", "0: 200", "\"HTTP/1.1 200\"."]),
        ("a coding that is not chunked", vec![get.clone(), server(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip\r\nContent-Length: 1\r\n\r\nab"), end.clone()], &["GET a /", "0: 200 [content-length-with-transfer-encoding, transfer-encoding-odd]", "\"ab\"."]),
        ("cut off", vec![get.clone(), server(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nab"), end.clone(), get.clone()], &["GET a /", "0: 200", "\"ab\"..", "Server truncated from 40, side: the end of the flow in the middle of a message", "GET a /"]),
        ("odd responses leave the requests clear", vec![get.clone(), server(b"SSH-2.0-x\r\n"), get.clone()], &["GET a /", "Server unparsable from 0, side: something that is no response", "GET a /"]),
        ("status that is none", vec![get.clone(), server(b"HTTP/1.1 2x0 OK\r\n\r\n"), get.clone()], &["GET a /", "Server unparsable from 0, side: a status line that is none", "GET a /"]),
        ("lengths that differ", vec![get.clone(), server(b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nok"), get.clone()], &["GET a /", "0: 200 [content-length-conflict]", "Server unparsable from 57, side: content lengths that differ", "GET a /"]),
        ("nobody asked", vec![get.clone(), ok.clone(), server(b"HTTP/1.1 408 Time\r\nContent-Length: 0\r\n\r\n"), get.clone(), ok.clone()], &["GET a /", "0: 200", "\"ok\".", "-: 408 [response-unsolicited]", "GET a /", "1: 200", "\"ok\"."]),
        ("the server first", vec![ok.clone(), get.clone(), ok.clone()], &["-: 200 [response-unsolicited]", "\"ok\".", "GET a /", "0: 200", "\"ok\"."]),
        ("something else from the server first", vec![server(b"220 hello\r\n"), get.clone(), ok.clone()], &["Server unrecognised from 0, side: protocol not recognised", "GET a /"]),
        ("a tunnel", vec![connect.clone(), ok.clone(), client(b"\x16\x03\x01")], &["CONNECT a /", "0: 200", "Server switched from 38, flow: a tunnel by CONNECT"]),
        ("no tunnel", vec![connect.clone(), server(b"HTTP/1.1 403 No\r\nContent-Length: 2\r\n\r\nno"), get.clone()], &["CONNECT a /", "0: 403", "\"no\".", "GET a /"]),
        ("an upgrade", vec![upgrade.clone(), server(b"HTTP/1.1 101 Switching\r\nUpgrade: WebSocket\r\n\r\n\x81\x00"), client(b"\x81\x80")], &["GET a /chat", "0: 101", "Server switched from 46, flow: an upgrade to WebSocket"]),
        ("an upgrade to HTTP/2", vec![of(b"GET / HTTP/1.1\r\nUpgrade: h2c\r\n"), server(b"HTTP/1.1 101 Switching\r\nUpgrade: h2c\r\n\r\n"), client(b"PRI * HTTP/2.0\r\n\r\n")], &["GET a /", "0: 101", "Server switched from 40, flow: an upgrade to HTTP/2"]),
        ("no upgrade", vec![upgrade.clone(), ok.clone(), get.clone()], &["GET a /chat", "0: 200", "\"ok\".", "GET a /"]),
        ("a tunnel that nobody can see", vec![get.clone(), server(b"220 hello\r\n"), connect.clone(), get.clone()], &["GET a /", "Server unparsable from 0, side: something that is no response", "CONNECT a /", "Client switched from 60, flow: a switch whose answer is not understood"]),
        ("an upgrade that nobody can see", vec![get.clone(), server(b"220 hello\r\n"), upgrade.clone(), get.clone()], &["GET a /", "Server unparsable from 0, side: something that is no response", "GET a /chat", "Client switched from 78, flow: a switch whose answer is not understood"]),
        ("HTTP/0.9 both ways", vec![old.clone(), server(b"\r\nHTTQ"), end.clone()], &["GET - /old [http09]", "\"\\r\\nHTTQ\"."]),
        ("HTTP/0.9, short", vec![old.clone(), server(b"HT"), end.clone()], &["GET - /old [http09]", "\"HT\"."]),
        ("HTTP/0.9, answered by a later version", vec![old.clone(), ok.clone(), client(b"\r\n"), get.clone()], &["GET - /old [http09]", "0: 200", "\"ok\".", "Client unparsable from 12, flow: bytes behind a request of HTTP/0.9"]),
        ("bytes missing in a body", vec![of(b"POST / HTTP/1.1\r\nContent-Length: 9\r\n"), client(b"abc"), Input::Gap(Side::Client, 4), client(b"hi"), get.clone()], &["POST a /", "\"abc\"..", "\"hi\".", "GET a /"]),
        ("the rest of a body missing", vec![of(b"POST / HTTP/1.1\r\nContent-Length: 9\r\n"), Input::Gap(Side::Client, 9), get.clone()], &["POST a /", "\"\".", "GET a /"]),
        ("bytes missing in a chunk", vec![of(b"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n"), client(b"9\r\nabc"), Input::Gap(Side::Client, 6), client(b"\r\n0\r\n\r\n"), get.clone()], &["POST a /", "\"abc\"..", "\"\".", "GET a /"]),
        ("more missing than a body", vec![of(b"POST / HTTP/1.1\r\nContent-Length: 9\r\n"), Input::Gap(Side::Client, 10), get.clone()], &["POST a /", "Client gap from 47, flow: bytes missing where a body is not"]),
        ("bytes missing in a response", vec![get.clone(), server(b"HTTP/1.1 200"), Input::Gap(Side::Server, 1), server(b"OK"), get.clone()], &["GET a /", "Server gap from 12, side: bytes missing where a body is not", "GET a /"]),
        ("bytes missing before anything", vec![Input::Gap(Side::Server, 1), ok.clone(), get.clone(), Input::Gap(Side::Client, 1)], &["Server gap from 0, side: bytes missing before the protocol was recognised", "GET a /", "Client gap from 27, flow: bytes missing where a body is not"]),
        ("bytes missing of a client that said nothing yet", vec![Input::Gap(Side::Client, 1), get.clone()], &["Client gap from 0, flow: bytes missing before the protocol was recognised"]),
    ];
    for (name, inputs, expected) in table {
        for piece in [usize::MAX, 1, 2, 3, 7] {
            let given = lines(&run(None, inputs, |_| piece));
            assert_eq!(given, *expected, "{piece}: {name}");
        }
    }
}

/// As many as are remembered, then one more: the requests are still seen, the responses no longer understood.
#[test]
fn requests_without_response_do_not_hide_behind_each_other() {
    let get = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n".as_slice();
    let no_content = b"HTTP/1.1 204 No Content\r\n\r\n".as_slice();
    let fits = run(None, &[client(&get.repeat(64)), server(&no_content.repeat(64))], |_| 7);
    assert_eq!(lines(&fits[126..]), ["62: 204", "63: 204"]);
    let too_many = [client(&get.repeat(65)), server(&no_content.repeat(65)), client(get)];
    assert_eq!(
        lines(&run(None, &too_many, |_| 7)[64..]),
        [
            "GET a /",
            "Server unparsable from 0, side: more requests without response than are remembered",
            "GET a /"
        ]
    );
}

/// 64 KiB by default: one byte more is too much, wherever it is cut.
#[test]
fn heads_have_a_limit() {
    let head = |len: usize| {
        let start = b"GET / HTTP/1.1\r\nHost: a\r\nX: ";
        let filler = vec![b'x'; len - start.len() - 4];
        client(&[start, &filler[..], b"\r\n\r\n"].concat())
    };
    let too_large = "Client too-large from 0, flow: a head that is larger than the limit";
    let too_long = "GET a / [header-too-long]";
    for piece in [usize::MAX, 1, 1_000] {
        assert_eq!(lines(&run(None, &[head(65_536)], |_| piece)), [too_long]);
        assert_eq!(lines(&run(None, &[head(65_537)], |_| piece)), [too_large]);
    }
    let many =
        client(&[b"GET / HTTP/1.1\r\nHost: a\r\n", &b"a: b\r\n".repeat(127)[..], b"\r\n"].concat());
    assert_eq!(lines(&run(None, &[many], |_| 1_000)), ["GET a /"]);
    let more =
        client(&[b"GET / HTTP/1.1\r\nHost: a\r\n", &b"a: b\r\n".repeat(128)[..], b"\r\n"].concat());
    assert_eq!(lines(&run(None, &[more], |_| 1_000)), ["GET a / [too-many-headers]"]);
}

/// What lies whole in a segment is read where it lies, and bodies are never gathered.
#[test]
fn whole_heads_and_bodies_need_no_memory() {
    let (mut room, mut told) = (Room::new(0), 0);
    let bytes = b"POST /%61 HTTP/1.1\r\nHost: A\r\nContent-Length: 5\r\n\r\nhello\
        POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n";
    let used = allocation_counter::measure(|| {
        let mut session = Session::tcp(None, Limits::default());
        let progress = session.feed(Side::Client, bytes, &mut room, &mut |_, message| {
            assert!(!matches!(message, Message::Opaque(_)));
            told += 1;
            ControlFlow::Continue(())
        });
        assert_eq!(progress, Progress::More);
    });
    assert_eq!((told, used.count_total), (5, 0));
}

/// Who is told may panic: the flow is dead then, and holds nothing.
#[test]
fn a_panic_while_it_is_told_stops_a_session() {
    let mut room = Room::new(1_000);
    let mut session = Session::tcp(None, Limits::default());
    let mut give = |_: Side, _: Message<'_>| ControlFlow::Continue(());
    session.feed(Side::Client, b"GET / HTTP/1.1\r\n", &mut room, &mut give);
    assert!(room.left() < 1_000);
    let caught = catch_unwind(AssertUnwindSafe(|| {
        session.feed(Side::Client, b"\r\nGET", &mut room, &mut |_, _| panic!("on purpose"))
    }));
    assert!(caught.is_err());
    let mut told = 0;
    let progress = session.feed(Side::Client, b" / HTTP/1.1\r\n\r\n", &mut room, &mut |_, _| {
        told += 1;
        ControlFlow::Continue(())
    });
    assert_eq!((progress, told, room.left()), (Progress::Stopped, 0, 1_000));
}

proptest! {
    #![proptest_config(ProptestConfig {
        failure_persistence: None,
        ..ProptestConfig::with_cases(400)
    })]

    /// Would find a body that ends a byte early, a header that is lost where a segment ends, a response that is taken for
    /// another request's.
    #[test]
    fn what_was_written_is_what_is_read(
        (inputs, expected) in messages::conversation(),
        cuts in vec(1_usize..50, 1..20),
    ) {
        let mut cuts = cuts.into_iter().cycle();
        prop_assert_eq!(&run(None, &inputs, |_| usize::MAX), &expected);
        prop_assert_eq!(&run(None, &inputs, |_| cuts.next().unwrap()), &expected);
    }

    /// The body of the fuzz target, with odd requests that are changed in places.
    #[test]
    fn odd_and_damaged_requests_keep_the_promises(
        requests in vec(prop::sample::select(odd::REQUESTS), 1..4),
        changes in vec((any::<prop::sample::Index>(), any::<u8>()), 0..4),
        start in any::<[u8; 2]>(),
    ) {
        let mut script: Vec<u8> = requests.iter().flat_map(|(bytes, _)| bytes.to_vec()).collect();
        for (place, byte) in changes {
            let place = place.index(script.len());
            script[place] = byte;
        }
        check(&[&start[..], &script].concat());
    }
}
