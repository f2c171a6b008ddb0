use alloc::string::String;
use alloc::vec::Vec;
use core::convert::Infallible;
use core::pin::Pin;
use core::task::{Context, Poll};

use bytes::Bytes;
use http_body_util::Full;
use hyper::body::{Body, Frame, SizeHint};
use hyper::header::{ALLOW, CACHE_CONTROL, CONTENT_TYPE, HeaderValue, X_CONTENT_TYPE_OPTIONS};
use hyper::{Method, Response, StatusCode};
use tokio::sync::mpsc;

use super::Subject;

pub(super) type Answer = Response<Content>;

/// What an answer says: all of it at once, or piece by piece as it happens.
pub(super) enum Content {
    Whole(Full<Bytes>),
    Pieces(mpsc::Receiver<Bytes>),
}

impl Body for Content {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        match self.get_mut() {
            Self::Whole(body) => Pin::new(body).poll_frame(cx),
            Self::Pieces(pieces) => {
                pieces.poll_recv(cx).map(|piece| piece.map(|piece| Ok(Frame::data(piece))))
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        matches!(self, Self::Whole(body) if body.is_end_stream())
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Self::Whole(body) => body.size_hint(),
            Self::Pieces(_) => SizeHint::default(),
        }
    }
}

/// What is answered at `/healthz` and `/readyz`; `None` elsewhere.
pub(super) fn health(subject: &dyn Subject, method: &Method, path: &str) -> Option<Answer> {
    let state = match path {
        "/healthz" => Subject::health,
        "/readyz" => Subject::readiness,
        _ => return None,
    };
    Some(only(&[Method::GET, Method::HEAD], method).unwrap_or_else(|| say(state(subject))))
}

/// The answer to a method that is none of these.
pub(super) fn only(methods: &[Method], found: &Method) -> Option<Answer> {
    if methods.contains(found) {
        return None;
    }
    let names: Vec<&str> = methods.iter().map(Method::as_str).collect();
    let mut line = names.join(" or ");
    line.insert_str(0, "expected ");
    line.push('\n');
    let mut answer = text(StatusCode::METHOD_NOT_ALLOWED, line);
    if let Ok(allow) = HeaderValue::from_str(&names.join(", ")) {
        answer.headers_mut().insert(ALLOW, allow);
    }
    Some(answer)
}

fn say(state: Result<(), Vec<String>>) -> Answer {
    match state {
        Ok(()) => text(StatusCode::OK, "ok\n"),
        Err(reasons) => {
            let mut lines = reasons.join("\n");
            lines.push('\n');
            text(StatusCode::SERVICE_UNAVAILABLE, lines)
        }
    }
}

pub(super) fn numbers(numbers: Option<String>, kind: &'static str) -> Answer {
    match numbers {
        Some(numbers) => respond(StatusCode::OK, kind, numbers),
        None => text(StatusCode::SERVICE_UNAVAILABLE, "the workers do not answer\n"),
    }
}

pub(super) fn nothing() -> Answer {
    text(StatusCode::NOT_FOUND, "no such page here\n")
}

pub(super) fn text(status: StatusCode, lines: impl Into<Bytes>) -> Answer {
    respond(status, "text/plain; charset=utf-8", lines)
}

pub(super) fn respond(status: StatusCode, kind: &'static str, body: impl Into<Bytes>) -> Answer {
    with(status, kind, Content::Whole(Full::new(body.into())))
}

pub(super) fn with(status: StatusCode, kind: &'static str, content: Content) -> Answer {
    let mut answer = Response::new(content);
    *answer.status_mut() = status;
    let headers = answer.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(kind));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    answer
}
