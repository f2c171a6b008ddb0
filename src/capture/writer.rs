use std::borrow::Cow;
use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::path::Path;

use pcap_file::pcap::PcapHeader;
use pcap_file::pcapng::blocks::enhanced_packet::{EnhancedPacketBlock, EnhancedPacketOption};
use pcap_file::pcapng::blocks::interface_description::{
    InterfaceDescriptionBlock, InterfaceDescriptionOption,
};
use pcap_file::pcapng::blocks::section_header::{SectionHeaderBlock, SectionHeaderOption};
use pcap_file::pcapng::{Block, PcapNgWriter};
use pcap_file::{DataLink, Endianness, PcapError, TsResolution};

use super::{Error, LinkType, MAX_PACKET, Packet};
use crate::Timestamp;

/// Written into the section header of pcapng files.
const APPLICATION: &str = concat!(env!("CARGO_PKG_NAME"), " ", env!("CARGO_PKG_VERSION"));
/// The value of `if_tsresol` for nanoseconds: 10⁻⁹.
const NANOSECONDS: u8 = 9;

/// What a [`Writer`] writes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// pcapng with nanoseconds and one interface for each link type.
    Pcapng,
    /// pcap with microseconds, which every tool reads; the rest of the time is cut off.
    Pcap(LinkType),
    /// pcap with nanoseconds.
    PcapNanos(LinkType),
}

/// Writes packets into a pcap or pcapng file, little-endian.
///
/// A record reaches the inner writer whole, in one call; a packet that is refused (the error says
/// why) leaves the file as it was and may be followed by others. After an output error the file may
/// end inside a record, so everything more is refused.
///
/// End with [`finish`](Self::finish): a dropped `Writer` leaves flushing to the inner writer, and
/// [`BufWriter`] then ignores the errors.
#[derive(Debug)]
pub struct Writer<W: Write> {
    output: W,
    encoder: Encoder,
    packets_written: u64,
    failed: bool,
}

impl Writer<BufWriter<File>> {
    /// Creates a file, or empties it where it exists, and writes its header.
    ///
    /// # Errors
    ///
    /// [`Error::Create`] or [`Error::Write`].
    pub fn create(path: impl AsRef<Path>, format: Format) -> Result<Self, Error> {
        let path = path.as_ref();
        let file =
            File::create(path).map_err(|source| Error::Create { path: path.to_owned(), source })?;
        Self::new(BufWriter::new(file), format)
    }
}

impl<W: Write> Writer<W> {
    /// Writes the file's header.
    ///
    /// # Errors
    ///
    /// [`Error::Write`].
    pub fn new(output: W, format: Format) -> Result<Self, Error> {
        let encoder = Encoder::new(format).map_err(|source| Error::Write { packet: 0, source })?;
        let mut writer = Self { output, encoder, packets_written: 0, failed: false };
        writer.write_encoded(0)?;
        Ok(writer)
    }

    /// Writes one packet: the bytes that were captured of it, from the link layer on, and how
    /// many it had on the wire.
    ///
    /// # Errors
    ///
    /// [`Error::PacketTooLong`], [`Error::OriginalLength`], [`Error::LinkTypeMismatch`] and
    /// [`Error::TimestampTooLate`] (both pcap only), [`Error::Write`].
    pub fn write_packet(
        &mut self,
        timestamp: Timestamp,
        link_type: LinkType,
        original_len: u32,
        data: &[u8],
    ) -> Result<(), Error> {
        self.write_record(timestamp, link_type, original_len, data, None)
    }

    /// Writes one packet with a comment, which Wireshark shows on top of it.
    ///
    /// # Errors
    ///
    /// As [`write_packet`](Self::write_packet), [`Error::CommentTooLong`], and
    /// [`Error::CommentInPcap`] where the format is not pcapng.
    pub fn write_commented(
        &mut self,
        timestamp: Timestamp,
        link_type: LinkType,
        original_len: u32,
        data: &[u8],
        comment: &str,
    ) -> Result<(), Error> {
        self.write_record(timestamp, link_type, original_len, data, Some(comment))
    }

