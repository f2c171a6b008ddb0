//! Walking over a capture file.

use std::io::IsTerminal;
use std::path::Path;

use anyhow::{Context, Result, bail};
use gwlb_geneve::EtherType;
use gwlb_geneve::capture::{Error, Packet, Reader};
use gwlb_geneve::packet::{IpProtocol, QuotedPacket};
use indicatif::{ProgressBar, ProgressStyle};

/// Shows each packet of a file to `each`, with its IP packet where there is one, and a progress bar on standard
/// error where that is a terminal.
///
/// A damaged file is read as far as that goes; then the walk ends with an error that says which packets were
/// damaged.
pub(crate) fn walk(
    file: &Path,
    mut each: impl FnMut(&Packet<'_>, Option<&[u8]>) -> Result<()>,
) -> Result<()> {
    let mut reader = Reader::open(file).with_context(|| file.display().to_string())?;
    let progress = progress(file);
    let mut damaged: Vec<Error> = Vec::new();
    let mut read = 0;
    while let Some(packet) = reader.next_packet() {
        match packet {
            Ok(packet) => {
                let network = packet.network().ok();
                let ip = network
                    .filter(|network| {
                        matches!(network.ether_type, EtherType::IPV4 | EtherType::IPV6)
                    })
                    .map(|network| network.payload);
                each(&packet, ip)?;
                read += RECORD_HEADER_LEN + packet.data.len() as u64;
                if packet.number % 4096 == 0 {
                    progress.set_position(read);
                }
            }
            Err(error) => damaged.push(error),
        }
    }
    progress.finish_and_clear();
    let count = damaged.len();
    match damaged.into_iter().next() {
        None => Ok(()),
        Some(first) if count == 1 => Err(first).with_context(|| file.display().to_string()),
        Some(first) => Err(first)
            .with_context(|| format!("{}: {count} damaged packets, the first", file.display())),
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

/// The values of `--port`, none of which may be 0.
pub(crate) fn check_ports(ports: &[u16]) -> Result<()> {
    if ports.contains(&0) {
        bail!("--port: expected 1 to 65535, found 0");
    }
    Ok(())
}
