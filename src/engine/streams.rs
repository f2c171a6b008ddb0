use alloc::vec::Vec;
use core::mem::size_of;

use super::EngineError;
use super::defrag::Fragments;
use super::settings::Settings;
use crate::inspect::Interest;
use crate::packet::TcpSegment;
use crate::protocol::{Progress, Room, Session};
use crate::stream::{Arrival, Connection, Pool};
use crate::{Side, Timestamp, protocol};

/// The flows whose bytes are put in order, and the memory for that.
///
/// A flow names what is remembered of it by a small number, and gives it back when it ends.
#[derive(Debug)]
pub(super) struct Streams {
    entries: Vec<Entry>,
    free: Vec<Place>,
    most: usize,
    messages: protocol::Limits,
    pub(super) fragments: Fragments,
    pub(super) pool: Pool,
    pub(super) room: Room,
    /// A connection whose flow has begun anew.
    heir: Option<Connection>,
    room_bytes: usize,
}

/// Where the entry of a flow is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Place(u32);

impl Place {
    /// None: each datagram is looked at by itself.
    pub(super) const DATAGRAMS: Self = Self(u32::MAX);

    const fn index(self) -> usize {
        self.0 as usize
    }
}

/// What is held to put bytes in order.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct StreamUse {
    /// Connections that are followed, of [`StreamLimits::connections`](crate::stream::StreamLimits::connections).
    pub connections: usize,
    /// Bytes of theirs that wait for others, or are not acknowledged, of
    /// [`StreamLimits::bytes`](crate::stream::StreamLimits::bytes).
    pub bytes: usize,
    /// Bytes of datagrams in fragments that are not whole, of
    /// [`DefragLimits::bytes`](crate::stream::defrag::DefragLimits::bytes).
    pub fragment_bytes: usize,
    /// Bytes of messages that are not whole, of [`message_bytes`](super::Settings::message_bytes).
    pub message_bytes: usize,
}

/// One connection.
#[derive(Debug)]
pub(super) struct Entry {
    pub(super) connection: Connection,
    /// Where messages are wanted and there may be more to tell.
    pub(super) session: Option<Session>,
    /// What inspectors want of it.
    pub(super) wants: Interest,
    /// Whether somebody was told of a message.
    pub(super) had_message: bool,
    /// Whether some of its bytes were never seen.
    pub(super) had_gap: bool,
    /// Whether the connection was taken over from the flow before, with the packet at hand.
    pub(super) is_heir: bool,
}

impl Streams {
    /// With memory as the settings say, and for no more connections than there can be flows.
    pub(super) fn new(settings: &Settings, flows: usize) -> Result<Self, EngineError> {
        let most = Self::most(settings, flows);
        let (mut entries, mut free) = (Vec::new(), Vec::new());
        entries.try_reserve_exact(most).map_err(EngineError::from)?;
        free.try_reserve_exact(most).map_err(EngineError::from)?;
        Ok(Self {
            entries,
            free,
            most,
            messages: settings.messages,
            fragments: Fragments::new(settings)?,
            pool: Pool::new(settings.streams)?,
            room: Room::new(settings.message_bytes),
            heir: None,
            room_bytes: settings.message_bytes,
        })
    }

    /// Bytes that such a one never exceeds.
    pub(super) fn bytes(settings: &Settings, flows: usize) -> usize {
        Self::most(settings, flows)
            .saturating_mul(size_of::<Entry>().saturating_add(size_of::<Place>()))
            .saturating_add(settings.streams.bytes)
            .saturating_add(Fragments::bytes(settings))
            .saturating_add(settings.message_bytes)
    }

    fn most(settings: &Settings, flows: usize) -> usize {
        settings.streams.connections.min(flows).min(Place::DATAGRAMS.index())
    }

    /// Begins to follow a connection, if there is room for one more.
    pub(super) fn begin(
        &mut self,
        mut connection: Connection,
        is_heir: bool,
        wants: Interest,
        server_port: Option<u16>,
    ) -> Option<Place> {
        if self.free.is_empty() && self.entries.len() >= self.most {
            connection.close(&mut self.pool);
            return None;
        }
        let is_read = wants.intersects(Interest::MESSAGES);
        let session = is_read.then(|| Session::tcp(server_port, self.messages));
        let had_message = false;
        let entry = Entry { connection, session, wants, had_message, had_gap: false, is_heir };
        if let Some(place) = self.free.pop() {
            *self.entries.get_mut(place.index())? = entry;
            return Some(place);
        }
        let place = Place(u32::try_from(self.entries.len()).ok()?);
        self.entries.push(entry);
        Some(place)
    }

