use super::super::parser::{Context, End, Guess, Outcome, Parser as Contract};
use super::super::sides::Sides;
use super::super::{Message, Room, Why};
use super::anomaly::Anomaly;
use super::framing::Framing;
use super::gather::{Found, Kind};
use super::guess::prefix;
use super::half::{Half, Phase, Step, empty_lines, end_of, length, stop, switched, unparsable};
use super::headers::is_token_byte;
use super::outstanding::{Asked, Outstanding};
use super::request::{Request, Version, is_http2_preface};
use super::response::Response;
use crate::Side;

/// HTTP/1 in both directions of a connection.
#[derive(Debug, Default)]
pub(in super::super) struct Parser {
    halves: Sides<Half>,
    outstanding: Outstanding,
    /// The number of the next request.
    requests: u64,
    /// Responses cannot be matched any more: too many requests wait for one, or the server is not understood.
    is_unmatched: bool,
}

impl Contract for Parser {
    fn feed(&mut self, side: Side, at: u64, bytes: &[u8], cx: &mut Context<'_>) -> Outcome {
        let (mut at, mut rest) = (at, bytes);
        while !rest.is_empty() {
            let used = self.step(side, at, rest, cx)?;
            at = at.saturating_add(length(used));
            rest = rest.get(used..).unwrap_or(&[]);
        }
        Outcome::Continue(())
    }

    fn gap(&mut self, side: Side, at: u64, len: u64, cx: &mut Context<'_>) -> Outcome {
        self.halves.of_mut(side).gap(side, at, len, cx)
    }

    fn end(&mut self, side: Side, at: u64, cx: &mut Context<'_>) -> Outcome {
        let half = self.halves.of_mut(side);
        match half.phase {
            Phase::Head if half.gather.is_empty() => Outcome::Continue(()),
            Phase::AfterHttp09 => Outcome::Continue(()),
            Phase::UntilClose => half.give(side, &[], true, cx),
            Phase::Head if side == Side::Server && is_http09(&self.outstanding) => {
                // Too short to tell whether it begins like a response, and so it is none.
                half.begin_http09(&self.outstanding);
                half.give_kept(side, true, cx)
            }
            _ => {
                let reason = "the end of the flow in the middle of a message";
                let end = end_of(side, Why::Truncated, reason, at);
                // The other side may have something to say yet.
                stop(End { is_whole_flow: false, ..end })
            }
        }
    }

    fn deafen(&mut self, side: Side, room: &mut Room) {
        self.halves.of_mut(side).gather.reset(room);
        self.is_unmatched |= side == Side::Server;
    }

    fn wants(&self, _: Side) -> bool {
        true
    }

    fn close(&mut self, room: &mut Room) {
        for side in Side::ALL {
            self.halves.of_mut(side).gather.reset(room);
        }
    }
}

impl Parser {
    fn step(&mut self, side: Side, at: u64, bytes: &[u8], cx: &mut Context<'_>) -> Step {
        let half = self.halves.of_mut(side);
        match half.phase {
            Phase::Head if half.gather.is_empty() && half.skips(side, bytes, &self.outstanding) => {
                half.has_empty_lines = true;
                Step::Continue(empty_lines(bytes))
            }
            Phase::AfterHttp09 if empty_lines(bytes) > 0 => Step::Continue(empty_lines(bytes)),
            Phase::Head if side == Side::Client => self.request(at, bytes, cx),
            Phase::Head => self.response(at, bytes, cx),
            Phase::Length(left) | Phase::ChunkData(left) => half.data(side, left, bytes, cx),
            Phase::UntilClose => half.data(side, u64::MAX, bytes, cx),
            Phase::Chunks(chunks) => half.chunks(side, chunks, at, bytes, cx),
            Phase::Trailers => half.trailers(side, at, bytes, cx),
            Phase::AfterHttp09 => unparsable(side, "bytes behind a request of HTTP/0.9", at),
        }
    }

