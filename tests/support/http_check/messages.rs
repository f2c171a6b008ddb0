//! Messages as they should be: made, written down, and known in every part, so that what is read can be compared.

use gwlb_geneve::Side;
use gwlb_geneve::protocol::http::{Anomalies, Framing, Version};
use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;

use super::transcript::{Event, Head, Input, Piece};

/// A request and the response to it.
#[derive(Clone, Debug)]
pub struct Exchange {
    method: &'static str,
    path: String,
    query: Option<String>,
    headers: Vec<(String, String)>,
    body: Body,
    /// 100 Continue before the response.
    is_continued: bool,
    status: u16,
    response_headers: Vec<(String, String)>,
    response_body: Body,
}

#[derive(Clone, Debug)]
enum Body {
    None,
    Length(Vec<u8>),
    Chunks(Vec<(Vec<u8>, Option<String>)>, Vec<(String, String)>),
}

fn headers() -> impl Strategy<Value = Vec<(String, String)>> {
    // A name that means nothing, a value without white space at its ends.
    vec(("X-[A-Za-z0-9!#$%&'*+.^_`|~-]{0,12}", "([!-~]([ -~\t]{0,30}[!-~])?)?"), 0..6)
}

fn body() -> impl Strategy<Value = Body> {
    let chunk = (vec(any::<u8>(), 1..80), option::of("[a-z]{1,5}(=[a-z0-9]{1,9})?"));
    prop_oneof![
        Just(Body::None),
        vec(any::<u8>(), 0..200).prop_map(Body::Length),
        (vec(chunk, 0..4), headers()).prop_map(|(chunks, trailers)| Body::Chunks(chunks, trailers)),
    ]
}

prop_compose! {
    fn exchange()(
        method in prop::sample::select(vec!["GET", "HEAD", "POST", "PUT", "DELETE", "OPTIONS", "PROPFIND"]),
        path in "(/[A-Za-z0-9_~-]{1,8}){1,4}/?",
        query in option::of("[a-z]{1,6}=[a-z0-9/?]{0,9}"),
        headers in headers(),
        body in body(),
        is_continued in any::<bool>(),
        status in prop::sample::select(vec![200_u16, 201, 204, 301, 304, 404, 500]),
        response_headers in headers(),
        response_body in body(),
    ) -> Exchange {
        let body = if matches!(method, "GET" | "HEAD") { Body::None } else { body };
        let response_body = match response_body {
            // Without anything said it would go on until the connection is closed.
            Body::None => Body::Length(Vec::new()),
            body => body,
        };
        Exchange { method, path, query, headers, body, is_continued, status, response_headers, response_body }
    }
}

/// Requests one behind another and then their responses, or each request with its response.
pub fn conversation() -> impl Strategy<Value = (Vec<Input>, Vec<Event>)> {
    (vec(exchange(), 1..6), any::<bool>()).prop_map(|(exchanges, is_pipelined)| {
        let (mut inputs, mut events) = (Vec::new(), Vec::new());
        let mut later = Vec::new();
        for (number, exchange) in exchanges.iter().enumerate() {
            let number = number as u64;
            let response = move |inputs: &mut Vec<Input>, events: &mut Vec<Event>| {
                inputs.push(Input::Bytes(Side::Server, exchange.write_response()));
                exchange.expect_response(number, events);
            };
            inputs.push(Input::Bytes(Side::Client, exchange.write_request()));
            exchange.expect_request(number, &mut events);
            if is_pipelined {
                later.push(response);
            } else {
                response(&mut inputs, &mut events);
            }
        }
        for response in later {
            response(&mut inputs, &mut events);
        }
        (inputs, events)
    })
}

impl Exchange {
    fn target(&self) -> String {
        self.query.as_ref().map_or(self.path.clone(), |query| format!("{}?{query}", self.path))
    }

    fn request_headers(&self) -> Vec<(String, String)> {
        let host = ("hOST".to_owned(), "Www.Example.com:8080".to_owned());
        [vec![host], self.headers.clone(), self.body.headers()].concat()
    }

    fn answer_headers(&self) -> Vec<(String, String)> {
        [self.response_body.headers(), self.response_headers.clone()].concat()
    }

    fn has_response_body(&self) -> bool {
        self.method != "HEAD" && !matches!(self.status, 204 | 304)
    }

