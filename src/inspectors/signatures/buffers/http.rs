use alloc::vec::Vec;

use smallvec::SmallVec;

use super::super::Buffer;
use super::{Buffers, Kinds, uri};
use crate::protocol::http::{Headers, Request, Response};

/// What becomes of headers of the same name: as others do, the values are joined in the place of the first.
#[derive(Debug, Default)]
pub(in super::super) struct Head {
    fields: Vec<Field>,
    bytes: Vec<u8>,
}

#[derive(Debug)]
struct Field {
    name: (usize, usize),
    /// Of the first value, and of those behind it.
    values: SmallVec<[(usize, usize); 1]>,
}

/// The buffers in the head of a request.
pub(in super::super) fn head_of_request(
    request: &Request<'_>,
    wanted: Kinds,
    head: &mut Head,
    to: &mut Buffers,
) {
    let line = first_line(request.as_bytes());
    let target = request.target();
    for (buffer, bytes) in [
        (Buffer::HttpMethod, request.method().as_bytes()),
        (Buffer::HttpUriRaw, target.as_bytes()),
        (Buffer::HttpRequestLine, line),
        (Buffer::HttpProtocol, last_word(line)),
    ] {
        if wanted.contains(buffer) {
            to.add(buffer, |to| to.extend_from_slice(bytes));
        }
    }
    if wanted.contains(Buffer::HttpUri) {
        to.add(Buffer::HttpUri, |to| uri::write_normal(target.as_bytes(), to));
    }
    if wanted.contains(Buffer::HttpHost) {
        if let Some(host) = request.host() {
            to.add(Buffer::HttpHost, |to| to.extend_from_slice(host.as_bytes()));
        }
    }
    if wanted.contains(Buffer::HttpHostRaw) {
        if let Some(host) = request.raw_host() {
            to.add(Buffer::HttpHostRaw, |to| to.extend_from_slice(host.as_bytes()));
        }
    }
    if wanted.intersects(HEADERS) {
        head.read(request.headers());
        head.write(line, request.as_bytes(), "cookie", wanted, to);
    }
}

/// The buffers in the head of a response.
pub(in super::super) fn head_of_response(
    response: &Response<'_>,
    wanted: Kinds,
    head: &mut Head,
    to: &mut Buffers,
) {
    let line = first_line(response.as_bytes());
    let protocol = line.split(|byte| *byte == b' ').next().unwrap_or(line);
    for (buffer, bytes) in [
        (Buffer::HttpResponseLine, line),
        (Buffer::HttpProtocol, protocol),
        (Buffer::HttpStatusMessage, response.reason().as_bytes()),
    ] {
        if wanted.contains(buffer) {
            to.add(buffer, |to| to.extend_from_slice(bytes));
        }
    }
    if wanted.contains(Buffer::HttpStatusCode) {
        let status = response.status();
        let digits = [status / 100 % 10, status / 10 % 10, status % 10];
        let digit = |digit| b'0'.wrapping_add(u8::try_from(digit).unwrap_or(0));
        to.add(Buffer::HttpStatusCode, |to| to.extend(digits.map(digit)));
    }
    if wanted.intersects(HEADERS) {
        head.read(response.headers());
        head.write(line, response.as_bytes(), "set-cookie", wanted, to);
    }
}

/// What headers are needed for.
const HEADERS: Kinds = {
    let mut kinds = Kinds::NONE;
    let mut rest: &[(Buffer, &str)] = SINGLE;
    while let [(buffer, _), others @ ..] = rest {
        kinds.insert(*buffer);
        rest = others;
    }
    kinds.insert(Buffer::HttpHeader);
    kinds.insert(Buffer::HttpHeaderRaw);
    kinds.insert(Buffer::HttpHeaderNames);
    kinds.insert(Buffer::HttpCookie);
    kinds.insert(Buffer::HttpStart);
    kinds
};

/// Buffers of one header each.
const SINGLE: &[(Buffer, &str)] = &[
    (Buffer::HttpUserAgent, "user-agent"),
    (Buffer::HttpReferer, "referer"),
    (Buffer::HttpContentType, "content-type"),
    (Buffer::HttpContentLength, "content-length"),
    (Buffer::HttpAccept, "accept"),
    (Buffer::HttpAcceptLanguage, "accept-language"),
    (Buffer::HttpAcceptEncoding, "accept-encoding"),
    (Buffer::HttpConnection, "connection"),
    (Buffer::HttpServer, "server"),
    (Buffer::HttpLocation, "location"),
];