    fn request(&mut self, at: u64, bytes: &[u8], cx: &mut Context<'_>) -> Step {
        const SIDE: Side = Side::Client;
        let half = &mut self.halves.client;
        let start = half.start(at);
        if half.gather.is_empty() && !bytes.first().is_some_and(|byte| is_token_byte(*byte)) {
            return unparsable(SIDE, "something that is no request", start);
        }
        let used = match half.advance(SIDE, Kind::Request, at, bytes, cx)? {
            Found::Part(used) => return Step::Continue(used),
            Found::Whole(used) => used,
        };
        let head = half.gather.whole(bytes, used);
        if is_http2_preface(head) {
            return switched(SIDE, "HTTP/2 with prior knowledge", start);
        }
        let mut request = Request::parse(head, self.requests, cx.limits);
        if half.has_empty_lines {
            request.add(Anomaly::LeadingEmptyLines);
        }
        half.number = Some(self.requests);
        self.requests = self.requests.saturating_add(1);
        let asked = asked(&request);
        self.is_unmatched |= !self.outstanding.push(asked);
        let (framing, version) = (request.framing(), request.version());
        let is_switch = asked == Asked::Connect || request.has_upgrade();
        cx.give(SIDE, Message::HttpRequest(request))?;
        half.gather.reset(cx.room);
        let behind = at.saturating_add(length(used));
        if is_switch && self.is_unmatched {
            return switched(SIDE, "a switch whose answer is not understood", behind);
        }
        match framing {
            Framing::Unknown(reason) => return unparsable(SIDE, reason, behind),
            _ if version == Version::Http09 => half.phase = Phase::AfterHttp09,
            framing => half.begin(framing),
        }
        Step::Continue(used)
    }

    fn response(&mut self, at: u64, bytes: &[u8], cx: &mut Context<'_>) -> Step {
        const SIDE: Side = Side::Server;
        let half = &mut self.halves.server;
        let start = half.start(at);
        if self.is_unmatched {
            return unparsable(SIDE, "more requests without response than are remembered", start);
        }
        let asked = self.outstanding.front();
        if is_no_response(half.gather.kept(), bytes) {
            if !is_http09(&self.outstanding) {
                return unparsable(SIDE, "something that is no response", start);
            }
            half.begin_http09(&self.outstanding);
            self.outstanding.pop();
            if !half.gather.is_empty() {
                half.give_kept(SIDE, false, cx)?;
                half.offset = length(half.gather.kept().len());
                half.gather.reset(cx.room);
            }
            return Step::Continue(0);
        }
        let used = match half.advance(SIDE, Kind::Response, at, bytes, cx)? {
            Found::Part(used) => return Step::Continue(used),
            Found::Whole(used) => used,
        };
        let head = half.gather.whole(bytes, used);
        let Some(mut response) = Response::parse(head, asked, cx.limits) else {
            return unparsable(SIDE, "a status line that is none", start);
        };
        if half.has_empty_lines {
            response.add(Anomaly::LeadingEmptyLines);
        }
        half.number = response.number();
        let (framing, status) = (response.framing(), response.status());
        let is_interim = response.is_interim();
        let switch = match (status, asked) {
            (101, _) => Some(upgraded_to(response.upgrade().unwrap_or(&[]))),
            (200..=299, Some((Asked::Connect, _))) => Some("a tunnel by CONNECT"),
            _ => None,
        };
        cx.give(SIDE, Message::HttpResponse(response))?;
        half.gather.reset(cx.room);
        let behind = at.saturating_add(length(used));
        if let Some(switch) = switch {
            return switched(SIDE, switch, behind);
        }
        if !is_interim {
            self.outstanding.pop();
        }
        if let Framing::Unknown(reason) = framing {
            return unparsable(SIDE, reason, behind);
        }
        half.begin(framing);
        Step::Continue(used)
    }
}

fn asked(request: &Request<'_>) -> Asked {
    match request.method().as_bytes() {
        _ if request.version() == Version::Http09 => Asked::Http09,
        b"HEAD" => Asked::Head,
        b"CONNECT" => Asked::Connect,
        _ => Asked::Ordinary,
    }
}

pub(super) fn is_http09(outstanding: &Outstanding) -> bool {
    matches!(outstanding.front(), Some((Asked::Http09, _)))
}

/// Whether the first bytes, some of them kept, are not those of a response.
fn is_no_response(kept: &[u8], bytes: &[u8]) -> bool {
    const SIGN: &[u8] = b"HTTP/";
    let rest = SIGN.get(kept.len()..).unwrap_or(&[]);
    prefix(bytes, rest) == Guess::No
}

fn upgraded_to(protocol: &[u8]) -> &'static str {
    match protocol.to_ascii_lowercase().as_slice() {
        b"h2c" => "an upgrade to HTTP/2",
        b"websocket" => "an upgrade to WebSocket",
        _ => "an upgrade to another protocol",
    }
}
