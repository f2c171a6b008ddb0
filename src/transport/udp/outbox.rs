use core::net::Ipv4Addr;

use super::burst::{Buffer, Burst};
use super::next_hop::{Ends, Hop};
use super::{HEADROOM, Way};
use crate::gwlb::{OUTER_HEADER_LEN, Reply, ReplyPolicy};
use crate::packet::{Checksum, IpProtocol};

/// What is to be sent, in order, and where its headers are written.
#[derive(Debug, Default)]
pub(super) struct Outbox {
    runs: Vec<Run>,
    /// Bytes of packets that were not received, each behind room for its headers.
    copies: Vec<u8>,
    /// Headers of what has no room in front of it.
    heads: Vec<[u8; HEAD]>,
}

/// Datagrams that lie one behind the other and have one length, but for the last, which may be shorter; or a single one.
#[derive(Clone, Copy, Debug)]
pub(super) struct Run {
    source: Source,
    /// Of the first payload, in the memory that `source` says.
    start: usize,
    end: usize,
    /// Bytes of each payload but perhaps the last.
    pub(super) size: usize,
    /// Bytes in front of it that are nobody's.
    free: usize,
    pub(super) datagrams: usize,
    /// What lies behind it may be added to it.
    is_open: bool,
    /// Who sends it to whom.
    pub(super) ends: Ends,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Source {
    /// A buffer of the burst, by its number.
    Received(usize),
    /// The copies. It has outer headers already.
    Injected([u8; OUTER_HEADER_LEN]),
}

/// A message for a socket.
#[derive(Clone, Copy, Debug)]
pub(super) struct Piece {
    pub(super) run: Run,
    pub(super) way: Way,
    head: Head,
}

#[derive(Clone, Copy, Debug)]
enum Head {
    /// So many bytes in front of the payload.
    InPlace(usize),
    /// Elsewhere: which one, and its length.
    Apart(usize, usize),
}

/// `struct virtio_net_hdr`, Ethernet, IPv4 and UDP headers.
pub(super) const HEAD: usize = VIRTIO + ETHERNET + OUTER_HEADER_LEN;
const VIRTIO: usize = 10;
const ETHERNET: usize = 14;

impl Outbox {
    pub(super) fn clear(&mut self) {
        self.runs.clear();
        self.copies.clear();
        self.heads.clear();
    }

    pub(super) fn is_empty(&self) -> bool {
        self.runs.is_empty()
    }

    pub(super) fn runs(&self) -> &[Run] {
        &self.runs
    }

    /// Datagram `number` of the burst is to be sent, with `len` bytes of its buffer.
    #[inline]
    pub(super) fn forward(&mut self, burst: &Burst, number: usize, len: usize) {
        let Some((datagram, buffer)) = burst.datagram(number) else { return };
        let source = Source::Received(datagram.buffer);
        let end = datagram.start.saturating_add(len);
        let before = match self.runs.last_mut() {
            Some(run) if run.source == source && run.is_open && run.end == datagram.start => {
                if len <= run.size {
                    run.end = end;
                    run.datagrams = run.datagrams.saturating_add(1);
                    run.is_open = len == run.size;
                    return;
                }
                Some(run.end)
            }
            Some(run) if run.source == source => Some(run.end),
            Some(run) => match run.source {
                Source::Received(_) => None,
                Source::Injected(_) => self.end_in_buffer(source),
            },
            None => None,
        };
        let begin = before.unwrap_or(buffer.start.saturating_sub(HEADROOM));
        self.runs.push(Run {
            source,
            start: datagram.start,
            end,
            size: len,
            free: datagram.start.saturating_sub(begin),
            datagrams: 1,
            is_open: len == buffer.size && len > 0,
            ends: (buffer.outer.destination, buffer.outer.source),
        });
    }

    /// A packet of one's own, which is copied.
    pub(super) fn inject(&mut self, reply: &Reply<'_>) {
        let [_, geneve, inner] = reply.parts();
        let start = self.copies.len().saturating_add(HEADROOM);
        self.copies.resize(start, 0);
        self.copies.extend_from_slice(geneve);
        self.copies.extend_from_slice(inner);
        let end = self.copies.len();
        let outer = reply.outer();
        self.runs.push(Run {
            source: Source::Injected(*reply.outer_headers()),
            start,
            end,
            size: end.saturating_sub(start),
            free: HEADROOM,
            datagrams: 1,
            is_open: false,
            ends: (outer.source, outer.destination),
        });
    }

