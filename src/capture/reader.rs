use core::ops::Range;
use std::fs::File;
use std::io::{self, BufReader, Read};
use std::path::Path;

use super::input::Input;
use super::link;
use super::pcap::Pcap;
use super::pcapng::Pcapng;
use super::{Error, LinkError, LinkType, Magic, Network};
use crate::Timestamp;

/// Reads the packets of a pcap or pcapng file, one after the other.
///
/// The format, byte order and resolution are told by the file: pcap with microseconds or
/// nanoseconds, and pcapng with any number of sections and interfaces, each in either byte order.
///
/// What can be read is read: an error about one packet that leaves the next one findable (a
/// length that does not fit into its block, an interface that was never described) is handed out
/// once and reading goes on behind it. After any other error the reader is at its end.
#[derive(Debug)]
pub struct Reader<R> {
    input: Input<R>,
    format: Format,
    packets_seen: u64,
    packets_read: u64,
    ended: bool,
}

#[derive(Debug)]
enum Format {
    Pcap(Pcap),
    Pcapng(Pcapng),
}

impl Reader<BufReader<File>> {
    /// Opens a file and reads its header.
    ///
    /// # Errors
    ///
    /// [`Error::Open`] for a path that cannot be opened or is a directory, else as [`Reader::new`].
    pub fn open(path: impl AsRef<Path>) -> Result<Self, Error> {
        let path = path.as_ref();
        let open = |source| Error::Open { path: path.to_owned(), source };
        let file = File::open(path).map_err(open)?;
        if file.metadata().map_err(open)?.is_dir() {
            return Err(open(io::ErrorKind::IsADirectory.into()));
        }
        Self::new(BufReader::with_capacity(64 << 10, file))
    }
}

impl<R: Read> Reader<R> {
    /// Reads the header of a capture.
    ///
    /// Never reads beyond the packet that is asked for, so packets of a pipe come as soon as they
    /// are written; two reads are made for each, so an unbuffered source wants a [`BufReader`].
    ///
    /// # Errors
    ///
    /// [`Error::Empty`], [`Error::NotACapture`], [`Error::TruncatedHeader`],
    /// [`Error::UnsupportedVersion`], [`Error::Damaged`] or [`Error::Read`].
    pub fn new(read: R) -> Result<Self, Error> {
        let mut input = Input::new(read);
        let found = input.fill(4).map_err(|source| Error::Read { packet: 1, source })?;
        let Some(&magic) = input.record().first_chunk() else {
            return Err(match found {
                0 => Error::Empty,
                found => Error::TruncatedHeader { expected: 4, found },
            });
        };
        let format = match u32::from_be_bytes(magic) {
            0xa1b2_c3d4 | 0xd4c3_b2a1 | 0xa1b2_3c4d | 0x4d3c_b2a1 => {
                Format::Pcap(Pcap::open(&mut input)?)
            }
            0x0a0d_0d0a => Format::Pcapng(Pcapng::open(&mut input)?),
            _ => return Err(Error::NotACapture { magic: Magic(magic) }),
        };
        Ok(Self { input, format, packets_seen: 0, packets_read: 0, ended: false })
    }

    /// The next packet, `None` at the end of the file and after an error that ends it.
    ///
    /// # Errors
    ///
    /// [`Error::Damaged`], [`Error::TruncatedRecord`], [`Error::UnsupportedVersion`] (of a later
    /// section) or [`Error::Read`].
    pub fn next_packet(&mut self) -> Option<Result<Packet<'_>, Error>> {
        if self.ended {
            return None;
        }
        let number = self.packets_seen.saturating_add(1);
        let step = match &mut self.format {
            Format::Pcap(pcap) => pcap.next(&mut self.input, number),
            Format::Pcapng(pcapng) => pcapng.next(&mut self.input, number),
        };
        match step {
            Ok(Some(Step::Packet(record))) => {
                self.packets_seen = number;
                self.packets_read = self.packets_read.saturating_add(1);
                Some(Ok(Packet {
                    number,
                    timestamp: record.timestamp,
                    link_type: record.link_type,
                    interface: record.interface,
                    original_len: record.original_len,
                    data: self.input.record().get(record.data).unwrap_or_default(),
                }))
            }
            Ok(Some(Step::Damaged(error))) => {
                self.packets_seen = number;
                Some(Err(error))
            }
            Ok(Some(Step::DamagedInterface(error))) => Some(Err(error)),
            Ok(None) => {
                self.ended = true;
                None
            }
            Err(error) => {
                self.ended = true;
                Some(Err(error))
            }
        }
    }

    /// How many packets have been handed out.
    pub fn packets_read(&self) -> u64 {
        self.packets_read
    }
}

/// A packet as it was captured.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Packet<'a> {
    /// Position in the file, from 1, as in Wireshark's `frame.number`. Damaged packets count.
    pub number: u64,
    /// When it was captured; [`Timestamp::EPOCH`] in a simple packet block, which has no time.
    pub timestamp: Timestamp,
    /// What `data` starts with.
    pub link_type: LinkType,
    /// Index of its interface in its section of a pcapng file, 0 in a pcap file.
    pub interface: u32,
    /// Length on the wire in bytes, at least that of `data`.
    pub original_len: u32,
    /// The bytes that were captured, from the link layer on.
    pub data: &'a [u8],
}

impl<'a> Packet<'a> {
    /// Whether the packet was longer on the wire than what was captured of it.
    pub fn is_truncated(&self) -> bool {
        usize::try_from(self.original_len).is_ok_and(|original| original > self.data.len())
    }

    /// What the link layer carries.
    ///
    /// # Errors
    ///
    /// [`LinkError`] for a link layer that is not known or is cut off, and for a frame that names
    /// no `EtherType`.
    pub fn network(&self) -> Result<Network<'a>, LinkError> {
        link::network(self.link_type, self.data)
    }
}

/// What a format found next.
#[derive(Debug)]
pub(super) enum Step {
    Packet(Record),
    /// A packet that cannot be used; the next one can be found.
    Damaged(Error),
    /// An interface whose packets cannot be used; other packets can.
    DamagedInterface(Error),
}

/// A packet whose bytes are still in the input's record.
#[derive(Debug)]
pub(super) struct Record {
    pub(super) timestamp: Timestamp,
    pub(super) link_type: LinkType,
    pub(super) interface: u32,
    pub(super) original_len: u32,
    pub(super) data: Range<usize>,
}
