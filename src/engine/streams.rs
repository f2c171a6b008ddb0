use alloc::vec::Vec;
use core::mem::size_of;

use super::EngineError;
use super::accounts::{Accounts, NOBODY};
use super::defrag::Fragments;
use super::settings::Settings;
use crate::flow::FlowId;
use crate::gwlb::EndpointId;
use crate::inspect::Interest;
use crate::packet::TcpSegment;
use crate::protocol::{Progress, Room, Session};
use crate::stream::{Arrival, Connection, Pool};
use crate::{Side, Timestamp, protocol};

/// The flows whose bytes are put in order, and the memory for that.
///
/// A flow names what is remembered of it by a small number, and gives it back when it ends. No endpoint has more of them, nor
/// more of the memory, than its share. A connection that is half-open, or over, can be given up for another one: of the same
/// endpoint, and only where that has none, of others. So no number of SYNs takes the places that connections need.
#[derive(Debug)]
pub(super) struct Streams {
    entries: Vec<Entry>,
    free: Vec<Place>,
    most: usize,
    most_of_share: usize,
    accounts: Accounts,
    /// Whose share of the memory is at hand.
    at_hand: u32,
    messages: protocol::Limits,
    pub(super) fragments: Fragments,
    pub(super) pool: Pool,
    pub(super) room: Room,
    /// A connection whose flow has begun anew.
    heir: Option<Connection>,
    /// Whose it is, until another one has its place.
    holder: Option<(u32, EndpointId)>,
    room_bytes: usize,
}

/// Where the entry of a flow is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Place(pub(super) u32);

impl Place {
    /// None: each datagram is looked at by itself.
    pub(super) const DATAGRAMS: Self = Self(u32::MAX);
    /// None any more: it was given up for another one, before anybody had said anything. With its next packet the flow gets
    /// one again.
    pub(super) const GIVEN_UP: Self = Self(u32::MAX - 1);
    /// None, where places are chained.
    pub(super) const NONE: Self = Self(u32::MAX - 2);

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
    /// Whose connection it is.
    flow: FlowId,
    endpoint: EndpointId,
    account: u32,
    /// Whether it can be given up for another one, and its neighbours among those of its endpoint that can.
    is_spare: bool,
    before: Place,
    after: Place,
}

/// A connection that begins to be followed.
pub(super) struct Beginner {
    pub(super) flow: FlowId,
    pub(super) endpoint: EndpointId,
    pub(super) connection: Connection,
    pub(super) is_heir: bool,
    pub(super) wants: Interest,
    pub(super) server_port: Option<u16>,
}

/// Whether there is a place for one more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Vacancy {
    Free,
    /// If this one is given up.
    Of(Spare),
    Full,
}

