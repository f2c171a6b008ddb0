//! The page: one file, with all that it needs in it.

use alloc::format;
use core::hash::{BuildHasher, Hasher};
use std::collections::hash_map::RandomState;

use hyper::StatusCode;
use hyper::header::{CONTENT_SECURITY_POLICY, HeaderName, HeaderValue, REFERRER_POLICY};

use super::answer::{Answer, respond};

const HTML: &str = include_str!("page/page.html");
const STYLE: &str = include_str!("page/page.css");
const CHARTS: &str = include_str!("page/charts.js");
const SCRIPT: &str = include_str!("page/page.js");

/// Nothing in it runs but its own script, it asks nobody but us, and no other page may show it as its own. All that it says
/// of the appliance is whether it has a token.
pub(super) fn page(has_token: bool) -> Answer {
    let nonce = nonce();
    let page = HTML
        .replace("{nonce}", &nonce)
        .replace("{token}", if has_token { "needed" } else { "none" })
        .replace("/*style*/", STYLE)
        .replace("/*script*/", &[CHARTS, SCRIPT].concat());
    let policy = format!(
        "default-src 'none'; style-src 'nonce-{nonce}'; script-src 'nonce-{nonce}'; connect-src 'self'; img-src data:; \
         base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    );
    let mut answer = respond(StatusCode::OK, "text/html; charset=utf-8", page);
    let headers = answer.headers_mut();
    if let Ok(policy) = HeaderValue::from_str(&policy) {
        headers.insert(CONTENT_SECURITY_POLICY, policy);
    }
    headers.insert(REFERRER_POLICY, HeaderValue::from_static("no-referrer"));
    for (name, value) in
        [("x-frame-options", "DENY"), ("cross-origin-opener-policy", "same-origin")]
    {
        headers.insert(HeaderName::from_static(name), HeaderValue::from_static(value));
    }
    answer
}

/// 128 bits that nobody can guess: each hasher of the standard library has a secret of its own.
fn nonce() -> alloc::string::String {
    let half = || RandomState::new().build_hasher().finish();
    format!("{:016x}{:016x}", half(), half())
}
