//! What must hold of HTTP in the bytes of a flow, however they are cut.

pub mod messages;
pub mod odd;
pub mod transcript;

use gwlb_geneve::Side;
use gwlb_geneve::protocol::http::{Anomalies, Headers, Request, Response, Version};
use gwlb_geneve::protocol::{Limits, Progress, Room, Session};

use transcript::{Input, ROOM, run, run_with};

/// Conversations made of any bytes: the first two say how it is cut and to which port it goes; then 0xff and a byte
/// change the side, lose bytes or end a side, and whatever else is what the client and the server say.
pub fn check(bytes: &[u8]) {
    let [cut, port, script @ ..] = bytes else { return };
    let hint = [None, Some(80), Some(443)][usize::from(*port) % 3];
    let inputs = inputs(script);
    let whole = run(hint, &inputs, |_| usize::MAX);
    let mut random = u64::from(*cut) | 0x100;
    let random_cut = |_| {
        random ^= random << 13;
        random ^= random >> 7;
        random ^= random << 17;
        (random % 17) as usize + 1
    };
    assert_eq!(run(hint, &inputs, random_cut), whole, "cut at random");
    assert_eq!(run(hint, &inputs, |_| 1), whole, "a byte at a time");
    break_off(hint, &inputs, usize::from(*cut));
    in_little_room(hint, &inputs, usize::from(*cut) * 8);
    against_httparse(hint, &inputs);
}

fn inputs(script: &[u8]) -> Vec<Input> {
    let mut side = Side::Client;
    let mut inputs = Vec::new();
    let mut rest = script;
    while let Some(first) = rest.first() {
        if *first == 0xff {
            let control = rest.get(1).copied().unwrap_or(0);
            match control % 4 {
                0 => side = Side::Client,
                1 => side = Side::Server,
                2 => inputs.push(Input::Gap(side, u64::from(control / 4))),
                _ => inputs.push(Input::End(side)),
            }
            rest = rest.get(2..).unwrap_or(&[]);
        } else {
            let end = rest.iter().position(|byte| *byte == 0xff).unwrap_or(rest.len());
            inputs.push(Input::Bytes(side, rest[..end].to_vec()));
            rest = &rest[end..];
        }
    }
    inputs
}

/// Who breaks off is told nothing more, and the room comes back.
fn break_off(hint: Option<u16>, inputs: &[Input], after: usize) {
    let mut room = Room::new(ROOM);
    let mut session = Session::tcp(hint, Limits::default());
    let mut given = 0;
    let mut progress = Progress::More;
    run_with(
        &mut session,
        &mut room,
        inputs,
        |_| 3,
        |_, _| {
            assert!(given <= after, "told after it broke off");
            given += 1;
            if given > after {
                std::ops::ControlFlow::Break(())
            } else {
                std::ops::ControlFlow::Continue(())
            }
        },
        |now| progress = now,
    );
    if given > after {
        assert_eq!(progress, Progress::Stopped);
        assert_eq!(room.left(), ROOM, "given back when it stops");
    }
    session.close(&mut room);
    assert_eq!(room.left(), ROOM);
}

/// Whatever there is room for, nothing more is taken and everything comes back.
fn in_little_room(hint: Option<u16>, inputs: &[Input], little: usize) {
    let mut room = Room::new(little);
    let mut session = Session::tcp(hint, Limits::default());
    run_with(
        &mut session,
        &mut room,
        inputs,
        |_| 2,
        |_, _| std::ops::ControlFlow::Continue(()),
        |_| {},
    );
    session.close(&mut room);
    assert_eq!(room.left(), little);
}

/// What httparse reads in a head is what is read here, and what it refuses is odd here too.
fn against_httparse(hint: Option<u16>, inputs: &[Input]) {
    use gwlb_geneve::protocol::Message;
    let mut room = Room::new(ROOM);
    let mut session = Session::tcp(hint, Limits::default());
    run_with(
        &mut session,
        &mut room,
        inputs,
        |_| usize::MAX,
        |_, message| {
            match message {
                Message::HttpRequest(request) => request_against_httparse(&request),
                Message::HttpResponse(response) => response_against_httparse(&response),
                _ => {}
            }
            std::ops::ControlFlow::Continue(())
        },
        |_| {},
    );
}

fn request_against_httparse(request: &Request<'_>) {
    let mut headers = [httparse::EMPTY_HEADER; 300];
    let mut parsed = httparse::Request::new(&mut headers);
    match parsed.parse(request.as_bytes()) {
        Ok(httparse::Status::Complete(len)) => {
            assert_eq!(len, request.as_bytes().len());
            assert_eq!(request.method(), parsed.method.unwrap());
            assert_eq!(request.target(), parsed.path.unwrap());
            same_head(request.version(), parsed.version, request.headers(), parsed.headers);
        }
        other => refused(other, request.anomalies(), request),
    }
}

fn response_against_httparse(response: &Response<'_>) {
    let mut headers = [httparse::EMPTY_HEADER; 300];
    let mut parsed = httparse::Response::new(&mut headers);
    match parsed.parse(response.as_bytes()) {
        Ok(httparse::Status::Complete(len)) => {
            assert_eq!(len, response.as_bytes().len());
            assert_eq!(Some(response.status()), parsed.code);
            same_head(response.version(), parsed.version, response.headers(), parsed.headers);
        }
        // The words behind the status mean nothing to anybody; httparse refuses some of them all the same.
        Err(httparse::Error::Status) => {}
        other => refused(other, response.anomalies(), response),
    }
}

fn refused<T: std::fmt::Debug>(found: httparse::Result<usize>, anomalies: Anomalies, message: &T) {
    if found != Err(httparse::Error::TooManyHeaders) {
        assert!(!anomalies.is_empty(), "{found:?}: {message:?}");
    }
}

fn same_head(
    version: Version,
    number: Option<u8>,
    headers: Headers<'_>,
    expected: &[httparse::Header<'_>],
) {
    let expected_version = if number == Some(0) { Version::Http10 } else { Version::Http11 };
    assert_eq!(version, expected_version);
    let headers: Vec<_> = headers.map(|header| (header.name, header.value)).collect();
    assert_eq!(headers.len(), expected.len());
    for ((name, value), expected) in headers.iter().zip(expected) {
        assert_eq!(name, &expected.name);
        assert_eq!(value.as_bytes(), expected.value.trim_ascii());
    }
}
