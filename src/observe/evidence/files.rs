use alloc::format;
use alloc::vec::Vec;
use core::sync::atomic::{AtomicU64, Ordering};
use std::fs::{self, DirBuilder, File, Metadata, OpenOptions};
use std::io::{self, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use super::record::Record;
use super::{Counts, EvidenceSettings};
use crate::capture::{Format, LinkType, Writer};

/// The files of a directory: the newest is written, the oldest make room.
pub(super) struct Files<'a> {
    settings: &'a EvidenceSettings,
    counts: &'a Counts,
    open: Option<Open>,
    /// Whether the last attempt to write has failed.
    has_failed: bool,
}

/// The file that is written.
struct Open {
    path: PathBuf,
    file: File,
    /// Bytes in it.
    len: u64,
    /// Packets are encoded into memory.
    writer: Writer<Vec<u8>>,
    /// How many of them there are that are not in the file yet.
    pending: u64,
}

impl<'a> Files<'a> {
    pub(super) fn new(settings: &'a EvidenceSettings, counts: &'a Counts) -> Self {
        Self { settings, counts, open: None, has_failed: false }
    }

    /// Writes records. Where that cannot be, they are counted, and the next ones are tried again.
    pub(super) fn write(&mut self, mut records: &[u8]) {
        // Whoever removes a file wants the next packets in another one.
        self.open.take_if(|open| !open.is_there());
        let mut result = Ok(());
        while let Some((record, rest)) = Record::read(records) {
            records = rest;
            if result.is_ok() {
                result = self.add(&record);
            }
            if result.is_err() {
                count(&self.counts.failed, 1);
            }
        }
        let flushed = self.flush();
        self.tell(result.and(flushed));
    }

    fn add(&mut self, record: &Record<'_>) -> io::Result<()> {
        let most = self.settings.file_size;
        if self.open.as_ref().is_some_and(|open| open.len_with(record) > most) {
            self.flush()?;
            self.open = None;
        }
        if self.open.is_none() {
            self.open = Some(self.begin()?);
        }
        self.open.as_mut().map_or(Ok(()), |open| open.add(record))
    }

    /// The next file, once the oldest ones have made room for it.
    fn begin(&self) -> io::Result<Open> {
        let EvidenceSettings { directory, file_size, files, .. } = self.settings;
        make(directory)?;
        let mut kept = kept(directory)?;
        kept.sort_unstable_by_key(|(number, _)| *number);
        let number = kept.last().map_or(0, |(number, _)| *number).saturating_add(1);
        let mut bytes: u64 = kept.iter().fold(0, |sum, (_, len)| sum.saturating_add(*len));
        let count = u64::try_from(*files).unwrap_or(u64::MAX).max(1);
        let most = file_size.saturating_mul(count);
        let mut left = kept.len();
        for (number, len) in kept {
            if left < *files && bytes.saturating_add(*file_size) <= most {
                break;
            }
            fs::remove_file(directory.join(name(number)))?;
            left = left.saturating_sub(1);
            bytes = bytes.saturating_sub(len);
        }
        Open::create(directory.join(name(number)))
    }

    fn flush(&mut self) -> io::Result<()> {
        let Some(open) = &mut self.open else { return Ok(()) };
        let (pending, len) = (core::mem::take(&mut open.pending), open.len);
        match open.flush() {
            Ok(()) => {
                count(&self.counts.written, pending);
                count(&self.counts.bytes, open.len.saturating_sub(len));
                count(&self.counts.files, u64::from(len == 0 && open.len > 0));
                Ok(())
            }
            Err(error) => {
                count(&self.counts.failed, pending);
                // What was written in part must not stay.
                let undone = open.file.set_len(len);
                let undone = undone.and_then(|()| open.file.seek(SeekFrom::Start(len)));
                if len == 0 {
                    let _ = fs::remove_file(&open.path);
                }
                if len == 0 || undone.is_err() {
                    self.open = None;
                }
                Err(error)
            }
        }
    }

