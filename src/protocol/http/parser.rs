use core::ops::ControlFlow;

use super::super::parser::{Context, End, Guess, Outcome, Parser as Contract, Stop};
use super::super::sides::Sides;
use super::super::{Message, Room, Why};
use super::anomaly::{Anomalies, Anomaly};
use super::body::Body;
use super::chunks::{Chunks, Next};
use super::framing::Framing;
use super::gather::{Found, Gather, Kind};
use super::guess::prefix;
use super::headers::{Headers, is_token_byte};
use super::outstanding::{Asked, Outstanding};
use super::request::{Request, Version, is_http2_preface};
use super::response::Response;
use super::scan::Scan;
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

/// One direction.
#[derive(Debug, Default)]
struct Half {
    phase: Phase,
    gather: Gather,
    /// Empty lines came before the head that is gathered.
    has_empty_lines: bool,
    /// Of the message whose body goes by.
    number: Option<u64>,
    /// In that body.
    offset: u64,
    /// Among chunks, not told yet.
    anomalies: Anomalies,
}

#[derive(Clone, Copy, Debug, Default)]
enum Phase {
    #[default]
    Head,
    Length(u64),
    UntilClose,
    Chunks(Chunks),
    ChunkData(u64),
    Trailers,
    /// A request of HTTP/0.9 is the last one.
    AfterHttp09,
}

/// How many bytes a step has used.
type Step = ControlFlow<Stop, usize>;

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
        let half = self.halves.of_mut(side);
        let left = match half.phase {
            Phase::UntilClose => Some(len),
            Phase::Length(left) | Phase::ChunkData(left) => left.checked_sub(len),
            _ => None,
        };
        let Some(left) = left else {
            return stop(end_of(side, Why::Gap, "bytes missing where a body is not", at));
        };
        half.offset = half.offset.saturating_add(len);
        match (half.phase, left) {
            (Phase::Length(_), 0) => half.give(side, &[], true, cx),
            (Phase::Length(_), _) => {
                half.phase = Phase::Length(left);
                Outcome::Continue(())
            }
            (Phase::ChunkData(_), 0) => {
                half.phase = Phase::Chunks(Chunks::after_data());
                Outcome::Continue(())
            }
            (Phase::ChunkData(_), _) => {
                half.phase = Phase::ChunkData(left);
                Outcome::Continue(())
            }
            _ => Outcome::Continue(()),
        }
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

impl Half {
    /// Where what is gathered has begun.
    fn start(&self, at: u64) -> u64 {
        at.saturating_sub(length(self.gather.kept().len()))
    }

    /// Whether empty lines come before a head; what answers HTTP/0.9 has none, and any bytes are its body.
    fn skips(&self, side: Side, bytes: &[u8], outstanding: &Outstanding) -> bool {
        empty_lines(bytes) > 0 && !(side == Side::Server && is_http09(outstanding))
    }

    fn advance(
        &mut self,
        side: Side,
        kind: Kind,
        at: u64,
        bytes: &[u8],
        cx: &mut Context<'_>,
    ) -> ControlFlow<Stop, Found> {
        let start = self.start(at);
        match self.gather.advance(bytes, kind, cx.limits.message, cx.room) {
            Ok(found) => ControlFlow::Continue(found),
            Err(why) => {
                let reason = match why {
                    Why::TooLarge => "a head that is larger than the limit",
                    _ => "no room for a head that is cut",
                };
                stop(end_of(side, why, reason, start))
            }
        }
    }

    /// Behind a head.
    fn begin(&mut self, framing: Framing) {
        self.has_empty_lines = false;
        self.offset = 0;
        self.anomalies = Anomalies::NONE;
        self.phase = match framing {
            Framing::None | Framing::Unknown(_) => Phase::Head,
            Framing::Length(length) => Phase::Length(length),
            Framing::Chunked => Phase::Chunks(Chunks::default()),
            Framing::UntilClose => Phase::UntilClose,
        };
    }

    fn begin_http09(&mut self, outstanding: &Outstanding) {
        self.number = outstanding.front().map(|(_, number)| number);
        self.begin(Framing::UntilClose);
    }

    /// Up to `left` bytes of a body.
    fn data(&mut self, side: Side, left: u64, bytes: &[u8], cx: &mut Context<'_>) -> Step {
        let used = usize::try_from(left).map_or(bytes.len(), |left| left.min(bytes.len()));
        let left = left.saturating_sub(length(used));
        let is_last = matches!(self.phase, Phase::Length(_)) && left == 0;
        let data = bytes.get(..used).unwrap_or(bytes);
        self.give(side, data, is_last, cx)?;
        self.phase = match self.phase {
            Phase::Length(_) if !is_last => Phase::Length(left),
            Phase::ChunkData(_) if left == 0 => Phase::Chunks(Chunks::after_data()),
            Phase::ChunkData(_) => Phase::ChunkData(left),
            phase => phase,
        };
        Step::Continue(used)
    }

