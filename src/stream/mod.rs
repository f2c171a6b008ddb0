//! Bytes in order: what both ends of a TCP connection say, out of segments that come lost, doubled, cut anew and
//! out of order, for an appliance that stands in their way.
//!
//! Nothing is held back here. A segment is [considered](Connection::consider), which changes nothing; the bytes that
//! become [contiguous](Connection::chunks) by it are judged; and only when it is forwarded it is
//! [committed](Connection::commit). So a packet that is not forwarded adds nothing, and its retransmission is judged
//! again.
//!
//! ```
//! use gwlb_geneve::packet::TcpSegment;
//! use gwlb_geneve::stream::{Arrival, Connection, Pool};
//! use gwlb_geneve::{Side, Timestamp};
//!
//! /// Whether to forward a segment.
//! fn judge(
//!     connection: &mut Connection,
//!     pool: &mut Pool,
//!     side: Side,
//!     segment: &TcpSegment<'_>,
//!     now: Timestamp,
//! ) -> bool {
//!     let payload = segment.payload();
//!     let accepted = match connection.consider(pool, side, segment, now) {
//!         Arrival::Accept(accepted) if !accepted.is_edited() => accepted,
//!         _ => return false,
//!     };
//!     for chunk in connection.chunks(pool, &accepted, payload) {
//!         println!("{side:?} says at {}: {:?}", chunk.offset, chunk.data);
//!     }
//!     connection.commit(pool, &accepted, payload)
//! }
//! ```
//!
//! Datagrams that came in fragments are put together before, by [`defrag`].
//!
//! # What is promised
//!
//! * **The bytes that a receiver accepts are those that were judged.** Bytes that were forwarded are remembered until
//!   the other end acknowledges them, at any cut, in order or not. Where a segment brings other bytes for the same
//!   place, the remembered ones [are written over them](Connection::edits), so it does not matter whether a receiver
//!   takes the first or the last, nor whether it took them at all.
//! * **What is no part of the conversation changes nothing**: sequence numbers out of the window, acknowledgments of
//!   what was never sent, time stamps that are too old ([RFC 7323 §5]), SYN and RST where they do not belong
//!   ([RFC 5961]) are told as [`Discard`], or let past without being believed.
//! * **Memory has a hard cap**, the [`Pool`]'s, and no segment costs more than time in proportion to its length and
//!   to the bytes that become contiguous or acknowledged by it.
//!
//! # What is not
//!
//! * Bytes that were acknowledged are forgotten. A segment wholly below the acknowledgment, such as a keep-alive,
//!   passes, and what it brings is compared with nothing; receivers discard it. An acknowledgment is believed if it comes
//!   from the other side, in a segment near the place where that side's stream stands, with a time stamp that is not old where
//!   there are any, and is one of bytes that were forwarded: nobody who does not see the connection brings that about. Who
//!   sees it *and* sends in the name of the other end can, and then follow with other bytes for those that he kept from
//!   arriving. No observer tells such an acknowledgment from a true one; networks that let nobody send in another's name do.
//! * Of a connection that was not seen from its [start](Connection::midstream), bytes below the first segment that
//!   was seen pass unseen.
//! * [Urgent data](Accepted::urgent) stays in line here (RFC 6093), while many receivers take one byte out of it.
//!
//! [RFC 5961]: https://www.rfc-editor.org/rfc/rfc5961
//! [RFC 7323 §5]: https://www.rfc-editor.org/rfc/rfc7323#section-5

mod arrival;
mod commit;
mod connection;
mod consider;
pub mod defrag;
mod error;
mod glance;
mod half;
mod handshake;
mod limits;
mod options;
mod pool;
mod store;
#[cfg(test)]
mod twins;
mod walk;

pub use arrival::{Accepted, Arrival, Discard, Gap, NoRoom};
pub use connection::Connection;
pub use error::StreamError;
pub use limits::StreamLimits;
pub use pool::{Pool, Share};
pub use walk::{Chunk, Chunks, Edit, Edits};