    /// Says so when it begins to go wrong, and when it is over.
    fn tell(&mut self, result: io::Result<()>) {
        let had_failed = core::mem::replace(&mut self.has_failed, result.is_err());
        #[cfg(feature = "live")]
        {
            let directory = self.settings.directory.display();
            match result {
                Err(error) if !had_failed => {
                    tracing::error!(%directory, "cannot write evidence: {error}");
                }
                Ok(()) if had_failed => tracing::info!(%directory, "evidence is written again"),
                _ => {}
            }
        }
        #[cfg(not(feature = "live"))]
        let _ = had_failed;
    }
}

impl Open {
    fn create(path: PathBuf) -> io::Result<Self> {
        let mut options = OpenOptions::new();
        // Never into what somebody else has put there; and it is nobody else's to read.
        options.write(true).create_new(true);
        #[cfg(unix)]
        std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
        let file = options.open(&path)?;
        let writer = Writer::new(Vec::new(), Format::Pcapng).map_err(io::Error::other)?;
        Ok(Self { path, file, len: 0, writer, pending: 0 })
    }

    fn add(&mut self, record: &Record<'_>) -> io::Result<()> {
        let Record { time, comment, packet } = *record;
        let len = u32::try_from(packet.len()).unwrap_or(u32::MAX);
        match comment {
            "" => self.writer.write_packet(time, LinkType::IPV4, len, packet),
            _ => self.writer.write_commented(time, LinkType::IPV4, len, packet, comment),
        }
        .map_err(io::Error::other)?;
        self.pending = self.pending.saturating_add(1);
        Ok(())
    }

    /// The most that the file has with this record.
    fn len_with(&self, record: &Record<'_>) -> u64 {
        /// More than the headers of file, interface and packet, options and padding take.
        const OVERHEAD: usize = 256;

        let buffered = self.writer.get_ref().len();
        let len = buffered.saturating_add(record.packet.len()).saturating_add(record.comment.len());
        let len = u64::try_from(len.saturating_add(OVERHEAD)).unwrap_or(u64::MAX);
        self.len.saturating_add(len)
    }

    fn flush(&mut self) -> io::Result<()> {
        let buffer = self.writer.get_mut();
        let written = self.file.write_all(buffer);
        let len = u64::try_from(buffer.len()).unwrap_or(u64::MAX);
        buffer.clear();
        written?;
        self.len = self.len.saturating_add(len);
        Ok(())
    }

    /// Whether the file is still what its path leads to.
    fn is_there(&self) -> bool {
        let same = |found: Metadata| {
            let own = self.file.metadata()?;
            Ok::<_, io::Error>(identity(&found) == identity(&own))
        };
        fs::symlink_metadata(&self.path).and_then(same).unwrap_or(false)
    }
}

#[cfg(unix)]
fn identity(metadata: &Metadata) -> (u64, u64) {
    use std::os::unix::fs::MetadataExt;
    (metadata.dev(), metadata.ino())
}

#[cfg(not(unix))]
fn identity(_: &Metadata) -> (u64, u64) {
    (0, 0)
}

/// Makes the directory where it is not there; traffic is nobody else's to read.
pub(super) fn make(directory: &Path) -> io::Result<()> {
    let mut builder = DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(directory)
}

fn name(number: u64) -> PathBuf {
    format!("evidence-{number:08}.pcapng").into()
}

/// The number and the bytes of each file in a directory that has one of these names.
fn kept(directory: &Path) -> io::Result<Vec<(u64, u64)>> {
    let mut kept = Vec::new();
    for entry in fs::read_dir(directory)? {
        let entry = entry?;
        let file_name = entry.file_name();
        let number = file_name.to_str().and_then(|it| it.strip_prefix("evidence-"));
        let number = number.and_then(|it| it.strip_suffix(".pcapng")?.parse().ok());
        if let Some(number) = number.filter(|number| name(*number).as_os_str() == file_name) {
            kept.push((number, entry.metadata().map_or(0, |metadata| metadata.len())));
        }
    }
    Ok(kept)
}

fn count(counter: &AtomicU64, more: u64) {
    counter.fetch_add(more, Ordering::Relaxed);
}
