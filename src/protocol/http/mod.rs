//! HTTP/1.1, HTTP/1.0 and HTTP/0.9 (RFC 9112), as they are found on the wire rather than as they should be.
//!
//! A head is given as one message, its body as pieces of what came. Requests that are sent one behind another without
//! waiting are messages of their own, and each response is matched with its request, whose method has a say in whether a
//! body follows.
//!
//! **No doubt is decided silently.** Where receivers are known to understand a message differently it is understood here as
//! RFC 9112 has it, and an [`Anomaly`] names the doubt. Where not even the standard says where the message ends, it is still
//! given, and an [`Opaque`](super::Opaque) follows it: what comes behind it cannot be believed.
//!
//! Connections that go on in another protocol (HTTP/2, with prior knowledge or by Upgrade, a tunnel by CONNECT, a WebSocket)
//! are opaque from there on, as [`Why::Switched`](super::Why::Switched).

mod anomalies;
mod anomaly;
mod body;
mod chunks;
mod framing;
mod gather;
mod guess;
mod half;
mod headers;
mod outstanding;
mod parser;
mod request;
mod response;
mod scan;
mod target;

pub use anomalies::Anomalies;
pub use anomaly::Anomaly;
pub use body::Body;
pub use framing::Framing;
pub use headers::{Header, Headers};
pub use request::{Request, Version};
pub use response::Response;

pub(super) use guess::guess;
pub(super) use parser::Parser;