    /// Writes the headers of a run for the way over `hop`, or for the raw socket where there is none. `None` where an IPv4
    /// packet cannot be that long.
    #[inline]
    pub(super) fn piece(
        &mut self,
        run: Run,
        hop: Option<&Hop>,
        burst: &Burst,
        policy: &ReplyPolicy,
        received: &mut [u8],
    ) -> Option<Piece> {
        let memory = match run.source {
            Source::Received(_) => &*received,
            Source::Injected(_) => &self.copies,
        };
        let headers = match run.source {
            Source::Received(buffer) => {
                let Buffer { outer, .. } = burst.buffer(buffer)?;
                let payload = memory.get(run.start..run.end)?;
                let policy = match hop {
                    // The card sees to it.
                    Some(_) => ReplyPolicy { checksum: crate::gwlb::UdpChecksum::Zero, ..*policy },
                    None => *policy,
                };
                *Reply::new(outer, payload, &[], &policy).ok()?.outer_headers()
            }
            Source::Injected(headers) => headers,
        };
        let (way, head, len) = match hop {
            Some(hop) => (Way::Packet, frame_head(hop, headers, &run), HEAD),
            None => {
                let mut head = [0; HEAD];
                if let Some(place) = head.last_chunk_mut() {
                    *place = headers;
                }
                (Way::Raw, head, OUTER_HEADER_LEN)
            }
        };
        let head_bytes = head.get(HEAD.saturating_sub(len)..)?;
        if run.free < len {
            self.heads.push(head);
            let head = Head::Apart(self.heads.len().saturating_sub(1), len);
            return Some(Piece { run, way, head });
        }
        let memory = match run.source {
            Source::Received(_) => received,
            Source::Injected(_) => &mut self.copies,
        };
        memory.get_mut(run.start.checked_sub(len)?..run.start)?.copy_from_slice(head_bytes);
        Some(Piece { run, way, head: Head::InPlace(len) })
    }

    /// The bytes of a piece, of which the second part may be empty.
    #[inline]
    pub(super) fn parts<'a>(&'a self, piece: &Piece, received: &'a [u8]) -> [&'a [u8]; 2] {
        let memory = match piece.run.source {
            Source::Received(_) => received,
            Source::Injected(_) => &self.copies,
        };
        let Run { start, end, .. } = piece.run;
        match piece.head {
            Head::InPlace(len) => {
                [memory.get(start.saturating_sub(len)..end).unwrap_or_default(), &[]]
            }
            Head::Apart(number, len) => {
                let head = self.heads.get(number).map_or(&[][..], |head| head);
                let head = head.get(HEAD.saturating_sub(len)..).unwrap_or_default();
                [head, memory.get(start..end).unwrap_or_default()]
            }
        }
    }

    /// Where the last run of a buffer ends, over what was injected since.
    fn end_in_buffer(&self, source: Source) -> Option<usize> {
        let mut earlier = self.runs.iter().rev();
        let run = earlier.find(|run| matches!(run.source, Source::Received(_)))?;
        (run.source == source).then_some(run.end)
    }
}

impl Run {
    /// Bytes of all payloads.
    pub(super) fn bytes(&self) -> usize {
        self.end.saturating_sub(self.start)
    }

    /// Bytes of the longest IP packet of it.
    pub(super) fn longest(&self) -> usize {
        self.size.saturating_add(OUTER_HEADER_LEN)
    }

    /// Its datagrams, each as a run.
    pub(super) fn singles(self) -> impl Iterator<Item = Self> {
        let starts = (self.start..).step_by(self.size.max(1)).take(self.datagrams);
        starts.map(move |start| {
            let end = start.saturating_add(self.size).min(self.end);
            let size = end.saturating_sub(start);
            let free = if start == self.start { self.free } else { 0 };
            Self { start, end, size, free, datagrams: 1, ..self }
        })
    }

    pub(super) fn to(&self) -> Ipv4Addr {
        self.ends.1
    }
}

/// The headers of a frame, whose checksum is left to the card and whose datagrams are to be cut apart.
fn frame_head(hop: &Hop, mut headers: [u8; OUTER_HEADER_LEN], run: &Run) -> [u8; HEAD] {
    const NEEDS_CSUM: u8 = 1;
    const GSO_UDP_L4: u8 = 5;
    const IP_AT: u16 = 14;
    const UDP_AT: u16 = IP_AT + 20;
    const CHECKSUM_IN_UDP: u16 = 6;

    let [.., udp0, udp1, sum0, sum1] = &mut headers;
    let mut sum = Checksum::new();
    let (from, to) = run.ends;
    let udp_len = u16::from_be_bytes([*udp0, *udp1]);
    sum.add_pseudo_header_v4(from, to, IpProtocol::UDP, udp_len);
    // Who fills in the checksum starts from this sum, not from its complement.
    [*sum0, *sum1] = (!sum.finish()).to_be_bytes();

    let is_train = run.datagrams > 1;
    let size = if is_train { u16::try_from(run.size).unwrap_or(0) } else { 0 };
    // `struct virtio_net_hdr` in the machine's own byte order: flags, kind, bytes of headers, of each payload, where the
    // checksum begins to count, and where from there it goes.
    let [h0, h1] = (UDP_AT + 8).to_ne_bytes();
    let [s0, s1] = size.to_ne_bytes();
    let [c0, c1] = UDP_AT.to_ne_bytes();
    let [o0, o1] = CHECKSUM_IN_UDP.to_ne_bytes();
    let kind = if is_train { GSO_UDP_L4 } else { 0 };
    let virtio: [u8; VIRTIO] = [NEEDS_CSUM, kind, h0, h1, s0, s1, c0, c1, o0, o1];

    let mut head = [0; HEAD];
    let parts = [&virtio[..], &hop.to, &hop.from, &[0x08, 0x00], &headers];
    let mut rest = head.as_mut_slice();
    for part in parts {
        let Some((place, behind)) = rest.split_at_mut_checked(part.len()) else { break };
        place.copy_from_slice(part);
        rest = behind;
    }
    head
}