/// A connection that can be given up for another one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Spare {
    pub(super) place: Place,
    pub(super) flow: FlowId,
    /// Where the bytes of its client and its server will begin, if nothing was said in it so far: then it can go on
    /// afterwards.
    pub(super) beginnings: Option<(Option<u32>, Option<u32>)>,
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
            most_of_share: settings.streams.connections_per_endpoint,
            accounts: Accounts::new(Self::most_endpoints(settings, most))?,
            at_hand: NOBODY,
            messages: settings.messages,
            fragments: Fragments::new(settings)?,
            pool: Pool::new(settings.streams)?,
            room: Room::shared(settings.message_bytes, settings.message_bytes_per_endpoint),
            heir: None,
            holder: None,
            room_bytes: settings.message_bytes,
        })
    }

    /// Bytes that such a one never exceeds.
    pub(super) fn bytes(settings: &Settings, flows: usize) -> usize {
        let most = Self::most(settings, flows);
        most.saturating_mul(size_of::<Entry>().saturating_add(size_of::<Place>()))
            .saturating_add(Accounts::bytes(Self::most_endpoints(settings, most)))
            .saturating_add(settings.streams.bytes)
            .saturating_add(Fragments::bytes(settings))
            .saturating_add(settings.message_bytes)
    }

    fn most(settings: &Settings, flows: usize) -> usize {
        settings.streams.connections.min(flows).min(Place::NONE.index())
    }

    /// So many endpoints can have places at a time: one more while a flow begins anew.
    fn most_endpoints(settings: &Settings, most: usize) -> usize {
        settings.flows.endpoints.min(most).saturating_add(1)
    }

    /// Whether there is a place for one more connection of an endpoint.
    pub(super) fn vacancy(&mut self, endpoint: EndpointId) -> Vacancy {
        let account = self.accounts.find(endpoint).and_then(|number| self.accounts.get(number));
        let (places, own) = account.map_or((0, Place::NONE), |it| (it.places, it.first));
        let is_crowded = places >= self.most_of_share;
        if !is_crowded && (!self.free.is_empty() || self.entries.len() < self.most) {
            return Vacancy::Free;
        }
        let spare = match own {
            Place::NONE if is_crowded => None,
            Place::NONE => self.accounts.spare_of_any(),
            own => Some(own),
        };
        let entry = spare.and_then(|place| Some((place, self.entries.get(place.index())?)));
        entry.map_or(Vacancy::Full, |(place, entry)| {
            let beginnings = entry.connection.beginnings();
            Vacancy::Of(Spare { place, flow: entry.flow, beginnings })
        })
    }

    /// Begins to follow a connection, if there is [room](Self::vacancy) for one more.
    pub(super) fn begin(&mut self, beginner: Beginner) -> Option<Place> {
        let Beginner { flow, endpoint, mut connection, is_heir, wants, server_port } = beginner;
        let is_free = self.vacancy(endpoint) == Vacancy::Free;
        let Some(account) = self.accounts.open(endpoint).filter(|_| is_free) else {
            self.forget(&mut connection);
            return None;
        };
        if let Some(account) = self.accounts.get_mut(account) {
            account.places = account.places.saturating_add(1);
        }
        self.release_holder();
        let is_read = wants.intersects(Interest::MESSAGES);
        let entry = Entry {
            connection,
            session: is_read.then(|| Session::tcp(server_port, self.messages)),
            wants,
            had_message: false,
            had_gap: false,
            is_heir,
            flow,
            endpoint,
            account,
            is_spare: false,
            before: Place::NONE,
            after: Place::NONE,
        };
        let place = match self.free.pop() {
            Some(place) => {
                *self.entries.get_mut(place.index())? = entry;
                place
            }
            None => {
                let place = Place(u32::try_from(self.entries.len()).ok()?);
                self.entries.push(entry);
                place
            }
        };
        self.settle(place);
        Some(place)
    }

    /// Notes whether a connection can be given up for another one, now that something has come of a packet of it.
    #[inline]
    pub(super) fn settle(&mut self, place: Place) {
        let Some(entry) = self.entries.get(place.index()).filter(|entry| !entry.is_settled())
        else {
            return;
        };
        if entry.is_spare { self.unlink(place) } else { self.link(place) }
    }

    /// Puts a connection behind the others of its endpoint that can be given up.
    #[cold]
    fn link(&mut self, place: Place) {
        let Some(entry) = self.entries.get_mut(place.index()) else { return };
        let Some(account) = self.accounts.get_mut(entry.account) else { return };
        let before = core::mem::replace(&mut account.last, place);
        (entry.is_spare, entry.before, entry.after) = (true, before, Place::NONE);
        match self.entries.get_mut(before.index()) {
            Some(before) => before.after = place,
            None => account.first = place,
        }
    }

    #[cold]
    fn unlink(&mut self, place: Place) {
        let Some(entry) = self.entries.get_mut(place.index()) else { return };
        let Some(account) = self.accounts.get_mut(entry.account) else { return };
        let (before, after) = (entry.before, entry.after);
        entry.is_spare = false;
        match self.entries.get_mut(before.index()) {
            Some(before) => before.after = after,
            None => account.first = after,
        }
        match self.entries.get_mut(after.index()) {
            Some(after) => after.before = before,
            None => account.last = before,
        }
    }

    /// Takes the share of the memory to hand that is an endpoint's.
    #[inline]
    fn turn_to(&mut self, account: u32) {
        if account != self.at_hand {
            self.turn_to_another(account);
        }
    }

    fn turn_to_another(&mut self, account: u32) {
        let Self { accounts, pool, room, at_hand, .. } = self;
        for number in [core::mem::replace(at_hand, account), account] {
            if let Some(account) = accounts.get_mut(number) {
                pool.exchange(&mut account.share);
                room.exchange(&mut account.gathered);
            }
        }
    }

    /// Lets the flow that is to begin have the connection of one that ends.
    pub(super) fn bequeath(&mut self, place: Place) {
        self.forget_heir();
        let Some(entry) = self.entries.get_mut(place.index()) else { return };
        self.heir = Some(core::mem::take(&mut entry.connection));
        self.holder = Some((entry.account, entry.endpoint));
        if let Some(account) = self.accounts.get_mut(entry.account) {
            account.is_held = true;
        }
    }

    /// Gives back what a connection has that has no place.
    fn forget(&mut self, connection: &mut Connection) {
        if let Some((account, _)) = self.holder {
            self.turn_to(account);
        }
        connection.close(&mut self.pool);
        self.release_holder();
    }

    fn release_holder(&mut self) {
        let Some((number, endpoint)) = self.holder.take() else { return };
        if let Some(account) = self.accounts.get_mut(number) {
            account.is_held = false;
        }
        self.accounts.close_if_empty(number, endpoint);
    }

    /// The connection of the flow before, if it is one that goes on with a segment.
    pub(super) fn inherit(
        &mut self,
        side: Side,
        segment: &TcpSegment<'_>,
        now: Timestamp,
    ) -> Option<Connection> {
        let mut heir = self.heir.take()?;
        if let Some((account, _)) = self.holder {
            self.turn_to(account);
        }
        match heir.consider(&self.pool, side, segment, now) {
            Arrival::Accept(accepted) if accepted.reopens() => Some(heir),
            _ => {
                self.forget(&mut heir);
                None
            }
        }
    }

    /// Forgets the connection of the flow before, where no flow has begun.
    pub(super) fn forget_heir(&mut self) {
        if let Some(mut heir) = self.heir.take() {
            self.forget(&mut heir);
        }
    }

    /// Forgets a connection, and gives back all that it had.
    pub(super) fn end(&mut self, place: Place) {
        let Some((entry, pool, room)) = self.get_mut(place) else { return };
        entry.connection.close(pool);
        if let Some(mut session) = entry.session.take() {
            session.close(room);
        }
        let (number, endpoint, is_spare) = (entry.account, entry.endpoint, entry.is_spare);
        if is_spare {
            self.unlink(place);
        }
        self.free.push(place);
        if let Some(account) = self.accounts.get_mut(number) {
            account.places = account.places.saturating_sub(1);
        }
        self.accounts.close_if_empty(number, endpoint);
    }

    /// An entry, and the memory that all share.
    #[inline(always)]
    pub(super) fn get_mut(&mut self, place: Place) -> Option<(&mut Entry, &mut Pool, &mut Room)> {
        let account = self.entries.get(place.index())?.account;
        self.turn_to(account);
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
    /// Whether it is noted aright that it can, or cannot, be given up for another one: those cannot that are under way.
    #[inline]
    pub(super) fn is_settled(&self) -> bool {
        self.connection.is_under_way() != self.is_spare
    }

    /// Whether there is nothing to be [narrowed](Self::narrow), if inspectors say, or do not say, what they want now. Whether they
    /// fail closed does not count: that is among the flow's bits.
    #[inline]
    pub(super) fn keeps(&self, wants: Option<Interest>) -> bool {
        let wants_both = |session: &Session| Side::ALL.into_iter().all(|side| session.wants(side));
        let keeps = |wants: Interest| {
            let is_read = self.wants.contains(Interest::STREAM);
            wants.contains(self.wants) && (is_read || self.session.as_ref().is_some_and(wants_both))
        };
        !self.is_understood() && wants.is_none_or(keeps)
    }

    /// Whether there are no more messages to tell.
    #[inline]
    fn is_understood(&self) -> bool {
        self.session.as_ref().is_some_and(|session| session.progress() != Progress::More)
    }

    /// Notes what is still wanted: what nobody wants any more costs nothing from here on. Says whether there is anything left.
    pub(super) fn narrow(&mut self, wants: Interest, pool: &mut Pool, room: &mut Room) -> bool {
        self.wants = wants.without(Interest::ALL.without(self.wants));
        if !self.wants.intersects(Interest::MESSAGES) || self.is_understood() {
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

    fn streams(connections: usize, connections_per_endpoint: usize) -> Streams {
        let streams =
            StreamLimits { connections, connections_per_endpoint, ..StreamLimits::default() };
        Streams::new(&Settings { streams, ..Settings::default() }, usize::MAX).unwrap()
    }

    fn begin(streams: &mut Streams, endpoint: u64, flow: u32) -> Option<Place> {
        streams.begin(Beginner {
            flow: FlowId::made_up(flow),
            endpoint: EndpointId(endpoint),
            connection: Connection::new(),
            is_heir: false,
            wants: Interest::STREAM,
            server_port: None,
        })
    }

    fn begin_wanting(streams: &mut Streams, wants: Interest) -> Place {
        let place = streams.begin(Beginner {
            flow: FlowId::made_up(0),
            endpoint: EndpointId(1),
            connection: Connection::new(),
            is_heir: false,
            wants,
            server_port: Some(22),
        });
        place.unwrap()
    }

    /// Whose place there is.
    fn spare(streams: &mut Streams, endpoint: u64) -> Option<FlowId> {
        match streams.vacancy(EndpointId(endpoint)) {
            Vacancy::Of(spare) => {
                assert_eq!(spare.beginnings, Some((None, None)));
                Some(spare.flow)
            }
            Vacancy::Free => panic!("there is room"),
            Vacancy::Full => None,
        }
    }

    #[test]
    fn places_are_used_again_and_there_are_no_more_than_said() {
        let mut streams = streams(3, 3);
        let places: Vec<_> = (0..3).map(|n| begin(&mut streams, 1, n).unwrap()).collect();
        assert_eq!((begin(&mut streams, 1, 3), streams.len()), (None, 3));
        streams.end(places[1]);
        assert_eq!((streams.len(), begin(&mut streams, 1, 4)), (2, Some(places[1])));
        assert_eq!(streams.entries.len(), 3);
    }

    #[test]
    fn an_endpoint_gives_up_its_own_first_and_the_oldest_of_them() {
        let mut streams = streams(4, 3);
        let places: Vec<_> = (0..3).map(|n| begin(&mut streams, 1, n).unwrap()).collect();
        assert_eq!(spare(&mut streams, 1), Some(FlowId::made_up(0)));
        streams.end(places[0]);
        begin(&mut streams, 1, 3).unwrap();
        assert_eq!(spare(&mut streams, 1), Some(FlowId::made_up(1)));
        // Another one has still room, and then something of its own to give up.
        begin(&mut streams, 2, 4).unwrap();
        assert_eq!(spare(&mut streams, 2), Some(FlowId::made_up(4)));
        // A third one has nothing.
        assert_eq!(spare(&mut streams, 3), Some(FlowId::made_up(1)));
        // Out of the middle.
        streams.end(places[2]);
        begin(&mut streams, 3, 5).unwrap();
        assert_eq!(spare(&mut streams, 1), Some(FlowId::made_up(1)));
        streams.end(places[1]);
        begin(&mut streams, 3, 6).unwrap();
        assert_eq!(spare(&mut streams, 1), Some(FlowId::made_up(3)));
    }

    /// Where nothing is said to change, narrowing changes nothing; and where all is wanted as before, nothing is said to change.
    #[test]
    fn who_keeps_all_has_nothing_to_narrow() {
        const PARTS: [Interest; 4] =
            [Interest::PACKETS, Interest::STREAM, Interest::MESSAGES, Interest::FAIL_CLOSED];
        let any = |bits: usize| {
            let parts = (0..PARTS.len()).filter(|part| bits >> part & 1 == 1);
            parts.fold(Interest::END, |sum, part| sum.and(PARTS[part]))
        };
        let (mut kept, mut narrowed) = (0, 0);
        for (before, after) in (0..16).flat_map(|a| (0..16).map(move |b| (any(a), any(b)))) {
            for speaks in 0..4 {
                let mut streams = streams(1, 1);
                let place = begin_wanting(&mut streams, before);
                let (entry, pool, room) = streams.get_mut(place).unwrap();
                if let Some(session) = &mut entry.session {
                    let give =
                        &mut |_, _: protocol::Message<'_>| core::ops::ControlFlow::Continue(());
                    match speaks {
                        0 => {}
                        1 => {
                            session.feed(Side::Client, b"SSH-2.0-x\r\n", room, give);
                        }
                        2 => {
                            session.end(Side::Client, room, give);
                        }
                        _ => {
                            session.end(Side::Client, room, give);
                            session.end(Side::Server, room, give);
                        }
                    }
                }
                let keeps = entry.keeps(Some(after));
                let state = |entry: &Entry| {
                    let wants = entry.wants.without(Interest::FAIL_CLOSED);
                    std::format!("{wants:?} {:?} {:?}", entry.session, entry.connection)
                };
                let then = state(entry);
                let is_left = entry.narrow(after, pool, room);
                if keeps {
                    assert!(is_left, "{before:?} {after:?} {speaks}");
                    assert_eq!(state(entry), then, "{before:?} {after:?} {speaks}");
                }
                let is_same = is_left && state(entry) == then && after.contains(before);
                assert_eq!(keeps, is_same, "{before:?} {after:?} {speaks}");
                (kept, narrowed) = (kept + u32::from(keeps), narrowed + u32::from(!keeps));
            }
        }
        assert!(kept > 50 && narrowed > 50, "{kept} {narrowed}");
    }

    #[test]
    fn datagrams_have_no_entry() {
        let mut streams = streams(1, 1);
        streams.end(Place::DATAGRAMS);
        assert!(streams.get_mut(Place::DATAGRAMS).is_none());
        assert_eq!(streams.len(), 0);
    }
}
