use core::net::Ipv4Addr;

use super::burst::{Buffer, Burst, Datagram};
use super::frame::{FrameHeads, HEAD, frame_head};
use super::next_hop::{Ends, Hop};
use super::{HEADROOM, Way};
use crate::gwlb::{OUTER_HEADER_LEN, Reply, ReplyPolicy};

/// What is to be sent, in order, and where its headers are written.
#[derive(Debug, Default)]
pub(super) struct Outbox {
    runs: Vec<Run>,
    /// Bytes of packets that were not received, each behind room for its headers.
    copies: Vec<u8>,
    /// Their headers.
    copied_heads: Vec<[u8; OUTER_HEADER_LEN]>,
    /// Headers of what has no room in front of it.
    heads: Vec<[u8; HEAD]>,
    frame_heads: FrameHeads,
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
    /// How it leaves, since its [headers were written](Outbox::write_head).
    pub(super) way: Way,
    head: Head,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Source {
    /// A buffer of the burst, by its number.
    Received(usize),
    /// The copies. It has outer headers already: which ones.
    Injected(usize),
}

/// Where the headers of a run are.
#[derive(Clone, Copy, Debug)]
enum Head {
    /// Nowhere, so it cannot be sent.
    Missing,
    /// So many bytes in front of the payload.
    InPlace(usize),
    /// Elsewhere: which one, and its length.
    Apart(usize, usize),
}

impl Outbox {
    pub(super) fn clear(&mut self) {
        self.runs.clear();
        self.copies.clear();
        self.copied_heads.clear();
        self.heads.clear();
    }

    pub(super) fn is_empty(&self) -> bool {
        self.runs.is_empty()
    }

    pub(super) fn runs(&self) -> &[Run] {
        &self.runs
    }

