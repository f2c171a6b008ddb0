//! Messages in the bytes of a flow: HTTP, TLS and DNS, each parsed once for all who ask.
//!
//! A [`Session`] is fed with the bytes of both sides in order, cut in whatever way, finds out which protocol they are in,
//! and gives each [`Message`] as soon as it is whole. What it cannot understand it says once, in an [`Opaque`]: nothing
//! is silently passed over, so a list of what is allowed can refuse the rest.
//!
//! ```
//! use core::ops::ControlFlow;
//! use gwlb_geneve::Side;
//! use gwlb_geneve::protocol::{Limits, Message, Progress, Room, Session};
//!
//! let mut room = Room::new(1 << 20);
//! let mut session = Session::tcp(Some(80), Limits::default());
//! let mut seen = Vec::new();
//! let mut give = |side: Side, message: Message<'_>| {
//!     seen.push(format!("{side:?}: {message}"));
//!     ControlFlow::Continue(())
//! };
#![cfg_attr(
    feature = "http",
    doc = r#"for bytes in [&b"GET /in"[..], b"dex.html HTTP/1.1\r\nHost: Example.com\r\n\r\nGET", b" /2 HTTP/1.0\r\n\r\n"] {
    let progress = session.feed(Side::Client, bytes, &mut room, &mut give);
    assert_eq!(progress, Progress::More);
}
session.close(&mut room);
assert_eq!(seen, ["Client: HTTP GET example.com/index.html", "Client: HTTP GET /2"]);"#
)]
#![cfg_attr(
    not(feature = "http"),
    doc = r#"let progress = session.feed(Side::Client, b"SSH-2.0-OpenSSH", &mut room, &mut give);
assert_eq!(progress, Progress::Done);
session.close(&mut room);
assert_eq!(seen, ["Client: opaque from byte 0: protocol not recognised"]);"#
)]
//! assert_eq!(room.left(), 1 << 20);
//! ```
//!
//! **Memory.** A message that lies whole in one slice is parsed where it lies. One that is cut is gathered in a buffer, for
//! which a [`Room`] that many sessions share says how much is left. What finds no room, or is larger than the [`Limits`],
//! makes the session say so and stop: nothing grows with what the network sends. Bodies are never gathered.
//!
//! **Time.** No byte is looked at again because more have come: a message that arrives a byte at a time costs
//! linear time in its length.

#[cfg(feature = "http")]
pub mod http;

mod opaque;
mod parser;
mod recognise;
mod room;
mod session;
mod sides;
mod text;

pub use opaque::{Opaque, Why};
pub use room::Room;
pub use session::{Limits, Progress, Session};
pub use text::Text;

use core::fmt;

/// What a session understood of the bytes.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum Message<'a> {
    /// The head of an HTTP request.
    #[cfg(feature = "http")]
    HttpRequest(http::Request<'a>),
    /// The head of an HTTP response.
    #[cfg(feature = "http")]
    HttpResponse(http::Response<'a>),
    /// A piece of the body of an HTTP message.
    #[cfg(feature = "http")]
    HttpBody(http::Body<'a>),
    /// From here on nothing is understood of this side, or of the flow.
    Opaque(Opaque<'a>),
}

impl Message<'_> {
    /// Which protocol it is of; of an [`Opaque`] the one that the flow was taken for.
    pub const fn protocol(&self) -> Protocol {
        match self {
            #[cfg(feature = "http")]
            Self::HttpRequest(_) | Self::HttpResponse(_) | Self::HttpBody(_) => Protocol::Http,
            Self::Opaque(opaque) => opaque.protocol,
        }
    }
}

impl fmt::Display for Message<'_> {
    /// One line for a log.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            #[cfg(feature = "http")]
            Self::HttpRequest(request) => request.fmt(f),
            #[cfg(feature = "http")]
            Self::HttpResponse(response) => response.fmt(f),
            #[cfg(feature = "http")]
            Self::HttpBody(body) => body.fmt(f),
            Self::Opaque(opaque) => opaque.fmt(f),
        }
    }
}

/// A protocol that messages are in.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Protocol {
    /// None of those below, or not known yet.
    #[default]
    Unknown,
    /// HTTP/1 and HTTP/0.9. HTTP/2 is recognised as what it is, but not parsed.
    Http,
    /// TLS.
    Tls,
    /// DNS.
    Dns,
}

impl Protocol {
    /// `unknown`, `http`, `tls`, `dns`.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Unknown => "unknown",
            Self::Http => "http",
            Self::Tls => "tls",
            Self::Dns => "dns",
        }
    }
}

impl fmt::Display for Protocol {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}
