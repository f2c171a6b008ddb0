use bytes::Bytes;
use core::ops::Deref;
use smallvec::SmallVec;

use super::{Packet, ParseError};

/// A GENEVE packet that owns its bytes by sharing the received buffer: for handing packets across
/// threads or keeping them, without a copy.
///
/// ```
/// use bytes::Bytes;
/// use gwlb_geneve::geneve::PacketBuf;
///
/// let received = Bytes::from_static(&[0, 0, 0x08, 0, 0, 0, 0, 0, b'p']);
/// let packet = PacketBuf::parse(received.clone())?;
/// let payload = std::thread::spawn(move || packet.payload()).join().unwrap();
/// assert_eq!(payload.as_ptr(), received[8..].as_ptr(), "the same memory");
/// # Ok::<(), gwlb_geneve::geneve::ParseError>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PacketBuf {
    bytes: Bytes,
    header_len: usize,
}

impl PacketBuf {
    /// Checks the header at the start of `bytes`, as [`Packet::parse`] does.
    ///
    /// # Errors
    ///
    /// See [`ParseError`].
    pub fn parse(bytes: Bytes) -> Result<Self, ParseError> {
        let header_len = Packet::parse(&bytes)?.header().len();
        Ok(Self { bytes, header_len })
    }

    /// The view, with every accessor. The fixed header is read again, the options are not walked again.
    pub fn as_packet(&self) -> Packet<'_> {
        let (header, payload) =
            self.bytes.split_at_checked(self.header_len).unwrap_or((&self.bytes, &[]));
        let fixed = header.first_chunk().map_or(0, |fixed| u64::from_be_bytes(*fixed));
        Packet::from_checked(fixed, header, payload)
    }

    /// The header with its options, byte for byte as received; shares the buffer.
    pub fn header(&self) -> Bytes {
        self.bytes.slice(..self.header_len)
    }

    /// What follows the header; shares the buffer.
    pub fn payload(&self) -> Bytes {
        self.bytes.slice(self.header_len..)
    }

    /// The whole packet, header first.
    pub fn into_bytes(self) -> Bytes {
        self.bytes
    }
}

/// A byte-exact copy of a received header, for answering after the packet itself is gone.
///
/// Up to 40 bytes, which is what a gateway load balancer sends, are held in place; longer headers take one
/// allocation.
///
/// ```
/// use gwlb_geneve::geneve::{HeaderBuf, Packet};
///
/// let datagram = [0, 0x3f, 0x08, 0, 0, 0, 0, 0xff]; // reserved bits set
/// let kept = HeaderBuf::from(&Packet::parse(&datagram)?);
/// assert_eq!(*kept, datagram);
/// # Ok::<(), gwlb_geneve::geneve::ParseError>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct HeaderBuf(SmallVec<[u8; 40]>);

impl From<&Packet<'_>> for HeaderBuf {
    fn from(packet: &Packet<'_>) -> Self {
        Self(SmallVec::from_slice(packet.header()))
    }
}

impl Deref for HeaderBuf {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        &self.0
    }
}
