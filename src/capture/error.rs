use core::fmt;
use std::io;
use std::path::PathBuf;

use super::LinkType;

/// Why a capture cannot be read or written.
///
/// `packet` is always the number that the packet has, or would have had, in
/// [`Packet::number`](super::Packet::number). Messages are one line and do not repeat their
/// [source](std::error::Error::source).
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The file cannot be opened for reading.
    #[error("cannot open {}", path.display())]
    Open {
        /// The file.
        path: PathBuf,
        /// The operating system's reason.
        source: io::Error,
    },
    /// The file cannot be created.
    #[error("cannot create {}", path.display())]
    Create {
        /// The file.
        path: PathBuf,
        /// The operating system's reason.
        source: io::Error,
    },
    /// There is not a single byte.
    #[error("expected a pcap or pcapng capture, found an empty file")]
    Empty,
    /// The first bytes belong to no format that is read here.
    #[error("expected the magic number of a pcap or pcapng capture, found {magic}")]
    NotACapture {
        /// The first four bytes.
        magic: Magic,
    },
    /// The input ends inside the header of the file.
    #[error("the file header is cut off: expected {expected} bytes, found {found}")]
    TruncatedHeader {
        /// Bytes needed, from the start of the file.
        expected: usize,
        /// Bytes there.
        found: usize,
    },
    /// A version of the format that is not read here.
    #[error(
        "packet {packet}, file offset {offset}: expected version {expected} of the format, \
         found {major}.{minor}"
    )]
    UnsupportedVersion {
        /// The first packet that the header governs.
        packet: u64,
        /// Where the header starts in the file, in bytes.
        offset: u64,
        /// The version that is read.
        expected: &'static str,
        /// Major version found.
        major: u16,
        /// Minor version found.
        minor: u16,
    },
    /// A record contradicts itself or the records before it.
    #[error("packet {packet}, file offset {offset}: {reason}")]
    Damaged {
        /// The packet, or the one that would have come next.
        packet: u64,
        /// Where the record starts in the file, in bytes.
        offset: u64,
        /// What is wrong.
        reason: Damage,
    },
    /// The input ends inside a record.
    #[error("packet {packet} is cut off: expected a record of {expected} bytes, found {found}")]
    TruncatedRecord {
        /// The packet, or the one that would have come next.
        packet: u64,
        /// Bytes that the record needs, as far as is known.
        expected: usize,
        /// Bytes there.
        found: usize,
    },
    /// The input failed.
    #[error("cannot read packet {packet}")]
    Read {
        /// The packet that was wanted.
        packet: u64,
        /// The reason.
        source: io::Error,
    },
    /// The output failed: what was written before may end inside a record.
    #[error("cannot write packet {packet}")]
    Write {
        /// The packet; the last one where the output failed when it was flushed, 0 where the file
        /// header could not be written.
        packet: u64,
        /// The reason.
        source: io::Error,
    },
    /// A packet of another link type than the one of the pcap file.
    #[error("packet {packet}: expected link type {expected} as in the file header, found {found}")]
    LinkTypeMismatch {
        /// The packet that was refused.
        packet: u64,
        /// The link type of the file.
        expected: LinkType,
        /// The link type of the packet.
        found: LinkType,
    },
    /// A packet that is too long to be written.
    #[error("packet {packet}: expected at most {limit} bytes, found {found}")]
    PacketTooLong {
        /// The packet that was refused.
        packet: u64,
        /// [`MAX_PACKET`](super::MAX_PACKET).
        limit: usize,
        /// Length of the packet.
        found: usize,
    },
    /// A packet that claims to have been shorter on the wire than it is.
    #[error(
        "packet {packet}: expected an original length of at least the {captured} bytes captured, \
         found {found}"
    )]
    OriginalLength {
        /// The packet that was refused.
        packet: u64,
        /// Length of the bytes given.
        captured: usize,
        /// The original length given.
        found: u32,
    },
    /// A time that a pcap file cannot hold.
    #[error("packet {packet}: expected a time before 2106-02-07, found {seconds} s after 1970")]
    TimestampTooLate {
        /// The packet that was refused.
        packet: u64,
        /// Seconds since the Unix epoch.
        seconds: u64,
    },
    /// A comment that is too long for its 16-bit length.
    #[error("packet {packet}: expected a comment of at most {limit} bytes, found {found}")]
    CommentTooLong {
        /// The packet that was refused.
        packet: u64,
        /// Most bytes that a comment can have.
        limit: usize,
        /// Length of the comment.
        found: usize,
    },
    /// A comment for a pcap file, which has no place for one.
    #[error("packet {packet}: expected no comment in a pcap file, found one")]
    CommentInPcap {
        /// The packet that was refused.
        packet: u64,
    },
}

