use alloc::vec::Vec;

use super::json::Json;
use crate::protocol::http::{Request, Response};

/// A request that waits for its response.
#[derive(Debug)]
pub(super) struct Pending {
    pub(super) number: u64,
    /// What is known, as members of an object.
    pub(super) members: Vec<u8>,
    /// Bytes of the response's body.
    pub(super) length: u64,
}

/// More of a text is of no use to anybody.
const MOST: usize = 4_096;

fn cut(text: &[u8]) -> &[u8] {
    text.get(..MOST).unwrap_or(text)
}

pub(super) fn request(request: &Request<'_>, out: &mut Vec<u8>) {
    let mut json = Json::new(out);
    if let Some(host) = request.host() {
        json.text("hostname", cut(&host));
    }
    if let Some(port) = request.port() {
        json.number("http_port", port.into());
    }
    json.text("url", cut(&request.target()));
    if let Some(agent) = request.header("user-agent") {
        json.text("http_user_agent", cut(&agent));
    }
    if let Some(referer) = request.header("referer") {
        json.text("http_refer", cut(&referer));
    }
    json.text("http_method", cut(&request.method()));
    json.text("protocol", request.version().name());
}

pub(super) fn response(response: &Response<'_>, out: &mut Vec<u8>) {
    let mut json = Json::new(out);
    if let Some(kind) = response.header("content-type") {
        // Without its parameters, as Suricata has it.
        let kind = kind.split(|byte| *byte == b';').next().unwrap_or_default();
        json.text("http_content_type", cut(kind.trim_ascii()));
    }
    json.number("status", response.status().into());
    if let (300..=399, Some(location)) = (response.status(), response.header("location")) {
        json.text("redirect", cut(&location));
    }
}
