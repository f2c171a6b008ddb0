use core::fmt;
use std::borrow::Cow;
use std::io;

use pcap_file::pcap::PcapHeader;
use pcap_file::pcapng::blocks::enhanced_packet::{EnhancedPacketBlock, EnhancedPacketOption};
use pcap_file::pcapng::blocks::interface_description::{
    InterfaceDescriptionBlock, InterfaceDescriptionOption,
};
use pcap_file::pcapng::blocks::section_header::{SectionHeaderBlock, SectionHeaderOption};
use pcap_file::pcapng::{Block, PcapNgWriter};
use pcap_file::{DataLink, Endianness, PcapError, TsResolution};

use super::{Error, Format, LinkType, MAX_PACKET};
use crate::Timestamp;

/// Written into the section header of pcapng files.
const APPLICATION: &str = concat!(env!("CARGO_PKG_NAME"), " ", env!("CARGO_PKG_VERSION"));
/// The value of `if_tsresol` for nanoseconds: 10⁻⁹.
const NANOSECONDS: u8 = 9;

/// Turns records into bytes, in memory: so that they are written at once, and not at all where
/// one is refused.
pub(super) enum Encoder {
    Pcapng { blocks: PcapNgWriter<Vec<u8>>, interfaces: Vec<LinkType> },
    Pcap { bytes: Vec<u8>, link_type: LinkType, nanos_per_part: u32 },
}

impl Encoder {
    pub(super) fn new(format: Format) -> io::Result<Self> {
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
    pub(super) fn encoded(&mut self) -> &mut Vec<u8> {
        match self {
            Self::Pcapng { blocks, .. } => blocks.get_mut(),
            Self::Pcap { bytes, .. } => bytes,
        }
    }

    pub(super) fn encode(&mut self, record: &Record<'_>) -> Result<(), Error> {
        match self {
            Self::Pcapng { blocks, interfaces } => encode_blocks(blocks, interfaces, record),
            Self::Pcap { bytes, link_type, nanos_per_part } => {
                encode_pcap(bytes, *link_type, *nanos_per_part, record)
            }
        }
    }
}

impl fmt::Debug for Encoder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
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

/// A packet to be written.
pub(super) struct Record<'a> {
    pub(super) packet: u64,
    pub(super) timestamp: Timestamp,
    pub(super) link_type: LinkType,
    pub(super) original_len: u32,
    pub(super) data: &'a [u8],
    pub(super) comment: Option<&'a str>,
}
