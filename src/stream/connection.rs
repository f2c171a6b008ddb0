use super::arrival::Way;
use super::glance::Usual;
use super::half::{Bits, Half};
use super::{Accepted, Arrival, Chunks, Edits, Gap, Pool};
use crate::packet::TcpSegment;
use crate::{Side, Timestamp};

/// Both directions of one TCP connection.
///
/// It has no heap of its own: bytes are in the [`Pool`], always the same one, and have to be
/// [given back](Self::close) to it before a connection is forgotten.
#[derive(Debug)]
pub struct Connection {
    client: Half,
    server: Half,
    /// Counts commits, so that what was considered before another one is not taken for news.
    pub(super) moment: u32,
    pub(super) is_midstream: bool,
    /// What most segments look like while both sides are in the middle of what they say: neither SYN nor FIN nor RST of
    /// theirs is of consequence.
    pub(super) usual: Usual,
}

impl Connection {
    /// A connection that is yet to be opened: its first segment is a SYN.
    pub const fn new() -> Self {
        Self {
            client: Half::new(),
            server: Half::new(),
            moment: 0,
            is_midstream: false,
            usual: Usual::UNKNOWN,
        }
    }

    /// A connection whose start was not seen. The stream of each side starts with the first segment that is seen of
    /// it; windows are taken to be scaled as far as can be (RFC 7323 §2.3); there may be [gaps](Arrival::Gap).
    pub const fn midstream() -> Self {
        Self { is_midstream: true, ..Self::new() }
    }

    /// A connection that was [opened](Self::new) and then forgotten before anybody said anything, but for the sequence
    /// numbers of the first byte of each side whose SYN was seen. What the SYNs offered is taken for as much as can be:
    /// windows that are scaled by the most, no time stamps to rely upon.
    pub fn resumed(client: Option<u32>, server: Option<u32>) -> Self {
        let half = |first: Option<u32>| first.map_or(Half::new(), Half::opened);
        let (mut client, server) = (half(client), half(server));
        if server.is(Bits::KNOWN) {
            client.bits = client.bits.with(Bits::CONFIRMED);
        }
        Self { client, server, ..Self::new() }
    }

    /// What a segment of a side is to this connection; changes nothing.
    ///
    /// The segment's checksum has been verified: receivers discard it otherwise. `now` is the time when it came.
    #[inline(always)]
    pub fn consider(
        &self,
        pool: &Pool,
        side: Side,
        segment: &TcpSegment<'_>,
        now: Timestamp,
    ) -> Arrival {
        match self.next_in_order(pool, side, segment, now) {
            Some(accepted) => Arrival::Accept(accepted),
            None => match self.look_at(pool, side, segment, now) {
                Ok(found) => Arrival::Accept(Accepted(Way::Any(found))),
                Err(refused) => refused.into(),
            },
        }
    }

    /// What [`consider`](Self::consider) accepts of most segments: one that is next in order while nothing waits for it, and
    /// that neither begins nor ends anything. No byte of it is compared, and none becomes contiguous but its own.
    #[inline(always)]
    pub(crate) fn next_in_order(
        &self,
        pool: &Pool,
        side: Side,
        segment: &TcpSegment<'_>,
        now: Timestamp,
    ) -> Option<Accepted> {
        let straight = self.glance(pool, side, segment, now)?;
        debug_assert_eq!(Ok(self.in_full(&straight)), self.look_at(pool, side, segment, now));
        Some(Accepted(Way::Straight(straight)))
    }

