use alloc::string::String;
use alloc::vec::Vec;

use bytes::Bytes;
use http_body_util::Full;
use hyper::header::{ALLOW, CACHE_CONTROL, CONTENT_TYPE, HeaderValue};
use hyper::{Method, Response, StatusCode};

use super::Subject;

pub(super) type Answer = Response<Full<Bytes>>;

/// What a door answers to a path; `None` where there is no such path.
pub(super) type Answers = fn(&dyn Subject, &str) -> Option<Answer>;

pub(super) fn health(subject: &dyn Subject, path: &str) -> Option<Answer> {
    match path {
        "/healthz" => Some(state(subject.health())),
        "/readyz" => Some(state(subject.readiness())),
        _ => None,
    }
}

pub(super) fn everything(subject: &dyn Subject, path: &str) -> Option<Answer> {
    const METRICS: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";
    match path {
        "/metrics" => Some(numbers(subject.metrics(), METRICS)),
        "/stats" => Some(numbers(subject.stats(), "application/json")),
        _ => health(subject, path),
    }
}

pub(super) fn answer(
    subject: &dyn Subject,
    answers: Answers,
    method: &Method,
    path: &str,
) -> Answer {
    if method != Method::GET && method != Method::HEAD {
        let mut answer = text(StatusCode::METHOD_NOT_ALLOWED, "expected GET or HEAD\n");
        answer.headers_mut().insert(ALLOW, HeaderValue::from_static("GET, HEAD"));
        return answer;
    }
    answers(subject, path).unwrap_or_else(|| text(StatusCode::NOT_FOUND, "no such page here\n"))
}

fn state(state: Result<(), Vec<String>>) -> Answer {
    match state {
        Ok(()) => text(StatusCode::OK, "ok\n"),
        Err(reasons) => {
            let mut lines = reasons.join("\n");
            lines.push('\n');
            text(StatusCode::SERVICE_UNAVAILABLE, lines)
        }
    }
}

fn numbers(numbers: Option<String>, kind: &'static str) -> Answer {
    match numbers {
        Some(numbers) => respond(StatusCode::OK, kind, numbers),
        None => text(StatusCode::SERVICE_UNAVAILABLE, "the workers do not answer\n"),
    }
}

fn text(status: StatusCode, lines: impl Into<Bytes>) -> Answer {
    respond(status, "text/plain; charset=utf-8", lines)
}

fn respond(status: StatusCode, kind: &'static str, body: impl Into<Bytes>) -> Answer {
    let mut answer = Response::new(Full::new(body.into()));
    *answer.status_mut() = status;
    let headers = answer.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(kind));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    answer
}
