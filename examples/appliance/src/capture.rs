//! Walking over a capture file.

use std::fs::File;
use std::io::{BufReader, IsTerminal};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, anyhow, bail};
use gwlb_geneve::EtherType;
use gwlb_geneve::capture::{Error, LinkError, LinkType, Packet, Reader};
use gwlb_geneve::packet::{IpProtocol, QuotedPacket};
use indicatif::{ProgressBar, ProgressStyle};

use crate::say;

/// A capture file that is being read.
pub(crate) struct Capture {
    file: PathBuf,
    reader: Reader<BufReader<File>>,
    /// Packets that were read, whatever is in them.
    pub(crate) packets: u64,
    /// Packets that could not be read: damaged, or of a link type that is not known.
    pub(crate) unreadable: u64,
    /// What was wrong with the first of them; of a link type once.
    problems: Vec<anyhow::Error>,
    foreign_links: Vec<LinkType>,
}

impl Capture {
    /// How many problems are said one by one.
    const MOST_PROBLEMS: usize = 20;

    pub(crate) fn open(file: &Path) -> Result<Self> {
        let reader = match Reader::open(file) {
            Ok(reader) => reader,
            // It names the file itself.
            Err(error @ Error::Open { .. }) => return Err(error.into()),
            Err(error) => return Err(error).with_context(|| file.display().to_string()),
        };
        Ok(Self {
            reader,
            file: file.to_owned(),
            packets: 0,
            unreadable: 0,
            problems: Vec::new(),
            foreign_links: Vec::new(),
        })
    }

    /// Shows each packet to `each`, with its IP packet where there is one, and a progress bar on standard error where
    /// that is a terminal. What can be read is read; what cannot is an error of [`finish`](Self::finish).
    pub(crate) fn walk(
        &mut self,
        mut each: impl FnMut(&Packet<'_>, Option<&[u8]>) -> Result<()>,
    ) -> Result<()> {
        let progress = progress(&self.file);
        let mut position = 0;
        while let Some(packet) = self.reader.next_packet() {
            let problem = match packet {
                Ok(packet) => match packet.network() {
                    Err(error @ LinkError::Unsupported { link_type }) => {
                        self.unreadable += 1;
                        if self.foreign_links.contains(&link_type) {
                            continue;
                        }
                        self.foreign_links.push(link_type);
                        anyhow!("packet {}: {error}", packet.number)
                    }
                    network => {
                        let ip = network.ok().filter(|network| {
                            // As a kernel does: a packet is what the link layer says, or nothing.
                            let version = network.payload.first().map(|first| first >> 4);
                            match network.ether_type {
                                EtherType::IPV4 => version == Some(4),
                                EtherType::IPV6 => version == Some(6),
                                _ => false,
                            }
                        });
                        each(&packet, ip.map(|network| network.payload))?;
                        self.packets += 1;
                        position += RECORD_HEADER_LEN + packet.data.len() as u64;
                        if packet.number % 4096 == 0 {
                            progress.set_position(position);
                        }
                        continue;
                    }
                },
                Err(error) => {
                    self.unreadable += 1;
                    error.into()
                }
            };
            if self.problems.len() < Self::MOST_PROBLEMS {
                self.problems.push(problem);
            }
        }
        progress.finish_and_clear();
        Ok(())
    }

    /// Whether there is nothing to tell but [`finish`](Self::finish)'s error.
    pub(crate) fn is_hopeless(&self) -> bool {
        self.packets == 0 && self.unreadable > 0
    }

    /// An error where something could not be read: of one problem the problem, of several their number, after each has
    /// been said.
    pub(crate) fn finish(mut self) -> Result<()> {
        let file = self.file.display();
        if self.problems.len() > 1 {
            for problem in &self.problems {
                say(&format!("{file}: {problem:#}"));
            }
            bail!("{file}: {} packets could not be read", self.unreadable);
        }
        match self.problems.pop() {
            Some(problem) => Err(problem).with_context(|| file.to_string()),
            None => Ok(()),
        }
    }
}

/// What a file holds for a packet beside its bytes, about.
const RECORD_HEADER_LEN: u64 = 16;

fn progress(file: &Path) -> ProgressBar {
    let len = std::fs::metadata(file).map_or(0, |metadata| metadata.len());
    if len == 0 || !std::io::stderr().is_terminal() {
        return ProgressBar::hidden();
    }
    let style =
        ProgressStyle::with_template("{wide_bar} {bytes}/{total_bytes} {bytes_per_sec} {eta}")
            .unwrap_or_else(|_| ProgressStyle::default_bar());
    ProgressBar::new(len).with_style(style)
}

/// Whether an IP packet is a UDP datagram to one of these ports, as far as its headers were captured. Fragments
/// after the first have no ports.
pub(crate) fn is_geneve(ip: &[u8], ports: &[u16]) -> bool {
    let Ok(packet) = QuotedPacket::parse(ip) else { return false };
    packet.protocol() == IpProtocol::UDP
        && packet
            .five_tuple()
            .ok()
            .and_then(|tuple| tuple.ports)
            .is_some_and(|found| ports.contains(&found.destination))
}