    /// Lets the flow that is to begin have the connection of one that ends.
    pub(super) fn bequeath(&mut self, place: Place) {
        if let Some(entry) = self.entries.get_mut(place.index()) {
            self.heir = Some(core::mem::take(&mut entry.connection));
        }
    }

    /// The connection of the flow before, if it is one that goes on with a segment.
    pub(super) fn inherit(
        &mut self,
        side: Side,
        segment: &TcpSegment<'_>,
        now: Timestamp,
    ) -> Option<Connection> {
        let mut heir = self.heir.take()?;
        match heir.consider(&self.pool, side, segment, now) {
            Arrival::Accept(accepted) if accepted.reopens() => Some(heir),
            _ => {
                heir.close(&mut self.pool);
                None
            }
        }
    }

    /// Forgets the connection of the flow before, where no flow has begun.
    pub(super) fn forget_heir(&mut self) {
        if let Some(mut heir) = self.heir.take() {
            heir.close(&mut self.pool);
        }
    }

    /// Forgets a connection, and gives back all that it had.
    pub(super) fn end(&mut self, place: Place) {
        let Some(entry) = self.entries.get_mut(place.index()) else { return };
        entry.connection.close(&mut self.pool);
        if let Some(mut session) = entry.session.take() {
            session.close(&mut self.room);
        }
        self.free.push(place);
    }

    /// An entry, and the memory that all share.
    #[inline]
    pub(super) fn get_mut(&mut self, place: Place) -> Option<(&mut Entry, &mut Pool, &mut Room)> {
        Some((self.entries.get_mut(place.index())?, &mut self.pool, &mut self.room))
    }

    /// Connections that are followed.
    pub(super) fn len(&self) -> usize {
        self.entries.len().saturating_sub(self.free.len())
    }

    /// Bytes of messages that are not whole.
    pub(super) const fn gathered(&self) -> usize {
        self.room_bytes.saturating_sub(self.room.left())
    }
}

impl Entry {
    /// Notes what is still wanted: what nobody wants any more costs nothing from here on. Says whether there is anything left.
    pub(super) fn narrow(&mut self, wants: Interest, pool: &mut Pool, room: &mut Room) -> bool {
        self.wants = wants.without(Interest::ALL.without(self.wants));
        let is_over = |session: &Session| session.progress() != Progress::More;
        if !self.wants.intersects(Interest::MESSAGES) || self.session.as_ref().is_some_and(is_over)
        {
            if let Some(mut session) = self.session.take() {
                session.close(room);
            }
        }
        if self.wants.contains(Interest::STREAM) {
            return true;
        }
        let Some(session) = &self.session else { return false };
        for side in Side::ALL.into_iter().filter(|side| !session.wants(*side)) {
            self.connection.ignore(pool, side);
        }
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stream::StreamLimits;

    fn streams(connections: usize) -> Streams {
        let streams = StreamLimits { connections, ..StreamLimits::default() };
        Streams::new(&Settings { streams, ..Settings::default() }, usize::MAX).unwrap()
    }

    #[test]
    fn places_are_used_again_and_there_are_no_more_than_said() {
        let mut streams = streams(3);
        let begin =
            |streams: &mut Streams| streams.begin(Connection::new(), false, Interest::STREAM, None);
        let places: Vec<_> = (0..3).map(|_| begin(&mut streams).unwrap()).collect();
        assert_eq!((begin(&mut streams), streams.len()), (None, 3));
        streams.end(places[1]);
        assert_eq!((streams.len(), begin(&mut streams)), (2, Some(places[1])));
        assert_eq!(streams.entries.len(), 3);
    }

    #[test]
    fn datagrams_have_no_entry() {
        let mut streams = streams(1);
        streams.end(Place::DATAGRAMS);
        assert!(streams.get_mut(Place::DATAGRAMS).is_none());
        assert_eq!(streams.len(), 0);
    }
}
