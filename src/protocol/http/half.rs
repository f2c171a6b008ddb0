use core::ops::ControlFlow;

use super::super::parser::{Context, End, Outcome, Stop};
use super::super::{Message, Why};
use super::anomalies::Anomalies;
use super::anomaly::Anomaly;
use super::body::Body;
use super::chunks::{Chunks, Next};
use super::framing::Framing;
use super::gather::{Found, Gather, Kind};
use super::headers::Headers;
use super::outstanding::Outstanding;
use super::parser::is_http09;
use super::scan::Scan;
use crate::Side;

/// One direction.
#[derive(Debug, Default)]
pub(super) struct Half {
    pub(super) phase: Phase,
    pub(super) gather: Gather,
    /// Empty lines came before the head that is gathered.
    pub(super) has_empty_lines: bool,
    /// Of the message whose body goes by.
    pub(super) number: Option<u64>,
    /// In that body.
    pub(super) offset: u64,
    /// Among chunks, not told yet.
    anomalies: Anomalies,
}

#[derive(Clone, Copy, Debug, Default)]
pub(super) enum Phase {
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
pub(super) type Step = ControlFlow<Stop, usize>;

impl Half {
    /// Where what is gathered has begun.
    pub(super) fn start(&self, at: u64) -> u64 {
        at.saturating_sub(length(self.gather.kept().len()))
    }

    /// Whether empty lines come before a head; what answers HTTP/0.9 has none, and any bytes are its body.
    pub(super) fn skips(&self, side: Side, bytes: &[u8], outstanding: &Outstanding) -> bool {
        empty_lines(bytes) > 0 && !(side == Side::Server && is_http09(outstanding))
    }

    pub(super) fn advance(
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
    pub(super) fn begin(&mut self, framing: Framing) {
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

    pub(super) fn begin_http09(&mut self, outstanding: &Outstanding) {
        self.number = outstanding.front().map(|(_, number)| number);
        self.begin(Framing::UntilClose);
    }

    /// Up to `left` bytes of a body.
    pub(super) fn data(
        &mut self,
        side: Side,
        left: u64,
        bytes: &[u8],
        cx: &mut Context<'_>,
    ) -> Step {
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

    pub(super) fn chunks(
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

    pub(super) fn trailers(
        &mut self,
        side: Side,
        at: u64,
        bytes: &[u8],
        cx: &mut Context<'_>,
    ) -> Step {
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

    /// Bytes are missing: in a body of which it is known where it goes on nothing is lost but they.
    pub(super) fn gap(&mut self, side: Side, at: u64, len: u64, cx: &mut Context<'_>) -> Outcome {
        let left = match self.phase {
            Phase::UntilClose => Some(len),
            Phase::Length(left) | Phase::ChunkData(left) => left.checked_sub(len),
            _ => None,
        };
        let Some(left) = left else {
            return stop(end_of(side, Why::Gap, "bytes missing where a body is not", at));
        };
        self.offset = self.offset.saturating_add(len);
        match (self.phase, left) {
            (Phase::Length(_), 0) => self.give(side, &[], true, cx),
            (Phase::Length(_), _) => {
                self.phase = Phase::Length(left);
                Outcome::Continue(())
            }
            (Phase::ChunkData(_), 0) => {
                self.phase = Phase::Chunks(Chunks::after_data());
                Outcome::Continue(())
            }
            (Phase::ChunkData(_), _) => {
                self.phase = Phase::ChunkData(left);
                Outcome::Continue(())
            }
            _ => Outcome::Continue(()),
        }
    }

    pub(super) fn give(
        &mut self,
        side: Side,
        data: &[u8],
        is_last: bool,
        cx: &mut Context<'_>,
    ) -> Outcome {
        let body = self.body(data, is_last);
        self.offset = self.offset.saturating_add(length(data.len()));
        self.anomalies = Anomalies::NONE;
        if is_last {
            self.begin(Framing::None);
        }
        cx.give(side, Message::HttpBody(body))
    }

    /// Bytes that were kept for the head of a response, and are a body without one.
    pub(super) fn give_kept(&self, side: Side, is_last: bool, cx: &mut Context<'_>) -> Outcome {
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

/// How many bytes of line ends there are before anything else.
pub(super) fn empty_lines(bytes: &[u8]) -> usize {
    bytes.iter().take_while(|byte| matches!(byte, b'\r' | b'\n')).count()
}

/// What the client says is what is asked for, so nothing is left without; a response may be odd and the requests clear.
pub(super) const fn end_of(side: Side, why: Why, reason: &'static str, at: u64) -> End {
    End { side, why, reason, at, is_whole_flow: matches!(side, Side::Client) }
}

pub(super) const fn stop<T>(end: End) -> ControlFlow<Stop, T> {
    ControlFlow::Break(Stop::Opaque(end))
}

pub(super) const fn unparsable<T>(
    side: Side,
    reason: &'static str,
    at: u64,
) -> ControlFlow<Stop, T> {
    stop(end_of(side, Why::Unparsable, reason, at))
}

/// Both sides go on in another protocol.
pub(super) const fn switched<T>(side: Side, reason: &'static str, at: u64) -> ControlFlow<Stop, T> {
    stop(End { side, why: Why::Switched, reason, at, is_whole_flow: true })
}

pub(super) fn length(bytes: usize) -> u64 {
    u64::try_from(bytes).unwrap_or(u64::MAX)
}