    /// Writes a packet as it was read.
    ///
    /// # Errors
    ///
    /// As [`write_packet`](Self::write_packet).
    pub fn write_copy(&mut self, packet: &Packet<'_>) -> Result<(), Error> {
        self.write_packet(packet.timestamp, packet.link_type, packet.original_len, packet.data)
    }

    /// How many packets have been written.
    pub fn packets_written(&self) -> u64 {
        self.packets_written
    }

    /// Flushes the inner writer: what has been written is a whole file.
    ///
    /// # Errors
    ///
    /// [`Error::Write`], also where an earlier write failed.
    pub fn flush(&mut self) -> Result<(), Error> {
        let packet = self.packets_written;
        self.check_usable(packet)?;
        self.output.flush().map_err(|source| Error::Write { packet, source })
    }

    /// Flushes and returns the inner writer.
    ///
    /// # Errors
    ///
    /// As [`flush`](Self::flush).
    pub fn finish(mut self) -> Result<W, Error> {
        self.flush()?;
        Ok(self.output)
    }

    fn write_record(
        &mut self,
        timestamp: Timestamp,
        link_type: LinkType,
        original_len: u32,
        data: &[u8],
        comment: Option<&str>,
    ) -> Result<(), Error> {
        let packet = self.packets_written.saturating_add(1);
        self.check_usable(packet)?;
        let (captured, limit) = (data.len(), MAX_PACKET);
        if captured > limit {
            return Err(Error::PacketTooLong { packet, limit, found: captured });
        }
        if usize::try_from(original_len).is_ok_and(|original| original < captured) {
            return Err(Error::OriginalLength { packet, captured, found: original_len });
        }
        let record = Record { packet, timestamp, link_type, original_len, data, comment };
        self.encoder.encode(&record)?;
        self.write_encoded(packet)?;
        self.packets_written = packet;
        Ok(())
    }

    fn write_encoded(&mut self, packet: u64) -> Result<(), Error> {
        let encoded = self.encoder.encoded();
        let written = self.output.write_all(encoded);
        encoded.clear();
        written.map_err(|source| {
            self.failed = true;
            Error::Write { packet, source }
        })
    }

    fn check_usable(&self, packet: u64) -> Result<(), Error> {
        if self.failed {
            let source = io::Error::other("an earlier write failed");
            return Err(Error::Write { packet, source });
        }
        Ok(())
    }
}

struct Record<'a> {
    packet: u64,
    timestamp: Timestamp,
    link_type: LinkType,
    original_len: u32,
    data: &'a [u8],
    comment: Option<&'a str>,
}

/// Turns records into bytes, in memory: so that they are written at once, and not at all where
/// one is refused.
enum Encoder {
    Pcapng { blocks: PcapNgWriter<Vec<u8>>, interfaces: Vec<LinkType> },
    Pcap { bytes: Vec<u8>, link_type: LinkType, nanos_per_part: u32 },
}

impl Encoder {
    fn new(format: Format) -> io::Result<Self> {
        let (link_type, ts_resolution, nanos_per_part) = match format {
            Format::Pcapng => {
                let section = SectionHeaderBlock {
                    endianness: Endianness::Little,
                    options: vec![SectionHeaderOption::UserApplication(APPLICATION.into())],
                    ..SectionHeaderBlock::default()
                };
                let blocks =
                    PcapNgWriter::with_section_header(Vec::new(), section).map_err(into_io)?;
                return Ok(Self::Pcapng { blocks, interfaces: Vec::new() });
            }
            Format::Pcap(link_type) => (link_type, TsResolution::MicroSecond, 1_000),
            Format::PcapNanos(link_type) => (link_type, TsResolution::NanoSecond, 1),
        };
        let header = PcapHeader {
            snaplen: snap_len(),
            datalink: DataLink::from(u32::from(link_type.0)),
            ts_resolution,
            endianness: Endianness::Little,
            ..PcapHeader::default()
        };
        let mut bytes = Vec::new();
        header.write_to(&mut bytes).map_err(into_io)?;
        Ok(Self::Pcap { bytes, link_type, nanos_per_part })
    }