impl Head {
    fn read(&mut self, headers: Headers<'_>) {
        self.fields.clear();
        self.bytes.clear();
        for header in headers {
            let value = keep(&mut self.bytes, &header.value);
            let known = self
                .fields
                .iter_mut()
                .find(|field| slice(&self.bytes, field.name).eq_ignore_ascii_case(&header.name));
            match known {
                Some(field) => field.values.push(value),
                None => {
                    let name = keep(&mut self.bytes, &header.name);
                    self.fields.push(Field { name, values: SmallVec::from_buf([value]) });
                }
            }
        }
    }

    fn write(&self, line: &[u8], head: &[u8], cookie: &str, wanted: Kinds, to: &mut Buffers) {
        for (buffer, name) in SINGLE.iter().filter(|(buffer, _)| wanted.contains(*buffer)) {
            self.write_value(*buffer, name, to);
        }
        if wanted.contains(Buffer::HttpCookie) {
            self.write_value(Buffer::HttpCookie, cookie, to);
        }
        if wanted.contains(Buffer::HttpHeader) {
            to.add(Buffer::HttpHeader, |to| {
                for field in &self.fields {
                    if !slice(&self.bytes, field.name).eq_ignore_ascii_case(cookie.as_bytes()) {
                        self.write_field(field, to);
                    }
                }
            });
        }
        if wanted.contains(Buffer::HttpHeaderRaw) {
            let after = memchr::memchr(b'\n', head).map_or(head.len(), |at| at.saturating_add(1));
            to.add(Buffer::HttpHeaderRaw, |to| {
                to.extend_from_slice(head.get(after..).unwrap_or(&[]));
            });
        }
        if wanted.contains(Buffer::HttpHeaderNames) && !self.fields.is_empty() {
            to.add(Buffer::HttpHeaderNames, |to| {
                to.extend_from_slice(b"\r\n");
                for field in &self.fields {
                    to.extend_from_slice(slice(&self.bytes, field.name));
                    to.extend_from_slice(b"\r\n");
                }
                to.extend_from_slice(b"\r\n");
            });
        }
        if wanted.contains(Buffer::HttpStart) {
            to.add(Buffer::HttpStart, |to| {
                to.extend_from_slice(line);
                to.extend_from_slice(b"\r\n");
                for field in &self.fields {
                    self.write_field(field, to);
                }
                to.extend_from_slice(b"\r\n");
            });
        }
    }

    fn write_value(&self, buffer: Buffer, name: &str, to: &mut Buffers) {
        let field = self
            .fields
            .iter()
            .find(|field| slice(&self.bytes, field.name).eq_ignore_ascii_case(name.as_bytes()));
        if let Some(field) = field {
            to.add(buffer, |to| self.write_values(field, to));
        }
    }

    fn write_field(&self, field: &Field, to: &mut Vec<u8>) {
        to.extend_from_slice(slice(&self.bytes, field.name));
        to.extend_from_slice(b": ");
        self.write_values(field, to);
        to.extend_from_slice(b"\r\n");
    }

    fn write_values(&self, field: &Field, to: &mut Vec<u8>) {
        for (position, value) in field.values.iter().enumerate() {
            if position > 0 {
                to.extend_from_slice(b", ");
            }
            to.extend_from_slice(slice(&self.bytes, *value));
        }
    }
}

fn keep(bytes: &mut Vec<u8>, added: &[u8]) -> (usize, usize) {
    let start = bytes.len();
    bytes.extend_from_slice(added);
    (start, bytes.len())
}

fn slice(bytes: &[u8], (start, end): (usize, usize)) -> &[u8] {
    bytes.get(start..end).unwrap_or(&[])
}

fn first_line(head: &[u8]) -> &[u8] {
    let end = memchr::memchr(b'\n', head).unwrap_or(head.len());
    let line = head.get(..end).unwrap_or(head);
    line.strip_suffix(b"\r").unwrap_or(line)
}

/// The version in a request line; empty where there is none.
fn last_word(line: &[u8]) -> &[u8] {
    let word = line.rsplit(|byte| *byte == b' ').next().unwrap_or(&[]);
    if word.get(..5).is_some_and(|start| start.eq_ignore_ascii_case(b"HTTP/")) { word } else { &[] }
}