/// What is wrong with a record.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Damage {
    /// A record that is longer than what is read; nothing after it can be found.
    #[error("expected a record of at most {limit} bytes, found {found}")]
    RecordTooLong {
        /// [`MAX_RECORD`](super::MAX_RECORD).
        limit: usize,
        /// The length claimed.
        found: u64,
    },
    /// A block length that cannot be one, after which nothing can be found; or a block too short
    /// for what it must hold, which costs that block only.
    #[error("expected a block length of at least {expected} and divisible by 4, found {found}")]
    BlockLength {
        /// The least that this kind of block needs.
        expected: u32,
        /// The length claimed.
        found: u32,
    },
    /// The two lengths of a block differ; nothing after it can be found.
    #[error("expected the block to end with its length {expected}, found {found}")]
    TrailingLength {
        /// Length at the start of the block.
        expected: u32,
        /// Length at its end.
        found: u32,
    },
    /// A section without a valid byte order; nothing after it can be found.
    #[error("expected the byte-order magic 0x1a2b3c4d in either order, found {found:#010x}")]
    ByteOrder {
        /// The four bytes, read in network order.
        found: u32,
    },
    /// More interfaces than are kept for one section; nothing after them is read.
    #[error("expected at most {limit} interfaces in a section, found one more")]
    TooManyInterfaces {
        /// Most interfaces that are kept.
        limit: usize,
    },
    /// An option that overruns its interface description, whose packets then have no time.
    #[error(
        "expected at most {limit} bytes in option {code} of interface {interface}, found {found}"
    )]
    OptionOverrun {
        /// The interface.
        interface: u32,
        /// Option code.
        code: u16,
        /// Bytes that the description has left for it.
        limit: usize,
        /// Length claimed.
        found: usize,
    },
    /// An option of an interface description with a wrong length.
    #[error("expected {expected} bytes in option {code} of interface {interface}, found {found}")]
    OptionLength {
        /// The interface.
        interface: u32,
        /// Option code.
        code: u16,
        /// Length that the option must have.
        expected: usize,
        /// Its length.
        found: usize,
    },
    /// A packet of an interface that was not described, or not in a usable way.
    #[error("expected one of the {described} interfaces of the section, found interface {found}")]
    UnknownInterface {
        /// Interfaces described so far.
        described: usize,
        /// Interface of the packet.
        found: u32,
    },
    /// An interface whose own description was damaged.
    #[error("expected an interface that is described, found {found}, whose description is damaged")]
    UnusableInterface {
        /// Interface of the packet.
        found: u32,
    },
    /// A packet block whose data does not fit into it.
    #[error("expected at most {limit} bytes of packet data in the block, found {found}")]
    CapturedLength {
        /// Bytes that the block has for the packet.
        limit: usize,
        /// The captured length claimed.
        found: u32,
    },
    /// A time stamp with a fraction of a second or more.
    #[error("expected less than {limit} parts of a second in the time stamp, found {found}")]
    SubSecond {
        /// Parts in a second.
        limit: u32,
        /// Parts found.
        found: u32,
    },
}

/// The first four bytes of a file that is no capture; [`Display`](fmt::Display) names what is
/// recognized.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Magic(pub [u8; 4]);

impl fmt::Display for Magic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:#010x}", u32::from_be_bytes(self.0))?;
        let name = match self.0 {
            [0x1f, 0x8b, ..] => "gzip: decompress it first",
            [0x28, 0xb5, 0x2f, 0xfd] => "zstd: decompress it first",
            [0x04, 0x22, 0x4d, 0x18] => "lz4: decompress it first",
            [0xfd, b'7', b'z', b'X'] => "xz: decompress it first",
            [0xa1, 0xb2, 0xcd, 0x34] | [0x34, 0xcd, 0xb2, 0xa1] => "modified pcap, not supported",
            [b's', b'n', b'o', b'o'] => "snoop, not supported",
            bytes if bytes.iter().all(|byte| byte.is_ascii_graphic()) => "text",
            _ => return Ok(()),
        };
        write!(f, " ({name})")
    }
}
