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

#[cfg(feature = "dns")]
pub mod dns;
#[cfg(feature = "http")]
pub mod http;
#[cfg(feature = "tls")]
pub mod tls;

mod opaque;
mod parser;
#[cfg(any(feature = "dns", feature = "tls"))]
mod partial;
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
    /// What a TLS client offers.
    #[cfg(feature = "tls")]
    TlsClientHello(tls::ClientHello<'a>),
    /// What a TLS server chose, or that it asks for another hello.
    #[cfg(feature = "tls")]
    TlsServerHello(tls::ServerHello<'a>),
    /// Certificates in clear, before TLS 1.3.
    #[cfg(feature = "tls")]
    TlsCertificates(tls::Certificates<'a>),
    /// A TLS alert in clear.
    #[cfg(feature = "tls")]
    TlsAlert(tls::Alert),
    /// A DNS query or answer.
    #[cfg(feature = "dns")]
    Dns(dns::Message<'a>),
    /// From here on nothing is understood of this side, or of the flow.
    Opaque(Opaque<'a>),
}

impl Message<'_> {
    /// Which protocol it is of; of an [`Opaque`] the one that the flow was taken for.
    pub const fn protocol(&self) -> Protocol {
        match self {
            #[cfg(feature = "http")]
            Self::HttpRequest(_) | Self::HttpResponse(_) | Self::HttpBody(_) => Protocol::Http,
            #[cfg(feature = "tls")]
            Self::TlsClientHello(_)
            | Self::TlsServerHello(_)
            | Self::TlsCertificates(_)
            | Self::TlsAlert(_) => Protocol::Tls,
            #[cfg(feature = "dns")]
            Self::Dns(_) => Protocol::Dns,
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
            #[cfg(feature = "tls")]
            Self::TlsClientHello(hello) => hello.fmt(f),
            #[cfg(feature = "tls")]
            Self::TlsServerHello(hello) => hello.fmt(f),
            #[cfg(feature = "tls")]
            Self::TlsCertificates(certificates) => certificates.fmt(f),
            #[cfg(feature = "tls")]
            Self::TlsAlert(alert) => alert.fmt(f),
            #[cfg(feature = "dns")]
            Self::Dns(message) => message.fmt(f),
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
