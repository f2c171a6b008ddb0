use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::path::Path;

use super::encoder::{Encoder, Record};
use super::{Error, LinkType, MAX_PACKET, Packet};
use crate::Timestamp;

/// What a [`Writer`] writes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
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

    /// The inner writer.
    pub fn get_ref(&self) -> &W {
        &self.output
    }

    /// The inner writer. What is taken out of it, or written past this writer, is the caller's affair.
    pub fn get_mut(&mut self) -> &mut W {
        &mut self.output
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
