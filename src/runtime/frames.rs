use alloc::collections::BTreeSet;
use alloc::vec::Vec;
use std::fs::File;
use std::io::{BufReader, Read};
use std::path::Path;

use super::FrameError;
use crate::EtherType;
use crate::capture::{Error, LinkError, LinkType, Packet, Reader};
use crate::geneve::UDP_PORT;
use crate::packet::{IpProtocol, QuotedPacket};

/// Walks over the frames of a capture and finds the GENEVE packets.
///
/// What can be read is read: a frame that cannot is [counted](FrameCounters::unreadable), and the first
/// [problems](Self::problems) are kept.
///
/// ```
/// use gwlb_geneve::runtime::{Frame, Frames};
///
/// let mut frames = Frames::open("tests/captures/mixed.pcapng")?;
/// while let Some(frame) = frames.next_frame() {
///     if let Frame::Geneve { captured, ip } = frame {
///         println!("{}: {} bytes", captured.number, ip.len());
///     }
/// }
/// assert_eq!((frames.counters().geneve, frames.counters().other), (2, 4));
/// # Ok::<(), gwlb_geneve::capture::Error>(())
/// ```
#[derive(Debug)]
pub struct Frames<R> {
    reader: Reader<R>,
    ports: Vec<u16>,
    counters: FrameCounters,
    problems: Vec<FrameError>,
    foreign_links: BTreeSet<LinkType>,
}

/// A frame of a capture.
#[derive(Clone, Copy, Debug)]
pub enum Frame<'a> {
    /// UDP to a port that carries GENEVE, as far as its headers were captured.
    Geneve {
        /// The frame.
        captured: Packet<'a>,
        /// The IP packet in it, with whatever the link layer put behind.
        ip: &'a [u8],
    },
    /// Something else.
    Other {
        /// The frame.
        captured: Packet<'a>,
    },
    /// Damaged, or of a link type that is not read here.
    Unreadable {
        /// The frame, where it is only its link type that is not read.
        captured: Option<Packet<'a>>,
    },
}

/// How many frames there were, by kind.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct FrameCounters {
    /// UDP to a port that carries GENEVE.
    pub geneve: u64,
    /// Other traffic.
    pub other: u64,
    /// Those that could not be read.
    pub unreadable: u64,
}

impl FrameCounters {
    /// All frames.
    pub const fn all(&self) -> u64 {
        self.geneve.wrapping_add(self.other).wrapping_add(self.unreadable)
    }
}

impl Frames<BufReader<File>> {
    /// Opens a pcap or pcapng file.
    ///
    /// # Errors
    ///
    /// Those of [`Reader::open`].
    pub fn open(path: impl AsRef<Path>) -> Result<Self, Error> {
        Ok(Self::new(Reader::open(path)?))
    }
}

impl<R: Read> Frames<R> {
    /// The most [problems](Self::problems) that are kept.
    pub const MOST_PROBLEMS: usize = 20;

    /// The frames of a reader, GENEVE being what goes to UDP port 6081.
    pub fn new(reader: Reader<R>) -> Self {
        Self {
            reader,
            ports: Vec::from([UDP_PORT]),
            counters: FrameCounters::default(),
            problems: Vec::new(),
            foreign_links: BTreeSet::new(),
        }
    }

    /// The same, with other UDP destination ports that carry GENEVE.
    #[must_use]
    pub fn with_ports(self, ports: impl IntoIterator<Item = u16>) -> Self {
        Self { ports: ports.into_iter().collect(), ..self }
    }

    /// The next frame, `None` at the end.
    pub fn next_frame(&mut self) -> Option<Frame<'_>> {
        let Self { reader, ports, counters, problems, foreign_links } = self;
        let mut unreadable = |captured, problem: Option<FrameError>| {
            if problems.len() < Self::MOST_PROBLEMS {
                problems.extend(problem);
            }
            Frame::Unreadable { captured }
        };
        let captured = match reader.next_packet()? {
            Ok(captured) => captured,
            Err(error) => {
                counters.unreadable = counters.unreadable.wrapping_add(1);
                return Some(unreadable(None, Some(error.into())));
            }
        };
        let network = captured.network();
        if let Err(error @ LinkError::Unsupported { link_type }) = network {
            counters.unreadable = counters.unreadable.wrapping_add(1);
            let problem = FrameError::Link { number: captured.number, error };
            let is_new = foreign_links.insert(link_type);
            return Some(unreadable(Some(captured), is_new.then_some(problem)));
        }
        let ip = network.ok().filter(|network| {
            // As a kernel does: a packet is what the link layer says, or nothing.
            let version = network.payload.first().map(|first| first >> 4);
            match network.ether_type {
                EtherType::IPV4 => version == Some(4),
                EtherType::IPV6 => version == Some(6),
                _ => false,
            }
        });
        Some(match ip {
            Some(ip) if goes_to(ip.payload, ports) => {
                counters.geneve = counters.geneve.wrapping_add(1);
                Frame::Geneve { captured, ip: ip.payload }
            }
            _ => {
                counters.other = counters.other.wrapping_add(1);
                Frame::Other { captured }
            }
        })
    }

    /// How many frames there were so far.
    pub const fn counters(&self) -> &FrameCounters {
        &self.counters
    }

    /// What was wrong with the first frames that could not be read.
    pub fn problems(&self) -> &[FrameError] {
        &self.problems
    }

    /// The same, to keep.
    pub fn into_problems(self) -> Vec<FrameError> {
        self.problems
    }
}

/// Whether an IP packet is a UDP datagram to one of these ports, as far as its headers were captured. Fragments after
/// the first have no ports.
fn goes_to(ip: &[u8], ports: &[u16]) -> bool {
    // Nearly all: no options, no fragment.
    if let [0x45, _, _, _, _, _, flags, 0, _, 17, _, _, _, _, _, _, _, _, _, _, _, _, a, b, ..] = ip
    {
        if flags & 0x3f == 0 {
            return ports.contains(&u16::from_be_bytes([*a, *b]));
        }
    }
    goes_to_any(ip, ports)
}

fn goes_to_any(ip: &[u8], ports: &[u16]) -> bool {
    let Ok(packet) = QuotedPacket::parse(ip) else { return false };
    packet.protocol() == IpProtocol::UDP
        && packet
            .five_tuple()
            .ok()
            .and_then(|tuple| tuple.ports)
            .is_some_and(|found| ports.contains(&found.destination))
}