    /// What has been encoded and not yet taken.
    fn encoded(&mut self) -> &mut Vec<u8> {
        match self {
            Self::Pcapng { blocks, .. } => blocks.get_mut(),
            Self::Pcap { bytes, .. } => bytes,
        }
    }

    fn encode(&mut self, record: &Record<'_>) -> Result<(), Error> {
        match self {
            Self::Pcapng { blocks, interfaces } => encode_blocks(blocks, interfaces, record),
            Self::Pcap { bytes, link_type, nanos_per_part } => {
                encode_pcap(bytes, *link_type, *nanos_per_part, record)
            }
        }
    }
}

impl core::fmt::Debug for Encoder {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str(match self {
            Self::Pcapng { .. } => "Pcapng",
            Self::Pcap { .. } => "Pcap",
        })
    }
}

fn encode_blocks(
    blocks: &mut PcapNgWriter<Vec<u8>>,
    interfaces: &mut Vec<LinkType>,
    record: &Record<'_>,
) -> Result<(), Error> {
    let packet = record.packet;
    let write = |error| Error::Write { packet, source: into_io(error) };
    let mut options = Vec::new();
    if let Some(comment) = record.comment {
        // A longer one would be written in full behind a length cut to 16 bits.
        let limit = usize::from(u16::MAX);
        if comment.len() > limit {
            return Err(Error::CommentTooLong { packet, limit, found: comment.len() });
        }
        options.push(EnhancedPacketOption::Comment(Cow::Borrowed(comment)));
    }
    let index = match interfaces.iter().position(|known| *known == record.link_type) {
        Some(index) => index,
        None => {
            let interface = InterfaceDescriptionBlock {
                linktype: DataLink::from(u32::from(record.link_type.0)),
                snaplen: snap_len(),
                options: vec![InterfaceDescriptionOption::IfTsResol(NANOSECONDS)],
            };
            blocks.write_block(&Block::InterfaceDescription(interface)).map_err(write)?;
            interfaces.push(record.link_type);
            interfaces.len().saturating_sub(1)
        }
    };
    let block = EnhancedPacketBlock {
        // There are no more interfaces than link types.
        interface_id: u32::try_from(index).unwrap_or(u32::MAX),
        timestamp: record.timestamp.since_unix(),
        original_len: record.original_len,
        data: Cow::Borrowed(record.data),
        options,
    };
    blocks.write_block(&Block::EnhancedPacket(block)).map_err(write)?;
    Ok(())
}

/// `PcapWriter` would do, if it gave access to its inner writer before its end.
fn encode_pcap(
    bytes: &mut Vec<u8>,
    link_type: LinkType,
    nanos_per_part: u32,
    record: &Record<'_>,
) -> Result<(), Error> {
    let packet = record.packet;
    if record.comment.is_some() {
        return Err(Error::CommentInPcap { packet });
    }
    if record.link_type != link_type {
        let (expected, found) = (link_type, record.link_type);
        return Err(Error::LinkTypeMismatch { packet, expected, found });
    }
    let time = record.timestamp.since_unix();
    let seconds = u32::try_from(time.as_secs())
        .map_err(|_| Error::TimestampTooLate { packet, seconds: time.as_secs() })?;
    let parts = time.subsec_nanos().checked_div(nanos_per_part).unwrap_or(0);
    // At most `MAX_PACKET`.
    let captured = u32::try_from(record.data.len()).unwrap_or(u32::MAX);
    for field in [seconds, parts, captured, record.original_len] {
        bytes.extend_from_slice(&field.to_le_bytes());
    }
    bytes.extend_from_slice(record.data);
    Ok(())
}

fn snap_len() -> u32 {
    u32::try_from(MAX_PACKET).unwrap_or(u32::MAX)
}

/// Writing into memory fails for no other reason than ones that belong to the caller.
fn into_io(error: PcapError) -> io::Error {
    match error {
        PcapError::IoError(source) => source,
        other => io::Error::other(other),
    }
}
