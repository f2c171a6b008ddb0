use core::time::Duration;

use super::sys::Message;
use super::{Origins, TransportCounters};
use crate::Timestamp;
use crate::gwlb::Outer;
use crate::transport::Frame;

/// The datagrams that were received together.
#[derive(Debug, Default)]
pub(super) struct Burst {
    time: Timestamp,
    buffers: Vec<Buffer>,
    datagrams: Vec<Datagram>,
}

/// What the datagrams of a buffer have in common: mostly there is but one.
#[derive(Clone, Copy, Debug)]
pub(super) struct Buffer {
    pub(super) outer: Outer,
    /// Where its bytes begin.
    pub(super) start: usize,
    /// The length of its datagrams. The last may be shorter.
    pub(super) size: usize,
}

#[derive(Clone, Copy, Debug)]
pub(super) struct Datagram {
    /// Its buffer, by its number.
    pub(super) buffer: usize,
    /// Where its payload begins in the memory.
    pub(super) start: usize,
    pub(super) len: usize,
}

/// How control messages are to be understood.
#[derive(Clone, Debug)]
pub(super) struct Intake {
    pub(super) origins: Origins,
    /// Where datagrams were sent to; the control message knows the address better, if there is one.
    pub(super) local: (core::net::Ipv4Addr, u16),
    /// When it was last said that datagrams are refused.
    pub(super) told: Option<Timestamp>,
}

impl Intake {
    /// Says once a minute from where datagrams come that nobody looks at: often the mistake is in what is allowed.
    #[cold]
    fn refuse(&mut self, outer: &Outer, now: Timestamp) {
        const MINUTE: Duration = Duration::from_secs(60);

        if self.told.is_none_or(|told| now.saturating_since(told) >= MINUTE) {
            self.told = Some(now);
            let (from, to) = (outer.source, outer.destination);
            tracing::warn!(%from, %to, "datagrams are dropped: not from an allowed network, or not to an address of one's own");
        }
    }
}

impl Burst {
    pub(super) fn begin(&mut self, time: Timestamp) {
        self.time = time;
        self.buffers.clear();
        self.datagrams.clear();
    }

    pub(super) fn len(&self) -> usize {
        self.datagrams.len()
    }

    /// Takes in a message, unless nobody may have it.
    #[inline]
    pub(super) fn add(
        &mut self,
        message: &Message<'_>,
        intake: &mut Intake,
        counters: &mut TransportCounters,
    ) {
        let mut outer = Outer::new((*message.from.ip(), message.from.port()), intake.local);
        outer.ttl = 0;
        let mut size = message.len;
        // Nobody answers to a broadcast.
        let mut is_own = true;
        for (level, kind, data) in message.controls() {
            let [a, b, c, d, ..] = data;
            let value = i32::from_ne_bytes([a, b, c, d]);
            match (level, kind) {
                (libc::SOL_UDP, libc::UDP_GRO) => size = usize::try_from(value).unwrap_or(size),
                (libc::IPPROTO_IP, libc::IP_PKTINFO) => {
                    // `struct in_pktinfo`: interface, the address to answer from, the address that it was sent to.
                    let [_, _, _, _, e, f, g, h, a, b, c, d, ..] = data;
                    outer.destination = [a, b, c, d].into();
                    is_own &= [a, b, c, d] == [e, f, g, h];
                }
                (libc::IPPROTO_IP, libc::IP_TOS) => outer.tos = a,
                (libc::IPPROTO_IP, libc::IP_TTL) => outer.ttl = u8::try_from(value).unwrap_or(0),
                _ => {}
            }
        }
        let size = size.clamp(1, message.len.max(1));
        // Mostly there is one, and it need not be divided for that.
        let count = if size >= message.len { 1 } else { message.len.div_ceil(size) };
        if message.is_cut_off {
            counters.too_long = counters.too_long.saturating_add(1);
            return;
        }
        let count_u64 = u64::try_from(count).unwrap_or(0);
        // What seems to come from here would be answered to here, for ever.
        is_own &= outer.source != outer.destination;
        if !is_own || !intake.origins.contain(outer.source) {
            counters.foreign_origin = counters.foreign_origin.saturating_add(count_u64);
            intake.refuse(&outer, self.time);
            return;
        }
        counters.received = counters.received.saturating_add(count_u64);
        let bytes = u64::try_from(message.len).unwrap_or(0);
        counters.received_bytes = counters.received_bytes.saturating_add(bytes);
        let buffer = self.buffers.len();
        self.buffers.push(Buffer { outer, start: message.start, size });
        let mut start = message.start;
        let mut left = message.len;
        for _ in 0..count {
            let len = size.min(left);
            self.datagrams.push(Datagram { buffer, start, len });
            start = start.saturating_add(len);
            left = left.saturating_sub(len);
        }
    }

    #[inline]
    pub(super) fn datagram(&self, number: usize) -> Option<(Datagram, &Buffer)> {
        let datagram = *self.datagrams.get(number)?;
        Some((datagram, self.buffers.get(datagram.buffer)?))
    }

    pub(super) fn buffer(&self, number: usize) -> Option<&Buffer> {
        self.buffers.get(number)
    }

    /// That of each buffer.
    pub(super) fn types_of_service(&self) -> impl Iterator<Item = u8> {
        self.buffers.iter().map(|buffer| buffer.outer.tos)
    }

    /// Lends out datagrams in their buffers, with `room` bytes behind each.
    pub(super) fn frames<'a>(
        &'a self,
        numbers: core::ops::Range<usize>,
        bytes: &'a mut [u8],
        room: usize,
    ) -> impl Iterator<Item = Frame<'a>> {
        let end = numbers.end.min(self.datagrams.len());
        let datagrams = self.datagrams.get(numbers.start..end).unwrap_or_default();
        let (mut rest, mut at) = (bytes, 0_usize);
        datagrams.iter().map_while(move |datagram| {
            // They lie one behind the other.
            let (_, from) =
                core::mem::take(&mut rest).split_at_mut_checked(datagram.start.checked_sub(at)?)?;
            let with_room = datagram.len.saturating_add(room);
            let (buffer, behind) = from.split_at_mut_checked(with_room)?;
            rest = behind;
            at = datagram.start.saturating_add(with_room);
            let outer = self.buffers.get(datagram.buffer)?.outer;
            Some(Frame { time: self.time, outer, buffer, len: datagram.len })
        })
    }
}