    fn write_request(&self) -> Vec<u8> {
        let first = format!("{} {} HTTP/1.1\r\n", self.method, self.target());
        [write_head(first, &self.request_headers()), self.body.write()].concat()
    }

    fn write_response(&self) -> Vec<u8> {
        let mut written = Vec::new();
        if self.is_continued {
            written.extend_from_slice(b"HTTP/1.1 100 Continue\r\n\r\n");
        }
        let first = format!("HTTP/1.1 {} Some words\r\n", self.status);
        written.extend_from_slice(&write_head(first, &self.answer_headers()));
        if self.has_response_body() {
            written.extend_from_slice(&self.response_body.write());
        }
        written
    }

    fn expect_request(&self, number: u64, events: &mut Vec<Event>) {
        events.push(Event::Request(Head {
            number: Some(number),
            words: [self.method.to_owned(), self.target()],
            version: Version::Http11,
            headers: shown(self.request_headers()),
            framing: self.body.framing(),
            anomalies: Anomalies::NONE,
            asked: Some((Some("www.example.com".to_owned()), self.path.clone())),
        }));
        self.body.expect(Side::Client, number, events);
    }

    fn expect_response(&self, number: u64, events: &mut Vec<Event>) {
        let head = |status: u16, words: &str, headers, framing| {
            Event::Response(Head {
                number: Some(number),
                words: [status.to_string(), words.to_owned()],
                version: Version::Http11,
                headers,
                framing,
                anomalies: Anomalies::NONE,
                asked: None,
            })
        };
        if self.is_continued {
            events.push(head(100, "Continue", Vec::new(), Framing::None));
        }
        let has_body = self.has_response_body();
        let framing = if has_body { self.response_body.framing() } else { Framing::None };
        events.push(head(self.status, "Some words", shown(self.answer_headers()), framing));
        if has_body {
            self.response_body.expect(Side::Server, number, events);
        }
    }
}

impl Body {
    fn headers(&self) -> Vec<(String, String)> {
        let header = |name: &str, value: String| vec![(name.to_owned(), value)];
        match self {
            Self::None => Vec::new(),
            Self::Length(data) => header("Content-Length", data.len().to_string()),
            Self::Chunks(..) => header("transfer-Encoding", "Chunked".to_owned()),
        }
    }

    fn framing(&self) -> Framing {
        match self {
            Self::Length(data) if !data.is_empty() => Framing::Length(data.len() as u64),
            Self::None | Self::Length(_) => Framing::None,
            Self::Chunks(..) => Framing::Chunked,
        }
    }

    fn write(&self) -> Vec<u8> {
        let (chunks, trailers) = match self {
            Self::None => return Vec::new(),
            Self::Length(data) => return data.clone(),
            Self::Chunks(chunks, trailers) => (chunks, trailers),
        };
        let mut written = Vec::new();
        for (data, extension) in chunks {
            let extension = extension.as_ref().map_or(String::new(), |text| format!(";{text}"));
            written.extend_from_slice(format!("{:X}{extension}\r\n", data.len()).as_bytes());
            written.extend_from_slice(data);
            written.extend_from_slice(b"\r\n");
        }
        [written, write_head("0\r\n".to_owned(), trailers)].concat()
    }

    fn expect(&self, side: Side, number: u64, events: &mut Vec<Event>) {
        if self.framing() == Framing::None {
            return;
        }
        let (data, trailers) = match self {
            Self::None => (Vec::new(), Vec::new()),
            Self::Length(data) => (data.clone(), Vec::new()),
            Self::Chunks(chunks, trailers) => {
                let data: Vec<u8> = chunks.iter().flat_map(|(data, _)| data.clone()).collect();
                (data, trailers.clone())
            }
        };
        events.push(Event::Body(Piece {
            side,
            number: Some(number),
            offset: 0,
            data,
            is_last: true,
            trailers: shown(trailers),
            anomalies: Anomalies::NONE,
        }));
    }
}

fn write_head(first: String, headers: &[(String, String)]) -> Vec<u8> {
    let lines: String =
        headers.iter().map(|(name, value)| format!("{name}: {value}\r\n")).collect();
    format!("{first}{lines}\r\n").into_bytes()
}

/// As a log shows it.
fn shown(headers: Vec<(String, String)>) -> Vec<(String, String)> {
    let shown = |text: String| text.replace('\\', "\\\\").replace('\t', "\\t");
    headers.into_iter().map(|(name, value)| (shown(name), shown(value))).collect()
}
