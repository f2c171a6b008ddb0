//! TLS as far as it is in clear: hellos, and certificates before TLS 1.3. Nothing is decrypted.
//!
//! [`ClientHello`], [`ServerHello`] and [`Certificates`] are views over the body of a handshake message, in which nothing is
//! copied; a [`Session`](super::Session) puts messages together from records and gives them. Its work ends where
//! encryption begins: after the ServerHello in TLS 1.3, after ChangeCipherSpec before that.
//!
//! ```
//! use gwlb_geneve::protocol::tls::ClientHello;
//!
//! # #[rustfmt::skip]
//! let body = [
//!     &[3, 3][..], &[7; 32], // version, random
//!     &[0], // no session
//!     &[0, 4, 0x13, 1, 0x13, 2], // cipher suites
//!     &[1, 0], // no compression
//!     &[0, 20, 0, 0, 0, 16, 0, 14, 0, 0, 11], b"example.com", // extensions: the server's name
//! ]
//! .concat();
//! let hello = ClientHello::parse(&body)?;
//! assert_eq!(hello.server_name().and_then(|name| name.dns_name()), Some("example.com"));
//! assert_eq!(hello.ja3_text().to_string(), "771,4865-4866,0,,");
//! assert_eq!(hello.ja4().as_str(), "t12d020100_62ed6f6ca7ad_000000000000");
//! # Ok::<(), gwlb_geneve::protocol::tls::ParseError>(())
//! ```
//!
//! Hellos inside QUIC are not seen: they are encrypted, if only with a key that everybody can compute.

mod alert;
mod anomalies;
mod assembly;
mod certificates;
mod client_hello;
mod cursor;
mod error;
mod extension_list;
mod ja3;
mod ja4;
mod list;
mod parser;
mod server_hello;
mod server_name;
mod version;
mod x509;

pub use alert::Alert;
pub use anomalies::Anomalies;
pub use certificates::{Certificates, Chain};
pub use client_hello::ClientHello;
pub use error::{ParseError, Part};
pub use ja3::{Ja3, Ja3Text};
pub use ja4::Ja4;
pub use list::{Alpn, Codes, Extension, Extensions, is_grease};
pub(super) use parser::{Parser, guess};
pub use server_hello::ServerHello;
pub use server_name::{ServerName, ServerNames};
pub use version::Version;
pub use x509::{Certificate, CertificateTime, DnsNames, Fingerprint, Name, Serial};