    /// A datagram of the burst is to be sent, with `len` bytes of its buffer.
    #[inline]
    pub(super) fn forward(&mut self, datagram: Datagram, buffer: &Buffer, len: usize) {
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
            way: Way::Raw,
            head: Head::Missing,
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
            source: Source::Injected(self.copied_heads.len()),
            start,
            end,
            size: end.saturating_sub(start),
            free: HEADROOM,
            datagrams: 1,
            is_open: false,
            ends: (outer.source, outer.destination),
            way: Way::Raw,
            head: Head::Missing,
        });
        self.copied_heads.push(*reply.outer_headers());
    }

    /// Puts the datagrams of a run, each as one, in its place.
    #[cold]
    pub(super) fn take_apart(&mut self, number: usize) {
        if let Some(run) = self.runs.get(number).copied() {
            self.runs.splice(number..=number, run.singles());
        }
    }

    /// Writes the headers of a run, by a policy that is always the same, for the way over `hop`, or for the raw socket where there is none: whether that can
    /// be, as an IPv4 packet is only so long.
    #[inline]
    pub(super) fn write_head(
        &mut self,
        number: usize,
        hop: Option<&Hop>,
        burst: &Burst,
        policy: &ReplyPolicy,
        received: &mut [u8],
    ) -> bool {
        let Self { runs, copies, copied_heads, heads, frame_heads } = self;
        let Some(run) = runs.get_mut(number) else { return false };
        let head = match (hop, run.source) {
            (Some(hop), Source::Received(buffer)) => burst.buffer(buffer).and_then(|buffer| {
                frame_heads.answer(hop, &buffer.outer, run.bytes(), run.train(), policy)
            }),
            (Some(hop), Source::Injected(number)) => copied_heads
                .get(number)
                .map(|headers| frame_head(hop, *headers, run.ends, run.train())),
            (None, source) => match source {
                Source::Received(buffer) => burst
                    .buffer(buffer)
                    .zip(received.get(run.start..run.end))
                    .and_then(|(buffer, payload)| {
                        Reply::new(&buffer.outer, payload, &[], policy).ok()
                    })
                    .map(|reply| padded(reply.outer_headers())),
                Source::Injected(number) => copied_heads.get(number).map(padded),
            },
        };
        let len = if hop.is_some() { HEAD } else { OUTER_HEADER_LEN };
        run.way = if hop.is_some() { Way::Packet } else { Way::Raw };
        run.head = Head::Missing;
        let Some(head) = head else { return false };
        if run.free < len {
            run.head = Head::Apart(heads.len(), len);
            heads.push(head);
            return true;
        }
        let memory = match run.source {
            Source::Received(_) => received,
            Source::Injected(_) => copies.as_mut_slice(),
        };
        let Some(before) = memory.get_mut(..run.start) else { return false };
        let written = match run.way {
            Way::Packet => before.last_chunk_mut().map(|place| *place = head),
            Way::Raw => before
                .last_chunk_mut::<OUTER_HEADER_LEN>()
                .zip(head.last_chunk())
                .map(|(place, head)| *place = *head),
        };
        if written.is_none() {
            return false;
        }
        run.head = Head::InPlace(len);
        true
    }

    /// The bytes of a run with its headers, of which the second part may be empty.
    #[inline]
    pub(super) fn parts<'a>(&'a self, run: &Run, received: &'a [u8]) -> [&'a [u8]; 2] {
        let memory = match run.source {
            Source::Received(_) => received,
            Source::Injected(_) => &self.copies,
        };
        let &Run { start, end, .. } = run;
        match run.head {
            Head::InPlace(len) => {
                [memory.get(start.saturating_sub(len)..end).unwrap_or_default(), &[]]
            }
            Head::Apart(number, len) => {
                let head = self.heads.get(number).map_or(&[][..], |head| head);
                let head = head.get(HEAD.saturating_sub(len)..).unwrap_or_default();
                [head, memory.get(start..end).unwrap_or_default()]
            }
            Head::Missing => [&[], &[]],
        }
    }

    /// A run for the raw socket cut up for an interface with this MTU: IP packets that are its fragments.
    ///
    /// Their identification is `id`, which must not be 0, and DF is clear.
    pub(super) fn fragments(
        &self,
        run: &Run,
        received: &[u8],
        mtu: usize,
        id: u16,
    ) -> Vec<Vec<u8>> {
        let [head, payload] = self.parts(run, received);
        let packet = [head, payload].concat();
        fragments(&packet, mtu, id).unwrap_or_default()
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

    /// Whether its headers could be written.
    pub(super) const fn has_head(&self) -> bool {
        !matches!(self.head, Head::Missing)
    }

    /// The size of its datagrams, if there are several.
    fn train(&self) -> Option<u16> {
        if self.datagrams > 1 { u16::try_from(self.size).ok() } else { None }
    }

    /// Its datagrams, each as a run.
    fn singles(self) -> impl Iterator<Item = Self> {
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

/// The headers of a packet for the raw socket, where those of a frame would end.
fn padded(headers: &[u8; OUTER_HEADER_LEN]) -> [u8; HEAD] {
    let mut head = [0; HEAD];
    if let Some(place) = head.last_chunk_mut() {
        *place = *headers;
    }
    head
}

/// RFC 791 §3.2. The kernel sums up the headers.
fn fragments(packet: &[u8], mtu: usize, id: u16) -> Option<Vec<Vec<u8>>> {
    const IP: usize = OUTER_HEADER_LEN - 8;
    const MORE: u16 = 0x2000;
    let (header, data) = packet.split_first_chunk::<IP>()?;
    // But for the last, multiples of eight bytes.
    let most = (mtu.checked_sub(IP)? & !7).max(8);
    let count = data.len().div_ceil(most);
    let fragment = |(number, part): (usize, &[u8])| {
        let is_last = number.saturating_add(1) == count;
        let eights = u16::try_from(number.saturating_mul(most) / 8).ok()?;
        let [f0, f1] = (eights | if is_last { 0 } else { MORE }).to_be_bytes();
        let [l0, l1] = u16::try_from(IP.checked_add(part.len())?).ok()?.to_be_bytes();
        let [i0, i1] = id.to_be_bytes();
        let mut bytes = [&header[..], part].concat();
        if let [_, _, fields @ ..] = bytes.as_mut_slice() {
            *fields.first_chunk_mut::<6>()? = [l0, l1, i0, i1, f0, f1];
        }
        Some(bytes)
    };
    data.chunks(most).enumerate().map(fragment).collect()
}
