//! DNS messages (RFC 1035): queries and answers, over UDP and TCP.
//!
//! [`Message::parse`] takes the payload of a datagram; on TCP, where a length stands before each message, a
//! [`Session`](super::Session) gives them. A message is a view: it is walked through once, names and lengths are checked,
//! and nothing is copied.
//!
//! ```
//! use gwlb_geneve::protocol::dns::{Message, RecordType};
//!
//! # #[rustfmt::skip]
//! let bytes = b"\x1a\x2b\x01\0\0\x01\0\0\0\0\0\0\x07eXample\x03com\0\0\x01\0\x01";
//! let message = Message::parse(bytes)?;
//! assert!(!message.is_response() && message.recursion_desired());
//! let question = message.question().expect("one question");
//! assert_eq!(question.name.to_string(), "example.com");
//! assert_eq!(question.record_type, RecordType::A);
//! assert_eq!(message.to_string(), "DNS query 6699 A example.com");
//! # Ok::<(), gwlb_geneve::protocol::dns::ParseError>(())
//! ```

mod code;
mod data;
mod edns;
mod error;
mod message;
mod name;
mod parser;
mod reader;
mod record;

pub use code::{Class, Opcode, RecordType, ResponseCode};
pub use data::{RecordData, Strings, SvcParams, Svcb};
pub use edns::{Edns, EdnsOptions};
pub use error::{ParseError, Section};
pub use message::Message;
pub use name::{Labels, Name};
pub(super) use parser::{Parser, guess};
pub use record::{Question, Questions, Record, Records};
