//! A conversation as it was understood, in a form that does not depend on how it was cut.

use std::ops::ControlFlow;

use gwlb_geneve::Side;
use gwlb_geneve::protocol::http::{Anomalies, Framing, Headers, Version};
use gwlb_geneve::protocol::{Limits, Message, Progress, Room, Session, Why};

/// More than any test needs.
pub const ROOM: usize = 1 << 24;

/// What happens on the wire.
#[derive(Clone, Debug)]
pub enum Input {
    Bytes(Side, Vec<u8>),
    Gap(Side, u64),
    End(Side),
}

/// What was given; pieces of a body that follow each other are one.
#[derive(Clone, Debug, PartialEq)]
pub enum Event {
    Request(Head),
    Response(Head),
    Body(Piece),
    Opaque { side: Side, why: Why, reason: &'static str, offset: u64, is_whole_flow: bool },
}

/// A request: method and target are the first two; a response: status and reason are.
#[derive(Clone, Debug, PartialEq)]
pub struct Head {
    pub number: Option<u64>,
    pub words: [String; 2],
    pub version: Version,
    pub headers: Vec<(String, String)>,
    pub framing: Framing,
    pub anomalies: Anomalies,
    /// Host and path in their normal form, of a request.
    pub asked: Option<(Option<String>, String)>,
}

#[derive(Clone, Debug, PartialEq)]
pub struct Piece {
    pub side: Side,
    pub number: Option<u64>,
    pub offset: u64,
    pub data: Vec<u8>,
    pub is_last: bool,
    pub trailers: Vec<(String, String)>,
    pub anomalies: Anomalies,
}

/// Feeds everything, in pieces as long as `cut` says, and closes.
pub fn run(hint: Option<u16>, inputs: &[Input], cut: impl FnMut(usize) -> usize) -> Vec<Event> {
    let mut room = Room::new(ROOM);
    let mut session = Session::tcp(hint, Limits::default());
    let mut events = Vec::new();
    let give = |side, message: Message<'_>| {
        add(&mut events, side, &message);
        ControlFlow::Continue(())
    };
    run_with(&mut session, &mut room, inputs, cut, give, |_| {});
    session.close(&mut room);
    assert_eq!(room.left(), ROOM, "a session that is closed holds nothing");
    events
}

pub fn run_with(
    session: &mut Session,
    room: &mut Room,
    inputs: &[Input],
    mut cut: impl FnMut(usize) -> usize,
    mut give: impl FnMut(Side, Message<'_>) -> ControlFlow<()>,
    mut progress: impl FnMut(Progress),
) {
    for input in inputs {
        match input {
            Input::Gap(side, len) => progress(session.gap(*side, *len, room, &mut give)),
            Input::End(side) => progress(session.end(*side, room, &mut give)),
            Input::Bytes(side, bytes) => {
                let mut rest = &bytes[..];
                while !rest.is_empty() {
                    let (piece, after) = rest.split_at(cut(rest.len()).min(rest.len()));
                    progress(session.feed(*side, piece, room, &mut give));
                    rest = after;
                }
            }
        }
    }
}

fn add(events: &mut Vec<Event>, side: Side, message: &Message<'_>) {
    let event = match message {
        Message::HttpRequest(request) => Event::Request(Head {
            number: Some(request.number()),
            words: [request.method().to_string(), request.target().to_string()],
            version: request.version(),
            headers: pairs(request.headers()),
            framing: request.framing(),
            anomalies: request.anomalies(),
            asked: Some((request.host().map(|host| host.to_string()), request.path().to_string())),
        }),
        Message::HttpResponse(response) => Event::Response(Head {
            number: response.number(),
            words: [response.status().to_string(), response.reason().to_string()],
            version: response.version(),
            headers: pairs(response.headers()),
            framing: response.framing(),
            anomalies: response.anomalies(),
            asked: None,
        }),
        Message::HttpBody(body) => {
            let piece = Piece {
                side,
                number: body.number(),
                offset: body.offset(),
                data: body.data().to_vec(),
                is_last: body.is_last(),
                trailers: pairs(body.trailers()),
                anomalies: body.anomalies(),
            };
            if let Some(Event::Body(last)) = events.last_mut() {
                let end = last.offset + last.data.len() as u64;
                let follows = (last.side, last.number, end) == (side, piece.number, piece.offset);
                if follows && !last.is_last {
                    last.data.extend_from_slice(&piece.data);
                    last.is_last = piece.is_last;
                    last.trailers = piece.trailers;
                    last.anomalies = last.anomalies.union(piece.anomalies);
                    return;
                }
            }
            Event::Body(piece)
        }
        Message::Opaque(opaque) => Event::Opaque {
            side,
            why: opaque.why,
            reason: opaque.reason,
            offset: opaque.offset,
            is_whole_flow: opaque.is_whole_flow,
        },
        other => panic!("no message of HTTP: {other:?}"),
    };
    events.push(event);
}

fn pairs(headers: Headers<'_>) -> Vec<(String, String)> {
    headers.map(|header| (header.name.to_string(), header.value.to_string())).collect()
}