    /// The bytes that become contiguous with a segment, in order: those of its `payload`, without a copy, and those
    /// behind them that had come before. Together they are [`Accepted::fresh`].
    ///
    /// Where the payload has other bytes than those remembered, these are the remembered ones, also while they are
    /// not written over the payload yet.
    #[inline(always)]
    pub fn chunks<'a>(
        &'a self,
        pool: &'a Pool,
        accepted: &Accepted,
        payload: &'a [u8],
    ) -> Chunks<'a> {
        Chunks::new(self, pool, accepted, payload)
    }

    /// What has to be written over the payload before it is forwarded; nothing unless
    /// [`Accepted::is_edited`]. An edit is as long as bytes differ in one block of memory, so there may be many.
    pub fn edits<'a>(
        &'a self,
        pool: &'a Pool,
        accepted: &Accepted,
        payload: &'a [u8],
    ) -> Edits<'a> {
        Edits::new(self, pool, accepted, payload)
    }

    /// Takes a segment in that is being forwarded: new bytes are remembered, acknowledged ones of the other side are
    /// forgotten. `payload` is what is forwarded, edited or not: if its bytes are others than those that were judged,
    /// because something rewrote them, they are what retransmissions will be compared with.
    ///
    /// `false` where it was considered in another state of the connection, or where other connections have taken the
    /// memory since: then nothing has changed, and it must not be forwarded.
    #[must_use]
    #[inline(always)]
    pub fn commit(&mut self, pool: &mut Pool, accepted: &Accepted, payload: &[u8]) -> bool {
        match accepted.0 {
            Way::Straight(straight) => self.take_straight(pool, &straight, payload),
            Way::Any(found) => self.take_any(pool, found, payload),
        }
    }

    /// Goes on behind a gap: the stream continues at its end, with [`Accepted::fresh`] and [`Chunk::offset`] counting
    /// its bytes. Considered again, the segment that told of the gap is accepted.
    ///
    /// What came past out of order and becomes contiguous is not told in chunks; it is counted in the gap. Comes back
    /// whether the stream ends with the gap.
    ///
    /// [`Chunk::offset`]: super::Chunk::offset
    pub fn skip(&mut self, pool: &mut Pool, gap: Gap) -> bool {
        self.moment = self.moment.wrapping_add(1);
        let half = self.half_mut(gap.side);
        if gap.offset == half.next as u64 {
            half.next = half.next.saturating_add_unsigned(gap.len);
            half.acked = gap.acked;
            half.store.forget(pool, gap.acked);
        }
        half.fin == half.next
    }

    /// From now on segments may have been let past unseen: what would have been
    /// [discarded](super::Discard::Acknowledgment) as an acknowledgment of what was never sent is a [gap](Arrival::Gap).
    pub fn allow_gaps(&mut self) {
        self.is_midstream = true;
    }

    /// From now on the bytes of a side are of no interest: they are neither remembered nor compared nor told in
    /// chunks, and cost no memory. Sequence numbers are followed on.
    pub fn ignore(&mut self, pool: &mut Pool, side: Side) {
        self.moment = self.moment.wrapping_add(1);
        let half = self.half_mut(side);
        half.next = half.high();
        half.store.clear(pool);
        half.bits = half.bits.with(Bits::IGNORED);
        self.usual = Usual::UNKNOWN;
    }

    /// Gives all memory back. To be called before a connection is dropped; afterwards it is as [new](Self::new).
    pub fn close(&mut self, pool: &mut Pool) {
        for side in Side::ALL {
            self.half_mut(side).store.clear(pool);
        }
        *self = Self::new();
    }

    /// The sequence number of the next byte in order of a side: where a RST in its name is valid. `None` where nothing
    /// was seen of it.
    pub fn next_sequence_number(&self, side: Side) -> Option<u32> {
        let half = self.half(side);
        half.is(Bits::KNOWN).then(|| half.number_of(half.top()))
    }

    /// The offset of the next byte in order of a side: how many bytes of it were forwarded.
    pub fn next_offset(&self, side: Side) -> u64 {
        self.half(side).next as u64
    }

    /// Whether there is nothing more to come: one end has reset the connection, or both have sent their FIN and have
    /// it acknowledged.
    pub fn is_over(&self) -> bool {
        let (client, server) = (&self.client, &self.server);
        let is_reset = client.is(Bits::RESET) || server.is(Bits::RESET);
        is_reset || (client.is(Bits::FIN_ACKED) && server.is(Bits::FIN_ACKED))
    }

    /// Whether both ends are known to take part, each having acknowledged something of the other's, its SYN at least, and
    /// it is not [over](Self::is_over): not half-open. Nobody can bring that about from an address that is not his.
    #[inline]
    pub fn is_under_way(&self) -> bool {
        self.is_steady() || self.is_confirmed()
    }

    fn is_confirmed(&self) -> bool {
        Side::ALL.into_iter().all(|side| self.half(side).is(Bits::CONFIRMED)) && !self.is_over()
    }

    /// What has to be remembered of it for it to be forgotten and [resumed](Self::resumed): the sequence numbers of the first
    /// bytes of client and server, where their SYNs were seen. `None` where there is more to it: somebody has said something,
    /// there was another SYN than the one, or it was not seen from its start.
    pub fn beginnings(&self) -> Option<(Option<u32>, Option<u32>)> {
        let (client, server) = (&self.client, &self.server);
        let is_silent = client.is_silent() && server.is_silent() && !self.is_midstream;
        let is_answered = !server.is(Bits::KNOWN) || client.is(Bits::CONFIRMED);
        (is_silent && is_answered).then(|| {
            let first = |side| self.next_sequence_number(side);
            (first(Side::Client), first(Side::Server))
        })
    }

    #[inline]
    pub(super) const fn half(&self, side: Side) -> &Half {
        match side {
            Side::Client => &self.client,
            Side::Server => &self.server,
        }
    }

    const fn half_mut(&mut self, side: Side) -> &mut Half {
        match side {
            Side::Client => &mut self.client,
            Side::Server => &mut self.server,
        }
    }

    /// That of a side, that of the other one, and the count of commits.
    #[inline(always)]
    pub(super) const fn parts_mut(&mut self, side: Side) -> (&mut Half, &mut Half, &mut u32) {
        let Self { client, server, moment, .. } = self;
        match side {
            Side::Client => (client, server, moment),
            Side::Server => (server, client, moment),
        }
    }

    /// That of a side, and that of the other one.
    #[inline]
    pub(super) const fn halves_mut(&mut self, side: Side) -> (&mut Half, &mut Half) {
        match side {
            Side::Client => (&mut self.client, &mut self.server),
            Side::Server => (&mut self.server, &mut self.client),
        }
    }
}

impl Default for Connection {
    fn default() -> Self {
        Self::new()
    }
}