    fn chunks(
        &mut self,
        side: Side,
        mut chunks: Chunks,
        at: u64,
        bytes: &[u8],
        cx: &mut Context<'_>,
    ) -> Step {
        let (used, next) = chunks.advance(bytes, &mut self.anomalies);
        self.phase = match next {
            Ok(Next::Line) => Phase::Chunks(chunks),
            Ok(Next::Data(size)) => Phase::ChunkData(size),
            Ok(Next::Trailers) => Phase::Trailers,
            Err(reason) => {
                self.anomalies.add(Anomaly::ChunkSizeInvalid);
                self.give(side, &[], false, cx)?;
                return unparsable(side, reason, at.saturating_add(length(used)));
            }
        };
        Step::Continue(used)
    }

    fn trailers(&mut self, side: Side, at: u64, bytes: &[u8], cx: &mut Context<'_>) -> Step {
        let used = match self.advance(side, Kind::Trailers, at, bytes, cx)? {
            Found::Part(used) => return Step::Continue(used),
            Found::Whole(used) => used,
        };
        let lines = self.gather.whole(bytes, used);
        let body = Body {
            number: self.number,
            offset: self.offset,
            data: &[],
            is_last: true,
            trailers: Headers::new(lines),
            anomalies: self.anomalies.union(Scan::of(&[], lines, cx.limits).anomalies),
        };
        cx.give(side, Message::HttpBody(body))?;
        self.gather.reset(cx.room);
        self.begin(Framing::None);
        Step::Continue(used)
    }

    fn give(&mut self, side: Side, data: &[u8], is_last: bool, cx: &mut Context<'_>) -> Outcome {
        let body = self.body(data, is_last);
        self.offset = self.offset.saturating_add(length(data.len()));
        self.anomalies = Anomalies::NONE;
        if is_last {
            self.begin(Framing::None);
        }
        cx.give(side, Message::HttpBody(body))
    }

    /// Bytes that were kept for the head of a response, and are a body without one.
    fn give_kept(&self, side: Side, is_last: bool, cx: &mut Context<'_>) -> Outcome {
        cx.give(side, Message::HttpBody(self.body(self.gather.kept(), is_last)))
    }

    fn body<'a>(&self, data: &'a [u8], is_last: bool) -> Body<'a> {
        Body {
            number: self.number,
            offset: self.offset,
            data,
            is_last,
            trailers: Headers::default(),
            anomalies: self.anomalies,
        }
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

fn is_http09(outstanding: &Outstanding) -> bool {
    matches!(outstanding.front(), Some((Asked::Http09, _)))
}

/// Whether the first bytes, some of them kept, are not those of a response.
fn is_no_response(kept: &[u8], bytes: &[u8]) -> bool {
    const SIGN: &[u8] = b"HTTP/";
    let rest = SIGN.get(kept.len()..).unwrap_or(&[]);
    prefix(bytes, rest) == Guess::No
}

/// How many bytes of line ends there are before anything else.
fn empty_lines(bytes: &[u8]) -> usize {
    bytes.iter().take_while(|byte| matches!(byte, b'\r' | b'\n')).count()
}

fn upgraded_to(protocol: &[u8]) -> &'static str {
    match protocol.to_ascii_lowercase().as_slice() {
        b"h2c" => "an upgrade to HTTP/2",
        b"websocket" => "an upgrade to WebSocket",
        _ => "an upgrade to another protocol",
    }
}

/// What the client says is what is asked for, so nothing is left without; a response may be odd and the requests clear.
const fn end_of(side: Side, why: Why, reason: &'static str, at: u64) -> End {
    End { side, why, reason, at, is_whole_flow: matches!(side, Side::Client) }
}

const fn stop<T>(end: End) -> ControlFlow<Stop, T> {
    ControlFlow::Break(Stop::Opaque(end))
}

const fn unparsable<T>(side: Side, reason: &'static str, at: u64) -> ControlFlow<Stop, T> {
    stop(end_of(side, Why::Unparsable, reason, at))
}

/// Both sides go on in another protocol.
const fn switched<T>(side: Side, reason: &'static str, at: u64) -> ControlFlow<Stop, T> {
    stop(End { side, why: Why::Switched, reason, at, is_whole_flow: true })
}

fn length(bytes: usize) -> u64 {
    u64::try_from(bytes).unwrap_or(u64::MAX)
}
